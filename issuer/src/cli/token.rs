//! `narrows token`: everything a holder or a tool does, offline but for the end of a token.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use narrows::{Held, HolderKey, NarrowRequest};
use narrows_issuer::{clock::system_clock, jose::parse_holder_key};
use narrows_verifier::{
    Call, Holder, PublicKey, Roots, State, UnverifiedToken, VerifiedToken, Withheld, caveat,
    json::{Limits, Pointer, Value, parse},
    proof::{PossessionClaims, check_possession},
};

/// The verbs of `narrows token`.
#[derive(Subcommand)]
pub(super) enum Token {
    /// Verify a token and show who delegated what to whom
    Inspect(Inspect),
    /// Narrow a token for another holder and print the new token
    Attenuate(Attenuate),
    /// Agree that the issuer makes a narrower token of this one, and print the parameter that says so
    Consent(super::consent::Consent),
    /// Prove possession for one call and print the sealed token and the proof
    Prove(Prove),
    /// Decide on one call as a tool would; exit code 1 when it is refused
    Verify(Verify),
    /// End a token, or what the log shows by another handle, at the issuer
    Revoke(super::revoke::Revoke),
}

/// Where the issuer's public keys come from.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Keys {
    /// A saved /.well-known/narrows-keys document
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Fetch the keys from this issuer
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
}

/// The flags of `narrows token inspect`.
#[derive(Args)]
pub(super) struct Inspect {
    /// A file with the token or a saved answer of /oauth/token; `-` for standard input
    token: PathBuf,
    #[command(flatten)]
    keys: Keys,
}

/// The flags of `narrows token attenuate`.
#[derive(Args)]
pub(super) struct Attenuate {
    /// A file with the token or a saved answer of /oauth/token; `-` for standard input
    token: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// The present holder's key file
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The new holder's public key, as `narrows key cnf` prints it
    #[arg(long, value_name = "REQ_CNF")]
    to: String,
    /// The new holder's name
    #[arg(long, value_name = "NAME")]
    agent: String,
    /// What the new holder may not do any more: a JSON array of caveats
    #[arg(long, value_name = "JSON", default_value = "[]")]
    caveats: String,
    /// Write the body of the report, for POST /v1/derivations, to this file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// One call, as the holder asks for it and the tool decides on it.
#[derive(Args)]
pub(super) struct CallArguments {
    /// The tool's exact name
    #[arg(long, value_name = "NAME")]
    tool: String,
    /// The arguments: a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    args: String,
    /// The audience that decides
    #[arg(long, value_name = "URL")]
    audience: String,
}

/// The flags of `narrows token prove`.
#[derive(Args)]
pub(super) struct Prove {
    /// A file with the token or a saved answer of /oauth/token; `-` for standard input
    token: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// The holder's key file
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    call: CallArguments,
}

/// The flags of `narrows token verify`.
#[derive(Args)]
pub(super) struct Verify {
    /// A file with the token, a saved answer of /oauth/token, or the output of `token prove`; `-` for standard input
    token: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// The proof of possession; without it, the one in the file
    #[arg(long, value_name = "PROOF")]
    proof: Option<String>,
    #[command(flatten)]
    call: CallArguments,
    /// A place among the arguments whose values an explanation must not show
    #[arg(long, value_name = "TOOL:POINTER")]
    secret: Vec<String>,
}

impl Token {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let now = system_clock()() / 1000;
        match self {
            Self::Inspect(inspect) => {
                say!("{}", narrows::inspect(&verified(&inspect.token, &inspect.keys)?));
                Ok(())
            }
            Self::Attenuate(attenuate) => attenuate.run(now),
            Self::Consent(consent) => consent.run(),
            Self::Prove(prove) => prove.run(now),
            Self::Verify(verify) => verify.run(now),
            Self::Revoke(revoke) => revoke.run(),
        }
    }
}

impl Attenuate {
    fn run(self, now: u64) -> anyhow::Result<()> {
        let roots = self.keys.roots()?;
        let held = Held::new(&read_token(&self.token)?, HolderKey::read(&self.key)?, &roots)?;
        let caveats = parse(self.caveats.as_bytes(), Limits::CAVEATS).and_then(|list| caveat::parse_list(&list));
        let caveats = caveats.map_err(|reason| anyhow::anyhow!("`--caveats`: {}: {}", reason, reason.meaning()))?;
        let holder = parse_holder_key(&self.to).and_then(|key| PublicKey::from_bytes(&key));
        let holder = holder.map_err(|reason| anyhow::anyhow!("`--to`: {}: {}", reason, reason.meaning()))?;
        let narrowed = held.narrow(&NarrowRequest { holder, agent: self.agent, caveats }, now)?;
        if let Some(file) = &self.report {
            let report = held.report_hop(&narrowed, &held.inspect().authority.issuer, now);
            let body = serde_json::json!({ "token": report.token, "proof": report.proof });
            std::fs::write(file, body.to_string()).with_context(|| file.display().to_string())?;
        }
        say!("{}", narrowed.token.as_str());
        Ok(())
    }
}

impl Prove {
    fn run(self, now: u64) -> anyhow::Result<()> {
        let held = Held::new(&read_token(&self.token)?, HolderKey::read(&self.key)?, &self.keys.roots()?)?;
        let presentation = held.prove(&self.call.tool, &self.call.arguments()?, &self.call.audience, now);
        say!("{}", serde_json::json!({ "token": presentation.token, "proof": presentation.proof }));
        Ok(())
    }
}

impl Verify {
    fn run(self, now: u64) -> anyhow::Result<()> {
        let text = read(&self.token)?;
        let token = verify_text(&token_in(&text), &self.keys)?;
        let in_file = || serde_json::from_str::<serde_json::Value>(&text).ok()?.get("proof")?.as_str().map(str::to_owned);
        let proof = self.proof.clone().or_else(in_file);
        let arguments = self.call.arguments()?;
        let claims = PossessionClaims {
            block: token.newest(),
            tool: &self.call.tool,
            args_digest: arguments.digest(),
            audience: &self.call.audience,
        };
        let proved = match (token.holder, &proof) {
            // whoever has its text can use it, which is what the answer below then says
            (Holder::Bearer, None) => Ok(()),
            (_, None) => bail!("no proof of possession: give `--proof`"),
            (holder, Some(proof)) => holder.key().and_then(|holder| check_possession(proof, &claims, holder, now).map(drop)),
        };
        if let Err(reason) = proved {
            bail!("refused: {reason}: {}", reason.meaning());
        }
        let call = Call { tool: &self.call.tool, arguments: &arguments, audience: &self.call.audience, time: now };
        if let Err(denial) = token.decide(&call) {
            let explanations = token.explain(&call, &State::default(), &self.secrets()?);
            bail!("refused: {}: {}\n{}", denial.reason, denial.reason.meaning(), narrows::explain(&token, &explanations));
        }
        say!("allowed: `{}` at {}", self.call.tool.escape_debug(), self.call.audience.escape_debug());
        Ok(())
    }
}

impl Verify {
    fn secrets(&self) -> anyhow::Result<Withheld> {
        self.secret.iter().try_fold(Withheld::none(), |secrets, place| {
            let (tool, pointer) = place.split_once(':').context("`--secret`: give `TOOL:POINTER`")?;
            Ok(secrets.with(tool, Pointer::parse(pointer).context("`--secret`: not a JSON pointer (RFC 6901)")?))
        })
    }
}

impl CallArguments {
    fn arguments(&self) -> anyhow::Result<Value> {
        parse(self.args.as_bytes(), Limits::ARGUMENTS).map_err(|reason| anyhow::anyhow!("`--args`: {}: {}", reason, reason.meaning()))
    }
}

impl Keys {
    pub(super) fn roots(&self) -> anyhow::Result<Roots> {
        match (&self.keys, &self.issuer) {
            (Some(file), _) => Ok(narrows::IssuerKeys::parse(read(file)?.as_bytes())?.roots),
            (None, Some(url)) => super::block_on(async { Ok(narrows::IssuerClient::new(url)?.discover().await?.roots) }),
            (None, None) => bail!("give `--keys` or `--issuer`"),
        }
    }
}

fn verified(file: &Path, keys: &Keys) -> anyhow::Result<VerifiedToken> {
    verify_text(&read_token(file)?, keys)
}

fn verify_text(token: &str, keys: &Keys) -> anyhow::Result<VerifiedToken> {
    Ok(UnverifiedToken::from_text(token)?.verify(&keys.roots()?)?)
}

pub(super) fn read_token(file: &Path) -> anyhow::Result<String> {
    Ok(token_in(&read(file)?))
}

/// The token in a file: the bare text, or the member `access_token` or `token` of a JSON object.
fn token_in(text: &str) -> String {
    let answer = serde_json::from_str::<serde_json::Value>(text).ok();
    let member =
        answer.as_ref().and_then(|answer| answer.get("access_token").or_else(|| answer.get("token"))).and_then(serde_json::Value::as_str);
    member.unwrap_or(text.trim()).to_owned()
}

pub(super) fn read(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        return Ok(std::io::read_to_string(std::io::stdin())?);
    }
    std::fs::read_to_string(file).with_context(|| file.display().to_string())
}
