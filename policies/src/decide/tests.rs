use std::collections::BTreeMap;

use narrows_verifier::{
    caveat::{Argument, ClosedArguments, Matcher, Scalar, parse_list, to_list},
    json::Pointer,
};

use super::*;
use crate::{Actor, Ceiling, Claim, GrantType, RequestedType, Whose, request::MAX_CAVEATS};

const NOW: u64 = 1_000_000;

const PACK: &str = r#"
pack = "p"
version = 1
limits = { max_life_seconds = 900, max_depth = 4 }

[[scope]]
name = "docs"
tools = [{ prefix = "docs." }]

[[scope]]
name = "crm:read"
tools = ["crm.read"]

[[scope]]
name = "pay:send"
tools = ["pay"]

[[rule]]
name = "auditors read"
when = 'client("app"), claim("groups", "audit")'
audiences = ["https://a.example", "https://b.example"]
tools = ["crm.read", { prefix = "docs." }]
default_tools = ["crm.read"]
reveal_subject = true

[[rule]]
name = "finance pays"
when = 'client("app"), claim("groups", $g), $g == "finance" or claim_flag("admin", true), claim_int("level", $l), $l >= 3'
audiences = ["https://a.example"]
tools = ["crm.read", "pay"]
bearer = true
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

fn granting(names: &[&str]) -> Caveat {
    Caveat::Tools(tool_set(names, &[]))
}

fn ceiling(caveats: &[Caveat]) -> Ceiling {
    Ceiling { whose: Whose::Client, scopes: None, caveats: caveats.to_vec() }
}

fn scoped(scopes: &[&str]) -> Ceiling {
    Ceiling { whose: Whose::Subject, scopes: Some(texts(scopes)), caveats: Vec::new() }
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
        // scopes, defaults and bearers
        ("a scope of no pack", |r| r.scopes = texts(&["pay:send", "pay:all"]), Reason::ScopeUnknown),
        ("a scope in another case", |r| r.scopes = texts(&["Pay:Send"]), Reason::ScopeUnknown),
        ("a scope beyond", |r| (r.tools, r.scopes) = (None, texts(&["docs"])), Reason::ScopeNotInPolicy),
        ("one scope of two beyond", |r| (r.tools, r.scopes) = (None, texts(&["pay:send", "docs"])), Reason::ScopeNotInPolicy),
        ("a scope beside a tool beyond", |r| (r.tools, r.scopes) = (tools(&["x"], &[]), texts(&["pay:send"])), Reason::ToolNotInPolicy),
        ("nothing asked and no default", |r| r.tools = None, Reason::ScopeMissing),
        (
            "no binding",
            |r| (r.claims, r.tools, r.bearer) = (groups(&["audit"]), tools(&["crm.read"], &[]), true),
            Reason::BearerNotInPolicy,
        ),
        ("depth without binding", |r| (r.bearer, r.requested_depth) = (true, Some(1)), Reason::DepthAbovePolicy),
        // ceilings of the request
        (
            "a tool beyond a ceiling",
            |r| r.ceilings = vec![ceiling(&[Caveat::Tools(tool_set(&["crm.read"], &[]))])],
            Reason::ToolAboveCeiling,
        ),
        (
            "a tool beyond one of two",
            |r| r.ceilings = vec![ceiling(&[granting(&["pay"])]), ceiling(&[granting(&["x"])])],
            Reason::ToolAboveCeiling,
        ),
        ("a tool that is denied", |r| r.ceilings = vec![ceiling(&[Caveat::NotTools(tool_set(&["pay"], &[]))])], Reason::ToolAboveCeiling),
        (
            "a scope beyond a ceiling",
            |r| {
                (r.tools, r.scopes) = (None, texts(&["pay:send"]));
                r.ceilings = vec![ceiling(&[granting(&["crm.read"])])];
            },
            Reason::ScopeAboveCeiling,
        ),
        (
            "a scope beyond the subject's",
            |r| {
                (r.tools, r.scopes) = (None, texts(&["crm:read", "pay:send"]));
                r.ceilings = vec![scoped(&["crm:read"])];
            },
            Reason::ScopeAboveCeiling,
        ),
        ("a tool beyond the subject's scopes", |r| r.ceilings = vec![scoped(&["crm:read"])], Reason::ToolAboveCeiling),
        ("a subject whose scopes are none of ours", |r| r.ceilings = vec![scoped(&["openid", "profile"])], Reason::ToolAboveCeiling),
        ("a subject without scopes", |r| r.ceilings = vec![scoped(&[])], Reason::ToolAboveCeiling),
        (
            "no default within a ceiling",
            |r| {
                (r.claims, r.tools) = (groups(&["audit"]), None);
                r.ceilings = vec![ceiling(&[granting(&["pay"])])];
            },
            Reason::ScopeAboveCeiling,
        ),
        (
            "an audience beyond a ceiling",
            |r| {
                r.ceilings = vec![ceiling(&[Caveat::Audience(texts(&["https://b.example"]))])];
            },
            Reason::AudienceAboveCeiling,
        ),
        (
            "an amount beyond a ceiling",
            |r| {
                r.caveats = vec![amount(range(1, 50))];
                r.ceilings = vec![ceiling(&[amount(range(1, 49))])];
            },
            Reason::ArgumentAboveCeiling,
        ),
        (
            "an argument beyond a ceiling",
            |r| {
                r.caveats = vec![closed("", &["amount", "to"])];
                r.ceilings = vec![ceiling(&[closed("", &["to"])])];
            },
            Reason::ArgumentAboveCeiling,
        ),
        (
            "a depth beyond a ceiling",
            |r| (r.requested_depth, r.ceilings) = (Some(2), vec![ceiling(&[Caveat::Depth(1)])]),
            Reason::DepthAboveCeiling,
        ),
        (
            "a depth that hops have used up",
            |r| {
                r.requested_depth = Some(1);
                r.ceilings = vec![Ceiling::of_parent(&[Caveat::Depth(2)], 2)];
            },
            Reason::DepthAboveCeiling,
        ),
        (
            "no binding in place of a binding",
            |r| (r.bearer, r.ceilings) = (true, vec![Ceiling::of_parent(&[], 0)]),
            Reason::BearerAboveCeiling,
        ),
        ("a parent that is over", |r| r.ceilings = vec![Ceiling::of_parent(&[Caveat::Expires(NOW)], 0)], Reason::NoLifeLeft),
        ("too many ceilings", |r| r.ceilings = vec![ceiling(&[]); 9], Reason::TooManyChecks),
        (
            "too many with a parent's",
            |r| {
                r.ceilings = vec![Ceiling::of_parent((1..=125).map(|max| amount(range(1, max))).collect::<Vec<_>>().iter(), 0)];
            },
            Reason::TooManyChecks,
        ),
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
            scopes: texts(&["pay:send"]),
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

#[test]
fn a_scope_stands_for_its_tools_and_is_named_when_all_of_them_are_granted() {
    let grant = decide(|r| (r.tools, r.scopes) = (None, texts(&["pay:send"]))).unwrap();
    assert_eq!((grant.tools, grant.scopes), (tool_set(&["pay"], &[]), texts(&["pay:send"])));
    let grant = decide(|r| (r.tools, r.scopes) = (tools(&["crm.read"], &[]), texts(&["pay:send"]))).unwrap();
    assert_eq!((grant.tools, grant.scopes), (tool_set(&["crm.read", "pay"], &[]), texts(&["crm:read", "pay:send"])));
    let denied = |deny: &[&str], prefixes: &[&str]| {
        let deny = Caveat::NotTools(tool_set(deny, prefixes));
        decide(|r| (r.claims, r.tools, r.caveats) = (groups(&["audit"]), tools(&["crm.read"], &["docs."]), vec![deny])).unwrap().scopes
    };
    assert_eq!(denied(&["x"], &[]), texts(&["crm:read", "docs"]));
    assert_eq!(denied(&["docs.secret"], &[]), texts(&["crm:read"]), "one tool of the scope is denied");
    assert_eq!(denied(&["crm.read"], &["y"]), texts(&[]), "affixes that may meet are taken to meet");
}

#[test]
fn who_asks_for_nothing_gets_the_default_within_every_ceiling() {
    let asked = |ceilings: Vec<Ceiling>| decide(|r| (r.claims, r.tools, r.ceilings) = (groups(&["audit"]), None, ceilings)).unwrap();
    let grant = asked(Vec::new());
    assert_eq!((grant.rule.as_str(), grant.tools), ("auditors read", tool_set(&["crm.read"], &[])));
    let within = asked(vec![ceiling(&[granting(&["crm.read", "pay"])]), scoped(&["crm:read", "openid"])]);
    assert_eq!((within.tools, within.scopes), (tool_set(&["crm.read"], &[]), texts(&["crm:read"])));
    // the first rule of both that says what there is to have
    let both = decide(|r| (r.claims, r.tools) = (groups(&["finance", "audit"]), None)).unwrap();
    assert_eq!(both.rule, "auditors read");
}

#[test]
fn a_token_bound_to_no_key_has_no_depth_and_is_granted_by_the_rule_that_says_so() {
    let both = |r: &mut MintRequest| (r.claims, r.tools) = (groups(&["audit", "finance"]), tools(&["crm.read"], &[]));
    assert_eq!(decide(both).map(|grant| (grant.rule, grant.bearer)).unwrap(), ("auditors read".to_owned(), false));
    let grant = decide(|r| (both(r), r.bearer = true).1).unwrap();
    assert_eq!((grant.rule.as_str(), grant.bearer), ("finance pays", true), "the first rule that grants all that is asked for");
    assert!(grant.caveats.contains(&Caveat::Depth(0)));
}

#[test]
fn what_a_ceiling_bounds_unasked_goes_into_the_token() {
    let pause = Caveat::NotBefore(NOW - 5);
    let parent = [granting(&["pay", "crm.read"]), amount(range(1, 100)), Caveat::Expires(NOW + 60), Caveat::Depth(2), pause.clone()];
    let grant = decide(|r| {
        r.requested_life_seconds = Some(500);
        r.ceilings = vec![Ceiling::of_parent(&parent, 1), ceiling(&[Caveat::Audience(texts(&["https://a.example", "https://c.example"]))])];
    })
    .unwrap();
    assert_eq!(
        grant.caveats,
        vec![
            granting(&["pay"]),
            Caveat::Audience(texts(&["https://a.example"])),
            Caveat::Expires(NOW + 60),
            Caveat::Depth(1),
            amount(range(1, 500)),
            closed("", &["amount", "to"]),
            amount(range(1, 100)),
            pause,
        ]
    );
    assert!(grant.clamped);
}

/// A denial of one tool under a prefix leaves the prefix, which the caveat of the ceiling narrows.
#[test]
fn a_ceiling_that_has_no_common_form_with_the_tools_stands_beside_them() {
    let suffixed = Tools { suffixes: texts(&[".eu"]), ..Tools::default() };
    let denied = Caveat::NotTools(tool_set(&["docs.secret"], &[]));
    let pack = PACK.replace("default_tools = [\"crm.read\"]", "default_tools = [{ prefix = \"docs.\" }]");
    let mut request = request();
    (request.claims, request.tools) = (groups(&["audit"]), None);
    request.ceilings = vec![ceiling(&[Caveat::Tools(suffixed.clone()), denied.clone()])];
    let grant = Pack::parse(&pack).unwrap().decide(&request, NOW).unwrap();
    assert_eq!(grant.tools, tool_set(&[], &["docs."]));
    assert!(grant.caveats.contains(&Caveat::Tools(suffixed)) && grant.caveats.contains(&denied));
    assert!(grant.scopes.is_empty());
}

#[test]
fn who_demands_only_that_an_argument_is_there_asks_for_no_value_above_a_ceiling() {
    let any =
        Matcher::from_json(&narrows_verifier::json::parse(br#"{"type":"any"}"#, narrows_verifier::json::Limits::CAVEATS).unwrap()).unwrap();
    let grant = decide(|r| r.caveats = vec![amount(any.clone())]).unwrap();
    assert!(grant.caveats.contains(&amount(any)) && grant.caveats.contains(&amount(range(1, 500))));
}

#[test]
fn conditions_see_the_actor_the_grant_and_the_form_that_is_asked_for() {
    for (condition, holds) in [
        (r#"actor("app")"#, true),
        (r#"actor("alice")"#, false),
        (r#"actor_issuer("https://issuer.example"), actor("app")"#, true),
        (r#"actor_issuer("https://login.example")"#, false),
        (r#"grant("token_exchange")"#, true),
        (r#"grant("client_credentials") or grant("jwt_bearer")"#, false),
        (r#"requested_type("access_token")"#, true),
        (r#"requested_type("jwt")"#, false),
    ] {
        let pack = PACK.replace(r#"client("app"), claim("groups", $g), $g == "finance""#, condition);
        let granted = Pack::parse(&pack).unwrap().decide(&request(), NOW).is_ok();
        assert_eq!(granted, holds, "{condition}");
    }
}

/// The block's own bound is out of sight here; the bound on lists of caveats is the same number.
#[test]
fn a_grant_never_holds_more_caveats_than_a_list_of_caveats_may() {
    let list = |count| parse_list(&to_list(&vec![Caveat::Depth(1); count]));
    assert!(list(MAX_CAVEATS).is_ok() && list(MAX_CAVEATS + 1).is_err());
}
