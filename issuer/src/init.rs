//! The first start: a private data directory, its keys and a configuration, from flags and never over existing files.

use std::fs::DirBuilder;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use narrows_verifier::Reason;
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use crate::age::Unlock;
use crate::clients;
use crate::config::{Config, ConfigError};
use crate::keys::{KeyError, KeyRole, SecretKey, root_key_id, write_private};

/// What `narrows init` is told.
pub struct InitOptions {
    /// The data directory; made with mode 0700 when it is not there.
    pub data_dir: PathBuf,
    /// The issuer identifier, an origin.
    pub issuer: String,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The log's origin.
    pub log_origin: String,
    /// A first client, which gets a generated secret.
    pub client_id: Option<String>,
    /// The file of a passphrase, with which the keys are encrypted.
    pub passphrase_file: Option<PathBuf>,
}

/// What `narrows init` made.
pub struct Initialised {
    /// The configuration file.
    pub config_file: PathBuf,
    /// The root key id of the new issuer key.
    pub issuer_key_id: u32,
    /// Its public key in base64url, as a `[[root_key]]` and the published key set have it.
    pub issuer_public_key: String,
    /// The first client's secret, which is stored nowhere: show it once.
    pub client_secret: Option<Zeroizing<String>>,
}

/// Why `narrows init` stopped; what it had written until then stays, so that no key is ever deleted by a program.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The flags don't make a valid configuration; nothing was written.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file could not be made, or was already there.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Makes the data directory, the keys of issuer, log, feed and JWT views, the starter policy pack and `narrows.toml` in it.
///
/// # Errors
/// Flags that don't make a valid configuration, before anything is written; a file that exists or can't be made.
pub fn init(options: &InitOptions, random: &mut impl CryptoRngCore) -> Result<Initialised, InitError> {
    let client_secret = options.client_id.as_ref().map(|_| clients::generate_secret(random));
    let text = config_text(options, client_secret.as_ref().map(|secret| secret.as_str()));
    let config = Config::parse(&text)?;

    let unlock = Unlock::read(&config.keys)?;
    make_private_directory(&options.data_dir)?;
    let issuer_key = SecretKey::generate(KeyRole::Issuer, random);
    issuer_key.write_new_sealed(&config.issuer_key_file(), &unlock, random)?;
    SecretKey::generate(KeyRole::Log, random).write_new_sealed(&config.log_key_file(), &unlock, random)?;
    SecretKey::generate(KeyRole::Feed, random).write_new_sealed(&config.feed_key_file(), &unlock, random)?;
    SecretKey::generate(KeyRole::Jwt, random).write_new_sealed(&config.jwt_key_file(), &unlock, random)?;
    write_private(&options.data_dir.join(PACK_FILE), narrows_policies::STARTER.as_bytes())?;
    let config_file = options.data_dir.join("narrows.toml");
    write_private(&config_file, text.as_bytes())?;
    let issuer_key = issuer_key.public_key();
    Ok(Initialised {
        config_file,
        issuer_key_id: root_key_id(issuer_key.as_bytes()),
        issuer_public_key: URL_SAFE_NO_PAD.encode(issuer_key.as_bytes()),
        client_secret,
    })
}

/// Makes a directory with mode 0700; one that is there already keeps its mode, the files in it are 0600 anyway.
///
/// # Errors
/// `KEY_FILE_MISSING` when it can't be made.
pub fn make_private_directory(path: &Path) -> Result<(), KeyError> {
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(KeyError { reason: Reason::KeyFileMissing, message: format!("can't create the directory `{}`: {error}", path.display()) })
        }
        _ => Ok(()),
    }
}

fn config_text(options: &InitOptions, client_secret: Option<&str>) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_string()).to_string();
    let mut text = format!(
        "issuer = {}\nlisten = {}\ndata_dir = {}\n\n[log]\norigin = {}\n\n[policy]\npack = {}\n",
        quoted(&options.issuer),
        quoted(&options.listen.to_string()),
        quoted(&options.data_dir.to_string_lossy()),
        quoted(&options.log_origin),
        quoted(&options.data_dir.join(PACK_FILE).to_string_lossy()),
    );
    if let Some(file) = &options.passphrase_file {
        text.push_str(&format!("\n[keys]\npassphrase_file = {}\n", quoted(&file.to_string_lossy())));
    }
    if let (Some(client_id), Some(secret)) = (&options.client_id, client_secret) {
        text.push_str(&format!(
            "\n[[client]]\nid = {}\nauth_method = \"client_secret_basic\"\nsecret_hashes = [{}]\n",
            quoted(client_id),
            quoted(&clients::secret_hash(secret)),
        ));
    }
    text
}

const PACK_FILE: &str = "policy.toml";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use rand_core::OsRng;

    use super::*;
    use crate::keys::tests::Scratch;

    fn options(scratch: &Scratch) -> InitOptions {
        InitOptions {
            data_dir: scratch.0.join("data \"dir\""),
            issuer: "https://narrows.example".into(),
            listen: "127.0.0.1:8420".parse().unwrap(),
            log_origin: "narrows.example/log".into(),
            client_id: Some("planner".into()),
            passphrase_file: None,
        }
    }

    #[test]
    fn init_makes_a_configuration_and_keys_that_load() {
        let scratch = Scratch::new();
        let options = options(&scratch);
        let made = init(&options, &mut OsRng).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&options.data_dir), 0o700);
        assert_eq!(mode(&made.config_file), 0o600);
        let config = Config::load(&made.config_file).unwrap();
        let issuer = SecretKey::read(&config.issuer_key_file(), KeyRole::Issuer).unwrap();
        let log = SecretKey::read(&config.log_key_file(), KeyRole::Log).unwrap();
        let feed = SecretKey::read(&config.feed_key_file(), KeyRole::Feed).unwrap();
        assert_ne!(issuer.public_key(), log.public_key());
        assert!(feed.public_key() != issuer.public_key() && feed.public_key() != log.public_key());
        assert_eq!(root_key_id(issuer.public_key().as_bytes()), made.issuer_key_id);
        assert_eq!(URL_SAFE_NO_PAD.encode(issuer.public_key().as_bytes()), made.issuer_public_key);
        let secret = made.client_secret.unwrap();
        assert_eq!(config.client[0].secret_hashes, [clients::secret_hash(&secret)]);
        assert!(!fs::read_to_string(&made.config_file).unwrap().contains(secret.as_str()));
    }

    #[test]
    fn init_never_overwrites_and_checks_before_it_writes() {
        let scratch = Scratch::new();
        let mut options = options(&scratch);
        init(&options, &mut OsRng).unwrap();
        let key_file = options.data_dir.join("issuer.key");
        let before = fs::read(&key_file).unwrap();
        assert!(matches!(init(&options, &mut OsRng), Err(InitError::Key(error)) if error.reason == Reason::KeyFileExists));
        assert_eq!(fs::read(&key_file).unwrap(), before);

        options.data_dir = scratch.0.join("other");
        options.issuer = "http://narrows.example".into();
        assert!(matches!(init(&options, &mut OsRng), Err(InitError::Config(_))));
        assert!(!options.data_dir.exists());
    }
}
