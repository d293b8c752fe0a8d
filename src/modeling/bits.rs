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
    pub fn surprise(part: u64, whole: u64) -> Self {
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
///
/// A short series gives the digits at once, to within 2^-34. Where that leaves open on
/// which side of a unit the value lies, and only there, the digits themselves decide, so the two
/// always agree.
pub fn log2(number: u64) -> u32 {
    let Some(whole) = number.checked_ilog2() else { return 0 };
    let close = by_series(number << (63 - whole));
    let beyond = close & (LOWER - 1);
    if !(OPEN..=LOWER - OPEN).contains(&beyond) {
        return (whole << FRACTION) | by_digits(number << (63 - whole), FRACTION);
    }
    let fraction = (close >> (SERIES - FRACTION)) as u32;
    (whole << FRACTION) | fraction
}

/// The fraction of a logarithm, digit by digit: that of a mantissa in [1, 2), one bit
/// before the point and 63 behind it.
#[expect(clippy::cast_possible_truncation, reason = "below 2^64 after the shift")]
const fn by_digits(mut mantissa: u64, digits: u32) -> u32 {
    let mut fraction = 0;
    let mut digit = 0;
    while digit < digits {
        let square = mantissa as u128 * mantissa as u128;
        let carry = square >> 127;
        mantissa = (square >> (63 + carry)) as u64;
        fraction = (fraction << 1) | carry as u32;
        digit += 1;
    }
    fraction
}

/// Fraction bits of [`by_series`].
const SERIES: u32 = 48;
/// One unit of 2^-16 in units of [`by_series`].
const LOWER: u64 = 1 << (SERIES - FRACTION);
/// How close to a unit the series leaves the digit open: 2^-34, four times its error.
const OPEN: u64 = 1 << (SERIES - 34);
/// 1 / ln 2 with 62 bits behind the point.
const PER_NEPER: i128 = 0x5c55_1d94_ae0b_f85d;

/// For each of 128 parts of [1, 2): about the reciprocal of its middle with 63 bits behind
/// the point, and minus the logarithm of just that reciprocal with 48.
#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated at compile time, where each would be an error"
)]
const PARTS: [(u64, u64); 128] = {
    let mut parts = [(0, 0); 128];
    let mut part = 0;
    while part < 128 {
        // The middle is (257 + 2 part) / 256.
        let reciprocal = ((1_u128 << 71) / (257 + 2 * part as u128)) as u64;
        // It is in [1/2, 1): twice it is a mantissa, and minus its logarithm is 1 - log2.
        let high = by_digits(reciprocal << 1, 24) as u64;
        let rest = after(reciprocal << 1, 24);
        let low = by_digits(rest, 24) as u64;
        parts[part] = (reciprocal, (1 << SERIES) - ((high << 24) | low));
        part += 1;
    }
    parts
};

/// The mantissa that is left after so many digits of [`by_digits`].
#[expect(clippy::cast_possible_truncation, reason = "below 2^64 after the shift")]
const fn after(mut mantissa: u64, digits: u32) -> u64 {
    let mut digit = 0;
    while digit < digits {
        let square = mantissa as u128 * mantissa as u128;
        mantissa = (square >> (63 + (square >> 127))) as u64;
        digit += 1;
    }
    mantissa
}

/// The fraction of a logarithm with 48 bits behind the point, off by less than 2^-36:
/// the part's own logarithm and `ln(1 + e) = e - e²/2 + e³/3 - e⁴/4` for what is left,
/// with `|e| <= 2^-8`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "each is bounded by the part's width, see the comments"
)]
fn by_series(mantissa: u64) -> u64 {
    static TABLE: [(u64, u64); 128] = PARTS;
    let (reciprocal, own) = TABLE.get((mantissa >> 56) as usize & 127).copied().unwrap_or_default();
    let left = ((u128::from(mantissa) * u128::from(reciprocal)) >> 63) as u64;
    // Below 2^40 in size; in its short form below 2^24.
    let e = (left.wrapping_sub(1 << 63) as i64) >> 15;
    let short = e >> 16;
    let square = (short * short) >> 16;
    let cube = ((square >> 16) * short) >> 16;
    let fourth = ((square >> 16) * (square >> 16)) >> 16;
    let nepers = e - square / 2 + cube / 3 - fourth / 4;
    let bits = ((i128::from(nepers) * PER_NEPER) >> 62) as i64;
    own.saturating_add_signed(bits)
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

    fn digits_alone(number: u64) -> u32 {
        let whole = number.ilog2();
        (whole << FRACTION) | by_digits(number << (63 - whole), FRACTION)
    }

    /// The series and the digits are one function, and the bound on the series holds.
    fn check_agreement(number: u64) {
        assert_eq!(log2(number), digits_alone(number), "{number}");
        let mantissa = number << number.leading_zeros();
        let high = u64::from(by_digits(mantissa, 24));
        let exact = (high << 24) | u64::from(by_digits(after(mantissa, 24), 24));
        assert!(by_series(mantissa).abs_diff(exact) < 1 << (SERIES - 36), "{number}");
    }

    #[test]
    fn the_series_agrees_with_the_digits() {
        (1..=1 << 17).for_each(check_agreement);
        for shift in 0..64 {
            let power = 1_u64 << shift;
            for number in power.saturating_sub(40)..=power.saturating_add(40) {
                check_agreement(number.max(1));
            }
        }
        for part in 128..256_u64 {
            for edge in [part << 56, (part << 56) - 1, (part << 56) + 1] {
                check_agreement(edge);
            }
        }
    }

    /// On both sides of a unit the series alone cannot tell which side it is.
    #[test]
    fn next_to_a_unit_the_digits_decide() {
        for unit in (1..1_u32 << FRACTION).step_by(97) {
            // The least mantissa that reaches the unit, by halving.
            let (mut below, mut reached) = (1_u64 << 63, u64::MAX);
            while reached - below > 1 {
                let middle = below + (reached - below) / 2;
                if by_digits(middle, FRACTION) < unit {
                    below = middle;
                } else {
                    reached = middle;
                }
            }
            let whole = 63 << FRACTION;
            assert_eq!((log2(below), log2(reached)), (whole + unit - 1, whole + unit), "{unit}");
        }
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
            check_agreement(a << 12 | b >> 40);
        }
    }
}
