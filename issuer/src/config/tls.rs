//! TLS on a listener.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The files of the certificate that a listener shows.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain in PEM, the service's own certificate first. An attacker who can swap it together with the key reads
    /// what clients send as soon as one of them trusts the new one.
    pub certificate: PathBuf,
    /// The certificate's private key in PEM (PKCS #8, PKCS #1 or SEC 1), under the same rules on mode and owner as every key file.
    /// An attacker who reads it passes for the service.
    pub key: PathBuf,
}
