//! Logs of many records.

use prospera::id::Subsystem;
use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
use prospera::ssot::store::{Batch, Store};
use prospera::time::Timestamp;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub(crate) fn stream(number: usize) -> StreamId {
    StreamId::new(StreamKind::Routing, format!("session-{number:04}").parse().unwrap())
}

/// Fills an empty store with records of so many streams in turns, with bodies of these
/// sizes in turns, some four thousand in a batch.
pub(crate) fn fill(store: &impl Store, records: usize, streams: usize, sizes: &[usize]) {
    let mut ends: Vec<_> = (0..streams).map(|number| (stream(number), Head::EMPTY)).collect();
    let mut sizes = sizes.iter().copied().cycle();
    let mut left = records;
    while left > 0 {
        // Whole rounds of the streams, as long as there are.
        let count = left.min((4096 / streams).max(1) * streams);
        let mut batch = Batch::new(NOW);
        for (stream, head) in ends.iter().take(count) {
            batch.push_expected(stream.clone(), *head);
        }
        let drafts = ends.iter().map(|(stream, _)| stream).cycle().zip(&mut sizes);
        for (stream, size) in drafts.take(count) {
            let (kind, body) = (RecordKind::EvidenceBlock, vec![left.to_le_bytes()[0]; size]);
            batch.push_draft(Draft::new(stream.clone(), kind, Subsystem::Routing, body));
        }
        for round in store.append(&batch).unwrap().records.chunks(streams) {
            for ((_, head), record) in ends.iter_mut().zip(round) {
                *head = record.head();
            }
        }
        left -= count;
    }
}
