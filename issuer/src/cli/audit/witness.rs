//! `narrows audit witness`: a witness for other logs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use narrows_issuer::{
    clock::system_clock,
    config::Telemetry,
    http::{
        metrics::Metrics,
        serve::{Drained, serve, stop_signal},
        witness,
    },
    keys::{KeyRole, SecretKey},
    telemetry,
    witness::Cosigner,
};
use narrows_verifier::log::{VerifierKey, WitnessKey};
use rand_core::OsRng;
use tokio::net::TcpListener;

/// The flags of `narrows audit witness`.
#[derive(Args)]
pub(in crate::cli) struct Witness {
    /// The witness's name in its cosignatures, such as `witness.example/w1`
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The file of the witness's secret key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The file of what it has cosigned. Never restore an old copy: make a new key instead
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
    /// Make key and state, print the public key, and end
    #[arg(long, conflicts_with_all = ["log", "listen"])]
    init: bool,
    /// The public key of a log to witness; may be given again
    #[arg(long, value_name = "VKEY", required_unless_present = "init")]
    log: Vec<String>,
    /// The address to listen on, with plain HTTP: a proxy on the same machine terminates TLS
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8421")]
    listen: SocketAddr,
    /// Allow an address that is not loopback. Whoever is on the path to it can then keep cosignatures from arriving
    #[arg(long)]
    danger_listen_plaintext: bool,
}

impl Witness {
    pub(in crate::cli) fn run(self) -> anyhow::Result<()> {
        if self.init {
            return self.init();
        }
        if !self.listen.ip().is_loopback() && !self.danger_listen_plaintext {
            bail!(
                "`--listen` is not a loopback address: put a tls proxy on this machine, or give `--danger-listen-plaintext` (CONFIG_INVALID)"
            );
        }
        let logs = self.logs()?;
        let key = SecretKey::read(&self.key, KeyRole::Witness)?;
        let cosigner = Cosigner::open(&self.state, &self.name, &key, logs, system_clock());
        let cosigner = Arc::new(cosigner.map_err(|error| anyhow::anyhow!("{error} ({})", error.reason()))?);
        drop(key);
        crate::cli::block_on(async {
            telemetry::start(&Telemetry::default())?;
            let stop = stop_signal()?;
            let listener = TcpListener::bind(self.listen).await.with_context(|| format!("can't listen on {}", self.listen))?;
            say!("witness {} on http://{}", cosigner.key(), listener.local_addr()?);
            let (limits, metrics) = (witness::limits(), Arc::new(Metrics::new(witness::ROUTES)));
            let routes = witness::router(Arc::clone(&cosigner), &limits, Arc::clone(&metrics));
            match serve(listener, routes, &limits, metrics, stop).await {
                Drained::Whole => Ok(()),
                Drained::CutOff(requests) => bail!("{requests} requests were cut off"),
            }
        })
    }

    fn init(&self) -> anyhow::Result<()> {
        // The key first: it is what may exist only once. Without its state it is of no use and cosigns nothing.
        let key = SecretKey::generate(KeyRole::Witness, &mut OsRng);
        // A name that no note can carry must not leave a key behind.
        WitnessKey::new(&self.name, key.public_key().as_bytes())?;
        key.write_new(&self.key)?;
        let made = Cosigner::create(&self.state, &self.name, &key);
        say!("{}", made.map_err(|error| anyhow::anyhow!("{error} ({})", error.reason()))?);
        Ok(())
    }

    fn logs(&self) -> anyhow::Result<Vec<VerifierKey>> {
        if self.log.len() > MAX_LOGS {
            bail!("`--log` is given more than {MAX_LOGS} times");
        }
        self.log.iter().map(|text| VerifierKey::parse(text).map_err(|refusal| anyhow::anyhow!("`--log`: {refusal}"))).collect()
    }
}

/// Logs of one witness.
const MAX_LOGS: usize = 64;
