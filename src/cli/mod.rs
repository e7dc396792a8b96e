//! (being written)

pub mod output;
pub mod validate;
