//! The kit of the tests: what a test needs from outside the project, run for real on the loopback interface.

pub mod provider;
