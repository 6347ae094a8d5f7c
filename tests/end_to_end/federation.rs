//! Trusted issuers as an operator sets them up and asks about them, with the real program.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use ed25519_dalek::SigningKey;
use narrows::HolderKey;
use narrows_tests::{
    forged::{ForgedProvider, canned, jwk, jwt},
    issuer::{Issuer, PACK, now},
    program::{Ran, narrows, run},
    scratch::Scratch,
};
use serde_json::{Value, json};

#[tokio::test]
async fn a_token_for_one_use_is_exchanged_once() {
    let (mut issuer, provider) = (Issuer::init(), ForgedProvider::start());
    issuer.configure(&format!("{}single_use = true\n", provider.trust()), PACK);
    issuer.start().await;
    let holder = HolderKey::generate();
    let sign = |id: Value| {
        let mut claims = provider.claims("alice");
        claims["jti"] = id;
        provider.sign(&json!({ "alg": "EdDSA", "kid": "published", "typ": "JWT" }), &claims)
    };
    let token = sign(json!("one"));
    issuer.granted(&holder, &token).await;
    let again = issuer.token(&issuer.request(&holder, &token)).await;
    again.refused_as(400, "invalid_request", "SUBJECT_REPLAYED", "the same token again");
    issuer.token(&issuer.request(&holder, &provider.login("alice"))).await.refused_as(400, "invalid_request", "JWT_CLAIMS", "no `jti`");
    issuer.granted(&holder, &sign(json!("two"))).await;

    // spent things outlive the process
    issuer.stop();
    issuer.start().await;
    let after = issuer.token(&issuer.request(&holder, &token)).await;
    after.refused_as(400, "invalid_request", "SUBJECT_REPLAYED", "after a restart");
}

#[tokio::test]
async fn an_issuer_that_can_not_be_reached_is_our_trouble_and_not_the_clients() {
    let (mut issuer, provider) = (Issuer::init(), ForgedProvider::start());
    // nobody listens on port 1
    issuer.configure(&provider.trust().replace(&format!("jwks_url = \"{}", provider.issuer()), "jwks_url = \"http://127.0.0.1:1"), PACK);
    issuer.start().await;
    let before = issuer.log_size().await;
    for case in ["the first time", "and again"] {
        let answer = issuer.token(&issuer.request(&HolderKey::generate(), &provider.login("alice"))).await;
        answer.refused_as(503, "temporarily_unavailable", "ISSUER_UNREACHABLE", case);
    }
    assert_eq!(issuer.log_size().await, before);
}

#[tokio::test]
async fn whatever_is_wrong_outside_nobody_is_believed_and_nobody_is_sent_elsewhere() {
    let json_type = "200 OK\r\ncontent-type: application/json";
    let inside = canned(json_type, &json!({ "keys": [jwk(&SigningKey::from_bytes(&[7; 32]), "one")] }).to_string());
    let faults = [
        (
            "a redirect to what lies inside",
            format!("302 Found\r\nlocation: {inside}/keys\r\ncontent-type: application/json"),
            String::new(),
        ),
        ("a redirect to a cloud's metadata", "307 Temporary Redirect\r\nlocation: http://169.254.169.254/latest".to_owned(), String::new()),
        ("fifty megabytes", json_type.to_owned(), " ".repeat(50 << 20)),
        ("a hundred thousand keys", json_type.to_owned(), format!("{{\"keys\":[{}{{}}]}}", "{},".repeat(99_999))),
        ("no json", "200 OK\r\ncontent-type: text/html".to_owned(), "{\"keys\":[]}".to_owned()),
        ("an error", "500 Internal Server Error".to_owned(), String::new()),
        ("no keys", json_type.to_owned(), "{}".to_owned()),
    ];
    let entry = |name: &str, more: &str| {
        format!("[[trusted_issuer]]\nissuer = \"{name}\"\naudiences = [\"agents\"]\nallow_loopback_http = true\n{more}\n")
    };
    let mut entries = String::new();
    let mut issuers = Vec::new();
    for (index, (case, head, body)) in faults.iter().enumerate() {
        let name = format!("https://fault-{index}.example");
        entries += &entry(&name, &format!("jwks_url = \"{}/keys\"", canned(head, body)));
        issuers.push((*case, name));
    }
    // a document that names another issuer
    let other = canned(json_type, &json!({ "issuer": "https://other.example", "jwks_uri": format!("{inside}/keys") }).to_string());
    entries += &entry(&other, "");
    issuers.push(("discovery for another issuer", other));
    let mut issuer = Issuer::init();
    issuer.configure(&entries, PACK);
    issuer.start().await;
    let before = issuer.log_size().await;
    let key = SigningKey::from_bytes(&[7; 32]);
    for (case, name) in issuers {
        let answer = issuer.token(&issuer.request(&HolderKey::generate(), &login(&key, json!({ "iss": name })))).await;
        let reason = answer.reason();
        assert!(["ISSUER_UNREACHABLE", "ISSUER_DOCUMENT"].contains(&reason.as_str()), "{case}: {reason}");
        assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{case}");
        answer.refused_as(503, "temporarily_unavailable", &reason, case);
    }
    assert_eq!(issuer.log_size().await, before);
}

#[tokio::test]
async fn keys_in_a_file_need_no_network_and_change_without_a_restart() {
    let (mut issuer, scratch) = (Issuer::init(), Scratch::new());
    let key = SigningKey::from_bytes(&[7; 32]);
    let set = json!({ "keys": [jwk(&key, "one")] });
    let file = scratch.write("keys.json", set.to_string());
    let trust = format!(
        "[[trusted_issuer]]\nissuer = \"https://offline.example\"\naudiences = [\"agents\"]\njwks_file = \"{}\"\nclaims = [\"groups\"]\n",
        file.display()
    );
    issuer.configure(&trust, PACK);
    issuer.start().await;
    issuer.granted(&HolderKey::generate(), &login(&key, json!({}))).await;
}

#[test]
fn a_key_file_that_is_missing_is_found_at_start() {
    let issuer = Issuer::init();
    issuer.configure(
        "[[trusted_issuer]]\nissuer = \"https://offline.example\"\naudiences = [\"agents\"]\njwks_file = \"/nonexistent/keys.json\"\n",
        PACK,
    );
    issuer.start_refused().refused("jwks_file");
}

#[test]
fn issuer_test_says_why_a_token_is_refused_and_never_shows_it() {
    let setup = Setup::new();
    let cases = [
        (json!({}), "accepted", "", true),
        (json!({ "exp": now() - 60 }), "JWT_EXPIRED at `exp`", "exp  6", false),
        (json!({ "aud": "others" }), "JWT_AUDIENCE at `aud`", "aud  others", false),
        (json!({ "iss": "https://evil.example" }), "JWT_ISSUER at `iss`", "issuer   none", false),
        (json!({ "sub": "" }), "JWT_SUBJECT at `sub`", "", false),
    ];
    for (changes, verdict, shown, accepted) in cases {
        let token = login(&setup.key, changes);
        for ran in [setup.test(&[&setup.file(&token)]), setup.test_input(&token)] {
            let told = format!("{}{}", ran.out, ran.errors);
            assert_eq!(ran.code, Some(i32::from(!accepted)), "{told}");
            assert!(told.contains(verdict) && told.contains(shown), "no `{verdict}` or `{shown}` in: {told}");
            for secret in [token.as_str(), token.rsplit('.').next().unwrap(), "alice", "finance"] {
                assert!(!told.contains(secret), "it shows `{secret}`: {told}");
            }
        }
    }
    let told = setup.test(&[&setup.file(&login(&setup.key, json!({})))]).succeeded();
    for shown in
        ["alg  EdDSA", "kid  one", "https://offline.example (oidc)", "profile  id token", "keys     1 at hand", "the claims `groups`"]
    {
        assert!(told.contains(shown), "no `{shown}` in: {told}");
    }
    let thief = login(&SigningKey::from_bytes(&[8; 32]), json!({}));
    refused_with(setup.test(&[&setup.file(&thief)]), "JWT_SIGNATURE");
    refused_with(setup.test(&[&setup.file("no token at all")]), "JWT_MALFORMED");
    let as_access_token = [&setup.file(&login(&setup.key, json!({}))), "--type", "access_token"];
    refused_with(setup.test(&as_access_token), "JWT_TYPE");
}

#[test]
fn issuer_test_knows_id_jags_and_jwt_svids() {
    let setup = Setup::new();
    let sign = |typ: &str, claims: Value| setup.file(&jwt(&setup.key, &json!({ "alg": "EdDSA", "kid": "one", "typ": typ }), &claims));
    let grant = |client: &str| {
        let claims = json!({
            "iss": "https://offline.example", "sub": "alice", "aud": "https://narrows.example", "client_id": client, "jti": "one",
            "iat": now(), "exp": now() + 300, "scope": "crm.read",
        });
        sign("oauth-id-jag+jwt", claims)
    };
    let told = setup.test(&[&grant("planner"), "--id-jag-for", "planner"]).succeeded();
    assert!(told.contains("profile  id-jag") && told.contains("it limits its own use: `client_id`, `scope`"), "{told}");
    refused_with(setup.test(&[&grant("planner"), "--id-jag-for", "other"]), "JWT_CLIENT at `client_id`");
    refused_with(setup.test(&[&grant("other"), "--id-jag-for", "planner"]), "JWT_CLIENT at `client_id`");
    let svid = json!({ "sub": "spiffe://example.org/planner", "aud": "https://narrows.example", "exp": now() + 300 });
    let ran = setup.test(&[&sign("JWT", svid)]);
    // the right trust domain, and an algorithm that JWT-SVIDs don't have
    assert!(ran.out.contains("spiffe://example.org (spiffe)") && ran.out.contains("profile  jwt-svid"), "{}", ran.out);
    refused_with(ran, "JWT_ALGORITHM at `alg`");
}

#[test]
fn issuer_list_shows_whom_the_configuration_trusts() {
    let setup = Setup::new();
    let told = run(["issuer", "list", "--config", &setup.config]).succeeded();
    for shown in ["https://offline.example\n", "spiffe://example.org\n", "id-jag, redeemed by `planner`", "jwt_svid", "keys.json"] {
        assert!(told.contains(shown), "no `{shown}` in: {told}");
    }
}

/// A configuration whose issuers all have their keys in files.
struct Setup {
    scratch: Scratch,
    config: String,
    key: SigningKey,
}

impl Setup {
    fn new() -> Self {
        let (scratch, key) = (Scratch::new(), SigningKey::from_bytes(&[7; 32]));
        let keys = scratch.write("keys.json", json!({ "keys": [jwk(&key, "one")] }).to_string());
        let keys = keys.display();
        let config = format!(
            "issuer = \"https://narrows.example\"\nlisten = \"127.0.0.1:1\"\ndata_dir = \"{0}\"\n[log]\norigin = \"narrows.example/log\"\n\
             [[trusted_issuer]]\nissuer = \"https://offline.example\"\naudiences = [\"agents\"]\njwks_file = \"{keys}\"\nclaims = [\"groups\"]\n\
             [[trusted_issuer]]\nissuer = \"https://offline.example\"\nkind = \"id_jag\"\nclients = [\"planner\"]\njwks_file = \"{keys}\"\n\
             [[trusted_issuer]]\nissuer = \"spiffe://example.org\"\nkind = \"spiffe\"\naudiences = [\"https://narrows.example\"]\n\
             jwks_file = \"{keys}\"\n",
            scratch.join("data").display(),
        );
        let config = scratch.write("narrows.toml", config).to_string_lossy().into_owned();
        Self { scratch, config, key }
    }

    fn file(&self, token: &str) -> String {
        self.scratch.write("token.jwt", format!("{token}\n")).to_string_lossy().into_owned()
    }

    fn test(&self, arguments: &[&str]) -> Ran {
        run([&["issuer", "test", "--config", &self.config], arguments].concat())
    }

    fn test_input(&self, token: &str) -> Ran {
        let mut command = Command::new(narrows());
        command.args(["issuer", "test", "-", "--config", &self.config]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        process.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
        Ran::new(process.wait_with_output().unwrap())
    }
}

/// Asserts exit code 1 and that this verdict was told.
#[track_caller]
fn refused_with(ran: Ran, verdict: &str) {
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.errors);
    assert!(ran.out.contains(&format!("refused  {verdict}")), "no `{verdict}` in: {}{}", ran.out, ran.errors);
}

fn login(key: &SigningKey, changes: Value) -> String {
    let mut claims = json!({
        "iss": "https://offline.example", "sub": "alice", "aud": "agents", "iat": now() - 60, "exp": now() + 900, "groups": ["finance"],
    });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    jwt(key, &json!({ "alg": "EdDSA", "kid": "one", "typ": "JWT" }), &claims)
}
