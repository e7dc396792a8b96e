//! May this be asked, and what would it do? The same for an issue and a request file.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};

use crate::{
    catalog::{Definitions, form, values::Segment},
    domain::{
        Action, ActionId, Diagnostic, EntityId, Execute, Identifier, Known, Login, Permission, Place, Pull,
        RequestFile, RequestId, Search, StepKind, TeamSlug, Timestamp, nearest,
    },
    intake::{self, Accepted, Levels, Lookup, Searched, Sources, form::Filling},
    plan::{
        asking::Asking,
        build::{self, Built, Recipe, Site},
        facts::{Draft, Looked, Pending, all},
        people, policy, read, rules,
    },
};

/// The action of this name.
///
/// # Errors
/// What to tell whoever asked for it.
pub(super) fn action<'a>(
    definitions: &'a Definitions,
    id: &ActionId,
    place: Place,
) -> Result<&'a Action, Diagnostic> {
    if let Some(defined) = definitions.actions.get(id) {
        return Ok(&defined.value);
    }
    if definitions.broken.contains_key(id) {
        return Err(Diagnostic::error(
            "broken-action",
            place,
            format!("the definition of `{id}` has mistakes"),
        )
        .help("the platform team must mend it; `chandlery validate` names them"));
    }
    let problem = Diagnostic::error("unknown-action", place, format!("there is no action `{id}`"));
    let known = definitions.actions.keys().map(ActionId::as_str);
    Err(match nearest(id.as_str(), known.clone()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help(format!(
            "the actions are {}",
            known.map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
        )),
    })
}

/// Checks a request's inputs and plans it.
///
/// # Errors
/// `Pending` while answers are awaited; inside, everything that is wrong.
pub(super) fn admit(
    site: &Site<'_>,
    id: &RequestId,
    file: &RequestFile,
    people: &BTreeSet<Login>,
    place: &dyn Fn(&[Segment]) -> Place,
) -> Looked<Result<Built, Vec<Diagnostic>>> {
    let action = match action(site.definitions, &file.action, place(&[Segment::Key("action".into())])) {
        Ok(action) => action,
        Err(problem) => return Ok(Err(vec![problem])),
    };
    let recipe = Recipe::present(site.definitions, &action.identifier).expect("the action was just found");
    // What it asks is answered together with the rest.
    let _unused = site.kept(Draft::AskedEarly, || ask_early(site, action, people));
    let accepted = site.kept(Draft::Accepted, || accept(site, action, id, file, people, place))?;
    let accepted = match &*accepted {
        Ok(accepted) => accepted,
        Err(problems) => return Ok(Err(problems.clone())),
    };
    let built = match build::build(site, &recipe, accepted, people)? {
        Ok(built) => built,
        Err(problems) => return Ok(Err(problems)),
    };
    let (steps, entities) = (&built.plan.steps, &built.plan.entities);
    let asking = Asking { action, accepted, people, steps, entities };
    let allowed = rules::may_ask_this(site, &asking, &place(&[Segment::Key("action".into())]))?;
    Ok(allowed.map(|()| built).map_err(|problem| vec![problem]))
}

/// Asks early what a plan and its policies will need.
fn ask_early(site: &Site<'_>, action: &Action, requesters: &BTreeSet<Login>) -> Looked<()> {
    let targets = action.steps.iter().filter_map(|step| match &step.does {
        StepKind::PullRequest(pull) => pull.repository.parse().ok(),
        StepKind::Workflow(workflow) => workflow.repository.parse().ok(),
        StepKind::Webhook(_) | StepKind::Script(_) => None,
    });
    all([
        policy::ask_early(site),
        policy::ask_of_people_early(site, requesters),
        all(targets.map(|repository| site.look.repository(&repository))),
    ])
}

/// Accepts a request's inputs. Where what they mean depends on who asks, and several people did, each of them must be
/// able to ask for the same.
pub(super) fn accept(
    site: &Site<'_>,
    action: &Action,
    id: &RequestId,
    file: &RequestFile,
    people: &BTreeSet<Login>,
    place: &dyn Fn(&[Segment]) -> Place,
) -> Looked<Result<Accepted, Vec<Diagnostic>>> {
    let (asks_who, asks_teams) = form::asks_who(action);
    if !asks_who {
        return accept_of(site, action, id, file, None, place);
    }
    let whole = || place(&[Segment::Key("action".into())]);
    let mut pending = false;
    let mut first: Option<(&Login, Accepted)> = None;
    for login in people {
        let user = match user(site, login, asks_teams) {
            Err(Pending) => {
                pending = true;
                continue;
            }
            Ok(Err(why)) => {
                let problem = Diagnostic::error("requester-unknown", whole(), why);
                return Ok(Err(vec![problem.help("it is tried again on the next pass")]));
            }
            Ok(Ok(user)) => user,
        };
        let accepted = match accept_of(site, action, id, file, Some(&user), place) {
            Err(Pending) => {
                pending = true;
                continue;
            }
            Ok(Err(problems)) => return Ok(Err(problems)),
            Ok(Ok(accepted)) => accepted,
        };
        match &first {
            None => first = Some((login, accepted)),
            Some((_, before)) if *before == accepted => {}
            Some((other, _)) => {
                let message =
                    format!("`{other}` and `{login}` both ask, and it means different things for them");
                let problem = Diagnostic::error("requesters-differ", whole(), message);
                return Ok(Err(vec![
                    problem.help("give a value to every input, or let one of them ask alone"),
                ]));
            }
        }
    }
    match first {
        _ if pending => Err(Pending),
        Some((_, accepted)) => Ok(Ok(accepted)),
        None => Ok(Err(vec![nobody_named(action, place)])),
    }
}

/// How the form of an action stands for what was answered so far.
pub(super) fn fill(
    site: &Site<'_>,
    action: &Action,
    file: &RequestFile,
    requester: Option<&Login>,
    place: &dyn Fn(&[Segment]) -> Place,
) -> Looked<Result<Filling, Vec<Diagnostic>>> {
    let (asks_who, asks_teams) = form::asks_who(action);
    let user = match requester.filter(|_| asks_who).map(|login| user(site, login, asks_teams)).transpose()? {
        None if asks_who => return Ok(Err(vec![nobody_named(action, place)])),
        None => None,
        Some(Ok(user)) => Some(user),
        Some(Err(why)) => {
            let place = place(&[Segment::Key("action".into())]);
            let problem = Diagnostic::error("requester-unknown", place, why);
            return Ok(Err(vec![problem.help("try again")]));
        }
    };
    let (mut entity, mut asked) = (|id: &EntityId| lookup(site, id), |wanted| search(site, wanted));
    let mut levels = |id: &EntityId| levels(site, id);
    let mut sources = sources(site, user.as_ref(), &mut entity, &mut asked, &mut levels);
    match intake::form::fill(action, file, place, &mut sources) {
        Err(problems) => Ok(Err(problems)),
        Ok(None) => Err(Pending),
        Ok(Some(filling)) => Ok(Ok(filling)),
    }
}

fn nobody_named(action: &Action, place: &dyn Fn(&[Segment]) -> Place) -> Diagnostic {
    let message = format!("what `{}` asks depends on who asks, and nobody is named", action.identifier);
    Diagnostic::error("requester-unknown", place(&[Segment::Key("action".into())]), message)
        .help("name somebody with `--as LOGIN`")
}

fn sources<'a>(
    site: &'a Site<'_>,
    user: Option<&'a Value>,
    entity: &'a mut dyn FnMut(&EntityId) -> Lookup,
    search: &'a mut dyn FnMut(Search) -> Searched,
    levels: &'a mut dyn FnMut(&EntityId) -> Levels,
) -> Sources<'a> {
    Sources { user, entity, search, levels, secrets: &site.definitions.settings.secrets }
}

fn accept_of(
    site: &Site<'_>,
    action: &Action,
    id: &RequestId,
    file: &RequestFile,
    user: Option<&Value>,
    place: &dyn Fn(&[Segment]) -> Place,
) -> Looked<Result<Accepted, Vec<Diagnostic>>> {
    let (mut entity, mut asked) = (|id: &EntityId| lookup(site, id), |wanted| search(site, wanted));
    let mut levels = |id: &EntityId| levels(site, id);
    let mut sources = sources(site, user, &mut entity, &mut asked, &mut levels);
    match intake::accept(action, id.clone(), file, place, &mut sources) {
        Err(problems) => Ok(Err(problems)),
        Ok(None) => Err(Pending),
        Ok(Some(accepted)) => Ok(Ok(accepted)),
    }
}

/// Whoever asks, as expressions see them.
pub(super) fn user(site: &Site<'_>, login: &Login, with_teams: bool) -> Looked<Result<Value, String>> {
    let built_in = |name: &str| name.parse().expect("a built-in blueprint has a proper name");
    let entity = match login.as_str().parse() {
        Ok(identifier) => {
            let id = EntityId { blueprint: built_in("_user"), identifier };
            match read::entity(site.look, site.definitions, site.catalog, &id)? {
                Ok(entity) => entity,
                Err(why) => return Ok(Err(why)),
            }
        }
        Err(_) => None,
    };
    let mut teams = Vec::new();
    if with_teams {
        let known = match site.look.entities(site.catalog, &built_in("_team"))? {
            Ok(known) => known,
            Err(why) => return Ok(Err(format!("the teams of `{login}` could not be read: {why}"))),
        };
        let mut pending = false;
        for team in known.iter().filter_map(|team| team.as_str().parse::<TeamSlug>().ok()) {
            match people::members(site.look, site.definitions, site.catalog, &team) {
                Err(Pending) => pending = true,
                Ok(Err(why)) => return Ok(Err(why)),
                Ok(Ok(members)) if members.contains(login) => teams.push(team.as_str().to_owned()),
                Ok(Ok(_)) => {}
            }
        }
        if pending {
            return Err(Pending);
        }
    }
    let properties = entity.as_ref().map(|entity| entity.properties.clone()).unwrap_or_default();
    Ok(Ok(json!({
        "login": login.as_str(),
        "identifier": login.as_str(),
        "name": entity.as_ref().and_then(|entity| entity.title.clone()),
        "email": properties.get("email"),
        "teams": teams,
        "teamsIdentifiers": teams,
        "properties": properties,
        "relations": entity.as_ref().map(|entity| entity.relations.clone()).unwrap_or_default(),
    })))
}

/// The entities that queries ask for, as of now where they ask for the time.
fn search(site: &Site<'_>, wanted: Search) -> Searched {
    let asks_time =
        |text: &String| serde_json::from_str(text).is_ok_and(|query: Value| form::is_timely(&query));
    let now = match wanted.queries.iter().any(asks_time).then(|| site.look.now()) {
        None => None,
        Some(Err(Pending)) => return Searched::Pending,
        Some(Ok(Err(why))) => return Searched::Unknown(why.to_string()),
        Some(Ok(Ok(now))) => Some(now),
    };
    match site.look.search(site.catalog, Search { now, ..wanted }) {
        Err(Pending) => Searched::Pending,
        Ok(Err(why)) => Searched::Unknown(why.to_string()),
        Ok(Ok(found)) => Searched::Found(Arc::clone(found)),
    }
}

/// How far an entity has come by scorecards, as of now where one of them asks for the time.
fn levels(site: &Site<'_>, id: &EntityId) -> Levels {
    let is_timely = form::have_timely_scorecards(site.definitions, &id.blueprint);
    let now = match is_timely.then(|| site.look.now()) {
        None => None,
        Some(Err(Pending)) => return Levels::Pending,
        Some(Ok(Err(why))) => return Levels::Unknown(why.to_string()),
        Some(Ok(Ok(now))) => Some(now),
    };
    match site.look.levels(site.catalog, id, now) {
        Err(Pending) => Levels::Pending,
        Ok(Err(why)) => Levels::Unknown(why.to_string()),
        Ok(Ok(levels)) => Levels::Known(levels.clone()),
    }
}

fn lookup(site: &Site<'_>, id: &EntityId) -> Lookup {
    match read::entity(site.look, site.definitions, site.catalog, id) {
        Err(Pending) => Lookup::Pending,
        Ok(Ok(Some(entity))) => Lookup::Found(Arc::clone(&entity)),
        Ok(Err(why)) => Lookup::Unusable(why),
        Ok(Ok(None)) => match site.look.entities(site.catalog, &id.blueprint) {
            Err(Pending) => Lookup::Pending,
            Ok(Ok(known)) => Lookup::Absent {
                nearest: nearest(id.identifier.as_str(), known.iter().map(Identifier::as_str))
                    .map(str::to_owned),
            },
            Ok(Err(_)) => Lookup::Absent { nearest: None },
        },
    }
}

/// Whether all of these people may ask for the action.
///
/// # Errors
/// `Pending` while answers are awaited; inside, who may not.
pub(super) fn may_ask(
    site: &Site<'_>,
    action: &Action,
    requesters: &BTreeSet<Login>,
    place: &Place,
) -> Looked<Result<(), Diagnostic>> {
    let mut pending = false;
    for login in requesters {
        let refusal = match &action.execute {
            // Who owns what it is about is judged with what is asked.
            Execute::Named(askers) if !askers.owners.is_empty() => None,
            Execute::Named(askers) if askers.names_somebody() => {
                match rules::among(site, login, &askers.users, &askers.teams) {
                    Ok(Ok(true)) => None,
                    Ok(Ok(false)) => Some((
                        format!("`{login}` may not ask for `{}`", action.identifier),
                        "ask a member of the teams that the action names, or the platform team",
                    )),
                    Ok(Err(_)) => Some((
                        format!(
                            "it could not be learnt whether `{login}` may ask for `{}`",
                            action.identifier
                        ),
                        "the platform team must mend the teams that the action names",
                    )),
                    Err(Pending) => {
                        pending = true;
                        continue;
                    }
                }
            }
            Execute::Writers | Execute::Named(_) => match site.look.permission(&site.here.catalog, login) {
                Ok(Ok(permission)) if permission >= Permission::Write => None,
                Ok(Ok(_)) => Some((
                    format!(
                        "`{login}` may not ask for `{}`: it is for people with write access to the catalog",
                        action.identifier
                    ),
                    "ask a colleague who has it, or the platform team for access",
                )),
                Ok(Err(why)) => Some((
                    format!("it could not be learnt whether `{login}` may ask: {why}"),
                    "it is tried again on the next pass",
                )),
                Err(Pending) => {
                    pending = true;
                    continue;
                }
            },
        };
        if let Some((message, help)) = refusal {
            return Ok(Err(Diagnostic::error("not-allowed", place.clone(), message).help(help)));
        }
    }
    if pending { Err(Pending) } else { Ok(Ok(())) }
}

/// Who asked for a request: the author of the pull request, or, where that is ours, of the issue (and everybody who
/// edited it before the merge) or of the pull request from a fork that it came from.
pub(super) fn requesters(
    site: &Site<'_>,
    pull: &Pull,
    id: &RequestId,
) -> Looked<Result<BTreeSet<Login>, String>> {
    let author = pull.author.clone().ok_or_else(|| "the account of the requester is gone".to_owned());
    let is_ours = author.as_ref().is_ok_and(|author| *author == site.here.me);
    match (is_ours, id.issue(), id.fork_pull()) {
        (true, None, Some(number)) => Ok(match site.look.pull(number)? {
            Ok(Some(Pull { author: Some(author), .. })) => Ok([author.clone()].into()),
            Ok(Some(_)) => Err("the account of the requester is gone".to_owned()),
            Ok(None) => Err(format!("pull request #{number} is gone")),
            Err(why) => Err(format!("pull request #{number} could not be read: {why}")),
        }),
        (true, Some(number), _) => Ok(match site.look.issue(number)? {
            Ok(Some(issue)) => people_of_issue(issue, pull.merged_at),
            Ok(None) => Err(format!("issue #{number} is gone")),
            Err(why) => Err(format!("issue #{number} could not be read: {why}")),
        }),
        _ => Ok(author.map(|author| BTreeSet::from([author]))),
    }
}

/// The author of an issue and everybody who edited it until then: an edit after the merge takes nobody from those
/// who had to approve.
pub(super) fn people_of_issue(
    issue: &crate::domain::Issue,
    until: Option<Timestamp>,
) -> Result<BTreeSet<Login>, String> {
    let Some(author) = &issue.author else {
        return Err("the account of the requester is gone".into());
    };
    match &issue.edits {
        Known::Yes(edits) => {
            let before = edits.iter().filter(|edit| until.is_none_or(|until| edit.at <= until));
            Ok(before.map(|edit| &edit.by).chain([author]).cloned().collect())
        }
        Known::Unknown(why) => Err(format!("who edited the issue could not be learnt: {why}")),
    }
}
