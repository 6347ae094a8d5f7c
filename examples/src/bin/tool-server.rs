//! A tool server that decides offline: it asks the issuer for its keys once, at start, and for what is revoked every few seconds.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use clap::Parser;
use narrows::{
    IssuerClient,
    tool::{Guard, GuardLayer, GuardOptions, Manifest, Revocation, RevocationFeed, system_clock},
};
use narrows_examples::tool_server::{Table, router};
use tokio::net::TcpListener;

/// Well within the ten seconds for which a snapshot decides on what can't be undone.
const POLL: Duration = Duration::from_secs(3);

#[derive(Parser)]
struct Options {
    /// The issuer's identifier, which is its address too.
    #[arg(long)]
    issuer: String,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// The audience that callers sign into each proof, instead of the manifest's.
    #[arg(long)]
    audience: Option<String>,
    /// A manifest instead of the built-in one.
    #[arg(long)]
    manifest: Option<std::path::PathBuf>,
    /// Accept tokens of a development issuer, at which whoever reaches the port can be anyone.
    #[arg(long)]
    accept_dev: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let text = match &options.manifest {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("reading `{}`", path.display()))?,
        None => include_str!("../../tool-server.toml").to_owned(),
    };
    let mut manifest = Manifest::parse(&text)?;
    if let Some(audience) = &options.audience {
        manifest = manifest.at_audience(audience)?;
    }
    let clock = system_clock();
    let keys = IssuerClient::new(&options.issuer)?.discover().await.context("fetching the issuer's keys")?;
    if keys.dev && !options.accept_dev {
        bail!("`{}` is a development issuer; give --accept-dev to trust it", options.issuer);
    }
    let feed = RevocationFeed::new(&options.issuer, &keys)?;
    let guard_options = GuardOptions { accept_dev: options.accept_dev, replay_capacity: 100_000, revocation: Revocation::Required };
    let layer = GuardLayer::new(Guard::new(manifest, keys.roots, guard_options), clock.clone());
    feed.poll(layer.guard(), clock()).await.context("fetching what the issuer has revoked")?;
    let guard = Arc::clone(layer.guard());
    tokio::spawn(async move { feed.follow(&guard, clock, || tokio::time::sleep(POLL)).await });
    let listener = TcpListener::bind(&options.listen).await.with_context(|| format!("listening on `{}`", options.listen))?;
    println!("{}", serde_json::json!({"listen": format!("http://{}", listener.local_addr()?)}));
    axum::serve(listener, router(Table::sample(), layer)).await?;
    Ok(())
}
