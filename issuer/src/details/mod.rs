//! `authorization_details` (RFC 9396): what is asked for, and what was granted, in the same form.
//!
//! Two types are read. `narrows` has the caveats of our own tokens; `attenuating_agent_token` has the constraints of the
//! IETF draft of that name, each of which means the same as one of our caveats.

mod attenuating;
mod constraint;
mod own;

use narrows_verifier::{
    Caveat, Reason,
    caveat::Tools,
    json::{self, Limits, Value},
};

/// The types that are read, as the metadata of an authorization server lists them.
pub const TYPES: [&str; 2] = [own::TYPE, attenuating::TYPE];

/// What the one detail object asks for.
#[derive(Clone, Debug)]
pub struct Details {
    /// The tools.
    pub tools: Tools,
    /// Further caveats.
    pub caveats: Vec<Caveat>,
    /// The agent's name.
    pub agent: Option<String>,
    /// As it was asked for, where that is another vocabulary than ours.
    echo: Option<Value>,
}

/// Reads the parameter: a JSON array with exactly one object of a known type.
///
/// # Errors
/// `AUTHORIZATION_DETAILS`, `DETAILS_TOO_LARGE`, `CONSTRAINT_MALFORMED`, `CAVEAT_…`, or a `JSON_…` reason. All of them are
/// `invalid_authorization_details` in OAuth's words.
pub fn parse(text: &str) -> Result<Details, Reason> {
    let value = json::parse(text.as_bytes(), LIMITS)?;
    let Value::Array(items) = &value else { return Err(Reason::AuthorizationDetails) };
    let [entry @ Value::Object(members)] = items.as_slice() else { return Err(Reason::AuthorizationDetails) };
    match members.get(&json::Key("type".to_owned())).and_then(Value::as_text) {
        Some(own::TYPE) => own::read(members),
        Some(attenuating::TYPE) => {
            let (tools, caveats) = attenuating::read(members)?;
            Ok(Details { tools, caveats, agent: None, echo: Some(entry.clone()) })
        }
        _ => Err(Reason::AuthorizationDetails),
    }
}

/// What was granted to somebody who asked in another way than by details: every caveat of the token, nothing hidden.
pub fn granted(caveats: &[Caveat]) -> Value {
    Value::Array(vec![own::granted(caveats)])
}

impl Details {
    /// The token's caveats as the answer's `authorization_details`, in the type that was asked for. Where the token demands
    /// more than that type was asked to say, an object of type `narrows` beside it has all of it.
    pub fn granted(&self, caveats: &[Caveat]) -> Value {
        let Some(echo) = &self.echo else { return granted(caveats) };
        let said = |caveat: &Caveat| match caveat {
            Caveat::Tools(tools) => *tools == self.tools,
            // an answer has members of its own for when and where a token is good
            Caveat::Audience(_) | Caveat::Expires(_) | Caveat::Depth(_) => true,
            other => self.caveats.contains(other),
        };
        let more = (!caveats.iter().all(said)).then(|| own::granted(caveats));
        Value::Array([echo.clone()].into_iter().chain(more).collect())
    }
}

/// A constraint that is nested 32 deep stands 67 deep in the JSON.
const LIMITS: Limits = Limits { depth: 72, ..Limits::CAVEATS };

#[cfg(test)]
mod tests;
