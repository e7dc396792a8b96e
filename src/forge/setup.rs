//! What has been set up on the forge for Chandlery, and what of it can be put right?
//!
//! For `chandlery doctor` alone: a pass never asks for any of this.

use std::collections::{BTreeMap, BTreeSet};

use hyper::Method;
use serde_json::{Value, json};

use super::{
    client::{ForgeError, Reader, Writer, encode},
    reply::Reply,
};
use crate::domain::{ObjectId, RepoName, Timestamp};

/// The forge itself.
#[derive(Debug, Clone)]
pub struct Server {
    /// The version of a GitHub Enterprise Server; none for github.com.
    pub version: Option<String>,
    /// Its clock.
    pub now: Timestamp,
}

/// The App that we are.
#[derive(Debug, Clone)]
pub struct App {
    /// The part of its address that names it.
    pub slug: String,
    /// What it asks for: `contents` to `write` and so on.
    pub permissions: BTreeMap<String, String>,
}

/// Where the App was let in.
#[derive(Debug, Clone)]
pub struct Installation {
    /// What its owner agreed to.
    pub permissions: BTreeMap<String, String>,
    /// Whether the owner has put it to rest.
    pub is_suspended: bool,
    /// Whether an organisation owns it.
    pub of_organisation: bool,
}

/// A repository and its settings.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "they are GitHub's own, and each is looked at alone")]
pub struct Repository {
    /// Its default branch.
    pub default_branch: String,
    /// Whether it takes no changes any more.
    pub is_archived: bool,
    /// Whether it takes issues.
    pub has_issues: bool,
    /// Whether whoever asked may push.
    pub may_push: bool,
    /// Whether whoever asked administers it.
    pub may_administer: bool,
    /// `merge`, `squash`, `rebase`; none where it is not told.
    pub merge_methods: Option<BTreeSet<String>>,
}

/// Rules for some branches.
#[derive(Debug, Clone)]
pub struct Ruleset {
    /// Its number.
    pub id: u64,
    /// What people call it.
    pub name: String,
    /// Whether it is the repository's own, and not its organisation's.
    pub is_own: bool,
    /// Whether it binds anybody.
    pub is_active: bool,
    /// What it is made of; the rest is not needed.
    pub rules: Vec<Value>,
    /// The Apps that it lets by always; none where that is not told.
    pub lets_by: Option<BTreeSet<u64>>,
    /// Whether it lets by whoever asked, as far as told.
    pub lets_us_by: Option<bool>,
}

/// A rule that binds a branch.
#[derive(Debug, Clone)]
pub struct Rule {
    /// `pull_request` and so on.
    pub kind: String,
    /// What more it says.
    pub parameters: Value,
    /// The ruleset that it comes from.
    pub ruleset: u64,
    /// Whose that is.
    pub source: String,
}

/// Which branches may use an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Branches {
    /// All of them.
    All,
    /// Those that are protected in any way.
    Protected,
    /// Those that fit a pattern.
    Named(BTreeSet<String>),
}

/// Names of secrets.
pub type Names = BTreeSet<String>;

/// The answer, or none when there is nothing.
fn there(reply: Reply) -> Result<Option<Value>, ForgeError> {
    if reply.status == 404 {
        return Ok(None);
    }
    reply.success()?.json().map(Some)
}

fn words(value: &Value) -> BTreeMap<String, String> {
    let fields = value.as_object().into_iter().flatten();
    fields.filter_map(|(name, word)| Some((name.clone(), word.as_str()?.to_owned()))).collect()
}

fn names(list: &Value) -> Names {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(|item| item["name"].as_str().map(str::to_owned)).collect()
}

impl Reader {
    /// The forge itself; asked as nobody.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn server(&self) -> Result<Server, ForgeError> {
        let reply = self.as_nobody("/meta").await?;
        let now = self.tally().now.ok_or_else(|| reply.strange("it does not tell the time"))?;
        let version =
            reply.json().ok().and_then(|meta| meta["installed_version"].as_str().map(str::to_owned));
        Ok(Server { version, now })
    }

    /// The App that we are; none when we have a plain token.
    ///
    /// # Errors
    /// When the forge does not know us.
    pub async fn app(&self) -> Result<Option<App>, ForgeError> {
        let Some(reply) = self.as_app("/app").await? else {
            return Ok(None);
        };
        let app = reply.success()?.json()?;
        let slug = app["slug"].as_str().unwrap_or_default().to_owned();
        Ok(Some(App { slug, permissions: words(&app["permissions"]) }))
    }

    /// Where the App was let in to reach a repository; none when it was not.
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn installation(&self, name: &RepoName) -> Result<Option<Installation>, ForgeError> {
        let Some(reply) = self.as_app(&format!("/repos/{name}/installation")).await? else {
            return Ok(None);
        };
        Ok(there(reply)?.map(|found| Installation {
            permissions: words(&found["permissions"]),
            is_suspended: !found["suspended_at"].is_null(),
            of_organisation: found["target_type"] == "Organization",
        }))
    }

    /// A repository; none when there is none, or we may not see it.
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn repository(&self, name: &RepoName) -> Result<Option<Repository>, ForgeError> {
        let found = there(self.get(name, &format!("/repos/{name}")).await?)?;
        Ok(found.map(|found| {
            let allows = [
                ("allow_merge_commit", "merge"),
                ("allow_squash_merge", "squash"),
                ("allow_rebase_merge", "rebase"),
            ];
            let told = allows.iter().all(|(field, _)| found[field].is_boolean());
            let allowed =
                || allows.iter().filter(|(field, _)| found[field] == true).map(|(_, way)| (*way).to_owned());
            Repository {
                default_branch: found["default_branch"].as_str().unwrap_or_default().to_owned(),
                is_archived: found["archived"] == true,
                has_issues: found["has_issues"] == true,
                may_push: found["permissions"]["push"] == true,
                may_administer: found["permissions"]["admin"] == true,
                merge_methods: told.then(|| allowed().collect()),
            }
        }))
    }

    /// Where a branch points; none when there is no such branch.
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn tip(&self, name: &RepoName, branch: &str) -> Result<Option<ObjectId>, ForgeError> {
        let reply = self.get(name, &format!("/repos/{name}/git/ref/heads/{branch}")).await?;
        // An empty repository answers 409.
        if reply.status == 409 {
            return Ok(None);
        }
        let strange = reply.strange("it names no commit");
        match there(reply)? {
            None => Ok(None),
            Some(found) => {
                found["object"]["sha"].as_str().and_then(|id| id.parse().ok()).map(Some).ok_or(strange)
            }
        }
    }

    /// What a file on the default branch says, if it is there.
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn text(&self, name: &RepoName, path: &str) -> Result<Option<String>, ForgeError> {
        let reply = self.get(name, &format!("/repos/{name}/contents/{path}")).await?;
        if reply.status == 404 {
            return Ok(None);
        }
        Ok(Some(String::from_utf8_lossy(&reply.success()?.content()?).into_owned()))
    }

    /// The names of a repository's labels.
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn labels(&self, name: &RepoName) -> Result<Names, ForgeError> {
        let found = self.pages(name, &format!("/repos/{name}/labels?per_page=100")).await?;
        Ok(found.iter().filter_map(|label| label["name"].as_str()).map(str::to_owned).collect())
    }

    /// Every ruleset of a repository, in whole, that of its organisation too.
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn rulesets(&self, name: &RepoName) -> Result<Vec<Ruleset>, ForgeError> {
        let mut found = Vec::new();
        for known in self.pages(name, &format!("/repos/{name}/rulesets?per_page=100")).await? {
            found.extend(self.ruleset(name, known["id"].as_u64().unwrap_or_default()).await?);
        }
        Ok(found)
    }

    /// A ruleset that binds a repository; none where we may not see it.
    pub(super) async fn ruleset(&self, name: &RepoName, id: u64) -> Result<Option<Ruleset>, ForgeError> {
        let whole = there(self.get(name, &format!("/repos/{name}/rulesets/{id}")).await?)?;
        Ok(whole.as_ref().map(read_ruleset))
    }

    /// The rules that bind a branch, or would if it were made.
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn rules(&self, name: &RepoName, branch: &str) -> Result<Vec<Rule>, ForgeError> {
        let path = format!("/repos/{name}/rules/branches/{}?per_page=100", encode(branch));
        Ok(self.pages(name, &path).await?.iter().map(read_rule).collect())
    }

    /// Whether a branch has a protection rule of the older kind.
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn has_protection(&self, name: &RepoName, branch: &str) -> Result<bool, ForgeError> {
        Ok(there(self.get(name, &format!("/repos/{name}/branches/{}/protection", encode(branch))).await?)?
            .is_some())
    }

    /// Who may use an environment; none when there is no such environment.
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn environment(
        &self,
        name: &RepoName,
        environment: &str,
    ) -> Result<Option<Branches>, ForgeError> {
        let path = format!("/repos/{name}/environments/{environment}");
        let Some(found) = there(self.get(name, &path).await?)? else {
            return Ok(None);
        };
        let policy = &found["deployment_branch_policy"];
        if policy.is_null() {
            return Ok(Some(Branches::All));
        }
        if policy["custom_branch_policies"] != true {
            return Ok(Some(Branches::Protected));
        }
        let listed =
            self.get(name, &format!("{path}/deployment-branch-policies?per_page=100")).await?.success()?;
        Ok(Some(Branches::Named(names(&listed.json()?["branch_policies"]))))
    }

    /// A variable of an environment; none when it is not set.
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn variable(
        &self,
        name: &RepoName,
        environment: &str,
        variable: &str,
    ) -> Result<Option<String>, ForgeError> {
        let path = format!("/repos/{name}/environments/{environment}/variables/{variable}");
        let found = there(self.get(name, &path).await?)?;
        Ok(found.and_then(|found| found["value"].as_str().map(str::to_owned)))
    }

    /// The names of an environment's secrets.
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn secrets(&self, name: &RepoName, environment: &str) -> Result<Names, ForgeError> {
        self.secrets_at(name, &format!("environments/{environment}/secrets")).await
    }

    /// The names of the secrets that every workflow of a repository may read, its own and its organisation's.
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn open_secrets(&self, name: &RepoName) -> Result<Names, ForgeError> {
        let mut found = self.secrets_at(name, "actions/secrets").await?;
        // A person's repository has no organisation above it.
        let above =
            self.get(name, &format!("/repos/{name}/actions/organization-secrets?per_page=100")).await?;
        found.extend(there(above)?.map(|above| names(&above["secrets"])).unwrap_or_default());
        Ok(found)
    }

    async fn secrets_at(&self, name: &RepoName, below: &str) -> Result<Names, ForgeError> {
        let found = self.get(name, &format!("/repos/{name}/{below}?per_page=100")).await?;
        Ok(names(&found.success()?.json()?["secrets"]))
    }

    /// Whether a repository runs workflows.
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn runs_workflows(&self, name: &RepoName) -> Result<bool, ForgeError> {
        let found = self.get(name, &format!("/repos/{name}/actions/permissions")).await?.success()?;
        Ok(found.json()?["enabled"] == true)
    }

    /// The workflows that are switched off, by path.
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn disabled_workflows(&self, name: &RepoName) -> Result<BTreeSet<String>, ForgeError> {
        let found = self.get(name, &format!("/repos/{name}/actions/workflows?per_page=100")).await?;
        let found = found.success()?.json()?;
        let all = found["workflows"].as_array().into_iter().flatten();
        let off = all.filter(|one| one["state"].as_str().is_some_and(|state| state.starts_with("disabled")));
        Ok(off.filter_map(|one| one["path"].as_str().map(str::to_owned)).collect())
    }

    /// Whether a workflow is switched on: `active`, `disabled_manually` and so on; none where the forge does not know it.
    /// <https://docs.github.com/rest/actions/workflows#get-a-workflow>
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn workflow_state(&self, name: &RepoName, file: &str) -> Result<Option<String>, ForgeError> {
        let found =
            there(self.get(name, &format!("/repos/{name}/actions/workflows/{}", encode(file))).await?)?;
        Ok(found.and_then(|found| found["state"].as_str().map(str::to_owned)))
    }

    /// What the forge finds wrong with CODEOWNERS, in its words; none when there is no such file.
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn codeowners_errors(&self, name: &RepoName) -> Result<Option<Vec<String>>, ForgeError> {
        let found = there(self.get(name, &format!("/repos/{name}/codeowners/errors")).await?)?;
        Ok(found.map(|found| {
            let all = found["errors"].as_array().into_iter().flatten();
            // The message goes on with the line itself.
            let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
            all.filter_map(|one| one["message"].as_str().map(first)).collect()
        }))
    }
}

fn read_ruleset(whole: &Value) -> Ruleset {
    let always =
        |actor: &&Value| actor["actor_type"] == "Integration" && actor["bypass_mode"] != "pull_request";
    let actors = whole["bypass_actors"].as_array();
    Ruleset {
        id: whole["id"].as_u64().unwrap_or_default(),
        name: whole["name"].as_str().unwrap_or_default().to_owned(),
        is_own: whole["source_type"] == "Repository",
        is_active: whole["enforcement"] == "active",
        rules: whole["rules"].as_array().cloned().unwrap_or_default(),
        lets_by: actors
            .map(|actors| actors.iter().filter(always).filter_map(|a| a["actor_id"].as_u64()).collect()),
        lets_us_by: whole["current_user_can_bypass"].as_str().map(|word| matches!(word, "always" | "exempt")),
    }
}

fn read_rule(rule: &Value) -> Rule {
    Rule {
        kind: rule["type"].as_str().unwrap_or_default().to_owned(),
        parameters: rule["parameters"].clone(),
        ruleset: rule["ruleset_id"].as_u64().unwrap_or_default(),
        source: rule["ruleset_source"].as_str().unwrap_or_default().to_owned(),
    }
}

impl Writer {
    async fn done(
        &self,
        on: &RepoName,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<Value, ForgeError> {
        let reply = self.send(on, method, path, &body).await?.success()?;
        Ok(reply.json().unwrap_or_default())
    }

    /// Makes a ruleset, or replaces the one with this number.
    ///
    /// # Errors
    /// When the forge refuses.
    pub async fn set_ruleset(
        &self,
        on: &RepoName,
        id: Option<u64>,
        ruleset: Value,
    ) -> Result<(), ForgeError> {
        match id {
            Some(id) => self.done(on, Method::PUT, &format!("/rulesets/{id}"), ruleset).await.map(drop),
            None => self.done(on, Method::POST, "/rulesets", ruleset).await.map(drop),
        }
    }

    /// Lets one branch use an environment and no other; makes the environment where there is none.
    ///
    /// # Errors
    /// When the forge refuses.
    pub async fn limit_environment(
        &self,
        on: &RepoName,
        environment: &str,
        branch: &str,
        known: Option<&Branches>,
    ) -> Result<(), ForgeError> {
        let path = format!("/environments/{environment}");
        if !matches!(known, Some(Branches::Named(_))) {
            let policy = json!({ "protected_branches": false, "custom_branch_policies": true });
            self.done(on, Method::PUT, &path, json!({ "deployment_branch_policy": policy })).await?;
        }
        let policies = format!("{path}/deployment-branch-policies");
        // A writer looks only at what it is about to change.
        let listed = self.look(on, &format!("{policies}?per_page=100")).await?.success()?.json()?;
        let mut is_named = false;
        for policy in listed["branch_policies"].as_array().into_iter().flatten() {
            if policy["name"] == branch {
                is_named = true;
                continue;
            }
            self.done(on, Method::DELETE, &format!("{policies}/{}", policy["id"]), Value::Null).await?;
        }
        if !is_named {
            self.done(on, Method::POST, &policies, json!({ "name": branch })).await?;
        }
        Ok(())
    }

    /// Sets a variable of an environment.
    ///
    /// # Errors
    /// When the forge refuses.
    pub async fn set_variable(
        &self,
        on: &RepoName,
        environment: &str,
        (name, value): (&str, &str),
        is_new: bool,
    ) -> Result<(), ForgeError> {
        let path = format!("/environments/{environment}/variables");
        let body = json!({ "name": name, "value": value });
        if is_new {
            return self.done(on, Method::POST, &path, body).await.map(drop);
        }
        self.done(on, Method::PATCH, &format!("{path}/{name}"), body).await.map(drop)
    }

    /// Makes a label.
    ///
    /// # Errors
    /// When the forge refuses.
    pub async fn make_label(
        &self,
        on: &RepoName,
        (name, color, description): (&str, &str, &str),
    ) -> Result<(), ForgeError> {
        let body = json!({ "name": name, "color": color, "description": description });
        self.done(on, Method::POST, "/labels", body).await.map(drop)
    }

    /// Switches a workflow on, named by its path.
    ///
    /// # Errors
    /// When the forge refuses.
    pub async fn enable_workflow(&self, on: &RepoName, path: &str) -> Result<(), ForgeError> {
        let file = encode(path.rsplit('/').next().unwrap_or(path));
        self.done(on, Method::PUT, &format!("/actions/workflows/{file}/enable"), Value::Null).await.map(drop)
    }

    /// Lets workflows run.
    ///
    /// # Errors
    /// When the forge refuses.
    pub async fn enable_actions(&self, on: &RepoName) -> Result<(), ForgeError> {
        self.done(on, Method::PUT, "/actions/permissions", json!({ "enabled": true })).await.map(drop)
    }

    /// Changes settings of the repository itself.
    ///
    /// # Errors
    /// When the forge refuses.
    pub async fn set_repository(&self, on: &RepoName, settings: Value) -> Result<(), ForgeError> {
        self.done(on, Method::PATCH, "", settings).await.map(drop)
    }
}
