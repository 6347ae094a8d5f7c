//! The laws of the token, over random tokens and calls, and a test for each measured way to break a careless verifier.
//!
//! `NARROWS_LAW_SCALE` multiplies the number of cases of each. (`PROPTEST_CASES` would give all laws one and the same number.)

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
    let scale = std::env::var("NARROWS_LAW_SCALE").map_or(1, |text| text.parse().expect("NARROWS_LAW_SCALE is no number"));
    let once = Config::default();
    Config {
        cases: count.saturating_mul(scale),
        max_local_rejects: once.max_local_rejects.saturating_mul(scale),
        max_global_rejects: once.max_global_rejects.saturating_mul(scale),
        failure_persistence: None,
        ..once
    }
}
