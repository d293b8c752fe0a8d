//! What came between a route's decision and its commit: classified, recorded, and held
//! against whom it concerns.
//!
//! A route whose commit is refused halts and is decided again (IRM-5.1). What made it halt is
//! classified ([`crate::ssot::conflict`]) and stands as a record of the session's routing
//! stream, in front of the evidence of whatever the session commits next. What it is to those
//! who govern follows from what the records say:
//!
//! | came between | and | cause |
//! |---|---|---|
//! | a fact the intent relies on | | memory-context drift (IRM-5.4): Memory finds the intent stale and the route stays blocked until it is corrected |
//! | another policy set | | policy mismatch (IRM-5.3): the router stops |
//! | a move of the audience | this route moved it elsewhere | subsystem conflict |
//! | an outcome of this very route | another outcome | subsystem conflict |
//! | anything else | | none: it halts and is decided again, which is all that two desks of one session, or a decision meanwhile, ask for (D-51) |
//!
//! A subsystem conflict is a hold trigger (ASM2-8.4): it is part of the assessment of the route
//! that records it. What came twice the same (two subsystems that moved the audience alike) is
//! no conflict between them.
//!
//! A commit that is not refused costs the look at an empty list.
//!
//! Requirements: PLAN-8.4, ASM2-8.4, IRM-5.1, IRM-5.4.

use super::{Router, RouterError};
use crate::audience::lineage::LineageEvent;
use crate::audience::state::State;
use crate::encode::Encode as _;
use crate::governance::{GovernanceDecision, Matter};
use crate::id::Subsystem;
use crate::intent::Intent;
use crate::memory::FactRecord;
use crate::provenance::Source;
use crate::routing::desk::{Pads, Streams};
use crate::routing::engines::Engines;
use crate::routing::evidence::{EvidenceBlock, Outcome};
use crate::ssot::conflict::{
    Class, Classification, ConflictCause, ConflictDetected, came_between, classify_with,
};
use crate::ssot::record::{Draft, Record, RecordKind};
use crate::ssot::store::{Batch, Store};
use crate::time::Clock;

impl<E: Engines, S: Store, C: Clock> Router<E, S, C> {
    /// Classifies what came before a commit that was refused, for the desk's next one.
    pub(super) fn contested(
        &self,
        pads: &mut Pads,
        batch: &Batch,
        intent: Option<&Intent>,
    ) -> Result<(), RouterError> {
        let came = came_between(self.store(), batch)?;
        let found = classify_with(batch, &came, |record, draft| touches(record, draft, intent));
        let cause = cause(batch, &came, &found);
        let conflict = ConflictDetected::new(batch, found, cause);
        // A desk gives up after so many attempts; beyond, the gravest are kept.
        if pads.contested.len() < super::ATTEMPTS as usize {
            pads.contested.push(conflict);
        } else if let Some(milder) = pads.contested.iter_mut().find(|kept| kept.cause < cause) {
            *milder = conflict;
        }
        Ok(())
    }
}

impl Pads {
    /// Whether subsystems said different things since the desk's last commit.
    pub(super) fn is_torn(&self) -> bool {
        let torn = Some(ConflictCause::SubsystemConflict);
        self.contested.iter().any(|conflict| conflict.cause == torn)
    }
}

/// The record of a conflict.
pub(super) fn draft(conflict: &ConflictDetected, streams: &Streams) -> Draft {
    let (stream, body) = (streams.routing.clone(), conflict.to_canonical());
    Draft::new(stream, RecordKind::ConflictDetected, Subsystem::Ssot, body)
}

/// Whether what came concerns what a draft rests on or changes, where the kinds leave it
/// open. What cannot be read, does.
fn touches(came: &Record, ours: &Draft, intent: Option<&Intent>) -> bool {
    match (came.kind(), ours.kind()) {
        (RecordKind::Fact, RecordKind::Fact) => {
            let (Ok(came), Ok(ours)) = (came.read::<FactRecord>(), read::<FactRecord>(ours)) else {
                return true;
            };
            came.key == ours.key
        }
        (RecordKind::Fact, _) => {
            let Some(intent) = intent else { return false };
            let Ok(fact) = came.read::<FactRecord>() else { return true };
            let relies = intent.reads().iter().any(|read| read.key == fact.key);
            let from_memory = (intent.arguments().values())
                .any(|argument| argument.label.sources().any(|s| *s == Source::Memory));
            relies || from_memory || intent.snapshot().is_some()
        }
        (RecordKind::GovernanceDecision, RecordKind::EvidenceBlock) => {
            let (Ok(decision), Ok(block)) =
                (came.read::<GovernanceDecision>(), read::<EvidenceBlock>(ours))
            else {
                return true;
            };
            match decision.matter() {
                Matter::Approval { intent, .. } => *intent == block.intent,
                Matter::Backtrack { route, .. } => Some(*route) == block.routing_id,
                // What they allow is a move of the audience, which is a record of its own.
                Matter::PrivilegedExit { .. }
                | Matter::HoldRelease { .. }
                | Matter::EscalationReview { .. }
                | Matter::Erasure { .. } => false,
            }
        }
        _ => true,
    }
}

fn read<T: crate::encode::Decode>(draft: &Draft) -> Result<T, crate::encode::DecodeError> {
    T::from_canonical(draft.body())
}

/// The gravest cause that the findings are.
fn cause(batch: &Batch, came: &[Record], found: &Classification) -> Option<ConflictCause> {
    let conflicting = (found.findings.iter())
        .filter(|finding| finding.class == Class::Conflicting)
        .filter_map(|finding| came.iter().find(|record| record.index() == finding.index));
    let mut torn_from = None;
    let mut gravest = None;
    for record in conflicting {
        let cause = match record.kind() {
            RecordKind::PolicyPinned => Some(ConflictCause::PolicyMismatch),
            RecordKind::Fact => Some(ConflictCause::MemoryContextDrift),
            RecordKind::AudienceEvent => {
                torn_from = record.read::<LineageEvent>().ok().map(|event| event.to());
                None
            }
            RecordKind::Outcome => contradicts(batch, record),
            _ => None,
        };
        gravest = gravest.max(cause);
    }
    // Where the audience ended, and where this route would have had it end.
    let torn = torn_from.zip(destination(batch)).is_some_and(|(theirs, ours)| theirs != ours);
    if torn { Some(ConflictCause::SubsystemConflict) } else { gravest }
}

/// The state to which a batch moves the audience.
fn destination(batch: &Batch) -> Option<State> {
    let moves = batch.drafts().iter().rev().filter(|d| d.kind() == RecordKind::AudienceEvent);
    moves.filter_map(|draft| read::<LineageEvent>(draft).ok()).map(|event| event.to()).next()
}

/// Whether an outcome that came says something else of a route than the one of the batch.
fn contradicts(batch: &Batch, came: &Record) -> Option<ConflictCause> {
    let theirs: Outcome = came.read().ok()?;
    let ours = batch.drafts().iter().find(|draft| draft.kind() == RecordKind::Outcome)?;
    let ours: Outcome = read(ours).ok()?;
    (ours.evidence == theirs.evidence && ours.status != theirs.status)
        .then_some(ConflictCause::SubsystemConflict)
}
