//! What is known of the bodies of records, from outside of this room.

use crate::digest::{Digest, Domain};
use crate::ssot::record::RecordKind;
use std::vec::Vec;

/// In which domain a payload's digest was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PayloadOf {
    /// The canonical bytes of an intent.
    Intent,
    /// The text of an objective.
    Objective,
    /// The canonical bytes of an output.
    Output,
    /// A part of a policy file.
    Policy,
}

impl PayloadOf {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 4] = [Self::Intent, Self::Objective, Self::Output, Self::Policy];

    /// The domain.
    pub const fn domain(self) -> Domain {
        match self {
            Self::Intent => Domain::Intent,
            Self::Objective => Domain::Objective,
            Self::Output => Domain::Output,
            Self::Policy => Domain::Payload,
        }
    }
}

/// 32 bytes of a body that are a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Of anything.
    Digest(usize),
    /// Of a payload.
    Payload(usize, PayloadOf),
    /// [`Shape::derive`] can compute it from the rest of the body.
    Derived(usize),
    /// The first 16 bytes of a digest, and no more.
    Half(usize),
    /// A time, eight bytes: not a digest, and often the record's own.
    Time(usize),
}

impl Mark {
    pub(super) const fn offset(self) -> usize {
        match self {
            Self::Digest(at)
            | Self::Payload(at, _)
            | Self::Derived(at)
            | Self::Half(at)
            | Self::Time(at) => at,
        }
    }

    pub(super) const fn length(self) -> usize {
        match self {
            Self::Digest(_) | Self::Payload(..) | Self::Derived(_) => 32,
            Self::Half(_) => 16,
            Self::Time(_) => 8,
        }
    }
}

/// Knows where digests stand in the bodies of records. Whatever it says, what is packed is
/// unpacked to the same bytes: a wrong answer costs room, and a segment is read with the
/// shape it was written with, or not at all.
pub trait Shape {
    /// The digests of a body, in the order of their places, none over another.
    fn marks(&self, kind: RecordKind, body: &[u8]) -> Vec<Mark>;

    /// The number that [`Shape::derive`] needs to find the digest at `at`, which
    /// [`Shape::marks`] named as derived. `None` when it is not what could be derived: it is
    /// kept then.
    fn hint(&self, kind: RecordKind, body: &[u8], at: usize) -> Option<u64>;

    /// The 32 bytes at `at` from a body in which all derived ones are zeros.
    fn derive(&self, kind: RecordKind, body: &[u8], at: usize, hint: u64) -> Option<Digest>;
}

/// Knows nothing of bodies.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bare;

impl Shape for Bare {
    fn marks(&self, _: RecordKind, _: &[u8]) -> Vec<Mark> {
        Vec::new()
    }

    fn hint(&self, _: RecordKind, _: &[u8], _: usize) -> Option<u64> {
        None
    }

    fn derive(&self, _: RecordKind, _: &[u8], _: usize, _: u64) -> Option<Digest> {
        None
    }
}
