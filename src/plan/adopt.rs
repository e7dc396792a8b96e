//! How does something asked elsewhere become a pull request of ours? What an issue or a fork says
//! is data: we put it on a branch of our own, with its plan, and open the pull request.

use std::sync::Arc;

use crate::{
    domain::{Branch, Change, Changes, Pull, PullState, RequestId, Timestamp, masked},
    plan::{
        build::{Built, Site},
        facts::Looked,
        read,
        step::{Call, Commit, Step},
    },
};

/// What was asked, and where.
pub(super) struct Asking<'a> {
    pub(super) id: &'a RequestId,
    /// The bytes of `request.yaml`.
    pub(super) request: Vec<u8>,
    pub(super) built: &'a Built,
    /// Where it was asked, as forges make links of it: `#42`.
    pub(super) source: String,
    /// What people called it.
    pub(super) title: &'a str,
    /// What else the text of the pull request says.
    pub(super) note: &'a str,
    pub(super) at: Timestamp,
}

/// The branch of a request that was asked elsewhere.
pub(super) fn branch(id: &RequestId) -> Branch {
    format!("chandlery/request/{}", id.slug()).parse().expect("an identifier makes a branch")
}

/// Our newest pull request for a request that was asked elsewhere.
///
/// # Errors
/// `Pending` while the answer is awaited; inside, why it is not known.
pub(super) fn pull<'a>(site: &Site<'a>, id: &RequestId) -> Looked<Result<Option<&'a Arc<Pull>>, String>> {
    let branch = branch(id);
    Ok(match site.look.pulls_from(&site.here.catalog, &branch)? {
        Ok(pulls) if let Some(why) = opened_by_others(site, pulls) => Err(why),
        Ok(pulls) => Ok(pulls.iter().rfind(|pull| pull.author.as_ref() == Some(&site.here.me))),
        Err(why) => Err(format!("the pull requests of `{branch}` could not be read: {why}")),
    })
}

/// Why our pull request cannot be opened: somebody else has one open from our branch.
pub(super) fn opened_by_others(site: &Site<'_>, pulls: &[Arc<Pull>]) -> Option<String> {
    let other = pulls
        .iter()
        .find(|pull| pull.state == PullState::Open && pull.author.as_ref() != Some(&site.here.me))?;
    let by = other.author.as_ref().map_or("somebody", |login| login.as_str());
    Some(format!(
        "{} was opened by `{by}` and not by `{}`: act as before, or close it",
        read::reference(&other.repository, other.number),
        site.here.me
    ))
}

/// What is still missing of the pull request: its branch as it was asked, then itself.
pub(super) enum Missing {
    Nothing,
    Step(Step),
    /// It could not be looked at.
    Unclear,
}

/// What comes next to make a pull request of what was asked.
///
/// # Errors
/// `Pending` while answers are awaited.
pub(super) fn missing(site: &Site<'_>, asking: &Asking<'_>, pull: Option<&Arc<Pull>>) -> Looked<Missing> {
    let Asking { id, request, built, source, .. } = asking;
    let (catalog, branch) = (&site.here.catalog, branch(id));
    let Ok(head) = site.look.head(catalog, &branch)? else { return Ok(Missing::Unclear) };
    let path = read::request_path(site.definitions, id, "request.yaml");
    let there = match head {
        None => None,
        Some(head) => match site.look.file(catalog, head, &path)? {
            Ok(found) => found.map(|file| file.bytes.as_ref()),
            Err(_) => return Ok(Missing::Unclear),
        },
    };
    if there != Some(request.as_slice()) {
        let mut changes: Changes = [(path, Change::Put(request.clone().into()))].into();
        changes.insert(read::request_path(site.definitions, id, "plan.yaml"), Change::Put(built.plan_file()));
        changes.insert(read::request_path(site.definitions, id, "plan.diff"), Change::Put(built.diff_file()));
        let word = if head.is_some() { "Change" } else { "Ask for" };
        let action = &built.plan.asked.action;
        return Ok(Missing::Step(Step::Commit(Commit {
            repository: catalog.clone(),
            branch,
            expect: head,
            parent: Some(head.unwrap_or(site.catalog)),
            changes,
            message: format!("{word} {action} as in {source}\n\nRequest: {id}\n"),
            at: asking.at,
        })));
    }
    if pull.is_some() {
        return Ok(Missing::Nothing);
    }
    Ok(Missing::Step(Step::Call(Call::OpenPull {
        repository: catalog.clone(),
        branch,
        base: site.here.branch.clone(),
        title: pull_title(&action_title(site, built), &one_line(asking.title, 80)),
        body: format!(
            "Asked in {source}. This request is `{id}`{}\n\nThe comment below says what would change and who must approve.\n",
            asking.note
        ),
        draft: false,
    })))
}

/// The action and what was written as a title; a form begins that with the action's title already.
fn pull_title(action: &str, written: &str) -> String {
    let rest = written.strip_prefix(action).and_then(|rest| rest.strip_prefix(':')).unwrap_or(written).trim();
    if rest.is_empty() || rest == action { action.to_owned() } else { format!("{action}: {rest}") }
}

fn action_title(site: &Site<'_>, built: &Built) -> String {
    let action = &built.plan.asked.action;
    let defined = site.definitions.actions.get(action);
    defined.map_or_else(|| action.to_string(), |defined| defined.value.title.clone())
}

fn one_line(text: &str, longest: usize) -> String {
    let line = masked(text).split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control() && *c != '@').collect();
    if line.chars().count() > longest {
        line.chars().take(longest).chain("…".chars()).collect()
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::pull_title;

    #[test]
    fn the_actions_title_stands_once() {
        for (written, title) in [
            ("Create a bucket: logs", "Create a bucket: logs"),
            ("logs", "Create a bucket: logs"),
            ("Create a bucket: ", "Create a bucket"),
            ("Create a bucket", "Create a bucket"),
            ("Create a bucketful", "Create a bucket: Create a bucketful"),
        ] {
            assert_eq!(pull_title("Create a bucket", written), title);
        }
    }
}
