//! What is found of facts that no forge need show?

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::{
    catalog::Root,
    cli::doctor::look::{Known, Target},
    forge::setup::{Rule, Ruleset},
};

fn hidden<T>() -> Seen<T> {
    Err("it is dark".to_owned())
}

/// Nothing was seen of the catalog.
fn blind() -> Facts {
    Facts {
        catalog: "acme/catalog".parse().unwrap(),
        root: Root::default(),
        app_id: Some(7),
        known: Known::Yes,
        ahead: 0,
        version: None,
        app: hidden(),
        installation: hidden(),
        ours: hidden(),
        repository: hidden(),
        plan_has_rules: true,
        rules: hidden(),
        own_rules: hidden(),
        rulesets: hidden(),
        protection: hidden(),
        environment: hidden(),
        app_id_there: hidden(),
        secrets: hidden(),
        open_secrets: hidden(),
        runs_workflows: hidden(),
        disabled_workflows: hidden(),
        codeowners: hidden(),
        files: hidden(),
        labels: hidden(),
        started: BTreeMap::new(),
        targets: BTreeMap::new(),
        shallow: None,
    }
}

fn repository() -> Repository {
    Repository {
        default_branch: "main".to_owned(),
        is_archived: false,
        has_issues: true,
        may_push: true,
        may_administer: false,
        merge_methods: None,
    }
}

/// The rules of a ruleset as `init` writes it, and the ruleset.
fn ruled(id: u64, ruleset: &serde_json::Value, lets_by: Option<&[u64]>) -> (Vec<Rule>, Ruleset) {
    let rules = ruleset["rules"].as_array().unwrap().clone();
    let rule = |rule: &serde_json::Value| Rule {
        kind: rule["type"].as_str().unwrap().to_owned(),
        parameters: rule["parameters"].clone(),
        ruleset: id,
        source: "acme/catalog".to_owned(),
    };
    let whole = Ruleset {
        id,
        name: ruleset["name"].as_str().unwrap().to_owned(),
        is_own: true,
        is_active: true,
        rules: rules.clone(),
        lets_by: lets_by.map(|apps| apps.iter().copied().collect()),
        lets_us_by: None,
    };
    (rules.iter().map(rule).collect(), whole)
}

fn codes(facts: &Facts) -> Vec<&'static str> {
    judge(facts).findings.iter().map(|finding| finding.code).collect()
}

fn unseen(facts: &Facts) -> BTreeSet<String> {
    judge(facts).not_seen.into_iter().map(|unseen| unseen.what).collect()
}

#[test]
fn what_was_not_seen_is_neither_fine_nor_wrong() {
    let mut facts = blind();
    assert_eq!(codes(&facts), Vec::<&str>::new());
    assert!(unseen(&facts).contains("acme/catalog"));
    facts.repository = Ok(Some(repository()));
    facts.targets.insert(
        "acme/infra".parse().unwrap(),
        Target { ours: hidden(), installation: hidden(), wake: hidden() },
    );
    assert_eq!(codes(&facts), Vec::<&str>::new());
    for what in [
        "rules of the default branch",
        "rulesets",
        "environment `chandlery`",
        "secrets of the repository",
        "files of the catalog",
        "allowed ways of merging",
        "the App's installation on acme/infra",
    ] {
        assert!(unseen(&facts).contains(what), "{what}");
    }
}

#[test]
fn our_own_rulesets_are_what_is_wanted() {
    let (rules, default) = ruled(1, &rulesets::default_branch(Some(7)), Some(&[7]));
    let (own_rules, own) = ruled(2, &rulesets::own_branches(Some(7)), Some(&[7]));
    let mut facts = blind();
    facts.repository = Ok(Some(repository()));
    facts.rules = Ok(rules);
    facts.own_rules = Ok(own_rules);
    facts.rulesets = Ok(vec![default, own]);
    assert_eq!(codes(&facts), Vec::<&str>::new());
    // To another App they are shut.
    facts.app_id = Some(8);
    assert_eq!(codes(&facts), ["check-not-from-app", "no-bypass", "no-bypass"]);
    // Whom they let by may be hidden; an organisation's rulesets hide it from administrators, too.
    facts.app_id = Some(7);
    facts.rulesets.as_mut().unwrap()[0].lets_by = None;
    assert_eq!(codes(&facts), Vec::<&str>::new());
    assert!(unseen(&facts).contains("bypass list of the ruleset `Chandlery: default branch`"));
}

#[test]
fn a_rule_of_others_is_not_ours_to_mend() {
    let (mut rules, default) = ruled(1, &rulesets::default_branch(Some(7)), Some(&[7]));
    rules.push(Rule {
        kind: "required_status_checks".to_owned(),
        parameters: json!({
            "strict_required_status_checks_policy": true,
            "required_status_checks": [{ "context": "chandlery", "integration_id": 9 }],
        }),
        ruleset: 5,
        source: "acme".to_owned(),
    });
    let mut facts = blind();
    facts.repository = Ok(Some(repository()));
    facts.rules = Ok(rules);
    facts.rulesets = Ok(vec![default]);
    let judged = judge(&facts);
    let codes: Vec<_> =
        judged.findings.iter().map(|finding| (finding.code, finding.mend.is_some())).collect();
    assert_eq!(codes, [("check-not-from-app", false), ("check-strict", false)]);
    assert_eq!(judged.findings[0].at, "acme/catalog: a ruleset of acme");
}

#[test]
fn the_older_the_server_the_more_falls_away() {
    for (version, words) in [
        ("3.21.0", "it signs no commits of Apps, so they show as unverified"),
        ("3.19.4", "only the environment's limit to the default branch keeps the App's key"),
        ("3.9.0", "it has no rulesets"),
    ] {
        let judged = judge(&Facts { version: Some(version.to_owned()), ..blind() });
        assert_eq!(judged.findings.len(), 1);
        assert!(judged.findings[0].message.contains(words), "{}", judged.findings[0].message);
        assert!(!judged.has_errors());
    }
}
