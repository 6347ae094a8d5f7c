//! Registered clients in the log: of changes at the same time one is made, and the table has a bound.

use narrows_verifier::Reason;

use super::*;
use crate::{
    clients::{Clients, Registration},
    store::sqlite_tamper::tamper,
};

/// What is said of a client, with this secret.
fn registration(id: &str, secret: u8) -> Registration {
    let hash = format!("sha256:{}", format!("{secret:02x}").repeat(32));
    let entry = format!(r#"{{"id":"{id}","auth_method":"client_secret_basic","secret_hashes":["{hash}"]}}"#);
    Registration::from_stored(&entry, false).unwrap()
}

async fn change(log: &Log, number: u16, registration: &Registration, replaces: Option<u64>) -> Outcome {
    let leaf = Leaf { task: None, blocks: Vec::new(), ..derivation(Kind::Admin, number, &[]) };
    let leaf = committing(leaf, &[&disclosure("registration", &registration.digest())]);
    let row = SideRow::Client { registration: registration.clone(), replaces };
    log.append(leaf, vec![row]).await.unwrap()
}

fn secret(log: &Log, id: &str) -> String {
    let clients = Clients::new(&[], Arc::clone(log.registered()));
    clients.known(id).expect("a registered client").registration.client.secret_hashes[0].clone()
}

#[tokio::test]
async fn of_two_changes_made_of_the_same_state_one_is_written() {
    let place = Place::new();
    let log = place.log();
    let [first, left, right] = [1, 2, 3].map(|secret| registration("nightly", secret));
    let Outcome::Appended { index, .. } = change(&log, 1, &first, None).await else { panic!("not registered") };
    let changes = tokio::join!(change(&log, 2, &left, Some(index)), change(&log, 3, &right, Some(index)));
    // they wait in the order in which they came
    let (Outcome::Appended { index: newest, .. }, Outcome::Refused(Reason::ClientChanged)) = changes else { panic!("{changes:?}") };
    assert_eq!(secret(&log, "nightly"), left.client.secret_hashes[0], "what was refused is not in force");
    assert_eq!(change(&log, 4, &right, Some(index)).await, Outcome::Refused(Reason::ClientChanged), "and not later either");
    assert_eq!(change(&log, 5, &right, None).await, Outcome::Refused(Reason::ClientExists));
    assert!(matches!(change(&log, 6, &right, Some(newest)).await, Outcome::Appended { .. }), "whoever looks again may change it");
    drop(log);
    assert_eq!(place.check().unwrap().size, 4);
    assert_eq!(secret(&place.open(), "nightly"), right.client.secret_hashes[0]);
}

#[tokio::test]
async fn as_many_clients_as_may_be_are_registered_and_those_can_still_be_changed() {
    let place = Place::new();
    let log = place.log();
    let [first, other] = [1, 2].map(|secret| registration("nightly", secret));
    let Outcome::Appended { index, .. } = change(&log, 1, &first, None).await else { panic!("not registered") };
    tamper(
        &place.database(),
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9998)
         INSERT INTO client SELECT 'c' || i, replace(entry, '\"nightly\"', '\"c' || i || '\"'), 1, idx FROM client, n;",
    );
    assert!(matches!(change(&log, 2, &registration("last", 1), None).await, Outcome::Appended { .. }));
    assert_eq!(change(&log, 3, &registration("more", 1), None).await, Outcome::Refused(Reason::ClientsFull));
    assert!(matches!(change(&log, 4, &other, Some(index)).await, Outcome::Appended { .. }));
}
