//! Which files run Chandlery on GitHub, and what in them differs from catalog to catalog?

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use include_dir::{Dir, include_dir};
use serde_json::Value;

use super::texts;
use crate::{
    catalog::{Files, Folders},
    domain::{RepoName, RepoPath},
};

/// What every catalog gets, and every target.
static SETUP: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/cli/init/setup");
static TARGET: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/cli/init/target");

/// The environments that keep the App's key, and the token of a target.
pub(in crate::cli) const ENVIRONMENT: &str = "chandlery";
pub(in crate::cli) const WAKE_ENVIRONMENT: &str = "chandlery-wake";
/// The workflow that acts, and all that the catalog needs.
pub(in crate::cli) const ACTING: &str = ".github/workflows/chandlery.yml";
pub(in crate::cli) const OF_CATALOG: [&str; 3] =
    [ACTING, ".github/workflows/chandlery-wake.yml", ".github/workflows/chandlery-validate.yml"];

/// The release that this program is part of, if it was built for one: the action and its commit.
const RELEASE: Option<&str> = option_env!("CHANDLERY_RELEASE");
/// Where no release is known. The action refuses it, and doctor names it.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";
const NO_SHA256: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// An action of a repository at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Action {
    repository: RepoName,
    commit: String,
}

/// The program that a workflow runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Release {
    action: Action,
    version: String,
    sha256: String,
}

/// What is put into the files.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Words {
    pub(in crate::cli) repository: RepoName,
    pub(in crate::cli) owners: String,
    pub(in crate::cli) app: String,
    pub(in crate::cli) branch: String,
    pub(in crate::cli) release: Release,
    pub(in crate::cli) folders: Folders,
}

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "an action is named OWNER/NAME@COMMIT, with all 40 digits of the commit".to_owned();
        let (repository, commit) = text.split_once('@').ok_or_else(wrong)?;
        if commit.len() != 40 || !is_hex(commit) {
            return Err(wrong());
        }
        Ok(Self { repository: repository.parse().map_err(|_| wrong())?, commit: commit.to_owned() })
    }
}

impl Release {
    /// What is said, then what this program knows of itself.
    pub(super) fn from_options(action: Option<Action>, sha256: Option<String>) -> Self {
        let ours = || RELEASE.and_then(|release| release.parse().ok());
        let unknown = || Action { repository: nobody(), commit: NO_COMMIT.to_owned() };
        Self {
            action: action.or_else(ours).unwrap_or_else(unknown),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sha256: sha256.unwrap_or_else(|| NO_SHA256.to_owned()),
        }
    }

    /// Whether a workflow with this could run.
    pub(in crate::cli) fn is_known(&self) -> bool {
        self.action.commit != NO_COMMIT && self.sha256 != NO_SHA256
    }

    /// The release that a workflow names, if it names one in our words.
    pub(in crate::cli) fn of_workflow(text: &str) -> Option<Self> {
        let after = |word: &str| {
            text.lines()
                .find_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix(word))
                .map(str::trim)
        };
        let action = after("uses:").filter(|uses| !uses.starts_with("actions/"))?;
        let action = action.split_once(" #").map_or(action, |(action, _)| action).trim().parse().ok()?;
        let version = after("version:")?;
        let is_version = !version.is_empty() && version.chars().all(|c| c.is_ascii_digit() || c == '.');
        let sha256 = read_sha256(after("sha256:")?).ok()?;
        is_version.then(|| Self { action, version: version.to_owned(), sha256 })
    }
}

fn nobody() -> RepoName {
    "OWNER/chandlery".parse().expect("it is a name")
}

/// Everything of the catalog that is not a definition, by its path.
pub(super) fn of_catalog(words: &Words) -> anyhow::Result<BTreeMap<RepoPath, String>> {
    filled(&SETUP, words)
}

/// What a target needs to tell the catalog that a follow-up was merged, or that a workflow with one of these names has ended.
pub(super) fn of_target(
    words: &Words,
    followed: &BTreeSet<String>,
) -> anyhow::Result<BTreeMap<RepoPath, String>> {
    let names: Vec<String> = followed.iter().map(|name| Value::from(name.as_str()).to_string()).collect();
    let event = format!(
        "  workflow_run: # zizmor: ignore[dangerous-triggers]\n    workflows: [{}]\n    types: [completed]\n",
        names.join(", ")
    );
    let (event, or) = match followed.is_empty() {
        true => ("", ""),
        false => (event.as_str(), " || github.event.workflow_run.event == 'workflow_dispatch'"),
    };
    let filled = filled(&TARGET, words)?.into_iter();
    Ok(filled
        .map(|(path, text)| (path, text.replace("%ENDED%\n", event).replace("%OR_ENDED%", or)))
        .collect())
}

/// The names of those of these files that the catalog may start.
pub(super) fn started(files: &Files) -> BTreeSet<String> {
    let workflows = files.iter().filter(|(path, _)| path.as_str().starts_with(".github/workflows/"));
    workflows.filter_map(|(path, bytes)| startable(path.as_str(), &String::from_utf8_lossy(bytes))).collect()
}

/// The name of a workflow, if it can be started by `workflow_dispatch`. One without a name is called as its file is:
/// <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#name>
pub(in crate::cli) fn startable(path: &str, text: &str) -> Option<String> {
    const EVENT: &str = "workflow_dispatch";
    let workflow: Value = serde_yaml::from_str(text).ok()?;
    let on = &workflow["on"];
    let is_startable = on == EVENT
        || on.get(EVENT).is_some()
        || on.as_array().is_some_and(|events| events.iter().any(|event| event == EVENT));
    is_startable.then(|| workflow["name"].as_str().unwrap_or(path).to_owned())
}

/// The names of the workflows whose end wakes this one.
pub(in crate::cli) fn followed(text: &str) -> BTreeSet<String> {
    let workflow: Value = serde_yaml::from_str(text).unwrap_or_default();
    let names = workflow["on"]["workflow_run"]["workflows"].as_array();
    names.into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
}

/// How the line of the acting workflow begins that says whose end wakes it.
const FOLLOWS: &str = "    workflows: [chandlery wake";

/// The acting workflow, which the end of these wakes, too; none where it is not known where it says so.
pub(super) fn with_followed(text: &str, names: &BTreeSet<String>) -> Option<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let line = lines.iter_mut().find(|line| listed(line).is_some())?;
    let mut all = listed(line)?;
    all.extend(names.iter().filter(|name| !all.contains(name)).cloned().collect::<Vec<_>>());
    let more = all.iter().map(|name| format!(", {}", Value::from(name.as_str())));
    *line = format!("{FOLLOWS}{}]", more.collect::<String>());
    Some(lines.join("\n") + "\n")
}

/// The acting workflow as it was before it followed others. Their end wakes it, and gives nothing away.
pub(in crate::cli) fn without_followed(text: &str) -> String {
    let line = |line: &str| match listed(line.trim_end_matches('\n')) {
        Some(_) => format!("{FOLLOWS}]\n"),
        None => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect()
}

/// The names that such a line adds.
fn listed(line: &str) -> Option<Vec<String>> {
    let more = line.strip_prefix(FOLLOWS)?.strip_suffix(']')?;
    let names: Vec<String> = serde_json::from_str(&format!("[\"\"{more}]")).ok()?;
    Some(names.into_iter().skip(1).collect())
}

/// What a file would be if it were written now; none if it is not one of ours.
pub(in crate::cli) fn expected(path: &str, words: &Words) -> Option<String> {
    let file = SETUP.get_file(path)?;
    Some(fill(file.contents_utf8()?, words))
}

/// How the variables of secrets that steps use begin, and the secrets of the forge that they are taken from.
const SECRET: &str = "CHANDLERY_SECRET_";

/// The acting workflow, which hands these secrets on, too; none where it is not known where it does so.
pub(super) fn with_secrets(text: &str, names: &BTreeSet<String>) -> Option<String> {
    let key = "CHANDLERY_APP_KEY: ${{ secrets.CHANDLERY_APP_KEY }}";
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = lines.iter().position(|line| line.trim() == key)?;
    let indent = lines[at].len() - lines[at].trim_start().len();
    let mut next = at + 1;
    while lines.get(next).is_some_and(|line| is_secret(line)) {
        next += 1;
    }
    for name in names.iter().rev() {
        let line = format!("{:indent$}{SECRET}{name}: ${{{{ secrets.{SECRET}{name} }}}}", "");
        if !lines[at..next].contains(&line) {
            lines.insert(next, line);
        }
    }
    Some(lines.join("\n") + "\n")
}

/// The acting workflow as it was before it handed secrets on. A secret is handed on by its own name only, so that no line
/// gives away the App's key.
pub(in crate::cli) fn without_secrets(text: &str) -> String {
    text.split_inclusive('\n').filter(|line| !is_secret(line)).collect()
}

fn is_secret(line: &str) -> bool {
    let Some((variable, value)) = line.trim().split_once(": ") else { return false };
    let name = variable.strip_prefix(SECRET).unwrap_or_default();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name && value == format!("${{{{ secrets.{variable} }}}}")
}

pub(super) fn filled(
    folder: &'static Dir<'static>,
    words: &Words,
) -> anyhow::Result<BTreeMap<RepoPath, String>> {
    Ok(texts(folder)?.into_iter().map(|(path, text)| (path, fill(&text, words))).collect())
}

/// Every word was checked when it was read: none can end a line, a quote or an expression.
fn fill(text: &str, words: &Words) -> String {
    let Words { repository, owners, app, branch, release, folders } = words;
    let Release { action, version, sha256 } = release;
    [
        ("%OWNER%", repository.owner()),
        ("%REPOSITORY%", &repository.to_string()),
        ("%OWNERS%", owners),
        ("%APP%", app),
        ("%BRANCH%", branch),
        ("%ACTION%", &action.repository.to_string()),
        ("%COMMIT%", &action.commit),
        ("%VERSION%", version),
        ("%SHA256%", sha256),
        ("%BLUEPRINTS%", folders.blueprints.as_str()),
        ("%ACTIONS%", folders.actions.as_str()),
        ("%TEMPLATES%", folders.templates.as_str()),
        ("%SCORECARDS%", folders.scorecards.as_str()),
        ("%POLICIES%", folders.policies.as_str()),
        ("%ENTITIES%", folders.entities.as_str()),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (place, word)| text.replace(place, word))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The name of a workflow, in one line.
pub(super) fn read_workflow(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err("a workflow is named as the key `name` in its file says, in one line".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn read_action(text: &str) -> Result<Action, String> {
    text.parse()
}

pub(super) fn read_sha256(text: &str) -> Result<String, String> {
    if text.len() == 64 && is_hex(text) {
        return Ok(text.to_owned());
    }
    Err("a SHA-256 has 64 digits, 0 to 9 and a to f".to_owned())
}

pub(super) fn read_name(text: &str) -> Result<String, String> {
    let plain = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if plain && !text.is_empty() {
        return Ok(text.to_owned());
    }
    Err("an App is named as in its address on GitHub: small letters, digits and -".to_owned())
}

pub(super) fn read_owners(text: &str) -> Result<String, String> {
    let is_owner = |owner: &str| {
        owner.strip_prefix('@').is_some_and(|name| {
            !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | '.'))
        })
    };
    if !text.is_empty() && text.split(' ').all(is_owner) {
        return Ok(text.to_owned());
    }
    Err("owners are named @LOGIN or @OWNER/TEAM, with a space between two".to_owned())
}

pub(super) fn read_branch(text: &str) -> Result<String, String> {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | '.'));
    if plain && !text.is_empty() && !text.starts_with('-') && !text.contains("..") {
        return Ok(text.to_owned());
    }
    Err("the branch is named with letters, digits, - _ . and /".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        Words {
            repository: "acme/catalog".parse().unwrap(),
            owners: "@acme/platform".to_owned(),
            app: "acme-chandlery".to_owned(),
            branch: "main".to_owned(),
            folders: Folders::default(),
            release: Release::from_options(
                Some("acme/chandlery@0123456789abcdef0123456789abcdef01234567".parse().unwrap()),
                Some("ab".repeat(32)),
            ),
        }
    }

    #[test]
    fn every_place_is_filled() {
        let words = words();
        let mut files = of_catalog(&words).unwrap();
        files.extend(of_target(&words, &BTreeSet::new()).unwrap());
        let place = regex::Regex::new("%[A-Z0-9]+%").unwrap();
        for (path, text) in files {
            let left = place.find(&text).map(|found| found.as_str().to_owned());
            assert_eq!(left, None, "{path}");
        }
    }

    #[test]
    fn a_workflow_tells_which_release_it_runs() {
        let words = words();
        let text = expected(ACTING, &words).unwrap();
        assert_eq!(Release::of_workflow(&text), Some(words.release));
        assert_eq!(Release::of_workflow(&text.replace("sha256: ab", "sha256: $(id)")), None);
    }

    #[test]
    fn secrets_of_steps_are_handed_on_and_nothing_else() {
        let text = expected(ACTING, &words()).unwrap();
        let names: BTreeSet<String> = ["B".to_owned(), "A_1".to_owned()].into();
        let with = with_secrets(&text, &names).unwrap();
        let line = "          CHANDLERY_SECRET_A_1: ${{ secrets.CHANDLERY_SECRET_A_1 }}\n";
        assert!(with.contains(line) && with.lines().count() == text.lines().count() + 2, "{with}");
        assert_eq!(with_secrets(&with, &names).unwrap(), with);
        let more = with_secrets(&with, &["C".to_owned()].into()).unwrap();
        assert!(more.contains(line) && more.contains("_C }}") && more.contains("_B }}"), "{more}");
        assert_eq!(without_secrets(&more), text);
        let given_away = text + "          CHANDLERY_SECRET_X: ${{ secrets.CHANDLERY_APP_KEY }}\n";
        assert_eq!(without_secrets(&given_away), given_away);
        assert_eq!(with_secrets("on: push\n", &names), None);
    }

    #[test]
    fn the_acting_workflow_follows_others_and_is_otherwise_as_it_was() {
        let text = expected(ACTING, &words()).unwrap();
        let names: BTreeSet<String> = ["apply".to_owned(), "say \"done\": #1".to_owned()].into();
        let with = with_followed(&text, &names).unwrap();
        let told: BTreeSet<String> = followed(&with);
        assert_eq!(told, ["apply", "chandlery wake", "say \"done\": #1"].map(str::to_owned).into());
        assert_eq!(with_followed(&with, &names).as_ref(), Some(&with));
        assert_eq!(without_followed(&with), text);
        let other = text.replace("[chandlery wake]", "[chandlery wake, \"a\"], branches: [x]");
        assert_eq!(without_followed(&other), other);
        assert_eq!(with_followed("on: push\n", &names), None);
    }

    #[test]
    fn what_can_be_started_has_a_name() {
        for (text, name) in [
            ("name: apply\non:\n  workflow_dispatch:\n", Some("apply")),
            ("name: apply\non: [push, workflow_dispatch]\n", Some("apply")),
            ("on: workflow_dispatch\n", Some("a.yml")),
            ("name: apply\non: push\n", None),
            ("name: [\n", None),
        ] {
            assert_eq!(startable("a.yml", text).as_deref(), name, "{text}");
        }
    }

    #[test]
    fn words_cannot_break_out() {
        for bad in ["a/b@main", "a/b@0123", "a b/c@0123456789abcdef0123456789abcdef01234567"] {
            assert!(read_action(bad).is_err(), "{bad}");
        }
        for bad in ["x'", "", "A B", "a\nb"] {
            assert!(read_name(bad).is_err(), "{bad}");
        }
        for bad in ["platform", "@a\n@b", "@a  @b"] {
            assert!(read_owners(bad).is_err(), "{bad}");
        }
        for bad in ["main]", "a..b", "-x", "a\"b"] {
            assert!(read_branch(bad).is_err(), "{bad}");
        }
    }
}
