//! Stories, told in text and held in the simulated world.

use crate::world::{Ask, Deed, How, Repo, reconcile, simulated::Simulated, view, World};

#[test]
fn core_smoke() {
    let mut world = Simulated::new();
    let ask = |action: &str, pairs: &[(&str, &str)]| Ask {
        action: action.into(),
        entity: None,
        inputs: pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect(),
    };
    assert!(world.deed(&Deed::File { who: "dan".into(), ask: ask("create-bucket", &[("name", "logs"), ("size", "3")]) }));
    let report = reconcile(&mut world);
    println!("{report:#?}\n{}", view(&mut world));
    assert!(world.deed(&Deed::Approve { who: "bo".into(), at: (Repo::Catalog, 2) }));
    let report = reconcile(&mut world);
    println!("{report:#?}\n{}", view(&mut world));
    assert!(world.deed(&Deed::Merge { who: "dan".into(), at: (Repo::Catalog, 2), how: How::Merge }));
    let report = reconcile(&mut world);
    println!("{report:#?}\n{}", view(&mut world));
    assert!(world.deed(&Deed::Merge { who: "bo".into(), at: (Repo::Infra, 1), how: How::Squash }));
    let report = reconcile(&mut world);
    println!("{report:#?}\n{}", view(&mut world));
    let report = reconcile(&mut world);
    assert_eq!(report.acts, 0);
}
