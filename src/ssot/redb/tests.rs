//! The store on media that fail: flushes that return an error, and power that goes
//! out between a write and its flush.

mod power;

use std::collections::BTreeSet;
use std::io;
use std::sync::{Barrier, Mutex};

use redb::StorageBackend;

use super::*;
use crate::digest::Domain;
use crate::id::Subsystem;
use crate::ssot::ledger::Ledger;
use crate::ssot::memory::MemoryStore;
use crate::ssot::record::{Draft, RecordKind, StreamKind};
use crate::ssot::verify::{verify, verify_stream};
use crate::time::Timestamp;

/// A disk that keeps what was flushed, and of what was only written whatever it likes.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
pub(super) struct Platter {
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

/// The three media of a store.
#[derive(Debug, Clone, Default)]
struct Media {
    tables: Disk,
    journal: [Disk; 2],
}

impl Media {
    fn journal(&self, change: impl Fn(&mut Platter)) {
        self.journal.iter().for_each(|disk| disk.change(&change));
    }

    fn fail_flushes(&self, after: u64) {
        self.journal(|platter| platter.fail_flush_after = Some(platter.flushes + after));
    }

    fn heal(&self) {
        self.journal(|platter| (platter.fail_flush_after, platter.fail_writes) = (None, false));
    }

    /// Flushes of the journal so far.
    fn flushes(&self) -> u64 {
        self.journal.iter().map(|disk| disk.0.lock().unwrap().flushes).sum()
    }

    fn after_power_loss(&self, random: &mut u64) -> Self {
        let tables = self.tables.after_power_loss(random);
        Self { tables, journal: self.journal.each_ref().map(|d| d.after_power_loss(random)) }
    }

    /// The media as they stand: what a killed process leaves.
    fn copied(&self) -> Self {
        let copy = |disk: &Disk| {
            let now = disk.0.lock().unwrap().now.clone();
            Disk(Arc::new(Mutex::new(Platter { flushed: now.clone(), now, ..Platter::default() })))
        };
        Self { tables: copy(&self.tables), journal: self.journal.each_ref().map(copy) }
    }
}

fn on(media: &Media) -> Result<RedbStore, StoreError> {
    on_with(media, &Options::new())
}

fn on_with(media: &Media, options: &Options) -> Result<RedbStore, StoreError> {
    let media = media.clone();
    let disk = move |which: usize| match which.checked_sub(1) {
        None => media.tables.clone(),
        Some(segment) => media.journal[segment].clone(),
    };
    RedbStore::create_on(disk, "disk", options)
}

fn commit(store: &RedbStore, group: &[Batch]) -> Vec<committer::Answer> {
    let mut core = store.committer.as_ref().unwrap().core.lock().unwrap();
    committer::commit(&store.shared, &mut core, &group.iter().collect::<Vec<_>>())
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
    let media = Media::default();
    let store = on(&media).unwrap();
    let one = store.append(&batch(&stream("a"), Head::EMPTY, b"1")).unwrap().records;
    media.fail_flushes(0);
    let answer = store.append(&batch(&stream("a"), one[0].head(), b"2"));
    assert!(matches!(answer, Err(AppendError::Unknown(_))), "{answer:?}");
    // The disk is well again, but what it holds is not known before it is opened again.
    media.heal();
    let answer = store.append(&batch(&stream("b"), Head::EMPTY, b""));
    assert!(matches!(answer, Err(AppendError::Failed(_))), "{answer:?}");
    assert!(matches!(store.head(&stream("a")), Err(StoreError::Damaged { .. })));
    drop(store);
    let store = on(&media).unwrap();
    let length = store.head(&stream("a")).unwrap().length();
    assert!((1..=2).contains(&length), "replay decides: {length}");
    assert_eq!(verify(&store, |_| {}).unwrap().records, length);
    assert_eq!(store.head(&stream("b")).unwrap(), Head::EMPTY);
}

#[test]
fn a_store_that_cannot_write_never_says_ok() {
    let media = Media::default();
    let store = on(&media).unwrap();
    media.journal(|platter| platter.fail_writes = true);
    let answer = store.append(&batch(&stream("a"), Head::EMPTY, &std::vec![1; 100_000]));
    assert!(matches!(answer, Err(AppendError::Failed(_))), "{answer:?}");
    drop(store);
    media.heal();
    let store = on(&media).unwrap();
    assert_eq!(verify(&store, |_| {}).unwrap().records, 0);
    // A group that was not written whole is nowhere: the next takes its place.
    media.journal(|platter| platter.fail_writes = true);
    assert!(store.append(&batch(&stream("a"), Head::EMPTY, &[1; 5000])).is_err());
    media.heal();
    store.append(&batch(&stream("a"), Head::EMPTY, b"2")).unwrap();
    assert_eq!(verify(&on(&media.copied()).unwrap(), |_| {}).unwrap().records, 1);
}

#[test]
fn a_disk_that_cannot_be_read_is_a_typed_error() {
    let media = Media::default();
    drop(on(&media).unwrap());
    media.tables.change(|platter| platter.fail_reads = true);
    assert!(matches!(on(&media), Err(StoreError::Backend { .. } | StoreError::Damaged { .. })));
}

/// Everything acknowledged survives a power loss, whatever became of the sectors that were
/// not flushed, and what is there is whole (D-27).
#[test]
fn power_loss_loses_nothing_acknowledged_and_tears_no_batch() {
    let mut random = 0x9e37_79b9_7f4a_7c15;
    let mut media = Media::default();
    let mut acknowledged = Vec::new();
    for round in 0..60_u8 {
        // Turns of all lengths, so that some power goes out while one is written back.
        let options =
            Options::new().journal_bytes(usize::try_from(next(&mut random)).unwrap() % 20_000);
        let store = on_with(&media, &options).unwrap();
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
                media.fail_flushes(next(&mut random) % 2);
            }
            match store.append(&both) {
                Ok(committed) => acknowledged.extend(committed.records),
                Err(error) => assert!(matches!(error, AppendError::Unknown(_)), "{error:?}"),
            }
        }
        let after = media.after_power_loss(&mut random);
        drop(store);
        media = after;

        let store = on(&media).unwrap();
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
    let media = Media::default();
    let store = on(&media).unwrap();
    let flushes = media.flushes();
    let answers = commit(&store, &group());
    assert_eq!((store.commits(), media.flushes()), (1, flushes + 1));
    let head = store.head(&stream("a")).unwrap();
    assert_eq!(answers[0].as_ref().unwrap().records[0].head(), head);
    assert!(matches!(&answers[1], Err(AppendError::Conflict { found, .. }) if *found == head));
    assert!(matches!(&answers[2], Err(AppendError::Refused { .. })));
    assert_eq!(answers[3].as_ref().unwrap().records[0].index(), 1);
    assert_eq!(answers.len(), 4);
}

#[test]
fn a_group_whose_commit_fails_tells_each_batch_what_is_known() {
    let media = Media::default();
    let store = on(&media).unwrap();
    media.fail_flushes(0);
    let answers = commit(&store, &group());
    assert!(matches!(answers[0], Err(AppendError::Unknown(_))));
    // It was in conflict with a batch of which nothing is known: only that it wasn't written.
    assert!(matches!(answers[1], Err(AppendError::Failed(_))));
    assert!(matches!(answers[2], Err(AppendError::Refused { .. })));
    assert!(matches!(answers[3], Err(AppendError::Unknown(_))));
    assert_eq!((answers.len(), store.commits()), (4, 0));
}

#[test]
fn a_group_with_nothing_to_write_commits_nothing() {
    let media = Media::default();
    let store = on(&media).unwrap();
    store.append(&batch(&stream("a"), Head::EMPTY, b"")).unwrap();
    let (commits, flushes) = (store.commits(), media.flushes());
    assert!(store.append(&batch(&stream("a"), Head::EMPTY, b"")).is_err());
    assert!(store.append(&Batch::new(Timestamp::default())).is_err());
    assert_eq!((store.commits(), media.flushes()), (commits, flushes));
}

#[test]
fn a_second_writer_in_the_same_process_is_told_which_file_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let store = RedbStore::create(&path).unwrap();
    for open in [RedbStore::create, RedbStore::open, RedbStore::open_read_only] {
        match open(path.clone()) {
            Err(StoreError::InUse { place, holder }) => {
                assert_eq!(*place, *path.display().to_string());
                assert!(holder.unwrap().starts_with("this very process"));
            }
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

/// One store with short turns and one in memory are told the same, and answer the same.
#[test]
fn reads_answer_the_same_wherever_a_record_is() {
    let mut random = 0x2545_f491_4f6c_dd1d;
    let media = Media::default();
    let options = Options::new().journal_bytes(3000);
    let (mut store, memory) = (on_with(&media, &options).unwrap(), MemoryStore::new());
    for round in 0..200_u64 {
        let id = stream(&format!("s{}", next(&mut random) % 7));
        let payload = round.to_le_bytes();
        let digest = Domain::Payload.hash(&payload);
        let append = batch(&id, memory.head(&id).unwrap(), &payload)
            .append(Draft::new(id.clone(), RecordKind::Fact, Subsystem::Memory, vec![8; 90]))
            .payload(digest, payload.as_slice().into());
        let answers = [store.append(&append), memory.append(&append)];
        let [one, two] = answers.map(|answer| answer.unwrap().records);
        assert_eq!(one, two);
        let (from, limit) = (next(&mut random) % (round + 2), next(&mut random) % 9);
        let limit = usize::try_from(limit).unwrap();
        assert_eq!(store.len().unwrap(), memory.len().unwrap());
        assert_eq!(store.read(from * 2, limit).unwrap(), memory.read(from * 2, limit).unwrap());
        assert_eq!(store.read(0, 1000).unwrap(), memory.read(0, 1000).unwrap());
        for name in 0..8 {
            let id = stream(&format!("s{name}"));
            assert_eq!(store.head(&id).unwrap(), memory.head(&id).unwrap());
            for (from, limit) in [(0, 1000), (from / 5, limit), (from, 1)] {
                let [one, two]: [&dyn Store; 2] = [&store, &memory];
                let [one, two] = [one, two].map(|s| s.read_stream(&id, from, limit).unwrap());
                assert_eq!(one, two, "{round}: {id} from {from}, {limit}");
            }
            for (after, limit) in [(None, limit), (Some(&id), limit), (Some(&id), 100)] {
                let [one, two]: [&dyn Store; 2] = [&store, &memory];
                let [one, two] = [one, two].map(|s| s.streams(after, limit).unwrap());
                assert_eq!(one, two, "{round}: after {after:?}, {limit}");
            }
        }
        let old = Domain::Payload.hash(&(from.min(round)).to_le_bytes());
        assert_eq!(store.payload(&old).unwrap(), memory.payload(&old).unwrap());
        let other = append.clone().payload(old, (*b"other").into());
        for answer in [store.append(&other), memory.append(&other)] {
            assert!(matches!(answer, Err(AppendError::Refused { .. })), "{answer:?}");
        }
        if next(&mut random).is_multiple_of(40) {
            drop(store);
            store = on_with(&media, &options).unwrap();
        }
    }
    assert_eq!(verify(&store, |_| {}).unwrap(), verify(&memory, |_| {}).unwrap());
}

/// A store with a few records that only its journal has, and what they are.
fn unclosed() -> (Media, RedbStore, Vec<Stored>) {
    let media = Media::default();
    let store = on(&media).unwrap();
    let mut head = Head::EMPTY;
    for number in 0..5_u8 {
        let append = batch(&stream("a"), head, &[number; 300])
            .payload(Domain::Payload.hash(&[number]), [number].as_slice().into());
        head = store.append(&append).unwrap().records[0].head();
    }
    let records = store.read(0, 10).unwrap();
    (media, store, records)
}

#[test]
fn what_only_the_journal_has_is_read_back() {
    let (media, store, records) = unclosed();
    let killed = media.copied();
    assert_eq!(records.len(), 5);
    let again = on(&killed).unwrap();
    assert_eq!(again.read(0, 10).unwrap(), records);
    assert_eq!(again.head(&stream("a")).unwrap(), store.head(&stream("a")).unwrap());
    assert_eq!(again.payload(&Domain::Payload.hash(&[3])).unwrap(), Some([3].as_slice().into()));
    // And goes on, with the same records in another turn.
    let head = again.head(&stream("a")).unwrap();
    again.append(&batch(&stream("a"), head, b"more")).unwrap();
    assert_eq!(verify(&on(&killed.copied()).unwrap(), |_| {}).unwrap().records, 6);
}

/// Groups of 512-byte sectors; in each the last group is damaged in one place.
#[test]
fn a_damaged_group_ends_the_journal_and_those_before_it_are_kept() {
    let (media, _store, records) = unclosed();
    let len = 2 * SECTOR * 4..2 * SECTOR * 4 + 88 + 37 + 37 + 380;
    let mut lost = 0;
    for byte in len.step_by(7) {
        let damaged = media.copied();
        damaged.journal[0].change(|platter| platter.now[byte] ^= 4);
        let store = on(&damaged).unwrap();
        let found = store.read(0, 10).unwrap();
        assert_eq!(found, records[..found.len()], "byte {byte}");
        assert!(found.len() >= 4, "byte {byte}: {}", found.len());
        lost += 5 - found.len();
    }
    assert!(lost > 60, "{lost}");
}

#[test]
fn a_journal_of_another_store_or_with_a_gap_is_damage() {
    let (media, _store, _) = unclosed();
    let other = Media { tables: Disk::default(), ..media.copied() };
    let error = on(&other).unwrap_err();
    assert!(error.to_string().contains("another store"), "{error}");
    // The tables as they were before records that the journal goes on after.
    let early = Media::default();
    let store = on_with(&early, &Options::new().journal_bytes(1)).unwrap();
    let tables = early.copied().tables;
    let mut head = Head::EMPTY;
    for _ in 0..5 {
        head = store.append(&batch(&stream("a"), head, b"x")).unwrap().records[0].head();
    }
    let error = on(&Media { tables, ..early.copied() }).unwrap_err();
    assert!(error.to_string().contains("the journal goes on at record 3, expected 0"), "{error}");
}

/// Two stores that were one go on differently: the journal of one is not the other's.
#[test]
fn a_journal_whose_records_do_not_follow_is_damage() {
    let media = Media::default();
    drop(on(&media).unwrap());
    let (one, two) = (media.copied(), media.copied());
    on(&one).unwrap().append(&batch(&stream("a"), Head::EMPTY, b"one")).unwrap();
    let store = on(&two).unwrap();
    let first = store.append(&batch(&stream("a"), Head::EMPTY, b"two")).unwrap().records;
    store.append(&batch(&stream("a"), first[0].head(), b"more")).unwrap();
    let error = on(&Media { tables: one.tables, ..two.copied() }).unwrap_err();
    assert!(error.to_string().contains("record 1 of the journal does not follow"), "{error}");
}

/// A whole group of another turn right after the last of this one, with the right index,
/// store and link: bytes that an earlier payload may have left there.
#[test]
fn a_group_of_another_turn_is_not_read_back() {
    let (media, store, _) = unclosed();
    let other = media.copied();
    let later = on(&other).unwrap();
    let head = later.head(&stream("a")).unwrap();
    later.append(&batch(&stream("a"), head, b"forged")).unwrap();
    let forged = other.journal[0].0.lock().unwrap().now[..SECTOR].to_vec();
    let end = 5 * 2 * SECTOR;
    let planted = media.copied();
    planted.journal[0].change(|platter| {
        assert!(platter.now[end..end + SECTOR].iter().all(|byte| *byte == 0));
        assert!(platter.now[end - 2 * SECTOR..end].iter().any(|byte| *byte != 0));
        platter.now[end..end + SECTOR].copy_from_slice(&forged);
    });
    let again = on(&planted).unwrap();
    assert_eq!(again.read(0, 10).unwrap(), store.read(0, 10).unwrap());
}

#[test]
fn tables_that_cannot_be_brought_up_to_date_lose_nothing() {
    let media = Media::default();
    let store = on_with(&media, &Options::new().journal_bytes(1000)).unwrap();
    media.tables.change(|platter| platter.fail_flush_after = Some(platter.flushes));
    let (mut head, mut kept) = (Head::EMPTY, 0);
    let refused = loop {
        match store.append(&batch(&stream("a"), head, &[1; 400])) {
            Ok(committed) => (head, kept) = (committed.records[0].head(), kept + 1),
            Err(error) => break error,
        }
        assert!(kept < 100, "a journal without an end");
    };
    assert!(matches!(refused, AppendError::Failed(_)), "{refused:?}");
    assert!(matches!(store.head(&stream("a")), Err(StoreError::Damaged { .. })));
    drop(store);
    media.tables.change(|platter| platter.fail_flush_after = None);
    assert_eq!(on(&media).unwrap().head(&stream("a")).unwrap(), head);
    assert!(kept > 2);
}

#[test]
fn batches_handed_over_by_one_thread_keep_their_order() {
    let store = on(&Media::default()).unwrap();
    let memory = MemoryStore::new();
    let mut head = Head::EMPTY;
    let batches = (0..50_u8).map(|number| {
        let batch = Arc::new(batch(&stream("a"), head, &[number]));
        head = memory.append(&batch).unwrap().records[0].head();
        batch
    });
    let batches: Vec<_> = batches.collect();
    let pending: Vec<_> = batches.iter().map(|batch| store.submit(Arc::clone(batch))).collect();
    for pending in pending {
        assert_eq!(pending.wait().unwrap().records.len(), 1);
    }
    assert_eq!(store.head(&stream("a")).unwrap(), head);
}

/// A short turn in a segment that held a long one: what is left of the long one is not read.
#[test]
fn groups_of_an_older_turn_are_not_read_back() {
    let media = Media::default();
    let options = Options::new().journal_bytes(4000);
    let store = on_with(&media, &options).unwrap();
    let mut head = Head::EMPTY;
    let mut records = 0;
    for size in [900, 900, 900, 900, 900, 3000, 3000, 40, 900, 900, 900, 900] {
        let append = batch(&stream("a"), head, &std::vec![1; size]);
        head = store.append(&append).unwrap().records[0].head();
        records += 1;
        let report = verify(&on(&media.copied()).unwrap(), |_| {}).unwrap();
        assert_eq!(report.records, records);
    }
}

#[test]
fn a_closed_store_is_one_file_and_one_that_was_not_closed_is_not_read_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let names = || {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let store = RedbStore::create(&path).unwrap();
    store.append(&batch(&stream("a"), Head::EMPTY, b"1")).unwrap();
    assert_eq!(names(), ["log.redb", "log.redb.holder", "log.redb.journal-0"]);
    let journal = std::fs::read(folder.path().join("log.redb.journal-0")).unwrap();
    drop(store);
    assert_eq!(names(), ["log.redb"]);
    let closed = std::fs::read(&path).unwrap();
    let reader = RedbStore::open_read_only(&path).unwrap();
    assert_eq!(reader.len().unwrap(), 1);
    assert_eq!(reader.read(0, 9).unwrap().len(), 1);
    drop(reader);
    // A journal that the tables have all of is no obstacle, one with more is.
    std::fs::write(folder.path().join("log.redb.journal-0"), &journal).unwrap();
    assert!(RedbStore::open_read_only(&path).is_ok());
    let store = RedbStore::open(&path).unwrap();
    let head = store.head(&stream("a")).unwrap();
    store.append(&batch(&stream("a"), head, b"2")).unwrap();
    let journal = std::fs::read(folder.path().join("log.redb.journal-0")).unwrap();
    drop(store);
    std::fs::write(&path, &closed).unwrap();
    std::fs::write(folder.path().join("log.redb.journal-0"), &journal).unwrap();
    let error = RedbStore::open_read_only(&path).unwrap_err();
    assert!(error.to_string().contains("was not closed"), "{error}");
    assert_eq!(RedbStore::open(&path).unwrap().len().unwrap(), 2);
    assert_eq!(RedbStore::open_read_only(&path).unwrap().len().unwrap(), 2);
}
