//! A person's login at the development identity provider, by the same forms that a browser would send.

use anyhow::{Context, bail, ensure};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use narrows_issuer::egress::LoopbackBrowser;
use rand_core::{OsRng, RngCore};
use sha2::{Digest, Sha256};

/// Logs in with authorization code and PKCE (RFC 7636) and gives the ID token.
pub(super) async fn log_in(provider: &str, client: &str, user: &str, password: &str) -> anyhow::Result<String> {
    let browser = LoopbackBrowser::new()?;
    let mut random = [0; 32];
    OsRng.fill_bytes(&mut random);
    let verifier = URL_SAFE_NO_PAD.encode(random);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", RETURN_TO),
            ("scope", "openid"),
            ("state", "demo"),
            ("nonce", "demo"),
            ("code_challenge_method", "S256"),
            ("code_challenge", &challenge),
        ])
        .finish();
    let page = browser.open(&format!("{provider}/authorize?{query}")).await?;
    ensure!(page.status == 200, "the login page answered {}", page.status);
    let ticket = between(&page.body, "name=\"ticket\" value=\"", "\"").context("the login page has no form")?;
    let answer =
        browser.submit(&format!("{provider}/authorize"), &[("ticket", ticket), ("username", user), ("password", password)]).await?;
    let location = answer.location.with_context(|| format!("the login was refused with {}", answer.status))?;
    let code = url::Url::parse(&location)?.query_pairs().find(|(name, _)| name == "code").map(|(_, code)| code.into_owned());
    let code = code.context("the login brought no code")?;
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", &code),
        ("code_verifier", &verifier),
        ("redirect_uri", RETURN_TO),
    ];
    let answer = browser.submit(&format!("{provider}/token"), &fields).await?;
    if answer.status != 200 {
        bail!("the code was refused with {}", answer.status);
    }
    let answer: serde_json::Value = serde_json::from_str(&answer.body)?;
    answer.get("id_token").and_then(serde_json::Value::as_str).map(str::to_owned).context("no ID token came")
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split_once(end).map(|(found, _)| found)
}

const RETURN_TO: &str = "http://127.0.0.1/callback";
