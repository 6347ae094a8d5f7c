//! The configurations of docs/federation.md work, on tokens shaped as their makers document them, under keys of our own.

use std::collections::{BTreeMap, BTreeSet};

use narrows_policies::{Claim, MintRequest, Pack};
use narrows_verifier::caveat::Tools;
use narrows_verifier::json::{Limits, parse};
use serde::Deserialize;

use super::files::KeyFile;
use super::*;

const PAGE: &str = include_str!("../../../../docs/federation.md");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    trusted_issuer: Vec<TrustedIssuer>,
}

/// The entries of every block of the page that configures an issuer.
fn recipes() -> Vec<TrustedIssuer> {
    let blocks = PAGE.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("```").map(|(block, _)| block));
    let entries = blocks
        .filter(|block| block.contains("[[trusted_issuer]]"))
        .flat_map(|block| toml::from_str::<Entries>(block).unwrap().trusted_issuer);
    entries.collect()
}

fn recipe(issuer: &str, kind: IssuerKind) -> TrustedIssuer {
    let mut found = recipes().into_iter().filter(|entry| entry.issuer == issuer && entry.kind == kind);
    let (Some(entry), None) = (found.next(), found.next()) else { panic!("not exactly one entry for {issuer}") };
    entry
}

#[test]
fn every_configuration_on_the_page_is_in_order() {
    let recipes = recipes();
    assert_eq!(recipes.len(), PAGE.matches("[[trusted_issuer]]").count() - 1, "the page speaks of it once in its text");
    for entry in &recipes {
        entry.check().unwrap_or_else(|error| panic!("{error}"));
    }
    for kind in [IssuerKind::Oidc, IssuerKind::Oauth, IssuerKind::Spiffe, IssuerKind::IdJag] {
        assert!(recipes.iter().any(|entry| entry.kind == kind), "no recipe for {}", kind.name());
    }
    // all but the key files, which are not here
    let network: Vec<_> = recipes.into_iter().filter(|entry| entry.jwks_file.is_none()).collect();
    assert!(Federation::new(network, OURS, NOW_S).is_ok());
}

fn job(changes: Value) -> Value {
    let claims = json!({
        "jti": "example-id", "sub": "repo:octo-org/octo-repo:environment:prod", "environment": "prod", "aud": OURS, "ref": "refs/heads/main",
        "sha": "example-sha", "repository": "octo-org/octo-repo", "repository_owner": "octo-org", "actor_id": "12", "repository_visibility": "private",
        "repository_id": "74", "repository_owner_id": "123456", "run_id": "example-run-id", "run_number": "10", "run_attempt": "2",
        "runner_environment": "github-hosted", "actor": "octocat", "workflow": "example-workflow", "head_ref": "", "base_ref": "",
        "event_name": "workflow_dispatch", "ref_type": "branch",
        "job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
        "iss": "https://token.actions.githubusercontent.com", "nbf": NOW_S - 600, "iat": NOW_S - 10, "exp": NOW_S + 290,
    });
    with(&claims, changes)
}

#[tokio::test]
async fn a_job_of_github_actions_is_believed_once_with_its_claims() {
    let key = TestKey::rsa();
    let network = Arc::new(Network::default());
    let issuer = "https://token.actions.githubusercontent.com";
    network.serve(
        &format!("{issuer}/.well-known/openid-configuration"),
        json!({"issuer": issuer, "jwks_uri": format!("{issuer}/.well-known/jwks")}),
    );
    let published =
        with(&key.jwk("example-thumbprint"), json!({"use": "sig", "alg": "RS256", "x5c": ["AAAA"], "x5t": "example-thumbprint"}));
    network.serve(&format!("{issuer}/.well-known/jwks"), json!({"keys": [published]}));
    let federation = Federation::with_source(vec![recipe(issuer, IssuerKind::Oidc)], OURS, network, NOW_S).unwrap();
    let header = json!({"typ": "JWT", "alg": "RS256", "x5t": "example-thumbprint", "kid": "example-thumbprint"});
    let verify = async |changes: Value, declared| federation.verify(&token(&key, &header, &job(changes)), declared, NOW_S).await;
    for declared in [TokenType::Jwt, TokenType::IdToken] {
        let subject = verify(json!({}), declared).await.unwrap();
        assert_eq!(subject.subject, "repo:octo-org/octo-repo:environment:prod");
        assert!(subject.once.is_some());
        let names: Vec<_> = subject.claims.keys().map(String::as_str).collect();
        let expected = ["environment", "event_name", "job_workflow_ref", "ref", "repository", "repository_owner_id", "runner_environment"];
        assert_eq!(names, expected);
        assert!(subject.bounds.is_empty());
        assert_eq!(decide(&subject), Ok(()));
    }
    let fork = verify(json!({"repository_owner_id": "666", "ref": "refs/pull/1/merge"}), TokenType::Jwt).await.unwrap();
    assert_eq!(decide(&fork), Err(Reason::PolicyDenied));
    for (changes, reason) in [
        (json!({"aud": "https://github.com/octo-org"}), Reason::JwtAudience),
        (json!({"iat": NOW_S - 1_000}), Reason::JwtTooOld),
        (json!({"exp": NOW_S - 60}), Reason::JwtExpired),
        (json!({"jti": null}), Reason::JwtClaims),
        (json!({"iss": "https://token.actions.githubusercontent.com/octo-org"}), Reason::JwtIssuer),
    ] {
        let refused = verify(changes.clone(), TokenType::Jwt).await.map(|_| ()).unwrap_err();
        assert_eq!(refused, FederationError::Refused(reason), "{changes}");
    }
}

/// What a pack with the condition on the page says.
fn decide(subject: &VerifiedSubject) -> Result<(), Reason> {
    let condition = PAGE.lines().find_map(|line| line.strip_prefix("when = ")).unwrap();
    let pack = format!(
        "pack = \"jobs\"\nversion = 1\n[limits]\nmax_life_seconds = 300\nmax_depth = 0\n[[rule]]\nname = \"deploy\"\nwhen = {condition}\n\
         audiences = [\"https://deploy.example\"]\ntools = [\"deploy.start\"]\n"
    );
    let text = |value: &Value| Claim::Text(value.as_str().unwrap().to_owned());
    let request = MintRequest {
        client: "ci".to_owned(),
        agent: "ci".to_owned(),
        subject_issuer: subject.issuer.clone(),
        subject: subject.subject.clone(),
        claims: subject.claims.iter().map(|(name, value)| (name.clone(), text(value))).collect::<BTreeMap<_, _>>(),
        actor: narrows_policies::Actor { issuer: OURS.to_owned(), name: "ci".to_owned() },
        grant: narrows_policies::GrantType::TokenExchange,
        requested_type: narrows_policies::RequestedType::AccessToken,
        bearer: false,
        audiences: BTreeSet::from(["https://deploy.example".to_owned()]),
        scopes: BTreeSet::new(),
        tools: Some(Tools::from_json(&parse(br#"["deploy.start"]"#, Limits::CAVEATS).unwrap()).unwrap()),
        caveats: Vec::new(),
        ceilings: Vec::new(),
        requested_life_seconds: None,
        requested_depth: None,
        subject_expires_s: Some(subject.expires_s),
    };
    Pack::parse(&pack).unwrap().decide(&request, NOW_S).map(|_| ()).map_err(|refusal| refusal.reason)
}

fn pod(issuer: &str, changes: Value) -> Value {
    let claims = json!({
        "aud": [OURS], "exp": NOW_S + 3_600, "iat": NOW_S - 60, "nbf": NOW_S - 60, "iss": issuer, "jti": "ed9fc7a6-8c3f-4b35-8b0d-5c7a0e7a9a11",
        "kubernetes.io": {
            "namespace": "agents",
            "node": {"name": "worker-1", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1"},
            "pod": {"name": "planner-7d9c", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3"},
            "serviceaccount": {"name": "planner", "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"},
        },
        "sub": "system:serviceaccount:agents:planner",
    });
    with(&claims, changes)
}

#[tokio::test]
async fn a_pod_of_a_cluster_is_believed_from_a_file_and_from_a_public_issuer() {
    let key = TestKey::rsa();
    let set = json!({"keys": [with(&key.jwk("cluster-key"), json!({"use": "sig", "alg": "RS256"}))]});
    let file = KeyFile::new(&set.to_string());
    let (inside, hosted) = ("https://kubernetes.default.svc.cluster.local", "https://oidc.cluster.example/id/0123456789ABCDEF");
    let network = Arc::new(Network::default());
    network.serve(&format!("{hosted}/.well-known/openid-configuration"), json!({"issuer": hosted, "jwks_uri": format!("{hosted}/keys")}));
    network.serve(&format!("{hosted}/keys"), set);
    let from_file = TrustedIssuer { jwks_file: Some(file.path()), ..recipe(inside, IssuerKind::Oidc) };
    let federation = Federation::with_source(vec![from_file, recipe(hosted, IssuerKind::Oidc)], OURS, network, NOW_S).unwrap();
    let header = json!({"alg": "RS256", "kid": "cluster-key"});
    let verify =
        async |issuer: &str, changes: Value| federation.verify(&token(&key, &header, &pod(issuer, changes)), TokenType::Jwt, NOW_S).await;
    let subject = verify(inside, json!({})).await.unwrap();
    let claims = json!({
        "namespace": "agents", "service_account": "planner", "service_account_uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798", "pod": "planner-7d9c",
    });
    assert_eq!((subject.subject.as_str(), Value::Object(subject.claims)), ("system:serviceaccount:agents:planner", claims));
    let subject = verify(hosted, json!({})).await.unwrap();
    assert_eq!(Value::Object(subject.claims), json!({"namespace": "agents", "service_account": "planner"}));
    for (changes, reason) in [
        (json!({"aud": ["https://kubernetes.default.svc.cluster.local"]}), Reason::JwtAudience),
        (json!({"exp": null}), Reason::JwtClaims),
        (json!({"iss": "kubernetes/serviceaccount"}), Reason::JwtIssuer),
        (json!({"nbf": NOW_S + 60}), Reason::JwtNotYetValid),
        (json!({"iat": NOW_S - 7_300}), Reason::JwtTooOld),
    ] {
        let refused = verify(inside, changes.clone()).await.map(|_| ()).unwrap_err();
        assert_eq!(refused, FederationError::Refused(reason), "{changes}");
    }
}

#[tokio::test]
async fn workloads_of_two_trust_domains_are_kept_apart() {
    let (ours, theirs) = (TestKey::p256(), TestKey::p256());
    let bundle = |key: &TestKey| json!({"keys": [with(&key.jwk("authority"), json!({"use": "jwt-svid"}))], "spiffe_sequence": 1});
    let network = Arc::new(Network::default());
    network.serve("https://spire.example.org/bundle", bundle(&ours));
    let file = KeyFile::new(&bundle(&theirs).to_string());
    let in_file = TrustedIssuer { jwks_file: Some(file.path()), ..recipe("spiffe://prod.example.org", IssuerKind::Spiffe) };
    let configs = vec![recipe("spiffe://example.org", IssuerKind::Spiffe), in_file];
    let federation = Federation::with_source(configs, OURS, network, NOW_S).unwrap();
    let svid = |key: &TestKey, id: &str| {
        token(
            key,
            &json!({"alg": "ES256", "kid": "authority", "typ": "JWT"}),
            &json!({"sub": id, "aud": [OURS], "exp": NOW_S + 300, "iat": NOW_S}),
        )
    };
    let issuer =
        async |key: &TestKey, id: &str| federation.verify(&svid(key, id), TokenType::Jwt, NOW_S).await.map(|subject| subject.issuer);
    assert_eq!(issuer(&ours, "spiffe://example.org/ns/agents/sa/planner").await.as_deref(), Ok("spiffe://example.org"));
    assert_eq!(issuer(&theirs, "spiffe://prod.example.org/planner").await.as_deref(), Ok("spiffe://prod.example.org"));
    let crossed = issuer(&ours, "spiffe://prod.example.org/planner").await;
    assert_eq!(crossed, Err(FederationError::Refused(Reason::JwtSignature)));
}
