//! What waits in a merge queue, and how is something put there? Only GraphQL tells and does it:
//! <https://docs.github.com/graphql/reference/objects#mergequeue>.

use std::sync::Arc;

use hyper::Method;
use serde_json::{Value, json};

use super::{
    act::judge,
    client::Writer,
    graph::{read_checks, with_statuses},
    look::Known,
};
use crate::{
    domain::{Login, ObjectId, RepoName},
    plan::{
        facts::{Group, Queued},
        step::Acted,
    },
};

/// How many of those that wait are looked at. The forge tries fewer at once, and what stands behind moves up.
const MOST_ENTRIES: usize = 25;

/// What is asked of a repository; `branch` is quoted, `checks` is what is read of a commit's checks.
pub(super) fn selection(branch: &str, checks: &str, is_one_token: bool) -> String {
    let checks = with_statuses(checks, is_one_token);
    format!(
        "mergeQueue(branch: {branch}) {{ entries(first: {MOST_ENTRIES}) {{ nodes {{ position pullRequest {{ number }} \
         baseCommit {{ oid }} headCommit {{ oid {checks} }} }} }} }}"
    )
}

/// The pull requests that wait, first come first; none where there is no queue.
pub(super) fn read(mut node: Value, me: &Login) -> Known<Option<Arc<Vec<Queued>>>> {
    if node.is_null() {
        return Ok(None);
    }
    let Some(nodes) = node["entries"]["nodes"].as_array_mut() else {
        return Err("the forge does not give the merge queue".to_owned());
    };
    let mut found = Vec::new();
    for node in nodes.iter_mut().filter(|node| !node.is_null()) {
        let (Some(position), Some(number)) =
            (node["position"].as_i64(), node["pullRequest"]["number"].as_u64())
        else {
            return Err("the forge does not say which pull requests wait in the merge queue".to_owned());
        };
        let id = |node: &Value| -> Option<ObjectId> { node["oid"].as_str()?.parse().ok() };
        let group = match (id(&node["baseCommit"]), id(&node["headCommit"])) {
            (Some(base), Some(head)) => {
                Some(Group { base, head, checks: read_checks(node["headCommit"].take(), me)? })
            }
            _ => None,
        };
        found.push((position, Queued { number, group }));
    }
    found.sort_by_key(|(position, _)| *position);
    Ok(Some(Arc::new(found.into_iter().map(|(_, queued)| queued).collect())))
}

const ENQUEUE: &str = "mutation($id: ID!, $head: GitObjectID!) { \
    enqueuePullRequest(input: { pullRequestId: $id, expectedHeadOid: $head }) { mergeQueueEntry { id } } }";

impl Writer {
    /// Puts a pull request into the queue of its base, if its head is still this commit.
    pub(super) async fn enqueue(&self, repository: &RepoName, number: u64, head: &ObjectId) -> Acted {
        let path = format!("/pulls/{number}");
        let reply = self.send(repository, Method::GET, &path, &Value::Null).await;
        let shown = match reply.and_then(|reply| reply.success()?.json()) {
            Ok(shown) => shown,
            Err(error) => return judge(Err(error), &|_| false),
        };
        let Some(id) = shown["node_id"].as_str() else {
            return Acted::Failed(format!("the forge does not give the id of #{number}"));
        };
        let variables = json!({ "id": id, "head": head.to_string() });
        let answer = match self.mutate(repository, ENQUEUE, &variables).await {
            Ok(answer) => answer,
            Err(error) => return judge(Err(error), &|_| false),
        };
        let errors = answer["errors"].as_array();
        let words: Vec<&str> =
            errors.into_iter().flatten().filter_map(|error| error["message"].as_str()).collect();
        match words.as_slice() {
            [] if !answer["data"]["enqueuePullRequest"].is_null() => Acted::Done,
            [] => Acted::Failed("the forge does not say whether it was put into the merge queue".to_owned()),
            words if words.iter().any(|word| word.contains("already in the queue")) => Acted::Done,
            words => Acted::Refused(format!("the merge queue does not take #{number}: {}", words.join("; "))),
        }
    }
}
