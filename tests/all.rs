//! Every integration test of Narrows, in one binary: a module a kind.

mod conformance;
mod end_to_end;
mod external;
mod laws;
mod power;
mod tidy;
