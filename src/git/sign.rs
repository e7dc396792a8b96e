//! How is a commit of ours signed? By ssh-keygen, as the git program does it.
#![expect(clippy::disallowed_methods, reason = "the one place that starts ssh-keygen")]

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::NamedTempFile;

use super::objects::ReadError;
use crate::domain::{ObjectId, Secret};

/// Signs commits with an SSH key.
#[derive(Debug)]
pub struct Signer {
    key: PathBuf,
    /// A key given as text lies in a file that only we can read, and goes with us.
    _file: Option<NamedTempFile>,
}

impl Signer {
    /// With the private SSH key in this file.
    ///
    /// # Errors
    /// When there is no such path.
    pub fn from_file(path: &Path) -> io::Result<Self> {
        Ok(Self { key: std::path::absolute(path)?, _file: None })
    }

    /// With this private SSH key.
    ///
    /// # Errors
    /// When it cannot be put into a file.
    pub fn from_text(key: &Secret) -> io::Result<Self> {
        let mut file = NamedTempFile::new()?;
        writeln!(file, "{}", key.expose())?;
        Ok(Self { key: file.path().to_owned(), _file: Some(file) })
    }

    /// A commit's bytes with its signature in them.
    pub(super) fn sign(&self, commit: &[u8]) -> Result<Vec<u8>, ReadError> {
        let failed = |why: String| ReadError::Strange(format!("the commit could not be signed: {why}"));
        let signature =
            self.run(commit).map_err(|error| failed(format!("ssh-keygen: {error}")))?.map_err(failed)?;
        let end = commit.windows(2).position(|pair| pair == b"\n\n");
        let (head, rest) = commit.split_at(end.ok_or_else(|| failed("it has no message".to_owned()))?);
        let header = format!("\ngpgsig {}", signature.trim_end().replace('\n', "\n "));
        Ok([head, header.as_bytes(), rest].concat())
    }

    fn run(&self, text: &[u8]) -> io::Result<Result<String, String>> {
        let mut child = Command::new("ssh-keygen")
            .args(["-Y", "sign", "-n", "git", "-f"])
            .arg(&self.key)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(text)?;
        }
        let output = child.wait_with_output()?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        Ok(if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) })
    }
}

/// Has the git program look whether a commit is signed by one of the allowed signers in this file.
///
/// # Errors
/// Why it is not, in words.
pub(super) fn verify(repository: &Path, commit: ObjectId, signers: &Path) -> Result<(), String> {
    let signers = std::path::absolute(signers).map_err(|error| error.to_string())?;
    let output = Command::new("git")
        .arg("--git-dir")
        .arg(repository)
        .args(["-c", "core.hooksPath=/dev/null", "-c", "gpg.ssh.program=ssh-keygen", "-c"])
        .arg(format!("gpg.ssh.allowedSignersFile={}", signers.display()))
        .args(["verify-commit", "--raw", &commit.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("git could not be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().rfind(|line| !line.trim().is_empty());
    Err(line.map_or_else(|| "it carries no signature".to_owned(), |line| line.trim().to_owned()))
}
