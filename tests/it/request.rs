//! Do the other ways to ask lead to the same request? From a terminal, with and without questions; again; by a link; with
//! an editor's schema. Asked of the company of the scenarios on the local forge.

use std::{
    collections::BTreeSet,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use chandlery::{
    catalog::{Definitions, Files, Root, Secrets, load_definitions, load_settings, read_entity},
    domain::{Place, RequestFile},
    intake::{self, Lookup, Searched, Sources, issue_form, request_schema},
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{
    demo::{chandlery, printed},
    world::{World, local::Local, reconcile, view},
};

/// A copy of the catalog as `git clone` leaves it.
fn copy(world: &Local, into: &Path) {
    let bare = world.folder().join("forge/repositories/acme/catalog.git");
    let repository = git2::Repository::clone(bare.to_str().unwrap(), into).unwrap();
    repository.remote_set_url("origin", &format!("{}/acme/catalog.git", world.url())).unwrap();
}

/// The command as somebody runs it in their copy, told nothing but their token.
fn command(who: &str, copy: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chandlery"));
    command
        .args(words)
        .current_dir(copy)
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .env("CHANDLERY_TOKEN", crate::world::local::token(who))
        .env("CHANDLERY_CACHE", copy.with_extension("cache"))
        .stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_request_without_questions_goes_the_whole_way_and_is_asked_again() {
    let mut world = Local::new();
    let folder = tempfile::tempdir().unwrap();
    let clone = folder.path().join("catalog");
    copy(&world, &clone);
    let run = |words: &[&str]| command("dan", &clone, words).output().unwrap();

    // What is missing or wrong is told, and nothing is asked.
    let missing = run(&["request", "create-bucket", "--input", "size=12"]);
    assert_eq!(missing.status.code(), Some(1));
    let told = said(&missing);
    assert!(told.contains("`inputs.name` is required") && told.contains("must be at most 9"), "{told}");
    assert_eq!(run(&["request"]).status.code(), Some(2));

    // The text of a file is an input as any other; what is no text is none.
    let text = folder.path().join("name.txt");
    std::fs::write(&text, "logs").unwrap();
    let named = format!("name={}", text.display());
    let from_file = ["request", "create-bucket", "--input-file", &named, "--as", "dan", "--print-only"];
    assert_eq!(printed(&run(&from_file)), "action: create-bucket\ninputs:\n  name: logs\n");
    std::fs::write(&text, [0xff, 0xfe]).unwrap();
    assert!(said(&run(&from_file)).contains("is no text, and `name` can hold nothing else"));

    let words =
        ["request", "create-bucket", "--input", "name=logs", "--input", "size=3", "--yes", "--id", "mine"];
    let asked = printed(&run(&words));
    assert!(asked.contains("`bucket/logs` is added to the catalog"), "{asked}");
    let address = format!("Asked: {}/acme/catalog/pull/1", world.url());
    assert!(asked.ends_with(&format!("{address}\n")), "{asked}");
    // The same once more is the same; something else under this name is refused.
    assert!(printed(&run(&words)).contains(&address));
    let taken = run(&["request", "create-bucket", "--input", "name=other", "--yes", "--id", "mine"]);
    assert!(said(&taken).contains("has a branch `request/mine` already"), "{}", said(&taken));

    drop(reconcile(&mut world));
    assert!(view(&mut world).contains("catalog#1 by dan open, check "), "{}", view(&mut world));
    for deed in ["bo approves catalog#1", "dan merges catalog#1", "reconcile", "ada merges infra#1"] {
        match deed {
            "reconcile" => {}
            deed => assert!(world.deed(&deed.parse().unwrap()), "{deed}"),
        }
        drop(reconcile(&mut world));
    }
    assert!(view(&mut world).contains("run mine success"), "{}", view(&mut world));

    // What was merged can be asked again, with another name, from a copy of now.
    let later = folder.path().join("later");
    copy(&world, &later);
    let again =
        command("dan", &later, &["rerun", "mine", "--input", "name=more", "--print-only"]).output().unwrap();
    assert_eq!(printed(&again), "action: create-bucket\ninputs:\n  name: more\n  size: 3\n");
    assert!(again.stderr.is_empty());
    let unknown = command("dan", &later, &["rerun", "never"]).output().unwrap();
    assert!(said(&unknown).contains("requests/never/request.yaml"));
    let again = printed(
        &command("dan", &later, &["rerun", "mine", "--input", "name=more", "--yes"]).output().unwrap(),
    );
    assert!(again.contains("Asked: "), "{again}");

    // Whoever may not ask is told so, before anything is pushed.
    let refused =
        command("eve", &later, &["request", "retire-bucket", "--entity", "old", "--yes"]).output().unwrap();
    assert!(said(&refused).contains("`eve` may not ask for `retire-bucket`"), "{}", said(&refused));
    let reader = command("zoe", &later, &words).output().unwrap();
    assert!(said(&reader).contains("`zoe` may only read acme/catalog"), "{}", said(&reader));

    // In a catalog that carries nothing out, asking says so.
    for (mode, told) in [("observe", "the catalog only observes"), ("off", "the catalog is switched off")] {
        assert!(world.deed(&format!("ada sets-mode {mode}").parse().unwrap()));
        let clone = folder.path().join(mode);
        copy(&world, &clone);
        let name = format!("name={}", if mode == "off" { "dark" } else { "seen" });
        let asked = command("dan", &clone, &["request", "create-bucket", "--input", &name, "--yes"])
            .output()
            .unwrap();
        assert!(asked.status.success() && said(&asked).contains(told), "{}", said(&asked));
    }
}

/// A person at a terminal: waits for each text, then types.
const PERSON: &str = r#"
import fcntl, json, os, pty, select, struct, sys, termios, time
steps, words = json.loads(sys.argv[1]), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execvp(words[0], words)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
seen, everything, end = b"", b"", time.monotonic() + 120
def read():
    global seen, everything
    if not select.select([terminal], [], [], 0.1)[0]:
        return True
    try:
        data = os.read(terminal, 65536)
    except OSError:
        return False
    seen += data
    everything += data
    return bool(data)
for wanted, typed in steps:
    while wanted.encode() not in seen:
        if time.monotonic() > end or not read():
            sys.stdout.buffer.write(everything)
            sys.exit("never saw " + wanted)
    seen = seen.split(wanted.encode(), 1)[1]
    time.sleep(0.2)
    os.write(terminal, typed.encode())
while time.monotonic() < end and read():
    pass
sys.stdout.buffer.write(everything)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

fn at_a_terminal(who: &str, copy: &Path, words: &[&str], steps: &[(&str, &str)]) -> Output {
    let program = command(who, copy, words);
    let python = std::env::var("CHANDLERY_PYTHON").expect("CHANDLERY_PYTHON names a Python: `make tools`");
    let mut person = Command::new(python);
    person
        .arg("-c")
        .arg(PERSON)
        .arg(json!(steps).to_string())
        .arg(program.get_program())
        .args(program.get_args());
    person.current_dir(copy).env_clear().env("TERM", "xterm");
    person.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    person.output().unwrap()
}

#[test]
fn a_form_is_filled_in_at_a_terminal_and_becomes_a_pull_request() {
    let mut world = Local::new();
    let folder = tempfile::tempdir().unwrap();
    let clone = folder.path().join("catalog");
    copy(&world, &clone);

    // From the menu, which shows only what one may ask for, to the pull request; a mistake is told and asked anew.
    let output = at_a_terminal(
        "dan",
        &clone,
        &["request"],
        &[
            ("What do you want?", "create-b\r"),
            ("name:", "LOGS\r"),
            ("must match `^[a-z]+$`, and is `LOGS`", ""),
            ("name:", "logs\r"),
            ("size:", "4\r"),
            ("Why?", "for the auditors\r"),
            ("What would change", ""),
            ("Ask for this?", "\r"),
            ("Asked: ", ""),
        ],
    );
    let told = said(&output);
    assert!(output.status.success(), "{told}");
    assert!(!told.contains("Retire a bucket"), "dan is not of the platform team: {told}");
    let (_, pull) = world.tries("dan", "GET", "/api/v3/repos/acme/catalog/pulls/1", &Value::Null);
    assert_eq!(pull["title"], "Create a bucket: logs");
    let branch = pull["head"]["ref"].as_str().unwrap();
    let bare =
        git2::Repository::open_bare(world.folder().join("forge/repositories/acme/catalog.git")).unwrap();
    let tree = bare.revparse_single(branch).unwrap().peel_to_tree().unwrap();
    let path = format!("requests/{}/request.yaml", pull["body"].as_str().unwrap().split('`').nth(3).unwrap());
    let blob = tree.get_path(Path::new(&path)).unwrap().to_object(&bare).unwrap();
    assert_eq!(
        String::from_utf8_lossy(blob.as_blob().unwrap().content()),
        "action: create-bucket\ninputs:\n  name: logs\n  size: 4\nreason: for the auditors\n"
    );
    drop(reconcile(&mut world));
    assert!(view(&mut world).contains("catalog#1 by dan open, check "), "{}", view(&mut world));

    // What is computed is computed as it goes: the default from the entity, `label` only where it is shown.
    let steps = [
        ("Which bucket?", "ol\t\r"),
        ("size:", "7\r"),
        ("like:", "\r"),
        ("label:", "red\r"),
        ("Why?", "\r"),
        ("action: tune-bucket", ""),
    ];
    let words = ["request", "tune-bucket", "--as", "dan", "--print-only"];
    let output = at_a_terminal("dan", &clone, &words, &steps);
    let told = said(&output).replace('\r', "");
    assert!(output.status.success(), "{told}");
    assert!(told.contains("action: tune-bucket\nentity: old\ninputs:\n  size: 7\n  label: red\n"), "{told}");
    let steps = [("size:", "\r"), ("like:", "\r"), ("Why?", "\u{1b}"), ("nothing was asked", "")];
    let output = at_a_terminal("dan", &clone, &[&words[..], &["--entity", "old"]].concat(), &steps);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(!said(&output).contains("label:"), "it is hidden: {}", said(&output));
}

const STEPS: &str = "identifier: store
title: Store something
trigger:
  operation: CREATE
  blueprintIdentifier: bucket
  userInputs:
    properties:
      kind: { type: string, enum: [open, secret] }
      level: { type: number, minimum: 1 }
      reader: { type: string }
      name: { type: string }
    required: [kind, level, name]
    steps:
      - { title: What it is, order: [kind] }
      - { title: How secret it is, order: [level, reader], visible: { jqQuery: '.form.kind == \"secret\"' } }
      - { title: What it is called, order: [name] }
approval: none
entities:
  - create: { blueprint: bucket, identifier: \"{{ inputs.name }}\", properties: { size: 1 } }
";

/// A page of the form that an answer hides is gone over, heading and required inputs and all.
#[test]
fn a_hidden_step_of_a_form_is_not_asked_at_a_terminal() {
    let world = Local::holding(&mut [("actions/store.yaml".to_owned(), STEPS.to_owned())].into_iter());
    let folder = tempfile::tempdir().unwrap();
    let clone = folder.path().join("catalog");
    copy(&world, &clone);
    let words = ["request", "store", "--as", "dan", "--print-only"];
    let shown = [
        ("What it is\r\n", ""),
        ("kind:", "secret\r"),
        ("How secret it is", ""),
        ("level:", "2\r"),
        ("reader:", "\r"),
        ("What it is called", ""),
        ("name:", "vault\r"),
        ("Why?", "\r"),
    ];
    let output = at_a_terminal("dan", &clone, &words, &shown);
    let told = said(&output).replace('\r', "");
    assert!(told.contains("action: store\ninputs:\n  kind: secret\n  level: 2\n  name: vault\n"), "{told}");
    let hidden = [("kind:", "open\r"), ("What it is called", ""), ("name:", "yard\r"), ("Why?", "\r")];
    let output = at_a_terminal("dan", &clone, &words, &hidden);
    let told = said(&output).replace('\r', "");
    assert!(
        output.status.success() && told.contains("action: store\ninputs:\n  kind: open\n  name: yard\n"),
        "{told}"
    );
    assert!(["How secret", "level:", "reader:"].iter().all(|word| !told.contains(word)), "{told}");
}

/// A catalog in a folder, as people edit it.
fn catalog(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    git2::Repository::init(folder.path()).unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

const ACTION: &str = "identifier: deploy
title: Deploy a service
trigger:
  operation: DAY-2
  blueprintIdentifier: service
  condition: { combinator: and, rules: [{ property: locked, operator: \"!=\", value: true }] }
  userInputs:
    properties:
      name: { type: string, pattern: \"^[a-z]{2,5}$\", title: Its name, description: How it is called. }
      size: { type: number, minimum: 1, maximum: 9, multipleOf: 0.5 }
      flag: { type: boolean }
      tags: { type: array, uniqueItems: true, maxItems: 2, items: { type: string, enum: [red, green, blue] } }
      cluster: { type: string, format: entity, blueprint: cluster, dataset: { combinator: and, rules: [{ property: open, operator: \"=\", value: true }] } }
      clusters: { type: array, items: { type: string, format: entity, blueprint: cluster } }
      stage: { type: string, enum: [test, prod], default: test }
      hidden: { type: string, visible: false }
      password: { type: string, format: secret }
      options: { type: object, properties: { a: { type: number } }, additionalProperties: false }
      more: { type: string, visible: { jqQuery: '.form.stage == \"prod\"' } }
    required: [name, stage, more]
approval: none
entities:
  - update: { blueprint: service, identifier: \"{{ entity.identifier }}\", title: \"{{ inputs.name }}\" }
";

const CATALOG: &[(&str, &str)] = &[
    (
        "chandlery.yaml",
        "version: 1\nrepository: acme/catalog\nsecrets: [DB]\nageRecipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]\n",
    ),
    (
        "blueprints/service.yaml",
        "identifier: service\nschema: { properties: { locked: { type: boolean } } }\n",
    ),
    ("blueprints/cluster.yaml", "identifier: cluster\nschema: { properties: { open: { type: boolean } } }\n"),
    ("entities/service/shop.yaml", "identifier: shop\nblueprint: service\n"),
    ("entities/service/vault.yaml", "identifier: vault\nblueprint: service\nproperties: { locked: true }\n"),
    ("entities/cluster/eu.yaml", "identifier: eu\nblueprint: cluster\nproperties: { open: true }\n"),
    ("entities/cluster/us.yaml", "identifier: us\nblueprint: cluster\nproperties: { open: false }\n"),
    ("actions/deploy.yaml", ACTION),
];

/// The page of an entity says what can be done with it, and a link opens the form that is filled in.
#[test]
fn what_applies_to_an_entity_stands_on_its_page_with_a_link() {
    let folder = catalog(CATALOG);
    let at = folder.path().to_str().unwrap();
    let page = printed(&chandlery(&["get", "service", "shop", "--catalog", at]));
    let form = "https://github.com/acme/catalog/issues/new?template=deploy.yml&title=Deploy%20a%20service%3A%20shop&entity=shop";
    for words in [
        "deploy:",
        "title: Deploy a service",
        "ask: chandlery request deploy --entity shop",
        &format!("form: {form}"),
    ] {
        assert!(page.contains(words), "no {words} in {page}");
    }
    let locked = printed(&chandlery(&["get", "service", "vault", "--catalog", at]));
    assert!(!locked.contains("deploy"), "its condition does not hold: {locked}");

    let words = ["link", "deploy", "--catalog", at, "--entity", "shop", "--input", "name=a&b"];
    let more =
        ["--input", "flag=yes", "--input", "tags=red", "--input", "tags=blue", "--input", "stage=prod"];
    let link = printed(&chandlery(&[&words[..], &more].concat()));
    assert_eq!(link, format!("{form}&name=a%26b&flag=Yes&tags=red%2C%20blue&stage=prod\n"));
    // What the link says are fields of the form that it opens.
    let into = folder.path().join("forms");
    printed(&chandlery(&["generate", "issue-forms", at, "--into", into.to_str().unwrap()]));
    let form = std::fs::read_to_string(into.join(".github/ISSUE_TEMPLATE/deploy.yml")).unwrap();
    for id in ["entity", "name", "flag", "tags", "stage"] {
        assert!(form.contains(&format!("id: \"{id}\"")), "{id}: {form}");
    }
    assert!(form.contains("Answer it only if “stage” is `prod`."), "{form}");
    let unknown = chandlery(&["link", "deploy", "--catalog", at, "--input", "label=x"]);
    assert!(said(&unknown).contains("has no input `label`"));
}

/// Whatever is printed where somebody hands a secret in at the wrong place does not hold it.
#[test]
fn a_planted_secret_comes_out_nowhere() {
    let folder = catalog(CATALOG);
    let at = folder.path().to_str().unwrap();
    let planted = ["swordfish-and-more", "ghp_aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789"];
    let request = format!(
        "action: deploy\nentity: shop\ninputs: {{ name: {}, label: x, password: {}, hidden: {} }}\nreason: with {}\n",
        planted[1], planted[0], planted[1], planted[1]
    );
    let file = folder.path().join("requests/mine/request.yaml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, request).unwrap();
    let plain = format!("password={}", planted[0]);
    let token = format!("name={}", planted[1]);
    let mut printed = Vec::new();
    let mut told = |words: &[&str]| {
        let output = chandlery(words);
        assert!(!output.status.success(), "{words:?}: {}", said(&output));
        printed.push(said(&output));
    };
    for format in ["text", "json", "github", "sarif"] {
        told(&["validate", at, "--format", format]);
    }
    told(&["-vv", "plan", file.to_str().unwrap()]);
    told(&["-vv", "request", "--file", file.to_str().unwrap(), "--catalog", at, "--print-only"]);
    let ask = ["-vv", "request", "deploy", "--entity", "shop", "--catalog", at, "--print-only"];
    told(&[&ask[..], &["--input", &plain, "--input", &token]].concat());
    told(&["link", "deploy", "--catalog", at, "--input", &plain]);
    told(&["link", "deploy", "--catalog", at, "--input", &token]);
    for printed in &printed {
        assert!(!planted.iter().any(|secret| printed.contains(secret)), "{printed}");
        assert!(printed.contains("replace it now"), "{printed}");
    }

    // Encrypted it may go anywhere.
    let mut encrypt = Command::new(env!("CARGO_BIN_EXE_chandlery"))
        .args(["encrypt", "--catalog", at])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    encrypt.stdin.take().unwrap().write_all(planted[0].as_bytes()).unwrap();
    let sealed = String::from_utf8(encrypt.wait_with_output().unwrap().stdout).unwrap();
    let sealed = format!("password={}", sealed.trim());
    let made = chandlery(&[
        "request",
        "deploy",
        "--entity",
        "shop",
        "--catalog",
        at,
        "--print-only",
        "--input",
        &sealed,
        "--input",
        "name=ok",
    ]);
    assert!(said(&made).contains("password: age:YWdl"), "{}", said(&made));
}

/// The same on the forge: an issue and a request that hold a credential are answered without it, and nothing of it is committed.
#[test]
fn a_credential_in_a_request_is_in_no_answer_and_no_commit_of_ours() {
    let mut world = Local::new();
    let planted = "ghp_aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789";
    for deed in ["dan files create-bucket name=PLANTED", "dan asks leak create-bucket name=PLANTED"] {
        assert!(world.deed(&deed.replace("PLANTED", planted).parse().unwrap()));
    }
    let folder = tempfile::tempdir().unwrap();
    let summary = folder.path().join("summary");
    let output = Command::new(env!("CARGO_BIN_EXE_chandlery"))
        .args([
            "-vv",
            "reconcile",
            "--repository",
            "acme/catalog",
            "--api-url",
            &format!("{}/api/v3", world.url()),
        ])
        .args(["--cache".as_ref(), folder.path().join("cache").as_os_str()])
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .env("CHANDLERY_TOKEN", crate::world::local::token("chandlery[bot]"))
        .env("GITHUB_STEP_SUMMARY", &summary)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let mut answers = vec![said(&output), std::fs::read_to_string(summary).unwrap()];
    for number in [1, 2] {
        let path = format!("/api/v3/repos/acme/catalog/issues/{number}/comments");
        let comments = world.tries("dan", "GET", &path, &Value::Null).1;
        let words = comments[0]["body"].as_str().unwrap_or_default();
        assert!(
            words.contains("what looks like a token of GitHub") && words.contains("replace it now"),
            "{comments}"
        );
        answers.push(comments.to_string());
    }
    let pull = world.tries("dan", "GET", "/api/v3/repos/acme/catalog/pulls/2", &Value::Null).1;
    let checks =
        format!("/api/v3/repos/acme/catalog/commits/{}/check-runs", pull["head"]["sha"].as_str().unwrap());
    answers.push(world.tries("dan", "GET", &checks, &Value::Null).1.to_string());
    for answer in answers {
        assert!(answer.len() > 20 && !answer.contains(planted), "{answer}");
    }
    let bare =
        git2::Repository::open_bare(world.folder().join("forge/repositories/acme/catalog.git")).unwrap();
    let branches: BTreeSet<String> =
        bare.branches(None).unwrap().map(|one| one.unwrap().0.name().unwrap().unwrap().to_owned()).collect();
    assert!(!branches.iter().any(|name| name.starts_with("chandlery/")), "{branches:?}");
}

/// The commit that writes a run back writes anew what a dataset allows, in the form and in the schema; and what means
/// different things for two people who asked is refused.
#[test]
fn the_write_back_renews_what_datasets_allow() {
    let mut world = Local::new();
    let text = {
        let folder = tempfile::tempdir().unwrap();
        let clone = folder.path().join("catalog");
        copy(&world, &clone);
        printed(&chandlery(&["schema", "--catalog", clone.to_str().unwrap()]))
    };
    let content = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &text);
    let path = format!("/api/v3/repos/acme/catalog/contents/{}", request_schema::PATH);
    let (status, answer) = world.tries(
        "ada",
        "PUT",
        &path,
        &json!({ "message": "the schema", "content": content, "branch": "main" }),
    );
    assert!(status < 300, "{answer}");
    let file = |world: &Local, path: &str| {
        let bare =
            git2::Repository::open_bare(world.folder().join("forge/repositories/acme/catalog.git")).unwrap();
        let tree = bare.revparse_single("main").unwrap().peel_to_tree().unwrap();
        let blob = tree.get_path(Path::new(path)).unwrap().to_object(&bare).unwrap();
        String::from_utf8_lossy(blob.as_blob().unwrap().content()).into_owned()
    };
    let allowed = |world: &Local| {
        let schema: Value = serde_json::from_str(&file(world, request_schema::PATH)).unwrap();
        schema["definitions"]["tune-bucket"]["properties"]["entity"]["enum"].clone()
    };
    assert_eq!(allowed(&world), json!(["old"]));
    let mut number = 0;
    for (name, size) in [("small", 2), ("large", 9)] {
        number += 1;
        for deed in [
            format!("dan asks {name} create-bucket name={name} size={size}"),
            format!("bo approves catalog#{number}"),
            format!("dan merges catalog#{number}"),
            format!("ada merges infra#{number}"),
        ] {
            assert!(world.deed(&deed.parse().unwrap()), "{deed}");
            drop(reconcile(&mut world));
        }
    }
    assert!(view(&mut world).contains("run large success"), "{}", view(&mut world));
    // The condition of `tune-bucket` asks for a size below 4.
    let form = file(&world, ".github/ISSUE_TEMPLATE/tune-bucket.yml");
    assert!(form.contains("- \"small\"") && form.contains("- \"old\""), "{form}");
    assert_eq!(allowed(&world), json!(["old", "small"]));
    let form = file(&world, ".github/ISSUE_TEMPLATE/resize-bucket.yml");
    assert!(form.contains("- \"large\""), "{form}");

    // `label` is whoever asks, where it is not given.
    for deed in ["dan files tune-bucket of old size=6", "eve edits-issue 3 tune-bucket of old size=7"] {
        assert!(world.deed(&deed.parse().unwrap()), "{deed}");
    }
    drop(reconcile(&mut world));
    let comments = world.tries("dan", "GET", "/api/v3/repos/acme/catalog/issues/3/comments", &Value::Null).1;
    let words = comments[0]["body"].as_str().unwrap_or_default();
    assert!(words.contains("requesters-differ") && words.contains("`dan` and `eve` both ask"), "{comments}");
}

#[test]
fn the_schema_of_requests_follows_the_actions() {
    let folder = catalog(CATALOG);
    let at = folder.path().to_str().unwrap();
    let generate = |more: &[&str]| chandlery(&[&["generate", "request-schema", at], more].concat());
    assert_eq!(generate(&["--check"]).status.code(), Some(1));
    assert_eq!(printed(&generate(&[])), format!("changed: {}\n", request_schema::PATH));
    assert_eq!(printed(&generate(&["--check"])), "");
    let path = folder.path().join(request_schema::PATH);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), printed(&chandlery(&["schema", "--catalog", at])));
    let one = printed(&chandlery(&["schema", "deploy", "--catalog", at]));
    let one: Value = serde_json::from_str(&one).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&one["allOf"][0]).unwrap());
    std::fs::write(folder.path().join("actions/deploy.yaml"), ACTION.replace("maximum: 9", "maximum: 8"))
        .unwrap();
    assert_eq!(generate(&["--check"]).status.code(), Some(1));
    std::fs::write(&path, "{}\n").unwrap();
    assert_eq!(generate(&[]).status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n");
}

fn loaded() -> (Definitions, Files) {
    let files: Files =
        CATALOG.iter().map(|(path, text)| (path.parse().unwrap(), text.as_bytes().into())).collect();
    let root = Root::default();
    let settings = load_settings(&root, files.get(&root.settings_path())).unwrap();
    let (definitions, problems) = load_definitions(&root, settings, &files);
    assert!(problems.is_empty(), "{problems:#?}");
    (definitions, files)
}

fn found(
    definitions: &Definitions,
    files: &Files,
    wanted: &chandlery::domain::Search,
) -> Vec<Vec<chandlery::domain::Identifier>> {
    chandlery::catalog::search(definitions, files, wanted).unwrap()
}

/// Whether the request means something, as every door decides it.
fn is_accepted(
    definitions: &Definitions,
    files: &Files,
    entity: Option<&str>,
    inputs: &Map<String, Value>,
) -> bool {
    let action = &definitions.actions[&"deploy".parse().unwrap()].value;
    let file = RequestFile {
        action: action.identifier.clone(),
        entity: entity.map(|id| id.parse().unwrap()),
        inputs: inputs.clone(),
        reason: None,
        on_behalf_of: None,
    };
    let mut entity = |id: &chandlery::domain::EntityId| {
        let path: chandlery::domain::RepoPath = format!("entities/{id}.yaml").parse().unwrap();
        match files.get(&path).map(|bytes| read_entity(&path, bytes, definitions).unwrap()) {
            Some(entity) => Lookup::Found(entity.into()),
            None => Lookup::Absent { nearest: None },
        }
    };
    let mut search = |wanted| Searched::Found(found(definitions, files, &wanted).into());
    let secrets: &Secrets = &definitions.settings.secrets;
    let mut levels = |_: &chandlery::domain::EntityId| unreachable!("no expression speaks of scorecards");
    let (entity, search, levels) = (&mut entity, &mut search, &mut levels);
    let mut sources = Sources { user: None, entity, search, levels, secrets };
    let place = |_: &[_]| Place::file("made up");
    intake::accept(action, "made-up".parse().unwrap(), &file, &place, &mut sources).is_ok()
}

fn made_up() -> impl Strategy<Value = (Option<&'static str>, Map<String, Value>)> {
    let values = |values: Vec<Value>| prop::option::weighted(0.5, prop::sample::select(values));
    let text = || vec![json!("shop"), json!("x"), json!("Shop"), json!(5), json!(true), json!(["shop"])];
    let inputs = (
        prop::option::weighted(0.9, prop::sample::select(text())),
        values(vec![json!(1), json!(9), json!(2.5), json!(2.25), json!(0), json!(10), json!("1")]),
        values(vec![json!(true), json!("yes"), json!(0)]),
        values(vec![
            json!([]),
            json!(["red"]),
            json!(["red", "red"]),
            json!(["red", "green", "blue"]),
            json!(["pink"]),
            json!("red"),
        ]),
        values(vec![json!("eu"), json!("us"), json!("mars"), json!(["eu"])]),
        values(vec![json!(["eu", "us"]), json!([]), json!(["mars"]), json!("eu"), json!([5])]),
        values(vec![json!("test"), json!("live")]),
        prop::option::weighted(0.1, Just(json!("seen"))),
        values(vec![
            json!("env:DB"),
            json!("env:OTHER"),
            json!("swordfish"),
            json!("github-secret:X"),
            json!("github-secret:x"),
            json!(7),
        ]),
        values(vec![json!({}), json!({ "a": 1 }), json!({ "a": "1" }), json!({ "b": 1 }), json!([])]),
        prop::option::weighted(0.1, Just(json!("unknown"))),
    );
    let entity = prop::sample::select(vec![Some("shop"), Some("shop"), Some("vault"), Some("mars"), None]);
    (entity, inputs).prop_map(
        |(entity, (name, size, flag, tags, cluster, clusters, stage, hidden, password, options, label))| {
            let all = [
                ("name", name),
                ("size", size),
                ("flag", flag),
                ("tags", tags),
                ("cluster", cluster),
                ("clusters", clusters),
                ("stage", stage),
                ("hidden", hidden),
                ("password", password),
                ("options", options),
                ("label", label),
            ];
            (entity, all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// What the schema allows of what is known beforehand is what a request can mean, and nothing else. Null, which a
    /// request reads as nothing, is the editor's to complain of; `more` hangs on another answer and is left out.
    #[test]
    fn an_editor_allows_what_a_request_can_mean((entity, inputs) in made_up()) {
        thread_local! {
            static KNOWN: (Definitions, Files, jsonschema::Validator) = {
                let (definitions, files) = loaded();
                let listed = |listed: &issue_form::Listed| match &listed.search {
                    Some(search) => found(&definitions, &files, search).remove(0).into_iter().map(|id| (id, None)).collect(),
                    None => ["eu", "us"].map(|id| (id.parse().unwrap(), None)).into(),
                };
                let schema: Value = serde_json::from_str(&request_schema::generate(&definitions, &listed)).unwrap();
                let validator = jsonschema::validator_for(&schema).unwrap();
                (definitions, files, validator)
            };
        }
        KNOWN.with(|(definitions, files, validator)| {
            let mut request = json!({ "action": "deploy", "inputs": inputs });
            if let Some(entity) = entity {
                request["entity"] = entity.into();
            }
            let allowed = validator.is_valid(&request);
            let accepted = is_accepted(definitions, files, entity, &inputs);
            prop_assert_eq!(allowed, accepted, "{}", request);
            Ok(())
        })?;
    }
}
