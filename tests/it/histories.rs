//! Thousands of histories: people do deeds in any order, passes crash, double and go wrong; whatever
//! happens, the world settles, says one thing once, and executes nothing that was not approved.
//!
//! `make story SEED=n` prints one; HISTORIES=n sets how many.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chandlery::{
    domain::{Branch, Change, Login, ObjectId, PullState, RepoPath, Run, Stage},
    plan::{message, step::Call},
    reconcile::{Input, Output, Report, Turn},
};

use crate::world::{
    Ask, Deed, How, Repo, World, reconcile,
    simulated::{Effect, Mishap, Simulated},
    view,
};

/// One thing that happens in a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Deed(Deed),
    /// A whole pass.
    Pass,
    /// A pass whose `at`th act goes wrong.
    Mishap {
        at: usize,
        what: Mishap,
    },
    /// A pass that is dropped before its `at`th act.
    Crash {
        at: usize,
    },
    /// A pass during which somebody does something, before its `at`th act.
    Between {
        at: usize,
        deed: Deed,
    },
    /// Two passes at once, taking turns.
    Twins,
    /// A pass that sees lists and reviews one change late.
    Lagging,
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Deed(deed) => write!(f, "{deed}"),
            Self::Between { at, deed } => write!(f, "Between {{ at: {at} }}: {deed}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// Chance, from a seed.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as usize) % limit.max(1)
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

const PEOPLE: [&str; 6] = ["ada", "bo", "cleo", "dan", "eve", "zoe"];
const NAMES: [&str; 3] = ["logs", "data", "old"];

fn some_ask(chance: &mut Chance) -> Ask {
    let action = *chance.pick(&[
        "create-bucket",
        "create-bucket",
        "create-bucket",
        "resize-bucket",
        "label-bucket",
        "create-vault",
        "retire-bucket",
    ]);
    let mut inputs = BTreeMap::new();
    let mut entity = None;
    match action {
        "create-bucket" | "create-vault" => {
            let name = if chance.one_in(9) { "Bad" } else { chance.pick(&NAMES) };
            inputs.insert("name".to_owned(), name.to_owned());
        }
        "resize-bucket" => {
            inputs.insert("size".to_owned(), (1 + chance.below(11)).to_string());
            entity = Some("old".to_owned());
        }
        "label-bucket" => {
            inputs.insert("label".to_owned(), chance.pick(&["red", "blue"]).to_string());
            entity = Some("old".to_owned());
        }
        _ => entity = Some("old".to_owned()),
    }
    Ask { action: action.to_owned(), entity, inputs }
}

/// What somebody might do next, given what there is.
fn some_deed(world: &Simulated, chance: &mut Chance) -> Deed {
    let who = chance.pick(&PEOPLE).to_string();
    let pulls = world.numbers(Repo::Catalog);
    let issues = world.issues();
    let follow_ups = world.numbers(Repo::Infra);
    let a_pull = |chance: &mut Chance| pulls.get(chance.below(pulls.len())).copied().unwrap_or(1);
    let an_issue = |chance: &mut Chance| issues.get(chance.below(issues.len())).copied().unwrap_or(1);
    let any = |chance: &mut Chance| {
        if !follow_ups.is_empty() && chance.one_in(3) {
            (Repo::Infra, follow_ups[chance.below(follow_ups.len())])
        } else {
            (Repo::Catalog, pulls.get(chance.below(pulls.len())).copied().unwrap_or(1))
        }
    };
    let how = *chance.pick(&[How::Merge, How::Merge, How::Squash, How::Rebase]);
    let id = chance.pick(&["first", "second", "2026/third"]).to_string();
    if pulls.is_empty() && issues.is_empty() || chance.one_in(8) {
        let who = if chance.one_in(6) { who } else { "dan".to_owned() };
        let ask = some_ask(chance);
        return match chance.below(5) {
            0..=1 => Deed::File { who, ask },
            2..=3 => Deed::Ask { who, id, ask },
            _ => Deed::Offer { who, id, ask },
        };
    }
    match chance.below(45) {
        0..=8 => Deed::Approve {
            who: chance.pick(&["bo", "cleo", "eve", "bo", &who]).to_string(),
            at: any(chance),
        },
        10..=16 => Deed::Merge { who: chance.pick(&["ada", "bo", "dan"]).to_string(), at: any(chance), how },
        17 => Deed::RequestChanges { who, at: any(chance) },
        18 => Deed::Remark { who, at: any(chance) },
        9 | 19 => {
            Deed::Dismiss { who, at: any(chance), whose: chance.pick(&["bo", "cleo", "eve"]).to_string() }
        }
        20 => Deed::Close { who, at: any(chance) },
        21 => Deed::Reopen { who, at: any(chance) },
        22..=23 => Deed::Push { who, pull: a_pull(chance), ask: some_ask(chance) },
        24 => Deed::Tamper {
            who,
            pull: a_pull(chance),
            file: chance.pick(&["plan.diff", "plan.yaml", "run.yaml"]).to_string(),
        },
        25..=26 => Deed::Rewind { who, pull: a_pull(chance) },
        27..=28 => Deed::UpdateBranch { who, pull: a_pull(chance) },
        29..=30 => Deed::EditIssue { who, issue: an_issue(chance), ask: some_ask(chance) },
        31 => Deed::SpoilIssue { who, issue: an_issue(chance) },
        32 => Deed::CloseIssue { who, issue: an_issue(chance) },
        33 => Deed::LockIssue { who, issue: an_issue(chance) },
        34 => Deed::Smuggle { who, id, ask: some_ask(chance) },
        35 => Deed::Remove { who, id },
        36 => {
            if chance.one_in(2) {
                Deed::Join { who }
            } else {
                Deed::Leave { who: chance.pick(&["bo", "cleo"]).to_string() }
            }
        }
        37 => {
            if chance.one_in(2) {
                Deed::ChangeAction
            } else {
                Deed::Wait { seconds: 300 }
            }
        }
        40 => {
            let whose = *chance.pick(&PEOPLE);
            let text = format!("# {}\nidentifier: {whose}\nblueprint: _user\n", chance.below(3));
            Deed::Propose { who, path: format!("entities/_user/{whose}.yaml"), text }
        }
        39 => Deed::Mode { mode: chance.pick(&["on", "observe", "off", "by-pull", "by-api"]).to_string() },
        42..=43 => {
            let text = chance.pick(&["/cancel", "/decline too dear", "/plan", "/help", "/retry", "thanks"]);
            let at = if chance.one_in(3) { (Repo::Catalog, an_issue(chance)) } else { any(chance) };
            Deed::Say { who, at, text: text.to_string() }
        }
        44 => Deed::Unsay { who, at: any(chance) },
        38 => {
            let path = format!("buckets/{}.yaml", chance.pick(&NAMES));
            Deed::ChangeTarget { path, text: format!("name: x\nsize: {}\n", 1 + chance.below(3)) }
        }
        _ => Deed::Meddle { who, at: follow_ups.get(chance.below(follow_ups.len())).copied().unwrap_or(1) },
    }
}

/// What somebody might do in the middle of a pass: mostly to what the pass is about to change.
fn some_interruption(world: &Simulated, chance: &mut Chance) -> Deed {
    match (world.numbers(Repo::Catalog).last(), chance.below(4)) {
        (Some(newest), 0) => Deed::Push { who: "dan".to_owned(), pull: *newest, ask: some_ask(chance) },
        (_, 1) => Deed::ChangeAction,
        _ => some_deed(world, chance),
    }
}

/// What a history came to.
pub struct Told {
    pub events: Vec<Event>,
    pub world: Simulated,
    pub report: Report,
    pub decisions: usize,
    pub rounds: usize,
    pub covered: BTreeSet<(Stage, &'static str)>,
}

fn kind(deed: &Deed) -> &'static str {
    match deed {
        Deed::File { .. } => "file",
        Deed::EditIssue { .. } => "edit issue",
        Deed::SpoilIssue { .. } => "spoil issue",
        Deed::CloseIssue { .. } => "close issue",
        Deed::LockIssue { .. } => "lock issue",
        Deed::Ask { .. } => "ask",
        Deed::Offer { .. } => "offer",
        Deed::Mode { .. } => "mode",
        Deed::Propose { .. } => "propose",
        Deed::Push { .. } => "push",
        Deed::Tamper { .. } => "tamper",
        Deed::Rewind { .. } => "force-push",
        Deed::UpdateBranch { .. } => "update branch",
        Deed::Approve { .. } => "approve",
        Deed::RequestChanges { .. } => "request changes",
        Deed::Remark { .. } => "remark",
        Deed::Say { .. } => "say",
        Deed::Unsay { .. } => "unsay",
        Deed::Dismiss { .. } => "dismiss",
        Deed::Merge { .. } => "merge",
        Deed::Close { .. } => "close",
        Deed::Reopen { .. } => "reopen",
        Deed::Ready { .. } => "mark ready",
        Deed::Smuggle { .. } => "smuggle",
        Deed::Remove { .. } => "remove",
        Deed::Join { .. } => "join",
        Deed::Leave { .. } => "leave",
        Deed::ChangeAction => "change action",
        Deed::ChangeTarget { .. } => "change target",
        Deed::Meddle { .. } => "meddle",
        Deed::Answers { .. } => "answer",
        Deed::Ends { .. } | Deed::Checks { .. } => "end",
        Deed::Loses => "lose",
        Deed::Reports { .. } => "report",
        Deed::Write { .. } => "write",
        Deed::Wait { .. } => "wait",
    }
}

/// The kinds of deeds.
const KINDS: usize = 30;

/// A world that can be looked at as what it really is, under whatever falsifies it.
pub trait Story: World {
    fn real(&mut self) -> &mut Simulated;
}

impl Story for Simulated {
    fn real(&mut self) -> &mut Simulated {
        self
    }
}

fn untold() -> Told {
    Told {
        events: Vec::new(),
        world: Simulated::new(),
        report: Report::default(),
        decisions: 0,
        rounds: 0,
        covered: BTreeSet::new(),
    }
}

/// Makes up a history and plays it.
pub fn tell<W: Story>(seed: u64, mut world: W) -> Result<Told, String> {
    let mut told = untold();
    make_up(seed, &mut world, &mut told);
    settle(world, told)
}

/// How a history may begin: something is in progress, so that everything can happen beside it …
const IN_PROGRESS: &str = "dan asks three create-bucket name=data
reconcile
bo approves catalog#1
dan merges catalog#1
reconcile";

/// … and something stands at each stage.
const BEGINNINGS: [&str; 8] = [
    "dan asks bad create-bucket name=Bad
reconcile",
    "dan files create-bucket name=logs
reconcile",
    "dan asks dull label-bucket of old label=red
reconcile
dan asks duller label-bucket of old label=red
reconcile",
    "ada asks round create-bucket name=logs
reconcile
dan merges catalog#2
reconcile",
    "dan asks no create-bucket name=logs
dan files create-bucket name=logs
reconcile
bo closes catalog#2
reconcile",
    "dan files label-bucket of old label=red
dan asks dull label-bucket of old label=red
reconcile
dan merges catalog#3
reconcile
dan asks twin label-bucket of old label=red
reconcile",
    "dan asks never create-bucket name=logs
reconcile
dan closes catalog#2
reconcile",
    "dan asks late create-bucket name=data
reconcile
bo approves catalog#2
bo merges infra#1
dan merges catalog#2
reconcile
dan asks other create-bucket name=logs
reconcile
bo approves catalog#3
dan merges catalog#3
dan asks shut create-bucket name=logs
reconcile
dan closes catalog#4
eve asks open create-bucket name=logs
reconcile",
];

/// Ways of getting past the rules. ID is an identifier, NAME a bucket's name, FRIEND a member of the team, # the newest
/// pull request of the catalog and ISSUE the newest issue.
const PLOYS: [&str; 11] = [
    // Who contributed approves.
    "dan asks ID create-bucket name=NAME
reconcile
FRIEND pushes catalog## create-bucket name=NAME size=2
reconcile
FRIEND approves catalog##
dan merges catalog##
reconcile",
    "dan files create-bucket name=NAME
reconcile
FRIEND edits-issue ISSUE create-bucket name=NAME size=2
reconcile
FRIEND approves catalog##
dan merges catalog##
reconcile",
    // Who asked approves.
    "FRIEND files create-bucket name=NAME
reconcile
FRIEND approves catalog##
dan merges catalog##
reconcile",
    "FRIEND offers ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
dan merges catalog##
reconcile",
    // What was approved is not what is merged.
    "dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
dan rewinds catalog##
dan pushes catalog## create-bucket name=NAME size=7
reconcile
dan merges catalog##
reconcile",
    "dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
dan rewinds catalog##
reconcile
dan merges catalog##
reconcile",
    // Somebody asks for changes.
    "dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
eve refuses catalog##
dan merges catalog##
reconcile",
    // An approval that was taken back.
    "dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
FRIEND dismisses catalog## FRIEND
dan merges catalog##
reconcile",
    // What ended comes back.
    "dan asks ID label-bucket of old label=red
reconcile
dan removes ID
dan asks ID label-bucket of old label=blue
reconcile",
    // Somebody leaves the team.
    "dan asks ID create-bucket name=NAME
reconcile
bo approves catalog##
bo leaves
dan merges catalog##
reconcile",
    // Editing after the merge.
    "dan files create-vault name=NAME
reconcile
eve approves catalog##
cleo approves catalog##
dan merges catalog##
bo edits-issue ISSUE create-bucket name=NAME
reconcile",
];

/// One line of a ploy as an event, in the world as it is.
fn line_of_a_ploy(world: &Simulated, line: &str, words: &[(&str, &str)]) -> Event {
    if line == "reconcile" {
        return Event::Pass;
    }
    let newest = |numbers: Vec<u64>| numbers.last().copied().unwrap_or(1).to_string();
    let mut line = line
        .replace("catalog##", &format!("catalog#{}", newest(world.numbers(Repo::Catalog))))
        .replace("infra##", &format!("infra#{}", newest(world.numbers(Repo::Infra))))
        .replace("ISSUE", &newest(world.issues()));
    for (word, meaning) in words {
        line = line.replace(word, meaning);
    }
    Event::Deed(line.parse().unwrap())
}

/// Makes up events as the world goes, and lets them happen.
fn make_up<W: Story>(seed: u64, world: &mut W, told: &mut Told) {
    let mut chance = Chance::new(seed);
    let play = |world: &mut W, told: &mut Told, event: Event| {
        told.events.push(event.clone());
        happen(world, &event, told);
    };
    if chance.one_in(5) {
        play(world, told, Event::Deed(Deed::Mode { mode: "by-pull".into() }));
    }
    if chance.one_in(3) {
        let beginning = *chance.pick(&BEGINNINGS);
        for line in IN_PROGRESS.lines().chain(beginning.lines()) {
            let event = if line == "reconcile" { Event::Pass } else { Event::Deed(line.parse().unwrap()) };
            play(world, told, event);
        }
    }
    if chance.one_in(4) {
        let words = [
            ("ID", *chance.pick(&["first", "second", "2026/third"])),
            ("NAME", *chance.pick(&NAMES[..2])),
            ("FRIEND", *chance.pick(&["bo", "cleo"])),
        ];
        for line in chance.pick(&PLOYS).lines() {
            let event = line_of_a_ploy(world.real(), line, &words);
            play(world, told, event);
        }
    }
    for _ in 0..6 + chance.below(14) {
        let event = match chance.below(13) {
            0..=5 => Event::Deed(some_deed(world.real(), &mut chance)),
            6..=8 => Event::Pass,
            9 => Event::Mishap {
                at: chance.below(6),
                what: *chance.pick(&[Mishap::NotDone, Mishap::DoneNotTold, Mishap::Postponed]),
            },
            10 => Event::Crash { at: chance.below(6) },
            11 => Event::Between { at: chance.below(6), deed: some_interruption(world.real(), &mut chance) },
            _ if chance.one_in(2) => Event::Twins,
            _ => Event::Lagging,
        };
        play(world, told, event);
    }
}

/// The events of a seed, as far as they can be played.
pub fn events_of(seed: u64) -> Vec<Event> {
    let (mut world, mut told) = (Simulated::new(), untold());
    let playing = std::panic::AssertUnwindSafe(|| make_up(seed, &mut world, &mut told));
    drop(std::panic::catch_unwind(playing));
    told.events
}

/// Plays given events.
pub fn replay<W: Story>(events: &[Event], mut world: W) -> Result<Told, String> {
    let mut told = Told { events: events.to_vec(), ..untold() };
    for event in events {
        happen(&mut world, event, &mut told);
    }
    settle(world, told)
}

fn happen<W: Story>(world: &mut W, event: &Event, told: &mut Told) {
    match event {
        Event::Deed(deed) => {
            if world.deed(deed) {
                told.covered.extend(told.report.stages.values().map(|stage| (*stage, kind(deed))));
            }
        }
        Event::Pass => note(told, calm(world)),
        Event::Mishap { at, what } => {
            let mishap = |world: &mut W, act: usize| {
                world.real().mishap = (act == *at).then_some(*what);
                true
            };
            note(told, pass(world, &mut { mishap }));
        }
        Event::Crash { at } => note(told, pass(world, &mut |_, act| act != *at)),
        Event::Between { at, deed } => {
            let between = |world: &mut W, act: usize| {
                if act == *at {
                    world.deed(deed);
                }
                true
            };
            note(told, pass(world, &mut { between }));
        }
        Event::Twins => twins(world, told),
        Event::Lagging => {
            world.real().lags = true;
            note(told, calm(world));
            world.real().lags = false;
        }
    }
}

fn note(told: &mut Told, report: Report) {
    told.decisions += report.decisions;
    told.rounds = told.rounds.max(report.rounds);
    told.report.stages.extend(report.stages);
}

/// A pass without trouble.
fn calm<W: Story>(world: &mut W) -> Report {
    pass(world, &mut |_, _| true)
}

/// A pass; `before` is told the number of each act beforehand, and says whether the pass still lives.
fn pass<W: Story>(world: &mut W, before: &mut dyn FnMut(&mut W, usize) -> bool) -> Report {
    let mut turn = Turn::new(&crate::world::name_of_pass());
    let mut input = Input::Start;
    let mut acts = 0;
    loop {
        match turn.next(input) {
            Output::Look(questions) => input = Input::Answers(world.ask(&questions)),
            Output::Act(act) => {
                if !before(world, acts) {
                    return Report::default();
                }
                acts += 1;
                input = Input::Acted(world.act(&act));
                world.real().mishap = None;
            }
            Output::Done(report) => return report,
        }
    }
}

/// Two passes that take turns at every look and act.
fn twins<W: Story>(world: &mut W, told: &mut Told) {
    let mut turns = [
        (Turn::new(&crate::world::name_of_pass()), Some(Input::Start)),
        (Turn::new(&crate::world::name_of_pass()), Some(Input::Start)),
    ];
    while turns.iter().any(|(_, input)| input.is_some()) {
        for (turn, slot) in &mut turns {
            let Some(input) = slot.take() else { continue };
            match turn.next(input) {
                Output::Look(questions) => *slot = Some(Input::Answers(world.ask(&questions))),
                Output::Act(act) => *slot = Some(Input::Acted(world.act(&act))),
                Output::Done(report) => note(told, report),
            }
        }
    }
}

/// The end of every history: calm passes until nothing is done, and what must then hold.
fn settle<W: Story>(mut world: W, mut told: Told) -> Result<Told, String> {
    world.deed(&Deed::Wait { seconds: 600 });
    let on = told.events.iter().rev().find_map(|event| match event {
        Event::Deed(Deed::Mode { mode }) if mode.starts_with("by-") => Some(mode.clone()),
        _ => None,
    });
    world.deed(&Deed::Mode { mode: on.unwrap_or_else(|| "on".into()) });
    let mut last = Report::default();
    for _ in 0..4 {
        last = calm(&mut world);
        note(&mut told, last.clone());
        if last.acts == 0 {
            break;
        }
    }
    if last.acts != 0 || !last.left.is_empty() || last.stopped.is_some() {
        return Err(format!("it does not settle: {:?} {:?}", last.left, last.stopped));
    }
    // A quiet pass is quiet again, also for who kept nothing and looks at everything.
    world.begin_anew(false);
    let again = calm(&mut world);
    if again.acts != 0 || again.stages != last.stages {
        return Err("a quiet pass is followed by one that acts, or sees something else".into());
    }
    let real = world.real().clone();
    once(&real)?;
    consent(&real)?;
    valid(&real)?;
    told.world = real;
    Ok(told)
}

/// Whether what is pushed there ends in the catalog.
fn is_for_records(branch: &Branch) -> bool {
    branch.as_str() == "main" || branch.as_str().starts_with("chandlery/state/")
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
                    *records.entry(path.clone()).or_default() += 1;
                    let run: Run = serde_yaml::from_slice(bytes).map_err(|why| why.to_string())?;
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

/// Nothing is executed without approval of exactly what was merged. Judged apart from the program:
/// from who approved which bytes, before the merge.
fn consent(world: &Simulated) -> Result<(), String> {
    let log = &world.log;
    for (index, effect) in log.iter().enumerate() {
        let executed: Option<String> = match effect {
            Effect::Pushed { repository, branch, .. } if *repository == Repo::Infra.name() => branch
                .as_str()
                .strip_prefix("chandlery/")
                .and_then(|rest| rest.strip_suffix("-code"))
                .map(str::to_owned),
            Effect::Pushed { branch, changes, .. } if is_for_records(branch) => {
                for (path, change) in changes.iter() {
                    if let Change::Put(bytes) = change
                        && path.file_name() == "run.yaml"
                    {
                        let run: Run = serde_yaml::from_slice(bytes).map_err(|why| why.to_string())?;
                        if run.status == Stage::Success {
                            agreed(world, &run.request.slug(), index)?;
                            ended(&log[..index], &run)?;
                        }
                    }
                }
                None
            }
            _ => None,
        };
        if let Some(slug) = executed {
            agreed(world, &slug, index)?;
        }
    }
    Ok(())
}

/// A success is recorded only when every follow-up has been merged.
fn ended(log: &[Effect], run: &Run) -> Result<(), String> {
    let is_merged = |wanted: u64| {
        log.iter().any(|effect| {
            matches!(effect, Effect::Merged { repository: Repo::Infra, number, .. } if *number == wanted)
        })
    };
    match run.steps.iter().find(|step| !is_merged(step.number)) {
        Some(open) => Err(format!(
            "{} counts as done, and {}#{} is not merged",
            run.request, open.repository, open.number
        )),
        None => Ok(()),
    }
}

type Folder = Arc<BTreeMap<RepoPath, ObjectId>>;

fn agreed(world: &Simulated, slug: &str, until: usize) -> Result<(), String> {
    let log = &world.log[..until];
    // The merge that brought it: the first after which it was there.
    let merge = log.iter().enumerate().find_map(|(index, effect)| match effect {
        Effect::Merged { repository: Repo::Catalog, number, folders, .. } => folders
            .iter()
            .find(|(id, _)| id.replace('/', "-") == slug)
            .map(|(id, folder)| (index, *number, id.clone(), folder.clone())),
        _ => None,
    });
    let Some((at, number, id, merged)) = merge else {
        return Err(format!("{slug} was executed and never merged by a pull request"));
    };
    let action = world.action_of(&id, &merged);
    let rules: &[(&[&str], usize, bool)] = match action.as_str() {
        "label-bucket" => return Ok(()),
        "create-bucket" => &[(&["TEAM"], 1, false)],
        "create-vault" => &[(&["TEAM"], 2, true), (&["eve"], 1, false)],
        _ => &[(&["ada", "bo", "cleo", "dan", "eve"], 1, false)],
    };
    // Who had a hand in it.
    let mut hands: BTreeSet<String> = BTreeSet::new();
    let issue: Option<u64> =
        id.rsplit('/').next().and_then(|last| last.strip_prefix("issue-")).and_then(|n| n.parse().ok());
    let fork: Option<u64> =
        id.rsplit('/').next().and_then(|last| last.strip_prefix("pull-")).and_then(|n| n.parse().ok());
    if let Some(fork) = fork {
        hands.extend(world.author(fork, None));
    }
    for effect in &log[..at] {
        if let Effect::Deed(deed) = effect {
            match deed {
                Deed::File { who, .. } | Deed::Ask { who, .. } => {
                    if world.author(number, issue).as_deref() == Some(who.as_str()) {
                        hands.insert(who.clone());
                    }
                }
                Deed::EditIssue { who, issue: n, .. } | Deed::SpoilIssue { who, issue: n }
                    if Some(*n) == issue =>
                {
                    hands.insert(who.clone());
                }
                Deed::Push { who, pull, .. }
                | Deed::Tamper { who, pull, .. }
                | Deed::Rewind { who, pull }
                    if *pull == number =>
                {
                    hands.insert(who.clone());
                }
                _ => {}
            }
        }
    }
    // The team when it was carried out; the last word of each person before the merge.
    let mut team: BTreeSet<String> = ["bo".to_owned(), "cleo".to_owned()].into();
    for effect in log {
        match effect {
            Effect::Deed(Deed::Join { who }) => team = ["bo".into(), "cleo".into(), who.clone()].into(),
            Effect::Deed(Deed::Leave { who }) => {
                team = ["bo".to_owned(), "cleo".to_owned()].into();
                team.remove(who);
            }
            _ => {}
        }
    }
    let mut words: BTreeMap<String, Option<Folder>> = BTreeMap::new();
    let mut refusals: BTreeSet<String> = BTreeSet::new();
    for effect in &log[..at] {
        match effect {
            Effect::Reviewed { who, at, approves, folders } if *at == (Repo::Catalog, number) => {
                let folder = folders.iter().find(|(known, _)| *known == id).map(|(_, folder)| folder.clone());
                words.insert(who.clone(), if *approves { folder } else { None });
                if *approves {
                    refusals.remove(who)
                } else {
                    refusals.insert(who.clone())
                };
            }
            Effect::Deed(Deed::Dismiss { at, whose, .. }) if *at == (Repo::Catalog, number) => {
                words.insert(whose.clone(), None);
                refusals.remove(whose);
            }
            // Whoever moves the branch by force may bring back what was approved; it is to be read again.
            Effect::Deed(Deed::Rewind { pull, .. }) if *pull == number => words.clear(),
            _ => {}
        }
    }
    let yes: BTreeSet<&String> = words
        .iter()
        .filter(|(who, folder)| folder.as_ref() == Some(&merged) && !hands.contains(*who))
        .map(|(who, _)| who)
        .collect();
    // A follow-up that was pushed before somebody left stays agreed: membership is judged when it began.
    let began = log.iter().any(|effect| {
        matches!(effect, Effect::Pushed { repository, branch, .. }
            if *repository == Repo::Infra.name() && branch.as_str() == format!("chandlery/{slug}-code"))
    });
    // An outsider may refuse, and it holds nothing up.
    refusals.remove("zoe");
    if !began && !refusals.is_empty() {
        return Err(format!("{id} ({action}) was executed though {refusals:?} asked for changes"));
    }
    for (people, count, all) in rules {
        let named: BTreeSet<String> = people
            .iter()
            .flat_map(|who| if *who == "TEAM" { team.clone() } else { [(*who).to_owned()].into() })
            .collect();
        let given = named.iter().filter(|who| yes.contains(who)).count();
        let needed =
            if *all { named.iter().filter(|who| !hands.contains(*who)).count().max(1) } else { *count };
        if given < needed && !began {
            return Err(format!(
                "{id} ({action}) was executed with {given} of {needed} approvals from {named:?}; yes {yes:?}, hands {hands:?}"
            ));
        }
    }
    Ok(())
}

/// What Chandlery wrote into the catalog is valid.
fn valid(world: &Simulated) -> Result<(), String> {
    let files = world.catalog_files();
    let report = chandlery::catalog::check_all(&chandlery::catalog::Root::default(), &files);
    let of_entities: Vec<_> =
        report.diagnostics.iter().filter(|found| found.place.source.starts_with("entities/")).collect();
    if of_entities.is_empty() { Ok(()) } else { Err(format!("the catalog is not valid: {of_entities:?}")) }
}

/// The shortest history that still goes wrong.
fn shrink<W: Story>(events: &[Event], world: &dyn Fn() -> W) -> Vec<Event> {
    let mut events = events.to_vec();
    let mut index = 0;
    while index < events.len() {
        let mut fewer = events.clone();
        fewer.remove(index);
        if goes_wrong(&fewer, world).is_some() {
            events = fewer;
            index = 0;
        } else {
            index += 1;
        }
    }
    events
}

fn shrink_if_wrong(events: &[Event]) -> Vec<Event> {
    if goes_wrong(events, &Simulated::new).is_some() {
        shrink(events, &Simulated::new)
    } else {
        events.to_vec()
    }
}

fn goes_wrong<W: Story>(events: &[Event], world: &dyn Fn() -> W) -> Option<String> {
    let world = std::panic::AssertUnwindSafe(world());
    match std::panic::catch_unwind(move || replay(events, { world }.0).map(|_| ())) {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why),
        Err(panic) => Some(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".into())),
    }
}

/// How many histories are made up; each is another mixture of all that people and forges do.
fn count() -> u64 {
    std::env::var("HISTORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000)
}

/// What a history takes at most, in decisions, on average: a fifth more than when this was written. A count, not a
/// clock: work per history must not creep.
const MOST_DECISIONS: u64 = 300;

/// What many histories came to.
#[derive(Default)]
struct Tally {
    decisions: u64,
    rounds: usize,
    covered: BTreeSet<(Stage, &'static str)>,
}

fn run(seeds: std::ops::Range<u64>) -> Tally {
    let mut tally = Tally::default();
    for seed in seeds {
        // A fault is told with its shortest history.
        let told = std::panic::catch_unwind(|| tell(seed, Simulated::new()));
        match told {
            Ok(Ok(told)) => {
                tally.decisions += told.decisions as u64;
                tally.rounds = tally.rounds.max(told.rounds);
                tally.covered.extend(told.covered);
            }
            Ok(Err(_)) | Err(_) => {
                let events = events_of(seed);
                let shortest = shrink(&events, &Simulated::new);
                let why = goes_wrong(&shortest, &Simulated::new).unwrap_or_default();
                let lines: Vec<String> = shortest.iter().map(ToString::to_string).collect();
                panic!("history {seed}: {why}\n{}", lines.join("\n"));
            }
        }
    }
    tally
}

#[test]
fn core_histories() {
    let (histories, half) = (count(), count() / 2);
    let [first, second] = std::thread::scope(|scope| {
        [0..half, half..histories].map(|seeds| scope.spawn(|| run(seeds))).map(|half| half.join().unwrap())
    });
    let decisions = (first.decisions + second.decisions) / histories.max(1);
    let rounds = first.rounds.max(second.rounds);
    let covered: BTreeSet<_> = first.covered.union(&second.covered).collect();
    println!(
        "{histories} histories, {decisions} decisions each, {rounds} rounds at most, {} pairs of stage and deed",
        covered.len()
    );
    assert!(decisions < MOST_DECISIONS, "a history takes {decisions} decisions");
    if histories >= 20_000 {
        // Those that only steps of other backends come to are in `steps.rs`.
        let stages = Stage::ALL.iter().filter(|stage| !matches!(stage, Stage::TimedOut | Stage::Unknown));
        // Somebody takes back their own words too seldom to meet every stage.
        let covered: BTreeSet<_> = covered.into_iter().filter(|(_, deed)| *deed != "unsay").collect();
        let missing = stages.count() * (KINDS - 1) - covered.len();
        assert!(
            missing == 0,
            "{missing} pairs of stage and deed never occurred; there were only {covered:?}"
        );
    }
}

/// What people see, whatever the order in which pull requests got their numbers, and whether one of ours that was merged at
/// once was told before that there is nothing to judge in it.
fn lines(world: &mut Simulated) -> Vec<String> {
    let untold = |line: &str| line.replace(", check success \"no request in this pull request\"", "");
    let mut lines: Vec<String> = view(world).lines().map(untold).collect();
    lines.sort();
    lines
}

/// Every crash point: a history with a crash anywhere, or an answer lost, ends as the one without. What is begun at most
/// once may be left to people instead: `steps.rs` holds that.
#[test]
fn core_a_crash_anywhere_changes_nothing() {
    let is_of_steps = |path: &std::path::PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("step-"))
    };
    for path in crate::scenarios::files().into_iter().filter(|path| !is_of_steps(path)) {
        let story = std::fs::read_to_string(&path).unwrap();
        let mut world = Simulated::new();
        for line in story.lines().map(str::trim) {
            if line.starts_with(['|', '#']) || line.is_empty() || line == "view" || line.starts_with("read ")
            {
                continue;
            }
            if line != "reconcile" {
                world.deed(&line.strip_prefix("refused: ").unwrap_or(line).parse().unwrap());
                continue;
            }
            let mut calm = world.clone();
            let acts = reconcile(&mut calm).acts;
            drop(reconcile(&mut calm));
            let expected = lines(&mut calm);
            for at in 0..acts {
                for trouble in [None, Some(Mishap::NotDone), Some(Mishap::DoneNotTold)] {
                    let mut branch = world.clone();
                    let event = match trouble {
                        None => Event::Crash { at },
                        Some(what) => Event::Mishap { at, what },
                    };
                    happen(&mut branch, &event, &mut untold());
                    drop(reconcile(&mut branch));
                    drop(reconcile(&mut branch));
                    assert_eq!(
                        lines(&mut branch),
                        expected,
                        "{}: {trouble:?} at act {at} after `{line}`",
                        path.display()
                    );
                }
            }
            world = calm;
        }
    }
}

/// The same history gives the same world.
#[test]
fn core_the_same_history_repeats() {
    for seed in 0..50 {
        let first = tell(seed, Simulated::new()).unwrap();
        let second = replay(&first.events, Simulated::new()).unwrap();
        assert_eq!(view(&mut first.world.clone()), view(&mut second.world.clone()), "history {seed}");
    }
}

/// `make story SEED=n`: prints one history and what people see in the end.
#[test]
fn core_one_story() {
    let Some(seed) = std::env::var("SEED").ok().and_then(|text| text.parse().ok()) else { return };
    let (mut world, mut told) = (Simulated::new(), untold());
    for event in shrink_if_wrong(&events_of(seed)) {
        println!("\n{event}");
        happen(&mut world, &event, &mut told);
        print!("{}", view(&mut world));
    }
    match tell(seed, Simulated::new()) {
        Ok(told) => println!("{}", view(&mut told.world.clone())),
        Err(why) => println!("WRONG: {why}"),
    }
}
