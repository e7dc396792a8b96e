//! What is a proper name? Each kind of name is checked once, here; holding the value is the proof.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not a name of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}: {rule}")]
pub struct InvalidId {
    /// The text as given.
    pub text: String,
    /// The kind of name, with its article.
    pub what: &'static str,
    /// What such a name must be like.
    pub rule: &'static str,
}

fn is_identifier(text: &str, max: usize) -> bool {
    !text.is_empty()
        && text.chars().count() <= max
        && text != "."
        && text != ".."
        && text.chars().all(|c| c.is_alphabetic() || c.is_ascii_digit() || "@_.+:\\/=-".contains(c))
}

fn is_word(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "@_.-".contains(c))
        && !text.starts_with(['.', '-'])
}

fn is_login(text: &str) -> bool {
    let name = text.strip_suffix("[bot]").unwrap_or(text);
    (1..=100).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        && !name.starts_with('-')
}

fn is_repository(text: &str) -> bool {
    let part = |part: &str| {
        (1..=100).contains(&part.len())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            && !part.starts_with(['-', '.'])
    };
    matches!(text.split_once('/'), Some((owner, name)) if part(owner) && part(name))
}

/// The rules of `git check-ref-format`, and no leading dash.
fn is_branch(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 200
        && !text.starts_with(['-', '/'])
        && !text.ends_with(['/', '.'])
        && !text.contains("..")
        && !text.contains("//")
        && !text.contains("@{")
        && text != "@"
        && !text.starts_with("refs/")
        && text.chars().all(|c| !c.is_control() && !c.is_whitespace() && !"~^:?*[\\".contains(c))
        && text.split('/').all(|part| !part.starts_with('.') && !part.ends_with(".lock"))
}

fn is_secret_ref(text: &str) -> bool {
    let name = |name: &str| {
        (1..=100).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    match text.split_once(':') {
        Some(("env" | "github-secret", rest)) => name(rest),
        Some(("age", rest)) => {
            (20..=20_000).contains(&rest.len())
                && rest.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c))
        }
        _ => false,
    }
}

fn is_request(text: &str) -> bool {
    text.len() <= 120
        && !text.is_empty()
        && text.split('/').all(|part| {
            (1..=60).contains(&part.len())
                && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))
                && !part.starts_with('-')
        })
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str { &self.0 }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidId { text: text.to_owned(), what: $what, rule: $rule })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "`{}`", self.0) }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> { serializer.serialize_str(&self.0) }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

names! {
    /// Identifies an entity among those of its blueprint, such as `checkout`.
    Identifier, "an identifier", "it has letters, digits and @ _ . + : \\ / = -, at most 1000", |t| is_identifier(t, 1000);
    /// Identifies a blueprint, such as `service`.
    BlueprintId, "a blueprint's identifier", "it has letters, digits and @ _ . -, at most 100, and starts with none of . -", |t| is_word(t, 100);
    /// Identifies an action, such as `create-bucket`.
    ActionId, "an action's identifier", "it has letters, digits and @ _ . -, at most 100, and starts with none of . -", |t| is_word(t, 100);
    /// Identifies a policy, such as `no-friday-deploys`.
    PolicyId, "a policy's identifier", "it has letters, digits and @ _ . -, at most 100, and starts with none of . -", |t| is_word(t, 100);
    /// Names a folder of templates.
    TemplateName, "a template's name", "it has letters, digits and @ _ . -, at most 100, and starts with none of . -", |t| is_word(t, 100);
    /// Identifies a step within its action.
    StepId, "a step's identifier", "it has letters, digits and @ _ . -, at most 40, and starts with none of . -", |t| is_word(t, 40);
    /// Identifies a request, such as `2026/11/issue-42`; it is also the folder under `requests/`.
    RequestId, "a request's identifier", "it has lower-case letters, digits, - and _, in parts divided by /, at most 120", is_request;
    /// A team: the identifier of a `_team` entity.
    TeamSlug, "a team", "it has letters, digits and @ _ . -, at most 100, and starts with none of . -", |t| is_word(t, 100);
    /// Where a secret is, never the secret itself: `env:NAME` (our environment's `CHANDLERY_SECRET_NAME`),
    /// `github-secret:NAME` (of the workflow that is started), `age:…` (encrypted for us; base64 of the binary format).
    SecretRef, "a reference to a secret", "it is written `env:NAME`, `github-secret:NAME` or `age:` with base64, and names have capital letters, digits and _", is_secret_ref;
    /// A repository on the forge, `owner/name`.
    RepoName, "a repository", "it is written owner/name", is_repository;
    /// A branch, without `refs/heads/`.
    Branch, "a branch", "it follows the rules of `git check-ref-format`", is_branch;
}

impl RepoName {
    /// The user or organisation.
    pub fn owner(&self) -> &str {
        self.0.split_once('/').map_or("", |(owner, _)| owner)
    }

    /// The name without its owner.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

impl SecretRef {
    /// The name that the environment has it by, behind `CHANDLERY_SECRET_`.
    pub fn environment(&self) -> Option<&str> {
        self.0.strip_prefix("env:")
    }

    /// The base64 of what was encrypted.
    pub fn encrypted(&self) -> Option<&str> {
        self.0.strip_prefix("age:")
    }

    /// As people read it: what is encrypted is long and says nothing.
    pub fn shown(&self) -> String {
        if self.encrypted().is_some() { "age:… (encrypted)".to_owned() } else { self.0.to_string() }
    }
}

impl Branch {
    /// The full name of the ref.
    pub fn full(&self) -> String {
        format!("refs/heads/{}", self.0)
    }
}

impl RequestId {
    /// The identifier in one path segment, for branches and file names.
    pub fn slug(&self) -> String {
        self.0.replace('/', "-")
    }

    /// Whether only Chandlery may open a request under this name (`…/issue-42`, `…/pull-42`, `…/ttl-…`).
    pub fn is_reserved(&self) -> bool {
        self.0
            .rsplit('/')
            .next()
            .is_some_and(|last| ["issue-", "pull-", "ttl-"].iter().any(|prefix| last.starts_with(prefix)))
    }

    /// Whether we ask for it because the time of an entity is over, going by its name.
    pub fn is_ttl(&self) -> bool {
        self.0.rsplit('/').next().is_some_and(|last| last.starts_with("ttl-"))
    }

    /// The number of the issue that this request came from, going by its name.
    pub fn issue(&self) -> Option<u64> {
        self.0.rsplit('/').next()?.strip_prefix("issue-")?.parse().ok()
    }

    /// The number of the pull request from a fork that this request came from, going by its name.
    pub fn fork_pull(&self) -> Option<u64> {
        self.0.rsplit('/').next()?.strip_prefix("pull-")?.parse().ok()
    }
}

/// A person or App on the forge. Compared without regard to case, as forges do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Login(std::sync::Arc<str>);

impl Login {
    /// The login in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is an App and not a person.
    pub fn is_app(&self) -> bool {
        self.0.ends_with("[bot]")
    }
}

impl FromStr for Login {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if is_login(text) {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            Err(InvalidId {
                text: text.to_owned(),
                what: "a login",
                rule: "it has letters, digits and -, as on the forge",
            })
        }
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

impl Serialize for Login {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Login {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Identifies one entity in the catalog, written `service/checkout`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId {
    /// What kind of thing.
    pub blueprint: BlueprintId,
    /// Which one.
    pub identifier: Identifier,
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.blueprint, self.identifier)
    }
}

impl FromStr for EntityId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (blueprint, identifier) = text.split_once('/').ok_or_else(|| InvalidId {
            text: text.to_owned(),
            what: "an entity",
            rule: "a blueprint and an identifier with `/` between them",
        })?;
        Ok(Self { blueprint: blueprint.parse()?, identifier: identifier.parse()? })
    }
}

impl Serialize for EntityId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntityId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_climb_or_be_read_as_options_are_refused() {
        for text in ["..", "-x", "a..b", "refs/heads/x", "a b", "a\nb", "x.lock", "a//b", "@{u}", ""] {
            assert!(text.parse::<Branch>().is_err(), "{text}");
            assert!(text.parse::<RepoName>().is_err(), "{text}");
        }
        for text in ["a/../b", "/a", "a/", "A", "a/-b", "..", "-x", "a b", "a\nb", "x.lock", "a//b", ""] {
            assert!(text.parse::<RequestId>().is_err(), "{text}");
        }
        assert_eq!("2026/11/issue-42".parse::<RequestId>().unwrap().issue(), Some(42));
        assert_eq!("Ada".parse::<Login>().unwrap(), "ada".parse().unwrap());
    }
}
