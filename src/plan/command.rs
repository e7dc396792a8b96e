//! What do people ask for in comments?
//!
//! A command is the first line of a comment that nobody edited since: `/word`, and what follows on that line. An edited
//! one says nothing, since somebody else may have edited it. Who may give a command is asked where it is carried out.

use std::collections::BTreeSet;

use crate::{
    domain::{Login, Permission, Remark, Timestamp},
    plan::{
        build::Site,
        facts::{Looked, Pending},
    },
};

/// The word by which an administrator has something carried out that was merged past the rules.
pub const BREAK_GLASS: &str = "break-glass";

/// Something that somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command<'a> {
    /// The comment's id on the forge.
    pub id: u64,
    /// What is asked, without the slash.
    pub word: &'a str,
    /// The rest of the line.
    pub rest: &'a str,
    /// Who asked.
    pub by: &'a Login,
    /// When, by the forge's clock.
    pub at: Timestamp,
}

/// The commands among what was said, oldest first.
pub fn commands(remarks: &[Remark]) -> Vec<Command<'_>> {
    remarks.iter().filter_map(command).collect()
}

fn command(remark: &Remark) -> Option<Command<'_>> {
    let Remark { id, author, body, at, edited } = remark;
    let line = body.lines().next()?.strip_prefix('/')?.trim_end();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let by = author.as_ref().filter(|_| is_word && !edited)?;
    Some(Command { id: *id, word, rest: rest.trim(), by, at: *at })
}

/// The newest of these commands that somebody gave who may: one of the requesters, or a person with write access to the
/// catalog. Where it cannot be learnt what somebody may do, they may not.
pub(super) fn newest_allowed<'a>(
    site: &Site<'_>,
    commands: impl IntoIterator<Item = Command<'a>>,
    requesters: &BTreeSet<Login>,
) -> Looked<Option<Command<'a>>> {
    let mut newest = None;
    let mut pending = false;
    for command in commands {
        let may = requesters.contains(command.by)
            || match site.look.permission(&site.here.catalog, command.by) {
                Err(Pending) => {
                    pending = true;
                    false
                }
                Ok(permission) => permission.is_ok_and(|permission| permission >= Permission::Write),
            };
        if may {
            newest = Some(command);
        }
    }
    if pending { Err(Pending) } else { Ok(newest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_the_first_line_of_an_unedited_comment() {
        let remark = |body: &str, edited| Remark {
            id: 7,
            author: Some("dan".parse().unwrap()),
            body: body.to_owned(),
            at: Timestamp::from_seconds(9),
            edited,
        };
        let read = |body: &str, edited| {
            let remarks = [remark(body, edited)];
            commands(&remarks).first().map(|command| (command.word.to_owned(), command.rest.to_owned()))
        };
        let is = |word: &str, rest: &str| Some((word.to_owned(), rest.to_owned()));
        assert_eq!(read("/retry", false), is("retry", ""));
        assert_eq!(read("/retry  apply \r\nplease", false), is("retry", "apply"));
        assert_eq!(read("/decline not now", false), is("decline", "not now"));
        for (body, edited) in [
            ("/retry", true),
            ("please /retry", false),
            ("\n/retry", false),
            ("/", false),
            ("/Retry", false),
            ("//", false),
            ("/usr/bin is full", false),
        ] {
            assert_eq!(read(body, edited), None, "{body}");
        }
    }
}
