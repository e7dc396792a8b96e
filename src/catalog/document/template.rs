//! What may the manifest of a folder of templates say?

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Reader, join, kind};
use crate::{
    catalog::values::{Segment, Wrong, trail},
    domain::{Delimiters, EditTarget, RepoPath, TemplateManifest, TextEdit},
};

/// How a folder of templates is rendered, `action-templates/<name>/template.yaml`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::catalog) struct TemplateDocument {
    /// What it is for.
    description: Option<String>,
    /// How the files mark expressions; `{{ }}`, `{% %}` and `{# #}` if not said.
    delimiters: Option<DelimitersDocument>,
    /// Whether files that exist with other content are replaced; otherwise they are an error.
    #[serde(default)]
    overwrite: bool,
    /// Values set inside existing files.
    set: Option<Vec<EditDocument>>,
}

kind!(TemplateDocument, "template");

/// The start and the end of each mark. What is not said stays as usual.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DelimitersDocument {
    /// Around an expression.
    variable: Option<(String, String)>,
    /// Around a block.
    block: Option<(String, String)>,
    /// Around a comment.
    comment: Option<(String, String)>,
}

/// A value set inside an existing file: in YAML or JSON with `at`, in any text with `match`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EditDocument {
    /// The file; a template.
    path: String,
    /// Where in a YAML or JSON document: `spec.replicas`, `a.b[0].c`, `containers[name=web].image`.
    at: Option<String>,
    /// Which document of a YAML stream, from 0.
    document: Option<usize>,
    /// A regular expression that matches exactly one line; its first group is replaced.
    #[serde(rename = "match")]
    line: Option<String>,
    /// The new value; its texts are templates.
    value: Value,
}

impl TemplateDocument {
    pub(in crate::catalog) fn into_domain(self, reader: &mut Reader) -> TemplateManifest {
        let delimiters = self.delimiters.map(|said| {
            let or = |said: Option<(String, String)>, start: &str, end: &str| {
                said.unwrap_or_else(|| (start.to_owned(), end.to_owned()))
            };
            Delimiters {
                variable: or(said.variable, "{{", "}}"),
                block: or(said.block, "{%", "%}"),
                comment: or(said.comment, "{#", "#}"),
            }
        });
        if let Some(delimiters) = &delimiters {
            check_delimiters(delimiters, reader);
        }
        let edits = self.set.unwrap_or_default().into_iter().enumerate();
        let set = edits.filter_map(|(index, edit)| edit.into_domain(&trail!["set", index], reader)).collect();
        TemplateManifest { description: self.description, delimiters, overwrite: self.overwrite, set }
    }
}

impl EditDocument {
    fn into_domain(self, path: &[Segment], reader: &mut Reader) -> Option<TextEdit> {
        let target = match (self.at, self.line) {
            (Some(at), None) => EditTarget::At { at, document: self.document.unwrap_or(0) },
            (None, Some(line)) => {
                check_line(&line, &join(path, "match"), reader);
                if self.document.is_some() {
                    let wrong =
                        Wrong::new("misplaced-key", &join(path, "document"), "has no effect with `match`");
                    reader.wrong(wrong.about_key().help("remove it"));
                }
                EditTarget::Match(line)
            }
            (Some(_), Some(_)) => {
                let wrong =
                    Wrong::new("misplaced-key", &join(path, "match"), "cannot go with `at`").about_key();
                reader.wrong(wrong.help("keep one: `at` for YAML and JSON, `match` for a line of text"));
                return None;
            }
            (None, None) => {
                let wrong = Wrong::new("missing-key", &join(path, "at"), "is missing");
                reader.wrong(wrong.help("say where: `at: spec.replicas`, or `match` for a line of text"));
                return None;
            }
        };
        // What expressions give is judged when it is rendered; what is written out is judged here.
        if !self.path.contains(['{', '[', '<'])
            && let Err(problem) = self.path.parse::<RepoPath>()
        {
            let wrong =
                Wrong::new("template-path", &join(path, "path"), format!("cannot be used: {problem}"));
            reader.wrong(wrong.help("name a file inside the target repository"));
        }
        Some(TextEdit { path: self.path, target, value: self.value })
    }
}

fn check_line(line: &str, path: &[Segment], reader: &mut Reader) {
    match regex::Regex::new(line) {
        Ok(regex) if regex.captures_len() < 2 => {
            let wrong = Wrong::new("invalid-pattern", path, "has no group, so there is nothing to replace");
            reader.wrong(wrong.help("put parentheses around what is replaced: `^replicas: (.*)$`"));
        }
        Ok(_) => {}
        Err(_) => super::property::check_pattern(line, path, reader),
    }
}

fn check_delimiters(delimiters: &Delimiters, reader: &mut Reader) {
    let Delimiters { variable, block, comment } = delimiters;
    let marks = [("variable", variable), ("block", block), ("comment", comment)];
    for (index, (name, (start, end))) in marks.iter().enumerate() {
        let path = trail!["delimiters", *name];
        if start.is_empty() || end.is_empty() || start == end {
            let wrong = Wrong::new("invalid-delimiters", &path, "needs a start and an end that differ");
            reader.wrong(wrong.help("such as `[\"[[\", \"]]\"]`"));
        } else if let Some((other, _)) = marks[..index].iter().find(|(_, (other, _))| other == start) {
            let wrong = Wrong::new("invalid-delimiters", &path, format!("begins as `{other}` does"));
            reader.wrong(wrong.help("give each a start of its own"));
        }
    }
}
