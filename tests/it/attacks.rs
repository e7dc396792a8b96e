//! What people try with a request, and the mistake that they are told of. `docs/security.md` says which is for which.

use std::collections::BTreeSet;

use chandlery::{
    domain::FileMode,
    plan::{
        facts::{Answer, File, Question},
        step::{Act, Acted},
    },
};

use crate::world::{Deed, Repo, World, reconcile, simulated::Simulated};

/// Deeds, one a line, and the code that the comment on the last pull request must name.
const TRIED: [(&str, &str); 10] = [
    // Changing a definition and using it at once.
    ("dan asks a create-bucket name=a\neve tampers catalog#1 /actions/create-bucket.yaml", "mixed-change"),
    ("dan asks a create-bucket name=a\neve tampers catalog#1 /chandlery.yaml", "mixed-change"),
    // Bringing a plan, a record or anything else along.
    ("dan asks a create-bucket name=a\nwe look\neve tampers catalog#1 run.yaml", "surplus-file"),
    // Taking a name that is given to what issues ask for, or that is used up.
    ("dan asks 2026/11/issue-7 create-bucket name=a", "reserved-request-id"),
    (
        "ada smuggles a create-bucket name=a\nada removes a\ndan asks a create-bucket name=b",
        "spent-request-id",
    ),
    // More than anybody reads, and more than a machine should make.
    (
        "ada writes action-templates/bucket/files/big.txt {% for i in range(6000) %}{{ i }}\\n{% endfor %}\ndan asks a create-bucket name=a",
        "plan-too-large",
    ),
    (
        "ada writes action-templates/bucket/files/big.txt {% for i in range(9999) %}{% for j in range(9999) %}{{ inputs.name }}{% endfor %}{% endfor %}\ndan asks a create-bucket name=a",
        "template-too-large",
    ),
    // A list that stands in a list twice, and so on: little to hold, and more than a machine can write.
    (
        "ada writes action-templates/bucket/files/big.txt {% set all = namespace(x=['a']) %}{% for i in range(40) %}{% set all.x = [all.x, all.x] %}{% endfor %}{{ all.x | json }}\ndan asks a create-bucket name=a",
        "template-too-large",
    ),
    // Climbing out of a folder by a name.
    ("dan asks a create-bucket name=../../etc", "pattern-mismatch"),
    // Asking for what others may ask for.
    ("dan asks a retire-bucket of old", "not-allowed"),
];

#[test]
fn core_what_is_tried_is_told_and_nothing_is_planned() {
    let mut wrong = Vec::new();
    for (deeds, code) in TRIED {
        let mut world = Simulated::new();
        for deed in deeds.lines() {
            match deed {
                "we look" => drop(reconcile(&mut world)),
                deed => {
                    let parsed: Deed = deed.parse().unwrap();
                    assert!(world.deed(&parsed), "{deed}");
                }
            }
        }
        let report = reconcile(&mut world);
        assert!(report.stopped.is_none() && report.left.is_empty(), "{deeds}: {report:#?}");
        let told = told(&mut world);
        if !told.contains(code) {
            wrong.push(format!("{deeds}\n  wants {code}, and is told:\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What our comments say on the newest pull request.
fn told(world: &mut dyn World) -> String {
    let mut ask = |question: Question| world.ask(&[question].into()).pop().expect("an answer").1;
    let pulls = (1..10).filter_map(|number| match ask(Question::Pull(number)) {
        Answer::Pull(pull) => pull,
        other => panic!("{other:?}"),
    });
    let newest = pulls.last().expect("a pull request");
    newest.comments.iter().map(|comment| comment.body.as_str()).collect()
}

#[test]
fn core_more_requests_than_anybody_reads_are_refused() {
    let mut world = Simulated::new();
    let mut deeds = vec!["dan asks a create-bucket name=a".to_owned()];
    deeds
        .extend((1..=20).map(|number| format!("eve tampers catalog#1 /requests/more-{number}/request.yaml")));
    for deed in &deeds[..20] {
        assert!(world.deed(&deed.parse().unwrap()));
    }
    drop(reconcile(&mut world));
    assert!(!told(&mut world).contains("too-many-requests"));
    assert!(world.deed(&deeds[20].parse().unwrap()));
    drop(reconcile(&mut world));
    assert_eq!(told(&mut world).matches("too-many-requests").count(), 21);
}

/// A world in which something in the target is a link, or a repository of its own.
struct Linked {
    world: Simulated,
    at: &'static str,
    mode: FileMode,
}

impl World for Linked {
    fn ask(&mut self, questions: &BTreeSet<Question>) -> Vec<(Question, Answer)> {
        let mut answers = self.world.ask(questions);
        for (question, answer) in &mut answers {
            if let Question::File(repository, _, path) = question
                && *repository == Repo::Infra.name()
                && path.as_str() == self.at
            {
                let bytes = b"../../elsewhere".as_slice();
                let id = chandlery::domain::ObjectId::of_blob(bytes);
                *answer = Answer::File(Some(File { mode: self.mode, id, bytes: bytes.into() }));
            }
        }
        answers
    }

    fn act(&mut self, act: &Act) -> Acted {
        assert!(!matches!(act, Act::Push { .. }), "it is planned through a link: {act:?}");
        self.world.act(act)
    }

    fn deed(&mut self, deed: &Deed) -> bool {
        self.world.deed(deed)
    }
}

#[test]
fn core_nothing_is_planned_through_a_link_in_the_target() {
    for (at, mode, code) in [
        ("buckets", FileMode::Link, "path-through-file"),
        ("buckets", FileMode::Submodule, "path-through-file"),
        ("buckets/a.yaml", FileMode::Link, "path-through-link"),
        ("buckets/a.yaml", FileMode::Submodule, "path-through-link"),
    ] {
        let mut world = Linked { world: Simulated::new(), at, mode };
        assert!(world.deed(&"dan asks a create-bucket name=a".parse().unwrap()));
        drop(reconcile(&mut world));
        let told = told(&mut world);
        assert!(told.contains(code), "{at} as {mode:?}: {told}");
    }
}
