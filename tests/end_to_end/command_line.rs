//! The road on the command line alone, and what its verbs say when they refuse.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use narrows_tests::{
    issuer::{AUDIENCE, CLIENT, Issuer},
    program::{Ran, run},
    scratch::Scratch,
};

use super::trusting;

#[tokio::test]
async fn a_token_can_be_narrowed_proved_and_verified_on_the_command_line() {
    let (issuer, provider) = trusting("").await;
    let scratch = Scratch::new();
    let file = |name: &str| scratch.join(name).to_string_lossy().into_owned();
    let keys = narrows_tests::http::get(&issuer.at("/.well-known/narrows-keys")).await.text();
    let keys = scratch.write("keys.json", keys).to_string_lossy().into_owned();

    for name in ["planner.key", "executor.key"] {
        let told = run(["key", "new", "--out", &file(name)]).succeeded();
        assert!(told.contains("req_cnf"), "{told}");
        assert_eq!(fs::metadata(file(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    run(["key", "new", "--out", &file("planner.key")]).refused("KEY_FILE_EXISTS");
    let cnf = |name: &str| run(["key", "cnf", "--key", &file(name)]).succeeded().trim().to_owned();

    let login = provider.login("alice");
    let proof =
        run(["key", "prove", "--key", &file("planner.key"), "--issuer", issuer.url(), "--client", CLIENT, "--subject-token", &login]);
    let holder = narrows::HolderKey::read(Path::new(&file("planner.key"))).unwrap();
    let form = issuer.request(&holder, &login).with("req_cnf", &cnf("planner.key")).with("holder_proof", proof.succeeded().trim());
    let answer = issuer.token(&form).await.granted();
    let answer = scratch.write("answer.json", answer.to_string()).to_string_lossy().into_owned();

    for source in [["--keys", &keys], ["--issuer", issuer.url()]] {
        let told = run([&["token", "inspect", &answer], &source[..]].concat()).succeeded();
        assert!(["planner", "crm.read", "payments.send", AUDIENCE].iter().all(|shown| told.contains(shown)), "{told}");
    }

    let attenuate = |key: &str, caveats: &str| {
        let (key, to, report) = (file(key), cnf("executor.key"), file("report.json"));
        let to = ["--key", &key, "--to", &to, "--agent", "executor", "--caveats", caveats, "--report", &report];
        run([&["token", "attenuate", &answer, "--keys", &keys], &to[..]].concat())
    };
    let tighter = r#"[{"kind":"tools","allow":["payments.send"]},
        {"kind":"arg","tool":"payments.send","path":"/amount","is":{"range":{"max":50}}}]"#;
    let narrowed = scratch.write("narrowed", attenuate("planner.key", tighter).succeeded()).to_string_lossy().into_owned();
    let report: serde_json::Value = serde_json::from_str(&fs::read_to_string(file("report.json")).unwrap()).unwrap();
    let reported = issuer.report(report["token"].as_str().unwrap(), report["proof"].as_str().unwrap()).await.granted();
    let reported = scratch.write("reported.json", reported.to_string()).to_string_lossy().into_owned();
    attenuate("executor.key", "[]").refused("HOP_SIGNER");
    attenuate("planner.key", r#"[{"kind":"weather"}]"#).refused("CAVEAT_MALFORMED");
    attenuate("planner.key", r#"[{"kind":"arg","path":"/a","is":{"exact":1}}]"#).refused("CAVEAT_NAMES_NO_TOOL");

    let prove = |key: &str, tool: &str, args: &str| {
        let key = file(key);
        let call = ["--key", &key, "--tool", tool, "--args", args, "--audience", AUDIENCE];
        run([&["token", "prove", &narrowed, "--keys", &keys], &call[..]].concat())
    };
    let verify = |proved: Ran, tool: &str, args: &str, audience: &str| {
        let proved = scratch.write("proved.json", proved.succeeded()).to_string_lossy().into_owned();
        let call = ["--keys", &keys, "--tool", tool, "--args", args, "--audience", audience];
        run([&["token", "verify", &proved], &call[..]].concat())
    };
    let small = r#"{"amount":40}"#;
    let proved = || prove("executor.key", "payments.send", small);
    assert!(verify(proved(), "payments.send", small, AUDIENCE).succeeded().starts_with("allowed: "));
    verify(proved(), "payments.send", r#"{"amount":41}"#, AUDIENCE).refused("PROOF_MISMATCH");
    verify(proved(), "payments.send", small, "https://other.example").refused("PROOF_MISMATCH");
    let wider = r#"{"amount":51}"#;
    verify(prove("executor.key", "payments.send", wider), "payments.send", wider, AUDIENCE).refused("ARGUMENT_REFUSED");
    verify(prove("executor.key", "crm.read", "{}"), "crm.read", "{}", AUDIENCE).refused("TOOL_NOT_GRANTED");
    prove("planner.key", "payments.send", small).refused("HOP_SIGNER");
    let told = run(["token", "verify", &narrowed, "--keys", &keys, "--tool", "payments.send", "--audience", AUDIENCE]);
    told.refused("no proof of possession");

    let other = Issuer::init();
    let told = run(["token", "inspect", &answer, "--issuer", other.url()]);
    assert_eq!(told.code, Some(1), "an issuer that does not run: {told:?}");
    let told = issuer.audit(&["--answer", &answer, "--answer", &reported]).succeeded();
    assert!(told.contains("receipts     2 of 2") && told.contains("executor"), "{told}");
}

#[test]
fn init_makes_what_serve_needs_and_never_twice() {
    let issuer = Issuer::init();
    let data = issuer.data().to_string_lossy().into_owned();
    for name in ["issuer.key", "log.key", "narrows.toml"] {
        let mode = fs::metadata(issuer.data().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    let config = format!("{data}/narrows.toml");
    assert!(run(["config", "check", &config]).succeeded().contains("in order"));
    assert!(issuer.audit(&[]).succeeded().contains("leaves       2,"), "the log begins with its name and the key");
    let key = fs::read(issuer.data().join("issuer.key")).unwrap();
    run(["init", "--issuer", issuer.url(), "--data", &data]).refused("KEY_FILE_EXISTS");
    assert_eq!(fs::read(issuer.data().join("issuer.key")).unwrap(), key);
    run(["init", "--issuer", "http://narrows.example", "--data", &format!("{data}-2")]).refused("CONFIG_INVALID");
    assert!(!Path::new(&format!("{data}-2")).exists(), "a refused init leaves nothing behind");

    fs::set_permissions(issuer.data().join("issuer.key"), fs::Permissions::from_mode(0o640)).unwrap();
    issuer.start_refused().refused("KEY_FILE_MODE");
    fs::set_permissions(issuer.data().join("issuer.key"), fs::Permissions::from_mode(0o600)).unwrap();
    for (from, to) in [("log.key", "aside.key"), ("issuer.key", "log.key"), ("aside.key", "issuer.key")] {
        fs::rename(issuer.data().join(from), issuer.data().join(to)).unwrap();
    }
    issuer.start_refused().refused("KEY_ROLE");
}

#[test]
fn a_configuration_that_could_be_misread_is_refused() {
    for (more, named) in [
        ("surprise = 1\n", "surprise"),
        ("[limits]\nmax_bodies = 1\n", "max_bodies"),
        ("listen = \"0.0.0.0:8420\"\n", "listen"),
        ("[[client]]\nid = \"x\"\nauth_method = \"none\"\n", "auth_method"),
        ("[[trusted_issuer]]\nissuer = \"http://login.example\"\naudiences = [\"a\"]\n", "login.example"),
        ("[policy]\npack = \"/nonexistent\"\n", "/nonexistent"),
    ] {
        let issuer = Issuer::init();
        issuer.configure(more, narrows_tests::issuer::PACK);
        let told = issuer.start_refused();
        assert!(told.code == Some(1) && told.errors.contains(named) && told.errors.contains("CONFIG_INVALID"), "{more}: {told:?}");
    }
    let issuer = Issuer::init();
    issuer.configure("", "pack = \"x\"\nversion = 1\n");
    issuer.start_refused().refused("PACK_MALFORMED");
    assert_eq!(run(["serve"]).code, Some(2), "bad arguments");
    assert_eq!(run(["token", "inspect", "x"]).code, Some(2), "bad arguments");
}
