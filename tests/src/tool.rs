//! A tool server behind the SDK's guard, over real HTTP.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use narrows::{
    Roots,
    tool::{Clock, Guard, GuardLayer, GuardOptions, Manifest, PermittedCall, Policy, Revocation, system_clock},
};
use narrows_issuer::{
    config::Limits,
    http::{metrics::Metrics, serve::serve},
};
use tokio::net::TcpListener;
use tower::{Layer, service_fn};

/// Serves the tools `crm.read` and `payments.send` (a token is enough) and `db.drop` (wants a permit) for this audience,
/// and gives the address. The answer tells the tool, the arguments that it ran with and the agents that asked.
pub async fn start(audience: &str, roots: Roots) -> String {
    start_with(MANIFEST, audience, roots, Policy::default()).await
}

/// As [`start`], with the tools of this manifest, which believes receipts that this policy accepts.
pub async fn start_with(manifest: &str, audience: &str, roots: Roots, trust: impl Into<Policy>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let manifest = Manifest::parse(manifest).and_then(|manifest| manifest.at_audience(audience)).expect("a manifest");
    let guard = Guard::new(manifest, roots, GuardOptions { accept_dev: false, replay_capacity: 1024, revocation: Revocation::NotChecked });
    guard.replace_logs(trust);
    let service = GuardLayer::new(guard, system_clock()).layer(service_fn(run));
    tokio::spawn(async move { serve(listener, service, &Limits::default(), Arc::new(Metrics::new(&[])), std::future::pending()).await });
    address
}

/// As [`start`], where no call passes without a snapshot of the issuer's revocations that is young enough by this clock. With the
/// guard, so that a test brings it up to date when it wants.
pub async fn start_current(audience: &str, roots: Roots, clock: Clock) -> (String, Arc<Guard>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let manifest = Manifest::parse(MANIFEST).and_then(|manifest| manifest.at_audience(audience)).expect("a manifest");
    let options = GuardOptions { accept_dev: false, replay_capacity: 1024, revocation: Revocation::Required };
    let layer = GuardLayer::new(Guard::new(manifest, roots, options), clock);
    let guard = Arc::clone(layer.guard());
    let service = layer.layer(service_fn(run));
    tokio::spawn(async move { serve(listener, service, &Limits::default(), Arc::new(Metrics::new(&[])), std::future::pending()).await });
    (address, guard)
}

async fn run(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let call = request.extensions().get::<PermittedCall>().expect("the guard lets nothing else through");
    let agents: Vec<_> = call.principals.iter().map(|principal| principal.agent.as_str()).collect();
    let told = serde_json::json!({ "tool": call.tool, "arguments": call.arguments.canonical(), "agents": agents });
    Ok(Response::new(Full::from(told.to_string())))
}

const MANIFEST: &str = r#"
audience = "https://replaced.example"
[[tool]]
name = "crm.read"
requires = "token"
[[tool]]
name = "payments.send"
requires = "token"
[[tool]]
name = "db.drop"
"#;
