//! Stores that earlier formats wrote, kept as files: this build reads them as they are,
//! and makes them its own when it writes them. How they were made stands in
//! `tests/fixtures/stores/README.md`.

#![cfg(feature = "redb")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the helpers of tests, too, may end a test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prospera::digest::{Digest, Domain};
use prospera::id::Subsystem;
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Draft, RecordKind, StreamId, StreamKind};
use prospera::ssot::redb::{FORMAT, RedbStore};
use prospera::ssot::store::{Batch, Store, StoreError};
use prospera::ssot::verify::{verify, verify_stream};
use prospera::time::Timestamp;
use redb::{Database, ReadableDatabase as _, TableDefinition};

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("prospera.meta");
/// The digest of record 35, as the builds of formats 1 and 2 computed it.
const LAST: &str = "4d0793a420ad8340e2ce75ca4c69ccf4a85bc344758702a93c285b72f2ebdac0";

/// The same batches as in `tests/fixtures/stores/make.rs`.
fn batch(store: &dyn Store, number: u64) -> Batch {
    let session = StreamId::new(StreamKind::Routing, format!("s-{}", number % 3).parse().unwrap());
    let alice = StreamId::new(StreamKind::Memory, "alice @ home".parse().unwrap());
    let body = vec![number as u8; (40 + number * 37 % 300) as usize];
    let payload: Arc<[u8]> = payload(number);
    let digest = Domain::Payload.hash(&payload);
    let draft = |stream: &StreamId, kind, source, body: &[u8]| {
        Draft::new(stream.clone(), kind, source, body.to_vec())
    };
    Batch::new(Timestamp::from_millis(1_700_000_000_000 + number))
        .expect(session.clone(), store.head(&session).unwrap())
        .expect(alice.clone(), store.head(&alice).unwrap())
        .append(draft(&session, RecordKind::EvidenceBlock, Subsystem::Governance, &body))
        .append(draft(&session, RecordKind::Outcome, Subsystem::Execution, b"done"))
        .append(draft(&alice, RecordKind::Fact, Subsystem::Memory, digest.as_bytes()))
        .payload(digest, payload)
}

fn payload(number: u64) -> Arc<[u8]> {
    format!("payload {number}").into_bytes().into()
}

/// What the fixtures hold: so many batches.
fn expected(batches: u64) -> MemoryStore {
    let store = MemoryStore::new();
    for number in 0..batches {
        store.append(&batch(&store, number)).unwrap();
    }
    store
}

/// A fixture as the file that it was: see `save` in `make.rs`.
fn unpack(name: &str, to: &Path) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/stores");
    let packed = fs::read(folder.join(name)).unwrap();
    let (len, sectors) = packed.split_at(8);
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap()) as usize;
    let mut whole = vec![0; number(len).next_multiple_of(512)];
    for sector in sectors.chunks(520) {
        let at = number(&sector[..8]);
        whole[at..at + 512].copy_from_slice(&sector[8..]);
    }
    whole.truncate(number(len));
    fs::write(to, whole).unwrap();
}

struct Old {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Old {
    fn new(name: &str, ends: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.redb");
        for end in ends {
            let to = folder.path().join(format!("log.redb{end}"));
            unpack(&format!("{name}{end}"), &to);
        }
        Self { folder, path }
    }

    fn format(&self) -> u32 {
        let database = Database::open(&self.path).unwrap();
        let meta = database.begin_read().unwrap().open_table(META).unwrap();
        u32::from_le_bytes(meta.get("format").unwrap().unwrap().value().try_into().unwrap())
    }
}

/// Everything that a log says, whichever store it is in.
fn same(found: &RedbStore, expected: &dyn Store, batches: u64) {
    assert_eq!(found.read(0, 1000).unwrap(), expected.read(0, 1000).unwrap());
    let heads = found.streams(None, 100).unwrap();
    assert_eq!(heads, expected.streams(None, 100).unwrap());
    assert_eq!(heads.len(), 4);
    for (stream, head) in heads {
        assert_eq!(found.head(&stream).unwrap(), head);
        assert_eq!(verify_stream(found, &stream).unwrap().len() as u64, head.length());
    }
    for number in 0..batches {
        let kept = found.payload(&Domain::Payload.hash(&payload(number))).unwrap();
        assert_eq!(kept.as_deref(), Some(&*payload(number)), "payload {number}");
    }
    assert_eq!(verify(found, |_| {}).unwrap(), verify(expected, |_| {}).unwrap());
}

/// Read as it is, made this build's own, and continued.
fn taken_up(old: &Old, format: u32, batches: u64, closed: bool) {
    let log = expected(batches);
    if closed {
        let bytes = fs::read(&old.path).unwrap();
        let reader = RedbStore::open_read_only(&old.path).unwrap();
        same(&reader, &log, batches);
        // A backup is of the format that the store has.
        let copy = old.folder.path().join("copy.redb");
        reader.backup_to(&copy).unwrap();
        same(&RedbStore::open_read_only(&copy).unwrap(), &log, batches);
        drop(reader);
        assert!(fs::read(&old.path).unwrap() == bytes, "reading changed the file");
        assert_eq!(old.format(), format);
        let copy = Old { folder: tempfile::tempdir().unwrap(), path: copy };
        assert_eq!(copy.format(), format);
        same(&RedbStore::open(&copy.path).unwrap(), &log, batches);
        assert_eq!(copy.format(), FORMAT);
    } else {
        let error = RedbStore::open_read_only(&old.path).unwrap_err();
        assert!(matches!(error, StoreError::NotClosed { .. }), "{error}");
    }
    let store = RedbStore::open(&old.path).unwrap();
    same(&store, &log, batches);
    for number in batches..batches + 5 {
        let next = batch(&store, number);
        assert_eq!(
            store.append(&next).unwrap().records,
            log.append(&batch(&log, number)).unwrap().records
        );
    }
    same(&store, &log, batches + 5);
    drop(store);
    // A build that knows only the old format goes by this number, and refuses.
    assert_eq!(old.format(), FORMAT);
    for open in [RedbStore::open_read_only, RedbStore::open] {
        same(&open(old.path.clone()).unwrap(), &log, batches + 5);
    }
    RedbStore::compact(&old.path).unwrap();
    same(&RedbStore::open_read_only(&old.path).unwrap(), &log, batches + 5);
}

#[test]
fn the_records_are_those_the_old_builds_wrote() {
    let last: Digest = expected(12).read(35, 1).unwrap()[0].digest;
    assert_eq!(last.to_string(), LAST);
}

#[test]
fn a_store_of_format_1() {
    taken_up(&Old::new("v1-closed", &[""]), 1, 12, true);
}

#[test]
fn a_store_of_format_2_that_was_closed() {
    taken_up(&Old::new("v2-closed", &[""]), 2, 12, true);
}

/// The tables have six batches, each segment of the journal some of the others.
#[test]
fn a_store_of_format_2_that_a_crash_left() {
    let ends = ["", ".journal-0", ".journal-1"];
    taken_up(&Old::new("v2-left", &ends), 2, 10, false);
    // Each part of it is needed: without one of the segments there is a gap, or less.
    for (missing, left) in [(".journal-0", [18, 30]), (".journal-1", [18, 30])] {
        let ends: Vec<_> = ends.into_iter().filter(|end| *end != missing).collect();
        match RedbStore::open(&Old::new("v2-left", &ends).path) {
            Ok(store) => {
                let records = store.len().unwrap();
                assert!(records >= left[0] && records < left[1], "{missing}: {records}");
            }
            Err(error) => assert!(matches!(error, StoreError::Damaged { .. }), "{error}"),
        }
    }
}
