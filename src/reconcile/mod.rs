//! (being written)
mod contents;
pub mod hands;
