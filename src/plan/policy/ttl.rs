//! How long may something live?
//!
//! A time from the merge on is judged as it is. A date is judged against the forge's time: it only comes nearer, so what was
//! allowed once stays allowed, and a plan does not change by itself.

use serde_json::Value;

use super::{
    super::{
        asking::{self, Changed},
        build::Site,
        facts::Looked,
        plan_file::EntityOperation,
    },
    Case, Finding,
};
use crate::domain::{
    BlueprintId, Format, Property, Timestamp,
    later::{self, Piece},
};

/// What a property is called that says how long an entity lives.
const TTL: &str = "ttl";

/// The longest life of entities that are new, or whose end is set anew.
pub(super) fn judge(case: &Case<'_>) -> Looked<Vec<Finding>> {
    let Some(longest) = &case.policy.effects.max_ttl else { return Ok(Vec::new()) };
    let (changed, now) = (asking::entities(case.site, case.asking.entities), super::now(case.site));
    let (changed, now) = match (changed?, now?) {
        (Ok(changed), Ok(now)) => (changed, now),
        (Err(why), _) => return Ok(vec![case.unknown("maxTtl", &why)]),
        (_, Err(why)) => return Ok(vec![case.unknown("maxTtl", &why)]),
    };
    let mut found = Vec::new();
    for one in &changed {
        let Some(why) = too_long(case, one, longest.seconds, now) else { continue };
        let message =
            format!("lets nothing live longer than {}, and `{}` {why}", longest.text, one.entity.id());
        let help = format!("ask for an end within {}; it can be put off later by asking again", longest.text);
        found.push(Finding::Refused(case.refusal("policy-ttl", "maxTtl", &message, &help)));
    }
    Ok(found)
}

fn too_long(case: &Case<'_>, one: &Changed, longest: i64, now: Timestamp) -> Option<String> {
    if one.change == EntityOperation::Delete {
        return None;
    }
    let blueprint = case.site.definitions.blueprints.get(&one.entity.blueprint)?;
    let tells = |(name, property): &&(String, Property)| {
        property.format == Some(Format::Timer)
            || name == TTL
            || is_end(case.site, &one.entity.blueprint, name)
    };
    let ends: Vec<&(String, Property)> = blueprint.properties.iter().filter(tells).collect();
    if ends.is_empty() {
        return None;
    }
    let mut has_end = false;
    for (name, property) in ends {
        let value = one.later.get(name).or_else(|| one.entity.properties.get(name));
        let Some(value) = value.filter(|value| !value.is_null()) else { continue };
        has_end = true;
        // What is as it was is not what this request asks for.
        let before = one.before.as_ref().and_then(|before| before.properties.get(name));
        if before == Some(value) {
            continue;
        }
        let is_timer = property.format == Some(Format::Timer) || name != TTL;
        match length(value, is_timer, now) {
            Some(seconds) if seconds <= longest => {}
            Some(_) => {
                let shown = later::shown(value);
                let shown = shown.as_str().map_or_else(|| shown.to_string(), str::to_owned);
                return Some(format!("would live until `{shown}` (`{name}`)"));
            }
            None => return Some(format!("has an end that is not known when it is planned (`{name}`)")),
        }
    }
    (!has_end).then(|| "would have no end".to_owned())
}

/// Whether a DELETE is asked for by itself when this property says so.
fn is_end(site: &Site<'_>, blueprint: &BlueprintId, name: &str) -> bool {
    let mut actions = site.definitions.actions.values().map(|defined| &defined.value);
    actions.any(|action| {
        action.blueprint == *blueprint && action.ttl.as_ref().is_some_and(|ttl| ttl.property == name)
    })
}

/// How many seconds of life a value gives; none where it cannot be said.
fn length(value: &Value, is_timer: bool, now: Timestamp) -> Option<i64> {
    let start = Timestamp::from_seconds(0);
    if later::needs_outputs(value) {
        let (mut seconds, mut pieces) = (None, 0);
        later::each_unknown(value, &mut |piece| {
            pieces += 1;
            if let Piece::Merged(amount) = piece {
                seconds = start.after(amount).map(Timestamp::seconds);
            }
        });
        let is_alone = value[later::PIECES].as_array().is_some_and(|all| all.len() == 1);
        return seconds.filter(|_| pieces == 1 && is_alone);
    }
    let text = value.as_str()?;
    if is_timer {
        return text.parse::<Timestamp>().ok().map(|end| end.seconds() - now.seconds());
    }
    start.after(text).filter(|_| !text.is_empty()).map(Timestamp::seconds)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_life_is_measured_from_the_merge_or_from_now() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let merged = |text: &str| json!({ later::PIECES: [{ "merged": text }] });
        for (value, is_timer, wanted) in [
            (merged("7d"), true, Some(7 * 86_400)),
            (merged(""), true, Some(0)),
            (json!("2026-11-25T12:00:00Z"), true, Some(86_400)),
            (json!("2026-11-23T12:00:00Z"), true, Some(-86_400)),
            (json!("12h"), false, Some(43_200)),
            (json!("soon"), false, None),
            (json!("soon"), true, None),
            (json!({ later::PIECES: [{ "output": "a.b" }] }), true, None),
            (json!({ later::PIECES: ["x", { "merged": "7d" }] }), true, None),
        ] {
            assert_eq!(length(&value, is_timer, now), wanted, "{value}");
        }
    }
}
