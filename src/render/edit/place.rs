//! Where in a document? `spec.containers[name=web].ports[0]."a.b"`

use super::tree::{Kind, Node};

/// One step from a value to one inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The value of this key.
    Key(String),
    /// The item at this position, from 0.
    Index(usize),
    /// The one item whose key has this value.
    Where(String, String),
}

/// The steps that a text names.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn read(text: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (step, after) = bracket(inside)?;
            steps.push(step);
            rest = after;
        } else {
            if !steps.is_empty() {
                rest = rest
                    .strip_prefix('.')
                    .ok_or_else(|| format!("a `.` or `[` is missing before `{rest}`"))?;
            }
            let (key, after) = word(rest, &['.', '['])?;
            steps.push(Step::Key(key));
            rest = after;
        }
    }
    if steps.is_empty() { Err("it is empty".to_owned()) } else { Ok(steps) }
}

fn bracket(text: &str) -> Result<(Step, &str), String> {
    let (word_inside, rest) = word(text, &['=', ']'])?;
    let (step, rest) = match rest.strip_prefix('=') {
        Some(rest) => {
            let (value, rest) = word(rest, &[']'])?;
            (Step::Where(word_inside, value), rest)
        }
        None => match word_inside.parse() {
            Ok(index) => (Step::Index(index), rest),
            Err(_) => {
                return Err(format!(
                    "`[{word_inside}]` is neither a position such as `[0]` nor a choice such as `[name=web]`"
                ));
            }
        },
    };
    Ok((step, rest.strip_prefix(']').ok_or("a `]` is missing")?))
}

/// A key as written, up to one of the ends; an expression in it is skipped over.
fn word<'a>(text: &'a str, ends: &[char]) -> Result<(String, &'a str), String> {
    if text.starts_with('"') {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
        return match values.next() {
            Some(Ok(key)) => Ok((key, &text[values.byte_offset()..])),
            _ => Err(format!("the quotes of `{text}` do not end")),
        };
    }
    let mut end = 0;
    while let Some(c) = text[end..].chars().next() {
        if text[end..].starts_with("{{") {
            end += text[end..].find("}}").ok_or("`{{` has no `}}`")? + 2;
        } else if ends.contains(&c) {
            break;
        } else {
            end += c.len_utf8();
        }
    }
    if end == 0 { Err("a key is missing".to_owned()) } else { Ok((text[..end].to_owned(), &text[end..])) }
}

/// The text that names these steps.
pub(super) fn show(steps: &[Step]) -> String {
    let word = |word: &str| {
        let simple = !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "_-/@:".contains(c));
        if simple { word.to_owned() } else { serde_json::Value::from(word).to_string() }
    };
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&word(key));
            }
            Step::Index(index) => text.push_str(&format!("[{index}]")),
            Step::Where(key, value) => text.push_str(&format!("[{}={}]", word(key), word(value))),
        }
    }
    text
}

/// How far the steps lead into a document.
pub(super) enum Found<'a> {
    /// To this value, along these plain keys and positions.
    Value(&'a Node),
    /// To this mapping, which lacks the last key.
    Missing(&'a Node, &'a str),
    /// Nowhere, since something on the way is not there; why, in words.
    Absent(String),
    /// Nowhere; why, in words.
    Nowhere(String),
}

/// Follows the steps.
pub(super) fn find<'a>(document: &'a Node, steps: &'a [Step]) -> Found<'a> {
    let mut node = document;
    for (index, step) in steps.iter().enumerate() {
        let here =
            || if index == 0 { "the document".to_owned() } else { format!("`{}`", show(&steps[..index])) };
        if node.special {
            return Found::Nowhere(format!(
                "{} has an anchor, alias or tag, which changes more than this place",
                here()
            ));
        }
        node = match (step, &node.kind) {
            (Step::Key(key), Kind::Map { entries, .. }) => {
                match entries.iter().find(|(name, _)| name.key() == *key) {
                    Some((_, value)) => value,
                    None if index + 1 == steps.len() => return Found::Missing(node, key),
                    None => return Found::Absent(format!("{} has no key `{key}`", here())),
                }
            }
            (Step::Index(at), Kind::List { items, .. }) => match items.get(*at) {
                Some(item) => item,
                None => return Found::Absent(format!("{} has {} items, so no [{at}]", here(), items.len())),
            },
            (Step::Where(key, value), Kind::List { items, .. }) => {
                let matches: Vec<_> = items.iter().filter(|item| has(item, key, value)).collect();
                match matches[..] {
                    [item] => item,
                    [] => {
                        return Found::Absent(format!("{} has 0 items with `{key}` being `{value}`", here()));
                    }
                    _ => {
                        let count = matches.len();
                        return Found::Nowhere(format!(
                            "{} has {count} items with `{key}` being `{value}`",
                            here()
                        ));
                    }
                }
            }
            (Step::Key(_), _) => return Found::Nowhere(format!("{} is no mapping", here())),
            (Step::Index(_) | Step::Where(..), _) => return Found::Nowhere(format!("{} is no list", here())),
        };
    }
    if node.has_special() {
        return Found::Nowhere(format!(
            "`{}` has an anchor, alias or tag, which changes more than this place",
            show(steps)
        ));
    }
    Found::Value(node)
}

fn has(item: &Node, key: &str, value: &str) -> bool {
    let Kind::Map { entries, .. } = &item.kind else { return false };
    entries.iter().any(|(name, found)| name.key() == key && found.key() == value)
}
