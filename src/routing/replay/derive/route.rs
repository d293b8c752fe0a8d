//! Routes: from the intent that was kept to the evidence, and from there to the outcome.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::super::NotReplayable;
use super::super::asked::{Peek, submission, time_of_step_seven};
use super::super::past::Kept;
use super::super::report::Told;
use super::{Act, Found, Left, Subject, Worker, told};
use crate::governance::TokenMint;
use crate::id::Name;
use crate::identity::Session;
use crate::routing::engines::Engines;
use crate::routing::evidence::Outcome;
use crate::routing::payloads;
use crate::routing::router::Again;
use crate::ssot::conflict::ConflictDetected;
use crate::ssot::record::{Record, RecordKind};
use crate::ssot::store::Store;

impl<S, E> Worker<'_, S, E>
where
    S: Store + ?Sized,
    E: Engines,
    Kept<E>: Clone,
{
    /// Whether a session's desk is there, read from the log where it has to be.
    pub(super) fn ready(&mut self, it: &mut Subject<Kept<E>>, name: &Name, version: usize) -> bool {
        let same = |made| self.plan.same_modeling(made, version);
        let Some(sitting) = it.past.sittings.get_mut(name) else { return false };
        if sitting.desk.live.is_some() && same(sitting.version) {
            return true;
        }
        let index = self.tape.next().borrow().front().map_or(0, Record::index);
        self.tape.begin(index);
        let Some(room) = self.room(version) else { return false };
        let Some(sitting) = it.past.sittings.get_mut(name) else { return false };
        let Ok(live) = room.router.load_again(&sitting.desk.session) else { return false };
        sitting.desk.session.saw(live.record.seen);
        sitting.desk.live = Some(live);
        sitting.version = version;
        true
    }

    pub(super) fn route(&mut self, it: &mut Subject<Kept<E>>, group: usize, version: usize) -> Act {
        let is_evidence = |record: &Record| record.kind() == RecordKind::EvidenceBlock;
        let found = {
            let next = self.tape.next().borrow();
            let place = next.iter().take(group).position(is_evidence);
            place.and_then(|place| Some((place, next.get(place)?.clone())))
        };
        let Some((place, record)) = found else {
            return told(Told::new("act", "the evidence of a route behind it", "none"));
        };
        let differ = |told| Act::Differ(group, Found::Told(place, told));
        // What came between is what another writer did: it is taken as it was recorded.
        let contested: Vec<ConflictDetected> = {
            let next = self.tape.next().borrow();
            let before =
                next.iter().take(place).filter(|r| r.kind() == RecordKind::ConflictDetected);
            before.filter_map(|record| record.read().ok()).collect()
        };
        let peek = match Peek::of(record.body()) {
            Ok(peek) => peek,
            Err(error) => return differ(Told::new("body", "an evidence block", error)),
        };
        let name = record.stream().name().clone();
        let first = self.tape.next().borrow().front().map_or(0, Record::index);
        let mut tried = None;
        // As the session stands; then as it would stand had it been taken up again, which
        // the log does not tell; then with another time at Step 7, which the trace tells.
        for attempt in 0..3 {
            if !self.ready(it, &name, version) {
                return Act::Skip(group, NotReplayable::Unknown);
            }
            it.past.look(&name);
            let (mut later, mut spare) = (None, None);
            if attempt == 1 {
                spare = self.taken_up(it, &name, version);
            } else if attempt == 2 {
                later = time_of_step_seven(&record);
            }
            if attempt > 0 && later.is_none() && spare.is_none() {
                continue;
            }
            let submission = match self.submission(version, &peek, &record) {
                Ok(submission) => submission,
                Err(Ok(why)) => return Act::Skip(group, why),
                Err(Err(told)) => return differ(told),
            };
            self.tape.begin(first);
            self.dial.set(peek.timestamp, later);
            let secret = self.plan.secret.is_some();
            let Some(room) = self.room(version) else {
                return Act::Skip(group, NotReplayable::Policy);
            };
            if !secret {
                room.router.minting(TokenMint::taking(peek.tag));
            }
            let Some(sitting) = it.past.sittings.get_mut(&name) else { break };
            let mut other = spare;
            if let Some(session) = &mut other {
                core::mem::swap(&mut sitting.desk.session, session);
            }
            let routed = room.router.route_again(
                &mut sitting.desk,
                submission,
                contested.clone(),
                peek.salted,
            );
            match routed {
                Ok(again) => {
                    if peek.minted && !secret {
                        self.report.tags_taken = self.report.tags_taken.saturating_add(1);
                    }
                    let left = match again {
                        Again::Ended(block) => Left::Ended(block),
                        Again::Opened => Left::Nothing,
                    };
                    return Act::Same(group, left);
                }
                Err(error) => {
                    if let Some(session) = other {
                        sitting.desk.session = session;
                    }
                    // It may be ahead of the log, and is read again.
                    sitting.desk.live = None;
                    let refusal = self.refusal(group, &error);
                    tried.get_or_insert(refusal);
                }
            }
        }
        match tried {
            Some(Act::Differ(_, Found::Told(_, told))) => differ(told),
            Some(Act::Differ(_, found)) => Act::Differ(group, found),
            Some(act) => act,
            None => Act::Skip(group, NotReplayable::Unknown),
        }
    }

    /// The session as somebody would have it who took it up again from its own stream,
    /// under the identity policy in force; `None` where that is what it is already.
    pub(super) fn taken_up(
        &mut self,
        it: &Subject<Kept<E>>,
        name: &Name,
        version: usize,
    ) -> Option<Session> {
        let sitting = it.past.sittings.get(name)?;
        let (now, opened) = (&sitting.desk.session, &sitting.opened);
        let room = self.room(version)?;
        let mut session = Session::reopened(opened, &room.identity).ok()?;
        session.saw(sitting.opened_at);
        session.saw(sitting.desk.live.as_ref()?.record.seen);
        session.saw(now.last_seen());
        let same = session.policy() == now.policy() && session.last_seen() == now.last_seen();
        (!same).then_some(session)
    }

    /// What was submitted, from the payloads that the log keeps.
    pub(super) fn submission(
        &mut self,
        version: usize,
        peek: &Peek,
        record: &Record,
    ) -> Result<crate::intent::Submission, Result<NotReplayable, Told>> {
        let store = self.plan.store;
        let Some(objective) = peek.objective else { return Ok(peek.malformed(record)) };
        let kept = |digest| store.payload(digest);
        let (intent, text) = match (kept(&peek.intent), kept(&objective)) {
            (Ok(Some(intent)), Ok(Some(text))) => (intent, text),
            (Ok(_), Ok(_)) => return Err(Ok(NotReplayable::Erased)),
            (Err(error), _) | (_, Err(error)) => {
                return Err(Err(Told::new("payload", "one that can be read", error)));
            }
        };
        let order = self.plan.nearest(version);
        for version in order {
            let Some(room) = self.room(version) else { continue };
            match submission(&room.catalogue, &intent, &text, peek.salted) {
                Ok(Some(submission)) => return Ok(submission),
                // It was checked by another catalogue.
                Ok(None) => {}
                Err(error) => {
                    let digest = crate::digest::Domain::Intent.hash(&intent);
                    if peek.salted || digest == peek.intent {
                        return Err(Err(Told::new("intent", "one the catalogue accepts", error)));
                    }
                    return Err(Err(Told::new("intent payload", peek.intent, digest)));
                }
            }
        }
        Err(Ok(NotReplayable::Policy))
    }

    pub(super) fn outcome(
        &mut self,
        it: &mut Subject<Kept<E>>,
        front: &Record,
        group: usize,
        version: usize,
    ) -> Act {
        let differ = |told| Act::Differ(group, Found::Told(0, told));
        let outcome: Outcome = match front.read() {
            Ok(outcome) => outcome,
            Err(error) => return differ(Told::new("body", "an outcome", error)),
        };
        if let Err(error) = payloads::output(self.plan.store, &outcome) {
            return differ(Told::new("output payload", "the one that was recorded", error));
        }
        let name = front.stream().name().clone();
        let mut tried = None;
        // As the desk stood behind the evidence; then as somebody read it again who settled
        // the route, which only shows in a snapshot.
        for _ in 0..2 {
            if !self.ready(it, &name, version) {
                return Act::Skip(group, NotReplayable::Unknown);
            }
            self.tape.begin(front.index());
            self.dial.set(front.timestamp(), None);
            let Some(room) = self.room(version) else {
                return Act::Skip(group, NotReplayable::Policy);
            };
            let Some(sitting) = it.past.sittings.get_mut(&name) else { break };
            match room.router.end_again(&mut sitting.desk, &outcome) {
                Ok(block) => return Act::Same(group, Left::Outcome(Box::new(block))),
                Err(error) => {
                    sitting.desk.live = None;
                    let refusal = self.refusal(group, &error);
                    tried.get_or_insert(refusal);
                }
            }
        }
        match tried {
            Some(Act::Differ(_, Found::Told(_, told))) => differ(told),
            Some(act) => act,
            None => Act::Skip(group, NotReplayable::Unknown),
        }
    }
}
