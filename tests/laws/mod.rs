//! The laws of the token, over random tokens and calls, and a test for each measured way to break a careless verifier.
//!
//! `PROPTEST_CASES` scales the number of cases: 256 is once, 2560 ten times as many.

mod attacks;
mod attenuation;
mod caches;
mod catalogue;
mod corpus;
mod delegation_tree;
mod determinism;
mod dialects;
mod differential;
mod effective;
mod evidence;
mod feed;
mod generate;
mod narrowing;
mod parsers;
mod pitfalls;
mod proofs;
mod retention;
mod revocation;

use proptest::test_runner::Config;

/// So many cases, scaled by the environment.
pub(crate) fn cases(count: u32) -> Config {
    let scale = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or(256);
    let cases = u64::from(count) * scale / 256;
    Config { cases: u32::try_from(cases.max(1)).unwrap_or(u32::MAX), failure_persistence: None, ..Config::default() }
}
