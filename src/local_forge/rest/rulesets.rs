//! Rulesets of a repository, and the rules that come of them for a branch.

use serde_json::{Value, json};

use crate::local_forge::reply::{Answer, Call, Refusal, Reply, created, not_found, ok, refuse};
use crate::local_forge::rules::{self, Way};
use crate::local_forge::setup::Ruleset;
use crate::local_forge::store::Permission;

pub(crate) fn route(call: &mut Call<'_>, key: &str, rest: &[&str]) -> Answer {
    if call.method != "GET" {
        call.require(key, Permission::Admin)?;
    }
    match (call.method, rest) {
        ("GET", []) => {
            let all: Vec<&Ruleset> = call.repository(key).setup.rulesets.values().collect();
            call.page(&all, |ruleset| show(call, key, ruleset, false))
        }
        ("GET", [id]) => ok(show(call, key, find(call, key, id)?, true)),
        ("POST", []) => {
            let (id, at) = (call.state.next_id(), call.state.stamp());
            let new = Ruleset { id, target: "branch".to_owned(), created_at: at, ..Ruleset::default() };
            created(keep(call, key, new)?)
        }
        ("PUT", [id]) => {
            let old = find(call, key, id)?.clone();
            ok(keep(call, key, old)?)
        }
        ("DELETE", [id]) => {
            let id = find(call, key, id)?.id;
            call.repository_mut(key).setup.rulesets.remove(&id);
            Ok(Reply::empty())
        }
        _ => Err(not_found()),
    }
}

fn find<'a>(call: &'a Call<'_>, key: &str, id: &str) -> Result<&'a Ruleset, Refusal> {
    let id = id.parse().map_err(|_| not_found())?;
    call.repository(key).setup.rulesets.get(&id).ok_or_else(not_found)
}

/// Fills a ruleset from the body and keeps it.
fn keep(call: &mut Call<'_>, key: &str, mut ruleset: Ruleset) -> Result<Value, Refusal> {
    ruleset
        .fill(&call.body)
        .map_err(|field| refuse(422, format!("Invalid request.\n\nInvalid property /{field}.")))?;
    let same = |known: &&Ruleset| known.name == ruleset.name && known.id != ruleset.id;
    if call.repository(key).setup.rulesets.values().find(same).is_some() {
        return Err(refuse(422, "Validation Failed\n\nName must be unique"));
    }
    ruleset.updated_at = call.state.stamp();
    let shown = show(call, key, &ruleset, true);
    call.repository_mut(key).setup.rulesets.insert(ruleset.id, ruleset);
    Ok(shown)
}

/// Who is let by is shown to those only who could change it.
fn show(call: &Call<'_>, key: &str, ruleset: &Ruleset, whole: bool) -> Value {
    let repository = call.repository(key);
    let api = call.view().api(&format!("repos/{key}/rulesets/{}", ruleset.id));
    let mut shown = json!({
        "id": ruleset.id, "name": ruleset.name, "target": ruleset.target, "source_type": "Repository", "source": key,
        "enforcement": ruleset.enforcement, "node_id": format!("RRS_{}", ruleset.id),
        "_links": {"self": {"href": api}, "html": {"href": format!("{}/{key}/rules/{}", call.shared.url, ruleset.id)}},
        "created_at": ruleset.created_at, "updated_at": ruleset.updated_at,
    });
    if whole {
        let mode = if rules::lets_by(call, repository, ruleset, Way::Bare) { "always" } else { "never" };
        shown["conditions"] = json!({"ref_name": {"include": ruleset.include, "exclude": ruleset.exclude}});
        shown["rules"] = ruleset.rules.clone().into();
        shown["current_user_can_bypass"] = mode.into();
        if call.permission(repository) >= Permission::Admin {
            shown["bypass_actors"] = ruleset.bypass_actors.clone().into();
        }
    }
    shown
}

pub(crate) fn of_branch(call: &Call<'_>, key: &str, branch: &str) -> Answer {
    call.page(&rules::listed(call.repository(key), branch), Value::clone)
}
