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
use super::requests::{AUDIENCE, CLIENT, Client, PROVIDER, Provider};

/// The running service; ends with this.
pub(super) struct Served {
    process: Child,
    pub(super) way: Way,
    pub(super) issuer: String,
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
        fs::write(&pack, PACK.replace("AUDIENCE", AUDIENCE).replace("CLIENT", CLIENT))?;
        let mut text = fs::read_to_string(&made.config_file)?;
        text = text.replace("policy.toml", "bench.toml");
        text.push_str(&format!(
            "\n[limits]\nmax_client_tokens_per_minute = 10000000\nmax_subject_tokens_per_minute = 10000000\n\n\
             [telemetry]\nfilter = \"warn\"\n\n\
             [[client]]\nid = \"{CLIENT}\"\nauth_method = \"private_key_jwt\"\njwks = '{}'\ndpop_bound_access_tokens = true\n\n\
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
        let mut served = Self { process, way, issuer };
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

    /// The nonce that proofs must carry: that of a refusal, as every client learns it.
    pub(super) async fn nonce(&self, provider: &Provider, client: &Client) -> anyhow::Result<String> {
        let request = client.request(provider, &self.issuer, 0, "none", now_s())?;
        let answer = Caller::connect(&self.way).await?.ask(&request).await?;
        Ok(answer.header("dpop-nonce").with_context(|| format!("no nonce: {} {}", answer.status, answer.reason()))?.to_owned())
    }

    /// Leaves in the log, by its checkpoint.
    pub(super) async fn log_size(&self) -> anyhow::Result<u64> {
        let checkpoint = self.get("/log/checkpoint").await?;
        let text = std::str::from_utf8(&checkpoint.body)?;
        Ok(text.lines().nth(1).context("no checkpoint")?.parse()?)
    }

    /// CPU time of the service so far.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        cpu_of(&self.process.id().to_string())
    }

    /// The most memory that the service has had.
    pub(super) fn peak_bytes(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no peak in /proc")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
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

/// CPU time of a process, all its threads together, in the kernel and outside.
pub(super) fn cpu_of(process: &str) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat.rsplit_once(") ").context("no fields in /proc")?.1;
    let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
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
name = "crm"
tools = ["crm.read", "crm.list"]

[[rule]]
name = "everybody at the login service, for reading"
when = 'client("CLIENT"), audience("AUDIENCE")'
audiences = ["AUDIENCE"]
tools = ["crm.read", "crm.list"]
"#;

/// `USER_HZ`, which Linux shows to programs as 100 on every architecture that this runs on.
const TICKS_PER_SECOND: u64 = 100;
const PATIENCE: Duration = Duration::from_secs(20);
