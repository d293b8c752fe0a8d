//! Backups that are made while threads append, and compaction.

#![cfg(feature = "redb")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests, too, may end a test"
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prospera::digest::Domain;
use prospera::id::Subsystem;
use prospera::ssot::merkle;
use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
use prospera::ssot::redb::{Options, RedbStore};
use prospera::ssot::store::{Batch, Store, StoreError};
use prospera::ssot::verify::verify;
use prospera::time::Timestamp;

fn stream(name: &str) -> StreamId {
    StreamId::new(StreamKind::Routing, name.parse().unwrap())
}

fn draft(stream: &StreamId, body: Vec<u8>) -> Draft {
    Draft::new(stream.clone(), RecordKind::Outcome, Subsystem::Execution, body)
}

/// Two records to one stream, and a payload.
fn append(store: &RedbStore, name: &str, number: u64, size: usize) -> Head {
    let id = stream(name);
    let payload = format!("{name} {number}").into_bytes();
    let batch = Batch::new(Timestamp::from_millis(number))
        .expect(id.clone(), store.head(&id).unwrap())
        .append(draft(&id, vec![7; size]))
        .append(draft(&id, payload.clone()))
        .payload(Domain::Payload.hash(&payload), payload.into());
    store.append(&batch).unwrap().records.last().unwrap().head()
}

/// What `backup` has is the first of what `log` has, and nothing is missing in between.
fn is_prefix(backup: &RedbStore, log: &RedbStore) -> u64 {
    let report = verify(backup, |_| {}).unwrap();
    let records = usize::try_from(report.records).unwrap();
    let found = backup.read(0, records + 1).unwrap();
    assert_eq!(found, log.read(0, records).unwrap());
    assert_eq!(found.len(), records);
    // The tree grew from this one to that one.
    let (old, new) = (backup.tree_head().unwrap(), log.tree_head().unwrap());
    assert_eq!((old.size, old.root), (report.records, report.root));
    let proof = merkle::consistency(log, old.size, new.size).unwrap();
    proof.verify::<merkle::Sha256>(&old.root, &new.root).unwrap();
    for (stream, head) in backup.streams(None, 1000).unwrap() {
        let at = head.length().checked_sub(1).unwrap();
        let last = log.read_stream(&stream, at, 1).unwrap().remove(0);
        assert_eq!(last.digest, head.digest(), "{stream}");
        // The payload of each second record, as it was named when it was written.
        for at in (1..head.length()).step_by(2) {
            let stored = backup.read_stream(&stream, at, 1).unwrap().remove(0);
            let record = prospera::ssot::record::Record::decode_sealed(&stored.bytes).unwrap();
            let kept = backup.payload(&Domain::Payload.hash(record.body())).unwrap();
            assert_eq!(kept.as_deref(), Some(record.body()), "{stream} {at}");
        }
    }
    report.records
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_backup_made_while_threads_append_is_the_log_as_of_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    // Turns so short that some change while a backup is made.
    let options = Options::new().journal_bytes(60_000);
    let store = RedbStore::create_with(folder.path().join("log.redb"), &options).unwrap();
    let (ended, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (store, ended, acknowledged) = (&store, &ended, &acknowledged);
            scope.spawn(move || {
                let mut number = 0;
                while !ended.load(Ordering::Relaxed) {
                    let size = usize::try_from(number % 500).unwrap();
                    append(store, &format!("s{thread} {}", number % 11), number, size);
                    acknowledged.fetch_add(2, Ordering::SeqCst);
                    number += 1;
                }
            });
        }
        let mut last = 0;
        for number in 0..12 {
            std::thread::sleep(Duration::from_millis(20));
            let path = folder.path().join(format!("backup-{number}.redb"));
            let before = acknowledged.load(Ordering::SeqCst);
            let made = store.backup_to(&path).unwrap();
            assert!(made.records >= before, "{} of {before} acknowledged", made.records);
            assert_eq!(made.bytes, fs::metadata(&path).unwrap().len());
            let backup = RedbStore::open_read_only(&path).unwrap();
            assert_eq!(is_prefix(&backup, &store), made.records);
            let end = backup.read(made.records - 1, 2).unwrap();
            assert_eq!(end.iter().map(|s| s.digest).collect::<Vec<_>>(), [made.last.unwrap()]);
            // No batch is there in part.
            assert_eq!(made.records % 2, 0);
            assert!(made.records > last, "nothing was appended meanwhile");
            last = made.records;
        }
        ended.store(true, Ordering::Relaxed);
    });
    assert!(names(folder.path()).iter().all(|name| !name.contains(".part")));
}

#[test]
fn appends_go_on_while_a_backup_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(RedbStore::create(folder.path().join("log.redb")).unwrap());
    let pending: Vec<_> = (0..30_000_u64)
        .map(|number| {
            let id = stream(&format!("old {number}"));
            let batch = Batch::new(Timestamp::default()).expect(id.clone(), Head::EMPTY);
            store.submit(batch.append(draft(&id, vec![1; 600])))
        })
        .collect();
    for pending in pending {
        pending.wait().unwrap();
    }
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (mut count, mut longest) = (0, Duration::ZERO);
            while !ended.load(Ordering::Relaxed) {
                let began = Instant::now();
                append(&store, "new", count, 100);
                longest = longest.max(began.elapsed());
                count += 1;
            }
            (count, longest)
        });
        let began = Instant::now();
        let mut told = Vec::new();
        store.backup_with(folder.path().join("b.redb"), |copied| told.push(copied)).unwrap();
        let took = began.elapsed();
        ended.store(true, Ordering::Relaxed);
        let (count, longest) = writer.join().unwrap();
        println!("{took:?}, {count} appends meanwhile, the longest took {longest:?}");
        assert!(count > 10, "{count} appends in {took:?}");
        assert!(longest < took / 2, "an append took {longest:?} of {took:?}");
        assert!(told.len() >= 4 && told.iter().all(|t| t.rows <= t.total), "{told:?}");
        assert!(told.is_sorted_by_key(|t| t.rows));
    });
}

#[test]
fn a_backup_is_a_store_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let [path, copy] = ["log.redb", "copy.redb"].map(|name| folder.path().join(name));
    let store = RedbStore::create(&path).unwrap();
    let head = append(&store, "a", 0, 10);
    store.backup_to(&copy).unwrap();
    // Both go on, each in its own way.
    let other = RedbStore::open(&copy).unwrap();
    assert_eq!(other.head(&stream("a")).unwrap(), head);
    append(&store, "a", 1, 20);
    append(&other, "a", 1, 21);
    assert_eq!(is_prefix(&other, &other), 4);
    // The journal of one is not the other's: its records would not follow on each other's.
    let [journal, of_copy] = [&path, &copy].map(|path| {
        let mut name = path.clone().into_os_string();
        name.push(".journal-0");
        name
    });
    let bytes = fs::read(&journal).unwrap();
    drop(other);
    fs::write(&of_copy, bytes).unwrap();
    let error = RedbStore::open(&copy).map(drop).unwrap_err();
    assert!(error.to_string().contains("belongs to another store"), "{error}");
    fs::remove_file(of_copy).unwrap();
    // And a backup of a backup, of one that is only read.
    let reader = RedbStore::open_read_only(&copy).unwrap();
    let again = reader.backup_to(folder.path().join("again.redb")).unwrap();
    assert_eq!(again.records, 4);
}

#[test]
fn nothing_is_overwritten_and_nothing_is_left_when_it_fails() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::create(folder.path().join("log.redb")).unwrap();
    append(&store, "a", 0, 10);
    let there = folder.path().join("there");
    fs::write(&there, b"precious").unwrap();
    let error = store.backup_to(&there).unwrap_err();
    assert!(matches!(&error, StoreError::Exists { place } if **place == *there.to_string_lossy()));
    assert_eq!(fs::read(&there).unwrap(), b"precious");
    let nowhere = folder.path().join("no folder").join("b.redb");
    assert!(matches!(store.backup_to(nowhere), Err(StoreError::Backend { .. })));
    assert!(matches!(
        store.backup_to(folder.path().join("log.redb")),
        Err(StoreError::Exists { .. })
    ));
    assert_eq!(
        names(folder.path()),
        ["log.redb", "log.redb.holder", "log.redb.journal-0", "there"]
    );
    assert_eq!(store.len().unwrap(), 2);
}

/// A log in which many streams went on in turns, written back again and again, has pages
/// that nothing uses.
fn grown(path: &Path) -> RedbStore {
    let store = RedbStore::create_with(path, &Options::new().journal_bytes(100_000)).unwrap();
    let mut heads = vec![Head::EMPTY; 400];
    for round in 0..12_u64 {
        let pending: Vec<_> = heads
            .iter()
            .enumerate()
            .map(|(number, head)| {
                let id = stream(&format!("s{number}"));
                let batch = Batch::new(Timestamp::from_millis(round)).expect(id.clone(), *head);
                store.submit(batch.append(draft(&id, vec![2; 300])))
            })
            .collect();
        for (head, pending) in heads.iter_mut().zip(pending) {
            *head = pending.wait().unwrap().records[0].head();
        }
    }
    store
}

#[test]
fn compacting_gives_room_back_and_changes_no_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let store = grown(&path);
    let (log, report) = (store.read(0, 10_000).unwrap(), verify(&store, |_| {}).unwrap());
    assert!(matches!(RedbStore::compact(&path), Err(StoreError::InUse { .. })));
    drop(store);
    let closed = fs::metadata(&path).unwrap().len();
    let compacted = RedbStore::compact(&path).unwrap();
    assert_eq!(compacted.before, closed);
    assert_eq!(compacted.after, fs::metadata(&path).unwrap().len());
    assert!(compacted.after < compacted.before, "{compacted:?}");
    println!("{compacted:?}");
    assert_eq!(names(folder.path()), ["log.redb"]);
    let store = RedbStore::open_read_only(&path).unwrap();
    assert_eq!(verify(&store, |_| {}).unwrap(), report);
    assert_eq!(store.read(0, 10_000).unwrap(), log);
    drop(store);
    let store = RedbStore::open(&path).unwrap();
    append(&store, "s1", 99, 10);
    let missing = folder.path().join("missing.redb");
    assert!(matches!(RedbStore::compact(&missing), Err(StoreError::Backend { .. })));
    assert!(!missing.exists(), "nothing is made where nothing was");
}
