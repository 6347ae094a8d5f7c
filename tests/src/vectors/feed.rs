//! Snapshots of the revocation feed: which are loaded, and which tokens pass them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use narrows_verifier::{BlockId, biscuit::AuthorityClaims};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Cases, FeedAnswer, FeedCheck, FeedVector, Root, Vector};
use crate::tokens::{
    AUTHORITY_CAVEATS, EXECUTOR, ISSUED, NOW, PLANNER, THIEF, WORKER, block_ids, caveats, claims, hex, hop, mint, plain, roots, sample,
    statement,
};

pub(super) fn cases(cases: &mut Cases) {
    loading(cases);
    forms(cases);
    looking_up(cases);
    staleness(cases);
    deltas(cases);
}

fn loading(cases: &mut Cases) {
    let good = || vector("a snapshot", &sign(&payload()));
    let accepted = |vector: FeedVector| Vector::Feed(vector);
    let full = with(&[
        ("blocks", json!([hex(&[1; 32]), hex(&[2; 32])])),
        ("tasks", json!([hex(&[3; 16])])),
        ("subjects", json!([{"before": NOW, "subject": "p-1"}, {"before": 0, "subject": "p-2"}])),
        ("agents", json!([{"agent": "crawler", "before": NOW}])),
        ("keys", json!([{"before": NOW + 5, "key": hex(&[4; 32])}])),
    ]);
    cases.add("feed", accepted(good()));
    cases.add("feed_full", accepted(vector("a snapshot with an entry of every kind", &sign(&full))));
    cases.add("feed_ahead", accepted(FeedVector { now: NOW - 10, about: "a clock may be 10 seconds behind".to_owned(), ..good() }));
    cases.add("feed_too_far_ahead", refused(FeedVector { now: NOW - 11, ..good() }, "issued 11 seconds ahead", "FEED_AHEAD"));
    let other = FeedVector { feed_key: hex(THIEF.key().as_bytes()), ..good() };
    cases.add("feed_other_key", refused(other, "signed by another key", "FEED_SIGNATURE"));
    let other = FeedVector { issuer: "https://other.example".to_owned(), ..good() };
    cases.add("feed_other_issuer", refused(other, "the snapshot of another issuer", "FEED_ISSUER"));
    let tag = FeedVector { text: statement("narrows/report/1", &text(&payload()), &FEED), ..good() };
    cases.add("feed_other_tag", refused(tag, "the same payload under another tag", "FEED_SIGNATURE"));
    let numbered = |number: u64| sign(&with(&[("sequence", json!(number))]));
    let after = |previous: String, next: String| FeedVector { previous: Some(previous), text: next, ..good() };
    let again = FeedVector { about: "the same snapshot again".to_owned(), ..after(numbered(7), numbered(7)) };
    cases.add("feed_again", accepted(again));
    let newer = FeedVector { about: "a newer snapshot".to_owned(), ..after(numbered(7), numbered(8)) };
    cases.add("feed_newer", accepted(newer));
    let older = after(numbered(7), numbered(6));
    cases.add("feed_rolled_back", refused(older, "an older snapshot than the one before", "FEED_ROLLED_BACK"));
    let changed = sign(&with(&[("sequence", json!(7)), ("issued", json!(NOW - 1))]));
    let changed = after(numbered(7), changed);
    cases.add("feed_two_of_one_number", refused(changed, "the same number with another content", "FEED_ROLLED_BACK"));
}

fn forms(cases: &mut Cases) {
    let mut refuse = |name: &str, about: &str, text: String, reason: &str| cases.add(name, refused(vector(about, &text), about, reason));
    let (one, two) = (hex(&[1; 32]), hex(&[2; 32]));
    let changed = |member: &str, value: Value| sign(&with(&[(member, value)]));
    let malformed = "FEED_MALFORMED";
    refuse("feed_empty_text", "no text", String::new(), malformed);
    refuse("feed_without_signature", "a payload alone", URL_SAFE_NO_PAD.encode(text(&payload())), malformed);
    refuse("feed_spaced", "a space after the first brace", signed(&text(&payload()).replacen('{', "{ ", 1)), "JSON_NOT_CANONICAL");
    refuse("feed_repeated_member", "a member twice", signed(&text(&payload()).replacen('{', "{\"blocks\":[],", 1)), malformed);
    refuse("feed_unknown_member", "a member that may have been meant to revoke more", changed("domains", json!([])), malformed);
    let mut missing = payload();
    missing.as_object_mut().expect("an object").remove("keys");
    refuse("feed_missing_member", "no list of keys", sign(&missing), malformed);
    refuse("feed_no_issuer", "an issuer without a name", changed("issuer", json!("")), malformed);
    refuse("feed_negative_sequence", "a negative number", changed("sequence", json!(-1)), malformed);
    let unknown = json!({"read": 3600, "write": 300, "egress": 60, "irreversible": 10, "delete": 5});
    refuse("feed_unknown_class", "a class of tools that does not exist", changed("max_staleness", unknown), malformed);
    let less = json!({"read": 3600, "write": 300, "egress": 60});
    refuse("feed_missing_class", "a class of tools without bound", changed("max_staleness", less), malformed);
    refuse("feed_descending", "blocks out of order", changed("blocks", json!([two, one])), malformed);
    refuse("feed_repeated_block", "a block twice", changed("blocks", json!([one, one])), malformed);
    refuse("feed_upper_case", "an id in capital letters", changed("blocks", json!([hex(&[0xab; 32]).to_uppercase()])), malformed);
    refuse("feed_short_task", "a task id of 15 bytes", changed("tasks", json!([hex(&[1; 15])])), malformed);
    let twice = json!([{"before": 1, "subject": "p-1"}, {"before": 2, "subject": "p-1"}]);
    refuse("feed_subject_twice", "two cut-offs for one subject", changed("subjects", twice), malformed);
    let twice = json!([{"agent": "a", "before": 1}, {"agent": "a", "before": 2}]);
    refuse("feed_agent_twice", "two cut-offs for one agent", changed("agents", twice), malformed);
    let text_time = json!([{"before": "1", "subject": "p-1"}]);
    refuse("feed_cut_off_text", "a cut-off that is a text", changed("subjects", text_time), malformed);
    let more = json!([{"before": 1, "key": one, "until": 2}]);
    refuse("feed_key_with_more", "an entry with an unknown member", changed("keys", more), malformed);
}

fn looking_up(cases: &mut Cases) {
    let token = hop(&hop(&sample(), &PLANNER, &EXECUTOR, "[]"), &EXECUTOR, &WORKER, "[]");
    let ids = block_ids(&token);
    let made_from = |ids: &[String]| {
        let lineage = ids.iter().map(|id| BlockId::from_hex(id).unwrap()).collect();
        mint(&AuthorityClaims { lineage, ..claims(caveats(AUTHORITY_CAVEATS)) })
    };
    let mut look = |name: &str, about: &str, token: &[u8], changes: &[(&str, Value)], reason: Option<&str>| {
        let vector = FeedVector { check: Some(check(token, "irreversible", NOW)), ..vector(about, &sign(&with(changes))) };
        cases.add(name, reason.map_or_else(|| Vector::Feed(vector.clone()), |reason| refused(vector.clone(), about, reason)));
    };
    let revoked = Some("REVOKED");
    let other = json!([hex(&[0xff; 32])]);
    look("feed_token", "nothing in the snapshot concerns the token", &token, &[("blocks", other)], None);
    for (index, id) in ids.iter().enumerate() {
        let about = format!("block {index} of the token");
        look(&format!("feed_block_{index}"), &about, &token, &[("blocks", json!([id]))], revoked);
    }
    look("feed_parent_stands", "a hop that the token does not have", &sample(), &[("blocks", json!([ids[1]]))], None);
    look("feed_lineage", "made from a token whose hop is revoked", &made_from(&ids), &[("blocks", json!([ids[1]]))], revoked);
    look("feed_lineage_stands", "made from the parent of what is revoked", &made_from(&ids[..2]), &[("blocks", json!([ids[2]]))], None);
    let narrowed = plain(&token, "[]");
    look("feed_plain_on_revoked", "a plain block after a revoked hop", &narrowed, &[("blocks", json!([ids[2]]))], revoked);
    look("feed_task", "the token's task", &token, &[("tasks", json!([hex(&[0x51; 16])]))], revoked);
    let subject = |before: u64| [("subjects", json!([{"before": before, "subject": "p-7f3a"}]))];
    look("feed_subject", "the subject's tokens issued before", &token, &subject(ISSUED + 1), revoked);
    look("feed_subject_later", "issued in the second of the cut-off", &token, &subject(ISSUED), None);
    let key = |before: u64| [("keys", json!([{"before": before, "key": EXECUTOR.hex()}]))];
    look("feed_key", "a holder in the middle of the chain", &token, &key(ISSUED + 1), revoked);
    look("feed_key_later", "issued in the second of the cut-off", &token, &key(ISSUED), None);
    look("feed_key_unused", "a holder that the token does not name", &sample(), &key(NOW), None);
    let agent = |name: &str, before: u64| [("agents", json!([{"agent": name, "before": before}]))];
    look("feed_agent", "an agent that a delegator named", &token, &agent("executor", ISSUED + 1), revoked);
    look("feed_agent_first", "the agent that the issuer named", &token, &agent("planner", ISSUED + 1), revoked);
    look("feed_agent_later", "issued in the second of the cut-off", &token, &agent("executor", ISSUED), None);
    look("feed_agent_other_case", "another agent", &token, &agent("Executor", NOW), None);
    let changed = |change: &dyn Fn(&mut AuthorityClaims)| {
        let mut claims = claims(caveats(AUTHORITY_CAVEATS));
        change(&mut claims);
        mint(&claims)
    };
    let foreign = changed(&|claims| claims.issuer = "https://other.example".to_owned());
    look("feed_foreign_token", "a token of an issuer for which the feed does not speak", &foreign, &[], Some("FEED_ISSUER"));
    let ahead = changed(&|claims| claims.issued = NOW + 11);
    look("feed_token_from_the_future", "no cut-off would reach it", &ahead, &[], Some("ISSUED_AHEAD"));
}

fn staleness(cases: &mut Cases) {
    for (class, age) in [("read", 3600), ("write", 300), ("egress", 60), ("irreversible", 10)] {
        let at = |age: u64, about: &str| FeedVector { check: Some(check(&sample(), class, NOW + age)), ..vector(about, &sign(&payload())) };
        cases.add(&format!("feed_oldest_{class}"), Vector::Feed(at(age, "as old as the class allows")));
        let about = "a second older than the class allows";
        cases.add(&format!("feed_stale_{class}"), refused(at(age + 1, about), about, "REVOCATIONS_STALE"));
    }
}

/// Deltas to the snapshot of number 7, whose only entries are a block and a cut-off.
fn deltas(cases: &mut Cases) {
    let token = hop(&sample(), &PLANNER, &EXECUTOR, "[]");
    let id = block_ids(&token).pop().expect("a hop");
    let (one, two) = (hex(&[1; 32]), hex(&[2; 32]));
    let base = with(&[("blocks", json!([one])), ("subjects", json!([{"before": 5, "subject": "p-1"}]))]);
    let mut blocks = [id.clone(), two.clone()];
    blocks.sort();
    let next = json!({"sequence": 9, "issued": NOW, "blocks": blocks, "subjects": [{"before": 8, "subject": "p-1"}]});
    let next = next.as_object().expect("an object").iter().fold(base.clone(), |mut next, (member, value)| {
        next[member.as_str()] = value.clone();
        next
    });
    let lists = |changes: &[(&str, Value)]| {
        let mut lists = json!({"agents": [], "blocks": [], "keys": [], "subjects": [], "tasks": []});
        changes.iter().for_each(|(list, entries)| lists[*list] = entries.clone());
        lists
    };
    let good = json!({
        "added": lists(&[("blocks", json!(blocks)), ("subjects", json!([{"before": 8, "subject": "p-1"}]))]),
        "issued": NOW,
        "issuer": "https://issuer.example",
        "max_staleness": next["max_staleness"],
        "removed": lists(&[("blocks", json!([one])), ("subjects", json!([{"before": 5, "subject": "p-1"}]))]),
        "result": hex(&Sha256::digest(text(&next))),
        "sequence": 9,
        "since": 7,
    });
    let delta = |payload: &Value| statement("narrows/revocations-delta/1", &text(payload), &FEED);
    let to = |about: &str, text: String| FeedVector { previous: Some(sign(&base)), ..vector(about, &text) };
    let looked = |token: &[u8]| FeedVector { check: Some(check(token, "irreversible", NOW)), ..to("a delta", delta(&good)) };
    cases.add("feed_delta", Vector::Feed(FeedVector { about: "the way to the next snapshot".to_owned(), ..looked(&sample()) }));
    cases.add("feed_delta_revokes", refused(looked(&token), "the delta brought the token's hop", "REVOKED"));
    let mut refuse = |name: &str, about: &str, text: String, reason: &str| cases.add(name, refused(to(about, text), about, reason));
    let changed = |member: &str, value: Value| {
        let mut payload = good.clone();
        payload[member] = value;
        delta(&payload)
    };
    refuse(
        "feed_delta_other_key",
        "signed by another key",
        statement("narrows/revocations-delta/1", &text(&good), &THIEF.seed),
        "FEED_SIGNATURE",
    );
    refuse("feed_delta_as_snapshot", "a delta under the snapshot's tag", signed(&text(&good)), "FEED_MALFORMED");
    refuse("feed_delta_other_issuer", "of another issuer", changed("issuer", json!("https://other.example")), "FEED_ISSUER");
    refuse("feed_delta_too_far_ahead", "issued 11 seconds ahead", changed("issued", json!(NOW + 11)), "FEED_AHEAD");
    refuse("feed_delta_other_base", "to another snapshot than the one at hand", changed("since", json!(8)), "FEED_DELTA_BASE");
    let mut older = good.clone();
    (older["since"], older["sequence"]) = (json!(5), json!(6));
    refuse("feed_delta_rolled_back", "to a snapshot below the one at hand", delta(&older), "FEED_ROLLED_BACK");
    refuse("feed_delta_backwards", "from a higher number to a lower", changed("since", json!(9)), "FEED_MALFORMED");
    refuse("feed_delta_other_result", "it does not lead where it says", changed("result", json!(one)), "FEED_DELTA_RESULT");
    let fewer = lists(&[("blocks", json!([two])), ("subjects", json!([{"before": 8, "subject": "p-1"}]))]);
    refuse("feed_delta_leaves_out", "a block of the next snapshot is left out", changed("added", fewer), "FEED_DELTA_RESULT");
    refuse(
        "feed_delta_removes_unknown",
        "an entry goes that was never there",
        changed("removed", lists(&[("tasks", json!([hex(&[9; 16])]))])),
        "FEED_DELTA_RESULT",
    );
    refuse("feed_delta_keeps_old", "nothing goes", changed("removed", lists(&[])), "FEED_DELTA_RESULT");
    let mut missing = good.clone();
    missing["added"].as_object_mut().expect("an object").remove("agents");
    refuse("feed_delta_missing_list", "no list of agents", delta(&missing), "FEED_MALFORMED");
    refuse("feed_delta_unknown_member", "a member that may have been meant to revoke more", changed("also", json!([])), "FEED_MALFORMED");
    let without = FeedVector { previous: None, ..to("", delta(&good)) };
    cases.add("feed_delta_alone", refused(without, "a delta without a snapshot to apply it to", "FEED_SIGNATURE"));
}

fn vector(about: &str, text: &str) -> FeedVector {
    FeedVector {
        about: about.to_owned(),
        text: text.to_owned(),
        feed_key: hex(narrows_verifier::public_key(&FEED).as_bytes()),
        issuer: "https://issuer.example".to_owned(),
        previous: None,
        now: NOW,
        check: None,
        expect: FeedAnswer::ACCEPTED,
    }
}

fn refused(vector: FeedVector, about: &str, reason: &str) -> Vector {
    Vector::Feed(FeedVector { about: about.to_owned(), expect: FeedAnswer::refused(reason), ..vector })
}

fn check(token: &[u8], class: &str, now: u64) -> FeedCheck {
    let roots = roots().keys().iter().map(|root| Root::active(root.id, hex(root.key.as_bytes()))).collect();
    FeedCheck { token: URL_SAFE_NO_PAD.encode(token), roots, class: class.to_owned(), now }
}

/// A snapshot without entries. The map of `serde_json` is sorted, as RFC 8785 wants it.
fn payload() -> Value {
    json!({
        "agents": [],
        "blocks": [],
        "issued": NOW,
        "issuer": "https://issuer.example",
        "keys": [],
        "max_staleness": {"egress": 60, "irreversible": 10, "read": 3600, "write": 300},
        "sequence": 7,
        "subjects": [],
        "tasks": [],
    })
}

fn with(changes: &[(&str, Value)]) -> Value {
    let mut payload = payload();
    for (member, value) in changes {
        payload[*member] = value.clone();
    }
    payload
}

fn text(payload: &Value) -> String {
    payload.to_string()
}

fn sign(payload: &Value) -> String {
    signed(&text(payload))
}

fn signed(payload: &str) -> String {
    statement("narrows/revocations/1", payload, &FEED)
}

/// The issuer's feed key.
const FEED: [u8; 32] = [30; 32];
