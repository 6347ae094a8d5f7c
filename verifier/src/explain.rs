//! Why a call was refused, for whoever has to do something about it.

use std::collections::BTreeSet;

use crate::{
    Call, Caveat, Effective, Failure, Maker, Reason, VerifiedToken,
    caveat::{Budget, Cost, write_time},
    json::{Pointer, Value},
    state::{Needs, State},
};

/// One failed caveat, told in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The stable reason.
    pub reason: Reason,
    /// The block that carries the caveat, counted from the authority block at 0.
    pub block: usize,
    /// The hop that the block belongs to: 0 for the authority block.
    pub hop: usize,
    /// Who added it, as in [`Failure`].
    pub added_by: String,
    /// The kind of the caveat.
    pub kind: &'static str,
    /// Who could supply what was missing, where that is why it failed.
    pub needs: Option<Needs>,
    /// What the caveat expects, in a sentence.
    pub expected: String,
    /// What the call had.
    pub actual: String,
    /// What all caveats of the token together would accept in this place.
    pub accepted: String,
}

/// Places among the arguments whose values an explanation must not show: what lies at them, below them, and what a caveat
/// expects there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Withheld(BTreeSet<(String, Pointer)>);

impl Withheld {
    /// No place is secret.
    pub fn none() -> Self {
        Self::default()
    }

    /// Marks a place among the arguments of a tool.
    #[must_use]
    pub fn with(mut self, tool: &str, path: Pointer) -> Self {
        self.0.insert((tool.to_owned(), path));
        self
    }

    /// Whether `path` is at or below a secret place, so that even names there are part of it.
    fn hide(&self, tool: &str, path: &str) -> bool {
        self.of(tool).any(|secret| under(path, secret))
    }

    /// Whether showing what lies at `path` would show something secret.
    fn cover(&self, tool: &str, path: &str) -> bool {
        self.of(tool).any(|secret| under(path, secret) || under(secret, path))
    }

    fn of<'a>(&'a self, tool: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(owner, _)| owner == tool).map(|(_, path)| path.as_str())
    }
}

impl VerifiedToken {
    /// Why the call is refused: every caveat that fails. Empty when it is not, or when it was refused before any caveat was
    /// looked at.
    pub fn explain(&self, call: &Call<'_>, state: &State, secrets: &Withheld) -> Vec<Explanation> {
        let failures = self.decide_with(call, state).err().map(|denial| denial.failures).unwrap_or_default();
        let effective = self.effective();
        failures.into_iter().map(|failure| self.explain_failure(failure, call, state, secrets, &effective)).collect()
    }

    fn explain_failure(&self, failure: Failure, call: &Call<'_>, state: &State, secrets: &Withheld, effective: &Effective) -> Explanation {
        let withheld = match &failure.caveat {
            Caveat::Argument(argument) => secrets.cover(&argument.tool, argument.path.as_str()),
            Caveat::ClosedArguments(closed) => secrets.hide(&closed.tool, closed.at.as_str()),
            // what was spent tells what the call would spend
            Caveat::Budget(Budget { cost: Cost::At(path), .. }) => secrets.cover(call.tool, path.as_str()),
            // its text may hold any constant
            Caveat::Datalog(_) => secrets.of(call.tool).next().is_some(),
            _ => false,
        };
        let hop =
            self.blocks.iter().take(failure.block.saturating_add(1)).filter(|block| matches!(block.maker, Maker::Delegator { .. })).count();
        let same_place = |other: &&Caveat| match (&failure.caveat, other) {
            (Caveat::Argument(one), Caveat::Argument(other)) => one.tool == other.tool && one.path == other.path,
            (Caveat::ClosedArguments(one), Caveat::ClosedArguments(other)) => one.tool == other.tool && one.at == other.at,
            (Caveat::Tools(_) | Caveat::NotTools(_), other) => matches!(other, Caveat::Tools(_) | Caveat::NotTools(_)),
            (one, other) => one.kind() == other.kind() && one.state_name() == other.state_name(),
        };
        let accepted: Vec<String> = effective.caveats.iter().filter(same_place).map(Caveat::sentence).collect();
        let accepted = match (accepted.is_empty(), effective.permits_nothing) {
            (_, true) => "nothing: the token's caveats exclude each other".to_owned(),
            (true, false) => format!("no call of `{}`: the token's caveats on it exclude each other", call.tool.escape_debug()),
            (false, false) => accepted.join("; "),
        };
        let shown = |text: String| if withheld { WITHHELD.to_owned() } else { text };
        Explanation {
            expected: shown(failure.caveat.sentence()),
            actual: shown(failure.caveat.actual(call, self.depth(), state)),
            accepted: shown(accepted),
            reason: failure.reason,
            block: failure.block,
            hop,
            added_by: failure.added_by,
            kind: failure.caveat.kind(),
            needs: failure.needs,
        }
    }
}

impl Caveat {
    /// What the call had where this caveat looks.
    fn actual(&self, call: &Call<'_>, depth: usize, state: &State) -> String {
        let set = |values: Option<&BTreeSet<String>>| match values {
            None => NOT_TOLD.to_owned(),
            Some(values) if values.is_empty() => "none".to_owned(),
            Some(values) => shortened(&values.iter().map(|value| format!("`{}`", value.escape_debug())).collect::<Vec<_>>().join(", ")),
        };
        let number = |count: Option<&u32>| count.map_or_else(|| NOT_TOLD.to_owned(), ToString::to_string);
        match self {
            Caveat::Tools(_) | Caveat::NotTools(_) => format!("`{}`", call.tool.escape_debug()),
            Caveat::Argument(argument) => match argument.path.find(call.arguments) {
                None => "missing".to_owned(),
                Some(value) => format!("`{}`", shortened(&value.canonical()).escape_debug()),
            },
            Caveat::ClosedArguments(closed) => match closed.at.find(call.arguments) {
                Some(Value::Object(members)) => {
                    let extra =
                        members.keys().filter(|key| !closed.names.contains(&key.0)).map(|key| format!("`{}`", key.0.escape_debug()));
                    shortened(&extra.collect::<Vec<_>>().join(", "))
                }
                Some(_) => "no object".to_owned(),
                None => "missing".to_owned(),
            },
            Caveat::Audience(_) => format!("`{}`", call.audience.escape_debug()),
            Caveat::Expires(_) | Caveat::NotBefore(_) | Caveat::TimeWindow(_) => write_time(call.time),
            Caveat::Depth(_) => depth.to_string(),
            Caveat::Calls(_) | Caveat::SingleUse(_) => number(self.state_name().and_then(|name| state.calls.get(name))),
            Caveat::Budget(budget) => state.spend.get(&budget.name).map_or_else(|| NOT_TOLD.to_owned(), |spend| shortened(spend)),
            Caveat::RequiresPrior(_) | Caveat::ForbidsPrior(_) => set(state.history.as_ref()),
            Caveat::Labels(_) => set(state.labels.as_ref()),
            Caveat::Approval(approval) => number(state.approvals.get(&approval.name)),
            Caveat::Directive(directive) => {
                let carried = state.enforced.iter().filter(|(plane, _)| *plane == directive.plane);
                let values: BTreeSet<String> = carried.flat_map(|(_, values)| values.iter().cloned()).collect();
                if values.is_empty() { NOT_TOLD.to_owned() } else { set(Some(&values)) }
            }
            Caveat::Datalog(_) => "a call for which it does not hold".to_owned(),
        }
    }
}

/// Whether one JSON pointer is another or below it.
fn under(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

const NOT_TOLD: &str = "not known here";
const WITHHELD: &str = "withheld: the policy marks this value secret";
const MAX_SHOWN: usize = 200;
