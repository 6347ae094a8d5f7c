//! What a person sees first: `narrows demo`, and the lines that `narrows serve --dev` prints.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use narrows_tests::{
    program::{self, Ran, narrows},
    scratch::Scratch,
};

#[test]
fn the_demo_tells_the_truth() {
    let started = Instant::now();
    let told = program::run(["demo"]).succeeded();
    assert!(started.elapsed() < Duration::from_secs(10), "the demo took {:?}", started.elapsed());
    let mut rest = told.as_str();
    for next in [
        "TOOL_NOT_IN_POLICY",
        "allowed",
        "ARGUMENT_REFUSED",
        "added by planner",
        "ARGUMENT_NOT_LISTED",
        "TOOL_NOT_GRANTED",
        "PROOF_REPLAYED",
        "PROOF_SIGNATURE",
        "alice",
        "planner",
        "executor",
        "LOG_RECEIPT_INVALID",
    ] {
        let place = rest.find(next).unwrap_or_else(|| panic!("no `{next}` where it is due in: {told}"));
        rest = &rest[place + next.len()..];
    }
    assert!(told.contains("ARGUMENT_ABOVE_POLICY"), "{told}");
}

#[test]
fn development_mode_stays_on_loopback() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let told = program::run(["serve", "--dev", "--listen", address]);
        assert_eq!(told.code, Some(1), "{told:?}");
        assert!(told.errors.contains("loopback") && told.out.is_empty(), "{told:?}");
    }
}

#[test]
fn the_printed_lines_of_development_mode_work_as_they_stand() {
    let scratch = Scratch::new();
    let (data, work) = (scratch.join("data"), scratch.join("work"));
    std::fs::create_dir(&work).unwrap();
    let mut serve = Command::new(narrows());
    serve.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
    let serve = serve.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut serving = Serving(serve);
    let mut script = String::from("set -euo pipefail\n");
    let mut reader = BufReader::new(serving.0.stdout.take().unwrap());
    let mut line = String::new();
    let mut printed = false;
    while !line.starts_with("narrows audit verify") {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the lines end early: {script}");
        // the head says where it runs; the lines to copy begin with the first comment
        printed |= line.starts_with('#');
        if printed {
            script.push_str(&line);
        }
    }
    let path = format!("{}:{}", narrows().parent().unwrap().display(), std::env::var("PATH").unwrap());
    let bash = Command::new("bash").arg("-c").arg(&script).current_dir(&work).env("PATH", path).stdin(Stdio::null()).output().unwrap();
    let ran = Ran::new(bash);
    let told = ran.succeeded();
    assert!(told.contains("receipts     1 of 1"), "{told}");
    for shown in ["planner", "crm.read", "payments.send", "alice", "in order"] {
        assert!(told.contains(shown), "no `{shown}` in {told}");
    }
}

struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        // it may have ended by itself; then there is nothing left to stop
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}
