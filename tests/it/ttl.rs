//! What depends on the time, where the time cannot be believed; and what people read before an entity ends.

use chandlery::{
    catalog::{Files, Root, load_definitions, load_settings},
    domain::{ObjectId, Timestamp},
    plan::{
        Key, Verdict, decide,
        facts::{Answer, Facts, Here, Question},
    },
};

use crate::world::{Repo, World, fixture, local::Local, reconcile, simulated::Simulated};

#[test]
fn a_clock_far_behind_the_newest_commit_is_not_believed() {
    let mut files: Files = fixture::catalog_files()
        .into_iter()
        .map(|(path, text)| (path.parse().unwrap(), text.as_bytes().into()))
        .collect();
    files.insert("chandlery.yaml".parse().unwrap(), fixture::settings("timed").as_bytes().into());
    let root = Root::default();
    let settings = load_settings(&root, files.get(&root.settings_path())).unwrap();
    let (definitions, _) = load_definitions(&root, settings, &files);
    let (head, catalog) = (ObjectId::from_bytes([7; 20]), Repo::Catalog.name());
    let branch = "main".parse().unwrap();
    let here = Here { catalog: catalog.clone(), branch, me: fixture::ME.parse().unwrap() };
    let at = |seconds| Timestamp::from_seconds(1_800_000_000 + seconds);
    let decided = |now: i64| {
        let mut facts = Facts::default();
        facts.insert(Question::Head(catalog.clone(), here.branch.clone()), Answer::Head(Some(head)));
        facts.insert(Question::Here, Answer::Here(here.clone().into()));
        facts.insert(Question::CommittedAt(head), Answer::Now(at(0)));
        facts.insert(Question::Now, Answer::Now(at(now)));
        decide(&definitions, &facts, &Key::Timers)
    };
    // A little is nothing; then it goes on to ask whose time is over.
    for now in [-600, 0, 1_000_000] {
        let Verdict::Ask(questions) = decided(now) else { panic!("{now}: it asks nothing") };
        assert!(matches!(questions.first(), Some(Question::Search(..))), "{questions:?}");
    }
    let Verdict::Settled(decision) = decided(-601) else { panic!("it goes on") };
    assert!(decision.steps.is_empty());
    assert!(decision.waits[0].contains("nothing that depends on the time is done"), "{:?}", decision.waits);
}

#[test]
fn who_asked_is_mentioned_before_an_entity_ends() {
    let on_the_forge = "ada proposes entities/_team/platform.yaml identifier: platform\\nblueprint: _team\\nproperties: { github: acme/builders }";
    for (more, names) in
        [(&[][..], "@dan @bo @cleo"), (&[on_the_forge, "ada merges catalog#3"], "@dan @acme/builders")]
    {
        let mut world = Local::new();
        let begin = ["ada sets-mode timed", "dan files lend-bucket name=tmp", "reconcile"];
        let end = ["everybody waits 100000", "reconcile"];
        for line in begin.iter().chain(more).chain(&end) {
            match *line {
                "reconcile" => drop(reconcile(&mut world)),
                deed => assert!(world.deed(&deed.parse().unwrap()), "{deed}"),
            }
        }
        let comments = world.get(Repo::Catalog, "issues/2/comments").unwrap().to_string();
        assert!(comments.contains("`bucket/tmp` ends soon"), "{comments}");
        assert!(comments.contains(&format!("{names}: its time is over at ")), "{comments}");
        assert!(
            comments.contains("Then Chandlery asks for \\\"Retire a bucket\\\" (`retire-bucket`)"),
            "{comments}"
        );
    }
}

#[test]
fn core_whose_time_was_over_first_is_asked_for_first_whatever_was_declined() {
    let mut world = Simulated::new();
    let mut tell = |line: &str| match line {
        "reconcile" => {
            let report = reconcile(&mut world);
            assert!(report.stopped.is_none() && report.left.is_empty(), "{report:#?}");
            report.waits.into_iter().collect::<Vec<_>>().join("\n")
        }
        deed => {
            assert!(world.deed(&deed.parse().unwrap()), "{deed}");
            String::new()
        }
    };
    tell("ada sets-mode timed");
    for number in 11..70 {
        // The later the number, the earlier its time was over.
        let until = format!("2001-01-01T00:{:02}:00Z", 70 - number);
        tell(&format!(
            "ada writes entities/bucket/b{number}.yaml identifier: b{number}\\nblueprint: bucket\\nproperties: {{ size: 1, until: {until:?} }}"
        ));
    }
    let waits = tell("reconcile");
    assert!(waits.contains("the time of 9 more entities of `bucket` is over"), "{waits}");
    // Those that were declined are not in the way of the others.
    for pull in 1..=12 {
        tell(&format!("bo says catalog#{pull} /decline not yet"));
    }
    tell("reconcile");
    let waits = tell("reconcile");
    assert!(!waits.contains("more entities"), "{waits}");
    let asked = |world: &mut Simulated, number: u64| match world.ask(&[Question::Pull(number)].into()).pop() {
        Some((_, Answer::Pull(Some(pull)))) => pull.title.clone(),
        other => panic!("{other:?}"),
    };
    let titles: String = (1..=59).map(|number| asked(&mut world, number)).collect();
    for number in 11..70 {
        assert!(titles.contains(&format!("b{number}")), "{number}: {titles}");
    }
    let last: String = (51..=59).map(|number| asked(&mut world, number)).collect();
    assert!((11..20).all(|number| last.contains(&format!("b{number}"))), "{last}");
}
