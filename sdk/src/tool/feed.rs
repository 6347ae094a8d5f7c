//! The issuer's revocation feed, fetched and handed to a guard.

use http::HeaderMap;
use narrows_verifier::{PublicKey, Reason, revocation::Revocations};

use super::{Clock, Guard};
use crate::{
    IssuerError, IssuerKeys, TransportError,
    http::{Http, Origin},
    issuer::success,
};

/// Fetches the revocation feed of one issuer.
///
/// What is fetched counts for as long as it says for the class of a tool. Nothing here lengthens that: whoever can't reach the
/// issuer goes on deciding under the last snapshot until it is too old, and denies from then on.
pub struct RevocationFeed {
    http: Http,
    keys: Vec<PublicKey>,
    with_roots: bool,
}

impl RevocationFeed {
    /// The feed of the issuer with this identifier, under the keys that it publishes.
    ///
    /// # Errors
    /// `ADDRESS_REFUSED`.
    pub fn new(issuer: &str, keys: &IssuerKeys) -> Result<Self, IssuerError> {
        Ok(Self { http: Http::new(Origin::parse(issuer)?)?, keys: keys.feed.clone(), with_roots: false })
    }

    /// Has [`RevocationFeed::follow`] renew the guard's root keys as well, each minute: new ones come, and tainted ones stop at once.
    /// The guard then believes whatever keys the issuer publishes, as it did when it started from them; it is not for a guard whose
    /// keys are pinned.
    #[must_use]
    pub fn with_roots(self) -> Self {
        Self { with_roots: true, ..self }
    }

    /// Brings a guard up to date: with a delta to the snapshot that it holds, or with a whole one.
    ///
    /// # Errors
    /// `PEER_UNREACHABLE`, `PEER_ANSWER`, the issuer's refusal, or a reason of [`Revocations::update`]. The guard then keeps what
    /// it has.
    pub async fn poll(&self, guard: &Guard, now: u64) -> Result<(), IssuerError> {
        let held = guard.revocations();
        let done = match self.fetch(guard, held.as_deref(), now).await {
            // the delta is to another snapshot, or does not hold: ask for the whole
            Err(error) if held.is_some() && is_no_way(&error) => self.fetch(guard, None, now).await,
            done => done,
        };
        match done {
            // somebody else brought the guard further meanwhile
            Err(error) if error.reason() == Some(Reason::FeedRolledBack) && sequence(guard) > held.map(|held| held.list().sequence) => {
                Ok(())
            }
            done => done,
        }
    }

    /// Polls for ever, with a `pause` after each time, and takes the issuer's keys anew when the feed is under one that it does
    /// not know. What fails is tried again at the next turn; the guard denies once what it has is too old.
    ///
    /// Pause for less than the shortest bound of the feed, which is ten seconds unless the issuer says otherwise, and leave room
    /// for the age that a snapshot has when it comes: three seconds do.
    pub async fn follow<P: Future<Output = ()>>(mut self, guard: &Guard, clock: Clock, pause: impl Fn() -> P) {
        let mut renewed = None;
        loop {
            let polled = self.poll(guard, clock()).await;
            let unknown = polled.is_err_and(|error| error.reason() == Some(Reason::FeedSignature));
            let due = self.with_roots && renewed.is_none_or(|at| clock().abs_diff(at) >= ROOTS_S);
            if unknown || due {
                // without them, the next turn fails as this one did, and tries again
                if self.renew_keys(guard).await.is_ok() {
                    renewed = Some(clock());
                }
            }
            pause().await;
        }
    }

    async fn fetch(&self, guard: &Guard, held: Option<&Revocations>, now: u64) -> Result<(), IssuerError> {
        let path = match held {
            None => "/v1/revocations".to_owned(),
            Some(held) => format!("/v1/revocations?since={}", held.list().sequence),
        };
        let answer = self.http.get_with(&path, HeaderMap::new(), MAX_FEED).await?;
        if answer.status == 204 && held.is_some() {
            return Ok(());
        }
        let text = String::from_utf8(success(answer)?).map_err(|_| Reason::PeerAnswer)?;
        guard.replace_revocations(self.read(&text, guard.revocations().as_deref(), now)?)?;
        Ok(())
    }

    fn read(&self, text: &str, previous: Option<&Revocations>, now: u64) -> Result<Revocations, Reason> {
        let mut refused = Reason::FeedSignature;
        for key in &self.keys {
            match Revocations::update(text, key, self.http.origin(), previous, now) {
                Err(reason @ Reason::FeedSignature) => refused = reason,
                read => return read,
            }
        }
        Err(refused)
    }

    async fn renew_keys(&mut self, guard: &Guard) -> Result<(), IssuerError> {
        let keys = IssuerKeys::parse(&success(self.http.get("/.well-known/narrows-keys").await?)?)?;
        if self.with_roots {
            guard.replace_roots(keys.roots);
        }
        self.keys = keys.feed;
        Ok(())
    }
}

fn sequence(guard: &Guard) -> Option<u64> {
    guard.revocations().map(|held| held.list().sequence)
}

fn is_no_way(error: &IssuerError) -> bool {
    matches!(error.reason(), Some(Reason::FeedDeltaBase | Reason::FeedDeltaResult | Reason::FeedMalformed))
        || matches!(error, IssuerError::Transport(TransportError::TooLarge))
}

/// How old a guard's root keys become before they are asked for again.
const ROOTS_S: u64 = 60;

/// The largest snapshot that is loaded.
const MAX_FEED: usize = 4 * 1024 * 1024;
