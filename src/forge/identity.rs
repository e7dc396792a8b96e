//! Who are we to the forge? Whoever a given token says, or a GitHub App, which signs with its key
//! and has the forge make it a token for each purpose: one that only reads, for all repositories of
//! an owner, and one that writes, for a single repository.
//! <https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app>

use std::collections::BTreeMap;

use hyper::Method;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::client::{ForgeError, Wire};
use crate::domain::{RepoName, Secret, Timestamp};

/// What proves who we are.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A token, used for everything.
    Token(Secret),
    /// A GitHub App.
    App {
        /// Its id.
        id: u64,
        /// Its private key, PEM.
        key: Secret,
    },
}

impl Credentials {
    /// The secret itself.
    pub(super) fn secret(&self) -> &Secret {
        match self {
            Self::Token(token) => token,
            Self::App { key, .. } => key,
        }
    }

    /// What these cannot do, as far as the kind of token tells.
    /// <https://docs.github.com/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats>
    pub fn lacks(&self) -> Option<&'static str> {
        let Self::Token(token) = self else { return None };
        let is_a_persons =
            ["ghp_", "github_pat_", "gho_", "ghu_"].iter().any(|kind| token.expose().starts_with(kind));
        if is_a_persons {
            return Some(
                "this token is a person's, and GitHub takes checks from Apps only: commit statuses say the same, but any writer can set one of that name, so merging past the rules is found only afterwards; act as an App (`chandlery app manifest`)",
            );
        }
        token.expose().starts_with("ghs_").then_some(
            "this token was made for some repositories and ends within the hour; that of a job of GitHub Actions reaches no other repository, reads no teams and passes no rules: act as an App (`chandlery app manifest`)",
        )
    }
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    Read,
    Write,
}

/// A token is made anew this long before it ends, in seconds: a push must not outlive it.
const EARLY: i64 = 600;
/// How long what we sign is good for, in seconds; GitHub allows ten minutes, and clocks differ.
const SIGNED: i64 = 480;

/// What is read anywhere.
const READ: [&str; 8] =
    ["actions", "checks", "contents", "issues", "members", "merge_queues", "pull_requests", "statuses"];
/// What is written in the catalog, and in a target.
const WRITE_CATALOG: [&str; 5] = ["checks", "contents", "issues", "merge_queues", "pull_requests"];
const WRITE_TARGET: [&str; 4] = ["checks", "contents", "merge_queues", "pull_requests"];
/// What is taken along where it was granted: steps that start workflows need `actions`, files in `.github/workflows` need it,
/// teams can be read only in organisations, merge queues need `merge_queues`, and `statuses` are read before something is merged.
const OPTIONAL: [&str; 5] = ["actions", "members", "merge_queues", "statuses", "workflows"];

pub(super) struct Identity {
    who: Who,
    catalog: RepoName,
}

enum Who {
    Token(Secret),
    App { id: u64, key: Box<EncodingKey>, minted: Mutex<BTreeMap<Scope, Minted>> },
}

/// The use, and the owner or the repository that it is for.
type Scope = (Use, String);

#[derive(Clone)]
struct Minted {
    token: Secret,
    until: Timestamp,
}

impl Identity {
    /// # Errors
    /// When the key is none.
    pub(super) fn new(credentials: &Credentials, catalog: &RepoName) -> Result<Self, ForgeError> {
        let who = match credentials {
            Credentials::Token(token) => Who::Token(token.clone()),
            Credentials::App { id, key } => {
                let key = EncodingKey::from_rsa_pem(key.expose().as_bytes()).map_err(|_| ForgeError::Key)?;
                Who::App { id: *id, key: Box::new(key), minted: Mutex::default() }
            }
        };
        Ok(Self { who, catalog: catalog.clone() })
    }

    /// The token for this use of a repository.
    ///
    /// # Errors
    /// When the App is not installed there, lacks a permission, or the forge does not answer.
    pub(super) async fn token(&self, wire: &Wire, usage: Use, name: &RepoName) -> Result<Secret, ForgeError> {
        let (id, key, minted) = match &self.who {
            Who::Token(token) => return Ok(token.clone()),
            Who::App { id, key, minted } => (*id, key, minted),
        };
        let scope = scope(usage, name);
        // Held while a token is made, so that many calls at once make one.
        let mut minted = minted.lock().await;
        let now = wire.now().await?;
        if let Some(known) = minted.get(&scope)
            && known.until.seconds() - now.seconds() > EARLY
        {
            return Ok(known.token.clone());
        }
        let made = self.mint(wire, usage, name, &jwt(id, key, now)?).await?;
        minted.insert(scope, made.clone());
        Ok(made.token)
    }

    /// What we sign as the App itself; none when we have a plain token.
    ///
    /// # Errors
    /// When the forge does not tell the time.
    pub(super) async fn itself(&self, wire: &Wire) -> Result<Option<Secret>, ForgeError> {
        match &self.who {
            Who::Token(_) => Ok(None),
            Who::App { id, key, .. } => jwt(*id, key, wire.now().await?).map(Some),
        }
    }

    /// Forgets a token that the forge no longer takes; false when another would be no other.
    pub(super) async fn forget(&self, usage: Use, name: &RepoName) -> bool {
        match &self.who {
            Who::Token(_) => false,
            Who::App { minted, .. } => minted.lock().await.remove(&scope(usage, name)).is_some(),
        }
    }

    async fn mint(
        &self,
        wire: &Wire,
        usage: Use,
        name: &RepoName,
        jwt: &Secret,
    ) -> Result<Minted, ForgeError> {
        let found = wire.as_app(Method::GET, &format!("/repos/{name}/installation"), None, jwt).await?;
        if found.status == 404 {
            return Err(ForgeError::NotInstalled { repository: name.clone() });
        }
        let installation = found.success()?.json()?;
        let (word, needed): (_, &[&str]) = match usage {
            Use::Read => ("read", &READ),
            Use::Write if *name == self.catalog => ("write", &WRITE_CATALOG),
            Use::Write => ("write", &WRITE_TARGET),
        };
        let granted = |resource: &str| match installation["permissions"][resource].as_str() {
            Some("write" | "admin") => true,
            Some("read") => usage == Use::Read,
            _ => false,
        };
        let wanted =
            needed.iter().chain(if usage == Use::Write { &["actions", "workflows"][..] } else { &[] });
        let mut permissions = serde_json::Map::new();
        for resource in wanted {
            if granted(resource) {
                permissions.insert((*resource).to_owned(), word.into());
            } else if !OPTIONAL.contains(resource) {
                let (resource, word) = ((*resource).to_owned(), word.to_owned());
                return Err(ForgeError::NotGranted { owner: name.owner().to_owned(), resource, word });
            }
        }
        let mut body = json!({ "permissions": permissions });
        if usage == Use::Write {
            body["repositories"] = json!([name.name()]);
        }
        let id = &installation["id"];
        let path = format!("/app/installations/{id}/access_tokens");
        let answer = wire.as_app(Method::POST, &path, Some(&body), jwt).await?.success()?;
        let made: Value = answer.json()?;
        let until = made["expires_at"].as_str().and_then(|text| text.parse().ok());
        match (made["token"].as_str(), until) {
            (Some(token), Some(until)) => Ok(Minted { token: Secret::new(token), until }),
            _ => Err(answer.strange("it holds no token")),
        }
    }

    /// Whether one token reads everything, whoever owns it.
    pub(super) fn is_one_token(&self) -> bool {
        matches!(self.who, Who::Token(_))
    }
}

fn scope(usage: Use, name: &RepoName) -> Scope {
    match usage {
        Use::Read => (usage, name.owner().to_owned()),
        Use::Write => (usage, name.to_string()),
    }
}

/// What proves to the forge that we hold the App's key.
fn jwt(id: u64, key: &EncodingKey, now: Timestamp) -> Result<Secret, ForgeError> {
    let now = now.seconds();
    let claims = json!({ "iss": id.to_string(), "iat": now - 60, "exp": now + SIGNED });
    let signed = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, key);
    signed.map(|jwt| Secret::new(&jwt)).map_err(|_| ForgeError::Key)
}
