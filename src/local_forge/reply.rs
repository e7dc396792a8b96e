//! What does a handler get, and what may it answer?
//!
//! A handler is a plain function from a `Call` to an `Answer`. Errors have the bodies that
//! GitHub gives them: a message, a link to its documentation, and for 422 a list of fields.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};

use super::apps::Grant;
use super::store::{Permission, Repository, State, User};
use super::{Shared, objects, render::View};

pub(crate) const DOCUMENTATION: &str = "https://docs.github.com/rest";

/// GitHub's default and largest page.
const PAGE: usize = 30;
const LARGEST_PAGE: usize = 100;

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Body,
    pub(crate) headers: Vec<(&'static str, String)>,
}

#[derive(Debug)]
pub(crate) enum Body {
    Empty,
    Json(Value),
    Text(&'static str, Vec<u8>),
}

#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) Box<Reply>);

pub(crate) type Answer = Result<Reply, Refusal>;

impl Reply {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self { status, body: Body::Json(body), headers: Vec::new() }
    }

    pub(crate) fn raw(kind: &'static str, bytes: Vec<u8>) -> Self {
        Self { status: 200, body: Body::Text(kind, bytes), headers: Vec::new() }
    }

    pub(crate) fn empty() -> Self {
        Self { status: 204, body: Body::Empty, headers: Vec::new() }
    }
}

pub(crate) fn ok(body: Value) -> Answer {
    Ok(Reply::json(200, body))
}

pub(crate) fn created(body: Value) -> Answer {
    let location = body.get("url").and_then(Value::as_str).map(str::to_owned);
    let mut reply = Reply::json(201, body);
    reply.headers.extend(location.map(|url| ("location", url)));
    Ok(reply)
}

pub(crate) fn refuse(status: u16, message: impl Into<String>) -> Refusal {
    let body = json!({
        "message": message.into(),
        "documentation_url": DOCUMENTATION,
        "status": status.to_string(),
    });
    Refusal(Box::new(Reply::json(status, body)))
}

pub(crate) fn not_found() -> Refusal {
    refuse(404, "Not Found")
}

/// 422 with the list of fields; `code` is `missing_field`, `invalid`, `already_exists`, `custom` …
pub(crate) fn invalid(resource: &str, field: &str, code: &str, message: Option<&str>) -> Refusal {
    let mut error = json!({"resource": resource, "field": field, "code": code});
    if let Some(message) = message {
        error["message"] = message.into();
    }
    let body = json!({
        "message": "Validation Failed",
        "errors": [error],
        "documentation_url": DOCUMENTATION,
        "status": "422",
    });
    Refusal(Box::new(Reply::json(422, body)))
}

impl From<git2::Error> for Refusal {
    fn from(error: git2::Error) -> Self {
        if error.code() == git2::ErrorCode::NotFound {
            return not_found();
        }
        refuse(422, format!("Git: {}", error.message()))
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        refuse(500, format!("Server Error: {error}"))
    }
}

/// One request, read and authenticated, with the state it may change.
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) state: &'a mut State,
    pub(crate) actor: Option<String>,
    /// The App that speaks for itself, with a JWT.
    pub(crate) app: Option<u64>,
    /// What the token of an installation allows, when one is used.
    pub(crate) grant: Option<Grant>,
    pub(crate) method: &'a str,
    /// What the path is below, as the client knows it.
    pub(crate) api: String,
    pub(crate) path: &'a str,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: Value,
    pub(crate) accept: &'a str,
    /// Events for webhooks, in the order in which they happened.
    pub(crate) events: Vec<HookEvent>,
}

/// Something a webhook may want to hear of.
pub(crate) struct HookEvent {
    pub(crate) repository: String,
    pub(crate) name: &'static str,
    pub(crate) payload: Value,
}

impl Call<'_> {
    pub(crate) fn view(&self) -> View<'_> {
        View { state: self.state, shared: self.shared }
    }

    /// The caller, or 401.
    pub(crate) fn actor(&self) -> Result<String, Refusal> {
        self.actor.clone().ok_or_else(|| refuse(401, "Requires authentication"))
    }

    pub(crate) fn actor_user(&self) -> Result<&User, Refusal> {
        let login = self.actor()?;
        self.state.users.get(&login).ok_or_else(not_found)
    }

    /// The key of a repository on which the caller has at least this permission. What may not
    /// be read is not found.
    pub(crate) fn repository_key(
        &self,
        owner: &str,
        name: &str,
        needed: Permission,
    ) -> Result<String, Refusal> {
        let key = self.state.repository_key(owner, name).ok_or_else(not_found)?;
        self.require(&key, needed)?;
        Ok(key)
    }

    /// Refuses a caller with less than this permission.
    pub(crate) fn require(&self, key: &str, needed: Permission) -> Result<(), Refusal> {
        let permission = self.permission(self.repository(key));
        if permission < Permission::Read {
            return Err(not_found());
        }
        if permission >= needed {
            return Ok(());
        }
        self.actor()?;
        Err(match needed {
            Permission::Admin => refuse(403, "Must have admin rights to Repository."),
            _ => refuse(403, "Resource not accessible by personal access token"),
        })
    }

    /// What the caller may do in a repository.
    pub(crate) fn permission(&self, repository: &Repository) -> Permission {
        match &self.grant {
            Some(grant) => grant.permission(repository),
            None => self.state.permission(repository, self.actor.as_deref()),
        }
    }

    pub(crate) fn repository(&self, key: &str) -> &Repository {
        &self.state.repositories[key]
    }

    pub(crate) fn repository_mut(&mut self, key: &str) -> &mut Repository {
        self.state.repositories.get_mut(key).expect("the key was just looked up")
    }

    pub(crate) fn git(&self, key: &str) -> Result<Rc<git2::Repository>, Refusal> {
        Ok(objects::open(self.repository(key).id, &self.shared.git_dir(key))?)
    }

    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.body.get(field).and_then(Value::as_str)
    }

    pub(crate) fn flag(&self, field: &str) -> Option<bool> {
        self.body.get(field).and_then(Value::as_bool)
    }

    pub(crate) fn number(&self, field: &str) -> Option<u64> {
        self.body.get(field).and_then(Value::as_u64)
    }

    /// A list of names; labels may also be given as objects.
    pub(crate) fn names(&self, field: &str) -> Option<Vec<String>> {
        let name = |value: &Value| value.as_str().or_else(|| value.get("name")?.as_str()).map(str::to_owned);
        Some(self.body.get(field)?.as_array()?.iter().filter_map(name).collect())
    }

    pub(crate) fn needed(&self, resource: &str, field: &str) -> Result<String, Refusal> {
        self.text(field).map(str::to_owned).ok_or_else(|| invalid(resource, field, "missing_field", None))
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// Which part of a list of this length is asked for, and the `Link` header that leads on.
    pub(crate) fn window(&self, total: usize) -> (std::ops::Range<usize>, Option<String>) {
        let read = |name| self.parameter(name).and_then(|text| text.parse::<usize>().ok());
        let size = read("per_page").unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
        let page = read("page").unwrap_or(1).max(1);
        let last = total.div_ceil(size).max(1);
        let start = ((page - 1) * size).min(total);
        let end = (start + size).min(total);
        let link = |number: usize, relation: &str| {
            let mut query = self.query.clone();
            query.insert("page".to_owned(), number.to_string());
            let query: Vec<String> =
                query.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
            format!("<{}{}?{}>; rel=\"{relation}\"", self.api, self.path, query.join("&"))
        };
        let mut links = Vec::new();
        if page > 1 {
            links.push(link(page - 1, "prev"));
        }
        if page < last {
            links.push(link(page + 1, "next"));
            links.push(link(last, "last"));
        }
        if page > 1 {
            links.push(link(1, "first"));
        }
        (start..end, (!links.is_empty()).then(|| links.join(", ")))
    }

    /// One page of a list; only what is on the page is rendered.
    pub(crate) fn page<T>(&self, items: &[T], mut show: impl FnMut(&T) -> Value) -> Answer {
        self.page_as(items, |page| Value::Array(page.iter().map(&mut show).collect()))
    }

    /// As `page`, for answers that wrap their list in an object.
    pub(crate) fn page_as<T>(&self, items: &[T], show: impl FnOnce(&[T]) -> Value) -> Answer {
        let (range, link) = self.window(items.len());
        let mut reply = Reply::json(200, show(&items[range]));
        reply.headers.extend(link.map(|link| ("link", link)));
        Ok(reply)
    }
}

/// Percent-encodes everything but unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Undoes percent-encoding; `+` means a space in queries only.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair =
            digit(at + 1).zip(digit(at + 2)).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        match (bytes[at], pair) {
            (b'%', Some(value)) => {
                decoded.push(value);
                at += 2;
            }
            (b'+', _) if plus_is_space => decoded.push(b' '),
            (byte, _) => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

pub(crate) fn read_query(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name, true), decode(value, true))
        })
        .collect()
}
