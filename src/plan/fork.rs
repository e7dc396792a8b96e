//! What becomes of a pull request from a fork? Its plan could not be put on its branch, so it is
//! treated like an issue: what it asks is data, which becomes a pull request of ours, and it is
//! closed with a link. A request with mistakes gets one comment.

use std::collections::BTreeMap;

use crate::{
    catalog::{self, values::Segment},
    domain::{Attribution, Diagnostic, Known, Login, Place, Pull, RepoPath, RequestId, Stage},
    plan::{
        Decision, admit,
        adopt::{self, Asking, Missing},
        build::Site,
        execute,
        facts::{DiffEntry, Looked},
        message, read, say,
        step::{Call, Step},
    },
};

/// The request that a pull request from a fork stands for.
fn request_id(pull: &Pull) -> RequestId {
    format!("{}/pull-{}", pull.created_at.year_and_month(), pull.number)
        .parse()
        .expect("a date and a number make an identifier")
}

/// Who asked: the author, whose commits all of it must be.
fn requester(pull: &Pull) -> Result<Login, String> {
    let Some(author) = &pull.author else { return Err("the account of the requester is gone".into()) };
    match &pull.commits {
        Known::Unknown(why) => Err(format!("the commits could not be read: {why}")),
        Known::Yes(commits) => {
            for person in commits.iter().flat_map(|commit| &commit.people) {
                match person {
                    Attribution::Forge => {}
                    Attribution::Account(login) if login == author => {}
                    Attribution::Account(login) => {
                        return Err(format!("a commit names `{login}`, who did not open the pull request"));
                    }
                    Attribution::Unknown(mail) => {
                        return Err(format!("a commit names `{mail}`, whom the forge does not know"));
                    }
                }
            }
            Ok(author.clone())
        }
    }
}

type Files<'a> = BTreeMap<String, &'a DiffEntry>;

pub(super) fn decide(
    site: &Site<'_>,
    pull: &Pull,
    groups: &BTreeMap<String, Files<'_>>,
    others: &[&RepoPath],
) -> Looked<Decision> {
    let id = request_id(pull);
    if let Some(Err(why)) = execute::recorded(site, &id)? {
        return Ok(Decision::waiting(why));
    }
    let ours = match adopt::pull(site, &id)? {
        Ok(ours) => ours,
        Err(why) => return Ok(Decision::waiting(why)),
    };
    let close = |ours: &Pull| {
        let reference = read::reference(&site.here.catalog, ours.number);
        let mut steps = say(&site.here.catalog, pull.number, &pull.comments, message::fork_taken(&reference));
        // Closed only when it is said, and doubles could be seen.
        if steps.is_empty() {
            let repository = site.here.catalog.clone();
            steps.push(Step::Call(Call::ClosePull { repository, number: pull.number }));
        }
        Ok(Decision { steps, ..Decision::nothing() })
    };
    // What became of it once does not change when the fork moves on.
    if let Some(ours) = ours {
        return close(ours);
    }
    let invalid = |problems: &[Diagnostic]| {
        let body = message::fork_mistakes(problems);
        Decision {
            stages: [(id.clone(), Stage::Invalid)].into(),
            steps: say(&site.here.catalog, pull.number, &pull.comments, body),
            ..Decision::nothing()
        }
    };
    if pull.draft {
        return Ok(Decision { stages: [(id.clone(), Stage::Invalid)].into(), ..Decision::nothing() });
    }
    let (request, file, document) = match only_request(site, pull, groups, others)? {
        Ok(found) => found,
        Err(problems) => return Ok(invalid(&problems)),
    };
    let whole = document.place(&[]);
    let people = match requester(pull) {
        Ok(requester) => [requester].into(),
        Err(why) => {
            let problem = Diagnostic::error("requester-unknown", whole, why);
            return Ok(invalid(&[
                problem.help("commit it alone, with a mail address that your account on the forge knows")
            ]));
        }
    };
    let action =
        match admit::action(site.definitions, &file.action, document.place(&[Segment::Key("action".into())]))
        {
            Ok(action) => action,
            Err(problem) => return Ok(invalid(&[problem])),
        };
    let allowed = admit::may_ask(site, action, &people, &whole);
    let planned = admit::admit(site, &id, &file, &people, &|path: &[Segment]| document.place(path));
    if let Err(problem) = allowed? {
        return Ok(invalid(&[problem]));
    }
    let built = match planned? {
        Ok(built) => built,
        Err(problems) => return Ok(invalid(&problems)),
    };
    if built.is_noop() {
        let problem =
            Diagnostic::error("nothing-to-change", whole, "nothing would change: it is as asked already");
        return Ok(invalid(&[problem.help("close this, or ask for something else")]));
    }
    let asking = Asking {
        id: &id,
        request,
        built: &built,
        source: format!("#{}", pull.number),
        title: &pull.title,
        note: ", as it stood there when this was opened.",
        at: pull.created_at,
    };
    let stages = [(id.clone(), Stage::WaitingForApproval)].into();
    Ok(match adopt::missing(site, &asking, None)? {
        Missing::Step(step) => Decision { stages, steps: vec![step], ..Decision::nothing() },
        Missing::Nothing | Missing::Unclear => Decision {
            stages,
            waits: vec![format!("the branch of `{id}` could not be looked at")],
            ..Decision::nothing()
        },
    })
}

type Asked = (Vec<u8>, crate::domain::RequestFile, catalog::yaml::Document);

/// The one request in the pull request, if there is nothing else.
fn only_request(
    site: &Site<'_>,
    pull: &Pull,
    groups: &BTreeMap<String, Files<'_>>,
    others: &[&RepoPath],
) -> Looked<Result<Asked, Vec<Diagnostic>>> {
    let folder = &site.definitions.settings.folders.requests;
    let single = match (groups.iter().next(), groups.len(), others) {
        (Some((name, files)), 1, []) if files.len() == 1 && files.contains_key("request.yaml") => name,
        _ => {
            let problem = Diagnostic::error(
                "from-a-fork",
                Place::file(folder.as_str()),
                "a pull request from a fork holds one request.yaml and nothing else",
            );
            return Ok(Err(vec![
                problem.help("ask for one thing in each, or push the branch to this repository"),
            ]));
        }
    };
    let source = format!("{folder}/{single}/request.yaml");
    let unreadable =
        |why: &str| {
            let problem = Diagnostic::error("request-unreadable", Place::file(source.as_str()), why);
            Ok(Err(vec![problem.help(
                "name the folder in lower-case letters, digits, - and _, with a file request.yaml in it",
            )]))
        };
    let Ok(path) = source.parse::<RepoPath>() else { return unreadable("the folder cannot be used") };
    let bytes = match site.look.file(&site.here.catalog, pull.head, &path)? {
        Ok(Some(file)) => file.bytes.clone(),
        Ok(None) => return unreadable("there is no such file any more"),
        Err(why) => return unreadable(&format!("the request could not be read: {why}")),
    };
    Ok(match catalog::read_request(&path, &bytes) {
        Ok((file, document)) => Ok((bytes.to_vec(), file, document)),
        Err(problems) => Err(problems),
    })
}
