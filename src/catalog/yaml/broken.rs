//! Why can a text not be read as YAML, and where does the reader have to look?
//!
//! Tabs are the commonest reason and the scanner seldom names them: it stumbles in a later line, or over
//! something that would be right without them. So they are taken out, to see whether it gets further.

use saphyr_parser::{Parser, ScanError};

use super::{Builder, MAX_DEPTH, parse};
use crate::domain::{Fix, Replacement, Span};

/// How many spaces a tab may stand for.
const WIDTHS: [usize; 3] = [2, 4, 8];

impl Builder<'_> {
    /// Tells what the scanner could not read.
    pub(super) fn broken(&mut self, error: &ScanError) {
        let span = self.span(saphyr_parser::Span::empty(*error.marker()));
        if let Some(tabs) = tabs_to_blame(self.text, span.line) {
            self.refuse("yaml-tab", tabs, "this line is indented with a tab", "indent with spaces");
            let fix = without_tabs(self.source, self.text);
            if let Some(found) = self.found.last_mut() {
                found.fix = fix.map(Box::new);
                found.place.span = Some(tabs);
            }
            return;
        }
        if let Some(before) = self.text[..span.start].strip_suffix(":\t") {
            return self.tab_after_colon(before.len() + 1, span);
        }
        let help = match error.info() {
            info if info.contains("recursion") => {
                let message = format!("this is nested more than {MAX_DEPTH} deep");
                return self.refuse("yaml-too-deep", span, &message, "make it flatter");
            }
            info if info.contains("mapping values") && is_first_key(self.text, span) => {
                "indent it as the line before, or further if it belongs to it"
            }
            info if info.contains("mapping values") => "put a text that contains `: ` in quotes",
            info if info.contains("unexpected character") => {
                "put a text that begins with this sign in quotes"
            }
            info if info.contains("quoted scalar") => "close the quotes",
            info if info.contains("directive") => "remove the line that begins with `%`",
            info if info.contains("flow") || info.contains(']') || info.contains('}') => {
                "close every `[` and `{`, and put commas between items"
            }
            _ => "look at the indentation and the quotes here and in the line before",
        };
        self.refuse("yaml-syntax", span, &format!("this is not YAML: {}", error.info()), help);
    }

    /// YAML allows it, our scanner does not.
    fn tab_after_colon(&mut self, start: usize, behind: Span) {
        let span = Span { start, end: start + 1, column: behind.column - 1, ..behind };
        self.refuse("yaml-tab", span, "a tab follows a colon", "put a space there");
        let edits = vec![Replacement { span, text: " ".to_owned() }];
        if let Some(found) = self.found.last_mut() {
            found.place.span = Some(span);
            found.fix = Some(Box::new(Fix { title: "put a space after the colon".to_owned(), edits }));
        }
    }
}

/// Whether a colon is the first of its line, so that a key stands before it.
fn is_first_key(text: &str, colon: Span) -> bool {
    let before = &text[..colon.start];
    let line = before.rsplit('\n').next().unwrap_or(before);
    !line.contains(": ")
}

/// A place behind the last line is none that anybody could go to; the end of that line is.
pub(super) fn inside(text: &str, span: Span) -> Span {
    let text = text.trim_end_matches(['\n', '\r']);
    if span.start < text.len() {
        return span;
    }
    let lines = text.replace("\r\n", "\n");
    let last = lines.rsplit(['\n', '\r']).next().unwrap_or("");
    Span {
        start: text.len(),
        end: text.len(),
        line: lines.matches(['\n', '\r']).count() + 1,
        column: last.chars().count() + 1,
    }
}

/// Each line that is indented with a tab: where its indentation begins, and the indentation.
fn tabbed(text: &str) -> impl Iterator<Item = (Span, &str)> {
    let mut start = 0;
    text.split_inclusive('\n').enumerate().filter_map(move |(index, line)| {
        let indent = indentation(line);
        let tab = indent.find('\t').zip(indent.rfind('\t'));
        let span = tab.map(|(first, last)| Span {
            start: start + first,
            end: start + last + 1,
            line: index + 1,
            column: first + 1,
        });
        start += line.len();
        Some((span?, indent))
    })
}

/// Blanks, and the marks of items and keys that blanks follow.
fn indentation(line: &str) -> &str {
    let bytes = line.as_bytes();
    let is_blank = |at: usize| matches!(bytes.get(at), Some(b' ' | b'\t'));
    let is_part = |at: usize| is_blank(at) || matches!(bytes[at], b'-' | b'?' | b':') && is_blank(at + 1);
    let end = (0..bytes.len()).find(|at| !is_part(*at)).unwrap_or(bytes.len());
    &line[..end]
}

/// The tabs because of which a text cannot be read beyond this line.
fn tabs_to_blame(text: &str, line: usize) -> Option<Span> {
    let spans: Vec<Span> = tabbed(text).map(|(span, _)| span).collect();
    let nearest = spans.iter().rev().find(|span| span.line <= line).or(spans.first())?;
    let gets_further = |width: usize| {
        let text = spaced(text, width);
        let stumbles = Parser::new_from_str(&text).find_map(Result::err);
        stumbles.is_none_or(|error| error.marker().line() > line)
    };
    (nearest.line == line || WIDTHS.into_iter().any(gets_further)).then_some(*nearest)
}

fn spaced(text: &str, width: usize) -> String {
    let spaces = " ".repeat(width);
    let one = |line: &str| {
        let indent = indentation(line);
        indent.replace('\t', &spaces) + &line[indent.len()..]
    };
    text.split_inclusive('\n').map(one).collect()
}

/// Spaces instead of the tabs, if the text says the same however many a tab is taken for.
fn without_tabs(source: &str, text: &str) -> Option<Fix> {
    let read = |width: usize| Some((width, parse(source, spaced(text, width).as_bytes()).ok()?.value()));
    let mut readings = WIDTHS.into_iter().filter_map(read);
    let (width, value) = readings.next()?;
    if !readings.all(|(_, other)| other == value) {
        return None;
    }
    let edits = tabbed(text).flat_map(|(span, indent)| {
        indent.match_indices('\t').map(move |(at, _)| {
            let start = span.start + 1 - span.column + at;
            let span = Span { start, end: start + 1, column: at + 1, ..span };
            Replacement { span, text: " ".repeat(width) }
        })
    });
    Some(Fix { title: "indent with spaces instead of tabs".to_owned(), edits: edits.collect() })
}
