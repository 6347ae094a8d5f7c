//! What a rule that matched does not grant of a request.

use narrows_verifier::Reason;

use super::{Asked, PolicyRefusal};
use crate::{
    pack::Rule,
    tools::{listed, missing, quote},
};

/// Everything that is asked for and not granted. Empty for the rule that decides.
pub(super) struct Shortfall<'a> {
    rule: &'a Rule,
    scopes: Vec<String>,
    tools: Vec<String>,
    audiences: Vec<String>,
    bearer: bool,
    /// Nothing is asked for, and the rule does not say what there is to have then.
    default: bool,
}

impl<'a> Shortfall<'a> {
    pub(super) fn of(rule: &'a Rule, asked: &Asked<'_>) -> Self {
        let request = asked.request;
        let scopes = asked.scopes.iter().filter(|(_, tools)| !tools.within(&rule.tools)).map(|(name, _)| quote(name));
        Self {
            rule,
            scopes: scopes.collect(),
            tools: request.tools.as_ref().map_or_else(Vec::new, |tools| missing(tools, |tools| tools.within(&rule.tools))),
            audiences: rule.audiences.missing(&request.audiences).map(quote).collect(),
            bearer: request.bearer && !rule.bearer,
            default: request.tools.is_none() && asked.scopes.is_empty() && rule.default_tools.is_none(),
        }
    }

    pub(super) fn size(&self) -> usize {
        self.scopes.len() + self.tools.len() + self.audiences.len() + usize::from(self.bearer) + usize::from(self.default)
    }

    pub(super) fn refusal(self) -> PolicyRefusal {
        let (reason, detail) = match (self.scopes.is_empty(), self.tools.is_empty(), self.audiences.is_empty(), self.default) {
            (false, ..) => (Reason::ScopeNotInPolicy, listed("scopes granted", &self.scopes)),
            (_, false, ..) => (Reason::ToolNotInPolicy, listed("tools granted", &self.tools)),
            (_, _, false, _) => (Reason::AudienceNotInPolicy, listed("audiences granted", &self.audiences)),
            (_, _, _, true) => (Reason::ScopeMissing, Reason::ScopeMissing.meaning().to_owned()),
            _ => (Reason::BearerNotInPolicy, Reason::BearerNotInPolicy.meaning().to_owned()),
        };
        PolicyRefusal::by(self.rule, reason, detail)
    }
}
