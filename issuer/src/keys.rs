//! Secret keys in files: one line, one role, readable by the service's own account alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{SigningKey, VerifyingKey};
use narrows_verifier::Reason;
use rand_core::CryptoRngCore;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::age::{self, Unlock};
use crate::bounded_file;

/// What a key may sign. The role is part of the file, so that a file in the wrong slot is refused and one key never
/// speaks for two purposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRole {
    /// Signs authority blocks.
    Issuer,
    /// Signs checkpoints of the log.
    Log,
    /// Cosigns checkpoints of other logs.
    Witness,
    /// Signs the revocation feed.
    Feed,
    /// Signs JWT views of tokens.
    Jwt,
}

/// An Ed25519 secret key with its role; zeroized on drop, with no way to print or clone it.
pub struct SecretKey {
    role: KeyRole,
    seed: Zeroizing<[u8; 32]>,
}

/// Why a key file was not written or not accepted; the text never holds key material.
#[derive(Debug, thiserror::Error)]
#[error("{message} ({reason})")]
pub struct KeyError {
    /// The stable reason code.
    pub reason: Reason,
    /// What was wrong with which file.
    pub message: String,
}

impl KeyRole {
    /// The word that names the role in a key file.
    pub const fn name(self) -> &'static str {
        match self {
            KeyRole::Issuer => "issuer",
            KeyRole::Log => "log",
            KeyRole::Witness => "witness",
            KeyRole::Feed => "feed",
            KeyRole::Jwt => "jwt",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Issuer, Self::Log, Self::Witness, Self::Feed, Self::Jwt].into_iter().find(|role| role.name() == name)
    }
}

impl SecretKey {
    /// Makes a key for one role.
    pub fn generate(role: KeyRole, random: &mut impl CryptoRngCore) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill_bytes(seed.as_mut());
        Self { role, seed }
    }

    /// Reads a key of the given role.
    ///
    /// # Errors
    /// `KEY_FILE_MISSING`, `KEY_FILE_MODE` (any access for group or others, or another owner than this process),
    /// `KEY_FILE_MALFORMED`, `KEY_ROLE`, and `KEY_FILE_SEALED` for an encrypted file.
    pub fn read(path: &Path, role: KeyRole) -> Result<Self, KeyError> {
        Self::open(path, role, &Unlock::default())
    }

    /// Reads a key of the given role from a file that may be encrypted.
    ///
    /// # Errors
    /// As [`SecretKey::read`], and for what can't be opened `KEY_FILE_SEALED`, `KEY_PASSPHRASE` or `KEY_WORK_FACTOR`.
    pub fn open(path: &Path, role: KeyRole, unlock: &Unlock) -> Result<Self, KeyError> {
        let mut bytes = read_private(path, SEALED_FILE_BYTES)?;
        if age::is_sealed(&bytes) {
            let unopened =
                |reason: Reason| KeyError { reason, message: format!("`{}` can't be opened: {}", path.display(), reason.meaning()) };
            bytes = age::open(&bytes, unlock).map_err(unopened)?;
        }
        let bytes = bytes.get(..).filter(|bytes| bytes.len() <= KEY_FILE_BYTES).unwrap_or_default();
        let key = core::str::from_utf8(bytes).ok().and_then(Self::parse).ok_or_else(|| KeyError {
            reason: Reason::KeyFileMalformed,
            message: format!("`{}` is not one line `narrows-key ed25519 <role> <base64url seed>`", path.display()),
        })?;
        if key.role != role {
            return Err(KeyError {
                reason: Reason::KeyRole,
                message: format!("`{}` holds the {} key, where the {} key belongs", path.display(), key.role.name(), role.name()),
            });
        }
        Ok(key)
    }

    /// Writes the key to a new file with mode 0600, durable when this returns. An existing file is never overwritten.
    ///
    /// # Errors
    /// `KEY_FILE_EXISTS`, or `KEY_FILE_MISSING` when the directory can't be written.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyError> {
        write_private(path, self.line().as_bytes())
    }

    /// The same, encrypted with the passphrase if there is one.
    ///
    /// # Errors
    /// As [`SecretKey::write_new`].
    pub fn write_new_sealed(&self, path: &Path, unlock: &Unlock, random: &mut impl CryptoRngCore) -> Result<(), KeyError> {
        match unlock.passphrase() {
            None => self.write_new(path),
            Some(passphrase) => write_private(path, &self.sealed(passphrase, random)?),
        }
    }

    /// Puts the key, encrypted with the passphrase, in the place of the file that it was read from.
    ///
    /// # Errors
    /// `KEY_FILE_LINK` for a file under more than one name; `KEY_FILE_EXISTS` for what an attempt before left beside it, or
    /// `KEY_FILE_MISSING` when the directory can't be written.
    pub fn seal_in_place(&self, path: &Path, passphrase: &str, random: &mut impl CryptoRngCore) -> Result<(), KeyError> {
        // Only the name is replaced: under the other one, the key would stay in plain text while its owner believes it sealed.
        let named = path.symlink_metadata().map_err(|error| unreadable(path, &error))?;
        if named.is_symlink() || named.nlink() > 1 {
            let message = format!("`{}` is a symbolic link or one of several names of a file; name the file itself", path.display());
            return Err(KeyError { reason: Reason::KeyFileLink, message });
        }
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(".new");
        write_private(Path::new(&fresh), &self.sealed(passphrase, random)?)?;
        fs::rename(&fresh, path)
            .and_then(|()| sync_parent(path))
            .map_err(|error| KeyError { reason: Reason::KeyFileMissing, message: format!("can't replace `{}`: {error}", path.display()) })
    }

    fn sealed(&self, passphrase: &str, random: &mut impl CryptoRngCore) -> Result<Vec<u8>, KeyError> {
        age::seal(self.line().as_bytes(), passphrase, random)
            .map_err(|reason| KeyError { reason, message: "the key can't be encrypted".to_owned() })
    }

    fn line(&self) -> Zeroizing<String> {
        let mut line = Zeroizing::new(String::with_capacity(KEY_FILE_BYTES));
        line.push_str("narrows-key ed25519 ");
        line.push_str(self.role.name());
        line.push(' ');
        URL_SAFE_NO_PAD.encode_string(self.seed.as_ref(), &mut line);
        line.push('\n');
        line
    }

    /// The role that the key was made for.
    pub fn role(&self) -> KeyRole {
        self.role
    }

    /// The public half.
    pub fn public_key(&self) -> VerifyingKey {
        SigningKey::from_bytes(&self.seed).verifying_key()
    }

    /// Gives the signing half to the one file that signs with this role.
    pub fn into_signing_key(self) -> SigningKey {
        SigningKey::from_bytes(&self.seed)
    }

    /// Shows the raw seed, for a library that wants its own key type. The caller must zeroize what it copies.
    pub fn danger_seed(&self) -> &[u8; 32] {
        &self.seed
    }

    fn parse(text: &str) -> Option<Self> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let mut words = line.split(' ');
        let (tag, algorithm) = (words.next()?, words.next()?);
        let (role, seed_text) = (KeyRole::from_name(words.next()?)?, words.next()?);
        if tag != "narrows-key" || algorithm != "ed25519" || words.next().is_some() {
            return None;
        }
        let mut seed = Zeroizing::new([0; 32]);
        // The decoder wants an upper estimate of room, which for 43 characters is 33 bytes.
        let mut room = Zeroizing::new([0; 33]);
        if seed_text.len() != SEED_TEXT_BYTES {
            return None;
        }
        URL_SAFE_NO_PAD.decode_slice(seed_text, room.as_mut()).ok()?;
        seed.copy_from_slice(room.get(..32)?);
        Some(Self { role, seed })
    }
}

/// The key id that Biscuit carries as `root_key_id`: the first four bytes of SHA-256 of the public key, big-endian.
pub fn root_key_id(public_key: &[u8; 32]) -> u32 {
    let [first, second, third, fourth, ..] = <[u8; 32]>::from(Sha256::digest(public_key));
    u32::from_be_bytes([first, second, third, fourth])
}

/// Writes a new file that only this account may read (0600), durable when this returns.
///
/// # Errors
/// `KEY_FILE_EXISTS`, or `KEY_FILE_MISSING` when the directory can't be written.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let failed = |error: io::Error| KeyError {
        reason: if error.kind() == io::ErrorKind::AlreadyExists { Reason::KeyFileExists } else { Reason::KeyFileMissing },
        message: format!("can't create `{}`: {error}", path.display()),
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    sync_parent(path).map_err(failed)
}

/// Without this a name may be lost in a power cut, and with it the only copy of a key.
fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent),
        _ => File::open("."),
    }
    .and_then(|directory| directory.sync_all())
}

/// Reads a file that holds a secret, and that nobody but this account may read.
///
/// # Errors
/// `KEY_FILE_MISSING`, `KEY_FILE_MODE` (any access for group or others, or another owner than this process), or
/// `KEY_FILE_MALFORMED` for more than `most` bytes.
pub(crate) fn read_private(path: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let file = bounded_file::open(path).map_err(|error| unreadable(path, &error))?;
    check_access(path, &file)?;
    // With room from the beginning, no copy of the secret is left behind by growing.
    let room = file.metadata().map_or(0, |metadata| metadata.len()).min(most) as usize;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room.saturating_add(1)));
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 > most {
        return Err(KeyError { reason: Reason::KeyFileMalformed, message: format!("`{}` is larger than {most} bytes", path.display()) });
    }
    Ok(bytes)
}

/// Looks at the open handle, not at the path: a swap between check and read would otherwise win.
fn check_access(path: &Path, file: &File) -> Result<(), KeyError> {
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        return Err(unreadable(path, &io::Error::other("not a regular file")));
    }
    let refuse = |message: String| Err(KeyError { reason: Reason::KeyFileMode, message });
    let mode = metadata.mode() & 0o7777;
    if mode & !0o600 != 0 {
        return refuse(format!("`{}` has mode {mode:04o}, a key file must not be wider than 0600", path.display()));
    }
    if effective_user().is_some_and(|user| user != metadata.uid()) {
        return refuse(format!("`{}` belongs to user {}, not to the account that runs the service", path.display(), metadata.uid()));
    }
    Ok(())
}

/// The account this process runs as. The system call needs unsafe code, the process's own directory does not; where
/// there is none, only the mode is checked.
fn effective_user() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|metadata| metadata.uid())
}

fn unreadable(path: &Path, error: &io::Error) -> KeyError {
    KeyError { reason: Reason::KeyFileMissing, message: format!("can't read `{}`: {error}", path.display()) }
}

/// A key file is under 80 bytes; more than this is not read.
const KEY_FILE_BYTES: usize = 256;
/// The same encrypted, for several recipients at most.
const SEALED_FILE_BYTES: u64 = 4_096;
/// 32 bytes in unpadded base64url.
const SEED_TEXT_BYTES: usize = 43;

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use rand_core::{OsRng, RngCore};

    use super::*;

    /// A fresh directory under the system's own, removed on drop.
    pub(crate) struct Scratch(pub(crate) PathBuf);

    impl Scratch {
        pub(crate) fn new() -> Self {
            let path = std::env::temp_dir().join(format!("narrows-{:016x}", OsRng.next_u64()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn reason(result: Result<SecretKey, KeyError>) -> Option<Reason> {
        result.err().map(|error| error.reason)
    }

    #[test]
    fn key_file_reads_back_and_is_private() {
        let scratch = Scratch::new();
        let path = scratch.0.join("issuer.key");
        let key = SecretKey::generate(KeyRole::Issuer, &mut OsRng);
        key.write_new(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let read = SecretKey::read(&path, KeyRole::Issuer).unwrap();
        assert_eq!(read.public_key(), key.public_key());
        assert_eq!(read.public_key(), key.public_key());
    }

    #[test]
    fn key_file_wider_than_0600_is_refused() {
        let scratch = Scratch::new();
        let path = scratch.0.join("log.key");
        SecretKey::generate(KeyRole::Log, &mut OsRng).write_new(&path).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o700, 0o4600] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(reason(SecretKey::read(&path, KeyRole::Log)), Some(Reason::KeyFileMode), "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(SecretKey::read(&path, KeyRole::Log).is_ok());
    }

    #[test]
    fn key_in_the_wrong_slot_is_refused() {
        let scratch = Scratch::new();
        let path = scratch.0.join("log.key");
        SecretKey::generate(KeyRole::Log, &mut OsRng).write_new(&path).unwrap();
        assert_eq!(reason(SecretKey::read(&path, KeyRole::Issuer)), Some(Reason::KeyRole));
    }

    #[test]
    fn key_file_is_never_overwritten() {
        let scratch = Scratch::new();
        let path = scratch.0.join("issuer.key");
        let key = SecretKey::generate(KeyRole::Issuer, &mut OsRng);
        key.write_new(&path).unwrap();
        let again = SecretKey::generate(KeyRole::Issuer, &mut OsRng).write_new(&path);
        assert_eq!(again.unwrap_err().reason, Reason::KeyFileExists);
        assert_eq!(SecretKey::read(&path, KeyRole::Issuer).unwrap().public_key(), key.public_key());
    }

    #[test]
    fn malformed_key_files_are_refused_without_showing_them() {
        let scratch = Scratch::new();
        let seed = URL_SAFE_NO_PAD.encode([7; 32]);
        let cases = [
            String::new(),
            "narrows-key ed25519 issuer".into(),
            format!("narrows-key ed25519 issuer {seed}="),
            format!("narrows-key ed25519 issuer {seed} more"),
            format!("narrows-key ed25519 root {seed}"),
            format!("narrows-key rsa issuer {seed}"),
            format!("narrows-key  ed25519 issuer {seed}"),
            format!("narrows-key ed25519 issuer {}", seed.trim_start_matches("B")),
            format!("narrows-key ed25519 issuer {seed}\n\n"),
            format!("{seed}\n").repeat(40),
        ];
        for (index, text) in cases.iter().enumerate() {
            let path = scratch.0.join(format!("{index}.key"));
            write_private(&path, text.as_bytes()).unwrap();
            let error = SecretKey::read(&path, KeyRole::Issuer).err().unwrap();
            assert_eq!(error.reason, Reason::KeyFileMalformed, "{text:?}");
            assert!(!error.to_string().contains("Bwc"));
        }
        assert_eq!(reason(SecretKey::read(&scratch.0.join("none"), KeyRole::Issuer)), Some(Reason::KeyFileMissing));
    }

    #[test]
    fn root_key_id_is_the_head_of_the_public_key_digest() {
        let public_key = SigningKey::from_bytes(&[1; 32]).verifying_key();
        let digest = Sha256::digest(public_key.as_bytes());
        assert_eq!(root_key_id(public_key.as_bytes()).to_be_bytes(), digest[..4]);
    }
}
