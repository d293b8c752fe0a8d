//! Strategies for the library's values (feature `proptest`).
//!
//! Names come from a small pool most of the time, so that what should meet does meet.
//!
//! ```
//! use proptest::prelude::*;
//! use prospera::testing::{properties, strategy};
//!
//! proptest!(|(a in strategy::label(), b in strategy::label(), c in strategy::label())| {
//!     properties::labels_join(&a, &b, &c)?;
//! });
//! ```

pub use audience::{history, lineage_event, state, walk};
pub use evidence::{evidence_block, outcome, trace_entry};
pub use policy::{arbitrary_policy, policy, rule};
pub use record::{batch, draft, head, log, mutation, sealed, stream};
pub use request::{intent, request, request_of, script};
pub use table::{components, disjoint_rows, pattern, row, rows};
pub use vocabulary::{
    consensus, decimal, digest, drift, flags, label, layer, name, named, narrowing, reason,
    reason_code, risk, safety_mode, sensitivity, source, subsystem, tier, timestamp, value,
    verdict, vote,
};

mod audience;
mod evidence;
mod policy;
mod record;
mod request;
mod table;
mod vocabulary;
