//! What may `chandlery.yaml` say?

use std::collections::{BTreeMap, BTreeSet};

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Reader, join, kind, located,
    sink::{self, SinkDocument},
    step::{origin, seconds},
};
use crate::{
    catalog::{
        ByHand, CommitBy, Editors, Folders, Mode, REPLAY, RETRY_FOR, RecordBy, Root, Secrets, Settings,
        values::{Segment, Wrong, trail},
    },
    domain::{BlueprintId, Diagnostic, RepoName, RepoPath, SecretRef},
};

/// The version of the formats that this program knows.
const VERSION: u32 = 1;

/// The settings of a catalog, `chandlery.yaml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::catalog) struct SettingsDocument {
    /// The version of the formats; this is version 1.
    #[schemars(range(min = 1))]
    version: u32,
    /// The catalog's own repository, `owner/name`: commands that are started in a copy of it need not be told.
    #[serde(default)]
    repository: Option<String>,
    /// Whether Chandlery acts: `observe` says what it would do, `off` does nothing.
    #[serde(default)]
    mode: ModeDocument,
    /// Where everything lies, seen from the catalog's root.
    #[serde(default)]
    folders: Option<FoldersDocument>,
    /// How commits reach the catalog.
    #[serde(default)]
    commits: CommitsDocument,
    /// How the records of finished runs reach the default branch.
    #[serde(default)]
    state: StateDocument,
    /// Whether labels on issues and pull requests tell where their requests stand; they do if not said.
    #[serde(default)]
    labels: Option<bool>,
    /// Who else hears where requests stand.
    #[serde(default)]
    notifications: Option<Vec<SinkDocument>>,
    /// The repositories that follow-up pull requests may go to: `owner/name`, or with more to say about one.
    #[serde(default)]
    #[schemars(schema_with = "repositories")]
    repositories: Option<Vec<Value>>,
    /// The servers that steps may call: `https://` and the server's name, with its port if it is another.
    #[serde(default)]
    webhooks: Option<Vec<String>>,
    /// How scripts are run; without it, none is.
    #[serde(default)]
    scripts: Option<ScriptsDocument>,
    /// How long a run whose step failed can be retried, such as `24h`, which it is if not said.
    #[serde(default)]
    retry_for: Option<String>,
    /// Whom people ask when a request has mistakes or fails, such as `#platform in Slack`; told in one line where that happens.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200), pattern(r"^[^<>\r\n]+$"))]
    contact: Option<String>,
    /// What becomes of requests that nobody looks after, and of those that were carried out.
    #[serde(default)]
    requests: Option<RequestsDocument>,
    /// Whether administrators may have carried out what was merged past the rules; they may not if not said.
    #[serde(default)]
    break_glass: Option<BreakGlassDocument>,
    /// The secrets that an input of the format `secret` may name as `env:NAME`; whoever acts has them as `CHANDLERY_SECRET_NAME`.
    #[serde(default)]
    secrets: Vec<String>,
    /// Public keys of age, `age1…`, that secrets in requests are encrypted for.
    #[serde(default)]
    age_recipients: Vec<String>,
    /// Who may write entities by hand, by their blueprint; whoever may write to the repository, of those that are not named.
    #[serde(default)]
    entities: Option<BTreeMap<String, ByHandDocument>>,
}

/// Who may write entities of a blueprint in a pull request of their own; whoever may write to the repository, if not said.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ByHandDocument {
    /// Who may add one.
    #[serde(default)]
    #[schemars(schema_with = "editors")]
    create: Option<Value>,
    /// Who may change one.
    #[serde(default)]
    #[schemars(schema_with = "editors")]
    change: Option<Value>,
    /// Who may remove one.
    #[serde(default)]
    #[schemars(schema_with = "editors")]
    delete: Option<Value>,
}

/// Who may write entities by hand, and what of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EditorsDocument {
    /// Logins on the forge.
    #[serde(default)]
    users: Vec<String>,
    /// Identifiers of `_team` entities.
    #[serde(default)]
    teams: Vec<String>,
    /// Whether whoever owns the entity may.
    #[serde(default)]
    owners: bool,
    /// What they may write of it: names of properties, `relations.NAME`, `$title`, `$team`; everything if not said.
    #[serde(default)]
    properties: Option<Vec<String>>,
}

fn editors(generator: &mut SchemaGenerator) -> schemars::Schema {
    let named = generator.subschema_for::<EditorsDocument>();
    json!({ "anyOf": [{ "enum": ["nobody", null] }, named] }).try_into().unwrap_or_default()
}

/// How scripts are run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ScriptsDocument {
    /// The user of the machine that they run as, by name or number: one that cannot read what Chandlery can.
    #[serde(rename = "as")]
    user: String,
}

/// What becomes of requests that nobody looks after, and of those that were carried out.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RequestsDocument {
    /// How long a request may wait for people before it is closed, such as `30d`, which is the longest; for ever if not said.
    expire_after: Option<String>,
    /// How many of the requests that were carried out last a change of definitions is tried with, before it is merged; 20 if not said.
    #[serde(default)]
    #[schemars(range(max = 100))]
    replay: Option<u8>,
}

/// Whether administrators may have carried out what was merged past the rules.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BreakGlassDocument {
    /// How long after the merge, such as `1d`; for so long a request that was merged past the rules waits before it is denied.
    within: String,
}

/// How commits reach a repository: `push` sends them with Git, `api` has the forge make them, which signs what an App made.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum CommitsDocument {
    #[default]
    Push,
    Api,
}

/// How records reach the default branch: `push` goes straight there, `pullRequest` through one that Chandlery merges.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum StateDocument {
    #[default]
    Push,
    PullRequest,
}

/// A repository that follow-up pull requests may go to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RepositoryDocument {
    /// Which: `owner/name`.
    name: String,
    /// How commits reach it.
    #[serde(default)]
    commits: CommitsDocument,
}

fn repositories(generator: &mut SchemaGenerator) -> schemars::Schema {
    let one = generator.subschema_for::<RepositoryDocument>();
    let list = json!({ "type": "array", "items": { "anyOf": [{ "type": "string" }, one] } });
    json!({ "anyOf": [list, { "type": "null" }] }).try_into().unwrap_or_default()
}

kind!(SettingsDocument, "chandlery", definition: true);

/// Whether Chandlery acts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ModeDocument {
    Observe,
    #[default]
    On,
    Off,
}

/// Where everything lies, seen from the catalog's root; `../` climbs, but never out of the repository.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FoldersDocument {
    /// Blueprints, `blueprints` if not said.
    blueprints: Option<String>,
    /// Entities, `entities` if not said.
    entities: Option<String>,
    /// Actions, `actions` if not said.
    actions: Option<String>,
    /// The folders of templates, `action-templates` if not said.
    templates: Option<String>,
    /// Requests, `requests` if not said.
    requests: Option<String>,
    /// Scorecards, `scorecards` if not said.
    scorecards: Option<String>,
    /// Policies, `policies` if not said.
    policies: Option<String>,
}

impl SettingsDocument {
    /// Why nothing can be said about this catalog, if it is written for a newer program.
    pub(in crate::catalog) fn newer_than_us(&self, reader: &Reader) -> Option<Diagnostic> {
        let message = format!("is {}, and this program knows version {VERSION}", self.version);
        let wrong = Wrong::new("settings-version", &trail!["version"], message).help("use a newer Chandlery");
        (self.version > VERSION).then(|| located(&reader.document, wrong))
    }

    pub(in crate::catalog) fn into_domain(self, root: &Root, reader: &mut Reader) -> Option<Settings> {
        let named = self.folders.unwrap_or_default();
        let mut folder = |name: &str, said: Option<String>, usual: &str| {
            let path = trail!["folders", name];
            let said = said.unwrap_or_else(|| usual.to_owned());
            resolve(root, &said).or_else(|| {
                let wrong = Wrong::new(
                    "folder-outside-repository",
                    &path,
                    format!("must be a folder of this repository, and is `{said}`"),
                );
                reader.wrong(
                    wrong.help("name a folder as seen from `chandlery.yaml`, such as `../action-templates`"),
                );
                None
            })
        };
        let folders = [
            folder("blueprints", named.blueprints, "blueprints"),
            folder("entities", named.entities, "entities"),
            folder("actions", named.actions, "actions"),
            folder("templates", named.templates, "action-templates"),
            folder("requests", named.requests, "requests"),
            folder("scorecards", named.scorecards, "scorecards"),
            folder("policies", named.policies, "policies"),
        ];
        let repositories = self.repositories.unwrap_or_default().into_iter().enumerate();
        let repositories =
            repositories.filter_map(|(index, value)| repository(index, value, reader)).collect();
        let secrets = secrets(self.secrets, self.age_recipients, reader);
        let by_hand = self.entities.unwrap_or_default().into_iter();
        let by_hand = by_hand.filter_map(|(name, said)| by_hand_of(&name, said, reader)).collect();
        let [blueprints, entities, actions, templates, requests, scorecards, policies] = folders;
        let folders = Folders {
            blueprints: blueprints?,
            entities: entities?,
            actions: actions?,
            templates: templates?,
            requests: requests?,
            scorecards: scorecards?,
            policies: policies?,
        };
        let places = folders.all();
        for (index, one) in places.iter().enumerate() {
            if let Some(other) = places[..index].iter().find(|other| overlap(one, other)) {
                let name = Folders::NAMES[index];
                let path: Vec<Segment> = join(&trail!["folders"], name);
                let message = format!("is `{one}`, which overlaps with `{other}`");
                reader.wrong(
                    Wrong::new("folder-overlap", &path, message).help("give each kind a folder of its own"),
                );
            }
        }
        let notifications = sink::read(self.notifications.unwrap_or_default(), reader);
        let mut webhooks = BTreeSet::new();
        for (index, said) in self.webhooks.unwrap_or_default().iter().enumerate() {
            match origin(said).filter(|origin| origin.eq_ignore_ascii_case(said.trim_end_matches('/'))) {
                Some(origin) => drop(webhooks.insert(origin)),
                None => {
                    let wrong = Wrong::new(
                        "webhook-url",
                        &join(&trail!["webhooks"], index),
                        "is not the address of a server alone",
                    );
                    reader.wrong(wrong.help("write it as `https://hooks.acme.test`, without a path; `http://` is for this machine only"));
                }
            }
        }
        let requests = self.requests.unwrap_or_default();
        let expire_after =
            seconds(requests.expire_after.as_deref(), &trail!["requests", "expireAfter"], reader);
        let within = self.break_glass.map(|broken| broken.within);
        let break_glass = seconds(within.as_deref(), &trail!["breakGlass", "within"], reader);
        let retry_for = seconds(self.retry_for.as_deref(), &trail!["retryFor"], reader);
        let mode = match self.mode {
            ModeDocument::Observe => Mode::Observe,
            ModeDocument::On => Mode::On,
            ModeDocument::Off => Mode::Off,
        };
        let repository = match self.repository {
            Some(name) => Some(reader.name(&trail!["repository"], &name)?),
            None => None,
        };
        Some(Settings {
            version: self.version,
            repository,
            mode,
            folders,
            commits: self.commits.into_domain(),
            state: match self.state {
                StateDocument::Push => RecordBy::Push,
                StateDocument::PullRequest => RecordBy::PullRequest,
            },
            repositories,
            labels: self.labels.unwrap_or(true),
            notifications,
            webhooks,
            scripts_as: self.scripts.map(|scripts| scripts.user),
            contact: self.contact,
            expire_after,
            replay: requests.replay.map_or(REPLAY, usize::from),
            break_glass,
            retry_for: retry_for.unwrap_or(RETRY_FOR),
            secrets,
            entities: by_hand,
        })
    }
}

impl CommitsDocument {
    fn into_domain(self) -> CommitBy {
        match self {
            Self::Push => CommitBy::Push,
            Self::Api => CommitBy::Api,
        }
    }
}

fn by_hand_of(name: &str, said: ByHandDocument, reader: &mut Reader) -> Option<(BlueprintId, ByHand)> {
    let path = join(&trail!["entities"], name);
    let blueprint = reader.name(&path, name)?;
    let mut of = |what: &str, said: Option<Value>| match said {
        None | Some(Value::Null) => Editors::Anybody,
        Some(said) => editors_of(&join(&path, what), said, reader),
    };
    let by_hand = ByHand {
        create: of("create", said.create),
        change: of("change", said.change),
        delete: of("delete", said.delete),
    };
    Some((blueprint, by_hand))
}

/// Whoever cannot be named may not.
fn editors_of(path: &[Segment], said: Value, reader: &mut Reader) -> Editors {
    let Ok(document) = serde_json::from_value::<EditorsDocument>(said) else { return Editors::Nobody };
    let EditorsDocument { users, teams, owners, properties } = document;
    if users.is_empty() && teams.is_empty() && !owners {
        let wrong = Wrong::new("nobody-named", path, "names nobody");
        reader.wrong(wrong.help("name users or teams, say `owners: true`, or write `nobody`"));
    }
    let users = reader.names(&join(path, "users"), &users);
    let teams = reader.names(&join(path, "teams"), &teams);
    Editors::Named { users, teams, owners, properties: properties.map(|names| names.into_iter().collect()) }
}

fn secrets(names: Vec<String>, recipients: Vec<String>, reader: &mut Reader) -> Secrets {
    for (index, name) in names.iter().enumerate() {
        if format!("env:{name}").parse::<SecretRef>().is_err() {
            let wrong =
                Wrong::new("invalid-name", &trail!["secrets", index], "is no name that a secret can have");
            reader.wrong(wrong.help(
                "use capital letters, digits and _, and begin with a letter; never write the secret itself",
            ));
        }
    }
    for (index, recipient) in recipients.iter().enumerate() {
        if recipient.parse::<age::x25519::Recipient>().is_err() {
            let place = trail!["ageRecipients", index];
            let wrong = Wrong::new("invalid-name", &place, "is no public key of age");
            reader.wrong(wrong.help("`age-keygen` prints it as `age1…`; the other key, which begins with `AGE-SECRET-KEY-`, belongs in no file here"));
        }
    }
    Secrets { names: names.into_iter().collect(), recipients }
}

/// One entry of the list: a name, or a name with more to say.
fn repository(index: usize, value: Value, reader: &mut Reader) -> Option<(RepoName, CommitBy)> {
    let path = join(&trail!["repositories"], index);
    let (name, path, commits) = match value {
        Value::String(name) => (name, path, CommitBy::Push),
        value => {
            let document: RepositoryDocument = serde_json::from_value(value).ok()?;
            (document.name, join(&path, "name"), document.commits.into_domain())
        }
    };
    Some((reader.name(&path, &name)?, commits))
}

fn overlap(one: &RepoPath, other: &RepoPath) -> bool {
    one == other || one.under(other).is_some() || other.under(one).is_some()
}

/// The folder that is called this, seen from the catalog's root.
fn resolve(root: &Root, said: &str) -> Option<RepoPath> {
    let mut segments: Vec<&str> = root.0.iter().flat_map(|folder| folder.as_str().split('/')).collect();
    for segment in said.trim_end_matches('/').split('/') {
        match segment {
            "." => {}
            ".." => {
                segments.pop()?;
            }
            name => segments.push(name),
        }
    }
    segments.join("/").parse().ok()
}
