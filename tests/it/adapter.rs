//! Do the hands do what they say, over real HTTP and real Git?

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

use chandlery::{
    catalog::{CommitBy, Root},
    domain::{
        ActivityKind, Attribution, Branch, Change, Conclusion, Known, ObjectId, Permission, Pull, PullState,
        RepoName, ReviewState, Secret,
    },
    forge::identity::Credentials,
    local_forge::{self, Options, Running, Seed},
    plan::{
        facts::{Answer, ChainKind, Question},
        step::{Act, Acted, Call, Commit},
    },
    reconcile::{Hands, Settings},
};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use tempfile::TempDir;

const SEED: &str = "
users:
  - { login: ada, token: ada-token }
  - { login: bo, token: bo-token }
  - { login: eve, token: eve-token }
  - { login: 'chandlery[bot]', token: bot-token }
orgs:
  - { login: acme, members: [ada, bo], teams: [{ slug: platform, members: [bo] }] }
repositories:
  - { owner: acme, name: catalog, from: CATALOG, collaborators: { ada: write, bo: maintain, eve: read, 'chandlery[bot]': admin } }
  - { owner: acme, name: infrastructure, from: INFRASTRUCTURE, collaborators: { ada: write, 'chandlery[bot]': write },
      protected: [{ branch: main, push: [ada] }] }
";

const CATALOG: [(&str, &str); 6] = [
    ("chandlery.yaml", "version: 1\nrepositories: [acme/infrastructure]\n"),
    ("blueprints/service.yaml", "identifier: service\ntitle: Service\nschema: { properties: {} }\n"),
    ("entities/service/checkout.yaml", "identifier: checkout\nblueprint: service\n"),
    ("entities/service/shop/cart.yaml", "identifier: cart\nblueprint: service\n"),
    ("requests/2026/10/done/request.yaml", "action: x\n"),
    ("requests/2026/10/done/run.yaml", "version: 1\n"),
];

struct World {
    forge: Running,
    folder: TempDir,
}

fn name(text: &str) -> RepoName {
    text.parse().unwrap()
}

fn branch(text: &str) -> Branch {
    text.parse().unwrap()
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |part: &str| folder.path().join(part);
        for (file, text) in CATALOG {
            let file = path("catalog").join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        std::fs::create_dir_all(path("infrastructure")).unwrap();
        std::fs::write(path("infrastructure/main.tf"), "# nothing yet\n").unwrap();
        let seed = SEED
            .replace("CATALOG", path("catalog").to_str().unwrap())
            .replace("INFRASTRUCTURE", path("infrastructure").to_str().unwrap());
        let seed: Seed = serde_yaml::from_str(&seed).unwrap();
        let options = Options {
            root: path("forge"),
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            seed: Some(seed),
            record: None,
        };
        Self { forge: local_forge::start(options).await.unwrap(), folder }
    }

    fn settings(&self) -> Settings {
        Settings {
            api_url: format!("{}/api/v3", self.forge.url),
            git_url: self.forge.url.clone(),
            credentials: Credentials::Token(Secret::new("bot-token")),
            catalog: name("acme/catalog"),
            root: Root(None),
            cache: self.folder.path().join("cache"),
            signer: None,
            manners: Default::default(),
            environment: vec![("PATH".to_owned(), std::env::var("PATH").unwrap())],
            secrets: Default::default(),
            identities: None,
        }
    }

    fn hands(&self) -> Hands {
        Hands::new(self.settings()).unwrap()
    }

    /// What a person does over REST.
    async fn does(&self, who: &str, call: &str, body: Value) -> Value {
        let (status, answer) = self.tries(who, &call.replacen(' ', " /api/v3/repos/", 1), body).await;
        assert!((200..300).contains(&status), "{who} {call}: {status} {answer}");
        answer
    }

    async fn controls(&self, call: &str, body: Value) -> Value {
        self.tries("ada", &call.replacen(' ', " /_control/", 1), body).await.1
    }

    async fn tries(&self, who: &str, call: &str, body: Value) -> (u16, Value) {
        let (method, path) = call.split_once(' ').unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.forge.url))
            .header("authorization", format!("Bearer {who}-token"))
            .body(Full::from(if body.is_null() { Vec::new() } else { body.to_string().into_bytes() }))
            .unwrap();
        let response = client.request(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn head(&self, repository: &str, branch: &str) -> ObjectId {
        let answer = self.does("ada", &format!("GET {repository}/git/ref/heads/{branch}"), Value::Null).await;
        answer["object"]["sha"].as_str().unwrap().parse().unwrap()
    }

    /// Puts a file on a branch, made from `main` where it is missing.
    async fn writes(&self, who: &str, repository: &str, branch: &str, path: &str, text: &str) -> ObjectId {
        let main = self.head(repository, "main").await.to_string();
        let reference = json!({ "ref": format!("refs/heads/{branch}"), "sha": main });
        let made = self.tries(who, &format!("POST /api/v3/repos/{repository}/git/refs"), reference).await;
        assert!([201, 422].contains(&made.0), "{made:?}");
        let content = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
        let body = json!({ "message": format!("put {path}"), "content": content, "branch": branch });
        let answer = self.does(who, &format!("PUT {repository}/contents/{path}"), body).await;
        answer["commit"]["sha"].as_str().unwrap().parse().unwrap()
    }
}

async fn look(hands: &mut Hands, question: Question) -> Answer {
    let mut answers = hands.look(&BTreeSet::from([question.clone()])).await;
    assert_eq!(answers.len(), 1, "{answers:?}");
    let (answered, answer) = answers.remove(0);
    assert_eq!(answered, question);
    answer
}

macro_rules! the {
    ($answer:expr, $pattern:pat => $value:expr) => {
        match $answer {
            $pattern => $value,
            other => panic!("unexpected: {other:?}"),
        }
    };
}

async fn pull(hands: &mut Hands, number: u64) -> Arc<Pull> {
    the!(look(hands, Question::Pull(number)).await, Answer::Pull(Some(pull)) => pull)
}

fn commit(
    repository: &str,
    on: &str,
    expect: Option<ObjectId>,
    parent: ObjectId,
    path: &str,
    text: &str,
) -> Commit {
    Commit {
        repository: name(repository),
        branch: branch(on),
        expect,
        parent: Some(parent),
        changes: [(path.parse().unwrap(), Change::Put(text.as_bytes().into()))].into(),
        message: "a change".to_owned(),
        at: "2026-11-23T08:30:00Z".parse().unwrap(),
    }
}

fn push(commits: Vec<Commit>) -> Act {
    Act::Push { repository: commits[0].repository.clone(), commits, by: CommitBy::Push }
}

fn say(number: u64, body: &str, comment: Option<u64>) -> Act {
    Act::Call(Call::Say { repository: name("acme/catalog"), number, body: body.to_owned(), comment })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adapter_answers_what_the_forge_knows() {
    let world = World::new().await;
    let mut hands = world.hands();
    let catalog = name("acme/catalog");
    let issue =
        world.does("eve", "POST acme/catalog/issues", json!({ "title": "please", "body": "one" })).await;
    assert_eq!(issue["number"], 1);
    world.does("ada", "PATCH acme/catalog/issues/1", json!({ "body": "two" })).await;
    world
        .does(
            "bo",
            "POST acme/catalog/issues/1/comments",
            json!({ "body": "<!-- chandlery:issue --> not ours" }),
        )
        .await;
    assert_eq!(hands.act(&say(1, "<!-- chandlery:issue -->\nhello", None)).await, Acted::Done);
    let first = world.writes("ada", "acme/catalog", "ask", "requests/r/request.yaml", "action: x\n").await;
    world
        .does(
            "ada",
            "POST acme/catalog/pulls",
            json!({ "title": "ask", "head": "ask", "base": "main", "body": "b" }),
        )
        .await;
    let plan = commit("acme/catalog", "ask", Some(first), first, "requests/r/plan.yaml", "key: 1\n");
    assert_eq!(hands.act(&push(vec![plan])).await, Acted::Done);
    let head = world.head("acme/catalog", "ask").await;
    let check = |conclusion, run| {
        Act::Call(Call::Check {
            repository: name("acme/catalog"),
            commit: head,
            name: "chandlery".to_owned(),
            external_id: "key-1".to_owned(),
            conclusion,
            title: "waiting".to_owned(),
            summary: "for bo".to_owned(),
            text: None,
            run,
        })
    };
    assert_eq!(hands.act(&check(None, None)).await, Acted::Done);
    world.does("bo", "POST acme/catalog/pulls/2/reviews", json!({ "event": "APPROVE", "body": "yes" })).await;
    let ask = Call::AskReviewers {
        repository: catalog.clone(),
        number: 2,
        users: vec!["bo".parse().unwrap(), "nobody-at-all".parse().unwrap()],
        teams: Vec::new(),
    };
    assert_eq!(hands.act(&Act::Call(ask)).await, Acted::Done);

    let questions: BTreeSet<Question> = [
        Question::Here,
        Question::Now,
        Question::Open,
        Question::Head(catalog.clone(), branch("ask")),
        Question::Head(catalog.clone(), branch("none")),
        Question::Repository(name("acme/infrastructure")),
        Question::Repository(name("acme/nothing")),
        Question::Issue(1),
        Question::Issue(99),
        Question::Pull(2),
        Question::PullsFrom(catalog.clone(), branch("ask")),
        Question::PullsFrom(name("acme/nothing"), branch("ask")),
        Question::Activity(catalog.clone(), branch("ask")),
        Question::Permission(catalog.clone(), "bo".parse().unwrap()),
        Question::Permission(catalog.clone(), "nobody-at-all".parse().unwrap()),
        Question::Members("acme/platform".to_owned()),
        Question::Members("acme/nobody".to_owned()),
    ]
    .into();
    let answers = hands.look(&questions).await;
    assert_eq!(answers.len(), questions.len());
    let answer = |question: Question| answers.iter().find(|(asked, _)| *asked == question).unwrap().1.clone();

    let here = the!(answer(Question::Here), Answer::Here(here) => here);
    assert_eq!((here.me.as_str(), here.branch.as_str()), ("chandlery[bot]", "main"));
    let open = the!(answer(Question::Open), Answer::Open(open) => open);
    assert_eq!((open.issues.len(), open.pulls.len(), open.requests.len()), (1, 1, 0));
    assert_eq!(
        the!(answer(Question::Head(catalog.clone(), branch("ask"))), Answer::Head(found) => found),
        Some(head)
    );
    assert_eq!(
        the!(answer(Question::Head(catalog.clone(), branch("none"))), Answer::Head(found) => found),
        None
    );
    let known = the!(answer(Question::Repository(name("acme/infrastructure"))), Answer::Repository(Some(known)) => known);
    assert_eq!(known.default_branch.as_ref().unwrap().0, branch("main"));
    the!(answer(Question::Repository(name("acme/nothing"))), Answer::Repository(None) => ());
    let issue = the!(answer(Question::Issue(1)), Answer::Issue(Some(issue)) => issue);
    assert_eq!(issue.author, Some("eve".parse().unwrap()));
    assert!(
        matches!(&issue.edits, Known::Yes(edits) if edits.iter().any(|edit| edit.by == "ada".parse().unwrap()))
    );
    assert_eq!((issue.body.as_str(), issue.open, issue.comments.len()), ("two", true, 1));
    assert!(issue.comments[0].body.ends_with("hello"));
    the!(answer(Question::Issue(99)), Answer::Issue(None) => ());
    let pull = the!(answer(Question::Pull(2)), Answer::Pull(Some(pull)) => pull);
    assert_eq!(
        (pull.state, pull.head, pull.author.clone()),
        (PullState::Open, head, Some("ada".parse().unwrap()))
    );
    assert_eq!(pull.requested, ["bo"]);
    let now = the!(answer(Question::Now), Answer::Now(now) => now);
    assert!(now > pull.created_at);
    let Known::Yes(reviews) = &pull.reviews else { panic!("{pull:?}") };
    assert_eq!(
        (reviews[0].state, reviews[0].author.clone()),
        (ReviewState::Approved, Some("bo".parse().unwrap()))
    );
    let Known::Yes(commits) = &pull.commits else { panic!("{pull:?}") };
    assert_eq!(commits.iter().map(|commit| commit.id).collect::<Vec<_>>(), [first, head]);
    assert!(commits[0].people.contains(&Attribution::Account("ada".parse().unwrap())));
    assert_eq!(commits[1].people, [Attribution::Account("chandlery[bot]".parse().unwrap())]);
    assert_eq!(commits[1].checks[0].external_id, "key-1");
    assert_eq!(commits[1].checks[0].conclusion, None);
    assert!(reviews[0].submitted_at > commits[1].checks[0].started_at);
    let pulls =
        the!(answer(Question::PullsFrom(catalog.clone(), branch("ask"))), Answer::Pulls(pulls) => pulls);
    assert_eq!(pulls, std::slice::from_ref(&pull));
    the!(answer(Question::PullsFrom(name("acme/nothing"), branch("ask"))), Answer::Unknown(_) => ());
    let activity =
        the!(answer(Question::Activity(catalog.clone(), branch("ask"))), Answer::Activity(list) => list);
    let kinds: Vec<_> = activity.iter().map(|one| (one.kind, one.actor.as_ref().unwrap().as_str())).collect();
    assert_eq!(
        kinds,
        [
            (ActivityKind::Created, "ada"),
            (ActivityKind::Pushed, "ada"),
            (ActivityKind::Pushed, "chandlery[bot]")
        ]
    );
    let permission = |who: &str| the!(answer(Question::Permission(catalog.clone(), who.parse().unwrap())), Answer::Permission(may) => may);
    assert_eq!((permission("bo"), permission("nobody-at-all")), (Permission::Maintain, Permission::None));
    let members =
        the!(answer(Question::Members("acme/platform".to_owned())), Answer::Members(members) => members);
    assert_eq!(*members, BTreeSet::from(["bo".parse().unwrap()]));
    the!(answer(Question::Members("acme/nobody".to_owned())), Answer::Unknown(_) => ());

    let dismissal = format!("PUT acme/catalog/pulls/2/reviews/{}/dismissals", reviews[0].id);
    world.does("ada", &dismissal, json!({ "message": "not so fast" })).await;
    let changed = self::pull(&mut hands, 2).await;
    let Known::Yes(reviews) = &changed.reviews else { panic!("{changed:?}") };
    let dismissed = reviews[0].dismissed.unwrap();
    assert_eq!((reviews[0].state, dismissed.was), (ReviewState::Dismissed, ReviewState::Approved));
    assert!(dismissed.at > reviews[0].submitted_at);

    let run = commits[1].checks[0].id;
    assert_eq!(hands.act(&check(Some(Conclusion::Success), Some(run))).await, Acted::Done);
    let merge = |head| Act::Call(Call::Merge { repository: name("acme/catalog"), number: 2, head });
    the!(hands.act(&merge(first)).await, Acted::Refused(_) => ());
    assert_eq!(hands.act(&merge(head)).await, Acted::Done);
    the!(hands.act(&merge(head)).await, Acted::Refused(_) => ());
    let merged = self::pull(&mut hands, 2).await;
    assert_eq!(
        (merged.state, merged.merged_by.clone()),
        (PullState::Merged, Some("chandlery[bot]".parse().unwrap()))
    );
    let Known::Yes(commits) = &merged.commits else { panic!("{merged:?}") };
    assert_eq!(commits[1].checks[0].conclusion, Some(Conclusion::Success));
    let merge_commit = merged.merge_commit.unwrap();
    let pulls = the!(look(&mut hands, Question::PullsOf(merge_commit)).await, Answer::Pulls(pulls) => pulls);
    assert_eq!(pulls.iter().map(|pull| pull.number).collect::<Vec<_>>(), [2]);
    let open = the!(look(&mut hands, Question::Open).await, Answer::Open(open) => open);
    assert_eq!(open.pulls, BTreeSet::from([2]));
    assert_eq!(open.requests, BTreeSet::from(["r".parse().unwrap()]));
    assert_eq!(
        hands.act(&Act::Call(Call::Unsay { repository: catalog, comment: issue.comments[0].id })).await,
        Acted::Done
    );
    assert_eq!(hands.act(&Act::Call(Call::CloseIssue { number: 1, completed: true })).await, Acted::Done);
    let issue = the!(look(&mut hands, Question::Issue(1)).await, Answer::Issue(Some(issue)) => issue);
    assert!(!issue.open && issue.comments.is_empty());
    assert_eq!(issue.closed_by, Some("chandlery[bot]".parse().unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adapter_reads_what_repositories_hold() {
    let world = World::new().await;
    let mut hands = world.hands();
    let catalog = name("acme/catalog");
    let main = world.head("acme/catalog", "main").await;
    let definitions =
        the!(look(&mut hands, Question::Definitions(main)).await, Answer::Definitions(Ok(found)) => found);
    assert!(definitions.blueprints.contains_key(&"service".parse().unwrap()));
    let entity = |id: &str| {
        Question::Entity(
            main,
            chandlery::domain::EntityId {
                blueprint: "service".parse().unwrap(),
                identifier: id.parse().unwrap(),
            },
        )
    };
    for (id, path) in
        [("checkout", "entities/service/checkout.yaml"), ("cart", "entities/service/shop/cart.yaml")]
    {
        let found = the!(look(&mut hands, entity(id)).await, Answer::Entity(Some((path, _))) => path);
        assert_eq!(found.as_str(), path);
    }
    the!(look(&mut hands, entity("none")).await, Answer::Entity(None) => ());
    let all = look(&mut hands, Question::Entities(main, "service".parse().unwrap())).await;
    assert_eq!(the!(all, Answer::Entities(all) => all.len()), 2);
    let file =
        look(&mut hands, Question::File(catalog.clone(), main, "chandlery.yaml".parse().unwrap())).await;
    let file = the!(file, Answer::File(Some(file)) => file);
    assert_eq!(ObjectId::of_blob(&file.bytes), file.id);
    let blob = look(&mut hands, Question::Blob(catalog.clone(), file.id)).await;
    assert_eq!(the!(blob, Answer::Blob(Some(bytes)) => bytes), file.bytes);
    let files = look(&mut hands, Question::Files(catalog.clone(), main, "entities".parse().unwrap())).await;
    assert_eq!(the!(files, Answer::Files(files) => files.len()), 2);

    // A fork's commit is in the repository only as the head of its pull request.
    world.does("eve", "POST acme/catalog/forks", json!({})).await;
    let head = world.writes("eve", "eve/catalog", "mine", "requests/f/request.yaml", "action: x\n").await;
    world
        .does("eve", "POST acme/catalog/pulls", json!({ "title": "f", "head": "eve:mine", "base": "main" }))
        .await;
    let diff = Question::Diff { repository: catalog.clone(), base: main, head };
    the!(look(&mut hands, diff.clone()).await, Answer::Unknown(why) => assert!(why.contains(&head.to_string()), "{why}"));
    let forked = pull(&mut hands, 1).await;
    assert_eq!(forked.head_repository, Some(name("eve/catalog")));
    let diff = the!(look(&mut hands, diff).await, Answer::Diff(diff) => diff);
    assert_eq!(diff.keys().map(|path| path.as_str()).collect::<Vec<_>>(), ["requests/f/request.yaml"]);
    assert!(diff.values().all(|entry| entry.before.is_none() && entry.after.is_some()));

    // The base is merged into the branch by the forge itself.
    world.writes("ada", "acme/catalog", "ask", "requests/r/request.yaml", "action: x\n").await;
    world
        .does("ada", "POST acme/catalog/pulls", json!({ "title": "r", "head": "ask", "base": "main" }))
        .await;
    let base = world.writes("ada", "acme/catalog", "main", "README.md", "new\n").await;
    world.does("ada", "PUT acme/catalog/pulls/2/update-branch", json!({})).await;
    let head = world.head("acme/catalog", "ask").await;
    let chain = look(&mut hands, Question::Chain { repository: catalog, head, base }).await;
    let chain = the!(chain, Answer::Chain(chain) => chain);
    let kinds: Vec<_> = chain.iter().map(|commit| commit.kind).collect();
    assert_eq!(kinds, [ChainKind::CleanMergeOfBase, ChainKind::Ordinary]);
    let appeared = look(&mut hands, Question::Appearances(base, "README.md".parse().unwrap())).await;
    let appeared = the!(appeared, Answer::Appearances(list) => list);
    assert_eq!((appeared[0].commit, appeared[0].parent), (base, Some(main)));

    // What is here is not fetched again; a broken copy is fetched anew.
    let fetches = hands.counts().fetches;
    the!(look(&mut hands, Question::Head(name("acme/catalog"), branch("ask"))).await, Answer::Head(Some(_)) => ());
    the!(look(&mut hands, Question::Open).await, Answer::Open(_) => ());
    assert_eq!(hands.counts().fetches, fetches);
    let file = Question::File(name("acme/catalog"), base, "README.md".parse().unwrap());
    let objects = world.folder.path().join("cache/acme/catalog.git/objects");
    std::fs::remove_dir_all(&objects).unwrap();
    std::fs::create_dir_all(&objects).unwrap();
    the!(look(&mut world.hands(), file.clone()).await, Answer::File(Some(_)) => ());
    // One object of many is lost.
    let packs: Vec<_> =
        std::fs::read_dir(objects.join("pack")).unwrap().map(|pack| pack.unwrap().path()).collect();
    if let Some(pack) = packs.iter().find(|pack| pack.extension().is_some_and(|ending| ending == "pack")) {
        let aside = world.folder.path().join("aside.pack");
        std::fs::rename(pack, &aside).unwrap();
        packs.iter().for_each(|file| drop(std::fs::remove_file(file)));
        let unpack = std::process::Command::new("git")
            .arg("-C")
            .arg(objects.parent().unwrap())
            .args(["unpack-objects", "-q"])
            .stdin(std::fs::File::open(aside).unwrap())
            .status();
        assert!(unpack.unwrap().success());
    }
    let lost = ObjectId::of_blob(b"new\n").to_string();
    std::fs::remove_file(objects.join(&lost[..2]).join(&lost[2..])).unwrap();
    the!(look(&mut world.hands(), file).await, Answer::File(Some(_)) => ());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adapter_pushes_only_where_it_expects() {
    let world = World::new().await;
    let mut hands = world.hands();
    let main = world.head("acme/infrastructure", "main").await;
    let new = |on: &str, text: &str| commit("acme/infrastructure", on, None, main, "a.tf", text);
    // Two branches in one push, and once more: it is there already.
    for _ in 0..2 {
        assert_eq!(hands.act(&push(vec![new("one", "1\n"), new("two", "2\n")])).await, Acted::Done);
    }
    assert_eq!(hands.counts().pushes, 2);
    let one = world.head("acme/infrastructure", "one").await;
    // It exists with other content.
    the!(hands.act(&push(vec![new("one", "other\n")])).await, Acted::Refused(_) => ());
    // One is refused, the other goes.
    let next = commit("acme/infrastructure", "two", Some(main), main, "b.tf", "b\n");
    the!(hands.act(&push(vec![next, new("three", "3\n")])).await, Acted::Refused(_) => ());
    assert_eq!(world.head("acme/infrastructure", "one").await, one);
    world.head("acme/infrastructure", "three").await;
    // It moved meanwhile.
    let moved = world.writes("ada", "acme/infrastructure", "one", "c.tf", "c\n").await;
    let late = commit("acme/infrastructure", "one", Some(one), one, "d.tf", "d\n");
    the!(hands.act(&push(vec![late])).await, Acted::Refused(_) => ());
    assert_eq!(world.head("acme/infrastructure", "one").await, moved);
    // Nothing is ever dropped.
    let dropping = commit("acme/infrastructure", "one", Some(moved), main, "d.tf", "d\n");
    the!(hands.act(&push(vec![dropping])).await, Acted::Failed(why) => assert!(why.contains("drop"), "{why}"));
    // The server's own words about a protected branch.
    let protected = commit("acme/infrastructure", "main", Some(main), main, "d.tf", "d\n");
    the!(hands.act(&push(vec![protected])).await, Acted::Failed(why) => assert!(why.contains("GH006"), "{why}"));

    let open = |from: &str| {
        Act::Call(Call::OpenPull {
            repository: name("acme/infrastructure"),
            branch: branch(from),
            base: branch("main"),
            title: "t".to_owned(),
            body: "b".to_owned(),
            draft: false,
        })
    };
    assert_eq!(hands.act(&open("two")).await, Acted::Done);
    assert_eq!(hands.act(&open("two")).await, Acted::Done);
    the!(hands.act(&open("main")).await, Acted::Refused(_) => ());
    let from = Question::PullsFrom(name("acme/infrastructure"), branch("two"));
    let pulls = the!(look(&mut hands, from).await, Answer::Pulls(pulls) => pulls);
    assert_eq!(pulls.len(), 1);
    let close =
        Act::Call(Call::ClosePull { repository: name("acme/infrastructure"), number: pulls[0].number });
    assert_eq!(hands.act(&close).await, Acted::Done);
    assert_eq!(hands.act(&close).await, Acted::Done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adapter_says_what_a_token_may_not_do_without_saying_the_token() {
    let world = World::new().await;
    let wrong = Settings { credentials: Credentials::Token(Secret::new("wrong-token")), ..world.settings() };
    let mut hands = Hands::new(wrong).unwrap();
    let questions = [
        Question::Here,
        Question::Open,
        Question::Head(name("acme/catalog"), branch("main")),
        Question::Permission(name("acme/catalog"), "bo".parse().unwrap()),
    ];
    let mut said = String::new();
    for (_, answer) in hands.look(&questions.into()).await {
        the!(answer, Answer::Unknown(why) => writeln!(said, "{why}").unwrap());
    }
    the!(hands.act(&say(1, "x", None)).await, Acted::Failed(why) => said.push_str(&why));
    assert!(said.contains("401") && said.contains("the token may not"), "{said}");
    assert!(!said.contains("wrong-token"), "{said}");

    world.does("eve", "POST acme/catalog/issues", json!({ "title": "t" })).await;
    let reader = Settings { credentials: Credentials::Token(Secret::new("eve-token")), ..world.settings() };
    let mut hands = Hands::new(reader).unwrap();
    let main = world.head("acme/catalog", "main").await;
    let act = push(vec![commit("acme/catalog", "mine", None, main, "a", "b\n")]);
    the!(hands.act(&act).await, Acted::Failed(_) => ());
    let check = Call::Check {
        repository: name("acme/catalog"),
        commit: main,
        name: "chandlery".to_owned(),
        external_id: "k".to_owned(),
        conclusion: None,
        title: "t".to_owned(),
        summary: "s".to_owned(),
        text: None,
        run: None,
    };
    the!(hands.act(&Act::Call(check)).await, Acted::Failed(why) => assert!(why.contains("may not"), "{why}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adapter_reads_again_and_never_writes_again() {
    let world = World::new().await;
    let mut hands = world.hands();
    world.does("eve", "POST acme/catalog/issues", json!({ "title": "t" })).await;
    let fault = |method: &str, path: &str, times: u64, action: Value| json!({ "method": method, "path": path, "times": times, "action": action });
    let comments = async || {
        let answer = world.does("ada", "GET acme/catalog/issues/1/comments", Value::Null).await;
        answer.as_array().unwrap().len()
    };

    // Reading is tried again.
    world
        .controls(
            "POST faults",
            fault("GET", "permission$", 2, json!({ "kind": "failBefore", "status": 502 })),
        )
        .await;
    world.controls("POST faults", fault("POST", "graphql$", 1, json!({ "kind": "dropBefore" }))).await;
    let may = Question::Permission(name("acme/catalog"), "bo".parse().unwrap());
    the!(look(&mut hands, may.clone()).await, Answer::Permission(Permission::Maintain) => ());
    the!(look(&mut hands, Question::Issue(1)).await, Answer::Issue(Some(_)) => ());
    // Done and not told: it is not done twice.
    world
        .controls("POST faults", fault("POST", "comments$", 1, json!({ "kind": "failAfter", "status": 500 })))
        .await;
    the!(hands.act(&say(1, "x", None)).await, Acted::Failed(_) => ());
    assert_eq!(comments().await, 1);
    world.controls("POST faults", fault("POST", "comments$", 1, json!({ "kind": "dropAfter" }))).await;
    the!(hands.act(&say(1, "x", None)).await, Acted::Failed(_) => ());
    assert_eq!(comments().await, 2);
    // A short limit is waited for: what was refused was not done.
    let limit = json!({ "kind": "secondaryRateLimit", "retryAfterSeconds": 1 });
    world.controls("POST faults", fault("POST", "comments$", 1, limit)).await;
    assert_eq!(hands.act(&say(1, "x", None)).await, Acted::Done);
    assert_eq!(comments().await, 3);
    // A long one is said, and nothing more is sent until then.
    let limit = json!({ "kind": "rateLimit", "resetAfterSeconds": 3000 });
    world.controls("POST faults", fault("GET", "permission$", 1, limit)).await;
    the!(look(&mut hands, may).await, Answer::Unknown(why) => assert!(why.contains("seconds"), "{why}"));
    let calls = hands.counts().calls;
    the!(hands.act(&say(1, "x", None)).await, Acted::Postponed { seconds } => assert!(seconds > 2_900, "{seconds}"));
    assert_eq!((hands.counts().calls, comments().await), (calls, 3));
    // A push whose answer was lost is found done by the next one.
    let mut hands = world.hands();
    let main = world.head("acme/infrastructure", "main").await;
    let act = push(vec![commit("acme/infrastructure", "new", None, main, "a.tf", "a\n")]);
    world
        .controls("POST faults", fault("POST", "git-receive-pack$", 1, json!({ "kind": "dropAfter" })))
        .await;
    // (git's own HTTP may ask once more on a new connection, and is then told that the branch exists.)
    assert_ne!(hands.act(&act).await, Acted::Done);
    assert_eq!(hands.act(&act).await, Acted::Done);
}
