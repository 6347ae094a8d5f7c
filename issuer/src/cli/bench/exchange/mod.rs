//! `narrows bench load`: a service of its own, as a process of its own, and callers that ask for tokens in a closed loop, and another
//! server beside it.

mod caller;
mod peer;
mod process;
mod requests;
mod served;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use narrows::{IssuerKeys, UnverifiedToken};
use narrows_issuer::config::Tls;

use super::machine::{check_callers, fsync, machine, ms};
use crate::cli::serve::Scratch;
use caller::{Answer, Caller, Way};
use peer::Peer;
use requests::{Asked, Client, Endpoint, Provider, Signatures};
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
    /// Measure another authorization server beside it: a command that starts one, such as `node tests/peers/oidc-provider/server.mjs`,
    /// reads a line of JSON that says which client asks for what, and answers with one that says where
    #[arg(long, value_name = "COMMAND")]
    peer: Option<String>,
    /// How often each login is exchanged, by an agent that has several tasks
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    each_login: u32,
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
    /// A token for the client itself, without a login (RFC 6749 section 4.4), else the same
    ClientCredentials,
}

/// Somebody who issues tokens.
struct Server<'a> {
    way: &'a Way,
    endpoint: &'a Endpoint,
    process: u32,
}

impl Load {
    pub(in crate::cli) fn run(self) -> anyhow::Result<()> {
        ensure!(self.peer.is_none() || self.flow == Flow::ClientCredentials, "a `--peer` is asked by `--flow client-credentials` alone");
        ensure!(self.peer.is_none() || self.tls_cert.is_none(), "a `--peer` is asked without TLS");
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

    async fn measure(&self, place: &Path) -> anyhow::Result<()> {
        let (provider, client) = (Provider::new(self.signatures), Client::new(self.signatures));
        let tls = self.tls_cert.clone().zip(self.tls_key.clone()).map(|(certificate, key)| Tls { certificate, key });
        let served = Served::start(place, &provider, &client, tls.as_ref()).await?;
        let peer = self.peer.as_deref().map(|command| Peer::start(command, &client)).transpose()?;
        self.introduce(place);
        let ours = Server { way: &served.way, endpoint: &served.endpoint, process: served.id() };
        let other = peer.as_ref().map(|it| (it, Server { way: &it.way, endpoint: &it.endpoint, process: it.id() }));
        // Caches, connections and the log's first pages are no part of what is measured.
        for server in [Some(&ours), other.as_ref().map(|(_, server)| server)].into_iter().flatten() {
            self.round(server, &provider, &client, 16, 500).await?;
        }
        for callers in &self.callers {
            let count = if *callers == 1 { self.requests / 5 } else { self.requests };
            let (before, fsync) = (served.log_size().await?, ms(fsync(place)?));
            let round = self.round(&ours, &provider, &client, *callers, count).await?;
            ensure!(served.log_size().await? == before + count as u64, "the log grew by another number of leaves");
            verify(&served, &round.lasts).await?;
            say!("| {callers} | {} |", round.row(&format!("{fsync:.2}")));
            if let Some((peer, server)) = &other {
                let beside = self.round(server, &provider, &client, *callers, count).await?;
                peer::verify(&beside.lasts)?;
                say!("| {callers}, {} | {} |", peer.name, beside.row("none"));
                say!("| ratio | {:.1} | | | | | | |", round.per_second() / beside.per_second());
            }
        }
        Ok(())
    }

    /// What the table is about, and its head.
    fn introduce(&self, place: &Path) {
        say!("{}\nnarrows {}, log in {}", machine(), env!("CARGO_PKG_VERSION"), place.display());
        let login = match self.flow {
            Flow::ClientCredentials => String::new(),
            Flow::Exchange if self.each_login == 1 => "login, exchanged once, ".to_owned(),
            Flow::Exchange => format!("login, exchanged {} times, ", self.each_login),
        };
        say!(
            "{}; each token: {login}private_key_jwt and DPoP with nonce verified, all {:?}; token signed; leaf durable; receipt\n\
             the callers' signatures are made before the clock starts; callers and service share the cores\n",
            if self.tls_cert.is_some() { "TLS, one handshake a caller before the clock starts, whose CPU counts" } else { "no TLS" },
            self.signatures,
        );
        say!("| callers | tokens/s | p50 ms | p99 ms | fsync p50 ms | service CPU µs each | callers' CPU µs each | RSS MB |");
        say!("|---|---|---|---|---|---|---|---|");
    }

    async fn round(
        &self,
        server: &Server<'_>,
        provider: &Provider,
        client: &Client,
        callers: usize,
        count: usize,
    ) -> anyhow::Result<Round> {
        let now_s = served::now_s();
        let mut logins: Vec<(String, u32)> = vec![(String::new(), self.each_login); PEOPLE];
        let mut request = |number: usize, nonce: &str| {
            let person = number % PEOPLE;
            let (login, used) = logins.get_mut(person).context("no person")?;
            if self.flow == Flow::Exchange && *used == self.each_login {
                (*login, *used) = (provider.login(person, now_s)?, 0);
            }
            *used += 1;
            let asked = if self.flow == Flow::Exchange { Asked::Exchange(login) } else { Asked::OfItsOwn };
            client.request(server.endpoint, &asked, person, nonce, now_s)
        };
        // That of a refusal, as every client learns it.
        let refused = Caller::connect(server.way).await?.ask(&request(0, "none")?).await?;
        let nonce = refused.header("dpop-nonce").with_context(|| format!("no nonce: {} {}", refused.status, refused.reason()))?;
        let mut shares: Vec<Vec<Vec<u8>>> = vec![Vec::new(); callers];
        for number in 0..count {
            shares.get_mut(number % callers).context("no caller")?.push(request(number, nonce)?);
        }
        let mut connected = Vec::with_capacity(callers);
        for share in shares {
            connected.push((Caller::connect(server.way).await?, share));
        }
        let (own, used, started) = (process::own_cpu()?, process::cpu(server.process)?, Instant::now());
        let mut running = tokio::task::JoinSet::new();
        for (mut caller, share) in connected {
            running.spawn(async move {
                let mut each = Vec::with_capacity(share.len());
                let mut last = None;
                for request in &share {
                    let started = Instant::now();
                    let answer = caller.ask(request).await?;
                    each.push(started.elapsed());
                    ensure!(answer.status == 200, "a request was refused: {} {}", answer.status, answer.reason());
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
        Ok(Round {
            took: started.elapsed(),
            own_cpu: process::own_cpu()?.saturating_sub(own),
            server_cpu: process::cpu(server.process)?.saturating_sub(used),
            peak_bytes: process::peak_bytes(server.process)?,
            each: sorted(each),
            lasts,
        })
    }
}

/// What one measurement gave.
struct Round {
    took: Duration,
    own_cpu: Duration,
    server_cpu: Duration,
    peak_bytes: u64,
    each: Vec<Duration>,
    lasts: Vec<Answer>,
}

impl Round {
    fn per_second(&self) -> f64 {
        self.each.len() as f64 / self.took.as_secs_f64()
    }

    /// The cells behind the number of callers.
    fn row(&self, fsync: &str) -> String {
        let at = |part: usize| ms(self.each.get(self.each.len().saturating_sub(1) * part / 100).copied().unwrap_or_default());
        let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / self.each.len() as f64;
        format!(
            "{:.0} | {:.2} | {:.2} | {fsync} | {:.0} | {:.0} | {:.0}",
            self.per_second(),
            at(50),
            at(99),
            each(self.server_cpu),
            each(self.own_cpu),
            self.peak_bytes as f64 / 1e6,
        )
    }
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
