//! Receipts under one trust policy, with a memory of what satisfied it.

use std::sync::Arc;

use super::policy::Policy;
use super::receipts::{MAX_RECEIPTS_BYTES, ReceiptDemand, check_receipts};
use super::refusal::LogRefusal;
use crate::VerifiedToken;
use crate::cache::Cache;

/// Checks the receipts beside tokens under one trust policy, and remembers texts that satisfied it for a token.
///
/// The memory changes no answer: what it keeps follows from the policy, the token's newest block and the text's exact bytes, none
/// of which can change. Another policy is another value, with an empty memory. Refusals are not remembered.
pub struct ReceiptVerifier {
    policy: Policy,
    satisfied: Cache<()>,
}

impl ReceiptVerifier {
    /// Remembers at most about `texts` texts of receipts, of at most 4 KiB on average; with 0 nothing. The seed is fresh
    /// randomness.
    pub fn new(policy: Policy, texts: usize, seed: [u64; 2]) -> Self {
        Self { policy, satisfied: Cache::new(texts, texts.saturating_mul(AVERAGE_BYTES), seed) }
    }

    /// Checks that the token's derivations are in a log of the policy, as far as `demand` goes, from the receipts in `text`.
    ///
    /// # Errors
    /// As [`check_receipts`] with [`Policy::verify_receipt`].
    pub fn check(&self, token: &VerifiedToken, text: &str, demand: ReceiptDemand) -> Result<(), LogRefusal> {
        let check = || check_receipts(token, text, demand, |receipt, leaf| self.policy.verify_receipt(receipt, leaf));
        // What is refused for its size or was not looked at is not worth a place.
        if demand == ReceiptDemand::None || text.len() > MAX_RECEIPTS_BYTES {
            return check();
        }
        let key = key(token, text);
        if self.satisfied.find(demand as u64, &key).is_some() {
            return Ok(());
        }
        check()?;
        self.satisfied.keep(demand as u64, &key, Arc::new(()));
        Ok(())
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How many texts are remembered.
    pub fn remembered(&self) -> usize {
        self.satisfied.len()
    }
}

/// All that the answer depends on but policy and demand. A block's id is a digest of its chain, entries and task among it, so a
/// parent's receipts never pass for its child's.
fn key(token: &VerifiedToken, text: &str) -> Vec<u8> {
    [token.newest().as_bytes(), text.as_bytes()].concat()
}

/// A token with two or three hops; where they are larger, fewer are remembered.
const AVERAGE_BYTES: usize = 4 * 1024;
