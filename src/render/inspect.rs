//! Is a rendered file what its name says, and did its template make all of its structure?
//!
//! What an expression writes into YAML, JSON, TOML or HCL must stay inside one value, key or comment. An input
//! such as `x\nadmin: true` would otherwise add a key. The filters `yaml`, `json`, `toml` and `hcl` write any value
//! safely, and with them an expression may give a whole list or mapping; `raw` lets it write anything.

pub(super) mod hcl;
pub(super) mod toml;

use std::{collections::BTreeSet, ops::Range};

use crate::domain::{Diagnostic, Place, RepoPath, Span};

use super::{
    edit::tree::{self, Kind, Node, Style, Unreadable},
    engine::Quoting,
};

/// A rendered text.
#[derive(Debug, Clone)]
pub(super) struct Written {
    /// The text.
    pub(super) text: String,
    /// What of it expressions wrote.
    pub(super) expressions: Vec<Expression>,
}

/// An expression of a template that wrote something.
#[derive(Debug, Clone)]
pub(super) struct Expression {
    /// What it wrote.
    pub(super) output: Range<usize>,
    /// Which filter of ours gave all of it.
    pub(super) quoting: Option<Quoting>,
    /// Whether its value is known to be a text, rather than a number or anything else.
    pub(super) is_text: bool,
    /// Where it is in the template.
    pub(super) place: Place,
}

/// A kind of file that we can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// `.yaml`, `.yml`.
    Yaml,
    /// `.json`.
    Json,
    /// `.toml`.
    Toml,
    /// `.tf`, `.tfvars`, `.hcl`.
    Hcl,
}

impl Language {
    /// By the ending of the name.
    pub(super) fn of(path: &RepoPath) -> Option<Self> {
        match path.extension()?.as_str() {
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            "toml" => Some(Self::Toml),
            "tf" | "tfvars" | "hcl" => Some(Self::Hcl),
            _ => None,
        }
    }

    /// What writes any value for it, as a filter.
    fn filter(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
            Self::Toml => "toml",
            Self::Hcl => "hcl",
        }
    }

    /// Whether its reader gets back what this filter was given.
    fn reads(self, quoting: Quoting) -> bool {
        match (self, quoting) {
            (Self::Yaml | Self::Json, Quoting::Yaml | Quoting::Json)
            | (Self::Toml, Quoting::Toml)
            | (Self::Hcl, Quoting::Hcl) => true,
            (Self::Yaml | Self::Json, Quoting::Hcl | Quoting::Toml | Quoting::Raw)
            | (Self::Toml, Quoting::Yaml | Quoting::Json | Quoting::Hcl | Quoting::Raw)
            | (Self::Hcl, Quoting::Yaml | Quoting::Json | Quoting::Toml | Quoting::Raw) => false,
        }
    }

    fn parse(self, text: &str) -> Result<Parsed, Unreadable> {
        match self {
            Self::Yaml => tree::yaml(text).map(|documents| Parsed::of(documents.iter(), text)),
            Self::Json => tree::json(text).map(|document| Parsed::of([&document], text)),
            Self::Toml => toml::parse(text),
            Self::Hcl => hcl::parse(text),
        }
    }

    /// Whether a comment begins in what stands before a place, behind the last value.
    fn comment_in(self, before: &str) -> Option<Comment> {
        let line = before.rsplit(['\n', '\r']).next().unwrap_or_default();
        match self {
            Self::Json => None,
            Self::Yaml | Self::Toml => line.contains('#').then_some(Comment::Line),
            Self::Hcl if before.rfind("/*") > before.rfind("*/") => Some(Comment::Block),
            Self::Hcl => (line.contains('#') || line.contains("//")).then_some(Comment::Line),
        }
    }
}

enum Comment {
    /// To the end of the line.
    Line,
    /// To `*/`.
    Block,
}

/// What is in a file that was read.
#[derive(Debug, Default)]
struct Parsed {
    /// Where texts and other values without parts are, without their quotes; in order.
    leaves: Vec<Range<usize>>,
    /// Those of them that are written without quotes and mean no text.
    others: BTreeSet<(usize, usize)>,
    /// All values, with their quotes.
    values: BTreeSet<(usize, usize)>,
}

impl Parsed {
    fn of<'a>(documents: impl IntoIterator<Item = &'a Node>, text: &str) -> Self {
        let mut parsed = Self::default();
        documents.into_iter().for_each(|document| parsed.collect(document, text));
        parsed.in_order()
    }

    fn in_order(mut self) -> Self {
        self.leaves.sort_by_key(|leaf| leaf.start);
        self
    }

    /// A number, a date and so on.
    fn other(&mut self, whole: Range<usize>) {
        self.others.insert((whole.start, whole.end));
        self.leaf(whole, 0);
    }

    fn leaf(&mut self, whole: Range<usize>, quotes: usize) {
        self.values.insert((whole.start, whole.end));
        self.leaves.push(
            whole.start + quotes..(whole.end.max(whole.start + quotes) - quotes).max(whole.start + quotes),
        );
    }

    fn collect(&mut self, node: &Node, text: &str) {
        match &node.kind {
            // The quotes themselves are the template's.
            Kind::Scalar { style: Style::Plain, .. }
                if text.get(node.start..node.end).is_some_and(yaml_takes_for_another) =>
            {
                self.other(node.start..node.end);
            }
            Kind::Scalar { style, .. } => {
                self.leaf(node.start..node.end, usize::from(matches!(style, Style::Single | Style::Double)));
            }
            // An alias stands for what is written elsewhere: no expression may write one.
            Kind::Alias => {}
            Kind::List { items, .. } => {
                self.values.insert((node.start, node.end));
                items.iter().for_each(|item| self.collect(item, text));
            }
            Kind::Map { entries, .. } => {
                self.values.insert((node.start, node.end));
                for (key, value) in entries {
                    self.collect(key, text);
                    self.collect(value, text);
                }
            }
        }
    }
}

/// What is wrong with this file, if its name says how to read it.
pub fn inspect(path: &RepoPath, bytes: &[u8]) -> Option<Diagnostic> {
    let language = Language::of(path)?;
    let problem = match std::str::from_utf8(bytes) {
        Ok(text) => language.parse(text).err()?,
        Err(_) => Unreadable { message: "it is not UTF-8".to_owned(), at: None },
    };
    Some(unreadable(path, &problem))
}

/// The same for what a template wrote, with a look at what its expressions did.
pub(super) fn written(path: &RepoPath, language: Language, written: &Written) -> Option<Diagnostic> {
    let Written { text, expressions } = written;
    let parsed = match language.parse(text) {
        Ok(parsed) => parsed,
        Err(problem) => {
            // Which expression is it that cannot be read there? The one without which it can.
            let is_to_blame = |expression: &&Expression| {
                let mut without = text.clone();
                without.replace_range(expression.output.clone(), "0");
                expression.quoting != Some(Quoting::Raw) && language.parse(&without).is_ok()
            };
            return Some(match expressions.iter().find(is_to_blame) {
                Some(expression) => {
                    let why = format!("which cannot be read then: {}", problem.message);
                    misplaced(path, language, text, expression, &why)
                }
                None => unreadable(path, &problem),
            });
        }
    };
    expressions.iter().find_map(|expression| {
        let range = expression.output.clone();
        let is_safe = match expression.quoting {
            Some(Quoting::Raw) => true,
            Some(quoting) if language.reads(quoting) && is_value(text, range.clone(), &parsed) => true,
            _ => stays_inside(language, text, range.clone(), &parsed.leaves),
        };
        if is_safe && expression.is_text && expression.quoting.is_none() {
            return taken_for_another(path, language, text, expression, &parsed);
        }
        if is_safe {
            return None;
        }
        Some(misplaced(path, language, text, expression, "which is more than one value there"))
    })
}

fn misplaced(
    path: &RepoPath,
    language: Language,
    text: &str,
    expression: &Expression,
    why: &str,
) -> Diagnostic {
    let wrote = text.get(expression.output.clone()).unwrap_or_default();
    let shown: String = wrote.chars().take(60).collect();
    let filter = language.filter();
    Diagnostic::error(
        "template-structure",
        expression.place.clone(),
        format!("this expression writes {shown:?} into `{path}`, {why}"),
    )
    .help(format!(
        "write `{{{{ … | {filter} }}}}`, without quotes around it: it quotes what needs quotes; `| raw` is for what only the template's author says"
    ))
}

/// A text that stands where its reader finds a number, a date or the like.
fn taken_for_another(
    path: &RepoPath,
    language: Language,
    text: &str,
    expression: &Expression,
    parsed: &Parsed,
) -> Option<Diagnostic> {
    let Range { start, end } = trimmed(text, expression.output.clone());
    let begun = parsed.leaves.partition_point(|leaf| leaf.start <= start);
    let leaf = parsed.leaves[begun.checked_sub(1)?].clone();
    let is_in_it = start < end && end <= leaf.end;
    if !is_in_it || !parsed.others.contains(&(leaf.start, leaf.end)) {
        return None;
    }
    let shown: String = text[leaf].chars().take(60).collect();
    let filter = language.filter();
    Some(
        Diagnostic::error(
            "text-without-quotes",
            expression.place.clone(),
            format!("this expression writes a text into `{path}` without quotes, where `{shown}` is read as something else"),
        )
        .help(format!(
            "write `{{{{ … | {filter} }}}}`, without quotes around it, so that it stays a text; if a number or the like is meant, make it one, as with `| int`, or write `| raw`"
        )),
    )
}

/// Whether some reader of YAML takes a plain scalar for anything but a text. Those of YAML 1.1 know more words and numbers.
fn yaml_takes_for_another(text: &str) -> bool {
    const WORDS: [&str; 8] = ["yes", "no", "on", "off", "y", "n", ".inf", ".nan"];
    let text = text.trim();
    if text.is_empty() {
        return false;
    }
    let word = text.trim_start_matches(['+', '-']).to_lowercase();
    let is_number = |text: &str| {
        let digits = text.replace(['_', ':'], "");
        text.starts_with(|c: char| c.is_ascii_digit())
            && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            && digits.matches('.').count() <= 1
    };
    let is_based = word.strip_prefix("0x").or_else(|| word.strip_prefix("0b")).is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'_')
    });
    !tree::resolve(text).is_string()
        || WORDS.contains(&word.as_str())
        || is_based
        || is_number(&word)
        || is_date(text)
}

/// Whether it begins as `2024-01-01` does, alone or with a time behind it.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits =
        |range: Range<usize>| bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    digits(0..4)
        && bytes.get(4) == Some(&b'-')
        && digits(5..7)
        && bytes.get(7) == Some(&b'-')
        && digits(8..10)
        && bytes.get(10).is_none_or(|byte| matches!(byte, b'T' | b't' | b' '))
}

/// The range without the space around what is in it.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let wrote = &text[range.clone()];
    let start = range.start + (wrote.len() - wrote.trim_start().len());
    start..start + wrote.trim().len()
}

/// Whether this is one whole value, whatever is in it.
fn is_value(text: &str, range: Range<usize>, parsed: &Parsed) -> bool {
    let range = trimmed(text, range);
    parsed.values.contains(&(range.start, range.end))
}

fn stays_inside(language: Language, text: &str, output: Range<usize>, leaves: &[Range<usize>]) -> bool {
    let wrote = &text[output.clone()];
    let begun = leaves.partition_point(|leaf| leaf.start <= output.start);
    let before = begun.checked_sub(1).map_or(0, |index| leaves[index].end);
    if before <= output.start {
        // Between two values: in a comment, it must stay there.
        match text.get(before..output.start).and_then(|between| language.comment_in(between)) {
            Some(Comment::Line) => return !wrote.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']),
            Some(Comment::Block) => return !wrote.contains("*/"),
            None => {}
        }
    }
    let Range { start, end } = trimmed(text, output);
    let begun = leaves.partition_point(|leaf| leaf.start <= start);
    let leaf = begun.checked_sub(1).map(|index| &leaves[index]);
    start == end || leaf.is_some_and(|leaf| start < leaf.end && end <= leaf.end)
}

/// Tells that a file cannot be read.
pub(super) fn unreadable(path: &RepoPath, problem: &Unreadable) -> Diagnostic {
    let span = problem.at.map(|(line, column)| Span { start: 0, end: 0, line, column });
    Diagnostic::error(
        "broken-output",
        Place { span, ..Place::file(path.as_str()) },
        format!("`{path}` cannot be read: {}", problem.message),
    )
}
