//! Two writers on one file, and another file in the place of the one that is open.

use std::fs;

use narrows::HolderKey;
use narrows_tests::http::get;

use crate::end_to_end::trusting;

#[tokio::test]
async fn a_second_service_on_the_same_data_does_not_start() {
    let (issuer, provider) = trusting("").await;
    let told = issuer.start_refused();
    assert!(told.code == Some(1) && told.errors.contains("LOG_BUSY"), "{told:?}");
    issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn a_database_that_is_swapped_under_the_service_stops_it() {
    let (mut issuer, provider) = trusting("").await;
    let login = provider.login("alice");
    issuer.granted(&HolderKey::generate(), &login).await;
    let aside = issuer.data().join("aside.db");
    fs::rename(issuer.database(), &aside).unwrap();
    fs::copy(&aside, issuer.database()).unwrap();
    for attempt in ["the first", "every later one"] {
        let answer = issuer.token(&issuer.request(&HolderKey::generate(), &login)).await;
        answer.refused_as(503, "temporarily_unavailable", "AUDIT_FILE_SWAPPED", attempt);
    }
    get(&issuer.at("/readyz")).await.refused(503, "AUDIT_FILE_SWAPPED", "not ready");
    // with the right file back, a restart goes on
    fs::rename(&aside, issuer.database()).unwrap();
    issuer.kill();
    issuer.start().await;
    issuer.granted(&HolderKey::generate(), &login).await;
    issuer.audit(&[]).succeeded();
}
