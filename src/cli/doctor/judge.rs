//! What is wrong, and how is it put right? From what was seen alone.
//!
//! Each finding has a stable code, with a section in docs/doctor.md. What was not seen is said, never taken for fine.

use std::collections::BTreeSet;

use serde::Serialize;

use super::look::{Facts, Seen};
use crate::{cli::init::rulesets, domain::Severity, forge::setup::Repository};

mod access;
mod branch;
mod actions;
mod content;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) code: &'static str,
    pub(super) severity: Severity,
    /// A repository, a file in it, or a thing of it.
    pub(super) at: String,
    pub(super) message: String,
    /// What to do: a command, or the page and the field.
    pub(super) cure: String,
    /// What `--fix` does about it.
    #[serde(rename = "fix", serialize_with = "as_flag")]
    pub(super) mend: Option<Mend>,
}

fn as_flag<S: serde::Serializer>(mend: &Option<Mend>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(mend.is_some())
}

/// What can be put right without anybody's secret and without touching what is not ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mend {
    /// The rules of the default branch, and of our own branches.
    DefaultBranch,
    OwnBranches,
    Environment,
    AppId,
    Workflow(String),
    MergeMethods,
    Issues,
    Actions,
    Labels,
}

/// What could not be judged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct NotSeen {
    pub(super) what: String,
    pub(super) because: String,
}

/// What came of looking.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Judgement {
    pub(super) findings: Vec<Finding>,
    pub(super) not_seen: BTreeSet<NotSeen>,
}

impl Finding {
    pub(super) fn error(code: &'static str, at: impl ToString, message: impl Into<String>) -> Self {
        let (severity, at) = (Severity::Error, at.to_string());
        Self { code, severity, at, message: message.into(), cure: String::new(), mend: None }
    }

    fn warning(code: &'static str, at: impl ToString, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, at, message) }
    }

    pub(super) fn cure(self, cure: impl Into<String>) -> Self {
        Self { cure: cure.into(), ..self }
    }

    fn mend(self, mend: Mend) -> Self {
        Self { mend: Some(mend), ..self }
    }
}

impl Judgement {
    fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// What was seen; what was not is noted.
    fn seen<'a, T>(&mut self, what: &str, fact: &'a Seen<T>) -> Option<&'a T> {
        match fact {
            Ok(fact) => Some(fact),
            Err(why) => {
                self.not_seen.insert(NotSeen { what: what.to_owned(), because: why.clone() });
                None
            }
        }
    }

    /// Whether something must be mended.
    pub(super) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Judges everything.
pub(super) fn judge(facts: &Facts) -> Judgement {
    let mut judged = Judgement::default();
    access::judge(facts, &mut judged);
    if let Some(Some(repository)) = judged.seen(&facts.catalog.to_string(), &facts.repository) {
        settings(facts, repository, &mut judged);
        if facts.plan_has_rules {
            branch::judge(facts, repository, &mut judged);
        } else {
            judged.add(branch::no_plan(facts));
        }
        actions::judge(facts, repository, &mut judged);
        content::judge(facts, &mut judged);
    }
    access::targets(facts, &mut judged);
    judged
}

/// The App that must be trusted, for what only an App can do.
fn app_id(facts: &Facts, what: &str, judged: &mut Judgement) -> Option<u64> {
    if facts.app_id.is_none() {
        let because = "no App is named: give its id in CHANDLERY_APP_ID and its key".to_owned();
        judged.not_seen.insert(NotSeen { what: what.to_owned(), because });
    }
    facts.app_id
}

fn settings(facts: &Facts, repository: &Repository, judged: &mut Judgement) {
    let catalog = &facts.catalog;
    if !repository.has_issues {
        judged.add(
            Finding::error(
                "issues-disabled",
                catalog,
                "the catalog takes no issues, so nobody can file a form",
            )
            .cure(format!("in {catalog}: Settings, General, Features: tick Issues"))
            .mend(Mend::Issues),
        );
    }
    let methods = match &repository.merge_methods {
        Some(methods) => Ok(methods),
        None => {
            Err("the token at hand is not told which merges are allowed; it takes an administrator's"
                .to_owned())
        }
    };
    let by_rules = judged.seen("rules of the default branch", &facts.rules).cloned().unwrap_or_default();
    if let Some(methods) = judged.seen("allowed ways of merging", &methods) {
        let allowed = |way: &&String| {
            by_rules
                .iter()
                .filter_map(|rule| rule.parameters["allowed_merge_methods"].as_array())
                .all(|ways| ways.iter().any(|known| known == way.as_str()))
        };
        if methods.iter().find(allowed).is_none() {
            judged.add(
                Finding::error(
                    "no-merge-method",
                    catalog,
                    "no way of merging is allowed by the repository and by the rules of its default branch at once",
                )
                .cure(format!(
                    "in {catalog}: Settings, General, Pull Requests: allow merge commits, squash merging or rebase merging, \
                     one that the branch's rules allow too"
                ))
                .mend(Mend::MergeMethods),
            );
        }
    }
}

/// Whether a ruleset is one that `init` made, going by its name.
fn our_ruleset(name: &str) -> Option<Mend> {
    let [default, own] = rulesets::all(None).map(|(_, ruleset)| ruleset["name"].clone());
    if default == name {
        Some(Mend::DefaultBranch)
    } else if own == name {
        Some(Mend::OwnBranches)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
