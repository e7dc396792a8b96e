//! Does it keep within the forge's limits, and say what waits? Over real HTTP.

use chandlery::{forge::pace::Pace, plan::Key};

use crate::world::{World, local::Local, reconcile, view};

/// Whoever was approved goes on first; who waits is told so; the next pass takes it from there.
#[test]
fn what_the_forge_does_not_take_waits_and_says_so() {
    let mut world = Local::recorded();
    let deed = |world: &mut Local, text: &str| assert!(world.deed(&text.parse().unwrap()), "{text}");
    deed(&mut world, "dan asks data create-bucket name=data");
    world.paced(None);
    reconcile(&mut world);
    deed(&mut world, "bo approves catalog#1");
    deed(&mut world, "dan merges catalog#1");
    for name in ["one", "two", "six"] {
        deed(&mut world, &format!("dan files create-bucket name={name}"));
    }
    world.paced(Some(Pace { minute: 100, hour: 7, reserve: 4 }));
    let report = reconcile(&mut world);
    assert!(!report.left.is_empty());
    assert!(!report.left.contains_key(&Key::Request("data".parse().unwrap())), "{report:?}");
    let seen = view(&mut world);
    assert!(seen.contains("infra#1 by chandlery[bot] open"), "{seen}");
    assert!(seen.contains("says \"Waits for the forge\""), "{seen}");

    world.paced(None);
    let report = reconcile(&mut world);
    assert!(report.left.is_empty(), "{report:?}");
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
