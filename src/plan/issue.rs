//! What becomes of an issue? A good form becomes a pull request on a branch of ours; a bad one
//! gets one comment; when the request has ended, the issue hears of it and is closed.

use std::sync::Arc;

use crate::{
    catalog::{self, Mode, values::Segment},
    domain::{ActionId, Diagnostic, Issue, Place, Pull, PullState, RequestFile, RequestId, Run, Stage},
    intake::issue_form::{self, Reading},
    plan::{
        Decision, admit,
        adopt::{self, Asking, Missing},
        build::{Built, Site},
        execute,
        facts::{Looked, Pending},
        labels, message, react, read, review, say,
        step::{Call, Step},
    },
};

/// The request that an issue stands for.
pub(super) fn request_id(issue: &Issue) -> RequestId {
    format!("{}/issue-{}", issue.created_at.year_and_month(), issue.number)
        .parse()
        .expect("a date and a number make an identifier")
}

pub(super) fn decide(site: &Site<'_>, number: u64) -> Looked<Decision> {
    let issue = match site.look.issue(number)? {
        Ok(Some(issue)) if issue.open => issue,
        Ok(_) => return Ok(Decision::nothing()),
        Err(why) => return Ok(Decision::waiting(format!("issue #{number} could not be read: {why}"))),
    };
    let mut decision = decide_open(site, issue)?;
    if let Some((id, Stage::Invalid | Stage::WaitingForApproval | Stage::Noop)) =
        decision.stages.first_key_value()
    {
        let id = id.clone();
        let pull = match adopt::pull(site, &id)? {
            Ok(pull) => pull.map(|pull| read::reference(&site.here.catalog, pull.number)),
            Err(why) => return Ok(Decision::waiting(why)),
        };
        let about = react::About {
            number,
            remarks: &issue.remarks,
            comments: &issue.comments,
            last_closed: issue.last_closed,
            requesters: admit::people_of_issue(issue, None).unwrap_or_default(),
            judgements: Vec::new(),
            plan: pull
                .as_ref()
                .map_or_else(|| "this has no plan yet".into(), |pull| format!("{pull} shows it")),
            decline_at: pull,
        };
        match react::react(site, &about)? {
            (answers, None) => decision.steps.extend(answers),
            (_, Some(how)) => {
                let stage = how.stage();
                decision = finish(site, issue, &id, stage, None, Some(&how.reason()));
            }
        }
    }
    let speaks = decision.steps.iter().any(|step| matches!(step, Step::Call(Call::Say { .. })));
    // A closed issue is not looked at again, so this comes before it is closed; and after it was made a request.
    if speaks || decision.steps.iter().all(|step| matches!(step, Step::Call(Call::CloseIssue { .. }))) {
        let label = labels::step(site, number, &issue.labels, decision.stages.values().copied());
        decision.steps.splice(0..0, label);
    }
    Ok(decision)
}

fn decide_open(site: &Site<'_>, issue: &Issue) -> Looked<Decision> {
    let number = issue.number;
    let was_ours =
        issue.comments.iter().any(|comment| message::marker_of(&comment.body) == message::issue_marker());
    let reading = issue_form::parse(&issue.body, number, site.definitions);
    if matches!(reading, Reading::NotAForm) && !was_ours {
        return Ok(Decision::nothing());
    }
    let id = request_id(issue);

    // Where it stands already.
    if let Some(run) = execute::recorded(site, &id)? {
        return Ok(match run {
            Ok(run) => ended(site, issue, &id, &run),
            Err(why) => Decision::waiting(why),
        });
    }
    let ours = match adopt::pull(site, &id)? {
        Ok(ours) => ours,
        Err(why) => return Ok(Decision::waiting(why)),
    };
    match ours {
        Some(pull) if pull.state == PullState::Merged => return merged(site, issue, id, pull),
        Some(pull) if pull.state == PullState::Closed => return closed(site, issue, &id, ours),
        Some(_) | None => {}
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
    if site.definitions.settings.mode == Mode::Observe {
        let action = site.definitions.actions.get(&file.action).map(|defined| &defined.value);
        let requesters = admit::people_of_issue(issue, None).unwrap_or_default();
        let about = message::About {
            id: id.as_str(),
            action,
            requesters: &requesters,
            stage: Stage::WaitingForApproval,
        };
        let body = message::issue_observed(&about, &built);
        let steps = say(&site.here.catalog, number, &issue.comments, body);
        return Ok(Decision { stages, steps, ..Decision::nothing() });
    }
    let asking = Asking {
        id: &id,
        request: request_bytes(&file),
        built: &built,
        source: format!("#{number}"),
        title: &issue.title,
        note: "; edit the issue to change it.",
        at: issue.created_at,
    };
    match adopt::missing(site, &asking, ours)? {
        Missing::Step(step) => return Ok(Decision { stages, steps: vec![step], ..Decision::nothing() }),
        Missing::Unclear => {
            return Ok(Decision {
                stages,
                waits: vec![format!("the branch of `{id}` could not be looked at")],
                ..Decision::nothing()
            });
        }
        Missing::Nothing => {}
    }
    let Some(pull) = ours else { return Ok(Decision { stages, ..Decision::nothing() }) };
    let steps = say(
        &site.here.catalog,
        number,
        &issue.comments,
        message::issue_asked(&read::reference(&site.here.catalog, pull.number)),
    );
    Ok(Decision { stages, steps, ..Decision::nothing() })
}

/// What happens now is decided about the request, and told on its pull request: whoever asked hears the same here. When
/// it has ended, its record says so.
fn merged(site: &Site<'_>, issue: &Issue, id: RequestId, pull: &Pull) -> Looked<Decision> {
    let reference = read::reference(&site.here.catalog, pull.number);
    let comments = review::spoken_of(pull).remove(&id).unwrap_or_default();
    let stage = review::in_progress(&comments);
    let told = comments.first().map_or("", |comment| comment.body.as_str());
    let body = match stage {
        Stage::Denied => message::issue_ended(stage, Some(&reference), None, ""),
        _ => message::issue_in_progress(&reference, told),
    };
    let mut steps = say(&site.here.catalog, issue.number, &issue.comments, body);
    if let Some(merged_at) = pull.merged_at {
        let spoken = react::Spoken {
            number: issue.number,
            remarks: &issue.remarks,
            comments: &issue.comments,
            merged_at,
            pull: Some(&reference),
        };
        let requesters = || Ok(admit::people_of_issue(issue, pull.merged_at).unwrap_or_default());
        steps.extend(react::answers(site, &spoken, None, &requesters)?);
    }
    Ok(Decision { stages: [(id, stage)].into(), steps, ..Decision::nothing() })
}

/// What an issue asks, in the words of its form as it is now.
pub(super) fn read_form(
    site: &Site<'_>,
    issue: &Issue,
    reading: Reading,
) -> Looked<Result<RequestFile, Vec<Diagnostic>>> {
    let number = issue.number;
    let reading = match &reading {
        Reading::Outdated { action, found, .. } => match as_filed(site, issue, action, found)? {
            Ok(Some(older)) => older,
            Ok(None) => reading,
            Err(problem) => return Ok(Err(vec![problem])),
        },
        Reading::NotAForm | Reading::Wrong(_) | Reading::Read(_) => reading,
    };
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
                format!("`{action}` never had the form {found}; its form is {current}"),
            );
            return Ok(Err(vec![problem.help("file a new issue with the present form")]));
        }
    };
    let people = match admit::people_of_issue(issue, None) {
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

/// An issue that was filed before its form changed, read with the form that it was filed with: the action is looked
/// for in the catalog's history. What it asks is then held against the present action, like everything else.
fn as_filed(
    site: &Site<'_>,
    issue: &Issue,
    action: &ActionId,
    form: &str,
) -> Looked<Result<Option<Reading>, Diagnostic>> {
    let unreadable = |why: &str| {
        let message = format!("the older forms of `{action}` could not be looked for: {why}");
        Ok(Err(Diagnostic::error("history-unreadable", source(issue.number), message)
            .help("nothing to do: it is tried again on the next pass")))
    };
    let mut pending = false;
    for ending in ["yaml", "yml", "json"] {
        let Ok(path) = site.definitions.settings.folders.actions.join(&format!("{action}.{ending}")) else {
            continue;
        };
        let versions = match site.look.versions(site.catalog, &path) {
            Err(Pending) => {
                pending = true;
                continue;
            }
            Ok(Err(why)) => return unreadable(&why),
            Ok(Ok(versions)) => versions,
        };
        for blob in versions {
            match site.look.blob(&site.here.catalog, *blob) {
                Err(Pending) => pending = true,
                Ok(Err(why)) => return unreadable(&why),
                Ok(Ok(None)) => {}
                Ok(Ok(Some(bytes))) => {
                    if let Ok(older) = catalog::read_action(&path, bytes)
                        && issue_form::hash(&older) == form
                    {
                        return Ok(Ok(Some(issue_form::parse_as(&issue.body, issue.number, &older))));
                    }
                }
            }
        }
    }
    if pending { Err(Pending) } else { Ok(Ok(None)) }
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
    let people = match admit::people_of_issue(issue, None) {
        Ok(people) => people,
        Err(why) => {
            return Ok(Err(vec![
                Diagnostic::error("requester-unknown", source(issue.number), why)
                    .help("file the issue again"),
            ]));
        }
    };
    admit::admit(site, id, file, &people, &|path: &[Segment]| place(path))
}

fn source(number: u64) -> Place {
    Place::file(format!("issue #{number}"))
}

/// The bytes of `request.yaml` for what an issue asks.
pub fn request_bytes(file: &RequestFile) -> Vec<u8> {
    let mut document = serde_json::Map::new();
    document.insert("action".into(), file.action.as_str().into());
    if let Some(entity) = &file.entity {
        document.insert("entity".into(), entity.as_str().into());
    }
    document.insert("inputs".into(), serde_json::Value::Object(file.inputs.clone()));
    if let Some(reason) = &file.reason {
        document.insert("reason".into(), reason.as_str().into());
    }
    if let Some(login) = &file.on_behalf_of {
        document.insert("onBehalfOf".into(), login.as_str().into());
    }
    serde_yaml::to_string(&document).expect("a request is plain data").into_bytes()
}

fn invalid(site: &Site<'_>, issue: &Issue, id: &RequestId, problems: &[Diagnostic]) -> Decision {
    let contact = site.definitions.settings.contact.as_deref();
    let body = message::issue_mistakes(problems, contact);
    let steps = say(&site.here.catalog, issue.number, &issue.comments, body);
    Decision { stages: [(id.clone(), Stage::Invalid)].into(), steps, ..Decision::nothing() }
}

fn closed(site: &Site<'_>, issue: &Issue, id: &RequestId, pull: Option<&Arc<Pull>>) -> Looked<Decision> {
    if let Some(pull) = pull.filter(|pull| review::has_expired(site, pull, id)) {
        let why = "it waited for people for too long";
        return Ok(finish(site, issue, id, Stage::Expired, Some(pull.number), Some(why)));
    }
    let people = admit::people_of_issue(issue, None).unwrap_or_default();
    let by = pull.and_then(|pull| pull.closed_by.as_ref());
    let said = pull.map_or(Ok(None), |pull| react::how_it_ended(site, pull, &people))?;
    let taken_back = by.is_none_or(|login| people.contains(login) || *login == site.here.me);
    let usual = if taken_back { Stage::Cancelled } else { Stage::Declined };
    let stage = said.as_ref().map_or(usual, react::Ended::stage);
    let reason = said.map(|ended| ended.reason());
    Ok(finish(site, issue, id, stage, pull.map(|pull| pull.number), reason.as_deref()))
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
    let help = execute::who_helps(site, stage);
    let body = message::issue_ended(stage, reference.as_deref(), reason, &help);
    let mut steps = say(&site.here.catalog, issue.number, &issue.comments, body);
    // A closed issue is not looked at again: it is closed last, and not before doubles of a new comment could be seen.
    if !steps.iter().any(|step| matches!(step, Step::Call(Call::Say { comment: None, .. }))) {
        let completed = matches!(stage, Stage::Success | Stage::Noop);
        steps.push(Step::Call(Call::CloseIssue { number: issue.number, completed }));
    }
    Decision { stages: [(id.clone(), stage)].into(), steps, ..Decision::nothing() }
}
