//! When is nothing carried out?
//!
//! A freeze is no part of a plan: what is asked in one is planned and may be approved, and waits. The clock is the forge's,
//! the time zones are those that come with the program.

use std::collections::BTreeMap;

use jiff::{
    Timestamp as Moment,
    civil::{Date, DateTime},
    tz::{TimeZone, TimeZoneDatabase},
};

use super::{
    super::{
        asking::Asking,
        build::Site,
        facts::{Looked, Pending},
        message,
        plan_file::PlannedRule,
    },
    Finding, applied, concerning,
};
use crate::domain::{Freeze, PolicyId, Timestamp, Window};

/// How often one window may follow on another until a freeze is said to have no end.
const MOST_WINDOWS: usize = 400;
/// The minutes of a day.
const DAY: i64 = 24 * 60;

/// A freeze that holds now.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::plan) struct Frozen {
    /// By which policy.
    pub(in crate::plan) policy: PolicyId,
    /// Its title.
    pub(in crate::plan) title: String,
    /// Until when; none where no end is in sight.
    pub(in crate::plan) until: Option<Timestamp>,
    /// Whose approval makes an exception; empty where nobody's does.
    pub(in crate::plan) unless: Vec<PlannedRule>,
}

impl Frozen {
    /// Until when, in words.
    pub(in crate::plan) fn until(&self) -> String {
        match self.until {
            Some(until) => format!("until {}", message::moment(until)),
            None => "with no end in sight".to_owned(),
        }
    }
}

/// The freezes that hold for a request now.
///
/// # Errors
/// `Pending` while answers are awaited; inside, why it cannot be said.
pub(in crate::plan) fn frozen(site: &Site<'_>, asking: &Asking<'_>) -> Looked<Result<Vec<Frozen>, String>> {
    if site.definitions.policies.values().all(|policy| policy.effects.freeze.is_none()) {
        return Ok(Ok(Vec::new()));
    }
    let now = match super::now(site)? {
        Ok(now) => now,
        Err(why) => return Ok(Err(why)),
    };
    // What holds for nobody now need not be asked about this request.
    let mut ends = BTreeMap::new();
    for policy in site.definitions.policies.values() {
        let Some(freeze) = &policy.effects.freeze else { continue };
        match end(freeze, now) {
            Err(why) => return Ok(Err(why)),
            Ok(None) => {}
            Ok(Some(until)) => drop(ends.insert(&policy.identifier, (freeze, until))),
        }
    }
    if ends.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let (mut pending, mut failed) = (false, Vec::new());
    let policies = concerning(site, asking, &mut pending, &mut failed);
    if pending {
        return Err(Pending);
    }
    if let Some((_, Finding::Refused(why) | Finding::Unclear(why))) = failed.into_iter().next() {
        return Ok(Err(why.message));
    }
    let mut found = Vec::new();
    for (policy, _) in policies {
        let Some((freeze, until)) = ends.remove(&policy.identifier) else { continue };
        match applied(site, asking, policy, &freeze.unless)? {
            Ok(unless) => found.push(Frozen {
                policy: policy.identifier.clone(),
                title: policy.title.clone(),
                until,
                unless,
            }),
            Err(problems) => {
                return Ok(Err(problems.first().map_or_else(String::new, |one| one.message.clone())));
            }
        }
    }
    Ok(Ok(found))
}

/// Whether it holds at a moment, and until when; the inner none is a freeze without an end.
fn end(freeze: &Freeze, now: Timestamp) -> Result<Option<Option<Timestamp>>, String> {
    let zone = TimeZoneDatabase::bundled()
        .get(&freeze.zone)
        .map_err(|_| format!("the time zone `{}` is not known", freeze.zone))?;
    let mut at = now;
    for _ in 0..MOST_WINDOWS {
        let next = freeze.windows.iter().filter_map(|window| window_end(window, &zone, at)).max();
        match next {
            Some(next) if next > at => at = next,
            _ if at == now => return Ok(None),
            _ => return Ok(Some(Some(at))),
        }
    }
    Ok(Some(None))
}

/// When the window ends that holds at a moment.
fn window_end(window: &Window, zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
    let local = Moment::from_second(at.seconds()).ok()?.to_zoned(zone.clone()).datetime();
    let ends = match window {
        Window::Once { from, to } => (*from <= local && local < *to).then_some(*to),
        Window::Daily { days, dates, from, to } => {
            let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
            let (from, to) = (i64::from(*from), i64::from(*to));
            let lasts = if to > from { to } else { to + DAY };
            let on = |date: Date| days.contains(&date.weekday()) || dates.iter().any(|day| day.is(date));
            let midnight = local.date().at(0, 0, 0, 0);
            let after = |minutes: i64| -> Option<DateTime> {
                let day = midnight.checked_add(jiff::Span::new().days(minutes / DAY)).ok()?;
                day.checked_add(jiff::Span::new().minutes(minutes % DAY)).ok()
            };
            if on(local.date()) && (from..lasts).contains(&minute) {
                after(lasts)
            } else if local.date().yesterday().is_ok_and(on) && minute + DAY < lasts {
                after(lasts - DAY)
            } else {
                None
            }
        }
    };
    let end = zone.to_ambiguous_zoned(ends?).compatible().ok()?;
    Some(Timestamp::from_seconds(end.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Weekday, date};

    use super::*;
    use crate::domain::Day;

    fn weekly(days: &[Weekday], from: u16, to: u16) -> Window {
        Window::Daily { days: days.to_vec(), dates: Vec::new(), from, to }
    }

    fn freeze(zone: &str, windows: Vec<Window>) -> Freeze {
        Freeze { zone: zone.to_owned(), windows, unless: Vec::new() }
    }

    fn told(freeze: &Freeze, at: &str) -> String {
        match end(freeze, at.parse().unwrap()).unwrap() {
            None => "free".to_owned(),
            Some(None) => "for ever".to_owned(),
            Some(Some(until)) => until.to_string(),
        }
    }

    #[test]
    fn a_week_ends_on_friday_afternoon_where_the_clock_hangs() {
        let friday = freeze("Europe/Berlin", vec![weekly(&[Weekday::Friday], 960, 1440)]);
        for (at, wanted) in [
            ("2026-11-27T14:59:59Z", "free"),
            ("2026-11-27T15:00:00Z", "2026-11-27T23:00:00Z"),
            ("2026-11-27T22:59:59Z", "2026-11-27T23:00:00Z"),
            ("2026-11-27T23:00:00Z", "free"),
            // In summer the clock is an hour further.
            ("2026-06-26T14:00:00Z", "2026-06-26T22:00:00Z"),
            ("2026-06-26T13:59:59Z", "free"),
        ] {
            assert_eq!(told(&friday, at), wanted, "{at}");
        }
    }

    #[test]
    fn windows_that_follow_on_each_other_are_one_freeze() {
        let all = [Weekday::Friday, Weekday::Saturday, Weekday::Sunday];
        let weekend = freeze(
            "UTC",
            vec![
                weekly(&all[..1], 960, 480),
                weekly(&all[1..], 0, 1440),
                Window::Once {
                    from: "2026-12-20T00:00".parse().unwrap(),
                    to: "2027-01-06T00:00".parse().unwrap(),
                },
            ],
        );
        for (at, wanted) in [
            ("2026-11-27T16:00:00Z", "2026-11-30T00:00:00Z"),
            ("2026-11-28T07:00:00Z", "2026-11-30T00:00:00Z"),
            ("2026-11-30T00:00:00Z", "free"),
            // The Sunday before Christmas leads into the long freeze.
            ("2026-12-18T16:00:00Z", "2027-01-06T00:00:00Z"),
        ] {
            assert_eq!(told(&weekend, at), wanted, "{at}");
        }
        let every_day: Vec<Weekday> = Weekday::Monday.cycle_forward().take(7).collect();
        let always = freeze("UTC", vec![weekly(&every_day, 0, 1440)]);
        assert_eq!(told(&always, "2026-11-27T16:00:00Z"), "for ever");
        let nights = freeze("UTC", vec![weekly(&every_day, 1320, 360)]);
        assert_eq!(told(&nights, "2026-11-27T23:00:00Z"), "2026-11-28T06:00:00Z");
        assert_eq!(told(&nights, "2026-11-28T05:59:00Z"), "2026-11-28T06:00:00Z");
        assert_eq!(told(&nights, "2026-11-28T06:00:00Z"), "free");
    }

    #[test]
    fn holidays_are_days_of_the_calendar_wherever_they_fall_in_the_week() {
        let dates = vec![
            Day::Once(date(2026, 4, 6)),
            Day::Yearly { month: 12, day: 25 },
            Day::Yearly { month: 12, day: 26 },
        ];
        let holidays = freeze(
            "Europe/Berlin",
            vec![Window::Daily { days: Vec::new(), dates: dates.clone(), from: 0, to: 1440 }],
        );
        for (at, wanted) in [
            ("2026-04-05T22:00:00Z", "2026-04-06T22:00:00Z"),
            ("2027-04-06T12:00:00Z", "free"),
            ("2026-12-24T22:59:59Z", "free"),
            ("2026-12-24T23:00:00Z", "2026-12-26T23:00:00Z"),
            ("2031-12-26T12:00:00Z", "2031-12-26T23:00:00Z"),
        ] {
            assert_eq!(told(&holidays, at), wanted, "{at}");
        }
        let eve =
            freeze("UTC", vec![Window::Daily { days: vec![Weekday::Friday], dates, from: 960, to: 480 }]);
        // From four in the afternoon of a Friday or a holiday to eight in the morning.
        assert_eq!(told(&eve, "2026-04-06T15:59:59Z"), "free");
        assert_eq!(told(&eve, "2026-04-07T07:00:00Z"), "2026-04-07T08:00:00Z");
    }

    #[test]
    fn a_clock_that_is_put_on_or_back_within_a_freeze_loses_nothing() {
        let night = freeze("Europe/Berlin", vec![weekly(&[Weekday::Sunday], 60, 150)]);
        // On 29 March 2026 there is no half past two; on 25 October there are two.
        assert_eq!(told(&night, "2026-03-29T00:30:00Z"), "2026-03-29T01:30:00Z");
        assert_eq!(told(&night, "2026-10-25T00:00:00Z"), "2026-10-25T00:30:00Z");
    }
}
