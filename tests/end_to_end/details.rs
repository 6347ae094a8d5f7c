//! `authorization_details` in both of its types, as a stranger asks and as the token then decides.

use std::fs;

use narrows::{Held, HolderKey};
use narrows_tests::issuer::{AUDIENCE, now};
use narrows_verifier::{
    Call,
    json::{Limits, parse},
};
use serde_json::{Value, json};

use super::trusting;

/// What the page shows is what is answered to what it shows.
#[tokio::test]
async fn the_documented_details_are_granted_as_documented() {
    let (issuer, provider) = trusting("").await;
    let login = provider.login("alice");
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/http-api.md")).unwrap();
    let section = page.split("\n### ").find(|section| section.starts_with("`authorization_details`")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks: Vec<Value> =
        section.split("```json\n").skip(1).map(|block| serde_json::from_str(block.split("```").next().unwrap()).unwrap()).collect();
    assert_eq!(blocks.len(), 4);
    for pair in blocks.chunks(2) {
        let form = issuer.request(&HolderKey::generate(), &login).with("authorization_details", &pair[0].to_string());
        let granted = issuer.token(&form).await.granted();
        assert_eq!(timeless(granted["authorization_details"].clone()), timeless(pair[1].clone()), "{}", pair[0]);
    }
}

/// Times differ from run to run.
fn timeless(mut details: Value) -> Value {
    for caveat in details
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .filter_map(|entry| entry.get_mut("caveats"))
        .flat_map(|list| list.as_array_mut().unwrap())
    {
        if let Some(at) = caveat.get_mut("at").filter(|at| !at.as_str().unwrap_or_default().is_empty()) {
            *at = json!("some time");
        }
    }
    details
}

#[tokio::test]
async fn a_token_asked_for_by_constraints_permits_exactly_what_they_do() {
    let (issuer, provider) = trusting("").await;
    let (_, keys) = issuer.sdk().await;
    let key = HolderKey::generate();
    let asked = json!([{"type": "attenuating_agent_token", "tools": {
        "crm.read": {},
        "payments.send": {
            "amount": {"constraint_type": "one_of", "values": [10, 20, 501]},
            "to": {"constraint_type": "not_one_of", "excluded": ["mallory", 0]},
            "tags": {"constraint_type": "all", "constraints": [
                {"constraint_type": "contains", "required": ["checked"]},
                {"constraint_type": "not_one_of", "excluded": ["checked"]},
            ]},
        },
    }}]);
    let form = |asked: &Value| issuer.request(&key, &provider.login("alice")).with("authorization_details", &asked.to_string());
    issuer.token(&form(&asked)).await.refused_as(400, "invalid_authorization_details", "ARGUMENT_ABOVE_POLICY", "one value beyond");
    let asked = serde_json::from_str(&asked.to_string().replace("501", "500")).unwrap();
    let granted = issuer.token(&form(&asked)).await.granted();
    let held = Held::new(granted["access_token"].as_str().unwrap(), key, &keys.roots).ok().unwrap();
    for (tool, arguments, permitted) in [
        ("crm.read", r#"{"customer":"c-1","more":[{}]}"#, true),
        ("crm.read", "{}", true),
        ("payments.send", r#"{"amount":20,"to":"acme","tags":["checked",{"x":1}]}"#, true),
        ("payments.send", r#"{"amount":500.0,"to":["mallory"],"tags":["checked"]}"#, true),
        ("payments.send", r#"{"amount":30,"to":"acme","tags":["checked"]}"#, false),
        ("payments.send", r#"{"amount":"20","to":"acme","tags":["checked"]}"#, false),
        ("payments.send", r#"{"amount":20,"to":"mallory","tags":["checked"]}"#, false),
        ("payments.send", r#"{"amount":20,"tags":["checked"]}"#, false),
        ("payments.send", r#"{"amount":20,"to":"acme","tags":["open"]}"#, false),
        ("payments.send", r#"{"amount":20,"to":"acme","tags":"checked"}"#, false),
        ("payments.send", r#"{"amount":20,"to":"acme","tags":["checked"],"memo":"x"}"#, false),
        ("payments.send", "{}", false),
        ("payments.refund", "{}", false),
    ] {
        let parsed = parse(arguments.as_bytes(), Limits::ARGUMENTS).unwrap();
        let call = Call { tool, arguments: &parsed, audience: AUDIENCE, time: now() };
        assert_eq!(held.inspect().decide(&call).is_ok(), permitted, "{tool} {arguments}");
    }
}

#[tokio::test]
async fn details_that_can_not_be_granted_are_refused_whole() {
    let (issuer, provider) = trusting("").await;
    let login = provider.login("alice");
    let before = issuer.log_size().await;
    let of = |tools: &str| format!(r#"[{{"type":"attenuating_agent_token","tools":{tools}}}]"#);
    let on = |constraint: &str| of(&format!(r#"{{"payments.send":{{"amount":{constraint}}}}}"#));
    let many = |count: usize| of(&format!("{{{}}}", (0..count).map(|n| format!(r#""{n}":{{}}"#)).collect::<Vec<_>>().join(",")));
    let bomb = |depth: usize| {
        on(&format!(
            r#"{}{{"constraint_type":"wildcard"}}{}"#,
            r#"{"constraint_type":"all","constraints":["#.repeat(depth),
            "]}".repeat(depth)
        ))
    };
    let malformed: Vec<(&str, String, &str)> = vec![
        ("not JSON", "tools".into(), "JSON_MALFORMED"),
        ("no array", r#"{"type":"attenuating_agent_token","tools":{"crm.read":{}}}"#.into(), "AUTHORIZATION_DETAILS"),
        ("an unknown type", r#"[{"type":"openid_credential","tools":{}}]"#.into(), "AUTHORIZATION_DETAILS"),
        ("an unknown type beside", of(r#"{"crm.read":{}}"#).replace("}}]", r#"}},{"type":"x"}]"#), "AUTHORIZATION_DETAILS"),
        ("an extra member", of(r#"{"crm.read":{}}"#).replace(r#""tools""#, r#""actions":["read"],"tools""#), "AUTHORIZATION_DETAILS"),
        ("no tool", of("{}"), "CAVEAT_NAMES_NO_TOOL"),
        ("keys twice", of(r#"{"crm.read":{},"crm.read":{}}"#), "JSON_DUPLICATE_KEY"),
        ("a depth bomb", "[".repeat(5_000), "JSON_TOO_LARGE"),
        ("constraints too deep", bomb(32), "CONSTRAINT_MALFORMED"),
        ("many tools", many(257), "DETAILS_TOO_LARGE"),
        ("more tools", many(2_000), "JSON_TOO_LARGE"),
        ("not a number", on(r#"{"constraint_type":"range","max":NaN}"#), "JSON_MALFORMED"),
        ("no double", on(r#"{"constraint_type":"range","max":1e400}"#), "JSON_NUMBER"),
        ("min above max", on(r#"{"constraint_type":"range","min":2,"max":1}"#), "CONSTRAINT_MALFORMED"),
        ("an unknown constraint", on(r#"{"constraint_type":"regex","pattern":".*"}"#), "CONSTRAINT_MALFORMED"),
        ("an unknown member", on(r#"{"constraint_type":"exact","value":1,"or":2}"#), "CONSTRAINT_MALFORMED"),
        ("a lone surrogate", on(r#"{"constraint_type":"exact","value":"\ud800"}"#), "JSON_STRING"),
    ];
    for (case, details, reason) in &malformed {
        let form = issuer.request(&HolderKey::generate(), &login).with("authorization_details", details);
        issuer.token(&form).await.refused_as(400, "invalid_authorization_details", reason, case);
    }
    assert_eq!(issuer.log_size().await, before, "nothing that is malformed reaches the policy");
    for (case, details, reason) in [
        ("a tool beyond", of(r#"{"crm.read":{},"db.drop":{}}"#), "TOOL_NOT_IN_POLICY"),
        ("a tool in another spelling", of(r#"{"CRM.read":{}}"#), "TOOL_NOT_IN_POLICY"),
        ("numbers where whole ones are granted", on(r#"{"constraint_type":"range","min":1,"max":50}"#), "ARGUMENT_ABOVE_POLICY"),
        ("a denial in place of a range", on(r#"{"constraint_type":"not_one_of","excluded":[501]}"#), "ARGUMENT_ABOVE_POLICY"),
    ] {
        let form = issuer.request(&HolderKey::generate(), &login).with("authorization_details", &details);
        issuer.token(&form).await.refused_as(400, "invalid_authorization_details", reason, case);
    }
    let huge = issuer.request(&HolderKey::generate(), &login).with("authorization_details", &many(4_000));
    issuer.token(&huge).await.refused_as(413, "invalid_request", "REQUEST_TOO_LARGE", "more than a body holds");
}
