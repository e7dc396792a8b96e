//! Does `simulate` say what would happen, and `explain` why it happened? A catalog with several rules and policies, and a history
//! made on the local forge.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    audit::tell,
    world::{local::Local, reconcile},
};

const CATALOG: &[(&str, &str)] = &[
    ("chandlery.yaml", "version: 1\nrepositories: [acme/deployments]\n"),
    (
        "blueprints/environment.yaml",
        "identifier: environment\nschema:\n  properties:\n    stage: { type: string, enum: [preview, production] }\n",
    ),
    (
        "actions/create-environment.yaml",
        r#"identifier: create-environment
title: Create an environment
trigger:
  operation: CREATE
  blueprintIdentifier: environment
  userInputs:
    properties:
      name: { type: string, pattern: "^[a-z-]+$" }
      team: { type: string, format: team, default: shop }
      stage: { type: string, enum: [preview, production], default: preview }
    required: [name]
execute: { teams: [shop, platform] }
approval:
  distinct: true
  rules:
    - { name: platform, teams: [platform] }
    - { name: security, teams: [security] }
steps:
  - { id: files, pullRequest: { repository: acme/deployments, template: environment } }
entities:
  - create: { blueprint: environment, identifier: "{{ inputs.name }}", team: "{{ inputs.team }}", properties: { stage: "{{ inputs.stage }}" } }
"#,
    ),
    (
        "actions/remove-environment.yaml",
        "identifier: remove-environment\ntrigger: { operation: DELETE, blueprintIdentifier: environment, userInputs: { properties: {} } }\napproval: { allowSelfApproval: true, rules: [{ name: platform, teams: [platform] }] }\nmerge: auto\nentities:\n  - delete: { blueprint: environment, identifier: \"{{ entity.identifier }}\" }\n",
    ),
    ("action-templates/environment/files/{{ inputs.name }}.yaml", "name: {{ inputs.name }}\n"),
    (
        "policies/few.yaml",
        "identifier: few\nlimit: { of: entities, blueprint: environment, count: 2, per: team }\n",
    ),
    (
        "policies/one-a-day.yaml",
        "identifier: one-a-day\nactions: [create-environment]\nlimit: { of: requests, count: 1, within: 1d, per: user }\n",
    ),
    (
        "policies/no-production.yaml",
        "identifier: no-production\nactions: [create-environment]\nwhen: .inputs.stage == \"production\"\ndeny: Production is made by hand.\n",
    ),
    (
        "policies/careful.yaml",
        "identifier: careful\nactions: [create-environment]\nwhen: .inputs.name == \"shared\"\nrequireApproval: { rules: [{ name: boss, users: [eve] }] }\n",
    ),
    (
        "policies/weekend.yaml",
        "identifier: weekend\nactions: [create-environment]\nfreeze:\n  timeZone: UTC\n  windows: [{ days: [sat, sun] }]\n  unless: { rules: [{ name: on call, users: [eve] }] }\n",
    ),
    (
        "entities/_team/platform.yaml",
        "identifier: platform\nblueprint: _team\nrelations: { members: [bo, cleo] }\n",
    ),
    (
        "entities/_team/security.yaml",
        "identifier: security\nblueprint: _team\nrelations: { members: [cleo] }\n",
    ),
    ("entities/_team/shop.yaml", "identifier: shop\nblueprint: _team\nrelations: { members: [ada, dan] }\n"),
    (
        "entities/environment/first.yaml",
        "identifier: first\nblueprint: environment\nteam: shop\nproperties: { stage: preview }\n",
    ),
];

const TUESDAY: &str = "2030-01-01T12:00:00Z";
const SATURDAY: &str = "2030-01-05T12:00:00Z";

fn put(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn git(folder: &Path, arguments: &[&str], at: &str) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@b"])
        .args(arguments)
        .current_dir(folder)
        .envs([("GIT_AUTHOR_DATE", at), ("GIT_COMMITTER_DATE", at)])
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn commit(folder: &Path, at: &str) -> String {
    git(folder, &["add", "."], at);
    git(folder, &["commit", "-q", "-m", "x"], at);
    git(folder, &["rev-parse", "HEAD"], at)
}

/// The catalog and its target, each in a repository of its own.
fn company() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["catalog", "deployments"] {
        put(&folder.path().join(name), "README.md", "here\n");
        git(&folder.path().join(name), &["init", "-q", "-b", "main"], TUESDAY);
    }
    let catalog = folder.path().join("catalog");
    for (path, text) in CATALOG {
        put(&catalog, path, text);
    }
    for login in ["ada", "bo", "cleo", "dan", "eve", "zoe"] {
        let path = format!("entities/_user/{login}.yaml");
        put(&catalog, &path, &format!("identifier: {login}\nblueprint: _user\n"));
    }
    commit(&catalog, "2029-12-01T12:00:00Z");
    commit(&folder.path().join("deployments"), TUESDAY);
    folder
}

fn chandlery(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_chandlery"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().unwrap(), said + &String::from_utf8_lossy(&output.stderr))
}

fn simulate(folder: &Path, request: &str, more: &[&str]) -> (i32, String) {
    put(&folder.join("catalog"), "requests/new/request.yaml", request);
    let target = ["--target", "acme/deployments=../deployments"];
    chandlery(
        &folder.join("catalog"),
        &[&["simulate", "requests/new/request.yaml"][..], &target, more].concat(),
    )
}

fn create(inputs: &str) -> String {
    format!("action: create-environment\ninputs: {{ {inputs} }}\n")
}

/// A request, who asks, when, and what reviewers say; then the exit code and what is told.
type Case<'a> = (&'a str, &'a str, &'a str, &'a [&'a str], i32, &'a [&'a str]);

#[test]
fn a_request_is_simulated_with_what_people_would_say() {
    let folder = company();
    let new = create("name: new");
    let cases: &[Case<'_>] = &[
        (
            &new,
            "ada",
            TUESDAY,
            &[],
            1,
            &[
                "`ada` may ask: is a member of the team `shop`",
                "few allows it: this would be number 2 of 2 `environment` of the team `shop`",
                "one-a-day allows it: 0 came before this one, of 1 request of `ada` in one day",
                "no-production does not concern it: its `when` does not hold",
                "team platform: bo, cleo",
                "could approve: bo, cleo",
                "=> would wait for: platform: waits for `bo` or `cleo`; security: waits for `cleo`",
            ],
        ),
        (
            &new,
            "ada",
            TUESDAY,
            &["bo approves", "cleo approves"],
            0,
            &[
                "bo counts",
                "cleo counts",
                "=> would be merged (by anybody with write access) and: open a pull request in acme/deployments, create environment/new",
            ],
        ),
        // One person stands for one rule.
        (&new, "ada", TUESDAY, &["cleo approves"], 1, &["cleo does not count: stands for the rule `"]),
        (
            &new,
            "bo",
            TUESDAY,
            &["bo approves", "cleo approves"],
            1,
            &["bo does not count: asked for it", "=> would wait for: "],
        ),
        (&new, "ada", TUESDAY, &["dan approves"], 1, &["dan does not count: is not named by it"]),
        (
            &new,
            "ada",
            TUESDAY,
            &["bo approves", "cleo approves", "bo requests changes"],
            1,
            &["bo asks for changes", "=> would wait for: `bo` asks for changes"],
        ),
        (
            &new,
            "ada",
            SATURDAY,
            &["bo approves", "cleo approves"],
            1,
            &[
                "weekend freezes it: frozen until 2030-01-07 00:00 UTC unless weekend: on call: 1 of `eve` approve",
                "=> would wait for: frozen until 2030-01-07 00:00 UTC by weekend",
            ],
        ),
        (
            &new,
            "ada",
            SATURDAY,
            &["bo approves", "cleo approves", "eve approves"],
            0,
            &["=> would be merged"],
        ),
        (
            &new,
            "zoe",
            TUESDAY,
            &[],
            1,
            &["not-allowed", "=> refused: `zoe` may not ask for `create-environment`"],
        ),
        (
            &create("name: live, stage: production"),
            "ada",
            TUESDAY,
            &[],
            1,
            &[
                "no-production refuses it",
                "few allows it",
                "=> refused: the policy `no-production` does not allow it: Production is made by hand.",
            ],
        ),
        (
            &create("name: shared"),
            "ada",
            TUESDAY,
            &["bo approves", "cleo approves"],
            1,
            &[
                "careful adds approvals: careful: boss: 1 of `eve`",
                "=> would wait for: careful: boss: waits for `eve`",
            ],
        ),
        // Who asked may approve where the rule says so, and Chandlery merges.
        (
            "action: remove-environment\nentity: first\n",
            "bo",
            TUESDAY,
            &["bo approves"],
            0,
            &["bo counts", "=> would be merged (by Chandlery) and: delete environment/first"],
        ),
        (
            "action: remove-environment\nentity: first\n",
            "ada",
            TUESDAY,
            &["ada approves"],
            1,
            &["ada does not count: is not named by it"],
        ),
    ];
    for (request, who, when, said, code, told) in cases {
        let mut more = vec!["--as", who, "--time", when];
        more.extend(said.iter().flat_map(|what| ["--if", what]));
        let (came, text) = simulate(folder.path(), request, &more);
        assert_eq!(came, *code, "{who} {said:?}: {text}");
        for words in *told {
            assert!(text.contains(words), "{who} {said:?}: {words}\n{text}");
        }
        let (came, text) = simulate(folder.path(), request, &[&more[..], &["--format", "json"]].concat());
        let told: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
        assert_eq!((came, told["end"] == "goesThrough"), (*code, *code == 0), "{told:#}");
    }
}

#[test]
fn a_simulation_counts_what_came_before_and_asks_the_past() {
    let folder = company();
    let catalog = folder.path().join("catalog");
    let request = create("name: new");
    let before = git(&catalog, &["rev-parse", "HEAD"], TUESDAY);
    put(&catalog, "requests/old/request.yaml", &create("name: old"));
    put(
        &catalog,
        "requests/old/run.yaml",
        "version: 2\nrequest: old\naction: create-environment\nstatus: success\nrequesters: [ada]\napprovedBy: [bo]\nsteps: []\nentities: []\n",
    );
    put(
        &catalog,
        "entities/environment/second.yaml",
        "identifier: second\nblueprint: environment\nteam: shop\nproperties: { stage: preview }\n",
    );
    put(
        &catalog,
        "entities/_team/security.yaml",
        "identifier: security\nblueprint: _team\nrelations: { members: [zoe] }\n",
    );
    commit(&catalog, "2030-01-01T09:00:00Z");
    let run = |more: &[&str]| simulate(folder.path(), &request, &[&["--as", "ada"], more].concat());
    let (code, said) = run(&["--time", TUESDAY]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("one-a-day refuses it") && said.contains("1 came before this one"), "{said}");
    assert!(said.contains("few refuses it") && said.contains("this would be number 3"), "{said}");
    // A day later one policy is content, and the other is not.
    let (code, said) = run(&["--time", "2030-01-02T12:00:00Z"]);
    assert!(code == 1 && said.contains("one-a-day allows it") && said.contains("few refuses it"), "{said}");
    // The commit before knew nothing of either, and of another team.
    let (code, said) = run(&["--time", TUESDAY, "--at", &before]);
    assert!(code == 1 && said.contains("security: waits for `cleo`"), "{said}");
    let (code, said) =
        run(&["--time", TUESDAY, "--at", &before, "--if", "bo approves", "--if", "cleo approves"]);
    assert_eq!(code, 0, "{said}");
    // Wrong usage, and what cannot be read.
    let (code, said) = run(&["--if", "bo shrugs"]);
    assert!(
        code == 2 && said.contains("LOGIN approves") && said.contains("LOGIN requests changes"),
        "{said}"
    );
    assert_eq!(run(&["--at", "nowhere"]).0, 2);
    let (code, said) =
        chandlery(&catalog, &["simulate", "requests/new/request.yaml", "--as", "ada", "--at", &before]);
    assert!(code == 3 && said.contains("--target acme/deployments=FOLDER"), "{said}");
}

/// The page about approvals: its commands run.
#[test]
fn the_page_about_approvals_simulates() {
    let folder = company();
    let catalog = folder.path().join("catalog");
    put(&catalog, "requests/new/request.yaml", &create("name: new"));
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/approvals.md")).unwrap();
    let commands: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("    $ chandlery ")).collect();
    assert_eq!(commands.len(), 2);
    for line in commands {
        let words = shlex(line);
        let (code, said) = chandlery(&catalog, &words.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(said.contains("=> would "), "{line}: {code} {said}");
    }
}

/// Words, some of them in double quotes.
fn shlex(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    let words = parts.flat_map(|(at, part)| match at % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

fn an_open_request_is_explained_by_the_forge(world: &Local, clone: &Path, id: &str) {
    let branch = format!("chandlery/request/{}", id.replace('/', "-"));
    let (code, said) = chandlery(clone, &["explain", id]);
    assert!(
        code == 3 && said.contains("was never merged") && said.contains("only the forge knows"),
        "{said}"
    );
    let (api, cache) = (format!("{}/api/v3", world.url()), clone.join(".git/cache"));
    let token = clone.join(".git/token");
    fs::write(&token, crate::world::local::token(crate::world::fixture::ME)).unwrap();
    let explain = |more: &[&str]| {
        let forge = ["--repository", "acme/catalog", "--api-url", &api, "--token-file"];
        let paths = [token.to_str().unwrap(), "--cache", cache.to_str().unwrap()];
        chandlery(clone, &[&["explain", id][..], &forge, &paths, more].concat())
    };
    let (code, said) = explain(&["--as", "bo"]);
    assert_eq!(code, 0, "{said}");
    for words in [
        "asked by dan",
        "few allows it: this would be number 2 of 3 `bucket`",
        "weekend allows it: frozen with no end in sight, and weekend: on call: 1 of `eve` made an exception",
        "eve does not count: is not named by it",
        "bo may ask for it: has write access",
        "bo could approve for platform",
        "=> waits for: platform: waits for `bo` or `cleo`",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    let (_, said) = explain(&["--as", "dan"]);
    assert!(said.contains("dan could not approve for platform: asked for it"), "{said}");
    let (_, said) = explain(&["--as", "eve"]);
    assert!(said.contains("eve could not approve for platform: is not named by it"), "{said}");
    // With a token of their own people hear what Chandlery sees.
    fs::write(&token, crate::world::local::token("eve")).unwrap();
    let (code, with_hers) = explain(&["--as", "eve"]);
    let seen =
        with_hers.replace("  as seen by chandlery[bot], who planned it; this token is somebody else's\n", "");
    assert!(code == 0 && seen.len() < with_hers.len(), "{with_hers}");
    assert_eq!(seen, said);
    fs::write(&token, crate::world::local::token(crate::world::fixture::ME)).unwrap();
    // Whoever stands on the branch that asks hears the same.
    git(clone, &["switch", "-q", "--detach", &format!("origin/{branch}")], TUESDAY);
    let (code, said) = explain(&[]);
    assert!(code == 0 && said.contains(": open, ") && said.contains("=> waits for: platform"), "{said}");
    let (code, said) = chandlery(clone, &["explain", id]);
    assert!(code == 0 && said.contains("was merged, since HEAD holds it; no forge was asked"), "{said}");
    git(clone, &["switch", "-q", "main"], TUESDAY);
    let (_, said) = explain(&["--format", "json"]);
    let told: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    assert_eq!((&told["account"]["approved"], &told["requesters"][0]), (&false.into(), &"dan".into()));
    // Before anybody had said anything.
    let (code, said) = explain(&["--at", "2001-01-01T00:00:00Z"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("as of 2001-01-01T00:00:00Z") && !said.contains("made an exception"), "{said}");
    let (_, said) = explain(&["--at", "2099-01-01T00:00:00Z", "--format", "json"]);
    let told: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    assert_eq!((&told["at"], &told["account"]["approved"]), (&"2099-01-01T00:00:00Z".into(), &false.into()));
}

#[test]
fn a_merged_request_is_explained_by_the_teams_and_policies_of_then() {
    let mut world = Local::new();
    tell(
        &mut world,
        "
ada writes policies/weekend.yaml identifier: weekend\\nfreeze: { timeZone: UTC, windows: [{ days: [mon, tue, wed, thu, fri, sat, sun] }], unless: { rules: [{ name: on call, users: [eve] }] } }
ada writes policies/few.yaml identifier: few\\nlimit: { of: entities, blueprint: bucket, count: 3 }
dan files create-bucket name=logs size=3
reconcile
eve approves catalog#2
",
    );
    let id = reconcile(&mut world).stages.keys().next().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let url = world.catalog();
    git(folder.path(), &["clone", "-q", url.to_str().unwrap(), "."], TUESDAY);
    an_open_request_is_explained_by_the_forge(&world, folder.path(), &id);
    tell(
        &mut world,
        "
bo approves catalog#2
dan merges catalog#2
reconcile
bo merges infra#1 squash
ada smuggles quick create-bucket name=quick
everybody waits 300
reconcile
ada writes entities/_team/platform.yaml identifier: platform\\nblueprint: _team\\nrelations: { members: [dan] }
ada writes policies/few.yaml identifier: few\\ndeny: never
",
    );
    git(folder.path(), &["pull", "-q"], TUESDAY);
    let id = id.as_str();
    let (code, said) = chandlery(folder.path(), &["explain", id]);
    assert_eq!(code, 0, "{said}");
    for words in [
        "asked by dan, approved by bo",
        "it ended as success",
        "Chandlery-Run: ",
        "few allows it: this would be number 2 of 3 `bucket`",
        "platform: 1 of the team `platform` [holds]",
        "team platform: bo, cleo",
        "bo counts",
        "Not in Git: ",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    let (code, said) = chandlery(folder.path(), &["explain", id, "--as", "dan"]);
    assert!(code == 0 && said.contains("dan could have asked: has write access"), "{said}");
    assert!(said.contains("dan could not approve for platform: asked for it"), "{said}");
    let (_, said) = chandlery(folder.path(), &["explain", id, "--as", "cleo"]);
    assert!(said.contains("cleo could approve for platform"), "{said}");
    let (_, said) = chandlery(folder.path(), &["explain", id, "--as", "zoe"]);
    assert!(said.contains("zoe could not approve for platform: is not named by it"), "{said}");
    let (code, said) = chandlery(folder.path(), &["explain", id, "--format", "json", "--at", SATURDAY]);
    let told: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    assert_eq!(
        (code, &told["run"]["status"], &told["account"]["approved"]),
        (0, &"success".into(), &true.into())
    );
    let (code, said) = chandlery(folder.path(), &["explain", "quick"]);
    let who = "pushed straight to the default branch, so no pull request says who asked, and nobody could approve it\n  it ended as denied: ";
    assert!(code == 0 && said.contains(who), "{said}");
    let (code, said) = chandlery(folder.path(), &["explain", "no-such-request"]);
    assert!(code == 3 && said.contains("was never merged"), "{said}");
}
