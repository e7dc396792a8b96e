//! Which forge, which catalog, and who are we there? Read from options and the environment, here only.
#![expect(clippy::disallowed_methods, reason = "the environment and the token's file are read here")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, anyhow, bail};
use clap::Args;

use crate::{
    catalog::{Root, load_settings},
    domain::{RepoName, RepoPath, Secret},
    forge::{client::Manners, identity::Credentials, pace::Pace},
    git::sign::Signer,
    reconcile::Settings,
};

/// What the git program may need of our environment.
const FOR_GIT: [&str; 14] = [
    "PATH",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
];

/// Where the forge is and which catalog is meant.
///
/// The token is read from CHANDLERY_TOKEN or GITHUB_TOKEN, or from a file; there is no option for
/// it, since every process of a machine can read the options of the others.
#[derive(Debug, Clone, Default, Args)]
pub struct ForgeSettings {
    /// The catalog's repository [env: CHANDLERY_REPOSITORY, GITHUB_REPOSITORY] [default: what ./chandlery.yaml says]
    #[arg(long, value_name = "OWNER/NAME")]
    pub repository: Option<String>,
    /// The forge's REST API [env: CHANDLERY_API_URL, GITHUB_API_URL] [default: `https://api.github.com`]
    #[arg(long, value_name = "URL")]
    pub api_url: Option<String>,
    /// The address in front of OWNER/NAME.git [env: CHANDLERY_GIT_URL, GITHUB_SERVER_URL] [default: the API's server]
    #[arg(long, value_name = "URL")]
    pub git_url: Option<String>,
    /// Read the token from this file, not from CHANDLERY_TOKEN or GITHUB_TOKEN
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Act as the GitHub App with this id [env: CHANDLERY_APP_ID]; its private key is read from CHANDLERY_APP_KEY or a file
    #[arg(long, value_name = "ID", value_parser = app_id)]
    pub app_id: Option<u64>,
    /// Read the App's private key (PEM) from this file [env: CHANDLERY_APP_KEY_FILE]
    #[arg(long, value_name = "FILE")]
    pub app_key_file: Option<PathBuf>,
    /// Sign what is pushed with the private SSH key in this file [env: CHANDLERY_SIGNING_KEY_FILE, or the key itself in
    /// CHANDLERY_SIGNING_KEY]
    #[arg(long, value_name = "FILE")]
    pub signing_key_file: Option<PathBuf>,
    /// The catalog's folder in its repository [default: the repository's root]
    #[arg(long, value_name = "FOLDER")]
    pub root: Option<RepoPath>,
    /// Where copies of repositories are kept [env: CHANDLERY_CACHE] [default: ~/.cache/chandlery]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
}

/// A variable of the environment, if it is set and says something.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The token of a person who may administer the catalog, if one is given.
///
/// # Errors
/// When its file cannot be read, or it is no token.
pub(super) fn admin_token(file: Option<&Path>) -> anyhow::Result<Option<Secret>> {
    let text =
        match file {
            Some(path) => Some(std::fs::read_to_string(path).with_context(|| {
                format!("cannot read the administrator's token from `{}`", path.display())
            })?),
            None => variable("CHANDLERY_ADMIN_TOKEN"),
        };
    text.map(|text| one_word(&text, "the administrator's token")).transpose()
}

/// This machine's clock, in seconds.
pub(super) fn clock() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// Which catalog, and where.
struct Address {
    catalog: RepoName,
    api_url: String,
    git_url: String,
}

fn one_word(text: &str, what: &str) -> anyhow::Result<Secret> {
    let token = Secret::new(text);
    if token.expose().is_empty() || !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("{what} is empty or holds spaces; give the token alone, on one line");
    }
    Ok(token)
}

impl ForgeSettings {
    /// Everything that looking and acting need.
    ///
    /// # Errors
    /// When something is missing or makes no sense.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        let read = |path: &Path| std::fs::read_to_string(path);
        self.resolve(&variable, &read)
    }

    /// Where the pages of the catalog's repository are: its name, and the server. Nobody is asked, and no token is needed.
    ///
    /// # Errors
    /// When no repository is named.
    pub fn page(&self) -> anyhow::Result<(RepoName, String)> {
        let read = |path: &Path| std::fs::read_to_string(path);
        let Address { catalog, git_url, .. } = self.address(&variable, &read)?;
        Ok((catalog, git_url))
    }

    fn address(
        &self,
        environment: &dyn Fn(&str) -> Option<String>,
        read: &dyn Fn(&Path) -> std::io::Result<String>,
    ) -> anyhow::Result<Address> {
        let first = |option: &Option<String>, names: &[&str]| {
            option.clone().or_else(|| names.iter().find_map(|name| environment(name)))
        };
        let catalog: RepoName = match first(&self.repository, &["CHANDLERY_REPOSITORY", "GITHUB_REPOSITORY"])
        {
            Some(name) => name.parse()?,
            None => match self.repository_of_copy(read) {
                Some(name) => name,
                None => bail!(
                    "no catalog is named; give --repository OWNER/NAME, set CHANDLERY_REPOSITORY, or say `repository: OWNER/NAME` in the chandlery.yaml of the folder that this is started in"
                ),
            },
        };
        let chosen_api = first(&self.api_url, &["CHANDLERY_API_URL"]);
        let is_chosen = chosen_api.is_some();
        let api_url = chosen_api
            .or_else(|| environment("GITHUB_API_URL"))
            .unwrap_or_else(|| "https://api.github.com".to_owned())
            .trim_end_matches('/')
            .to_owned();
        // In a workflow GITHUB_SERVER_URL names the workflow's own forge, which is not ours if another API is named.
        let server = (!is_chosen).then(|| environment("GITHUB_SERVER_URL")).flatten();
        let git_url = match first(&self.git_url, &["CHANDLERY_GIT_URL"]).or(server) {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => git_url_beside(&api_url),
        };
        Ok(Address { catalog, api_url, git_url })
    }

    fn resolve(
        &self,
        environment: &dyn Fn(&str) -> Option<String>,
        read: &dyn Fn(&Path) -> std::io::Result<String>,
    ) -> anyhow::Result<Settings> {
        let Address { catalog, api_url, git_url } = self.address(environment, read)?;
        let credentials = self.credentials(environment, read)?;
        let key_file = self
            .signing_key_file
            .clone()
            .or_else(|| environment("CHANDLERY_SIGNING_KEY_FILE").map(PathBuf::from));
        let signer = match (key_file, environment("CHANDLERY_SIGNING_KEY")) {
            (Some(file), _) => Some(Signer::from_file(&file)),
            (None, text) => text.map(|text| Signer::from_text(&Secret::new(&text))),
        };
        let signer = signer.transpose().context("the signing key cannot be used")?.map(Arc::new);
        let root = Root(self.root.clone());
        let cache = match (
            &self.cache,
            environment("CHANDLERY_CACHE"),
            environment("XDG_CACHE_HOME"),
            environment("HOME"),
        ) {
            (Some(folder), ..) => folder.clone(),
            (None, Some(folder), ..) => folder.into(),
            (None, None, Some(folder), _) => Path::new(&folder).join("chandlery"),
            (None, None, None, Some(home)) => Path::new(&home).join(".cache").join("chandlery"),
            (None, None, None, None) => {
                bail!("there is no place for copies of repositories; give --cache DIR")
            }
        };
        // Repositories of the same name on two forges are not the same.
        let forge: String =
            git_url.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        let environment =
            FOR_GIT.iter().filter_map(|name| Some(((*name).to_owned(), environment(name)?))).collect();
        let cache = std::path::absolute(cache)?;
        // On loopback is a forge of one's own; GitHub's limits are others'.
        let is_own = ["http://127.0.0.1", "http://localhost", "http://[::1]"]
            .iter()
            .any(|host| api_url.starts_with(host));
        let manners = Manners {
            pace: (!is_own).then_some(Pace::GITHUB),
            answers: Some(cache.join("answers").join(&forge)),
            seen_as: None,
        };
        Ok(Settings {
            api_url,
            manners,
            git_url,
            credentials,
            catalog,
            root,
            signer,
            cache: cache.join("repositories").join(forge),
            environment,
            secrets: secrets(),
            identities: identities()?,
        })
    }
}

/// What opens the secrets that were encrypted for us: the file that CHANDLERY_AGE_IDENTITY names.
fn identities() -> anyhow::Result<Option<Secret>> {
    let Some(path) = variable("CHANDLERY_AGE_IDENTITY") else { return Ok(None) };
    let text = std::fs::read_to_string(&path);
    let text = text
        .with_context(|| format!("cannot read the identities of age in `{path}` (CHANDLERY_AGE_IDENTITY)"))?;
    Ok(Some(Secret::new(&text)))
}

/// The secrets that definitions may refer to: `CHANDLERY_SECRET_NAME` is `env:NAME`.
pub(super) fn secrets() -> BTreeMap<String, Secret> {
    let known = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.to_str()?.strip_prefix("CHANDLERY_SECRET_")?.to_owned();
        Some((name, Secret::new(value.to_str()?)))
    });
    known.collect()
}

/// The number of an App.
pub(super) fn app_id(text: &str) -> Result<u64, &'static str> {
    text.trim()
        .parse()
        .map_err(|_| "the App ID is a number, which stands on the App's page; it is not its name")
}

impl ForgeSettings {
    /// What the copy of a catalog says that this was started in. Addresses are never taken from there: whoever may change
    /// the file could have tokens sent elsewhere.
    fn repository_of_copy(&self, read: &dyn Fn(&Path) -> std::io::Result<String>) -> Option<RepoName> {
        let root = Root(self.root.clone());
        let path = root.settings_path();
        let text = read(Path::new(path.as_str())).ok()?;
        load_settings(&root, Some(&text.into_bytes().into())).ok()?.repository
    }

    /// An App, if one is named; a token otherwise.
    fn credentials(
        &self,
        environment: &dyn Fn(&str) -> Option<String>,
        read: &dyn Fn(&Path) -> std::io::Result<String>,
    ) -> anyhow::Result<Credentials> {
        let id = match (self.app_id, environment("CHANDLERY_APP_ID")) {
            (Some(id), _) => Some(id),
            (None, Some(text)) => {
                Some(app_id(&text).map_err(|why| anyhow!("CHANDLERY_APP_ID is `{}`: {why}", text.trim()))?)
            }
            (None, None) => None,
        };
        if let Some(id) = id {
            let file = self
                .app_key_file
                .clone()
                .or_else(|| environment("CHANDLERY_APP_KEY_FILE").map(PathBuf::from));
            let key = match (file, environment("CHANDLERY_APP_KEY")) {
                (Some(path), _) => read(&path)
                    .with_context(|| format!("cannot read the App's key from `{}`", path.display()))?,
                (None, Some(key)) => key,
                (None, None) => {
                    bail!(
                        "the App's key is not given; set CHANDLERY_APP_KEY or name a file with --app-key-file"
                    )
                }
            };
            return Ok(Credentials::App { id, key: Secret::new(&key) });
        }
        let token = match &self.token_file {
            Some(path) => {
                read(path).with_context(|| format!("cannot read the token from `{}`", path.display()))?
            }
            None => match ["CHANDLERY_TOKEN", "GITHUB_TOKEN"].iter().find_map(|name| environment(name)) {
                Some(token) => token,
                None => bail!(
                    "no token is given; set CHANDLERY_TOKEN or name a file with --token-file, or act as an App with --app-id"
                ),
            },
        };
        Ok(Credentials::Token(one_word(&token, "the token")?))
    }
}

/// What the git program needs where it meets nothing but loopback: to be found, and no proxy.
pub(super) fn path_of_programs() -> Vec<(String, String)> {
    ["PATH", "TMPDIR"]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
        .collect()
}

fn git_url_beside(api_url: &str) -> String {
    match api_url.strip_suffix("/api/v3") {
        Some(server) => server.to_owned(),
        None => api_url.replacen("https://api.", "https://", 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(settings: &ForgeSettings, environment: &[(&str, &str)]) -> anyhow::Result<Settings> {
        let find = |name: &str| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        settings.resolve(&find, &|_| Ok("from-a-file\n".to_owned()))
    }

    #[test]
    fn a_workflow_needs_no_options() {
        let settings = resolve(
            &ForgeSettings::default(),
            &[
                ("GITHUB_REPOSITORY", "acme/catalog"),
                ("GITHUB_API_URL", "https://ghe.acme.test/api/v3"),
                ("GITHUB_SERVER_URL", "https://ghe.acme.test"),
                ("GITHUB_TOKEN", "t"),
                ("HOME", "/home/x"),
                ("PATH", "/bin"),
                ("LD_PRELOAD", "evil.so"),
            ],
        )
        .unwrap();
        assert_eq!(settings.git_url, "https://ghe.acme.test");
        assert_eq!(settings.environment, [("PATH".to_owned(), "/bin".to_owned())]);
        assert!(settings.cache.ends_with(".cache/chandlery/repositories/https---ghe.acme.test"));
    }

    #[test]
    fn a_copy_of_the_catalog_says_which_it_is_when_nothing_else_does() {
        let settings = ForgeSettings { cache: Some("cache".into()), ..ForgeSettings::default() };
        let read = |path: &Path| match path.to_str() {
            Some("chandlery.yaml") => Ok("version: 1\nrepository: acme/catalog\n".to_owned()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        let with = |name: &str, value: &str| {
            let (name, value) = (name.to_owned(), value.to_owned());
            move |wanted: &str| match wanted {
                "CHANDLERY_TOKEN" => Some("t".to_owned()),
                wanted => (wanted == name).then(|| value.clone()),
            }
        };
        let found = |environment: &dyn Fn(&str) -> Option<String>| {
            settings.resolve(environment, &read).unwrap().catalog.to_string()
        };
        assert_eq!(found(&with("", "")), "acme/catalog");
        assert_eq!(found(&with("GITHUB_REPOSITORY", "acme/other")), "acme/other");
    }

    /// docs/settings.md promises this order.
    #[test]
    fn an_option_comes_before_our_variable_and_that_before_the_one_of_a_job() {
        let option = ForgeSettings {
            repository: Some("a/option".to_owned()),
            api_url: Some("https://option.test".to_owned()),
            git_url: Some("https://git.option.test".to_owned()),
            token_file: Some("token".into()),
            ..ForgeSettings::default()
        };
        let ours = [
            ("CHANDLERY_REPOSITORY", "a/ours"),
            ("CHANDLERY_API_URL", "https://ours.test"),
            ("CHANDLERY_GIT_URL", "https://git.ours.test"),
            ("CHANDLERY_TOKEN", "ours"),
        ];
        let of_job = [
            ("GITHUB_REPOSITORY", "a/job"),
            ("GITHUB_API_URL", "https://job.test"),
            ("GITHUB_SERVER_URL", "https://git.job.test"),
            ("GITHUB_TOKEN", "job"),
        ];
        let said = |settings: &ForgeSettings, environment: &[&[(&str, &str)]]| {
            let Settings { catalog, api_url, git_url, credentials, .. } =
                resolve(settings, &[&[("HOME", "/home/x")], &environment.concat()[..]].concat()).unwrap();
            let token = match credentials {
                Credentials::Token(token) => token.expose().to_owned(),
                Credentials::App { id, .. } => format!("App {id}"),
            };
            [catalog.to_string(), api_url, git_url, token]
        };
        let nothing = ForgeSettings::default();
        let words = |word: &str| {
            [format!("a/{word}"), format!("https://{word}.test"), format!("https://git.{word}.test")]
        };
        for (settings, environment, first, token) in [
            (&option, &[&ours[..], &of_job[..]][..], "option", "from-a-file"),
            (&nothing, &[&ours[..], &of_job[..]][..], "ours", "ours"),
            (&nothing, &[&of_job[..]][..], "job", "job"),
        ] {
            let found = said(settings, environment);
            assert_eq!((&found[..3], found[3].as_str()), (&words(first)[..], token));
        }
        // An App comes before any token.
        let app = [("CHANDLERY_APP_ID", "7"), ("CHANDLERY_APP_KEY", "key")];
        assert_eq!(said(&option, &[&app, &ours])[3], "App 7");
    }

    #[test]
    fn git_is_beside_the_api() {
        for (api, git) in [
            ("https://api.github.com", "https://github.com"),
            ("http://127.0.0.1:4000/api/v3", "http://127.0.0.1:4000"),
            ("https://api.acme.ghe.test", "https://acme.ghe.test"),
        ] {
            assert_eq!(git_url_beside(api), git);
        }
    }

    #[test]
    fn a_token_is_one_word_and_is_never_printed() {
        let settings = ForgeSettings {
            repository: Some("acme/catalog".to_owned()),
            token_file: Some("token".into()),
            cache: Some("cache".into()),
            ..ForgeSettings::default()
        };
        let settings = resolve(&settings, &[]).unwrap();
        assert!(
            matches!(&settings.credentials, Credentials::Token(token) if token.expose() == "from-a-file")
        );
        assert!(!format!("{settings:?}").contains("from-a-file"));
        let bad = resolve(
            &ForgeSettings { token_file: None, ..ForgeSettings::default() },
            &[("CHANDLERY_REPOSITORY", "acme/catalog"), ("CHANDLERY_TOKEN", "a b")],
        );
        assert!(bad.unwrap_err().to_string().contains("token"));
    }
}
