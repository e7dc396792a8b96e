//! How is a place found in what is sorted, by looking at little of it?

use std::ops::Range;

/// Where a range begins to be no longer before something.
pub(super) fn partition(range: Range<u32>, is_before: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// The same, sought around a guess: what lies near is found by looking at little.
pub(super) fn partition_near(range: Range<u32>, guess: u32, is_before: impl Fn(u32) -> bool) -> u32 {
    const STEP: u32 = 64;
    let (mut low, mut high, mut step) = (range.start, range.end, STEP);
    let mut at = guess.clamp(low, high);
    if at < high && is_before(at) {
        while at < high && is_before(at) {
            (low, at, step) = (at + 1, at.saturating_add(step), step * 2);
        }
        high = high.min(at);
    } else {
        while at > low && !is_before(at - 1) {
            (high, at, step) = (at - 1, at.saturating_sub(step).max(low), step * 2);
        }
        low = at;
    }
    partition(low..high, is_before)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_guess_changes_nothing_but_the_way(
            (from, length, answer, guess) in (0..50_u32, 0..5_000_u32, 0..6_000_u32, 0..6_000_u32),
        ) {
            let range = from..from + length;
            let found = partition_near(range.clone(), guess, |at| at < answer);
            prop_assert_eq!(found, answer.clamp(range.start, range.end));
        }
    }
}
