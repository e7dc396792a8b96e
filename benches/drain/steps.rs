//! What does a step of a run cost? All that Chandlery does for it, from the pass that finds it to the one that has recorded its
//! end, beside the bare act: the call, the push with the pull request, the process.

use std::{
    collections::BTreeSet,
    os::unix::fs::MetadataExt as _,
    time::{Duration, Instant},
};

use chandlery::plan::{
    facts::{Answer, Question},
    step::{Act, Acted, Call},
};

use crate::{
    side::{self, Bars, By, Cost},
    world::{Deed, Repo, World, local::Local, reconcile},
};

const ROUNDS: u64 = 15;

/// A kind of step: what is asked, and what people and backends do until it ends.
const KINDS: [(&str, &str, &[&str]); 4] = [
    ("script", "check-bucket of old", &[]),
    ("workflow", "apply-bucket of old", &["backend ends apply success url=https://run.test/1"]),
    ("webhook", "ask-bucket of old label=red", &[]),
    ("pull request", "resize-bucket of old size=SIZE", &["ada merges infra#PULL"]),
];

/// An action that runs a script of the fixture and does nothing else.
const CHECK: (&str, &str) = (
    "actions/check-bucket.yaml",
    "identifier: check-bucket\ntrigger: { operation: DAY-2, blueprintIdentifier: bucket }\napproval: none\nmerge: auto\nsteps:\n  - id: check\n    script: { run: check.sh }\nentities:\n  - update: { blueprint: bucket, identifier: \"{{ entity.identifier }}\", properties: { label: \"{{ steps.check.outputs.label }}\" } }\n",
);

/// Times what is done for the step itself.
struct Timed<'a> {
    local: &'a mut Local,
    bare: Duration,
}

impl World for Timed<'_> {
    fn ask(&mut self, questions: &BTreeSet<Question>) -> Vec<(Question, Answer)> {
        self.local.ask(questions)
    }

    fn act(&mut self, act: &Act) -> Acted {
        let start = Instant::now();
        let acted = self.local.act(act);
        let is_bare = match act {
            Act::Backend(_) | Act::Call(Call::OpenPull { .. }) => true,
            Act::Push { repository, .. } => *repository == Repo::Infra.name(),
            Act::Call(_) | Act::Notify(_) => false,
        };
        if is_bare {
            self.bare += start.elapsed();
        }
        acted
    }

    fn deed(&mut self, deed: &Deed) -> bool {
        self.local.deed(deed)
    }
}

impl Timed<'_> {
    fn pass(&mut self) -> Duration {
        let start = Instant::now();
        let report = reconcile(self);
        assert!(report.left.is_empty() && report.stopped.is_none(), "{report:#?}");
        start.elapsed()
    }
}

pub(crate) fn measure(bench: &side::World) {
    side::heading("A step of a run, asked to recorded, less a run without any", "chandlery", "bare act");
    let nothing = rounds("label-bucket of old label=LABEL", &[]);
    let [_, without, _] =
        side::quartiles(nothing.iter().map(|[whole, _]| whole.wall.as_secs_f64()).collect());
    println!("  a run without steps takes {:.1} ms", without * 1000.0);
    for (kind, action, then) in KINDS {
        if kind == "script" && !is_root() {
            println!("  {kind}: not measured, since only root may become the user that it runs as");
            continue;
        }
        let mut pairs = rounds(action, then);
        for [whole, _] in &mut pairs {
            whole.wall = whole.wall.saturating_sub(Duration::from_secs_f64(without));
        }
        bench.row(kind, By::Wall, &pairs, Bars::NONE);
    }
}

/// What each of some requests took, in all and for the bare act; the first warms up and does not count.
fn rounds(action: &str, then: &[&str]) -> Vec<[Cost; 2]> {
    let more = [(CHECK.0.to_owned(), CHECK.1.to_owned())];
    let mut local = Local::holding(&mut more.into_iter());
    let mut pairs = Vec::new();
    for round in 1..=ROUNDS {
        let action =
            action.replace("SIZE", &(round % 8 + 2).to_string()).replace("LABEL", &format!("l{round}"));
        does(&mut local, &format!("dan asks step-{round} {action}"));
        let newest = local.get(Repo::Catalog, "pulls?state=all&per_page=1&sort=created&direction=desc");
        let number = newest.and_then(|all| all[0]["number"].as_u64()).unwrap();
        let mut timed = Timed { local: &mut local, bare: Duration::ZERO };
        let mut whole = timed.pass();
        if timed.local.get(Repo::Catalog, &format!("pulls/{number}")).unwrap()["merged"] == false {
            does(timed.local, &format!("bo approves catalog#{number}"));
            does(timed.local, &format!("dan merges catalog#{number}"));
            whole += timed.pass();
        }
        for deed in then {
            does(timed.local, &deed.replace("PULL", &round.to_string()));
            whole += timed.pass();
        }
        let bare = timed.bare;
        pairs.push([Cost { wall: whole, cpu: whole }, Cost { wall: bare, cpu: bare }]);
    }
    let ended = local.files(Repo::Catalog, "main").iter().filter(|path| path.ends_with("/run.yaml")).count();
    assert_eq!(ended as u64, ROUNDS, "{action}: not all came to their end");
    pairs.split_off(1)
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn does(local: &mut Local, deed: &str) {
    assert!(local.deed(&deed.parse().unwrap()), "{deed}");
}
