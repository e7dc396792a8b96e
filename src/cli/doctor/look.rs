//! What is there? Everything that is judged, asked for once, as plain data.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    catalog::{Files, Root, load_definitions, load_settings},
    cli::init::workflows::{ENVIRONMENT, OF_CATALOG},
    domain::{Bytes, RepoName, RepoPath, Secret, StepKind},
    forge::{
        client::{ForgeError, Reader},
        identity::Credentials,
        setup::{App, Branches, Installation, Names, Repository, Rule, Ruleset},
    },
    git::{
        mirror::{Mirror, chain},
        wire::Remote,
    },
    intake::issue_form,
    reconcile::Settings,
};

/// What was seen, or why it was not.
pub(super) type Seen<T> = Result<T, String>;

/// Where the environment names the App, and keeps its key.
pub(super) const APP_ID: &str = "CHANDLERY_APP_ID";
pub(super) const APP_KEY: &str = "CHANDLERY_APP_KEY";
/// A branch such as Chandlery makes; it need not be there.
const OWN_BRANCH: &str = "chandlery/request/doctor";
/// Where a target tells the catalog that a follow-up was merged.
pub(super) const WAKE: &str = ".github/workflows/chandlery-wake.yml";

/// Whether the forge knows us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    Yes,
    /// In the forge's words.
    No(String),
}

/// Everything that is judged.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) catalog: RepoName,
    pub(super) root: Root,
    /// The App that we are, if we are one.
    pub(super) app_id: Option<u64>,
    pub(super) known: Known,
    /// How many seconds the forge's clock is before ours.
    pub(super) ahead: i64,
    pub(super) version: Option<String>,
    pub(super) app: Seen<Option<App>>,
    pub(super) installation: Seen<Option<Installation>>,
    /// The catalog as we see it, and as an administrator does.
    pub(super) ours: Seen<Option<Repository>>,
    pub(super) repository: Seen<Option<Repository>>,
    /// False where the owner's plan has no rulesets for private repositories.
    pub(super) plan_has_rules: bool,
    pub(super) rules: Seen<Vec<Rule>>,
    pub(super) own_rules: Seen<Vec<Rule>>,
    pub(super) rulesets: Seen<Vec<Ruleset>>,
    pub(super) protection: Seen<bool>,
    pub(super) environment: Seen<Option<Branches>>,
    /// The App that the environment names.
    pub(super) app_id_there: Seen<Option<String>>,
    pub(super) secrets: Seen<Names>,
    pub(super) open_secrets: Seen<Names>,
    pub(super) runs_workflows: Seen<bool>,
    pub(super) disabled_workflows: Seen<BTreeSet<String>>,
    pub(super) codeowners: Seen<Option<Vec<String>>>,
    pub(super) files: Seen<Files>,
    pub(super) labels: Seen<Names>,
    pub(super) targets: BTreeMap<RepoName, Target>,
    /// The workflows that actions start, by repository and path.
    pub(super) started: BTreeMap<(RepoName, String), Started>,
    /// The clone that we run in, if it has no whole history.
    pub(super) shallow: Option<PathBuf>,
}

/// A repository that requests may change.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// As we see it.
    pub(super) ours: Seen<Option<Repository>>,
    pub(super) installation: Seen<Option<Installation>>,
    /// The workflow that tells the catalog.
    pub(super) wake: Seen<Option<String>>,
}

/// A workflow that actions start.
#[derive(Debug, Clone)]
pub(super) struct Started {
    /// What it says on the default branch.
    pub(super) text: Seen<Option<String>>,
    /// Whether it is switched on, in the forge's word; none where the forge does not know it.
    pub(super) state: Seen<Option<String>>,
}

/// With whose eyes is looked, and at what.
pub(super) struct Eyes<'a> {
    pub(super) settings: &'a Settings,
    pub(super) own: Reader,
    pub(super) admin: Result<Reader, String>,
    /// Our clock, in seconds.
    pub(super) clock: &'a dyn Fn() -> i64,
    /// The folder that we run in.
    pub(super) folder: PathBuf,
}

fn seen<T>(answer: Result<T, ForgeError>) -> Seen<T> {
    answer.map_err(|error| error.to_string())
}

/// What an administrator sees, if there is one.
async fn by<'r, T, F: Future<Output = Result<T, ForgeError>>>(
    eyes: &Seen<&'r Reader>,
    ask: impl FnOnce(&'r Reader) -> F,
) -> Seen<T> {
    match eyes {
        Ok(eyes) => seen(ask(eyes).await),
        Err(why) => Err(why.clone()),
    }
}

impl Eyes<'_> {
    /// Looks at everything.
    ///
    /// # Errors
    /// When the forge does not answer at all.
    pub(super) async fn look(&self) -> Result<Facts, ForgeError> {
        let (own, catalog) = (&self.own, &self.settings.catalog);
        own.begin();
        let server = own.server().await?;
        let ahead = server.now.seconds() - (self.clock)();
        let app_id = match &self.settings.credentials {
            Credentials::App { id, .. } => Some(*id),
            Credentials::Token(_) => None,
        };
        let app = own.app().await;
        let installation = own.installation(catalog).await;
        let ours = own.repository(catalog).await;
        let refused = [app.as_ref().err(), ours.as_ref().err()].into_iter().flatten().find_map(refusal);
        let known = refused.map_or(Known::Yes, Known::No);
        let (ours, installation) = (seen(ours), seen(installation));
        let (admin, repository) = self.administrator().await;
        // An administrator sees at least as much; what we see ourselves counts where it is about us.
        let eyes = admin.as_ref().map_or(own, |admin| admin);
        let repository = match (repository, &ours) {
            (Some(Ok(None)), Ok(Some(_))) | (None, _) => ours.clone(),
            (Some(repository), _) => repository,
        };
        let branch = match &repository {
            Ok(Some(repository)) => Ok(repository.default_branch.clone()),
            Ok(None) => Err("there is no such repository".to_owned()),
            Err(why) => Err(why.clone()),
        };
        let (rules, plan_has_rules) = match &branch {
            Ok(branch) => {
                let rules = eyes.rules(catalog, branch).await;
                let plan_has_rules = !rules.as_ref().is_err_and(wants_another_plan);
                (seen(rules), plan_has_rules)
            }
            Err(why) => (Err(why.clone()), true),
        };
        let protection = match (&admin, &branch) {
            (Ok(admin), Ok(branch)) => seen(admin.has_protection(catalog, branch).await),
            (Err(why), _) | (_, Err(why)) => Err(why.clone()),
        };
        let files = match &branch {
            Ok(branch) => self.files(eyes, branch).await,
            Err(why) => Err(why.clone()),
        };
        let environment = by(&admin, |admin| admin.environment(catalog, ENVIRONMENT)).await;
        // Without the environment there is nothing in it.
        let (app_id_there, secrets) = if matches!(environment, Ok(None)) {
            (Ok(None), Ok(Names::new()))
        } else {
            (
                by(&admin, |admin| admin.variable(catalog, ENVIRONMENT, APP_ID)).await,
                by(&admin, |admin| admin.secrets(catalog, ENVIRONMENT)).await,
            )
        };
        let (targets, started) = match &files {
            Ok(files) => (self.targets(eyes, files).await, self.started(eyes, files).await),
            Err(_) => (BTreeMap::new(), BTreeMap::new()),
        };
        Ok(Facts {
            catalog: catalog.clone(),
            root: self.settings.root.clone(),
            app_id,
            known,
            ahead,
            version: server.version,
            app: seen(app),
            installation,
            ours,
            repository,
            plan_has_rules,
            rules,
            own_rules: seen(eyes.rules(catalog, OWN_BRANCH).await),
            rulesets: self.rulesets(admin.as_ref().ok().copied()).await,
            protection,
            environment,
            app_id_there,
            secrets,
            open_secrets: by(&admin, |admin| admin.open_secrets(catalog)).await,
            runs_workflows: by(&admin, |admin| admin.runs_workflows(catalog)).await,
            disabled_workflows: by(&admin, |admin| admin.disabled_workflows(catalog)).await,
            codeowners: seen(eyes.codeowners_errors(catalog).await),
            labels: seen(eyes.labels(catalog).await),
            files,
            targets,
            started,
            shallow: shallow_clone(&self.folder),
        })
    }

    /// The administrator, if one was given who is one, with what they see of the catalog.
    async fn administrator(&self) -> (Seen<&Reader>, Option<Seen<Option<Repository>>>) {
        let catalog = &self.settings.catalog;
        let admin = match &self.admin {
            Ok(admin) => admin,
            Err(why) => return (Err(why.clone()), None),
        };
        admin.begin();
        match admin.repository(catalog).await {
            Ok(Some(repository)) if repository.may_administer => (Ok(admin), Some(Ok(Some(repository)))),
            // Whom nothing is shown cannot say that there is nothing, but if nobody sees it, it is not there.
            Ok(found) => (
                Err(format!("the token given as an administrator's is nobody's who administers {catalog}")),
                found.is_none().then_some(Ok(None)),
            ),
            Err(error) => (Err(format!("the administrator's token does not work: {error}")), None),
        }
    }

    /// The rulesets. Whom they let by is told to administrators, or in what concerns whoever asks: that must be us.
    async fn rulesets(&self, admin: Option<&Reader>) -> Seen<Vec<Ruleset>> {
        let catalog = &self.settings.catalog;
        let Some(admin) = admin else {
            return seen(self.own.rulesets(catalog).await);
        };
        let mut found = seen(admin.rulesets(catalog).await)?;
        // An organisation's rulesets hide it from the repository's administrators, too.
        let ours = match found.iter().all(|ruleset| ruleset.lets_by.is_some()) {
            true => Vec::new(),
            false => self.own.rulesets(catalog).await.unwrap_or_default(),
        };
        for ruleset in &mut found {
            ruleset.lets_us_by = ours.iter().find(|own| own.id == ruleset.id).and_then(|own| own.lets_us_by);
        }
        Ok(found)
    }

    /// The files of the default branch that are looked at.
    async fn files(&self, eyes: &Reader, branch: &str) -> Seen<Files> {
        let Settings { catalog, git_url, environment, cache, root, .. } = self.settings;
        let Some(tip) = seen(eyes.tip(catalog, branch).await)? else {
            return Err("the repository is empty".to_owned());
        };
        let token: Secret = seen(eyes.git_token(catalog).await)?;
        let url = format!("{}/{catalog}.git", git_url.trim_end_matches('/'));
        let remote = Remote { url, token: Some(token), environment: environment.clone() };
        let (cache, name, root) = (cache.clone(), catalog.clone(), root.clone());
        let read = move || -> Seen<Files> {
            let mut mirror = Mirror::open(&cache, &name, remote).map_err(|error| chain(&error))?;
            mirror.fetch(&BTreeSet::new()).map_err(|error| chain(&error))?;
            read_files(&mirror, tip, &root).map_err(|error| chain(&error))
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(files) => files,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// With whose eyes a repository is looked at: an administrator's token may be for the catalog alone.
    fn eyes_for<'a>(&'a self, eyes: &'a Reader, repository: &RepoName) -> &'a Reader {
        if *repository == self.settings.catalog { eyes } else { &self.own }
    }

    async fn targets(&self, eyes: &Reader, files: &Files) -> BTreeMap<RepoName, Target> {
        let root = &self.settings.root;
        let Ok(settings) = load_settings(root, files.get(&root.settings_path())) else {
            return BTreeMap::new();
        };
        let mut targets = BTreeMap::new();
        for name in settings.repositories.into_keys() {
            let target = Target {
                ours: seen(self.own.repository(&name).await),
                installation: seen(self.own.installation(&name).await),
                wake: seen(self.eyes_for(eyes, &name).text(&name, WAKE).await),
            };
            targets.insert(name, target);
        }
        targets
    }
}

impl Eyes<'_> {
    /// The workflows that actions start, where their repository is written out.
    async fn started(&self, eyes: &Reader, files: &Files) -> BTreeMap<(RepoName, String), Started> {
        let root = &self.settings.root;
        let Ok(settings) = load_settings(root, files.get(&root.settings_path())) else {
            return BTreeMap::new();
        };
        let (definitions, _) = load_definitions(root, settings, files);
        let mut started = BTreeMap::new();
        for step in definitions.actions.values().flat_map(|action| &action.value.steps) {
            let StepKind::Workflow(workflow) = &step.does else { continue };
            let Ok(repository) = workflow.repository.parse::<RepoName>() else { continue };
            let path = format!(".github/workflows/{}", workflow.workflow);
            if !started.contains_key(&(repository.clone(), path.clone())) {
                let eyes = self.eyes_for(eyes, &repository);
                let text = seen(eyes.text(&repository, &path).await);
                let state = seen(eyes.workflow_state(&repository, &workflow.workflow).await);
                started.insert((repository, path), Started { text, state });
            }
        }
        started
    }
}

/// Why the forge does not take who we are; none when it failed otherwise.
fn refusal(error: &ForgeError) -> Option<String> {
    match error {
        ForgeError::Status { status: 401, words, .. } => Some(words.clone()),
        ForgeError::Key => Some(error.to_string()),
        _ => None,
    }
}

/// Whether this is to be had for money, or in the open, only.
fn wants_another_plan(error: &ForgeError) -> bool {
    matches!(error, ForgeError::Status { status: 403, words, .. } if words.contains("Upgrade to"))
}

/// Definitions, generated forms, and what GitHub itself reads. Of entities the names alone are needed.
fn read_files(
    mirror: &Mirror,
    tip: crate::domain::ObjectId,
    root: &Root,
) -> Result<Files, crate::git::objects::ReadError> {
    let objects = mirror.objects()?;
    let mut files = Files::new();
    let single = |path: &str| path.parse::<RepoPath>().expect("it is a path");
    let mut wanted: Vec<RepoPath> = vec![root.settings_path(), single(".gitattributes")];
    wanted.extend(OF_CATALOG.map(single));
    wanted.extend([".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"].map(single));
    let mut named = Vec::new();
    let mut folders = vec![single(issue_form::FOLDER)];
    if let Some(file) = objects.file(tip, &root.settings_path())?
        && let Ok(settings) = load_settings(root, Some(&file.bytes))
    {
        let places = settings.folders;
        wanted.extend(places.requests.join(".gitattributes"));
        named.push(places.entities);
        folders.extend([
            places.blueprints,
            places.actions,
            places.templates,
            places.scorecards,
            places.policies,
        ]);
    }
    for path in wanted {
        if let Some(file) = objects.file(tip, &path)? {
            files.insert(path, file.bytes);
        }
    }
    for folder in named {
        let entries = objects.files(tip, &folder)?;
        files.extend(entries.into_keys().map(|path| (path, Bytes::from(Vec::new()))));
    }
    for folder in folders {
        let entries = objects.files(tip, &folder)?;
        for path in entries.into_keys() {
            if let Some(file) = objects.file(tip, &path)? {
                files.insert(path, file.bytes);
            }
        }
    }
    Ok(files)
}

/// The clone that a folder is in, if its history was cut off.
fn shallow_clone(folder: &Path) -> Option<PathBuf> {
    let top = folder.ancestors().find(|above| above.join(".git").exists())?;
    top.join(".git/shallow").exists().then(|| top.to_owned())
}
