//! X25519 identities, as `age-keygen` writes them.

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::derived;

/// A private key to which files are encrypted. No Debug, no Clone.
pub(super) struct Identity(StaticSecret);

impl Identity {
    /// Reads an identity file: comments, blank lines and one identity.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (line, None) = (lines.next()?, lines.next()) else { return None };
        let bytes = decode(line.strip_prefix(PREFIX)?)?;
        Some(Self(StaticSecret::from(*bytes)))
    }

    /// The key under which the file's key is encrypted for this identity; `None` for a share of small order.
    pub(super) fn wrap_key(&self, share: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        let shared = self.0.diffie_hellman(&PublicKey::from(*share));
        if !shared.was_contributory() {
            return None;
        }
        let salt = [share.as_slice(), PublicKey::from(&self.0).as_bytes()].concat();
        derived(Some(&salt), shared.as_bytes(), LABEL)
    }
}

/// The data part of Bech32 (BIP 173) with its checksum over our prefix.
fn decode(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut values = Zeroizing::new(Vec::with_capacity(text.len()));
    for letter in text.bytes() {
        values.push(u8::try_from(ALPHABET.iter().position(|known| *known == letter)?).ok()?);
    }
    let name = PREFIX.trim_end_matches('1').bytes().map(|byte| byte.to_ascii_lowercase());
    let checked = name.clone().map(|byte| byte >> 5).chain([0]).chain(name.map(|byte| byte & 31)).chain(values.iter().copied());
    let (data, _) = values.split_at_checked(values.len().checked_sub(CHECKSUM)?)?;
    let mut bytes = Zeroizing::new([0_u8; 32]);
    // 32 bytes are 51 groups of five bits and one bit more, beside which the rest of the last group is zero.
    if checksum(checked) != 1 || data.len() != 52 || data.last().is_none_or(|last| last & 15 != 0) {
        return None;
    }
    let (mut held, mut bits, mut filled) = (0_u32, 0, bytes.iter_mut());
    for value in data {
        held = (held << 5 | u32::from(*value)) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            if let Some(byte) = filled.next() {
                *byte = (held >> bits & 0xff) as u8;
            }
        }
    }
    Some(bytes)
}

fn checksum(values: impl Iterator<Item = u8>) -> u32 {
    values.fold(1, |sum, value| {
        let top = sum >> 25;
        let next = (sum & 0x01ff_ffff) << 5 ^ u32::from(value);
        GENERATOR.iter().enumerate().fold(next, |next, (bit, term)| if top >> bit & 1 == 1 { next ^ term } else { next })
    })
}

const PREFIX: &str = "AGE-SECRET-KEY-1";
const LABEL: &[u8] = b"age-encryption.org/v1/X25519";
const ALPHABET: &[u8; 32] = b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
const CHECKSUM: usize = 6;
const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
