//! A directory of one test, which goes away with it.

use std::{fs, os::unix::fs::DirBuilderExt, path::PathBuf};

use rand_core::{OsRng, RngCore};

/// An empty directory of mode 0700.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes the directory.
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("narrows-test-{:016x}", OsRng.next_u64()));
        fs::DirBuilder::new().mode(0o700).create(&path).expect("making a temporary directory");
        Self(path)
    }

    /// A path in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, text).expect("writing a file of the test");
        path
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // a directory that stays behind fails no promise
        let _removed = fs::remove_dir_all(&self.0);
    }
}
