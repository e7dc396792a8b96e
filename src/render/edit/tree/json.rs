//! The same tree for JSON, whose tabs and escapes a YAML parser would refuse.

use serde_json::Value;

use super::{Kind, MAX_DEPTH, Node, Style, Unreadable};

/// The document of a JSON text.
pub(super) fn read(text: &str) -> Result<Node, Unreadable> {
    serde_json::from_str::<Value>(text).map_err(|error| Unreadable {
        message: error.to_string(),
        at: Some((error.line().max(1), error.column().max(1))),
    })?;
    let mut scanner = Scanner { text, at: 0, depth: 0 };
    scanner.value()
}

/// Walks over a text that is known to be JSON.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Scanner<'_> {
    fn peek(&mut self) -> u8 {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn value(&mut self) -> Result<Node, Unreadable> {
        if self.depth > MAX_DEPTH {
            return Err(Unreadable::new(format!("it is nested more than {MAX_DEPTH} levels deep")));
        }
        self.depth += 1;
        let first = self.peek();
        let start = self.at;
        let kind = match first {
            b'{' => {
                let mut entries: Vec<(Node, Node)> = Vec::new();
                self.at += 1;
                while self.peek() != b'}' {
                    let key = self.value()?;
                    if entries.iter().any(|(other, _)| other.key() == key.key()) {
                        return Err(Unreadable::new(format!("the key `{}` is there twice", key.key())));
                    }
                    self.peek();
                    self.at += 1;
                    entries.push((key, self.value()?));
                    self.skip_comma();
                }
                self.at += 1;
                Kind::Map { flow: true, entries }
            }
            b'[' => {
                let mut items = Vec::new();
                self.at += 1;
                while self.peek() != b']' {
                    items.push(self.value()?);
                    self.skip_comma();
                }
                self.at += 1;
                Kind::List { flow: true, items }
            }
            _ => self.scalar(first)?,
        };
        self.depth -= 1;
        Ok(Node { start, end: self.at, kind, special: false })
    }

    fn skip_comma(&mut self) {
        if self.peek() == b',' {
            self.at += 1;
        }
    }

    fn scalar(&mut self, first: u8) -> Result<Kind, Unreadable> {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let style = if first == b'"' { Style::Double } else { Style::Plain };
        let length = if first == b'"' {
            let mut escaped = false;
            let end = rest.iter().skip(1).position(|byte| {
                let ends = *byte == b'"' && !escaped;
                escaped = *byte == b'\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |end| end + 2)
        } else {
            rest.iter().position(|byte| b",]} \t\r\n".contains(byte)).unwrap_or(rest.len())
        };
        self.at += length;
        let value = serde_json::from_str(&self.text[start..self.at])
            .map_err(|error| Unreadable::new(error.to_string()))?;
        Ok(Kind::Scalar { value, style })
    }
}
