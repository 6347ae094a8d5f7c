//! The tool's own key: it signs the acceptance of sessions and nothing else.

use std::path::Path;

use narrows_verifier::{PublicKey, public_key};
use rand_core::{OsRng, RngCore as _};
use zeroize::Zeroizing;

use crate::{
    KeyError,
    key::{read_seed, write_seed},
};

/// An Ed25519 key by which agents know a tool server. Zeroized on drop; it can't be printed or cloned.
///
/// Agents pin its public half. Who has the key can take the tool's place in sessions, and so see and answer their calls.
pub struct ToolKey {
    seed: Zeroizing<[u8; 32]>,
}

impl ToolKey {
    /// Makes a key from the system's entropy.
    pub fn generate() -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        OsRng.fill_bytes(seed.as_mut());
        Self { seed }
    }

    /// Reads a key file: one line `narrows-key ed25519 tool <base64url seed>`.
    ///
    /// # Errors
    /// `KEY_FILE_MISSING`, `KEY_FILE_MODE` when others than the owner have any access, `KEY_FILE_MALFORMED` or `KEY_ROLE`.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        read_seed(path, ROLE).map(|seed| Self { seed })
    }

    /// Writes the key to a new file with mode 0600. An existing file is never overwritten.
    ///
    /// # Errors
    /// `KEY_FILE_EXISTS`, or `KEY_FILE_MISSING` when the directory can't be written.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyError> {
        write_seed(path, ROLE, &self.seed)
    }

    /// The public half, for agents to pin.
    pub fn public(&self) -> PublicKey {
        public_key(&self.seed)
    }

    pub(super) fn seed(&self) -> &[u8; 32] {
        &self.seed
    }
}

const ROLE: &str = "tool";

#[cfg(test)]
impl ToolKey {
    pub(super) fn of(byte: u8) -> Self {
        Self { seed: Zeroizing::new([byte; 32]) }
    }
}

#[cfg(test)]
mod tests {
    use narrows_verifier::Reason;

    use super::*;
    use crate::HolderKey;

    #[test]
    fn a_tools_key_and_a_holders_key_are_not_taken_for_each_other() {
        let folder = std::env::temp_dir().join(format!("narrows-tool-key-{:016x}", OsRng.next_u64()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("tool.key");
        let key = ToolKey::generate();
        key.write_new(&path).unwrap();
        assert_eq!(ToolKey::read(&path).ok().map(|read| read.public()), Some(key.public()));
        assert_eq!(HolderKey::read(&path).err().map(|error| error.reason), Some(Reason::KeyRole));
        assert_eq!(ToolKey::generate().write_new(&path).err().map(|error| error.reason), Some(Reason::KeyFileExists));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
