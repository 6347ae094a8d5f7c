//! The decision on one call: every caveat of every block, and what to say when one fails.

use core::fmt;

use crate::{
    Call, Caveat, Maker, Reason, VerifiedToken,
    datalog::Facts,
    json::Value,
    state::{Needs, State},
    steps::Steps,
};

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
    /// The caveat's place in its block, from 0.
    pub place: usize,
    /// Who added it, as far as the chain tells: `issuer`, the name of the hop's signer, or `holder` for a plain block.
    pub added_by: String,
    /// What would have had to be supplied with the call, where nothing was.
    pub needs: Option<Needs>,
    /// The caveat.
    pub caveat: Caveat,
}

impl VerifiedToken {
    /// Whether this token permits this call, by what the call itself says. It does not say that the presenter holds it:
    /// that takes a proof.
    ///
    /// # Errors
    /// As [`VerifiedToken::decide_with`]; a caveat that needs state denies.
    pub fn decide(&self, call: &Call<'_>) -> Result<(), Denial> {
        self.decide_with(call, &State::default())
    }

    /// The same, for a verifier that knows the state that this token's caveats need.
    ///
    /// # Errors
    /// A denial that names each failed caveat with its block; or `JSON_MALFORMED` for arguments that are no object, or
    /// `COST_BOUND` when the decision would take more than [`MAX_STEPS`](crate::MAX_STEPS) steps, each without a caveat to blame.
    pub fn decide_with(&self, call: &Call<'_>, state: &State) -> Result<(), Denial> {
        self.decide_by(call, state, |_| true)
    }

    /// Whether the token may be shown at this audience and time at all, whatever it is shown for: what caveats on these two say.
    ///
    /// For requests that run no tool, such as one for the list of tools. No caveat on tools or arguments is looked at, so it
    /// permits nothing.
    ///
    /// # Errors
    /// As [`VerifiedToken::decide`].
    pub fn admit_at(&self, audience: &str, time: u64) -> Result<(), Denial> {
        let call = Call { tool: "", arguments: &Value::object([]), audience, time };
        let of_place_and_time =
            |caveat: &Caveat| matches!(caveat, Caveat::Audience(_) | Caveat::Expires(_) | Caveat::NotBefore(_) | Caveat::TimeWindow(_));
        self.decide_by(&call, &State::default(), of_place_and_time)
    }

    /// Whether the caveats on tools leave this one. The others may deny each call of it.
    pub fn grants(&self, tool: &str) -> bool {
        self.blocks.iter().flat_map(|block| block.caveats.iter()).all(|caveat| match caveat {
            Caveat::Tools(tools) => tools.cover(tool),
            Caveat::NotTools(tools) => !tools.cover(tool),
            _ => true,
        })
    }

    /// The decision by those caveats that are to be looked at.
    fn decide_by(&self, call: &Call<'_>, state: &State, looked_at: impl Fn(&Caveat) -> bool) -> Result<(), Denial> {
        if call.arguments.as_object().is_none() {
            return Err(Denial::outright(Reason::JsonMalformed));
        }
        let depth = self.depth();
        let mut steps = Steps::of_one_decision();
        let mut failures = Vec::new();
        for (block, caveats) in self.blocks.iter().map(|block| &block.caveats).enumerate() {
            for (place, caveat) in caveats.iter().enumerate().filter(|(_, caveat)| looked_at(caveat)) {
                match caveat.holds(call, depth, state, &mut steps) {
                    Ok(()) => {}
                    Err(reason @ (Reason::CostBound | Reason::JsonTooLarge)) => return Err(Denial::outright(reason)),
                    Err(reason) => {
                        let needs = caveat.needs().filter(|needs| needs.reason() == reason);
                        failures.push(Failure { reason, block, place, added_by: self.added_by(block), needs, caveat: caveat.clone() });
                    }
                }
            }
        }
        match failures.first() {
            None => Ok(()),
            Some(first) => Err(Denial { reason: first.reason, failures }),
        }
    }

    /// The facts that this decision is about, as the Biscuit engine would be given them: those of the call, and those that
    /// the state says of this token's caveats.
    ///
    /// # Errors
    /// As [`Call::facts`].
    pub fn facts(&self, call: &Call<'_>, state: &State) -> Result<Facts, Reason> {
        let mut facts = call.facts(self.depth())?;
        state.add_to(&mut facts, self.blocks.iter().flat_map(|block| block.caveats.iter()))?;
        Ok(facts)
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
                let caveat = first.caveat.sentence();
                write!(formatter, "{}: block {}, added by {}: {caveat}", self.reason, first.block, first.added_by.escape_debug())?;
                match first.needs {
                    None => Ok(()),
                    Some(needs) => write!(formatter, "; this takes {}", needs.supplied_by()),
                }
            }
        }
    }
}

impl core::error::Error for Denial {}
