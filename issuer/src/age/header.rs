//! The header of an encrypted file: who may open it, under a code that only the file's key makes.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{SALT_BYTES, derived};

/// A header that was read, and what is behind it. Its code has not been looked at.
pub(super) struct Header<'a> {
    pub(super) stanzas: Vec<Stanza>,
    pub(super) payload: &'a [u8],
    signed: &'a [u8],
    code: Vec<u8>,
}

/// One way to the file's key.
pub(super) enum Stanza {
    /// By a passphrase.
    Scrypt { salt: [u8; SALT_BYTES], work_factor: u8, body: Vec<u8> },
    /// By an X25519 identity.
    X25519 { share: [u8; 32], body: Vec<u8> },
    /// By something that is not known here.
    Other,
}

impl Stanza {
    /// The file's key, encrypted.
    pub(super) fn body(&self) -> &[u8] {
        match self {
            Self::Scrypt { body, .. } | Self::X25519 { body, .. } => body,
            Self::Other => &[],
        }
    }

    fn parse(line: &str, body: Vec<u8>) -> Option<Self> {
        let mut words = line.split(' ');
        let (kind, rest) = (words.next()?, words.collect::<Vec<_>>());
        match (kind, rest.as_slice()) {
            ("scrypt", [salt, work_factor]) => {
                let salt = BASE64.decode(salt).ok()?.try_into().ok()?;
                let canonical = work_factor.bytes().all(|digit| digit.is_ascii_digit()) && !work_factor.starts_with('0');
                let work_factor = work_factor.parse().ok().filter(|_| canonical && body.len() == WRAPPED_BYTES)?;
                Some(Self::Scrypt { salt, work_factor, body })
            }
            ("X25519", [share]) if body.len() == WRAPPED_BYTES => {
                Some(Self::X25519 { share: BASE64.decode(share).ok()?.try_into().ok()?, body })
            }
            ("scrypt" | "X25519", _) => None,
            _ => Some(Self::Other),
        }
    }
}

impl<'a> Header<'a> {
    pub(super) fn parse(file: &'a [u8]) -> Option<Self> {
        let mut rest = file.strip_prefix(FIRST_LINE)?;
        let mut stanzas = Vec::new();
        loop {
            let (line, behind) = line(rest)?;
            if let Some(code) = line.strip_prefix("--- ") {
                let signed = file.len().checked_sub(rest.len())?.checked_add(3)?;
                // With a passphrase, nobody else can be meant: a second stanza would be somebody's who knows it not.
                let by_passphrase = stanzas.iter().any(|stanza| matches!(stanza, Stanza::Scrypt { .. }));
                let sound = stanzas.len() == 1 || (!by_passphrase && !stanzas.is_empty());
                let header = Self { stanzas, payload: behind, signed: file.get(..signed)?, code: BASE64.decode(code).ok()? };
                return sound.then_some(header);
            }
            let arguments = line.strip_prefix("-> ")?;
            rest = behind;
            let mut body = Vec::new();
            loop {
                let (line, behind) = self::line(rest)?;
                rest = behind;
                body.extend(BASE64.decode(line).ok().filter(|_| line.len() <= COLUMNS)?);
                if line.len() < COLUMNS {
                    break;
                }
            }
            stanzas.push(Stanza::parse(arguments, body)?);
            if stanzas.len() > MAX_STANZAS {
                return None;
            }
        }
    }

    /// Whether the header was made by whoever knew the file's key.
    pub(super) fn check(&self, file_key: &[u8]) -> Option<()> {
        mac(file_key, self.signed)?.verify_slice(&self.code).ok()
    }
}

/// The header of a file for one passphrase.
pub(super) fn seal_header(salt: &[u8; SALT_BYTES], work_factor: u8, body: &[u8], file_key: &[u8]) -> Option<Vec<u8>> {
    let mut header = FIRST_LINE.to_vec();
    header.extend(format!("-> scrypt {} {work_factor}\n{}\n---", BASE64.encode(salt), BASE64.encode(body)).bytes());
    let code = mac(file_key, &header)?.finalize().into_bytes();
    header.extend(format!(" {}\n", BASE64.encode(code)).bytes());
    Some(header)
}

fn mac(file_key: &[u8], signed: &[u8]) -> Option<Hmac<Sha256>> {
    let key = derived(None, file_key, b"header")?;
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key.as_ref()).ok()?;
    mac.update(signed);
    Some(mac)
}

fn line(rest: &[u8]) -> Option<(&str, &[u8])> {
    let end = rest.iter().take(MAX_LINE).position(|byte| *byte == b'\n')?;
    let (line, behind) = rest.split_at_checked(end)?;
    Some((core::str::from_utf8(line).ok()?, behind.get(1..)?))
}

pub(super) const FIRST_LINE: &[u8] = b"age-encryption.org/v1\n";
/// The file's key and its tag.
const WRAPPED_BYTES: usize = 32;
const COLUMNS: usize = 64;
const MAX_LINE: usize = 256;
const MAX_STANZAS: usize = 16;
