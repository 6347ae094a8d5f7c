//! The machine's clock turned under the real program, by libfaketime.

use std::{fs, path::PathBuf, process::Command};

use narrows::HolderKey;
use narrows_tests::{
    forged::ForgedProvider,
    http::{Answer, Form, get},
    issuer::{Issuer, PACK, now},
};
use narrows_verifier::log::Leaf;
use serde_json::json;

/// An issuer whose clock the test turns, and a provider.
pub(super) struct Turned {
    pub(super) issuer: Issuer,
    pub(super) provider: ForgedProvider,
    clock: PathBuf,
}

impl Turned {
    async fn start() -> Self {
        Self::configured("").await
    }

    /// With more in its configuration.
    pub(super) async fn configured(more: &str) -> Self {
        let (mut issuer, provider) = (Issuer::init(), ForgedProvider::start());
        issuer.configure(&format!("{more}{}", provider.trust()), PACK);
        let clock = issuer.keep("clock", "+0");
        let ask = || Command::new("faketime").args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"]).output().expect("starting `faketime`");
        // It names shared memory by its process number, and fails where a process of that number was killed and left its own behind;
        // the next one has another number.
        let mut tries = std::iter::repeat_with(|| String::from_utf8(ask().stdout).unwrap()).take(5);
        let library = tries.find(|told| told.contains("libfaketime")).expect("the library of `faketime`");
        // timers go by the steady clock, which nobody turns
        for (name, value) in [
            ("LD_PRELOAD", library.trim()),
            ("FAKETIME_TIMESTAMP_FILE", &clock.to_string_lossy()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ] {
            issuer.set_environment(name, value);
        }
        issuer.start().await;
        Self { issuer, provider, clock }
    }

    /// Turns the clock to so many seconds from the true time.
    pub(super) fn turn(&self, seconds: i64) {
        // in one step: half a number would be another time
        let next = self.clock.with_extension("next");
        fs::write(&next, format!("{seconds:+}")).unwrap();
        fs::rename(next, &self.clock).unwrap();
    }

    /// A good request of somebody whose clock is so many seconds from the true time.
    pub(super) fn request(&self, seconds: i64) -> Form {
        let time = now().checked_add_signed(seconds).unwrap();
        let mut claims = self.provider.claims("alice");
        (claims["iat"], claims["exp"]) = (json!(time - 1), json!(time + 900));
        let login = self.provider.sign(&json!({ "alg": "EdDSA", "kid": "published", "typ": "JWT" }), &claims);
        self.issuer.requests().made_at(time, &HolderKey::generate(), &login)
    }

    /// What is granted to somebody whose clock is so many seconds from the true time: the leaf, and when the token ends.
    async fn granted(&self, seconds: i64) -> (Leaf, u64) {
        let answer = self.issuer.token(&self.request(seconds)).await.granted();
        let (_, leaf) = narrows_tests::issuer::evidence(&answer);
        (Leaf::parse(&leaf).unwrap(), answer["expires_in"].as_u64().unwrap())
    }

    async fn refused(&self, seconds: i64) -> Answer {
        let answer = self.issuer.token(&self.request(seconds)).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        answer
    }

    async fn regressions(&self) -> String {
        let text = get(&self.issuer.at("/metrics")).await.text();
        text.lines().find_map(|line| line.strip_prefix("narrows_clock_regressions_total ")).unwrap().to_owned()
    }

    /// The number of leaves of this kind.
    fn leaves(&self, kind: &str) -> usize {
        let stored = rusqlite::Connection::open(self.issuer.database()).unwrap();
        let mut statement = stored.prepare("SELECT bytes FROM leaf ORDER BY idx").unwrap();
        let leaves = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        leaves.filter(|bytes| Leaf::parse(bytes.as_ref().unwrap()).unwrap().kind.as_str() == kind).count()
    }
}

#[tokio::test]
async fn a_clock_an_hour_back_keeps_the_order_is_written_down_and_ends_tokens_by_itself() {
    let mut place = Turned::start().await;
    let (_, life) = place.granted(0).await;
    place.turn(HOUR);
    let (before, _) = place.granted(HOUR).await;
    place.turn(0);
    for _ in 0..2 {
        let (after, again) = place.granted(SOON).await;
        assert_eq!((after.t_ms, again), (before.t_ms, life), "the log's time stays, the token's end follows the clock");
    }
    assert_eq!((place.leaves("clock"), place.regressions().await.as_str()), (1, "1"), "once a step");
    place.refused(HOUR).await;
    place.issuer.stop();
    place.issuer.start().await;
    assert_eq!(place.granted(SOON).await.0.t_ms, before.t_ms);
    assert_eq!(place.leaves("clock"), 2, "a restart finds it again");
    place.turn(2 * HOUR);
    assert!(place.granted(2 * HOUR).await.0.t_ms > before.t_ms);
    // before the signing key's first second, nothing is signed
    place.turn(-HOUR);
    assert_eq!(place.refused(-HOUR).await.reason(), "ROOT_NOT_VALID");
    place.issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn a_clock_a_year_ahead_holds_the_time_of_leaves_and_nobody_up() {
    let mut place = Turned::start().await;
    let (_, life) = place.granted(0).await;
    place.turn(YEAR);
    place.refused(0).await;
    let (ahead, _) = place.granted(YEAR).await;
    assert!(ahead.t_ms > (now() + YEAR as u64 - 60) * 1000);
    place.turn(0);
    for _ in 0..2 {
        let (after, again) = place.granted(SOON).await;
        assert_eq!((after.t_ms, again), (ahead.t_ms, life), "time in leaves waits for the true time, a token's end does not");
        place.refused(YEAR).await;
        place.issuer.stop();
        place.issuer.start().await;
    }
    place.issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn a_proof_that_was_spent_stays_spent_when_the_clock_is_put_back() {
    let place = Turned::start().await;
    let request = place.request(0);
    place.issuer.token(&request).await.granted();
    // long enough for the log to forget the proof
    place.turn(HOUR);
    place.granted(HOUR).await;
    place.turn(0);
    place.issuer.token(&request).await.refused_as(400, "invalid_request", "PROOF_REPLAYED", "again");
    place.granted(SOON).await;
}

/// A clock that is a little fast, as clients' may be: their proofs outlive those that the log forgot.
const SOON: i64 = 5;
const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;
