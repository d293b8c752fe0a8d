//! Evidence and outcomes.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::audience::state;
use super::vocabulary::{
    consensus, digest, drift, flags, label, layer, name, named, narrowing, reason, risk,
    safety_mode, timestamp, verdict,
};
use crate::id::SnapshotId;
use crate::intent::RoutingId;
use crate::routing::evidence::TraceEntry;
use crate::routing::{EvidenceBlock, Outcome, OutcomeStatus, StepResult};

/// One entry of a decision trace.
pub fn trace_entry() -> impl Strategy<Value = TraceEntry> + Clone {
    use StepResult::{Backtracked, Flagged, Narrowed, Passed, Stopped};
    let result = select(&[Passed, Flagged, Narrowed, Stopped, Backtracked][..]);
    (layer(), result, vec(reason(), 0..3)).prop_map(|(layer, result, reasons)| TraceEntry {
        layer,
        result,
        reasons,
    })
}

/// Any evidence block without a Governance Token: only its mint makes one.
pub fn evidence_block() -> impl Strategy<Value = EvidenceBlock> + Clone {
    let route = (verdict(), timestamp(), of(digest()), digest(), flags(), flags(), consensus());
    let path = (of(named()), of(named()), of(named()), safety_mode(), of(digest()));
    let who = (named(), named(), of(named()), state(), 0..=3_u8);
    let found = (digest(), digest(), risk(), risk(), drift(), narrowing());
    let after = (of(digest()), of(digest()), of(name()), of(timestamp()), any::<bool>());
    (route, path, who, found, after, vec(trace_entry(), 0..9)).prop_map(
        |(route, path, who, found, after, trace)| EvidenceBlock {
            verdict: route.0,
            timestamp: route.1,
            routing_id: route.2.map(RoutingId::from_digest),
            intent: route.3,
            objective: path.4,
            flags: route.4,
            raised: route.5,
            consensus: route.6,
            token: None,
            template: path.0,
            branch: path.1,
            module: path.2,
            mode: path.3,
            subject: who.0,
            principal: who.1,
            kind: who.2,
            state: who.3,
            class: who.4,
            snapshot: SnapshotId::new(found.0),
            pins: found.1,
            risk: found.2,
            surprise: found.3,
            drift: found.4,
            narrowing: found.5,
            approval: after.0,
            backtrack: after.1,
            approver: after.2,
            wait_until: after.3,
            trace,
            salted: after.4,
        },
    )
}

/// Any outcome.
pub fn outcome() -> impl Strategy<Value = Outcome> + Clone {
    use OutcomeStatus::{Done, Failed, Unknown};
    let status = select(&[Done, Failed, Unknown][..]);
    (digest(), status, of(digest()), label(), vec(reason(), 0..3), any::<bool>()).prop_map(
        |(evidence, status, output, label, reasons, salted)| Outcome {
            evidence,
            status,
            output,
            label,
            reasons,
            salted,
        },
    )
}
