//! What may a scorecard say?

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Reader, join, kind, property::check_name, query::query};
use crate::{
    catalog::values::{Wrong, trail},
    domain::{Scorecard, ScorecardRule},
};

/// Levels that entities of a blueprint reach, `scorecards/<identifier>.yaml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::catalog) struct ScorecardDocument {
    /// Its identifier, which is the name of its file too.
    identifier: String,
    /// The name that people read.
    title: Option<String>,
    /// One sentence for people.
    #[expect(dead_code, reason = "read by other programs")]
    description: Option<String>,
    /// Whose entities it is about.
    blueprint: String,
    /// Which of them, as a query.
    filter: Option<Value>,
    /// From the lowest, which everything reaches, to the highest; `Basic`, `Bronze`, `Silver`, `Gold` if not said.
    levels: Option<Vec<LevelDocument>>,
    /// What must hold.
    rules: Vec<RuleDocument>,
}

kind!(ScorecardDocument, "scorecard", definition: true);

/// A level.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LevelDocument {
    /// Its name.
    title: String,
    /// Its colour; kept for other programs.
    #[expect(dead_code, reason = "read by other programs")]
    color: Option<String>,
}

/// One thing that must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RuleDocument {
    /// Its identifier.
    identifier: String,
    /// The name that people read.
    title: Option<String>,
    /// One sentence for people.
    #[expect(dead_code, reason = "read by other programs")]
    description: Option<String>,
    /// For which level.
    level: String,
    /// What must hold, as a query.
    query: Value,
}

impl ScorecardDocument {
    pub(in crate::catalog) fn into_domain(self, reader: &mut Reader) -> Option<Scorecard> {
        check_name(&self.identifier, &trail!["identifier"], reader);
        let blueprint = reader.name(&trail!["blueprint"], &self.blueprint);
        let filter = match &self.filter {
            Some(value) => Some(query(value, &trail!["filter"], reader)?),
            None => None,
        };
        let levels: Vec<String> = match self.levels {
            Some(levels) => levels.into_iter().map(|level| level.title).collect(),
            None => ["Basic", "Bronze", "Silver", "Gold"].map(str::to_owned).into(),
        };
        for (index, level) in
            levels.iter().enumerate().filter(|(index, level)| levels[..*index].contains(level))
        {
            let path = join(&join(&trail!["levels"], index), "title");
            reader.wrong(
                Wrong::new("repeated-item", &path, format!("repeats `{level}`"))
                    .help("rename one of the two"),
            );
        }
        let mut rules: Vec<ScorecardRule> = Vec::new();
        for (index, rule) in self.rules.into_iter().enumerate() {
            let path = trail!["rules", index];
            if rules.iter().any(|other| other.identifier == rule.identifier) {
                let message = format!("repeats `{}`", rule.identifier);
                reader.wrong(
                    Wrong::new("repeated-item", &join(&path, "identifier"), message)
                        .help("rename one of the two"),
                );
            }
            let level = levels.iter().position(|level| *level == rule.level);
            match level {
                Some(0) => {
                    let message = format!("is `{}`, the lowest level, which everything reaches", rule.level);
                    let wrong = Wrong::new("not-a-choice", &join(&path, "level"), message);
                    reader.wrong(wrong.help("name a level above it"));
                }
                Some(_) => {}
                None => {
                    let wrong = Wrong::new(
                        "not-a-choice",
                        &join(&path, "level"),
                        format!("cannot be `{}`", rule.level),
                    );
                    reader.wrong(wrong.did_you_mean(&rule.level, levels.iter().skip(1).map(String::as_str)));
                }
            }
            let query = query(&rule.query, &join(&path, "query"), reader);
            let (Some(level), Some(query)) = (level, query) else { continue };
            let title = rule.title.unwrap_or_else(|| rule.identifier.clone());
            rules.push(ScorecardRule { identifier: rule.identifier, title, level, query });
        }
        let title = self.title.unwrap_or_else(|| self.identifier.clone());
        Some(Scorecard { identifier: self.identifier, title, blueprint: blueprint?, filter, levels, rules })
    }
}
