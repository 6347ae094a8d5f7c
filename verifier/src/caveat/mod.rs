//! Typed caveats: the closed vocabulary of what a token can demand of a call.
//!
//! All caveats of all blocks must hold, so adding one can only narrow (law L1). Each has a JSON form, one rendering as a
//! Datalog check and a sentence for people. A verifier reads checks back into caveats and refuses what it can't read.
//! A caveat is held parsed, so it is decided without facts and without allocation; the rendering is the definition, and
//! the tests compare the two.

mod describe;
mod holds;
mod json;
mod matcher;
mod members;
mod read;
mod render;
mod rich;
pub mod rule;
mod tools;

use std::collections::BTreeSet;

use crate::{Reason, datalog::Check, json::Pointer, state::Needs};

pub(crate) use json::write_time;
pub use json::{parse_list, to_list};
pub(crate) use matcher::Meet;
pub use matcher::{Matcher, Scalar};
pub(crate) use rich::Rich;
pub use rule::{Decimal as DecimalRange, TimeWindow};
pub use tools::Tools;

/// One condition on a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caveat {
    /// The tool is one of these.
    Tools(Tools),
    /// The tool is none of these.
    NotTools(Tools),
    /// When the tool is called, one of its arguments must match.
    Argument(Argument),
    /// When the tool is called, an object among its arguments has no members but these.
    ClosedArguments(ClosedArguments),
    /// The verifier is one of these audiences.
    Audience(BTreeSet<String>),
    /// Seconds since the Unix epoch from which on the token is no longer accepted.
    Expires(u64),
    /// Seconds since the Unix epoch before which the token is not yet accepted.
    NotBefore(u64),
    /// Hours of certain days of the week.
    TimeWindow(TimeWindow),
    /// The most hops that may follow the authority block, in the whole chain.
    Depth(u32),
    /// At most so many calls, ever or in a time.
    Calls(Calls),
    /// One call, then none.
    SingleUse(SingleUse),
    /// A sum that all calls together may not exceed.
    Budget(Budget),
    /// These actions were done in the task before.
    RequiresPrior(Actions),
    /// None of these actions was done in the task before.
    ForbidsPrior(Actions),
    /// What the session has touched may not flow to this call.
    Labels(Labels),
    /// So many of these people have approved this very call.
    Approval(Approval),
    /// An enforcement plane carries this out, or the call is refused.
    Directive(Directive),
    /// A check of the typed profile that no other kind can say: for operators alone.
    Datalog(Check),
}

/// A condition on one argument of one tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// The exact name of the tool.
    pub tool: String,
    /// Where the argument is.
    pub path: Pointer,
    /// What it must be. A missing argument never matches.
    pub is: Matcher,
}

/// A closed-world condition on one object among the arguments of one tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedArguments {
    /// The exact name of the tool.
    pub tool: String,
    /// Where the object is; empty for the arguments themselves.
    pub at: Pointer,
    /// The member names that may occur.
    pub names: BTreeSet<String>,
}

/// A count or, with a time, a rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calls {
    /// Names the counter within the token; the count itself is kept for the block that carries the caveat.
    pub name: String,
    /// The exact name of the tool whose calls are counted and limited; all tools if absent.
    pub tool: Option<String>,
    /// The most calls.
    pub max: u32,
    /// The seconds that a call counts for; for ever if absent.
    pub per_seconds: Option<u32>,
}

/// A use that is spent by the first call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SingleUse {
    /// Names the use within the token.
    pub name: String,
    /// The exact name of the tool; all tools if absent.
    pub tool: Option<String>,
}

/// A budget in exact decimals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Names the budget within the token; what was spent is kept for the block that carries the caveat.
    pub name: String,
    /// The exact name of the tool; all tools if absent.
    pub tool: Option<String>,
    /// What is counted, such as a currency's code.
    pub unit: String,
    /// The most that may be spent, the call at hand included: a range with an upper side alone.
    pub max: DecimalRange,
    /// What a call costs.
    pub cost: Cost,
}

/// What one call takes from a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cost {
    /// The number or plain decimal text at this place among the arguments.
    At(Pointer),
    /// Always this much: a plain decimal text.
    Each(String),
}

/// Actions that were, or were not, done before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actions {
    /// The exact name of the tool that is limited; all tools if absent.
    pub tool: Option<String>,
    /// Names of actions as the task's history holds them.
    pub actions: BTreeSet<String>,
}

/// A limit on what information may reach a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The exact name of the tool; all tools if absent.
    pub tool: Option<String>,
    /// Which labels the session may have touched.
    pub rule: LabelRule,
}

/// Which labels may have been touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelRule {
    /// None of these.
    NoneOf(BTreeSet<String>),
    /// None but these.
    Within(BTreeSet<String>),
}

/// Approval by k of n.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Names the approval within the token.
    pub name: String,
    /// The exact name of the tool; all tools if absent.
    pub tool: Option<String>,
    /// How many must have approved.
    pub count: u32,
    /// Who may approve, as the service that collects approvals names them.
    pub of: BTreeSet<String>,
}

/// What a plane is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// The exact name of the tool; all tools if absent.
    pub tool: Option<String>,
    /// Which plane.
    pub plane: Plane,
    /// Hosts that may be reached, the one sandbox level, or pointers to what is redacted.
    pub values: BTreeSet<String>,
}

/// An enforcement plane that a directive speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plane {
    /// Connections to other hosts than these are refused.
    Network,
    /// The tool runs at this sandbox level or a stricter one.
    Sandbox,
    /// What is at these pointers does not reach the model.
    Redact,
}

impl Caveat {
    /// The reason that a call gets which fails this caveat.
    pub fn refusal(&self) -> Reason {
        match self {
            Caveat::Tools(_) | Caveat::NotTools(_) => Reason::ToolNotGranted,
            Caveat::Argument(_) => Reason::ArgumentRefused,
            Caveat::ClosedArguments(_) => Reason::ArgumentNotListed,
            Caveat::Audience(_) => Reason::WrongAudience,
            Caveat::Expires(_) => Reason::Expired,
            Caveat::NotBefore(_) => Reason::NotYetValid,
            Caveat::TimeWindow(_) => Reason::OutsideTimeWindow,
            Caveat::Depth(_) => Reason::HopDepth,
            Caveat::Calls(calls) if calls.per_seconds.is_some() => Reason::RateExceeded,
            Caveat::Calls(_) => Reason::CallsExceeded,
            Caveat::SingleUse(_) => Reason::AlreadyUsed,
            Caveat::Budget(_) => Reason::BudgetExceeded,
            Caveat::RequiresPrior(_) => Reason::PriorActionMissing,
            Caveat::ForbidsPrior(_) => Reason::PriorActionForbids,
            Caveat::Labels(_) => Reason::LabelRefused,
            Caveat::Approval(_) => Reason::ApprovalMissing,
            Caveat::Directive(_) => Reason::NeedsPlane,
            Caveat::Datalog(_) => Reason::DatalogRefused,
        }
    }

    /// The stable name of the kind, as in its JSON form.
    pub fn kind(&self) -> &'static str {
        match self {
            Caveat::Tools(_) => "tools",
            Caveat::NotTools(_) => "not_tools",
            Caveat::Argument(_) => "arg",
            Caveat::ClosedArguments(_) => "closed_args",
            Caveat::Audience(_) => "audience",
            Caveat::Expires(_) => "expires",
            Caveat::NotBefore(_) => "not_before",
            Caveat::TimeWindow(_) => "time_window",
            Caveat::Depth(_) => "depth",
            Caveat::Calls(_) => "calls",
            Caveat::SingleUse(_) => "single_use",
            Caveat::Budget(_) => "budget",
            Caveat::RequiresPrior(_) => "requires_prior",
            Caveat::ForbidsPrior(_) => "forbids_prior",
            Caveat::Labels(_) => "labels",
            Caveat::Approval(_) => "approval",
            Caveat::Directive(directive) => directive.plane.kind(),
            Caveat::Datalog(_) => "datalog",
        }
    }

    /// What a verifier must be told to decide this caveat; `None` when the call says it all.
    pub fn needs(&self) -> Option<Needs> {
        match self {
            Caveat::Calls(_) | Caveat::SingleUse(_) => Some(Needs::Counter),
            Caveat::Budget(_) => Some(Needs::Spend),
            Caveat::RequiresPrior(_) | Caveat::ForbidsPrior(_) => Some(Needs::History),
            Caveat::Labels(_) => Some(Needs::Labels),
            Caveat::Approval(_) => Some(Needs::Approvals),
            Caveat::Directive(_) => Some(Needs::Plane),
            Caveat::Datalog(_)
            | Caveat::Tools(_)
            | Caveat::NotTools(_)
            | Caveat::Argument(_)
            | Caveat::ClosedArguments(_)
            | Caveat::Audience(_)
            | Caveat::Expires(_)
            | Caveat::NotBefore(_)
            | Caveat::TimeWindow(_)
            | Caveat::Depth(_) => None,
        }
    }

    /// The name under which a service keeps this caveat's state; unique within a token.
    pub fn state_name(&self) -> Option<&str> {
        match self {
            Caveat::Calls(calls) => Some(&calls.name),
            Caveat::SingleUse(single) => Some(&single.name),
            Caveat::Budget(budget) => Some(&budget.name),
            Caveat::Approval(approval) => Some(&approval.name),
            _ => None,
        }
    }

    /// The one tool that this caveat speaks of, if it lets all others pass.
    pub fn only_for(&self) -> Option<&str> {
        match self {
            Caveat::Argument(argument) => Some(&argument.tool),
            Caveat::ClosedArguments(closed) => Some(&closed.tool),
            Caveat::Calls(Calls { tool, .. })
            | Caveat::SingleUse(SingleUse { tool, .. })
            | Caveat::Budget(Budget { tool, .. })
            | Caveat::RequiresPrior(Actions { tool, .. })
            | Caveat::ForbidsPrior(Actions { tool, .. })
            | Caveat::Labels(Labels { tool, .. })
            | Caveat::Approval(Approval { tool, .. })
            | Caveat::Directive(Directive { tool, .. }) => tool.as_deref(),
            _ => None,
        }
    }
}

impl Plane {
    /// The stable name, as in JSON and in the fact that a plane supplies.
    pub fn kind(self) -> &'static str {
        match self {
            Plane::Network => "network",
            Plane::Sandbox => "sandbox",
            Plane::Redact => "redact",
        }
    }
}

/// Set and text bounds, so that a caveat always fits a check.
pub(crate) const MAX_SET: usize = 256;
pub(crate) const MAX_TEXT: usize = 1024;
pub(crate) const MAX_NAME: usize = 256;
pub(crate) const MAX_INTEGER: u64 = (1 << 53) - 1;

#[cfg(test)]
mod tests;
