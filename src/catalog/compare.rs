//! Does a value stand to another as an operator says?

use std::cmp::Ordering;

use serde_json::Value;

use crate::domain::{Operator, PropertyType, Timestamp, moment, preset, whole};

/// Whether `value`, which a property holds (null where it holds nothing), stands so to what the query names.
/// `now` is what words such as `lastWeek` are seen from.
pub(super) fn holds(value: &Value, operator: Operator, other: &Value, now: Timestamp) -> bool {
    match operator {
        Operator::Equal => is_equal(value, other, now),
        Operator::NotEqual => !is_equal(value, other, now),
        Operator::Greater => order(value, other) == Some(Ordering::Greater),
        Operator::GreaterOrEqual => order(value, other).is_some_and(Ordering::is_ge),
        Operator::Less => order(value, other) == Some(Ordering::Less),
        Operator::LessOrEqual => order(value, other).is_some_and(Ordering::is_le),
        Operator::Contains => contains(value, other),
        Operator::DoesNotContain => !contains(value, other),
        Operator::ContainsAny => list(other).iter().any(|one| contains(value, one)),
        Operator::BeginsWith => both(value, other, |text, start| text.starts_with(start)),
        Operator::DoesNotBeginWith => !both(value, other, |text, start| text.starts_with(start)),
        Operator::EndsWith => both(value, other, |text, end| text.ends_with(end)),
        Operator::DoesNotEndWith => !both(value, other, |text, end| text.ends_with(end)),
        Operator::In => is_among(value, other),
        Operator::NotIn => !is_among(value, other),
        Operator::Between => is_between(value, other, now),
        Operator::NotBetween => !is_between(value, other, now),
        Operator::IsEmpty => value.is_null(),
        Operator::IsNotEmpty => !value.is_null(),
        Operator::IsExpired => date(value).is_some_and(|end| whole_second(end) <= now),
        Operator::IsNotExpired => date(value).is_some_and(|end| whole_second(end) > now),
    }
}

fn is_equal(value: &Value, other: &Value, now: Timestamp) -> bool {
    if other.is_object() {
        return is_between(value, other, now);
    }
    is_same(value, other)
}

/// 3 is 3.0, and a moment is the same in every zone; in lists, too.
fn is_same(value: &Value, other: &Value) -> bool {
    match (value, other) {
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| is_same(one, two))
        }
        _ => value == other || order(value, other) == Some(Ordering::Equal),
    }
}

/// The order of any two values in a list that is sorted: those of a kind by their size, and kind after kind.
pub(super) fn sorted(value: &Value, other: &Value) -> Ordering {
    let kind = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) if date(value).is_some() => 3,
        Value::String(_) => 4,
        Value::Array(_) | Value::Object(_) => 5,
    };
    kind(value)
        .cmp(&kind(other))
        .then_with(|| order(value, other).unwrap_or_else(|| value.to_string().cmp(&other.to_string())))
}

/// Numbers by their size, dates by when they are, other texts as they are written.
pub(super) fn order(value: &Value, other: &Value) -> Option<Ordering> {
    match (value, other) {
        (Value::Number(one), Value::Number(two)) => match (whole(one), whole(two)) {
            (Some(one), Some(two)) => Some(one.cmp(&two)),
            _ => one.as_f64()?.partial_cmp(&two.as_f64()?),
        },
        (Value::String(one), Value::String(two)) => match (date(value), date(other)) {
            (Some(one), Some(two)) => Some(one.cmp(&two)),
            _ => Some(one.cmp(two)),
        },
        (Value::Bool(one), Value::Bool(two)) => Some(one.cmp(two)),
        _ => None,
    }
}

/// Whether a value is of the type that its definition says.
pub(super) fn fits(kind: PropertyType, value: &Value) -> bool {
    match kind {
        PropertyType::String => value.is_string(),
        PropertyType::Number => value.is_number(),
        PropertyType::Boolean => value.is_boolean(),
        PropertyType::Object => value.is_object(),
        PropertyType::Array => value.is_array(),
    }
}

fn contains(value: &Value, other: &Value) -> bool {
    match (value, other) {
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (Value::Array(items), one) => items.iter().any(|item| is_same(item, one)),
        _ => false,
    }
}

fn both(value: &Value, other: &Value, holds: impl Fn(&str, &str) -> bool) -> bool {
    match (value.as_str(), other.as_str()) {
        (Some(text), Some(part)) => holds(text, part),
        _ => false,
    }
}

fn is_among(value: &Value, other: &Value) -> bool {
    let is_listed = |value: &Value| list(other).iter().any(|one| is_same(value, one));
    match value {
        Value::Array(items) => items.iter().any(is_listed),
        value => is_listed(value),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn is_between(value: &Value, span: &Value, now: Timestamp) -> bool {
    if let (Some(number), Some(from), Some(to)) = (value.as_f64(), span["from"].as_f64(), span["to"].as_f64())
    {
        return (from..=to).contains(&number);
    }
    let Some(moment) = date(value) else { return false };
    match span["preset"].as_str() {
        Some(name) => preset(name, now).is_some_and(|(from, to)| (from..=to).contains(&whole_second(moment))),
        None => {
            let ends = date(&span["from"]).zip(date(&span["to"]));
            ends.is_some_and(|(from, to)| (from..=to).contains(&moment))
        }
    }
}

/// A moment, to the fraction of a second.
fn date(value: &Value) -> Option<jiff::Timestamp> {
    let text = value.as_str()?;
    // A name such as `3` is no date, though it could be read as one.
    (text.len() >= 20).then(|| moment(text)).flatten()
}

/// As `now` is told, and the ends of a day.
fn whole_second(moment: jiff::Timestamp) -> Timestamp {
    Timestamp::from_seconds(moment.as_second())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_operator_does_what_it_says() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let (web, tags) = (json!("web-shop"), json!(["web", "grpc"]));
        for (value, operator, other, wanted) in [
            (&web, "=", json!("web-shop"), true),
            (&web, "!=", json!("web-shop"), false),
            (&Value::Null, "!=", json!("x"), true),
            (&json!(3), "=", json!(3.0), true),
            (&json!(3), ">", json!(2), true),
            (&json!(3), ">=", json!(3), true),
            (&json!(3), "<", json!(3), false),
            (&json!(3), "<=", json!("3"), false),
            (&json!("2026-11-24T13:00:00+02:00"), "<", json!("2026-11-24T12:00:00Z"), true),
            (&web, "contains", json!("b-s"), true),
            (&tags, "contains", json!("grpc"), true),
            (&tags, "doesNotContains", json!("grpc"), false),
            (&tags, "containsAny", json!(["x", "web"]), true),
            (&web, "containsAny", json!(["x", "shop"]), true),
            (&web, "beginsWith", json!("web"), true),
            (&web, "doesNotBeginsWith", json!("web"), false),
            (&web, "endsWith", json!("shop"), true),
            (&web, "doesNotEndsWith", json!("web"), true),
            (&web, "in", json!(["a", "web-shop"]), true),
            (&tags, "in", json!(["grpc"]), true),
            (&json!(1.0), "in", json!([1, 2]), true),
            (&json!([1.0]), "contains", json!(1), true),
            (&json!([1, 2.0]), "=", json!([1.0, 2]), true),
            (&json!("2026-11-24T13:00:00+01:00"), "notIn", json!(["2026-11-24T12:00:00Z"]), false),
            (&json!("2026-11-24T12:00:00.5Z"), "=", json!("2026-11-24T12:00:00Z"), false),
            (&json!("2026-11-24T12:00:00.5Z"), ">", json!("2026-11-24T13:00:00.25+01:00"), true),
            (&json!("2026-11-24T23:59:59.5Z"), "=", json!({ "preset": "today" }), true),
            (&json!(9_007_199_254_740_993_u64), "=", json!(9_007_199_254_740_992_u64), false),
            (&json!(9_007_199_254_740_993_u64), ">", json!(9_007_199_254_740_992.0), true),
            (&json!(u64::MAX), ">", json!(i64::MAX), true),
            (&web, "notIn", json!(["a"]), true),
            (&Value::Null, "isEmpty", Value::Null, true),
            (&json!(""), "isEmpty", Value::Null, false),
            (&web, "isNotEmpty", Value::Null, true),
            (&json!("2026-11-24T11:59:59Z"), "isExpired", Value::Null, true),
            (&json!("2026-11-25T00:00:00Z"), "isNotExpired", Value::Null, true),
            (&Value::Null, "isNotExpired", Value::Null, false),
            (&json!("2026-11-24T00:00:00Z"), "=", json!({ "preset": "today" }), true),
            (&json!("2026-11-23T23:59:59Z"), "between", json!({ "preset": "yesterday" }), true),
            (&json!("2026-11-16T12:00:00Z"), "between", json!({ "preset": "lastWeek" }), false),
            (&json!("2026-11-16T12:00:00Z"), "notBetween", json!({ "preset": "lastWeek" }), true),
            (&json!(3), "between", json!({ "from": 3, "to": 4.5 }), true),
            (&json!(5), "notBetween", json!({ "from": 3, "to": 4.5 }), true),
            (
                &json!("2026-02-01T00:00:00Z"),
                "between",
                json!({ "from": "2026-01-01T00:00:00Z", "to": "2026-03-01T00:00:00Z" }),
                true,
            ),
        ] {
            let operator_ = Operator::named(operator).unwrap();
            assert_eq!(holds(value, operator_, &other, now), wanted, "{value} {operator} {other}");
        }
    }
}
