//! One attempt at one submission: walk, record, execute, record.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{FollowUp, Profile, Routed, Router, RouterError, contested, keep, moved};
use crate::audience::permits::permits;
use crate::audience::state::State;
use crate::commitment::SubjectKey;
use crate::digest::Digest;
use crate::encode::{Encode as _, Writer};
use crate::id::Subsystem;
use crate::identity::Session;
use crate::intent::Submission;
use crate::routing::desk::saved::save;
use crate::routing::desk::{Live, Pads, Streams, class_number};
use crate::routing::engines::Engines;
use crate::routing::evidence::EvidenceBlock;
use crate::routing::route::{GovernanceView, Reception, Route, SafetyView, Sealed};
use crate::routing::router::mandate::{Mandate, Moving};
use crate::routing::stop::Stop;
use crate::routing::terminal::{GovernanceStop, Terminal as _};
use crate::ssot::ledger::Receipt;
use crate::ssot::record::{Draft, RecordKind};
use crate::ssot::snapshot::is_slot;
use crate::ssot::store::Store;
use crate::time::{Clock, Timestamp};
use crate::verdict::{Reason, Verdict};

/// What came of one attempt.
#[expect(clippy::large_enum_variant, reason = "a submission moves on without an allocation")]
pub(super) enum Attempt {
    /// It is finished.
    Done(Routed),
    /// The log moved on before anything was recorded: try again.
    Moved(Submission),
    /// As [`Attempt::Moved`], and what is live has taken the route in already: it must be
    /// read again.
    MovedAhead(Submission),
}

/// What came of an attempt up to its evidence.
#[expect(clippy::large_enum_variant, reason = "a submission moves on without an allocation")]
pub(super) enum Recorded {
    /// It ended before its effect.
    Ended(Routed),
    /// Its evidence is durable, its effect is due.
    Due { sealed: Sealed, receipt: Receipt, moved: Option<(State, State)> },
    /// The log moved on before anything was recorded: try again.
    Moved(Submission),
    /// As [`Recorded::Moved`], and what is live is ahead of the log.
    MovedAhead(Submission),
}

/// How far a submission got, and what the audience must do about it.
pub(super) struct Walked {
    pub(super) result: Result<Sealed, Stop>,
    pub(super) mandate: Mandate,
    pub(super) now: Timestamp,
}

impl<E: Engines, S: Store, C: Clock> Router<E, S, C> {
    /// Walks the typed path up to the evidence. Reads, decides, changes nothing.
    pub(super) fn walk(
        &self,
        session: &Session,
        live: &Live<Profile<E>>,
        submission: Submission,
        room: Vec<u8>,
    ) -> Walked {
        let now = self.clock.now();
        let mut mandate = Mandate::stay(live.audience.state());
        let result = self.steps(session, live, submission, room, now, &mut mandate);
        Walked { result, mandate, now }
    }

    fn steps(
        &self,
        session: &Session,
        live: &Live<Profile<E>>,
        submission: Submission,
        room: Vec<u8>,
        now: Timestamp,
        mandate: &mut Mandate,
    ) -> Result<Sealed, Stop> {
        let engines = &self.engines;
        let state = live.audience.state();
        let profile = live.class_profile(session, crate::risk::Risk::ZERO, now);
        let reception = Reception {
            session,
            state,
            class: class_number(self.rules.classifier.verdict(&profile).class()),
            snapshot: live.facts.snapshot(),
            pins: self.rules.pins.digest(),
            standing: live.standing,
            now,
            wait_until: now.plus_millis(self.rules.decision_millis),
        };
        let mut route = Route::receive(submission, &reception);
        if live.key.is_some() {
            route.mark_salted();
        }
        let route = match route.identify(engines.identity(), session) {
            Ok(route) => route,
            Err(stop) => {
                *mandate = Mandate::of_identity(state, stop.reasons());
                return Err(stop.into());
            }
        };
        let route = route.package(engines.intent(), self.rules.catalogue)?;
        let route = match route.model(engines.modeling(), &live.profile) {
            Ok(route) => route,
            // Governance may have looked at this very drift before (D-22).
            Err(referral) => {
                let authorization =
                    (referral.evidence().routing_id).and_then(|id| live.backtrack(id, now));
                let Some(authorization) = authorization else { return Err(referral.into()) };
                match referral.backtrack(authorization) {
                    Ok(route) => route.model(engines.modeling(), &live.profile)?,
                    Err((referral, _)) => return Err(referral.into()),
                }
            }
        };
        let route = route.recall(engines.memory(), &live.facts)?;
        let view = SafetyView {
            state,
            context: live.short_term.context(),
            staleness_millis: route.staleness(&live.facts),
        };
        let assessed = route.assess(engines.safety(), &view);
        *mandate = match &assessed {
            Ok(route) => {
                let intent = route.submission().intent();
                let identity = route.identity();
                self.mandate(session, live, route.safety(), identity, route.evidence(), intent, now)
            }
            Err(stop) => {
                let intent = stop.submission().intent();
                let identity = stop.identity();
                self.mandate(session, live, stop.finding(), identity, stop.evidence(), intent, now)
            }
        };
        let mut route = assessed?;
        if let Some((verdict, reason)) = mandate.stops() {
            return Err(route.overridden(verdict, reason).into());
        }
        let state = mandate.state();
        // The state's ceiling holds whatever the rules allow (ASM2-3.5).
        if let Some(intent) = route.submission().intent() {
            let flags = route.evidence().flags.union(route.evidence().raised);
            if let Err(denied) = permits(state, intent.kind().tier, flags) {
                let reason = Reason::new(denied.code()).detail(denied.to_string());
                return Err(route.overridden(Verdict::Deny, reason).into());
            }
        }
        route.settle_audience(state, class_number(mandate.class()), mandate.narrowing());
        let approval = live.approval(route.evidence().intent);
        let view = GovernanceView {
            session,
            state,
            class: mandate.class(),
            ask: mandate.asks(),
            context: live.short_term.context(),
            history: &live.history,
            approval: approval.as_ref(),
            lineage_intact: true,
            token_millis: self.rules.token_millis,
            nonce: nonce(live.routing, session),
        };
        let (route, token) =
            route.govern(engines.governance(), &view, &self.rules.table, &self.rules.mint)?;
        let route = route.plan(
            engines.pipeline(),
            &self.rules.table,
            state,
            token,
            &self.rules.mint,
            self.clock.now(),
        )?;
        Ok(route.seal_over(engines.execution(), room)?)
    }

    /// One attempt. On success everything the route taught is in `live`.
    pub(super) fn attempt(
        &self,
        session: &Session,
        streams: &Streams,
        pads: &mut Pads,
        live: &mut Live<Profile<E>>,
        submission: Submission,
    ) -> Result<Attempt, RouterError> {
        match self.record(session, streams, pads, live, submission)? {
            Recorded::Ended(routed) => Ok(Attempt::Done(routed)),
            Recorded::Due { sealed, receipt, moved } => {
                self.effect(live, streams, pads, sealed, &receipt, moved)
            }
            Recorded::Moved(submission) => Ok(Attempt::Moved(submission)),
            Recorded::MovedAhead(submission) => Ok(Attempt::MovedAhead(submission)),
        }
    }

    /// One attempt up to the evidence, and no further. A route that ended is in `live`.
    #[inline]
    pub(super) fn record(
        &self,
        session: &Session,
        streams: &Streams,
        pads: &mut Pads,
        live: &mut Live<Profile<E>>,
        submission: Submission,
    ) -> Result<Recorded, RouterError> {
        live.torn = pads.is_torn();
        let room = core::mem::take(&mut pads.block);
        let Walked { result, mandate, now } = self.walk(session, live, submission, room);
        let before = live.audience.state();
        let moving = Self::carry_out(live, &mandate, now)?;
        // Whatever the route was decided on must still hold when it is recorded, be it
        // let pass or refused: a decision made meanwhile may be what it waits for.
        let heads =
            [live.routing, moving.expected_head(), live.facts.head(), live.governance, self.policy];
        let contested = core::mem::take(&mut pads.contested);
        let batch = pads.evidence(streams, &self.policy_stream);
        batch.renew(now);
        for (place, head) in heads.into_iter().enumerate() {
            batch.expect_at(place, head);
        }
        for conflict in &contested {
            batch.push_draft(contested::draft(conflict, streams));
        }
        for draft in moving.drafts(Subsystem::Safety) {
            batch.push_draft(draft);
        }
        if live.key_is_new
            && let Some(key) = &live.key
        {
            batch.push_payload(SubjectKey::place(session.subject()), key.to_kept()[..].into());
        }
        match result {
            Err(stop) => {
                let follow_up = follow_up(&stop);
                let (block, submission) = stop.conclude().into_parts();
                let draft = Draft::new(
                    streams.routing.clone(),
                    RecordKind::EvidenceBlock,
                    Subsystem::Routing,
                    block.to_canonical(),
                );
                batch.push_draft(draft);
                keep(batch, &submission);
                let due = Self::due(live, contested.len());
                if due {
                    live.own(self.engines.modeling(), &block, None);
                    if let Some(draft) = self.snapshot(streams, live) {
                        batch.push_draft(draft);
                    }
                }
                let receipt = match self.ledger.commit(&*batch) {
                    Ok(receipt) => receipt,
                    Err(error) if moved(&error) => {
                        let refused = batch.clone();
                        pads.contested = contested;
                        self.contested(pads, &refused, submission.intent())?;
                        self.check_policy()?;
                        if due {
                            return Ok(Recorded::MovedAhead(submission));
                        }
                        moving.give_back(live);
                        return Ok(Recorded::Moved(submission));
                    }
                    Err(error) => {
                        pads.contested = contested;
                        return Err(RouterError::EvidenceNotRecorded(error));
                    }
                };
                live.key_is_new = false;
                let moved = Self::arrived(live, moving, &receipt, before)?;
                if !due {
                    live.own(self.engines.modeling(), &block, None);
                }
                live.routing = receipt.head(&streams.routing).unwrap_or(live.routing);
                Ok(Recorded::Ended(routed(block, &receipt, follow_up, moved)))
            }
            Ok(sealed) => {
                keep(batch, sealed.submission());
                let (lent, draft) = sealed.lend();
                batch.push_draft(draft);
                let committed = self.ledger.commit(&*batch);
                let halted = matches!(&committed, Err(error) if moved(error));
                let refused = halted.then(|| batch.clone());
                // The last that was pushed.
                let Some(draft) = batch.pop_draft() else {
                    return Err(RouterError::Act("the evidence left its batch".into()));
                };
                let sealed = lent.returned(draft);
                let receipt = match committed {
                    Ok(receipt) => receipt,
                    Err(error) => {
                        pads.contested = contested;
                        let Some(refused) = refused else {
                            return Err(RouterError::EvidenceNotRecorded(error));
                        };
                        self.contested(pads, &refused, sealed.submission().intent())?;
                        self.check_policy()?;
                        moving.give_back(live);
                        return Ok(Recorded::Moved(sealed.abandon().1));
                    }
                };
                live.key_is_new = false;
                let moved = Self::arrived(live, moving, &receipt, before)?;
                live.routing = receipt.head(&streams.routing).unwrap_or(live.routing);
                Ok(Recorded::Due { sealed, receipt, moved })
            }
        }
    }

    /// The effect and its outcome, after durable evidence.
    fn effect(
        &self,
        live: &mut Live<Profile<E>>,
        streams: &Streams,
        pads: &mut Pads,
        sealed: Sealed,
        receipt: &Receipt,
        moved: Option<(State, State)>,
    ) -> Result<Attempt, RouterError> {
        let committed = match sealed.commit_and_reuse(receipt) {
            Ok((route, room)) => {
                pads.block = reusable(room);
                route
            }
            Err(error) => return Err(RouterError::Act(alloc::format!("{error}").into())),
        };
        let route =
            committed.execute(self.engines.execution(), live.audience.state(), self.clock.now());
        let outcome = route.outcome();
        let bytes = route.output_bytes();
        let (block, _, output) = route.into_parts();
        // Where this fails the desk is read again, and finds the route open.
        self.record_outcome(live, streams, pads, &block, &outcome, bytes)?;
        let mut done = routed(block, receipt, None, moved);
        done.outcome = Some(outcome);
        done.output = output;
        Ok(Attempt::Done(done))
    }

    /// Chains the outcome to its evidence and feeds it to Memory, Pipeline and SSOT
    /// (IRM-4.8).
    ///
    /// Requirements: IRM-4.8.5..IRM-4.8.7.
    pub(super) fn record_outcome(
        &self,
        live: &mut Live<Profile<E>>,
        streams: &Streams,
        pads: &mut Pads,
        block: &EvidenceBlock,
        outcome: &crate::routing::evidence::Outcome,
        output: Option<Arc<[u8]>>,
    ) -> Result<(), RouterError> {
        let mut body = Writer::over(core::mem::take(&mut pads.end));
        outcome.encode(&mut body);
        let batch = pads.outcome(streams);
        batch.renew(self.clock.now());
        batch.expect_at(0, live.routing);
        batch.push_draft(Draft::new(
            streams.routing.clone(),
            RecordKind::Outcome,
            Subsystem::Execution,
            body.into_bytes(),
        ));
        if let Some((digest, bytes)) = outcome.output.zip(output) {
            batch.push_payload(digest, bytes);
        }
        let evidence = outcome.evidence;
        // Where the commit fails, what is live is dropped: it may be ahead of the log.
        live.open = None;
        let due = Self::due(live, 0);
        live.own(self.engines.modeling(), block, Some(outcome));
        if due && let Some(draft) = self.snapshot(streams, live) {
            batch.push_draft(draft);
        }
        let receipt = match self.ledger.commit(&*batch) {
            Ok(receipt) => receipt,
            Err(source) => {
                if moved(&source) {
                    let refused = batch.clone();
                    // Where this cannot be read, the outcome's own error says more.
                    let _read = self.contested(pads, &refused, None);
                }
                return Err(RouterError::OutcomeNotRecorded { evidence, source });
            }
        };
        let room = batch.pop_draft().map(Draft::into_body);
        pads.end = room.map(reusable).unwrap_or_default();
        live.routing = receipt.head(&streams.routing).unwrap_or(live.routing);
        Ok(())
    }

    /// Whether a snapshot is due behind the record that ends a route, in front of which so
    /// many others stand in its commit.
    const fn due(live: &Live<Profile<E>>, before: usize) -> bool {
        is_slot(live.routing.length().saturating_add(1).saturating_add(before as u64))
    }

    /// What is live as a record of its stream, where the engine keeps it.
    fn snapshot(&self, streams: &Streams, live: &Live<Profile<E>>) -> Option<Draft> {
        let body = save(self.engines.modeling(), live)?;
        let (stream, kind) = (streams.routing.clone(), RecordKind::Snapshot);
        Some(Draft::new(stream, kind, Subsystem::Routing, body))
    }

    /// Applies a committed change to the audience.
    pub(super) fn arrived(
        live: &mut Live<Profile<E>>,
        moving: Moving,
        receipt: &Receipt,
        before: State,
    ) -> Result<Option<(State, State)>, RouterError> {
        if let Some(audience) = moving.confirm(receipt)? {
            live.arrive(audience, receipt);
        }
        let after = live.audience.state();
        Ok((before != after).then_some((before, after)))
    }

    /// Whether the policy set this router decides under is still in force.
    pub(super) fn check_policy(&self) -> Result<(), RouterError> {
        match self.pinned()? {
            Some((in_force, _)) if in_force.digest() != self.rules.pins.digest() => {
                Err(RouterError::PolicyChanged {
                    expected: in_force.digest(),
                    found: self.rules.pins.digest(),
                    changed: in_force.changed(&self.rules.pins),
                })
            }
            _ => Ok(()),
        }
    }
}

fn routed(
    evidence: Box<EvidenceBlock>,
    receipt: &Receipt,
    follow_up: Option<FollowUp>,
    moved: Option<(State, State)>,
) -> Routed {
    let record = receipt.records().iter().find(|r| r.kind() == RecordKind::EvidenceBlock);
    Routed {
        verdict: evidence.verdict,
        record: record.map_or(Digest::ZERO, crate::ssot::record::Record::digest),
        index: record.map_or(0, crate::ssot::record::Record::index),
        evidence,
        outcome: None,
        output: None,
        follow_up,
        moved,
    }
}

/// Room worth keeping from one route to the next.
pub(super) fn reusable(room: Vec<u8>) -> Vec<u8> {
    const MOST: usize = 64 << 10;
    if room.capacity() <= MOST { room } else { Vec::new() }
}

/// Sixteen bytes that no other committed route has: the start of the digest that this
/// route's evidence will follow, or of the claims where it is the session's first.
fn nonce(head: crate::ssot::record::Head, session: &Session) -> [u8; 16] {
    let digest = if head.length() == 0 { session.claims() } else { head.digest() };
    let mut out = [0; 16];
    for (to, from) in out.iter_mut().zip(digest.as_bytes()) {
        *to = *from;
    }
    out
}

fn follow_up(stop: &Stop) -> Option<FollowUp> {
    match stop {
        Stop::Drift(_) => Some(FollowUp::Drift),
        Stop::Memory(halt) => Some(FollowUp::Correction(halt.conflicts().to_vec())),
        Stop::Governance(GovernanceStop::SteppedUp(stop)) => {
            Some(FollowUp::Approval(stop.request().clone()))
        }
        Stop::Governance(GovernanceStop::Deferred(stop)) => {
            Some(FollowUp::Supply { missing: stop.missing().into(), until: stop.until() })
        }
        _ => None,
    }
}
