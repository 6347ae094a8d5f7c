//! A witness as another team runs it: made by `narrows audit witness --init`, served by the real binary.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    http::{Answer, client, send, try_send},
    issuer::free_address,
    program::{self, narrows},
    scratch::Scratch,
};

/// A witness with a directory of its own.
pub struct Witness {
    name: String,
    vkey: String,
    address: String,
    scratch: Scratch,
    process: Option<Child>,
}

impl Witness {
    /// Makes key and state. It does not run yet.
    pub fn init(name: &str) -> Self {
        let scratch = Scratch::new();
        let mut witness = Self { name: name.to_owned(), vkey: String::new(), address: free_address(), scratch, process: None };
        witness.vkey = program::run(witness.arguments(&["--init"])).succeeded().trim().to_owned();
        witness
    }

    /// Serves it for these logs and returns when it answers.
    pub async fn start(&mut self, logs: &[&str]) {
        let errors = File::options().create(true).append(true).open(self.scratch.join("stderr")).expect("a file for log lines");
        let mut more = vec!["--listen", self.address.as_str()];
        more.extend(logs.iter().flat_map(|log| ["--log", log]));
        let mut serve = Command::new(narrows());
        serve.args(self.arguments(&more)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        self.process = Some(serve.spawn().expect("starting `narrows audit witness`"));
        let (client, address, deadline) = (client(), self.at("/healthz"), Instant::now() + Duration::from_secs(30));
        while !try_send(client.get(&address)).await.is_ok_and(|answer| answer.status == 200) {
            let ended = self.process.as_mut().and_then(|process| process.try_wait().expect("asking for the process"));
            assert!(ended.is_none() && Instant::now() < deadline, "the witness is not ready ({ended:?}): {}", self.log_lines());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// As [`Witness::start`], where it must refuse: what the ended process said.
    pub fn start_refused(&self, log: &str) -> program::Ran {
        program::run(self.arguments(&["--log", log, "--listen", "127.0.0.1:0"]))
    }

    /// Ends it without warning (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // it may have ended by itself; then there is nothing left to stop
            let _ended = process.kill();
            let _status = process.wait();
        }
    }

    /// Its public key.
    pub fn vkey(&self) -> &str {
        &self.vkey
    }

    /// Its state.
    pub fn state(&self) -> PathBuf {
        self.scratch.join("state.db")
    }

    /// A path at its address.
    pub fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Asks it for a cosignature.
    pub async fn ask(&self, body: &str) -> Answer {
        send(client().post(self.at("/add-checkpoint")).body(body.to_owned())).await
    }

    /// What a Narrows configuration says to have this witness.
    pub fn entry(&self) -> String {
        format!("[[witness]]\nvkey = \"{}\"\nurl = \"{}\"\nallow_loopback_http = true\n", self.vkey, self.at(""))
    }

    /// What it wrote to standard error so far.
    pub fn log_lines(&self) -> String {
        fs::read_to_string(self.scratch.join("stderr")).expect("reading the log lines")
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let file = |name: &str| self.scratch.join(name).to_string_lossy().into_owned();
        let own = ["audit", "witness", "--name", &self.name, "--key", &file("witness.key"), "--state", &file("state.db")];
        own.iter().chain(more).map(|argument| (*argument).to_owned()).collect()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.kill();
    }
}
