//! `narrows token consent`: the holder agrees that the issuer makes a narrower token of its own.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use narrows::{Held, HolderKey};
use narrows_issuer::{clock::system_clock, jose::parse_holder_key};
use narrows_verifier::{PublicKey, proof::dpop::thumbprint};

use super::token::{Keys, read_token};

/// The flags of `narrows token consent`.
#[derive(Args)]
pub(super) struct Consent {
    /// A file with the token or a saved answer of /oauth/token; `-` for standard input
    token: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// The present holder's key file
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The id of the client that sends the request
    #[arg(long, value_name = "ID")]
    client: String,
    /// The new holder's public key, as `narrows key cnf` prints it
    #[arg(long, value_name = "REQ_CNF")]
    to: String,
    /// What else the request asks for, such as `scope=crm`; repeat it in the order of the request
    #[arg(long, value_name = "NAME=VALUE")]
    ask: Vec<String>,
}

impl Consent {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let token = read_token(&self.token)?;
        let held = Held::new(&token, HolderKey::read(&self.key)?, &self.keys.roots()?)?;
        let holder = parse_holder_key(&self.to).and_then(|key| PublicKey::from_bytes(&key));
        let holder = holder.map_err(|reason| anyhow::anyhow!("`--to`: {}: {}", reason, reason.meaning()))?;
        let mut parameters = vec![("grant_type", GRANT), ("subject_token", &token), ("subject_token_type", BISCUIT)];
        for ask in &self.ask {
            parameters.push(ask.split_once('=').context("`--ask`: give `NAME=VALUE`")?);
        }
        say!("{}", held.consent(&self.client, thumbprint(&holder), &parameters, system_clock()() / 1000));
        Ok(())
    }
}

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const BISCUIT: &str = "urn:narrows:token-type:biscuit";
