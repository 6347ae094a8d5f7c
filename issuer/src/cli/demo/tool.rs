//! The demo's tool: two tools behind the SDK's guard, served over real HTTP by the issuer's own accept loop.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use narrows::{
    IssuerKeys,
    tool::{Guard, GuardLayer, GuardOptions, Manifest, PermittedCall, Revocation, RevocationFeed, system_clock},
};
use narrows_issuer::{
    config::Limits,
    http::{metrics::Metrics, serve::serve},
};
use tokio::net::TcpListener;
use tower::{Layer, service_fn};

/// Starts the tool server on a port of its own and gives its address, which is also its audience, and its guard, which follows the issuer's revocation feed.
pub(super) async fn start(issuer: &str, keys: &IssuerKeys) -> anyhow::Result<(String, Arc<Guard>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let audience = format!("http://{}", listener.local_addr()?);
    let manifest = Manifest::parse(MANIFEST)?.at_audience(&audience)?;
    let options = GuardOptions { accept_dev: true, replay_capacity: 1024, revocation: Revocation::Required };
    let layer = GuardLayer::new(Guard::new(manifest, keys.roots.clone(), options), system_clock());
    let guard = Arc::clone(layer.guard());
    let (feed, polled) = (RevocationFeed::new(issuer, keys)?, Arc::clone(&guard));
    feed.poll(&guard, system_clock()()).await?;
    tokio::spawn(async move { feed.follow(&polled, system_clock(), || tokio::time::sleep(POLL)).await });
    let service = layer.layer(service_fn(run_tool));
    tokio::spawn(async move {
        let metrics = Arc::new(Metrics::new(&[]));
        serve(listener, service, &Limits::default(), metrics, std::future::pending()).await
    });
    Ok((audience, guard))
}

/// Runs only permitted calls: the guard in front has parsed, verified and decided, and hands over what it decided on.
async fn run_tool(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let result = request.extensions().get::<PermittedCall>().context("no permitted call").map(|call| match call.tool.as_str() {
        "crm.read" => serde_json::json!({ "customer": "Example Ltd", "balance": 1200 }),
        "payments.send" => serde_json::json!({ "sent": call.arguments.canonical(), "for": call.subject }),
        other => serde_json::json!({ "unknown": other }),
    });
    Ok(Response::new(Full::from(result.unwrap_or_default().to_string())))
}

/// Well within the ten seconds for which a snapshot decides on what can't be undone.
const POLL: Duration = Duration::from_secs(3);

/// Both tools accept a token; a real payment tool would ask for a permit.
const MANIFEST: &str = r#"
audience = "http://127.0.0.1"
[[tool]]
name = "crm.read"
requires = "token"
[[tool]]
name = "payments.send"
requires = "token"
"#;
