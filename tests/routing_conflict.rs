//! What came between a route's decision and its commit: classified, recorded in front of the
//! evidence that was decided again, and held against whom it concerns.
//!
//! Requirements: PLAN-8.4, ASM2-8.4, IRM-5.1, IRM-5.4, D-51.
#![cfg(feature = "files")]
#![expect(
    clippy::unwrap_used,
    clippy::similar_names,
    reason = "the helpers of tests, too, may end a test; a router has routed"
)]

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;

use faulty::{Fault, FaultyStore};
use prospera::audience::causes::HoldTrigger;
use prospera::audience::lineage::{Cause, LineageEvent};
use prospera::audience::state::State;
use prospera::digest::Digest;
use prospera::encode::{Decode as _, Encode as _};
use prospera::governance::GovernanceDecision;
use prospera::id::{SubjectId, Subsystem};
use prospera::identity::SessionOpened;
use prospera::memory::{FactRecord, NewFact};
use prospera::provenance::Label;
use prospera::routing::{Outcome, OutcomeStatus, RouterError};
use prospera::ssot::conflict::{
    Class, ConflictCause, ConflictDetected, came_between, classify, classify_with,
};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::Head;
use prospera::ssot::record::{Draft, Record, RecordKind, StreamId, StreamKind};
use prospera::ssot::store::{AppendError, Batch, Committed, Durability, Store, StoreError, Stored};
use prospera::ssot::verify::verify;
use prospera::verdict::{ReasonCode, Verdict};
use world::{TestDesk, TestRouter, World, fact, name, operator, records, why};

fn open() -> (World, FaultyStore, TestRouter<FaultyStore>, TestDesk) {
    let (world, store) = (World::new(), FaultyStore::default());
    let router = world.router(store.clone());
    let desk = router.open(world.alice("s-1")).unwrap();
    (world, store, router, desk)
}

fn conflicts<S: Store + ?Sized>(store: &S) -> Vec<(Record, ConflictDetected)> {
    let all = records(store).into_iter();
    let of_kind = all.filter(|record| record.kind() == RecordKind::ConflictDetected);
    of_kind.map(|record| (record.clone(), record.read().unwrap())).collect()
}

fn alice() -> SubjectId {
    "alice".parse().unwrap()
}

fn fact_draft(desk: &TestDesk, new: NewFact) -> Draft {
    desk.facts().unwrap().record(new).draft(&alice())
}

/// A fact that the intent does not rely on: it halts and is decided again, and what came is on
/// record in front of the evidence, in the same commit.
#[test]
fn what_commutes_is_recorded_and_is_no_cause() {
    let (world, store, router, mut desk) = open();
    store.next(Fault::Overtake(vec![fact_draft(&desk, fact("shop", "north"))]));
    let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    assert_eq!(routed.verdict, Verdict::Allow);
    let found = conflicts(&store);
    assert_eq!(found.len(), 1);
    let (record, conflict) = &found[0];
    assert_eq!(record.index() + 1, routed.index, "in front of the evidence");
    assert_eq!(record.stream().kind(), StreamKind::Routing);
    assert_eq!((conflict.found.class, conflict.cause), (Class::Commuting, None));
    assert_eq!(conflict.found.findings.len(), 1);
    assert_eq!(conflict.found.findings[0].kind, RecordKind::Fact);
    assert_eq!(conflict.read.len(), 5, "the read set of a route");
    assert_eq!(desk.state(), Some(State::Verified));
    // Said once.
    let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    assert_eq!(routed.verdict, Verdict::Allow);
    assert_eq!(conflicts(&store).len(), 1);
    verify(&store, |_| {}).unwrap();
    // Who takes the session up again reads over it.
    let again = router.resume(world.resumed(&store, "s-1")).unwrap();
    assert_eq!(again.progress(), desk.progress());
}

/// IRM-5.4: the fact that the intent relies on is another now. The route stays blocked until
/// that is corrected, and the record says why.
#[test]
fn irm_5_4_a_fact_that_moved_is_memory_context_drift() {
    let (world, store, router, mut desk) = open();
    router.remember(&mut desk, fact("shop", "north")).unwrap();
    let submission = world.reading(&desk, "s-1", "note.add", "shop", 1);
    store.next(Fault::Overtake(vec![fact_draft(&desk, fact("shop", "south"))]));
    let routed = router.route(&mut desk, submission).unwrap();
    assert_eq!(routed.verdict, Verdict::Defer);
    assert!(why(&routed.evidence).contains(&ReasonCode::MemoryStale));
    let found = conflicts(&store);
    assert_eq!(found.len(), 1);
    let conflict = &found[0].1;
    assert_eq!(conflict.found.class, Class::Conflicting);
    assert_eq!(conflict.cause, Some(ConflictCause::MemoryContextDrift));
    assert_eq!(world.effects.count(), 0);
    let same = world.reading(&desk, "s-1", "note.add", "shop", 1);
    assert_eq!(router.route(&mut desk, same).unwrap().verdict, Verdict::Defer, "still blocked");
    let corrected = world.reading(&desk, "s-1", "note.add", "shop", 2);
    assert_eq!(router.route(&mut desk, corrected).unwrap().verdict, Verdict::Allow);
}

/// Safety would escalate the audience while somebody suspends it: two subsystems say different
/// things about one audience at once.
#[test]
fn two_moves_of_one_audience_are_a_subsystem_conflict() {
    let path = |to: &[(State, State, Cause)]| -> Vec<Draft> {
        let stream = StreamId::new(StreamKind::Audience, name("alice"));
        to.iter()
            .map(|(from, to, cause)| {
                let event = LineageEvent::new(*from, *to, cause.clone()).unwrap();
                let (kind, body) = (RecordKind::AudienceEvent, event.to_canonical());
                Draft::new(stream.clone(), kind, Subsystem::Governance, body)
            })
            .collect()
    };
    let step = (State::Verified, State::Base, Cause::StepBack);
    let (world, store, router, mut desk) = open();
    store.next(Fault::Overtake(path(&[step])));
    let routed = router.route(&mut desk, world.intent("s-1", "leak.all")).unwrap();
    assert_ne!(routed.verdict, Verdict::Allow);
    let found = conflicts(&store);
    assert_eq!(found.len(), 1);
    let moved = routed.moved.is_some();
    let expected = moved.then_some(ConflictCause::SubsystemConflict);
    assert_eq!(found[0].1.cause, expected, "{:?}", routed.moved);
    assert!(moved, "the route moves the audience: {:?}", desk.state());
    // A route that moves nobody has nobody to contradict.
    let (world, store, router, mut desk) = open();
    let step = (State::Verified, State::Base, Cause::StepBack);
    store.next(Fault::Overtake(path(&[step])));
    let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    let found = conflicts(&store);
    assert_eq!((found.len(), found[0].1.cause), (1, None));
    assert_eq!(found[0].1.found.class, Class::Conflicting);
    assert_eq!(routed.evidence.state, State::Base, "decided again, on where it is now");
}

/// ASM2-8.4: this process says the effect took place, the log says it failed. The next thing the
/// session does records both and suspends the audience.
#[test]
fn asm2_8_4_two_outcomes_of_one_route_suspend() {
    // What the evidence will be is known: the same clock, the same log, the same bytes.
    let (world, store, router, mut desk) = open();
    let evidence = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap().record;
    drop((store, router));
    let (world, store, router, mut desk) = open();
    let failed = Outcome {
        evidence,
        status: OutcomeStatus::Failed,
        output: None,
        label: Label::empty(),
        reasons: Vec::new(),
        salted: false,
    };
    let stream = StreamId::new(StreamKind::Routing, name("s-1"));
    let (kind, body) = (RecordKind::Outcome, failed.to_canonical());
    let draft = Draft::new(stream, kind, Subsystem::Execution, body);
    store.on_append(2, Fault::Overtake(vec![draft]));
    let error = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap_err();
    assert!(matches!(error, RouterError::OutcomeNotRecorded { .. }), "{error}");
    assert_eq!(world.effects.count(), 1);
    let routed = router.route(&mut desk, world.numbered("s-1", "note.add", 2)).unwrap();
    assert_eq!(routed.verdict, Verdict::Defer);
    assert_eq!(routed.moved, Some((State::Verified, State::Hold)));
    let found = conflicts(&store);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1.cause, Some(ConflictCause::SubsystemConflict));
    assert_eq!(found[0].1.found.findings[0].record, {
        let all = records(&store);
        all.iter().find(|record| record.kind() == RecordKind::Outcome).unwrap().digest()
    });
    let events = records(&store).into_iter().filter(|r| r.kind() == RecordKind::AudienceEvent);
    let last: LineageEvent = events.last().unwrap().read().unwrap();
    assert_eq!(*last.cause(), Cause::Hold(HoldTrigger::SubsystemConflict));
    assert_eq!(world.effects.count(), 1, "nothing more was done");
}

/// The same outcome twice is no contradiction.
#[test]
fn an_outcome_that_is_there_already_is_no_cause() {
    let (world, store, router, mut desk) = open();
    let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    let outcome = routed.outcome.unwrap();
    drop((store, router));
    let (world, store, router, mut desk) = open();
    let stream = StreamId::new(StreamKind::Routing, name("s-1"));
    let (kind, body) = (RecordKind::Outcome, outcome.to_canonical());
    let draft = Draft::new(stream, kind, Subsystem::Execution, body);
    store.on_append(2, Fault::Overtake(vec![draft]));
    let error = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap_err();
    assert!(matches!(error, RouterError::OutcomeNotRecorded { .. }), "{error}");
    let routed = router.route(&mut desk, world.numbered("s-1", "note.add", 2)).unwrap();
    assert_eq!(routed.verdict, Verdict::Allow);
    let found = conflicts(&store);
    assert_eq!((found[0].1.found.class, found[0].1.cause), (Class::Same, None));
}

/// D-51: desks of one session that meet are told so, and nobody is suspended for it.
#[test]
fn d_51_two_desks_of_one_session_meet() {
    let world = World::new();
    let router = world.router(MemoryStore::new());
    let mut first = router.open(world.alice("s-1")).unwrap();
    let mut second = router.resume(world.resumed(router.store(), "s-1")).unwrap();
    let routed = router.route(&mut first, world.numbered("s-1", "note.add", 1)).unwrap();
    assert_eq!(routed.verdict, Verdict::Allow);
    let routed = router.route(&mut second, world.numbered("s-1", "note.add", 2)).unwrap();
    assert_eq!(routed.verdict, Verdict::Allow);
    let found = conflicts(router.store());
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].1.found.class, found[0].1.cause), (Class::Conflicting, None));
    let kinds: Vec<_> = found[0].1.found.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [RecordKind::EvidenceBlock, RecordKind::Outcome]);
    assert_eq!(second.state(), Some(State::Verified));
    // In many threads at once, too: every intent once, the log sound, nobody suspended.
    thread::scope(|scope| {
        for number in 10..18 {
            let (router, world) = (&router, &world);
            scope.spawn(move || {
                let mut desk = router.resume(world.resumed(router.store(), "s-1")).unwrap();
                loop {
                    match router.route(&mut desk, world.numbered("s-1", "note.add", number)) {
                        Ok(routed) => break assert_eq!(routed.verdict, Verdict::Allow),
                        Err(RouterError::Parallel { .. } | RouterError::Contended { .. }) => {
                            thread::yield_now();
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            });
        }
    });
    assert_eq!(world.effects.count(), 10);
    assert!(conflicts(router.store()).iter().all(|(_, conflict)| conflict.cause.is_none()));
    verify(router.store(), |_| {}).unwrap();
    let desk = router.resume(world.resumed(router.store(), "s-1")).unwrap();
    assert_eq!(desk.state(), Some(State::Verified));
}

/// Where nothing comes between, nothing is read, written or said.
#[test]
fn a_commit_that_is_not_refused_says_nothing() {
    let (world, store, router, mut desk) = open();
    for number in 0..5 {
        let routed = router.route(&mut desk, world.numbered("s-1", "note.add", number)).unwrap();
        assert_eq!(routed.verdict, Verdict::Allow);
    }
    assert!(conflicts(&store).is_empty());
}

/// A store that keeps the batches it was given.
#[derive(Debug, Default)]
struct Recording {
    store: MemoryStore,
    batches: Mutex<Vec<Batch>>,
}

impl Store for Recording {
    fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
        let committed = self.store.append(batch)?;
        self.batches.lock().unwrap().push(batch.clone());
        Ok(committed)
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        self.store.head(stream)
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.store.len()
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.store.read(from, limit)
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.store.read_stream(stream, from, limit)
    }

    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        self.store.streams(after, limit)
    }

    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        self.store.payload(digest)
    }

    fn durability(&self) -> Durability {
        Durability::Volatile
    }
}

/// The same drafts at the end of another log, whatever heads it has.
fn replant<S: Store>(store: &S, batches: &[Batch]) {
    for batch in batches {
        let mut again = Batch::new(batch.timestamp());
        let mut streams: Vec<&StreamId> = batch.drafts().iter().map(Draft::stream).collect();
        streams.sort();
        streams.dedup();
        for stream in streams {
            again.push_expected(stream.clone(), store.head(stream).unwrap());
        }
        for draft in batch.drafts() {
            again.push_draft(draft.clone());
        }
        for (digest, bytes) in batch.payloads() {
            again.push_payload(*digest, Arc::clone(bytes));
        }
        store.append(&again).unwrap();
    }
}

type Act = fn(&World, &TestRouter<Arc<Recording>>);

/// What people and programs do to one subject at the same time.
const ACTS: [(&str, Act); 9] = [
    ("route", |world, router| {
        let mut desk = router.resume(world.resumed(router.store(), "s-1")).unwrap();
        let _ = router.route(&mut desk, world.numbered("s-1", "note.add", 7)).unwrap();
    }),
    ("refused", |world, router| {
        let mut desk = router.resume(world.resumed(router.store(), "s-1")).unwrap();
        let _ = router.route(&mut desk, world.intent("s-1", "note.refused")).unwrap();
    }),
    ("shop", |world, router| {
        let mut desk = router.resume(world.resumed(router.store(), "s-1")).unwrap();
        router.remember(&mut desk, fact("shop", "north")).unwrap();
    }),
    ("baker", |world, router| {
        let mut desk = router.resume(world.resumed(router.store(), "s-1")).unwrap();
        router.remember(&mut desk, fact("baker", "east")).unwrap();
    }),
    ("shop again", |world, router| {
        let mut desk = router.resume(world.resumed(router.store(), "s-1")).unwrap();
        router.remember(&mut desk, fact("shop", "south")).unwrap();
    }),
    ("suspend", |_, router| {
        let _ = router.suspend(&alice(), HoldTrigger::GovernanceFlag).unwrap();
    }),
    ("open s-2", |world, router| {
        let _ = router.open(world.alice("s-2")).unwrap();
    }),
    ("open s-3", |world, router| {
        let _ = router.open(world.alice("s-3")).unwrap();
    }),
    ("escalate", |world, router| {
        let mut desk = router.resume(world.resumed(router.store(), "s-1")).unwrap();
        let _ = router.route(&mut desk, world.intent("s-1", "leak.all")).unwrap();
    }),
];

/// Everything that is known of the subject and the session, but for where it stands in the log.
fn known(world: &World, router: &TestRouter<Arc<Recording>>) -> String {
    let desk = router.resume(world.resumed(router.store(), "s-1")).unwrap();
    let facts = desk.facts().unwrap();
    let facts: BTreeMap<String, String> = facts
        .iter()
        .map(|(key, fact)| (key.to_string(), format!("{:?} {}", fact.value(), fact.version())))
        .collect();
    let audience = router.audience(&alice()).unwrap();
    let progress = desk.progress().map(|progress| progress.entries().count());
    format!(
        "{:?} {:?} {facts:?} {progress:?} {:?} {}",
        audience.state(),
        audience.review_open(),
        desk.context(),
        desk.open_route().is_some()
    )
}

/// The rooms' own reading of two bodies, as far as these acts need it.
fn concerns(came: &Record, ours: &Draft) -> bool {
    match (came.kind(), ours.kind()) {
        (RecordKind::Fact, RecordKind::Fact) => {
            let ours = FactRecord::from_canonical(ours.body()).unwrap();
            came.read::<FactRecord>().unwrap().key == ours.key
        }
        // None of the intents above relies on a fact.
        (RecordKind::Fact, RecordKind::EvidenceBlock) => false,
        (RecordKind::SessionOpened, RecordKind::SessionOpened) => {
            let ours = SessionOpened::from_canonical(ours.body()).unwrap();
            came.read::<SessionOpened>().unwrap().claims.session == ours.claims.session
        }
        (RecordKind::GovernanceDecision, RecordKind::GovernanceDecision) => {
            let ours = GovernanceDecision::from_canonical(ours.body()).unwrap();
            came.read::<GovernanceDecision>().unwrap().matter() == ours.matter()
        }
        _ => true,
    }
}

/// What is called commuting does commute: over every pair of acts that were decided on the same
/// log, both orders are appended and restored, by the code that restores every session.
#[test]
fn commuting_appends_lead_to_the_same_states_in_either_order() {
    let world = World::new();
    let base = Arc::new(Recording::default());
    {
        let router = world.router(Arc::clone(&base));
        let mut desk = router.open(world.alice("s-1")).unwrap();
        router.remember(&mut desk, fact("door", "front")).unwrap();
        let _ = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    }
    let beginning = base.batches.lock().unwrap().clone();
    let copy = || {
        let store = Arc::new(Recording::default());
        replant(&*store, &beginning);
        store.batches.lock().unwrap().clear();
        store
    };
    assert_eq!(world::last(&*copy()), world::last(&*base), "the same log, byte for byte");
    let mut commuting = Vec::new();
    let mut conflicting = 0;
    for (one, act) in ACTS {
        let theirs = copy();
        act(&world, &world.router(Arc::clone(&theirs)));
        for (other, act) in ACTS {
            let ours = copy();
            act(&world, &world.router(Arc::clone(&ours)));
            let (theirs_did, we_did) =
                (theirs.batches.lock().unwrap().clone(), ours.batches.lock().unwrap().clone());
            // All of what the one did came before each of what the other did.
            let first = came_between(&*theirs, &we_did[0]).unwrap();
            let class = we_did
                .iter()
                .map(|batch| {
                    let mut batch = batch.clone();
                    for (place, (stream, head)) in we_did[0].expected().iter().enumerate() {
                        if batch.expected().get(place).is_some_and(|(of, _)| of == stream) {
                            batch.expect_at(place, *head);
                        }
                    }
                    classify_with(&batch, &first, concerns).class
                })
                .max()
                .unwrap();
            let blind = classify(&we_did[0], &first).class;
            assert!(
                blind >= classify_with(&we_did[0], &first, concerns).class,
                "who cannot read bodies is never more lenient"
            );
            if class != Class::Commuting {
                conflicting += 1;
                continue;
            }
            let [forwards, backwards] =
                [[&theirs_did, &we_did], [&we_did, &theirs_did]].map(|order| {
                    let store = copy();
                    for batches in order {
                        replant(&*store, batches);
                    }
                    verify(&*store, |_| {}).unwrap();
                    known(&world, &world.router(store))
                });
            assert_eq!(forwards, backwards, "{one}, then {other}");
            commuting.push((one, other));
        }
    }
    for pair in
        [("shop", "baker"), ("shop", "route"), ("open s-2", "open s-3"), ("open s-2", "route")]
    {
        assert!(commuting.contains(&pair), "{pair:?} should commute: {commuting:?}");
    }
    for pair in [
        ("shop", "shop again"),
        ("suspend", "route"),
        ("route", "refused"),
        ("suspend", "escalate"),
    ] {
        assert!(!commuting.contains(&pair), "{pair:?} should conflict");
    }
    assert!(commuting.len() >= 16 && conflicting >= 16, "{} {conflicting}", commuting.len());
    let _ = operator();
}
