//! What does an expression say, in words? Only of the simple ones; the others are shown as they are.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::domain::Action;

/// An expression after "only if"; inputs are called as the form calls them.
pub(super) fn in_words(action: &Action, text: &str) -> String {
    said(action, text)
        .unwrap_or_else(|| format!("`{}`", text.split_whitespace().collect::<Vec<_>>().join(" ")))
}

fn said(action: &Action, text: &str) -> Option<String> {
    static PART: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#"^\(?\s*\.form(?:\.([A-Za-z_]\w*)|\["([^"\\]+)"\])\s*(?:(==|!=|>=|<=|>|<)\s*("[^"\\]*"|-?\d+(?:\.\d+)?|true|false|null))?\s*\)?$"#,
        )
        .expect("it is a pattern")
    });
    // Within a text `and` means nothing; those are left alone.
    let parts: Vec<&str> = text.trim().split(" and ").collect();
    let words = parts.into_iter().map(|part| {
        let found = PART.captures(part.trim())?;
        let name = found.get(1).or(found.get(2))?.as_str();
        let title = action.input(name)?.title.as_deref().unwrap_or(name);
        let (Some(operator), Some(value)) = (found.get(3), found.get(4)) else {
            return Some(format!("“{title}” is given and not no"));
        };
        let value = match serde_json::from_str(value.as_str()).ok()? {
            Value::String(text) if !text.contains('`') && !text.is_empty() => format!("`{text}`"),
            Value::Bool(true) => "yes".to_owned(),
            Value::Bool(false) => "no".to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Null => {
                return match operator.as_str() {
                    "==" => Some(format!("“{title}” is not given")),
                    "!=" => Some(format!("“{title}” is given")),
                    _ => None,
                };
            }
            _ => return None,
        };
        let is = match operator.as_str() {
            "==" => "is",
            "!=" => "is not",
            ">" => "is more than",
            "<" => "is less than",
            ">=" => "is at least",
            _ => "is at most",
        };
        Some(format!("“{title}” {is} {value}"))
    });
    let words = words.collect::<Option<Vec<_>>>()?;
    let balanced = text.matches('(').count() == text.matches(')').count();
    balanced.then(|| words.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::read_action;

    #[test]
    fn simple_expressions_are_words() {
        let file = b"identifier: ask\ntrigger: { operation: CREATE, blueprintIdentifier: x, userInputs: { properties: { size: { type: string, title: How large }, n: { type: number }, b-c: { type: boolean } } } }\nentities: [{ create: { blueprint: x, identifier: y } }]\n";
        let action = read_action(&"actions/ask.yaml".parse().unwrap(), file).unwrap();
        for (text, words) in [
            (".form.size == \"large\"", "“How large” is `large`"),
            ("(.form.n >= 3) and .form[\"b-c\"]", "“n” is at least 3 and “b-c” is given and not no"),
            (".form.n != null", "“n” is given"),
            (".form[\"b-c\"] == true", "“b-c” is yes"),
            (".form.size == \"this and that\"", "`.form.size == \"this and that\"`"),
            (".form.size == \"a\" or .form.n", "`.form.size == \"a\" or .form.n`"),
            (".entity.properties.x == 1", "`.entity.properties.x == 1`"),
            (".form.nobody == 1", "`.form.nobody == 1`"),
        ] {
            assert_eq!(in_words(&action, text), words, "{text}");
        }
    }
}
