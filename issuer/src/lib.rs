//! The one stateful service of Narrows: it exchanges logins for capabilities and keeps the Merkle log.

pub mod app;
pub mod audit;
mod client_auth;
pub mod clients;
pub mod clock;
pub mod config;
pub mod derivation;
pub mod egress;
pub mod exchange;
pub mod federation;
pub mod http;
pub mod init;
pub mod introspection;
pub mod jose;
pub mod keys;
pub mod log;
pub mod mint;
mod record;
pub mod report_rate;
pub mod revocation;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod witness;
