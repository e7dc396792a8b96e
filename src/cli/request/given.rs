//! What is said on the command line and in a file, before anything is asked?

use std::{path::Path, str::FromStr};

use anyhow::{Context, bail};
use serde_json::{Map, Value};

use crate::{
    catalog::{read_request, yaml},
    domain::{Action, Identifier, Login, Property, PropertyType, RepoPath, RequestFile},
};

/// One `NAME=VALUE`.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl FromStr for Given {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text itself is not repeated: it may hold a secret.
        let (name, text) = text.split_once('=').ok_or("write NAME=VALUE")?;
        Ok(Self { name: name.to_owned(), text: text.to_owned() })
    }
}

/// What a request says so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub(super) action: Option<String>,
    pub(super) entity: Option<Identifier>,
    pub(super) inputs: Map<String, Value>,
    pub(super) reason: Option<String>,
    pub(super) on_behalf_of: Option<Login>,
}

impl Draft {
    /// What a file says: a request, or inputs alone.
    #[expect(clippy::disallowed_methods, reason = "the file is one that the user names")]
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let cannot_read = || format!("cannot read `{}`", path.display());
        let bytes = std::fs::read(path).with_context(cannot_read)?;
        let source = path.to_string_lossy();
        let document = match yaml::parse(&source, &bytes) {
            Ok(document) => document,
            Err(problems) => {
                let problem = problems.first().map_or("", |problem| problem.message.as_str());
                bail!("{}: {problem}", cannot_read());
            }
        };
        let Value::Object(entries) = document.value() else {
            bail!("{}: it is no mapping of inputs", cannot_read())
        };
        if !entries.contains_key("action") {
            return Ok(Self { inputs: entries, ..Self::default() });
        }
        let name: RepoPath = "request.yaml".parse()?;
        match read_request(&name, &bytes) {
            Ok((file, _)) => Ok(Self::from(file)),
            Err(problems) => {
                let problem = problems.first().map_or("", |problem| problem.message.as_str());
                bail!("{}: {}", cannot_read(), crate::domain::masked(problem))
            }
        }
    }
}

impl From<RequestFile> for Draft {
    fn from(file: RequestFile) -> Self {
        let RequestFile { action, entity, inputs, reason, on_behalf_of } = file;
        Self { action: Some(action.to_string()), entity, inputs, reason, on_behalf_of }
    }
}

/// The texts of files that are given for inputs.
#[expect(clippy::disallowed_methods, reason = "the files are those that the user names")]
pub(super) fn of_files(given: &[Given]) -> anyhow::Result<Vec<Given>> {
    let read = |Given { name, text: path }: &Given| {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read `{path}` for `{name}`"))?;
        let Ok(text) = String::from_utf8(bytes) else {
            bail!("`{path}` is no text, and `{name}` can hold nothing else: put it where a link reaches it")
        };
        Ok(Given { name: name.clone(), text })
    };
    given.iter().map(read).collect()
}

/// The inputs that these texts give, as the action types them. What is no value of its type stays text, and is told
/// like every other mistake. A list may be given as several, one for each item.
pub(crate) fn inputs(action: &Action, given: &[Given]) -> Map<String, Value> {
    let mut inputs = Map::new();
    for Given { name, text } in given {
        let Some(property) = action.input(name) else {
            inputs.insert(name.clone(), text.as_str().into());
            continue;
        };
        let value = value(property, text);
        match (inputs.get_mut(name), &property.kind) {
            (Some(Value::Array(items)), PropertyType::Array) => match value {
                Value::Array(more) => items.extend(more),
                one => items.push(one),
            },
            _ => drop(inputs.insert(name.clone(), value)),
        }
    }
    inputs
}

/// A text as a value of this type.
pub(crate) fn value(property: &Property, text: &str) -> Value {
    let read = || yaml::parse("answer", text.as_bytes()).ok().map(|document| document.value());
    match property.kind {
        PropertyType::String => text.into(),
        PropertyType::Number => match read() {
            Some(number @ Value::Number(_)) => number,
            _ => text.into(),
        },
        PropertyType::Boolean => match text.to_lowercase().as_str() {
            "true" | "yes" => true.into(),
            "false" | "no" => false.into(),
            _ => text.into(),
        },
        PropertyType::Object => match read() {
            Some(found @ (Value::Object(_) | Value::Array(_))) => found,
            _ => text.into(),
        },
        PropertyType::Array => match read().filter(|_| text.trim_start().starts_with('[')) {
            Some(list @ Value::Array(_)) => list,
            _ => Value::Array(vec![match &property.items {
                Some(items) => self::value(items, text),
                None => text.into(),
            }]),
        },
    }
}
