//! What did a platform team write? Text becomes definitions, entities and diagnostics here.
//!
//! `yaml` reads bytes into a tree that remembers where everything stands; `document` has one
//! struct for each kind of document, from which its JSON Schema is made; `values` judges values;
//! `load`, `entity` and `request` turn documents into the nouns of `domain`; `check` looks at a
//! whole catalog; `view` answers questions about one, and `try_out` asks it for everything that is derived; `report`
//! prints what was found.

pub mod values;
pub mod yaml;
mod formats;
mod identity;
mod mend;
mod document;
pub mod judged;
mod declared;
mod load;
mod lost;
mod cross;
pub mod form;
mod derived;
mod asked;
mod circle;
mod compare;
mod past;
mod measure;
mod store;
pub mod view;
mod search;
pub mod secret;
pub mod try_out;
mod policy;
mod template;
mod entity;
mod request;
mod case;
mod policy_case;
mod check;
pub mod report;
mod sarif;
pub mod port;

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{
    Action, ActionId, Blueprint, BlueprintId, Bytes, Concerns, Diagnostic, Login, ObjectId, Policy, PolicyId,
    RepoName, RepoPath, Scorecard, Sink, TeamSlug, Template, TemplateName,
};

pub use asked::misfits;
pub use case::{Case, read_case};
pub use check::{Checked, Counts, Known, Report, check_all, in_order, newly};
pub use derived::META;
pub use document::{schemas, step::origin};
pub use entity::{
    Field, Stored, check_entity, each_reference, entity_at, entity_path, is_well_formed, names_blueprints,
    read_entity, references, store_entity, with_defaults,
};
pub use identity::DefinitionsKey;
pub use load::{TESTS, is_document, load_definitions, load_settings, read_action};
pub use lost::{MOST_TRIED, Side, TooMany, lost};
pub use mend::{Mended, apply_fixes};
pub use past::{Deed, Life, Past};
pub use policy::files as policy_files;
pub use policy_case::{Decision, Merged, PolicyCase, read_policy_case};
pub use request::read_request;
pub use search::{is_told_by_each, levels, levels_in, pointing, search, search_in, sums, sums_in};
pub use store::{Pointing, Store};
pub use template::read_template;

/// Files by their path in the repository.
pub type Files = BTreeMap<RepoPath, Bytes>;

/// The folder of the repository that holds the catalog; none is the repository's root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Root(pub Option<RepoPath>);

impl Root {
    /// Where `chandlery.yaml` lies.
    pub fn settings_path(&self) -> RepoPath {
        let path = match &self.0 {
            Some(folder) => folder.join("chandlery.yaml"),
            None => "chandlery.yaml".parse(),
        };
        path.expect("a plain file name makes a path")
    }
}

/// Whether Chandlery acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It says what it would do and executes nothing.
    Observe,
    /// It acts.
    #[default]
    On,
    /// It does nothing at all.
    Off,
}

/// How commits of ours reach a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CommitBy {
    /// They are pushed.
    #[default]
    Push,
    /// The forge makes them when it is called, and signs them where it can.
    Api,
}

/// How the records of finished runs reach the default branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordBy {
    /// Straight.
    #[default]
    Push,
    /// By a pull request of ours, where the branch's rules want one.
    PullRequest,
}

/// Where the parts of the catalog lie, as paths in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// Blueprints.
    pub blueprints: RepoPath,
    /// Entities.
    pub entities: RepoPath,
    /// Actions.
    pub actions: RepoPath,
    /// Folders of templates.
    pub templates: RepoPath,
    /// Requests.
    pub requests: RepoPath,
    /// Scorecards.
    pub scorecards: RepoPath,
    /// Policies.
    pub policies: RepoPath,
}

impl Default for Folders {
    /// Where everything lies if nothing is said.
    fn default() -> Self {
        let folder = |name: &str| name.parse().expect("a plain name makes a path");
        Self {
            blueprints: folder("blueprints"),
            entities: folder("entities"),
            actions: folder("actions"),
            templates: folder("action-templates"),
            requests: folder("requests"),
            scorecards: folder("scorecards"),
            policies: folder("policies"),
        }
    }
}

impl Folders {
    /// The name of each in the settings.
    pub const NAMES: [&str; 7] =
        ["blueprints", "entities", "actions", "templates", "requests", "scorecards", "policies"];

    /// Each of them, in the order of their names.
    pub fn all(&self) -> [&RepoPath; 7] {
        let Self { blueprints, entities, actions, templates, requests, scorecards, policies } = self;
        [blueprints, entities, actions, templates, requests, scorecards, policies]
    }
}

/// How many requests that were carried out last are planned once more, if nothing is said.
pub const REPLAY: usize = 20;

/// How long a run whose step failed can be retried if nothing is said, in seconds: a day.
pub const RETRY_FOR: i64 = 24 * 3600;

/// What `chandlery.yaml` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The version of the formats.
    pub version: u32,
    /// The catalog's own repository, for commands that are started in a copy of it.
    pub repository: Option<RepoName>,
    /// Whether Chandlery acts.
    pub mode: Mode,
    /// Where everything lies.
    pub folders: Folders,
    /// How commits reach the catalog.
    pub commits: CommitBy,
    /// How records reach its default branch.
    pub state: RecordBy,
    /// The repositories that follow-up pull requests may go to, each with how commits reach it.
    pub repositories: BTreeMap<RepoName, CommitBy>,
    /// Whether labels tell where requests stand.
    pub labels: bool,
    /// Who else hears of requests.
    pub notifications: Vec<Sink>,
    /// The servers that steps may call: scheme, name and port.
    pub webhooks: BTreeSet<String>,
    /// The user of the machine that scripts run as; none means that none is run.
    pub scripts_as: Option<String>,
    /// Whom people ask when a request has mistakes or fails.
    pub contact: Option<String>,
    /// How long a request may wait for people, in seconds; none means for ever.
    pub expire_after: Option<i64>,
    /// How many of the requests that were carried out last are planned once more with a change of definitions.
    pub replay: usize,
    /// How long after its merge past the rules an administrator may have a request carried out, in seconds; none: never.
    pub break_glass: Option<i64>,
    /// How long a run whose step failed can be retried, in seconds.
    pub retry_for: i64,
    /// The secrets that requests may name.
    pub secrets: Secrets,
    /// Who may write entities by hand, by their blueprint; of the others whoever may write to the repository.
    pub entities: BTreeMap<BlueprintId, ByHand>,
}

/// Who may write entities of a blueprint by hand, in a pull request of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ByHand {
    /// Who may add one.
    pub create: Editors,
    /// Who may change one.
    pub change: Editors,
    /// Who may remove one.
    pub delete: Editors,
}

/// Who may do so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Editors {
    /// Whoever may write to the repository.
    #[default]
    Anybody,
    /// Requests alone do.
    Nobody,
    /// These people.
    Named {
        /// People.
        users: Vec<Login>,
        /// Teams.
        teams: Vec<TeamSlug>,
        /// Whether whoever owns the entity may.
        owners: bool,
        /// What they may change of it; none is everything.
        properties: Option<BTreeSet<String>>,
    },
}

/// The secrets that requests may name, and for whom others are encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Secrets {
    /// Names behind `env:`.
    pub names: BTreeSet<String>,
    /// Public keys of age; whoever acts has one of the identities.
    pub recipients: Vec<String>,
}

impl Settings {
    /// How commits reach a repository.
    pub fn commits_to(&self, repository: &RepoName, catalog: &RepoName) -> CommitBy {
        let said = if repository == catalog {
            Some(self.commits)
        } else {
            self.repositories.get(repository).copied()
        };
        said.unwrap_or_default()
    }
}

/// A definition with the blob that it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Defined<T> {
    /// The blob.
    pub blob: ObjectId,
    /// What it says.
    pub value: T,
}

/// Everything a platform team wrote, at one commit.
#[derive(Debug, Clone, PartialEq)]
pub struct Definitions {
    /// What `chandlery.yaml` says.
    pub settings: Settings,
    /// Where the catalog lies.
    pub root: Root,
    /// The kinds of things, the built-in `_user` and `_team` among them.
    pub blueprints: BTreeMap<BlueprintId, Blueprint>,
    /// What people may ask for.
    pub actions: BTreeMap<ActionId, Defined<Action>>,
    /// How well entities do.
    pub scorecards: BTreeMap<String, Scorecard>,
    /// What the actions render.
    pub templates: BTreeMap<TemplateName, Template>,
    /// Actions that are there and cannot be used, with the reasons.
    pub broken: BTreeMap<ActionId, Vec<Diagnostic>>,
    /// What must hold of every request.
    pub policies: BTreeMap<PolicyId, Policy>,
    /// Policies that are there and cannot be used: nothing that they may concern is planned.
    pub broken_policies: Vec<BrokenPolicy>,
    /// Blueprints and templates that are there and cannot be used; what depends on them is not judged.
    pub(crate) unusable: Unusable,
    /// What judges values of the blueprints' properties.
    schemas: values::Schemas,
    /// Which ones these are.
    identity: identity::Identity,
}

/// A policy that is there and cannot be used.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokenPolicy {
    /// Its file.
    pub path: RepoPath,
    /// Which requests it concerns; none where that cannot be read, so that it may be any.
    pub concerns: Option<Concerns>,
    /// What is wrong with it.
    pub problems: Vec<Diagnostic>,
}

/// What is there and cannot be used; its own diagnostics say why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Unusable {
    pub(crate) blueprints: BTreeSet<BlueprintId>,
    pub(crate) templates: BTreeSet<TemplateName>,
}

impl Definitions {
    /// No definitions but the built-in blueprints.
    pub fn new(root: Root, settings: Settings) -> Self {
        Self {
            settings,
            root,
            blueprints: load::built_in(),
            actions: BTreeMap::new(),
            scorecards: BTreeMap::new(),
            templates: BTreeMap::new(),
            broken: BTreeMap::new(),
            policies: BTreeMap::new(),
            broken_policies: Vec::new(),
            unusable: Unusable::default(),
            schemas: values::Schemas::default(),
            identity: identity::Identity::default(),
        }
    }

    /// Notes which files of templates may be executed; the others may not.
    pub fn mark_executables<'a>(&mut self, paths: impl IntoIterator<Item = &'a RepoPath>) {
        for path in paths {
            let below = path.under(&self.settings.folders.templates).and_then(|below| below.split_once('/'));
            let Some((name, inside)) = below else { continue };
            if let (Ok(name), Ok(inside)) = (name.parse::<TemplateName>(), inside.parse())
                && let Some(template) = self.templates.get_mut(&name)
            {
                template.mark_executable(&inside);
            }
        }
    }

    /// What stands for these very ones, whatever they say: a copy is another.
    pub fn key(&self) -> DefinitionsKey {
        self.identity.key()
    }

    /// The blueprints that there are, usable or not.
    pub fn known_blueprints(&self) -> BTreeSet<&BlueprintId> {
        self.blueprints.keys().chain(&self.unusable.blueprints).collect()
    }

    /// The folders whose files [`load_definitions`] needs.
    pub fn paths_to_read(settings: &Settings) -> [&RepoPath; 5] {
        let Folders { blueprints, actions, templates, scorecards, policies, .. } = &settings.folders;
        [blueprints, actions, templates, scorecards, policies]
    }
}
