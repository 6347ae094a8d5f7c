//! A strict OAuth client that knows the specifications and nothing of ours, against the real program: what it refuses in an answer
//! is a fault of the answer.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use narrows_issuer::clients::secret_hash;
use narrows_tests::{issuer::Issuer, mcp_server::McpServer, packages, provider::Provider};
use serde_json::{Value, json};

#[tokio::test]
async fn a_strict_client_finds_the_endpoints_and_authenticates_in_every_way_that_metadata_names() {
    Setup::new().await.run("methods").await;
}

#[tokio::test]
async fn a_strict_client_exchanges_a_login_with_dpop_and_repeats_it_with_the_nonce() {
    Setup::new().await.run("dpop").await;
}

#[tokio::test]
async fn a_strict_client_sees_a_token_end_when_it_revokes_it() {
    Setup::new().await.run("ending").await;
}

#[tokio::test]
async fn a_strict_client_reads_each_refusal_as_the_specifications_have_it() {
    Setup::new().await.run("refusals").await;
}

#[tokio::test]
async fn a_strict_client_is_led_from_a_tool_to_the_issuer_and_back() {
    Setup::new().await.run("tool").await;
}

#[tokio::test]
async fn a_strict_resource_server_accepts_the_jwt_view() {
    Setup::new().await.run("view").await;
}

/// An issuer with a client for each way of authentication, the provider that alice logs in at, and a tool.
struct Setup {
    issuer: Issuer,
    provider: Provider,
    tool: McpServer,
    keys: Value,
}

impl Setup {
    async fn new() -> Self {
        let (mut issuer, provider, mut tool) = (Issuer::init(), Provider::start(), McpServer::reserve());
        let keys: Value = serde_json::from_slice(&node("keys", &Value::Null)).unwrap();
        issuer.configure(&format!("{}{}", clients(&keys, &tool.url()), trust(&provider)), &pack(&tool.url()));
        issuer.start().await;
        tool.start(issuer.url());
        Self { issuer, provider, tool, keys }
    }

    async fn run(&self, scenario: &str) {
        let client = |id: &str, secret: &str| json!({ "id": id, "secret": secret });
        let setup = json!({
            "issuer": self.issuer.url(),
            "provider": self.provider.issuer(),
            "tool": self.tool.url(),
            "audiences": AUDIENCES,
            "keys": self.keys,
            "clients": {
                "basic": client(BASIC, SECRET),
                "post": client("post", SECRET),
                "server": client("server", SECRET),
                "signer": { "id": "signer" },
                "provider": client(Provider::BACKCHANNEL_CLIENT, Provider::BACKCHANNEL_SECRET),
            },
        });
        node(scenario, &setup);
        self.issuer.audit(&[]).succeeded();
    }
}

/// Runs the client and gives what it printed.
fn node(scenario: &str, setup: &Value) -> Vec<u8> {
    let mut command = Command::new("node");
    command.arg("client.mjs").arg(scenario).current_dir(packages::node("end_to_end/oauth_client"));
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starting `node`, which runs the client");
    process.stdin.take().unwrap().write_all(setup.to_string().as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "the client ended with {}; what it met stands above", output.status);
    output.stdout
}

fn clients(keys: &Value, tool: &str) -> String {
    let mut public = keys.clone();
    for key in public.as_array_mut().unwrap() {
        for private in ["d", "p", "q", "dp", "dq", "qi"] {
            key.as_object_mut().unwrap().remove(private);
        }
    }
    let grants = "grants = [\"token_exchange\", \"client_credentials\", \"jwt_bearer\"]";
    let hash = secret_hash(SECRET);
    let secret = |id: &str, method: &str, more: &str| {
        format!("[[client]]\nid = \"{id}\"\nauth_method = \"client_secret_{method}\"\nsecret_hashes = [\"{hash}\"]\n{grants}\n{more}\n")
    };
    let server = format!("resource_server = true\naudiences = {}\n", json!([AUDIENCES[0], AUDIENCES[1], tool]));
    let signer =
        format!("[[client]]\nid = \"signer\"\nauth_method = \"private_key_jwt\"\njwks = '{}'\n{grants}\n", json!({ "keys": public }));
    format!("{}{}{}{signer}", secret(BASIC, "basic", ""), secret("post", "post", ""), secret("server", "basic", &server))
}

fn trust(provider: &Provider) -> String {
    let audience = Provider::BACKCHANNEL_CLIENT;
    format!("[[trusted_issuer]]\nissuer = \"{}\"\naudiences = [\"{audience}\"]\nallow_loopback_http = true\n", provider.issuer())
}

fn pack(tool: &str) -> String {
    format!(
        r#"
pack = "strangers"
version = 1
[limits]
max_life_seconds = 900
max_depth = 3
[[scope]]
name = "crm.read"
tools = ["crm.read"]
[[scope]]
name = "payments"
tools = ["payments.send"]
[[rule]]
name = "clients, for themselves"
when = 'grant("client_credentials")'
audiences = {audiences}
tools = ["crm.read"]
bearer = true
[[rule]]
name = "alice"
when = 'subject("alice")'
audiences = ["{tool}"]
tools = ["crm.read", "payments.send"]
"#,
        audiences = json!([AUDIENCES[0], AUDIENCES[1], "reports"])
    )
}

/// Every character of it but the letters travels escaped in a Basic header (RFC 6749 section 2.3.1).
const BASIC: &str = "agent-1_of.desk+~";
const SECRET: &str = "a-secret-of-a-test.with+43~characters%xxxxx";
const AUDIENCES: [&str; 2] = ["https://crm.example/mcp", "https://more.example"];
