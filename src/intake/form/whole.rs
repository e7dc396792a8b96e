//! What must hold of a request as a whole?

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Review, key};
use crate::{
    catalog::{Secrets, form, secret, values::Segment},
    domain::{Action, Diagnostic, Format, Property, RequestFile, nearest},
};

/// What is to be filled in, where nothing describes it.
fn kind_in_words(property: &Property) -> String {
    match (property.format, &property.items) {
        (_, Some(items)) => format!("a list; an item is {}", kind_in_words(items)),
        (Some(Format::Entity), _) => match &property.blueprint {
            Some(blueprint) => format!("the identifier of a `{blueprint}` of the catalog"),
            None => "the identifier of an entity of the catalog".to_owned(),
        },
        (Some(Format::User), _) => "the identifier of a person in the catalog".to_owned(),
        (Some(Format::Team), _) => "the identifier of a team in the catalog".to_owned(),
        (Some(Format::MultiLine), _) => "a text".to_owned(),
        (Some(format), _) => format!("a value of the format {}", format.name()),
        (None, None) => format!("a value of the type {}", property.kind.name()),
    }
}

impl Review<'_> {
    /// Tells what must not stand in a request; gives the inputs that hold it, which are not looked at further.
    pub(super) fn leaks(
        &mut self,
        action: &Action,
        secrets: &Secrets,
        file: &RequestFile,
    ) -> BTreeSet<String> {
        let mut leaked = BTreeSet::new();
        for wrong in secret::leaks(Some(action), secrets, file) {
            let (place, field) = self.place(&wrong.path);
            self.at = 0;
            if let [Segment::Key(first), Segment::Key(name)] = &wrong.path[..]
                && first == "inputs"
            {
                leaked.insert(name.clone());
                self.at =
                    action.inputs.iter().position(|(input, _)| input == name).map_or(0, |index| index + 1);
            }
            self.problem(wrong.at(place, &field));
        }
        self.at = 0;
        leaked
    }

    /// Tells what is missing; gives the inputs that must be given.
    pub(super) fn required(&mut self, inputs: &Map<String, Value>, silent: &BTreeSet<&str>) -> Vec<String> {
        let action = self.action;
        self.at = 0;
        let required = match &action.form.required {
            None => action.required.clone(),
            Some(text) => {
                let names = self.known.names(text);
                self.answered(names, &[key("inputs")]).unwrap_or_default()
            }
        };
        for (index, (name, property)) in action.inputs.iter().enumerate() {
            let is_refused = self.problems.iter().any(|(at, _)| *at == index + 1);
            if required.contains(name)
                && !inputs.contains_key(name)
                && !silent.contains(name.as_str())
                && !is_refused
            {
                self.at = index + 1;
                self.missing(name, property, &[key("inputs"), key(name)]);
            }
        }
        required
    }

    /// What must hold of several inputs together.
    pub(super) fn validations(&mut self) {
        let action = self.action;
        for validation in &action.form.validations {
            let spoken = form::mentions(action, &validation.holds, None).inputs;
            let first = action.inputs.iter().position(|(name, _)| spoken.contains(name.as_str()));
            self.at = first.map_or(usize::MAX, |index| index + 1);
            let at = match first {
                Some(index) => vec![key("inputs"), key(&action.inputs[index].0)],
                None => vec![key("inputs")],
            };
            let holds = self.known.holds(&validation.holds, None);
            if self.answered(holds, &at) == Some(false) {
                let (place, _) = self.place(&at);
                let names: Vec<String> = action
                    .inputs
                    .iter()
                    .map(|(name, _)| name)
                    .filter(|name| spoken.contains(name.as_str()))
                    .map(|name| format!("`{name}`"))
                    .collect();
                let help = if names.is_empty() {
                    "ask for something else".to_owned()
                } else {
                    format!("it is about {}", names.join(", "))
                };
                self.problem(
                    Diagnostic::error("validation-failed", place, validation.message.clone()).help(help),
                );
            }
        }
    }

    pub(super) fn unknown_inputs(&mut self, action: &Action, given: &Map<String, Value>) {
        for name in given.keys().filter(|name| action.input(name).is_none()) {
            let (place, _) = self.place(&[key("inputs"), key(name)]);
            let known: Vec<_> = action.inputs.iter().map(|(name, _)| name.as_str()).collect();
            let help = match (nearest(name, known.iter().copied()), known.is_empty()) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, true) => "remove it: this action asks nothing".to_owned(),
                (None, false) => format!("remove it; the inputs are `{}`", known.join("`, `")),
            };
            self.problem(
                Diagnostic::error(
                    "unknown-input",
                    place,
                    format!("`{}` has no input `{name}`", action.identifier),
                )
                .label("not asked by the action")
                .help(help),
            );
        }
    }

    fn missing(&mut self, name: &str, property: &Property, at: &[Segment]) {
        let (place, field) = self.place(at);
        let help = match &property.description {
            Some(description) => format!("fill in `{name}`: {description}"),
            None => format!("fill in `{name}`, {}", kind_in_words(property)),
        };
        self.problem(
            Diagnostic::error("missing-input", place, format!("`{field}` is required and not given"))
                .help(help),
        );
    }
}
