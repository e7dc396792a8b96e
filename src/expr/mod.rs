//! What does a question in jq answer?
//!
//! `guard` says which programs may be asked at all: those that end and see nothing but their input. `bound` says how much
//! they can make of it, and refuses those that make much of little. `names` says which properties they speak of. `run`
//! compiles them, once each, and asks.

mod guard;
mod amount;
mod bound;
mod names;
mod run;

pub use bound::Bound;
pub use guard::Refusal;
pub use run::{Expression, Input};
