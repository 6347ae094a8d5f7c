//! The TOML form of a pack. `docs/policy-guide.md` explains each key.

use narrows_verifier::{Caveat, Reason, caveat::Tools};

use super::{Audiences, Rule};
use crate::{
    PackError,
    condition::Condition,
    document::Keys,
    scope::{Scopes, is_scope_token},
    tools::{listed, missing},
};

/// Reads the pack's name, its scopes and its rules.
pub(super) fn read(text: &str) -> Result<(String, Scopes, Vec<Rule>), PackError> {
    let mut document = Keys::parse(text, Reason::PackMalformed)?;
    let name = document.text("pack", MAX_PACK_NAME)?;
    let name = document.required("pack", name)?;
    let version = document.count("version", FORMAT, FORMAT)?;
    document.required("version", version)?;
    let limits = document.table("limits")?;
    let limits = Limits::read(document.inside(document.required("limits", limits)?))?;
    let (scopes, rules) = (document.entries("scope", MAX_SCOPES)?, document.entries("rule", MAX_RULES)?);
    document.end()?;
    let rules: Vec<Rule> = rules.into_iter().map(|(name, entry)| read_rule(name, entry, &limits)).collect::<Result<_, _>>()?;
    let scopes = scopes.into_iter().map(|(name, entry)| read_scope(name, entry, &rules)).collect::<Result<_, _>>()?;
    Ok((name, Scopes(scopes), rules))
}

/// What no rule of the pack can exceed.
struct Limits {
    max_life_seconds: u64,
    max_depth: u64,
}

impl Limits {
    fn read(mut keys: Keys) -> Result<Self, PackError> {
        let life = keys.count("max_life_seconds", 1, MAX_LIFE_SECONDS)?;
        let depth = keys.count("max_depth", 0, MAX_DEPTH)?;
        let limits = Self { max_life_seconds: keys.required("max_life_seconds", life)?, max_depth: keys.required("max_depth", depth)? };
        keys.end()?;
        Ok(limits)
    }
}

fn read_rule(name: String, mut keys: Keys, limits: &Limits) -> Result<Rule, PackError> {
    let when = keys.free_text("when")?;
    let when = keys.required("when", when)?;
    let when = Condition::parse(&when).map_err(|detail| keys.fault(Reason::PackCondition, "when", detail))?;
    let audiences = read_audiences(&mut keys)?;
    let tools = keys.tools("tools")?;
    let tools = keys.required("tools", tools)?;
    let default_tools = keys.tools("default_tools")?;
    if let Some(lacking) = default_tools.as_ref().map(|default| missing(default, |tools_of| tools_of.within(&tools)))
        && !lacking.is_empty()
    {
        return Err(keys.malformed("default_tools", listed("tools of the rule", &lacking)));
    }
    let bearer = keys.flag("bearer")?.unwrap_or(false);
    let max_life_seconds = keys.count("max_life_seconds", 1, limits.max_life_seconds)?.unwrap_or(limits.max_life_seconds);
    let max_depth = keys.count("max_depth", 0, limits.max_depth)?.unwrap_or(limits.max_depth);
    let max_depth = u32::try_from(max_depth).map_err(|_| keys.malformed("max_depth", "out of range"))?;
    let reveal_subject = keys.flag("reveal_subject")?.unwrap_or(false);
    let ceilings = read_ceilings(&mut keys, &tools)?;
    keys.end()?;
    Ok(Rule { name, when, audiences, tools, default_tools, bearer, max_life_seconds, max_depth, reveal_subject, ceilings })
}

/// A scope whose tools no rule grants is a misspelt one, and would be refused to everybody without a word on why.
fn read_scope(name: String, mut keys: Keys, rules: &[Rule]) -> Result<(String, Tools), PackError> {
    if !is_scope_token(&name) {
        return Err(keys.malformed("name", "must be a scope token: printable ASCII without space, `\"` and `\\`"));
    }
    let tools = keys.tools("tools")?;
    let tools = keys.required("tools", tools)?;
    let unknown = missing(&tools, |tool| rules.iter().any(|rule| tool.within(&rule.tools)));
    if !unknown.is_empty() {
        return Err(keys.malformed("tools", listed("tools that a rule grants", &unknown)));
    }
    keys.end()?;
    Ok((name, tools))
}

fn read_audiences(keys: &mut Keys) -> Result<Audiences, PackError> {
    match (keys.texts("audiences")?, keys.flag("any_audience")?) {
        (Some(these), None | Some(false)) => Ok(Audiences::These(these)),
        (None, Some(true)) => Ok(Audiences::Any),
        (Some(_), Some(true)) => Err(keys.malformed("any_audience", "contradicts `audiences`")),
        (None, None | Some(false)) => Err(keys.malformed("audiences", "missing; `any_audience = true` grants whatever is asked for")),
    }
}

fn read_ceilings(keys: &mut Keys, tools: &Tools) -> Result<Vec<Caveat>, PackError> {
    let fault = |keys: &Keys, detail: String| keys.fault(Reason::PackCeiling, "ceiling", detail);
    let values = keys.json_list("ceiling")?;
    if values.len() > MAX_CEILINGS {
        return Err(fault(keys, format!("more than {MAX_CEILINGS}")));
    }
    let mut ceilings = Vec::new();
    for (number, value) in (1..).zip(values) {
        let ceiling = Caveat::from_json(&value).map_err(|reason| fault(keys, format!("number {number}: {}", reason.meaning())))?;
        if matches!(ceiling, Caveat::Tools(_) | Caveat::Audience(_) | Caveat::Expires(_) | Caveat::Depth(_)) {
            return Err(fault(keys, format!("number {number}: `{}` is a key of the rule and no ceiling", ceiling.kind())));
        }
        // a caveat on one tool says nothing about others, so a ceiling with a misspelt tool would bind nobody
        if let Some(tool) = ceiling.only_for().filter(|tool| !tools.cover(tool)) {
            return Err(fault(keys, format!("number {number}: the rule does not grant `{}`", tool.escape_debug())));
        }
        ceilings.push(ceiling);
    }
    Ok(ceilings)
}

const FORMAT: u64 = 1;
const MAX_PACK_NAME: usize = 64;
const MAX_RULES: usize = 200;
const MAX_SCOPES: usize = 200;
/// The longest life in seconds that a pack can give a token: a day. Until a revocation reaches a verifier, life is what bounds the harm
/// of a stolen token and its key.
pub const MAX_LIFE_SECONDS: u64 = 86_400;
/// A token has at most 16 blocks, one of which is the authority.
const MAX_DEPTH: u64 = 15;
/// So many that a client's own caveats fit the authority block beside them.
const MAX_CEILINGS: usize = 12;
