//! Does each value go back to the commit that made it what it is, and do two commits differ in what all their files do?
//!
//! Over histories that are made up: files are written, moved, reworded and removed.

use std::{collections::BTreeMap, process::Command};

use proptest::prelude::*;
use serde_json::Value;

use super::Past;

/// What somebody does to one of a few things; numbers choose among what there is.
#[derive(Debug, Clone)]
enum Deed {
    Write {
        name: usize,
        size: Option<usize>,
        tier: Option<usize>,
        next: Option<usize>,
    },
    /// The same values, worded otherwise.
    Reword(usize),
    /// Its file goes to another folder.
    Move {
        name: usize,
        folder: usize,
    },
    Remove(usize),
    /// Something that is no entity.
    Other(usize),
    /// A scorecard that looks at what the thing points at, and one that does not.
    Judge(bool),
}

fn deed() -> impl Strategy<Value = Deed> {
    let some = || proptest::option::weighted(0.7, 0..3_usize);
    prop_oneof![
        8 => (0..3_usize, some(), some(), some()).prop_map(|(name, size, tier, next)| Deed::Write { name, size, tier, next }),
        3 => (0..3_usize).prop_map(Deed::Reword),
        3 => (0..3_usize, 0..3_usize).prop_map(|(name, folder)| Deed::Move { name, folder }),
        2 => (0..3_usize).prop_map(Deed::Remove),
        1 => (0..9_usize).prop_map(Deed::Other),
        1 => any::<bool>().prop_map(Deed::Judge),
    ]
}

const THINGS: [&str; 3] = ["a", "b", "c"];

/// What a thing says, and where its file lies.
#[derive(Debug, Clone, PartialEq, Default)]
struct Thing {
    values: BTreeMap<&'static str, String>,
    folder: usize,
    wording: usize,
}

impl Thing {
    fn path(&self, name: usize) -> String {
        format!("entities/thing/{}{}.yaml", ["", "p/", "p/q/"][self.folder], THINGS[name])
    }

    fn text(&self, name: usize) -> String {
        let list = |prefix: &str| {
            let some =
                self.values.iter().filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, value)));
            some.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>()
        };
        let (properties, relations) = (list("properties."), list("relations."));
        match self.wording % 2 {
            0 => format!(
                "identifier: {}\nblueprint: thing\nproperties: {{ {} }}\nrelations: {{ {} }}\n",
                THINGS[name],
                properties.join(", "),
                relations.join(", ")
            ),
            _ => format!(
                "# worded {} times\nrelations:\n  {{{}}}\nblueprint: \"thing\"\nproperties:\n  {{{}}}\nidentifier: {}\n",
                self.wording,
                relations.join(","),
                properties.join(","),
                THINGS[name],
            ),
        }
    }
}

/// A history that somebody made, and of each value the commit that it goes back to.
struct Made {
    past: Past,
    things: [Option<Thing>; 3],
    since: BTreeMap<(usize, &'static str), usize>,
    commits: usize,
}

impl Made {
    fn of(deeds: &[Deed]) -> Self {
        let past = Past::new();
        let blueprint = "identifier: thing
schema: { properties: { size: { type: number }, tier: { type: number } } }
relations: { next: { target: thing } }
mirrorProperties: { nextSize: { path: next.size } }
";
        past.write("blueprints/thing.yaml", blueprint);
        past.write("entities/thing/z.yaml", "identifier: z\nblueprint: thing\nrelations: { next: a }\n");
        past.commit("2026-02-01", "0");
        let mut made = Self { past, things: [None, None, None], since: BTreeMap::new(), commits: 1 };
        made.past.git("2026-02-01", &["tag", "c0"]);
        for deed in deeds {
            made.play(deed);
        }
        made
    }

    fn play(&mut self, deed: &Deed) {
        let before = self.things.clone();
        match deed {
            Deed::Write { name, size, tier, next } => {
                let thing = self.things[*name].get_or_insert_default();
                thing.values.clear();
                thing.values.extend(size.map(|size| ("properties.size", size.to_string())));
                thing.values.extend(tier.map(|tier| ("properties.tier", tier.to_string())));
                thing.values.extend(next.map(|next| ("relations.next", THINGS[next].to_owned())));
            }
            Deed::Reword(name) => {
                self.things[*name].iter_mut().for_each(|thing| thing.wording += 1);
            }
            Deed::Move { name, folder } => {
                self.things[*name].iter_mut().for_each(|thing| thing.folder = *folder);
            }
            Deed::Remove(name) => self.things[*name] = None,
            Deed::Other(number) => self.past.write("NOTES.md", &number.to_string()),
            Deed::Judge(itself) => {
                let property = if *itself { "size" } else { "nextSize" };
                let card = format!(
                    "identifier: card\nblueprint: thing\nlevels: [{{ title: Low }}, {{ title: High }}]\nrules:\n  - identifier: big\n    level: High\n    query: {{ combinator: and, conditions: [{{ property: {property}, operator: '>', value: 1 }}] }}\n"
                );
                self.past.write("scorecards/card.yaml", &card);
            }
        }
        for (name, (was, is)) in before.iter().zip(&self.things).enumerate() {
            if let Some(was) = was {
                std::fs::remove_file(self.past.0.path().join(was.path(name))).unwrap();
            }
            if let Some(is) = is {
                self.past.write(&is.path(name), &is.text(name));
            }
            for value in ["properties.size", "properties.tier", "relations.next"] {
                let of = |thing: &Option<Thing>| thing.as_ref()?.values.get(value).cloned();
                if of(was) != of(is) {
                    self.since.insert((name, value), self.commits);
                }
            }
        }
        self.past.git("2026-02-01", &["add", "-A"]);
        let message = self.commits.to_string();
        self.past.git("2026-02-01", &["commit", "-q", "--allow-empty", "-m", &message]);
        self.past.git("2026-02-01", &["tag", &format!("c{}", self.commits)]);
        self.commits += 1;
    }

    fn short(&self, number: usize) -> String {
        let output = Command::new("git")
            .args(["rev-parse", "--short=10", &format!("c{number}")])
            .current_dir(self.past.0.path())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::with_cases(24) })]

    /// Whatever becomes of its file, a value goes back to the commit that last made it another one.
    #[test]
    fn blame_finds_the_change_through_renames_and_reformatting(deeds in proptest::collection::vec(deed(), 1..12)) {
        let made = Made::of(&deeds);
        for (name, thing) in made.things.iter().enumerate() {
            let Some(thing) = thing else { continue };
            let told: Value = serde_json::from_str(&made.past.asks(&format!("blame thing {} --format json", THINGS[name]))).unwrap();
            let told: BTreeMap<String, (String, String)> = told
                .as_array()
                .unwrap()
                .iter()
                .map(|row| {
                    let is = row["is"].as_str().map_or_else(|| row["is"].to_string(), str::to_owned);
                    (row["value"].as_str().unwrap().to_owned(), (is, row["commit"].as_str().unwrap().to_owned()))
                })
                .collect();
            let expected: BTreeMap<String, (String, String)> = thing
                .values
                .iter()
                .map(|(value, is)| {
                    let since = made.short(made.since[&(name, *value)]);
                    ((*value).to_owned(), (is.clone(), since))
                })
                .collect();
            prop_assert_eq!(told, expected, "{}", THINGS[name]);
        }
    }

    /// Two commits, of which only what differs is looked at, differ in what the older one and all the files on disk do.
    #[test]
    fn diff_of_two_commits_says_what_a_look_at_everything_says(deeds in proptest::collection::vec(deed(), 2..12), from in 0..12_usize) {
        let made = Made::of(&deeds);
        let from = from % made.commits;
        let last = made.commits - 1;
        let of_commits = made.past.asks(&format!("diff c{from}..c{last} --format json"));
        let of_files = made.past.asks(&format!("diff c{from}.. --format json"));
        prop_assert!(!of_files.contains("error"), "{}", of_files);
        prop_assert_eq!(of_commits, of_files);
    }
}
