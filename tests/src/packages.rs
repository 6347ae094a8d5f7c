//! Packages of other languages, from committed lock files. A test that needs them fails where they can't be had, and never skips
//! itself.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The folder below `tests/`, with the packages of its `package-lock.json` installed.
pub fn node(folder: &str) -> PathBuf {
    installed("npm-ci", folder)
}

/// The Python of the folder below `tests/`, with the packages of its `requirements.txt`.
pub fn python(folder: &str) -> PathBuf {
    installed("pip-ci", folder).join(".venv/bin/python")
}

fn installed(script: &str, folder: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tests.join(folder);
    let status =
        Command::new(tests.join(script)).arg(&folder).status().unwrap_or_else(|error| panic!("starting `tests/{script}`: {error}"));
    assert!(status.success(), "`tests/{script}` failed in {}: {status}", folder.display());
    folder
}
