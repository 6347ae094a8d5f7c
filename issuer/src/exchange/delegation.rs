//! Who acts for whom: the claims `act` and `may_act` (RFC 8693 §4.1, §4.4).
//!
//! What a token says of delegation is looked at whether or not the request names an actor: a token that was delegated before
//! never comes back as one that was not.

use narrows_verifier::{EarlierActor, Reason};
use serde_json::{Map, Value};

use crate::{app::App, clients::Client, federation::VerifiedSubject};

/// Somebody, and who vouches for the name.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Party {
    /// Who vouches: an issuer, or this service for its clients.
    pub issuer: String,
    /// The name at that issuer.
    pub name: String,
    /// The client that it is or comes with, where that is known.
    pub client_id: Option<String>,
}

impl Party {
    /// An authenticated client, for whom this service vouches.
    pub(super) fn client(app: &App, client: &Client) -> Self {
        Self { issuer: app.identifier.clone(), name: client.id.clone(), client_id: Some(client.id.clone()) }
    }

    /// Whom a verified token speaks of.
    pub(super) fn of(token: VerifiedSubject) -> Self {
        let client_id = token.bounds.get("client_id").and_then(Value::as_str).map(str::to_owned);
        Self { issuer: token.issuer, name: token.subject, client_id }
    }
}

/// The names of those who acted before, the latest last, from an `act` claim. Only who they are is read: their own `exp` and the
/// like mean nothing here (RFC 8693 §4.1).
///
/// # Errors
/// `ACT_MALFORMED`, `ACT_TOO_DEEP`.
pub(super) fn earlier_actors(act: Option<&Value>) -> Result<Vec<EarlierActor>, Reason> {
    let mut actors = Vec::new();
    let mut next = act;
    while let Some(claim) = next {
        if actors.len() == MAX_ACTORS {
            return Err(Reason::ActTooDeep);
        }
        let members = claim.as_object().ok_or(Reason::ActMalformed)?;
        let name = text(members, "sub")?.ok_or(Reason::ActMalformed)?;
        actors.push(EarlierActor::attested(match text(members, "iss")? {
            Some(issuer) => format!("{issuer} {name}"),
            None => name.to_owned(),
        }));
        next = members.get("act");
    }
    actors.reverse();
    Ok(actors)
}

/// Whether a `may_act` claim lets this party act: each member that it has must be the party's. A member that is not known here
/// may be the very one that would exclude it.
///
/// # Errors
/// `ACT_MALFORMED`, `MAY_ACT`.
pub(super) fn may_act(claim: Option<&Value>, actor: &Party) -> Result<(), Reason> {
    let Some(claim) = claim else { return Ok(()) };
    let members = claim.as_object().ok_or(Reason::ActMalformed)?;
    if members.is_empty() || members.keys().any(|name| !["sub", "iss", "client_id"].contains(&name.as_str())) {
        return Err(Reason::ActMalformed);
    }
    let fits = |name, of: Option<&str>| text(members, name).map(|wanted| wanted.is_none_or(|wanted| of == Some(wanted)));
    let all = fits("sub", Some(&actor.name))? && fits("iss", Some(&actor.issuer))? && fits("client_id", actor.client_id.as_deref())?;
    if all { Ok(()) } else { Err(Reason::MayAct) }
}

/// A text that a token, a leaf and a console can hold.
fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Reason> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control) => Ok(Some(text)),
        Some(_) => Err(Reason::ActMalformed),
    }
}

/// As many as an authority block names.
pub(super) const MAX_ACTORS: usize = 8;
const MAX_TEXT: usize = 255;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn actor() -> Party {
        Party { issuer: "https://idp.example".into(), name: "planner".into(), client_id: Some("app".into()) }
    }

    fn nested(depth: usize) -> Value {
        (0..depth).fold(Value::Null, |inner, number| match inner {
            Value::Null => json!({ "sub": number.to_string() }),
            inner => json!({ "sub": number.to_string(), "act": inner }),
        })
    }

    #[test]
    fn actors_are_read_from_the_first_to_the_latest() {
        let act = json!({ "sub": "third", "exp": 1, "act": { "sub": "second", "iss": "https://idp.example", "act": { "sub": "first" } } });
        let attested = |names: &[&str]| names.iter().map(|name| EarlierActor::attested(*name)).collect::<Vec<_>>();
        assert_eq!(earlier_actors(Some(&act)).unwrap(), attested(&["first", "https://idp.example second", "third"]));
        assert!(earlier_actors(None).unwrap().is_empty());
        assert_eq!(earlier_actors(Some(&nested(8))).unwrap(), attested(&["0", "1", "2", "3", "4", "5", "6", "7"]));
        assert_eq!(earlier_actors(Some(&nested(9))), Err(Reason::ActTooDeep));
    }

    #[test]
    fn an_actor_without_a_name_is_refused() {
        for act in [
            json!("planner"),
            json!(null),
            json!([]),
            json!({}),
            json!({ "iss": "https://idp.example" }),
            json!({ "sub": 1 }),
            json!({ "sub": "" }),
            json!({ "sub": "a\nb" }),
            json!({ "sub": "x".repeat(256) }),
            json!({ "sub": "x", "iss": [] }),
            json!({ "sub": "x", "act": "y" }),
        ] {
            assert_eq!(earlier_actors(Some(&act)), Err(Reason::ActMalformed), "{act}");
        }
    }

    #[test]
    fn each_member_of_may_act_must_be_the_actors() {
        for (claim, expected) in [
            (json!({ "sub": "planner" }), Ok(())),
            (json!({ "iss": "https://idp.example", "sub": "planner", "client_id": "app" }), Ok(())),
            (json!({ "client_id": "app" }), Ok(())),
            (json!({ "sub": "executor" }), Err(Reason::MayAct)),
            (json!({ "sub": "planner", "iss": "https://other.example" }), Err(Reason::MayAct)),
            (json!({ "sub": "planner", "client_id": "other" }), Err(Reason::MayAct)),
            (json!({}), Err(Reason::ActMalformed)),
            (json!({ "sub": "planner", "group": "x" }), Err(Reason::ActMalformed)),
            (json!({ "sub": ["planner"] }), Err(Reason::ActMalformed)),
            (json!("planner"), Err(Reason::ActMalformed)),
        ] {
            assert_eq!(may_act(Some(&claim), &actor()), expected, "{claim}");
        }
        assert_eq!(may_act(None, &actor()), Ok(()));
        let nameless = Party { client_id: None, ..actor() };
        assert_eq!(may_act(Some(&json!({ "client_id": "app" })), &nameless), Err(Reason::MayAct));
    }
}
