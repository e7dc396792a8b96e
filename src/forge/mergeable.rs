//! What keeps a pull request from being merged, besides approvals? And what checks of ours are there on a commit?
//! <https://docs.github.com/rest/pulls/pulls#get-a-pull-request>, <https://docs.github.com/rest/checks/runs>,
//! <https://docs.github.com/rest/commits/statuses#get-the-combined-status-for-a-specific-reference>

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use super::{
    act::PLAN_STATUS,
    client::{ForgeError, MOST_PAGES, Reader},
};
use crate::{
    domain::{Login, ObjectId, RepoName},
    plan::{
        facts::{Answer, Mergeable},
        step::CHECK,
    },
};

impl Reader {
    /// Whether the head conflicts with its base, and how the checks of others stand.
    pub(super) async fn mergeable(
        &self,
        repository: &RepoName,
        number: u64,
        head: &ObjectId,
    ) -> Result<Answer, ForgeError> {
        let mut found = Mergeable::default();
        // The first look makes the forge work it out.
        for _ in 0..2 {
            let pull = self.get(repository, &format!("/repos/{repository}/pulls/{number}")).await?;
            found.conflicts = pull.success()?.json()?["mergeable"].as_bool().map(|mergeable| !mergeable);
            if found.conflicts.is_some() {
                break;
            }
        }
        let at = format!("/repos/{repository}/commits/{head}");
        let runs = self.get(repository, &format!("{at}/check-runs?per_page=100")).await?.success()?.json()?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for run in runs["check_runs"].as_array().into_iter().flatten().filter(|run| !is_ours(&run["name"])) {
            match (text(&run["status"]).as_str(), text(&run["conclusion"]).as_str()) {
                ("completed", "success" | "neutral" | "skipped") => {}
                ("completed", _) => drop(found.failed.insert(text(&run["name"]))),
                _ => drop(found.running.insert(text(&run["name"]))),
            }
        }
        let statuses = self.get(repository, &format!("{at}/status?per_page=100")).await?.success()?.json()?;
        for status in statuses["statuses"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|status| !is_ours(&status["context"]))
        {
            match text(&status["state"]).as_str() {
                "success" => {}
                "pending" => drop(found.running.insert(text(&status["context"]))),
                _ => drop(found.failed.insert(text(&status["context"]))),
            }
        }
        Ok(Answer::Mergeable(Arc::new(found)))
    }

    /// Our checks on a commit of the catalog, by what they speak of, whatever they are called.
    pub(super) async fn checks(
        &self,
        catalog: &RepoName,
        commit: &ObjectId,
        me: &Login,
    ) -> Result<Answer, ForgeError> {
        let at = format!("/repos/{catalog}/commits/{commit}");
        let mut found = BTreeSet::new();
        let mut page = Some(self.path(&format!("{at}/check-runs?per_page=100&filter=all")));
        for _ in 0..MOST_PAGES {
            let Some(path) = page.take() else { break };
            let (runs, next) = self.page_of(catalog, &path, "check_runs").await?;
            // The check that is required says of what comes out of a merge queue that it may be merged.
            let ours = |run: &&Value| {
                run["name"] != CHECK
                    && run["app"]["slug"].as_str().is_some_and(|slug| format!("{slug}[bot]") == me.as_str())
            };
            let about = runs.iter().filter(ours).filter_map(|run| run["external_id"].as_str());
            found.extend(about.map(str::to_owned));
            page = next;
        }
        if self.is_one_token() {
            let statuses = self.pages(catalog, &format!("{at}/statuses?per_page=100")).await?;
            let ours = |status: &&Value| status["creator"]["login"].as_str() == Some(me.as_str());
            let about = statuses.iter().filter(ours).filter_map(|status| status["context"].as_str());
            let about = about.filter(|context| *context != PLAN_STATUS);
            found.extend(about.filter_map(|context| context.strip_prefix("chandlery/")).map(str::to_owned));
        }
        Ok(Answer::Checks(Arc::new(found)))
    }
}

/// Whether a check or status bears a name of ours.
fn is_ours(name: &Value) -> bool {
    name.as_str()
        .and_then(|name| name.strip_prefix(CHECK))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ' ']))
}
