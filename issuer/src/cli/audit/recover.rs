//! `narrows audit recover`: what to do with a log that was rolled back or lost. Stop the service first.

use std::path::PathBuf;

use anyhow::bail;
use clap::{ArgGroup, Args};
use narrows_issuer::{
    clock::system_clock,
    config::Config,
    log::{Source, replay},
    service,
};

/// The flags of `narrows audit recover`.
#[derive(Args)]
#[command(group = ArgGroup::new("way").required(true).args(["from_database", "from_tiles", "new_origin"]))]
pub(in crate::cli) struct Recover {
    /// The issuer's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Bring the missing leaves back from another copy of the database, up to the anchor
    #[arg(long, value_name = "FILE")]
    from_database: Option<PathBuf>,
    /// Bring the missing leaves back from entry bundles, a directory with `tile/entries/`
    #[arg(long, value_name = "DIR")]
    from_tiles: Option<PathBuf>,
    /// Begin a new log of this name, whose first leaf says which log it follows, where that ended, and why
    #[arg(long, value_name = "NAME", requires = "cause")]
    new_origin: Option<String>,
    /// Why the old log does not go on, for the new one's first leaf
    #[arg(long, value_name = "TEXT", requires = "new_origin")]
    cause: Option<String>,
}

impl Recover {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let config = Config::load(&self.config)?;
        let source = match (self.from_database, self.from_tiles, self.new_origin, self.cause) {
            (Some(file), ..) => Source::Database(file),
            (_, Some(directory), ..) => Source::Bundles(directory),
            (.., Some(origin), Some(cause)) => return begin_anew(config, origin, cause),
            _ => bail!("give `--from-database`, `--from-tiles`, or `--new-origin` with `--cause`"),
        };
        let key = service::read_log_key(&config.data_dir)?;
        let leaves = replay(&service::log_file(&config), &key, &config.anchor_file(), &source)?;
        say!("{leaves} leaves are back, up to what was anchored");
        say!("if `narrows audit verify` names a leaf with LOG_REVOCATIONS_CHANGED, revoke again what it revoked");
        say!("names, tasks and spent proofs of these leaves are not; wait until proofs from before are too old, then start the service");
        Ok(())
    }
}

fn begin_anew(config: Config, origin: String, cause: String) -> anyhow::Result<()> {
    let begun = service::begin_log_anew(&config, &origin, cause, system_clock()())?;
    say!("log key   {}", begun.key);
    say!("the old log is at {}", begun.old.display());
    if let Some(why) = begun.revocations_lost {
        say!("WARNING: {why}");
        say!("revoke again what was revoked, or give up the issuer key; and raise `feed.sequence_offset`");
    }
    say!("next: set `log.origin` to \"{origin}\" in the configuration, hand the new log key to verifiers, start the service");
    Ok(())
}
