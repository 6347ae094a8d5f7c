use std::collections::BTreeMap;

use narrows_verifier::{
    caveat::{Argument, ClosedArguments, Matcher, Scalar, parse_list, to_list},
    json::Pointer,
};

use super::*;
use crate::{Actor, Claim, GrantType, RequestedType, request::MAX_CAVEATS};

const NOW: u64 = 1_000_000;

const PACK: &str = r#"
pack = "p"
version = 1
limits = { max_life_seconds = 900, max_depth = 4 }

[[rule]]
name = "auditors read"
when = 'client("app"), claim("groups", "audit")'
audiences = ["https://a.example", "https://b.example"]
tools = ["crm.read", { prefix = "docs." }]
reveal_subject = true

[[rule]]
name = "finance pays"
when = 'client("app"), claim("groups", $g), $g == "finance" or claim_flag("admin", true), claim_int("level", $l), $l >= 3'
audiences = ["https://a.example"]
tools = ["crm.read", "pay"]
max_life_seconds = 600
max_depth = 2
ceiling = [
  { kind = "arg", tool = "pay", path = "/amount", is = { range = { min = 1, max = 500 } } },
  { kind = "closed_args", tool = "pay", names = ["amount", "to"] },
]
"#;

fn texts(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn tools(names: &[&str], prefixes: &[&str]) -> Option<Tools> {
    Some(tool_set(names, prefixes))
}

fn tool_set(names: &[&str], prefixes: &[&str]) -> Tools {
    Tools { names: texts(names), prefixes: texts(prefixes), ..Tools::default() }
}

fn groups(groups: &[&str]) -> BTreeMap<String, Claim> {
    BTreeMap::from([("groups".to_owned(), Claim::Texts(texts(groups)))])
}

fn amount(is: Matcher) -> Caveat {
    Caveat::Argument(Argument { tool: "pay".into(), path: Pointer::parse("/amount").unwrap(), is })
}

fn range(min: impl Into<Option<i64>>, max: impl Into<Option<i64>>) -> Matcher {
    Matcher::range(min.into(), max.into())
}

fn closed(at: &str, names: &[&str]) -> Caveat {
    Caveat::ClosedArguments(ClosedArguments { tool: "pay".into(), at: Pointer::parse(at).unwrap(), names: texts(names) })
}

/// A request that `finance pays` grants.
fn request() -> MintRequest {
    MintRequest {
        client: "app".into(),
        agent: "planner".into(),
        subject_issuer: "https://login.example".into(),
        subject: "alice".into(),
        claims: groups(&["finance"]),
        actor: Actor { issuer: "https://issuer.example".into(), name: "app".into() },
        grant: GrantType::TokenExchange,
        requested_type: RequestedType::AccessToken,
        bearer: false,
        audiences: texts(&["https://a.example"]),
        scopes: BTreeSet::new(),
        tools: tools(&["pay"], &[]),
        caveats: Vec::new(),
        ceilings: Vec::new(),
        requested_life_seconds: None,
        requested_depth: None,
        subject_expires_s: None,
    }
}

fn decide(change: impl FnOnce(&mut MintRequest)) -> Result<Grant, PolicyRefusal> {
    let mut request = request();
    change(&mut request);
    Pack::parse(PACK).unwrap().decide(&request, NOW)
}

/// A named change to a request that would be granted without it.
type Row = (&'static str, fn(&mut MintRequest), Reason);

#[test]
fn each_refusal_has_its_reason() {
    let rows: &[Row] = &[
        ("no claim", |r| r.claims.clear(), Reason::PolicyDenied),
        ("another group", |r| r.claims = groups(&["sales"]), Reason::PolicyDenied),
        ("the group as another type", |r| drop(r.claims.insert("groups".into(), Claim::Flag(true))), Reason::PolicyDenied),
        ("another client", |r| r.client = "other".into(), Reason::PolicyDenied),
        ("no client", |r| r.client = String::new(), Reason::PolicyDenied),
        ("a tool beyond", |r| r.tools = tools(&["pay", "refund"], &[]), Reason::ToolNotInPolicy),
        ("a longer name", |r| r.tools = tools(&["pay.all"], &[]), Reason::ToolNotInPolicy),
        ("a prefix over a name", |r| r.tools = tools(&[], &["pay"]), Reason::ToolNotInPolicy),
        ("a prefix over a prefix", |r| (r.claims, r.tools) = (groups(&["audit"]), tools(&[], &["doc"])), Reason::ToolNotInPolicy),
        ("no tool", |r| r.tools = Some(Tools::default()), Reason::CaveatNamesNoTool),
        ("an audience beyond", |r| r.audiences = texts(&["https://a.example", "https://c.example"]), Reason::AudienceNotInPolicy),
        ("an audience of the other rule", |r| r.audiences = texts(&["https://b.example"]), Reason::AudienceNotInPolicy),
        ("a longer audience", |r| r.audiences = texts(&["https://a.example/"]), Reason::AudienceNotInPolicy),
        ("no audience", |r| r.audiences.clear(), Reason::AudienceEmpty),
        ("no common audience", |r| r.caveats = vec![Caveat::Audience(texts(&["https://b.example"]))], Reason::AudienceEmpty),
        ("more depth", |r| r.requested_depth = Some(3), Reason::DepthAbovePolicy),
        ("more amount", |r| r.caveats = vec![amount(range(1, 501))], Reason::ArgumentAbovePolicy),
        ("less amount", |r| r.caveats = vec![amount(range(0, 500))], Reason::ArgumentAbovePolicy),
        ("open amount", |r| r.caveats = vec![amount(range(None, None))], Reason::ArgumentAbovePolicy),
        ("one amount beyond", |r| r.caveats = vec![amount(Matcher::exact(Scalar::Integer(501)))], Reason::ArgumentAbovePolicy),
        ("an amount as text", |r| r.caveats = vec![amount(Matcher::prefix("5"))], Reason::ArgumentAbovePolicy),
        ("a second amount beyond", |r| r.caveats = vec![amount(range(1, 5)), amount(range(1, 501))], Reason::ArgumentAbovePolicy),
        ("an argument beyond", |r| r.caveats = vec![closed("", &["amount", "memo"])], Reason::ArgumentAbovePolicy),
        ("no life", |r| r.requested_life_seconds = Some(0), Reason::NoLifeLeft),
        ("an expiry now", |r| r.caveats = vec![Caveat::Expires(NOW)], Reason::NoLifeLeft),
        ("a login that ends now", |r| r.subject_expires_s = Some(NOW), Reason::NoLifeLeft),
        ("a login long over", |r| r.subject_expires_s = Some(0), Reason::NoLifeLeft),
        ("too many caveats", |r| r.caveats = vec![amount(range(1, 5)); 129], Reason::TooManyChecks),
        ("too many with the ceilings", |r| r.caveats = (1..=123).map(|max| amount(range(1, max))).collect(), Reason::TooManyChecks),
        ("a malformed caveat", |r| r.caveats = vec![amount(range(5, 1))], Reason::CaveatMalformed),
        ("a caveat without tool", |r| r.caveats = vec![Caveat::Tools(Tools::default())], Reason::CaveatNamesNoTool),
        ("an audience with a line break", |r| r.audiences = texts(&["https://a.example\n"]), Reason::CaveatMalformed),
        (
            "a flood of claims",
            |r| drop(r.claims.insert("x".into(), Claim::Texts((0..1025).map(|n| n.to_string()).collect()))),
            Reason::PolicyCost,
        ),
    ];
    assert!(decide(|_| ()).is_ok());
    for (name, change, reason) in rows {
        let refusal = decide(change).expect_err(name);
        assert_eq!(refusal.reason, *reason, "{name}: {refusal}");
        assert!(!refusal.to_string().contains('\n') && refusal.detail.len() < 400, "{name}: {refusal}");
    }
}

#[test]
fn a_grant_carries_its_four_bounds_then_the_clients_caveats_then_the_ceilings() {
    let own = [amount(range(1, 50)), Caveat::Tools(tool_set(&["pay", "unrelated"], &[]))];
    let grant = decide(|r| {
        r.caveats = vec![
            own[0].clone(),
            Caveat::Depth(1),
            own[1].clone(),
            Caveat::Expires(NOW + 30),
            Caveat::Audience(texts(&["https://a.example", "https://z.example"])),
            own[0].clone(),
            closed("", &["amount", "to"]),
        ];
    })
    .unwrap();
    assert_eq!(
        grant,
        Grant {
            rule: "finance pays".into(),
            caveats: vec![
                Caveat::Tools(tool_set(&["pay"], &[])),
                Caveat::Audience(texts(&["https://a.example"])),
                Caveat::Expires(NOW + 30),
                Caveat::Depth(1),
                own[0].clone(),
                own[1].clone(),
                closed("", &["amount", "to"]),
                amount(range(1, 500)),
            ],
            tools: tool_set(&["pay"], &[]),
            scopes: BTreeSet::new(),
            bearer: false,
            expires_s: NOW + 30,
            clamped: false,
            reveal_subject: false,
        }
    );
}

#[test]
fn life_is_the_least_of_all_bounds_and_a_clamp_is_said() {
    for (asked, caveat, login, life, clamped) in [
        (None, None, None, 600, false),
        (Some(60), None, None, 60, false),
        (Some(600), None, None, 600, false),
        (Some(601), None, None, 600, true),
        (Some(u64::MAX), None, None, 600, true),
        (None, None, Some(NOW + 100), 100, false),
        (Some(200), None, Some(NOW + 100), 100, true),
        (Some(50), None, Some(NOW + 100), 50, false),
        (None, Some(NOW + 10), None, 10, false),
        (Some(60), Some(NOW + 10), None, 10, false),
        (Some(5), Some(NOW + 10), None, 5, false),
        (None, Some(NOW + 1000), None, 600, true),
        (None, None, Some(u64::MAX), 600, false),
    ] {
        let grant = decide(|r| {
            r.requested_life_seconds = asked;
            r.caveats = caveat.map(Caveat::Expires).into_iter().collect();
            r.subject_expires_s = login;
        })
        .unwrap();
        assert_eq!((grant.expires_s - NOW, grant.clamped), (life, clamped), "{asked:?} {caveat:?} {login:?}");
        assert!(grant.caveats.contains(&Caveat::Expires(grant.expires_s)));
    }
}

#[test]
fn depth_is_the_least_of_all_bounds() {
    for (asked, caveat, depth) in [(None, None, 2), (Some(0), None, 0), (Some(2), Some(1), 1), (None, Some(9), 2), (Some(1), Some(2), 1)] {
        let grant = decide(|r| {
            r.requested_depth = asked;
            r.caveats = caveat.map(Caveat::Depth).into_iter().collect();
        });
        assert!(grant.unwrap().caveats.contains(&Caveat::Depth(depth)), "{asked:?} {caveat:?}");
    }
}

#[test]
fn rules_never_add_up() {
    let both = |r: &mut MintRequest| r.claims = groups(&["audit", "finance"]);
    let grant = decide(|r| (both(r), r.tools = tools(&["crm.read"], &[])).1).unwrap();
    assert_eq!((grant.rule.as_str(), grant.reveal_subject), ("auditors read", true), "the first rule that covers all decides");
    assert_eq!(decide(|r| (both(r), r.tools = tools(&["crm.read", "pay"], &[])).1).unwrap().rule, "finance pays");
    let refusal = decide(|r| (both(r), r.tools = tools(&["pay"], &["docs.eu."])).1).unwrap_err();
    assert_eq!((refusal.reason, refusal.rule.as_deref()), (Reason::ToolNotInPolicy, Some("auditors read")));
}

#[test]
fn a_refusal_names_what_the_nearest_rule_lacks() {
    let refusal = decide(|r| {
        r.claims = groups(&["audit", "finance"]);
        r.tools = tools(&["crm.read", "pay", "x\n", "y"], &["z"]);
    });
    assert_eq!(refusal.unwrap_err().reason, Reason::CaveatMalformed, "control characters never reach an answer");
    let refusal = decide(|r| {
        r.claims = groups(&["audit", "finance"]);
        r.tools = tools(&["crm.read", "pay", "x`", "y"], &["z"]);
    })
    .unwrap_err();
    assert_eq!(refusal.to_string(), "TOOL_NOT_IN_POLICY: not among the tools granted: `x`` and 2 more");
    assert_eq!(refusal.rule.as_deref(), Some("finance pays"));
    let above = decide(|r| r.caveats = vec![amount(range(1, 900))]).unwrap_err();
    assert_eq!(above.to_string(), "ARGUMENT_ABOVE_POLICY: `/amount` of `pay` must be an integer from 1 to 500");
    let denied = decide(|r| r.claims.clear()).unwrap_err();
    assert_eq!(denied.to_string(), format!("POLICY_DENIED: {}", Reason::PolicyDenied.meaning()), "says nothing of any condition");
}

#[test]
fn typed_claims_open_only_conditions_of_their_type() {
    let claims = |admin, level| BTreeMap::from([("admin".to_owned(), admin), ("level".to_owned(), level)]);
    for (admin, level, granted) in [
        (Claim::Flag(true), Claim::Integer(3), true),
        (Claim::Flag(true), Claim::Integer(2), false),
        (Claim::Flag(false), Claim::Integer(3), false),
        (Claim::Text("true".into()), Claim::Integer(3), false),
        (Claim::Flag(true), Claim::Text("3".into()), false),
    ] {
        assert_eq!(decide(|r| r.claims = claims(admin, level)).is_ok(), granted);
    }
}

#[test]
fn a_condition_that_costs_too_much_denies_and_does_not_run() {
    let join = "claim($a, $b), claim($c, $d), claim($e, $f), claim($g, $h), $b == \"never\"";
    let pack = PACK.replacen("client(\"app\"), claim(\"groups\", \"audit\")", join, 1);
    let pack = Pack::parse(&pack).unwrap();
    let mut request = request();
    assert!(pack.decide(&request, NOW).is_ok(), "a join of one claim with itself is cheap");
    request.claims.insert("x".into(), Claim::Texts((0..1000).map(|n| n.to_string()).collect()));
    assert_eq!(pack.decide(&request, NOW).unwrap_err().reason, Reason::PolicyCost);
}

#[test]
fn a_full_pack_may_look_once_at_a_full_set_of_claims_in_each_rule() {
    let rule = |n| {
        let condition = format!("client(\"app\"), claim(\"groups\", \"{n}\")");
        format!("[[rule]]\nname = \"{n}\"\nwhen = '{condition}'\naudiences = [\"https://a.example\"]\ntools = [\"pay\"]\n")
    };
    let head = "pack = \"p\"\nversion = 1\nlimits = { max_life_seconds = 1, max_depth = 0 }\n".to_owned();
    let pack = Pack::parse(&(head + &(1..=200).map(rule).collect::<String>())).unwrap();
    let mut request = request();
    request.claims = BTreeMap::from([("groups".to_owned(), Claim::Texts((200..1224).map(|n| n.to_string()).collect()))]);
    assert_eq!(pack.decide(&request, NOW).unwrap().rule, "200");
}

/// The block's own bound is out of sight here; the bound on lists of caveats is the same number.
#[test]
fn a_grant_never_holds_more_caveats_than_a_list_of_caveats_may() {
    let list = |count| parse_list(&to_list(&vec![Caveat::Depth(1); count]));
    assert!(list(MAX_CAVEATS).is_ok() && list(MAX_CAVEATS + 1).is_err());
}
