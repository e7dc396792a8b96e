//! What would one step write into its target repository? Rendered against what is there now.

use std::collections::BTreeMap;

use crate::{
    domain::{
        Branch, Changes, Diagnostic, FileMode, InvalidId, Login, MergeMode, ObjectId, Place, PullRequestStep,
        RepoName, RepoPath, RequestId, Step, StepId, Template, nearest,
    },
    plan::{
        build::{Recipe, Site},
        diff,
        facts::{Draft, Looked, Pending},
        plan_file::{FileChange, PlannedPull},
        policy,
    },
    render,
};

/// One planned step with what it writes.
pub(super) struct StepDone {
    /// The step as planned.
    pub(super) planned: PlannedPull,
    /// The files to write.
    pub(super) changes: Changes,
    /// Each file before and after, for the diff.
    pub(super) files: BTreeMap<RepoPath, diff::Versions>,
}

/// Plans one step against its target.
///
/// # Errors
/// As [`build`].
pub(super) fn plan_step(
    site: &Site<'_>,
    recipe: &Recipe<'_>,
    step: &Step,
    pull: &PullRequestStep,
    request: &RequestId,
    context: &render::Context,
) -> Looked<Result<StepDone, Vec<Diagnostic>>> {
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
    let (repository, found) = match repository(site, &pull.repository, &place("repository"), context)? {
        Ok(found) => found,
        Err(problem) => return Ok(Err(vec![problem])),
    };
    let (base, head) = match found {
        Some((base, head)) => (base, Some(head)),
        None => (FIRST_BRANCH.parse().expect("it is a branch"), None),
    };
    if pull.branch.is_none() {
        // Asked early so that it is answered together with the files.
        let _unused = site.look.barred(&repository, &any_of_ours());
    }
    let target = Target { site, repository: &repository, head, source: source.clone() };
    let files = match target.files(step, template, context)? {
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
            let problem: InvalidId = problem;
            problems.push(Diagnostic::error("bad-branch", place("branch"), problem.to_string()));
            None
        }
    };
    let labels = each(&pull.labels, &place("labels"), context, &mut problems, &label);
    let owner = repository.as_str().split('/').next().unwrap_or_default();
    let reviewers = each(&pull.reviewers, &place("reviewers"), context, &mut problems, &|text, place| {
        reviewer(text, owner, place)
    });
    let (Some(branch), true) = (branch, problems.is_empty()) else { return Ok(Err(problems)) };
    if branch == base {
        let problem =
            Diagnostic::error("bad-branch", place("branch"), format!("`{branch}` is the default branch"));
        return Ok(Err(vec![problem.help("the platform team must name another branch, or none")]));
    }

    let mut changes = Vec::new();
    let mut contents = Changes::new();
    for (path, versions) in &files {
        let Some(change) = versions.change() else { continue };
        let after = versions.after.as_ref().map(|bytes| ObjectId::of_blob(bytes));
        let before = versions.before.as_ref().map(|bytes| ObjectId::of_blob(bytes));
        let executable = versions.becomes_executable();
        if let Some(why) = policy::not_granted(site, &repository, path, &pull.may_change) {
            let problem = Diagnostic::error("path-not-granted", place("mayChange"), why);
            problems.push(problem.help(format!(
                "if the step is meant to change it, the platform team says so in the action: `mayChange: [\"{path}\"]`"
            )));
        }
        changes.push(FileChange { path: path.clone(), before, after, executable });
        contents.insert(path.clone(), change);
    }
    if !problems.is_empty() {
        return Ok(Err(problems));
    }
    if !changes.is_empty()
        && let Some(problem) = barred(site, &repository, &branch, pull.branch.is_some(), &place("branch"))?
    {
        return Ok(Err(vec![problem]));
    }
    let auto_merge = pull.merge == MergeMode::Auto;
    let draft = pull.draft;
    let planned = PlannedPull {
        repository,
        base,
        first_commit: head.is_none(),
        branch,
        title,
        body,
        auto_merge,
        labels,
        reviewers,
        draft,
        changes,
    };
    Ok(Ok(StepDone { planned, changes: contents, files }))
}

/// What each of these texts gives, without those that give nothing and those that are there already.
fn each(
    texts: &[String],
    place: &Place,
    context: &render::Context,
    problems: &mut Vec<Diagnostic>,
    check: &dyn Fn(&str, &Place) -> Result<String, Diagnostic>,
) -> Vec<String> {
    let mut made: Vec<String> = Vec::new();
    for text in texts {
        match render::text(text, place, context).and_then(|text| check(text.trim(), place)) {
            Ok(text) if text.is_empty() || made.contains(&text) => {}
            Ok(text) => made.push(text),
            Err(problem) => problems.push(problem),
        }
    }
    made
}

/// GitHub takes labels of at most 50 characters: <https://docs.github.com/rest/issues/labels>
fn label(text: &str, place: &Place) -> Result<String, Diagnostic> {
    if text.chars().count() > 50 || text.contains([',', '\n', '/']) {
        let message =
            format!("`{text}` is no label: it has at most 50 characters, and neither comma nor slash");
        return Err(Diagnostic::error("bad-label", place.clone(), message)
            .help("the platform team must give it a shorter name"));
    }
    Ok(text.to_owned())
}

/// A login, or a team of the organisation that owns the target.
fn reviewer(text: &str, owner: &str, place: &Place) -> Result<String, Diagnostic> {
    let refuse = |message: String| {
        Diagnostic::error("bad-reviewer", place.clone(), message)
            .help("write a login, or a team of the target's organisation as `organisation/slug`")
    };
    match text.split_once('/') {
        None if text.is_empty() => Ok(String::new()),
        None => match text.trim_start_matches('@').parse::<Login>() {
            Ok(login) => Ok(login.to_string()),
            Err(_) => Err(refuse(format!("`{text}` is no login"))),
        },
        Some((organisation, slug)) if organisation.eq_ignore_ascii_case(owner) && !slug.is_empty() => {
            Ok(text.to_owned())
        }
        Some(_) => Err(refuse(format!("`{text}` is no team of `{owner}`"))),
    }
}

/// That the target does not let us make the branch. One that is there already needs no making.
fn barred(
    site: &Site<'_>,
    repository: &RepoName,
    branch: &Branch,
    is_named: bool,
    place: &Place,
) -> Looked<Option<Diagnostic>> {
    // Rules go by patterns, which hardly tell one branch of ours from another: one question for all requests, and where its
    // answer is no, one for this.
    let asked = if is_named { branch.clone() } else { any_of_ours() };
    let found = match site.look.barred(repository, &asked)? {
        Ok(Some(_)) if !is_named => site.look.barred(repository, branch)?,
        found => found,
    };
    let found = match found {
        Ok(None) => return Ok(None),
        Ok(Some(rules)) => Ok(rules),
        Err(why) => Err(why),
    };
    Ok(match (found, site.look.head(repository, branch)?) {
        (_, Ok(Some(_))) => None,
        (Ok(rules), _) => {
            let message = format!(
                "the rules `{rules}` of `{repository}` do not let Chandlery make the branch `{branch}`"
            );
            let problem = Diagnostic::error("branch-forbidden", place.clone(), message);
            Some(problem.help(format!(
                "an administrator of `{repository}` must leave `{OURS}*` out of those rules, or let Chandlery's account bypass them; or the platform team has the step name a `branch` that they allow"
            )))
        }
        (Err(why), _) => {
            let message = format!("the rules of `{repository}` could not be read: {why}");
            let problem = Diagnostic::error("repository-unreachable", place.clone(), message);
            Some(problem.help("nothing to do: it is tried again on the next pass"))
        }
    })
}

/// How the branches begin that we name.
const OURS: &str = "chandlery/";

/// With all that our names may have, so that a pattern which is too narrow for one of them is seen.
fn any_of_ours() -> Branch {
    format!("{OURS}2026-11-issue-1-step").parse().expect("it is a branch")
}

/// The branch that an empty repository gets; the forge makes the first one that is pushed the default branch.
const FIRST_BRANCH: &str = "main";

/// A repository, and its default branch with the newest commit there unless it is empty.
pub(super) type Found = (RepoName, Option<(Branch, ObjectId)>);

/// The target repository that a template names.
///
/// # Errors
/// `Pending` while answers are awaited; inside, why it cannot be a target.
pub(super) fn repository(
    site: &Site<'_>,
    template: &str,
    place: &Place,
    context: &render::Context,
) -> Looked<Result<Found, Diagnostic>> {
    let repository: RepoName = match render::text(template, place, context) {
        Err(problem) => return Ok(Err(problem)),
        Ok(text) => match text.parse() {
            Ok(repository) => repository,
            Err(problem) => {
                let problem: InvalidId = problem;
                return Ok(Err(Diagnostic::error("bad-repository", place.clone(), problem.to_string())));
            }
        },
    };
    let allowed = &site.definitions.settings.repositories;
    if !allowed.contains_key(&repository) {
        let mut problem = Diagnostic::error(
            "repository-not-allowed",
            place.clone(),
            format!("`{repository}` is not among the repositories that may be changed"),
        );
        if let Some(near) = nearest(repository.as_str(), allowed.keys().map(RepoName::as_str)) {
            problem = problem
                .help(format!("did you mean `{near}`? Otherwise add it to `repositories` in chandlery.yaml"));
        } else {
            problem = problem.help("add it to `repositories` in chandlery.yaml");
        }
        return Ok(Err(problem));
    }
    let known = match site.look.repository(&repository)? {
        Ok(Some(known)) => known,
        Ok(None) => {
            let problem = Diagnostic::error(
                "repository-not-found",
                place.clone(),
                format!("the repository `{repository}` does not exist, or Chandlery may not see it"),
            );
            return Ok(Err(problem.help("the platform team must give Chandlery access to it")));
        }
        Err(why) => {
            let problem = Diagnostic::error(
                "repository-unreachable",
                place.clone(),
                format!("the repository `{repository}` could not be looked at: {why}"),
            );
            return Ok(Err(problem.help("nothing to do: it is tried again on the next pass")));
        }
    };
    if let Some(name) = &known.renamed {
        let problem = Diagnostic::error(
            "repository-renamed",
            place.clone(),
            format!("the repository `{repository}` is called `{name}` now"),
        );
        return Ok(Err(problem.help(format!(
            "the platform team must write `{name}` in the action and in `repositories` of chandlery.yaml"
        ))));
    }
    if known.archived {
        let problem =
            Diagnostic::error("repository-archived", place.clone(), format!("`{repository}` is archived"));
        return Ok(Err(problem.help("the platform team must name another repository, or unarchive it")));
    }
    Ok(Ok((repository, known.default_branch.clone())))
}

fn default_branch(request: &RequestId, step: &StepId) -> String {
    format!("{OURS}{}-{step}", request.slug())
}

struct Target<'a> {
    site: &'a Site<'a>,
    repository: &'a RepoName,
    /// None: there is nothing yet.
    head: Option<ObjectId>,
    source: String,
}

impl Target<'_> {
    /// Every file that the template writes or edits, before and after.
    fn files(
        &self,
        step: &Step,
        template: &Template,
        context: &render::Context,
    ) -> Looked<Result<BTreeMap<RepoPath, diff::Versions>, Vec<Diagnostic>>> {
        let folder = self.site.definitions.settings.folders.templates.as_str();
        let rendered =
            self.site.kept(Draft::Files(step.id.clone()), || Ok(render::files(template, folder, context)))?;
        let rendered = match &*rendered {
            Ok(rendered) => rendered,
            Err(problems) => return Ok(Err(problems.clone())),
        };
        let mut problems = Vec::new();
        let mut pending = false;
        let mut files = BTreeMap::new();
        for (path, render::Rendered { bytes, executable }) in rendered {
            match self.existing(path) {
                Err(Pending) => pending = true,
                Ok(Err(problem)) => problems.push(problem),
                Ok(Ok(mut versions)) => {
                    let differs = versions.before.as_ref().is_some_and(|before| before != bytes);
                    if !template.manifest.overwrite && differs {
                        problems.push(self.problem(
                            "file-exists",
                            format!("`{path}` exists in `{}` with other content", self.repository),
                            "choose another name; what exists is never overwritten",
                        ));
                        continue;
                    }
                    versions.after = Some(bytes.clone());
                    if *executable {
                        versions.modes[1] = FileMode::Executable;
                    }
                    files.insert(path.clone(), versions);
                }
            }
        }
        let edits = match render::edits(template, folder, context) {
            Ok(edits) => edits,
            Err(found) => {
                problems.extend(found);
                Vec::new()
            }
        };
        for render::Edit { path, change } in edits {
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
                    Ok(Ok(versions)) => drop(files.insert(path.clone(), versions)),
                }
            }
            let Some(versions) = files.get_mut(&path) else { continue };
            match render::edit::apply(&path, versions.after.as_deref(), &change) {
                Ok(new) => versions.after = new.map(Into::into),
                Err(mut problem) => {
                    if versions.after.is_none() {
                        problem.message = format!("{} (in `{}`)", problem.message, self.repository);
                        files.remove(&path);
                    }
                    problems.push(problem);
                }
            }
        }
        if pending {
            return Err(Pending);
        }
        Ok(if problems.is_empty() { Ok(files) } else { Err(problems) })
    }

    /// What is at a path that may be written, unchanged: an ordinary file or nothing, and no link on the way.
    fn existing(&self, path: &RepoPath) -> Looked<Result<diff::Versions, Diagnostic>> {
        let mut pending = false;
        let text = path.as_str();
        for (end, _) in text.match_indices('/') {
            let Ok(parent) = text[..end].parse::<RepoPath>() else { continue };
            let Some(head) = self.head else { break };
            match self.site.look.file(self.repository, head, &parent) {
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
        let is_catalog = *self.repository == self.site.here.catalog;
        if is_catalog && path.under(&self.site.definitions.settings.folders.requests).is_some() {
            return Ok(Err(self.problem(
                "forbidden-path",
                format!("`{path}` is where requests lie in the catalog, which only Chandlery writes"),
                "the platform team must take it out of the template",
            )));
        }
        if let Some(was) = self.site.look.once(self.repository, path) {
            let bytes = match was.map(|blob| self.site.look.blob(self.repository, blob)).transpose()? {
                None | Some(Ok(None)) => None,
                Some(Ok(Some(bytes))) => Some(bytes.clone()),
                Some(Err(why)) => return Ok(Err(self.unreadable(path, &why))),
            };
            return Ok(Ok(diff::Versions::of(bytes.clone(), bytes)));
        }
        let Some(head) = self.head else { return Ok(Ok(diff::Versions::of(None, None))) };
        let found = self.site.look.file(self.repository, head, path)?;
        if pending {
            return Err(Pending);
        }
        Ok(match found {
            Ok(None) => Ok(diff::Versions::of(None, None)),
            Ok(Some(file)) => match file.mode {
                FileMode::File | FileMode::Executable => Ok(diff::Versions {
                    before: Some(file.bytes.clone()),
                    after: Some(file.bytes.clone()),
                    modes: [file.mode; 2],
                }),
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
