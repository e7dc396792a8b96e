//! How is it put right? Only what was found, and only with an administrator's token.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    judge::Mend,
    look::{APP_ID, Facts},
};
use crate::{
    cli::init::{rulesets, workflows::ENVIRONMENT},
    domain::Stage,
    forge::{
        client::{ForgeError, Writer},
        setup::Branches,
    },
    plan::message::stage_in_words,
};

/// What was done, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mended {
    pub(super) what: String,
    pub(super) failed: Option<String>,
}

/// Puts these things right, one after the other; one that fails keeps none of the others away.
pub(super) async fn mend(writer: &Writer, facts: &Facts, mends: &BTreeSet<Mend>) -> Vec<Mended> {
    let mut done = Vec::new();
    for mend in mends {
        let what = describe(mend);
        let failed = carry_out(writer, facts, mend).await.err();
        done.push(Mended { what, failed });
    }
    done
}

fn describe(mend: &Mend) -> String {
    match mend {
        Mend::DefaultBranch => "set the ruleset of the default branch".to_owned(),
        Mend::OwnBranches => "set the ruleset of Chandlery's own branches".to_owned(),
        Mend::Environment => format!("limited the environment `{ENVIRONMENT}` to the default branch"),
        Mend::AppId => format!("set {APP_ID} in the environment `{ENVIRONMENT}`"),
        Mend::Workflow(path) => format!("switched on {path}"),
        Mend::MergeMethods => "allowed merge commits, squash and rebase merging".to_owned(),
        Mend::Issues => "switched on issues".to_owned(),
        Mend::Actions => "switched on Actions".to_owned(),
        Mend::Labels => "made the labels of the stages".to_owned(),
    }
}

async fn carry_out(writer: &Writer, facts: &Facts, mend: &Mend) -> Result<(), String> {
    let catalog = &facts.catalog;
    let needs_app =
        || facts.app_id.ok_or("which App it is is not known: give its id in CHANDLERY_APP_ID".to_owned());
    let done: Result<(), ForgeError> = match mend {
        Mend::DefaultBranch => set_ruleset(writer, facts, rulesets::default_branch(Some(needs_app()?))).await,
        Mend::OwnBranches => set_ruleset(writer, facts, rulesets::own_branches(Some(needs_app()?))).await,
        Mend::Environment => {
            let known =
                facts.environment.clone().map_err(|why| format!("the environment was not seen: {why}"))?;
            let branch = default_branch(facts)?;
            writer
                .limit_environment(catalog, ENVIRONMENT, &branch, known.as_ref())
                .await
                .map_err(|e| e.to_string())?;
            match (&known, facts.app_id) {
                (None::<Branches>, Some(app)) => set_app_id(writer, facts, app, true).await,
                _ => Ok(()),
            }
        }
        Mend::AppId => {
            let is_new = matches!(&facts.app_id_there, Ok(None));
            set_app_id(writer, facts, needs_app()?, is_new).await
        }
        Mend::Workflow(path) => writer.enable_workflow(catalog, path).await,
        Mend::MergeMethods => {
            let all =
                json!({ "allow_merge_commit": true, "allow_squash_merge": true, "allow_rebase_merge": true });
            writer.set_repository(catalog, all).await
        }
        Mend::Issues => writer.set_repository(catalog, json!({ "has_issues": true })).await,
        Mend::Actions => writer.enable_actions(catalog).await,
        Mend::Labels => make_labels(writer, facts).await,
    };
    done.map_err(|error| error.to_string())
}

fn default_branch(facts: &Facts) -> Result<String, String> {
    match &facts.repository {
        Ok(Some(repository)) => Ok(repository.default_branch.clone()),
        Ok(None) => Err("the catalog was not found".to_owned()),
        Err(why) => Err(why.clone()),
    }
}

/// Replaces the ruleset of this name that is the repository's own, or makes it. Other people's stay as they are.
async fn set_ruleset(writer: &Writer, facts: &Facts, ruleset: serde_json::Value) -> Result<(), ForgeError> {
    let known =
        facts.rulesets.iter().flatten().find(|known| known.is_own && ruleset["name"] == known.name.as_str());
    writer.set_ruleset(&facts.catalog, known.map(|known| known.id), ruleset).await
}

async fn make_labels(writer: &Writer, facts: &Facts) -> Result<(), ForgeError> {
    let there = facts.labels.clone().unwrap_or_default();
    for stage in Stage::ALL.into_iter().filter(|stage| !there.contains(&stage.label())) {
        let (color, description) = (stage.color(), format!("A request: {}", stage_in_words(stage)));
        writer.make_label(&facts.catalog, (&stage.label(), color, &description)).await?;
    }
    Ok(())
}

async fn set_app_id(writer: &Writer, facts: &Facts, app: u64, is_new: bool) -> Result<(), ForgeError> {
    let value = app.to_string();
    writer.set_variable(&facts.catalog, ENVIRONMENT, (APP_ID, &value), is_new).await
}
