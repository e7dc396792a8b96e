//! How is the forge spoken to? Within its limits, with reading calls tried again and writing
//! calls never: a write whose answer was lost may have been done, and the next turn will see it.

mod error;
mod text;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http_body_util::{BodyExt, Limited};
use hyper::{Method, Request, Uri};
use octocrab::Octocrab;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::{
    identity::{Credentials, Identity, Use},
    kept::{self, Kept},
    pace::{Pace, Sent},
    reply::{GraphError, Reply, read_date},
};
use crate::domain::{Login, RepoName, Secret, Timestamp};

pub use error::ForgeError;
use text::causes;
pub(crate) use text::encode;

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long all calls of one look or act together wait for the forge's limits.
const WAIT: Duration = Duration::from_secs(60);
/// What to wait when a limit does not say how long; GitHub's advice.
pub(super) const UNTOLD_WAIT: Duration = Duration::from_secs(60);
/// How often a reading call is tried, and how long the first pause is; each is four times the last.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(250);
/// No answer is larger than this.
const LARGEST_ANSWER: usize = 32 << 20;
/// A list with more pages than this is not read to its end.
pub(super) const MOST_PAGES: usize = 20;

/// How we treat a forge.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    /// How fast we write; none where there is no limit.
    pub pace: Option<Pace>,
    /// Where answers are kept, so that they are asked for again only if they changed.
    pub answers: Option<PathBuf>,
    /// Whose account is taken for ours, where somebody else only reads what it did.
    pub seen_as: Option<Login>,
}

/// What was asked of the forge so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Calls, each try of them.
    pub calls: u64,
    /// Those of them whose answer was the same as before, which the forge does not count.
    pub unchanged: u64,
    /// Lists that were not asked for, since nothing in them can have changed.
    pub spared: u64,
    /// Calls that change something.
    pub writes: u64,
    /// What GraphQL cost.
    pub points: u64,
    /// The forge's clock, when it last answered.
    pub now: Option<Timestamp>,
    waited: Duration,
    closed_until: Option<Instant>,
    /// Whether a call was put off, so that only last words are left to say.
    put_off: bool,
}

pub(super) struct Wire {
    crab: Octocrab,
    identity: Identity,
    rest: String,
    graphql: String,
    origin: String,
    tally: Mutex<Tally>,
    kept: Kept,
    pace: Option<Pace>,
    seen_as: Option<Login>,
    sent: Mutex<Sent>,
    /// Where we may make no check runs, as the forge has said.
    no_checks: Mutex<BTreeSet<RepoName>>,
}

/// Asks the forge. It cannot change anything.
#[derive(Clone)]
pub struct Reader(Arc<Wire>);

/// Changes things on the forge.
pub struct Writer(Arc<Wire>);

/// One call, as it is sent.
struct Call<'a> {
    method: &'a Method,
    path: &'a str,
    body: Option<&'a Value>,
    /// What we know of the answer already.
    etag: Option<&'a str>,
}

/// Gets ready to speak to a forge; must be called within tokio's runtime.
///
/// # Errors
/// When the address cannot be used.
pub fn connect(
    api_url: &str,
    credentials: &Credentials,
    catalog: &RepoName,
    manners: Manners,
) -> Result<(Reader, Writer), ForgeError> {
    let bad = |why: &str| ForgeError::Address { url: api_url.to_owned(), why: why.to_owned() };
    let uri: Uri = api_url.parse().map_err(|_| bad("it cannot be read; write it as https://host/api/v3"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(bad("write it as https://host/api/v3"));
    };
    let loopback = matches!(authority.host(), "127.0.0.1" | "localhost" | "[::1]");
    if scheme != "https" && !(scheme == "http" && loopback) {
        return Err(bad("a token must not travel in the open; use https"));
    }
    if authority.as_str().contains('@') {
        return Err(bad("it holds a user name or password; give the token apart from it"));
    }
    let origin = format!("{scheme}://{authority}");
    let rest = uri.path().trim_end_matches('/').to_owned();
    // https://docs.github.com/en/graphql/guides/forming-calls-with-graphql: `/graphql` on github.com, and on a
    // server of one's own `/api/graphql` beside `/api/v3`.
    let graphql = match rest.strip_suffix("/v3") {
        Some(sibling) => format!("{sibling}/graphql"),
        None => format!("{rest}/graphql"),
    };
    // The process may have chosen its cryptography already.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let crab = Octocrab::builder()
        .base_uri(&origin)
        .map_err(|error| bad(&error.to_string()))?
        .upload_uri(&origin)
        .map_err(|error| bad(&error.to_string()))?
        // octocrab would send any request again, a POST too.
        .add_retry_config(octocrab::service::middleware::retry::RetryConfig::None)
        .set_connect_timeout(Some(Duration::from_secs(10)))
        .set_read_timeout(Some(PATIENCE))
        .build()
        .map_err(|error| bad(&error.to_string()))?;
    let identity = Identity::new(credentials, catalog)?;
    let wire = Arc::new(Wire {
        crab,
        identity,
        rest,
        graphql,
        origin,
        tally: Mutex::default(),
        kept: Kept::new(manners.answers, credentials.secret().clone()),
        pace: manners.pace,
        seen_as: manners.seen_as,
        sent: Mutex::default(),
        no_checks: Mutex::default(),
    });
    Ok((Reader(Arc::clone(&wire)), Writer(wire)))
}

impl Reader {
    /// What was asked so far, by the writer too.
    pub fn tally(&self) -> Tally {
        *self.0.tally()
    }

    /// Begins a new look or act, which may wait for limits once more.
    pub fn begin(&self) {
        self.0.tally().waited = Duration::ZERO;
    }

    /// The token with which Git reads a repository.
    ///
    /// # Errors
    /// When there is none.
    pub async fn git_token(&self, name: &RepoName) -> Result<Secret, ForgeError> {
        self.0.identity.token(&self.0, Use::Read, name).await
    }

    /// Whether one token reads everything, whoever owns it.
    pub(super) fn is_one_token(&self) -> bool {
        self.0.identity.is_one_token()
    }

    /// Reads a path; `on` is the repository that it is about.
    pub(super) async fn get(&self, on: &RepoName, path: &str) -> Result<Reply, ForgeError> {
        self.0.call(Method::GET, &self.path(path), None, (Use::Read, on)).await
    }

    /// Reads a path as nobody.
    pub(super) async fn as_nobody(&self, path: &str) -> Result<Reply, ForgeError> {
        let path = format!("{}{path}", self.0.rest);
        let what = format!("GET {path}");
        self.0.tally().calls += 1;
        let call = Call { method: &Method::GET, path: &path, body: None, etag: None };
        let answer = timeout(PATIENCE, self.0.once(&call, &what, None)).await;
        let reply = answer.map_err(|_| ForgeError::Silent { what, why: "it took too long".to_owned() })??;
        self.0.hear_the_time(&reply);
        Ok(reply)
    }

    /// Reads a path as the App itself; none when we are no App.
    pub(super) async fn as_app(&self, path: &str) -> Result<Option<Reply>, ForgeError> {
        match self.0.identity.itself(&self.0).await? {
            Some(jwt) => self.0.as_app(Method::GET, path, None, &jwt).await.map(Some),
            None => Ok(None),
        }
    }

    /// All pages of a list.
    pub(super) async fn pages(&self, on: &RepoName, path: &str) -> Result<Vec<Value>, ForgeError> {
        let mut items = Vec::new();
        let mut next = self.path(path);
        for _ in 0..MOST_PAGES {
            let (page, more) = self.page(on, &next).await?;
            items.extend(page);
            match more {
                Some(path) => next = path,
                None => return Ok(items),
            }
        }
        Err(ForgeError::Strange {
            what: format!("GET {path}"),
            why: format!("the list has more than {MOST_PAGES} pages"),
        })
    }

    /// One page of a list, by its whole path, and the path of the next one.
    pub(super) async fn page(
        &self,
        on: &RepoName,
        path: &str,
    ) -> Result<(Vec<Value>, Option<String>), ForgeError> {
        let reply = self.0.call(Method::GET, path, None, (Use::Read, on)).await?.success()?;
        let Value::Array(page) = reply.json()? else {
            return Err(reply.strange("it is no list"));
        };
        Ok((page, reply.next_page(&self.0.origin)))
    }

    /// One page of a list that stands under a name.
    pub(super) async fn page_of(
        &self,
        on: &RepoName,
        path: &str,
        name: &str,
    ) -> Result<(Vec<Value>, Option<String>), ForgeError> {
        let reply = self.0.call(Method::GET, path, None, (Use::Read, on)).await?.success()?;
        let Value::Array(page) = reply.json()?[name].take() else {
            return Err(reply.strange("it holds no list"));
        };
        Ok((page, reply.next_page(&self.0.origin)))
    }

    /// A path of the REST API as it is sent.
    pub(super) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.0.rest)
    }

    /// What was answered before.
    pub(super) fn kept(&self) -> &Kept {
        &self.0.kept
    }

    /// A list need not be read.
    pub(super) fn spared(&self) {
        self.0.tally().spared += 1;
    }

    /// Asks a query about repositories of one owner; parts of its answer may be missing, with a reason each.
    pub(super) async fn graphql(
        &self,
        on: &RepoName,
        query: &str,
    ) -> Result<(Value, Vec<GraphError>), ForgeError> {
        let body = json!({ "query": query });
        let reply =
            self.0.call(Method::POST, &self.0.graphql, Some(&body), (Use::Read, on)).await?.success()?;
        let mut answer = reply.json()?;
        let errors: Vec<GraphError> =
            answer["errors"].as_array().into_iter().flatten().map(GraphError::read).collect();
        let mut data = answer["data"].take();
        if !data.is_object() {
            let words: Vec<&str> = errors.iter().map(|error| error.words.as_str()).collect();
            return Err(reply.strange(&words.join("; ")));
        }
        self.0.tally().points += data["rateLimit"]["cost"].as_u64().unwrap_or(0);
        if let Some(login) = &self.0.seen_as {
            data["viewer"]["login"] = login.as_str().into();
        }
        Ok((data, errors))
    }
}

impl Writer {
    /// Changes something by GraphQL, once; what was wrong is in `errors` of the answer.
    pub(super) async fn mutate(
        &self,
        on: &RepoName,
        query: &str,
        variables: &Value,
    ) -> Result<Value, ForgeError> {
        self.0.keep_pace().await?;
        self.0.tally().writes += 1;
        let body = json!({ "query": query, "variables": variables });
        let reply = self.0.call(Method::POST, &self.0.graphql, Some(&body), (Use::Write, on)).await?;
        reply.success()?.json()
    }

    /// Changes something, once.
    pub(super) async fn send(
        &self,
        on: &RepoName,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Reply, ForgeError> {
        self.0.keep_pace().await?;
        self.0.tally().writes += 1;
        let body = (!body.is_null()).then_some(body);
        self.0.call(method, &format!("{}/repos/{on}{path}", self.0.rest), body, (Use::Write, on)).await
    }

    /// Whether the forge has said that we may make no check runs there.
    pub(super) fn makes_no_checks(&self, on: &RepoName) -> bool {
        self.0.no_checks.lock().unwrap_or_else(PoisonError::into_inner).contains(on)
    }

    /// Remembers that.
    pub(super) fn note_no_checks(&self, on: &RepoName) {
        self.0.no_checks.lock().unwrap_or_else(PoisonError::into_inner).insert(on.clone());
    }

    /// Reads a path below a repository.
    pub(super) async fn look(&self, on: &RepoName, path: &str) -> Result<Reply, ForgeError> {
        self.0.call(Method::GET, &format!("{}/repos/{on}{path}", self.0.rest), None, (Use::Write, on)).await
    }

    /// The token with which Git writes to a repository.
    ///
    /// # Errors
    /// When there is none.
    pub async fn git_token(&self, name: &RepoName) -> Result<Secret, ForgeError> {
        self.0.identity.token(&self.0, Use::Write, name).await
    }
}

impl Wire {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        (usage, on): (Use, &RepoName),
    ) -> Result<Reply, ForgeError> {
        let what = format!("{method} {path}");
        let mut pause = PAUSE;
        let mut renewed = false;
        let mut tries = if usage == Use::Read { TRIES } else { 1 };
        loop {
            self.wait().await?;
            tries -= 1;
            let token = self.identity.token(self, usage, on).await?;
            self.tally().calls += 1;
            let known = (method == Method::GET).then(|| self.kept.get(path)).flatten();
            let call =
                Call { method: &method, path, body, etag: known.as_ref().map(|known| known.etag.as_str()) };
            let answer = match timeout(PATIENCE, self.once(&call, &what, Some(&token))).await {
                Ok(answer) => answer.map(|reply| self.as_before(reply, known)),
                Err(_) => Err(ForgeError::Silent { what: what.clone(), why: "it took too long".to_owned() }),
            };
            match answer {
                Err(error) if tries == 0 => return Err(error),
                Err(error) => warn!(%error, "asking again"),
                Ok(reply) => {
                    debug!(call = %what, status = reply.status, "answered");
                    let now = self.hear_the_time(&reply);
                    // A token that was revoked did nothing, so even a write may be sent again with another.
                    if reply.status == 401 && !renewed && self.identity.forget(usage, on).await {
                        renewed = true;
                        tries += 1;
                        continue;
                    }
                    if let Some(closed) = reply.limit(now) {
                        // Nothing was done, so even a write may be sent again.
                        warn!(call = %what, seconds = closed.as_secs(), "the forge's rate limit is reached");
                        self.tally().closed_until = Some(Instant::now() + closed);
                        tries += 1;
                        continue;
                    }
                    if reply.status < 500 || tries == 0 {
                        return Ok(reply);
                    }
                    warn!(call = %what, status = reply.status, "asking again");
                }
            }
            sleep(pause).await;
            pause *= 4;
        }
    }

    /// The answer, or what it was before if it is the same; what may be asked for again is kept.
    fn as_before(&self, mut reply: Reply, known: Option<kept::Answer>) -> Reply {
        match (reply.status, known) {
            (304, Some(known)) => {
                self.tally().unchanged += 1;
                reply.status = 200;
                reply.body = known.body.into_bytes();
                reply.headers.remove("link");
                if let Some(link) = known.link.and_then(|link| link.parse().ok()) {
                    reply.headers.insert("link", link);
                }
            }
            (200, _) if reply.what.starts_with("GET ") => {
                if let (Some(path), Some(etag)) = (reply.what.strip_prefix("GET "), reply.header("etag")) {
                    self.kept.keep(path, etag, reply.header("link"), &reply.body);
                }
            }
            _ => {}
        }
        reply
    }

    /// Waits until another writing call may be made, if that is soon. What is said when something was put off may use
    /// what is kept for that, and does not wait.
    async fn keep_pace(&self) -> Result<(), ForgeError> {
        let Some(pace) = self.pace else { return Ok(()) };
        loop {
            let now = Instant::now();
            let wait = {
                let mut tally = self.tally();
                let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
                let wait = sent.wait(pace, now.into_std(), tally.put_off);
                if wait.is_zero() {
                    sent.note(now.into_std());
                    return Ok(());
                }
                if tally.put_off || tally.waited + wait > WAIT {
                    tally.put_off = true;
                    return Err(ForgeError::Limited { seconds: wait.as_secs() + 1 });
                }
                tally.waited += wait;
                wait
            };
            debug!(seconds = wait.as_secs(), "keeping the forge's pace");
            sleep(wait).await;
        }
    }

    /// Notes the time that an answer tells.
    fn hear_the_time(&self, reply: &Reply) -> Option<Timestamp> {
        let now = reply.header("date").and_then(read_date);
        if now.is_some() {
            self.tally().now = now;
        }
        now
    }

    /// The forge's clock as last heard; it is asked for if it never was.
    pub(super) async fn now(&self) -> Result<Timestamp, ForgeError> {
        let known = self.tally().now;
        if let Some(now) = known {
            return Ok(now);
        }
        let path = format!("{}/rate_limit", self.rest);
        let what = format!("GET {path}");
        self.tally().calls += 1;
        let call = Call { method: &Method::GET, path: &path, body: None, etag: None };
        let reply = self.once(&call, &what, None).await?;
        self.hear_the_time(&reply).ok_or_else(|| reply.strange("it does not tell the time"))
    }

    /// A call of the App itself, with what it signed.
    pub(super) async fn as_app(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        jwt: &Secret,
    ) -> Result<Reply, ForgeError> {
        let path = format!("{}{path}", self.rest);
        let what = format!("{method} {path}");
        self.wait().await?;
        self.tally().calls += 1;
        let call = Call { method: &method, path: &path, body, etag: None };
        let answer = timeout(PATIENCE, self.once(&call, &what, Some(jwt))).await;
        let reply = answer.map_err(|_| ForgeError::Silent { what, why: "it took too long".to_owned() })??;
        self.hear_the_time(&reply);
        Ok(reply)
    }

    /// Waits for the forge's limit to pass, if that is soon.
    async fn wait(&self) -> Result<(), ForgeError> {
        let left = {
            let mut tally = self.tally();
            let Some(until) = tally.closed_until else {
                return Ok(());
            };
            let left = until.saturating_duration_since(Instant::now());
            if tally.waited + left > WAIT {
                return Err(ForgeError::Limited { seconds: left.as_secs() + 1 });
            }
            tally.waited += left;
            tally.closed_until = None;
            left
        };
        sleep(left).await;
        Ok(())
    }

    async fn once(&self, call: &Call<'_>, what: &str, token: Option<&Secret>) -> Result<Reply, ForgeError> {
        let Call { method, path, body, etag } = *call;
        let silent =
            |error: &dyn std::error::Error| ForgeError::Silent { what: what.to_owned(), why: causes(error) };
        let mut builder = Request::builder().method(method.clone()).uri(path);
        if let Some(token) = token {
            builder = builder.header("authorization", format!("Bearer {}", token.expose()));
        }
        if let Some(etag) = etag {
            builder = builder.header("if-none-match", etag);
        }
        let request = self.crab.build_request(builder, body).map_err(|error| silent(&error))?;
        let response = self.crab.execute(request).await.map_err(|error| silent(&error))?;
        let (parts, body) = response.into_parts();
        let body =
            Limited::new(body, LARGEST_ANSWER).collect().await.map_err(|error| silent(&*error))?.to_bytes();
        Ok(Reply {
            what: what.to_owned(),
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_travel_in_the_open() {
        for url in
            ["http://forge.test/api/v3", "ftp://x", "forge.test", "https://me:secret@forge.test/api/v3"]
        {
            let token = Credentials::Token(Secret::new("x"));
            let tried = connect(url, &token, &"a/b".parse().unwrap(), Manners::default());
            assert!(matches!(tried, Err(ForgeError::Address { .. })), "{url}");
        }
    }
}
