//! A rule's condition: a body in the typed Datalog profile over the facts of one request.

use narrows_verifier::{
    Reason,
    biscuit::parse_check,
    datalog::{Check, Facts, Signature, Type, Vocabulary, typecheck},
};

/// What a condition can ask about a request. One type per position; a claim of another type is another predicate.
pub const REQUEST_FACTS: Vocabulary = &[
    Signature { name: "client", types: &[Type::Text] },
    Signature { name: "agent", types: &[Type::Text] },
    Signature { name: "subject_issuer", types: &[Type::Text] },
    Signature { name: "subject", types: &[Type::Text] },
    Signature { name: "actor_issuer", types: &[Type::Text] },
    Signature { name: "actor", types: &[Type::Text] },
    Signature { name: "grant", types: &[Type::Text] },
    Signature { name: "requested_type", types: &[Type::Text] },
    Signature { name: "audience", types: &[Type::Text] },
    Signature { name: "claim", types: &[Type::Text, Type::Text] },
    Signature { name: "claim_flag", types: &[Type::Text, Type::Flag] },
    Signature { name: "claim_int", types: &[Type::Text, Type::Integer] },
];

/// A condition that was parsed and typechecked when its pack was loaded.
#[derive(Clone, Debug)]
pub(crate) struct Condition(Check);

impl Condition {
    /// Reads a condition; on failure, why in words.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let check = parse_check(text).map_err(|_| "not a condition of the typed profile, or too long or too deep")?;
        typecheck(&check, REQUEST_FACTS).map_err(|reason| match reason {
            Reason::MixedTypes => "compares or asks with a wrong type",
            _ => "asks for a fact that requests do not have, or uses a variable that no fact binds",
        })?;
        // `true` would hold for everyone who can reach the issuer; whoever means that can write `client($anyone)`
        if check.queries.iter().any(|query| query.body.is_empty()) {
            return Err("an alternative asks for no fact of the request");
        }
        if check.queries.iter().any(|query| query.body.len() > MAX_BODY) {
            return Err("an alternative asks for more than 8 facts");
        }
        Ok(Self(check))
    }

    /// Whether the condition holds. Its static cost is taken from `budget` first.
    ///
    /// # Errors
    /// `POLICY_COST` when the budget does not reach.
    pub(crate) fn holds(&self, facts: &Facts, budget: &mut u64) -> Result<bool, Reason> {
        *budget = budget.checked_sub(facts.cost(&self.0)).ok_or(Reason::PolicyCost)?;
        Ok(facts.satisfy(&self.0))
    }
}

/// The most bindings that the conditions of one decision may look at: every rule of a full pack can go once through a
/// full set of claims. A join of a few hundred claims with themselves in several rules is beyond it, and denied.
pub(crate) const MAX_DECISION_COST: u64 = 250_000;
const MAX_BODY: usize = 8;

#[cfg(test)]
mod tests {
    use narrows_verifier::datalog::{Predicate, Term};

    use super::*;

    fn facts(claims: usize) -> Facts {
        let mut facts = Facts::new(REQUEST_FACTS);
        facts.add(Predicate::new("client", [Term::text("app")])).unwrap();
        for number in 0..claims {
            facts.add(Predicate::new("claim", [Term::text("groups"), Term::text(&format!("g{number}"))])).unwrap();
        }
        facts
    }

    #[test]
    fn a_condition_holds_when_one_alternative_does() {
        for (text, expected) in [
            (r#"client("app")"#, true),
            (r#"client("other")"#, false),
            (r#"client("other") or claim("groups", "g1")"#, true),
            (r#"client($c), $c.starts_with("ap"), claim("groups", $g), {"g1", "x"}.contains($g)"#, true),
            (r#"client("app"), claim("groups", "g9")"#, false),
            (r#"client("app"), claim_flag("verified", true)"#, false),
        ] {
            let condition = Condition::parse(text).unwrap();
            assert_eq!(condition.holds(&facts(3), &mut MAX_DECISION_COST.clone()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_join_is_refused_by_its_static_cost_before_it_runs() {
        let join = Condition::parse(r#"claim($a, $b), claim($c, $d), claim($e, $f), $b == "x""#).unwrap();
        assert_eq!(join.holds(&facts(100), &mut MAX_DECISION_COST.clone()), Err(Reason::PolicyCost));
        // a missing fact at the end decides the answer, yet the 10^12 bindings before it would be walked first
        let dead = Condition::parse(r#"claim($a, $b), claim($c, $d), claim($e, $f), claim($g, $h), claim_flag($i, $j)"#).unwrap();
        assert_eq!(dead.holds(&facts(1000), &mut MAX_DECISION_COST.clone()), Err(Reason::PolicyCost));
    }
}
