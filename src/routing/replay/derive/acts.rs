//! What is no route: openings, advances, facts, and what Governance does.

use super::super::NotReplayable;
use super::super::past::Kept;
use super::super::report::{Told, differs};
use super::{Act, Found, Left, Question, Subject, Worker, told};
use crate::audience::lineage::{Cause, LineageEvent, TransitionRefused, Why};
use crate::governance::{GovernanceDecision, Matter};
use crate::id::{PrincipalId, Subsystem};
use crate::identity::{Session, SessionOpened};
use crate::memory::{FactRecord, NewFact};
use crate::routing::engines::Engines;
use crate::routing::router::Decided;
use crate::ssot::record::{Draft, Record, RecordKind};
use crate::ssot::store::Store;

impl<S, E> Worker<'_, S, E>
where
    S: Store + ?Sized,
    E: Engines,
    Kept<E>: Clone,
{
    pub(super) fn opening(&mut self, front: &Record, version: usize) -> Act {
        // Its own stream, its subject's, and how it compares with the sessions before.
        let count = {
            let next = self.tape.next().borrow();
            let together = next.iter().zip(front.index()..).take_while(|(record, index)| {
                record.index() == *index && record.timestamp() == front.timestamp()
            });
            let kinds =
                [RecordKind::SessionOpened, RecordKind::SessionOpened, RecordKind::IdentityScored];
            together.zip(kinds).take_while(|((record, _), kind)| record.kind() == *kind).count()
        };
        let opened: SessionOpened = match front.read() {
            Ok(opened) => opened,
            Err(error) => return told(Told::new("body", "an opening", error)),
        };
        let order = self.plan.nearest(version);
        let known = order.into_iter().find(|&version| {
            self.room(version).is_some_and(|room| room.identity.digest() == opened.policy)
        });
        let Some(known) = known else {
            return Act::Skip(count, NotReplayable::IdentityPolicy);
        };
        let Some(room) = self.room(known) else { return Act::Skip(count, NotReplayable::Policy) };
        let session = match Session::reopened(&opened, &room.identity) {
            Ok(session) => session,
            Err(error) => return told(Told::new("claims", error, "an opened session")),
        };
        match room.router.open_again(&session) {
            Ok(()) => Act::Same(self.tape.taken(), Left::Nothing),
            Err(error) => self.refusal(count, &error),
        }
    }

    pub(super) fn advance(&mut self, it: &mut Subject<Kept<E>>, version: usize) -> Act {
        let mut first = None;
        for name in it.past.sessions() {
            let index = self.tape.next().borrow().front().map_or(0, Record::index);
            self.tape.begin(index);
            if !self.ready(it, &name, version) {
                continue;
            }
            let (tape, audience) = (self.tape, it.past.audience());
            let Some(room) = self.room(version) else { continue };
            let Some(sitting) = it.past.sittings.get_mut(&name) else { continue };
            let session = &sitting.desk.session;
            let Some(live) = &mut sitting.desk.live else { continue };
            let advanced = room.router.advance_again(session, live);
            // Whatever became of it: the log says where the audience is.
            live.audience = audience;
            match advanced {
                Ok(()) if tape.taken() > 0 => return Act::Same(tape.taken(), Left::Nothing),
                Ok(()) => {
                    let told = Told::new("act", "an audience that stays", "an advance");
                    first.get_or_insert(Act::Differ(1, Found::Told(0, told)));
                }
                Err(error) => {
                    let refusal = self.refusal(1, &error);
                    first.get_or_insert(refusal);
                }
            }
        }
        first.unwrap_or(Act::Skip(1, NotReplayable::Unknown))
    }

    pub(super) fn governed(
        &mut self,
        it: &mut Subject<Kept<E>>,
        front: &Record,
        version: usize,
    ) -> Act {
        let event: LineageEvent = match front.read() {
            Ok(event) => event,
            Err(error) => return told(Told::new("body", "an event of the lineage", error)),
        };
        let audience = it.past.audience();
        let (approver, cause) = match event.cause() {
            Cause::Downgrade(Why::Suspension(trigger))
            | Cause::Hold(trigger)
            | Cause::Unreachable(Why::Suspension(trigger)) => {
                let trigger = *trigger;
                let Some(room) = self.room(version) else {
                    return Act::Skip(1, NotReplayable::Policy);
                };
                return match room.router.suspend_again(audience, trigger) {
                    Ok(()) => Act::Same(self.tape.taken(), Left::Nothing),
                    Err(error) => self.refusal(1, &error),
                };
            }
            Cause::Approval(approver) | Cause::Review(approver) => (approver, None),
            Cause::Governed { why: Why::Downgrade(cause), approver } => (approver, Some(*cause)),
            _ => return Act::Skip(1, NotReplayable::OtherAct),
        };
        let decision = it.past.decisions.iter().find(|(_, record, _)| *record == approver.record);
        let Some((_, record, decision)) = decision.cloned() else {
            let found = approver.record.short();
            return told(Told::new("cause", "a decision that stands before it", found));
        };
        let fits = match decision.matter() {
            Matter::HoldRelease { to, .. } => *to == event.to(),
            Matter::EscalationReview { .. } | Matter::PrivilegedExit { .. } => true,
            _ => false,
        };
        if !fits || !decision.granted() {
            let found = decision.matter().name();
            return told(Told::new("cause", "a decision on this transition", found));
        }
        let Some(room) = self.room(version) else { return Act::Skip(1, NotReplayable::Policy) };
        let decided = Decided { decision, record };
        match room.router.governed_again(audience, event.to(), cause, &decided) {
            Ok(()) => Act::Same(self.tape.taken(), Left::Nothing),
            Err(error) => self.refusal(1, &error),
        }
    }

    pub(super) fn refused(
        &mut self,
        it: &mut Subject<Kept<E>>,
        front: &Record,
        version: usize,
    ) -> Act {
        let refused: TransitionRefused = match front.read() {
            Ok(refused) => refused,
            Err(error) => return told(Told::new("body", "a refusal", error)),
        };
        let mut first = None;
        for name in it.past.sessions() {
            self.tape.begin(front.index());
            if !self.ready(it, &name, version) {
                continue;
            }
            let audience = it.past.audience();
            let Some(room) = self.room(version) else { continue };
            let Some(sitting) = it.past.sittings.get(&name) else { continue };
            let Some(live) = &sitting.desk.live else { continue };
            let (session, context) = (&sitting.desk.session, live.short_term.context());
            let asked = (refused.to, refused.way);
            match room.router.refuse_again(session, context, audience, asked) {
                Ok(()) => return Act::Same(self.tape.taken(), Left::Nothing),
                Err(error) => {
                    let refusal = self.refusal(1, &error);
                    first.get_or_insert(refusal);
                }
            }
        }
        first.unwrap_or(Act::Skip(1, NotReplayable::Unknown))
    }

    pub(super) fn fact(
        &mut self,
        it: &mut Subject<Kept<E>>,
        front: &Record,
        version: usize,
    ) -> Act {
        let fact: FactRecord = match front.read() {
            Ok(fact) => fact,
            Err(error) => return told(Told::new("body", "a fact", error)),
        };
        let FactRecord { key, value, label, context, expires_at, .. } = fact;
        let again = it.past.facts.record(NewFact { key, value, label, context, expires_at });
        let audience = it.past.audience();
        let Some(room) = self.room(version) else { return Act::Skip(1, NotReplayable::Policy) };
        match room.router.remember_again(&again, &audience, &it.past.facts) {
            Ok(()) => Act::Same(1, Left::Nothing),
            Err(error) => self.refusal(1, &error),
        }
    }

    pub(super) fn decision(
        &mut self,
        it: &mut Subject<Kept<E>>,
        front: &Record,
        version: usize,
    ) -> Act {
        let decision: GovernanceDecision = match front.read() {
            Ok(decision) => decision,
            Err(error) => return told(Told::new("body", "a decision", error)),
        };
        let order = self.plan.nearest(version);
        let known = order.into_iter().find(|&version| {
            self.room(version).is_some_and(|room| room.governs_by(decision.policy()))
        });
        let Some(room) = self.room(known.unwrap_or(version)) else {
            return Act::Skip(1, NotReplayable::Policy);
        };
        let governor = room.router.rules().governor.clone();
        let itself = PrincipalId::from(it.past.restore.subject().name().clone());
        let (role, requester) = match decision.matter() {
            Matter::Approval { intent, .. } => match it.questions.get(intent) {
                Some(Question { role: Some(role), requester, asked_at, until, .. })
                    if (*asked_at..*until).contains(&front.timestamp()) =>
                {
                    (role.clone(), requester.clone())
                }
                _ => return told(Told::new("matter", "a question that is open", "an answer")),
            },
            Matter::Backtrack { route, .. } => {
                let asked = it.questions.values().find(|question| {
                    question.route == Some(*route)
                        && (question.asked_at..question.until).contains(&front.timestamp())
                });
                let Some(asked) = asked else {
                    return told(Told::new("matter", "a route referred for hard drift", "none"));
                };
                (governor, asked.requester.clone())
            }
            _ => (governor, itself),
        };
        let asked = match decision.matter() {
            Matter::Approval { intent, .. } => {
                Matter::Approval { intent: *intent, requester: requester.clone() }
            }
            matter => matter.clone(),
        };
        let again = room.router.decide_again(
            (decision.decider(), &role),
            &requester,
            asked,
            (decision.granted(), decision.note()),
            front.timestamp(),
        );
        let again = match again {
            Ok(again) => again,
            Err(error) => return told(Told::new("act", error, "a decision")),
        };
        let draft = Draft::new(
            front.stream().clone(),
            RecordKind::GovernanceDecision,
            Subsystem::Governance,
            crate::encode::Encode::to_canonical(&again),
        );
        match differs(&draft, front) {
            None => Act::Same(1, Left::Nothing),
            Some(difference) => told(difference),
        }
    }
}
