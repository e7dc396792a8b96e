//! Why could the forge not be asked, and what can be done about it?

use crate::domain::RepoName;

/// Why the forge could not be asked, or would not.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// The address cannot be used.
    #[error("`{url}` is not the address of a forge: {why}")]
    Address {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// No answer came.
    #[error("no answer from the forge to {what}: {why}; is there a network, and is the address right?")]
    Silent {
        /// What was asked.
        what: String,
        /// What happened.
        why: String,
    },
    /// The App's key cannot be used.
    #[error(
        "the App's private key cannot be read: give the PEM file that GitHub made for the App, unchanged"
    )]
    Key,
    /// The App may not go there at all.
    #[error(
        "the App is not installed on {repository}, or there is no such repository: look at its name, and install the App there; a target may be taken out of `repositories`"
    )]
    NotInstalled {
        /// Where.
        repository: RepoName,
    },
    /// The App may not do this.
    #[error(
        "the App may not {word} `{resource}` at {owner}: give it that permission, and have the owner accept it"
    )]
    NotGranted {
        /// Whose repositories.
        owner: String,
        /// The permission, as GitHub names it.
        resource: String,
        /// `read` or `write`.
        word: String,
    },
    /// It answered with an error.
    #[error("the forge answered {status} to {what}: {words}{}", advice(*status, what))]
    Status {
        /// What was asked.
        what: String,
        /// The HTTP status.
        status: u16,
        /// Its words.
        words: String,
    },
    /// We have asked too often.
    #[error("the forge takes no more calls for {seconds} seconds (its rate limit); try again then")]
    Limited {
        /// How long.
        seconds: u64,
    },
    /// Its answer makes no sense.
    #[error("the forge's answer to {what} cannot be read: {why}")]
    Strange {
        /// What was asked.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

/// What to do about an answer that says that something is set up wrongly rather than what.
fn advice(status: u16, what: &str) -> &'static str {
    match status {
        401 if what.contains("/app") || what.ends_with("/installation") => {
            "; the App ID and the private key must be those of one App, and this machine's clock right"
        }
        401 => "; the token has ended, was revoked or is not whole",
        404 if what.ends_with(" /graphql") || what.ends_with(" /meta") => {
            "; is this the address of an API? That of a GitHub Enterprise Server is https://HOST/api/v3"
        }
        _ => "",
    }
}
