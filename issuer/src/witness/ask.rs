//! Asking one witness for its cosignature of one checkpoint.

use narrows_verifier::log::{AddCheckpoint, Checkpoint, VerifierKey, WitnessAnswer, WitnessKey, own_cosignature, verify_checkpoint};
use sha2::{Digest as _, Sha256};
use tokio::time::{Duration, Instant, timeout_at};

use super::config::Witness;
use crate::egress::Egress;
use crate::log::{Log, LogError, SignedHead};

/// A witness as we know it.
pub(super) struct Party {
    pub(super) key: WitnessKey,
    /// The whole address of add-checkpoint.
    pub(super) url: String,
    /// Where it shows the newest checkpoint that it cosigned for our log, if it is one of ours.
    pub(super) shown_at: String,
    /// Whether its word alone stops the log where it shows no checkpoint.
    pub(super) trusted_to_halt: bool,
}

impl Party {
    pub(super) fn new(key: WitnessKey, witness: &Witness, origin: &str) -> Self {
        let hash: String = Sha256::digest(origin).iter().map(|byte| format!("{byte:02x}")).collect();
        let [submission, monitoring] = [&witness.url, witness.monitoring_url.as_ref().unwrap_or(&witness.url)];
        Self {
            key,
            url: format!("{}/add-checkpoint", submission.trim_end_matches('/')),
            shown_at: format!("{}/{hash}/checkpoint", monitoring.trim_end_matches('/')),
            trusted_to_halt: witness.trusted_to_halt,
        }
    }
}

/// What came of asking.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Its cosignature's line.
    Cosigned(String),
    /// It has cosigned a later head of this log already, one that the log does have.
    Later,
    /// It says that it has seen a history of this log that the log does not have.
    RolledBack(Proof),
    /// No cosignature came.
    Failed(String),
}

/// Asks for a cosignature of `head`, beginning with the size that the witness is thought to know, which becomes the one that
/// it does know.
pub(super) async fn ask(
    party: &Party,
    known: &mut u64,
    head: &SignedHead,
    (log, log_key): (&Log, &VerifierKey),
    egress: &Egress,
) -> Result<Asked, LogError> {
    let deadline = Instant::now() + ROUND;
    for _ in 0..QUESTIONS {
        if *known > head.size {
            // An answer of ours may have been lost, and the log has grown since. What the log does not have by now, it lost.
            return if *known > log.newest()?.size {
                Ok(Asked::RolledBack(rollback_proof(party, log, log_key, egress).await?))
            } else {
                Ok(Asked::Later)
            };
        }
        let proof = if *known == 0 { Vec::new() } else { log.consistency(*known, head.size)? };
        let body = AddCheckpoint { old_size: *known, proof, checkpoint: &head.note }.encode();
        let answer = match timeout_at(deadline, egress.post_text(&party.url, body)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Ok(Asked::Failed(error.to_string())),
            Err(_) => return Ok(Asked::Failed("the answer took too long".to_owned())),
        };
        match WitnessAnswer::read(answer.status, &answer.content_type, &answer.body) {
            WitnessAnswer::Lines(lines) => {
                return Ok(match own_cosignature(&head.note, &lines, &party.key) {
                    Ok(line) => {
                        *known = head.size;
                        Asked::Cosigned(line)
                    }
                    Err(refusal) => Asked::Failed(refusal.detail.to_owned()),
                });
            }
            WitnessAnswer::Conflict(size) if size == *known => return Ok(Asked::Failed("it contradicts itself".to_owned())),
            WitnessAnswer::Conflict(size) => *known = size,
            // The proof is right for our tree. That it does not fit says that the tree was another one.
            WitnessAnswer::Inconsistent if *known > 0 => return Ok(Asked::RolledBack(rollback_proof(party, log, log_key, egress).await?)),
            WitnessAnswer::Inconsistent => return Ok(Asked::Failed("the answer had status 422".to_owned())),
            WitnessAnswer::Refused(status) => return Ok(Asked::Failed(format!("the answer had status {status}"))),
        }
    }
    Ok(Asked::Failed("its size changes all the time".to_owned()))
}

/// What stands behind a witness's word that the log was rolled back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// A checkpoint that the log has signed and does not have.
    Found(SignedCheckpoint),
    /// It shows a checkpoint that the log does have, so its word is contradicted by itself.
    Contradicted,
    /// It shows no checkpoint of this log.
    NotShown,
}

/// A checkpoint with the note that says so.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SignedCheckpoint {
    pub(super) checkpoint: Checkpoint,
    pub(super) note: String,
}

/// Asks for the checkpoint behind such a word. Only the log's own signature makes it proof, so no witness can forge it.
async fn rollback_proof(party: &Party, log: &Log, log_key: &VerifierKey, egress: &Egress) -> Result<Proof, LogError> {
    let Ok(note) = egress.fetch_text(&party.shown_at).await else { return Ok(Proof::NotShown) };
    let Ok(checkpoint) = verify_checkpoint(&note, core::slice::from_ref(log_key)) else { return Ok(Proof::NotShown) };
    if log.has(&checkpoint)? { Ok(Proof::Contradicted) } else { Ok(Proof::Found(SignedCheckpoint { checkpoint, note })) }
}

/// The size that it knows, once, and then the checkpoint; one more for whoever else sends it our checkpoints.
const QUESTIONS: usize = 3;

/// How long a round waits for the slowest witness. Proof that the log was rolled back has a second of its own: a slow witness must
/// not be a reason to go on.
const ROUND: Duration = Duration::from_secs(1);
