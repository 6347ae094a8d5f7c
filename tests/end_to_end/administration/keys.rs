//! The keys that sign tokens, replaced over administration.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt};

use narrows::HolderKey;
use narrows_issuer::admin::Method;
use narrows_tests::{
    http::{Answer, get},
    issuer::evidence,
    witness::Witness,
};
use narrows_verifier::log::{Kind, Leaf, Policy};
use serde_json::{Value, json};

use super::{Bench, secret_of};

impl Bench {
    async fn step(&self, name: &str, kid: &str, step: &str) -> Answer {
        self.by(name, Method::Post, &format!("/v1/keys/{kid}/{step}")).await
    }

    async fn prepared(&self) -> String {
        let prepared = self.by("kim", Method::Post, "/v1/keys").await.granted();
        prepared["kid"].as_str().expect("a number").to_owned()
    }

    /// The keys with their states.
    async fn states(&self) -> BTreeMap<String, String> {
        states(&self.by("vera", Method::Get, "/v1/keys").await.granted())
    }
}

fn states(keys: &Value) -> BTreeMap<String, String> {
    let of = |key: &Value, name: &str| key[name].as_str().expect("a text").to_owned();
    keys["issuer"].as_array().expect("keys").iter().map(|key| (of(key, "kid"), of(key, "state"))).collect()
}

fn are<const N: usize>(keys: [(&str, &str); N]) -> BTreeMap<String, String> {
    keys.map(|(kid, state)| (kid.to_owned(), state.to_owned())).into()
}

#[tokio::test]
async fn a_custodian_replaces_the_key_that_signs_and_each_step_is_in_the_log_by_name() {
    let mut bench = Bench::new("[keys]\noverlap_seconds = 3600\n[log]\npublic = true\n").await;
    let first = bench.states().await.into_keys().next().expect("a key");
    let next = bench.prepared().await;
    assert_eq!(bench.states().await, are([(&first, "active"), (&next, "prepared")]));
    bench.step("kim", &next, "activate").await.refused(409, "KEY_TOO_FRESH", "verifiers don't know it");
    bench.step("kim", &first, "retire").await.refused(409, "KEY_STATE", "it signs");
    for kid in ["7", "07", "-1", "4294967296", "x"] {
        bench.step("kim", kid, "retire").await.refused(404, "KEY_UNKNOWN", kid);
    }
    let custodian = format!("Bearer {}", secret_of("kim"));
    let path = format!("/v1/keys/{first}/taint");
    let more = json!({ "spare": 1 });
    bench.ask(Method::Post, &path, Some(&custodian), Some(&more)).await.refused(400, "JSON_MALFORMED", "an unknown member");

    // security gives a key up as well, and then the next one need not wait
    let sparing = json!({ "spare_below": 1 });
    let security = format!("Bearer {}", secret_of("sam"));
    let tainted = bench.ask(Method::Post, &path, Some(&security), Some(&sparing)).await.granted();
    assert_eq!((tainted["kid"].as_str(), states(&tainted)[&first].as_str()), (Some(first.as_str()), "tainted"));
    bench.step("sam", &next, "activate").await.refused(403, "ADMIN_ROLE", "a new key is for custodians");
    let activated = bench.step("kim", &next, "activate").await.granted();
    assert_eq!(bench.states().await, are([(&first, "tainted"), (&next, "active")]));
    let (_, keys) = bench.issuer.sdk().await;
    let leaves = [&tainted, &activated].map(|answer| {
        let (receipt, leaf) = evidence(answer);
        let index = Policy::from(vec![keys.log.clone()]).verify_receipt(&receipt, &leaf).expect("a receipt of the leaf").index;
        let leaf = Leaf::parse(&leaf).unwrap();
        assert_eq!((leaf.kind, answer["entry"].as_str()), (Kind::Key, Some(leaf.id.to_string().as_str())));
        index
    });
    assert!(leaves[0] < leaves[1]);
    bench.issuer.granted(&HolderKey::generate(), &bench.provider.login("alice")).await;
    bench.step("kim", &first, "retire").await.refused(409, "KEY_STILL_NEEDED", "a token of it may be alive");
    let raised = json!({ "spare_below": 2 });
    bench.ask(Method::Post, &path, Some(&security), Some(&raised)).await.refused(409, "KEY_SPARE_RAISED", "more tokens");
    let beyond = json!({ "spare_below": 1_000_000 });
    bench.ask(Method::Post, &path, Some(&security), Some(&beyond)).await.refused(409, "KEY_SPARE_BEYOND", "tokens to come");

    bench.issuer.stop();
    let told = bench.issuer.audit(&[]).succeeded();
    assert!(told.contains("each hashed anew"), "{told}");
    let data = bench.issuer.data();
    let found = bench
        .issuer
        .run(&["audit", "search", "--data", &data.to_string_lossy(), "--kind", "admin", "--verdict", "allow", "--names", "--json"])
        .succeeded();
    let told = ["key.prepare", "key.taint", "key.activate", "key.retire"].map(|act| found.matches(act).count());
    assert_eq!(told, [1, 1, 1, 0], "{found}");
    bench.issuer.start().await;
    assert_eq!(bench.states().await, are([(&first, "tainted"), (&next, "active")]));
}

#[tokio::test]
async fn a_key_is_given_up_over_administration_whatever_the_witnesses_do() {
    let gone = Witness::init("gone.example/witness");
    let bench = Bench::new(&format!("{}[log]\nquorum = 1\nwitness = \"require\"\n", gone.entry())).await;
    let keys = get(&bench.issuer.at("/.well-known/narrows-keys")).await.granted();
    let kid = keys["issuer"][0]["kid"].as_str().unwrap();
    bench.step("kim", kid, "taint").await.granted();
    let keys = get(&bench.issuer.at("/.well-known/narrows-keys")).await.granted();
    assert_eq!(states(&keys), are([(kid, "tainted")]));
}

#[tokio::test]
async fn an_order_that_waits_is_not_overtaken_and_no_key_is_left_behind() {
    let bench = Bench::new("").await;
    let key_files = || {
        let names = std::fs::read_dir(bench.issuer.data()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("issuer-") && name.ends_with(".key")).count()
    };
    // one that the service does not read, since others could have written it
    let order = bench.issuer.data().join("issuer-keys.order");
    std::fs::write(&order, "{}").unwrap();
    std::fs::set_permissions(&order, std::fs::Permissions::from_mode(0o644)).unwrap();
    bench.by("kim", Method::Post, "/v1/keys").await.refused(409, "KEY_ORDER_WAITING", "one at a time");
    assert_eq!((key_files(), bench.states().await.len()), (0, 1));
    std::fs::remove_file(&order).unwrap();
    bench.prepared().await;
    assert_eq!((key_files(), bench.states().await.len()), (1, 2));
}

#[tokio::test]
async fn the_command_line_replaces_keys_over_administration() {
    let bench = Bench::new("").await;
    let secret = bench.issuer.keep("operator", secret_of("kim"));
    let secret = secret.to_string_lossy();
    let run =
        |arguments: &[&str]| bench.issuer.run(&[&["admin", "--url", &bench.address, "--secret", &secret, "keys"], arguments].concat());
    let prepared: Value = serde_json::from_str(&run(&["prepare"]).succeeded()).unwrap();
    let next = prepared["kid"].as_str().unwrap();
    run(&["activate", next]).refused("KEY_TOO_FRESH");
    run(&["retire", next]).succeeded();
    assert!(!run(&["list"]).succeeded().contains(next));
    let prepared: Value = serde_json::from_str(&run(&["prepare"]).succeeded()).unwrap();
    let next = prepared["kid"].as_str().unwrap();
    run(&["taint", next, "--spare-below", "0"]).succeeded();
    assert!(run(&[]).succeeded().contains("\"tainted\""));
    run(&["retire", next]).refused("KEY_STILL_NEEDED");
}
