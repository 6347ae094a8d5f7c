//! What TOML syntax and types can't say about a configuration, and how faults are told.

use std::collections::HashSet;
use std::fmt;

use narrows_verifier::{Reason, Roots};
use serde_json::Value;
use url::{Host, Url};

use super::{AuthMethod, Client, Config, Feed, Limits};
use crate::clients;
use crate::egress::EgressRules;
use crate::jose::KeySet;
use crate::witness::{MAX_WITNESSES, WitnessMode};

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
    /// Everything that TOML syntax and types can't say.
    pub(super) fn faults(&self) -> Vec<ConfigFault> {
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
            faults.add("keys.log", "is the file of the issuer key, the two must be separate keys");
        }
        if [self.issuer_key_file(), self.log_key_file()].contains(&self.feed_key_file()) {
            faults.add("keys.feed", "is the file of another key, each purpose has its own");
        }
        self.feed.add_faults(&mut faults);
        self.add_root_key_faults(&mut faults);
        if let Err(message) = check_origin(&self.log.origin) {
            faults.add("log.origin", message);
        }
        if self.log.disk_reserve_mb > MAX_DISK_RESERVE_MB {
            faults.add("log.disk_reserve_mb", format!("is above {MAX_DISK_RESERVE_MB}"));
        }
        if self.log.anchor_lag_ms > MAX_TIME_MS {
            faults.add("log.anchor_lag_ms", format!("is above {MAX_TIME_MS}"));
        }
        self.limits.add_faults(&mut faults);
        if let Err(error) = self.telemetry.filter.parse::<tracing_subscriber::EnvFilter>() {
            faults.add("telemetry.filter", format!("is not a filter: {error}"));
        }
        for (index, issuer) in self.trusted_issuer.iter().enumerate() {
            if let Err(error) = issuer.check() {
                faults.add(&format!("trusted_issuer[{index}]"), error.to_string());
            }
        }
        self.add_witness_faults(&mut faults);
        self.add_client_faults(&mut faults);
        self.add_auditor_faults(&mut faults);
        faults.0
    }

    fn add_witness_faults(&self, faults: &mut Faults) {
        if self.witness.len() > MAX_WITNESSES {
            faults.add("witness", format!("has more than {MAX_WITNESSES} entries, and a note takes no more signatures"));
        }
        if self.log.quorum.is_some_and(|quorum| !(1..=self.witness.len()).contains(&quorum)) {
            faults.add("log.quorum", "must be from 1 to the number of `[[witness]]` entries");
        }
        if self.log.witness == WitnessMode::Require && self.log.quorum.is_none() {
            faults.add("log.witness", "`require` needs `log.quorum`");
        }
        let mut seen = HashSet::new();
        for (index, witness) in self.witness.iter().enumerate() {
            let at = |key: &str| format!("witness[{index}].{key}");
            match witness.key() {
                Err(message) => faults.add(&at("vkey"), message),
                Ok(key) if !seen.insert(*key.public_key().as_bytes()) => {
                    faults.add(&at("vkey"), "is of the same key as an earlier witness")
                }
                Ok(_) => {}
            }
            if let Err(error) = witness.allow(&mut EgressRules::default()) {
                faults.add(&at("url"), error.to_string());
            }
        }
    }

    fn add_root_key_faults(&self, faults: &mut Faults) {
        let mut keys = Vec::new();
        for (index, key) in self.root_key.iter().enumerate() {
            match key.read() {
                Ok(key) => keys.push(key),
                Err((member, message)) => faults.add(&format!("root_key[{index}].{member}"), message),
            }
        }
        // the key that signs is one more
        if self.root_key.len() > MAX_ROOT_KEYS || Roots::new(keys).is_err() {
            faults.add("root_key", format!("has more than {MAX_ROOT_KEYS} entries, or one key twice"));
        }
    }

    fn add_client_faults(&self, faults: &mut Faults) {
        if self.client.len() > MAX_CLIENTS {
            faults.add("client", format!("has more than {MAX_CLIENTS} entries"));
        }
        let mut seen = HashSet::new();
        for (index, client) in self.client.iter().enumerate() {
            let at = |key: &str| format!("client[{index}].{key}");
            if !clients::is_client_id(&client.id) {
                faults.add(&at("id"), "must be 1 to 128 printable ascii characters without a colon or a space");
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
            add_secret_faults(faults, &at("secret_hashes"), &client.secret_hashes);
            if client.resource_server == client.audiences.is_empty() {
                faults.add(&at("audiences"), "names the audiences of a resource server, and of no other client");
            }
            if client.audiences.len() > MAX_AUDIENCES || client.audiences.iter().any(|name| !(1..=1024).contains(&name.len())) {
                faults.add(&at("audiences"), format!("must be at most {MAX_AUDIENCES} names of 1 to 1,024 bytes"));
            }
        }
    }

    fn add_auditor_faults(&self, faults: &mut Faults) {
        if self.auditor.len() > MAX_AUDITORS {
            faults.add("auditor", format!("has more than {MAX_AUDITORS} entries"));
        }
        let (mut names, mut secrets) = (HashSet::new(), HashSet::new());
        for (index, auditor) in self.auditor.iter().enumerate() {
            let at = |key: &str| format!("auditor[{index}].{key}");
            if !clients::is_client_id(&auditor.name) {
                faults.add(&at("name"), "must be 1 to 128 printable ascii characters without a colon or a space");
            }
            if !names.insert(auditor.name.as_str()) {
                faults.add(&at("name"), "is the name of an earlier auditor too");
            }
            if !(1..=2).contains(&auditor.secret_hashes.len()) {
                faults.add(&at("secret_hashes"), "must hold one or two digests");
            }
            add_secret_faults(faults, &at("secret_hashes"), &auditor.secret_hashes);
            // a credential carries no name, so two auditors of one secret could not be told apart
            if !auditor.secret_hashes.iter().all(|digest| secrets.insert(digest)) {
                faults.add(&at("secret_hashes"), "holds a digest that is listed before");
            }
        }
    }
}

fn add_secret_faults(faults: &mut Faults, key: &str, digests: &[String]) {
    for (place, digest) in digests.iter().enumerate() {
        if clients::parse_secret_hash(digest).is_none() {
            faults.add(&format!("{key}[{place}]"), "must be `sha256:` and 64 lower-case hex digits, never the secret itself");
        }
    }
}

impl Client {
    fn check_jwks(&self) -> Result<(), &'static str> {
        const SHAPE: &str = "must be a jwk set, `{ keys = [...] }` or the same as json text";
        let set = self.jwk_set().ok_or(SHAPE)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(SHAPE)?;
        if !(1..=MAX_JWKS_KEYS).contains(&keys.len()) {
            return Err("must hold 1 to 16 keys");
        }
        if KeySet::parse(set.to_string().as_bytes()).is_ok_and(|set| set.is_empty()) {
            return Err("holds no key of a kind that is accepted");
        }
        for key in keys {
            let members = key.as_object().ok_or(SHAPE)?;
            if PRIVATE_JWK_MEMBERS.iter().any(|name| members.contains_key(*name)) {
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
                faults.add(&format!("limits.{key}"), format!("must be from {least} to {most}"));
            }
        }
        let counts = [
            ("max_hops_per_task", self.max_hops_per_task),
            ("max_reports_per_minute", self.max_reports_per_minute),
            ("max_revocations_per_minute", self.max_revocations_per_minute),
        ];
        for (key, value) in counts {
            if !(1..=100_000).contains(&value) {
                faults.add(&format!("limits.{key}"), "must be from 1 to 100000");
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
                faults.add(&format!("limits.{key}"), format!("must be from 1 to {MAX_TIME_MS}"));
            }
        }
    }
}

impl Feed {
    fn add_faults(&self, faults: &mut Faults) {
        let bounds = [
            ("read_seconds", self.read_seconds),
            ("write_seconds", self.write_seconds),
            ("egress_seconds", self.egress_seconds),
            ("irreversible_seconds", self.irreversible_seconds),
        ];
        for (key, value) in bounds {
            if !(1..=MAX_STALENESS_SECONDS).contains(&value) {
                faults.add(&format!("feed.{key}"), format!("must be from 1 to {MAX_STALENESS_SECONDS}"));
            }
        }
        // The rest of the time is for the way to the verifier and for what happens on it.
        let least = bounds.into_iter().map(|(_, seconds)| seconds).min().unwrap_or(1);
        if !(100..=MAX_TIME_MS).contains(&self.refresh_ms) || self.refresh_ms > least.saturating_mul(1000 / 4) {
            faults.add("feed.refresh_ms", "must be from 100 to a quarter of the shortest time for which a snapshot decides");
        }
        if self.sequence_offset > MAX_SEQUENCE_OFFSET {
            faults.add("feed.sequence_offset", format!("is above {MAX_SEQUENCE_OFFSET}"));
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
        write!(formatter, " ({})", Reason::ConfigInvalid)
    }
}

struct Faults(Vec<ConfigFault>);

impl Faults {
    fn add(&mut self, key: &str, message: impl Into<String>) {
        self.0.push(ConfigFault { key: key.into(), message: message.into() });
    }
}

/// An origin in its one canonical spelling. Identifiers are compared byte by byte, so a second spelling of the same
/// origin would be a second issuer.
fn check_issuer(issuer: &str) -> Result<(), String> {
    let url = Url::parse(issuer).map_err(|error| format!("is not a url: {error}"))?;
    let canonical = url.origin().ascii_serialization();
    if canonical != issuer {
        return Err(format!("must be an origin without path, query or trailing slash, here `{canonical}`"));
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
pub(super) fn key_at(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or_default();
    let line_number = before.matches('\n').count() + 1;
    let table = text
        .lines()
        .take(line_number)
        .filter_map(|line| line.trim().strip_prefix('['))
        .last()
        .map(|line| line.split(']').next().unwrap_or_default().trim_start_matches('['));
    let key = text
        .lines()
        .nth(line_number - 1)
        .filter(|line| !line.trim_start().starts_with('['))
        .and_then(|line| line.split_once('='))
        .map(|(key, _)| key.trim());
    let path: Vec<&str> = table.into_iter().chain(key).collect();
    if path.is_empty() { format!("line {line_number}") } else { format!("{} (line {line_number})", path.join(".")) }
}

/// The parser quotes the offending value, which may be a secret in the wrong place.
pub(super) fn without_quoted(message: &str) -> String {
    let first_line = message.lines().next().unwrap_or_default();
    if let Some((_, expected)) = first_line.strip_prefix("unknown variant ").and_then(|rest| rest.split_once(", expected ")) {
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

const MAX_ROOT_KEYS: usize = 63;
/// Each credential is compared with all of them.
const MAX_AUDITORS: usize = 64;
const MAX_CLIENTS: usize = 10_000;
const MAX_AUDIENCES: usize = 64;
const MAX_STALENESS_SECONDS: u64 = 86_400;
/// Half of what a number of the feed can be, so that the service's own half never runs out.
const MAX_SEQUENCE_OFFSET: u64 = 1 << 52;
const MAX_JWKS_KEYS: usize = 16;
const MAX_DISK_RESERVE_MB: u64 = 1 << 20;
const MAX_TIME_MS: u64 = 3_600_000;
/// Members that only private or symmetric keys have (RFC 7518 §6).
const PRIVATE_JWK_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

#[cfg(test)]
mod tests {
    use super::super::tests::LEAST;
    use super::*;

    fn faults(text: &str) -> Vec<(String, String)> {
        let ConfigError(faults) = Config::parse(text).unwrap_err();
        faults.into_iter().map(|fault| (fault.key, fault.message)).collect()
    }

    fn with_client(lines: &str) -> String {
        format!("{LEAST}[[client]]\nid = \"planner\"\n{lines}")
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
        let found = faults(&with_client("auth_method = \"client_secret_basic\"\nsecret_hashes = \"hunter2hunter2\"\n"));
        assert_eq!(found[0].0, "client.secret_hashes (line 9)");
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
        let found = faults(&with_client("auth_method = \"client_secret_basic\"\nsecret_hashes = [\"hunter2hunter2\"]\n"));
        assert_eq!(found[0].0, "client[0].secret_hashes[0]");
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
        let found = faults(&with_client("auth_method = \"hunter2hunter2\"\n"));
        assert_eq!(found[0].0, "client.auth_method (line 8)");
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
    }

    #[test]
    fn issuer_has_one_spelling_and_plain_http_only_on_loopback() {
        let accepted = ["https://a.example", "https://a.example:8443", "http://127.0.0.1:8420", "http://[::1]:8420", "http://localhost:1"];
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
            [telemetry]\nfilter = \"a=b=c\"\n[[client]]\nid = \"a b\"\nauth_method = \"private_key_jwt\"\n";
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
                "client[0].id",
                "client[0].jwks",
            ]
        );
    }

    #[test]
    fn root_keys_are_sound_and_occur_once() {
        let key = "[[root_key]]\npublic_key = \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"\nstate = \"tainted\"\nnot_before = 0\n";
        assert_eq!(Config::parse(&format!("{LEAST}{key}")).unwrap().root_key.len(), 1);
        assert_eq!(faults(&format!("{LEAST}{key}{key}"))[0].0, "root_key");
        assert_eq!(faults(&format!("{LEAST}{}", key.replace("tainted", "active")))[0].0, "root_key[0].state");
        assert_eq!(faults(&format!("{LEAST}{}", key.repeat(64)))[0].0, "root_key");
    }

    #[test]
    fn client_entries_must_fit_their_method() {
        let hash = format!("\"sha256:{}\"", "0".repeat(64));
        let jwk = "{ kty = \"OKP\", crv = \"Ed25519\", x = \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\" }";
        let text = r#"'{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'"#;
        let cases = [
            ("auth_method = \"client_secret_basic\"".to_string(), "client[0].secret_hashes"),
            (format!("auth_method = \"client_secret_basic\"\nsecret_hashes = [{hash}, {hash}, {hash}]"), "client[0].secret_hashes"),
            (format!("auth_method = \"client_secret_basic\"\nsecret_hashes = [{hash}]\njwks = {{ keys = [{jwk}] }}"), "client[0].jwks"),
            (
                format!("auth_method = \"private_key_jwt\"\nsecret_hashes = [{hash}]\njwks = {{ keys = [{jwk}] }}"),
                "client[0].secret_hashes",
            ),
            ("auth_method = \"private_key_jwt\"\njwks = { keys = [] }".to_string(), "client[0].jwks"),
            ("auth_method = \"private_key_jwt\"\njwks = { keys = [{ kty = \"oct\", k = \"AA\" }] }".to_string(), "client[0].jwks"),
            ("auth_method = \"private_key_jwt\"\njwks = '{\"keys\":[{\"kty\":\"OKP\",\"d\":\"AA\"}]}'".to_string(), "client[0].jwks"),
        ];
        for (lines, key) in cases {
            assert_eq!(faults(&with_client(&lines))[0].0, key, "{lines}");
        }
        for jwks in [format!("{{ keys = [{jwk}] }}"), text.to_string()] {
            let text = with_client(&format!("auth_method = \"private_key_jwt\"\njwks = {jwks}\n"));
            assert!(Config::parse(&text).unwrap().client[0].jwk_set().is_some());
        }
        let twice = with_client(&format!("auth_method = \"private_key_jwt\"\njwks = {text}\n")).replace(
            "[[client]]",
            &format!("[[client]]\nid = \"planner\"\nauth_method = \"client_secret_basic\"\nsecret_hashes = [{hash}]\n[[client]]"),
        );
        assert_eq!(faults(&twice)[0].0, "client[1].id");
    }
}
