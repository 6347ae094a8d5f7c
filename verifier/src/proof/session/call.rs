//! The proof that goes with each call of a session: 57 bytes, 76 characters.

use core::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::key::SessionKey;
use crate::{Reason, proof::PossessionClaims};

/// A session proof: version, session, counter, MAC. Its size is fixed, and reading it allocates nothing.
///
/// It can't be compared: whether a MAC is right is told in constant time by the session alone.
#[derive(Clone, Copy)]
pub struct SessionProof {
    pub(super) session: [u8; 16],
    pub(super) counter: u64,
    pub(super) mac: [u8; 32],
}

impl SessionProof {
    /// Reads the text form.
    ///
    /// # Errors
    /// `SESSION_MALFORMED` for anything but 76 characters of base64url that start with version 1.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        if text.len() != TEXT {
            return Err(Reason::SessionMalformed);
        }
        // 57 bytes are 19 groups of three: no bits are left over that could differ
        let mut bytes = [0; BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).map_err(|_| Reason::SessionMalformed)?;
        let [version, rest @ ..] = bytes;
        if length != BYTES || version != VERSION {
            return Err(Reason::SessionMalformed);
        }
        let (session, rest) = rest.split_first_chunk().ok_or(Reason::SessionMalformed)?;
        let (counter, mac) = rest.split_first_chunk().ok_or(Reason::SessionMalformed)?;
        let mac = mac.try_into().map_err(|_| Reason::SessionMalformed)?;
        Ok(Self { session: *session, counter: u64::from_be_bytes(*counter), mac })
    }

    /// The id of the session, by which the tool finds it. Nothing has been checked.
    pub fn unverified_session(&self) -> &[u8; 16] {
        &self.session
    }

    pub(super) fn sign(key: &SessionKey, session: [u8; 16], counter: u64, call: &PossessionClaims<'_>) -> Self {
        Self { session, counter, mac: key.mac(&session, counter, call) }
    }
}

impl fmt::Display for SessionProof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[VERSION], self.session.as_slice(), &self.counter.to_be_bytes(), &self.mac].concat();
        formatter.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

const VERSION: u8 = 1;
const BYTES: usize = 57;
const TEXT: usize = 76;
