//! Fixed-point logarithms, powers and probabilities of two: integers only, the same on
//! every machine (D-41).
//!
//! | type | unit | range |
//! |---|---|---|
//! | [`Weight`] | 2^-48 bit | ±32,768 bits |
//! | [`Probability`] | 10^-15 | 0 to 1 |
//!
//! [`log2`] reads its digits off one by one (square the mantissa, take the carry; Knuth,
//! TAOCP vol. 1, §1.2.2, exercise 25). [`Probability::of_odds`] goes back: it multiplies
//! the roots of two that the digits name.
//!
//! Error bounds, over all arguments:
//!
//! | function | error |
//! |---|---|
//! | [`log2`] | never above the true value, below it by less than 2^-48 + 2^-61 |
//! | [`Weight::ratio`] | less than 2^-47 bit |
//! | [`Probability::of_odds`] | less than one unit, 10^-15 |
//!
//! ```
//! use prospera::fixed::{Probability, Weight};
//! let (m, u) = (Probability::from_parts(1, 2), Probability::from_parts(1, 16));
//! assert_eq!(Weight::ratio(m, u), Weight::from_millibits(3000));
//! assert_eq!(Probability::of_odds(Weight::ZERO), m);
//! ```

use core::fmt;
use core::iter::Sum;
use core::ops::{Add, Neg, Sub};

/// Digits behind the point of a [`Weight`].
const FRACTION: u32 = 48;
/// One bit.
const ONE: i64 = 1 << FRACTION;

/// Evidence for or against, in units of 2^-48 bit: a logarithm of odds to base 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Weight(i64);

impl Weight {
    /// Evidence of nothing.
    pub const ZERO: Self = Self(0);

    /// From units of 2^-48 bit.
    pub const fn from_raw(raw: i64) -> Self {
        Self(raw)
    }

    /// In units of 2^-48 bit.
    pub const fn raw(self) -> i64 {
        self.0
    }

    /// From thousandths of a bit, rounded towards zero; saturates.
    pub const fn from_millibits(millibits: i64) -> Self {
        let raw = millibits as i128 * ONE as i128 / 1000;
        Self(saturated(raw))
    }

    /// `log2(part / whole)`; a probability of 0 counts as the smallest there is.
    pub fn ratio(part: Probability, whole: Probability) -> Self {
        let of = |p: Probability| i64::try_from(log2(p.0.max(1))).unwrap_or(i64::MAX);
        Self(of(part).saturating_sub(of(whole)))
    }

    /// The odds of a probability, `log2(p / (1 - p))`.
    pub fn odds(p: Probability) -> Self {
        Self::ratio(p, p.complement())
    }
}

/// Saturates; a sum of weights never wraps around.
impl Add for Weight {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Weight {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Weight {
    type Output = Self;

    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Sum for Weight {
    fn sum<I: Iterator<Item = Self>>(weights: I) -> Self {
        weights.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Weight {
    /// Bits with a sign and three digits behind the point, rounded to the nearest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thousandths =
            (u128::from(self.0.unsigned_abs()) * 1000 + (1 << (FRACTION - 1))) >> FRACTION;
        let sign = if self.0 < 0 && thousandths > 0 { '-' } else { '+' };
        f.pad(&alloc::format!("{sign}{}.{:03}", thousandths / 1000, thousandths % 1000))
    }
}

const fn saturated(raw: i128) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "bounded on the line")]
    if raw > i64::MAX as i128 {
        i64::MAX
    } else if raw < i64::MIN as i128 {
        i64::MIN
    } else {
        raw as i64
    }
}

/// A probability in units of 10^-15.
///
/// INVARIANT (at most one): the number is never above [`Probability::ONE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Probability(u64);

impl Probability {
    /// What never happens.
    pub const ZERO: Self = Self(0);
    /// What is certain.
    pub const ONE: Self = Self(1_000_000_000_000_000);

    /// From units of 10^-15; `None` above one.
    pub const fn new(units: u64) -> Option<Self> {
        if units <= Self::ONE.0 { Some(Self(units)) } else { None }
    }

    /// In units of 10^-15.
    pub const fn units(self) -> u64 {
        self.0
    }

    /// `part / whole`, to the nearest unit; at most one, and zero of nothing.
    pub fn from_parts(part: u128, whole: u128) -> Self {
        if whole == 0 {
            return Self::ZERO;
        }
        if part >= whole {
            return Self::ONE;
        }
        // Both are cut alike where their product with one would not fit.
        let spare = part.leading_zeros();
        let cut = 50_u32.saturating_sub(spare);
        let (part, whole) = (part >> cut, (whole >> cut).max(1));
        let units = (part * u128::from(Self::ONE.0) + whole / 2) / whole;
        Self(u64::try_from(units).unwrap_or(u64::MAX).min(Self::ONE.0))
    }

    /// What is left to certainty.
    #[must_use]
    pub const fn complement(self) -> Self {
        Self(Self::ONE.0.saturating_sub(self.0))
    }

    /// The probability of these odds, `1 / (1 + 2^-w)`.
    pub fn of_odds(odds: Weight) -> Self {
        let size = odds.0.unsigned_abs();
        let whole = size >> FRACTION;
        // Beyond 2^-51 less than half a unit is left.
        let small = if whole > 51 {
            0
        } else {
            let power = u128::from(root_power(size & (ONE.unsigned_abs() - 1))) << whole;
            let denominator = power + (1 << ROOT);
            let units = ((u128::from(Self::ONE.0) << ROOT) + denominator / 2) / denominator;
            u64::try_from(units).unwrap_or(0)
        };
        if odds.0 < 0 { Self(small) } else { Self(Self::ONE.0.saturating_sub(small)) }
    }
}

impl fmt::Display for Probability {
    /// A decimal fraction without trailing zeros.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 || self.0 == Self::ONE.0 {
            return write!(f, "{}", u8::from(self.0 > 0));
        }
        let (mut digits, mut width) = (self.0, 15);
        while digits % 10 == 0 {
            digits /= 10;
            width -= 1;
        }
        write!(f, "0.{digits:0width$}")
    }
}

/// The binary logarithm in units of 2^-48, rounded down; 0 for 0.
pub const fn log2(number: u64) -> u64 {
    let Some(whole) = number.checked_ilog2() else { return 0 };
    let mut mantissa = number << (63 - whole);
    let mut fraction: u64 = 0;
    let mut digit = 0;
    while digit < FRACTION {
        let square = mantissa as u128 * mantissa as u128;
        let carry = square >> 127;
        #[expect(clippy::cast_possible_truncation, reason = "below 2^64 after the shift")]
        {
            mantissa = (square >> (63 + carry)) as u64;
            fraction = (fraction << 1) | carry as u64;
        }
        digit += 1;
    }
    ((whole as u64) << FRACTION) | fraction
}

/// Digits behind the point of [`ROOTS`].
const ROOT: u32 = 62;

/// `2^(2^-k)` for k from 1 to 48: each is the square root of the one before.
#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated at compile time, where each would be an error"
)]
const ROOTS: [u64; FRACTION as usize] = {
    let mut roots = [0; FRACTION as usize];
    let mut last: u128 = 2 << ROOT;
    let mut place = 0;
    while place < FRACTION as usize {
        last = (last << ROOT).isqrt();
        roots[place] = last as u64;
        place += 1;
    }
    roots
};

/// `2^f` for a fraction in units of 2^-48, with 62 digits behind the point.
fn root_power(fraction: u64) -> u64 {
    static TABLE: [u64; FRACTION as usize] = ROOTS;
    let mut power: u64 = 1 << ROOT;
    for (place, root) in TABLE.iter().enumerate() {
        if (fraction >> (FRACTION as usize - 1 - place)) & 1 == 1 {
            let product = (u128::from(power) * u128::from(*root)) >> ROOT;
            power = u64::try_from(product).unwrap_or(u64::MAX);
        }
    }
    power
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    /// By mpmath, 60 digits.
    const LOGARITHMS: &[(u64, u64)] = &[
        (2, 281_474_976_710_656),
        (3, 446_127_282_977_750),
        (5, 653_564_656_432_238),
        (7, 790_200_161_304_709),
        (10, 935_039_633_142_894),
        (112, 1_916_100_068_147_333),
        (176_423, 4_905_737_052_092_196),
        (1_000_003, 5_610_239_017_103_196),
        (999_999_999_999_999, 14_025_594_497_143_412),
        (1_000_000_000_000_000, 14_025_594_497_143_412),
        (9_223_372_036_854_775_809, 17_732_923_532_771_328),
    ];

    /// By mpmath, 60 digits, to the nearest unit.
    const SHARES: &[(i64, u64)] = &[
        (0, 500_000_000_000_000),
        (1, 500_000_000_000_001),
        (-1, 499_999_999_999_999),
        (281_474_976_710_656, 666_666_666_666_667),
        (-281_474_976_710_656, 333_333_333_333_333),
        (422_212_465_065_984, 738_796_125_036_259),
        (-1_407_374_883_553_280, 30_303_030_303_030),
        (2_814_762_112_785_461, 999_024_419_874_901),
        (-11_258_999_068_426_317, 909),
        (13_792_273_858_822_144, 999_999_999_999_998),
        (-13_792_273_858_822_144, 2),
        (14_214_486_323_888_128, 999_999_999_999_999),
        (123_456_789_012_345, 575_424_685_946_265),
    ];

    #[test]
    fn known_logarithms() {
        for &(number, raw) in LOGARITHMS {
            assert_eq!(log2(number), raw, "{number}");
        }
        assert_eq!((log2(0), log2(1)), (0, 0));
    }

    #[test]
    fn known_probabilities_of_odds() {
        for &(odds, units) in SHARES {
            let found = Probability::of_odds(Weight(odds)).units();
            assert!(found.abs_diff(units) <= 1, "{odds}: {found}, not {units}");
        }
        assert_eq!(Probability::of_odds(Weight(i64::MAX)), Probability::ONE);
        assert_eq!(Probability::of_odds(Weight(i64::MIN)), Probability::ZERO);
    }

    #[test]
    fn known_forms() {
        let shown = |units| Probability(units).to_string();
        assert_eq!(shown(0), "0");
        assert_eq!(shown(1_000_000_000_000_000), "1");
        assert_eq!(shown(12_500_000_000_000), "0.0125");
        assert_eq!(shown(1), "0.000000000000001");
        assert_eq!(Weight::from_millibits(-1500).to_string(), "-1.500");
        assert_eq!(Weight(-1).to_string(), "+0.000");
        assert_eq!(Probability::new(1_000_000_000_000_001), None);
        assert_eq!(Probability::from_parts(u128::MAX / 3, u128::MAX).units(), 333_333_333_333_333);
        assert_eq!(Probability::from_parts(3, 0), Probability::ZERO);
    }

    fn check(a: u64, b: u64, odds: i64) {
        assert!((a <= b) == (log2(a) <= log2(b)) || log2(a) == log2(b), "the order is kept");
        // Squaring doubles a logarithm, but for what is cut off.
        if let Some(square) = a.checked_mul(a) {
            assert!(log2(square).abs_diff(2 * log2(a)) <= 1, "{a}");
        }
        let (p, q) = (Probability::of_odds(Weight(odds)), Probability::of_odds(Weight(-odds)));
        assert_eq!(p.complement(), q);
        let next = Probability::of_odds(Weight(odds.saturating_add(ONE)));
        assert!(p <= next, "more evidence never makes it less probable");
        if odds.abs() < 20 * ONE {
            let back = Weight::odds(p).raw().abs_diff(odds);
            assert!(back < 1 << (FRACTION - 27), "{odds}: off by {back}");
        }
    }

    proptest! {
        #[test]
        fn logarithms_and_odds_hold_together(a in 1_u64.., b in 1_u64.., odds in -(60 * ONE)..60 * ONE) {
            check(a, b, odds);
            check(a >> 32 | 1, b, odds >> 3);
        }
    }
}
