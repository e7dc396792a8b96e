//! Who owns the files of a repository, by its CODEOWNERS?
//!
//! GitHub's dialect: the last pattern that matches a path decides. A pattern is as in a gitignore file, without `!` and without
//! ranges in brackets; `dir/*` means the files directly in `dir`. Where GitHub skips a line that it cannot read, and with
//! it an owner, this refuses the whole file.
//!
//! <https://docs.github.com/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners>

use std::collections::BTreeMap;

use regex::Regex;

use crate::domain::{Login, RepoPath};

/// Where the file may lie; the first that is there counts.
pub(super) const PLACES: [&str; 3] = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];

/// The largest that GitHub reads, in bytes.
const LARGEST: usize = 3_000_000;

/// Who owns what.
#[derive(Debug)]
pub struct CodeOwners {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    pattern: String,
    matches: Regex,
    owners: Vec<Owner>,
}

/// Somebody who owns files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A person.
    User(Login),
    /// A team of the forge, `organisation/slug`.
    Team(String),
    /// A mail address, which says of nobody that they approved.
    Mail(String),
}

/// The owners of some files, and the pattern that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned<'a> {
    /// As written.
    pub pattern: &'a str,
    /// None where a pattern names nobody on purpose.
    pub owners: &'a [Owner],
}

impl CodeOwners {
    /// Reads the file.
    ///
    /// # Errors
    /// The first line that cannot be read, counted from 1, and why.
    pub fn parse(bytes: &[u8]) -> Result<Self, (usize, String)> {
        if bytes.len() > LARGEST {
            return Err((1, "the file has more than 3 MB, and GitHub does not read it".to_owned()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| (1, "the file is not UTF-8".to_owned()))?;
        let mut lines = Vec::new();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let at = |why: String| (index + 1, why);
            let words = words(line);
            let Some((pattern, owners)) = words.split_first() else { continue };
            let matches = pattern_of(pattern).map_err(at)?;
            let owners = owners.iter().map(|owner| owner_of(owner)).collect::<Result<_, _>>().map_err(at)?;
            lines.push(Line { pattern: pattern.clone(), matches, owners });
        }
        Ok(Self { lines })
    }

    /// Who owns a file; none where no pattern matches it.
    pub fn of(&self, path: &str) -> Option<Owned<'_>> {
        let line = self.lines.iter().rev().find(|line| line.matches.is_match(path))?;
        Some(Owned { pattern: &line.pattern, owners: &line.owners })
    }

    /// The first file of each group of owners, and the files that nobody owns.
    pub(super) fn groups<'a>(
        &self,
        paths: impl Iterator<Item = &'a RepoPath>,
    ) -> (BTreeMap<Vec<Owner>, &'a RepoPath>, Vec<&'a RepoPath>) {
        let (mut groups, mut nobodys) = (BTreeMap::new(), Vec::new());
        for path in paths {
            match self.of(path.as_str()) {
                None => nobodys.push(path),
                Some(Owned { owners: [], .. }) => {}
                Some(Owned { owners, .. }) => {
                    let mut owners = owners.to_vec();
                    owners.sort();
                    owners.dedup();
                    groups.entry(owners).or_insert(path);
                }
            }
        }
        (groups, nobodys)
    }
}

/// The words of a line, without its comment; a space after a backslash is part of a word.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.peek().is_some_and(|next| next.is_whitespace()) => {
                word.extend(letters.next());
            }
            '#' if word.is_empty() => break,
            letter if letter.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            letter => word.push(letter),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn owner_of(text: &str) -> Result<Owner, String> {
    let wrong = || format!("`{text}` is no owner: write `@login`, `@organisation/team` or a mail address");
    match text.strip_prefix('@') {
        Some(name) => match name.split_once('/') {
            Some((organisation, team)) => {
                let is_part = |part: &str| {
                    !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
                };
                if is_part(organisation) && is_part(team) {
                    Ok(Owner::Team(name.to_owned()))
                } else {
                    Err(wrong())
                }
            }
            None => name.parse().map(Owner::User).map_err(|_| wrong()),
        },
        None => match text.split_once('@') {
            Some((name, host)) if !name.is_empty() && host.contains('.') && !host.contains('@') => {
                Ok(Owner::Mail(text.to_owned()))
            }
            _ => Err(wrong()),
        },
    }
}

/// What a pattern matches: paths from the root, with `/` between.
fn pattern_of(pattern: &str) -> Result<Regex, String> {
    if pattern.starts_with('!') || pattern.contains(['[', ']']) {
        return Err(format!("`{pattern}` uses `!` or `[ ]`, which have no meaning in CODEOWNERS"));
    }
    let inner = pattern.trim_end_matches('/');
    let is_folder = inner.len() < pattern.len();
    let anchored = inner.contains('/');
    let names: Vec<&str> = inner.trim_start_matches('/').split('/').collect();
    if names.iter().any(|name| name.is_empty()) && !inner.is_empty() {
        return Err(format!("`{pattern}` has two slashes side by side"));
    }
    let mut text = String::from(if anchored || inner.is_empty() { "^" } else { "^(?:.*/)?" });
    let last = names.len() - 1;
    for (index, name) in names.iter().enumerate() {
        match *name {
            "" => {}
            "**" if index == last => text.push_str(".+"),
            "**" => text.push_str("(?:.*/)?"),
            name => {
                for letter in name.chars() {
                    match letter {
                        '*' => text.push_str("[^/]*"),
                        '?' => text.push_str("[^/]"),
                        letter => text.push_str(&regex::escape(letter.encode_utf8(&mut [0; 4]))),
                    }
                }
                if index < last {
                    text.push('/');
                }
            }
        }
    }
    // `dir/*` is about the files in it; what has another name is about everything below it, too.
    let all_directly = names.len() > 1 && names[last] == "*";
    text.push_str(match (is_folder, all_directly) {
        (true, _) if inner.is_empty() => "",
        (true, _) => "/.+$",
        (false, true) => "$",
        (false, false) => "(?:/.+)?$",
    });
    Regex::new(&text).map_err(|error| format!("`{pattern}` cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(file: &str, path: &str) -> Option<String> {
        let file = CodeOwners::parse(file.as_bytes()).unwrap();
        file.of(path).map(|owned| {
            let names = owned.owners.iter().map(|owner| match owner {
                Owner::User(login) => login.to_string(),
                Owner::Team(name) | Owner::Mail(name) => name.clone(),
            });
            names.collect::<Vec<_>>().join(" ")
        })
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let file = "# all\n* @ada @acme/core # comment\n*.js js@acme.test\n/build/logs/ @bo\ndocs/* @docs-people\napps/ @cy\n/docs/ @dan\n/scripts/ @ada\n/apps/github\n";
        for (path, expected) in [
            ("README.md", "ada acme/core"),
            ("src/a.js", "js@acme.test"),
            ("build/logs/today", "bo"),
            ("x/build/logs/today", "ada acme/core"),
            ("deep/apps/x", "cy"),
            ("docs/a.md", "dan"),
            ("docs/deep/a.md", "dan"),
            ("apps/github", ""),
            ("apps/github/x", ""),
            ("apps/other", "cy"),
        ] {
            assert_eq!(owners(file, path).as_deref(), Some(expected), "{path}");
        }
        assert_eq!(owners("docs/* @ada", "docs/deep/a.md"), None);
        assert_eq!(owners("**/logs @ada", "a/b/logs/x").as_deref(), Some("ada"));
        assert_eq!(owners("a\\ b.txt @ada", "x/a b.txt").as_deref(), Some("ada"));
        assert_eq!(owners("/a/**/b @ada", "a/b").as_deref(), Some("ada"));
        assert_eq!(owners("a/b @ada", "x/a/b"), None);
    }

    #[test]
    fn what_github_would_skip_is_refused() {
        for (file, line) in [
            ("* @ada\n!x @bo\n", 2),
            ("[ab] @ada\n", 1),
            ("* ada\n", 1),
            ("* @acme/\n", 1),
            ("* @a/b/c", 1),
            ("* a@b@c.test", 1),
            ("a//b @ada", 1),
        ] {
            assert_eq!(CodeOwners::parse(file.as_bytes()).unwrap_err().0, line, "{file}");
        }
        assert!(CodeOwners::parse(&vec![b'#'; LARGEST + 1]).is_err());
        assert!(CodeOwners::parse(b"\xff").is_err());
    }
}
