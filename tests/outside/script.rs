//! A working day of one session, and somebody who carries it on after a fault.
//!
//! Whoever plays knows only what an integrator knows: the typed error, and the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prospera::audience::state::State;
use prospera::audience::table::Way;
use prospera::digest::Digest;
use prospera::execution::ModuleError;
use prospera::id::SubjectId;
use prospera::identity::Session;
use prospera::intent::Submission;
use prospera::routing::{EvidenceBlock, Outcome, OutcomeStatus, RouterError};
use prospera::ssot::record::{Head, RecordKind, StreamId, StreamKind};
use prospera::ssot::store::{Store, StoreError};
use prospera::ssot::verify::{verify, verify_stream};
use prospera::time::FixedClock;
use prospera::verdict::Verdict;

use crate::world::{START, TestDesk, TestRouter, World, fact, name, records, sid};

/// One thing that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The policy is pinned, the session opened.
    Open,
    Remember,
    /// An intent is routed to this verdict.
    Route(&'static str, usize, Verdict),
    /// The same, and the module cannot say how it ended.
    Unknowable(&'static str, usize),
    /// A manager approves an intent that was stepped up.
    Approve(&'static str, usize),
    /// A transition that no table has.
    Prohibited,
    Review,
    Release,
    Suspend,
    Settle,
}

use Step::{
    Approve, Open, Prohibited, Release, Remember, Review, Route, Settle, Suspend, Unknowable,
};

/// Every verdict, and every way an audience moves.
pub(crate) const DAY: &[Step] = &[
    Open,
    Remember,
    Route("note.add", 1, Verdict::Allow),
    Route("note.share", 1, Verdict::Modify),
    Route("note.refused", 1, Verdict::Deny),
    Route("mail.send", 1, Verdict::StepUp),
    Approve("mail.send", 1),
    Route("mail.send", 1, Verdict::Allow),
    Route("mail.wait", 1, Verdict::Defer),
    Unknowable("note.add", 2),
    Settle,
    Prohibited,
    Suspend,
    Route("note.read", 1, Verdict::Defer),
    Release,
    Route("note.add", 3, Verdict::Allow),
    Route("leak.all", 1, Verdict::Deny),
    Review,
];

/// The shortest day with an effect, a denial and a move.
pub(crate) const SHORT: &[Step] =
    &[Open, Route("note.add", 1, Verdict::Allow), Route("note.refused", 1, Verdict::Deny), Suspend];

/// How it goes on after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// With the same router and desk.
    InPlace,
    /// With new ones, over the store opened again.
    Restart,
}

pub(crate) type Opening<'a, S> = Box<dyn Fn() -> Result<S, StoreError> + 'a>;

pub(crate) struct Play<'a, S: Store> {
    pub(crate) world: World,
    opening: Opening<'a, S>,
    router: Option<TestRouter<S>>,
    pub(crate) desk: Option<TestDesk>,
    governor: Session,
    /// Opened while the clock was right.
    alice: Option<Session>,
    after: After,
}

pub(crate) fn alice() -> SubjectId {
    "alice".parse().unwrap()
}

impl<'a, S: Store> Play<'a, S> {
    /// The day has not begun. The effects and the clock are the play's own.
    pub(crate) fn new(world: &World, after: After, opening: Opening<'a, S>) -> Self {
        let clock: &'static FixedClock = Box::leak(Box::new(FixedClock::new(START)));
        let world = World { clock, effects: Arc::default(), ..world.clone() };
        let (governor, alice) = (world.governor(), Some(world.alice("s-1")));
        Self { world, opening, router: None, desk: None, governor, alice, after }
    }

    pub(crate) fn router(&self) -> &TestRouter<S> {
        self.router.as_ref().unwrap()
    }

    pub(crate) fn store(&self) -> &S {
        self.router().store()
    }

    pub(crate) fn submission(&self, kind: &str, number: usize) -> Submission {
        self.world.numbered("s-1", kind, number)
    }

    /// Plays steps in which nothing goes wrong.
    pub(crate) fn all(&mut self, steps: &[Step]) {
        for step in steps {
            self.step(*step).unwrap_or_else(|error| panic!("{step:?}: {error}"));
        }
    }

    pub(crate) fn step(&mut self, step: Step) -> Result<(), RouterError> {
        if step == Open {
            return self.open();
        }
        let router = self.router.as_ref().unwrap();
        let desk = self.desk.as_mut().unwrap();
        match step {
            Open => {}
            Remember => {
                router.remember(desk, fact("shop", "north"))?;
            }
            Route(kind, number, verdict) => {
                let submission = self.world.numbered("s-1", kind, number);
                let routed = router.route(desk, submission)?;
                assert_eq!(routed.verdict, verdict, "{kind}: {:?}", routed.evidence.trace);
            }
            Unknowable(kind, number) => {
                let submission = self.world.numbered("s-1", kind, number);
                let unknown = ModuleError::Unknown("the line went dead".into());
                *self.world.effects.fail.lock().unwrap() = Some(unknown);
                let routed = router.route(desk, submission);
                *self.world.effects.fail.lock().unwrap() = None;
                assert_eq!(routed?.outcome.unwrap().status, OutcomeStatus::Unknown);
            }
            Approve(kind, number) => {
                let intent = self.world.numbered("s-1", kind, number).digest();
                let record = blocks(router.store())?
                    .iter()
                    .rfind(|(_, block)| block.intent == intent && block.verdict == Verdict::StepUp)
                    .map(|(record, _)| *record)
                    .unwrap();
                router.approve(&self.governor, &sid("s-1"), record, true, "")?;
            }
            Prohibited => match router.request(desk, State::Init, Way::Advance) {
                Err(RouterError::Refused { .. }) => {}
                Err(other) => return Err(other),
                Ok(edge) => panic!("{edge:?} is no edge"),
            },
            Review => {
                if router.audience(&alice())?.state() == State::Escalated {
                    router.review(&self.governor, &alice(), "")?;
                }
            }
            Release => {
                if router.audience(&alice())?.state() == State::Hold {
                    router.release(&self.governor, &alice(), State::Base, "")?;
                }
            }
            Suspend => {
                if router.audience(&alice())?.state() != State::Hold {
                    let doubt = prospera::audience::causes::HoldTrigger::ALL[0];
                    assert_eq!(router.suspend(&alice(), doubt)?, State::Hold);
                }
            }
            Settle => {
                router.settle(desk)?;
            }
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), RouterError> {
        if self.router.is_none() {
            self.router = Some(self.world.try_router((self.opening)()?)?);
        }
        let router = self.router.as_ref().unwrap();
        if self.desk.is_none() {
            let stream = StreamId::new(StreamKind::Session, name("s-1"));
            let new = router.store().head(&stream)? == Head::EMPTY;
            self.desk = Some(if new {
                let alice = self.alice.take().unwrap_or_else(|| self.world.alice("s-1"));
                router.open(alice)?
            } else {
                router.resume(self.resumed(router.store())?)?
            });
        }
        Ok(())
    }

    fn resumed(&self, store: &S) -> Result<Session, RouterError> {
        let records = verify_stream(store, &StreamId::new(StreamKind::Session, name("s-1")))?;
        let (now, policy) = (self.world.now(), self.world.identity());
        Ok(Session::resume(&sid("s-1"), &records, now, &policy).unwrap())
    }

    /// After a fault in `step`: what must hold, then the step once more where the log
    /// says that it was not done.
    pub(crate) fn recover(&mut self, step: Step) {
        if self.after == After::Restart {
            self.restart();
        }
        self.step(Open).unwrap();
        self.check(true);
        let (router, desk) = (self.router.as_ref().unwrap(), self.desk.as_mut().unwrap());
        router.settle(desk).unwrap();
        self.check(false);
        self.same();
        if self.done(step) {
            return;
        }
        let again: &[Step] = match step {
            // The approval was used by a route that, as is known now, had no effect.
            Route("mail.send", 1, Verdict::Allow) if self.spent() => {
                &[Route("mail.send", 1, Verdict::StepUp), Approve("mail.send", 1)]
            }
            _ => &[],
        };
        self.all(again);
        self.step(step).unwrap_or_else(|error| panic!("{step:?} again: {error}"));
    }

    /// Whether a router was ever made: the policy is in the log, then.
    pub(crate) fn begun(&self) -> bool {
        self.router.is_some()
    }

    /// Ends the process, as far as a test can.
    pub(crate) fn restart(&mut self) {
        self.desk = None;
        self.router = None;
    }

    /// Whether the approval of the mail was used.
    fn spent(&self) -> bool {
        blocks(self.store()).unwrap().iter().any(|(_, block)| block.approval.is_some())
    }

    /// Whether the log says that a step was done.
    fn done(&self, step: Step) -> bool {
        match step {
            Remember => {
                let facts = self.desk.as_ref().unwrap().facts().unwrap();
                facts.version(&"shop".parse().unwrap()).is_some()
            }
            Route(kind, number, verdict) => self.ended(kind, number, verdict),
            Unknowable(kind, number) => self.ended(kind, number, Verdict::Allow),
            _ => false,
        }
    }

    fn ended(&self, kind: &str, number: usize, verdict: Verdict) -> bool {
        let intent = self.submission(kind, number).digest();
        let outcomes = outcomes(self.store());
        blocks(self.store()).unwrap().iter().any(|(record, block)| {
            let effect = outcomes.get(record).is_none_or(|o| o.status != OutcomeStatus::Failed);
            block.intent == intent && block.verdict == verdict && effect
        })
    }

    /// Every run has durable evidence that let it pass, none ran twice, no intent was
    /// executed twice, every outcome has its evidence, and the log verifies.
    pub(crate) fn check(&self, open: bool) {
        verify(self.store(), |_| {}).unwrap();
        let evidence: BTreeMap<Digest, EvidenceBlock> =
            blocks(self.store()).unwrap().into_iter().collect();
        let (mut keys, mut intents) = (BTreeSet::new(), BTreeSet::new());
        for run in self.world.effects.runs.lock().unwrap().iter() {
            let Some(block) = evidence.get(&run.key.digest()) else {
                panic!("a run without durable evidence: {run:?}");
            };
            assert!(block.opens_route(), "{run:?}: {:?}", block.verdict);
            assert!(keys.insert(run.key.digest()), "twice: {run:?}");
            assert!(intents.insert(block.intent), "an intent twice: {run:?}");
        }
        let outcomes = outcomes(self.store());
        let opened = evidence.iter().filter(|(_, block)| block.opens_route());
        let unended = opened.filter(|(record, _)| !outcomes.contains_key(record)).count();
        assert!(unended <= usize::from(open), "{unended} routes without an outcome");
        for record in outcomes.keys() {
            assert!(evidence[record].opens_route());
        }
    }

    /// The desk knows what a replay of the log says.
    pub(crate) fn same(&self) {
        let (router, desk) = (self.router(), self.desk.as_ref().unwrap());
        assert_eq!(desk.state(), Some(router.audience(&alice()).unwrap().state()));
        let fresh = router.resume(self.resumed(router.store()).unwrap()).unwrap();
        assert_eq!(desk.facts(), fresh.facts());
        assert_eq!(desk.snapshot(), fresh.snapshot());
        assert_eq!(desk.context(), fresh.context());
        assert_eq!(desk.progress(), fresh.progress());
        assert!(desk.open_route().is_none() && fresh.open_route().is_none());
    }

    /// At the end of the day: every intent that was let pass was executed once.
    pub(crate) fn ends(&self, steps: &[Step]) {
        self.check(false);
        let evidence: BTreeMap<Digest, EvidenceBlock> =
            blocks(self.store()).unwrap().into_iter().collect();
        let runs = self.world.effects.runs.lock().unwrap();
        let mut ran: Vec<Digest> =
            runs.iter().map(|run| evidence[&run.key.digest()].intent).collect();
        let mut due: Vec<Digest> = (steps.iter())
            .filter_map(|step| match step {
                Route(kind, number, Verdict::Allow | Verdict::Modify)
                | Unknowable(kind, number) => Some(self.submission(kind, *number).digest()),
                _ => None,
            })
            .collect();
        ran.sort_unstable();
        due.sort_unstable();
        assert_eq!(ran, due);
        if steps.contains(&Suspend) {
            assert_eq!(self.router().audience(&alice()).unwrap().state(), State::Hold);
        }
    }
}

/// The evidence blocks of a log, with the digests of their records, in order.
pub(crate) fn blocks<S: Store>(store: &S) -> Result<Vec<(Digest, EvidenceBlock)>, RouterError> {
    let stream = StreamId::new(StreamKind::Routing, name("s-1"));
    let all = verify_stream(store, &stream)?;
    let blocks = all.iter().filter(|record| record.kind() == RecordKind::EvidenceBlock);
    Ok(blocks.map(|record| (record.digest(), record.read().unwrap())).collect())
}

/// The outcomes of a log by their evidence; never two for one.
pub(crate) fn outcomes<S: Store>(store: &S) -> BTreeMap<Digest, Outcome> {
    let mut found = BTreeMap::new();
    for record in records(store).iter().filter(|r| r.kind() == RecordKind::Outcome) {
        let outcome: Outcome = record.read().unwrap();
        assert!(found.insert(outcome.evidence, outcome).is_none(), "two outcomes of one route");
    }
    found
}
