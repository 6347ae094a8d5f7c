//! What the rule that decides grants.

use std::collections::BTreeSet;

use narrows_verifier::{Caveat, Reason, caveat::Tools};

use super::{Asked, Grant, PolicyRefusal};
use crate::{MintRequest, ceiling::exceeded, pack::Rule, request::MAX_CAVEATS, scope::Scopes};

/// The grant of a rule that has no shortfall.
pub(super) fn grant(rule: &Rule, asked: &Asked<'_>, scopes: &Scopes, now_s: u64) -> Result<Grant, PolicyRefusal> {
    let request = asked.request;
    admitted(asked, scopes)?;
    let tools = tools(rule, asked, scopes)?;
    let mut bounds = Bounds::asked(rule, request, now_s)?;
    let mut further = Vec::new();
    for caveat in &request.caveats {
        if let Some(ceiling) = exceeded(caveat, &rule.ceilings) {
            return Err(PolicyRefusal::by(rule, Reason::ArgumentAbovePolicy, ceiling.sentence()));
        }
        if !bounds.take_asked(caveat) {
            further.push(caveat.clone());
        }
    }
    further.extend(rule.ceilings.iter().cloned());
    for ceiling in &request.ceilings {
        let limits = ceiling.tools(scopes).into_iter().filter(|limit| !tools.within(limit)).map(Caveat::Tools);
        let beside = ceiling.caveats.iter().filter(|caveat| !matches!(caveat, Caveat::Tools(_)) && !bounds.take_ceiling(caveat));
        further.extend(beside.cloned().chain(limits));
    }
    let (first, expires_s, clamped) = bounds.caveats(rule, &tools, now_s)?;
    let caveats = distinct(rule, first.into_iter().chain(further))?;
    let scopes = scopes.granted(|tools| covers(&caveats, tools));
    Ok(Grant {
        rule: rule.name.clone(),
        caveats,
        tools,
        scopes,
        bearer: request.bearer,
        expires_s,
        clamped,
        reveal_subject: rule.reveal_subject,
    })
}

/// Refuses whatever is asked for beyond a ceiling of the request.
fn admitted(asked: &Asked<'_>, scopes: &Scopes) -> Result<(), PolicyRefusal> {
    let request = asked.request;
    for ceiling in &request.ceilings {
        ceiling.admits_bearer(request.bearer)?;
        asked.scopes.iter().try_for_each(|(name, tools)| ceiling.admits_scope(name, tools, scopes))?;
        request.tools.iter().try_for_each(|tools| ceiling.admits_tools(tools, scopes))?;
        ceiling.admits_audiences(&request.audiences)?;
        request.requested_depth.map_or(Ok(()), |depth| ceiling.admits_depth(depth))?;
        request.caveats.iter().try_for_each(|caveat| ceiling.admits_caveat(caveat))?;
    }
    Ok(())
}

/// The tools asked for, or of the rule's default those that every ceiling has too: who asks for nothing is not refused
/// for what the rule says.
fn tools(rule: &Rule, asked: &Asked<'_>, scopes: &Scopes) -> Result<Tools, PolicyRefusal> {
    let tools = match asked.tools() {
        Some(tools) => tools,
        None => {
            let limits = asked.request.ceilings.iter().flat_map(|ceiling| ceiling.tools(scopes));
            // where a prefix meets a suffix there is no form for both, and the ceiling's own caveat stands beside
            let meet = |tools: Tools, limit: Tools| tools.meet(&limit).unwrap_or(tools);
            limits.fold(rule.default_tools.clone().unwrap_or_default(), meet)
        }
    };
    if tools.is_empty() {
        return Err(PolicyRefusal::by(rule, Reason::ScopeAboveCeiling, "no default tool of the rule is within what may be had".to_owned()));
    }
    match Caveat::from_json(&Caveat::Tools(tools.clone()).to_json()) {
        Ok(_) => Ok(tools),
        Err(_) => Err(PolicyRefusal::by(rule, Reason::ScopeTooWide, Reason::ScopeTooWide.meaning().to_owned())),
    }
}

/// What an authority block says once each: the meet of what is asked for, of the rule and of every ceiling.
struct Bounds {
    audiences: BTreeSet<String>,
    depth: u32,
    asked_end: Option<u64>,
    policy_end: u64,
}

impl Bounds {
    fn asked(rule: &Rule, request: &MintRequest, now_s: u64) -> Result<Self, PolicyRefusal> {
        // what is bound to no key can't name the key that the next hop is signed with
        let most = if request.bearer { 0 } else { rule.max_depth };
        if let Some(depth) = request.requested_depth.filter(|depth| *depth > most) {
            return Err(PolicyRefusal::by(rule, Reason::DepthAbovePolicy, format!("depth {depth} is above {most}")));
        }
        Ok(Self {
            audiences: request.audiences.clone(),
            depth: request.requested_depth.unwrap_or(most),
            asked_end: request.requested_life_seconds.map(|life| now_s.saturating_add(life)),
            policy_end: now_s.saturating_add(rule.max_life_seconds).min(request.subject_expires_s.unwrap_or(u64::MAX)),
        })
    }

    /// Takes a caveat of the client's in, if it is one of these.
    fn take_asked(&mut self, caveat: &Caveat) -> bool {
        if let Caveat::Expires(at) = caveat {
            self.asked_end = Some(self.asked_end.map_or(*at, |end| end.min(*at)));
            return true;
        }
        self.take_ceiling(caveat)
    }

    /// The same for a caveat of a ceiling, at whose end the token ends whatever was asked for.
    fn take_ceiling(&mut self, caveat: &Caveat) -> bool {
        match caveat {
            Caveat::Audience(these) => self.audiences = self.audiences.intersection(these).cloned().collect(),
            Caveat::Expires(at) => self.policy_end = self.policy_end.min(*at),
            Caveat::Depth(max) => self.depth = self.depth.min(*max),
            _ => return false,
        }
        true
    }

    /// The four caveats, with the end and whether it is earlier than asked for.
    fn caveats(self, rule: &Rule, tools: &Tools, now_s: u64) -> Result<([Caveat; 4], u64, bool), PolicyRefusal> {
        if self.audiences.is_empty() {
            return Err(PolicyRefusal::by(rule, Reason::AudienceEmpty, Reason::AudienceEmpty.meaning().to_owned()));
        }
        let expires_s = self.asked_end.map_or(self.policy_end, |end| end.min(self.policy_end));
        if expires_s <= now_s {
            let whose = if self.policy_end <= now_s { "the subject's login or token has expired" } else { "the request asks for no life" };
            return Err(PolicyRefusal::by(rule, Reason::NoLifeLeft, whose.to_owned()));
        }
        let four = [Caveat::Tools(tools.clone()), Caveat::Audience(self.audiences), Caveat::Expires(expires_s), Caveat::Depth(self.depth)];
        Ok((four, expires_s, self.asked_end.is_some_and(|end| expires_s < end)))
    }
}

/// Each caveat once, as many as a block holds.
fn distinct(rule: &Rule, all: impl Iterator<Item = Caveat>) -> Result<Vec<Caveat>, PolicyRefusal> {
    let mut caveats: Vec<Caveat> = Vec::new();
    for caveat in all {
        if !caveats.contains(&caveat) {
            caveats.push(caveat);
        }
    }
    if caveats.len() > MAX_CAVEATS {
        let detail = format!("{} caveats with all ceilings, of at most {MAX_CAVEATS}", caveats.len());
        return Err(PolicyRefusal::by(rule, Reason::TooManyChecks, detail));
    }
    Ok(caveats)
}

/// Whether a token of these caveats grants all of the tools, as far as their names go.
fn covers(caveats: &[Caveat], tools: &Tools) -> bool {
    caveats.iter().all(|caveat| match caveat {
        Caveat::Tools(granted) => tools.within(granted),
        Caveat::NotTools(denied) => apart(tools, denied),
        _ => true,
    })
}

/// Whether no tool is covered by both, as far as that can be told from names and affixes.
fn apart(tools: &Tools, denied: &Tools) -> bool {
    let affixes = |tools: &Tools| !tools.prefixes.is_empty() || !tools.suffixes.is_empty();
    let crossed = affixes(tools) && affixes(denied);
    !crossed && !tools.names.iter().any(|name| denied.cover(name)) && !denied.names.iter().any(|name| tools.cover(name))
}
