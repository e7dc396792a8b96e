use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::catalog::{Defined, Definitions, Folders, Mode, Root, Settings};
use crate::domain::{
    Action, Approval, Askers, Execute, Format, MergeMode, ObjectId, Operation, People, Property,
    PropertyType, RequestFile,
};

fn property(kind: PropertyType) -> Property {
    Property {
        kind,
        format: None,
        spec: None,
        title: None,
        description: None,
        default: None,
        choices: Vec::new(),
        blueprint: None,
        items: None,
        keywords: serde_json::Map::new(),
    }
}

fn action() -> Action {
    let string = || property(PropertyType::String);
    let list = |items| Property { items: Some(Box::new(items)), ..property(PropertyType::Array) };
    let service =
        || Property { format: Some(Format::Entity), blueprint: Some("service".parse().unwrap()), ..string() };
    let tiers = vec![json!("gold"), json!("no"), json!(3)];
    let inputs = [
        (
            "name",
            Property {
                title: Some("Name".into()),
                description: Some("What: \"it\" is\ncalled".into()),
                ..string()
            },
        ),
        ("note", Property { format: Some(Format::MultiLine), default: Some(json!("yes")), ..string() }),
        ("count", Property { title: Some("How many?".into()), ..property(PropertyType::Number) }),
        ("public", Property { default: Some(json!(false)), ..property(PropertyType::Boolean) }),
        ("tier", Property { choices: tiers.clone(), ..string() }),
        ("tiers", list(Property { choices: tiers, ..string() })),
        ("service", service()),
        ("services", list(service())),
        ("hosts", list(string())),
        ("more", Property { title: Some("Password".into()), ..property(PropertyType::Object) }),
        ("manifest", Property { title: Some("Reason".into()), format: Some(Format::Yaml), ..string() }),
    ];
    Action {
        identifier: "create-bucket".parse().unwrap(),
        title: "Create: a \"bucket\"".into(),
        description: None,
        operation: Operation::Day2,
        blueprint: "bucket".parse().unwrap(),
        inputs: inputs.into_iter().map(|(name, property)| (name.to_owned(), property)).collect(),
        required: vec!["name".into()],
        form: Default::default(),
        execute: Execute::Writers,
        approval: Approval::NotNeeded,
        merge: MergeMode::Manual,
        steps: Vec::new(),
        atomic: false,
        entities: Vec::new(),
        ttl: None,
    }
}

fn definitions(action: Action) -> Definitions {
    let folder = |name: &str| name.parse().unwrap();
    let settings = Settings {
        version: 1,
        repository: None,
        mode: Mode::On,
        commits: Default::default(),
        state: Default::default(),
        folders: Folders {
            blueprints: folder("blueprints"),
            entities: folder("entities"),
            actions: folder("actions"),
            templates: folder("templates"),
            requests: folder("requests"),
            scorecards: folder("scorecards"),
            policies: folder("policies"),
        },
        repositories: [].into(),
        labels: true,
        notifications: Vec::new(),
        webhooks: Default::default(),
        scripts_as: None,
        retry_for: 0,
        contact: None,
        expire_after: None,
        replay: 0,
        break_glass: None,
        secrets: Default::default(),
        entities: Default::default(),
    };
    let mut definitions = Definitions::new(Root(None), settings);
    let blob = ObjectId::of_blob(b"");
    definitions.actions.insert(action.identifier.clone(), Defined { blob, value: action });
    definitions
}

fn form(definitions: &Definitions) -> Value {
    let entities = |_: &_| ["checkout", "search"].map(|name| (name.parse().unwrap(), None)).to_vec();
    let files = generate(definitions, &entities);
    let text = &files[&".github/ISSUE_TEMPLATE/create-bucket.yml".parse().unwrap()];
    assert!(text.starts_with(HEADER));
    serde_yaml::from_str(text).unwrap()
}

/// What GitHub makes of a filled-in form, by input id.
fn fill(form: &Value, answers: &[(&str, &str)]) -> String {
    let fields = form["body"].as_array().unwrap().iter().map(|element| {
        let attributes = &element["attributes"];
        let given = answers.iter().find(|(id, _)| element["id"] == **id).map(|(_, text)| (*text).to_owned());
        let text = match (given, attributes["options"].as_array(), attributes["default"].as_u64()) {
            (Some(text), _, _) => text,
            (None, Some(options), Some(index)) => {
                options[usize::try_from(index).unwrap()].as_str().unwrap().to_owned()
            }
            (None, _, _) => String::new(),
        };
        let text = match (attributes["render"].as_str(), text.trim().is_empty()) {
            (_, true) => "_No response_".to_owned(),
            (Some(language), false) => format!("```{language}\n{text}\n```"),
            (None, false) => text,
        };
        format!("### {}\n\n{text}", attributes["label"].as_str().unwrap())
    });
    fields.collect::<Vec<_>>().join("\n\n")
}

fn codes(reading: &Reading) -> Vec<String> {
    match reading {
        Reading::Wrong(problems) => problems
            .iter()
            .map(|problem| format!("{}: {}", problem.place.field.clone().unwrap(), problem.message))
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_filled_in_form_gives_the_inputs_with_their_types() {
    let definitions = definitions(action());
    let body = fill(
        &form(&definitions),
        &[
            ("entity", "invoices"),
            ("name", "pay"),
            ("note", "two\n\nlines"),
            ("count", "3"),
            ("public", "Yes"),
            ("tier", "3"),
            ("tiers", "gold, no"),
            ("service", "checkout"),
            ("services", "checkout, search"),
            ("hosts", "a.test\nb, c"),
            ("more", "a: [1, yes]"),
            ("manifest", "  - x\n  - y"),
        ],
    );
    let same = [("entity", "invoices"), ("name", "pay"), ("public", "Yes"), ("more", "a: 1"), ("note", "x")];
    let inputs = same.map(|(name, answer)| (name.to_owned(), answer.to_owned())).into();
    assert_eq!(super::fill(&action(), &inputs), fill(&form(&definitions), &same));
    let Reading::Read(file) = parse(&body.replace('\n', "\r\n"), 7, &definitions) else { panic!() };
    let expected = json!({
        "name": "pay", "note": "two\n\nlines", "count": 3, "public": true, "tier": 3, "tiers": ["gold", "no"],
        "service": "checkout", "services": ["checkout", "search"], "hosts": ["a.test", "b, c"], "more": {"a": [1, "yes"]},
        "manifest": "  - x\n  - y",
    });
    assert_eq!(Value::Object(file.inputs), expected);
    assert_eq!(file.entity.unwrap().as_str(), "invoices");
    assert_eq!(file.reason, None);
}

#[test]
fn a_form_asks_on_whose_behalf_only_where_somebody_may_ask_for_others() {
    let labels = |definitions: &Definitions| -> Vec<String> {
        let form = form(definitions);
        let fields = form["body"].as_array().unwrap().iter();
        fields.map(|field| field["attributes"]["label"].as_str().unwrap().to_owned()).collect()
    };
    let alone = definitions(action());
    assert!(!labels(&alone).contains(&"On behalf of".to_owned()));
    let askers = Askers { on_behalf: Some(People::default()), ..Askers::default() };
    let mut asking = Action { execute: Execute::Named(askers), ..action() };
    // An input that is called so keeps its name beside it.
    asking.inputs[0].1.title = Some("On behalf of".into());
    let asking = definitions(asking);
    let there = labels(&asking);
    assert!(there.contains(&"On behalf of (name)".to_owned()) && there.contains(&"On behalf of".to_owned()));
    assert_ne!(
        hash(&alone.actions.values().next().unwrap().value),
        hash(&asking.actions.values().next().unwrap().value)
    );
    let read = |login: &str| {
        let answers = [("entity", "invoices"), ("name", "pay"), ("on-behalf-of", login)];
        parse(&fill(&form(&asking), &answers), 7, &asking)
    };
    let Reading::Read(file) = read("@cleo") else { panic!() };
    assert_eq!(file.on_behalf_of.unwrap().as_str(), "cleo");
    let Reading::Read(file) = read("") else { panic!() };
    assert_eq!((file.on_behalf_of, &file.inputs["name"]), (None, &json!("pay")));
    let wrong = codes(&read("cleo and bo"));
    assert!(wrong.len() == 1 && wrong[0].starts_with("On behalf of: "), "{wrong:?}");
}

#[test]
fn mistakes_in_a_form_are_told_by_heading() {
    let definitions = definitions(action());
    let form = form(&definitions);
    let good = fill(&form, &[("entity", "invoices"), ("name", "pay")]);
    assert!(matches!(parse(&good, 7, &definitions), Reading::Read(_)));
    for (from, to, told) in [
        ("pay", "pay\n\n### Extra\n\nx", "Extra: the form has no heading `### Extra`"),
        ("pay", "pay\n### tier\n\ngold", "tier: the heading `### tier` is there 2 times"),
        ("pay", "pay\n###", ": the form has no heading `### `"),
        ("### Name\n", "", "Name: the heading `### Name` is missing"),
        ("### note", "### Note", "Note: the form has no heading `### Note`"),
        (
            "### tier\n\n_No response_\n\n### tiers\n\n_No response_",
            "### tiers\n\n_No response_\n\n### tier\n\n_No response_",
            "Action: the headings are not in the form's order",
        ),
        ("pay", "pay\nroll", "Name: `Name` has several lines"),
        ("create-bucket (", "create-buckt (", "Action: there is no action `create-buckt`"),
    ] {
        assert!(good.contains(from), "{from}");
        let told_now = codes(&parse(&good.replacen(from, to, 1), 7, &definitions));
        assert_eq!(told_now[0], told, "{told_now:?}");
    }
    // Whether it may be answered so is told by the action, in the words of every other way to ask.
    let Reading::Read(file) =
        parse(&good.replacen("### tier\n\n_No response_", "### tier\n\nsilver", 1), 7, &definitions)
    else {
        panic!()
    };
    assert_eq!(file.inputs["tier"], json!("silver"));
    assert_eq!(parse("The shop is broken", 7, &definitions), Reading::NotAForm);
    assert_eq!(parse(&format!("Hello\n{good}"), 7, &definitions), Reading::NotAForm);
    let mut changed = action();
    changed.required.push("tier".into());
    let Reading::Outdated { found, current, .. } = parse(&good, 7, &super::tests::definitions(changed))
    else {
        panic!()
    };
    assert_ne!(found, current);
}

#[test]
fn headings_are_legal_and_distinct_and_name_the_place() {
    let action = action();
    let form = form(&definitions(action.clone()));
    let labels: Vec<_> = form["body"]
        .as_array()
        .unwrap()
        .iter()
        .map(|element| element["attributes"]["label"].as_str().unwrap())
        .collect();
    assert_eq!(
        labels,
        [
            "Action",
            "Entity",
            "Name",
            "note",
            "How many?",
            "public",
            "tier",
            "tiers",
            "service",
            "services",
            "hosts",
            "Input 10",
            "Reason (manifest)",
            "Reason"
        ]
    );
    let place = place_of(&action, 7);
    let key = |name: &str| crate::catalog::values::Segment::Key(name.to_owned());
    assert_eq!(place(&[key("inputs"), key("count")]).field.as_deref(), Some("How many?"));
    assert_eq!(place(&[key("entity")]).field.as_deref(), Some("Entity"));
    assert_eq!(place(&[key("inputs"), key("count")]).source, "issue #7");
}

#[test]
fn a_list_that_github_would_refuse_becomes_a_text_field() {
    let definitions = definitions(action());
    for (entities, kind) in [
        (vec!["a".to_owned()], "dropdown"),
        (vec![], "input"),
        (vec!["None".to_owned()], "input"),
        ((0..101).map(|number| format!("e{number}")).collect(), "input"),
    ] {
        let known = |_: &_| entities.iter().map(|name| (name.parse().unwrap(), None)).collect::<Vec<_>>();
        let files = generate(&definitions, &known);
        let form: Value =
            serde_yaml::from_str(&files[&".github/ISSUE_TEMPLATE/create-bucket.yml".parse().unwrap()])
                .unwrap();
        assert_eq!(form["body"][1]["type"], kind);
    }
}

#[test]
fn the_generated_form() {
    let entities = |_: &_| ["checkout", "search"].map(|name| (name.parse().unwrap(), None)).to_vec();
    let files = generate(&definitions(action()), &entities);
    let text = files.iter().map(|(path, text)| format!("== {path}\n{text}")).collect::<String>();
    insta::assert_snapshot!(text);
}

fn anything() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        Just("\n"),
        Just("\n\n"),
        Just("### Reason"),
        Just("### tier\n\ngold"),
        Just("###"),
        Just("### "),
        Just("#### x"),
        Just("```"),
        Just("```yaml\n"),
        Just("_No response_"),
        Just(", "),
        Just("x"),
        Just(" "),
        Just("\t"),
        Just("- a"),
        Just("\u{2028}"),
        Just("None"),
        Just("### Action\n\ncreate-bucket (form 1234567)"),
        Just("\r\n"),
        Just("Yes"),
        Just("ä"),
    ];
    prop::collection::vec(fragment, 0..6).prop_map(|fragments| fragments.concat())
}

fn absent_if_empty(text: String) -> Option<Value> {
    (!text.trim().is_empty() && text.trim() != "_No response_").then(|| text.into())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    /// Whatever people write into the free fields: those fields hold it, or the form is refused.
    #[test]
    fn an_answer_is_never_taken_for_another(name in anything(), note in anything(), manifest in anything(), reason in anything()) {
        let definitions = definitions(action());
        let body = fill(&form(&definitions), &[
            ("entity", "invoices"), ("name", &name), ("note", &note), ("manifest", &manifest), ("reason", &reason), ("tier", "gold"),
        ]);
        if let Reading::Read(RequestFile { inputs, reason: why, entity, .. }) = parse(&body, 7, &definitions) {
            let plain = |text: &str| text.replace("\r\n", "\n");
            let text = |text: &str| absent_if_empty(plain(text).trim_end().trim_start_matches('\n').to_owned());
            let mut expected = serde_json::Map::new();
            expected.extend(absent_if_empty(plain(&name).trim().to_owned()).map(|value| ("name".to_owned(), value)));
            expected.extend(text(&note).map(|value| ("note".to_owned(), value)));
            expected.insert("public".to_owned(), false.into());
            expected.insert("tier".to_owned(), "gold".into());
            let fenced = plain(&manifest).trim_end_matches('\n').to_owned();
            expected.extend((!fenced.trim().is_empty()).then(|| ("manifest".to_owned(), fenced.into())));
            prop_assert_eq!(inputs, expected);
            prop_assert_eq!(why.map(Value::from), text(&reason));
            prop_assert_eq!(entity, Some("invoices".parse().unwrap()));
        }
    }
}
