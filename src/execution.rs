//! Step 8: the effect, after durable evidence (IRM-4.8, D-27).
//!
//! Effects are the work of modules. A [`Module`] states in types and constants what
//! it may be used for (Module Contract v1.2); [`Contract`] is the same at run time,
//! and the [`Registry`] lets no call through that breaks it. Modules shipped here:
//! `outbox` (feature `std`: effects for another system to deliver, at most once) and
//! `process` (feature `process`: a program of your own).
//!
//! INVARIANT (no direct call): a [`Call`] is made in this room alone, by the registry
//! and by [`TypedJob`]; nothing else can run a module.
//!
//! INVARIANT (at most once): a key names one effect. A module that is handed a key
//! again carries nothing out a second time.

use core::fmt;

use crate::audience::state::State;
use crate::digest::Digest;
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::id::ModuleId;
use crate::intent::Intent;
use crate::provenance::Label;
use crate::time::Timestamp;
use crate::value::Value;
use crate::verdict::{Consensus, Narrowing, Reason, SafetyMode};

pub use arguments::{Arguments, FromArguments, FromValue, InputError, IntoOutput};
pub use contract::{
    CONTRACT_VERSION, Call, Contract, ContractError, ContractParts, Module, ModuleError,
};
pub use registry::{DynModule, Registry, RegistryError};
pub use typed::{IntentKind, Serves, TypedJob, TypedJobError, contract_lists};
pub use version::Version;

mod arguments;
mod contract;
#[cfg(feature = "files")]
pub mod files;
#[cfg(feature = "std")]
pub mod journal;
pub mod markers;
#[cfg(feature = "std")]
pub mod outbox;
#[cfg(all(feature = "process", unix))]
pub mod process;
mod registry;
#[cfg(test)]
mod tests;
mod typed;
mod version;

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

/// Shows that a job comes from a route whose evidence is durable (D-27, IRM-7.2).
/// Made by `routing` alone, when it was shown the ledger's receipt.
#[derive(Debug)]
pub struct Permit(());

impl Permit {
    /// INVARIANT (evidence first): called for a committed route and nowhere else.
    pub(crate) const fn of_committed_route() -> Self {
        Self(())
    }
}

/// What the Execution Engine is handed. Cannot be made outside of a committed route:
/// an engine that is called has evidence behind it.
///
/// ```compile_fail,E0451
/// use prospera::execution::{Job, Permit};
/// fn forge<'a>(job: Job<'a>) -> Job<'a> {
///     Job { permit: Permit(()), ..job }
/// }
/// ```
#[derive(Debug)]
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
    /// What only a committed route has.
    #[expect(dead_code, reason = "that it is there is what it says")]
    pub(crate) permit: Permit,
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
    /// The votes of this route: the layers a contract requires must have agreed.
    pub consensus: Consensus,
}
