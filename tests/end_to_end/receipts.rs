//! A tool that accepts only delegation which is in the log.

use narrows::{CallError, EntryId, Held, Presentation, Reason, Recorded, ToolClient, arguments};
use narrows_tests::{
    holder::{fresh, holder},
    issuer::{AUDIENCE, evidence, now},
    tool,
};

use super::{hop_to, trusting};

#[tokio::test]
async fn a_tool_that_demands_every_hop_accepts_reported_delegation_alone() {
    let (issuer, provider) = trusting("").await;
    let (sdk, keys) = issuer.sdk().await;
    let tools = ToolClient::new(&tool::start_with(MANIFEST, AUDIENCE, keys.roots.clone(), vec![keys.log.clone()]).await).unwrap();
    let refusal = async |call: &Presentation| match tools.call(call).await {
        Err(CallError::Refused(refusal)) => refusal.known_reason().unwrap(),
        other => panic!("not refused: {other:?}"),
    };
    let seed = fresh();
    let answer = issuer.granted(&holder(&seed), &provider.login("alice")).await;
    let held = || Held::new(answer["access_token"].as_str().unwrap(), holder(&seed), &keys.roots).ok().unwrap();
    let entry = EntryId::from_hex(answer["narrows"]["entry"].as_str().unwrap()).unwrap();
    let (receipt, leaf) = evidence(&answer);
    let planner = held().keeping(&Recorded { entry, leaf, receipt });
    let call = |holder: &Held| holder.prove("crm.read", &arguments("{}").unwrap(), AUDIENCE, now());
    assert_eq!(refusal(&call(&held())).await, Reason::ReceiptMissing);
    tools.call(&call(&planner)).await.unwrap();

    let executor_seed = fresh();
    let [reported, secret] = [(); 2].map(|()| planner.narrow(&hop_to(&holder(&executor_seed)), now()).unwrap());
    let recorded = sdk.report(&planner.report_hop(&reported, issuer.url(), now()), &keys).await.unwrap();
    let handed = planner.receipts_with(&recorded);
    let executor = |token: &str| Held::new(token, holder(&executor_seed), &keys.roots).ok().unwrap().with_receipts(&handed).unwrap();
    tools.call(&call(&executor(&reported.token))).await.unwrap();
    assert_eq!(refusal(&call(&executor(&secret.token))).await, Reason::ReceiptMissing, "a hop that nobody reported");
}

const MANIFEST: &str = r#"
audience = "https://replaced.example"
[[tool]]
name = "crm.read"
requires = "token"
receipts = "every_hop"
"#;
