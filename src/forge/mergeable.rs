//! What keeps a pull request from being merged, besides approvals?
//! <https://docs.github.com/rest/pulls/pulls#get-a-pull-request>, <https://docs.github.com/rest/checks/runs>,
//! <https://docs.github.com/rest/commits/statuses#get-the-combined-status-for-a-specific-reference>

use std::sync::Arc;

use serde_json::Value;

use super::{
    act::CHECK,
    client::{ForgeError, Reader},
};
use crate::{
    domain::{ObjectId, RepoName},
    plan::facts::{Answer, Mergeable},
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
        for run in runs["check_runs"].as_array().into_iter().flatten().filter(|run| run["name"] != CHECK) {
            match (text(&run["status"]).as_str(), text(&run["conclusion"]).as_str()) {
                ("completed", "success" | "neutral" | "skipped") => {}
                ("completed", _) => drop(found.failed.insert(text(&run["name"]))),
                _ => drop(found.running.insert(text(&run["name"]))),
            }
        }
        let statuses = self.get(repository, &format!("{at}/status?per_page=100")).await?.success()?.json()?;
        for status in statuses["statuses"].as_array().into_iter().flatten() {
            match text(&status["state"]).as_str() {
                "success" => {}
                "pending" => drop(found.running.insert(text(&status["context"]))),
                _ => drop(found.failed.insert(text(&status["context"]))),
            }
        }
        Ok(Answer::Mergeable(Arc::new(found)))
    }
}
