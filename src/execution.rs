//! Step 8: the effect, after durable evidence (IRM-4.8, D-27).

use core::fmt;

use crate::audience::state::State;
use crate::digest::Digest;
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::id::ModuleId;
use crate::intent::Intent;
use crate::provenance::Label;
use crate::time::Timestamp;
use crate::value::Value;
use crate::verdict::{Narrowing, Reason, SafetyMode};

/// Marks one effect for good: the digest of the route's durable evidence. The same
/// key always means the same effect, and a module never carries it out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(Digest);

impl IdempotencyKey {
    /// The key of the route whose evidence has this digest.
    pub const fn from_evidence(record: Digest) -> Self {
        Self(record)
    }

    /// The digest of the evidence.
    pub const fn digest(&self) -> Digest {
        self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Encode for IdempotencyKey {
    fn encode(&self, out: &mut Writer) {
        out.digest(&self.0);
    }
}

impl Decode for IdempotencyKey {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.digest().map(Self)
    }
}

/// What the Execution Engine is handed.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The module of the execution path.
    pub module: &'a ModuleId,
    /// The intent.
    pub intent: &'a Intent,
    /// What was taken away from it.
    pub narrowing: &'a Narrowing,
    /// The mode it runs in.
    pub mode: SafetyMode,
    /// The audience's state.
    pub state: State,
    /// The effect's key.
    pub key: IdempotencyKey,
    /// The time now.
    pub now: Timestamp,
}

/// What a module gave back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The value.
    pub value: Value,
    /// Where the value came from: what reads it is labelled with this.
    pub label: Label,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Execution {
    /// The effect took place.
    Done(Output),
    /// The effect did not take place, for sure.
    Failed(Reason),
    /// It is not known whether the effect took place.
    Unknown(Reason),
}

/// Whether an effect took place, asked after a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reconciled {
    /// It did; the output, where it was kept.
    Happened(Option<Output>),
    /// It did not, for sure, and from now on it cannot.
    NotHappened,
    /// The module cannot tell.
    Unknown,
}

/// Step 8 of the path.
pub trait ExecutionEngine {
    /// Checks, before any evidence is written, that the module exists and that its
    /// contract (state, tier, intents, layers) is met.
    ///
    /// # Errors
    /// The [`Reason`] for which the route is Blocked.
    fn admit(&self, job: &Admission<'_>) -> Result<(), Reason>;

    /// Carries out the effect, at most once per key.
    fn execute(&self, job: &Job<'_>) -> Execution;

    /// Whether the effect with this key took place.
    fn reconcile(&self, module: &ModuleId, key: IdempotencyKey) -> Reconciled;
}

/// What a module's contract is checked on.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// The module of the execution path.
    pub module: &'a ModuleId,
    /// The intent.
    pub intent: &'a Intent,
    /// The audience's state.
    pub state: State,
    /// The mode it will run in.
    pub mode: SafetyMode,
}
