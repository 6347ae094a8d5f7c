//! `narrows issuer`: the trusted issuers of a configuration, and why a token of one is refused.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use narrows_issuer::{
    clock::system_clock,
    config::Config,
    federation::{Explanation, Federation, FederationError, IssuerKind, TokenType, TrustedIssuer},
    jose::UnverifiedJwt,
};
use serde_json::Value;
use zeroize::Zeroizing;

/// The verbs of `narrows issuer`.
#[derive(Subcommand)]
pub(super) enum Issuer {
    /// List the trusted issuers
    List(List),
    /// Say whether a token would be believed, and if not, why; exit code 1 when it would be refused
    Test(Test),
}

/// The flags of `narrows issuer list`.
#[derive(Args)]
pub(super) struct List {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "narrows.toml")]
    config: PathBuf,
}

/// The flags of `narrows issuer test`.
#[derive(Args)]
pub(super) struct Test {
    /// A file with the token; `-` for standard input
    token: PathBuf,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "narrows.toml")]
    config: PathBuf,
    /// What a client would declare it to be; without it, everything that its issuer is trusted for is tried
    #[arg(long = "type", value_name = "TYPE")]
    declared: Option<Declared>,
    /// Take it for an ID-JAG that this client redeems
    #[arg(long, value_name = "CLIENT_ID", conflicts_with = "declared")]
    id_jag_for: Option<String>,
}

/// The token types of RFC 8693 that a client can declare.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Declared {
    IdToken,
    AccessToken,
    Jwt,
}

impl Issuer {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(list) => list.run(),
            Self::Test(test) => super::block_on(test.run()),
        }
    }
}

impl List {
    fn run(self) -> anyhow::Result<()> {
        for issuer in &Config::load(&self.config)?.trusted_issuer {
            say!("{}", issuer.issuer.escape_debug());
            say!("  kind        {}", issuer.kind.name());
            say!("  tokens      {}", tokens(issuer));
            say!("  audiences   {}", if issuer.kind == IssuerKind::IdJag { "ourselves".to_owned() } else { shown(&issuer.audiences) });
            say!("  keys        {}", keys(issuer));
        }
        Ok(())
    }
}

impl Test {
    async fn run(self) -> anyhow::Result<()> {
        let config = Config::load(&self.config)?;
        let now_s = system_clock()() / 1000;
        let token = read_token(&self.token)?;
        let federation = Federation::new(config.trusted_issuer, &config.issuer, now_s)?;
        let claimed = print_claims(&token, now_s);
        let mut accepted = false;
        for explanation in self.ask(&federation, &token, claimed.as_deref(), now_s).await {
            say!("");
            accepted |= print(&explanation);
        }
        if accepted { Ok(()) } else { bail!("the token would be refused") }
    }

    async fn ask<'a>(&self, federation: &'a Federation, token: &str, claimed: Option<&str>, now_s: u64) -> Vec<Explanation<'a>> {
        if let Some(client) = &self.id_jag_for {
            return vec![federation.explain_id_jag(token, client, now_s).await];
        }
        let mut types: Vec<TokenType> = match self.declared {
            Some(Declared::IdToken) => vec![TokenType::IdToken],
            Some(Declared::AccessToken) => vec![TokenType::AccessToken],
            Some(Declared::Jwt) => vec![TokenType::Jwt],
            None => trusted_types(federation, claimed),
        };
        types.dedup();
        let mut explanations = Vec::new();
        for declared in types {
            explanations.push(federation.explain(token, declared, now_s).await);
        }
        explanations
    }
}

/// What the issuer that a token names is trusted for; JWT-SVIDs are declared as `jwt`.
fn trusted_types(federation: &Federation, claimed: Option<&str>) -> Vec<TokenType> {
    let named = federation.trusted().find(|issuer| Some(issuer.issuer.as_str()) == claimed && issuer.kind != IssuerKind::IdJag);
    match named.map(TrustedIssuer::token_types) {
        Some(types) if types != [TokenType::JwtSvid] => types.to_vec(),
        _ => vec![TokenType::Jwt],
    }
}

/// Prints what a refusal is about, unverified and without what tells the person, and returns the `iss`.
fn print_claims(token: &str, now_s: u64) -> Option<String> {
    let unverified = UnverifiedJwt::parse(token).ok()?;
    say!("the token says, unverified:");
    say!("  alg  {}", unverified.unverified_algorithm().escape_debug());
    say!("  kid  {}", optional(unverified.unverified_key_id()));
    say!("  typ  {}", optional(unverified.unverified_media_type()));
    for name in ["iss", "aud", "client_id"] {
        if let Some(value) = unverified.unverified_claim(name) {
            say!("  {name}  {}", bounded(value));
        }
    }
    for name in ["iat", "nbf", "exp"] {
        if let Some(time) = unverified.unverified_claim(name) {
            say!("  {name}  {}", relative(time, now_s));
        }
    }
    unverified.unverified_issuer().map(str::to_owned)
}

/// Prints the way and the answer, and whether the token is believed.
fn print(explanation: &Explanation<'_>) -> bool {
    match explanation.issuer {
        Some(issuer) => say!("issuer   {} ({}), keys from {}", issuer.issuer.escape_debug(), issuer.kind.name(), keys(issuer)),
        None => say!("issuer   none that the configuration trusts vouches for it"),
    }
    if let Some(issuer) = explanation.issuer {
        say!("         trusted for {}", tokens(issuer));
    }
    if let Some(profile) = explanation.profile {
        say!("profile  {profile}");
    }
    if let Some(count) = explanation.keys {
        say!("keys     {count} at hand");
    }
    match &explanation.outcome {
        Ok(subject) => {
            let names = |claims: &serde_json::Map<String, Value>| shown(&claims.keys().cloned().collect::<Vec<_>>());
            say!("accepted; a policy sees the claims {}", names(&subject.claims));
            if !subject.bounds.is_empty() {
                say!("         it limits its own use: {}", names(&subject.bounds));
            }
        }
        Err(FederationError::Refused(reason)) => {
            say!("refused  {reason}{}: {}", at(explanation.member), reason.meaning());
        }
        Err(FederationError::Unavailable(reason)) => say!("can't be judged now: {reason}: {}", reason.meaning()),
    }
    explanation.outcome.is_ok()
}

fn at(member: Option<&str>) -> String {
    member.map(|member| format!(" at `{member}`")).unwrap_or_default()
}

/// A claim that names addresses, without what would move the cursor or fill the screen.
fn bounded(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let shown: String = text.chars().take(MAX_SHOWN).collect();
    let more = if shown.len() < text.len() { " …" } else { "" };
    format!("{}{more}", shown.escape_debug().to_string().replace("\\\"", "\""))
}

fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "none".to_owned(), |text| text.escape_debug().to_string())
}

fn relative(time: &Value, now_s: u64) -> String {
    match time.as_f64() {
        Some(at) if (at - now_s as f64).abs() < 1e12 => {
            let seconds = at - now_s as f64;
            if seconds < 0.0 { format!("{:.0} s ago", -seconds) } else { format!("in {seconds:.0} s") }
        }
        _ => "not a time".to_owned(),
    }
}

fn tokens(issuer: &TrustedIssuer) -> String {
    if issuer.kind == IssuerKind::IdJag {
        return format!("id-jag, redeemed by {}", shown(&issuer.clients));
    }
    issuer.token_types().iter().map(|token_type| token_type.name()).collect::<Vec<_>>().join(", ")
}

fn keys(issuer: &TrustedIssuer) -> String {
    match (&issuer.jwks_file, &issuer.jwks_url) {
        (Some(file), _) => file.display().to_string(),
        (None, Some(url)) => url.escape_debug().to_string(),
        (None, None) => "its metadata".to_owned(),
    }
}

fn shown(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.iter().map(|name| format!("`{}`", name.escape_debug())).collect::<Vec<_>>().join(", ")
    }
}

fn read_token(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let read = if file == Path::new("-") {
        std::io::stdin().take(MAX_INPUT_BYTES).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MAX_INPUT_BYTES).read_to_string(&mut text))
    };
    read.with_context(|| file.display().to_string())?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

const MAX_SHOWN: usize = 300;

/// More than any token that is accepted, so that one that is too long is told so.
const MAX_INPUT_BYTES: u64 = 64 * 1024;
