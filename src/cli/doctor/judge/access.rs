//! Are we let in where we must be, with what we need and no more?

use super::{Finding, Judgement, content::follow_options};
use crate::{
    cli::{
        app::PERMISSIONS,
        doctor::look::{Facts, Known, Target},
    },
    domain::RepoName,
    forge::setup::Installation,
};

/// How a permission begins that is needed in some catalogs only.
const OPTIONAL: &str = "optional";
/// How far clocks may differ, in seconds: what GitHub forgives.
const SKEW: i64 = 60;

pub(super) fn judge(facts: &Facts, judged: &mut Judgement) {
    let catalog = &facts.catalog;
    if facts.ahead.abs() > SKEW {
        let (seconds, word) = (facts.ahead.abs(), if facts.ahead > 0 { "behind" } else { "ahead of" });
        judged.add(
            Finding::error(
                "clock-off",
                "this machine",
                format!("its clock is {seconds} seconds {word} the forge's"),
            )
            .cure("set the machine's clock by the network (NTP): times in records, and certificates, depend on it"),
        );
    }
    version(facts, judged);
    match (&facts.known, facts.app_id) {
        (Known::No(words), Some(id)) => judged.add(
            Finding::error("key-refused", format!("App {id}"), format!("the forge does not take its key: {words}")).cure(
                "compare the App ID on the App's page (Settings, Developer settings, GitHub Apps) with CHANDLERY_APP_ID, and make \
                 a new private key there if the old one is lost; give the whole file",
            ),
        ),
        (Known::No(words), None) => judged.add(
            Finding::error("token-refused", "the token", format!("the forge does not take it: {words}"))
                .cure("make a new one (your picture, Settings, Developer settings, Personal access tokens), or act as the App"),
        ),
        (Known::Yes, None) => judged.add(
            Finding::warning(
                "not-an-app",
                "the token",
                "Chandlery acts with a plain token: it reaches all that its owner does, and cannot make the check that is required",
            )
            .cure("create the App: `chandlery app manifest` prints the link; then give CHANDLERY_APP_ID and CHANDLERY_APP_KEY"),
        ),
        (Known::Yes, Some(_)) => app(facts, judged),
    }
    match &facts.repository {
        Ok(None) => judged.add(
            Finding::error(
                "catalog-missing",
                catalog,
                "the repository does not exist, or it cannot be seen with the rights at hand",
            )
            .cure("look whether --repository is written right; let the App, or the token's owner, in"),
        ),
        Ok(Some(repository)) if repository.is_archived => judged.add(
            Finding::error(
                "catalog-archived",
                catalog,
                "the catalog is archived: nothing can be asked any more",
            )
            .cure(format!("in {catalog}: Settings, General, Danger Zone: Unarchive this repository")),
        ),
        _ => {}
    }
    if facts.app_id.is_none() && matches!(&facts.ours, Ok(Some(ours)) if !ours.may_push) {
        judged.add(
            Finding::error("catalog-read-only", catalog, "the token may not write to the catalog")
                .cure(format!("in {catalog}: Settings, Collaborators and teams: give its owner the role Write, or act as the App")),
        );
    }
    if let Some(top) = &facts.shallow {
        judged.add(
            Finding::warning(
                "shallow-clone",
                top.display(),
                "this clone's history was cut off, so older commits and forms cannot be read here",
            )
            .cure("run `git fetch --unshallow`; in a workflow give actions/checkout `fetch-depth: 0`"),
        );
    }
}

fn version(facts: &Facts, judged: &mut Judgement) {
    let Some(version) = &facts.version else { return };
    let mut numbers = version.split('.').map(|part| part.parse::<u64>().unwrap_or(0));
    let number = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let mut lost = vec!["it signs no commits of Apps, so they show as unverified"];
    if number < (3, 20) {
        lost.push(
            "`pull_request_target` takes the workflow from the pull request's base branch, so that only the environment's limit \
             to the default branch keeps the App's key from people's own branches",
        );
    }
    if number < (3, 11) {
        lost.push("it has no rulesets, so nothing keeps unapproved requests out: they are refused only after the merge");
    }
    let what = format!("this is GitHub Enterprise Server {version}: {}", lost.join("; "));
    judged.add(
        Finding::warning("forge-version", "the forge", what)
            .cure("nothing must be done; docs/doctor.md has the table of what falls away, and from which version on it does not"),
    );
}

fn app(facts: &Facts, judged: &mut Judgement) {
    let catalog = &facts.catalog;
    let Some(Some(app)) = judged.seen("the App", &facts.app) else { return };
    let page = format!("Settings, Developer settings, GitHub Apps, {}, Permissions & events", app.slug);
    for (name, word) in &app.permissions {
        let needed =
            PERMISSIONS.iter().find(|(known, ..)| known == name).map_or(0, |(_, word, _)| level(word));
        if level(word) > needed {
            judged.add(
                Finding::warning(
                    "permission-unneeded",
                    format!("App {}", app.slug),
                    format!("it has the permission `{name}: {word}`, which Chandlery never uses"),
                )
                .cure(format!(
                    "{page}: set `{name}` to {}",
                    if needed == 1 { "Read-only" } else { "No access" }
                )),
            );
        }
    }
    match judged.seen("the App's installation", &facts.installation) {
        None => {}
        // Where there is nothing, nothing can be installed.
        Some(None) if matches!(facts.repository, Ok(None)) => {}
        Some(None) => judged.add(
            Finding::error(
                "app-not-installed",
                catalog,
                format!("the App `{}` is not installed there, or there is no such repository", app.slug),
            )
            .cure(format!(
                "Settings, Developer settings, GitHub Apps, {}, Install App: choose {} and, under Repository access, {catalog} and its \
                 targets",
                app.slug,
                catalog.owner()
            )),
        ),
        Some(Some(Installation { is_suspended: true, .. })) => judged.add(
            Finding::error("installation-suspended", catalog, format!("the installation of the App `{}` is suspended", app.slug))
                .cure(format!(
                    "Settings of {}, Third-party Access, GitHub Apps, {}, Configure: Unsuspend",
                    catalog.owner(),
                    app.slug
                )),
        ),
        Some(Some(installation)) => {
            let has_queue = facts.rules.as_ref().is_ok_and(|rules| rules.iter().any(|rule| rule.kind == "merge_queue"));
            let optional = [("merge_queues", has_queue), ("actions", !facts.started.is_empty())];
            let needed: Vec<&str> = optional.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
            for (name, why) in lacking(installation, &needed) {
                let asked = app.permissions.get(name).map_or(0, |word| level(word));
                let needed = level(wanted(name));
                let cure = if asked >= needed {
                    format!(
                        "the App asks for it already: in the settings of {}, GitHub Apps, {}, accept the new permissions",
                        catalog.owner(),
                        app.slug
                    )
                } else {
                    format!("{page}: set `{name}` to {}; then accept it where the App is installed", role(needed))
                };
                judged.add(
                    Finding::error(
                        "permission-missing",
                        format!("App {}", app.slug),
                        format!("it lacks the permission `{name}: {}` ({why})", wanted(name)),
                    )
                    .cure(cure),
                );
            }
        }
    }
}

fn level(word: &str) -> u8 {
    match word {
        "read" => 1,
        "write" => 2,
        "admin" => 3,
        _ => 0,
    }
}

fn role(level: u8) -> &'static str {
    if level > 1 { "Read and write" } else { "Read-only" }
}

fn wanted(name: &str) -> &'static str {
    PERMISSIONS.iter().find(|(known, ..)| *known == name).map_or("", |(_, word, _)| word)
}

/// Whether files in `.github/workflows` would be refused.
pub(super) fn lacks_workflows(installation: &Installation) -> bool {
    installation.permissions.get("workflows").map_or(0, |has| level(has)) < 2
}

/// What an installation does not allow and must; `needed` are those of the optional permissions that are.
fn lacking(installation: &Installation, needed: &[&str]) -> Vec<(&'static str, &'static str)> {
    PERMISSIONS
        .iter()
        .filter(|(name, _, why)| match *name {
            "metadata" => false,
            "members" => installation.of_organisation,
            name => needed.contains(&name) || !why.starts_with(OPTIONAL),
        })
        .filter(|(name, word, _)| {
            installation.permissions.get(*name).map_or(0, |has| level(has)) < level(word)
        })
        .map(|(name, _, why)| (*name, *why))
        .collect()
}

/// The repositories that requests may change.
pub(super) fn targets(facts: &Facts, judged: &mut Judgement) {
    for (name, target) in &facts.targets {
        if facts.app_id.is_some() {
            if !installed(facts, name, target, judged) {
                continue;
            }
        } else {
            match judged.seen(&name.to_string(), &target.ours) {
                None => continue,
                Some(None) => {
                    judged.add(
                        Finding::error(
                            "target-missing",
                            name,
                            "this target does not exist, or the token may not see it",
                        )
                        .cure(
                            "write it right in `repositories` of chandlery.yaml, or let the token's owner in",
                        ),
                    );
                    continue;
                }
                Some(Some(ours)) if !ours.may_push => {
                    judged.add(read_only(name, "the token may not write to this target"));
                }
                Some(Some(_)) => {}
            }
        }
        if matches!(&target.ours, Ok(Some(ours)) if ours.is_archived) {
            judged.add(
                Finding::error("target-archived", name, "this target is archived: no follow-up can be opened").cure(format!(
                    "in {name}: Settings, General, Danger Zone: Unarchive; or take it out of `repositories` in chandlery.yaml"
                )),
            );
        }
        if judged.seen(&format!("workflows of {name}"), &target.wake) == Some(&None) {
            judged.add(
                Finding::warning(
                    "target-without-wake",
                    name,
                    "nothing tells the catalog when a follow-up is merged there, so requests wait for the next hourly run",
                )
                .cure(format!("in a clone of {name}: `chandlery init . --repository {} --target {name}{}`", facts.catalog, follow_options(facts, name))),
            );
        }
    }
}

/// Whether the App reaches a target at all.
fn installed(facts: &Facts, name: &RepoName, target: &Target, judged: &mut Judgement) -> bool {
    if facts.known != Known::Yes {
        return false;
    }
    match judged.seen(&format!("the App's installation on {name}"), &target.installation) {
        None => false,
        Some(None) => {
            judged.add(
                Finding::error("target-not-installed", name, "this target does not exist, or the App is not installed on it").cure(
                    format!(
                        "Settings of {}, Third-party Access, GitHub Apps, Configure: add {name} under Repository access; or take it \
                         out of `repositories` in chandlery.yaml",
                        name.owner()
                    ),
                ),
            );
            false
        }
        Some(Some(installation)) => {
            // What the catalog's own installation lacks was said there.
            if name.owner() != facts.catalog.owner() {
                let starts = facts.started.keys().any(|(repository, _)| repository == name);
                let needed: &[&str] = if starts { &["actions"] } else { &[] };
                let missing: Vec<&str> = lacking(installation, needed)
                    .into_iter()
                    .map(|(name, _)| name)
                    .filter(|name| ["contents", "pull_requests", "checks", "actions"].contains(name))
                    .collect();
                if installation.is_suspended || missing.iter().any(|name| *name != "actions") {
                    judged.add(read_only(
                        name,
                        "the App's installation there does not allow it to open follow-ups",
                    ));
                } else if !missing.is_empty() {
                    let what = "the App's installation there does not allow it to start workflows (`actions: write`)";
                    judged.add(read_only(name, what));
                }
            }
            true
        }
    }
}

fn read_only(name: &RepoName, what: &str) -> Finding {
    Finding::error("target-read-only", name, what).cure(format!(
        "in {name}: Settings, Collaborators and teams: give the role Write; an App needs its owner's consent to its permissions \
         (Settings of {}, GitHub Apps, Configure)",
        name.owner()
    ))
}
