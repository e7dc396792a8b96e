//! What is made of the numbers of many entities?

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
