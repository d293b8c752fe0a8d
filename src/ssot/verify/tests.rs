//! The swift walk against the exact one, on logs that were changed in every way that a
//! medium or a hand may change them.
#![expect(clippy::cast_possible_truncation, reason = "the numbers of these logs are small")]

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;

use super::swift::{self, Bounds, Stop};
use super::*;
use crate::id::Subsystem;
use crate::ssot::merkle::kept::is_kept;
use crate::ssot::merkle::{Frontier, KeptTree, NodeId, TreeHead};
use crate::ssot::record::{Draft, RecordKind, StreamId, StreamKind};
use crate::ssot::store::{AppendError, Batch, Committed, Durability, Stretch};
use crate::time::Timestamp;

/// A log whose every part can be changed.
#[derive(Clone, Default)]
struct Log {
    records: Vec<Stored>,
    index: BTreeMap<StreamId, Vec<usize>>,
    heads: BTreeMap<StreamId, Head>,
    tree: Option<Tree>,
}

/// A kept tree: its head, and the nodes of every fourth level.
#[derive(Clone, PartialEq)]
struct Tree(TreeHead, BTreeMap<NodeId, Hash>);

fn stream(number: u64) -> StreamId {
    let kind = if number.is_multiple_of(2) { StreamKind::Audience } else { StreamKind::Routing };
    StreamId::new(kind, format!("s-{}", number / 2).parse().unwrap())
}

fn sealed(id: &StreamId, body: Vec<u8>, index: u64, after: Head) -> Record {
    let draft = Draft::new(id.clone(), RecordKind::Outcome, Subsystem::Execution, body);
    Record::seal(draft, index, after, Timestamp::from_millis(index))
}

fn kept(record: &Record) -> Stored {
    Stored { bytes: record.shared_bytes(), digest: record.digest() }
}

impl Log {
    /// Records of streams as `choose` says, some of them longer than a chunk.
    fn sound(count: u64, mut choose: impl FnMut(u64) -> u64) -> Self {
        let mut log = Self::default();
        for index in 0..count {
            let id = stream(choose(index));
            let after = log.heads.get(&id).copied().unwrap_or(Head::EMPTY);
            let len = if index % 11 == 5 { 1500 } else { index as usize * 37 % 300 };
            let record = sealed(&id, vec![index as u8; len], index, after);
            log.records.push(kept(&record));
            log.index.entry(id.clone()).or_default().push(index as usize);
            log.heads.insert(id, record.head());
        }
        log
    }

    /// The tree as it is kept of these records.
    fn tree(&self) -> Tree {
        let (mut tree, mut nodes) =
            (Frontier::<crate::ssot::merkle::Sha256>::new(), BTreeMap::new());
        for stored in &self.records {
            tree.push_leaf_with(&crate::ssot::merkle::leaf(&stored.digest), |id, hash| {
                if is_kept(id) {
                    nodes.insert(id, *hash);
                }
            });
        }
        Tree(tree.head(), nodes)
    }

    fn with_tree(&self, tree: &Tree) -> Self {
        Self { tree: Some(tree.clone()), ..self.clone() }
    }

    fn record(&self, at: usize) -> Record {
        Record::decode_sealed(&self.records[at].bytes).unwrap()
    }

    /// Puts another record in the place of one.
    fn reseal(&mut self, at: usize, id: &StreamId, body: Vec<u8>, after: Head) {
        self.records[at] = kept(&sealed(id, body, at as u64, after));
    }
}

impl Store for Log {
    fn append(&self, _: &Batch) -> Result<Committed, AppendError> {
        Err(AppendError::Refused { reason: "a log that is only read" })
    }
    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        Ok(self.heads.get(stream).copied().unwrap_or(Head::EMPTY))
    }
    fn len(&self) -> Result<u64, StoreError> {
        Ok(self.records.len() as u64)
    }
    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        Ok(self.records.iter().skip(from as usize).take(limit).cloned().collect())
    }
    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let places = self.index.get(stream).into_iter().flatten().skip(from as usize).take(limit);
        let gone = || StoreError::Damaged { what: "a place without a record".into() };
        places.map(|&place| self.records.get(place).cloned().ok_or_else(gone)).collect()
    }
    fn trace(
        &self,
        stretches: &[Stretch<'_>],
        visit: &mut dyn FnMut(usize, u64),
    ) -> Result<(), StoreError> {
        for (number, stretch) in stretches.iter().enumerate() {
            let places = self.index.get(stretch.stream).into_iter().flatten();
            let places = places.skip(stretch.from as usize).take(stretch.limit);
            places.for_each(|&place| visit(number, place as u64));
        }
        Ok(())
    }
    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        let all = self.heads.iter().filter(|(id, _)| after.is_none_or(|after| *id > after));
        Ok(all.map(|(id, head)| (id.clone(), *head)).take(limit).collect())
    }
    fn payload(&self, _: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        Ok(None)
    }
    fn kept_tree(&self) -> Option<&dyn KeptTree> {
        self.tree.as_ref().map(|tree| tree as &dyn KeptTree)
    }
    fn durability(&self) -> Durability {
        Durability::Volatile
    }
}

impl KeptTree for Tree {
    fn kept_head(&self) -> Result<TreeHead, StoreError> {
        Ok(self.0)
    }
    fn kept_nodes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, StoreError> {
        let size = self.0.size;
        let node = |id| self.1.get(id).copied().ok_or(StoreError::NoNode { node: *id, size });
        ids.iter().map(node).collect()
    }
}

/// The same with the bodies of `scan` and `trace` that the trait gives; when told so,
/// streams are kept as copies, and those have another last byte.
struct Plain<'a>(&'a Log, bool);

impl Store for Plain<'_> {
    fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
        self.0.append(batch)
    }
    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        self.0.head(stream)
    }
    fn len(&self) -> Result<u64, StoreError> {
        self.0.len()
    }
    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.0.read(from, limit)
    }
    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut records = self.0.read_stream(stream, from, limit)?;
        for stored in records.iter_mut().filter(|_| self.1) {
            let mut bytes = stored.bytes.to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            stored.bytes = bytes.into();
        }
        Ok(records)
    }
    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        self.0.streams(after, limit)
    }
    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        self.0.payload(digest)
    }
    fn kept_tree(&self) -> Option<&dyn KeptTree> {
        self.0.kept_tree()
    }
    fn durability(&self) -> Durability {
        self.0.durability()
    }
}

/// Everything small, so that a log of a few records has pieces, windows, and streams
/// that are forgotten and come back.
const SMALL: Bounds = Bounds { piece: 3, window: 5, each: 2, widest: 12, streams: 2 };
const ALONE: Bounds = Bounds { piece: 1, window: 1, each: 1, widest: 1, streams: 0 };

/// Whether each swift walk says of the log what the exact one says; the exact answer.
fn agree(log: &Log, what: &str) -> Result<Report, String> {
    let total = log.len().unwrap();
    let exact = exact::walk(log, total, &mut |_| {}).map_err(|error| format!("{error:?}"));
    for bounds in [SMALL, ALONE, Bounds::USUAL] {
        for store in [log as &dyn Store, &Plain(log, false)] {
            match (swift::walk(store, total, bounds, &mut |_| {}), &exact) {
                (Ok(swift), Ok(exact)) => assert_eq!(swift, *exact, "{what}"),
                (Err(Stop::Odd), Err(_)) => {}
                (swift, exact) => panic!("{what}: {bounds:?}: {swift:?} but {exact:?}"),
            }
        }
    }
    #[cfg(feature = "std")]
    stretches_agree(log, total, &exact, what);
    let whole = verify(log, |_| {}).map_err(|error| format!("{error:?}"));
    assert_eq!(whole, exact, "{what}: the first fault is the same");
    exact
}

/// The walk on several threads, over stretches that may begin and end anywhere.
#[cfg(feature = "std")]
fn stretches_agree(log: &Log, total: u64, exact: &Result<Report, String>, what: &str) {
    let few = Bounds { piece: 1, window: 4, each: 1, widest: 7, streams: 3 };
    let wide = Bounds { streams: 1 << 16, ..SMALL };
    for (bounds, threads) in [(SMALL, 2), (few, 3), (wide, 4), (ALONE, 5), (Bounds::USUAL, 2)] {
        match (parallel::shared(log, total, threads, 1, bounds, &mut |_| {}), exact) {
            (Ok(shared), Ok(exact)) => assert_eq!(shared, *exact, "{what}, {threads} threads"),
            (Err(Stop::Odd), Err(_)) => {}
            (shared, exact) => panic!("{what}: {threads} {bounds:?}: {shared:?} but {exact:?}"),
        }
    }
    let whole = verify_on(log, 3, |_| {}).map_err(|error| format!("{error:?}"));
    assert_eq!(whole, *exact, "{what}: the first fault is the same on three threads");
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % count
    }
}

/// Changes a log in one way; `false` when nothing is another afterwards.
fn change(log: &mut Log, dice: &mut Dice, way: u64) -> bool {
    let count = log.records.len();
    let at = dice.below(count as u64) as usize;
    let other = dice.below(count as u64) as usize;
    let record = log.record(at);
    let id = record.stream().clone();
    let own = log.index[&id].len() as u64;
    let entry = dice.below(own) as usize;
    let after = Head::new(record.sequence(), record.previous());
    let before = log.clone();
    match way {
        0..=2 => {
            let mut bytes = log.records[at].bytes.to_vec();
            let bit = dice.below(bytes.len() as u64 * 8) as usize;
            bytes[bit / 8] ^= 1 << (bit % 8);
            // With its digest computed again in half of the cases.
            if dice.below(2) == 0 {
                log.records[at].digest = Domain::Record.hash(&bytes);
            }
            log.records[at].bytes = bytes.into();
        }
        3 => {
            let mut digest = *record.digest().as_bytes();
            digest[dice.below(32) as usize] ^= 1;
            log.records[at].digest = Digest::from_bytes(digest);
        }
        4 => log.records.swap(at, other),
        5 => drop(log.records.remove(at)),
        6 => log.records.insert(other, before.records[at].clone()),
        7 => log.records[other] = before.records[at].clone(),
        8 => log.records.truncate(at),
        9 => log.index.get_mut(&id).unwrap()[entry] = other,
        10 => log.index.get_mut(&id).unwrap()[entry] = count + other,
        11 => drop(log.index.get_mut(&id).unwrap().remove(entry)),
        12 => log.index.get_mut(&id).unwrap().push(other),
        13 => log.index.get_mut(&id).unwrap().swap(entry, dice.below(own) as usize),
        14 => drop(log.index.remove(&id)),
        15 => drop(log.heads.insert(id, Head::new(dice.below(own + 2), record.digest()))),
        16 => drop(log.heads.insert(id, Head::new(own, record.digest()))),
        17 => drop(log.heads.remove(&id)),
        18 => drop(log.heads.insert(stream(99), Head::new(dice.below(3), record.digest()))),
        19 => log.reseal(at, &id, b"another body".to_vec(), after),
        20 => log.reseal(at, &stream(dice.below(8)), record.body().to_vec(), after),
        21 => log.reseal(at, &id, Vec::new(), Head::new(dice.below(own + 1), record.previous())),
        22 => log.reseal(at, &id, Vec::new(), Head::EMPTY),
        23 => {
            // A stream of its own in the place of a record: consistent but for the rest.
            log.reseal(at, &stream(50), Vec::new(), Head::EMPTY);
            log.index.insert(stream(50), vec![at]);
            log.heads.insert(stream(50), log.record(at).head());
        }
        24 => {
            // The last record of a stream is another, and its head as well.
            let last = *log.index[&id].last().unwrap();
            let old = log.record(last);
            let after = Head::new(old.sequence(), old.previous());
            log.reseal(last, &id, b"another end".to_vec(), after);
            log.heads.insert(id, log.record(last).head());
        }
        25 | 26 => {
            // The same, and it names another index, or another sequence.
            let last = *log.index[&id].last().unwrap();
            let old = log.record(last);
            let (index, sequence) = if way == 25 { (1, 0) } else { (0, 1 + dice.below(own)) };
            let after = Head::new(old.sequence() + sequence, old.previous());
            let record = sealed(&id, vec![7; 9], last as u64 + index, after);
            log.records[last] = kept(&record);
            log.heads.insert(id, record.head());
        }
        27 => {
            // Bytes that are no record, with their digest; longer than a chunk, or not.
            let bytes = vec![at as u8; if other.is_multiple_of(2) { 70 } else { 1200 }];
            log.records[at].digest = Domain::Record.hash(&bytes);
            log.records[at].bytes = bytes.into();
        }
        _ => {
            // A record that follows itself: its previous is its own place's digest.
            let after = Head::new(record.sequence(), record.digest());
            log.reseal(at, &id, Vec::new(), after);
        }
    }
    before.records != log.records || before.index != log.index || before.heads != log.heads
}

const WAYS: u64 = 29;

#[test]
fn the_swift_walk_says_what_the_exact_one_says() {
    let mut dice = Dice(7);
    let mut faults = 0;
    for round in 0..40 {
        let count = 1 + dice.below(40);
        let streams = 1 + dice.below(7);
        let mut order = Dice(round);
        let sound = Log::sound(count, |_| order.below(streams));
        assert_eq!(agree(&sound, "sound").unwrap().records, count);
        let tree = sound.tree();
        assert_eq!(agree(&sound.with_tree(&tree), "sound").unwrap().root, tree.0.root);
        for way in 0..WAYS {
            let mut log = sound.clone();
            let changed = change(&mut log, &mut dice, way);
            let result = agree(&log, &format!("round {round}, way {way}"));
            assert!(changed || result.is_ok(), "round {round}, way {way}");
            // Only the last one of a stream, changed together with its head, is not seen.
            assert!(!changed || result.is_err() || [23, 24].contains(&way), "{round} {way}");
            // With the tree as it was, that is seen as well.
            let whole = agree(&log.with_tree(&tree), &format!("round {round}, way {way}, tree"));
            assert_eq!(whole.is_err(), changed, "round {round}, way {way}");
            assert!(result.is_ok() || whole == result, "a fault of a record comes first");
            faults += u32::from(result.is_err());
        }
    }
    assert!(faults > 800, "{faults}");
}

#[test]
fn several_changes_at_once_are_named_as_ever() {
    let mut dice = Dice(11);
    for round in 0..300 {
        let mut order = Dice(round);
        let mut log = Log::sound(30, |_| order.below(4));
        let mut ways = Vec::new();
        for _ in 0..=dice.below(3) {
            // Those that need a readable record there come first.
            let way = 9 + dice.below(10);
            change(&mut log, &mut dice, way);
            ways.push(way);
            if log.index.len() < 4 || log.index.values().any(Vec::is_empty) {
                break;
            }
        }
        let _answer = agree(&log, &format!("round {round}, ways {ways:?}"));
    }
}

/// A store that counts more records than it shows, or fewer.
#[test]
fn a_log_of_another_length_than_its_store_says_is_odd() {
    let log = Log::sound(30, |index| index % 3);
    for total in [29, 31] {
        let swift = swift::walk(&log, total, SMALL, &mut |_| {});
        assert!(matches!(swift, Err(Stop::Odd)), "{total}: {swift:?}");
    }
    let exact = exact::walk(&log, 31, &mut |_| {});
    let fault = Fault::Truncated { index: 30, expected: 31 };
    assert!(matches!(exact, Err(VerifyError::Fault(found)) if found == fault));
}

/// Streams that are kept as copies of their own: a trace compares them with the log.
#[test]
fn a_copy_that_differs_is_found() {
    let log = Log::sound(10, |index| index % 2);
    assert!(verify(&Plain(&log, false), |_| {}).is_ok());
    let copies = Plain(&log, true);
    assert!(matches!(swift::walk(&copies, 10, SMALL, &mut |_| {}), Err(Stop::Odd)));
    assert!(matches!(verify(&copies, |_| {}), Err(VerifyError::Fault(Fault::Digest { .. }))));
}

/// Forgotten streams come back, and heads are found without being remembered.
#[test]
fn more_streams_than_are_remembered_are_verified_all_the_same() {
    for streams in [1, 2, 3, 5, 20] {
        let log = Log::sound(100, |index| index % streams);
        assert_eq!(agree(&log, "in turns").unwrap().streams, streams);
        let log = Log::sound(100, |index| index * streams / 100);
        assert_eq!(agree(&log, "one after another").unwrap().streams, streams);
    }
}

/// What a walk asks a store for at a time, at most.
struct Asked<'a>(&'a Log, Cell<usize>);

impl Asked<'_> {
    fn note(&self, count: usize) {
        self.1.set(self.1.get().max(count));
    }
}

impl Store for Asked<'_> {
    fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
        self.0.append(batch)
    }
    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        self.0.head(stream)
    }
    fn len(&self) -> Result<u64, StoreError> {
        self.0.len()
    }
    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.note(limit);
        self.0.read(from, limit)
    }
    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.note(limit);
        self.0.read_stream(stream, from, limit)
    }
    fn trace(
        &self,
        stretches: &[Stretch<'_>],
        visit: &mut dyn FnMut(usize, u64),
    ) -> Result<(), StoreError> {
        self.note(stretches.len());
        self.0.trace(stretches, visit)
    }
    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        self.note(limit.min(CHUNK) / 64);
        self.0.streams(after, limit)
    }
    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        self.0.payload(digest)
    }
    fn durability(&self) -> Durability {
        self.0.durability()
    }
}

/// Constant memory: twenty times the records and the streams, and no more is held.
#[test]
fn what_is_held_does_not_grow_with_the_log() {
    let bounds = Bounds { piece: 16, window: 32, each: 2, widest: 64, streams: 24 };
    let held = |count: u64, streams: u64| {
        let log = Log::sound(count, |index| index % streams);
        let store = Asked(&log, Cell::new(0));
        let (report, held) = swift::walk_and_weigh(&store, count, bounds).unwrap();
        assert_eq!((report.records, report.streams), (count, streams));
        (held, store.1.get())
    };
    let (small, asked) = held(400, 100);
    let (large, asked_more) = held(8000, 2000);
    assert!(large <= small, "{large} instead of {small} bytes");
    assert_eq!((asked, asked_more), (64, 64), "records or stretches of one call");
}

/// INVARIANT (same records) of the view.
#[test]
fn a_view_is_had_of_exactly_what_is_a_record() {
    let log = Log::sound(8, |index| index % 3);
    let same = |bytes: &[u8]| {
        let view = RecordView::of(bytes).and_then(|view| Some((view, view.stream()?)));
        match (Record::decode_sealed(bytes), view) {
            (Ok(record), Some((view, id))) => {
                assert_eq!((record.kind(), record.body()), (view.kind, view.body));
                assert_eq!((record.index(), record.sequence()), (view.index, view.sequence));
                assert_eq!((record.previous(), record.stream()), (view.previous, &id));
            }
            (Err(_), None) => {}
            (record, view) => panic!("{record:?} but {view:?} of {bytes:02x?}"),
        }
    };
    for stored in &log.records {
        let bytes = stored.bytes.to_vec();
        same(&bytes);
        (0..bytes.len()).for_each(|end| same(&bytes[..end]));
        let mut longer = bytes.clone();
        longer.push(0);
        same(&longer);
        for at in 0..bytes.len().min(100) {
            for value in 0..=u8::MAX {
                let mut other = bytes.clone();
                other[at] = value;
                same(&other);
            }
        }
    }
}

/// Progress only grows, also when the log is walked a second time.
#[test]
fn progress_never_goes_back() {
    let mut log = Log::sound(5000, |index| index % 7);
    let last = log.records.len() - 1;
    let mut bytes = log.records[last].bytes.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    log.records[last].bytes = bytes.into();
    let mut told = Vec::new();
    let error = verify(&log, |step| told.push(step.verified)).unwrap_err();
    assert!(matches!(error, VerifyError::Fault(Fault::Digest { place: Place::Log(4999), .. })));
    assert!(told.is_sorted_by(|a, b| a < b) && told.len() >= 4, "{told:?}");
}

/// Every way in which a kept tree can be wrong, and what it is called.
#[test]
fn a_kept_tree_that_is_not_of_the_records_is_named() {
    for count in [1, 2, 15, 16, 17, 33] {
        let log = Log::sound(count, |index| index % 3);
        let (tree, total) = (log.tree(), count);
        let fault = |tree: &Tree| {
            let log = log.with_tree(tree);
            let answer = agree(&log, &format!("{total} records")).unwrap_err();
            let exact = exact::walk(&log, total, &mut |_| {}).unwrap_err();
            assert_eq!(format!("{exact:?}"), answer);
            let VerifyError::Fault(fault) = exact else { panic!("{exact}") };
            fault
        };
        for (&node, &expected) in &tree.1 {
            let mut other = tree.clone();
            let found = Hash::from_bytes([7; 32]);
            other.1.insert(node, found);
            assert_eq!(fault(&other), Fault::TreeNode { node, expected, found });
            other.1.remove(&node);
            assert_eq!(fault(&other), Fault::TreeMissing { node, expected });
        }
        let expected = tree.0;
        let before = Log::sound(count - 1, |index| index % 3).tree();
        let found = [
            TreeHead { size: total + 1, ..expected },
            TreeHead { root: Hash::ZERO, ..expected },
            before.0,
        ];
        for found in found {
            let other = Tree(found, tree.1.clone());
            assert_eq!(fault(&other), Fault::TreeHead { expected, found });
        }
        // As it was one record ago: the last leaf is not there.
        let last = NodeId { level: 0, index: total - 1 };
        assert!(matches!(fault(&before), Fault::TreeMissing { node, .. } if node == last));
    }
    let node = Fault::TreeMissing { node: NodeId { level: 4, index: 2 }, expected: Hash::ZERO };
    let said = format!("node 2 of level 4 of the tree: expected {}, found none", Hash::ZERO);
    assert_eq!(format!("{node}"), said);
}

/// A store that cannot be read says so, on one thread and on several.
#[cfg(feature = "std")]
#[test]
fn a_store_that_cannot_be_read_is_that_on_every_thread() {
    struct Unreadable(Log, u64);
    impl Store for Unreadable {
        fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
            self.0.append(batch)
        }
        fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
            self.0.head(stream)
        }
        fn len(&self) -> Result<u64, StoreError> {
            self.0.len()
        }
        fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
            if from < self.1 {
                return self.0.read(from, limit);
            }
            let source = alloc::boxed::Box::new(std::io::Error::other("gone"));
            Err(StoreError::Backend { what: "reading", source })
        }
        fn read_stream(
            &self,
            stream: &StreamId,
            from: u64,
            limit: usize,
        ) -> Result<Vec<Stored>, StoreError> {
            self.0.read_stream(stream, from, limit)
        }
        fn streams(
            &self,
            after: Option<&StreamId>,
            limit: usize,
        ) -> Result<Vec<(StreamId, Head)>, StoreError> {
            self.0.streams(after, limit)
        }
        fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
            self.0.payload(digest)
        }
        fn durability(&self) -> Durability {
            self.0.durability()
        }
    }
    for from in [0, 20_000, 39_999] {
        let store = Unreadable(Log::sound(40_000, |index| index % 3), from);
        assert!(matches!(verify(&store, |_| {}), Err(VerifyError::Store(_))));
        for threads in 1..4 {
            let result = verify_on(&store, threads, |_| {});
            assert!(matches!(result, Err(VerifyError::Store(_))), "{from}, {threads}: {result:?}");
        }
    }
}

/// Progress of all threads together only grows and ends with all records.
#[cfg(feature = "std")]
#[test]
fn progress_of_several_threads_is_told_as_one() {
    let log = Log::sound(70_000, |index| index % 7);
    let mut told = Vec::new();
    let report = verify_on(&log, 4, |step| told.push((step.verified, step.total))).unwrap();
    assert_eq!(report, verify(&log, |_| {}).unwrap());
    assert!(told.is_sorted_by(|a, b| a.0 < b.0), "{told:?}");
    assert_eq!(told.last(), Some(&(70_000, 70_000)));
}
