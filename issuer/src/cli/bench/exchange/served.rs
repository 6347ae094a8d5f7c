//! The service under load: `narrows serve` in a process of its own, so that its memory and its share of the CPU are its own.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use narrows_issuer::clock::system_clock;
use narrows_issuer::config::{Config, Tls};
use narrows_issuer::http::tls::TlsClient;
use narrows_issuer::init::{InitOptions, init};
use narrows_issuer::service;
use rand_core::OsRng;

use super::caller::{Answer, Caller, Way};
use super::requests::{AUDIENCE, CLIENT, Client, Endpoint, PROVIDER, Provider, SCOPE};

/// The running service; ends with this.
pub(super) struct Served {
    process: Child,
    pub(super) way: Way,
    pub(super) endpoint: Endpoint,
}

impl Served {
    pub(super) async fn start(place: &Path, provider: &Provider, client: &Client, tls: Option<&Tls>) -> anyhow::Result<Self> {
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let issuer = match tls {
            None => format!("http://{address}"),
            Some(_) => format!("https://{TLS_NAME}:{}", address.port()),
        };
        let trusted = tls.map(|tls| TlsClient::trusting(&tls.certificate, TLS_NAME)).transpose();
        let way = Way { address, tls: trusted.context("the certificate can't be used")? };
        let options = InitOptions {
            data_dir: place.to_owned(),
            issuer: issuer.clone(),
            listen: address,
            log_origin: "bench.example/log".to_owned(),
            client_id: None,
            passphrase_file: None,
        };
        let made = init(&options, &mut OsRng)?;
        let (keys, pack) = (place.join("login-keys.json"), place.join("bench.toml"));
        fs::write(&keys, provider.key_set()?.to_string())?;
        fs::write(&pack, PACK.replace("AUDIENCE", AUDIENCE).replace("CLIENT", CLIENT).replace("SCOPE", SCOPE))?;
        let mut text = fs::read_to_string(&made.config_file)?;
        text = text.replace("policy.toml", "bench.toml");
        text.push_str(&format!(
            "\n[limits]\nmax_client_tokens_per_minute = 10000000\nmax_subject_tokens_per_minute = 10000000\n\n\
             [telemetry]\nfilter = \"warn\"\n\n\
             [[client]]\nid = \"{CLIENT}\"\nauth_method = \"private_key_jwt\"\njwks = '{}'\ndpop_bound_access_tokens = true\n\
             grants = [\"token_exchange\", \"client_credentials\"]\n\n\
             [[trusted_issuer]]\nissuer = \"{PROVIDER}\"\naudiences = [\"{CLIENT}\"]\njwks_file = {}\n",
            client.key_set()?,
            toml::Value::from(keys.display().to_string()),
        ));
        if let Some(tls) = tls {
            let path = |path: &Path| anyhow::Ok(toml::Value::from(path.canonicalize()?.display().to_string()));
            text.push_str(&format!("\n[tls]\ncertificate = {}\nkey = {}\n", path(&tls.certificate)?, path(&tls.key)?));
        }
        fs::write(&made.config_file, text)?;
        service::init_log(&Config::load(&made.config_file)?, false, system_clock()())?;
        let process = Command::new(std::env::current_exe()?)
            .args(["serve", "--config"])
            .arg(&made.config_file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("the service does not start")?;
        let mut served = Self { process, way, endpoint: Endpoint { issuer, path: "/oauth/token".to_owned() } };
        served.wait().await?;
        Ok(served)
    }

    async fn wait(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            ensure!(self.process.try_wait()?.is_none(), "the service ended before it was ready");
            if matches!(self.get("/readyz").await, Ok(answer) if answer.status == 200) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("the service was not ready within {} s", PATIENCE.as_secs())
    }

    /// Leaves in the log, by its checkpoint.
    pub(super) async fn log_size(&self) -> anyhow::Result<u64> {
        let checkpoint = self.get("/log/checkpoint").await?;
        let text = std::str::from_utf8(&checkpoint.body)?;
        Ok(text.lines().nth(1).context("no checkpoint")?.parse()?)
    }

    /// The process.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.way.address);
        Caller::connect(&self.way).await?.ask(request.as_bytes()).await
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // it may have ended by itself, and its data goes away in any case
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Seconds since the epoch.
pub(super) fn now_s() -> u64 {
    system_clock()() / 1000
}

/// The name that the certificate must have.
pub(super) const TLS_NAME: &str = "localhost";

const PACK: &str = r#"pack = "bench"
version = 1

[limits]
max_life_seconds = 900
max_depth = 3

[[scope]]
name = "SCOPE"
tools = ["crm.read", "crm.list"]

[[rule]]
name = "everybody at the login service and the client itself, for reading"
when = 'client("CLIENT"), audience("AUDIENCE")'
audiences = ["AUDIENCE"]
tools = ["crm.read", "crm.list"]
"#;

const PATIENCE: Duration = Duration::from_secs(20);
