//! What has been asked of the forge so far?
//!
//! Counts for the benchmark, and a recording for the check against GitHub's description.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    counts: Mutex<Counts>,
    recording: Option<Mutex<File>>,
}

#[derive(Debug, Default)]
struct Counts {
    by_operation: BTreeMap<String, u64>,
    rest: u64,
    graphql: u64,
    writes: u64,
    content_creating: u64,
    not_modified: u64,
    pushes: u64,
    fetches: u64,
}

/// One REST exchange as it was on the wire.
pub(crate) struct Exchange<'a> {
    pub(crate) method: &'a str,
    /// Below `/api/v3`.
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) request: &'a Value,
    pub(crate) status: u16,
    pub(crate) content_type: &'a str,
    pub(crate) response: &'a [u8],
}

impl Exchanges {
    pub(crate) fn recording_to(path: Option<&Path>) -> std::io::Result<Self> {
        let recording = match path {
            Some(path) => Some(Mutex::new(File::options().create(true).append(true).open(path)?)),
            None => None,
        };
        Ok(Self { counts: Mutex::default(), recording })
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn rest(&self, exchange: &Exchange<'_>) {
        let operation = format!("{} {}", exchange.method, template(exchange.path));
        let mut counts = self.counts();
        counts.rest += 1;
        if exchange.method != "GET" {
            counts.writes += 1;
            // Git data are no content in the sense of the secondary limits.
            counts.content_creating += u64::from(!operation.contains("/git/"));
        }
        counts.not_modified += u64::from(exchange.status == 304);
        *counts.by_operation.entry(operation).or_default() += 1;
        drop(counts);
        let Some(recording) = &self.recording else { return };
        let json = exchange.content_type.contains("json");
        let response =
            if json { serde_json::from_slice(exchange.response).unwrap_or_default() } else { Value::Null };
        let line = json!({
            "method": exchange.method, "path": exchange.path, "query": exchange.query, "request": exchange.request,
            "status": exchange.status, "contentType": exchange.content_type, "response": response,
        });
        let mut file = recording.lock().unwrap_or_else(PoisonError::into_inner);
        // One write a line, so that several forges may record into one file.
        drop(file.write_all(format!("{line}\n").as_bytes()));
    }

    pub(crate) fn graphql(&self) {
        let mut counts = self.counts();
        counts.graphql += 1;
        *counts.by_operation.entry("POST /graphql".to_owned()).or_default() += 1;
    }

    pub(crate) fn git(&self, service: &str) {
        let mut counts = self.counts();
        match service {
            "git-receive-pack" => counts.pushes += 1,
            "git-upload-pack" => counts.fetches += 1,
            _ => {}
        }
        *counts.by_operation.entry(format!("GIT {service}")).or_default() += 1;
    }

    pub(crate) fn show(&self) -> Value {
        let counts = self.counts();
        json!({
            "rest": counts.rest, "graphql": counts.graphql, "writes": counts.writes,
            "contentCreating": counts.content_creating, "notModified": counts.not_modified, "pushes": counts.pushes,
            "fetches": counts.fetches, "operations": counts.by_operation,
        })
    }

    pub(crate) fn clear(&self) {
        *self.counts() = Counts::default();
    }
}

/// The path with its variable parts replaced: `/repos/{owner}/{repo}/issues/{number}`.
fn template(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let mut shown = String::new();
    for (at, segment) in segments.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |previous| segments[previous]);
        let (word, ends) = match (segments[0], at, before) {
            ("repos", 1, _) => ("{owner}", false),
            ("repos", 2, _) => ("{repo}", false),
            ("users" | "orgs", 1, _) => ("{login}", false),
            (_, _, "contents") => ("{path}", true),
            (_, _, "ref" | "refs" | "matching-refs") if at > 3 => ("{ref}", true),
            (_, _, "compare") => ("{basehead}", true),
            (_, _, "labels") => ("{name}", false),
            (_, _, "branches") => ("{branch}", false),
            (_, _, "commits" | "trees" | "blobs" | "statuses") if at > 3 => ("{sha}", false),
            (_, _, "teams") => ("{slug}", false),
            (_, _, "members" | "memberships" | "collaborators") => ("{login}", false),
            _ if segment.bytes().all(|byte| byte.is_ascii_digit()) => ("{number}", false),
            _ => (*segment, false),
        };
        shown.push('/');
        shown.push_str(word);
        if ends {
            break;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::template;

    #[test]
    fn paths_are_counted_by_operation() {
        for (path, expected) in [
            ("/repos/acme/catalog/issues/7/comments", "/repos/{owner}/{repo}/issues/{number}/comments"),
            ("/repos/acme/catalog/contents/a/b.yaml", "/repos/{owner}/{repo}/contents/{path}"),
            ("/repos/acme/catalog/git/ref/heads/main", "/repos/{owner}/{repo}/git/ref/{ref}"),
            ("/orgs/acme/teams/ops/memberships/ada", "/orgs/{login}/teams/{slug}/memberships/{login}"),
            ("/user", "/user"),
        ] {
            assert_eq!(template(path), expected);
        }
    }
}
