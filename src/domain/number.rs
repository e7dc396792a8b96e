//! Which numbers are one and the same?

use serde_json::{Number, Value};

/// A number without a fraction, however it is written.
pub fn whole(number: &Number) -> Option<i128> {
    let integer = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
    let of_float = |float: f64| (float.fract() == 0.0 && float.abs() < 1e38).then_some(float as i128);
    integer.or_else(|| number.as_f64().and_then(of_float))
}

/// A value with 2 for each 2.0, as they are one number in JSON and to jq.
pub fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => match whole(&number).map(i64::try_from) {
            Some(Ok(integer)) => integer.into(),
            _ => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(whole_numbers).collect(),
        Value::Object(entries) => {
            entries.into_iter().map(|(key, value)| (key, whole_numbers(value))).collect()
        }
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_whole_number_is_written_in_one_way() {
        for (value, wanted) in [
            (json!(2.0), "2"),
            (json!(-0.0), "0"),
            (json!(1e15), "1000000000000000"),
            (json!([1.0, { "a": 3.0 }, 2.5]), r#"[1,{"a":3},2.5]"#),
            (json!(9_007_199_254_740_993_u64), "9007199254740993"),
        ] {
            assert_eq!(whole_numbers(value).to_string(), wanted);
        }
    }
}
