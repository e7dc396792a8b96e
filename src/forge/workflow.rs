//! How are workflows of the forge started and followed?
//! <https://docs.github.com/rest/actions/workflows#create-a-workflow-dispatch-event>,
//! <https://docs.github.com/rest/actions/workflow-runs>, <https://docs.github.com/rest/actions/workflow-jobs>

use std::{collections::BTreeMap, sync::Arc};

use hyper::Method;
use serde_json::{Value, json};

use super::{
    client::{ForgeError, Reader, Writer, encode},
    setup::Rule,
};
use crate::{
    domain::{Branch, RepoName},
    plan::{
        facts::{Answer, Job, RunsOn, Workflow, WorkflowRun},
        step::{Acted, Outcome},
    },
};

/// How many of the last runs are looked through for a lost one.
const LATELY: usize = 100;
/// How many lines of each job's log are read, from its end, and of how many jobs.
const MOST_LINES: usize = 2_000;
const MOST_LOGS: usize = 20;

impl Writer {
    /// Starts a workflow, once.
    pub async fn dispatch(
        &self,
        repository: &RepoName,
        workflow: &str,
        reference: &Branch,
        inputs: &BTreeMap<String, String>,
    ) -> Acted {
        let path = format!("/actions/workflows/{}/dispatches", encode(workflow));
        let body = json!({ "ref": reference.as_str(), "inputs": inputs, "return_run_details": true });
        let reply = match self.send(repository, Method::POST, &path, &body).await {
            Ok(reply) => reply,
            Err(ForgeError::Limited { seconds }) => return Acted::Postponed { seconds },
            Err(error) => return Acted::Failed(error.to_string()),
        };
        let words = || format!("the forge answered {} to {}: {}", reply.status, reply.what, reply.words());
        match reply.status {
            200..300 => {
                let run = reply.json().ok().and_then(|answer| answer["workflow_run_id"].as_u64());
                Acted::Told(Outcome::Dispatched(run))
            }
            400..500 => Acted::Told(Outcome::Refused(words())),
            _ => Acted::Failed(words()),
        }
    }
}

impl Writer {
    /// Stops a run; one that has ended needs no stopping.
    /// <https://docs.github.com/rest/actions/workflow-runs#cancel-a-workflow-run>
    pub async fn cancel(&self, repository: &RepoName, run: u64) -> Acted {
        let path = format!("/actions/runs/{run}/cancel");
        let reply = match self.send(repository, Method::POST, &path, &Value::Null).await {
            Ok(reply) => reply,
            Err(ForgeError::Limited { seconds }) => return Acted::Postponed { seconds },
            Err(error) => return Acted::Failed(error.to_string()),
        };
        let words = || format!("the forge answered {} to {}: {}", reply.status, reply.what, reply.words());
        match reply.status {
            200..300 | 409 => Acted::Told(Outcome::Cancelled),
            400..500 => Acted::Told(Outcome::Refused(words())),
            _ => Acted::Failed(words()),
        }
    }
}

impl Reader {
    /// How a workflow stands, and what it says on a branch or tag.
    /// <https://docs.github.com/rest/actions/workflows#get-a-workflow>
    pub(super) async fn workflow(
        &self,
        repository: &RepoName,
        file: &str,
        on: Option<&Branch>,
    ) -> Result<Answer, ForgeError> {
        let path = format!("/repos/{repository}/actions/workflows/{}", encode(file));
        let reply = self.get(repository, &path).await?;
        let state = match reply.status {
            // A token that may not read Actions, or a file so new that the forge does not know it yet: starting it tells.
            403 | 404 => None,
            _ => reply.success()?.json()?["state"].as_str().map(str::to_owned),
        };
        let on = match on {
            Some(reference) => self.says_on(repository, file, reference).await?,
            None => RunsOn::Unasked,
        };
        Ok(Answer::Workflow(Arc::new(Workflow { state, on })))
    }

    async fn says_on(
        &self,
        repository: &RepoName,
        file: &str,
        reference: &Branch,
    ) -> Result<RunsOn, ForgeError> {
        let reference = encode(reference.as_str());
        let path = format!("/repos/{repository}/contents/.github/workflows/{}?ref={reference}", encode(file));
        let reply = self.get(repository, &path).await?;
        if reply.status == 404 {
            let commit = self.get(repository, &format!("/repos/{repository}/commits/{reference}")).await?;
            return Ok(match commit.status {
                404 | 422 => RunsOn::Nothing,
                _ => commit.success().map(|_| RunsOn::NoFile)?,
            });
        }
        Ok(RunsOn::File(reply.success()?.content()?.into()))
    }

    /// Whose rules keep us from making a branch. Rules are listed whoever asks; whom a ruleset lets by, it says itself. The older
    /// protection of branches is shown to administrators alone, and not for a branch that is not there.
    /// <https://docs.github.com/rest/repos/rules#get-rules-for-a-branch>
    pub(super) async fn barred(&self, repository: &RepoName, branch: &Branch) -> Result<Answer, ForgeError> {
        let rules = match self.rules(repository, branch.as_str()).await {
            // Private repositories of some plans have no rules.
            Err(ForgeError::Status { status: 403 | 404, .. }) => Vec::new(),
            rules => rules?,
        };
        for rule in rules.iter().filter(|rule| forbids(rule, branch.as_str())) {
            if let Some(ruleset) = self.ruleset(repository, rule.ruleset).await?
                && ruleset.lets_us_by == Some(false)
            {
                return Ok(Answer::Barred(Some(ruleset.name.into())));
            }
        }
        Ok(Answer::Barred(None))
    }

    /// A run, its jobs, and once it has ended the end of their logs.
    pub(super) async fn workflow_run(&self, repository: &RepoName, run: u64) -> Result<Answer, ForgeError> {
        let path = format!("/repos/{repository}/actions/runs/{run}");
        let reply = self.get(repository, &path).await?;
        if reply.status == 404 {
            return Ok(Answer::WorkflowRun(None));
        }
        let found = reply.success()?.json()?;
        let jobs = self.get(repository, &format!("{path}/jobs?per_page=100")).await?.success()?.json()?;
        let jobs = jobs["jobs"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let conclusion = (found["status"] == "completed")
            .then(|| text(&found["conclusion"]).unwrap_or_else(|| "unknown".to_owned()));
        let mut log = None;
        if let Some(conclusion) = &conclusion {
            log = Some(self.logs(repository, &jobs, conclusion == "success").await);
        }
        let job = |job: &Value| Job {
            name: text(&job["name"]).unwrap_or_default(),
            state: text(&job["conclusion"]).or_else(|| text(&job["status"])).unwrap_or_default(),
        };
        let jobs = jobs.iter().map(job).collect();
        let run = WorkflowRun { conclusion, url: text(&found["html_url"]), jobs, log };
        Ok(Answer::WorkflowRun(Some(Arc::new(run))))
    }

    /// The ends of the logs of all jobs; those that failed stand last, since people read the end.
    async fn logs(
        &self,
        repository: &RepoName,
        jobs: &[Value],
        is_success: bool,
    ) -> Result<Vec<String>, String> {
        let failed = |job: &&Value| !is_success && job["conclusion"] == "failure";
        let (last, first): (Vec<&Value>, Vec<&Value>) = jobs.iter().partition(failed);
        let mut lines = Vec::new();
        for job in first.into_iter().chain(last).take(MOST_LOGS) {
            let Some(id) = job["id"].as_u64() else { continue };
            if job["conclusion"] == "skipped" {
                continue;
            }
            let path = format!("/repos/{repository}/actions/jobs/{id}/logs");
            let reply = self.get(repository, &path).await.map_err(|error| error.to_string())?;
            // A log may have been deleted.
            if [404, 410].contains(&reply.status) {
                continue;
            }
            let reply = reply.success().map_err(|error| error.to_string())?;
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            let all: Vec<&str> = text.lines().collect();
            lines.extend(all[all.len().saturating_sub(MOST_LINES)..].iter().map(|line| (*line).to_owned()));
        }
        Ok(lines)
    }

    /// The run of a workflow whose name ends with a text.
    pub(super) async fn find_run(
        &self,
        repository: &RepoName,
        workflow: &str,
        correlation: &str,
    ) -> Result<Answer, ForgeError> {
        let path = format!(
            "/repos/{repository}/actions/workflows/{}/runs?event=workflow_dispatch&per_page={LATELY}",
            encode(workflow)
        );
        let found = self.get(repository, &path).await?.success()?.json()?;
        let is_it = |run: &&Value| {
            let title = run["display_title"].as_str().unwrap_or_default();
            title.split(|c: char| c.is_whitespace() || "()[],;".contains(c)).any(|word| word == correlation)
        };
        let runs = found["workflow_runs"].as_array();
        let run = runs.and_then(|runs| runs.iter().find(is_it)).and_then(|run| run["id"].as_u64());
        Ok(Answer::FoundRun(run))
    }
}

/// Whether a rule forbids that a branch of this name is made, with a commit that nobody has seen yet.
/// <https://docs.github.com/repositories/configuring-branches-and-merges-in-your-repository/managing-rulesets/available-rules-for-rulesets>
fn forbids(rule: &Rule, branch: &str) -> bool {
    let said = &rule.parameters;
    match rule.kind.as_str() {
        "creation" => true,
        // No check has looked at it.
        "required_status_checks" => {
            let checks = said["required_status_checks"].as_array();
            said["do_not_enforce_on_create"] != true && checks.is_some_and(|checks| !checks.is_empty())
        }
        // A pattern that we cannot read forbids nothing here: the forge tells when the branch is pushed.
        "branch_name_pattern" => fits(said, branch).is_some_and(|fits| fits == (said["negate"] == true)),
        _ => false,
    }
}

/// Whether a name is as a rule describes it. Patterns are in the syntax of RE2, which is nearly ours:
/// <https://docs.github.com/repositories/configuring-branches-and-merges-in-your-repository/managing-rulesets/creating-rulesets-for-a-repository#using-regular-expressions-for-commit-metadata>
fn fits(said: &Value, name: &str) -> Option<bool> {
    let pattern = said["pattern"].as_str()?;
    Some(match said["operator"].as_str()? {
        "starts_with" => name.starts_with(pattern),
        "ends_with" => name.ends_with(pattern),
        "contains" => name.contains(pattern),
        "regex" => regex::Regex::new(pattern).ok()?.is_match(name),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_about_names_forbids_those_that_it_does_not_describe() {
        for (operator, pattern, negate, is_forbidden) in [
            ("starts_with", "feature/", false, true),
            ("starts_with", "chandlery/", false, false),
            ("starts_with", "chandlery/", true, true),
            ("ends_with", "-code", false, false),
            ("contains", "2026", true, true),
            ("regex", r"^(feature|fix)/\d+$", false, true),
            ("regex", r"^[a-z]+/\d{4}-[a-z0-9-]+$", false, false),
            // What we cannot read, and what came later.
            ("regex", "(", false, false),
            ("sounds_like", "chandlery", false, false),
        ] {
            let parameters = json!({ "operator": operator, "pattern": pattern, "negate": negate });
            let rule =
                Rule { kind: "branch_name_pattern".into(), parameters, ruleset: 1, source: String::new() };
            assert_eq!(
                forbids(&rule, "chandlery/2026-11-issue-1-code"),
                is_forbidden,
                "{operator} {pattern}"
            );
        }
    }
}
