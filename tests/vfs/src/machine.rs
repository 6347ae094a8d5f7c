//! The machine that the disk is in: what runs on it, when its power fails, and what else goes wrong.

use std::collections::HashMap;
use std::ffi::c_int;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

use crate::chance::Chance;
use crate::disk::{Disk, Inode};
use crate::shim;

/// A directory whose SQLite files lie on a disk that forgets. Until it is dropped; other directories are not touched.
pub struct Machine {
    state: Arc<Mutex<State>>,
}

/// What SQLite asks of a disk that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// Opening a file that was not there.
    Create,
    /// Writing bytes.
    Write,
    /// Cutting a file to a length.
    Truncate,
    /// Waiting until everything written to a file is on the disk.
    Sync,
    /// Removing a name.
    Delete,
}

/// What goes wrong at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power fails before, within or after the call.
    Cut,
    /// Whatever runs is killed before or after the call. What was written stays with the system, synchronised or not.
    Kill,
    /// The call fails. What a synchronisation should have written never arrives, as on Linux; whoever reads still sees it.
    Error,
    /// The disk is full.
    Full,
    /// A synchronisation that says it is done; what it should have written never arrives.
    Lie,
    /// From this synchronisation on, each says that it is done and does nothing.
    LieOn,
}

/// The `nth` call, from 1, of this kind on a file with this ending, counted from when it is said.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Calls of this kind alone, or any.
    pub call: Option<Call>,
    /// Files whose name ends so, or any.
    pub file: &'static str,
    /// Which of these calls.
    pub nth: u64,
}

/// Where a fault struck.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Struck {
    /// The call.
    pub call: Call,
    /// The name of its file.
    pub file: String,
}

impl Machine {
    /// A running machine; `seed` decides what a cut leaves.
    ///
    /// # Panics
    /// When the directory is not there.
    pub fn new(directory: &Path, seed: u64) -> Self {
        let directory = directory.canonicalize().expect("a directory");
        let state = State {
            directory,
            disk: Disk::default(),
            chance: Chance::new(seed),
            power: Power::On,
            boot: 0,
            open: HashMap::new(),
            armed: Vec::new(),
            struck: Vec::new(),
            calls: 0,
            lying: false,
        };
        let state = Arc::new(Mutex::new(state));
        shim::attach(&state);
        Self { state }
    }

    /// Lets something go wrong, once, at this moment.
    pub fn arm(&self, moment: Moment, fault: Fault) {
        lock(&self.state).armed.push(Armed { moment, fault });
    }

    /// The power fails now.
    pub fn cut(&self) {
        lock(&self.state).power = Power::Off;
    }

    /// Whatever runs is killed now.
    pub fn kill(&self) {
        lock(&self.state).power = Power::Killed;
    }

    /// Whether neither a cut nor a kill has happened since the start.
    pub fn is_running(&self) -> bool {
        lock(&self.state).power == Power::On
    }

    /// Whether the power has failed.
    pub fn is_cut(&self) -> bool {
        lock(&self.state).power == Power::Off
    }

    /// How many calls there were since the start.
    pub fn calls(&self) -> u64 {
        lock(&self.state).calls
    }

    /// Where faults struck since this was asked last.
    pub fn struck(&self) -> Vec<Struck> {
        std::mem::take(&mut lock(&self.state).struck)
    }

    /// Goes on after a cut or a kill, with what is left. Nothing is armed any more.
    ///
    /// # Panics
    /// While a connection is open that ran before: it holds locks, and shared memory that a cut destroys.
    pub fn restart(&self) {
        let mut state = lock(&self.state);
        assert!(state.open.is_empty(), "a connection of the machine that went down is still open");
        if state.power == Power::Off {
            state.lose_the_unsynchronised();
        }
        state.power = Power::On;
        state.boot += 1;
        state.calls = 0;
        state.armed.clear();
        state.lying = false;
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        shim::detach(&self.state);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Power {
    On,
    Killed,
    Off,
}

struct Armed {
    moment: Moment,
    fault: Fault,
}

pub(crate) struct State {
    pub(crate) directory: PathBuf,
    disk: Disk,
    chance: Chance,
    power: Power,
    /// What was opened before the last restart is dead.
    boot: u64,
    /// Handles of each file.
    open: HashMap<PathBuf, usize>,
    armed: Vec<Armed>,
    struck: Vec<Struck>,
    calls: u64,
    lying: bool,
}

/// An open file of a machine.
pub(crate) struct Handle {
    pub(crate) state: Arc<Mutex<State>>,
    path: PathBuf,
    inode: Inode,
    boot: u64,
    /// The first synchronisation of a journal is one of its directory too, as the default VFS has it, also where a killed process
    /// had made the file.
    names_too: bool,
}

/// What is to be done with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether the file that lies at the path changes.
    pub(crate) done: bool,
    /// What SQLite is told.
    pub(crate) code: c_int,
}

impl State {
    /// Whether a handle of this boot still works.
    pub(crate) fn is_alive(&self, handle: &Handle) -> bool {
        self.power == Power::On && self.boot == handle.boot
    }

    pub(crate) const fn is_on(&self) -> bool {
        matches!(self.power, Power::On)
    }

    /// Before a file is opened: whether it would be a new one, after having looked at what others did to it.
    pub(crate) fn is_new(&mut self, path: &Path) -> bool {
        let there = fs::exists(path).expect("asking for a file");
        let known = self.disk.at(path);
        // Reading it beside an open handle would drop that handle's locks.
        let may_look = !self.open.contains_key(path) && (known.is_none() || self.disk.rests(path));
        match (there, known) {
            (false, Some(_)) => self.disk.delete(path),
            (true, _) if may_look => {
                self.disk.found(path, fs::read(path).expect("reading a file"));
            }
            _ => {}
        }
        !there
    }

    pub(crate) fn create(&mut self, path: &Path) -> Verdict {
        self.meet(Call::Create, path, ffi::SQLITE_CANTOPEN)
    }

    pub(crate) fn opened(&mut self, of: &Arc<Mutex<Self>>, path: &Path, new: bool, journal: bool) -> Handle {
        let inode = if new { self.disk.create(path) } else { self.disk.at(path).expect("a file that was looked at") };
        *self.open.entry(path.to_path_buf()).or_default() += 1;
        Handle { state: Arc::clone(of), path: path.to_path_buf(), inode, boot: self.boot, names_too: journal }
    }

    pub(crate) fn closed(&mut self, handle: &Handle) {
        let left = self.open.get_mut(&handle.path).expect("an open file");
        *left -= 1;
        if *left == 0 {
            self.open.remove(&handle.path);
        }
    }

    pub(crate) fn write(&mut self, handle: &Handle, offset: usize, bytes: &[u8]) -> Verdict {
        let verdict = self.meet(Call::Write, &handle.path, ffi::SQLITE_IOERR_WRITE);
        if verdict.done {
            self.disk.write(handle.inode, offset, bytes);
        }
        verdict
    }

    pub(crate) fn truncate(&mut self, handle: &Handle, length: usize) -> Verdict {
        let verdict = self.meet(Call::Truncate, &handle.path, ffi::SQLITE_IOERR_TRUNCATE);
        if verdict.done {
            self.disk.truncate(handle.inode, length);
        }
        verdict
    }

    pub(crate) fn delete(&mut self, path: &Path, names_too: bool) -> Verdict {
        let verdict = self.meet(Call::Delete, path, ffi::SQLITE_IOERR_DELETE);
        if verdict.done {
            self.disk.delete(path);
            if names_too && !self.lying {
                self.disk.sync_directory();
            }
        }
        verdict
    }

    pub(crate) fn sync(&mut self, handle: &mut Handle) -> c_int {
        let fault = self.strike(Call::Sync, &handle.path);
        self.lying |= fault == Some(Fault::LieOn);
        match fault {
            Some(Fault::Lie | Fault::Error | Fault::Full) => self.disk.lose(handle.inode),
            Some(Fault::Cut | Fault::Kill) if self.chance.once_in(2) => {}
            _ if self.lying => {}
            _ => {
                self.disk.sync(handle.inode);
                if std::mem::take(&mut handle.names_too) {
                    self.disk.sync_directory();
                }
            }
        }
        match fault {
            None | Some(Fault::Lie | Fault::LieOn) => ffi::SQLITE_OK,
            Some(_) => ffi::SQLITE_IOERR_FSYNC,
        }
    }

    fn meet(&mut self, call: Call, path: &Path, error: c_int) -> Verdict {
        match self.strike(call, path) {
            None | Some(Fault::Lie | Fault::LieOn) => Verdict { done: true, code: ffi::SQLITE_OK },
            Some(Fault::Full) => Verdict { done: false, code: ffi::SQLITE_FULL },
            Some(Fault::Cut | Fault::Kill | Fault::Error) => Verdict { done: self.chance.once_in(2), code: error },
        }
    }

    /// Counts a call, and lets happen what is armed for it.
    fn strike(&mut self, call: Call, path: &Path) -> Option<Fault> {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.calls += 1;
        let due = |armed: &mut Armed| {
            let counts = armed.moment.call.is_none_or(|kind| kind == call) && file.ends_with(armed.moment.file);
            armed.moment.nth = armed.moment.nth.saturating_sub(u64::from(counts));
            counts && armed.moment.nth == 0
        };
        let fault = self.armed.extract_if(.., due).map(|armed| armed.fault).next()?;
        match fault {
            Fault::Cut => self.power = Power::Off,
            Fault::Kill => self.power = Power::Killed,
            Fault::Error | Fault::Full | Fault::Lie | Fault::LieOn => {}
        }
        self.struck.push(Struck { call, file });
        Some(fault)
    }

    fn lose_the_unsynchronised(&mut self) {
        for (path, left) in self.disk.cut(&mut self.chance) {
            match left {
                Some(bytes) => {
                    let mut options = fs::OpenOptions::new();
                    let mut file = options.create(true).write(true).truncate(true).mode(0o600).open(path).expect("opening a file");
                    file.write_all(&bytes).expect("writing a file");
                }
                None if fs::exists(&path).expect("asking for a file") => fs::remove_file(path).expect("removing a file"),
                None => {}
            }
        }
        for file in fs::read_dir(&self.directory).expect("listing a directory").map(|file| file.expect("a file").path()) {
            if file.to_string_lossy().ends_with("-shm") {
                fs::remove_file(file).expect("removing a file");
            }
        }
    }
}

/// What a panic of a test leaves is as whole as before: nothing that is half done panics.
pub(crate) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
