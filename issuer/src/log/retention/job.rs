//! The steps that a running service takes by itself.

use std::sync::Arc;
use std::time::Duration;

use narrows_verifier::log::{Disclosure, EntryId, Kind, Leaf, PackDigest, Retention, Salt, TraceId, commit};
use tokio::time::sleep;

use super::apply::{is_due, stated};
use super::policy::{DAY_MS, Moment, RetentionPolicy};
use super::step::{is_further, step};
use crate::clock::Clock;
use crate::log::{Log, LogError, Outcome, SideRow};
use crate::store::{Rows, StoreError};

/// Keeps a log to its policy while it is written.
///
/// Nothing goes at the first sight of its age: a leaf announces what the clock shows, and what was too old then goes with a later
/// leaf, a day after at the soonest and under the same policy. So a clock that is ahead, or a policy that was mistaken, must stay
/// so for a day before anything is lost, and who follows the log has that day to read it.
pub struct Retainer {
    policy: RetentionPolicy,
    now_ms: Clock,
    random: fn() -> [u8; 16],
    /// Marks its leaves, where the log is one of development mode.
    dev: bool,
    /// What the clock showed when nothing was left to do.
    done_ms: Option<u64>,
}

impl Retainer {
    /// Keeps to this policy by this clock; `random` gives ids and salts.
    pub const fn new(policy: RetentionPolicy, now_ms: Clock, random: fn() -> [u8; 16], dev: bool) -> Self {
        Self { policy, now_ms, random, dev, done_ms: None }
    }

    /// Goes on until the log stops. `published` tells the size of the checkpoint that others are shown, and `moved` is told each
    /// minimum index.
    pub async fn run(mut self, log: Arc<Log>, published: impl Fn() -> u64 + Send + Sync, moved: impl Fn(u64) + Send + Sync) {
        while log.halted().is_none() {
            match self.round(&log, published()).await {
                Ok(minimum) => moved(minimum),
                Err(error) => {
                    tracing::warn!(reason = error.reason().code(), detail = error.detail(), "what is too old could not go");
                    sleep(AFTER_FAILURE).await;
                }
            }
            sleep(POLL).await;
        }
    }

    /// Does whatever is due now, in small commits with pauses between them, and gives the minimum index.
    ///
    /// # Errors
    /// `AUDIT_UNAVAILABLE` and the like; `LOG_LEAF_CHANGED` where what would go is not what was signed: that stays.
    pub async fn round(&mut self, log: &Log, published: u64) -> Result<u64, LogError> {
        let now_ms = (self.now_ms)();
        // A clock that was turned back has everything looked at again.
        if !self.done_ms.is_some_and(|done| (done..done.saturating_add(LOOK_MS)).contains(&now_ms)) {
            while let Some(next) = log.reading(|rows| self.next(rows, now_ms, published))? {
                let (leaf, rows) = entry(next, &self.policy, self.random, self.dev);
                match log.append(leaf, rows).await? {
                    Outcome::Appended { .. } => sleep(PAUSE).await,
                    Outcome::Existing { .. } => {}
                    Outcome::Refused(reason) => return Err(LogError::new(reason, reason.meaning())),
                }
            }
            self.done_ms = Some(now_ms);
        }
        log.reading(|rows| Ok(rows.minimum_index()?))
    }

    /// The state that the next leaf is to state; `None` when nothing is due.
    fn next(&self, rows: &Rows<'_>, now_ms: u64, published: u64) -> Result<Option<Retention>, LogError> {
        let digest = self.policy.digest();
        let (state, announced) = state(rows, digest)?;
        let size = rows.head()?.ok_or_else(|| StoreError::failed("the log's head is missing"))?.size;
        let goal = |time_ms| self.policy.goal(rows, &state, Moment { time_ms, size, published });
        if !is_due(rows, &state, &goal(now_ms)?)? {
            return Ok(None);
        }
        let announce = |state: &Retention| Some(Retention { announced_ms: now_ms, policy: digest, ..state.clone() });
        // An announcement from the future was made by a clock that was wrong.
        let Some(time_ms) = announced.filter(|time_ms| *time_ms <= now_ms) else { return Ok(announce(&state)) };
        if now_ms - time_ms < GRACE_MS {
            return Ok(None);
        }
        let goal = goal(time_ms)?;
        Ok(match step(&state, &goal) {
            Some(next) if is_further(&next, &goal) => Some(Retention { announced_ms: time_ms, policy: digest, ..next }),
            Some(next) => announce(&next),
            None => announce(&state),
        })
    }
}

/// What the log says now, and when it announced that more is to go under this policy.
pub(super) fn state(rows: &Rows<'_>, policy: PackDigest) -> Result<(Retention, Option<u64>), LogError> {
    let logged = stated(rows)?.map(|logged| logged.state);
    let announced = logged.as_ref().filter(|state| state.policy == policy).map(|state| state.announced_ms);
    Ok((logged.unwrap_or(Retention::none(policy)), announced))
}

/// The leaf that states this, with the policy's text.
pub(super) fn entry(state: Retention, policy: &RetentionPolicy, random: fn() -> [u8; 16], dev: bool) -> (Leaf, Vec<SideRow>) {
    let text = Disclosure { name: "policy".to_owned(), salt: Salt::new(random()), value: policy.statement() };
    let leaf = Leaf {
        fields: [(text.name.clone(), commit(&text.salt, &text.name, &text.value))].into(),
        retention: Some(state),
        dev,
        ..Leaf::draft(Kind::Retention, EntryId::new(random()), TraceId::new(random()))
    };
    (leaf, vec![SideRow::disclosure(text)])
}

/// From an announcement until what it announced may go.
const GRACE_MS: u64 = DAY_MS;

/// Between two looks at the leaves.
const LOOK_MS: u64 = 3_600_000;

/// Between two looks at the clock.
const POLL: Duration = Duration::from_secs(1);

/// Between two commits of one round: what others append goes in between.
const PAUSE: Duration = Duration::from_millis(100);

const AFTER_FAILURE: Duration = Duration::from_secs(60);
