//! Caveats decided on a call: no facts are built and, where the call is allowed, nothing is allocated.

use std::collections::BTreeSet;

use super::{Caveat, LabelRule};
use crate::{
    Call, Reason,
    json::Value,
    state::{Needs, State},
    steps::Steps,
};

impl Caveat {
    /// Whether this caveat alone permits the call of a token with `depth` hops.
    pub fn permits(&self, call: &Call<'_>, depth: usize, state: &State) -> bool {
        self.holds(call, depth, state, &mut Steps::of_one_decision()).is_ok()
    }

    /// Whether this caveat holds for the call of a token with `depth` hops.
    ///
    /// # Errors
    /// Its [`refusal`](Caveat::refusal), the reason of what it [`needs`](Caveat::needs) and was not told, or `COST_BOUND`, which ends the
    /// decision.
    pub(crate) fn holds(&self, call: &Call<'_>, depth: usize, state: &State, steps: &mut Steps) -> Result<(), Reason> {
        steps.take(1)?;
        if self.only_for().is_some_and(|tool| tool != call.tool) {
            return Ok(());
        }
        let holds = match self {
            Caveat::Tools(tools) => tools.cover(call.tool),
            Caveat::NotTools(tools) => !tools.cover(call.tool),
            Caveat::Argument(argument) => {
                steps.take(argument.path.depth().saturating_mul(LOOKUP_STEPS))?;
                match argument.path.find(call.arguments) {
                    Some(value) => argument.is.accepts(value, steps)?,
                    None => false,
                }
            }
            Caveat::ClosedArguments(closed) => {
                steps.take(closed.at.depth().saturating_mul(LOOKUP_STEPS))?;
                match closed.at.find(call.arguments) {
                    Some(Value::Object(members)) => {
                        steps.take(members.len().saturating_mul(LOOKUP_STEPS))?;
                        members.keys().all(|key| closed.names.contains(key.0.as_str()))
                    }
                    _ => false,
                }
            }
            Caveat::Audience(audiences) => audiences.contains(call.audience),
            Caveat::Expires(at) => call.time < *at,
            Caveat::NotBefore(at) => call.time >= *at,
            Caveat::TimeWindow(window) => window.test(call.time) == Some(true),
            Caveat::Depth(max) => depth <= *max as usize,
            Caveat::Calls(calls) => told(state.calls.get(&calls.name), Needs::Counter)? < &calls.max,
            Caveat::SingleUse(single) => *told(state.calls.get(&single.name), Needs::Counter)? == 0,
            Caveat::Budget(budget) => {
                let spend = told(state.spend.get(&budget.name), Needs::Spend)?;
                budget.max.test(spend) == Some(true)
            }
            Caveat::RequiresPrior(prior) => {
                let history = told(state.history.as_ref(), Needs::History)?;
                steps.take(prior.actions.len().saturating_mul(LOOKUP_STEPS))?;
                prior.actions.iter().all(|action| history.contains(action))
            }
            Caveat::ForbidsPrior(prior) => {
                let history = told(state.history.as_ref(), Needs::History)?;
                steps.take(prior.actions.len().saturating_mul(LOOKUP_STEPS))?;
                !prior.actions.iter().any(|action| history.contains(action))
            }
            Caveat::Labels(labels) => {
                let touched = told(state.labels.as_ref(), Needs::Labels)?;
                let (LabelRule::NoneOf(named) | LabelRule::Within(named)) = &labels.rule;
                steps.take(touched.len().saturating_add(named.len()).saturating_mul(LOOKUP_STEPS))?;
                match &labels.rule {
                    LabelRule::NoneOf(denied) => denied.is_disjoint(touched),
                    LabelRule::Within(allowed) => touched.is_subset(allowed),
                }
            }
            Caveat::Approval(approval) => told(state.approvals.get(&approval.name), Needs::Approvals)? >= &approval.count,
            Caveat::Directive(directive) => {
                let same = |(plane, values): &(_, BTreeSet<String>)| *plane == directive.plane && *values == directive.values;
                steps.take(state.enforced.len().saturating_mul(LOOKUP_STEPS))?;
                state.enforced.iter().any(same)
            }
            Caveat::Datalog(check) => {
                let facts = call.facts(depth)?;
                steps.take(usize::try_from(facts.cost(check)).unwrap_or(usize::MAX))?;
                facts.satisfy(check)
            }
        };
        if holds { Ok(()) } else { Err(self.refusal()) }
    }
}

fn told<T>(value: Option<T>, needs: Needs) -> Result<T, Reason> {
    value.ok_or(needs.reason())
}

/// Most comparisons of one lookup among a thousand names.
const LOOKUP_STEPS: usize = 10;
