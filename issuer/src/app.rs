//! Everything that lives as long as the service.

use std::sync::Arc;

use narrows_verifier::{
    EntryId, Roots, TaskId,
    log::{Salt, VerifierKey, verify_checkpoint},
};
use rand_core::{OsRng, RngCore};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{
    admin::{KeyOffice, Operators},
    audit::{Archive, Auditors, Indexer},
    clients::{Clients, generate_secret},
    clock::Clock,
    dpop_nonce::DpopNonces,
    federation::Federation,
    http::metrics::Metrics,
    jose::TokenSigner,
    keyring::Keyring,
    log::{Log, RetentionPolicy},
    policy::PolicyInForce,
    rate::Rate,
    revocation::Revocations,
    witness::Witnesses,
};

/// The service's long-lived parts. No Debug: it holds keys.
pub struct App {
    /// The issuer identifier, byte for byte as configured.
    pub identifier: String,
    /// Whether this is development mode, which stamps every leaf and token.
    pub dev: bool,
    /// The registered clients.
    pub clients: Clients,
    /// The issuers whose subjects are believed.
    pub federation: Federation,
    /// The policy pack that decides what may be minted.
    pub policy: PolicyInForce,
    /// The keys that sign tokens.
    pub keyring: Keyring,
    /// Where operators leave orders about them.
    pub key_office: KeyOffice,
    /// Keeps the search index up with the log. Declared before the log, whose connections must be the last to close.
    pub(crate) _indexer: Indexer,
    /// The log.
    pub log: Arc<Log>,
    /// What is revoked.
    pub revocations: Revocations,
    /// How fast one client or holder may revoke.
    pub revocation_rate: Rate,
    /// The policy on what the log keeps.
    pub retention: RetentionPolicy,
    /// The log's witnesses, where it has any.
    pub witnesses: Option<Arc<Witnesses>>,
    /// Who may read the log's entries.
    pub auditors: Auditors,
    /// Who may administer.
    pub operators: Operators,
    /// The log for reading.
    pub archive: Archive,
    /// Keeps searches from taking all threads.
    pub readings: Semaphore,
    /// The log's public key.
    pub log_key: VerifierKey,
    /// What DPoP proofs at the token endpoint must carry.
    pub dpop_nonces: DpopNonces,
    /// Signs JWT views of tokens, where there is a key for it.
    pub jwt_signer: Option<TokenSigner>,
    /// How many hops may be reported for one task.
    pub max_hops: u32,
    /// How fast hops may be reported for one holder.
    pub report_rate: Rate,
    /// How fast one client may ask for tokens.
    pub client_rate: Rate,
    /// How fast tokens may be asked for in one subject's name.
    pub subject_rate: Rate,
    /// Whether everybody may read the log's entries, or only its hashes.
    pub public_entries: bool,
    /// What operators watch.
    pub metrics: Arc<Metrics>,
    /// The clock.
    pub clock: Clock,
}

impl App {
    /// Seconds since the Unix epoch.
    pub fn now_seconds(&self) -> u64 {
        (self.clock)() / 1000
    }

    /// The keys under which this issuer's tokens verify: the one that signs now, and those of other rotations.
    pub fn roots(&self) -> Arc<Roots> {
        self.keyring.roots()
    }

    /// The number of leaves under the published checkpoint, which where witnesses are required is one that they have seen; 0 while
    /// there is none.
    pub fn published_size(&self) -> u64 {
        let note = match &self.witnesses {
            None => self.log.checkpoint(),
            Some(witnesses) => witnesses.published(&self.log),
        };
        let checkpoint = note.ok().and_then(|note| verify_checkpoint(&note, std::slice::from_ref(&self.log_key)).ok());
        checkpoint.map_or(0, |checkpoint| checkpoint.size)
    }

    pub(crate) fn fresh_entry(&self) -> EntryId {
        EntryId(timed_id((self.clock)(), random()))
    }

    pub(crate) fn fresh_task(&self) -> TaskId {
        TaskId(timed_id((self.clock)(), random()))
    }

    /// A few at once: they are asked for one by one, and the system answers many as fast as one.
    pub(crate) fn fresh_salts(&self) -> Vec<Salt> {
        let bytes: [u8; 8 * 16] = random();
        bytes.as_chunks().0.iter().copied().map(Salt::new).collect()
    }

    pub(crate) fn fresh_secret(&self) -> Zeroizing<String> {
        generate_secret(&mut OsRng)
    }

    pub(crate) fn fresh_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(random())
    }
}

/// An id that begins with the time, as a UUID of version 7 does: rows of one time lie side by side, and a commit touches a few
/// pages of an index instead of one for each entry. It says nothing that the leaf does not; what is left is too much to guess.
pub fn timed_id(now_ms: u64, random: [u8; 10]) -> [u8; 16] {
    let mut id = [0; 16];
    let (time, rest) = id.split_at_mut(6);
    // The last six of eight bytes: milliseconds until the year 10889.
    time.iter_mut().zip(now_ms.to_be_bytes().into_iter().skip(2)).for_each(|(byte, of)| *byte = of);
    rest.copy_from_slice(&random);
    id
}

/// Bytes from the operating system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    bytes
}
