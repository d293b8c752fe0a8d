//! What verifying a log costs beside hashing its records: `cargo bench --bench verify`
//! (add `--features redb` for the embedded store, `-- redb` for it alone).
//!
//! In each round the same records are hashed one by one, hashed many at once, and
//! verified in their store, one after the other; the least time of each over all rounds is
//! printed, and the speed as a multiple of one by one. Nothing here asserts a time.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark may panic")]

use std::hint::black_box;
use std::time::Instant;

use prospera::digest::{Digest, Domain};
use prospera::id::Subsystem;
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
use prospera::ssot::store::{Batch, Store};
use prospera::ssot::verify::verify;
use prospera::time::Timestamp;

const STREAMS: [usize; 3] = [1, 64, 4096];
const ROUNDS: u32 = 15;

/// The bodies of a log, in turns.
struct Bodies {
    name: &'static str,
    sizes: &'static [usize],
}

const BODIES: [Bodies; 4] = [
    Bodies { name: "120 bytes", sizes: &[120] },
    Bodies { name: "500 bytes", sizes: &[500] },
    Bodies { name: "700 bytes", sizes: &[700] },
    // An evidence block and an outcome for each route; sometimes an audience moves.
    Bodies { name: "mixed", sizes: &[700, 120, 700, 120, 700, 120, 700, 120, 200] },
];

fn stream(number: usize) -> StreamId {
    StreamId::new(StreamKind::Routing, format!("session-{number:04}").parse().unwrap())
}

/// Records of so many streams that take turns, appended in large batches.
fn fill(store: &impl Store, records: usize, streams: usize, sizes: &[usize]) {
    let ids: Vec<_> = (0..streams).map(stream).collect();
    let mut heads = vec![Head::EMPTY; streams];
    let mut done = 0;
    while done < records {
        let count = 4096.min(records - done);
        let batch = Batch::new(Timestamp::from_millis(done as u64));
        let used = ids.iter().zip(&heads).cycle().skip(done % streams).take(count.min(streams));
        let batch = used.fold(batch, |batch, (id, head)| batch.expect(id.clone(), *head));
        let batch = (done..done + count).fold(batch, |batch, number| {
            let body = vec![u8::try_from(number % 251).unwrap(); sizes[number % sizes.len()]];
            let id = ids[number % streams].clone();
            batch.append(Draft::new(id, RecordKind::EvidenceBlock, Subsystem::Routing, body))
        });
        for (number, record) in (done..).zip(store.append(&batch).unwrap().records) {
            heads[number % streams] = record.head();
        }
        done += count;
    }
}

fn time(least: &mut u128, run: impl FnOnce()) {
    let start = Instant::now();
    run();
    *least = start.elapsed().as_nanos().min(*least);
}

/// One row: least times per record, and speeds as multiples of hashing one by one.
fn row(kind: &str, store: &impl Store, streams: usize, bodies: &str) {
    let stored = store.read(0, usize::MAX).unwrap();
    let records: Vec<&[u8]> = stored.iter().map(|stored| &*stored.bytes).collect();
    let mut digests = vec![Digest::ZERO; records.len()];
    let (mut one, mut many, mut whole) = (u128::MAX, u128::MAX, u128::MAX);
    for _ in 0..ROUNDS {
        time(&mut one, || {
            for record in &records {
                black_box(Domain::Record.hash(record));
            }
        });
        time(&mut many, || Domain::Record.hash_many(&records, &mut digests));
        black_box(&digests);
        time(&mut whole, || {
            let report = verify(store, |_| {}).unwrap();
            assert_eq!((report.records, report.streams), (records.len() as u64, streams as u64));
        });
    }
    assert!(stored.iter().zip(&digests).all(|(stored, digest)| stored.digest == *digest));
    let count = records.len() as u128;
    let times = |least: u128| {
        let hundredths = one * 100 / least.max(1);
        format!("{:>6} ns {:>3}.{:02}x", least / count, hundredths / 100, hundredths % 100)
    };
    println!(
        "{kind:<7} {streams:>5} {bodies:<10} {:>6} ns {} {}",
        one / count,
        times(many),
        times(whole)
    );
}

fn main() {
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return;
    }
    let only = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let wanted = |kind: &str| only.as_ref().is_none_or(|only| only == kind);
    println!("per record, least of {ROUNDS} rounds; x is the speed beside one by one");
    println!("store   streams, bodies    one by one   many at once    verify");
    for Bodies { name, sizes } in BODIES.into_iter().filter(|_| wanted("memory")) {
        for streams in STREAMS {
            let store = MemoryStore::new();
            fill(&store, 65_536, streams, sizes);
            row("memory", &store, streams, name);
        }
    }
    #[cfg(feature = "redb")]
    for Bodies { name, sizes } in BODIES.into_iter().filter(|_| wanted("redb")) {
        for streams in STREAMS {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log.redb");
            let store = prospera::ssot::redb::RedbStore::create(path).unwrap();
            fill(&store, 65_536, streams, sizes);
            row("redb", &store, streams, name);
        }
    }
}
