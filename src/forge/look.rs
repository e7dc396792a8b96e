//! What does the forge answer? Few calls for many questions: one query finds the numbers of pull
//! requests, and the next ones read what is behind them, some dozens at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};

use serde_json::Value;
use tokio::task::JoinSet;

use super::{
    answers::{complete, numbers, read_head, read_here, read_permission, read_repository, reason, renamed},
    client::{ForgeError, MOST_PAGES, Reader, encode},
    graph::{
        CHECKS, ISSUE_LISTS, PULL_LISTS, issue_fields, pull_fields, read_issue, read_pull, with_statuses,
    },
    queue,
    reply::GraphError,
};
use crate::{
    domain::{Branch, Issue, Login, Permission, Pull, PullState, RepoName},
    plan::facts::{Answer, Here, Open, Question},
};

/// How many issues and pull requests one query reads, and how many small things.
const LARGE_AT_ONCE: usize = 25;
const SMALL_AT_ONCE: usize = 60;
/// How many of the pull requests closed or merged last are looked at.
const LATELY: usize = 100;
/// How many calls are under way at once.
const CALLS_AT_ONCE: usize = 6;

/// What every query asks beside its own: who we are, and what it cost.
const ALWAYS: &str = "viewer { login } rateLimit { cost }";

/// An issue or pull request to be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Large {
    Issue(RepoName, u64),
    Pull(RepoName, u64),
}

#[derive(Debug, Clone)]
enum Item {
    Issue(Arc<Issue>),
    Pull(Arc<Pull>),
}

/// What there is at one place; none when there is nothing, `Err` when it could not be learnt.
pub(super) type Known<T> = Result<T, String>;

impl Reader {
    /// Which catalog this is, and who we are.
    ///
    /// # Errors
    /// When the forge does not say.
    pub async fn here(&self, catalog: &RepoName) -> Result<Here, ForgeError> {
        let query = format!("{} }}", self.beginning(catalog, catalog));
        let (data, errors) = self.graphql(catalog, &query).await?;
        let strange = |why: String| ForgeError::Strange { what: "the question who we are".to_owned(), why };
        read_here(catalog, &data, &errors).map_err(strange)
    }

    /// Answers every question that the forge can answer.
    pub async fn look(&self, catalog: &RepoName, questions: &BTreeSet<Question>) -> Vec<(Question, Answer)> {
        let mut answers = Vec::new();
        let mut small: Vec<Question> = Vec::new();
        let mut single = Vec::new();
        let mut pushes: BTreeMap<RepoName, BTreeSet<Branch>> = BTreeMap::new();
        let mut wanted: BTreeSet<Large> = BTreeSet::new();
        for question in questions {
            match question {
                Question::Here
                | Question::Open
                | Question::Head(..)
                | Question::Repository(_)
                | Question::PullsFrom(..)
                | Question::Queue(..)
                | Question::PullsOf(_) => small.push(question.clone()),
                Question::Issue(number) => drop(wanted.insert(Large::Issue(catalog.clone(), *number))),
                Question::Pull(number) => drop(wanted.insert(Large::Pull(catalog.clone(), *number))),
                Question::Activity(name, branch) => {
                    pushes.entry(name.clone()).or_default().insert(branch.clone());
                }
                Question::Permission(..)
                | Question::Members(_)
                | Question::Mergeable(..)
                | Question::Workflow(..)
                | Question::Barred(..)
                | Question::WorkflowRun(..)
                | Question::FindRun(..)
                | Question::Checks(..) => single.push(question.clone()),
                _ => {}
            }
        }
        let calls = single.into_iter().map(|question| {
            let (reader, catalog) = (self.clone(), catalog.clone());
            async move {
                let answer = reader.single(&catalog, &question).await;
                (question, answer.unwrap_or_else(|error| unknown(&error.to_string())))
            }
        });
        answers.extend(at_once(calls).await);
        answers.extend(self.activity(pushes).await);
        let mut numbers: BTreeMap<Question, (RepoName, Vec<u64>)> = BTreeMap::new();
        let small = self.by_owner(small, |question| match question {
            Question::Repository(name)
            | Question::Head(name, _)
            | Question::Queue(name, _)
            | Question::PullsFrom(name, _) => name.clone(),
            _ => catalog.clone(),
        });
        for (on, chunk) in
            small.iter().flat_map(|(on, all)| all.chunks(SMALL_AT_ONCE).map(move |chunk| (on, chunk)))
        {
            for (question, found) in self.small(catalog, on, chunk).await {
                match found {
                    Ok(Small::Answer(answer)) => answers.push((question, answer)),
                    Ok(Small::Numbers(repository, found)) => {
                        wanted.extend(found.iter().map(|number| Large::Pull(repository.clone(), *number)));
                        numbers.insert(question, (repository, found));
                    }
                    Err(why) => answers.push((question, unknown(&why))),
                }
            }
        }
        let wanted = self.by_owner(wanted.into_iter().collect(), |item| match item {
            Large::Issue(name, _) | Large::Pull(name, _) => name.clone(),
        });
        let mut large: BTreeMap<Large, Known<Option<Item>>> = BTreeMap::new();
        let mut branch = None;
        for (on, chunk) in
            wanted.iter().flat_map(|(on, all)| all.chunks(LARGE_AT_ONCE).map(move |chunk| (on, chunk)))
        {
            large.extend(self.large(catalog, on, chunk, &mut branch).await);
        }
        let pull =
            |repository: &RepoName, number: u64| match large.get(&Large::Pull(repository.clone(), number)) {
                Some(Ok(Some(Item::Pull(pull)))) => Ok(Some(Arc::clone(pull))),
                Some(Err(why)) => Err(why.clone()),
                _ => Ok(None),
            };
        for (question, (repository, found)) in numbers {
            let pulls: Known<Vec<Option<Arc<Pull>>>> =
                found.iter().map(|number| pull(&repository, *number)).collect();
            let fits = |pull: &Arc<Pull>| match &question {
                Question::PullsFrom(repository, branch) => {
                    pull.head_repository.as_ref() == Some(repository)
                        && pull.head_branch.as_ref() == Some(branch)
                }
                _ => pull.state == PullState::Merged && Some(&pull.base_branch) == branch.as_ref(),
            };
            let answer = match pulls {
                Ok(pulls) => Answer::Pulls(pulls.into_iter().flatten().filter(fits).collect()),
                Err(why) => unknown(&why),
            };
            answers.push((question, answer));
        }
        for question in questions {
            match question {
                Question::Issue(number) => {
                    let answer = match large.get(&Large::Issue(catalog.clone(), *number)) {
                        Some(Ok(Some(Item::Issue(issue)))) => Answer::Issue(Some(Arc::clone(issue))),
                        Some(Err(why)) => unknown(why),
                        _ => Answer::Issue(None),
                    };
                    answers.push((question.clone(), answer));
                }
                Question::Pull(number) => {
                    let answer = pull(catalog, *number).map_or_else(|why| unknown(&why), Answer::Pull);
                    answers.push((question.clone(), answer));
                }
                _ => {}
            }
        }
        if questions.contains(&Question::Now) {
            answers.push((Question::Now, self.now(catalog, !answers.is_empty()).await));
        }
        answers
    }

    /// What is asked, divided by who owns it, where one token does not read everything; each part with a repository of
    /// that owner.
    fn by_owner<T>(&self, all: Vec<T>, of: impl Fn(&T) -> RepoName) -> Vec<(RepoName, Vec<T>)> {
        let mut parts: BTreeMap<String, (RepoName, Vec<T>)> = BTreeMap::new();
        for one in all {
            let name = of(&one);
            let owner = if self.is_one_token() { String::new() } else { name.owner().to_owned() };
            parts.entry(owner).or_insert_with(|| (name, Vec::new())).1.push(one);
        }
        parts.into_values().collect()
    }

    /// How a query begins; what the catalog is called is seen with its owner's token only.
    fn beginning(&self, catalog: &RepoName, on: &RepoName) -> String {
        let here = if self.is_one_token() {
            repository(usize::MAX, catalog, "defaultBranchRef { name } viewerPermission")
        } else if on.owner() == catalog.owner() {
            // An App reads with a token that may only read.
            repository(usize::MAX, catalog, "defaultBranchRef { name }")
        } else {
            String::new()
        };
        format!("{{ {ALWAYS} {here}")
    }

    /// The forge's clock, from its last answer; one is asked for if there was none in this look.
    async fn now(&self, catalog: &RepoName, just_answered: bool) -> Answer {
        if !just_answered && let Err(error) = self.get(catalog, "/rate_limit").await {
            return unknown(&error.to_string());
        }
        self.tally().now.map_or_else(|| unknown("the forge does not tell the time"), Answer::Now)
    }

    /// One call each.
    async fn single(&self, catalog: &RepoName, question: &Question) -> Result<Answer, ForgeError> {
        match question {
            Question::Permission(repository, login) => {
                let path = format!("/repos/{repository}/collaborators/{}/permission", encode(login.as_str()));
                let reply = self.get(repository, &path).await?;
                if reply.status == 404 {
                    return Ok(Answer::Permission(Permission::None));
                }
                let reply = reply.success()?.json()?;
                let word = |key: &str| read_permission(reply[key].as_str()?);
                // A role of the organisation's own making has a name that says nothing; `permission` says what it is based on.
                Ok(word("role_name").or_else(|| word("permission")).map_or_else(
                    || unknown(&format!("the forge gives @{login} a permission that is not known here")),
                    Answer::Permission,
                ))
            }
            Question::Members(team) => {
                let Some((organisation, slug)) = team.split_once('/') else {
                    return Ok(unknown(&format!(
                        "`{team}` is no team of the forge; write it as organisation/slug"
                    )));
                };
                let path =
                    format!("/orgs/{}/teams/{}/members?per_page=100", encode(organisation), encode(slug));
                let items = self.pages(catalog, &path).await?;
                let members =
                    items.iter().filter_map(|member| member["login"].as_str()?.parse().ok()).collect();
                Ok(Answer::Members(Arc::new(members)))
            }
            Question::Mergeable(repository, number, head) => self.mergeable(repository, *number, head).await,
            Question::Workflow(repository, file, on) => self.workflow(repository, file, on.as_ref()).await,
            Question::Barred(repository, branch) => self.barred(repository, branch).await,
            Question::WorkflowRun(repository, run) => self.workflow_run(repository, *run).await,
            Question::FindRun(repository, workflow, correlation) => {
                self.find_run(repository, workflow, correlation).await
            }
            Question::Checks(commit, me) => self.checks(catalog, commit, me).await,
            other => Ok(unknown(&format!("{other:?} is nothing that the forge is asked for alone"))),
        }
    }

    async fn small(
        &self,
        catalog: &RepoName,
        on: &RepoName,
        questions: &[Question],
    ) -> Vec<(Question, Known<Small>)> {
        let mut query = self.beginning(catalog, on);
        for (index, question) in questions.iter().enumerate() {
            match question {
                Question::Repository(name) => query.push_str(&repository(index, name, "isArchived defaultBranchRef { name target { oid } }")),
                Question::Head(name, branch) => {
                    let full = quote(&branch.full());
                    query.push_str(&repository(index, name, &format!("ref(qualifiedName: {full}) {{ target {{ oid }} }}")));
                }
                Question::Queue(name, branch) => {
                    let part = queue::selection(&quote(branch.as_str()), CHECKS, self.is_one_token());
                    query.push_str(&repository(index, name, &part));
                }
                Question::PullsFrom(name, branch) => {
                    query.push_str(&repository(index, name, &format!(
                        "pullRequests(first: 100, headRefName: {}, orderBy: {{ field: CREATED_AT, direction: ASC }}) {NUMBERS}",
                        quote(branch.as_str())
                    )));
                }
                Question::PullsOf(commit) => {
                    query.push_str(&repository(index, catalog, &format!(
                        "object(oid: \"{commit}\") {{ ... on Commit {{ associatedPullRequests(first: 50) {NUMBERS} }} }}"
                    )));
                }
                Question::Open => query.push_str(&repository(index, catalog, &format!(
                    "issues(first: 100, states: [OPEN], orderBy: {{ field: CREATED_AT, direction: ASC }}) {NUMBERS_OF_ISSUES} \
                     pullRequests(first: 100, states: [OPEN], orderBy: {{ field: CREATED_AT, direction: ASC }}) {NUMBERS} \
                     lately: pullRequests(first: {LATELY}, states: [CLOSED, MERGED], orderBy: {{ field: UPDATED_AT, direction: DESC }}) {NUMBERS}"
                ))),
                _ => {}
            }
        }
        query.push_str(" }");
        let (data, errors) = match self.graphql(on, &query).await {
            Ok(answer) => answer,
            Err(error) => {
                let why = error.to_string();
                return questions.iter().map(|question| (question.clone(), Err(why.clone()))).collect();
            }
        };
        let mut found = Vec::new();
        for (index, question) in questions.iter().enumerate() {
            let alias = format!("r{index}");
            let node = &data[&alias];
            let me = || data["viewer"]["login"].as_str().ok_or("the forge does not say who we are");
            let here = || read_here(catalog, &data, &errors);
            let asked = match question {
                // Its answer tells.
                Question::Repository(_) => None,
                Question::Head(name, _) | Question::Queue(name, _) | Question::PullsFrom(name, _) => {
                    Some(name)
                }
                _ => Some(catalog),
            };
            if let Some(why) = asked.and_then(|asked| renamed(asked, node)) {
                found.push((question.clone(), Err(why)));
                continue;
            }
            let answer = match question {
                Question::Here => here().map(|here| Small::Answer(Answer::Here(Arc::new(here)))),
                Question::Repository(name) => read_repository(name, node, &errors, &alias)
                    .map(|known| Small::Answer(Answer::Repository(known))),
                _ if node.is_null() || errors.iter().any(|error| error.path.first() == Some(&alias)) => {
                    Err(reason(&errors, &[&alias], "the repository does not exist, or we may not see it"))
                }
                Question::Head(..) => read_head(&node["ref"]).map(|head| Small::Answer(Answer::Head(head))),
                Question::PullsFrom(name, _) => {
                    complete(&node["pullRequests"]).map(|numbers| Small::Numbers(name.clone(), numbers))
                }
                Question::Queue(..) => {
                    let me = me().and_then(|me| me.parse().map_err(|_| "our login cannot be handled"));
                    match me {
                        Ok(me) => queue::read(node["mergeQueue"].clone(), &me)
                            .map(|queue| Small::Answer(Answer::Queue(queue))),
                        Err(why) => Err(why.to_owned()),
                    }
                }
                // A commit that the forge does not have came by no pull request.
                Question::PullsOf(_) if node["object"].is_null() => {
                    Ok(Small::Answer(Answer::Pulls(Vec::new())))
                }
                Question::PullsOf(_) => complete(&node["object"]["associatedPullRequests"])
                    .map(|numbers| Small::Numbers(catalog.clone(), numbers)),
                _ => match here() {
                    Ok(here) => self
                        .open(catalog, &here.branch, node)
                        .await
                        .map(|open| Small::Answer(Answer::Open(Arc::new(open)))),
                    Err(why) => Err(why),
                },
            };
            found.push((question.clone(), answer));
        }
        found
    }

    /// Open issues and pull requests; the requests among the files are not the forge's to tell.
    async fn open(&self, catalog: &RepoName, branch: &Branch, node: &Value) -> Known<Open> {
        let mut open = Open::default();
        for (number, _) in self.all_numbers(catalog, node, "issues").await? {
            open.issues.insert(number);
        }
        for (number, base) in
            self.all_numbers(catalog, node, "pullRequests").await?.into_iter().chain(numbers(&node["lately"]))
        {
            if base.as_deref() == Some(branch.as_str()) {
                open.pulls.insert(number);
            }
        }
        Ok(open)
    }

    async fn all_numbers(
        &self,
        catalog: &RepoName,
        node: &Value,
        list: &str,
    ) -> Known<Vec<(u64, Option<String>)>> {
        let mut found = numbers(&node[list]);
        let mut page = node[list]["pageInfo"].clone();
        let fields = if list == "issues" { NUMBERS_OF_ISSUES } else { NUMBERS };
        for _ in 0..MOST_PAGES {
            if page["hasNextPage"] != true {
                return Ok(found);
            }
            let after = quote(page["endCursor"].as_str().unwrap_or_default());
            let selection = format!(
                "{list}(first: 100, after: {after}, states: [OPEN], orderBy: {{ field: CREATED_AT, direction: ASC }}) {fields}"
            );
            let (data, errors) = self
                .graphql(catalog, &format!("{{ {ALWAYS} {} }}", repository(0, catalog, &selection)))
                .await
                .map_err(|e| e.to_string())?;
            if data["r0"][list].is_null() {
                return Err(reason(&errors, &["r0"], "the forge does not give the next page"));
            }
            found.extend(numbers(&data["r0"][list]));
            page = data["r0"][list]["pageInfo"].clone();
        }
        Err(format!("more than {MOST_PAGES} pages of {list} are open; close what is not needed"))
    }

    async fn large(
        &self,
        catalog: &RepoName,
        on: &RepoName,
        wanted: &[Large],
        branch: &mut Option<Branch>,
    ) -> Vec<(Large, Known<Option<Item>>)> {
        let mut query = self.beginning(catalog, on);
        let (issue, pull) = (issue_fields(), with_statuses(&pull_fields(), self.is_one_token()));
        for (index, item) in wanted.iter().enumerate() {
            let part = match item {
                Large::Issue(name, number) => {
                    repository(index, name, &format!("issue(number: {number}) {{ {issue} }}"))
                }
                Large::Pull(name, number) => {
                    repository(index, name, &format!("pullRequest(number: {number}) {{ {pull} }}"))
                }
            };
            query.push_str(&part);
        }
        query.push_str(" }");
        let all = |why: String| wanted.iter().map(|item| (item.clone(), Err(why.clone()))).collect();
        let (mut data, errors) = match self.graphql(on, &query).await {
            Ok(answer) => answer,
            Err(error) => return all(error.to_string()),
        };
        if !data["here"].is_null() {
            match read_here(catalog, &data, &errors) {
                Ok(here) => *branch = Some(here.branch),
                Err(why) => return all(why),
            }
        }
        let me: Login = match data["viewer"]["login"].as_str().map(str::parse) {
            Some(Ok(me)) => me,
            _ => return all("the forge does not say who we are".to_owned()),
        };
        let mut found = Vec::new();
        for (index, item) in wanted.iter().enumerate() {
            let alias = format!("r{index}");
            let known = self.one(item, &alias, data[&alias].take(), &errors, &me).await;
            found.push((item.clone(), known));
        }
        found
    }

    async fn one(
        &self,
        item: &Large,
        alias: &str,
        mut node: Value,
        errors: &[GraphError],
        me: &Login,
    ) -> Known<Option<Item>> {
        if node.is_null() {
            return Err(reason(errors, &[alias], "the repository does not exist, or we may not see it"));
        }
        if let Large::Issue(name, _) | Large::Pull(name, _) = item
            && let Some(why) = renamed(name, &node)
        {
            return Err(why);
        }
        let (name, number, kind, lists): (_, _, _, &[(&str, &str)]) = match item {
            Large::Issue(name, number) => (name, number, "issue", &ISSUE_LISTS),
            Large::Pull(name, number) => (name, number, "pullRequest", &PULL_LISTS),
        };
        let mut node = node[kind].take();
        let about = |error: &&GraphError| error.path.first().is_some_and(|first| first == alias);
        if node.is_null() {
            return match errors.iter().find(about) {
                Some(error) if !error.not_found => Err(error.words.clone()),
                _ => Ok(None),
            };
        }
        // Teams that we may not see cannot be named as reviewers; nothing depends on that, nor on statuses that we may not read.
        let hurts = |error: &&GraphError| {
            about(error) && !error.path.iter().any(|step| step == "reviewRequests" || step == "status")
        };
        if let Some(error) = errors.iter().find(hurts) {
            return Err(error.words.clone());
        }
        for (list, fields) in lists {
            if let Err(why) = self.rest_of(name, kind, *number, list, fields, &mut node[*list]).await {
                node[*list] = serde_json::json!({ "nodes": [], "unknown": why });
            }
        }
        match item {
            Large::Issue(..) => read_issue(node, me).map(|issue| Some(Item::Issue(Arc::new(issue)))),
            Large::Pull(..) => read_pull(name, node, me).map(|pull| Some(Item::Pull(Arc::new(pull)))),
        }
    }

    /// Reads the further pages of a list into it.
    async fn rest_of(
        &self,
        name: &RepoName,
        kind: &str,
        number: u64,
        list: &str,
        fields: &str,
        into: &mut Value,
    ) -> Known<()> {
        for _ in 0..MOST_PAGES {
            if into["pageInfo"]["hasNextPage"] != true {
                return Ok(());
            }
            let after = quote(into["pageInfo"]["endCursor"].as_str().unwrap_or_default());
            let fields = with_statuses(fields, self.is_one_token());
            let fields = fields.replace("PAGE", &format!("first: 100, after: {after}"));
            let query = format!(
                "{{ {ALWAYS} {} }}",
                repository(0, name, &format!("{kind}(number: {number}) {{ {fields} }}"))
            );
            let (mut data, errors) = self.graphql(name, &query).await.map_err(|error| error.to_string())?;
            let mut page = data["r0"][kind][list].take();
            let (Some(nodes), Some(more)) = (into["nodes"].as_array_mut(), page["nodes"].as_array_mut())
            else {
                return Err(reason(&errors, &["r0"], "the forge does not give the next page"));
            };
            nodes.append(more);
            into["pageInfo"] = page["pageInfo"].take();
        }
        Err(format!("the list `{list}` has more than {MOST_PAGES} pages"))
    }
}

/// Makes calls, a few at once; what came of each.
pub(super) async fn at_once<T, C>(calls: impl IntoIterator<Item = C>) -> Vec<T>
where
    T: Send + 'static,
    C: Future<Output = T> + Send + 'static,
{
    let (mut calls, mut under_way, mut done) = (calls.into_iter(), JoinSet::new(), Vec::new());
    loop {
        while under_way.len() < CALLS_AT_ONCE
            && let Some(call) = calls.next()
        {
            under_way.spawn(call);
        }
        match under_way.join_next().await {
            Some(Ok(one)) => done.push(one),
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            None => return done,
        }
    }
}

/// What the first query finds.
enum Small {
    Answer(Answer),
    Numbers(RepoName, Vec<u64>),
}

const NUMBERS: &str = "{ nodes { number baseRefName } pageInfo { hasNextPage endCursor } }";
const NUMBERS_OF_ISSUES: &str = "{ nodes { number } pageInfo { hasNextPage endCursor } }";

pub(super) fn unknown(why: &str) -> Answer {
    Answer::Unknown(why.into())
}

/// A text in a query; GraphQL writes strings as JSON does.
fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

/// A part of a query about one repository, named `r0`, `r1` and so on (`here` for the catalog).
fn repository(index: usize, name: &RepoName, selection: &str) -> String {
    let mut part = if index == usize::MAX { " here".to_owned() } else { format!(" r{index}") };
    write!(
        part,
        ": repository(owner: {}, name: {}) {{ nameWithOwner {selection} }}",
        quote(name.owner()),
        quote(name.name())
    )
    .expect("a text can be written to");
    part
}
