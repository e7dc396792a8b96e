//! What does the text of a folder say, and where do two of them differ?
//!
//! Folders of thousands of files are read often and differ in few of them: what is equal is passed over without being
//! looked at name by name.

use std::cmp::Ordering;

use super::objects::{Node, Read, ReadError};
use crate::domain::{FileMode, ObjectId, TreeEntry};

/// One name of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Where in the text of the folder the name begins.
    pub at: usize,
    /// What has the name.
    pub node: Node,
}

impl Entry<'_> {
    /// As Git orders them: a folder as if its name ended with a slash.
    fn cmp(&self, other: &Self) -> Ordering {
        let end = |entry: &Self| matches!(entry.node, Node::Folder(_)).then_some(&b'/');
        self.name.iter().chain(end(self)).cmp(other.name.iter().chain(end(other)))
    }
}

/// What is under one name of two folders, where that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference<'a> {
    /// The name; one that was a file and is a folder, or the other way round, comes twice.
    pub name: &'a [u8],
    /// What it was.
    pub before: Option<Node>,
    /// What it is.
    pub after: Option<Node>,
}

/// The names of a folder.
///
/// # Errors
/// When it is none.
pub fn entries(text: &[u8]) -> impl Iterator<Item = Read<Entry<'_>>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let Some((entry, length)) = first(rest) else {
            at = text.len();
            return Some(Err(ReadError::Broken("it holds a folder that is none".to_owned())));
        };
        let found = Entry { at: at + entry.at, ..entry };
        at += length;
        Some(Ok(found))
    })
}

/// What has this name in a folder.
///
/// # Errors
/// When it is none.
pub fn node_named(text: &[u8], name: &str) -> Read<Option<Node>> {
    let found =
        entries(text).find(|entry| entry.as_ref().map_or(true, |entry| entry.name == name.as_bytes()));
    Ok(found.transpose()?.map(|entry| entry.node))
}

/// Where two folders differ, in Git's order of names.
///
/// # Errors
/// When one of them is none.
pub fn differences<'a>(mut before: &'a [u8], mut after: &'a [u8]) -> Read<Vec<Difference<'a>>> {
    let mut found = Vec::new();
    loop {
        let equal = equal_entries(before, after);
        (before, after) = (&before[equal..], &after[equal..]);
        let next = |text| entries(text).next().transpose();
        let (was, is) = match (next(before)?, next(after)?) {
            (None, None) => return Ok(found),
            (Some(was), Some(is)) => match was.cmp(&is) {
                Ordering::Less => (Some(was), None),
                Ordering::Equal => (Some(was), Some(is)),
                Ordering::Greater => (None, Some(is)),
            },
            one => one,
        };
        let end = |entry: Option<Entry<'_>>| entry.map_or(0, |entry| entry.at + entry.name.len() + 1 + ID);
        (before, after) = (&before[end(was)..], &after[end(is)..]);
        found.extend(was.or(is).map(|entry| Difference {
            name: entry.name,
            before: was.map(|was| was.node),
            after: is.map(|is| is.node),
        }));
    }
}

/// Bytes of an object's id.
const ID: usize = 20;

/// How many bytes at the beginning of both are the same entries.
fn equal_entries(a: &[u8], b: &[u8]) -> usize {
    const BLOCK: usize = 256;
    let blocks = a.chunks_exact(BLOCK).zip(b.chunks_exact(BLOCK)).take_while(|(a, b)| a == b).count();
    let (a_rest, b_rest) = (&a[blocks * BLOCK..], &b[blocks * BLOCK..]);
    let equal = blocks * BLOCK + a_rest.iter().zip(b_rest).take_while(|(a, b)| a == b).count();
    let mut whole = 0;
    // The last of them may be cut off.
    while let Some(length) = length(&a[whole..equal]) {
        whole += length;
    }
    whole
}

/// How long the first entry is.
fn length(text: &[u8]) -> Option<usize> {
    let at = name_at(text)?;
    let length = at + memchr::memchr(0, text.get(at..)?)? + 1 + ID;
    (length <= text.len()).then_some(length)
}

/// A mode has five or six digits.
fn name_at(text: &[u8]) -> Option<usize> {
    [6, 5].into_iter().find(|space| text.get(*space) == Some(&b' ')).map(|space| space + 1)
}

/// The first entry, and how long it is: a mode in octal digits, a space, a name, a zero, an id.
fn first(text: &[u8]) -> Option<(Entry<'_>, usize)> {
    let (at, length) = (name_at(text)?, length(text)?);
    let mode = text[..at - 1].iter().try_fold(0_u32, |mode, digit| match digit {
        b'0'..=b'7' => Some(mode * 8 + u32::from(digit - b'0')),
        _ => None,
    })?;
    let (name, id) = text[at..length].split_last_chunk::<ID>()?;
    let name = &name[..name.len() - 1];
    (!name.is_empty()).then_some((Entry { name, at, node: node(mode, ObjectId::from_bytes(*id)) }, length))
}

/// What has this mode in a folder.
pub(super) fn node(mode: u32, id: ObjectId) -> Node {
    let mode = match mode {
        0o040_000 => return Node::Folder(id),
        0o120_000 => FileMode::Link,
        0o160_000 => FileMode::Submodule,
        mode if mode & 0o100 != 0 => FileMode::Executable,
        _ => FileMode::File,
    };
    Node::File(TreeEntry { mode, id })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// A folder as Git writes it, of made-up names with a number for what each holds; even ones are files.
    fn written(names: &BTreeMap<String, u8>) -> Vec<u8> {
        let mut names: Vec<_> = names.iter().collect();
        let is_folder = |what: u8| what % 2 == 1;
        names
            .sort_by_key(|(name, what)| if is_folder(**what) { format!("{name}/") } else { (*name).clone() });
        let mut text = Vec::new();
        for (name, what) in names {
            text.extend(if is_folder(*what) { "40000 " } else { "100644 " }.bytes());
            text.extend(name.bytes().chain([0]).chain([*what; ID]));
        }
        text
    }

    fn folder() -> impl Strategy<Value = BTreeMap<String, u8>> {
        prop::collection::btree_map(
            "[ab]{1,3}(\\.[a/]?)?".prop_map(|name| name.replace('/', "-")),
            0..6_u8,
            0..30,
        )
    }

    proptest! {
        #[test]
        fn what_differs_is_what_looking_at_every_name_finds(before in folder(), changes in folder(), alike: bool) {
            let mut after = changes.clone();
            if alike {
                after = before.clone();
                for (name, what) in changes {
                    if what == 5 { after.remove(&name); } else { after.insert(name, what); }
                }
            }
            let (old, new) = (written(&before), written(&after));
            let by_name = |text: &[u8]| -> BTreeMap<Vec<u8>, Node> {
                entries(text).map(|entry| entry.unwrap()).map(|entry| (entry.name.to_vec(), entry.node)).collect()
            };
            let (mut patched, is) = (by_name(&old), by_name(&new));
            prop_assert_eq!(patched.len(), before.len());
            let differences = differences(&old, &new).unwrap();
            for one in differences.iter().filter(|one| one.before.is_some()) {
                prop_assert_eq!(patched.remove(one.name), one.before);
            }
            for one in &differences {
                prop_assert_ne!(one.before, one.after);
                if let Some(node) = one.after {
                    prop_assert_eq!(patched.insert(one.name.to_vec(), node), None);
                }
            }
            prop_assert_eq!(patched, is);
        }

        #[test]
        fn what_is_no_folder_is_refused(text in prop::collection::vec(any::<u8>(), 1..80)) {
            let whole = entries(&text).all(|entry| entry.is_ok());
            prop_assert_eq!(differences(&text, &[]).is_ok(), whole);
            prop_assert_eq!(differences(&[], &text).is_ok(), whole);
            prop_assert_eq!(differences(&text, &text).is_ok(), whole);
        }
    }
}
