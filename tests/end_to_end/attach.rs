//! The page for strangers, `docs/attach.md`, run as it stands: their provider, our issuer, their tool.

use std::{env, net::TcpListener, process::Command};

use narrows_tests::{
    program::{self, Ran},
    provider::Provider,
    scratch::Scratch,
};

const PAGE: &str = include_str!("../../docs/attach.md");

#[tokio::test]
async fn a_stranger_attaches_a_provider_and_a_tool_by_the_page() {
    let provider = Provider::start();
    let id_token = provider.login("alice", "alice-password", "agents").await.unwrap();
    let scratch = Scratch::new();
    let folder = scratch.join("page");
    std::fs::create_dir(&folder).unwrap();
    let programs = program::narrows().parent().unwrap();
    let path = env::join_paths([programs.to_owned()].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap()))).unwrap();

    // a block that fails must not leave the servers of earlier blocks behind
    let script = format!("trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{}", blocks());
    let output = Command::new("timeout")
        .args(["120", "bash", "-euo", "pipefail", "-c", &script])
        .current_dir(&folder)
        .env("PATH", path)
        .env("PROVIDER", provider.issuer())
        .env("PROVIDER_CLIENT", "agents")
        .env("ID_TOKEN", id_token)
        .env("ISSUER_URL", free_address())
        .env("TOOL_URL", free_address())
        .env("DATA", folder.join("data"))
        .output()
        .unwrap();
    let out = Ran::new(output).succeeded();
    for expected in ["receipts     2 of 2 given verify", "agent \"planner\" · mint", "agent \"executor\" · hop", "in order:"] {
        assert!(out.contains(expected), "no `{expected}` in: {out}");
    }
}

/// The page's executable blocks in their order.
fn blocks() -> String {
    let mut script = String::new();
    let mut inside = false;
    for line in PAGE.lines() {
        match (inside, line) {
            (false, line) if line.starts_with("```sh run=") => inside = true,
            (true, "```") => inside = false,
            (true, line) => {
                script.push_str(line);
                script.push('\n');
            }
            (false, _) => {}
        }
    }
    assert!(script.contains("narrows audit verify"), "the page has lost its executable blocks");
    script
}

/// An address on a port that was free a moment ago.
fn free_address() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
