//! The policy pack in force, replaced as a whole while the service runs.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use narrows_policies::{MAX_PACK_BYTES, Pack};
use narrows_verifier::{
    EntryId, Reason,
    log::{Kind, Leaf, PackDigest, TraceId},
};

use crate::{
    app::App,
    bounded_file,
    exchange::ExchangeError,
    log::{NOBODY, SideRow},
    record::{Record, append_unwitnessed, text},
    service::StartError,
};

/// A pack that was read and checked, with its digest as leaves name it.
pub struct Policy {
    /// What decides.
    pub pack: Pack,
    /// The digest of its text.
    pub digest: PackDigest,
}

/// The one that decides now. Whoever asks takes it once, and is answered by one pack as a whole.
pub struct PolicyInForce {
    file: Option<PathBuf>,
    now: RwLock<Arc<Policy>>,
    /// Held while another one is read: one at a time.
    turn: tokio::sync::Mutex<()>,
}

/// A pack that was loaded by somebody's word.
pub struct Loaded {
    /// The log entry that says so.
    pub entry: EntryId,
    /// Its leaf's bytes.
    pub leaf: Vec<u8>,
    /// The receipt, for which no witness was waited.
    pub receipt: String,
}

impl Policy {
    /// Reads the text of a pack.
    ///
    /// # Errors
    /// A `PACK_…` reason.
    pub fn parse(text: &str) -> Result<Self, StartError> {
        let pack = Pack::parse(text)
            .map_err(|error| StartError { reason: error.reason, message: format!("the policy pack can't be used: {error}") })?;
        let digest = PackDigest::parse(pack.digest())
            .ok_or_else(|| StartError { reason: Reason::Internal, message: "the pack's digest has another form".to_owned() })?;
        Ok(Self { pack, digest })
    }
}

impl PolicyInForce {
    /// Begins with this one, which came from that file.
    pub fn new(policy: Policy, file: Option<PathBuf>) -> Self {
        Self { file, now: RwLock::new(Arc::new(policy)), turn: tokio::sync::Mutex::new(()) }
    }

    /// The one that decides.
    pub fn now(&self) -> Arc<Policy> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads the pack's file again and decides by it from now on. One that can't be used leaves the old one in force.
///
/// The leaf comes first, and whoever asked may go away in the middle: a pack that is on record is in force.
///
/// # Errors
/// `CONFIG_INVALID` where there is no such file or it can't be read, a `PACK_…` reason, or what the log met.
pub async fn reload(app: &Arc<App>, by: String, trace: TraceId) -> Result<Loaded, ExchangeError> {
    let app = Arc::clone(app);
    let reloading = tokio::spawn(async move { load(&app, &by, trace).await });
    reloading.await.map_err(|_| Reason::Internal)?
}

async fn load(app: &App, by: &str, trace: TraceId) -> Result<Loaded, ExchangeError> {
    let _turn = app.policy.turn.lock().await;
    let policy = app.policy.file.as_ref().ok_or_else(no_file).and_then(|file| Policy::parse(&read(file)?));
    let policy = policy.map_err(|error| ExchangeError::Denied { reason: error.reason, detail: error.message })?;
    let mut draft = Leaf::draft(Kind::PolicyLoad, app.fresh_entry(), trace);
    (draft.dev, draft.pack) = (app.dev, Some(policy.digest));
    let entry = draft.id;
    let mut record = Record::new(app);
    record.field("by", text(by));
    record.field("name", text(policy.pack.name()));
    let (_, leaf, receipt) = append_unwitnessed(app, draft, record, vec![SideRow::Subject(NOBODY)]).await?;
    *app.policy.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    Ok(Loaded { entry, leaf, receipt })
}

/// Reads the text of a pack's file.
///
/// # Errors
/// `CONFIG_INVALID` when it can't be read or is larger than 64 KiB.
pub fn read(file: &Path) -> Result<String, StartError> {
    bounded_file::read_text(file, MAX_PACK_BYTES as u64)
        .map_err(|error| StartError { reason: Reason::ConfigInvalid, message: format!("`{}` can't be read: {error}", file.display()) })
}

fn no_file() -> StartError {
    StartError { reason: Reason::ConfigInvalid, message: "the policy pack came from no file".to_owned() }
}
