//! What holds whatever the bytes? One function a reader, called by the fuzzer and, with what it once found, by `tests/it/fuzz.rs`.
//!
//! A new one is added here, to `TARGETS`, and as a file beside this with a folder of `corpus`.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

use chandlery::{
    catalog::{
        Definitions, Files, Root, check_all, load_definitions, load_settings, read_entity, report,
        store_entity, view::parse_query, yaml,
    },
    domain::{
        Branch, Bytes, Direction, DocumentPlace, EditTarget, FileMode, Identifier, Login, ObjectId, Operator,
        PropertySchema, Query, RUN_TRAILER, Remark, RepoName, RepoPath, RequestId, Timestamp, trailers,
    },
    expr::Expression,
    index::probe,
    intake::issue_form::{self, Reading},
    plan::{
        code_owners::{CodeOwners, Owner},
        command, diff as diffs,
        facts::File,
        log, message,
        plan_file::{FORMAT, Plan, read_plan, read_run},
        report as reports,
    },
    render,
};
use serde_json::{Map, Value, json};

/// Something that is fed bytes, and panics if it is wrong.
pub type Target = fn(&[u8]);

/// Each by its name.
pub const TARGETS: [(&str, Target); 14] = [
    ("loader", loader),
    ("query", query),
    ("guard", guard),
    ("bound", bound),
    ("owners", owners),
    ("comment", comment),
    ("form", form),
    ("diff", diff),
    ("base", base),
    ("plan", plan),
    ("run", run),
    ("trailer", trailer),
    ("edit", edit),
    ("names", names),
];

/// Files of a catalog: places lie inside the text, and what is read is what is written.
pub fn loader(bytes: &[u8]) {
    for path in [
        "entities/service/checkout.yaml",
        "blueprints/service.yaml",
        "scorecards/ready.yaml",
        "actions/checkout.yaml",
        "policies/checkout.yaml",
        "action-templates/checkout/template.yaml",
        "requests/checkout/request.yaml",
        "chandlery.yaml",
    ] {
        let usual =
            [("chandlery.yaml", "version: 1\n"), ("blueprints/service.yaml", "identifier: service\n")];
        let usual = usual.map(|(path, text)| (path.parse().unwrap(), Bytes::from(text.as_bytes())));
        let mut files: Files = usual.into_iter().collect();
        files.insert(path.parse().unwrap(), Bytes::from(bytes));
        let found = check_all(&Root(None), &files).diagnostics;
        for diagnostic in &found {
            let Some(span) = diagnostic.place.span else { continue };
            let text = &files[&diagnostic.place.source.parse().unwrap()];
            assert!(span.start <= span.end && span.end <= text.len(), "{diagnostic:?}");
            let before = String::from_utf8_lossy(&text[..span.start]);
            let breaks = before.chars().filter(|c| matches!(c, '\n' | '\r')).count();
            assert!((1..=breaks + 1).contains(&span.line) && span.column >= 1, "{diagnostic:?}");
            if let Ok(text) = std::str::from_utf8(text) {
                assert!(
                    text.is_char_boundary(span.start) && text.is_char_boundary(span.end),
                    "{diagnostic:?}"
                );
            }
        }
        let source = |path: &str| files.get(&path.parse().ok()?).cloned();
        assert!(!report::text(&found, &source).contains('\u{1b}'));
    }
    // What is read for the index, in a hurry, is what is read to be judged in words.
    let (path, root) = ("entities/service/checkout.yaml".parse().unwrap(), Root(None));
    let files: Files =
        [("blueprints/service.yaml".parse().unwrap(), Bytes::from(&b"identifier: service\n"[..]))].into();
    let settings = load_settings(&root, Some(&Bytes::from(&b"version: 1\n"[..]))).unwrap();
    let (definitions, _) = load_definitions(&root, settings, &files);
    let (stored, read) = (store_entity(&path, bytes, &definitions), read_entity(&path, bytes, &definitions));
    assert_eq!(stored.sound, read.is_ok());
    if let Ok(entity) = read {
        assert_eq!(stored.entity, Some(entity));
    }
    if let Ok(document) = yaml::parse("some.yaml", bytes) {
        let value = document.value();
        let written = serde_yaml::to_string(&value).expect("what was read can be written");
        let again = yaml::parse("some.yaml", written.as_bytes());
        let again = again.unwrap_or_else(|found| panic!("{found:?}\n{written}")).value();
        assert_eq!(again, value, "{written}");
    }
}

/// What is kept of a catalog: nothing is believed of a file that was changed, and nothing breaks where the checksums are right
/// and the rest is not. The first line is the head, the rest is the body.
pub fn base(bytes: &[u8]) {
    assert_eq!(probe::everything(bytes), None, "checksums are not come by by chance");
    let (head, body) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()));
    let mut file = probe::sealed(head, body);
    let Some(said) = probe::everything(&file) else { return };
    // One bit, somewhere.
    let at = bytes.iter().fold(0_usize, |at, byte| at.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let place = at % file.len();
    file[place] ^= 1 << (at % 8);
    let found = probe::everything(&file);
    assert!(found.is_none_or(|found| found == said), "changed at {place} and believed");
}

/// A diff of a plan: what it leads back to is no more than the file and what is shown, and a new file comes from nothing.
pub fn diff(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for entry in diffs::entries(&text) {
        let after = entry.after();
        for file in [&b""[..], b"a\nb\nc\n", after.as_deref().unwrap_or_default()] {
            let Some(before) = entry.before(file) else { continue };
            assert!(before.len() <= file.len() + entry.text.len(), "{entry:?}");
        }
        if let Some(after) = after.filter(|_| !entry.deletes())
            && let Some(before) = entry.before(&after)
        {
            assert!(before.is_empty(), "{entry:?}");
        }
    }
}

/// `plan.yaml`, which anybody may have written: what is read says the same when we write it, and has the same key.
pub fn plan(bytes: &[u8]) {
    let read = |bytes: &[u8]| {
        let (id, bytes) = (ObjectId::of_blob(bytes), Bytes::from(bytes));
        read_plan(&File { mode: FileMode::File, id, bytes })
    };
    let Ok(plan) = read(bytes) else { return };
    // What an older program wrote is written as it is by now.
    let plan = Arc::new(Plan { version: FORMAT, ..Plan::clone(&plan) });
    let text = serde_yaml::to_string(&*plan).expect("a plan is plain data");
    let again = read(text.as_bytes()).unwrap_or_else(|why| panic!("{why}: {text}"));
    assert_eq!(again, plan, "{text}");
    assert_eq!(again.key_of(true), plan.key_of(true), "{text}");
}

/// `run.yaml`, as well.
pub fn run(bytes: &[u8]) {
    let Ok(run) = read_run(bytes) else { return };
    let text = serde_yaml::to_string(&run).expect("a run is plain data");
    assert_eq!(read_run(text.as_bytes()).as_ref(), Ok(&run), "{text}");
}

/// Messages of commits: what speaks to us is a line of the last paragraph, and nothing does that people quote or that something
/// follows.
pub fn trailer(bytes: &[u8]) {
    let Ok(message) = std::str::from_utf8(bytes) else { return };
    let ours = |message: &str| trailers(message, RUN_TRAILER).len();
    for value in trailers(message, RUN_TRAILER) {
        assert!(!value.contains('\n'), "{message:?}");
        let line = message.trim_end().lines().rev().take_while(|line| !line.trim().is_empty());
        let mut said = line.filter_map(|line| Some(line.split_once(':')?.1.trim()));
        assert!(said.any(|said| said == value), "{value}: {message:?}");
    }
    let quoted: String = message.lines().map(|line| format!("> {line}\n")).collect();
    assert_eq!(ours(&format!("Quote\n\n{quoted}")), 0, "{message:?}");
    assert_eq!(ours(&format!("{message}\n\nThat is all.\n")), 0, "{message:?}");
    assert_eq!(
        ours(&format!("{}\n\n{RUN_TRAILER}: a\n", message.trim_end())),
        usize::from(!message.trim().is_empty())
    );
}

/// Files of targets in which a value is set: it is there afterwards, setting it again changes nothing, and what is not read
/// is not touched.
pub fn edit(bytes: &[u8]) {
    for name in ["a.yaml", "a.json", "a.toml", "a.tf"] {
        let path: RepoPath = name.parse().unwrap();
        for (at, value) in [("a", json!("x: #\n")), ("a.b[0]", json!(7)), ("b", json!([true, { "c": null }]))]
        {
            let target = EditTarget::At(DocumentPlace { document: 0, at: at.to_owned() });
            let Ok(after) = render::edit::set(&path, bytes, &target, &value) else { continue };
            let again = render::edit::set(&path, &after, &target, &value);
            assert_eq!(
                again.as_deref().ok(),
                Some(&*after),
                "{name} {at}: {}",
                String::from_utf8_lossy(&after)
            );
            if let Some(mut was) = json_of(bytes).filter(|_| name == "a.json") {
                *place(&mut was, at).expect("it was set") = value;
                assert_eq!(json_of(&after), Some(was), "{at}: {}", String::from_utf8_lossy(&after));
            }
        }
    }
}

fn json_of(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}

fn place<'a>(value: &'a mut Value, at: &str) -> Option<&'a mut Value> {
    match at {
        "a.b[0]" => value.get_mut("a")?.get_mut("b")?.get_mut(0),
        key => Some(&mut value[key]),
    }
}

/// Names that people and forges give: none climbs, none is an option, and each comes back as it was.
pub fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let is_tame = |text: &str| {
        !text.starts_with('-')
            && !text.chars().any(char::is_control)
            && text.split('/').all(|part| part != "..")
    };
    if let Ok(branch) = text.parse::<Branch>() {
        assert!(is_tame(text) && !text.starts_with("refs/") && branch.as_str() == text, "{text:?}");
    }
    if let Ok(request) = text.parse::<RequestId>() {
        assert!(is_tame(text) && format!("a/{text}").parse::<RepoPath>().is_ok(), "{text:?}");
        assert!(format!("chandlery/{}", request.slug()).parse::<Branch>().is_ok(), "{text:?}");
    }
    if let Ok(path) = text.parse::<RepoPath>() {
        let parts = |path: &Path| {
            path.components().filter(|part| matches!(part, std::path::Component::Normal(_))).count()
        };
        assert_eq!(parts(Path::new(path.as_str())), text.split('/').count(), "{text:?}");
        assert!(text.split('/').all(|part| !part.eq_ignore_ascii_case(".git")), "{text:?}");
    }
    if let Ok(identifier) = text.parse::<Identifier>() {
        let file = format!("{}.yaml", identifier.file_stem());
        assert!(file.len() > 1_000 || file.parse::<RepoPath>().is_ok(), "{text:?}: {file}");
        assert_eq!(Identifier::of_file(&file), Some(identifier), "{file}");
    }
    for name in [
        text.parse::<RepoName>().map(|name| name.to_string()),
        text.parse::<Login>().map(|name| name.to_string()),
    ] {
        assert!(name.is_err() || is_tame(text), "{text:?}");
    }
}

/// CODEOWNERS: what is read is said by a line of it, and whoever owns something stands there.
pub fn owners(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match CodeOwners::parse(bytes) {
        Err((line, _)) => assert!(line >= 1 && line <= text.lines().count().max(1), "{line}: {text}"),
        Ok(owners) => {
            for path in ["a", "docs/a.md", "src/deep/b.rs", ".github/CODEOWNERS"] {
                let Some(owned) = owners.of(path) else { continue };
                for owner in owned.owners {
                    let (Owner::Team(name) | Owner::Mail(name)) = owner else { continue };
                    assert!(text.contains(name.as_str()), "{name}: {text}");
                }
            }
        }
    }
}

/// What people and backends write in comments: a command is a line of a comment that nobody edited, a report is one that is
/// written as such, and what is quoted stays on its line.
pub fn comment(bytes: &[u8]) {
    let Ok(body) = std::str::from_utf8(bytes) else { return };
    let remark = |edited| Remark {
        id: 1,
        author: Some("ada".parse().unwrap()),
        body: body.to_owned(),
        at: Timestamp::from_seconds(1),
        edited,
    };
    assert!(command::commands(&[remark(true)]).is_empty(), "an edited comment says something: {body}");
    for command in command::commands(&[remark(false)]) {
        assert!(body.starts_with('/') && !command.rest.contains('\n'), "{body}");
    }
    let quoted = message::quoted(body);
    assert!(
        !quoted.contains('\n') && (quoted == "(empty)" || quoted.starts_with('`') && quoted.ends_with('`')),
        "{quoted}"
    );
    let (request, step) = ("a".parse().unwrap(), "step".parse().unwrap());
    let reported = |edited| reports::read(&remark(edited), &request, &step);
    assert_eq!(reported(true), None, "an edited comment reports something: {body}");
    if let Some(report) = reported(false) {
        let again = reports::write(&request, &step, &report);
        let again = Remark { body: again, ..remark(false) };
        assert_eq!(reports::read(&again, &request, &step), Some(report), "{body}");
    }
    let told = log::read(body.lines());
    for line in told.last.iter().chain(&told.progress).chain(told.links.keys()) {
        assert!(!line.chars().any(|c| c.is_control()), "{line:?}");
    }
}

/// Filled-in issue forms: nothing that is read has an input that the action does not ask for.
pub fn form(bytes: &[u8]) {
    static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(|| {
        let files = [
            ("chandlery.yaml", "version: 1\n"),
            ("blueprints/bucket.yaml", "identifier: bucket\n"),
            (
                "actions/ask.yaml",
                "identifier: ask\ntrigger:\n  operation: CREATE\n  blueprintIdentifier: bucket\n  userInputs:\n    properties:\n      name: { type: string }\n      size: { type: number }\n      tags: { type: array, items: { type: string } }\nentities:\n  - create: { blueprint: bucket, identifier: x }\n",
            ),
        ];
        let files: Files =
            files.iter().map(|(path, text)| (path.parse().unwrap(), Bytes::from(text.as_bytes()))).collect();
        let root = Root::default();
        let settings = load_settings(&root, files.get(&root.settings_path())).unwrap();
        load_definitions(&root, settings, &files).0
    });
    let Ok(body) = std::str::from_utf8(bytes) else { return };
    // As the form is now, whatever hash the issue names.
    let hash = issue_form::hash(&DEFINITIONS.actions[&"ask".parse().unwrap()].value);
    for body in [body.to_owned(), format!("### Action\n\nask (form {hash})\n\n{body}")] {
        if let Reading::Read(file) = issue_form::parse(&body, 7, &DEFINITIONS) {
            let known = ["name", "size", "tags"];
            assert!(file.inputs.keys().all(|name| known.contains(&name.as_str())), "{file:?}");
        }
    }
}

/// Queries: one that is accepted means the same when it is written out.
pub fn query(bytes: &[u8]) {
    let Ok(value) = serde_yaml::from_slice::<Value>(bytes) else { return };
    let Ok(query) = parse_query(&value) else { return };
    let written = to_value(&query);
    let again = parse_query(&written).unwrap_or_else(|problems| panic!("{problems:?}: {written}"));
    assert_eq!(again, query, "{written}");
}

fn asked(schema: &PropertySchema) -> Value {
    let said = [
        ("type", schema.kind.map(|kind| kind.name().into())),
        ("format", schema.format.map(|format| format.name().into())),
        ("items", schema.items.as_deref().map(asked)),
    ];
    said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect::<Map<_, _>>().into()
}

fn to_value(query: &Query) -> Value {
    let name = |wanted: &Operator| Operator::NAMES.iter().find(|(_, is)| is == wanted).unwrap().0;
    let mut value = match query {
        Query::All(rules) => {
            json!({ "combinator": "and", "rules": rules.iter().map(to_value).collect::<Vec<_>>() })
        }
        Query::Any(rules) => {
            json!({ "combinator": "or", "conditions": rules.iter().map(to_value).collect::<Vec<_>>() })
        }
        Query::Compare { property, operator, value } => {
            json!({ "property": property, "operator": name(operator), "value": value })
        }
        Query::RelatedTo { blueprint, identifiers, direction, required } => json!({
            "operator": "relatedTo", "blueprint": blueprint.as_str(), "value": identifiers, "required": required,
            "direction": direction.map(|way| if way == Direction::Upstream { "upstream" } else { "downstream" }),
        }),
        Query::Along { path, from, identifiers } => {
            let path: Vec<Value> =
                path.iter().map(|hop| json!({ "relation": hop.relation, "maxHops": hop.most })).collect();
            let mut way = json!({ "path": path });
            if let Some(from) = from {
                way["fromBlueprint"] = from.as_str().into();
            }
            json!({ "operator": "matchAny", "property": way, "value": identifiers })
        }
        Query::AnyOfType { schema, operator, value } => {
            json!({ "propertySchema": asked(schema), "operator": name(operator), "value": value })
        }
    };
    // What is not said is not null.
    if let Some(entries) = value.as_object_mut() {
        entries.retain(|key, value| key == "value" || !value.is_null());
    }
    value
}

/// Expressions as they are typed: whatever passes makes no more than is said, counted in answers and bytes.
pub fn guard(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        keeps_its_bound(text);
    }
}

/// Expressions made up from what may be used, so that most of them pass.
pub fn bound(bytes: &[u8]) {
    keeps_its_bound(&program(&mut bytes.iter().copied(), 0));
}

fn keeps_its_bound(text: &str) {
    /// What is bounded and yet too much to be counted in a test.
    const COUNTED: f64 = 1e8;
    let inputs = [
        json!({ "a": [1, 22, { "b": "x" }], "b": "aab, \"c\"", "c": { "a": null } }),
        json!([["a", "bb"], [], [3, [4.5]], "b"]),
        json!("a,b\u{1}\u{7f}é"),
    ];
    let Ok(expression) = Expression::parse(text) else { return };
    let bound = expression.bound().expect("what stands in a file is bounded");
    for input in &inputs {
        let size = size(input);
        if bound.bytes(size) > COUNTED {
            continue;
        }
        if let Ok(answers) = expression.all(input) {
            #[expect(clippy::cast_precision_loss, reason = "they are few")]
            let (count, bytes) = (answers.len() as f64, answers.iter().map(self::size).sum::<usize>() as f64);
            assert!(count <= bound.answers(size), "{text} of {input}: {count} answers, {bound:?}");
            assert!(bytes <= bound.bytes(size), "{text} of {input}: {bytes} bytes, {bound:?}");
        }
    }
}

fn size(value: &Value) -> usize {
    value.to_string().len() + 1
}

/// A program, as the bytes choose.
fn program(bytes: &mut dyn Iterator<Item = u8>, depth: usize) -> String {
    const LEAVES: [&str; 56] = [
        ".",
        ".[]",
        ".a",
        ".b",
        ".c",
        ".[0]",
        ".a?",
        ".[]?",
        "1",
        "\"a\"",
        "\"\"",
        "\", \"",
        "null",
        "true",
        "empty",
        "[]",
        "{}",
        "length",
        "keys",
        "add",
        "sort",
        "unique",
        "reverse",
        "first",
        "last",
        "flatten",
        "transpose",
        "to_entries",
        "from_entries",
        "tojson",
        "tostring",
        "tonumber",
        "fromjson",
        "explode",
        "implode",
        "paths",
        "ascii_upcase",
        "min",
        "max",
        "floor",
        "not",
        "type",
        "values",
        "strings",
        "arrays",
        "@base64",
        "@base64d",
        "@uri",
        "@html",
        "@sh",
        "@csv",
        "@json",
        "toarray",
        "trim",
        ".[1:]",
        "{a, b}",
    ];
    const ONE: [&str; 26] = [
        "map",
        "select",
        "map_values",
        "with_entries",
        "group_by",
        "sort_by",
        "min_by",
        "unique_by",
        "any",
        "all",
        "first",
        "last",
        "del",
        "path",
        "pick",
        "paths",
        "split",
        "join",
        "has",
        "indices",
        "contains",
        "ltrimstr",
        "test",
        "scan",
        "capture",
        "getpath",
    ];
    const TWO: [&str; 8] = ["sub", "gsub", "limit", "setpath", "splits", "pow", "any", "nth"];
    const BETWEEN: [&str; 16] = [
        " | ", " | ", " | ", " | ", ", ", " + ", " + ", " - ", " / ", " // ", " and ", " == ", " |= ",
        " += ", " = ", " * 3 + ",
    ];
    let Some(choice) = bytes.next() else { return ".".into() };
    let pick = usize::from(choice >> 3);
    if depth > 5 {
        return LEAVES[usize::from(choice) % LEAVES.len()].into();
    }
    let one = |bytes: &mut dyn Iterator<Item = u8>| program(bytes, depth + 1);
    match choice % 8 {
        0 => LEAVES[pick].into(),
        1 => LEAVES[(pick + 28) % LEAVES.len()].into(),
        2 | 3 => format!("({}{}{})", one(bytes), BETWEEN[pick % BETWEEN.len()], one(bytes)),
        4 => format!("{}({})", ONE[pick % ONE.len()], one(bytes)),
        5 => format!("{}({}; {})", TWO[pick % TWO.len()], one(bytes), one(bytes)),
        6 => match pick % 4 {
            0 => format!("[{}]", one(bytes)),
            1 => format!("{{a: {}, (\"b\"): {}}}", one(bytes), one(bytes)),
            2 => format!("\"x\\({})y\"", one(bytes)),
            _ => format!("@uri \"\\({})\"", one(bytes)),
        },
        _ => match pick % 4 {
            0 => format!("({} as $x | {} | [$x, .])", one(bytes), one(bytes)),
            1 => format!("(if {} then {} else {} end)", one(bytes), one(bytes), one(bytes)),
            2 => format!("(try {} catch {})", one(bytes), one(bytes)),
            _ => format!("({} as [$x, $y] | {} | [$x, $y, .])", one(bytes), one(bytes)),
        },
    }
}
