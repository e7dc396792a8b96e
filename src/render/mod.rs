//! How does text become files? Templates, edits of what people wrote, and a look at what came out.

mod template;
mod inspect;
pub mod edit;

pub use inspect::inspect;
pub use template::{Context, check, check_text, files, path, payload, text, url, value};
