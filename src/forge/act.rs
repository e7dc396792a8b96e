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
    domain::{Conclusion, Login, RepoName},
    plan::step::{Acted, Call},
};

/// The name of our check run.
pub const CHECK: &str = "chandlery";

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
            Call::Merge { repository, number, head } => {
                self.merge(repository, &format!("/pulls/{number}/merge"), &head.to_string()).await
            }
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
            Call::Check { repository, commit, external_id, conclusion, title, summary, run } => {
                let mut body = json!({
                    "name": CHECK,
                    "external_id": external_id,
                    "output": { "title": title, "summary": summary },
                });
                match conclusion {
                    Some(conclusion) => {
                        body["status"] = "completed".into();
                        body["conclusion"] = conclusion_word(*conclusion).into();
                    }
                    None => body["status"] = "in_progress".into(),
                }
                let (method, path) = match run {
                    Some(run) => (Method::PATCH, format!("/check-runs/{run}")),
                    None => {
                        body["head_sha"] = commit.to_string().into();
                        (Method::POST, "/check-runs".to_owned())
                    }
                };
                judge(self.send(repository, method, &path, &body).await, &|_| false)
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
        Call::Merge { .. } => "merge",
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
