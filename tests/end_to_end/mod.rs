//! Whole roads over real HTTP, against programs that are not ours.

mod administration;
mod attach;
mod auditing;
mod bad_requests;
mod benches;
mod command_line;
mod crashes;
mod demo;
mod described_routes;
mod details;
mod dpop;
mod erasing;
mod faults;
mod federation;
mod grants;
mod hostile_input;
mod interruptions;
mod key_life;
mod large_logs;
mod mcp_client;
mod oauth_client;
mod openid_provider;
mod receipts;
mod reports;
mod revoking;
mod rotation;
mod sealed_keys;
mod secrets;
mod sparing;
mod stranger;
mod subject_tokens;
mod tampering;
mod the_road;
mod token_exchange;
mod tools;
mod transport;
mod witnesses;

use narrows::{Held, HolderKey, IssuerKeys, NarrowRequest};
use narrows_tests::{
    forged::ForgedProvider,
    issuer::{Issuer, PACK},
};

/// A running issuer that trusts a provider which says whatever the test wants; `more` goes into its configuration.
async fn trusting(more: &str) -> (Issuer, ForgedProvider) {
    let (mut issuer, provider) = (Issuer::init(), ForgedProvider::start());
    issuer.configure(&format!("{more}\n{}", provider.trust()), PACK);
    issuer.start().await;
    (issuer, provider)
}

/// A hop to this key that takes nothing but the name.
fn hop_to(holder: &HolderKey) -> NarrowRequest {
    NarrowRequest { holder: holder.public(), agent: "executor".into(), caveats: Vec::new() }
}

/// Alice's capability for both tools, held by `key`.
async fn capability(issuer: &Issuer, provider: &ForgedProvider, keys: &IssuerKeys, key: HolderKey) -> Held {
    let answer = issuer.granted(&key, &provider.login("alice")).await;
    Held::new(answer["access_token"].as_str().unwrap(), key, &keys.roots).ok().unwrap()
}
