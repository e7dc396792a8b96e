//! Who must approve, as a table of sentences: `approvals.txt`.
//!
//! `rules:` begins a part; what follows is the `approval` of the action `create-bucket`, which dan then asks for by a pull
//! request of his own (`by form`: by an issue form). A case is what people do, with `;` between, then `=>` and what the check says; where somebody
//! merges, what the record says. `UPDATE=1` writes what is seen into the file, to be read.

use std::path::{Path, PathBuf};

use chandlery::{
    domain::{Branch, Known, Run},
    plan::facts::{Answer, Question},
};

use crate::world::{Deed, Repo, World, reconcile, simulated::Simulated};

/// The table, and the outcome of each sentence in the world that `make` gives, or of all up to the first that comes out otherwise.
pub fn outcomes<W: World>(make: &dyn Fn() -> W, all: bool) -> (String, String, usize) {
    let path = table();
    let table = std::fs::read_to_string(path).unwrap();
    let mut seen = String::new();
    let (mut part, mut before, mut cases) = (String::new(), Vec::new(), 0);
    for line in table.lines() {
        let kept = if let Some(rules) = line.strip_prefix("rules: ") {
            (part, before) = (rules.to_owned(), Vec::new());
            line.to_owned()
        } else if let Some(deeds) = line.strip_prefix("given: ") {
            before.push(deeds.to_owned());
            line.to_owned()
        } else if let Some((deeds, _)) = line.split_once(" => ") {
            cases += 1;
            format!("{deeds} => {}", outcome(&mut make(), &part, &before, deeds.trim()))
        } else {
            line.to_owned()
        };
        seen.push_str(&kept);
        seen.push('\n');
        if !all && kept != line {
            break;
        }
    }
    (table, seen, cases)
}

fn table() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/approvals.txt")
}

#[test]
fn core_each_sentence_about_approvals_holds() {
    let (table, seen, cases) = outcomes(&Simulated::new, true);
    assert!(cases >= 120, "{cases} cases");
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(self::table(), seen).unwrap();
    } else if seen != table {
        panic!("{}", similar::TextDiff::from_lines(&table, &seen).unified_diff());
    }
}

const ACTION: &str = "identifier: create-bucket\ntitle: Create a bucket\ntrigger:\n  operation: CREATE\n  blueprintIdentifier: bucket\n  userInputs:\n    properties:\n      name: { type: string, pattern: \"^[a-z]+$\" }\n      size: { type: number, minimum: 1, maximum: 9, default: 1 }\n      like: { type: string, format: entity, blueprint: bucket }\n    required: [name]\napproval: RULES\nsteps:\n  - id: code\n    pullRequest: { repository: acme/infra, template: bucket, title: \"Bucket {{ inputs.name }}\" }\nentities:\n  - create: { blueprint: bucket, identifier: \"{{ inputs.name }}\", properties: { size: \"{{ inputs.size }}\" } }\n";

fn outcome(world: &mut dyn World, rules: &str, before: &[String], deeds: &str) -> String {
    before.iter().for_each(|deed| play(world, deed));
    let action = ACTION.replace("RULES", rules).replace('\n', "\\n");
    play(world, &format!("ada writes actions/create-bucket.yaml {action}"));
    let (number, deeds) = match deeds.strip_prefix("by form: ") {
        Some(deeds) => (2, deeds),
        None => (1, deeds),
    };
    let verb = if number == 2 { "files" } else { "asks a" };
    play(world, &format!("dan {verb} create-bucket name=a size=3 like=old"));
    look(world);
    for deed in deeds.split(';').map(str::trim).filter(|deed| *deed != "nothing") {
        let whole = match deed.split(' ').collect::<Vec<_>>()[..] {
            ["we", "look"] => {
                look(world);
                continue;
            }
            [who, verb] if verb != "joins" && verb != "leaves" => format!("{who} {verb} catalog#{number}"),
            [who, verb @ ("dismisses" | "merges"), what] => format!("{who} {verb} catalog#{number} {what}"),
            [who, "says", ..] => {
                format!("{who} says catalog#{number} {}", deed.strip_prefix(&format!("{who} says ")).unwrap())
            }
            [who, "pushes", name] => {
                format!("{who} pushes catalog#{number} create-bucket name={name} size=3 like=old")
            }
            _ => deed.to_owned(),
        };
        if !is_allowed(world, &whole) {
            return format!("the forge refuses: {deed}");
        }
    }
    look(world);
    told(world, number)
}

fn play(world: &mut dyn World, deed: &str) {
    assert!(is_allowed(world, deed), "the forge refuses: {deed}");
}

fn is_allowed(world: &mut dyn World, deed: &str) -> bool {
    let parsed: Deed = deed.parse().unwrap_or_else(|why| panic!("{deed}: {why}"));
    world.deed(&parsed)
}

fn look(world: &mut dyn World) {
    let report = reconcile(world);
    assert!(report.stopped.is_none() && report.left.is_empty(), "{report:#?}");
}

/// What people are told in the end: the record of what was merged, or the check.
fn told(world: &mut dyn World, number: u64) -> String {
    let catalog = Repo::Catalog.name();
    let mut ask = |question: Question| world.ask(&[question].into()).pop().expect("an answer").1;
    let main: Branch = "main".parse().unwrap();
    let Answer::Head(Some(head)) = ask(Question::Head(catalog.clone(), main)) else { panic!("no head") };
    for id in ["a", "issue-1"] {
        let path = format!("requests/{id}/run.yaml").parse().unwrap();
        if let Answer::File(Some(file)) = ask(Question::File(catalog.clone(), head, path)) {
            let run: Run = serde_yaml::from_slice(&file.bytes).unwrap();
            return format!("{}: {}", run.status, run.reason.unwrap_or_default());
        }
    }
    let Answer::Pull(Some(pull)) = ask(Question::Pull(number)) else {
        return "nothing was opened".to_owned();
    };
    if pull.merge_commit.is_some() {
        let said = pull.comments.iter().flat_map(|comment| comment.body.lines());
        let stage = said.filter_map(|line| line.strip_prefix("### Create a bucket: ")).next_back();
        return format!("merged, {}", stage.unwrap_or("nothing said"));
    }
    let Known::Yes(commits) = &pull.commits else { panic!("no commits") };
    let newest = commits.iter().find(|commit| commit.id == pull.head);
    let check = newest.and_then(|commit| commit.checks.last());
    check.map_or_else(|| "no check".to_owned(), |check| check.title.clone())
}
