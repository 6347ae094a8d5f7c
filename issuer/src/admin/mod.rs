//! Administration: who may do what, each act with its leaf. It knows no HTTP.

mod act;
mod clients;
mod keys;
mod operators;
mod record;

// The public interface is:
pub use act::{Act, Method};
pub use clients::{Changed, add, disable, forget_secret, rotate, secret_id};
pub use keys::{KeyOffice, KeyStep, change_key};
pub use operators::{Operator, Operators};
pub use record::{done, refused};
