//! Where in a TOML file are its values?

use toml_edit::{Document, Item, Key, Table, Value};

use super::{Parsed, Unreadable};

pub(super) fn parse(text: &str) -> Result<Parsed, Unreadable> {
    let document = read(text)?;
    let mut parsed = Parsed::default();
    table(document.as_table(), text, &mut parsed);
    Ok(parsed.in_order())
}

/// Reads a TOML file.
pub(in crate::render) fn read(text: &str) -> Result<Document<&str>, Unreadable> {
    Document::parse(text).map_err(|error| Unreadable {
        message: error.message().trim().replace('\n', ", "),
        at: error.span().map(|span| position(text, span.start)),
    })
}

fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn table(table: &Table, text: &str, parsed: &mut Parsed) {
    for name in table.iter().map(|(name, _)| name) {
        if let Some((key, item)) = table.get_key_value(name) {
            key_of(key, text, parsed);
            match item {
                Item::None => {}
                Item::Value(found) => value(found, text, parsed),
                Item::Table(inner) => self::table(inner, text, parsed),
                Item::ArrayOfTables(tables) => {
                    tables.iter().for_each(|inner| self::table(inner, text, parsed));
                }
            }
        }
    }
}

fn key_of(key: &Key, text: &str, parsed: &mut Parsed) {
    if let Some(span) = key.span() {
        let quotes = usize::from(text[span.clone()].starts_with(['"', '\'']));
        parsed.leaf(span, quotes);
    }
}

fn value(found: &Value, text: &str, parsed: &mut Parsed) {
    let Some(span) = found.span() else { return };
    match found {
        Value::String(_) => {
            let written = &text[span.clone()];
            let quotes = if written.starts_with("\"\"\"") || written.starts_with("'''") { 3 } else { 1 };
            parsed.leaf(span, quotes);
        }
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => parsed.other(span),
        Value::Array(items) => {
            parsed.values.insert((span.start, span.end));
            items.iter().for_each(|item| value(item, text, parsed));
        }
        Value::InlineTable(fields) => {
            parsed.values.insert((span.start, span.end));
            for name in fields.iter().map(|(name, _)| name) {
                let Some((key, item)) = fields.get_key_value(name) else { continue };
                key_of(key, text, parsed);
                if let Item::Value(inner) = item {
                    value(inner, text, parsed);
                }
            }
        }
    }
}
