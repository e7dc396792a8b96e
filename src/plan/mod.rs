//! What should happen next? (being written)
pub mod facts;
pub mod step;
