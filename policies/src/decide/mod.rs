//! What a pack says to one request.

mod asked;
mod grant;
mod shortfall;

use core::fmt;
use std::collections::BTreeSet;

use narrows_verifier::{Caveat, Reason, caveat::Tools};

use self::{asked::Asked, grant::grant, shortfall::Shortfall};
use crate::{MintRequest, Pack, condition::MAX_DECISION_COST, pack::Rule};

/// What may be minted: the caveats of the authority block and who decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The name of the rule that decided.
    pub rule: String,
    /// Tools, audience, expires and depth, one each; then the client's further caveats, the rule's ceilings, and what the
    /// ceilings of the request say beside.
    pub caveats: Vec<Caveat>,
    /// The tools, as in the tools caveat.
    pub tools: Tools,
    /// The scopes of the pack whose tools are all granted, for the answer's `scope`. Arguments may be bounded all the same.
    pub scopes: BTreeSet<String>,
    /// Whether the token is bound to no key. It is to be sealed then; its depth is 0.
    pub bearer: bool,
    /// Seconds since the Unix epoch, as in the expires caveat.
    pub expires_s: u64,
    /// Whether the token ends earlier than the client asked.
    pub clamped: bool,
    /// Whether the token names the subject in clear; otherwise by a pairwise pseudonym.
    pub reveal_subject: bool,
}

/// Why nothing may be minted. `detail` quotes the request and what a rule grants, never a condition or a claim; it is
/// for the client that asked and belongs in no leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRefusal {
    /// The stable reason.
    pub reason: Reason,
    /// The rule that matched and granted less, where there is one.
    pub rule: Option<String>,
    /// What was asked that is not granted, in words.
    pub detail: String,
}

impl fmt::Display for PolicyRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.reason, self.detail)
    }
}

impl core::error::Error for PolicyRefusal {}

impl Pack {
    /// Decides on a request at a time in seconds since the Unix epoch.
    ///
    /// The first rule whose condition holds and which grants all that is requested decides alone: rules never add up, so no
    /// combination grants what none of them says.
    ///
    /// # Errors
    /// `SCOPE_UNKNOWN`; `POLICY_DENIED` when no condition holds; what the nearest rule lacks as `SCOPE_NOT_IN_POLICY`,
    /// `TOOL_NOT_IN_POLICY`, `AUDIENCE_NOT_IN_POLICY`, `BEARER_NOT_IN_POLICY` or `SCOPE_MISSING`; `…_ABOVE_CEILING` for what is
    /// beyond one of the request's ceilings; `ARGUMENT_ABOVE_POLICY`, `DEPTH_ABOVE_POLICY`, `NO_LIFE_LEFT`, `AUDIENCE_EMPTY` or
    /// `SCOPE_TOO_WIDE` from the rule that decides; `POLICY_COST`, `TOO_MANY_CHECKS`, `CAVEAT_MALFORMED` or
    /// `CAVEAT_NAMES_NO_TOOL` for a request outside the bounds.
    pub fn decide(&self, request: &MintRequest, now_s: u64) -> Result<Grant, PolicyRefusal> {
        request.bounded().map_err(PolicyRefusal::outright)?;
        let facts = request.facts().map_err(PolicyRefusal::outright)?;
        let asked = Asked::of(request, &self.scopes)?;
        let mut budget = MAX_DECISION_COST;
        let mut nearest: Option<Shortfall> = None;
        for rule in &self.rules {
            if !rule.when.holds(&facts, &mut budget).map_err(PolicyRefusal::outright)? {
                continue;
            }
            let shortfall = Shortfall::of(rule, &asked);
            if shortfall.size() == 0 {
                return grant(rule, &asked, &self.scopes, now_s);
            }
            if nearest.as_ref().is_none_or(|nearest| shortfall.size() < nearest.size()) {
                nearest = Some(shortfall);
            }
        }
        Err(nearest.map_or_else(|| PolicyRefusal::outright(Reason::PolicyDenied), Shortfall::refusal))
    }
}

impl PolicyRefusal {
    /// A refusal that no rule is behind.
    pub(crate) fn of(reason: Reason, detail: String) -> Self {
        Self { reason, rule: None, detail }
    }

    fn outright(reason: Reason) -> Self {
        Self::of(reason, reason.meaning().to_owned())
    }

    fn by(rule: &Rule, reason: Reason, detail: String) -> Self {
        Self { reason, rule: Some(rule.name.clone()), detail }
    }
}

#[cfg(test)]
mod tests;
