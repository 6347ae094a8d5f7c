//! Our log's witnesses: rounds in which all are asked for the newest checkpoint, and what is published of it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use narrows_verifier::Reason;
use narrows_verifier::log::{Note, Policy, VerifierKey, cosignatures, own_cosignature, verify_checkpoint};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::ask::{Asked, Party, Proof, SignedCheckpoint, ask};
use super::config::{Witness, WitnessMode, policy};
use crate::egress::{Egress, EgressRules};
use crate::http::metrics::Metrics;
use crate::log::{Log, LogError, SignedHead};
use crate::store::{Cosignatures, CosignedNote};

/// The witnesses of our log, and the newest checkpoints with their lines.
///
/// One task runs the rounds; everybody else reads what it has published.
pub struct Witnesses {
    parties: Vec<Arc<Party>>,
    log_key: VerifierKey,
    /// The log and as many witnesses as make a checkpoint witnessed.
    policy: Policy,
    /// Whether a checkpoint waits for the quorum before it is published.
    has_quorum: bool,
    mode: WitnessMode,
    egress: Egress,
    file: Mutex<Cosignatures>,
    /// The newest checkpoint with a quorum.
    witnessed: watch::Sender<Option<Arc<SignedHead>>>,
    /// The newest checkpoint that others may see, with what lines it has.
    published: watch::Sender<Option<Arc<SignedHead>>>,
    metrics: Arc<Metrics>,
}

/// Where we stand with one witness; owned by the task that runs the rounds.
struct Standing {
    party: Arc<Party>,
    /// The size that it cosigned last, as far as we know; 0 when we don't.
    known: u64,
    /// The size that we have its line for, since the service started.
    cosigned: u64,
    failures: u32,
    not_before: Option<Instant>,
}

impl Witnesses {
    /// Opens the file of cosigned checkpoints and compares it with the log.
    ///
    /// # Errors
    /// `AUDIT_ROLLBACK_DETECTED` when the log lacks a checkpoint that it signed and witnesses cosigned; `CONFIG_INVALID`;
    /// `LOG_UNREADABLE`.
    pub fn open(
        path: &Path,
        witnesses: &[Witness],
        quorum: Option<usize>,
        mode: WitnessMode,
        log: &Log,
        log_key: &VerifierKey,
        metrics: Arc<Metrics>,
    ) -> Result<Self, LogError> {
        let mut rules = EgressRules::default();
        let mut keys = Vec::new();
        let mut parties = Vec::new();
        for witness in witnesses {
            witness.allow(&mut rules).map_err(|(_, error)| LogError::new(Reason::ConfigInvalid, error.to_string()))?;
            let key = witness.key().map_err(|detail| LogError::new(Reason::ConfigInvalid, detail))?;
            keys.push(key.clone());
            parties.push(Arc::new(Party::new(key, witness, log_key.name())));
        }
        let policy = policy(log_key, &keys, quorum.unwrap_or(1))
            .ok_or_else(|| LogError::new(Reason::ConfigInvalid, "the witnesses and their quorum make no policy"))?;
        let egress = Egress::new(rules).map_err(|error| LogError::new(Reason::ConfigInvalid, error.to_string()))?;
        let file = Cosignatures::open(path)?;
        let newest = newest_witnessed(&file, log, log_key, &policy)?.map(Arc::new);
        metrics.set_witnessed_size(newest.as_ref().map_or(0, |head| head.size));
        Ok(Self {
            parties,
            log_key: log_key.clone(),
            policy,
            has_quorum: quorum.is_some(),
            mode,
            egress,
            file: Mutex::new(file),
            published: watch::Sender::new(newest.clone()),
            witnessed: watch::Sender::new(newest),
            metrics,
        })
    }

    /// The newest checkpoint that a quorum has cosigned (one witness, where no quorum is configured).
    pub fn witnessed(&self) -> Option<Arc<SignedHead>> {
        self.witnessed.borrow().clone()
    }

    /// The checkpoint to show: with a quorum configured, the one that the last round settled on; else the newest, with what
    /// lines it has.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`; `WITNESS_QUORUM` before there is a witnessed checkpoint, where witnesses are required.
    pub fn published(&self, log: &Log) -> Result<String, LogError> {
        let published = self.published.borrow().clone();
        match published {
            Some(head) if self.has_quorum => Ok(head.note.clone()),
            None if self.mode == WitnessMode::Require => Err(LogError::not_witnessed()),
            published => {
                let newest = log.newest()?;
                Ok(published.filter(|head| head.size == newest.size).map_or(newest.note, |head| head.note.clone()))
            }
        }
    }

    /// The receipt that may leave: `receipt` itself, or where witnesses are required, one under a witnessed checkpoint, as soon
    /// as there is one that holds the leaf.
    ///
    /// # Errors
    /// `WITNESS_QUORUM` when that takes too long. The leaf stays, and nothing of it may be released.
    pub async fn release(&self, log: &Log, index: u64, receipt: String) -> Result<String, LogError> {
        self.release_within(RELEASE_WAIT, log, index, receipt).await
    }

    async fn release_within(&self, wait: Duration, log: &Log, index: u64, receipt: String) -> Result<String, LogError> {
        if self.mode == WitnessMode::Prefer {
            return Ok(receipt);
        }
        let mut witnessed = self.witnessed.subscribe();
        let covers = |head: &Option<Arc<SignedHead>>| head.as_ref().is_some_and(|head| head.size > index);
        let found = match timeout(wait, witnessed.wait_for(covers)).await {
            Ok(Ok(head)) => head.clone(),
            _ => None,
        };
        let head = found.ok_or_else(LogError::not_witnessed)?;
        log.receipt_under(index, &head)?.ok_or_else(LogError::not_witnessed)
    }

    /// Asks every witness once before the service answers anybody, so that a log that was rolled back is found out at start.
    /// Witnesses that can't be reached do not hold it up for longer than one round.
    ///
    /// # Errors
    /// `AUDIT_ROLLBACK_DETECTED`; `LOG_UNREADABLE`.
    pub async fn check(&self, log: &Arc<Log>) -> Result<(), LogError> {
        let mut standings = self.standings()?;
        self.round(log, &mut standings).await
    }

    /// Takes each new checkpoint to the witnesses, until the log is found to be rolled back, which stops it.
    pub async fn run(&self, log: Arc<Log>) {
        if let Err(error) = self.rounds(&log).await {
            // Going on would let the log grow a second history beside the one that others hold.
            if error.reason() == Reason::AuditRollbackDetected {
                log.halt(Reason::AuditRollbackDetected);
            }
            tracing::error!(reason = error.reason().code(), %error, "no further checkpoint is taken to the witnesses");
        }
    }

    async fn rounds(&self, log: &Arc<Log>) -> Result<(), LogError> {
        let mut standings = self.standings()?;
        loop {
            let size = log.newest()?.size;
            let behind = || standings.iter().filter(|standing| standing.cosigned != size);
            let now = Instant::now();
            if behind().any(|standing| standing.not_before.is_none_or(|time| time <= now)) {
                self.round(log, &mut standings).await?;
                // A busy log makes a checkpoint every few milliseconds; no witness is asked that often.
                sleep(PAUSE).await;
                continue;
            }
            if self.published.borrow().as_ref().is_none_or(|head| head.size != size) && behind().next().is_some() {
                self.settle(&log.newest()?, &mut Vec::new(), true)?;
            }
            let next_retry = behind().filter_map(|standing| standing.not_before).min();
            let retry = async {
                match next_retry {
                    Some(time) => sleep_until(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = log.committed() => {}
                () = retry => {}
            }
        }
    }

    /// One checkpoint, all witnesses at once: so they cosign the same one, and a quorum comes together.
    async fn round(&self, log: &Arc<Log>, standings: &mut [Standing]) -> Result<(), LogError> {
        let head = Arc::new(log.newest()?);
        let now = Instant::now();
        let mut asking = JoinSet::new();
        for (place, standing) in standings.iter().enumerate() {
            if standing.cosigned == head.size || standing.not_before.is_some_and(|time| time > now) {
                continue;
            }
            let (party, log, head, egress) = (Arc::clone(&standing.party), Arc::clone(log), Arc::clone(&head), self.egress.clone());
            let (log_key, mut known) = (self.log_key.clone(), standing.known);
            asking.spawn(async move {
                let asked = ask(&party, &mut known, &head, (&log, &log_key), &egress).await;
                (place, known, asked)
            });
        }
        let mut lines = Vec::new();
        // A witness's word that the log was rolled back waits for the others of the round, of whom one may show the proof.
        let mut accused = None;
        while let Some(answer) = asking.join_next().await {
            let Ok((place, known, asked)) = answer else { continue };
            let Some(standing) = standings.get_mut(place) else { continue };
            standing.known = known;
            match asked? {
                Asked::Cosigned(line) => {
                    (standing.cosigned, standing.failures, standing.not_before) = (head.size, 0, None);
                    self.metrics.count_cosignature();
                    lines.push(line);
                    self.settle(&head, &mut lines, false)?;
                }
                Asked::Later => {}
                Asked::RolledBack(proof) => {
                    let proven = matches!(proof, Proof::Found(_));
                    match self.weigh(&standing.party, proof) {
                        Err(error) if proven => return Err(error),
                        Err(error) => accused = accused.or(Some(error)),
                        Ok(()) => {
                            // Its word counts for nothing, on the size as well.
                            standing.known = 0;
                            standing.put_off();
                            self.metrics.count_witness_failure();
                        }
                    }
                }
                Asked::Failed(why) => {
                    standing.put_off();
                    self.metrics.count_witness_failure();
                    tracing::warn!(witness = standing.party.key.name(), why, size = head.size, "no cosignature came");
                }
            }
        }
        match accused {
            Some(error) => Err(error),
            None => self.settle(&head, &mut lines, true),
        }
    }

    /// Decides on a witness's word that the log was rolled back: an error, which stops the log, or the witness has failed.
    ///
    /// Proof is a checkpoint under the log's own signature; it is kept, so that the log does not start again with it.
    fn weigh(&self, party: &Party, proof: Proof) -> Result<(), LogError> {
        let witness = party.key.name();
        let rolled_back = |detail: String| Err(LogError::new(Reason::AuditRollbackDetected, detail));
        match proof {
            Proof::Found(SignedCheckpoint { checkpoint, note }) => {
                tracing::error!(witness, checkpoint = note, "a witness holds a checkpoint that the log has signed and does not have");
                let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
                file.keep(&CosignedNote { size: checkpoint.size, root: checkpoint.root, note })?;
                rolled_back(format!("`{witness}` shows a checkpoint that the log has signed and does not have"))
            }
            Proof::NotShown if party.trusted_to_halt => {
                rolled_back(format!("`{witness}` has seen a later or another state of this log, by its word alone"))
            }
            Proof::Contradicted | Proof::NotShown => {
                self.metrics.count_unproven_rollback();
                tracing::error!(witness, "a witness says that the log was rolled back and does not prove it");
                Ok(())
            }
        }
    }

    /// Adds lines to the checkpoint, keeps it, and publishes it: once it has the quorum, or when the round has `ended` and
    /// witnesses are only preferred.
    fn settle(&self, head: &SignedHead, lines: &mut Vec<String>, ended: bool) -> Result<(), LogError> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = file.newest(1)?.pop().filter(|kept| kept.size == head.size && kept.root == head.root);
        let mut note = kept.map_or_else(|| head.note.clone(), |kept| kept.note);
        if !lines.is_empty() {
            note = self.merge(&head.note, &note, &lines.drain(..).collect::<String>());
            file.keep(&CosignedNote { size: head.size, root: head.root, note: note.clone() })?;
        }
        let head = Arc::new(SignedHead { note, ..head.clone() });
        if self.policy.verify_checkpoint(&head.note).is_ok() {
            self.metrics.set_witnessed_size(head.size);
            // In this order: who has waited for a witnessed checkpoint finds it published.
            self.published.send_replace(Some(Arc::clone(&head)));
            self.witnessed.send_replace(Some(head));
        } else if ended && self.mode == WitnessMode::Prefer {
            if self.has_quorum {
                self.metrics.count_fail_open();
            }
            self.published.send_replace(Some(head));
        }
        Ok(())
    }

    /// The log's note with one line of each witness in their order, the new one where there is one.
    fn merge(&self, note: &str, kept: &str, new: &str) -> String {
        let kept = kept.rsplit_once("\n\n").map_or("", |(_, lines)| lines);
        let line = |party: &Arc<Party>| {
            let found = own_cosignature(note, new, &party.key).or_else(|_| own_cosignature(note, kept, &party.key));
            found.unwrap_or_default()
        };
        core::iter::once(note.to_owned()).chain(self.parties.iter().map(line)).collect()
    }

    /// What the kept checkpoints say about the size that each witness knows. Each is asked once all the same: it may know more
    /// than a file that was put back together with the log.
    fn standings(&self) -> Result<Vec<Standing>, LogError> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = file.newest(LOOKED_AT)?;
        Ok(self
            .parties
            .iter()
            .map(|party| {
                let known = kept.iter().find(|kept| has_line(&kept.note, party)).map_or(0, |kept| kept.size);
                Standing { party: Arc::clone(party), known, cosigned: 0, failures: 0, not_before: None }
            })
            .collect())
    }
}

impl Standing {
    fn put_off(&mut self) {
        let wait = FIRST_RETRY.saturating_mul(1 << self.failures.min(6));
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(Instant::now() + wait.min(LAST_RETRY));
    }
}

fn has_line(note: &str, party: &Party) -> bool {
    Note::parse(note).and_then(|note| cosignatures(&note, std::slice::from_ref(&party.key)).map(|found| !found.is_empty())).unwrap_or(false)
}

/// The newest kept checkpoint with a quorum, after a comparison of all that are looked at with the log. Rows that the log's
/// key did not sign say nothing: the file is not trusted.
fn newest_witnessed(file: &Cosignatures, log: &Log, log_key: &VerifierKey, policy: &Policy) -> Result<Option<SignedHead>, LogError> {
    let mut witnessed = None;
    for kept in file.newest(LOOKED_AT)? {
        let Ok(checkpoint) = verify_checkpoint(&kept.note, std::slice::from_ref(log_key)) else { continue };
        if !log.has(&checkpoint)? {
            return Err(LogError::new(Reason::AuditRollbackDetected, "the log lacks a checkpoint that it has signed and witnesses hold"));
        }
        if witnessed.is_none() && policy.verify_checkpoint(&kept.note).is_ok() {
            witnessed = Some(SignedHead { size: checkpoint.size, root: checkpoint.root, note: kept.note });
        }
    }
    Ok(witnessed)
}

#[cfg(test)]
mod tests;

/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(100);

/// The first wait after a failure; it doubles.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// How long an answer waits for the witnesses that it must have: two rounds, and the retry of one that failed once.
const RELEASE_WAIT: Duration = Duration::from_secs(5);

/// Kept checkpoints that are looked at when the service starts.
const LOOKED_AT: u32 = 64;
