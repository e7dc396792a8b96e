//! What shape has what GitHub answers to our queries, as far as we read it?

use serde::Deserialize;

use crate::domain::{Known, Login, ObjectId, Timestamp};

#[derive(Deserialize)]
pub(super) struct Actor {
    pub(super) login: String,
    #[serde(rename = "__typename")]
    pub(super) kind: Option<String>,
}

/// GraphQL leaves `[bot]` away from an App's login, which everything else has.
pub(super) fn login(actor: Option<Actor>) -> Option<Login> {
    let Actor { login, kind } = actor?;
    if kind.as_deref() == Some("Bot") && !login.ends_with("[bot]") {
        return format!("{login}[bot]").parse().ok();
    }
    login.parse().ok()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List<T> {
    #[serde(default = "Vec::new")]
    pub(super) nodes: Vec<Option<T>>,
    pub(super) page_info: Option<PageInfo>,
    /// Why the rest could not be read; put there by `look`.
    pub(super) unknown: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageInfo {
    pub(super) has_next_page: bool,
}

impl<T> List<T> {
    pub(super) fn known(self, what: &str) -> Known<Vec<T>> {
        if let Some(why) = self.unknown {
            return Known::Unknown(why);
        }
        if self.page_info.is_some_and(|page| page.has_next_page) {
            return Known::Unknown(format!("the forge did not give all {what}"));
        }
        Known::Yes(self.nodes.into_iter().flatten().collect())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Oid {
    pub(super) oid: ObjectId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IssueNode {
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) state: String,
    pub(super) locked: bool,
    pub(super) created_at: Timestamp,
    pub(super) last_edited_at: Option<Timestamp>,
    pub(super) author: Option<Actor>,
    pub(super) user_content_edits: Option<List<EditNode>>,
    pub(super) comments: List<CommentNode>,
    pub(super) timeline_items: List<EventNode>,
    pub(super) labels: Option<List<LabelNode>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EditNode {
    pub(super) edited_at: Timestamp,
    pub(super) editor: Option<Actor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommentNode {
    pub(super) url: String,
    pub(super) author: Option<Actor>,
    pub(super) body: String,
    pub(super) created_at: Timestamp,
    pub(super) last_edited_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventNode {
    #[serde(rename = "__typename")]
    pub(super) kind: Option<String>,
    pub(super) actor: Option<Actor>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) previous_review_state: Option<String>,
    pub(super) review: Option<ReviewAddress>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReviewAddress {
    pub(super) url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PullNode {
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) state: String,
    pub(super) is_draft: bool,
    pub(super) author: Option<Actor>,
    pub(super) head_ref_name: String,
    pub(super) head_ref_oid: ObjectId,
    pub(super) head_repository: Option<RepositoryNode>,
    pub(super) base_ref_name: String,
    pub(super) created_at: Timestamp,
    pub(super) closed_at: Option<Timestamp>,
    pub(super) merged_at: Option<Timestamp>,
    pub(super) merged_by: Option<Actor>,
    pub(super) merge_commit: Option<Oid>,
    pub(super) comments: List<CommentNode>,
    pub(super) reviews: Option<List<ReviewNode>>,
    pub(super) timeline_items: List<EventNode>,
    pub(super) commits: List<CommitNode>,
    pub(super) review_requests: Option<List<RequestNode>>,
    pub(super) labels: Option<List<LabelNode>>,
    #[serde(default)]
    pub(super) url: String,
}

#[derive(Deserialize)]
pub(super) struct LabelNode {
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RepositoryNode {
    pub(super) name_with_owner: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReviewNode {
    pub(super) url: String,
    pub(super) author: Option<Actor>,
    pub(super) state: String,
    pub(super) submitted_at: Option<Timestamp>,
    pub(super) commit: Option<Oid>,
}

#[derive(Deserialize)]
pub(super) struct CommitNode {
    pub(super) commit: CommitFields,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommitFields {
    pub(super) oid: ObjectId,
    pub(super) parents: List<Oid>,
    pub(super) committer: Option<GitActor>,
    pub(super) authors: List<GitActor>,
    pub(super) check_suites: Option<List<SuiteNode>>,
    pub(super) status: Option<StatusNode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChecksNode {
    pub(super) check_suites: Option<List<SuiteNode>>,
    pub(super) status: Option<StatusNode>,
}

#[derive(Deserialize)]
pub(super) struct StatusNode {
    pub(super) says: Option<ContextNode>,
    pub(super) plan: Option<ContextNode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContextNode {
    pub(super) created_at: Timestamp,
    pub(super) creator: Option<Actor>,
    pub(super) description: Option<String>,
    pub(super) state: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct GitActor {
    pub(super) email: Option<String>,
    pub(super) user: Option<Actor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SuiteNode {
    pub(super) app: Option<AppNode>,
    pub(super) check_runs: Option<List<RunNode>>,
}

#[derive(Deserialize)]
pub(super) struct AppNode {
    pub(super) slug: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunNode {
    pub(super) url: String,
    pub(super) status: String,
    pub(super) conclusion: Option<String>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) completed_at: Option<Timestamp>,
    pub(super) external_id: Option<String>,
    pub(super) title: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestNode {
    pub(super) requested_reviewer: Option<ReviewerNode>,
}

#[derive(Deserialize)]
pub(super) struct ReviewerNode {
    pub(super) login: Option<String>,
    pub(super) slug: Option<String>,
}
