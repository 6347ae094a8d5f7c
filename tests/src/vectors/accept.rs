//! Tokens that every verifier must accept.

use narrows_verifier::biscuit::seal;

use super::{
    Cases, ProofText, TokenVector, Vector, Verdict, answer, call,
    proofs::{args_digest, possession},
    token_vector,
};
use crate::tokens::{
    AUDIENCE, AUTHORITY_CAVEATS, EXECUTOR, ISSUER, NOW, PLANNER, Party, WORKER, block_ids, caveats, claims, close, edit, hop, mint,
    next_seed, plain, sample, sign_block,
};

pub(super) fn cases(cases: &mut Cases) {
    depths(cases);
    let hop_one = hop(&sample(), &PLANNER, &EXECUTOR, "[]");
    cases.verified("sealed_token", "a sealed copy verifies and names the same blocks", &seal(&hop_one).unwrap(), &EXECUTOR);
    let narrowed = plain(&hop_one, r#"[{"kind":"tools","allow":["crm.read"]}]"#);
    let twice = hop(&plain(&narrowed, "[]"), &EXECUTOR, &WORKER, "[]");
    cases.verified("plain_blocks", "plain blocks add checks and leave the holder and the count of hops as they are", &twice, &WORKER);
    let by_issuer = Party { seed: ISSUER, ..PLANNER };
    let narrowed = hop(&sample(), &by_issuer, &EXECUTOR, r#"[{"kind":"tools","allow":["crm.read"]}]"#);
    cases.verified("hop_by_issuer", "the issuer that signed block 0 may sign a hop", &narrowed, &EXECUTOR);
    let mut development = claims(caveats(AUTHORITY_CAVEATS));
    development.dev = true;
    cases.verified("development_token", "a development issuer says so in a fact of its own", &mint(&development), &PLANNER);
    let full = (0..15).fold(sample(), |token, _| plain(&token, "[]"));
    cases.verified("sixteen_blocks", "sixteen blocks are the most", &full, &PLANNER);
    rewrapped(cases, &hop_one);
}

/// The same hop under two next keys: two different tokens whose blocks have the same ids.
fn rewrapped(cases: &mut Cases, original: &[u8]) {
    let twin = edit(original, |token| {
        let external = token.blocks[0].external_signature.clone();
        sign_block(token, 1, &next_seed(0), None, &[99; 32]);
        assert_eq!(token.blocks[0].external_signature, external, "the delegator's signature is kept");
        close(token, &[99; 32]);
    });
    cases.verified("rewrapped_hop_original", "a hop as its delegator wrapped it", original, &EXECUTOR);
    let about = "the same hop under another next key, as whoever holds the open parent can make it: accepted, with the same ids";
    cases.verified("rewrapped_hop_twin", about, &twin, &EXECUTOR);
}

fn depths(cases: &mut Cases) {
    let holders = [PLANNER, EXECUTOR, WORKER];
    let mut token = sample();
    for depth in 0..=8 {
        // beyond the named three, holders have keys only
        let holder =
            |index: usize| holders.get(index).copied().unwrap_or(Party { name: "helper", seed: [u8::try_from(index).unwrap() + 20; 32] });
        if depth > 0 {
            let caveats = match depth {
                1 => r#"[{"kind":"tools","allow":["crm.read"]},{"kind":"expires","at":"2026-11-21T11:30:00Z"}]"#,
                2 => r#"[{"kind":"arg","tool":"crm.read","path":"/limit","is":{"range":{"min":1,"max":50}}}]"#,
                _ => "[]",
            };
            token = hop(&token, &holder(depth - 1), &holder(depth), caveats);
        }
        if ![0, 1, 2, 3, 8].contains(&depth) {
            continue;
        }
        let arguments = r#"{"account":"a-17","limit":50}"#;
        let newest = block_ids(&token).pop().unwrap();
        let about = format!("a chain of {depth} hops, with a call that it permits and a proof by its newest holder");
        let text = possession(&args_digest(arguments), AUDIENCE, &newest, NOW, "crm.read", &holder(depth));
        let vector = token_vector(&about, &token, answer(Verdict::Allow).of(&token, &holder(depth)));
        let proof = Some(ProofText { text, now: NOW });
        cases.add(&format!("depth_{depth}"), Vector::Token(TokenVector { call: Some(call("crm.read", arguments)), proof, ..vector }));
    }
}
