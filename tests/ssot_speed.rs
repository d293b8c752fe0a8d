//! How fast durable appends are, next to the same bytes appended to a file and flushed.
//! A measurement, not a test: it prints and asserts nothing about time.
//!
//!     cargo test --release --features redb --test ssot_speed -- --ignored --nocapture

#![cfg(feature = "redb")]
#![expect(clippy::unwrap_used, reason = "a measurement may end by a panic")]

use std::fs::File;
use std::io::{Seek, Write};
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

const SPAN: Duration = Duration::from_secs(2);
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

/// The same within a file that is there already: no new size for the file system to keep.
fn raw_in_place(path: &Path, bytes: usize) -> (u64, Duration) {
    const SIZE: usize = 16 << 20;
    std::fs::write(path, vec![1; SIZE]).unwrap();
    let mut file = File::options().write(true).open(path).unwrap();
    file.sync_all().unwrap();
    let block = vec![7; bytes];
    let (start, mut done, mut at) = (Instant::now(), 0, 0);
    while start.elapsed() < SPAN {
        if at + bytes > SIZE {
            at = 0;
            file.rewind().unwrap();
        }
        file.write_all(&block).unwrap();
        file.sync_data().unwrap();
        (done, at) = (done + 1, at + bytes);
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
    // The disk is shared: the raw numbers are taken before, and again after.
    let baseline = |when: &str| {
        for count in [1, 64] {
            let path = |kind: &str| folder.path().join(format!("{kind} {count} {when}"));
            let appended = per_second(raw(&path("append"), record * count));
            let in_place = per_second(raw_in_place(&path("in place"), record * count));
            println!(
                "{when}: raw, {count} at a time: {appended} flushes/s appending, \
                 {in_place} flushes/s in place"
            );
        }
    };
    baseline("before");
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
    baseline("after");
    let ledger = Ledger::new(MemoryStore::new());
    println!("memory, 1 in flight: {} appends/s", per_second(append(&ledger, 1)));
    let len = ledger.store().len().unwrap();
    let start = Instant::now();
    verify(ledger.store(), |_| {}).unwrap();
    println!("memory: verified at {} records/s", per_second((len, start.elapsed())));
}
