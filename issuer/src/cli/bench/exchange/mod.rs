//! `narrows bench load`: a service of its own, as a process of its own, and callers that exchange logins in a closed loop.

mod caller;
mod requests;
mod served;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use narrows::{IssuerKeys, UnverifiedToken};
use narrows_issuer::config::Tls;

use super::machine::{check_callers, fsync, machine, ms};
use crate::cli::serve::Scratch;
use caller::{Answer, Caller};
use requests::{Client, Provider, Signatures};
use served::Served;

/// The flags of `narrows bench load`.
#[derive(Args)]
pub(in crate::cli) struct Load {
    /// What the callers ask for
    #[arg(long, value_enum, default_value_t = Flow::Exchange)]
    flow: Flow,
    /// Callers at once, each with a connection of its own
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    callers: Vec<usize>,
    /// Requests per measurement; a single caller makes a fifth of them
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    requests: usize,
    /// The directory whose disk is used; without it, the temporary one
    #[arg(long, value_name = "DIR")]
    on: Option<PathBuf>,
    /// By which keys logins, client assertions and DPoP proofs are signed
    #[arg(long, value_enum, default_value_t = Signatures::Ed25519)]
    signatures: Signatures,
    /// Serve over TLS with this certificate for `localhost`, in PEM, which the callers trust: its own issuer, or followed by it
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// What a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Flow {
    /// A login for a capability (RFC 8693), with `private_key_jwt` and a DPoP proof that carries the server's nonce
    Exchange,
}

impl Load {
    pub(in crate::cli) fn run(self) -> anyhow::Result<()> {
        let Flow::Exchange = self.flow;
        check_callers(&self.callers)?;
        let scratch = Scratch::new()?;
        let place = match &self.on {
            Some(directory) => directory.join(format!("narrows-bench-{}", std::process::id())),
            None => scratch.0.join("bench"),
        };
        let done = crate::cli::block_on(self.measure(&place));
        if place.exists() {
            std::fs::remove_dir_all(&place)?;
        }
        done
    }

    async fn measure(&self, place: &std::path::Path) -> anyhow::Result<()> {
        let (provider, client) = (Provider::new(self.signatures), Client::new(self.signatures));
        let tls = self.tls_cert.clone().zip(self.tls_key.clone()).map(|(certificate, key)| Tls { certificate, key });
        let served = Served::start(place, &provider, &client, tls.as_ref()).await?;
        say!("{}\nnarrows {}, log in {}", machine(), env!("CARGO_PKG_VERSION"), place.display());
        say!(
            "{}; each exchange: login, private_key_jwt and DPoP with nonce verified, all {:?}; token signed; leaf durable; \
             receipt\nthe callers' signatures are made before the clock starts; callers and service share the cores\n",
            if tls.is_some() { "TLS, one handshake a caller before the clock starts, whose CPU counts" } else { "no TLS" },
            self.signatures,
        );
        say!("| callers | exchanges/s | p50 ms | p99 ms | fsync p50 ms | service CPU µs each | callers' CPU µs each | RSS MB |");
        say!("|---|---|---|---|---|---|---|---|");
        // Caches, connections and the log's first pages are no part of what is measured.
        self.round(&served, &provider, &client, 16, 500).await?;
        for callers in &self.callers {
            let count = if *callers == 1 { self.requests / 5 } else { self.requests };
            let before = (served.log_size().await?, served.cpu()?, served::cpu_of("self")?, fsync(place)?);
            let round = self.round(&served, &provider, &client, *callers, count).await?;
            let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / count as f64;
            let (service, own) = (served.cpu()?.saturating_sub(before.1), round.own_cpu);
            ensure!(served.log_size().await? == before.0 + count as u64, "the log grew by another number of leaves");
            let at = |part: usize| ms(round.each.get(round.each.len().saturating_sub(1) * part / 100).copied().unwrap_or_default());
            say!(
                "| {callers} | {:.0} | {:.2} | {:.2} | {:.2} | {:.0} | {:.0} | {:.0} |",
                count as f64 / round.took.as_secs_f64(),
                at(50),
                at(99),
                ms(before.3),
                each(service),
                each(own),
                served.peak_bytes()? as f64 / 1e6,
            );
        }
        Ok(())
    }

    async fn round(&self, served: &Served, provider: &Provider, client: &Client, callers: usize, count: usize) -> anyhow::Result<Round> {
        let nonce = served.nonce(provider, client).await?;
        let now_s = served::now_s();
        let mut shares: Vec<Vec<Vec<u8>>> = vec![Vec::new(); callers];
        for number in 0..count {
            let share = shares.get_mut(number % callers).context("no caller")?;
            share.push(client.request(provider, &served.issuer, number % PEOPLE, &nonce, now_s)?);
        }
        let mut connected = Vec::with_capacity(callers);
        for share in shares {
            connected.push((Caller::connect(&served.way).await?, share));
        }
        let (own, started) = (served::cpu_of("self")?, Instant::now());
        let mut running = tokio::task::JoinSet::new();
        for (mut caller, share) in connected {
            running.spawn(async move {
                let mut each = Vec::with_capacity(share.len());
                let mut last = None;
                for request in &share {
                    let started = Instant::now();
                    let answer = caller.ask(request).await?;
                    each.push(started.elapsed());
                    ensure!(answer.status == 200, "an exchange was refused: {} {}", answer.status, answer.reason());
                    last = Some(answer);
                }
                anyhow::Ok((each, last))
            });
        }
        let (mut each, mut lasts) = (Vec::with_capacity(count), Vec::new());
        while let Some(done) = running.join_next().await {
            let (some, last) = done.context("a caller ended early")??;
            each.extend(some);
            lasts.extend(last);
        }
        let round = Round { took: started.elapsed(), own_cpu: served::cpu_of("self")?.saturating_sub(own), each: sorted(each) };
        verify(served, &lasts).await?;
        Ok(round)
    }
}

/// What one measurement gave.
struct Round {
    took: Duration,
    own_cpu: Duration,
    each: Vec<Duration>,
}

/// Each caller's last answer is a capability of this issuer, with a leaf.
async fn verify(served: &Served, answers: &[Answer]) -> anyhow::Result<()> {
    let keys = served.get("/.well-known/narrows-keys").await?;
    let keys = IssuerKeys::parse(&keys.body)?;
    for answer in answers {
        let body: serde_json::Value = serde_json::from_slice(&answer.body)?;
        let text = body.get("access_token").and_then(|token| token.as_str()).context("an answer without token")?;
        UnverifiedToken::from_text(text)?.verify(&keys.roots)?;
        ensure!(body.pointer("/narrows/receipt").is_some_and(serde_json::Value::is_string), "an answer without receipt");
    }
    Ok(())
}

fn sorted(mut each: Vec<Duration>) -> Vec<Duration> {
    each.sort_unstable();
    each
}

/// Logins that take turns: many people, each with many tasks.
const PEOPLE: usize = 1000;
