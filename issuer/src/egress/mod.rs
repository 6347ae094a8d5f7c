//! The one way out: fetches small JSON documents from, and posts small texts to, addresses that an administrator named.
//!
//! A service that fetches URLs is a tool for reaching what only it can reach. So: only origins that were named, https unless
//! the origin was named as plain loopback, no redirects, no cookies, no proxy from the environment, no private addresses
//! unless the host was named, and a cap on time and size. Names are resolved once, checked, and connected to as checked.

mod browser;
mod resolve;
mod rules;

use core::future::Future;
use core::pin::Pin;
use core::time::Duration;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, OnceLock};

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, StatusCode, header};
use url::Url;

use resolve::{AddressRefused, CheckedResolver};
use rules::parse;

// The public interface is:
pub use browser::{LoopbackBrowser, Page};
pub use rules::{EgressRules, Reach, same_origin};

/// The outgoing HTTP client. Cheap to clone.
#[derive(Clone)]
pub struct Egress {
    rules: Arc<EgressRules>,
    total: Duration,
    plain: Client,
    /// Built when first needed: building it reads the system's root certificates, and a machine that has none can still
    /// serve its own loopback identity provider.
    secure: Arc<OnceLock<Client>>,
    /// By origin, for those that authorities of their own vouch for.
    private: Arc<BTreeMap<String, Client>>,
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
    /// The URL's origin is not one that the configuration names.
    #[error("the configuration does not name this origin")]
    NotNamed,
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
    /// The TLS client could not be set up: the machine has no root certificates, or those given are none.
    #[error("the tls client could not be set up")]
    Tls,
}

/// A document that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The document.
    pub body: Vec<u8>,
    /// For how many seconds its sender calls it fresh (RFC 9111 section 5.2.2), where it says so.
    pub max_age_s: Option<u64>,
}

/// The outcome of [`Fetch::fetch_json`], boxed so that a network fake can stand in for [`Egress`].
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Fetched, EgressError>> + Send + 'a>>;

/// A source of JSON documents: the network, or a fake of it with a fault to inject.
pub trait Fetch: Send + Sync {
    /// The JSON document at `url`.
    fn fetch_json<'a>(&'a self, url: &'a str) -> Fetching<'a>;
}

impl Egress {
    /// A client that keeps to these rules.
    pub fn new(rules: EgressRules) -> Result<Self, EgressError> {
        Self::within(rules, TOTAL_TIMEOUT)
    }

    fn within(rules: EgressRules, total: Duration) -> Result<Self, EgressError> {
        // No root certificates: this client never speaks TLS.
        let plain = client(CheckedResolver::loopback_only(), total).tls_certs_only([]).build().map_err(|_| EgressError::Tls)?;
        let rules = Arc::new(rules);
        let vouched = |(origin, pem): (&str, &[u8])| {
            let authorities = Certificate::from_pem_bundle(pem).map_err(|_| EgressError::Tls)?;
            let built = secured(&rules, total).tls_certs_only(authorities).build().map_err(|_| EgressError::Tls)?;
            Ok((origin.to_owned(), built))
        };
        let private = rules.own_authorities().map(vouched).collect::<Result<_, _>>()?;
        Ok(Self { total, plain, secure: Arc::new(OnceLock::new()), private: Arc::new(private), rules })
    }

    async fn fetch(&self, url: &str) -> Result<Fetched, EgressError> {
        let (client, url) = self.client(url)?;
        let request = client.get(url).header(header::ACCEPT, "application/json");
        let response = request.send().await.map_err(|error| classify(&error))?;
        if response.status() != StatusCode::OK {
            return Err(EgressError::Status(response.status().as_u16()));
        }
        if !declares_json(&response) {
            return Err(EgressError::ContentType);
        }
        let max_age_s = response.headers().get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok()).and_then(max_age_s);
        Ok(Fetched { body: read_bounded(response).await?, max_age_s })
    }

    /// Posts a text within a second and gives back whatever comes, of any status: witnesses answer with several.
    ///
    /// # Errors
    /// When the address may not be reached, or no answer comes within the bounds.
    pub async fn post_text(&self, url: &str, body: String) -> Result<Posted, EgressError> {
        let (client, url) = self.client(url)?;
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
        let (client, url) = self.client(url)?;
        let response = client.get(url).timeout(TEXT_TIMEOUT).send().await.map_err(|error| classify(&error))?;
        if response.status() != StatusCode::OK {
            return Err(EgressError::Status(response.status().as_u16()));
        }
        String::from_utf8(read_bounded(response).await?).map_err(|_| EgressError::ContentType)
    }

    /// The client by which a URL may be reached.
    fn client(&self, url: &str) -> Result<(&Client, Url), EgressError> {
        let url = parse(url)?;
        let client = match self.rules.check(&url)? {
            Reach::PlainLoopback => &self.plain,
            Reach::Public | Reach::Private => match self.private.get(&url.origin().ascii_serialization()) {
                Some(client) => client,
                None => self.secure()?,
            },
        };
        Ok((client, url))
    }

    fn secure(&self) -> Result<&Client, EgressError> {
        if let Some(client) = self.secure.get() {
            return Ok(client);
        }
        let built = secured(&self.rules, self.total).build().map_err(|_| EgressError::Tls)?;
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

fn secured(rules: &Arc<EgressRules>, total: Duration) -> reqwest::ClientBuilder {
    client(CheckedResolver::public_unless_named(Arc::clone(rules)), total).https_only(true)
}

fn client(resolver: CheckedResolver, total: Duration) -> reqwest::ClientBuilder {
    Client::builder()
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .dns_resolver(Arc::new(resolver))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(total)
        .pool_max_idle_per_host(1)
        .user_agent("narrows")
}

fn declares_json(response: &Response) -> bool {
    let declared = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = declared.and_then(|value| value.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// The `max-age` of a Cache-Control value; 0 where the answer is not to be kept at all.
fn max_age_s(cache_control: &str) -> Option<u64> {
    let directives = || cache_control.split(',').map(|directive| directive.trim().to_ascii_lowercase());
    if directives().any(|directive| matches!(directive.as_str(), "no-store" | "no-cache")) {
        return Some(0);
    }
    directives().find_map(|directive| directive.strip_prefix("max-age=")?.trim_matches('"').parse().ok())
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
mod tests;
