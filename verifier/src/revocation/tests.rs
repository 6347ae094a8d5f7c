use super::*;
use crate::{BlockId, TaskId, json::Value, public_key};

const SEED: [u8; 32] = [5; 32];
const ISSUER: &str = "https://issuer.example";
const NOW: u64 = 1_795_000_000;

fn list() -> RevocationList {
    RevocationList {
        issuer: ISSUER.to_owned(),
        sequence: 7,
        issued: NOW,
        max_staleness: MaxStaleness::USUAL,
        revoked: Entries {
            blocks: [BlockId([1; 32]), BlockId([2; 32])].into(),
            tasks: [TaskId([3; 16])].into(),
            subjects: [("p-1".to_owned(), NOW - 5), ("p-2".to_owned(), NOW)].into(),
            agents: [("crawler".to_owned(), NOW)].into(),
            keys: [([4; 32], NOW + 5)].into(),
        },
    }
}

fn revoking(revoked: Entries) -> RevocationList {
    RevocationList { revoked, ..list() }
}

fn load_after(text: &str, previous: Option<&Revocations>) -> Result<Revocations, Reason> {
    Revocations::load(text, &public_key(&SEED), ISSUER, previous, NOW)
}

fn load(text: &str) -> Result<Revocations, Reason> {
    load_after(text, None)
}

/// Any payload under the feed's good signature.
fn signed(payload: &str) -> String {
    let signature = sign(&SEED, &message(SNAPSHOT, payload.as_bytes()));
    format!("{}.{}", URL_SAFE_NO_PAD.encode(payload), URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn a_signed_list_is_loaded_as_it_was() {
    for list in [list(), revoking(Entries::default())] {
        assert_eq!(load(&list.sign(&SEED).unwrap()).unwrap().list(), &list);
    }
}

#[test]
fn a_snapshot_of_another_signer_issuer_or_time_is_refused() {
    let text = list().sign(&SEED).unwrap();
    let load = |text: &str, issuer, now| Revocations::load(text, &public_key(&SEED), issuer, None, now).err();
    assert_eq!(load(&list().sign(&[6; 32]).unwrap(), ISSUER, NOW), Some(Reason::FeedSignature));
    assert_eq!(load(&text, "https://other.example", NOW), Some(Reason::FeedIssuer));
    assert_eq!(load(&text, ISSUER, NOW - 11), Some(Reason::FeedAhead));
    assert_eq!(load(&text, ISSUER, NOW - 10), None);
    // the same payload signed as a holder's proof is no snapshot
    let payload = list().to_json().unwrap();
    let other_tag = sign(&SEED, &message("narrows/possession/1", payload.canonical().as_bytes()));
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(payload.canonical()), URL_SAFE_NO_PAD.encode(other_tag));
    assert_eq!(load(&text, ISSUER, NOW), Some(Reason::FeedSignature));
}

#[test]
fn an_older_snapshot_or_a_second_one_of_its_number_is_refused() {
    let text = |sequence, issued| RevocationList { sequence, issued, ..list() }.sign(&SEED).unwrap();
    let current = load(&text(7, NOW)).unwrap();
    for (text, answer) in [
        (text(6, NOW), Some(Reason::FeedRolledBack)),
        (text(7, NOW - 1), Some(Reason::FeedRolledBack)),
        (text(7, NOW), None),
        (text(8, NOW), None),
    ] {
        assert_eq!(load_after(&text, Some(&current)).err(), answer);
    }
    let foreign = RevocationList { issuer: "https://other.example".to_owned(), ..list() }.sign(&SEED).unwrap();
    let foreign = Revocations::load(&foreign, &public_key(&SEED), "https://other.example", None, NOW).unwrap();
    assert_eq!(load_after(&text(8, NOW), Some(&foreign)).err(), Some(Reason::FeedIssuer));
}

#[test]
fn a_text_of_another_form_is_refused() {
    let good = list().to_json().unwrap().canonical();
    assert!(load(&signed(&good)).is_ok());
    let changed = |from: &str, to: &str| {
        assert!(good.contains(from), "no `{from}` in {good}");
        signed(&good.replacen(from, to, 1))
    };
    let (one, two) = ("01".repeat(32), "02".repeat(32));
    let pair = format!("\"{one}\",\"{two}\"");
    let table = [
        (String::new(), Reason::FeedMalformed),
        ("!.!".to_owned(), Reason::FeedMalformed),
        ("e30.e30".to_owned(), Reason::FeedMalformed),
        (signed("{"), Reason::FeedMalformed),
        (signed("[]"), Reason::FeedMalformed),
        (signed(&format!(" {good}")), Reason::JsonNotCanonical),
        (changed("\"sequence\":7", "\"sequence\":7.5"), Reason::FeedMalformed),
        (changed("\"sequence\":7", "\"sequence\":-7"), Reason::FeedMalformed),
        (changed("\"sequence\":7,", ""), Reason::FeedMalformed),
        (changed("\"sequence\":7", "\"sequence\":7,\"sequences\":7"), Reason::FeedMalformed),
        (changed(ISSUER, ""), Reason::FeedMalformed),
        (changed("\"write\":300", "\"writes\":300"), Reason::FeedMalformed),
        (changed(&pair, &format!("\"{two}\",\"{one}\"")), Reason::FeedMalformed),
        (changed(&pair, &format!("\"{one}\",\"{one}\"")), Reason::FeedMalformed),
        (changed(&pair, &format!("\"{one}\",\"{}\"", "0A".repeat(32))), Reason::FeedMalformed),
        (changed(&pair, &format!("\"{one}\",2")), Reason::FeedMalformed),
        (changed(&"03".repeat(16), &"03".repeat(15)), Reason::FeedMalformed),
        (changed("p-1", "p-3"), Reason::FeedMalformed),
        (changed("p-1", "p-2"), Reason::FeedMalformed),
        (changed("p-1", &"p".repeat(1025)), Reason::FeedMalformed),
        (changed("crawler", ""), Reason::FeedMalformed),
        (changed("crawler", &"c".repeat(1025)), Reason::FeedMalformed),
        (changed("\"agents\":", "\"agent\":"), Reason::FeedMalformed),
        (changed(&"04".repeat(32), &"04".repeat(31)), Reason::FeedMalformed),
        (changed("\"key\":", "\"kez\":"), Reason::FeedMalformed),
    ];
    for (text, reason) in table {
        assert_eq!(load(&text).err(), Some(reason), "{text}");
    }
}

#[test]
fn a_snapshot_beyond_its_bounds_is_neither_signed_nor_loaded() {
    assert_eq!(load(&"A".repeat(MAX_BYTES + 1)).err(), Some(Reason::FeedTooLarge));
    let many = |count: usize| (0..count).map(|index| TaskId((index as u128).to_be_bytes())).collect();
    let task_list = |count| revoking(Entries { tasks: many(count), ..Entries::default() });
    assert_eq!(task_list(form::MAX_ENTRIES + 1).sign(&SEED), Err(Reason::FeedTooLarge));
    // within the number of entries, and too large as text
    let blocks = (0..60_000_u64).map(|index| BlockId(Sha256::digest(index.to_be_bytes()).into())).collect();
    assert_eq!(revoking(Entries { blocks, ..Entries::default() }).sign(&SEED), Err(Reason::FeedTooLarge));
    let large = task_list(80_000).sign(&SEED).unwrap();
    assert_eq!(load(&large).unwrap().list().revoked.tasks.len(), 80_000);
    assert_eq!(RevocationList { issuer: String::new(), ..list() }.sign(&SEED), Err(Reason::FeedMalformed));
    assert_eq!(RevocationList { sequence: 1 << 53, ..list() }.sign(&SEED), Err(Reason::FeedMalformed));
    let endless = Entries { keys: [([4; 32], u64::MAX)].into(), ..Entries::default() };
    assert_eq!(revoking(endless).sign(&SEED), Err(Reason::FeedMalformed));
}

#[test]
fn more_entries_than_the_bound_are_refused_when_read() {
    let items: Vec<_> = (0..=form::MAX_ENTRIES).map(|_| Value::Null).collect();
    let Value::Object(mut members) = list().to_json().unwrap() else { panic!("an object") };
    members.insert(crate::json::Key("tasks".to_owned()), Value::Array(items));
    assert_eq!(RevocationList::from_json(&Value::Object(members)).err(), Some(Reason::FeedTooLarge));
}

#[test]
fn a_snapshot_is_fresh_to_the_second_of_its_class() {
    let loaded = load(&list().sign(&SEED).unwrap()).unwrap();
    for (class, bound) in [(ToolClass::Read, 3600), (ToolClass::Write, 300), (ToolClass::Egress, 60), (ToolClass::Irreversible, 10)] {
        assert!(loaded.is_fresh(class, NOW));
        assert!(loaded.is_fresh(class, NOW + bound), "{class:?}");
        assert!(!loaded.is_fresh(class, NOW + bound + 1), "{class:?}");
        assert!(!loaded.is_fresh(class, NOW - 11), "a clock that stepped back: {class:?}");
    }
}

#[test]
fn a_class_has_one_name_and_the_strictest_stands_where_none_is_named() {
    for class in ToolClass::ALL {
        assert_eq!(ToolClass::from_name(class.name()), Some(class));
    }
    assert_eq!(ToolClass::from_name("Read"), None);
    assert_eq!(ToolClass::default(), ToolClass::Irreversible);
}

/// What the list becomes: an entry of each kind goes, comes or moves.
fn later() -> RevocationList {
    let mut revoked = list().revoked;
    revoked.blocks = [BlockId([2; 32]), BlockId([9; 32])].into();
    revoked.tasks = [].into();
    revoked.subjects.insert("p-1".to_owned(), NOW);
    revoked.agents.insert("worker".to_owned(), NOW);
    RevocationList { sequence: 9, issued: NOW + 4, revoked, ..list() }
}

fn delta(old: &RevocationList, new: &RevocationList) -> RevocationDelta {
    RevocationDelta {
        issuer: new.issuer.clone(),
        since: old.sequence,
        sequence: new.sequence,
        issued: new.issued,
        max_staleness: new.max_staleness,
        changes: Changes::between(&old.revoked, &new.revoked),
        result: new.digest().unwrap(),
    }
}

fn held() -> Revocations {
    load(&list().sign(&SEED).unwrap()).unwrap()
}

fn apply(text: &str) -> Result<RevocationList, Reason> {
    held().apply(text, &public_key(&SEED), NOW).map(|applied| applied.list)
}

#[test]
fn a_delta_leads_to_the_very_snapshot_that_it_names() {
    let (old, new) = (list(), later());
    let text = delta(&old, &new).sign(&SEED).unwrap();
    let applied = held().apply(&text, &public_key(&SEED), NOW).unwrap();
    assert_eq!(applied.list(), &new);
    // what was applied and what is loaded are one, so either follows the other
    let loaded = load(&new.sign(&SEED).unwrap()).unwrap();
    assert_eq!(loaded.follows(&applied), Ok(()));
    assert_eq!(applied.follows(&loaded), Ok(()));
    // whoever asks does not need to know which of the two comes
    let update = |text: &str, previous: Option<&Revocations>| Revocations::update(text, &public_key(&SEED), ISSUER, previous, NOW);
    assert_eq!(update(&text, Some(&held())).unwrap().list(), &new);
    assert_eq!(update(&new.sign(&SEED).unwrap(), Some(&held())).unwrap().list(), &new);
    assert_eq!(update(&text, None).err(), Some(Reason::FeedSignature));
}

#[test]
fn a_delta_of_another_signer_issuer_time_or_base_is_refused() {
    let good = delta(&list(), &later());
    assert_eq!(apply(&good.sign(&[6; 32]).unwrap()), Err(Reason::FeedSignature));
    assert_eq!(apply(&later().sign(&SEED).unwrap()), Err(Reason::FeedSignature), "a snapshot is no delta");
    let changed = |change: &dyn Fn(&mut RevocationDelta)| {
        let mut delta = good.clone();
        change(&mut delta);
        apply(&delta.sign(&SEED).unwrap()).err()
    };
    assert_eq!(changed(&|_| {}), None);
    assert_eq!(changed(&|delta| delta.issuer = "https://other.example".to_owned()), Some(Reason::FeedIssuer));
    assert_eq!(changed(&|delta| delta.issued = NOW + 11), Some(Reason::FeedAhead));
    assert_eq!(changed(&|delta| (delta.since, delta.sequence) = (5, 6)), Some(Reason::FeedRolledBack));
    assert_eq!(changed(&|delta| delta.since = 6), Some(Reason::FeedDeltaBase));
    assert_eq!(changed(&|delta| delta.since = 8), Some(Reason::FeedDeltaBase));
    assert_eq!(changed(&|delta| delta.since = 9), Some(Reason::FeedMalformed));
    // whatever it leaves out or adds, it leads elsewhere
    assert_eq!(changed(&|delta| delta.result[0] ^= 1), Some(Reason::FeedDeltaResult));
    assert_eq!(changed(&|delta| delta.max_staleness.read += 1), Some(Reason::FeedDeltaResult));
    assert_eq!(changed(&|delta| assert!(delta.changes.added.blocks.pop_first().is_some())), Some(Reason::FeedDeltaResult));
    assert_eq!(changed(&|delta| assert!(delta.changes.removed.tasks.pop_first().is_some())), Some(Reason::FeedDeltaResult));
    assert_eq!(changed(&|delta| assert!(delta.changes.removed.tasks.insert(TaskId([8; 16])))), Some(Reason::FeedDeltaResult));
    assert_eq!(changed(&|delta| assert!(delta.changes.added.blocks.insert(BlockId([2; 32])))), Some(Reason::FeedDeltaResult));
}

#[test]
fn a_delta_of_another_form_is_refused() {
    let good = delta(&list(), &later()).to_json().unwrap().canonical();
    let signed = |payload: &str| {
        let signature = sign(&SEED, &message(DELTA, payload.as_bytes()));
        format!("{}.{}", URL_SAFE_NO_PAD.encode(payload), URL_SAFE_NO_PAD.encode(signature))
    };
    assert!(apply(&signed(&good)).is_ok());
    for (from, to) in [
        ("\"since\":7", "\"sinse\":7"),
        ("\"added\":{", "\"added\":{\"a\":[],"),
        ("\"removed\":{\"agents\":[]", "\"removed\":{\"agents\":{}"),
        ("\"result\":\"", "\"result\":\"00"),
        ("\"sequence\":9", "\"sequence\":7"),
    ] {
        assert!(good.contains(from), "no `{from}` in {good}");
        assert_eq!(apply(&signed(&good.replacen(from, to, 1))), Err(Reason::FeedMalformed), "{from}");
    }
    assert_eq!(apply(&signed(&format!(" {good}"))), Err(Reason::JsonNotCanonical));
    assert_eq!(apply(""), Err(Reason::FeedMalformed));
}
