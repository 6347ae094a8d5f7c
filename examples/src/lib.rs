//! Workflows that run alone, written as a user of the SDK would write them.

pub mod tool_server;
