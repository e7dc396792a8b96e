//! What people, backends and passes do in a history, and in which order: by chance, in the ways of those who mean well, and by ploys.

use std::{collections::BTreeMap, sync::LazyLock};

use super::{Chance, Event, Story, Told, happen};
use crate::world::{
    Ask, Deed, How, Repo, fixture,
    simulated::{Mishap, Simulated},
};

const PEOPLE: [&str; 6] = ["ada", "bo", "cleo", "dan", "eve", "zoe"];
const NAMES: [&str; 3] = ["logs", "data", "old"];

fn some_ask(chance: &mut Chance) -> Ask {
    let others = *chance.pick(&["apply-bucket", "order-bucket", "ask-bucket", "deploy-bucket"]);
    let action = *chance.pick(&[
        "create-bucket",
        "create-bucket",
        "create-bucket",
        "create-bucket",
        "resize-bucket",
        "label-bucket",
        "create-vault",
        "retire-bucket",
        others,
    ]);
    let mut inputs = BTreeMap::new();
    let mut entity = None;
    match action {
        "create-bucket" | "create-vault" => {
            let name = if chance.one_in(9) { "Bad" } else { chance.pick(&NAMES) };
            inputs.insert("name".to_owned(), name.to_owned());
            if action == "create-bucket" && chance.one_in(3) {
                inputs.insert("size".to_owned(), (3 + chance.below(5)).to_string());
            }
        }
        "resize-bucket" | "deploy-bucket" => {
            inputs.insert("size".to_owned(), (1 + chance.below(11)).to_string());
            entity = Some("old".to_owned());
        }
        "label-bucket" | "ask-bucket" => {
            inputs.insert("label".to_owned(), chance.pick(&["red", "blue"]).to_string());
            entity = Some("old".to_owned());
        }
        _ => entity = Some("old".to_owned()),
    }
    Ask { action: action.to_owned(), entity, inputs }
}

/// Policies that may stand from the beginning: two buckets at most, one request of everybody.
pub(super) const FEW: (&str, &str) =
    ("policies/few.yaml", "{ identifier: few, limit: { count: 2, of: entities, blueprint: bucket } }");
pub(super) const ONCE: (&str, &str) =
    ("policies/once.yaml", "{ identifier: once, limit: { count: 1, of: requests, per: user, within: 1d } }");

const LARGE: &str = "{ identifier: large, actions: [create-bucket, resize-bucket, deploy-bucket], when: .inputs.size > 4, deny: Too large. }";
const SECOND: &str = "{ identifier: second, actions: [create-bucket, resize-bucket, apply-bucket], requireApproval: { rules: [{ name: eve, users: [eve] }] } }";
const QUIET: &str = "{ identifier: quiet, actions: [create-bucket, create-vault, apply-bucket], freeze: { timeZone: UTC, windows: [{ from: 2020-01-01, to: 2079-12-31 }], unless: { rules: [{ name: eve, users: [eve] }] } } }";
const FAILS: &str = "{ identifier: wrong, actions: [create-bucket, create-vault], when: .inputs.name > 1 and (.inputs.name | tonumber) > 1, deny: Never. }";
const BROKEN: &str = "{ identifier: wrong, actions: [create-bucket, create-vault], deny: { why: not text } }";

/// `create-bucket` with another rule.
fn ruled(rule: &str) -> String {
    fixture::CREATE_BUCKET.replace("{ name: platform, teams: [platform] }", rule)
}

static RULES: LazyLock<[String; 5]> = LazyLock::new(|| {
    [
        fixture::CREATE_BUCKET.replace("approval:\n", "approval:\n  expiresAfter: 1h\n"),
        ruled("{ name: platform, teams: [platform], all: true }"),
        ruled("{ name: eve, users: [eve] }"),
        ruled("{ name: several, teams: [platform], users: [ada, eve], count: 2 }"),
        fixture::CREATE_BUCKET.to_owned(),
    ]
});

/// What a platform team changes while requests are on their way: a file, and what may stand in it; nothing removes it.
static DEFINITIONS: LazyLock<Vec<(&str, Vec<String>)>> = LazyLock::new(|| {
    let files: BTreeMap<String, String> = fixture::catalog_files().into_iter().collect();
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let beside = |path: &'static str, from: &str, to: &str| {
        (path, vec![files[path].clone(), files[path].replace(from, to)])
    };
    vec![
        ("policies/large.yaml", owned(&[LARGE, ""])),
        ("policies/second.yaml", owned(&[SECOND, ""])),
        ("policies/quiet.yaml", owned(&[QUIET, &QUIET.replace("2079-12-31", "2021-12-31"), ""])),
        ("policies/wrong.yaml", owned(&[FAILS, BROKEN, "", ""])),
        ("actions/create-bucket.yaml", RULES.iter().cloned().chain([String::new()]).collect()),
        ("actions/create-bucket.yaml", RULES.to_vec()),
        ("actions/label-bucket.yaml", owned(&["", &files["actions/label-bucket.yaml"]])),
        beside("actions/label-bucket.yaml", "approval: none\nmerge: auto\n", ""),
        beside("action-templates/resize/template.yaml", "Another size", "Quite another size"),
        beside("action-templates/bucket/files/buckets/{{ inputs.name }}.yaml", "Made", "Newly made"),
        beside("blueprints/bucket.yaml", "maximum: 9", "maximum: 5"),
    ]
});

fn some_definition(chance: &mut Chance) -> Deed {
    let (path, texts) = chance.pick(&DEFINITIONS);
    let text = format!("{}\n", chance.pick(texts).trim_end());
    Deed::Write { path: (*path).to_owned(), text }
}

/// What somebody might do next, given what there is.
fn some_deed(world: &Simulated, chance: &mut Chance) -> Deed {
    let who = chance.pick(&PEOPLE).to_string();
    let pulls = world.numbers(Repo::Catalog);
    let issues = world.issues();
    let follow_ups = world.numbers(Repo::Infra);
    let a_pull = |chance: &mut Chance| pulls.get(chance.below(pulls.len())).copied().unwrap_or(1);
    let an_issue = |chance: &mut Chance| issues.get(chance.below(issues.len())).copied().unwrap_or(1);
    let any = |chance: &mut Chance| {
        if !follow_ups.is_empty() && chance.one_in(3) {
            (Repo::Infra, follow_ups[chance.below(follow_ups.len())])
        } else {
            (Repo::Catalog, pulls.get(chance.below(pulls.len())).copied().unwrap_or(1))
        }
    };
    let how = match world.has_queue(Repo::Catalog) && chance.one_in(2) {
        true => How::Queue,
        false => *chance.pick(&[How::Merge, How::Merge, How::Squash, How::Rebase, How::Queue]),
    };
    let id = chance.pick(&["first", "second", "2026/third"]).to_string();
    if pulls.is_empty() && issues.is_empty() || chance.one_in(8) {
        let who = if chance.one_in(6) { who } else { "dan".to_owned() };
        let ask = some_ask(chance);
        return match chance.below(5) {
            0..=1 => Deed::File { who, ask },
            2..=3 => Deed::Ask { who, id, ask },
            _ => Deed::Offer { who, id, ask },
        };
    }
    match chance.below(51) {
        0..=8 => Deed::Approve {
            who: chance.pick(&["bo", "cleo", "eve", "bo", &who]).to_string(),
            at: any(chance),
        },
        10..=16 if how == How::Queue && !world.has_queue(Repo::Catalog) && chance.one_in(3) => {
            Deed::Queue { at: Repo::Catalog }
        }
        10..=16 => Deed::Merge { who: chance.pick(&["ada", "bo", "dan"]).to_string(), at: any(chance), how },
        17 => Deed::RequestChanges { who, at: any(chance) },
        18 => Deed::Remark { who, at: any(chance) },
        9 | 19 => {
            Deed::Dismiss { who, at: any(chance), whose: chance.pick(&["bo", "cleo", "eve"]).to_string() }
        }
        20 => Deed::Close { who, at: any(chance) },
        21 => Deed::Reopen { who, at: any(chance) },
        22..=23 => Deed::Push { who, pull: a_pull(chance), ask: some_ask(chance) },
        24 => Deed::Tamper {
            who,
            pull: a_pull(chance),
            file: chance.pick(&["plan.diff", "plan.yaml", "run.yaml"]).to_string(),
        },
        25..=26 => Deed::Rewind { who, pull: a_pull(chance) },
        27..=28 => Deed::UpdateBranch { who, pull: a_pull(chance) },
        29..=30 => Deed::EditIssue { who, issue: an_issue(chance), ask: some_ask(chance) },
        31 => Deed::SpoilIssue { who, issue: an_issue(chance) },
        32 => Deed::CloseIssue { who, issue: an_issue(chance) },
        33 => Deed::LockIssue { who, issue: an_issue(chance) },
        34 => Deed::Smuggle { who, id, ask: some_ask(chance) },
        35 => Deed::Remove { who, id },
        36 => {
            if chance.one_in(2) {
                Deed::Join { who }
            } else {
                Deed::Leave { who: chance.pick(&["bo", "cleo"]).to_string() }
            }
        }
        37 => {
            if chance.one_in(2) {
                Deed::ChangeAction
            } else {
                Deed::Wait { seconds: 300 }
            }
        }
        40 => {
            let whose = *chance.pick(&PEOPLE);
            let text = format!("# {}\nidentifier: {whose}\nblueprint: _user\n", chance.below(3));
            Deed::Propose { who, path: format!("entities/_user/{whose}.yaml"), text }
        }
        39 => Deed::Mode { mode: chance.pick(&["on", "observe", "off", "by-pull", "by-api"]).to_string() },
        42..=43 => {
            let text = chance.pick(&["/cancel", "/decline too dear", "/plan", "/help", "/retry", "thanks"]);
            let at = if chance.one_in(3) { (Repo::Catalog, an_issue(chance)) } else { any(chance) };
            Deed::Say { who, at, text: text.to_string() }
        }
        44 => Deed::Unsay { who, at: any(chance) },
        45..=46 => some_definition(chance),
        47 => Deed::Ends {
            workflow: "apply".to_owned(),
            conclusion: chance.pick(&["success", "success", "failure"]).to_string(),
            outputs: vec![("url".to_owned(), "https://run.test/1".to_owned())],
        },
        48 => Deed::Reports {
            who,
            at: (Repo::Catalog, a_pull(chance)),
            step: "order".to_owned(),
            success: chance.one_in(2),
            outputs: vec![("number".to_owned(), "7".to_owned())],
        },
        49 => match chance.below(3) {
            0 => Deed::Loses,
            1 => Deed::Answers { status: 503, json: "{}".to_owned() },
            _ => Deed::Answers { status: 422, json: "{}".to_owned() },
        },
        50 => Deed::Wait { seconds: *chance.pick(&[4_000, 7_300]) },
        38 => {
            let path = format!("buckets/{}.yaml", chance.pick(&NAMES));
            Deed::ChangeTarget { path, text: format!("name: x\nsize: {}\n", 1 + chance.below(3)) }
        }
        _ => Deed::Meddle { who, at: follow_ups.get(chance.below(follow_ups.len())).copied().unwrap_or(1) },
    }
}

/// What somebody might do in the middle of a pass: mostly to what the pass is about to change.
fn some_interruption(world: &Simulated, chance: &mut Chance) -> Deed {
    match (world.numbers(Repo::Catalog).last(), chance.below(4)) {
        (Some(newest), 0) => Deed::Push { who: "dan".to_owned(), pull: *newest, ask: some_ask(chance) },
        (_, 1) => Deed::ChangeAction,
        _ => some_deed(world, chance),
    }
}

/// How a history may begin: something is in progress, so that everything can happen beside it …
const IN_PROGRESS: &str = "dan asks three create-bucket name=data
reconcile
bo approves catalog#1
dan merges catalog#1
reconcile";

/// … and something stands at each stage.
const BEGINNINGS: [&str; 8] = [
    "dan asks bad create-bucket name=Bad
reconcile",
    "dan files create-bucket name=logs
reconcile",
    "dan asks dull label-bucket of old label=red
reconcile
dan asks duller label-bucket of old label=red
reconcile",
    "ada asks round create-bucket name=logs
reconcile
dan merges catalog#2
reconcile",
    "dan asks no create-bucket name=logs
dan files create-bucket name=logs
reconcile
bo closes catalog#2
reconcile",
    "dan files label-bucket of old label=red
dan asks dull label-bucket of old label=red
reconcile
dan merges catalog#3
reconcile
dan asks twin label-bucket of old label=red
reconcile",
    "dan asks never create-bucket name=logs
reconcile
dan closes catalog#2
reconcile",
    "dan asks late create-bucket name=data
reconcile
bo approves catalog#2
bo merges infra#1
dan merges catalog#2
reconcile
dan asks other create-bucket name=logs
reconcile
bo approves catalog#3
dan merges catalog#3
dan asks shut create-bucket name=logs
reconcile
dan closes catalog#4
eve asks open create-bucket name=logs
reconcile",
];

/// Ways of getting past the rules. ID is an identifier, NAME a bucket's name, FRIEND a member of the team, # the newest
/// pull request of the catalog and ISSUE the newest issue; what begins with MOMENT is done in the middle of a pass.
const PLOYS: [&str; 40] = [
    // Who contributed approves.
    "dan asks ID create-bucket name=NAME
reconcile
FRIEND pushes catalog## create-bucket name=NAME size=2
reconcile
FRIEND approves catalog##
dan merges catalog##
reconcile",
    "dan files create-bucket name=NAME
reconcile
FRIEND edits-issue ISSUE create-bucket name=NAME size=2
reconcile
FRIEND approves catalog##
dan merges catalog##
reconcile",
    // Who asked approves.
    "FRIEND files create-bucket name=NAME
reconcile
FRIEND approves catalog##
dan merges catalog##
reconcile",
    "FRIEND offers ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
dan merges catalog##
reconcile",
    // What was approved is not what is merged.
    "dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
dan rewinds catalog##
dan pushes catalog## create-bucket name=NAME size=7
reconcile
dan merges catalog##
reconcile",
    "dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
dan rewinds catalog##
reconcile
dan merges catalog##
reconcile",
    // Somebody slips something in just before it is merged, …
    "dan asks ID label-bucket of old label=red
MOMENT dan pushes catalog## label-bucket of old label=blue
reconcile",
    "dan asks ID apply-bucket of old
MOMENT FRIEND pushes catalog## label-bucket of old label=blue
reconcile",
    "dan asks ID create-vault name=NAME
reconcile
bo approves catalog##
cleo approves catalog##
eve approves catalog##
reconcile
dan merges catalog##
MOMENT FRIEND meddles infra#1
reconcile",
    // … or before it is put into the queue.
    "ada wants-a-queue infra
dan asks ID create-vault name=NAME
reconcile
bo approves catalog##
cleo approves catalog##
eve approves catalog##
reconcile
dan merges catalog##
MOMENT FRIEND meddles infra#1
reconcile",
    // Somebody asks for changes.
    "dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
eve refuses catalog##
dan merges catalog##
reconcile",
    // An approval that was taken back.
    "dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
FRIEND dismisses catalog## FRIEND
dan merges catalog##
reconcile",
    // What ended comes back.
    "dan asks ID label-bucket of old label=red
reconcile
dan removes ID
dan asks ID label-bucket of old label=blue
reconcile",
    // Somebody leaves the team.
    "dan asks ID create-bucket name=NAME
reconcile
bo approves catalog##
bo leaves
dan merges catalog##
reconcile",
    // Editing after the merge.
    "dan files create-vault name=NAME
reconcile
eve approves catalog##
cleo approves catalog##
dan merges catalog##
bo edits-issue ISSUE create-bucket name=NAME
reconcile",
    // A policy comes in between: it refuses, …
    "dan asks ID create-bucket name=NAME size=7
reconcile
FRIEND approves catalog##
ada writes policies/large.yaml LARGE
dan merges catalog##
reconcile",
    // … or wants one more approval, …
    "dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
ada writes policies/second.yaml SECOND
dan merges catalog##
reconcile",
    "ada writes policies/second.yaml SECOND
ada wants-a-queue catalog
dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
reconcile
dan merges catalog## queue
reconcile",
    // What waits in the merge queue is taken back, …
    "ada wants-a-queue catalog
dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
reconcile
dan merges catalog## queue
FRIEND refuses catalog##
reconcile",
    "ada wants-a-queue catalog
dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
reconcile
dan merges catalog## queue
FRIEND pushes catalog## create-bucket name=NAME size=2
reconcile
dan merges catalog## queue
reconcile",
    // … or is denied by a policy that came since.
    "ada wants-a-queue catalog
dan asks ID create-bucket name=NAME size=7
reconcile
FRIEND approves catalog##
reconcile
dan merges catalog## queue
ada writes policies/large.yaml LARGE
reconcile",
    // … or freezes it, …
    "dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
ada writes policies/quiet.yaml QUIET
dan merges catalog## squash
reconcile",
    // … or cannot be asked.
    "dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
ada writes policies/wrong.yaml BROKEN
dan merges catalog##
reconcile",
    "dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
ada writes policies/wrong.yaml FAILS
dan merges catalog## rebase
reconcile",
    // An approval grows old.
    "ada writes actions/create-bucket.yaml EXPIRES
dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
reconcile
everybody waits 4000
dan merges catalog##
reconcile",
    // The rule is another by now.
    "dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
reconcile
ada writes actions/create-bucket.yaml TOGETHER
reconcile
dan merges catalog##
reconcile",
    // Not everybody agreed who must.
    "dan files create-vault name=NAME
reconcile
bo approves catalog##
cleo approves catalog##
dan merges catalog##
reconcile",
    "dan files create-vault name=NAME
reconcile
FRIEND approves catalog##
eve approves catalog##
dan merges catalog##
reconcile",
    // Who may not ask, asks; or may not any more.
    "dan asks ID retire-bucket of old
reconcile
FRIEND approves catalog##
dan merges catalog##
reconcile",
    "bo asks ID retire-bucket of old
reconcile
cleo approves catalog##
bo leaves
dan merges catalog##
reconcile",
    // It was approved before there was a plan, or only talked about.
    "dan asks ID create-bucket name=NAME
FRIEND approves catalog##
reconcile
dan merges catalog##
reconcile",
    "dan asks ID create-bucket name=NAME
reconcile
FRIEND remarks catalog##
dan merges catalog##
reconcile",
    "dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
FRIEND refuses catalog##
dan merges catalog##
reconcile",
    // Entities may say less by now.
    "dan asks ID create-bucket name=NAME size=7
reconcile
FRIEND approves catalog##
ada writes blueprints/bucket.yaml TIGHT
dan merges catalog##
reconcile
ada merges infra##
reconcile",
    // The target is another by now.
    "dan asks ID resize-bucket of old size=7
reconcile
FRIEND approves catalog##
ada changes-target buckets/old.yaml name: old\\nsize: 3
dan merges catalog##
reconcile
dan merges infra##
reconcile",
    // The follow-up goes to another branch, where it is merged by people, or by Chandlery.
    "dan asks ID create-bucket name=NAME
reconcile
FRIEND approves catalog##
dan merges catalog##
reconcile
bo retargets infra## elsewhere
bo merges infra##
reconcile",
    // Backends fail, are not heard, or somebody speaks for them.
    "dan asks ID apply-bucket of old
reconcile
backend loses-answer
reconcile
backend ends apply failure url=https://run.test/1
reconcile",
    "dan asks ID order-bucket of old
reconcile
zoe reports catalog## order success number=1
reconcile",
    "dan asks ID order-bucket of old
reconcile
eve reports catalog## order success number=1
eve unsays catalog##
zoe remarks catalog##
reconcile",
    "dan asks ID deploy-bucket of old size=7
reconcile
FRIEND approves catalog##
dan merges catalog##
reconcile
ada merges infra##
reconcile
backend ends apply success url=https://run.test/1
reconcile",
];

/// What stands from the very beginning, and how it is tried.
const STANDING: [(&str, &str); 3] = [
    (
        "ada writes FEW",
        "dan asks one create-bucket name=logs
cleo asks two create-bucket name=data
reconcile
bo approves catalog#1
bo approves catalog#2
reconcile
ada merges catalog#1
ada merges catalog#2
reconcile
bo merges infra#1
reconcile
bo merges infra#2
reconcile",
    ),
    (
        "ada writes ONCE",
        "dan asks one create-bucket name=logs
dan asks two create-bucket name=data
reconcile
bo approves catalog#1
bo approves catalog#2
reconcile
ada merges catalog#1
ada merges catalog#2
reconcile",
    ),
    (
        "ada sets-mode hasty",
        "dan asks one create-bucket name=logs
reconcile
everybody waits 4000
reconcile
dan asks two create-bucket name=data
dan asks three create-bucket name=logs
reconcile
bo approves catalog#2
dan merges catalog#2
reconcile
bo updates catalog#3
bo meddles infra#1
dan files create-bucket name=more
dan closes-issue 4
reconcile",
    ),
];

/// What is written in ploys, by the word that stands for it.
static WRITTEN: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
    let line = |text: &str| text.trim_end().replace('\n', "\\n");
    let blueprints = DEFINITIONS.last().map(|(_, texts)| line(&texts[1]));
    vec![
        ("LARGE", LARGE.to_owned()),
        ("SECOND", SECOND.to_owned()),
        ("QUIET", QUIET.to_owned()),
        ("FAILS", FAILS.to_owned()),
        ("BROKEN", BROKEN.to_owned()),
        ("EXPIRES", line(&RULES[0])),
        ("TOGETHER", line(&RULES[1])),
        ("TIGHT", blueprints.unwrap_or_default()),
        ("FEW", format!("{} {}", FEW.0, FEW.1)),
        ("ONCE", format!("{} {}", ONCE.0, ONCE.1)),
    ]
});

/// One line of a ploy as an event, in the world as it is.
fn line_of_a_ploy(world: &Simulated, line: &str, words: &[(&str, &str)]) -> Event {
    if line == "reconcile" {
        return Event::Pass;
    }
    let newest = |numbers: Vec<u64>| numbers.last().copied().unwrap_or(1).to_string();
    let mut line = line
        .replace("catalog##", &format!("catalog#{}", newest(world.numbers(Repo::Catalog))))
        .replace("infra##", &format!("infra#{}", newest(world.numbers(Repo::Infra))))
        .replace("ISSUE", &newest(world.issues()));
    for (word, meaning) in words {
        line = line.replace(word, meaning);
    }
    if let Some((at, deed)) = line.strip_prefix("MOMENT ").and_then(|rest| rest.split_once(' ')) {
        return Event::Between { at: at.parse().unwrap(), deed: deed.parse().unwrap() };
    }
    if line.starts_with("ada writes ") {
        line = WRITTEN.iter().fold(line, |line, (word, meaning)| line.replace(word, meaning));
    }
    Event::Deed(line.parse().unwrap())
}

/// Makes up events as the world goes, and lets them happen.
pub(super) fn make_up<W: Story>(seed: u64, world: &mut W, told: &mut Told) {
    let mut chance = Chance::new(seed);
    let play = |world: &mut W, told: &mut Told, event: Event| {
        told.events.push(event.clone());
        happen(world, &event, told);
    };
    let stands = chance.one_in(12);
    if stands {
        let (first, story) = chance.pick(&STANDING);
        let story = story.lines().take(if chance.one_in(2) { 20 } else { 0 });
        for line in [*first].into_iter().chain(story) {
            let event = line_of_a_ploy(world.real(), line, &[]);
            play(world, told, event);
        }
    } else if chance.one_in(5) {
        play(world, told, Event::Deed(Deed::Mode { mode: "by-pull".into() }));
    }
    if !stands && chance.one_in(3) {
        let beginning = *chance.pick(&BEGINNINGS);
        for line in IN_PROGRESS.lines().chain(beginning.lines()) {
            let event = if line == "reconcile" { Event::Pass } else { Event::Deed(line.parse().unwrap()) };
            play(world, told, event);
        }
    }
    if chance.one_in(3) {
        let words = [
            ("ID", *chance.pick(&["first", "second", "2026/third"])),
            ("NAME", *chance.pick(&NAMES[..2])),
            ("FRIEND", *chance.pick(&["bo", "cleo"])),
            ("MOMENT", *chance.pick(&["MOMENT 3", "MOMENT 4", "MOMENT 5", "MOMENT 6"])),
        ];
        for line in chance.pick(&PLOYS).lines() {
            let event = line_of_a_ploy(world.real(), line, &words);
            play(world, told, event);
        }
    }
    for _ in 0..6 + chance.below(14) {
        let event = match chance.below(13) {
            0..=5 => Event::Deed(some_deed(world.real(), &mut chance)),
            6..=8 => Event::Pass,
            9 => Event::Mishap {
                at: chance.below(6),
                what: *chance.pick(&[Mishap::NotDone, Mishap::DoneNotTold, Mishap::Postponed]),
            },
            10 => Event::Crash { at: chance.below(6) },
            11 => Event::Between { at: chance.below(6), deed: some_interruption(world.real(), &mut chance) },
            _ if chance.one_in(2) => Event::Twins,
            _ => Event::Lagging,
        };
        play(world, told, event);
    }
}
