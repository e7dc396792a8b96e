//! (being written)

pub mod config;
pub mod output;
pub mod validate;
pub mod generate;
