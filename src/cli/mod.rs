//! (being written)

pub mod output;
pub mod validate;
pub mod generate;
