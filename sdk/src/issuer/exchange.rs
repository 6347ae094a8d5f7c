//! The exchange of a login for a token (RFC 8693).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use form_urlencoded::{Serializer, byte_serialize};
use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use narrows_verifier::{
    Caveat, Reason, TaskId, UnverifiedToken,
    caveat::{Tools, to_list},
    json::Value,
    log::Kind,
    proof::{HolderClaims, sign_holder},
};
use rand_core::{OsRng, RngCore as _};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{IssuerError, IssuerKeys, Recorded, recorded::Body};
use crate::HolderKey;

/// The subject token is an OpenID Connect ID token.
pub const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// The subject token is a JWT access token.
pub const JWT_ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// What to ask for.
pub struct ExchangeRequest<'a> {
    /// The login: whose authority is asked for.
    pub subject_token: &'a str,
    /// [`ID_TOKEN`] or [`JWT_ACCESS_TOKEN`].
    pub subject_token_type: &'a str,
    /// Who asks.
    pub client: ClientAuthentication<'a>,
    /// The key that the token is to be bound to.
    pub holder: &'a HolderKey,
    /// Where the token is to be used.
    pub audience: &'a str,
    /// The tools that it is to grant.
    pub tools: Tools,
    /// Further caveats, a depth among them where hops are wanted.
    pub caveats: Vec<Caveat>,
    /// The name that the issuer is to attest of the holder.
    pub agent: &'a str,
    /// The seconds for which it is wanted; the issuer may give less.
    pub expires_in: Option<u64>,
}

/// How the client authenticates.
pub enum ClientAuthentication<'a> {
    /// A secret in the Basic header (RFC 6749 §2.3.1).
    SecretBasic {
        /// The client's identifier.
        client: &'a str,
        /// Its secret.
        secret: &'a str,
    },
    /// An assertion that the caller signed for this request (RFC 7523 §2.2).
    PrivateKeyJwt {
        /// The client's identifier.
        client: &'a str,
        /// The signed JWT.
        assertion: &'a str,
    },
}

/// A token, with the proof that its making is in the log. Checked against the issuer's keys and the request.
pub struct ExchangeAnswer {
    /// The open token.
    pub access_token: Zeroizing<String>,
    /// The seconds for which it is accepted from now on, by the issuer's count.
    pub expires_in: u64,
    /// The new task.
    pub task: TaskId,
    /// The entry of the log.
    pub recorded: Recorded,
}

impl ExchangeRequest<'_> {
    /// The headers and the form of the request, with a fresh proof that we hold the key.
    pub(super) fn encode(&self, issuer: &str, now: u64) -> (HeaderMap, String) {
        let mut nonce = [0; 16];
        OsRng.fill_bytes(&mut nonce);
        let subject_digest = Sha256::digest(self.subject_token).into();
        let claims = HolderClaims { issuer, client: self.client.id(), subject_digest };
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
            .append_pair("subject_token", self.subject_token)
            .append_pair("subject_token_type", self.subject_token_type)
            .append_pair("audience", self.audience)
            .append_pair("authorization_details", &self.details().canonical())
            .append_pair("req_cnf", &self.holder.req_cnf())
            .append_pair("holder_proof", &sign_holder(&claims, now, &nonce, self.holder.seed()));
        if let Some(seconds) = self.expires_in {
            form.append_pair("expires_in", &seconds.to_string());
        }
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))]);
        match &self.client {
            ClientAuthentication::SecretBasic { client, secret } => {
                headers.extend(basic(client, secret).map(|value| (AUTHORIZATION, value)));
            }
            ClientAuthentication::PrivateKeyJwt { client, assertion } => {
                form.append_pair("client_id", client)
                    .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                    .append_pair("client_assertion", assertion);
            }
        }
        (headers, form.finish())
    }

    /// The request's authorization details (RFC 9396), of our one type.
    fn details(&self) -> Value {
        let text = |text: &str| Value::Text(text.to_owned());
        Value::Array(vec![Value::object([
            ("type", text("narrows")),
            ("tools", self.tools.to_json()),
            ("caveats", to_list(&self.caveats)),
            ("agent", text(self.agent)),
        ])])
    }
}

impl ClientAuthentication<'_> {
    fn id(&self) -> &str {
        match self {
            ClientAuthentication::SecretBasic { client, .. } | ClientAuthentication::PrivateKeyJwt { client, .. } => client,
        }
    }
}

impl ExchangeAnswer {
    /// Checks that the answer is what was asked for: bound to our key, and in the log.
    pub(super) fn check(body: &[u8], request: &ExchangeRequest<'_>, keys: &IssuerKeys) -> Result<Self, IssuerError> {
        let answer: Answer = serde_json::from_slice(body).map_err(|_| Reason::PeerAnswer)?;
        let access_token = Zeroizing::new(answer.access_token);
        let task = TaskId::from_hex(&answer.narrows.task).ok_or(Reason::PeerAnswer)?;
        let recorded = Recorded::read(answer.narrows.recorded).ok_or(Reason::PeerAnswer)?;
        let token =
            UnverifiedToken::from_text(&access_token).and_then(|token| token.verify(&keys.roots)).map_err(|refusal| refusal.reason)?;
        if token.holder != request.holder.public() || token.authority.task != task || token.depth() != 0 {
            return Err(Reason::PeerAnswer.into());
        }
        let recorded = recorded.check(&token, Kind::Mint, keys)?;
        Ok(Self { access_token, expires_in: answer.expires_in, task, recorded })
    }
}

/// RFC 6749 §2.3.1: both halves form-encoded, then base64. The header is marked so that nothing prints it.
fn basic(client: &str, secret: &str) -> Option<HeaderValue> {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encode(client), encode(secret)));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair.as_bytes()))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: u64,
    narrows: Narrows,
}

#[derive(Deserialize)]
struct Narrows {
    task: String,
    #[serde(flatten)]
    recorded: Body,
}
