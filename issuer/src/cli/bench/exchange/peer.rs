//! Another authorization server, asked in the same words by the same callers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::ToSocketAddrs as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::caller::{Answer, Way};
use super::requests::{AUDIENCE, CLIENT, Client, Endpoint, SCOPE};

/// A running peer. It ends when its standard input closes.
pub(super) struct Peer {
    process: Child,
    pub(super) name: String,
    pub(super) way: Way,
    pub(super) endpoint: Endpoint,
}

/// The line with which it says that it listens.
#[derive(Deserialize)]
struct Listening {
    name: String,
    issuer: String,
    token_endpoint: String,
}

impl Peer {
    /// Starts the command, tells it of the client in a line of JSON, and waits for its line.
    pub(super) fn start(command: &str, client: &Client) -> anyhow::Result<Self> {
        let mut words = command.split_whitespace();
        let program = words.next().context("`--peer` names no program")?;
        let mut process = Command::new(program)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("`{program}` does not start"))?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let told = json!({ "client_id": CLIENT, "jwks": client.key_set()?, "resource": AUDIENCE, "scope": SCOPE, "workers": cores });
        writeln!(process.stdin.as_mut().context("no standard input")?, "{told}")?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("no standard output")?).read_line(&mut line)?;
        let listening: Listening = serde_json::from_str(&line).context("the peer does not say where it listens")?;
        let authority = listening.issuer.strip_prefix("http://").context("the peer's issuer is no `http://` address")?;
        let address = authority.to_socket_addrs()?.next().context("the peer has no address")?;
        let path = listening.token_endpoint.strip_prefix(&listening.issuer).context("the token endpoint is elsewhere")?.to_owned();
        Ok(Self { process, name: listening.name, way: Way { address, tls: None }, endpoint: Endpoint { issuer: listening.issuer, path } })
    }

    /// The process.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }
}

/// Each caller's last answer is a token that is bound to its key.
pub(super) fn verify(answers: &[Answer]) -> anyhow::Result<()> {
    for answer in answers {
        let body: Value = serde_json::from_slice(&answer.body)?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        ensure!(!text("access_token").is_empty() && text("token_type").eq_ignore_ascii_case("DPoP"), "the peer gives no bound token");
    }
    Ok(())
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let asked = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) && asked.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        // it may have ended by itself
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// With a peer that was asked to end.
const PATIENCE: Duration = Duration::from_secs(5);
