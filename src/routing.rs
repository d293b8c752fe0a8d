//! Routing: the one path through the eight layers (IRM).
//!
//! [`Route`] is the typed path: its type says which layer an intent has passed, and a
//! skip does not compile. [`Router`] drives it at run time: it walks the same verbs
//! over eight engines, a store and a clock. [`RoutingTable`] says which execution
//! template an intent gets, proven unambiguous when it is loaded. [`evidence`] is
//! what stays behind.
//!
//! Requirements: IRM-1.1..IRM-1.7, IRM-2.1, IRM-2.7, IRM-2.8, IRM-8.1, D-42.

pub use desk::{Desk, OpenRoute};
pub use engines::{EngineSet, Engines};
pub use evidence::{EvidenceBlock, Outcome, OutcomeStatus, StepResult, TraceEntry};
pub use pins::{KeptFile, Pins, PolicyFiles, PolicyPinned};
pub use route::{
    BacktrackRefused, GovernanceView, Reception, Route, SafetyView, Sealed, Uncommitted,
};
pub use router::{
    FollowUp, Profile, Routed, Router, RouterError, Rules, SnapshotError, SnapshotReport,
};
pub use stop::Stop;
pub use table::RoutingTable;

pub mod audit;
pub mod desk;
pub mod engines;
pub mod evidence;
pub mod layers;
pub mod payloads;
pub mod pins;
#[cfg(feature = "std")]
pub mod replay;
pub mod retention;
pub mod route;
pub mod router;
#[cfg(feature = "compress")]
pub mod shape;
pub mod stop;
pub mod table;
pub mod terminal;
