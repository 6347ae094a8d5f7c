//! Cases beside a pack: requests, and what the pack must say to them.

use std::collections::{BTreeMap, BTreeSet};

use narrows_verifier::{
    Call, Caveat, Reason, State,
    caveat::Tools,
    json::{self, Limits},
};
use toml::{Table, Value};

use crate::{Actor, Ceiling, Claim, Grant, GrantType, MintRequest, Pack, PackError, RequestedType, Whose, document::Keys};

/// What running cases showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// One outcome per case, in order.
    pub outcomes: Vec<Outcome>,
    /// Rules by which no case was granted: nobody has said what they are for.
    pub untried_rules: Vec<String>,
}

/// One case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The case's name.
    pub case: String,
    /// How the pack's answer differs from what the case expects; `None` when it does not.
    pub failure: Option<String>,
}

impl Report {
    /// Whether there was at least one case and all went as expected.
    pub fn passed(&self) -> bool {
        !self.outcomes.is_empty() && self.outcomes.iter().all(|outcome| outcome.failure.is_none())
    }
}

/// Runs the cases of a TOML text against a pack. `docs/policy-guide.md` explains each key.
///
/// # Errors
/// `PACK_TOO_LARGE` or `CASES_MALFORMED`, with case and key. A case that fails is no error but an outcome.
pub fn run(pack: &Pack, text: &str) -> Result<Report, PackError> {
    let mut untried: BTreeSet<&str> = pack.rules().collect();
    let mut outcomes = Vec::new();
    for case in read(text)? {
        let decision = pack.decide(&case.request, case.now_s);
        if let Ok(grant) = &decision {
            untried.remove(grant.rule.as_str());
        }
        let failure = match (&case.expect, &decision) {
            (Expect::Refusal(expected), Err(refusal)) if *expected == refusal.reason => None,
            (Expect::Refusal(expected), Err(refusal)) => Some(format!("expected {expected}, got {refusal}")),
            (Expect::Refusal(expected), Ok(grant)) => Some(format!("expected {expected}, got a grant by `{}`", grant.rule)),
            (Expect::Grant(_), Err(refusal)) => Some(format!("expected a grant, got {refusal}")),
            (Expect::Grant(expected), Ok(grant)) => expected.differs(grant, case.now_s),
        };
        outcomes.push(Outcome { case: case.name, failure });
    }
    let untried_rules = pack.rules().filter(|rule| untried.contains(rule)).map(str::to_owned).collect();
    Ok(Report { outcomes, untried_rules })
}

struct Case {
    name: String,
    request: MintRequest,
    now_s: u64,
    expect: Expect,
}

enum Expect {
    Refusal(Reason),
    Grant(Box<ExpectedGrant>),
}

/// Each `None` is not looked at.
struct ExpectedGrant {
    rule: Option<String>,
    life_seconds: Option<u64>,
    depth: Option<u64>,
    clamped: Option<bool>,
    reveal_subject: Option<bool>,
    bearer: Option<bool>,
    tools: Option<Tools>,
    scopes: Option<BTreeSet<String>>,
    permits: Vec<(String, json::Value)>,
    denies: Vec<(String, json::Value)>,
}

impl ExpectedGrant {
    fn differs(&self, grant: &Grant, now_s: u64) -> Option<String> {
        let depth = grant.caveats.iter().find_map(|caveat| match caveat {
            Caveat::Depth(max) => Some(u64::from(*max)),
            _ => None,
        });
        let life = grant.expires_s.saturating_sub(now_s);
        let differences = [
            differs("rule", self.rule.as_ref(), Some(&grant.rule)),
            differs("life_seconds", self.life_seconds, Some(life)),
            differs("depth", self.depth, depth),
            differs("clamped", self.clamped, Some(grant.clamped)),
            differs("reveal_subject", self.reveal_subject, Some(grant.reveal_subject)),
            differs("bearer", self.bearer, Some(grant.bearer)),
            differs("tools", self.tools.as_ref(), Some(&grant.tools)),
            differs("scopes", self.scopes.as_ref(), Some(&grant.scopes)),
        ];
        let calls = self.permits.iter().map(|call| (call, true)).chain(self.denies.iter().map(|call| (call, false)));
        let calls = calls.filter_map(|((tool, arguments), expected)| {
            let failed = failed_caveat(grant, tool, arguments, now_s);
            match (expected, failed) {
                (true, Some(why)) => Some(format!("`{tool}` {} is denied: {why}", arguments.canonical())),
                (false, None) => Some(format!("`{tool}` {} is permitted", arguments.canonical())),
                _ => None,
            }
        });
        differences.into_iter().flatten().chain(calls).next()
    }
}

fn differs<T: PartialEq + core::fmt::Debug>(key: &str, expected: Option<T>, found: Option<T>) -> Option<String> {
    (expected.is_some() && expected != found).then(|| match (expected, found) {
        (Some(expected), Some(found)) => format!("{key} is {found:?}, not {expected:?}"),
        _ => format!("{key} is missing"),
    })
}

/// Why a token of this grant would deny a call at its first audience, before any hop.
fn failed_caveat(grant: &Grant, tool: &str, arguments: &json::Value, now_s: u64) -> Option<String> {
    let audience = grant.caveats.iter().find_map(|caveat| match caveat {
        Caveat::Audience(these) => these.first(),
        _ => None,
    });
    let Some(audience) = audience else { return Some(Reason::AudienceEmpty.meaning().to_owned()) };
    let call = Call { tool, arguments, audience, time: now_s };
    grant.caveats.iter().find(|caveat| !caveat.permits(&call, 0, &State::default())).map(Caveat::sentence)
}

fn read(text: &str) -> Result<Vec<Case>, PackError> {
    let mut document = Keys::parse(text, Reason::CasesMalformed)?;
    let base = document.table("base")?.unwrap_or_default();
    let entries = document.entries("case", MAX_CASES)?;
    document.end()?;
    entries.into_iter().map(|(name, entry)| read_case(name, entry, &base)).collect()
}

fn read_case(name: String, mut keys: Keys, base: &Table) -> Result<Case, PackError> {
    let own = keys.table("request")?.unwrap_or_default();
    let expect = keys.table("expect")?;
    let expect = read_expect(keys.inside(keys.required("expect", expect)?))?;
    let (request, now_s) = read_request(keys.inside(base.clone().into_iter().chain(own).collect()))?;
    keys.end()?;
    Ok(Case { name, request, now_s, expect })
}

fn read_request(mut keys: Keys) -> Result<(MintRequest, u64), PackError> {
    let mut text = |key: &str| keys.text(key, MAX_NAME);
    let client = text("client")?.unwrap_or_default();
    let actor = Actor { issuer: text("actor_issuer")?.unwrap_or_default(), name: text("actor")?.unwrap_or_else(|| client.clone()) };
    let mut text = |key: &str| text(key).map(Option::unwrap_or_default);
    let (agent, subject_issuer, subject) = (text("agent")?, text("subject_issuer")?, text("subject")?);
    let grant = keys.one_of("grant", GrantType::ALL.map(|grant| (grant.name(), grant)))?.unwrap_or(GrantType::TokenExchange);
    let requested_type = keys.one_of("requested_type", RequestedType::ALL.map(|form| (form.name(), form)))?;
    let claims = keys.table("claims")?.unwrap_or_default();
    let claims = claims.iter().map(|(name, value)| Some((name.clone(), read_claim(value)?))).collect::<Option<BTreeMap<_, _>>>();
    let claims = claims.ok_or_else(|| keys.malformed("claims", "must be texts, lists of texts, integers or flags"))?;
    let now_s = keys.count("now_s", 0, MAX_SECONDS)?.unwrap_or(NOW_S);
    let request = MintRequest {
        client,
        agent,
        subject_issuer,
        subject,
        claims,
        actor,
        grant,
        requested_type: requested_type.unwrap_or(RequestedType::AccessToken),
        bearer: keys.flag("bearer")?.unwrap_or(false),
        audiences: keys.texts("audiences")?.unwrap_or_default(),
        scopes: keys.texts("scopes")?.unwrap_or_default(),
        tools: keys.tools("tools")?,
        caveats: keys.caveats("caveats")?,
        ceilings: read_ceilings(&mut keys)?,
        requested_life_seconds: keys.count("life_seconds", 0, MAX_SECONDS)?,
        requested_depth: keys.count("depth", 0, u32::MAX.into())?.and_then(|depth| u32::try_from(depth).ok()),
        subject_expires_s: keys.count("subject_expires_in", 0, MAX_SECONDS)?.map(|left| now_s.saturating_add(left)),
    };
    keys.end()?;
    Ok((request, now_s))
}

fn read_ceilings(keys: &mut Keys) -> Result<Vec<Ceiling>, PackError> {
    let read = |mut ceiling: Keys| {
        let whose = ceiling.one_of("whose", Whose::ALL.map(|whose| (whose.name(), whose)))?;
        let whose = ceiling.required("whose", whose)?;
        let (scopes, caveats) = (ceiling.texts("scopes")?, ceiling.caveats("caveats")?);
        ceiling.end()?;
        Ok(Ceiling { whose, scopes, caveats })
    };
    keys.tables("ceilings")?.into_iter().map(read).collect()
}

fn read_claim(value: &Value) -> Option<Claim> {
    Some(match value {
        Value::String(text) => Claim::Text(text.clone()),
        Value::Integer(number) => Claim::Integer(*number),
        Value::Boolean(flag) => Claim::Flag(*flag),
        Value::Array(items) => Claim::Texts(items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()?),
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => return None,
    })
}

fn read_expect(mut keys: Keys) -> Result<Expect, PackError> {
    if keys.has("refused") {
        let code = keys.text("refused", MAX_NAME)?;
        let reason = code.and_then(|code| Reason::from_code(&code));
        let reason = reason.ok_or_else(|| keys.malformed("refused", "no such reason code"))?;
        keys.end()?;
        return Ok(Expect::Refusal(reason));
    }
    let granted = keys.text("granted_by", MAX_NAME)?;
    let expected = ExpectedGrant {
        rule: Some(keys.required("granted_by", granted)?),
        life_seconds: keys.count("life_seconds", 0, MAX_SECONDS)?,
        depth: keys.count("depth", 0, u32::MAX.into())?,
        clamped: keys.flag("clamped")?,
        reveal_subject: keys.flag("reveal_subject")?,
        bearer: keys.flag("bearer")?,
        tools: keys.tools("tools")?,
        scopes: keys.texts("scopes")?,
        permits: read_calls(&mut keys, "permits")?,
        denies: read_calls(&mut keys, "denies")?,
    };
    keys.end()?;
    Ok(Expect::Grant(Box::new(expected)))
}

/// Calls as `tool` followed by its arguments in JSON, such as `pay {"amount":1}`.
fn read_calls(keys: &mut Keys, key: &str) -> Result<Vec<(String, json::Value)>, PackError> {
    let calls = keys.texts(key)?.unwrap_or_default();
    let read = |call: &String| {
        let (tool, arguments) = call.split_once(' ').unwrap_or((call, "{}"));
        json::parse(arguments.as_bytes(), Limits::ARGUMENTS).map(|arguments| (tool.to_owned(), arguments))
    };
    let calls = calls.iter().map(read).collect::<Result<_, _>>();
    calls.map_err(|reason| keys.malformed(key, format!("must be like `tool {{\"amount\":1}}`: {}", reason.meaning())))
}

const MAX_CASES: usize = 1000;
const MAX_NAME: usize = 1024;
/// 9999-12-31T23:59:59Z.
const MAX_SECONDS: u64 = 253_402_300_799;
/// 2026-01-01T00:00:00Z, the time of a case that names none.
const NOW_S: u64 = 1_767_225_600;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{STARTER, STARTER_CASES};

    #[test]
    fn the_starter_pack_does_what_its_cases_say() {
        let report = run(&Pack::parse(STARTER).unwrap(), STARTER_CASES).unwrap();
        let failures: Vec<_> = report.outcomes.iter().filter(|outcome| outcome.failure.is_some()).collect();
        assert!(report.passed() && report.untried_rules.is_empty(), "{failures:#?} {:?}", report.untried_rules);
        assert!(report.outcomes.len() >= 15);
    }

    #[test]
    fn a_wrong_expectation_fails_its_case_and_says_how() {
        let pack = Pack::parse(STARTER).unwrap();
        let base = r#"
            base = { client = "planner-app", claims = { groups = ["finance"] }, audiences = ["https://a.example"], tools = ["payments.send"] }
            case = [{ name = "c", expect = "#;
        for (expect, failure) in [
            (r#"{ refused = "POLICY_DENIED" }"#, "got a grant"),
            (r#"{ granted_by = "other" }"#, "rule is"),
            (r#"{ granted_by = "finance planners", life_seconds = 1 }"#, "life_seconds is 900, not 1"),
            (r#"{ granted_by = "finance planners", depth = 1 }"#, "depth is 4, not 1"),
            (r#"{ granted_by = "finance planners", clamped = true }"#, "clamped is false, not true"),
            (r#"{ granted_by = "finance planners", reveal_subject = true }"#, "reveal_subject is false, not true"),
            (r#"{ granted_by = "finance planners", bearer = true }"#, "bearer is false, not true"),
            (r#"{ granted_by = "finance planners", tools = ["crm.read"] }"#, "tools is "),
            (r#"{ granted_by = "finance planners", scopes = ["crm:read"] }"#, r#"scopes is {"payments:send"}, not {"crm:read"}"#),
            (r#"{ granted_by = "finance planners", permits = ['payments.send {"amount":501,"currency":"EUR"}'] }"#, "is denied: "),
            (r#"{ granted_by = "finance planners", denies = ['payments.send {"amount":500,"currency":"EUR"}'] }"#, "is permitted"),
        ] {
            let report = run(&pack, &format!("{base}{expect} }}]")).unwrap();
            let found = report.outcomes[0].failure.clone().unwrap_or_default();
            assert!(!report.passed() && found.contains(failure), "{expect}: {found}");
        }
        let denied =
            run(&pack, r#"case = [{ name = "c", request = { audiences = ["a"], tools = ["t"] }, expect = { granted_by = "x" } }]"#);
        assert!(denied.unwrap().outcomes[0].failure.clone().unwrap().contains("POLICY_DENIED"));
        assert!(!run(&pack, "").unwrap().passed(), "no cases prove nothing");
    }

    #[test]
    fn malformed_cases_are_refused_by_case_and_key() {
        let pack = Pack::parse(STARTER).unwrap();
        for (text, entry, key) in [
            ("cases = []", None, "cases"),
            ("case = 1", None, "case"),
            ("case = [{ }]", Some("#1"), "name"),
            (r#"case = [{ name = "c" }]"#, Some("c"), "expect"),
            (r#"case = [{ name = "c", expect = {} }]"#, Some("c"), "granted_by"),
            (r#"case = [{ name = "c", expect = { refused = "NO_SUCH" } }]"#, Some("c"), "refused"),
            (r#"case = [{ name = "c", expect = { refused = "POLICY_DENIED", depth = 1 } }]"#, Some("c"), "depth"),
            (r#"case = [{ name = "c", expect = { granted_by = "r", permits = ["t {"] } }]"#, Some("c"), "permits"),
            (r#"case = [{ name = "c", expect = { granted_by = "r" }, request = { clients = "x" } }]"#, Some("c"), "clients"),
            (r#"case = [{ name = "c", expect = { granted_by = "r" }, request = { claims = { a = 1.5 } } }]"#, Some("c"), "claims"),
            (r#"case = [{ name = "c", expect = { granted_by = "r" }, request = { caveats = [{ kind = "x" }] } }]"#, Some("c"), "caveats"),
            (r#"case = [{ name = "c", expect = { granted_by = "r" }, request = { tools = [] } }]"#, Some("c"), "tools"),
            (r#"case = [{ name = "c", expect = { granted_by = "r" }, request = { grant = "password" } }]"#, Some("c"), "grant"),
            (r#"case = [{ name = "c", expect = { granted_by = "r" }, request = { requested_type = 1 } }]"#, Some("c"), "requested_type"),
            (r#"case = [{ name = "c", expect = { granted_by = "r" }, request = { ceilings = {} } }]"#, Some("c"), "ceilings"),
            (r#"case = [{ name = "c", expect = { granted_by = "r" }, request = { ceilings = [1] } }]"#, Some("c"), "ceilings"),
            (r#"case = [{ name = "c", expect = { granted_by = "r" }, request = { ceilings = [{ }] } }]"#, Some("c"), "whose"),
            (
                r#"case = [{ name = "c", expect = { granted_by = "r" }, request = { ceilings = [{ whose = "mine" }] } }]"#,
                Some("c"),
                "whose",
            ),
            (
                r#"case = [{ name = "c", expect = { granted_by = "r" }, request = { ceilings = [{ whose = "client", tools = ["t"] }] } }]"#,
                Some("c"),
                "tools",
            ),
        ] {
            let error = run(&pack, text).unwrap_err();
            assert_eq!((error.reason, error.entry.as_deref(), error.key.as_str()), (Reason::CasesMalformed, entry, key), "{text}");
        }
    }

    #[test]
    fn the_guide_shows_a_pack_that_does_what_its_cases_say_and_names_every_fact_and_refusal() {
        let guide = include_str!("../../docs/policy-guide.md");
        let blocks: Vec<&str> = guide.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        let [pack, cases] = blocks.as_slice() else { panic!("{} blocks", blocks.len()) };
        let report = run(&Pack::parse(pack).unwrap(), cases).unwrap();
        assert!(report.passed() && report.untried_rules.is_empty(), "{report:#?}");
        for fact in crate::REQUEST_FACTS {
            assert!(guide.contains(&format!("| `{}(", fact.name)), "{}", fact.name);
        }
        for reason in [
            Reason::PackTooLarge,
            Reason::PackMalformed,
            Reason::PackCondition,
            Reason::PackCeiling,
            Reason::PolicyDenied,
            Reason::PolicyCost,
            Reason::ToolNotInPolicy,
            Reason::AudienceNotInPolicy,
            Reason::AudienceEmpty,
            Reason::ArgumentAbovePolicy,
            Reason::DepthAbovePolicy,
            Reason::NoLifeLeft,
            Reason::TooManyChecks,
            Reason::ScopeUnknown,
            Reason::ScopeNotInPolicy,
            Reason::ScopeMissing,
            Reason::ScopeTooWide,
            Reason::BearerNotInPolicy,
            Reason::ToolAboveCeiling,
            Reason::ScopeAboveCeiling,
            Reason::AudienceAboveCeiling,
            Reason::ArgumentAboveCeiling,
            Reason::DepthAboveCeiling,
            Reason::BearerAboveCeiling,
        ] {
            assert!(guide.contains(&format!("`{reason}`")), "{reason}");
        }
    }
}
