//! The TOML form of a pack. `docs/policy-guide.md` explains each key.

use narrows_verifier::{Caveat, Reason, caveat::Tools};

use super::{Audiences, Rule};
use crate::{PackError, condition::Condition, document::Keys, request::MAX_CAVEATS};

/// Reads the pack's name and its rules.
pub(super) fn read(text: &str) -> Result<(String, Vec<Rule>), PackError> {
    let mut document = Keys::parse(text, Reason::PackMalformed)?;
    let name = document.text("pack", MAX_PACK_NAME)?;
    let name = document.required("pack", name)?;
    let version = document.count("version", FORMAT, FORMAT)?;
    document.required("version", version)?;
    let limits = document.table("limits")?;
    let limits = Limits::read(document.inside(document.required("limits", limits)?))?;
    let entries = document.entries("rule", MAX_RULES)?;
    document.end()?;
    let rules = entries.into_iter().map(|(name, entry)| read_rule(name, entry, &limits)).collect::<Result<_, _>>()?;
    Ok((name, rules))
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
    let tools = keys.json("tools")?;
    let tools = keys.required("tools", tools)?;
    let tools = Tools::from_json(&tools)
        .map_err(|_| keys.malformed("tools", "must be a list of 1 to 256 distinct tool names and at most 7 `{ prefix = … }`"))?;
    let max_life_seconds = keys.count("max_life_seconds", 1, limits.max_life_seconds)?.unwrap_or(limits.max_life_seconds);
    let max_depth = keys.count("max_depth", 0, limits.max_depth)?.unwrap_or(limits.max_depth);
    let max_depth = u32::try_from(max_depth).map_err(|_| keys.malformed("max_depth", "out of range"))?;
    let reveal_subject = keys.flag("reveal_subject")?.unwrap_or(false);
    let ceilings = read_ceilings(&mut keys, &tools)?;
    keys.end()?;
    Ok(Rule { name, when, audiences, tools, max_life_seconds, max_depth, reveal_subject, ceilings })
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
/// The longest life that a pack may grant: a day. Until a revocation reaches a verifier, life is what bounds the harm of a stolen token and its key.
pub const MAX_LIFE_SECONDS: u64 = 86_400;
/// A token has at most 16 blocks, one of which is the authority.
const MAX_DEPTH: u64 = 15;
/// Tools, audience, expiry and depth take the other four checks of the authority block.
const MAX_CEILINGS: usize = MAX_CAVEATS - 4;
