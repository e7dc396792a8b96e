//! What does the catalog say when it is asked? Commands with what they print, over the example's catalog.
//!
//! `ask/stories.txt` holds them; UPDATE_STORIES=1 writes what is printed into it.

mod lives;

use std::{path::Path, process::Command};

fn run(line: &str, folder: &Path) -> String {
    let words = shell_words(line);
    let output =
        Command::new(env!("CARGO_BIN_EXE_chandlery")).args(&words).current_dir(folder).output().unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    if !output.status.success() {
        text.push_str(&format!("(exit code {})\n", output.status.code().unwrap()));
    }
    text
}

/// Words with spaces between, or in single quotes.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn the_catalog_answers() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = package.join("tests/it/ask/stories.txt");
    let story = std::fs::read_to_string(&file).unwrap();
    // Apart from any repository, whose history would be told.
    let folder = tempfile::tempdir().unwrap();
    let copied = Command::new("cp")
        .arg("-r")
        .arg(package.join("catalog-example"))
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(copied.success());
    let mut seen = String::new();
    for line in story.lines() {
        if let Some(command) = line.strip_prefix("$ chandlery ") {
            seen.push_str(&format!("{line}\n"));
            for line in run(command, &folder.path().join("catalog-example")).lines() {
                seen.push_str(format!("| {line}").trim_end());
                seen.push('\n');
            }
        } else if !line.starts_with('|') {
            seen.push_str(&format!("{line}\n"));
        }
    }
    if std::env::var("UPDATE_STORIES").is_ok() {
        std::fs::write(&file, &seen).unwrap();
    } else if seen != story {
        panic!("{}", similar::TextDiff::from_lines(&story, &seen).unified_diff());
    }
}

/// A repository in a folder, committed to on days of our choice.
struct Past(tempfile::TempDir);

impl Past {
    fn new() -> Self {
        let past = Self(tempfile::tempdir().unwrap());
        past.git("2026-01-01", &["init", "-q"]);
        past.write("chandlery.yaml", "version: 1\n");
        let blueprint = "identifier: thing\nschema: { properties: { size: { type: number } } }\nrelations: { next: { target: thing } }\n";
        past.write("blueprints/thing.yaml", blueprint);
        past
    }

    fn git(&self, day: &str, arguments: &[&str]) {
        let output = Command::new("git")
            .args(["-c", "user.name=ada", "-c", "user.email=ada@b.test"])
            .args(arguments)
            .current_dir(self.0.path())
            .env("GIT_COMMITTER_DATE", format!("{day}T12:00:00Z"))
            .env("GIT_AUTHOR_DATE", format!("{day}T12:00:00Z"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn commit(&self, day: &str, message: &str) {
        self.git(day, &["add", "-A"]);
        self.git(day, &["commit", "-q", "-m", message]);
    }

    fn asks(&self, line: &str) -> String {
        run(line, self.0.path())
    }
}

/// What has mistakes is left out of answers. It did not go for that, and what points at it is not broken; nor is it a change that a
/// number or a team is written otherwise.
#[test]
fn what_has_mistakes_is_not_gone_and_what_is_reworded_is_no_change() {
    let past = Past::new();
    let thing = |id: &str, rest: &str| {
        past.write(
            &format!("entities/thing/{id}.yaml"),
            &format!("identifier: {id}\nblueprint: thing\n{rest}"),
        );
    };
    past.write("entities/_team/red.yaml", "identifier: red\nblueprint: _team\n");
    thing("a", "team: red\nproperties: { size: 1 }\n");
    thing("b", "relations: { next: a }\n");
    past.commit("2026-02-01", "one");
    thing("a", "team: [red]\nproperties: { size: 1.0 }\n");
    past.commit("2026-02-02", "reworded");
    thing("a", "team: [red]\nproperties: { size: one }\n");
    past.commit("2026-02-03", "a mistake");
    assert_eq!(past.asks("diff HEAD~2..HEAD~1"), "");
    let history = past.asks("history thing/a --at HEAD~1");
    assert!(history.contains("\"one\"") && !history.contains("reworded"), "{history}");
    assert!(past.asks("diff HEAD~1..HEAD").starts_with("has mistakes now: thing/a\n"));
    assert!(past.asks("diff HEAD..HEAD~1").starts_with("had mistakes: thing/a\n"));
}

/// A catalog is asked as it was on a day, straight from Git.
#[test]
fn the_past_answers_too() {
    let past = Past::new();
    for (day, size) in [("2026-02-01", 1), ("2026-03-01", 2)] {
        past.write(
            "entities/thing/a.yaml",
            &format!("identifier: a\nblueprint: thing\nproperties: {{ size: {size} }}\n"),
        );
        past.commit(day, "x");
    }
    past.write("entities/thing/a.yaml", "identifier: a\nblueprint: thing\nproperties: { size: 3 }\n");
    let size = |at: &str| {
        let answer = past.asks(&format!("list thing --columns size --format csv {at}"));
        answer.lines().last().unwrap().to_owned()
    };
    assert_eq!(size(""), "a,3");
    assert_eq!(size("--at HEAD"), "a,2");
    assert_eq!(size("--at HEAD~1"), "a,1");
    assert_eq!(size("--at 2026-02-28"), "a,1");
    assert_eq!(size("--at 2026-03-01"), "a,2");
    assert_eq!(size("--at 2026-03-01T11:59:59Z"), "a,1");
    for (at, answer) in [
        ("2025-12-31", "the catalog is younger than `2025-12-31`, as far as its commits tell"),
        ("2999-01-01", "`2999-01-01` is still to come"),
        ("2026-13-45", "`2026-13-45` is no day and no moment; write 2026-11-24, or 2026-11-24T08:30:00Z"),
        ("nope", "`nope` is not a commit here; it can be a branch, a tag, an object id or a day"),
    ] {
        assert_eq!(past.asks(&format!("list thing --at {at}")), format!("error: {answer}\n(exit code 2)\n"));
    }
}

#[test]
fn an_icon_is_told_of_like_a_title() {
    let past = Past::new();
    for (day, icon) in [("2026-02-01", "Box"), ("2026-03-01", "Crate")] {
        past.write("entities/thing/a.yaml", &format!("identifier: a\nblueprint: thing\nicon: {icon}\n"));
        past.commit(day, "x");
    }
    for (question, answer) in [
        ("list thing --columns $icon --format csv", "a,Crate"),
        ("list thing --columns $icon --format csv --at 2026-02-10", "a,Box"),
        ("list thing --where '{property: $icon, operator: beginsWith, value: Cr}'", "a"),
        ("list thing --jq '.icon == \"Crate\"'", "a"),
        ("get thing/a", "icon: Crate"),
        ("history thing/a", "icon: Box -> Crate"),
    ] {
        let said = past.asks(question);
        assert!(said.contains(answer) && !said.contains("exit code"), "{question}: {said}");
    }
}

/// Mirrors of mirrors may go in a circle; then there is no value, and a reason. Entities that point at each other are none yet:
/// `label` looks at no mirror, so `above` has its end.
#[test]
fn a_circle_of_mirrors_ends() {
    let past = Past::new();
    past.write(
        "blueprints/link.yaml",
        "identifier: link\nrelations: { up: { target: link } }\nmirrorProperties: { m: { path: up.m }, above: { path: up.label } }\n\
         calculationProperties: { label: { type: string, calculation: '.identifier + \"!\"' } }\n",
    );
    past.write("entities/link/a.yaml", "identifier: a\nblueprint: link\nrelations: { up: b }\n");
    past.write("entities/link/b.yaml", "identifier: b\nblueprint: link\nrelations: { up: a }\n");
    past.write("entities/link/c.yaml", "identifier: c\nblueprint: link\nrelations: { up: a }\n");
    for (entity, above) in [("a", "b!"), ("b", "a!"), ("c", "a!")] {
        let answer = past.asks(&format!("get link {entity}"));
        assert!(answer.contains("m: 'it goes in a circle: it is computed from itself'"), "{answer}");
        assert!(answer.contains(&format!("above: {above}\n")), "{answer}");
        assert!(!answer.contains("above: it goes"), "{answer}");
    }
    let answer = past.asks("list link --jq '.properties.label == \"b!\"' --columns above");
    assert!(answer.contains("a!") && !answer.contains("b!"), "{answer}");
    assert!(past.asks("list link").contains("a"));
    let answer = past.asks("list link --where '{property: nope, operator: isEmpty}'");
    assert!(answer.contains("`nope`, which is not a property of the blueprint `link`"), "{answer}");
}

/// What only moves a file or words it otherwise is no change; a value goes back to whoever gave it.
#[test]
fn an_entity_tells_its_life() {
    let past = Past::new();
    past.write("entities/thing/a.yaml", "identifier: a\nblueprint: thing\nproperties: { size: 1 }\n");
    past.write("entities/thing/b.yaml", "identifier: b\nblueprint: thing\nrelations: { next: a }\n");
    past.commit("2026-02-01", "begin");
    past.git("2026-02-02", &["mv", "entities/thing/a.yaml", "entities/thing/c.yaml"]);
    past.git("2026-02-02", &["mv", "entities/thing/c.yaml", "entities/a.yaml"]);
    past.write(
        "entities/thing/team/a.yaml",
        "# Worded otherwise.\nidentifier: a\nblueprint: thing\nproperties:\n  size: 1\n",
    );
    std::fs::remove_file(past.0.path().join("entities/a.yaml")).unwrap();
    past.commit("2026-02-02", "move");
    past.write(
        "entities/thing/team/a.yaml",
        "identifier: a\nblueprint: thing\ntitle: A\nproperties:\n  size: 2\n",
    );
    past.commit("2026-02-03", "grow");
    std::fs::remove_file(past.0.path().join("entities/thing/team/a.yaml")).unwrap();
    past.commit("2026-02-04", "remove");

    let history = past.asks("history thing a");
    let told = history.lines().filter(|line| !line.starts_with(' ') && !line.is_empty()).count();
    assert_eq!(told, 3, "{history}");
    assert!(history.contains("removed: \"remove\", by hand, by ada"), "{history}");
    assert!(history.contains("    properties.size: 1 -> 2\n    title: A\n"), "{history}");
    let blame = past.asks("blame thing a --at HEAD~1 --format csv");
    assert!(blame.contains("properties.size,2,2026-02-03T12:00:00Z"), "{blame}");
    let diff = past.asks("diff 2026-02-02..HEAD");
    assert_eq!(diff, "- thing/a\nbroken: thing/b: next -> thing/a\n(exit code 1)\n");
    let diff = past.asks("diff 2026-02-01..2026-02-03");
    assert_eq!(diff, "~ thing/a\n    properties.size: 1 -> 2\n    title: (nothing) -> A\n(exit code 1)\n");
    assert_eq!(past.asks("diff 2026-02-01..2026-02-02"), "");
    assert!(past.asks("history thing z").contains("was never in the catalog"));
}

/// When something came and was changed can be asked for like everything else that is known of it.
#[test]
fn the_history_answers_queries() {
    let past = Past::new();
    past.write(
        "blueprints/thing.yaml",
        "identifier: thing
schema: { properties: { size: { type: number } } }
relations: { next: { target: thing } }
mirrorProperties: { since: { path: next.$createdAt } }
calculationProperties: { year: { type: string, calculation: '.createdAt[:4]' } }
aggregationProperties:
  fresh:
    target: thing
    calculationSpec: { calculationBy: entities, func: count }
    query: { combinator: and, rules: [{ property: $updatedAt, operator: '>', value: '2026-02-02T00:00:00Z' }] }
",
    );
    past.write(
        "scorecards/kept.yaml",
        "identifier: kept
blueprint: thing
levels: [{ title: Stale }, { title: Kept }]
rules: [{ identifier: lately, level: Kept, query: { property: $updatedAt, operator: between, value: { preset: lastWeek } } }]
",
    );
    past.write("entities/thing/a.yaml", "identifier: a\nblueprint: thing\nproperties: { size: 1 }\n");
    past.write("entities/thing/x%2Fy.yaml", "identifier: x/y\nblueprint: thing\nrelations: { next: a }\n");
    past.commit("2026-02-01", "begin");
    past.git("2026-02-02", &["mv", "entities/thing/a.yaml", "entities/thing/b.yaml"]);
    past.write(
        "entities/thing/team/a.yaml",
        "# Moved.\nidentifier: a\nblueprint: thing\nproperties: { size: 1 }\n",
    );
    std::fs::remove_file(past.0.path().join("entities/thing/b.yaml")).unwrap();
    past.commit("2026-02-02", "move");
    past.write(
        "entities/thing/x%2Fy.yaml",
        "identifier: x/y\nblueprint: thing\ntitle: Y\nrelations: { next: a }\n",
    );
    past.commit("2026-02-03", "name");
    past.write("entities/thing/z.yaml", "identifier: z\nblueprint: thing\n");

    let all = "list thing --format csv --sort -$updatedAt --columns $createdAt,$updatedAt,$updatedBy,since,year,fresh";
    let listed = "identifier,$createdAt,$updatedAt,$updatedBy,since,year,fresh\r
x/y,2026-02-01T12:00:00Z,2026-02-03T12:00:00Z,ada,2026-02-01T12:00:00Z,2026,0\r
a,2026-02-01T12:00:00Z,2026-02-01T12:00:00Z,ada,,2026,1\r
z,,,,,,0\r
";
    assert_eq!(past.asks(all), listed);
    let recent = "list thing --columns '' --format csv --jq '.updatedAt > \"2026-02-02\"'";
    assert_eq!(past.asks(recent), "identifier\r\nx/y\r\n");
    let recent = "list thing --columns '' --format csv --where '{property: $createdAt, operator: isEmpty}'";
    assert_eq!(past.asks(recent), "identifier\r\nz\r\n");
    let kept = past.asks("scorecard kept --now 2026-02-09T12:00:00Z --format csv");
    assert!(kept.contains("thing/a,Stale") && kept.contains("thing/x/y,Kept"), "{kept}");
    let entity = past.asks("get thing x/y");
    assert!(entity.contains("createdAt: 2026-02-01T12:00:00Z\n"), "{entity}");
    assert!(entity.contains("updatedAt: 2026-02-03T12:00:00Z\nupdatedBy: ada\n"), "{entity}");
    assert!(past.asks("get thing z").contains("year: it is not committed yet"));

    let copy = tempfile::tempdir().unwrap();
    let url = format!("file://{}", past.0.path().display());
    let cloned = Command::new("git").args(["clone", "-q", "--depth", "2", &url]).arg(copy.path()).status();
    assert!(cloned.unwrap().success());
    let cut = "the history is cut off here, so what was before is not known: `git fetch --unshallow`\n";
    let listed = "identifier,$createdAt,$updatedAt,year\r\na,,,\r\nx/y,,2026-02-03T12:00:00Z,\r\n";
    let all = "list thing --format csv --columns $createdAt,$updatedAt,year";
    assert_eq!(run(all, copy.path()), format!("{listed}{cut}"));
    let entity = run("get thing a", copy.path());
    assert!(entity.contains("year: it is older than the history here, which is cut off"), "{entity}");
    assert!(run("history thing a", copy.path()).contains(cut));
}

/// How often something happens is counted over every period since it first did; a number's average takes each period for one.
#[test]
fn averages_are_taken_over_periods() {
    let past = Past::new();
    past.write(
        "blueprints/deployment.yaml",
        "identifier: deployment
schema: { properties: { at: { type: string, format: date-time }, minutes: { type: number } } }
relations: { service: { target: service } }
",
    );
    past.write(
        "blueprints/service.yaml",
        "identifier: service
schema: { properties: {} }
aggregationProperties:
  weekly:
    target: deployment
    calculationSpec: { calculationBy: entities, func: average, averageOf: week, measureTimeBy: at }
  monthly: { target: deployment, calculationSpec: { calculationBy: entities, func: average, averageOf: month } }
  minutes: { target: deployment, calculationSpec: { calculationBy: property, func: average, property: minutes } }
  pace:
    target: deployment
    calculationSpec: { calculationBy: property, func: average, property: minutes, averageOf: week, measureTimeBy: at }
",
    );
    for service in ["shop", "idle", "vague"] {
        let text = format!("identifier: {service}\nblueprint: service\n");
        past.write(&format!("entities/service/{service}.yaml"), &text);
    }
    // Two in the week from the 2nd, one in that from the 16th, and one of which nobody knows when it was.
    let deployments = [
        ("a", "shop", "at: 2026-11-02T00:00:00Z, minutes: 10"),
        ("b", "shop", "at: 2026-11-08T23:59:59Z, minutes: 20"),
        ("c", "shop", "at: 2026-11-16T01:00:00+01:00, minutes: 30"),
        ("d", "shop", "minutes: 60"),
        ("e", "vague", "minutes: 5"),
    ];
    for (name, service, properties) in deployments {
        let text = format!(
            "identifier: {name}\nblueprint: deployment\nproperties: {{ {properties} }}\nrelations: {{ service: {service} }}\n"
        );
        past.write(&format!("entities/deployment/{name}.yaml"), &text);
    }
    past.commit("2026-09-30", "begin");
    let listed = past
        .asks("list service --now 2026-11-30T12:00:00Z --columns weekly,monthly,minutes,pace --format csv");
    // Weeks begin on the 2nd, 9th, 16th, 23rd and 30th; months are September, October and November.
    let truth = "identifier,weekly,monthly,minutes,pace\r
idle,0,0,,\r
shop,0.6,1.3333333333333333,30,22.5\r
vague,,0.3333333333333333,5,\r
";
    assert_eq!(listed, truth);
    let vague = past.asks("get service/vague");
    assert!(vague.contains("weekly: none of them says `at`"), "{vague}");
}

/// What Chandlery recorded names the request, who asked and who approved; the demo's catalog tells.
#[test]
fn a_change_names_who_asked_and_who_approved() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Command::new(env!("CARGO_BIN_EXE_chandlery"))
        .args(["demo", "--dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(demo.status.success());
    let copy = folder.path().join("copy");
    let cloned = Command::new("git")
        .args(["clone", "-q"])
        .arg(folder.path().join("forge/repositories/acme/catalog.git"))
        .arg(&copy)
        .status()
        .unwrap();
    assert!(cloned.success());
    let history = run("history service checkout", &copy);
    assert!(
        history.contains(
            "changed: request spring-sale, asked by cleo, approved by dan\n    properties.replicas: 4 -> 8\n"
        ),
        "{history}"
    );
    let entity = run("get service checkout", &copy);
    assert!(entity.contains("updatedBy: cleo\n") && entity.contains("createdBy: GitHub\n"), "{entity}");
    let blame = run("blame service checkout --format csv", &copy);
    assert!(
        blame.contains("properties.replicas,8,")
            && blame.contains("spring-sale,\"asked by cleo, approved by dan\""),
        "{blame}"
    );
    assert!(blame.contains("properties.tier,gold,") && blame.contains("\"by hand, by GitHub\""), "{blame}");
    let diff = run("diff HEAD~3..HEAD", &copy);
    assert!(!diff.contains("error"), "{diff}");
}

#[test]
fn a_blueprint_with_mistakes_is_not_one_that_is_missing() {
    let past = Past::new();
    past.write(
        "blueprints/broken.yaml",
        "identifier: broken\nschema: { properties: { size: { type: text } } }\n",
    );
    past.commit("2026-02-01", "broken");
    for at in ["", "--at HEAD"] {
        let told = past.asks(&format!("list broken {at}"));
        assert!(
            told.contains(
                "error: the blueprint `broken` has mistakes, and is left out: run `chandlery validate`"
            ),
            "{told}"
        );
    }
    let told = past.asks("list thing --catalog blueprints");
    assert!(told.contains("so this is no catalog; name the catalog's folder with --catalog DIR"), "{told}");
}

#[test]
fn blame_is_asked_for_single_values() {
    let past = Past::new();
    let entity = |size: u8| {
        format!("identifier: a\nblueprint: thing\nproperties: {{ size: {size} }}\nrelations: {{ next: a }}\n")
    };
    past.write("entities/thing/a.yaml", &entity(1));
    past.commit("2026-02-01", "one");
    past.write("entities/thing/a.yaml", &entity(2));
    past.commit("2026-02-02", "two");
    for name in ["size", "properties.size"] {
        let told = past.asks(&format!("blame thing a {name} --format csv"));
        assert!(
            told.lines().count() == 2 && told.contains("properties.size,2,2026-02-02T12:00:00Z,"),
            "{told}"
        );
    }
    let told = past.asks("blame thing a next --format csv");
    assert!(told.contains("relations.next,a,2026-02-01T12:00:00Z,"), "{told}");
    let told = past.asks("blame thing a sizes");
    assert_eq!(told, "error: `thing/a` says no `sizes`; did you mean `size`?\n(exit code 2)\n");
}
