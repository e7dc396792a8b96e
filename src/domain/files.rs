//! What is in a repository: paths, object ids, and changes of files.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha1::{Digest, Sha1};

use super::InvalidId;

/// The bytes of a file; cheap to clone.
pub type Bytes = Arc<[u8]>;

/// The id of a Git object (SHA-1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId([u8; 20]);

impl ObjectId {
    /// The id from its 20 bytes.
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The 20 bytes.
    pub fn bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The id that Git gives a file with these bytes.
    pub fn of_blob(bytes: &[u8]) -> Self {
        let mut hash = Sha1::new();
        hash.update(b"blob ");
        hash.update(bytes.len().to_string());
        hash.update([0]);
        hash.update(bytes);
        Self(hash.finalize().into())
    }

    /// The first ten digits, for people.
    pub fn short(&self) -> String {
        self.to_string()[..10].to_owned()
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl FromStr for ObjectId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let mut bytes = [0; 20];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidId {
            text: text.to_owned(),
            what: "an object id",
            rule: "it has 40 hexadecimal digits",
        })?;
        Ok(Self(bytes))
    }
}

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A path inside a repository: relative, `/` between segments, no `.` or `..`, never into `.git`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(Arc<str>);

impl RepoPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// This path below `folder`.
    pub fn under(&self, folder: &Self) -> Option<&str> {
        self.0.strip_prefix(folder.as_str())?.strip_prefix('/')
    }

    /// The last segment.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The file's ending in lower case, without its dot.
    pub fn extension(&self) -> Option<String> {
        self.file_name().rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase())
    }

    /// `segments` below this path.
    ///
    /// # Errors
    /// When the result would not be a path inside the repository.
    pub fn join(&self, segments: &str) -> Result<Self, InvalidId> {
        format!("{}/{segments}", self.0).parse()
    }
}

fn is_path_segment(segment: &str) -> bool {
    !segment.is_empty()
        && segment.len() <= 255
        && segment != "."
        && segment != ".."
        && !segment.eq_ignore_ascii_case(".git")
        && !segment.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("git~"))
        && !segment.ends_with(['.', ' '])
        && !segment.starts_with(' ')
        && segment.chars().all(|c| {
            !c.is_control()
                && !matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
                // Letters that a reader cannot see or that reorder what they see, and that some disks drop.
                && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        })
}

impl FromStr for RepoPath {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.len() <= 1000 && text.split('/').all(is_path_segment) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId {
                text: text.to_owned(),
                what: "a path inside a repository",
                rule: "it is relative, has no empty, `.`, `..` or `.git` segment, and only characters that every file system keeps",
            })
        }
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

impl Serialize for RepoPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RepoPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What kind of thing a tree holds under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum FileMode {
    /// An ordinary file (100644).
    #[default]
    File,
    /// A file that may be executed (100755).
    Executable,
    /// A symbolic link (120000).
    Link,
    /// A commit of another repository (160000).
    Submodule,
}

/// A file of a template, as a plan pins it: its blob, and whether it may be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin {
    /// Its blob.
    pub id: ObjectId,
    /// Whether its mode is 100755.
    pub executable: bool,
}

/// What follows the blob of a file that may be executed.
const EXECUTABLE: &str = " executable";

impl Serialize for Pin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mark = if self.executable { EXECUTABLE } else { "" };
        serializer.collect_str(&format_args!("{}{mark}", self.id))
    }
}

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let id = text.strip_suffix(EXECUTABLE);
        let executable = id.is_some();
        id.unwrap_or(&text).parse().map(|id| Self { id, executable }).map_err(serde::de::Error::custom)
    }
}

/// One file of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeEntry {
    /// Its mode.
    pub mode: FileMode,
    /// Its blob (or, for a submodule, commit).
    pub id: ObjectId,
}

/// What becomes of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The file gets these bytes; an existing file keeps its mode.
    Put(Bytes),
    /// The file gets these bytes, and may be executed.
    PutExecutable(Bytes),
    /// The file goes away.
    Delete,
}

impl Change {
    /// What the file holds afterwards.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Put(bytes) | Self::PutExecutable(bytes) => Some(bytes),
            Self::Delete => None,
        }
    }
}

/// What becomes of the files of one repository.
pub type Changes = BTreeMap<RepoPath, Change>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_inside_the_repository_on_every_file_system() {
        for bad in [
            "",
            "/etc/x",
            "a/../b",
            "a//b",
            ".git/config",
            "a/.GIT/x",
            "git~1/x",
            "a\\b",
            "c:x",
            "a/b ",
            "a/b.",
            "a\0b",
            "x/\u{202e}y",
            "./a",
        ] {
            assert!(bad.parse::<RepoPath>().is_err(), "{bad:?}");
        }
        for good in ["a", ".github/workflows/ci.yml", "ä/ö.tf", "a b/c"] {
            assert!(good.parse::<RepoPath>().is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_pin_says_whether_the_file_may_be_executed() {
        for executable in [false, true] {
            let pin = Pin { id: ObjectId::of_blob(b"x"), executable };
            let text = serde_json::to_string(&pin).unwrap();
            assert_eq!(serde_json::from_str::<Pin>(&text).unwrap(), pin, "{text}");
        }
        assert!(serde_json::from_str::<Pin>("\"ce013625 executable\"").is_err());
    }

    #[test]
    fn a_blob_has_the_id_that_git_gives_it() {
        assert_eq!(ObjectId::of_blob(b"hello\n").to_string(), "ce013625030ba8dba906f756967f9e9ca394464a");
    }
}
