//! Holder keys whose seed a test knows, and tokens made by hand with them.

use narrows::HolderKey;
use narrows_verifier::biscuit::{HopClaims, append_hop};
use rand_core::{CryptoRng, Error, OsRng, RngCore};

/// The SDK's key of this seed.
pub fn holder(seed: &[u8; 32]) -> HolderKey {
    HolderKey::generate_with(&mut Fixed(seed))
}

/// Fresh random bytes.
pub fn fresh<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

/// Appends a hop to the bytes of an open token, past every check that the SDK makes beforehand.
pub fn hop(parent: &[u8], seed: &[u8; 32], claims: &HopClaims) -> Vec<u8> {
    append_hop(parent, seed, claims, &fresh()).expect("a hop of the profile's form")
}

/// "Entropy" that is one given seed.
struct Fixed<'a>(&'a [u8; 32]);

impl RngCore for Fixed<'_> {
    fn next_u32(&mut self) -> u32 {
        u32::from_le_bytes([self.0[0], self.0[1], self.0[2], self.0[3]])
    }

    fn next_u64(&mut self) -> u64 {
        self.next_u32().into()
    }

    fn fill_bytes(&mut self, into: &mut [u8]) {
        into.copy_from_slice(self.0);
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(into);
        Ok(())
    }
}

impl CryptoRng for Fixed<'_> {}
