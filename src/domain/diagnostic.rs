//! What do we tell a person? One thing: code, place, message, help.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It must be mended.
    Error,
    /// It should be looked at.
    Warning,
}

/// The stable name of a kind of diagnostic, such as `unknown-relation-target`; each has a page in the docs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Code(pub &'static str);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A range of bytes in a text, with where it begins for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// First byte after it.
    pub end: usize,
    /// Line of the first byte, from 1.
    pub line: usize,
    /// Column of the first byte in characters, from 1.
    pub column: usize,
}

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// The file (a path in the repository), or what stands for it: `issue #42`.
    pub source: String,
    /// Where in it.
    pub span: Option<Span>,
    /// The field concerned, in words that its author knows: `inputs.name`, or a form's heading.
    pub field: Option<String>,
}

impl Place {
    /// A whole file.
    pub fn file(source: impl Into<String>) -> Self {
        Self { source: source.into(), span: None, field: None }
    }
}

/// Another place that explains the diagnostic: the first of two, or where something is declared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Related {
    /// Where.
    pub place: Place,
    /// What is there, in a few words.
    pub message: String,
}

/// A piece of a text and what to put there instead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Replacement {
    /// The bytes that go.
    pub span: Span,
    /// What comes in their place.
    pub text: String,
}

/// A change of the diagnostic's own file that mends it and leaves no doubt about what was meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Fix {
    /// What it does, as a command: "set `properties.tier` to `gold`".
    pub title: String,
    /// The changes, in the order of the text, none reaching into another.
    pub edits: Vec<Replacement>,
}

/// One thing to tell a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// Which kind.
    pub code: Code,
    /// Where.
    pub place: Place,
    /// What is wrong, in one sentence without a period.
    pub message: String,
    /// A few words under the very place.
    pub label: Option<String>,
    /// What to do.
    pub help: Option<String>,
    /// Other places that explain it.
    pub related: Vec<Related>,
    /// What mends it, where that is safe; few diagnostics have one.
    pub fix: Option<Box<Fix>>,
}

impl Diagnostic {
    /// An error of this kind at this place.
    pub fn error(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code: Code(code),
            place,
            message: message.into(),
            label: None,
            help: None,
            related: Vec::new(),
            fix: None,
        }
    }

    /// A warning of this kind at this place.
    pub fn warning(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, place, message) }
    }

    /// With words under the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// With what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With another place that explains it.
    #[must_use]
    pub fn related(mut self, place: Place, message: impl Into<String>) -> Self {
        self.related.push(Related { place, message: message.into() });
        self
    }

    /// With what mends it.
    #[must_use]
    pub fn fix(mut self, fix: Option<Fix>) -> Self {
        self.fix = fix.map(Box::new);
        self
    }

    /// The section of the docs about its kind.
    pub fn page(&self) -> String {
        format!("docs/diagnostics.md#{}", self.code)
    }
}

/// A number with its noun: `1 error`, `2 errors`.
pub fn counted<N: fmt::Display + PartialEq + From<u8>>(number: N, one: &str, several: &str) -> String {
    format!("{number} {}", if number == N::from(1) { one } else { several })
}

/// "did you mean …": the candidate nearest to `text`, if one is near enough.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    near(text, candidates).min().map(|(_, candidate)| candidate)
}

/// The candidate that must have been meant: the only one that is near. Any two short words are near.
pub fn only_near<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut found = near(text, candidates);
    let (_, first) = found.next()?;
    (text.chars().count() > 2 && found.next().is_none()).then_some(first)
}

/// The candidates that few changes of letters make of `text`, with how many.
fn near<'a>(
    text: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> impl Iterator<Item = (usize, &'a str)> {
    let letters = text.chars().count();
    // One letter, or one digit, is like no other.
    let limit = (letters / 3).max(1).min(letters.saturating_sub(1));
    candidates
        .into_iter()
        .filter(move |candidate| candidate.chars().count().abs_diff(letters) <= limit)
        .map(move |candidate| (distance(text, candidate), candidate))
        .filter(move |(distance, _)| *distance <= limit)
}

/// How many changes of letters make one of the other. What both begin with counts for nothing, and names of many things of a kind
/// begin alike.
fn distance(a: &str, b: &str) -> usize {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum::<usize>();
    strsim::osa_distance(&a[same..], &b[same..])
}
