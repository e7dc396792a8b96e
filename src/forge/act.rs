//! How does the forge carry out a call? Each call is sent once, and its answer is one of three:
//! done (now or before), refused because the world is otherwise, or failed.

use hyper::Method;
use serde_json::{Value, json};
use tracing::info;

use super::{
    client::{ForgeError, Writer, encode},
    reply::Reply,
};
use crate::{
    domain::{CheckId, CheckRun, Conclusion, Login, ObjectId, RepoName},
    plan::step::{Acted, CHECK, Call},
};

impl Writer {
    /// Carries out one call.
    pub async fn act(&self, catalog: &RepoName, call: &Call) -> Acted {
        let acted = match call {
            Call::OpenPull { repository, branch, base, title, body, draft } => {
                let mut body =
                    json!({ "title": title, "head": branch.as_str(), "base": base.as_str(), "body": body });
                if *draft {
                    body["draft"] = true.into();
                }
                let mut reply = self.send(repository, Method::POST, "/pulls", &body).await;
                // Not every plan of the forge has drafts in private repositories.
                if matches!(&reply, Ok(reply) if *draft && reply.status == 422 && reply.words().contains("Draft pull requests are not supported"))
                {
                    body["draft"] = false.into();
                    reply = self.send(repository, Method::POST, "/pulls", &body).await;
                }
                judge(reply, &|reply| reply.status == 422 && reply.words().contains("already exists"))
            }
            Call::ClosePull { repository, number } => {
                let path = format!("/pulls/{number}");
                judge(
                    self.send(repository, Method::PATCH, &path, &json!({ "state": "closed" })).await,
                    &|_| false,
                )
            }
            Call::DropBranch { repository, branch } => {
                let path = format!("/git/refs/heads/{branch}");
                judge(self.send(repository, Method::DELETE, &path, &Value::Null).await, &|reply| {
                    reply.status == 404 || reply.status == 422
                })
            }
            Call::Merge { repository, number, head } => {
                self.merge(repository, &format!("/pulls/{number}/merge"), &head.to_string()).await
            }
            Call::Enqueue { repository, number, head } => self.enqueue(repository, *number, head).await,
            Call::AskReviewers { repository, number, users, teams } => {
                self.ask(repository, &format!("/pulls/{number}/requested_reviewers"), users, teams).await
            }
            Call::Say { repository, number: _, body, comment: Some(id) } => {
                let path = format!("/issues/comments/{id}");
                judge(self.send(repository, Method::PATCH, &path, &json!({ "body": body })).await, &|_| false)
            }
            Call::Say { repository, number, body, comment: None } => {
                let path = format!("/issues/{number}/comments");
                judge(self.send(repository, Method::POST, &path, &json!({ "body": body })).await, &|_| false)
            }
            Call::Unsay { repository, comment } => {
                let path = format!("/issues/comments/{comment}");
                judge(self.send(repository, Method::DELETE, &path, &Value::Null).await, &|reply| {
                    reply.status == 404
                })
            }
            Call::Check {
                repository,
                commit,
                name,
                external_id,
                conclusion,
                title,
                run: Some(CheckId::Status),
                ..
            } => {
                let said = Said { repository, commit, name, conclusion: *conclusion, title };
                self.set_status(&said, external_id, false).await
            }
            Call::Check { repository, commit, name, external_id, conclusion, title, summary, text, run } => {
                let mut body = json!({
                    "name": name,
                    "external_id": external_id,
                    "output": { "title": title, "summary": summary },
                });
                if let Some(text) = text {
                    body["output"]["text"] = text.as_str().into();
                }
                match conclusion {
                    Some(conclusion) => {
                        body["status"] = "completed".into();
                        body["conclusion"] = conclusion_word(*conclusion).into();
                    }
                    None => body["status"] = "in_progress".into(),
                }
                let (method, path) = match run {
                    Some(CheckId::Run(run)) => (Method::PATCH, format!("/check-runs/{run}")),
                    Some(CheckId::Status) | None => {
                        body["head_sha"] = commit.to_string().into();
                        (Method::POST, "/check-runs".to_owned())
                    }
                };
                let is_new = method == Method::POST;
                let reply = match is_new && self.makes_no_checks(repository) {
                    true => None,
                    false => Some(self.send(repository, method, &path, &body).await),
                };
                // Only Apps make check runs, and only those that were given the permission.
                let refused = match &reply {
                    None => true,
                    Some(reply) => is_new && matches!(reply, Ok(reply) if reply.status == 403),
                };
                match reply {
                    Some(reply) if !refused => judge(reply, &|_| false),
                    _ => {
                        self.note_no_checks(repository);
                        let said = Said { repository, commit, name, conclusion: *conclusion, title };
                        self.set_status(&said, external_id, true).await
                    }
                }
            }
            Call::Label { repository, number, add, remove } => {
                self.label(repository, *number, add, remove).await
            }
            Call::CloseIssue { number, completed } => {
                let reason = if *completed { "completed" } else { "not_planned" };
                let body = json!({ "state": "closed", "state_reason": reason });
                judge(self.send(catalog, Method::PATCH, &format!("/issues/{number}"), &body).await, &|_| {
                    false
                })
            }
        };
        info!(call = name(call), outcome = ?acted, "called the forge");
        acted
    }

    /// Says by commit statuses what a check run would say. What a plan's check stands for is when it first appeared, and a
    /// status that says something else later has another time: so the plan has a status of its own, set once.
    async fn set_status(&self, said: &Said<'_>, external_id: &str, is_new: bool) -> Acted {
        let path = format!("/statuses/{}", said.commit);
        if is_new && said.name == CHECK {
            let body = json!({ "context": PLAN_STATUS, "state": "success", "description": CheckRun::in_short(external_id) });
            let acted = judge(self.send(said.repository, Method::POST, &path, &body).await, &|_| false);
            if acted != Acted::Done {
                return acted;
            }
        }
        let state = match said.conclusion {
            None => "pending",
            Some(Conclusion::Success | Conclusion::Neutral) => "success",
            Some(Conclusion::Failure) => "failure",
            Some(Conclusion::ActionRequired) => "error",
        };
        let description = CheckRun::in_short(said.title);
        let context = if said.name == CHECK { CHECK.to_owned() } else { format!("{CHECK}/{external_id}") };
        let body = json!({ "context": context, "state": state, "description": description });
        judge(self.send(said.repository, Method::POST, &path, &body).await, &|_| false)
    }

    /// Merges in the first way that the repository allows.
    async fn merge(&self, repository: &RepoName, path: &str, head: &str) -> Acted {
        let mut last = Acted::Refused("the repository allows no kind of merge".to_owned());
        for method in ["merge", "squash", "rebase"] {
            let reply = self
                .send(repository, Method::PUT, path, &json!({ "sha": head, "merge_method": method }))
                .await;
            // "Merge commits are not allowed on this repository." and so on.
            let other_way =
                matches!(&reply, Ok(reply) if reply.status == 405 && reply.words().contains("not allowed"));
            last = judge(reply, &|_| false);
            if !other_way {
                break;
            }
        }
        last
    }

    /// Labels that the repository lacks are made in passing.
    async fn label(&self, repository: &RepoName, number: u64, add: &[String], remove: &[String]) -> Acted {
        let path = format!("/issues/{number}/labels");
        if !add.is_empty() {
            let reply = self.send(repository, Method::POST, &path, &json!({ "labels": add })).await;
            let acted = judge(reply, &|_| false);
            if acted != Acted::Done {
                return acted;
            }
        }
        for label in remove {
            let path = format!("{path}/{}", encode(label));
            let reply = self.send(repository, Method::DELETE, &path, &Value::Null).await;
            let acted = judge(reply, &|reply| reply.status == 404);
            if acted != Acted::Done {
                return acted;
            }
        }
        Acted::Done
    }

    /// Asks everybody at once, and each alone when the forge will not have one of them.
    async fn ask(&self, repository: &RepoName, path: &str, users: &[Login], teams: &[String]) -> Acted {
        let all = json!({ "reviewers": users, "team_reviewers": teams });
        let reply = self.send(repository, Method::POST, path, &all).await;
        if !matches!(&reply, Ok(reply) if reply.status == 422) || users.len() + teams.len() < 2 {
            return judge(reply, &|reply| reply.status == 422);
        }
        let single_users = users.iter().map(|user| json!({ "reviewers": [user] }));
        for one in single_users.chain(teams.iter().map(|team| json!({ "team_reviewers": [team] }))) {
            let reply = self.send(repository, Method::POST, path, &one).await;
            let acted = judge(reply, &|reply| reply.status == 422);
            if matches!(acted, Acted::Failed(_) | Acted::Postponed { .. }) {
                return acted;
            }
        }
        Acted::Done
    }
}

/// The status that tells when the check for a plan appeared. Its description is the plan key.
pub(super) const PLAN_STATUS: &str = "chandlery/plan";

/// What a check says.
struct Said<'a> {
    repository: &'a RepoName,
    commit: &'a ObjectId,
    name: &'a str,
    conclusion: Option<Conclusion>,
    title: &'a str,
}

fn conclusion_word(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Success => "success",
        Conclusion::Failure => "failure",
        Conclusion::ActionRequired => "action_required",
        Conclusion::Neutral => "neutral",
    }
}

fn name(call: &Call) -> &'static str {
    match call {
        Call::OpenPull { .. } => "open pull",
        Call::ClosePull { .. } => "close pull",
        Call::DropBranch { .. } => "drop branch",
        Call::Merge { .. } => "merge",
        Call::Enqueue { .. } => "enqueue",
        Call::AskReviewers { .. } => "ask reviewers",
        Call::Say { .. } => "say",
        Call::Unsay { .. } => "unsay",
        Call::Check { .. } => "check",
        Call::Label { .. } => "label",
        Call::CloseIssue { .. } => "close issue",
    }
}

/// What an answer means; `also_done` names the error that means it was done before.
pub(super) fn judge(reply: Result<Reply, ForgeError>, also_done: &dyn Fn(&Reply) -> bool) -> Acted {
    let reply = match reply {
        Ok(reply) => reply,
        Err(ForgeError::Limited { seconds }) => return Acted::Postponed { seconds },
        Err(error) => return Acted::Failed(error.to_string()),
    };
    if (200..300).contains(&reply.status) || also_done(&reply) {
        return Acted::Done;
    }
    let words = format!("the forge answered {} to {}: {}", reply.status, reply.what, reply.words());
    match reply.status {
        401 | 403 => Acted::Failed(format!(
            "{words}; the token may not do this: check who it belongs to and its permissions"
        )),
        404 | 405 | 409 | 410 | 422 => Acted::Refused(words),
        _ => Acted::Failed(words),
    }
}
