//! The decision on one call: every caveat of every block, and what to say when one fails.

use core::fmt;

use crate::{Call, Caveat, Maker, Reason, VerifiedToken, datalog::MAX_COST};

/// Why a call was denied: every caveat that failed, in the order of the blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The reason of the first failure.
    pub reason: Reason,
    /// The caveats that failed; empty when the call was refused before any was looked at.
    pub failures: Vec<Failure>,
}

/// One failed caveat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stable reason.
    pub reason: Reason,
    /// The block that carries the caveat, counted from the authority block at 0.
    pub block: usize,
    /// Who added it, as far as the chain tells: `issuer`, the name of the hop's signer, or `holder` for a plain block.
    pub added_by: String,
    /// The caveat.
    pub caveat: Caveat,
}

impl VerifiedToken {
    /// Whether this token permits this call. It does not say that the presenter holds it: that takes a proof.
    ///
    /// # Errors
    /// A denial that names each failed caveat with its block, or `COST_BOUND`, `JSON_TOO_LARGE` before any is looked at.
    pub fn decide(&self, call: &Call<'_>) -> Result<(), Denial> {
        let facts = call.facts(self.depth()).map_err(Denial::outright)?;
        let mut failures = Vec::new();
        let mut cost = 0_u64;
        for (index, block) in self.blocks.iter().enumerate() {
            for caveat in &block.caveats {
                let check = caveat.check();
                cost = cost.saturating_add(facts.cost(&check));
                if cost > MAX_COST {
                    return Err(Denial::outright(Reason::CostBound));
                }
                if !facts.satisfy(&check) {
                    failures.push(Failure {
                        reason: caveat.refusal(),
                        block: index,
                        added_by: self.added_by(index),
                        caveat: caveat.clone(),
                    });
                }
            }
        }
        match failures.first() {
            None => Ok(()),
            Some(first) => Err(Denial { reason: first.reason, failures }),
        }
    }

    /// Who made a block: a hop is the word of the holder before it.
    fn added_by(&self, index: usize) -> String {
        match self.blocks.get(index).map(|block| &block.maker) {
            None | Some(Maker::Issuer { .. }) => "issuer".to_owned(),
            Some(Maker::Anyone) => "holder".to_owned(),
            Some(Maker::Delegator { signer, .. }) if *signer == self.root.key => "issuer".to_owned(),
            Some(Maker::Delegator { index, .. }) => {
                let before = usize::try_from(*index).unwrap_or(usize::MAX).saturating_sub(1);
                self.principals().nth(before).map_or_else(|| "holder".to_owned(), |(agent, ..)| agent.to_owned())
            }
        }
    }
}

impl Denial {
    /// A denial without a caveat to blame.
    pub fn outright(reason: Reason) -> Self {
        Self { reason, failures: Vec::new() }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failures.first() {
            None => write!(formatter, "{}: {}", self.reason, self.reason.meaning()),
            Some(first) => {
                write!(
                    formatter,
                    "{}: block {}, added by {}: {}",
                    self.reason,
                    first.block,
                    first.added_by.escape_debug(),
                    first.caveat.sentence()
                )
            }
        }
    }
}

impl core::error::Error for Denial {}
