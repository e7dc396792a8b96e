//! Was everything that was executed agreed to? Judged apart from the program: from what people did and said, in the order in
//! which it happened, and from what stood on the default branch when a pass last looked before it acted.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
};

use chandlery::{
    domain::{Branch, Change, Changes, Login, ObjectId, PullState, Remark, RepoPath, RequestId, Run, Stage},
    plan::{
        message,
        step::{Call, Work},
    },
};
use serde_yaml::Value;

use super::made_up::{FEW, ONCE};
use crate::world::{
    Deed, Repo, fixture,
    simulated::{Effect, Simulated},
};

/// What must hold at the end of a history.
pub(super) fn judge(world: &Simulated, stages: &BTreeMap<RequestId, Stage>) -> Result<(), String> {
    once(world)?;
    let begun = consent(world)?;
    queued(world)?;
    pinned(&world.log)?;
    bounds(world, &begun, stages)?;
    valid(world)
}

/// Whether what is pushed there ends in the catalog.
fn is_for_records(branch: &Branch) -> bool {
    let ours = ["chandlery/state/", "chandlery/run/"];
    branch.as_str() == "main" || ours.iter().any(|folder| branch.as_str().starts_with(folder))
}

/// At most one of each effect, and nothing of others taken away.
fn once(world: &Simulated) -> Result<(), String> {
    if let Some(lost) = world.log.iter().find(|effect| matches!(effect, Effect::Lost { .. })) {
        return Err(format!("commits of others are gone: {lost:?}"));
    }
    let mut records: BTreeMap<RepoPath, usize> = BTreeMap::new();
    let mut successes: BTreeSet<RepoPath> = BTreeSet::new();
    for effect in world.log.iter() {
        if let Effect::Pushed { changes, branch, .. } = effect
            && branch.as_str() == "main"
        {
            for (path, change) in changes.iter() {
                if path.file_name() == "run.yaml"
                    && let Change::Put(bytes) = change
                {
                    let run: Run = serde_yaml::from_slice(bytes).map_err(|why| why.to_string())?;
                    *records.entry(path.clone()).or_default() += usize::from(run.status.is_end());
                    if run.status == Stage::Success && !successes.insert(path.clone()) {
                        return Err(format!("{} was carried out twice", run.request));
                    }
                }
            }
        }
    }
    let removed: BTreeSet<String> = world
        .log
        .iter()
        .filter_map(|effect| match effect {
            Effect::Deed(Deed::Remove { id, .. }) => Some(format!("requests/{id}/run.yaml")),
            _ => None,
        })
        .collect();
    if let Some((path, count)) =
        records.iter().find(|(path, count)| **count > 1 && !removed.contains(path.as_str()))
    {
        return Err(format!("{path} was written {count} times"));
    }
    for repository in [Repo::Catalog, Repo::Infra] {
        let mut branches: BTreeMap<String, usize> = BTreeMap::new();
        for pull in world.pulls(repository) {
            if pull.author.as_ref().is_some_and(Login::is_app) && pull.state != PullState::Closed {
                *branches.entry(pull.head_branch.as_ref().unwrap().to_string()).or_default() += 1;
            }
            let mut markers = BTreeSet::new();
            for comment in &pull.comments {
                if !markers.insert(message::marker_of(&comment.body).to_owned()) {
                    return Err(format!(
                        "two comments of one purpose on {}#{}",
                        pull.repository, pull.number
                    ));
                }
            }
        }
        if let Some((branch, _)) = branches.iter().find(|(_, count)| **count > 1) {
            return Err(format!("two pull requests from {branch}"));
        }
    }
    let said = world
        .log
        .iter()
        .filter(|effect| matches!(effect, Effect::Called(Call::Say { comment: None, .. })))
        .count();
    let things = world.numbers(Repo::Catalog).len() + world.issues().len();
    // Two passes at once may both write a comment; more than that is chatter.
    if said > 2 * things + 4 {
        return Err(format!("{said} comments for {things} issues and pull requests"));
    }
    Ok(())
}
/// What was known when something was done: all until a pass last looked.
fn seen(log: &[Effect], until: usize) -> &[Effect] {
    let looked = log[..until].iter().rposition(|effect| *effect == Effect::Looked);
    &log[..looked.unwrap_or(until)]
}

/// Nothing is executed without approval of exactly what was merged. Gives what was begun: which request of whom, by its slug.
fn consent(world: &Simulated) -> Result<BTreeMap<String, String>, String> {
    let log = &world.log;
    let mut begun: BTreeMap<String, String> = BTreeMap::new();
    let mut attempts = BTreeSet::new();
    for (index, effect) in log.iter().enumerate() {
        let mut executed = Vec::new();
        match effect {
            Effect::Pushed { repository, branch, .. } if *repository == Repo::Infra.name() => {
                executed.extend(slug_of(branch));
            }
            Effect::Pushed { branch, changes, .. } if is_for_records(branch) => {
                for run in runs(changes) {
                    let run = run?;
                    if run.status == Stage::Success || !run.status.is_end() {
                        executed.push(run.request.slug());
                    }
                    if run.status == Stage::Success {
                        ended(world, index, &run)?;
                    }
                }
            }
            Effect::Asked(backend) => {
                executed.push(backend.attempt.request.slug());
                let is_begun_once = !matches!(backend.work, Work::Send(_) | Work::Cancel { .. });
                if is_begun_once && !attempts.insert(backend.attempt.clone()) {
                    return Err(format!("{} was begun twice", backend.attempt));
                }
            }
            Effect::Called(Call::Merge { repository, number, .. }) if *repository == Repo::Infra.name() => {
                let pull = world.pulls(Repo::Infra).into_iter().find(|pull| pull.number == *number);
                if let Some(slug) = pull.and_then(|pull| slug_of(&pull.head_branch?)) {
                    let brought = Brought::by(world, &slug, index)?;
                    frozen(&Says::of(world, &brought), &brought, seen(log, index))?;
                }
            }
            _ => {}
        }
        for slug in executed {
            if let Entry::Vacant(new) = begun.entry(slug) {
                let brought = Brought::by(world, new.key(), index)?;
                agreed(world, &brought, index)?;
                new.insert(brought.author);
            }
        }
        if let Effect::Asked(backend) = effect {
            let brought = Brought::by(world, &backend.attempt.request.slug(), index)?;
            asked(&backend.work, &brought)?;
        }
    }
    Ok(begun)
}

/// Our check lets nothing through a merge queue that did not hold when a pass last looked, and leaves nobody waiting.
fn queued(world: &Simulated) -> Result<(), String> {
    if let Some(number) = world.waiting(Repo::Catalog).first() {
        return Err(format!("catalog#{number} waits in the merge queue for ever"));
    }
    for (index, effect) in world.log.iter().enumerate() {
        let Effect::Merged { repository: Repo::Catalog, number, folders, let_through: true } = effect else {
            continue;
        };
        for (id, _) in folders {
            let brought = Brought::by(world, &id.replace('/', "-"), index + 1)?;
            if brought.at != index {
                continue;
            }
            let now = seen(&world.log, index);
            let says = Says::at(world, &brought, (Repo::Catalog, *number), now.len());
            if !says.refusals.is_empty() {
                return Err(format!(
                    "{id} left the queue merged though {:?} asked for changes",
                    says.refusals
                ));
            }
            says.satisfy(&rules(world, &brought, now), &brought, &format!("what the queue merged: {id}"))?;
            for policy in policies(now, &brought).iter().filter(|policy| !policy["deny"].is_null()) {
                let is_large = brought.request["inputs"]["size"].as_i64().unwrap_or(1) > 4;
                if policy["when"].as_str() != Some(".inputs.size > 4") || is_large {
                    return Err(format!(
                        "the queue merged {id} against the policy {:?}",
                        policy["identifier"]
                    ));
                }
            }
        }
    }
    Ok(())
}

/// What we merge, or put into a queue, is what a pass last saw: whoever changes it meanwhile has it looked at again.
fn pinned(log: &[Effect]) -> Result<(), String> {
    for (index, effect) in log.iter().enumerate() {
        let Effect::Called(Call::Merge { repository, number, .. } | Call::Enqueue { repository, number, .. }) =
            effect
        else {
            continue;
        };
        let is_there = |deed: &Deed| match deed {
            Deed::Push { pull, .. }
            | Deed::Tamper { pull, .. }
            | Deed::Rewind { pull, .. }
            | Deed::UpdateBranch { pull, .. } => *repository == Repo::Catalog.name() && pull == number,
            Deed::Meddle { at, .. } => *repository == Repo::Infra.name() && at == number,
            _ => false,
        };
        let unseen = log[seen(log, index).len()..index].iter().find_map(|effect| match effect {
            Effect::Deed(deed) if is_there(deed) => Some(deed),
            _ => None,
        });
        if let Some(deed) = unseen {
            return Err(format!("{repository}#{number} was merged with what nobody looked at: {deed}"));
        }
    }
    Ok(())
}

/// The request whose follow-up comes from a branch.
fn slug_of(branch: &Branch) -> Option<String> {
    branch.as_str().strip_prefix("chandlery/")?.strip_suffix("-code").map(str::to_owned)
}

/// The records in a commit.
fn runs(changes: &Changes) -> impl Iterator<Item = Result<Run, String>> {
    changes.iter().filter(|(path, _)| path.file_name() == "run.yaml").filter_map(|(_, change)| match change {
        Change::Put(bytes) => Some(serde_yaml::from_slice(bytes).map_err(|why| why.to_string())),
        _ => None,
    })
}

/// What a backend is asked for is what was merged.
fn asked(work: &Work, brought: &Brought) -> Result<(), String> {
    let entity = brought.request["entity"].as_str().unwrap_or_default();
    let is_so = match work {
        Work::Dispatch { workflow, inputs, .. } => {
            workflow == "apply.yml" && inputs.get("bucket").is_some_and(|bucket| bucket == entity)
        }
        Work::Send(call) => match call.body.as_ref().and_then(|body| body.get("label")) {
            Some(label) => label.as_str() == brought.request["inputs"]["label"].as_str(),
            None => true,
        },
        Work::Run(_) | Work::Cancel { .. } => true,
    };
    if is_so { Ok(()) } else { Err(format!("{} asks for {work:?}", brought.id)) }
}

/// A success is recorded only when every step has come to its end.
fn ended(world: &Simulated, until: usize, run: &Run) -> Result<(), String> {
    let log = &world.log[..until];
    let merged_at = |wanted: u64| {
        log.iter().position(|effect| {
            matches!(effect, Effect::Merged { repository: Repo::Infra, number, .. } if *number == wanted)
        })
    };
    for step in &run.steps {
        let what = format!("{}#{}", step.repository, step.number);
        let Some(at) = merged_at(step.number) else {
            return Err(format!("{} counts as done, and {what} is not merged", run.request));
        };
        let brought = Brought::by(world, &run.request.slug(), until)?;
        if !brought.planned(log) {
            let says = Says::at(world, &brought, (Repo::Infra, step.number), at);
            let rules = rules(world, &brought, seen(&world.log, until));
            says.satisfy(&rules, &brought, &format!("{what}, which is not as planned,"))?;
        }
    }
    for step in run.progress.iter().filter(|step| step.state.name() == "success") {
        let so = |deed: &&Effect| match deed {
            Effect::Deed(Deed::Ends { conclusion, .. }) => step.kind == "workflow" && conclusion == "success",
            _ => false,
        };
        let is_told = match step.step.as_str() {
            "apply" => log.iter().any(|effect| so(&effect)),
            "order" => run.pull_request.as_ref().is_none_or(|pull| is_reported(log, pull.number)),
            _ => true,
        };
        if !is_told {
            return Err(format!(
                "the step {} of {} counts as done, and nobody said so",
                step.step, run.request
            ));
        }
    }
    Ok(())
}

/// Whether somebody who may said that the order came, and left it at that; what the forge tells may lag one change behind.
fn is_reported(log: &[Effect], pull: u64) -> bool {
    let mut said: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
    let last = log.iter().rposition(|effect| *effect != Effect::Looked).unwrap_or_default();
    for (index, effect) in log.iter().enumerate() {
        match effect {
            Effect::Deed(Deed::Reports { who, at, success, .. }) if *at == (Repo::Catalog, pull) => {
                said.entry(who).or_default().push(*success);
            }
            Effect::Deed(Deed::Say { who, at, text })
                if *at == (Repo::Catalog, pull) && Remark::is_one(text) =>
            {
                said.entry(who).or_default().push(false);
            }
            Effect::Deed(Deed::Unsay { who, at }) if *at == (Repo::Catalog, pull) && index < last => {
                said.entry(who).or_default().iter_mut().rev().take(1).for_each(|said| *said = false);
            }
            _ => {}
        }
    }
    said.iter().any(|(who, said)| *who != "zoe" && said.contains(&true))
}

type Folder = Arc<BTreeMap<RepoPath, ObjectId>>;

/// A request as it was merged.
struct Brought {
    id: String,
    number: u64,
    /// Where in the log.
    at: usize,
    folder: Folder,
    request: Value,
    plan: Value,
    author: String,
    /// Who had a hand in it.
    hands: BTreeSet<String>,
}

impl Brought {
    fn by(world: &Simulated, slug: &str, until: usize) -> Result<Self, String> {
        let log = &world.log[..until];
        // The first merge that brought it; what was pushed past all of them was brought by none.
        let merge = log.iter().enumerate().find_map(|(index, effect)| match effect {
            Effect::Merged { repository: Repo::Catalog, number, folders, .. } => folders
                .iter()
                .find(|(id, _)| id.replace('/', "-") == slug)
                .map(|(id, folder)| (index, *number, id.clone(), folder.clone())),
            _ => None,
        });
        let Some((at, number, id, folder)) = merge else {
            return Err(format!("{slug} was executed and never merged by a pull request"));
        };
        let numbered = |prefix: &str| id.rsplit('/').next()?.strip_prefix(prefix)?.parse::<u64>().ok();
        let (issue, fork) = (numbered("issue-"), numbered("pull-"));
        let author = fork.map_or_else(|| world.author(number, issue), |fork| world.author(fork, None));
        let mut hands: BTreeSet<String> = author.iter().cloned().collect();
        for effect in &log[..at] {
            match effect {
                Effect::Deed(
                    Deed::EditIssue { who, issue: edited, .. } | Deed::SpoilIssue { who, issue: edited },
                ) if Some(*edited) == issue => {
                    hands.insert(who.clone());
                }
                Effect::Deed(
                    Deed::Push { who, pull, .. }
                    | Deed::Tamper { who, pull, .. }
                    | Deed::Rewind { who, pull },
                ) if *pull == number => {
                    hands.insert(who.clone());
                }
                _ => {}
            }
        }
        let file = |name: &str| world.merged_file(&id, &folder, name);
        let (request, plan) = (file("request.yaml"), file("plan.yaml"));
        Ok(Self { number, at, request, plan, author: author.unwrap_or_default(), hands, id, folder })
    }

    fn action(&self) -> &str {
        self.request["action"].as_str().unwrap_or_default()
    }

    /// Whether all that was pushed for it elsewhere is what its plan says.
    fn planned(&self, log: &[Effect]) -> bool {
        let slug = self.id.replace('/', "-");
        let steps = self.plan["steps"].as_sequence().into_iter().flatten();
        let planned: BTreeSet<&str> = steps
            .flat_map(|step| step["pullRequest"]["changes"].as_sequence().into_iter().flatten())
            .filter_map(|change| change["after"].as_str())
            .collect();
        log.iter().all(|effect| match effect {
            Effect::Pushed { repository, branch, changes, .. }
                if *repository == Repo::Infra.name() && slug_of(branch).as_ref() == Some(&slug) =>
            {
                let blobs = changes.values().filter_map(Change::bytes);
                blobs.into_iter().all(|bytes| planned.contains(ObjectId::of_blob(bytes).to_string().as_str()))
            }
            _ => true,
        })
    }

    /// When its plan was pushed, in the log.
    fn planned_at(&self, log: &[Effect]) -> usize {
        let path: RepoPath = format!("requests/{}/plan.yaml", self.id).parse().unwrap();
        let merged = self.folder.get(&path);
        let pushed = log[..self.at].iter().rposition(|effect| match effect {
            Effect::Pushed { repository, changes, .. } if *repository == Repo::Catalog.name() => {
                let bytes = changes.get(&path).and_then(Change::bytes);
                bytes.is_some_and(|bytes| Some(&ObjectId::of_blob(bytes)) == merged)
            }
            _ => false,
        });
        pushed.unwrap_or(self.at)
    }
}

/// What a file of the definitions said then.
fn text(log: &[Effect], path: &str) -> String {
    let changes = |until: usize| {
        log[..until].iter().filter(|effect| matches!(effect, Effect::Deed(Deed::ChangeAction))).count()
    };
    let written = log.iter().enumerate().rev().find_map(|(at, effect)| match effect {
        Effect::Deed(Deed::Write { path: known, text }) if known == path => Some(text.clone()),
        Effect::Deed(Deed::ChangeAction) if path == "actions/create-bucket.yaml" => {
            Some(fixture::changed_action(changes(at + 1)))
        }
        _ => None,
    });
    written.unwrap_or_else(|| {
        let files = fixture::catalog_files();
        files.into_iter().find(|(known, _)| known == path).map_or_else(String::new, |(_, text)| text)
    })
}

fn team(log: &[Effect]) -> BTreeSet<String> {
    let mut team: BTreeSet<String> = ["bo".to_owned(), "cleo".to_owned()].into();
    match log
        .iter()
        .rev()
        .find(|effect| matches!(effect, Effect::Deed(Deed::Join { .. } | Deed::Leave { .. })))
    {
        Some(Effect::Deed(Deed::Join { who })) => drop(team.insert(who.clone())),
        Some(Effect::Deed(Deed::Leave { who })) => drop(team.remove(who)),
        _ => {}
    }
    team
}

/// The policies that stand then, by where they are written, and concern an action.
fn policies(log: &[Effect], brought: &Brought) -> Vec<Value> {
    let written = log.iter().filter_map(|effect| match effect {
        Effect::Deed(Deed::Write { path, .. }) if path.starts_with("policies/") => Some(path.as_str()),
        _ => None,
    });
    let paths: BTreeSet<&str> = written.collect();
    let concerns = |policy: &Value| {
        let actions = policy["actions"].as_sequence();
        actions.is_none_or(|actions| actions.iter().any(|action| action.as_str() == Some(brought.action())))
    };
    let read = |path: &str| serde_yaml::from_str::<Value>(&text(log, path)).unwrap_or_default();
    paths.into_iter().map(read).filter(|policy| !policy.is_null() && concerns(policy)).collect()
}

/// A rule: of these people so many, or all, and how long what they say counts.
struct Rule {
    people: BTreeSet<String>,
    count: Option<usize>,
    hours: Option<i64>,
}

fn read_rules(approval: &Value, team: &BTreeSet<String>) -> Vec<Rule> {
    let one = |rule: &Value| {
        let mut people: BTreeSet<String> = rule["users"]
            .as_sequence()
            .into_iter()
            .flatten()
            .filter_map(|who| who.as_str().map(str::to_owned))
            .collect();
        if !rule["teams"].is_null() {
            people.extend(team.iter().cloned());
        }
        let count = (!rule["all"].as_bool().unwrap_or_default())
            .then(|| rule["count"].as_u64().map_or(1, |count| count as usize));
        let hours = approval["expiresAfter"].as_str().map(|text| text.trim_end_matches('h').parse().unwrap());
        Rule { people, count, hours }
    };
    match approval {
        Value::Null => {
            let people = ["ada", "bo", "cleo", "dan", "eve"].map(str::to_owned).into();
            vec![Rule { people, count: Some(1), hours: None }]
        }
        Value::String(_) => Vec::new(),
        said => said["rules"].as_sequence().into_iter().flatten().map(one).collect(),
    }
}

/// Who must approve: whom the action and the policies named when it was planned, and whom policies name by now.
fn rules(world: &Simulated, brought: &Brought, now: &[Effect]) -> Vec<Rule> {
    let then = seen(&world.log, brought.planned_at(&world.log));
    let action: Value =
        serde_yaml::from_str(&text(then, &format!("actions/{}.yaml", brought.action()))).unwrap_or_default();
    let team = team(now);
    let mut rules = read_rules(&action["approval"], &team);
    for policy in policies(then, brought).iter().chain(&policies(now, brought)) {
        if !policy["requireApproval"].is_null() {
            rules.extend(read_rules(&policy["requireApproval"], &team));
        }
    }
    rules
}

/// The last word of each person, and who asks for changes.
struct Says {
    /// Who approved what was merged, and for how long nothing but time passed until the merge, in seconds.
    yes: BTreeMap<String, i64>,
    refusals: BTreeSet<String>,
}

impl Says {
    /// What was said of a request before it was merged.
    fn of(world: &Simulated, brought: &Brought) -> Self {
        Self::at(world, brought, (Repo::Catalog, brought.number), brought.at)
    }

    /// What was said at a pull request before it was merged there.
    fn at(world: &Simulated, brought: &Brought, place: (Repo, u64), merged: usize) -> Self {
        let mut words: BTreeMap<String, Option<i64>> = BTreeMap::new();
        let mut refusals = BTreeSet::new();
        let mut waited = 0;
        for effect in &world.log[..merged] {
            match effect {
                Effect::Deed(Deed::Wait { seconds }) => waited += seconds,
                Effect::Reviewed { who, at, approves, folders } if *at == place => {
                    let is_it = place.0 != Repo::Catalog
                        || folders.iter().any(|(id, folder)| *id == brought.id && *folder == brought.folder);
                    words.insert(who.clone(), (*approves && is_it).then_some(waited));
                    if *approves {
                        refusals.remove(who);
                    } else {
                        refusals.insert(who.clone());
                    }
                }
                Effect::Deed(Deed::Dismiss { at, whose, .. }) if *at == place => {
                    words.insert(whose.clone(), None);
                    refusals.remove(whose);
                }
                // Whoever moves the branch by force may bring back what was approved; it is to be read again.
                Effect::Deed(Deed::Rewind { pull, .. }) if (Repo::Catalog, *pull) == place => words.clear(),
                _ => {}
            }
        }
        // An outsider may refuse, and it holds nothing up.
        refusals.remove("zoe");
        let yes = words
            .into_iter()
            .filter(|(who, _)| !brought.hands.contains(who))
            .filter_map(|(who, when)| Some((who, waited - when?)))
            .collect();
        Self { yes, refusals }
    }

    fn satisfy(&self, rules: &[Rule], brought: &Brought, what: &str) -> Result<(), String> {
        for rule in rules {
            let counts = |who: &&String| {
                self.yes.get(*who).is_some_and(|age| rule.hours.is_none_or(|hours| *age < hours * 3_600))
            };
            let given = rule.people.iter().filter(counts).count();
            let others = rule.people.iter().filter(|who| !brought.hands.contains(*who)).count();
            let needed = rule.count.unwrap_or_else(|| others.max(1));
            if given < needed {
                return Err(format!(
                    "{what} ({}) was executed with {given} of {needed} approvals from {:?}; yes {:?}, hands {:?}",
                    brought.action(),
                    rule.people,
                    self.yes,
                    brought.hands
                ));
            }
        }
        Ok(())
    }
}

/// What must have been so when a request was begun.
fn agreed(world: &Simulated, brought: &Brought, until: usize) -> Result<(), String> {
    let now = seen(&world.log, until);
    let (id, action) = (&brought.id, brought.action());
    let says = Says::of(world, brought);
    if !says.refusals.is_empty() {
        return Err(format!("{id} ({action}) was executed though {:?} asked for changes", says.refusals));
    }
    says.satisfy(&rules(world, brought, now), brought, id)?;
    let present: Value =
        serde_yaml::from_str(&text(now, &format!("actions/{action}.yaml"))).unwrap_or_default();
    if !present["execute"].is_null() && team(now).is_disjoint(&brought.hands) {
        return Err(format!("{id} ({action}) was executed, and {:?} may not ask for it", brought.hands));
    }
    for policy in policies(now, brought) {
        let name = &policy["identifier"];
        let holds = match policy["when"].as_str() {
            None => true,
            Some(".inputs.size > 4") => brought.request["inputs"]["size"].as_i64().unwrap_or(1) > 4,
            // It fails.
            Some(_) => true,
        };
        if holds && !policy["deny"].is_null() {
            return Err(format!("{id} ({action}) was executed against the policy {name:?}"));
        }
    }
    frozen(&says, brought, now)
}

/// Nothing is begun or merged in a freeze, unless those agreed who may make an exception.
fn frozen(says: &Says, brought: &Brought, now: &[Effect]) -> Result<(), String> {
    for policy in policies(now, brought).iter().filter(|policy| !policy["freeze"].is_null()) {
        let is_over = serde_yaml::to_string(&policy["freeze"]["windows"]).unwrap().contains("2021");
        if !is_over {
            let unless = read_rules(&policy["freeze"]["unless"], &BTreeSet::new());
            says.satisfy(&unless, brought, &format!("in a freeze {}", brought.id))?;
        }
    }
    Ok(())
}

/// What holds of all of it, where it was said at the very beginning and never changed: no more than a policy allows, and
/// nothing waits for longer than the settings say, nor ends before.
fn bounds(
    world: &Simulated,
    begun: &BTreeMap<String, String>,
    stages: &BTreeMap<RequestId, Stage>,
) -> Result<(), String> {
    let deeds = || {
        world.log.iter().filter_map(|effect| match effect {
            Effect::Deed(deed) => Some(deed),
            _ => None,
        })
    };
    let stands = |wanted: (&str, &str)| {
        let first = deeds().next();
        matches!(first, Some(Deed::Write { path, text }) if path == wanted.0 && text.trim() == wanted.1)
            && deeds().skip(1).all(|deed| !matches!(deed, Deed::Write { path, .. } if path == wanted.0))
    };
    if stands(FEW) {
        let buckets =
            world.catalog_files().keys().filter(|path| path.as_str().starts_with("entities/bucket/")).count();
        if buckets > 2 {
            return Err(format!("there are {buckets} buckets, and a policy allows two"));
        }
    }
    if stands(ONCE) {
        let mut people: Vec<&String> = begun.values().collect();
        people.sort();
        if let Some(pair) = people.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("{} got more than one request done in a day", pair[0]));
        }
    }
    let modes: BTreeSet<&str> = deeds()
        .filter_map(|deed| match deed {
            Deed::Mode { mode } => Some(mode.as_str()),
            _ => None,
        })
        .collect();
    if !modes.contains("hasty") {
        return Ok(());
    }
    let waited: i64 = deeds().map(|deed| if let Deed::Wait { seconds } = deed { *seconds } else { 0 }).sum();
    let expired = stages.iter().find(|(_, stage)| **stage == Stage::Expired);
    if let Some((id, _)) = expired.filter(|_| waited < 3_000) {
        return Err(format!("{id} expired, and nobody waited"));
    }
    if modes.len() > 1 || !matches!(deeds().next(), Some(Deed::Mode { .. })) {
        return Ok(());
    }
    for pull in world.pulls(Repo::Catalog).iter().filter(|pull| pull.state == PullState::Open) {
        let touches = |deed: &Deed| match deed {
            Deed::Push { pull: at, .. }
            | Deed::Tamper { pull: at, .. }
            | Deed::Rewind { pull: at, .. }
            | Deed::UpdateBranch { pull: at, .. }
            | Deed::Reopen { at: (_, at), .. } => *at == pull.number,
            _ => false,
        };
        let branch = pull.head_branch.as_ref().map(ToString::to_string).unwrap_or_default();
        let id = stages.iter().find(|(id, _)| branch.strip_prefix("ask/") == Some(id.slug().as_str()));
        let waits = id.is_some_and(|(_, stage)| *stage == Stage::WaitingForApproval);
        let age = world.now() - pull.created_at.seconds();
        if waits && age > 4_300 && !deeds().any(touches) {
            return Err(format!("{branch} has waited for {age} seconds"));
        }
    }
    Ok(())
}

/// What Chandlery wrote into the catalog is valid, by what was known of the blueprints then.
fn valid(world: &Simulated) -> Result<(), String> {
    let files = world.catalog_files();
    let report = chandlery::catalog::check_all(&chandlery::catalog::Root::default(), &files);
    let changed = world.log.iter().rposition(
        |effect| matches!(effect, Effect::Deed(Deed::Write { path, .. }) if path.starts_with("blueprints/")),
    );
    let is_older = |path: &str| {
        let wrote = world.log.iter().rposition(
            |effect| matches!(effect, Effect::Pushed { changes, .. } if changes.keys().any(|known| known.as_str() == path)),
        );
        changed.is_some_and(|changed| wrote.is_none_or(|wrote| seen(&world.log, wrote).len() <= changed))
    };
    let of_entities: Vec<_> = report
        .diagnostics
        .iter()
        .filter(|found| found.place.source.starts_with("entities/") && !is_older(&found.place.source))
        .collect();
    if of_entities.is_empty() { Ok(()) } else { Err(format!("the catalog is not valid: {of_entities:?}")) }
}
