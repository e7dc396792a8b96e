//! Thousands of histories: people do deeds in any order, passes crash, double and go wrong; whatever
//! happens, the world settles, says one thing once, and executes nothing that was not approved.
//!
//! `make story SEED=n` prints one; HISTORIES=n sets how many.

mod made_up;
mod judge;

use std::collections::BTreeSet;

use chandlery::{
    domain::{Comment, Stage},
    reconcile::{Input, Output, Report},
};

use made_up::make_up;

use crate::world::{
    Deed, Repo, World, begin, reconcile,
    simulated::{Mishap, Simulated},
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
        Deed::Ask { .. } | Deed::Repeat { .. } => "ask",
        Deed::Offer { .. } => "offer",
        Deed::Mode { .. } | Deed::Queue { .. } => "mode",
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
        Deed::Close { .. } | Deed::RenameBranch { .. } => "close",
        Deed::Reopen { .. } | Deed::Retarget { .. } => "reopen",
        Deed::Ready { .. } => "mark ready",
        Deed::Smuggle { .. } => "smuggle",
        Deed::Remove { .. } => "remove",
        Deed::Join { .. } => "join",
        Deed::Leave { .. } => "leave",
        Deed::ChangeAction => "change action",
        Deed::ChangeTarget { .. } => "change target",
        Deed::Meddle { .. } => "meddle",
        Deed::Answers { .. }
        | Deed::Ends { .. }
        | Deed::Checks { .. }
        | Deed::Loses
        | Deed::Reports { .. } => BACKENDS,
        Deed::Write { .. } => "define",
        Deed::Wait { .. } => "wait",
    }
}

/// What backends do; that they meet every stage is not asked.
const BACKENDS: &str = "a backend";

/// The kinds of deeds of people.
const KINDS: usize = 31;

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
    let mut turn = begin(world);
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
    let mut turns = [(begin(world), Some(Input::Start)), (begin(world), Some(Input::Start))];
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
        Event::Deed(Deed::Mode { mode }) if mode.starts_with("by-") || mode == "hasty" => Some(mode.clone()),
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
    judge::judge(&real, &last.stages)?;
    told.world = real;
    Ok(told)
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
        let is_asked = |pair: &&(Stage, &str)| {
            !["unsay", BACKENDS].contains(&pair.1) && !matches!(pair.0, Stage::TimedOut | Stage::Unknown)
        };
        let covered: BTreeSet<_> = covered.into_iter().filter(is_asked).collect();
        let missing = stages.count() * (KINDS - 1) - covered.len();
        assert!(
            missing == 0,
            "{missing} pairs of stage and deed never occurred; there were only {covered:?}"
        );
    }
}

/// What people see, and how many of them are asked for a review, whatever the order in which pull requests got their numbers, and
/// whether one of ours that was merged at once was told before that there is nothing to judge in it.
fn lines(world: &mut Simulated) -> Vec<String> {
    let untold = |line: &str| line.replace(", check success \"no request in this pull request\"", "");
    let mut lines: Vec<String> = view(world).lines().map(untold).collect();
    for pull in world.pulls(Repo::Catalog) {
        let says = |comment: &Comment| comment.body.lines().nth(2).map(str::to_owned);
        let about: Vec<String> = pull.comments.iter().filter_map(says).collect();
        lines.push(format!("{about:?} asks {}", pull.requested.len()));
    }
    lines.sort();
    lines
}

/// Every crash point: a history with a crash anywhere, or an answer lost, ends as the one without. What is begun at most
/// once may be left to people instead: `steps.rs` holds that. Which of two comes first in a race may be the other one then.
#[test]
fn core_a_crash_anywhere_changes_nothing() {
    let is_else = |path: &std::path::PathBuf| {
        let is_called = |name: &str| name.starts_with("step-") || name.starts_with("race-");
        path.file_name().is_some_and(|name| is_called(&name.to_string_lossy()))
    };
    for path in crate::scenarios::files().into_iter().filter(|path| !is_else(path)) {
        let story = std::fs::read_to_string(&path).unwrap();
        let mut world = Simulated::new();
        for line in story.lines().map(str::trim) {
            let is_look = line == "view" || line.starts_with("read ") || line.starts_with("asked ");
            if line.starts_with(['|', '#']) || line.is_empty() || is_look {
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

/// What is kept between the rounds of a pass decides nothing: each decision is the one of who begins anew.
#[test]
fn core_what_is_kept_decides_nothing() {
    let doubted = || {
        let mut world = Simulated::new();
        world.doubted = true;
        world
    };
    for seed in 0..count().min(150) {
        if let Err(why) = tell(seed, doubted()) {
            panic!("history {seed}: {why}");
        }
    }
    for path in crate::scenarios::files() {
        let story = std::fs::read_to_string(&path).unwrap();
        assert_eq!(crate::scenarios::play(&mut doubted(), &story), story, "{}", path.display());
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
