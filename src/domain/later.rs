//! What stands where a text is known only later? Outputs of steps and secrets, as data of their own beside the text
//! around them: nothing is ever looked for inside people's text.
//!
//! A value is JSON in which `{ $text: [...] }` stands for such a text: its pieces in order, each a text, `{ output: step.name }`,
//! `{ secret: env:NAME }` or `{ merged: 12h }`. One piece alone is the value itself, whatever its type.

use serde_json::{Map, Value, json};

use super::{SecretRef, StepId};

/// The key of the mapping that stands for a text with pieces.
pub const PIECES: &str = "$text";

/// How a template refers to what is known later, as a regular expression for what stands between its brackets. Groups: 1 or 2
/// the step and 3 its output; 4 the secret; 5 or 6 the input (that says where a secret is, maybe); 7 the merge and 8 what is
/// added to its time: an input or a quoted text.
pub const REFERENCE: &str = r#"\s*(?:steps(?:\.([A-Za-z_]\w*)|\[\s*["']([^"'\]]+)["']\s*\])\.outputs\.([A-Za-z_]\w*)|secrets\.([A-Z][A-Z0-9_]*)|inputs(?:\.([A-Za-z_]\w*)|\[\s*["']([^"'\]]+)["']\s*\])|(request\.mergedAt)(?:\s*\+\s*(inputs\.[A-Za-z_]\w*|"[^"]*"|'[^']*'))?)\s*"#;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Known.
    Text(String),
    /// What a step gives.
    Output(StepId, String),
    /// What is known only to whoever acts.
    Secret(SecretRef),
    /// When the request was merged, or this amount of time later.
    Merged(String),
}

impl Piece {
    fn read(value: &Value) -> Option<Self> {
        if let Some(text) = value.as_str() {
            return Some(Self::Text(text.to_owned()));
        }
        let word = |key: &str| value.get(key).and_then(Value::as_str);
        match (word("output"), word("secret"), word("merged")) {
            (Some(output), None, None) => {
                let (step, name) = output.rsplit_once('.')?;
                Some(Self::Output(step.parse().ok()?, name.to_owned()))
            }
            (None, Some(secret), None) => Some(Self::Secret(secret.parse().ok()?)),
            (None, None, Some(later)) => Some(Self::Merged(later.to_owned())),
            _ => None,
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Output(step, name) => json!({ "output": format!("{step}.{name}") }),
            Self::Secret(secret) => json!({ "secret": secret }),
            Self::Merged(later) => json!({ "merged": later }),
        }
    }

    /// As it stands in the action.
    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Output(step, name) => format!("{{{{ steps.{step}.outputs.{name} }}}}"),
            Self::Secret(secret) => format!("({secret})"),
            Self::Merged(later) if later.is_empty() => "(when it is merged)".to_owned(),
            Self::Merged(later) => format!("({later} after it is merged)"),
        }
    }
}

/// The value that stands for a text with these pieces.
pub fn text_of(pieces: &[Piece]) -> Value {
    match pieces {
        [] => Value::String(String::new()),
        [Piece::Text(text)] => Value::String(text.clone()),
        several => json!({ PIECES: several.iter().map(Piece::value).collect::<Vec<_>>() }),
    }
}

/// The pieces of a value that stands for a text with some.
fn pieces(value: &Value) -> Option<Vec<Piece>> {
    let entries = value.as_object().filter(|entries| entries.len() == 1)?;
    entries.get(PIECES)?.as_array()?.iter().map(Piece::read).collect()
}

/// Whether a value that people gave could be taken for one that stands for a text.
pub fn is_mistakable(value: &Value) -> bool {
    match value {
        Value::Object(entries) => entries.contains_key(PIECES) || entries.values().any(is_mistakable),
        Value::Array(items) => items.iter().any(is_mistakable),
        _ => false,
    }
}

/// Calls `seen` with every piece that is not known yet.
pub fn each_unknown(value: &Value, seen: &mut dyn FnMut(&Piece)) {
    match (pieces(value), value) {
        (Some(pieces), _) => {
            pieces.iter().filter(|piece| !matches!(piece, Piece::Text(_))).for_each(seen);
        }
        (None, Value::Object(entries)) => entries.values().for_each(|value| each_unknown(value, seen)),
        (None, Value::Array(items)) => items.iter().for_each(|value| each_unknown(value, seen)),
        _ => {}
    }
}

/// Whether a value depends on what steps give, or on when the request is merged.
pub fn needs_outputs(value: &Value) -> bool {
    let mut needs = false;
    each_unknown(value, &mut |piece| needs |= !matches!(piece, Piece::Text(_) | Piece::Secret(_)));
    needs
}

/// The value with every text as people read it.
pub fn shown(value: &Value) -> Value {
    let Ok(shown) = filled(value, &mut |piece| Ok::<_, String>(Some(Value::String(piece.shown())))) else {
        return value.clone();
    };
    shown
}

/// The value with what is known now put into its place: `fill` gives the value of a piece, or none where it stays.
///
/// # Errors
/// What `fill` says is wrong.
pub fn filled<E>(
    value: &Value,
    fill: &mut dyn FnMut(&Piece) -> Result<Option<Value>, E>,
) -> Result<Value, E> {
    if let Some(pieces) = pieces(value) {
        if let [piece] = &pieces[..] {
            return Ok(fill(piece)?.unwrap_or_else(|| value.clone()));
        }
        let mut made = Vec::new();
        for piece in pieces {
            let piece = match &piece {
                Piece::Text(_) => piece,
                other => match fill(other)? {
                    Some(Value::String(text)) => Piece::Text(text),
                    Some(value) => Piece::Text(value.to_string()),
                    None => piece,
                },
            };
            match (made.last_mut(), piece) {
                (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
                (_, piece) => made.push(piece),
            }
        }
        return Ok(text_of(&made));
    }
    Ok(match value {
        Value::Object(entries) => {
            let made: Result<Map<String, Value>, E> =
                entries.iter().map(|(key, value)| Ok((key.clone(), filled(value, fill)?))).collect();
            Value::Object(made?)
        }
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| filled(item, fill)).collect::<Result<_, E>>()?)
        }
        other => other.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_never_looked_into() {
        let apply: StepId = "apply".parse().unwrap();
        let body = json!({
            "n": text_of(&[Piece::Output(apply.clone(), "count".into())]),
            "t": text_of(&[Piece::Text("at ".into()), Piece::Output(apply.clone(), "url".into()), Piece::Text("!".into())]),
            "s": text_of(&[Piece::Text("Bearer ".into()), Piece::Secret("env:TOKEN".parse().unwrap())]),
            "k": [text_of(&[Piece::Text("plain".into())])],
        });
        assert_eq!(
            shown(&body),
            json!({ "n": "{{ steps.apply.outputs.count }}", "t": "at {{ steps.apply.outputs.url }}!", "s": "Bearer (env:TOKEN)", "k": ["plain"] })
        );
        // An output that looks like a secret stays what it is.
        let evil = json!({ PIECES: [{ "secret": "env:TOKEN" }] });
        let known = filled(&body, &mut |piece| {
            Ok::<_, String>(match piece {
                Piece::Output(_, name) if name == "count" => Some(json!(3)),
                Piece::Output(..) => Some(evil.clone()),
                _ => None,
            })
        })
        .unwrap();
        assert_eq!(known["n"], json!(3));
        assert_eq!(known["t"], json!(format!("at {evil}!")));
        assert_eq!(known["s"], body["s"]);
        assert!(is_mistakable(&evil) && !is_mistakable(&json!({ "text": [] })));
        assert!(needs_outputs(&body) && !needs_outputs(&known));
    }
}
