//! `narrows demo`: the whole road on one machine, told as it happens. Every sentence is checked; the first that is not true
//! ends the demo with exit code 1.

mod login;
mod tool;

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use narrows::{
    CallError, ClientAuthentication, ExchangeRequest, Held, HolderKey, ID_TOKEN, IssuerClient, IssuerError, NarrowRequest, Presentation,
    Reason, Revoke, ToolClient, arguments,
    caveat::{Tools, parse_list},
    json::{Limits, parse},
    tool::RevocationFeed,
};
use narrows_issuer::{
    clock::system_clock,
    config::Config,
    http::serve::serve,
    log::{Evidence, Finding, check_database, task_trees},
    service,
};
use narrows_verifier::{
    Caveat, UnverifiedToken,
    proof::{PossessionClaims, sign_possession},
};

use super::serve::{CLIENT, DevService, Scratch, open_development};

/// Plays the demo.
pub(super) fn run() -> anyhow::Result<()> {
    super::block_on(async {
        let scratch = Scratch::new()?;
        let dev = open_development(([127, 0, 0, 1], 0).into(), scratch.0.join("data")).await?;
        play(dev).await
    })
}

async fn play(dev: DevService) -> anyhow::Result<()> {
    let DevService { service, config, listener, client_secret, password } = dev;
    let (router, limits, metrics) = (service.router, config.limits.clone(), Arc::clone(&service.app.metrics));
    tokio::spawn(async move { serve(listener, router, &limits, metrics, std::future::pending()).await });
    let now = || system_clock()() / 1000;
    let issuer = IssuerClient::new(&config.issuer)?;
    let keys = issuer.discover().await?;
    let (audience, guard) = tool::start(&config.issuer, &keys).await?;

    step("A development issuer and a tool server are up", "nothing but this process, loopback only");
    say("issuer", &config.issuer);
    say("tool", &audience);

    step("Alice logs in", "authorization code with PKCE, a real form, a real password");
    let id_token = login::log_in(&format!("{}/dev/idp", config.issuer), CLIENT, "alice", &password).await?;
    say("got", &format!("an ID token of {} characters, which no tool will ever see", id_token.len()));

    step("The planner exchanges her login for a capability", "RFC 8693; asks for two tools and payments up to 300");
    let planner_key = HolderKey::generate();
    let request = |tools: &[&str], caveats: Vec<Caveat>| ExchangeRequest {
        subject_token: &id_token,
        subject_token_type: ID_TOKEN,
        client: ClientAuthentication::SecretBasic { client: CLIENT, secret: &client_secret },
        holder: &planner_key,
        audience: &audience,
        tools: Tools { names: tools.iter().map(|tool| (*tool).to_owned()).collect(), ..Tools::default() },
        caveats,
        agent: "planner",
        expires_in: Some(600),
    };
    let asked = caveats(r#"[{"kind":"arg","tool":"payments.send","path":"/amount","is":{"range":{"min":1,"max":300}}}]"#)?;
    let granted = issuer.exchange(&request(&["crm.read", "payments.send"], asked), &keys, now()).await?;
    let capability = UnverifiedToken::from_text(&granted.access_token)?.verify(&keys.roots)?;
    tell_caveats(&capability.blocks.first().context("a token without blocks")?.caveats);
    say("log", &format!("leaf {} was durable before the token left; its receipt verifies", granted.recorded.entry));

    step("The planner asks for more than the policy gives", "default deny");
    let wider = caveats(r#"[{"kind":"arg","tool":"payments.send","path":"/amount","is":{"range":{"max":100000}}}]"#)?;
    expect_issuer_refusal(issuer.exchange(&request(&["payments.send"], wider), &keys, now()).await, Reason::ArgumentAbovePolicy)?;
    expect_issuer_refusal(issuer.exchange(&request(&["db.drop"], Vec::new()), &keys, now()).await, Reason::ToolNotInPolicy)?;

    step("The planner narrows it for an executor, offline", "a signed hop: one tool, 50 EUR at most, five minutes");
    let planner = Held::new(&granted.access_token, planner_key, &keys.roots)?;
    let executor_key = HolderKey::generate();
    let mut tighter = caveats(
        r#"[{"kind":"tools","allow":["payments.send"]},
            {"kind":"arg","tool":"payments.send","path":"/amount","is":{"range":{"max":50}}},
            {"kind":"arg","tool":"payments.send","path":"/currency","is":{"exact":"EUR"}},
            {"kind":"closed_args","tool":"payments.send","names":["amount","currency","to"]}]"#,
    )?;
    tighter.push(Caveat::Expires(now() + 300));
    let hop = NarrowRequest { holder: executor_key.public(), agent: "executor".into(), caveats: tighter };
    let narrowed = planner.narrow(&hop, now())?;
    tell_caveats(&hop.caveats);
    let reported = issuer.report(&planner.report_hop(&narrowed, &config.issuer, now()), &keys).await?;
    say("log", &format!("hop {} reported; the receipt says the log has seen it, not that anybody approved", reported.entry));

    step("The executor calls the tool", "verified offline: signatures, hop rule, proof of possession, caveats");
    let executor = Held::new(&narrowed.token, executor_key, &keys.roots)?;
    let tool = ToolClient::new(&audience)?;
    let call =
        |held: &Held, name: &str, text: &str| -> anyhow::Result<Presentation> { Ok(held.prove(name, &arguments(text)?, &audience, now())) };
    let good = call(&executor, "payments.send", r#"{"amount":40,"currency":"EUR","to":"Example Ltd"}"#)?;
    let answer = tool.call(&good).await?;
    say("allowed", &format!("payments.send {} -> {answer}", good.arguments));
    for (arguments, reason) in [
        (r#"{"amount":80,"currency":"EUR","to":"Example Ltd"}"#, Reason::ArgumentRefused),
        (r#"{"amount":40,"currency":"USD","to":"Example Ltd"}"#, Reason::ArgumentRefused),
        (r#"{"amount":40,"currency":"EUR","to":"Example Ltd","memo":"x"}"#, Reason::ArgumentNotListed),
    ] {
        expect_tool_refusal(&tool, &call(&executor, "payments.send", arguments)?, reason).await?;
    }
    expect_tool_refusal(&tool, &call(&executor, "crm.read", "{}")?, Reason::ToolNotGranted).await?;
    let answer = tool.call(&call(&planner, "crm.read", "{}")?).await?;
    say("allowed", &format!("the planner itself may still: crm.read -> {answer}"));

    step("A thief steals the executor's token", "bytes are not authority");
    expect_tool_refusal(&tool, &good, Reason::ProofReplayed).await?;
    let stolen = call(&executor, "payments.send", r#"{"amount":50,"currency":"EUR","to":"Thief Ltd"}"#)?;
    let claims = PossessionClaims {
        block: executor.inspect().newest(),
        tool: &stolen.tool,
        args_digest: arguments(&stolen.arguments)?.digest(),
        audience: &audience,
    };
    let own_proof = sign_possession(&claims, now(), &[7; 16], &[7; 32]);
    let stolen = Presentation { proof: own_proof, ..stolen };
    expect_tool_refusal(&tool, &stolen, Reason::ProofSignature).await?;

    step(
        "The executor's authority is taken back",
        "RFC 7009; in force at once at the issuer, and at the tool with its next look at the feed",
    );
    let client = ClientAuthentication::SecretBasic { client: CLIENT, secret: &client_secret };
    let revoked = issuer.revoke(Revoke::Token(&narrowed.token), &client, &keys).await?.context("the token was none any more")?;
    say("log", &format!("revocation {} is durable", revoked.entry));
    RevocationFeed::new(&config.issuer, &keys)?.poll(&guard, now()).await?;
    let late = call(&executor, "payments.send", r#"{"amount":10,"currency":"EUR","to":"Example Ltd"}"#)?;
    expect_tool_refusal(&tool, &late, Reason::Revoked).await?;
    let answer = tool.call(&call(&planner, "crm.read", "{}")?).await?;
    say("allowed", &format!("what it was made from stands: crm.read -> {answer}"));

    step("An auditor checks the log", "every leaf hashed anew, root and signatures compared, receipts checked");
    audit(&config, &[granted.recorded, reported, revoked])?;
    say!("\nEverything above was checked while it was told.");
    Ok(())
}

/// The full check, then the same check on a copy with one byte changed.
fn audit(config: &Config, recorded: &[narrows::Recorded]) -> anyhow::Result<()> {
    let database = service::log_file(config);
    let key = service::read_log_key(&config.data_dir)?;
    let receipts: Vec<_> = recorded.iter().map(|recorded| (recorded.receipt.clone(), recorded.leaf.clone())).collect();
    let report = check_database(&database, &key, Evidence { receipts: &receipts, checkpoints: &[] })?;
    ensure!(report.receipts == 3, "{} of 3 receipts verify", report.receipts);
    say("root", &format!("{} over {} leaves, signed by {}", report.root.to_base64(), report.size, report.origin));
    say("receipts", "all three verify against this very log");
    for tree in task_trees(&database, None, usize::MAX)?.0 {
        say!("\n{}", indent(&tree.to_string()));
    }
    let mut changed = receipts;
    let leaf = changed.first_mut().and_then(|(_, leaf)| leaf.last_mut()).context("no leaf")?;
    *leaf ^= 1;
    match check_database(&database, &key, Evidence { receipts: &changed, checkpoints: &[] }) {
        Err(Finding { reason: Reason::LogReceiptInvalid, .. }) => say("tampered", "one bit of a leaf changed: LOG_RECEIPT_INVALID"),
        other => bail!("a changed leaf was not found out: {other:?}"),
    }
    Ok(())
}

fn expect_issuer_refusal<T>(answer: Result<T, IssuerError>, reason: Reason) -> anyhow::Result<()> {
    match answer {
        Err(IssuerError::Refused(refusal)) if refusal.code == reason.code() => {
            say("refused", &format!("{reason}: {}", refusal.message));
            Ok(())
        }
        Err(error) => bail!("expected {reason}, got: {error}"),
        Ok(_) => bail!("expected {reason}, but it was granted"),
    }
}

async fn expect_tool_refusal(tool: &ToolClient, call: &Presentation, reason: Reason) -> anyhow::Result<()> {
    match tool.call(call).await {
        Err(CallError::Refused(refusal)) if refusal.reason == reason.code() => {
            let place = match (refusal.block, &refusal.added_by) {
                (Some(block), Some(added_by)) => format!(" (block {block}, added by {added_by})"),
                _ => String::new(),
            };
            say("refused", &format!("{} {} -> {reason}{place}: {}", call.tool, call.arguments, refusal.message));
            Ok(())
        }
        Err(error) => bail!("expected {reason}, got: {error}"),
        Ok(answer) => bail!("expected {reason}, but the tool answered {answer}"),
    }
}

fn caveats(text: &str) -> anyhow::Result<Vec<Caveat>> {
    let list = parse(text.as_bytes(), Limits::CAVEATS).and_then(|list| parse_list(&list));
    list.map_err(|reason| anyhow::anyhow!("{reason}: {}", reason.meaning()))
}

fn tell_caveats(caveats: &[Caveat]) {
    for caveat in caveats {
        say("caveat", &caveat.sentence());
    }
}

fn step(title: &str, how: &str) {
    say!("\n== {title}\n   ({how})");
}

fn say(label: &str, text: &str) {
    say!("   {label:<9} {text}");
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("   {line}")).collect::<Vec<_>>().join("\n")
}
