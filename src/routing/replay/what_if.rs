//! What if: the same log under other tables and policies.
//!
//! Each route is asked again by itself, at its own time and on the past that the log has:
//! its session, its audience's state, its facts and decisions are those that were
//! recorded, the engines and rules are the candidate's. So a change shows what the
//! candidate itself would have decided, not what would have come of everything that
//! follows from an earlier change. Behaviour is remembered by the candidate's modeling
//! configuration, and a session holds the scopes that its claims have under the candidate's
//! identity policy. A governor's word to model a route again counts where the route's
//! Routing ID is the one it was given for.
//!
//! INVARIANT (nothing is written): a route is considered up to its evidence and dropped.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use core::num::NonZeroUsize;
use core::ops::Range;

use serde::{Serialize, Serializer};

use super::asked::{Peek, request};
use super::feed::Feed;
use super::past::{Kept, Past};
use super::tape::{Dial, Tape};
use super::{NotReplayable, Progress, ReplayError, Room, Version, over_subjects};
use crate::digest::Digest;
use crate::governance::{GovernanceDecision, Matter, TokenMint};
use crate::id::{LayerId, Name, SubjectId, Subsystem};
use crate::identity::{Session, SessionOpened};
use crate::intent::{Malformed, Submission};
use crate::routing::engines::Engines;
use crate::routing::evidence::{EvidenceBlock, Outcome, StepResult};
use crate::ssot::record::{Record, RecordKind, StreamKind};
use crate::ssot::store::Store;
use crate::verdict::{Reason, Verdict};

/// What a route came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ruling {
    /// The verdict.
    pub verdict: Verdict,
    /// The layer that gave it.
    pub layer: LayerId,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Through which module it is carried out, and what is taken away from it: for people.
    pub how: Box<str>,
}

impl Ruling {
    /// The ruling that evidence shows: of the layer that ended the route, or of Governance
    /// where it let it pass.
    pub fn of(block: &EvidenceBlock) -> Self {
        let stopped = block.trace.iter().rfind(|entry| entry.result == StepResult::Stopped);
        let passed = || block.trace.iter().rfind(|entry| entry.layer == LayerId::Governance);
        let entry = stopped.or_else(passed);
        let mut how = String::new();
        if block.opens_route()
            && let (Some(module), Some(branch)) = (&block.module, &block.branch)
        {
            how = alloc::format!("{module} ({branch})");
            if !block.narrowing.is_empty() {
                let narrowing = &block.narrowing;
                // Writing to a text cannot fail.
                let _written = write!(
                    how,
                    " without {} arguments and {} modules{}",
                    narrowing.drop_arguments.len(),
                    narrowing.exclude_modules.len(),
                    if narrowing.read_only { ", read-only" } else { "" }
                );
            }
        }
        Self {
            verdict: block.verdict,
            layer: entry.map_or(LayerId::Identity, |entry| entry.layer),
            reasons: entry.map(|entry| entry.reasons.clone()).unwrap_or_default(),
            how: how.into(),
        }
    }

    /// Whether two rulings are the same but for the words of their details.
    pub fn agrees(&self, other: &Self) -> bool {
        let why = |ruling: &Self| -> Vec<_> {
            ruling.reasons.iter().map(|reason| (reason.code, reason.rule.clone())).collect()
        };
        (self.verdict, self.layer, &self.how) == (other.verdict, other.layer, &other.how)
            && why(self) == why(other)
    }
}

impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.verdict, self.layer)?;
        for (place, reason) in self.reasons.iter().enumerate() {
            write!(f, "{}{reason}", if place == 0 { ": " } else { "; " })?;
        }
        if !self.how.is_empty() {
            write!(f, ", by {}", self.how)?;
        }
        Ok(())
    }
}

/// A route that would come to something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The place of its evidence in the log.
    pub index: u64,
    /// The digest of its evidence's record.
    pub record: Digest,
    /// Its session.
    pub session: Name,
    /// The kind of intent; none where it was no intent.
    pub kind: Option<Box<str>>,
    /// What it came to.
    pub old: Ruling,
    /// What it would come to.
    pub new: Ruling,
}

/// From a verdict to a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn(pub Verdict, pub Verdict);

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.0, self.1)
    }
}

impl Serialize for Turn {
    fn serialize<T: Serializer>(&self, out: T) -> Result<T::Ok, T::Error> {
        out.collect_str(self)
    }
}

/// How routes of one kind would fare.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Fared {
    /// Those that were asked again.
    pub routes: u64,
    /// Those of them that would come to something else.
    pub changed: u64,
    /// Those that would get another verdict, by what it was and would be. A route that
    /// changes and stands nowhere here keeps its verdict for other reasons.
    pub turns: BTreeMap<Turn, u64>,
}

impl Fared {
    fn take(&mut self, old: &Ruling, new: &Ruling) {
        self.routes = self.routes.saturating_add(1);
        if old.agrees(new) {
            return;
        }
        self.changed = self.changed.saturating_add(1);
        if old.verdict != new.verdict {
            let turn = self.turns.entry(Turn(old.verdict, new.verdict)).or_default();
            *turn = turn.saturating_add(1);
        }
    }

    fn absorb(&mut self, other: Self) {
        self.routes = self.routes.saturating_add(other.routes);
        self.changed = self.changed.saturating_add(other.changed);
        for (turn, more) in other.turns {
            let count = self.turns.entry(turn).or_default();
            *count = count.saturating_add(more);
        }
    }
}

/// What would change. The same for every number of threads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Changes {
    /// All routes.
    pub all: Fared,
    /// By kind of intent; what was none under the empty name.
    pub kinds: BTreeMap<Box<str>, Fared>,
    /// Routes that could not be asked again, by why.
    pub not_replayable: BTreeMap<NotReplayable, u64>,
    /// The first changes in the order of the log, as many as were asked for.
    pub first: BTreeMap<u64, Change>,
}

impl Changes {
    fn keep(&mut self, change: Change, most: usize) {
        self.first.insert(change.index, change);
        while self.first.len() > most {
            let _last = self.first.pop_last();
        }
    }

    fn absorb(&mut self, other: Self, most: usize) {
        self.all.absorb(other.all);
        for (kind, fared) in other.kinds {
            self.kinds.entry(kind).or_default().absorb(fared);
        }
        for (why, more) in other.not_replayable {
            let count = self.not_replayable.entry(why).or_default();
            *count = count.saturating_add(more);
        }
        for change in other.first.into_values() {
            self.keep(change, most);
        }
    }
}

/// The question what a log would be under a candidate.
///
/// ```
/// use prospera::governance::Policy;
/// use prospera::routing::replay::WhatIf;
/// use prospera::testing::world::{Setup, rule};
/// use prospera::verdict::Verdict;
///
/// let world = Setup::sample()?.build()?;
/// let mut desk = world.open("alice", "s-1")?;
/// let intent = world.intent("note.read", "Read my notes.", &[("name", "today".into())])?;
/// let _routed = world.router.route(&mut desk, intent)?;
///
/// // Under a policy that allows nothing:
/// let candidate = || {
///     let mut setup = Setup::sample().unwrap();
///     setup.policy = Policy::new(Default::default()).unwrap();
///     Ok(setup.version().unwrap())
/// };
/// let changes = WhatIf::new(world.router.store(), candidate).run(|_| {})?;
/// let change = changes.first.values().next().unwrap();
/// assert_eq!((change.old.verdict, change.new.verdict), (Verdict::Allow, Verdict::Deny));
/// # Ok::<(), prospera::testing::world::Failure>(())
/// ```
#[must_use = "`run` asks"]
pub struct WhatIf<'a, S: ?Sized, C> {
    store: &'a S,
    candidate: C,
    range: Range<u64>,
    threads: Option<NonZeroUsize>,
    most: usize,
}

impl<S: ?Sized, C> fmt::Debug for WhatIf<'_, S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhatIf").field("range", &self.range).finish_non_exhaustive()
    }
}

/// How many changes are told one by one, where it is not said.
pub const CHANGES_TOLD: usize = 1000;

impl<'a, S, C, E> WhatIf<'a, S, C>
where
    S: Store + Sync + ?Sized,
    C: Fn() -> Result<Version<E>, ReplayError> + Sync,
    E: Engines,
    Kept<E>: Clone,
{
    /// Asks about the whole log. `candidate` makes the engines, once for each thread.
    pub const fn new(store: &'a S, candidate: C) -> Self {
        Self { store, candidate, range: 0..u64::MAX, threads: None, most: CHANGES_TOLD }
    }

    /// Asks about the routes from one place of the log up to another.
    pub const fn range(mut self, range: Range<u64>) -> Self {
        self.range = range;
        self
    }

    /// On so many threads; as many as the machine has, where it is not said.
    pub const fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Tells at most so many changes one by one; all of them are counted.
    pub const fn at_most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// Asks. `progress` is called now and then, from the calling thread.
    ///
    /// # Errors
    /// [`ReplayError`] when the log cannot be read or does not verify, or the candidate
    /// cannot be had.
    pub fn run(self, mut progress: impl FnMut(Progress)) -> Result<Changes, ReplayError> {
        let to = self.range.end.min(self.store.len()?);
        let threads = self.threads.or_else(|| std::thread::available_parallelism().ok());
        let threads = threads.map_or(1, NonZeroUsize::get);
        let parts = over_subjects(self.store, threads, to, &mut progress, |next, told| {
            let (tape, dial) = (Tape::of(self.store), Dial::default());
            let mut room = Room::of((self.candidate)()?, &tape, &dial)?;
            room.router.minting(TokenMint::taking(Digest::ZERO));
            let mut asker = Asker {
                store: self.store,
                from: self.range.start,
                to,
                most: self.most,
                tape: &tape,
                dial: &dial,
                room,
                found: Changes::default(),
            };
            while let Some(subject) = next()? {
                asker.subject(&subject, &mut *told)?;
            }
            Ok(asker.found)
        })?;
        let mut all = Changes::default();
        for part in parts {
            all.absorb(part, self.most);
        }
        Ok(all)
    }
}

/// One worker.
struct Asker<'w, S: ?Sized, E> {
    store: &'w S,
    from: u64,
    to: u64,
    most: usize,
    tape: &'w Tape<'w, S>,
    dial: &'w Dial,
    room: Room<'w, S, E>,
    found: Changes,
}

impl<S, E> Asker<'_, S, E>
where
    S: Store + ?Sized,
    E: Engines,
    Kept<E>: Clone,
{
    fn subject(
        &mut self,
        subject: &SubjectId,
        mut told: impl FnMut(u64),
    ) -> Result<(), ReplayError> {
        let mut feed = Feed::of(self.store, subject, self.to)?;
        let mut past = Past::<Kept<E>>::of(subject.clone());
        // Sessions that would not open, and why.
        let mut shut: BTreeMap<Name, Reason> = BTreeMap::new();
        // What a route moved its audience to stands before its evidence: it is asked first.
        let mut held: Vec<Record> = Vec::new();
        while let Some(record) = feed.next()? {
            told(1);
            if record.stream().kind() == StreamKind::Audience
                && record.source() == Subsystem::Safety
            {
                held.push(record);
                continue;
            }
            if record.kind() == RecordKind::EvidenceBlock && record.index() >= self.from {
                self.ask(&mut past, &shut, &record)?;
            }
            for moved in held.drain(..) {
                followed(&mut past, &moved)?;
            }
            let body = |source| ReplayError::Body { index: record.index(), source };
            match record.stream().kind() {
                StreamKind::Audience => followed(&mut past, &record)?,
                StreamKind::Memory => {
                    past.follow_fact(&record).map_err(super::RouterError::Facts)?;
                }
                StreamKind::Governance => {
                    if let Ok(decision) = record.read::<GovernanceDecision>() {
                        past.follow_decision(&record, decision);
                    }
                }
                StreamKind::Subject => {
                    let opened: SessionOpened = record.read().map_err(body)?;
                    match Session::reopened(&opened, &self.room.identity) {
                        Ok(session) => {
                            let live = past.beginning(&self.room.router);
                            past.seat(session, opened, record.timestamp(), live, 0);
                        }
                        Err(error) => {
                            let name = opened.claims.session.name().clone();
                            let _before = shut.insert(name, error.reason());
                        }
                    }
                }
                StreamKind::Routing => {
                    let keep = feed.more_sessions();
                    if record.kind() == RecordKind::EvidenceBlock {
                        past.follow_evidence(&self.room.router, &record, None, keep);
                    } else if record.kind() == RecordKind::Outcome {
                        let outcome: Outcome = record.read().map_err(body)?;
                        past.follow_outcome(&self.room.router, &record, outcome, None, keep);
                    } else {
                        past.follow_aside(&record);
                    }
                }
                StreamKind::Session if record.kind() == RecordKind::IdentityScored => {
                    self.tape.begin(record.index().saturating_add(1));
                    if let Some(sitting) = past.sittings.get_mut(record.stream().name()) {
                        let doubt = self.room.router.doubt_again(&sitting.desk.session)?;
                        if let Some(live) = &mut sitting.desk.live {
                            live.doubt = doubt;
                        }
                    }
                }
                StreamKind::Session | StreamKind::Policy => {}
            }
            while let Some(ended) = feed.ended(record.index()) {
                past.end(ended.name());
            }
        }
        Ok(())
    }

    /// Asks the candidate about one route.
    fn ask(
        &mut self,
        past: &mut Past<Kept<E>>,
        shut: &BTreeMap<Name, Reason>,
        record: &Record,
    ) -> Result<(), ReplayError> {
        let body = |source| ReplayError::Body { index: record.index(), source };
        let block: EvidenceBlock = record.read().map_err(body)?;
        let session = record.stream().name();
        let old = Ruling::of(&block);
        let new = match shut.get(session) {
            Some(reason) => Ok(Ruling {
                verdict: Verdict::Deny,
                layer: LayerId::Identity,
                reasons: alloc::vec![reason.clone()],
                how: Box::default(),
            }),
            None => self.considered(past, record, &block),
        };
        let new = match new {
            Ok(new) => new,
            Err(why) => {
                let count = self.found.not_replayable.entry(why).or_default();
                *count = count.saturating_add(1);
                return Ok(());
            }
        };
        let kind = block.kind.as_ref().map(|kind| Box::from(kind.as_str()));
        self.found.all.take(&old, &new);
        let of_kind = self.found.kinds.entry(kind.clone().unwrap_or_default());
        of_kind.or_default().take(&old, &new);
        if !old.agrees(&new) {
            let (index, record, session) = (record.index(), record.digest(), session.clone());
            let change = Change { index, record, session, kind, old, new };
            self.found.keep(change, self.most);
        }
        Ok(())
    }

    fn considered(
        &mut self,
        past: &mut Past<Kept<E>>,
        record: &Record,
        block: &EvidenceBlock,
    ) -> Result<Ruling, NotReplayable> {
        let peek = Peek::of(record.body()).map_err(|_| NotReplayable::Unknown)?;
        let submission = self.submission(&peek, record, block)?;
        self.dial.set(block.timestamp, None);
        past.look(record.stream().name());
        let sitting = past.sittings.get_mut(record.stream().name());
        let sitting = sitting.ok_or(NotReplayable::Unknown)?;
        if sitting.desk.live.is_none() {
            self.tape.begin(record.index());
            let live = self.room.router.load_again(&sitting.desk.session);
            sitting.desk.live = Some(live.map_err(|_| NotReplayable::Unknown)?);
        }
        let live = sitting.desk.live.as_mut().ok_or(NotReplayable::Unknown)?;
        // A person's answer was about what the intent says; under another catalogue the
        // same intent has another hash.
        let (asked, now) = (block.intent, submission.digest());
        let answers = live.decisions.len();
        if asked != now {
            let moved = |(record, decision): &(Digest, GovernanceDecision)| {
                let about = matches!(decision.matter(),
                    Matter::Approval { intent, .. } if *intent == asked);
                about.then(|| (*record, decision.about(now)))
            };
            let further: Vec<_> = live.decisions.iter().filter_map(moved).collect();
            live.decisions.extend(further);
        }
        let block = self.room.router.consider_again(&sitting.desk.session, live, submission);
        live.decisions.truncate(answers);
        Ok(Ruling::of(&block))
    }

    fn submission(
        &self,
        peek: &Peek,
        record: &Record,
        block: &EvidenceBlock,
    ) -> Result<Submission, NotReplayable> {
        let Some(objective) = block.objective else { return Ok(peek.malformed(record)) };
        let kept = |digest| self.store.payload(&digest).ok().flatten();
        let both = kept(block.intent).zip(kept(objective));
        let (intent, text) = both.ok_or(NotReplayable::Erased)?;
        let asked = request(&intent, &text, block.salted).map_err(|_| NotReplayable::Unknown)?;
        let (subject, session) = (asked.subject.clone(), asked.session.clone());
        Ok(match self.room.catalogue.intent(asked) {
            Ok(intent) => intent.into(),
            Err(error) => Malformed {
                digest: block.intent,
                subject: Some(subject),
                session: Some(session),
                reason: error.reason(),
            }
            .into(),
        })
    }
}

/// Follows a record of the audience's stream.
fn followed<P: Default + Clone>(past: &mut Past<P>, record: &Record) -> Result<(), ReplayError> {
    past.follow_audience(record).map_err(|error| super::RouterError::Replay(Box::new(error)).into())
}
