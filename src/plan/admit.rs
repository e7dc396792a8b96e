//! May this be asked, and what would it do? The same for an issue and a request file.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    catalog::{Definitions, values::Segment},
    domain::{
        Action, ActionId, Diagnostic, EntityId, Execute, Identifier, Known, Login, Permission, Place, Pull,
        RequestFile, RequestId, Timestamp, nearest,
    },
    intake::{self, Lookup},
    plan::{
        approval,
        build::{self, Built, Recipe, Site},
        facts::{Looked, Pending},
        read,
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
    place: &dyn Fn(&[Segment]) -> Place,
) -> Looked<Result<Built, Vec<Diagnostic>>> {
    let action = match action(site.definitions, &file.action, place(&[Segment::Key("action".into())])) {
        Ok(action) => action,
        Err(problem) => return Ok(Err(vec![problem])),
    };
    let recipe = Recipe::present(site.definitions, &action.identifier).expect("the action was just found");
    plan(site, &recipe, id, file, place)
}

/// As [`admit`], with a given action.
pub(super) fn plan(
    site: &Site<'_>,
    recipe: &Recipe<'_>,
    id: &RequestId,
    file: &RequestFile,
    place: &dyn Fn(&[Segment]) -> Place,
) -> Looked<Result<Built, Vec<Diagnostic>>> {
    // Asked early so that they are answered together with the rest.
    for step in &recipe.action.steps {
        if let Ok(repository) = step.pull_request.repository.parse() {
            drop(site.look.repository(&repository));
        }
    }
    match intake::accept(recipe.action, id.clone(), file, place, &mut |id| lookup(site, id)) {
        Err(problems) => Ok(Err(problems)),
        Ok(None) => Err(Pending),
        Ok(Some(accepted)) => build::build(site, recipe, &accepted),
    }
}

/// Accepts a request's inputs.
pub(super) fn accept(
    site: &Site<'_>,
    action: &Action,
    id: &RequestId,
    file: &RequestFile,
    place: &dyn Fn(&[Segment]) -> Place,
) -> Looked<Result<intake::Accepted, Vec<Diagnostic>>> {
    match intake::accept(action, id.clone(), file, place, &mut |id| lookup(site, id)) {
        Err(problems) => Ok(Err(problems)),
        Ok(None) => Err(Pending),
        Ok(Some(accepted)) => Ok(Ok(accepted)),
    }
}

fn lookup(site: &Site<'_>, id: &EntityId) -> Lookup {
    match read::entity(site.look, site.definitions, site.catalog, id) {
        Err(Pending) => Lookup::Pending,
        Ok(Ok(Some(entity))) => Lookup::Found(Arc::clone(&entity)),
        Ok(Ok(None) | Err(_)) => match site.look.entities(site.catalog, &id.blueprint) {
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
            Execute::Writers => match site.look.permission(&site.here.catalog, login) {
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
            Execute::Named { users, teams } => match named(site, login, users, teams) {
                Ok(Ok(true)) => None,
                Ok(Ok(false)) => Some((
                    format!("`{login}` may not ask for `{}`", action.identifier),
                    "ask a member of the teams that the action names, or the platform team",
                )),
                Ok(Err(_)) => Some((
                    format!("it could not be learnt whether `{login}` may ask for `{}`", action.identifier),
                    "the platform team must mend the teams that the action names",
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

fn named(
    site: &Site<'_>,
    login: &Login,
    users: &[Login],
    teams: &[crate::domain::TeamSlug],
) -> Looked<Result<bool, String>> {
    if users.contains(login) {
        return Ok(Ok(true));
    }
    let mut pending = false;
    let mut unknown = None;
    for team in teams {
        match approval::members(site.look, site.definitions, site.catalog, team) {
            Err(Pending) => pending = true,
            Ok(Ok(members)) if members.contains(login) => return Ok(Ok(true)),
            Ok(Ok(_)) => {}
            Ok(Err(why)) => unknown = Some(why),
        }
    }
    if pending {
        return Err(Pending);
    }
    Ok(unknown.map_or(Ok(false), Err))
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
