//! How does an asking come in? By whatever door, it means the same.

pub mod form;
pub mod issue_form;
pub mod request_schema;
mod hint;

pub use form::{Accepted, Chosen, Levels, Lookup, Searched, Sources, accept};
