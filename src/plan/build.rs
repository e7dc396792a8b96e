//! What would a request do? Renders it against the present targets, in memory.
//!
//! The plan says the effect and nothing of its causes: no commit ids, times, people or review
//! states. Its key therefore stays as it is until the effect changes. What it was made from is
//! pinned beside it, by the ids of blobs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{
    catalog::Definitions,
    domain::{
        Action, ActionId, Approval, Branch, Bytes, Change, Changes, Diagnostic, FileMode, Identifier, Login,
        MergeMode, ObjectId, Operation, Place, Quorum, RepoName, RepoPath, RequestId, Rule, Step, StepId,
        TeamSlug, Template, TemplateName, nearest,
    },
    intake::Accepted,
    plan::{
        diff,
        facts::{Here, Looked, Looker, Pending},
        writeback,
    },
    render,
};

/// The version of `plan.yaml` and `run.yaml`.
pub const FORMAT: u32 = 1;

/// The most that a plan may ask people to read, in bytes and lines of its diff.
pub const READABLE: (usize, usize) = (400_000, 5_000);

/// What a request would do, `plan.yaml`.
#[must_use]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// The version of this format.
    pub version: u32,
    /// Which request.
    pub request: RequestId,
    /// What was asked.
    pub asked: Asked,
    /// SHA-256 over the canonical JSON of the effect, in hexadecimal digits.
    pub key: String,
    /// The pull requests that would be opened.
    pub steps: Vec<PlannedStep>,
    /// The entities that would change.
    pub entities: Vec<PlannedEntity>,
    /// Who must approve; empty where nobody must.
    pub approval: Vec<PlannedRule>,
    /// What it was made from. Not part of the key.
    pub pins: Pins,
}

impl Plan {
    /// Whether both do the same; what they were made from may differ.
    pub fn is_same_but_for_pins(&self, other: &Self) -> bool {
        let Self { version, request, asked, key, steps, entities, approval, pins: _ } = self;
        (version, request, asked, key) == (&other.version, &other.request, &other.asked, &other.key)
            && (steps, entities, approval) == (&other.steps, &other.entities, &other.approval)
    }
}

/// What was asked, with defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Asked {
    /// The action.
    pub action: ActionId,
    /// The entity it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<Identifier>,
    /// Every input that has a value.
    pub inputs: Map<String, Value>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A pull request that would be opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlannedStep {
    /// The step.
    pub id: StepId,
    /// Where.
    pub repository: RepoName,
    /// Into which branch.
    pub base: Branch,
    /// From which branch.
    pub branch: Branch,
    /// Its title.
    pub title: String,
    /// The text that the action gives it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// Whether Chandlery merges it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub auto_merge: bool,
    /// Every file that changes.
    pub changes: Vec<FileChange>,
}

/// A file that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileChange {
    /// Which.
    pub path: RepoPath,
    /// Its blob before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<ObjectId>,
    /// Its blob after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ObjectId>,
}

/// An entity that changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedEntity {
    /// How.
    pub change: EntityOperation,
    /// Which, `blueprint/identifier`.
    pub entity: String,
    /// The fields given, or patched (null clears).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
}

/// How an entity changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntityOperation {
    /// It begins.
    Create,
    /// It is patched.
    Update,
    /// It ends.
    Delete,
}

impl EntityOperation {
    /// The word in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// A rule of approval, as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlannedRule {
    /// Its name.
    pub name: String,
    /// People who may approve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<Login>,
    /// Teams whose members may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<TeamSlug>,
    /// Whether everybody with write access may.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub writers: bool,
    /// How many must; none means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

impl PlannedRule {
    fn of(rule: &Rule) -> Self {
        Self {
            name: rule.name.clone(),
            users: rule.users.clone(),
            teams: rule.teams.clone(),
            writers: rule.writers,
            count: match rule.quorum {
                Quorum::Count(count) => Some(count),
                Quorum::All => None,
            },
        }
    }

    /// The rule that this says.
    pub fn rule(&self) -> Rule {
        Rule {
            name: self.name.clone(),
            users: self.users.clone(),
            teams: self.teams.clone(),
            writers: self.writers,
            quorum: self.count.map_or(Quorum::All, Quorum::Count),
        }
    }
}

/// What a plan was made from: blobs, never commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// The action.
    pub action: ObjectId,
    /// The files of each template.
    pub templates: BTreeMap<TemplateName, BTreeMap<RepoPath, ObjectId>>,
}

/// A plan with what it would write.
#[must_use]
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// The plan.
    pub plan: Plan,
    /// The files of each step.
    pub contents: BTreeMap<StepId, Changes>,
    /// The exact diff, `plan.diff`.
    pub diff: String,
    /// The lines of the diff that a reviewer should read twice, in words.
    pub risks: Vec<String>,
}

impl Built {
    /// Whether nothing would change anywhere.
    pub fn is_noop(&self) -> bool {
        self.plan.steps.iter().all(|step| step.changes.is_empty()) && self.plan.entities.is_empty()
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

/// The hexadecimal SHA-256 of the canonical JSON of a value.
pub fn digest(value: &impl Serialize) -> String {
    let bytes = serde_json_canonicalizer::to_vec(value).expect("plain data has a canonical form");
    hex::encode(Sha256::digest(bytes))
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
            .filter_map(|step| definitions.templates.get_key_value(&step.pull_request.template))
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
}

/// Plans an accepted request.
///
/// # Errors
/// `Pending` while answers are awaited; inside, what is wrong, for the requester or the platform team.
pub fn build(
    site: &Site<'_>,
    recipe: &Recipe<'_>,
    accepted: &Accepted,
) -> Looked<Result<Built, Vec<Diagnostic>>> {
    let request = &accepted.request;
    let context = context(recipe.action, accepted);
    let mut problems = Vec::new();
    let mut pending = false;

    let mut steps = Vec::new();
    let mut contents = BTreeMap::new();
    let mut diffs = String::new();
    let mut risks = BTreeSet::new();
    for step in &recipe.action.steps {
        match plan_step(site, recipe, step, &request.id, &context) {
            Err(Pending) => pending = true,
            Ok(Err(found)) => problems.extend(found),
            Ok(Ok(done)) => {
                diffs.push_str(&diff::of_repository(done.planned.repository.as_str(), &done.files));
                risks.extend(diff::risks(&done.planned.repository, &done.files));
                contents.insert(step.id.clone(), done.changes);
                steps.push(done.planned);
            }
        }
    }
    let mut entities = Vec::new();
    match writeback::plan_entities(site, recipe.action, &context) {
        Err(Pending) => pending = true,
        Ok(Err(found)) => problems.extend(found),
        Ok(Ok(planned)) => {
            diffs.push_str(&diff::of_repository("catalog", &planned.files));
            entities = planned.entities;
        }
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

    let asked = Asked {
        action: request.action.clone(),
        entity: request.entity.clone(),
        inputs: request.inputs.clone(),
        reason: request.reason.clone(),
    };
    let approval = match &recipe.action.approval {
        Approval::NotNeeded => Vec::new(),
        Approval::Rules(rules) => rules.iter().map(PlannedRule::of).collect(),
    };
    let key = digest(&json!({
        "version": FORMAT, "request": request.id, "asked": asked, "steps": steps, "entities": entities, "approval": approval,
        "merge": recipe.action.merge == MergeMode::Auto,
    }));
    let plan = Plan {
        version: FORMAT,
        request: request.id.clone(),
        asked,
        key,
        steps,
        entities,
        approval,
        pins: recipe.pins(),
    };
    Ok(Ok(Built { plan, contents, diff: diffs, risks: risks.into_iter().collect() }))
}

/// The names that templates may use.
pub fn context(action: &Action, accepted: &Accepted) -> render::Context {
    let inputs = accepted.request.inputs.clone();
    let entities: Map<String, Value> =
        accepted.entities.iter().map(|(name, entity)| (name.clone(), json!(entity.as_ref()))).collect();
    let mut names = Map::new();
    names.insert("inputs".into(), Value::Object(inputs));
    names.insert("entities".into(), Value::Object(entities));
    if let Some(entity) = &accepted.entity {
        let mut entity_value = json!(entity.as_ref());
        if let Value::Object(fields) = &mut entity_value {
            for empty in ["properties", "relations"] {
                fields.entry(empty).or_insert_with(|| json!({}));
            }
        }
        names.insert("entity".into(), entity_value);
    }
    names.insert("request".into(), json!({ "id": accepted.request.id, "reason": accepted.request.reason }));
    names.insert("action".into(), json!({ "identifier": action.identifier, "title": action.title }));
    render::Context::new(names)
}

/// One planned step with what it writes.
pub struct StepDone {
    /// The step as planned.
    pub planned: PlannedStep,
    /// The files to write.
    pub changes: Changes,
    /// Each file before and after, for the diff.
    pub files: BTreeMap<RepoPath, diff::Versions>,
}

/// Plans one step against its target.
///
/// # Errors
/// As [`build`].
pub fn plan_step(
    site: &Site<'_>,
    recipe: &Recipe<'_>,
    step: &Step,
    request: &RequestId,
    context: &render::Context,
) -> Looked<Result<StepDone, Vec<Diagnostic>>> {
    let pull = &step.pull_request;
    let source = format!("{}/{}.yaml", site.definitions.settings.folders.actions, recipe.action.identifier);
    let place = |field: &str| {
        let mut place = Place::file(source.clone());
        place.field = Some(format!("steps.{}.pullRequest.{field}", step.id));
        place
    };
    let Some(template) = recipe.templates.get(&pull.template) else {
        let problem = Diagnostic::error(
            "unknown-template",
            place("template"),
            format!("there is no template `{}`", pull.template),
        );
        return Ok(Err(vec![problem.help("the platform team must mend the action")]));
    };
    let repository: RepoName = match render::text(&pull.repository, &place("repository"), context) {
        Err(problem) => return Ok(Err(vec![problem])),
        Ok(text) => match text.parse() {
            Ok(repository) => repository,
            Err(problem) => {
                let problem: crate::domain::InvalidId = problem;
                return Ok(Err(vec![Diagnostic::error(
                    "bad-repository",
                    place("repository"),
                    problem.to_string(),
                )]));
            }
        },
    };
    let allowed = &site.definitions.settings.repositories;
    if !allowed.contains(&repository) {
        let mut problem = Diagnostic::error(
            "repository-not-allowed",
            place("repository"),
            format!("`{repository}` is not among the repositories that may be changed"),
        );
        if let Some(near) = nearest(repository.as_str(), allowed.iter().map(RepoName::as_str)) {
            problem = problem
                .help(format!("did you mean `{near}`? Otherwise add it to `repositories` in chandlery.yaml"));
        } else {
            problem = problem.help("add it to `repositories` in chandlery.yaml");
        }
        return Ok(Err(vec![problem]));
    }
    let known = match site.look.repository(&repository)? {
        Ok(Some(known)) => known,
        Ok(None) => {
            let problem = Diagnostic::error(
                "repository-not-found",
                place("repository"),
                format!("the repository `{repository}` does not exist, or Chandlery may not see it"),
            );
            return Ok(Err(vec![problem.help("the platform team must give Chandlery access to it")]));
        }
        Err(why) => {
            let problem = Diagnostic::error(
                "repository-unreachable",
                place("repository"),
                format!("the repository `{repository}` could not be looked at: {why}"),
            );
            return Ok(Err(vec![problem.help("nothing to do: it is tried again on the next pass")]));
        }
    };
    if known.archived {
        let problem = Diagnostic::error(
            "repository-archived",
            place("repository"),
            format!("`{repository}` is archived"),
        );
        return Ok(Err(vec![
            problem.help("the platform team must name another repository, or unarchive it"),
        ]));
    }
    let Some((base, head)) = &known.default_branch else {
        let problem =
            Diagnostic::error("repository-empty", place("repository"), format!("`{repository}` is empty"));
        return Ok(Err(vec![problem.help("give it a first commit")]));
    };

    let target = Target { site, repository: &repository, head: *head, source: source.clone() };
    let files = match target.files(template, context)? {
        Ok(files) => files,
        Err(problems) => return Ok(Err(problems)),
    };
    let mut problems = Vec::new();
    let mut texts = |field: &str, template: &Option<String>, default: String| match template {
        None => default,
        Some(template) => render::text(template, &place(field), context).unwrap_or_else(|problem| {
            problems.push(problem);
            String::new()
        }),
    };
    let one_line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let title = one_line(texts("title", &pull.title, format!("{} ({request})", recipe.action.title)));
    let body = texts("body", &pull.body, String::new());
    let branch = texts("branch", &pull.branch, default_branch(request, &step.id));
    let branch: Option<Branch> = match branch.parse() {
        Ok(branch) => Some(branch),
        Err(problem) => {
            let problem: crate::domain::InvalidId = problem;
            problems.push(Diagnostic::error("bad-branch", place("branch"), problem.to_string()));
            None
        }
    };
    let (Some(branch), true) = (branch, problems.is_empty()) else { return Ok(Err(problems)) };
    if branch == *base {
        let problem =
            Diagnostic::error("bad-branch", place("branch"), format!("`{branch}` is the default branch"));
        return Ok(Err(vec![problem.help("the platform team must name another branch, or none")]));
    }

    let mut changes = Vec::new();
    let mut contents = Changes::new();
    for (path, versions) in &files {
        let after = versions.after.as_ref().map(|bytes| ObjectId::of_blob(bytes));
        let before = versions.before.as_ref().map(|bytes| ObjectId::of_blob(bytes));
        if before == after {
            continue;
        }
        changes.push(FileChange { path: path.clone(), before, after });
        let change = versions.after.as_ref().map_or(Change::Delete, |bytes| Change::Put(bytes.clone()));
        contents.insert(path.clone(), change);
    }
    let auto_merge = pull.merge == MergeMode::Auto;
    let planned = PlannedStep {
        id: step.id.clone(),
        repository,
        base: base.clone(),
        branch,
        title,
        body,
        auto_merge,
        changes,
    };
    Ok(Ok(StepDone { planned, changes: contents, files }))
}

fn default_branch(request: &RequestId, step: &StepId) -> String {
    format!("chandlery/{}-{step}", request.slug())
}

struct Target<'a> {
    site: &'a Site<'a>,
    repository: &'a RepoName,
    head: ObjectId,
    source: String,
}

impl Target<'_> {
    /// Every file that the template writes or edits, before and after.
    fn files(
        &self,
        template: &Template,
        context: &render::Context,
    ) -> Looked<Result<BTreeMap<RepoPath, diff::Versions>, Vec<Diagnostic>>> {
        let rendered = match render::files(template, context) {
            Ok(rendered) => rendered,
            Err(problems) => return Ok(Err(problems)),
        };
        let mut problems = Vec::new();
        let mut pending = false;
        let mut files = BTreeMap::new();
        for (path, bytes) in rendered {
            match self.existing(&path) {
                Err(Pending) => pending = true,
                Ok(Err(problem)) => problems.push(problem),
                Ok(Ok(before)) => {
                    if !template.manifest.overwrite && before.as_ref().is_some_and(|before| *before != bytes)
                    {
                        problems.push(self.problem(
                            "file-exists",
                            format!("`{path}` exists in `{}` with other content", self.repository),
                            "choose another name; what exists is never overwritten",
                        ));
                        continue;
                    }
                    files.insert(path, diff::Versions { before, after: Some(bytes) });
                }
            }
        }
        for edit in &template.manifest.set {
            let place = Place::file(format!(
                "{}/{}/template.yaml",
                self.site.definitions.settings.folders.templates, template.name
            ));
            let path = match render::path(&edit.path, &place, context) {
                Ok(path) => path,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            let (value, target) = match (
                render::value(&edit.value, &place, context),
                render::edit::target(&edit.target, &place, context),
            ) {
                (Ok(value), Ok(target)) => (value, target),
                (value, target) => {
                    problems.extend(value.err());
                    problems.extend(target.err());
                    continue;
                }
            };
            if !files.contains_key(&path) {
                match self.existing(&path) {
                    Err(Pending) => {
                        pending = true;
                        continue;
                    }
                    Ok(Err(problem)) => {
                        problems.push(problem);
                        continue;
                    }
                    Ok(Ok(before)) => {
                        files.insert(path.clone(), diff::Versions { after: before.clone(), before });
                    }
                }
            }
            let Some(versions) = files.get_mut(&path) else { continue };
            let Some(old) = &versions.after else {
                problems.push(self.problem(
                    "no-such-file",
                    format!("`{path}` is not in `{}`, so nothing can be set in it", self.repository),
                    "check that what you ask to change exists",
                ));
                files.remove(&path);
                continue;
            };
            match render::edit::set(&path, old, &target, &value) {
                Ok(new) => versions.after = Some(new.into()),
                Err(problem) => problems.push(problem),
            }
        }
        if pending {
            return Err(Pending);
        }
        Ok(if problems.is_empty() { Ok(files) } else { Err(problems) })
    }

    /// The bytes of a path that may be written: an ordinary file or nothing, and no link on the way.
    fn existing(&self, path: &RepoPath) -> Looked<Result<Option<Bytes>, Diagnostic>> {
        let mut pending = false;
        let text = path.as_str();
        for (end, _) in text.match_indices('/') {
            let Ok(parent) = text[..end].parse::<RepoPath>() else { continue };
            match self.site.look.file(self.repository, self.head, &parent) {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(_))) => {
                    return Ok(Err(self.problem(
                        "path-through-file",
                        format!(
                            "`{path}` would lie below `{parent}`, which is no folder in `{}`",
                            self.repository
                        ),
                        "choose another name",
                    )));
                }
                Ok(Err(why)) => return Ok(Err(self.unreadable(&parent, &why))),
                Err(Pending) => pending = true,
            }
        }
        if matches!(path.file_name(), ".gitmodules" | ".gitattributes") {
            return Ok(Err(self.problem(
                "forbidden-path",
                format!("`{path}` changes how Git itself reads the repository"),
                "the platform team must take it out of the template",
            )));
        }
        let found = self.site.look.file(self.repository, self.head, path)?;
        if pending {
            return Err(Pending);
        }
        Ok(match found {
            Ok(None) => Ok(None),
            Ok(Some(file)) => match file.mode {
                FileMode::File | FileMode::Executable => Ok(Some(file.bytes.clone())),
                FileMode::Link | FileMode::Submodule => Err(self.problem(
                    "path-through-link",
                    format!("`{path}` is a link in `{}`", self.repository),
                    "links are never written through; choose another name",
                )),
            },
            Err(why) => Err(self.unreadable(path, &why)),
        })
    }

    fn unreadable(&self, path: &RepoPath, why: &str) -> Diagnostic {
        self.problem(
            "repository-unreachable",
            format!("`{path}` could not be read in `{}`: {why}", self.repository),
            "nothing to do: it is tried again on the next pass",
        )
    }

    fn problem(&self, code: &'static str, message: String, help: &str) -> Diagnostic {
        Diagnostic::error(code, Place::file(self.source.clone()), message).help(help)
    }
}

/// Whether an operation asks about an existing entity.
pub fn needs_entity(operation: Operation) -> bool {
    match operation {
        Operation::Create => false,
        Operation::Day2 | Operation::Delete => true,
    }
}
