//! What does a change of the catalog do that no request made?
//!
//! Definitions and entities may be written by hand, too. What that makes wrong in the catalog is said before it is
//! merged, and so is who wrote entities that others look after.

mod requests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use requests::Tried;
use serde_json::Value;

use super::{check_step, say};
use crate::{
    catalog::{self, ByHand, Editors, yaml},
    domain::{
        Activity, Bytes, Conclusion, Diagnostic, EntityId, Login, ObjectId, Place, Pull, RepoPath, Severity,
        counted,
    },
    plan::{
        Decision,
        approval::{self, Case},
        build::Site,
        facts::{ChainCommit, DiffEntry, Looked, Pending},
        message, people, rules,
    },
};

/// What our check names where no request is.
const KEY: &str = "by hand";
const IN_COMMENT: &str =
    "What is wrong, and what becomes of which entity, stands in the comment on the pull request.";

/// The most names of properties that one line holds.
const MOST_NAMES: usize = 10;

type Diff = BTreeMap<RepoPath, DiffEntry>;
type Told<'a, T> = Looked<Result<&'a [T], Arc<str>>>;

/// Whether a change touches what the catalog is made of.
pub(super) fn touches_catalog(site: &Site<'_>, diff: &Diff) -> bool {
    let (settings, folders) =
        (site.definitions.root.settings_path(), site.definitions.settings.folders.all());
    diff.keys().any(|path| *path == settings || folders.iter().any(|folder| path.under(folder).is_some()))
}

/// What becomes of an entity.
struct Change {
    path: RepoPath,
    before: Option<ObjectId>,
    after: Option<ObjectId>,
    /// What is written otherwise; none where a file cannot be read.
    fields: Option<BTreeSet<String>>,
}

impl Change {
    fn in_words(&self) -> (&'static str, &'static str) {
        match (self.before, self.after) {
            (None, _) => ("create", "created"),
            (Some(_), Some(_)) => ("change", "changed"),
            (Some(_), None) => ("delete", "deleted"),
        }
    }

    fn editors<'a>(&self, by_hand: &'a ByHand) -> &'a Editors {
        match (self.before, self.after) {
            (None, _) => &by_hand.create,
            (Some(_), Some(_)) => &by_hand.change,
            (Some(_), None) => &by_hand.delete,
        }
    }
}

/// What is to be said of a change by hand.
struct Judged {
    changes: BTreeMap<EntityId, Change>,
    problems: Vec<Diagnostic>,
    /// In one line; the wrong way if it may not be merged.
    title: Result<String, String>,
}

impl Judged {
    fn conclusion(&self) -> Conclusion {
        if self.title.is_ok() { Conclusion::Success } else { Conclusion::Failure }
    }
}

pub(super) fn decide(
    site: &Site<'_>,
    pull: &Pull,
    diff: &Diff,
    chain: Told<'_, ChainCommit>,
    activity: Told<'_, Activity>,
) -> Looked<Decision> {
    let merged = site.look.merged(site.catalog, pull.head);
    let who = who(site, pull, chain, activity);
    // It is judged as it would be once merged, whatever came to the base since the branch began.
    let (at, unmerged) = match merged? {
        Ok(Some(merged)) => (merged, None),
        Ok(None) => (pull.head, Some("it conflicts with the default branch".to_owned())),
        Err(why) => (pull.head, Some(format!("merging it could not be tried: {why}"))),
    };
    let judged = judge(site, pull, at, diff, who);
    let is_fork = pull.head_repository.as_ref() != Some(&site.here.catalog);
    let not_tried = |why: &str| Tried {
        untried: vec![format!("requests and what is derived, since {why}")],
        ..Tried::default()
    };
    let tried = match unmerged {
        _ if !requests::concerns(site, diff) => Ok(Tried::default()),
        // What anybody may write is not asked what our access may read.
        _ if is_fork => Ok(not_tried("it comes from a fork")),
        Some(why) => Ok(not_tried(&why)),
        None => requests::tried(site, pull.number, at, requests::derives(site, diff)),
    };
    let judged = match judged? {
        Ok(judged) => judged,
        Err(why) => return Ok(Decision::waiting(why)),
    };
    let tried = tried?;
    let conclusion = judged.conclusion();
    let (Ok(mut title) | Err(mut title)) = judged.title;
    if let Some(otherwise) = otherwise(&tried) {
        title = format!("{title}; {otherwise}");
    }
    let check = check_step(site, pull, KEY, Some(conclusion), (&title, IN_COMMENT));
    let mut steps: Vec<_> = check.into_iter().collect();
    let marker = message::by_hand_marker();
    let was_said = pull.comments.iter().any(|comment| message::marker_of(&comment.body) == marker);
    let lines: Vec<String> = judged.changes.iter().map(|(id, change)| line(id, change)).collect();
    let said = message::ByHand {
        title: &title,
        problems: &judged.problems,
        entities: &lines,
        open: message::Tried { all: tried.open.all, otherwise: &tried.open.otherwise },
        past: message::Tried { all: tried.past.all, otherwise: &tried.past.otherwise },
        derived: &tried.derived,
        untried: &tried.untried,
    };
    if was_said || said.is_something() {
        steps.extend(say(&site.here.catalog, pull.number, &pull.comments, message::by_hand(&said)));
    }
    Ok(Decision { steps, ..Decision::nothing() })
}

/// What our check names, concludes and says of what merging a pull request gives; or why that is not known.
pub(super) fn of_group(
    site: &Site<'_>,
    pull: &Pull,
    head: ObjectId,
    diff: &Diff,
    chain: Told<'_, ChainCommit>,
    activity: Told<'_, Activity>,
) -> Looked<Result<(&'static str, Conclusion, String), String>> {
    let who = who(site, pull, chain, activity);
    Ok(judge(site, pull, head, diff, who)?.map(|judged| {
        let conclusion = judged.conclusion();
        let (Ok(title) | Err(title)) = judged.title;
        (KEY, conclusion, title)
    }))
}

/// Judges what a change by hand gives.
fn judge(
    site: &Site<'_>,
    pull: &Pull,
    at: ObjectId,
    diff: &Diff,
    who: Looked<Result<Result<BTreeSet<Login>, String>, String>>,
) -> Looked<Result<Judged, String>> {
    let changes = changes(site, diff);
    let judged = site.look.judged(site.catalog, at);
    let (judged, changes, who) = (judged?, changes?, who?);
    let judged = match judged {
        Ok(judged) => judged,
        Err(why) => {
            return Ok(Err(format!("what #{} does to the catalog could not be learnt: {why}", pull.number)));
        }
    };
    let (changes, who) = match (changes, who) {
        (Ok(changes), Ok(who)) => (changes, who),
        (Err(why), _) | (_, Err(why)) => return Ok(Err(why)),
    };
    let refused = refusals(site, &changes, &who)?;
    let wrong: Vec<Diagnostic> =
        judged.iter().filter(|one| one.severity == Severity::Error).cloned().collect();
    let title = match title(site, at, diff, &wrong, &refused)? {
        Some(title) => Err(title),
        None if changes.is_empty() => Ok("the catalog stays sound".to_owned()),
        None => Ok(counted(changes.len(), "entity is", "entities are") + " changed by hand"),
    };
    let problems = refused.into_iter().chain(wrong).collect();
    Ok(Ok(Judged { changes, problems, title }))
}

/// How many requests would come out otherwise, and whether something derived would be lost.
fn otherwise(tried: &Tried) -> Option<String> {
    let open = (!tried.open.otherwise.is_empty())
        .then(|| format!("{} of {} open requests", tried.open.otherwise.len(), tried.open.all));
    let past = (!tried.past.otherwise.is_empty())
        .then(|| format!("{} of the last {} carried out", tried.past.otherwise.len(), tried.past.all));
    let both: Vec<String> = open.into_iter().chain(past).collect();
    let both = (!both.is_empty()).then(|| format!("{} would come out otherwise", both.join(" and ")));
    let derived = (!tried.derived.is_empty()).then(|| "derived values or levels would be lost".to_owned());
    let all: Vec<String> = both.into_iter().chain(derived).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// What becomes of which entity; one that only moves to another folder is changed in nothing.
fn changes(site: &Site<'_>, diff: &Diff) -> Looked<Result<BTreeMap<EntityId, Change>, String>> {
    let mut found: BTreeMap<EntityId, Change> = BTreeMap::new();
    for (path, entry) in diff {
        let Some(id) = catalog::entity_at(&site.definitions.settings, path) else { continue };
        let new = || Change { path: path.clone(), before: None, after: None, fields: None };
        let change = found.entry(id).or_insert_with(new);
        change.before = change.before.or(entry.before.map(|entry| entry.id));
        if let Some(after) = entry.after {
            change.after = Some(after.id);
            change.path = path.clone();
        }
    }
    let mut pending = false;
    let mut unread = None;
    for change in found.values_mut() {
        let mut read = |id: Option<ObjectId>| -> Option<Bytes> {
            match site.look.blob(&site.here.catalog, id?) {
                Err(Pending) => pending = true,
                Ok(Ok(bytes)) => return bytes.cloned(),
                Ok(Err(why)) => unread = Some(format!("an entity could not be read: {why}")),
            }
            None
        };
        let (before, after) = (read(change.before), read(change.after));
        let said = |bytes: Option<Bytes>| match bytes {
            Some(bytes) => said(&change.path, &bytes),
            None => Some(BTreeMap::new()),
        };
        change.fields = said(before).zip(said(after)).map(|(before, after)| differing(&before, &after));
    }
    if pending {
        return Err(Pending);
    }
    Ok(unread.map_or(Ok(found), Err))
}

/// All that a file says, by name: properties, `relations.NAME`, and `$KEY` for the rest.
fn said(path: &RepoPath, bytes: &Bytes) -> Option<BTreeMap<String, Value>> {
    let Value::Object(keys) = yaml::parse(path.as_str(), bytes).ok()?.value() else { return None };
    let mut said = BTreeMap::new();
    for (key, value) in keys {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => said.extend(properties),
            ("relations", Value::Object(relations)) => {
                said.extend(relations.into_iter().map(|(name, value)| (format!("relations.{name}"), value)));
            }
            ("properties" | "relations", Value::Null) => {}
            (_, value) => drop(said.insert(format!("${key}"), value)),
        }
    }
    Some(said)
}

fn differing(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> BTreeSet<String> {
    let names = before.keys().chain(after.keys());
    names.filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}

/// Everybody who wrote it, but for us; or why that is not known.
fn who(
    site: &Site<'_>,
    pull: &Pull,
    chain: Told<'_, ChainCommit>,
    activity: Told<'_, Activity>,
) -> Looked<Result<Result<BTreeSet<Login>, String>, String>> {
    if site.definitions.settings.entities.is_empty() {
        return Ok(Ok(Ok(BTreeSet::new())));
    }
    let (chain, activity) = match (chain?, activity?) {
        (Ok(chain), Ok(activity)) => (chain, activity),
        (Err(why), _) | (_, Err(why)) => {
            return Ok(Err(format!("the history of #{} could not be read: {why}", pull.number)));
        }
    };
    let nobody = BTreeSet::new();
    let case = Case {
        rules: &[],
        requesters: &nobody,
        pull,
        activity,
        chain,
        key: KEY,
        until: None,
        catalog: site.catalog,
    };
    let mut unclear = Vec::new();
    let mut people = approval::contributors(&case, &site.here.me, &mut unclear);
    match &pull.author {
        Some(author) => drop(people.insert(author.clone())),
        None => unclear.push("the account of its author is gone".to_owned()),
    }
    people.remove(&site.here.me);
    Ok(Ok(if unclear.is_empty() { Ok(people) } else { Err(unclear.join("; ")) }))
}

/// What these people may not do.
fn refusals(
    site: &Site<'_>,
    changes: &BTreeMap<EntityId, Change>,
    who: &Result<BTreeSet<Login>, String>,
) -> Looked<Vec<Diagnostic>> {
    let (mut found, mut pending) = (Vec::new(), false);
    for (id, change) in changes {
        let Some(by_hand) = site.definitions.settings.entities.get(&id.blueprint) else { continue };
        let editors = change.editors(by_hand);
        let mut refuse = |message: String| {
            let wrong = Diagnostic::error("entity-not-allowed", Place::file(change.path.as_str()), message);
            found.push(wrong.help(
                "ask for it by an action, or have it done by somebody whom `entities` in chandlery.yaml names",
            ));
        };
        let people = match who {
            _ if *editors == Editors::Anybody => continue,
            Ok(people) => people,
            Err(why) => {
                refuse(format!("it is not known who would {} `{id}`: {why}", change.in_words().0));
                continue;
            }
        };
        for login in people {
            match may_not(site, login, id, change, editors) {
                Err(Pending) => pending = true,
                Ok(None) => {}
                Ok(Some(message)) => refuse(message),
            }
        }
    }
    if pending { Err(Pending) } else { Ok(found) }
}

/// Why somebody may not do this to an entity, if so.
fn may_not(
    site: &Site<'_>,
    login: &Login,
    id: &EntityId,
    change: &Change,
    editors: &Editors,
) -> Looked<Option<String>> {
    let verb = change.in_words().0;
    let Editors::Named { users, teams, owners, properties } = editors else {
        return Ok((*editors == Editors::Nobody).then(|| format!("`{login}` may not {verb} `{id}`")));
    };
    // Owners are those of the entity as it is, not as it would be.
    let own = match *owners && change.before.is_some() {
        true => people::owners(site.look, site.definitions, site.catalog, id),
        false => Ok(Ok(BTreeSet::new())),
    };
    let (named, own) = (rules::among(site, login, users, teams)?, own?);
    let is_owner = own.as_ref().is_ok_and(|own| own.contains(login));
    if named != Ok(true) && !is_owner {
        let unclear = named.err().or(own.err()).map_or_else(String::new, |why| format!(": {why}"));
        return Ok(Some(format!("`{login}` may not {verb} `{id}`{unclear}")));
    }
    let (Some(properties), Some(_)) = (properties, change.after) else { return Ok(None) };
    let Some(fields) = &change.fields else {
        return Ok(Some(format!("`{login}` may not {verb} all of `{id}`, and what changes cannot be read")));
    };
    // What says which entity it is comes with its creation.
    let is_name = |field: &str| change.before.is_none() && matches!(field, "$identifier" | "$blueprint");
    let others: Vec<String> = fields
        .iter()
        .filter(|field| !properties.contains(*field) && !is_name(field))
        .map(|field| message::quoted(field))
        .collect();
    let shown = others[..others.len().min(MOST_NAMES)].join(", ");
    let shown = match others.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    };
    Ok((!others.is_empty()).then(|| match change.before {
        Some(_) => format!("`{login}` may not change {shown} of `{id}`"),
        None => format!("`{login}` may not create `{id}` with {shown}"),
    }))
}

/// What is wrong in one line, if anything is.
fn title(
    site: &Site<'_>,
    at: ObjectId,
    diff: &Diff,
    wrong: &[Diagnostic],
    refused: &[Diagnostic],
) -> Looked<Option<String>> {
    let (mut invalid, mut blueprints, mut mistakes) = (BTreeSet::new(), BTreeSet::new(), 0);
    for one in wrong {
        let path = one.place.source.parse::<RepoPath>().ok().filter(|path| !diff.contains_key(path));
        match path.and_then(|path| catalog::entity_at(&site.definitions.settings, &path)) {
            Some(id) => {
                blueprints.insert(id.blueprint.clone());
                invalid.insert(id);
            }
            None => mistakes += 1,
        }
    }
    let (mut all, mut pending) = (0, false);
    for blueprint in &blueprints {
        match site.look.entities(at, blueprint) {
            Err(Pending) => pending = true,
            Ok(found) => all += found.map_or(0, BTreeSet::len),
        }
    }
    if pending {
        return Err(Pending);
    }
    let mut parts = Vec::new();
    match refused {
        [] => {}
        [one] => parts.push(one.message.clone()),
        several => parts.push(format!("{} changes of entities are not allowed", several.len())),
    }
    match invalid.len() {
        0 => {}
        1 => parts.push(format!("1 of {all} entities becomes invalid")),
        count => parts.push(format!("{count} of {all} entities become invalid")),
    }
    if mistakes > 0 {
        parts.push(counted(mistakes, "mistake", "mistakes"));
    }
    Ok((!parts.is_empty()).then(|| parts.join(", ")))
}

fn line(id: &EntityId, change: &Change) -> String {
    let named = format!("{} {}", message::quoted(&id.to_string()), change.in_words().1);
    let fields = match (&change.fields, change.after) {
        (_, None) => return named,
        (None, Some(_)) => return format!("{named}, and it cannot be read what"),
        (Some(fields), Some(_)) => fields,
    };
    let names: Vec<String> = fields
        .iter()
        .filter(|field| change.before.is_some() || !matches!(field.as_str(), "$identifier" | "$blueprint"))
        .take(MOST_NAMES)
        .map(|field| message::quoted(field))
        .collect();
    if names.is_empty() { named } else { format!("{named}: {}", names.join(", ")) }
}
