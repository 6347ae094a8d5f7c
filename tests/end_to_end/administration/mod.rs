//! Administration over its own listener: every route with every role, registered clients over their whole life, and the evidence.

mod changes;
mod holding;
mod keys;
mod policy;
mod secured;

use narrows::HolderKey;
use narrows_issuer::{
    admin::{Act, Method},
    clients::secret_hash,
    config::Role,
};
use narrows_tests::{
    forged::ForgedProvider,
    http::{Answer, Form, client, get, send},
    issuer::{CLIENT, Issuer, free_address},
};
use reqwest::RequestBuilder;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::trusting;

/// Operators by their roles. Their secrets are their names, repeated.
const OPERATORS: [(&str, &[Role]); 6] = [
    ("vera", &[Role::Viewer]),
    ("otto", &[Role::Operator]),
    ("sam", &[Role::Security]),
    ("olga", &[Role::Operator, Role::Security]),
    ("vito", &[Role::Viewer, Role::Operator]),
    ("kim", &[Role::Custodian]),
];

/// An issuer with administration.
struct Bench {
    issuer: Issuer,
    provider: ForgedProvider,
    address: String,
}

fn secret_of(name: &str) -> String {
    format!("{name}-").repeat(8)
}

impl Bench {
    async fn new(more: &str) -> Self {
        let listen = free_address();
        let operators: String = OPERATORS
            .iter()
            .map(|(name, roles)| {
                let roles = serde_json::to_string(roles).unwrap();
                let hash = secret_hash(&secret_of(name));
                format!("[[admin.operators]]\nname = \"{name}\"\nsecret_hashes = [\"{hash}\"]\nroles = {roles}\n")
            })
            .collect();
        let (issuer, provider) = trusting(&format!("[admin]\nlisten = \"{listen}\"\n{more}\n{operators}")).await;
        Self { issuer, provider, address: format!("http://{listen}") }
    }

    fn at(&self, method: Method, path: &str) -> RequestBuilder {
        let address = format!("{}{path}", self.address);
        match method {
            Method::Get => client().get(address),
            Method::Post => client().post(address),
            Method::Delete => client().delete(address),
        }
    }

    /// A request without a body.
    fn request(&self, name: &str, method: Method, path: &str) -> RequestBuilder {
        self.at(method, path).header("authorization", format!("Bearer {}", secret_of(name)))
    }

    async fn ask(&self, method: Method, path: &str, credential: Option<&str>, body: Option<&Value>) -> Answer {
        let mut request = self.at(method, path);
        if let Some(credential) = credential {
            request = request.header("authorization", credential);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        send(request).await
    }

    async fn by(&self, name: &str, method: Method, path: &str) -> Answer {
        send(self.request(name, method, path)).await
    }

    async fn add(&self, entry: &Value) -> Answer {
        self.ask(Method::Post, "/v1/clients", Some(&format!("Bearer {}", secret_of("otto"))), Some(entry)).await
    }

    /// Whether the token endpoint knows the client: what is wrong with an empty form is then that it is empty.
    async fn authenticates(&self, id: &str, secret: &str) -> bool {
        let answer = self.issuer.token(&Form::new(&[]).basic(id, secret)).await;
        match answer.status {
            400 => {
                answer.refused_as(400, "invalid_request", "PARAMETER_MISSING", id);
                true
            }
            _ => {
                answer.refused_as(401, "invalid_client", "CLIENT_AUTH", id);
                false
            }
        }
    }
}

/// A request of an act that is about nothing that it could change, and what an operator who may do it gets.
fn harmless(act: Act) -> (&'static str, Option<Value>, u16, &'static str) {
    match act {
        Act::ListClients => ("/v1/clients", None, 200, ""),
        Act::ShowClient => ("/v1/clients/planner-app", None, 200, ""),
        Act::AddClient => ("/v1/clients", Some(json!({})), 400, "JSON_MALFORMED"),
        Act::DisableClient => ("/v1/clients/planner-app", None, 409, "CLIENT_CONFIGURED"),
        Act::RotateSecret => ("/v1/clients/planner-app/secrets", None, 409, "CLIENT_CONFIGURED"),
        Act::ForgetSecret => ("/v1/clients/nobody/secrets/0", None, 404, "CLIENT_UNKNOWN"),
        Act::ListAgents => ("/v1/agents", None, 200, ""),
        Act::ListIssuers => ("/v1/issuers", None, 200, ""),
        Act::ShowPacks => ("/v1/packs", None, 200, ""),
        Act::ReloadPacks => ("/v1/packs/reload", None, 200, ""),
        Act::ListKeys => ("/v1/keys", None, 200, ""),
        // one more key, which signs nothing
        Act::PrepareKey => ("/v1/keys", None, 200, ""),
        Act::ActivateKey => ("/v1/keys/7/activate", None, 404, "KEY_UNKNOWN"),
        Act::RetireKey => ("/v1/keys/7/retire", None, 404, "KEY_UNKNOWN"),
        Act::TaintKey => ("/v1/keys/7/taint", None, 404, "KEY_UNKNOWN"),
        Act::ListTasks => ("/v1/tasks", None, 200, ""),
        Act::ShowTask => ("/v1/tasks/00", None, 404, "TASK_UNKNOWN"),
        Act::RevokeTask => ("/v1/tasks/00000000000000000000000000000000/revoke", None, 404, "TASK_UNKNOWN"),
        Act::Pause => ("/v1/pause", Some(json!({})), 400, "PARAMETER_MISSING"),
        Act::Resume => ("/v1/resume", Some(json!({ "agent": "nobody" })), 409, "NOT_PAUSED"),
        Act::Revoke => ("/v1/revoke", Some(json!({})), 400, "PARAMETER_MISSING"),
    }
}

#[tokio::test]
async fn every_route_asks_every_role_and_each_answer_is_a_leaf() {
    let bench = Bench::new("").await;
    for act in Act::ALL {
        let (path, body, status, reason) = harmless(*act);
        let place = |who: &str| format!("{} by {who}", act.name());
        let before = bench.issuer.log_size().await;
        let wrong = secret_of("nobody");
        let vera = secret_of("vera");
        for credential in [None, Some(format!("Bearer {wrong}")), Some(format!("Basic {vera}")), Some(vera.clone()), Some("Bearer".into())]
        {
            let answer = bench.ask(act.method(), path, credential.as_deref(), body.as_ref()).await;
            answer.refused(401, "ADMIN_AUTH", &place("nobody"));
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"narrows-admin\"");
        }
        assert_eq!(bench.issuer.log_size().await, before, "nobody writes into the log");
        for (name, roles) in OPERATORS {
            let answer = bench.ask(act.method(), path, Some(&format!("Bearer {}", secret_of(name))), body.as_ref()).await;
            let may = act.roles().iter().any(|role| roles.contains(role));
            match (may, status) {
                (false, _) => answer.refused(403, "ADMIN_ROLE", &place(name)),
                (true, 200) => assert_eq!(answer.status, 200, "{}: {}", place(name), answer.text()),
                (true, _) => answer.refused(status, reason, &place(name)),
            }
        }
        // a key has a leaf of its own, beside that of the act
        let keys = if *act == Act::PrepareKey { 1 } else { 0 };
        assert_eq!(bench.issuer.log_size().await, before + OPERATORS.len() as u64 + keys, "{}", act.name());
        // and the service itself has none of these
        let elsewhere = send(client().request(
            match act.method() {
                Method::Get => "GET".parse().unwrap(),
                Method::Post => "POST".parse().unwrap(),
                Method::Delete => "DELETE".parse().unwrap(),
            },
            bench.issuer.at(path),
        ))
        .await;
        elsewhere.refused(404, "ROUTE_UNKNOWN", act.name());
    }
    get(&format!("{}/v1/nothing", bench.address)).await.refused(404, "ROUTE_UNKNOWN", "no route");
    bench.issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn a_registered_client_lives_over_restarts_until_it_is_disabled() {
    let mut bench = Bench::new("").await;
    let entry = json!({ "id": "batch/1", "auth_method": "client_secret_basic", "grants": ["client_credentials"], "agents": ["crawler"] });
    let made = bench.add(&entry).await.granted();
    let first = made["client_secret"].as_str().unwrap().to_owned();
    assert_eq!((made["client"]["state"].as_str(), first.len()), (Some("active"), 43));
    assert!(bench.authenticates("batch/1", &first).await && !bench.authenticates("batch/1", "wrong").await);
    bench.add(&entry).await.refused(409, "CLIENT_EXISTS", "again");

    // one more secret, both work, not a third one
    let path = "/v1/clients/batch%2F1";
    let rotated = bench.by("otto", Method::Post, &format!("{path}/secrets")).await.granted();
    let second = rotated["client_secret"].as_str().unwrap().to_owned();
    assert!(bench.authenticates("batch/1", &first).await && bench.authenticates("batch/1", &second).await);
    bench.by("otto", Method::Post, &format!("{path}/secrets")).await.refused(409, "CLIENT_SECRETS", "a third");

    bench.issuer.stop();
    bench.issuer.start().await;
    assert!(bench.authenticates("batch/1", &first).await && bench.authenticates("batch/1", &second).await);

    // the old one goes, the last one stays
    let shown = bench.by("vera", Method::Get, path).await.granted();
    let ids: Vec<&str> = shown["secrets"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(!shown.to_string().contains("sha256:") && shown["client_secret"].is_null(), "{shown}");
    bench.by("sam", Method::Delete, &format!("{path}/secrets/{}", ids[0])).await.granted();
    assert!(!bench.authenticates("batch/1", &first).await && bench.authenticates("batch/1", &second).await);
    bench.by("sam", Method::Delete, &format!("{path}/secrets/{}", ids[0])).await.refused(404, "CLIENT_SECRET_UNKNOWN", "gone");
    bench.by("sam", Method::Delete, &format!("{path}/secrets/{}", ids[1])).await.refused(409, "CLIENT_SECRETS", "the last");

    // disabled: at once, for good, and over a restart
    assert_eq!(bench.by("sam", Method::Delete, path).await.granted()["client"]["state"], "disabled");
    assert!(!bench.authenticates("batch/1", &second).await);
    bench.by("otto", Method::Post, &format!("{path}/secrets")).await.refused(409, "CLIENT_DISABLED", "disabled");
    bench.add(&entry).await.refused(409, "CLIENT_EXISTS", "disabled");
    bench.issuer.kill();
    bench.issuer.start().await;
    assert!(!bench.authenticates("batch/1", &second).await);
    assert!(bench.issuer.audit(&[]).succeeded().contains("clients      1 registered"));

    // no secret went anywhere but into the answer
    bench.issuer.stop();
    let lines = bench.issuer.log_lines();
    let database = std::fs::read(bench.issuer.database()).unwrap();
    for secret in [&first, &second, &secret_of("otto")] {
        assert!(!lines.contains(secret.as_str()) && !database.windows(secret.len()).any(|at| at == secret.as_bytes()));
    }
}

#[tokio::test]
async fn an_entry_that_no_configuration_could_have_is_refused() {
    let bench = Bench::new("").await;
    let hash = secret_hash("x");
    for (entry, status, reason) in [
        (json!({ "id": CLIENT, "auth_method": "client_secret_basic" }), 409, "CLIENT_CONFIGURED"),
        (json!({ "id": "a b", "auth_method": "client_secret_basic" }), 400, "CLIENT_INVALID"),
        (json!({ "id": "..", "auth_method": "client_secret_basic" }), 400, "CLIENT_INVALID"),
        (json!({ "id": "a", "auth_method": "client_secret_basic", "secret_hashes": [hash] }), 400, "CLIENT_INVALID"),
        (json!({ "id": "a", "auth_method": "client_secret_basic", "grants": [] }), 400, "CLIENT_INVALID"),
        (json!({ "id": "a", "auth_method": "private_key_jwt" }), 400, "CLIENT_INVALID"),
        (json!({ "id": "a", "auth_method": "none" }), 400, "JSON_MALFORMED"),
        (json!({ "id": "a", "auth_method": "client_secret_basic", "more": 1 }), 400, "JSON_MALFORMED"),
        // who may not end everything makes nobody who may
        (json!({ "id": "a", "auth_method": "client_secret_basic", "revoker": true }), 403, "ADMIN_ROLE"),
    ] {
        bench.add(&entry).await.refused(status, reason, &entry.to_string());
    }
    let revoker = json!({ "id": "a", "auth_method": "client_secret_basic", "revoker": true });
    let olga = format!("Bearer {}", secret_of("olga"));
    bench.ask(Method::Post, "/v1/clients", Some(&olga), Some(&revoker)).await.granted();
    // nor takes a secret of somebody who may
    bench.by("otto", Method::Post, "/v1/clients/a/secrets").await.refused(403, "ADMIN_ROLE", "a secret of a revoker");
    bench.by("olga", Method::Post, "/v1/clients/a/secrets").await.granted();
    let listed = bench.by("vera", Method::Get, "/v1/clients?limit=1").await.granted();
    assert_eq!((listed["clients"][0]["id"].as_str(), listed["next"].as_str()), (Some("a"), Some("a")));
    let rest = bench.by("vera", Method::Get, "/v1/clients?after=a").await.granted();
    assert_eq!((rest["clients"][0]["id"].as_str(), rest["clients"][0]["source"].as_str()), (Some(CLIENT), Some("configuration")));
    bench.by("vera", Method::Get, "/v1/clients?limit=257").await.refused(400, "PARAMETER_INVALID", "a page");
}

#[tokio::test]
async fn a_task_is_listed_and_ended_and_names_are_cut_off() {
    let bench = Bench::new("").await;
    let holder = HolderKey::generate();
    let granted = bench.issuer.granted(&holder, &bench.provider.login("alice")).await;
    let tasks = bench.by("vera", Method::Get, "/v1/tasks").await.granted();
    let task = tasks["tasks"][0]["task"].as_str().unwrap().to_owned();
    assert_eq!((tasks["tasks"][0]["client"].as_str(), tasks["tasks"][0]["revoked"].as_bool()), (Some(CLIENT), Some(false)));
    let token = granted["access_token"].as_str().unwrap();
    let active = async || {
        let form = Form::new(&[("token", token)]).basic(CLIENT, bench.issuer.secret());
        form.post(&bench.issuer.at("/oauth/introspect")).await.granted()["active"].as_bool()
    };
    assert_eq!(active().await, Some(true));
    let ended = bench.by("sam", Method::Post, &format!("/v1/tasks/{task}/revoke")).await.granted();
    assert!(ended["receipt"].is_string());
    assert_eq!(active().await, Some(false));
    assert_eq!(bench.by("vera", Method::Get, &format!("/v1/tasks/{task}")).await.granted()["revoked"], true);
    let sam = format!("Bearer {}", secret_of("sam"));
    for body in [json!({ "agent": "planner" }), json!({ "subject": "p-1", "before": 1 }), json!({ "block": "ab".repeat(32) })] {
        bench.ask(Method::Post, "/v1/revoke", Some(&sam), Some(&body)).await.granted();
    }
    for (body, reason) in [
        (json!({ "agent": "a", "subject": "b" }), "PARAMETER_INVALID"),
        (json!({ "block": "ab" }), "PARAMETER_INVALID"),
        (json!({ "agents": "a" }), "JSON_MALFORMED"),
    ] {
        bench.ask(Method::Post, "/v1/revoke", Some(&sam), Some(&body)).await.refused(400, reason, &body.to_string());
    }
    assert!(bench.issuer.audit(&[]).succeeded().contains("revocations  4 in the table"));
}

#[tokio::test]
async fn an_operator_pays_with_its_own_rate() {
    let bench = Bench::new("max_acts_per_minute = 3").await;
    for _ in 0..3 {
        bench.by("vera", Method::Get, "/v1/packs").await.granted();
    }
    let refused = bench.by("vera", Method::Get, "/v1/packs").await;
    refused.refused(429, "ADMIN_RATE", "the fourth");
    assert!(refused.header("retry-after").parse::<u32>().is_ok_and(|seconds| (1..=20).contains(&seconds)));
    bench.by("otto", Method::Get, "/v1/packs").await.granted();
}

#[tokio::test]
async fn a_changed_table_of_clients_is_found_out() {
    let mut bench = Bench::new("").await;
    let entry = json!({ "id": "batch", "auth_method": "client_secret_basic" });
    let made = bench.add(&entry).await.granted();
    assert!(made["leaf"].is_string());
    bench.by("otto", Method::Delete, "/v1/clients/batch").await.granted();
    bench.issuer.stop();
    bench.issuer.audit(&[]).succeeded();
    let whole = std::fs::read(bench.issuer.database()).unwrap();
    for change in [
        "UPDATE client SET disabled = 0",
        "DELETE FROM client",
        "UPDATE client SET entry = replace(entry, 'token_exchange', 'client_credentials')",
        "UPDATE client SET idx = 1",
        "INSERT INTO client SELECT 'more', replace(entry, '\"batch\"', '\"more\"'), 0, idx FROM client",
    ] {
        let connection = Connection::open(bench.issuer.database()).unwrap();
        connection.execute_batch(change).unwrap();
        drop(connection);
        bench.issuer.audit(&[]).refused("LOG_CLIENTS_CHANGED");
        for ending in ["log.db-wal", "log.db-shm"] {
            // gone with a connection that closed well
            let _ = std::fs::remove_file(bench.issuer.data().join(ending));
        }
        std::fs::write(bench.issuer.database(), &whole).unwrap();
    }
    bench.issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn the_command_line_administers_and_takes_no_secret_from_its_arguments() {
    let bench = Bench::new("").await;
    let secret = bench.issuer.keep("operator", secret_of("olga"));
    let secret = secret.to_string_lossy();
    let run = |arguments: &[&str]| bench.issuer.run(&[&["admin", "--url", &bench.address, "--secret", &secret], arguments].concat());
    let added: Value = serde_json::from_str(&run(&["client", "add", "nightly", "--grant", "client_credentials"]).succeeded()).unwrap();
    assert!(bench.authenticates("nightly", added["client_secret"].as_str().unwrap()).await);
    assert!(run(&["client", "list"]).succeeded().contains("nightly"));
    let rotated: Value = serde_json::from_str(&run(&["client", "rotate", "nightly"]).succeeded()).unwrap();
    assert!(bench.authenticates("nightly", rotated["client_secret"].as_str().unwrap()).await);
    let old = added["client"]["secrets"][0].as_str().unwrap();
    run(&["client", "forget-secret", "nightly", old]).succeeded();
    assert!(!bench.authenticates("nightly", added["client_secret"].as_str().unwrap()).await);
    assert!(run(&["client", "show", "nightly"]).succeeded().contains("\"active\""));
    assert!(run(&["client", "disable", "nightly"]).succeeded().contains("\"disabled\""));
    run(&["client", "disable", "nightly"]).refused("CLIENT_DISABLED");
    bench.issuer.granted(&HolderKey::generate(), &bench.provider.login("alice")).await;
    let tasks: Value = serde_json::from_str(&run(&["task", "list"]).succeeded()).unwrap();
    let task = tasks["tasks"][0]["task"].as_str().unwrap();
    run(&["task", "revoke", task]).succeeded();
    assert!(run(&["task", "show", task]).succeeded().contains("\"revoked\": true"));
    run(&["revoke", "--agent", "planner"]).succeeded();
    for (verb, holds) in [("keys", "\"active\""), ("issuers", "\"issuers\""), ("pack", "\"end-to-end\""), ("agents", "\"any_name\"")] {
        assert!(run(&[verb]).succeeded().contains(holds), "{verb}");
    }
    bench.issuer.run(&["admin", "--url", &bench.address, "keys"]).refused("NARROWS_ADMIN_SECRET");
}
