//! Opening a session: verified replay, and the advances that its audience has earned.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::history::{Earlier, Walk, Walked, each_earlier};
use super::linked::{causes, releases};
use super::mandate::{Moving, authority, take};
use super::{ATTEMPTS, Profile, Router, RouterError, read};
use crate::audience::any::{AnyAudience, Carried, Restore, Support};
use crate::audience::causes::{ConstitutionalViolation, DowngradeCauses, Restriction};
use crate::audience::evaluate::{Assessment, Move, evaluate};
use crate::audience::evidence::At;
use crate::audience::gate::Verdicts;
use crate::audience::state::State;
use crate::audience::states::AudienceState;
use crate::audience::table::entry_tier;
use crate::audience::typed::{Audience, Rejected, Transition};
use crate::commitment::SubjectKey;
use crate::digest::Digest;
use crate::governance::{GovernanceDecision, GovernanceEngine, KernelInput};
use crate::id::Subsystem;
use crate::identity::{Session, SessionOpened};
use crate::memory::{Facts, ShortTerm};
use crate::modeling::ModelingEngine;
use crate::pipeline::Progress;
use crate::routing::desk::saved::{Saved, is_usable};
use crate::routing::desk::{Conduct, Desk, Live, OpenRoute, Streams};
use crate::routing::engines::Engines;
use crate::safety::{PostureInput, SafetyEngine};
use crate::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use crate::ssot::snapshot::last_snapshot;
use crate::ssot::store::{Batch, Store, StoreError};
use crate::ssot::verify::{replay, replay_from};
use crate::time::{Clock, Timestamp};
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
            // Scored against exactly the sessions that the commit expects.
            let (sessions, scored) = self.scored(&session, &streams)?;
            let batch = opening(&session, &streams, sessions, scored, self.clock.now());
            match self.ledger.commit(batch) {
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

    /// Reads everything a session's routes rest on: its streams from their last snapshots
    /// on, where they have any.
    pub(super) fn load(&self, session: &Session) -> Result<Box<Live<Profile<E>>>, RouterError> {
        self.load_with(session, true)
    }

    /// [`Router::load`], or the same from all records.
    pub(super) fn load_with(
        &self,
        session: &Session,
        snapshots: bool,
    ) -> Result<Box<Live<Profile<E>>>, RouterError> {
        let streams = Streams::of(session.id(), session.subject());
        let store = self.store();
        let mut live = Self::fresh(session.subject())?;
        for record in replay(store, &streams.memory)? {
            live.facts.apply(&record?)?;
        }
        if snapshots {
            (live.audience, live.since) = self.restored(session.subject())?;
        }
        let own = if snapshots { self.own_snapshot(&streams)? } else { None };
        let mut used = BTreeSet::new();
        if let Some((saved, head)) = own {
            // Both streams were written in one commit; this one is short.
            let first = replay(store, &streams.session)?.next().transpose()?;
            let opened: Option<SessionOpened> = first.as_ref().map(read).transpose()?;
            let known = opened.is_some_and(|opened| {
                opened.claims.session == *session.id() && opened.claims.digest() == session.claims()
            });
            if !known {
                return Err(RouterError::SessionUnknown { session: session.id().clone() });
            }
            saved.into_live(&mut live, true);
            live.routing = head;
        } else {
            let (earlier, opened_at) = self.earlier(session, &streams)?;
            used = self.load_earlier(&earlier, opened_at, snapshots, &mut live)?;
        }
        self.catch_up(&streams, &mut live)?;
        // What an earlier session's route has used is used up, whenever it is read.
        live.decisions.retain(|(record, _)| !used.contains(record));
        live.doubt = self.doubt(&streams)?;
        self.load_key(session, &mut live)?;
        Ok(live)
    }

    /// Of a subject of whom nothing was read yet.
    pub(super) fn fresh(
        subject: &crate::id::SubjectId,
    ) -> Result<Box<Live<Profile<E>>>, RouterError> {
        let audience = AnyAudience::replay(subject.clone(), [])
            .map_err(|error| RouterError::Replay(error.into()))?;
        Ok(Box::new(Live {
            audience,
            profile: Profile::<E>::default(),
            facts: Facts::of(subject.clone()),
            short_term: ShortTerm::default(),
            history: BTreeMap::new(),
            standing: Consensus::NONE,
            progress: Progress::new(),
            decisions: Vec::new(),
            routing: Head::EMPTY,
            governance: Head::EMPTY,
            open: None,
            record: Conduct::default(),
            since: None,
            torn: false,
            doubt: None,
            key: None,
            key_is_new: false,
        }))
    }

    /// The key of the subject's salts: the one that is kept, or a new one where this router
    /// draws them.
    fn load_key(&self, session: &Session, live: &mut Live<Profile<E>>) -> Result<(), RouterError> {
        let subject = session.subject();
        if let Some(kept) = self.store().payload(&SubjectKey::place(subject))? {
            let key = SubjectKey::from_kept(&kept).map_err(|error| {
                let what = alloc::format!("the key of `{subject}` cannot be read: {error}");
                RouterError::Store(StoreError::Damaged { what: what.into() })
            })?;
            live.key = Some(key);
        } else if let Some(salts) = &self.salts {
            live.key = Some(salts.key(subject, &live.erased()));
            live.key_is_new = true;
        }
        Ok(())
    }

    /// A subject's audience and the time of its first record: from the last snapshot on.
    pub(super) fn restored(
        &self,
        subject: &crate::id::SubjectId,
    ) -> Result<(AnyAudience, Option<Timestamp>), RouterError> {
        let store = self.store();
        let stream = StreamId::new(StreamKind::Audience, subject.name().clone());
        let replayed = |error| RouterError::Replay(Box::new(error));
        let mut since = None;
        let mut restore = match last_snapshot(store, &stream, u64::MAX)? {
            Some(record) => {
                let first = replay(store, &stream)?.next().transpose()?;
                since = first.map(|first| first.timestamp());
                Restore::from_snapshot(subject.clone(), &record).map_err(replayed)?
            }
            None => Restore::new(subject.clone()),
        };
        for record in replay_from(store, &stream, restore.head())? {
            let record = record?;
            restore.push(&record).map_err(replayed)?;
            since = since.or(Some(record.timestamp()));
        }
        Ok((restore.finish(), since))
    }

    /// The last snapshot of the session's own routes, and the head behind it.
    #[expect(clippy::type_complexity, reason = "what is read, and where it ends")]
    fn own_snapshot(
        &self,
        streams: &Streams,
    ) -> Result<Option<(Saved<Profile<E>>, Head)>, RouterError> {
        let modeling = self.engines.modeling();
        if modeling.keeps().is_none() {
            return Ok(None);
        }
        let Some(record) = last_snapshot(self.store(), &streams.routing, u64::MAX)? else {
            return Ok(None);
        };
        let body = |source| RouterError::Body { index: record.index(), source };
        let saved = Saved::read(modeling, record.body()).map_err(body)?;
        Ok(saved.map(|saved| (saved, record.head())))
    }

    /// The subject's earlier sessions, and where this session's opening stands.
    pub(super) fn earlier(
        &self,
        session: &Session,
        streams: &Streams,
    ) -> Result<(Vec<Earlier>, u64), RouterError> {
        let mut earlier = Vec::new();
        for record in replay(self.store(), &streams.subject)? {
            let record = record?;
            if record.kind() != RecordKind::SessionOpened {
                continue;
            }
            let opened: SessionOpened = read(&record)?;
            if opened.claims.session == *session.id() {
                // The authority a route rests on is the one that was recorded (D-54).
                if opened.claims.digest() == session.claims() {
                    return Ok((earlier, record.index()));
                }
                break;
            }
            let name = opened.claims.session.name().clone();
            let stream = StreamId::new(StreamKind::Routing, name);
            earlier.push(Earlier { stream, opened_at: record.index() });
        }
        Err(RouterError::SessionUnknown { session: session.id().clone() })
    }

    /// The routes of the subject's earlier sessions as of this session's opening: what a
    /// replay of the log can know, too. Gives the decisions that they have used.
    pub(super) fn load_earlier(
        &self,
        earlier: &[Earlier],
        opened_at: u64,
        snapshots: bool,
        live: &mut Live<Profile<E>>,
    ) -> Result<BTreeSet<Digest>, RouterError> {
        let (store, modeling) = (self.store(), self.engines.modeling());
        let live = core::cell::RefCell::new(live);
        let mut used = BTreeSet::new();
        each_earlier(
            store,
            modeling,
            earlier,
            opened_at,
            snapshots,
            |saved| saved.into_live(&mut live.borrow_mut(), false),
            |route| {
                used.extend(route.block.approval.iter().chain(&route.block.backtrack));
                live.borrow_mut().absorb(modeling, &route.block, route.outcome.as_ref(), false);
            },
        )?;
        Ok(used)
    }

    /// Reads what the streams have behind what is live: nothing before is read again.
    pub(super) fn catch_up(
        &self,
        streams: &Streams,
        live: &mut Live<Profile<E>>,
    ) -> Result<(), RouterError> {
        let store = self.store();
        for record in replay_from(store, &streams.memory, live.facts.head())? {
            live.facts.apply(&record?)?;
        }
        if store.head(&streams.audience)? != live.audience.head() {
            let mut restore = Restore::resume(take(live)?);
            for record in replay_from(store, &streams.audience, restore.head())? {
                let record = record?;
                restore.push(&record).map_err(|error| RouterError::Replay(Box::new(error)))?;
                live.since = live.since.or(Some(record.timestamp()));
            }
            live.audience = restore.finish();
        }
        for record in replay_from(store, &streams.governance, live.governance)? {
            let record = record?;
            live.governance = record.head();
            live.decide(&record)?;
            if live.doubt.is_some() && releases(&record)? {
                live.doubt = None;
            }
        }
        let mut walk = Walk::new(store, &streams.routing, live.routing, u64::MAX)?;
        while let Some(route) = walk.route()? {
            live.own_route(self.engines.modeling(), route);
        }
        live.routing = walk.head;
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
        let mut walk = Walk::new(self.store(), &stream, since, u64::MAX)?;
        while let Some(route) = walk.route()? {
            if route.block.intent == intent && route.block.opens_route() {
                found = Some(route.evidence);
            }
        }
        Ok(found)
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
        let (hold, escalation) = causes(live.doubt);
        let mandated = evaluate(
            from,
            &Assessment {
                risk,
                envelope: envelope.decision(),
                matrix: observe.decision(),
                kernel: kernel.decision(),
                class: class.class(),
                downgrade: DowngradeCauses::NONE,
                hold,
                escalation,
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
    scored: Option<Draft>,
    now: crate::time::Timestamp,
) -> Batch {
    let opening = session.opening();
    let linked = Draft::new(
        streams.subject.clone(),
        RecordKind::SessionOpened,
        Subsystem::Identity,
        opening.body().to_vec(),
    );
    let mut batch = Batch::new(now)
        .expect(streams.session.clone(), Head::EMPTY)
        .expect(streams.subject.clone(), after)
        .append(opening)
        .append(linked);
    if let Some(scored) = scored {
        batch.push_draft(scored);
    }
    batch
}

impl<P> Live<P> {
    /// Takes a governance decision that a route may use.
    pub(super) fn decide(&mut self, record: &Record) -> Result<(), RouterError> {
        if record.kind() == RecordKind::GovernanceDecision {
            let decision: GovernanceDecision = read(record)?;
            if is_usable(record.digest(), &decision) {
                self.decisions.push((record.digest(), decision));
            }
        }
        Ok(())
    }

    /// Takes a route of this session, ended or open.
    pub(super) fn own_route<M>(&mut self, modeling: &M, route: Walked)
    where
        M: ModelingEngine<Profile = P> + ?Sized,
    {
        // The clock may not stand before it, in this process either.
        self.record.seen = self.record.seen.max(route.block.timestamp);
        if route.outcome.is_none() && route.block.opens_route() {
            self.open = Some(OpenRoute { evidence: route.evidence, block: route.block });
        } else {
            self.absorb(modeling, &route.block, route.outcome.as_ref(), true);
        }
    }
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
