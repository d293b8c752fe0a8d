//! Deriving records again, one act after another, with the router's own code.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::audience::lineage::{Cause, LineageEvent, TransitionRefused, Why};
use crate::governance::{GovernanceDecision, Matter, TokenMint};
use crate::id::{Name, PrincipalId, SubjectId, Subsystem};
use crate::identity::{Session, SessionOpened};
use crate::intent::RoutingId;
use crate::memory::{FactRecord, NewFact};
use crate::routing::engines::Engines;
use crate::routing::evidence::{EvidenceBlock, Outcome};
use crate::routing::payloads;
use crate::routing::router::{Again, Decided, RouterError};
use crate::ssot::record::{Draft, Record, RecordKind, StreamKind};
use crate::ssot::store::Store;
use crate::time::Timestamp;
use crate::verdict::{Drift, Verdict};

use super::asked::{Peek, submission, time_of_step_seven};
use super::feed::Feed;
use super::past::{Kept, Past};
use super::report::{NotReplayable, Report, Told, differs};
use super::tape::{Dial, Tape};
use super::versions::{Pinned, Version, VersionError};
use super::{Plan, ReplayError, Room, rooms_for};

/// How many of the coming records are held: more than one act writes.
const AHEAD: usize = 8;

/// A day: after so long nobody answers a question any more.
const DAY: u64 = 86_400_000;

/// What came of an act.
enum Act {
    /// It wrote the next so many records of the log.
    Same(usize, Left),
    /// It cannot be done again: the next so many records stay as they are.
    Skip(usize, NotReplayable),
    /// The next so many records are others.
    Differ(usize, Found),
}

/// What an act left behind for who follows it.
enum Left {
    Nothing,
    Ended(Box<EvidenceBlock>),
    Outcome(Box<EvidenceBlock>),
}

/// What was found instead.
enum Found {
    Drafts(Vec<Draft>),
    Told(usize, Told),
}

/// A question that a person may answer.
struct Question {
    role: Option<Name>,
    requester: PrincipalId,
    asked_at: Timestamp,
    until: Timestamp,
    route: Option<RoutingId>,
}

/// One worker: replays one subject after another.
pub(super) struct Worker<'w, S: ?Sized, E: Engines> {
    plan: &'w Plan<'w, S>,
    tape: &'w Tape<'w, S>,
    dial: &'w Dial,
    rooms: Vec<Option<Result<Room<'w, S, E>, VersionError>>>,
    resolve: &'w dyn Fn(&Pinned) -> Result<Version<E>, VersionError>,
    pub(super) report: Report,
}

/// One subject on its way.
struct Subject<P> {
    past: Past<P>,
    questions: BTreeMap<crate::digest::Digest, Question>,
    version: Option<usize>,
}

impl<'w, S, E> Worker<'w, S, E>
where
    S: Store + ?Sized,
    E: Engines,
    Kept<E>: Clone,
{
    pub(super) fn new(
        plan: &'w Plan<'w, S>,
        tape: &'w Tape<'w, S>,
        dial: &'w Dial,
        resolve: &'w dyn Fn(&Pinned) -> Result<Version<E>, VersionError>,
    ) -> Self {
        let rooms = rooms_for(plan.versions.len());
        Self { plan, tape, dial, rooms, resolve, report: Report::default() }
    }

    /// Replays one subject. `told` is called with how many records were come by.
    pub(super) fn subject(
        &mut self,
        subject: &SubjectId,
        mut told: impl FnMut(u64),
    ) -> Result<(), ReplayError> {
        let mut feed = Feed::of(self.plan.store, subject, self.plan.to)?;
        let past = Past::<Kept<E>>::of(subject.clone());
        let mut it = Subject { past, questions: BTreeMap::new(), version: None };
        self.tape.next().borrow_mut().clear();
        let mut behind = false;
        loop {
            while self.tape.next().borrow().len() < AHEAD {
                let Some(record) = feed.next()? else { break };
                self.tape.next().borrow_mut().push_back(record);
            }
            let Some(front) = self.tape.next().borrow().front().cloned() else { return Ok(()) };
            let version = self.plan.version_at(front.index());
            self.change_version(&mut it, version);
            let act = if behind || front.index() < self.plan.from {
                Act::Skip(1, NotReplayable::Behind)
            } else {
                self.act(&mut it, &front, version)
            };
            let records = self.judge(&act);
            told(records.len() as u64);
            let opens = |record: &Record| record.stream().kind() == StreamKind::Subject;
            let keep = feed.more_sessions() || self.tape.next().borrow().iter().any(opens);
            let last = records.last().map_or(0, Record::index);
            behind |= !self.follow(&mut it, records, act, version, keep);
            while let Some(ended) = feed.ended(last) {
                it.past.end(ended.name());
            }
        }
    }

    /// Counts what came of an act, and takes its records from the tape.
    fn judge(&mut self, act: &Act) -> Vec<Record> {
        let count = match act {
            Act::Same(count, _) | Act::Skip(count, _) | Act::Differ(count, _) => *count,
        };
        let records: Vec<Record> = {
            let mut next = self.tape.next().borrow_mut();
            let count = count.clamp(1, next.len().max(1));
            (0..count).filter_map(|_| next.pop_front()).collect()
        };
        if records.first().is_some_and(|record| record.index() < self.plan.from) {
            self.report.before = self.report.before.saturating_add(records.len() as u64);
            return records;
        }
        match act {
            Act::Same(..) => records.iter().for_each(|record| self.report.same(record.kind())),
            Act::Skip(_, why) => {
                records.iter().for_each(|record| self.report.skip(record.kind(), why.clone()));
            }
            Act::Differ(_, Found::Drafts(drafts)) => self.differ(drafts, &records),
            Act::Differ(_, Found::Told(place, told)) => {
                for (at, record) in records.iter().enumerate() {
                    if at == *place {
                        self.report.differ(told.clone().of(record));
                    } else {
                        self.report.skip(record.kind(), NotReplayable::Behind);
                    }
                }
            }
        }
        records
    }

    /// Counts the records of one act against what was derived, the evidence beside the
    /// evidence and what stands before it beside what was derived before it.
    fn differ(&mut self, drafts: &[Draft], records: &[Record]) {
        let alike = drafts.iter().map(Draft::kind).eq(records.iter().map(Record::kind));
        if alike {
            let mut any = false;
            for (draft, record) in drafts.iter().zip(records) {
                match differs(draft, record) {
                    None => self.report.same(record.kind()),
                    Some(told) => {
                        any = true;
                        self.report.differ(told.of(record));
                    }
                }
            }
            if let Some(record) = records.last().filter(|_| !any) {
                let told = Told::new("time", "one time of one act", record.timestamp());
                self.report.recount(record, told);
            }
            return;
        }
        let evidence = RecordKind::EvidenceBlock;
        let (mut before, mut last) = (drafts, None);
        let (mut found, mut block) = (records, None);
        if let Some((draft, rest)) = drafts.split_last().filter(|(d, _)| d.kind() == evidence) {
            (last, before) = (Some(draft), rest);
        }
        if let Some((record, rest)) = records.split_last().filter(|(r, _)| r.kind() == evidence) {
            (block, found) = (Some(record), rest);
        }
        let mut any = false;
        for (at, record) in found.iter().enumerate() {
            let told = match before.get(at) {
                Some(draft) => differs(draft, record),
                None => Some(Told::new("record", "none", record.kind().name())),
            };
            match told {
                None => self.report.same(record.kind()),
                Some(told) => {
                    any = true;
                    self.report.differ(told.of(record));
                }
            }
        }
        let Some(record) = block else {
            if !any && let Some(record) = found.last() {
                // Each is as it was derived, and yet the act wrote something else.
                let told = Told::new("act", super::report::kinds(drafts), "only these records");
                self.report.differ(told.of(record));
            }
            return;
        };
        match last.and_then(|draft| differs(draft, record)) {
            Some(told) => self.report.differ(told.of(record)),
            None if before.len() > found.len() => {
                let told = Told::new("act", super::report::kinds(drafts), "only these records");
                self.report.differ(told.of(record));
            }
            None if any => self.report.same(record.kind()),
            None => {
                let told = Told::new("time", "the time of its act", record.timestamp());
                self.report.differ(told.of(record));
            }
        }
    }

    /// Notes that another policy version is in force: what was followed under another
    /// modeling configuration is read again.
    fn change_version(&mut self, it: &mut Subject<Kept<E>>, version: Option<usize>) {
        if it.version == version {
            return;
        }
        let before = core::mem::replace(&mut it.version, version);
        let Some(before) = before else { return };
        if !version.is_some_and(|version| self.plan.same_modeling(before, version)) {
            it.past.lose_base();
        }
    }

    /// The room of a version, opened when it is first asked for.
    fn room(&mut self, version: usize) -> Option<&mut Room<'w, S, E>> {
        let place = self.rooms.get_mut(version)?;
        let pinned = self.plan.versions.get(version)?;
        let (resolve, tape, dial, secret) = (self.resolve, self.tape, self.dial, self.plan.secret);
        let room = place.get_or_insert_with(|| {
            resolve(pinned).and_then(|version| Room::open(pinned, version, tape, dial, secret))
        });
        room.as_mut().ok()
    }

    /// Why a version cannot be had, of all that were asked for.
    pub(super) fn missing(&self) -> Vec<VersionError> {
        let asked = self.rooms.iter().flatten();
        asked.filter_map(|room| room.as_ref().err().cloned()).collect()
    }

    fn act(&mut self, it: &mut Subject<Kept<E>>, front: &Record, version: Option<usize>) -> Act {
        use RecordKind::{
            AudienceEvent, EvidenceBlock, Fact, GovernanceDecision, Outcome, SessionClosed,
            SessionOpened, Snapshot, TransitionRefused,
        };
        let group = self.group(front);
        // A snapshot of an audience stands before what it was due with.
        let front = match front.kind() {
            Snapshot if front.stream().kind() == StreamKind::Audience => {
                &self.tape.next().borrow().get(1).cloned().unwrap_or_else(|| front.clone())
            }
            _ => front,
        };
        let Some(version) = version else {
            return Act::Skip(group, NotReplayable::NothingPinned);
        };
        if self.room(version).is_none() {
            return Act::Skip(group, NotReplayable::Policy);
        }
        self.dial.set(front.timestamp(), None);
        self.tape.begin(front.index());
        match (front.kind(), front.source()) {
            (SessionOpened, _) => self.opening(it, front, version),
            (EvidenceBlock, _) | (_, Subsystem::Safety) => self.route(it, group, version),
            (Outcome, _) => self.outcome(it, front, group, version),
            (Fact, _) => self.fact(it, front, version),
            (GovernanceDecision, _) => self.decision(it, front, version),
            (AudienceEvent, Subsystem::Audience) => self.advance(it, version),
            (AudienceEvent, Subsystem::Governance) => self.governed(it, front, version),
            (TransitionRefused, Subsystem::Governance) => self.refused(it, front, version),
            (SessionClosed, _) if front.body().is_empty() => Act::Same(1, Left::Nothing),
            _ => Act::Skip(1, NotReplayable::OtherAct),
        }
    }

    /// How many of the coming records one act wrote, as far as their kinds tell: a route's
    /// moves of its audience, its evidence or outcome, and the snapshot that was due then.
    fn group(&self, front: &Record) -> usize {
        let next = self.tape.next().borrow();
        let ends = |record: &Record| {
            matches!(record.kind(), RecordKind::EvidenceBlock | RecordKind::Outcome)
        };
        let together = next.iter().zip(front.index()..).take_while(|(record, index)| {
            record.index() == *index && record.timestamp() == front.timestamp()
        });
        let together: Vec<&Record> = together.map(|(record, _)| record).collect();
        let moves = together.iter().take_while(|r| r.source() == Subsystem::Safety).count();
        let Some(end) = together.get(moves).filter(|record| ends(record)) else { return 1 };
        let due = together.get(moves.saturating_add(1)).is_some_and(|record| {
            record.kind() == RecordKind::Snapshot && record.stream() == end.stream()
        });
        moves.saturating_add(1).saturating_add(usize::from(due))
    }

    /// What the act that was just tried came to, where it wrote nothing of the log.
    fn refusal(&self, count: usize, error: &RouterError) -> Act {
        match self.tape.derived() {
            Some(drafts) => Act::Differ(count.max(1), Found::Drafts(drafts)),
            None => {
                let told = Told::new("act", error, "a record of it");
                Act::Differ(count, Found::Told(count.saturating_sub(1), told))
            }
        }
    }

    fn opening(&mut self, it: &mut Subject<Kept<E>>, front: &Record, version: usize) -> Act {
        let count = {
            let next = self.tape.next().borrow();
            let linked = next.get(1).is_some_and(|second| {
                second.kind() == RecordKind::SessionOpened
                    && second.index() == front.index().saturating_add(1)
                    && second.stream().kind() == StreamKind::Subject
            });
            1 + usize::from(linked)
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
        match room.router.open_again(&session, it.past.subject) {
            Ok(()) => Act::Same(count.max(2), Left::Nothing),
            Err(error) => self.refusal(count, &error),
        }
    }

    fn advance(&mut self, it: &mut Subject<Kept<E>>, version: usize) -> Act {
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

    fn governed(&mut self, it: &mut Subject<Kept<E>>, front: &Record, version: usize) -> Act {
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

    fn refused(&mut self, it: &mut Subject<Kept<E>>, front: &Record, version: usize) -> Act {
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

    fn fact(&mut self, it: &mut Subject<Kept<E>>, front: &Record, version: usize) -> Act {
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

    fn decision(&mut self, it: &mut Subject<Kept<E>>, front: &Record, version: usize) -> Act {
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

    /// Whether a session's desk is there, read from the log where it has to be.
    fn ready(&mut self, it: &mut Subject<Kept<E>>, name: &Name, version: usize) -> bool {
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

    fn route(&mut self, it: &mut Subject<Kept<E>>, group: usize, version: usize) -> Act {
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
            let routed = room.router.route_again(&mut sitting.desk, submission);
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
    fn taken_up(&mut self, it: &Subject<Kept<E>>, name: &Name, version: usize) -> Option<Session> {
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
    fn submission(
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
            match submission(&room.catalogue, &intent, &text) {
                Ok(Some(submission)) => return Ok(submission),
                // It was checked by another catalogue.
                Ok(None) => {}
                Err(error) => {
                    let digest = crate::digest::Domain::Intent.hash(&intent);
                    if digest == peek.intent {
                        return Err(Err(Told::new("intent", "one the catalogue accepts", error)));
                    }
                    return Err(Err(Told::new("intent payload", peek.intent, digest)));
                }
            }
        }
        Err(Ok(NotReplayable::Policy))
    }

    fn outcome(
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

    /// Takes the records of an act into what is known of the subject. Says whether more can
    /// be derived behind them.
    fn follow(
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
                StreamKind::Subject => {
                    it.past.subject = record.head();
                    self.seat(it, &record, version);
                }
                StreamKind::Routing => match record.kind() {
                    RecordKind::EvidenceBlock => {
                        let block = ended.take();
                        self.ask(it, &record, block.as_deref());
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
                    RecordKind::Snapshot => it.past.follow_snapshot(&record),
                    _ => {}
                },
                StreamKind::Session | StreamKind::Policy => {}
            }
        }
        true
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

    /// Notes what a route asks a person.
    fn ask(&mut self, it: &mut Subject<Kept<E>>, record: &Record, block: Option<&EvidenceBlock>) {
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
}

/// The next record alone is another.
fn told(told: Told) -> Act {
    Act::Differ(1, Found::Told(0, told))
}
