//! The one stateful service of Narrows: it exchanges logins for capabilities and keeps the Merkle log.

pub mod clients;
pub mod clock;
pub mod config;
pub mod http;
pub mod init;
pub mod keys;
pub mod telemetry;
