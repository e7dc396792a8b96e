//! Who may ask for this, and who must approve it? What an action says, held against what is asked.
//!
//! A program that cannot be asked, or gives something else than it should, refuses.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::{
    catalog::form::{is_timely, resolved},
    domain::{
        Approval, Askers, Diagnostic, EntityId, Execute, Login, Place, Quorum, RepoName, RepoPath, Rule,
        Search,
    },
    expr::Expression,
    plan::{
        asking::{self, Asking},
        build::Site,
        code_owners::{CodeOwners, Owner, PLACES},
        facts::{Looked, Pending},
        people,
        plan_file::PlannedRule,
        ttl,
    },
};

/// The most people that a program may name for one rule.
const MOST_APPROVERS: usize = 100;

/// Where a program stands, for those who must mend it.
pub(super) fn action_place(site: &Site<'_>, asking: &Asking<'_>) -> Place {
    Place::file(format!("{}/{}.yaml", site.definitions.settings.folders.actions, asking.action.identifier))
}

fn unknown(place: &Place, message: String) -> Diagnostic {
    Diagnostic::error("rule-unknown", place.clone(), message).help("the platform team must mend it")
}

/// The rules of the action that apply to what is asked, and those of policies, as data.
///
/// # Errors
/// As [`apply`].
pub(super) fn of_action(
    site: &Site<'_>,
    asking: &Asking<'_>,
    of_policies: Vec<PlannedRule>,
) -> Looked<Result<Vec<PlannedRule>, Vec<Diagnostic>>> {
    let Approval::Rules(said) = &asking.action.approval else { return Ok(Ok(of_policies)) };
    let mut rules = match apply(site, asking, said, &action_place(site, asking))? {
        Ok(rules) => rules,
        Err(problems) => return Ok(Err(problems)),
    };
    // That nobody need approve is said on purpose, and never by what happens not to apply.
    if rules.is_empty() {
        rules.push(PlannedRule { writers: true, ..blank(&Rule::anybody_with_write_access()) });
    }
    rules.extend(of_policies);
    Ok(Ok(rules))
}

/// The rules that apply to what is asked, as data.
///
/// # Errors
/// `Pending` while answers are awaited; inside, why they cannot be told.
pub(super) fn apply(
    site: &Site<'_>,
    asking: &Asking<'_>,
    rules: &[Rule],
    place: &Place,
) -> Looked<Result<Vec<PlannedRule>, Vec<Diagnostic>>> {
    let programs = || rules.iter().flat_map(|rule| rule.when.iter().chain(&rule.approvers));
    let contexts = if programs().next().is_some() {
        if let Some(problem) = nobody_named(asking, programs(), place) {
            return Ok(Err(vec![problem]));
        }
        let with_teams = programs().any(|text| text.contains("teams"));
        match asking::contexts(site, asking, with_teams)? {
            Ok(contexts) => contexts,
            Err(why) => return Ok(Err(vec![unknown(place, why)])),
        }
    } else {
        Vec::new()
    };
    let (mut planned, mut problems, mut pending) = (Vec::new(), Vec::new(), false);
    for rule in rules {
        match apply_one(site, asking, rule, &contexts, place) {
            Err(Pending) => pending = true,
            Ok(Err(problem)) => problems.push(problem),
            Ok(Ok(found)) => planned.extend(found),
        }
    }
    if pending {
        return Err(Pending);
    }
    Ok(if problems.is_empty() { Ok(planned) } else { Err(problems) })
}

fn nobody_named<'a>(
    asking: &Asking<'_>,
    mut programs: impl Iterator<Item = &'a String>,
    place: &Place,
) -> Option<Diagnostic> {
    let speaks = asking.people.is_empty() && programs.any(|text| text.contains("requester"));
    speaks.then(|| {
        let message =
            format!("what `{}` demands depends on who asks, and nobody is named", asking.action.identifier);
        Diagnostic::error("requester-unknown", place.clone(), message).help("name somebody with `--as LOGIN`")
    })
}

fn apply_one(
    site: &Site<'_>,
    asking: &Asking<'_>,
    rule: &Rule,
    contexts: &[Value],
    place: &Place,
) -> Looked<Result<Vec<PlannedRule>, Diagnostic>> {
    let of_rule = |what: String| unknown(place, format!("the rule `{}` {what}", rule.name));
    // Where several people ask, it is enough that the rule is for one of them.
    let mut asked_for = Vec::new();
    match &rule.when {
        None => asked_for.extend(contexts),
        Some(text) => {
            for context in contexts {
                match holds(text, context) {
                    Ok(true) => asked_for.push(context),
                    Ok(false) => {}
                    Err(why) => {
                        return Ok(Err(of_rule(format!("cannot say whether it applies: {why}"))));
                    }
                }
            }
            if asked_for.is_empty() {
                return Ok(Ok(Vec::new()));
            }
        }
    }
    if rule.code_owners {
        return code_owners(site, asking, rule);
    }
    let mut owners = BTreeSet::new();
    let mut pending = false;
    for way in &rule.owners {
        match people::reached(site, asking.action, asking.accepted, way) {
            Err(Pending) => pending = true,
            Ok(Ok(found)) => owners.extend(found),
            Ok(Err(why)) => return Ok(Err(of_rule(format!("finds no owners: {why}")))),
        }
    }
    if pending {
        return Err(Pending);
    }
    let named = PlannedRule {
        users: rule.users.clone(),
        teams: rule.teams.clone(),
        owners: owners.into_iter().collect(),
        writers: rule.writers,
        ..blank(rule)
    };
    let Some(text) = &rule.approvers else { return Ok(Ok(vec![named])) };
    // Several people who ask may need approvals of different people.
    let mut groups = BTreeSet::new();
    for context in &asked_for {
        match approvers(text, context) {
            Ok(logins) => drop(groups.insert(logins)),
            Err(why) => return Ok(Err(of_rule(format!("cannot say who approves: {why}")))),
        }
    }
    let of_group = |(index, logins): (usize, &BTreeSet<Login>)| {
        let mut rule = named.clone();
        rule.users.extend(logins.iter().filter(|login| !named.users.contains(login)).cloned());
        if index > 0 {
            rule.name = format!("{} ({})", rule.name, index + 1);
        }
        rule
    };
    Ok(Ok(groups.iter().enumerate().map(of_group).collect()))
}

/// A rule that names nobody yet.
fn blank(rule: &Rule) -> PlannedRule {
    PlannedRule {
        name: rule.name.clone(),
        count: match rule.quorum {
            Quorum::Count(count) => Some(count),
            Quorum::All => None,
        },
        distinct: rule.terms.distinct,
        expires_after: rule.terms.expires_after,
        self_approval: rule.terms.self_approval,
        ..PlannedRule::default()
    }
}

pub(super) fn holds(text: &str, context: &Value) -> Result<bool, String> {
    match answer(text, context)? {
        Value::Bool(holds) => Ok(holds),
        other => Err(format!("`{text}` gives {} and must give true or false", brief(&other))),
    }
}

pub(super) fn answer(text: &str, context: &Value) -> Result<Value, String> {
    let expression = Expression::parse(text).map_err(|refusal| refusal.message)?;
    expression.first(context).map_err(|why| format!("`{text}`: {why}"))
}

fn approvers(text: &str, context: &Value) -> Result<BTreeSet<Login>, String> {
    let expression = Expression::parse(text).map_err(|refusal| refusal.message)?;
    let answers = expression.all(context).map_err(|why| format!("`{text}`: {why}"))?;
    let mut logins = BTreeSet::new();
    for answer in answers {
        let names = match answer {
            Value::Array(names) => names,
            other => vec![other],
        };
        for name in names {
            let login = name.as_str().and_then(|name| name.parse().ok());
            logins
                .insert(login.ok_or_else(|| format!("`{text}` gives {}, which is no login", brief(&name)))?);
        }
    }
    match logins.len() {
        0 => Err(format!("`{text}` gives nobody")),
        count if count > MOST_APPROVERS => Err(format!("`{text}` gives more than {MOST_APPROVERS} people")),
        _ => Ok(logins),
    }
}

fn brief(value: &Value) -> String {
    let text: String = value.to_string().chars().take(60).collect();
    format!("`{text}`")
}

/// One rule for each group of people who own something that changes in a target repository.
fn code_owners(
    site: &Site<'_>,
    asking: &Asking<'_>,
    rule: &Rule,
) -> Looked<Result<Vec<PlannedRule>, Diagnostic>> {
    let (mut planned, mut pending) = (Vec::new(), false);
    let pulls = asking.steps.iter().filter_map(|step| step.pull_request.as_ref());
    let mut targets: Vec<(&RepoName, Vec<&RepoPath>, &crate::domain::Branch)> = Vec::new();
    for pull in pulls.filter(|pull| !pull.changes.is_empty()) {
        let paths = pull.changes.iter().map(|change| &change.path);
        match targets.iter_mut().find(|(repository, ..)| *repository == &pull.repository) {
            Some((_, known, _)) => known.extend(paths),
            None => targets.push((&pull.repository, paths.collect(), &pull.base)),
        }
    }
    for (repository, paths, base) in targets {
        let file = match owners_of(site, repository, base) {
            Err(Pending) => {
                pending = true;
                continue;
            }
            Ok(Err(problem)) => return Ok(Err(problem)),
            Ok(Ok(file)) => file,
        };
        let (groups, nobodys) = file.groups(paths.into_iter());
        if let Some(path) = nobodys.first() {
            let place = Place::file(format!("{repository}: {path}"));
            let message = format!(
                "`{path}` in `{repository}` has no code owner, and the rule `{}` asks for one",
                rule.name
            );
            let problem = Diagnostic::error("code-owners", place, message);
            return Ok(Err(
                problem.help(format!("the owners of `{repository}` must name somebody for it in CODEOWNERS"))
            ));
        }
        for (owners, path) in groups {
            let mut one = blank(rule);
            one.name = format!("{} of {path} in {repository}", rule.name);
            one.writes_to = Some(repository.clone());
            for owner in owners {
                match owner {
                    Owner::User(login) => one.users.push(login),
                    Owner::Team(team) => one.forge_teams.push(team),
                    Owner::Mail(_) => {}
                }
            }
            planned.push(one);
        }
    }
    if pending { Err(Pending) } else { Ok(Ok(planned)) }
}

fn owners_of(
    site: &Site<'_>,
    repository: &RepoName,
    base: &crate::domain::Branch,
) -> Looked<Result<CodeOwners, Diagnostic>> {
    let problem = |place: &str, message: String| {
        Diagnostic::error("code-owners", Place::file(format!("{repository}: {place}")), message)
            .help(format!("the owners of `{repository}` must mend it"))
    };
    let head = match site.look.head(repository, base)? {
        Ok(Some(head)) => head,
        Ok(None) => return Ok(Err(problem(PLACES[0], format!("`{repository}` has no branch `{base}`")))),
        Err(why) => {
            return Ok(Err(problem(PLACES[0], format!("`{repository}` could not be looked at: {why}"))));
        }
    };
    let places = PLACES.map(|place| place.parse::<RepoPath>().expect("a plain name makes a path"));
    let found: Vec<_> = places.iter().map(|place| (place, site.look.file(repository, head, place))).collect();
    for (place, file) in found {
        match file? {
            Ok(None) => {}
            Err(why) => {
                return Ok(Err(problem(place.as_str(), format!("`{place}` could not be read: {why}"))));
            }
            Ok(Some(file)) => {
                return Ok(CodeOwners::parse(&file.bytes).map_err(|(line, why)| {
                    problem(
                        &format!("{place}:{line}"),
                        format!("line {line} of `{place}` cannot be read: {why}"),
                    )
                }));
            }
        }
    }
    Ok(Err(problem(PLACES[0], format!("`{repository}` has no CODEOWNERS"))))
}

/// Whether those who ask may, with what they ask.
///
/// # Errors
/// `Pending` while answers are awaited; inside, who may not, or why that cannot be told.
pub(super) fn may_ask_this(
    site: &Site<'_>,
    asking: &Asking<'_>,
    place: &Place,
) -> Looked<Result<(), Diagnostic>> {
    if ttl::asks(site, &asking.accepted.request.id, asking.people) {
        return Ok(Ok(()));
    }
    let Execute::Named(askers) = &asking.action.execute else {
        return Ok(match &asking.accepted.request.on_behalf_of {
            None => Ok(()),
            Some(other) => Err(not_for_others(asking, None, other, place)),
        });
    };
    let owned = owned_by(site, asking, askers);
    let condition = condition(site, asking, askers, place);
    let on_behalf = on_behalf(site, asking, askers, place);
    let owned = owned?;
    for login in asking.people {
        match named(site, askers, login)? {
            Ok(true) => continue,
            Ok(false) if !askers.owners.is_empty() => {}
            Ok(false) => continue, // Judged before anything else was looked at.
            Err(why) => return Ok(Err(cannot_tell(asking, login, place, &why))),
        }
        match &owned {
            Ok(owners) if owners.contains(login) => {}
            Ok(_) => {
                let ways: Vec<String> = askers.owners.iter().map(|way| format!("`{way}`")).collect();
                let message = format!(
                    "`{login}` may not ask for `{}` here: it is for those who own {}",
                    asking.action.identifier,
                    ways.join(" or ")
                );
                let problem = Diagnostic::error("not-allowed", place.clone(), message);
                return Ok(Err(problem.help("ask a member of the team that owns it")));
            }
            Err(why) => return Ok(Err(cannot_tell(asking, login, place, why))),
        }
    }
    if let Err(problem) = on_behalf? {
        return Ok(Err(problem));
    }
    condition
}

fn cannot_tell(asking: &Asking<'_>, login: &Login, place: &Place, why: &str) -> Diagnostic {
    let message =
        format!("it could not be learnt whether `{login}` may ask for `{}`: {why}", asking.action.identifier);
    Diagnostic::error("not-allowed", place.clone(), message)
        .help("the platform team must mend whom the action names")
}

/// Whether somebody is named, without regard to what is asked.
fn named(site: &Site<'_>, askers: &Askers, login: &Login) -> Looked<Result<bool, String>> {
    among(site, login, &askers.users, &askers.teams)
}

/// Whether somebody is one of these, or a member of one of these teams.
///
/// # Errors
/// `Pending` while answers are awaited; inside, why it cannot be told.
pub(super) fn among(
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
        match people::members(site.look, site.definitions, site.catalog, team) {
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

/// Whoever owns what the ways of `askers` lead to.
///
/// # Errors
/// `Pending` while answers are awaited; inside, why that cannot be told.
pub(super) fn owned_by(
    site: &Site<'_>,
    asking: &Asking<'_>,
    askers: &Askers,
) -> Looked<Result<BTreeSet<Login>, String>> {
    let (mut ids, mut pending): (BTreeSet<EntityId>, bool) = (BTreeSet::new(), false);
    for way in &askers.owners {
        match people::reached(site, asking.action, asking.accepted, way) {
            Err(Pending) => pending = true,
            Ok(Ok(found)) => ids.extend(found),
            Ok(Err(why)) => return Ok(Err(why)),
        }
    }
    let mut owners = BTreeSet::new();
    for id in &ids {
        match people::owners(site.look, site.definitions, site.catalog, id) {
            Err(Pending) => pending = true,
            Ok(Ok(people)) => owners.extend(people),
            Ok(Err(why)) => return Ok(Err(why)),
        }
    }
    if pending { Err(Pending) } else { Ok(Ok(owners)) }
}

fn condition(
    site: &Site<'_>,
    asking: &Asking<'_>,
    askers: &Askers,
    place: &Place,
) -> Looked<Result<(), Diagnostic>> {
    let Some(text) = &askers.condition else { return Ok(Ok(())) };
    let at = action_place(site, asking);
    let programs = || [text].into_iter();
    if let Some(problem) = nobody_named(asking, programs(), place) {
        return Ok(Err(problem));
    }
    let contexts = match asking::contexts(site, asking, true)? {
        Ok(contexts) => contexts,
        Err(why) => return Ok(Err(unknown(&at, why))),
    };
    let mut pending = false;
    for mut context in contexts {
        let results = match results(site, askers, &context) {
            Err(Pending) => {
                pending = true;
                continue;
            }
            Ok(Err(why)) => return Ok(Err(unknown(&at, format!("`execute.queries`: {why}")))),
            Ok(Ok(results)) => results,
        };
        context["results"] = Value::Object(results);
        let who = context["requester"]["login"].as_str().unwrap_or("who asks").to_owned();
        match holds(text, &context) {
            Ok(true) => {}
            Ok(false) => {
                let message = format!(
                    "`{who}` may not ask for this: `execute.condition` of `{}` does not hold, `{text}`",
                    asking.action.identifier
                );
                let problem = Diagnostic::error("not-allowed", place.clone(), message);
                return Ok(Err(problem.help("ask for something that it allows, or ask the platform team")));
            }
            Err(why) => {
                return Ok(Err(unknown(&at, format!("`execute.condition` cannot be told: {why}"))));
            }
        }
    }
    if pending { Err(Pending) } else { Ok(Ok(())) }
}

/// What the named queries find: identifiers, in their order.
fn results(site: &Site<'_>, askers: &Askers, context: &Value) -> Looked<Result<Map<String, Value>, String>> {
    let (mut found, mut pending) = (Map::new(), false);
    for (name, asked) in &askers.queries {
        let query = match resolved(&asked.query, &mut |text, _| answer(text, context)) {
            Ok(query) => query,
            Err(why) => return Ok(Err(why)),
        };
        let now = match is_timely(&query).then(|| site.look.now()) {
            None => None,
            Some(Err(Pending)) => {
                pending = true;
                continue;
            }
            Some(Ok(Ok(now))) => Some(now),
            Some(Ok(Err(why))) => return Ok(Err(format!("the time could not be learnt: {why}"))),
        };
        let search = Search {
            blueprint: asked.blueprint.clone(),
            queries: vec![query.to_string()],
            sort: None,
            now,
            changes: Vec::new(),
        };
        match site.look.search(site.catalog, search) {
            Err(Pending) => pending = true,
            Ok(Err(why)) => return Ok(Err(format!("`{name}` was not answered: {why}"))),
            Ok(Ok(answers)) => {
                let ids = answers.first().into_iter().flatten();
                found.insert(
                    name.clone(),
                    json!(ids.map(crate::domain::Identifier::as_str).collect::<Vec<_>>()),
                );
            }
        }
    }
    if pending { Err(Pending) } else { Ok(Ok(found)) }
}

fn on_behalf(
    site: &Site<'_>,
    asking: &Asking<'_>,
    askers: &Askers,
    place: &Place,
) -> Looked<Result<(), Diagnostic>> {
    let Some(other) = &asking.accepted.request.on_behalf_of else { return Ok(Ok(())) };
    for login in asking.people {
        let allowed = match &askers.on_behalf {
            None => Ok(false),
            Some(people) => among(site, login, &people.users, &people.teams)?,
        };
        match allowed {
            Ok(true) => {}
            Ok(false) => return Ok(Err(not_for_others(asking, Some(login), other, place))),
            Err(why) => return Ok(Err(cannot_tell(asking, login, place, &why))),
        }
    }
    Ok(Ok(()))
}

fn not_for_others(asking: &Asking<'_>, login: Option<&Login>, other: &Login, place: &Place) -> Diagnostic {
    let who = login.map_or_else(|| "nobody".to_owned(), |login| format!("`{login}` may not"));
    let message = match login {
        Some(_) => format!("{who} ask for `{}` on behalf of `{other}`", asking.action.identifier),
        None => format!("nobody may ask for `{}` on behalf of others", asking.action.identifier),
    };
    Diagnostic::error("not-allowed", place.clone(), message)
        .help(format!("`{other}` can ask; or leave out `onBehalfOf`"))
}
