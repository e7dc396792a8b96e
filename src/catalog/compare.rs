//! Does a value stand to another as an operator says?

use std::cmp::Ordering;

use serde_json::Value;

use crate::domain::{Operator, Timestamp, preset};

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
        Operator::IsExpired => date(value).is_some_and(|end| end <= now),
        Operator::IsNotExpired => date(value).is_some_and(|end| end > now),
    }
}

fn is_equal(value: &Value, other: &Value, now: Timestamp) -> bool {
    if other.is_object() {
        return is_between(value, other, now);
    }
    value == other || order(value, other) == Some(Ordering::Equal)
}

/// Numbers by their size, dates by when they are, other texts as they are written.
pub(super) fn order(value: &Value, other: &Value) -> Option<Ordering> {
    match (value, other) {
        (Value::Number(one), Value::Number(two)) => one.as_f64()?.partial_cmp(&two.as_f64()?),
        (Value::String(one), Value::String(two)) => match (date(value), date(other)) {
            (Some(one), Some(two)) => Some(one.cmp(&two)),
            _ => Some(one.cmp(two)),
        },
        (Value::Bool(one), Value::Bool(two)) => Some(one.cmp(two)),
        _ => None,
    }
}

fn contains(value: &Value, other: &Value) -> bool {
    match (value, other) {
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (Value::Array(items), one) => items.contains(one),
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
    match value {
        Value::Array(items) => items.iter().any(|item| list(other).contains(item)),
        value => list(other).contains(value),
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
    let ends = match span["preset"].as_str() {
        Some(name) => preset(name, now),
        None => date(&span["from"]).zip(date(&span["to"])),
    };
    ends.is_some_and(|(from, to)| (from..=to).contains(&moment))
}

fn date(value: &Value) -> Option<Timestamp> {
    let text = value.as_str()?;
    // A name such as `3` is no date, though it could be read as one.
    (text.len() >= 20).then(|| text.parse().ok()).flatten()
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
