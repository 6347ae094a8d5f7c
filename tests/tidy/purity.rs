//! The verifier and the policies know no clock, files, sockets, environment or entropy.

use super::sources::{Source, assert_none, required_text, shipped};

const PURE: [&str; 2] = ["verifier", "policies"];

const BANNED_METHODS: [&str; 4] =
    ["std::time::SystemTime::now", "std::time::Instant::now", "time::OffsetDateTime::now_utc", "std::env::var"];
const BANNED_TYPES: [&str; 4] = ["std::fs::File", "std::net::TcpStream", "std::net::TcpListener", "std::net::UdpSocket"];

/// What clippy's list can't name whole: a module of many functions, or a crate's door to entropy.
const BANNED_MODULES: [&str; 4] = ["fs", "env", "process", "thread"];
const BANNED_WORDS: [&str; 9] =
    ["SystemTime", "Instant", "now_utc", "now_local", "TcpStream", "UdpSocket", "OsRng", "thread_rng", "getrandom"];

#[test]
fn clippy_bans_clock_files_and_sockets_in_pure_crates() {
    let mut missing = Vec::new();
    for name in PURE {
        let file = format!("{name}/clippy.toml");
        let lints: toml::Table = required_text(&file).parse().unwrap();
        for (list, paths) in [("disallowed-methods", BANNED_METHODS), ("disallowed-types", BANNED_TYPES)] {
            let banned: Vec<_> = lints[list].as_array().unwrap().iter().map(|entry| entry["path"].as_str().unwrap()).collect();
            missing.extend(paths.iter().filter(|path| !banned.contains(path)).map(|path| format!("{file}: {list} lacks {path}")));
        }
    }
    assert_none("bans of the pure crates", &missing);
}

#[test]
fn pure_crates_name_no_source_of_effects() {
    let mut offences = Vec::new();
    for source in shipped().iter().filter(|source| PURE.iter().any(|name| source.file.starts_with(name))) {
        let words = BANNED_WORDS.iter().flat_map(|word| source.mentions(word).into_iter().map(move |line| (*word, line)));
        let named = words.chain(standard_modules(source).filter(|(name, _)| BANNED_MODULES.contains(name)));
        offences.extend(named.map(|(name, line)| format!("{}:{line} names {name}", source.file)));
    }
    assert_none("purity", &offences);
}

/// Every name that directly follows `std::`, also in a braced list.
fn standard_modules(source: &Source) -> impl Iterator<Item = (&str, usize)> {
    let tokens = &source.tokens;
    let text = move |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let starts = (0..tokens.len()).filter(move |&at| text(at) == "std" && text(at + 1) == "::");
    starts.flat_map(move |start| {
        let (mut depth, mut named) = (0usize, Vec::new());
        for token in tokens.iter().skip(start + 2) {
            match token.text.as_str() {
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                word if depth <= 1 => named.push((word, token.line)),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        named
    })
}
