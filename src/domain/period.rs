//! In which hour, day, week or month does something lie?

use super::Timestamp;

/// A stretch of the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday.
    Week,
    /// From the first of a month to its last day.
    Month,
}

impl Period {
    /// The number of the one in which a moment lies: the next one has the next number.
    pub fn number(self, at: Timestamp) -> i64 {
        const HOUR: i64 = 3_600;
        const DAY: i64 = 24 * HOUR;
        let seconds = at.seconds();
        match self {
            Self::Hour => seconds.div_euclid(HOUR),
            Self::Day => seconds.div_euclid(DAY),
            // 1970 began on a Thursday.
            Self::Week => (seconds.div_euclid(DAY) + 3).div_euclid(7),
            Self::Month => {
                let date = at.date();
                i64::from(date.year()) * 12 + i64::from(date.month())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_those_of_the_calendar() {
        let number = |period: Period, at: &str| period.number(at.parse().unwrap());
        for (period, last, next) in [
            (Period::Hour, "2026-11-30T22:59:59Z", "2026-11-30T23:00:00Z"),
            (Period::Day, "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"),
            (Period::Week, "2026-11-29T23:59:59Z", "2026-11-30T00:00:00Z"),
            (Period::Month, "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(number(period, last) + 1, number(period, next), "{period:?}");
        }
        assert_eq!(
            number(Period::Week, "2026-11-23T00:00:00Z"),
            number(Period::Week, "2026-11-29T23:59:59Z")
        );
    }
}
