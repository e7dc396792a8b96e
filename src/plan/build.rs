//! What would a request do? Renders it against the present targets, in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Map, Value, json};

use crate::{
    catalog::{self, Definitions},
    domain::{
        Action, ActionId, Bytes, Changes, Diagnostic, EntityId, Login, MergeMode, ObjectId, Operation, Place,
        RepoPath, SecretRef, StepId, StepKind, Template, TemplateName,
    },
    intake::{Accepted, form::entity_value},
    plan::{
        asking::Asking,
        backend::{self, Standing},
        diff,
        facts::{Draft, Here, Looked, Looker, Part, Pending, PlanOf},
        plan_file::{Asked, EntityOperation, FORMAT, Pins, Plan, PlannedEntity, PlannedStep},
        policy, rules,
        target::plan_step,
        writeback,
    },
    render,
};

/// The most that a plan may ask people to read, in bytes and lines of its diff.
pub const READABLE: (usize, usize) = (400_000, 5_000);

/// A plan, or what is wrong with its request.
pub type Planned = Result<Built, Vec<Diagnostic>>;

/// A plan with what it would write.
#[must_use]
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// The plan.
    pub plan: Plan,
    /// The files of each step.
    pub contents: BTreeMap<StepId, Changes>,
    /// The blob that each file of a step would be, whether that changes it or not; none where it would not be there.
    pub files: BTreeMap<StepId, BTreeMap<RepoPath, Option<ObjectId>>>,
    /// The exact diff, `plan.diff`.
    pub diff: String,
    /// The lines of the diff that a reviewer should read twice, in words.
    pub risks: Vec<String>,
}

impl Built {
    /// Whether nothing would change anywhere.
    pub fn is_noop(&self) -> bool {
        self.plan.steps.iter().all(PlannedStep::is_nothing) && self.plan.entities.is_empty()
    }

    /// The bytes of `plan.yaml`.
    pub fn plan_file(&self) -> Bytes {
        const HEADER: &str =
            "# Written by Chandlery: what this request would do. Do not edit; change request.yaml instead.\n";
        let yaml = serde_yaml::to_string(&self.plan).expect("a plan is plain data");
        format!("{HEADER}{yaml}").into_bytes().into()
    }

    /// The bytes of `plan.diff`.
    pub fn diff_file(&self) -> Bytes {
        self.diff.clone().into_bytes().into()
    }
}

/// What a request is planned with: the action and the templates, present or pinned.
pub struct Recipe<'a> {
    /// The action.
    pub action: &'a Action,
    /// Its blob.
    pub blob: ObjectId,
    /// The templates by name.
    pub templates: BTreeMap<TemplateName, &'a Template>,
}

impl<'a> Recipe<'a> {
    /// The present one of an action.
    pub fn present(definitions: &'a Definitions, id: &ActionId) -> Option<Self> {
        let defined = definitions.actions.get(id)?;
        let templates = defined
            .value
            .steps
            .iter()
            .filter_map(|step| definitions.templates.get_key_value(&step.pull_request()?.template))
            .map(|(name, template)| (name.clone(), template))
            .collect();
        Some(Self { action: &defined.value, blob: defined.blob, templates })
    }

    fn pins(&self) -> Pins {
        let templates =
            self.templates.iter().map(|(name, template)| (name.clone(), template.pins.clone())).collect();
        Pins { action: self.blob, templates }
    }
}

/// Everything that planning one request reads.
pub struct Site<'a> {
    /// What may be asked.
    pub look: &'a Looker<'a>,
    /// Which catalog, and who we are.
    pub here: &'a Here,
    /// The present definitions.
    pub definitions: &'a Definitions,
    /// The newest commit of the catalog.
    pub catalog: ObjectId,
    /// Whose plan is made, if what is known of it stays from one round of answers to the next.
    pub(super) plan: Option<&'a PlanOf>,
}

impl<'a> Site<'a> {
    /// A site where nothing is kept of plans.
    pub fn new(
        look: &'a Looker<'a>,
        here: &'a Here,
        definitions: &'a Definitions,
        catalog: ObjectId,
    ) -> Self {
        Self { look, here, definitions, catalog, plan: None }
    }

    /// A piece of the plan that is made, worked out if it was not in an earlier round.
    pub(super) fn kept<T: Send + Sync + 'static>(
        &self,
        draft: Draft,
        work_out: impl FnOnce() -> Looked<T>,
    ) -> Looked<Arc<T>> {
        match self.plan {
            Some(plan) => self.look.kept(self.definitions, Part::Plan(plan.clone(), draft), work_out),
            None => work_out().map(Arc::new),
        }
    }
}

/// Plans an accepted request.
///
/// # Errors
/// `Pending` while answers are awaited; inside, what is wrong, for the requester or the platform team.
pub fn build(
    site: &Site<'_>,
    recipe: &Recipe<'_>,
    accepted: &Accepted,
    people: &BTreeSet<Login>,
) -> Looked<Result<Built, Vec<Diagnostic>>> {
    let request = &accepted.request;
    let context = site.kept(Draft::Context, || Ok(context(recipe.action, accepted)))?;
    let mut problems = Vec::new();
    let mut pending = false;

    let mut steps = Vec::new();
    let (mut contents, mut leaves) = (BTreeMap::new(), BTreeMap::new());
    let mut diffs = String::new();
    let mut risks = BTreeSet::new();
    for step in &recipe.action.steps {
        let mut planned = PlannedStep {
            id: step.id.clone(),
            title: step.title.clone(),
            when: step.when.clone(),
            timeout: step.timeout,
            on_failure: step.on_failure,
            pull_request: None,
            workflow: None,
            webhook: None,
            script: None,
        };
        let at = Standing::new(site, recipe, step);
        let done = match &step.does {
            StepKind::PullRequest(pull) => match plan_step(site, recipe, step, pull, &request.id, &context) {
                Err(Pending) => Err(Pending),
                Ok(Err(found)) => Ok(Err(found)),
                Ok(Ok(done)) => {
                    diffs.push_str(&diff::of_repository(done.planned.repository.as_str(), &done.files));
                    risks.extend(diff::risks(&done.planned.repository, &done.files));
                    contents.insert(step.id.clone(), done.changes);
                    let blob = |versions: &diff::Versions| {
                        versions.after.as_ref().map(|bytes| ObjectId::of_blob(bytes))
                    };
                    let files = done.files.iter().map(|(path, versions)| (path.clone(), blob(versions)));
                    leaves.insert(step.id.clone(), files.collect());
                    planned.pull_request = Some(done.planned);
                    Ok(Ok(()))
                }
            },
            StepKind::Workflow(workflow) => backend::plan_workflow(&at, workflow, &context)
                .map(|done| done.map(|done| planned.workflow = Some(done))),
            StepKind::Webhook(webhook) => {
                Ok(backend::plan_webhook(&at, webhook, &context).map(|done| planned.webhook = Some(done)))
            }
            StepKind::Script(script) => backend::plan_script(&at, script, &context)
                .map(|done| done.map(|done| planned.script = Some(done))),
        };
        match done {
            Err(Pending) => pending = true,
            Ok(Err(found)) => problems.extend(found),
            Ok(Ok(())) => steps.push(planned),
        }
    }
    let mut entities = Vec::new();
    match site.kept(Draft::Entities, || writeback::plan_entities(site, recipe.action, &context)) {
        Err(Pending) => pending = true,
        Ok(planned) => match &*planned {
            Err(found) => problems.extend(found.iter().cloned()),
            Ok(planned) => {
                diffs.push_str(&diff::of_repository("catalog", &planned.files));
                problems.extend(nothing_touched(site, recipe.action, accepted, &planned.asked));
                let follows = |entity: &&PlannedEntity| {
                    entity.change == EntityOperation::Delete && !entity.follows.is_empty()
                };
                let cascade = planned.entities.iter().filter(follows).count();
                if cascade > 0 {
                    risks.insert(format!(
                    "{cascade} more of the catalog's entities are removed, because they point at one that is"
                ));
                }
                entities.clone_from(&planned.entities);
            }
        },
    }
    if pending {
        return Err(Pending);
    }
    let lines = diffs.lines().count();
    if diffs.len() > READABLE.0 || lines > READABLE.1 {
        problems.push(
            Diagnostic::error(
                "plan-too-large",
                Place::file(format!("requests/{}", request.id)),
                format!(
                    "the plan is too large to be read: {} KB and {lines} lines of diff",
                    diffs.len() / 1000
                ),
            )
            .help(format!(
                "ask for less at a time: at most {} KB and {} lines",
                READABLE.0 / 1000,
                READABLE.1
            )),
        );
    }
    if !problems.is_empty() {
        return Ok(Err(problems));
    }

    let asking = Asking { action: recipe.action, accepted, people, steps: &steps, entities: &entities };
    let ruling = policy::judge(site, &request.id, &asking, policy::Moment::Planned)?;
    if !ruling.refusals.is_empty() {
        return Ok(Err(ruling.refusals));
    }

    let asked = Asked {
        action: request.action.clone(),
        entity: request.entity.clone(),
        inputs: request.inputs.clone(),
        reason: request.reason.clone(),
        on_behalf_of: request.on_behalf_of.clone(),
    };
    let approval = match rules::of_action(site, &asking, ruling.rules)? {
        Ok(approval) => approval,
        Err(problems) => return Ok(Err(problems)),
    };
    let mut plan = Plan {
        version: FORMAT,
        request: request.id.clone(),
        asked,
        key: String::new(),
        steps,
        atomic: recipe.action.atomic,
        entities,
        approval,
        pins: recipe.pins(),
    };
    plan.key = plan.key_of(recipe.action.merge == MergeMode::Auto);
    Ok(Ok(Built { plan, contents, files: leaves, diff: diffs, risks: risks.into_iter().collect() }))
}

/// What an action is for must be among what it does: CREATE creates one of its blueprint, DAY-2 changes the entity that it
/// was asked on, DELETE removes it.
fn nothing_touched(
    site: &Site<'_>,
    action: &Action,
    accepted: &Accepted,
    asked: &[(EntityOperation, EntityId)],
) -> Option<Diagnostic> {
    let asked_on = accepted.request.entity.as_ref();
    let is_it = |id: &EntityId| id.blueprint == action.blueprint && asked_on == Some(&id.identifier);
    let fits = |(change, id): &(EntityOperation, EntityId)| match action.operation {
        Operation::Create => {
            matches!(change, EntityOperation::Create | EntityOperation::Upsert)
                && id.blueprint == action.blueprint
        }
        Operation::Day2 => matches!(change, EntityOperation::Update | EntityOperation::Upsert) && is_it(id),
        Operation::Delete => *change == EntityOperation::Delete && is_it(id),
    };
    if asked.iter().any(fits) {
        return None;
    }
    let what = match action.operation {
        Operation::Create => format!("create no `{}`", action.blueprint),
        Operation::Day2 => "not change the entity that it is asked on".to_owned(),
        Operation::Delete => "not remove the entity that it is asked on".to_owned(),
    };
    let source = format!("{}/{}.yaml", site.definitions.settings.folders.actions, action.identifier);
    let problem = Diagnostic::error(
        "nothing-touched",
        Place::file(source),
        format!("the action is a {}, and this request would {what}", action.operation.name()),
    );
    Some(problem.help("the platform team must mend `entities` of the action"))
}

/// The names that templates may use.
pub fn context(action: &Action, accepted: &Accepted) -> render::Context {
    let (names, secrets) = names(action, accepted);
    render::Context::new(names).with_secrets(secrets)
}

/// These names with what they stand for, and the inputs that say where a secret is.
pub(super) fn names(
    action: &Action,
    accepted: &Accepted,
) -> (Map<String, Value>, BTreeMap<String, SecretRef>) {
    // Where a secret is goes to who needs it, and into no text.
    let mut inputs = accepted.request.inputs.clone();
    let mut secrets = BTreeMap::new();
    for name in catalog::secret::inputs(action) {
        let said = inputs.shift_remove(name);
        let reference = said.as_ref().and_then(Value::as_str).and_then(|text| text.parse().ok());
        secrets.extend(reference.map(|reference| (name.to_owned(), reference)));
    }
    let entities: Map<String, Value> =
        accepted.entities.iter().map(|(name, chosen)| (name.clone(), chosen.value())).collect();
    let mut names = Map::new();
    names.insert("inputs".into(), Value::Object(inputs));
    names.insert("entities".into(), Value::Object(entities));
    if let Some(entity) = &accepted.entity {
        names.insert("entity".into(), entity_value(entity));
    }
    names.insert("request".into(), json!({ "id": accepted.request.id, "reason": accepted.request.reason }));
    names.insert("action".into(), json!({ "identifier": action.identifier, "title": action.title }));
    (names, secrets)
}
