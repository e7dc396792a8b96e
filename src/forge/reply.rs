//! What does an answer of the forge mean, whatever was asked? Its status, its limits, and where it goes on.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::HeaderMap;
use serde_json::Value;

use super::client::{ForgeError, UNTOLD_WAIT};
use crate::domain::Timestamp;

/// An answer.
pub(super) struct Reply {
    pub(super) what: String,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// An error in an answer of GraphQL, which may concern only a part of it.
#[derive(Debug, Clone)]
pub(super) struct GraphError {
    pub(super) path: Vec<String>,
    pub(super) not_found: bool,
    pub(super) words: String,
}

impl Reply {
    /// This answer, if it is no error.
    pub(super) fn success(self) -> Result<Self, ForgeError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        Err(ForgeError::Status { words: self.words(), status: self.status, what: self.what })
    }

    pub(super) fn json(&self) -> Result<Value, ForgeError> {
        serde_json::from_slice(&self.body).map_err(|error| self.strange(&error.to_string()))
    }

    /// The bytes of a file: <https://docs.github.com/rest/repos/contents#get-repository-content>
    pub(super) fn content(&self) -> Result<Vec<u8>, ForgeError> {
        let found = self.json()?;
        let lines = found["content"].as_str().filter(|_| found["encoding"] == "base64");
        let strange = || self.strange("it gives no file");
        let text: String = lines.ok_or_else(strange)?.split_whitespace().collect();
        STANDARD.decode(text).map_err(|_| strange())
    }

    pub(super) fn strange(&self, why: &str) -> ForgeError {
        ForgeError::Strange { what: self.what.clone(), why: why.to_owned() }
    }

    /// The server's own words about an error.
    pub(super) fn words(&self) -> String {
        let Ok(body) = self.json() else {
            return String::from_utf8_lossy(&self.body).chars().take(200).collect();
        };
        let mut words = vec![body["message"].as_str().unwrap_or("no reason given").to_owned()];
        for error in body["errors"].as_array().into_iter().flatten() {
            words.extend(error["message"].as_str().or(error.as_str()).map(str::to_owned));
        }
        words.join(": ").chars().take(1_000).collect()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// For how long the forge takes no more calls, if it says so.
    /// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
    pub(super) fn limit(&self, now: Option<Timestamp>) -> Option<Duration> {
        let used_up = self.header("x-ratelimit-remaining") == Some("0");
        let told = self.header("retry-after").and_then(|seconds| seconds.parse().ok());
        let limited = match self.status {
            429 => true,
            403 => used_up || told.is_some() || self.words().to_lowercase().contains("rate limit"),
            // GraphQL says it with status 200.
            200 => {
                self.what.ends_with("graphql")
                    && self.body.windows(14).any(|part| part == b"\"RATE_LIMITED\"")
            }
            _ => false,
        };
        if !limited {
            return None;
        }
        let reset = || {
            let at: i64 = self.header("x-ratelimit-reset")?.parse().ok()?;
            u64::try_from(at - now?.seconds()).ok()
        };
        let seconds = told.or_else(|| used_up.then(reset).flatten());
        Some(seconds.map_or(UNTOLD_WAIT, |seconds: u64| Duration::from_secs(seconds.min(86_400) + 1)))
    }

    /// The path of the next page, if it is on the same server.
    pub(super) fn next_page(&self, origin: &str) -> Option<String> {
        let links = self.header("link")?;
        let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
        let url = next.split_once('<')?.1.split_once('>')?.0;
        url.strip_prefix(origin).filter(|path| path.starts_with('/')).map(str::to_owned)
    }
}

impl GraphError {
    pub(super) fn read(error: &Value) -> Self {
        let step = |step: &Value| step.as_str().map_or_else(|| step.to_string(), str::to_owned);
        Self {
            path: error["path"].as_array().into_iter().flatten().map(step).collect(),
            not_found: error["type"] == "NOT_FOUND",
            words: error["message"].as_str().unwrap_or("no reason given").to_owned(),
        }
    }
}

pub(super) fn read_date(text: &str) -> Option<Timestamp> {
    let moment = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_seconds(moment.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Reply {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Reply { what: "GET /x".to_owned(), status, headers, body: body.into() }
    }

    #[test]
    fn a_limit_is_told_from_a_refusal() {
        let now = read_date("Mon, 23 Nov 2026 08:30:00 GMT");
        assert_eq!(now.unwrap().to_string(), "2026-11-23T08:30:00Z");
        let refusal = reply(403, &[], r#"{"message":"Resource not accessible by integration"}"#);
        assert_eq!(refusal.limit(now), None);
        let primary =
            reply(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795422630")], "{}");
        assert_eq!(primary.limit(now), Some(Duration::from_secs(31)));
        let secondary = reply(403, &[], r#"{"message":"You have exceeded a secondary rate limit"}"#);
        assert_eq!(secondary.limit(now), Some(UNTOLD_WAIT));
        assert_eq!(reply(429, &[("retry-after", "2")], "{}").limit(now), Some(Duration::from_secs(3)));
    }

    #[test]
    fn the_next_page_is_on_the_same_server() {
        let link = |link| reply(200, &[("link", link)], "[]").next_page("https://api.test");
        assert_eq!(
            link(r#"<https://api.test/a?page=3>; rel="last", <https://api.test/a?page=2>; rel="next""#)
                .unwrap(),
            "/a?page=2"
        );
        assert_eq!(link(r#"<https://api.test.evil.test/a?page=2>; rel="next""#), None);
    }
}
