//! Logs that were damaged on disk: named by verification, and refused by whoever would
//! act on them (ASM2-10.9, IRM-6.10).

use std::path::{Path, PathBuf};
use std::process::Command;

use prospera::digest::Domain;
use prospera::routing::RouterError;
use prospera::ssot::export::{ExportError, export};
use prospera::ssot::record::{Record, RecordKind, StreamKind};
use prospera::ssot::redb::RedbStore;
use prospera::ssot::store::{Store as _, StoreError};
use prospera::ssot::verify::{Fault, Place, VerifyError, verify};
use redb::{Database, ReadableTable as _, Table, TableDefinition};

use crate::house::House;
use crate::world::{World, records};

const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("prospera.records");

/// A closed store in which alice's session has several routes.
pub(crate) struct Closed {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) world: World,
    pub(crate) path: PathBuf,
    pub(crate) records: Vec<Record>,
}

pub(crate) fn closed() -> Closed {
    let mut house = House::new();
    for number in 0..4 {
        let intent = house.world.numbered("s-1", "note.add", number);
        house.allows(intent);
    }
    let path = house.path();
    let House { folder, world, router, .. } = house;
    let records = records(router.store());
    Closed { folder, world, path, records }
}

/// Changes the rows of the table of records.
pub(crate) fn edit(path: &Path, edit: impl FnOnce(&mut Table<'_, u64, &'static [u8]>)) {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    edit(&mut transaction.open_table(RECORDS).unwrap());
    transaction.commit().unwrap();
}

pub(crate) fn row(table: &Table<'_, u64, &'static [u8]>, index: u64) -> Vec<u8> {
    table.get(index).unwrap().unwrap().value().to_vec()
}

/// A record with the digest that is stored beside it.
pub(crate) fn sealed(bytes: &[u8]) -> Vec<u8> {
    [Domain::Record.hash(bytes).as_bytes().as_slice(), bytes].concat()
}

impl Closed {
    /// The indices of the evidence of alice's session.
    pub(crate) fn evidence(&self) -> Vec<u64> {
        let of = |record: &&Record| record.kind() == RecordKind::EvidenceBlock;
        self.records.iter().filter(of).map(Record::index).collect()
    }

    /// The damaged log is found by everybody who reads it; nothing is executed, nothing
    /// further is written, and what was not damaged is still there.
    #[track_caller]
    pub(crate) fn is_found(&self, expected: impl Fn(&Fault) -> bool, damaged: &[u64]) {
        let effects = self.world.effects.count();
        let store = RedbStore::open(&self.path).unwrap();
        let length = store.len().unwrap();
        match verify(&store, |_| {}) {
            Err(VerifyError::Fault(fault)) => assert!(expected(&fault), "{fault}"),
            other => panic!("expected a fault, found {other:?}"),
        }
        let to = self.folder.path().join("export");
        let exported = export(&store, &to).unwrap_err();
        assert!(matches!(exported, ExportError::Verify(_)), "{exported}");
        std::fs::remove_dir_all(to).unwrap();
        for record in self.records.iter().filter(|record| !damaged.contains(&record.index())) {
            let kept = store.read(record.index(), 1).unwrap();
            assert_eq!(*kept[0].bytes, *record.bytes(), "record {}", record.index());
        }
        let router = self.world.router(store);
        let error = router.resume(self.world.alice("s-1")).map(drop).unwrap_err();
        assert!(matches!(error, RouterError::Verify(_)), "{error}");
        assert_eq!(router.store().len().unwrap(), length, "something was written");
        assert_eq!(self.world.effects.count(), effects);
        drop(router);
        self.is_told();
    }

    /// The command line says the same.
    #[cfg(feature = "cli")]
    fn is_told(&self) {
        let run = Command::new(env!("CARGO_BIN_EXE_prospera"))
            .arg("verify")
            .arg(&self.path)
            .output()
            .unwrap();
        let out = String::from_utf8_lossy(&run.stdout);
        assert_eq!(run.status.code(), Some(1), "{out}");
        assert!(out.contains("NOT sound") && out.contains("first fault: record "), "{out}");
    }

    #[cfg(not(feature = "cli"))]
    fn is_told(&self) {
        let _ = Command::new("true");
    }
}

#[test]
fn a_log_with_a_flipped_bit() {
    let log = closed();
    let at = log.evidence()[2];
    let bits = (log.records[at as usize].bytes().len() + 32) * 8;
    for bit in [0, 255, 256, 300, 700, bits / 2, bits - 1] {
        let flip = |table: &mut Table<'_, u64, &'static [u8]>| {
            let mut bytes = row(table, at);
            bytes[bit / 8] ^= 1 << (bit % 8);
            table.insert(at, bytes.as_slice()).unwrap();
        };
        edit(&log.path, flip);
        let found = |fault: &Fault| {
            matches!(fault, Fault::Digest { place: Place::Log(index), stored, computed }
                if *index == at && stored != computed)
        };
        log.is_found(found, &[at]);
        edit(&log.path, flip);
    }
    // Flipped back, everything is as it was.
    verify(&RedbStore::open(&log.path).unwrap(), |_| {}).unwrap();
}

#[test]
fn a_log_with_a_swapped_record() {
    let log = closed();
    let (one, two) = (log.evidence()[1], log.evidence()[3]);
    edit(&log.path, |table| {
        let (first, second) = (row(table, one), row(table, two));
        table.insert(one, second.as_slice()).unwrap();
        table.insert(two, first.as_slice()).unwrap();
    });
    let found = |fault: &Fault| {
        *fault == Fault::Index { place: Place::Log(one), expected: one, found: two }
    };
    log.is_found(found, &[one, two]);
}

#[test]
fn a_log_with_a_dropped_record() {
    let log = closed();
    let at = log.evidence()[2];
    edit(&log.path, |table| drop(table.remove(at).unwrap()));
    let found = |fault: &Fault| {
        *fault == Fault::Index { place: Place::Log(at), expected: at, found: at + 1 }
    };
    // What is behind the gap is where it was.
    let store = RedbStore::open_read_only(&log.path).unwrap();
    let error = store.read_stream(log.records[at as usize].stream(), 0, 100).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { what } if what.contains("missing")), "{error}");
    drop(store);
    let effects = log.world.effects.count();
    let store = RedbStore::open(&log.path).unwrap();
    match verify(&store, |_| {}) {
        Err(VerifyError::Fault(fault)) => assert!(found(&fault), "{fault}"),
        other => panic!("{other:?}"),
    }
    let router = log.world.router(store);
    let error = router.resume(log.world.alice("s-1")).map(drop).unwrap_err();
    assert!(matches!(error, RouterError::Verify(_)), "{error}");
    assert_eq!(log.world.effects.count(), effects);
}

/// Dropped with its place: everything behind it moved up.
#[test]
fn a_log_with_a_dropped_record_and_no_gap() {
    let log = closed();
    let at = log.evidence()[2];
    let last = log.records.len() as u64 - 1;
    edit(&log.path, |table| {
        for index in at..last {
            let next = row(table, index + 1);
            table.insert(index, next.as_slice()).unwrap();
        }
        table.remove(last).unwrap();
    });
    let found = |fault: &Fault| {
        *fault == Fault::Index { place: Place::Log(at), expected: at, found: at + 1 }
    };
    let moved: Vec<u64> = (at..=last).collect();
    log.is_found(found, &moved);
}

#[test]
fn a_log_with_a_repeated_record() {
    let log = closed();
    let (at, before) = (log.evidence()[3], log.evidence()[2]);
    edit(&log.path, |table| {
        let again = row(table, before);
        table.insert(at, again.as_slice()).unwrap();
    });
    let found = |fault: &Fault| {
        *fault == Fault::Index { place: Place::Log(at), expected: at, found: before }
    };
    log.is_found(found, &[at]);
}

/// A record sealed anew with another time: its successor tells.
#[test]
fn a_log_with_a_rewritten_record() {
    let log = closed();
    let at = log.evidence()[2];
    let mut bytes = log.records[at as usize].bytes().to_vec();
    bytes[19] ^= 1; // its time
    edit(&log.path, |table| {
        table.insert(at, sealed(&bytes).as_slice()).unwrap();
    });
    log.is_found(|fault| matches!(fault, Fault::Previous { .. }), &[at]);
}

/// The end is cut off: the heads still count it.
#[test]
fn a_log_that_was_cut_off() {
    let log = closed();
    let last = log.records.len() as u64 - 1;
    assert_eq!(log.records[last as usize].stream().kind(), StreamKind::Routing);
    edit(&log.path, |table| drop(table.remove(last).unwrap()));
    let store = RedbStore::open(&log.path).unwrap();
    match verify(&store, |_| {}) {
        Err(VerifyError::Fault(Fault::Truncated { index, expected })) => {
            assert_eq!((index, expected), (last, last + 1));
        }
        other => panic!("{other:?}"),
    }
    let router = log.world.router(store);
    let error = router.resume(log.world.alice("s-1")).map(drop).unwrap_err();
    assert!(matches!(error, RouterError::Verify(_)), "{error}");
}

/// Half a file is none.
#[test]
fn a_store_file_that_was_cut() {
    let log = closed();
    let whole = std::fs::read(&log.path).unwrap();
    for length in [0, 100, 4096, whole.len() / 2, whole.len() - 1] {
        let cut = log.folder.path().join("cut.redb");
        std::fs::write(&cut, &whole[..length]).unwrap();
        for open in [RedbStore::open, RedbStore::open_read_only] {
            // Either it is refused by a typed error, or it is sound.
            if let Ok(store) = open(cut.clone()) {
                let read = verify(&store, |_| {});
                assert!(read.is_err() || length > whole.len() / 2, "{length}: {read:?}");
            }
        }
        std::fs::remove_file(&cut).unwrap();
    }
}
