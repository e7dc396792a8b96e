//! What can be changed by GraphQL and not by REST? Whether a pull request is a draft, and what waits in a merge queue.
//! <https://docs.github.com/graphql/reference/mutations#markpullrequestreadyforreview>

use graphql_parser::query::Selection;

use super::{Fields, Mistake, arguments};
use crate::local_forge::{
    motion::tell_pull,
    queue,
    render::node,
    reply::Call,
    rest::pulls::pull_mut,
    store::{Issue, Permission},
};
use serde_json::{Value, json};

/// Makes the changes that a mutation names, in order; gives the repository and number of each pull request.
pub(super) fn make(
    call: &mut Call<'_>,
    fields: &Fields<'_>,
    variables: &Value,
) -> Result<Vec<(String, u64)>, Mistake> {
    let mut changed = Vec::new();
    for selection in &fields.items {
        let Selection::Field(field) = selection else { continue };
        let draft = field.name == "convertPullRequestToDraft";
        let id = arguments(field, variables).get("input").map(|input| input["pullRequestId"].clone());
        let id = id.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        let unknown =
            || Mistake::not_found(format!("Could not resolve to a node with the global id of '{id}'"));
        let (key, number) = find(call, &id).ok_or_else(unknown)?;
        let actor = call.actor.clone();
        let issue = &call.repository(&key).issues[&number];
        let is_author = actor.as_ref() == Some(&issue.author);
        if !is_author && call.require(&key, Permission::Write).is_err() {
            let (who, what) = (actor.unwrap_or_default(), &field.name);
            let message = format!("{who} does not have the correct permissions to execute `{what}`");
            return Err(Mistake::new(message, json!({ "type": "FORBIDDEN" })));
        }
        if !issue.open {
            let message = "Pull request is closed".to_owned();
            return Err(Mistake::new(message, json!({ "type": "UNPROCESSABLE" })));
        }
        if field.name == "enqueuePullRequest" {
            let writes = call.require(&key, Permission::Write).is_ok();
            let head = arguments(field, variables).get("input").map(|input| input["expectedHeadOid"].clone());
            let head = head.as_ref().and_then(Value::as_str);
            let forbidden = || "you may not add this pull request to the merge queue".to_owned();
            let taken = if writes { queue::enqueue(call, &key, number, head) } else { Err(forbidden()) };
            taken.map_err(|why| Mistake::new(why, json!({ "type": "UNPROCESSABLE" })))?;
            changed.push((key, number));
            continue;
        }
        let at = call.state.stamp();
        let pull = pull_mut(call, &key, number).map_err(|_| unknown())?;
        if pull.draft != draft {
            pull.draft = draft;
            if let Some(issue) = call.repository_mut(&key).issues.get_mut(&number) {
                issue.updated_at = at;
            }
            tell_pull(call, &key, number, if draft { "converted_to_draft" } else { "ready_for_review" });
        }
        changed.push((key, number));
    }
    Ok(changed)
}

/// The pull request with this global id.
fn find(call: &Call<'_>, id: &str) -> Option<(String, u64)> {
    let is_it = |issue: &&Issue| issue.pull.is_some() && node("PR", issue.id) == id;
    call.state.repositories.iter().find_map(|(key, repository)| {
        repository.issues.values().find(is_it).map(|issue| (key.clone(), issue.number))
    })
}
