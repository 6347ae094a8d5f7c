//! The table of keys against the leaves.

use narrows_verifier::{Reason, RootState};

use super::*;
use crate::store::KeyRow;
use crate::store::sqlite_tamper::tamper;

fn row(key: u8, state: Option<RootState>) -> KeyRow {
    let spared_below = (state == Some(RootState::Tainted)).then_some(1);
    KeyRow { key: [key; 32], state, not_before: Some(5), not_after: Some(9), spared_below, asked: "an order".to_owned() }
}

/// A log that says of one key that it was prepared and tainted, and of another that it was taken away.
async fn said(place: &Place) -> Vec<KeyRow> {
    let log = place.log();
    let all = [row(1, Some(RootState::Prepared)), row(1, Some(RootState::Tainted)), row(2, None)];
    for row in &all {
        log.append_key(row, false).await.unwrap();
    }
    assert_eq!(log.root_keys().unwrap(), all[1..]);
    all[1..].to_vec()
}

/// As a log was before it had the tables.
fn take_back(place: &Place) {
    tamper(&place.database(), "DROP TABLE root_key; DROP TABLE unread_key; PRAGMA user_version = 5;");
}

#[tokio::test]
async fn a_table_of_keys_that_is_not_what_the_leaves_say_is_found_and_not_opened() {
    let changes = [
        ("UPDATE root_key SET state = 'active', spared_below = NULL WHERE state = 'tainted'", true),
        ("UPDATE root_key SET spared_below = 7 WHERE state = 'tainted'", true),
        ("UPDATE root_key SET not_after = NULL", true),
        ("UPDATE root_key SET idx = 1 WHERE state = 'tainted'", true),
        ("UPDATE root_key SET idx = 0", true),
        ("UPDATE root_key SET idx = 99", true),
        ("INSERT INTO root_key SELECT zeroblob(32), state, not_before, not_after, spared_below, asked, idx FROM root_key LIMIT 1", true),
        ("DELETE FROM root_key WHERE state = 'tainted'", false),
        ("DELETE FROM root_key", false),
    ];
    for (change, at_start) in changes {
        let place = Place::new();
        said(&place).await;
        assert_eq!(place.check().unwrap().keys, 2);
        tamper(&place.database(), change);
        assert_eq!(place.check().unwrap_err().reason, Reason::LogKeysChanged, "{change}");
        if at_start {
            assert_eq!(place.try_open().err().unwrap().reason(), Reason::LogKeysChanged, "{change}");
        }
    }
}

#[tokio::test]
async fn leaves_of_before_the_table_are_read_into_it() {
    let place = Place::new();
    let rows = said(&place).await;
    // As leaves were before they said times.
    let old: Vec<_> = [("key", "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk"), ("role", "issuer"), ("state", "retired")]
        .map(|(name, value)| disclosure(name, value))
        .into();
    let leaf = committing(Leaf::draft(Kind::Key, entry(77), TraceId::new([9; 16])), &old.iter().collect::<Vec<_>>());
    let other: Vec<_> = [("key", "AAAA"), ("role", "feed"), ("state", "active")].map(|(name, value)| disclosure(name, value)).into();
    let of_feed = committing(Leaf::draft(Kind::Key, entry(78), TraceId::new([9; 16])), &other.iter().collect::<Vec<_>>());
    let log = place.open();
    appended(&log, leaf, old.into_iter().map(SideRow::disclosure).collect()).await;
    appended(&log, of_feed, other.into_iter().map(SideRow::disclosure).collect()).await;
    drop(log);
    take_back(&place);
    let log = place.open();
    let mut expected: Vec<_> = rows.into_iter().map(|row| KeyRow { asked: String::new(), ..row }).collect();
    expected.push(KeyRow { key: [9; 32], not_before: None, not_after: None, asked: String::new(), ..row(9, Some(RootState::Retired)) });
    assert_eq!(log.root_keys().unwrap(), expected);
    assert_eq!(log.unread_key().unwrap(), None);
    drop(log);
    assert_eq!(place.check().unwrap().keys, 3);
}

#[tokio::test]
async fn a_leaf_of_which_nothing_says_what_it_means_stays_unread_until_somebody_says_it() {
    let place = Place::new();
    said(&place).await;
    take_back(&place);
    tamper(&place.database(), "DELETE FROM disclosure WHERE entry = (SELECT entry FROM leaf WHERE idx = 2)");
    let log = place.open();
    assert_eq!(log.unread_key().unwrap(), Some(2));
    assert_eq!(log.root_keys().unwrap().len(), 2, "as far as the others can be read");
    drop(log);
    let tainted = KeyRow { asked: "the file".to_owned(), ..row(1, Some(RootState::Tainted)) };
    let mut keys = LoggedKeys::open(&place.database()).unwrap();
    assert!(keys.has_unread().unwrap());
    let back = KeyRow { key: [2; 32], ..row(2, Some(RootState::Prepared)) };
    assert_eq!(keys.accept(&[tainted.clone(), back]).unwrap_err().reason(), Reason::KeySetBehind, "what was taken away");
    keys.accept(std::slice::from_ref(&tainted)).unwrap();
    assert!(!keys.has_unread().unwrap());
    assert!(keys.rows().unwrap().contains(&tainted));
    drop(keys);
    assert_eq!(place.check().unwrap().keys, 2);
    assert_eq!(place.open().unread_key().unwrap(), None);
}

#[tokio::test]
async fn keys_come_back_with_a_copy_of_the_database_and_not_with_bundles() {
    let place = Place::new();
    let copy = Place::new();
    drop(place.log());
    let settings = || Settings {
        anchor: Some(AnchorPlace { path: place.directory.join("log.anchor"), lag: Duration::ZERO, accept_missing: false }),
        ..patient()
    };
    let open = || Log::open(&place.database(), signer(), clock(NOW_MS), settings()).unwrap();
    drop(open());
    for name in ["log.db", "subjects.db"] {
        std::fs::copy(place.directory.join(name), copy.directory.join(name)).unwrap();
    }
    let log = open();
    log.append_key(&row(1, Some(RootState::Tainted)), false).await.unwrap();
    let tile = log.tile(&TilePath::new(TileKind::Entries, 0, 2).unwrap()).unwrap().unwrap();
    let rows = log.root_keys().unwrap();
    drop(log);
    let newer = Place::new();
    for name in ["log.db", "subjects.db"] {
        std::fs::copy(place.directory.join(name), newer.directory.join(name)).unwrap();
    }
    let bundles = newer.directory.join("tiles");
    let path = bundles.join(TilePath::new(TileKind::Entries, 0, 2).unwrap().to_string());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, tile).unwrap();
    for (source, expected, unread) in [(Source::Database(newer.database()), rows, None), (Source::Bundles(bundles), Vec::new(), Some(1))] {
        for ending in ["log.db-wal", "log.db-shm"] {
            let _ = std::fs::remove_file(place.directory.join(ending));
        }
        std::fs::copy(copy.database(), place.database()).unwrap();
        assert_eq!(replay(&place.database(), &verifier_key(), &place.directory.join("log.anchor"), &source).unwrap(), 1);
        let log = open();
        assert_eq!((log.root_keys().unwrap(), log.unread_key().unwrap()), (expected, unread), "{source:?}");
    }
}

/// What the table of clients or keys of a log that follows another says, a leaf of that log says too.
#[tokio::test]
async fn clients_and_keys_of_the_log_before_have_leaves_of_their_own_in_the_next() {
    let place = Place::new();
    let client = |id: &str, disabled| {
        let text =
            format!("{{\"id\":\"{id}\",\"auth_method\":\"client_secret_basic\",\"secret_hashes\":[\"sha256:{}\"]}}", "ab".repeat(32));
        crate::clients::Registration::from_stored(&text, disabled).expect("a client")
    };
    let kept = Kept {
        clients: vec![client("planner", false), client("gone", true)],
        keys: vec![row(1, Some(RootState::Tainted)), row(2, None)],
        ..Kept::default()
    };
    let previous = Previous { checkpoint: "the last".to_owned(), cause: "lost".to_owned(), kept };
    Log::init_after(&place.database(), &signer(), opening(), &previous).unwrap();
    let report = place.check().unwrap();
    assert_eq!((report.size, report.clients, report.keys), (5, 2, 2));
    let log = place.open();
    assert_eq!(
        log.root_keys().unwrap()[0],
        KeyRow { spared_below: None, asked: "recovery".to_owned(), ..row(1, Some(RootState::Tainted)) }
    );
    assert_eq!(crate::clients::Clients::new(&[], Arc::clone(log.registered())).page(None, 9).len(), 2);
    drop(log);
    for (change, reason) in [
        ("UPDATE client SET disabled = 0", Reason::LogClientsChanged),
        ("UPDATE client SET entry = replace(entry, 'abab', 'cdcd') WHERE id = 'planner'", Reason::LogClientsChanged),
        ("UPDATE client SET idx = 0 WHERE id = 'planner'", Reason::LogClientsChanged),
        (
            "INSERT INTO client SELECT 'mallory', replace(entry, 'planner', 'mallory'), 0, 0 FROM client WHERE id = 'planner'",
            Reason::LogClientsChanged,
        ),
        ("DELETE FROM client WHERE id = 'gone'", Reason::LogClientsChanged),
        ("UPDATE root_key SET idx = 0", Reason::LogKeysChanged),
    ] {
        let tampered = Place::new();
        for name in ["log.db", "subjects.db"] {
            std::fs::copy(place.directory.join(name), tampered.directory.join(name)).unwrap();
        }
        tamper(&tampered.database(), change);
        assert_eq!(tampered.check().unwrap_err().reason, reason, "{change}");
    }
}
