//! Where one issuer's keys come from, and how often they may be asked for.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use narrows_verifier::Reason;
use serde_json::Value;

use super::config::{IssuerKind, TrustedIssuer};
use crate::egress::{Fetch, same_origin};
use crate::jose::{KeySet, parse_object};

/// Where one issuer's keys come from.
pub(super) struct KeySource {
    issuer: String,
    place: Place,
    /// Whether the document is a SPIFFE bundle, in which only some keys are for JWTs.
    bundle: bool,
}

enum Place {
    /// In the key set that a metadata document at this address names.
    Metadata(String),
    Url(String),
    File(PathBuf),
}

/// A key set as it was read.
pub(super) struct Read {
    pub(super) keys: KeySet,
    /// After how many seconds it is to be read again.
    pub(super) refresh_after_s: u64,
    /// What to compare the file with before it is read again.
    pub(super) stamp: Option<Stamp>,
}

/// What changes when a file is written or another one is put in its place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    file: u64,
}

impl KeySource {
    pub(super) fn new(config: &TrustedIssuer) -> Self {
        let place = match (&config.jwks_file, &config.jwks_url, config.kind) {
            (Some(file), ..) => Place::File(file.clone()),
            (None, Some(url), _) => Place::Url(url.clone()),
            (None, None, IssuerKind::Oauth) => Place::Metadata(authorization_server_metadata(&config.issuer)),
            (None, None, _) => Place::Metadata(openid_metadata(&config.issuer)),
        };
        Self { issuer: config.issuer.clone(), place, bundle: config.kind == IssuerKind::Spiffe }
    }

    /// The least number of seconds between two readings that nobody but a stranger's token asks for.
    pub(super) fn pause_s(&self) -> u64 {
        match self.place {
            Place::File(_) => FILE_AFTER_S,
            Place::Metadata(_) | Place::Url(_) => REFETCH_AFTER_S,
        }
    }

    /// The file of the keys, if they are in one.
    pub(super) fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Metadata(_) | Place::Url(_) => None,
        }
    }

    /// Reads the keys; `None` for a file that is still the one of this stamp.
    pub(super) async fn read(&self, network: &dyn Fetch, known: Option<Stamp>) -> Result<Option<Read>, Reason> {
        let url = match &self.place {
            Place::File(path) => return self.read_file(path, known),
            Place::Url(url) => url.clone(),
            Place::Metadata(url) => self.discover(network, url).await?,
        };
        let document = self.fetch(network, &url).await?;
        let keys = self.parse(&document.body)?;
        let asked_s = if self.bundle { keys.refresh_hint_s().or(document.max_age_s) } else { document.max_age_s };
        let refresh_after_s = asked_s.map_or(DEFAULT_REFRESH_S, |asked| asked.clamp(MIN_REFRESH_S, MAX_REFRESH_S));
        Ok(Some(Read { keys, refresh_after_s, stamp: None }))
    }

    /// Reads a small local file in place: where a stat of it hangs, nothing else of this service goes on either.
    pub(super) fn read_file(&self, path: &Path, known: Option<Stamp>) -> Result<Option<Read>, Reason> {
        let unreadable = |error: std::io::Error| {
            tracing::warn!(issuer = %self.issuer, %error, "a trusted issuer's key file can't be read");
            Reason::IssuerUnreachable
        };
        let mut file = File::open(path).map_err(unreadable)?;
        let stamp = Stamp::of(&file).map_err(unreadable)?;
        if known == Some(stamp) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        (&mut file).take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
        Ok(Some(Read { keys: self.parse(&bytes)?, refresh_after_s: FILE_AFTER_S, stamp: Some(stamp) }))
    }

    /// The key set's address, from a metadata document that names exactly our issuer (OpenID Connect Discovery section 4.3,
    /// RFC 8414 section 3.3). At another origin it is refused: who can change the document must not choose where this
    /// service sends requests. An administrator names such a key set by `jwks_url`.
    async fn discover(&self, network: &dyn Fetch, url: &str) -> Result<String, Reason> {
        let document = parse_object(&self.fetch(network, url).await?.body).ok_or(Reason::IssuerDocument)?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        match (text("issuer"), text("jwks_uri")) {
            (Some(issuer), Some(keys)) if issuer == self.issuer && same_origin(keys, url) => Ok(keys.to_owned()),
            (Some(issuer), Some(_)) if issuer == self.issuer => {
                tracing::warn!(issuer = %self.issuer, "a trusted issuer's key set is at another origin: name it by `jwks_url`");
                Err(Reason::IssuerDocument)
            }
            _ => Err(Reason::IssuerDocument),
        }
    }

    async fn fetch(&self, network: &dyn Fetch, url: &str) -> Result<crate::egress::Fetched, Reason> {
        network.fetch_json(url).await.map_err(|error| {
            tracing::warn!(issuer = %self.issuer, %error, "a trusted issuer's document could not be fetched");
            Reason::IssuerUnreachable
        })
    }

    fn parse(&self, document: &[u8]) -> Result<KeySet, Reason> {
        let keys = if self.bundle { KeySet::parse_bundle(document) } else { KeySet::parse(document) };
        let keys = keys.inspect_err(|_| tracing::warn!(issuer = %self.issuer, "a trusted issuer's key set is malformed or too large"));
        Ok(keys?.remembering())
    }
}

impl Stamp {
    fn of(file: &File) -> std::io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = file.metadata()?;
        Ok(Self { modified: metadata.modified().ok(), length: metadata.len(), file: metadata.ino() })
    }
}

fn openid_metadata(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer))
}

/// The well-known part stands between host and path (RFC 8414 section 3.1).
fn authorization_server_metadata(issuer: &str) -> String {
    let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
    let path_at = issuer.find("://").and_then(|at| issuer.get(at + 3..)?.find('/').map(|path| at + 3 + path));
    let (origin, path) = path_at.and_then(|at| issuer.split_at_checked(at)).unwrap_or((issuer, ""));
    format!("{origin}/.well-known/oauth-authorization-server{path}")
}

/// Bounds what tokens with invented key ids can make us send to the issuer.
const REFETCH_AFTER_S: u64 = 30;

/// A file is looked at so often at most; it is read only if it has changed.
const FILE_AFTER_S: u64 = 10;
const MAX_FILE_BYTES: u64 = 512 * 1024 + 1;

const DEFAULT_REFRESH_S: u64 = 600;
const MIN_REFRESH_S: u64 = 300;
const MAX_REFRESH_S: u64 = 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_where_the_standards_put_it() {
        for (issuer, openid, oauth) in [
            (
                "https://a.example",
                "https://a.example/.well-known/openid-configuration",
                "https://a.example/.well-known/oauth-authorization-server",
            ),
            (
                "https://a.example/t/one/",
                "https://a.example/t/one/.well-known/openid-configuration",
                "https://a.example/.well-known/oauth-authorization-server/t/one",
            ),
        ] {
            assert_eq!((openid_metadata(issuer).as_str(), authorization_server_metadata(issuer).as_str()), (openid, oauth));
        }
    }
}
