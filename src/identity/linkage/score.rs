//! A score and its explanation: the body of an `identity-scored` record.
//!
//! It stands on the session's own stream behind its opening, in the same commit.
//!
//! | part | encoding |
//! |---|---|
//! | version | `u8`, 1 |
//! | session | name |
//! | digest of the linkage model | 32 bytes |
//! | inconsistent below | `u64`, two's complement, 2^-48 bit |
//! | mismatch below | optional, the same |
//! | sessions compared | `u32` |
//! | the best of them | optional: session (name); prior (`u64`, 10^-15); list of fields |
//! | each field | field (`u8`), level (`u8`), m, u (`u64`, 10^-15), adjustment (`u64` as above) |
//!
//! Weights, score and standing are not written: they follow from what is, so that no
//! record can say one thing and mean another.

use alloc::vec::Vec;
use core::fmt;

use super::field::Field;
use crate::digest::Digest;
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::fixed::{Probability, Weight};
use crate::id::SessionId;

/// What a score means for the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// The subject has no earlier session to compare with.
    Unknown,
    /// Nothing speaks against it.
    Consistent,
    /// Below the first threshold: an identity inconsistency (ASM2-8.1).
    Inconsistent,
    /// Below the second: an identity mismatch anomaly (ASM2-7.5).
    Mismatch,
}

impl Standing {
    /// The standing's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Consistent => "consistent",
            Self::Inconsistent => "inconsistent",
            Self::Mismatch => "mismatch",
        }
    }

    /// Whether it speaks against the session.
    pub const fn is_low(self) -> bool {
        matches!(self, Self::Inconsistent | Self::Mismatch)
    }
}

/// What one field adds to a score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldScore {
    /// The field.
    pub field: Field,
    /// How alike the sessions are in it: the number of the level.
    pub level: u8,
    /// How often two sessions of one person compare like this.
    pub m: Probability,
    /// How often two sessions of different people do.
    pub u: Probability,
    /// What agreeing on this very value adds.
    pub adjustment: Weight,
}

impl FieldScore {
    /// The weight of the level.
    pub fn weight(&self) -> Weight {
        Weight::ratio(self.m, self.u)
    }

    /// The name of the level.
    pub fn level_name(&self) -> &'static str {
        self.field.levels().get(usize::from(self.level)).copied().unwrap_or("unknown")
    }
}

impl Encode for FieldScore {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.field).u8(self.level).u64(self.m.units()).u64(self.u.units());
        out.u64(self.adjustment.raw().cast_unsigned());
    }
}

fn probability(input: &mut Reader<'_>) -> Result<Probability, DecodeError> {
    let units = input.u64()?;
    Probability::new(units).ok_or_else(|| input.invalid("a probability of at most 10^15"))
}

fn weight(input: &mut Reader<'_>) -> Result<Weight, DecodeError> {
    Ok(Weight::from_raw(input.u64()?.cast_signed()))
}

impl Decode for FieldScore {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (field, level): (Field, u8) = (input.value()?, input.u8()?);
        if usize::from(level) >= field.levels().len() {
            return Err(input.invalid("a level of its field"));
        }
        let (m, u) = (probability(input)?, probability(input)?);
        Ok(Self { field, level, m, u, adjustment: weight(input)? })
    }
}

/// The comparison with one earlier session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The earlier session.
    pub with: SessionId,
    /// How likely it was the same person before anything was compared.
    pub prior: Probability,
    /// What each field adds, in order; fields with nothing to compare are left out.
    pub fields: Vec<FieldScore>,
}

impl Link {
    /// The score: the odds of the prior and every weight and adjustment.
    pub fn total(&self) -> Weight {
        let fields = self.fields.iter().map(|field| field.weight() + field.adjustment);
        Weight::odds(self.prior) + fields.sum()
    }
}

/// The score of a session when it was opened, with its explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityScore {
    /// The session.
    pub session: SessionId,
    /// The digest of the linkage model.
    pub model: Digest,
    /// Below this it is inconsistent.
    pub hold_below: Weight,
    /// Below this it is a mismatch.
    pub escalate_below: Option<Weight>,
    /// With how many earlier sessions it was compared.
    pub compared: u32,
    /// The comparison that scored best.
    pub link: Option<Link>,
}

impl IdentityScore {
    /// The score; none where there was nothing to compare with.
    pub fn total(&self) -> Option<Weight> {
        self.link.as_ref().map(Link::total)
    }

    /// What it means.
    pub fn standing(&self) -> Standing {
        match self.total() {
            None => Standing::Unknown,
            Some(total) if self.escalate_below.is_some_and(|below| total < below) => {
                Standing::Mismatch
            }
            Some(total) if total < self.hold_below => Standing::Inconsistent,
            Some(_) => Standing::Consistent,
        }
    }
}

impl Encode for IdentityScore {
    fn encode(&self, out: &mut Writer) {
        out.u8(1).value(&self.session).digest(&self.model);
        out.u64(self.hold_below.raw().cast_unsigned()).bool(self.escalate_below.is_some());
        if let Some(below) = self.escalate_below {
            out.u64(below.raw().cast_unsigned());
        }
        out.u32(self.compared).bool(self.link.is_some());
        if let Some(link) = &self.link {
            out.value(&link.with).u64(link.prior.units()).list(&link.fields);
        }
    }
}

impl Decode for IdentityScore {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        let version = input.u8()?;
        if version != 1 {
            return Err(Reader::bad_tag("identity score version 1", version, offset));
        }
        let (session, model, hold_below) = (input.value()?, input.digest()?, weight(input)?);
        let escalate_below = if input.bool()? { Some(weight(input)?) } else { None };
        if escalate_below.is_some_and(|below| below > hold_below) {
            return Err(input.invalid("an escalation at or below the hold"));
        }
        let compared = input.u32()?;
        let link = if input.bool()? {
            let (with, prior) = (input.value()?, probability(input)?);
            let fields: Vec<FieldScore> = input.list()?;
            let mut pairs = fields.iter().zip(fields.iter().skip(1));
            if pairs.any(|(one, next)| one.field >= next.field) {
                return Err(input.invalid("unique fields in ascending order"));
            }
            Some(Link { with, prior, fields })
        } else {
            None
        };
        if link.is_some() != (compared > 0) {
            return Err(input.invalid("a comparison with the best of the sessions compared"));
        }
        Ok(Self { session, model, hold_below, escalate_below, compared, link })
    }
}

impl fmt::Display for IdentityScore {
    /// The score, then a line for each field.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(link) = &self.link else {
            return write!(f, "session `{}`: unknown, nothing to compare with", self.session);
        };
        let total = link.total();
        write!(
            f,
            "session `{}`: {} at {total} bits (probability {}), threshold {}; nearest of {}: `{}`",
            self.session,
            self.standing().name(),
            Probability::of_odds(total),
            self.hold_below,
            self.compared,
            link.with
        )?;
        write!(f, "\n  {:<11} {:<24} {:>9}", "prior", "", Weight::odds(link.prior))?;
        for field in &link.fields {
            let (name, level) = (field.field.name(), field.level_name());
            let weight = field.weight();
            write!(f, "\n  {name:<11} {level:<24} {weight:>9}  m {} u {}", field.m, field.u)?;
            if field.adjustment != Weight::ZERO {
                write!(f, "  value {}", field.adjustment)?;
            }
        }
        Ok(())
    }
}
