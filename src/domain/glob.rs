//! Does a path fit a pattern? `*` and `?` stay within one part of a path, `**` crosses parts.

use std::{fmt, str::FromStr, sync::Arc};

use regex::{Regex, RegexBuilder};

use super::InvalidId;

/// A pattern for paths, such as `.github/workflows/**` or `teams/*/quota.yaml`.
#[derive(Clone)]
pub struct Glob {
    text: Arc<str>,
    pattern: Regex,
}

impl Glob {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a path fits it.
    pub fn matches(&self, path: &str) -> bool {
        self.pattern.is_match(path)
    }

    /// The same, where capital and small letters are one: what some systems take for the same file.
    pub fn in_any_case(&self) -> Self {
        let pattern = RegexBuilder::new(self.pattern.as_str()).case_insensitive(true).build();
        Self { text: Arc::clone(&self.text), pattern: pattern.expect("it was a pattern before") }
    }
}

impl FromStr for Glob {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let is_odd = text.is_empty()
            || text.len() > 500
            || text.starts_with('/')
            || text.contains(['\\', '[', ']', '{', '}', '!'])
            || text.chars().any(char::is_control)
            || text.split('/').any(|part| part == "." || part == "..");
        if is_odd {
            return Err(InvalidId {
                text: text.to_owned(),
                what: "a pattern for paths",
                rule: "it is a path from the repository's root, in which `*` and `?` stand for parts of a name and `**` for folders",
            });
        }
        let pattern = Regex::new(&translated(text)).expect("everything else is escaped");
        Ok(Self { text: text.into(), pattern })
    }
}

/// The regular expression that says the same.
fn translated(text: &str) -> String {
    let mut out = String::from(r"(?s)\A");
    let mut rest = text;
    while !rest.is_empty() {
        if rest == "/**" || rest == "/" {
            out.push_str("/.+");
            break;
        }
        if let Some(after) = rest.strip_prefix("**/") {
            out.push_str("(?:.*/)?");
            rest = after;
        } else if let Some(after) = rest.strip_prefix("**") {
            out.push_str(".*");
            rest = after;
        } else if let Some(after) = rest.strip_prefix('*') {
            out.push_str("[^/]*");
            rest = after;
        } else if let Some(after) = rest.strip_prefix('?') {
            out.push_str("[^/]");
            rest = after;
        } else {
            let length = rest.chars().next().map_or(1, char::len_utf8);
            out.push_str(&regex::escape(&rest[..length]));
            rest = &rest[length..];
        }
    }
    out.push_str(r"\z");
    out
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Glob {}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.text)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_what_it_says() {
        for (glob, fits, others) in [
            (
                ".github/workflows/**",
                &[".github/workflows/a.yml", ".github/workflows/a/b.yml"][..],
                &[".github/workflows", ".github/x", "x/.github/workflows/a.yml"][..],
            ),
            (
                "**/CODEOWNERS",
                &["CODEOWNERS", "docs/CODEOWNERS", "a/b/CODEOWNERS"],
                &["CODEOWNERS.md", "XCODEOWNERS"],
            ),
            ("apps/*/values.yaml", &["apps/web/values.yaml"], &["apps/values.yaml", "apps/a/b/values.yaml"]),
            ("apps/", &["apps/a", "apps/a/b"], &["apps", "other/apps/a"]),
            ("a?.tf", &["ab.tf"], &["a.tf", "a/.tf", "abc.tf"]),
            ("acme/*", &["acme/x"], &["acme/x/y", "other/x"]),
            ("**", &["a", "a/b"], &[]),
            ("a.b+c", &["a.b+c"], &["aXb+c"]),
        ] {
            let glob: Glob = glob.parse().unwrap();
            fits.iter().for_each(|path| assert!(glob.matches(path), "{glob} {path}"));
            others.iter().for_each(|path| assert!(!glob.matches(path), "{glob} {path}"));
        }
        assert!("**/CODEOWNERS".parse::<Glob>().unwrap().in_any_case().matches("codeowners"));
        for odd in ["", "/a", "a/../b", "[ab]", "!a"] {
            assert!(odd.parse::<Glob>().is_err(), "{odd}");
        }
    }
}
