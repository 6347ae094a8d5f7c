//! What the same work costs in Narrows and in comparable libraries, side by side in one process: a table in Markdown.
//!
//! `cargo run --release --manifest-path tests/peers/Cargo.toml [-- --samples N]`. The method is in `docs/performance.md`.

mod biscuit;
mod floor;
mod hessra;
mod intent;
mod macaroons;
mod machine;
mod measure;
mod narrowings;
mod narrows;
mod tenuo_warrant;

use std::process::ExitCode;

use measure::{Cell, Row};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let samples = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => 2_000,
        ["--samples", count] => match count.parse() {
            Ok(count) => count,
            Err(_) => return usage(),
        },
        _ => return usage(),
    };
    let mut rows = rows();
    let before = machine::load();
    measure::run(&mut rows, samples);
    println!("{}\n", machine::describe(&before, samples));
    println!("{}", measure::table(&SYSTEMS, &rows));
    println!("{}", narrowings::table());
    ExitCode::SUCCESS
}

/// The columns, in the order of every row's cells.
const SYSTEMS: [&str; 5] = ["Narrows", "tenuo 0.3.5", "hessra-cap 0.4.0", "biscuit-auth 6.0.0", "macaroon 0.3.0"];

fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row::new("mint: claims to bytes", [narrows::mint(), tenuo_warrant::mint(), hessra::mint(), biscuit::mint(), macaroons::mint()]),
        Row::new("hop: bytes to bytes", [narrows::hop(), tenuo_warrant::hop(), hessra::hop(), biscuit::hop(), macaroons::hop()]),
    ];
    for depth in [1, 3, 8] {
        rows.push(Row::new(
            &format!("cold: bytes to decision, proof included where there is one, depth {depth}"),
            [narrows::cold(depth), tenuo_warrant::cold(depth), hessra::cold(depth), biscuit::cold(depth), macaroons::cold(depth)],
        ));
    }
    for depth in [3, 8] {
        let none = || Cell::Absent("no memory of keys: as cold");
        rows.push(Row::new(
            &format!("cold, by agents that were met before, depth {depth}"),
            [narrows::cold_of_known_agents(depth), none(), none(), none(), none()],
        ));
    }
    let same = || Cell::Absent("its constraints are not on one tool: as above");
    rows.push(Row::new(
        "cold, depth 8, the constraints on both tools",
        [narrows::cold_wide(8), tenuo_warrant::cold_wide(8), same(), same(), same()],
    ));
    for depth in [3, 8, 16] {
        let none = || Cell::Absent("no cache of prefixes: as cold");
        rows.push(Row::new(
            &format!("child of a known parent, proof included, depth {depth}"),
            [narrows::child_of_known(depth), none(), none(), none(), none()],
        ));
    }
    let none = || Cell::Absent("no cache: as cold");
    rows.push(Row::new(
        "warm: text seen before to decision, session proof included, depth 3",
        [narrows::warm(), none(), none(), none(), none()],
    ));
    rows.push(Row::new(
        "decision alone: token verified before, no proof, depth 3",
        [narrows::decision(), tenuo_warrant::decision(), hessra::decision(), biscuit::decision(), macaroons::decision()],
    ));
    for depth in [1, 3, 8, 9] {
        rows.push(Row::new(
            &format!("bytes of a token, depth {depth}"),
            [narrows::size(depth), tenuo_warrant::size(depth), hessra::size(depth), biscuit::size(depth), macaroons::size(depth)],
        ));
    }
    rows.extend(floor::rows());
    rows
}

fn usage() -> ExitCode {
    eprintln!("usage: narrows-peers [--samples N]");
    ExitCode::FAILURE
}
