//! `narrows init`: everything that a first start needs, made once.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use narrows_issuer::{
    clock::system_clock,
    config::Config,
    init::{InitOptions, init},
    service,
};
use rand_core::OsRng;

/// The flags of `narrows init`.
#[derive(Args)]
pub(super) struct Init {
    /// The data directory to make
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The issuer identifier, an origin such as https://narrows.example
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8420")]
    listen: SocketAddr,
    /// The log's name in checkpoints; by default the issuer's host and `/log`
    #[arg(long, value_name = "NAME")]
    log_origin: Option<String>,
    /// Register a first client and print its secret once
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Encrypt the key files with the passphrase in this file, which the service needs at each start
    #[arg(long, value_name = "FILE")]
    encrypt: Option<PathBuf>,
}

impl Init {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let origin = self
            .log_origin
            .unwrap_or_else(|| format!("{}/log", self.issuer.split_once("://").map_or(self.issuer.as_str(), |(_, host)| host)));
        let options = InitOptions {
            data_dir: self.data,
            issuer: self.issuer,
            listen: self.listen,
            log_origin: origin,
            client_id: self.client,
            passphrase_file: self.encrypt.map(std::path::absolute).transpose()?,
        };
        let made = init(&options, &mut OsRng)?;
        let config = Config::load(&made.config_file)?;
        let log_key = service::init_log(&config, false, system_clock()())?;
        say!("configuration  {}", made.config_file.display());
        say!("policy pack    {}", config.policy.pack.as_deref().unwrap_or(&options.data_dir).display());
        say!("issuer key id  {}", made.issuer_key_id);
        say!("issuer key     {}", made.issuer_public_key);
        say!("log key        {log_key}");
        if let (Some(id), Some(secret)) = (&options.client_id, &made.client_secret) {
            say!("client         {id}");
            say!("client secret  {}   (shown once, stored nowhere)", secret.as_str());
        }
        say!("\nNext: add a [[trusted_issuer]] to the configuration, then\n  narrows serve --config {}", made.config_file.display());
        Ok(())
    }
}
