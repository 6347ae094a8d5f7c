//! Asking one witness for its cosignature of one checkpoint.

use narrows_verifier::log::{AddCheckpoint, WitnessAnswer, WitnessKey, own_cosignature};

use crate::egress::Egress;
use crate::log::{Log, LogError, SignedHead};

/// A witness as we know it.
pub(super) struct Party {
    pub(super) key: WitnessKey,
    /// The whole address of add-checkpoint.
    pub(super) url: String,
}

/// What came of asking.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Its cosignature's line.
    Cosigned(String),
    /// It has cosigned a later head of this log already, one that the log does have.
    Later,
    /// It has seen a history of this log that the log does not have.
    RolledBack,
    /// No cosignature came.
    Failed(String),
}

/// Asks for a cosignature of `head`, beginning with the size that the witness is thought to know, which becomes the one that
/// it does know.
pub(super) async fn ask(party: &Party, known: &mut u64, head: &SignedHead, log: &Log, egress: &Egress) -> Result<Asked, LogError> {
    for _ in 0..QUESTIONS {
        if *known > head.size {
            // An answer of ours may have been lost, and the log has grown since. What the log does not have by now, it lost.
            return Ok(if *known > log.newest()?.size { Asked::RolledBack } else { Asked::Later });
        }
        let proof = if *known == 0 { Vec::new() } else { log.consistency(*known, head.size)? };
        let body = AddCheckpoint { old_size: *known, proof, checkpoint: &head.note }.encode();
        let answer = match egress.post_text(&party.url, body).await {
            Ok(answer) => answer,
            Err(error) => return Ok(Asked::Failed(error.to_string())),
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
            WitnessAnswer::Inconsistent if *known > 0 => return Ok(Asked::RolledBack),
            WitnessAnswer::Inconsistent => return Ok(Asked::Failed("the answer had status 422".to_owned())),
            WitnessAnswer::Refused(status) => return Ok(Asked::Failed(format!("the answer had status {status}"))),
        }
    }
    Ok(Asked::Failed("its size changes all the time".to_owned()))
}

/// The size that it knows, once, and then the checkpoint; one more for whoever else sends it our checkpoints.
const QUESTIONS: usize = 3;
