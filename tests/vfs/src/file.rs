//! An open file as SQLite sees it: ours in front, the default VFS's behind it in the same memory.

use std::ffi::{c_int, c_void};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods};

use crate::machine::{Handle, lock};

#[repr(C)]
struct File {
    base: sqlite3_file,
    /// Boxed; freed at close.
    handle: *mut Handle,
}

/// Bytes in front of the default VFS's own.
pub(crate) const SIZE: c_int = size_of::<File>() as c_int;

/// The default VFS's part.
///
/// # Safety
/// `file` is room that SQLite gave to our `xOpen`.
pub(crate) unsafe fn below(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: by the caller's word, there are `szOsFile` bytes
    unsafe { file.cast::<File>().add(1).cast() }
}

/// Makes an open file of the default VFS ours.
///
/// # Safety
/// As [`below`], whose part is open.
pub(crate) unsafe fn wrap(file: *mut sqlite3_file, handle: Handle) {
    let ours = File { base: sqlite3_file { pMethods: &raw const METHODS }, handle: Box::into_raw(Box::new(handle)) };
    // SAFETY: by the caller's word
    unsafe { file.cast::<File>().write(ours) };
}

/// # Safety
/// `file` is an open file of ours. SQLite uses one from one thread at a time, so nobody else has the handle.
unsafe fn handle<'a>(file: *mut sqlite3_file) -> &'a mut Handle {
    // SAFETY: by the caller's word
    unsafe { &mut *(*file.cast::<File>()).handle }
}

/// Calls the same method of the file below.
macro_rules! on {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        let below = below($file);
        (*(*below).pMethods).$method.expect(stringify!($method))(below $(, $argument)*)
    }};
}

/// # Safety
/// As [`handle`].
unsafe fn is_alive(file: *mut sqlite3_file) -> bool {
    // SAFETY: by the caller's word
    let handle = unsafe { handle(file) };
    lock(&handle.state).is_alive(handle)
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes an open file of ours once
    unsafe {
        let handle = Box::from_raw((*file.cast::<File>()).handle);
        let code = on!(file, xClose);
        lock(&handle.state).closed(&handle);
        code
    }
}

unsafe extern "C" fn read(file: *mut sqlite3_file, into: *mut c_void, amount: c_int, offset: sqlite3_int64) -> c_int {
    // SAFETY: handed on as SQLite gave it
    unsafe { if is_alive(file) { on!(file, xRead, into, amount, offset) } else { ffi::SQLITE_IOERR_READ } }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, from: *const c_void, amount: c_int, offset: sqlite3_int64) -> c_int {
    // SAFETY: SQLite gives so many bytes
    unsafe {
        let handle = handle(file);
        let bytes = std::slice::from_raw_parts(from.cast::<u8>(), usize::try_from(amount).expect("a length"));
        let verdict = {
            let mut state = lock(&handle.state);
            if !state.is_alive(handle) {
                return ffi::SQLITE_IOERR_WRITE;
            }
            state.write(handle, usize::try_from(offset).expect("an offset"), bytes)
        };
        let code = if verdict.done { on!(file, xWrite, from, amount, offset) } else { ffi::SQLITE_OK };
        if verdict.code == ffi::SQLITE_OK { code } else { verdict.code }
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    // SAFETY: an open file of ours
    unsafe {
        let handle = handle(file);
        let verdict = {
            let mut state = lock(&handle.state);
            if !state.is_alive(handle) {
                return ffi::SQLITE_IOERR_TRUNCATE;
            }
            state.truncate(handle, usize::try_from(length).expect("a length"))
        };
        let code = if verdict.done { on!(file, xTruncate, length) } else { ffi::SQLITE_OK };
        if verdict.code == ffi::SQLITE_OK { code } else { verdict.code }
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: an open file of ours
    let handle = unsafe { handle(file) };
    let state = std::sync::Arc::clone(&handle.state);
    let mut state = lock(&state);
    // The platter is in this process, so the real file needs no synchronisation.
    if state.is_alive(handle) { state.sync(handle) } else { ffi::SQLITE_IOERR_FSYNC }
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut sqlite3_int64) -> c_int {
    // SAFETY: handed on as SQLite gave it
    unsafe { if is_alive(file) { on!(file, xFileSize, out) } else { ffi::SQLITE_IOERR_FSTAT } }
}

unsafe extern "C" fn take_lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: handed on as SQLite gave it
    unsafe { if is_alive(file) { on!(file, xLock, level) } else { ffi::SQLITE_IOERR_LOCK } }
}

/// Also when the machine is down: the process that lives on must let go.
unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: handed on as SQLite gave it
    unsafe { on!(file, xUnlock, level) }
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: handed on as SQLite gave it
    unsafe { if is_alive(file) { on!(file, xCheckReservedLock, out) } else { ffi::SQLITE_IOERR_CHECKRESERVEDLOCK } }
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    // SAFETY: handed on as SQLite gave it
    unsafe { on!(file, xFileControl, operation, argument) }
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    // SAFETY: handed on as SQLite gave it
    unsafe { on!(file, xSectorSize) }
}

unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    // SAFETY: handed on as SQLite gave it
    unsafe { on!(file, xDeviceCharacteristics) }
}

unsafe extern "C" fn shm_map(file: *mut sqlite3_file, page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int {
    // SAFETY: handed on as SQLite gave it
    unsafe { if is_alive(file) { on!(file, xShmMap, page, size, extend, out) } else { ffi::SQLITE_IOERR_SHMMAP } }
}

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: handed on as SQLite gave it
    unsafe {
        let lets_go = flags & ffi::SQLITE_SHM_UNLOCK != 0;
        if lets_go || is_alive(file) { on!(file, xShmLock, offset, count, flags) } else { ffi::SQLITE_IOERR_SHMLOCK }
    }
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    // SAFETY: handed on as SQLite gave it
    unsafe { on!(file, xShmBarrier) }
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: handed on as SQLite gave it, but a machine that is down deletes nothing
    unsafe {
        let delete = if is_alive(file) { delete } else { 0 };
        on!(file, xShmUnmap, delete)
    }
}

/// Version 2: with shared memory for write-ahead logs, without memory-mapped reading, which would go past us.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(take_lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
