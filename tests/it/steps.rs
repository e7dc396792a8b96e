//! Is a workflow or a script begun at most once for each attempt, whatever is killed, lost or done twice?

use std::collections::BTreeMap;

use chandlery::{
    plan::{
        facts::{Answer, Question},
        step::{Act, Attempt, Call, Work},
    },
    reconcile::{Input, Output, Turn},
};

use serde_json::{Value, json};

use crate::world::{
    Repo, World, fixture,
    local::{Local, token},
    name_of_pass, reconcile,
    simulated::{Effect, Mishap, Simulated},
    told, view,
};

/// How a pass is disturbed at one of its acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// It is killed before.
    Before,
    /// It is killed after, and hears nothing.
    After,
    /// The act is not done, and it hears so.
    NotDone,
    /// The act is done, and it hears that it was not answered.
    NotTold,
}

const TROUBLES: [Trouble; 4] = [Trouble::Before, Trouble::After, Trouble::NotDone, Trouble::NotTold];

/// A pass with trouble at its `at`-th act; false when it had fewer.
fn disturbed(world: &mut Simulated, at: usize, trouble: Trouble) -> bool {
    let mut turn = Turn::new(&name_of_pass());
    let mut input = Input::Start;
    let mut acts = 0;
    loop {
        match turn.next(input) {
            Output::Look(questions) => input = Input::Answers(world.ask(&questions)),
            Output::Act(act) => {
                acts += 1;
                let met = acts == at + 1;
                if met && trouble == Trouble::Before {
                    return true;
                }
                world.mishap = match trouble {
                    Trouble::NotDone if met => Some(Mishap::NotDone),
                    Trouble::NotTold if met => Some(Mishap::DoneNotTold),
                    _ => None,
                };
                let acted = world.act(&act);
                if met && trouble == Trouble::After {
                    return true;
                }
                input = Input::Acted(acted);
            }
            Output::Done(_) => return acts > at,
        }
    }
}

/// Two passes at once, act by act.
fn two_at_once(world: &mut Simulated, ahead: usize) {
    let mut turns: Vec<(Turn, Option<Input>)> =
        (0..2).map(|_| (Turn::new(&name_of_pass()), Some(Input::Start))).collect();
    let mut step = 0;
    while turns.iter().any(|(_, input)| input.is_some()) {
        let which = if step < ahead || turns[1].1.is_none() { 0 } else { step % 2 };
        let which = if turns[which].1.is_some() { which } else { 1 - which };
        step += 1;
        let (turn, input) = &mut turns[which];
        *input = match turn.next(input.take().unwrap()) {
            Output::Look(questions) => Some(Input::Answers(world.ask(&questions))),
            Output::Act(act) => Some(Input::Acted(world.act(&act))),
            Output::Done(_) => None,
        };
    }
}

/// How often each attempt of a workflow or script was begun.
fn begun(world: &Simulated) -> BTreeMap<Attempt, usize> {
    let mut begun = BTreeMap::new();
    for effect in world.log.iter() {
        if let Effect::Asked(backend) = effect
            && !matches!(backend.work, Work::Send(_) | Work::Cancel { .. })
        {
            *begun.entry(backend.attempt.clone()).or_insert(0) += 1;
        }
    }
    begun
}

fn does(world: &mut Simulated, deeds: &str) {
    for deed in deeds.lines() {
        match deed {
            "reconcile" => drop(reconcile(world)),
            deed => drop(world.deed(&deed.parse().unwrap())),
        }
    }
}

/// People and backends do their part until nothing happens any more.
fn live_on(world: &mut Simulated) {
    for _ in 0..8 {
        does(
            world,
            "reconcile\nada merges infra#1\nbackend ends apply success url=https://run.test/1\neverybody waits 700",
        );
    }
    let report = reconcile(world);
    assert_eq!(report.acts, 0, "{report:#?}");
}

/// Merged, and not yet looked at.
fn merged(mode: &str, action: &str) -> Simulated {
    let mut world = Simulated::new();
    does(&mut world, &format!("ada sets-mode {mode}"));
    does(
        &mut world,
        &format!("dan asks it {action}\nreconcile\nbo approves catalog#1\ndan merges catalog#1"),
    );
    world
}

const ACTIONS: [&str; 3] =
    ["deploy-bucket of old size=7", "apply-bucket of old", "ask-bucket of old label=red"];

fn check(world: &Simulated, what: &str) {
    for (attempt, times) in begun(world) {
        assert_eq!(times, 1, "{what}: {attempt} was begun {times} times");
    }
    let seen = view(&mut world.clone());
    let run =
        seen.lines().find(|line| line.starts_with("run it ")).unwrap_or_else(|| panic!("{what}:\n{seen}"));
    if run.contains(" success ") {
        let steps = seen
            .lines()
            .filter_map(|line| line.strip_prefix("  "))
            .filter(|line| !line.ends_with(" skipped"));
        for step in steps.filter_map(|line| line.split(' ').nth(1)) {
            assert!(seen.contains(&format!("has the log of it/{step}/")), "{what}: no log of {step}\n{seen}");
        }
        let branch = Question::Head(Repo::Catalog.name(), "chandlery/run/it".parse().unwrap());
        let (_, left) = world.clone().ask(&[branch].into()).pop().unwrap();
        assert!(matches!(left, Answer::Head(None)), "{what}: the branch of the run is left");
    }
    let is_told = ["unknown", "failure"].iter().any(|state| seen.contains(&format!(" {state}")));
    assert!(run.contains(" success ") || run.contains(" in_progress ") && is_told, "{what}:\n{seen}");
}

#[test]
fn core_steps_are_begun_once_whatever_is_killed_or_lost() {
    let mut disturbances = 0;
    let mut unknown = 0;
    for action in ACTIONS {
        let world = merged("on", action);
        for at in 0..40 {
            for trouble in TROUBLES {
                let mut world = world.clone();
                let met = disturbed(&mut world, at, trouble);
                live_on(&mut world);
                check(&world, &format!("{action}, {trouble:?} at {at}"));
                unknown += usize::from(view(&mut world).contains(" unknown"));
                disturbances += usize::from(met);
            }
        }
        for ahead in 0..40 {
            let mut world = world.clone();
            two_at_once(&mut world, ahead);
            live_on(&mut world);
            check(&world, &format!("{action}, two at once, one ahead by {ahead}"));
        }
    }
    assert!(disturbances > 30 && unknown > 0, "{disturbances} disturbances, {unknown} of them left unknown");
}

/// The same where what was begun is remembered on a branch of its own.
#[test]
fn core_steps_are_begun_once_where_records_come_by_pull_requests() {
    let world = merged("by-pull", "apply-bucket of old");
    for at in 0..20 {
        for trouble in TROUBLES {
            let mut world = world.clone();
            disturbed(&mut world, at, trouble);
            live_on(&mut world);
            check(&world, &format!("{trouble:?} at {at}"));
        }
        let mut world = world.clone();
        two_at_once(&mut world, at);
        live_on(&mut world);
        check(&world, &format!("two at once, one ahead by {at}"));
    }
}

/// What is left to a person is taken up again when they say so, and only then.
#[test]
fn core_steps_left_unknown_wait_for_a_person() {
    let mut world = merged("on", "deploy-bucket of old size=7");
    // The claim of the script is pushed, then the pass dies; another act before it is the request's own merge at most.
    let at = (0..10)
        .find(|at| {
            let mut world = world.clone();
            disturbed(&mut world, *at, Trouble::Before);
            live_on(&mut world);
            view(&mut world).contains("script check unknown")
        })
        .expect("some death leaves the script unknown");
    disturbed(&mut world, at, Trouble::Before);
    live_on(&mut world);
    assert!(begun(&world).is_empty());
    does(&mut world, "zoe says catalog#1 /retry\nreconcile");
    assert!(begun(&world).is_empty());
    does(&mut world, "dan says catalog#1 /retry");
    live_on(&mut world);
    let seen = view(&mut world);
    assert!(seen.contains("run it success"), "{seen}");
    let attempts: Vec<u32> =
        begun(&world).keys().filter(|of| of.step.as_str() == "check").map(|of| of.number).collect();
    assert_eq!(attempts, [2]);
}

/// An act that nobody answers is not made again in the same pass.
#[test]
fn core_a_pass_remembers_what_it_began() {
    let mut world = merged("on", "apply-bucket of old");
    does(&mut world, "backend loses-answer");
    let report = reconcile(&mut world);
    assert!(report.left.is_empty(), "{report:#?}");
    assert_eq!(begun(&world).len(), 1);
    assert!(view(&mut world).contains("workflow apply waiting"), "{}", view(&mut world));
}

/// What the server hears, in the real world: signed, with the secret in its place and nowhere else.
#[test]
fn a_server_is_called_with_what_was_approved() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use hmac::{Hmac, Mac};

    const SECRET: &str = "a-secret-of-the-hook";
    let mut world = Local::new();
    world.server.answers.lock().unwrap().push_back((200, format!(r#"{{"label":"got {SECRET}"}}"#)));
    for deed in [
        "dan asks tint ask-bucket of old label=\"{{secrets.HOOK}}\"",
        "reconcile",
        "bo approves catalog#1",
        "dan merges catalog#1",
        "reconcile",
    ] {
        match deed {
            "reconcile" => drop(reconcile(&mut world)),
            deed => assert!(world.deed(&deed.parse().unwrap()), "{deed}"),
        }
    }
    let heard = world.server.heard.lock().unwrap().clone();
    let [call] = &heard[..] else { panic!("{heard:#?}") };
    let header =
        |name: &str| call.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(call.line, "POST /buckets/old HTTP/1.1");
    // What people write stays what they wrote.
    assert_eq!(call.body, r#"{"label":"{{secrets.HOOK}}"}"#);
    assert_eq!(header("authorization"), Some(format!("Bearer {SECRET}").as_str()));
    assert_eq!(header("idempotency-key"), Some("tint/call"));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{}.{}", header("x-chandlery-timestamp").unwrap(), call.body).as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(header("x-chandlery-signature"), Some(signature.as_str()));
    let seen = view(&mut world);
    assert!(seen.contains("run tint success") && seen.contains("got ***"), "{seen}");
    let catalog = crate::world::Repo::Catalog;
    let comments = world.get(catalog, "issues/1/comments").unwrap().to_string();
    assert!(comments.contains("**Ask the server** (webhook): done"), "{comments}");
    for text in [seen, comments] {
        assert!(!text.contains(SECRET), "{text}");
    }
}

/// The comment shows the end of a log; the whole of it is in a check run on the commit that merged the request.
#[test]
fn the_whole_log_is_in_a_check_run_on_the_merge_commit() {
    let mut world = Local::recorded();
    let deed = |world: &mut Local, text: &str| assert!(world.deed(&text.parse().unwrap()), "{text}");
    deed(&mut world, "dan asks one apply-bucket of old");
    assert!(reconcile(&mut world).left.is_empty());
    deed(&mut world, "backend ends apply failure url=https://run.test/1");
    assert!(reconcile(&mut world).left.is_empty());
    let pull = world.get(Repo::Catalog, "pulls/1").unwrap();
    let merge = pull["merge_commit_sha"].as_str().unwrap();
    let runs = world.get(Repo::Catalog, &format!("commits/{merge}/check-runs")).unwrap();
    let run = &runs["check_runs"][0];
    assert_eq!(
        (run["name"].as_str(), run["external_id"].as_str()),
        (Some("chandlery/one/apply"), Some("one/apply/1"))
    );
    assert_eq!(
        (run["conclusion"].as_str(), run["output"]["title"].as_str()),
        (Some("failure"), Some("apply: failed"))
    );
    let text = run["output"]["text"].as_str().unwrap();
    assert!(text.starts_with("```text\n") && text.contains("::output url=https://run.test/1"), "{text}");
}

/// A pass that ended right after a pull request was opened, and a next one a day later: it gets its labels and reviewers once.
#[test]
fn core_labels_and_reviewers_are_set_however_late_the_next_pass_comes() {
    let mut world = Simulated::new();
    let deed = |world: &mut Simulated, text: &str| assert!(world.deed(&text.parse().unwrap()), "{text}");
    deed(&mut world, "dan asks one pair-bucket name=a");
    let mut turn = Turn::new(&name_of_pass());
    let mut input = Input::Start;
    loop {
        match turn.next(input) {
            Output::Look(questions) => input = Input::Answers(world.ask(&questions)),
            Output::Act(act) => {
                input = Input::Acted(world.act(&act));
                if matches!(&act, Act::Call(Call::OpenPull { repository, .. }) if *repository == Repo::Infra.name())
                {
                    break;
                }
            }
            Output::Done(report) => panic!("it is never opened: {report:?}"),
        }
    }
    deed(&mut world, "everybody waits 108000");
    assert!(!view(&mut world).contains("labelled storage"));
    assert!(reconcile(&mut world).left.is_empty());
    let seen = view(&mut world);
    assert!(seen.contains("labelled bucket a, labelled storage, cleo is asked"), "{seen}");
    assert_eq!(reconcile(&mut world).acts, 0);
}

/// Everything that is merged waits for a check of somebody else, records too.
fn with_a_required_check() -> Local {
    let mut world = Local::new();
    assert!(world.deed(&"ada sets-mode by-pull".parse().unwrap()));
    let ruleset = json!({
        "name": "ci", "target": "branch", "enforcement": "active", "bypass_actors": [],
        "conditions": { "ref_name": { "include": ["~DEFAULT_BRANCH"], "exclude": [] } },
        "rules": [{ "type": "required_status_checks", "parameters": {
            "required_status_checks": [{ "context": "ci" }], "strict_required_status_checks_policy": false,
        } }],
    });
    let (status, answer) = world.tries("ada", "POST", "/api/v3/repos/acme/catalog/rulesets", &ruleset);
    assert_eq!(status, 201, "{answer}");
    world
}

fn plays(world: &mut Local, deeds: &str) {
    for deed in deeds.lines() {
        match deed {
            "reconcile" => drop(reconcile(world)),
            deed => assert!(world.deed(&deed.parse().unwrap()), "{deed}"),
        }
    }
}

/// A claim lands at once, so steps go on while records wait, and are begun once.
#[test]
fn steps_go_on_where_records_wait_for_checks_of_others() {
    let mut world = with_a_required_check();
    plays(
        &mut world,
        "dan asks one apply-bucket of old\nreconcile\nada checks catalog#1 ci success\nreconcile\nreconcile",
    );
    let seen = view(&mut world);
    assert!(seen.contains("run one in_progress") && seen.contains("workflow apply waiting"), "{seen}");
    plays(&mut world, "backend ends apply success url=https://run.test/1\nreconcile\nreconcile\nreconcile");
    let seen = view(&mut world);
    assert!(seen.contains("catalog#2 by chandlery[bot] open") && !seen.contains("catalog#3"), "{seen}");
    assert!(seen.contains("run one in_progress") && seen.contains("workflow apply success"), "{seen}");
    plays(&mut world, "ada checks catalog#2 ci success\nreconcile");
    let seen = view(&mut world);
    assert!(seen.contains("run one success") && seen.contains("label: https://run.test/1"), "{seen}");
    let runs = world.get(Repo::Infra, "actions/runs").unwrap();
    assert_eq!(runs["total_count"], 1, "{runs}");
}

/// A record that removes an entity and one that points at it come one after the other, however long the first waits.
#[test]
fn a_removal_and_a_new_pointer_do_not_meet_in_two_records() {
    let mut world = with_a_required_check();
    plays(
        &mut world,
        "dan asks gone free-bucket of old\ndan asks lock lock-bucket name=l bucket=old\nreconcile\nbo approves catalog#1",
    );
    plays(
        &mut world,
        "reconcile\nada checks catalog#1 ci success\nada checks catalog#2 ci success\nbo merges catalog#1\nreconcile\nreconcile",
    );
    let seen = view(&mut world);
    assert!(seen.contains("catalog#3 by chandlery[bot] open") && !seen.contains("catalog#4"), "{seen}");
    plays(&mut world, "ada checks catalog#3 ci success\nreconcile\nreconcile");
    let seen = view(&mut world);
    let landed: Vec<u64> =
        (4..8).filter(|number| seen.contains(&format!("catalog#{number} by chandlery[bot] open"))).collect();
    for number in landed {
        plays(&mut world, &format!("ada checks catalog#{number} ci success\nreconcile"));
    }
    let seen = view(&mut world);
    let (gone, lock) = (seen.contains("run gone success"), seen.contains("run lock success"));
    assert!(gone != lock && seen.contains(" failure "), "one of them must see the other:\n{seen}");
}

/// A backend says how it went with the program itself, wherever it stands what was begun.
#[test]
fn a_backend_reports_with_the_program() {
    for mode in ["on", "by-pull"] {
        let mut world = Local::new();
        if mode != "on" {
            plays(&mut world, &format!("ada sets-mode {mode}"));
        }
        let reports_as = |who: &str, world: &Local, arguments: &[&str]| {
            let output = std::process::Command::new(env!("CARGO_BIN_EXE_chandlery"))
                .arg("report")
                .args(arguments)
                .args(["--repository", "acme/catalog", "--api-url", &format!("{}/api/v3", world.url())])
                .arg("--cache")
                .arg(world.folder().join("cache-of-the-backend"))
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap())
                .env("CHANDLERY_TOKEN", token(who))
                .output()
                .unwrap();
            let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
            (output.status.code(), said)
        };
        let reports = |world: &Local, arguments: &[&str]| reports_as("eve", world, arguments);
        let fails = |world: &Local, arguments: &[&str], code: i32, words: &str| {
            let (ended, said) = reports(world, arguments);
            assert!(ended == Some(code) && said.contains(words), "{arguments:?}: {ended:?} {said}");
        };
        let success = ["one", "order", "--status", "success", "--output", "number=4711"];
        fails(&world, &success, 3, "no step of `one` was begun");
        plays(&mut world, "dan asks one order-bucket of old\nreconcile");
        fails(
            &world,
            &["one", "ordre", "--status", "success"],
            3,
            "`ordre` of `one` was not begun; `order` was",
        );
        fails(&world, &["one", "order", "--status", "success", "--output", "a b=1"], 2, "`a b` is no name");
        fails(&world, &["one", "order", "--status", "success", "--link", "x=y"], 2, "`y` is no address");
        let progress = [
            "one",
            "order",
            "--status",
            "progress",
            "--message",
            "half of it",
            "--link",
            "Log=https://log.test/1",
        ];
        assert_eq!(reports(&world, &progress), (Some(0), "reported on acme/catalog#1\n".into()), "{mode}");
        drop(reconcile(&mut world));
        let seen = told(&mut world, 1);
        assert!(seen.contains("half of it") && seen.contains("[Log](https://log.test/1)"), "{mode}: {seen}");
        let (ended, said) = reports_as("zoe", &world, &success);
        assert!(ended == Some(3) && said.contains("`zoe` may only read acme/catalog"), "{ended:?} {said}");
        assert_eq!(reports(&world, &success).0, Some(0), "{mode}");
        plays(&mut world, "reconcile\nreconcile");
        let seen = view(&mut world);
        assert!(seen.contains("run one success") && seen.contains("label: order 4711"), "{mode}: {seen}");
        fails(&world, &success, 3, "`one` has ended as success");
        // What it read is nobody else's, such as a script's that runs as another user.
        let cache = std::fs::metadata(world.folder().join("cache-of-the-backend")).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&cache.permissions()) & 0o077, 0);
    }
}

/// A step says how long a call of its server may take.
#[test]
fn a_server_that_does_not_answer_in_its_time_fails_the_step() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let slow = format!(
        "identifier: slow-bucket\ntrigger: {{ operation: DAY-2, blueprintIdentifier: bucket }}\napproval: none\nmerge: auto\nsteps:\n  - id: call\n    timeout: 1s\n    webhook: {{ url: \"{address}/slow\", retries: 1 }}\nentities:\n  - update: {{ blueprint: bucket, identifier: \"{{{{ entity.identifier }}}}\", properties: {{ label: called }} }}\n"
    );
    let settings = fixture::SETTINGS.replace("http://127.0.0.1:1", &address);
    let files = [("actions/slow-bucket.yaml", slow), ("chandlery.yaml", settings)];
    let mut world = Local::holding(&mut files.into_iter().map(|(path, text)| (path.to_owned(), text)));
    plays(&mut world, "dan asks one slow-bucket of old\nreconcile");
    let seen = told(&mut world, 1);
    assert!(seen.contains("no answer after 2 tries: it took longer than 1 s"), "{seen}");
}

/// Two pull requests are open together unless the second asks what became of the first.
#[test]
fn a_pull_request_that_asks_for_another_waits_for_it() {
    let note = "identifier: note-bucket\ntitle: Note a bucket\ntrigger: { operation: DAY-2, blueprintIdentifier: bucket }\napproval: none\nmerge: auto\nsteps:\n  - id: code\n    pullRequest: { repository: acme/infra, template: note, branch: one }\n  - id: more\n    if: .steps.code.state == \"success\"\n    pullRequest: { repository: acme/infra, template: more, branch: two }\nentities:\n  - update: { blueprint: bucket, identifier: \"{{ entity.identifier }}\", properties: { label: noted } }\n";
    let files = [
        ("actions/note-bucket.yaml", note),
        ("action-templates/note/template.yaml", "description: A note\n"),
        ("action-templates/note/files/notes/{{ entity.identifier }}.md", "noted\n"),
        ("action-templates/more/template.yaml", "description: More\n"),
        ("action-templates/more/files/more/{{ entity.identifier }}.md", "more\n"),
    ];
    let mut files = files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned()));
    let mut world = Local::holding(&mut files);
    let open = |world: &Local| {
        let pulls = world.get(Repo::Infra, "pulls?state=open").unwrap();
        let branch = |pull: &Value| pull["head"]["ref"].as_str().unwrap().to_owned();
        pulls.as_array().unwrap().iter().map(branch).collect::<Vec<_>>()
    };
    plays(&mut world, "dan asks one note-bucket of old\nreconcile");
    assert_eq!(open(&world), ["one"]);
    assert!(told(&mut world, 1).contains("- **more** (pullRequest): to come"));
    plays(&mut world, "ada merges infra#1\nreconcile");
    assert_eq!(open(&world), ["two"]);
    plays(&mut world, "ada merges infra#2\nreconcile");
    assert!(view(&mut world).contains("run one success"));
}

/// Whoever else writes to the branch of a run ends it: what was begun is not known, and nothing more is.
#[test]
fn a_branch_of_a_run_that_somebody_else_wrote_is_not_believed() {
    let mut world = Local::new();
    plays(&mut world, "ada sets-mode by-pull\ndan asks one apply-bucket of old\nreconcile");
    let path = "/api/v3/repos/acme/catalog/contents/requests/one/run.yaml";
    let (_, there) = world.tries("bo", "GET", &format!("{path}?ref=chandlery/run/one"), &Value::Null);
    let put =
        json!({ "message": "x", "branch": "chandlery/run/one", "content": "eDogMQo=", "sha": there["sha"] });
    let (status, answer) = world.tries("bo", "PUT", path, &put);
    assert_eq!(status, 200, "{answer}");
    plays(&mut world, "reconcile\nreconcile");
    let seen = view(&mut world);
    assert!(
        seen.contains(
            "run one unknown approved by []: `bo` changed or deleted the branch `chandlery/run/one`"
        ),
        "{seen}"
    );
}
