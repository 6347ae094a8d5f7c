//! Our log and real witnesses on loopback.

use std::path::PathBuf;

use narrows_verifier::log::{EntryId, Kind, Leaf, TraceId, WitnessKey};
use rand_core::OsRng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use super::*;
use crate::app::random;
use crate::clock::{Clock, system_clock};
use crate::http::serve::serve;
use crate::http::witness as server;
use crate::keys::tests::Scratch;
use crate::keys::{KeyRole, SecretKey};
use crate::log::{LogSigner, Opening, Outcome, Settings};
use crate::witness::Cosigner;

const ORIGIN: &str = "log.example";

fn signer() -> LogSigner {
    LogSigner::new(ORIGIN, &Zeroizing::new([5; 32])).unwrap()
}

/// A log with this many leaves; each call makes another history under the same key.
async fn log(scratch: &Scratch, name: &str, leaves: u64) -> Arc<Log> {
    let path = scratch.0.join(name);
    let opening = Opening { id: EntryId(random()), trace: TraceId(random()), t_ms: 1, dev: false };
    Log::init(&path, &signer(), opening).unwrap();
    let log = open(&path);
    grow(&log, leaves - 1).await;
    log
}

fn open(path: &Path) -> Arc<Log> {
    let clock: Clock = Arc::new(|| 1_000);
    let mut settings = Settings::default();
    // how long a commit takes on a busy machine shows nothing
    settings.answer_wait = Duration::from_secs(3600);
    Arc::new(Log::open(path, signer(), clock, settings).unwrap())
}

async fn grow(log: &Log, leaves: u64) {
    for _ in 0..leaves {
        let draft = Leaf::draft(Kind::Clock, EntryId(random()), TraceId(random()));
        assert!(matches!(log.append(draft, Vec::new()).await.unwrap(), Outcome::Appended { .. }));
    }
}

struct Served {
    witness: Witness,
    cosigner: Arc<Cosigner>,
}

/// A witness of the log, served on loopback for as long as the test runs.
async fn witness(scratch: &Scratch, name: &str) -> Served {
    let key = SecretKey::generate(KeyRole::Witness, &mut OsRng);
    let state = scratch.0.join(name.replace('/', "-"));
    Cosigner::create(&state, name, &key).unwrap();
    let cosigner = Arc::new(Cosigner::open(&state, name, &key, vec![signer().verifier_key().clone()], system_clock()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = server::router(Arc::clone(&cosigner), &server::limits(), metrics());
    tokio::spawn(async move { serve(listener, routes, &server::limits(), metrics(), std::future::pending()).await });
    Served { witness: at(&url, cosigner.key()), cosigner }
}

fn at(url: &str, key: &WitnessKey) -> Witness {
    Witness {
        vkey: key.to_string(),
        url: url.to_owned(),
        monitoring_url: None,
        allow_loopback_http: true,
        allow_private_address: false,
        trusted_to_halt: true,
    }
}

/// A witness of which only the key is there: nobody listens on the port.
async fn absent(name: &str) -> Witness {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    at(&format!("http://{port}"), &WitnessKey::from_seed(name, &random()).unwrap())
}

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(&[]))
}

fn file(scratch: &Scratch) -> PathBuf {
    scratch.0.join("witness.db")
}

fn witnesses(scratch: &Scratch, log: &Log, all: &[Witness], quorum: Option<usize>, mode: WitnessMode) -> Result<Arc<Witnesses>, Reason> {
    let key = signer().verifier_key().clone();
    let opened = Witnesses::open(&file(scratch), all, quorum, mode, log, &key, metrics());
    opened.map(Arc::new).map_err(|error| error.reason())
}

fn run(witnesses: &Arc<Witnesses>, log: &Arc<Log>) -> tokio::task::JoinHandle<()> {
    let (witnesses, log) = (Arc::clone(witnesses), Arc::clone(log));
    tokio::spawn(async move { witnesses.run(log).await })
}

async fn covers(witnesses: &Witnesses, size: u64) -> Arc<SignedHead> {
    let mut witnessed = witnesses.witnessed.subscribe();
    let covers = |head: &Option<Arc<SignedHead>>| head.as_ref().is_some_and(|head| head.size >= size);
    timeout(Duration::from_secs(30), witnessed.wait_for(covers)).await.unwrap().unwrap().clone().unwrap()
}

fn counts(witnesses: &Witnesses, line: &str) -> bool {
    witnesses.metrics.text().lines().any(|counted| counted == line)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_make_a_quorum_and_a_restart_goes_on_from_it() {
    let scratch = Scratch::new();
    let log = log(&scratch, "log.db", 3).await;
    let (one, two) = (witness(&scratch, "one.example").await, witness(&scratch, "two.example").await);
    let all = [one.witness.clone(), absent("gone.example").await, two.witness.clone()];
    let ours = witnesses(&scratch, &log, &all, Some(2), WitnessMode::Prefer).unwrap();
    assert_eq!(ours.published(&log).unwrap(), log.newest().unwrap().note, "before the first round");
    let task = run(&ours, &log);
    for size in [3, 4, 9] {
        grow(&log, size - log.newest().unwrap().size).await;
        let head = covers(&ours, size).await;
        assert!(head.note.starts_with(&log.newest().unwrap().note), "the log's own line comes first");
        assert_eq!(head.note.lines().filter(|line| line.starts_with("— ")).count(), 3);
        ours.policy.verify_checkpoint(&head.note).unwrap();
        assert_eq!(ours.published(&log).unwrap(), head.note);
    }
    assert!(counts(&ours, "narrows_log_witnessed_leaves 9"));
    assert!(!counts(&ours, "narrows_witness_failures_total 0"));
    assert!(counts(&ours, "narrows_witness_fail_open_total 0"));
    task.abort();
    let _ = task.await;

    let again = witnesses(&scratch, &log, &all, Some(2), WitnessMode::Prefer).unwrap();
    assert_eq!(again.witnessed(), ours.witnessed());
    again.check(&log).await.unwrap();
    let note = again.witnessed().unwrap().note.clone();
    assert_eq!(note.lines().filter(|line| line.starts_with("— ")).count(), 3, "one line of each, however often it is asked: {note}");
    assert_eq!(again.standings().unwrap().iter().map(|standing| standing.known).collect::<Vec<_>>(), [9, 0, 9]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_publishing_goes_on_and_is_counted() {
    let scratch = Scratch::new();
    let log = log(&scratch, "log.db", 2).await;
    let one = witness(&scratch, "one.example").await;
    let all = [one.witness.clone(), absent("gone.example").await];
    let ours = witnesses(&scratch, &log, &all, Some(2), WitnessMode::Prefer).unwrap();
    ours.check(&log).await.unwrap();
    let published = ours.published(&log).unwrap();
    assert!(published.starts_with(&log.newest().unwrap().note) && published.contains("— one.example "), "{published}");
    assert_eq!(ours.witnessed(), None);
    assert!(counts(&ours, "narrows_witness_fail_open_total 1"));
    let receipt = log.receipt_under(0, &log.newest().unwrap()).unwrap().unwrap();
    assert_eq!(ours.release(&log, 0, receipt.clone()).await.unwrap(), receipt, "issuing does not wait");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn required_witnesses_hold_back_what_they_have_not_seen() {
    let scratch = Scratch::new();
    let log = log(&scratch, "log.db", 2).await;
    let one = witness(&scratch, "one.example").await;
    let all = [one.witness.clone()];
    let ours = witnesses(&scratch, &log, &all, Some(1), WitnessMode::Require).unwrap();
    assert_eq!(ours.published(&log).unwrap_err().reason(), Reason::WitnessQuorum);
    let released = ours.release(&log, 1, "a receipt without witnesses".to_owned());
    let task = run(&ours, &log);
    let receipt = released.await.unwrap();
    let leaf = log.proof(1).unwrap().unwrap().leaf;
    assert_eq!(ours.policy.verify_receipt(&receipt, &leaf).unwrap().index, 1);
    task.abort();
}

#[tokio::test]
async fn what_no_witness_sees_is_never_released() {
    let scratch = Scratch::new();
    let log = log(&scratch, "log.db", 1).await;
    let ours = witnesses(&scratch, &log, &[absent("gone.example").await], Some(1), WitnessMode::Require).unwrap();
    let refused = ours.release_within(Duration::ZERO, &log, 0, "a receipt without witnesses".to_owned()).await.unwrap_err();
    assert_eq!((refused.reason(), refused.retry_after_s()), (Reason::WitnessQuorum, Some(5)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cosignature_that_was_lost_on_the_way_is_asked_for_again() {
    let scratch = Scratch::new();
    let log = log(&scratch, "log.db", 5).await;
    let one = witness(&scratch, "one.example").await;
    let head = log.newest().unwrap();
    one.cosigner.add_checkpoint(&format!("old 0\n\n{}", head.note)).unwrap();
    let ours = witnesses(&scratch, &log, std::slice::from_ref(&one.witness), None, WitnessMode::Prefer).unwrap();
    ours.check(&log).await.unwrap();
    assert_eq!(ours.witnessed().unwrap().size, 5);
    assert_eq!(ours.published(&log).unwrap(), ours.witnessed().unwrap().note);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_that_knows_more_stops_the_log() {
    let scratch = Scratch::new();
    let one = witness(&scratch, "one.example").await;
    let first = log(&scratch, "first.db", 5).await;
    one.cosigner.add_checkpoint(&format!("old 0\n\n{}", first.newest().unwrap().note)).unwrap();
    // Fewer leaves, as many, and more; each is another history under the same key.
    for (name, leaves) in [("shorter.db", 3), ("equal.db", 5), ("longer.db", 8)] {
        let log = log(&scratch, name, leaves).await;
        let ours = witnesses(&scratch, &log, std::slice::from_ref(&one.witness), None, WitnessMode::Prefer).unwrap();
        assert_eq!(ours.check(&log).await.unwrap_err().reason(), Reason::AuditRollbackDetected, "{name}");
        ours.run(Arc::clone(&log)).await;
        assert_eq!(log.halted(), Some(Reason::AuditRollbackDetected), "{name}");
        let draft = Leaf::draft(Kind::Clock, EntryId(random()), TraceId(random()));
        assert_eq!(log.append(draft, Vec::new()).await.unwrap_err().reason(), Reason::AuditRollbackDetected, "{name}");
        assert_eq!(ours.witnessed(), None);
        // The proof is kept, and is enough without any witness.
        drop(ours);
        let gone = absent("gone.example").await;
        let again = witnesses(&scratch, &log, &[gone], None, WitnessMode::Prefer);
        assert_eq!(again.err(), Some(Reason::AuditRollbackDetected), "{name}");
        std::fs::remove_file(file(&scratch)).unwrap();
    }
}

/// What a witness answers to `old 0`, to any other size, and to whoever asks for its checkpoint.
async fn saying(first: String, then: String, shown: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let mut length = stream.read(&mut request).await.unwrap_or(0);
            let is_get = request.starts_with(b"GET ");
            let whole = |bytes: &[u8]| is_get || bytes.windows(4).any(|it| it == b"\nold" || it == b"old ");
            while !whole(&request[..length]) {
                length += stream.read(&mut request[length..]).await.unwrap_or(0);
            }
            let asked = String::from_utf8_lossy(&request[..length]).into_owned();
            let answer = if is_get {
                &shown
            } else if asked.contains("old 0\n") {
                &first
            } else {
                &then
            };
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

fn answered(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_halts_the_log_by_proof_or_where_it_shows_none_and_is_trusted() {
    let scratch = Scratch::new();
    let (log, other) = (log(&scratch, "log.db", 4).await, log(&scratch, "other.db", 9).await);
    let own = log.newest().unwrap().note;
    let fork = other.newest().unwrap().note;
    let conflict = |size: u64| answered("409 Conflict\r\ncontent-type: text/x.tlog.size", &format!("{size}\n"));
    let inconsistent = answered("422 Unprocessable", "");
    let key = WitnessKey::from_seed("one.example", &[9; 32]).unwrap();
    let ok = |note: &str| answered("200 OK", note);
    // Of the same size and of a larger one; the first word is the size, the second that the proof does not fit.
    let (later, another) = ((conflict(9), conflict(9)), (conflict(2), inconsistent));
    let forged = fork.replace("\n9\n", "\n90\n");
    let stopped = Err(Reason::AuditRollbackDetected);
    for (case, (first, then), shown, by_word, by_proof) in [
        ("a later size, proven", &later, ok(&fork), stopped, stopped),
        ("another history, proven", &another, ok(&fork), stopped, stopped),
        ("a later size, contradicted", &later, ok(&own), Ok(()), Ok(())),
        ("another history, contradicted", &another, ok(&own), Ok(()), Ok(())),
        ("no such door", &later, answered("404 Not Found", ""), stopped, Ok(())),
        ("another history, no such door", &another, answered("404 Not Found", ""), stopped, Ok(())),
        ("a page", &later, ok("<html>"), stopped, Ok(())),
        ("a checkpoint that the log did not sign", &later, ok(&forged), stopped, Ok(())),
        ("elsewhere", &later, answered("307 Away\r\nlocation: http://127.0.0.1:1/", ""), stopped, Ok(())),
    ] {
        for (trusted_to_halt, expected) in [(true, by_word), (false, by_proof)] {
            let url = saying(first.clone(), then.clone(), shown.clone()).await;
            let witness = Witness { trusted_to_halt, ..at(&url, &key) };
            let ours = witnesses(&scratch, &log, &[witness], Some(1), WitnessMode::Prefer).unwrap();
            assert_eq!(ours.check(&log).await.map_err(|error| error.reason()), expected, "{case}, trusted: {trusted_to_halt}");
            let unproven = u8::from(expected.is_ok());
            assert!(counts(&ours, &format!("narrows_witness_unproven_rollbacks_total {unproven}")), "{case}");
            assert!(counts(&ours, &format!("narrows_witness_failures_total {unproven}")), "{case}");
            assert_eq!(ours.witnessed(), None, "{case}");
            let proven = shown.contains(&fork);
            drop(ours);
            let again = witnesses(&scratch, &log, &[absent("gone.example").await], None, WitnessMode::Prefer);
            assert_eq!(again.is_err(), proven, "{case}: what is kept");
            drop(again);
            std::fs::remove_file(file(&scratch)).unwrap();
        }
    }
    assert_eq!(log.halted(), None);
}

/// One that shows no checkpoints answers at once; the one that shows the proof takes longer, and is heard all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_of_one_witness_is_kept_where_another_has_given_its_word_already() {
    let scratch = Scratch::new();
    let (log, other) = (log(&scratch, "log.db", 4).await, log(&scratch, "other.db", 9).await);
    let fork = other.newest().unwrap().note;
    let conflict = answered("409 Conflict\r\ncontent-type: text/x.tlog.size", "9\n");
    let silent = saying(conflict.clone(), conflict.clone(), answered("404 Not Found", "")).await;
    let showing = saying(conflict.clone(), conflict, answered("200 OK", &fork)).await;
    let keys = [8, 9].map(|seed| WitnessKey::from_seed(&format!("w{seed}.example"), &[seed; 32]).unwrap());
    for order in [[&silent, &showing], [&showing, &silent]] {
        let both: Vec<Witness> = order.iter().zip(&keys).map(|(url, key)| at(url, key)).collect();
        let ours = witnesses(&scratch, &log, &both, Some(1), WitnessMode::Prefer).unwrap();
        assert_eq!(ours.check(&log).await.map_err(|error| error.reason()), Err(Reason::AuditRollbackDetected));
        drop(ours);
        let again = witnesses(&scratch, &log, &[absent("gone.example").await], None, WitnessMode::Prefer);
        assert_eq!(again.err(), Some(Reason::AuditRollbackDetected), "the proof is kept");
        std::fs::remove_file(file(&scratch)).unwrap();
    }
}

/// Witnesses of other makers may show their checkpoints at another address than the one that takes them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_is_looked_for_where_a_witness_shows_its_checkpoints() {
    let scratch = Scratch::new();
    let (log, other) = (log(&scratch, "log.db", 4).await, log(&scratch, "other.db", 9).await);
    let conflict = answered("409 Conflict\r\ncontent-type: text/x.tlog.size", "9\n");
    let nowhere = answered("404 Not Found", "");
    let submission = saying(conflict.clone(), conflict, nowhere.clone()).await;
    let shown = answered("200 OK", &other.newest().unwrap().note);
    let monitoring = saying(nowhere.clone(), nowhere, shown).await;
    let key = WitnessKey::from_seed("one.example", &[9; 32]).unwrap();
    let witness = Witness { monitoring_url: Some(format!("{monitoring}/")), trusted_to_halt: false, ..at(&submission, &key) };
    let ours = witnesses(&scratch, &log, &[witness], Some(1), WitnessMode::Prefer).unwrap();
    assert_eq!(ours.check(&log).await.map_err(|error| error.reason()), Err(Reason::AuditRollbackDetected));
}

/// With the quorum of the others, a witness that lies delays nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lying_witness_that_is_contradicted_stops_nothing() {
    let scratch = Scratch::new();
    let log = log(&scratch, "log.db", 3).await;
    let honest = witness(&scratch, "one.example").await;
    let conflict = answered("409 Conflict\r\ncontent-type: text/x.tlog.size", "99\n");
    let shown = answered("200 OK", &log.newest().unwrap().note);
    let url = saying(conflict.clone(), conflict, shown).await;
    let liar = at(&url, &WitnessKey::from_seed("liar.example", &[9; 32]).unwrap());
    let ours = witnesses(&scratch, &log, &[liar, honest.witness.clone()], Some(1), WitnessMode::Require).unwrap();
    let task = run(&ours, &log);
    assert_eq!(covers(&ours, 3).await.size, 3);
    grow(&log, 2).await;
    assert_eq!(covers(&ours, 5).await.size, 5);
    assert_eq!(log.halted(), None);
    task.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_cosigned_checkpoint_convicts_an_older_log() {
    let scratch = Scratch::new();
    let one = witness(&scratch, "one.example").await;
    let first = log(&scratch, "first.db", 5).await;
    let ours = witnesses(&scratch, &first, std::slice::from_ref(&one.witness), None, WitnessMode::Prefer).unwrap();
    ours.check(&first).await.unwrap();
    for (name, leaves) in [("shorter.db", 3), ("longer.db", 8)] {
        let log = log(&scratch, name, leaves).await;
        let opened = witnesses(&scratch, &log, std::slice::from_ref(&one.witness), None, WitnessMode::Prefer);
        assert_eq!(opened.err(), Some(Reason::AuditRollbackDetected), "{name}");
    }
    // A row that the log's key did not sign is nobody's word.
    let forged = ours.witnessed().unwrap();
    let note = forged.note.replace("\n5\n", "\n50\n");
    Cosignatures::open(&file(&scratch)).unwrap().keep(&CosignedNote { size: 50, root: forged.root, note }).unwrap();
    assert!(witnesses(&scratch, &first, std::slice::from_ref(&one.witness), None, WitnessMode::Prefer).is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_put_back_with_its_kept_checkpoints_is_found_out() {
    let scratch = Scratch::new();
    let one = witness(&scratch, "one.example").await;
    let all = std::slice::from_ref(&one.witness);
    let log = log(&scratch, "log.db", 3).await;
    let ours = witnesses(&scratch, &log, all, None, WitnessMode::Prefer).unwrap();
    ours.check(&log).await.unwrap();
    // What the witness saw after the copy was made: the file says that it stands where the log stands.
    let (later, old) = (log.newest().unwrap(), scratch.0.join("old.db"));
    drop((ours, log));
    std::fs::copy(scratch.0.join("log.db"), &old).unwrap();
    let log = open(&scratch.0.join("log.db"));
    grow(&log, 1).await;
    let proof = log.consistency(later.size, 4).unwrap();
    let body = narrows_verifier::log::AddCheckpoint { old_size: later.size, proof, checkpoint: &log.newest().unwrap().note }.encode();
    one.cosigner.add_checkpoint(&body).unwrap();
    let old = open(&old);
    let ours = witnesses(&scratch, &old, all, None, WitnessMode::Prefer).unwrap();
    assert_eq!(ours.witnessed().unwrap().size, 3);
    assert_eq!(ours.check(&old).await.unwrap_err().reason(), Reason::AuditRollbackDetected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_from_a_witness_changes_nothing() {
    let scratch = Scratch::new();
    let log = log(&scratch, "log.db", 3).await;
    let key = WitnessKey::from_seed("one.example", &[9; 32]).unwrap();
    let elsewhere =
        narrows_verifier::log::cosign("one.example", &[9; 32], 7, "log.example\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n");
    for (case, head, body) in [
        ("another text's cosignature", "200 OK", elsewhere.unwrap()),
        ("no line", "200 OK", "fine\n".to_owned()),
        ("nothing", "200 OK", String::new()),
        ("a size without its type", "409 Conflict\r\ncontent-type: text/plain", "9\n".to_owned()),
        ("a size that is none", "409 Conflict\r\ncontent-type: text/x.tlog.size", "many\n".to_owned()),
        ("the size that was asked about", "409 Conflict\r\ncontent-type: text/x.tlog.size", "0\n".to_owned()),
        ("inconsistent with nothing", "422 Unprocessable", String::new()),
        ("unknown", "404 Not Found", String::new()),
        ("away", "307 Away\r\nlocation: http://127.0.0.1:1/", String::new()),
    ] {
        let url = canned(format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
        let ours = witnesses(&scratch, &log, &[at(&url, &key)], None, WitnessMode::Prefer).unwrap();
        ours.check(&log).await.unwrap();
        assert_eq!((ours.witnessed(), log.halted()), (None, None), "{case}");
        assert_eq!(ours.published(&log).unwrap(), log.newest().unwrap().note, "{case}");
        assert!(counts(&ours, "narrows_witness_failures_total 1"), "{case}");
    }
}

/// A server that gives every connection the same bytes.
async fn canned(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}
