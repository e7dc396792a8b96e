//! Do the simulated world and the local forge agree? The stories and 200 generated histories are
//! held in both, and people must see the same: so the simulator is a model of what is tested, and
//! what was found out in it holds over real HTTP and real Git.
//!
//! LOCAL_HISTORIES says how many histories; `make story SEED=…` holds one of them.

use similar::TextDiff;

use crate::{
    histories::{Event, events_of},
    scenarios,
    world::{Deed, World, local::Local, simulated::Mishap, simulated::Simulated, view},
};
use chandlery::{
    plan::step::Acted,
    reconcile::{Input, Output, Report, Turn},
};

/// How many histories are held in both worlds within the suite.
const HISTORIES: u64 = 200;

/// Histories are shared out, so that they are held at the same time.
const SHARES: u64 = 4;

/// Lets one event happen; what came of it, in words.
fn happen(world: &mut dyn World, event: &Event) -> String {
    match event {
        Event::Deed(deed) => format!("done: {}", world.deed(deed)),
        // The forge's lists may lag too, but not for the length of a whole pass.
        Event::Pass | Event::Lagging => stages(&pass(world, usize::MAX, None, None)),
        Event::Mishap { at, what } => stages(&pass(world, usize::MAX, Some((*at, *what)), None)),
        Event::Crash { at } => stages(&pass(world, *at, None, None)),
        Event::Between { at, deed } => stages(&pass(world, usize::MAX, None, Some((*at, deed)))),
        Event::Twins => twins(world),
    }
}

fn stages(report: &Report) -> String {
    assert!(report.stopped.is_none(), "{report:#?}");
    // Each world has its own words for what it refused.
    let left: Vec<_> = report.left.keys().collect();
    format!("{:#?} {left:#?} {:#?}", report.stages, report.waits)
}

/// A pass; dropped before act number `crash`, with a mishap at one act, or a deed before one.
fn pass(
    world: &mut dyn World,
    crash: usize,
    mishap: Option<(usize, Mishap)>,
    between: Option<(usize, &Deed)>,
) -> Report {
    let mut turn = Turn::new(&crate::world::name_of_pass());
    let mut input = Input::Start;
    let mut acts = 0;
    loop {
        match turn.next(input) {
            Output::Look(questions) => input = Input::Answers(world.ask(&questions)),
            Output::Act(_) if acts == crash => return Report::default(),
            Output::Act(act) => {
                if let Some((_, deed)) = between.filter(|(at, _)| *at == acts) {
                    world.deed(deed);
                }
                let what = mishap.filter(|(at, _)| *at == acts).map(|(_, what)| what);
                acts += 1;
                input = Input::Acted(match what {
                    None => world.act(&act),
                    Some(Mishap::NotDone) => Acted::Failed("no answer".to_owned()),
                    Some(Mishap::DoneNotTold) => {
                        drop(world.act(&act));
                        Acted::Failed("no answer".to_owned())
                    }
                    Some(Mishap::Postponed) => Acted::Postponed { seconds: 600 },
                });
            }
            Output::Done(report) => return report,
        }
    }
}

/// Two passes that take turns at every look and act.
fn twins(world: &mut dyn World) -> String {
    let mut turns = [
        (Turn::new(&crate::world::name_of_pass()), Some(Input::Start)),
        (Turn::new(&crate::world::name_of_pass()), Some(Input::Start)),
    ];
    let mut told = String::new();
    while turns.iter().any(|(_, input)| input.is_some()) {
        for (turn, slot) in &mut turns {
            let Some(input) = slot.take() else { continue };
            match turn.next(input) {
                Output::Look(questions) => *slot = Some(Input::Answers(world.ask(&questions))),
                Output::Act(act) => *slot = Some(Input::Acted(world.act(&act))),
                Output::Done(report) => told.push_str(&format!("{:#?}", report.stages)),
            }
        }
    }
    told
}

/// Plays events in both worlds; the first difference, if there is one. Looking at everything takes
/// longer than most events, so it is looked at `often` only to find out when the worlds parted.
fn differ(events: &[Event], often: bool) -> Result<(), String> {
    let (mut simulated, mut local) = (Simulated::new(), Local::new());
    let mut told = String::new();
    let compare = |told: &str, simulated: &mut Simulated, local: &mut Local, words: (String, String)| {
        let (mut first, mut second) = words;
        if often {
            first.push_str(&format!("\n{}", view(simulated)));
            second.push_str(&format!("\n{}", view(local)));
        }
        if first == second {
            return Ok(());
        }
        let diff =
            TextDiff::from_lines(&first, &second).unified_diff().header("simulated", "local").to_string();
        Err(format!("{told}{diff}"))
    };
    for event in events {
        let words = (happen(&mut simulated, event), happen(&mut local, event));
        told.push_str(&format!("{event}{}\n", if words.0 == "done: false" { " (refused)" } else { "" }));
        compare(&told, &mut simulated, &mut local, words)?;
    }
    let last = |world: &mut dyn World| {
        let acts: Vec<usize> = (0..3).map(|_| pass(world, usize::MAX, None, None).acts).collect();
        assert_eq!(acts[2], 0, "{told}it does not settle: {acts:?}");
        view(world)
    };
    let words = (last(&mut simulated), last(&mut local));
    compare(&told, &mut simulated, &mut local, words)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Holds every `SHARES`th history.
fn hold(share: u64) {
    let seeds: Vec<u64> = match number("SEED") {
        Some(seed) => (seed % SHARES == share).then_some(seed).into_iter().collect(),
        None => (0..number("LOCAL_HISTORIES").unwrap_or(HISTORIES))
            .filter(|seed| seed % SHARES == share)
            .collect(),
    };
    let mut wrong = Vec::new();
    for seed in seeds {
        let events = events_of(seed);
        if let Err(difference) = differ(&events, false) {
            let difference = differ(&events, true).err().unwrap_or(difference);
            wrong.push(format!("SEED={seed}\n{difference}"));
        }
    }
    assert!(wrong.is_empty(), "{} histories differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn histories_are_the_same_in_both_worlds_1() {
    hold(0);
}

#[test]
fn histories_are_the_same_in_both_worlds_2() {
    hold(1);
}

#[test]
fn histories_are_the_same_in_both_worlds_3() {
    hold(2);
}

#[test]
fn histories_are_the_same_in_both_worlds_4() {
    hold(3);
}

#[test]
fn stories_are_the_same_in_both_worlds() {
    let only = std::env::var("NAME").unwrap_or_default();
    let mut wrong = Vec::new();
    for path in scenarios::files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.contains(&only) {
            continue;
        }
        let story = std::fs::read_to_string(&path).unwrap();
        let play = |world: &mut dyn World| {
            let playing = std::panic::AssertUnwindSafe(|| scenarios::play_anew(world, &story));
            std::panic::catch_unwind(playing).unwrap_or_else(|_| format!("{name} ended early\n"))
        };
        let mut world = Local::recorded();
        let (simulated, local) = (play(&mut Simulated::new()), play(&mut world));
        let faults = crate::audit::faults(&world.catalog());
        // Where somebody removes and restores requests on the default branch, that is all that is found.
        let expected = if name == "spent.txt" { "removed replayed" } else { "" };
        if faults != expected {
            wrong.push(format!("{name}: the history does not follow: {faults}"));
        }
        if simulated != local {
            let diff = TextDiff::from_lines(&simulated, &local)
                .unified_diff()
                .header("simulated", "local")
                .to_string();
            wrong.push(format!("{name}:\n{diff}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
