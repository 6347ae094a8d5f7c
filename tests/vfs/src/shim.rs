//! The VFS as SQLite sees it: everything goes to the default one, and files of a machine are wrapped.

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_vfs};

use crate::file;
use crate::machine::{Handle, State, lock};

type Shared = Arc<Mutex<State>>;

/// SQLite has one list of VFS a process, so what is attached to ours is one list a process as well.
static MACHINES: Mutex<Vec<Shared>> = Mutex::new(Vec::new());

/// Makes SQLite ask us for the files of this machine, which is taken down with [`detach`].
pub(crate) fn attach(machine: &Shared) {
    static REGISTERED: OnceLock<()> = OnceLock::new();
    REGISTERED.get_or_init(register);
    MACHINES.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(machine));
}

pub(crate) fn detach(machine: &Shared) {
    MACHINES.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| !Arc::ptr_eq(other, machine));
}

fn machine_of(path: &Path) -> Option<Shared> {
    let machines = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    machines.iter().find(|machine| path.starts_with(&lock(machine).directory)).map(Arc::clone)
}

fn register() {
    // SAFETY: the default VFS lives as long as the process, and so does ours, which is leaked. It is registered once.
    unsafe {
        assert_eq!(ffi::sqlite3_initialize(), ffi::SQLITE_OK);
        let default = ffi::sqlite3_vfs_find(ptr::null());
        assert!(!default.is_null(), "SQLite has no default VFS");
        let ours = Box::new(sqlite3_vfs {
            // without the system calls of version 3, which nothing here replaces
            iVersion: 2,
            szOsFile: file::SIZE + (*default).szOsFile,
            mxPathname: (*default).mxPathname,
            pNext: ptr::null_mut(),
            zName: c"forgetful".as_ptr(),
            pAppData: default.cast(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            xDlOpen: None,
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: Some(current_time),
            xGetLastError: Some(last_error),
            xCurrentTimeInt64: Some(current_time_64),
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        });
        assert_eq!(ffi::sqlite3_vfs_register(Box::into_raw(ours), 1), ffi::SQLITE_OK);
    }
}

/// # Safety
/// `vfs` is ours.
unsafe fn default(vfs: *mut sqlite3_vfs) -> *mut sqlite3_vfs {
    // SAFETY: by the caller's word; `register` put it there
    unsafe { (*vfs).pAppData.cast() }
}

/// # Safety
/// `name` is null or a string that outlives the answer.
unsafe fn path<'a>(name: *const c_char) -> Option<&'a Path> {
    // SAFETY: by the caller's word
    (!name.is_null()).then(|| Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes())))
}

unsafe extern "C" fn open(vfs: *mut sqlite3_vfs, name: *const c_char, into: *mut sqlite3_file, flags: c_int, out: *mut c_int) -> c_int {
    // SAFETY: SQLite hands over ours, a name or null, and room of `szOsFile` bytes
    unsafe {
        let default = default(vfs);
        let below = (*default).xOpen.expect("xOpen");
        let Some(path) = path(name) else { return below(default, name, into, flags, out) };
        let Some(machine) = machine_of(path) else { return below(default, name, into, flags, out) };
        // no method, no close: until the file below is open
        (*into).pMethods = ptr::null();
        let mut state = lock(&machine);
        if !state.is_on() {
            return ffi::SQLITE_CANTOPEN;
        }
        let new = state.is_new(path) && flags & ffi::SQLITE_OPEN_CREATE != 0;
        if new {
            let verdict = state.create(path);
            if verdict.code != ffi::SQLITE_OK {
                return verdict.code;
            }
        }
        let code = below(default, name, file::below(into), flags, out);
        if code == ffi::SQLITE_OK {
            let journal = flags & (ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL) != 0;
            let handle: Handle = state.opened(&machine, path, new, journal && flags & ffi::SQLITE_OPEN_CREATE != 0);
            file::wrap(into, handle);
        }
        code
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync_directory: c_int) -> c_int {
    // SAFETY: SQLite hands over ours and a name
    unsafe {
        let default = default(vfs);
        let below = (*default).xDelete.expect("xDelete");
        let path = path(name).expect("a name");
        let Some(machine) = machine_of(path) else { return below(default, name, sync_directory) };
        let mut state = lock(&machine);
        if !state.is_on() {
            return ffi::SQLITE_IOERR_DELETE;
        }
        if state.is_new(path) {
            return ffi::SQLITE_IOERR_DELETE_NOENT;
        }
        let verdict = state.delete(path, sync_directory != 0);
        let code = if verdict.done { below(default, name, 0) } else { ffi::SQLITE_OK };
        if verdict.code == ffi::SQLITE_OK { code } else { verdict.code }
    }
}

unsafe extern "C" fn access(vfs: *mut sqlite3_vfs, name: *const c_char, flags: c_int, out: *mut c_int) -> c_int {
    // SAFETY: SQLite hands over ours and a name
    unsafe {
        let dead = path(name).and_then(machine_of).is_some_and(|machine| !lock(&machine).is_on());
        let default = default(vfs);
        if dead { ffi::SQLITE_IOERR_ACCESS } else { (*default).xAccess.expect("xAccess")(default, name, flags, out) }
    }
}

unsafe extern "C" fn full_pathname(vfs: *mut sqlite3_vfs, name: *const c_char, size: c_int, out: *mut c_char) -> c_int {
    // SAFETY: handed on as SQLite gave it
    unsafe { (*default(vfs)).xFullPathname.expect("xFullPathname")(default(vfs), name, size, out) }
}

unsafe extern "C" fn randomness(vfs: *mut sqlite3_vfs, size: c_int, out: *mut c_char) -> c_int {
    // SAFETY: handed on as SQLite gave it
    unsafe { (*default(vfs)).xRandomness.expect("xRandomness")(default(vfs), size, out) }
}

unsafe extern "C" fn sleep(vfs: *mut sqlite3_vfs, microseconds: c_int) -> c_int {
    // SAFETY: handed on as SQLite gave it
    unsafe { (*default(vfs)).xSleep.expect("xSleep")(default(vfs), microseconds) }
}

unsafe extern "C" fn current_time(vfs: *mut sqlite3_vfs, out: *mut f64) -> c_int {
    // SAFETY: handed on as SQLite gave it
    unsafe { (*default(vfs)).xCurrentTime.expect("xCurrentTime")(default(vfs), out) }
}

unsafe extern "C" fn current_time_64(vfs: *mut sqlite3_vfs, out: *mut sqlite3_int64) -> c_int {
    // SAFETY: handed on as SQLite gave it
    unsafe { (*default(vfs)).xCurrentTimeInt64.expect("xCurrentTimeInt64")(default(vfs), out) }
}

unsafe extern "C" fn last_error(vfs: *mut sqlite3_vfs, size: c_int, out: *mut c_char) -> c_int {
    // SAFETY: handed on as SQLite gave it
    unsafe { (*default(vfs)).xGetLastError.expect("xGetLastError")(default(vfs), size, out) }
}
