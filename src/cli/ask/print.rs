//! How is a table printed? For people, for programs, and for spreadsheets.

use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::cli::output::plain;

/// How wide one column may be.
const WIDEST: usize = 60;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum As {
    /// Columns, for people
    Table,
    /// YAML
    Yaml,
    /// JSON
    Json,
    /// Comma-separated values (RFC 4180)
    Csv,
}

/// Rows with the same columns.
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Table {
    /// The table as text.
    pub(crate) fn print(&self, format: As) -> anyhow::Result<String> {
        Ok(match format {
            As::Table => self.for_people(),
            As::Csv => self.csv(),
            As::Json => format!("{:#}\n", Value::Array(self.objects())),
            As::Yaml => serde_yaml::to_string(&self.objects())?,
        })
    }

    fn objects(&self) -> Vec<Value> {
        let object = |row: &Vec<Value>| -> Map<String, Value> {
            self.columns.iter().cloned().zip(row.iter().cloned()).collect()
        };
        self.rows.iter().map(|row| Value::Object(object(row))).collect()
    }

    fn for_people(&self) -> String {
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([self.columns[column].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let head: Vec<String> = self.columns.iter().map(|name| name.to_uppercase()).collect();
        let mut text = String::new();
        for row in std::iter::once(&head).chain(&rows) {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    fn csv(&self) -> String {
        let mut text = String::new();
        let head: Vec<Value> = self.columns.iter().map(|name| name.as_str().into()).collect();
        for row in std::iter::once(&head).chain(&self.rows) {
            let cells: Vec<String> = row.iter().map(quoted).collect();
            text.push_str(&cells.join(","));
            text.push_str("\r\n");
        }
        text
    }
}

/// A value as people read it, on one line.
fn cell(value: &Value) -> String {
    let text = plain(&words(value)).replace(['\n', '\t'], " ");
    if text.chars().count() <= WIDEST {
        return text;
    }
    text.chars().take(WIDEST - 1).chain(['…']).collect()
}

/// A value in words.
pub(super) fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        value => value.to_string(),
    }
}

/// How what a spreadsheet runs as a formula begins: the wide forms are the same to some, and a blank before is passed over.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// A value as a cell of a spreadsheet: never a formula, and nothing that a terminal would obey.
fn quoted(value: &Value) -> String {
    let obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
    let text = words(value).replace("\r\n", "\n").replace(obeyed, "\u{fffd}");
    let is_formula = !value.is_number() && text.trim_start().starts_with(FORMULA);
    let text = if is_formula { format!("'{text}") } else { text };
    if text.contains([',', ';', '\t', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_read_by_people_and_programs() {
        let table = Table {
            columns: vec!["id".to_owned(), "tags".to_owned()],
            rows: vec![
                vec![json!("a"), json!(["x", "y"])],
                vec![json!("=SUM(1)"), json!("say \"hi\", \u{1b}[31mred")],
                vec![json!(-3), json!("-3")],
                vec![json!(["+1", "a"]), json!(" @x;\u{ff1d}y\r\n")],
            ],
        };
        assert_eq!(
            table.print(As::Table).unwrap(),
            "ID       TAGS\na        x, y\n=SUM(1)  say \"hi\", \u{fffd}[31mred\n-3       -3\n+1, a     @x;\u{ff1d}y\u{fffd}\n"
        );
        assert_eq!(
            table.print(As::Csv).unwrap(),
            "id,tags\r\na,\"x, y\"\r\n'=SUM(1),\"say \"\"hi\"\", \u{fffd}[31mred\"\r\n-3,'-3\r\n\"'+1, a\",\"' @x;\u{ff1d}y\n\"\r\n"
        );
        assert!(table.print(As::Json).unwrap().contains("\"tags\": [\n"));
    }
}
