//! How is one question put at a terminal?

use inquire::{Autocomplete, CustomUserError, MultiSelect, Select, Text, validator::Validation};
use serde_json::Value;

use crate::cli::output;

/// What stands for no answer in a list.
const NOTHING: &str = "(nothing)";
/// How many lines of a list are shown at once.
pub(super) const PAGE: usize = 10;

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}

pub(super) fn one_of(
    label: &str,
    help: &str,
    values: &[Value],
    default: Option<&Value>,
    is_needed: bool,
) -> anyhow::Result<Option<Value>> {
    let may_be_nothing = !is_needed && default.is_none();
    let mut texts: Vec<String> = values.iter().map(shown).collect();
    if may_be_nothing {
        texts.insert(0, NOTHING.to_owned());
    }
    let cursor = default.and_then(|default| values.iter().position(|value| value == default)).unwrap_or(0);
    let mut ask = Select::new(label, texts).with_page_size(PAGE).with_starting_cursor(cursor);
    if !help.is_empty() {
        ask = ask.with_help_message(help);
    }
    let index = ask.raw_prompt()?.index;
    Ok(match (may_be_nothing, index) {
        (true, 0) => None,
        (true, index) => Some(values[index - 1].clone()),
        (false, index) => Some(values[index].clone()),
    })
}

pub(super) fn some_of(
    label: &str,
    help: &str,
    values: &[Value],
    default: Option<&Value>,
) -> anyhow::Result<Option<Value>> {
    if values.is_empty() {
        output::complain(&format!("{label} there is nothing to choose from"));
        return Ok(None);
    }
    let chosen: Vec<usize> = default
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|one| values.iter().position(|value| value == one))
        .collect();
    let mut ask = MultiSelect::new(label, values.iter().map(shown).collect())
        .with_page_size(PAGE)
        .with_default(&chosen);
    if !help.is_empty() {
        ask = ask.with_help_message(help);
    }
    let picked: Vec<Value> = ask.raw_prompt()?.into_iter().map(|one| values[one.index].clone()).collect();
    Ok((!picked.is_empty() || default.is_some()).then_some(picked.into()))
}

/// What a text is completed to.
#[derive(Clone)]
struct Known(Vec<String>);

impl Known {
    fn like(&self, typed: &str) -> Vec<String> {
        let typed = typed.to_lowercase();
        self.0.iter().filter(|name| name.to_lowercase().contains(&typed)).take(PAGE * 5).cloned().collect()
    }
}

impl Autocomplete for Known {
    fn get_suggestions(&mut self, typed: &str) -> Result<Vec<String>, CustomUserError> {
        Ok(self.like(typed))
    }

    /// The one that is marked, or the only one that it can be.
    fn get_completion(
        &mut self,
        typed: &str,
        marked: Option<String>,
    ) -> Result<Option<String>, CustomUserError> {
        let only = match &self.like(typed)[..] {
            [one] => Some(one.clone()),
            _ => None,
        };
        Ok(marked.or(only))
    }
}

/// A text, with those that are known to choose from as it is typed.
pub(super) fn completed(
    label: &str,
    known: Vec<String>,
    is_needed: bool,
    default: Option<&str>,
    help: Option<&str>,
) -> anyhow::Result<Option<String>> {
    // Enter takes what is typed, which nobody expects who sees a list.
    let how = if known.is_empty() { "" } else { "type, or choose with ↑↓ and Tab" };
    let said: Vec<&str> = help.into_iter().chain([how]).filter(|text| !text.is_empty()).collect();
    let help = said.join(" · ");
    let mut ask = Text::new(label).with_autocomplete(Known(known)).with_page_size(PAGE);
    if let Some(default) = default {
        ask = ask.with_default(default);
    }
    if !help.is_empty() {
        ask = ask.with_help_message(&help);
    }
    if is_needed {
        ask = ask.with_validator(not_empty);
    }
    let text = ask.prompt()?.trim().to_owned();
    Ok(Some(text).filter(|text| !text.is_empty()))
}

pub(super) fn line(
    label: &str,
    help: &str,
    default: Option<&str>,
    is_needed: bool,
) -> anyhow::Result<Option<String>> {
    let mut ask = Text::new(label);
    if let Some(default) = default {
        ask = ask.with_default(default);
    }
    if !help.is_empty() {
        ask = ask.with_help_message(help);
    }
    if is_needed {
        ask = ask.with_validator(not_empty);
    }
    Ok(Some(ask.prompt()?).filter(|text| !text.is_empty()))
}

#[expect(clippy::unnecessary_wraps, reason = "inquire wants it so")]
fn not_empty(text: &str) -> Result<Validation, CustomUserError> {
    Ok(match text.trim() {
        "" => Validation::Invalid("it must be given".into()),
        _ => Validation::Valid,
    })
}

/// Lines until one is empty.
pub(super) fn lines(label: &str, help: &str) -> anyhow::Result<Option<Vec<String>>> {
    let help =
        format!("{help}{}one line at a time; an empty one ends it", if help.is_empty() { "" } else { " · " });
    let mut lines = Vec::new();
    loop {
        let text = Text::new(label).with_help_message(&help).prompt()?;
        if text.is_empty() {
            return Ok((!lines.is_empty()).then_some(lines));
        }
        lines.push(text);
    }
}
