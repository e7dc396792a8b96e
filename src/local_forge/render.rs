//! How does GitHub print what the forge remembers?
//!
//! Field for field the schemas of GitHub's OpenAPI description.

use git2::Signature;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Shared;
use super::objects;
use super::store::{
    CheckRun, Comment, Hook, Issue, Label, Organization, Permission, Pull, Remark, Repository, Review, State,
    Status, Team,
};

#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) state: &'a State,
    pub(crate) shared: &'a Shared,
}

/// What GraphQL calls a global id; opaque to clients.
pub(crate) fn node(kind: &str, id: u64) -> String {
    format!("{kind}_{id:08}")
}

impl View<'_> {
    pub(crate) fn api(&self, path: &str) -> String {
        format!("{}/api/v3/{path}", self.shared.url)
    }

    pub(super) fn html(&self, path: &str) -> String {
        format!("{}/{path}", self.shared.url)
    }

    /// A user or organisation by login; someone who is no longer there is `null`.
    pub(crate) fn user(&self, login: &str) -> Value {
        let (id, kind) = match (self.state.users.get(login), self.state.organizations.get(login)) {
            (Some(user), _) => (user.id, if user.is_app() { "Bot" } else { "User" }),
            (None, Some(organization)) => (organization.id, "Organization"),
            (None, None) => return Value::Null,
        };
        // The brackets of an App's login are no part of a URL.
        let safe = super::reply::encode(login);
        let api = self.api(&format!("users/{safe}"));
        json!({
            "login": login, "id": id, "node_id": node("U", id), "avatar_url": self.html(&format!("avatars/{id}")),
            "gravatar_id": "", "url": api, "html_url": self.html(&safe), "followers_url": format!("{api}/followers"),
            "following_url": format!("{api}/following{{/other_user}}"),
            "gists_url": format!("{api}/gists{{/gist_id}}"),
            "starred_url": format!("{api}/starred{{/owner}}{{/repo}}"),
            "subscriptions_url": format!("{api}/subscriptions"), "organizations_url": format!("{api}/orgs"),
            "repos_url": format!("{api}/repos"), "events_url": format!("{api}/events{{/privacy}}"),
            "received_events_url": format!("{api}/received_events"), "type": kind, "user_view_type": "public",
            "site_admin": false,
        })
    }

    fn maybe_user(&self, login: Option<&str>) -> Value {
        login.map_or(Value::Null, |login| self.user(login))
    }

    pub(crate) fn user_full(&self, login: &str) -> Value {
        let mut user = self.user(login);
        let Some(known) = self.state.users.get(login) else {
            return user;
        };
        let more = json!({
            "name": login, "company": null, "blog": "", "location": null, "email": known.email, "hireable": null,
            "bio": null, "twitter_username": null, "public_repos": 0, "public_gists": 0, "followers": 0,
            "following": 0, "created_at": known.created_at, "updated_at": known.created_at,
        });
        extend(&mut user, more);
        user
    }

    pub(crate) fn organization(&self, organization: &Organization) -> Value {
        let login = &organization.login;
        let api = self.api(&format!("orgs/{login}"));
        json!({
            "login": login, "id": organization.id, "node_id": node("O", organization.id), "url": api,
            "repos_url": format!("{api}/repos"), "events_url": format!("{api}/events"),
            "hooks_url": format!("{api}/hooks"), "issues_url": format!("{api}/issues"),
            "members_url": format!("{api}/members{{/member}}"),
            "public_members_url": format!("{api}/public_members{{/member}}"),
            "avatar_url": self.html(&format!("avatars/{}", organization.id)), "description": null,
        })
    }

    pub(crate) fn team(&self, organization: &Organization, team: &Team) -> Value {
        let api = self.api(&format!("organizations/{}/team/{}", organization.id, team.id));
        json!({
            "id": team.id, "node_id": node("T", team.id), "name": team.name, "slug": team.slug,
            "description": team.description, "privacy": "closed", "notification_setting": "notifications_enabled",
            "permission": "pull", "url": api,
            "html_url": self.html(&format!("orgs/{}/teams/{}", organization.login, team.slug)),
            "members_url": format!("{api}/members{{/member}}"), "repositories_url": format!("{api}/repos"),
            "parent": null, "type": "organization", "organization_id": organization.id,
        })
    }

    pub(crate) fn team_full(&self, organization: &Organization, team: &Team) -> Value {
        let mut shown = self.team(organization, team);
        let mut owner = self.organization(organization);
        let at = Timestamp::UNIX_EPOCH;
        extend(
            &mut owner,
            json!({
                "has_organization_projects": false, "has_repository_projects": false, "public_repos": 0,
                "public_gists": 0, "followers": 0, "following": 0, "html_url": self.html(&organization.login),
                "created_at": at, "updated_at": at, "archived_at": null, "type": "Organization",
            }),
        );
        extend(
            &mut shown,
            json!({
                "members_count": team.members.len(), "repos_count": team.repositories.len(), "organization": owner,
                "created_at": at, "updated_at": at,
            }),
        );
        shown
    }

    pub(crate) fn repository_minimal(&self, repository: &Repository) -> Value {
        let key = repository.key();
        let api = self.api(&format!("repos/{key}"));
        let html = self.html(&key);
        let mut shown = json!({
            "id": repository.id, "node_id": node("R", repository.id), "name": repository.name, "full_name": key,
            "private": repository.private, "owner": self.user(&repository.owner), "html_url": html,
            "description": repository.description, "fork": repository.fork_of.is_some(), "url": api,
        });
        let plain = [
            "forks",
            "teams",
            "hooks",
            "events",
            "tags",
            "languages",
            "stargazers",
            "contributors",
            "subscribers",
            "subscription",
            "merges",
            "downloads",
            "deployments",
        ];
        for name in plain {
            shown[format!("{name}_url")] = format!("{api}/{name}").into();
        }
        let templates = [
            ("keys_url", "keys{/key_id}"),
            ("collaborators_url", "collaborators{/collaborator}"),
            ("issue_events_url", "issues/events{/number}"),
            ("assignees_url", "assignees{/user}"),
            ("branches_url", "branches{/branch}"),
            ("blobs_url", "git/blobs{/sha}"),
            ("git_tags_url", "git/tags{/sha}"),
            ("git_refs_url", "git/refs{/sha}"),
            ("trees_url", "git/trees{/sha}"),
            ("statuses_url", "statuses/{sha}"),
            ("commits_url", "commits{/sha}"),
            ("git_commits_url", "git/commits{/sha}"),
            ("comments_url", "comments{/number}"),
            ("issue_comment_url", "issues/comments{/number}"),
            ("contents_url", "contents/{+path}"),
            ("compare_url", "compare/{base}...{head}"),
            ("archive_url", "{archive_format}{/ref}"),
            ("issues_url", "issues{/number}"),
            ("pulls_url", "pulls{/number}"),
            ("milestones_url", "milestones{/number}"),
            ("notifications_url", "notifications{?since,all,participating}"),
            ("labels_url", "labels{/name}"),
            ("releases_url", "releases{/id}"),
        ];
        for (name, template) in templates {
            shown[name] = format!("{api}/{template}").into();
        }
        shown
    }

    /// The repository as `GET /repos/{owner}/{repo}` answers it to this reader.
    pub(crate) fn repository(&self, repository: &Repository, reader: Option<&str>) -> Value {
        let key = repository.key();
        let html = self.html(&key);
        let mut shown = self.repository_minimal(repository);
        let permission = self.state.permission(repository, reader);
        let open = repository.issues.values().filter(|issue| issue.open && issue.gone.is_none()).count();
        extend(
            &mut shown,
            json!({
                "git_url": format!("{html}.git"), "ssh_url": format!("{html}.git"), "clone_url": format!("{html}.git"),
                "svn_url": html, "mirror_url": null, "homepage": null, "language": null, "forks_count": 0,
                "stargazers_count": 0, "watchers_count": 0, "size": 0, "default_branch": repository.default_branch,
                "open_issues_count": open, "is_template": false, "topics": [],
            }),
        );
        extend(
            &mut shown,
            json!({
                "has_issues": repository.setup.has_issues, "has_projects": false,
                "has_wiki": false, "has_pages": false, "has_downloads": true, "has_discussions": false,
                "archived": repository.archived, "disabled": false,
                "visibility": if repository.private { "private" } else { "public" }, "pushed_at": repository.pushed_at,
                "created_at": repository.created_at, "updated_at": repository.updated_at, "license": null, "forks": 0,
                "open_issues": open, "watchers": 0, "network_count": 0, "subscribers_count": 0, "allow_forking": true,
                "web_commit_signoff_required": false,
                "permissions": {
                    "admin": permission >= Permission::Admin, "maintain": permission >= Permission::Maintain,
                    "push": permission >= Permission::Write, "triage": permission >= Permission::Triage,
                    "pull": permission >= Permission::Read,
                },
            }),
        );
        // How it merges is shown to those only who may write.
        if permission >= Permission::Write {
            let setup = &repository.setup;
            let allows = |method: &str| setup.merge_methods.contains(method);
            let merging = json!({
                "allow_squash_merge": allows("squash"), "allow_merge_commit": allows("merge"),
                "allow_rebase_merge": allows("rebase"), "allow_auto_merge": setup.auto_merge, "delete_branch_on_merge": false,
            });
            extend(&mut shown, merging);
        }
        if let Some(parent) = repository.fork_of.as_ref().and_then(|key| self.state.repositories.get(key)) {
            let parent = self.repository(parent, reader);
            shown["source"] = parent.clone();
            shown["parent"] = parent;
        }
        shown
    }

    pub(crate) fn label(&self, repository: &Repository, label: &Label) -> Value {
        json!({
            "id": label.id, "node_id": node("LA", label.id),
            "url": self.api(&format!("repos/{}/labels/{}", repository.key(), super::reply::encode(&label.name))),
            "name": label.name, "color": label.color, "default": false, "description": label.description,
        })
    }

    fn labels(&self, repository: &Repository, issue: &Issue) -> Value {
        let labels = issue.labels.iter().filter_map(|name| repository.labels.get(name));
        labels.map(|label| self.label(repository, label)).collect()
    }

    fn users<'b>(&self, logins: impl IntoIterator<Item = &'b String>) -> Value {
        logins.into_iter().map(|login| self.user(login)).collect()
    }

    pub(crate) fn association(&self, repository: &Repository, login: &str) -> &'static str {
        let member = self
            .state
            .organizations
            .get(&repository.owner)
            .is_some_and(|known| known.members.contains(login));
        if repository.owner == login {
            "OWNER"
        } else if member {
            "MEMBER"
        } else if repository.collaborators.contains_key(login) {
            "COLLABORATOR"
        } else {
            "NONE"
        }
    }

    fn reactions(url: &str) -> Value {
        json!({
            "url": format!("{url}/reactions"), "total_count": 0, "+1": 0, "-1": 0, "laugh": 0, "hooray": 0,
            "confused": 0, "heart": 0, "rocket": 0, "eyes": 0,
        })
    }

    pub(crate) fn issue(&self, repository: &Repository, issue: &Issue) -> Value {
        let key = repository.key();
        let api = self.api(&format!("repos/{key}/issues/{}", issue.number));
        let assignees = self.users(&issue.assignees);
        let page = if issue.pull.is_some() { "pull" } else { "issues" };
        let html = self.html(&format!("{key}/{page}/{}", issue.number));
        let mut shown = json!({
            "id": issue.id, "node_id": node("I", issue.id), "url": api,
            "repository_url": self.api(&format!("repos/{key}")), "labels_url": format!("{api}/labels{{/name}}"),
            "comments_url": format!("{api}/comments"), "events_url": format!("{api}/events"), "html_url": html,
            "number": issue.number, "state": if issue.open { "open" } else { "closed" },
            "state_reason": issue.state_reason, "title": issue.title, "body": issue.body,
            "user": self.user(&issue.author), "labels": self.labels(repository, issue),
            "assignee": assignees.get(0).cloned().unwrap_or_default(), "assignees": assignees, "milestone": null,
            "locked": issue.locked, "active_lock_reason": issue.lock_reason, "comments": issue.comments.len(),
            "closed_at": issue.closed_at, "created_at": issue.created_at, "updated_at": issue.updated_at,
            "author_association": self.association(repository, &issue.author),
            "closed_by": self.maybe_user(issue.closed_by.as_deref()), "reactions": Self::reactions(&api),
            "timeline_url": format!("{api}/timeline"), "performed_via_github_app": null,
        });
        if let Some(pull) = &issue.pull {
            let url = self.api(&format!("repos/{key}/pulls/{}", issue.number));
            shown["draft"] = pull.draft.into();
            shown["pull_request"] = json!({
                "url": url, "html_url": html, "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"),
                "merged_at": pull.merged.as_ref().map(|merged| merged.at),
            });
        }
        shown
    }

    pub(crate) fn comment(&self, repository: &Repository, number: u64, comment: &Comment) -> Value {
        let key = repository.key();
        let api = self.api(&format!("repos/{key}/issues/comments/{}", comment.id));
        let page = if repository.issues[&number].pull.is_some() { "pull" } else { "issues" };
        json!({
            "id": comment.id, "node_id": node("IC", comment.id), "url": api,
            "html_url": self.html(&format!("{key}/{page}/{number}#issuecomment-{}", comment.id)),
            "body": comment.body, "user": self.user(&comment.author), "created_at": comment.created_at,
            "updated_at": comment.updated_at, "issue_url": self.api(&format!("repos/{key}/issues/{number}")),
            "author_association": self.association(repository, &comment.author), "reactions": Self::reactions(&api),
            "performed_via_github_app": null,
        })
    }

    fn pull_side(&self, key: &str, branch: &str, sha: &str) -> Value {
        let owner = key.split_once('/').map_or(key, |(owner, _)| owner);
        let repository =
            self.state.repositories.get(key).map_or(Value::Null, |found| self.repository(found, None));
        json!({
            "label": format!("{owner}:{branch}"), "ref": branch, "sha": sha, "user": self.user(owner),
            "repo": repository,
        })
    }

    /// A pull request as in lists.
    pub(crate) fn pull_simple(&self, repository: &Repository, issue: &Issue) -> Value {
        let Some(pull) = &issue.pull else {
            return Value::Null;
        };
        let key = repository.key();
        let number = issue.number;
        let api = self.api(&format!("repos/{key}/pulls/{number}"));
        let html = self.html(&format!("{key}/pull/{number}"));
        let issue_url = self.api(&format!("repos/{key}/issues/{number}"));
        let statuses = self.api(&format!("repos/{key}/statuses/{}", pull.head));
        let comments = format!("{issue_url}/comments");
        let remarks = format!("{api}/comments");
        let remark = self.api(&format!("repos/{key}/pulls/comments{{/number}}"));
        let commits = format!("{api}/commits");
        let assignees = self.users(&issue.assignees);
        let organization = self.state.organizations.get(&repository.owner);
        let teams: Vec<Value> = pull
            .requested_teams
            .iter()
            .filter_map(|slug| organization.and_then(|known| Some(self.team(known, known.teams.get(slug)?))))
            .collect();
        let mut shown = json!({
            "url": api, "id": issue.id, "node_id": node("PR", issue.id), "html_url": html,
            "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"), "issue_url": issue_url,
            "commits_url": commits, "review_comments_url": remarks, "review_comment_url": remark,
            "comments_url": comments, "statuses_url": statuses, "number": number,
            "state": if issue.open { "open" } else { "closed" }, "locked": issue.locked, "title": issue.title,
            "user": self.user(&issue.author), "body": issue.body, "labels": self.labels(repository, issue),
            "milestone": null, "active_lock_reason": issue.lock_reason, "created_at": issue.created_at,
            "updated_at": issue.updated_at, "closed_at": issue.closed_at,
        });
        extend(
            &mut shown,
            json!({
                "merged_at": pull.merged.as_ref().map(|merged| merged.at),
                "merge_commit_sha": pull.merged.as_ref().map(|merged| &merged.commit),
                "assignee": assignees.get(0).cloned().unwrap_or_default(), "assignees": assignees,
                "requested_reviewers": self.users(&pull.requested_users), "requested_teams": teams,
                "head": self.pull_side(&pull.head_repository, &pull.head_branch, &pull.head),
                "base": self.pull_side(&key, &pull.base_branch, &pull.base),
                "_links": {
                    "self": {"href": api}, "html": {"href": html}, "issue": {"href": issue_url},
                    "comments": {"href": comments}, "review_comments": {"href": remarks},
                    "review_comment": {"href": remark}, "commits": {"href": commits}, "statuses": {"href": statuses},
                },
                "author_association": self.association(repository, &issue.author), "auto_merge": null,
                "draft": pull.draft,
            }),
        );
        shown
    }

    pub(crate) fn review(&self, repository: &Repository, number: u64, review: &Review) -> Value {
        let key = repository.key();
        let pull = self.api(&format!("repos/{key}/pulls/{number}"));
        let html = self.html(&format!("{key}/pull/{number}#pullrequestreview-{}", review.id));
        json!({
            "id": review.id, "node_id": node("PRR", review.id), "user": self.user(&review.author),
            "body": review.body, "state": review.state.name(), "html_url": html, "pull_request_url": pull,
            "author_association": self.association(repository, &review.author),
            "_links": {"html": {"href": html}, "pull_request": {"href": pull}},
            "submitted_at": review.submitted_at, "commit_id": review.commit,
        })
    }

    pub(crate) fn remark(&self, repository: &Repository, number: u64, pull: &Pull, remark: &Remark) -> Value {
        let key = repository.key();
        let api = self.api(&format!("repos/{key}/pulls/comments/{}", remark.id));
        let pull_url = self.api(&format!("repos/{key}/pulls/{number}"));
        let html = self.html(&format!("{key}/pull/{number}#discussion_r{}", remark.id));
        let mut shown = json!({
            "url": api, "pull_request_review_id": remark.review, "id": remark.id, "node_id": node("PRRC", remark.id),
            "diff_hunk": "@@", "path": remark.path, "commit_id": pull.head, "original_commit_id": remark.commit,
            "user": self.user(&remark.author), "body": remark.body, "created_at": remark.created_at,
            "updated_at": remark.created_at, "html_url": html, "pull_request_url": pull_url,
            "author_association": self.association(repository, &remark.author),
            "_links": {"self": {"href": api}, "html": {"href": html}, "pull_request": {"href": pull_url}},
            "reactions": Self::reactions(&api), "side": "RIGHT", "subject_type": "line",
        });
        if let Some(line) = remark.line {
            shown["line"] = line.into();
            shown["original_line"] = line.into();
        }
        if let Some(parent) = remark.reply_to {
            shown["in_reply_to_id"] = parent.into();
        }
        shown
    }

    pub(crate) fn git_commit(&self, key: &str, commit: &git2::Commit<'_>) -> Value {
        let api = self.api(&format!("repos/{key}/git"));
        let sha = commit.id();
        let parents: Vec<Value> = commit
            .parent_ids()
            .map(|parent| {
                json!({
                    "sha": parent.to_string(), "url": format!("{api}/commits/{parent}"),
                    "html_url": self.html(&format!("{key}/commit/{parent}")),
                })
            })
            .collect();
        json!({
            "sha": sha.to_string(), "node_id": format!("C_{sha}"), "url": format!("{api}/commits/{sha}"),
            "html_url": self.html(&format!("{key}/commit/{sha}")), "author": signature(&commit.author()),
            "committer": signature(&commit.committer()),
            "tree": {"sha": commit.tree_id().to_string(), "url": format!("{api}/trees/{}", commit.tree_id())},
            "message": objects::shown_message(commit), "parents": parents, "verification": verification(commit),
        })
    }

    /// The commit as lists show it, with the users whose mail it carries.
    pub(crate) fn commit(&self, key: &str, commit: &git2::Commit<'_>) -> Value {
        let api = self.api(&format!("repos/{key}"));
        let sha = commit.id();
        let mapped = |signature: &Signature<'_>| {
            let user = self.state.user_of_email(&objects::email(signature));
            user.map_or(Value::Null, |user| self.user(&user.login))
        };
        let parents: Vec<Value> = commit
            .parent_ids()
            .map(|parent| {
                json!({
                    "sha": parent.to_string(), "url": format!("{api}/commits/{parent}"),
                    "html_url": self.html(&format!("{key}/commit/{parent}")),
                })
            })
            .collect();
        json!({
            "sha": sha.to_string(), "node_id": format!("C_{sha}"),
            "commit": {
                "author": signature(&commit.author()), "committer": signature(&commit.committer()),
                "message": objects::shown_message(commit),
                "tree": {"sha": commit.tree_id().to_string(), "url": format!("{api}/git/trees/{}", commit.tree_id())},
                "url": format!("{api}/git/commits/{sha}"), "comment_count": 0, "verification": verification(commit),
            },
            "url": format!("{api}/commits/{sha}"), "html_url": self.html(&format!("{key}/commit/{sha}")),
            "comments_url": format!("{api}/commits/{sha}/comments"), "author": mapped(&commit.author()),
            "committer": mapped(&commit.committer()), "parents": parents,
        })
    }

    pub(crate) fn app(&self, login: &str) -> Value {
        let slug = login.trim_end_matches("[bot]");
        let (Some(app), Some(id)) = (self.state.users.get(login), super::rules::app_id(self.state, login))
        else {
            return Value::Null;
        };
        json!({
            "id": id, "slug": slug, "node_id": node("A", id), "owner": self.user(login), "name": slug,
            "description": "", "external_url": self.html(&format!("apps/{slug}")),
            "html_url": self.html(&format!("apps/{slug}")), "created_at": app.created_at,
            "updated_at": app.created_at, "permissions": {"checks": "write"}, "events": [],
        })
    }

    pub(crate) fn check_run(&self, repository: &Repository, run: &CheckRun) -> Value {
        let api = self.api(&format!("repos/{}/check-runs/{}", repository.key(), run.id));
        let html = self.html(&format!("{}/runs/{}", repository.key(), run.id));
        let pulls = repository.issues.values().filter_map(|issue| Some((issue, issue.pull.as_ref()?)));
        let pulls: Vec<Value> = pulls
            .filter(|(issue, pull)| issue.open && pull.head == run.head)
            .map(|(issue, pull)| {
                let url = self.api(&format!("repos/{}", repository.key()));
                let this = json!({"id": repository.id, "url": url, "name": repository.name});
                json!({
                    "id": issue.id, "number": issue.number, "url": format!("{url}/pulls/{}", issue.number),
                    "head": {"ref": pull.head_branch, "sha": pull.head, "repo": this},
                    "base": {"ref": pull.base_branch, "sha": pull.base, "repo": this},
                })
            })
            .collect();
        json!({
            "id": run.id, "node_id": node("CR", run.id), "head_sha": run.head, "external_id": run.external_id,
            "url": api, "html_url": html, "details_url": run.details_url.as_ref().unwrap_or(&html),
            "status": run.status, "conclusion": run.conclusion, "started_at": run.started_at,
            "completed_at": run.completed_at,
            "output": {
                "title": run.title, "summary": run.summary, "text": run.text, "annotations_count": 0,
                "annotations_url": format!("{api}/annotations"),
            },
            "name": run.name, "check_suite": {"id": run.suite}, "app": self.app(&run.app), "pull_requests": pulls,
        })
    }

    pub(crate) fn status(&self, repository: &Repository, status: &Status) -> Value {
        json!({
            "url": self.api(&format!("repos/{}/statuses/{}", repository.key(), status.sha)),
            "avatar_url": self.html("avatars/0"), "id": status.id, "node_id": node("SC", status.id),
            "state": status.state, "description": status.description, "target_url": status.target_url,
            "context": status.context, "created_at": status.created_at, "updated_at": status.created_at,
            "creator": self.user(&status.creator),
        })
    }

    pub(crate) fn hook(&self, repository: &Repository, hook: &Hook) -> Value {
        let api = self.api(&format!("repos/{}/hooks/{}", repository.key(), hook.id));
        let mut shown = json!({
            "type": "Repository", "id": hook.id, "name": "web", "active": hook.active, "events": hook.events,
            "config": {
                "content_type": hook.content_type, "insecure_ssl": "0", "url": hook.url,
            },
            "updated_at": hook.created_at, "created_at": hook.created_at, "url": api,
            "test_url": format!("{api}/test"), "ping_url": format!("{api}/pings"),
            "deliveries_url": format!("{api}/deliveries"),
            "last_response": {"code": null, "status": "unused", "message": null},
        });
        if hook.secret.is_some() {
            shown["config"]["secret"] = "********".into();
        }
        shown
    }
}

pub(crate) fn signature(signature: &Signature<'_>) -> Value {
    json!({
        "name": objects::name(signature), "email": objects::email(signature), "date": objects::when(signature),
    })
}

/// Only the forge's own signatures are known to it; anybody else's are as good as none.
fn verification(commit: &git2::Commit<'_>) -> Value {
    match objects::signature_of(commit) {
        Some(signature) => json!({
            "verified": true, "reason": "valid", "signature": signature,
            "payload": String::from_utf8_lossy(commit.raw_header_bytes()), "verified_at": objects::when(&commit.committer()),
        }),
        None => json!({
            "verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null,
        }),
    }
}

/// Adds the fields of one object to another.
pub(crate) fn extend(target: &mut Value, more: Value) {
    if let (Some(target), Value::Object(more)) = (target.as_object_mut(), more) {
        target.extend(more);
    }
}
