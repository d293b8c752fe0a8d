//! The store on media that fail: flushes that return an error, and power that goes
//! out between a write and its flush.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Barrier, Mutex};

use redb::StorageBackend;

use super::*;
use crate::id::Subsystem;
use crate::ssot::ledger::Ledger;
use crate::ssot::record::{Draft, RecordKind, StreamKind};
use crate::ssot::verify::{verify, verify_stream};
use crate::time::Timestamp;

/// A disk that keeps what was flushed, and of what was only written whatever it likes.
#[derive(Debug, Clone, Default)]
struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    /// What a reader sees.
    now: Vec<u8>,
    /// What was there at the last flush.
    flushed: Vec<u8>,
    /// Sectors written since the last flush, by number.
    dirty: BTreeSet<usize>,
    flushes: u64,
    fail_flush_after: Option<u64>,
    fail_writes: bool,
    fail_reads: bool,
}

const SECTOR: usize = 512;

impl Disk {
    /// The disk after the power went out: each unflushed sector is there or not.
    fn after_power_loss(&self, random: &mut u64) -> Self {
        let platter = self.0.lock().unwrap();
        let mut image = platter.flushed.clone();
        if next(random) & 1 == 0 {
            image.resize(platter.now.len(), 0);
        }
        // Sometimes nearly all, sometimes nearly none.
        let share = next(random) % 101;
        for &sector in &platter.dirty {
            let range = sector * SECTOR..((sector + 1) * SECTOR).min(platter.now.len());
            if next(random) % 100 < share && range.end <= image.len() && !range.is_empty() {
                image[range.clone()].copy_from_slice(&platter.now[range]);
            }
        }
        Self(Arc::new(Mutex::new(Platter {
            now: image.clone(),
            flushed: image,
            ..Platter::default()
        })))
    }

    fn change(&self, change: impl FnOnce(&mut Platter)) {
        change(&mut self.0.lock().unwrap());
    }
}

fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.lock().unwrap().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let platter = self.0.lock().unwrap();
        if platter.fail_reads {
            return Err(io::Error::other("the disk cannot be read"));
        }
        let start = usize::try_from(offset).unwrap();
        let found = platter.now.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.change(|platter| platter.now.resize(usize::try_from(len).unwrap(), 0));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut platter = self.0.lock().unwrap();
        if platter.fail_flush_after.is_some_and(|after| platter.flushes >= after) {
            return Err(io::Error::other("the disk cannot be flushed"));
        }
        platter.flushes += 1;
        platter.flushed = platter.now.clone();
        platter.dirty.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut platter = self.0.lock().unwrap();
        if platter.fail_writes {
            return Err(io::Error::other("the disk cannot be written"));
        }
        let start = usize::try_from(offset).unwrap();
        let end = start + data.len();
        if platter.now.len() < end {
            platter.now.resize(end, 0);
        }
        platter.now[start..end].copy_from_slice(data);
        for sector in start / SECTOR..end.div_ceil(SECTOR) {
            platter.dirty.insert(sector);
        }
        Ok(())
    }
}

fn on(disk: &Disk) -> Result<RedbStore, StoreError> {
    RedbStore::create_on(disk.clone(), "disk", &Options::new())
}

fn stream(name: &str) -> StreamId {
    StreamId::new(StreamKind::Routing, name.parse().unwrap())
}

fn batch(stream: &StreamId, head: Head, body: &[u8]) -> Batch {
    let draft =
        Draft::new(stream.clone(), RecordKind::Outcome, Subsystem::Execution, body.to_vec());
    Batch::new(Timestamp::from_millis(1)).expect(stream.clone(), head).append(draft)
}

#[test]
fn a_failed_flush_is_unknown_and_closes_the_store() {
    let disk = Disk::default();
    let store = on(&disk).unwrap();
    let one = store.append(&batch(&stream("a"), Head::EMPTY, b"1")).unwrap().records;
    disk.change(|platter| platter.fail_flush_after = Some(platter.flushes));
    let answer = store.append(&batch(&stream("a"), one[0].head(), b"2"));
    assert!(matches!(answer, Err(AppendError::Unknown(_))), "{answer:?}");
    // The disk is well again, but what it holds is not known before it is opened again.
    disk.change(|platter| platter.fail_flush_after = None);
    let answer = store.append(&batch(&stream("b"), Head::EMPTY, b""));
    assert!(matches!(answer, Err(AppendError::Failed(_))), "{answer:?}");
    assert!(matches!(store.head(&stream("a")), Err(StoreError::Damaged { .. })));
    drop(store);
    let store = on(&disk).unwrap();
    let length = store.head(&stream("a")).unwrap().length();
    assert!((1..=2).contains(&length), "replay decides: {length}");
    assert_eq!(verify(&store, |_| {}).unwrap().records, length);
    assert_eq!(store.head(&stream("b")).unwrap(), Head::EMPTY);
}

#[test]
fn a_store_that_cannot_write_never_says_ok() {
    let disk = Disk::default();
    let store = on(&disk).unwrap();
    disk.change(|platter| platter.fail_writes = true);
    let answer = store.append(&batch(&stream("a"), Head::EMPTY, &std::vec![1; 100_000]));
    assert!(matches!(answer, Err(AppendError::Unknown(_) | AppendError::Failed(_))), "{answer:?}");
    drop(store);
    disk.change(|platter| platter.fail_writes = false);
    assert_eq!(verify(&on(&disk).unwrap(), |_| {}).unwrap().records, 0);
}

#[test]
fn a_disk_that_cannot_be_read_is_a_typed_error() {
    let disk = Disk::default();
    drop(on(&disk).unwrap());
    disk.change(|platter| platter.fail_reads = true);
    assert!(matches!(on(&disk), Err(StoreError::Backend { .. } | StoreError::Damaged { .. })));
}

/// Everything acknowledged survives a power loss, whatever became of the sectors that were
/// not flushed, and what is there is whole (D-27).
#[test]
fn power_loss_loses_nothing_acknowledged_and_tears_no_batch() {
    let mut random = 0x9e37_79b9_7f4a_7c15;
    let mut disk = Disk::default();
    let mut acknowledged = Vec::new();
    for round in 0..60_u8 {
        let store = on(&disk).unwrap();
        let appends = next(&mut random) % 5;
        for number in 0..=appends {
            let (a, b) = (stream("a"), stream("b"));
            let size = usize::try_from(next(&mut random) % 9000).unwrap();
            let both = batch(&a, store.head(&a).unwrap(), &std::vec![round; size]);
            let other = Draft::new(b.clone(), RecordKind::Fact, Subsystem::Memory, Vec::new());
            let both = both.expect(b.clone(), store.head(&b).unwrap()).append(other);
            if number == appends {
                // The power goes out within the last commit, before any of its flushes or
                // between two.
                let left = next(&mut random) % 2;
                disk.change(|platter| platter.fail_flush_after = Some(platter.flushes + left));
            }
            match store.append(&both) {
                Ok(committed) => acknowledged.extend(committed.records),
                Err(error) => assert!(matches!(error, AppendError::Unknown(_)), "{error:?}"),
            }
        }
        let after = disk.after_power_loss(&mut random);
        drop(store);
        disk = after;

        let store = on(&disk).unwrap();
        let report = verify(&store, |_| {}).unwrap();
        let [a, b] = ["a", "b"].map(|name| verify_stream(&store, &stream(name)).unwrap());
        assert_eq!(a.len(), b.len(), "round {round}: a batch was torn");
        assert_eq!(report.records, (a.len() + b.len()) as u64);
        for record in &acknowledged {
            let kept = if *record.stream() == stream("a") { &a } else { &b };
            let at = usize::try_from(record.sequence()).unwrap();
            assert_eq!(kept.get(at), Some(record), "round {round}");
        }
        drop(store);
    }
    assert!(acknowledged.len() > 100);
}

#[test]
fn concurrent_appends_share_commits_and_a_conflict_fails_only_itself() {
    const THREADS: usize = 16;
    const APPENDS: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(RedbStore::create(folder.path().join("log.redb")).unwrap());
    let barrier = Barrier::new(THREADS);
    let taken = ledger.commit(batch(&stream("taken"), Head::EMPTY, b"")).unwrap();
    let taken = taken.head(&stream("taken")).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (ledger, barrier) = (&ledger, &barrier);
            scope.spawn(move || {
                let own = stream(&format!("own {thread}"));
                let mut head = Head::EMPTY;
                barrier.wait();
                for _ in 0..APPENDS {
                    let receipt = ledger.commit(batch(&own, head, b"x")).unwrap();
                    head = receipt.head(&own).unwrap();
                    assert_eq!(receipt.durability(), Durability::Durable);
                    let stale = ledger.store().append(&batch(&stream("taken"), Head::EMPTY, b""));
                    assert!(
                        matches!(stale, Err(AppendError::Conflict { found, .. }) if found == taken)
                    );
                }
            });
        }
    });
    let appends = (THREADS * APPENDS) as u64;
    let commits = ledger.store().commits();
    assert!(commits < appends / 2, "{commits} commits for {appends} appends");
    assert_eq!(verify(ledger.store(), |_| {}).unwrap().records, appends + 1);
}

/// Two batches for the same new stream, one for another: the second is in conflict with
/// the first, which is in the same group.
fn group() -> Vec<Batch> {
    let [a, b] = [stream("a"), stream("b")];
    vec![
        batch(&a, Head::EMPTY, b"1"),
        batch(&a, Head::EMPTY, b"2"),
        Batch::new(Timestamp::default()),
        batch(&b, Head::EMPTY, b"3"),
    ]
}

#[test]
fn a_group_is_one_commit_and_each_batch_sees_those_before_it() {
    let disk = Disk::default();
    let store = on(&disk).unwrap();
    let flushes = disk.0.lock().unwrap().flushes;
    let answers = committer::commit(&store.shared, group());
    assert_eq!((store.commits(), disk.0.lock().unwrap().flushes), (1, flushes + 1));
    let head = store.head(&stream("a")).unwrap();
    assert_eq!(answers[0].as_ref().unwrap().records[0].head(), head);
    assert!(matches!(&answers[1], Err(AppendError::Conflict { found, .. }) if *found == head));
    assert!(matches!(&answers[2], Err(AppendError::Refused { .. })));
    assert_eq!(answers[3].as_ref().unwrap().records[0].index(), 1);
    assert_eq!(answers.len(), 4);
}

#[test]
fn a_group_whose_commit_fails_tells_each_batch_what_is_known() {
    let disk = Disk::default();
    let store = on(&disk).unwrap();
    disk.change(|platter| platter.fail_flush_after = Some(platter.flushes));
    let answers = committer::commit(&store.shared, group());
    assert!(matches!(answers[0], Err(AppendError::Unknown(_))));
    // It was in conflict with a batch of which nothing is known: only that it wasn't written.
    assert!(matches!(answers[1], Err(AppendError::Failed(_))));
    assert!(matches!(answers[2], Err(AppendError::Refused { .. })));
    assert!(matches!(answers[3], Err(AppendError::Unknown(_))));
    assert_eq!((answers.len(), store.commits()), (4, 0));
}

#[test]
fn a_group_with_nothing_to_write_commits_nothing() {
    let disk = Disk::default();
    let store = on(&disk).unwrap();
    store.append(&batch(&stream("a"), Head::EMPTY, b"")).unwrap();
    let (commits, flushes) = (store.commits(), disk.0.lock().unwrap().flushes);
    assert!(store.append(&batch(&stream("a"), Head::EMPTY, b"")).is_err());
    assert!(store.append(&Batch::new(Timestamp::default())).is_err());
    assert_eq!((store.commits(), disk.0.lock().unwrap().flushes), (commits, flushes));
}

#[test]
fn a_second_writer_in_the_same_process_is_told_which_file_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let store = RedbStore::create(&path).unwrap();
    for open in [RedbStore::create, RedbStore::open, RedbStore::open_read_only] {
        match open(path.clone()) {
            Err(StoreError::InUse { place }) => assert_eq!(*place, *path.display().to_string()),
            other => panic!("expected it to be in use, found {other:?}"),
        }
    }
    drop(store);
    let reader = RedbStore::open_read_only(&path).unwrap();
    assert!(RedbStore::open_read_only(&path).is_ok(), "readers share");
    assert!(matches!(RedbStore::open(&path), Err(StoreError::InUse { .. })));
    drop(reader);
    assert!(RedbStore::open(&path).is_ok());
}
