//! The service holds to its own description: a fuzzer that reads `/openapi.json` and nothing else of ours sends what the description
//! allows and what it doesn't, and each answer has a status, a media type, headers and a body that are described there.

use std::process::Command;

use base64::{Engine, engine::general_purpose::STANDARD};
use narrows_issuer::{clients::secret_hash, config::Role};
use narrows_tests::{
    http::get,
    issuer::{Issuer, free_address},
    packages, program,
    scratch::Scratch,
};

#[tokio::test]
async fn whoever_asks_is_answered_as_described() {
    let issuer = running().await;
    fuzz(&issuer, &["--exclude-path-regex", "^/v1/audit/|^/oauth/(token|revoke|introspect)"]).await;
}

#[tokio::test]
async fn a_client_is_answered_as_described() {
    let issuer = running().await;
    let credentials = STANDARD.encode(format!("stock:{SECRET}"));
    fuzz(&issuer, &["--include-path-regex", "^/oauth/", "-H", &format!("Authorization: Basic {credentials}")]).await;
    fuzz(&issuer, &["--include-path-regex", "^/oauth/(token|revoke|introspect)"]).await;
}

#[tokio::test]
async fn an_auditor_is_answered_as_described() {
    let issuer = running().await;
    fuzz(&issuer, &["--include-path-regex", "^/(v1/audit|log)/", "-H", &format!("Authorization: Bearer {SECRET}")]).await;
}

#[tokio::test]
async fn the_description_is_served_and_printed_alike() {
    let issuer = running().await;
    let served = get(&issuer.at("/openapi.json")).await;
    assert_eq!((served.status, served.header("content-type")), (200, "application/json"));
    assert_eq!(served.header("access-control-allow-origin"), "*");
    let printed: serde_json::Value = serde_json::from_str(&program::run(["openapi"]).succeeded()).unwrap();
    assert_eq!(served.json(), printed);
}

#[tokio::test]
async fn an_operator_is_answered_as_described() {
    let listen = free_address();
    let roles = serde_json::to_string(&Role::ALL).unwrap();
    let admin = format!(
        "[admin]\nlisten = \"{listen}\"\nmax_acts_per_minute = 100000\n\
         [[admin.operators]]\nname = \"office\"\nsecret_hashes = [\"{}\"]\nroles = {roles}\n",
        secret_hash(SECRET)
    );
    let issuer = running_with(&admin).await;
    let document = format!("http://{listen}/openapi.json");
    let printed: serde_json::Value = serde_json::from_str(&program::run(["openapi", "--administration"]).succeeded()).unwrap();
    assert_eq!(get(&document).await.json(), printed);
    fuzz_at(&issuer, &document, &["--max-examples", "5", "-H", &format!("Authorization: Bearer {SECRET}")]).await;
}

/// An issuer with an auditor, a client that is granted what the description's example asks for, and rates that a fuzzer does not meet.
async fn running() -> Issuer {
    running_with("").await
}

async fn running_with(more: &str) -> Issuer {
    let mut issuer = Issuer::init();
    let hash = secret_hash(SECRET);
    let auditor = format!("[[auditor]]\nname = \"office\"\nsecret_hashes = [\"{hash}\"]\nrole = \"administrator\"\n");
    let client = format!(
        "[[client]]\nid = \"stock\"\nauth_method = \"client_secret_basic\"\nsecret_hashes = [\"{hash}\"]\n\
         grants = [\"client_credentials\", \"token_exchange\", \"jwt_bearer\"]\n"
    );
    let limits = "[limits]\nmax_client_tokens_per_minute = 1000000\nmax_revocations_per_minute = 100000\n";
    issuer.configure(&format!("{auditor}{client}{limits}{more}"), PACK);
    issuer.start().await;
    issuer
}

/// Runs the fuzzer, the same each time, over some of the routes. The log must be whole after it.
async fn fuzz(issuer: &Issuer, more: &[&str]) {
    fuzz_at(issuer, &issuer.at("/openapi.json"), &[&["--max-examples", "20"], more].concat()).await;
}

async fn fuzz_at(issuer: &Issuer, document: &str, more: &[&str]) {
    let folder = Scratch::new();
    let fuzzer = packages::python("end_to_end/schemathesis").with_file_name("schemathesis");
    let mut command = Command::new(fuzzer);
    command.arg("run").arg(document).args(OPTIONS).args(more).current_dir(folder.join("."));
    let output = program::Ran::new(command.output().expect("starting the fuzzer"));
    assert_eq!(output.code, Some(0), "{}{}", output.out, output.errors);
    assert_eq!(get(&issuer.at("/readyz")).await.status, 200, "the issuer is not ready any more");
    issuer.audit(&[]).succeeded();
}

/// What is checked. Left out are the checks that take a rule for a mistake: that whatever fits a schema is granted, and that whatever
/// does not is refused (an OAuth endpoint ignores unknown parameters).
const OPTIONS: [&str; 9] = [
    "--checks",
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,\
     unsupported_method,allow_header_conformance",
    "--phases",
    "examples,coverage,fuzzing",
    "--generation-deterministic",
    "--warnings",
    "off",
    "--no-color",
    "--no-shrink",
];
const PACK: &str = r#"
pack = "described"
version = 1
[limits]
max_life_seconds = 900
max_depth = 1
[[scope]]
name = "crm"
tools = ["crm.read"]
[[rule]]
name = "the example"
when = 'grant("client_credentials")'
audiences = ["https://payments.example"]
tools = ["crm.read"]
bearer = true
"#;
const SECRET: &str = "a-secret-of-a-test-with-43-characters-xxxxx";
