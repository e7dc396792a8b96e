//! Is what became of a request what was expected of it?

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use similar::TextDiff;

use super::{
    Fuzzed,
    fuzz::{Chance, Maker},
    rehearsal::{Rehearsal, Tree},
};
use crate::{
    catalog::{Case, Definitions, Root},
    domain::{
        Action, ActionId, BlueprintId, Diagnostic, Identifier, Operation, RepoName, RepoPath, RequestFile,
        RequestId, Template,
    },
    plan::{Preview, build::Built},
    render,
};

/// How many faults of one action are shown: the others are of the same kinds, mostly.
const MOST_FAULTS: usize = 5;

/// How often what the form refuses is made milder.
const MILDER: usize = 4;

/// What comes of inputs that were made up.
enum Came {
    /// They are refused as they should be, because of these.
    Refused(BTreeSet<String>),
    /// They are let through, and this is wrong with what follows.
    Tried(Vec<Fault>),
}

/// The input that a field of a request belongs to.
fn input_of(field: &str) -> Option<String> {
    let name = field.strip_prefix("inputs.")?;
    Some(name.split(['.', '[']).next().unwrap_or(name).to_owned())
}

/// Something that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Fault {
    /// What is wrong, in one sentence.
    pub(super) what: String,
    /// What was expected and what came, or where it is.
    pub(super) details: Vec<String>,
    /// What to do.
    pub(super) help: String,
}

impl Fault {
    pub(super) fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what: what.into(), details: Vec::new(), help: help.into() }
    }

    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    pub(super) fn unreadable(problem: &Diagnostic) -> Self {
        told(problem, "the example cannot be read")
    }

    pub(super) fn other_action(named: &ActionId) -> Self {
        Self::new(
            format!("the example asks for `{named}`"),
            "an example lies in the folder of its action; leave `action` out, or move it",
        )
    }
}

/// A diagnostic as a fault.
fn told(problem: &Diagnostic, what: &str) -> Fault {
    let place = match problem.place.span {
        Some(span) => format!("{}:{}:{}", problem.place.source, span.line, span.column),
        None => match &problem.place.field {
            Some(field) => format!("{}, `{field}`", problem.place.source),
            None => problem.place.source.clone(),
        },
    };
    let help =
        problem.help.clone().unwrap_or_else(|| format!("see `{}` in docs/diagnostics.md", problem.code));
    Fault::new(format!("{what}: {} ({})", problem.message, problem.code), help).detail(format!("at {place}"))
}

/// What an example comes to.
pub(super) struct Planned {
    /// The diff, with the paths of the catalog as they are in its own folder.
    pub(super) diff: String,
    /// What the repositories that it writes to hold then.
    pub(super) repositories: BTreeMap<RepoName, Tree>,
}

/// A diff whose paths are the same wherever the catalog lies in its repository.
fn inside(diff: &str, root: &Root) -> String {
    let Some(folder) = &root.0 else { return diff.to_owned() };
    let line = |line: &str| match ["diff --git ", "--- ", "+++ "].iter().any(|head| line.starts_with(head)) {
        true => line.replace(&format!(" a/{folder}/"), " a/").replace(&format!(" b/{folder}/"), " b/"),
        false => line.to_owned(),
    };
    diff.split_inclusive('\n').map(line).collect()
}

/// Judges requests for one action.
pub(super) struct Judge<'a, 'b> {
    pub(super) definitions: &'a Definitions,
    pub(super) action: &'a Action,
    pub(super) rehearsal: &'a mut Rehearsal<'b>,
}

impl Judge<'_, '_> {
    /// What is not as an example has it, and the diff as it is now.
    pub(super) fn case(
        &mut self,
        name: &str,
        case: &Case,
        golden: Option<Option<&str>>,
    ) -> anyhow::Result<(Vec<Fault>, Option<Planned>)> {
        let id = name.parse().unwrap_or_else(|_| draft());
        let planned = self.rehearsal.plan(&id, &case.request, case.requester.as_ref())?;
        let built = match planned {
            Preview::Planned(built) => built,
            Preview::Wrong(problems) => return Ok((refused(&problems, &case.errors), None)),
            Preview::Ask(_) => return Ok((Vec::new(), None)),
        };
        let diff = inside(&built.diff, &self.definitions.root);
        let mut faults = Vec::new();
        if !case.errors.is_empty() {
            let fault = Fault::new(
                format!("it is planned, and was to be refused ({})", case.errors.join(", ")),
                "let the action's form refuse it, or take `expect.errors` out",
            );
            faults.push(fault);
        }
        if let Some(golden) = golden {
            faults.extend(differs(golden, &diff));
        }
        if let Some(expected) = &case.approvers {
            let found = self.rehearsal.approvers(&built, case.requester.as_ref())?;
            if *expected != found {
                let shown = |rules: &BTreeMap<String, Vec<String>>| {
                    let rules = rules.iter().map(|(rule, who)| format!("{rule}: {}", who.join(", ")));
                    rules.collect::<Vec<_>>().join("; ")
                };
                faults.push(
                    Fault::new(
                        "others may approve than expected",
                        "mend `approval` of the action, the teams, or `expect.approvers`",
                    )
                    .detail(format!("expected  {}", shown(expected)))
                    .detail(format!("came      {}", shown(&found))),
                );
            }
        }
        faults.extend(self.holds(&id, &case.request, case, &built)?);
        let repositories = self.rehearsal.merged(&built);
        Ok((faults, Some(Planned { diff, repositories })))
    }

    /// Makes inputs up and tries them, and counts what becomes of them. What the form refuses is made milder a few times, so
    /// that something of it is tried.
    pub(super) fn made_up(
        &mut self,
        case: &Case,
        maker: &Maker<'_>,
        chance: &mut Chance,
        fuzzed: &mut Fuzzed,
    ) -> anyhow::Result<()> {
        let ask =
            |inputs: &Map<String, Value>| RequestFile { inputs: inputs.clone(), ..case.request.clone() };
        let example = &case.request.inputs;
        let mut inputs = maker.inputs(example, chance);
        let mut came = self.came(case, &ask(&inputs))?;
        for _ in 0..MILDER {
            let Came::Refused(named) = &came else { break };
            if !maker.makes_milder(&mut inputs, example, named, chance) {
                break;
            }
            came = self.came(case, &ask(&inputs))?;
        }
        match came {
            Came::Refused(_) => fuzzed.refused += 1,
            Came::Tried(faults) if faults.is_empty() => fuzzed.planned += 1,
            Came::Tried(faults) => {
                fuzzed.failed += 1;
                // The message differs with the inputs; its code, in parentheses at the end, does not.
                let kind =
                    |fault: &Fault| (fault.help.clone(), fault.what.rsplit('(').next().map(str::to_owned));
                let is_known = fuzzed.faults.iter().any(|known| kind(known) == kind(&faults[0]));
                if is_known || fuzzed.faults.len() >= MOST_FAULTS {
                    return Ok(());
                }
                let (inputs, faults) = self.least(case, inputs, faults)?;
                let differing: Vec<String> = inputs
                    .iter()
                    .filter(|(name, value)| case.request.inputs.get(*name) != Some(*value))
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                let gone = case.request.inputs.keys().filter(|name| !inputs.contains_key(*name));
                let shown: Vec<String> =
                    differing.into_iter().chain(gone.map(|name| format!("no {name}"))).collect();
                fuzzed.faults.extend(faults.into_iter().take(1).map(|fault| {
                    let shown = if shown.is_empty() { "any inputs".to_owned() } else { shown.join(" ") };
                    fault.detail(format!("with {shown}"))
                }));
            }
        }
        Ok(())
    }

    /// The same faults with as little made up as possible.
    fn least(
        &mut self,
        case: &Case,
        mut inputs: Map<String, Value>,
        mut faults: Vec<Fault>,
    ) -> anyhow::Result<(Map<String, Value>, Vec<Fault>)> {
        let names: Vec<String> = inputs.keys().chain(case.request.inputs.keys()).cloned().collect();
        for name in names {
            let mut fewer = inputs.clone();
            match case.request.inputs.get(&name) {
                Some(value) => drop(fewer.insert(name, value.clone())),
                None => drop(fewer.shift_remove(&name)),
            }
            let request = RequestFile { inputs: fewer.clone(), ..case.request.clone() };
            let is_same = |found: &[Fault]| found.first().is_some_and(|found| found.help == faults[0].help);
            match self.came(case, &request)? {
                Came::Tried(found) if is_same(&found) => (inputs, faults) = (fewer, found),
                Came::Tried(_) | Came::Refused(_) => {}
            }
        }
        Ok((inputs, faults))
    }

    /// What comes of a request that nobody wrote.
    fn came(&mut self, case: &Case, request: &RequestFile) -> anyhow::Result<Came> {
        let id = draft();
        Ok(match self.rehearsal.plan(&id, request, case.requester.as_ref())? {
            Preview::Planned(built) => Came::Tried(self.holds(&id, request, case, &built)?),
            Preview::Wrong(problems) => {
                let found: Vec<Fault> = problems
                    .iter()
                    .filter(|problem| is_ours(problem.code.0))
                    .map(|problem| told(problem, "the form lets through what the template cannot take"))
                    .collect();
                let named = problems.iter().filter_map(|problem| input_of(problem.place.field.as_deref()?));
                if found.is_empty() { Came::Refused(named.collect()) } else { Came::Tried(found) }
            }
            Preview::Ask(_) => Came::Refused(BTreeSet::new()),
        })
    }

    /// What must hold of every plan.
    fn holds(
        &mut self,
        id: &RequestId,
        request: &RequestFile,
        case: &Case,
        built: &Built,
    ) -> anyhow::Result<Vec<Fault>> {
        let mut faults = Vec::new();
        for step in &built.plan.steps {
            let (Some(template), Some(pull)) = (self.template(&step.id), &step.pull_request) else {
                continue;
            };
            for (path, change) in built.contents.get(&step.id).into_iter().flatten() {
                if !is_allowed(template, path) {
                    let fault = Fault::new(
                        format!(
                            "`{path}` in `{}` is no path that the template `{}` writes",
                            pull.repository, template.name
                        ),
                        "an expression may fill in a name, and never add a folder: mend the template's paths",
                    );
                    faults.push(fault);
                }
                if let Some(problem) = change
                    .bytes()
                    .filter(|_| !is_raw(template, path))
                    .and_then(|bytes| render::inspect(path, bytes))
                {
                    faults.push(told(&problem, "what is written cannot be read"));
                }
            }
        }
        let before = self.rehearsal.apply(built);
        let again = self.rehearsal.plan(id, request, case.requester.as_ref());
        self.rehearsal.restore(before);
        match again? {
            Preview::Planned(again) => {
                let pulls = again.plan.steps.iter().filter_map(|step| step.pull_request.as_ref());
                let changed = pulls.flat_map(|pull| pull.changes.iter().map(|change| &change.path));
                if let Some(path) = changed.into_iter().next() {
                    let lines: Vec<&str> =
                        again.diff.lines().filter(|line| is_changed_line(line)).take(3).collect();
                    faults.push(
                        Fault::new(
                            format!("done twice, it changes `{path}` once more"),
                            "write what is to be there, not what to add: `append`, `insert` and `line` leave alone what is there already",
                        )
                        .detail(lines.join("\n")),
                    );
                }
            }
            Preview::Wrong(problems) => {
                let problem = problems
                    .iter()
                    .find(|problem| is_ours(problem.code.0) || problem.code.0 == "file-exists");
                faults.extend(problem.map(|problem| told(problem, "done twice, it fails")));
            }
            Preview::Ask(_) => {}
        }
        Ok(faults)
    }

    fn template(&self, step: &crate::domain::StepId) -> Option<&Template> {
        let step = self.action.steps.iter().find(|known| known.id == *step)?;
        self.definitions.templates.get(&step.pull_request()?.template)
    }
}

fn is_changed_line(line: &str) -> bool {
    (line.starts_with('+') && !line.starts_with("+++")) || (line.starts_with('-') && !line.starts_with("---"))
}

/// Whether a refusal is the template's or the action's fault, and not that of who asks.
fn is_ours(code: &str) -> bool {
    let ours = ["template-", "bad-", "edit-match", "edit-place", "edit-unsupported", "broken-output"];
    ours.iter().any(|start| code.starts_with(start))
        || matches!(
            code,
            "forbidden-path"
                | "path-through-file"
                | "unknown-template"
                | "path-not-granted"
                | "policy-failed"
                | "broken-policy"
        )
}

fn draft() -> RequestId {
    "draft".parse().expect("a word is an identifier")
}

/// What is not as expected of a request that is refused.
pub(super) fn refused(problems: &[Diagnostic], expected: &[String]) -> Vec<Fault> {
    let meets = |problem: &Diagnostic, wanted: &String| {
        problem.code.0 == wanted || problem.message.contains(wanted.as_str())
    };
    let unexpected = problems.iter().filter(|problem| !expected.iter().any(|wanted| meets(problem, wanted)));
    let mut faults: Vec<Fault> = unexpected.map(|problem| told(problem, "it is refused")).collect();
    for wanted in expected.iter().filter(|wanted| !problems.iter().any(|problem| meets(problem, wanted))) {
        faults.push(Fault::new(
            format!("it is not refused for `{wanted}`"),
            "let the action's form refuse it, or take this out of `expect.errors`",
        ));
    }
    faults
}

fn differs(golden: Option<&str>, diff: &str) -> Option<Fault> {
    let Some(golden) = golden else {
        return Some(
            Fault::new(
                "no diff is expected yet",
                "run `chandlery test --update`, read the file that it writes, and commit it",
            )
            .detail(diff.to_owned()),
        );
    };
    (golden != diff).then(|| {
        let changes = TextDiff::from_lines(golden, diff);
        let shown = changes.unified_diff().context_radius(2).header("expected", "came").to_string();
        Fault::new(
            "the plan is another than expected",
            "mend the template, or run `chandlery test --update` if this is what is meant",
        )
        .detail(shown)
    })
}

/// Whether the parts of a template's paths that are written out allow this one.
fn is_allowed(template: &Template, path: &RepoPath) -> bool {
    let edited = template.manifest.edits.iter().map(|edit| edit.path.as_str());
    template.files.keys().map(String::as_str).chain(edited).any(|written| gives(written, path))
}

/// Whether the file at this path comes from one that is written as it is, whatever its name says.
fn is_raw(template: &Template, path: &RepoPath) -> bool {
    let edited = template.manifest.edits.iter().any(|edit| gives(&edit.path, path));
    !edited && template.files.keys().any(|written| gives(written, path) && render::is_raw(template, written))
}

/// Whether a path with expressions in it can give this one.
fn gives(written: &str, path: &RepoPath) -> bool {
    let mut segments = written.split('/');
    let mut names = path.as_str().split('/');
    loop {
        match (segments.next(), names.next()) {
            (None, None) => return true,
            (Some(segment), Some(name)) if is_like(segment, name) => {}
            _ => return false,
        }
    }
}

/// Whether a name begins and ends as one with expressions in it does.
fn is_like(segment: &str, name: &str) -> bool {
    let marks = |mark: &&str| segment.contains(*mark);
    let Some(open) =
        ["{{", "{%", "{#"].iter().filter(|mark| marks(mark)).filter_map(|mark| segment.find(mark)).min()
    else {
        return segment == name;
    };
    let close =
        ["}}", "%}", "#}"].iter().filter_map(|mark| segment.rfind(mark)).max().map_or(open, |at| at + 2);
    let (start, end) = (&segment[..open], segment.get(close..).unwrap_or_default());
    name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
}

/// A request with nothing in it but the entity that it needs.
pub(super) fn bare_request(action: &Action, known: &BTreeMap<BlueprintId, Vec<Identifier>>) -> RequestFile {
    let first = known.get(&action.blueprint).and_then(|known| known.first());
    let entity = match action.operation {
        Operation::Create => None,
        Operation::Day2 | Operation::Delete => first.cloned(),
    };
    RequestFile {
        action: action.identifier.clone(),
        entity,
        inputs: Map::new(),
        reason: None,
        on_behalf_of: None,
    }
}
