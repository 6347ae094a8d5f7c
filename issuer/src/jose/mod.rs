//! JWTs from outside: one strict core and a profile for each kind, and the signer of the development identity provider.
//!
//! `jsonwebtoken` is imported here alone, and only to check or make a signature. Its own claim checks read the clock and let
//! too much through (`crit`, any `typ`, `iss` as an array, future `iat`, symmetric keys in a key set); here the claims are
//! checked at a time that the caller passes.

mod algorithm;
mod claims;
mod compact;
mod confirmation;
mod dpop;
mod fault;
mod json;
mod keys;
mod profile;
mod seen;
mod signer;
mod spiffe;
mod verify;

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod differential;
#[cfg(test)]
pub(crate) mod forge;
#[cfg(test)]
mod forged_kinds;
#[cfg(test)]
mod forged_proofs;
#[cfg(test)]
mod forged_tokens;
#[cfg(test)]
mod world;

// The public interface is:
pub use algorithm::SignatureAlgorithm;
pub use compact::UnverifiedJwt;
pub use confirmation::parse_holder_key;
pub use dpop::{DPOP_ALGORITHMS, DpopProof, DpopRequest, MAX_NONCE_LIFE_S, check_dpop_proof};
pub use fault::Fault;
pub(crate) use json::parse_object;
pub use keys::KeySet;
pub(crate) use keys::is_private;
pub use profile::Profile;
pub use signer::{SigningError, TokenSigner};
pub use spiffe::{is_trust_domain, trust_domain};
pub use verify::{VerifiedJwt, verify};
