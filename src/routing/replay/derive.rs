//! Deriving records again, one act after another, with the router's own code.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::feed::Feed;
use super::past::{Kept, Past};
use super::report::{NotReplayable, Report, Told, differs};
use super::tape::{Dial, Tape};
use super::versions::{Pinned, Version, VersionError};
use super::{Plan, ReplayError, Room, rooms_for};
use crate::id::{Name, PrincipalId, SubjectId, Subsystem};
use crate::intent::RoutingId;
use crate::routing::engines::Engines;
use crate::routing::evidence::EvidenceBlock;
use crate::routing::router::RouterError;
use crate::ssot::record::{Draft, Record, RecordKind, StreamKind};
use crate::ssot::store::Store;
use crate::time::Timestamp;

mod acts;
mod follow;
mod route;

/// How many of the coming records are held: more than one act writes.
const AHEAD: usize = 24;

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
                for record in &records {
                    self.report.skip(record.kind(), why.clone());
                }
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
            AudienceEvent, ConflictDetected, EvidenceBlock, Fact, GovernanceDecision, Outcome,
            SessionClosed, SessionOpened, Snapshot, TransitionRefused,
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
            (SessionOpened, _) => self.opening(front, version),
            (EvidenceBlock | ConflictDetected, _) | (_, Subsystem::Safety) => {
                self.route(it, group, version)
            }
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
        let before = |r: &&&Record| {
            r.source() == Subsystem::Safety || r.kind() == RecordKind::ConflictDetected
        };
        let moves = together.iter().take_while(before).count();
        let Some(end) = together.get(moves).filter(|record| ends(record)) else { return 1 };
        let due = together.get(moves.saturating_add(1)).is_some_and(|record| {
            record.kind() == RecordKind::Snapshot && record.stream() == end.stream()
        });
        moves.saturating_add(1).saturating_add(usize::from(due))
    }

    /// What the act that was just tried came to, where it wrote nothing of the log.
    fn refusal(&self, count: usize, error: &RouterError) -> Act {
        if let Some(drafts) = self.tape.derived() {
            return Act::Differ(count.max(1), Found::Drafts(drafts));
        }
        let told = Told::new("act", error, "a record of it");
        Act::Differ(count, Found::Told(count.saturating_sub(1), told))
    }
}

/// The next record alone is another.
fn told(told: Told) -> Act {
    Act::Differ(1, Found::Told(0, told))
}
