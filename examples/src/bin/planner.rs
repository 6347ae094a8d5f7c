//! A planner that gets a token for a person's login, hands less of it to an executor, and the executor's two calls: one
//! within what it was given, one beyond.

use std::io::Read as _;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use narrows::{
    CallError, ClientAuthentication, ExchangeRequest, Held, HolderKey, ID_TOKEN, IssuerClient, NarrowRequest, ToolClient, arguments,
    caveat::Tools, caveats, inspect, tool::system_clock,
};

/// The login token comes on standard input; the client's secret in the environment as NARROWS_CLIENT_SECRET.
#[derive(Parser)]
struct Options {
    /// The issuer's identifier, which is its address too.
    #[arg(long)]
    issuer: String,
    /// The client's identifier at the issuer.
    #[arg(long, default_value = "planner-app")]
    client: String,
    /// The tool server's address.
    #[arg(long)]
    tool: String,
    /// The tool server's audience; without it, the address.
    #[arg(long)]
    audience: Option<String>,
    /// A file with the login token, instead of standard input.
    #[arg(long)]
    login_token: Option<std::path::PathBuf>,
    /// The type of the login token, as an RFC 8693 token type URI.
    #[arg(long, default_value = ID_TOKEN)]
    login_token_type: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let secret = std::env::var("NARROWS_CLIENT_SECRET").context("NARROWS_CLIENT_SECRET is not set")?;
    let login = read_login(&options)?;
    let audience = options.audience.as_ref().unwrap_or(&options.tool);
    let clock = system_clock();

    let issuer = IssuerClient::new(&options.issuer)?;
    let keys = issuer.discover().await?;
    println!("1. the issuer signs with {} key(s) and logs under `{}`", keys.roots.keys().len(), keys.log.name());

    let planner_key = HolderKey::generate();
    let request = ExchangeRequest {
        subject_token: login.trim(),
        subject_token_type: &options.login_token_type,
        client: ClientAuthentication::SecretBasic { client: &options.client, secret: &secret },
        holder: &planner_key,
        audience,
        tools: Tools { names: ["crm.read".to_owned(), "payments.send".to_owned()].into(), ..Tools::default() },
        caveats: caveats(r#"[{"kind":"depth","max":2}]"#)?,
        agent: "planner",
        expires_in: Some(600),
    };
    let granted = issuer.exchange(&request, &keys, clock()).await?;
    println!(
        "2. the login became a token for task {}, good for {} s, in the log as {}",
        granted.task, granted.expires_in, granted.recorded.entry
    );
    let planner = Held::new(&granted.access_token, planner_key, &keys.roots)?;
    show(&inspect(planner.inspect()));

    let executor_key = HolderKey::generate();
    let less = r#"[{"kind":"tools","allow":["payments.send"]},{"kind":"arg","tool":"payments.send","path":"/amount","is":{"range":{"min":1,"max":20}}}]"#;
    let hop = NarrowRequest { holder: executor_key.public(), agent: "executor".to_owned(), caveats: caveats(less)? };
    let narrowed = planner.narrow(&hop, clock())?;
    println!("3. the planner narrowed it for an executor, offline");
    let reported = issuer.report(&planner.report_hop(&narrowed, issuer.issuer(), clock()), &keys).await?;
    println!("4. the hop {} is in the log as {}, and its receipt verifies", narrowed.block, reported.entry);
    let executor = Held::new(&narrowed.token, executor_key, &keys.roots)?;
    show(&inspect(executor.inspect()));

    let tool = ToolClient::new(&options.tool)?;
    let prove = |text: &str| anyhow::Ok(executor.prove("payments.send", &arguments(text)?, audience, clock()));
    let paid = tool.call(&prove(r#"{"to":2,"amount":20,"currency":"EUR"}"#)?).await?;
    println!("5. the executor paid 20 EUR to customer 2: {paid}");
    match tool.call(&prove(r#"{"to":2,"amount":21,"currency":"EUR"}"#)?).await {
        Err(CallError::Refused(refusal)) => {
            println!("6. the executor tried to pay 21 EUR and was refused: {refusal}");
            ensure!(refusal.reason == "ARGUMENT_REFUSED" && refusal.block == Some(1), "refused for another reason than the hop's ceiling");
        }
        Err(other) => return Err(other.into()),
        Ok(_) => bail!("the tool ran a payment beyond the ceiling"),
    }
    Ok(())
}

fn read_login(options: &Options) -> anyhow::Result<String> {
    match &options.login_token {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("reading `{}`", path.display())),
        None => {
            let mut text = String::new();
            std::io::stdin().take(64 * 1024).read_to_string(&mut text).context("reading the login token")?;
            Ok(text)
        }
    }
}

fn show(text: &str) {
    for line in text.lines() {
        println!("     {line}");
    }
}
