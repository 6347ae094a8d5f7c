//! What a pack says to one request.

use core::fmt;
use std::collections::BTreeSet;

use narrows_verifier::{Caveat, Reason, caveat::Tools};

use crate::{MintRequest, Pack, condition::MAX_DECISION_COST, pack::Rule, request::MAX_CAVEATS};

/// What may be minted: the caveats of the authority block and who decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The name of the rule that decided.
    pub rule: String,
    /// Tools, audience, expires and depth, one each; then the client's further caveats, then the rule's ceilings.
    pub caveats: Vec<Caveat>,
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
    /// The first rule whose condition holds and which grants every requested tool and audience decides alone: rules never
    /// add up, so no combination grants what none of them says.
    ///
    /// # Errors
    /// `POLICY_DENIED` when no condition holds; what the nearest rule lacks as `TOOL_NOT_IN_POLICY` or
    /// `AUDIENCE_NOT_IN_POLICY`; `ARGUMENT_ABOVE_POLICY`, `DEPTH_ABOVE_POLICY`, `NO_LIFE_LEFT` or `AUDIENCE_EMPTY` from the
    /// rule that decides; `POLICY_COST`, `TOO_MANY_CHECKS`, `CAVEAT_MALFORMED` or `CAVEAT_NAMES_NO_TOOL` for a request
    /// outside the bounds.
    pub fn decide(&self, request: &MintRequest, now_s: u64) -> Result<Grant, PolicyRefusal> {
        request.bounded().map_err(PolicyRefusal::outright)?;
        let facts = request.facts().map_err(PolicyRefusal::outright)?;
        let mut budget = MAX_DECISION_COST;
        let mut nearest: Option<Shortfall<'_>> = None;
        for rule in &self.rules {
            if !rule.when.holds(&facts, &mut budget).map_err(PolicyRefusal::outright)? {
                continue;
            }
            let shortfall = Shortfall::of(rule, request);
            if shortfall.size() == 0 {
                return rule.grant(request, now_s);
            }
            if nearest.as_ref().is_none_or(|nearest| shortfall.size() < nearest.size()) {
                nearest = Some(shortfall);
            }
        }
        Err(nearest.map_or_else(|| PolicyRefusal::outright(Reason::PolicyDenied), Shortfall::refusal))
    }
}

impl Rule {
    /// The grant of a rule that covers every requested tool and audience.
    fn grant(&self, request: &MintRequest, now_s: u64) -> Result<Grant, PolicyRefusal> {
        if let Some(depth) = request.requested_depth.filter(|depth| *depth > self.max_depth) {
            return Err(self.refusal(Reason::DepthAbovePolicy, format!("depth {depth} is above {}", self.max_depth)));
        }
        let mut audiences = request.audiences.clone();
        let mut depth = request.requested_depth.unwrap_or(self.max_depth);
        let mut asked_end = request.requested_life_seconds.map(|life| now_s.saturating_add(life));
        let mut further = Vec::new();
        for caveat in &request.caveats {
            self.admits(caveat)?;
            // an authority block holds one each of these, so the client's are met with ours; the meet narrows both
            match caveat {
                Caveat::Audience(these) => audiences = audiences.intersection(these).cloned().collect(),
                Caveat::Expires(at) => asked_end = Some(asked_end.map_or(*at, |end| end.min(*at))),
                Caveat::Depth(max) => depth = depth.min(*max),
                _ => further.push(caveat),
            }
        }
        if audiences.is_empty() {
            return Err(self.refusal(Reason::AudienceEmpty, Reason::AudienceEmpty.meaning().to_owned()));
        }
        let policy_end = now_s.saturating_add(self.max_life_seconds).min(request.subject_expires_s.unwrap_or(u64::MAX));
        let expires_s = asked_end.map_or(policy_end, |end| end.min(policy_end));
        if expires_s <= now_s {
            let whose = if policy_end <= now_s { "the subject's login has expired" } else { "the request asks for no life" };
            return Err(self.refusal(Reason::NoLifeLeft, whose.to_owned()));
        }
        let mut caveats =
            vec![Caveat::Tools(request.tools.clone()), Caveat::Audience(audiences), Caveat::Expires(expires_s), Caveat::Depth(depth)];
        for caveat in further.into_iter().chain(&self.ceilings) {
            if !caveats.contains(caveat) {
                caveats.push(caveat.clone());
            }
        }
        if caveats.len() > MAX_CAVEATS {
            let detail = format!("{} caveats with the rule's ceilings, of at most {MAX_CAVEATS}", caveats.len());
            return Err(self.refusal(Reason::TooManyChecks, detail));
        }
        let clamped = asked_end.is_some_and(|end| expires_s < end);
        Ok(Grant { rule: self.name.clone(), caveats, expires_s, clamped, reveal_subject: self.reveal_subject })
    }

    /// Refuses a caveat that asks for more than a ceiling on the same place. The ceiling would win in the token, but a
    /// client that asked for 900 and holds 500 without being told finds out in the middle of its task.
    fn admits(&self, caveat: &Caveat) -> Result<(), PolicyRefusal> {
        let exceeded = self.ceilings.iter().find(|ceiling| match (caveat, ceiling) {
            (Caveat::Argument(asked), Caveat::Argument(ceiling)) => {
                asked.tool == ceiling.tool && asked.path == ceiling.path && !asked.is.within(&ceiling.is)
            }
            (Caveat::ClosedArguments(asked), Caveat::ClosedArguments(ceiling)) => {
                asked.tool == ceiling.tool && asked.at == ceiling.at && !asked.names.is_subset(&ceiling.names)
            }
            _ => false,
        });
        exceeded.map_or(Ok(()), |ceiling| Err(self.refusal(Reason::ArgumentAbovePolicy, ceiling.sentence())))
    }

    fn refusal(&self, reason: Reason, detail: String) -> PolicyRefusal {
        PolicyRefusal { reason, rule: Some(self.name.clone()), detail }
    }
}

impl PolicyRefusal {
    /// A refusal that no single rule is behind.
    fn outright(reason: Reason) -> Self {
        Self { reason, rule: None, detail: reason.meaning().to_owned() }
    }
}

/// What a rule that matched does not grant of a request.
struct Shortfall<'a> {
    rule: &'a Rule,
    tools: Vec<String>,
    audiences: Vec<&'a str>,
}

impl<'a> Shortfall<'a> {
    fn of(rule: &'a Rule, request: &'a MintRequest) -> Self {
        let names = request.tools.names.iter().filter(|name| !rule.tools.cover(name)).map(|name| quote(name));
        let prefixes = request.tools.prefixes.iter().filter(|prefix| {
            let alone = Tools { prefixes: BTreeSet::from([(*prefix).clone()]), ..Tools::default() };
            !alone.within(&rule.tools)
        });
        let prefixes = prefixes.map(|prefix| format!("the prefix {}", quote(prefix)));
        let suffixes = request.tools.suffixes.iter().filter(|suffix| {
            let alone = Tools { suffixes: BTreeSet::from([(*suffix).clone()]), ..Tools::default() };
            !alone.within(&rule.tools)
        });
        let suffixes = suffixes.map(|suffix| format!("the suffix {}", quote(suffix)));
        Self {
            rule,
            tools: names.chain(prefixes).chain(suffixes).collect(),
            audiences: rule.audiences.missing(&request.audiences).collect(),
        }
    }

    fn size(&self) -> usize {
        self.tools.len() + self.audiences.len()
    }

    fn refusal(self) -> PolicyRefusal {
        match self.tools.first() {
            Some(first) => self.rule.refusal(Reason::ToolNotInPolicy, listed("tools", first, self.tools.len())),
            None => {
                let first = self.audiences.first().map_or_else(String::new, |first| quote(first));
                self.rule.refusal(Reason::AudienceNotInPolicy, listed("audiences", &first, self.audiences.len()))
            }
        }
    }
}

/// Names one and counts the others, so that a request can't size the answer.
fn listed(kind: &str, first: &str, count: usize) -> String {
    match count {
        0 | 1 => format!("not among the {kind} granted: {first}"),
        count => format!("not among the {kind} granted: {first} and {} more", count - 1),
    }
}

fn quote(text: &str) -> String {
    format!("`{}`", text.escape_debug())
}

#[cfg(test)]
mod tests;
