//! Versions of modules and of the contract.

use core::fmt;
use core::str::FromStr;

use super::ContractError;
use crate::encode::{Encode, Writer};

/// A version, `major.minor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Before the point.
    pub major: u16,
    /// Behind the point.
    pub minor: u16,
}

impl Version {
    /// Reads `major.minor`: digits without leading zeros.
    pub const fn parse(text: &str) -> Option<Self> {
        let mut parts = [0_u16; 2];
        let mut digits = [0_usize; 2];
        let mut part = 0;
        let mut rest = text.as_bytes();
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            if byte == b'.' {
                part += 1;
                if part > 1 {
                    return None;
                }
                continue;
            }
            let ([major, minor], [in_major, in_minor]) = (&mut parts, &mut digits);
            let (value, count) = if part == 0 { (major, in_major) } else { (minor, in_minor) };
            let leading_zero = *count > 0 && *value == 0;
            if !byte.is_ascii_digit() || leading_zero || *count >= 4 {
                return None;
            }
            *value = *value * 10 + (byte - b'0') as u16;
            *count += 1;
        }
        let ([major, minor], [in_major, in_minor]) = (parts, digits);
        if in_major == 0 || in_minor == 0 { None } else { Some(Self { major, minor }) }
    }
}

impl FromStr for Version {
    type Err = ContractError;

    fn from_str(text: &str) -> Result<Self, ContractError> {
        Self::parse(text).ok_or_else(|| ContractError::Version { found: text.into() })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Encode for Version {
    fn encode(&self, out: &mut Writer) {
        out.u16(self.major).u16(self.minor);
    }
}
