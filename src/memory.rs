//! Step 4: what is remembered, and whether the intent agrees with it (IRM-4.4).

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::id::{FactKey, SnapshotId};
use crate::intent::Intent;
use crate::time::Timestamp;
use crate::verdict::Reason;

pub use facts::{Fact, FactRecord, Facts, FactsError, NewFact, Visible};

pub mod facts;

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

/// One disagreement and what would settle it.
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
