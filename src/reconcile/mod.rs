//! How does it get done? The loop that looks, decides and acts until nothing is left to do.
//!
//! * `turn`: the loop as a value, without I/O: it hands out questions and acts;
//! * `batch`: many steps become few acts: one push a repository, one catalog commit for all runs;
//! * `drive`: the loop in the world; `contents` and `hands`: the real answers and the real acts.

pub mod turn;
mod batch;
mod drive;
mod contents;
mod hands;

pub use contents::Reader;
pub use drive::drive;
pub use hands::{Counts, Hands, Settings};
pub use turn::{Input, MOST_ROUNDS, Output, Report, Stopped, Turn};
