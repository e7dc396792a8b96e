//! How is an action asked for in an issue? A form is made from the action, and the text that GitHub
//! makes of a filled-in form is read back, exactly that and nothing else.
//!
//! GitHub writes each answer below a line `### <label>`. An answer may hold such a line too, so only a
//! text with exactly the form's headings, each once and in order, is read: an answer can then never pass
//! for the answer to another question.

mod field;
mod generate;
mod parse;
mod fill;
mod link;

pub use field::{Listed, hash, lists, place_of};
pub(super) use field::{lists_by_input, only_if as depends_on};
pub use fill::fill;
pub use generate::{FOLDER, HEADER, generate, path_of};
pub use link::link;
pub use parse::{Reading, parse, parse_as};

#[cfg(test)]
mod tests;
