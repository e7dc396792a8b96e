//! What does a question in jq answer?
//!
//! `guard` says which programs may be asked at all: those that end, that see nothing but their input, and that cannot
//! make much of little. `run` compiles them, once each, and asks.

mod guard;
mod run;

pub use guard::Refusal;
pub use run::Expression;
