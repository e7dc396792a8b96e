//! How is a question answered, and a step carried out? By Git or by the forge: this only says which.

use std::{collections::BTreeSet, path::PathBuf};

use crate::{
    catalog::Root,
    domain::{RepoName, Secret},
    plan::{
        facts::{Answer, Question},
        step::{Act, Acted},
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
    pub token: Secret,
    /// The catalog's repository.
    pub catalog: RepoName,
    /// The catalog's folder in it.
    pub root: Root,
    /// Where copies of repositories are kept.
    pub cache: PathBuf,
    /// What the git program needs of our environment: PATH, proxies, certificates.
    pub environment: Vec<(String, String)>,
}

/// What was asked of the world so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of the forge's API, GraphQL included.
    pub calls: u64,
    /// Those of them that changed something.
    pub writes: u64,
    /// What the GraphQL queries cost.
    pub points: u64,
    /// Pushes.
    pub pushes: u64,
    /// Fetches.
    pub fetches: u64,
}

/// Looks and acts, in the real world.
pub struct Hands {}

impl Hands {
    /// Gets ready; nothing is asked yet.
    ///
    /// # Errors
    /// When an address cannot be used or the cache's folder cannot be made.
    pub fn new(_settings: Settings) -> anyhow::Result<Self> {
        todo!()
    }

    /// Answers every question; what could not be learnt is `Unknown` and says why.
    pub async fn look(&mut self, _questions: &BTreeSet<Question>) -> Vec<(Question, Answer)> {
        todo!()
    }

    /// Carries out one act.
    pub async fn act(&mut self, _act: &Act) -> Acted {
        todo!()
    }

    /// What was asked of the world so far.
    pub fn counts(&self) -> Counts {
        todo!()
    }
}
