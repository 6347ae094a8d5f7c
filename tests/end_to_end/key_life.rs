//! The keys that sign tokens are replaced while the service runs, by its operator's command line.

use std::{
    fs,
    os::unix::fs::OpenOptionsExt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use narrows::{
    CallError, Held, HolderKey, IssuerKeys, Reason, RootState, ToolClient, arguments,
    tool::{RevocationFeed, system_clock},
};
use narrows_tests::{
    forged::ForgedProvider,
    holder::{fresh, holder},
    http::get,
    issuer::{AUDIENCE, Issuer, PACK, now},
    program::{self, Ran},
    tool,
    witness::Witness,
};

use super::{capability, hop_to, trusting};

const DEMANDED: &str = "[log]\nquorum = 1\nwitness = \"require\"\n";

/// `narrows keys` with these arguments, beside a service that runs.
pub(super) async fn ordered(issuer: &Issuer, arguments: &[&str]) -> Ran {
    let config = issuer.config().to_string_lossy().into_owned();
    let arguments: Vec<_> = [&["keys"], arguments, &["--config", &config]].concat().into_iter().map(str::to_owned).collect();
    tokio::task::spawn_blocking(|| program::run(arguments)).await.unwrap()
}

/// Makes and publishes a key, and gives its number.
async fn prepare(issuer: &Issuer) -> String {
    let told = ordered(issuer, &["prepare"]).await.succeeded();
    let line = told.lines().find(|line| line.contains("narrows keys activate")).expect("what comes next");
    line.split("activate ").nth(1).unwrap().split(' ').next().unwrap().to_owned()
}

async fn activate_once_it_may(issuer: &Issuer, kid: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let ran = ordered(issuer, &["activate", kid]).await;
        if ran.code == Some(0) {
            return;
        }
        assert!(Instant::now() < deadline, "{}", ran.errors);
        ran.refused("KEY_TOO_FRESH");
    }
}

fn states(keys: &IssuerKeys) -> Vec<(String, RootState)> {
    keys.roots.keys().iter().map(|root| (root.id.to_string(), root.state)).collect()
}

/// The number of the key that signs.
fn signing(keys: &IssuerKeys) -> String {
    states(keys).into_iter().find(|(_, state)| *state == RootState::Active).expect("a key that signs").0
}

#[tokio::test]
async fn keys_are_replaced_under_load_without_a_refused_good_token() {
    let (mut issuer, provider) = trusting("[keys]\noverlap_seconds = 3\n[log]\npublic = true\n").await;
    let (client, first) = issuer.sdk().await;
    let known = Arc::new(Mutex::new(first.clone()));
    let done = AtomicBool::new(false);
    // A verifier that fetches the keys more often than the time for which they are published ahead.
    let follower = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(500));
        while !done.load(Ordering::Relaxed) {
            ticks.tick().await;
            let keys = client.discover().await.unwrap();
            *known.lock().unwrap() = keys;
        }
    };
    let load = async {
        let mut tokens = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let seed: [u8; 32] = fresh();
            let answer = issuer.granted(&holder(&seed), &provider.login("alice")).await;
            let text = answer["access_token"].as_str().unwrap().to_owned();
            let keys = known.lock().unwrap().clone();
            Held::new(&text, holder(&seed), &keys.roots).map_err(|refusal| refusal.reason).expect("a good token is taken");
            tokens.push((seed, text));
        }
        tokens
    };
    let operator = async {
        for _ in 0..2 {
            let kid = prepare(&issuer).await;
            ordered(&issuer, &["activate", &kid]).await.refused("KEY_TOO_FRESH");
            activate_once_it_may(&issuer, &kid).await;
        }
        done.store(true, Ordering::Relaxed);
    };
    let (mut tokens, (), ()) = tokio::join!(load, follower, operator);
    let (_, last) = issuer.sdk().await;
    // The load may have ended with the order to sign with the last key.
    let seed: [u8; 32] = fresh();
    let answer = issuer.granted(&holder(&seed), &provider.login("alice")).await;
    tokens.push((seed, answer["access_token"].as_str().unwrap().to_owned()));
    let count = |state| states(&last).iter().filter(|(_, found)| *found == state).count();
    assert_eq!((count(RootState::Active), count(RootState::Retired)), (1, 2));
    let mut signers = std::collections::BTreeSet::new();
    for (seed, text) in &tokens {
        let held = Held::new(text, holder(seed), &last.roots).map_err(|refusal| refusal.reason).expect("a token of a retired key lives on");
        signers.insert(held.inspect().root.id);
    }
    assert_eq!(signers.len(), 3, "of {} tokens", tokens.len());
    // The log takes what a retired key's holder derives.
    let (seed, text) = tokens.first().unwrap();
    let held = Held::new(text, holder(seed), &last.roots).ok().unwrap();
    let hop = held.narrow(&hop_to(&HolderKey::generate()), now()).ok().unwrap();
    client.report(&held.report_hop(&hop, issuer.url(), now()), &last).await.unwrap();
    let (retired, kept) = (signing(&first), fs::read_to_string(issuer.data().join("issuer-keys.json")).unwrap());
    ordered(&issuer, &["retire", &retired]).await.refused("KEY_STILL_NEEDED");
    issuer.stop();
    issuer.audit(&[]).succeeded();
    // The key that began is of no use any more, and its file may go.
    fs::remove_file(issuer.data().join("issuer.key")).unwrap();
    issuer.start().await;
    assert_eq!(states(&issuer.sdk().await.1), states(&last));
    assert!(!kept.contains("narrows-key ed25519"));
}

#[tokio::test]
async fn a_tainted_key_is_refused_at_once_and_the_next_one_need_not_wait() {
    let (mut issuer, provider) = trusting("").await;
    let (_, before) = issuer.sdk().await;
    let old_holder: [u8; 32] = fresh();
    let old = capability(&issuer, &provider, &before, holder(&old_holder)).await;
    let (stolen, next) = (signing(&before), prepare(&issuer).await);
    ordered(&issuer, &["activate", &next]).await.refused("KEY_TOO_FRESH");
    ordered(&issuer, &["taint", &stolen]).await.succeeded();

    let (_, tainted) = issuer.sdk().await;
    assert!(states(&tainted).contains(&(stolen.clone(), RootState::Tainted)));
    let hop = old.narrow(&hop_to(&HolderKey::generate()), now()).ok().unwrap();
    let report = old.report_hop(&hop, issuer.url(), now());
    issuer.report(&report.token, &report.proof).await.refused(400, "ROOT_TAINTED", "a hop under a tainted key");
    let refused = Held::new(old.sealed(), holder(&old_holder), &tainted.roots).err().map(|refusal| refusal.reason.code());
    assert_eq!(refused, Some("ROOT_TAINTED"));
    // Nothing signs: nothing is issued, and the service says that it can't.
    let answer = issuer.token(&issuer.request(&HolderKey::generate(), &provider.login("alice"))).await;
    answer.refused_as(503, "temporarily_unavailable", "NO_SIGNING_KEY", "no key");
    assert_eq!((get(&issuer.at("/readyz")).await.status, get(&issuer.at("/readyz")).await.reason()), (503, "NO_SIGNING_KEY".into()));

    ordered(&issuer, &["activate", &next]).await.succeeded();
    let (_, after) = issuer.sdk().await;
    assert_eq!(signing(&after), next);
    capability(&issuer, &provider, &after, HolderKey::generate()).await;
    issuer.stop();
    issuer.audit(&[]).succeeded();
    issuer.start().await;
    assert_eq!(states(&issuer.sdk().await.1), states(&after));
    // It is published as tainted for as long as a token of it may be alive.
    ordered(&issuer, &["retire", &stolen]).await.refused("KEY_STILL_NEEDED");
    assert_eq!(states(&issuer.sdk().await.1), states(&after));
}

#[tokio::test]
async fn a_state_file_that_was_lost_or_is_of_before_brings_no_tainted_key_back() {
    let (mut issuer, provider) = trusting("").await;
    let (_, before) = issuer.sdk().await;
    let (stolen, file) = (signing(&before), issuer.data().join("issuer-keys.json"));
    let next = prepare(&issuer).await;
    let older = fs::read(&file).unwrap();
    ordered(&issuer, &["taint", &stolen]).await.succeeded();
    ordered(&issuer, &["activate", &next]).await.succeeded();
    let (_, after) = issuer.sdk().await;
    ordered(&issuer, &["rebuild"]).await.refused("LOG_BUSY");
    issuer.stop();
    let put = |bytes: &[u8]| {
        let _ = fs::remove_file(&file);
        let mut made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).unwrap();
        std::io::Write::write_all(&mut made, bytes).unwrap();
    };
    for (lost, reason) in [(false, "KEY_SET_BEHIND"), (true, "KEY_SET_MISSING")] {
        put(&older);
        if lost {
            fs::remove_file(&file).unwrap();
        }
        issuer.start_refused().refused(reason);
        let told = ordered(&issuer, &["rebuild"]).await.succeeded();
        assert!(told.contains(&stolen) && told.contains("tainted") && told.contains("active"), "{told}");
        issuer.start().await;
        assert_eq!(states(&issuer.sdk().await.1), states(&after));
        capability(&issuer, &provider, &after, HolderKey::generate()).await;
        issuer.stop();
    }
    issuer.audit(&[]).succeeded();
    // A file that another place holds is none: a change would leave that as it was.
    let elsewhere = issuer.data().join("elsewhere.json");
    fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    issuer.start_refused().refused("KEY_FILE_LINK");
    fs::rename(&elsewhere, &file).unwrap();
    // Without the key that signs there is nothing to go on with.
    fs::remove_file(&file).unwrap();
    fs::remove_file(issuer.data().join(format!("issuer-{next}.key"))).unwrap();
    ordered(&issuer, &["rebuild"]).await.refused("KEY_FILE_MISSING");
}

#[tokio::test]
async fn a_leaf_about_a_key_that_nobody_can_read_stops_the_start_until_an_operator_answers_for_the_file() {
    let (mut issuer, _provider) = trusting("").await;
    let (_, before) = issuer.sdk().await;
    let (stolen, next) = (signing(&before), prepare(&issuer).await);
    ordered(&issuer, &["taint", &stolen]).await.succeeded();
    ordered(&issuer, &["activate", &next]).await.succeeded();
    let (_, after) = issuer.sdk().await;
    issuer.stop();
    // As after leaves came back from bundles: what opens them did not.
    let lost = "INSERT INTO unread_key SELECT idx FROM root_key; DELETE FROM root_key;
                DELETE FROM disclosure WHERE entry IN (SELECT entry FROM leaf WHERE idx IN (SELECT idx FROM unread_key));";
    rusqlite::Connection::open(issuer.database()).unwrap().execute_batch(lost).unwrap();
    issuer.start_refused().refused("KEY_LEAF_UNREAD");
    ordered(&issuer, &["rebuild"]).await.refused("KEY_LEAF_UNREAD");
    ordered(&issuer, &["rebuild", "--accept-unread"]).await.succeeded();
    issuer.start().await;
    assert_eq!(states(&issuer.sdk().await.1), states(&after));
    issuer.stop();
    issuer.audit(&[]).succeeded();
}

fn begin_anew(issuer: &Issuer) {
    let config = issuer.config().to_string_lossy().into_owned();
    let anew = ["audit", "recover", "--config", &config, "--new-origin", "narrows.example/second", "--cause", "the disk was lost"];
    issuer.run(&anew).succeeded();
    issuer.configure("[log]\norigin = \"narrows.example/second\"\n", PACK);
}

#[tokio::test]
async fn the_states_of_keys_outlive_the_log_in_which_they_were_said() {
    let (mut issuer, _provider) = trusting("").await;
    let (_, before) = issuer.sdk().await;
    let (stolen, next) = (signing(&before), prepare(&issuer).await);
    ordered(&issuer, &["taint", &stolen, "--spare-below", "1"]).await.succeeded();
    ordered(&issuer, &["activate", &next]).await.succeeded();
    let (_, after) = issuer.sdk().await;
    issuer.stop();
    begin_anew(&issuer);
    issuer.start().await;
    let (_, second) = issuer.sdk().await;
    assert_eq!(states(&second), states(&after));
    assert!(after.roots.keys().iter().any(|root| root.spared_below == Some(1)));
    assert!(second.roots.keys().iter().all(|root| root.spared_below.is_none()), "an index says nothing in another log");
    issuer.stop();
    issuer.audit(&[]).succeeded();
    fs::remove_file(issuer.data().join("issuer-keys.json")).unwrap();
    issuer.start_refused().refused("KEY_SET_MISSING");
}

#[tokio::test]
async fn a_key_that_was_never_changed_goes_on_in_the_log_that_follows() {
    let (mut issuer, _provider) = trusting("").await;
    let (_, before) = issuer.sdk().await;
    issuer.stop();
    begin_anew(&issuer);
    issuer.start().await;
    let (_, after) = issuer.sdk().await;
    assert_eq!(after.roots.keys(), before.roots.keys(), "also since when it signs");
    issuer.stop();
    issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn where_nothing_of_the_old_log_can_be_read_the_configured_key_begins_with_the_new_one() {
    let (mut issuer, _provider) = trusting("").await;
    let (_, before) = issuer.sdk().await;
    issuer.stop();
    fs::write(issuer.database(), "not a database").unwrap();
    begin_anew(&issuer);
    issuer.start().await;
    let (_, after) = issuer.sdk().await;
    assert_eq!(states(&after), states(&before));
    assert!(after.roots.keys()[0].not_before >= before.roots.keys()[0].not_before);
    issuer.stop();
    issuer.audit(&[]).succeeded();
    fs::copy(Issuer::init().data().join("issuer.key"), issuer.data().join("issuer.key")).unwrap();
    issuer.start_refused().refused("KEY_SET_MALFORMED");
}

#[tokio::test]
async fn steps_that_are_not_possible_are_refused_with_their_reason() {
    let (issuer, _provider) = trusting("").await;
    let (_, keys) = issuer.sdk().await;
    let (signs, next) = (signing(&keys), prepare(&issuer).await);
    let table: [(&[&str], &str); 6] = [
        (&["activate", "7"], "KEY_UNKNOWN"),
        (&["retire", "7"], "KEY_UNKNOWN"),
        (&["taint", "7"], "KEY_UNKNOWN"),
        (&["activate", &signs], "KEY_STATE"),
        (&["retire", &signs], "KEY_STATE"),
        (&["activate", &next], "KEY_TOO_FRESH"),
    ];
    for (arguments, reason) in table {
        ordered(&issuer, arguments).await.refused(reason);
    }
    let listed = ordered(&issuer, &["list"]).await.succeeded();
    assert!(listed.contains(&signs) && listed.contains("active") && listed.contains(&next) && listed.contains("prepared"), "{listed}");
    ordered(&issuer, &["retire", &next]).await.succeeded();
    assert_eq!(states(&issuer.sdk().await.1), [(signs.clone(), RootState::Active)]);
    // An order that is there still though it was answered, and one that is none, go away and change nothing.
    let state: serde_json::Value = serde_json::from_slice(&fs::read(issuer.data().join("issuer-keys.json")).unwrap()).unwrap();
    let answered = serde_json::json!({ "id": state["last"]["order"], "step": { "verb": "taint", "kid": signs.parse::<u32>().unwrap() } });
    let file = issuer.data().join("issuer-keys.order");
    for text in [answered.to_string(), "nothing".to_owned()] {
        let mut order = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).unwrap();
        std::io::Write::write_all(&mut order, text.as_bytes()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while file.exists() {
            assert!(Instant::now() < deadline, "{text}: {}", issuer.log_lines());
            tokio::task::yield_now().await;
        }
        assert_eq!(states(&issuer.sdk().await.1), [(signs.clone(), RootState::Active)], "{text}");
    }
}

#[tokio::test]
async fn an_order_to_a_service_that_does_not_run_waits_only_where_waiting_is_safe() {
    let (mut issuer, provider) = trusting("").await;
    let (_, keys) = issuer.sdk().await;
    let (signs, next) = (signing(&keys), prepare(&issuer).await);
    issuer.stop();
    ordered(&issuer, &["retire", &next, "--wait", "0"]).await.refused("KEY_ORDER_WAITING");
    ordered(&issuer, &["taint", &signs, "--wait", "0"]).await.refused("KEY_ORDER_WAITING");
    ordered(&issuer, &["retire", &next, "--wait", "0"]).await.refused("KEY_ORDER_WAITING");
    serve_without_readiness(&mut issuer, &next).await;
    let (_, after) = issuer.sdk().await;
    assert_eq!(signing(&after), next);
    assert!(states(&after).contains(&(signs, RootState::Tainted)), "and the prepared key was not retired");
    capability(&issuer, &provider, &after, HolderKey::generate()).await;
}

/// Starts a service in which nothing signs, and has this key sign.
async fn serve_without_readiness(issuer: &mut Issuer, next: &str) {
    let config = issuer.config().to_string_lossy().into_owned();
    let order = std::thread::spawn({
        let (next, config) = (next.to_owned(), config.clone());
        move || {
            // The order to give the old key up lies there until the service has begun.
            let deadline = Instant::now() + Duration::from_secs(30);
            loop {
                let ran = program::run(["keys", "activate", &next, "--config", &config]);
                if ran.code == Some(0) {
                    return;
                }
                assert!(Instant::now() < deadline, "{}", ran.errors);
            }
        }
    });
    issuer.start().await;
    order.join().unwrap();
}

#[tokio::test]
async fn a_key_or_state_that_was_swapped_stops_the_start() {
    let (mut issuer, _provider) = trusting("").await;
    prepare(&issuer).await;
    issuer.stop();
    let state = issuer.data().join("issuer-keys.json");
    let whole = fs::read(&state).unwrap();
    fs::write(&state, "{}").unwrap();
    issuer.start_refused().refused("KEY_SET_MALFORMED");
    fs::write(&state, &whole).unwrap();
    let other = Issuer::init();
    fs::copy(other.data().join("issuer.key"), issuer.data().join("issuer.key")).unwrap();
    issuer.start_refused().refused("KEY_SET_MALFORMED");
}

#[test]
fn the_first_key_is_proved_by_the_log_before_any_was_changed() {
    let (issuer, other) = (Issuer::init(), Issuer::init());
    issuer.configure("", PACK);
    fs::copy(other.data().join("issuer.key"), issuer.data().join("issuer.key")).unwrap();
    issuer.start_refused().refused("KEY_SET_BEHIND");
}

#[tokio::test]
async fn a_tool_that_follows_the_issuers_keys_hears_that_the_only_one_is_given_up() {
    let (issuer, provider) = trusting("").await;
    let (_, keys) = issuer.sdk().await;
    let held = capability(&issuer, &provider, &keys, HolderKey::generate()).await;
    let (address, guard) = tool::start_current(AUDIENCE, keys.roots.clone(), system_clock()).await;
    let tools = ToolClient::new(&address).unwrap();
    let calls = async || match tools.call(&held.prove("crm.read", &arguments("{}").unwrap(), AUDIENCE, now())).await {
        Ok(_) => Ok(()),
        Err(CallError::Refused(refusal)) => Err(refusal.known_reason().unwrap()),
        Err(error) => panic!("{error}"),
    };
    let one_turn = async |feed: RevocationFeed| {
        let turned = tokio::sync::Notify::new();
        let pause = || async {
            turned.notify_one();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = feed.follow(&guard, system_clock(), pause) => {}
            () = turned.notified() => {}
        }
    };
    let feed = || RevocationFeed::new(issuer.url(), &keys).unwrap();
    one_turn(feed()).await;
    assert_eq!(calls().await, Ok(()));
    ordered(&issuer, &["taint", &signing(&keys)]).await.succeeded();
    one_turn(feed()).await;
    assert_eq!(calls().await, Ok(()), "pinned keys stay what they are");
    one_turn(feed().with_roots()).await;
    assert_eq!(calls().await, Err(Reason::RootTainted));
}

#[tokio::test]
async fn a_key_is_given_up_whatever_the_witnesses_do() {
    let gone = Witness::init("gone.example/witness");
    for running in [true, false] {
        let (mut issuer, provider) = (Issuer::init(), ForgedProvider::start());
        issuer.configure(&format!("{}{}{DEMANDED}", gone.entry(), provider.trust()), PACK);
        issuer.start().await;
        let (_, keys) = issuer.sdk().await;
        let kid = signing(&keys);
        if running {
            ordered(&issuer, &["taint", &kid]).await.succeeded();
        } else {
            issuer.stop();
            ordered(&issuer, &["taint", &kid, "--wait", "0"]).await.refused("KEY_ORDER_WAITING");
            // nothing signs
            issuer.start_unready().await;
        }
        let (_, after) = issuer.sdk().await;
        assert_eq!(states(&after), [(kid, RootState::Tainted)]);
    }
}
