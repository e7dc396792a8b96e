//! What does the forge remember besides Git objects?
//!
//! One value, `State`, held in memory behind one lock and kept as one JSON file. Everything
//! that GitHub would answer is computed from it and from the bare repositories beside it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::apps::{App, Grant};
use super::clock;
use super::setup::Setup;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) advanced_seconds: i64,
    pub(crate) last_stamp: Timestamp,
    pub(crate) last_id: u64,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) organizations: BTreeMap<String, Organization>,
    /// By `owner/name`.
    pub(crate) repositories: BTreeMap<String, Repository>,
    /// What repositories are called by now, by what they were called.
    #[serde(default)]
    pub(crate) renamed: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) apps: BTreeMap<u64, App>,
    /// What each token of an installation allows.
    #[serde(default)]
    pub(crate) app_tokens: BTreeMap<String, Grant>,
    /// The version of GitHub Enterprise Server that is played; none for github.com.
    #[serde(default)]
    pub(crate) version: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) login: String,
    pub(crate) token: String,
    pub(crate) email: Option<String>,
    pub(crate) created_at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Organization {
    pub(crate) id: u64,
    pub(crate) login: String,
    pub(crate) owners: BTreeSet<String>,
    pub(crate) members: BTreeSet<String>,
    pub(crate) teams: BTreeMap<String, Team>,
    /// The names of the secrets that its repositories may use.
    #[serde(default)]
    pub(crate) secrets: BTreeSet<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Team {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) slug: String,
    pub(crate) description: Option<String>,
    pub(crate) members: BTreeSet<String>,
    /// What the team may do, by `owner/name`.
    pub(crate) repositories: BTreeMap<String, Permission>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Permission {
    None,
    #[serde(alias = "pull")]
    Read,
    Triage,
    #[serde(alias = "push")]
    Write,
    Maintain,
    Admin,
}

impl Permission {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::from(text)).ok()
    }

    /// The five names that GitHub calls roles, and `none`.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Repository {
    pub(crate) id: u64,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) private: bool,
    pub(crate) archived: bool,
    pub(crate) fork_of: Option<String>,
    pub(crate) default_branch: String,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) pushed_at: Timestamp,
    pub(crate) collaborators: BTreeMap<String, Permission>,
    pub(crate) protections: BTreeMap<String, Protection>,
    pub(crate) labels: BTreeMap<String, Label>,
    pub(crate) last_number: u64,
    pub(crate) issues: BTreeMap<u64, Issue>,
    /// The refs as last seen; a push is what differs from them afterwards.
    pub(crate) refs: BTreeMap<String, String>,
    pub(crate) activity: Vec<Activity>,
    pub(crate) check_runs: BTreeMap<u64, CheckRun>,
    pub(crate) statuses: Vec<Status>,
    pub(crate) hooks: BTreeMap<u64, Hook>,
    /// What waits to be merged, by the branch.
    #[serde(default)]
    pub(crate) queues: BTreeMap<String, Vec<super::queue::Waiting>>,
    #[serde(default)]
    pub(crate) setup: Setup,
    /// The runs of workflows, oldest first.
    #[serde(default)]
    pub(crate) runs: Vec<super::rest::runs::Run>,
}

impl Repository {
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    pub(crate) fn issue_of_comment(&self, id: u64) -> Option<u64> {
        self.issues
            .values()
            .find(|issue| issue.comments.iter().any(|comment| comment.id == id))
            .map(|issue| issue.number)
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Protection {
    pub(crate) required_checks: Vec<RequiredCheck>,
    pub(crate) strict: bool,
    /// Who may push past the pull request.
    pub(crate) push: BTreeSet<String>,
    pub(crate) enforce_admins: bool,
    pub(crate) required_reviews: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RequiredCheck {
    pub(crate) context: String,
    pub(crate) app_id: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Label {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) color: String,
    pub(crate) description: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Issue {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) author: String,
    pub(crate) open: bool,
    pub(crate) state_reason: Option<String>,
    pub(crate) labels: BTreeSet<String>,
    pub(crate) assignees: BTreeSet<String>,
    pub(crate) locked: bool,
    pub(crate) lock_reason: Option<String>,
    pub(crate) comments: Vec<Comment>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) closed_at: Option<Timestamp>,
    pub(crate) closed_by: Option<String>,
    /// Edits of the body, oldest first.
    pub(crate) edits: Vec<Edit>,
    pub(crate) events: Vec<Event>,
    pub(crate) gone: Option<Gone>,
    pub(crate) pull: Option<Pull>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Gone {
    Deleted,
    MovedTo { repository: String, number: u64 },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Edit {
    pub(crate) editor: String,
    pub(crate) at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: u64,
    pub(crate) kind: EventKind,
    pub(crate) actor: Option<String>,
    pub(crate) at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EventKind {
    Closed,
    Reopened,
    Merged,
    HeadRefForcePushed,
    HeadRefDeleted,
    RemovedFromMergeQueue,
    /// Which review, and what it said before.
    ReviewDismissed {
        review: u64,
        was: ReviewState,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    pub(crate) author: String,
    pub(crate) body: String,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    #[serde(default)]
    pub(crate) edited_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pull {
    /// By `owner/name`; another repository than ours when the pull comes from a fork.
    pub(crate) head_repository: String,
    pub(crate) head_branch: String,
    pub(crate) head: String,
    pub(crate) base_branch: String,
    pub(crate) base: String,
    pub(crate) draft: bool,
    pub(crate) merged: Option<Merged>,
    pub(crate) reviews: Vec<Review>,
    pub(crate) remarks: Vec<Remark>,
    pub(crate) requested_users: BTreeSet<String>,
    pub(crate) requested_teams: BTreeSet<String>,
    /// The head and base for which mergeability has been computed, and the answer.
    pub(crate) mergeable: Option<(String, String, bool)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Merged {
    pub(crate) at: Timestamp,
    pub(crate) by: String,
    pub(crate) commit: String,
    /// The commits that a rebase made on the base; each belongs to the pull request.
    #[serde(default)]
    pub(crate) rebased: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Review {
    pub(crate) id: u64,
    pub(crate) author: String,
    pub(crate) state: ReviewState,
    pub(crate) body: String,
    pub(crate) submitted_at: Timestamp,
    pub(crate) commit: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ReviewState {
    Approved,
    ChangesRequested,
    Commented,
    Dismissed,
}

impl ReviewState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Approved => "APPROVED",
            Self::ChangesRequested => "CHANGES_REQUESTED",
            Self::Commented => "COMMENTED",
            Self::Dismissed => "DISMISSED",
        }
    }
}

/// A comment on a line of a pull request; always part of a review.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Remark {
    pub(crate) id: u64,
    pub(crate) review: u64,
    pub(crate) author: String,
    pub(crate) body: String,
    pub(crate) path: String,
    pub(crate) line: Option<u64>,
    pub(crate) commit: String,
    pub(crate) reply_to: Option<u64>,
    pub(crate) created_at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Activity {
    pub(crate) id: u64,
    pub(crate) reference: String,
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) at: Timestamp,
    pub(crate) kind: ActivityKind,
    pub(crate) actor: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActivityKind {
    Push,
    ForcePush,
    BranchCreation,
    BranchDeletion,
    PrMerge,
    MergeQueueMerge,
}

impl ActivityKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::ForcePush => "force_push",
            Self::BranchCreation => "branch_creation",
            Self::BranchDeletion => "branch_deletion",
            Self::PrMerge => "pr_merge",
            Self::MergeQueueMerge => "merge_queue_merge",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CheckRun {
    pub(crate) id: u64,
    pub(crate) suite: u64,
    pub(crate) name: String,
    pub(crate) head: String,
    pub(crate) status: String,
    pub(crate) conclusion: Option<String>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) external_id: String,
    pub(crate) details_url: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) text: Option<String>,
    /// The login of the App.
    pub(crate) app: String,
}

impl CheckRun {
    pub(crate) fn passed(&self) -> bool {
        matches!(self.conclusion.as_deref(), Some("success" | "neutral" | "skipped"))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) state: String,
    pub(crate) context: String,
    pub(crate) description: Option<String>,
    pub(crate) target_url: Option<String>,
    pub(crate) creator: String,
    pub(crate) created_at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hook {
    pub(crate) id: u64,
    pub(crate) url: String,
    pub(crate) secret: Option<String>,
    pub(crate) content_type: String,
    pub(crate) events: Vec<String>,
    pub(crate) active: bool,
    pub(crate) created_at: Timestamp,
}

impl State {
    /// The present, never before an event that has been stamped.
    pub(crate) fn now(&self) -> Timestamp {
        let wall = clock::wall() + SignedDuration::from_secs(self.advanced_seconds);
        wall.max(self.last_stamp)
    }

    /// The time of a new event. GitHub prints whole seconds, so each event gets one of its own:
    /// otherwise two events could not be told apart by order.
    pub(crate) fn stamp(&mut self) -> Timestamp {
        let wall = clock::wall() + SignedDuration::from_secs(self.advanced_seconds);
        self.last_stamp = wall.max(self.last_stamp + SignedDuration::from_secs(1));
        self.last_stamp
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id = self.last_id.max(1000) + 1;
        self.last_id
    }

    pub(crate) fn user_of_token(&self, token: &str) -> Option<&User> {
        self.users.values().find(|user| user.token == token)
    }

    /// Names are compared without case, as on GitHub.
    pub(crate) fn user(&self, login: &str) -> Option<&User> {
        self.users
            .get(login)
            .or_else(|| self.users.values().find(|user| user.login.eq_ignore_ascii_case(login)))
    }

    pub(crate) fn organization(&self, login: &str) -> Option<&Organization> {
        self.organizations
            .get(login)
            .or_else(|| self.organizations.values().find(|known| known.login.eq_ignore_ascii_case(login)))
    }

    pub(crate) fn repository_key(&self, owner: &str, name: &str) -> Option<String> {
        let key = format!("{owner}/{name}");
        if self.repositories.contains_key(&key) {
            return Some(key);
        }
        self.repositories.keys().find(|known| known.eq_ignore_ascii_case(&key)).cloned()
    }

    /// Commit mail is free text; it names a user only by these three forms.
    pub(crate) fn user_of_email(&self, email: &str) -> Option<&User> {
        if let Some(user) = self.users.values().find(|user| user.email.as_deref() == Some(email)) {
            return Some(user);
        }
        let local = email.strip_suffix("@users.noreply.github.com")?;
        match local.split_once('+') {
            Some((id, login)) => self.user(login).filter(|user| user.id.to_string() == id),
            None => self.user(local),
        }
    }

    pub(crate) fn permission(&self, repository: &Repository, login: Option<&str>) -> Permission {
        let public = if repository.private { Permission::None } else { Permission::Read };
        let Some(login) = login else {
            return public;
        };
        if repository.owner == login {
            return Permission::Admin;
        }
        let installed = |app: &App| {
            app.login() == login
                && app.installations.iter().any(|installation| {
                    installation.account == repository.owner
                        && installation
                            .repositories
                            .as_ref()
                            .is_none_or(|names| names.contains(&repository.name))
                })
        };
        let by_app = if self.apps.values().any(installed) { Permission::Write } else { Permission::None };
        let public = public.max(by_app);
        let direct = repository.collaborators.get(login).copied().unwrap_or(Permission::None);
        let Some(organization) = self.organizations.get(&repository.owner) else {
            return direct.max(public);
        };
        if organization.owners.contains(login) {
            return Permission::Admin;
        }
        let member = if organization.members.contains(login) { Permission::Read } else { Permission::None };
        let key = repository.key();
        let teams = organization.teams.values().filter(|team| team.members.contains(login));
        let by_team = teams.filter_map(|team| team.repositories.get(&key)).max().copied();
        direct.max(public).max(member).max(by_team.unwrap_or(Permission::None))
    }
}

impl User {
    pub(crate) fn is_app(&self) -> bool {
        self.login.ends_with("[bot]")
    }

    pub(crate) fn noreply(&self) -> String {
        format!("{}+{}@users.noreply.github.com", self.id, self.login)
    }
}
