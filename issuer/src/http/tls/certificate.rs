//! Certificate and key from their files to what a handshake needs.

use std::sync::Arc;

use narrows_verifier::Reason;
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use zeroize::Zeroizing;

use super::validity::Validity;
use crate::{
    bounded_file,
    config::Tls,
    keys::{KeyError, read_private},
};

/// The bytes of both files. No Debug: one is a private key.
pub(super) struct Files {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

/// What is served, and until when.
pub(super) struct Served {
    pub(super) config: Arc<ServerConfig>,
    /// Seconds since the Unix epoch.
    pub(super) not_after: u64,
    /// Names the bytes of the files.
    pub(super) digest: [u8; 32],
}

impl Files {
    /// Reads both.
    ///
    /// # Errors
    /// `TLS_CERTIFICATE` or a reason of key files.
    pub(super) fn read(files: &Tls) -> Result<Self, KeyError> {
        let certificate = bounded_file::read(&files.certificate, MAX_FILE_BYTES)
            .map_err(|error| at_fault(Reason::TlsCertificate, format!("can't read `{}`: {error}", files.certificate.display())))?;
        Ok(Self { certificate, key: read_private(&files.key, MAX_FILE_BYTES)? })
    }

    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update((self.certificate.len() as u64).to_be_bytes());
        hash.update(&self.certificate);
        hash.update(self.key.as_slice());
        hash.finalize().into()
    }

    /// Makes of them what a handshake needs, if the certificate is valid at this time.
    ///
    /// # Errors
    /// `TLS_CERTIFICATE` or `TLS_KEY`.
    pub(super) fn served(&self, now_s: u64) -> Result<Served, KeyError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .take(MAX_CHAIN + 1)
            .collect::<Result<_, _>>()
            .map_err(|_| at_fault(Reason::TlsCertificate, "the certificate file is not PEM"))?;
        let not_after = match chain.first() {
            Some(own) if chain.len() <= MAX_CHAIN => valid_until(own, now_s)?,
            Some(_) => return Err(at_fault(Reason::TlsCertificate, format!("the chain has more than {MAX_CHAIN} certificates"))),
            None => return Err(at_fault(Reason::TlsCertificate, "the certificate file holds no certificate")),
        };
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| at_fault(Reason::TlsKey, "the key file holds no private key in PEM, or an encrypted one"))?;
        Ok(Served { config: Arc::new(server_config(chain, key)?), not_after, digest: self.digest() })
    }
}

fn valid_until(certificate: &CertificateDer<'_>, now_s: u64) -> Result<u64, KeyError> {
    let validity = Validity::of(certificate).ok_or_else(|| at_fault(Reason::TlsCertificate, "the certificate can't be read"))?;
    let now = i64::try_from(now_s).unwrap_or(i64::MAX);
    match u64::try_from(validity.not_after) {
        Ok(end) if (validity.not_before..=validity.not_after).contains(&now) => Ok(end),
        _ if validity.not_before > now => Err(at_fault(Reason::TlsCertificate, "the certificate is not valid yet")),
        _ => Err(at_fault(Reason::TlsCertificate, "the certificate has expired")),
    }
}

/// TLS 1.3 and 1.2 in rustls' own selection of suites, HTTP/1.1, no client certificates, no early data.
fn server_config(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<ServerConfig, KeyError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| at_fault(Reason::Internal, error.to_string()))?
        .with_no_client_auth()
        // It checks that the key belongs to the certificate.
        .with_single_cert(chain, key)
        .map_err(|error| at_fault(Reason::TlsKey, format!("certificate and key can't be used together: {error}")))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn at_fault(reason: Reason, message: impl Into<String>) -> KeyError {
    KeyError { reason, message: message.into() }
}

const MAX_FILE_BYTES: u64 = 65_536;
/// Every handshake sends the chain.
const MAX_CHAIN: usize = 8;
