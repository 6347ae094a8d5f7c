//! A tool server that decides offline: it asks the issuer for its keys once, at start, and for what is revoked every few seconds.

use anyhow::Context;
use clap::Parser;
use narrows::tool::{GuardLayer, Manifest};
use narrows_examples::{
    guarding,
    tool_server::{Table, router},
};
use tokio::net::TcpListener;

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
    let layer = guarding(&options.issuer, manifest, options.accept_dev, GuardLayer::new).await?;
    let listener = TcpListener::bind(&options.listen).await.with_context(|| format!("listening on `{}`", options.listen))?;
    println!("{}", serde_json::json!({"listen": format!("http://{}", listener.local_addr()?)}));
    axum::serve(listener, router(Table::sample(), layer)).await?;
    Ok(())
}
