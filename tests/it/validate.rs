//! Does `validate` tell people what is wrong, where, and what to do?
//!
//! Each file in `validate/` is a story: one line of what it shows, the files of a catalog that
//! differ from the usual ones below, and what is printed. `UPDATE_STORIES=1` writes the last part.

use std::{collections::BTreeSet, path::Path, process::Command};

use chandlery::{
    catalog::{Files, Root, apply_fixes, check_all, report, schemas},
    domain::Bytes,
};
use proptest::prelude::*;

const USUAL: &[(&str, &str)] = &[
    ("chandlery.yaml", "version: 1\nrepositories: [acme/services]\n"),
    (
        "blueprints/service.yaml",
        r#"
identifier: service
title: Service
schema:
  properties:
    tier: { type: string, enum: [gold, silver, bronze] }
    replicas: { type: number, minimum: 1, maximum: 50, default: 2 }
    public: { type: boolean }
    accounts: { type: string }
    cost: { type: number }
    url: { type: string, format: url }
    contact: { type: string, format: email }
    until: { type: string, format: timer }
    owner: { type: string, format: user }
    addresses: { type: array, items: { type: string, format: ipv4 }, uniqueItems: true, maxItems: 3 }
    code: { type: string, pattern: "^[a-z]+$", maxLength: 5 }
    notes: { type: string, format: markdown }
  required: [tier, replicas]
relations:
  system: { target: system }
  uses: { target: service, many: true }
"#,
    ),
    ("blueprints/system.yaml", "identifier: system\n"),
    ("entities/system/shop.yaml", "identifier: shop\nblueprint: system\n"),
    (
        "entities/_team/payments.yaml",
        "identifier: payments\nblueprint: _team\nrelations: { members: [Ada] }\n",
    ),
    ("entities/_team/platform.yaml", "identifier: platform\nblueprint: _team\n"),
    ("entities/_user/ada.yaml", "identifier: ada\nblueprint: _user\n"),
    ("action-templates/scaffold/files/{{ inputs.name }}/x", "x\n"),
];

fn catalog(story: &str) -> Files {
    let mut files: Files = USUAL
        .iter()
        .map(|(path, text)| (path.parse().unwrap(), Bytes::from(text.trim_start().as_bytes())))
        .collect();
    for part in story.split("\n--- ").skip(1) {
        let (path, text) = part.split_once('\n').unwrap();
        let text = text.strip_suffix('\n').unwrap_or(text);
        files.insert(path.parse().unwrap(), Bytes::from(format!("{text}\n").into_bytes()));
        if text.trim() == "!absent" {
            files.remove(&path.parse().unwrap());
        }
    }
    files
}

#[test]
fn every_mistake_is_told_with_its_place_and_its_cure() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/validate");
    let mut changed = Vec::new();
    let mut stories: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    stories.sort();
    for path in stories {
        let story = std::fs::read_to_string(&path).unwrap();
        let (given, expected) = story.split_once("\n=== prints\n").unwrap_or((&story, ""));
        let files = catalog(given);
        let found = check_all(&Root(None), &files);
        let printed = report::text(&found.diagnostics, &|path| files.get(&path.parse().ok()?).cloned());
        let printed = format!("{printed}{}\n", report::summary(&found.diagnostics, &found.counts));
        if printed == expected {
            continue;
        }
        if std::env::var_os("UPDATE_STORIES").is_some() {
            std::fs::write(&path, format!("{}\n=== prints\n{printed}", given.trim_end())).unwrap();
        } else {
            let difference = similar::TextDiff::from_lines(expected, &printed).unified_diff().to_string();
            changed.push(format!("{}:\n{difference}", path.display()));
        }
    }
    assert!(changed.is_empty(), "{}\nUPDATE_STORIES=1 accepts this", changed.join("\n"));
}

#[test]
fn the_committed_schemas_are_those_of_the_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let made: Vec<_> =
        schemas().into_iter().map(|(name, schema)| (folder.join(format!("{name}.json")), schema)).collect();
    for (path, schema) in &made {
        let text = format!("{}\n", serde_json::to_string_pretty(schema).unwrap());
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(path, &text).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(path).unwrap_or_default(),
            text,
            "UPDATE_SCHEMAS=1 writes {}",
            path.display()
        );
    }
    let kept = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(kept.collect::<BTreeSet<_>>(), made.into_iter().map(|(path, _)| path).collect());
}

#[test]
fn every_code_has_a_section_and_every_section_a_code() {
    fn sources(folder: &Path, texts: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, texts);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                texts.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = String::new();
    sources(&top.join("src"), &mut texts);
    let code = r#"(?:Diagnostic::(?:error|warning)|Wrong::new|refuse)\(\s*"([a-z0-9-]+)"|\bcode: "([a-z0-9-]+)"|\(\s*"(unknown-[a-z-]+)",\s*format!|one\(\s*"([a-z-]+)"|, "(unknown-[a-z]+)", reader\)|(?:refuse|refusal|problem|diagnostic)\(\s*(?:asked,\s*)?"([a-z-]+)""#;
    let codes: BTreeSet<String> = regex::Regex::new(code)
        .unwrap()
        .captures_iter(&texts)
        .filter_map(|found| found.iter().skip(1).flatten().next().map(|code| code.as_str().to_owned()))
        .collect();
    let docs = std::fs::read_to_string(top.join("docs/diagnostics.md")).unwrap();
    let sections: BTreeSet<String> = docs
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
        .map(str::to_owned)
        .collect();
    let parts = docs.split("\n### ").skip(1);
    for part in parts {
        assert!(["*What to do:* ", "*Example:* "].iter().all(|what| part.contains(what)), "{part}");
    }
    let missing: Vec<_> = codes.difference(&sections).collect();
    let stale: Vec<_> = sections.difference(&codes).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "without a section: {missing:?}; without a use: {stale:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_the_bytes_places_lie_inside_the_text(
        lines in proptest::collection::vec(
            prop_oneof![
                Just("identifier: checkout\n".to_owned()),
                Just("blueprint: service\n".to_owned()),
                Just("properties: { tier: gold, replicas: 99 }\n".to_owned()),
                Just("properties:\n  - tier\n  ".to_owned()),
                Just("relations:\n  system: größe 🧀\n".to_owned()),
                Just("\r\n\t\u{85}\u{2028}".to_owned()),
                Just("? [a, b]\n: |\n  text\n".to_owned()),
                "[a-z:{}\\[\\]&*!|>'\"#%@,?\\- \n🧀ß]{0,20}",
            ],
            0..8,
        ),
        tail in proptest::collection::vec(any::<u8>(), 0..4),
    ) {
        let bytes = [lines.concat().into_bytes(), tail].concat();
        for path in ["entities/service/checkout.yaml", "blueprints/service.yaml", "chandlery.yaml", "actions/checkout.yaml"] {
            let mut files = catalog("");
            files.insert(path.parse().unwrap(), Bytes::from(bytes.clone()));
            let found = check_all(&Root(None), &files);
            for diagnostic in &found.diagnostics {
                let Some(span) = diagnostic.place.span else { continue };
                let text = &files[&diagnostic.place.source.parse().unwrap()];
                prop_assert!(span.start <= span.end && span.end <= text.len(), "{diagnostic:?}");
                let lines = text.split(|byte| b"\n\r".contains(byte)).rev().skip_while(|line| line.is_empty()).count();
                prop_assert!(span.line <= lines.max(1), "{diagnostic:?} in a text of {lines} lines");
                if let Ok(text) = std::str::from_utf8(text) {
                    prop_assert!(text.is_char_boundary(span.start) && text.is_char_boundary(span.end), "{diagnostic:?}");
                }
            }
            let printed = report::text(&found.diagnostics, &|path| files.get(&path.parse().ok()?).cloned());
            let escapes = printed.contains(char::from(27));
            prop_assert!(!escapes);
        }
    }
}

/// A folder with the usual files and these, as a Git repository with one commit.
fn repository(story: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in catalog(story) {
        let path = folder.path().join("catalog").join(path.as_str());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    for arguments in [
        &["init", "-q"][..],
        &["add", "."],
        &["-c", "user.name=ada", "-c", "user.email=ada@acme.example", "commit", "-qm", "the catalog"],
    ] {
        assert!(Command::new("git").args(arguments).current_dir(&folder).status().unwrap().success());
    }
    folder
}

fn validate(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let program = env!("CARGO_BIN_EXE_chandlery");
    let output = Command::new(program).arg("validate").args(arguments).current_dir(folder).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_commit_is_checked_as_it_is_whatever_lies_on_disk() {
    let folder = repository("\n--- entities/system/cart.yaml\nidentifier: crt\nblueprint: system\n");
    let file = folder.path().join("catalog/entities/system/cart.yaml");
    let (code, printed) = validate(folder.path(), &["catalog", "--format", "github"]);
    assert_eq!(code, 1);
    let expected = "::error file=catalog/entities/system/cart.yaml,line=1,col=13,title=wrong-file-name::`identifier` is \
                    `crt`, and the file is called `cart.yaml`%0Acall the file `crt.yaml`, or change the identifier";
    assert_eq!(printed.lines().next(), Some(expected));

    std::fs::write(&file, "identifier: cart\nblueprint: system\n").unwrap();
    assert_eq!(validate(folder.path(), &["catalog"]).0, 0);
    assert_eq!(validate(folder.path(), &["--root", "catalog"]).0, 0);
    let (code, printed) = validate(folder.path(), &["catalog", "--at", "HEAD", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, &report["diagnostics"][0]["code"]), (1, &"wrong-file-name".into()));
    assert_eq!(report["counts"]["entities"], 5);
    assert_eq!(validate(folder.path(), &["--root", "catalog", "--at", "HEAD"]).0, 1);

    assert_eq!(validate(folder.path(), &["nowhere"]).0, 3);
    assert_eq!(validate(folder.path(), &["catalog", "--at", "nothing"]).0, 2);
    assert_eq!(validate(folder.path(), &["--format", "xml"]).0, 2);
}

/// What is wrong, in words that do not change with the place.
fn told(files: &Files) -> Vec<(chandlery::domain::Diagnostic, String)> {
    let line = regex::Regex::new("line [0-9]+").unwrap();
    let told = |found: chandlery::domain::Diagnostic| {
        let words = format!("{} {} {}", found.place.source, found.code, found.message);
        (found, line.replace_all(&words, "a line").into_owned())
    };
    check_all(&Root(None), files).diagnostics.into_iter().map(told).collect()
}

#[test]
fn a_fix_ends_its_diagnostic_and_touches_nothing_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/validate");
    let (mut fixed, mut kinds) = (0, BTreeSet::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let story = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let files = catalog(story.split("\n=== prints\n").next().unwrap());
        let before = told(&files);
        for (index, (found, words)) in before.iter().enumerate() {
            let Some(fix) = &found.fix else { continue };
            let path = found.place.source.parse().unwrap();
            let mut mended = apply_fixes(&files, std::slice::from_ref(found));
            let bytes = mended.pop().unwrap().bytes;
            let old = &files[&path];
            let (mut old_at, mut new_at) = (0, 0);
            for edit in &fix.edits {
                let kept = edit.span.start - old_at;
                assert_eq!(old[old_at..edit.span.start], bytes[new_at..new_at + kept], "{words}");
                (old_at, new_at) = (edit.span.end, new_at + kept + edit.text.len());
            }
            assert_eq!(old[old_at..], bytes[new_at..], "{words}");
            let mut files = files.clone();
            files.insert(path, bytes);
            let mut expected: Vec<&String> = before.iter().map(|(_, words)| words).collect();
            expected.remove(index);
            let after = told(&files);
            let after: Vec<&String> = after.iter().map(|(_, words)| words).collect();
            for words in &expected {
                assert!(after.contains(words), "{} hides {words}", fix.title);
            }
            assert!(!after.contains(&words), "{} leaves {words}", fix.title);
            // What rests on a definition is judged once it is mended; on an entity's own text nothing rests.
            if found.place.source.starts_with("entities/") {
                let more: Vec<_> = after.iter().filter(|words| !expected.contains(words)).collect();
                assert!(more.is_empty(), "{words}: {} brings {more:?}", fix.title);
            }
            fixed += 1;
            kinds.insert(found.code.0);
        }
    }
    let all = ["invalid-default", "not-a-choice", "unknown-input", "unknown-key", "unknown-property"];
    let all = all.into_iter().chain([
        "unknown-relation",
        "wrong-type",
        "yaml-duplicate-key",
        "yaml-encoding",
        "yaml-tab",
    ]);
    assert_eq!(kinds, all.collect(), "{fixed} fixes");
}

#[test]
fn what_can_be_mended_is_mended_in_the_work_tree() {
    let folder = repository(
        "\n--- entities/service/checkout.yaml\nidentifier: checkout\nblueprint: service\n\
         properties:\n\ttier: golld # why\n\treplicas: \"3\"\n\turll: nowhere\n",
    );
    let (code, printed) = validate(folder.path(), &["catalog", "--fix"]);
    let lines: Vec<&str> = printed.lines().filter(|line| line.starts_with("mended ")).collect();
    assert_eq!(
        lines,
        [
            "mended catalog/entities/service/checkout.yaml:4: indent with spaces instead of tabs (yaml-tab)",
            "mended catalog/entities/service/checkout.yaml:4: set `properties.tier` to `gold` (not-a-choice)",
            "mended catalog/entities/service/checkout.yaml:5: set `properties.replicas` to `3` (wrong-type)",
            "mended catalog/entities/service/checkout.yaml:6: call it `properties.url` (unknown-property)",
        ]
    );
    let text = std::fs::read_to_string(folder.path().join("catalog/entities/service/checkout.yaml")).unwrap();
    let mended = "properties:\n  tier: gold # why\n  replicas: 3\n  url: nowhere\n";
    assert_eq!(text.split_once("service\n").unwrap().1, mended);
    // What was hidden behind the misspelt key is told now.
    assert!(code == 1 && printed.contains("wrong-format"), "{printed}");
    assert_eq!(validate(folder.path(), &["catalog", "--fix", "--at", "HEAD"]).0, 2);
}

#[test]
fn programs_are_told_related_places_fixes_and_pages() {
    let folder = repository(
        "\n--- entities/service/checkout.yaml\nidentifier: checkout\nblueprint: service\n\
         properties: { tier: golld }\nrelations: { system: {",
    );
    let print = |format| validate(folder.path(), &["catalog", "--format", format]).1;
    assert!(print("github").starts_with("::error file=catalog/entities/service/checkout.yaml,line=4,col="));
    let path = folder.path().join("catalog/entities/service/checkout.yaml");
    std::fs::write(path, "identifier: checkout\nblueprint: service\nproperties: { tier: golld }\n").unwrap();
    let report: serde_json::Value = serde_json::from_str(&print("json")).unwrap();
    let found = &report["diagnostics"][0];
    assert_eq!(found["related"][0]["file"], "catalog/blueprints/service.yaml");
    assert_eq!(found["related"][0]["line"], 5);
    assert_eq!(found["fix"]["edits"][0]["text"], "gold");
    assert_eq!(found["page"], "docs/diagnostics.md#not-a-choice");
    let report: serde_json::Value = serde_json::from_str(&print("sarif")).unwrap();
    let result = &report["runs"][0]["results"][0];
    assert_eq!(result["relatedLocations"][0]["physicalLocation"]["region"]["startLine"], 5);
    assert_eq!(result["fixes"][0]["description"]["text"], "set `properties.tier` to `gold`");
    assert!(print("github").contains("%0Acatalog/blueprints/service.yaml:5: "));
}

/// What the judge of such files asks for and we do not give: what it says is true of every project, or costs more than it tells.
const NOT_GIVEN: [&str; 8] = [
    "SARIF2002", // messages by number and arguments
    "SARIF2003", // the commit, which whoever uploads says
    "SARIF2005", // an address of the tool: it has none of its own
    "SARIF2006", // the schema's address answers: it does not where tests have no network
    "SARIF2009", // rules named by numbers
    "SARIF2010", // the text at the place, which the reader has
    "SARIF2011", // and the text around it
    "SARIF2012", // rules with an address and a second name
];

/// The judge is the tool of those who keep the format; `Ghas` are the rules by which GitHub's code scanning takes a file.
#[test]
fn code_scanning_takes_what_was_found() {
    let folder = repository(
        "\n--- entities/service/checkout.yaml\nidentifier: checkout\nblueprint: service\n\
         properties: { tier: golld }\n\
         --- entities/elsewhere/ünd #1.yaml\nidentifier: x\nblueprint: service\n",
    );
    let suites = std::env::var("CHANDLERY_SUITES").expect("CHANDLERY_SUITES names the suites: `make tools`");
    let system = if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS };
    let judge = format!("{suites}/node_modules/@microsoft/sarif-multitool-{system}/Sarif.Multitool");
    let judged = |report: &str| {
        std::fs::write(folder.path().join("report.sarif"), report).unwrap();
        let output = Command::new(&judge)
            .args(["validate", "report.sarif", "--rule-kind", "Sarif;Ghas", "--level", "Error;Warning;Note"])
            .args(["--output", "judged.json", "--log", "ForceOverwrite"])
            .env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1")
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = std::fs::read_to_string(folder.path().join("judged.json")).unwrap();
        let judged: serde_json::Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap();
        let results = judged["runs"][0]["results"].as_array().unwrap().iter();
        let given = |result: &&serde_json::Value| !NOT_GIVEN.contains(&result["ruleId"].as_str().unwrap());
        results.filter(given).map(ToString::to_string).collect::<Vec<_>>()
    };
    let report = validate(folder.path(), &["catalog", "--format", "sarif"]).1;
    assert!(["not-a-choice", "wrong-folder"].iter().all(|code| report.contains(code)), "{report}");
    assert_eq!(judged(&report), [""; 0], "{report}");
    // It does judge.
    let mut report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let run = &mut report["runs"][0];
    run["tool"]["driver"]["rules"][0].as_object_mut().unwrap().remove("shortDescription");
    run["results"][0]["nonsense"] = true.into();
    let found = judged(&report.to_string()).join("\n");
    assert!(found.contains("GH2012") && found.contains("nonsense"), "{found}");
}

const DERIVES: &str = r#"
--- blueprints/system.yaml
identifier: system
schema: { properties: { members: { type: array, items: { type: string } }, cost: { type: string } } }
calculationProperties:
  budget: { type: number, calculation: ".properties.cost | tonumber" }
  doubled: { type: number, calculation: "(.properties.budget | tonumber) * 2" }
  crowd: { type: number, calculation: "[.properties.members[] as $a | .properties.members[] as $b | .properties.members[] | [$a, $b, .]] | length" }
--- entities/system/shop.yaml
identifier: shop
blueprint: system
properties: { cost: cheap, members: [ada, bo] }
"#;

#[test]
fn a_calculation_that_asks_for_what_no_entity_has_is_told() {
    let folder = repository(
        r#"
--- blueprints/system.yaml
identifier: system
schema: { properties: { cost: { type: number } } }
relations: { owner: { target: _team } }
mirrorProperties: { ownerTitle: { path: owner.$title } }
calculationProperties:
  sound: { type: string, calculation: ".title + .identifier + .properties.ownerTitle + .createdAt + .relations.owner" }
  typo: { type: number, calculation: ".properties.cots // 0" }
  nobody: { type: string, calculation: '"by \(.relations.woner)"' }
  field: { type: string, calculation: ".titel // .id" }
  inner: { type: array, calculation: "[.properties | to_entries[] | .properties.key]" }
  number: { type: string, calculation: "1" }
--- entities/system/shop.yaml
identifier: shop
blueprint: system
"#,
    );
    let (code, printed) = validate(folder.path(), &["catalog"]);
    assert_eq!(code, 0, "{printed}");
    for words in [
        "warning[unknown-property]: `typo` of `system` asks for `.properties.cots`, which no entity has\n --> catalog/blueprints/system.yaml:7:38\n",
        "help: did you mean `cost`?",
        "`nobody` of `system` asks for `.relations.woner`, which no entity has",
        "help: did you mean `owner`?",
        "`field` of `system` asks for `.titel`, which no entity has",
        "`field` of `system` asks for `.id`, which no entity has",
        "`number` of `system` has no value for 1 of 1 entities: it should be a string, and is 1, in `system/shop`",
        "help: give it the `type` that it makes, or make another with `tostring` or `tonumber`",
    ] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
    assert_eq!(printed.matches("which no entity has").count(), 4, "{printed}");
}

#[test]
fn what_is_derived_is_tried_over_all_entities_before_it_is_merged() {
    let crowd = format!("  - {}\n", ["someone"; 2_000].join("\n  - "));
    let large = format!(
        "{DERIVES}--- entities/system/mall.yaml\nidentifier: mall\nblueprint: system\nproperties:\n  cost: '3'\n  members:\n{crowd}"
    );
    let folder = repository(DERIVES);
    let (code, printed) = validate(folder.path(), &["catalog"]);
    assert_eq!(code, 0, "{printed}");
    for words in [
        "warning[expression-fails]: `budget` of `system` has no value for 1 of 1 entities: jq says: \"cannot parse",
        "in `system/shop`\n --> catalog/blueprints/system.yaml:4:40\n",
        ": no problems, 1 warning\n",
    ] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
    // What rests on it has no value, either, and is not told beside it.
    assert!(!printed.contains("`doubled`"), "{printed}");
    let get = Command::new(env!("CARGO_BIN_EXE_chandlery"))
        .args(["get", "shop", "--catalog", "catalog"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8(get.stdout).unwrap();
    assert!(
        told.contains("doubled: '`budget`, which it needs, has no value: jq says: \"cannot parse"),
        "{told}"
    );

    let folder = repository(&large);
    let (code, printed) = validate(folder.path(), &["catalog"]);
    assert_eq!(code, 1, "{printed}");
    for words in [
        "error[expression-too-costly]: `crowd` of `system` does not come to its end over all entities: it ",
        "--> catalog/blueprints/system.yaml:6:39\n",
        "`budget` of `system` has no value for 1 of 2 entities",
        ": 1 problem, 1 warning\n",
    ] {
        assert!(printed.contains(words), "{words}: {printed}");
    }

    // What the default branch has already was tried when it came.
    let (code, printed) = validate(folder.path(), &["catalog", "--since", "HEAD"]);
    assert_eq!((code, printed.contains("expression-")), (0, false), "{printed}");
    let blueprint = folder.path().join("catalog/blueprints/system.yaml");
    let text = std::fs::read_to_string(&blueprint).unwrap();
    std::fs::write(&blueprint, text.replace("| tonumber\"", "| tonumber + 1\"")).unwrap();
    let commit = ["-c", "user.name=ada", "-c", "user.email=ada@acme.example", "commit", "-qam", "one more"];
    assert!(Command::new("git").args(commit).current_dir(&folder).status().unwrap().success());
    let (code, printed) = validate(folder.path(), &["catalog", "--since", "HEAD~1"]);
    assert_eq!(code, 0, "{printed}");
    assert!(
        printed.contains("`budget` of `system` has no value for 1 of 2 entities")
            && !printed.contains("doubled"),
        "{printed}"
    );
}
