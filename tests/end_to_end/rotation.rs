//! The issuer's signing key is replaced while tokens of the old one are out.

use std::fs;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use narrows::{Held, HolderKey, RootState};
use narrows_tests::{
    holder::{fresh, holder},
    issuer::{AUDIENCE, PACK, now},
    tool,
};
use narrows_verifier::public_key;

use super::{capability, hop_to, trusting};

#[tokio::test]
async fn a_retired_key_is_published_and_its_tokens_live_on_until_it_is_tainted() {
    let (mut issuer, provider) = trusting("").await;
    let (_, before) = issuer.sdk().await;
    let old_holder: [u8; 32] = fresh();
    let old = capability(&issuer, &provider, &before, holder(&old_holder)).await;
    issuer.stop();

    let retired = URL_SAFE_NO_PAD.encode(public_key(&issuer.stolen_seed()).as_bytes());
    let line = format!("narrows-key ed25519 issuer {}\n", URL_SAFE_NO_PAD.encode(fresh::<32>()));
    fs::write(issuer.data().join("issuer.key"), line).unwrap();
    let entry = format!("[[root_key]]\npublic_key = \"{retired}\"\nstate = \"retired\"\nnot_before = 0\nnot_after = {}\n", now());
    issuer.configure(&entry, PACK);
    issuer.start().await;

    let (client, after) = issuer.sdk().await;
    let states = |keys: &narrows::IssuerKeys| {
        let mut states: Vec<_> = keys.roots.keys().iter().map(|root| (root.key == before.roots.keys()[0].key, root.state)).collect();
        states.sort_by_key(|(old, _)| *old);
        states
    };
    assert_eq!(states(&after), [(false, RootState::Active), (true, RootState::Retired)]);
    assert_ne!(before.roots.epoch(), after.roots.epoch());
    let new = capability(&issuer, &provider, &after, HolderKey::generate()).await;
    assert_ne!(new.inspect().root.key, old.inspect().root.key);
    // the log still takes what the old token's holder derives
    let hop = old.narrow(&hop_to(&HolderKey::generate()), now()).ok().unwrap();
    client.report(&old.report_hop(&hop, issuer.url(), now()), &after).await.unwrap();
    let tools = narrows::ToolClient::new(&tool::start(AUDIENCE, after.roots.clone()).await).unwrap();
    for held in [&old, &new] {
        tools.call(&held.prove("crm.read", &narrows::arguments("{}").unwrap(), AUDIENCE, now())).await.unwrap();
    }
    issuer.stop();

    let config = issuer.data().join("narrows.toml");
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("\"retired\""), "{text}");
    fs::write(&config, text.replace("\"retired\"", "\"tainted\"")).unwrap();
    issuer.start().await;
    let (_, tainted) = issuer.sdk().await;
    assert_eq!(states(&tainted), [(false, RootState::Active), (true, RootState::Tainted)]);
    let hop = old.narrow(&hop_to(&HolderKey::generate()), now()).ok().unwrap();
    let report = old.report_hop(&hop, issuer.url(), now());
    issuer.report(&report.token, &report.proof).await.refused(400, "ROOT_TAINTED", "a hop under a tainted key");
    let refused = Held::new(old.sealed(), holder(&old_holder), &tainted.roots).err().map(|refusal| refusal.reason.code());
    assert_eq!(refused, Some("ROOT_TAINTED"));
}
