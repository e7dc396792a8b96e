//! What have a repository's administrators set up? Settings, rules, environments, secrets' names.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a repository is like beside its content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// Whether it is private on a plan that has no rules for such.
    #[serde(default)]
    pub(crate) no_rules: bool,
    pub(crate) has_issues: bool,
    pub(crate) merge_methods: BTreeSet<String>,
    pub(crate) auto_merge: bool,
    /// Whether workflows run at all.
    pub(crate) actions: bool,
    /// The paths of workflows that were switched off by hand.
    pub(crate) disabled_workflows: BTreeSet<String>,
    pub(crate) rulesets: BTreeMap<u64, Ruleset>,
    pub(crate) environments: BTreeMap<String, Environment>,
    /// Their names; nobody ever sees what they hold.
    pub(crate) secrets: BTreeSet<String>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            no_rules: false,
            has_issues: true,
            merge_methods: ["merge", "rebase", "squash"].map(str::to_owned).into(),
            auto_merge: false,
            actions: true,
            disabled_workflows: BTreeSet::new(),
            rulesets: BTreeMap::new(),
            environments: BTreeMap::new(),
            secrets: BTreeSet::new(),
        }
    }
}

/// Rules for the branches that its conditions name, in GitHub's words:
/// <https://docs.github.com/rest/repos/rules>.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Ruleset {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) target: String,
    pub(crate) enforcement: String,
    pub(crate) include: Vec<String>,
    pub(crate) exclude: Vec<String>,
    pub(crate) rules: Vec<Value>,
    pub(crate) bypass_actors: Vec<Value>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Environment {
    pub(crate) id: u64,
    /// Which branches may use it; none lets all of them.
    pub(crate) policy: Option<Policy>,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) secrets: BTreeSet<String>,
    pub(crate) created_at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Policy {
    /// Branches with rules.
    Protected,
    /// Patterns of branches, by id.
    Named(BTreeMap<u64, String>),
}

impl Ruleset {
    /// Takes over what a body says; `Err` names the field that makes no sense.
    pub(crate) fn fill(&mut self, body: &Value) -> Result<(), &'static str> {
        let word = |field: &str| body[field].as_str().map(str::to_owned);
        self.name = word("name").unwrap_or_else(|| self.name.clone());
        self.target = word("target").unwrap_or_else(|| self.target.clone());
        self.enforcement = word("enforcement").unwrap_or_else(|| self.enforcement.clone());
        if self.name.is_empty() {
            return Err("name");
        }
        if !["active", "disabled", "evaluate"].contains(&self.enforcement.as_str()) {
            return Err("enforcement");
        }
        let names = |list: &Value| -> Vec<String> {
            list.as_array()
                .into_iter()
                .flatten()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect()
        };
        if let Some(conditions) = body.get("conditions") {
            self.include = names(&conditions["ref_name"]["include"]);
            self.exclude = names(&conditions["ref_name"]["exclude"]);
        }
        if let Some(rules) = body["rules"].as_array() {
            if rules.iter().any(|rule| rule["type"].as_str().is_none()) {
                return Err("rules");
            }
            self.rules.clone_from(rules);
        }
        if let Some(actors) = body["bypass_actors"].as_array() {
            self.bypass_actors.clone_from(actors);
            for actor in &mut self.bypass_actors {
                if actor["bypass_mode"].is_null() {
                    actor["bypass_mode"] = json!("always");
                }
            }
        }
        Ok(())
    }

    /// Whether a branch is meant.
    pub(crate) fn covers(&self, branch: &str, default_branch: &str) -> bool {
        let meant = |pattern: &String| match pattern.as_str() {
            "~ALL" => true,
            "~DEFAULT_BRANCH" => branch == default_branch,
            pattern => matches(pattern.trim_start_matches("refs/heads/"), branch),
        };
        self.target == "branch" && self.include.iter().any(meant) && !self.exclude.iter().any(meant)
    }
}

/// As Ruby's `File.fnmatch` with `FNM_PATHNAME`: only `**/` reaches across slashes.
/// <https://docs.github.com/repositories/configuring-branches-and-merges-in-your-repository/managing-rulesets/creating-rulesets-for-a-repository#using-fnmatch-syntax>
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let mut expression = String::from("^");
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**/") {
            expression.push_str("(?:[^/]+/)*");
            rest = after;
            continue;
        }
        match first {
            '*' => expression.push_str("[^/]*"),
            '?' => expression.push_str("[^/]"),
            '[' | ']' => expression.push(first),
            other => expression.push_str(&regex::escape(&other.to_string())),
        }
        rest = &rest[first.len_utf8()..];
    }
    expression.push('$');
    regex::Regex::new(&expression).is_ok_and(|expression| expression.is_match(name))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stays_within_a_folder() {
        for (pattern, name, expected) in [
            ("qa/*", "qa/a", true),
            ("qa/*", "qa/a/b", false),
            ("qa/**", "qa/a/b", false),
            ("qa/**/*", "qa/a", true),
            ("qa/**/*", "qa/a/b/c", true),
            ("release-[12]", "release-2", true),
            ("a.b", "aXb", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
