//! What only a service with memory, or an enforcement plane, can say of a call.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Caveat, Reason,
    caveat::{Approval, Budget, Calls, Plane, SingleUse},
    datalog::{Facts, Predicate, Term},
};

/// State for one decision. Whoever fills it in has looked it up for the very token: counters, budgets and approvals are
/// kept for the block that carries the caveat, and are named here by the caveat's own name, which is unique in a token.
///
/// What is absent denies. A verifier without memory passes `State::default()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Calls permitted so far under each counter, those that no longer count left out.
    pub calls: BTreeMap<String, u32>,
    /// What each budget will have spent when this call is done: plain decimals.
    pub spend: BTreeMap<String, String>,
    /// Every action done in the task so far.
    pub history: Option<BTreeSet<String>>,
    /// Every label that the session has touched.
    pub labels: Option<BTreeSet<String>>,
    /// How many of the approvers that each caveat names have approved this very call.
    pub approvals: BTreeMap<String, u32>,
    /// The directives that will be carried out for this call.
    pub enforced: BTreeSet<(Plane, BTreeSet<String>)>,
}

impl State {
    /// Adds what the state says of these caveats as facts.
    pub(crate) fn add_to<'a>(&self, facts: &mut Facts, caveats: impl Iterator<Item = &'a Caveat>) -> Result<(), Reason> {
        let texts = |set: &BTreeSet<String>| Term::Set(set.iter().map(|text| Term::text(text)).collect());
        for caveat in caveats {
            let fact = match caveat {
                Caveat::Calls(Calls { name, per_seconds, .. }) => self.calls.get(name).map(|count| {
                    ("calls", vec![Term::text(name), Term::Integer(per_seconds.unwrap_or(0).into()), Term::Integer((*count).into())])
                }),
                Caveat::SingleUse(SingleUse { name, .. }) => {
                    self.calls.get(name).map(|count| ("uses", vec![Term::text(name), Term::Integer((*count).into())]))
                }
                Caveat::Budget(Budget { name, unit, cost, .. }) => {
                    self.spend.get(name).map(|spend| ("spend", [name.as_str(), unit, cost.as_text(), spend].map(Term::text).to_vec()))
                }
                Caveat::Approval(Approval { name, of, .. }) => {
                    self.approvals.get(name).map(|count| ("approvals", vec![Term::text(name), texts(of), Term::Integer((*count).into())]))
                }
                _ => None,
            };
            if let Some((name, terms)) = fact {
                facts.add(Predicate::new(name, terms))?;
            }
        }
        for (name, set) in [("history", &self.history), ("labels", &self.labels)] {
            if let Some(set) = set {
                facts.add(Predicate::new(name, [texts(set)]))?;
            }
        }
        let enforced = self.enforced.iter();
        enforced
            .map(|(plane, values)| Predicate::new("enforces", [Term::text(plane.kind()), texts(values)]))
            .try_for_each(|fact| facts.add(fact))
    }
}

/// What a caveat requires beyond the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// How often it was used.
    Counter,
    /// What was spent.
    Spend,
    /// What was done before.
    History,
    /// What the session has touched.
    Labels,
    /// Who has approved.
    Approvals,
    /// A plane that carries it out.
    Plane,
}

impl Needs {
    /// The reason of a denial because it was not supplied.
    pub fn reason(self) -> Reason {
        match self {
            Needs::Counter => Reason::NeedsCounter,
            Needs::Spend => Reason::NeedsSpend,
            Needs::History => Reason::NeedsHistory,
            Needs::Labels => Reason::NeedsLabels,
            Needs::Approvals => Reason::NeedsApprovals,
            Needs::Plane => Reason::NeedsPlane,
        }
    }

    /// Who can supply it.
    pub fn supplied_by(self) -> &'static str {
        match self {
            Needs::Counter | Needs::Spend | Needs::History | Needs::Labels => "the reasoning plane, which keeps the task's state",
            Needs::Approvals => "the reasoning plane, which collects approvals",
            Needs::Plane => "an enforcement plane that carries the directive out",
        }
    }
}
