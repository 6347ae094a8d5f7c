use narrows_verifier::log::{
    OutOfRange, TileKind, consistency_proof, decode_entries, decode_tile, root, verify_checkpoint, verify_consistency,
};

use super::*;

#[derive(Debug)]
struct Missing;
impl From<OutOfRange> for Missing {
    fn from(_: OutOfRange) -> Self {
        Self
    }
}

fn fetch(log: &Log, path: &str) -> Option<Vec<u8>> {
    log.tile(&TilePath::parse(path).unwrap()).unwrap()
}

#[tokio::test]
async fn an_auditor_rebuilds_the_root_from_the_tiles_alone() {
    let place = Place::new();
    let log = place.log();
    let mut early = None;
    for number in 0..300 {
        appended(&log, mint(number), Vec::new()).await;
        if number == 99 {
            early = Some(log.checkpoint().unwrap());
        }
    }
    let keys = [verifier_key()];
    let head = verify_checkpoint(&log.checkpoint().unwrap(), &keys).unwrap();
    assert_eq!(head.size, 301);
    let mut hashes = decode_tile(&fetch(&log, "tile/0/000").unwrap(), 256).unwrap();
    hashes.extend(decode_tile(&fetch(&log, "tile/0/001.p/45").unwrap(), 45).unwrap());
    let mut leaves = Vec::new();
    for (path, width) in [("tile/entries/000", 256), ("tile/entries/001.p/45", 45)] {
        let bytes = fetch(&log, path).unwrap();
        leaves.extend(decode_entries(&bytes, width).unwrap().into_iter().map(<[u8]>::to_vec));
    }
    let mut frontier = Frontier::empty();
    let mut nodes = std::collections::HashMap::new();
    for (leaf, hash) in leaves.iter().zip(&hashes) {
        assert_eq!(leaf_hash(leaf), *hash);
        for node in frontier.append(*hash).unwrap() {
            nodes.insert((node.level, node.index), node.hash);
        }
    }
    assert_eq!(frontier.root(), head.root);
    assert_eq!(decode_tile(&fetch(&log, "tile/1/000.p/1").unwrap(), 1).unwrap(), [nodes[&(8, 0)]]);
    let read = |level, index| nodes.get(&(level, index)).copied().ok_or(Missing);
    let early = verify_checkpoint(&early.unwrap(), &keys).unwrap();
    assert_eq!(root(early.size, read).unwrap(), early.root);
    let proof = consistency_proof(early.size, head.size, read).unwrap();
    verify_consistency(early.size, head.size, &early.root, &head.root, &proof).unwrap();
    let report = check_pieces(&leaves, &log.checkpoint().unwrap(), &verifier_key(), Evidence::default()).unwrap();
    assert_eq!(report.size, 301);

    let (key, note) = (verifier_key(), log.checkpoint().unwrap());
    let mut pieces = Pieces::new(&note, &key, Evidence::default()).unwrap();
    let mut made: Vec<MadeTile> = leaves.iter().flat_map(|leaf| pieces.append(leaf).unwrap()).collect();
    assert_eq!(pieces.append(&leaves[1]).unwrap_err().reason, Reason::LogRootMismatch, "more than was signed is not taken");
    made.extend(pieces.finish().unwrap().1);
    let paths: Vec<String> = made.iter().map(|tile| tile.path.to_string()).collect();
    assert_eq!(paths, ["tile/0/000", "tile/0/001.p/45", "tile/1/000.p/1"]);
    for tile in &made {
        let mut served = fetch(&log, &tile.path.to_string()).unwrap();
        tile.compare(&served).unwrap();
        assert_eq!(tile.compare(&served[32..]).unwrap_err().reason, Reason::TileMalformed);
        *served.last_mut().unwrap() ^= 1;
        let found = tile.compare(&served).unwrap_err();
        let last = if tile.path.kind() == TileKind::Hashes(0) { tile.path.index() * 256 + u64::from(tile.path.width()) - 1 } else { 0 };
        assert_eq!((found.reason, found.index), (Reason::LogHashChanged, Some(last)), "the changed hash is named by its leaf");
    }
    let mut short = Pieces::new(&note, &key, Evidence::default()).unwrap();
    short.append(&leaves[0]).unwrap();
    assert_eq!(short.finish().unwrap_err().reason, Reason::LogTailMissing);
}

#[tokio::test]
async fn only_tiles_that_a_checkpoint_needs_are_served() {
    let place = Place::new();
    let log = place.log();
    appended(&log, mint(0), Vec::new()).await;
    for path in ["tile/0/000.p/1", "tile/0/000.p/2", "tile/entries/000.p/1", "tile/entries/000.p/2"] {
        assert!(fetch(&log, path).is_some(), "{path}");
    }
    for path in [
        "tile/0/000",
        "tile/0/000.p/3",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
        "tile/8/000.p/1",
        "tile/63/000",
        "tile/entries/000",
        "tile/entries/000.p/3",
        "tile/entries/x999/999",
    ] {
        assert!(fetch(&log, path).is_none(), "{path}");
    }
}

#[tokio::test]
async fn an_entry_is_found_by_id_and_index_with_a_valid_receipt() {
    let place = Place::new();
    let log = place.log();
    let (index, leaf, _) = appended(&log, mint(7), Vec::new()).await;
    appended(&log, mint(8), Vec::new()).await;
    let by_id = log.entry(&entry(7)).unwrap().unwrap();
    assert_eq!((by_id.index, &by_id.leaf), (index, &leaf));
    assert_eq!(narrows_verifier::log::verify(&by_id.receipt, &leaf, &[verifier_key()]).unwrap().size, 3);
    assert_eq!(log.proof(index).unwrap(), Some(by_id));
    assert_eq!(log.entry(&entry(9)).unwrap(), None);
    assert_eq!(log.proof(3).unwrap(), None);
}

#[tokio::test]
async fn a_task_shows_who_delegated_to_whom_as_far_as_names_are_disclosed() {
    let place = Place::new();
    let log = place.log();
    let shown = |name: &str, value: &str| SideRow::disclosure(disclosure(name, value));
    let minted = Leaf { blocks: vec![block(1)], ..mint(1) };
    appended(&log, minted, vec![shown("chain/0", "alice"), shown("chain/1", "planner"), shown("client", "planner")]).await;
    let hop = |number, blocks: &[u8], parent| Leaf {
        blocks: blocks.iter().copied().map(block).collect(),
        parents: vec![block(parent)],
        ..derivation(Kind::Hop, number, &["alice", "planner", "exe\u{1b}[2Jcutor\u{202e}"])
    };
    appended(&log, hop(2, &[1, 2], 1), vec![shown("chain/0", "alice"), shown("chain/2", "exe\u{1b}[2Jcutor\u{202e}")]).await;
    // Block 3 is a plain block that nobody reported; block 4 hangs on it.
    appended(&log, hop(3, &[1, 2, 3, 4], 3), Vec::new()).await;
    appended(&log, hop(4, &[9, 8], 9), Vec::new()).await;
    let trees = task_trees(&place.database(), None, 9).unwrap().0;
    let text = trees[0].to_string();
    let at = "2025-11-21T04:40:00Z · entry";
    let [first, second, third, fourth] = [1, 2, 3, 4].map(entry);
    let expected = format!(
        "task 01010101010101010101010101010101\n\
        person \"alice\"\n\
        └─ agent \"planner\" · mint · leaf 1 · {at} {first}\n\
        \u{20}     audience: withheld\n\
        \u{20}     client: \"planner\"\n\
        \u{20}     tools: withheld\n\
        \u{20}  └─ agent \"exe\\u{{1b}}[2Jcutor\\u{{202e}}\" · hop · leaf 2 · {at} {second}\n\
        \u{20}        caveats: withheld\n\
        \u{20}     └─ agent withheld · hop · leaf 3 · {at} {third}\n\
        \u{20}           caveats: withheld\n\
        \u{20}        └─ tool withheld · where this token may be presented; what tools decide is not in the log\n\
        person withheld\n\
        └─ agent withheld · hop · leaf 4 · {at} {fourth} · derived from a token that was not reported\n\
        \u{20}     caveats: withheld"
    );
    assert_eq!(text, expected);
    assert_eq!(task_trees(&place.database(), Some(&task(1)), 9).unwrap().0, trees);
    assert!(task_trees(&place.database(), Some(&task(2)), 9).unwrap().0.is_empty());
}
