//! What do people hear when the forge takes no more of our calls for a while, or refuses what is to be done? One call a request,
//! and only where nothing newer was said: the next pass puts it right.

use super::{
    Key,
    facts::{Answer, Facts, Question},
    message,
    step::{CHECK, Call},
};
use crate::domain::{Comment, Issue, Known, Pull, PullState, RepoName, RequestId, Timestamp};

/// What the check is about where there is none yet.
const CHECK_KEY: &str = "waits";

/// The call that says that `key` waits, if there is something to say it on.
pub fn postponed(facts: &Facts, key: &Key, seconds: u64) -> Option<Call> {
    let (Some(Answer::Now(now)), Some(Answer::Here(here))) =
        (facts.get(&Question::Now), facts.get(&Question::Here))
    else {
        return None;
    };
    let until = Timestamp::from_seconds(now.seconds() + i64::try_from(seconds).ok()?);
    said(facts, &here.catalog, key, &message::waits_for_the_forge(&hour_and_minute(until)))
}

/// The call that says why what is to be done about `key` could not be done, if that is not said already.
pub fn refused(facts: &Facts, key: &Key, why: &str) -> Option<Call> {
    let Some(Answer::Here(here)) = facts.get(&Question::Here) else { return None };
    said(facts, &here.catalog, key, &message::waits_for_another_try(why))
}

fn said(facts: &Facts, catalog: &RepoName, key: &Key, waits: &str) -> Option<Call> {
    match key {
        Key::Issue(number) => match facts.get(&Question::Issue(*number)) {
            Some(Answer::Issue(Some(issue))) => on_issue(catalog, issue, waits),
            _ => None,
        },
        Key::Pull(number) => match facts.get(&Question::Pull(*number)) {
            Some(Answer::Pull(Some(pull))) if pull.state == PullState::Open => on_check(catalog, pull, waits),
            _ => None,
        },
        Key::Request(id) => in_comment(facts, catalog, id, waits),
        Key::Timers => None,
    }
}

/// `2026-11-24T14:05:00Z` is 14:05.
fn hour_and_minute(time: Timestamp) -> String {
    time.to_string().chars().skip(11).take(5).collect()
}

fn on_issue(catalog: &RepoName, issue: &Issue, waits: &str) -> Option<Call> {
    let said =
        issue.comments.iter().any(|comment| message::marker_of(&comment.body) == message::issue_marker());
    (!said).then(|| Call::Say {
        repository: catalog.clone(),
        number: issue.number,
        body: format!("{}\n### Waits for the forge\n\nThis {waits}.\n", message::issue_marker()),
        comment: None,
    })
}

/// A check that speaks of a plan goes on speaking of it: its time is evidence.
fn on_check(catalog: &RepoName, pull: &Pull, waits: &str) -> Option<Call> {
    let Known::Yes(commits) = &pull.commits else { return None };
    let newest = commits.iter().find(|commit| commit.id == pull.head)?.checks.last();
    let title = match newest {
        Some(check) => format!("{}; {waits}", check.title.split("; waits: ").next().unwrap_or_default()),
        None => waits.to_owned(),
    };
    if newest.is_some_and(|check| check.title == title) {
        return None;
    }
    Some(Call::Check {
        repository: catalog.clone(),
        commit: pull.head,
        name: CHECK.to_owned(),
        external_id: newest.map_or(CHECK_KEY, |check| &check.external_id).to_owned(),
        conclusion: newest.and_then(|check| check.conclusion),
        title,
        summary: "It goes on by itself with the next pass after that.".to_owned(),
        text: None,
        run: newest.map(|check| check.id),
    })
}

/// The comment about a merged request is on its pull request.
fn in_comment(facts: &Facts, catalog: &RepoName, id: &RequestId, waits: &str) -> Option<Call> {
    let about = |comment: &&Comment| message::request_of(&comment.body).as_ref() == Some(id);
    let pulls = facts.questions().into_iter().flat_map(|question| match facts.get(question) {
        Some(Answer::Pull(Some(pull))) => vec![pull],
        Some(Answer::Pulls(pulls)) => pulls.iter().collect(),
        _ => Vec::new(),
    });
    let (pull, comment) = pulls
        .filter(|pull| pull.repository == *catalog)
        .find_map(|pull| Some((pull, pull.comments.iter().find(about)?)))?;
    let said = comment.body.split("\n\n> This waits: ").next().unwrap_or_default().trim_end();
    let body = format!("{said}\n\n> This {waits}.\n");
    (body.trim_end() != comment.body.trim_end()).then(|| Call::Say {
        repository: catalog.clone(),
        number: pull.number,
        body,
        comment: Some(comment.id),
    })
}
