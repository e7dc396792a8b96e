//! What may be said about who asks and who approves?

use std::collections::{BTreeMap, BTreeSet};

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Reader, input::check_dataset, join, step::span, text_or_list};
use crate::{
    catalog::{
        form::check_program,
        values::{Segment, Wrong, trail},
    },
    domain::{Approval, Asked, Askers, Execute, People, Quorum, Rule, Terms, Way},
};

/// The longest that an approval may count, in seconds.
const LONGEST: i64 = 366 * 24 * 3600;

/// Who may ask: whoever one of `users`, `teams` and `owners` names, if the condition holds, too.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ExecuteDocument {
    /// Logins on the forge.
    #[serde(default)]
    users: Vec<String>,
    /// Identifiers of `_team` entities.
    #[serde(default)]
    teams: Vec<String>,
    /// Whoever owns `entity`, what an input names, or what lies behind relations from there: `service.system`.
    #[serde(default)]
    #[schemars(schema_with = "text_or_list")]
    owners: Option<Value>,
    /// A jq program that must hold of what is asked.
    condition: Option<String>,
    /// What the condition may know of the catalog, as `.results.<name>`: the identifiers of the entities that a query asks for.
    #[serde(default)]
    queries: BTreeMap<String, Map<String, Value>>,
    /// Who may ask for somebody else.
    on_behalf: Option<PeopleDocument>,
}

/// People and teams.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PeopleDocument {
    /// Logins on the forge.
    #[serde(default)]
    users: Vec<String>,
    /// Identifiers of `_team` entities.
    #[serde(default)]
    teams: Vec<String>,
}

/// Rules of approval, all of which must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RulesDocument {
    /// The rules.
    #[schemars(length(min = 1))]
    rules: Vec<RuleDocument>,
    /// Whether each rule needs people of its own.
    #[serde(default)]
    distinct: bool,
    /// How long an approval counts: `12h`, `7d`; for ever if not said.
    expires_after: Option<String>,
    /// Whether whoever asked, or put something on the branch, may approve as well.
    #[serde(default)]
    allow_self_approval: bool,
}

/// One rule of approval. Whoever one of `users`, `teams`, `owners`, `codeOwners` and `approvers` names may approve.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RuleDocument {
    /// Its name, for people.
    name: String,
    /// Logins of people who may approve.
    #[serde(default)]
    users: Vec<String>,
    /// Teams whose members may approve.
    #[serde(default)]
    teams: Vec<String>,
    /// Whoever owns `entity`, what an input names, or what lies behind relations from there: `service.system`.
    #[serde(default)]
    #[schemars(schema_with = "text_or_list")]
    owners: Option<Value>,
    /// Whether the code owners of each changed file of the target repositories must approve.
    #[serde(default)]
    code_owners: bool,
    /// A jq program that gives logins of people who may approve.
    approvers: Option<String>,
    /// A jq program that says whether the rule is asked at all; always if not said.
    when: Option<String>,
    /// How many of them must approve; one if not said.
    #[schemars(range(min = 1, max = 100))]
    count: Option<u32>,
    /// Whether all of them must.
    #[serde(default)]
    all: bool,
}

/// The schema of `approval`.
pub(super) fn approval_schema(generator: &mut SchemaGenerator) -> schemars::Schema {
    let rules = generator.subschema_for::<RulesDocument>();
    json!({ "anyOf": [{ "const": "none" }, rules, { "type": "null" }] }).try_into().unwrap_or_default()
}

/// Who may ask.
pub(super) fn execute(document: Option<ExecuteDocument>, reader: &mut Reader) -> Execute {
    let Some(ExecuteDocument { users, teams, owners, condition, queries, on_behalf }) = document else {
        return Execute::Writers;
    };
    let path = trail!["execute"];
    let askers = Askers {
        users: reader.names(&join(&path, "users"), &users),
        teams: reader.names(&join(&path, "teams"), &teams),
        owners: ways(owners, &join(&path, "owners"), reader),
        queries: queries_of(queries, &join(&path, "queries"), reader),
        on_behalf: on_behalf.map(|people| {
            let path = join(&path, "onBehalf");
            if people.users.is_empty() && people.teams.is_empty() {
                let wrong = Wrong::new("nobody-named", &path, "names nobody, so nobody could ask for others");
                reader.wrong(wrong.help("name users or teams, or leave it out"));
            }
            People {
                users: reader.names(&join(&path, "users"), &people.users),
                teams: reader.names(&join(&path, "teams"), &people.teams),
            }
        }),
        condition,
    };
    if let Some(text) = &askers.condition {
        check_program(text, &join(&path, "condition"), reader);
    } else if !askers.queries.is_empty() {
        let wrong = Wrong::new("misplaced-key", &join(&path, "queries"), "has no effect without a condition");
        reader.wrong(
            wrong.about_key().help("say what must hold of `.results` under `condition`, or leave it out"),
        );
    }
    let says_nothing = users.is_empty() && teams.is_empty() && askers.owners.is_empty();
    if says_nothing && askers.condition.is_none() && askers.on_behalf.is_none() {
        let wrong = Wrong::new("nobody-named", &path, "names nobody, so nobody could ask");
        reader
            .wrong(wrong.help("name users or teams; without `execute` everybody with write access may ask"));
    }
    Execute::Named(askers)
}

fn queries_of(
    said: BTreeMap<String, Map<String, Value>>,
    path: &[Segment],
    reader: &mut Reader,
) -> BTreeMap<String, Asked> {
    let mut queries = BTreeMap::new();
    for (name, mut query) in said {
        let path = join(path, name.as_str());
        let blueprint = match query.shift_remove("blueprint") {
            Some(Value::String(text)) => reader.name(&join(&path, "blueprint"), &text),
            _ => {
                let wrong = Wrong::new("missing-key", &join(&path, "blueprint"), "is missing");
                reader.wrong(wrong.help("name the blueprint whose entities are asked for"));
                None
            }
        };
        let query = Value::Object(query);
        check_dataset(&query, &path, reader);
        queries.extend(blueprint.map(|blueprint| (name, Asked { blueprint, query })));
    }
    queries
}

/// Who must approve.
pub(super) fn approval(said: Option<Value>, reader: &mut Reader) -> Approval {
    let said = match said {
        Some(Value::Object(rules)) => Value::Object(rules),
        Some(_) => return Approval::NotNeeded,
        None => return Approval::Rules(vec![Rule::anybody_with_write_access()]),
    };
    let path = trail!["approval"];
    match serde_json::from_value::<RulesDocument>(said) {
        Ok(document) => Approval::Rules(document.into_domain(&path, reader)),
        Err(error) => {
            reader.wrong(Wrong::new("wrong-value", &path, format!("cannot be read: {error}")));
            Approval::Rules(Vec::new())
        }
    }
}

impl RulesDocument {
    /// The rules, at a path of the document.
    pub(super) fn into_domain(self, path: &[Segment], reader: &mut Reader) -> Vec<Rule> {
        let at = join(path, "expiresAfter");
        let terms = Terms {
            distinct: self.distinct,
            expires_after: span(self.expires_after.as_deref(), LONGEST, &at, reader),
            self_approval: self.allow_self_approval,
        };
        let mut names = BTreeSet::new();
        let path = join(path, "rules");
        let mut rules = Vec::new();
        for (index, rule) in self.rules.into_iter().enumerate() {
            let path = join(&path, index);
            if !names.insert(rule.name.clone()) {
                let wrong =
                    Wrong::new("duplicate-identifier", &join(&path, "name"), "names a second rule so");
                reader.wrong(
                    wrong.help("give each rule a name of its own, so that people can tell them apart"),
                );
            }
            rules.push(rule.into_domain(&path, terms, reader));
        }
        rules
    }
}

impl RuleDocument {
    fn into_domain(self, path: &[Segment], terms: Terms, reader: &mut Reader) -> Rule {
        for (program, key) in [(&self.when, "when"), (&self.approvers, "approvers")] {
            if let Some(text) = program {
                check_program(text, &join(path, key), reader);
            }
        }
        let people: BTreeSet<&String> = self.users.iter().collect();
        let listed = self.teams.is_empty() && self.owners.is_none() && self.approvers.is_none();
        if !self.all
            && listed
            && !people.is_empty()
            && self.count.is_some_and(|count| count as usize > people.len())
        {
            let message = format!("is more than the {} named", people.len());
            let wrong = Wrong::new("nobody-named", &join(path, "count"), message);
            reader.wrong(wrong.help("name more people or a team, or ask for fewer"));
        }
        if self.all && self.count.is_some() {
            let wrong =
                Wrong::new("misplaced-key", &join(path, "count"), "cannot go with `all: true`").about_key();
            reader.wrong(wrong.help("keep one of the two"));
        }
        if self.code_owners && !(people.is_empty() && listed) {
            let wrong =
                Wrong::new("misplaced-key", &join(path, "codeOwners"), "cannot go with others who approve");
            reader.wrong(
                wrong.about_key().help("write a rule of its own for code owners: all rules must hold"),
            );
        }
        let rule = Rule {
            users: reader.names(&join(path, "users"), &self.users),
            teams: reader.names(&join(path, "teams"), &self.teams),
            owners: ways(self.owners, &join(path, "owners"), reader),
            approvers: self.approvers,
            code_owners: self.code_owners,
            writers: false,
            when: self.when,
            quorum: if self.all { Quorum::All } else { Quorum::Count(self.count.unwrap_or(1)) },
            terms,
            name: self.name,
        };
        if !rule.names_somebody() {
            let wrong = Wrong::new("nobody-named", path, "names nobody, so nobody could approve");
            reader.wrong(wrong.help("name users, teams, owners, code owners or a program for approvers"));
        }
        rule
    }
}

/// A way, or a list of ways, to what is owned.
fn ways(said: Option<Value>, path: &[Segment], reader: &mut Reader) -> Vec<Way> {
    match said {
        None => Vec::new(),
        Some(Value::String(text)) => reader.name(path, &text).into_iter().collect(),
        Some(value) => {
            let texts: Vec<String> = serde_json::from_value(value).unwrap_or_default();
            reader.names(path, &texts)
        }
    }
}
