//! What does the form of an action ask, in which order, and under which headings?

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::catalog::form::{points_to, relaxed, step_of};
use crate::catalog::values::Segment;
use crate::domain::{
    Action, BlueprintId, Dynamic, Execute, Format, Operation, Place, Property, PropertyType, Search,
};
use crate::intake::hint::in_words;

/// Raised when the same action gives another form.
const FORMAT: u32 = 1;
/// What GitHub shows of a list; beyond it the form cannot be filed.
pub(super) const MAX_OPTIONS: usize = 100;
/// What GitHub writes where nothing was answered.
pub(super) const NO_RESPONSE: &str = "_No response_";
pub(super) const YES: &str = "Yes";
pub(super) const NO: &str = "No";

/// One question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field<'a> {
    /// The label, and so the heading in the issue.
    pub(super) heading: String,
    /// What it asks for.
    pub(super) asks: Asks<'a>,
    /// How it is answered.
    pub(super) answer: Answer,
}

/// What a question is about.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Asks<'a> {
    /// Which action, and which form of it.
    Action,
    /// Which entity.
    Entity,
    /// One of the action's inputs.
    Input(&'a str, &'a Property),
    /// For whom, if not for who asks.
    OnBehalf,
    /// Why.
    Reason,
}

/// Entities that a form lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Of which blueprint.
    pub blueprint: BlueprintId,
    /// Those among them that this asks for, in its order; all where there is none.
    pub search: Option<Search>,
}

impl Listed {
    fn all(blueprint: BlueprintId) -> Self {
        Self { blueprint, search: None }
    }

    /// Of the entities that a query asks for, those that a form can know of, in the order of the dataset.
    fn some(blueprint: BlueprintId, query: Option<&Value>, sort: Option<&(String, bool)>) -> Self {
        let query = query.map_or_else(|| json!({ "combinator": "and", "rules": [] }), relaxed);
        let search = Search {
            blueprint: blueprint.clone(),
            queries: vec![query.to_string()],
            sort: sort.cloned(),
            now: None,
            changes: Vec::new(),
        };
        Self { blueprint, search: Some(search) }
    }
}

/// How a question is answered.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// One of these values, each with the text that stands for it.
    Choice(Vec<(String, Value)>),
    /// Any of these values.
    Choices(Vec<(String, Value)>),
    /// One of these entities.
    Entity(Listed),
    /// Any of these entities.
    Entities(Listed),
    /// A line of text.
    Line,
    /// A number.
    Number,
    /// A text of several lines.
    Text,
    /// A text of several lines, in a fence.
    YamlText,
    /// Anything, written as YAML, in a fence.
    Yaml,
    /// A value on each line.
    Lines {
        /// Whether each is a number.
        numbers: bool,
    },
}

/// The questions of an action's form.
pub(super) fn fields(action: &Action) -> Vec<Field<'_>> {
    let mut headings = Headings::default();
    let mut fields =
        vec![Field { heading: headings.fixed("Action"), asks: Asks::Action, answer: Answer::Line }];
    match action.operation {
        Operation::Create => {}
        Operation::Day2 | Operation::Delete => fields.push(Field {
            heading: headings.fixed("Entity"),
            asks: Asks::Entity,
            answer: Answer::Entity(match &action.form.condition {
                None => Listed::all(action.blueprint.clone()),
                condition => Listed::some(action.blueprint.clone(), condition.as_ref(), None),
            }),
        }),
    }
    let reason = headings.fixed("Reason");
    let on_behalf = asks_on_behalf(action).then(|| headings.fixed("On behalf of"));
    for (index, (name, property)) in action.inputs.iter().enumerate() {
        let heading = headings.of(name, property.title.as_deref().unwrap_or(name), index + 1);
        if is_never_asked(action, name) {
            continue;
        }
        let dataset = action.form.inputs.get(name).and_then(|behaviour| behaviour.dataset.as_ref());
        let chosen = |blueprint| match dataset {
            None => Listed::all(blueprint),
            Some(dataset) => Listed::some(blueprint, dataset.query.as_ref(), dataset.sort.as_ref()),
        };
        fields.push(Field { heading, asks: Asks::Input(name, property), answer: answer(property, &chosen) });
    }
    let on_behalf = on_behalf.map(|heading| Field { heading, asks: Asks::OnBehalf, answer: Answer::Line });
    fields.extend(on_behalf);
    fields.push(Field { heading: reason, asks: Asks::Reason, answer: Answer::Text });
    fields
}

/// Whether somebody may ask for somebody else.
fn asks_on_behalf(action: &Action) -> bool {
    matches!(&action.execute, Execute::Named(askers) if askers.on_behalf.is_some())
}

/// Whether an input has its default whatever else is answered, so that no form asks for it.
fn is_never_asked(action: &Action, name: &str) -> bool {
    let behaviour = action.form.inputs.get(name);
    let is_fixed = |behaviour: &crate::domain::Behaviour| {
        behaviour.visible == Dynamic::Fixed(false)
            || behaviour.disabled == Dynamic::Fixed(true)
            || behaviour.read_only == Dynamic::Fixed(true)
    };
    behaviour.is_some_and(is_fixed)
        || step_of(action, name).is_some_and(|(_, step)| step.visible == Dynamic::Fixed(false))
}

/// When an input may be answered, in words that follow "only if"; none where it always may. GitHub's forms can neither
/// hide nor disable.
pub(in crate::intake) fn only_if(action: &Action, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Some((_, step)) = step_of(action, name)
        && let Dynamic::Computed(text) = &step.visible
    {
        found.push(in_words(action, text));
    }
    if let Some(behaviour) = action.form.inputs.get(name) {
        if let Dynamic::Computed(text) = &behaviour.visible {
            found.push(in_words(action, text));
        }
        if let Dynamic::Computed(text) = &behaviour.disabled {
            found.push(match in_words(action, text) {
                words if words.starts_with('`') => format!("not {words}"),
                words => format!("not: {words}"),
            });
        }
        let title = |name: &String| {
            action.input(name).and_then(|property| property.title.clone()).unwrap_or_else(|| name.clone())
        };
        found.extend(behaviour.depends_on.iter().map(|other| format!("“{}” is answered", title(other))));
    }
    found
}

/// What a form shows of an input before anything is answered. What may be hidden or disabled shows nothing: GitHub would
/// hand it in.
pub(super) fn prefilled<'a>(action: &Action, name: &str, property: &'a Property) -> Option<&'a Value> {
    property.default.as_ref().filter(|_| only_if(action, name).is_empty())
}

/// The headings given out so far. GitHub refuses a form with labels that it thinks alike.
#[derive(Default)]
struct Headings(BTreeSet<String>);

impl Headings {
    fn fixed(&mut self, heading: &str) -> String {
        self.0.insert(alike(heading));
        heading.to_owned()
    }

    fn of(&mut self, name: &str, title: &str, number: usize) -> String {
        let title: String = title.split_whitespace().collect::<Vec<_>>().join(" ");
        let candidates = [
            title.clone(),
            format!("{title} ({name})"),
            format!("Input {number}"),
            format!("Input {number} of the form"),
        ];
        let heading = candidates.iter().find(|heading| is_legal(heading) && self.0.insert(alike(heading)));
        heading.unwrap_or(&candidates[3]).clone()
    }
}

/// What GitHub compares of a label.
fn alike(heading: &str) -> String {
    heading.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

/// Labels that ask for secrets make GitHub refuse the whole form.
fn is_legal(heading: &str) -> bool {
    let plain = alike(heading);
    !plain.is_empty()
        && heading.len() <= 200
        && !heading.chars().any(char::is_control)
        && !["password", "passwort", "passphrase"].iter().any(|word| plain.contains(word))
}

fn answer(property: &Property, listed: &dyn Fn(BlueprintId) -> Listed) -> Answer {
    if let Some(options) = choices(&property.choices, false) {
        return Answer::Choice(options);
    }
    match (property.kind, points_to(property)) {
        (PropertyType::String, Some(blueprint)) => Answer::Entity(listed(blueprint)),
        (PropertyType::String, None) => match property.format {
            Some(Format::Yaml) => Answer::YamlText,
            Some(Format::Markdown | Format::MultiLine | Format::Proto) => Answer::Text,
            _ => Answer::Line,
        },
        (PropertyType::Number, _) => Answer::Number,
        (PropertyType::Boolean, _) => {
            Answer::Choice(vec![(YES.to_owned(), true.into()), (NO.to_owned(), false.into())])
        }
        (PropertyType::Object, _) => Answer::Yaml,
        (PropertyType::Array, _) => list_answer(property.items.as_deref(), listed),
    }
}

fn list_answer(items: Option<&Property>, listed: &dyn Fn(BlueprintId) -> Listed) -> Answer {
    let Some(items) = items else { return Answer::Yaml };
    if let Some(options) = choices(&items.choices, true) {
        return Answer::Choices(options);
    }
    match (items.kind, points_to(items)) {
        (PropertyType::String, Some(blueprint)) => Answer::Entities(listed(blueprint)),
        (PropertyType::String, None) => match items.format {
            Some(Format::Yaml | Format::Markdown | Format::MultiLine | Format::Proto) => Answer::Yaml,
            _ => Answer::Lines { numbers: false },
        },
        (PropertyType::Number, _) => Answer::Lines { numbers: true },
        (PropertyType::Boolean | PropertyType::Object | PropertyType::Array, _) => Answer::Yaml,
    }
}

/// The options for these values, if a list can show them.
fn choices(values: &[Value], many: bool) -> Option<Vec<(String, Value)>> {
    let options: Vec<_> = values.iter().map(|value| (option_text(value), value.clone())).collect();
    let texts: Vec<_> = options.iter().map(|(text, _)| text.as_str()).collect();
    are_options(&texts, many).then_some(options)
}

fn option_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => YES.to_owned(),
        Value::Bool(false) => NO.to_owned(),
        other => other.to_string(),
    }
}

/// Whether GitHub shows these texts as a list, and each comes back as it was. A list of which several may be
/// picked comes back joined by `, `.
pub(super) fn are_options(texts: &[&str], many: bool) -> bool {
    let distinct: BTreeSet<_> = texts.iter().map(|text| text.to_lowercase()).collect();
    !texts.is_empty()
        && texts.len() <= MAX_OPTIONS
        && distinct.len() == texts.len()
        && texts.iter().all(|text| {
            !text.is_empty()
                && text.trim() == *text
                && !text.eq_ignore_ascii_case("none")
                && *text != NO_RESPONSE
                && !text.starts_with('#')
                && !text.chars().any(char::is_control)
                && !(many && text.contains(','))
        })
}

/// The entities that a form lists.
pub fn lists(action: &Action) -> BTreeSet<Listed> {
    lists_by_input(action).into_iter().map(|(_, listed)| listed).collect()
}

/// The entities that each input can name, as far as it is known beforehand; without a name, the entity itself.
pub(in crate::intake) fn lists_by_input(action: &Action) -> Vec<(Option<String>, Listed)> {
    let name = |asks: &Asks<'_>| match asks {
        Asks::Input(name, _) => Some((*name).to_owned()),
        Asks::Action | Asks::Entity | Asks::OnBehalf | Asks::Reason => None,
    };
    let listed = |field: Field<'_>| match field.answer {
        Answer::Entity(listed) | Answer::Entities(listed) => Some((name(&field.asks), listed)),
        Answer::Choice(_)
        | Answer::Choices(_)
        | Answer::Line
        | Answer::Number
        | Answer::Text
        | Answer::YamlText
        | Answer::Yaml
        | Answer::Lines { .. } => None,
    };
    fields(action).into_iter().filter_map(listed).collect()
}

/// Seven digits that change when the form asks something else.
pub fn hash(action: &Action) -> String {
    let inputs: Vec<_> = action
        .inputs
        .iter()
        .map(|(name, property)| {
            json!({
                "name": name,
                "title": property.title,
                "schema": property.json_schema(),
                "blueprint": property.blueprint,
                "items": property.items.as_ref().map(|items| &items.blueprint),
                "default": property.default,
                "required": action.required.contains(name),
            })
        })
        .collect();
    let mut asked = vec![
        json!(FORMAT),
        json!(action.identifier),
        action.operation.name().into(),
        json!(action.blueprint),
        json!(inputs),
    ];
    let left_out: Vec<_> =
        action.inputs.iter().map(|(name, _)| name).filter(|name| is_never_asked(action, name)).collect();
    if !left_out.is_empty() {
        asked.push(json!(left_out));
    }
    if asks_on_behalf(action) {
        asked.push("onBehalfOf".into());
    }
    let asked = Value::Array(asked);
    let mut hex = hex::encode(Sha256::digest(asked.to_string()));
    hex.truncate(7);
    hex
}

/// The only option of the field "Action".
pub(super) fn action_option(action: &Action) -> String {
    format!("{} (form {})", action.identifier, hash(action))
}

/// Where the value at this path of a request stands in the issue that it came from: under its heading.
pub fn place_of(action: &Action, issue: u64) -> impl Fn(&[Segment]) -> Place {
    let headings: Vec<_> = fields(action)
        .into_iter()
        .filter_map(|field| match field.asks {
            Asks::Input(name, _) => Some((name.to_owned(), field.heading)),
            Asks::Action | Asks::Entity | Asks::OnBehalf | Asks::Reason => None,
        })
        .collect();
    move |path| {
        let field = match path {
            [Segment::Key(first), Segment::Key(name), rest @ ..] if first == "inputs" => {
                let heading =
                    headings.iter().find(|(input, _)| input == name).map_or(name, |(_, heading)| heading);
                match rest {
                    [] => heading.clone(),
                    [Segment::Index(index), ..] => format!("{heading}, line {}", index + 1),
                    [Segment::Key(key), ..] => format!("{heading}, {key}"),
                }
            }
            [Segment::Key(first), ..] if first == "entity" => "Entity".to_owned(),
            [Segment::Key(first), ..] if first == "onBehalfOf" => "On behalf of".to_owned(),
            [Segment::Key(first), ..] if first == "reason" => "Reason".to_owned(),
            _ => "Action".to_owned(),
        };
        heading_place(issue, field)
    }
}

/// The place of a heading in an issue.
pub(super) fn heading_place(issue: u64, heading: impl Into<String>) -> Place {
    Place { field: Some(heading.into()), ..Place::file(format!("issue #{issue}")) }
}
