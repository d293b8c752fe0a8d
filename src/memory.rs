//! Step 4: what is remembered, and whether the intent agrees with it (IRM-4.4).
//!
//! [`Facts`] are long-term memory: versioned, labelled, rebuilt from the subject's
//! memory stream. [`MemorySystem`] compares an intent with them and halts the route
//! on every disagreement. [`CorrectionRequest`] says what would settle each one,
//! [`settle`] checks what was supplied. [`ShortTerm`] is what one session has done
//! and read.
//!
//! INVARIANT (no stale routing, IRM-4.4.3): an intent that passes relies only on
//! facts that stand at the route's snapshot, at the version it saw, in its contexts.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::id::{FactKey, SnapshotId};
use crate::intent::Intent;
use crate::time::Timestamp;
use crate::verdict::Reason;

pub use correction::{
    Correction, CorrectionRequest, CorrectionStep, Need, Replacement, Settled, settle,
};
pub use facts::{Fact, FactRecord, Facts, FactsError, NewFact, Visible};

pub use short_term::{Remembered, ShortTerm};
pub use system::{MemorySystem, SnapshotRule};

pub mod correction;
pub mod facts;
pub mod short_term;
mod system;
#[cfg(test)]
mod test_support;

/// What the Memory System is handed.
#[derive(Debug, Clone, Copy)]
pub struct MemoryInput<'a> {
    /// The intent.
    pub intent: &'a Intent,
    /// The subject's facts at the current snapshot.
    pub facts: &'a Facts,
    /// The current snapshot.
    pub snapshot: SnapshotId,
    /// The time now.
    pub now: Timestamp,
}

/// What the Memory System found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryFinding {
    /// What was noticed without stopping the route.
    pub reasons: Vec<Reason>,
}

/// How an intent and memory disagree (IRM-4.4, IRM-5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConflictKind {
    /// Facts contradict each other or the argument.
    Inconsistent,
    /// The intent relies on facts of another subject or context.
    Misaligned,
    /// The intent relies on an outdated version.
    Stale,
    /// The intent relies on a fact that does not exist.
    Missing,
}

/// One disagreement. Without key and argument it is about the snapshot (stale) or
/// the subject (misaligned).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryConflict {
    /// Which kind.
    pub kind: ConflictKind,
    /// The fact, where one is concerned.
    pub key: Option<FactKey>,
    /// The argument, where one is concerned.
    pub argument: Option<Box<str>>,
    /// Why.
    pub reason: Reason,
}

/// Step 4 of the path. The Memory System cannot be skipped (IRM-3.3.3).
pub trait MemoryEngine {
    /// Compares what the intent relies on with what is remembered.
    ///
    /// # Errors
    /// All disagreements: the route halts and Correction Mode lists what to supply.
    fn recall(&self, input: &MemoryInput<'_>) -> Result<MemoryFinding, Vec<MemoryConflict>>;
}
