//! Audiences that are restored from a snapshot of their stream (PLAN-8.2).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here is a failure of the test"
)]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use prospera::audience::any::{AnyAudience, AudienceSnapshot, ReplayProblem, Restore};
use prospera::audience::causes::{DowngradeCause, EscalationTrigger, HoldTrigger};
use prospera::audience::evidence::Approver;
use prospera::audience::lineage::{Cause, LineageEvent, Why};
use prospera::audience::state::State;
use prospera::audience::table::legal_exits;
use prospera::digest::{Digest, Domain};
use prospera::encode::Encode as _;
use prospera::id::{SubjectId, Subsystem};
use prospera::limits::SNAPSHOT_RECORDS;
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use prospera::ssot::snapshot::{is_slot, last_snapshot};
use prospera::ssot::store::{Batch, Store};
use prospera::ssot::verify::{replay, replay_from, verify};
use prospera::time::Timestamp;

fn subject() -> SubjectId {
    "alice".parse().unwrap()
}

fn stream() -> StreamId {
    StreamId::new(StreamKind::Audience, "alice".parse().unwrap())
}

/// The cause that takes an edge of these two states, chosen by number among those that do.
fn event(from: State, choice: u8) -> LineageEvent {
    let approver =
        || Approver { principal: "greta".parse().unwrap(), record: Domain::Other.hash(&[choice]) };
    let cleared = prospera::audience::lineage::Cleared {
        class: prospera::audience::classifier::Class::A,
        envelope: Digest::ZERO,
        classifier: Digest::ZERO,
        matrix: Digest::ZERO,
        kernel: Digest::ZERO,
        snapshot: Digest::ZERO,
    };
    let causes = [
        Cause::Clearance(cleared),
        Cause::StepBack,
        Cause::Downgrade(Why::Downgrade(DowngradeCause::SubsystemDrift)),
        Cause::Hold(HoldTrigger::GovernanceFlag),
        Cause::Escalation(EscalationTrigger::IdentityAnomaly),
        Cause::Violation { rule: 1, kernel: Digest::ZERO },
        Cause::Governed {
            why: Why::Downgrade(DowngradeCause::SubsystemDrift),
            approver: approver(),
        },
        Cause::Approval(approver()),
        Cause::Review(approver()),
    ];
    let targets: Vec<State> = legal_exits(from).map(|edge| edge.to).collect();
    let legal: Vec<LineageEvent> = targets
        .iter()
        .flat_map(|to| causes.iter().map(|cause| LineageEvent::new(from, *to, cause.clone())))
        .filter_map(Result::ok)
        .collect();
    legal[usize::from(choice) % legal.len()].clone()
}

/// A lineage of these choices, with a snapshot wherever one is due.
fn lineage(choices: impl Iterator<Item = u8>, snapshots: bool) -> MemoryStore {
    let store = MemoryStore::new();
    let (mut head, mut restore) = (Head::EMPTY, Restore::new(subject()));
    for choice in choices {
        let state = restore.state();
        let drafts = if snapshots && head.length() > 0 && head.length() % SNAPSHOT_RECORDS == 0 {
            let audience = restore.finish();
            let review = audience.review_open();
            restore = Restore::resume(audience);
            Vec::from([(RecordKind::Snapshot, AudienceSnapshot { state, review }.to_canonical())])
        } else {
            Vec::new()
        };
        let next = (RecordKind::AudienceEvent, event(state, choice).to_canonical());
        let mut batch = Batch::new(Timestamp::from_millis(head.length())).expect(stream(), head);
        for (kind, body) in drafts.into_iter().chain([next]) {
            batch = batch.append(Draft::new(stream(), kind, Subsystem::Audience, body));
        }
        for record in store.append(&batch).unwrap().records {
            restore.push(&record).unwrap();
            head = record.head();
        }
    }
    store
}

fn whole(store: &impl Store) -> AnyAudience {
    let mut restore = Restore::new(subject());
    for record in replay(store, &stream()).unwrap() {
        restore.push(&record.unwrap()).unwrap();
    }
    restore.finish()
}

fn swift(store: &impl Store) -> (AnyAudience, u64) {
    let mut read = 0;
    let mut restore = match last_snapshot(store, &stream(), u64::MAX).unwrap() {
        Some(record) => Restore::from_snapshot(subject(), &record).unwrap(),
        None => Restore::new(subject()),
    };
    for record in replay_from(store, &stream(), restore.head()).unwrap() {
        restore.push(&record.unwrap()).unwrap();
        read += 1;
    }
    (restore.finish(), read)
}

fn shown(audience: &AnyAudience) -> String {
    format!("{} {} {:?}", audience.state(), audience.head(), audience.review_open())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Any walk leads to the same state from its last snapshot as from its start.
    #[test]
    fn a_snapshot_leads_where_the_whole_lineage_leads(
        choices in prop::collection::vec(any::<u8>(), 0..1200),
        snapshots: bool,
    ) {
        let store = lineage(choices.into_iter(), snapshots);
        let (audience, read) = swift(&store);
        prop_assert_eq!(shown(&audience), shown(&whole(&store)));
        if snapshots {
            prop_assert!(read <= SNAPSHOT_RECORDS, "{read} records");
        }
        verify(&store, |_| {}).unwrap();
    }
}

/// The record of this sequence with another body, and everything behind it sealed anew.
fn forged(store: &MemoryStore, sequence: u64, kind: RecordKind, body: &[u8]) -> MemoryStore {
    let copy = MemoryStore::new();
    let mut head = Head::EMPTY;
    for stored in store.read(0, usize::MAX).unwrap() {
        let record = Record::decode_sealed(&stored.bytes).unwrap();
        let mut draft = record.to_draft();
        if record.sequence() == sequence {
            draft = Draft::new(stream(), kind, Subsystem::Audience, body.to_vec());
        }
        let batch = Batch::new(record.timestamp()).expect(stream(), head).append(draft);
        head = copy.append(&batch).unwrap().records[0].head();
    }
    copy
}

#[test]
fn a_lying_snapshot_of_an_audience_is_named_by_a_full_replay() {
    let store = lineage((0..=250).cycle().take(600), true);
    let record = last_snapshot(&store, &stream(), u64::MAX).unwrap().unwrap();
    assert_eq!(record.sequence(), SNAPSHOT_RECORDS);
    let truth: AudienceSnapshot = record.read().unwrap();
    let other = if truth.state == State::Privileged { State::Base } else { State::Privileged };
    let lie = AudienceSnapshot { state: other, review: prospera::audience::typed::Review::None };
    let lying = forged(&store, SNAPSHOT_RECORDS, RecordKind::Snapshot, &lie.to_canonical());
    verify(&lying, |_| {}).unwrap();
    let mut restore = Restore::new(subject());
    let error = replay(&lying, &stream())
        .unwrap()
        .find_map(|record| restore.push(&record.unwrap()).err())
        .unwrap();
    assert_eq!(error.sequence, SNAPSHOT_RECORDS);
    assert_eq!(error.problem, ReplayProblem::Lying { expected: truth, found: lie });
    // One that stands where none may is neither believed nor passed over.
    let misplaced = forged(&store, 5, RecordKind::Snapshot, &lie.to_canonical());
    let record = Record::decode_sealed(&misplaced.read(5, 1).unwrap()[0].bytes).unwrap();
    assert!(!is_slot(record.sequence()));
    let error = Restore::from_snapshot(subject(), &record).unwrap_err();
    assert_eq!(error.problem, ReplayProblem::Slot);
    let bob = Restore::from_snapshot("bob".parse().unwrap(), &record).unwrap_err();
    assert!(matches!(bob.problem, ReplayProblem::Stream { .. }), "{bob}");
}

/// Restoring reads what is behind the last snapshot: the same for a long lineage as for a
/// short one. Counted in records; the time is printed.
#[test]
fn restoring_costs_the_same_whatever_the_length() {
    let time = |store: &MemoryStore| {
        let mut least = Duration::MAX;
        let mut read = 0;
        for _ in 0..5 {
            let start = Instant::now();
            read = swift(store).1;
            least = least.min(start.elapsed());
        }
        (least, read)
    };
    let long: u64 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let choices = |count: u64| (0..count).map(|n| n.wrapping_mul(0x9e37_79b9).to_le_bytes()[1]);
    // As many behind the last snapshot.
    let long_store = lineage(choices(long - long % 512 + 300), true);
    let short_store = lineage(choices(1_000), true);
    let (long_time, long_read) = time(&long_store);
    let (short_time, short_read) = time(&short_store);
    println!("1 k: {short_read} read, {short_time:?}; {long}: {long_read} read, {long_time:?}");
    let start = Instant::now();
    let full = whole(&long_store);
    println!("{long} from the start: {:?}", start.elapsed());
    assert_eq!(shown(&full), shown(&swift(&long_store).0));
    assert!(long_read <= SNAPSHOT_RECORDS && short_read <= SNAPSHOT_RECORDS);
}
