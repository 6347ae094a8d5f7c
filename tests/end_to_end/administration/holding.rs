//! A task or an agent is held for now, and let go.

use narrows::{
    CallError, Held, HolderKey, Reason, ToolClient, arguments,
    tool::{Guard, RevocationFeed, system_clock},
};
use narrows_issuer::admin::Method;
use narrows_tests::{
    http::{Answer, Form},
    issuer::{AUDIENCE, CLIENT, now},
    tool,
};
use serde_json::{Value, json};

use super::{Bench, secret_of};
use crate::end_to_end::{capability, hop_to};

impl Bench {
    async fn hold(&self, name: &str, verb: &str, body: &Value) -> Answer {
        self.ask(Method::Post, &format!("/v1/{verb}"), Some(&format!("Bearer {}", secret_of(name))), Some(body)).await
    }

    async fn is_active(&self, held: &Held) -> bool {
        let form = Form::new(&[("token", held.sealed())]).basic(CLIENT, self.issuer.secret());
        form.post(&self.issuer.at("/oauth/introspect")).await.granted()["active"].as_bool().unwrap()
    }

    /// Why the issuer does not record a hop, if it does not.
    async fn refuses_a_hop(&self, held: &Held) -> Option<String> {
        let hop = held.narrow(&hop_to(&HolderKey::generate()), now()).ok().unwrap();
        let report = held.report_hop(&hop, self.issuer.url(), now());
        let answer = self.issuer.report(&report.token, &report.proof).await;
        (answer.status != 200).then(|| answer.reason())
    }
}

async fn call(tools: &ToolClient, held: &Held) -> Result<(), Reason> {
    match tools.call(&held.prove("crm.read", &arguments("{}").unwrap(), AUDIENCE, now())).await {
        Ok(_) => Ok(()),
        Err(CallError::Refused(refusal)) => Err(refusal.known_reason().unwrap()),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn what_is_paused_gets_and_does_nothing_until_it_is_resumed() {
    let mut bench = Bench::new("").await;
    let (_, keys) = bench.issuer.sdk().await;
    let held = capability(&bench.issuer, &bench.provider, &keys, HolderKey::generate()).await;
    let task = held.inspect().authority.task.to_string();
    let (address, guard) = tool::start_current(AUDIENCE, keys.roots.clone(), system_clock()).await;
    let tools = ToolClient::new(&address).unwrap();
    let poll = async |guard: &Guard, url: &str| {
        RevocationFeed::new(url, &keys).unwrap().poll(guard, now()).await.expect("the feed");
    };
    for body in [json!({ "task": task }), json!({ "agent": "planner" })] {
        poll(&guard, bench.issuer.url()).await;
        assert_eq!((call(&tools, &held).await, bench.is_active(&held).await), (Ok(()), true), "{body}");

        bench.hold("otto", "pause", &body).await.refused(403, "ADMIN_ROLE", "who may end may hold");
        let paused = bench.hold("sam", "pause", &body).await.granted();
        let again = bench.hold("sam", "pause", &body).await.granted();
        assert_eq!(paused["entry"], again["entry"], "once");
        assert!(!bench.is_active(&held).await);
        assert_eq!(bench.refuses_a_hop(&held).await.as_deref(), Some("PAUSED"));
        let request = bench.issuer.request(&HolderKey::generate(), &bench.provider.login("alice"));
        match body["agent"].is_null() {
            // another task of the same agent goes on
            true => drop(bench.issuer.token(&request).await.granted()),
            false => bench.issuer.token(&request).await.refused_as(400, "invalid_request", "PAUSED", "a mint for the agent"),
        }
        // over a restart, and at whoever follows the feed
        bench.issuer.stop();
        bench.issuer.audit(&[]).succeeded();
        bench.issuer.start().await;
        assert!(!bench.is_active(&held).await);
        poll(&guard, bench.issuer.url()).await;
        assert_eq!(call(&tools, &held).await, Err(Reason::Revoked), "a tool can't tell a pause from an end");

        bench.hold("sam", "resume", &body).await.granted();
        bench.hold("sam", "resume", &body).await.refused(409, "NOT_PAUSED", "once");
        assert!(bench.is_active(&held).await);
        assert_eq!(bench.refuses_a_hop(&held).await, None);
        bench.issuer.granted(&HolderKey::generate(), &bench.provider.login("alice")).await;
    }
    poll(&guard, bench.issuer.url()).await;
    assert_eq!(call(&tools, &held).await, Ok(()));
    bench.issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn what_is_paused_is_shown_and_what_can_not_be_is_refused() {
    let bench = Bench::new("").await;
    bench.issuer.granted(&HolderKey::generate(), &bench.provider.login("alice")).await;
    let tasks = bench.by("vera", Method::Get, "/v1/tasks").await.granted();
    let task = tasks["tasks"][0]["task"].as_str().unwrap();
    assert_eq!(tasks["tasks"][0]["paused"], false);
    for body in [json!({ "task": task }), json!({ "agent": "crawler/2" })] {
        bench.hold("sam", "pause", &body).await.granted();
    }
    assert_eq!(bench.by("vera", Method::Get, &format!("/v1/tasks/{task}")).await.granted()["paused"], true);
    let agents = bench.by("vera", Method::Get, "/v1/agents").await.granted();
    assert_eq!(agents["agents"], json!([{ "agent": "crawler/2", "clients": [], "state": "paused" }]));
    for (body, status, reason) in [
        (json!({}), 400, "PARAMETER_MISSING"),
        (json!({ "task": task, "agent": "a" }), 400, "PARAMETER_INVALID"),
        (json!({ "agent": "" }), 400, "PARAMETER_INVALID"),
        (json!({ "agent": "a".repeat(1025) }), 400, "PARAMETER_INVALID"),
        (json!({ "task": "00" }), 400, "PARAMETER_INVALID"),
        (json!({ "task": "0".repeat(32) }), 404, "TASK_UNKNOWN"),
        (json!({ "subject": "p-1" }), 400, "JSON_MALFORMED"),
    ] {
        bench.hold("sam", "pause", &body).await.refused(status, reason, &body.to_string());
    }
    bench.hold("sam", "resume", &json!({ "agent": "planner" })).await.refused(409, "NOT_PAUSED", "it is not");
    let secret = bench.issuer.keep("operator", secret_of("sam"));
    let secret = secret.to_string_lossy();
    let run = |arguments: &[&str]| bench.issuer.run(&[&["admin", "--url", &bench.address, "--secret", &secret], arguments].concat());
    run(&["resume", "--agent", "crawler/2"]).succeeded();
    run(&["pause", "--task", task]).succeeded();
    run(&["resume", "--task", task]).succeeded();
    assert!(!run(&["agents"]).succeeded().contains("crawler/2"));
    assert!(bench.issuer.audit(&[]).succeeded().contains("revocations  0 in the table"));
}
