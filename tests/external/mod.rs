//! The test data of other projects, read where it lies: `tests/run --external DIR`.

mod biscuit_samples;
mod merkle_proofs;

use std::path::PathBuf;

/// The folder that holds the data; a test that asks for it is ignored unless `tests/run` names one.
fn folder() -> PathBuf {
    std::env::var_os("NARROWS_EXTERNAL").expect("NARROWS_EXTERNAL names no folder; run `tests/run --external DIR`").into()
}
