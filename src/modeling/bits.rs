//! Surprise in bits, in fixed point: `-log2(p)` of an exact fraction.
//!
//! A [`Bits`] counts 1/65,536 of a bit. The logarithm is taken digit by digit
//! (square the mantissa, read off a binary digit; Knuth, TAOCP vol. 1, §1.2.2,
//! exercise 25), in integers only: the same on every machine (D-41).
//!
//! Error bound: [`log2`] never exceeds the true value and falls short of it by less
//! than 2^-16 + 2^-58; a surprise, a difference of two, is off by less than 2^-15.
//! [`log2`] is monotone.

use core::fmt;

/// One bit in units of [`Bits`].
const ONE: u32 = 1 << FRACTION;
const FRACTION: u32 = 16;

/// An amount of information in units of 2^-16 bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bits(u32);

impl Bits {
    /// No information: what was certain.
    pub const ZERO: Self = Self(0);

    /// From thousandths of a bit, rounded down; saturates.
    pub const fn from_millibits(millibits: u32) -> Self {
        let raw = millibits as u64 * ONE as u64 / 1000;
        #[expect(clippy::cast_possible_truncation, reason = "bounded on the line")]
        Self(if raw > u32::MAX as u64 { u32::MAX } else { raw as u32 })
    }

    /// The surprise of an event of probability `part / whole`; nothing when `part`
    /// is not smaller, and `part` counts as at least 1.
    pub const fn surprise(part: u64, whole: u64) -> Self {
        let part = if part == 0 { 1 } else { part };
        Self(log2(whole).saturating_sub(log2(part)))
    }

    /// In units of 2^-16 bit.
    pub const fn raw(self) -> u32 {
        self.0
    }

    pub(super) fn from_raw(raw: u64) -> Self {
        Self(u32::try_from(raw).unwrap_or(u32::MAX))
    }

    /// Both amounts together; saturates.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// How much more this is than `other`.
    #[must_use]
    pub const fn beyond(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Bits {
    /// Bits with one digit behind the point, rounded down.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 >> FRACTION, ((self.0 & (ONE - 1)) * 10) >> FRACTION)
    }
}

/// The binary logarithm in units of 2^-16, rounded down; 0 for 0.
pub const fn log2(number: u64) -> u32 {
    let Some(whole) = number.checked_ilog2() else { return 0 };
    // The mantissa in [1, 2), one bit before the point and 63 behind it.
    let mut mantissa = number << (63 - whole);
    let mut fraction = 0;
    let mut digit = 0;
    while digit < FRACTION {
        let square = mantissa as u128 * mantissa as u128;
        let carry = square >> 127;
        #[expect(clippy::cast_possible_truncation, reason = "below 2^64 after the shift")]
        {
            mantissa = (square >> (63 + carry)) as u64;
            fraction = (fraction << 1) | carry as u32;
        }
        digit += 1;
    }
    (whole << FRACTION) | fraction
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_logarithms() {
        for (number, raw) in [
            (0, 0),
            (1, 0),
            (2, 65_536),
            (3, 103_872), // 1.584962… × 65536 = 103872.1…
            (10, 217_705),
            (1 << 63, 63 << 16),
            (u64::MAX, (64 << 16) - 1),
        ] {
            assert_eq!(log2(number), raw, "{number}");
        }
        assert_eq!(Bits::surprise(1, 8).to_string(), "3.0");
        assert_eq!(Bits::surprise(3, 2), Bits::ZERO);
        assert_eq!(Bits::from_millibits(1500).raw(), 98_304);
    }

    #[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "the reference")]
    fn check_error_and_order(a: u64, b: u64) {
        let exact = (a as f64).log2() * 65_536.0;
        let short = exact - f64::from(log2(a));
        assert!((-1e-3..1.001).contains(&short), "{a}: short by {short} units");
        assert!((a <= b) == (a == b || log2(a) <= log2(b)) || log2(a) == log2(b));
    }

    proptest! {
        #[test]
        fn the_error_is_below_the_bound_and_the_order_kept(
            a in 1..1_u64 << 52, b in 1..1_u64 << 52, shift in 0_u32..52,
        ) {
            check_error_and_order((a >> shift).max(1), b);
        }
    }
}
