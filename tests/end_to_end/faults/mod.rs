//! What disks, operators and thieves do to a log, against the real program.

mod clocks;
mod disks;
mod files;
mod floods;
mod retention;
mod rollbacks;
