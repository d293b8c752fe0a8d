//! Bytes of another version than this build reads: named, and nothing done with them.

use prospera::encode::{DecodeError, Encode as _};
use prospera::execution::files::{Journals, ModulesError, ModulesFile};
use prospera::id::Subsystem;
use prospera::memory::FactsError;
use prospera::routing::RouterError;
use prospera::ssot::ledger::Ledger;
use prospera::ssot::record::{Draft, Record, RecordKind, StreamId, StreamKind};
use prospera::ssot::redb::RedbStore;
use prospera::ssot::store::{Batch, Store as _, StoreError};
use prospera::ssot::verify::Fault;
use redb::{Database, ReadableDatabase as _, TableDefinition};

use crate::house::{House, digests};
use crate::log::{closed, edit, sealed};
use crate::world::{fact, name};

#[test]
fn record_bytes_of_a_wrong_version() {
    let log = closed();
    for version in [0, 2, 255] {
        let at = log.evidence()[1];
        let mut bytes = log.records[at as usize].bytes().to_vec();
        bytes[0] = version;
        let expected =
            DecodeError::Tag { expected: "record version 1", found: version.into(), offset: 0 };
        assert_eq!(Record::decode_sealed(&bytes).unwrap_err(), expected);
        edit(&log.path, |table| {
            table.insert(at, sealed(&bytes).as_slice()).unwrap();
        });
        let found = |fault: &Fault| matches!(fault, Fault::Undecodable { source, .. } if *source == expected);
        log.is_found(found, &[at]);
    }
}

/// Appends a body to one of the streams of alice's session, as another build would.
fn appended(house: &House, kind: StreamKind, record: RecordKind, body: Vec<u8>) {
    let of = if kind == StreamKind::Routing { "s-1" } else { "alice" };
    let stream = StreamId::new(kind, name(of));
    let store = house.router.store();
    let head = store.head(&stream).unwrap();
    let draft = Draft::new(stream.clone(), record, Subsystem::Routing, body);
    let batch = Batch::new(house.world.now()).expect(stream, head).append(draft);
    let _receipt = Ledger::new(store).commit(batch).unwrap();
}

/// The session is not taken up, nothing is executed, and the log is as it was.
fn refuses(house: &House) -> RouterError {
    let (before, effects) = (digests(house.router.store()), house.world.effects.count());
    let error = house.router.resume(house.world.alice("s-1")).map(drop).unwrap_err();
    assert_eq!(digests(house.router.store()), before);
    assert_eq!(house.world.effects.count(), effects);
    error
}

#[test]
fn evidence_of_a_wrong_version() {
    let mut house = House::new();
    let intent = house.world.numbered("s-1", "note.add", 1);
    let routed = house.carries_out(intent);
    let (mut block, mut outcome) =
        (routed.evidence.to_canonical(), routed.outcome.unwrap().to_canonical());
    for (record, body) in
        [(RecordKind::EvidenceBlock, &mut block), (RecordKind::Outcome, &mut outcome)]
    {
        let mut house = House::new();
        if record == RecordKind::Outcome {
            // An outcome follows its evidence.
            let mut open = routed.evidence.clone();
            open.timestamp = house.world.now();
            appended(&house, StreamKind::Routing, RecordKind::EvidenceBlock, open.to_canonical());
        }
        body[0] = 3;
        appended(&house, StreamKind::Routing, record, body.clone());
        let error = refuses(&house);
        let RouterError::Body { index, source } = &error else { panic!("{error}") };
        assert_eq!(*index, house.router.store().len().unwrap() - 1);
        assert!(matches!(source, DecodeError::Tag { found: 3, offset: 0, .. }), "{source}");
        // A desk that was open before does not go on either.
        let intent = house.world.numbered("s-1", "note.add", 2);
        let effects = house.world.effects.count();
        assert!(house.router.route(&mut house.desk, intent).is_err());
        assert_eq!(house.world.effects.count(), effects);
        house.stays_whole();
    }
}

#[test]
fn a_fact_of_a_wrong_version() {
    let mut house = House::new();
    house.router.remember(&mut house.desk, fact("iban", "DE1")).unwrap();
    let stored = house.router.store().read(house.router.store().len().unwrap() - 1, 1).unwrap();
    let mut body = Record::decode_sealed(&stored[0].bytes).unwrap().body().to_vec();
    body[0] = 2;
    appended(&house, StreamKind::Memory, RecordKind::Fact, body);
    let error = refuses(&house);
    let RouterError::Facts(FactsError::Body { sequence: 1, source }) = error else {
        panic!("{error}")
    };
    assert_eq!(source.to_string(), "expected fact format 1 at offset 0, found 2");
    house.stays_whole();
}

#[test]
fn a_pinned_policy_of_a_wrong_version() {
    let house = House::new();
    let policy = StreamId::new(StreamKind::Policy, name("policy"));
    let stored = house.router.store().read_stream(&policy, 0, 1).unwrap();
    let mut body = Record::decode_sealed(&stored[0].bytes).unwrap().body().to_vec();
    body[0] = body[0].wrapping_add(1);
    let head = house.router.store().head(&policy).unwrap();
    let draft = Draft::new(policy.clone(), RecordKind::PolicyPinned, Subsystem::Governance, body);
    let batch = Batch::new(house.world.now()).expect(policy, head).append(draft);
    house.router.store().append(&batch).unwrap();
    let House { world, router, acknowledged, .. } = house;
    let store = router.into_store();
    let before = digests(&store);
    assert!(before.starts_with(&acknowledged));
    let error = world.try_router(&store).map(drop).unwrap_err();
    assert!(matches!(error, RouterError::Body { .. }), "{error}");
    assert_eq!(digests(&store), before);
}

#[test]
fn a_store_of_a_wrong_format() {
    const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("prospera.meta");
    let log = closed();
    let with = |format: &[u8]| {
        let database = Database::open(&log.path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(META).unwrap().insert("format", format).unwrap();
        transaction.commit().unwrap();
    };
    for (format, said) in [
        (&[4, 0, 0, 0][..], "format 4"),
        (&[0, 0, 0, 0], "format 0"),
        (&[1, 0], "a format that is not a number"),
        (&[], "a format that is not a number"),
    ] {
        with(format);
        for open in [RedbStore::open, RedbStore::open_read_only, RedbStore::create] {
            let error = open(log.path.clone()).map(drop).unwrap_err();
            let StoreError::Format { place, expected: 3, found } = &error else {
                panic!("{error}")
            };
            assert_eq!(**place, *log.path.display().to_string());
            assert_eq!(&**found, said);
        }
    }
    // The number before, with all that belongs to it, is read; and its own, of course.
    for format in [2, 3] {
        with(&[format, 0, 0, 0]);
        let store = RedbStore::open(&log.path).unwrap();
        assert_eq!(digests(&store), log.records.iter().map(Record::digest).collect::<Vec<_>>());
    }
}

/// Format 1 is what was written before there was a journal: it is read, and whoever opens
/// it for writing makes it the format of today, which a build that knows no journal refuses.
#[test]
fn a_store_of_the_format_before_the_journal() {
    const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("prospera.meta");
    let log = closed();
    let records: Vec<_> = log.records.iter().map(Record::digest).collect();
    let database = Database::open(&log.path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut meta = transaction.open_table(META).unwrap();
        meta.insert("format", &[1, 0, 0, 0][..]).unwrap();
        meta.remove("journal").unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    let format = || {
        let database = Database::open(&log.path).unwrap();
        let meta = database.begin_read().unwrap().open_table(META).unwrap();
        meta.get("format").unwrap().unwrap().value().to_vec()
    };
    assert_eq!(digests(&RedbStore::open_read_only(&log.path).unwrap()), records);
    assert_eq!(format(), [1, 0, 0, 0], "reading changes nothing");
    assert_eq!(digests(&RedbStore::open(&log.path).unwrap()), records);
    assert_eq!(format(), [3, 0, 0, 0]);
    assert_eq!(digests(&RedbStore::open(&log.path).unwrap()), records);
}

#[test]
fn a_file_that_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("text", b"not a store\n".repeat(2000)),
        ("zeros", vec![0; 20_000]),
        ("short", b"redb".to_vec()),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        for open in [RedbStore::open, RedbStore::open_read_only, RedbStore::create] {
            let error = open(path.clone()).map(drop).unwrap_err();
            assert!(
                matches!(error, StoreError::Format { .. } | StoreError::Damaged { .. }),
                "{name}: {error}"
            );
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}: the file was changed");
        }
    }
}

/// What a module remembers of its effects.
#[test]
fn a_journal_of_a_wrong_version() {
    let folder = tempfile::tempdir().unwrap();
    let text = "version = \"1.0\"\n[[module]]\nid = \"mail\"\ntype = \"outbox\"\nversion = \"1.0\"\ntier = \"act\"\nrequired_state = \"BASE\"\nintents = [\"mail.send\"]\njournal = \"mail.journal\"\n";
    let modules = ModulesFile::parse("modules.toml", text).unwrap();
    let open = || {
        let opened =
            modules.open_with(folder.path(), Journals::In(folder.path()), |_| Err(String::new()));
        opened.map(drop)
    };
    open().unwrap();
    let path = folder.path().join("mail.journal");
    let good = std::fs::read(&path).unwrap();
    assert_eq!(good, b"prospera journal 1\n\0");
    let bad = b"prospera journal 2\n\0";
    std::fs::write(&path, bad).unwrap();
    let error = open().unwrap_err();
    assert!(matches!(error, ModulesError::Journal { .. }));
    assert!(error.to_string().ends_with("is not a journal of version 1"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), bad, "it is left as it is");
}
