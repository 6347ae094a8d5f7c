//! What becomes of changes that meet each other, a full table, a configuration that says something else, or a log that has stopped.

use narrows_issuer::{admin::Method, clients::secret_hash};
use narrows_tests::{
    http::{get, send},
    issuer::PACK,
};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Bench;

fn client(id: &str) -> Value {
    json!({ "id": id, "auth_method": "client_secret_basic", "grants": ["client_credentials"] })
}

fn secret(made: &Value) -> String {
    made["client_secret"].as_str().expect("a fresh secret").to_owned()
}

#[tokio::test]
async fn of_operators_who_change_a_client_at_once_one_wins_and_the_others_are_told() {
    let bench = Bench::new("").await;
    bench.add(&client("nightly")).await.granted();
    let before = bench.issuer.log_size().await;
    let mut asking = JoinSet::new();
    for name in ["otto", "olga", "vito", "otto", "olga", "vito"] {
        let request = bench.request(name, Method::Post, "/v1/clients/nightly/secrets");
        asking.spawn(send(request));
    }
    let answers = asking.join_all().await;
    let (granted, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(granted.len(), 1, "{answers:?}");
    for answer in refused {
        // whoever looked after the change finds two secrets already
        let reason = if answer.reason() == "CLIENT_SECRETS" { "CLIENT_SECRETS" } else { "CLIENT_CHANGED" };
        answer.refused(409, reason, "at once");
    }
    assert!(bench.authenticates("nightly", &secret(&granted[0].json())).await);
    let shown = bench.by("vera", Method::Get, "/v1/clients/nightly").await.granted();
    assert_eq!(shown["secrets"].as_array().map(Vec::len), Some(2), "{shown}");
    assert_eq!(bench.issuer.log_size().await, before + 7, "each of the six, and the look");
    bench.issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn a_full_table_takes_no_client_more() {
    let mut bench = Bench::new("").await;
    bench.add(&client("nightly")).await.granted();
    bench.issuer.stop();
    let database = Connection::open(bench.issuer.database()).unwrap();
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
        INSERT INTO client SELECT 'c' || i, replace(entry, '\"nightly\"', '\"c' || i || '\"'), 1, idx FROM client, n;";
    database.execute_batch(fill).unwrap();
    drop(database);
    bench.issuer.start().await;
    bench.add(&client("more")).await.refused(409, "CLIENTS_FULL", "the table is full");
    bench.by("vera", Method::Get, "/v1/clients/more").await.refused(404, "CLIENT_UNKNOWN", "it was not registered");
    bench.by("otto", Method::Post, "/v1/clients/nightly/secrets").await.granted();
}

#[tokio::test]
async fn a_registered_client_behind_one_of_the_configuration_is_disabled_and_does_not_come_back() {
    let mut bench = Bench::new("").await;
    let registered = secret(&bench.add(&client("nightly")).await.granted());
    bench.issuer.stop();
    let without = std::fs::read(bench.issuer.config()).unwrap();
    let hash = secret_hash("of-the-configuration");
    let entry = format!("[[client]]\nid = \"nightly\"\nauth_method = \"client_secret_basic\"\nsecret_hashes = [\"{hash}\"]\n");
    bench.issuer.configure(&entry, PACK);
    bench.issuer.start().await;
    assert!(bench.authenticates("nightly", "of-the-configuration").await && !bench.authenticates("nightly", &registered).await);

    let shown = bench.by("vera", Method::Get, "/v1/clients/nightly").await.granted();
    let states = |shown: &Value| (shown["source"].clone(), shown["state"].clone(), shown["hides"]["state"].clone());
    assert_eq!(states(&shown), (json!("configuration"), json!("active"), json!("active")));
    bench.by("otto", Method::Post, "/v1/clients/nightly/secrets").await.refused(409, "CLIENT_CONFIGURED", "a secret");
    assert_eq!(bench.by("sam", Method::Delete, "/v1/clients/nightly").await.granted()["client"]["state"], "disabled");
    let listed = bench.by("vera", Method::Get, "/v1/clients").await.granted();
    assert_eq!(states(&listed["clients"][0]), (json!("configuration"), json!("active"), json!("disabled")), "{listed}");
    bench.by("sam", Method::Delete, "/v1/clients/nightly").await.refused(409, "CLIENT_CONFIGURED", "what is left");
    assert!(bench.authenticates("nightly", "of-the-configuration").await);

    bench.issuer.stop();
    std::fs::write(bench.issuer.config(), without).unwrap();
    bench.issuer.start().await;
    assert!(!bench.authenticates("nightly", &registered).await && !bench.authenticates("nightly", "of-the-configuration").await);
    bench.issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn a_log_that_has_stopped_lets_nobody_change_or_see_anything() {
    let mut bench = Bench::new("").await;
    let known = secret(&bench.add(&client("nightly")).await.granted());
    let broken = BrokenCommits::of(&bench);
    for _ in 0..2 {
        let answers = [
            bench.add(&client("more")).await,
            bench.by("otto", Method::Post, "/v1/clients/nightly/secrets").await,
            bench.by("otto", Method::Delete, "/v1/clients/nightly").await,
            bench.by("vera", Method::Get, "/v1/clients").await,
            bench.by("vera", Method::Delete, "/v1/clients/nightly").await,
        ];
        for answer in answers {
            answer.refused(503, "AUDIT_UNAVAILABLE", "the log has stopped");
            assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
        }
    }
    bench.issuer.kill();
    broken.mend();
    bench.issuer.start().await;
    assert!(bench.authenticates("nightly", &known).await, "what was refused has changed nothing");
    let shown = bench.by("vera", Method::Get, "/v1/clients/nightly").await.granted();
    assert_eq!((shown["state"].as_str(), shown["secrets"].as_array().map(Vec::len)), (Some("active"), Some(1)));
    bench.by("vera", Method::Get, "/v1/clients/more").await.refused(404, "CLIENT_UNKNOWN", "it was not registered");
    bench.issuer.audit(&[]).succeeded();
}

/// What takes authority away is not forgotten because the log has stopped, and what makes some is.
#[tokio::test]
async fn of_keys_asked_for_while_the_log_has_stopped_none_is_made_and_one_is_given_up_at_the_next_start() {
    let mut bench = Bench::new("").await;
    let broken = BrokenCommits::of(&bench);
    bench.by("kim", Method::Post, "/v1/keys").await.refused(503, "AUDIT_UNAVAILABLE", "a new key");
    let keys = get(&bench.issuer.at("/.well-known/narrows-keys")).await.granted();
    let kid = keys["issuer"][0]["kid"].as_str().unwrap().to_owned();
    bench.by("sam", Method::Post, &format!("/v1/keys/{kid}/taint")).await.refused(503, "AUDIT_UNAVAILABLE", "a key given up");
    bench.issuer.kill();
    broken.mend();
    // nothing signs any more
    bench.issuer.start_unready().await;
    let keys = bench.by("vera", Method::Get, "/v1/keys").await.granted();
    let states: Vec<_> = keys["issuer"].as_array().unwrap().iter().map(|key| (&key["kid"], &key["state"])).collect();
    assert_eq!(states, [(&json!(kid), &json!("tainted"))]);
    bench.issuer.audit(&[]).succeeded();
}

/// A database in which no commit with a leaf succeeds.
struct BrokenCommits(Connection);

impl BrokenCommits {
    fn of(bench: &Bench) -> Self {
        let database = Connection::open(bench.issuer.database()).unwrap();
        let trap = "CREATE TABLE trap (leaf INTEGER REFERENCES leaf (idx) DEFERRABLE INITIALLY DEFERRED);
            CREATE TRIGGER trap AFTER INSERT ON leaf BEGIN INSERT INTO trap VALUES (-1); END;";
        database.execute_batch(trap).unwrap();
        Self(database)
    }

    fn mend(self) {
        self.0.execute_batch("DROP TRIGGER trap; DROP TABLE trap;").unwrap();
    }
}
