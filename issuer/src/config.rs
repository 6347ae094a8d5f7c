//! The configuration: one TOML file, every key documented here and in `docs/operating.md`, unknown keys are errors.

mod admin;
mod check;
mod client;
mod credentials;
mod root_key;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use narrows_verifier::revocation::MaxStaleness;
use serde::{Deserialize, Serialize};

pub use self::admin::{Admin, Operator, Role};
pub use self::check::{ConfigError, ConfigFault};
pub use self::client::{AuthMethod, Client, ClientCeiling, ClientGrant};
pub use self::root_key::PublishedRootKey;
pub use self::tls::Tls;
use crate::bounded_file;
use crate::federation::TrustedIssuer;
use crate::log::{ANCHOR_LAG_MS, DISK_RESERVE_MB, QUEUE};
use crate::witness::{Witness, WitnessMode};

/// Everything the service is told. Whoever can write this file decides who may get which token: give it to the
/// administrator alone.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The issuer identifier, an origin such as `https://narrows.example`: byte for byte what tokens, metadata and
    /// client assertions carry. An attacker who controls it makes clients send their assertions to another place.
    pub issuer: String,
    /// Address and port to listen on. An attacker who controls it exposes the service to networks it was not meant for.
    pub listen: SocketAddr,
    /// Allows plain HTTP on an address that is not loopback, for a TLS-terminating proxy on another machine. An
    /// attacker on the path between the two reads client secrets and tokens.
    #[serde(default)]
    pub danger_listen_plaintext: bool,
    /// TLS on `listen`; without it, the service speaks plain HTTP there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// The directory of the database and, unless named otherwise, the keys. Who writes here owns the issuer.
    pub data_dir: PathBuf,
    /// Where the secret keys are.
    #[serde(default)]
    pub keys: Keys,
    /// Root keys that are published beside the one that signs.
    #[serde(default)]
    pub root_key: Vec<PublishedRootKey>,
    /// The Merkle log.
    pub log: Log,
    /// The revocation feed.
    #[serde(default)]
    pub feed: Feed,
    /// Bounds on connections and requests.
    #[serde(default)]
    pub limits: Limits,
    /// Log lines.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// What may be minted.
    #[serde(default)]
    pub policy: Policy,
    /// The issuers whose login tokens are believed.
    #[serde(default)]
    pub trusted_issuer: Vec<TrustedIssuer>,
    /// The witnesses of the log, up to 15.
    #[serde(default)]
    pub witness: Vec<Witness>,
    /// The clients that may ask for tokens.
    #[serde(default)]
    pub client: Vec<Client>,
    /// Who may read the log's entries.
    #[serde(default)]
    pub auditor: Vec<Auditor>,
    /// Administration over HTTP.
    #[serde(default)]
    pub admin: Admin,
}

/// Where the secret keys are. An attacker who can swap a file signs with a key of their own; every key file is refused
/// unless its mode is 0600 or narrower and it belongs to the account that runs the service.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// The file of the key that signs tokens; without it, `issuer.key` in the data directory.
    pub issuer: Option<PathBuf>,
    /// The file of the key that signs checkpoints; without it, `log.key` in the data directory.
    pub log: Option<PathBuf>,
    /// The file of the key that signs JWT views of tokens; without it, `jwt.key` in the data directory, and where that is not
    /// there either, no such views are made.
    pub jwt: Option<PathBuf>,
    /// The file of the passphrase of key files that are encrypted. An attacker who reads it needs the key files alone.
    pub passphrase_file: Option<PathBuf>,
    /// The file of an age identity (X25519) to which key files are encrypted. An attacker who reads it needs the key files alone.
    pub identity_file: Option<PathBuf>,
    /// Seconds for which a new key that signs tokens is published before it signs. An attacker who lowers it has verifiers that
    /// fetch the keys less often refuse good tokens.
    pub overlap_seconds: u64,
    /// The file of the key that signs the revocation feed; without it, `feed.key` in the data directory.
    pub feed: Option<PathBuf>,
}

/// The Merkle log.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The log's name in checkpoints and receipts, such as `narrows.example/log`. It never changes over the life of a
    /// log; an attacker who controls it can start a second history that looks like another log.
    pub origin: String,
    /// Whether everybody may read the log's entries, which show the delegation graph, and not only its hashes. An attacker
    /// who sets it learns who delegates how often, though no name and no argument.
    #[serde(default)]
    pub public: bool,
    /// Entries that may wait to be written; one more is refused at once. An attacker who raises it has more memory filled on a
    /// slow disk, one who lowers it needs a smaller flood to have others refused.
    #[serde(default = "queue")]
    pub queue: usize,
    /// Megabytes of the disk that are kept for entries that take authority away, such as revocations. An attacker who sets
    /// it to 0 fills the disk, and then nothing can be revoked either.
    #[serde(default = "disk_reserve_mb")]
    pub disk_reserve_mb: u64,
    /// The file of the last checkpoint outside of the database; without it, `log.anchor` in the data directory. An attacker
    /// who can swap it together with the database rolls the log back unseen.
    #[serde(default)]
    pub anchor: Option<PathBuf>,
    /// Milliseconds for which the anchor may rest after each move; with 0 it moves before any receipt leaves. An attacker who
    /// raises it can cut off that much of the log's end.
    #[serde(default = "anchor_lag_ms")]
    pub anchor_lag_ms: u64,
    /// The operator's word, for one start and from the command line alone, to go on without an anchor that was there.
    #[serde(skip)]
    pub accept_missing_anchor: bool,
    /// How many of the `[[witness]]` entries must cosign a checkpoint before it is published as witnessed; without it, the
    /// newest checkpoint is published with the cosignatures that it has. An attacker who lowers it needs fewer accomplices.
    #[serde(default)]
    pub quorum: Option<usize>,
    /// How long leaves are handed out, and how long it can be said what they hide.
    #[serde(default)]
    pub retention: Retention,
    /// What happens without the quorum: `prefer` goes on and counts it, `require` releases nothing. An attacker who sets
    /// `prefer` can go on issuing on a log that witnesses no longer see.
    #[serde(default)]
    pub witness: WitnessMode,
}

/// The revocation feed. Verifiers deny once their snapshot is older than what stands here for the class of the tool.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Feed {
    /// Seconds for which a snapshot decides on tools that only read. An attacker who raises one of these bounds keeps a revoked
    /// token alive for so much longer at a verifier that is cut off from the feed.
    pub read_seconds: u64,
    /// The same for tools whose changes can be changed back.
    pub write_seconds: u64,
    /// The same for tools that send something to the outside.
    pub egress_seconds: u64,
    /// The same for what can't be undone.
    pub irreversible_seconds: u64,
    /// Milliseconds after which a snapshot is signed anew for whoever asks, though nothing has changed. An attacker who raises
    /// it makes verifiers deny.
    pub refresh_ms: u64,
    /// Added to the number of every snapshot. To be raised after a backup was restored, whose numbers lie below those that
    /// verifiers have seen: they take no lower one. An attacker who raises it hides that revocations were lost.
    pub sequence_offset: u64,
}

/// How long leaves are handed out, and how long it can be said what they hide. An attacker who shortens it has evidence go before
/// anybody has read it: a day after the log has announced that, at the soonest.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Days after which leaves are no longer handed out, in whole bundles; without it, they are for ever.
    pub entries_days: Option<u32>,
    /// Whether their bytes are deleted then; hashes and checkpoints stay. Without it, they stay in the file for the operator.
    pub delete: bool,
    /// Days after which what opens a leaf's commitments is deleted.
    pub disclosures_days: u32,
    /// The same for single kinds of leaves.
    pub disclosures: BTreeMap<String, u32>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            issuer: None,
            log: None,
            jwt: None,
            passphrase_file: None,
            identity_file: None,
            overlap_seconds: OVERLAP_SECONDS,
            feed: None,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { entries_days: None, delete: false, disclosures_days: DISCLOSURES_DAYS, disclosures: BTreeMap::new() }
    }
}

const fn anchor_lag_ms() -> u64 {
    ANCHOR_LAG_MS
}

const fn queue() -> usize {
    QUEUE
}

const fn disk_reserve_mb() -> u64 {
    DISK_RESERVE_MB
}

/// Bounds on connections and requests. An attacker who widens them can exhaust the service.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections open at once; one more is closed at once.
    pub max_connections: usize,
    /// Bytes of a request's body.
    pub max_body_bytes: usize,
    /// Bytes of a request's line and headers together, at least 8192.
    pub max_header_bytes: usize,
    /// Number of a request's headers.
    pub max_headers: usize,
    /// Milliseconds until a new connection must send its first byte.
    pub first_byte_timeout_ms: u64,
    /// Milliseconds for a request's headers, and for which a kept connection may idle.
    pub header_timeout_ms: u64,
    /// Milliseconds for a whole request, its body included.
    pub request_timeout_ms: u64,
    /// Milliseconds for which a peer may leave an answer unread.
    pub write_timeout_ms: u64,
    /// Milliseconds after which a connection takes no further request.
    pub connection_age_ms: u64,
    /// Milliseconds that requests in flight get to finish when the service stops.
    pub drain_timeout_ms: u64,
    /// Number of hops that may be reported for one task.
    pub max_hops_per_task: u32,
    /// Number of hops a minute that may be reported for one holder, whatever the task.
    pub max_reports_per_minute: u32,
    /// Number of token requests a minute of one client, refused ones included.
    pub max_client_tokens_per_minute: u32,
    /// Number of token requests a minute in the name of one subject, refused ones included.
    pub max_subject_tokens_per_minute: u32,
    /// Number of revocations a minute that one client or holder may ask for.
    pub max_revocations_per_minute: u32,
}

/// Log lines: to standard error, never with a token, secret, query string or body.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// `text` for people or `json` for collectors.
    pub format: LogFormat,
    /// Which lines to write, as a `tracing` filter such as `info` or `info,narrows_issuer=debug`. An attacker who
    /// controls it hides their requests from the operator's log, though not from the Merkle log.
    pub filter: String,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line a record.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What may be minted.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The policy pack's file; without it nothing is granted. An attacker who controls it grants themselves any tool.
    pub pack: Option<PathBuf>,
}

/// Somebody who may read the log's entries. An attacker who can add one learns who delegates to whom; each reading is
/// itself an entry.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Auditor {
    /// The name under which readings are recorded: printable ASCII, at most 128 characters.
    pub name: String,
    /// One or two digests `sha256:<hex>` of generated secrets, two while one is being replaced. An attacker who adds one
    /// knows a working secret.
    pub secret_hashes: Vec<String>,
    /// What is handed out. An attacker who raises it sees names beside the leaves.
    #[serde(default)]
    pub role: AuditorRole,
}

/// What an auditor is handed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditorRole {
    /// Leaves with their proofs.
    #[default]
    Auditor,
    /// Names and other disclosed values as well.
    Administrator,
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// Every fault of the file, or the one that stopped it from being read.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |error: std::io::Error| ConfigError::one(&path.display().to_string(), format!("can't be read: {error}"));
        let mut config = Self::parse(&bounded_file::read_text(path, MAX_CONFIG_BYTES).map_err(unreadable)?)?;
        config.find_credentials(credentials::directory().as_deref())?;
        Ok(config)
    }

    /// Parses and checks a configuration's text.
    ///
    /// # Errors
    /// The first syntax fault, or else every semantic one.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        if text.len() as u64 > MAX_CONFIG_BYTES {
            return Err(ConfigError::one("configuration", format!("is larger than {MAX_CONFIG_BYTES} bytes")));
        }
        let config: Self = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            ConfigError::one(&check::key_at(text, offset), check::without_quoted(error.message()))
        })?;
        let faults = config.faults();
        if faults.is_empty() { Ok(config) } else { Err(ConfigError(faults)) }
    }

    /// The configuration of `serve --dev`: plain HTTP on loopback, defaults for all else, no client.
    ///
    /// # Errors
    /// An address that is not loopback: development mode trusts its own identity provider and must stay on this machine.
    pub fn development(listen: SocketAddr, data_dir: PathBuf) -> Result<Self, ConfigError> {
        if !listen.ip().is_loopback() {
            return Err(ConfigError::one("listen", format!("`{listen}` is not a loopback address, which development mode demands")));
        }
        Ok(Self {
            issuer: format!("http://{listen}"),
            listen,
            danger_listen_plaintext: false,
            tls: None,
            data_dir,
            keys: Keys::default(),
            root_key: Vec::new(),
            log: Log {
                origin: "localhost/narrows-dev".into(),
                public: true,
                queue: QUEUE,
                disk_reserve_mb: DISK_RESERVE_MB,
                anchor: None,
                anchor_lag_ms: ANCHOR_LAG_MS,
                accept_missing_anchor: false,
                quorum: None,
                retention: Retention::default(),
                witness: WitnessMode::Prefer,
            },
            feed: Feed::default(),
            limits: Limits::default(),
            telemetry: Telemetry::default(),
            policy: Policy::default(),
            trusted_issuer: Vec::new(),
            witness: Vec::new(),
            client: Vec::new(),
            auditor: Vec::new(),
            admin: Admin::default(),
        })
    }

    /// The file of the key that signs tokens.
    pub fn issuer_key_file(&self) -> PathBuf {
        let default = || self.data_dir.join("issuer.key");
        self.keys.issuer.clone().unwrap_or_else(default)
    }

    /// The file of the key that signs JWT views, if there is to be one.
    pub fn jwt_key_file(&self) -> PathBuf {
        let default = || self.data_dir.join("jwt.key");
        self.keys.jwt.clone().unwrap_or_else(default)
    }

    /// The file of the log's anchor.
    pub fn anchor_file(&self) -> PathBuf {
        self.log.anchor.clone().unwrap_or_else(|| self.data_dir.join("log.anchor"))
    }

    /// The file of the key that signs the revocation feed.
    pub fn feed_key_file(&self) -> PathBuf {
        let default = || self.data_dir.join("feed.key");
        self.keys.feed.clone().unwrap_or_else(default)
    }

    /// The file of the key that signs checkpoints.
    pub fn log_key_file(&self) -> PathBuf {
        let default = || self.data_dir.join("log.key");
        self.keys.log.clone().unwrap_or_else(default)
    }
}

impl Limits {
    /// Time until a new connection must send its first byte.
    pub fn first_byte_timeout(&self) -> Duration {
        Duration::from_millis(self.first_byte_timeout_ms)
    }

    /// Time for a request's headers.
    pub fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.header_timeout_ms)
    }

    /// Time for a whole request.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// Time for which a peer may leave an answer unread.
    pub fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.write_timeout_ms)
    }

    /// Time after which a connection takes no further request.
    pub fn connection_age(&self) -> Duration {
        Duration::from_millis(self.connection_age_ms)
    }

    /// Time for requests in flight when the service stops.
    pub fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1_024,
            max_body_bytes: 65_536,
            max_header_bytes: 16_384,
            max_headers: 64,
            first_byte_timeout_ms: 10_000,
            header_timeout_ms: 10_000,
            request_timeout_ms: 30_000,
            write_timeout_ms: 10_000,
            connection_age_ms: 300_000,
            drain_timeout_ms: 10_000,
            max_hops_per_task: 64,
            max_reports_per_minute: 600,
            max_client_tokens_per_minute: 60_000,
            max_subject_tokens_per_minute: 6_000,
            max_revocations_per_minute: 600,
        }
    }
}

impl Feed {
    /// How old a snapshot may be at a verifier.
    pub const fn max_staleness(&self) -> MaxStaleness {
        MaxStaleness {
            read: self.read_seconds,
            write: self.write_seconds,
            egress: self.egress_seconds,
            irreversible: self.irreversible_seconds,
        }
    }
}

impl Default for Feed {
    fn default() -> Self {
        let MaxStaleness { read, write, egress, irreversible } = MaxStaleness::USUAL;
        Self {
            read_seconds: read,
            write_seconds: write,
            egress_seconds: egress,
            irreversible_seconds: irreversible,
            refresh_ms: 2_000,
            sequence_offset: 0,
        }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { format: LogFormat::default(), filter: "info".into() }
    }
}

const DISCLOSURES_DAYS: u32 = 90;
const OVERLAP_SECONDS: u64 = 3_600;

const MAX_CONFIG_BYTES: u64 = 1_048_576;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const EXAMPLE: &str = include_str!("../narrows.example.toml");
    const OPERATING: &str = include_str!("../../docs/operating.md");
    pub(super) const LEAST: &str = "issuer = \"https://narrows.example\"\nlisten = \"127.0.0.1:8420\"\n\
        data_dir = \"/var/lib/narrows\"\n[log]\norigin = \"narrows.example/log\"\n";

    /// Every key of the struct, tables as `table.key`.
    fn keys(value: &Value, prefix: &str, into: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let path = format!("{prefix}{name}");
                    match member {
                        Value::Object(_) if !["jwks", "claim_map", "disclosures"].contains(&name.as_str()) => {
                            keys(member, &format!("{path}."), into)
                        }
                        Value::Array(items) if items.first().is_some_and(Value::is_object) => {
                            items.iter().for_each(|item| keys(item, &format!("{path}."), into));
                        }
                        _ => into.push(path),
                    }
                }
            }
            _ => into.push(prefix.trim_end_matches('.').to_string()),
        }
    }

    #[test]
    fn example_file_is_valid() {
        let config = Config::parse(EXAMPLE).unwrap();
        assert_eq!(config.client.len(), 3);
    }

    #[test]
    fn four_keys_are_enough() {
        let config = Config::parse(LEAST).unwrap();
        assert_eq!(config.issuer_key_file(), Path::new("/var/lib/narrows/issuer.key"));
        assert_eq!(config.log_key_file(), Path::new("/var/lib/narrows/log.key"));
        assert_eq!(config.feed_key_file(), Path::new("/var/lib/narrows/feed.key"));
        assert_eq!(config.limits.max_body_bytes, 65_536);
    }

    #[test]
    fn every_key_is_documented_and_in_the_example() {
        let mut config = Config::parse(EXAMPLE).unwrap();
        for client in &mut config.client {
            client.jwks.get_or_insert(Value::Null);
            client.agents.get_or_insert_default();
            client.ceiling.tools.get_or_insert(Value::Null);
            client.ceiling.audiences.get_or_insert_default();
            client.ceiling.scopes.get_or_insert_default();
        }
        let mut paths = Vec::new();
        keys(&serde_json::to_value(&config).unwrap(), "", &mut paths);
        assert!(paths.len() > 20, "{paths:?}");
        for path in paths {
            assert!(OPERATING.contains(&format!("| `{path}` |")), "`{path}` is not in docs/operating.md");
            let name = path.rsplit('.').next().unwrap();
            assert!(EXAMPLE.contains(&format!("{name} = ")), "`{path}` is not in the example file");
        }
    }

    #[test]
    fn development_mode_stays_on_loopback() {
        let data = || PathBuf::from("data");
        let config = Config::development("127.0.0.1:8420".parse().unwrap(), data()).unwrap();
        assert_eq!(config.issuer, "http://127.0.0.1:8420");
        assert!(config.faults().is_empty());
        for address in ["0.0.0.0:8420", "192.0.2.1:8420", "[::]:8420"] {
            assert!(Config::development(address.parse().unwrap(), data()).is_err());
        }
    }
}
