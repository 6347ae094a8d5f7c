//! A directory of one test, which goes away with it.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use rand_core::{OsRng, RngCore};

/// An empty directory of mode 0700.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes the directory.
    pub fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// The same in memory, where this system has a place for that: for a test that brings a disk of its own.
    pub fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::below(memory) } else { Self::new() }
    }

    fn below(parent: &Path) -> Self {
        let path = parent.join(format!("narrows-test-{:016x}", OsRng.next_u64()));
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
