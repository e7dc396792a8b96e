//! What happens in the story? Four requests, from their asking to their end. Whoever tells it
//! expects something at every turn; what goes otherwise ends it, and says where.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::{person::Person, tale};
use crate::{
    catalog::Definitions,
    domain::{ActionId, RequestId, Run, Stage},
    intake::issue_form,
    plan::reference,
    reconcile::{Hands, Stopped, drive},
};

/// The catalog's repository.
pub(super) const CATALOG: &str = "acme/catalog";
const INFRASTRUCTURE: &str = "acme/infrastructure";
const DEPLOYMENTS: &str = "acme/deployments";

/// What dan fills in, by the name of the input.
const ARCHIVE: [(&str, &str); 12] = [
    ("name", "invoice-archive"),
    ("provider", "aws"),
    ("stage", "production"),
    ("system", "billing"),
    ("team", "payments"),
    ("owner", "dan"),
    ("rootEmail", "cloud+invoice-archive@acme.example"),
    ("monthlyBudget", "400"),
    ("regions", "frankfurt, stockholm"),
    ("internetAccess", "No"),
    (
        "purpose",
        "Ten years of invoices, apart from everything else.\nThe auditors want \"read only\" access here.",
    ),
    ("reason", "The auditors come in February."),
];

/// What finn fills in, with three mistakes, and what he makes of them.
const TRYOUT: [(&str, &str); 11] = [
    ("name", "Basket-tryout"),
    ("provider", "gcp"),
    ("stage", "sandbox"),
    ("system", "chekout"),
    ("team", "storefront"),
    ("owner", "finn"),
    ("rootEmail", "cloud+basket-tryout@acme.example"),
    ("monthlyBudget", "40000"),
    ("regions", "dublin"),
    ("purpose", "To try the new basket where nobody buys anything."),
    ("reason", "The redesign needs a place."),
];
const MENDED: [(&str, &str); 3] =
    [("name", "basket-tryout"), ("system", "checkout"), ("monthlyBudget", "120")];

/// What became of one request.
pub(super) struct Outcome {
    pub(super) id: RequestId,
    pub(super) action: ActionId,
    pub(super) stage: Stage,
    /// Its own pull request first, then the follow-ups.
    pub(super) pulls: Vec<String>,
}

/// Everybody who takes part.
pub(super) struct Story<'a> {
    forge: &'a str,
    /// The catalog's repository on disk.
    catalog: &'a Path,
    definitions: &'a Definitions,
    people: BTreeMap<String, Person>,
    hands: Hands,
    /// How each request stood when Chandlery last looked.
    stages: BTreeMap<RequestId, Stage>,
    passes: usize,
}

impl<'a> Story<'a> {
    pub(super) fn new(
        forge: &'a str,
        catalog: &'a Path,
        definitions: &'a Definitions,
        people: BTreeMap<String, Person>,
        hands: Hands,
    ) -> Self {
        Self { forge, catalog, definitions, people, hands, stages: BTreeMap::new(), passes: 0 }
    }

    /// Tells all of it.
    pub(super) async fn tell(mut self) -> anyhow::Result<Vec<Outcome>> {
        let outcomes = vec![
            self.cloud_account().await.context("in chapter 1")?,
            self.replica_count().await.context("in chapter 2")?,
            self.mistakes().await.context("in chapter 3")?,
            self.round_the_rules().await.context("in chapter 4")?,
        ];
        self.afterwards(&outcomes).await.context("at the end")?;
        Ok(outcomes)
    }

    async fn cloud_account(&mut self) -> anyhow::Result<Outcome> {
        tale::chapter(1, "A cloud account, asked for with an issue form")?;
        let answers = ARCHIVE.into();
        let issue = self
            .files_form("dan", "An account for the invoice archive", "create-cloud-account", &answers)
            .await?;
        self.reconcile().await?;
        let id = self.request_of(issue)?;
        self.expect_stage(&id, Stage::WaitingForApproval)?;
        let pull = self.pull_from(CATALOG, &format!("chandlery/request/{}", id.slug())).await?;
        self.quotes(issue, &["This became"]).await?;
        let planned = ["**platform**", "**budget**", "pull request in", "is added to the catalog"];
        self.quotes(pull, &planned).await?;

        self.approves("bo", pull, "This is the Terraform that we would write.").await?;
        self.approves("hal", pull, "400 euro a month is in the budget.").await?;
        self.reconcile().await?;
        self.quotes(pull, &["**Now:** approved. Merge it"]).await?;
        self.merges("dan", CATALOG, pull).await?;
        let follow_up = self.is_carried_out(&id, "terraform", INFRASTRUCTURE, "bo").await?;

        self.expect_text(INFRASTRUCTURE, "accounts/invoice-archive.tf", "monthly_budget  = 400").await?;
        self.expect_text(CATALOG, "entities/cloud-account/invoice-archive.yaml", "monthlyBudget: 400")
            .await?;
        self.quotes(issue, &["### Done"]).await?;
        let state = self.get(&format!("{CATALOG}/issues/{issue}")).await?["state"].clone();
        expect(state == "closed", || format!("{} is {state} and not closed", reference_of(CATALOG, issue)))?;
        let pulls = vec![reference_of(CATALOG, pull), reference_of(INFRASTRUCTURE, follow_up)];
        self.ended(id, "create-cloud-account", Stage::Success, pulls).await
    }

    async fn replica_count(&mut self) -> anyhow::Result<Outcome> {
        tale::chapter(2, "More replicas, asked for by a pull request")?;
        let text = "action: change-replicas\nentity: checkout\ninputs:\n  replicas: 8\nreason: The spring sale begins on Monday.\n";
        let (id, pull) =
            self.opens("cleo", "spring-sale", "Run 8 of checkout for the spring sale", text).await?;
        self.reconcile().await?;
        self.expect_stage(&id, Stage::WaitingForApproval)?;
        self.quotes(
            pull,
            &["waits for somebody with write access", "pull request in", "changes in the catalog"],
        )
        .await?;

        self.approves("dan", pull, "The database can take it.").await?;
        self.reconcile().await?;
        self.merges("cleo", CATALOG, pull).await?;
        let follow_up = self.is_carried_out(&id, "scale", DEPLOYMENTS, "bo").await?;

        self.expect_text(DEPLOYMENTS, "apps/checkout.yaml", "replicas: 8").await?;
        self.expect_text(CATALOG, "entities/service/payments/checkout.yaml", "replicas: 8").await?;
        let pulls = vec![reference_of(CATALOG, pull), reference_of(DEPLOYMENTS, follow_up)];
        self.ended(id, "change-replicas", Stage::Success, pulls).await
    }

    async fn mistakes(&mut self) -> anyhow::Result<Outcome> {
        tale::chapter(3, "A form with mistakes, and the same form mended")?;
        let mut answers: BTreeMap<&str, &str> = TRYOUT.into();
        let issue = self
            .files_form("finn", "A place to try the new basket", "create-cloud-account", &answers)
            .await?;
        self.reconcile().await?;
        let id = self.request_of(issue)?;
        self.expect_stage(&id, Stage::Invalid)?;
        self.quotes(issue, &["**`Name`**", "Did you mean", "**`Monthly budget`**"]).await?;

        answers.extend(MENDED);
        let body = self.fill("create-cloud-account", &answers)?;
        let path = format!("{CATALOG}/issues/{issue}");
        self.person("finn")?.call("PATCH", &path, &json!({ "body": body })).await?;
        tale::does(
            "finn",
            &format!(
                "edits {}: another name, a system that is there, 120 euro",
                reference_of(CATALOG, issue)
            ),
        )?;
        self.reconcile().await?;
        self.expect_stage(&id, Stage::WaitingForApproval)?;
        let pull = self.pull_from(CATALOG, &format!("chandlery/request/{}", id.slug())).await?;
        self.quotes(issue, &["This became"]).await?;
        self.quotes(pull, &["**platform**", "**budget**"]).await?;
        tale::line("\n  It is left waiting: the next reviewer may be you.")?;
        self.outcome(id, "create-cloud-account", vec![reference_of(CATALOG, pull)])
    }

    async fn round_the_rules(&mut self) -> anyhow::Result<Outcome> {
        tale::chapter(4, "A request that is merged round its approvals")?;
        let text = "action: change-replicas\nentity: shipping-labels\ninputs:\n  replicas: 5\n";
        let (id, pull) = self.opens("gia", "more-labels", "Run 5 of shipping-labels", text).await?;
        self.reconcile().await?;
        self.expect_stage(&id, Stage::WaitingForApproval)?;
        let refused = self.merge("gia", CATALOG, pull).await;
        expect(refused.is_err(), || "gia could merge without an approval".to_owned())?;
        tale::does("gia", &format!("tries to merge {}; the forge says no", reference_of(CATALOG, pull)))?;
        tale::does("ada", "is an administrator, so for her it says yes")?;
        self.merges("ada", CATALOG, pull).await?;
        self.reconcile().await?;
        self.expect_stage(&id, Stage::Denied)?;
        self.quotes(pull, &["merged past the rules", "nothing more"]).await?;
        let follow_ups = self.pulls_from(DEPLOYMENTS, &format!("chandlery/{}-scale", id.slug())).await?;
        expect(follow_ups.is_empty(), || "a follow-up was opened for a request that was denied".to_owned())?;
        let manifest = self.text(DEPLOYMENTS, "apps/shipping-labels.yaml").await?;
        expect(!manifest.contains("replicas: 5"), || "a request that was denied was executed".to_owned())?;
        tale::line("      Nothing was executed; the record of it stays in the catalog.")?;
        self.ended(id, "change-replicas", Stage::Denied, vec![reference_of(CATALOG, pull)]).await
    }

    /// What a user would look at next.
    async fn afterwards(&mut self, outcomes: &[Outcome]) -> anyhow::Result<()> {
        tale::line("\nAfterwards")?;
        let acts = self.reconcile().await?;
        expect(acts == 0, || format!("there were {acts} acts left to do"))?;
        tale::line("      Nothing is left to do.\n")?;
        for outcome in outcomes {
            let Outcome { id, action, stage, pulls } = outcome;
            let (id, action, stage, pulls) = (id.as_str(), action.as_str(), stage.name(), pulls.join(", "));
            tale::line(&format!("  {id:<16} {action:<21} {stage:<21} {pulls}"))?;
        }
        let git = format!("git -C {}", self.catalog.display());
        tale::command(&format!("{git} log --oneline"))?;
        let commits = self.get(&format!("{CATALOG}/commits?per_page=12")).await?;
        for commit in commits.as_array().into_iter().flatten() {
            let subject = commit["commit"]["message"].as_str().and_then(|text| text.lines().next());
            let id = commit["sha"].as_str().and_then(|id| id.get(..7));
            tale::line(&format!("  {} {}", id.unwrap_or_default(), subject.unwrap_or_default()))?;
        }
        let Some(first) = outcomes.first() else { return Ok(()) };
        for path in
            ["entities/cloud-account/invoice-archive.yaml", &format!("requests/{}/run.yaml", first.id)]
        {
            tale::command(&format!("{git} show main:{path}"))?;
            for line in self.text(CATALOG, path).await?.lines() {
                tale::line(&format!("  {line}"))?;
            }
        }
        Ok(())
    }

    // --- what people do

    /// Fills in an issue form and files it.
    async fn files_form(
        &self,
        who: &str,
        title: &str,
        action: &str,
        answers: &BTreeMap<&str, &str>,
    ) -> anyhow::Result<u64> {
        let issue = json!({ "title": title, "body": self.fill(action, answers)? });
        let filed = self.person(who)?.call("POST", &format!("{CATALOG}/issues"), &issue).await?;
        let number = filed["number"].as_u64().context("an issue has no number")?;
        let title =
            self.definitions.actions.get(&action.parse()?).map_or(action, |action| &action.value.title);
        tale::does(who, &format!("fills in the form \"{title}\": {}", reference_of(CATALOG, number)))?;
        self.link(CATALOG, "issues", number)?;
        Ok(number)
    }

    /// What GitHub makes of a form that is filled in like this.
    fn fill(&self, action: &str, answers: &BTreeMap<&str, &str>) -> anyhow::Result<String> {
        let defined = self.definitions.actions.get(&action.parse()?);
        let action = &defined.with_context(|| format!("the example has no action `{action}`"))?.value;
        let answers = answers.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Ok(issue_form::fill(action, &answers))
    }

    /// Pushes a branch with a request and opens a pull request from it.
    async fn opens(
        &self,
        who: &str,
        name: &str,
        title: &str,
        text: &str,
    ) -> anyhow::Result<(RequestId, u64)> {
        let person = self.person(who)?;
        let path = format!("requests/{name}/request.yaml");
        person.pushes(CATALOG, name, &path, text, &format!("Ask: {title}")).await?;
        tale::does(who, &format!("clones {CATALOG}, writes {path}, and pushes the branch {name}"))?;
        let pull = json!({ "title": title, "head": name, "base": "main", "body": "" });
        let opened = person.call("POST", &format!("{CATALOG}/pulls"), &pull).await?;
        let number = opened["number"].as_u64().context("a pull request has no number")?;
        tale::does(who, &format!("opens {}: {title}", reference_of(CATALOG, number)))?;
        self.link(CATALOG, "pulls", number)?;
        Ok((name.parse()?, number))
    }

    async fn approves(&self, who: &str, pull: u64, words: &str) -> anyhow::Result<()> {
        let review = json!({ "event": "APPROVE", "body": words });
        self.person(who)?.call("POST", &format!("{CATALOG}/pulls/{pull}/reviews"), &review).await?;
        tale::does(who, &format!("approves {}: \"{words}\"", reference_of(CATALOG, pull)))
    }

    async fn merges(&self, who: &str, repository: &str, pull: u64) -> anyhow::Result<()> {
        self.merge(who, repository, pull).await?;
        tale::does(who, &format!("merges {}", reference_of(repository, pull)))
    }

    async fn merge(&self, who: &str, repository: &str, pull: u64) -> anyhow::Result<Value> {
        self.person(who)?.call("PUT", &format!("{repository}/pulls/{pull}/merge"), &json!({})).await
    }

    /// From the merge of a request to its end: Chandlery opens the follow-up, and somebody merges it.
    async fn is_carried_out(
        &mut self,
        id: &RequestId,
        step: &str,
        target: &str,
        by: &str,
    ) -> anyhow::Result<u64> {
        self.reconcile().await?;
        self.expect_stage(id, Stage::InProgress)?;
        let follow_up = self.pull_from(target, &format!("chandlery/{}-{step}", id.slug())).await?;
        let opened = self.get(&format!("{target}/pulls/{follow_up}")).await?;
        let title = opened["title"].as_str().unwrap_or_default();
        tale::does("Chandlery", &format!("opens {}: {title}", reference_of(target, follow_up)))?;
        self.link(target, "pulls", follow_up)?;
        self.merges(by, target, follow_up).await?;
        self.reconcile().await?;
        Ok(follow_up)
    }

    // --- what Chandlery does

    /// One pass, as the command makes it; says how much was done.
    async fn reconcile(&mut self) -> anyhow::Result<usize> {
        let options = match self.passes {
            0 => format!(" --repository {CATALOG} --api-url {}/api/v3", self.forge),
            _ => String::new(),
        };
        self.passes += 1;
        tale::command(&format!("chandlery reconcile{options}"))?;
        let report = drive(&mut self.hands, [].into()).await;
        match &report.stopped {
            Some(Stopped::World(why)) => bail!("Chandlery stopped: {why}"),
            Some(Stopped::Settings(_)) => bail!("the catalog's settings have mistakes"),
            None => {}
        }
        expect(report.left.is_empty(), || format!("Chandlery left something: {:?}", report.left))?;
        expect(report.waits.is_empty(), || format!("Chandlery waits: {:?}", report.waits))?;
        self.stages.extend(report.stages);
        Ok(report.acts)
    }

    fn request_of(&self, issue: u64) -> anyhow::Result<RequestId> {
        let found = self.stages.keys().find(|id| id.issue() == Some(issue));
        found.cloned().with_context(|| format!("{} is no request to Chandlery", reference_of(CATALOG, issue)))
    }

    // --- what is expected

    fn expect_stage(&self, id: &RequestId, stage: Stage) -> anyhow::Result<()> {
        let found = self.stages.get(id);
        expect(found == Some(&stage), || {
            format!(
                "the request {id} should be {stage} and is {}",
                found.map_or("unknown", |stage| stage.name())
            )
        })
    }

    async fn expect_text(&self, repository: &str, path: &str, text: &str) -> anyhow::Result<()> {
        let found = self.text(repository, path).await?;
        expect(found.contains(text), || format!("{path} in {repository} does not say `{text}`"))
    }

    /// Checks the record of a request that has ended.
    async fn ended(
        &self,
        id: RequestId,
        action: &str,
        stage: Stage,
        pulls: Vec<String>,
    ) -> anyhow::Result<Outcome> {
        self.expect_stage(&id, stage)?;
        let run: Run = serde_yaml::from_str(&self.text(CATALOG, &format!("requests/{id}/run.yaml")).await?)?;
        expect(run.status == stage, || format!("the record of {id} says {}", run.status))?;
        self.outcome(id, action, pulls)
    }

    fn outcome(&self, id: RequestId, action: &str, pulls: Vec<String>) -> anyhow::Result<Outcome> {
        let stage = *self.stages.get(&id).with_context(|| format!("nothing is known of {id}"))?;
        Ok(Outcome { id, action: action.parse()?, stage, pulls })
    }

    /// Quotes the one comment of ours on an issue or pull request: the lines in which these words stand.
    async fn quotes(&self, number: u64, words: &[&str]) -> anyhow::Result<()> {
        let comments = self.get(&format!("{CATALOG}/issues/{number}/comments")).await?;
        let ours = |comment: &&Value| comment["user"]["login"] == super::ME;
        let ours: Vec<&Value> = comments.as_array().into_iter().flatten().filter(ours).collect();
        let place = reference_of(CATALOG, number);
        let [comment] = ours[..] else {
            bail!("Chandlery wrote {} comments on {place} and not one", ours.len())
        };
        let body = comment["body"].as_str().unwrap_or_default();
        tale::does("Chandlery", &format!("says on {place}:"))?;
        let mut lines = Vec::new();
        for word in words {
            let found = body.lines().find(|line| line.contains(word));
            lines.push(
                found.with_context(|| {
                    format!("Chandlery's comment on {place} does not say `{word}`: {body}")
                })?,
            );
        }
        tale::quotes(lines)
    }

    // --- looking

    fn person(&self, login: &str) -> anyhow::Result<&Person> {
        self.people.get(login).with_context(|| format!("the seed has no user `{login}`"))
    }

    /// What the forge says, to somebody who only looks.
    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.person("zoe")?.get(path).await
    }

    async fn text(&self, repository: &str, path: &str) -> anyhow::Result<String> {
        let found = self.person("zoe")?.file(repository, path).await?;
        found.with_context(|| format!("{repository} has no file {path}"))
    }

    async fn pulls_from(&self, repository: &str, branch: &str) -> anyhow::Result<Vec<u64>> {
        let owner = repository.split('/').next().unwrap_or_default();
        let found = self.get(&format!("{repository}/pulls?state=all&head={owner}:{branch}")).await?;
        Ok(found.as_array().into_iter().flatten().filter_map(|pull| pull["number"].as_u64()).collect())
    }

    async fn pull_from(&self, repository: &str, branch: &str) -> anyhow::Result<u64> {
        match self.pulls_from(repository, branch).await?[..] {
            [number] => Ok(number),
            ref several => {
                bail!("{repository} has {} pull requests from {branch} and not one", several.len())
            }
        }
    }

    fn link(&self, repository: &str, kind: &str, number: u64) -> anyhow::Result<()> {
        tale::at(&format!("{}/api/v3/repos/{repository}/{kind}/{number}", self.forge))
    }
}

fn reference_of(repository: &str, number: u64) -> String {
    repository.parse().map_or_else(|_| format!("#{number}"), |repository| reference(&repository, number))
}

fn expect(holds: bool, otherwise: impl FnOnce() -> String) -> anyhow::Result<()> {
    if holds { Ok(()) } else { bail!("the story goes otherwise: {}", otherwise()) }
}
