//! What time is it outside?
//!
//! The only place of the forge that asks the system; `State` turns it into stamps.
#![expect(clippy::disallowed_methods, reason = "the forge plays the outside world, so it has a clock")]

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// The system's time in whole seconds.
pub(super) fn wall() -> Timestamp {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    Timestamp::from_second(i64::try_from(seconds).unwrap_or(i64::MAX)).unwrap_or_default()
}
