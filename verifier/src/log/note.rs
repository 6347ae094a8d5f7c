//! C2SP signed-note@v1 with Ed25519: verifier keys, reading a note, checking its signatures.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use super::refusal::LogRefusal;
use crate::id::{from_hex, to_hex};
use crate::{PublicKey, Reason};

/// An Ed25519 key under which notes are checked: name, key id and public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey(TypedKey<ED25519>);

impl VerifierKey {
    /// The verifier key of this name and public key.
    ///
    /// # Errors
    /// [`Reason::VerifierKeyMalformed`] for a name that no note can carry and for a key that is not a point, of small order
    /// or oddly encoded.
    pub fn new(name: &str, public_key: &[u8; 32]) -> Result<Self, LogRefusal> {
        TypedKey::new(name, public_key).map(Self)
    }

    /// Reads `<name>+<key id in hex>+<base64 of 0x01 and the public key>`.
    ///
    /// # Errors
    /// [`Reason::VerifierKeyMalformed`], also when the key id is not the one that name and key give.
    pub fn parse(text: &str) -> Result<Self, LogRefusal> {
        TypedKey::parse(text, "the key's type is not Ed25519").map(Self)
    }

    /// The key's name; for a log's key, the log's origin.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The four bytes that stand before each of the key's signatures.
    pub const fn key_id(&self) -> [u8; 4] {
        self.0.key_id
    }

    /// The 32 bytes of the public key.
    pub fn public_key(&self) -> &[u8; 32] {
        self.0.public_key.as_bytes()
    }
}

impl core::fmt::Display for VerifierKey {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The key id of an Ed25519 key: the first four bytes of SHA-256(name ‖ newline ‖ 0x01 ‖ public key).
pub fn key_id(name: &str, public_key: &[u8; 32]) -> [u8; 4] {
    typed_key_id(name, ED25519, public_key)
}

/// What keys of every signature type have in common. The type is part of the key's text and id, so that no key passes for one of
/// another type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TypedKey<const TYPE: u8> {
    pub(super) name: String,
    pub(super) key_id: [u8; 4],
    pub(super) public_key: PublicKey,
}

impl<const TYPE: u8> TypedKey<TYPE> {
    pub(super) fn new(name: &str, public_key: &[u8; 32]) -> Result<Self, LogRefusal> {
        if name.len() > MAX_NAME_BYTES || !is_key_name(name) {
            return Err(bad_key("the key name is empty, too long, or holds a space, plus or control character"));
        }
        // Under a key of small order, one signature verifies for many texts; of a key with two encodings, each has an id.
        let parsed = PublicKey::from_bytes(public_key).map_err(|_| bad_key("the public key is not a sound Ed25519 key"))?;
        Ok(Self { name: name.to_owned(), key_id: typed_key_id(name, TYPE, public_key), public_key: parsed })
    }

    /// Reads `<name>+<key id in hex>+<base64 of the type and the public key>`. A sound key of another type is refused as such.
    pub(super) fn parse(text: &str, other_type: &'static str) -> Result<Self, LogRefusal> {
        // The base64 part may hold a plus itself, so only the first two separate.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad_key("a verifier key has three parts joined by plus"));
        };
        if key.len() > MAX_ENCODED_KEY {
            return Err(bad_key("the encoded public key is too long"));
        }
        let key = STANDARD.decode(key).map_err(|_| bad_key("the public key is not standard base64"))?;
        let public_key = match key.split_first() {
            Some((found, public_key)) if *found == TYPE => public_key,
            _ => return Err(bad_key(other_type)),
        };
        let public_key = public_key.try_into().map_err(|_| bad_key("the public key is not 32 bytes"))?;
        let parsed = Self::new(name, public_key)?;
        if from_hex(id) != Some(parsed.key_id) {
            return Err(bad_key("the key id does not belong to this name and key"));
        }
        Ok(parsed)
    }
}

impl<const TYPE: u8> core::fmt::Display for TypedKey<TYPE> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let encoded = STANDARD.encode([&[TYPE][..], self.public_key.as_bytes()].concat());
        write!(formatter, "{}+{}+{encoded}", self.name, to_hex(&self.key_id))
    }
}

fn typed_key_id(name: &str, key_type: u8, public_key: &[u8; 32]) -> [u8; 4] {
    let digest = Sha256::new().chain_update(name).chain_update([b'\n', key_type]).chain_update(public_key).finalize();
    let [first, second, third, fourth, ..] = <[u8; 32]>::from(digest);
    [first, second, third, fourth]
}

/// The signature line, newline included, for `signature` over a note's text (with its final newline).
pub fn signature_line(key: &VerifierKey, signature: &[u8; 64]) -> String {
    format!("— {} {}\n", key.name(), STANDARD.encode([&key.key_id()[..], signature].concat()))
}

/// A note as read: its text is not to be trusted before [`Note::verify`] has accepted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    unverified_text: &'a str,
    signatures: Vec<SignatureLine<'a>>,
}

/// One signature line: whose it claims to be, and the signature itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SignatureLine<'a> {
    pub(super) name: &'a str,
    pub(super) key_id: [u8; 4],
    pub(super) bytes: Vec<u8>,
}

impl<'a> Note<'a> {
    /// Splits a note into text and signature lines; checks its form only.
    ///
    /// # Errors
    /// [`Reason::NoteMalformed`], also beyond [`MAX_NOTE_BYTES`] or [`MAX_SIGNATURES`].
    pub fn parse(note: &'a str) -> Result<Self, LogRefusal> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(malformed("the note is too large"));
        }
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(malformed("the note holds a control character"));
        }
        // The last empty line separates, so the text itself may hold empty lines.
        let Some((before, lines)) = note.rsplit_once("\n\n") else {
            return Err(malformed("no empty line separates text and signatures"));
        };
        let unverified_text = note.get(..before.len() + 1).unwrap_or_default();
        let Some(lines) = lines.strip_suffix('\n') else {
            return Err(malformed("the note does not end in a newline or has no signature"));
        };
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == MAX_SIGNATURES {
                return Err(malformed("the note has too many signatures"));
            }
            signatures.push(SignatureLine::parse(line)?);
        }
        Ok(Self { unverified_text, signatures })
    }

    /// The text that the signatures are over, final newline included. Nothing has vouched for it yet.
    pub const fn unverified_text(&self) -> &'a str {
        self.unverified_text
    }

    /// The signature lines in their order, checked for their form alone.
    pub(super) fn lines(&self) -> &[SignatureLine<'a>] {
        &self.signatures
    }

    /// Checks every signature line that names one of `keys` and returns the keys that signed. Other lines are ignored.
    ///
    /// # Errors
    /// [`Reason::CheckpointSignature`] when a known key's signature is wrong, or when no known key signed.
    pub fn verify<'k>(&self, keys: &'k [VerifierKey]) -> Result<Vec<&'k VerifierKey>, LogRefusal> {
        let mut signers: Vec<&'k VerifierKey> = Vec::new();
        for line in &self.signatures {
            // Two keys may share name and id: the line is good when one of them made it, bad when none did.
            let mut known = keys.iter().filter(|key| key.name() == line.name && key.key_id() == line.key_id).peekable();
            if known.peek().is_none() {
                continue;
            }
            let signature: &[u8; 64] =
                line.bytes.as_slice().try_into().map_err(|_| not_signed("a signature of a known key has the wrong length"))?;
            // Strict: a lax check accepts signatures that other implementations refuse.
            let signer = known
                .find(|key| key.0.public_key.verifies(self.unverified_text.as_bytes(), signature))
                .ok_or_else(|| not_signed("a signature of a known key does not verify"))?;
            if !signers.contains(&signer) {
                signers.push(signer);
            }
        }
        if signers.is_empty() { Err(not_signed("no known key signed")) } else { Ok(signers) }
    }
}

impl<'a> SignatureLine<'a> {
    /// The line as it stood in the note, newline included.
    pub(super) fn encode(&self) -> String {
        format!("— {} {}\n", self.name, STANDARD.encode([&self.key_id[..], &self.bytes].concat()))
    }

    pub(super) fn parse(line: &'a str) -> Result<Self, LogRefusal> {
        let Some((name, encoded)) = line.strip_prefix("— ").and_then(|line| line.split_once(' ')) else {
            return Err(malformed("a signature line is not a dash, a name and a signature"));
        };
        if !is_key_name(name) {
            return Err(malformed("a signature line's key name is empty or holds a space or plus"));
        }
        let bytes = STANDARD.decode(encoded).map_err(|_| malformed("a signature is not standard base64"))?;
        match bytes.split_first_chunk::<4>() {
            Some((key_id, signature)) if !signature.is_empty() => Ok(Self { name, key_id: *key_id, bytes: signature.to_vec() }),
            _ => Err(malformed("a signature is too short")),
        }
    }
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|character| character.is_whitespace() || character == '+' || character < ' ')
}

const fn bad_key(detail: &'static str) -> LogRefusal {
    LogRefusal::new(Reason::VerifierKeyMalformed, detail)
}

const fn malformed(detail: &'static str) -> LogRefusal {
    LogRefusal::new(Reason::NoteMalformed, detail)
}

const fn not_signed(detail: &'static str) -> LogRefusal {
    LogRefusal::new(Reason::CheckpointSignature, detail)
}

/// The most signature lines that a note may have. The format demands that at least 16 be accepted.
pub const MAX_SIGNATURES: usize = 16;

/// The largest note: 16 post-quantum signatures of 5 kB in base64, and a text.
pub const MAX_NOTE_BYTES: usize = 128 * 1024;

const MAX_NAME_BYTES: usize = 256;

/// Signature type of plain Ed25519 notes.
const ED25519: u8 = 0x01;

/// Base64 of the longest key that any type has, ML-DSA-44, so that such a key is refused for its type.
const MAX_ENCODED_KEY: usize = 1752;

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    const SPEC_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const SPEC_NOTE: &str = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    fn spec_key() -> VerifierKey {
        VerifierKey::parse(SPEC_KEY).unwrap()
    }

    fn key(seed: u8, name: &str) -> (SigningKey, VerifierKey) {
        let secret = SigningKey::from_bytes(&[seed; 32]);
        let public = VerifierKey::new(name, secret.verifying_key().as_bytes()).unwrap();
        (secret, public)
    }

    fn line(seed: u8, name: &str, text: &str) -> String {
        let (secret, public) = key(seed, name);
        signature_line(&public, &secret.sign(text.as_bytes()).to_bytes())
    }

    #[test]
    fn the_specification_example_verifies() {
        let keys = [spec_key()];
        let note = Note::parse(SPEC_NOTE).unwrap();
        assert_eq!(note.verify(&keys).unwrap(), [&keys[0]]);
        assert_eq!(note.unverified_text(), "This is an example message.\n");
        assert_eq!(keys[0].to_string(), SPEC_KEY);
    }

    #[test]
    fn a_changed_note_is_refused() {
        let keys = [spec_key()];
        for position in 0..SPEC_NOTE.len() {
            let mut bytes = SPEC_NOTE.as_bytes().to_vec();
            bytes[position] ^= 0x01;
            if let Ok(text) = String::from_utf8(bytes) {
                assert!(Note::parse(&text).and_then(|note| note.verify(&keys).map(drop)).is_err(), "byte {position}");
            }
        }
    }

    #[test]
    fn malformed_notes_are_refused() {
        let signature = SPEC_NOTE.split_once("\n\n").unwrap().1;
        let short = "— example.com/foo Uw2QOg==\n";
        for text in [
            String::new(),
            "\n".to_owned(),
            "\n\n".to_owned(),
            "text\n\n".to_owned(),
            "text\n\n\n".to_owned(),
            format!("text\n{signature}"),
            format!("text\n\n{}", signature.trim_end()),
            format!("text\n\n{signature}x"),
            format!("text\n\n{signature}\n{short}"),
            format!("text\r\n\r\n{signature}"),
            format!("te\txt\n\n{signature}"),
            format!("text\n\n{}", signature.replace('\n', "\r\n")),
            format!("text\n\n{}", signature.replace("— ", "- ")),
            format!("text\n\n{}", signature.replace("— ", "—")),
            format!("text\n\n{}", signature.replace("— ", "—  ")),
            format!("text\n\n{}", signature.replace("foo ", "foo  ")),
            format!("text\n\n{}", signature.replace("foo", "f+oo")),
            format!("text\n\n{}", signature.replace("foo", "f\u{a0}oo")),
            format!("text\n\n{}", signature.replace("example.com/foo", "")),
            format!("text\n\n{}", signature.replace('=', "")),
            format!("text\n\n{}", signature.replace("yaQM=", "yaQN=")),
            format!("text\n\n{short}"),
            format!("text\n\n{}", signature.repeat(17)),
            format!("{}\n\n{signature}", "x".repeat(MAX_NOTE_BYTES)),
        ] {
            assert_eq!(Note::parse(&text).unwrap_err().reason, Reason::NoteMalformed, "{text:?}");
        }
        assert!(Note::parse(&format!("text\n\n{}", signature.repeat(16))).is_ok());
    }

    #[test]
    fn unknown_signatures_are_ignored_and_known_bad_ones_refuse() {
        let text = "one\n\ntwo\n";
        let keys = [key(1, "log").1, key(2, "witness").1];
        let accepted = |lines: &[String]| {
            let note = format!("{text}\n{}", lines.concat());
            let note = Note::parse(&note).unwrap();
            assert_eq!(note.unverified_text(), text);
            note.verify(&keys).map(|signers| signers.len())
        };
        let stranger = line(3, "log", text);
        assert_eq!(accepted(&[line(1, "log", text)]), Ok(1));
        assert_eq!(accepted(&[stranger.clone(), line(1, "log", text)]), Ok(1));
        assert_eq!(accepted(&[line(1, "other", text), line(1, "log", text)]), Ok(1));
        assert_eq!(accepted(&[line(1, "log", text), line(1, "log", text)]), Ok(1));
        assert_eq!(accepted(&[line(2, "witness", text), line(1, "log", text)]), Ok(2));
        for lines in [
            vec![stranger],
            vec![line(1, "log", "another text\n")],
            vec![line(1, "log", text), line(2, "witness", "another text\n")],
            vec![line(1, "log", text), line(1, "log", "another text\n")],
        ] {
            assert_eq!(accepted(&lines).unwrap_err().reason, Reason::CheckpointSignature);
        }
        // A known name and id with a signature of another length must not be skipped as unknown.
        let (_, log) = key(1, "log");
        let stub = format!("— log {}\n", STANDARD.encode([&log.key_id()[..], &[0; 63]].concat()));
        assert!(accepted(&[line(2, "witness", text), stub]).is_err());
    }

    #[test]
    fn bad_verifier_keys_are_refused() {
        let weak = STANDARD.encode([&[1][..], &[0; 32]].concat());
        let weak = format!("log+{}+{weak}", to_hex(&key_id("log", &[0; 32])));
        for text in [
            "",
            "++",
            "example.com/foo",
            "example.com/foo+530d903a",
            "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",
            "exam ple+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            &weak,
        ] {
            assert_eq!(VerifierKey::parse(text).unwrap_err().reason, Reason::VerifierKeyMalformed, "{text}");
        }
        assert!(VerifierKey::new("", &[1; 32]).is_err());
        // y at or above the field prime: other implementations read another key, or none
        for first in 0xed..=0xff {
            let mut odd = [0xff; 32];
            (odd[0], odd[31]) = (first, 0x7f);
            assert_eq!(VerifierKey::new("log", &odd).unwrap_err().reason, Reason::VerifierKeyMalformed);
        }
    }
}
