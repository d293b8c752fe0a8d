//! Routes: evidence and outcomes.

use alloc::sync::Arc;

use crate::digest::Digest;
use crate::id::LayerId;
use crate::intent::RoutingComponents;
use crate::limits::LEEWAY_MILLIS;
use crate::routing::audit::audiences::states;
use crate::routing::audit::decisions::{About, Use};
use crate::routing::audit::memo::{Memo, Question, Route, RoutingMemo};
use crate::routing::audit::{Auditor, absent, beside, not_before, rests};
use crate::routing::evidence::{EvidenceBlock, Outcome, OutcomeStatus, StepResult, TraceEntry};
use crate::routing::payloads::{self, PayloadError};
use crate::ssot::matrix::{Check, Rule, Scene, Why};
use crate::ssot::record::{Record, StreamId, StreamKind};
use crate::ssot::snapshot::is_slot;
use crate::ssot::store::{Store, StoreError};
use crate::verdict::{Drift, Verdict, Vote};

impl Auditor {
    pub(super) fn evidence<S: Store + ?Sized>(
        &mut self,
        record: &Record,
        block: &EvidenceBlock,
        scene: &mut Scene<'_, Memo>,
        store: &S,
    ) -> Result<(), StoreError> {
        let mut memo = match scene.memo() {
            Some(Memo::Routing(memo)) => core::mem::take(memo),
            _ => RoutingMemo::default(),
        };
        self.policies.check_pins(&block.pins, scene);
        session(record, block, &memo, self.blind, scene);
        rests_on(record, block, self.blind, scene);
        replay(record, block, &memo, scene);
        if block.timestamp != record.timestamp() {
            scene.fault(Rule::OwnTime, record.timestamp(), block.timestamp);
        }
        ask(record, block, scene);
        if block.kind.is_some() {
            memo.missed(payload(payloads::intent(store, block), scene)?, scene.at());
        }
        if block.objective.is_some() {
            memo.missed(payload(payloads::objective(store, block), scene)?, scene.at());
        }
        memo.seen = memo.seen.max(block.timestamp);
        memo.open = None;
        if block.opens_route() {
            let (evidence, index) = (record.digest(), scene.index());
            memo.open = Some(Route { evidence, index, consensus: block.consensus });
        } else if block.kind.is_some() && !matches!(block.verdict, Verdict::StepUp | Verdict::Defer)
        {
            memo.standing = block.consensus.with(LayerId::Execution, Vote::Abstain);
        }
        if let Some(own) = scene.memo() {
            *own = Memo::Routing(memo);
        }
        Ok(())
    }
}

/// The outcome of the route that is open.
pub(super) fn outcome<S: Store + ?Sized>(
    _: &Record,
    outcome: &Outcome,
    scene: &mut Scene<'_, Memo>,
    store: &S,
) -> Result<(), StoreError> {
    let open = match scene.memo() {
        Some(Memo::Routing(memo)) => memo.open.take(),
        _ => None,
    };
    match &open {
        None => scene.fault(Rule::OutcomeFirst, "evidence of an open route before it", "none"),
        Some(open) if open.evidence != outcome.evidence => {
            let expected = alloc::format!("the outcome of evidence {}", open.evidence);
            scene.fault(Rule::Evidence, expected, outcome.evidence);
        }
        Some(_) => {}
    }
    let kept = match &outcome.output {
        Some(_) => payload(payloads::output(store, outcome), scene)?,
        None => true,
    };
    let at = scene.at();
    if let Some(Memo::Routing(memo)) = scene.memo() {
        memo.missed(kept, at);
        if let Some(open) = open {
            let vote = match outcome.status {
                OutcomeStatus::Done => Vote::Agree,
                OutcomeStatus::Failed | OutcomeStatus::Unknown => Vote::Dissent,
            };
            memo.standing = open.consensus.with(LayerId::Execution, vote);
        }
    }
    Ok(())
}

/// A snapshot of the session: where it may stand. What it says takes the modeling rules.
pub(super) fn saved(record: &Record, scene: &mut Scene<'_, Memo>) {
    scene.begin(Check::Snapshot);
    if is_slot(record.sequence()) {
        scene.end(Check::Snapshot, Why::NeedsRules);
    } else {
        let found = alloc::format!("one at {}", record.sequence());
        scene.fault(Rule::Snapshot, "a snapshot where one may stand", found);
    }
}

/// Whether the payload is kept. One that is kept must be the one named.
fn payload(
    kept: Result<Option<Arc<[u8]>>, PayloadError>,
    scene: &mut Scene<'_, Memo>,
) -> Result<bool, StoreError> {
    match kept {
        Ok(kept) => Ok(kept.is_some()),
        Err(PayloadError::Store(error)) => Err(error),
        Err(PayloadError::Changed { what, expected, found }) => {
            scene.fault(Rule::Payload, alloc::format!("the {what} {expected}"), found);
            Ok(true)
        }
        Err(error) => {
            scene.fault(Rule::Payload, "a payload that reads", error);
            Ok(true)
        }
    }
}

/// Whether the route passed the Identity System.
fn identified(block: &EvidenceBlock) -> bool {
    let first = block.trace.first();
    first.is_some_and(|e| e.layer == LayerId::Identity && e.result != StepResult::Stopped)
}

/// Whose it is, and when.
fn session(
    record: &Record,
    block: &EvidenceBlock,
    routes: &RoutingMemo,
    blind: Option<u64>,
    scene: &mut Scene<'_, Memo>,
) {
    let stream = beside(record, StreamKind::Session);
    let Some(other) = scene.other(&stream) else {
        let expected = alloc::format!("an opening in `{stream}`");
        absent(blind, scene, Rule::NoSession, expected);
        return;
    };
    let doubt = other.doubt;
    let Memo::Session(session) = other.memo else {
        if !rests(scene, Check::Identity, doubt) {
            scene.fault(Rule::NoSession, "an opening of the session", "none");
        }
        return;
    };
    let session = session.clone();
    if rests(scene, Check::Identity, doubt) {
        return;
    }
    if block.subject != session.subject {
        let expected = alloc::format!("subject `{}`", session.subject);
        scene.fault(Rule::Subject, expected, alloc::format!("`{}`", block.subject));
    }
    if block.principal != session.principal {
        let expected = alloc::format!("principal `{}`", session.principal);
        scene.fault(Rule::Principal, expected, alloc::format!("`{}`", block.principal));
    }
    if !identified(block) {
        return;
    }
    if !session.open {
        scene.fault(Rule::Closed, "an open session", "one that was closed");
    }
    let now = block.timestamp;
    let over = now >= session.expires_at.plus_millis(LEEWAY_MILLIS);
    if over || !not_before(now, session.valid_from) {
        let (from, to) = (session.valid_from, session.expires_at);
        scene.fault(Rule::Claims, alloc::format!("a time from {from} to {to}"), now);
    }
    let seen = routes.seen.max(session.verified_at);
    if !not_before(now, seen) {
        let expected = alloc::format!("a time not before {seen} by more than {LEEWAY_MILLIS} ms");
        scene.fault(Rule::ClockBack, expected, now);
    }
}

/// The decisions and the snapshot that it names.
fn rests_on(
    record: &Record,
    block: &EvidenceBlock,
    blind: Option<u64>,
    scene: &mut Scene<'_, Memo>,
) {
    let of = |kind| StreamId::new(kind, block.subject.name().clone());
    let memory = of(StreamKind::Memory);
    let (head, doubt) =
        scene.other(&memory).map_or((Digest::ZERO, None), |o| (o.head.digest(), o.doubt));
    let snapshot = Digest::from_bytes(*block.snapshot.digest_bytes());
    if !rests(scene, Check::Lineage, doubt) && head != snapshot {
        scene.fault(Rule::Basis, alloc::format!("snapshot {head}"), snapshot);
    }
    let at = record.timestamp();
    let governance = of(StreamKind::Governance);
    if let Some(decision) = block.approval {
        let about = About::Intent(block.intent);
        Use { decision, about, decider: None, at }.check(&governance, blind, scene);
    }
    if let Some(decision) = block.backtrack {
        let about = About::Route(block.routing_id.map_or(Digest::ZERO, |id| id.digest()));
        Use { decision, about, decider: None, at }.check(&governance, blind, scene);
    }
}

/// What governance may be asked about from here on.
fn ask(record: &Record, block: &EvidenceBlock, scene: &mut Scene<'_, Memo>) {
    let stream = StreamId::new(StreamKind::Subject, block.subject.name().clone());
    let session = record.stream().name();
    let Some(Memo::Subject(memo)) = scene.other_memo(&stream) else { return };
    // A later record of the session says that its questions have ended by then.
    memo.questions.retain(|q| q.session != *session || block.timestamp < q.until);
    let Some(until) = block.wait_until else { return };
    let about = match (block.verdict, block.drift, block.routing_id) {
        (Verdict::StepUp, ..) if block.approver.is_some() => About::Intent(block.intent),
        (Verdict::Defer, Drift::Hard, Some(route)) => About::Route(route.digest()),
        _ => return,
    };
    memo.questions.push(Question {
        about,
        session: session.clone(),
        requester: block.principal.clone(),
        asked_at: block.timestamp,
        until,
    });
}

/// What follows from the records before it.
fn replay(
    record: &Record,
    block: &EvidenceBlock,
    routes: &RoutingMemo,
    scene: &mut Scene<'_, Memo>,
) {
    if let Some(open) = &routes.open {
        let expected = alloc::format!("the outcome of record {}", open.index);
        scene.fault(Rule::Parallel, expected, "the evidence of another route");
    }
    let components = block.objective.zip(block.routing_id);
    if let Some((objective, found)) = components {
        let votes = routes.standing.with(LayerId::Identity, Vote::Agree);
        let expected = RoutingComponents {
            intent: block.intent,
            objective,
            snapshot: block.snapshot,
            flags: block.flags,
            consensus: votes.with(LayerId::Intent, Vote::Agree),
        };
        if expected.id() != found {
            scene.fault(Rule::RoutingId, expected.id(), found);
        }
    }
    let audience = StreamId::new(StreamKind::Audience, block.subject.name().clone());
    let other = scene.other(&audience);
    let doubt = other.as_ref().and_then(|other| other.doubt.clone());
    let states = states(other.map(|other| other.memo), scene.index(), record);
    let lost = |index| Why::Rests { stream: audience.clone(), index };
    if !rests(scene, Check::Replay, doubt) {
        match states {
            Err(index) => scene.end(Check::Replay, lost(index)),
            Ok((now, before)) if block.state != now && block.state != before => {
                scene.fault(Rule::RouteState, now, block.state);
            }
            Ok(_) => {}
        }
    }
    if let Err(place) = walk(&block.trace, block.opens_route()) {
        let found = alloc::format!("a trace that does not, at line {place}");
        scene.fault(Rule::Trace, "a trace from layer to layer", found);
    }
}

/// That the trace goes from Identity on, layer by layer, goes back only where it says so,
/// and is stopped just where the route has no effect. The line where it does not, from 0.
fn walk(trace: &[TraceEntry], opens: bool) -> Result<(), usize> {
    let mut next = LayerId::ALL.iter();
    let mut stopped = false;
    for (place, entry) in trace.iter().enumerate() {
        if entry.result == StepResult::Backtracked {
            let reached = LayerId::ALL.iter().len() - next.len();
            let back = LayerId::ALL.iter().position(|layer| *layer == entry.layer);
            let back = back.filter(|back| *back <= reached).ok_or(place)?;
            next = LayerId::ALL.get(back..).unwrap_or_default().iter();
            stopped = false;
        } else {
            if stopped || next.next() != Some(&entry.layer) {
                return Err(place);
            }
            stopped = entry.result == StepResult::Stopped;
        }
    }
    if stopped == opens { Err(trace.len()) } else { Ok(()) }
}
