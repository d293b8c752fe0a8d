//! Risk in fixed point (D-8): parts per million, 0 to 1,000,000.
//!
//! No NaN, one order, the same on every machine.
//!
//! ```
//! use prospera::risk::Risk;
//! let risk = Risk::from_ppm(800_000)?;
//! assert!(risk >= Risk::ESCALATION);
//! assert_eq!(risk.to_string(), "0.800000");
//! # Ok::<(), prospera::risk::RiskError>(())
//! ```

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};

/// A share of certainty in parts per million.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "u32", into = "u32")]
pub struct Risk(u32);

/// A number that is no risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected parts per million from 0 to 1000000, found {found}")]
pub struct RiskError {
    /// The number.
    pub found: u32,
}

impl Risk {
    /// No risk.
    pub const ZERO: Self = Self(0);
    /// Certainty.
    pub const MAX: Self = Self(1_000_000);
    /// At or above this an audience escalates (ASM2-7.1, D-8).
    pub const ESCALATION: Self = Self(800_000);
    /// The restriction threshold unless configured otherwise (D-8).
    pub const RESTRICTION_DEFAULT: Self = Self(600_000);

    /// From parts per million.
    ///
    /// # Errors
    /// [`RiskError`] above 1,000,000.
    pub const fn from_ppm(ppm: u32) -> Result<Self, RiskError> {
        if ppm <= Self::MAX.0 { Ok(Self(ppm)) } else { Err(RiskError { found: ppm }) }
    }

    /// From parts per million; what is above certainty is certainty.
    pub const fn saturating(ppm: u64) -> Self {
        if ppm >= Self::MAX.0 as u64 {
            Self::MAX
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "below 1,000,000 here")]
            Self(ppm as u32)
        }
    }

    /// Parts per million.
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// What is missing to certainty.
    #[must_use]
    pub const fn complement(self) -> Self {
        Self(Self::MAX.0 - self.0)
    }

    /// The product of two shares, rounded up, so that no risk is rounded away.
    #[must_use]
    pub const fn scale(self, weight: Self) -> Self {
        if self.0 == 0 {
            return self;
        }
        let product = self.0 as u64 * weight.0 as u64;
        Self::saturating(product.div_ceil(Self::MAX.0 as u64))
    }

    /// The risk that at least one of two independent causes strikes
    /// (noisy-or, Pearl 1988): `1 - (1-a)(1-b)`. Monotone in both, and never
    /// below either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        if other.0 == 0 {
            return self;
        }
        let spared = self.complement().0 as u64 * other.complement().0 as u64;
        let spared = spared / Self::MAX.0 as u64;
        Self::saturating(Self::MAX.0 as u64 - spared)
    }
}

impl TryFrom<u32> for Risk {
    type Error = RiskError;

    fn try_from(ppm: u32) -> Result<Self, RiskError> {
        Self::from_ppm(ppm)
    }
}

impl From<Risk> for u32 {
    fn from(risk: Risk) -> u32 {
        risk.0
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

impl Encode for Risk {
    fn encode(&self, out: &mut Writer) {
        out.u32(self.0);
    }
}

impl Decode for Risk {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let ppm = input.u32()?;
        Self::from_ppm(ppm).map_err(|_| input.invalid("parts per million up to 1000000"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d_8_bounds_and_combination() {
        assert!(Risk::from_ppm(1_000_001).is_err());
        let (a, b) = (Risk(300_000), Risk(500_000));
        assert_eq!(a.or(b), Risk(650_000));
        assert_eq!(a.or(Risk::ZERO), a);
        assert_eq!(a.or(Risk::MAX), Risk::MAX);
        assert_eq!(a.scale(b), Risk(150_000));
        assert_eq!(Risk(1).scale(Risk(1)), Risk(1), "rounded up");
    }
}
