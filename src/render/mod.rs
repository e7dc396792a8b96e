//! How does text become files? Templates, edits of what people wrote, and a look at what came out.

mod template;
mod folder;
mod engine;
mod later;
mod inspect;
mod quote;
pub mod edit;

pub use folder::{Edit, Inputs, Rendered, check, check_names, each, edits, files, is_raw};
pub use inspect::inspect;
pub use later::payload;
pub use template::{Context, check_text, text, url, value};
