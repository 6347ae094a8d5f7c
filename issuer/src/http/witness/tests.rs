use axum::body::Body;
use ed25519_dalek::{Signer as _, SigningKey};
use http::Request;
use http_body_util::BodyExt;
use narrows_verifier::log::{AddCheckpoint, Checkpoint, Hash, VerifierKey, leaf_hash, node_hash, signature_line};
use rand_core::OsRng;
use tower::ServiceExt;

use super::*;
use crate::clock::system_clock;
use crate::keys::tests::Scratch;
use crate::keys::{KeyRole, SecretKey};

fn note(origin: &str, size: u64, root: Hash) -> String {
    let secret = SigningKey::from_bytes(&[1; 32]);
    let key = VerifierKey::new(origin, secret.verifying_key().as_bytes()).unwrap();
    let text = Checkpoint { origin: origin.to_owned(), size, root }.to_string();
    format!("{text}\n{}", signature_line(&key, &secret.sign(text.as_bytes()).to_bytes()))
}

fn witness(scratch: &Scratch) -> Routes {
    let key = SecretKey::generate(KeyRole::Witness, &mut OsRng);
    let state = scratch.0.join("state.db");
    Cosigner::create(&state, "w.example", &key).unwrap();
    let log = VerifierKey::new("log.example", SigningKey::from_bytes(&[1; 32]).verifying_key().as_bytes()).unwrap();
    let cosigner = Cosigner::open(&state, "w.example", &key, vec![log], system_clock()).unwrap();
    router(Arc::new(cosigner), &limits(), Arc::new(Metrics::new(ROUTES)))
}

async fn send(routes: &Routes, method: &str, path: &str, body: impl Into<Body>) -> (u16, String, String) {
    let request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
    let response = routes.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let content_type = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, content_type, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn the_protocol_is_spoken_to_the_letter() {
    let scratch = Scratch::new();
    let routes = witness(&scratch);
    let monitored = format!("/{}/checkpoint", hex_of("log.example"));
    let (one, two) = (leaf_hash(b"1"), leaf_hash(b"2"));
    let ask = |old_size, proof: &[Hash], checkpoint: &str| AddCheckpoint { old_size, proof: proof.to_vec(), checkpoint }.encode();
    assert_eq!(send(&routes, "GET", &monitored, "").await.0, 404, "nothing is cosigned yet");

    let first = note("log.example", 1, one);
    let (status, content_type, line) = send(&routes, "POST", "/add-checkpoint", ask(0, &[], &first)).await;
    assert_eq!((status, content_type.as_str()), (200, "text/plain; charset=utf-8"));
    assert!(line.starts_with("— w.example ") && line.ends_with('\n') && line.lines().count() == 1, "{line}");
    assert_eq!(send(&routes, "GET", &monitored, "").await.2, format!("{first}{line}"));

    let both = note("log.example", 2, node_hash(&one, &two));
    let (status, content_type, size) = send(&routes, "POST", "/add-checkpoint", ask(0, &[], &both)).await;
    assert_eq!((status, content_type.as_str(), size.as_str()), (409, "text/x.tlog.size", "1\n"));
    for (case, body, status, reason) in [
        ("a fork", ask(1, &[one], &both), 422, "WITNESS_INCONSISTENT"),
        ("another log", ask(0, &[], &note("lag.example", 1, one)), 404, "WITNESS_LOG_UNKNOWN"),
        ("another's signature", ask(1, &[two], &both.replace("\n2\n", "\n3\n")), 403, "WITNESS_LOG_SIGNATURE"),
        ("sizes that fall", ask(3, &[], &both), 400, "WITNESS_REQUEST"),
        ("no note", "old 0\n\n".to_owned(), 400, "WITNESS_REQUEST"),
        ("nothing", String::new(), 400, "WITNESS_REQUEST"),
    ] {
        let (found, _, answer) = send(&routes, "POST", "/add-checkpoint", body).await;
        assert_eq!(found, status, "{case}: {answer}");
        assert!(answer.contains(&format!("\"reason\":\"{reason}\"")), "{case}: {answer}");
    }
    assert_eq!(send(&routes, "POST", "/add-checkpoint", vec![0xff; 8]).await.0, 400);
    assert_eq!(send(&routes, "POST", "/add-checkpoint", vec![b'x'; MAX_REQUEST_BYTES + 1]).await.0, 413);
    assert_eq!(send(&routes, "GET", "/add-checkpoint", "").await.0, 405);
    assert_eq!(send(&routes, "GET", &monitored.to_uppercase().replace("CHECKPOINT", "checkpoint"), "").await.0, 404);
    assert_eq!(send(&routes, "POST", "/add-checkpoint", ask(1, &[two], &both)).await.0, 200);

    let (status, _, health) = send(&routes, "GET", "/healthz", "").await;
    assert!(status == 200 && health.contains("\"vkey\":\"w.example+"), "{health}");
}

fn hex_of(origin: &str) -> String {
    Sha256::digest(origin).iter().map(|byte| format!("{byte:02x}")).collect()
}
