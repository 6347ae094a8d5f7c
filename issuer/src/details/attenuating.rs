//! The type `attenuating_agent_token` (draft-niyikiza-oauth-attenuating-agent-tokens-01, §3.3 and §3.4): tools, and for each
//! of its arguments a constraint of nine types.
//!
//! A tool without constraints takes any arguments. With one, its world is closed: it takes exactly the named arguments, and
//! each of them must be there, also where its constraint only says what it may not be.

use std::collections::{BTreeMap, BTreeSet};

use narrows_verifier::{
    Caveat, Reason,
    caveat::{Argument, ClosedArguments, Matcher, Tools},
    json::{Key, Pointer, Value},
};

use super::constraint::{Demand, demand};

pub(super) const TYPE: &str = "attenuating_agent_token";

/// Reads the members of one object into the tools and the caveats on their arguments.
pub(super) fn read(members: &BTreeMap<Key, Value>) -> Result<(Tools, Vec<Caveat>), Reason> {
    let known = ["type", "tools"];
    if members.keys().any(|key| !known.contains(&key.0.as_str())) {
        return Err(Reason::AuthorizationDetails);
    }
    let Some(Value::Object(tools)) = members.get(&Key("tools".to_owned())) else { return Err(Reason::AuthorizationDetails) };
    if tools.len() > MAX_TOOLS {
        return Err(Reason::DetailsTooLarge);
    }
    let names = Value::Array(tools.keys().map(|key| Value::Text(key.0.clone())).collect());
    let mut caveats = Vec::new();
    let mut uncallable = BTreeSet::new();
    for (Key(tool), arguments) in tools {
        let Value::Object(arguments) = arguments else { return Err(Reason::AuthorizationDetails) };
        match read_tool(tool, arguments)? {
            Some(own) => caveats.extend(own),
            None => drop(uncallable.insert(tool.clone())),
        }
    }
    if !uncallable.is_empty() {
        caveats.push(Caveat::NotTools(Tools { names: uncallable, ..Tools::default() }));
    }
    Ok((Tools::from_json(&names)?, caveats))
}

/// The caveats of one tool; `None` when no value of one of its arguments can pass, so that no call of it can.
fn read_tool(tool: &str, arguments: &BTreeMap<Key, Value>) -> Result<Option<Vec<Caveat>>, Reason> {
    if arguments.len() > MAX_CONSTRAINTS {
        return Err(Reason::DetailsTooLarge);
    }
    let mut caveats = Vec::new();
    let mut callable = true;
    for (Key(name), constraint) in arguments {
        if constraint.canonical().len() > MAX_CONSTRAINT_BYTES {
            return Err(Reason::DetailsTooLarge);
        }
        let token = name.replace('~', "~0").replace('/', "~1");
        let path = Pointer::parse(&format!("/{token}")).ok_or(Reason::DetailsTooLarge)?;
        let caveat = |is: Matcher| Caveat::Argument(Argument { tool: tool.to_owned(), path: path.clone(), is });
        match demand(constraint)? {
            Demand::Never => callable = false,
            Demand::All(matchers) => caveats.extend(matchers.into_iter().map(caveat)),
        }
    }
    if !arguments.is_empty() {
        let names = arguments.keys().map(|key| key.0.clone()).collect();
        caveats.push(Caveat::ClosedArguments(ClosedArguments { tool: tool.to_owned(), at: Pointer::root(), names }));
    }
    Ok(callable.then_some(caveats))
}

/// The draft's advice (§7), counted before anything is made of them.
const MAX_TOOLS: usize = 256;
const MAX_CONSTRAINTS: usize = 64;
const MAX_CONSTRAINT_BYTES: usize = 4096;
