//! Workflows that run alone, written as a user of the SDK would write them.

pub mod mcp_server;
pub mod tool_server;

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use narrows::{
    IssuerClient,
    tool::{Clock, Guard, GuardLayer, GuardOptions, Manifest, Revocation, RevocationFeed, system_clock},
};

/// Stands before these tools, under the keys that the issuer has now. It asks for keys once, and for what is revoked every few
/// seconds from then on; it decides offline.
///
/// # Errors
/// When the issuer can't be asked, or is one for development and that was not allowed.
pub async fn guarding(
    issuer: &str,
    manifest: Manifest,
    accept_dev: bool,
    layer: fn(Guard, Clock) -> GuardLayer,
) -> anyhow::Result<GuardLayer> {
    let clock = system_clock();
    let keys = IssuerClient::new(issuer)?.discover().await.context("fetching the issuer's keys")?;
    if keys.dev && !accept_dev {
        bail!("`{issuer}` is a development issuer; give --accept-dev to trust it");
    }
    let feed = RevocationFeed::new(issuer, &keys)?.with_roots();
    let options = GuardOptions { accept_dev, replay_capacity: 100_000, revocation: Revocation::Required };
    let layer = layer(Guard::new(manifest, keys.roots, options), Arc::clone(&clock));
    feed.poll(layer.guard(), clock()).await.context("fetching what the issuer has revoked")?;
    let guard = Arc::clone(layer.guard());
    tokio::spawn(async move { feed.follow(&guard, clock, || tokio::time::sleep(POLL)).await });
    Ok(layer)
}

/// Well within the ten seconds for which a snapshot decides on what can't be undone.
const POLL: Duration = Duration::from_secs(3);
