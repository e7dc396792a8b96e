//! What does a folder of templates hold?

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Bytes, Pin, RepoPath, TemplateName};

/// A folder of templates.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// Its name.
    pub name: TemplateName,
    /// What its `template.yaml` says.
    pub manifest: TemplateManifest,
    /// The files below `files/`, by their path there (itself a template).
    pub files: BTreeMap<String, TemplateFile>,
    /// The texts below `partials/` that files may include, by their path there.
    pub partials: BTreeMap<String, Bytes>,
    /// What it was read from, by path inside the template's folder: its identity.
    pub pins: BTreeMap<RepoPath, Pin>,
}

impl Template {
    /// Notes that the file at this path inside the template's folder may be executed.
    pub fn mark_executable(&mut self, path: &RepoPath) {
        if let Some(pin) = self.pins.get_mut(path) {
            pin.executable = true;
        }
        let file = path.as_str().strip_prefix("files/").and_then(|name| self.files.get_mut(name));
        if let Some(file) = file {
            file.executable = true;
        }
    }
}

/// One file below `files/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFile {
    /// What it holds.
    pub bytes: Bytes,
    /// Whether it may be executed.
    pub executable: bool,
}

/// What a `template.yaml` says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TemplateManifest {
    /// What it is for.
    pub description: Option<String>,
    /// How expressions are marked in the files; none means `{{ }}`.
    pub delimiters: Option<Delimiters>,
    /// Whether files that exist with other content are replaced.
    pub overwrite: bool,
    /// What holds for some of the files.
    pub rules: Vec<FileRule>,
    /// Changes of files that exist, in this order.
    pub edits: Vec<TextEdit>,
}

/// How some of the files are rendered. Where several rules meet one file, all hold, the later ones first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileRule {
    /// Which files, by a pattern for their path below `files/`.
    pub path: String,
    /// An expression; the file is left out where it does not hold.
    pub when: Option<String>,
    /// An expression that gives a list; the file is rendered once for each `item` of it.
    pub for_each: Option<String>,
    /// Whether it may be executed.
    pub executable: Option<bool>,
    /// Whether it is copied as it stands, never rendered.
    pub copy: Option<bool>,
    /// Whether what is rendered is written as it is, whatever its name says how to read it.
    pub raw: Option<bool>,
    /// How its expressions are marked.
    pub delimiters: Option<Delimiters>,
}

impl FileRule {
    /// Whether it is about the file with this path.
    pub fn matches(&self, path: &str) -> bool {
        matches(self.path.as_bytes(), path.as_bytes())
    }
}

/// `*` and `?` are any bytes within a name, `**` any bytes at all; `**/` may also be nothing.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    match pattern {
        [] => path.is_empty(),
        [b'*', b'*', b'/', rest @ ..] => {
            matches(rest, path)
                || path.iter().enumerate().any(|(at, byte)| *byte == b'/' && matches(rest, &path[at + 1..]))
        }
        [b'*', b'*', rest @ ..] => (0..=path.len()).any(|at| matches(rest, &path[at..])),
        [b'*', rest @ ..] => {
            let name = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
            (0..=name).any(|at| matches(rest, &path[at..]))
        }
        [b'?', rest @ ..] => path.first().is_some_and(|byte| *byte != b'/') && matches(rest, &path[1..]),
        [literal, rest @ ..] => path.first() == Some(literal) && matches(rest, &path[1..]),
    }
}

/// How a template's files mark expressions, blocks and comments: start and end of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delimiters {
    /// Around an expression.
    pub variable: (String, String),
    /// Around a block.
    pub block: (String, String),
    /// Around a comment.
    pub comment: (String, String),
}

/// A change inside an existing file.
#[derive(Debug, Clone, PartialEq)]
pub struct TextEdit {
    /// The file; a template.
    pub path: String,
    /// An expression; nothing is changed where it does not hold.
    pub when: Option<String>,
    /// An expression that gives a list; the change is made once for each `item` of it.
    pub for_each: Option<String>,
    /// What changes.
    pub change: EditChange,
}

/// What changes inside a file.
#[derive(Debug, Clone, PartialEq)]
pub enum EditChange {
    /// A value is set.
    Set {
        /// Where.
        target: EditTarget,
        /// The new value; its strings are templates.
        value: Value,
    },
    /// A key or an item goes away, if it is there.
    Delete(DocumentPlace),
    /// A list loses an item, if it has it.
    Remove {
        /// The list.
        list: DocumentPlace,
        /// The item; its strings are templates.
        value: Value,
    },
    /// A list gets one more item, unless it has such a one.
    Append {
        /// The list.
        list: DocumentPlace,
        /// The item; its strings are templates.
        value: Value,
    },
    /// A list gets one more item at a position, unless it has such a one.
    Insert {
        /// The position, such as `a.b[0]`.
        position: DocumentPlace,
        /// The item; its strings are templates.
        value: Value,
    },
    /// The file goes away, if it is there.
    Absent,
    /// A line is added, unless it is there.
    Line {
        /// The line; a template.
        text: String,
        /// A regular expression for the line that it follows; not a template. None: it comes last.
        after: Option<String>,
    },
    /// A block of HCL is there, with these attributes.
    Block {
        /// Its kind and labels, such as `resource "aws_s3_bucket" "logs"`; a template.
        header: String,
        /// Its attributes; their strings are templates.
        value: Value,
    },
}

/// A place in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentPlace {
    /// The place (`spec.replicas`, `a[0].b`, `c[name=web].image`); a template.
    pub at: String,
    /// Which document of a YAML stream.
    pub document: usize,
}

/// Where in a file a value is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EditTarget {
    /// At a place of a document.
    At(DocumentPlace),
    /// In the one line that matches this regular expression, instead of its first group; not a template.
    Match(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_people_know_from_git() {
        let matches = |pattern: &str, path: &str| {
            FileRule { path: pattern.to_owned(), ..FileRule::default() }.matches(path)
        };
        for (pattern, path) in [
            ("*.sh", "run.sh"),
            ("**/*.sh", "run.sh"),
            ("**/*.sh", "a/b/run.sh"),
            ("a/**", "a/b/c"),
            ("{{ inputs.name }}/*", "{{ inputs.name }}/x.tf"),
            ("v?.txt", "v1.txt"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in
            [("*.sh", "a/run.sh"), ("*", "a/b"), ("a/**", "ab/c"), ("v?.txt", "v/.txt"), ("*.sh", "run.sh~")]
        {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }
}
