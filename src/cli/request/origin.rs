//! Which forge is a clone of? Its remote `origin` says so, where nobody says otherwise.

use std::path::Path;

use crate::{
    catalog::Settings,
    cli::config::{ForgeSettings, variable},
    domain::RepoName,
};

/// Where a remote leads.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    repository: RepoName,
    /// The server; none is GitHub itself.
    server: Option<String>,
}

/// What was said of the forge, and of what was not said what the clone tells. The address of a remote is its owner's own,
/// unlike what stands in a catalog's files.
pub(crate) fn of_clone(said: &ForgeSettings, top: &Path, settings: &Settings) -> ForgeSettings {
    let mut forge = said.clone();
    let is_said = |option: &Option<String>, names: &[&str]| {
        option.is_some() || names.iter().any(|name| variable(name).is_some())
    };
    let origin = git2::Repository::open(top).ok().and_then(|repository| {
        let remote = repository.find_remote("origin").ok()?;
        read(remote.url().ok()?)
    });
    if !is_said(&forge.repository, &["CHANDLERY_REPOSITORY", "GITHUB_REPOSITORY"]) {
        let of_origin = || origin.as_ref().map(|origin| origin.repository.clone());
        forge.repository = settings.repository.clone().or_else(of_origin).map(|name| name.to_string());
    }
    if let Some(server) = origin.and_then(|origin| origin.server)
        && !is_said(&forge.api_url, &["CHANDLERY_API_URL", "GITHUB_API_URL"])
    {
        forge.api_url = Some(format!("{server}/api/v3"));
    }
    forge
}

fn read(url: &str) -> Option<Origin> {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (scheme, rest.to_owned()),
        // As ssh is written for short: git@host:owner/name.
        None => ("ssh", url.replacen(':', "/", 1)),
    };
    let (host, path) = rest.split_once('/')?;
    let host = host.rsplit('@').next()?;
    let (server, host) = match scheme {
        "http" | "https" => (format!("{scheme}://{host}"), host),
        "ssh" | "git+ssh" => {
            let host = host.split(':').next()?;
            (format!("https://{host}"), host)
        }
        _ => return None,
    };
    let path = path.trim_matches('/');
    let repository = path.strip_suffix(".git").unwrap_or(path).parse().ok()?;
    let server = (!matches!(host, "github.com" | "ssh.github.com")).then_some(server);
    Some(Origin { repository, server })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_tells_the_forge_and_the_repository() {
        let origin = |server: Option<&str>| {
            Some(Origin { repository: "acme/catalog".parse().unwrap(), server: server.map(str::to_owned) })
        };
        for (url, told) in [
            ("https://github.com/acme/catalog.git", origin(None)),
            ("https://github.com/acme/catalog", origin(None)),
            ("git@github.com:acme/catalog.git", origin(None)),
            ("ssh://git@ssh.github.com:443/acme/catalog.git", origin(None)),
            ("git@ghe.acme.test:acme/catalog.git", origin(Some("https://ghe.acme.test"))),
            ("https://ada:token@ghe.acme.test/acme/catalog.git", origin(Some("https://ghe.acme.test"))),
            ("http://127.0.0.1:4000/acme/catalog.git", origin(Some("http://127.0.0.1:4000"))),
            ("/srv/git/catalog.git", None),
            ("https://ghe.acme.test/deep/er/catalog.git", None),
        ] {
            assert_eq!(read(url), told, "{url}");
        }
    }
}
