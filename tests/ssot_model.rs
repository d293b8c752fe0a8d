//! Both stores against each other: the same batches, the same answers, the same bytes.

#![cfg(feature = "redb")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests, too, may end a test"
)]

use proptest::prelude::*;

use prospera::digest::Domain;
use prospera::id::Subsystem;
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
use prospera::ssot::redb::RedbStore;
use prospera::ssot::store::{AppendError, Batch, Store};
use prospera::ssot::verify::verify;
use prospera::time::Timestamp;

/// A batch in small numbers: what is expected (and how wrongly), what is appended.
#[derive(Debug, Clone)]
struct Step {
    time: u64,
    expected: Vec<(u8, u8)>,
    drafts: Vec<(u8, u8)>,
    payload: Option<(u8, u8)>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Mostly right heads: else nothing would ever be committed.
    let how = prop_oneof![20 => Just(0_u8), 1 => 1..4_u8];
    let step = (
        0..3_u64,
        prop::collection::vec((0..4_u8, how), 1..5),
        prop::collection::vec((0..4_u8, any::<u8>()), 0..5),
        prop::option::of((0..3_u8, 0..2_u8)),
    );
    let step = step.prop_map(|(time, mut expected, mut drafts, payload)| {
        expected.sort_unstable();
        if time > 0 {
            expected.dedup_by_key(|(stream, _)| *stream);
            let known: Vec<u8> = expected.iter().map(|(stream, _)| *stream).collect();
            for (stream, _) in &mut drafts {
                *stream = known[*stream as usize % known.len()];
            }
        }
        Step { time, expected, drafts, payload }
    });
    prop::collection::vec(step, 1..40)
}

fn stream(number: u8) -> StreamId {
    let kind = if number.is_multiple_of(2) { StreamKind::Routing } else { StreamKind::Audience };
    StreamId::new(kind, format!("s{}", number / 2).parse().unwrap())
}

fn batch(step: &Step, store: &impl Store) -> Batch {
    let mut batch = Batch::new(Timestamp::from_millis(step.time));
    for &(number, how) in &step.expected {
        let head = store.head(&stream(number)).unwrap();
        let head = match how {
            0 => head,
            1 => Head::EMPTY,
            2 => Head::new(head.length() + 1, head.digest()),
            _ => Head::new(head.length(), Domain::Other.hash(b"wrong")),
        };
        batch = batch.expect(stream(number), head);
    }
    for &(number, body) in &step.drafts {
        let body = vec![body; body as usize];
        batch = batch.append(Draft::new(stream(number), RecordKind::Fact, Subsystem::Memory, body));
    }
    if let Some((number, byte)) = step.payload {
        batch = batch.payload(Domain::Payload.hash(&[number]), [byte].into());
    }
    batch
}

/// What an answer says, in a form that can be compared.
fn said(answer: Result<prospera::ssot::store::Committed, AppendError>) -> String {
    match answer {
        Ok(committed) => format!("{:?}", committed.records),
        Err(error) => error.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn the_stores_agree(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let memory = MemoryStore::new();
        let file = RedbStore::create(folder.path().join("log.redb")).unwrap();
        for step in &steps {
            let batch = batch(step, &memory);
            prop_assert_eq!(said(memory.append(&batch)), said(file.append(&batch)));
        }
        prop_assert_eq!(memory.len().unwrap(), file.len().unwrap());
        prop_assert_eq!(memory.read(0, 1000).unwrap(), file.read(0, 1000).unwrap());
        prop_assert_eq!(memory.streams(None, 9).unwrap(), file.streams(None, 9).unwrap());
        for number in 0..4 {
            let id = stream(number);
            prop_assert_eq!(memory.head(&id).unwrap(), file.head(&id).unwrap());
            let (one, two) = (memory.read_stream(&id, 1, 5), file.read_stream(&id, 1, 5));
            prop_assert_eq!(one.unwrap(), two.unwrap());
            let digest = Domain::Payload.hash(&[number]);
            prop_assert_eq!(memory.payload(&digest).unwrap(), file.payload(&digest).unwrap());
        }
        let report = verify(&memory, |_| {}).unwrap();
        prop_assert_eq!(report, verify(&file, |_| {}).unwrap());
    }
}
