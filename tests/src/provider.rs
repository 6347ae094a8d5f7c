//! A real OpenID provider in a process of its own, and the steps that a person's browser takes there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use rand_core::{OsRng, RngCore};
use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, redirect};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::packages;

/// A running provider. It knows the people `alice` and `bob` (password: the name and `-password`) and the public
/// clients `agents` (Ed25519), `agents-rs256` and `agents-es256`, named by how their ID tokens are signed.
pub struct Provider {
    process: Child,
    issuer: String,
    client: Client,
}

impl Provider {
    /// The confidential client, which logs people in by a backchannel request that is approved at once. Its ID tokens are
    /// signed by Ed25519.
    pub const BACKCHANNEL_CLIENT: &str = "agents-without-browser";
    /// Its secret.
    pub const BACKCHANNEL_SECRET: &str = "the-secret-of-a-client-without-a-browser";

    /// Installs the provider's packages where that was not done yet, starts it on a free loopback port, and returns
    /// when it listens. Panics with the reason when Node.js or the packages are missing: a test never skips itself.
    pub fn start() -> Self {
        Self::start_for(&[])
    }

    /// As [`Provider::start`], for a provider that issues access tokens to these resources (RFC 8707) as well.
    pub fn start_for(resources: &[&str]) -> Self {
        let folder = packages::node("end_to_end/provider");
        // The provider ends when its standard input closes, so a killed test leaves none behind.
        let mut process = Command::new("node")
            .arg("provider.mjs")
            .args(resources)
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starting `node`, which the OpenID provider needs");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("a piped output")).read_line(&mut line).expect("reading the provider's first line");
        let started: Value = serde_json::from_str(&line).expect("the provider did not start; its errors stand above");
        let client = Client::builder().redirect(redirect::Policy::none()).build().expect("an HTTP client");
        Self { process, issuer: text(&started, "issuer"), client }
    }

    /// The issuer identifier, an `http://127.0.0.1:PORT` without a slash at its end.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The provider's metadata, from the discovery document.
    pub async fn metadata(&self) -> Value {
        self.json(&format!("{}/.well-known/openid-configuration", self.issuer)).await
    }

    /// The keys that sign the provider's tokens, from the address that its metadata names.
    pub async fn keys(&self) -> Value {
        self.json(&text(&self.metadata().await, "jwks_uri")).await
    }

    /// Logs a person in as a browser would (authorization code with PKCE, the login and consent pages posted) and
    /// returns the ID token. The error is the status and page of the step that refused.
    pub async fn login(&self, user: &str, password: &str, client_id: &str) -> Result<String, String> {
        let metadata = self.metadata().await;
        let (code_verifier, state) = (random(), random());
        let mut start = Url::parse(&text(&metadata, "authorization_endpoint")).expect("an address");
        start.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", REDIRECT),
            ("scope", "openid"),
            ("state", &state),
            ("code_challenge", &BASE64URL.encode(Sha256::digest(&code_verifier))),
            ("code_challenge_method", "S256"),
        ]);
        let mut browser = Browser { client: &self.client, cookies: BTreeMap::new() };
        let landed = browser.walk(start, user, password).await?;
        let answer: BTreeMap<_, _> = landed.query_pairs().into_owned().collect();
        if answer.get("state") != Some(&state) {
            return Err(format!("the redirect does not carry our state: {landed}"));
        }
        let code = answer.get("code").ok_or_else(|| format!("the redirect carries no code: {landed}"))?;
        let request = self.client.post(text(&metadata, "token_endpoint"));
        let tokens = self
            .tokens(
                request,
                &[
                    ("grant_type", "authorization_code"),
                    ("client_id", client_id),
                    ("redirect_uri", REDIRECT),
                    ("code", code),
                    ("code_verifier", &code_verifier),
                ],
            )
            .await?;
        Ok(text(&tokens, "id_token"))
    }

    /// A JWT access token of `user` (RFC 9068) for one of the resources the provider was started for, by a
    /// backchannel request that is approved at once.
    pub async fn access_token(&self, user: &str, resource: &str) -> Result<String, String> {
        let metadata = self.metadata().await;
        let post =
            |endpoint| self.client.post(text(&metadata, endpoint)).basic_auth(Self::BACKCHANNEL_CLIENT, Some(Self::BACKCHANNEL_SECRET));
        let asked = self
            .tokens(post("backchannel_authentication_endpoint"), &[("scope", "openid tools"), ("login_hint", user), ("resource", resource)])
            .await?;
        let tokens = self
            .tokens(
                post("token_endpoint"),
                &[("grant_type", "urn:openid:params:grant-type:ciba"), ("auth_req_id", &text(&asked, "auth_req_id"))],
            )
            .await?;
        Ok(text(&tokens, "access_token"))
    }

    async fn json(&self, address: &str) -> Value {
        let body = self.client.get(address).send().await.expect("an answer").bytes().await.expect("a body");
        serde_json::from_slice(&body).expect("JSON")
    }

    async fn tokens(&self, request: RequestBuilder, form: &[(&str, &str)]) -> Result<Value, String> {
        let response = posted(request, form).send().await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = response.text().await.map_err(|error| error.to_string())?;
        if status != StatusCode::OK {
            return Err(format!("{status}: {body}"));
        }
        serde_json::from_str(&body).map_err(|error| error.to_string())
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to stop.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}

struct Browser<'a> {
    client: &'a Client,
    cookies: BTreeMap<String, String>,
}

impl Browser<'_> {
    /// Follows redirects and posts each form until the provider sends the browser back to the client.
    async fn walk(&mut self, start: Url, user: &str, password: &str) -> Result<Url, String> {
        let mut here = start;
        let mut request = self.client.get(here.clone());
        for _ in 0..MOST_STEPS {
            let response = self.send(request).await?;
            if let Some(location) = response.headers().get(LOCATION) {
                let location = location.to_str().map_err(|error| error.to_string())?;
                here = here.join(location).map_err(|error| error.to_string())?;
                if here.as_str().starts_with(REDIRECT) {
                    return Ok(here);
                }
                request = self.client.get(here.clone());
                continue;
            }
            let status = response.status();
            let page = response.text().await.map_err(|error| error.to_string())?;
            let action = page.split("action=\"").nth(1).and_then(|rest| rest.split('"').next());
            let (StatusCode::OK, Some(action)) = (status, action) else {
                return Err(format!("{status}: {page}"));
            };
            let login = [("user", user), ("password", password)];
            let fields = if page.contains("name=\"password\"") { login.as_slice() } else { &[] };
            here = here.join(action).map_err(|error| error.to_string())?;
            request = posted(self.client.post(here.clone()), fields);
        }
        Err(format!("no end after {MOST_STEPS} steps, at {here}"))
    }

    async fn send(&mut self, request: RequestBuilder) -> Result<Response, String> {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = request.header(COOKIE, cookies.join("; ")).send().await.map_err(|error| error.to_string())?;
        for cookie in response.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str().map_err(|error| error.to_string())?.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(response)
    }
}

fn posted(request: RequestBuilder, form: &[(&str, &str)]) -> RequestBuilder {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
}

fn random() -> String {
    let mut bytes = [0; 32];
    OsRng.fill_bytes(&mut bytes);
    BASE64URL.encode(bytes)
}

fn text(object: &Value, member: &str) -> String {
    object[member].as_str().unwrap_or_else(|| panic!("no text `{member}` in {object}")).to_owned()
}

const REDIRECT: &str = "http://127.0.0.1:9/callback";
const MOST_STEPS: usize = 12;
