//! Ending authority before its time, and telling whoever must know: this service at once, offline verifiers by the feed.

mod feed;
mod hold;
mod live;
mod ownership;
mod revoke;
mod signer;
mod target;

use std::sync::Arc;

use narrows_verifier::{PublicKey, Reason, VerifiedToken};

use feed::Feed;

// The public interface is:
pub use feed::{FeedSettings, Snapshot, Update};
pub use hold::{Hold, pause, resume};
pub(crate) use live::{FORGET_AFTER_S, Live};
pub use ownership::{Reach, by_holder, of_target, of_token, whose};
pub(crate) use ownership::{living, minted};
pub(crate) use revoke::LONGEST_REACH_S;
pub use revoke::{By, Ended, Ending, revoke};
pub use signer::FeedSigner;
pub use target::{Revoked, Standing, Target};

/// What is revoked, as this service knows it, and the feed that tells it to others. No Debug: it holds the feed key.
pub struct Revocations {
    live: Arc<Live>,
    feed: Feed,
}

impl Revocations {
    /// The revocations of a log, published under this key.
    pub(crate) fn new(live: Arc<Live>, settings: FeedSettings, signer: FeedSigner) -> Self {
        Self { live, feed: Feed::new(settings, signer) }
    }

    /// `REVOKED` when the token, or one that it was made from, has been revoked, and `PAUSED` while its task or an agent of it is
    /// paused: whatever is made from it would be refused everywhere. An answer to a revocation leaves after this says so.
    ///
    /// Between this and the leaf of what is made, somebody can revoke. So hand the log a [`Standing`] as well.
    pub fn refuses(&self, token: &VerifiedToken) -> Option<Reason> {
        self.live.refuses(token)
    }

    /// The tasks and agents that are paused.
    pub fn paused(&self) -> Vec<Target> {
        self.live.paused()
    }

    /// The key under which verifiers check the feed.
    pub const fn feed_key(&self) -> &PublicKey {
        self.feed.key()
    }

    /// A snapshot that holds every revocation so far and is young enough to be handed out.
    ///
    /// # Errors
    /// `FEED_TOO_LARGE`, which the bound on revocations prevents.
    pub fn snapshot(&self, now_ms: u64) -> Result<Arc<Snapshot>, Reason> {
        self.feed.newest(&self.live, now_ms)
    }

    /// What leads from the snapshot of this number to the newest.
    ///
    /// # Errors
    /// As [`Revocations::snapshot`].
    pub fn update(&self, since: u64, now_ms: u64) -> Result<Update, Reason> {
        self.feed.update(&self.live, since, now_ms)
    }
}
