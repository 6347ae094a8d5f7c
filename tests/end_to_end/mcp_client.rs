//! A stock MCP client, unmodified: from the address of a server alone it finds the issuer, gets a token in each way that its SDK
//! knows, and calls a tool. What it is refused, it is refused in the words of the specifications.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use narrows_issuer::clients::secret_hash;
use narrows_tests::{
    forged::ForgedProvider,
    http::{Form, client, get, send},
    issuer::{Issuer, now},
    mcp_server::McpServer,
    packages,
};
use serde_json::{Value, json};

#[tokio::test]
async fn a_stock_mcp_client_gets_a_token_by_each_of_its_grants_and_calls_a_tool() {
    let setup = Setup::new().await;
    let secret = |method: &str| json!({ "client_id": method, "client_secret": SECRET, "method": method });
    let with = |mut asked: Value, name: &str, value: Value| {
        asked[name] = value;
        asked
    };
    let identity = with(secret("client_secret_post"), "assertion", setup.assertion("client_secret_post").into());
    let signed = json!({ "client_id": "private_key_jwt", "private_key": setup.private_key });
    let by_discovery = json!([
        ["POST", "/mcp", 401],
        ["GET", "/.well-known/oauth-protected-resource/mcp", 200],
        ["GET", "/.well-known/oauth-authorization-server", 200],
        ["POST", "/oauth/token", 200],
        ["POST", "/mcp", 200],
    ]);
    // an ID-JAG is for an issuer that the client was told of, and never for one that a server names
    let by_configuration = json!([
        ["POST", "/mcp", 401],
        ["GET", "/.well-known/oauth-authorization-server", 200],
        ["POST", "/oauth/token", 200],
        ["POST", "/mcp", 200],
    ]);
    for (asked, road) in [
        (secret("client_secret_basic"), &by_discovery),
        (secret("client_secret_post"), &by_discovery),
        (signed, &by_discovery),
        (identity, &by_configuration),
    ] {
        let told = setup.ask(asked.clone(), json!([["crm.read", { "id": 1 }]]));
        assert_eq!(told["stopped"], Value::Null, "{told}");
        assert_eq!(told["tools"], json!(["crm.read"]), "{told}");
        assert_eq!(told["results"][0]["is_error"], false, "{told}");
        assert_eq!(told["results"][0]["content"]["id"], 1, "{told}");
        let seen = told["seen"].as_array().unwrap();
        let length = road.as_array().unwrap().len();
        assert_eq!(json!(seen.get(..length)), *road, "{asked}");
        assert_eq!(told["challenges"], json!([setup.unauthorized()]), "{asked}");
    }
    setup.issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn a_stock_mcp_client_is_told_what_a_tool_takes_that_it_was_not_granted() {
    let setup = Setup::new().await;
    let asked = json!({ "client_id": "client_secret_basic", "client_secret": SECRET, "method": "client_secret_basic" });
    let told = setup.ask(asked, json!([["payments.send", { "to": 1, "amount": 5, "currency": "EUR" }]]));
    assert_eq!(told["challenges"], json!([setup.unauthorized(), setup.forbidden()]), "{told}");
    // it asks for more then, as the challenge says, and our policy refuses it
    let seen = told["seen"].as_array().unwrap();
    assert!(seen.ends_with(&[json!(["POST", "/mcp", 403]), json!(["POST", "/oauth/token", 400])]), "{told}");

    // the same without the client in between
    let token = setup.token("client_secret_basic").await;
    let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "payments.send", "arguments": {} } });
    let request = client().post(setup.server.url()).header("content-type", "application/json").body(call.to_string());
    let answer = send(request.header("authorization", format!("Bearer {token}"))).await;
    let challenges: Vec<_> = answer.headers.get_all("www-authenticate").iter().map(|value| json!(value.to_str().unwrap())).collect();
    assert_eq!((answer.status, json!(challenges)), (403, json!(setup.forbidden().as_array().unwrap().get(1..))));
    assert_eq!(answer.json()["error"]["data"]["reason"], "TOOL_NOT_GRANTED");
}

#[tokio::test]
async fn a_stock_mcp_client_refuses_an_issuer_without_an_authorization_endpoint() {
    let setup = Setup::new().await;
    // our own metadata, less the one member that no grant of ours uses
    let metadata = get(&setup.issuer.at("/.well-known/oauth-authorization-server")).await.text();
    let mut poorer: Value = serde_json::from_str(&metadata).unwrap();
    poorer.as_object_mut().unwrap().remove("authorization_endpoint");
    let parsed = |document: &str| {
        let read = "import sys; from mcp.shared.auth import OAuthMetadata; OAuthMetadata.model_validate_json(sys.stdin.read())";
        python(&["-c", read], document).status.success()
    };
    assert!(parsed(&metadata));
    assert!(!parsed(&poorer.to_string()), "clients have become milder: the endpoint that always refuses may go");
}

/// An issuer, an MCP server that names it, and a provider of identity assertions.
struct Setup {
    issuer: Issuer,
    server: McpServer,
    provider: ForgedProvider,
    private_key: String,
}

impl Setup {
    async fn new() -> Self {
        let (mut issuer, mut server, provider) = (Issuer::init(), McpServer::reserve(), ForgedProvider::start());
        let (private_key, jwks) = rsa_key();
        let config = format!("{}{}", clients(&jwks), assertions(&provider));
        issuer.configure(&config, &pack(&server.url()));
        issuer.start().await;
        server.start_with(issuer.url(), MANIFEST);
        Self { issuer, server, provider, private_key }
    }

    /// Lets the client do these calls, and gives what became of it.
    fn ask(&self, mut asked: Value, calls: Value) -> Value {
        asked["server"] = self.server.url().into();
        asked["issuer"] = self.issuer.url().into();
        asked["calls"] = calls;
        let output = python(&["client.py"], &asked.to_string());
        assert!(output.status.success(), "the client ended with {}; what it met stands above", output.status);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    async fn token(&self, client: &str) -> String {
        let form = Form::new(&[("grant_type", "client_credentials"), ("resource", &self.server.url()), ("scope", "crm.read")]);
        let answer = form.basic(client, SECRET).post(&self.issuer.at("/oauth/token")).await.granted();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// An ID-JAG for this client, about alice.
    fn assertion(&self, client: &str) -> String {
        let claims = json!({
            "iss": self.provider.issuer(), "sub": "alice", "aud": self.issuer.url(), "client_id": client, "jti": "one",
            "iat": now(), "exp": now() + 300, "resource": self.server.url(), "scope": "crm.read",
        });
        self.provider.sign(&json!({ "alg": "EdDSA", "kid": "published", "typ": "oauth-id-jag+jwt" }), &claims)
    }

    /// What the server answers to who has no token: status and challenges, the first without an error (RFC 6750 section 3.1).
    fn unauthorized(&self) -> Value {
        let about = self.about("crm.read");
        json!([401, format!("Bearer {about}"), format!("DPoP {about}, {ALGORITHMS}"), r#"Narrows reason="TOKEN_MISSING""#])
    }

    /// What it answers to a bearer that lacks a tool: what was wrong, and all that the client needs from now on.
    fn forbidden(&self) -> Value {
        let about = self.about("crm.read payments.send");
        json!([403, format!(r#"Bearer error="insufficient_scope", {about}"#), format!("DPoP {about}, {ALGORITHMS}"), "Narrows"])
    }

    fn about(&self, scope: &str) -> String {
        let metadata = self.server.url().replace("/mcp", "/.well-known/oauth-protected-resource/mcp");
        format!(r#"resource_metadata="{metadata}", scope="{scope}""#)
    }
}

/// Runs the Python of the client's packages.
fn python(arguments: &[&str], input: &str) -> std::process::Output {
    let mut command = Command::new(packages::python("end_to_end/mcp"));
    command.args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/end_to_end/mcp"));
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starting the Python of the client");
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    process.wait_with_output().unwrap()
}

/// A private key as PEM, and the public half as a JWK set.
fn rsa_key() -> (String, String) {
    let print = "from cryptography.hazmat.primitives.asymmetric import rsa\n\
                 from cryptography.hazmat.primitives import serialization as s\n\
                 from jwt.algorithms import RSAAlgorithm\n\
                 import json\n\
                 key = rsa.generate_private_key(65537, 2048)\n\
                 pem = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()).decode()\n\
                 public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)\n\
                 print(json.dumps([pem, {'kty': 'RSA', 'n': public['n'], 'e': public['e']}]))\n";
    let told: Value = serde_json::from_slice(&python(&["-c", print], "").stdout).unwrap();
    (told[0].as_str().unwrap().to_owned(), json!({ "keys": [told[1]] }).to_string())
}

fn clients(jwks: &str) -> String {
    let hash = secret_hash(SECRET);
    let with_secret = |method: &str| {
        format!(
            "[[client]]\nid = \"{method}\"\nauth_method = \"{method}\"\nsecret_hashes = [\"{hash}\"]\n\
             grants = [\"client_credentials\", \"jwt_bearer\"]\n"
        )
    };
    format!(
        "{}{}[[client]]\nid = \"private_key_jwt\"\nauth_method = \"private_key_jwt\"\njwks = '{jwks}'\ngrants = [\"client_credentials\"]\n",
        with_secret("client_secret_basic"),
        with_secret("client_secret_post"),
    )
}

fn assertions(provider: &ForgedProvider) -> String {
    format!(
        "[[trusted_issuer]]\nissuer = \"{0}\"\nkind = \"id_jag\"\njwks_url = \"{0}/keys\"\nallow_loopback_http = true\n\
         clients = [\"client_secret_post\"]\n",
        provider.issuer()
    )
}

fn pack(server: &str) -> String {
    format!(
        r#"
pack = "mcp"
version = 1
[limits]
max_life_seconds = 900
max_depth = 1
[[scope]]
name = "crm.read"
tools = ["crm.read"]
[[scope]]
name = "payments.send"
tools = ["payments.send"]
[[rule]]
name = "reading, by whoever sees the token"
when = 'grant("client_credentials") or grant("jwt_bearer"), subject("alice")'
audiences = ["{server}"]
tools = ["crm.read"]
default_tools = ["crm.read"]
bearer = true
[[rule]]
name = "paying, by whom a person sent"
when = 'grant("token_exchange")'
audiences = ["{server}"]
tools = ["payments.send"]
"#
    )
}

/// Both tools take bearer tokens, so that what a call is refused for is the grant alone.
const MANIFEST: &str = r#"
audience = "https://mcp.example"
scopes = ["crm.read"]
[[tool]]
name = "crm.read"
requires = "token"
class = "read"
scope = "crm.read"
bearer = true
[[tool]]
name = "payments.send"
requires = "token"
class = "write"
reversible = true
scope = "payments.send"
bearer = true
"#;
const SECRET: &str = "a-secret-of-a-test-with-43-characters-xxxxx";
const ALGORITHMS: &str = r#"algs="ES256 EdDSA Ed25519""#;
