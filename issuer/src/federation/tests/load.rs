//! Many requests at once, hostile and otherwise: the issuer is asked seldom, and nobody waits long.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::*;

/// A network whose answers wait until they are let go.
struct Slow {
    network: Network,
    held: AtomicBool,
    go: Notify,
    asked: AtomicUsize,
}

impl Slow {
    fn new(key: &TestKey) -> Arc<Self> {
        let network = Network::default();
        network.serve(KEYS, json!({"keys": [key.jwk("one")]}));
        Arc::new(Self { network, held: AtomicBool::new(false), go: Notify::new(), asked: AtomicUsize::new(0) })
    }
}

impl Fetch for Slow {
    fn fetch_json<'a>(&'a self, url: &'a str) -> Fetching<'a> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.held.load(Ordering::SeqCst) {
                self.go.notified().await;
            }
            self.network.fetch_json(url).await
        })
    }
}

fn federation(network: Arc<dyn Fetch>) -> Arc<Federation> {
    let config = json!({"issuer": IDP, "audiences": ["client-1"], "jwks_url": KEYS});
    Arc::new(Federation::with_source(vec![serde_json::from_value(config).unwrap()], OURS, network, NOW_S).unwrap())
}

#[tokio::test]
async fn a_flood_of_invented_keys_costs_one_fetch_in_thirty_seconds() {
    let key = TestKey::ed25519(1);
    let network = Slow::new(&key);
    let federation = federation(Arc::<Slow>::clone(&network));
    assert!(federation.verify(&signed(&key, "one"), TokenType::IdToken, NOW_S).await.is_ok());
    let forged: Vec<_> = (0..1_000).map(|number| signed(&TestKey::ed25519(9), &format!("invented-{number}"))).collect();
    for second in 0..31 {
        let flood: Vec<_> = forged
            .iter()
            .map(|forged| {
                let (federation, forged) = (Arc::clone(&federation), forged.clone());
                tokio::spawn(async move { federation.verify(&forged, TokenType::IdToken, NOW_S + 30 + second).await.map(|_| ()) })
            })
            .collect();
        for answer in flood {
            assert_eq!(answer.await.unwrap(), Err(FederationError::Refused(Reason::JwtUnknownKey)));
        }
    }
    assert_eq!(network.asked.load(Ordering::SeqCst), 3, "the first, one for the flood, one more after thirty seconds");
}

#[tokio::test]
async fn while_an_issuer_is_slow_known_keys_go_on_and_few_wait() {
    let (key, next) = (TestKey::ed25519(1), TestKey::ed25519(2));
    let network = Slow::new(&key);
    let federation = federation(Arc::<Slow>::clone(&network));
    assert!(federation.verify(&signed(&key, "one"), TokenType::IdToken, NOW_S).await.is_ok());
    network.held.store(true, Ordering::SeqCst);
    let ask = |number: usize| {
        let (federation, token) = (Arc::clone(&federation), signed(&next, "two"));
        tokio::spawn(async move { (number, federation.verify(&token, TokenType::IdToken, NOW_S + 30).await.map(|_| ())) })
    };
    let mut waiting: Vec<_> = (0..548).map(ask).collect();
    while network.asked.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    // one fetches, 512 wait for it, the others are answered already
    let mut refused = 0;
    while refused < 35 {
        tokio::task::yield_now().await;
        let (done, still): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|task| task.is_finished());
        waiting = still;
        for task in done {
            assert_eq!(task.await.unwrap().1, Err(FederationError::Refused(Reason::JwtUnknownKey)));
            refused += 1;
        }
    }
    assert_eq!((refused, waiting.len()), (35, 513));
    assert!(federation.verify(&signed(&key, "one"), TokenType::IdToken, NOW_S + 30).await.is_ok(), "a known key waits for nobody");

    network.network.serve(KEYS, json!({"keys": [next.jwk("two")]}));
    network.held.store(false, Ordering::SeqCst);
    network.go.notify_one();
    for task in waiting {
        assert_eq!(task.await.unwrap().1, Ok(()), "whoever waited gets the new key");
    }
    assert_eq!(network.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_end_the_fetch() {
    let key = TestKey::ed25519(1);
    let network = Slow::new(&key);
    let federation = federation(Arc::<Slow>::clone(&network));
    network.held.store(true, Ordering::SeqCst);
    let (asking, token) = (Arc::clone(&federation), signed(&key, "one"));
    let task = tokio::spawn(async move { asking.verify(&token, TokenType::IdToken, NOW_S).await.map(|_| ()) });
    while network.asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    network.held.store(false, Ordering::SeqCst);
    network.go.notify_one();
    assert!(federation.verify(&signed(&key, "one"), TokenType::IdToken, NOW_S).await.is_ok());
    assert_eq!(network.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_issuer_says_how_long_its_keys_are_fresh_within_bounds() {
    for (max_age_s, kept_s) in [(None, 600), (Some(0), 300), (Some(10), 300), (Some(3_600), 3_600), (Some(10_000_000), 86_400)] {
        let world = world(json!({"jwks_url": KEYS, "max_age_s": 1_000_000}));
        world.network.serve_for(KEYS, json!({"keys": [world.key.jwk("one")]}), max_age_s);
        let token = signed(&world.key, "one");
        for second in [0, kept_s - 1, kept_s] {
            assert_eq!(world.verify_at(&token, NOW_S + second).await, accepted());
        }
        assert_eq!(world.network.asked(KEYS), 2, "{max_age_s:?}");
    }
}
