//! Which parts of a rendered text came from expressions?
//!
//! A second rendering puts characters that stand for nothing around each value that an expression writes, and
//! others around what a quoting filter gave. Without them it must be the first rendering; a template that looks
//! at what its own macros wrote gives something else, and then only its outermost expressions are known.

use std::ops::Range;

/// Which reader a filter wrote for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::render) enum Quoting {
    /// `yaml`.
    Yaml,
    /// `json` and `tojson`.
    Json,
    /// `hcl`.
    Hcl,
    /// `toml`.
    Toml,
    /// `raw`: the author answers for it.
    Raw,
}

/// Noncharacters of Unicode: no text that people exchange holds them.
const OPEN: char = '\u{fdd0}';
/// The same, before a text.
const OPEN_TEXT: char = '\u{fdd8}';
const CLOSE: char = '\u{fdd1}';
const QUOTED: [(Quoting, char); 5] = [
    (Quoting::Yaml, '\u{fdd2}'),
    (Quoting::Json, '\u{fdd3}'),
    (Quoting::Hcl, '\u{fdd4}'),
    (Quoting::Toml, '\u{fdd5}'),
    (Quoting::Raw, '\u{fdd6}'),
];
const END_QUOTED: char = '\u{fdd7}';

/// The value of an expression, marked; what a macro gave is marked inside already.
pub(super) fn value(text: &str, is_text: bool) -> String {
    match is_text {
        true if text.contains([OPEN, OPEN_TEXT]) => text.to_owned(),
        true => format!("{OPEN_TEXT}{text}{CLOSE}"),
        false => format!("{OPEN}{text}{CLOSE}"),
    }
}

/// What a filter gave, marked.
pub(super) fn quoted(by: Quoting, text: &str) -> String {
    let open = QUOTED.iter().find(|(quoting, _)| *quoting == by).map_or(OPEN, |(_, mark)| *mark);
    format!("{open}{text}{END_QUOTED}")
}

/// What one expression wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) range: Range<usize>,
    pub(super) quoting: Option<Quoting>,
    /// Whether it was a text, rather than a number or anything else.
    pub(super) is_text: bool,
}

/// The regions of a marked text, by their places in `plain`; none if that is not the same text without its marks.
pub(super) fn read(marked: &str, plain: &str) -> Option<Vec<Region>> {
    let (mut text, mut open, mut regions) = (String::with_capacity(plain.len()), Vec::new(), Vec::new());
    let (mut quoting, mut quoted) = (Vec::new(), Vec::new());
    for c in marked.chars() {
        match c {
            OPEN | OPEN_TEXT => open.push((text.len(), c == OPEN_TEXT)),
            CLOSE => {
                let (start, is_text) = open.pop()?;
                regions.push((start..text.len(), is_text));
            }
            END_QUOTED => {
                let (by, start): (Quoting, usize) = quoting.pop()?;
                quoted.push((by, start..text.len()));
            }
            c => match QUOTED.iter().find(|(_, mark)| *mark == c) {
                Some((by, _)) => quoting.push((*by, text.len())),
                None => text.push(c),
            },
        }
    }
    let is_whole = text == plain && open.is_empty() && quoting.is_empty();
    is_whole.then(|| {
        let by = |range: &Range<usize>| {
            let covers = |outer: &Range<usize>| outer.start <= range.start && range.end <= outer.end;
            quoted.iter().find(|(_, outer)| covers(outer)).map(|(by, _)| *by)
        };
        regions.into_iter().map(|(range, is_text)| Region { quoting: by(&range), range, is_text }).collect()
    })
}
