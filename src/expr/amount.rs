//! How much can something become? Polynomials in the size of the input, and what flows through a program.
//!
//! All of it is upper bounds, so the smaller of two that hold may always be taken.

use std::ops::{Add, Mul};

/// The highest power that is told apart; what would be more is without bound.
const POWERS: usize = 6;

/// A polynomial of the size of the input, by powers from 0 upwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Amount([f64; POWERS]);

impl Amount {
    /// The same whatever the input.
    pub(super) const fn fixed(amount: f64) -> Self {
        Self([amount, 0.0, 0.0, 0.0, 0.0, 0.0])
    }

    /// As much as the input.
    pub(super) const fn input() -> Self {
        Self([0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    }

    /// The highest power that counts.
    pub(super) fn power(&self) -> usize {
        self.0.iter().rposition(|times| *times > 0.0).unwrap_or(0)
    }

    /// What all powers are taken times, in all.
    pub(super) fn times(&self) -> f64 {
        self.0.iter().sum()
    }

    /// How much it is for an input of this size.
    pub(super) fn at(&self, size: f64) -> f64 {
        self.0.iter().rev().fold(0.0, |sum, times| sum * size + times)
    }

    /// The one that grows more slowly.
    pub(super) fn min(self, other: Self) -> Self {
        let key = |one: &Self| (one.power(), one.0[one.power()], one.times());
        if key(&other) < key(&self) { other } else { self }
    }

    /// Not less than either.
    pub(super) fn max(self, other: Self) -> Self {
        Self(std::array::from_fn(|power| self.0[power].max(other.0[power])))
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|power| self.0[power] + other.0[power]))
    }
}

impl Mul for Amount {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let mut product = [0.0; POWERS];
        for (one, left) in self.0.iter().enumerate() {
            for (two, right) in other.0.iter().enumerate() {
                if *left == 0.0 || *right == 0.0 {
                    continue;
                }
                match product.get_mut(one + two) {
                    Some(power) => *power += left * right,
                    None => product[POWERS - 1] = f64::INFINITY,
                }
            }
        }
        Self(product)
    }
}

impl Mul<f64> for Amount {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        self * Self::fixed(factor)
    }
}

/// How large values are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Size {
    /// Values, those inside others among them.
    pub(super) items: Amount,
    /// Bytes of JSON, one more for each value.
    pub(super) bytes: Amount,
}

impl Size {
    /// A value with nothing inside.
    pub(super) const fn plain(bytes: f64) -> Self {
        Self { items: Amount::fixed(1.0), bytes: Amount::fixed(bytes) }
    }

    fn min(self, other: Self) -> Self {
        Self { items: self.items.min(other.items), bytes: self.bytes.min(other.bytes) }
    }

    pub(super) fn max(self, other: Self) -> Self {
        Self { items: self.items.max(other.items), bytes: self.bytes.max(other.bytes) }
    }
}

impl Add for Size {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { items: self.items + other.items, bytes: self.bytes + other.bytes }
    }
}

impl Mul<Amount> for Size {
    type Output = Self;

    fn mul(self, times: Amount) -> Self {
        Self { items: self.items * times, bytes: self.bytes * times }
    }
}

/// The values that a part of a program gives: for all the inputs it is asked of, and for one of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Flow {
    /// How many values, for all inputs.
    pub(super) count: Amount,
    /// How many, for one input.
    pub(super) each: Amount,
    /// How large one value is.
    pub(super) most: Size,
    /// How large all are, for all inputs.
    pub(super) all: Size,
    /// How large all are, for one input.
    pub(super) whole: Size,
}

impl Flow {
    /// So many values, each so large.
    pub(super) fn of(count: Amount, each: Amount, most: Size) -> Self {
        Self { count, each, most, all: most * count, whole: most * each }
    }

    /// One value for each that is given, of this size.
    pub(super) fn one(given: &Self, most: Size) -> Self {
        Self::of(given.count, Amount::fixed(1.0), most)
    }

    /// Each value that is given, as it is.
    pub(super) fn same(given: &Self) -> Self {
        Self { each: Amount::fixed(1.0), whole: given.most, ..*given }
    }

    /// Nothing.
    pub(super) fn none() -> Self {
        Self::of(Amount::fixed(0.0), Amount::fixed(0.0), Size::plain(0.0))
    }

    /// What is in each value. A value has no more parts than items, and they are no larger than it is.
    pub(super) fn parts(&self) -> Self {
        Self { count: self.all.items, each: self.whole.items, ..*self }.tight()
    }

    /// Bounds that hold for one another.
    pub(super) fn tight(mut self) -> Self {
        self.each = self.each.min(self.count);
        self.all = self.all.min(self.most * self.count);
        self.whole = self.whole.min(self.all).min(self.most * self.each);
        self.most = self.most.min(self.whole);
        self
    }

    /// What `next` gives when it is asked of each of these.
    pub(super) fn then(&self, next: &Self) -> Self {
        Self { each: self.each * next.each, whole: next.whole * self.each, ..*next }.tight()
    }

    /// Both, one after the other.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self {
            count: self.count + other.count,
            each: self.each + other.each,
            most: self.most.max(other.most),
            all: self.all + other.all,
            whole: self.whole + other.whole,
        }
    }

    /// Each of these joined with each of those.
    pub(super) fn with(&self, other: &Self) -> Self {
        let count = (self.count * other.each).min(other.count * self.each);
        Self {
            count,
            each: self.each * other.each,
            most: self.most + other.most,
            all: self.all * other.each + other.all * self.each,
            whole: self.whole * other.each + other.whole * self.each,
        }
        .tight()
    }

    /// The same again for each of those.
    pub(super) fn repeated(&self, other: &Self) -> Self {
        let count = (self.count * other.each).min(other.count * self.each);
        Self {
            count,
            each: self.each * other.each,
            most: self.most,
            all: self.all * other.each,
            whole: self.whole * other.each,
        }
        .tight()
    }

    /// Values as many, each larger.
    pub(super) fn grown(&self, items: f64, bytes: f64, more: f64) -> Self {
        let grow = |size: Size, count: Amount| Size {
            items: size.items * items + count,
            bytes: size.bytes * bytes + count * more,
        };
        Self {
            most: grow(self.most, Amount::fixed(1.0)),
            all: grow(self.all, self.count),
            whole: grow(self.whole, self.each),
            ..*self
        }
    }

    /// Values as many, which are single: text or numbers, of so many bytes for each byte.
    pub(super) fn text(&self, bytes: f64, more: f64) -> Self {
        let grown = self.grown(1.0, bytes, more);
        let single = |size: Size, items: Amount| Size { items, ..size };
        Self {
            most: single(grown.most, Amount::fixed(1.0)),
            all: single(grown.all, self.count),
            whole: single(grown.whole, self.each),
            ..grown
        }
    }

    /// All values for one input in a list.
    pub(super) fn listed(&self, given: &Self) -> Self {
        let list = Size::plain(3.0);
        let most = self.whole + list;
        Self {
            count: given.count,
            each: Amount::fixed(1.0),
            most,
            all: self.all + list * given.count,
            whole: most,
        }
        .tight()
    }

    /// Whether there is at most one value for each input.
    pub(super) fn is_single(&self) -> bool {
        self.each.power() == 0 && self.each.times() <= 1.0
    }
}
