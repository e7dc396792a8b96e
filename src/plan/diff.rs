//! What exactly changes? Unified diffs for reading, and the lines to read twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use similar::TextDiff;

use crate::domain::{Bytes, Change, FileMode, RepoName, RepoPath};

/// A file before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// None: it did not exist.
    pub before: Option<Bytes>,
    /// None: it goes away.
    pub after: Option<Bytes>,
    /// Its mode before and after; that of a file that is not there means nothing.
    pub modes: [FileMode; 2],
}

impl Versions {
    /// Of an ordinary file.
    pub fn of(before: Option<Bytes>, after: Option<Bytes>) -> Self {
        Self { before, after, modes: [FileMode::File; 2] }
    }

    /// Whether it may be executed afterwards, and could not before.
    pub fn becomes_executable(&self) -> bool {
        let [before, after] = self.modes;
        let was = self.before.is_some() && before == FileMode::Executable;
        self.after.is_some() && after == FileMode::Executable && !was
    }

    /// What becomes of the file; none where nothing does.
    pub fn change(&self) -> Option<Change> {
        match &self.after {
            Some(bytes) if self.becomes_executable() => Some(Change::PutExecutable(bytes.clone())),
            _ if self.before == self.after => None,
            Some(bytes) => Some(Change::Put(bytes.clone())),
            None => Some(Change::Delete),
        }
    }
}

/// The diff of the files of one repository, headed by its name. Git reads it as a patch.
pub fn of_repository(name: &str, files: &BTreeMap<RepoPath, Versions>) -> String {
    let mut out = String::new();
    for (path, versions) in files {
        if versions.change().is_none() {
            continue;
        }
        if out.is_empty() {
            let _ = writeln!(out, "# {name}");
        }
        out.push_str(&of_file(path, versions));
    }
    out
}

/// What a diff shows of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The repository, as it is headed.
    pub repository: String,
    /// The file.
    pub path: String,
    /// All that is said of it.
    pub text: String,
}

/// After how many lines of the file as it will be it begins, and its lines, each with what becomes of it.
type Hunk = (usize, Vec<(u8, String)>);

/// The files that a diff of ours shows, in its order.
pub fn entries(diff: &str) -> Vec<Entry> {
    let (mut entries, mut repository): (Vec<Entry>, &str) = (Vec::new(), "");
    for line in diff.split_inclusive('\n') {
        if let Some(name) = line.strip_prefix("# ") {
            repository = name.trim_end();
        } else if let Some(names) = line.strip_prefix("diff --git a/") {
            // Both names are the same.
            let path = names.trim_end_matches('\n');
            let path = path.get(..path.len().saturating_sub(3) / 2).unwrap_or_default().to_owned();
            entries.push(Entry { repository: repository.to_owned(), path, text: line.to_owned() });
        } else if let Some(entry) = entries.last_mut() {
            entry.text.push_str(line);
        }
    }
    entries
}

impl Entry {
    /// Whether the file comes.
    pub fn creates(&self) -> bool {
        self.head().any(|line| line.starts_with("new file mode "))
    }

    /// Whether it goes.
    pub fn deletes(&self) -> bool {
        self.head().any(|line| line.starts_with("deleted file mode "))
    }

    fn head(&self) -> impl Iterator<Item = &str> {
        self.text.lines().take_while(|line| !line.starts_with("@@ "))
    }

    /// What a new file holds; none where that is not shown.
    pub fn after(&self) -> Option<Vec<u8>> {
        let mut after = Vec::new();
        for (kind, line) in self.hunks()?.into_iter().flat_map(|(_, lines)| lines) {
            match kind {
                b'+' => after.extend(line.into_bytes()),
                _ => return None,
            }
        }
        Some(after)
    }

    /// What the file was, of which this is the end; none where the diff cannot lead there, or shows no text.
    pub fn before(&self, after: &[u8]) -> Option<Vec<u8>> {
        let after = if self.deletes() { "" } else { std::str::from_utf8(after).ok()? };
        let lines: Vec<&str> = after.split_inclusive('\n').collect();
        let (mut before, mut next) = (String::new(), 0);
        for (begin, shown) in self.hunks()? {
            let skipped = lines.get(next..begin.max(next))?;
            before.extend(skipped.iter().copied());
            next += skipped.len();
            for (kind, line) in shown {
                match kind {
                    b'-' => before.push_str(&line),
                    _ => {
                        if *lines.get(next)? != line {
                            return None;
                        }
                        next += 1;
                        if kind == b' ' {
                            before.push_str(&line);
                        }
                    }
                }
            }
        }
        before.extend(lines.get(next..)?.iter().copied());
        Some(before.into_bytes())
    }

    /// The hunks; none where no text is shown.
    fn hunks(&self) -> Option<Vec<Hunk>> {
        if self.head().any(|line| line.starts_with("Binary files ")) {
            return None;
        }
        let mut hunks: Vec<Hunk> = Vec::new();
        let body = self.text.split_inclusive('\n').skip_while(|line| !line.starts_with("@@ "));
        for line in body {
            if line.starts_with("@@ ") {
                let new = line.split(' ').nth(2)?.strip_prefix('+')?;
                let (begin, count) = new.split_once(',').unwrap_or((new, "1"));
                let begin: usize = begin.parse().ok()?;
                // Of nothing it is said after which line it lies.
                hunks.push((if count == "0" { begin } else { begin.checked_sub(1)? }, Vec::new()));
                continue;
            }
            let (_, lines) = hunks.last_mut()?;
            match line.as_bytes().first()? {
                kind @ (b' ' | b'+' | b'-') => lines.push((*kind, line[1..].to_owned())),
                b'\\' => {
                    let (_, last) = lines.last_mut()?;
                    last.truncate(last.trim_end_matches('\n').len());
                }
                _ => return None,
            }
        }
        Some(hunks)
    }
}

fn octal(mode: FileMode) -> &'static str {
    if mode == FileMode::Executable { "100755" } else { "100644" }
}

fn of_file(path: &RepoPath, versions: &Versions) -> String {
    let mut out = format!("diff --git a/{path} b/{path}\n");
    match (&versions.before, &versions.after) {
        (None, Some(_)) => {
            let _ = writeln!(out, "new file mode {}", octal(versions.modes[1]));
        }
        (Some(_), None) => {
            let _ = writeln!(out, "deleted file mode {}", octal(versions.modes[0]));
        }
        _ if versions.becomes_executable() => out.push_str("old mode 100644\nnew mode 100755\n"),
        _ => {}
    }
    if versions.before == versions.after {
        return out;
    }
    let before = versions.before.as_deref().unwrap_or_default();
    let after = versions.after.as_deref().unwrap_or_default();
    let (Ok(old), Ok(new)) = (std::str::from_utf8(before), std::str::from_utf8(after)) else {
        let _ = writeln!(out, "Binary files a/{path} and b/{path} differ");
        return out;
    };
    let old_name = if versions.before.is_some() { format!("a/{path}") } else { "/dev/null".into() };
    let new_name = if versions.after.is_some() { format!("b/{path}") } else { "/dev/null".into() };
    let diff = TextDiff::from_lines(old, new);
    out.push_str(&diff.unified_diff().context_radius(3).header(&old_name, &new_name).to_string());
    out
}

/// Whether a character is not seen, or changes the order in which others are.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A text in which nothing is hidden: what could not be seen, or would reorder what is, stands as its number.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_invisible(c) {
            let _ = write!(shown, "<U+{:04X}>", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// What a reviewer should read twice, in words.
pub fn risks(repository: &RepoName, files: &BTreeMap<RepoPath, Versions>) -> Vec<String> {
    let mut risks = Vec::new();
    for (path, versions) in files {
        if versions.change().is_none() {
            continue;
        }
        let text = path.as_str();
        let lower = text.to_ascii_lowercase();
        if lower.contains(".github/workflows/") || lower.contains(".github/actions/") {
            risks.push(format!(
                "`{path}` in `{repository}` is a workflow: it runs with that repository's rights"
            ));
        }
        if versions.becomes_executable() {
            risks.push(format!("`{path}` in `{repository}` may be executed"));
        }
        if path.file_name() == "CODEOWNERS" {
            risks.push(format!("`{path}` in `{repository}` says who must review"));
        }
        if versions.after.is_none() {
            risks.push(format!("`{path}` in `{repository}` is deleted"));
        }
        let after = versions.after.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        let before = versions.before.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        let known: std::collections::BTreeSet<&str> = before.lines().map(str::trim).collect();
        let new_lines = || after.lines().map(str::trim).filter(|line| !known.contains(line));
        if new_lines().any(|line| {
            line.contains("aws_iam_")
                || line.contains("_iam_")
                || line.contains("ClusterRole")
                || line.contains("RoleBinding")
        }) {
            risks.push(format!("`{path}` in `{repository}` changes who may do what (IAM)"));
        }
        if new_lines().any(|line| line.chars().any(is_invisible)) {
            risks.push(format!("`{path}` in `{repository}` holds characters that cannot be seen"));
        }
        if new_lines().any(|line| line.contains("0.0.0.0/0") || line.contains("::/0")) {
            risks.push(format!("`{path}` in `{repository}` opens something to the whole Internet"));
        }
    }
    risks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of_one(before: Option<&str>, after: Option<&str>) -> String {
        let bytes = |text: &str| Bytes::from(text.as_bytes().to_vec());
        let versions = Versions::of(before.map(bytes), after.map(bytes));
        of_repository("acme/infra", &[("a/b.txt".parse().unwrap(), versions)].into())
    }

    fn leads_back(before: Option<&str>, after: Option<&str>) {
        let shown = entries(&of_one(before, after));
        if before == after {
            assert!(shown.is_empty());
            return;
        }
        let [entry] = &shown[..] else { panic!("{shown:?}") };
        assert_eq!((entry.repository.as_str(), entry.path.as_str()), ("acme/infra", "a/b.txt"));
        assert_eq!((entry.creates(), entry.deletes()), (before.is_none(), after.is_none()));
        let was = entry.before(after.unwrap_or_default().as_bytes()).unwrap();
        assert_eq!(String::from_utf8(was).unwrap(), before.unwrap_or_default());
        if before.is_none() {
            assert_eq!(entry.after().as_deref(), after.map(str::as_bytes));
        }
    }

    #[test]
    fn a_diff_leads_back_to_what_was() {
        for (before, after) in [
            (Some("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n"), Some("a\nB\nc\nd\ne\nf\ng\nh\ni\nj\nk\n")),
            (Some("a\nb"), Some("a\nb\n")),
            (Some("a\nb\n"), Some("b")),
            (Some("# x\n-- y\n"), Some("+ z\n")),
            (Some("one\n"), None),
            (None, Some("one\ntwo")),
            (None, Some("")),
        ] {
            leads_back(before, after);
        }
        // Of something else it is no diff.
        let shown = entries(&of_one(Some("a\nb\n"), Some("a\nc\n")));
        assert_eq!(shown[0].before(b"something else\n"), None);
    }

    #[test]
    fn what_deserves_a_second_look_is_found_and_nothing_else() {
        let of = |path: &str, before: Option<&str>, after: Option<&str>| {
            let bytes = |text: &str| Bytes::from(text.as_bytes().to_vec());
            let versions = Versions::of(before.map(bytes), after.map(bytes));
            risks(&"acme/infra".parse().unwrap(), &[(path.parse().unwrap(), versions)].into()).join("; ")
        };
        for (path, before, after, words) in [
            (".github/workflows/ci.yaml", None, Some("on: push\n"), "is a workflow"),
            ("a/.GitHub/Workflows/ci.yaml", None, Some("on: push\n"), "is a workflow"),
            (".github/actions/x/action.yml", Some("a"), Some("b"), "is a workflow"),
            (".github/CODEOWNERS", Some("* @a\n"), Some("* @b\n"), "says who must review"),
            ("a/b.tf", Some("x\n"), None, "is deleted"),
            ("a/b.tf", Some("x\n"), Some("x\nresource aws_iam_role\n"), "who may do what"),
            ("a/b.yaml", None, Some("kind: ClusterRoleBinding\n"), "who may do what"),
            ("a/b.tf", Some("x\n"), Some("x\ncidr = \"0.0.0.0/0\"\n"), "the whole Internet"),
            ("a/b.tf", None, Some("name = \"a\u{202e}b\"\n"), "cannot be seen"),
        ] {
            let told = of(path, before, after);
            assert!(told.contains(words), "{path}: {told}");
        }
        // What was there before, and what does not change, is nobody's to read again.
        assert_eq!(of("a/b.tf", Some("cidr = \"0.0.0.0/0\"\n"), Some("cidr = \"0.0.0.0/0\"\nmore\n")), "");
        assert_eq!(of("CODEOWNERS", Some("* @a\n"), Some("* @a\n")), "");
        assert_eq!(of("a/b.txt", None, Some("words\n")), "");
    }

    proptest! {
        #[test]
        fn every_diff_leads_back_to_what_was(
            before in proptest::option::of("([ab+@# -]{0,3}\n){0,12}[a-]{0,1}"),
            after in proptest::option::of("([ab+@# -]{0,3}\n){0,12}[a-]{0,1}"),
        ) {
            leads_back(before.as_deref(), after.as_deref());
        }
    }
}
