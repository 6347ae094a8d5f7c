//! Being a witness: cosign a log's checkpoint once it follows from everything cosigned for that log before.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use narrows_verifier::Reason;
use narrows_verifier::log::{AddCheckpoint, Cosigned, LogRefusal, VerifierKey, WitnessKey, WitnessRefusal, cosign};
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::keys::SecretKey;
use crate::store::{CosignedRow, StoreError, WitnessState};

/// A witness: its key, the logs that it knows, and what it has cosigned. No Debug: it holds a key.
///
/// What it has cosigned is durable before a cosignature leaves. Its word is worth no more than its state: whoever brings back
/// an old copy of the state makes it cosign a second history. After a loss, take a new key.
pub struct Cosigner {
    key: WitnessKey,
    seed: Zeroizing<[u8; 32]>,
    logs: Vec<VerifierKey>,
    /// One request at a time: the check of a request and its write are one step.
    state: Mutex<WitnessState>,
    healthy: AtomicBool,
    now_ms: Clock,
}

/// Why a witness did not cosign, or could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum CosignError {
    /// The request is at fault, in the terms of the protocol.
    #[error("{}", .0.reason().meaning())]
    Refused(WitnessRefusal),
    /// The witness's own state is; it cosigns nothing until it is restarted.
    #[error("{0}")]
    State(String),
}

impl Cosigner {
    /// Makes the empty state of a key that has never signed.
    ///
    /// # Errors
    /// A path that holds a file already, a name that no note can carry, or what the disk says.
    pub fn create(state: &Path, name: &str, key: &SecretKey) -> Result<WitnessKey, CosignError> {
        let key = WitnessKey::from_seed(name, key.danger_seed())?;
        WitnessState::create(state, &key.to_string())?;
        Ok(key)
    }

    /// Opens the witness for these logs. A missing state is an error: a witness that has forgotten would cosign anything.
    ///
    /// # Errors
    /// A state that is missing, in use, or of another name or key.
    pub fn open(state: &Path, name: &str, key: &SecretKey, logs: Vec<VerifierKey>, now_ms: Clock) -> Result<Self, CosignError> {
        let seed = Zeroizing::new(*key.danger_seed());
        let key = WitnessKey::from_seed(name, &seed)?;
        let state = WitnessState::open(state, &key.to_string())?;
        Ok(Self { key, seed, logs, state: Mutex::new(state), healthy: AtomicBool::new(true), now_ms })
    }

    /// The key under which others check the cosignatures.
    pub const fn key(&self) -> &WitnessKey {
        &self.key
    }

    /// False once its state could not be written: whether the disk has the last head is unknown, and only a restart, which
    /// reads it, is safe.
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Acquire)
    }

    /// Answers the body of an add-checkpoint request with a cosignature line.
    ///
    /// # Errors
    /// [`CosignError::Refused`] with the protocol's status; [`CosignError::State`].
    pub fn add_checkpoint(&self, body: &str) -> Result<String, CosignError> {
        let request = AddCheckpoint::parse(body).map_err(WitnessRefusal::Malformed)?;
        let submitted = request.check(&self.logs)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_healthy() {
            return Err(CosignError::State("a write failed and the witness has to be restarted".to_owned()));
        }
        let mut signed = String::new();
        // The line exists before the commit, inside this call alone, and leaves after it.
        let advanced = state.advance(&submitted.checkpoint.origin, |newest| {
            submitted.follows(newest.map(|row| row.head))?;
            // A clock that steps back must not make an older head look like the newest of a later time.
            let time_s = ((self.now_ms)() / 1000).max(newest.map_or(1, |row| row.time_s));
            signed = cosign(self.key.name(), &self.seed, time_s, &submitted.text)?;
            let head = Cosigned { size: submitted.checkpoint.size, root: submitted.checkpoint.root };
            let note = format!("{}\n{}{signed}", submitted.text, submitted.log_lines);
            Ok::<_, CosignError>(CosignedRow { head, time_s, note })
        });
        if matches!(advanced, Err(CosignError::State(_))) {
            self.healthy.store(false, Ordering::Release);
        }
        advanced.map(|()| signed)
    }

    /// The newest checkpoint cosigned for the log whose origin `chosen` accepts, with the lines of log and witness.
    ///
    /// # Errors
    /// [`CosignError::State`].
    pub fn newest(&self, chosen: impl Fn(&str) -> bool) -> Result<Option<String>, CosignError> {
        let Some(log) = self.logs.iter().find(|log| chosen(log.name())) else { return Ok(None) };
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(state.newest(log.name())?.map(|row| row.note))
    }
}

impl CosignError {
    /// The stable reason.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Refused(refusal) => refusal.reason(),
            Self::State(_) => Reason::WitnessState,
        }
    }
}

impl From<WitnessRefusal> for CosignError {
    fn from(refusal: WitnessRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for CosignError {
    fn from(error: StoreError) -> Self {
        Self::State(match error {
            StoreError::Missing => "there is no state at this path, and a witness does not begin anew with an old key".to_owned(),
            StoreError::Busy => "another process has this state open".to_owned(),
            error => error.to_string(),
        })
    }
}

impl From<LogRefusal> for CosignError {
    fn from(refusal: LogRefusal) -> Self {
        Self::State(refusal.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use ed25519_dalek::{Signer as _, SigningKey};
    use narrows_verifier::log::{Checkpoint, Hash, Note, cosignatures, leaf_hash, node_hash, signature_line};
    use rand_core::OsRng;

    use super::*;
    use crate::keys::KeyRole;
    use crate::keys::tests::Scratch;

    const ORIGIN: &str = "log.example";

    struct Bench {
        scratch: Scratch,
        key: SecretKey,
        now_ms: Arc<AtomicU64>,
    }

    impl Bench {
        fn new() -> Self {
            let bench = Self {
                scratch: Scratch::new(),
                key: SecretKey::generate(KeyRole::Witness, &mut OsRng),
                now_ms: Arc::new(AtomicU64::new(5_000)),
            };
            Cosigner::create(&bench.scratch.0.join("state.db"), "w.example", &bench.key).unwrap();
            bench
        }

        fn open(&self) -> Cosigner {
            let now_ms = Arc::clone(&self.now_ms);
            let clock: Clock = Arc::new(move || now_ms.load(Ordering::Relaxed));
            let logs = vec![log().1];
            Cosigner::open(&self.scratch.0.join("state.db"), "w.example", &self.key, logs, clock).unwrap()
        }
    }

    fn log() -> (SigningKey, VerifierKey) {
        let secret = SigningKey::from_bytes(&[1; 32]);
        let key = VerifierKey::new(ORIGIN, secret.verifying_key().as_bytes()).unwrap();
        (secret, key)
    }

    fn note(size: u64, root: Hash) -> String {
        let text = Checkpoint { origin: ORIGIN.to_owned(), size, root }.to_string();
        let (secret, key) = log();
        format!("{text}\n{}", signature_line(&key, &secret.sign(text.as_bytes()).to_bytes()))
    }

    fn body(old_size: u64, proof: &[Hash], checkpoint: &str) -> String {
        AddCheckpoint { old_size, proof: proof.to_vec(), checkpoint }.encode()
    }

    fn status(answer: Result<String, CosignError>) -> u16 {
        match answer {
            Ok(_) => 200,
            Err(CosignError::Refused(refusal)) => refusal.status(),
            Err(CosignError::State(_)) => 503,
        }
    }

    #[test]
    fn a_cosignature_is_over_the_newest_head_alone_also_after_a_restart() {
        let bench = Bench::new();
        let (one, two) = (leaf_hash(b"1"), leaf_hash(b"2"));
        let (first, both) = (note(1, one), note(2, node_hash(&one, &two)));
        let fork = note(2, node_hash(&leaf_hash(b"?"), &two));
        let witness = bench.open();
        let line = witness.add_checkpoint(&body(0, &[], &first)).unwrap();
        let cosigned = format!("{first}{line}");
        let keys = [witness.key().clone()];
        assert_eq!(cosignatures(&Note::parse(&cosigned).unwrap(), &keys).unwrap()[0].time_s, 5);
        assert_eq!(witness.newest(|origin| origin == ORIGIN).unwrap(), Some(cosigned.clone()));
        assert_eq!(witness.newest(|origin| origin != ORIGIN).unwrap(), None);
        drop(witness);

        let witness = bench.open();
        assert_eq!(witness.newest(|_| true).unwrap(), Some(cosigned));
        assert_eq!(status(witness.add_checkpoint(&body(0, &[], &both))), 409);
        assert_eq!(status(witness.add_checkpoint(&body(1, &[two], &fork))), 422);
        assert_eq!(status(witness.add_checkpoint(&body(1, &[two], &both))), 200);
        // Asked again, as after an answer that was lost: the same head, a time that does not go back with the clock.
        bench.now_ms.store(1_000, Ordering::Relaxed);
        let again = witness.add_checkpoint(&body(2, &[], &both)).unwrap();
        let again = format!("{both}{again}");
        assert_eq!(cosignatures(&Note::parse(&again).unwrap(), &keys).unwrap()[0].time_s, 5);
        assert_eq!(status(witness.add_checkpoint(&body(2, &[], &fork))), 422);
        assert_eq!(status(witness.add_checkpoint(&body(0, &[], &first))), 409);
        assert_eq!(status(witness.add_checkpoint("old 0\n")), 400);
    }

    #[test]
    fn of_two_heads_at_once_one_is_cosigned() {
        let bench = Bench::new();
        let witness = bench.open();
        let branches: Vec<String> = (0..16u8).map(|branch| body(0, &[], &note(1, leaf_hash(&[branch])))).collect();
        let answers = std::thread::scope(|scope| {
            let threads: Vec<_> = branches.iter().map(|branch| scope.spawn(|| status(witness.add_checkpoint(branch)))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|status| **status == 409).count(), 15, "{answers:?}");
    }

    #[test]
    fn a_witness_whose_state_can_not_be_written_cosigns_nothing() {
        let bench = Bench::new();
        let witness = bench.open();
        let file = bench.scratch.0.join("state.db");
        crate::store::sqlite_tamper::tamper(
            &file,
            "CREATE TRIGGER trap BEFORE INSERT ON cosigned BEGIN SELECT RAISE (ABORT, 'trap'); END;",
        );
        assert_eq!(status(witness.add_checkpoint(&body(0, &[], &note(1, leaf_hash(b"1"))))), 503);
        assert!(!witness.is_healthy());
        crate::store::sqlite_tamper::tamper(&file, "DROP TRIGGER trap;");
        assert_eq!(status(witness.add_checkpoint(&body(0, &[], &note(1, leaf_hash(b"1"))))), 503, "a restart has to look first");
        drop(witness);
        assert_eq!(status(bench.open().add_checkpoint(&body(0, &[], &note(1, leaf_hash(b"1"))))), 200);
    }
}
