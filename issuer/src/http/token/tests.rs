//! The token endpoint as clients meet it, in process: each rule and each bad request with its status, error and reason.

mod binding;
mod clients;
mod desk;
mod envelope;
mod grants;
mod narrowing;
mod parties;
mod replay;
mod views;
