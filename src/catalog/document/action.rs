//! What may an action say?

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Reader,
    form::{InputsDocument, form},
    input::check_dataset,
    join, kind,
    rule::{ExecuteDocument, approval, approval_schema, execute},
    step::{StepDocument, seconds, steps},
    text_or_list,
};
use crate::{
    catalog::values::{Segment, Wrong, trail},
    domain::{
        Action, Approval, BlueprintId, ChangeKind, EntityChange, MergeMode, OnDelete, Operation, Step, Ttl,
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
    execute: Option<ExecuteDocument>,
    /// Who must approve: `none`, or rules that must all hold; one person with write access if not said.
    #[serde(default)]
    #[schemars(schema_with = "approval_schema")]
    approval: Option<Value>,
    /// Who merges the approved request; people if not said, and Chandlery where the action needs no approval.
    merge: Option<MergeDocument>,
    /// What happens, in order.
    steps: Option<Vec<StepDocument>>,
    /// Whether its pull requests are merged together or not at all.
    #[serde(default)]
    atomic: bool,
    /// How the catalog changes when the steps have succeeded.
    entities: Option<Vec<ChangeDocument>>,
    /// That Chandlery itself asks for it, of each entity whose time is over; a DELETE only.
    ttl: Option<TtlDocument>,
}

/// When Chandlery asks for a DELETE itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TtlDocument {
    /// The property of the format `timer` that says when an entity's time is over.
    property: String,
    /// How long before that whoever asked for the entity and its team are warned, such as `1d`; not at all if not said.
    warn_before: Option<String>,
}

kind!(ActionDocument, "action", definition: true);

/// What an action does, and what its form asks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TriggerDocument {
    /// What it does to an entity of its blueprint.
    operation: OperationDocument,
    /// The blueprint that it is about; if not said, that of the first of `entities` that does what `operation` says.
    blueprint_identifier: Option<String>,
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

impl ActionDocument {
    pub(in crate::catalog) fn into_domain(self, reader: &mut Reader) -> Option<Action> {
        let identifier = reader.name(&trail!["identifier"], &self.identifier);
        let operation = match self.trigger.operation {
            OperationDocument::Create => Operation::Create,
            OperationDocument::Day2 => Operation::Day2,
            OperationDocument::Delete => Operation::Delete,
        };
        let (inputs, required, mut form) = form(self.trigger.user_inputs.unwrap_or_default(), reader);
        form.condition = condition(self.trigger.condition, operation, reader);
        let execute = execute(self.execute, reader);
        let approval = approval(self.approval, reader);
        let steps = steps(self.steps.unwrap_or_default(), reader);
        if self.atomic {
            check_atomic(&steps, reader);
        }
        let entities = self.entities.unwrap_or_default().into_iter().enumerate();
        let entities: Vec<EntityChange> =
            entities.filter_map(|(index, change)| change.into_domain(index, reader)).collect();
        let blueprint = match &self.trigger.blueprint_identifier {
            Some(said) => reader.name(&trail!["trigger", "blueprintIdentifier"], said),
            None => about(operation, &entities, reader),
        };
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
            merge: match (self.merge, &approval) {
                (Some(said), _) => said.into(),
                (None, Approval::NotNeeded) => MergeMode::Auto,
                (None, Approval::Rules(_)) => MergeMode::Manual,
            },
            approval,
            steps,
            atomic: self.atomic,
            entities,
            ttl: ttl(self.ttl, operation, reader),
        })
    }
}

/// The blueprint that an action is about which says none: every request changes the catalog, so what it changes tells.
fn about(operation: Operation, entities: &[EntityChange], reader: &mut Reader) -> Option<BlueprintId> {
    let fitting = entities.iter().find(|change| operation.is_done_by(change.kind));
    let found = fitting.or(entities.first()).map(|change| change.blueprint.clone());
    if found.is_none() && reader.found.is_empty() {
        let message = "says no `blueprintIdentifier`, and `entities` name no blueprint";
        let help = "every request changes the catalog: say under `entities` what it makes, such as an entity for each deployment";
        reader.wrong(Wrong::new("missing-key", &trail!["trigger"], message).help(help));
    }
    found
}

fn ttl(said: Option<TtlDocument>, operation: Operation, reader: &mut Reader) -> Option<Ttl> {
    let TtlDocument { property, warn_before } = said?;
    if operation != Operation::Delete {
        let wrong = Wrong::new("misplaced-key", &trail!["ttl"], "belongs to a DELETE, which ends an entity");
        reader.wrong(wrong.about_key().help("say it in the action that removes what this one makes"));
    }
    let warn_before = seconds(warn_before.as_deref(), &trail!["ttl", "warnBefore"], reader).unwrap_or(0);
    Some(Ttl { property, warn_before })
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
