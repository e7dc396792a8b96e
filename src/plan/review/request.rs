//! Is one request of a pull request fit to be planned, and what is its plan?

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::Files;
use crate::{
    catalog::{self, values::Segment},
    domain::{Approval, Diagnostic, Login, Place, Pull, RepoPath, RequestId, Stage},
    intake::issue_form,
    plan::{
        admit,
        build::{Built, Planned, Site},
        facts::{Draft, Looked, PlanOf},
        issue, message, people, read, ttl,
    },
};

/// The most requests that one pull request may carry.
const MOST_REQUESTS: usize = 20;

/// One request of an open pull request.
pub(super) struct Asked {
    /// The folder below `requests/`, as written.
    pub(super) name: String,
    /// Its identifier, if that is one.
    pub(super) id: Option<RequestId>,
    pub(super) requesters: BTreeSet<Login>,
    pub(super) planned: Arc<Planned>,
}

impl Asked {
    /// What it would do, or what is wrong with it.
    pub(super) fn plan(&self) -> Result<&Built, &[Diagnostic]> {
        Planned::as_ref(&self.planned).map_err(Vec::as_slice)
    }
}

pub(super) fn stage_of(request: &Asked) -> Stage {
    match request.plan() {
        Err(_) => Stage::Invalid,
        Ok(built) if built.is_noop() => Stage::Noop,
        Ok(_) => Stage::WaitingForApproval,
    }
}

/// Judges every request of a pull request.
pub(super) fn judge_all(
    site: &Site<'_>,
    pull: &Pull,
    groups: &BTreeMap<String, Files<'_>>,
    others: &[&RepoPath],
) -> Looked<Vec<Asked>> {
    let all: Vec<_> =
        groups.iter().map(|(name, files)| judge_request(site, pull, name, files, groups, others)).collect();
    all.into_iter().collect()
}

fn judge_request(
    site: &Site<'_>,
    pull: &Pull,
    name: &str,
    files: &Files<'_>,
    groups: &BTreeMap<String, Files<'_>>,
    others: &[&RepoPath],
) -> Looked<Asked> {
    let folder = &site.definitions.settings.folders.requests;
    let source = Place::file(format!("{folder}/{name}/request.yaml"));
    let nothing = Arc::new(Err(Vec::new()));
    let mut asked = Asked { name: name.to_owned(), id: None, requesters: BTreeSet::new(), planned: nothing };
    let refuse = |asked: Asked, code, message: String, help: &str| {
        let problem = Diagnostic::error(code, source.clone(), message).help(help);
        Ok(Asked { planned: Arc::new(Err(vec![problem])), ..asked })
    };
    let id = match name.parse::<RequestId>() {
        Ok(id) => id,
        Err(problem) => return refuse(asked, "bad-request-id", problem.to_string(), "rename the folder"),
    };
    asked.id = Some(id.clone());
    let is_ours = pull.author.as_ref() == Some(&site.here.me);
    asked.requesters = match admit::requesters(site, pull, &id)? {
        Ok(people) => people,
        Err(why) => return refuse(asked, "requester-unknown", why, "open the request again"),
    };
    if pull.head_branch.is_none() {
        return refuse(
            asked,
            "bad-branch-name",
            "the branch of this pull request has a name that could be taken for something else, so no plan can be committed to it"
                .to_owned(),
            "push it to a branch with a plain name, such as `request/new-cart`, and open another pull request",
        );
    }
    if !others.is_empty() {
        return refuse(
            asked,
            "mixed-change",
            format!("the pull request also changes {}", some_paths(others)),
            "put requests and other changes in pull requests of their own",
        );
    }
    if groups.len() > MOST_REQUESTS {
        return refuse(
            asked,
            "too-many-requests",
            format!("{} requests in one pull request", groups.len()),
            "at most 20",
        );
    }
    if id.is_reserved() && !is_ours {
        return refuse(
            asked,
            "reserved-request-id",
            format!("`{id}` is a name for requests that Chandlery itself opens"),
            "rename the folder",
        );
    }
    if let Some(file) =
        files.keys().find(|file| !matches!(file.as_str(), "request.yaml" | "plan.yaml" | "plan.diff"))
    {
        return refuse(
            asked,
            "surplus-file",
            format!("`{folder}/{id}/{file}` does not belong to a request"),
            "remove it; only Chandlery writes beside request.yaml",
        );
    }
    let path = read::request_path(site.definitions, &id, "request.yaml");
    let spent = files.values().any(|entry| entry.before.is_some());
    let appeared = site.look.appearances(site.catalog, &path);
    // All that the branch holds of it is asked for together.
    for (name, _) in files.iter().filter(|(_, entry)| entry.after.is_some()) {
        let path = read::request_path(site.definitions, &id, name);
        drop(site.look.file(&site.here.catalog, pull.head, &path));
    }
    if spent || matches!(&appeared, Ok(Ok(list)) if !list.is_empty()) {
        return refuse(
            asked,
            "spent-request-id",
            format!("`{id}` was used before: a request is asked once"),
            "ask anew under another name",
        );
    }
    match appeared? {
        Ok(_) => {}
        Err(why) => {
            return refuse(
                asked,
                "history-unreadable",
                format!("the catalog's history could not be read: {why}"),
                "it is tried again on the next pass",
            );
        }
    }
    let of = PlanOf { catalog: site.catalog, head: pull.head, pull: pull.number, id };
    let site = Site { plan: Some(&of), ..*site };
    asked.planned = site.kept(Draft::Whole, || plan(&site, pull, &of.id, &asked.requesters, &source))?;
    Ok(asked)
}

/// The plan of a request whose name is its own, from its file on the branch.
fn plan(
    site: &Site<'_>,
    pull: &Pull,
    id: &RequestId,
    requesters: &BTreeSet<Login>,
    source: &Place,
) -> Looked<Planned> {
    let refuse = |code, message: String, help: &str| {
        Ok(Err(vec![Diagnostic::error(code, source.clone(), message).help(help)]))
    };
    let path = read::request_path(site.definitions, id, "request.yaml");
    let bytes = match site.look.file(&site.here.catalog, pull.head, &path)? {
        Ok(Some(file)) => &file.bytes,
        Ok(None) => {
            let folder = &site.definitions.settings.folders.requests;
            return refuse("no-request-file", format!("`{folder}/{id}` has no request.yaml"), "add it");
        }
        Err(why) => {
            return refuse(
                "request-unreadable",
                format!("the request could not be read: {why}"),
                "it is tried again on the next pass",
            );
        }
    };
    let read = site.kept(Draft::File, || Ok(catalog::read_request(&path, bytes)))?;
    let (file, document) = match &*read {
        Ok((file, document)) => (file, document),
        Err(problems) => return Ok(Err(problems.clone())),
    };
    let place = document.place(&[Segment::Key("action".into())]);
    let action = match admit::action(site.definitions, &file.action, place) {
        Ok(action) => action,
        Err(problem) => return Ok(Err(vec![problem])),
    };
    let allowed = match ttl::asks(site, id, requesters) {
        true => Ok(Ok(())),
        false => admit::may_ask(site, action, requesters, source),
    };
    let is_ours = pull.author.as_ref() == Some(&site.here.me);
    let still_asked = match (is_ours, id.is_ttl()) {
        (true, true) => ttl::moved(site, id, file).map(|moved| match moved {
            Ok(None) => Ok(()),
            Ok(Some(why)) | Err(why) => Err(vec![
                Diagnostic::error("ttl-moved", source.clone(), why)
                    .help("nothing to do: it is looked at again"),
            ]),
        }),
        (true, false) => same_as_issue(site, id, bytes),
        (false, _) => Ok(Ok(())),
    };
    let planned = admit::admit(site, id, file, requesters, &|path: &[Segment]| document.place(path));
    if let Approval::Rules(rules) = &action.approval {
        // Asked early so that they are answered together with the rest.
        for team in rules.iter().flat_map(|rule| &rule.teams) {
            drop(people::members(site.look, site.definitions, site.catalog, team));
        }
    }
    if let Err(problem) = allowed? {
        return Ok(Err(vec![problem]));
    }
    if let Err(problems) = still_asked? {
        return Ok(Err(problems));
    }
    planned
}

/// Whether the branch says what the issue says now.
fn same_as_issue(site: &Site<'_>, id: &RequestId, bytes: &[u8]) -> Looked<Result<(), Vec<Diagnostic>>> {
    let Some(number) = id.issue() else { return Ok(Ok(())) };
    let problem = |message: String| {
        let place = Place::file(format!("issue #{number}"));
        Ok(Err(vec![
            Diagnostic::error("issue-differs", place, message).help("edit the issue; this branch follows it"),
        ]))
    };
    let issue = match site.look.issue(number)? {
        Ok(Some(issue)) => issue,
        Ok(None) => return problem("the issue is gone".into()),
        Err(why) => return problem(format!("the issue could not be read: {why}")),
    };
    if issue::request_id(issue) != *id {
        return problem(format!("the issue is not the one that `{id}` stands for"));
    }
    let reading = issue_form::parse(&issue.body, number, site.definitions);
    match issue::read_form(site, issue, reading)? {
        Ok(file) if issue::request_bytes(&file) == bytes => Ok(Ok(())),
        Ok(_) => problem("the issue was edited and says something else than this branch".into()),
        Err(problems) => Ok(Err(problems)),
    }
}

fn some_paths(paths: &[&RepoPath]) -> String {
    let shown: Vec<String> = paths.iter().take(3).map(|path| message::quoted(path.as_str())).collect();
    let more = paths.len().saturating_sub(3);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}
