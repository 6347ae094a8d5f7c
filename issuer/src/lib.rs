//! The issuer: mints capabilities and keeps the Merkle log.

pub mod log;
mod store;
