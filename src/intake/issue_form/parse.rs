//! What does an issue ask, that was filed with one of our forms?

use serde_json::{Map, Number, Value};

use crate::catalog::{Definitions, yaml};
use crate::domain::{Action, ActionId, Diagnostic, InvalidId, RequestFile, nearest};

use super::field::{Answer, Asks, Field, NO_RESPONSE, fields, hash, heading_place};

/// What an issue's text turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// Somebody wrote something else.
    NotAForm,
    /// The form has changed since.
    Outdated {
        /// Of which action.
        action: ActionId,
        /// The form that was filled in.
        found: String,
        /// The form of now.
        current: String,
    },
    /// It is a form, with mistakes.
    Wrong(Vec<Diagnostic>),
    /// What it asks, not yet held against its action.
    Read(RequestFile),
}

/// Reads the text of an issue.
pub fn parse(body: &str, issue: u64, definitions: &Definitions) -> Reading {
    let body = body.replace("\r\n", "\n");
    let sections = sections(&body);
    let Some((name, found)) = sections.first().and_then(|(heading, answer)| named_form(heading, answer))
    else {
        return Reading::NotAForm;
    };
    let action = match action(&name, issue, definitions) {
        Ok(action) => action,
        Err(problem) => return Reading::Wrong(vec![problem]),
    };
    let current = hash(action);
    if found != current {
        return Reading::Outdated { action: action.identifier.clone(), found, current };
    }
    read(action, &sections, issue)
}

/// Reads the text of an issue with the form of this action, whichever form it names: for an issue that was
/// filed before the form changed.
pub fn parse_as(body: &str, issue: u64, action: &Action) -> Reading {
    read(action, &sections(&body.replace("\r\n", "\n")), issue)
}

/// The text below each line that begins with `### `. What is before the first belongs to none and
/// makes the text no form.
fn sections(body: &str) -> Vec<(&str, &str)> {
    let mut sections = Vec::new();
    let mut heading = "";
    let mut start = 0;
    let mut at = 0;
    for line in body.split_inclusive('\n') {
        if let Some(text) =
            line.strip_prefix("###").filter(|rest| rest.trim().is_empty() || rest.starts_with([' ', '\t']))
        {
            if at > 0 {
                sections.push((heading, &body[start..at]));
            }
            heading = text.trim();
            start = at + line.len();
        }
        at += line.len();
    }
    sections.push((heading, &body[start..]));
    if sections[0].0.is_empty() && sections[0].1.trim().is_empty() {
        sections.remove(0);
    }
    sections
}

/// The action and the form that the first answer names: `create-bucket (form 3f2a9c1)`.
fn named_form(heading: &str, answer: &str) -> Option<(ActionId, String)> {
    if heading != "Action" {
        return None;
    }
    let (name, form) = answer.trim().strip_suffix(')')?.split_once(" (form ")?;
    let digits = form.len() == 7 && form.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    Some((name.parse().ok().filter(|_| digits)?, form.to_owned()))
}

fn action<'a>(name: &ActionId, issue: u64, definitions: &'a Definitions) -> Result<&'a Action, Diagnostic> {
    if let Some(defined) = definitions.actions.get(name) {
        return Ok(&defined.value);
    }
    let place = heading_place(issue, "Action");
    if definitions.broken.contains_key(name) {
        return Err(Diagnostic::error("broken-action", place, format!("the action `{name}` cannot be used at present"))
            .help("its definition has mistakes: ask the people who maintain the catalog to run `chandlery validate`"));
    }
    let known: Vec<_> = definitions.actions.keys().map(ActionId::as_str).collect();
    let help = match nearest(name.as_str(), known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? Open its form"),
        None => "open one of the forms that “New issue” shows".to_owned(),
    };
    Err(Diagnostic::error("unknown-action", place, format!("there is no action `{name}`")).help(help))
}

/// Every difference between the form's headings and those that are there.
fn heading_problems(fields: &[Field<'_>], sections: &[(&str, &str)], issue: u64) -> Vec<Diagnostic> {
    let found: Vec<_> = sections.iter().map(|(heading, _)| *heading).collect();
    let expected: Vec<_> = fields.iter().map(|field| field.heading.as_str()).collect();
    if found == expected {
        return Vec::new();
    }
    let count = |heading: &str| found.iter().filter(|other| **other == heading).count();
    let mut problems = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for heading in &found {
        let place = heading_place(issue, *heading);
        if expected.contains(heading) {
            if count(heading) > 1 && !seen.contains(heading) {
                problems.push(
                    Diagnostic::error("form-heading", place, format!("the heading `### {heading}` is there {} times", count(heading)))
                        .help("edit the issue: no answer may hold a line that begins with `###`; put another character before it"),
                );
            }
        } else if !seen.contains(heading) {
            problems.push(
                Diagnostic::error("form-heading", place, format!("the form has no heading `### {heading}`"))
                    .help("edit the issue: no answer may hold a line that begins with `###`; put another character before it"),
            );
        }
        seen.push(heading);
    }
    for heading in expected.iter().filter(|heading| count(heading) == 0) {
        problems.push(
            Diagnostic::error(
                "form-heading",
                heading_place(issue, *heading),
                format!("the heading `### {heading}` is missing"),
            )
            .help("put the heading back, with the answer below it, or file a new form"),
        );
    }
    if problems.is_empty() {
        problems.push(
            Diagnostic::error(
                "form-heading",
                heading_place(issue, "Action"),
                "the headings are not in the form's order",
            )
            .help(format!("put them in this order: {}", expected.join(", "))),
        );
    }
    problems
}

fn read(action: &Action, sections: &[(&str, &str)], issue: u64) -> Reading {
    let fields = fields(action);
    let problems = heading_problems(&fields, sections, issue);
    if !problems.is_empty() {
        return Reading::Wrong(problems);
    }
    let mut file = RequestFile {
        action: action.identifier.clone(),
        entity: None,
        inputs: Map::new(),
        reason: None,
        on_behalf_of: None,
    };
    let mut problems = Vec::new();
    for (field, (heading, text)) in fields.iter().zip(sections) {
        let value = match answer(field, text) {
            Ok(Some(value)) => value,
            Ok(None) => continue,
            Err((message, help)) => {
                let message = format!("`{heading}` {message}");
                problems.push(
                    Diagnostic::error("form-answer", heading_place(issue, *heading), message).help(help),
                );
                continue;
            }
        };
        match field.asks {
            Asks::Action => {}
            Asks::OnBehalf => match value.as_str().unwrap_or_default().trim_start_matches('@').parse() {
                Ok(login) => file.on_behalf_of = Some(login),
                Err(problem) => {
                    let problem: InvalidId = problem;
                    problems.push(
                        Diagnostic::error("form-answer", heading_place(issue, *heading), problem.to_string())
                            .help("write one login on the forge, or nothing if it is for you"),
                    );
                }
            },
            Asks::Reason => file.reason = value.as_str().map(str::to_owned),
            Asks::Input(name, _) => drop(file.inputs.insert(name.to_owned(), value)),
            Asks::Entity => match value.as_str().unwrap_or_default().parse() {
                Ok(identifier) => file.entity = Some(identifier),
                Err(problem) => problems.push(
                    Diagnostic::error("form-answer", heading_place(issue, *heading), problem.to_string())
                        .help(format!("name a `{}` that is in the catalog", action.blueprint)),
                ),
            },
        }
    }
    if problems.is_empty() { Reading::Read(file) } else { Reading::Wrong(problems) }
}

/// What is wrong with an answer, as it follows the heading, and what to do.
type Mistake = (String, String);

/// The value of an answer. What has the wrong type stays text; holding it against the action tells so.
fn answer(field: &Field<'_>, text: &str) -> Result<Option<Value>, Mistake> {
    // One empty line is GitHub's, before and after the answer.
    let lines = text.trim_end().trim_start_matches('\n');
    let line = lines.trim();
    if line.is_empty() || line == NO_RESPONSE {
        return Ok(None);
    }
    match &field.answer {
        Answer::Text => return Ok(Some(lines.into())),
        Answer::YamlText => return Ok(fenced(lines).map(Value::from)),
        Answer::Yaml => return structure(lines),
        Answer::Lines { numbers } => {
            let read = |line: &str| if *numbers { number(line) } else { line.into() };
            return Ok(Some(line.lines().map(str::trim).filter(|line| !line.is_empty()).map(read).collect()));
        }
        Answer::Entities(_) => {
            let names = line.split(['\n', ',']).map(str::trim).filter(|name| !name.is_empty());
            return Ok(Some(names.collect()));
        }
        Answer::Choice(_) | Answer::Choices(_) | Answer::Entity(_) | Answer::Line | Answer::Number => {}
    }
    if line.contains('\n') {
        return Err(("has several lines".to_owned(), "answer it in one line".to_owned()));
    }
    // What is none of the options is held against the action like everything else.
    let choose = |options: &[(String, Value)], text: &str| {
        let found = options.iter().find(|(option, _)| option == text).map(|(_, value)| value.clone());
        let numbers = options.iter().any(|(_, value)| value.is_number());
        found.unwrap_or_else(|| if numbers { number(text) } else { text.into() })
    };
    Ok(Some(match &field.answer {
        Answer::Choice(options) => choose(options, line),
        Answer::Choices(options) => line.split(',').map(|text| choose(options, text.trim())).collect(),
        Answer::Number => number(line),
        Answer::Entity(_)
        | Answer::Line
        | Answer::Text
        | Answer::YamlText
        | Answer::Yaml
        | Answer::Lines { .. }
        | Answer::Entities(_) => line.into(),
    }))
}

/// The text inside the fence that GitHub puts around it; text without one was edited since.
fn fenced(text: &str) -> Option<&str> {
    let inside = text
        .strip_prefix("```yaml\n")
        .and_then(|text| text.strip_suffix("```"))
        .map(|text| text.trim_end_matches('\n'));
    let inside = inside.unwrap_or(text);
    (!inside.trim().is_empty()).then_some(inside)
}

fn structure(text: &str) -> Result<Option<Value>, Mistake> {
    let Some(text) = fenced(text) else { return Ok(None) };
    match yaml::parse("answer", text.as_bytes()) {
        Ok(document) => Ok(Some(document.value())),
        Err(problems) => {
            let problem =
                problems.first().map_or("it is not well formed", |problem| problem.message.as_str());
            Err((format!("is not YAML that can be read: {problem}"), "write it as YAML or JSON".to_owned()))
        }
    }
}

/// The number that a text writes, else the text.
fn number(text: &str) -> Value {
    let whole = text.strip_prefix('-').unwrap_or(text);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(whole) {
        let number = text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
        return number.map_or_else(|_| text.into(), Value::Number);
    }
    let decimal = whole.split_once('.').is_some_and(|(whole, part)| digits(whole) && digits(part));
    let number = text.parse::<f64>().ok().filter(|_| decimal).and_then(Number::from_f64);
    number.map_or_else(|| text.into(), Value::Number)
}
