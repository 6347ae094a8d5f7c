//! Outgoing HTTP: bounded in time and size, no redirects, credentials only over TLS or loopback.

use std::time::Duration;

use narrows_verifier::Reason;
use reqwest::{Client, RequestBuilder, Url, header::HeaderMap, redirect::Policy};

/// An address at which a peer is reached: an origin without a trailing slash.
#[derive(Clone, Debug)]
pub(crate) struct Origin(String);

/// A client of one peer.
pub(crate) struct Http {
    client: Client,
    origin: Origin,
}

/// What a peer answered: the status, the headers and a bounded body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The address is neither an https origin nor an http origin on loopback.
    #[error("the address must be an https origin, or http on loopback, without path or trailing slash")]
    Address,
    /// No connection came about; nothing was sent.
    #[error("no connection could be made")]
    Connect,
    /// The peer did not answer in time, or broke off.
    #[error("the peer did not answer in time or broke off")]
    Broken,
    /// The answer is larger than the bound.
    #[error("the answer is larger than is read")]
    TooLarge,
}

impl TransportError {
    /// The stable reason.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Address => Reason::AddressRefused,
            Self::Connect | Self::Broken => Reason::PeerUnreachable,
            Self::TooLarge => Reason::PeerAnswer,
        }
    }
}

impl Origin {
    /// Checks an address. Tokens and secrets go there, so plain HTTP must not leave the machine.
    pub(crate) fn parse(text: &str) -> Result<Self, TransportError> {
        let url = Url::parse(text).map_err(|_| TransportError::Address)?;
        let host = url.host_str().unwrap_or_default();
        let loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        let encrypted = url.scheme() == "https" || (url.scheme() == "http" && loopback);
        // the text is signed byte for byte, so it must be the one that everybody else writes
        let plain = url.origin().ascii_serialization() == text;
        if encrypted && plain { Ok(Self(text.to_owned())) } else { Err(TransportError::Address) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Http {
    pub(crate) fn new(origin: Origin) -> Result<Self, TransportError> {
        let client = Client::builder()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .build()
            .map_err(|_| TransportError::Connect)?;
        Ok(Self { client, origin })
    }

    pub(crate) fn origin(&self) -> &str {
        self.origin.as_str()
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer, TransportError> {
        send(self.client.get(self.url(path)), MAX_ANSWER).await
    }

    /// The same with headers, and up to `most` bytes of an answer.
    pub(crate) async fn get_with(&self, path: &str, headers: HeaderMap, most: usize) -> Result<Answer, TransportError> {
        send(self.client.get(self.url(path)).headers(headers), most).await
    }

    pub(crate) async fn post(&self, path: &str, headers: HeaderMap, body: String) -> Result<Answer, TransportError> {
        send(self.client.post(self.url(path)).headers(headers).body(body), MAX_ANSWER).await
    }

    pub(crate) async fn delete(&self, path: &str, headers: HeaderMap) -> Result<Answer, TransportError> {
        send(self.client.delete(self.url(path)).headers(headers), MAX_ANSWER).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin.as_str())
    }
}

async fn send(request: RequestBuilder, most: usize) -> Result<Answer, TransportError> {
    // the library's own error texts name addresses with whatever the caller put there, so none is passed on
    let broken = |error: reqwest::Error| if error.is_connect() { TransportError::Connect } else { TransportError::Broken };
    let mut response = request.send().await.map_err(broken)?;
    let (status, headers) = (response.status().as_u16(), core::mem::take(response.headers_mut()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > most {
            return Err(TransportError::TooLarge);
        }
        body.extend(chunk);
    }
    Ok(Answer { status, headers, body })
}

const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(20);
/// The largest leaf in base64 and the largest receipt fit twice.
const MAX_ANSWER: usize = 512 * 1024;

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// Answers one request with these bytes, on loopback.
    async fn answered_with(bytes: Vec<u8>) -> Result<Answer, TransportError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let peer = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            // the client hangs up on an answer that is too large
            let _ = stream.write_all(&bytes).await;
        });
        let answer = Http::new(Origin::parse(&address).unwrap()).unwrap().get("/").await;
        peer.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn answers_are_bounded_and_redirects_not_followed() {
        let fine = answered_with(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()).await.unwrap();
        assert_eq!((fine.status, fine.body.as_slice()), (200, b"ok".as_slice()));
        let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        endless.resize(endless.len() + MAX_ANSWER + 1, b'x');
        assert_eq!(answered_with(endless).await.err(), Some(TransportError::TooLarge));
        let away = b"HTTP/1.1 307 Away\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_vec();
        assert_eq!(answered_with(away).await.unwrap().status, 307);
        assert_eq!(answered_with(Vec::new()).await.err(), Some(TransportError::Broken));
    }

    #[test]
    fn only_tls_or_loopback_origins_are_addresses() {
        let table = [
            ("https://issuer.example", true),
            ("https://issuer.example:8443", true),
            ("http://127.0.0.1:8420", true),
            ("http://localhost:8420", true),
            ("http://[::1]:8420", true),
            ("http://issuer.example", false),
            ("http://127.0.0.1.evil.example", false),
            ("https://issuer.example/", false),
            ("https://issuer.example/path", false),
            ("https://user@issuer.example", false),
            ("https://issuer.example:443", false),
            ("HTTPS://issuer.example", false),
            ("ftp://issuer.example", false),
            ("", false),
        ];
        for (text, accepted) in table {
            assert_eq!(Origin::parse(text).is_ok(), accepted, "{text}");
        }
    }
}
