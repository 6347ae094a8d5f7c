//! What runs on the machine: callers of all lanes at once, and a ledger of what they were answered.

use std::sync::{Arc, Mutex};

use narrows_issuer::{
    log::{Log, Outcome, Pseudonym, SideRow},
    revocation::{Revoked, Target},
};
use narrows_tests::leaves::example;
use narrows_verifier::{
    BlockId, EntryId, Reason, TaskId,
    json::Value,
    log::{Disclosure, Kind, Leaf, Salt, TraceId, Verdict},
};
use narrows_vfs::Chance;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::Place;

/// What callers were answered: only that was promised.
#[derive(Default)]
pub struct Answers {
    /// Each receipt with its leaf.
    pub receipts: Vec<(String, Vec<u8>)>,
    /// Proofs that were spent.
    pub spent: Vec<SideRow>,
    /// People about whom something is disclosed, and whether they are erased.
    pub subjects: Vec<(Pseudonym, bool)>,
    /// The keys of the erased.
    pub destroyed_keys: Vec<Vec<u8>>,
}

/// Lets many callers append until there are so many answers, or nothing works any more.
pub async fn run(place: &mut Place, log: &Arc<Log>, answers: usize) {
    let ledger = Arc::new(Mutex::new(std::mem::take(&mut place.known.answers)));
    let enough = ledger.lock().unwrap().receipts.len() + answers;
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..CALLERS {
        let mut caller = Caller {
            log: Arc::clone(log),
            ledger: Arc::clone(&ledger),
            subjects: place.scratch.join("data").join("subjects.db"),
            chance: Chance::new(place.chance.number() ^ number),
            task: None,
            person: None,
        };
        callers.spawn(async move { while caller.wants(enough) && caller.act().await.is_some() {} });
    }
    let fold = place.chance.once_in(3);
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
        if fold && callers.len() == CALLERS as usize / 2 {
            place.fold();
        }
    }
    place.known.answers = Arc::into_inner(ledger).unwrap().into_inner().unwrap();
}

struct Caller {
    log: Arc<Log>,
    ledger: Arc<Mutex<Answers>>,
    subjects: std::path::PathBuf,
    chance: Chance,
    /// A task of this caller that is in the log.
    task: Option<TaskId>,
    /// Somebody about whom this caller has disclosed something.
    person: Option<Pseudonym>,
}

impl Caller {
    fn wants(&self, enough: usize) -> bool {
        self.ledger.lock().unwrap().receipts.len() < enough
    }

    /// One request; nothing when it was not answered.
    async fn act(&mut self) -> Option<()> {
        match (self.chance.below(16), self.task, self.person) {
            (0..=5, Some(task), _) => self.report(task).await,
            (6, ..) => self.revoke().await,
            (7, _, Some(person)) if self.chance.once_in(2) => self.erase(person).await,
            _ => self.mint().await,
        }
    }

    async fn mint(&mut self) -> Option<()> {
        let leaf = mint(&mut self.chance);
        let task = leaf.task.unwrap();
        let person = match self.person {
            Some(person) if !self.chance.once_in(4) => person,
            _ => Pseudonym(bytes(&mut self.chance)),
        };
        let spent = SideRow::SingleUse { key: bytes(&mut self.chance), expires_s: u64::MAX, reason: Reason::ProofReplayed };
        let mut rows = vec![SideRow::Subject(person), SideRow::NewTask { task, expires_s: u64::MAX, max_hops: 1000 }, spent.clone()];
        rows.extend(["chain/0", "client"].map(|name| SideRow::disclosure(opened(name))));
        self.append(leaf, rows).await?;
        let mut ledger = self.ledger.lock().unwrap();
        ledger.spent.push(spent);
        ledger.subjects.push((person, false));
        (self.task, self.person) = (Some(task), Some(person));
        Some(())
    }

    async fn report(&mut self, task: TaskId) -> Option<()> {
        let block_id = BlockId::new(bytes(&mut self.chance));
        let leaf = Leaf { task: Some(task), blocks: vec![block_id], ..drafted(&Kind::Hop, &mut self.chance) };
        let rows = vec![SideRow::TaskHop { task }, SideRow::Derivation { block_id }, SideRow::disclosure(opened("caveats"))];
        self.append(leaf.clone(), rows.clone()).await?;
        if self.chance.once_in(4) {
            // again, and its old leaf is answered
            self.append(leaf, rows).await?;
        }
        Some(())
    }

    async fn revoke(&mut self) -> Option<()> {
        let block = BlockId::new(bytes(&mut self.chance));
        let leaf = Leaf { blocks: vec![block], ..drafted(&Kind::Revoke, &mut self.chance) };
        let revoked = Revoked { target: Target::Block(block), before_s: None, until_s: 1 << 40 };
        self.append(leaf, vec![SideRow::Revoke(revoked)]).await
    }

    async fn erase(&mut self, person: Pseudonym) -> Option<()> {
        let key = self.key_of(person);
        let leaf = drafted(&Kind::Erasure, &mut self.chance);
        // nobody says any more about the person, so that there is one answer to whether it is known
        (self.person, self.task) = (None, None);
        self.ledger.lock().unwrap().subjects.retain(|(known, _)| *known != person);
        self.append(leaf, vec![SideRow::Erase(person), SideRow::Shred(person)]).await?;
        let mut ledger = self.ledger.lock().unwrap();
        ledger.subjects.push((person, true));
        ledger.destroyed_keys.extend(key);
        Some(())
    }

    fn key_of(&self, person: Pseudonym) -> Option<Vec<u8>> {
        let connection = Connection::open_with_flags(&self.subjects, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        let key = connection.query_row("SELECT key FROM subject WHERE pseudonym = ?1", [person.0], |row| row.get(0));
        key.optional().ok()?
    }

    async fn append(&self, leaf: Leaf, rows: Vec<SideRow>) -> Option<()> {
        match self.log.append(leaf, rows).await {
            Ok(Outcome::Appended { leaf, receipt, .. } | Outcome::Existing { leaf, receipt, .. }) => {
                self.ledger.lock().unwrap().receipts.push((receipt, leaf));
                Some(())
            }
            Ok(Outcome::Refused(reason)) => panic!("refused: {reason:?}"),
            Err(_) => None,
        }
    }
}

/// A mint of a task of its own.
pub fn mint(chance: &mut Chance) -> Leaf {
    Leaf { task: Some(TaskId::new(bytes(chance))), blocks: vec![BlockId::new(bytes(chance))], ..drafted(&Kind::Mint, chance) }
}

fn drafted(kind: &Kind, chance: &mut Chance) -> Leaf {
    Leaf { id: EntryId::new(bytes(chance)), trace: TraceId::new(bytes(chance)), ..example(kind, Verdict::Allow, false) }
}

/// What opens a commitment of an [`example`].
fn opened(name: &str) -> Disclosure {
    Disclosure { name: name.to_owned(), salt: Salt::new([3; 16]), value: Value::Text("x".to_owned()) }
}

fn bytes<const N: usize>(chance: &mut Chance) -> [u8; N] {
    std::array::from_fn(|_| chance.number() as u8)
}

const CALLERS: u64 = 8;
