//! Taking records, derived or not, into what is known of their subject.

use alloc::vec::Vec;

use super::super::asked::Peek;
use super::super::past::Kept;
use super::super::report::Told;
use super::{Act, DAY, Left, Question, Subject, Worker};
use crate::governance::GovernanceDecision;
use crate::identity::{Session, SessionOpened};
use crate::routing::engines::Engines;
use crate::routing::evidence::{EvidenceBlock, Outcome};
use crate::ssot::record::{Record, RecordKind, StreamKind};
use crate::ssot::store::Store;
use crate::verdict::{Drift, Verdict};

impl<S, E> Worker<'_, S, E>
where
    S: Store + ?Sized,
    E: Engines,
    Kept<E>: Clone,
{
    /// Takes the records of an act into what is known of the subject. Says whether more can
    /// be derived behind them.
    pub(super) fn follow(
        &mut self,
        it: &mut Subject<Kept<E>>,
        records: Vec<Record>,
        act: Act,
        version: Option<usize>,
        keep: bool,
    ) -> bool {
        let (mut ended, mut outcome) = match act {
            Act::Same(_, Left::Ended(block)) => (Some(block), None),
            Act::Same(_, Left::Outcome(block)) => (None, Some(*block)),
            _ => (None, None),
        };
        for record in records {
            match record.stream().kind() {
                StreamKind::Audience => {
                    if let Err(error) = it.past.follow_audience(&record) {
                        let told = Told::new("lineage", "one legal lineage", error.problem);
                        self.report.recount(&record, told);
                        return false;
                    }
                }
                StreamKind::Memory => {
                    if let Err(error) = it.past.follow_fact(&record) {
                        self.report
                            .recount(&record, Told::new("facts", "facts that add up", error));
                        return false;
                    }
                }
                StreamKind::Governance => {
                    if let Ok(decision) = record.read::<GovernanceDecision>() {
                        it.past.follow_decision(&record, decision);
                    }
                }
                StreamKind::Subject => self.seat(it, &record, version),
                StreamKind::Routing => match record.kind() {
                    RecordKind::EvidenceBlock => {
                        let block = ended.take();
                        ask(it, &record, block.as_deref());
                        let Some(room) = version.and_then(|version| self.room(version)) else {
                            it.past.lose();
                            continue;
                        };
                        it.past.follow_evidence(&room.router, &record, block, keep);
                    }
                    RecordKind::Outcome => {
                        let Some(room) = version.and_then(|version| self.room(version)) else {
                            it.past.lose();
                            continue;
                        };
                        let block = outcome.take();
                        if let Ok(read) = record.read::<Outcome>() {
                            it.past.follow_outcome(&room.router, &record, read, block, keep);
                        }
                    }
                    RecordKind::Snapshot | RecordKind::ConflictDetected => {
                        it.past.follow_aside(&record);
                    }
                    _ => {}
                },
                StreamKind::Session if record.kind() == RecordKind::IdentityScored => {
                    self.doubt(it, &record, version);
                }
                StreamKind::Session | StreamKind::Policy => {}
            }
        }
        true
    }

    /// A session was compared with those before it: what speaks against it, if anything.
    fn doubt(&mut self, it: &mut Subject<Kept<E>>, record: &Record, version: Option<usize>) {
        self.tape.begin(record.index().saturating_add(1));
        let Some(room) = version.and_then(|version| self.room(version)) else { return };
        let Some(sitting) = it.past.sittings.get_mut(record.stream().name()) else { return };
        match room.router.doubt_again(&sitting.desk.session) {
            Ok(doubt) => {
                if let Some(live) = &mut sitting.desk.live {
                    live.doubt = doubt;
                }
            }
            // It is read again, and then says why not.
            Err(_) => sitting.desk.live = None,
        }
    }

    /// Seats a session that was opened.
    fn seat(&mut self, it: &mut Subject<Kept<E>>, record: &Record, version: Option<usize>) {
        let (Ok(opened), Some(version)) = (record.read::<SessionOpened>(), version) else { return };
        let order = self.plan.nearest(version);
        let known = order.into_iter().find(|&version| {
            self.room(version).is_some_and(|room| room.identity.digest() == opened.policy)
        });
        let Some(room) = known.and_then(|known| self.room(known)) else { return };
        let Ok(session) = Session::reopened(&opened, &room.identity) else { return };
        let Some(room) = self.room(version) else { return };
        let live = it.past.beginning(&room.router);
        it.past.seat(session, opened, record.timestamp(), live, version);
    }
}

/// Notes what a route asks a person.
fn ask<P>(it: &mut Subject<P>, record: &Record, block: Option<&EvidenceBlock>) {
    let read;
    let block = match block {
        Some(block) => block,
        None if Peek::of(record.body()).is_ok_and(|peek| peek.waits()) => {
            match record.read::<EvidenceBlock>() {
                Ok(block) => {
                    read = block;
                    &read
                }
                Err(_) => return,
            }
        }
        None => return,
    };
    let Some(until) = block.wait_until else { return };
    let drifted = block.verdict == Verdict::Defer && block.drift == Drift::Hard;
    let question = Question {
        role: block.approver.clone().filter(|_| block.verdict == Verdict::StepUp),
        requester: block.principal.clone(),
        asked_at: block.timestamp,
        until,
        route: block.routing_id.filter(|_| drifted),
    };
    if question.role.is_some() || question.route.is_some() {
        let now = record.timestamp();
        it.questions.retain(|_, question| question.until.plus_millis(DAY) > now);
        it.questions.insert(block.intent, question);
    }
}
