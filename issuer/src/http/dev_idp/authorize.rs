//! The authorization endpoint: shows the login page, takes the password, sends the person back with a code.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use url::{Host, Url};

use super::parameters::Parameters;
use super::tables::Grant;
use super::{DevIdp, page};
use crate::http::form::{FORM, is_declared};

/// A request for a code that has everything it needs.
pub(super) struct AuthorizationRequest {
    pub(super) client_id: String,
    /// As the client wrote it: the token request must repeat it exactly.
    pub(super) redirect_uri: String,
    pub(super) code_challenge: String,
    pub(super) nonce: Option<String>,
    state: Option<String>,
    return_to: Url,
}

/// Why there will be no login page.
enum RequestFault {
    /// We don't know where the person came from, so nobody is sent anywhere (RFC 6749 section 4.1.2.1).
    Stay(&'static str),
    /// The client learns what was wrong with its request.
    Return(Box<Url>),
}

pub(super) async fn show_login(State(idp): State<Arc<DevIdp>>, RawQuery(query): RawQuery) -> Response {
    let request = Parameters::parse(&query.unwrap_or_default())
        .ok_or(RequestFault::Stay("A parameter is repeated or too long."))
        .and_then(|parameters| AuthorizationRequest::read(&parameters, &idp));
    match request {
        Ok(request) => login_page(&idp, StatusCode::OK, None, request),
        Err(RequestFault::Return(url)) => Redirect::to(url.as_str()).into_response(),
        Err(RequestFault::Stay(message)) => page::notice(StatusCode::BAD_REQUEST, message),
    }
}

pub(super) async fn log_in(State(idp): State<Arc<DevIdp>>, headers: HeaderMap, body: String) -> Response {
    if !is_declared(&headers, FORM) {
        return page::notice(StatusCode::UNSUPPORTED_MEDIA_TYPE, "A login is sent as a form.");
    }
    let Some(form) = Parameters::parse(&body) else {
        return page::notice(StatusCode::BAD_REQUEST, "A field is repeated or too long.");
    };
    let now_ms = idp.now_ms();
    if idp.tables().is_throttled(now_ms) {
        return page::throttled();
    }
    let ticket = form.text("ticket").unwrap_or_default();
    let Some(request) = idp.tables().tickets.take(ticket, now_ms) else {
        return page::notice(StatusCode::BAD_REQUEST, "This login page was used already or is too old. Start again.");
    };
    let (name, password) = (form.text("username").unwrap_or_default(), form.text("password").unwrap_or_default());
    let Some(user) = idp.user_with_password(name, password) else {
        idp.tables().note_failure(now_ms);
        return login_page(&idp, StatusCode::UNAUTHORIZED, Some("Name or password is wrong."), request);
    };
    let code = idp.nonce();
    let answer = request.answer(&idp, &[("code", code.as_str())]);
    let grant = Grant { request, user: user.name.clone(), logged_in_s: now_ms / 1000 };
    idp.tables().codes.put(code, grant, now_ms);
    Redirect::to(answer.as_str()).into_response()
}

/// The url if it is plain http on loopback without credentials or fragment, the only place a code may go.
pub(super) fn loopback_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let loopback = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (url.scheme() == "http" && loopback && bare).then_some(url)
}

impl AuthorizationRequest {
    fn read(parameters: &Parameters, idp: &DevIdp) -> Result<Self, RequestFault> {
        let known = |client_id: &&str| idp.settings.clients.iter().any(|client| client == client_id);
        let client_id = parameters.text("client_id").filter(known).ok_or(RequestFault::Stay("The client is unknown."))?;
        let redirect_uri = parameters.text("redirect_uri").unwrap_or_default();
        let return_to =
            loopback_url(redirect_uri).ok_or(RequestFault::Stay("The address to return to is not plain http on this machine."))?;
        let request = Self {
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            code_challenge: parameters.text("code_challenge").unwrap_or_default().to_owned(),
            nonce: parameters.text("nonce").map(str::to_owned),
            state: parameters.text("state").map(str::to_owned),
            return_to,
        };
        match request.error(parameters) {
            None => Ok(request),
            Some(error) => Err(RequestFault::Return(Box::new(request.answer(idp, &[("error", error)])))),
        }
    }

    fn error(&self, parameters: &Parameters) -> Option<&'static str> {
        let scopes = parameters.text("scope").unwrap_or_default();
        // A SHA-256 in base64url. Without PKCE whoever sees the code in a log or history could redeem it.
        let challenge = self.code_challenge.len() == 43
            && self.code_challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if parameters.text("response_type") != Some("code") {
            Some("unsupported_response_type")
        } else if !scopes.split(' ').any(|scope| scope == "openid") {
            Some("invalid_scope")
        } else if !challenge || parameters.text("code_challenge_method") != Some("S256") {
            Some("invalid_request")
        } else {
            None
        }
    }

    /// Where the person goes back to: with these parameters, the client's `state`, and our name (RFC 9207).
    fn answer(&self, idp: &DevIdp, parameters: &[(&str, &str)]) -> Url {
        let mut url = self.return_to.clone();
        let mut query = url.query_pairs_mut();
        query.extend_pairs(parameters).append_pair("iss", &idp.settings.issuer);
        if let Some(state) = &self.state {
            query.append_pair("state", state);
        }
        drop(query);
        url
    }
}

fn login_page(idp: &DevIdp, status: StatusCode, problem: Option<&str>, request: AuthorizationRequest) -> Response {
    let ticket = idp.nonce();
    let response = page::login(status, problem, &ticket, &request.client_id, &request.return_to);
    idp.tables().tickets.put(ticket, request, idp.now_ms());
    response
}
