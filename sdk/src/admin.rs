//! Administration as an operator's program speaks it. The answers are JSON texts: a newer service may tell more.

use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use narrows_verifier::Reason;
use zeroize::Zeroizing;

use crate::{
    http::{Answer, Http, Origin},
    issuer::{IssuerError, success},
};

/// A client of one service's administration, under one operator's secret. No error text holds the secret.
///
/// Paths are given in segments below `/v1/`, of which each is encoded: an identifier may hold a slash.
pub struct AdminClient {
    http: Http,
    secret: Zeroizing<String>,
}

impl AdminClient {
    /// A client of the administration at this address: an https origin, or http on loopback.
    ///
    /// # Errors
    /// `ADDRESS_REFUSED` for other addresses.
    pub fn new(address: &str, secret: Zeroizing<String>) -> Result<Self, IssuerError> {
        Ok(Self { http: Http::new(Origin::parse(address)?)?, secret })
    }

    /// Looks at something.
    ///
    /// # Errors
    /// The service's refusal with its reason; `PEER_UNREACHABLE`; `PEER_ANSWER`.
    pub async fn look(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<String, IssuerError> {
        let mut path = path(segments);
        if !query.is_empty() {
            path.push('?');
            path.push_str(&form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish());
        }
        text(self.http.get_with(&path, self.headers()?, MAX_ANSWER).await?)
    }

    /// Makes or ends something, with a JSON body where it takes one. A second time is a second act.
    ///
    /// # Errors
    /// As [`AdminClient::look`].
    pub async fn make(&self, segments: &[&str], body: Option<String>) -> Result<String, IssuerError> {
        let mut headers = self.headers()?;
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        text(self.http.post(&path(segments), headers, body.unwrap_or_default()).await?)
    }

    /// Takes something away.
    ///
    /// # Errors
    /// As [`AdminClient::look`].
    pub async fn take(&self, segments: &[&str]) -> Result<String, IssuerError> {
        text(self.http.delete(&path(segments), self.headers()?).await?)
    }

    fn headers(&self) -> Result<HeaderMap, IssuerError> {
        let bearer = Zeroizing::new(format!("Bearer {}", self.secret.as_str()));
        let mut value = HeaderValue::try_from(bearer.as_str()).map_err(|_| IssuerError::Answer(Reason::AdminAuth))?;
        value.set_sensitive(true);
        Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
    }
}

fn path(segments: &[&str]) -> String {
    segments.iter().fold("/v1".to_owned(), |path, segment| {
        let encoded: String = form_urlencoded::byte_serialize(segment.as_bytes()).collect();
        // a form writes a space as a plus, which in a path is a plus
        format!("{path}/{}", encoded.replace('+', "%20"))
    })
}

fn text(answer: Answer) -> Result<String, IssuerError> {
    String::from_utf8(success(answer)?).map_err(|_| IssuerError::Answer(Reason::PeerAnswer))
}

/// A page of clients with a key set each.
const MAX_ANSWER: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_stays_one_segment_of_the_path() {
        for (id, encoded) in [("planner", "planner"), ("a/../b?c#d", "a%2F..%2Fb%3Fc%23d"), ("a b+c%", "a%20b%2Bc%25")] {
            assert_eq!(path(&["clients", id]), format!("/v1/clients/{encoded}"));
        }
    }
}
