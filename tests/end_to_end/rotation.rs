//! The keys that a service publishes beside its own, while their tokens are out.

use std::fs;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use narrows::{Held, HolderKey, RootState};
use narrows_tests::{
    holder::{fresh, holder},
    issuer::{AUDIENCE, now},
    tool,
};
use narrows_verifier::public_key;

use super::{capability, hop_to, trusting};

#[tokio::test]
async fn a_key_of_another_service_is_published_as_the_configuration_has_it() {
    let (first, provider) = trusting("").await;
    let (_, before) = first.sdk().await;
    let old_holder: [u8; 32] = fresh();
    let old = capability(&first, &provider, &before, holder(&old_holder)).await;
    let retired = URL_SAFE_NO_PAD.encode(public_key(&first.stolen_seed()).as_bytes());
    let entry = format!("[[root_key]]\npublic_key = \"{retired}\"\nstate = \"retired\"\nnot_before = 0\nnot_after = {}\n", now());
    let (mut issuer, provider) = trusting(&entry).await;

    let (_, after) = issuer.sdk().await;
    let states = |keys: &narrows::IssuerKeys| {
        let mut states: Vec<_> = keys.roots.keys().iter().map(|root| (root.key == before.roots.keys()[0].key, root.state)).collect();
        states.sort_by_key(|(old, _)| *old);
        states
    };
    assert_eq!(states(&after), [(false, RootState::Active), (true, RootState::Retired)]);
    assert_ne!(before.roots.epoch(), after.roots.epoch());
    let new = capability(&issuer, &provider, &after, HolderKey::generate()).await;
    assert_ne!(new.inspect().root.key, old.inspect().root.key);
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
