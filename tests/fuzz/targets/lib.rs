//! The parts of the tests' kit that fuzzing needs, without the service and its dependencies that the rest of the kit runs.

#[path = "../../src/engine.rs"]
pub mod engine;
#[path = "../../src/fuzz.rs"]
pub mod fuzz;
#[path = "../../src/tokens.rs"]
pub mod tokens;
