//! How is a form filled in at a terminal? One question after the other, each as the answers before it make it. What an
//! answer means, and what is wrong with it, is told by `intake`, as of every other request.

use std::collections::BTreeSet;

use anyhow::bail;
use inquire::{Password, Select, Text};
use serde_json::{Value, json};

use super::{
    given,
    prompt::{PAGE, completed, line, lines, one_of, some_of},
};
use crate::{
    catalog::Definitions,
    catalog::values::{Segment, field_name},
    cli::{
        output,
        plan::{WORK_TREE, World},
    },
    domain::{
        Action, Diagnostic, Format, Identifier, Login, Operation, Place, Property, PropertyType, RequestFile,
        Search, Secret, SecretRef,
    },
    intake::form::{Filling, Input},
    plan::{
        self,
        facts::{Answer, Question},
    },
    seal::seal,
};

/// The codes of what another entity mends.
const ABOUT_ENTITY: [&str; 3] = ["unknown-entity", "condition-not-met", "looks-like-a-secret"];

pub(super) struct Wizard<'a, 'b> {
    pub(super) definitions: &'a Definitions,
    pub(super) world: &'b mut World<'a>,
    pub(super) requester: Option<Login>,
}

impl<'a> Wizard<'a, '_> {
    /// The action, of those that whoever asks may ask for.
    pub(super) fn action(&mut self, has_entity: bool) -> anyhow::Result<&'a Action> {
        let definitions = self.definitions;
        let allowed = match &self.requester {
            Some(login) => {
                Some(self.world.until(&mut |facts| plan::may_ask(definitions, facts, WORK_TREE, login))?)
            }
            None => None,
        };
        let actions = definitions.actions.values().map(|action| &action.value);
        let offered: Vec<&Action> = actions
            .filter(|action| allowed.as_ref().is_none_or(|allowed| allowed.contains(&action.identifier)))
            .filter(|action| !has_entity || action.operation != Operation::Create)
            .collect();
        let lines: Vec<String> =
            offered.iter().map(|action| format!("{} ({})", action.title, action.identifier)).collect();
        if lines.is_empty() {
            bail!("there is nothing here that you may ask for");
        }
        let chosen = Select::new("What do you want?", lines).with_page_size(PAGE).raw_prompt()?;
        Ok(offered[chosen.index])
    }

    /// Asks for everything that is not answered yet.
    pub(super) fn fill(&mut self, action: &Action, file: &mut RequestFile) -> anyhow::Result<()> {
        if let Some(description) = &action.description {
            output::complain(description);
        }
        let asks_entity = action.operation != Operation::Create && file.entity.is_none();
        if asks_entity {
            file.entity = Some(self.entity(action)?);
        }
        let mut answered: BTreeSet<String> = file.inputs.keys().cloned().collect();
        let mut heading = None;
        loop {
            let filling = match self.stands(file, &|path| here(path))? {
                Ok(filling) => filling,
                Err(problems) => bail!("{}", words(&problems[0])),
            };
            let next = filling.next(action, &answered);
            if let Some((name, problem)) = worth_telling(&filling, next.is_none()) {
                output::complain(&words(problem));
                if name.is_none() && asks_entity && ABOUT_ENTITY.contains(&problem.code.0) {
                    file.entity = Some(self.entity(action)?);
                    continue;
                }
                let Some(name) = name.filter(|name| answered.remove(*name)) else {
                    bail!("this cannot be asked for");
                };
                file.inputs.shift_remove(name);
                continue;
            }
            let Some(input) = next else { break };
            let step = crate::catalog::form::step_of(action, &input.name);
            if let Some((index, step)) = step.filter(|(index, _)| heading != Some(*index)) {
                heading = Some(index);
                output::complain(&format!("\n{}", step.title));
            }
            let is_required = filling.required.contains(&input.name);
            if let Some(value) = self.input(input, is_required)? {
                file.inputs.insert(input.name.clone(), value);
            }
            answered.insert(input.name.clone());
        }
        // As the form shows them, not as they were asked.
        let mut given = std::mem::take(&mut file.inputs);
        file.inputs = action.inputs.iter().filter_map(|(name, _)| given.remove_entry(name)).collect();
        if file.reason.is_none() {
            let reason =
                Text::new("Why?").with_help_message("for those who approve; may be left empty").prompt()?;
            file.reason = Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        }
        Ok(())
    }

    /// How the form stands for what was answered so far, or why it cannot be filled in.
    pub(super) fn stands(
        &mut self,
        file: &RequestFile,
        place: &dyn Fn(&[Segment]) -> Place,
    ) -> anyhow::Result<Result<Filling, Vec<Diagnostic>>> {
        let (definitions, requester) = (self.definitions, self.requester.clone());
        self.world.until(&mut |facts| match plan::form(
            definitions,
            facts,
            WORK_TREE,
            file,
            requester.as_ref(),
            place,
        ) {
            plan::Form::Ask(questions) => Err(questions),
            plan::Form::Stands(filling) => Ok(Ok(*filling)),
            plan::Form::Wrong(problems) => Ok(Err(problems)),
        })
    }

    fn found(&mut self, search: &Search) -> anyhow::Result<Vec<String>> {
        let question = Question::Search(WORK_TREE, search.clone());
        let answers = self.world.look(&BTreeSet::from([question]))?;
        Ok(match answers.into_iter().next() {
            Some((_, Answer::Found(found))) => {
                found.first().into_iter().flatten().map(Identifier::to_string).collect()
            }
            Some((_, Answer::Unknown(why))) => bail!("the entities could not be read: {why}"),
            _ => Vec::new(),
        })
    }

    /// The entity that the action is run on, of those that its condition allows.
    fn entity(&mut self, action: &Action) -> anyhow::Result<Identifier> {
        let query =
            action.form.condition.clone().unwrap_or_else(|| json!({ "combinator": "and", "rules": [] }));
        let search = Search {
            blueprint: action.blueprint.clone(),
            queries: vec![query.to_string()],
            sort: None,
            now: None,
            changes: Vec::new(),
        };
        let known = self.found(&search)?;
        if known.is_empty() {
            bail!("there is no `{}` at present that `{}` can be run on", action.blueprint, action.identifier);
        }
        let label = format!("Which {}?", action.blueprint);
        let chosen = completed(&label, known, true, None, None)?.unwrap_or_default();
        Ok(chosen.parse()?)
    }

    fn input(&mut self, input: &Input, is_required: bool) -> anyhow::Result<Option<Value>> {
        let Input { name, property, default, search, .. } = input;
        let label = format!("{}:", property.title.as_deref().unwrap_or(name));
        let help = help(property, is_required && default.is_none());
        let known = match search {
            Some(search) => Some(self.found(search)?),
            None => None,
        };
        let is_needed = is_required && default.is_none();
        if property.format == Some(Format::Secret) {
            return self.secret(&label, &help, is_needed);
        }
        let items = property.items.as_deref();
        Ok(match (property.kind, items) {
            _ if !property.choices.is_empty() => {
                one_of(&label, &help, &property.choices, default.as_ref(), is_needed)?
            }
            (PropertyType::Boolean, _) => {
                one_of(&label, &help, &[true.into(), false.into()], default.as_ref(), is_needed)?
            }
            (PropertyType::Array, Some(items)) if !items.choices.is_empty() => {
                some_of(&label, &help, &items.choices, default.as_ref())?
            }
            (PropertyType::Array, Some(_)) if known.is_some() => {
                let values: Vec<Value> = known.into_iter().flatten().map(Value::from).collect();
                some_of(&label, &help, &values, default.as_ref())?
            }
            (PropertyType::Array, _) => lines(&label, &help)?
                .map(|lines| match items {
                    Some(items) => lines.iter().map(|line| given::value(items, line)).collect(),
                    None => lines.into_iter().collect(),
                })
                .or_else(|| default.clone()),
            (PropertyType::String, _) if known.is_some() => {
                let default = default.as_ref().and_then(Value::as_str);
                completed(&label, known.unwrap_or_default(), is_needed, default, Some(&help))?
                    .map(Value::from)
            }
            (PropertyType::String, _) if is_long(property) => {
                lines(&label, &help)?.map(|lines| lines.join("\n").into()).or_else(|| default.clone())
            }
            (kind, _) => {
                let shown = default.as_ref().map(|value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                });
                let text = line(&label, &help, shown.as_deref(), is_needed)?;
                text.map(|text| {
                    if kind == PropertyType::String { text.into() } else { given::value(property, &text) }
                })
            }
        })
    }

    /// What is typed is encrypted before it goes anywhere; what says where a secret is stays as it is.
    fn secret(&self, label: &str, help: &str, is_needed: bool) -> anyhow::Result<Option<Value>> {
        let recipients = &self.definitions.settings.secrets.recipients;
        let how = match recipients.is_empty() {
            true => "env:NAME or github-secret:NAME; the catalog has nobody to encrypt for",
            false => "encrypted here, and never shown; or env:NAME or github-secret:NAME",
        };
        let help = format!("{help}{}{how}", if help.is_empty() { "" } else { " · " });
        loop {
            let typed = Password::new(label).without_confirmation().with_help_message(&help).prompt()?;
            let typed = typed.trim();
            if typed.is_empty() && !is_needed {
                return Ok(None);
            }
            if let Ok(reference) = typed.parse::<SecretRef>() {
                return Ok(Some(reference.as_str().into()));
            }
            match seal(recipients, &Secret::new(typed)) {
                Ok(sealed) if !typed.is_empty() => return Ok(Some(sealed.as_str().into())),
                Ok(_) => output::complain("it must be given"),
                Err(why) => output::complain(&why.to_string()),
            }
        }
    }
}

/// A mistake that its answer must be given anew for. What is missing, or must hold of several answers, is not judged
/// before all were asked for.
fn worth_telling(filling: &Filling, is_last: bool) -> Option<(Option<&String>, &Diagnostic)> {
    let waits =
        |problem: &Diagnostic| !is_last && ["missing-input", "validation-failed"].contains(&problem.code.0);
    let found = filling.problems.iter().find(|(_, problem)| !waits(problem))?;
    Some((found.0.as_ref(), &found.1))
}

fn here(path: &[Segment]) -> Place {
    Place {
        field: Some(field_name(path.get(1..).unwrap_or_default())).filter(|name| !name.is_empty()),
        ..Place::file("the form")
    }
}

fn words(problem: &Diagnostic) -> String {
    let help = problem.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    format!("! {}{help}", crate::domain::masked(&problem.message))
}

fn help(property: &Property, is_needed: bool) -> String {
    let format = match property.format {
        Some(Format::Duration) => Some("such as 12h or 7d"),
        Some(Format::DateTime | Format::Timer) => Some("such as 2026-11-23T08:30:00Z"),
        Some(Format::Url) => Some("a URL"),
        Some(Format::Email | Format::IdnEmail) => Some("a mail address"),
        _ if property.kind == PropertyType::Object => Some("as YAML, such as { a: 1 }"),
        _ => None,
    };
    let optional = (!is_needed).then_some("may be left empty");
    let said =
        property.description.as_deref().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    let parts = said.into_iter().chain([format, optional].into_iter().flatten().map(str::to_owned));
    parts.collect::<Vec<_>>().join(" · ")
}

fn is_long(property: &Property) -> bool {
    matches!(property.format, Some(Format::MultiLine | Format::Markdown | Format::Yaml | Format::Proto))
}
