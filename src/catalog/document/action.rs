//! What may an action say?

use std::collections::BTreeSet;

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Reader,
    form::{InputsDocument, form},
    input::check_dataset,
    join, kind,
    step::{StepDocument, steps},
    text_or_list,
};
use crate::{
    catalog::values::{Segment, Wrong, trail},
    domain::{
        Action, Approval, ChangeKind, EntityChange, Execute, MergeMode, OnDelete, Operation, Quorum, Rule,
        Step,
    },
};

/// Something people may ask for, `actions/<identifier>.yaml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::catalog) struct ActionDocument {
    /// Its identifier, which is the name of its file too.
    identifier: String,
    /// The name that people read.
    title: Option<String>,
    /// What it is for.
    description: Option<String>,
    /// The name of a picture; kept for other programs.
    #[expect(dead_code, reason = "read by other programs")]
    icon: Option<String>,
    /// What it does, and what its form asks.
    trigger: TriggerDocument,
    /// Who may ask; everybody with write access to the catalog if not said.
    execute: Option<PeopleDocument>,
    /// Who must approve: `none`, or rules that must all hold; one person with write access if not said.
    #[serde(default)]
    #[schemars(schema_with = "approval")]
    approval: Option<Value>,
    /// Who merges the approved request; people if not said.
    #[serde(default)]
    merge: MergeDocument,
    /// What happens, in order.
    steps: Option<Vec<StepDocument>>,
    /// Whether its pull requests are merged together or not at all.
    #[serde(default)]
    atomic: bool,
    /// How the catalog changes when the steps have succeeded.
    entities: Option<Vec<ChangeDocument>>,
}

kind!(ActionDocument, "action");

/// What an action does, and what its form asks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TriggerDocument {
    /// What it does to an entity of its blueprint.
    operation: OperationDocument,
    /// The blueprint that it is about.
    blueprint_identifier: String,
    /// What its form asks.
    user_inputs: Option<InputsDocument>,
    /// A query for the entities that it can be run on; all of the blueprint's if not said.
    condition: Option<Map<String, Value>>,
}

/// A new entity, a change of one, or its end.
#[derive(Debug, Deserialize, JsonSchema)]
enum OperationDocument {
    #[serde(rename = "CREATE")]
    Create,
    #[serde(rename = "DAY-2")]
    Day2,
    #[serde(rename = "DELETE")]
    Delete,
}

/// People and teams.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PeopleDocument {
    /// Logins on the forge.
    #[serde(default)]
    users: Vec<String>,
    /// Identifiers of `_team` entities.
    #[serde(default)]
    teams: Vec<String>,
}

/// Rules of approval, all of which must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RulesDocument {
    /// The rules.
    #[schemars(length(min = 1))]
    rules: Vec<RuleDocument>,
}

/// One rule of approval.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RuleDocument {
    /// Its name, for people.
    name: String,
    /// Logins of people who may approve.
    #[serde(default)]
    users: Vec<String>,
    /// Teams whose members may approve.
    #[serde(default)]
    teams: Vec<String>,
    /// How many of them must approve; one if not said.
    #[schemars(range(min = 1, max = 100))]
    count: Option<u32>,
    /// Whether all of them must.
    #[serde(default)]
    all: bool,
}

/// Who presses the merge button.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum MergeDocument {
    #[default]
    Manual,
    Auto,
}

/// One change of the catalog: exactly one of the four.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChangeDocument {
    /// An expression that gives a list; the change is made for each `item` of it.
    for_each: Option<String>,
    /// A new entity.
    create: Option<FieldsDocument>,
    /// A change of an entity; null clears a field.
    update: Option<FieldsDocument>,
    /// A change of an entity if it is there, and a new one otherwise.
    upsert: Option<FieldsDocument>,
    /// The end of an entity.
    delete: Option<TargetDocument>,
}

/// An entity and its fields. Texts are templates.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FieldsDocument {
    /// Its blueprint.
    blueprint: String,
    /// Its identifier.
    identifier: String,
    /// The name that people read.
    #[expect(dead_code, reason = "taken as written")]
    title: Option<String>,
    /// The team that owns it, or a list of teams.
    #[expect(dead_code, reason = "taken as written")]
    #[serde(default)]
    #[schemars(schema_with = "text_or_list")]
    team: Option<Value>,
    /// What it says.
    #[expect(dead_code, reason = "taken as written")]
    properties: Option<Map<String, Value>>,
    /// What it points at.
    #[expect(dead_code, reason = "taken as written")]
    relations: Option<Map<String, Value>>,
}

/// An entity that ends. Texts are templates.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TargetDocument {
    /// Its blueprint.
    blueprint: String,
    /// Its identifier.
    identifier: String,
    /// What becomes of those that point at it: `restrict` (if not said: it does not end while there are some),
    /// `cascade` (they end, too) or `nullify` (they no longer point at it).
    on_delete: Option<OnDeleteDocument>,
}

/// What becomes of entities that point at one that ends.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum OnDeleteDocument {
    Restrict,
    Cascade,
    Nullify,
}

impl From<Option<OnDeleteDocument>> for OnDelete {
    fn from(document: Option<OnDeleteDocument>) -> Self {
        match document {
            None | Some(OnDeleteDocument::Restrict) => Self::Restrict,
            Some(OnDeleteDocument::Cascade) => Self::Cascade,
            Some(OnDeleteDocument::Nullify) => Self::Nullify,
        }
    }
}

fn approval(generator: &mut SchemaGenerator) -> schemars::Schema {
    let rules = generator.subschema_for::<RulesDocument>();
    json!({ "anyOf": [{ "const": "none" }, rules, { "type": "null" }] }).try_into().unwrap_or_default()
}

impl ActionDocument {
    pub(in crate::catalog) fn into_domain(self, reader: &mut Reader) -> Option<Action> {
        let identifier = reader.name(&trail!["identifier"], &self.identifier);
        let operation = match self.trigger.operation {
            OperationDocument::Create => Operation::Create,
            OperationDocument::Day2 => Operation::Day2,
            OperationDocument::Delete => Operation::Delete,
        };
        let blueprint =
            reader.name(&trail!["trigger", "blueprintIdentifier"], &self.trigger.blueprint_identifier);
        let (inputs, required, mut form) = form(self.trigger.user_inputs.unwrap_or_default(), reader);
        form.condition = condition(self.trigger.condition, operation, reader);
        let execute = execute(self.execute, reader);
        let approval = approval_of(self.approval, reader);
        let steps = steps(self.steps.unwrap_or_default(), reader);
        if self.atomic {
            check_atomic(&steps, reader);
        }
        let entities = self.entities.unwrap_or_default().into_iter().enumerate();
        let entities = entities.filter_map(|(index, change)| change.into_domain(index, reader)).collect();
        Some(Action {
            identifier: identifier?,
            title: self.title.unwrap_or(self.identifier),
            description: self.description,
            operation,
            blueprint: blueprint?,
            inputs,
            required,
            form,
            execute,
            approval,
            merge: self.merge.into(),
            steps,
            atomic: self.atomic,
            entities,
        })
    }
}

impl From<MergeDocument> for MergeMode {
    fn from(document: MergeDocument) -> Self {
        match document {
            MergeDocument::Manual => Self::Manual,
            MergeDocument::Auto => Self::Auto,
        }
    }
}

fn condition(said: Option<Map<String, Value>>, operation: Operation, reader: &mut Reader) -> Option<Value> {
    let path = trail!["trigger", "condition"];
    let query = Value::Object(said?);
    if operation == Operation::Create {
        let wrong =
            Wrong::new("misplaced-key", &path, "has no effect on a CREATE, which is run on no entity");
        reader.wrong(wrong.about_key().help("say what inputs must hold under `userInputs.validations`"));
    }
    let before = reader.found.len();
    check_dataset(&query, &path, reader);
    if reader.found.len() == before && crate::catalog::form::sample(&query) != query {
        let wrong =
            Wrong::new("invalid-query", &path, "is computed, and nothing is known yet when it is asked");
        reader.wrong(
            wrong.help("compare with a value; what depends on inputs goes under `userInputs.validations`"),
        );
    }
    Some(query)
}

fn execute(document: Option<PeopleDocument>, reader: &mut Reader) -> Execute {
    let Some(PeopleDocument { users, teams }) = document else { return Execute::Writers };
    if users.is_empty() && teams.is_empty() {
        let wrong = Wrong::new("nobody-named", &trail!["execute"], "names nobody, so nobody could ask");
        reader
            .wrong(wrong.help("name users or teams; without `execute` everybody with write access may ask"));
    }
    Execute::Named {
        users: reader.names(&trail!["execute", "users"], &users),
        teams: reader.names(&trail!["execute", "teams"], &teams),
    }
}

fn approval_of(said: Option<Value>, reader: &mut Reader) -> Approval {
    let rules = match said {
        Some(Value::Object(rules)) => serde_json::from_value::<RulesDocument>(Value::Object(rules)),
        Some(_) => return Approval::NotNeeded,
        None => {
            return Approval::Rules(vec![Rule {
                name: "write access".to_owned(),
                users: Vec::new(),
                teams: Vec::new(),
                writers: true,
                quorum: Quorum::Count(1),
            }]);
        }
    };
    let rules = match rules {
        Ok(document) => document.rules,
        Err(error) => {
            reader.wrong(Wrong::new("wrong-value", &trail!["approval"], format!("cannot be read: {error}")));
            return Approval::Rules(Vec::new());
        }
    };
    let mut names = BTreeSet::new();
    let rule = |(index, rule): (usize, RuleDocument)| {
        let path = trail!["approval", "rules", index];
        if !names.insert(rule.name.clone()) {
            let wrong = Wrong::new("duplicate-identifier", &join(&path, "name"), "names a second rule so");
            reader.wrong(wrong.help("give each rule a name of its own, so that people can tell them apart"));
        }
        let people: BTreeSet<&String> = rule.users.iter().collect();
        if !rule.all
            && rule.teams.is_empty()
            && !people.is_empty()
            && rule.count.is_some_and(|count| count as usize > people.len())
        {
            let message = format!("is more than the {} named", people.len());
            let wrong = Wrong::new("nobody-named", &join(&path, "count"), message);
            reader.wrong(wrong.help("name more people or a team, or ask for fewer"));
        }
        if rule.users.is_empty() && rule.teams.is_empty() {
            let wrong = Wrong::new("nobody-named", &path, "names nobody, so nobody could approve");
            reader.wrong(wrong.help("name users or teams"));
        }
        if rule.all && rule.count.is_some() {
            let wrong =
                Wrong::new("misplaced-key", &join(&path, "count"), "cannot go with `all: true`").about_key();
            reader.wrong(wrong.help("keep one of the two"));
        }
        Rule {
            name: rule.name,
            users: reader.names(&join(&path, "users"), &rule.users),
            teams: reader.names(&join(&path, "teams"), &rule.teams),
            writers: false,
            quorum: if rule.all { Quorum::All } else { Quorum::Count(rule.count.unwrap_or(1)) },
        }
    };
    Approval::Rules(rules.into_iter().enumerate().map(rule).collect())
}

/// Only pull requests that are open at the same time, all of them, can be merged together.
fn check_atomic(steps: &[Step], reader: &mut Reader) {
    let pulls: Vec<usize> = (0..steps.len()).filter(|at| steps[*at].pull_request().is_some()).collect();
    let are_beside = pulls.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    let are_certain = pulls.iter().all(|at| steps[*at].when.is_none() && steps[*at].on_failure.stops());
    let path = trail!["atomic"];
    if pulls.len() < 2 {
        let wrong = Wrong::new("not-atomic", &path, "has no meaning with fewer than two pull requests");
        reader.wrong(wrong.help("take it out"));
    } else if !are_beside || !are_certain {
        let message =
            "needs `pullRequest` steps that stand next to each other, without `if` and `onFailure: continue`";
        let wrong = Wrong::new("not-atomic", &path, message);
        reader.wrong(wrong.help("move the other steps before or behind them, or take `atomic` out"));
    }
}

impl ChangeDocument {
    fn into_domain(self, index: usize, reader: &mut Reader) -> Option<EntityChange> {
        let path = trail!["entities", index];
        let Self { for_each, create, update, upsert, delete } = self;
        let named =
            [(ChangeKind::Create, create), (ChangeKind::Update, update), (ChangeKind::Upsert, upsert)];
        let mut said: Vec<(ChangeKind, String, String)> = Vec::new();
        for (kind, document) in named {
            said.extend(document.map(|document| (kind, document.blueprint, document.identifier)));
        }
        said.extend(delete.map(|target| {
            (ChangeKind::Delete(target.on_delete.into()), target.blueprint, target.identifier)
        }));
        let Ok([(kind, blueprint, identifier)]) = <[_; 1]>::try_from(said) else {
            let message = "must have exactly one of `create`, `update`, `upsert` and `delete`";
            let wrong = Wrong::new("one-change", &path, message);
            reader.wrong(wrong.help("write one item of the list for each change"));
            return None;
        };
        let path = join(&path, kind.name());
        let blueprint = reader.name(&join(&path, "blueprint"), &blueprint)?;
        let fields = match kind {
            ChangeKind::Delete(_) => Map::new(),
            ChangeKind::Create | ChangeKind::Update | ChangeKind::Upsert => {
                let mut fields = reader.mapping(&path);
                fields.retain(|key, _| key != "blueprint" && key != "identifier");
                fields
            }
        };
        Some(EntityChange { for_each, kind, blueprint, identifier, fields })
    }
}

/// Where the blueprint of a change stands.
pub(in crate::catalog) fn change_path(index: usize, change: &EntityChange) -> Vec<Segment> {
    trail!["entities", index, change.kind.name()].to_vec()
}
