//! What may a policy say?

pub(in crate::catalog) mod case;
mod window;

use std::collections::BTreeSet;

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::window::FreezeDocument;
use super::{Reader, join, kind, query::query, rule::RulesDocument, text_or_list};
use crate::{
    catalog::{
        form::check_program,
        values::{Segment, Wrong, trail},
    },
    domain::{
        Concerns, Cost, Counted, Effects, Glob, Limit, Longest, Paths, Per, Policy, Removals, Rule, Spent,
        Timestamp,
    },
};

/// The longest time that requests are counted over, and the longest life, in seconds: ten years.
const LONGEST: i64 = 3_660 * 24 * 3600;

/// What must hold of every request that it concerns, `policies/<identifier>.yaml`. It can only tighten what actions say.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::catalog) struct PolicyDocument {
    /// Its identifier, which is the name of its file too.
    identifier: String,
    /// The name that people read.
    title: Option<String>,
    /// What it is for.
    #[expect(dead_code, reason = "read by people")]
    description: Option<String>,
    /// The actions whose requests it concerns. Without `actions` and `blueprints` it concerns all requests.
    #[serde(default)]
    actions: Vec<String>,
    /// The blueprints that it concerns: requests of actions about them, and requests that change entities of them.
    #[serde(default)]
    blueprints: Vec<String>,
    /// A jq program that says whether a request is concerned; all are if not said.
    when: Option<String>,
    /// Such requests are refused, with this message.
    deny: Option<String>,
    /// What those can do who are refused.
    help: Option<String>,
    /// Who must approve, besides those whom the action names.
    require_approval: Option<RulesDocument>,
    /// How many there may be.
    limit: Option<LimitDocument>,
    /// How long new entities may live at most, such as `7d`: properties of the format `timer`, and those called `ttl`.
    max_ttl: Option<String>,
    /// When nothing is carried out.
    freeze: Option<FreezeDocument>,
    /// What requests may cost.
    cost: Option<CostDocument>,
    /// The only repositories that may be written to, or made to run a workflow.
    repositories: Option<AllowedDocument>,
    /// Which files may change.
    paths: Option<Vec<PathsDocument>>,
    /// How much may be removed at once.
    removals: Option<RemovalsDocument>,
}

kind!(PolicyDocument, "policy", definition: true);

/// How many there may be, of entities or of requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LimitDocument {
    /// At most so many.
    #[schemars(range(min = 0, max = 1_000_000))]
    count: u32,
    /// `entities` of a blueprint in the catalog, or `requests` that were merged.
    of: OfDocument,
    /// What counts together: for entities those of a `team`; for requests those of a `team`, `user`, `action` or `blueprint`;
    /// all if not said.
    #[serde(default)]
    per: PerDocument,
    /// The blueprint whose entities are counted.
    blueprint: Option<String>,
    /// Which of its entities, as a query; all if not said.
    query: Option<Map<String, Value>>,
    /// In which time requests are counted, such as `1d`, until now.
    within: Option<String>,
    /// Whether of requests only those count for which `when` holds, too; all that `actions` and `blueprints` name if not said.
    #[serde(default)]
    matching: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum OfDocument {
    Entities,
    Requests,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum PerDocument {
    #[default]
    None,
    Team,
    User,
    Action,
    Blueprint,
}

/// What requests may cost.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CostDocument {
    /// A jq program that says what a request adds: a number.
    estimate: String,
    /// At most so much in all.
    #[schemars(range(min = 0))]
    ceiling: f64,
    /// Whether each team has its own ceiling; one for all if not said.
    #[serde(default)]
    per: PerTeamDocument,
    /// What is spent already; nothing if not said.
    spent: Option<SpentDocument>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum PerTeamDocument {
    #[default]
    None,
    Team,
}

/// What is spent already: the sum of a property of entities.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SpentDocument {
    /// The property, a number.
    property: String,
    /// The blueprints of the entities; all that have the property if not said.
    #[serde(default)]
    blueprints: Vec<String>,
}

/// A list of what is allowed; nothing else is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AllowedDocument {
    /// Repositories, `owner/name`; `*` stands for a part of a name.
    #[schemars(length(min = 1))]
    allow: Vec<String>,
}

/// Which files may change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PathsDocument {
    /// In which repositories, `owner/name`; `*` stands for a part of a name. In all if not said.
    repository: Option<String>,
    /// Only these, as paths; `*` stands for a part of a name, `**` for folders.
    #[serde(default)]
    #[schemars(schema_with = "text_or_list")]
    allow: Option<Value>,
    /// None of these, as paths.
    #[serde(default)]
    #[schemars(schema_with = "text_or_list")]
    deny: Option<Value>,
}

/// How much may be removed at once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RemovalsDocument {
    /// At most so many.
    #[schemars(range(min = 0, max = 1_000_000))]
    count: Option<u32>,
    /// At most so many of a hundred entities of the blueprint.
    #[schemars(range(min = 0, max = 100))]
    share: Option<f64>,
    /// Of entities of this blueprint; if not said, entities and files are counted together.
    of: Option<String>,
    /// Whose approval allows more; if not said, more is refused.
    #[serde(default)]
    #[schemars(schema_with = "rules")]
    unless: Option<RulesDocument>,
}

fn rules(generator: &mut SchemaGenerator) -> schemars::Schema {
    let rules = generator.subschema_for::<RulesDocument>();
    json!({ "anyOf": [rules, { "type": "null" }] }).try_into().unwrap_or_default()
}

impl PolicyDocument {
    pub(in crate::catalog) fn into_domain(self, reader: &mut Reader) -> Option<Policy> {
        let identifier = reader.name(&trail!["identifier"], &self.identifier);
        if let Some(text) = &self.when {
            check_program(text, &trail!["when"], reader);
        }
        if self.deny.as_ref().is_some_and(|message| message.trim().is_empty()) {
            let wrong = Wrong::new("wrong-value", &trail!["deny"], "says nothing to those who are refused");
            reader.wrong(wrong.help("say why it is refused, in one sentence"));
        }
        let effects = Effects {
            deny: self.deny,
            approval: approval(self.require_approval, &trail!["requireApproval"], reader),
            limit: self.limit.and_then(|limit| limit.into_domain(&trail!["limit"], reader)),
            max_ttl: self.max_ttl.and_then(|text| longest(text, &trail!["maxTtl"], reader)),
            freeze: self.freeze.and_then(|freeze| freeze.into_domain(&trail!["freeze"], reader)),
            cost: self.cost.map(|cost| cost.into_domain(&trail!["cost"], reader)),
            repositories: match self.repositories {
                Some(said) => reader.names(&trail!["repositories", "allow"], &said.allow),
                None => Vec::new(),
            },
            paths: self
                .paths
                .unwrap_or_default()
                .into_iter()
                .enumerate()
                .map(|(index, paths)| paths.into_domain(&trail!["paths", index], reader))
                .collect(),
            removals: self.removals.map(|removals| removals.into_domain(&trail!["removals"], reader)),
        };
        if effects.is_empty() && reader.found.is_empty() {
            let wrong = Wrong::new("no-effect", &[], "says of nothing that it follows");
            reader.wrong(wrong.help(
                "add `deny`, `requireApproval`, `limit`, `maxTtl`, `freeze`, `cost`, `repositories`, `paths` or `removals`",
            ));
        }
        Some(Policy {
            identifier: identifier?,
            title: self.title.unwrap_or(self.identifier),
            concerns: Concerns {
                actions: reader.names(&trail!["actions"], &self.actions).into_iter().collect(),
                blueprints: reader.names(&trail!["blueprints"], &self.blueprints).into_iter().collect(),
            },
            when: self.when,
            help: self.help,
            effects,
        })
    }
}

fn approval(document: Option<RulesDocument>, path: &[Segment], reader: &mut Reader) -> Vec<Rule> {
    document.map(|rules| rules.into_domain(path, reader)).unwrap_or_default()
}

/// An amount of time.
fn longest(text: String, path: &[Segment], reader: &mut Reader) -> Option<Longest> {
    let end = Timestamp::from_seconds(0).after(&text).map(Timestamp::seconds);
    let seconds = end.filter(|length| (1..=LONGEST).contains(length));
    if seconds.is_none() {
        let message = format!("is `{text}`, which is no amount of time of at most ten years");
        reader
            .wrong(Wrong::new("wrong-value", path, message).help("write it as `90s`, `30m`, `12h` or `7d`"));
    }
    Some(Longest { text, seconds: seconds? })
}

fn misplaced(key: &str, path: &[Segment], message: &str, help: &str, reader: &mut Reader) {
    reader.wrong(Wrong::new("misplaced-key", &join(path, key), message).about_key().help(help));
}

impl LimitDocument {
    fn into_domain(self, path: &[Segment], reader: &mut Reader) -> Option<Limit> {
        let of = match self.of {
            OfDocument::Entities => {
                if self.within.is_some() {
                    let help = "leave it out; what is counted over time are `requests`";
                    misplaced(
                        "within",
                        path,
                        "has no effect: entities are counted as they are",
                        help,
                        reader,
                    );
                }
                if self.matching {
                    let help = "say in `query` which entities count";
                    misplaced("matching", path, "has no effect: entities are counted", help, reader);
                }
                let per_team = match self.per {
                    PerDocument::None | PerDocument::Blueprint => false,
                    PerDocument::Team => true,
                    PerDocument::User | PerDocument::Action => {
                        let message =
                            "must be `team`, `blueprint` or `none`: nobody and no action owns entities";
                        let wrong = Wrong::new("not-a-choice", &join(path, "per"), message);
                        reader.wrong(wrong.help("to count what people ask for, say `of: requests`"));
                        return None;
                    }
                };
                let Some(blueprint) = self.blueprint else {
                    let wrong = Wrong::new("missing-key", &join(path, "blueprint"), "is missing");
                    reader.wrong(wrong.help("name the blueprint whose entities are counted"));
                    return None;
                };
                let asked = self.query.map(Value::Object);
                if let Some(value) = &asked {
                    query(value, &join(path, "query"), reader);
                }
                Counted::Entities {
                    blueprint: reader.name(&join(path, "blueprint"), &blueprint)?,
                    query: asked.map(|value| value.to_string()),
                    per_team,
                }
            }
            OfDocument::Requests => {
                for (key, said) in [("blueprint", self.blueprint.is_some()), ("query", self.query.is_some())]
                {
                    if said {
                        let help = "say under `blueprints` or `when` which requests are concerned";
                        misplaced(key, path, "has no effect: requests are counted", help, reader);
                    }
                }
                let Some(within) = self.within else {
                    let wrong = Wrong::new("missing-key", &join(path, "within"), "is missing");
                    reader.wrong(wrong.help("say in which time they are counted: `within: 1d`"));
                    return None;
                };
                Counted::Requests {
                    within: longest(within, &join(path, "within"), reader)?.seconds,
                    per: match self.per {
                        PerDocument::None => Per::All,
                        PerDocument::Team => Per::Team,
                        PerDocument::User => Per::User,
                        PerDocument::Action => Per::Action,
                        PerDocument::Blueprint => Per::Blueprint,
                    },
                    matching: self.matching,
                }
            }
        };
        Some(Limit { count: self.count, of })
    }
}

impl CostDocument {
    fn into_domain(self, path: &[Segment], reader: &mut Reader) -> Cost {
        check_program(&self.estimate, &join(path, "estimate"), reader);
        let spent = self.spent.map(|spent| {
            let path = join(&join(path, "spent"), "blueprints");
            let blueprints: BTreeSet<_> = reader.names(&path, &spent.blueprints).into_iter().collect();
            Spent { property: spent.property, blueprints }
        });
        Cost {
            estimate: self.estimate,
            ceiling: self.ceiling,
            per_team: self.per == PerTeamDocument::Team,
            spent,
        }
    }
}

impl PathsDocument {
    fn into_domain(self, path: &[Segment], reader: &mut Reader) -> Paths {
        if self.allow.is_none() && self.deny.is_none() {
            let wrong = Wrong::new("no-effect", path, "neither allows nor denies anything");
            reader.wrong(wrong.help("add `allow` or `deny` with paths such as `apps/**`"));
        }
        let mut globs = |key: &str, said: Option<Value>| -> Vec<Glob> {
            let path = join(path, key);
            match said {
                None => Vec::new(),
                Some(Value::String(one)) => reader.name(&path, &one).into_iter().collect(),
                Some(value) => {
                    let many: Vec<String> = serde_json::from_value(value).unwrap_or_default();
                    if many.is_empty() {
                        reader.wrong(
                            Wrong::new("no-effect", &path, "is empty").help("list paths, or leave it out"),
                        );
                    }
                    reader.names(&path, &many)
                }
            }
        };
        let (allow, deny) = (globs("allow", self.allow), globs("deny", self.deny));
        Paths {
            repository: self.repository.and_then(|name| reader.name(&join(path, "repository"), &name)),
            allow,
            deny,
        }
    }
}

impl RemovalsDocument {
    fn into_domain(self, path: &[Segment], reader: &mut Reader) -> Removals {
        if self.count.is_none() && self.share.is_none() {
            let wrong = Wrong::new("no-effect", path, "does not say how much");
            reader.wrong(wrong.help("add `count`, or `share` with so many of a hundred"));
        }
        if self.share.is_some() && self.of.is_none() {
            let help = "say `of` which blueprint's entities, or say a `count`";
            misplaced(
                "share",
                path,
                "has no meaning without `of`: of what would it be a share?",
                help,
                reader,
            );
        }
        Removals {
            of: self.of.and_then(|name| reader.name(&join(path, "of"), &name)),
            count: self.count,
            share: self.share,
            unless: approval(self.unless, &join(path, "unless"), reader),
        }
    }
}
