//! What is told outside of Git and the forge? Each call carries out one step of a decision and tells what came of it.

mod http;
pub mod notify;
