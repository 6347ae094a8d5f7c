use std::collections::BTreeSet;

use curve25519_dalek::{
    constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION},
    edwards::CompressedEdwardsY,
};
use ed25519_dalek::{Signature, VerifyingKey};
use proptest::{collection::vec, prelude::*};

use super::*;

#[test]
fn keys_of_small_order_and_odd_encodings_are_refused() {
    for bytes in small_order_encodings() {
        assert_eq!(PublicKey::from_bytes(&bytes), Err(Reason::WeakKey));
    }
    assert_eq!(PublicKey::from_bytes(&[0; 31]), Err(Reason::KeyAlgorithm));
    // every y from p to 2^255-1; some are points of full order that dalek would take
    let mut taken_by_dalek = 0;
    for first in 0xed..=0xff {
        let bytes = near_prime(first);
        taken_by_dalek += usize::from(VerifyingKey::from_bytes(&bytes).is_ok_and(|key| !key.is_weak()));
        assert_eq!(PublicKey::from_bytes(&bytes), Err(Reason::WeakKey));
    }
    assert!(taken_by_dalek > 0);
}

#[test]
fn a_signature_verifies_only_for_its_message_and_key() {
    let key = public_key(&[7; 32]);
    let signature = sign(&[7; 32], b"message");
    assert!(key.verifies(b"message", &signature));
    assert!(!key.verifies(b"massage", &signature));
    assert!(!public_key(&[8; 32]).verifies(b"message", &signature));
}

/// RFC 8032 §7.1, tests 2 and 3.
#[test]
fn published_signatures_verify() {
    for (key, message, signature) in [
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ] {
        let key = PublicKey::from_bytes(&hex(key)).unwrap();
        assert!(key.verifies(&hex(message), &hex(signature).try_into().unwrap()));
    }
}

#[test]
fn the_list_of_small_order_holds_every_encoding_and_no_other() {
    let encodings = small_order_encodings();
    let listed: BTreeSet<_> = SMALL_ORDER.iter().flat_map(|y| [0, 0x80].map(|sign| with_sign(*y, sign))).collect();
    // -0 is a second form of x = 0, and only y = 0 and y = 1 are small enough to be written above the prime
    assert_eq!(encodings.len(), 14);
    assert_eq!(encodings, listed);
    assert!(encodings.iter().all(has_small_order));
    let neighbours = encodings.iter().flat_map(|bytes| (0..255).map(|bit| flip(bytes, bit)));
    for bytes in neighbours.filter(|bytes| !encodings.contains(bytes)) {
        assert!(!has_small_order(&bytes));
    }
}

/// Keys and points with every torsion component, signed so that the equation without the cofactor holds wherever it can:
/// the rows of "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko, 2020), table 5, that are about orders.
#[test]
fn points_of_small_and_mixed_order_are_judged_as_the_library_judges() {
    let (mut accepted, mut refused_for_small_order, mut refused_without_cofactor) = (0, 0, 0);
    for key_torsion in EIGHT_TORSION {
        for (r_torsion, r_scalar) in EIGHT_TORSION.into_iter().flat_map(|torsion| [(torsion, 0_u64), (torsion, 77)]) {
            let secret = Scalar::from(5_u64);
            let key = ED25519_BASEPOINT_POINT * secret + key_torsion;
            let r = ED25519_BASEPOINT_POINT * Scalar::from(r_scalar) + r_torsion;
            for nonce in 0..40_u8 {
                let message = [nonce];
                let k = challenge(&r.compress().0, &key.compress().0, &message);
                let s = Scalar::from(r_scalar) + k * secret;
                let signature = join(&r.compress().0, &s.to_bytes());
                let library = agree(&key.compress().0, &message, &signature);
                let holds = r_torsion + key_torsion * k == EdwardsPoint::default();
                assert_eq!(library, holds && r_scalar != 0);
                accepted += usize::from(library);
                refused_for_small_order += usize::from(holds && r_scalar == 0);
                refused_without_cofactor += usize::from(!holds);
            }
        }
    }
    assert!(accepted > 100 && refused_for_small_order > 100 && refused_without_cofactor > 1000);
}

/// R written in a form that is not canonical, with the challenge taken over that very form: whoever decodes R takes it.
#[test]
fn r_in_another_form_is_refused() {
    let secret = Scalar::from(5_u64);
    let (mut decoded, mut holds) = (0, 0);
    for r in (0xed..=0xff).flat_map(|first| [0, 0x80].map(|sign| with_sign(near_prime(first), sign))) {
        let Some(point) = CompressedEdwardsY(r).decompress() else { continue };
        decoded += 1;
        for (torsion, nonce) in EIGHT_TORSION.into_iter().flat_map(|torsion| (0..8_u8).map(move |nonce| (torsion, nonce))) {
            let key = (ED25519_BASEPOINT_POINT * secret + torsion).compress().0;
            let k = challenge(&r, &key, &[nonce]);
            holds += usize::from(point + torsion * k == EdwardsPoint::default());
            assert!(!agree(&key, &[nonce], &join(&r, &(k * secret).to_bytes())));
        }
    }
    assert!(decoded > 10 && holds > 50, "{decoded} points, {holds} equations");
}

#[test]
fn s_plus_the_group_order_is_refused() {
    let signature = sign(&[7; 32], b"message");
    let (r, s) = signature.split_at(32);
    let key = *public_key(&[7; 32]).as_bytes();
    let mut larger = [0; 32];
    let mut carry = 0;
    // L - 1 and one more
    let mut order = (-Scalar::ONE).to_bytes();
    order[0] += 1;
    for ((sum, one), other) in larger.iter_mut().zip(s).zip(order) {
        let total = u16::from(*one) + u16::from(other) + carry;
        *sum = total.to_le_bytes()[0];
        carry = total >> 8;
    }
    assert_eq!(Scalar::from_bytes_mod_order(larger).to_bytes(), s, "the same scalar to whoever reduces it");
    assert!(!agree(&key, b"message", &join(r.try_into().unwrap(), &larger)));
    for high_bit in [0x20, 0x40, 0x80] {
        let mut flagged: [u8; 32] = s.try_into().unwrap();
        flagged[31] |= high_bit;
        assert!(!agree(&key, b"message", &join(r.try_into().unwrap(), &flagged)));
    }
}

#[test]
fn a_key_belongs_to_its_seed_alone() {
    let key = public_key(&[7; 32]);
    assert!(key.belongs_to(&[7; 32]));
    assert!(!key.belongs_to(&[8; 32]));
    for torsion in EIGHT_TORSION.into_iter().filter(|point| *point != EdwardsPoint::default()) {
        let mixed = (torsion - key.minus).compress().0;
        assert!(!PublicKey::from_bytes(&mixed).unwrap().belongs_to(&[7; 32]));
    }
}

proptest! {
    #[test]
    fn a_key_belongs_to_a_seed_exactly_when_it_is_the_seeds_key(one in any::<[u8; 32]>(), other in any::<[u8; 32]>()) {
        let key = PublicKey::from_bytes(public_key(&one).as_bytes()).unwrap();
        prop_assert!(key.belongs_to(&one));
        prop_assert_eq!(key.belongs_to(&other), key == public_key(&other));
    }

    #[test]
    fn random_signatures_are_judged_as_the_library_judges(
        seed in any::<[u8; 32]>(),
        message in vec(any::<u8>(), 0..200),
        flips in vec(0_usize..512, 0..3),
        other in any::<bool>(),
    ) {
        let mut signature = sign(&seed, &message);
        for bit in &flips {
            signature[bit / 8] ^= 1 << (bit % 8);
        }
        let signer = if other { [1; 32] } else { seed };
        let expected = signature == sign(&seed, &message) && signer == seed;
        prop_assert_eq!(agree(public_key(&signer).as_bytes(), &message, &signature), expected);
    }

    /// Also beside signatures that no message has, and the first that is bad alone is the one that is blamed.
    #[test]
    fn signatures_settled_together_get_the_answers_they_get_alone(
        made in vec((0_u8..4, vec(any::<u8>(), 0..40), prop::option::of(0_usize..512)), 0..12),
    ) {
        let mut together = Signatures::with_capacity(2);
        let mut first_bad = None;
        let mut answer = Ok(());
        for (index, (seed, message, flip)) in made.into_iter().enumerate() {
            let mut signature = sign(&[seed; 32], &message);
            if let Some(bit) = flip {
                signature[bit / 8] ^= 1 << (bit % 8);
            }
            let (key, refusal) = (public_key(&[seed; 32]), Refusal::at(Reason::BadSignature, index));
            if !key.verifies(&message, &signature) {
                first_bad = first_bad.or(Some(refusal));
            }
            answer = together.add(&key, &message, &signature, refusal);
            if answer.is_err() {
                break;
            }
        }
        prop_assert_eq!(answer.and_then(|()| together.settle()).err(), first_bad);
        prop_assert_eq!(together.settle(), Ok(()), "what was settled is forgotten");
    }

    #[test]
    fn a_key_is_taken_when_the_library_decodes_it_and_finds_it_strong(bytes in any::<[u8; 32]>(), listed in 0_usize..14, small in any::<bool>()) {
        let bytes = if small { *small_order_encodings().iter().nth(listed).unwrap() } else { bytes };
        let strong = VerifyingKey::from_bytes(&bytes).is_ok_and(|key| !key.is_weak()) && is_canonical(&bytes);
        prop_assert_eq!(PublicKey::from_bytes(&bytes).is_ok(), strong);
    }

    #[test]
    fn random_bytes_are_judged_as_the_library_judges(r in any::<[u8; 32]>(), s in any::<[u8; 32]>(), listed in 0_usize..14, small in any::<bool>()) {
        let r = if small { *small_order_encodings().iter().nth(listed).unwrap() } else { r };
        agree(public_key(&[7; 32]).as_bytes(), b"message", &join(&r, &s));
    }
}

/// The library's strict answer, which ours must be.
fn agree(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let library = VerifyingKey::from_bytes(key).is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok());
    // a key that is written oddly is refused by us alone
    let Ok(ours) = PublicKey::from_bytes(key) else {
        assert!(!library || !is_canonical(key));
        return false;
    };
    assert_eq!(ours.verifies(message, signature), library);
    library
}

/// All 255-bit numbers and signs that dalek decodes as a point of the eight, found from the points themselves.
fn small_order_encodings() -> BTreeSet<[u8; 32]> {
    let canonical: Vec<_> = EIGHT_TORSION.iter().map(|point| with_sign(point.compress().0, 0)).collect();
    let above_the_prime = (0xed..=0xff).map(near_prime);
    let candidates = canonical.into_iter().chain(above_the_prime).flat_map(|y| [0, 0x80].map(|sign| with_sign(y, sign)));
    candidates.filter(|bytes| CompressedEdwardsY(*bytes).decompress().is_some_and(|point| point.is_small_order())).collect()
}

fn challenge(r: &[u8; 32], key: &[u8; 32], message: &[u8]) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&Sha512::new().chain_update(r).chain_update(key).chain_update(message).finalize().into())
}

fn with_sign(mut bytes: [u8; 32], sign: u8) -> [u8; 32] {
    bytes[31] = bytes[31] & 0x7f | sign;
    bytes
}

fn flip(bytes: &[u8; 32], bit: usize) -> [u8; 32] {
    let mut flipped = *bytes;
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

fn join(r: &[u8; 32], s: &[u8; 32]) -> [u8; 64] {
    [*r, *s].concat().try_into().unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
