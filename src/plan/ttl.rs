//! Whose time is over, or soon will be?
//!
//! An entity's time is over when the property that the `ttl` of a DELETE names says so, by the forge's clock. Then
//! Chandlery asks for that DELETE itself, with a request named after the entity and the moment, so that it is asked once;
//! whoever asked for the entity is warned before. From there on it is a request as any other, its rules of approval
//! among it.
//!
//! Clocks: a forge whose clock is far behind the newest commit of the catalog is not believed, and nothing that
//! depends on the time is done.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    Decision, admit,
    adopt::{self, Asking, Missing},
    build::Site,
    execute,
    facts::{Looked, Pending},
    issue::request_bytes,
    message, notice, people, read, say,
};
use crate::{
    catalog::values::Segment,
    domain::{
        Action, ChangeKind, Entity, EntityChange, EntityId, Identifier, Login, Operation, Place, Pull,
        PullState, RequestFile, RequestId, Run, Search, Stage, Timestamp, Ttl,
    },
};

/// How many requests of one action that nobody but us asked may be on their way at a time: a mistake in many timers must not
/// bury people in requests.
const MOST: usize = 50;
/// How many entities of one action are looked at, those whose time is over first among them.
const MOST_LOOKED: usize = 200;

/// How many are mentioned in one warning.
const MOST_WARNED: usize = 20;
/// How many actions are named in one.
const MOST_NAMED: usize = 5;

/// How far, in seconds, the newest commit of the catalog may be ahead of the forge's clock.
const SKEW: i64 = 600;

/// The time, by the forge's clock, for what depends on it.
///
/// # Errors
/// `Pending` while answers are awaited; inside, why it is not known.
pub(super) fn now(site: &Site<'_>) -> Looked<Result<Timestamp, String>> {
    if site.look.is_of_then() {
        return Ok(site.look.now()?.map_err(|why| why.to_string()));
    }
    let (now, newest) = (site.look.now(), site.look.committed_at(site.catalog));
    Ok(match (now?, newest?) {
        (Ok(now), Ok(newest)) if newest.seconds() - now.seconds() > SKEW => Err(format!(
            "the forge's clock says {now}, and the newest commit of the catalog is of {newest}: nothing that depends on the time is done"
        )),
        (Ok(now), Ok(_)) => Ok(now),
        (Err(why), _) | (_, Err(why)) => Err(format!("the time could not be learnt: {why}")),
    })
}

pub(super) fn decide(site: &Site<'_>) -> Looked<Decision> {
    let actions = site.definitions.actions.values().map(|defined| &defined.value);
    let timed: Vec<(&Action, &Ttl)> =
        actions.filter_map(|action| Some((action, action.ttl.as_ref()?))).collect();
    if timed.is_empty() {
        return Ok(Decision::nothing());
    }
    let now = match now(site)? {
        Ok(now) => now,
        Err(why) => return Ok(Decision::waiting(why)),
    };
    let mut decision = Decision::nothing();
    let mut pending = false;
    for (action, ttl) in timed {
        match of_action(site, action, ttl, now) {
            Err(Pending) => pending = true,
            Ok(more) => decision.extend(more),
        }
    }
    if pending { Err(Pending) } else { Ok(decision) }
}

/// The entities of one action whose time is over, or will be so soon that somebody is warned.
fn of_action(site: &Site<'_>, action: &Action, ttl: &Ttl, now: Timestamp) -> Looked<Decision> {
    // What the action cannot be run on is not meant.
    let expired = json!({ "property": ttl.property, "operator": "isExpired" });
    let rules: Vec<_> = std::iter::once(&expired).chain(&action.form.condition).collect();
    let query = json!({ "combinator": "and", "rules": rules });
    let search = Search {
        blueprint: action.blueprint.clone(),
        queries: vec![query.to_string()],
        sort: Some((ttl.property.clone(), false)),
        now: Some(Timestamp::from_seconds(now.seconds() + ttl.warn_before)),
        changes: Vec::new(),
    };
    let found: &[Identifier] = match site.look.search(site.catalog, search)? {
        Ok(found) => found.first().map_or(&[], Vec::as_slice),
        Err(why) => {
            let why = format!("whose time is over could not be learnt for `{}`: {why}", action.identifier);
            return Ok(Decision::waiting(why));
        }
    };
    let mut decision = Decision::nothing();
    if found.len() > MOST_LOOKED {
        let message = format!(
            "the time of {} entities of `{}` is over or nearly so; the {MOST_LOOKED} whose time is over first are looked at",
            found.len(),
            action.blueprint
        );
        decision.waits.push(message);
    }
    let (mut timed, mut pending) = (Vec::new(), false);
    for identifier in found.iter().take(MOST_LOOKED) {
        let id = EntityId { blueprint: action.blueprint.clone(), identifier: identifier.clone() };
        match read::entity(site.look, site.definitions, site.catalog, &id) {
            Err(Pending) => pending = true,
            Ok(Ok(Some(entity))) => timed.extend(due(&entity, ttl).map(|due| (due, entity))),
            Ok(Ok(None)) => {}
            Ok(Err(why)) => decision.waits.push(why),
        }
    }
    if pending {
        return Err(Pending);
    }
    timed.sort_by(|(due, entity), (other_due, other)| {
        (due, &entity.identifier).cmp(&(other_due, &other.identifier))
    });
    // What was declined or has ended takes nobody's place.
    let (mut under_way, mut unasked) = (0, Vec::new());
    for (due, entity) in &timed {
        let more = if *due > now {
            warn(site, action, entity, *due)
        } else {
            match standing(site, action, entity, *due) {
                Err(Pending) => Err(Pending),
                Ok(Standing::Unasked) => {
                    unasked.push((entity, *due));
                    continue;
                }
                Ok(Standing::UnderWay) => {
                    under_way += 1;
                    continue;
                }
                Ok(Standing::Over(more)) => Ok(more),
            }
        };
        match more {
            Err(Pending) => pending = true,
            Ok(more) => decision.extend(more),
        }
    }
    if pending {
        return Err(Pending);
    }
    let now_asked = unasked.len().min(MOST.saturating_sub(under_way));
    for (entity, due) in &unasked[..now_asked] {
        match ask(site, action, ttl, entity, *due) {
            Err(Pending) => pending = true,
            Ok(more) => decision.extend(more),
        }
    }
    if unasked.len() > now_asked {
        decision.waits.push(format!(
            "the time of {} more entities of `{}` is over: `{}` is asked for when some of the {MOST} requests before have ended",
            unasked.len() - now_asked,
            action.blueprint,
            action.identifier
        ));
    }
    if pending { Err(Pending) } else { Ok(decision) }
}

/// When the time of an entity is over.
fn due(entity: &Entity, ttl: &Ttl) -> Option<Timestamp> {
    entity.properties.get(&ttl.property)?.as_str()?.parse().ok()
}

/// What is unmistakably this entity at this moment.
fn fingerprint(id: &EntityId, due: Timestamp) -> String {
    hex::encode(Sha256::digest(format!("{id} {due}"))).get(..12).unwrap_or_default().to_owned()
}

/// The request that ends an entity whose time is over at a moment.
fn request_id(id: &EntityId, due: Timestamp) -> RequestId {
    let text = format!("{}/ttl-{}", due.year_and_month(), fingerprint(id, due));
    text.parse().expect("a date and a digest make an identifier")
}

fn request(action: &Action, ttl: &Ttl, entity: &Entity, due: Timestamp) -> RequestFile {
    RequestFile {
        action: action.identifier.clone(),
        entity: Some(entity.identifier.clone()),
        inputs: Map::new(),
        on_behalf_of: None,
        reason: Some(format!("Its time was over at {due} (`{}`).", ttl.property)),
    }
}

/// How what ends an entity stands.
enum Standing {
    /// Nobody asked for it.
    Unasked,
    /// It was asked for and has not ended.
    UnderWay,
    /// It has ended, or somebody said no; or it cannot be known.
    Over(Decision),
}

fn standing(site: &Site<'_>, action: &Action, entity: &Entity, due: Timestamp) -> Looked<Standing> {
    let entity_id = entity.id();
    let id = request_id(&entity_id, due);
    let (recorded, ours) = (execute::recorded(site, &id), adopt::pull(site, &id));
    match recorded? {
        None => {}
        Some(Ok(run)) => {
            return Ok(Standing::Over(Decision::waiting(format!(
                "the time of `{entity_id}` was over at {due}, and `{id}` ended as {}: extend it, or ask for `{}`",
                run.status, action.identifier
            ))));
        }
        Some(Err(why)) => return Ok(Standing::Over(Decision::waiting(why))),
    }
    Ok(match ours? {
        Err(why) => Standing::Over(Decision::waiting(why)),
        Ok(None) => Standing::Unasked,
        // Open or merged, it is on its way; closed, somebody said no, and is not asked again for the same moment.
        Ok(Some(ours)) if ours.state == PullState::Closed => Standing::Over(Decision::nothing()),
        Ok(Some(_)) => Standing::UnderWay,
    })
}

/// Asks for the end of an entity, once.
fn ask(site: &Site<'_>, action: &Action, ttl: &Ttl, entity: &Entity, due: Timestamp) -> Looked<Decision> {
    let entity_id = entity.id();
    let id = request_id(&entity_id, due);
    let file = request(action, ttl, entity, due);
    let me = BTreeSet::from([site.here.me.clone()]);
    let source = format!("`{}` of `{entity_id}`", ttl.property);
    let place = |_: &[Segment]| Place::file(format!("requests/{id}"));
    let built = match admit::admit(site, &id, &file, &me, &place)? {
        Ok(built) if !built.is_noop() => built,
        Ok(_) => {
            return Ok(Decision::waiting(format!(
                "the time of `{entity_id}` is over, and `{}` would change nothing",
                action.identifier
            )));
        }
        Err(problems) => {
            let why = problems.first().map_or("", |problem| problem.message.as_str());
            return Ok(Decision::waiting(format!(
                "the time of `{entity_id}` is over, and `{}` cannot be asked for: {why}",
                action.identifier
            )));
        }
    };
    let title = entity.title.clone().unwrap_or_else(|| entity_id.to_string());
    let note = format!(", since its time was over at {due}; a change of `{}` takes it back.", ttl.property);
    let request = request_bytes(&file);
    let asking = Asking { id: &id, request, built: &built, source, title: &title, note: &note, at: due };
    let stages = [(id.clone(), Stage::WaitingForApproval)].into();
    Ok(match adopt::missing(site, &asking, None)? {
        Missing::Step(step) => Decision { stages, steps: vec![step], ..Decision::nothing() },
        Missing::Nothing => Decision { stages, ..Decision::nothing() },
        Missing::Unclear => Decision::waiting(format!("the branch of `{id}` could not be looked at")),
    })
}

/// Whether we ask for it because of a timer: then it is nobody's to be allowed.
pub(super) fn asks(site: &Site<'_>, id: &RequestId, people: &BTreeSet<Login>) -> bool {
    id.is_ttl() && people.iter().eq([&site.here.me])
}

/// Why a request of ours does not say any more what an entity's timer says; nothing if it does.
///
/// # Errors
/// `Pending` while answers are awaited; inside, why that is not known.
pub(super) fn moved(
    site: &Site<'_>,
    id: &RequestId,
    file: &RequestFile,
) -> Looked<Result<Option<String>, String>> {
    let moved = |why: String| Ok(Ok(Some(why)));
    let action = site.definitions.actions.get(&file.action).map(|defined| &defined.value);
    let Some((action, ttl)) = action.and_then(|action| Some((action, action.ttl.as_ref()?))) else {
        return moved(format!("`{}` has no `ttl` any more", file.action));
    };
    let Some(identifier) = file.entity.clone() else { return moved("it names no entity".to_owned()) };
    let entity_id = EntityId { blueprint: action.blueprint.clone(), identifier };
    let entity = match read::entity(site.look, site.definitions, site.catalog, &entity_id)? {
        Ok(Some(entity)) => entity,
        Ok(None) => return moved(format!("`{entity_id}` is gone")),
        Err(why) => return Ok(Err(why)),
    };
    match due(&entity, ttl) {
        Some(due) if request_id(&entity_id, due) != *id => {
            moved(format!("the time of `{entity_id}` is over at {due} now"))
        }
        Some(due) if request(action, ttl, &entity, due) != *file => {
            moved("it does not say what Chandlery asked for".to_owned())
        }
        Some(_) => Ok(Ok(None)),
        None => moved(format!("the time of `{entity_id}` does not end any more")),
    }
}

/// Warns whoever asked for an entity, and its owners, where it was asked for.
fn warn(site: &Site<'_>, action: &Action, entity: &Entity, due: Timestamp) -> Looked<Decision> {
    let (run, pull) = match made_by(site, &entity.id())? {
        Ok(Some(found)) => found,
        // Who made it by hand is not known to the forge.
        Ok(None) => return Ok(Decision::nothing()),
        Err(why) => return Ok(Decision::waiting(format!("`{}` ends at {due}: {why}", entity.id()))),
    };
    let names = to_be_warned(site, &run, &entity.id())?;
    let keeping = keeping(site, action);
    let body = message::ends_soon(&fingerprint(&entity.id(), due), action, entity, due, &names, &keeping);
    let mut steps = say(&site.here.catalog, pull.number, &pull.comments, body);
    if !steps.is_empty() {
        steps.extend(notice::ends_soon(site, pull, action, &run, entity, due));
    }
    Ok(Decision { steps, ..Decision::nothing() })
}

/// The actions that move the time by which this one goes.
fn keeping<'a>(site: &Site<'a>, ends: &Action) -> Vec<&'a Action> {
    let Some(ttl) = &ends.ttl else { return Vec::new() };
    let moves = |change: &EntityChange| {
        let properties = change.fields.get("properties").and_then(Value::as_object);
        change.blueprint == ends.blueprint
            && matches!(change.kind, ChangeKind::Update | ChangeKind::Upsert)
            && properties.is_some_and(|properties| properties.contains_key(&ttl.property))
    };
    let actions = site.definitions.actions.values().map(|defined| &defined.value);
    let of_blueprint =
        actions.filter(|action| action.operation == Operation::Day2 && action.blueprint == ends.blueprint);
    of_blueprint.filter(|action| action.entities.iter().any(moves)).take(MOST_NAMED).collect()
}

/// Who is mentioned before an entity ends: whoever asked for it, whomever it is for, and its owners; a team that the forge
/// does not know by its members. Of what nobody is known to own, nobody else is told.
fn to_be_warned(site: &Site<'_>, run: &Run, id: &EntityId) -> Looked<Vec<String>> {
    let people = run.requesters.iter().chain(&run.on_behalf_of).filter(|login| !login.is_app());
    let mut names: Vec<String> = people.map(Login::to_string).collect();
    let mut pending = false;
    let teams = people::owning_teams(site.look, site.definitions, site.catalog, id)?.unwrap_or_default();
    for team in &teams {
        match of_team(site, team) {
            Err(Pending) => pending = true,
            Ok(found) => names.extend(found),
        }
    }
    if pending {
        return Err(Pending);
    }
    let mut known = BTreeSet::new();
    names.retain(|name| known.insert(name.clone()));
    names.truncate(MOST_WARNED);
    Ok(names)
}

fn of_team(site: &Site<'_>, team: &str) -> Looked<Vec<String>> {
    if let Some(name) = on_the_forge(site, team)? {
        return Ok(vec![name]);
    }
    let Ok(team) = team.parse() else { return Ok(Vec::new()) };
    let members = people::members(site.look, site.definitions, site.catalog, &team)?;
    Ok(members.unwrap_or_default().iter().map(Login::to_string).collect())
}

/// How the forge calls a team of the catalog, `organisation/slug`, if it knows it.
fn on_the_forge(site: &Site<'_>, team: &str) -> Looked<Option<String>> {
    let Ok(identifier) = team.parse() else { return Ok(None) };
    let blueprint = "_team".parse().expect("a built-in blueprint has a proper name");
    let team = read::entity(site.look, site.definitions, site.catalog, &EntityId { blueprint, identifier })?;
    let name = team.ok().flatten().and_then(|team| Some(team.properties.get("github")?.as_str()?.to_owned()));
    Ok(name.filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || "-_/".contains(c))))
}

/// The run that brought an entity, with the pull request of its request; none where people did.
fn made_by<'a>(site: &Site<'a>, id: &EntityId) -> Looked<Result<Option<(Run, &'a Pull)>, String>> {
    let path = match site.look.entity(site.catalog, id)? {
        Ok(Some((path, _))) => path,
        Ok(None) => return Ok(Ok(None)),
        Err(why) => return Ok(Err(why.to_string())),
    };
    let appeared = match site.look.appearances(site.catalog, path)? {
        Ok(appeared) => appeared.first(),
        Err(why) => return Ok(Err(why.to_string())),
    };
    let Some((commit, parent)) = appeared.and_then(|appeared| Some((appeared.commit, appeared.parent?)))
    else {
        return Ok(Ok(None));
    };
    let catalog = &site.here.catalog;
    let diff = match site.look.diff(catalog, parent, commit)? {
        Ok(diff) => diff,
        Err(why) => return Ok(Err(why.to_string())),
    };
    let mut runs = BTreeMap::new();
    let mut pending = false;
    for path in diff.keys() {
        match read::request_of(site.definitions, path) {
            Some((request, file)) if file == "run.yaml" => {
                let Ok(request) = request.parse::<RequestId>() else { continue };
                match execute::recorded(site, &request) {
                    Err(Pending) => pending = true,
                    Ok(run) => drop(runs.insert(request, run)),
                }
            }
            _ => {}
        }
    }
    if pending {
        return Err(Pending);
    }
    let name = id.to_string();
    let made = |run: &Run| run.entities.iter().any(|entity| entity.entity == name);
    let run = runs.into_values().filter_map(|run| run?.ok()).find(made);
    let Some((number, run)) = run.and_then(|run| Some((run.pull_request.as_ref()?.number, run))) else {
        return Ok(Ok(None));
    };
    Ok(match site.look.pull(number)? {
        Ok(pull) => Ok(pull.map(|pull| (run, pull))),
        Err(why) => Err(format!("pull request #{number} could not be read: {why}")),
    })
}
