//! When is nothing carried out?

use jiff::{
    civil::{Date, DateTime, Weekday},
    tz::TimeZoneDatabase,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{RulesDocument, approval, rules};
use crate::{
    catalog::{
        document::{Reader, join},
        values::{Segment, Wrong},
    },
    domain::{Day, Freeze, Window},
};

/// The minutes of a day.
const DAY: u16 = 24 * 60;

/// When nothing is carried out. What is asked then is planned and may be approved, and waits.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FreezeDocument {
    /// Where the clock hangs that tells when: a name of the time zone database, such as `Europe/Berlin` or `UTC`.
    time_zone: String,
    /// The times.
    #[schemars(length(min = 1))]
    windows: Vec<WindowDocument>,
    /// Whose approval makes an exception.
    #[serde(default)]
    #[schemars(schema_with = "rules")]
    unless: Option<RulesDocument>,
}

/// A time: `days` of the week and `dates`, from one time of the day to another; or from one date to another.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WindowDocument {
    /// The days of the week; all if neither they nor `dates` are said.
    days: Option<Vec<DayDocument>>,
    /// Days of the calendar, such as holidays: `2026-12-24`, or `"12-24"` for that day of every year.
    dates: Option<Vec<String>>,
    /// A time of the day such as `16:00`; or a date such as `2026-12-20`, with a time where it does not begin the day:
    /// `2026-12-20T16:00`.
    from: Option<String>,
    /// A time of the day such as `24:00`, of the next day where it is not later than `from`; or a date, to whose end it lasts.
    to: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum DayDocument {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl From<DayDocument> for Weekday {
    fn from(day: DayDocument) -> Self {
        match day {
            DayDocument::Mon => Self::Monday,
            DayDocument::Tue => Self::Tuesday,
            DayDocument::Wed => Self::Wednesday,
            DayDocument::Thu => Self::Thursday,
            DayDocument::Fri => Self::Friday,
            DayDocument::Sat => Self::Saturday,
            DayDocument::Sun => Self::Sunday,
        }
    }
}

impl FreezeDocument {
    pub(super) fn into_domain(self, path: &[Segment], reader: &mut Reader) -> Option<Freeze> {
        if TimeZoneDatabase::bundled().get(&self.time_zone).is_err() {
            let message = format!("is `{}`, which is no time zone", self.time_zone);
            let wrong = Wrong::new("wrong-value", &join(path, "timeZone"), message);
            reader.wrong(wrong.help("name it as the time zone database does: `Europe/Berlin`, `UTC`"));
        }
        let before = reader.found.len();
        let mut windows = Vec::new();
        for (index, window) in self.windows.into_iter().enumerate() {
            windows.extend(window.into_domain(&join(&join(path, "windows"), index), reader));
        }
        let unless = approval(self.unless, &join(path, "unless"), reader);
        (reader.found.len() == before).then_some(Freeze { zone: self.time_zone, windows, unless })
    }
}

/// What a text of `from` or `to` says.
#[derive(Clone, Copy)]
enum Moment {
    Minute(u16),
    Day(Date),
    Exact(DateTime),
}

fn moment(text: &str) -> Option<Moment> {
    if let Some((hours, minutes)) = text.split_once(':').filter(|_| !text.contains('-')) {
        let number = |text: &str| (text.len() == 2).then(|| text.parse::<u16>().ok()).flatten();
        let minute = number(hours)? * 60 + number(minutes).filter(|minutes| *minutes < 60)?;
        return (minute <= DAY).then_some(Moment::Minute(minute));
    }
    if let Ok(exact) = text.parse::<DateTime>()
        && text.contains('T')
    {
        return Some(Moment::Exact(exact));
    }
    text.parse().ok().map(Moment::Day)
}

/// A day of the calendar, with its year or without.
fn day(text: &str) -> Option<Day> {
    if text.len() == "2026-12-24".len() {
        return text.parse().ok().map(Day::Once);
    }
    // A leap year has all of them.
    let date: Date = Some(text)
        .filter(|text| text.len() == "12-24".len())
        .and_then(|text| format!("2000-{text}").parse().ok())?;
    Some(Day::Yearly { month: date.month(), day: date.day() })
}

impl WindowDocument {
    fn into_domain(self, path: &[Segment], reader: &mut Reader) -> Option<Window> {
        let mut read = |key: &str, said: &Option<String>| -> Result<Option<Moment>, ()> {
            let Some(text) = said else { return Ok(None) };
            moment(text).map(Some).ok_or_else(|| {
                let message = format!("is `{text}`, which is neither a time of the day nor a date");
                let wrong = Wrong::new("wrong-value", &join(path, key), message);
                reader.wrong(wrong.help("write it as `\"16:00\"`, `2026-12-20` or `2026-12-20T16:00`"));
            })
        };
        let (from, to) = (read("from", &self.from), read("to", &self.to));
        let (from, to) = (from.ok()?, to.ok()?);
        let is_on_days = self.days.is_some() || self.dates.is_some();
        let days: Option<Vec<Weekday>> = self.days.map(|days| days.into_iter().map(Weekday::from).collect());
        let mut dates = Vec::new();
        for (index, text) in self.dates.into_iter().flatten().enumerate() {
            match day(&text) {
                Some(day) => dates.push(day),
                None => {
                    let message = format!("is `{text}`, which is no day of the calendar");
                    let wrong = Wrong::new("wrong-value", &join(&join(path, "dates"), index), message);
                    reader.wrong(wrong.help("write it as `2026-12-24`, or as `\"12-24\"` for every year"));
                }
            }
        }
        let all = || Weekday::Monday.cycle_forward().take(7).collect();
        let wrong = |message: &str, help: &str, reader: &mut Reader| {
            reader.wrong(Wrong::new("wrong-value", path, message).help(help));
            None
        };
        match (from, to) {
            (None, None) if !is_on_days => {
                wrong("does not say when", "add `days` or `dates`, or `from` and `to`", reader)
            }
            (None | Some(Moment::Minute(_)), None | Some(Moment::Minute(_))) => {
                let minute = |moment: &Option<Moment>, usual| match moment {
                    Some(Moment::Minute(minute)) => *minute,
                    _ => usual,
                };
                let (from, to) = (minute(&from, 0), minute(&to, DAY));
                if from >= DAY {
                    return wrong(
                        "begins when its day is over",
                        "let it begin on the next day at `\"00:00\"`",
                        reader,
                    );
                }
                let days = days.unwrap_or_else(|| if is_on_days { Vec::new() } else { all() });
                Some(Window::Daily { days, dates, from, to })
            }
            (
                Some(from @ (Moment::Day(_) | Moment::Exact(_))),
                Some(to @ (Moment::Day(_) | Moment::Exact(_))),
            ) => {
                if is_on_days {
                    return wrong(
                        "names days, and a time from one date to another",
                        "write two windows",
                        reader,
                    );
                }
                let from = match from {
                    Moment::Exact(exact) => exact,
                    Moment::Day(day) => day.at(0, 0, 0, 0),
                    Moment::Minute(_) => return None,
                };
                let to = match to {
                    Moment::Exact(exact) => exact,
                    Moment::Day(day) => day.tomorrow().ok()?.at(0, 0, 0, 0),
                    Moment::Minute(_) => return None,
                };
                if to <= from {
                    return wrong("ends before it begins", "exchange `from` and `to`", reader);
                }
                Some(Window::Once { from, to })
            }
            _ => wrong(
                "must have `from` and `to` of the same kind",
                "write two times of the day, or two dates",
                reader,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_dates_are_told_apart() {
        assert!(matches!(moment("16:00"), Some(Moment::Minute(960))));
        assert!(matches!(moment("24:00"), Some(Moment::Minute(DAY))));
        assert!(matches!(moment("2026-12-20"), Some(Moment::Day(_))));
        assert!(matches!(moment("2026-12-20T16:30"), Some(Moment::Exact(_))));
        for odd in ["24:01", "7:00", "16:60", "noon", "2026-13-01", "", "2026-12-20T25:00"] {
            assert!(moment(odd).is_none(), "{odd}");
        }
        assert_eq!(day("2026-12-24"), Some(Day::Once(jiff::civil::date(2026, 12, 24))));
        assert_eq!(day("02-29"), Some(Day::Yearly { month: 2, day: 29 }));
        for odd in ["2026-02-29", "02-30", "13-01", "1-1", "12-24T", "", "2026-12-24T16:00"] {
            assert_eq!(day(odd), None, "{odd}");
        }
    }
}
