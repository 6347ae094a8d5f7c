//! A stolen key is given up, and what witnesses saw before is spared: the real service and a real tool, under load.

use std::{
    fs,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use narrows::{
    CallError, EntryId, Held, HolderKey, IssuerKeys, Reason, Recorded, ToolClient, arguments,
    tool::{Guard, RevocationFeed, system_clock},
};
use narrows_tests::{
    forged::ForgedProvider,
    holder::{fresh, holder},
    issuer::{AUDIENCE, Issuer, PACK, evidence, now},
    tool,
    witness::Witness,
};
use narrows_verifier::log::{Policy, verify_checkpoint};

use super::{hop_to, key_life::ordered};

const WITNESS: &str = "w.example/witness";

/// A token as its holder keeps it.
struct Kept {
    seed: [u8; 32],
    text: String,
    recorded: Recorded,
    index: u64,
}

async fn minted(issuer: &Issuer, provider: &ForgedProvider, trust: &Policy) -> Option<Kept> {
    let seed: [u8; 32] = fresh();
    let answer = issuer.token(&issuer.request(&holder(&seed), &provider.login("alice"))).await;
    if answer.status == 503 {
        assert_eq!(answer.reason(), "NO_SIGNING_KEY");
        return None;
    }
    let answer = answer.granted();
    let (receipt, leaf) = evidence(&answer);
    let index = trust.verify_receipt(&receipt, &leaf).expect("a witnessed receipt").index;
    let entry = EntryId::from_hex(answer["narrows"]["entry"].as_str().unwrap()).unwrap();
    let text = answer["access_token"].as_str().unwrap().to_owned();
    Some(Kept { seed, text, recorded: Recorded { entry, leaf, receipt }, index })
}

/// Has the tool take feed and keys as they are now.
async fn follow(issuer: &Issuer, keys: &IssuerKeys, guard: &Guard) {
    let turned = tokio::sync::Notify::new();
    let pause = || async {
        turned.notify_one();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = RevocationFeed::new(issuer.url(), keys).unwrap().with_roots().follow(guard, system_clock(), pause) => {}
        () = turned.notified() => {}
    }
}

/// What a tool answers to a call with this token and this receipt.
async fn call(tools: &ToolClient, keys: &IssuerKeys, kept: &Kept, recorded: Option<&Recorded>) -> Option<Reason> {
    let held = Held::new(&kept.text, holder(&kept.seed), &keys.roots).expect("under the keys of before");
    let held = match recorded {
        Some(recorded) => held.keeping(recorded),
        None => held,
    };
    match tools.call(&held.prove("crm.read", &arguments("{}").unwrap(), AUDIENCE, now())).await {
        Ok(_) => None,
        Err(CallError::Refused(refusal)) => Some(refusal.known_reason().unwrap()),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_key_given_up_under_load_spares_what_witnesses_saw_before_an_index_and_nothing_else() {
    let mut witness = Witness::init(WITNESS);
    let (mut issuer, provider) = (Issuer::init(), ForgedProvider::start());
    issuer.configure(&format!("{}{}[log]\nquorum = 1\nwitness = \"require\"\n", witness.entry(), provider.trust()), PACK);
    let vkey = fs::read_to_string(issuer.data().join("log.vkey")).unwrap().trim().to_owned();
    witness.start(&[&vkey]).await;
    issuer.start().await;
    let trust = Policy::parse(format!("log {vkey}\nwitness w {}\nquorum w\n", witness.vkey()).as_bytes()).unwrap();
    let (_, keys) = issuer.sdk().await;
    let kid = keys.roots.keys()[0].id.to_string();
    let (address, guard) = tool::start_current(AUDIENCE, keys.roots.clone(), system_clock()).await;
    guard.replace_logs(trust.clone());
    let tools = ToolClient::new(&address).unwrap();
    follow(&issuer, &keys, &guard).await;

    // Several callers at once, and an operator who gives the key up in the middle of it.
    let (before, given_up) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let caller = async || {
        while let Some(kept) = minted(&issuer, &provider, &trust).await {
            before.lock().unwrap().push(kept);
        }
        assert!(given_up.load(Ordering::Relaxed), "nothing was issued although the key signs");
    };
    let operator = async {
        while before.lock().unwrap().len() < 8 {
            tokio::task::yield_now().await;
        }
        let published = verify_checkpoint(&checkpoint(&issuer).await, trust.logs()).unwrap().size;
        ordered(&issuer, &["taint", &kid, "--spare-below", "1000000"]).await.refused("KEY_SPARE_BEYOND");
        while before.lock().unwrap().iter().all(|kept| kept.index < published + 4) {
            tokio::task::yield_now().await;
        }
        given_up.store(true, Ordering::Relaxed);
        ordered(&issuer, &["taint", &kid, "--spare-below", &published.to_string()]).await.succeeded();
        published
    };
    let (below, (), (), ()) = tokio::join!(operator, caller(), caller(), caller());
    follow(&issuer, &keys, &guard).await;

    let tokens = before.into_inner().unwrap();
    let (spared, fallen): (Vec<_>, Vec<_>) = tokens.iter().partition(|kept| kept.index < below);
    assert!(spared.len() >= 4 && fallen.len() >= 4, "{} and {}", spared.len(), fallen.len());
    for kept in &spared {
        assert_eq!(call(&tools, &keys, kept, Some(&kept.recorded)).await, None, "leaf {} of {below}", kept.index);
    }
    for kept in &fallen {
        assert_eq!(call(&tools, &keys, kept, Some(&kept.recorded)).await, Some(Reason::RootTainted), "leaf {} of {below}", kept.index);
    }
    let kept = spared[0];
    assert_eq!(call(&tools, &keys, kept, None).await, Some(Reason::RootTainted), "without a receipt");
    let cosigned = format!("— {WITNESS} ");
    let unwitnessed: String = kept.recorded.receipt.split_inclusive('\n').filter(|line| !line.starts_with(&cosigned)).collect();
    assert_ne!(unwitnessed, kept.recorded.receipt);
    let unwitnessed = Recorded { receipt: unwitnessed, ..kept.recorded.clone() };
    assert_eq!(call(&tools, &keys, kept, Some(&unwitnessed)).await, Some(Reason::WitnessQuorum));
    assert_eq!(call(&tools, &keys, kept, Some(&fallen[0].recorded)).await, Some(Reason::ReceiptMissing), "the receipt of another token");
    // The issuer itself spares nothing.
    let held = Held::new(&kept.text, holder(&kept.seed), &keys.roots).ok().unwrap();
    let hop = held.narrow(&hop_to(&HolderKey::generate()), now()).ok().unwrap();
    let report = held.report_hop(&hop, issuer.url(), now());
    issuer.report(&report.token, &report.proof).await.refused(400, "ROOT_TAINTED", "a hop under a tainted key");

    // Fewer can be spared, more never.
    let last = spared.iter().max_by_key(|kept| kept.index).unwrap();
    let fewer = last.index.to_string();
    ordered(&issuer, &["taint", &kid, "--spare-below", &(below + 1).to_string()]).await.refused("KEY_SPARE_RAISED");
    ordered(&issuer, &["taint", &kid, "--spare-below", &below.to_string()]).await.refused("KEY_STATE");
    ordered(&issuer, &["taint", &kid, "--spare-below", &fewer]).await.succeeded();
    ordered(&issuer, &["taint", &kid, "--spare-below", &below.to_string()]).await.refused("KEY_SPARE_RAISED");
    follow(&issuer, &keys, &guard).await;
    assert_eq!(call(&tools, &keys, last, Some(&last.recorded)).await, Some(Reason::RootTainted));
    let first = spared.iter().min_by_key(|kept| kept.index).unwrap();
    assert_eq!(call(&tools, &keys, first, Some(&first.recorded)).await, None);
    ordered(&issuer, &["taint", &kid]).await.succeeded();
    follow(&issuer, &keys, &guard).await;
    assert_eq!(call(&tools, &keys, first, Some(&first.recorded)).await, Some(Reason::RootTainted), "nothing is spared any more");
    issuer.stop();
    issuer.audit(&[]).succeeded();
}

async fn checkpoint(issuer: &Issuer) -> String {
    narrows_tests::http::get(&issuer.at("/log/checkpoint")).await.text()
}
