//! `narrows keys`: the life of the keys that sign tokens, at a running service.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use narrows_issuer::{
    age::Unlock,
    clients::generate_secret,
    clock::system_clock,
    config::Config,
    keyring::{Order, Place, Step, new_key, rebuild},
    keys::{KeyRole, SecretKey, root_key_id},
};
use narrows_verifier::Reason;
use rand_core::OsRng;

/// The verbs of `narrows keys`.
#[derive(Subcommand)]
pub(super) enum Keys {
    /// Show the keys that sign tokens, or did, or will
    List(Of),
    /// Make a key and publish it; it signs nothing yet
    Prepare(Of),
    /// Sign with a published key from now on; the key that signed is retired
    Activate(One),
    /// Publish a key no longer that signs nothing and of which no token is alive; it is of no use any more
    Retire(One),
    /// Accept nothing that a key signed, from now on; once more with a lower index or none, spare fewer of its tokens
    Taint {
        #[command(flatten)]
        one: One,
        /// Let verifiers spare tokens whose leaf lies below this index of the log, which witnessed receipts must show. At most the
        /// size of the published log; it can be lowered later and never raised
        #[arg(long, value_name = "INDEX")]
        spare_below: Option<u64>,
    },
    /// Make the file of the keys' states anew from the log, after it was lost or an old copy was put back. Stop the service first
    Rebuild {
        /// The service's configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Believe the file about keys of which leaves came back without what opens them; be sure that it is the newest
        #[arg(long)]
        accept_unread: bool,
    },
    /// Encrypt the key files of the service in place, with the configured passphrase
    Encrypt {
        /// The service's configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// Which service.
#[derive(Args)]
pub(super) struct Of {
    /// The service's configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Seconds to wait for the service
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
}

/// Which service and which key.
#[derive(Args)]
pub(super) struct One {
    /// The key's number, as `narrows keys list` shows it
    kid: u32,
    #[command(flatten)]
    of: Of,
}

impl Keys {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(of) => list(&Config::load(&of.config)?),
            Self::Prepare(of) => prepare(&of),
            Self::Activate(one) => one.of.ask(Step::Activate { kid: one.kid }),
            Self::Retire(one) => one.of.ask(Step::Retire { kid: one.kid }),
            Self::Rebuild { config, accept_unread } => {
                let config = Config::load(&config)?;
                rebuild(&config, accept_unread, system_clock()() / 1000)?;
                list(&config)
            }
            Self::Encrypt { config } => encrypt(&Config::load(&config)?),
            Self::Taint { one, spare_below } => {
                one.of.ask(Step::Taint { kid: one.kid, spare_below })?;
                say!("verifiers refuse its tokens once they have fetched the keys again");
                Ok(())
            }
        }
    }
}

impl Of {
    /// Leaves the order and waits for its answer.
    fn ask(&self, step: Step) -> anyhow::Result<()> {
        let config = Config::load(&self.config)?;
        let place = Place::new(&config.data_dir);
        let urgent = step.gives_up();
        let order = Order { id: generate_secret(&mut OsRng).to_string(), step };
        place.leave(&order)?;
        let deadline = Instant::now() + Duration::from_secs(self.wait);
        loop {
            let set = place.set()?;
            if let Some(answer) = set.as_ref().and_then(|set| set.last()).filter(|answer| answer.order == order.id) {
                return match answer.refused.as_deref() {
                    None => list(&config),
                    Some(code) => bail!("{} ({code})", Reason::from_code(code).map_or("the service refused", Reason::meaning)),
                };
            }
            if Instant::now() >= deadline {
                break;
            }
            std::thread::sleep(LOOK);
        }
        if urgent {
            bail!("no service has taken the order so far; it is carried out when one runs ({})", Reason::KeyOrderWaiting);
        }
        if place.take_back().context("taking the order back")? {
            bail!("no service has taken the order, and it is taken back ({})", Reason::KeyOrderWaiting)
        }
        bail!("the service has taken the order and not answered so far; it is gone on with ({})", Reason::KeyOrderWaiting)
    }
}

fn prepare(of: &Of) -> anyhow::Result<()> {
    let config = Config::load(&of.config)?;
    let (kid, file) = new_key(&Place::new(&config.data_dir), &Unlock::read(&config.keys)?, &mut OsRng)?;
    of.ask(Step::Prepare { file: file.clone() }).with_context(|| format!("`{}` is of no use", file.display()))?;
    say!("it may sign after {} seconds: narrows keys activate {kid} --config {}", config.keys.overlap_seconds, of.config.display());
    Ok(())
}

/// Key by key: a file that is encrypted already is left as it is, so that an attempt that broke off is gone on with.
fn encrypt(config: &Config) -> anyhow::Result<()> {
    let unlock = Unlock::read(&config.keys)?;
    let passphrase =
        unlock.passphrase().with_context(|| format!("`keys.passphrase_file` is not configured ({})", Reason::ConfigInvalid))?;
    let mut files = vec![
        (KeyRole::Issuer, config.issuer_key_file()),
        (KeyRole::Log, config.log_key_file()),
        (KeyRole::Feed, config.feed_key_file()),
        (KeyRole::Jwt, config.jwt_key_file()),
    ];
    if let Some(set) = Place::new(&config.data_dir).set()? {
        files.extend(set.keys().iter().map(|own| (KeyRole::Issuer, own.file.clone())));
    }
    files.dedup();
    for (role, file) in files {
        if !file.exists() {
            say!("{}: not there", file.display());
            continue;
        }
        match SecretKey::read(&file, role) {
            Ok(key) => key.seal_in_place(&file, passphrase, &mut OsRng)?,
            Err(error) if error.reason == Reason::KeyFileSealed => drop(SecretKey::open(&file, role, &unlock)?),
            Err(error) => return Err(error.into()),
        }
        say!("{}: encrypted", file.display());
    }
    say!("what the files held before may still be read from the disk and from backups");
    Ok(())
}

fn list(config: &Config) -> anyhow::Result<()> {
    let Some(set) = Place::new(&config.data_dir).set()? else {
        let file = config.issuer_key_file();
        let key = SecretKey::open(&file, KeyRole::Issuer, &Unlock::read(&config.keys)?)?;
        line(root_key_id(key.public_key().as_bytes()), "active", "from the log's first leaf", &file);
        return Ok(());
    };
    for own in set.keys() {
        let root = own.root;
        let span = match root.not_after {
            Some(end) => format!("from {} to {end}", root.not_before),
            None => format!("from {}", root.not_before),
        };
        line(root.id, root.state.name(), &span, &own.file);
    }
    Ok(())
}

fn line(kid: u32, state: &str, span: &str, file: &Path) {
    say!("{kid:<10}  {state:<8}  {span}  {}", file.display());
}

/// Between two looks for the answer.
const LOOK: Duration = Duration::from_millis(50);
