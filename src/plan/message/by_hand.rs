//! What does a change of the catalog do that no request made?

use std::fmt::Write as _;

use super::{cut, first_upper, plain};
use crate::{catalog::report, domain::Diagnostic};

/// The most that is said of each kind.
const MOST: usize = 20;

/// What there is to say.
#[derive(Debug, Default)]
pub struct ByHand<'a> {
    /// All of it in one line.
    pub title: &'a str,
    /// What is wrong.
    pub problems: &'a [Diagnostic],
    /// What becomes of which entity, a line each.
    pub entities: &'a [String],
    /// What becomes of requests that are open.
    pub open: Tried<'a>,
    /// What became of those that were carried out last, if they were asked today.
    pub past: Tried<'a>,
    /// Derived values and levels that would be lost, a line each.
    pub derived: &'a [String],
    /// What was not looked at, and why.
    pub untried: &'a [String],
}

impl ByHand<'_> {
    /// Whether there is anything but the title to say.
    pub fn is_something(&self) -> bool {
        let Self { title: _, problems, entities, open, past, derived, untried } = self;
        let lines = [entities, open.otherwise, past.otherwise, derived, untried];
        !problems.is_empty() || lines.iter().any(|lines| !lines.is_empty())
    }
}

/// Requests that were tried.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tried<'a> {
    /// How many.
    pub all: usize,
    /// Those that would come out otherwise, a line each.
    pub otherwise: &'a [String],
}

/// The marker of the comment on a change of the catalog that no request made.
pub fn by_hand_marker() -> &'static str {
    "<!-- chandlery:by-hand -->"
}

/// The comment on a change of the catalog that no request made: what is wrong with it, what becomes of which entity, and what of requests.
pub fn by_hand(said: &ByHand<'_>) -> String {
    let ByHand { title, problems, entities, open, past, derived, untried } = said;
    let mut text = format!("{}\n### {}\n", by_hand_marker(), first_upper(&plain(title)));
    if !problems.is_empty() {
        let shown = report::markdown(&problems[..problems.len().min(MOST)]);
        let _ = write!(text, "\n{shown}{}", more(problems.len()));
        text.push_str("\nPush a better change, and it is looked at again. `chandlery validate` says all that is wrong with the catalog.\n");
    }
    list(&mut text, "**Entities**", entities);
    if !open.otherwise.is_empty() {
        let (count, all) = (open.otherwise.len(), open.all);
        let heading = format!(
            "**Open requests**: {count} of {all} would come out otherwise, and what changes needs approval anew"
        );
        list(&mut text, &heading, open.otherwise);
    }
    if !past.otherwise.is_empty() {
        let (count, all) = (past.otherwise.len(), past.all);
        let heading = format!(
            "**What was carried out last**: {count} of {all} would come out otherwise, if they were asked with this. Nothing of them is changed"
        );
        list(&mut text, &heading, past.otherwise);
    }
    list(&mut text, "**Derived values**", derived);
    list(&mut text, "**Not tried**", untried);
    cut(text)
}

fn list(text: &mut String, heading: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = write!(text, "\n{heading}\n\n");
    for line in lines.iter().take(MOST) {
        let _ = writeln!(text, "- {line}");
    }
    text.push_str(&more(lines.len()));
}

fn more(all: usize) -> String {
    match all.saturating_sub(MOST) {
        0 => String::new(),
        left => format!("- … and {left} more\n"),
    }
}
