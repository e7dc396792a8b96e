//! Is what lies on the default branch sound?

use super::{Finding, Judgement, Mend, access::lacks_workflows};
use crate::{
    catalog::{Definitions, Files, Folders, Mode, load_definitions, load_settings},
    cli::{
        doctor::look::{Facts, WAKE},
        generate,
        init::workflows::{ACTING, followed, startable},
    },
    domain::{Diagnostic, RepoName, RepoPath, Severity, Stage},
    intake::issue_form,
};

/// Attributes by which GitHub folds or hides what a plan would change.
const HIDING: [&str; 6] = ["linguist-generated", "linguist-vendored", "diff", "binary", "merge", "filter"];

pub(super) fn judge(facts: &Facts, judged: &mut Judgement) {
    let catalog = &facts.catalog;
    let Some(files) = judged.seen("files of the catalog", &facts.files) else { return };
    codeowners(facts, files, judged);
    let path = facts.root.settings_path();
    let at = format!("{catalog}: {path}");
    let settings = match load_settings(&facts.root, files.get(&path)) {
        Ok(settings) => settings,
        Err(problems) if problems.iter().any(|problem| problem.code.0 == "settings-missing") => {
            // Most of what else is missing follows from it.
            judged.findings.insert(0, Finding::error("settings-missing", at, "there is no such file, so this is no catalog").cure(format!(
                "is this the right repository? In a clone of {catalog}: `chandlery init . --repository {catalog}`, commit; if the catalog lies in a folder, give --root"
            )));
            return;
        }
        Err(problems) => {
            judged.add(mistakes("settings-mistaken", at, &problems));
            return;
        }
    };
    if settings.mode == Mode::Off {
        judged.add(
            Finding::warning("mode-off", at, "`mode: off`: nothing is answered, and nothing carried out")
                .cure("say `mode: on`, or `mode: observe`, which only comments and checks"),
        );
    }
    unowned(facts, files, &settings.folders, judged);
    if settings.labels {
        labels(facts, judged);
    }
    started(facts, files, judged);
    attributes(facts, files, &settings.folders.requests, judged);
    let (definitions, problems) = load_definitions(&facts.root, settings, files);
    let errors: Vec<Diagnostic> =
        problems.into_iter().filter(|problem| problem.severity == Severity::Error).collect();
    let writes_workflows = definitions.templates.values().any(|template| {
        let edits = template.manifest.edits.iter().map(|edit| edit.path.as_str());
        template
            .files
            .keys()
            .map(String::as_str)
            .chain(edits)
            .any(|path| path.starts_with(".github/workflows/"))
    });
    if let Ok(Some(installation)) = &facts.installation
        && writes_workflows
        && lacks_workflows(installation)
    {
        judged.add(
            Finding::error(
                "permission-missing",
                "the App",
                "it lacks the permission `workflows: write`, and a template writes below .github/workflows",
            )
            .cure("the App's page, Permissions & events: set `workflows` to Read and write; then accept it where the App is installed"),
        );
    }
    if errors.is_empty() {
        forms(facts, files, &definitions, judged);
    } else {
        judged.add(mistakes("definitions-mistaken", catalog.to_string(), &errors));
    }
}

/// Labels are made when they are first needed, grey and without a word on what they mean.
fn labels(facts: &Facts, judged: &mut Judgement) {
    let Some(there) = judged.seen("labels", &facts.labels) else { return };
    let missing = Stage::ALL.into_iter().filter(|stage| !there.contains(&stage.label())).count();
    if missing > 0 {
        let message = format!("{missing} of the labels that tell where requests stand are not there yet");
        judged.add(
            Finding::warning("labels-missing", &facts.catalog, message)
                .cure("nothing must be done: they are made when they are needed; `labels: false` in chandlery.yaml if none is wanted")
                .mend(Mend::Labels),
        );
    }
}

/// What actions start must be there, and when it has ended the catalog must be told.
fn started(facts: &Facts, files: &Files, judged: &mut Judgement) {
    let catalog = &facts.catalog;
    for ((repository, path), found) in &facts.started {
        let at = format!("{repository}: {path}");
        let Some(text) = judged.seen(&at, &found.text) else { continue };
        let name = text.as_deref().and_then(|text| startable(path, text));
        let Some(name) = name else {
            let what = match text {
                None => "an action starts this workflow, and it is not on the default branch",
                Some(_) => "an action starts this workflow, and it has no `on: workflow_dispatch`",
            };
            judged.add(
                Finding::error("step-workflow-missing", at, what)
                    .cure(format!("add it to the default branch of {repository}, with `on: workflow_dispatch`, or change the action's step")),
            );
            continue;
        };
        let state = judged.seen(&format!("whether {at} is switched on"), &found.state);
        if state.and_then(Option::as_ref).is_some_and(|state| state.starts_with("disabled")) {
            let file = path.rsplit('/').next().unwrap_or(path);
            judged.add(
                Finding::error("step-workflow-disabled", &at, "an action starts this workflow, and it is switched off")
                    .cure(format!(
                        "`gh workflow enable {file} --repo {repository}`; or in {repository}: Actions, the workflow's name on the left, Enable workflow"
                    )),
            );
        }
        let options = follow_options(facts, repository);
        let (wake, cure) = if repository == catalog {
            let acting = ACTING.parse().ok().and_then(|path: RepoPath| files.get(&path));
            let wake = acting.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            (
                wake,
                format!(
                    "in a clone of {catalog}: `chandlery init . --repository {catalog}{options}`, commit"
                ),
            )
        } else {
            // That it is not there is told of the target.
            let wake = facts.targets.get(repository).and_then(|target| target.wake.clone().ok()).flatten();
            let again = format!("`chandlery init . --repository {catalog} --target {repository}{options}`");
            (wake, format!("in a clone of {repository}: delete {WAKE}, {again}, commit"))
        };
        if wake.is_some_and(|wake| !followed(&wake).contains(&name)) {
            let what = "nothing tells the catalog when this workflow has ended, so the step waits for the next hourly run";
            judged.add(Finding::warning("step-workflow-unfollowed", at, what).cure(cure));
        }
    }
}

/// What `chandlery init` is told of the workflows that actions start in a repository.
pub(super) fn follow_options(facts: &Facts, repository: &RepoName) -> String {
    let here = facts.started.iter().filter(|((name, _), _)| name == repository);
    let names = here.filter_map(|((_, path), found)| startable(path, found.text.as_ref().ok()?.as_deref()?));
    names.map(|name| format!(" --workflow '{}'", name.replace('\'', r"'\''"))).collect()
}

fn mistakes(code: &'static str, at: String, problems: &[Diagnostic]) -> Finding {
    let first = problems.first().map_or("", |problem| problem.message.as_str());
    let more = match problems.len() {
        0 | 1 => String::new(),
        many => format!(" (and {} more)", many - 1),
    };
    Finding::error(code, at, format!("{first}{more}"))
        .cure("in a clone: `chandlery validate` names every mistake with its place and what to do")
}

fn codeowners(facts: &Facts, files: &Files, judged: &mut Judgement) {
    let catalog = &facts.catalog;
    let places = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];
    let found = places.iter().find(|path| path.parse().is_ok_and(|path: RepoPath| files.contains_key(&path)));
    let Some(path) = found else {
        judged.add(
            Finding::error(
                "codeowners-missing",
                format!("{catalog}: .github/CODEOWNERS"),
                "nobody must review definitions: every two writers can change who approves what",
            )
            .cure(format!("in a clone of {catalog}: `chandlery init . --repository {catalog} --owners @ORG/TEAM`, commit")),
        );
        return;
    };
    let at = format!("{catalog}: {path}");
    if let Some(Some(errors)) = judged.seen("errors of CODEOWNERS", &facts.codeowners)
        && let Some(first) = errors.first()
    {
        judged.add(
            Finding::error("codeowners-mistaken", at, format!("{} lines are in error, such as: {first}", errors.len())).cure(
                "name people and teams that have write access to the catalog: @LOGIN or @ORG/TEAM; a team must be visible",
            ),
        );
    }
}

/// Definitions, and the files that say who may approve, must not be changed without those who own the platform.
fn unowned(facts: &Facts, files: &Files, folders: &Folders, judged: &mut Judgement) {
    let places = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];
    let found = places.iter().find_map(|path| files.get(&path.parse::<RepoPath>().ok()?));
    let Some(text) = found.map(|bytes| String::from_utf8_lossy(bytes).into_owned()) else { return };
    let below = |folder: &RepoPath, name: &str| format!("{folder}/{name}");
    let delicate = [
        facts.root.settings_path().to_string(),
        below(&folders.blueprints, "x.yaml"),
        below(&folders.actions, "x.yaml"),
        below(&folders.templates, "x/files/x"),
        below(&folders.entities, "_team/x.yaml"),
        below(&folders.entities, "_user/x.yaml"),
        ".github/workflows/x.yml".to_owned(),
    ];
    let open: Vec<String> =
        delicate.into_iter().filter(|path| !has_owner(&text, path)).map(|path| format!("`{path}`")).collect();
    if let Some(first) = open.first() {
        let catalog = &facts.catalog;
        judged.add(
            Finding::error(
                "codeowners-incomplete",
                format!("{catalog}: CODEOWNERS"),
                format!("{} kinds of files that say what may be asked and who approves have no owner, such as {first}", open.len()),
            )
            .cure("add lines for them, such as `/actions/ @ORG/TEAM` and `/entities/_team/ @ORG/TEAM`; `chandlery init` in an empty folder writes them all"),
        );
    }
}

/// Whether somebody owns a path: the last line that fits it decides. Of patterns, those that name a file, a folder or
/// everything are understood, which is what such lists are made of; by others nothing counts as owned.
fn has_owner(text: &str, path: &str) -> bool {
    let mut owned = false;
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(pattern) = words.next() else { continue };
        let rooted = pattern.trim_start_matches('/').trim_end_matches("**").trim_end_matches('/');
        let fits = matches!(pattern, "*" | "**" | "/**")
            || path == rooted
            || path.strip_prefix(rooted).is_some_and(|rest| !rooted.is_empty() && rest.starts_with('/'));
        if fits {
            owned = words.next().is_some();
        }
    }
    owned
}

fn attributes(facts: &Facts, files: &Files, requests: &RepoPath, judged: &mut Judgement) {
    let mut places = vec![(".gitattributes".to_owned(), String::new())];
    places.push((format!("{requests}/.gitattributes"), format!("{requests}/")));
    for (path, folder) in places {
        let Some(bytes) = path.parse().ok().and_then(|path: RepoPath| files.get(&path)) else { continue };
        let text = String::from_utf8_lossy(bytes).into_owned();
        let hiding = text.lines().find(|line| {
            let mut words = line.split_whitespace();
            let Some(pattern) = words.next().filter(|word| !word.starts_with('#')) else { return false };
            let hides = |word: &str| {
                let name = word.trim_start_matches(['-', '!']).split('=').next().unwrap_or_default();
                HIDING.contains(&name)
            };
            words.any(hides)
                && ["request.yaml", "plan.yaml", "plan.diff", "run.yaml"].iter().any(|file| {
                    let whole = format!("{requests}/x/{file}");
                    whole.strip_prefix(&folder).is_some_and(|below| fits(pattern, below))
                })
        });
        if let Some(line) = hiding {
            judged.add(
                Finding::error(
                    "requests-attributes",
                    format!("{}: {path}", facts.catalog),
                    format!(
                        "`{}` lets GitHub fold or hide what a reviewer must see of a request",
                        line.trim()
                    ),
                )
                .cure(format!("take the line out, or name folders other than `{requests}/`")),
            );
        }
    }
}

/// Whether a pattern of .gitattributes names a path: <https://git-scm.com/docs/gitattributes>, read widely.
fn fits(pattern: &str, path: &str) -> bool {
    let anchored = pattern.trim_start_matches('/');
    let expression = |pattern: &str| {
        let escaped = regex::escape(pattern);
        let expression = escaped.replace(r"\*\*", ".*").replace(r"\*", "[^/]*").replace(r"\?", "[^/]");
        // `**/` may be no folder at all.
        expression.replace(".*/", "(?:.*/)?")
    };
    let matches =
        |expression: &str, text: &str| regex::Regex::new(expression).is_ok_and(|found| found.is_match(text));
    if anchored.contains('/') || pattern.starts_with('/') {
        return matches(&format!("^{}$", expression(anchored)), path);
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    matches(&format!("^{}$", expression(anchored)), name)
}

fn forms(facts: &Facts, files: &Files, definitions: &Definitions, judged: &mut Judgement) {
    let wanted = issue_form::generate(definitions, &generate::listed(definitions, files));
    let differs = |(path, text): &(&RepoPath, &String)| {
        files.get(*path).is_none_or(|bytes| bytes[..] != *text.as_bytes())
    };
    let mut wrong: Vec<&RepoPath> = wanted.iter().filter(differs).map(|(path, _)| path).collect();
    wrong.extend(files.iter().filter_map(|(path, bytes)| {
        let is_form =
            path.as_str().starts_with(issue_form::FOLDER) && bytes.starts_with(issue_form::HEADER.as_bytes());
        (is_form && !wanted.contains_key(path)).then_some(path)
    }));
    if let Some(first) = wrong.first() {
        judged.add(
            Finding::error(
                "forms-differ",
                format!("{}: {first}", facts.catalog),
                format!("{} issue forms are not what the actions say", wrong.len()),
            )
            .cure("in a clone: `chandlery generate issue-forms`, commit"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_pattern_is_read_as_git_reads_it() {
        for (pattern, path, expected) in [
            ("*.diff", "requests/x/plan.diff", true),
            ("requests/** ", "requests/x/plan.diff", false),
            ("requests/**", "requests/x/plan.diff", true),
            ("/requests/*/plan.diff", "requests/x/plan.diff", true),
            ("**/plan.yaml", "requests/x/plan.yaml", true),
            ("plan.yaml", "requests/x/plan.yaml", true),
            ("docs/**", "requests/x/plan.diff", false),
            ("requests/*", "requests/x/plan.diff", false),
            ("*.png", "requests/x/plan.diff", false),
        ] {
            assert_eq!(fits(pattern, path), expected, "{pattern} {path}");
        }
    }
}
