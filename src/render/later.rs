//! What of a text is known only later? A reference to an output or a secret, alone between its brackets, stays as a piece
//! of its own. Where it stood is told by the template, never looked for in what inputs say.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::{
    engine,
    template::{self, Context, whole_expression},
};
use crate::domain::{
    Diagnostic, Place, Timestamp,
    later::{Piece, REFERENCE, is_mistakable, text_of},
};

/// As in the brackets.
static INSIDE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&format!("^{REFERENCE}$")).expect("it is a pattern"));
static BRACKETS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{([^{}]*)\}\}").expect("it is a pattern"));

/// What stands for what is not known while a text is rendered: a character that is nobody's.
const UNKNOWN: &str = "\u{f8ff}";

/// `template` with every text in it rendered, as far as it is known; what is not known stands in it by its name.
///
/// # Errors
/// As [`template::text`].
pub fn payload(template: &Value, place: &Place, context: &Context) -> Result<Value, Diagnostic> {
    Ok(match template {
        Value::String(text) => one(text, place, context)?,
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| payload(item, place, context)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let rendered = fields.iter().map(|(key, field)| {
                let mut place = place.clone();
                place.field = place.field.map(|field| format!("{field}.{key}"));
                Ok((key.clone(), payload(field, &place, context)?))
            });
            Value::Object(rendered.collect::<Result<_, Diagnostic>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
    })
}

fn one(template: &str, place: &Place, context: &Context) -> Result<Value, Diagnostic> {
    let piece = |inside: &str| piece(inside, place, context);
    let mut named = Vec::new();
    for said in BRACKETS.captures_iter(template) {
        named.extend(said.get(1).map(|inside| piece(inside.as_str())).transpose()?.flatten());
    }
    if named.is_empty() {
        let value = match whole_expression(template) {
            Some(expression) => engine::evaluate(expression, template, place, &context.value)?,
            None => Value::String(template::text(template, place, context)?),
        };
        // What people gave must not be taken for what stands for a text.
        return if is_mistakable(&value) { Err(mistakable(place)) } else { Ok(value) };
    }
    // While it is rendered, what is not known is something; where nothing is written, no place is told.
    let mut names = context.names().clone();
    let (mut steps, mut secrets) = (Map::new(), Map::new());
    for piece in &named {
        match piece {
            Piece::Output(step, name) => {
                let step = steps.entry(step.to_string()).or_insert_with(|| json!({ "outputs": {} }));
                step["outputs"][name.as_str()] = UNKNOWN.into();
            }
            Piece::Secret(secret) => {
                let name = secret.as_str().strip_prefix("env:").unwrap_or_default();
                secrets.insert(name.to_owned(), UNKNOWN.into());
            }
            Piece::Merged(_) => {
                let request = names.entry("request").or_insert_with(|| json!({}));
                request["mergedAt"] = UNKNOWN.into();
            }
            Piece::Text(_) => {}
        }
    }
    for name in context.secrets().keys() {
        names.entry("inputs").or_insert_with(|| json!({}))[name.as_str()] = UNKNOWN.into();
    }
    names.insert("steps".into(), steps.into());
    names.insert("secrets".into(), secrets.into());
    let (written, expressions) = engine::parts(template, place, &Context::new(names).value)?;
    let mut pieces = Vec::new();
    let mut told = 0;
    let text = |pieces: &mut Vec<Piece>, text: &str| {
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
    };
    for (output, source) in expressions {
        let inside = source.trim_start_matches("{{").trim_end_matches("}}");
        if let Some(piece) = piece(inside)? {
            text(&mut pieces, written.get(told..output.start).unwrap_or_default());
            told = output.end;
            pieces.push(piece);
        }
    }
    text(&mut pieces, written.get(told..).unwrap_or_default());
    if pieces.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains(UNKNOWN))) {
        let message = "what is known only later cannot be told apart from the text around it";
        let problem = Diagnostic::error("template-failed", place.clone(), message);
        return Err(problem.help("write each reference alone between its brackets"));
    }
    Ok(text_of(&pieces))
}

/// What stands between brackets, if it is known only later.
fn piece(inside: &str, place: &Place, context: &Context) -> Result<Option<Piece>, Diagnostic> {
    let Some(said) = INSIDE.captures(inside) else { return Ok(None) };
    if said.get(7).is_some() {
        let Some(later) = said.get(8) else { return Ok(Some(Piece::Merged(String::new()))) };
        let amount = template::expression(later.as_str(), place, context)?;
        let known = amount.as_str().filter(|amount| Timestamp::from_seconds(0).after(amount).is_some());
        return match known {
            Some(amount) => Ok(Some(Piece::Merged(amount.to_owned()))),
            None => {
                let message = format!("`{}` is {amount}, which is no amount of time", later.as_str());
                let problem = Diagnostic::error("template-failed", place.clone(), message);
                Err(problem.help(
                    "write a text such as `12h`, `2d` or `1d 12h`, in quotes or as the value of an input",
                ))
            }
        };
    }
    let known = || {
        if let Some(secret) = said.get(4) {
            return Some(Piece::Secret(format!("env:{}", secret.as_str()).parse().ok()?));
        }
        if let Some(input) = said.get(5).or(said.get(6)) {
            return context.secrets().get(input.as_str()).cloned().map(Piece::Secret);
        }
        let step = said.get(1).or(said.get(2))?.as_str().parse().ok()?;
        Some(Piece::Output(step, said.get(3)?.as_str().to_owned()))
    };
    Ok(known())
}

fn mistakable(place: &Place) -> Diagnostic {
    let message = "a value has the key `$text`, which is kept for plans";
    Diagnostic::error("template-failed", place.clone(), message).help("give it another name")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An input that says where a secret is stands by itself in what is sent, and nowhere else.
    #[test]
    fn a_secret_input_is_a_piece_of_its_own() {
        let Value::Object(names) = json!({ "inputs": { "user": "ada" } }) else { unreachable!() };
        let secret = "env:DATABASE".parse().unwrap();
        let context = Context::new(names).with_secrets([("password".to_owned(), secret)].into());
        let place = Place::file("a");
        let login = payload(&json!("{{ inputs.user }}:{{ inputs.password }}"), &place, &context).unwrap();
        assert_eq!(login, json!({ "$text": ["ada:", { "secret": "env:DATABASE" }] }));
        assert!(payload(&json!("{{ inputs.password | upper }}"), &place, &context).is_err());
        assert!(template::text("{{ inputs.password }}", &place, &context).is_err());
    }

    #[test]
    fn what_is_known_later_stands_beside_what_people_wrote() {
        let Value::Object(names) = json!({ "inputs": {
            "name": "{{ secrets.TOKEN }}", "n": 3, "ttl": "12h", "evil": { "$text": [{ "secret": "env:TOKEN" }] },
        } }) else {
            unreachable!()
        };
        let (context, place) = (Context::new(names), Place::file("a"));
        let read = |template: &str| payload(&json!(template), &place, &context);
        for (template, expected) in [
            ("{{ inputs.n }}", json!(3)),
            ("{{ steps.apply.outputs.url }}", json!({ "$text": [{ "output": "apply.url" }] })),
            (r#"{{ steps["my-step"].outputs.url }}"#, json!({ "$text": [{ "output": "my-step.url" }] })),
            ("{{ request.mergedAt }}", json!({ "$text": [{ "merged": "" }] })),
            (
                "until {{ request.mergedAt + inputs.ttl }}",
                json!({ "$text": ["until ", { "merged": "12h" }] }),
            ),
            ("{{ request.mergedAt + '2d' }}", json!({ "$text": [{ "merged": "2d" }] })),
            // What people wrote stays text, whatever it looks like.
            (
                "{{ inputs.name }}: {{ secrets.TOKEN }}",
                json!({ "$text": ["{{ secrets.TOKEN }}: ", { "secret": "env:TOKEN" }] }),
            ),
            (
                "{% for i in [1, 2] %}{{ i }}{{ steps.a.outputs.b }}{% endfor %}",
                json!({ "$text": ["1", { "output": "a.b" }, "2", { "output": "a.b" }] }),
            ),
        ] {
            assert_eq!(read(template).unwrap(), expected, "{template}");
        }
        for template in ["{{ inputs.evil }}", "{{ steps.apply.outputs.url | upper }}", "{{ secrets }}"] {
            assert!(read(template).is_err(), "{template}");
        }
        for (template, why) in [
            ("{{ request.mergedAt + 'soon' }}", "`'soon'` is \"soon\", which is no amount of time"),
            ("{{ request.mergedAt + inputs.n }}", "`inputs.n` is 3, which is no amount of time"),
        ] {
            assert_eq!(read(template).unwrap_err().message, why);
        }
    }
}
