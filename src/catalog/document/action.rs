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
    step::{StepDocument, steps},
    text_or_list,
};
use crate::{
    catalog::values::{Segment, Wrong, trail},
    domain::{Action, Approval, EntityChange, MergeMode, Operation},
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

/// Who presses the merge button.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum MergeDocument {
    #[default]
    Manual,
    Auto,
}

/// One change of the catalog: exactly one of the three.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChangeDocument {
    /// A new entity.
    create: Option<FieldsDocument>,
    /// A change of an entity; null clears a field.
    update: Option<FieldsDocument>,
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

/// An entity. Texts are templates.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TargetDocument {
    /// Its blueprint.
    blueprint: String,
    /// Its identifier.
    identifier: String,
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
        let approval = approval(self.approval, reader);
        let steps = steps(self.steps.unwrap_or_default(), reader);
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
            merge: match (self.merge, &approval) {
                (Some(said), _) => said.into(),
                (None, Approval::NotNeeded) => MergeMode::Auto,
                (None, Approval::Rules(_)) => MergeMode::Manual,
            },
            approval,
            steps,
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

impl ChangeDocument {
    fn into_domain(self, index: usize, reader: &mut Reader) -> Option<EntityChange> {
        let path = trail!["entities", index];
        let said = usize::from(self.create.is_some())
            + usize::from(self.update.is_some())
            + usize::from(self.delete.is_some());
        if said != 1 {
            let wrong =
                Wrong::new("one-change", &path, "must have exactly one of `create`, `update` and `delete`");
            reader.wrong(wrong.help("write one item of the list for each change"));
            return None;
        }
        if let Some(TargetDocument { blueprint, identifier }) = self.delete {
            let blueprint = reader.name(&join(&join(&path, "delete"), "blueprint"), &blueprint)?;
            return Some(EntityChange::Delete { blueprint, identifier });
        }
        let (word, document) = match (self.create, self.update) {
            (Some(document), _) => ("create", document),
            (_, Some(document)) => ("update", document),
            (None, None) => return None,
        };
        let path = join(&path, word);
        let blueprint = reader.name(&join(&path, "blueprint"), &document.blueprint)?;
        let identifier = document.identifier;
        let mut fields = reader.mapping(&path);
        fields.retain(|key, _| key != "blueprint" && key != "identifier");
        Some(match word {
            "create" => EntityChange::Create { blueprint, identifier, fields },
            _ => EntityChange::Update { blueprint, identifier, fields },
        })
    }
}

/// Where the blueprint of a change stands.
pub(in crate::catalog) fn change_path(index: usize, change: &EntityChange) -> Vec<Segment> {
    let word = match change {
        EntityChange::Create { .. } => "create",
        EntityChange::Update { .. } => "update",
        EntityChange::Delete { .. } => "delete",
    };
    trail!["entities", index, word].to_vec()
}
