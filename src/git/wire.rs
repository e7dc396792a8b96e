//! How are commits brought here and sent there? By the git program, in an environment of its own:
//! no configuration but ours, no hooks, no questions, and no secret in an argument or address.
#![expect(clippy::disallowed_methods, reason = "the one place that starts git")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use tempfile::NamedTempFile;

use crate::domain::{ObjectId, Secret};

/// How long one call of git may take: a first fetch of a large repository takes minutes.
const PATIENCE: Duration = Duration::from_secs(600);

/// How much of what git says is kept.
const SAID: usize = 2_000;

/// Where a repository is, and how to get in.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Its address, without credentials.
    pub url: String,
    /// Who we are there.
    pub token: Option<Secret>,
    /// What git needs of our environment: PATH, proxies, certificates.
    pub environment: Vec<(String, String)>,
}

/// Why git did not do it.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The program or the cache's folder cannot be used.
    #[error("cannot {what}")]
    Start {
        /// What was tried.
        what: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It hung.
    #[error("`git {0}` took more than ten minutes")]
    Slow(String),
    /// It said no.
    #[error("`git {what}` failed: {said}")]
    Said {
        /// The command.
        what: String,
        /// Its words.
        said: String,
    },
}

/// What came of pushing one branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// It is there, or was there before.
    Done,
    /// The branch was not where it was expected.
    Moved(String),
    /// The server would not have it.
    Denied(String),
}

/// One branch to push: a commit, and where the branch must point (none: must not exist).
#[derive(Debug, Clone)]
pub struct Ref {
    /// The full name.
    pub name: String,
    /// What it shall point to.
    pub commit: ObjectId,
    /// What it must point to now.
    pub expect: Option<ObjectId>,
}

/// The git program, for one bare repository and its remote.
#[derive(Debug, Clone)]
pub struct Git {
    /// The bare repository.
    pub folder: PathBuf,
    /// Where it comes from.
    pub remote: Remote,
}

struct Output {
    success: bool,
    stdout: String,
    stderr: String,
}

impl Git {
    /// Brings all branches here, and these pull requests' heads.
    ///
    /// # Errors
    /// When the remote cannot be reached or the copy cannot be written.
    pub fn fetch(&self, pulls: &BTreeSet<u64>) -> Result<(), WireError> {
        let mut arguments: Vec<String> =
            ["fetch", "--quiet", "--no-tags", "--prune", "--no-write-fetch-head", "--end-of-options"]
                .map(str::to_owned)
                .into();
        arguments.push(self.remote.url.clone());
        arguments.push("+refs/heads/*:refs/remotes/origin/*".to_owned());
        arguments
            .extend(pulls.iter().map(|number| format!("+refs/pull/{number}/head:refs/pull/{number}/head")));
        self.must(&arguments).map(drop)
    }

    /// Whether the remote answers at all.
    pub fn reaches_remote(&self) -> bool {
        self.must(&["ls-remote".to_owned(), "--heads".to_owned(), self.remote.url.clone()]).is_ok()
    }

    /// Merges two commits as `git merge` would; none when they conflict.
    ///
    /// # Errors
    /// When git cannot be started.
    pub fn merge_tree(&self, ours: ObjectId, theirs: ObjectId) -> Result<Option<ObjectId>, WireError> {
        let output = self.run(&[
            "merge-tree".to_owned(),
            "--write-tree".to_owned(),
            ours.to_string(),
            theirs.to_string(),
        ])?;
        let first = output.stdout.lines().next().unwrap_or_default();
        Ok(if output.success { first.parse().ok() } else { None })
    }

    /// Pushes every branch on its own condition. No branch is ever moved to a commit that does
    /// not contain what it pointed to; see [`super::write`], which makes the commits.
    ///
    /// # Errors
    /// When the server could not be asked, or did not say what it did: it may or may not be done.
    pub fn push(&self, refs: &[Ref]) -> Result<BTreeMap<String, Pushed>, WireError> {
        let mut arguments: Vec<String> =
            ["push", "--porcelain", "--no-verify", "--no-follow-tags"].map(str::to_owned).into();
        for Ref { name, expect, .. } in refs {
            let expect = expect.map(|id| id.to_string()).unwrap_or_default();
            arguments.push(format!("--force-with-lease={name}:{expect}"));
        }
        arguments.push("--end-of-options".to_owned());
        arguments.push(self.remote.url.clone());
        arguments.extend(refs.iter().map(|Ref { name, commit, .. }| format!("{commit}:{name}")));
        let output = self.run(&arguments)?;
        let results = read_porcelain(&output.stdout, &remote_words(&output.stderr));
        match refs.iter().find(|wanted| !results.contains_key(&wanted.name)) {
            None => Ok(results),
            Some(_) => Err(WireError::Said { what: "push".to_owned(), said: self.words(&output.stderr) }),
        }
    }

    fn must(&self, arguments: &[String]) -> Result<Output, WireError> {
        let output = self.run(arguments)?;
        if output.success {
            return Ok(output);
        }
        Err(WireError::Said { what: arguments[0].clone(), said: self.words(&output.stderr) })
    }

    /// What git said, short and without our secret, should a server ever repeat it.
    fn words(&self, stderr: &str) -> String {
        let mut words: String = stderr.trim().chars().take(SAID).collect();
        if let Some(token) = &self.remote.token
            && !token.expose().is_empty()
        {
            words = words.replace(token.expose(), "(secret)");
        }
        words
    }

    fn run(&self, arguments: &[String]) -> Result<Output, WireError> {
        let start = |source| WireError::Start { what: format!("run `git {}`", arguments[0]), source };
        let secrets = self.secrets().map_err(start)?;
        let mut child = Command::new("git")
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .envs(self.remote.environment.iter().map(|(name, value)| (name, value)))
            .envs(self.environment())
            .env("GIT_CONFIG_GLOBAL", secrets.as_ref().map_or(Path::new("/dev/null"), |file| file.path()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        let stdout = read_all(child.stdout.take());
        let stderr = read_all(child.stderr.take());
        let (Ok(stdout), Ok(stderr)) = (stdout.recv_timeout(PATIENCE), stderr.recv_timeout(PATIENCE)) else {
            child.kill().and_then(|()| child.wait()).map_err(start)?;
            return Err(WireError::Slow(arguments[0].clone()));
        };
        let status = child.wait().map_err(start)?;
        Ok(Output { success: status.success(), stdout, stderr })
    }

    /// Settings with our token, in a file that only we can read and that goes when git is done: arguments can be read
    /// by every process of the machine, and the environment by every program that git starts.
    fn secrets(&self) -> std::io::Result<Option<NamedTempFile>> {
        let Some(token) = &self.remote.token else { return Ok(None) };
        let basic = STANDARD.encode(format!("x-access-token:{}", token.expose()));
        let url = self.remote.url.replace('\\', "\\\\").replace('"', "\\\"");
        let mut file = NamedTempFile::new()?;
        writeln!(file, "[http \"{url}\"]\n\textraHeader = \"Authorization: Basic {basic}\"")?;
        Ok(Some(file))
    }

    /// The environment that git gets beside PATH and proxies. Settings are given here rather than
    /// as arguments, which every process of the machine can read.
    fn environment(&self) -> Vec<(String, String)> {
        let url = &self.remote.url;
        let loopback = ["http://127.0.0.1", "http://localhost", "http://[::1]"]
            .iter()
            .any(|host| url.strip_prefix(host).is_some_and(|rest| rest.starts_with([':', '/'])));
        let settings: Vec<(String, String)> = [
            ("core.hooksPath", "/dev/null"),
            ("credential.helper", ""),
            ("fetch.recurseSubmodules", "false"),
            ("gc.autoDetach", "false"),
            ("http.lowSpeedLimit", "1"),
            ("http.lowSpeedTime", "60"),
            ("protocol.allow", "never"),
            ("protocol.https.allow", "always"),
            ("protocol.http.allow", if loopback { "always" } else { "never" }),
            ("protocol.file.allow", if url.starts_with("file://") { "always" } else { "never" }),
            ("push.recurseSubmodules", "no"),
            ("transfer.credentialsInUrl", "die"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let mut environment: Vec<(String, String)> = [
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_DIR", "."),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ASKPASS", "true"),
            ("LC_ALL", "C"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        environment.push(("GIT_CONFIG_COUNT".to_owned(), settings.len().to_string()));
        for (index, (name, value)) in settings.into_iter().enumerate() {
            environment.push((format!("GIT_CONFIG_KEY_{index}"), name));
            environment.push((format!("GIT_CONFIG_VALUE_{index}"), value));
        }
        environment
    }
}

fn read_all(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream
            && stream.read_to_end(&mut bytes).is_err()
        {
            bytes.clear();
        }
        // Nobody listens any more when git took too long.
        sender.send(String::from_utf8_lossy(&bytes).into_owned()).ok();
    });
    receiver
}

/// What the server itself said.
fn remote_words(stderr: &str) -> String {
    let said: Vec<&str> = stderr
        .lines()
        .filter_map(|line| line.strip_prefix("remote:"))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    said.join(" ").chars().take(SAID).collect()
}

/// One line a ref: `flag TAB from:to TAB summary (reason)`; see git-push(1), OUTPUT.
fn read_porcelain(stdout: &str, server: &str) -> BTreeMap<String, Pushed> {
    let mut results = BTreeMap::new();
    for line in stdout.lines() {
        let mut fields = line.split('\t');
        let (Some(flag), Some(refs), Some(summary)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let Some((_, name)) = refs.split_once(':') else {
            continue;
        };
        // A branch that moved while the server wrote it is refused by the server, in its own words.
        let raced =
            ["cannot lock ref", "failed to update ref", "incorrect old value", "reference already exists"];
        let pushed = match flag {
            "!" if summary.starts_with("[rejected]") => Pushed::Moved(summary.to_owned()),
            "!" if raced.iter().any(|words| summary.contains(words)) => Pushed::Moved(summary.to_owned()),
            "!" if server.is_empty() => Pushed::Denied(summary.to_owned()),
            "!" => Pushed::Denied(format!("{summary}: {server}")),
            _ => Pushed::Done,
        };
        results.insert(name.to_owned(), pushed);
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_branch_of_a_push_has_its_own_outcome() {
        let said = "To https://forge.test/a/b.git\n\
            *\tabc:refs/heads/new\t[new branch]\n\
            =\tabc:refs/heads/same\t[up to date]\n \tabc:refs/heads/on\taaa..bbb\n\
            !\tabc:refs/heads/moved\t[rejected] (stale info)\n\
            !\tabc:refs/heads/raced\t[remote rejected] (cannot lock ref 'refs/heads/raced': is at a but expected b)\n\
            !\tabc:refs/heads/main\t[remote rejected] (protected branch hook declined)\nDone\n";
        let results = read_porcelain(said, "error: GH006: Protected branch update failed");
        for name in ["new", "same", "on"] {
            assert_eq!(results[&format!("refs/heads/{name}")], Pushed::Done);
        }
        assert!(matches!(results["refs/heads/moved"], Pushed::Moved(_)));
        assert!(matches!(results["refs/heads/raced"], Pushed::Moved(_)));
        assert!(matches!(&results["refs/heads/main"], Pushed::Denied(words) if words.contains("GH006")));
    }

    #[test]
    fn the_token_is_in_a_file_of_ours_for_the_one_address() {
        let remote = Remote {
            url: "https://forge.test/a/b.git".to_owned(),
            token: Some(Secret::new("hunter2")),
            environment: Vec::new(),
        };
        let git = Git { folder: PathBuf::new(), remote };
        let secret = STANDARD.encode("x-access-token:hunter2");
        assert!(git.environment().iter().all(|(_, value)| !value.contains(&secret)));
        let file = git.secrets().unwrap().unwrap();
        let path = file.path().to_owned();
        let setting = |address: &str| {
            let output = Command::new("git")
                .args([
                    "config",
                    "--file",
                    path.to_str().unwrap(),
                    "--get-urlmatch",
                    "http.extraHeader",
                    address,
                ])
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        assert_eq!(setting("https://forge.test/a/b.git"), format!("Authorization: Basic {secret}"));
        assert_eq!(setting("https://forge.test/a/other.git"), "");
        assert_eq!(setting("https://evil.test/a/b.git"), "");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        drop(file);
        assert!(!path.exists());
        assert!(!format!("{git:?}").contains("hunter2"));
        assert_eq!(git.words("fatal: hunter2 is wrong"), "fatal: (secret) is wrong");
    }
}
