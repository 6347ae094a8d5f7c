//! The log as a stranger reads it who has the C2SP specifications and nothing of ours: SHA-256, Ed25519, base64.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as BASE64URL},
};
use ed25519_dalek::{Signature, VerifyingKey};
use narrows::HolderKey;
use narrows_tests::{
    http::{Answer, client, get, send},
    issuer::Issuer,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::trusting;

type Hash = [u8; 32];

#[tokio::test]
async fn the_log_can_be_read_by_a_stranger() {
    let (mut issuer, provider) = trusting("[log]\npublic = true\n").await;
    fill(&issuer, &provider.login("bob"), 280).await;
    let earlier = issuer.log_size().await;
    fill(&issuer, &provider.login("bob"), 20).await;
    issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;

    let keys = get(&issuer.at("/.well-known/narrows-keys")).await.granted();
    let (size, root) = checkpoint(&issuer, &keys).await;
    assert_eq!(size, 303);

    let mut entries = Vec::new();
    for (tile, count) in [(0, 256), (1, size - 256)] {
        entries.extend(bundle(&immutable(get(&path(&issuer, "entries", tile, count)).await)));
    }
    assert_eq!(entries.len() as u64, size);
    let leaves: Vec<Hash> = entries.iter().map(|entry| hashed(&[&[0], entry])).collect();
    assert_eq!(tree(&leaves), root, "the root of the checkpoint is that of the entries");

    let level_0 = [immutable(get(&path(&issuer, "0", 0, 256)).await), immutable(get(&path(&issuer, "0", 1, size - 256)).await)].concat();
    assert_eq!(level_0, leaves.concat(), "hash tiles of level 0 are the hashes of the entries");
    let level_1 = immutable(get(&path(&issuer, "1", 0, 1)).await);
    assert_eq!(level_1, tree(&leaves[..256]), "a hash of level 1 covers a full tile");
    let shorter = immutable(get(&path(&issuer, "0", 1, earlier - 256)).await);
    assert_eq!(shorter, leaves[256..282].concat(), "the partial tile of an earlier checkpoint can still be had");

    for absent in [
        path(&issuer, "0", 1, size - 255),
        path(&issuer, "0", 1, 256),
        path(&issuer, "0", 2, 256),
        path(&issuer, "0", 2, 1),
        path(&issuer, "1", 0, 2),
        path(&issuer, "1", 0, 256),
        path(&issuer, "2", 0, 1),
        path(&issuer, "entries", 1, size - 255),
        path(&issuer, "entries", 2, 1),
        issuer.at("/log/tile/0/0"),
        issuer.at("/log/tile/0/000.p/0"),
        issuer.at("/log/tile/0/000.p/256"),
        issuer.at("/log/tile/64/000"),
        issuer.at("/log/tile/x/000"),
        issuer.at("/log/tile/entries/..%2f..%2flog.db"),
    ] {
        get(&absent).await.refused(404, "ROUTE_UNKNOWN", &absent);
    }
    let first: Value = serde_json::from_slice(&entries[0]).unwrap();
    assert_eq!((&first["kind"], &first["origin"]), (&Value::from("log.open"), &keys["log"]["origin"]));
    assert!(entries.iter().all(|entry| !entry.windows(5).any(|window| window == b"alice")), "no entry holds a name");

    issuer.stop();
    issuer.configure("[log]\npublic = false\n", narrows_tests::issuer::PACK);
    issuer.start().await;
    assert_eq!(checkpoint(&issuer, &keys).await, (size, root), "a restart changes nothing");
    get(&path(&issuer, "entries", 0, 256)).await.refused(403, "ENTRIES_PRIVATE", "a full bundle");
    get(&path(&issuer, "entries", 1, 1)).await.refused(403, "ENTRIES_PRIVATE", "a partial bundle");
    assert_eq!(immutable(get(&path(&issuer, "0", 0, 256)).await), leaves[..256].concat(), "hashes stay public");
}

/// Denials are leaves too, and the quickest ones to make.
async fn fill(issuer: &Issuer, login: &str, count: usize) {
    let (http, address) = (client(), issuer.at("/oauth/token"));
    for _ in 0..count / 20 {
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..20 {
            waiting.spawn(send(issuer.request(&HolderKey::generate(), login).request(&http, &address)));
        }
        for answer in waiting.join_all().await {
            assert_eq!(answer.reason(), "POLICY_DENIED");
        }
    }
}

/// c2sp.org/tlog-checkpoint and c2sp.org/signed-note: size and root, once the signature holds under the published key.
async fn checkpoint(issuer: &Issuer, keys: &Value) -> (u64, Hash) {
    let answer = get(&issuer.at("/log/checkpoint")).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/plain; charset=utf-8"));
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let note = answer.text();
    let (text, signatures) = note.split_once("\n\n").unwrap();
    let signed = format!("{text}\n");

    let vkey = keys["log"]["vkey"].as_str().unwrap();
    let (name, rest) = vkey.split_once('+').unwrap();
    let (id, key) = rest.split_once('+').unwrap();
    let key = STANDARD.decode(key).unwrap();
    assert_eq!(key[0], 1, "Ed25519");
    let id: Vec<u8> = (0..4).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).unwrap()).collect();
    assert_eq!(id, Sha256::digest([name.as_bytes(), b"\n", &key].concat())[..4]);

    let line = signatures.lines().find_map(|line| line.strip_prefix(&format!("— {name} "))).unwrap();
    let signature = STANDARD.decode(line).unwrap();
    assert_eq!(signature[..4], id);
    let key = VerifyingKey::from_bytes(key[1..].try_into().unwrap()).unwrap();
    key.verify_strict(signed.as_bytes(), &Signature::from_slice(&signature[4..]).unwrap()).unwrap();

    let issuer_key = BASE64URL.decode(keys["issuer"][0]["public_key"].as_str().unwrap()).unwrap();
    assert_ne!(issuer_key, key.as_bytes(), "two keys for two jobs");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines[0], lines.len()), (name, 3));
    (lines[1].parse().unwrap(), STANDARD.decode(lines[2]).unwrap().try_into().unwrap())
}

/// c2sp.org/tlog-tiles: the address of a tile with this many hashes or entries; numbers here stay below 1000.
fn path(issuer: &Issuer, kind: &str, tile: u64, count: u64) -> String {
    let partial = if count == 256 { String::new() } else { format!(".p/{count}") };
    issuer.at(&format!("/log/tile/{kind}/{tile:03}{partial}"))
}

fn immutable(answer: Answer) -> Vec<u8> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    answer.bytes
}

/// Entries behind their lengths of two bytes, big-endian.
fn bundle(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    while let [high, low, rest @ ..] = bytes {
        let (entry, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        entries.push(entry.to_vec());
        bytes = rest;
    }
    assert!(bytes.is_empty());
    entries
}

/// The Merkle tree hash of RFC 6962 §2.1.
fn tree(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => hashed(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            hashed(&[&[1], &tree(left), &tree(right)])
        }
    }
}

fn hashed(parts: &[&[u8]]) -> Hash {
    parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().into()
}
