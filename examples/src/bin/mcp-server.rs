//! The tools of the table as an MCP server whose callers find out by themselves where to get a token.

use anyhow::Context;
use clap::Parser;
use narrows::tool::{GuardLayer, Manifest};
use narrows_examples::{guarding, mcp_server::router, tool_server::Table};
use tokio::net::TcpListener;

#[derive(Parser)]
struct Options {
    /// The issuer's identifier, which is its address too, and where callers are sent for tokens.
    #[arg(long)]
    issuer: String,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// The path of the server. With the address before it, it is the audience.
    #[arg(long, default_value = "/mcp")]
    path: String,
    /// The origin at which callers reach the server, where that is another than it listens at.
    #[arg(long)]
    origin: Option<String>,
    /// A manifest instead of the built-in one; its audience and authorization servers are replaced.
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
        None => include_str!("../../mcp-server.toml").to_owned(),
    };
    let listener = TcpListener::bind(&options.listen).await.with_context(|| format!("listening on `{}`", options.listen))?;
    let origin = options.origin.unwrap_or(format!("http://{}", listener.local_addr()?));
    let manifest = Manifest::parse(&text)?.with_authorization_servers(Vec::new())?;
    let manifest = manifest.at_audience(&format!("{origin}{}", options.path))?.with_authorization_servers(vec![options.issuer.clone()])?;
    let layer = guarding(&options.issuer, manifest, options.accept_dev, GuardLayer::mcp).await?;
    println!("{}", serde_json::json!({"listen": format!("http://{}", listener.local_addr()?)}));
    axum::serve(listener, router(Table::sample(), &options.path, layer)).await?;
    Ok(())
}
