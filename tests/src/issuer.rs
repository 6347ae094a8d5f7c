//! The issuer as an operator runs it: made by `narrows init`, configured in its file, served by the real binary.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as BASE64URL},
};
use narrows::{HolderKey, IssuerClient, IssuerKeys};
use rand_core::{OsRng, RngCore};
use reqwest::Client;
use serde_json::Value;

use crate::{
    http::{Answer, Form, client, get, send, try_send},
    program::{self, narrows},
    scratch::Scratch,
    tls::Authority,
};

/// An issuer of its own data directory, with the client [`CLIENT`].
pub struct Issuer {
    url: String,
    secret: String,
    scratch: Scratch,
    process: Option<Child>,
    client: Client,
    environment: Vec<(String, String)>,
}

impl Issuer {
    /// Makes keys, log and configuration by `narrows init`, on a free port. It does not run yet.
    pub fn init() -> Self {
        let listen = free_address();
        Self::init_at(format!("http://{listen}"), &listen, client())
    }

    /// The same behind TLS, with a certificate of this authority in [`Issuer::certificate`].
    pub fn init_secured(authority: &Authority) -> Self {
        let listen = free_address();
        let port = listen.rsplit(':').next().expect("a port");
        let issuer = Self::init_at(format!("https://localhost:{port}"), &listen, authority.client());
        let (certificate, key) = issuer.certificate();
        authority.certify(&certificate, &key);
        issuer
    }

    fn init_at(url: String, listen: &str, client: Client) -> Self {
        let scratch = Scratch::new();
        let data = scratch.join("data");
        let told = program::run(["init", "--issuer", &url, "--listen", listen, "--client", CLIENT, "--data", &data.to_string_lossy()]);
        let told = told.succeeded();
        let line = told.lines().find_map(|line| line.strip_prefix("client secret")).expect("a secret");
        let secret = line.split_whitespace().next().expect("a secret").to_owned();
        Self { url, secret, scratch, process: None, client, environment: Vec::new() }
    }

    /// Merges TOML into the configuration (tables join, lists grow, values are replaced) and replaces the policy pack.
    pub fn configure(&self, more: &str, pack: &str) {
        let mut config: toml::Table = fs::read_to_string(self.config()).expect("a configuration").parse().expect("TOML");
        merge(&mut config, more.parse().expect("TOML of the test"));
        fs::write(self.config(), config.to_string()).expect("writing the configuration");
        fs::write(self.data().join("policy.toml"), pack).expect("writing the policy pack");
    }

    /// Starts the binary and returns when `/readyz` says so.
    pub async fn start(&mut self) {
        self.start_to(200).await;
    }

    /// Starts the binary where it is to be up and not ready: `/readyz` answers 503.
    pub async fn start_unready(&mut self) {
        self.start_to(503).await;
    }

    async fn start_to(&mut self, status: u16) {
        let errors = File::options().create(true).append(true).open(self.scratch.join("stderr")).expect("a file for log lines");
        let mut serve = Command::new(narrows());
        serve.envs(self.environment.clone());
        serve.arg("serve").arg("--config").arg(self.config()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        self.process = Some(serve.spawn().expect("starting `narrows serve`"));
        let (client, address, deadline) = (&self.client, self.at("/readyz"), Instant::now() + Duration::from_secs(30));
        while !try_send(client.get(&address)).await.is_ok_and(|answer| answer.status == status) {
            let ended = self.process.as_mut().and_then(|process| process.try_wait().expect("asking for the process"));
            assert!(ended.is_none() && Instant::now() < deadline, "the issuer is not ready ({ended:?}): {}", self.log_lines());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The files of its certificate and of the certificate's key, where it speaks TLS.
    pub fn certificate(&self) -> (PathBuf, PathBuf) {
        (self.data().join("tls.pem"), self.data().join("tls.key"))
    }

    /// A client that reaches it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Gives it an environment variable from its next start on.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// The id of its running process.
    pub fn process_id(&self) -> u32 {
        self.process.as_ref().expect("a running issuer").id()
    }

    /// As [`Issuer::start`], where the start-up check must refuse: the errors of the ended process.
    pub fn start_refused(&self) -> program::Ran {
        program::run(["serve".as_ref(), "--config".as_ref(), self.config().as_os_str()])
    }

    /// Ends it without warning (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // it may have ended by itself; then there is nothing left to stop
            let _ended = process.kill();
            let _status = process.wait();
        }
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("a running issuer");
        let asked = Command::new("kill").args(["-TERM", &process.id().to_string()]).status().expect("starting `kill`");
        assert!(asked.success());
        let status = process.wait().expect("waiting for the issuer");
        assert!(status.success(), "the issuer ended with {status}: {}", self.log_lines());
    }

    /// Its identifier and address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A path at its address.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The secret of [`CLIENT`].
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.scratch.join("data")
    }

    /// Its log.
    pub fn database(&self) -> PathBuf {
        self.data().join("log.db")
    }

    /// The seed of the key that signs its tokens, as a thief of the file reads it.
    pub fn stolen_seed(&self) -> [u8; 32] {
        let line = fs::read_to_string(self.data().join("issuer.key")).expect("the key file");
        let seed = line.split_whitespace().last().expect("a seed");
        BASE64URL.decode(seed).expect("base64url").try_into().expect("32 bytes")
    }

    /// A file beside the data directory, for what a test keeps.
    pub fn keep(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        self.scratch.write(name, text)
    }

    /// What it wrote to standard error so far.
    pub fn log_lines(&self) -> String {
        fs::read_to_string(self.scratch.join("stderr")).expect("reading the log lines")
    }

    /// The SDK's client of it, with its keys.
    pub async fn sdk(&self) -> (IssuerClient, IssuerKeys) {
        let client = IssuerClient::new(&self.url).expect("an address");
        let keys = client.discover().await.expect("the issuer's keys");
        (client, keys)
    }

    /// A good request of [`CLIENT`] for both tools at [`AUDIENCE`], with a fresh proof of `holder`.
    pub fn request(&self, holder: &HolderKey, subject_token: &str) -> Form {
        self.requests().of(holder, subject_token)
    }

    /// Makes such requests away from this value.
    pub fn requests(&self) -> Requests {
        Requests { url: self.url.clone(), secret: self.secret.clone() }
    }

    /// Sends a form to the token endpoint.
    pub async fn token(&self, form: &Form) -> Answer {
        form.post(&self.at("/oauth/token")).await
    }

    /// A capability for `holder`, as the token endpoint answers.
    pub async fn granted(&self, holder: &HolderKey, subject_token: &str) -> Value {
        self.token(&self.request(holder, subject_token)).await.granted()
    }

    /// Sends a report.
    pub async fn report(&self, token: &str, proof: &str) -> Answer {
        let body = serde_json::json!({ "token": token, "proof": proof }).to_string();
        send(client().post(self.at("/v1/derivations")).header("content-type", "application/json").body(body)).await
    }

    /// The number of leaves that the newest checkpoint signs.
    pub async fn log_size(&self) -> u64 {
        let checkpoint = get(&self.at("/log/checkpoint")).await.text();
        checkpoint.lines().nth(1).expect("a size").parse().expect("a number")
    }

    /// `narrows audit verify` on its data directory, with further arguments.
    pub fn audit(&self, more: &[&str]) -> program::Ran {
        let data = self.data();
        let data = data.to_string_lossy();
        program::run(["audit", "verify", "--data", &data].iter().chain(more))
    }

    /// Erases a person's disclosures, as an operator would, and gives the pseudonym.
    pub fn erase(&self, provider: &str, subject: &str) -> String {
        let (data, config) = (self.data(), self.config());
        let [data, config] = [&data, &config].map(|path| path.to_string_lossy());
        let told = program::run(["audit", "pseudonym", "--data", &data, "--issuer", provider, "--subject", subject]).succeeded();
        let erase = ["audit", "erase", "--config", &config, "--subject", told.trim(), "--basis", "asked for", "--by", "officer"];
        program::run(erase).succeeded();
        told.trim().to_owned()
    }

    /// Runs a command as on its machine.
    pub fn run(&self, arguments: &[&str]) -> program::Ran {
        let mut command = Command::new(narrows());
        let output = command.args(arguments).envs(self.environment.clone()).stdin(Stdio::null()).output();
        program::Ran::new(output.expect("starting `narrows`"))
    }

    /// Its configuration.
    pub fn config(&self) -> PathBuf {
        self.data().join("narrows.toml")
    }
}

/// Makes requests of [`CLIENT`].
#[derive(Clone)]
pub struct Requests {
    url: String,
    secret: String,
}

impl Requests {
    /// As [`Issuer::request`].
    pub fn of(&self, holder: &HolderKey, subject_token: &str) -> Form {
        self.made_at(now(), holder, subject_token)
    }

    /// The same of somebody whose clock shows this time.
    pub fn made_at(&self, time: u64, holder: &HolderKey, subject_token: &str) -> Form {
        Form::new(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", subject_token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
            ("audience", AUDIENCE),
            ("authorization_details", r#"[{"type":"narrows","tools":["crm.read","payments.send"],"agent":"planner"}]"#),
            ("req_cnf", &holder.req_cnf()),
            ("holder_proof", &holder.holder_proof(&self.url, CLIENT, subject_token, time)),
        ])
        .basic(CLIENT, &self.secret)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The client that `init` registers.
pub const CLIENT: &str = "planner-app";

/// Where the tools of the tests are.
pub const AUDIENCE: &str = "https://payments.example";

/// A pack that lets [`CLIENT`] and the client `batch` ask for alice at [`AUDIENCE`].
pub const PACK: &str = r#"
pack = "end-to-end"
version = 1
[limits]
max_life_seconds = 900
max_depth = 3
[[scope]]
name = "tools"
tools = ["crm.read", "payments.send"]
[[rule]]
name = "alice and her agents"
when = 'client("planner-app"), subject("alice") or client("batch"), subject("alice")'
audiences = ["https://payments.example"]
tools = ["crm.read", "payments.send"]
[[rule.ceiling]]
kind = "arg"
tool = "payments.send"
path = "/amount"
is = { range = { min = 1, max = 500 } }
"#;

/// Leaf and receipt of an answer, as evidence for a check of the log.
pub fn evidence(answer: &Value) -> (String, Vec<u8>) {
    let recorded = answer.get("narrows").unwrap_or(answer);
    let leaf = STANDARD.decode(recorded["leaf"].as_str().expect("a leaf")).expect("base64");
    (recorded["receipt"].as_str().expect("a receipt").to_owned(), leaf)
}

/// Seconds since the Unix epoch.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs()
}

/// A loopback port below those that the system gives to connections, so that nobody takes it before the issuer does.
pub fn free_address() -> String {
    loop {
        let address = format!("127.0.0.1:{}", 10_000 + OsRng.next_u32() % 20_000);
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

fn merge(into: &mut toml::Table, more: toml::Table) {
    for (key, value) in more {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (Some(toml::Value::Array(old)), toml::Value::Array(new)) => old.extend(new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}
