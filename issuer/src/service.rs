//! From a configuration to a service that is ready to answer.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use narrows_verifier::{
    EntryId, Reason,
    log::{Leaf, TraceId, VerifierKey, verify_checkpoint},
};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{
    admin::{KeyOffice, Operators},
    age::Unlock,
    app::{App, random},
    audit::{Archive, Auditors, Index, Indexer},
    bounded_file,
    clients::Clients,
    clock::Clock,
    config::Config,
    dpop_nonce::DpopNonces,
    federation::Federation,
    http::{
        admin::admin_router,
        dev_idp::{self, DevIdpSettings, DevUser},
        metrics::Metrics,
        router::{ROUTES, Routes, router},
    },
    jose::TokenSigner,
    keyring::{KeySet, Keyring, Place, rebuild},
    keys::{KeyRole, SecretKey},
    log::{
        ANCHOR_LAG_MS, AnchorPlace, DISK_RESERVE_MB, Log, LogError, LogSigner, Opening, Previous, Retainer, RetentionPolicy, Settings,
        kept, last_checkpoint,
    },
    policy::{self, Policy, PolicyInForce},
    rate::Rate,
    revocation::{FeedSettings, FeedSigner, Revocations},
    witness::Witnesses,
};

/// What development mode adds: an identity provider of its own, with these people, and a public log.
pub struct Development {
    /// The people who can log in.
    pub users: Vec<DevUser>,
    /// The client ids that may send people to the login page.
    pub clients: Vec<String>,
}

/// A service that can be served. No Debug: it holds keys.
pub struct Service {
    /// The long-lived parts.
    pub app: Arc<App>,
    /// Every route.
    pub router: Routes,
    /// The routes of administration, for a listener of their own; `None` without operators.
    pub admin: Option<Routes>,
}

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
#[error("{message} ({reason})")]
pub struct StartError {
    /// The stable reason code.
    pub reason: Reason,
    /// What was wrong with what.
    pub message: String,
}

/// Opens keys, log and policy pack and wires the service. The log must exist; see [`init_log`].
///
/// # Errors
/// Everything that keeps the service from issuing: a key, the log's start-up check, the pack, a trusted issuer.
pub fn open(config: &Config, pack: &str, development: Option<Development>, clock: Clock) -> Result<Service, StartError> {
    let unlock = Unlock::read(&config.keys).map_err(key_error)?;
    let feed_key = SecretKey::open(&config.feed_key_file(), KeyRole::Feed, &unlock).map_err(key_error)?;
    let signer = log_signer(config)?;
    let log_key = signer.verifier_key().clone();
    let policy = PolicyInForce::new(Policy::parse(pack)?, config.policy.pack.clone());
    let federation = Federation::new(config.trusted_issuer.clone(), &config.issuer, clock() / 1000);
    let federation = federation.map_err(|error| at_fault(Reason::ConfigInvalid, error.to_string()))?;
    let log = Log::open(&log_file(config), signer, Arc::clone(&clock), log_settings(config))
        .map_err(|error| at_fault(error.reason(), format!("the log can't be opened: {}", error.detail())))?;
    let since = opened_at(&log)?;
    let index = Index::open(&index_file_in(&config.data_dir)).map(Arc::new);
    let index = index.map_err(|error| at_fault(error.reason(), format!("the search index can't be opened: {}", error.detail())))?;
    let indexer = Indexer::start(Arc::clone(&index), log_file(config)).map_err(|error| at_fault(error.reason(), error.detail()))?;
    let metrics = Arc::new(Metrics::new(ROUTES));
    metrics.set_log_size(size(&log, &log_key)?);
    let log = Arc::new(log);
    let witnesses = witnesses(config, &log, &log_key, &metrics)?;
    let revocations = Revocations::new(Arc::clone(log.live()), feed_settings(config, log.epoch()), FeedSigner::new(&feed_key));
    let dev = development.is_some();
    let extra = development.map(|development| dev_idp_router(config, development, &clock)).transpose()?;
    let keyring = keyring(config, &log, since)?;
    let app = Arc::new(App {
        identifier: config.issuer.clone(),
        dev,
        clients: Clients::new(&config.client, Arc::clone(log.registered())),
        federation,
        policy,
        keyring,
        key_office: KeyOffice::new(config),
        _indexer: indexer,
        log,
        revocations,
        revocation_rate: Rate::new(config.limits.max_revocations_per_minute),
        retention: RetentionPolicy::new(&config.log.retention),
        auditors: Auditors::new(&config.auditor),
        operators: Operators::new(&config.admin),
        archive: Archive::new(&log_file(config), Some(index), log_key.clone()),
        readings: Semaphore::new(READINGS),
        witnesses,
        log_key,
        dpop_nonces: DpopNonces::new(random()),
        jwt_signer: jwt_signer(config)?,
        max_hops: config.limits.max_hops_per_task,
        report_rate: Rate::new(config.limits.max_reports_per_minute),
        client_rate: Rate::new(config.limits.max_client_tokens_per_minute),
        subject_rate: Rate::new(config.limits.max_subject_tokens_per_minute),
        public_entries: dev || config.log.public,
        metrics,
        clock,
    });
    let router = router(Arc::clone(&app), &config.limits, extra);
    let admin = (!config.admin.operators.is_empty()).then(|| admin_router(&app, &config.limits));
    Ok(Service { app, router, admin })
}

fn keyring(config: &Config, log: &Log, since: u64) -> Result<Keyring, StartError> {
    let unread = |error: LogError| at_fault(error.reason(), error.detail());
    if let Some(index) = log.unread_key().map_err(unread)? {
        let message = format!("leaf {index} is about a key, and nothing says what it means; see `narrows keys rebuild --accept-unread`");
        return Err(at_fault(Reason::KeyLeafUnread, message));
    }
    Keyring::open(config, since, &log.root_keys().map_err(unread)?).map_err(key_error)
}

fn feed_settings(config: &Config, epoch: u64) -> FeedSettings {
    FeedSettings {
        issuer: config.issuer.clone(),
        max_staleness: config.feed.max_staleness(),
        refresh_ms: config.feed.refresh_ms,
        // Each start of the service counts in a range of its own, above those before it.
        sequence_base: config.feed.sequence_offset.saturating_add(epoch.saturating_mul(SNAPSHOTS_OF_A_START)),
    }
}

/// Keeps the log to its policy, until it stops.
pub async fn retain(app: Arc<App>) {
    let retainer = Retainer::new(app.retention.clone(), Arc::clone(&app.clock), random, app.dev);
    // Of what is not published, nothing can have been read.
    let published = || app.published_size();
    retainer.run(Arc::clone(&app.log), published, |minimum| app.metrics.set_minimum_index(minimum)).await;
}

fn witnesses(config: &Config, log: &Log, log_key: &VerifierKey, metrics: &Arc<Metrics>) -> Result<Option<Arc<Witnesses>>, StartError> {
    if config.witness.is_empty() {
        return Ok(None);
    }
    let file = config.data_dir.join(WITNESS_FILE);
    let witnesses = Witnesses::open(&file, &config.witness, config.log.quorum, config.log.witness, log, log_key, Arc::clone(metrics));
    witnesses.map(|witnesses| Some(Arc::new(witnesses))).map_err(|error| at_fault(error.reason(), error.detail()))
}

/// Makes the log with its first leaf and that of the key that signs tokens, and the file with the log's public key beside it.
///
/// # Errors
/// `LOG_EXISTS`, a reason of key files, or what the disk says.
pub fn init_log(config: &Config, dev: bool, now_ms: u64) -> Result<VerifierKey, StartError> {
    let signer = log_signer(config)?;
    let opening = Opening { id: EntryId(random()), trace: TraceId(random()), t_ms: now_ms, dev };
    // Whoever puts another key in the place of the first one is found out, as later.
    let keys = KeySet::first(config, now_ms / 1000).map_err(key_error)?.rows();
    Log::init_with_keys(&log_file(config), &signer, opening, &keys)
        .map_err(|error| at_fault(error.reason(), format!("the log can't be made: {}", error.detail())))?;
    let key = signer.verifier_key().clone();
    write_log_key(config, &key)?;
    Ok(key)
}

/// A log that follows another.
pub struct BegunAnew {
    /// The new log's public key.
    pub key: VerifierKey,
    /// Where the old database is now.
    pub old: PathBuf,
    /// Why the old log's revocations could not be taken over, when they could not.
    pub revocations_lost: Option<String>,
}

/// Puts the log aside and begins a new one under another name, whose first leaf names the old one, its last checkpoint that is
/// known, and the cause. The configuration is then to name the new origin.
///
/// # Errors
/// `LOG_BUSY` while the service runs, `LOG_EXISTS` when a log was put aside before, `CONFIG_INVALID` for the old name, or what
/// the disk says.
pub fn begin_log_anew(config: &Config, origin: &str, cause: String, now_ms: u64) -> Result<BegunAnew, StartError> {
    if origin == config.log.origin {
        return Err(at_fault(Reason::ConfigInvalid, "a new log needs a new name: under the old one it would be a second history"));
    }
    let database = log_file(config);
    let checkpoint = last_checkpoint(&database, &config.anchor_file(), &read_log_key(&config.data_dir)?)
        .map_err(|error| at_fault(error.reason(), error.detail()))?;
    // Tokens from before go on under the same issuer key, and so must what ended them.
    let kept = kept(&database).map_err(|error| at_fault(error.reason(), format!("the revocations can't be read: {}", error.detail())));
    let revocations_lost = kept.as_ref().err().map(|error| error.message.clone());
    let mut kept = kept.unwrap_or_default();
    // A log of before it had them, or one that can't be read: then the file alone says what became of keys.
    let place = Place::new(&config.data_dir);
    let set = place.set().map_err(key_error)?;
    let unchanged = set.is_none();
    if kept.keys.is_empty() {
        kept.keys = set.map_or_else(|| KeySet::first(config, now_ms / 1000), Ok).map_err(key_error)?.rows();
    }
    let mut renamed = config.clone();
    origin.clone_into(&mut renamed.log.origin);
    let signer = log_signer(&renamed)?;
    put_aside(&config.anchor_file())?;
    // Search index and cosignatures are of the old log as well; keys of people stay, since what is disclosed about them does.
    for file in [&database, &config.data_dir.join(INDEX_FILE), &config.data_dir.join(WITNESS_FILE)] {
        for ending in ["", "-wal", "-shm"] {
            put_aside(&beside(file, ending))?;
        }
    }
    let opening = Opening { id: EntryId(random()), trace: TraceId(random()), t_ms: now_ms, dev: false };
    Log::init_after(&database, &signer, opening, &Previous { checkpoint, cause, kept })
        .map_err(|error| at_fault(error.reason(), format!("the log can't be made: {}", error.detail())))?;
    place.spare_nothing().map_err(key_error)?;
    write_log_key(config, signer.verifier_key())?;
    // Without a file, the key would be taken to have begun with the new log. Where this fails, so does a start, until it is done.
    if unchanged {
        rebuild(&renamed, false, now_ms / 1000).map_err(key_error)?;
    }
    Ok(BegunAnew { key: signer.verifier_key().clone(), old: beside(&database, ASIDE), revocations_lost })
}

fn put_aside(file: &Path) -> Result<(), StartError> {
    let aside = beside(file, ASIDE);
    if aside.exists() {
        return Err(at_fault(Reason::LogExists, format!("`{}` is there already", aside.display())));
    }
    match std::fs::rename(file, &aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(at_fault(Reason::LogUnreadable, format!("`{}` can't be put aside: {error}", file.display())))
        }
        _ => Ok(()),
    }
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn write_log_key(config: &Config, key: &VerifierKey) -> Result<(), StartError> {
    std::fs::write(config.data_dir.join(LOG_KEY_FILE), format!("{key}\n"))
        .map_err(|error| at_fault(Reason::KeyFileMissing, error.to_string()))
}

/// The log's database.
pub fn log_file(config: &Config) -> PathBuf {
    log_file_in(&config.data_dir)
}

/// The log's database in a data directory.
pub fn log_file_in(data_dir: &Path) -> PathBuf {
    data_dir.join(LOG_FILE)
}

/// The search index in a data directory.
pub fn index_file_in(data_dir: &Path) -> PathBuf {
    data_dir.join(INDEX_FILE)
}

/// Reads the configured policy pack; without one, nothing can be granted and the service does not start.
///
/// # Errors
/// `CONFIG_INVALID` when no pack is named, it can't be read, or it is larger than 64 KiB.
pub fn read_pack(config: &Config) -> Result<String, StartError> {
    let path = config
        .policy
        .pack
        .as_deref()
        .ok_or_else(|| at_fault(Reason::ConfigInvalid, "`policy.pack` names no policy pack, and without one nothing is granted"))?;
    policy::read(path)
}

/// Reads the public key of the log in a data directory.
///
/// # Errors
/// `KEY_FILE_MISSING` or `KEY_FILE_MALFORMED`.
pub fn read_log_key(data_dir: &Path) -> Result<VerifierKey, StartError> {
    let path = data_dir.join(LOG_KEY_FILE);
    let text = bounded_file::read_text(&path, MAX_LOG_KEY_BYTES)
        .map_err(|error| at_fault(Reason::KeyFileMissing, format!("`{}`: {error}", path.display())))?;
    VerifierKey::parse(text.trim_end())
        .map_err(|_| at_fault(Reason::KeyFileMalformed, format!("`{}` holds no verifier key", path.display())))
}

/// How the configuration says that the log is run.
pub fn log_settings(config: &Config) -> Settings {
    let anchor = AnchorPlace {
        path: config.anchor_file(),
        lag: Duration::from_millis(config.log.anchor_lag_ms),
        accept_missing: config.log.accept_missing_anchor,
    };
    let mut settings = Settings::new(config.log.disk_reserve_mb << 20, Some(anchor));
    settings.queue = config.log.queue;
    settings
}

/// The log's signing key.
///
/// # Errors
/// A reason of key files, or that of an origin that is no key name.
pub fn log_signer(config: &Config) -> Result<LogSigner, StartError> {
    let unlock = Unlock::read(&config.keys).map_err(key_error)?;
    let key = SecretKey::open(&config.log_key_file(), KeyRole::Log, &unlock).map_err(key_error)?;
    LogSigner::new(&config.log.origin, &Zeroizing::new(*key.danger_seed()))
        .map_err(|refusal| at_fault(refusal.reason, "`log.origin` is no key name"))
}

/// The signer of JWT views. A configuration that names no file need not have one.
fn jwt_signer(config: &Config) -> Result<Option<TokenSigner>, StartError> {
    let file = config.jwt_key_file();
    if config.keys.jwt.is_none() && !file.exists() {
        return Ok(None);
    }
    let unlock = Unlock::read(&config.keys).map_err(key_error)?;
    let key = SecretKey::open(&file, KeyRole::Jwt, &unlock).map_err(key_error)?;
    Ok(Some(TokenSigner::from_seed(&Zeroizing::new(*key.danger_seed()))))
}

/// The log's signing key, where all files of a data directory have their usual names.
///
/// # Errors
/// As [`log_signer`] and [`read_log_key`].
pub fn log_signer_in(data_dir: &Path) -> Result<LogSigner, StartError> {
    let known = read_log_key(data_dir)?;
    let key = SecretKey::read(&data_dir.join("log.key"), KeyRole::Log).map_err(key_error)?;
    let signer = LogSigner::new(known.name(), &Zeroizing::new(*key.danger_seed()));
    let signer = signer.map_err(|refusal| at_fault(refusal.reason, "the log's name is no key name"))?;
    // A leaf under a key that the log did not have so far would be refused by everybody else.
    if *signer.verifier_key() == known { Ok(signer) } else { Err(at_fault(Reason::KeyFileMalformed, "`log.key` is not the log's key")) }
}

/// How a log is run where nothing else is configured.
pub fn log_settings_in(data_dir: &Path) -> Settings {
    let lag = Duration::from_millis(ANCHOR_LAG_MS);
    let anchor = AnchorPlace { path: data_dir.join("log.anchor"), lag, accept_missing: false };
    Settings::new(DISK_RESERVE_MB << 20, Some(anchor))
}

fn dev_idp_router(config: &Config, development: Development, clock: &Clock) -> Result<Routes, StartError> {
    let settings = DevIdpSettings {
        issuer: format!("{}/dev/idp", config.issuer),
        clients: development.clients,
        users: development.users,
        signing_seed: Zeroizing::new(random()),
        now_ms: Arc::clone(clock),
        entropy: Arc::new(random),
    };
    dev_idp::router(settings).map_err(|error| at_fault(Reason::ConfigInvalid, error.to_string()))
}

/// The time of leaf 0.
fn opened_at(log: &Log) -> Result<u64, StartError> {
    let unreadable = |reason: Reason| at_fault(reason, "the log's first leaf can't be read");
    let first = log.proof(0).map_err(|error| unreadable(error.reason()))?.ok_or_else(|| unreadable(Reason::LogTailMissing))?;
    Leaf::parse(&first.leaf).map(|leaf| leaf.t_ms / 1000).map_err(|refusal| unreadable(refusal.reason))
}

/// The number of leaves under the newest checkpoint.
fn size(log: &Log, key: &VerifierKey) -> Result<u64, StartError> {
    let note = log.checkpoint().map_err(|error| at_fault(error.reason(), error.detail()))?;
    let checkpoint =
        verify_checkpoint(&note, std::slice::from_ref(key)).map_err(|refusal| at_fault(refusal.reason, "the newest checkpoint"))?;
    Ok(checkpoint.size)
}

fn key_error(error: crate::keys::KeyError) -> StartError {
    StartError { reason: error.reason, message: error.message }
}

fn at_fault(reason: Reason, message: impl Into<String>) -> StartError {
    StartError { reason, message: message.into() }
}

const LOG_FILE: &str = "log.db";
const INDEX_FILE: &str = "index.db";

/// Readings of evidence at one time.
const READINGS: usize = 4;

/// More than any process makes: one a second for thirty years.
const SNAPSHOTS_OF_A_START: u64 = 1_000_000_000;

const WITNESS_FILE: &str = "witness.db";
const ASIDE: &str = ".ended";
const LOG_KEY_FILE: &str = "log.vkey";

/// More than the longest name and a key have.
const MAX_LOG_KEY_BYTES: u64 = 4096;
