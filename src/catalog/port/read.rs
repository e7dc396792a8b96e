//! What are the things of an export? They are told by the names that they stand under, or by what they have.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Kind, Porter, Spot, Thing};

/// The names under which things stand, one and many.
const NAMES: [(&str, Kind); 12] = [
    ("blueprints", Kind::Blueprint),
    ("entities", Kind::Entity),
    ("actions", Kind::Action),
    ("scorecards", Kind::Scorecard),
    ("teams", Kind::Team),
    ("users", Kind::User),
    ("blueprint", Kind::Blueprint),
    ("entity", Kind::Entity),
    ("action", Kind::Action),
    ("scorecard", Kind::Scorecard),
    ("team", Kind::Team),
    ("user", Kind::User),
];

/// What else an export of an account may have.
const ELSEWHERE: [(&str, &str); 12] = [
    ("pages", "a catalog has no pages; `chandlery list` and `get` show it"),
    ("integrations", "what fills the catalog by itself is yours to write: a workflow that commits"),
    ("webhooks", "what fills the catalog by itself is yours to write: a workflow that commits"),
    ("automations", "write a workflow of the catalog's repository that is started by a push"),
    ("workflows", "write an action whose steps open pull requests"),
    ("permissions", "rights are those of the forge, and the `execute` and `approval` of actions"),
    ("runs", "what Chandlery carries out is kept in `requests/`"),
    ("migrations", "change entities by a pull request"),
    ("organization", "settings are in `chandlery.yaml`"),
    ("sidebars", "a catalog has no pages"),
    ("ok", ""),
    ("next", ""),
];

fn named(name: &str) -> Option<Kind> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}

impl Porter<'_> {
    /// Finds the things of one file.
    pub(super) fn read<'a>(&mut self, source: &str, export: &'a Value, things: &mut Vec<Thing<'a>>) {
        let path = Path::new(source);
        let names = [path.file_stem(), path.parent().and_then(Path::file_name)];
        let hint = names.into_iter().flatten().find_map(|name| named(name.to_str()?));
        let spot = Spot { source: source.to_owned(), pointer: String::new() };
        self.value(export, &spot, hint, None, things);
    }

    fn value<'a>(
        &mut self,
        value: &'a Value,
        spot: &Spot,
        hint: Option<Kind>,
        blueprint: Option<&str>,
        things: &mut Vec<Thing<'a>>,
    ) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item, &spot.at(index), hint, blueprint, things);
                }
            }
            Value::Object(entries) => self.object(entries, spot, hint, blueprint, things),
            Value::Null => {}
            _ => self.left_out(spot, "this is no thing of Port's", "an export has objects and lists of them"),
        }
    }

    fn object<'a>(
        &mut self,
        entries: &'a Map<String, Value>,
        spot: &Spot,
        hint: Option<Kind>,
        blueprint: Option<&str>,
        things: &mut Vec<Thing<'a>>,
    ) {
        let is_thing = ["identifier", "email"].iter().any(|key| entries.contains_key(*key))
            || hint == Some(Kind::Team) && entries.contains_key("name")
            || hint == Some(Kind::Entity) && entries.contains_key("blueprint");
        if is_thing {
            match kind_of(entries).or(hint) {
                Some(kind) => {
                    self.nested(entries, spot, kind, things);
                    let blueprint = blueprint.map(str::to_owned);
                    things.push(Thing { kind, entries, spot: spot.clone(), blueprint });
                }
                None => self.left_out(
                    spot,
                    "nothing tells what kind of thing this is",
                    "put it into a list named `blueprints`, `entities`, `actions`, `scorecards`, `teams` or `users`",
                ),
            }
            return;
        }
        for (key, value) in entries {
            let at = spot.at(key);
            let elsewhere = ELSEWHERE.iter().find(|(name, _)| name == key);
            match (named(key), hint, elsewhere) {
                (Some(kind), _, _) => self.value(value, &at, Some(kind), None, things),
                (None, _, Some((_, help))) => {
                    let is_empty = help.is_empty() || value.as_array().is_some_and(Vec::is_empty);
                    if !is_empty {
                        self.not_kept(&at, format!("`{key}` are not imported"), help);
                    }
                }
                // Things by their blueprint.
                (None, Some(kind), None) if value.is_array() => {
                    self.value(value, &at, Some(kind), Some(key), things);
                }
                (None, ..) => self.unknown(spot, key),
            }
        }
    }

    /// Some exports keep what is about a blueprint in it.
    fn nested<'a>(
        &mut self,
        entries: &'a Map<String, Value>,
        spot: &Spot,
        kind: Kind,
        things: &mut Vec<Thing<'a>>,
    ) {
        if kind != Kind::Blueprint {
            return;
        }
        let blueprint = super::text(entries, "identifier");
        for (key, kind) in
            [("scorecards", Kind::Scorecard), ("actions", Kind::Action), ("entities", Kind::Entity)]
        {
            if let Some(value) = entries.get(key) {
                self.value(value, &spot.at(key), Some(kind), blueprint, things);
            }
        }
    }
}

/// The kind of a thing, going by what only such a thing has.
fn kind_of(entries: &Map<String, Value>) -> Option<Kind> {
    let has = |key: &str| entries.contains_key(key);
    if has("trigger") || has("invocationMethod") || has("userInputs") {
        Some(Kind::Action)
    } else if has("schema") || has("calculationProperties") || has("mirrorProperties") {
        Some(Kind::Blueprint)
    } else if has("rules") {
        Some(Kind::Scorecard)
    } else if entries.get("blueprint").is_some_and(Value::is_string) {
        Some(Kind::Entity)
    } else if has("email") {
        Some(Kind::User)
    } else {
        None
    }
}
