//! What the records so far make of one subject: what its next route rests on.
//!
//! A router keeps this for each desk; a replay keeps it for a subject and all of its
//! sessions that have records to come, and follows every record once. Where it cannot be
//! followed (no engines for a while, another modeling configuration) it is read again by the
//! router's own [`load`](crate::routing::Router::resume).

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::audience::any::{AnyAudience, ReplayError as Breaks, Restore};
use crate::digest::Digest;
use crate::governance::{GovernanceDecision, Matter};
use crate::id::{Name, SubjectId};
use crate::identity::{Session, SessionOpened};
use crate::memory::{Facts, FactsError, ShortTerm};
use crate::pipeline::Progress;
use crate::routing::desk::saved::is_usable;
use crate::routing::desk::{Conduct, Desk, Live, OpenRoute};
use crate::routing::engines::Engines;
use crate::routing::evidence::{EvidenceBlock, Outcome};
use crate::routing::router::{Profile, Router};
use crate::ssot::record::{Head, Record};
use crate::ssot::store::Store;
use crate::time::{Clock, Timestamp};
use crate::verdict::Consensus;

/// Ended sessions that are kept: an audience may advance for one of them.
const KEPT: usize = 4;

/// One subject as the records so far make it.
pub(super) struct Past<P> {
    pub(super) restore: Restore,
    pub(super) facts: Facts,
    /// Every decision of Governance, and the head of its stream behind it.
    pub(super) decisions: Vec<(Head, Digest, GovernanceDecision)>,
    /// The time of the audience's first record.
    since: Option<Timestamp>,
    pub(super) sittings: BTreeMap<Name, Sitting<P>>,
    /// What later sessions begin with; `None`: to be read from the log.
    base: Option<Base<P>>,
    order: VecDeque<Name>,
    ended: VecDeque<Name>,
}

/// What the finished routes of all sessions leave for a later one.
struct Base<P> {
    profile: P,
    record: Conduct,
    /// Decisions that routes have used.
    used: BTreeSet<Digest>,
    /// Routes in the order of their evidence, as long as one before them is not finished.
    waiting: VecDeque<Waiting>,
}

/// A route that a later session may have to begin with.
struct Waiting {
    session: Name,
    ended: Option<(Box<EvidenceBlock>, Option<Outcome>)>,
}

/// One session, as its own records and those before its opening make it.
pub(super) struct Sitting<P> {
    pub(super) desk: Desk<P>,
    pub(super) opened: SessionOpened,
    pub(super) opened_at: Timestamp,
    /// The version under whose engines `live` was made.
    pub(super) version: usize,
}

impl<P: Default + Clone> Past<P> {
    pub(super) fn of(subject: SubjectId) -> Self {
        let base = Base {
            profile: P::default(),
            record: Conduct::default(),
            used: BTreeSet::new(),
            waiting: VecDeque::new(),
        };
        Self {
            restore: Restore::new(subject.clone()),
            facts: Facts::of(subject),
            decisions: Vec::new(),
            since: None,
            sittings: BTreeMap::new(),
            base: Some(base),
            order: VecDeque::new(),
            ended: VecDeque::new(),
        }
    }

    /// The audience as it is now.
    pub(super) fn audience(&self) -> AnyAudience {
        self.restore.so_far()
    }

    /// The sessions, the one opened last first.
    pub(super) fn sessions(&self) -> Vec<Name> {
        self.order.iter().rev().cloned().collect()
    }

    /// Nothing can be followed for a while: everything is to be read from the log.
    pub(super) fn lose(&mut self) {
        self.base = None;
        for sitting in self.sittings.values_mut() {
            sitting.desk.live = None;
        }
    }

    /// What later sessions begin with is to be read from the log.
    pub(super) fn lose_base(&mut self) {
        self.base = None;
    }

    /// What a session that is opened now begins with; `None`: to be read from the log.
    pub(super) fn beginning<E, S, C>(&self, router: &Router<E, S, C>) -> Option<Box<Live<P>>>
    where
        E: Engines,
        E::Modeling: crate::modeling::ModelingEngine<Profile = P>,
        S: Store,
        C: Clock,
    {
        let base = self.base.as_ref()?;
        let mut live = Box::new(Live {
            audience: self.audience(),
            profile: base.profile.clone(),
            facts: self.facts.clone(),
            short_term: ShortTerm::default(),
            history: BTreeMap::new(),
            standing: Consensus::NONE,
            progress: Progress::new(),
            decisions: Vec::new(),
            routing: Head::EMPTY,
            governance: Head::EMPTY,
            open: None,
            record: base.record,
            since: self.since,
            torn: false,
            doubt: None,
            key: None,
            key_is_new: false,
        });
        take_decisions(&self.decisions, &mut live);
        live.decisions.retain(|(record, _)| !base.used.contains(record));
        for route in &base.waiting {
            if let Some((block, outcome)) = &route.ended {
                router.earlier_again(&mut live, block, outcome.as_ref());
            } else {
                let sitting = self.sittings.get(&route.session)?;
                let open = sitting.desk.live.as_ref()?.open.as_ref()?;
                router.earlier_again(&mut live, &open.block, None);
            }
        }
        Some(live)
    }

    /// Seats a session.
    pub(super) fn seat(
        &mut self,
        session: Session,
        opened: SessionOpened,
        opened_at: Timestamp,
        live: Option<Box<Live<P>>>,
        version: usize,
    ) {
        let name = session.id().name().clone();
        let streams = crate::routing::desk::Streams::of(session.id(), session.subject());
        let desk = Desk { session, streams, pads: crate::routing::desk::Pads::default(), live };
        self.order.push_back(name.clone());
        self.sittings.insert(name, Sitting { desk, opened, opened_at, version });
    }

    /// A session has no more routes: it is forgotten, but for the last few.
    pub(super) fn end(&mut self, session: &Name) {
        if let Some(base) = &mut self.base
            && let Some(waiting) =
                base.waiting.iter_mut().find(|w| w.session == *session && w.ended.is_none())
        {
            let live = self.sittings.get(session).and_then(|s| s.desk.live.as_ref());
            match live.and_then(|live| live.open.as_ref()) {
                Some(open) => waiting.ended = Some((Box::new(open.block.clone()), None)),
                None => self.base = None,
            }
        }
        self.ended.push_back(session.clone());
        if self.ended.len() > KEPT
            && let Some(oldest) = self.ended.pop_front()
        {
            self.sittings.remove(&oldest);
            self.order.retain(|name| *name != oldest);
        }
    }

    /// Follows a record of the audience's stream.
    pub(super) fn follow_audience(&mut self, record: &Record) -> Result<(), Breaks> {
        self.restore.push(record)?;
        self.since = self.since.or(Some(record.timestamp()));
        for sitting in self.sittings.values_mut() {
            let Some(live) = &mut sitting.desk.live else { continue };
            if live.audience.head() != record.head() {
                live.since = self.since;
                live.audience = self.restore.so_far();
            }
        }
        Ok(())
    }

    /// Follows a fact.
    pub(super) fn follow_fact(&mut self, record: &Record) -> Result<(), FactsError> {
        self.facts.apply(record)?;
        for sitting in self.sittings.values_mut() {
            if let Some(live) = &mut sitting.desk.live {
                live.facts.apply(record)?;
            }
        }
        Ok(())
    }

    /// Follows a decision of Governance. A desk learns of it when it looks.
    pub(super) fn follow_decision(&mut self, record: &Record, decision: GovernanceDecision) {
        self.decisions.push((record.head(), record.digest(), decision));
    }

    /// A desk looks at what Governance has decided so far, as a route of it does.
    pub(super) fn look(&mut self, session: &Name) {
        let live = self.sittings.get_mut(session).and_then(|s| s.desk.live.as_mut());
        if let Some(live) = live {
            take_decisions(&self.decisions, live);
        }
    }

    /// Follows a record of a session's stream that is no route: a snapshot, a conflict.
    pub(super) fn follow_aside(&mut self, record: &Record) {
        let sitting = self.sittings.get_mut(record.stream().name());
        if let Some(live) = sitting.and_then(|sitting| sitting.desk.live.as_mut())
            && live.routing.length() < record.head().length()
        {
            live.routing = record.head();
        }
    }

    /// Follows the evidence of a session's route. `ended`: the block, where the route was
    /// derived and is in the desk already; otherwise it is read and taken in here.
    pub(super) fn follow_evidence<E, S, C>(
        &mut self,
        router: &Router<E, S, C>,
        record: &Record,
        derived: Option<Box<EvidenceBlock>>,
        keep: bool,
    ) where
        E: Engines,
        E::Modeling: crate::modeling::ModelingEngine<Profile = P>,
        S: Store,
        C: Clock,
    {
        let name = record.stream().name();
        let Some(live) = self.sittings.get_mut(name).and_then(|s| s.desk.live.as_mut()) else {
            // Of a session that is not followed: later ones read what it left.
            self.base = None;
            return;
        };
        let mut block = derived;
        if live.routing.length() < record.head().length() {
            live.routing = record.head();
            if let Some(left) = live.open.take() {
                // It was left open, and another began: as reading it again would take it.
                router.own_again(live, &left.block, None);
            }
            let Ok(read) = record.read::<EvidenceBlock>() else {
                self.lose();
                return;
            };
            if read.opens_route() {
                live.open = Some(OpenRoute { evidence: record.digest(), block: read });
            } else {
                router.own_again(live, &read, None);
                block = Some(Box::new(read));
            }
        }
        if let Some(sitting) = self.sittings.get_mut(name) {
            sitting.desk.session.saw(record.timestamp());
        }
        if let Some(base) = self.base.as_mut().filter(|_| keep) {
            let ended = block.map(|block| (block, None));
            base.waiting.push_back(Waiting { session: name.clone(), ended });
            self.settle(router);
        }
    }

    /// Follows the outcome of a session's open route: as [`Past::follow_evidence`].
    pub(super) fn follow_outcome<E, S, C>(
        &mut self,
        router: &Router<E, S, C>,
        record: &Record,
        outcome: Outcome,
        derived: Option<EvidenceBlock>,
        keep: bool,
    ) where
        E: Engines,
        E::Modeling: crate::modeling::ModelingEngine<Profile = P>,
        S: Store,
        C: Clock,
    {
        let name = record.stream().name();
        let Some(live) = self.sittings.get_mut(name).and_then(|s| s.desk.live.as_mut()) else {
            self.base = None;
            return;
        };
        let mut block = derived;
        if live.routing.length() < record.head().length() {
            live.routing = record.head();
            if let Some(open) = live.open.take() {
                router.own_again(live, &open.block, Some(&outcome));
                block = Some(open.block);
            }
        }
        let Some(base) = self.base.as_mut().filter(|_| keep) else { return };
        let waiting = base.waiting.iter_mut().rfind(|w| w.session == *name && w.ended.is_none());
        if let Some((waiting, block)) = waiting.zip(block) {
            waiting.ended = Some((Box::new(block), Some(outcome)));
            self.settle(router);
        }
    }

    /// Takes in what is finished, in the order of the evidence.
    fn settle<E, S, C>(&mut self, router: &Router<E, S, C>)
    where
        E: Engines,
        E::Modeling: crate::modeling::ModelingEngine<Profile = P>,
        S: Store,
        C: Clock,
    {
        let Some(base) = &mut self.base else { return };
        while base.waiting.front().is_some_and(|waiting| waiting.ended.is_some()) {
            let Some((block, outcome)) = base.waiting.pop_front().and_then(|w| w.ended) else {
                return;
            };
            let (profile, record) = (&mut base.profile, &mut base.record);
            router.learn_again(profile, record, &block, outcome.as_ref());
            base.used.extend(block.approval.into_iter().chain(block.backtrack));
        }
    }
}

/// Takes the decisions into a desk that it has not seen yet and that a route can use.
fn take_decisions<P>(decisions: &[(Head, Digest, GovernanceDecision)], live: &mut Live<P>) {
    let seen = usize::try_from(live.governance.length()).unwrap_or(usize::MAX);
    for (head, record, decision) in decisions.iter().skip(seen) {
        live.governance = *head;
        if decision.granted() && matches!(decision.matter(), Matter::HoldRelease { .. }) {
            // Somebody looked, and released the subject.
            live.doubt = None;
        }
        if is_usable(*record, decision) {
            live.decisions.push((*record, decision.clone()));
        }
    }
}

/// The profile that a router's engines keep.
pub(super) type Kept<E> = Profile<E>;
