//! Who is an App, and what may it do?
//!
//! An App proves who it is with a JWT signed by its key, asks for tokens of its installations, and
//! acts with those: in the repositories and with the permissions that a token was made for.
//! <https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app>

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::render::{View, node};
use super::reply::{Answer, Call, Refusal, Reply, created, invalid, not_found, ok, refuse};
use super::store::{Permission, Repository, State};

/// How long a token of an installation lives, and how far a JWT may reach, in seconds.
const TOKEN_LIVES: i64 = 3_600;
const JWT_LIVES: i64 = 600;
/// What GitHub forgives of a client's clock, in seconds.
const SKEW: i64 = 60;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct App {
    pub(crate) id: u64,
    pub(crate) slug: String,
    /// PEM.
    pub(crate) public_key: String,
    /// `contents: write` and so on.
    pub(crate) permissions: BTreeMap<String, String>,
    pub(crate) installations: Vec<Installation>,
    pub(crate) created_at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Installation {
    pub(crate) id: u64,
    /// The user or organisation that installed it.
    pub(crate) account: String,
    /// The names of the repositories; none means all.
    pub(crate) repositories: Option<BTreeSet<String>>,
    #[serde(default)]
    pub(crate) suspended_at: Option<Timestamp>,
}

/// What a token of an installation allows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) app: u64,
    pub(crate) account: String,
    pub(crate) repositories: Option<BTreeSet<String>>,
    pub(crate) permissions: BTreeMap<String, String>,
    pub(crate) expires_at: Timestamp,
}

impl App {
    pub(crate) fn login(&self) -> String {
        format!("{}[bot]", self.slug)
    }
}

impl Grant {
    fn covers(&self, repository: &Repository) -> bool {
        repository.owner == self.account
            && self.repositories.as_ref().is_none_or(|names| names.contains(&repository.name))
    }

    pub(crate) fn level(&self, resource: &str) -> u8 {
        level(self.permissions.get(resource).map(String::as_str))
    }

    /// What this token may do in a repository, in the words of roles.
    pub(crate) fn permission(&self, repository: &Repository) -> Permission {
        if !self.covers(repository) {
            return if repository.private { Permission::None } else { Permission::Read };
        }
        match self.permissions.values().map(|word| level(Some(word))).max() {
            _ if self.level("administration") > 1 => Permission::Admin,
            Some(2..) => Permission::Write,
            _ => Permission::Read,
        }
    }

    /// Refuses what the token's permissions do not reach.
    pub(crate) fn require(&self, method: &str, rest: &[&str]) -> Result<(), Refusal> {
        let reads = method == "GET";
        let needed = if reads { 1 } else { 2 };
        let allowed = resources(rest, reads).iter().any(|resource| self.level(resource) >= needed);
        if allowed { Ok(()) } else { Err(refuse(403, "Resource not accessible by integration")) }
    }
}

fn level(word: Option<&str>) -> u8 {
    match word {
        Some("read") => 1,
        Some("write") => 2,
        Some("admin") => 3,
        _ => 0,
    }
}

/// Which permissions open a path below a repository; any of them does.
fn resources(rest: &[&str], reads: bool) -> &'static [&'static str] {
    match rest {
        ["rules" | "rulesets", ..] if reads => &["metadata"],
        ["environments", _, "variables" | "secrets", ..] => &["environments"],
        ["environments", ..] if reads => &["actions"],
        ["actions", "workflows" | "runs" | "jobs", ..] => &["actions"],
        ["actions", "secrets" | "organization-secrets", ..] => &["secrets"],
        ["dispatches" | "codeowners", ..] => &["contents"],
        [] | ["collaborators", ..] | ["installation"] => &["metadata"],
        ["issues" | "labels", ..] => &["issues", "pull_requests"],
        ["pulls", _, "merge"]
        | ["activity" | "git" | "contents" | "compare" | "forks" | "merge-upstream", ..] => &["contents"],
        ["pulls", ..] => &["pull_requests"],
        ["check-runs", ..] | ["commits", .., "check-runs" | "check-suites"] => &["checks"],
        ["statuses", ..] | ["commits", .., "status" | "statuses"] => &["statuses"],
        ["commits", ..] => &["contents"],
        ["branches", .., "protection"] | ["hooks" | "teams", ..] => &["administration"],
        ["branches", ..] => &["contents"],
        _ => &["administration"],
    }
}

/// Who a JWT speaks for; 401 when it proves nothing.
pub(crate) fn app_of_jwt(state: &State, token: &str) -> Result<u64, Refusal> {
    #[derive(Deserialize)]
    struct Claims {
        iss: Value,
        iat: i64,
        exp: i64,
    }
    let bad = || refuse(401, "A JSON web token could not be decoded");
    let mut validation = Validation::new(Algorithm::RS256);
    // The forge has a clock of its own.
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    for app in state.apps.values() {
        let Ok(key) = DecodingKey::from_rsa_pem(app.public_key.as_bytes()) else { continue };
        let Ok(data) = jsonwebtoken::decode::<Claims>(token, &key, &validation) else { continue };
        let Claims { iss, iat, exp } = data.claims;
        let named = iss.as_u64().or_else(|| iss.as_str()?.parse().ok());
        let now = state.now().as_second();
        if named != Some(app.id) {
            return Err(bad());
        }
        if exp <= now {
            return Err(refuse(
                401,
                "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
            ));
        }
        if iat > now + SKEW {
            return Err(refuse(
                401,
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
            ));
        }
        if exp - now > JWT_LIVES {
            return Err(refuse(401, "'Expiration time' claim ('exp') is too far in the future"));
        }
        return Ok(app.id);
    }
    Err(bad())
}

/// What an installation's token allows, if it still does.
pub(crate) fn grant_of_token(state: &State, token: &str) -> Option<Grant> {
    state.app_tokens.get(token).filter(|grant| grant.expires_at > state.now()).cloned()
}

/// Whether the owner has put the installation to rest that a token is of.
pub(crate) fn is_suspended(state: &State, grant: &Grant) -> bool {
    let installations = state.apps.get(&grant.app).into_iter().flat_map(|app| &app.installations);
    installations.into_iter().any(|known| known.account == grant.account && known.suspended_at.is_some())
}

pub(crate) fn suspended() -> Refusal {
    refuse(403, "This installation has been suspended")
}

/// `/app…`, spoken by the App itself.
pub(crate) fn route(call: &mut Call<'_>, rest: &[&str]) -> Answer {
    let app = itself(call)?;
    match (call.method, rest) {
        ("GET", []) => ok(call.view().integration(&app)),
        ("GET", ["installations"]) => {
            let view = call.view();
            call.page(&app.installations, |installation| view.installation(&app, installation))
        }
        ("GET", ["installations", id]) => {
            let found = app.installations.iter().find(|known| known.id.to_string() == *id);
            ok(call.view().installation(&app, found.ok_or_else(not_found)?))
        }
        ("POST", ["installations", id, "access_tokens"]) => mint(call, &app, id),
        ("PUT" | "DELETE", ["installations", id, "suspended"]) => {
            let at = (call.method == "PUT").then(|| call.state.stamp());
            let known = call.state.apps.get_mut(&app.id).ok_or_else(not_found)?;
            let known = known.installations.iter_mut().find(|known| known.id.to_string() == *id);
            known.ok_or_else(not_found)?.suspended_at = at;
            Ok(Reply::empty())
        }
        ("DELETE", ["installations", id]) => {
            let known = call.state.apps.get_mut(&app.id).ok_or_else(not_found)?;
            known.installations.retain(|known| known.id.to_string() != *id);
            Ok(Reply::empty())
        }
        _ => Err(not_found()),
    }
}

fn itself(call: &Call<'_>) -> Result<App, Refusal> {
    let id = call.app.ok_or_else(|| refuse(401, "A JSON web token could not be decoded"))?;
    call.state.apps.get(&id).cloned().ok_or_else(not_found)
}

/// The installation of the calling App that reaches a repository.
pub(crate) fn installation_of(call: &Call<'_>, owner: &str, name: &str) -> Answer {
    let app = itself(call)?;
    let key = call.state.repository_key(owner, name).ok_or_else(not_found)?;
    let repository = call.repository(&key);
    let found = app.installations.iter().find(|installation| {
        installation.account == repository.owner
            && installation.repositories.as_ref().is_none_or(|names| names.contains(&repository.name))
    });
    ok(call.view().installation(&app, found.ok_or_else(not_found)?))
}

fn mint(call: &mut Call<'_>, app: &App, id: &str) -> Answer {
    let installation =
        app.installations.iter().find(|known| known.id.to_string() == id).ok_or_else(not_found)?;
    if installation.suspended_at.is_some() {
        return Err(suspended());
    }
    let asked: Option<BTreeSet<String>> = call.names("repositories").map(|names| names.into_iter().collect());
    let reachable = |name: &String| {
        let key = format!("{}/{name}", installation.account);
        call.state.repositories.contains_key(&key)
            && installation.repositories.as_ref().is_none_or(|names| names.contains(name))
    };
    if asked.as_ref().is_some_and(|names| names.is_empty() || !names.iter().all(reachable)) {
        return Err(refuse(
            422,
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        ));
    }
    let mut permissions = app.permissions.clone();
    if let Some(wanted) = call.body.get("permissions").and_then(Value::as_object) {
        let mut fewer = BTreeMap::new();
        for (resource, word) in wanted {
            let word = word.as_str();
            if level(word) == 0 || level(word) > level(app.permissions.get(resource).map(String::as_str)) {
                return Err(invalid(
                    "Installation",
                    "permissions",
                    "custom",
                    Some("The permissions requested are not granted to this installation."),
                ));
            }
            fewer.insert(resource.clone(), word.unwrap_or_default().to_owned());
        }
        permissions = fewer;
    }
    permissions.entry("metadata".to_owned()).or_insert_with(|| "read".to_owned());
    let expires_at = call.state.now() + SignedDuration::from_secs(TOKEN_LIVES);
    let repositories = asked.or_else(|| installation.repositories.clone());
    let token = format!("ghs_{:x}_{}", call.state.next_id(), app.slug);
    let selection = if repositories.is_some() { "selected" } else { "all" };
    let body = json!({
        "token": token, "expires_at": expires_at, "permissions": permissions, "repository_selection": selection,
    });
    let account = installation.account.clone();
    call.state.app_tokens.retain(|_, grant| grant.expires_at > expires_at - SignedDuration::from_hours(2));
    call.state
        .app_tokens
        .insert(token, Grant { app: app.id, account, repositories, permissions, expires_at });
    created(body)
}

impl View<'_> {
    fn integration(&self, app: &App) -> Value {
        let owner = app.installations.first().map_or_else(|| app.login(), |first| first.account.clone());
        json!({
            "id": app.id, "slug": app.slug, "node_id": node("A", app.id), "owner": self.user(&owner), "name": app.slug,
            "description": null, "external_url": self.html(&app.slug), "html_url": self.html(&format!("apps/{}", app.slug)),
            "created_at": app.created_at, "updated_at": app.created_at, "permissions": app.permissions, "events": [],
            "installations_count": app.installations.len(),
        })
    }

    fn installation(&self, app: &App, installation: &Installation) -> Value {
        let id = installation.id;
        json!({
            "id": id, "account": self.user(&installation.account), "app_id": app.id, "app_slug": app.slug, "target_id": id,
            "target_type": "Organization", "permissions": app.permissions, "events": [], "single_file_name": null,
            "repository_selection": if installation.repositories.is_some() { "selected" } else { "all" },
            "access_tokens_url": self.api(&format!("app/installations/{id}/access_tokens")),
            "repositories_url": self.api("installation/repositories"), "html_url": self.html(&format!("settings/installations/{id}")),
            "created_at": app.created_at, "updated_at": app.created_at, "suspended_at": installation.suspended_at,
            "suspended_by": installation.suspended_at.map(|_| self.user(&installation.account)),
        })
    }
}
