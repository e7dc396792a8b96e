//! What becomes of an issue? A good form becomes a pull request on a branch of ours; a bad one
//! gets one comment; when the request has ended, the issue hears of it and is closed.

use std::sync::Arc;

use crate::{
    catalog::values::Segment,
    domain::{
        Branch, Change, Changes, Diagnostic, Issue, Place, Pull, PullState, RequestFile, RequestId, Run,
        Stage,
    },
    intake::issue_form::{self, Reading},
    plan::{
        Decision, admit,
        build::{Built, Site},
        execute,
        facts::Looked,
        message, read, say,
        step::{Call, Commit, Step},
    },
};

/// The request that an issue stands for.
pub(super) fn request_id(issue: &Issue) -> RequestId {
    format!("{}/issue-{}", issue.created_at.year_and_month(), issue.number)
        .parse()
        .expect("a date and a number make an identifier")
}

/// The branch of a request that came from an issue.
pub(super) fn request_branch(id: &RequestId) -> Branch {
    format!("chandlery/request/{}", id.slug()).parse().expect("an identifier makes a branch")
}

pub(super) fn decide(site: &Site<'_>, number: u64) -> Looked<Decision> {
    let issue = match site.look.issue(number)? {
        Ok(Some(issue)) if issue.open => issue,
        Ok(_) => return Ok(Decision::nothing()),
        Err(why) => return Ok(Decision::waiting(format!("issue #{number} could not be read: {why}"))),
    };
    let was_ours =
        issue.comments.iter().any(|comment| message::marker_of(&comment.body) == message::issue_marker());
    let reading = issue_form::parse(&issue.body, number, site.definitions);
    if matches!(reading, Reading::NotAForm) && !was_ours {
        return Ok(Decision::nothing());
    }
    let id = request_id(issue);
    let branch = request_branch(&id);

    // Where it stands already.
    if let Some(run) = execute::recorded(site, &id)? {
        return Ok(match run {
            Ok(run) => ended(site, issue, &id, &run),
            Err(why) => Decision::waiting(why),
        });
    }
    let pulls = match site.look.pulls_from(&site.here.catalog, &branch)? {
        Ok(pulls) => pulls,
        Err(why) => {
            return Ok(Decision::waiting(format!(
                "the pull requests of `{branch}` could not be read: {why}"
            )));
        }
    };
    let ours = pulls.iter().rfind(|pull| pull.author.as_ref() == Some(&site.here.me));
    match ours.map(|pull| pull.state) {
        Some(PullState::Merged) => return Ok(merged(site, issue, &id, ours)),
        Some(PullState::Closed) => return Ok(closed(site, issue, &id, ours)),
        Some(PullState::Open) | None => {}
    }
    if issue.locked {
        return Ok(match ours {
            // The pull request notices that its issue is locked, and closes itself.
            Some(_) => Decision::nothing(),
            None => Decision {
                steps: vec![Step::Call(Call::CloseIssue { number, completed: false })],
                ..Decision::nothing()
            },
        });
    }

    let file = match read_form(site, issue, reading)? {
        Ok(file) => file,
        Err(problems) => return Ok(invalid(site, issue, &id, &problems)),
    };
    let built = match plan(site, issue, &id, &file)? {
        Ok(built) => built,
        Err(problems) => return Ok(invalid(site, issue, &id, &problems)),
    };
    if built.is_noop() {
        let problem = Diagnostic::error(
            "nothing-to-change",
            source(number),
            "nothing would change: it is as asked already",
        )
        .help("close the issue, or ask for something else");
        return Ok(Decision {
            stages: [(id.clone(), Stage::Noop)].into(),
            ..invalid(site, issue, &id, &[problem])
        });
    }

    let stages = [(id.clone(), Stage::WaitingForApproval)].into();
    if let Some(step) = branch_step(site, issue, &id, &branch, &file, &built)? {
        return Ok(Decision { stages, steps: step.into_iter().collect(), ..Decision::nothing() });
    }
    let Some(pull) = ours else {
        let title = format!("{}: {}", built_title(site, &built), one_line(&issue.title, 80));
        let body = format!(
            "Asked in #{number}. This request is `{id}`; edit the issue to change it.\n\nThe comment below says what would change and who must approve.\n"
        );
        let open = Call::OpenPull {
            repository: site.here.catalog.clone(),
            branch,
            base: site.here.branch.clone(),
            title,
            body,
        };
        return Ok(Decision { stages, steps: vec![Step::Call(open)], ..Decision::nothing() });
    };
    let steps = say(
        &site.here.catalog,
        number,
        &issue.comments,
        message::issue_asked(&read::reference(&site.here.catalog, pull.number)),
    );
    Ok(Decision { stages, steps, ..Decision::nothing() })
}

/// What an issue asks, in the words of its form as it is now.
pub(super) fn read_form(
    site: &Site<'_>,
    issue: &Issue,
    reading: Reading,
) -> Looked<Result<RequestFile, Vec<Diagnostic>>> {
    let number = issue.number;
    let file = match reading {
        Reading::Read(file) => file,
        Reading::Wrong(problems) => return Ok(Err(problems)),
        Reading::NotAForm => {
            let problem =
                Diagnostic::error("not-a-form", source(number), "the issue no longer reads as its form");
            return Ok(Err(vec![problem.help("restore the headings of the form, or file a new issue")]));
        }
        Reading::Outdated { action, found, current } => {
            let problem = Diagnostic::error(
                "outdated-form",
                source(number),
                format!(
                    "the form of `{action}` has changed since this issue was filed ({found} is now {current})"
                ),
            );
            return Ok(Err(vec![problem.help("file a new issue with the present form")]));
        }
    };
    let people = match admit::people_of_issue(issue) {
        Ok(people) => people,
        Err(why) => {
            let problem = Diagnostic::error("requester-unknown", source(number), why);
            return Ok(Err(vec![problem.help("file the issue again")]));
        }
    };
    let action = match admit::action(site.definitions, &file.action, source(number)) {
        Ok(action) => action,
        Err(problem) => return Ok(Err(vec![problem])),
    };
    Ok(match admit::may_ask(site, action, &people, &source(number))? {
        Ok(()) => Ok(file),
        Err(problem) => Err(vec![problem]),
    })
}

fn plan(
    site: &Site<'_>,
    issue: &Issue,
    id: &RequestId,
    file: &RequestFile,
) -> Looked<Result<Built, Vec<Diagnostic>>> {
    let Some(defined) = site.definitions.actions.get(&file.action) else {
        return Ok(Err(vec![Diagnostic::error(
            "unknown-action",
            source(issue.number),
            "the action is gone",
        )]));
    };
    let place = issue_form::place_of(&defined.value, issue.number);
    admit::admit(site, id, file, &|path: &[Segment]| place(path))
}

fn source(number: u64) -> Place {
    Place::file(format!("issue #{number}"))
}

/// The bytes of `request.yaml` for what an issue asks.
pub(super) fn request_bytes(file: &RequestFile) -> Vec<u8> {
    let mut document = serde_json::Map::new();
    document.insert("action".into(), file.action.as_str().into());
    if let Some(entity) = &file.entity {
        document.insert("entity".into(), entity.as_str().into());
    }
    document.insert("inputs".into(), serde_json::Value::Object(file.inputs.clone()));
    if let Some(reason) = &file.reason {
        document.insert("reason".into(), reason.as_str().into());
    }
    serde_yaml::to_string(&document).expect("a request is plain data").into_bytes()
}

/// The commit that makes the branch say what the issue says, if it does not yet. `Some(None)` waits.
fn branch_step(
    site: &Site<'_>,
    issue: &Issue,
    id: &RequestId,
    branch: &Branch,
    file: &RequestFile,
    built: &Built,
) -> Looked<Option<Option<Step>>> {
    let catalog = &site.here.catalog;
    let Ok(head) = site.look.head(catalog, branch)? else { return Ok(Some(None)) };
    let path = read::request_path(site.definitions, id, "request.yaml");
    let bytes = request_bytes(file);
    if let Some(head) = head {
        match site.look.file(catalog, head, &path)? {
            Ok(Some(found)) if found.bytes.as_ref() == bytes.as_slice() => return Ok(None),
            Ok(_) => {}
            Err(_) => return Ok(Some(None)),
        }
    }
    let mut changes: Changes = [(path, Change::Put(bytes.into()))].into();
    changes.insert(read::request_path(site.definitions, id, "plan.yaml"), Change::Put(built.plan_file()));
    changes.insert(read::request_path(site.definitions, id, "plan.diff"), Change::Put(built.diff_file()));
    let word = if head.is_some() { "Change" } else { "Ask for" };
    Ok(Some(Some(Step::Commit(Commit {
        repository: catalog.clone(),
        branch: branch.clone(),
        expect: head,
        parent: head.unwrap_or(site.catalog),
        changes,
        message: format!("{word} {} as in issue #{}\n\nRequest: {id}\n", file.action, issue.number),
        at: issue.created_at,
    }))))
}

fn built_title(site: &Site<'_>, built: &Built) -> String {
    let action = &built.plan.asked.action;
    site.definitions
        .actions
        .get(action)
        .map_or_else(|| action.to_string(), |defined| defined.value.title.clone())
}

fn one_line(text: &str, longest: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control() && *c != '@').collect();
    if line.chars().count() > longest {
        line.chars().take(longest).chain("…".chars()).collect()
    } else {
        line
    }
}

fn invalid(site: &Site<'_>, issue: &Issue, id: &RequestId, problems: &[Diagnostic]) -> Decision {
    let steps = say(&site.here.catalog, issue.number, &issue.comments, message::issue_mistakes(problems));
    Decision { stages: [(id.clone(), Stage::Invalid)].into(), steps, ..Decision::nothing() }
}

fn merged(site: &Site<'_>, issue: &Issue, id: &RequestId, pull: Option<&Arc<Pull>>) -> Decision {
    let _ = (site, issue, pull);
    // What happens now is decided about the request; when it has ended, its record says so.
    Decision { stages: [(id.clone(), Stage::InProgress)].into(), ..Decision::nothing() }
}

fn closed(site: &Site<'_>, issue: &Issue, id: &RequestId, pull: Option<&Arc<Pull>>) -> Decision {
    let people = admit::people_of_issue(issue).unwrap_or_default();
    let by = pull.and_then(|pull| pull.closed_by.as_ref());
    let taken_back = by.is_none_or(|login| people.contains(login) || *login == site.here.me);
    let stage = if taken_back { Stage::Cancelled } else { Stage::Declined };
    finish(site, issue, id, stage, pull.map(|pull| pull.number), None)
}

fn ended(site: &Site<'_>, issue: &Issue, id: &RequestId, run: &Run) -> Decision {
    let pull = run.pull_request.as_ref().map(|pull| pull.number);
    finish(site, issue, id, run.status, pull, run.reason.as_deref())
}

/// Says how it ended, then closes the issue.
fn finish(
    site: &Site<'_>,
    issue: &Issue,
    id: &RequestId,
    stage: Stage,
    pull: Option<u64>,
    reason: Option<&str>,
) -> Decision {
    let reference = pull.map(|number| read::reference(&site.here.catalog, number));
    let body = message::issue_ended(stage, reference.as_deref(), reason);
    let mut steps = say(&site.here.catalog, issue.number, &issue.comments, body);
    // A closed issue is not looked at again, so it is closed only once it says how it ended.
    if steps.is_empty() {
        let completed = matches!(stage, Stage::Success | Stage::Noop);
        steps.push(Step::Call(Call::CloseIssue { number: issue.number, completed }));
    }
    Decision { stages: [(id.clone(), stage)].into(), steps, ..Decision::nothing() }
}
