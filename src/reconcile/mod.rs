//! How does it get done? The loop that looks, decides and acts until nothing is left to do.
//!
//! * `turn`: the loop as a value, without I/O: it hands out questions and acts;
//! * `batch`: many steps become few acts: one push a repository, one catalog commit for all runs;
//! * `hands`: the real answers and the real acts.

pub mod turn;
mod batch;

pub use turn::{Input, Output, Report, Turn};
