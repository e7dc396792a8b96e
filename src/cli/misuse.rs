//! Was a command used wrongly? An option is for clap to judge; what only the catalog can tell, such as a name that nothing
//! there has or a query that makes no sense, ends with the same exit code.

use crate::{catalog::values::did_you_mean, cli, domain::nearest, git::objects::NoCommit};

/// What was typed cannot be meant.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Misuse(String);

/// That what was typed cannot be meant, and why.
pub(super) fn misuse(why: impl Into<String>) -> anyhow::Error {
    Misuse(why.into()).into()
}

/// That nothing has a name that was typed: with the nearest that something has, or all of them where they are few.
pub(super) fn unknown<'a>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> anyhow::Error {
    match did_you_mean(name, known) {
        Some(help) => misuse(format!("{what}; {help}")),
        None => misuse(what),
    }
}

/// The same where there may be many, and `where_told` says where they are listed.
pub(super) fn unknown_of_many<'a>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    where_told: &str,
) -> anyhow::Error {
    match nearest(name, known) {
        Some(near) => misuse(format!("{what}; did you mean `{near}`?")),
        None => misuse(format!("{what}; {where_told}")),
    }
}

/// The exit code of an error.
pub(super) fn exit_code(error: &anyhow::Error) -> u8 {
    // That there is no HEAD yet is nobody's slip.
    let is_revision = error
        .downcast_ref()
        .is_some_and(|none: &NoCommit| !matches!(none, NoCommit::Unknown(name) if name == "HEAD"));
    if is_revision || error.is::<Misuse>() { cli::USAGE } else { cli::WORLD_FAILED }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_slip_of_whoever_types_is_wrong_usage_and_what_is_broken_is_not() {
        let known = ["checkout", "payments"];
        let error = unknown("there is no service `chekout`", "chekout", known);
        assert_eq!(error.to_string(), "there is no service `chekout`; did you mean `checkout`?");
        assert_eq!(exit_code(&error), cli::USAGE);
        let error = unknown("there is no service `x1`", "x1", known);
        assert_eq!(error.to_string(), "there is no service `x1`; it can be `checkout` or `payments`");
        let error = unknown_of_many("`x1` is not there", "x1", known, "`chandlery list` names what is");
        assert_eq!(error.to_string(), "`x1` is not there; `chandlery list` names what is");

        for (revision, code) in [("nowhere", cli::USAGE), ("HEAD", cli::WORLD_FAILED)] {
            let none = Err::<(), _>(NoCommit::Unknown(revision.to_owned()));
            assert_eq!(exit_code(&none.context("cannot look").unwrap_err()), code);
        }
        assert_eq!(exit_code(&anyhow::anyhow!("no route to host")), cli::WORLD_FAILED);
    }
}
