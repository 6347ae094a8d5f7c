//! Names become addresses once a connection, and only addresses that were checked are connected to.

use core::fmt;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::rules::EgressRules;

/// Resolves a name and fails when any of its addresses is one that may not be reached. The client connects to what this
/// returned, so a name that changes between check and use (DNS rebinding) gains nothing.
pub(super) struct CheckedResolver {
    allowed: Allowed,
    lookup: Lookup,
}

#[derive(Clone)]
enum Allowed {
    LoopbackOnly,
    PublicUnlessNamed(Arc<EgressRules>),
}

#[derive(Clone)]
enum Lookup {
    System,
    /// Answers in turn, the last one again and again.
    #[cfg(test)]
    Scripted(Arc<std::sync::Mutex<std::collections::VecDeque<Vec<SocketAddr>>>>),
}

impl CheckedResolver {
    pub(super) fn loopback_only() -> Self {
        Self { allowed: Allowed::LoopbackOnly, lookup: Lookup::System }
    }

    pub(super) fn public_unless_named(rules: Arc<EgressRules>) -> Self {
        Self { allowed: Allowed::PublicUnlessNamed(rules), lookup: Lookup::System }
    }

    #[cfg(test)]
    pub(super) fn scripted(self, answers: Vec<Vec<SocketAddr>>) -> Self {
        Self { lookup: Lookup::Scripted(Arc::new(std::sync::Mutex::new(answers.into()))), ..self }
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (allowed, lookup) = (self.allowed.clone(), self.lookup.clone());
        Box::pin(async move {
            let addresses = lookup.addresses(name.as_str()).await?;
            if addresses.iter().all(|address| allowed.reaches(name.as_str(), address.ip())) {
                Ok(Box::new(addresses.into_iter()) as Addrs)
            } else {
                Err(Box::new(AddressRefused) as Box<dyn Error + Send + Sync>)
            }
        })
    }
}

impl Allowed {
    fn reaches(&self, name: &str, address: IpAddr) -> bool {
        match self {
            Self::LoopbackOnly => address.is_loopback(),
            Self::PublicUnlessNamed(rules) => rules.may_reach(name, address),
        }
    }
}

impl Lookup {
    async fn addresses(&self, name: &str) -> std::io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(tokio::net::lookup_host((name, 0)).await?.collect()),
            #[cfg(test)]
            Self::Scripted(answers) => {
                let mut answers = answers.lock().unwrap();
                let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
                Ok(next.unwrap_or_default())
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct AddressRefused;

impl fmt::Display for AddressRefused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the address is not one that may be reached")
    }
}

impl Error for AddressRefused {}
