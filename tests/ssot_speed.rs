//! How fast durable appends are, next to the same bytes appended to a file and flushed.
//! A measurement, not a test: it prints and asserts nothing about time.
//!
//!     cargo test --release --features redb --test ssot_speed -- --ignored --nocapture

#![cfg(feature = "redb")]
#![expect(clippy::unwrap_used, reason = "a measurement may end by a panic")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use prospera::id::Subsystem;
use prospera::ssot::ledger::Ledger;
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
use prospera::ssot::redb::RedbStore;
use prospera::ssot::store::{Batch, Store};
use prospera::ssot::verify::verify;
use prospera::time::Timestamp;

const SPAN: Duration = Duration::from_secs(3);
const BODY: usize = 256;

fn stream(number: usize) -> StreamId {
    StreamId::new(StreamKind::Routing, format!("session-{number}").parse().unwrap())
}

/// Appends for a while on so many threads, each to its own stream; answers how many.
fn append<S: Store + Sync>(ledger: &Ledger<S>, threads: usize) -> (u64, Duration) {
    let start = Instant::now();
    let done = std::thread::scope(|scope| {
        let one = |number| {
            scope.spawn(move || {
                let own = stream(number);
                let mut head = ledger.store().head(&own).unwrap();
                let mut done = 0;
                while start.elapsed() < SPAN {
                    let draft = Draft::new(
                        own.clone(),
                        RecordKind::EvidenceBlock,
                        Subsystem::Routing,
                        vec![7; BODY],
                    );
                    let batch = Batch::new(Timestamp::from_millis(1)).expect(own.clone(), head);
                    let receipt = ledger.commit(batch.append(draft)).unwrap();
                    head = receipt.head(&own).unwrap_or(Head::EMPTY);
                    done += 1;
                }
                done
            })
        };
        let threads: Vec<_> = (0..threads).map(one).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>()
    });
    (done, start.elapsed())
}

/// Appends as many bytes at a time to a file and flushes them.
fn raw(path: &Path, bytes: usize) -> (u64, Duration) {
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    let block = vec![7; bytes];
    let (start, mut done) = (Instant::now(), 0);
    while start.elapsed() < SPAN {
        file.write_all(&block).unwrap();
        file.sync_data().unwrap();
        done += 1;
    }
    (done, start.elapsed())
}

fn per_second((done, took): (u64, Duration)) -> u128 {
    u128::from(done) * 1_000_000 / took.as_micros().max(1)
}

#[test]
#[ignore = "a measurement, not a test"]
fn durable_appends_per_second() {
    let folder = tempfile::tempdir().unwrap();
    let record = 68 + stream(1).name().as_str().len() + BODY;
    println!("records of {record} bytes, each in a batch of its own");
    for (name, count) in [("1", 1), ("64", 64)] {
        let result = raw(&folder.path().join(format!("raw {name}")), record * count);
        let groups = per_second(result);
        println!(
            "raw append and flush, {name} at a time: {groups} flushes/s, {} records/s",
            groups * count as u128
        );
    }
    for threads in [1, 8, 64, 256] {
        let path = folder.path().join(format!("{threads}.redb"));
        let ledger = Ledger::new(RedbStore::create(&path).unwrap());
        let result = append(&ledger, threads);
        let commits = ledger.store().commits();
        let len = ledger.store().len().unwrap();
        let start = Instant::now();
        verify(ledger.store(), |_| {}).unwrap();
        let verified = per_second((len, start.elapsed()));
        let size = std::fs::metadata(&path).unwrap().len();
        println!(
            "redb, {threads} in flight: {} appends/s, {} commits/s, {} appends per commit, \
             {} bytes of file per record, verified at {verified} records/s",
            per_second(result),
            per_second((commits, result.1)),
            len / commits.max(1),
            size / len.max(1),
        );
    }
    let ledger = Ledger::new(MemoryStore::new());
    println!("memory, 1 in flight: {} appends/s", per_second(append(&ledger, 1)));
    let len = ledger.store().len().unwrap();
    let start = Instant::now();
    verify(ledger.store(), |_| {}).unwrap();
    println!("memory: verified at {} records/s", per_second((len, start.elapsed())));
}
