//! What is made of the numbers of many entities?

use std::collections::BTreeMap;

use super::view::Derived;
use crate::domain::whole_numbers;

/// What a function makes of numbers; of none there is nothing to say but their sum.
pub(super) fn measured(function: &str, mut numbers: Vec<f64>) -> Derived {
    numbers.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "nobody has so many entities")]
    let count = numbers.len() as f64;
    let sum: f64 = numbers.iter().sum();
    let middle = numbers.len() / 2;
    let result = match (function, numbers.as_slice()) {
        ("sum", _) => Some(sum),
        (_, []) => None,
        ("min", [first, ..]) => Some(*first),
        ("max", [.., last]) => Some(*last),
        ("average", _) => Some(sum / count),
        (_, numbers) if numbers.len() % 2 == 1 => Some(numbers[middle]),
        (_, numbers) => Some(f64::midpoint(numbers[middle - 1], numbers[middle])),
    };
    match result {
        Some(number) => Derived::of(whole_numbers(number.into())),
        None => Derived::none("there is nothing to compute it from"),
    }
}

/// How many there are in a period on average, from the first in which one is until the one of now, or the last in
/// which one is. Periods without any count, too.
pub(super) fn frequency(periods: impl Iterator<Item = i64> + Clone, now: i64) -> Derived {
    let count = periods.clone().count();
    let Some(first) = periods.clone().min() else { return Derived::of(0.into()) };
    let last = periods.fold(now, i64::max);
    #[expect(clippy::cast_precision_loss, reason = "nobody has so many, and no calendar")]
    let average = count as f64 / (last - first + 1) as f64;
    Derived::of(whole_numbers(average.into()))
}

/// The average of the averages of periods; those without a number do not count.
pub(super) fn average_of_periods(numbers: impl Iterator<Item = (i64, f64)>) -> Derived {
    let mut periods: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (period, number) in numbers {
        periods.entry(period).or_default().push(number);
    }
    #[expect(clippy::cast_precision_loss, reason = "nobody has so many entities")]
    let average = |numbers: Vec<f64>| numbers.iter().sum::<f64>() / numbers.len() as f64;
    measured("average", periods.into_values().map(average).collect())
}
