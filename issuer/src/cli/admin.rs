//! `narrows admin`: administers a running issuer, over its listener for that.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use narrows::{AdminClient, IssuerError};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{input, token::read};

/// The flags of `narrows admin`.
#[derive(Args)]
pub(super) struct Admin {
    /// The address of administration
    #[arg(long, global = true, value_name = "URL", default_value = "http://127.0.0.1:8091")]
    url: String,
    /// A file with the operator's secret, `-` for standard input; without it, the variable NARROWS_ADMIN_SECRET
    #[arg(long, global = true, value_name = "FILE")]
    secret: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List, show, register and disable clients, and replace their secrets
    #[command(subcommand)]
    Client(Client),
    /// List, show and end tasks
    #[command(subcommand)]
    Task(Task),
    /// End what was issued to a subject, an agent or a holder's key, or a block
    Revoke(Revoke),
    /// Hold a task or an agent for now: nothing is issued for it, and tools that follow the feed refuse its tokens
    Pause(Held),
    /// Let go of a task or an agent that is held
    Resume(Held),
    /// List the agents that clients may name, and those that are paused
    Agents,
    /// List the trusted issuers
    Issuers,
    /// List the public halves of the keys with their states, or replace the keys that sign tokens
    Keys {
        #[command(subcommand)]
        verb: Option<Keys>,
    },
    /// Show the policy pack in force, or read its file again
    Pack {
        #[command(subcommand)]
        verb: Option<Pack>,
    },
}

#[derive(Subcommand)]
enum Client {
    /// List up to 256 clients
    List {
        /// The client that the page before ended with
        #[arg(long, value_name = "ID")]
        after: Option<String>,
    },
    /// Show a client
    Show {
        /// The client
        id: String,
    },
    /// Register a client; its secret is printed once
    Add(Add),
    /// Disable a client, for good
    Disable {
        /// The client
        id: String,
    },
    /// Give a client one more secret, which is printed once; the old one works until it is taken away
    Rotate {
        /// The client
        id: String,
    },
    /// Take a secret from a client
    ForgetSecret {
        /// The client
        id: String,
        /// The secret's id, as `show` lists it
        secret_id: String,
    },
}

#[derive(Args)]
struct Add {
    /// The client's identifier
    #[arg(required_unless_present = "entry", conflicts_with = "entry")]
    id: Option<String>,
    /// How it authenticates
    #[arg(long, value_enum, default_value = "client_secret_basic")]
    method: Method,
    /// For private_key_jwt: a file with its public keys as a JWK set
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// A grant that it may use, such as `client_credentials`; may be repeated. Without it, `token_exchange`
    #[arg(long = "grant", value_name = "GRANT")]
    grants: Vec<String>,
    /// An agent name that it may give; may be repeated. Without it, any
    #[arg(long = "agent", value_name = "NAME")]
    agents: Vec<String>,
    /// A file with the whole entry in JSON, with the members of `[[client]]` in the configuration; `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "jwks", "grants", "agents"])]
    entry: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Method {
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

#[derive(Subcommand)]
enum Pack {
    /// Show it, as without a verb
    Show,
    /// Read its file again; a pack that can't be used leaves the old one in force
    Reload,
}

#[derive(Subcommand)]
enum Keys {
    /// List the keys, as without a verb
    List,
    /// Make a key at the service and publish it; it signs nothing yet
    Prepare,
    /// Sign with a published key from now on; the key that signed is retired
    Activate {
        /// The key's number
        kid: u32,
    },
    /// Publish a key no longer that signs nothing and of which no token is alive
    Retire {
        /// The key's number
        kid: u32,
    },
    /// Accept nothing that a key signed, from now on
    Taint {
        /// The key's number
        kid: u32,
        /// Let verifiers spare tokens whose leaf lies below this index of the log, which witnessed receipts must show
        #[arg(long, value_name = "INDEX")]
        spare_below: Option<u64>,
    },
}

#[derive(Subcommand)]
enum Task {
    /// List up to 256 tasks, the newest first
    List {
        /// The task that the page before ended with
        #[arg(long, value_name = "ID")]
        before: Option<String>,
    },
    /// Show a task
    Show {
        /// The task
        id: String,
    },
    /// End a task
    Revoke {
        /// The task
        id: String,
    },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Held {
    /// A task
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// An agent, by the name that tokens carry
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
}

#[derive(Args)]
struct Revoke {
    #[command(flatten)]
    what: What,
    /// For subject, agent and holder: the second of issue before which tokens end; without it, all up to now
    #[arg(long, value_name = "SECONDS", conflicts_with = "block")]
    before: Option<u64>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct What {
    /// An authority block or a hop
    #[arg(long, value_name = "ID")]
    block: Option<String>,
    /// A subject, by the name that tokens carry
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// An agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// A holder's key in hex
    #[arg(long, value_name = "KEY")]
    holder: Option<String>,
}

impl Admin {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let client = AdminClient::new(&self.url, secret(self.secret.as_deref())?)?;
        super::block_on(async {
            let answer = match self.verb {
                Verb::Client(verb) => verb.ask(&client).await?,
                Verb::Task(verb) => verb.ask(&client).await?,
                Verb::Revoke(revoke) => client.make(&["revoke"], Some(revoke.body().to_string())).await?,
                Verb::Pause(held) => client.make(&["pause"], Some(held.body().to_string())).await?,
                Verb::Resume(held) => client.make(&["resume"], Some(held.body().to_string())).await?,
                Verb::Agents => client.look(&["agents"], &[]).await?,
                Verb::Issuers => client.look(&["issuers"], &[]).await?,
                Verb::Keys { verb } => verb.unwrap_or(Keys::List).ask(&client).await?,
                Verb::Pack { verb: None | Some(Pack::Show) } => client.look(&["packs"], &[]).await?,
                Verb::Pack { verb: Some(Pack::Reload) } => client.make(&["packs", "reload"], None).await?,
            };
            // read and written anew, so that nothing of it steers a terminal
            let answer: Value = serde_json::from_str(&answer).context("the answer is not JSON (PEER_ANSWER)")?;
            say!("{answer:#}");
            Ok(())
        })
    }
}

impl Client {
    async fn ask(self, client: &AdminClient) -> anyhow::Result<String> {
        Ok(match &self {
            Self::List { after } => client.look(&["clients"], &pair("after", after.as_deref())).await?,
            Self::Show { id } => client.look(&["clients", id], &[]).await?,
            Self::Add(add) => client.make(&["clients"], Some(add.body()?)).await?,
            Self::Disable { id } => client.take(&["clients", id]).await?,
            Self::Rotate { id } => client.make(&["clients", id, "secrets"], None).await?,
            Self::ForgetSecret { id, secret_id } => client.take(&["clients", id, "secrets", secret_id]).await?,
        })
    }
}

impl Keys {
    async fn ask(self, client: &AdminClient) -> Result<String, IssuerError> {
        match self {
            Self::List => client.look(&["keys"], &[]).await,
            Self::Prepare => client.make(&["keys"], None).await,
            Self::Activate { kid } => client.make(&["keys", &kid.to_string(), "activate"], None).await,
            Self::Retire { kid } => client.make(&["keys", &kid.to_string(), "retire"], None).await,
            Self::Taint { kid, spare_below } => {
                let body = spare_below.map(|index| json!({ "spare_below": index }).to_string());
                client.make(&["keys", &kid.to_string(), "taint"], body).await
            }
        }
    }
}

impl Task {
    async fn ask(self, client: &AdminClient) -> Result<String, IssuerError> {
        match &self {
            Self::List { before } => client.look(&["tasks"], &pair("before", before.as_deref())).await,
            Self::Show { id } => client.look(&["tasks", id], &[]).await,
            Self::Revoke { id } => client.make(&["tasks", id, "revoke"], None).await,
        }
    }
}

impl Add {
    fn body(&self) -> anyhow::Result<String> {
        if let Some(file) = &self.entry {
            return read(file);
        }
        let mut entry = json!({ "id": self.id, "auth_method": match self.method {
            Method::ClientSecretBasic => "client_secret_basic",
            Method::ClientSecretPost => "client_secret_post",
            Method::PrivateKeyJwt => "private_key_jwt",
        } });
        let members = entry.as_object_mut().context("no entry")?;
        if let Some(file) = &self.jwks {
            members.insert("jwks".to_owned(), input::text(file, MAX_JWKS_BYTES)?.into());
        }
        if !self.grants.is_empty() {
            members.insert("grants".to_owned(), self.grants.clone().into());
        }
        if !self.agents.is_empty() {
            members.insert("agents".to_owned(), self.agents.clone().into());
        }
        Ok(entry.to_string())
    }
}

impl Held {
    fn body(&self) -> Value {
        object([("task", &self.task), ("agent", &self.agent)])
    }
}

impl Revoke {
    fn body(&self) -> Value {
        let What { block, subject, agent, holder } = &self.what;
        let mut body = object([("block", block), ("subject", subject), ("agent", agent), ("key", holder)]);
        if let (Some(before), Some(members)) = (self.before, body.as_object_mut()) {
            members.insert("before".to_owned(), before.into());
        }
        body
    }
}

/// An object of the members that are given.
fn object<const N: usize>(members: [(&str, &Option<String>); N]) -> Value {
    Value::Object(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into()))).collect())
}

fn pair<'a>(name: &'a str, value: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    value.map(|value| (name, value)).into_iter().collect()
}

/// Never from an argument, which every process on the machine can read.
fn secret(file: Option<&Path>) -> anyhow::Result<Zeroizing<String>> {
    let text = match file {
        Some(file) => Zeroizing::new(read(file)?),
        None => Zeroizing::new(std::env::var(SECRET).ok().with_context(|| input::missing("give `--secret`, or set NARROWS_ADMIN_SECRET"))?),
    };
    let secret = text.trim();
    if secret.is_empty() {
        bail!(input::missing("the operator's secret is empty"));
    }
    Ok(Zeroizing::new(secret.to_owned()))
}

const SECRET: &str = "NARROWS_ADMIN_SECRET";
const MAX_JWKS_BYTES: usize = 32_768;
