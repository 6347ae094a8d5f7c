//! The holder's key: what a token is bound to.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use narrows_verifier::{
    PublicKey, Reason,
    json::Value,
    proof::{HolderClaims, sign_holder},
    public_key,
};
use rand_core::{CryptoRngCore, OsRng, RngCore as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// An Ed25519 key that proves possession of tokens and signs hops. Zeroized on drop; it can't be printed or cloned.
pub struct HolderKey {
    seed: Zeroizing<[u8; 32]>,
}

/// Why a key file was not read or written; the text never holds key material.
#[derive(Debug, thiserror::Error)]
#[error("{message} ({reason})")]
pub struct KeyError {
    /// The stable reason.
    pub reason: Reason,
    /// What was wrong with which file.
    pub message: String,
}

impl HolderKey {
    /// Makes a key from the system's entropy.
    pub fn generate() -> Self {
        Self::generate_with(&mut OsRng)
    }

    /// Makes a key from the caller's entropy.
    pub fn generate_with(random: &mut impl CryptoRngCore) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill_bytes(seed.as_mut());
        Self { seed }
    }

    /// Reads a key file: one line `narrows-key ed25519 holder <base64url seed>`.
    ///
    /// # Errors
    /// `KEY_FILE_MISSING`, `KEY_FILE_MODE` when others than the owner have any access, `KEY_FILE_MALFORMED` or `KEY_ROLE`.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        read_seed(path, ROLE).map(|seed| Self { seed })
    }

    /// Writes the key to a new file with mode 0600. An existing file is never overwritten.
    ///
    /// # Errors
    /// `KEY_FILE_EXISTS`, or `KEY_FILE_MISSING` when the directory can't be written.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyError> {
        write_seed(path, ROLE, &self.seed)
    }

    /// The public half, which others name as holder.
    pub fn public(&self) -> PublicKey {
        public_key(&self.seed)
    }

    /// The request parameter that asks for a token bound to this key (RFC 9201 §3.1): base64url of `{"jwk": …}`.
    pub fn req_cnf(&self) -> String {
        let text = |text: &str| Value::Text(text.to_owned());
        let x = URL_SAFE_NO_PAD.encode(self.public().as_bytes());
        let jwk = Value::object([("crv", text("Ed25519")), ("kty", text("OKP")), ("x", Value::Text(x))]);
        URL_SAFE_NO_PAD.encode(Value::object([("jwk", jwk)]).canonical())
    }

    /// The request parameter that proves, for one token request of one client at one issuer, that we hold this key.
    pub fn holder_proof(&self, issuer: &str, client: &str, subject_token: &str, now: u64) -> String {
        let mut nonce = [0; 16];
        OsRng.fill_bytes(&mut nonce);
        let claims = HolderClaims { issuer, client, subject_digest: Sha256::digest(subject_token).into() };
        sign_holder(&claims, now, &nonce, &self.seed)
    }

    pub(crate) fn seed(&self) -> &[u8; 32] {
        &self.seed
    }
}

/// Reads the seed in the key file of a role.
pub(crate) fn read_seed(path: &Path, role: &str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let error = |reason: Reason, what: &str| KeyError { reason, message: format!("`{}` {what}", path.display()) };
    let unreadable = |cause: io::Error| error(Reason::KeyFileMissing, &format!("can't be read: {cause}"));
    let file = File::open(path).map_err(unreadable)?;
    // of the open file and not of the path, which could be swapped in between
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(error(Reason::KeyFileMissing, "is not a regular file"));
    }
    if metadata.mode() & 0o7777 & !0o600 != 0 {
        return Err(error(Reason::KeyFileMode, "must not be open to others: its mode may be 0600 at most"));
    }
    let mut line = Zeroizing::new(String::with_capacity(MAX_FILE));
    file.take(MAX_FILE as u64).read_to_string(&mut line).map_err(unreadable)?;
    parse(&line, role).map_err(|reason| error(reason, &format!("is not one line `{PREFIX}{role} <base64url seed>`")))
}

/// Writes a seed into a new key file of a role.
pub(crate) fn write_seed(path: &Path, role: &str, seed: &[u8; 32]) -> Result<(), KeyError> {
    let failed = |cause: io::Error| KeyError {
        reason: if cause.kind() == io::ErrorKind::AlreadyExists { Reason::KeyFileExists } else { Reason::KeyFileMissing },
        message: format!("can't create `{}`: {cause}", path.display()),
    };
    let mut line = Zeroizing::new(String::with_capacity(MAX_FILE));
    line.push_str(PREFIX);
    line.push_str(role);
    line.push(' ');
    URL_SAFE_NO_PAD.encode_string(seed, &mut line);
    line.push('\n');
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

fn parse(text: &str, role: &str) -> Result<Zeroizing<[u8; 32]>, Reason> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let (named, encoded) = line.strip_prefix(PREFIX).ok_or(Reason::KeyFileMalformed)?.split_once(' ').ok_or(Reason::KeyFileMalformed)?;
    if named != role {
        return Err(Reason::KeyRole);
    }
    if encoded.len() != SEED_TEXT {
        return Err(Reason::KeyFileMalformed);
    }
    // the decoder asks for room by an estimate that is one byte above the true size
    let mut room = Zeroizing::new([0; 33]);
    let length = URL_SAFE_NO_PAD.decode_slice(encoded, room.as_mut()).map_err(|_| Reason::KeyFileMalformed)?;
    let seed = room.get(..length).and_then(|seed| seed.try_into().ok()).ok_or(Reason::KeyFileMalformed)?;
    Ok(Zeroizing::new(seed))
}

const ROLE: &str = "holder";
const PREFIX: &str = "narrows-key ed25519 ";
/// A key file is under 80 bytes; more than this is not read.
const MAX_FILE: usize = 256;
/// 32 bytes in unpadded base64url.
const SEED_TEXT: usize = 43;

#[cfg(test)]
impl HolderKey {
    pub(crate) fn of(byte: u8) -> Self {
        Self { seed: Zeroizing::new([byte; 32]) }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

    use rand_core::RngCore as _;

    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("narrows-sdk-{:016x}", OsRng.next_u64()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn reason<T>(result: Result<T, KeyError>) -> Option<Reason> {
        result.err().map(|error| error.reason)
    }

    #[test]
    fn key_file_reads_back_is_private_and_never_overwritten() {
        let scratch = Scratch::new();
        let path = scratch.0.join("planner.key");
        let key = HolderKey::generate();
        key.write_new(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(HolderKey::read(&path).map_err(|error| error.reason).map(|read| read.public()), Ok(key.public()));
        assert_eq!(reason(HolderKey::generate().write_new(&path)), Some(Reason::KeyFileExists));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(reason(HolderKey::read(&path)), Some(Reason::KeyFileMode));
        assert_eq!(reason(HolderKey::read(&scratch.0.join("none.key"))), Some(Reason::KeyFileMissing));
    }

    #[test]
    fn other_roles_and_malformed_lines_are_refused() {
        let seed = URL_SAFE_NO_PAD.encode([7; 32]);
        let table = [
            (format!("narrows-key ed25519 holder {seed}\n"), None),
            (format!("narrows-key ed25519 issuer {seed}\n"), Some(Reason::KeyRole)),
            (format!("narrows-key rsa holder {seed}"), Some(Reason::KeyFileMalformed)),
            (format!("narrows-key ed25519 holder {seed}="), Some(Reason::KeyFileMalformed)),
            (format!("narrows-key ed25519 holder {seed}\n\n"), Some(Reason::KeyFileMalformed)),
            ("narrows-key ed25519 holder ".to_owned(), Some(Reason::KeyFileMalformed)),
            (String::new(), Some(Reason::KeyFileMalformed)),
        ];
        for (text, expected) in table {
            assert_eq!(parse(&text, ROLE).err(), expected, "{text}");
        }
    }

    #[test]
    fn req_cnf_is_the_jwk_of_rfc_9201() {
        let text = URL_SAFE_NO_PAD.decode(HolderKey::of(7).req_cnf()).unwrap();
        let x = URL_SAFE_NO_PAD.encode(HolderKey::of(7).public().as_bytes());
        assert_eq!(String::from_utf8(text).unwrap(), format!(r#"{{"jwk":{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}}}"#));
    }
}
