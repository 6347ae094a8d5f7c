//! What no verifier of Ed25519 chains can go below: the signature library itself, over 400 bytes.

use std::hint::black_box;

use ed25519_dalek::{Signer, SigningKey, Verifier};

use crate::measure::{Cell, Row};

pub fn rows() -> Vec<Row> {
    let (message, signer) = ([7; 400], SigningKey::from_bytes(&[3; 32]));
    let (signature, key) = (signer.sign(&message), signer.verifying_key());
    let ours = narrows_verifier::public_key(&[3; 32]);
    let bytes = signature.to_bytes();
    let loose = move || key.verify(black_box(&message), &signature).unwrap();
    let strict = move || key.verify_strict(black_box(&message), &signature).unwrap();
    vec![
        Row::new("floor: `ed25519-dalek` sign, 400 bytes", [Cell::timed(move || signer.sign(black_box(&message)))]),
        Row::new("floor: `ed25519-dalek` verify", [Cell::timed(loose)]),
        Row::new("floor: `ed25519-dalek` verify_strict", [Cell::timed(strict)]),
        Row::new("floor: Narrows' own strict check", [Cell::timed(move || assert!(ours.verifies(black_box(&message), &bytes)))]),
    ]
}
