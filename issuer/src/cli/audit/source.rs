//! Where a log is read: a data directory on this machine, or a service, whose every answer is checked here.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use narrows::{AuditError, AuditorClient, LeafPlace, LogHead, LogReading, Question};
use narrows_issuer::{
    audit::{Archive, Query},
    config::Config,
    service,
};
use narrows_verifier::{
    EntryId,
    log::{Bundle, Hash, Kept, MAX_NOTE_BYTES, Receipt, Selection, TilePath, VerifiedBundle, VerifierKey, packs_of},
};
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use super::patience::Patience;
use crate::cli::input::{self, UNKNOWN_ENTRY};

/// Which log to read, and what is known of it.
#[derive(Args)]
pub(in crate::cli) struct SourceArgs {
    #[command(flatten)]
    place: Place,
    /// A file with the auditor's secret
    #[arg(long, value_name = "FILE", requires = "url")]
    credential: Option<PathBuf>,
    /// The log's public key, as you pinned it; without it, the one in the data directory, which whoever owns the directory
    /// could have swapped
    #[arg(long, value_name = "VKEY")]
    vkey: Option<String>,
    /// A file that keeps the largest checkpoint seen: a log that contradicts it later is refused
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// The issuer's data directory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The issuer's configuration, which names the data directory
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The issuer's address; what it answers is verified under --vkey
    #[arg(long, value_name = "URL", requires = "vkey")]
    url: Option<String>,
}

/// An open log.
pub(in crate::cli) struct Source {
    reader: Reader,
    key: VerifierKey,
    state: Option<PathBuf>,
}

enum Reader {
    File { archive: Box<Archive>, database: PathBuf, kept: Option<Box<Kept>> },
    Service(Box<Service>),
}

/// A service, asked one question after the other.
struct Service {
    client: AuditorClient,
    runtime: Runtime,
    patience: Patience,
}

impl SourceArgs {
    /// A log named by other flags than these.
    pub(super) const fn new(data: Option<PathBuf>, url: Option<String>, vkey: Option<String>) -> Self {
        Self { place: Place { data, config: None, url }, credential: None, vkey, state: None }
    }

    /// With an auditor's secret.
    pub(super) fn with_credential(self, credential: Option<PathBuf>) -> Self {
        Self { credential, ..self }
    }

    pub(super) fn open(&self) -> anyhow::Result<Source> {
        let pinned = self.vkey.as_deref().map(read_key).transpose()?;
        let data = match (&self.place.data, &self.place.config) {
            (Some(data), _) => Some(data.clone()),
            (None, Some(file)) => Some(Config::load(file)?.data_dir),
            (None, None) => None,
        };
        // A state file that is not there yet is a first visit.
        let kept = self.state.as_deref().map(|file| input::text_if_there(file, MAX_NOTE_BYTES)).transpose()?.flatten();
        match (data, &self.place.url) {
            (Some(data), _) => {
                let key = pinned.map_or_else(|| service::read_log_key(&data), Ok)?;
                let kept = kept.map(|note| Kept::new(&note, std::slice::from_ref(&key))).transpose()?;
                let database = service::log_file_in(&data);
                let archive = Box::new(Archive::new(&database, None, key.clone()));
                Ok(Source { reader: Reader::File { archive, database, kept: kept.map(Box::new) }, key, state: self.state.clone() })
            }
            (None, Some(url)) => {
                let key = pinned.context("give `--vkey`: over HTTP nothing else vouches for the log")?;
                let credential = self.credential.as_deref().map(read_secret).transpose()?;
                let client = AuditorClient::new(url, key.clone(), credential, kept.as_deref())?;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let service = Box::new(Service { client, runtime, patience: Patience::new() });
                Ok(Source { reader: Reader::Service(service), key, state: self.state.clone() })
            }
            (None, None) => bail!("give `--data`, `--config` or `--url`"),
        }
    }

    /// True when the key was not read from the place that it is to vouch for.
    pub(super) const fn is_pinned(&self) -> bool {
        self.vkey.is_some()
    }
}

impl Source {
    /// The key that all checkpoints must be signed under.
    pub(super) const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The log's file, where it is read from one.
    pub(super) fn database(&self) -> Option<&Path> {
        match &self.reader {
            Reader::File { database, .. } => Some(database),
            Reader::Service(_) => None,
        }
    }

    /// Where the log stands; its checkpoint is consistent with the one kept.
    pub(super) fn head(&mut self) -> anyhow::Result<LogHead> {
        let head = match &mut self.reader {
            Reader::Service(service) => service.ask(async |client| client.head().await)?,
            Reader::File { archive, .. } => {
                let head = archive.head()?;
                LogHead {
                    checkpoint: Kept::new(&head.checkpoint, std::slice::from_ref(&self.key))?,
                    minimum_index: head.minimum_index(),
                    t_ms: head.t_ms.to_string(),
                    policy: None,
                    applied: head.retention.map(|logged| logged.state.policy),
                }
            }
        };
        self.observe(&head.checkpoint)?;
        Ok(head)
    }

    /// Everything of a selection, up to `most` leaves, as one verified bundle under one checkpoint.
    pub(super) fn collect(
        &mut self,
        selection: &Selection,
        most: usize,
        (names, export): (bool, bool),
    ) -> anyhow::Result<(Bundle, VerifiedBundle)> {
        let mut whole: Option<(Bundle, VerifiedBundle)> = None;
        loop {
            let have = whole.as_ref().map_or(0, |(bundle, _)| bundle.entries.len());
            let next = whole.as_ref().map(|(bundle, _)| bundle.next);
            let after = match next {
                Some(None) => break,
                Some(next) if have < most => next,
                Some(_) => break,
                None => selection.after,
            };
            let limit = u16::try_from(most - have).unwrap_or(PAGE).clamp(1, PAGE);
            let size = whole.as_ref().map(|(_, verified)| verified.checkpoint.size);
            let query = Query { selection: Selection { after, ..selection.clone() }, limit, size, names };
            let (page, verified) = self.page(&query, export)?;
            match &mut whole {
                None => whole = Some((page, verified)),
                Some((bundle, all)) => {
                    if all.checkpoint != verified.checkpoint {
                        bail!("the log answered under another checkpoint than it was asked to");
                    }
                    bundle.entries.extend(page.entries);
                    bundle.next = page.next;
                    all.entries.extend(verified.entries);
                    all.goes_on = verified.goes_on;
                }
            }
        }
        let (mut bundle, mut verified) = whole.context("the log gave no answer")?;
        bundle.selection = selection.clone();
        bundle.packs = packs_of(&bundle.entries);
        verified.packs.clone_from(&bundle.packs);
        Ok((bundle, verified))
    }

    /// One entry by its id.
    pub(super) fn entry(&mut self, id: &EntryId, names: bool, pruned: bool) -> anyhow::Result<(Bundle, VerifiedBundle)> {
        let (bundle, verified) = match &mut self.reader {
            Reader::Service(service) => {
                let path = format!("/v1/audit/entries/{id}");
                let pairs = if names { vec![("names", "true".to_owned())] } else { Vec::new() };
                let question = Question { path: &path, pairs, selection: None, earlier: false };
                service.ask(async |client| client.ask(&question).await)?
            }
            Reader::File { archive, .. } => {
                let found = if pruned { archive.entry_or_pruned(id, names)? } else { archive.entry(id, names)? };
                let bundle = found.context(UNKNOWN_ENTRY)?;
                let verified = bundle.verify(std::slice::from_ref(&self.key))?;
                (bundle, verified)
            }
        };
        if !verified.entries.iter().all(|entry| entry.leaf.id == *id) || verified.entries.len() != 1 {
            bail!("the log answered with another entry");
        }
        self.observe(&Kept::new(&bundle.checkpoint, std::slice::from_ref(&self.key))?)?;
        Ok((bundle, verified))
    }

    /// A fresh receipt by index or entry id, with the hash of its leaf.
    pub(super) fn receipt(&mut self, place: LeafPlace<'_>) -> anyhow::Result<(Hash, String)> {
        let (hash, receipt) = match &mut self.reader {
            Reader::Service(service) => service.ask(async |client| client.receipt(place).await)?,
            Reader::File { archive, .. } => {
                let proof = match place {
                    LeafPlace::Index(index) => archive.proof(index, None)?,
                    LeafPlace::Entry(entry) => archive.proof_of_entry(entry, None)?,
                };
                let proof = proof.context(UNKNOWN_ENTRY)?;
                (proof.leaf_hash, proof.receipt)
            }
        };
        let shown = Kept::new(Receipt::parse(&receipt)?.checkpoint, std::slice::from_ref(&self.key))?;
        self.observe(&shown)?;
        Ok((hash, receipt))
    }

    /// The hashes that show a tree's root at an earlier size, unchecked.
    pub(super) fn prefix_path(&mut self, from: u64, to: u64) -> anyhow::Result<Vec<Hash>> {
        match &mut self.reader {
            Reader::Service(service) => Ok(service.ask(async |client| client.prefix_path(from, to).await)?),
            Reader::File { archive, .. } => Ok(archive.consistency(from, Some(to))?.path),
        }
    }

    /// Announces to a service that its whole log is going to be read.
    pub(super) fn read_all(&mut self) -> anyhow::Result<LogReading> {
        let Reader::Service(service) = &mut self.reader else { bail!("only a service hands out tiles") };
        let reading = service.ask(async |client| client.read_all().await)?;
        self.observe(&reading.checkpoint)?;
        Ok(reading)
    }

    /// Has a service erase what is disclosed about a person.
    pub(super) fn erase(&mut self, subject: &str, basis: &str) -> anyhow::Result<()> {
        let Reader::Service(service) = &mut self.reader else { bail!("only a service erases while it runs") };
        // Asked once: a second time would be a second leaf.
        service.runtime.block_on(service.client.erase(subject, basis))?;
        Ok(())
    }

    /// A tile of such a reading, unchecked.
    pub(super) fn tile(&mut self, reading: &mut LogReading, path: &TilePath) -> anyhow::Result<Vec<u8>> {
        let Reader::Service(service) = &mut self.reader else { bail!("only a service hands out tiles") };
        Ok(service.ask(async |client| client.tile(reading, path).await)?)
    }

    /// Bears with a service that is away for as long as it takes.
    pub(super) fn never_give_up(&mut self) {
        if let Reader::Service(service) = &mut self.reader {
            service.patience.never_end();
        }
    }

    fn page(&mut self, query: &Query, export: bool) -> anyhow::Result<(Bundle, VerifiedBundle)> {
        let earlier = query.size.is_some();
        let (bundle, verified) = match &mut self.reader {
            Reader::Service(service) => {
                let mut pairs = Query::selection_pairs(&query.selection);
                pairs.push(("limit", query.limit.to_string()));
                pairs.extend(query.size.map(|size| ("size", size.to_string())));
                pairs.extend(query.names.then(|| ("names", "true".to_owned())));
                let path = if export { "/v1/audit/export" } else { "/v1/audit/search" };
                let question = Question { path, pairs, selection: Some(&query.selection), earlier };
                service.ask(async |client| client.ask(&question).await)?
            }
            Reader::File { archive, .. } => {
                let bundle = archive.search(query)?;
                let verified = bundle.verify(std::slice::from_ref(&self.key))?;
                (bundle, verified)
            }
        };
        if !earlier {
            self.observe(&Kept::new(&bundle.checkpoint, std::slice::from_ref(&self.key))?)?;
        }
        Ok((bundle, verified))
    }

    /// Holds what is shown against what was kept, and keeps it. The client of a service has compared already.
    fn observe(&mut self, shown: &Kept) -> anyhow::Result<()> {
        if let Reader::File { archive, kept, .. } = &mut self.reader {
            if let Some(old) = kept {
                let needed = old.needs_proof(shown);
                let sizes = (old.checkpoint().size, shown.checkpoint().size);
                let proof = if needed { archive.consistency(sizes.0, Some(sizes.1))?.proof } else { Vec::new() };
                let told = |refusal| anyhow::anyhow!("{refusal}\n\nseen before:\n{}\nshown now:\n{}", old.note(), shown.note());
                old.check(shown, &proof).map_err(told)?;
            }
            *kept = Some(Box::new(shown.clone()));
        }
        match &self.state {
            Some(file) => write_state(file, shown.note()),
            None => Ok(()),
        }
    }
}

impl Service {
    /// Asks, and asks again while the service is only away for a moment. A question changes nothing that a second one could spoil.
    fn ask<T>(&mut self, mut question: impl AsyncFnMut(&mut AuditorClient) -> Result<T, AuditError>) -> Result<T, AuditError> {
        loop {
            match self.runtime.block_on(question(&mut self.client)) {
                Ok(answer) => {
                    self.patience.answered();
                    return Ok(answer);
                }
                Err(error) => self.patience.wait(error)?,
            }
        }
    }
}

/// Reads a verifier key from an argument.
pub(super) fn read_key(text: &str) -> anyhow::Result<VerifierKey> {
    VerifierKey::parse(text.trim()).map_err(|refusal| anyhow::anyhow!("`--vkey`: {refusal}"))
}

fn read_secret(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = Zeroizing::new(input::text(file, MAX_SECRET_BYTES)?);
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// Replaces the file whole: half a note would be refused at the next visit.
fn write_state(file: &Path, note: &str) -> anyhow::Result<()> {
    let mut fresh = file.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    std::fs::write(&fresh, note).with_context(|| input::unwritable(&fresh))?;
    std::fs::rename(&fresh, file).with_context(|| input::unwritable(file))
}

/// Leaves asked for at once.
const PAGE: u16 = 256;

/// A credential is a line.
const MAX_SECRET_BYTES: usize = 4096;
