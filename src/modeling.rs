//! Step 3: does this fit the audience (IRM-4.3, D-22).

use alloc::vec::Vec;

use crate::id::KindId;
use crate::intent::Intent;
use crate::risk::Risk;
use crate::time::Timestamp;
use crate::verdict::{Drift, Reason, SafetyFlags, Verdict};

/// One thing an audience did, as its history remembers it. Everything in it can
/// be read from the route's records, so that a profile can be rebuilt by replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The kind of intent.
    pub kind: KindId,
    /// The flags it was routed with.
    pub flags: SafetyFlags,
    /// When.
    pub at: Timestamp,
    /// How it ended.
    pub verdict: Verdict,
}

/// What the Modeling System is handed.
#[derive(Debug)]
pub struct ModelingInput<'a, P> {
    /// The intent.
    pub intent: &'a Intent,
    /// The flags it is routed with.
    pub flags: SafetyFlags,
    /// The audience's history.
    pub profile: &'a P,
    /// The time now.
    pub now: Timestamp,
}

/// What the Modeling System found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelingFinding {
    /// Whether behaviour drifted.
    pub drift: Drift,
    /// How surprising the intent is, in parts per million.
    pub surprise: Risk,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// Step 3 of the path.
pub trait ModelingEngine {
    /// What the engine remembers of an audience.
    type Profile: Default;

    /// Compares the intent with the audience's history, context and preferences.
    fn model(&self, input: &ModelingInput<'_, Self::Profile>) -> ModelingFinding;

    /// Takes a finished route into the history.
    fn observe(&self, profile: &mut Self::Profile, observation: &Observation);
}
