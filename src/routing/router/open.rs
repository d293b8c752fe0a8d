//! Opening a session: verified replay, and the advances that its audience has earned.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::mandate::{Moving, authority, take};
use super::{ATTEMPTS, Profile, Router, RouterError, read};
use crate::audience::any::{AnyAudience, Carried, Support};
use crate::audience::causes::{
    ConstitutionalViolation, DowngradeCauses, EscalationTriggers, HoldTriggers, Restriction,
};
use crate::audience::evaluate::{Assessment, Move, evaluate};
use crate::audience::evidence::At;
use crate::audience::gate::Verdicts;
use crate::audience::state::State;
use crate::audience::states::AudienceState;
use crate::audience::table::entry_tier;
use crate::audience::typed::{Audience, Rejected, Transition};
use crate::digest::Digest;
use crate::governance::{GovernanceDecision, GovernanceEngine, KernelInput};
use crate::id::{SessionId, Subsystem};
use crate::identity::{Session, SessionOpened};
use crate::memory::{Facts, ShortTerm};
use crate::pipeline::Progress;
use crate::routing::desk::{Conduct, Desk, Live, OpenRoute, Streams};
use crate::routing::engines::Engines;
use crate::routing::evidence::{EvidenceBlock, Outcome};
use crate::safety::{PostureInput, SafetyEngine};
use crate::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use crate::ssot::store::{Batch, Store};
use crate::ssot::verify::{replay, verify_stream};
use crate::time::Clock;
use crate::verdict::{CapabilityTier, Consensus, SafetyFlags};

/// Most advances that one opening makes: INIT → BASE → VERIFIED → PRIVILEGED.
const ADVANCES: usize = 3;

impl<E: Engines, S: Store, C: Clock> Router<E, S, C> {
    /// Opens a session: records it, restores its subject's audience, facts and history
    /// by verified replay, and makes the advances the four verdicts clear.
    ///
    /// # Errors
    /// [`RouterError::SessionExists`] when the session's stream is not empty;
    /// [`RouterError::Verify`] and its like when the log does not replay.
    pub fn open(&self, session: Session) -> Result<Desk<Profile<E>>, RouterError> {
        let streams = Streams::of(session.id(), session.subject());
        let store = self.store();
        if store.head(&streams.session)? != Head::EMPTY {
            return Err(RouterError::SessionExists { session: session.id().clone() });
        }
        for attempt in 1.. {
            let after = store.head(&streams.subject)?;
            match self.ledger.commit(opening(&session, &streams, after, self.clock.now())) {
                Ok(_opened) => break,
                // Another session of the subject was opened meanwhile; or this one was.
                Err(error) if super::moved(&error) && attempt < ATTEMPTS => {
                    if store.head(&streams.session)? != Head::EMPTY {
                        let session = session.id().clone();
                        return Err(RouterError::SessionExists { session });
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.resume(session)
    }

    /// Takes up a session that was opened before, in this process or another. The
    /// caller has it from [`Session::resume`].
    ///
    /// # Errors
    /// [`RouterError::SessionUnknown`] when the log says nothing of it, or of other
    /// claims; [`RouterError::Verify`] and its like when the log does not replay.
    pub fn resume(&self, session: Session) -> Result<Desk<Profile<E>>, RouterError> {
        let mut live = self.load(&session)?;
        let mut moved = 0;
        let mut advances = 0;
        while advances < ADVANCES {
            match self.advance(&session, &mut live) {
                Ok(true) => advances += 1,
                Ok(false) => break,
                // Another desk of the subject moved it first: look again.
                Err(RouterError::Ledger(error)) if super::moved(&error) && moved < ATTEMPTS => {
                    self.check_policy()?;
                    moved += 1;
                    live = self.load(&session)?;
                }
                Err(error) => return Err(error),
            }
        }
        let mut session = session;
        session.saw(live.record.seen);
        Ok(Desk::new(session, live))
    }

    /// What is live of a desk, read again from the log when it is not known.
    pub(super) fn take_live(
        &self,
        desk: &mut Desk<Profile<E>>,
    ) -> Result<Box<Live<Profile<E>>>, RouterError> {
        match desk.live.take() {
            Some(live) => Ok(live),
            None => self.load(&desk.session),
        }
    }

    /// Reads everything a session's routes rest on.
    pub(super) fn load(&self, session: &Session) -> Result<Box<Live<Profile<E>>>, RouterError> {
        let streams = Streams::of(session.id(), session.subject());
        let store = self.store();
        let mut facts = Facts::of(session.subject().clone());
        for record in replay(store, &streams.memory)? {
            facts.apply(&record?)?;
        }
        let lineage = verify_stream(store, &streams.audience)?;
        let audience = AnyAudience::replay(session.subject().clone(), &lineage)
            .map_err(|error| RouterError::Replay(error.into()))?;
        let mut live = Box::new(Live {
            audience,
            profile: Profile::<E>::default(),
            facts,
            short_term: ShortTerm::default(),
            history: BTreeMap::new(),
            standing: Consensus::NONE,
            progress: Progress::new(),
            decisions: Vec::new(),
            routing: Head::EMPTY,
            governance: Head::EMPTY,
            open: None,
            record: Conduct::default(),
        });
        live.record.first = lineage.first().map(Record::timestamp);
        for record in replay(store, &streams.governance)? {
            let record = record?;
            live.governance = record.head();
            if record.kind() == RecordKind::GovernanceDecision {
                let decision: GovernanceDecision = read(&record)?;
                live.decisions.push((record.digest(), decision));
            }
        }
        self.load_routes(session, &streams, &mut live)?;
        Ok(live)
    }

    /// The routes of the subject's earlier sessions as of this session's opening, then
    /// those of this session: what a replay of the log can know, too.
    fn load_routes(
        &self,
        session: &Session,
        streams: &Streams,
        live: &mut Live<Profile<E>>,
    ) -> Result<(), RouterError> {
        let store = self.store();
        let mut earlier: Vec<SessionId> = Vec::new();
        let (mut opened_at, mut known) = (u64::MAX, false);
        for record in replay(store, &streams.subject)? {
            let record = record?;
            let opened: SessionOpened = read(&record)?;
            if opened.claims.session == *session.id() {
                // The authority a route rests on is the one that was recorded (D-54).
                known = opened.claims.digest() == session.claims();
                opened_at = record.index();
                break;
            }
            earlier.push(opened.claims.session);
        }
        if !known {
            return Err(RouterError::SessionUnknown { session: session.id().clone() });
        }
        let mut routes = Vec::new();
        for id in earlier {
            let stream = StreamId::new(StreamKind::Routing, id.name().clone());
            self.read_routes(&stream, opened_at, |route| routes.push(route))?;
        }
        routes.sort_by_key(|route| route.index);
        for route in &routes {
            live.absorb(self.engines.modeling(), &route.block, route.outcome.as_ref(), false);
        }
        let mut own = Vec::new();
        live.routing = self.read_routes(&streams.routing, u64::MAX, |route| own.push(route))?;
        for route in own {
            // The clock may not stand before it, in this process either.
            live.record.seen = live.record.seen.max(route.block.timestamp);
            if route.outcome.is_none() && route.block.opens_route() {
                live.open = Some(OpenRoute { evidence: route.evidence, block: route.block });
            } else {
                live.absorb(self.engines.modeling(), &route.block, route.outcome.as_ref(), true);
            }
        }
        Ok(())
    }

    /// The route of this session, recorded after `since`, that carries the same intent
    /// to its effect.
    pub(super) fn overtaken(
        &self,
        session: &Session,
        since: Head,
        intent: Digest,
    ) -> Result<Option<Digest>, RouterError> {
        let stream = StreamId::new(StreamKind::Routing, session.id().name().clone());
        let mut found = None;
        self.read_routes(&stream, u64::MAX, |route| {
            let later = route.sequence >= since.length();
            if later && route.block.intent == intent && route.block.opens_route() {
                found = Some(route.evidence);
            }
        })?;
        Ok(found)
    }

    fn read_routes(
        &self,
        stream: &StreamId,
        before: u64,
        mut take: impl FnMut(Walked),
    ) -> Result<Head, RouterError> {
        let mut head = Head::EMPTY;
        let mut waiting: Option<Walked> = None;
        for record in replay(self.store(), stream)? {
            let record = record?;
            if record.index() >= before {
                break;
            }
            head = record.head();
            match record.kind() {
                RecordKind::EvidenceBlock => {
                    if let Some(route) = waiting.take() {
                        take(route);
                    }
                    waiting = Some(Walked {
                        index: record.index(),
                        sequence: record.sequence(),
                        evidence: record.digest(),
                        block: read(&record)?,
                        outcome: None,
                    });
                }
                RecordKind::Outcome => {
                    if let Some(mut route) = waiting.take() {
                        route.outcome = Some(read(&record)?);
                        take(route);
                    }
                }
                _ => {}
            }
        }
        if let Some(route) = waiting {
            take(route);
        }
        Ok(head)
    }

    /// One move of an audience that nothing is asked of: an advance the four verdicts
    /// clear, or a restriction they demand. Says whether it may be asked again.
    #[expect(clippy::too_many_lines, reason = "one arm for each advance of the table")]
    pub(super) fn advance(
        &self,
        session: &Session,
        live: &mut Live<Profile<E>>,
    ) -> Result<bool, RouterError> {
        let now = self.clock.now();
        let from = live.audience.state();
        let posture = PostureInput {
            state: from,
            strength: session.strength(),
            context: live.short_term.context(),
            now,
        };
        let (envelope, risk) = self.engines.safety().posture(&posture);
        let profile = live.class_profile(session, risk, now);
        let class = self.rules.classifier.verdict(&profile);
        let kernel = self.engines.governance().kernel(&KernelInput {
            state: from,
            flags: SafetyFlags::NONE,
            tier: CapabilityTier::Observe,
            authority: authority(session),
            risk,
            label: live.short_term.context(),
            lineage_intact: true,
        });
        let observe = self.rules.matrix.verdict(class.class(), CapabilityTier::Observe);
        let mandated = evaluate(
            from,
            &Assessment {
                risk,
                envelope: envelope.decision(),
                matrix: observe.decision(),
                kernel: kernel.decision(),
                class: class.class(),
                downgrade: DowngradeCauses::NONE,
                hold: HoldTriggers::NONE,
                escalation: EscalationTriggers::NONE,
                threshold: self.rules.threshold,
                identity_validated: session.strength() >= self.rules.validated_strength,
                context_validated: true,
                governance_reachable: false,
            },
        );
        let at = At { now, snapshot: live.facts.snapshot().digest() };
        let cell = |to| self.rules.matrix.verdict(class.class(), entry_tier(to));
        let verdicts = |matrix| Verdicts {
            envelope: Some(&envelope),
            class: Some(&class),
            matrix: Some(matrix),
            kernel: Some(&kernel),
        };
        let gate = &self.rules.gate;
        let audience = take(live)?;
        let (moving, again) = match (mandated, audience) {
            (Move::Advance(State::Base), AnyAudience::Init(audience)) => {
                let cell = cell(State::Base);
                match gate.clear(&audience, verdicts(&cell), &at) {
                    Ok(clearance) => moved(audience.admit(clearance, &at)),
                    Err(_) => stays(audience),
                }
            }
            (Move::AdmitRestricted, AnyAudience::Init(audience)) => {
                let cell = cell(State::Base);
                match gate.clear(&audience, verdicts(&cell), &at) {
                    Ok(clearance) => match audience.admit_restricted(clearance, &at) {
                        Ok(change) => (Moving::Changes(change), false),
                        Err(rejected) => (Moving::Stays(rejected.into_parts().0.into()), false),
                    },
                    Err(_) => stays(audience),
                }
            }
            (Move::Advance(State::Verified), AnyAudience::Base(audience)) => {
                let cell = cell(State::Verified);
                match gate.clear(&audience, verdicts(&cell), &at) {
                    Ok(clearance) => moved(audience.verify(clearance, &at)),
                    Err(_) => stays(audience),
                }
            }
            (Move::Advance(State::Privileged), AnyAudience::Verified(audience)) => {
                let cell = cell(State::Privileged);
                match gate.clear(&audience, verdicts(&cell), &at) {
                    Ok(clearance) => moved(audience.elevate(clearance, &at)),
                    Err(_) => stays(audience),
                }
            }
            (Move::Stay(_) | Move::Advance(_) | Move::AdmitRestricted, audience) => {
                (Moving::Stays(audience), false)
            }
            (mandated, audience) => {
                let support = Support {
                    authorization: None,
                    violation: ConstitutionalViolation::of(&kernel),
                    restriction: Restriction::of_class(&class)
                        .or_else(|| Restriction::of_risk(risk, self.rules.threshold)),
                };
                match audience.carry_out(mandated, support, now) {
                    Ok(Carried::Stayed(audience)) => (Moving::Stays(audience), false),
                    Ok(Carried::Changed(change)) => (Moving::Changes(change), false),
                    Err(not_moved) => return Err(not_moved.into_parts().1.into()),
                }
            }
        };
        let streams = Streams::of(session.id(), session.subject());
        let mut batch = Batch::new(now)
            .expect(streams.audience.clone(), moving.expected_head())
            .expect(streams.memory, live.facts.head())
            .expect(self.policy_stream.clone(), self.policy);
        let drafts = moving.drafts(Subsystem::Audience);
        if drafts.is_empty() {
            if let Moving::Stays(audience) = moving {
                live.audience = audience;
            }
            return Ok(false);
        }
        for draft in drafts {
            batch = batch.append(draft);
        }
        let receipt = self.ledger.commit(batch)?;
        if let Some(audience) = moving.confirm(&receipt)? {
            live.arrive(audience, &receipt);
        }
        Ok(again)
    }
}

/// The commit that opens a session: on its own stream and on its subject's.
pub(super) fn opening(
    session: &Session,
    streams: &Streams,
    after: Head,
    now: crate::time::Timestamp,
) -> Batch {
    let opening = session.opening();
    let linked = Draft::new(
        streams.subject.clone(),
        RecordKind::SessionOpened,
        Subsystem::Identity,
        opening.body().to_vec(),
    );
    Batch::new(now)
        .expect(streams.session.clone(), Head::EMPTY)
        .expect(streams.subject.clone(), after)
        .append(opening)
        .append(linked)
}

/// One route of a routing stream.
struct Walked {
    index: u64,
    sequence: u64,
    evidence: Digest,
    block: EvidenceBlock,
    outcome: Option<Outcome>,
}

/// An advance on its way, or the audience that was refused it.
fn moved<F: AudienceState, T: AudienceState>(
    transition: Result<Transition<F, T>, Rejected<F>>,
) -> (Moving, bool)
where
    AnyAudience: From<Audience<F>>,
{
    match transition {
        Ok(transition) => (Moving::Changes(transition.into_change()), true),
        Err(rejected) => (Moving::Stays(rejected.into_parts().0.into()), false),
    }
}

/// An audience that is not cleared stays where it is.
fn stays<F: AudienceState>(audience: Audience<F>) -> (Moving, bool)
where
    AnyAudience: From<Audience<F>>,
{
    (Moving::Stays(audience.into()), false)
}
