//! A scripted browser for the development identity provider.

use reqwest::{Client, header};
use url::Url;

use super::resolve::CheckedResolver;
use super::rules::{is_loopback_host, parse};
use super::{EgressError, TOTAL_TIMEOUT, classify, client, read_bounded};

/// Plain http on loopback, no cookies, follows nothing.
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
        let client = client(CheckedResolver::loopback_only(), TOTAL_TIMEOUT).tls_certs_only([]).build().map_err(|_| EgressError::Tls)?;
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
