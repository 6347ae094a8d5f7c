//! `narrows token revoke`: ends authority at the issuer, as a client or as the holder.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{ArgGroup, Args};
use narrows::{ClientAuthentication, Held, HolderKey, IssuerClient, IssuerKeys, Recorded, Revoke as Ends};
use narrows_issuer::{clock::system_clock, jose::parse_holder_key};
use narrows_verifier::{BlockId, PublicKey, TaskId};
use zeroize::Zeroizing;

use super::token::{read, read_token};

/// The flags of `narrows token revoke`.
#[derive(Args)]
#[command(group = ArgGroup::new("what").required(true).args(["token", "block", "task", "subject", "agent", "holder"]))]
#[command(group = ArgGroup::new("who").required(true).args(["client", "key"]))]
pub(super) struct Revoke {
    /// A file with the token or a saved answer of /oauth/token; `-` for standard input
    token: Option<PathBuf>,
    /// With a token: end its whole chain from the mint on, and not only its newest hop
    #[arg(long, requires = "token", conflicts_with = "key")]
    chain: bool,
    /// End an authority block or a hop, and whatever was made from it
    #[arg(long, value_name = "ID")]
    block: Option<String>,
    /// End a task
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// End the tokens of a subject, by the name that they carry
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// End the tokens that name an agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// End the tokens that name a holder, by its key as `narrows key cnf` prints it or in hex
    #[arg(long, value_name = "KEY")]
    holder: Option<String>,
    /// For subject, agent and holder: the second of issue before which tokens end; without it, all up to now
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["token", "block", "task"])]
    before: Option<u64>,
    /// The issuer's address
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The client that asks
    #[arg(long, value_name = "ID", requires = "secret")]
    client: Option<String>,
    /// A file with the client's secret; `-` for standard input
    #[arg(long, value_name = "FILE", requires = "client")]
    secret: Option<PathBuf>,
    /// The holder's key file: the holder asks, of its own token
    #[arg(long, value_name = "FILE", requires = "token")]
    key: Option<PathBuf>,
}

impl Revoke {
    pub(super) fn run(self) -> anyhow::Result<()> {
        super::block_on(async {
            let issuer = IssuerClient::new(&self.issuer)?;
            let keys = issuer.discover().await?;
            match self.revoke(&issuer, &keys).await? {
                None => say!("nothing to revoke: this is no living token of {}", self.issuer),
                Some(recorded) => say!("revoked: entry {}, in force at the issuer, and at tools with their next look", recorded.entry),
            }
            Ok(())
        })
    }

    async fn revoke(&self, issuer: &IssuerClient, keys: &IssuerKeys) -> anyhow::Result<Option<Recorded>> {
        let token = self.token.as_deref().map(read_token).transpose()?;
        if let (Some(file), Some(token)) = (&self.key, &token) {
            let held = Held::new(token, HolderKey::read(file)?, &keys.roots)?;
            return Ok(Some(issuer.end(&held.give_up(&self.issuer, system_clock()() / 1000), keys).await?));
        }
        let (Some(client), Some(file)) = (&self.client, &self.secret) else { bail!("give `--client` and `--secret`, or `--key`") };
        let secret = Zeroizing::new(read(file)?);
        let client = ClientAuthentication::SecretBasic { client, secret: secret.trim() };
        let holder = self.holder.as_deref().map(read_key).transpose()?;
        let ends = match (&token, &self.block, &self.task, &self.subject, &self.agent, &holder) {
            (Some(token), ..) if self.chain => Ends::Chain(token),
            (Some(token), ..) => Ends::Token(token),
            (_, Some(block), ..) => Ends::Block(BlockId::from_hex(block).context("`--block` is not 64 hex digits")?),
            (_, _, Some(task), ..) => Ends::Task(TaskId::from_hex(task).context("`--task` is not 32 hex digits")?),
            (_, _, _, Some(subject), ..) => Ends::Subject(subject, self.before),
            (.., Some(agent), _) => Ends::Agent(agent, self.before),
            (.., Some(holder)) => Ends::Key(holder, self.before),
            _ => bail!("give a token, or one of `--block`, `--task`, `--subject`, `--agent`, `--holder`"),
        };
        Ok(issuer.revoke(ends, &client, keys).await?)
    }
}

fn read_key(text: &str) -> anyhow::Result<PublicKey> {
    let hex = BlockId::from_hex(text).map(|bytes| bytes.0);
    let key = hex.map_or_else(|| parse_holder_key(text), Ok).and_then(|key| PublicKey::from_bytes(&key));
    key.map_err(|reason| anyhow::anyhow!("`--holder`: {}: {}", reason, reason.meaning()))
}
