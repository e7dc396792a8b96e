//! Which users, teams and repositories does the forge begin with?

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::apps::{App, Installation};
use super::objects;
use super::setup::{Environment, Policy, Ruleset, Setup};
use super::store::{Organization, Permission, Protection, Repository, RequiredCheck, State, Team, User};
use super::{Shared, clock, motion};

/// The seed file. Relative folders are looked up beside it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Seed {
    /// The time at which the forge begins; the system's when absent. From there the clock goes on as usual.
    #[serde(default)]
    pub now: Option<Timestamp>,
    #[serde(default)]
    pub users: Vec<SeedUser>,
    #[serde(default)]
    pub orgs: Vec<SeedOrganization>,
    #[serde(default)]
    pub repositories: Vec<SeedRepository>,
    #[serde(default)]
    pub apps: Vec<SeedApp>,
    /// The version of GitHub Enterprise Server to play, such as `3.19.1`; github.com when absent.
    #[serde(default)]
    pub version: Option<String>,
}

/// An App that proves who it is with a key; its account is `SLUG[bot]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedApp {
    pub id: u64,
    pub slug: String,
    /// The public half of its key, PEM.
    pub public_key: String,
    /// `contents: write` and so on.
    pub permissions: BTreeMap<String, String>,
    #[serde(default)]
    pub installations: Vec<SeedInstallation>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedInstallation {
    /// The user or organisation.
    pub account: String,
    /// The names of its repositories that the App may see; all of them when absent.
    #[serde(default)]
    pub repositories: Option<Vec<String>>,
    #[serde(default)]
    pub suspended: bool,
}

/// A login that ends in `[bot]` is an App.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedUser {
    pub login: String,
    pub token: String,
    #[serde(default)]
    pub email: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedOrganization {
    pub login: String,
    #[serde(default)]
    pub owners: Vec<String>,
    #[serde(default)]
    pub members: Vec<String>,
    #[serde(default)]
    pub teams: Vec<SeedTeam>,
    /// The names of secrets that all its repositories may use.
    #[serde(default)]
    pub secrets: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedTeam {
    pub slug: String,
    #[serde(default)]
    pub members: Vec<String>,
    /// Name of one of the organisation's repositories to `read`, `write` and so on.
    #[serde(default)]
    pub repositories: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedRepository {
    pub owner: String,
    pub name: String,
    /// A folder whose files become the first commit on `main`.
    #[serde(default)]
    pub from: Option<PathBuf>,
    #[serde(default)]
    pub private: bool,
    /// Login to `read`, `triage`, `write`, `maintain` or `admin`.
    #[serde(default)]
    pub collaborators: BTreeMap<String, String>,
    #[serde(default)]
    pub protected: Vec<SeedProtection>,
    /// Rulesets, as the body of the call that makes one.
    #[serde(default)]
    pub rulesets: Vec<serde_json::Value>,
    #[serde(default)]
    pub environments: Vec<SeedEnvironment>,
    /// The names of its secrets.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Whether workflows are switched off.
    #[serde(default)]
    pub no_actions: bool,
    #[serde(default)]
    pub no_issues: bool,
    /// Whether its owner's plan has no rulesets.
    #[serde(default)]
    pub no_rules: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedEnvironment {
    pub name: String,
    /// Patterns of the branches that may use it; all of them when absent.
    #[serde(default)]
    pub branches: Option<Vec<String>>,
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// The names of its secrets.
    #[serde(default)]
    pub secrets: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedProtection {
    pub branch: String,
    #[serde(default)]
    pub required_checks: Vec<String>,
    /// Who may push without a pull request.
    #[serde(default)]
    pub push: Vec<String>,
    /// Whether the rules bind administrators too.
    #[serde(default = "yes")]
    pub enforce_admins: bool,
}

fn yes() -> bool {
    true
}

impl Seed {
    pub fn read(path: &Path) -> Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "the seed is a file that the user names")]
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the seed `{}`", path.display()))?;
        let mut seed: Self = serde_yaml::from_str(&text)
            .with_context(|| format!("cannot read the seed `{}`", path.display()))?;
        let beside = path.parent().unwrap_or(Path::new(""));
        for repository in &mut seed.repositories {
            repository.from = repository.from.take().map(|folder| beside.join(folder));
        }
        Ok(seed)
    }
}

/// Makes what the seed names and is not there yet; what a restart finds is left alone.
pub(super) fn plant(state: &mut State, shared: &Shared, seed: &Seed) -> Result<()> {
    if let Some(now) = seed.now
        && state.last_id == 0
    {
        state.advanced_seconds = now.as_second() - clock::wall().as_second();
    }
    state.version = seed.version.clone().or_else(|| state.version.take());
    for user in &seed.users {
        if state.users.contains_key(&user.login) {
            continue;
        }
        add_user(state, &user.login, &user.token, user.email.clone());
    }
    for app in &seed.apps {
        if state.apps.contains_key(&app.id) {
            continue;
        }
        // Nobody can sign in as an App but with its key.
        let nothing = format!("no token {}", state.next_id());
        add_user(state, &format!("{}[bot]", app.slug), &nothing, None);
        let installations = app.installations.iter().map(|installation| Installation {
            id: state.next_id(),
            account: installation.account.clone(),
            repositories: installation.repositories.as_ref().map(|names| names.iter().cloned().collect()),
            suspended_at: installation.suspended.then(|| state.stamp()),
        });
        let installations = installations.collect();
        let app = App {
            id: app.id,
            slug: app.slug.clone(),
            public_key: app.public_key.clone(),
            permissions: app.permissions.clone(),
            installations,
            created_at: state.stamp(),
        };
        state.apps.insert(app.id, app);
    }
    for organization in &seed.orgs {
        if state.organizations.contains_key(&organization.login) {
            continue;
        }
        let id = state.next_id();
        let mut teams = BTreeMap::new();
        for team in &organization.teams {
            let id = state.next_id();
            let team = Team {
                id,
                name: team.slug.clone(),
                slug: team.slug.clone(),
                description: None,
                members: team.members.iter().cloned().collect(),
                repositories: team_rights(&organization.login, team)?,
            };
            teams.insert(team.slug.clone(), team);
        }
        let login = organization.login.clone();
        let owners: BTreeSet<String> = organization.owners.iter().cloned().collect();
        let members = organization.members.iter().chain(&organization.owners).cloned().collect();
        let secrets = organization.secrets.iter().cloned().collect();
        let made = Organization { id, login: login.clone(), owners, members, teams, secrets };
        state.organizations.insert(login, made);
    }
    for planted in &seed.repositories {
        let key = format!("{}/{}", planted.owner, planted.name);
        if state.repositories.contains_key(&key) {
            continue;
        }
        if !state.users.contains_key(&planted.owner) && !state.organizations.contains_key(&planted.owner) {
            bail!(
                "the seed's repository `{key}` belongs to nobody: add `{}` under `users` or `orgs`",
                planted.owner
            );
        }
        add_repository(state, shared, &planted.owner, &planted.name, planted.private)?;
        let mut collaborators = BTreeMap::new();
        for (login, permission) in &planted.collaborators {
            let Some(permission) = Permission::parse(permission) else {
                bail!(
                    "the seed gives `{login}` the permission `{permission}` on `{key}`: \
                     use read, triage, write, maintain or admin"
                );
            };
            collaborators.insert(login.clone(), permission);
        }
        if let Some(folder) = &planted.from {
            let git = git2::Repository::open_bare(shared.git_dir(&key))?;
            let at = state.stamp();
            let commit = objects::commit_folder(&git, folder, at).with_context(|| {
                format!("cannot make the first commit of `{key}` from `{}`", folder.display())
            })?;
            git.reference("refs/heads/main", commit, true, "seed")?;
            motion::remember(state, &key, "refs/heads/main", Some(&commit.to_string()));
        }
        let repository = state.repositories.get_mut(&key).expect("it was just added");
        repository.collaborators = collaborators;
        for protection in &planted.protected {
            let required = protection
                .required_checks
                .iter()
                .map(|context| RequiredCheck { context: context.clone(), app_id: None });
            let rules = Protection {
                required_checks: required.collect(),
                push: protection.push.iter().cloned().collect(),
                enforce_admins: protection.enforce_admins,
                ..Protection::default()
            };
            repository.protections.insert(protection.branch.clone(), rules);
        }
        set_up(state, &key, planted)?;
    }
    Ok(())
}

fn team_rights(organization: &str, team: &SeedTeam) -> Result<BTreeMap<String, Permission>> {
    let right = |(name, permission): (&String, &String)| match Permission::parse(permission) {
        Some(permission) => Ok((format!("{organization}/{name}"), permission)),
        None => bail!("the seed gives the team `{}` the permission `{permission}`, which is none", team.slug),
    };
    team.repositories.iter().map(right).collect()
}

/// What administrators would have set up.
fn set_up(state: &mut State, key: &str, planted: &SeedRepository) -> Result<()> {
    let mut setup = Setup {
        actions: !planted.no_actions,
        has_issues: !planted.no_issues,
        no_rules: planted.no_rules,
        secrets: planted.secrets.iter().cloned().collect(),
        ..Setup::default()
    };
    for body in &planted.rulesets {
        let (id, at) = (state.next_id(), state.stamp());
        let mut ruleset =
            Ruleset { id, target: "branch".to_owned(), created_at: at, updated_at: at, ..Ruleset::default() };
        if let Err(field) = ruleset.fill(body) {
            bail!("the seed's ruleset of `{key}` makes no sense: look at `{field}`");
        }
        setup.rulesets.insert(id, ruleset);
    }
    for environment in &planted.environments {
        let (id, created_at) = (state.next_id(), state.stamp());
        let policy = environment.branches.as_ref().map(|patterns| {
            Policy::Named(patterns.iter().map(|pattern| (state.next_id(), pattern.clone())).collect())
        });
        let variables = environment.variables.clone();
        let secrets = environment.secrets.iter().cloned().collect();
        let made = Environment { id, policy, variables, secrets, created_at };
        setup.environments.insert(environment.name.clone(), made);
    }
    state.repositories.get_mut(key).expect("it was just added").setup = setup;
    Ok(())
}

pub(super) fn add_user(state: &mut State, login: &str, token: &str, email: Option<String>) {
    let (id, created_at) = (state.next_id(), state.stamp());
    let user = User { id, login: login.to_owned(), token: token.to_owned(), email, created_at };
    state.users.insert(login.to_owned(), user);
}

pub(super) fn add_repository(
    state: &mut State,
    shared: &Shared,
    owner: &str,
    name: &str,
    private: bool,
) -> Result<()> {
    let (id, at) = (state.next_id(), state.stamp());
    let repository = Repository {
        id,
        owner: owner.to_owned(),
        name: name.to_owned(),
        description: None,
        private,
        archived: false,
        fork_of: None,
        default_branch: "main".to_owned(),
        created_at: at,
        updated_at: at,
        pushed_at: at,
        collaborators: BTreeMap::new(),
        protections: BTreeMap::new(),
        labels: BTreeMap::new(),
        last_number: 0,
        issues: BTreeMap::new(),
        refs: BTreeMap::new(),
        activity: Vec::new(),
        check_runs: BTreeMap::new(),
        statuses: Vec::new(),
        hooks: BTreeMap::new(),
        setup: Setup::default(),
        queues: BTreeMap::new(),
        runs: Vec::new(),
    };
    objects::init(&shared.git_dir(&repository.key()))?;
    state.repositories.insert(repository.key(), repository);
    Ok(())
}
