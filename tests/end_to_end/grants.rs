//! The grants that stock clients send, by the real program: `client_credentials`, and `jwt-bearer` with an identity assertion.

use narrows::{HolderKey, UnverifiedToken};
use narrows_issuer::clients::secret_hash;
use narrows_tests::{
    forged::ForgedProvider,
    holder::fresh,
    http::{Form, get},
    issuer::{AUDIENCE, Issuer, now},
};
use serde_json::{Value, json};

const OPEN: &str = "https://open.example";
const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

/// An issuer with the client `agent` for all grants, and a provider of assertions.
async fn open() -> (Issuer, ForgedProvider) {
    let (mut issuer, provider) = (Issuer::init(), ForgedProvider::start());
    let client = format!(
        "[[client]]\nid = \"agent\"\nauth_method = \"client_secret_post\"\nsecret_hashes = [\"{}\"]\n\
         grants = [\"client_credentials\", \"jwt_bearer\"]\n",
        secret_hash(SECRET)
    );
    let trust = format!(
        "[[trusted_issuer]]\nissuer = \"{0}\"\nkind = \"id_jag\"\njwks_url = \"{0}/keys\"\nallow_loopback_http = true\nclients = [\"agent\"]\n",
        provider.issuer()
    );
    let pack = format!(
        r#"
pack = "grants"
version = 1
[limits]
max_life_seconds = 900
max_depth = 1
[[scope]]
name = "crm"
tools = ["crm.read"]
[[rule]]
name = "open reading"
when = 'client("agent"), audience("{OPEN}")'
audiences = ["{OPEN}"]
tools = ["crm.read"]
default_tools = ["crm.read"]
bearer = true
[[rule]]
name = "the agent, for itself and for people"
when = 'client("agent"), grant("client_credentials") or client("agent"), grant("jwt_bearer"), subject("alice")'
audiences = ["{AUDIENCE}"]
tools = ["crm.read"]
"#
    );
    issuer.configure(&format!("{client}{trust}"), &pack);
    issuer.start().await;
    (issuer, provider)
}

fn asking(grant: &str, more: &[(&str, &str)]) -> Form {
    let form = Form::new(&[("grant_type", grant), ("client_id", "agent"), ("client_secret", SECRET)]);
    more.iter().fold(form, |form, (name, value)| form.also(name, value))
}

fn bound(form: Form, issuer: &Issuer, subject: &str) -> Form {
    let key = HolderKey::generate();
    form.also("req_cnf", &key.req_cnf()).also("holder_proof", &key.holder_proof(issuer.url(), "agent", subject, now()))
}

#[tokio::test]
async fn a_stock_client_gets_its_first_token_by_what_metadata_says() {
    let (issuer, _provider) = open().await;
    let metadata = get(&issuer.at("/.well-known/oauth-authorization-server")).await;
    assert_eq!(metadata.header("access-control-allow-origin"), "*");
    let metadata = metadata.json();
    assert_eq!(metadata["issuer"], issuer.url());
    assert_eq!(metadata["scopes_supported"], json!(["crm"]));
    assert!(metadata["authorization_endpoint"].is_string());
    let grants = metadata["grant_types_supported"].as_array().unwrap();
    assert!(grants.contains(&json!("client_credentials")));
    let endpoint = metadata["token_endpoint"].as_str().unwrap();

    let open = asking("client_credentials", &[("resource", OPEN), ("scope", "crm")]).post(endpoint).await.granted();
    assert_eq!((&open["token_type"], &open["scope"], &open["issued_token_type"]), (&json!("Bearer"), &json!("crm"), &Value::Null));
    let (_, keys) = issuer.sdk().await;
    let token = UnverifiedToken::from_text(open["access_token"].as_str().unwrap()).unwrap().verify(&keys.roots).unwrap();
    assert!(token.sealed && token.holder == narrows_verifier::Holder::Bearer);

    let asked = || asking("client_credentials", &[("resource", AUDIENCE), ("scope", "crm")]);
    asked().post(endpoint).await.refused_as(
        400,
        "invalid_request",
        "BEARER_NOT_IN_POLICY",
        "bound to nothing where the policy says otherwise",
    );
    assert_eq!(bound(asked(), &issuer, "").post(endpoint).await.granted()["token_type"], "DPoP");
    asking("urn:ietf:params:oauth:grant-type:token-exchange", &[]).post(endpoint).await.refused_as(
        400,
        "unauthorized_client",
        "CLIENT_GRANT",
        "a grant that the client is not registered for",
    );
    let view =
        asking("client_credentials", &[("resource", OPEN), ("scope", "crm"), ("requested_token_type", JWT)]).post(endpoint).await.granted();
    let jwt = view["access_token"].as_str().unwrap();
    assert_eq!(jwt.split('.').count(), 3);
    let keys = get(metadata["jwks_uri"].as_str().unwrap()).await.json();
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(1));
    issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn an_identity_assertion_is_redeemed_once_by_the_client_that_it_was_made_for() {
    let (mut issuer, provider) = open().await;
    let assertion = |subject: &str, client: &str| {
        let claims = json!({
            "iss": provider.issuer(), "sub": subject, "aud": issuer.url(), "client_id": client, "jti": format!("{:?}", fresh::<16>()),
            "iat": now(), "exp": now() + 300, "resource": AUDIENCE, "scope": "crm",
        });
        provider.sign(&json!({ "alg": "EdDSA", "kid": "published", "typ": "oauth-id-jag+jwt" }), &claims)
    };
    let redeem = |assertion: &str| bound(asking(JWT_BEARER, &[("assertion", assertion), ("scope", "crm")]), &issuer, assertion);
    let good = assertion("alice", "agent");
    let answer = issuer.token(&redeem(&good)).await.granted();
    assert_eq!((&answer["scope"], &answer["token_type"]), (&json!("crm"), &json!("DPoP")));
    issuer.token(&redeem(&good)).await.refused_as(400, "invalid_grant", "SUBJECT_REPLAYED", "a second time");
    issuer.token(&redeem(&assertion("alice", "other"))).await.refused_as(400, "invalid_grant", "JWT_CLIENT", "another client's");
    issuer.token(&redeem(&assertion("bob", "agent"))).await.refused_as(400, "invalid_grant", "POLICY_DENIED", "somebody else");
    let later = redeem(&good);
    issuer.kill();
    issuer.start().await;
    issuer.token(&later).await.refused_as(400, "invalid_grant", "SUBJECT_REPLAYED", "after a restart");
    issuer.audit(&[]).succeeded();
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
