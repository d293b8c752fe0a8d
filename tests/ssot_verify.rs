//! Verification names the first bad record of a log that was tampered with: on the file
//! of the embedded store, edited with redb itself.

#![cfg(feature = "redb")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the helpers of tests, too, may end a test"
)]

use std::path::{Path, PathBuf};

use prospera::digest::{Digest, Domain};
use prospera::id::Subsystem;
use prospera::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use prospera::ssot::redb::{Options, RedbStore};
use prospera::ssot::store::{Batch, Store, StoreError, Stretch};
use prospera::ssot::verify::{
    CHUNK, Fault, Place, Progress, VerifyError, replay, verify, verify_stream,
};
use prospera::time::Timestamp;
use redb::{Database, ReadableTable, Table, TableDefinition, WriteTransaction};

const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("prospera.records");
const HEADS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("prospera.heads");
const STREAMS: TableDefinition<'_, (&[u8], u64), u64> = TableDefinition::new("prospera.streams");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("prospera.meta");

/// Records in the log that is tampered with: more than two windows of the verification.
const COUNT: u64 = 2 * CHUNK as u64 + 22;

fn stream(number: u64) -> StreamId {
    StreamId::new(StreamKind::Audience, format!("subject {number}").parse().unwrap())
}

fn key(number: u64) -> Vec<u8> {
    let mut key = vec![1];
    key.extend_from_slice(stream(number).name().as_str().as_bytes());
    key
}

fn draft(stream: &StreamId, body: &[u8]) -> Draft {
    Draft::new(stream.clone(), RecordKind::AudienceEvent, Subsystem::Audience, body.to_vec())
}

/// A log of five streams that take turns: record `i` is number `i / 5` of stream `i % 5`.
fn sound(path: &Path) -> Vec<Record> {
    let store = RedbStore::create(path).unwrap();
    let batch = Batch::new(Timestamp::default());
    let batch = (0..5).fold(batch, |batch, number| batch.expect(stream(number), Head::EMPTY));
    let batch = (0..COUNT).fold(batch, |b, number| b.append(draft(&stream(number % 5), b"a body")));
    let all = store.append(&batch).unwrap().records;
    assert_eq!(all.len() as u64, COUNT);
    all
}

struct Log {
    _folder: tempfile::TempDir,
    path: PathBuf,
    records: Vec<Record>,
}

impl Log {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.redb");
        Self { records: sound(&path), path, _folder: folder }
    }

    fn edit(&self, edit: impl FnOnce(&WriteTransaction)) {
        let database = Database::open(&self.path).unwrap();
        let transaction = database.begin_write().unwrap();
        edit(&transaction);
        transaction.commit().unwrap();
    }

    fn edit_records(&self, edit: impl FnOnce(&mut Table<'_, u64, &'static [u8]>)) {
        self.edit(|transaction| edit(&mut transaction.open_table(RECORDS).unwrap()));
    }

    fn verify(&self) -> Result<u64, VerifyError> {
        // Read only: what is wrong at the log's end keeps a store from being written to.
        let store = RedbStore::open_read_only(&self.path).unwrap();
        verify(&store, |_| {}).map(|report| report.records)
    }

    fn fault(&self) -> Fault {
        match self.verify() {
            Err(VerifyError::Fault(fault)) => fault,
            other => panic!("expected a fault, found {other:?}"),
        }
    }
}

fn row(table: &Table<'_, u64, &'static [u8]>, index: u64) -> Vec<u8> {
    table.get(index).unwrap().unwrap().value().to_vec()
}

fn with_digest(record: &Record) -> Vec<u8> {
    [record.digest().as_bytes().as_slice(), record.bytes()].concat()
}

#[test]
fn a_sound_log_is_found_sound_in_pieces() {
    let log = Log::new();
    let store = RedbStore::open_read_only(&log.path).unwrap();
    let mut seen = Vec::new();
    let report = verify(&store, |progress| seen.push(progress)).unwrap();
    assert_eq!((report.records, report.streams), (COUNT, 5));
    assert_eq!(report.last, log.records.last().map(Record::digest));
    let chunk = CHUNK as u64;
    let steps = [chunk, 2 * chunk, COUNT];
    assert_eq!(seen, steps.map(|verified| Progress { verified, total: COUNT }));
    assert!(matches!(
        store.append(&Batch::new(Timestamp::default())),
        Err(prospera::ssot::store::AppendError::Refused { .. })
    ));
}

/// Part of the log in the tables, part in two turns of the journal, and every part between.
#[test]
fn a_log_is_verified_while_it_is_written_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let options = Options::new().journal_bytes(4096);
    let store = RedbStore::create_with(&path, &options).unwrap();
    let mut heads = [Head::EMPTY; 3];
    for turn in 1..=150_u64 {
        let number = turn % 3;
        let id = stream(number);
        let batch = Batch::new(Timestamp::default()).expect(id.clone(), heads[number as usize]);
        let record = store.append(&batch.append(draft(&id, &[7; 300]))).unwrap().records.remove(0);
        heads[number as usize] = record.head();
        let report = verify(&store, |_| {}).unwrap();
        assert_eq!((report.records, report.last), (turn, Some(record.digest())));
        let mut shown = Vec::new();
        store.scan(0, 1000, &mut |bytes, _| shown.push(bytes.to_vec())).unwrap();
        let read = store.read(0, 1000).unwrap();
        assert!(shown.iter().eq(read.iter().map(|stored| &*stored.bytes)), "{turn}");
        for from in [0, 1, turn / 4, turn / 3, 1000] {
            let mut places = Vec::new();
            let stretch = Stretch { stream: &id, from, limit: 30 };
            store.trace(&[stretch], &mut |_, index| places.push(index)).unwrap();
            let own = store.read_stream(&id, from, 30).unwrap();
            let own = own.iter().map(|s| Record::decode_sealed(&s.bytes).unwrap().index());
            assert_eq!(places, own.collect::<Vec<_>>(), "{turn} from {from}");
        }
    }
}

#[test]
fn a_flipped_bit_is_named_wherever_it_is() {
    for index in [0, 1, 63, 64, 100, COUNT - 1] {
        let log = Log::new();
        let length = log.records[index as usize].bytes().len() + 32;
        for bit in (0..length * 8).step_by(67) {
            let mut original = Vec::new();
            log.edit_records(|table| {
                original = row(table, index);
                let mut bytes = original.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                table.insert(index, bytes.as_slice()).unwrap();
            });
            let fault = log.fault();
            assert!(
                matches!(&fault, Fault::Digest { place: Place::Log(found), stored, computed }
                    if *found == index && stored != computed),
                "record {index} bit {bit}: {fault:?}"
            );
            log.edit_records(|table| {
                table.insert(index, original.as_slice()).unwrap();
            });
        }
        assert_eq!(log.verify().unwrap(), COUNT, "as it was");
    }
}

#[test]
fn swapped_records_are_named() {
    for (a, b) in [(0, 1), (5, 10), (20, 21), (63, 64), (3, COUNT - 1)] {
        let log = Log::new();
        log.edit_records(|table| {
            let (first, second) = (row(table, a), row(table, b));
            table.insert(a, second.as_slice()).unwrap();
            table.insert(b, first.as_slice()).unwrap();
        });
        assert_eq!(log.fault(), Fault::Index { place: Place::Log(a), expected: a, found: b });
    }
}

#[test]
fn a_dropped_record_is_named() {
    for index in [0, 1, 64, 70, COUNT - 2] {
        let log = Log::new();
        log.edit_records(|table| {
            table.remove(index).unwrap();
        });
        let place = Place::Log(index);
        assert_eq!(log.fault(), Fault::Index { place, expected: index, found: index + 1 });
    }
}

#[test]
fn a_dropped_record_is_named_also_when_the_gap_is_closed() {
    let log = Log::new();
    log.edit_records(|table| {
        for index in 70..COUNT - 1 {
            let next = row(table, index + 1);
            table.insert(index, next.as_slice()).unwrap();
        }
        table.remove(COUNT - 1).unwrap();
    });
    let place = Place::Log(70);
    assert_eq!(log.fault(), Fault::Index { place, expected: 70, found: 71 });
}

#[test]
fn a_repeated_record_is_named() {
    for (from, to) in [(4, 5), (4, 9), (70, COUNT - 1), (0, COUNT)] {
        let log = Log::new();
        log.edit_records(|table| {
            let again = row(table, from);
            table.insert(to, again.as_slice()).unwrap();
        });
        let place = Place::Log(to);
        assert_eq!(log.fault(), Fault::Index { place, expected: to, found: from });
    }
}

#[test]
fn a_log_cut_off_is_shown_by_the_heads() {
    for cut in [1, 4, 5, 7, 100, COUNT] {
        let log = Log::new();
        log.edit_records(|table| {
            table.retain(|index, _| index < COUNT - cut).unwrap();
        });
        let index = COUNT - cut;
        assert_eq!(log.fault(), Fault::Truncated { index, expected: COUNT }, "cut {cut}");
    }
}

/// Another record in the place of one, with everything of its own right.
fn forged(log: &Log, index: u64) -> Record {
    let old = &log.records[index as usize];
    let draft = draft(old.stream(), b"nothing of the kind");
    Record::seal(draft, index, Head::new(old.sequence(), old.previous()), old.timestamp())
}

#[test]
fn a_rewritten_record_is_shown_by_the_next_of_its_stream() {
    for index in [0, 7, 62, 66] {
        let log = Log::new();
        let forged = forged(&log, index);
        log.edit_records(|table| {
            table.insert(index, with_digest(&forged).as_slice()).unwrap();
        });
        let (expected, found) = (forged.digest(), log.records[index as usize].digest());
        let place = Place::Log(index + 5);
        assert_eq!(log.fault(), Fault::Previous { place, expected, found });
    }
}

#[test]
fn a_rewritten_last_record_is_shown_by_its_head() {
    let log = Log::new();
    let last = COUNT - 2;
    let forged = forged(&log, last);
    log.edit_records(|table| {
        table.insert(last, with_digest(&forged).as_slice()).unwrap();
    });
    let found = log.records[last as usize].head();
    let stream = forged.stream().clone();
    assert_eq!(log.fault(), Fault::HeadMismatch { stream, expected: forged.head(), found });
}

#[test]
fn a_record_that_skips_ahead_or_repeats_a_sequence_is_named() {
    for (index, sequence) in [(6, 2), (6, 0), (70, 15), (70, 13)] {
        let log = Log::new();
        let old = &log.records[index as usize];
        let after = Head::new(sequence, Domain::Other.hash(b"x"));
        let moved = Record::seal(draft(old.stream(), b""), index, after, old.timestamp());
        log.edit_records(|table| {
            table.insert(index, with_digest(&moved).as_slice()).unwrap();
        });
        // Within a piece the sequence is counted; at its start the stream's index tells.
        match log.fault() {
            Fault::Sequence { place: Place::Log(found), expected, found: named } => {
                assert_eq!((found, expected, named), (index, index / 5, sequence));
            }
            Fault::Previous { place: Place::Log(found), .. }
            | Fault::StreamIndex { place: Place::Log(found), .. }
            | Fault::Missing { place: Place::Log(found), .. } => assert_eq!(found, index),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn bytes_that_are_no_record_are_named_even_with_their_digest() {
    let log = Log::new();
    let bytes = b"not a record";
    log.edit_records(|table| {
        let row = [Domain::Record.hash(bytes).as_bytes().as_slice(), bytes].concat();
        table.insert(9, row.as_slice()).unwrap();
    });
    assert!(matches!(log.fault(), Fault::Undecodable { place: Place::Log(9), .. }));
    log.edit_records(|table| {
        table.insert(9, b"short".as_slice()).unwrap();
    });
    assert!(matches!(log.verify(), Err(VerifyError::Store(StoreError::Damaged { .. }))));
}

#[test]
fn a_damaged_stream_index_is_named() {
    let index = |to: Option<u64>| {
        let log = Log::new();
        log.edit(|transaction| {
            let mut table = transaction.open_table(STREAMS).unwrap();
            let key = key(2);
            let at = (key.as_slice(), 3);
            match to {
                Some(to) => drop(table.insert(at, to).unwrap()),
                None => drop(table.remove(at).unwrap()),
            }
        });
        log.fault()
    };
    // Record 17 is number 3 of stream 2.
    assert_eq!(index(Some(22)), Fault::StreamIndex { place: Place::Log(17), found: 22 });
    assert_eq!(index(None), Fault::StreamIndex { place: Place::Log(17), found: 22 });
    let missing = index(Some(COUNT + 5));
    assert!(matches!(&missing, Fault::Missing { place: Place::Log(2), .. }), "{missing:?}");
}

fn set_head(log: &Log, number: u64, head: Option<Head>) {
    log.edit(|transaction| {
        let mut table = transaction.open_table(HEADS).unwrap();
        match head {
            Some(head) => {
                let row =
                    [head.length().to_le_bytes().as_slice(), head.digest().as_bytes()].concat();
                table.insert(key(number).as_slice(), row.as_slice()).unwrap();
            }
            None => drop(table.remove(key(number).as_slice()).unwrap()),
        }
    });
}

#[test]
fn wrong_heads_are_named() {
    let last = COUNT / 5;
    let log = Log::new();
    let right = log.records[COUNT as usize - 4].head();
    set_head(&log, 1, Some(Head::new(last, Digest::ZERO)));
    let found = Head::new(last, Digest::ZERO);
    let stream = stream(1);
    assert_eq!(log.fault(), Fault::HeadMismatch { stream: stream.clone(), expected: right, found });

    let behind = log.records[COUNT as usize - 9].head();
    set_head(&log, 1, Some(behind));
    let place = Place::Log(COUNT - 4);
    let fault = Fault::BehindHead { place, stream: stream.clone(), found: behind };
    assert_eq!(log.fault(), fault);

    set_head(&log, 1, None);
    let fault =
        Fault::BehindHead { place: Place::Log(1), stream: stream.clone(), found: Head::EMPTY };
    assert_eq!(log.fault(), fault);

    set_head(&log, 1, Some(right));
    let extra = Head::new(1, Digest::ZERO);
    set_head(&log, 7, Some(extra));
    assert_eq!(log.fault(), Fault::ExtraHead { stream: self::stream(7), found: extra });
    set_head(&log, 7, None);
    assert_eq!(log.verify().unwrap(), COUNT);
}

#[test]
fn a_stream_is_replayed_only_as_far_as_it_is_sound() {
    let log = Log::new();
    let own = |number: u64| log.records.iter().filter(move |r| *r.stream() == stream(number));
    let store = RedbStore::open(&log.path).unwrap();
    assert_eq!(verify_stream(&store, &stream(3)).unwrap(), own(3).cloned().collect::<Vec<_>>());
    assert_eq!(verify_stream(&store, &stream(9)).unwrap(), []);
    drop(store);

    log.edit_records(|table| {
        let mut bytes = row(table, 5 * 10 + 3);
        *bytes.last_mut().unwrap() ^= 0x80;
        table.insert(5 * 10 + 3, bytes.as_slice()).unwrap();
    });
    let store = RedbStore::open(&log.path).unwrap();
    assert!(verify_stream(&store, &stream(2)).is_ok(), "another stream is as it was");
    let mut steps = replay(&store, &stream(3)).unwrap();
    let good: Vec<_> = steps.by_ref().map_while(Result::ok).collect();
    assert_eq!(good, own(3).take(10).cloned().collect::<Vec<_>>());
    assert!(steps.next().is_none(), "nothing comes after an error");
    let error = verify_stream(&store, &stream(3)).unwrap_err();
    let place = Place::Stream(stream(3), 10);
    assert!(matches!(error, VerifyError::Fault(Fault::Digest { place: p, .. }) if p == place));
    drop(store);

    set_head(&log, 2, Some(Head::new(4, Digest::ZERO)));
    let store = RedbStore::open(&log.path).unwrap();
    let steps: Vec<_> = replay(&store, &stream(2)).unwrap().collect();
    assert_eq!(steps.len(), 4, "the last one is replaced by the error");
    assert!(matches!(steps.last(), Some(Err(VerifyError::Fault(Fault::HeadMismatch { .. })))));
}

#[test]
fn a_replay_takes_no_record_of_another_stream_and_none_twice() {
    let log = Log::new();
    let lead = |sequence: u64, to: u64| {
        log.edit(|transaction| {
            let key = key(4);
            let mut table = transaction.open_table(STREAMS).unwrap();
            table.insert((key.as_slice(), sequence), to).unwrap();
        });
        let store = RedbStore::open(&log.path).unwrap();
        match verify_stream(&store, &stream(4)) {
            Err(VerifyError::Fault(fault)) => fault,
            other => panic!("expected a fault, found {other:?}"),
        }
    };
    let place = Place::Stream(stream(4), 6);
    let fault = Fault::Stream { place: place.clone(), found: stream(3) };
    assert_eq!(lead(6, 33), fault);
    let fault = Fault::Sequence { place: place.clone(), expected: 6, found: 5 };
    assert_eq!(lead(6, 29), fault);
    set_head(&log, 4, Some(Head::new(COUNT, Digest::ZERO)));
    assert_eq!(lead(5, 29), Fault::Sequence { place, expected: 6, found: 5 });
    assert!(matches!(lead(6, 34), Fault::Missing { sequence, .. } if sequence == COUNT / 5));
}

#[test]
fn a_log_that_grows_meanwhile_is_told_apart_from_a_bad_one() {
    let log = Log::new();
    let store = RedbStore::open(&log.path).unwrap();
    let mut once = true;
    let error = verify(&store, |_| {
        if std::mem::take(&mut once) {
            let new = stream(8);
            let batch = Batch::new(Timestamp::default()).expect(new.clone(), Head::EMPTY);
            store.append(&batch.append(draft(&new, b""))).unwrap();
        }
    })
    .unwrap_err();
    assert!(matches!(error, VerifyError::Moved { before: COUNT, after } if after == COUNT + 1));
}

#[test]
fn files_of_another_kind_or_format_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |name: &str| {
        for open in [RedbStore::create, RedbStore::open, RedbStore::open_read_only] {
            let path = folder.path().join(name);
            match open(path.clone()).map(drop) {
                Err(StoreError::Format { place, expected: 3, found }) => {
                    assert_eq!(*place, *path.display().to_string());
                    assert!(!found.is_empty());
                }
                other => panic!("{name}: expected another format, found {other:?}"),
            }
        }
    };
    std::fs::write(folder.path().join("text"), "not a store\n".repeat(2000)).unwrap();
    refuse("text");
    let foreign = Database::create(folder.path().join("foreign")).unwrap();
    let transaction = foreign.begin_write().unwrap();
    transaction.open_table(TableDefinition::<u64, u64>::new("theirs")).unwrap();
    transaction.commit().unwrap();
    drop(foreign);
    refuse("foreign");
    let log = folder.path().join("later");
    sound(&log);
    let database = Database::open(&log).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert("format", [4, 0, 0, 0].as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    refuse("later");
    for name in ["absent", "no/folder"] {
        let path = folder.path().join(name);
        let error = RedbStore::open(&path).map(drop).unwrap_err();
        assert!(matches!(error, StoreError::Backend { .. }), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()), "says which: {error}");
    }
}

#[test]
fn a_byte_changed_anywhere_in_the_file_is_harmless_or_found_and_never_panics() {
    let log = Log::new();
    let sound = std::fs::read(&log.path).unwrap();
    let digests: Vec<_> = log.records.iter().map(Record::digest).collect();
    let (mut found, mut harmless) = (0, 0);
    let mut state = 0x5eed_u64;
    for _ in 0..300 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut bytes = sound.clone();
        // Half of them among the first pages, where redb keeps its own.
        let range = if state & 1 == 0 { bytes.len() } else { 16 << 10 };
        let at = (state >> 20) as usize % range;
        bytes[at] ^= 1 << (state >> 8 & 7);
        std::fs::write(&log.path, &bytes).unwrap();
        let Ok(store) = RedbStore::open(&log.path) else {
            found += 1;
            continue;
        };
        match verify(&store, |_| {}) {
            Ok(_) => {
                let read: Vec<_> =
                    store.read(0, 10_000).unwrap().iter().map(|stored| stored.digest).collect();
                assert_eq!(read, digests, "byte {at}");
                harmless += 1;
            }
            Err(_) => found += 1,
        }
    }
    assert!(found > 20 && harmless > 20, "found {found}, harmless {harmless}");
}
