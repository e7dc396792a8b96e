//! What would this request do, if it were asked now? The same plan as for a pull request, with
//! nobody asked and nothing written.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    catalog::{self, Definitions, values::Segment},
    domain::{
        ActionId, Diagnostic, Login, ObjectId, Place, PolicyId, RepoPath, RequestFile, RequestId, Timestamp,
    },
    intake::form::Filling,
    plan::{
        admit, approval,
        asking::{self, Asking},
        build::{Built, Site},
        facts::{Facts, Looked, Looker, Pending, Question},
        plan_file::Plan,
        policy,
    },
};

/// What a request would do, what is wrong with it, or what must be known first.
#[must_use]
#[derive(Debug, Clone)]
pub enum Preview {
    /// These questions must be answered.
    Ask(BTreeSet<Question>),
    /// This is the plan.
    Planned(Box<Built>),
    /// This is wrong.
    Wrong(Vec<Diagnostic>),
}

/// Plans the request file `bytes`, which lies at `path`, against the catalog that questions name by
/// `catalog`; whether `requester` may ask is looked at if one is named.
pub fn preview(
    definitions: &Definitions,
    facts: &Facts,
    catalog: ObjectId,
    id: &RequestId,
    path: &RepoPath,
    bytes: &[u8],
    requester: Option<&Login>,
) -> Preview {
    let look = Looker::new(facts);
    let planned = plan(definitions, &look, catalog, id, path, bytes, requester);
    match planned {
        Err(Pending) => Preview::Ask(look.missing()),
        Ok(Ok(built)) => Preview::Planned(Box::new(built)),
        Ok(Err(problems)) => Preview::Wrong(problems),
    }
}

/// What a form asks, or what must be known first.
#[must_use]
#[derive(Debug, Clone)]
pub enum Form {
    /// These questions must be answered.
    Ask(BTreeSet<Question>),
    /// It stands like this.
    Stands(Box<Filling>),
    /// It cannot be filled in.
    Wrong(Vec<Diagnostic>),
}

/// How the form of an action stands for what `file` says so far; `place` tells where its values are.
pub fn form(
    definitions: &Definitions,
    facts: &Facts,
    catalog: ObjectId,
    file: &RequestFile,
    requester: Option<&Login>,
    place: &dyn Fn(&[Segment]) -> Place,
) -> Form {
    let look = Looker::new(facts);
    let filled = with_site(definitions, &look, catalog, |site| {
        match admit::action(definitions, &file.action, place(&[Segment::Key("action".into())])) {
            Ok(action) => admit::fill(site, action, file, requester, place),
            Err(problem) => Ok(Err(vec![problem])),
        }
    });
    match filled {
        Err(Pending) => Form::Ask(look.missing()),
        Ok(Ok(filling)) => Form::Stands(Box::new(filling)),
        Ok(Err(problems)) => Form::Wrong(problems),
    }
}

/// Which actions somebody may ask for, or what must be known first.
///
/// # Errors
/// The questions that must be answered.
pub fn may_ask(
    definitions: &Definitions,
    facts: &Facts,
    catalog: ObjectId,
    requester: &Login,
) -> Result<BTreeSet<ActionId>, BTreeSet<Question>> {
    let look = Looker::new(facts);
    let people = BTreeSet::from([requester.clone()]);
    let allowed = with_site(definitions, &look, catalog, |site| {
        let (mut allowed, mut pending) = (BTreeSet::new(), false);
        for (id, action) in &definitions.actions {
            match admit::may_ask(site, &action.value, &people, &Place::file("")) {
                Err(Pending) => pending = true,
                Ok(Ok(())) => drop(allowed.insert(id.clone())),
                Ok(Err(_)) => {}
            }
        }
        if pending { Err(Pending) } else { Ok(Ok(allowed)) }
    });
    match allowed {
        Err(Pending) => Err(look.missing()),
        Ok(allowed) => Ok(allowed.unwrap_or_default()),
    }
}

pub(super) fn with_site<T>(
    definitions: &Definitions,
    look: &Looker<'_>,
    catalog: ObjectId,
    then: impl FnOnce(&Site<'_>) -> Looked<Result<T, Vec<Diagnostic>>>,
) -> Looked<Result<T, Vec<Diagnostic>>> {
    match look.here()? {
        Ok(here) => then(&Site::new(look, here, definitions, catalog)),
        Err(why) => {
            let place = Place::file(definitions.root.settings_path().as_str());
            Ok(Err(vec![Diagnostic::error("repository-unreachable", place, why.to_string())]))
        }
    }
}

/// Who may approve a plan, by rule, other than whoever asks: logins, or `writers` for all who may write.
///
/// # Errors
/// What must be known first.
pub fn approvers(
    definitions: &Definitions,
    facts: &Facts,
    catalog: ObjectId,
    plan: &Plan,
    requester: Option<&Login>,
) -> Result<BTreeMap<String, Vec<String>>, BTreeSet<Question>> {
    let look = Looker::new(facts);
    let mut pending = false;
    let mut by_rule = BTreeMap::new();
    for rule in &plan.approval {
        let people = match approval::named_by(&look, definitions, catalog, rule) {
            Err(Pending) => {
                pending = true;
                continue;
            }
            // Whose members nobody knows has none who may.
            Ok(people) => people.unwrap_or_default(),
        };
        let writers = rule.writers.then(|| "writers".to_owned());
        let named =
            people.iter().filter(|login| Some(*login) != requester).map(|login| login.as_str().to_owned());
        by_rule.insert(rule.name.clone(), named.chain(writers).collect());
    }
    if pending { Err(look.missing()) } else { Ok(by_rule) }
}

/// Freezes: by which policy, and until when; none where no end is in sight.
pub type Freezes = Vec<(PolicyId, Option<Timestamp>)>;

/// The freezes that hold for a plan now.
///
/// # Errors
/// What must be known first; inside, why it cannot be said.
pub fn freezes(
    definitions: &Definitions,
    facts: &Facts,
    catalog: ObjectId,
    plan: &Plan,
    people: &BTreeSet<Login>,
) -> Result<Result<Freezes, String>, BTreeSet<Question>> {
    let look = Looker::new(facts);
    let Some(action) = definitions.actions.get(&plan.asked.action).map(|defined| &defined.value) else {
        return Ok(Ok(Vec::new()));
    };
    let found = with_site(definitions, &look, catalog, |site| {
        let accepted = match asking::accepted(site, action, plan)? {
            Ok(accepted) => accepted,
            Err(why) => return Ok(Ok(Err(why))),
        };
        let (steps, entities) = (&plan.steps, &plan.entities);
        let asking = Asking { action, accepted: &accepted, people, steps, entities };
        Ok(Ok(policy::frozen(site, &asking)?))
    });
    match found {
        Err(Pending) => Err(look.missing()),
        Ok(Err(problems)) => Ok(Err(problems.first().map_or_else(String::new, |one| one.message.clone()))),
        Ok(Ok(found)) => {
            Ok(found.map(|all| all.into_iter().map(|freeze| (freeze.policy, freeze.until)).collect()))
        }
    }
}

fn plan(
    definitions: &Definitions,
    look: &Looker<'_>,
    catalog: ObjectId,
    id: &RequestId,
    path: &RepoPath,
    bytes: &[u8],
    requester: Option<&Login>,
) -> Looked<Result<Built, Vec<Diagnostic>>> {
    let whole = Place::file(path.as_str());
    let (file, document) = match catalog::read_request(path, bytes) {
        Ok(read) => read,
        Err(problems) => return Ok(Err(problems)),
    };
    let here = match look.here()? {
        Ok(here) => here,
        Err(why) => {
            return Ok(Err(vec![Diagnostic::error("repository-unreachable", whole, why.to_string())]));
        }
    };
    let site = Site::new(look, here, definitions, catalog);
    let action_place = document.place(&[Segment::Key("action".into())]);
    let action = match admit::action(definitions, &file.action, action_place) {
        Ok(action) => action,
        Err(problem) => return Ok(Err(vec![problem])),
    };
    let people = requester.into_iter().cloned().collect();
    let allowed = admit::may_ask(&site, action, &people, &whole);
    let planned = admit::admit(&site, id, &file, &people, &|path: &[Segment]| document.place(path));
    if let Err(problem) = allowed? {
        return Ok(Err(vec![problem]));
    }
    planned
}
