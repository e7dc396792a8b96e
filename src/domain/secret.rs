//! What must never be printed?

use std::{fmt, sync::Arc};

/// A token. It cannot be printed; whoever needs its text says so with [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Hides a text; spaces and line ends around it, as files have them, are not part of it.
    pub fn new(text: &str) -> Self {
        Self(text.trim().into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}
