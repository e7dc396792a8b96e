//! How is a commit of ours signed? By ssh-keygen, as the git program does it.
#![expect(clippy::disallowed_methods, reason = "the one place that starts ssh-keygen")]

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::NamedTempFile;

use super::objects::ReadError;
use crate::domain::Secret;

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
