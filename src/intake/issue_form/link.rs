//! Which address opens an action's form with answers in it?

use serde_json::{Map, Value};

use super::{
    field::{Answer, Asks, NO, YES, fields},
    generate::{input_id, path_of},
};
use crate::domain::{Action, Identifier};

/// What follows the address of the repository. Answers to what the form does not ask have no place in it.
pub fn link(action: &Action, entity: Option<&Identifier>, inputs: &Map<String, Value>) -> Option<String> {
    let file = path_of(&action.identifier)?;
    let mut query = vec![("template".to_owned(), file.file_name().to_owned())];
    if let Some(entity) = entity {
        query.push(("title".to_owned(), format!("{}: {entity}", action.title)));
    }
    for field in fields(action) {
        match field.asks {
            Asks::Entity => query.extend(entity.map(|entity| ("entity".to_owned(), entity.to_string()))),
            Asks::Input(name, _) => {
                let given = inputs.get(name).filter(|value| !value.is_null());
                query.extend(given.map(|value| (input_id(action, name), text(&field.answer, value))));
            }
            Asks::Action | Asks::OnBehalf | Asks::Reason => {}
        }
    }
    let query: Vec<String> =
        query.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    Some(format!("/issues/new?{}", query.join("&")))
}

/// An answer as somebody would type it.
fn text(answer: &Answer, value: &Value) -> String {
    let one = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => YES.to_owned(),
        Value::Bool(false) => NO.to_owned(),
        other => other.to_string(),
    };
    match (answer, value) {
        (Answer::Choices(_) | Answer::Entities(_), Value::Array(items)) => {
            items.iter().map(one).collect::<Vec<_>>().join(", ")
        }
        (Answer::Lines { .. }, Value::Array(items)) => items.iter().map(one).collect::<Vec<_>>().join("\n"),
        (_, value) => one(value),
    }
}

fn escaped(text: &str) -> String {
    let mut made = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => made.push(byte as char),
            byte => made.push_str(&format!("%{byte:02X}")),
        }
    }
    made
}
