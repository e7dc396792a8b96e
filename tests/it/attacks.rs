//! What people try with a request, and the mistake that they are told of. `docs/security.md` says which is for which.

use chandlery::plan::facts::{Answer, Question};

use crate::world::{Deed, World, reconcile, simulated::Simulated};

/// Deeds, one a line, and the code that the comment on the last pull request must name.
const TRIED: [(&str, &str); 9] = [
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
        let mut ask = |question: Question| world.ask(&[question].into()).pop().expect("an answer").1;
        let pulls = (1..10).filter_map(|number| match ask(Question::Pull(number)) {
            Answer::Pull(pull) => pull,
            other => panic!("{other:?}"),
        });
        let newest = pulls.last().expect("a pull request");
        let told: String = newest.comments.iter().map(|comment| comment.body.as_str()).collect();
        if !told.contains(code) {
            wrong.push(format!("{deeds}\n  wants {code}, and is told:\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
