//! The issuer as an agent or a tool sees it: its keys, the exchange of a login for a token, the report of a hop.

mod error;
mod exchange;
mod keys;
mod recorded;
mod revoke;

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

pub(crate) use error::success;
pub use error::{IssuerError, IssuerRefusal};
pub use exchange::{ACCESS_TOKEN, ClientAuthentication, ExchangeAnswer, ExchangeRequest, ID_TOKEN};
pub use keys::IssuerKeys;
pub use recorded::Recorded;
pub use revoke::Revoke;

use narrows_verifier::{
    Reason, UnverifiedToken,
    json::Value,
    log::{Kind, Policy},
};

use crate::{
    Report,
    http::{Http, Origin},
};

/// A client of one issuer.
///
/// Answers are bounded to 512 KiB and 20 seconds. No redirect is followed, and no error text holds a token or secret.
pub struct IssuerClient {
    http: Http,
}

impl IssuerClient {
    /// A client of the issuer with this identifier, which is its address too: an https origin, or http on loopback.
    ///
    /// # Errors
    /// `ADDRESS_REFUSED` for other addresses.
    pub fn new(issuer: &str) -> Result<Self, IssuerError> {
        Ok(Self { http: Http::new(Origin::parse(issuer)?)? })
    }

    /// The issuer's identifier.
    pub fn issuer(&self) -> &str {
        self.http.origin()
    }

    /// Fetches the keys under which its tokens and receipts verify. They are as trustworthy as the connection: fetch
    /// them at start, and again from time to time, since keys rotate.
    ///
    /// # Errors
    /// `PEER_UNREACHABLE` or `PEER_ANSWER`.
    pub async fn discover(&self) -> Result<IssuerKeys, IssuerError> {
        let answer = self.http.get("/.well-known/narrows-keys").await?;
        IssuerKeys::parse(&error::success(answer)?)
    }

    /// Exchanges a login for a token bound to the holder's key (RFC 8693), and checks everything that comes back.
    ///
    /// # Errors
    /// The issuer's refusal with its reason; `PEER_UNREACHABLE`; `PEER_ANSWER` or a reason of the verifier when the
    /// answer does not hold what it claims.
    pub async fn exchange(&self, request: &ExchangeRequest<'_>, keys: &IssuerKeys, now: u64) -> Result<ExchangeAnswer, IssuerError> {
        let (headers, body) = request.encode(self.issuer(), now);
        let answer = self.http.post("/oauth/token", headers, body).await?;
        ExchangeAnswer::check(&error::success(answer)?, request, keys)
    }

    /// Reports a hop, and checks the receipt. Reporting the same hop again gives the same entry.
    ///
    /// # Errors
    /// As [`IssuerClient::exchange`].
    pub async fn report(&self, report: &Report, keys: &IssuerKeys) -> Result<Recorded, IssuerError> {
        let token =
            UnverifiedToken::from_text(&report.token).and_then(|token| token.verify(&keys.roots)).map_err(|refusal| refusal.reason)?;
        let answer = self.post_signed("/v1/derivations", report).await?;
        Recorded::parse(&answer)?.check(&token, Kind::Hop, keys)
    }

    /// Ends authority, as a client. The answer comes when the end is in the log and in force at the issuer; tools refuse from
    /// their next look at the feed on. `None` for a token that was none any more.
    ///
    /// # Errors
    /// As [`IssuerClient::exchange`]; `TOKEN_OTHER_CLIENT` for what was issued to another client.
    pub async fn revoke(
        &self,
        what: Revoke<'_>,
        client: &ClientAuthentication<'_>,
        keys: &IssuerKeys,
    ) -> Result<Option<Recorded>, IssuerError> {
        let (headers, body) = what.encode(client);
        let answer = self.http.post("/oauth/revoke", headers, body).await?;
        revoke::check(&error::success(answer)?, keys)
    }

    /// Ends a hop by the word of its holder, or of whoever made it: see [`crate::Held::give_up`] and
    /// [`crate::Held::take_back`].
    ///
    /// # Errors
    /// As [`IssuerClient::exchange`].
    pub async fn end(&self, end: &Report, keys: &IssuerKeys) -> Result<Recorded, IssuerError> {
        let answer = self.post_signed("/v1/revocations", end).await?;
        revoke::check(&answer, keys)?.ok_or_else(|| Reason::PeerAnswer.into())
    }

    async fn post_signed(&self, path: &str, signed: &Report) -> Result<Vec<u8>, IssuerError> {
        let body = Value::object([("token", Value::Text(signed.token.clone())), ("proof", Value::Text(signed.proof.clone()))]);
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        error::success(self.http.post(path, headers, body.canonical()).await?)
    }

    /// Fetches a receipt of an entry that is recorded already, under a checkpoint that satisfies the policy, and checks it.
    ///
    /// The receipt that comes with a token is under the log's signature alone. This one shows that the policy's witnesses saw
    /// the same log: it is what to keep, and to hand to those who trust the log's keeper no further than them. It takes the
    /// witnesses a moment, so `WITNESS_QUORUM` says to ask again.
    ///
    /// # Errors
    /// `WITNESS_QUORUM`; `PEER_UNREACHABLE`; `PEER_ANSWER`; a reason of [`Policy::verify_receipt`].
    pub async fn witnessed(&self, recorded: &Recorded, policy: &Policy) -> Result<Recorded, IssuerError> {
        let answer = self.http.get(&format!("/v1/receipts/{}?witnessed", recorded.entry)).await?;
        let receipt = String::from_utf8(error::success(answer)?).map_err(|_| Reason::PeerAnswer)?;
        policy.verify_receipt(&receipt, &recorded.leaf).map_err(|refusal| refusal.reason)?;
        Ok(Recorded { receipt, ..recorded.clone() })
    }
}
