//! A key that nothing was signed with.

use std::path::{self, PathBuf};

use narrows_verifier::Reason;
use rand_core::CryptoRngCore;

use super::Place;
use crate::{
    age::Unlock,
    keys::{KeyError, KeyRole, SecretKey, root_key_id},
};

/// Makes a key in its file, and gives its number. It is not published so far.
///
/// # Errors
/// A reason of key files.
pub fn new_key(place: &Place, unlock: &Unlock, random: &mut impl CryptoRngCore) -> Result<(u32, PathBuf), KeyError> {
    let key = SecretKey::generate(KeyRole::Issuer, random);
    let kid = root_key_id(key.public_key().as_bytes());
    // The state of the keys names it, and is read in whatever directory the service starts next.
    let file = path::absolute(place.key_file(kid)).map_err(|error| KeyError {
        reason: Reason::KeyFileMissing,
        message: format!("the current directory is not to be had: {error}"),
    })?;
    key.write_new_sealed(&file, unlock, random)?;
    Ok((kid, file))
}
