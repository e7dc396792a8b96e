//! How many calls does each user have left?
//!
//! <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// The limit of a person's token; an hour starts with the first call.
const CALLS_PER_HOUR: u64 = 5000;

/// The limit of an App that is installed in a large organisation.
const CALLS_PER_HOUR_OF_APPS: u64 = 15_000;

#[derive(Debug, Default)]
pub(crate) struct Limits {
    used: Mutex<BTreeMap<String, (Timestamp, u64)>>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    pub(crate) used: u64,
    /// Seconds since 1970.
    pub(crate) reset: i64,
}

impl Limits {
    /// Counts one call and says what is left.
    pub(crate) fn count(&self, login: Option<&str>, now: Timestamp) -> Limit {
        self.look(login, now, 1)
    }

    pub(crate) fn peek(&self, login: Option<&str>, now: Timestamp) -> Limit {
        self.look(login, now, 0)
    }

    fn look(&self, login: Option<&str>, now: Timestamp, calls: u64) -> Limit {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let hour = SignedDuration::from_hours(1);
        let entry = used.entry(login.unwrap_or_default().to_owned()).or_insert((now + hour, 0));
        if entry.0 <= now {
            *entry = (now + hour, 0);
        }
        entry.1 += calls;
        let (reset, used) = *entry;
        let app = login.is_some_and(|login| login.ends_with("[bot]"));
        let limit = if app { CALLS_PER_HOUR_OF_APPS } else { CALLS_PER_HOUR };
        Limit { limit, remaining: limit.saturating_sub(used), used, reset: reset.as_second() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_run_out_and_come_back_after_an_hour() {
        let limits = Limits::default();
        let start = Timestamp::UNIX_EPOCH;
        for _ in 0..CALLS_PER_HOUR {
            limits.count(Some("ada"), start);
        }
        let later = start + SignedDuration::from_hours(1);
        let left = [
            limits.peek(Some("ada"), start),
            limits.peek(Some("bo"), start),
            limits.peek(Some("ada"), later),
        ];
        assert_eq!(left.map(|limit| limit.remaining), [0, CALLS_PER_HOUR, CALLS_PER_HOUR]);
    }
}
