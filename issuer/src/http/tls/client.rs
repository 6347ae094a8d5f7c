//! The other end of a connection, for the load generator: it trusts one file of certificates and nothing else.

use std::{io, path::Path, sync::Arc};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use crate::bounded_file;

/// Opens connections to the one name.
#[derive(Clone)]
pub struct TlsClient {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// A connection that was opened.
pub type TlsConnection = TlsStream<TcpStream>;

impl TlsClient {
    /// Trusts the certificates of a file in PEM, for a service of this name.
    ///
    /// # Errors
    /// A file that can't be read or holds no certificate, a name that is none.
    pub fn trusting(certificates: &Path, name: &str) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&bounded_file::read(certificates, MAX_FILE_BYTES)?) {
            roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let config = config.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// Shakes hands.
    ///
    /// # Errors
    /// What either side has against the other.
    pub async fn connect(&self, stream: TcpStream) -> io::Result<TlsConnection> {
        self.connector.connect(self.name.clone(), stream).await
    }
}

const MAX_FILE_BYTES: u64 = 65_536;
