//! How is a value written for a reader that is neither YAML nor JSON? So that it gets the same value back.

use serde_json::Value;

use super::edit::write::quoted;

/// The value as HCL on one line: texts quoted, so that no `${` or `%{` in them is evaluated.
pub(super) fn hcl(value: &Value) -> String {
    match value {
        // `$${` stands for `${`, but after another `$` readers differ; the letter's number is read alike by all.
        Value::String(text) if text.contains("$${") || text.contains("%%{") => {
            quoted(text).replace("${", "\\u0024{").replace("%{", "\\u0025{")
        }
        Value::String(text) => quoted(text).replace("${", "$${").replace("%{", "%%{"),
        Value::Array(items) => format!("[{}]", items.iter().map(hcl).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| format!("{} = {}", hcl(&Value::from(key.as_str())), hcl(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// The value as TOML on one line.
///
/// # Errors
/// What TOML cannot say, in words.
pub(super) fn toml(value: &Value) -> Result<String, &'static str> {
    Ok(match value {
        Value::Null => return Err("TOML has no null"),
        Value::Number(number) if number.as_u64().is_some_and(|number| i64::try_from(number).is_err()) => {
            return Err("TOML has no whole number as large as this");
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(toml).collect::<Result<_, _>>()?;
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(key, value)| Ok(format!("{} = {}", toml_key(key), toml(value)?)));
            format!("{{ {} }}", fields.collect::<Result<Vec<_>, &str>>()?.join(", "))
        }
    })
}

/// A key of TOML.
pub(super) fn toml_key(key: &str) -> String {
    let is_bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    if is_bare { key.to_owned() } else { quoted(key) }
}

/// The value as one word of a shell; a list as one word for each item.
///
/// # Errors
/// What no word of a shell can hold, in words.
pub(super) fn shell(value: &Value) -> Result<String, &'static str> {
    let word = |text: &str| {
        let is_plain =
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./@%+".contains(c));
        if text.contains('\0') {
            Err("a word of a shell cannot hold the character NUL")
        } else if is_plain {
            Ok(text.to_owned())
        } else {
            Ok(format!("'{}'", text.replace('\'', "'\\''")))
        }
    };
    match value {
        Value::String(text) => word(text),
        Value::Array(items) => Ok(items.iter().map(shell).collect::<Result<Vec<_>, _>>()?.join(" ")),
        Value::Object(_) => word(&super::edit::write::json(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
    }
}
