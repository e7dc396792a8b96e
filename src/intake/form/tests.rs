use serde_json::json;

use super::*;
use crate::catalog::values::field_name;
use crate::domain::{Approval, Execute, Format, MergeMode, PropertyType};

fn property(kind: PropertyType, format: Option<Format>) -> Property {
    Property {
        kind,
        format,
        spec: None,
        title: None,
        description: None,
        default: None,
        choices: Vec::new(),
        blueprint: (format == Some(Format::Entity)).then(|| "service".parse().unwrap()),
        items: None,
        keywords: Map::new(),
    }
}

fn action(operation: Operation) -> Action {
    let services = property(PropertyType::String, Some(Format::Entity));
    Action {
        identifier: "ask".parse().unwrap(),
        title: "Ask".into(),
        description: None,
        operation,
        blueprint: "service".parse().unwrap(),
        inputs: vec![
            ("name".into(), property(PropertyType::String, None)),
            ("count".into(), Property { default: Some(json!(2)), ..property(PropertyType::Number, None) }),
            ("service".into(), services.clone()),
            (
                "uses".into(),
                Property { items: Some(Box::new(services)), ..property(PropertyType::Array, None) },
            ),
            ("owner".into(), property(PropertyType::String, Some(Format::Team))),
        ],
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

fn service(name: &str) -> Arc<Entity> {
    Arc::new(Entity {
        identifier: name.parse().unwrap(),
        blueprint: "service".parse().unwrap(),
        title: None,
        icon: None,
        team: Vec::new(),
        properties: Map::new(),
        relations: BTreeMap::new(),
    })
}

/// `checkout` is there, `later` is not known yet, `chekout` is nearly there.
fn ask(
    operation: Operation,
    entity: Option<&str>,
    inputs: Value,
) -> (Result<Option<Accepted>, Vec<String>>, Vec<String>) {
    let mut asked = Vec::new();
    let file = RequestFile {
        action: "ask".parse().unwrap(),
        entity: entity.map(|name| name.parse().unwrap()),
        inputs: inputs.as_object().unwrap().clone(),
        reason: None,
        on_behalf_of: None,
    };
    let place = |path: &[Segment]| Place { field: Some(field_name(path)), ..Place::file("request.yaml") };
    let mut entity = |id: &EntityId| {
        asked.push(id.to_string());
        match id.identifier.as_str() {
            "checkout" | "platform" => Lookup::Found(service("checkout")),
            "later" => Lookup::Pending,
            "torn" => Lookup::Unusable("it has mistakes".into()),
            "chekout" => Lookup::Absent { nearest: Some("checkout".into()) },
            _ => Lookup::Absent { nearest: None },
        }
    };
    let mut search = |_: Search| unreachable!("nothing is searched for");
    let secrets = Secrets::default();
    let mut levels = |_: &EntityId| unreachable!("no expression speaks of scorecards");
    let (entity, search, levels) = (&mut entity, &mut search, &mut levels);
    let mut sources = Sources { user: None, entity, search, levels, secrets: &secrets };
    let result = accept(&action(operation), "r1".parse().unwrap(), &file, &place, &mut sources);
    let told = |problem: Diagnostic| {
        format!("{}: {} ({})", problem.place.field.unwrap(), problem.code, problem.help.unwrap_or_default())
    };
    (result.map_err(|problems| problems.into_iter().map(told).collect()), asked)
}

#[test]
fn what_is_asked_gets_its_defaults_and_its_entities() {
    let (accepted, asked) = ask(
        Operation::Day2,
        Some("checkout"),
        json!({"name": "x", "service": "checkout", "uses": ["checkout"], "owner": "platform"}),
    );
    let accepted = accepted.unwrap().unwrap();
    assert_eq!(accepted.request.inputs["count"], json!(2));
    assert_eq!(accepted.entity, Some(service("checkout")));
    assert_eq!(accepted.entities["service"], Chosen::One(service("checkout")));
    assert_eq!(accepted.entities["uses"], Chosen::Many(vec![service("checkout")]));
    assert_eq!(asked, ["service/checkout", "service/checkout", "service/checkout", "_team/platform"]);
}

#[test]
fn everything_is_looked_up_before_waiting() {
    let (accepted, asked) =
        ask(Operation::Day2, Some("later"), json!({"name": "x", "service": "later", "owner": "platform"}));
    assert_eq!(accepted, Ok(None));
    assert_eq!(asked, ["service/later", "service/later", "_team/platform"]);
}

#[test]
fn every_mistake_is_told_at_once_with_its_field() {
    let (refused, _) = ask(
        Operation::Create,
        Some("checkout"),
        json!({"nmae": "x", "count": "many", "uses": ["checkout", "chekout", "torn"]}),
    );
    let told = refused.unwrap_err();
    let fields: Vec<_> = told.iter().map(|line| line.split(" (").next().unwrap()).collect();
    assert_eq!(fields[0], "inputs.nmae: unknown-input");
    assert_eq!(fields[1], "entity: unexpected-entity");
    assert_eq!(fields[2], "inputs.name: missing-input");
    assert!(fields[3].starts_with("inputs.count: "), "{told:?}");
    assert_eq!(told[4], "inputs.uses[1]: unknown-entity (did you mean `checkout`?)");
    assert_eq!(
        told[5],
        "inputs.uses[2]: unknown-entity (mend it first: `chandlery validate` says where it is wrong)"
    );
    assert_eq!(told.len(), 6);

    let (refused, _) = ask(Operation::Delete, None, json!({"name": "x"}));
    assert_eq!(refused.unwrap_err().len(), 1);
}
