//! One door per dependency: a crate that a later release may change is met in one place.

use super::sources::{assert_none, shipped};

/// Crate, and the paths (a folder ends in `/`) that may name it.
const DOORS: [(&str, &[&str]); 15] = [
    ("biscuit_auth", &["verifier/src/biscuit/"]),
    ("biscuit_parser", &["verifier/src/biscuit/"]),
    ("axum", &["issuer/src/http/", "issuer/src/main.rs"]),
    ("rusqlite", &["issuer/src/store/sqlite"]),
    ("chacha20poly1305", &["issuer/src/age/", "issuer/src/store/sqlite_subjects.rs"]),
    ("scrypt", &["issuer/src/age/"]),
    ("rustix", &["issuer/src/machine.rs"]),
    ("jsonwebtoken", &["issuer/src/jose/"]),
    ("reqwest", &["issuer/src/egress/", "sdk/src/http.rs"]),
    ("tokio_rustls", &["issuer/src/http/tls/"]),
    ("rustls", &["issuer/src/http/tls/"]),
    ("p256", &["verifier/src/proof/dpop/"]),
    ("hyper", &["issuer/src/http/"]),
    ("hyper_util", &["issuer/src/http/"]),
    ("utoipa", &["issuer/src/http/openapi/"]),
];

/// Who may append a leaf without waiting for required witnesses: the log itself, the one door of the service, which waits, and a
/// load generator that serves nobody.
const APPENDERS: [&str; 3] = ["issuer/src/log/", "issuer/src/record.rs", "issuer/src/cli/bench/"];

#[test]
fn every_leaf_of_the_service_goes_through_the_door_that_waits_for_witnesses() {
    let mut offences = Vec::new();
    let mut appends = 0;
    for source in shipped().iter().filter(|source| source.file.starts_with("issuer/src/")) {
        let called =
            source.tokens.windows(4).filter(|tokens| tokens.iter().map(|token| token.text.as_str()).eq(["log", ".", "append", "("]));
        for call in called {
            appends += 1;
            if !APPENDERS.iter().any(|door| source.file.starts_with(door)) {
                offences.push(format!("{}:{} appends past `record::append`", source.file, call[0].line));
            }
        }
    }
    assert!(appends > 0, "the pattern no longer finds the door itself");
    assert_none("one door to the log", &offences);
}

#[test]
fn a_dependency_is_met_only_at_its_door() {
    let mut offences = Vec::new();
    for source in shipped() {
        for (name, doors) in DOORS.iter().filter(|(_, doors)| !doors.iter().any(|door| source.file.starts_with(door))) {
            let lines = source.references(name);
            offences.extend(lines.iter().map(|line| format!("{}:{line} names {name}; its door is {doors:?}", source.file)));
        }
    }
    assert_none("one door per dependency", &offences);
}
