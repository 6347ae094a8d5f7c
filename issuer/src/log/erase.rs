//! Erasing what is disclosed about a person: the leaves stay, what opens them goes.

use std::path::Path;

use narrows_verifier::Reason;
use narrows_verifier::json::Value;
use narrows_verifier::log::{Disclosure, EntryId, Kind, Leaf, Salt, TraceId, commit};

use super::{Log, LogError, LogSigner, Outcome, Pseudonym, Settings, SideRow};
use crate::clock::Clock;
use crate::store::{Database, Snapshot};

/// Whose disclosures are to be erased, by whom and why. The log keeps all three as commitments.
#[derive(Clone, Debug)]
pub struct Erasure {
    /// The person.
    pub subject: Pseudonym,
    /// The legal basis or reason, without personal data: it is disclosed under nobody's key and stays.
    pub basis: String,
    /// Who does it.
    pub by: String,
    /// Random bytes for the entry, its trace and the three salts.
    pub random: fn() -> [u8; 16],
}

/// The name by which a log's store knows a person; reads the file only.
///
/// # Errors
/// `LOG_MISSING`, or `LOG_UNREADABLE` where the file with the subjects' keys is missing.
pub fn pseudonym(path: &Path, issuer: &str, subject: &str) -> Result<Pseudonym, LogError> {
    Ok(Snapshot::open(path)?.subjects().pseudonym(issuer, subject)?)
}

/// Erases everything that is disclosed about a person, in a log that no service has open, and records that.
///
/// The leaf and the emptied rows are one commit. Then the person's key is destroyed, so that copies made before open nothing
/// any more, and files and journals are written anew without the deleted pages. After a failure in between, run it again.
///
/// # Errors
/// `LOG_BUSY` while a service has the log open, `SUBJECT_UNKNOWN`, and whatever keeps the log from being opened or written.
pub async fn erase(
    path: &Path,
    signer: LogSigner,
    now_ms: Clock,
    settings: Settings,
    erasure: &Erasure,
) -> Result<(Vec<u8>, String), LogError> {
    let log = Log::open(path, signer, now_ms, settings)?;
    if !log.readers.subjects().knows(erasure.subject)? {
        return Err(LogError::new(Reason::SubjectUnknown, "nothing is disclosed about a person of this pseudonym"));
    }
    let first = log.proof(0)?.ok_or_else(|| LogError::new(Reason::LogTailMissing, "the log's first leaf is missing"))?;
    let (leaf, side_rows) = entry(erasure, Leaf::parse(&first.leaf)?.dev);
    let outcome = log.append(leaf, side_rows).await?;
    // Another connection would keep the journal from being emptied.
    drop(log);
    let Outcome::Appended { leaf, receipt, .. } = outcome else {
        return Err(LogError::new(Reason::Internal, "the erasure was not recorded, so nothing was erased"));
    };
    Database::open(path)?.shred(erasure.subject)?;
    Ok((leaf, receipt))
}

fn entry(erasure: &Erasure, dev: bool) -> (Leaf, Vec<SideRow>) {
    let text = |value: &str| Value::Text(value.to_owned());
    let subject: String = erasure.subject.to_string();
    let fields = [("basis", text(&erasure.basis)), ("by", text(&erasure.by)), ("subject", text(&subject))];
    let disclosures = fields.map(|(name, value)| Disclosure { name: name.to_owned(), salt: Salt::new((erasure.random)()), value });
    let leaf = Leaf {
        fields: disclosures.iter().map(|it| (it.name.clone(), commit(&it.salt, &it.name, &it.value))).collect(),
        dev,
        ..Leaf::draft(Kind::Erasure, EntryId::new((erasure.random)()), TraceId::new((erasure.random)()))
    };
    let rows = disclosures.into_iter().map(SideRow::disclosure).chain([SideRow::Erase(erasure.subject)]);
    (leaf, rows.collect())
}
