//! Step 5: what harm could come of it (IRM-4.5, PLAN-4.5).
//!
//! The [`SafetySystem`] scores eight [`Dimension`]s, each from several named sources,
//! holds them against the [`Envelope`] v2.0, looks for [`ForbiddenRoute`]s, and answers
//! allow, modify, hold or block. Every score explains itself.
//!
//! The envelope as a file (`envelope.toml`):
//!
//! ```toml
#![doc = include_str!("safety/testdata/envelope.toml")]
//! ```
//!
//! INVARIANT (monotone): raising any risk never loosens the decision.

use alloc::vec::Vec;

use crate::audience::state::State;
use crate::intent::Intent;
use crate::provenance::Label;
use crate::risk::Risk;
use crate::time::Timestamp;
use crate::verdict::{Drift, EnvelopeVerdict, Narrowing, Reason, SafetyFlags};

pub use dimension::{Combine, Contribution, DIMENSIONS, Dimension, RiskSource, SOURCES, Signals};
pub use engine::SafetySystem;
pub use envelope::{Assessment, ENVELOPE_VERSION, Envelope, EnvelopeError};
pub use forbidden::ForbiddenRoute;
pub use parts::{Bounds, EnvelopeParts, LimitRule, Thresholds};

mod dimension;
mod engine;
mod envelope;
#[cfg(feature = "files")]
mod file;
mod forbidden;
mod parts;
#[cfg(test)]
mod tests;

/// What the Safety System is handed.
#[derive(Debug, Clone, Copy)]
pub struct SafetyInput<'a> {
    /// The intent.
    pub intent: &'a Intent,
    /// The flags known at Step 2.
    pub flags: SafetyFlags,
    /// The audience's state.
    pub state: State,
    /// How sure the Identity System is who acts.
    pub strength: Risk,
    /// How far identity contradicts what is known.
    pub anomaly: Risk,
    /// Drift found at Step 3.
    pub drift: Drift,
    /// Surprise found at Step 3.
    pub surprise: Risk,
    /// Everything the session has read so far.
    pub context: &'a Label,
    /// Milliseconds since the oldest fact the intent relies on was written, 0 without one.
    pub staleness_millis: u64,
    /// The time now.
    pub now: Timestamp,
}

/// The Safety System's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SafetyDecision {
    /// Goes on as asked.
    Allow,
    /// Goes on in Protected Mode.
    Modify(Narrowing),
    /// Waits for a person's judgement.
    Hold,
    /// Stops.
    Block,
}

/// What the Safety System found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafetyFinding {
    /// What it decides.
    pub decision: SafetyDecision,
    /// The envelope's verdict, for the audience's gate.
    pub envelope: EnvelopeVerdict,
    /// The overall risk.
    pub risk: Risk,
    /// Flags raised beyond those of Step 2.
    pub raised: SafetyFlags,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// What the Safety System is handed when nothing is asked of an audience.
#[derive(Debug, Clone, Copy)]
pub struct PostureInput<'a> {
    /// The audience's state.
    pub state: State,
    /// How sure the Identity System is who acts.
    pub strength: Risk,
    /// Everything the session has read so far.
    pub context: &'a Label,
    /// The time now.
    pub now: Timestamp,
}

/// Step 5 of the path. The Safety Engine cannot be skipped (IRM-7.1).
pub trait SafetyEngine {
    /// Scores the risk and decides.
    fn assess(&self, input: &SafetyInput<'_>) -> SafetyFinding;

    /// The envelope's verdict on the audience itself and the risk it was decided at,
    /// for the gate: what is known of it while nothing is asked.
    fn posture(&self, input: &PostureInput<'_>) -> (EnvelopeVerdict, Risk);
}
