//! The nonces that DPoP proofs at the token endpoint must carry (RFC 9449 §8), made and recognised without keeping any.
//!
//! A nonce proves that a proof was made in the last two minutes, whatever the client's clock says. It is not used up: what
//! makes a proof good for one use is its `jti`.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Makes and recognises nonces. No Debug: whoever has the key can make nonces for times to come.
pub struct DpopNonces {
    key: Zeroizing<[u8; 64]>,
}

impl DpopNonces {
    /// Takes fresh randomness. It is kept nowhere: after a restart, clients are sent a new nonce once.
    pub fn new(key: [u8; 64]) -> Self {
        Self { key: Zeroizing::new(key) }
    }

    /// The nonce to hand out at this time, in seconds since the Unix epoch.
    pub fn current(&self, now_s: u64) -> String {
        self.of(now_s / BUCKET_SECONDS)
    }

    /// When the nonce ceases to be good, in seconds since the Unix epoch, if it is the one of this minute or of the one before.
    pub fn good_until(&self, nonce: &str, now_s: u64) -> Option<u64> {
        let newest = now_s / BUCKET_SECONDS;
        let made_in = |bucket: u64| bool::from(nonce.as_bytes().ct_eq(self.of(bucket).as_bytes()));
        let bucket = [newest, newest.saturating_sub(1)].into_iter().find(|bucket| made_in(*bucket))?;
        Some(bucket.saturating_add(2).saturating_mul(BUCKET_SECONDS))
    }

    fn of(&self, bucket: u64) -> String {
        let mut mac = Hmac::<Sha256>::new((&*self.key).into());
        mac.update(&bucket.to_be_bytes());
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }
}

const BUCKET_SECONDS: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_for_its_minute_and_the_next() {
        let nonces = DpopNonces::new([1; 64]);
        let nonce = nonces.current(600);
        let until = Some(720);
        for (now_s, good) in [(599, None), (600, until), (659, until), (660, until), (719, until), (720, None), (0, None)] {
            assert_eq!(nonces.good_until(&nonce, now_s), good, "{now_s}");
        }
        assert_ne!(nonce, nonces.current(660));
    }

    #[test]
    fn a_nonce_that_this_service_did_not_make_is_not_accepted() {
        let nonces = DpopNonces::new([1; 64]);
        let good = nonces.current(600);
        let stranger = DpopNonces::new([2; 64]).current(600);
        for nonce in ["", "x", "10", stranger.as_str(), good.get(1..).unwrap(), &format!("{good}="), &good.to_uppercase()] {
            assert_eq!(nonces.good_until(nonce, 600), None, "{nonce}");
        }
    }
}
