//! `narrows key`: an agent's key, and what it shows of it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use narrows::HolderKey;
use narrows_issuer::clock::system_clock;

/// The verbs of `narrows key`.
#[derive(Subcommand)]
pub(super) enum Key {
    /// Make an agent's key in a new file of mode 0600
    New(New),
    /// Print the key's public half as the `req_cnf` parameter of a token request
    Cnf(Cnf),
    /// Print the `holder_proof` parameter of a token request
    Prove(Prove),
}

/// The flags of `narrows key new`.
#[derive(Args)]
pub(super) struct New {
    /// The file to make
    #[arg(long, value_name = "FILE", default_value = "agent.key")]
    out: PathBuf,
}

/// The flags of `narrows key cnf`.
#[derive(Args)]
pub(super) struct Cnf {
    /// The key file
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// The flags of `narrows key prove`.
#[derive(Args)]
pub(super) struct Prove {
    /// The key file
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The issuer identifier
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The id of the client that sends the request
    #[arg(long, value_name = "ID")]
    client: String,
    /// The subject token of the request; `-` reads it from standard input
    #[arg(long, value_name = "TOKEN")]
    subject_token: String,
}

impl Key {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::New(new) => {
                let key = HolderKey::generate();
                key.write_new(&new.out)?;
                say!("key file  {}", new.out.display());
                say!("req_cnf   {}", key.req_cnf());
            }
            Self::Cnf(cnf) => say!("{}", HolderKey::read(&cnf.key)?.req_cnf()),
            Self::Prove(prove) => {
                let subject_token = if prove.subject_token == "-" {
                    std::io::read_to_string(std::io::stdin())?.trim().to_owned()
                } else {
                    prove.subject_token
                };
                let key = HolderKey::read(&prove.key)?;
                say!("{}", key.holder_proof(&prove.issuer, &prove.client, &subject_token, system_clock()() / 1000));
            }
        }
        Ok(())
    }
}
