//! When was it? Whole seconds, as forges print them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in UTC, in seconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `seconds` after the beginning of 1970.
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.clamp(-30_000_000_000, 250_000_000_000))
    }

    /// Seconds since the beginning of 1970.
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// This amount of time later, such as `12h`, `7d` or nothing; none if it is no amount of time.
    pub fn after(self, later: &str) -> Option<Self> {
        if later.is_empty() {
            return Some(self);
        }
        let span: jiff::Span = later.parse().ok()?;
        let start = jiff::Timestamp::from_second(self.0).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
        start.checked_add(span).ok().map(|end| Self::from_seconds(end.timestamp().as_second()))
    }

    /// The day in UTC.
    pub fn date(self) -> jiff::civil::Date {
        let moment = jiff::Timestamp::from_second(self.0).unwrap_or_default();
        moment.to_zoned(jiff::tz::TimeZone::UTC).date()
    }

    /// Year and month, as in `2026/11`.
    pub fn year_and_month(self) -> String {
        self.to_string().get(..7).unwrap_or("1970-01").replace('-', "/")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(moment) => write!(f, "{}", moment.strftime("%Y-%m-%dT%H:%M:%SZ")),
            Err(_) => f.write_str("1970-01-01T00:00:00Z"),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a date and time such as 2026-11-23T08:30:00Z")]
pub struct InvalidTimestamp(String);

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        moment(text).map(|moment| Self(moment.as_second())).ok_or_else(|| InvalidTimestamp(text.to_owned()))
    }
}

/// The moment that a text names, to the fraction of a second. The last two days of the year 9999, with which people say
/// `never`, are one moment: what is computed with time zones ends there.
pub fn moment(text: &str) -> Option<jiff::Timestamp> {
    text.parse().ok().or_else(|| {
        let here: jiff::civil::DateTime = text.strip_suffix(['Z', 'z']).unwrap_or(text).parse().ok()?;
        let is_last =
            text.len() >= 20 && here >= jiff::Timestamp::MAX.to_zoned(jiff::tz::TimeZone::UTC).datetime();
        is_last.then_some(jiff::Timestamp::MAX)
    })
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
