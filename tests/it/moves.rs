//! Does a pass over what rests cost no more where more is open, and is nothing missed for it? Over real HTTP, each pass in a
//! process of its own.

use chandlery::reconcile::{Counts, Report};
use serde_json::{Value, json};

use crate::world::{Repo, World, fixture, local::Local, reconcile, view};

const REQUESTS: [&str; 9] = ["one", "two", "six", "ten", "four", "five", "nine", "seven", "eight"];

/// So many requests wait for their approval. The issues come first, so the pull request of the first is `count` + 1.
fn waiting(count: usize) -> Local {
    let mut world = Local::recorded();
    for name in &REQUESTS[..count] {
        does(&mut world, &format!("dan files create-bucket name={name}"));
    }
    let (report, _) = pass(&mut world);
    assert_eq!(report.stages.len(), count, "{report:?}");
    world
}

fn does(world: &mut Local, deed: &str) {
    assert!(world.deed(&deed.parse().unwrap()), "{deed}");
}

fn pass(world: &mut Local) -> (Report, Counts) {
    world.begin_anew(true);
    let report = reconcile(world);
    assert!(report.stopped.is_none() && report.left.is_empty(), "{report:?}");
    (report, world.counts())
}

/// A pass that looks at everything, and finds nothing that was missed.
fn pass_of_a_new_machine(world: &mut Local) -> Counts {
    world.begin_anew(false);
    assert_eq!(reconcile(world).acts, 0);
    world.counts()
}

/// Moves the branch of a pull request to another commit by force, and back again.
fn move_away_and_back(world: &Local, pull: usize) {
    let does = |method: &str, path: &str, body: Value| {
        let path = format!("/api/v3/repos/{}/git/{path}", Repo::Catalog.name());
        let (status, answer) = world.tries("eve", method, &path, &body);
        assert!(status < 300, "{answer}");
        answer
    };
    let head = &world.get(Repo::Catalog, &format!("pulls/{pull}")).unwrap()["head"];
    let commit = world.get(Repo::Catalog, &format!("git/commits/{}", head["sha"].as_str().unwrap())).unwrap();
    let other = json!({
        "message": "Another", "tree": commit["tree"]["sha"], "parents": [commit["parents"][0]["sha"]],
    });
    let other = does("POST", "commits", other);
    for to in [&other["sha"], &head["sha"]] {
        let path = format!("refs/heads/{}", head["ref"].as_str().unwrap());
        does("PATCH", &path, json!({ "sha": to, "force": true }));
    }
}

#[test]
fn a_pass_over_what_rests_costs_the_same_for_three_requests_and_for_nine() {
    let idle = |count: usize| {
        let mut world = waiting(count);
        let (report, counts) = pass(&mut world);
        assert_eq!((report.acts, counts.writes), (0, 0));
        (world, counts)
    };
    let ((_, three), (mut world, nine)) = (idle(3), idle(9));
    assert_eq!((three.spared, nine.spared), (3, 9));
    assert_eq!(three.calls, nine.calls);

    // One branch moves away and back: its list is read, and nothing else.
    move_away_and_back(&world, 11);
    let (report, one_moved) = pass(&mut world);
    assert_eq!((report.acts, one_moved.spared, one_moved.calls), (0, 8, nine.calls + 1));

    // Without what was kept, or where it is damaged, all are read.
    let all = pass_of_a_new_machine(&mut world);
    assert_eq!((all.spared, all.calls), (0, nine.calls + 9));
    let (_, again) = pass(&mut world);
    assert_eq!((again.spared, again.calls), (9, nine.calls));
    for file in std::fs::read_dir(world.answers()).unwrap() {
        let file = file.unwrap().path();
        let mut bytes = std::fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(file, bytes).unwrap();
    }
    let (report, damaged) = pass(&mut world);
    assert_eq!((report.acts, damaged.spared, damaged.unchanged), (0, 0, 0));
    assert_eq!(damaged.calls, all.calls);
}

#[test]
fn what_moves_without_a_new_head_is_seen_all_the_same() {
    const APPROVED: &str = "check success \"approved: it may be merged\"";
    const WAITS: &str = "check pending \"waiting for approval: 1 more for platform\"";
    let mut world = waiting(3);
    let sees = |world: &mut Local, expected: &str, why: &str| {
        let (_, counts) = pass(world);
        assert!(counts.spared > 0, "{why}: {counts:?}");
        let seen = view(world);
        let line = seen.lines().find(|line| line.starts_with("catalog#4 ")).unwrap();
        assert!(line.contains(expected), "{why}: {line}");
        pass_of_a_new_machine(world);
    };
    let agrees = |world: &mut Local| {
        does(world, "bo approves catalog#4");
        sees(world, APPROVED, "approved");
    };
    agrees(&mut world);

    move_away_and_back(&world, 4);
    sees(&mut world, WAITS, "the branch was moved away and back");

    agrees(&mut world);
    does(&mut world, "bo leaves");
    sees(&mut world, WAITS, "bo has left the team");
    does(&mut world, "bo joins");
    sees(&mut world, APPROVED, "bo is in the team again");

    // Somebody has our check run again, and it comes out otherwise.
    let head = world.get(Repo::Catalog, "pulls/4").unwrap()["head"]["sha"].take();
    let runs = world.get(Repo::Catalog, &format!("commits/{}/check-runs", head.as_str().unwrap())).unwrap();
    let path = format!("/api/v3/repos/{}/check-runs/{}", Repo::Catalog.name(), runs["check_runs"][0]["id"]);
    let failed = json!({ "status": "completed", "conclusion": "failure", "output": { "title": "no", "summary": "no" } });
    assert_eq!(world.tries(fixture::ME, "PATCH", &path, &failed).0, 200);
    sees(&mut world, APPROVED, "the check was run again");
}
