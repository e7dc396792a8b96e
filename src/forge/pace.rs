//! How fast may we write? GitHub takes some eighty calls that create content a minute and five hundred an hour, from
//! people and programs alike; who goes beyond is shut out for a while.
//! <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits>

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// How many writing calls are made at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// In any minute.
    pub minute: usize,
    /// In any hour.
    pub hour: usize,
    /// How many of an hour's are kept for telling people that they must wait.
    pub reserve: usize,
}

impl Pace {
    /// Within GitHub's limits, with room for what people do meanwhile.
    pub const GITHUB: Self = Self { minute: 70, hour: 450, reserve: 30 };
}

/// The calls of the last hour.
#[derive(Debug, Default)]
pub(super) struct Sent(VecDeque<Instant>);

impl Sent {
    /// How long the next call must wait; `last_words` may use the reserve.
    pub(super) fn wait(&mut self, pace: Pace, now: Instant, last_words: bool) -> Duration {
        while self.0.front().is_some_and(|sent| now.duration_since(*sent) >= HOUR) {
            self.0.pop_front();
        }
        let hour = if last_words { pace.hour } else { pace.hour.saturating_sub(pace.reserve) };
        let wait = |most: usize, window: Duration| {
            // The call that must leave the window first.
            let first = self.0.len().checked_sub(most.max(1)).and_then(|index| self.0.get(index));
            first.map_or(Duration::ZERO, |sent| (*sent + window).saturating_duration_since(now))
        };
        wait(pace.minute, MINUTE).max(wait(hour, HOUR))
    }

    pub(super) fn note(&mut self, now: Instant) {
        self.0.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "only what follows from it is looked at")]
    fn calls_keep_their_distance() {
        let pace = Pace { minute: 3, hour: 5, reserve: 1 };
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut sent = Sent::default();
        for second in 0..3 {
            assert_eq!(sent.wait(pace, at(second), false), Duration::ZERO);
            sent.note(at(second));
        }
        assert_eq!(sent.wait(pace, at(10), false), Duration::from_secs(50));
        assert_eq!(sent.wait(pace, at(60), false), Duration::ZERO);
        sent.note(at(60));
        // Four in this hour: the fifth is kept for a last word.
        assert_eq!(sent.wait(pace, at(200), false), Duration::from_secs(3_400));
        assert_eq!(sent.wait(pace, at(200), true), Duration::ZERO);
        assert_eq!(sent.wait(pace, at(3_600), false), Duration::ZERO);
    }
}
