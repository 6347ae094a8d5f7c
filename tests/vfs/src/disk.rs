//! What is on the platter and what is only on its way there: names and contents, each since it was last synchronised.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::chance::Chance;

/// A file by its content, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inode(usize);

#[derive(Default)]
pub(crate) struct Disk {
    names: BTreeMap<PathBuf, Name>,
    contents: Vec<Content>,
}

struct Name {
    durable: Option<Inode>,
    /// What it has been since the directory was last synchronised. After a cut it is any of these, or what it was before.
    since: Vec<Option<Inode>>,
}

#[derive(Default)]
struct Content {
    durable: Vec<u8>,
    since: Vec<Change>,
    /// Something was lost that whoever reads the file still sees.
    lossy: bool,
}

enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

/// How much of a file's changes reaches the platter without being asked for.
#[derive(Clone, Copy)]
enum Mood {
    Nothing,
    Everything,
    /// The first so many, the next one torn.
    First(usize),
    /// Each for itself.
    Some,
}

impl Disk {
    /// What lies under this name now.
    pub(crate) fn at(&self, path: &Path) -> Option<Inode> {
        let name = self.names.get(path)?;
        name.since.last().copied().unwrap_or(name.durable)
    }

    /// Whether nothing of this name or its content is on its way.
    pub(crate) fn rests(&self, path: &Path) -> bool {
        let rests = |inode: Inode| self.contents[inode.0].since.is_empty() && !self.contents[inode.0].lossy;
        self.names.get(path).is_none_or(|name| name.since.is_empty() && name.durable.is_none_or(rests))
    }

    /// A file that was there before, or was written by others, as it is on the platter.
    pub(crate) fn found(&mut self, path: &Path, bytes: Vec<u8>) -> Inode {
        let inode = self.fresh(bytes);
        self.names.insert(path.to_path_buf(), Name { durable: Some(inode), since: Vec::new() });
        inode
    }

    pub(crate) fn create(&mut self, path: &Path) -> Inode {
        let inode = self.fresh(Vec::new());
        self.rename(path, Some(inode));
        inode
    }

    pub(crate) fn delete(&mut self, path: &Path) {
        self.rename(path, None);
    }

    pub(crate) fn write(&mut self, inode: Inode, offset: usize, bytes: &[u8]) {
        self.contents[inode.0].since.push(Change::Write { offset, bytes: bytes.to_vec() });
    }

    pub(crate) fn truncate(&mut self, inode: Inode, length: usize) {
        self.contents[inode.0].since.push(Change::Truncate(length));
    }

    pub(crate) fn sync(&mut self, inode: Inode) {
        let Content { durable, since, .. } = &mut self.contents[inode.0];
        since.drain(..).for_each(|change| change.apply(durable));
    }

    /// What is on its way never arrives, though whoever reads the file now still sees it.
    pub(crate) fn lose(&mut self, inode: Inode) {
        let content = &mut self.contents[inode.0];
        content.lossy |= !content.since.is_empty();
        content.since.clear();
    }

    pub(crate) fn sync_directory(&mut self) {
        for name in self.names.values_mut() {
            name.durable = name.since.drain(..).next_back().unwrap_or(name.durable);
        }
    }

    /// The power fails: what lies under each name afterwards.
    pub(crate) fn cut(&mut self, chance: &mut Chance) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        for content in &mut self.contents {
            content.cut(chance);
        }
        let mut left = BTreeMap::new();
        for (path, name) in &mut self.names {
            let choices = name.since.len() as u64 + 1;
            let chosen = usize::try_from(chance.below(choices)).expect("few names");
            let inode = chosen.checked_sub(1).map_or(name.durable, |later| name.since[later]);
            *name = Name { durable: inode, since: Vec::new() };
            left.insert(path.clone(), inode.map(|inode| self.contents[inode.0].durable.clone()));
        }
        self.forget_the_nameless();
        left
    }

    fn rename(&mut self, path: &Path, inode: Option<Inode>) {
        let name = self.names.entry(path.to_path_buf()).or_insert(Name { durable: None, since: Vec::new() });
        name.since.push(inode);
    }

    fn fresh(&mut self, durable: Vec<u8>) -> Inode {
        self.contents.push(Content { durable, since: Vec::new(), lossy: false });
        Inode(self.contents.len() - 1)
    }

    /// A number is never given twice; what it stood for takes no room.
    fn forget_the_nameless(&mut self) {
        let named: Vec<Inode> = self.names.values().filter_map(|name| name.durable).collect();
        for (number, content) in self.contents.iter_mut().enumerate() {
            if !named.contains(&Inode(number)) {
                *content = Content::default();
            }
        }
    }
}

impl Content {
    fn cut(&mut self, chance: &mut Chance) {
        self.lossy = false;
        let mood = match chance.below(4) {
            0 => Mood::Nothing,
            1 => Mood::Everything,
            2 => Mood::First(usize::try_from(chance.below(self.since.len() as u64 + 1)).expect("few changes")),
            _ => Mood::Some,
        };
        for (place, change) in self.since.drain(..).enumerate() {
            let (kept, torn) = match mood {
                Mood::Nothing => (false, false),
                Mood::Everything => (true, false),
                Mood::First(count) => (place < count, place == count),
                Mood::Some => (chance.once_in(2), chance.once_in(4)),
            };
            match change {
                Change::Write { offset, bytes } if torn => tear(&mut self.durable, offset, &bytes, chance),
                change if kept => change.apply(&mut self.durable),
                // The length of a file can arrive without what was written there.
                Change::Write { offset, bytes } if self.durable.len() < offset + bytes.len() && chance.once_in(8) => {
                    self.durable.resize(offset + bytes.len(), 0);
                }
                _ => {}
            }
        }
    }
}

impl Change {
    fn apply(self, to: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => put(to, offset, &bytes),
            Self::Truncate(length) => to.resize(length, 0),
        }
    }
}

/// Some of the sectors that a write touches are written, others stay.
fn tear(to: &mut Vec<u8>, offset: usize, bytes: &[u8], chance: &mut Chance) {
    let mut done = 0;
    while done < bytes.len() {
        let end = bytes.len().min(done + SECTOR - (offset + done) % SECTOR);
        if chance.once_in(2) {
            put(to, offset + done, &bytes[done..end]);
        }
        done = end;
    }
}

fn put(to: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[offset..end].copy_from_slice(bytes);
}

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;
