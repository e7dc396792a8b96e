//! How does a command speak? This is the one place that writes to stdout.

use std::io::{self, Write};

use anyhow::Context;
use clap::ValueEnum;

/// For whom a command speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Prints text that has been made fit for a terminal. Whoever stops reading (`| head`) is not an error.
///
/// # Errors
/// When stdout cannot be written to.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.context("failed to print"),
    }
}

/// Prints one complaint to stderr.
#[expect(clippy::print_stderr, reason = "this is the one place that writes to stderr")]
pub fn complain(text: &str) {
    eprintln!("{}", plain(text));
}

/// Text of others without what a terminal would obey, and without what would reorder its letters.
pub fn plain(text: &str) -> String {
    let is_obeyed = |c: char| match c {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        c => c.is_control(),
    };
    text.chars().map(|c| if is_obeyed(c) { '\u{fffd}' } else { c }).collect()
}
