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
use crate::ssot::record::{Draft, RecordKind, StreamId, StreamKind};
use crate::ssot::store::{AppendError, Batch, Committed, Durability, Stretch};
use crate::time::Timestamp;

/// A log whose every part can be changed.
#[derive(Clone, Default)]
struct Log {
    records: Vec<Stored>,
    index: BTreeMap<StreamId, Vec<usize>>,
    heads: BTreeMap<StreamId, Head>,
}

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
    fn durability(&self) -> Durability {
        Durability::Volatile
    }
}

/// The same with the bodies of `scan` and `trace` that the trait gives.
struct Plain<'a>(&'a Log);

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

/// Everything small, so that a log of a few records has pieces, windows, and streams
/// that are forgotten and come back.
const SMALL: Bounds = Bounds { piece: 3, window: 5, each: 2, widest: 12, streams: 2 };
const ALONE: Bounds = Bounds { piece: 1, window: 1, each: 1, widest: 1, streams: 0 };

/// Whether each swift walk says of the log what the exact one says; the exact answer.
fn agree(log: &Log, what: &str) -> Result<Report, String> {
    let total = log.len().unwrap();
    let exact = exact::walk(log, total, &mut |_| {}).map_err(|error| format!("{error:?}"));
    for bounds in [SMALL, ALONE, Bounds::USUAL] {
        for store in [log as &dyn Store, &Plain(log)] {
            match (swift::walk(store, total, bounds, &mut |_| {}), &exact) {
                (Ok(swift), Ok(exact)) => assert_eq!(swift, *exact, "{what}"),
                (Err(Stop::Odd), Err(_)) => {}
                (swift, exact) => panic!("{what}: {bounds:?}: {swift:?} but {exact:?}"),
            }
        }
    }
    let whole = verify(log, |_| {}).map_err(|error| format!("{error:?}"));
    assert_eq!(whole, exact, "{what}: the first fault is the same");
    exact
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
        25 => {
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

const WAYS: u64 = 27;

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
        for way in 0..WAYS {
            let mut log = sound.clone();
            let changed = change(&mut log, &mut dice, way);
            let result = agree(&log, &format!("round {round}, way {way}"));
            assert!(changed || result.is_ok(), "round {round}, way {way}");
            // Only the last one of a stream, changed together with its head, is not seen.
            assert!(!changed || result.is_err() || [23, 24].contains(&way), "{round} {way}");
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
