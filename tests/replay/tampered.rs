//! Logs that were changed and hashed again from there on: the chain is sound, the replay
//! finds what was changed and names it.

use prospera::digest::Digest;
use prospera::memory::NewFact;
use prospera::provenance::{Label, Source};
use prospera::risk::Risk;
use prospera::routing::audit::Auditor;
use prospera::routing::evidence::{EvidenceBlock, Outcome};
use prospera::ssot::matrix::{Inspector, Made, Options, Rule};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Draft, Head, Record, RecordKind};
use prospera::ssot::store::{Batch, Store};
use prospera::ssot::verify::verify;
use prospera::testing::world::Setup;
use prospera::verdict::Verdict;

use super::replayed;

/// The log again, each record as `change` leaves its body, all links and digests made anew:
/// also those by which one record's body names another record.
fn forged<S: Store>(
    log: &S,
    mut change: impl FnMut(&Record, Vec<u8>) -> Option<Vec<u8>>,
) -> MemoryStore {
    let store = MemoryStore::new();
    let mut renamed: Vec<(Digest, Digest)> = Vec::new();
    for stored in log.read(0, usize::MAX).unwrap() {
        let record = Record::decode_sealed(&stored.bytes).unwrap();
        let mut body = record.body().to_vec();
        for (old, new) in &renamed {
            let (old, new) = (old.as_bytes(), new.as_bytes());
            for at in 0..body.len().saturating_sub(31) {
                if body[at..at + 32] == *old {
                    body[at..at + 32].copy_from_slice(new);
                } else if at + 16 <= body.len() && body[at..at + 16] == old[..16] {
                    // The id of a token is the start of the digest before it.
                    body[at..at + 16].copy_from_slice(&new[..16]);
                }
            }
        }
        let Some(body) = change(&record, body) else { continue };
        let stream = record.stream().clone();
        let draft = Draft::new(stream.clone(), record.kind(), record.source(), body);
        let head: Head = store.head(&stream).unwrap();
        let mut batch = Batch::new(record.timestamp()).expect(stream, head).append(draft);
        for digest in payloads(&record) {
            if let Some(bytes) = log.payload(&digest).unwrap() {
                batch.push_payload(digest, bytes);
            }
        }
        let committed = store.append(&batch).unwrap();
        let digest = committed.records[0].digest();
        if digest != record.digest() {
            renamed.push((record.digest(), digest));
        }
    }
    assert!(verify(&store, |_| {}).is_ok(), "the forged log is a sound chain");
    store
}

fn payloads(record: &Record) -> Vec<Digest> {
    match record.kind() {
        RecordKind::EvidenceBlock => {
            let block: EvidenceBlock = record.read().unwrap();
            [Some(block.intent), block.objective].into_iter().flatten().collect()
        }
        RecordKind::Outcome => record.read::<Outcome>().unwrap().output.into_iter().collect(),
        _ => Vec::new(),
    }
}

fn log() -> prospera::testing::world::World {
    let world = Setup::sample().unwrap().build().unwrap();
    let mut desk = world.open("alice", "s-1").unwrap();
    let fact = NewFact::new("landlord".parse().unwrap(), "DE1".into(), Label::from(Source::User));
    world.router.remember(&mut desk, fact).unwrap();
    for (kind, name) in [("note.read", "name"), ("note.write", "name"), ("payment.send", "to")] {
        let intent = world.intent(kind, "Do it.", &[(name, "x".into())]).unwrap();
        let _routed = world.router.route(&mut desk, intent).unwrap();
    }
    world
}

/// The first record of a kind, changed as a value.
fn changing<T: prospera::encode::Decode + prospera::encode::Encode>(
    kind: RecordKind,
    number: usize,
    edit: impl Fn(&mut T),
) -> impl FnMut(&Record, Vec<u8>) -> Option<Vec<u8>> {
    let mut seen = 0;
    move |record, body| {
        if record.kind() != kind {
            return Some(body);
        }
        seen += 1;
        if seen != number + 1 {
            return Some(body);
        }
        let mut value = T::from_canonical(&body).unwrap();
        edit(&mut value);
        Some(value.to_canonical())
    }
}

fn first(store: &MemoryStore) -> prospera::routing::replay::Difference {
    let report = replayed(store, 2);
    assert!(!report.is_same());
    let Some(first) = report.first.clone() else { panic!("no difference in {report:#?}") };
    first
}

#[test]
fn a_log_that_is_hashed_again_unchanged_is_the_same() {
    let world = log();
    let again = forged(world.router.store(), |_, body| Some(body));
    let report = replayed(&again, 1);
    assert!(report.is_same(), "{report:#?}");
}

#[test]
fn a_verdict_that_was_changed_is_named_with_its_layer() {
    let world = log();
    let evidence = RecordKind::EvidenceBlock;
    let store = forged(
        world.router.store(),
        changing(evidence, 2, |block: &mut EvidenceBlock| {
            assert_eq!(block.verdict, Verdict::StepUp);
            block.verdict = Verdict::Deny;
        }),
    );
    let found = first(&store);
    assert_eq!((&*found.field, found.kind), ("verdict", evidence));
    assert_eq!((&*found.expected, &*found.found), ("step-up", "deny"));
    assert!(found.to_string().contains("/ssot/intent/routing/s-1"), "{found}");
}

/// PLAN-8.5: what a replay found stands in the Integrity Matrix, in the cell it belongs to.
#[test]
fn what_differs_is_laid_over_the_matrix() {
    let made = || Made { at: prospera::time::Timestamp::from_millis(1), by: "a test".into() };
    let matrix = |store: &MemoryStore| {
        let mut inspector = Inspector::new(Auditor::new());
        inspector.run(store, &Options::default(), |_| {}).unwrap();
        inspector.matrix(store, made()).unwrap()
    };
    let world = log();
    let sound = forged(world.router.store(), |_, body| Some(body));
    let mut laid = matrix(&sound);
    let walked = laid.verdict();
    replayed(&sound, 1).lay_over(&sound, &mut laid).unwrap();
    assert_eq!(laid.verdict(), walked, "nothing is wrong with it");

    // A risk that no walk can know to be another one.
    let change = |block: &mut EvidenceBlock| block.risk = Risk::from_ppm(1).unwrap();
    let store = forged(world.router.store(), changing(RecordKind::EvidenceBlock, 1, change));
    let mut laid = matrix(&store);
    let report = replayed(&store, 1);
    assert!(report.lay_over(&store, &mut laid).unwrap());
    let faults = laid.faults();
    let (stream, fault) = faults.iter().find(|(_, fault)| fault.rule == Rule::Rederived).unwrap();
    assert_eq!(stream.to_string(), "/ssot/intent/routing/s-1");
    assert_eq!(Some(fault.index), report.first.map(|first| first.index));
    assert!(fault.expected.starts_with("risk "), "{fault:?}");
}

#[test]
fn a_trace_that_was_changed_is_named_with_its_layer() {
    let world = log();
    let store = forged(
        world.router.store(),
        changing(RecordKind::EvidenceBlock, 1, |block: &mut EvidenceBlock| {
            block.trace[5].reasons.clear();
        }),
    );
    let found = first(&store);
    assert_eq!(&*found.field, "trace");
    assert_eq!(found.layer, Some(prospera::id::LayerId::Governance), "{found}");
    assert!(found.expected.contains("write-notes"), "{found}");
}

#[test]
fn a_routing_id_a_risk_a_state_a_class_and_a_pin_that_were_changed_are_named() {
    type Edit = fn(&mut EvidenceBlock);
    let edits: [(&str, Edit); 6] = [
        ("routing_id", |block| block.routing_id = None),
        ("risk", |block| block.risk = Risk::saturating(1)),
        ("state", |block| block.state = prospera::audience::state::State::Privileged),
        ("class", |block| block.class = 1),
        ("pins", |block| block.pins = Digest::ZERO),
        ("snapshot", |block| block.snapshot = prospera::id::SnapshotId::new(Digest::ZERO)),
    ];
    for (field, edit) in edits {
        let world = log();
        let store = forged(world.router.store(), changing(RecordKind::EvidenceBlock, 0, edit));
        let found = first(&store);
        assert_eq!(&*found.field, field, "{found}");
        assert_eq!(replayed(&store, 1).routes().differ, 1, "the others are as they were");
    }
}

#[test]
fn an_outcome_for_another_route_is_named() {
    let world = log();
    let store = forged(
        world.router.store(),
        changing(RecordKind::Outcome, 1, |outcome: &mut Outcome| outcome.evidence = Digest::ZERO),
    );
    let found = first(&store);
    assert_eq!((found.kind, &*found.field), (RecordKind::Outcome, "act"), "{found}");
    assert!(found.expected.contains("the open route is"), "{found}");
}

#[test]
fn a_state_that_nobody_was_advanced_to_is_named() {
    // The admission of the audience is left out: what follows starts elsewhere.
    let world = log();
    let mut events = 0;
    let store = forged(world.router.store(), |record, body| {
        let event = record.kind() == RecordKind::AudienceEvent;
        events += usize::from(event);
        (!event || events != 2).then_some(body)
    });
    assert!(events > 0);
    let report = replayed(&store, 1);
    assert!(!report.nothing_differs(), "{report:#?}");
}

#[test]
fn a_fact_of_another_version_is_named() {
    let world = log();
    let store = forged(
        world.router.store(),
        changing(RecordKind::Fact, 0, |fact: &mut prospera::memory::FactRecord| {
            fact.version = 2;
        }),
    );
    let found = first(&store);
    assert_eq!(found.kind, RecordKind::Fact, "{found}");
}

#[test]
fn an_outcome_that_was_let_out_of_the_log_is_noticed() {
    // The second route's outcome is gone: the third cannot have begun.
    let world = log();
    let mut outcomes = 0;
    let store = forged(world.router.store(), |record, body| {
        let outcome = record.kind() == RecordKind::Outcome;
        outcomes += usize::from(outcome);
        (!outcome || outcomes != 2).then_some(body)
    });
    let found = first(&store);
    assert_eq!((found.kind, &*found.field), (RecordKind::EvidenceBlock, "act"), "{found}");
    assert!(found.expected.contains("another route of session `s-1` came first"), "{found}");
}

#[test]
fn a_payload_that_is_another_intent_is_named_and_one_that_is_gone_is_counted() {
    let world = log();
    let log = world.router.store();
    let erased = forged_without_payloads(log);
    let report = replayed(&erased, 1);
    assert_eq!(report.routes().not_replayable, 3);
    assert!(report.nothing_differs(), "{report:#?}");
    let why = prospera::routing::replay::NotReplayable::Erased;
    assert_eq!(report.not_replayable[&why], 3);
}

/// The same log without its payloads: what is left when a subject was forgotten.
fn forged_without_payloads<S: Store>(log: &S) -> MemoryStore {
    let store = MemoryStore::new();
    for stored in log.read(0, usize::MAX).unwrap() {
        let record = Record::decode_sealed(&stored.bytes).unwrap();
        let stream = record.stream().clone();
        let draft =
            Draft::new(stream.clone(), record.kind(), record.source(), record.body().to_vec());
        let head = store.head(&stream).unwrap();
        let batch = Batch::new(record.timestamp()).expect(stream, head).append(draft);
        let committed = store.append(&batch).unwrap();
        assert_eq!(committed.records[0].digest(), record.digest());
    }
    store
}
