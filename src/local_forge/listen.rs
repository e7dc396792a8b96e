//! Where does the forge listen?
//!
//! On loopback, where it is a server of one's own: the API below `/api/v3`, pages and Git beside it.
//! And on a Unix socket, where it is `api.github.com`: that is what clients ask for over one, such as
//! `gh` with its setting `http_unix_socket`.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

/// What an address of a Unix socket begins with.
const UNIX: &str = "unix:";

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// Port 0 takes a free one.
    Loopback(SocketAddr),
    /// A Unix socket at this path, written `unix:PATH`.
    Socket(PathBuf),
}

/// What was meant as an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write 127.0.0.1:PORT, or unix:PATH for a Unix socket, instead of `{0}`")]
pub struct NoAddress(String);

impl FromStr for Listen {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let no_address = |_| NoAddress(text.to_owned());
        match text.strip_prefix(UNIX) {
            Some("") => Err(NoAddress(text.to_owned())),
            Some(path) => Ok(Self::Socket(path.into())),
            None => text.parse().map(Self::Loopback).map_err(no_address),
        }
    }
}

/// An address that is listened on.
#[derive(Debug)]
pub(super) enum Door {
    Loopback(TcpListener),
    Socket(UnixListener, SocketFile),
}

/// What a client comes over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// The file of a Unix socket; it goes when nobody listens on it any more.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

impl Door {
    pub(super) async fn open(listen: &Listen) -> Result<Self> {
        match listen {
            Listen::Loopback(address) if !address.ip().is_loopback() => bail!(
                "the local forge has no TLS, so it listens on loopback only: use 127.0.0.1 instead of `{}`",
                address.ip()
            ),
            Listen::Loopback(address) => {
                let bound = TcpListener::bind(address).await;
                Ok(Self::Loopback(bound.with_context(|| format!("cannot listen on {address}"))?))
            }
            Listen::Socket(path) => {
                make_room(path)?;
                let bound = UnixListener::bind(path);
                let bound = bound.with_context(|| format!("cannot listen on `{}`", path.display()))?;
                Ok(Self::Socket(bound, SocketFile(path.clone())))
            }
        }
    }

    /// Waits for the next client.
    pub(super) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Loopback(listener) => {
                let (stream, _) = listener.accept().await?;
                drop(stream.set_nodelay(true));
                Ok(Box::new(stream))
            }
            Self::Socket(listener, _) => Ok(Box::new(listener.accept().await?.0)),
        }
    }

    /// Whether clients who come by it take the forge for `api.github.com`.
    pub(super) fn is_github(&self) -> bool {
        matches!(self, Self::Socket(..))
    }

    /// Such as `http://127.0.0.1:40123`, where the pages and Git are; none for a Unix socket.
    pub(super) fn url(&self) -> Result<Option<String>> {
        match self {
            Self::Loopback(listener) => Ok(Some(format!("http://{}", listener.local_addr()?))),
            Self::Socket(..) => Ok(None),
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "http://{address}"),
                Err(error) => write!(f, "{error}"),
            },
            Self::Socket(_, SocketFile(path)) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// Takes away a socket that nobody listens on, such as one that a killed forge left.
fn make_room(path: &Path) -> Result<()> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    let shown = path.display();
    if !found.file_type().is_socket() {
        bail!("`{shown}` is there and is no socket: name another path, or take it away");
    }
    if UnixStream::connect(path).is_ok() {
        bail!("somebody listens on `{shown}` already: end that forge, or name another path");
    }
    std::fs::remove_file(path).with_context(|| format!("cannot replace the socket `{shown}`"))
}

/// What is asked for as of `api.github.com`, as it is called on a server of one's own.
///
/// <https://docs.github.com/enterprise-server/rest/using-the-rest-api/getting-started-with-the-rest-api>
pub(super) fn as_on_a_server(path: &str) -> String {
    match path {
        "/graphql" => "/api/graphql".to_owned(),
        _ if path.starts_with("/api/") || path.starts_with("/_control/") => path.to_owned(),
        _ => format!("/api/v3{path}"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::{Door, Listen, as_on_a_server};

    #[test]
    fn an_address_is_of_loopback_or_names_a_socket() {
        assert_eq!("127.0.0.1:0".parse(), Ok(Listen::Loopback(([127, 0, 0, 1], 0).into())));
        assert_eq!("unix:a/b.sock".parse(), Ok(Listen::Socket("a/b.sock".into())));
        for wrong in ["unix:", "forge.sock", "localhost", ""] {
            assert!(wrong.parse::<Listen>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn over_a_socket_the_paths_are_those_of_github() {
        assert_eq!(as_on_a_server("/repos/a/b"), "/api/v3/repos/a/b");
        assert_eq!(as_on_a_server("/graphql"), "/api/graphql");
        assert_eq!(as_on_a_server("/_control/clock"), "/_control/clock");
        assert_eq!(as_on_a_server("/api/v3/user"), "/api/v3/user");
    }

    #[tokio::test]
    async fn a_socket_that_was_left_behind_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("forge.sock");
        let listen = Listen::Socket(path.clone());
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "nobody listens, and the file is still there");

        let door = Door::open(&listen).await.unwrap();
        assert_eq!(door.to_string(), format!("unix:{}", path.display()));
        let taken = Door::open(&listen).await.unwrap_err().to_string();
        assert!(taken.contains("somebody listens"), "{taken}");
        drop(door);
        assert!(!path.exists());

        #[expect(clippy::disallowed_methods, reason = "a test touches files")]
        std::fs::write(&path, "mine").unwrap();
        let refused = Door::open(&listen).await.unwrap_err().to_string();
        assert!(refused.contains("is no socket"), "{refused}");
        assert!(path.exists());
    }
}
