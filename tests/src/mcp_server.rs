//! The MCP server of the examples, as a user runs it: the real binary, which asks the issuer for its keys when it starts.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{issuer::free_address, program::narrows, scratch::Scratch};

/// A running server, at an address that is known before it runs: a policy has to name it as an audience.
pub struct McpServer {
    address: String,
    process: Option<Child>,
    scratch: Scratch,
}

impl McpServer {
    /// Finds a free address.
    pub fn reserve() -> Self {
        Self { address: free_address(), process: None, scratch: Scratch::new() }
    }

    /// Where the server is, which is its audience too.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Starts it, before tools that take tokens of this issuer, as its own manifest says.
    pub fn start(&mut self, issuer: &str) {
        self.run(&["--issuer", issuer]);
    }

    /// The same with another manifest.
    pub fn start_with(&mut self, issuer: &str, manifest: &str) {
        let manifest = self.scratch.write("manifest.toml", manifest);
        self.run(&["--issuer", issuer, "--manifest", &manifest.to_string_lossy()]);
    }

    fn run(&mut self, arguments: &[&str]) {
        let mut serve = Command::new(narrows().with_file_name("mcp-server"));
        serve.args(arguments).args(["--listen", &self.address]).stdin(Stdio::null()).stdout(Stdio::piped());
        let process = self.process.insert(serve.spawn().expect("starting `mcp-server`"));
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("a piped output")).read_line(&mut line).expect("reading its first line");
        let told: Value = serde_json::from_str(&line).expect("the server did not start; its errors stand above");
        assert_eq!(told["listen"], format!("http://{}", self.address));
    }
}

impl Drop for McpServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // it may have ended by itself; then there is nothing left to stop
            let _ended = process.kill();
            let _status = process.wait();
        }
    }
}
