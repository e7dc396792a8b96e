//! Why does a request stand as it does? What each policy and each rule sees, told by the functions that decide.
//!
//! Where no forge is asked, the reviews that are said to be given are put on a pull request that is made up, and judged as
//! any other.

mod open;

use std::collections::{BTreeMap, BTreeSet};

pub use open::{Opened, open};

use serde::Serialize;

use crate::{
    catalog::Definitions,
    domain::{
        Activity, ActivityKind, Attribution, CheckId, CheckRun, Diagnostic, Execute, Known, Login, ObjectId,
        Place, Pull, PullCommit, PullState, RUN_TRAILER, RequestId, Review, ReviewState, Timestamp, trailers,
    },
    plan::{
        admit,
        approval::{self, Case, Judgement, RuleState},
        asking::{self, Asking},
        build::Site,
        facts::{ChainCommit, ChainKind, Facts, Here, Looked, Looker, Pending, Question},
        message, people,
        plan_file::{Does, Plan, PlannedRule},
        policy::{self, Moment, Says},
        preview::with_site,
        review, rules,
    },
};

/// What is explained.
pub struct Of<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Who asks.
    pub people: &'a BTreeSet<Login>,
    /// What reviewers said, and when.
    pub evidence: &'a Evidence,
    /// Whether it was merged, so that what came after it does not count.
    pub is_merged: bool,
}

/// What the forge knows of a pull request, or would know.
#[derive(Debug, Clone)]
pub struct Evidence {
    pull: Pull,
    activity: Vec<Activity>,
    chain: Vec<ChainCommit>,
    key: String,
    until: Option<Timestamp>,
}

impl Evidence {
    /// A pull request that is made up: `people` opened it, the plan was committed and checked, and then these reviews
    /// came, in their order. `until` is when it was merged.
    pub fn made_up(
        here: &Here,
        plan: &Plan,
        people: &BTreeSet<Login>,
        now: Timestamp,
        until: Option<Timestamp>,
        said: &[(Login, ReviewState)],
    ) -> Self {
        let before = |seconds: i64| Timestamp::from_seconds(now.seconds() - seconds);
        let commit = |what: &str| ObjectId::of_blob(format!("{what} of {}", plan.request).as_bytes());
        let (asked, planned) = (commit("request"), commit("plan"));
        let author = people.first().unwrap_or(&here.me).clone();
        let pushed = |actor: &Login, kind, after, at| Activity {
            actor: Some(actor.clone()),
            kind,
            before: None,
            after: Some(after),
            at,
        };
        let check = CheckRun {
            id: CheckId::Run(1),
            external_id: plan.key.clone(),
            conclusion: None,
            started_at: before(2),
            title: String::new(),
        };
        let of = |id, people, checks| PullCommit { id, parents: Vec::new(), people, checks };
        let commits = vec![
            of(asked, vec![Attribution::Account(author.clone())], Vec::new()),
            of(planned, vec![Attribution::Account(here.me.clone())], vec![check]),
        ];
        let reviews = (1..).zip(said).map(|(id, (login, state))| Review {
            id,
            author: Some(login.clone()),
            state: *state,
            submitted_at: before(1),
            commit: Some(planned),
            dismissed: None,
        });
        let pull = Pull {
            repository: here.catalog.clone(),
            number: 1,
            author: Some(author.clone()),
            title: String::new(),
            body: String::new(),
            state: if until.is_some() { PullState::Merged } else { PullState::Open },
            draft: false,
            head_repository: Some(here.catalog.clone()),
            head_branch: None,
            head: planned,
            base_branch: here.branch.clone(),
            created_at: before(3),
            merged_at: until,
            merged_by: None,
            merge_commit: None,
            closed_at: until,
            closed_by: None,
            last_closed: None,
            left_queue: None,
            reviews: Known::Yes(reviews.collect()),
            commits: Known::Yes(commits),
            comments: Vec::new(),
            remarks: Vec::new(),
            requested: Vec::new(),
            labels: BTreeSet::new(),
            url: String::new(),
        };
        let ordinary = |id| ChainCommit { id, kind: ChainKind::Ordinary, paths: BTreeSet::new() };
        Self {
            pull,
            activity: vec![
                pushed(&author, ActivityKind::Created, asked, before(3)),
                pushed(&here.me, ActivityKind::Pushed, planned, before(2)),
            ],
            chain: vec![ordinary(planned), ordinary(asked)],
            key: plan.key.clone(),
            until,
        }
    }

    /// Everybody who submitted an approval.
    fn approvers(&self) -> BTreeSet<Login> {
        let Known::Yes(reviews) = &self.pull.reviews else { return BTreeSet::new() };
        let approvals = reviews.iter().filter(|review| review.state == ReviewState::Approved);
        approvals.filter_map(|review| review.author.clone()).collect()
    }
}

/// How a request stands, and why.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Each policy.
    pub policies: Vec<PolicyTold>,
    /// Each rule of approval, in their order.
    pub rules: Vec<RuleTold>,
    /// Who asked for changes.
    pub refused_by: BTreeSet<Login>,
    /// Why nobody's approval can count.
    pub blocked: Vec<String>,
    /// Until when it is frozen, and by what, where no exception is approved.
    pub frozen: Vec<String>,
    /// Whether everybody agreed who must.
    pub approved: bool,
    /// What is missing for that; nothing if it is approved.
    pub missing: Option<String>,
}

/// A policy and what it says.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyTold {
    /// Its identifier, or the path of one that cannot be read.
    pub policy: String,
    /// In one word.
    pub verdict: Verdict,
    /// What it saw and says.
    pub says: Vec<String>,
}

/// What a policy says, in one word; of several the gravest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It is about other requests, or its `when` does not hold.
    NotConcerned,
    /// It has nothing against it.
    Allows,
    /// Somebody more must approve.
    AddsApproval,
    /// Nothing is carried out now.
    Freezes,
    /// It cannot be said yet.
    Waits,
    /// It is refused.
    Refuses,
}

impl Verdict {
    /// In words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::NotConcerned => "does not concern it",
            Self::Allows => "allows it",
            Self::AddsApproval => "adds approvals",
            Self::Freezes => "freezes it",
            Self::Waits => "cannot say yet",
            Self::Refuses => "refuses it",
        }
    }
}

/// A rule of approval and how it stands.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleTold {
    /// Its name.
    pub name: String,
    /// What it says.
    pub says: String,
    /// Whom it names: each group with its people.
    pub named: Vec<Group>,
    /// Who could give it; none where that is anybody with write access who took no part.
    pub could: Option<BTreeSet<Login>>,
    /// Everybody who approved, and whether it counts here.
    pub people: Vec<Person>,
    /// How many are missing.
    pub missing: usize,
    /// Whether it holds.
    pub holds: bool,
    /// Why it cannot be satisfied.
    pub problem: Option<String>,
}

/// People whom a rule names together.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// Which: `team x`, `owners of service/y`.
    pub group: String,
    /// Its people.
    pub people: BTreeSet<Login>,
    /// Why they are not known.
    pub unknown: Option<String>,
}

/// Somebody who approved.
#[derive(Debug, Clone, Serialize)]
pub struct Person {
    /// Who.
    pub login: Login,
    /// Why it does not count; nothing if it does.
    pub void: Option<String>,
}

/// How a request stands, and why.
///
/// # Errors
/// What must be known first; inside, what is wrong with the catalog's definitions.
pub fn account(
    definitions: &Definitions,
    facts: &Facts,
    catalog: ObjectId,
    of: &Of<'_>,
) -> Result<Result<Account, Vec<Diagnostic>>, BTreeSet<Question>> {
    let look = Looker::new(facts);
    match with_site(definitions, &look, catalog, |site| Ok(Ok(stands(site, of)?))) {
        Ok(account) => Ok(account),
        Err(Pending) => Err(look.missing()),
    }
}

fn stands(site: &Site<'_>, of: &Of<'_>) -> Looked<Account> {
    let Evidence { pull, activity, chain, key, until } = of.evidence;
    let concerned = of.plan.asked.concerned(of.people);
    let judge = |rules: &[PlannedRule]| {
        let (requesters, catalog) = (&concerned, site.catalog);
        let case = Case { rules, requesters, pull, activity, chain, key, until: *until, catalog };
        approval::judge(site.look, site.here, site.definitions, &case)
    };
    let judgement = judge(&of.plan.approval);
    let held = review::held(site, of.people, of.plan, &judge);
    let policies = policies(site, of, held.as_deref().unwrap_or_default());
    let named: Vec<_> = of.plan.approval.iter().map(|rule| groups(site, rule)).collect();
    let (judgement, named) = (judgement?, named.into_iter().collect::<Looked<Vec<_>>>()?);
    let approvers = of.evidence.approvers();
    let told = |((rule, state), named): ((&PlannedRule, &RuleState), Vec<Group>)| {
        let person = |login: &Login| Person {
            login: login.clone(),
            void: why_not(rule, state, &named, &judgement, &concerned, login),
        };
        RuleTold {
            name: rule.name.clone(),
            says: message::rule_as_written(rule).replace("**", ""),
            could: state.candidates.as_ref().map(|open| {
                let may = |login: &&Login| {
                    let is_named = named.iter().any(|group| group.people.contains(*login));
                    let took_part = !rule.self_approval && concerned.contains(*login);
                    is_named && !took_part && !judgement.void.contains_key(*login)
                };
                open.iter().chain(approvers.iter().filter(may)).cloned().collect()
            }),
            people: approvers.iter().map(person).collect(),
            missing: state.missing,
            holds: state.holds(),
            problem: state.problem.clone(),
            named,
        }
    };
    let rules = of.plan.approval.iter().zip(&judgement.rules).zip(named).map(told).collect();
    Ok(Account {
        policies: policies?,
        rules,
        approved: judgement.is_given(),
        missing: (!judgement.is_given()).then(|| missing(&judgement)),
        refused_by: judgement.refused_by,
        blocked: judgement.blocked,
        frozen: held?.into_iter().map(|held| held.short).collect(),
    })
}

fn missing(judgement: &Judgement) -> String {
    let refusals = judgement.refused_by.iter().map(|login| format!("`{login}` asks for changes"));
    let refusals: Vec<String> = refusals.collect();
    let all_hold = judgement.rules.iter().all(RuleState::holds);
    let rules = (!all_hold || refusals.is_empty()).then(|| message::missing(judgement).replace("**", ""));
    refusals.into_iter().chain(rules).collect::<Vec<_>>().join("; ")
}

/// Why somebody's approval does not count for a rule, in the words of the judgement wherever it has some.
fn why_not(
    rule: &PlannedRule,
    state: &RuleState,
    named: &[Group],
    judgement: &Judgement,
    concerned: &BTreeSet<Login>,
    login: &Login,
) -> Option<String> {
    if state.given.contains(login) {
        return None;
    }
    if judgement.refused_by.contains(login) {
        return Some("asks for changes now".to_owned());
    }
    if let Some(why) = judgement.void.get(login) {
        return Some(why.clone());
    }
    if !rule.self_approval && concerned.contains(login) {
        return Some("asked for it".to_owned());
    }
    let is_named = named.iter().any(|group| group.people.contains(login));
    if let Some(problem) = &state.problem
        && !is_named
    {
        return Some(match named.iter().any(|group| group.unknown.is_some()) {
            true => "who is named by it is not known".to_owned(),
            false => format!("it cannot be told: {problem}"),
        });
    }
    if !is_named && !rule.writers {
        return Some("is not named by it".to_owned());
    }
    let other = judgement.rules.iter().find(|other| {
        rule.distinct && other.distinct && other.name != state.name && other.given.contains(login)
    });
    Some(match other {
        Some(other) => format!("stands for the rule `{}`, and each needs people of its own", other.name),
        None if rule.distinct => "the rule has enough without it".to_owned(),
        None => "may not approve this request, or not the last thing that was said".to_owned(),
    })
}

/// Whom a rule names.
fn groups(site: &Site<'_>, rule: &PlannedRule) -> Looked<Vec<Group>> {
    let (look, definitions, catalog) = (site.look, site.definitions, site.catalog);
    let teams = rule
        .teams
        .iter()
        .map(|team| (format!("team {team}"), people::members(look, definitions, catalog, team)));
    let forge = rule.forge_teams.iter().map(|team| (format!("team {team}"), people::of_forge(look, team)));
    let owners = rule
        .owners
        .iter()
        .map(|id| (format!("owners of {id}"), people::owners(look, definitions, catalog, id)));
    let groups: Vec<_> = teams.chain(forge).chain(owners).collect();
    let users = (!rule.users.is_empty()).then(|| Group {
        group: "by name".to_owned(),
        people: rule.users.iter().cloned().collect(),
        unknown: None,
    });
    let mut all: Vec<Group> = users.into_iter().collect();
    for (group, found) in groups {
        let (people, unknown) = match found? {
            Ok(people) => (people, None),
            Err(why) => (BTreeSet::new(), Some(why)),
        };
        all.push(Group { group, people, unknown });
    }
    Ok(all)
}

fn policies(site: &Site<'_>, of: &Of<'_>, held: &[review::Held]) -> Looked<Vec<PolicyTold>> {
    let Some(action) = site.definitions.actions.get(&of.plan.asked.action) else { return Ok(Vec::new()) };
    let unclear = |why: String| {
        let of = |policy: &crate::domain::PolicyId| PolicyTold {
            policy: policy.to_string(),
            verdict: Verdict::Waits,
            says: vec![why.clone()],
        };
        Ok(site.definitions.policies.keys().map(of).collect())
    };
    let accepted = match asking::accepted(site, &action.value, of.plan)? {
        Ok(accepted) => accepted,
        Err(why) => return unclear(why),
    };
    let asking = Asking {
        action: &action.value,
        accepted: &accepted,
        people: of.people,
        steps: &of.plan.steps,
        entities: &of.plan.entities,
    };
    let moment = if of.is_merged { Moment::Merged } else { Moment::Planned };
    let told = policy::told(site, &of.plan.request, &asking, moment);
    let frozen = policy::frozen(site, &asking);
    let mut all: BTreeMap<String, PolicyTold> =
        told?.into_iter().map(|(policy, says)| (policy.clone(), one_policy(policy, says))).collect();
    match frozen? {
        // What fails is told by the policy that fails.
        Err(_) => {}
        Ok(frozen) => {
            for freeze in frozen {
                let Some(told) = all.get_mut(freeze.policy.as_str()) else { continue };
                let unless: Vec<String> = freeze
                    .unless
                    .iter()
                    .map(|rule| message::rule_as_written(rule).replace("**", ""))
                    .collect();
                let is_held = held.iter().any(|held| held.policy.as_ref() == Some(&freeze.policy));
                let unless = match (&unless[..], is_held) {
                    ([], _) => String::new(),
                    (unless, true) => format!(" unless {} approve", unless.join(" and ")),
                    (unless, false) => format!(", and {} made an exception", unless.join(" and ")),
                };
                told.says.push(format!("frozen {}{unless}", freeze.until()));
                if is_held && matches!(told.verdict, Verdict::Allows | Verdict::AddsApproval) {
                    told.verdict = Verdict::Freezes;
                }
            }
        }
    }
    Ok(all.into_values().collect())
}

fn one_policy(policy: String, says: Says) -> PolicyTold {
    let (verdict, says) = match says {
        Says::OfOthers => {
            (Verdict::NotConcerned, vec!["it is about other actions and blueprints".to_owned()])
        }
        Says::NotWhen => (Verdict::NotConcerned, vec!["its `when` does not hold".to_owned()]),
        Says::Follows(ruling, noted) => {
            let verdict = match (&ruling.refusals[..], &ruling.waits[..], &ruling.rules[..]) {
                ([_, ..], ..) => Verdict::Refuses,
                (_, [_, ..], _) => Verdict::Waits,
                (.., [_, ..]) => Verdict::AddsApproval,
                _ => Verdict::Allows,
            };
            let refusals = ruling.refusals.into_iter().map(|refusal| refusal.message);
            let rules = ruling.rules.iter().map(|rule| message::rule_as_written(rule).replace("**", ""));
            (verdict, refusals.chain(ruling.waits).chain(rules).chain(noted).collect())
        }
    };
    PolicyTold { policy, verdict, says }
}

/// Whether somebody may ask for what a plan holds: why, or why not.
///
/// # Errors
/// What must be known first; inside, why not.
pub fn may_ask(
    definitions: &Definitions,
    facts: &Facts,
    catalog: ObjectId,
    plan: &Plan,
    login: &Login,
) -> Result<Result<String, Vec<Diagnostic>>, BTreeSet<Question>> {
    let look = Looker::new(facts);
    match with_site(definitions, &look, catalog, |site| may(site, plan, login)) {
        Ok(why) => Ok(why),
        Err(Pending) => Err(look.missing()),
    }
}

fn may(site: &Site<'_>, plan: &Plan, login: &Login) -> Looked<Result<String, Vec<Diagnostic>>> {
    let place = Place::file(format!("requests/{}/request.yaml", plan.request));
    let action = match admit::action(site.definitions, &plan.asked.action, place.clone()) {
        Ok(action) => action,
        Err(problem) => return Ok(Err(vec![problem])),
    };
    let people = BTreeSet::from([login.clone()]);
    let allowed = admit::may_ask(site, action, &people, &place);
    let accepted = match asking::accepted(site, action, plan)? {
        Ok(accepted) => accepted,
        Err(why) => return Ok(Err(vec![Diagnostic::error("rule-unknown", place, why)])),
    };
    let asking =
        Asking { action, accepted: &accepted, people: &people, steps: &plan.steps, entities: &plan.entities };
    let with_this = rules::may_ask_this(site, &asking, &place);
    let why = why_may_ask(site, &asking, login);
    if let Err(problem) = allowed? {
        return Ok(Err(vec![problem]));
    }
    if let Err(problem) = with_this? {
        return Ok(Err(vec![problem]));
    }
    Ok(Ok(why?))
}

/// What lets somebody ask who may.
fn why_may_ask(site: &Site<'_>, asking: &Asking<'_>, login: &Login) -> Looked<String> {
    let written = "has write access to the catalog, and `execute` names nobody".to_owned();
    let Execute::Named(askers) = &asking.action.execute else { return Ok(written) };
    let mut ways = Vec::new();
    if askers.users.contains(login) {
        ways.push("is named by `execute.users`".to_owned());
    }
    for team in &askers.teams {
        if rules::among(site, login, &[], std::slice::from_ref(team))? == Ok(true) {
            ways.push(format!("is a member of the team `{team}`"));
        }
    }
    for way in &askers.owners {
        let alone = crate::domain::Askers { owners: vec![way.clone()], ..askers.clone() };
        if rules::owned_by(site, asking, &alone)?.is_ok_and(|owners| owners.contains(login)) {
            ways.push(format!("owns what `{way}` leads to"));
        }
    }
    if ways.is_empty() {
        ways.push(written);
    }
    if let Some(condition) = &askers.condition {
        ways.push(format!("`{condition}` holds"));
    }
    Ok(ways.join(", and "))
}

/// What is done once a plan was merged, in a few words each.
pub fn deeds(plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter().filter(|step| !step.is_nothing()).filter_map(|step| {
        Some(match step.does()? {
            Does::Pull(pull) => format!("open a pull request in {}", pull.repository),
            Does::Workflow(workflow) => format!("run {} of {}", workflow.workflow, workflow.repository),
            Does::Webhook(webhook) => format!("call {} {}", webhook.method, webhook.url),
            Does::Script(script) => format!("run {}", script.run),
        })
    });
    let entities = plan.entities.iter().map(|entity| format!("{} {}", entity.change.name(), entity.entity));
    steps.chain(entities).collect()
}

/// The trailer that records a run, if one of these messages has it.
pub fn trailer(messages: &[String], id: &RequestId) -> Option<String> {
    let all = messages.iter().flat_map(|message| trailers(message, RUN_TRAILER));
    let mut of_run = all.filter(|trailer| trailer.split(' ').next() == Some(id.as_str()));
    of_run.next().map(|trailer| format!("{RUN_TRAILER}: {trailer}"))
}
