//! Token exchange by the real program: logins of a real provider, delegation, and narrowing by the service.

use narrows::{Held, HolderKey, IssuerKeys, NarrowRequest, UnverifiedToken, caveats};
use narrows_tests::{
    forged::ForgedProvider,
    holder::{fresh, holder},
    http::{Answer, Form},
    issuer::{AUDIENCE, CLIENT, Issuer, PACK, evidence, now},
    provider::Provider,
};
use narrows_verifier::EarlierActor;
use narrows_verifier::proof::{NarrowClaims, dpop::thumbprint, narrow_request_digest, sign_narrow};
use serde_json::{Value, json};

/// An issuer that trusts alice's providers, and lets tokens of its own be narrowed.
async fn open(trust: &str) -> Issuer {
    let mut issuer = Issuer::init();
    let own = format!(
        "[[rule]]\nname = \"narrowing\"\nwhen = 'subject_issuer(\"{}\")'\naudiences = [\"{AUDIENCE}\"]\ntools = [\"crm.read\", \"payments.send\"]\n",
        issuer.url()
    );
    issuer.configure(trust, &format!("{PACK}{own}"));
    issuer.start().await;
    issuer
}

/// What the holder of a token asks the service to make of it for another key.
struct Narrowing<'a> {
    issuer: &'a Issuer,
    keys: &'a IssuerKeys,
    old: &'a str,
    holder: [u8; 32],
    new_holder: [u8; 32],
}

impl Narrowing<'_> {
    async fn send(&self, more: &[(&str, &str)]) -> Answer {
        let new_holder = holder(&self.new_holder);
        let mut fields = vec![("grant_type", EXCHANGE), ("subject_token", self.old), ("subject_token_type", BISCUIT)];
        fields.extend(more);
        let claims = NarrowClaims {
            issuer: self.issuer.url(),
            client: CLIENT,
            block: UnverifiedToken::from_text(self.old).unwrap().verify(&self.keys.roots).unwrap().newest(),
            new_holder: thumbprint(&new_holder.public()),
            request_digest: narrow_request_digest(fields.iter().copied()),
        };
        let form = Form::new(&fields)
            .also("narrow_proof", &sign_narrow(&claims, now(), &fresh(), &self.holder))
            .also("req_cnf", &new_holder.req_cnf())
            .also("holder_proof", &new_holder.holder_proof(self.issuer.url(), CLIENT, self.old, now()))
            .basic(CLIENT, self.issuer.secret());
        self.issuer.token(&form).await
    }
}

#[tokio::test]
async fn the_service_narrows_what_an_agent_has_handed_on() {
    let provider = Provider::start();
    let trust = format!("[[trusted_issuer]]\nissuer = \"{}\"\naudiences = [\"agents\"]\nallow_loopback_http = true\n", provider.issuer());
    let issuer = open(&trust).await;
    let (client, keys) = issuer.sdk().await;
    let login = provider.login("alice", "alice-password", "agents").await.unwrap();
    let (planner, executor, worker) = (fresh(), fresh(), fresh());
    let granted = issuer.granted(&holder(&planner), &login).await;
    let held = Held::new(granted["access_token"].as_str().unwrap(), holder(&planner), &keys.roots).ok().unwrap();
    let hop = NarrowRequest {
        holder: holder(&executor).public(),
        agent: "executor".into(),
        caveats: caveats(r#"[{"kind":"tools","allow":["payments.send"]},{"kind":"depth","max":2}]"#).unwrap(),
    };
    let narrowed = held.narrow(&hop, now()).unwrap();
    client.report(&held.report_hop(&narrowed, issuer.url(), now()), &keys).await.unwrap();

    let ask = Narrowing { issuer: &issuer, keys: &keys, old: &narrowed.token, holder: executor, new_holder: worker };
    let answer = ask.send(&[("authorization_details", DETAILS)]).await.granted();
    let old = UnverifiedToken::from_text(&narrowed.token).unwrap().verify(&keys.roots).unwrap();
    let new = UnverifiedToken::from_text(answer["access_token"].as_str().unwrap()).unwrap().verify(&keys.roots).unwrap();
    assert_eq!((new.authority.task, &new.authority.lineage), (old.authority.task, &old.block_ids()));
    assert_eq!(new.authority.actors, [EarlierActor::attested("planner"), EarlierActor::named("executor")]);
    assert!(new.expires <= old.expires);
    for (case, more, error, reason) in [
        ("a tool that the hop gave up", ("authorization_details", WIDER), "invalid_authorization_details", "TOOL_ABOVE_CEILING"),
        ("another audience", ("audience", "https://other.example"), "invalid_target", "AUDIENCE_NOT_IN_POLICY"),
        ("the hop's depth back", ("authorization_details", DEEPER), "invalid_request", "DEPTH_ABOVE_CEILING"),
    ] {
        ask.send(&[more]).await.refused_as(400, error, reason, case);
    }
    let thief = Narrowing { holder: fresh(), ..ask };
    thief.send(&[]).await.refused_as(400, "invalid_request", "PROOF_SIGNATURE", "a thief of the bytes");

    let (_, leaf) = evidence(&answer);
    let leaf: Value = serde_json::from_slice(&leaf).unwrap();
    assert_eq!((&leaf["kind"], leaf["chain"].as_array().map(Vec::len)), (&json!("exchange"), Some(4)));
    issuer.audit(&[]).succeeded();
    let known = Form::new(&[("token", answer["access_token"].as_str().unwrap())]).basic(CLIENT, issuer.secret());
    let known = known.post(&issuer.at("/oauth/introspect")).await.granted();
    let chain = json!([
        { "actor": "planner", "word_of": "issuer" },
        { "actor": "executor", "word_of": "delegator" },
        { "agent": CLIENT, "word_of": "issuer" },
    ]);
    assert_eq!(known["narrows"]["chain"], chain);
    assert_eq!(known["act"], json!({ "sub": CLIENT, "act": { "sub": "executor", "act": { "sub": "planner" } } }));

    // whoever ends the hop ends what was made of it, and nothing more is made
    let revoked = Form::new(&[("token", narrowed.token.as_str())]).basic(CLIENT, issuer.secret()).post(&issuer.at("/oauth/revoke")).await;
    assert_eq!(revoked.status, 200, "{}", revoked.text());
    let ask = Narrowing { issuer: &issuer, keys: &keys, old: &narrowed.token, holder: executor, new_holder: worker };
    ask.send(&[]).await.refused_as(400, "invalid_request", "REVOKED", "a token that was revoked");
    let of_the_new = Narrowing { old: answer["access_token"].as_str().unwrap(), holder: worker, new_holder: fresh(), ..ask };
    of_the_new.send(&[]).await.refused_as(400, "invalid_request", "REVOKED", "a token that was made from it");
}

#[tokio::test]
async fn who_acts_is_in_the_token_and_in_the_log() {
    let provider = ForgedProvider::start();
    let issuer = open(&provider.trust()).await;
    let (_, keys) = issuer.sdk().await;
    let key = HolderKey::generate();
    let claims = |subject: &str, more: Value| {
        let mut claims = provider.claims(subject);
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        provider.sign(&json!({ "alg": "EdDSA", "kid": "published", "typ": "JWT" }), &claims)
    };
    let of = |subject: &str, actor: Option<&str>| {
        let form = issuer.request(&key, subject).with("authorization_details", r#"[{"type":"narrows","tools":["crm.read"]}]"#);
        match actor {
            Some(actor) => form.also("actor_token", actor).also("actor_token_type", ID_TOKEN),
            None => form,
        }
    };
    let actors = |answer: &Value| {
        let token = UnverifiedToken::from_text(answer["access_token"].as_str().unwrap()).unwrap().verify(&keys.roots).unwrap();
        let agent = token.principals().next().unwrap().0.to_owned();
        (token.authority.actors.clone(), agent)
    };
    let delegated = claims("alice", json!({ "act": { "sub": "desk" } }));
    let robot = claims("robot", json!({}));
    let answer = issuer.token(&of(&delegated, Some(&robot))).await.granted();
    assert_eq!(actors(&answer), (vec![EarlierActor::attested("desk")], "robot".to_owned()));
    // the same token without an actor is as delegated as before
    let answer = issuer.token(&of(&delegated, None)).await.granted();
    assert_eq!(actors(&answer), (vec![EarlierActor::attested("desk")], CLIENT.to_owned()));
    let allowing = claims("alice", json!({ "may_act": { "sub": "robot" } }));
    issuer.token(&of(&allowing, Some(&robot))).await.granted();
    issuer.token(&of(&allowing, None)).await.refused_as(400, "invalid_request", "MAY_ACT", "the client is not who may act");
    issuer.token(&of(&robot, Some(&robot))).await.refused_as(400, "invalid_request", "SUBJECT_IS_ACTOR", "both in one");
    issuer.audit(&[]).succeeded();
}

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const BISCUIT: &str = "urn:narrows:token-type:biscuit";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const DETAILS: &str = r#"[{"type":"narrows","tools":["payments.send"],"caveats":[{"kind":"arg","tool":"payments.send","path":"/amount","is":{"range":{"min":1,"max":50}}}]}]"#;
const WIDER: &str = r#"[{"type":"narrows","tools":["crm.read"]}]"#;
const DEEPER: &str = r#"[{"type":"narrows","tools":["payments.send"],"caveats":[{"kind":"depth","max":2}]}]"#;
