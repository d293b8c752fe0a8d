//! Every way a route can end before its effect, as one value for the run-time driver.

use crate::routing::terminal::{
    Conclusion, ContractBlocked, DriftReferral, GovernanceStop, IdentityBlocked, IntentBlocked,
    MemoryHalt, PipelineHalt, SafetyBlocked, Terminal,
};

/// A route that ended before its effect, by the layer that ended it.
#[derive(Debug)]
pub enum Stop {
    /// Blocked at Step 1.
    Identity(IdentityBlocked),
    /// Blocked at Step 2.
    Intent(IntentBlocked),
    /// Hard drift at Step 3.
    Drift(DriftReferral),
    /// Correction Mode at Step 4.
    Memory(MemoryHalt),
    /// Blocked at Step 5.
    Safety(SafetyBlocked),
    /// Denied, stepped up or deferred at Step 6.
    Governance(GovernanceStop),
    /// Halted at Step 7.
    Pipeline(PipelineHalt),
    /// The module's contract is not met.
    Contract(ContractBlocked),
}

impl Stop {
    /// What is to be recorded.
    pub fn conclude(self) -> Conclusion {
        match self {
            Self::Identity(stop) => stop.conclude(),
            Self::Intent(stop) => stop.conclude(),
            Self::Drift(stop) => stop.conclude(),
            Self::Memory(stop) => stop.conclude(),
            Self::Safety(stop) => stop.conclude(),
            Self::Governance(stop) => stop.conclude(),
            Self::Pipeline(stop) => stop.conclude(),
            Self::Contract(stop) => stop.conclude(),
        }
    }
}

macro_rules! from {
    ($($terminal:ident => $variant:ident,)*) => {$(
        impl From<$terminal> for Stop {
            fn from(stop: $terminal) -> Self {
                Self::$variant(stop)
            }
        }
    )*};
}

from! {
    IdentityBlocked => Identity,
    IntentBlocked => Intent,
    DriftReferral => Drift,
    MemoryHalt => Memory,
    SafetyBlocked => Safety,
    GovernanceStop => Governance,
    PipelineHalt => Pipeline,
    ContractBlocked => Contract,
}
