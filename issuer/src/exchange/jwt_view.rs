//! A JWT in place of a capability (RFC 9068), for resource servers that read nothing else.
//!
//! An export may never widen: such a server enforces what the claims of RFC 9068 say and nothing more. So a token with a caveat
//! that they can't say has no such view. What says a caveat:
//!
//! | caveat | claim |
//! |---|---|
//! | `tools` | `scope`: those scopes whose tools are all granted; without one there is no view |
//! | `audience` | `aud` |
//! | `expires` | `exp`, at most five minutes ahead, since no revocation reaches a JWT |
//! | `not_before` | `nbf` |
//! | `depth` | nothing: a JWT can't be handed on |
//! | one on a tool that is not granted | nothing: it has nothing to refuse |
//! | any other | none, so there is no view |

use std::collections::BTreeSet;

use narrows_verifier::{Caveat, Holder, Reason, biscuit::AuthorityClaims, caveat::Tools, proof::dpop::thumbprint};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{binding, issue::scope_text};
use crate::app::App;

/// Signs the view of a token that is to be minted.
///
/// # Errors
/// `JWT_VIEW_OFF`, `JWT_VIEW_SCOPE`, `JWT_VIEW_CAVEAT`.
pub(super) fn sign(
    app: &App,
    token: &AuthorityClaims,
    scopes: &BTreeSet<String>,
    expires_s: u64,
    client: &str,
) -> Result<Zeroizing<String>, Reason> {
    let signer = app.jwt_signer.as_ref().ok_or(Reason::JwtViewOff)?;
    let claims = claims(token, scopes, expires_s, client)?;
    signer.sign(MEDIA_TYPE, &claims).map(Zeroizing::new).map_err(|_| Reason::Internal)
}

fn claims(token: &AuthorityClaims, scopes: &BTreeSet<String>, expires_s: u64, client: &str) -> Result<Map<String, Value>, Reason> {
    if scopes.is_empty() {
        return Err(Reason::JwtViewScope);
    }
    let mut claims = Map::new();
    for (name, value) in [
        ("iss", json!(token.issuer)),
        ("sub", json!(token.subject)),
        ("client_id", json!(client)),
        ("jti", json!(token.entry.to_string())),
        ("iat", json!(token.issued)),
        ("exp", json!(expires_s)),
        ("scope", json!(scope_text(scopes))),
        ("act", act(token)),
    ] {
        claims.insert(name.to_owned(), value);
    }
    let granted = granted(&token.caveats);
    for caveat in &token.caveats {
        said(caveat, &granted, &mut claims)?;
    }
    let key = match token.holder {
        Holder::Key(key) => Some(thumbprint(&key)),
        Holder::Thumbprint(thumbprint) => Some(thumbprint),
        Holder::Bearer => None,
    };
    if let Some(key) = key {
        claims.insert("cnf".to_owned(), json!({ "jkt": binding::text(&key) }));
    }
    Ok(claims)
}

/// Says a caveat by a claim, or finds that it refuses nothing. The list has no rest, so that a new kind of caveat is thought about.
fn said(caveat: &Caveat, granted: &Tools, claims: &mut Map<String, Value>) -> Result<(), Reason> {
    match caveat {
        Caveat::Audience(audiences) => {
            let one = if audiences.len() == 1 { audiences.first() } else { None };
            claims.insert("aud".to_owned(), one.map_or_else(|| json!(audiences), |one| json!(one)));
            Ok(())
        }
        Caveat::NotBefore(start) => {
            let later = claims.get("nbf").and_then(Value::as_u64).map_or(*start, |known| known.max(*start));
            claims.insert("nbf".to_owned(), json!(later));
            Ok(())
        }
        Caveat::Expires(_) | Caveat::Depth(_) => Ok(()),
        // the scopes say the first list of tools, which lies within every other only if it is the other's part
        Caveat::Tools(tools) if granted.within(tools) => Ok(()),
        Caveat::NotTools(denied)
            if denied.prefixes.is_empty() && denied.suffixes.is_empty() && !denied.names.iter().any(|name| granted.cover(name)) =>
        {
            Ok(())
        }
        Caveat::Argument(_)
        | Caveat::ClosedArguments(_)
        | Caveat::Calls(_)
        | Caveat::SingleUse(_)
        | Caveat::Budget(_)
        | Caveat::RequiresPrior(_)
        | Caveat::ForbidsPrior(_)
        | Caveat::Labels(_)
        | Caveat::Approval(_)
        | Caveat::Directive(_)
            if caveat.only_for().is_some_and(|tool| !granted.cover(tool)) =>
        {
            Ok(())
        }
        Caveat::Tools(_)
        | Caveat::NotTools(_)
        | Caveat::Argument(_)
        | Caveat::ClosedArguments(_)
        | Caveat::TimeWindow(_)
        | Caveat::Calls(_)
        | Caveat::SingleUse(_)
        | Caveat::Budget(_)
        | Caveat::RequiresPrior(_)
        | Caveat::ForbidsPrior(_)
        | Caveat::Labels(_)
        | Caveat::Approval(_)
        | Caveat::Directive(_)
        | Caveat::Datalog(_) => Err(Reason::JwtViewCaveat),
    }
}

/// The tools that the first list grants, of which the scopes cover some or all.
fn granted(caveats: &[Caveat]) -> Tools {
    caveats.iter().find_map(|caveat| if let Caveat::Tools(tools) = caveat { Some(tools.clone()) } else { None }).unwrap_or_default()
}

/// The agent, and within it those who acted before (RFC 8693 §4.1). A claim has no place for whose word a name is, so names that a
/// delegator chose stay out.
fn act(token: &AuthorityClaims) -> Value {
    let verified = token.actors.iter().filter(|actor| actor.attested);
    let before = verified.fold(None, |before: Option<Value>, actor| Some(nested(&actor.name, before)));
    nested(&token.agent, before)
}

fn nested(actor: &str, before: Option<Value>) -> Value {
    match before {
        Some(before) => json!({ "sub": actor, "act": before }),
        None => json!({ "sub": actor }),
    }
}

/// A view lives no longer than this.
pub(super) const LIFE_SECONDS: u64 = 300;
const MEDIA_TYPE: &str = "at+jwt";

#[cfg(test)]
mod tests {
    use narrows_verifier::{
        BlockId, EarlierActor, EntryId, TaskId,
        caveat::parse_list,
        json::{Limits, parse},
        public_key,
    };

    use super::*;

    const REQUIRED: &str = r#"{"kind":"tools","allow":["crm.read",{"prefix":"mail."}]},{"kind":"audience","one_of":["https://a.example"]},{"kind":"expires","at":"2026-11-21T12:00:00Z"},{"kind":"depth","max":3}"#;

    fn token(more: &str) -> AuthorityClaims {
        AuthorityClaims {
            task: TaskId([1; 16]),
            entry: EntryId([2; 16]),
            issued: 1_700_000_000,
            issuer: "https://issuer.example".into(),
            subject: "p-1".into(),
            actors: vec![EarlierActor::attested("desk"), EarlierActor::named("issuer"), EarlierActor::attested("front")],
            agent: "planner".into(),
            holder: public_key(&[11; 32]).into(),
            lineage: vec![BlockId([3; 32])],
            dev: false,
            caveats: parse_list(&parse(format!("[{REQUIRED}{more}]").as_bytes(), Limits::CAVEATS).unwrap()).unwrap(),
        }
    }

    fn view(token: &AuthorityClaims) -> Result<Value, Reason> {
        claims(token, &["crm".to_owned(), "mail".to_owned()].into(), 1_700_000_300, "app").map(Value::Object)
    }

    #[test]
    fn claims_say_everything_that_the_token_demands() {
        let expected = json!({
            "iss": "https://issuer.example", "sub": "p-1", "client_id": "app", "jti": "02".repeat(16), "iat": 1_700_000_000,
            "exp": 1_700_000_300, "scope": "crm mail", "aud": "https://a.example",
            "act": { "sub": "planner", "act": { "sub": "front", "act": { "sub": "desk" } } },
            "cnf": { "jkt": binding::text(&thumbprint(&public_key(&[11; 32]))) },
        });
        assert_eq!(view(&token("")), Ok(expected));
        let bearer = AuthorityClaims { holder: Holder::Bearer, ..token("") };
        assert_eq!(view(&bearer).unwrap()["cnf"], Value::Null);
        let later = r#",{"kind":"not_before","at":"2023-11-14T22:13:30Z"},{"kind":"not_before","at":"2023-11-14T22:13:25Z"}"#;
        assert_eq!(view(&token(later)).unwrap()["nbf"], json!(1_700_000_010));
    }

    #[test]
    fn a_caveat_that_refuses_nothing_of_what_is_granted_does_not_matter() {
        for caveat in [
            r#"{"kind":"arg","tool":"pay","path":"/a","is":{"exact":1}}"#,
            r#"{"kind":"closed_args","tool":"pay","names":[]}"#,
            r#"{"kind":"calls","name":"n","tool":"pay","max":5}"#,
            r#"{"kind":"not_tools","deny":["pay","crm.write"]}"#,
            r#"{"kind":"tools","allow":[{"prefix":"mail"},{"prefix":"crm."}]}"#,
        ] {
            assert!(view(&token(&format!(",{caveat}"))).is_ok(), "{caveat}");
        }
    }

    #[test]
    fn a_view_never_leaves_a_caveat_out() {
        for caveat in [
            r#"{"kind":"arg","tool":"crm.read","path":"/a","is":{"exact":1}}"#,
            r#"{"kind":"arg","tool":"mail.send","path":"/to","is":{"exact":"a"}}"#,
            r#"{"kind":"closed_args","tool":"crm.read","names":[]}"#,
            r#"{"kind":"calls","name":"n","tool":"crm.read","max":5}"#,
            r#"{"kind":"calls","name":"n","max":5}"#,
            r#"{"kind":"single_use","name":"n"}"#,
            r#"{"kind":"budget","name":"n","unit":"EUR","max":"5","cost":{"each":"1"}}"#,
            r#"{"kind":"forbids_prior","actions":["a"]}"#,
            r#"{"kind":"requires_prior","actions":["a"]}"#,
            r#"{"kind":"labels","none_of":["secret"]}"#,
            r#"{"kind":"approval","name":"f","count":1,"of":["k"]}"#,
            r#"{"kind":"network","hosts":["h"]}"#,
            r#"{"kind":"time_window","window":{"days":["mon"],"from":"09:00","to":"17:30","utc_offset":"+02:00"}}"#,
            r#"{"kind":"not_tools","deny":["mail.send"]}"#,
            r#"{"kind":"not_tools","deny":[{"prefix":"pay."}]}"#,
            r#"{"kind":"tools","allow":["crm.read"]}"#,
        ] {
            assert_eq!(view(&token(&format!(",{caveat}"))), Err(Reason::JwtViewCaveat), "{caveat}");
        }
        assert_eq!(claims(&token(""), &BTreeSet::new(), 1_700_000_300, "app"), Err(Reason::JwtViewScope));
    }
}
