//! How does it get done? The loop that looks, decides and acts until nothing is left to do.
//!
//! * `turn`: the loop as a value, without I/O: it hands out questions and acts;
//! * `batch`: many steps become few acts: one push a repository, one catalog commit for all runs;
//! * `contents` and `hands`: the real answers and the real acts.

pub mod turn;
mod batch;
mod contents;
pub mod hands;

pub use turn::{Input, Output, Report, Turn};
