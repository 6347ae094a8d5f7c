//! The house keeps its own rules: each rule that a compiler can't check is a test here.

mod dependencies;
mod doors;
mod folder_map;
mod purity;
mod reason_codes;
mod secrets;
mod shown_by;
mod sizes;
mod sources;
mod words;
