//! What a token from outside says of its own authority, which bounds what is made of it.

use std::collections::BTreeSet;

use narrows_policies::{Ceiling, Whose};
use narrows_verifier::{Caveat, Reason};
use serde_json::Value;

use crate::{details, federation::VerifiedSubject};

/// What the token says of its own authority: `scope`, `resource` and `authorization_details`.
///
/// An access token without a scope grants nothing, since nothing is known of what it grants. Other tokens say who somebody is, and
/// the policy alone says what that is good for.
///
/// # Errors
/// `JWT_CLAIMS` for a claim of another form, `SUBJECT_BOUND` for authorization details that can't be kept here.
pub(super) fn token_ceilings(token: &VerifiedSubject, is_access_token: bool) -> Result<Option<Ceiling>, Reason> {
    let scopes = texts(token.bounds.get("scope"), ' ')?.or_else(|| is_access_token.then(BTreeSet::new));
    let mut caveats: Vec<_> = resources(token)?.map(Caveat::Audience).into_iter().collect();
    if let Some(given) = token.bounds.get("authorization_details") {
        let given = details::parse(&given.to_string()).map_err(|_| Reason::SubjectBound)?;
        caveats.push(Caveat::Tools(given.tools));
        caveats.extend(given.caveats);
    }
    let bounds = scopes.is_some() || !caveats.is_empty();
    Ok(bounds.then_some(Ceiling { whose: Whose::Subject, scopes, caveats }))
}

/// The resources for which an assertion was made.
///
/// # Errors
/// `JWT_CLAIMS`.
pub(super) fn resources(token: &VerifiedSubject) -> Result<Option<BTreeSet<String>>, Reason> {
    let named = texts(token.bounds.get("resource"), '\n')?;
    // an empty list bounds to nothing, which an audience caveat has no form for
    if named.as_ref().is_some_and(BTreeSet::is_empty) { Err(Reason::JwtClaims) } else { Ok(named) }
}

/// Texts in an array, or in one text with something between them.
fn texts(claim: Option<&Value>, separator: char) -> Result<Option<BTreeSet<String>>, Reason> {
    match claim {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.split(separator).filter(|part| !part.is_empty()).map(str::to_owned).collect())),
        Some(Value::Array(items)) => {
            let texts = items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>();
            texts.map(Some).ok_or(Reason::JwtClaims)
        }
        Some(_) => Err(Reason::JwtClaims),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(bounds: Value) -> VerifiedSubject {
        let bounds = serde_json::from_value(bounds).unwrap();
        VerifiedSubject {
            issuer: "https://idp.example".into(),
            subject: "alice".into(),
            claims: serde_json::Map::new(),
            bounds,
            expires_s: 1,
            token_id: None,
            once: None,
            require_proof: true,
        }
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn an_access_token_grants_what_its_scope_says_and_nothing_without_one() {
        let scopes = |bounds: Value, access| token_ceilings(&token(bounds), access).unwrap().map(|ceiling| ceiling.scopes);
        assert_eq!(scopes(json!({}), true), Some(Some(set(&[]))));
        assert_eq!(scopes(json!({}), false), None);
        for access in [true, false] {
            assert_eq!(scopes(json!({ "scope": "a  b" }), access), Some(Some(set(&["a", "b"]))));
            assert_eq!(scopes(json!({ "scope": ["a", "b"] }), access), Some(Some(set(&["a", "b"]))));
            assert_eq!(scopes(json!({ "scope": "" }), access), Some(Some(set(&[]))));
        }
    }

    #[test]
    fn a_bound_that_cannot_be_read_is_refused_and_never_left_out() {
        for (bounds, reason) in [
            (json!({ "scope": 1 }), Reason::JwtClaims),
            (json!({ "scope": [1] }), Reason::JwtClaims),
            (json!({ "scope": null }), Reason::JwtClaims),
            (json!({ "resource": {} }), Reason::JwtClaims),
            (json!({ "resource": [] }), Reason::JwtClaims),
            (json!({ "authorization_details": [{ "type": "payment" }] }), Reason::SubjectBound),
            (json!({ "authorization_details": "x" }), Reason::SubjectBound),
        ] {
            assert_eq!(token_ceilings(&token(bounds.clone()), false).err(), Some(reason), "{bounds}");
        }
    }

    #[test]
    fn resources_and_details_of_a_token_bound_what_is_made_of_it() {
        let bounds = json!({
            "resource": "https://a.example/",
            "authorization_details": [{ "type": "narrows", "tools": ["crm.read"], "caveats": [{ "kind": "depth", "max": 1 }] }],
        });
        let ceiling = token_ceilings(&token(bounds), false).unwrap().unwrap();
        let kinds: Vec<_> = ceiling.caveats.iter().map(Caveat::kind).collect();
        assert_eq!((kinds, ceiling.scopes), (vec!["audience", "tools", "depth"], None));
    }
}
