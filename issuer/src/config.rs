//! The configuration: one TOML file, every key documented here and in `docs/operating.md`, unknown keys are errors.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use narrows_verifier::Reason;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::{Host, Url};

use crate::clients;

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
    /// The directory of the database and, unless named otherwise, the keys. Who writes here owns the issuer.
    pub data_dir: PathBuf,
    /// Where the secret keys are.
    #[serde(default)]
    pub keys: Keys,
    /// The Merkle log.
    pub log: Log,
    /// Bounds on connections and requests.
    #[serde(default)]
    pub limits: Limits,
    /// Log lines.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// What may be minted.
    #[serde(default)]
    pub policy: Policy,
    /// The clients that may ask for tokens.
    #[serde(default)]
    pub client: Vec<Client>,
}

/// Where the secret keys are. An attacker who can swap a file signs with a key of their own; every key file is refused
/// unless its mode is 0600 or narrower and it belongs to the account that runs the service.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// The file of the key that signs tokens; without it, `issuer.key` in the data directory.
    pub issuer: Option<PathBuf>,
    /// The file of the key that signs checkpoints; without it, `log.key` in the data directory.
    pub log: Option<PathBuf>,
}

/// The Merkle log.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The log's name in checkpoints and receipts, such as `narrows.example/log`. It never changes over the life of a
    /// log; an attacker who controls it can start a second history that looks like another log.
    pub origin: String,
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
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The policy pack's file; without it nothing is granted. An attacker who controls it grants themselves any tool.
    pub pack: Option<PathBuf>,
    /// Bytes that a pack may have; a larger file is refused at start.
    pub max_pack_bytes: u64,
}

/// One client. An attacker who can add one may ask for tokens with any login they hold; the policy still decides.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The client identifier: printable ASCII, at most 128 characters.
    pub id: String,
    /// The one way in which this client authenticates.
    pub auth_method: AuthMethod,
    /// For `client_secret_basic`: one or two digests `sha256:<hex>` of generated secrets, two while one is being
    /// replaced. An attacker who adds one knows a working secret.
    #[serde(default)]
    pub secret_hashes: Vec<String>,
    /// For `private_key_jwt`: the client's public keys as a JWK set, as a table or as JSON text. An attacker who adds
    /// a key can sign as this client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// The agent names that this client may give to tokens; without it, any name that the policy accepts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<Vec<String>>,
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// A generated secret in the `Authorization: Basic` header (RFC 6749 §2.3.1).
    ClientSecretBasic,
    /// A JWT signed by the client's own key (RFC 7523).
    PrivateKeyJwt,
}

/// One fault of a configuration, by the key it is at; the text never repeats a value that might be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// The key's path, such as `client[1].secret_hashes[0]`, or the file's.
    pub key: String,
    /// What is wrong, in one sentence.
    pub message: String,
}

/// All faults found in one configuration; never empty. The reason code is `CONFIG_INVALID`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError(pub Vec<ConfigFault>);

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// Every fault of the file, or the one that stopped it from being read.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |error: std::io::Error| {
            ConfigError::one(
                &path.display().to_string(),
                format!("can't be read: {error}"),
            )
        };
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MAX_CONFIG_BYTES + 1).read_to_string(&mut text))
            .map_err(unreadable)?;
        Self::parse(&text)
    }

    /// Parses and checks a configuration's text.
    ///
    /// # Errors
    /// The first syntax fault, or else every semantic one.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        if text.len() as u64 > MAX_CONFIG_BYTES {
            return Err(ConfigError::one(
                "configuration",
                format!("is larger than {MAX_CONFIG_BYTES} bytes"),
            ));
        }
        let config: Self = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            ConfigError::one(&key_at(text, offset), without_quoted(error.message()))
        })?;
        let faults = config.faults();
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError(faults))
        }
    }

    /// The configuration of `serve --dev`: plain HTTP on loopback, defaults for all else, no client.
    ///
    /// # Errors
    /// An address that is not loopback: development mode trusts its own identity provider and must stay on this machine.
    pub fn development(listen: SocketAddr, data_dir: PathBuf) -> Result<Self, ConfigError> {
        if !listen.ip().is_loopback() {
            return Err(ConfigError::one(
                "listen",
                format!("`{listen}` is not a loopback address, which development mode demands"),
            ));
        }
        Ok(Self {
            issuer: format!("http://{listen}"),
            listen,
            danger_listen_plaintext: false,
            data_dir,
            keys: Keys::default(),
            log: Log {
                origin: "localhost/narrows-dev".into(),
            },
            limits: Limits::default(),
            telemetry: Telemetry::default(),
            policy: Policy::default(),
            client: Vec::new(),
        })
    }

    /// The file of the key that signs tokens.
    pub fn issuer_key_file(&self) -> PathBuf {
        let default = || self.data_dir.join("issuer.key");
        self.keys.issuer.clone().unwrap_or_else(default)
    }

    /// The file of the key that signs checkpoints.
    pub fn log_key_file(&self) -> PathBuf {
        let default = || self.data_dir.join("log.key");
        self.keys.log.clone().unwrap_or_else(default)
    }

    /// Everything that TOML syntax and types can't say.
    fn faults(&self) -> Vec<ConfigFault> {
        let mut faults = Faults(Vec::new());
        if let Err(message) = check_issuer(&self.issuer) {
            faults.add("issuer", message);
        }
        if !self.listen.ip().is_loopback() && !self.danger_listen_plaintext {
            faults.add(
                "listen",
                "is not loopback and the service speaks plain http: put a tls proxy on this machine, or set \
                 `danger_listen_plaintext`",
            );
        }
        if self.data_dir.as_os_str().is_empty() {
            faults.add("data_dir", "is empty");
        }
        if self.issuer_key_file() == self.log_key_file() {
            faults.add(
                "keys.log",
                "is the file of the issuer key, the two must be separate keys",
            );
        }
        if let Err(message) = check_origin(&self.log.origin) {
            faults.add("log.origin", message);
        }
        self.limits.add_faults(&mut faults);
        if let Err(error) = self
            .telemetry
            .filter
            .parse::<tracing_subscriber::EnvFilter>()
        {
            faults.add("telemetry.filter", format!("is not a filter: {error}"));
        }
        if !(1..=MAX_PACK_BYTES).contains(&self.policy.max_pack_bytes) {
            faults.add(
                "policy.max_pack_bytes",
                format!("must be from 1 to {MAX_PACK_BYTES}"),
            );
        }
        self.add_client_faults(&mut faults);
        faults.0
    }

    fn add_client_faults(&self, faults: &mut Faults) {
        if self.client.len() > MAX_CLIENTS {
            faults.add("client", format!("has more than {MAX_CLIENTS} entries"));
        }
        let mut seen = HashSet::new();
        for (index, client) in self.client.iter().enumerate() {
            let at = |key: &str| format!("client[{index}].{key}");
            if !clients::is_client_id(&client.id) {
                faults.add(
                    &at("id"),
                    "must be 1 to 128 printable ascii characters without a colon or a space",
                );
            }
            if !seen.insert(client.id.as_str()) {
                faults.add(&at("id"), "is the id of an earlier client too");
            }
            match client.auth_method {
                AuthMethod::ClientSecretBasic => {
                    if client.jwks.is_some() {
                        faults.add(&at("jwks"), "has no use with `client_secret_basic`");
                    }
                    if !(1..=2).contains(&client.secret_hashes.len()) {
                        faults.add(&at("secret_hashes"), "must hold one or two digests");
                    }
                }
                AuthMethod::PrivateKeyJwt => {
                    if !client.secret_hashes.is_empty() {
                        faults.add(&at("secret_hashes"), "has no use with `private_key_jwt`");
                    }
                    if let Err(message) = client.check_jwks() {
                        faults.add(&at("jwks"), message);
                    }
                }
            }
            for (place, digest) in client.secret_hashes.iter().enumerate() {
                if clients::parse_secret_hash(digest).is_none() {
                    faults.add(
                        &at(&format!("secret_hashes[{place}]")),
                        "must be `sha256:` and 64 lower-case hex digits, never the secret itself",
                    );
                }
            }
        }
    }
}

impl Client {
    /// The client's public keys as a JWK set object, whichever way they were written.
    pub fn jwk_set(&self) -> Option<Value> {
        match self.jwks.as_ref()? {
            Value::String(text) if text.len() <= MAX_JWKS_BYTES => serde_json::from_str(text).ok(),
            Value::Object(set) => Some(Value::Object(set.clone())),
            _ => None,
        }
    }

    fn check_jwks(&self) -> Result<(), &'static str> {
        const SHAPE: &str = "must be a jwk set, `{ keys = [...] }` or the same as json text";
        let set = self.jwk_set().ok_or(SHAPE)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(SHAPE)?;
        if !(1..=MAX_JWKS_KEYS).contains(&keys.len()) {
            return Err("must hold 1 to 16 keys");
        }
        for key in keys {
            let members = key.as_object().ok_or(SHAPE)?;
            if PRIVATE_JWK_MEMBERS
                .iter()
                .any(|name| members.contains_key(*name))
            {
                return Err("holds a private or symmetric key: give the public half only");
            }
            if !members.get("kty").is_some_and(Value::is_string) {
                return Err("holds a key without `kty`");
            }
        }
        Ok(())
    }
}

impl Limits {
    fn add_faults(&self, faults: &mut Faults) {
        let sizes = [
            ("max_connections", self.max_connections, 1, 65_536),
            ("max_body_bytes", self.max_body_bytes, 1_024, 1_048_576),
            ("max_header_bytes", self.max_header_bytes, 8_192, 65_536),
            ("max_headers", self.max_headers, 8, 256),
        ];
        for (key, value, least, most) in sizes {
            if !(least..=most).contains(&value) {
                faults.add(
                    &format!("limits.{key}"),
                    format!("must be from {least} to {most}"),
                );
            }
        }
        let times = [
            ("first_byte_timeout_ms", self.first_byte_timeout_ms),
            ("header_timeout_ms", self.header_timeout_ms),
            ("request_timeout_ms", self.request_timeout_ms),
            ("write_timeout_ms", self.write_timeout_ms),
            ("drain_timeout_ms", self.drain_timeout_ms),
            ("connection_age_ms", self.connection_age_ms),
        ];
        for (key, value) in times {
            if !(1..=MAX_TIME_MS).contains(&value) {
                faults.add(
                    &format!("limits.{key}"),
                    format!("must be from 1 to {MAX_TIME_MS}"),
                );
            }
        }
    }

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
        }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            filter: "info".into(),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            pack: None,
            max_pack_bytes: 262_144,
        }
    }
}

impl ConfigError {
    /// The stable reason code.
    pub const REASON: Reason = Reason::ConfigInvalid;

    pub(crate) fn one(key: &str, message: impl Into<String>) -> Self {
        let mut faults = Faults(Vec::new());
        faults.add(key, message);
        Self(faults.0)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(formatter, "{separator}`{}`: {}", fault.key, fault.message)?;
        }
        Ok(())
    }
}

struct Faults(Vec<ConfigFault>);

impl Faults {
    fn add(&mut self, key: &str, message: impl Into<String>) {
        self.0.push(ConfigFault {
            key: key.into(),
            message: message.into(),
        });
    }
}

/// An origin in its one canonical spelling. Identifiers are compared byte by byte, so a second spelling of the same
/// origin would be a second issuer.
fn check_issuer(issuer: &str) -> Result<(), String> {
    let url = Url::parse(issuer).map_err(|error| format!("is not a url: {error}"))?;
    let canonical = url.origin().ascii_serialization();
    if canonical != issuer {
        return Err(format!(
            "must be an origin without path, query or trailing slash, here `{canonical}`"
        ));
    }
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        _ => Err("must be https, or http on loopback".into()),
    }
}

/// A checkpoint's first line and a signed-note key name at once: no space, no plus, one line.
fn check_origin(origin: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'+';
    if origin.is_empty() || origin.len() > 255 || !origin.bytes().all(allowed) {
        return Err("must be 1 to 255 printable ascii characters without space or `+`");
    }
    Ok(())
}

/// Names the key on the line at `offset`, with the table that it is in.
fn key_at(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or_default();
    let line_number = before.matches('\n').count() + 1;
    let table = text
        .lines()
        .take(line_number)
        .filter_map(|line| line.trim().strip_prefix('['))
        .last()
        .map(|line| {
            line.split(']')
                .next()
                .unwrap_or_default()
                .trim_start_matches('[')
        });
    let key = text
        .lines()
        .nth(line_number - 1)
        .filter(|line| !line.trim_start().starts_with('['))
        .and_then(|line| line.split_once('='))
        .map(|(key, _)| key.trim());
    let path: Vec<&str> = table.into_iter().chain(key).collect();
    if path.is_empty() {
        format!("line {line_number}")
    } else {
        format!("{} (line {line_number})", path.join("."))
    }
}

/// The parser quotes the offending value, which may be a secret in the wrong place.
fn without_quoted(message: &str) -> String {
    let first_line = message.lines().next().unwrap_or_default();
    if let Some((_, expected)) = first_line
        .strip_prefix("unknown variant ")
        .and_then(|rest| rest.split_once(", expected "))
    {
        return format!("unknown value, expected {expected}");
    }
    match (first_line.find('"'), first_line.rfind('"')) {
        (Some(start), Some(end)) if start < end => {
            let head = first_line.get(..start).unwrap_or_default();
            let tail = first_line.get(end + 1..).unwrap_or_default();
            format!("{head}\"…\"{tail}")
        }
        _ => first_line.to_string(),
    }
}

const MAX_CONFIG_BYTES: u64 = 1_048_576;
const MAX_PACK_BYTES: u64 = 1_048_576;
const MAX_CLIENTS: usize = 10_000;
const MAX_JWKS_BYTES: usize = 32_768;
const MAX_JWKS_KEYS: usize = 16;
const MAX_TIME_MS: u64 = 3_600_000;
/// Members that only private or symmetric keys have (RFC 7518 §6).
const PRIVATE_JWK_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../narrows.example.toml");
    const OPERATING: &str = include_str!("../../docs/operating.md");
    const LEAST: &str = "issuer = \"https://narrows.example\"\nlisten = \"127.0.0.1:8420\"\n\
        data_dir = \"/var/lib/narrows\"\n[log]\norigin = \"narrows.example/log\"\n";

    fn faults(text: &str) -> Vec<(String, String)> {
        let ConfigError(faults) = Config::parse(text).unwrap_err();
        faults
            .into_iter()
            .map(|fault| (fault.key, fault.message))
            .collect()
    }

    fn with_client(lines: &str) -> String {
        format!("{LEAST}[[client]]\nid = \"planner\"\n{lines}")
    }

    /// Every key of the struct, tables as `table.key`.
    fn keys(value: &Value, prefix: &str, into: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let path = format!("{prefix}{name}");
                    match member {
                        Value::Object(_) if name != "jwks" => {
                            keys(member, &format!("{path}."), into)
                        }
                        Value::Array(items) if items.first().is_some_and(Value::is_object) => {
                            items
                                .iter()
                                .for_each(|item| keys(item, &format!("{path}."), into));
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
        assert_eq!(config.client.len(), 2);
    }

    #[test]
    fn four_keys_are_enough() {
        let config = Config::parse(LEAST).unwrap();
        assert_eq!(
            config.issuer_key_file(),
            Path::new("/var/lib/narrows/issuer.key")
        );
        assert_eq!(config.log_key_file(), Path::new("/var/lib/narrows/log.key"));
        assert_eq!(config.limits.max_body_bytes, 65_536);
    }

    #[test]
    fn every_key_is_documented_and_in_the_example() {
        let mut config = Config::parse(EXAMPLE).unwrap();
        for client in &mut config.client {
            client.jwks.get_or_insert(Value::Null);
            client.agents.get_or_insert_default();
        }
        let mut paths = Vec::new();
        keys(&serde_json::to_value(&config).unwrap(), "", &mut paths);
        assert!(paths.len() > 20, "{paths:?}");
        for path in paths {
            assert!(
                OPERATING.contains(&format!("| `{path}` |")),
                "`{path}` is not in docs/operating.md"
            );
            let name = path.rsplit('.').next().unwrap();
            assert!(
                EXAMPLE.contains(&format!("{name} = ")),
                "`{path}` is not in the example file"
            );
        }
    }

    #[test]
    fn unknown_keys_are_named_errors() {
        let found = faults(&format!("{LEAST}orgin = \"x\"\n"));
        assert_eq!(found[0].0, "log.orgin (line 6)");
        assert!(found[0].1.contains("unknown field `orgin`"), "{found:?}");
        let found = faults(&format!("danger = true\n{LEAST}"));
        assert_eq!(found[0].0, "danger (line 1)");
    }

    #[test]
    fn wrong_types_are_errors_that_never_repeat_the_value() {
        let found = faults(&with_client(
            "auth_method = \"client_secret_basic\"\nsecret_hashes = \"hunter2hunter2\"\n",
        ));
        assert_eq!(found[0].0, "client.secret_hashes (line 9)");
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
        let found = faults(&with_client(
            "auth_method = \"client_secret_basic\"\nsecret_hashes = [\"hunter2hunter2\"]\n",
        ));
        assert_eq!(found[0].0, "client[0].secret_hashes[0]");
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
        let found = faults(&with_client("auth_method = \"hunter2hunter2\"\n"));
        assert_eq!(found[0].0, "client.auth_method (line 8)");
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
    }

    #[test]
    fn issuer_has_one_spelling_and_plain_http_only_on_loopback() {
        let accepted = [
            "https://a.example",
            "https://a.example:8443",
            "http://127.0.0.1:8420",
            "http://[::1]:8420",
            "http://localhost:1",
        ];
        let refused = [
            "https://a.example/",
            "https://A.example",
            "https://a.example:443",
            "https://a.example/x",
            "https://a.example?x",
            "https://user@a.example",
            "http://a.example",
            "http://127.0.0.1.a.example",
            "http://localhost.a.example",
            "ftp://a.example",
            "a.example",
            "",
        ];
        for issuer in accepted {
            assert_eq!(check_issuer(issuer), Ok(()), "{issuer}");
        }
        for issuer in refused {
            assert!(check_issuer(issuer).is_err(), "{issuer}");
        }
    }

    #[test]
    fn semantic_faults_are_all_reported_with_their_keys() {
        let text = "issuer = \"http://narrows.example\"\nlisten = \"0.0.0.0:80\"\ndata_dir = \"\"\n\
            [keys]\nissuer = \"a\"\nlog = \"a\"\n[log]\norigin = \"a b\"\n[limits]\nmax_headers = 1\nrequest_timeout_ms = 0\n\
            [telemetry]\nfilter = \"a=b=c\"\n[policy]\nmax_pack_bytes = 0\n\
            [[client]]\nid = \"a b\"\nauth_method = \"private_key_jwt\"\n";
        let keys: Vec<String> = faults(text).into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "issuer",
                "listen",
                "data_dir",
                "keys.log",
                "log.origin",
                "limits.max_headers",
                "limits.request_timeout_ms",
                "telemetry.filter",
                "policy.max_pack_bytes",
                "client[0].id",
                "client[0].jwks",
            ]
        );
    }

    #[test]
    fn client_entries_must_fit_their_method() {
        let hash = format!("\"sha256:{}\"", "0".repeat(64));
        let jwk = "{ kty = \"OKP\", crv = \"Ed25519\", x = \"AA\" }";
        let cases = [
            ("auth_method = \"client_secret_basic\"".to_string(), "client[0].secret_hashes"),
            (format!("auth_method = \"client_secret_basic\"\nsecret_hashes = [{hash}, {hash}, {hash}]"), "client[0].secret_hashes"),
            (format!("auth_method = \"client_secret_basic\"\nsecret_hashes = [{hash}]\njwks = {{ keys = [{jwk}] }}"), "client[0].jwks"),
            (format!("auth_method = \"private_key_jwt\"\nsecret_hashes = [{hash}]\njwks = {{ keys = [{jwk}] }}"), "client[0].secret_hashes"),
            ("auth_method = \"private_key_jwt\"\njwks = { keys = [] }".to_string(), "client[0].jwks"),
            ("auth_method = \"private_key_jwt\"\njwks = { keys = [{ kty = \"oct\", k = \"AA\" }] }".to_string(), "client[0].jwks"),
            ("auth_method = \"private_key_jwt\"\njwks = '{\"keys\":[{\"kty\":\"OKP\",\"d\":\"AA\"}]}'".to_string(), "client[0].jwks"),
        ];
        for (lines, key) in cases {
            assert_eq!(faults(&with_client(&lines))[0].0, key, "{lines}");
        }
        for jwks in [
            format!("{{ keys = [{jwk}] }}"),
            "'{\"keys\":[{\"kty\":\"OKP\"}]}'".to_string(),
        ] {
            let text = with_client(&format!(
                "auth_method = \"private_key_jwt\"\njwks = {jwks}\n"
            ));
            assert!(Config::parse(&text).unwrap().client[0].jwk_set().is_some());
        }
        let twice = with_client("auth_method = \"private_key_jwt\"\njwks = '{\"keys\":[{\"kty\":\"OKP\"}]}'\n").replace(
            "[[client]]",
            &format!("[[client]]\nid = \"planner\"\nauth_method = \"client_secret_basic\"\nsecret_hashes = [{hash}]\n[[client]]"),
        );
        assert_eq!(faults(&twice)[0].0, "client[1].id");
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
