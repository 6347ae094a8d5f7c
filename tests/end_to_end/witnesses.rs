//! Logs and witnesses in processes of their own: what a keeper of a log can no longer do unseen.

use std::{fs, time::Duration};

use ed25519_dalek::{Signer, SigningKey};
use narrows::{CallError, EntryId, Held, HolderKey, Reason, Recorded, ToolClient, arguments};
use narrows_issuer::clients::secret_hash;
use narrows_tests::{
    forged::ForgedProvider,
    holder::{fresh, holder},
    http::{client, get, send},
    issuer::{AUDIENCE, Issuer, PACK, evidence, now},
    tool,
    witness::Witness,
};
use narrows_verifier::log::{
    AddCheckpoint, Checkpoint, Comparison, Frontier, Hash, Policy, VerifierKey, compare, consistency_proof, leaf_hash, prefix_path,
    signature_line, verify_checkpoint,
};
use rusqlite::Connection;

/// An issuer with these witnesses, configured and not yet running, and what its log key is called.
fn watched(witnesses: &[&Witness], log: &str) -> (Issuer, ForgedProvider, String) {
    let (issuer, provider) = (Issuer::init(), ForgedProvider::start());
    let entries: String = witnesses.iter().map(|witness| witness.entry()).collect();
    issuer.configure(&format!("{entries}{}[log]\n{log}\n", provider.trust()), PACK);
    let vkey = fs::read_to_string(issuer.data().join("log.vkey")).unwrap().trim().to_owned();
    (issuer, provider, vkey)
}

/// The log under two of these witnesses.
fn policy(log: &str, quorum: usize, witnesses: &[&Witness]) -> Policy {
    let mut text = format!("log {log}\n");
    for (number, witness) in witnesses.iter().enumerate() {
        text.push_str(&format!("witness w{number} {}\n", witness.vkey()));
    }
    let names: Vec<_> = (0..witnesses.len()).map(|number| format!("w{number}")).collect();
    Policy::parse(format!("{text}group q {quorum} {}\nquorum q\n", names.join(" ")).as_bytes()).unwrap()
}

/// The published checkpoint, once it holds this many leaves and satisfies the policy.
async fn witnessed(issuer: &Issuer, policy: &Policy, size: u64) -> String {
    for _ in 0..1_000 {
        let note = get(&issuer.at("/log/checkpoint")).await.text();
        if policy.verify_checkpoint(&note).is_ok_and(|checkpoint| checkpoint.size >= size) {
            return note;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no witnessed checkpoint of {size} leaves: {}", issuer.log_lines());
}

/// The log key of an issuer, as a thief of the file or its keeper has it.
struct Insider(SigningKey, VerifierKey);

impl Insider {
    fn of(issuer: &Issuer) -> Self {
        let line = fs::read_to_string(issuer.data().join("log.key")).unwrap();
        let seed = base64url(line.split_whitespace().last().unwrap());
        let vkey = fs::read_to_string(issuer.data().join("log.vkey")).unwrap();
        Self(SigningKey::from_bytes(&seed), VerifierKey::parse(vkey.trim()).unwrap())
    }

    fn sign(&self, size: u64, root: Hash) -> String {
        let text = Checkpoint { origin: self.1.name().to_owned(), size, root }.to_string();
        format!("{text}\n{}", signature_line(&self.1, &self.0.sign(text.as_bytes()).to_bytes()))
    }

    /// The issuer's leaves with the one at `changed` made another: every hash anew, and the signed checkpoint of it.
    fn fork(&self, issuer: &Issuer, size: u64, changed: u64) -> Fork {
        let stored = Connection::open(issuer.database()).unwrap();
        let mut statement = stored.prepare("SELECT bytes FROM leaf ORDER BY idx").unwrap();
        let leaves: Vec<Vec<u8>> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let mut frontier = Frontier::empty();
        let mut nodes = std::collections::HashMap::new();
        for (index, leaf) in (0..size).zip(leaves) {
            let bytes = if index == changed { b"what the insider would rather have".to_vec() } else { leaf };
            for node in frontier.append(leaf_hash(&bytes)).unwrap() {
                nodes.insert((node.level, node.index), node.hash);
            }
        }
        assert_eq!(frontier.size(), size);
        Fork { note: self.sign(size, frontier.root()), nodes, size }
    }
}

struct Fork {
    note: String,
    nodes: std::collections::HashMap<(u8, u64), Hash>,
    size: u64,
}

impl Fork {
    fn consistency(&self, old: u64) -> Vec<Hash> {
        consistency_proof(old, self.size, |level, index| self.nodes.get(&(level, index)).copied().ok_or(Missing)).unwrap()
    }

    fn path(&self, old: u64) -> Vec<Hash> {
        prefix_path(old, self.size, |level, index| self.nodes.get(&(level, index)).copied().ok_or(Missing)).unwrap()
    }
}

#[derive(Debug)]
struct Missing;

impl From<narrows_verifier::log::OutOfRange> for Missing {
    fn from(_: narrows_verifier::log::OutOfRange) -> Self {
        Self
    }
}

fn base64url(text: &str) -> [u8; 32] {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
}

fn size_of(note: &str) -> u64 {
    note.lines().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn two_teams_witness_each_other_and_their_receipts_are_upgraded() {
    let (mut of_one, mut of_two) = (Witness::init("one.example/witness"), Witness::init("two.example/witness"));
    let (mut one, login_one, log_one) = watched(&[&of_two], "quorum = 1");
    let (mut two, login_two, log_two) = watched(&[&of_one], "quorum = 1\nwitness = \"require\"");
    of_one.start(&[&log_two]).await;
    of_two.start(&[&log_one]).await;
    one.start().await;
    two.start().await;

    // One prefers its witness: the receipt comes at once, and the upgraded one a moment later.
    let (client, _) = one.sdk().await;
    let trust = policy(&log_one, 1, &[&of_two]);
    let answer = one.granted(&HolderKey::generate(), &login_one.login("alice")).await;
    let (receipt, leaf) = evidence(&answer);
    assert_eq!(trust.verify_receipt(&receipt, &leaf).unwrap_err().reason, Reason::WitnessQuorum);
    let note = witnessed(&one, &trust, 3).await;
    assert_eq!(note.lines().filter(|line| line.starts_with("— ")).count(), 2, "{note}");
    let entry = narrows::EntryId::from_hex(answer["narrows"]["entry"].as_str().unwrap()).unwrap();
    let recorded = narrows::Recorded { entry, leaf: leaf.clone(), receipt };
    let upgraded = client.witnessed(&recorded, &trust).await.unwrap();
    assert_eq!(trust.verify_receipt(&upgraded.receipt, &leaf).unwrap().index, 2);
    let by_index = get(&one.at("/v1/receipts/2?witnessed")).await;
    assert_eq!((by_index.status, by_index.text()), (200, upgraded.receipt.clone()));
    let plain = get(&one.at(&format!("/v1/receipts/{entry}"))).await;
    assert_eq!(narrows_verifier::log::verify(&plain.text(), &leaf, trust.logs()).unwrap().index, 2);
    for (path, status, reason) in [
        ("/v1/receipts/99", 404, "ROUTE_UNKNOWN"),
        ("/v1/receipts/01", 404, "ROUTE_UNKNOWN"),
        ("/v1/receipts/+1", 404, "ROUTE_UNKNOWN"),
        ("/v1/receipts/ffffffffffffffffffffffffffffffff", 404, "ROUTE_UNKNOWN"),
        ("/v1/receipts/1?witnessed=yes", 400, "REQUEST_MALFORMED"),
    ] {
        get(&one.at(path)).await.refused(status, reason, path);
    }
    let other = policy(&log_two, 1, &[&of_one]);
    assert_eq!(client.witnessed(&recorded, &other).await.unwrap_err().reason(), Some(Reason::ReceiptOrigin));

    // Two requires its witness: no receipt leaves without it.
    let (receipt, leaf) = evidence(&two.granted(&HolderKey::generate(), &login_two.login("alice")).await);
    other.verify_receipt(&receipt, &leaf).unwrap();
    of_one.kill();
    let refused = two.token(&two.request(&HolderKey::generate(), &login_two.login("alice"))).await;
    refused.refused_as(503, "temporarily_unavailable", "WITNESS_QUORUM", "without its witness");
    assert_eq!(refused.header("retry-after"), "5");
    of_one.start(&[&log_two]).await;
    let note = witnessed(&two, &other, 4).await;
    assert_eq!(size_of(&note), 4, "the leaf that gave nobody anything is in the log");

    // Of one's leaves, two's monitor sees what one's witness saw.
    let hash: String = {
        use sha2::{Digest, Sha256};
        let origin = VerifierKey::parse(&log_one).unwrap().name().to_owned();
        Sha256::digest(origin).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let monitored = get(&of_two.at(&format!("/{hash}/checkpoint"))).await;
    trust.verify_checkpoint(&monitored.text()).unwrap();
    get(&of_one.at(&format!("/{hash}/checkpoint"))).await.refused(404, "WITNESS_LOG_UNKNOWN", "a log that it does not know");
}

#[tokio::test]
async fn a_tool_can_demand_that_witnesses_saw_the_delegation() {
    let mut witness = Witness::init("two.example/witness");
    let (mut issuer, provider, log) = watched(&[&witness], "quorum = 1");
    issuer.start().await;
    let (client, keys) = issuer.sdk().await;
    let trust = policy(&log, 1, &[&witness]);
    let tools = ToolClient::new(&tool::start_with(DEMANDING, AUDIENCE, keys.roots.clone(), trust.clone()).await).unwrap();
    // Nobody has seen the log yet, so the first receipt can't be cosigned by chance.
    let seed = fresh();
    let answer = issuer.granted(&holder(&seed), &provider.login("alice")).await;
    let entry = EntryId::from_hex(answer["narrows"]["entry"].as_str().unwrap()).unwrap();
    let (receipt, leaf) = evidence(&answer);
    let plain = Recorded { entry, leaf, receipt };
    let call = |recorded: &Recorded| {
        let held = Held::new(answer["access_token"].as_str().unwrap(), holder(&seed), &keys.roots).ok().unwrap();
        held.keeping(recorded).prove("crm.read", &arguments("{}").unwrap(), AUDIENCE, now())
    };
    match tools.call(&call(&plain)).await {
        Err(CallError::Refused(refusal)) => assert_eq!(refusal.known_reason(), Some(Reason::WitnessQuorum)),
        other => panic!("not refused: {other:?}"),
    }
    witness.start(&[&log]).await;
    witnessed(&issuer, &trust, 3).await;
    let upgraded = client.witnessed(&plain, &trust).await.unwrap();
    tools.call(&call(&upgraded)).await.unwrap();
}

#[tokio::test]
async fn where_witnesses_are_required_no_reading_is_answered_before_they_saw_its_leaf() {
    let mut witness = Witness::init("two.example/witness");
    let auditor = format!("[[auditor]]\nname = \"ida\"\nsecret_hashes = [\"{}\"]\nrole = \"auditor\"\n", secret_hash("ida-reads"));
    let (mut issuer, _provider, log) = watched(&[&witness], &format!("quorum = 1\nwitness = \"require\"\n{auditor}"));
    witness.start(&[&log]).await;
    issuer.start().await;
    let trust = policy(&log, 1, &[&witness]);
    let read = async |path: &str| send(client().get(issuer.at(path)).bearer_auth("ida-reads")).await;
    let paths = ["/v1/audit/search", "/v1/audit/export", "/log/tile/entries/000.p/2"];
    for (number, path) in (1..).zip(paths) {
        assert_eq!(read(path).await.status, 200, "{path}");
        let seen = get(&issuer.at("/log/checkpoint")).await.text();
        assert!(trust.verify_checkpoint(&seen).unwrap().size > number, "{path}: its leaf was seen first");
    }
    witness.kill();
    for path in paths {
        read(path).await.refused(503, "WITNESS_QUORUM", path);
    }
    witness.start(&[&log]).await;
    witnessed(&issuer, &trust, 8).await;
}

const DEMANDING: &str = r#"
audience = "https://replaced.example"
[[tool]]
name = "crm.read"
requires = "token"
receipts = "authority"
"#;

#[tokio::test]
async fn without_its_witnesses_a_log_goes_on_in_the_open() {
    let gone = Witness::init("gone.example/witness");
    let (mut issuer, provider, log) = watched(&[&gone], "quorum = 1");
    issuer.start().await;
    issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    let trust = policy(&log, 1, &[&gone]);
    for _ in 0..1_000 {
        if issuer.log_size().await == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let note = get(&issuer.at("/log/checkpoint")).await.text();
    assert_eq!((size_of(&note), trust.verify_checkpoint(&note).unwrap_err().reason), (3, Reason::WitnessQuorum));
    let metrics = get(&issuer.at("/metrics")).await.text();
    assert!(metrics.contains("narrows_log_witnessed_leaves 0\n") && !metrics.contains("narrows_witness_fail_open_total 0\n"), "{metrics}");
    let unwitnessed = get(&issuer.at("/v1/receipts/1?witnessed")).await;
    unwitnessed.refused(503, "WITNESS_QUORUM", "nobody has seen it");
}

/// Attack 8, and 7: the newest leaves are gone with every trace in the data directory, the anchor's included.
#[tokio::test]
async fn a_restored_backup_is_found_out_by_the_witness_and_by_kept_receipts() {
    let mut witness = Witness::init("two.example/witness");
    let (mut issuer, provider, log) = watched(&[&witness], "quorum = 1");
    witness.start(&[&log]).await;
    let trust = policy(&log, 1, &[&witness]);
    issuer.start().await;
    issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    witnessed(&issuer, &trust, 3).await;
    issuer.stop();
    let backup = issuer.keep("backup.db", fs::read(issuer.database()).unwrap());
    let anchor = issuer.keep("backup.anchor", fs::read(issuer.data().join("log.anchor")).unwrap());
    let old_cache = issuer.keep("backup-witness.db", fs::read(issuer.data().join("witness.db")).unwrap());
    issuer.start().await;
    let lost = issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    let kept = issuer.keep("kept.json", lost.to_string());
    witnessed(&issuer, &trust, 4).await;
    issuer.stop();
    let restore = |cache: Option<&std::path::Path>| {
        fs::copy(&backup, issuer.database()).unwrap();
        fs::copy(&anchor, issuer.data().join("log.anchor")).unwrap();
        for name in ["witness.db", "witness.db-wal", "witness.db-shm"] {
            let _absent = fs::remove_file(issuer.data().join(name));
        }
        if let Some(cache) = cache {
            fs::copy(cache, issuer.data().join("witness.db")).unwrap();
        }
    };

    // The log alone is whole in itself; the checkpoint that witnesses cosigned convicts it without asking anybody.
    let newer_cache = issuer.keep("newer-witness.db", fs::read(issuer.data().join("witness.db")).unwrap());
    witness.kill();
    restore(Some(&newer_cache));
    issuer.audit(&[]).succeeded();
    issuer.start_refused().refused("AUDIT_ROLLBACK_DETECTED");

    // Everything is old: the witness says so before anybody is answered.
    witness.start(&[&log]).await;
    for cache in [Some(old_cache.as_path()), None] {
        restore(cache);
        issuer.start_refused().refused("AUDIT_ROLLBACK_DETECTED");
    }

    // Everything is old and no witness is there: it starts, and only what was kept elsewhere tells. Then the witness is back.
    witness.kill();
    restore(None);
    issuer.audit(&["--answer", kept.to_str().unwrap()]).refused("LOG_TAIL_MISSING");
    issuer.start().await;
    issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    witness.start(&[&log]).await;
    for _ in 0..3_000 {
        if get(&issuer.at("/readyz")).await.status == 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    get(&issuer.at("/readyz")).await.refused(503, "AUDIT_ROLLBACK_DETECTED", "another history of the same size");
    let refused = issuer.token(&issuer.request(&HolderKey::generate(), &provider.login("alice"))).await;
    refused.refused_as(503, "temporarily_unavailable", "AUDIT_ROLLBACK_DETECTED", "a log that was rolled back");
}

/// Attack 6: the insider writes the log anew under its own key.
#[tokio::test]
async fn an_insider_with_the_key_gets_no_cosignature_and_leaves_a_proof() {
    let mut witness = Witness::init("two.example/witness");
    let (mut issuer, provider, log) = watched(&[&witness], "quorum = 1");
    witness.start(&[&log]).await;
    let trust = policy(&log, 1, &[&witness]);
    issuer.start().await;
    for _ in 0..4 {
        issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    }
    let honest = witnessed(&issuer, &trust, 6).await;
    let insider = Insider::of(&issuer);
    let keys = trust.logs();

    let fork = insider.fork(&issuer, 6, 2);
    verify_checkpoint(&fork.note, keys).unwrap();
    let ask = |old_size, proof: Vec<Hash>, note: &str| AddCheckpoint { old_size, proof, checkpoint: note }.encode();
    assert_eq!(witness.ask(&ask(6, Vec::new(), &fork.note)).await.status, 422);
    let conflict = witness.ask(&ask(5, fork.consistency(5), &fork.note)).await;
    assert_eq!((conflict.status, conflict.header("content-type"), conflict.text().as_str()), (409, "text/x.tlog.size", "6\n"));
    let shorter = insider.fork(&issuer, 3, 99);
    assert_eq!(witness.ask(&ask(0, Vec::new(), &shorter.note)).await.status, 409, "a cut tail, re-signed");
    assert_eq!(witness.ask(&ask(3, Vec::new(), &shorter.note)).await.status, 409);
    witness.kill();
    witness.start(&[&log]).await;
    assert_eq!(witness.ask(&ask(6, Vec::new(), &fork.note)).await.status, 422, "a restart forgets nothing");

    assert_eq!(trust.verify_checkpoint(&fork.note).unwrap_err().reason, Reason::WitnessQuorum);
    let Ok(Comparison::Split(proof)) = compare(&honest, &fork.note, &[], keys) else { panic!("two roots of one size") };
    proof.verify(keys).unwrap();
    // The fork of another size convicts as well, with a path out of its own tree.
    let smaller = insider.fork(&issuer, 4, 2);
    issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    let larger = witnessed(&issuer, &trust, 7).await;
    let path = insider.fork(&issuer, 7, 99).path(4);
    let Ok(Comparison::Split(proof)) = compare(&larger, &smaller.note, &path, keys) else { panic!("no tree has both") };
    proof.verify(keys).unwrap();
    assert_eq!(compare(&larger, &shorter.note, &insider.fork(&issuer, 7, 99).path(3), keys), Ok(Comparison::Consistent));
}

/// Attack 9: two people are shown two logs, and each branch finds the witnesses that it can.
#[tokio::test]
async fn of_a_split_view_one_branch_at_most_has_a_quorum() {
    let mut all = [Witness::init("one.example/w"), Witness::init("two.example/w"), Witness::init("three.example/w")];
    let (mut issuer, provider, log) = watched(&[&all[0], &all[1]], "quorum = 2");
    for witness in &mut all {
        witness.start(&[&log]).await;
    }
    let trust = policy(&log, 2, &[&all[0], &all[1], &all[2]]);
    issuer.start().await;
    for _ in 0..2 {
        issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    }
    let shown_to_one = witnessed(&issuer, &trust, 4).await;
    let fork = Insider::of(&issuer).fork(&issuer, 4, 2);
    let mut shown_to_two = fork.note.clone();
    for witness in &all {
        let answer = witness.ask(&AddCheckpoint { old_size: 0, proof: Vec::new(), checkpoint: &fork.note }.encode()).await;
        if answer.status == 200 {
            shown_to_two.push_str(&answer.text());
        }
    }
    assert_eq!(shown_to_two.lines().filter(|line| line.starts_with("— ")).count(), 2, "the third had seen nothing before");
    assert_eq!(trust.verify_checkpoint(&shown_to_two).unwrap_err().reason, Reason::WitnessQuorum);
    assert_eq!(trust.shortfall(&shown_to_two).unwrap().unwrap().to_string(), "`q` has 1 of 2, without `w0`, `w1`");
    assert_eq!(trust.verify_checkpoint(&shown_to_one).unwrap().size, 4);
    let Ok(Comparison::Split(proof)) = compare(&shown_to_one, &shown_to_two, &[], trust.logs()) else { panic!("two roots of one size") };
    proof.verify(trust.logs()).unwrap();
}

#[tokio::test]
async fn a_witness_never_begins_anew_with_an_old_key() {
    let mut witness = Witness::init("one.example/w");
    let (_issuer, _, log) = watched(&[], "");
    witness.start(&[&log]).await;
    witness.start_refused(&log).refused("WITNESS_STATE");
    witness.kill();
    fs::rename(witness.state(), witness.state().with_extension("away")).unwrap();
    witness.start_refused(&log).refused("WITNESS_STATE");
    let other = Witness::init("one.example/w");
    fs::copy(other.state(), witness.state()).unwrap();
    witness.start_refused(&log).refused("WITNESS_STATE");
}
