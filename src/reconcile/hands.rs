//! How is a question answered, and a step carried out? By Git or by the forge: this only says which.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::task::{JoinSet, spawn_blocking};
use tracing::info;

use super::contents::Contents;
use crate::{
    backends::Backends,
    catalog::{CommitBy, Root},
    domain::{Branch, Login, Notice, ObjectId, RepoName, Secret},
    forge::{
        client::{ForgeError, Manners, Reader, Tally, Writer, connect},
        identity::Credentials,
    },
    git::{
        mirror::{Mirror, chain},
        sign::Signer,
        wire::{Remote, WireError},
    },
    plan::{
        facts::{Answer, Open, Question},
        step::{Act, Acted, Backend, Commit, Work},
    },
};

/// Where the forge is and who we are there.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address of the REST API, such as `https://api.github.com` or `http://127.0.0.1:4000/api/v3`.
    pub api_url: String,
    /// The address in front of `owner/name.git`, such as `https://github.com`.
    pub git_url: String,
    /// Who we are, to the forge.
    pub credentials: Credentials,
    /// How we treat it.
    pub manners: Manners,
    /// The catalog's repository.
    pub catalog: RepoName,
    /// The catalog's folder in it.
    pub root: Root,
    /// Where copies of repositories are kept.
    pub cache: PathBuf,
    /// What signs the commits that are pushed.
    pub signer: Option<Arc<Signer>>,
    /// What the git program needs of our environment: PATH, proxies, certificates.
    pub environment: Vec<(String, String)>,
    /// The secrets that definitions may refer to, by name.
    pub secrets: BTreeMap<String, Secret>,
    /// The identities of age that open secrets in requests, as `age-keygen` writes them.
    pub identities: Option<Secret>,
}

/// What was asked of the world so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of the forge's API, GraphQL included.
    pub calls: u64,
    /// Those of them whose answer was the same as before, which the forge does not count.
    pub unchanged: u64,
    /// Lists that were not asked for, since nothing in them can have changed.
    pub spared: u64,
    /// Calls that changed something.
    pub writes: u64,
    /// What the GraphQL queries cost.
    pub points: u64,
    /// Pushes.
    pub pushes: u64,
    /// Fetches.
    pub fetches: u64,
}

/// Looks and acts, in the real world.
pub struct Hands {
    settings: Settings,
    reader: Reader,
    writer: Writer,
    repositories: BTreeMap<RepoName, Arc<Mutex<Contents>>>,
    /// The heads of the pull requests seen, by the repository that they are in: forks and deleted
    /// branches are fetched by them.
    heads: BTreeMap<RepoName, BTreeMap<u64, ObjectId>>,
    here: Option<(Branch, Login)>,
    backends: Backends,
}

impl Hands {
    /// Gets ready; nothing is asked yet. Must be called within tokio's runtime.
    ///
    /// # Errors
    /// When an address cannot be used.
    pub fn new(settings: Settings) -> Result<Self, ForgeError> {
        let (reader, writer) =
            connect(&settings.api_url, &settings.credentials, &settings.catalog, settings.manners.clone())?;
        keep_private(&settings.cache);
        let (repositories, heads) = (BTreeMap::new(), BTreeMap::new());
        let path = settings.environment.iter().find(|(name, _)| name == "PATH");
        let path = path.map_or_else(|| "/usr/bin:/bin".to_owned(), |(_, path)| path.clone());
        let backends = Backends::new(settings.secrets.clone(), settings.identities.clone(), path);
        Ok(Self { settings, reader, writer, repositories, heads, here: None, backends })
    }

    /// Answers every question; what could not be learnt is `Unknown` and says why.
    pub async fn look(&mut self, questions: &BTreeSet<Question>) -> Vec<(Question, Answer)> {
        self.reader.begin();
        let mut of_git: BTreeMap<RepoName, Vec<Question>> = BTreeMap::new();
        let mut of_forge = BTreeSet::new();
        for question in questions {
            match self.repository_of(question) {
                Some(repository) => of_git.entry(repository).or_default().push(question.clone()),
                None => drop(of_forge.insert(question.clone())),
            }
        }
        let mut branch = None;
        if questions.contains(&Question::Open)
            && let Ok((known, _)) = self.here().await
        {
            // What is unfinished is read from the branch's head as it is now.
            let head = Question::Head(self.settings.catalog.clone(), known);
            of_forge.insert(head.clone());
            branch = Some(head);
        }
        let reader = self.reader.clone();
        let catalog = self.settings.catalog.clone();
        let (forge, git) = tokio::join!(reader.look(&catalog, &of_forge), self.look_at_git(of_git));
        let mut answers = git;
        let here = forge.iter().find_map(|(_, answer)| match answer {
            Answer::Here(here) => Some(Question::Head(here.catalog.clone(), here.branch.clone())),
            _ => None,
        });
        let head = match here.filter(|_| branch.is_some()) {
            // The default branch is another than it was when we last heard of it.
            Some(now) if Some(&now) != branch.as_ref() => reader.look(&catalog, &[now].into()).await.pop(),
            _ => forge.iter().find(|(question, _)| Some(question) == branch.as_ref()).cloned(),
        };
        let head = head.map(|(_, answer)| answer);
        for (question, answer) in forge {
            self.note(&answer);
            let answer = match answer {
                Answer::Open(open) => self.with_requests(&open, head.as_ref()).await,
                answer => answer,
            };
            answers.push((question, answer));
        }
        answers.retain(|(question, _)| questions.contains(question));
        let answered: BTreeSet<&Question> = answers.iter().map(|(question, _)| question).collect();
        let forgotten: Vec<Question> =
            questions.iter().filter(|question| !answered.contains(question)).cloned().collect();
        answers.extend(
            forgotten.into_iter().map(|question| (question, Answer::Unknown("it was not answered".into()))),
        );
        answers
    }

    /// Carries out one act.
    pub async fn act(&mut self, act: &Act) -> Acted {
        self.reader.begin();
        match act {
            Act::Call(call) => self.writer.act(&self.settings.catalog, call).await,
            Act::Notify(notice) => self.notify(notice).await,
            Act::Push { repository, commits, by: CommitBy::Push } => {
                self.push(repository, commits.clone()).await
            }
            Act::Push { repository, commits, by: CommitBy::Api } => self.commit(repository, commits).await,
            Act::Backend(backend) => self.ask(backend).await,
        }
    }

    /// Asks a backend.
    async fn ask(&mut self, backend: &Backend) -> Acted {
        info!(attempt = %backend.attempt, "asking a backend");
        match &backend.work {
            Work::Cancel { repository, run } => self.writer.cancel(repository, *run).await,
            Work::Dispatch { repository, workflow, reference, inputs } => {
                self.writer.dispatch(repository, workflow, reference, inputs).await
            }
            Work::Send(call) => Acted::Told(self.backends.send(call).await),
            Work::Run(script) => {
                let (backends, script) = (self.backends.clone(), script.clone());
                match spawn_blocking(move || backends.run(&script)).await {
                    Ok(outcome) => Acted::Told(outcome),
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                }
            }
        }
    }

    /// What was asked of the world so far.
    pub fn counts(&self) -> Counts {
        let Tally { calls, unchanged, spared, writes, points, .. } = self.reader.tally();
        let mut counts = Counts { calls, unchanged, spared, writes, points, pushes: 0, fetches: 0 };
        for contents in self.repositories.values() {
            let contents = contents.lock().unwrap_or_else(PoisonError::into_inner);
            counts.pushes += contents.mirror.pushes;
            counts.fetches += contents.mirror.fetches;
        }
        counts
    }

    /// The repository whose objects answer a question; none when the forge is asked.
    fn repository_of(&self, question: &Question) -> Option<RepoName> {
        match question {
            Question::Here
            | Question::Now
            | Question::Open
            | Question::Head(..)
            | Question::Repository(_)
            | Question::Issue(_)
            | Question::Pull(_)
            | Question::PullsFrom(..)
            | Question::PullsOf(_)
            | Question::Activity(..)
            | Question::Permission(..)
            | Question::Members(_)
            | Question::Queue(..)
            | Question::Mergeable(..)
            | Question::Checks(..)
            | Question::Workflow(..)
            | Question::Barred(..)
            | Question::WorkflowRun(..)
            | Question::FindRun(..)
            | Question::Pass
            | Question::Outcome(_) => None,
            Question::File(repository, ..)
            | Question::Files(repository, ..)
            | Question::Blob(repository, _)
            | Question::Chain { repository, .. }
            | Question::Diff { repository, .. } => Some(repository.clone()),
            Question::Definitions(_)
            | Question::CommittedAt(_)
            | Question::Entity(..)
            | Question::Entities(..)
            | Question::Alike(..)
            | Question::Pointing(..)
            | Question::Search(..)
            | Question::Levels(..)
            | Question::Sums(..)
            | Question::Appearances(..)
            | Question::Versions(..)
            | Question::Unfinished(_)
            | Question::Merged { .. }
            | Question::Judged { .. }
            | Question::Derived { .. }
            | Question::Arrivals(..) => Some(self.settings.catalog.clone()),
        }
    }

    /// One blocking thread a repository.
    async fn look_at_git(&mut self, of_git: BTreeMap<RepoName, Vec<Question>>) -> Vec<(Question, Answer)> {
        let mut answers = Vec::new();
        let mut threads = JoinSet::new();
        for (name, questions) in of_git {
            let heads = self.heads.get(&name).cloned().unwrap_or_default();
            match self.readable(&name).await {
                Ok(contents) => drop(threads.spawn_blocking(move || {
                    contents.lock().unwrap_or_else(PoisonError::into_inner).answer(questions, &heads)
                })),
                Err(why) => {
                    let why: Arc<str> = why.into();
                    answers.extend(
                        questions.into_iter().map(|question| (question, Answer::Unknown(Arc::clone(&why)))),
                    );
                }
            }
        }
        for answered in threads.join_all().await {
            answers.extend(answered);
        }
        answers
    }

    async fn notify(&self, notice: &Notice) -> Acted {
        match self.backends.notify(notice).await {
            Ok(()) => Acted::Done,
            Err(why) => Acted::Untold(format!("`{}` of `notifications`: {why}", notice.sink.name)),
        }
    }

    async fn push(&mut self, repository: &RepoName, commits: Vec<Commit>) -> Acted {
        let me = match self.here().await {
            Ok((_, me)) => me,
            Err(error) => return Acted::Failed(error.to_string()),
        };
        let contents = match self.contents(repository) {
            Ok(contents) => contents,
            Err(error) => return Acted::Failed(chain(&error)),
        };
        let token = match self.writer.git_token(repository).await {
            Ok(token) => token,
            Err(error) => return Acted::Failed(error.to_string()),
        };
        let push = move || {
            let mut contents = contents.lock().unwrap_or_else(PoisonError::into_inner);
            contents.mirror.authenticate(token);
            contents.mirror.push(&commits, &me)
        };
        match spawn_blocking(push).await {
            Ok(acted) => acted,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Has the forge make these commits; one after the other, each on its own condition.
    async fn commit(&mut self, repository: &RepoName, commits: &[Commit]) -> Acted {
        let contents = match self.readable(repository).await {
            Ok(contents) => contents,
            Err(why) => return Acted::Failed(why),
        };
        let list = commits.to_vec();
        let trees = move || contents.lock().unwrap_or_else(PoisonError::into_inner).mirror.trees(&list);
        let trees = match spawn_blocking(trees).await {
            Ok(Ok(trees)) => trees,
            Ok(Err(why)) => return Acted::Failed(why),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let mut worst = Acted::Done;
        for (commit, trees) in commits.iter().zip(&trees) {
            match self.writer.commit(commit, trees).await {
                Acted::Done | Acted::Told(_) => {}
                acted @ Acted::Refused(_) if worst == Acted::Done => worst = acted,
                Acted::Refused(_) => {}
                acted @ (Acted::Failed(_) | Acted::Untold(_)) => worst = acted,
                acted @ Acted::Postponed { .. } => return acted,
            }
        }
        worst
    }

    /// The default branch and our login, as last heard.
    async fn here(&mut self) -> Result<(Branch, Login), ForgeError> {
        if let Some(here) = &self.here {
            return Ok(here.clone());
        }
        let here = self.reader.here(&self.settings.catalog).await?;
        Ok(self.here.insert((here.branch, here.me)).clone())
    }

    /// Our copy of a repository, with the token that reads it.
    async fn readable(&mut self, name: &RepoName) -> Result<Arc<Mutex<Contents>>, String> {
        let contents = self.contents(name).map_err(|error| chain(&error))?;
        let token = self.reader.git_token(name).await.map_err(|error| error.to_string())?;
        contents.lock().unwrap_or_else(PoisonError::into_inner).mirror.authenticate(token);
        Ok(contents)
    }

    fn contents(&mut self, name: &RepoName) -> Result<Arc<Mutex<Contents>>, WireError> {
        if let Some(contents) = self.repositories.get(name) {
            return Ok(Arc::clone(contents));
        }
        let Settings { git_url, environment, cache, root, signer, .. } = &self.settings;
        let remote = Remote {
            url: format!("{}/{name}.git", git_url.trim_end_matches('/')),
            token: None,
            environment: environment.clone(),
        };
        let mut mirror = Mirror::open(cache, name, remote)?;
        if let Some(signer) = signer {
            mirror.sign_with(Arc::clone(signer));
        }
        let contents = Arc::new(Mutex::new(Contents::new(mirror, root.clone())));
        self.repositories.insert(name.clone(), Arc::clone(&contents));
        Ok(contents)
    }

    /// Remembers what later looks need.
    fn note(&mut self, answer: &Answer) {
        match answer {
            Answer::Here(here) => self.here = Some((here.branch.clone(), here.me.clone())),
            Answer::Pull(Some(pull)) => {
                self.heads.entry(pull.repository.clone()).or_default().insert(pull.number, pull.head);
            }
            Answer::Pulls(pulls) => {
                for pull in pulls {
                    self.heads.entry(pull.repository.clone()).or_default().insert(pull.number, pull.head);
                }
            }
            _ => {}
        }
    }

    async fn with_requests(&mut self, open: &Open, head: Option<&Answer>) -> Answer {
        let head = match head {
            Some(Answer::Head(Some(head))) => *head,
            Some(Answer::Unknown(why)) => return Answer::Unknown(Arc::clone(why)),
            _ => return Answer::Unknown("the catalog's default branch cannot be found".into()),
        };
        let contents = match self.readable(&self.settings.catalog.clone()).await {
            Ok(contents) => contents,
            Err(why) => return Answer::Unknown(why.into()),
        };
        let read = move || contents.lock().unwrap_or_else(PoisonError::into_inner).unfinished(head);
        match spawn_blocking(read).await {
            Ok(Ok(requests)) => Answer::Open(Arc::new(Open { requests, ..open.clone() })),
            Ok(Err(why)) => Answer::Unknown(why.into()),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// Makes the folder for what is read of repositories, some of them private, for us alone: scripts run here as other users.
fn keep_private(folder: &Path) {
    // Where it cannot be made, whoever uses it says so.
    drop(DirBuilder::new().recursive(true).mode(0o700).create(folder));
}
