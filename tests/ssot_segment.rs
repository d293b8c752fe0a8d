//! Packed segments: the same log again, and nothing else (PLAN-8.2).
#![cfg(feature = "compress")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here is a failure of the test"
)]

use std::fs;
use std::path::{Path, PathBuf};

use prospera::digest::{Digest, Domain};
use prospera::id::Subsystem;
use prospera::intent::{Objective, Submission};
use prospera::limits::SEGMENT_FRAME_BYTES;
use prospera::routing::shape::Bodies;
use prospera::ssot::class::{ClassRules, StateClass};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::merkle::{Frontier, Sha256};
use prospera::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use prospera::ssot::segment::{
    Bare, Dictionaries, Mark, Options, Packed, PayloadOf, SegmentError, Segments, Shape, pack,
    train, unpack,
};
use prospera::ssot::store::{AppendError, Batch, Store, Stretch};
use prospera::ssot::verify::verify;
use prospera::testing::properties::segment_bytes;
use prospera::testing::world::{Setup, World, request};
use prospera::time::Timestamp;
use prospera::value::Value;

/// A world that has routed something of every sort, in several sessions.
fn world(routes: usize) -> World {
    let world = Setup::sample().unwrap().build().unwrap();
    let mut desks = Vec::new();
    for number in 0..routes {
        if number % 40 == 0 {
            let (subject, session) = (format!("u-{}", number % 3), format!("s-{number}"));
            desks.push(world.open(&subject, &session).unwrap());
        }
        let place = desks.len() - 1 - usize::from(number % 11 == 0 && desks.len() > 1);
        let desk = &mut desks[place];
        let name = Value::from(format!("note number {}", number * 7919 % 1000).as_str());
        let (kind, argument) = match number % 5 {
            0 | 1 => ("note.read", "name"),
            2 => ("web.read", "address"),
            3 => ("payment.send", "to"),
            _ => ("note.write", "name"),
        };
        let mut request = request(kind, &[(argument, name)]).unwrap();
        request.subject = desk.session().subject().clone();
        request.session = desk.session().id().clone();
        request.objective = Objective::new(&format!("Please do what number {} says.", number / 4));
        let intent = world.catalogue.intent(request).unwrap();
        let _routed = world.router.route(desk, Submission::Intent(intent)).unwrap();
        world.clock.advance_millis(137);
    }
    world
}

const SMALL: Options = Options {
    block_records: 16,
    segment_records: 300,
    partial: true,
    payloads: true,
    cold_at: None,
};

fn packed(store: &impl Store, folder: &Path, options: &Options) -> Packed {
    let rules = ClassRules::DEFAULT;
    let dictionaries = train(store, 0, 300, &Bodies::default(), &rules, options).unwrap();
    pack(store, folder, &Bodies::default(), &rules, &dictionaries, options).unwrap()
}

fn records(store: &impl Store) -> Vec<(Vec<u8>, Digest)> {
    let all = store.read(0, usize::MAX).unwrap();
    all.into_iter().map(|stored| (stored.bytes.to_vec(), stored.digest)).collect()
}

/// Every read answers as the store does that was packed.
fn same(left: &impl Store, right: &impl Store) {
    assert_eq!(left.len().unwrap(), right.len().unwrap());
    assert_eq!(records(left), records(right));
    let streams = left.streams(None, usize::MAX).unwrap();
    assert_eq!(streams, right.streams(None, usize::MAX).unwrap());
    for (stream, head) in &streams {
        assert_eq!(right.head(stream).unwrap(), *head);
        for from in [0, head.length() / 2, head.length()] {
            let read = |store: &dyn Store| store.read_stream(stream, from, 7).unwrap();
            assert_eq!(read(left), read(right));
            let stretch = Stretch { stream, from, limit: 5 };
            let trace = |store: &dyn Store| {
                let mut found = Vec::new();
                store.trace(&[stretch], &mut |_, index| found.push(index)).unwrap();
                found
            };
            assert_eq!(trace(left), trace(right));
        }
    }
    let first = streams.first().map(|(stream, _)| stream);
    assert_eq!(left.streams(first, 2).unwrap(), right.streams(first, 2).unwrap());
}

fn payloads_of(store: &impl Store) -> Vec<Digest> {
    let mut found = Vec::new();
    for (bytes, _) in records(store) {
        let record = Record::decode_sealed(&bytes).unwrap();
        for mark in Bodies::default().marks(record.kind(), record.body()) {
            if let Mark::Payload(at, _) = mark {
                let digest: [u8; 32] = record.body()[at..at + 32].try_into().unwrap();
                found.push(Digest::from_bytes(digest));
            }
        }
    }
    found
}

#[test]
fn what_is_packed_is_the_same_log() {
    let world = world(400);
    let store = world.router.store();
    let folder = tempfile::tempdir().unwrap();
    let report = packed(store, folder.path(), &SMALL);
    assert!(report.segments > 2 && report.whole == 0, "{report:?}");
    assert_eq!(report.records, store.len().unwrap());
    let segments = Segments::open(folder.path(), Bodies::default()).unwrap();
    same(store, &segments);
    // Verification knows no difference, and neither does the tree.
    let verified = segments.verify().unwrap();
    assert_eq!(verified.report, verify(store, |_| {}).unwrap());
    let mut tree = Frontier::<Sha256>::new();
    for (_, digest) in records(store) {
        tree.push(digest.as_bytes());
    }
    assert_eq!(verified.root, Some(tree.root()));
    assert_eq!(segments.tree_head().unwrap(), store.tree_head().unwrap());
    let digests = payloads_of(store);
    assert!(digests.len() > 400);
    for digest in &digests {
        assert_eq!(segments.payload(digest).unwrap(), store.payload(digest).unwrap());
    }
    assert_eq!(segments.payload(&Domain::Other.hash(b"none")).unwrap(), None);
    // And back.
    let again = MemoryStore::new();
    assert_eq!(unpack(&segments, &again).unwrap(), report.records);
    same(store, &again);
    for digest in &digests {
        assert_eq!(again.payload(digest).unwrap(), store.payload(digest).unwrap());
    }
    let taken = unpack(&segments, &again).unwrap_err();
    assert!(matches!(taken, SegmentError::Append { .. }), "{taken}");
}

/// Payloads that are not packed, or were erased, leave their digests.
#[test]
fn records_do_not_need_their_payloads() {
    let world = world(120);
    let store = world.router.store();
    for options in [
        Options { payloads: false, ..SMALL },
        Options { block_records: 1, ..SMALL },
        Options { block_records: 1024, segment_records: 1 << 20, ..SMALL },
    ] {
        let folder = tempfile::tempdir().unwrap();
        let report = packed(store, folder.path(), &options);
        assert_eq!(report.whole, 0);
        let segments = Segments::open(folder.path(), Bodies::default()).unwrap();
        same(store, &segments);
        let digest = payloads_of(store)[0];
        assert_eq!(segments.payload(&digest).unwrap().is_some(), options.payloads);
    }
}

/// Packing goes on where the folder ends, and leaves the rest until there is enough.
#[test]
fn a_folder_grows_with_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let whole = Options { partial: false, ..SMALL };
    let small = world(60);
    assert_eq!(packed(small.router.store(), folder.path(), &whole).segments, 0);
    let world = world(400);
    let store = world.router.store();
    let first = packed(store, folder.path(), &whole);
    assert_eq!(first.records, first.segments * 300);
    assert_eq!(packed(store, folder.path(), &whole).segments, 0, "nothing is new");
    let rest = packed(store, folder.path(), &SMALL);
    assert_eq!(first.records + rest.records, store.len().unwrap());
    let segments = Segments::open(folder.path(), Bodies::default()).unwrap();
    same(store, &segments);
    segments.verify().unwrap();
    let refused = segments.append(&Batch::new(Timestamp::from_millis(1))).unwrap_err();
    assert!(matches!(refused, AppendError::Refused { .. }));
    // Another log's segment is no continuation.
    let other = tempfile::tempdir().unwrap();
    packed(small.router.store(), other.path(), &SMALL);
    let mut files: Vec<PathBuf> =
        fs::read_dir(other.path()).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|place| place.extension().is_some_and(|e| e == "pseg"));
    fs::copy(&files[0], folder.path().join("segment-99999999999999999999.pseg")).unwrap();
    let error = Segments::open(folder.path(), Bodies::default()).unwrap_err();
    assert!(matches!(error, SegmentError::Folder { .. }), "{error}");
}

/// Only what is cold leaves, where age is asked for.
#[test]
fn young_records_are_not_packed_by_age() {
    let world = world(50);
    let store = world.router.store();
    let begin = prospera::testing::world::BEGIN;
    let folder = tempfile::tempdir().unwrap();
    let young = Options { cold_at: Some(begin.plus_millis(86_400_000)), ..SMALL };
    assert_eq!(packed(store, folder.path(), &young).records, 0);
    let old = Options { cold_at: Some(begin.plus_millis(400 * 86_400_000)), ..SMALL };
    assert_eq!(packed(store, folder.path(), &old).records, store.len().unwrap());
}

/// A shape that lies costs room and nothing else.
struct Liar;

impl Shape for Liar {
    fn marks(&self, kind: RecordKind, body: &[u8]) -> Vec<Mark> {
        let mut marks = Bodies::default().marks(kind, body);
        marks.push(Mark::Derived(3));
        marks.push(Mark::Digest(usize::MAX));
        marks.push(Mark::Payload(1, PayloadOf::Output));
        if body.len() > 40 && marks.len() == 3 {
            return vec![Mark::Derived(2)];
        }
        marks
    }

    fn hint(&self, _: RecordKind, _: &[u8], _: usize) -> Option<u64> {
        Some(7)
    }

    fn derive(&self, _: RecordKind, _: &[u8], _: usize, _: u64) -> Option<Digest> {
        Some(Digest::ZERO)
    }
}

#[test]
fn a_shape_that_lies_loses_nothing() {
    let world = world(80);
    let store = world.router.store();
    for shape in [&Liar as &(dyn Shape + Sync), &Bare] {
        let folder = tempfile::tempdir().unwrap();
        let (rules, none) = (ClassRules::DEFAULT, Dictionaries::none());
        let report = pack(store, folder.path(), shape, &rules, &none, &SMALL).unwrap();
        let lied = report.whole > 0;
        let segments = if lied {
            Segments::open(folder.path(), Liar).unwrap()
        } else {
            Segments::open(folder.path(), Bare).unwrap()
        };
        same(store, &segments);
        segments.verify().unwrap();
    }
}

/// Bodies of any kind and content come back, in any streams.
#[test]
fn records_of_any_bytes_come_back() {
    let store = MemoryStore::new();
    let mut heads = std::collections::BTreeMap::new();
    for number in 0..500_u64 {
        let name = format!("s-{}", number * number % 17);
        let kinds = [StreamKind::Routing, StreamKind::Memory, StreamKind::Policy];
        let stream = StreamId::new(kinds[(number % 3) as usize], name.parse().unwrap());
        let kind = [
            RecordKind::EvidenceBlock,
            RecordKind::Fact,
            RecordKind::Outcome,
            RecordKind::Snapshot,
        ];
        let length = (number * 37 % 300) as usize;
        let body: Vec<u8> = (0..length).map(|at| (at as u64 * number).to_le_bytes()[0]).collect();
        let draft =
            Draft::new(stream.clone(), kind[(number % 4) as usize], Subsystem::Routing, body);
        let head = heads.get(&stream).copied().unwrap_or(Head::EMPTY);
        let time = Timestamp::from_millis(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let batch = Batch::new(time).expect(stream.clone(), head).append(draft);
        heads.insert(stream, store.append(&batch).unwrap().records[0].head());
    }
    let folder = tempfile::tempdir().unwrap();
    packed(&store, folder.path(), &SMALL);
    same(&store, &Segments::open(folder.path(), Bodies::default()).unwrap());
}

/// A changed bit is found where it is read, whichever it is.
#[test]
fn every_changed_byte_is_found() {
    let world = world(30);
    let store = world.router.store();
    let folder = tempfile::tempdir().unwrap();
    packed(store, folder.path(), &Options { block_records: 16, ..SMALL });
    let place = folder.path().join(format!("segment-{:020}.pseg", 0));
    let sound = fs::read(&place).unwrap();
    for at in (0..sound.len()).step_by(7).chain(sound.len() - 60..sound.len()) {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&place, &bytes).unwrap();
        let found = Segments::open(folder.path(), Bodies::default())
            .map_err(|error| error.to_string())
            .and_then(|segments| segments.verify().map_err(|error| error.to_string()));
        assert!(found.is_err(), "byte {at} of {}", sound.len());
    }
    // Also where nothing is verified: a changed block gives out no record at all.
    for at in (0..200).step_by(3) {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&place, &bytes).unwrap();
        let segments = Segments::open(folder.path(), Bodies::default()).unwrap();
        let error = segments.read(0, 1).unwrap_err().to_string();
        assert!(error.contains("block 0: it was changed"), "byte {at}: {error}");
    }
    for length in [0, 1, 51, 52, sound.len() / 2, sound.len() - 1] {
        fs::write(&place, &sound[..length]).unwrap();
        assert!(Segments::open(folder.path(), Bodies::default()).is_err(), "{length} bytes");
    }
    fs::write(&place, &sound).unwrap();
    Segments::open(folder.path(), Bodies::default()).unwrap().verify().unwrap();
    for file in fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "zdict") {
            fs::write(&file, b"another").unwrap();
            let error = Segments::open(folder.path(), Bodies::default()).unwrap_err();
            assert!(matches!(error, SegmentError::Damaged { .. }), "{error}");
        }
    }
}

/// A frame that would unpack to more than the limit is refused before it is unpacked.
#[test]
fn a_bomb_is_refused_by_what_it_declares() {
    let zeros = vec![0_u8; SEGMENT_FRAME_BYTES + 1];
    let bomb = zstd_frame(&zeros);
    assert!(bomb.len() < 4096);
    let folder = tempfile::tempdir().unwrap();
    // An index that is nothing but a bomb in place of its streams.
    let mut index = Vec::new();
    index.extend(0_u64.to_le_bytes());
    index.extend(1_u32.to_le_bytes());
    index.extend(0_u32.to_le_bytes());
    index.extend([0; 96]);
    index.extend(0_u32.to_le_bytes());
    index.extend(0_u32.to_le_bytes());
    index.extend(1_u32.to_le_bytes());
    index.extend(0_u32.to_le_bytes());
    index.extend(1_u16.to_le_bytes());
    index.extend([0; 32]);
    index.extend(0_u32.to_le_bytes());
    index.extend(u32::try_from(zeros.len()).unwrap().to_le_bytes());
    index.extend(u32::try_from(bomb.len()).unwrap().to_le_bytes());
    index.extend(&bomb);
    let mut bytes = index.clone();
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(u32::try_from(index.len()).unwrap().to_le_bytes());
    bytes.extend(Domain::Segment.hash(&index).as_bytes());
    bytes.extend(b"prosseg1");
    fs::write(folder.path().join("segment-00000000000000000000.pseg"), bytes).unwrap();
    let error = Segments::open(folder.path(), Bare).unwrap_err().to_string();
    assert!(error.contains("a frame declares more bytes than the limit"), "{error}");
}

/// One run-length block of zstd a 128 KiB: written by hand, since the crate is no
/// dependency of tests.
fn zstd_frame(zeros: &[u8]) -> Vec<u8> {
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    out.extend(u32::try_from(zeros.len()).unwrap().to_le_bytes());
    let mut left = zeros.len();
    while left > 0 {
        let size = left.min(128 << 10);
        left -= size;
        let header = (size << 3) | (1 << 1) | usize::from(left == 0);
        out.extend(&header.to_le_bytes()[..3]);
        out.push(0);
    }
    out
}

/// Route records of one half packed by dictionaries of the other: at least 6 times smaller.
#[test]
fn route_records_become_six_times_smaller() {
    let world = world(2000);
    let store = world.router.store();
    let half = store.len().unwrap() / 2;
    let rules = ClassRules::DEFAULT;
    let options = Options { block_records: 64, segment_records: 1 << 20, ..SMALL };
    // Trained on another world's records: none of those that are packed.
    let folder = tempfile::tempdir().unwrap();
    let other = prospera::ssot::segment::train(
        store,
        half,
        usize::try_from(half).unwrap(),
        &Bodies::default(),
        &rules,
        &options,
    );
    let first = MemoryStore::new();
    copy(store, &first, half);
    let report =
        pack(&first, folder.path(), &Bodies::default(), &rules, &other.unwrap(), &options).unwrap();
    let of = |class| report.by_class.get(&class).copied().unwrap_or_default();
    let (routing, execution) = (of(StateClass::Routing), of(StateClass::Execution));
    let opaque = 32 * report.opaque;
    let (raw, packed) = (routing.0 + execution.0, routing.2 + execution.2 + opaque);
    println!("{report:?}");
    assert!(raw >= 6 * packed, "{raw} bytes became {packed}");
}

fn copy(from: &impl Store, to: &MemoryStore, records: u64) {
    let mut heads = std::collections::BTreeMap::new();
    for stored in from.read(0, usize::try_from(records).unwrap()).unwrap() {
        let record = Record::decode_sealed(&stored.bytes).unwrap();
        let stream = record.stream().clone();
        let head = heads.get(&stream).copied().unwrap_or(Head::EMPTY);
        let mut batch = Batch::new(record.timestamp()).expect(stream.clone(), head);
        for mark in Bodies::default().marks(record.kind(), record.body()) {
            if let Mark::Payload(at, _) = mark {
                let digest: [u8; 32] = record.body()[at..at + 32].try_into().unwrap();
                let digest = Digest::from_bytes(digest);
                if let Some(bytes) = from.payload(&digest).unwrap() {
                    batch = batch.payload(digest, bytes);
                }
            }
        }
        let batch = batch.append(record.to_draft());
        heads.insert(stream, to.append(&batch).unwrap().records[0].head());
    }
}

/// The index and the first block of a segment, as `segment_bytes` takes them.
fn parts(folder: &Path) -> [Vec<u8>; 2] {
    let bytes = fs::read(folder.join("segment-00000000000000000000.pseg")).unwrap();
    let end = &bytes[bytes.len() - 52..];
    let at = usize::try_from(u64::from_le_bytes(end[..8].try_into().unwrap())).unwrap();
    let mut index = vec![0];
    index.extend(u32::try_from(at).unwrap().to_le_bytes());
    index.extend(&bytes[at..bytes.len() - 52]);
    // The first block has 16 records.
    let mut block = vec![16];
    block.extend(&bytes[..at]);
    [index, block]
}

/// Whatever became of a segment's bytes, reading them ends, and gives records or nothing.
#[test]
fn bytes_that_changed_are_read_without_harm() {
    let world = world(12);
    let folder = tempfile::tempdir().unwrap();
    let first = MemoryStore::new();
    copy(world.router.store(), &first, 16);
    let (rules, none) = (ClassRules::DEFAULT, Dictionaries::none());
    let options = Options { block_records: 16, ..SMALL };
    pack(&first, folder.path(), &Bodies::default(), &rules, &none, &options).unwrap();
    let sound = parts(folder.path());
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed >> 8).unwrap()
    };
    for (bytes, name) in sound.iter().zip(["index", "block"]) {
        assert!(segment_bytes(bytes).unwrap(), "the {name} as it was written");
        if let Ok(place) = std::env::var("PROSPERA_SEEDS") {
            fs::write(Path::new(&place).join(format!("seed-{name}")), bytes).unwrap();
        }
        let mut read = 0;
        for _ in 0..4000 {
            let mut bytes = bytes.clone();
            for _ in 0..=next() % 3 {
                let at = 1 + next() % (bytes.len() - 1);
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, bytes[at] ^ 1][next() % 6];
            }
            bytes.truncate(bytes.len() - next() % 3 * (next() % 40));
            read += usize::from(segment_bytes(&bytes).unwrap());
        }
        println!("{name}: {read} of 4000 were read");
    }
}
