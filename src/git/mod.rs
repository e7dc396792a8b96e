//! What do repositories hold, and how are commits put there?
//!
//! The git program brings commits here and sends them there (`wire`); everything else works on
//! the objects of a bare copy in the cache (`mirror`), in memory: no work tree, no paths made
//! from input. All of it is synchronous: one blocking thread for a repository.

pub mod wire;
pub mod mirror;
pub mod objects;
pub mod tree;
mod packs;
mod loose;
pub mod bulk;
pub mod history;
pub mod touched;
pub mod landed;
pub mod write;
pub mod sign;
#[cfg(test)]
mod fixture;
