//! Does it keep within the forge's limits, and say what waits? Over real HTTP.

use chandlery::{
    forge::pace::Pace,
    plan::{Key, step::Act},
    reconcile::{Input, Output, Turn},
};

use crate::world::{World, local::Local, reconcile, simulated::Simulated, view};

/// Whoever was approved goes on first; who waits is told so; the next pass takes it from there.
#[test]
fn what_the_forge_does_not_take_waits_and_says_so() {
    let mut world = Local::recorded();
    let deed = |world: &mut Local, text: &str| assert!(world.deed(&text.parse().unwrap()), "{text}");
    deed(&mut world, "dan asks data create-bucket name=data");
    world.paced(None);
    drop(reconcile(&mut world));
    deed(&mut world, "bo approves catalog#1");
    deed(&mut world, "dan merges catalog#1");
    for name in ["one", "two", "six"] {
        deed(&mut world, &format!("dan files create-bucket name={name}"));
    }
    world.paced(Some(Pace { minute: 100, hour: 7, reserve: 4 }));
    let report = reconcile(&mut world);
    assert!(report.waits.iter().any(|why| why.contains("takes no more calls")), "{report:?}");
    assert!(!report.waits.iter().any(|why| why.starts_with("request data")), "{report:?}");
    let seen = view(&mut world);
    assert!(seen.contains("infra#1 by chandlery[bot] open"), "{seen}");
    assert!(seen.contains("says \"Waits for the forge\""), "{seen}");

    world.paced(None);
    let report = reconcile(&mut world);
    assert!(report.waits.is_empty() && report.left.is_empty(), "{report:?}");
    let seen = view(&mut world);
    assert!(!seen.contains("Waits for the forge"), "{seen}");
    assert_eq!(seen.matches("says \"Asked\"").count(), 3, "{seen}");
    assert_eq!(reconcile(&mut world).acts, 0);

    // What did not change is not read again, by another process either, and costs nothing.
    let before = world.counts();
    world.paced(None);
    assert_eq!(reconcile(&mut world).acts, 0);
    let counts = world.counts();
    assert!(counts.unchanged >= 4, "{counts:?} after {before:?}");
}

/// What woke the pass is looked at first, and everything else afterwards.
#[test]
fn what_an_event_is_about_comes_first() {
    let mut world = Simulated::new();
    for name in ["one", "two", "six"] {
        assert!(world.deed(&format!("dan files create-bucket name={name}").parse().unwrap()));
    }
    let mut turn = Turn::woken_by("only", [Key::Issue(3)].into());
    let (mut input, mut pushed) = (Input::Start, Vec::new());
    let report = loop {
        match turn.next(input) {
            Output::Look(questions) => input = Input::Answers(world.ask(&questions)),
            Output::Act(act) => {
                if let Act::Push { commits, .. } = &act {
                    pushed.push(commits.iter().map(|commit| commit.branch.to_string()).collect::<Vec<_>>());
                }
                input = Input::Acted(world.act(&act));
            }
            Output::Done(report) => break report,
        }
    };
    assert!(pushed[0].len() == 1 && pushed[0][0].ends_with("issue-3"), "{pushed:?}");
    assert_eq!(pushed.len(), 2, "{pushed:?}");
    assert_eq!(report.stages.len(), 3);
}
