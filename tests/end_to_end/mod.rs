//! Whole roads over real HTTP, against programs that are not ours.

mod attach;
mod bad_requests;
mod openid_provider;
mod subject_tokens;
mod the_road;

use narrows::{Held, HolderKey, IssuerKeys};
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

/// Alice's capability for both tools, held by `key`.
async fn capability(issuer: &Issuer, provider: &ForgedProvider, keys: &IssuerKeys, key: HolderKey) -> Held {
    let answer = issuer.granted(&key, &provider.login("alice")).await;
    Held::new(answer["access_token"].as_str().unwrap(), key, &keys.roots).ok().unwrap()
}
