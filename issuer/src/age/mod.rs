//! Key files that are encrypted in the age format, version 1 (C2SP age.md), so that the `age` program reads and writes them too.
//!
//! What there is of the format: passphrases and X25519 identities, in binary files that fit into one chunk. A library for all of it
//! would bring sixty crates into a service that opens some files of a hundred bytes.

mod header;
mod identity;

use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead};
use hkdf::Hkdf;
use narrows_verifier::Reason;
use rand_core::CryptoRngCore;
use sha2::Sha256;
use zeroize::Zeroizing;

use self::header::{Header, Stanza, seal_header};
use self::identity::Identity;
use crate::{
    config,
    keys::{KeyError, read_private},
};

/// What opens encrypted files. No Debug, no Clone: these are secrets.
#[derive(Default)]
pub struct Unlock {
    passphrase: Option<Zeroizing<String>>,
    identity: Option<Identity>,
}

impl Unlock {
    /// Reads what the configuration names.
    ///
    /// # Errors
    /// A reason of key files.
    pub fn read(keys: &config::Keys) -> Result<Self, KeyError> {
        let malformed = |what: &str| KeyError { reason: Reason::KeyFileMalformed, message: what.to_owned() };
        let passphrase = keys.passphrase_file.as_ref().map(|file| {
            let bytes = read_private(file, MAX_PASSPHRASE_BYTES)?;
            let text = core::str::from_utf8(&bytes).ok().map(|text| text.strip_suffix('\n').unwrap_or(text));
            let text = text.filter(|text| !text.is_empty()).ok_or_else(|| malformed("the passphrase file holds no passphrase"))?;
            Ok::<_, KeyError>(Zeroizing::new(text.to_owned()))
        });
        let identity = keys.identity_file.as_ref().map(|file| {
            let bytes = read_private(file, MAX_IDENTITY_BYTES)?;
            let identity = core::str::from_utf8(&bytes).ok().and_then(Identity::parse);
            identity.ok_or_else(|| malformed("the identity file holds no line `AGE-SECRET-KEY-1…` that is sound"))
        });
        Ok(Self { passphrase: passphrase.transpose()?, identity: identity.transpose()? })
    }

    /// The passphrase, with which new files are encrypted.
    pub fn passphrase(&self) -> Option<&str> {
        self.passphrase.as_ref().map(|text| text.as_str())
    }
}

/// Whether these are the bytes of an encrypted file.
pub(crate) fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(header::FIRST_LINE)
}

/// Opens an encrypted file.
///
/// # Errors
/// `KEY_FILE_MALFORMED`; `KEY_WORK_FACTOR` before any work is done; `KEY_FILE_SEALED` where nothing is at hand that could open it;
/// `KEY_PASSPHRASE` where what is at hand does not.
pub(crate) fn open(bytes: &[u8], unlock: &Unlock) -> Result<Zeroizing<Vec<u8>>, Reason> {
    let header = Header::parse(bytes).ok_or(Reason::KeyFileMalformed)?;
    let file_key = file_key(&header, unlock)?;
    header.check(&file_key).ok_or(Reason::KeyFileMalformed)?;
    let (nonce, chunk) = header.payload.split_at_checked(PAYLOAD_NONCE_BYTES).ok_or(Reason::KeyFileMalformed)?;
    let key = derived(Some(nonce), &file_key, b"payload").ok_or(Reason::Internal)?;
    decrypt(&key, &ONLY_CHUNK, chunk).ok_or(Reason::KeyFileMalformed)
}

/// Encrypts with a passphrase.
///
/// # Errors
/// `INTERNAL`, which does not happen for what fits into one chunk.
pub(crate) fn seal(plain: &[u8], passphrase: &str, random: &mut impl CryptoRngCore) -> Result<Vec<u8>, Reason> {
    let (mut salt, mut nonce, mut file_key) = ([0; SALT_BYTES], [0; PAYLOAD_NONCE_BYTES], Zeroizing::new(vec![0; FILE_KEY_BYTES]));
    random.fill_bytes(&mut salt);
    random.fill_bytes(&mut nonce);
    random.fill_bytes(&mut file_key);
    let seal = || {
        let body = encrypt(&*stretched(passphrase, &salt, WORK_FACTOR)?, &[0; 12], &file_key)?;
        let mut file = seal_header(&salt, WORK_FACTOR, &body, &file_key)?;
        file.extend(nonce);
        file.extend(encrypt(&*derived(Some(&nonce), &file_key, b"payload")?, &ONLY_CHUNK, plain)?);
        Some(file)
    };
    seal().ok_or(Reason::Internal)
}

/// The key of the file, by the first stanza that opens.
fn file_key(header: &Header<'_>, unlock: &Unlock) -> Result<Zeroizing<Vec<u8>>, Reason> {
    let mut tried = false;
    for stanza in &header.stanzas {
        let wrap_key = match (stanza, &unlock.passphrase, &unlock.identity) {
            (Stanza::Scrypt { work_factor, .. }, ..) if *work_factor > MAX_WORK_FACTOR => return Err(Reason::KeyWorkFactor),
            (Stanza::Scrypt { salt, work_factor, .. }, Some(passphrase), _) => stretched(passphrase, salt, *work_factor),
            (Stanza::X25519 { share, .. }, _, Some(identity)) => identity.wrap_key(share),
            _ => continue,
        };
        tried = true;
        let opened = wrap_key.and_then(|key| decrypt(&key, &[0; 12], stanza.body()));
        if let Some(key) = opened.filter(|key| key.len() == FILE_KEY_BYTES) {
            return Ok(key);
        }
    }
    Err(if tried { Reason::KeyPassphrase } else { Reason::KeyFileSealed })
}

/// A key from a passphrase, slowly.
fn stretched(passphrase: &str, salt: &[u8; SALT_BYTES], work_factor: u8) -> Option<Zeroizing<[u8; 32]>> {
    let salt = [SCRYPT_LABEL, salt].concat();
    let mut key = Zeroizing::new([0; 32]);
    let parameters = scrypt::Params::new(work_factor, 8, 1, 32).ok()?;
    scrypt::scrypt(passphrase.as_bytes(), &salt, &parameters, key.as_mut()).ok()?;
    Some(key)
}

fn derived(salt: Option<&[u8]>, secret: &[u8], label: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(salt, secret).expand(label, key.as_mut()).ok()?;
    Some(key)
}

fn decrypt(key: &[u8; 32], nonce: &[u8; 12], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    ChaCha20Poly1305::new(key.into()).decrypt(nonce.into(), sealed).ok().map(Zeroizing::new)
}

fn encrypt(key: &[u8; 32], nonce: &[u8; 12], plain: &[u8]) -> Option<Vec<u8>> {
    ChaCha20Poly1305::new(key.into()).encrypt(nonce.into(), plain).ok()
}

const FILE_KEY_BYTES: usize = 16;
const SALT_BYTES: usize = 16;
const PAYLOAD_NONCE_BYTES: usize = 16;
/// Number 0, and the last.
const ONLY_CHUNK: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const SCRYPT_LABEL: &[u8] = b"age-encryption.org/v1/scrypt";
/// 2^15 rounds take 32 MiB, for each key file at start.
const WORK_FACTOR: u8 = 15;
/// What the `age` program writes: 256 MiB. Above, whoever writes the file could have the service killed for its memory.
const MAX_WORK_FACTOR: u8 = 18;
const MAX_PASSPHRASE_BYTES: u64 = 1_024;
const MAX_IDENTITY_BYTES: u64 = 4_096;

#[cfg(test)]
mod tests;
