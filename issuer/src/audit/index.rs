//! The search index: untrusted, made from the leaves by a thread of its own, and thrown away when in doubt.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac as _};
use narrows_verifier::Reason;
use narrows_verifier::log::{Disclosure, Kind, Leaf, NameField, Retention, Selection, TILE_WIDTH, names};
use sha2::Sha256;

use super::scan::opening;
use crate::app::random;
use crate::log::{Finding, LogError, expiring, parse, stated};
use crate::machine::give_way;
use crate::store::{IndexFile, Rows, Snapshot, StoreError, StoredLeaf, Term};

/// An index file. It only proposes leaves; whoever asks reads each of them in the log.
pub struct Index {
    path: PathBuf,
    file: Mutex<IndexFile>,
    /// What the log kept when names were last forgotten: only what has expired since is to be looked at.
    forgotten: Mutex<Option<Retention>>,
}

/// The thread that keeps an index up with its log. Dropping it ends the thread.
pub struct Indexer {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Leaves that may belong to a selection, and the index up to which no other does.
pub(super) struct Proposed {
    pub(super) indices: Vec<u64>,
    pub(super) end: u64,
}

impl Index {
    /// Opens the index at `path`, or begins a new one there when it is absent, damaged or of another version.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        Ok(Self::new(path, IndexFile::open(path, &random())?))
    }

    /// Opens the index at `path` for comparing it, or answers `None` when there is none of this version.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn open_existing(path: &Path) -> Result<Option<Self>, LogError> {
        let file = IndexFile::open_existing(path)?;
        Ok(file.map(|file| Self::new(path, file)))
    }

    fn new(path: &Path, file: IndexFile) -> Self {
        Self { path: path.to_owned(), file: Mutex::new(file), forgotten: Mutex::new(None) }
    }

    /// Throws all rows and the key of the names away and begins anew.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn clear(&self) -> Result<(), LogError> {
        let mut file = self.lock();
        IndexFile::delete(&self.path)?;
        *file = IndexFile::open(&self.path, &random())?;
        Ok(())
    }

    /// Forgets leaves that are pruned, reads those that the index lacks, forgets names that are no longer disclosed, and says how far it
    /// reaches.
    ///
    /// # Errors
    /// `LEAF_MALFORMED` or `LOG_UNREADABLE`; what is indexed so far stays.
    pub fn catch_up(&self, log: &Path) -> Result<u64, LogError> {
        // Less than a page was all that there was.
        while self.read_part(log)? >= usize::from(TILE_WIDTH) {}
        Ok(self.lock().cursor()?.next)
    }

    /// A part of what [`Index::catch_up`] reads, and how many leaves that were. Each has a view of its own: as long as one is open, the
    /// log's journal can't be begun anew, and grows.
    fn read_part(&self, log: &Path) -> Result<usize, LogError> {
        let snapshot = Snapshot::open(log)?;
        let rows = snapshot.rows();
        if !self.belongs_to(&rows)? {
            self.clear()?;
        }
        let minimum = rows.minimum_index()?;
        // Before the leaf that says so is read: a cursor behind that leaf means that nothing of what has gone is found any more.
        self.drop_pruned(minimum)?;
        self.forget_expired(&rows)?;
        let (begun, mut erased, mut read) = (Instant::now(), false, 0);
        while begun.elapsed() < PART_TIME {
            // Held for one page at a time, so that nobody who asks waits for the whole log.
            let mut file = self.lock();
            let cursor = file.cursor()?;
            let page = rows.leaves(cursor.next.max(minimum), TILE_WIDTH)?;
            let Some(last) = page.last() else { break };
            let (next, hash) = (last.index + 1, last.hash);
            let mut entries = Vec::with_capacity(page.len());
            for stored in &page {
                let leaf = parse(stored)?;
                erased |= leaf.kind == Kind::Erasure;
                entries.push((stored.index, terms(&leaf, &opening(&rows, stored, &leaf)?, &cursor.key)));
            }
            file.add(&entries, next, &hash)?;
            read += page.len();
        }
        if erased {
            self.forget(&rows, 0..u64::MAX)?;
        }
        Ok(read)
    }

    /// Forgets what the log has let go of, also where the leaf that says so is not read yet.
    pub(crate) fn let_go(&self, log: &Path) -> Result<(), LogError> {
        let snapshot = Snapshot::open(log)?;
        let rows = snapshot.rows();
        if !self.belongs_to(&rows)? {
            return self.clear();
        }
        let minimum = rows.minimum_index()?;
        self.drop_pruned(minimum)?;
        self.forget_expired(&rows)?;
        let next = self.lock().cursor()?.next;
        if erases_from(&rows, next.max(minimum))? { self.forget(&rows, 0..u64::MAX) } else { Ok(()) }
    }

    /// Forgets names whose disclosure is gone: the log records an erasure, but a disclosure may also have expired.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn forget_withheld(&self, log: &Path) -> Result<(), LogError> {
        let snapshot = Snapshot::open(log)?;
        self.forget(&snapshot.rows(), 0..u64::MAX)?;
        *self.forgotten.lock().unwrap_or_else(PoisonError::into_inner) = stated(&snapshot.rows())?.map(|logged| logged.state);
        Ok(())
    }

    /// Compares every row with the leaves up to where the index reaches, and says how many leaves that are.
    ///
    /// # Errors
    /// `LOG_INDEX_CHANGED` at the first leaf whose rows differ from it.
    pub fn compare(&self, log: &Path) -> Result<u64, Finding> {
        let unreadable = |error: LogError| Finding { reason: error.reason(), index: None, detail: error.detail().to_owned() };
        let changed = |index, detail: &str| Finding { reason: Reason::LogIndexChanged, index, detail: detail.to_owned() };
        let snapshot = Snapshot::open(log)?;
        let rows = snapshot.rows();
        let file = self.lock();
        let cursor = file.cursor()?;
        // Rows of pruned leaves and names that are gone stay until the index has read the leaf that says so.
        let (read, unread) = stated(&rows)?.map_or((None, None), |logged| match logged.index < cursor.next {
            true => (Some(logged.state), None),
            false => (None, Some(logged.state)),
        });
        let erased = erases_from(&rows, cursor.next.max(rows.minimum_index()?)).map_err(unreadable)?;
        let minimum = read.map_or(0, |state| state.minimum);
        let (mut at, mut seen) = (rows.minimum_index()?, file.count_before(rows.minimum_index()?)?);
        if minimum > 0 && seen > 0 {
            return Err(changed(None, "the index holds rows of leaves that are pruned"));
        }
        while at < cursor.next {
            let page = rows.leaves(at, TILE_WIDTH)?;
            if page.is_empty() {
                return Err(changed(Some(at), "the index reaches beyond the log"));
            }
            for stored in page.iter().filter(|stored| stored.index < cursor.next) {
                let leaf = parse(stored).map_err(unreadable)?;
                let expected = terms(&leaf, &opening(&rows, stored, &leaf).map_err(unreadable)?, &cursor.key);
                let found = file.terms(stored.index)?;
                let still_named = || {
                    let expired = unread.as_ref().is_some_and(|state| stored.index < state.expired_below(leaf.kind.as_str()));
                    // names too many, but none too few, which would hide the leaf
                    let mut more = found.iter().filter(|term| !expected.contains(term));
                    (expired || erased)
                        && expected.iter().all(|term| found.contains(term))
                        && more.all(|(field, _)| *field >= Field::Principal as u8)
                };
                if found != expected && !still_named() {
                    return Err(changed(Some(stored.index), "the index holds other rows for the leaf than it gives"));
                }
                seen += found.len() as u64;
            }
            at = page.last().map_or(cursor.next, |last| last.index + 1);
        }
        let (count, last) = file.count()?;
        if count != seen {
            return Err(changed(last, "the index holds rows of leaves that it does not reach"));
        }
        Ok(cursor.next)
    }

    /// Leaves between `first` and `end` that may belong to the selection; `None` where the index says nothing.
    pub(super) fn propose(&self, selection: &Selection, first: u64, end: u64) -> Result<Option<Proposed>, LogError> {
        let file = self.lock();
        let cursor = file.cursor()?;
        let wanted: Vec<Term> = terms_of(selection).into_iter().map(|(field, value)| term(field, &value, &cursor.key)).collect();
        let end = end.min(cursor.next);
        let Some((rarest, others)) = wanted.split_first().filter(|_| first < end) else { return Ok(None) };
        let under = file.under(rarest, first, end, PROPOSALS)?;
        // With a full page, more may follow behind its last row.
        let end = if under.len() < PROPOSALS as usize { end } else { under.last().map_or(end, |last| last + 1) };
        let mut indices = Vec::new();
        for index in under {
            let mut all = true;
            for term in others {
                all &= file.holds(term, index)?;
            }
            indices.extend(all.then_some(index));
        }
        Ok(Some(Proposed { indices, end }))
    }

    /// False when the leaf before the cursor is another than the one that was indexed: the log was replaced.
    fn belongs_to(&self, rows: &Rows<'_>) -> Result<bool, LogError> {
        let cursor = self.lock().cursor()?;
        let Some(last) = cursor.next.checked_sub(1) else { return Ok(true) };
        Ok(rows.leaf(last)?.map(|stored| stored.hash) == cursor.last)
    }

    /// Forgets everything about leaves below the minimum index.
    fn drop_pruned(&self, minimum: u64) -> Result<(), LogError> {
        let mut dropped = false;
        // Held for one part at a time, as above.
        while self.lock().drop_before(minimum, PROPOSALS)? > 0 {
            dropped = true;
        }
        if dropped { Ok(self.lock().truncate_journal()?) } else { Ok(()) }
    }

    /// Forgets names that the log says to have expired since this was last done.
    fn forget_expired(&self, rows: &Rows<'_>) -> Result<(), LogError> {
        let Some(now) = stated(rows)?.map(|logged| logged.state) else { return Ok(()) };
        let before = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner).take();
        for (range, _) in expiring(&before.unwrap_or(Retention::none(now.policy)), &now) {
            self.forget(rows, range)?;
        }
        *self.forgotten.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }

    /// Forgets names of these leaves that are no longer disclosed.
    fn forget(&self, rows: &Rows<'_>, leaves: Range<u64>) -> Result<(), LogError> {
        let mut first = leaves.start.max(rows.minimum_index()?);
        loop {
            let mut file = self.lock();
            let named = file.with_fields(Field::Principal as u8, first..leaves.end, u32::from(TILE_WIDTH))?;
            let Some(last) = named.last() else { break };
            first = last + 1;
            let key = file.cursor()?.key;
            for index in named {
                let stored = rows.leaf(index)?;
                let expected = stored.map(|stored| expected_terms(rows, &stored, &key)).transpose()?.unwrap_or_default();
                if file.terms(index)? != expected {
                    file.replace(index, &expected)?;
                }
            }
        }
        Ok(self.lock().truncate_journal()?)
    }

    fn lock(&self) -> MutexGuard<'_, IndexFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Indexer {
    /// Starts the thread. It looks for new leaves each second, and more often while there are many, at a lower priority than those
    /// who wait for an answer. What it has not seen yet, a search reads by itself.
    ///
    /// # Errors
    /// `LOG_UNREADABLE` when no thread can be had.
    pub fn start(index: Arc<Index>, log: PathBuf) -> Result<Self, LogError> {
        let (stop, stopped) = sync_channel(1);
        let work = move || {
            give_way();
            report(index.forget_withheld(&log));
            let mut wait = Duration::ZERO;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(wait) {
                let read = report(index.read_part(&log)).unwrap_or(0);
                wait = if read < BUSY_LEAVES { INTERVAL } else { BUSY_INTERVAL };
            }
            // What the log has let go of stays in no file of a service that is stopped; what is not read yet can wait.
            report(index.let_go(&log));
        };
        let thread = std::thread::Builder::new().name("narrows-index".to_owned()).spawn(work).map_err(StoreError::failed)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to end.
            let _ = thread.join();
        }
    }
}

/// Whether somebody was erased by this leaf or a later one.
fn erases_from(rows: &Rows<'_>, mut next: u64) -> Result<bool, LogError> {
    loop {
        let page = rows.leaves(next, TILE_WIDTH)?;
        let Some(last) = page.last() else { return Ok(false) };
        next = last.index + 1;
        for stored in &page {
            if parse(stored)?.kind == Kind::Erasure {
                return Ok(true);
            }
        }
    }
}

/// Nothing that authority hangs on: searches go on by reading leaves.
fn report<T>(done: Result<T, LogError>) -> Option<T> {
    if let Err(error) = &done {
        tracing::warn!(reason = error.reason().code(), detail = error.detail(), "the search index could not be brought up to date");
    }
    done.ok()
}

/// What a leaf can be found under. Names come last, from [`Field::Principal`] on, and only as keyed hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Field {
    Kind = 1,
    Verdict = 2,
    Reason = 3,
    Task = 4,
    Trace = 5,
    Block = 6,
    Parent = 7,
    Principal = 32,
    Agent = 33,
    Tool = 34,
}

impl From<NameField> for Field {
    fn from(name: NameField) -> Self {
        match name {
            NameField::Principal => Self::Principal,
            NameField::Agent => Self::Agent,
            NameField::Tool => Self::Tool,
        }
    }
}

/// What a selection asks for that is indexed, the rarest first: the first one drives the search.
pub(super) fn terms_of(selection: &Selection) -> Vec<(Field, Cow<'_, [u8]>)> {
    let it = selection;
    let text = |text: &'_ Option<String>| text.as_ref().map(|text| Cow::Owned(text.clone().into_bytes()));
    let wanted = [
        (Field::Parent, it.parent.as_ref().map(|block| start(&block.0))),
        (Field::Block, it.block.as_ref().map(|block| start(&block.0))),
        (Field::Trace, it.trace.as_ref().map(|trace| start(&trace.0))),
        (Field::Task, it.task.as_ref().map(|task| start(&task.0))),
        (Field::Principal, text(&it.principal)),
        (Field::Agent, text(&it.agent)),
        (Field::Tool, text(&it.tool)),
        (Field::Reason, text(&it.reason)),
        (Field::Kind, text(&it.kind)),
        (Field::Verdict, it.verdict.map(|verdict| Cow::Owned(verdict_name(verdict).into_bytes()))),
    ];
    wanted.into_iter().filter_map(|(field, value)| Some((field, value?))).collect()
}

/// As much of an id as is kept: enough to tell nearly all apart, and the leaf itself is read in any case.
fn start(id: &[u8]) -> Cow<'_, [u8]> {
    Cow::Borrowed(id.split_at_checked(ID_BYTES).map_or(id, |(start, _)| start))
}

fn expected_terms(rows: &Rows<'_>, stored: &StoredLeaf, key: &[u8; 32]) -> Result<Vec<Term>, LogError> {
    let leaf = parse(stored)?;
    Ok(terms(&leaf, &opening(rows, stored, &leaf)?, key))
}

/// All rows of one leaf, in the order in which the file gives them back.
fn terms(leaf: &Leaf, disclosures: &[Disclosure], key: &[u8; 32]) -> Vec<Term> {
    let verdict = verdict_name(leaf.verdict);
    let mut terms = vec![
        term(Field::Kind, leaf.kind.as_str().as_bytes(), key),
        term(Field::Verdict, verdict.as_bytes(), key),
        term(Field::Trace, &start(&leaf.trace.0), key),
    ];
    terms.extend(leaf.task.map(|task| term(Field::Task, &start(&task.0), key)));
    terms.extend(leaf.reasons.iter().map(|reason| term(Field::Reason, reason.as_bytes(), key)));
    terms.extend(leaf.blocks.iter().map(|block| term(Field::Block, &start(&block.0), key)));
    terms.extend(leaf.parents.iter().map(|block| term(Field::Parent, &start(&block.0), key)));
    terms.extend(names(disclosures).map(|(field, name)| term(field.into(), name.as_bytes(), key)));
    terms.sort_unstable();
    terms.dedup();
    terms
}

fn term(field: Field, value: &[u8], key: &[u8; 32]) -> Term {
    let number = field as u8;
    if number < Field::Principal as u8 {
        return (number, value.to_vec());
    }
    // A name must not outlive its disclosure: without the key, which goes with the file, the row says nothing.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return (number, Vec::new()) };
    mac.update(&[number]);
    mac.update(value);
    (number, mac.finalize().into_bytes().iter().take(NAME_BYTES).copied().collect())
}

fn verdict_name(verdict: narrows_verifier::log::Verdict) -> String {
    serde_json::to_value(verdict).ok().and_then(|name| name.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}

const NAME_BYTES: usize = 16;
const ID_BYTES: usize = 16;
const INTERVAL: Duration = Duration::from_secs(1);
const BUSY_INTERVAL: Duration = Duration::from_millis(100);
const BUSY_LEAVES: usize = 64;

/// After so long, the next page is for another view of the log.
const PART_TIME: Duration = Duration::from_millis(100);

/// Rows that one step of a search takes out of the index.
const PROPOSALS: u32 = 512;
