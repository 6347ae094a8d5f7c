//! Sessions: the exchange, the key and the MAC written out a second time, from `docs/token-format.md`.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};

use super::{Cases, Vector};
use crate::tokens::{AUDIENCE, EXECUTOR, NOW, Seed, THIEF, hex, statement};

/// A session from its opening on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionVector {
    /// What the case shows.
    pub about: String,
    /// The secrets of both sides, so that either can be played.
    pub seeds: SessionSeeds,
    /// The newest block of the token that the opening came with, in hex.
    pub block: String,
    /// Who decides.
    pub audience: String,
    /// When opening and acceptance are looked at, in seconds since the Unix epoch.
    pub now: u64,
    /// The holder's statement.
    pub open: String,
    /// The tool's statement; without one the case ends with the opening.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept: Option<String>,
    /// The call that all proofs are presented for; without one the case ends with the acceptance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<SessionCall>,
    /// The answer, to the last proof where there are proofs; all before it are accepted.
    pub expect: SessionAnswer,
}

/// Secrets in hex.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSeeds {
    /// The holder's Ed25519 seed.
    pub holder: String,
    /// The tool's Ed25519 seed.
    pub tool: String,
    /// The secret of the holder's X25519 ephemeral.
    pub holder_ephemeral: String,
    /// The secret of the tool's X25519 ephemeral.
    pub tool_ephemeral: String,
}

/// A call within a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionCall {
    /// The newest block's id in hex.
    pub block: String,
    /// The tool's name.
    pub tool: String,
    /// The digest of the arguments in hex.
    pub args_digest: String,
    /// Who decides.
    pub audience: String,
    /// When the proofs are looked at, in seconds since the Unix epoch.
    pub now: u64,
    /// The session proofs, one after the other.
    pub proofs: Vec<String>,
}

/// What becomes of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum SessionAnswer {
    /// Everything is accepted.
    Accepted {
        /// Whose word the last call is, or `none` where there is no call.
        evidence: String,
    },
    /// It is refused.
    Refused {
        /// The code of the refusal.
        reason: String,
    },
}

pub(super) fn cases(cases: &mut Cases) {
    openings(cases);
    acceptances(cases);
    calls(cases);
}

fn openings(cases: &mut Cases) {
    let text = |change: &dyn Fn(String) -> String, tag, seed| statement(tag, &change(open_payload()), seed);
    let same = |payload: String| payload;
    let good = text(&same, OPEN, &EXECUTOR.seed);
    cases.add("session_open", vector("a holder asks for a session", &good, None, None, accepted("none")));
    let oldest = vector("an opening is good for 60 seconds", &good, None, None, accepted("none"));
    cases.add("session_open_oldest", Vector::Session(SessionVector { now: NOW + 60, ..session(oldest) }));
    let late = vector("an opening of 61 seconds ago", &good, None, None, refused("PROOF_TIME"));
    cases.add("session_open_stale", Vector::Session(SessionVector { now: NOW + 61, ..session(late) }));
    let hour = NOW + 3600;
    let replaced = |from: &str, to: &str| {
        let payload = open_payload();
        assert!(payload.contains(from), "{from}");
        statement(OPEN, &payload.replace(from, to), &EXECUTOR.seed)
    };
    let exp = format!(r#""exp":{}"#, NOW + 600);
    let list = r#"["crm.read","crm.tag"]"#;
    let many: Vec<_> = (0..65).map(|number| format!(r#""t{number:02}""#)).collect();
    for (name, about, text, reason) in [
        ("by_thief", "a thief of the bytes asks", text(&same, OPEN, &THIEF.seed), "PROOF_SIGNATURE"),
        ("other_tag", "signed under the tag of acceptances", text(&same, ACCEPT, &EXECUTOR.seed), "PROOF_SIGNATURE"),
        ("other_block", "for another token", replaced(&block(), &"02".repeat(32)), "PROOF_MISMATCH"),
        ("other_audience", "for another audience", replaced(AUDIENCE, "https://mail.example"), "PROOF_MISMATCH"),
        ("over_an_hour", "for an hour and a second", replaced(&exp, &format!(r#""exp":{}"#, hour + 1)), "SESSION_LIFETIME"),
        ("ended", "its end is now", replaced(&exp, &format!(r#""exp":{NOW}"#)), "SESSION_EXPIRED"),
        ("no_tool", "for no tool", replaced(list, "[]"), "SESSION_MALFORMED"),
        ("tool_twice", "a tool is named twice", replaced(list, r#"["crm.read","crm.read"]"#), "SESSION_MALFORMED"),
        ("unsorted_tools", "tools out of order", replaced(list, r#"["crm.tag","crm.read"]"#), "SESSION_MALFORMED"),
        ("too_many_tools", "65 tools", replaced(list, &format!("[{}]", many.join(","))), "SESSION_MALFORMED"),
        ("long_name", "a name of 129 bytes", replaced(list, &format!(r#"["{}"]"#, "x".repeat(129))), "SESSION_MALFORMED"),
        ("short_key", "an ephemeral of 31 bytes", replaced(&encode(&public(&HOLDER_EPHEMERAL)), &encode(&[9; 31])), "PROOF_MALFORMED"),
        ("further_member", "a member that the profile does not have", replaced(r#"{"aud""#, r#"{"a":1,"aud""#), "PROOF_MALFORMED"),
        ("spaced", "a space after a colon", replaced(r#""iat":"#, r#""iat": "#), "JSON_NOT_CANONICAL"),
    ] {
        cases.add(&format!("session_open_{name}"), vector(about, &text, None, None, refused(reason)));
    }
    let hour = replaced(&exp, &format!(r#""exp":{hour}"#));
    cases.add("session_open_for_an_hour", vector("an hour is the longest session", &hour, None, None, accepted("none")));
}

fn acceptances(cases: &mut Cases) {
    let open = open();
    let case = |about, accept: &str, expect| vector(about, &open, Some(accept), None, expect);
    cases.add("session_accept", case("the tool grants one of two tools and less time", &accept(&open), accepted("none")));
    let replaced = |from: &str, to: &str| {
        let payload = accept_payload(&open);
        assert!(payload.contains(from), "{from}");
        statement(ACCEPT, &payload.replace(from, to), &TOOL)
    };
    let exp = format!(r#""exp":{}"#, NOW + 300);
    let key = encode(&public(&TOOL_EPHEMERAL));
    let order_eight = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800";
    let order_eight: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&order_eight[2 * at..2 * at + 2], 16).unwrap()).collect();
    for (name, about, text, reason) in [
        (
            "by_other_key",
            "signed by a key that is not pinned",
            statement(ACCEPT, &accept_payload(&open), &THIEF.seed),
            "SESSION_ACCEPT_SIGNATURE",
        ),
        ("other_tag", "signed under another tag", statement(OPEN, &accept_payload(&open), &TOOL), "SESSION_ACCEPT_SIGNATURE"),
        ("of_other_opening", "it answers another opening", replaced(&encode(&Sha256::digest(&open)), &encode(&[0; 32])), "PROOF_MISMATCH"),
        ("tool_not_asked", "a tool that was not asked for", replaced(r#"["crm.read"]"#, r#"["crm.wipe"]"#), "SESSION_TOOL"),
        ("no_tool", "no tool", replaced(r#"["crm.read"]"#, "[]"), "SESSION_MALFORMED"),
        ("longer", "a later end than was asked for", replaced(&exp, &format!(r#""exp":{}"#, NOW + 601)), "SESSION_LIFETIME"),
        ("ended", "its end is now", replaced(&exp, &format!(r#""exp":{NOW}"#)), "SESSION_EXPIRED"),
        ("zero_key", "an ephemeral of all zeros", replaced(&key, &encode(&[0; 32])), "SESSION_KEY"),
        ("small_order_key", "an ephemeral of order eight", replaced(&key, &encode(&order_eight)), "SESSION_KEY"),
        ("short_id", "a session id of 15 bytes", replaced(&encode(&ID), &encode(&[5; 15])), "PROOF_MALFORMED"),
        ("further_member", "a member that the profile does not have", replaced(r#"{"exp""#, r#"{"a":1,"exp""#), "PROOF_MALFORMED"),
    ] {
        cases.add(&format!("session_accept_{name}"), case(about, &text, refused(reason)));
    }
}

fn calls(cases: &mut Cases) {
    let open = open();
    let accept = accept(&open);
    let key = session_key(&open, &accept);
    let proof = |counter| proof(&key, counter, &block(), "crm.read", &[2; 32], AUDIENCE);
    let call = |proofs: &[String]| SessionCall {
        block: block(),
        tool: "crm.read".to_owned(),
        args_digest: "02".repeat(32),
        audience: AUDIENCE.to_owned(),
        now: NOW + 1,
        proofs: proofs.to_vec(),
    };
    let case = |about, call, expect| vector(about, &open, Some(&accept), Some(call), expect);
    let word = || accepted("tool_word");
    cases.add("session_call", case("the first call of a session", call(&[proof(1)]), word()));
    cases.add("session_call_skips", case("counters may leave some out", call(&[proof(1), proof(7), proof(u64::MAX)]), word()));
    let last = SessionCall { now: NOW + 299, ..call(&[proof(1)]) };
    cases.add("session_call_last_second", case("the last second of the session", last, word()));
    let first = proof(1);
    let bytes = URL_SAFE_NO_PAD.decode(&first).unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        URL_SAFE_NO_PAD.encode(bytes)
    };
    let other = SessionCall { block: "02".repeat(32), ..call(&[proof(1)]) };
    for (name, about, call, reason) in [
        ("again", "the same proof a second time", call(&[proof(1), proof(1)]), "SESSION_COUNTER"),
        ("below", "a counter below one that was accepted", call(&[proof(5), proof(4)]), "SESSION_COUNTER"),
        ("zero", "a counter of zero", call(&[proof(0)]), "SESSION_COUNTER"),
        ("changed_counter", "the counter raised, the MAC left", call(&[with(24, 9)]), "SESSION_MAC"),
        ("changed_mac", "one bit of the MAC", call(&[with(56, bytes[56] ^ 1)]), "SESSION_MAC"),
        ("other_arguments", "other arguments", SessionCall { args_digest: "03".repeat(32), ..call(&[proof(1)]) }, "SESSION_MAC"),
        (
            "other_tool",
            "a tool of the opening that was not granted",
            SessionCall { tool: "crm.tag".into(), ..call(&[proof(1)]) },
            "SESSION_TOOL",
        ),
        ("other_block", "another token", other, "PROOF_MISMATCH"),
        (
            "other_audience",
            "another audience",
            SessionCall { audience: "https://mail.example".into(), ..call(&[proof(1)]) },
            "PROOF_MISMATCH",
        ),
        ("other_session", "the id of another session", call(&[with(1, 9)]), "SESSION_UNKNOWN"),
        ("other_version", "version 2", call(&[with(0, 2)]), "SESSION_MALFORMED"),
        ("padded", "padded base64", call(&[format!("{first}=")]), "SESSION_MALFORMED"),
        ("ended", "the session has ended", SessionCall { now: NOW + 300, ..call(&[proof(1)]) }, "SESSION_EXPIRED"),
    ] {
        cases.add(&format!("session_call_{name}"), case(about, call, refused(reason)));
    }
}

fn open() -> String {
    statement(OPEN, &open_payload(), &EXECUTOR.seed)
}

fn open_payload() -> String {
    let (block, key, nonce) = (block(), encode(&public(&HOLDER_EPHEMERAL)), encode(&[3; 16]));
    let end = NOW + 600;
    format!(
        r#"{{"aud":"{AUDIENCE}","block":"{block}","exp":{end},"iat":{NOW},"key":"{key}","nonce":"{nonce}","tools":["crm.read","crm.tag"]}}"#
    )
}

fn accept(open: &str) -> String {
    statement(ACCEPT, &accept_payload(open), &TOOL)
}

fn accept_payload(open: &str) -> String {
    let (key, open, id) = (encode(&public(&TOOL_EPHEMERAL)), encode(&Sha256::digest(open)), encode(&ID));
    format!(r#"{{"exp":{},"key":"{key}","open":"{open}","session":"{id}","tools":["crm.read"]}}"#, NOW + 300)
}

/// HKDF-SHA256 (RFC 5869) for one block of output.
fn session_key(open: &str, accept: &str) -> [u8; 32] {
    let shared = StaticSecret::from(HOLDER_EPHEMERAL).diffie_hellman(&PublicKey::from(public(&TOOL_EPHEMERAL)));
    let extracted = mac(&Sha256::digest(format!("{open}{accept}")), shared.as_bytes());
    mac(&extracted, b"narrows/session/1\x01")
}

fn proof(key: &[u8; 32], counter: u64, block: &str, tool: &str, args_digest: &[u8; 32], audience: &str) -> String {
    let block: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&block[2 * at..2 * at + 2], 16).unwrap()).collect();
    let counter = counter.to_be_bytes();
    let mut message = [b"narrows/session-call/1\0".as_slice(), &ID, &counter, &block, args_digest].concat();
    for text in [tool, audience] {
        message.extend((text.len() as u64).to_be_bytes());
        message.extend(text.bytes());
    }
    encode(&[&[1], ID.as_slice(), &counter, &mac(key, &message)].concat())
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(message).finalize().into_bytes().into()
}

fn vector(about: &str, open: &str, accept: Option<&str>, call: Option<SessionCall>, expect: SessionAnswer) -> Vector {
    Vector::Session(SessionVector {
        about: about.to_owned(),
        seeds: SessionSeeds {
            holder: hex(&EXECUTOR.seed),
            tool: hex(&TOOL),
            holder_ephemeral: hex(&HOLDER_EPHEMERAL),
            tool_ephemeral: hex(&TOOL_EPHEMERAL),
        },
        block: block(),
        audience: AUDIENCE.to_owned(),
        now: NOW,
        open: open.to_owned(),
        accept: accept.map(str::to_owned),
        call,
        expect,
    })
}

fn session(vector: Vector) -> SessionVector {
    let Vector::Session(vector) = vector else { panic!("a session") };
    vector
}

fn accepted(evidence: &str) -> SessionAnswer {
    SessionAnswer::Accepted { evidence: evidence.to_owned() }
}

fn refused(reason: &str) -> SessionAnswer {
    SessionAnswer::Refused { reason: reason.to_owned() }
}

fn public(secret: &Seed) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(*secret)).to_bytes()
}

fn block() -> String {
    "01".repeat(32)
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

const OPEN: &str = "narrows/session-open/1";
const ACCEPT: &str = "narrows/session-accept/1";
const TOOL: Seed = [40; 32];
const HOLDER_EPHEMERAL: Seed = [41; 32];
const TOOL_EPHEMERAL: Seed = [42; 32];
const ID: [u8; 16] = [5; 16];
