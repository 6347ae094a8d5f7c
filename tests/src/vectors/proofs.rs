//! Holders' statements: accepted as documented, refused for anything else.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::{Cases, Claims, ProofAnswer, ProofText, ProofVector, TokenVector, Vector, Verdict, answer, call, token_vector};
use crate::tokens::{AUDIENCE, EXECUTOR, NOW, PLANNER, Party, THIEF, block_ids, hex, hop, sample, statement};

pub(super) fn cases(cases: &mut Cases) {
    with_tokens(cases);
    possession_cases(cases);
    holder_cases(cases);
    report_cases(cases);
    narrow_cases(cases);
    revoke_cases(cases);
}

/// SHA-256 in base64url over arguments that are canonical already.
pub(super) fn args_digest(canonical: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(canonical))
}

/// A proof of possession, written out member by member.
pub(super) fn possession(digest: &str, audience: &str, block: &str, time: u64, tool: &str, holder: &Party) -> String {
    let payload = format!(r#"{{"args":"{digest}","aud":"{audience}","block":"{block}","iat":{time},"nonce":"{NONCE}","tool":"{tool}"}}"#);
    statement(POSSESSION, &payload, &holder.seed)
}

/// A token that permits the call, with a proof that does not belong to it.
fn with_tokens(cases: &mut Cases) {
    let token = hop(&sample(), &PLANNER, &EXECUTOR, "[]");
    let ids = block_ids(&token);
    let proof =
        |block: &str, tool, arguments, audience, time, holder| possession(&args_digest(arguments), audience, block, time, tool, holder);
    let newest = ids[1].as_str();
    let elsewhere = "https://mail.example";
    for (name, about, text, reason) in [
        ("thief", "a thief of the bytes signs with its own key", proof(newest, READ, "{}", AUDIENCE, NOW, &THIEF), "PROOF_SIGNATURE"),
        ("former_holder", "the former holder handed it on", proof(newest, READ, "{}", AUDIENCE, NOW, &PLANNER), "PROOF_SIGNATURE"),
        ("other_token", "the proof names the parent token", proof(&ids[0], READ, "{}", AUDIENCE, NOW, &EXECUTOR), "PROOF_MISMATCH"),
        ("other_tool", "the proof names another tool", proof(newest, "crm.write", "{}", AUDIENCE, NOW, &EXECUTOR), "PROOF_MISMATCH"),
        ("other_audience", "the proof names another audience", proof(newest, READ, "{}", elsewhere, NOW, &EXECUTOR), "PROOF_MISMATCH"),
        ("other_arguments", "the proof covers other arguments", proof(newest, READ, "[1]", AUDIENCE, NOW, &EXECUTOR), "PROOF_MISMATCH"),
        ("stale", "the proof is 61 seconds old", proof(newest, READ, "{}", AUDIENCE, NOW - 61, &EXECUTOR), "PROOF_TIME"),
        ("future", "the proof is 11 seconds ahead", proof(newest, READ, "{}", AUDIENCE, NOW + 11, &EXECUTOR), "PROOF_TIME"),
    ] {
        let expect = answer(Verdict::Deny).because(reason, None).of(&token, &EXECUTOR);
        let vector = token_vector(&format!("the token permits the call; {about}"), &token, expect);
        let proof = Some(ProofText { text, now: NOW });
        cases.add(&format!("presented_by_{name}"), Vector::Token(TokenVector { call: Some(call(READ, "{}")), proof, ..vector }));
    }
}

fn possession_cases(cases: &mut Cases) {
    let block = "01".repeat(32);
    let digest = args_digest("{}");
    let claims = Claims::Possession {
        block: block.clone(),
        tool: READ.to_owned(),
        args_digest: hex(&Sha256::digest("{}")),
        audience: AUDIENCE.to_owned(),
    };
    let case = |about: &str, text: String, now, expect| {
        Vector::Proof(ProofVector { about: about.to_owned(), text, now, signers: vec![EXECUTOR.hex()], claims: claims.clone(), expect })
    };
    let good = possession(&digest, AUDIENCE, &block, NOW, READ, &EXECUTOR);
    let accepted = || accepted(POSSESSION, &EXECUTOR);
    cases.add("possession", case("a proof of possession", good.clone(), NOW, accepted()));
    cases.add("possession_oldest", case("a proof is good for 60 seconds", good.clone(), NOW + 60, accepted()));
    cases.add("possession_ahead", case("a clock may be 10 seconds behind", good.clone(), NOW - 10, accepted()));
    let members = format!(r#""aud":"{AUDIENCE}","block":"{block}","iat":{NOW},"nonce":"{NONCE}","tool":"{READ}""#);
    let payload = format!(r#"{{"args":"{digest}",{members}}}"#);
    let (body, signature) = good.split_once('.').unwrap();
    let short_nonce = payload.replace(NONCE, "AwMD");
    for (name, about, text, reason) in [
        ("other_tag", "the same members under another tag", statement("narrows/report/1", &payload, &EXECUTOR.seed), "PROOF_SIGNATURE"),
        ("bare", "a signature without tag and length", bare(&payload, &EXECUTOR), "PROOF_SIGNATURE"),
        (
            "swapped_order",
            "members in another order",
            statement(POSSESSION, &format!(r#"{{{members},"args":"{digest}"}}"#), &EXECUTOR.seed),
            "JSON_NOT_CANONICAL",
        ),
        (
            "spaced",
            "a space after a colon",
            statement(POSSESSION, &payload.replace(r#""iat":"#, r#""iat": "#), &EXECUTOR.seed),
            "JSON_NOT_CANONICAL",
        ),
        (
            "fractional_time",
            "the time as a decimal that is not canonical",
            statement(POSSESSION, &payload.replace(&format!("{NOW}"), &format!("{NOW}.0")), &EXECUTOR.seed),
            "JSON_NOT_CANONICAL",
        ),
        (
            "missing_member",
            "no digest of the arguments",
            statement(POSSESSION, &format!("{{{members}}}"), &EXECUTOR.seed),
            "PROOF_MALFORMED",
        ),
        (
            "further_member",
            "a member that the profile does not have",
            statement(POSSESSION, &format!(r#"{{"args":"{digest}",{members},"x":1}}"#), &EXECUTOR.seed),
            "PROOF_MALFORMED",
        ),
        ("short_nonce", "a nonce of three bytes", statement(POSSESSION, &short_nonce, &EXECUTOR.seed), "PROOF_MALFORMED"),
        (
            "negative_time",
            "a time before 1970",
            statement(POSSESSION, &payload.replace(&format!("{NOW}"), "-1"), &EXECUTOR.seed),
            "PROOF_TIME",
        ),
        ("padded", "padded base64", format!("{body}=.{signature}"), "PROOF_MALFORMED"),
        ("cut_signature", "a signature of 63 bytes", format!("{body}.{}", "A".repeat(84)), "PROOF_MALFORMED"),
        ("no_dot", "one part", body.to_owned(), "PROOF_MALFORMED"),
    ] {
        cases.add(&format!("possession_{name}"), case(about, text, NOW, refused(reason)));
    }
}

fn holder_cases(cases: &mut Cases) {
    let subject = Sha256::digest("the subject token as sent");
    let claims = Claims::Holder { issuer: ISSUER_NAME.to_owned(), client: "planner-app".to_owned(), subject_digest: hex(&subject) };
    let of = |issuer: &str, client: &str, subject: &[u8], holder: &Party| {
        let subject = URL_SAFE_NO_PAD.encode(subject);
        let payload = format!(r#"{{"aud":"{issuer}","client_id":"{client}","iat":{NOW},"nonce":"{NONCE}","subject":"{subject}"}}"#);
        statement(HOLDER, &payload, &holder.seed)
    };
    let mut add = |name: &str, about: &str, text, expect| {
        let vector = ProofVector { about: about.to_owned(), text, now: NOW, signers: vec![PLANNER.hex()], claims: claims.clone(), expect };
        cases.add(name, Vector::Proof(vector));
    };
    add(
        "holder",
        "a proof of the holder's key in a token request",
        of(ISSUER_NAME, "planner-app", &subject, &PLANNER),
        accepted(HOLDER, &PLANNER),
    );
    add(
        "holder_other_issuer",
        "made for another issuer",
        of("https://other.example", "planner-app", &subject, &PLANNER),
        refused("PROOF_MISMATCH"),
    );
    add("holder_other_client", "made for another client", of(ISSUER_NAME, "other-app", &subject, &PLANNER), refused("PROOF_MISMATCH"));
    add(
        "holder_other_subject",
        "made for another subject token",
        of(ISSUER_NAME, "planner-app", &[0; 32], &PLANNER),
        refused("PROOF_MISMATCH"),
    );
    add(
        "holder_wrong_key",
        "signed by another key than the one that is to be bound",
        of(ISSUER_NAME, "planner-app", &subject, &THIEF),
        refused("PROOF_SIGNATURE"),
    );
}

fn report_cases(cases: &mut Cases) {
    let block = "02".repeat(32);
    let claims = Claims::Report { issuer: ISSUER_NAME.to_owned(), block: block.clone() };
    let of = |issuer: &str, block: &str, signer: &Party| {
        statement(REPORT, &format!(r#"{{"aud":"{issuer}","block":"{block}","iat":{NOW},"nonce":"{NONCE}"}}"#), &signer.seed)
    };
    let mut add = |name: &str, about: &str, text, expect| {
        let signers = vec![PLANNER.hex(), EXECUTOR.hex()];
        cases.add(name, Vector::Proof(ProofVector { about: about.to_owned(), text, now: NOW, signers, claims: claims.clone(), expect }));
    };
    add("report_by_delegator", "the delegator reports its hop", of(ISSUER_NAME, &block, &PLANNER), accepted(REPORT, &PLANNER));
    add("report_by_holder", "the new holder reports the hop", of(ISSUER_NAME, &block, &EXECUTOR), accepted(REPORT, &EXECUTOR));
    add("report_by_thief", "a thief of the bytes reports the hop", of(ISSUER_NAME, &block, &THIEF), refused("PROOF_SIGNATURE"));
    add("report_of_other_block", "made for another block", of(ISSUER_NAME, &"03".repeat(32), &PLANNER), refused("PROOF_MISMATCH"));
    add("report_to_other_issuer", "made for another issuer", of("https://other.example", &block, &PLANNER), refused("PROOF_MISMATCH"));
}

/// Parameters that are signed stand in the digest by name, whatever their order; the others are somebody else's word, or proofs.
fn narrow_cases(cases: &mut Cases) {
    let block = "04".repeat(32);
    let new_holder = [5; 32];
    let given = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", "t"),
        ("scope", ""),
        ("resource", "https://b.example/"),
        ("audience", "mail"),
        ("resource", "https://a.example/"),
        ("req_cnf", "not in the digest"),
        ("client_id", "not in the digest"),
        ("unknown", "not in the digest"),
    ];
    let asked = r#"{"audience":["mail"],"grant_type":["urn:ietf:params:oauth:grant-type:token-exchange"],"resource":["https://b.example/","https://a.example/"],"subject_token":["t"]}"#;
    let parameters: Vec<_> = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let claims = Claims::Narrow {
        issuer: ISSUER_NAME.to_owned(),
        client: "planner-app".to_owned(),
        block: block.clone(),
        new_holder: hex(&new_holder),
        parameters,
    };
    let of = |issuer: &str, client: &str, block: &str, jkt: &[u8], asked: &str, holder: &Party| {
        let [jkt, request] = [jkt, &Sha256::digest(asked)[..]].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        let payload = format!(
            r#"{{"aud":"{issuer}","block":"{block}","client_id":"{client}","iat":{NOW},"jkt":"{jkt}","nonce":"{NONCE}","request":"{request}"}}"#
        );
        statement(NARROW, &payload, &holder.seed)
    };
    let good = |holder| of(ISSUER_NAME, "planner-app", &block, &new_holder, asked, holder);
    let mut add = |name: &str, about: &str, text, expect| {
        let vector = ProofVector { about: about.to_owned(), text, now: NOW, signers: vec![PLANNER.hex()], claims: claims.clone(), expect };
        cases.add(name, Vector::Proof(vector));
    };
    add("narrow", "the holder wants a narrower token", good(&PLANNER), accepted(NARROW, &PLANNER));
    add("narrow_by_thief", "a thief of the bytes wants one", good(&THIEF), refused("PROOF_SIGNATURE"));
    let other = "https://other.example";
    let reordered = asked.replace(r#""https://b.example/","https://a.example/""#, r#""https://a.example/","https://b.example/""#);
    for (name, about, text) in [
        ("other_issuer", "made for another issuer", of(other, "planner-app", &block, &new_holder, asked, &PLANNER)),
        ("other_client", "made for another client", of(ISSUER_NAME, "other-app", &block, &new_holder, asked, &PLANNER)),
        ("other_block", "made for another token", of(ISSUER_NAME, "planner-app", &"03".repeat(32), &new_holder, asked, &PLANNER)),
        ("other_key", "made for another new holder", of(ISSUER_NAME, "planner-app", &block, &[6; 32], asked, &PLANNER)),
        ("other_request", "resources in another order", of(ISSUER_NAME, "planner-app", &block, &new_holder, &reordered, &PLANNER)),
    ] {
        add(&format!("narrow_{name}"), about, text, refused("PROOF_MISMATCH"));
    }
}

fn revoke_cases(cases: &mut Cases) {
    let block = "02".repeat(32);
    let claims = Claims::Revoke { issuer: ISSUER_NAME.to_owned(), block: block.clone() };
    let payload = |issuer: &str, block: &str| format!(r#"{{"aud":"{issuer}","block":"{block}","iat":{NOW},"nonce":"{NONCE}"}}"#);
    let of = |issuer: &str, block: &str, signer: &Party| statement(REVOKE, &payload(issuer, block), &signer.seed);
    let mut add = |name: &str, about: &str, text, expect| {
        let signers = vec![PLANNER.hex(), EXECUTOR.hex()];
        cases.add(name, Vector::Proof(ProofVector { about: about.to_owned(), text, now: NOW, signers, claims: claims.clone(), expect }));
    };
    add("revoke_by_delegator", "the delegator takes its hop back", of(ISSUER_NAME, &block, &PLANNER), accepted(REVOKE, &PLANNER));
    add("revoke_by_holder", "the holder gives the hop up", of(ISSUER_NAME, &block, &EXECUTOR), accepted(REVOKE, &EXECUTOR));
    add("revoke_by_thief", "a thief of the bytes ends the hop", of(ISSUER_NAME, &block, &THIEF), refused("PROOF_SIGNATURE"));
    add("revoke_of_other_block", "made for another block", of(ISSUER_NAME, &"03".repeat(32), &PLANNER), refused("PROOF_MISMATCH"));
    add("revoke_to_other_issuer", "made for another issuer", of("https://other.example", &block, &PLANNER), refused("PROOF_MISMATCH"));
    let report = statement(REPORT, &payload(ISSUER_NAME, &block), &PLANNER.seed);
    add("revoke_by_report", "a report of the same block is no revocation", report, refused("PROOF_SIGNATURE"));
}

/// SHA-256 over tag, signer and the nonce's text, each behind its length.
fn accepted(tag: &str, signer: &Party) -> ProofAnswer {
    let key = signer.key();
    let parts = [tag.as_bytes(), key.as_bytes(), NONCE.as_bytes()];
    let input: Vec<u8> = parts.iter().flat_map(|part| [&(part.len() as u64).to_be_bytes(), *part].concat()).collect();
    ProofAnswer::Accepted { replay_key: hex(&Sha256::digest(input)), forget_after: NOW + 60 }
}

fn refused(reason: &str) -> ProofAnswer {
    ProofAnswer::Refused { reason: reason.to_owned() }
}

fn bare(payload: &str, signer: &Party) -> String {
    let signature = crate::tokens::sign(&signer.seed, payload.as_bytes());
    format!("{}.{}", URL_SAFE_NO_PAD.encode(payload), URL_SAFE_NO_PAD.encode(signature))
}

const POSSESSION: &str = "narrows/possession/1";
const HOLDER: &str = "narrows/holder/1";
const REPORT: &str = "narrows/report/1";
const NARROW: &str = "narrows/narrow/1";
const REVOKE: &str = "narrows/revoke/1";
const READ: &str = "crm.read";
const ISSUER_NAME: &str = "https://issuer.example";
/// Sixteen bytes of 3.
const NONCE: &str = "AwMDAwMDAwMDAwMDAwMDAw";
