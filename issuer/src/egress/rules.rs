//! What an administrator named: the origins that may be contacted, and how.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use narrows_verifier::caveat::rule::is_public;
use reqwest::Certificate;
use url::{Host, Url};

use super::EgressError;

/// The origins that may be contacted. What is not named here is never contacted, whatever a document of a peer says.
#[derive(Clone, Debug, Default)]
pub struct EgressRules {
    /// By origin: scheme, host and port.
    origins: BTreeMap<String, Reach>,
    private_hosts: BTreeSet<String>,
    /// By origin, the certificates in PEM of the authorities that vouch for it, `None` for the system's.
    vouched: BTreeMap<String, Option<Vec<u8>>>,
}

/// Where an origin may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// At a public address, over https.
    Public,
    /// At any address, over https. Whoever controls the name can then make this service reach into the private network.
    Private,
    /// On loopback, over plain http. Whoever can listen on that port of this machine can then answer in the origin's name.
    PlainLoopback,
}

impl Reach {
    /// How a configured address is to be reached, given what its configuration allows beside public https.
    pub fn configured(url: &str, allow_loopback_http: bool, allow_private_address: bool) -> Self {
        match (url.starts_with("http://") && allow_loopback_http, allow_private_address) {
            (true, _) => Self::PlainLoopback,
            (false, true) => Self::Private,
            (false, false) => Self::Public,
        }
    }
}

/// Whether two URLs have the same scheme, host and port.
pub fn same_origin(one: &str, other: &str) -> bool {
    matches!((parse(one), parse(other)), (Ok(one), Ok(other)) if one.origin() == other.origin())
}

impl EgressRules {
    /// Names the origin of `url`.
    ///
    /// # Errors
    /// `Url`, `PlainHttp` for plain http other than on loopback, `PrivateAddress` for an address that is plainly not public.
    pub fn allow(&mut self, url: &str, reach: Reach) -> Result<(), EgressError> {
        let url = parse(url)?;
        match reach {
            Reach::PlainLoopback if url.scheme() != "http" || !is_loopback_host(&url) => return Err(EgressError::PlainHttp),
            Reach::Public | Reach::Private if url.scheme() != "https" => return Err(EgressError::PlainHttp),
            Reach::Public if address(&url).is_some_and(|address| !is_public(address)) => return Err(EgressError::PrivateAddress),
            Reach::Public | Reach::Private | Reach::PlainLoopback => {}
        }
        if reach == Reach::Private {
            self.private_hosts.insert(url.host_str().unwrap_or_default().to_owned());
        }
        let named = self.origins.entry(url.origin().ascii_serialization()).or_insert(reach);
        *named = reach.max(*named);
        Ok(())
    }

    /// Lets these authorities (certificates in PEM), and no others, vouch for the origin of `url`, or the system's.
    ///
    /// # Errors
    /// What is wrong with them, or that others were said to vouch for this origin.
    pub fn trust(&mut self, url: &str, authorities: Option<Vec<u8>>) -> Result<(), &'static str> {
        let origin = parse(url).map_err(|_| "is for an https address")?.origin().ascii_serialization();
        if authorities.as_deref().is_some_and(|pem| Certificate::from_pem_bundle(pem).ok().is_none_or(|found| found.is_empty())) {
            return Err("holds no certificate in PEM");
        }
        let before = self.vouched.insert(origin, authorities.clone());
        if before.is_none_or(|before| before == authorities) { Ok(()) } else { Err("must be the same for each entry of one address") }
    }

    /// Decides on a URL before anything is resolved.
    pub(super) fn check(&self, url: &Url) -> Result<Reach, EgressError> {
        let reach = self.origins.get(&url.origin().ascii_serialization()).copied();
        match reach {
            None if url.scheme() == "http" => Err(EgressError::PlainHttp),
            None => Err(EgressError::NotNamed),
            Some(reach) => Ok(reach),
        }
    }

    /// The origins for which authorities of their own vouch, with these in PEM.
    pub(super) fn own_authorities(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.vouched.iter().filter_map(|(origin, authorities)| Some((origin.as_str(), authorities.as_deref()?)))
    }

    /// Whether this name, once resolved, may have this address.
    pub(super) fn may_reach(&self, name: &str, address: IpAddr) -> bool {
        is_public(address) || self.private_hosts.contains(name)
    }
}

pub(super) fn parse(text: &str) -> Result<Url, EgressError> {
    let url = Url::parse(text).map_err(|_| EgressError::Url)?;
    let web = matches!(url.scheme(), "http" | "https") && url.has_host();
    let bare = url.username().is_empty() && url.password().is_none();
    if web && bare { Ok(url) } else { Err(EgressError::Url) }
}

pub(super) fn is_loopback_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        _ => address(url).is_some_and(|address| address.is_loopback()),
    }
}

fn address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}
