//! Are the stories and the sentences sharp? Each careless reading of the world below is noticed by the one that it names: it
//! goes otherwise than it is told.

use std::{collections::BTreeSet, panic::AssertUnwindSafe, path::Path, sync::Arc};

use chandlery::{
    domain::{Approval, Execute, Permission, Pull, Quorum, Stage, Timestamp},
    plan::{
        facts::{Answer, Question},
        step::{Act, Acted},
    },
};

use crate::{
    approvals, scenarios,
    world::{Deed, Repo, World, fixture, simulated::Simulated},
};

type Reading = fn(&Question, &mut Answer);

/// What is believed, by which story it is noticed (`approvals` are the sentences), and how the world is misread.
const READINGS: [(&str, &str, Reading); 27] = [
    ("approvals never expire", "approvals", |_, answer| time(answer, -9_000)),
    ("everybody may write to the target", "approvals", |question, answer| {
        if matches!(question, Question::Permission(repository, _) if *repository == Repo::Infra.name()) {
            permit(answer, Permission::Admin);
        }
    }),
    ("the first line of CODEOWNERS decides", "approvals", |question, answer| {
        if matches!(question, Question::File(_, _, path) if path.file_name() == "CODEOWNERS") {
            file(answer, |text| text.lines().rev().collect::<Vec<_>>().join("\n"));
        }
    }),
    ("who leads a bucket is anybody", "approvals", |_, answer| {
        entity(answer, |text| text.replace("lead: eve", "lead: bo"));
    }),
    ("a bucket of nobody is the platform team's", "approvals", |question, answer| {
        if matches!(question, Question::Entity(_, id) if id.blueprint.as_str() == "bucket") {
            entity(answer, |text| if text.contains("team:") { text } else { text + "\nteam: platform\n" });
        }
    }),
    ("one approval is enough", "approvals", |_, answer| {
        rules(answer, |rule| rule.quorum = Quorum::Count(1));
    }),
    ("one person may stand for all rules", "approvals", |_, answer| {
        rules(answer, |rule| rule.terms.distinct = false);
    }),
    ("whoever asked may approve", "approvals", |_, answer| {
        rules(answer, |rule| rule.terms.self_approval = true);
    }),
    ("a rule is always asked", "approvals", |_, answer| rules(answer, |rule| rule.when = None)),
    ("every account is a person", "approvals", |_, answer| {
        pull(answer, |pull| pull.draft = true);
    }),
    ("everybody may ask", "who-may-ask.txt", |_, answer| {
        definitions(answer, |definitions| {
            definitions.actions.values_mut().for_each(|action| action.value.execute = Execute::Writers);
        });
    }),
    ("there are no policies", "policy-denies.txt", |_, answer| {
        definitions(answer, |definitions| definitions.policies.clear());
    }),
    ("a policy with mistakes is none", "policy-broken.txt", |_, answer| {
        definitions(answer, |definitions| definitions.broken_policies.clear());
    }),
    ("what came later is not asked", "policy-tightened.txt", |_, answer| {
        definitions(answer, |definitions| definitions.policies.clear());
    }),
    ("nothing is frozen", "policy-freeze.txt", |_, answer| {
        policies(answer, |policy| policy.effects.freeze = None);
    }),
    ("nobody asked before", "policy-limit-requests.txt", |_, answer| {
        if let Answer::Arrivals(arrivals) = answer {
            Arc::make_mut(arrivals).clear();
        }
    }),
    ("nothing else is on its way", "policy-limit.txt", |_, answer| {
        if let Answer::Requests(requests) = answer {
            Arc::make_mut(requests).clear();
        }
    }),
    ("there is nothing to count", "policy-limit.txt", |_, answer| found(answer)),
    ("as much may end as will", "policy-removals.txt", |_, answer| {
        policies(answer, |policy| policy.effects.removals = None);
    }),
    ("money is no object", "policy-cost.txt", |_, answer| {
        policies(answer, |policy| policy.effects.cost = None);
    }),
    ("a step may write anywhere", "policy-paths.txt", |_, answer| {
        definitions(answer, |definitions| {
            for action in definitions.actions.values_mut() {
                for step in &mut action.value.steps {
                    if let chandlery::domain::StepKind::PullRequest(pull) = &mut step.does {
                        pull.may_change = vec!["**".parse().unwrap()];
                    }
                }
            }
        });
    }),
    ("nothing points at what ends", "on-delete.txt", |_, answer| {
        if let Answer::Pointing(pointing) = answer {
            Arc::make_mut(pointing).clear();
        }
    }),
    ("time is always over", "ttl.txt", |_, answer| time(answer, 900_000)),
    ("nothing waits for long", "expired.txt", |_, answer| {
        pull(answer, |pull| pull.created_at = Timestamp::from_seconds(9_999_999_999));
    }),
    ("everybody is an administrator", "break-glass.txt", |_, answer| permit(answer, Permission::Admin)),
    ("a draft is none", "draft-and-catalog.txt", |_, answer| pull(answer, |pull| pull.draft = false)),
    ("a fork is a branch", "from-a-fork.txt", |_, answer| {
        pull(answer, |pull| pull.head_repository = Some(fixture::CATALOG.parse().unwrap()));
    }),
];

fn time(answer: &mut Answer, by: i64) {
    if let Answer::Now(now) = answer {
        *now = Timestamp::from_seconds(now.seconds() + by);
    }
}

fn permit(answer: &mut Answer, permission: Permission) {
    if let Answer::Permission(found) = answer {
        *found = permission;
    }
}

fn found(answer: &mut Answer) {
    if let Answer::Found(found) = answer {
        Arc::make_mut(found).iter_mut().for_each(Vec::clear);
    }
}

fn file(answer: &mut Answer, change: impl Fn(String) -> String) {
    if let Answer::File(Some(file)) = answer {
        file.bytes = change(String::from_utf8_lossy(&file.bytes).into_owned()).into_bytes().into();
    }
}

fn entity(answer: &mut Answer, change: impl Fn(String) -> String) {
    if let Answer::Entity(Some((_, bytes))) = answer {
        *bytes = change(String::from_utf8_lossy(bytes).into_owned()).into_bytes().into();
    }
}

fn pull(answer: &mut Answer, change: impl Fn(&mut Pull)) {
    match answer {
        Answer::Pull(Some(pull)) => change(Arc::make_mut(pull)),
        Answer::Pulls(pulls) => pulls.iter_mut().for_each(|pull| change(Arc::make_mut(pull))),
        _ => {}
    }
}

fn definitions(answer: &mut Answer, change: impl Fn(&mut chandlery::catalog::Definitions)) {
    if let Answer::Definitions(Ok(definitions)) = answer {
        change(Arc::make_mut(definitions));
    }
}

fn policies(answer: &mut Answer, change: impl Fn(&mut chandlery::domain::Policy)) {
    definitions(answer, |definitions| definitions.policies.values_mut().for_each(&change));
}

fn rules(answer: &mut Answer, change: impl Fn(&mut chandlery::domain::Rule)) {
    definitions(answer, |definitions| {
        for action in definitions.actions.values_mut() {
            if let Approval::Rules(rules) = &mut action.value.approval {
                rules.iter_mut().for_each(&change);
            }
        }
    });
}

struct Misread {
    world: Simulated,
    reading: Reading,
}

impl World for Misread {
    fn ask(&mut self, questions: &BTreeSet<Question>) -> Vec<(Question, Answer)> {
        let mut answers = self.world.ask(questions);
        answers.iter_mut().for_each(|(question, answer)| (self.reading)(question, answer));
        answers
    }

    fn act(&mut self, act: &Act) -> Acted {
        self.world.act(act)
    }

    fn deed(&mut self, deed: &Deed) -> bool {
        self.world.deed(deed)
    }

    fn begin_anew(&mut self, finds_what_was_kept: bool) {
        self.world.begin_anew(finds_what_was_kept);
    }
}

#[test]
fn core_every_careless_reading_is_noticed() {
    let stories = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/scenarios");
    let mut hidden = Vec::new();
    for (belief, by, reading) in READINGS {
        let make = || Misread { world: Simulated::new(), reading };
        let goes_as_told = AssertUnwindSafe(|| match by {
            "approvals" => {
                let (table, seen, _) = approvals::outcomes(&make, false);
                table == seen
            }
            story => {
                let story = std::fs::read_to_string(stories.join(story)).unwrap();
                scenarios::play(&mut make(), &story) == story
            }
        });
        // A pass that comes to no rest, or a deed that is no longer possible, is noticed, too.
        if std::panic::catch_unwind(goes_as_told).unwrap_or(false) {
            hidden.push(format!("{belief}: not noticed by {by}"));
        }
    }
    assert!(hidden.is_empty(), "{hidden:#?}");
}

/// Labels of others that look like ours, or like an approval, change nothing: where we write none ourselves, all stories go as told.
#[test]
fn core_labels_decide_nothing() {
    let ours = |line: &str| {
        let mut parts: Vec<&str> = line.split(", ").collect();
        parts.retain(|part| !part.starts_with("labelled "));
        parts.join(", ")
    };
    let unlabelled = |story: &str| story.lines().map(ours).collect::<Vec<_>>().join("\n");
    for path in scenarios::files() {
        let story = std::fs::read_to_string(&path).unwrap();
        let reading: Reading = |_, answer| {
            definitions(answer, |definitions| definitions.settings.labels = false);
            let labels = || {
                let stages = Stage::ALL.iter().map(|stage| stage.label());
                stages.chain(["approved".to_owned(), "chandlery".to_owned()]).collect::<BTreeSet<_>>()
            };
            pull(answer, |pull| pull.labels.extend(labels()));
            if let Answer::Issue(Some(issue)) = answer {
                Arc::make_mut(issue).labels.extend(labels());
            }
        };
        let seen = scenarios::play(&mut Misread { world: Simulated::new(), reading }, &story);
        assert_eq!(unlabelled(&seen), unlabelled(&story), "{}", path.display());
    }
}
