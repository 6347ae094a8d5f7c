//! The kit of the tests: what a test needs from outside the project, run for real on the loopback interface.

pub mod engine;
pub mod forged;
pub mod fuzz;
pub mod holder;
pub mod http;
pub mod issuer;
pub mod leaves;
pub mod mcp_server;
pub mod packages;
pub mod program;
pub mod provider;
pub mod scratch;
pub mod tls;
pub mod tokens;
pub mod tool;
pub mod vectors;
pub mod witness;
