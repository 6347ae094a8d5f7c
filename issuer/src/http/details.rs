//! `authorization_details` of type `narrows` (RFC 9396): what is asked for, and what was granted, in the same form.

use narrows_verifier::{
    Caveat, Reason,
    caveat::{self, Tools},
    json::{self, Key, Limits, Value},
};

/// What one detail object asks for.
#[derive(Debug)]
pub(super) struct Details {
    /// The tools.
    pub tools: Tools,
    /// Further caveats.
    pub caveats: Vec<Caveat>,
    /// The agent's name.
    pub agent: Option<String>,
}

/// Reads the parameter: a JSON array with exactly one object of type `narrows`.
///
/// # Errors
/// `AUTHORIZATION_DETAILS`, `CAVEAT_MALFORMED`, `CAVEAT_NAMES_NO_TOOL`, or a `JSON_…` reason.
pub(super) fn parse(text: &str) -> Result<Details, Reason> {
    let value = json::parse(text.as_bytes(), Limits::CAVEATS)?;
    let Value::Array(items) = &value else { return Err(Reason::AuthorizationDetails) };
    let [Value::Object(members)] = items.as_slice() else { return Err(Reason::AuthorizationDetails) };
    let member = |name: &str| members.get(&Key(name.to_owned()));
    let known = ["type", "tools", "caveats", "agent"];
    let unknown = members.keys().any(|key| !known.contains(&key.0.as_str()));
    if unknown || member("type").and_then(Value::as_text) != Some(TYPE) {
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
    })
}

/// The granted authority as the answer's `authorization_details`: every caveat of the token, nothing hidden.
pub(super) fn granted(caveats: &[Caveat]) -> Value {
    let tools = caveats.iter().find_map(|caveat| if let Caveat::Tools(tools) = caveat { Some(tools.to_json()) } else { None });
    Value::Array(vec![Value::object([
        ("type", Value::Text(TYPE.to_owned())),
        ("tools", tools.unwrap_or(Value::Array(Vec::new()))),
        ("caveats", caveat::to_list(caveats)),
    ])])
}

fn is_agent_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 128 && !name.chars().any(char::is_control)
}

const TYPE: &str = "narrows";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_strict() {
        for (text, reason) in [
            ("{}", Reason::AuthorizationDetails),
            ("[]", Reason::AuthorizationDetails),
            (r#"[{"type":"narrows","tools":["a"]},{"type":"narrows","tools":["a"]}]"#, Reason::AuthorizationDetails),
            (r#"[{"type":"payment","tools":["a"]}]"#, Reason::AuthorizationDetails),
            (r#"[{"type":"narrows","tools":["a"],"more":1}]"#, Reason::AuthorizationDetails),
            (r#"[{"type":"narrows","tools":["a"],"agent":""}]"#, Reason::AuthorizationDetails),
            (r#"[{"type":"narrows"}]"#, Reason::CaveatNamesNoTool),
            (r#"[{"type":"narrows","tools":[]}]"#, Reason::CaveatNamesNoTool),
            (r#"[{"type":"narrows","tools":["a"],"caveats":[{"kind":"arg","path":"/a","is":{"exact":1}}]}]"#, Reason::CaveatNamesNoTool),
            (r#"[{"type":"narrows","tools":["a"],"caveats":[{"kind":"new"}]}]"#, Reason::CaveatMalformed),
            (r#"[{"type":"narrows","type":"narrows","tools":["a"]}]"#, Reason::JsonDuplicateKey),
            ("[", Reason::JsonMalformed),
        ] {
            assert_eq!(parse(text).err(), Some(reason), "{text}");
        }
        let details = parse(r#"[{"type":"narrows","tools":["a",{"prefix":"b."}],"agent":"planner"}]"#).unwrap();
        assert!(details.tools.cover("b.c") && details.caveats.is_empty());
        assert_eq!(details.agent.as_deref(), Some("planner"));
    }
}
