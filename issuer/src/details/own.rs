//! The type `narrows`: tools and caveats as a token has them.

use std::collections::BTreeMap;

use narrows_verifier::{
    Caveat, Reason,
    caveat::{self, Tools},
    json::{Key, Value},
};

use super::Details;

pub(super) const TYPE: &str = "narrows";

/// Reads the members of one object.
pub(super) fn read(members: &BTreeMap<Key, Value>) -> Result<Details, Reason> {
    let member = |name: &str| members.get(&Key(name.to_owned()));
    let known = ["type", "tools", "caveats", "agent"];
    if members.keys().any(|key| !known.contains(&key.0.as_str())) {
        return Err(Reason::AuthorizationDetails);
    }
    let agent = match member("agent") {
        None => None,
        Some(Value::Text(name)) if is_agent_name(name) => Some(name.clone()),
        Some(_) => return Err(Reason::AuthorizationDetails),
    };
    Ok(Details {
        tools: Tools::from_json(member("tools").ok_or(Reason::CaveatNamesNoTool)?)?,
        caveats: member("caveats").map_or(Ok(Vec::new()), caveat::parse_list)?,
        agent,
        echo: None,
    })
}

/// All that a token demands, as one object.
pub(super) fn granted(caveats: &[Caveat]) -> Value {
    let tools = caveats.iter().find_map(|caveat| if let Caveat::Tools(tools) = caveat { Some(tools.to_json()) } else { None });
    Value::object([
        ("type", Value::Text(TYPE.to_owned())),
        ("tools", tools.unwrap_or(Value::Array(Vec::new()))),
        ("caveats", caveat::to_list(caveats)),
    ])
}

fn is_agent_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 128 && !name.chars().any(char::is_control)
}
