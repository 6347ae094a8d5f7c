//! `WWW-Authenticate`: which credentials a tool takes, what was wrong with those that came, and where to get better ones
//! (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1).

use http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};
use narrows_verifier::{Reason, proof::dpop::ALGORITHMS};

use super::resource::Resource;

/// The authorization scheme of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Narrows,
    /// RFC 9449 §7.1.
    Dpop,
    /// RFC 6750 §2.1.
    Bearer,
}

/// What a refusal says of the credentials that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    /// The scheme in which they came.
    pub(super) scheme: Scheme,
    /// The OAuth error; `None` when none came (RFC 6750 §3.1 has nothing said of an error then).
    pub(super) error: Option<&'static str>,
    pub(super) reason: Reason,
}

/// Writes a challenge in the scheme of the request and, where the server says where tokens are had, one in each scheme.
///
/// The first is the one of RFC 6750, since some clients look at no other. `scope` is what to ask for, and can be empty.
pub(super) fn challenge(headers: &mut HeaderMap, complaint: Complaint, resource: Option<&Resource>, scope: &str) {
    let schemes = [Scheme::Bearer, Scheme::Dpop, Scheme::Narrows];
    for scheme in schemes.into_iter().filter(|scheme| resource.is_some() || *scheme == complaint.scheme) {
        let error = complaint.error.filter(|_| scheme == complaint.scheme);
        let mut parameters: Vec<(&str, String)> = error.map(|error| ("error", error.to_owned())).into_iter().collect();
        if scheme == complaint.scheme && scheme != Scheme::Bearer {
            parameters.push(("reason", complaint.reason.code().to_owned()));
        }
        if let Some(resource) = resource.filter(|_| scheme != Scheme::Narrows) {
            parameters.push(("resource_metadata", resource.metadata_url()));
            parameters.extend(Some(("scope", scope.to_owned())).filter(|_| !scope.is_empty()));
        }
        if scheme == Scheme::Dpop {
            parameters.push(("algs", ALGORITHMS.join(" ")));
        }
        // codes, addresses and scopes hold no quotation mark, so nobody breaks out of one
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        if let Ok(value) = HeaderValue::try_from(format!("{} {}", scheme.name(), parameters.join(", ")).trim_end()) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
}

impl Scheme {
    pub(super) const ALL: [Scheme; 3] = [Scheme::Narrows, Scheme::Dpop, Scheme::Bearer];

    /// The name in `Authorization` and `WWW-Authenticate`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Scheme::Narrows => "Narrows",
            Scheme::Dpop => "DPoP",
            Scheme::Bearer => "Bearer",
        }
    }
}
