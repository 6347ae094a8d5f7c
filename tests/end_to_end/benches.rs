//! The benches run against real services, and say what they measured.

use narrows_tests::{packages, program::run, scratch::Scratch};

/// The cells of the table's rows, without the head.
fn rows(told: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    told.lines().filter(|line| line.starts_with('|')).skip(2).map(cells).collect()
}

fn number(cell: &str) -> f64 {
    cell.parse().unwrap_or_else(|_| panic!("`{cell}` is no number"))
}

#[test]
fn exchanges_are_measured_with_logins_that_come_once_and_again() {
    let scratch = Scratch::new();
    let on = scratch.join("").to_string_lossy().into_owned();
    for (times, said) in [("1", "login, exchanged once"), ("7", "login, exchanged 7 times")] {
        let told = run(["bench", "load", "--callers", "1,3", "--requests", "60", "--each-login", times, "--on", &on]).succeeded();
        assert!(told.contains(said), "{told}");
        let rows = rows(&told);
        assert_eq!(rows.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), ["1", "3"]);
        assert!(rows.iter().flatten().all(|cell| number(cell) >= 0.0) && rows.iter().all(|row| number(&row[1]) > 0.0), "{told}");
    }
}

#[test]
fn another_authorization_server_stands_beside_ours() {
    let scratch = Scratch::new();
    let on = scratch.join("").to_string_lossy().into_owned();
    let peer = format!("node {}/server.mjs", packages::node("peers/oidc-provider").display());
    let load = |flow, peer| run(["bench", "load", "--flow", flow, "--callers", "2", "--requests", "60", "--on", &on, "--peer", peer]);
    let told = load("client-credentials", &peer).succeeded();
    let rows = rows(&told);
    assert!(rows[1][0].starts_with("2, oidc-provider ") && rows[1][4] == "none", "{told}");
    let ratio = number(&rows[0][1]) / number(&rows[1][1]);
    assert!(rows[2][0] == "ratio" && (number(&rows[2][1]) - ratio).abs() < 0.1 + ratio / 10.0, "{told}");

    // a login that the peer does not know can't be exchanged there
    load("exchange", &peer).refused("client-credentials");
    load("client-credentials", "/nonexistent/server").refused("does not start");
}
