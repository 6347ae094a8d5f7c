//! HTTP as a stranger speaks it: nothing of the SDK, and every answer kept whole.

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{
    Client, RequestBuilder,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap},
    redirect,
};
use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// A header's text, empty without it.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header in ASCII"))
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).expect("UTF-8")
    }

    /// The reason code of a refusal, empty for anything else.
    pub fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// A body of status 200.
    pub fn granted(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    /// Asserts what every refusal of the token endpoint has in common, and this status, OAuth error and reason.
    pub fn refused_as(&self, status: u16, error: &str, reason: &str, case: &str) {
        let body = self.json();
        let found = (self.status, body["error"].as_str().unwrap_or_default(), body["reason"].as_str().unwrap_or_default());
        assert_eq!(found, (status, error, reason), "{case}: {body}");
        self.refused_safely(case);
    }

    /// The same for the endpoints that are not OAuth's.
    pub fn refused(&self, status: u16, reason: &str, case: &str) {
        let body = self.json();
        assert_eq!((self.status, self.reason().as_str()), (status, reason), "{case}: {body}");
        assert!(body["message"].is_string() && body["error"].is_null(), "{case}: {body}");
        self.refused_safely(case);
    }

    fn refused_safely(&self, case: &str) {
        let body = self.json();
        assert_eq!(self.header("cache-control"), "no-store", "{case}");
        assert_eq!(self.header("content-type"), "application/json", "{case}");
        assert_eq!(body["trace"].as_str(), Some(self.header("narrows-trace")), "{case}");
        assert!(body["access_token"].is_null() && body["narrows"].is_null(), "{case}: {body}");
    }
}

/// A client that follows no redirect.
pub fn client() -> Client {
    Client::builder().redirect(redirect::Policy::none()).build().expect("an HTTP client")
}

/// Sends a request and reads the whole answer.
pub async fn send(request: RequestBuilder) -> Answer {
    try_send(request).await.expect("an answer")
}

/// The same where the peer may be gone.
pub async fn try_send(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, bytes: response.bytes().await?.to_vec() })
}

/// Gets an address.
pub async fn get(address: &str) -> Answer {
    send(client().get(address)).await
}

/// A form that a test bends: parameters in order, and at most one Basic header.
#[derive(Clone, Debug, Default)]
pub struct Form {
    fields: Vec<(String, String)>,
    basic: Option<String>,
}

impl Form {
    /// A form with these parameters.
    pub fn new(fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { fields, basic: None }
    }

    /// With this value of a parameter, and no other.
    #[must_use]
    pub fn with(self, name: &str, value: &str) -> Self {
        self.without(name).also(name, value)
    }

    /// Without a parameter.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(found, _)| found != name);
        self
    }

    /// With one more parameter, whether it is there or not.
    #[must_use]
    pub fn also(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With these credentials in the Basic header, neither of which needs escaping.
    #[must_use]
    pub fn basic(mut self, client: &str, secret: &str) -> Self {
        self.basic = Some(format!("Basic {}", STANDARD.encode(format!("{client}:{secret}"))));
        self
    }

    /// Without a Basic header.
    #[must_use]
    pub fn anonymous(mut self) -> Self {
        self.basic = None;
        self
    }

    /// The request that posts it.
    pub fn request(&self, client: &Client, address: &str) -> RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.fields).finish();
        let request = client.post(address).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        match &self.basic {
            Some(basic) => request.header(AUTHORIZATION, basic),
            None => request,
        }
    }

    /// Posts it.
    pub async fn post(&self, address: &str) -> Answer {
        send(self.request(&client(), address)).await
    }
}
