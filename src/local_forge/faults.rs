//! What goes wrong on purpose?
//!
//! Faults are set over the control endpoint and meet matching requests, git's too.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// `GET`, `POST` …; any when absent.
    #[serde(default)]
    pub method: Option<String>,
    /// A regular expression over the whole path, such as `/pulls/\d+/merge$`; any when absent.
    #[serde(default)]
    pub path: Option<String>,
    /// Only from the n-th matching request on, counted from 1.
    #[serde(default = "first")]
    pub nth: u64,
    /// How many requests it meets; all when absent.
    #[serde(default)]
    pub times: Option<u64>,
    pub action: Action,
}

fn first() -> u64 {
    1
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum Action {
    /// Answers this status and does nothing.
    FailBefore {
        status: u16,
    },
    /// Does what is asked and answers this status.
    FailAfter {
        status: u16,
    },
    /// Closes the connection and does nothing.
    DropBefore,
    /// Does what is asked and closes the connection.
    DropAfter,
    /// Waits before acting, or between acting and answering.
    Delay {
        milliseconds: u64,
        #[serde(default)]
        after: bool,
    },
    /// The hourly limit is spent.
    RateLimit {
        #[serde(default = "minute")]
        reset_after_seconds: i64,
    },
    /// Too much at once: 403 or 429 with `retry-after`.
    SecondaryRateLimit {
        #[serde(default = "forbidden")]
        status: u16,
        #[serde(default = "minute")]
        retry_after_seconds: i64,
    },
    LoseWebhooks,
    RepeatWebhooks,
    /// Reads are answered as if the latest change had not happened yet.
    Lag,
}

fn minute() -> i64 {
    60
}

fn forbidden() -> u16 {
    403
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    active: Mutex<Vec<Active>>,
    /// How many requests are held by a delay just now.
    waiting: AtomicU64,
}

/// Counts a waiting request, also when its client is gone before it is answered.
struct Waiting<'a>(&'a AtomicU64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Active {
    fault: Fault,
    path: Option<Regex>,
    seen: u64,
    met: u64,
}

impl Faults {
    fn active(&self) -> MutexGuard<'_, Vec<Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, fault: Fault) -> Result<(), regex::Error> {
        let path = fault.path.as_deref().map(Regex::new).transpose()?;
        self.active().push(Active { fault, path, seen: 0, met: 0 });
        Ok(())
    }

    /// The faults with how often each has met a request.
    pub(crate) fn show(&self) -> serde_json::Value {
        self.active()
            .iter()
            .map(|active| serde_json::json!({"fault": active.fault, "seen": active.seen, "met": active.met}))
            .collect()
    }

    pub(crate) fn clear(&self) {
        self.active().clear();
    }

    /// Holds a request for the delays that it has met.
    pub(crate) async fn hold(&self, met: &[Action], acted: bool) {
        for action in met {
            if let Action::Delay { milliseconds, after } = action
                && *after == acted
            {
                self.waiting.fetch_add(1, Ordering::Relaxed);
                let _counted = Waiting(&self.waiting);
                tokio::time::sleep(Duration::from_millis(*milliseconds)).await;
            }
        }
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether reads may have to be answered from the past.
    pub(crate) fn may_lag(&self) -> bool {
        self.active().iter().any(|active| active.fault.action == Action::Lag)
    }

    /// The faults that this request meets; each counts it.
    pub(crate) fn meet(&self, method: &str, path: &str) -> Vec<Action> {
        let mut met = Vec::new();
        for active in self.active().iter_mut() {
            let fits =
                active.fault.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                    && active.path.as_ref().is_none_or(|wanted| wanted.is_match(path));
            if !fits {
                continue;
            }
            active.seen += 1;
            let spent = active.fault.times.is_some_and(|times| active.met >= times);
            if active.seen >= active.fault.nth && !spent {
                active.met += 1;
                met.push(active.fault.action.clone());
            }
        }
        met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_meets_only_the_requests_it_names() {
        let faults = Faults::default();
        let text =
            r#"{"method": "PUT", "path": "/merge$", "nth": 2, "times": 1, "action": {"kind": "dropAfter"}}"#;
        faults.add(serde_json::from_str(text).unwrap()).unwrap();
        let mut met = Vec::new();
        for (method, path) in [
            ("PUT", "/pulls/1/merge"),
            ("GET", "/pulls/1/merge"),
            ("PUT", "/pulls/1"),
            ("PUT", "/pulls/2/merge"),
            ("PUT", "/pulls/3/merge"),
        ] {
            met.push(faults.meet(method, path).len());
        }
        assert_eq!(met, [0, 0, 0, 1, 0]);
    }
}
