//! Laws over random packs and requests.

use std::collections::{BTreeMap, BTreeSet};

use narrows_verifier::{
    Call, Caveat, Reason,
    caveat::{Argument, Matcher, Scalar, Tools},
    json::Pointer,
    json::Value,
};
use proptest::{prelude::*, sample::subsequence, strategy::ValueTree, test_runner::TestRunner};

use crate::{Actor, Ceiling, Claim, Grant, GrantType, MintRequest, Pack, PolicyRefusal, RequestedType, Whose, tools::union};

const NOW: u64 = 1_000;
const CLIENTS: [&str; 2] = ["a", "b"];
const GROUPS: [&str; 3] = ["g", "h", "i"];
const AUDIENCES: [&str; 3] = ["https://x", "https://y", "https://z"];
const NAMES: [&str; 6] = ["p", "p.q", "p.q.r", "p.s", "t", "t.u"];
const PREFIXES: [&str; 4] = ["p", "p.", "p.q", "t."];

/// A rule as the test knows it: the oracle never looks into the pack.
#[derive(Clone, Debug)]
struct RuleSpec {
    client: &'static str,
    group: Option<&'static str>,
    audiences: Option<BTreeSet<String>>,
    tools: Tools,
    default_tools: Option<Tools>,
    /// The tools of the scope that is called like the rule's number, if there is one.
    scope: Option<Tools>,
    bearer: bool,
    life: Option<u64>,
    depth: Option<u32>,
    ceilings: Vec<Caveat>,
}

impl RuleSpec {
    fn toml(&self, number: usize) -> String {
        let group = self.group.map_or_else(String::new, |group| format!(", claim(\"groups\", $g), $g == \"{group}\""));
        let audiences = self.audiences.as_ref().map_or_else(|| "any_audience = true".to_owned(), |these| format!("audiences = {these:?}"));
        let audiences = audiences.replace('{', "[").replace('}', "]");
        let scope =
            self.scope.as_ref().map_or_else(String::new, |scope| format!("[[scope]]\nname = \"{number}\"\ntools = {}\n", list(scope)));
        let mut text = format!(
            "{scope}[[rule]]\nname = \"{number}\"\nwhen = 'client(\"{}\"){group}'\n{audiences}\ntools = {}\nbearer = {}\n",
            self.client,
            list(&self.tools),
            self.bearer
        );
        if let Some(default) = &self.default_tools {
            text += &format!("default_tools = {}\n", list(default));
        }
        self.life.iter().for_each(|life| text += &format!("max_life_seconds = {life}\n"));
        self.depth.iter().for_each(|depth| text += &format!("max_depth = {depth}\n"));
        for ceiling in &self.ceilings {
            let Caveat::Argument(argument) = ceiling else { panic!("only arguments here") };
            let is = argument.is.to_json().canonical().replace("\":", "\" = ");
            let path = argument.path.as_str();
            text += &format!("[[rule.ceiling]]\nkind = \"arg\"\ntool = {:?}\npath = {path:?}\nis = {is}\n", argument.tool);
        }
        text
    }
}

fn list(tools: &Tools) -> String {
    let names = tools.names.iter().map(|name| format!("{name:?}"));
    let prefixes = tools.prefixes.iter().map(|prefix| format!("{{ prefix = {prefix:?} }}"));
    format!("[{}]", names.chain(prefixes).collect::<Vec<_>>().join(", "))
}

fn pack(rules: &[RuleSpec]) -> Pack {
    let rules: String = rules.iter().enumerate().map(|(number, rule)| rule.toml(number)).collect();
    Pack::parse(&format!("pack = \"law\"\nversion = 1\nlimits = {{ max_life_seconds = 100, max_depth = 3 }}\n{rules}")).unwrap()
}

fn any_tools() -> impl Strategy<Value = Tools> {
    (subsequence(NAMES.to_vec(), 1..4), subsequence(PREFIXES.to_vec(), 0..2)).prop_map(|(names, prefixes)| Tools {
        names: names.into_iter().map(str::to_owned).collect(),
        prefixes: prefixes.into_iter().map(str::to_owned).collect(),
        ..Tools::default()
    })
}

fn any_argument(tools: Vec<String>) -> impl Strategy<Value = Caveat> {
    let is = prop_oneof![
        (0_i64..6, 0_i64..6).prop_map(|(a, b)| Matcher::range(Some(a.min(b)), Some(a.max(b)))),
        (0_i64..6).prop_map(|value| Matcher::exact(Scalar::Integer(value))),
    ];
    (prop::sample::select(tools), prop::sample::select(vec!["/m", "/n"]), is)
        .prop_map(|(tool, path, is)| Caveat::Argument(Argument { tool, path: Pointer::parse(path).unwrap(), is }))
}

fn any_audiences() -> impl Strategy<Value = BTreeSet<String>> {
    subsequence(AUDIENCES.to_vec(), 1..3).prop_map(|these| these.into_iter().map(str::to_owned).collect())
}

fn any_rule() -> impl Strategy<Value = RuleSpec> {
    any_tools().prop_flat_map(|tools| {
        let names: Vec<String> = tools.names.iter().cloned().collect();
        let some = prop::option::of(
            subsequence(names.clone(), 1..=names.len()).prop_map(|names| Tools { names: names.into_iter().collect(), ..Tools::default() }),
        );
        (
            (prop::sample::select(CLIENTS.to_vec()), prop::option::weighted(0.4, prop::sample::select(GROUPS.to_vec()))),
            prop::option::of(any_audiences()),
            Just(tools),
            (some.clone(), some, any::<bool>()),
            (prop::option::of(1_u64..100), prop::option::of(0_u32..3)),
            prop::collection::vec(any_argument(names), 0..3),
        )
            .prop_map(|((client, group), audiences, tools, (default_tools, scope, bearer), (life, depth), ceilings)| RuleSpec {
                client,
                group,
                audiences,
                tools,
                default_tools,
                scope,
                bearer,
                life,
                depth,
                ceilings,
            })
    })
}

/// What a client asks, printable where a request is not.
#[derive(Clone, Debug)]
struct Ask {
    client: &'static str,
    groups: Vec<&'static str>,
    audiences: BTreeSet<String>,
    scopes: BTreeSet<String>,
    tools: Option<Tools>,
    caveats: Vec<Caveat>,
    ceilings: Vec<Ceiling>,
    bearer: bool,
    life: Option<u64>,
    depth: Option<u32>,
    login: Option<u64>,
}

impl Ask {
    fn of(&self, pack: &Pack) -> Result<Grant, PolicyRefusal> {
        let groups = Claim::Texts(self.groups.iter().map(|group| (*group).to_owned()).collect());
        let request = MintRequest {
            client: self.client.to_owned(),
            agent: "agent".to_owned(),
            subject_issuer: "https://login".to_owned(),
            subject: "alice".to_owned(),
            claims: BTreeMap::from([("groups".to_owned(), groups)]),
            actor: Actor { issuer: "https://issuer".to_owned(), name: self.client.to_owned() },
            grant: GrantType::TokenExchange,
            requested_type: RequestedType::AccessToken,
            bearer: self.bearer,
            audiences: self.audiences.clone(),
            scopes: self.scopes.clone(),
            tools: self.tools.clone(),
            caveats: self.caveats.clone(),
            ceilings: self.ceilings.clone(),
            requested_life_seconds: self.life,
            requested_depth: self.depth,
            subject_expires_s: self.login,
        };
        pack.decide(&request, NOW)
    }

    /// The tools asked for by name and by scope; `None` when nothing is.
    fn asked(&self, rules: &[RuleSpec]) -> Option<Tools> {
        let by_scope = self.scopes.iter().map(|name| scope(rules, name).cloned().unwrap_or_default());
        self.tools.clone().into_iter().chain(by_scope).reduce(|one, other| union(&one, &other))
    }
}

fn scope<'a>(rules: &'a [RuleSpec], name: &str) -> Option<&'a Tools> {
    rules.get(name.parse::<usize>().unwrap())?.scope.as_ref()
}

fn any_ceiling() -> impl Strategy<Value = Ceiling> {
    let names: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    let caveat = prop_oneof![
        3 => any_tools().prop_map(|tools| Caveat::Tools(union(&tools, &Tools { prefixes: BTreeSet::from(["p".to_owned()]), ..Tools::default() }))),
        1 => any_tools().prop_map(Caveat::Tools),
        1 => prop::sample::select(NAMES.to_vec()).prop_map(|name| Caveat::NotTools(Tools { names: BTreeSet::from([name.to_owned()]), ..Tools::default() })),
        2 => any_argument(names),
        1 => (NOW..NOW + 200).prop_map(Caveat::Expires),
        1 => (0_u32..5).prop_map(Caveat::Depth),
        1 => Just(Caveat::Audience(AUDIENCES.iter().take(2).map(|name| (*name).to_owned()).collect())),
    ];
    let scopes = prop::option::weighted(0.2, subsequence(vec!["0", "1", "2", "9"], 1..=3));
    (prop::sample::select(Whose::ALL.to_vec()), scopes, prop::collection::vec(caveat, 0..3)).prop_map(|(whose, scopes, caveats)| Ceiling {
        whose,
        scopes: scopes.map(|scopes| scopes.into_iter().map(str::to_owned).collect()),
        caveats,
    })
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let names: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    let caveat = prop_oneof![
        4 => any_argument(names),
        1 => any_tools().prop_map(Caveat::Tools),
        1 => (NOW..NOW + 200).prop_map(Caveat::Expires),
        1 => (0_u32..5).prop_map(Caveat::Depth),
        1 => any_audiences().prop_map(Caveat::Audience),
    ];
    let tools = (subsequence(NAMES.to_vec(), 1..3), subsequence(PREFIXES.to_vec(), 0..2)).prop_map(|(names, prefixes)| Tools {
        names: names.into_iter().map(str::to_owned).collect(),
        prefixes: prefixes.into_iter().map(str::to_owned).collect(),
        ..Tools::default()
    });
    (
        prop::sample::select(CLIENTS.to_vec()),
        subsequence(GROUPS.to_vec(), 0..=3),
        any_audiences(),
        (prop::option::weighted(0.7, tools), prop_oneof![2 => Just(Vec::new()), 1 => subsequence(vec!["0", "1", "2"], 1..3)]),
        (prop::collection::vec(caveat, 0..3), prop::collection::vec(any_ceiling(), 0..2), prop::bool::weighted(0.2)),
        (prop::option::of(0_u64..200), prop::option::of(0_u32..4), prop::option::of(NOW..NOW + 200)),
    )
        .prop_map(|(client, groups, audiences, (tools, scopes), (caveats, ceilings, bearer), (life, depth, login))| Ask {
            client,
            groups,
            audiences,
            scopes: scopes.into_iter().map(str::to_owned).collect(),
            tools,
            caveats,
            ceilings,
            bearer,
            life,
            depth,
            login,
        })
}

struct Attempt<'a> {
    tool: &'a str,
    arguments: Value,
    audience: &'a str,
    time: u64,
    depth: usize,
}

fn permits<'a>(caveats: impl IntoIterator<Item = &'a Caveat>, attempt: &Attempt<'_>) -> bool {
    let call = Call { tool: attempt.tool, arguments: &attempt.arguments, audience: attempt.audience, time: attempt.time };
    let facts = call.facts(attempt.depth).unwrap();
    caveats.into_iter().all(|caveat| facts.satisfy(&caveat.check()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Whatever was asked: a grant permits exactly what is requested, and the rule, its ceilings and those of the request
    /// permit too.
    #[test]
    fn a_grant_permits_nothing_beyond_its_rule(
        rules in prop::collection::vec(any_rule(), 1..5),
        ask in any_ask(),
        tool in prop::sample::select(NAMES.to_vec()),
        (m, n) in (-1_i64..7, -1_i64..7),
        audience in prop::sample::select(AUDIENCES.to_vec()),
        (after, depth) in (0_u64..210, 0_usize..5),
    ) {
        let Ok(grant) = ask.of(&pack(&rules)) else { return Ok(()) };
        let rule = &rules[grant.rule.parse::<usize>().unwrap()];
        prop_assert!(rule.client == ask.client && rule.group.is_none_or(|group| ask.groups.contains(&group)));
        for kind in ["audience", "expires", "depth"] {
            prop_assert_eq!(grant.caveats.iter().filter(|caveat| caveat.kind() == kind).count(), 1);
        }
        let arguments = Value::object([("m", Value::Integer(m)), ("n", Value::Integer(n))]);
        let attempt = Attempt { tool, arguments, audience, time: NOW + after, depth };
        let bounds = rule.tools.cover(tool)
            && ask.asked(&rules).or_else(|| rule.default_tools.clone()).is_some_and(|tools| tools.cover(tool))
            && rule.audiences.as_ref().is_none_or(|these| these.contains(audience))
            && ask.audiences.contains(audience)
            && after < rule.life.unwrap_or(100)
            && ask.life.is_none_or(|life| after < life)
            && ask.login.is_none_or(|login| NOW + after < login)
            && depth <= rule.depth.unwrap_or(3) as usize
            && ask.depth.is_none_or(|asked| depth <= asked as usize)
            && (!ask.bearer || depth == 0);
        let within = |ceiling: &Ceiling| {
            let scopes = ceiling.scopes.as_ref();
            let scoped = scopes.is_none_or(|names| names.iter().filter_map(|name| scope(&rules, name)).any(|tools| tools.cover(tool)));
            scoped && permits(&ceiling.caveats, &attempt)
        };
        let ceilings = permits(&rule.ceilings, &attempt) && ask.ceilings.iter().all(within);
        let expected = bounds && ceilings && permits(&ask.caveats, &attempt);
        prop_assert_eq!(permits(&grant.caveats, &attempt), expected, "{:?}", grant);
    }

    /// Nothing that was asked for is left out in silence, and no scope is named whose tools are not all there.
    #[test]
    fn a_grant_holds_all_that_was_asked_for(rules in prop::collection::vec(any_rule(), 1..5), ask in any_ask()) {
        let Ok(grant) = ask.of(&pack(&rules)) else { return Ok(()) };
        if let Some(asked) = ask.asked(&rules) {
            prop_assert_eq!(&grant.tools, &asked);
        }
        let rule = &rules[grant.rule.parse::<usize>().unwrap()];
        prop_assert!(grant.bearer == ask.bearer && (!ask.bearer || rule.bearer && grant.caveats.contains(&Caveat::Depth(0))));
        prop_assert!(!ask.bearer || ask.ceilings.iter().all(|ceiling| ceiling.whose != Whose::Parent));
        let granted = |name: &str| {
            let by_name = |caveat: &Caveat| match caveat {
                Caveat::Tools(tools) => tools.cover(name),
                Caveat::NotTools(tools) => !tools.cover(name),
                _ => true,
            };
            grant.caveats.iter().all(by_name)
        };
        for (number, tools) in rules.iter().enumerate().filter_map(|(number, rule)| Some((number, rule.scope.as_ref()?))) {
            let whole = tools.names.iter().all(|name| granted(name));
            prop_assert_eq!(grant.scopes.contains(&number.to_string()), whole, "{:?}", grant);
        }
    }

    /// Whoever asks for less is not refused for it: a ceiling only ever takes away.
    #[test]
    fn without_its_ceilings_a_request_is_granted_no_less(rules in prop::collection::vec(any_rule(), 1..5), ask in any_ask()) {
        let Ok(grant) = ask.of(&pack(&rules)) else { return Ok(()) };
        let without = Ask { ceilings: Vec::new(), ..ask }.of(&pack(&rules));
        let without = without.map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
        prop_assert_eq!(&without.rule, &grant.rule);
        prop_assert!(grant.tools.within(&without.tools) && grant.scopes.is_subset(&without.scopes));
    }

    /// A rule is nobody's business but that of the clients its condition names.
    #[test]
    fn rules_for_other_clients_change_no_answer(
        own in prop::collection::vec(any_rule(), 0..4),
        others in prop::collection::vec((0_usize..5, any_rule()), 0..4),
        ask in any_ask(),
    ) {
        // scopes are named by the numbers of their rules, which move
        let ask = Ask { scopes: BTreeSet::new(), ceilings: Vec::new(), ..ask };
        let mut rules = own.clone();
        for (at, other) in others {
            if other.client != ask.client {
                rules.insert(at.min(rules.len()), other);
            }
        }
        let stripped = |answer: Result<Grant, PolicyRefusal>| match answer {
            Ok(grant) => Ok(Grant { rule: String::new(), scopes: BTreeSet::new(), ..grant }),
            Err(refusal) => Err(PolicyRefusal { rule: None, ..refusal }),
        };
        prop_assert_eq!(stripped(ask.of(&pack(&rules))), stripped(ask.of(&pack(&own))));
    }

    /// A claim can only open: without it, no rule that asks for it holds.
    #[test]
    fn a_missing_claim_denies(rules in prop::collection::vec(any_rule(), 0..4), ask in any_ask()) {
        let rules: Vec<_> = rules.into_iter().filter(|rule| rule.group.is_some()).collect();
        let without = Ask { groups: Vec::new(), scopes: BTreeSet::new(), ..ask };
        prop_assert_eq!(without.of(&pack(&rules)).unwrap_err().reason, Reason::PolicyDenied);
    }
}

/// The laws say something only if random requests are granted often enough.
#[test]
fn random_requests_are_granted_often_enough_for_the_laws_to_bite() {
    let mut runner = TestRunner::deterministic();
    let strategy = (prop::collection::vec(any_rule(), 1..5), any_ask());
    let (mut granted, mut bounded, mut scoped, mut unasked, mut bearer) = (0, 0, 0, 0, 0);
    for _ in 0..4000 {
        let (rules, ask) = strategy.new_tree(&mut runner).unwrap().current();
        if ask.of(&pack(&rules)).is_ok() {
            granted += 1;
            bounded += usize::from(!ask.ceilings.is_empty());
            scoped += usize::from(!ask.scopes.is_empty());
            unasked += usize::from(ask.scopes.is_empty() && ask.tools.is_none());
            bearer += usize::from(ask.bearer);
        }
    }
    let counts = [granted, bounded, scoped, unasked, bearer];
    assert!(granted > 200 && counts.iter().all(|count| *count > 10), "{counts:?} of 4000");
}
