//! A disk under SQLite that loses what was not synchronised when its power fails, for tests of the log.
//!
//! A [`Machine`] is a directory. Every file that SQLite opens there, by whatever connection of this process, goes over a VFS
//! that passes everything on to the default one and remembers, for each file and each name, what was written since it was last
//! synchronised. When the power fails, each write that was not is kept, lost or torn at sectors, by a seeded choice; so are
//! truncations, and names that were made or removed. What is left is then what lies at the path. Everywhere else, SQLite runs
//! as it always does.
//!
//! Beyond that, a call may fail, and a synchronisation may lie.
//!
//! What it takes for granted, as SQLite does: a write changes no byte beside it (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`), and what
//! was synchronised stays. The shared memory of a write-ahead log is gone after a cut. Files that are written without SQLite,
//! such as an anchor, are on an honest disk.

mod chance;
mod disk;
mod file;
mod machine;
mod shim;

#[cfg(test)]
mod tests;

// The public interface is:
pub use chance::Chance;
pub use machine::{Call, Fault, Machine, Moment, Struck};
