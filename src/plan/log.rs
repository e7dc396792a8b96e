//! What does the log of a script or workflow tell us? Lines of the form `::output name=value`, `::link title=URL` and
//! `::progress text`. They are data: limited in number and length, without control characters.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// How many of the last lines are kept.
pub const LAST: usize = 20;

/// The longest line that is kept, in characters.
const LONGEST_LINE: usize = 300;
/// The longest output, in characters.
const LONGEST_OUTPUT: usize = 4_000;
/// How many outputs and links are taken.
const MOST: usize = 50;

/// What was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Told {
    /// Outputs by name; the last of a name counts.
    pub outputs: Map<String, Value>,
    /// Links by title.
    pub links: BTreeMap<String, String>,
    /// The last line that told how far it is.
    pub progress: Option<String>,
    /// The last lines of the rest.
    pub last: Vec<String>,
}

/// Reads a log.
pub fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> Told {
    let mut told = Told::default();
    for line in lines {
        let line = without_time(line.trim_end());
        if let Some((name, value)) = line.strip_prefix("::output ").and_then(|said| said.split_once('=')) {
            if is_name(name.trim()) && (told.outputs.len() < MOST || told.outputs.contains_key(name.trim())) {
                told.outputs.insert(name.trim().to_owned(), plain(value, LONGEST_OUTPUT).into());
            }
        } else if let Some((title, url)) = line.strip_prefix("::link ").and_then(|said| said.split_once('='))
        {
            if told.links.len() < MOST
                && let Some(url) = link(url)
            {
                told.links.insert(plain(title, 80), url);
            }
        } else if let Some(text) = line.strip_prefix("::progress ") {
            told.progress = Some(plain(text, LONGEST_LINE));
        } else if !line.trim().is_empty() {
            if told.last.len() == LAST {
                told.last.remove(0);
            }
            told.last.push(plain(line, LONGEST_LINE));
        }
    }
    told
}

/// GitHub writes the time in front of each line.
fn without_time(line: &str) -> &str {
    match line.split_once(' ') {
        Some((time, rest))
            if time.len() >= 20 && time.ends_with('Z') && time.parse::<jiff::Timestamp>().is_ok() =>
        {
            rest
        }
        _ => line,
    }
}

/// Whether an output may be called so.
pub fn is_name(name: &str) -> bool {
    name.len() <= 60
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// An address that can be followed, if this is one.
pub fn link(url: &str) -> Option<String> {
    let url = url.trim();
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    let is_plain = url.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>()[]`\"\\".contains(&byte));
    (is_web && is_plain && url.len() <= 1_000).then(|| url.to_owned())
}

/// A line as it is, without what colours it.
pub fn uncoloured(line: &str) -> String {
    plain_of(line.trim_end(), usize::MAX)
}

/// A text without control characters (and what colours it), not too long.
pub fn plain(text: &str, most: usize) -> String {
    plain_of(text.trim(), most)
}

fn plain_of(text: &str, most: usize) -> String {
    let mut made = String::new();
    let mut chars = text.chars();
    let mut count = 0;
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            for c in chars.by_ref() {
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        } else if !c.is_control() {
            if count == most {
                made.push('…');
                break;
            }
            count += 1;
            made.push(c);
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_data() {
        let log = "2026-11-24T10:00:00.1234567Z ::output url=https://a.test/x\nplain \u{1b}[31mred\u{1b}[0m\u{7}\n\
            ::output bad name=1\n::output n=1\n::output n=2\n::link Plan=https://a.test/plan\n::link Evil=javascript:alert(1)\n\
            ::progress half\n";
        let told = read(log.lines());
        assert_eq!(Value::Object(told.outputs), serde_json::json!({ "url": "https://a.test/x", "n": "2" }));
        assert_eq!(told.links, BTreeMap::from([("Plan".to_owned(), "https://a.test/plan".to_owned())]));
        assert_eq!((told.progress.as_deref(), &told.last[..]), (Some("half"), &["plain red".to_owned()][..]));
        let many: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        assert_eq!(read(many.iter().map(String::as_str)).last.len(), LAST);
    }
}
