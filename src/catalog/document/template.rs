//! What may the manifest of a folder of templates say?

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Reader, join, kind};
use crate::{
    catalog::values::{Segment, Wrong, trail},
    domain::{
        Delimiters, DocumentPlace, EditChange, EditTarget, FileRule, RepoPath, TemplateManifest, TextEdit,
    },
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
    /// What holds for some of the files below `files/`. Where several rules meet one file, all hold, and what a later one says counts.
    files: Option<Vec<RuleDocument>>,
    /// Values set inside existing files.
    set: Option<Vec<SetDocument>>,
    /// Other changes inside existing files, made in this order after `set`.
    edits: Option<Vec<EditDocument>>,
}

kind!(TemplateDocument, "template", definition: true);

/// What holds for some of the files.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RuleDocument {
    /// Which files, by their path below `files/` as it is written there: `*` is any part of a name, `**` any folders.
    path: String,
    /// An expression of the template; the files are left out where it does not hold.
    when: Option<String>,
    /// An expression of the template that gives a list; each file is rendered once for every `item` of it.
    for_each: Option<String>,
    /// Whether the files may be executed; as in the template's own folder if not said.
    mode: Option<ModeDocument>,
    /// Copies the files as they are, without rendering them.
    copy: Option<bool>,
    /// Writes what is rendered as it is: it is not read again, whatever its name says. The template's author answers for it.
    raw: Option<bool>,
    /// How these files mark expressions.
    delimiters: Option<DelimitersDocument>,
}

/// Whether a file may be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum ModeDocument {
    /// It is an ordinary file.
    File,
    /// It may be executed.
    Executable,
}

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

/// A value set inside an existing file: in YAML, JSON, TOML or HCL with `at`, in any text with `match`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetDocument {
    /// The file; a template.
    path: String,
    /// Where in a document: `spec.replicas`, `a.b[0].c`, `containers[name=web].image`.
    at: Option<String>,
    /// Which document of a YAML stream, from 0.
    document: Option<usize>,
    /// A regular expression that matches exactly one line; its first group is replaced.
    #[serde(rename = "match")]
    line: Option<String>,
    /// The new value; its texts are templates.
    value: Value,
}

/// One change of an existing file: one of `set`, `delete`, `append`, `insert`, `line`, `block` and `absent`. What is so already stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EditDocument {
    /// The file; a template.
    path: String,
    /// An expression of the template; nothing is changed where it does not hold.
    when: Option<String>,
    /// An expression of the template that gives a list; the change is made once for every `item` of it.
    for_each: Option<String>,
    /// Sets `value` at this place: `spec.replicas`, `a.b[0].c`, `containers[name=web].image`.
    set: Option<String>,
    /// Takes the key or the item at this place away, if it is there; with `value`, that item out of the list at this place.
    delete: Option<String>,
    /// Adds `value` to the list at this place, as its last item, unless it has such a one.
    append: Option<String>,
    /// Adds `value` at this position of a list, such as `a.b[0]`, unless the list has such an item.
    insert: Option<String>,
    /// Adds this line, unless it is there; a template. A file that is missing begins with it.
    line: Option<String>,
    /// With `line`: a regular expression for the one line that it follows; otherwise it comes last.
    after: Option<String>,
    /// `true` takes the whole file away, if it is there.
    absent: Option<bool>,
    /// Adds a block of HCL with the attributes in `value`, such as `resource "aws_s3_bucket" "logs"`; a template. If it is there, its attributes are set.
    block: Option<String>,
    /// With `set`, `append`, `insert` and `block`, and perhaps `delete`; its texts are templates.
    value: Option<Value>,
    /// Which document of a YAML stream, from 0.
    document: Option<usize>,
}

impl TemplateDocument {
    pub(in crate::catalog) fn into_domain(self, reader: &mut Reader) -> TemplateManifest {
        let delimiters = self.delimiters.map(|said| said.into_domain(&trail!["delimiters"], reader));
        let rules = self.files.unwrap_or_default().into_iter().enumerate();
        let rules = rules.map(|(index, rule)| rule.into_domain(&trail!["files", index], reader)).collect();
        let mut edits = Vec::new();
        for (index, edit) in self.set.unwrap_or_default().into_iter().enumerate() {
            edits.extend(edit.into_domain(&trail!["set", index], reader));
        }
        for (index, edit) in self.edits.unwrap_or_default().into_iter().enumerate() {
            edits.extend(edit.into_domain(&trail!["edits", index], reader));
        }
        let Self { description, overwrite, .. } = self;
        TemplateManifest { description, delimiters, overwrite, rules, edits }
    }
}

impl RuleDocument {
    fn into_domain(self, path: &[Segment], reader: &mut Reader) -> FileRule {
        if self.copy == Some(true) && self.delimiters.is_some() {
            let wrong = Wrong::new("misplaced-key", &join(path, "delimiters"), "has no effect with `copy`");
            reader.wrong(wrong.about_key().help("remove it, or render the files"));
        }
        if self.copy == Some(true) && self.raw == Some(true) {
            let wrong = Wrong::new("misplaced-key", &join(path, "raw"), "has no effect with `copy`");
            reader.wrong(wrong.about_key().help("remove it: what is copied is never looked into"));
        }
        let delimiters = self.delimiters.map(|said| said.into_domain(&join(path, "delimiters"), reader));
        FileRule {
            path: self.path,
            when: self.when,
            for_each: self.for_each,
            executable: self.mode.map(|mode| mode == ModeDocument::Executable),
            copy: self.copy,
            raw: self.raw,
            delimiters,
        }
    }
}

impl SetDocument {
    fn into_domain(self, path: &[Segment], reader: &mut Reader) -> Option<TextEdit> {
        let target = match (self.at, self.line) {
            (Some(at), None) => EditTarget::At(DocumentPlace { at, document: self.document.unwrap_or(0) }),
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
                reader.wrong(wrong.help("keep one: `at` for a document, `match` for a line of text"));
                return None;
            }
            (None, None) => {
                let wrong = Wrong::new("missing-key", &join(path, "at"), "is missing");
                reader.wrong(wrong.help("say where: `at: spec.replicas`, or `match` for a line of text"));
                return None;
            }
        };
        check_path(&self.path, path, reader);
        let change = EditChange::Set { target, value: self.value };
        Some(TextEdit { path: self.path, when: None, for_each: None, change })
    }
}

impl EditDocument {
    fn into_domain(self, path: &[Segment], reader: &mut Reader) -> Option<TextEdit> {
        let said: Vec<&str> = [
            ("set", self.set.is_some()),
            ("delete", self.delete.is_some()),
            ("append", self.append.is_some()),
            ("insert", self.insert.is_some()),
            ("line", self.line.is_some()),
            ("block", self.block.is_some()),
            ("absent", self.absent == Some(true)),
        ]
        .into_iter()
        .filter_map(|(name, is_said)| is_said.then_some(name))
        .collect();
        let [verb] = said[..] else {
            let wrong = match said.get(1) {
                None => {
                    Wrong::new("missing-key", &join(path, "set"), "is missing, and so is every other change")
                }
                Some(second) => {
                    Wrong::new("misplaced-key", &join(path, *second), format!("cannot go with `{}`", said[0]))
                        .about_key()
                }
            };
            reader.wrong(wrong.help(
                "an edit has one of `set`, `delete`, `append`, `insert`, `line`, `block` and `absent`",
            ));
            return None;
        };
        let takes_value = !matches!(verb, "delete" | "line" | "absent");
        let has_value = reader.mapping(path).contains_key("value");
        let misplaced = [
            ("value", has_value && matches!(verb, "line" | "absent")),
            ("after", self.after.is_some() && verb != "line"),
            ("document", self.document.is_some() && matches!(verb, "line" | "block" | "absent")),
        ];
        for (name, _) in misplaced.into_iter().filter(|(_, is_wrong)| *is_wrong) {
            let message = format!("has no effect with `{verb}`");
            let wrong = Wrong::new("misplaced-key", &join(path, name), message);
            reader.wrong(wrong.about_key().help("remove it"));
        }
        if takes_value && !has_value {
            let wrong = Wrong::new("missing-key", &join(path, "value"), "is missing");
            reader.wrong(wrong.help(format!("say what `{verb}` writes")));
            return None;
        }
        if let Some(after) = &self.after
            && regex::Regex::new(after).is_err()
        {
            super::property::check_pattern(after, &join(path, "after"), reader);
        }
        check_path(&self.path, path, reader);
        let document = self.document.unwrap_or(0);
        let place = |at: Option<String>| DocumentPlace { at: at.unwrap_or_default(), document };
        let value = self.value.unwrap_or_default();
        let change = match verb {
            "set" => EditChange::Set { target: EditTarget::At(place(self.set)), value },
            "delete" if has_value => EditChange::Remove { list: place(self.delete), value },
            "delete" => EditChange::Delete(place(self.delete)),
            "append" => EditChange::Append { list: place(self.append), value },
            "insert" => EditChange::Insert { position: place(self.insert), value },
            "absent" => EditChange::Absent,
            "line" => EditChange::Line { text: self.line.unwrap_or_default(), after: self.after },
            _ => EditChange::Block { header: self.block.unwrap_or_default(), value },
        };
        Some(TextEdit { path: self.path, when: self.when, for_each: self.for_each, change })
    }
}

/// What expressions give is judged when it is rendered; what is written out is judged here.
fn check_path(text: &str, path: &[Segment], reader: &mut Reader) {
    if !text.contains(['{', '[', '<'])
        && let Err(problem) = text.parse::<RepoPath>()
    {
        let wrong = Wrong::new("template-path", &join(path, "path"), format!("cannot be used: {problem}"));
        reader.wrong(wrong.help("name a file inside the target repository"));
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

impl DelimitersDocument {
    fn into_domain(self, path: &[Segment], reader: &mut Reader) -> Delimiters {
        let or = |said: Option<(String, String)>, start: &str, end: &str| {
            said.unwrap_or_else(|| (start.to_owned(), end.to_owned()))
        };
        let delimiters = Delimiters {
            variable: or(self.variable, "{{", "}}"),
            block: or(self.block, "{%", "%}"),
            comment: or(self.comment, "{#", "#}"),
        };
        check_delimiters(&delimiters, path, reader);
        delimiters
    }
}

fn check_delimiters(delimiters: &Delimiters, at: &[Segment], reader: &mut Reader) {
    let Delimiters { variable, block, comment } = delimiters;
    let marks = [("variable", variable), ("block", block), ("comment", comment)];
    for (index, (name, (start, end))) in marks.iter().enumerate() {
        let path = join(at, *name);
        if start.is_empty() || end.is_empty() || start == end {
            let wrong = Wrong::new("invalid-delimiters", &path, "needs a start and an end that differ");
            reader.wrong(wrong.help("such as `[\"[[\", \"]]\"]`"));
        } else if let Some((other, _)) = marks[..index].iter().find(|(_, (other, _))| other == start) {
            let wrong = Wrong::new("invalid-delimiters", &path, format!("begins as `{other}` does"));
            reader.wrong(wrong.help("give each a start of its own"));
        }
    }
}
