//! What TOML syntax and types can't say about a configuration, and how faults are told.

use std::collections::HashSet;
use std::fmt;

use narrows_verifier::{Reason, Roots, log::Kind};
use url::{Host, Url};

use super::{Config, Feed, Limits};
use crate::clients;
use crate::egress::EgressRules;
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
        match &self.tls {
            Some(_) if !self.issuer.starts_with("https:") => faults.add("tls", "is there, so `issuer` must be https"),
            None if !self.listen.ip().is_loopback() && !self.danger_listen_plaintext => faults.add(
                "listen",
                "is not loopback and the service speaks plain http: give it a certificate by `[tls]`, put a tls proxy on this \
                 machine, or set `danger_listen_plaintext`",
            ),
            _ => {}
        }
        if self.data_dir.as_os_str().is_empty() {
            faults.add("data_dir", "is empty");
        }
        if self.issuer_key_file() == self.log_key_file() {
            faults.add("keys.log", "is the file of the issuer key, the two must be separate keys");
        }
        let others = [self.issuer_key_file(), self.log_key_file(), self.jwt_key_file()];
        if others.contains(&self.feed_key_file()) {
            faults.add("keys.feed", "is the file of another key, each purpose has its own");
        }
        if [self.issuer_key_file(), self.log_key_file()].contains(&self.jwt_key_file()) {
            faults.add("keys.jwt", "is the file of another key, each purpose has its own");
        }
        if self.keys.overlap_seconds > MAX_OVERLAP_SECONDS {
            faults.add("keys.overlap_seconds", format!("is above {MAX_OVERLAP_SECONDS}"));
        }
        self.feed.add_faults(&mut faults);
        self.add_root_key_faults(&mut faults);
        if let Err(message) = check_origin(&self.log.origin) {
            faults.add("log.origin", message);
        }
        if !(1..=MAX_QUEUE).contains(&self.log.queue) {
            faults.add("log.queue", format!("must be from 1 to {MAX_QUEUE}"));
        }
        if self.log.disk_reserve_mb > MAX_DISK_RESERVE_MB {
            faults.add("log.disk_reserve_mb", format!("is above {MAX_DISK_RESERVE_MB}"));
        }
        if self.log.anchor_lag_ms > MAX_TIME_MS {
            faults.add("log.anchor_lag_ms", format!("is above {MAX_TIME_MS}"));
        }
        self.add_retention_faults(&mut faults);
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
        self.add_admin_faults(&mut faults);
        faults.0
    }

    fn add_retention_faults(&self, faults: &mut Faults) {
        let retention = &self.log.retention;
        if retention.entries_days.is_some_and(|days| !(MIN_ENTRIES_DAYS..=MAX_DAYS).contains(&days)) {
            faults.add("log.retention.entries_days", format!("must be from {MIN_ENTRIES_DAYS} to {MAX_DAYS}"));
        }
        if retention.delete && retention.entries_days.is_none() {
            faults.add("log.retention.delete", "has no use without `entries_days`: nothing is pruned");
        }
        if !(1..=MAX_DAYS).contains(&retention.disclosures_days) {
            faults.add("log.retention.disclosures_days", format!("must be from 1 to {MAX_DAYS}"));
        }
        for (kind, days) in &retention.disclosures {
            if !Kind::ALL.iter().any(|known| known.as_str() == kind) {
                faults.add("log.retention.disclosures", format!("`{kind}` is no kind of leaf"));
            } else if !(1..=MAX_DAYS).contains(days) {
                faults.add(&format!("log.retention.disclosures.{kind}"), format!("must be from 1 to {MAX_DAYS}"));
            }
        }
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
            if let Err((key, error)) = witness.allow(&mut EgressRules::default()) {
                faults.add(&at(key), error.to_string());
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

pub(super) fn add_secret_faults(faults: &mut Faults, key: &str, digests: &[String]) {
    for (place, digest) in digests.iter().enumerate() {
        if clients::parse_secret_hash(digest).is_none() {
            faults.add(&format!("{key}[{place}]"), "must be `sha256:` and 64 lower-case hex digits, never the secret itself");
        }
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
            ("max_hops_per_task", self.max_hops_per_task, 100_000),
            ("max_reports_per_minute", self.max_reports_per_minute, 100_000),
            ("max_revocations_per_minute", self.max_revocations_per_minute, 100_000),
            ("max_client_tokens_per_minute", self.max_client_tokens_per_minute, 10_000_000),
            ("max_subject_tokens_per_minute", self.max_subject_tokens_per_minute, 10_000_000),
        ];
        for (key, value, most) in counts {
            if !(1..=most).contains(&value) {
                faults.add(&format!("limits.{key}"), format!("must be from 1 to {most}"));
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

pub(super) struct Faults(Vec<ConfigFault>);

impl Faults {
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    /// The first one, as one sentence.
    pub(super) fn first(self) -> Result<(), String> {
        self.0.into_iter().next().map_or(Ok(()), |fault| Err(format!("`{}` {}", fault.key, fault.message)))
    }

    pub(super) fn add(&mut self, key: &str, message: impl Into<String>) {
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

/// Longer than any token lives (a pack grants a day at most) and any proof is remembered (minutes), with time to spare for whoever
/// follows the log: what is pruned is of no use to a verifier any more.
const MIN_ENTRIES_DAYS: u32 = 30;
const MAX_DAYS: u32 = 36_500;
const MAX_ROOT_KEYS: usize = 63;
/// Each credential is compared with all of them.
const MAX_AUDITORS: usize = 64;
const MAX_OVERLAP_SECONDS: u64 = 30 * 86_400;
const MAX_STALENESS_SECONDS: u64 = 86_400;
/// Half of what a number of the feed can be, so that the service's own half never runs out.
const MAX_SEQUENCE_OFFSET: u64 = 1 << 52;
const MAX_QUEUE: usize = 65_536;
const MAX_DISK_RESERVE_MB: u64 = 1 << 20;
const MAX_TIME_MS: u64 = 3_600_000;

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::LEAST;
    use super::*;

    pub(in super::super) fn faults(text: &str) -> Vec<(String, String)> {
        let ConfigError(faults) = Config::parse(text).unwrap_err();
        faults.into_iter().map(|fault| (fault.key, fault.message)).collect()
    }

    pub(in super::super) fn with_client(lines: &str) -> String {
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
            [keys]\nissuer = \"a\"\nlog = \"a\"\n[log]\norigin = \"a b\"\nqueue = 0\n[limits]\nmax_headers = 1\nrequest_timeout_ms = 0\n\
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
                "log.queue",
                "limits.max_headers",
                "limits.request_timeout_ms",
                "telemetry.filter",
                "client[0].id",
                "client[0].jwks",
            ]
        );
    }

    #[test]
    fn retention_is_bounded_so_that_nothing_live_is_pruned() {
        let with = |lines: &str| format!("{LEAST}[log.retention]\n{lines}\n");
        let whole = with("entries_days = 30\ndelete = true\ndisclosures_days = 1\ndisclosures = { mint = 36500 }");
        assert_eq!(Config::parse(&whole).unwrap().log.retention.disclosures["mint"], 36_500);
        for (lines, key) in [
            ("entries_days = 29", "log.retention.entries_days"),
            ("entries_days = 36501", "log.retention.entries_days"),
            ("delete = true", "log.retention.delete"),
            ("disclosures_days = 0", "log.retention.disclosures_days"),
            ("disclosures = { mimt = 3 }", "log.retention.disclosures"),
            ("disclosures = { mint = 0 }", "log.retention.disclosures.mint"),
        ] {
            assert_eq!(faults(&with(lines))[0].0, key, "{lines}");
        }
        assert!(u64::from(MIN_ENTRIES_DAYS) * 86_400 > narrows_policies::MAX_LIFE_SECONDS);
    }

    #[test]
    fn root_keys_are_sound_and_occur_once() {
        let key = "[[root_key]]\npublic_key = \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"\nstate = \"tainted\"\nnot_before = 0\n";
        assert_eq!(Config::parse(&format!("{LEAST}{key}")).unwrap().root_key.len(), 1);
        assert_eq!(faults(&format!("{LEAST}{key}{key}"))[0].0, "root_key");
        assert_eq!(faults(&format!("{LEAST}{}", key.replace("tainted", "active")))[0].0, "root_key[0].state");
        assert_eq!(faults(&format!("{LEAST}{}", key.repeat(64)))[0].0, "root_key");
    }
}
