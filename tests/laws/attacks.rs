//! Attacks on signed hops and on block ids that no vector shows, each named by the promise that it tries to break.

use narrows_tests::tokens::{
    self, AUTHORITY_CAVEATS, EXECUTOR, PLANNER, Party, THIEF, block_mut, caveats, claims, close, decode, edit, hop, mint, mint_with,
    next_seed, plain, roots, sample, sign_block,
};
use narrows_verifier::{BlockId, EntryId, Reason, UnverifiedToken, VerifiedToken, biscuit::append_hop, biscuit::authority_block};

fn verify(token: &[u8]) -> Result<VerifiedToken, Reason> {
    UnverifiedToken::from_bytes(token).and_then(|token| token.verify(&roots())).map_err(|refusal| refusal.reason)
}

fn ids(token: &[u8]) -> Vec<BlockId> {
    verify(token).unwrap().block_ids()
}

/// A token of the very same words is still another token: its issuer's signature covers its next key.
#[test]
pub(super) fn a_hop_moves_to_no_twin_of_its_parent() {
    let block = authority_block(&claims(caveats(AUTHORITY_CAVEATS))).unwrap().root_key_id(tokens::ISSUER_KEY_ID);
    let twin = mint_with(block, &tokens::next_key(7));
    assert_eq!(ids(&twin), ids(&sample()), "the words are the same");
    let taken = decode(&hop(&sample(), &PLANNER, &EXECUTOR, "[]")).blocks;
    let moved = edit(&twin, |token| {
        token.blocks = taken;
        sign_block(token, 1, &next_seed(7), None, &next_seed(1));
        close(token, &next_seed(1));
    });
    assert_eq!(verify(&moved).err(), Some(Reason::BadSignature));
}

#[test]
pub(super) fn no_hop_is_signed_in_the_name_of_a_key_of_small_order() {
    let identity = [&[1_u8][..], &[0; 31]].concat();
    let token = edit(&hop(&sample(), &PLANNER, &EXECUTOR, "[]"), |token| {
        let external = token.blocks[0].external_signature.as_mut().unwrap();
        external.public_key.key = identity.clone();
        external.signature = [identity, vec![0; 32]].concat();
        sign_block(token, 1, &next_seed(0), None, &next_seed(1));
        close(token, &next_seed(1));
    });
    assert_eq!(verify(&token).err(), Some(Reason::WeakKey));
}

#[test]
pub(super) fn no_hop_is_signed_in_the_name_of_its_holder_by_another() {
    let own = hop(&hop(&sample(), &PLANNER, &EXECUTOR, "[]"), &THIEF, &THIEF, "[]");
    let claimed = edit(&own, |token| {
        token.blocks[1].external_signature.as_mut().unwrap().public_key = tokens::ed25519(&EXECUTOR.seed);
        sign_block(token, 2, &next_seed(1), None, &next_seed(2));
        close(token, &next_seed(2));
    });
    assert_eq!(verify(&claimed).err(), Some(Reason::BadSignature));
}

/// s and s + L are one number to whoever reduces it; were both accepted, a token would have two byte forms.
#[test]
pub(super) fn a_signature_has_one_form() {
    let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    let order: Vec<u16> = (0..32).map(|at| u16::from_str_radix(&order[2 * at..2 * at + 2], 16).unwrap()).collect();
    let token = hop(&sample(), &PLANNER, &EXECUTOR, "[]");
    for index in [0, 1] {
        let malleated = edit(&token, |token| {
            let mut carry = 0;
            for (byte, add) in block_mut(token, index).signature[32..].iter_mut().zip(&order) {
                let sum = u16::from(*byte) + add + carry;
                *byte = sum.to_le_bytes()[0];
                carry = sum >> 8;
            }
            assert_eq!(carry, 0);
        });
        assert_ne!(malleated, token);
        assert_eq!(verify(&malleated).err(), Some(Reason::BadSignature));
    }
}

/// What a thief of the bytes can still do: take away.
#[test]
pub(super) fn a_plain_block_of_a_thief_takes_away_and_names_nobody() {
    let token = hop(&sample(), &PLANNER, &EXECUTOR, "[]");
    let narrowed = verify(&plain(&token, r#"[{"kind":"tools","allow":["crm.read"]}]"#)).unwrap();
    assert_eq!(narrowed.holder, EXECUTOR.key().into());
    assert_eq!(narrowed.principals().count(), 2);
    assert_eq!(hop_by(&plain(&token, "[]"), &THIEF), Err(Reason::HopSigner));
}

/// The entry in each block makes equal words two blocks, so that revoking the one leaves the other alone.
#[test]
pub(super) fn equal_words_under_two_entries_are_two_blocks() {
    let other = mint(&narrows_verifier::biscuit::AuthorityClaims { entry: EntryId([9; 16]), ..claims(caveats(AUTHORITY_CAVEATS)) });
    assert_ne!(ids(&other)[0], ids(&sample())[0]);
    let with_entry = |entry| {
        let claims = narrows_verifier::biscuit::HopClaims { entry: EntryId(entry), ..EXECUTOR.claims(Vec::new()) };
        ids(&append_hop(&sample(), &PLANNER.seed, &claims, &next_seed(1)).unwrap())
    };
    assert_eq!(with_entry([1; 16])[0], with_entry([2; 16])[0]);
    assert_ne!(with_entry([1; 16])[1], with_entry([2; 16])[1]);
}

/// The same hop under another parent is another block: ids of all ancestors are in it.
#[test]
pub(super) fn an_id_covers_every_block_before() {
    let one = hop(&sample(), &PLANNER, &EXECUTOR, "[]");
    let other = hop(&plain(&sample(), "[]"), &PLANNER, &EXECUTOR, "[]");
    assert_eq!(decode(&one).blocks[0].block, decode(&other).blocks[1].block, "the hops say the same");
    assert_ne!(ids(&one)[1], ids(&other)[2]);
}

/// Signatures and next keys are not what their maker vouched for: whoever holds the open parent can make them anew.
#[test]
pub(super) fn an_id_hangs_on_no_signature_and_no_next_key() {
    let token = hop(&sample(), &PLANNER, &EXECUTOR, "[]");
    let rewrapped = edit(&token, |token| {
        sign_block(token, 1, &next_seed(0), None, &next_seed(40));
        close(token, &next_seed(40));
    });
    assert_ne!(rewrapped, token);
    assert_eq!(ids(&rewrapped), ids(&token));
}

fn hop_by(token: &[u8], signer: &Party) -> Result<(), Reason> {
    verify(&hop(token, signer, signer, "[]")).map(drop)
}
