//! How does a request become an answer?
//!
//! Read it, let faults meet it, say who asks, run the handler behind the one lock, count and
//! record the exchange. Hyper is used directly, since a fault may have to close a connection
//! instead of answering.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sha1::{Digest, Sha1};
use tokio::sync::{Notify, mpsc, watch};

use super::apps;
use super::exchange::{Exchange, Exchanges};
use super::faults::{Action, Faults};
use super::listen::{Door, as_on_a_server};
use super::reply::{Answer, Body, Call, Refusal, Reply, read_query, refuse};
use super::store::State;
use super::webhooks::{self, Delivery};
use super::{Shared, control, git_http, graphql, motion, queue, rest};

/// The largest body; pushes come whole.
const LARGEST_BODY: usize = 512 * 1024 * 1024;

const JSON: &str = "application/json; charset=utf-8";

const RATE_LIMITED: &str = "API rate limit exceeded for user.";

/// Changes are written together when they come together.
const WRITE_DELAY: Duration = Duration::from_millis(20);

/// Writing takes at most about this share of the time, however large the state is.
const WRITE_SHARE: u32 = 20;

pub(crate) struct Forge {
    pub(crate) shared: Shared,
    pub(crate) faults: Faults,
    pub(crate) exchanges: Exchanges,
    memory: Mutex<Memory>,
    /// Held while the state's file is written, so that no two writers meet in the file beside it.
    saving: Mutex<()>,
    changed: Notify,
    pushing: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    webhooks: mpsc::UnboundedSender<Delivery>,
    undelivered: Mutex<Option<mpsc::UnboundedReceiver<Delivery>>>,
}

struct Memory {
    state: State,
    /// The state before the latest change, kept while a fault makes reads lag.
    past: Option<State>,
}

/// A request, read whole.
#[derive(Clone)]
pub(crate) struct Incoming {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    /// Where the client found the API, when that was elsewhere than the forge says of itself.
    api: Option<String>,
    headers: HeaderMap,
    pub(crate) body: Bytes,
    met: Vec<Action>,
}

impl Incoming {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a fault closed the connection")]
struct Dropped;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Forge {
    pub(crate) fn new(shared: Shared, state: State, exchanges: Exchanges) -> Arc<Self> {
        let (webhooks, undelivered) = mpsc::unbounded_channel();
        Arc::new(Self {
            shared,
            faults: Faults::default(),
            exchanges,
            memory: Mutex::new(Memory { state, past: None }),
            saving: Mutex::default(),
            changed: Notify::new(),
            pushing: Mutex::default(),
            webhooks,
            undelivered: Mutex::new(Some(undelivered)),
        })
    }

    /// One push or ref change at a time for each repository.
    pub(crate) fn push_lock(&self, key: &str) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(lock(&self.pushing).entry(key.to_owned()).or_default())
    }

    /// Lets follow what moved in the repositories and was not written before the forge was killed.
    pub(crate) fn catch_up(&self) -> Result<()> {
        let keys: Vec<String> = lock(&self.memory).state.repositories.keys().cloned().collect();
        let nobody = Incoming {
            method: "POST".to_owned(),
            path: String::new(),
            query: String::new(),
            api: None,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            met: Vec::new(),
        };
        for key in keys {
            self.with_change(&nobody, |call| motion::notice_all(call, &key)).map_err(|_| {
                anyhow::anyhow!("cannot read the repository `{key}`: if it was removed, remove the state too")
            })?;
        }
        Ok(())
    }

    /// Writes the state beside its file and moves it there.
    pub(crate) fn save(&self) -> Result<()> {
        let _alone = lock(&self.saving);
        let text = serde_json::to_vec(&lock(&self.memory).state).context("cannot write the forge's state")?;
        let path = self.shared.root.join("state.json");
        let fresh = self.shared.root.join("state.json.new");
        #[expect(clippy::disallowed_methods, reason = "the forge's own state file")]
        std::fs::write(&fresh, text).with_context(|| format!("cannot write `{}`", fresh.display()))?;
        std::fs::rename(&fresh, &path).with_context(|| format!("cannot write `{}`", path.display()))
    }

    /// Runs something that only looks.
    pub(crate) fn with_call<T>(
        &self,
        incoming: &Incoming,
        look: impl FnOnce(&mut Call<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut memory = lock(&self.memory);
        let Memory { state, past } = &mut *memory;
        let late = incoming.met.contains(&Action::Lag);
        let state = if late { past.as_mut().unwrap_or(state) } else { state };
        let (answer, _) = self.run(state, incoming, look)?;
        Ok(answer)
    }

    /// Runs something that may change the state; the change is written soon after.
    pub(crate) fn with_change<T>(
        &self,
        incoming: &Incoming,
        change: impl FnOnce(&mut Call<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut memory = lock(&self.memory);
        if self.faults.may_lag() {
            memory.past = Some(memory.state.clone());
        }
        let result = self.run(&mut memory.state, incoming, |call| {
            let answer = change(call)?;
            queue::settle(call)?;
            Ok(answer)
        });
        self.changed.notify_one();
        let (answer, events) = result?;
        let copies = if incoming.met.contains(&Action::LoseWebhooks) {
            0
        } else {
            1 + usize::from(incoming.met.contains(&Action::RepeatWebhooks))
        };
        for delivery in webhooks::deliveries(&mut memory.state, events, copies) {
            drop(self.webhooks.send(delivery));
        }
        Ok(answer)
    }

    fn run<T>(
        &self,
        state: &mut State,
        incoming: &Incoming,
        handler: impl FnOnce(&mut Call<'_>) -> Result<T, Refusal>,
    ) -> Result<(T, Vec<super::reply::HookEvent>), Refusal> {
        let (mut actor, mut app, mut grant) = (None, None, None);
        if let Some(token) = git_http::token(incoming.header("authorization")) {
            if let Some(user) = state.user_of_token(&token) {
                actor = Some(user.login.clone());
            } else if let Some(found) = apps::grant_of_token(state, &token) {
                if apps::is_suspended(state, &found) {
                    return Err(apps::suspended());
                }
                actor = state.apps.get(&found.app).map(apps::App::login);
                grant = Some(found);
            } else if token.split('.').count() == 3 {
                app = Some(apps::app_of_jwt(state, &token)?);
            } else {
                return Err(refuse(401, "Bad credentials"));
            }
        }
        let body = serde_json::from_slice(&incoming.body).unwrap_or(Value::Null);
        let mut call = Call {
            shared: &self.shared,
            state,
            actor,
            app,
            grant,
            method: &incoming.method,
            api: incoming.api.clone().unwrap_or_else(|| format!("{}/api/v3", self.shared.url)),
            path: incoming.path.strip_prefix("/api/v3").unwrap_or(&incoming.path),
            query: read_query(&incoming.query),
            body,
            accept: incoming.header("accept"),
            events: Vec::new(),
        };
        let answer = handler(&mut call)?;
        Ok((answer, call.events))
    }

    fn rest(&self, incoming: &Incoming) -> Answer {
        let readable = incoming.method == "GET" || incoming.body.is_empty();
        if !readable && serde_json::from_slice::<serde::de::IgnoredAny>(&incoming.body).is_err() {
            return Err(refuse(400, "Problems parsing JSON"));
        }
        if incoming.method == "GET" {
            self.with_call(incoming, rest::route)
        } else {
            self.with_change(incoming, rest::route)
        }
    }

    fn who(&self, incoming: &Incoming) -> (Option<String>, Timestamp) {
        let state = &lock(&self.memory).state;
        let token = git_http::token(incoming.header("authorization"));
        let user = token.and_then(|token| match state.user_of_token(&token) {
            Some(user) => Some(user.login.clone()),
            None => state.apps.get(&apps::grant_of_token(state, &token)?.app).map(apps::App::login),
        });
        (user, state.now())
    }

    /// Whether the caller has spent the calls of this hour; Git and looking at the limit are free.
    fn is_spent(&self, incoming: &Incoming) -> bool {
        let (actor, now) = self.who(incoming);
        let counted = incoming.path.starts_with("/api/") && !incoming.path.ends_with("/rate_limit");
        counted && self.shared.limits.peek(actor.as_deref(), now).remaining == 0
    }

    /// Adds what every answer of the API carries.
    fn finish(&self, incoming: &Incoming, mut reply: Reply) -> Reply {
        let (actor, now) = self.who(incoming);
        // Rendered once: the bytes are hashed here and sent later.
        if let Body::Json(body) = &reply.body {
            reply.body = Body::Text(JSON, body.to_string().into_bytes());
        }
        if incoming.method == "GET" && reply.status == 200 {
            let etag = format!("W/\"{}\"", hex::encode(Sha1::digest(bytes(&reply.body).as_ref())));
            if incoming.header("if-none-match") == etag {
                reply.status = 304;
                reply.body = Body::Empty;
            }
            reply.headers.push(("etag", etag));
            reply.headers.push(("cache-control", "private, max-age=60, s-maxage=60".to_owned()));
        }
        // An answer from the client's own cache costs nothing.
        let free = reply.status == 304 || incoming.path.ends_with("/rate_limit");
        let limit = if free {
            self.shared.limits.peek(actor.as_deref(), now)
        } else {
            self.shared.limits.count(actor.as_deref(), now)
        };
        let spent = reply.headers.iter().any(|(name, _)| *name == "x-ratelimit-remaining");
        if !spent {
            reply.headers.push(("x-ratelimit-remaining", limit.remaining.to_string()));
            reply.headers.push(("x-ratelimit-reset", limit.reset.to_string()));
        }
        reply.headers.push(("x-ratelimit-limit", limit.limit.to_string()));
        reply.headers.push(("x-ratelimit-used", limit.used.to_string()));
        reply.headers.push(("x-ratelimit-resource", "core".to_owned()));
        reply.headers.push(("x-github-media-type", "github.v3; format=json".to_owned()));
        reply.headers.push(("x-github-api-version-selected", "2022-11-28".to_owned()));
        reply
    }

    /// What a fault answers instead of acting.
    fn refused_by_fault(&self, action: &Action) -> Option<Reply> {
        let now = lock(&self.memory).state.now();
        match action {
            Action::FailBefore { status } => Some(failure(*status)),
            Action::RateLimit { reset_after_seconds } => {
                let mut reply = *refuse(403, RATE_LIMITED).0;
                let reset = now + SignedDuration::from_secs(*reset_after_seconds);
                reply.headers.push(("x-ratelimit-remaining", "0".to_owned()));
                reply.headers.push(("x-ratelimit-reset", reset.as_second().to_string()));
                Some(reply)
            }
            Action::SecondaryRateLimit { status, retry_after_seconds } => {
                let message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
                let mut reply = *refuse(*status, message).0;
                reply.headers.push(("retry-after", retry_after_seconds.to_string()));
                Some(reply)
            }
            Action::FailAfter { .. }
            | Action::DropBefore
            | Action::DropAfter
            | Action::Delay { .. }
            | Action::LoseWebhooks
            | Action::RepeatWebhooks
            | Action::Lag => None,
        }
    }
}

fn failure(status: u16) -> Reply {
    *refuse(status, if status == 502 { "Server Error" } else { "Service unavailable" }).0
}

fn bytes(body: &Body) -> Cow<'_, [u8]> {
    match body {
        Body::Empty => Cow::default(),
        Body::Json(value) => value.to_string().into_bytes().into(),
        Body::Text(_, bytes) => bytes.into(),
    }
}

/// The REST path that shows what GitHub would show on this page, so that links lead somewhere.
fn page(path: &str) -> Option<String> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let (owner, name, rest) = match segments.as_slice() {
        [owner, name, rest @ ..] if !name.ends_with(".git") => (owner, name, rest),
        _ => return None,
    };
    let below = match rest {
        [] => String::new(),
        ["pull", number] => format!("/pulls/{number}"),
        ["issues", number] => format!("/issues/{number}"),
        ["commit", sha] => format!("/commits/{sha}"),
        ["runs", id] => format!("/check-runs/{id}"),
        ["compare", range] => format!("/compare/{range}"),
        ["blob" | "tree" | "raw", revision, path @ ..] => {
            format!("/contents/{}?ref={revision}", path.join("/"))
        }
        _ => return None,
    };
    Some(format!("/repos/{owner}/{name}{below}"))
}

/// Whether this call moves refs, and so must not overlap with a push.
fn moves_refs(method: &str, path: &str) -> bool {
    let moving = [
        "/git/refs",
        "/check-runs",
        "/statuses/",
        "/contents/",
        "/merge",
        "/rename",
        "/update-branch",
        "/forks",
        "/merge-upstream",
    ];
    method != "GET" && moving.iter().any(|part| path.contains(part))
}

async fn act(forge: &Arc<Forge>, incoming: &Incoming) -> Reply {
    let api = incoming.path.starts_with("/api/") || incoming.path.starts_with("/_control/");
    if let Some(page) = page(&incoming.path).filter(|_| !api && incoming.method == "GET") {
        let location = vec![("location", format!("{}/api/v3{page}", forge.shared.url))];
        return Reply { status: 302, body: Body::Empty, headers: location };
    }
    if !api {
        forge.exchanges.git(git_http::split(&incoming.path).map_or("other", |(_, _, service)| service));
        return git_http::serve(forge, incoming).await;
    }
    let key = incoming.path.split('/').skip(4).take(2).collect::<Vec<_>>().join("/");
    let lock = moves_refs(&incoming.method, &incoming.path).then(|| forge.push_lock(&key));
    let _guard = match &lock {
        Some(lock) => Some(lock.lock().await),
        None => None,
    };
    let (own, request) = (Arc::clone(forge), incoming.clone());
    let answered = tokio::task::spawn_blocking(move || match request.path.as_str() {
        path if path.starts_with("/_control/") => control::answer(&own, &request),
        "/api/graphql" if graphql::changes(&request.body) => own.with_change(&request, graphql::answer),
        "/api/graphql" => own.with_call(&request, graphql::answer),
        path if path == "/api/v3" || path.starts_with("/api/v3/") => own.rest(&request),
        _ => Err(super::reply::not_found()),
    });
    match answered.await {
        Ok(Ok(reply)) => reply,
        Ok(Err(Refusal(reply))) => *reply,
        Err(error) => *refuse(500, format!("Server Error: {error}")).0,
    }
}

async fn answer(forge: &Arc<Forge>, incoming: &Incoming) -> Result<Reply, Dropped> {
    forge.faults.hold(&incoming.met, false).await;
    if incoming.met.contains(&Action::DropBefore) {
        return Err(Dropped);
    }
    let refused = incoming.met.iter().find_map(|action| forge.refused_by_fault(action));
    let acted = refused.is_none();
    let mut reply = match refused {
        Some(reply) => reply,
        None if forge.is_spent(incoming) => *refuse(403, RATE_LIMITED).0,
        None => act(forge, incoming).await,
    };
    if acted {
        forge.faults.hold(&incoming.met, true).await;
        for action in &incoming.met {
            match action {
                Action::DropAfter => return Err(Dropped),
                Action::FailAfter { status } => reply = failure(*status),
                _ => {}
            }
        }
    }
    if incoming.path.starts_with("/api/") {
        reply = forge.finish(incoming, reply);
    }
    Ok(reply)
}

fn record(forge: &Forge, incoming: &Incoming, reply: &Reply, body: &[u8], kind: &str) {
    let Some(path) = incoming.path.strip_prefix("/api/v3") else {
        if incoming.path == "/api/graphql" {
            forge.exchanges.graphql();
        }
        return;
    };
    let request = serde_json::from_slice(&incoming.body).unwrap_or(Value::Null);
    forge.exchanges.rest(&Exchange {
        method: &incoming.method,
        path,
        query: &incoming.query,
        request: &request,
        status: reply.status,
        content_type: kind,
        response: body,
    });
}

async fn respond(
    forge: Arc<Forge>,
    request: Request<hyper::body::Incoming>,
    as_github: bool,
) -> Result<Response<Full<Bytes>>, Dropped> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_BODY).collect().await.map_err(|_| Dropped)?.to_bytes();
    let mut incoming = Incoming {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        api: None,
        headers: parts.headers,
        body,
        met: Vec::new(),
    };
    if as_github {
        incoming.path = as_on_a_server(&incoming.path);
        // A client sends its token on to the host that it asked and to no other, so links lead there.
        incoming.api = Some(format!("https://{}", incoming.header("host")));
    }
    if !incoming.path.starts_with("/_control/") {
        incoming.met = forge.faults.meet(&incoming.method, &incoming.path);
    }
    let reply = answer(&forge, &incoming).await?;
    let kind = match &reply.body {
        Body::Empty => "",
        Body::Json(_) => JSON,
        Body::Text(kind, _) => kind,
    };
    let bytes = bytes(&reply.body).into_owned();
    record(&forge, &incoming, &reply, &bytes, kind);
    let now = lock(&forge.memory).state.now();
    let mut response = Response::builder()
        .status(StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .header("date", now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
    if !kind.is_empty() {
        response = response.header("content-type", kind);
    }
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    response.body(Full::from(bytes)).map_err(|_| Dropped)
}

/// Serves until told to stop, then writes the state a last time.
pub(crate) async fn serve(
    forge: Arc<Forge>,
    doors: Vec<Door>,
    mut stopped: watch::Receiver<bool>,
) -> Result<()> {
    let undelivered = lock(&forge.undelivered).take();
    let mut background = tokio::task::JoinSet::new();
    if let Some(undelivered) = undelivered {
        background.spawn(webhooks::deliver_all(undelivered));
    }
    background.spawn(save_changes(Arc::clone(&forge)));
    let mut open = tokio::task::JoinSet::new();
    for door in doors {
        open.spawn(receive(Arc::clone(&forge), door, stopped.clone()));
    }
    drop(stopped.changed().await);
    while open.join_next().await.is_some() {}
    background.shutdown().await;
    forge.save()
}

/// Lets clients in by one door until told to stop.
async fn receive(forge: Arc<Forge>, door: Door, mut stopped: watch::Receiver<bool>) {
    let mut connections = tokio::task::JoinSet::new();
    let as_github = door.is_github();
    loop {
        let accepted = tokio::select! {
            accepted = door.accept() => accepted,
            _ = stopped.changed() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let Ok(stream) = accepted else { continue };
        let forge = Arc::clone(&forge);
        connections.spawn(async move {
            let service = service_fn(move |request| respond(Arc::clone(&forge), request, as_github));
            let served = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    connections.shutdown().await;
}

async fn save_changes(forge: Arc<Forge>) {
    loop {
        forge.changed.notified().await;
        tokio::time::sleep(WRITE_DELAY).await;
        let writer = Arc::clone(&forge);
        let started = tokio::time::Instant::now();
        let written = tokio::task::spawn_blocking(move || writer.save()).await;
        if let Ok(Err(error)) = written {
            tracing::error!(error = format!("{error:#}"), "the forge's state is not written");
        }
        tokio::time::sleep(started.elapsed() * WRITE_SHARE).await;
    }
}
