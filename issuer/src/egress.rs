//! The one way out: fetches small JSON documents from, and posts small texts to, addresses that an administrator named.
//!
//! A service that fetches URLs is a tool for reaching what only it can reach. So: https unless the exact origin was named as
//! plain loopback, no redirects, no cookies, no proxy from the environment, no private addresses unless the host was named,
//! and a cap on time and size. Names are resolved once, checked, and connected to as checked.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::time::Duration;
use std::collections::BTreeSet;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, header};
use url::{Host, Url};

/// What an administrator allowed beyond public https.
#[derive(Clone, Debug, Default)]
pub struct EgressRules {
    plain_loopback: BTreeSet<String>,
    private_hosts: BTreeSet<String>,
}

/// The outgoing HTTP client. Cheap to clone.
#[derive(Clone)]
pub struct Egress {
    rules: Arc<EgressRules>,
    plain: Client,
    /// Built when first needed: building it reads the system's root certificates, and a machine that has none can still
    /// serve its own loopback identity provider.
    secure: Arc<OnceLock<Client>>,
}

/// Why a document could not be fetched. No variant holds a URL or anything of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The text is not an absolute http or https URL, or holds credentials.
    #[error("the address is not an absolute https url without credentials")]
    Url,
    /// The URL is plain http and its origin was not named as plain loopback.
    #[error("plain http is refused for this origin")]
    PlainHttp,
    /// The host is, or resolves to, an address that is not public, and was not named.
    #[error("the host's address is not public")]
    PrivateAddress,
    /// No connection could be made, or it broke.
    #[error("no connection could be made")]
    Unreachable,
    /// Connecting took over 2 s or the whole exchange over 5 s.
    #[error("the answer took too long")]
    Timeout,
    /// The answer's status was not 200; redirects are never followed.
    #[error("the answer had status {0}")]
    Status(u16),
    /// The answer was not declared as JSON, or is not text.
    #[error("the answer is not declared as json, or is not text")]
    ContentType,
    /// The answer's body is larger than 512 KiB.
    #[error("the answer is larger than 512 KiB")]
    TooLarge,
    /// The TLS client could not be set up; usually the machine has no root certificates.
    #[error("the tls client could not be set up")]
    Tls,
}

/// The outcome of [`Fetch::fetch_json`], boxed so that a network fake can stand in for [`Egress`].
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, EgressError>> + Send + 'a>>;

/// A source of JSON documents: the network, or a fake of it with a fault to inject.
pub trait Fetch: Send + Sync {
    /// The bytes of the JSON document at `url`.
    fn fetch_json<'a>(&'a self, url: &'a str) -> Fetching<'a>;
}

impl EgressRules {
    /// Allows plain http to exactly the origin of `url`, whose host must be `localhost` or a loopback address.
    ///
    /// Whoever can listen on that port of this machine can then answer in the origin's name.
    pub fn allow_plain_loopback(&mut self, url: &str) -> Result<(), EgressError> {
        let url = parse(url)?;
        if !is_loopback_host(&url) {
            return Err(EgressError::PlainHttp);
        }
        self.plain_loopback.insert(url.origin().ascii_serialization());
        Ok(())
    }

    /// Allows https to the host of `url` even where it has a private address.
    pub fn allow_private_host(&mut self, url: &str) -> Result<(), EgressError> {
        let url = parse(url)?;
        self.private_hosts.insert(url.host_str().unwrap_or_default().to_owned());
        Ok(())
    }

    /// Says whether a fetch of `url` could be allowed, as far as the text shows.
    pub fn check_public_url(&self, url: &str) -> Result<(), EgressError> {
        self.check(&parse(url)?)
    }

    /// Decides on a URL before anything is resolved.
    fn check(&self, url: &Url) -> Result<(), EgressError> {
        if url.scheme() == "http" {
            // The origin was checked to be loopback when it was named; `localhost` is checked again when it resolves.
            let named = self.plain_loopback.contains(&url.origin().ascii_serialization());
            return if named { Ok(()) } else { Err(EgressError::PlainHttp) };
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            _ => return Ok(()),
        };
        let named = self.private_hosts.contains(url.host_str().unwrap_or_default());
        if named || is_public(address) { Ok(()) } else { Err(EgressError::PrivateAddress) }
    }
}

impl Egress {
    /// A client that keeps to these rules.
    pub fn new(rules: EgressRules) -> Result<Self, EgressError> {
        // No root certificates: this client never speaks TLS.
        let plain = client(CheckedResolver::LoopbackOnly).tls_certs_only([]).build().map_err(|_| EgressError::Tls)?;
        Ok(Self { rules: Arc::new(rules), plain, secure: Arc::new(OnceLock::new()) })
    }

    async fn fetch(&self, url: &str) -> Result<Vec<u8>, EgressError> {
        let url = parse(url)?;
        self.rules.check(&url)?;
        let client = if url.scheme() == "http" { &self.plain } else { self.secure()? };
        let request = client.get(url).header(header::ACCEPT, "application/json");
        let response = request.send().await.map_err(|error| classify(&error))?;
        if response.status() != StatusCode::OK {
            return Err(EgressError::Status(response.status().as_u16()));
        }
        if !declares_json(&response) {
            return Err(EgressError::ContentType);
        }
        read_bounded(response).await
    }

    /// Posts a text within a second and gives back whatever comes, of any status: witnesses answer with several.
    ///
    /// # Errors
    /// When the address may not be reached, or no answer comes within the bounds.
    pub async fn post_text(&self, url: &str, body: String) -> Result<Posted, EgressError> {
        let url = parse(url)?;
        self.rules.check(&url)?;
        let client = if url.scheme() == "http" { &self.plain } else { self.secure()? };
        let request = client.post(url).header(header::CONTENT_TYPE, "text/plain; charset=utf-8").timeout(TEXT_TIMEOUT);
        let response = request.body(body).send().await.map_err(|error| classify(&error))?;
        let status = response.status().as_u16();
        let content_type =
            response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        Ok(Posted { status, content_type, body: read_bounded(response).await? })
    }

    /// Fetches a text within a second.
    ///
    /// # Errors
    /// When the address may not be reached, no answer of status 200 comes within the bounds, or it is not UTF-8.
    pub async fn fetch_text(&self, url: &str) -> Result<String, EgressError> {
        let url = parse(url)?;
        self.rules.check(&url)?;
        let client = if url.scheme() == "http" { &self.plain } else { self.secure()? };
        let response = client.get(url).timeout(TEXT_TIMEOUT).send().await.map_err(|error| classify(&error))?;
        if response.status() != StatusCode::OK {
            return Err(EgressError::Status(response.status().as_u16()));
        }
        String::from_utf8(read_bounded(response).await?).map_err(|_| EgressError::ContentType)
    }

    fn secure(&self) -> Result<&Client, EgressError> {
        if let Some(client) = self.secure.get() {
            return Ok(client);
        }
        let resolver = CheckedResolver::PublicUnlessNamed(Arc::clone(&self.rules));
        let built = client(resolver).https_only(true).build().map_err(|_| EgressError::Tls)?;
        Ok(self.secure.get_or_init(|| built))
    }
}

impl Fetch for Egress {
    fn fetch_json<'a>(&'a self, url: &'a str) -> Fetching<'a> {
        Box::pin(self.fetch(url))
    }
}

/// What came back for a posted text.
pub struct Posted {
    /// The HTTP status.
    pub status: u16,
    /// The declared type, empty without one.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// A scripted browser for the development identity provider: plain http on loopback, no cookies, follows nothing.
pub struct LoopbackBrowser {
    client: Client,
}

/// What a browser got for one request.
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// Where the answer redirects to.
    pub location: Option<String>,
    /// The body.
    pub body: String,
}

impl LoopbackBrowser {
    /// A browser with nothing in it.
    ///
    /// # Errors
    /// `Tls` when the http client can't be set up.
    pub fn new() -> Result<Self, EgressError> {
        let client = client(CheckedResolver::LoopbackOnly).tls_certs_only([]).build().map_err(|_| EgressError::Tls)?;
        Ok(Self { client })
    }

    /// Opens a page.
    ///
    /// # Errors
    /// When the address is not plain http on loopback, or no answer comes within the bounds of all outgoing requests.
    pub async fn open(&self, url: &str) -> Result<Page, EgressError> {
        Self::page(self.client.get(Self::loopback(url)?)).await
    }

    /// Submits a form.
    ///
    /// # Errors
    /// As [`LoopbackBrowser::open`].
    pub async fn submit(&self, url: &str, fields: &[(&str, &str)]) -> Result<Page, EgressError> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.client.post(Self::loopback(url)?).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        Self::page(request.body(body)).await
    }

    async fn page(request: reqwest::RequestBuilder) -> Result<Page, EgressError> {
        let response = request.send().await.map_err(|error| classify(&error))?;
        let status = response.status().as_u16();
        let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = String::from_utf8_lossy(&read_bounded(response).await?).into_owned();
        Ok(Page { status, location, body })
    }

    fn loopback(url: &str) -> Result<Url, EgressError> {
        let url = parse(url)?;
        if url.scheme() == "http" && is_loopback_host(&url) { Ok(url) } else { Err(EgressError::PlainHttp) }
    }
}

/// Resolves a name and fails when any of its addresses is one that may not be reached. The client connects to what this
/// returned, so a name that changes between check and use (DNS rebinding) gains nothing.
enum CheckedResolver {
    LoopbackOnly,
    PublicUnlessNamed(Arc<EgressRules>),
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed: fn(IpAddr) -> bool = match self {
            Self::LoopbackOnly => |address| address.is_loopback(),
            Self::PublicUnlessNamed(rules) if rules.private_hosts.contains(name.as_str()) => |_| true,
            Self::PublicUnlessNamed(_) => is_public,
        };
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if addresses.iter().all(|address| allowed(address.ip())) {
                Ok(Box::new(addresses.into_iter()) as Addrs)
            } else {
                Err(Box::new(AddressRefused) as Box<dyn Error + Send + Sync>)
            }
        })
    }
}

#[derive(Debug)]
struct AddressRefused;

impl fmt::Display for AddressRefused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the address is not one that may be reached")
    }
}

impl Error for AddressRefused {}

fn client(resolver: CheckedResolver) -> reqwest::ClientBuilder {
    Client::builder()
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .dns_resolver(Arc::new(resolver))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TOTAL_TIMEOUT)
        .pool_max_idle_per_host(1)
        .user_agent("narrows")
}

fn parse(text: &str) -> Result<Url, EgressError> {
    let url = Url::parse(text).map_err(|_| EgressError::Url)?;
    let web = matches!(url.scheme(), "http" | "https") && url.has_host();
    let bare = url.username().is_empty() && url.password().is_none();
    if web && bare { Ok(url) } else { Err(EgressError::Url) }
}

fn is_loopback_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let special = address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || first == 0
        || first >= 240
        || (first == 100 && (64..128).contains(&second))
        || (first == 192 && second == 0 && third == 0)
        || (first == 198 && (second == 18 || second == 19));
    !special
}

/// Only global unicast (2000::/3), and of it no range that carries an IPv4 address of somebody's choice (6to4, Teredo).
fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let [first, second, ..] = address.segments();
    let tunnel = first == 0x2002 || (first == 0x2001 && second == 0);
    let documentation = first == 0x2001 && second == 0x0db8;
    first & 0xe000 == 0x2000 && !tunnel && !documentation
}

fn declares_json(response: &Response) -> bool {
    let declared = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = declared.and_then(|value| value.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

async fn read_bounded(mut response: Response) -> Result<Vec<u8>, EgressError> {
    if response.content_length().is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        return Err(EgressError::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error))? {
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(EgressError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn classify(error: &reqwest::Error) -> EgressError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if inner.is::<AddressRefused>() {
            return EgressError::PrivateAddress;
        }
        cause = inner.source();
    }
    if error.is_timeout() { EgressError::Timeout } else { EgressError::Unreachable }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(5);
const TEXT_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_BODY_BYTES: usize = 512 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that gives every connection the same bytes; returns its origin.
    async fn canned(answer: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 2048];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&answer).await;
            }
        });
        origin
    }

    fn answer(head: &str, body: &str) -> Vec<u8> {
        format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n{body}").into_bytes()
    }

    async fn fetch_plain(answer: Vec<u8>) -> Result<Vec<u8>, EgressError> {
        let origin = canned(answer).await;
        let mut rules = EgressRules::default();
        rules.allow_plain_loopback(&origin).unwrap();
        Egress::new(rules).unwrap().fetch_json(&format!("{origin}/document")).await
    }

    #[tokio::test]
    async fn only_small_declared_json_comes_back() {
        let json = "200 OK\r\ncontent-type: application/json; charset=utf-8";
        assert_eq!(fetch_plain(answer(json, "{}")).await, Ok(b"{}".to_vec()));
        let key_set = "200 OK\r\ncontent-type: application/jwk-set+json";
        assert_eq!(fetch_plain(answer(key_set, "{}")).await, Ok(b"{}".to_vec()));

        let html = "200 OK\r\ncontent-type: text/html";
        assert_eq!(fetch_plain(answer(html, "{}")).await, Err(EgressError::ContentType));
        assert_eq!(fetch_plain(answer("200 OK", "{}")).await, Err(EgressError::ContentType));
        let moved = "302 Found\r\nlocation: http://169.254.169.254/latest\r\ncontent-type: application/json";
        assert_eq!(fetch_plain(answer(moved, "{}")).await, Err(EgressError::Status(302)));
        assert_eq!(fetch_plain(answer("500 Oops", "")).await, Err(EgressError::Status(500)));

        let declared = format!("{json}\r\ncontent-length: 60000000");
        assert_eq!(fetch_plain(answer(&declared, "")).await, Err(EgressError::TooLarge));
        let streamed = "x".repeat(MAX_BODY_BYTES + 1);
        assert_eq!(fetch_plain(answer(json, &streamed)).await, Err(EgressError::TooLarge));
        let cut_short = format!("{json}\r\ncontent-length: 10");
        assert_eq!(fetch_plain(answer(&cut_short, "{}")).await, Err(EgressError::Unreachable));
    }

    #[tokio::test]
    async fn unnamed_origins_are_never_contacted() {
        let origin = canned(answer("200 OK\r\ncontent-type: application/json", "{}")).await;
        let port = origin.rsplit(':').next().unwrap();
        let mut rules = EgressRules::default();
        rules.allow_plain_loopback("http://127.0.0.1:1").unwrap();
        let egress = Egress::new(rules).unwrap();
        let cases = [
            (format!("{origin}/x"), EgressError::PlainHttp),
            (format!("http://localhost:{port}/x"), EgressError::PlainHttp),
            ("http://example.com/x".to_owned(), EgressError::PlainHttp),
            (format!("https://127.0.0.1:{port}/x"), EgressError::PrivateAddress),
            (format!("https://localhost:{port}/x"), EgressError::PrivateAddress),
            ("https://169.254.169.254/latest".to_owned(), EgressError::PrivateAddress),
            ("https://[::ffff:10.0.0.1]/".to_owned(), EgressError::PrivateAddress),
            ("https://0x7f000001/".to_owned(), EgressError::PrivateAddress),
            ("https://user:word@example.com/".to_owned(), EgressError::Url),
            ("file:///etc/hostname".to_owned(), EgressError::Url),
            ("/relative".to_owned(), EgressError::Url),
        ];
        for (url, error) in cases {
            assert_eq!(egress.fetch_json(&url).await, Err(error), "{url}");
        }
    }

    #[test]
    fn plain_http_can_be_allowed_for_loopback_alone() {
        let mut rules = EgressRules::default();
        assert_eq!(rules.allow_plain_loopback("http://10.0.0.1"), Err(EgressError::PlainHttp));
        assert_eq!(rules.allow_plain_loopback("http://localhost.example.com"), Err(EgressError::PlainHttp));
        assert_eq!(rules.allow_plain_loopback("http://[::1]:8080/path"), Ok(()));
    }

    #[test]
    fn special_address_ranges_are_not_public() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "fe80::1",
            "fc00::1",
            "fd00::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:0:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }
}
