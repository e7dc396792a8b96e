//! Do the simulated world and the local forge agree? The same deeds are done in both, in any
//! order, and people must see the same.
//!
//! CHANDLERY_HISTORIES says how many histories, CHANDLERY_SEED plays one of them.

use crate::world::{Ask, Deed, How, Repo, World, local::Local, reconcile, simulated::Simulated, view};

/// How many histories are held in both worlds within the suite.
const HISTORIES: u64 = 200;

/// A small generator of chance: the same seed, the same history.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// What is there to act upon, as the last view showed it.
#[derive(Default)]
struct Shown {
    issues: Vec<u64>,
    catalog: Vec<u64>,
    infra: Vec<u64>,
}

impl Shown {
    fn read(view: &str) -> Self {
        let mut shown = Self::default();
        for line in view.lines() {
            let Some((word, _)) = line.split_once(' ') else { continue };
            let number = |text: &str| text.split(' ').next().and_then(|text| text.parse().ok());
            if let Some(found) = line.strip_prefix("issue #").and_then(number) {
                shown.issues.push(found);
            } else if let Some(found) = word.strip_prefix("catalog#").and_then(number) {
                shown.catalog.push(found);
            } else if let Some(found) = word.strip_prefix("infra#").and_then(number) {
                shown.infra.push(found);
            }
        }
        shown
    }
}

/// The last ones are acted upon most; now and then one that is not there.
fn pick(chance: &mut Chance, numbers: &[u64]) -> u64 {
    match numbers.last() {
        Some(last) if chance.below(3) > 0 => *last,
        Some(_) if chance.below(8) > 0 => numbers[chance.below(numbers.len())],
        _ => chance.below(9) as u64 + 1,
    }
}

fn ask(chance: &mut Chance) -> Ask {
    let action = chance.one(&["create-bucket", "create-bucket", "create-vault", "resize-bucket", "label-bucket", "retire-bucket", "no-such"]);
    let entity = chance.one(&["old", "old", "logs", "none"]).to_owned();
    let size = chance.one(&["2", "5", "9", "30"]).to_owned();
    let name = chance.one(&["logs", "logs", "traces", "old", "Wrong"]).to_owned();
    let (entity, inputs) = match action {
        "create-bucket" if chance.below(2) == 0 => (None, vec![("name", name)]),
        "create-bucket" => (None, vec![("name", name), ("size", size)]),
        "create-vault" => (None, vec![("name", name)]),
        "resize-bucket" => (Some(entity), vec![("size", size)]),
        "label-bucket" => (Some(entity), vec![("label", "blue".to_owned())]),
        _ => (Some(entity), Vec::new()),
    };
    let inputs = inputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ask { action: action.to_owned(), entity, inputs }
}

fn deed(chance: &mut Chance, shown: &Shown) -> Deed {
    let who = chance.one(&["ada", "bo", "cleo", "dan", "eve", "zoe"]).to_owned();
    let judge = chance.one(&["bo", "cleo", "eve", "ada", "dan"]).to_owned();
    let issue = pick(chance, &shown.issues);
    let pull = pick(chance, &shown.catalog);
    let follow = pick(chance, &shown.infra);
    let at = if chance.below(4) == 0 { (Repo::Infra, follow) } else { (Repo::Catalog, pull) };
    let id = match chance.below(3) {
        0 => chance.one(&["one", "two/deep"]).to_owned(),
        _ => format!("2026/11/issue-{issue}"),
    };
    let plain = chance.one(&["one", "two/deep", "three"]).to_owned();
    match chance.below(44) {
        0..=4 => Deed::File { who, ask: ask(chance) },
        5 => Deed::EditIssue { who, issue, ask: ask(chance) },
        6 => Deed::SpoilIssue { who, issue },
        7 => Deed::CloseIssue { who, issue },
        8 => Deed::LockIssue { who, issue },
        9..=11 => Deed::Ask { who, id: plain, ask: ask(chance) },
        12 | 13 => Deed::Push { who, pull, ask: ask(chance) },
        14 => Deed::Tamper { who, pull, file: chance.one(&["plan.yaml", "plan.diff", "run.yaml"]).to_owned() },
        15 => Deed::Rewind { who, pull },
        16 | 17 => Deed::UpdateBranch { who, pull },
        18..=24 => Deed::Approve { who: judge, at },
        25 => Deed::RequestChanges { who: judge, at },
        26 => Deed::Remark { who, at },
        27 => Deed::Dismiss { who, at, whose: judge },
        28..=35 => {
            let how = [How::Merge, How::Squash, How::Rebase][chance.below(3)];
            let at = if chance.below(2) == 0 { (Repo::Infra, follow) } else { at };
            Deed::Merge { who: judge, at, how }
        }
        36 => Deed::Close { who, at },
        37 => Deed::Reopen { who, at },
        38 => Deed::Smuggle { who, id, ask: ask(chance) },
        39 => Deed::Remove { who, id },
        40 => match chance.below(2) {
            0 => Deed::Join { who },
            _ => Deed::Leave { who },
        },
        41 => Deed::ChangeAction,
        42 => {
            let path = format!("buckets/{}.yaml", chance.one(&["old", "logs"]));
            Deed::ChangeTarget { path, text: chance.one(&["name: x\nsize: 7\n", "# Moved.\nname: old\nsize: 1 # small\n"]).to_owned() }
        }
        _ => Deed::Meddle { who, at: follow },
    }
}

/// Holds one history in both worlds; the first difference, if there is one.
fn differ(seed: u64) -> Result<(), String> {
    let mut chance = Chance(seed);
    let mut simulated = Simulated::new();
    let mut local = Local::new();
    let mut told = format!("CHANDLERY_SEED={seed}\n");
    let mut shown = Shown::default();
    for turn in 0..14 {
        if turn == 13 || chance.below(3) == 0 {
            told.push_str("reconcile\n");
            let (first, second) = (reconcile(&mut simulated), reconcile(&mut local));
            let (first, second) = (format!("{:#?}", first.stages), format!("{:#?}", second.stages));
            if first != second {
                return Err(format!("{told}{}", difference(&first, &second)));
            }
            let (first, second) = (view(&mut simulated), view(&mut local));
            if first != second {
                return Err(format!("{told}{}", difference(&first, &second)));
            }
            shown = Shown::read(&first);
            continue;
        }
        let deed = deed(&mut chance, &shown);
        let (first, second) = (simulated.deed(&deed), local.deed(&deed));
        told.push_str(&format!("{deed:?}{}\n", if first { "" } else { " (refused)" }));
        if first != second {
            return Err(format!("{told}the forge says otherwise: {second}\n"));
        }
    }
    Ok(())
}

fn difference(simulated: &str, local: &str) -> String {
    similar::TextDiff::from_lines(simulated, local).unified_diff().header("simulated", "local").to_string()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn both_worlds_agree_about_generated_histories() {
    let seeds: Vec<u64> = match number("CHANDLERY_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("CHANDLERY_LOCAL_HISTORIES").unwrap_or(HISTORIES)).collect(),
    };
    let wrong: Vec<String> = seeds.into_iter().filter_map(|seed| differ(seed).err()).take(5).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
