//! Where is our copy of a repository, and is it as new as it must be?
//!
//! The cache holds a bare copy of each repository. It holds nothing that the remote does not
//! have, but for commits about to be pushed: a copy that cannot be used is thrown away.

use std::{collections::BTreeSet, fs, io, path::Path, sync::Arc};

use tracing::{info, warn};

use super::{
    objects::{Objects, Read, ReadError},
    sign::Signer,
    wire::{Git, Pushed, Ref, Remote, WireError},
    write::{trees, write_commit},
};
use crate::{
    domain::{Login, RepoName, Secret},
    plan::step::{Acted, Commit, Trees},
};

/// So many files are written as one pack.
const MANY: usize = 20;

/// Our copy of one repository.
pub struct Mirror {
    name: RepoName,
    git: Git,
    signer: Option<Arc<Signer>>,
    /// How often it was fetched.
    pub fetches: u64,
    /// How often it was pushed to.
    pub pushes: u64,
}

impl Mirror {
    /// The copy of this repository in the cache, made where it is missing; nothing is fetched yet.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(cache: &Path, name: &RepoName, remote: Remote) -> Result<Self, WireError> {
        let folder = cache.join(name.owner()).join(format!("{}.git", name.name()));
        let mirror =
            Self { name: name.clone(), git: Git { folder, remote }, signer: None, fetches: 0, pushes: 0 };
        if git2::Repository::open_bare(&mirror.git.folder).is_err() {
            let _lock = mirror.lock()?;
            mirror.make()?;
        }
        Ok(mirror)
    }

    /// Who we are there from now on.
    pub fn authenticate(&mut self, token: Secret) {
        self.git.remote.token = Some(token);
    }

    /// Signs what is pushed from now on.
    pub fn sign_with(&mut self, signer: Arc<Signer>) {
        self.signer = Some(signer);
    }

    /// Its objects, as they are now.
    ///
    /// # Errors
    /// When the copy is broken.
    pub fn objects(&self) -> Result<Objects, ReadError> {
        let repository =
            git2::Repository::open_bare(&self.git.folder).map_err(|error| ReadError::broken(&error))?;
        Ok(Objects::new(repository, self.git.clone()))
    }

    /// Brings all branches here, and the heads of these pull requests.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub fn fetch(&mut self, pulls: &BTreeSet<u64>) -> Result<(), WireError> {
        let _lock = self.lock()?;
        self.fetches += 1;
        let mut result = self.git.fetch(pulls);
        if result.is_err() && !pulls.is_empty() {
            // One pull request that is gone must not keep the branches away.
            result = self.git.fetch(&BTreeSet::new());
        }
        let Err(error) = result else {
            return Ok(());
        };
        if !self.git.reaches_remote() {
            return Err(error);
        }
        warn!(repository = %self.name, %error, "the copy cannot be used: fetching it anew");
        self.make()?;
        self.git.fetch(&BTreeSet::new())
    }

    /// Throws the copy away and fetches everything anew.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub fn renew(&mut self) -> Result<(), WireError> {
        {
            let _lock = self.lock()?;
            warn!(repository = %self.name, "the copy is broken: fetching it anew");
            self.make()?;
        }
        self.fetch(&BTreeSet::new())
    }

    /// Makes these commits and pushes them together, each on its own condition.
    pub fn push(&mut self, commits: &[Commit], me: &Login) -> Acted {
        let refs = match self.working(|mirror| mirror.write(commits, me)) {
            Ok(refs) => refs,
            Err(why) => return Acted::Failed(why),
        };
        self.pushes += 1;
        let results = match self.git.push(&refs) {
            Ok(results) => results,
            Err(error) => return Acted::Failed(chain(&error)),
        };
        let (mut moved, mut denied) = (Vec::new(), Vec::new());
        for (name, pushed) in &results {
            info!(repository = %self.name, branch = %name, outcome = ?pushed, "pushed");
            match pushed {
                Pushed::Done => {}
                Pushed::Moved(words) => moved.push(format!("`{name}` of {}: {words}", self.name)),
                Pushed::Denied(words) => denied.push(format!("`{name}` of {}: {words}", self.name)),
            }
        }
        match (denied.is_empty(), moved.is_empty()) {
            (false, _) => Acted::Failed(format!("the forge refused the push of {}", denied.join("; "))),
            (true, false) => Acted::Refused(format!("a branch is not where it was: {}", moved.join("; "))),
            (true, true) => Acted::Done,
        }
    }

    /// The folders that these commits make, for a forge that writes them itself.
    ///
    /// # Errors
    /// Why they cannot be made, in words.
    pub fn trees(&mut self, commits: &[Commit]) -> Result<Vec<Trees>, String> {
        self.working(|mirror| {
            let objects = mirror.objects()?;
            commits
                .iter()
                .map(|commit| {
                    follows(&objects, commit)?;
                    trees(&objects, commit)
                })
                .collect()
        })
    }

    /// Does it again with everything fetched where something is missing, and with a new copy where ours is broken.
    fn working<T>(&mut self, work: impl Fn(&Self) -> Read<T>) -> Result<T, String> {
        let mut done = match work(self) {
            Err(ReadError::Missing(_)) => {
                self.fetch(&BTreeSet::new()).map_err(|error| chain(&error))?;
                work(self)
            }
            done => done,
        };
        if matches!(done, Err(ReadError::Broken(_))) {
            self.renew().map_err(|error| chain(&error))?;
            done = work(self);
        }
        done.map_err(|error| chain(&error))
    }

    fn write(&self, commits: &[Commit], me: &Login) -> Result<Vec<Ref>, ReadError> {
        let make = |objects: &Objects| {
            let made = commits.iter().map(|commit| {
                follows(objects, commit)?;
                let id = write_commit(objects, commit, me, self.signer.as_deref())?;
                Ok(Ref { name: commit.branch.full(), commit: id, expect: commit.expect })
            });
            made.collect()
        };
        let objects = self.objects()?;
        let files: usize = commits.iter().map(|commit| commit.changes.len()).sum();
        if files < MANY { make(&objects) } else { objects.packed(make) }
    }

    fn make(&self) -> Result<(), WireError> {
        let start = |source| WireError::Start {
            what: format!("make the folder `{}`", self.git.folder.display()),
            source,
        };
        match fs::remove_dir_all(&self.git.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(start(error)),
            Ok(()) | Err(_) => {}
        }
        let mut options = git2::RepositoryInitOptions::new();
        options.bare(true).mkpath(true).external_template(false);
        git2::Repository::init_opts(&self.git.folder, &options)
            .map(drop)
            .map_err(|error| start(io::Error::other(error.message().to_owned())))
    }

    /// Two processes may share the cache; one at a time writes refs. Given up when dropped.
    fn lock(&self) -> Result<fs::File, WireError> {
        let path = self.git.folder.with_extension("lock");
        let open = || {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            let file = fs::File::options().create(true).truncate(false).write(true).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        open().map_err(|source| WireError::Start { what: format!("lock `{}`", path.display()), source })
    }
}

/// No commit of ours may drop what a branch holds.
fn follows(objects: &Objects, commit: &Commit) -> Read<()> {
    let keeps = |expect| commit.parent.map_or(Ok(false), |parent| objects.contains(parent, expect));
    match commit.expect {
        Some(expect) if !keeps(expect)? => Err(ReadError::Strange(format!(
            "the new commit of `{}` would drop commits: it does not follow {}",
            commit.branch,
            expect.short()
        ))),
        Some(_) | None => Ok(()),
    }
}

/// An error with all its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}
