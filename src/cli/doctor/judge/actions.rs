//! Does the workflow run, with the key where only it can read it?

use super::{Finding, Judgement, Mend, app_id};
use crate::{
    catalog::Folders,
    cli::{
        doctor::look::{APP_ID, APP_KEY, Facts},
        init::workflows::{
            ACTING, ENVIRONMENT, OF_CATALOG, Release, Words, expected, without_followed, without_secrets,
        },
    },
    forge::setup::{Branches, Repository},
};

pub(super) fn judge(facts: &Facts, repository: &Repository, judged: &mut Judgement) {
    let catalog = &facts.catalog;
    if judged.seen("whether Actions run", &facts.runs_workflows) == Some(&false) {
        judged.add(
            Finding::error("actions-disabled", catalog, "no workflow runs: Actions are switched off")
                .cure(format!("in {catalog}: Settings, Actions, General: Allow actions"))
                .mend(Mend::Actions),
        );
    }
    environment(facts, &repository.default_branch, judged);
    if judged
        .seen("secrets of the repository", &facts.open_secrets)
        .is_some_and(|names| names.contains(APP_KEY))
    {
        judged.add(
            Finding::error(
                "app-key-exposed",
                catalog,
                format!("`{APP_KEY}` is a secret of the repository or organisation: every writer can read it by a workflow on a branch"),
            )
            .cure(format!(
                "in {catalog}: Settings, Secrets and variables, Actions: delete it (or have the organisation's owner do so), make a new \
                 private key for the App, delete the old one, and put the new one into the environment `{ENVIRONMENT}`"
            )),
        );
    }
    if let Some(disabled) = judged.seen("workflows that are switched off", &facts.disabled_workflows) {
        for path in OF_CATALOG.into_iter().filter(|path| disabled.contains(*path)) {
            judged.add(
                Finding::error(
                    "workflow-disabled",
                    format!("{catalog}: {path}"),
                    "the workflow is switched off",
                )
                .cure(format!("in {catalog}: Actions, the workflow's name on the left, Enable workflow"))
                .mend(Mend::Workflow(path.to_owned())),
            );
        }
    }
    workflows(facts, &repository.default_branch, judged);
}

fn environment(facts: &Facts, branch: &str, judged: &mut Judgement) {
    let at = format!("{}: environment `{ENVIRONMENT}`", facts.catalog);
    let page = format!("in {}: Settings, Environments", facts.catalog);
    let limit = format!(
        "{page}, {ENVIRONMENT}: Deployment branches and tags: Selected branches and tags, with `{branch}` alone"
    );
    match judged.seen(&format!("environment `{ENVIRONMENT}`"), &facts.environment) {
        None => return,
        Some(None) => {
            judged.add(
                Finding::error("environment-missing", at, "there is no environment that keeps the App's key")
                    .cure(format!("{page}, New environment: `{ENVIRONMENT}`; then {limit}"))
                    .mend(Mend::Environment),
            );
            return;
        }
        Some(Some(Branches::Named(names))) if !names.contains(branch) => judged.add(
            Finding::error(
                "environment-excludes-default-branch",
                &at,
                format!("the branch `{branch}` may not use it, so the workflow never gets the key"),
            )
            .cure(limit)
            .mend(Mend::Environment),
        ),
        Some(Some(Branches::Named(names))) if names.len() == 1 => {}
        Some(Some(Branches::All | Branches::Protected | Branches::Named(_))) => judged.add(
            Finding::error(
                "environment-open",
                &at,
                "other branches than the default one may use it, so the App's key can be read by a workflow on a branch",
            )
            .cure(limit)
            .mend(Mend::Environment),
        ),
    }
    if let Some(there) =
        judged.seen(&format!("variable {APP_ID} of the environment `{ENVIRONMENT}`"), &facts.app_id_there)
        && let Some(app) = app_id(facts, &format!("the variable {APP_ID}"), judged)
    {
        let value = app.to_string();
        let found = match there {
            None => Some(("app-id-missing", format!("it has no variable {APP_ID}"))),
            Some(other) if *other != value => {
                Some(("app-id-wrong", format!("its variable {APP_ID} is not the App that we are, {value}")))
            }
            Some(_) => None,
        };
        if let Some((code, what)) = found {
            judged.add(
                Finding::error(code, &at, what)
                    .cure(format!(
                        "{page}, {ENVIRONMENT}: Environment variables: {APP_ID} with the value {value}"
                    ))
                    .mend(Mend::AppId),
            );
        }
    }
    if judged
        .seen(&format!("secrets of the environment `{ENVIRONMENT}`"), &facts.secrets)
        .is_some_and(|names| !names.contains(APP_KEY))
    {
        judged.add(
            Finding::error("app-key-missing", &at, format!("it has no secret {APP_KEY}, so the workflow cannot act as the App")).cure(
                format!(
                    "{page}, {ENVIRONMENT}: Environment secrets, Add: {APP_KEY} with the whole text of the private key's file; or \
                     `gh secret set {APP_KEY} --env {ENVIRONMENT} < key.pem`"
                ),
            ),
        );
    }
}

/// The workflows as they are on the default branch.
fn workflows(facts: &Facts, branch: &str, judged: &mut Judgement) {
    let Some(files) = judged.seen("files of the catalog", &facts.files) else { return };
    let catalog = &facts.catalog;
    let text =
        |path: &str| files.get(&path.parse().ok()?).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let init =
        format!("in a clone of {catalog}: delete it, `chandlery init . --repository {catalog}`, commit");
    let acting = text(ACTING);
    let release = acting.as_deref().and_then(Release::of_workflow);
    if release.as_ref().is_some_and(|release| !release.is_known()) {
        judged.add(
            Finding::error(
                "release-placeholder",
                format!("{catalog}: {ACTING}"),
                "the workflow names no release of Chandlery, so it cannot run",
            )
            .cure(format!("{init}, with --action OWNER/NAME@COMMIT and --sha256 HEX of the release to run")),
        );
    }
    // What the file says about these two is judged apart, or not known here.
    let named_branch = acting.as_deref().and_then(pushed_branch);
    if let Some(other) = named_branch.as_deref().filter(|named| *named != branch) {
        judged.add(
            Finding::error(
                "workflow-wrong-branch",
                format!("{catalog}: {ACTING}"),
                format!("it starts on pushes to `{other}`, and the default branch is `{branch}`"),
            )
            .cure(format!("{init}, with --branch {branch}")),
        );
    }
    let app = match &facts.app {
        Ok(Some(app)) => Some(app.slug.clone()),
        _ => acting.as_deref().and_then(named_app),
    };
    for path in OF_CATALOG {
        let at = format!("{catalog}: {path}");
        let Some(text) = text(path) else {
            judged.add(
                Finding::error("workflow-missing", at, "the workflow is not there").cure(format!(
                    "in a clone of {catalog}: `chandlery init . --repository {catalog}`, commit"
                )),
            );
            continue;
        };
        // Only the acting workflow says which release the others should run; without it they are not compared.
        let wanted = release.clone().zip(app.clone()).and_then(|(release, app)| {
            let branch = named_branch.clone().unwrap_or_else(|| branch.to_owned());
            expected(
                path,
                &Words {
                    repository: catalog.clone(),
                    owners: String::new(),
                    app,
                    branch,
                    release,
                    folders: Folders::default(),
                },
            )
        });
        let is_changed = match wanted {
            // What steps need is handed on by one line each, and the workflows that they start are listed.
            Some(wanted) if path == ACTING => wanted != without_followed(&without_secrets(&text)),
            Some(wanted) => wanted != text,
            None => path == ACTING,
        };
        if is_changed {
            judged.add(
                Finding::error(
                    "workflow-changed",
                    at,
                    "the workflow is not as this version of `chandlery init` writes it; a change here may hand out the App's key",
                )
                .cure(format!("look at its history; {init} (with --app NAME if the App is not called `chandlery`)")),
            );
        }
    }
}

/// The branch on whose pushes a workflow starts, if there is one.
fn pushed_branch(text: &str) -> Option<String> {
    let workflow: serde_json::Value = serde_yaml::from_str(text).ok()?;
    let branches = workflow["on"]["push"]["branches"].as_array()?;
    match branches.as_slice() {
        [one] => one.as_str().map(str::to_owned),
        _ => None,
    }
}

/// The App whose own events a workflow leaves alone.
fn named_app(text: &str) -> Option<String> {
    let (_, after) = text.split_once("github.event.sender.login != '")?;
    after.split_once("[bot]'").map(|(name, _)| name.to_owned())
}
