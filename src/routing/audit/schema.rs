//! Bodies by their kinds.

use alloc::boxed::Box;

use crate::audience::any::{Entry, ReplayProblem};
use crate::encode::{Decode, Encode};
use crate::governance::GovernanceDecision;
use crate::identity::{IdentityScore, SessionOpened};
use crate::memory::FactRecord;
use crate::routing::audit::memo::Memo;
use crate::routing::desk::saved;
use crate::routing::evidence::{EvidenceBlock, Outcome};
use crate::routing::pins::PolicyPinned;
use crate::ssot::conflict::ConflictDetected;
use crate::ssot::matrix::{Rule, Scene};
use crate::ssot::record::{Record, RecordKind, StreamKind};

/// What a record says.
pub(super) enum Body {
    /// A record of an audience; or why it is no transition.
    Audience(Result<Entry, ReplayProblem>),
    Opened(Box<SessionOpened>),
    Closed,
    Evidence(Box<EvidenceBlock>),
    Outcome(Box<Outcome>),
    Fact(Box<FactRecord>),
    Decision(Box<GovernanceDecision>),
    Pinned(Box<PolicyPinned>),
    /// What a session's routes lead to.
    Saved,
    /// How well a session fits its subject's earlier ones, or that a commit was halted.
    Noted,
}

/// The kind of stream that records of a kind belong into: several for a session's opening.
pub(super) const fn belongs(kind: RecordKind, stream: StreamKind) -> bool {
    match kind {
        RecordKind::AudienceEvent
        | RecordKind::EnvelopeBlock
        | RecordKind::TransitionRefused
        | RecordKind::ConstitutionalCheck => matches!(stream, StreamKind::Audience),
        RecordKind::SessionOpened => matches!(stream, StreamKind::Session | StreamKind::Subject),
        RecordKind::SessionClosed | RecordKind::IdentityScored => {
            matches!(stream, StreamKind::Session)
        }
        RecordKind::EvidenceBlock | RecordKind::Outcome | RecordKind::ConflictDetected => {
            matches!(stream, StreamKind::Routing)
        }
        RecordKind::Fact => matches!(stream, StreamKind::Memory),
        RecordKind::GovernanceDecision => matches!(stream, StreamKind::Governance),
        RecordKind::PolicyPinned => matches!(stream, StreamKind::Policy),
        RecordKind::Snapshot => matches!(stream, StreamKind::Audience | StreamKind::Routing),
    }
}

/// Reads a body. Where that fails, says why and ends what would rest on it.
pub(super) fn read(record: &Record, scene: &mut Scene<'_, Memo>) -> Option<Body> {
    let kind = record.kind();
    if !belongs(kind, record.stream().kind()) {
        let expected = alloc::format!("a kind that belongs into {}", record.stream().kind().path());
        scene.fault(Rule::Kind, expected, kind.name());
        scene.halt();
        return None;
    }
    let body = match kind {
        RecordKind::Snapshot if record.stream().kind() == StreamKind::Routing => {
            if let Err(error) = saved::outline(record.body()) {
                return refuse(scene, kind, &error);
            }
            Body::Saved
        }
        RecordKind::Snapshot
        | RecordKind::AudienceEvent
        | RecordKind::EnvelopeBlock
        | RecordKind::TransitionRefused
        | RecordKind::ConstitutionalCheck => match Entry::read(record) {
            Err(ReplayProblem::Body(error)) => return refuse(scene, kind, &error),
            Err(problem) => Body::Audience(Err(problem)),
            Ok(entry) => {
                canonical(record, &entry, scene)?;
                Body::Audience(Ok(entry))
            }
        },
        RecordKind::SessionOpened => Body::Opened(value(record, scene)?),
        RecordKind::SessionClosed => {
            if !record.body().is_empty() {
                let found = alloc::format!("{} bytes", record.body().len());
                scene.fault(Rule::Body, "an empty body", found);
                scene.halt();
                return None;
            }
            Body::Closed
        }
        RecordKind::EvidenceBlock => Body::Evidence(value(record, scene)?),
        RecordKind::Outcome => Body::Outcome(value(record, scene)?),
        RecordKind::Fact => Body::Fact(value(record, scene)?),
        RecordKind::GovernanceDecision => Body::Decision(value(record, scene)?),
        RecordKind::PolicyPinned => Body::Pinned(value(record, scene)?),
        RecordKind::IdentityScored => {
            value::<IdentityScore>(record, scene)?;
            Body::Noted
        }
        RecordKind::ConflictDetected => {
            value::<ConflictDetected>(record, scene)?;
            Body::Noted
        }
    };
    Some(body)
}

fn value<T: Decode + Encode>(record: &Record, scene: &mut Scene<'_, Memo>) -> Option<Box<T>> {
    match record.read::<T>() {
        Ok(value) => {
            canonical(record, &value, scene)?;
            Some(Box::new(value))
        }
        Err(error) => refuse(scene, record.kind(), &error),
    }
}

fn refuse<T>(
    scene: &mut Scene<'_, Memo>,
    kind: RecordKind,
    error: &dyn core::fmt::Display,
) -> Option<T> {
    let expected = alloc::format!("a body of kind {}", kind.name());
    scene.fault(Rule::Body, expected, alloc::format!("one that does not read: {error}"));
    scene.halt();
    None
}

/// That what was read encodes to the very bytes it was read from.
fn canonical<T: Encode>(record: &Record, value: &T, scene: &mut Scene<'_, Memo>) -> Option<()> {
    let again = value.to_canonical();
    if again == record.body() {
        return Some(());
    }
    let same = again.iter().zip(record.body()).take_while(|(one, other)| one == other).count();
    let found = alloc::format!("another from byte {same} on");
    scene.fault(Rule::Canonical, "its one canonical form", found);
    scene.halt();
    None
}
