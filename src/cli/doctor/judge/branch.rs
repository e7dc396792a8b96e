//! Do the rules keep everybody to our check, and us from nothing?

use super::{Finding, Judgement, Mend, app_id, our_ruleset};
use crate::{
    catalog::{CommitBy, RecordBy, load_settings},
    cli::doctor::look::Facts,
    forge::setup::{Repository, Rule, Ruleset},
    plan::step::CHECK,
};

/// Rules that refuse a bare push of a record.
const REFUSING: [&str; 5] =
    ["pull_request", "required_status_checks", "update", "required_signatures", "merge_queue"];
/// How long a merge queue should wait for our check, in minutes: a pass may have to wait for its runner and for another pass.
const LEAST_MINUTES: u64 = 10;
/// Rules without which others may touch our own branches.
const CLOSING: [&str; 2] = ["creation", "update"];

pub(super) fn judge(facts: &Facts, repository: &Repository, judged: &mut Judgement) {
    let rulesets = judged.seen("rulesets", &facts.rulesets).cloned().unwrap_or_default();
    let mut asleep = Vec::new();
    for ruleset in rulesets.iter().filter(|ruleset| !ruleset.is_active && ruleset.is_own) {
        let Some(mend) = our_ruleset(&ruleset.name) else { continue };
        asleep.push(mend.clone());
        judged.add(
            Finding::error(
                "ruleset-inactive",
                place(facts, &ruleset.name),
                "the ruleset is there and binds nobody",
            )
            .cure(format!("{}, {}: set Enforcement status to Active", page(facts), ruleset.name))
            .mend(mend),
        );
    }
    let branch = &repository.default_branch;
    if judged.seen("protection of the older kind", &facts.protection) == Some(&true) {
        judged.add(
            Finding::error(
                "older-protection",
                format!("{}: branch {branch}", facts.catalog),
                "the branch has a protection rule of the older kind, and Chandlery's records are refused by it",
            )
            .cure(format!("in {}: Settings, Branches: delete the rule; rulesets do the same", facts.catalog)),
        );
    }
    if let Some(rules) = judged.seen("rules of the default branch", &facts.rules) {
        // What sleeps was said; what would be missing without it is not said again.
        if !asleep.contains(&Mend::DefaultBranch) {
            default_branch(facts, rules, &rulesets, judged);
            if ways(facts).1 == RecordBy::Push {
                passes(facts, rules, &rulesets, judged);
            }
        }
    }
    if let Some(rules) = judged.seen("rules of Chandlery's own branches", &facts.own_rules)
        && !asleep.contains(&Mend::OwnBranches)
    {
        if CLOSING.iter().all(|kind| rules.iter().any(|rule| rule.kind == *kind)) {
            passes(facts, rules, &rulesets, judged);
        } else {
            judged.add(
                Finding::warning(
                    "own-branches-open",
                    format!("{}: branches chandlery/**", facts.catalog),
                    "every writer may change the branches that Chandlery made for people's requests",
                )
                .cure(format!(
                    "{}: New ruleset, Import a ruleset: .github/rulesets/chandlery-branches.json",
                    page(facts)
                ))
                .mend(Mend::OwnBranches),
            );
        }
    }
}

/// Nothing can be ruled there.
pub(super) fn no_plan(facts: &Facts) -> Finding {
    Finding::error(
        "plan-without-rules",
        &facts.catalog,
        "its owner's plan has no rulesets for private repositories, so nothing keeps unapproved requests from being \
         merged: they are refused after the merge",
    )
    .cure("make the catalog public, or have its owner choose another plan; docs/doctor.md says what remains")
}

/// How commits and records reach the catalog, as its settings say.
fn ways(facts: &Facts) -> (CommitBy, RecordBy) {
    let settings = facts
        .files
        .as_ref()
        .ok()
        .and_then(|files| load_settings(&facts.root, files.get(&facts.root.settings_path())).ok());
    settings.map(|settings| (settings.commits, settings.state)).unwrap_or_default()
}

fn page(facts: &Facts) -> String {
    format!("in {}: Settings, Rules, Rulesets", facts.catalog)
}

fn place(facts: &Facts, ruleset: &str) -> String {
    format!("{}: ruleset `{ruleset}`", facts.catalog)
}

/// Where a rule comes from, and whether that is ours to mend.
fn origin(facts: &Facts, rule: &Rule, rulesets: &[Ruleset]) -> (String, Option<Mend>) {
    match rulesets.iter().find(|known| known.id == rule.ruleset) {
        Some(known) => (place(facts, &known.name), our_ruleset(&known.name).filter(|_| known.is_own)),
        None => (format!("{}: a ruleset of {}", facts.catalog, rule.source), None),
    }
}

fn default_branch(facts: &Facts, rules: &[Rule], rulesets: &[Ruleset], judged: &mut Judgement) {
    let here = format!("{}: default branch", facts.catalog);
    let import =
        format!("{}: New ruleset, Import a ruleset: .github/rulesets/default-branch.json", page(facts));
    let has = |kind: &str| rules.iter().any(|rule| rule.kind == kind);
    for (kind, code, what) in [
        (
            "non_fast_forward",
            "force-push-allowed",
            "its history may be rewritten, and with it what was approved",
        ),
        ("deletion", "deletion-allowed", "it may be deleted"),
        (
            "pull_request",
            "bare-push-allowed",
            "requests may be pushed to it without a pull request, past every approval",
        ),
    ] {
        if !has(kind) {
            judged.add(Finding::error(code, &here, what).cure(&import).mend(Mend::DefaultBranch));
        }
    }
    let from = |rule: &Rule, finding: Finding| {
        let (at, mend) = origin(facts, rule, rulesets);
        Finding { at, mend, ..finding }
    };
    checks(facts, rules, &import, &from, judged);
    for rule in rules {
        match rule.kind.as_str() {
            "required_status_checks" if rule.parameters["strict_required_status_checks_policy"] == true => judged.add(from(
                rule,
                Finding::error(
                    "check-strict",
                    &here,
                    "branches must be up to date before merging: each record puts every open request behind, and none gets through",
                )
                .cure(format!("{}: untick Require branches to be up to date before merging", page(facts))),
            )),
            "pull_request" if wants_reviews(rule) => judged.add(from(
                rule,
                Finding::warning(
                    "native-approvals",
                    &here,
                    "GitHub itself demands approvals by writers, also where an action needs none or lets others approve",
                )
                .cure(format!(
                    "{}: set Required approvals to 0 and untick Require approval of the most recent reviewable push; \
                     Chandlery's check says who must approve",
                    page(facts)
                )),
            )),
            // What GitHub makes for an App it signs.
            "required_signatures" if ways(facts).0 == CommitBy::Push => judged.add(from(
                rule,
                Finding::error(
                    "signatures-required",
                    &here,
                    "signed commits are required, and the commits that Chandlery pushes are not signed: no request can be merged",
                )
                .cure(format!(
                    "say `commits: api` in chandlery.yaml, which has GitHub make and sign them; or {}: untick Require \
                     signed commits",
                    page(facts)
                )),
            )),
            "merge_queue" => queue(facts, rule, &from, judged),
            _ => {}
        }
    }
}

/// A queue is fine if every commit that it makes needs our check, and if it waits long enough for it.
fn queue(facts: &Facts, rule: &Rule, from: &dyn Fn(&Rule, Finding) -> Finding, judged: &mut Judgement) {
    let here = format!("{}: default branch", facts.catalog);
    if rule.parameters["grouping_strategy"] == "HEADGREEN" {
        return judged.add(from(
            rule,
            Finding::error(
                "merge-queue-skips-checks",
                &here,
                "the merge queue merges what failed the check if what stands behind it passed",
            )
            .cure(format!(
                "{}: Require merge queue, tick Require all queue entries to pass required checks",
                page(facts)
            )),
        ));
    }
    let minutes = rule.parameters["check_response_timeout_minutes"].as_u64().unwrap_or(60);
    if minutes < LEAST_MINUTES {
        return judged.add(from(
            rule,
            Finding::warning(
                "merge-queue-hurries",
                &here,
                format!(
                    "the merge queue waits {minutes} minutes for a check, and Chandlery may be started later"
                ),
            )
            .cure(format!(
                "{}: Require merge queue, set Status check timeout to {LEAST_MINUTES} or more",
                page(facts)
            )),
        ));
    }
    judged.add(from(
        rule,
        Finding::warning(
            "merge-queue",
            &here,
            "merges go through a queue: what Chandlery does there is tried on its local forge only, never on GitHub's own",
        )
        .cure("try it with a request that changes little, and tell us what you saw"),
    ));
}

fn wants_reviews(rule: &Rule) -> bool {
    let parameters = &rule.parameters;
    parameters["required_approving_review_count"].as_u64().unwrap_or(0) > 0
        || parameters["require_last_push_approval"] == true
}

fn checks(
    facts: &Facts,
    rules: &[Rule],
    import: &str,
    from: &dyn Fn(&Rule, Finding) -> Finding,
    judged: &mut Judgement,
) {
    let here = format!("{}: default branch", facts.catalog);
    let required: Vec<(&Rule, Option<u64>)> = rules
        .iter()
        .flat_map(|rule| {
            let checks = rule.parameters["required_status_checks"].as_array().into_iter().flatten();
            checks
                .filter(|check| check["context"] == CHECK)
                .map(move |check| (rule, check["integration_id"].as_u64()))
        })
        .collect();
    if required.is_empty() {
        judged.add(
            Finding::error(
                "no-required-check",
                &here,
                format!("the check `{CHECK}` is not required, so unapproved requests can be merged"),
            )
            .cure(import)
            .mend(Mend::DefaultBranch),
        );
        return;
    }
    let Some(app) = app_id(facts, "whose check is required", judged) else { return };
    let is_ours = required.iter().any(|(_, id)| *id == Some(app));
    for (rule, id) in required {
        let cure = format!(
            "{}: under Require status checks to pass remove `{CHECK}`, add it again, and choose the App as its source",
            page(facts)
        );
        match id {
            None if !is_ours => judged.add(from(
                rule,
                Finding::error(
                    "check-from-anybody",
                    &here,
                    format!("the check `{CHECK}` may come from anybody: every writer can set a status of that name"),
                )
                .cure(cure),
            )),
            Some(other) if other != app => judged.add(from(
                rule,
                Finding::error(
                    "check-not-from-app",
                    &here,
                    format!("the check `{CHECK}` must come from App {other}, and Chandlery acts as App {app}"),
                )
                .cure(cure),
            )),
            _ => {}
        }
    }
}

/// Every ruleset that would refuse our pushes must let us by.
fn passes(facts: &Facts, rules: &[Rule], rulesets: &[Ruleset], judged: &mut Judgement) {
    let Some(app) = app_id(facts, "whether the App is let by", judged) else { return };
    let mut ids: Vec<u64> =
        rules.iter().filter(|rule| REFUSING.contains(&rule.kind.as_str())).map(|rule| rule.ruleset).collect();
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        let known = rulesets.iter().find(|known| known.id == id);
        let name = known.map_or_else(|| format!("number {id}"), |known| known.name.clone());
        let lets_by = match known {
            Some(Ruleset { lets_by: Some(apps), .. }) => Ok(apps.contains(&app)),
            Some(Ruleset { lets_us_by: Some(us), .. }) => Ok(*us),
            _ => Err("only an administrator is told whom a ruleset lets by".to_owned()),
        };
        if judged.seen(&format!("bypass list of the ruleset `{name}`"), &lets_by) == Some(&false) {
            let mend = known.filter(|known| known.is_own).and_then(|known| our_ruleset(&known.name));
            judged.add(Finding {
                mend,
                ..Finding::error(
                    "no-bypass",
                    place(facts, &name),
                    "the App is not let by, so what Chandlery writes there is refused",
                )
                .cure(format!(
                    "{}, {name}: Bypass list, Add bypass: the App, Always allow; where nobody may be let by, say \
                     `state: pullRequest` in chandlery.yaml",
                    page(facts)
                ))
            });
        }
    }
}
