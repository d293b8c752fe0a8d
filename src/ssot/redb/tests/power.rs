//! Power that goes out at any moment: a campaign over simulated disks (D-27).
//!
//! A store runs on media that write down every operation. Afterwards the power is cut at
//! some place of that tape: what was flushed by then is there, and of what was written since
//! the last flush of a medium anything may be: any operations, in any order, each torn at
//! sectors of 512 bytes, the length of the file included. Each such image is opened, and must
//! have every record that was acknowledged before the cut, no batch in part, nothing else,
//! verify, and go on. Now and then the power goes out again while the image is being opened.
//!
//! That this finds anything is shown by disks that lie: one that never flushes the journal,
//! one that flushes it only when it is written again (a store that answers too early), and
//! one that never flushes the tables. Each must be caught.
//!
//! `PROSPERA_IMAGES` sets the number of images of each campaign, `PROSPERA_SEED` the seed:
//!
//! ```text
//! PROSPERA_IMAGES=20000 cargo test --release --features redb --lib redb::tests::power -- --nocapture
//! ```

use std::io;
use std::sync::{Mutex, MutexGuard};

use redb::StorageBackend;

use crate::digest::Domain;
use crate::id::Subsystem;
use crate::ssot::record::{Draft, Record, RecordKind, StreamKind};
use crate::ssot::redb::journal::Place;
use crate::ssot::redb::*;
use crate::ssot::verify::verify;
use crate::time::Timestamp;

const SECTOR: usize = 512;
const TABLES: usize = 0;
const JOURNAL: [usize; 2] = [1, 2];

type Image = [Vec<u8>; 3];

#[derive(Debug, Clone)]
enum Op {
    Write(usize, Vec<u8>),
    SetLen(usize),
    Sync,
}

/// Which of the three media lie about a flush, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    None,
    Never(&'static [usize]),
    /// The flush takes place before the next write, after it was answered.
    Late(&'static [usize]),
}

/// Three media, and all that was ever done to them.
#[derive(Debug, Clone)]
struct Tape(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    base: Image,
    now: Image,
    ops: Vec<(usize, Op)>,
    lie: Lie,
    owed: [bool; 3],
}

#[derive(Debug)]
struct Medium {
    tape: Tape,
    which: usize,
}

impl Tape {
    fn new(base: Image, lie: Lie) -> Self {
        let (now, ops, owed) = (base.clone(), Vec::new(), [false; 3]);
        Self(Arc::new(Mutex::new(Inner { base, now, ops, lie, owed })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    fn position(&self) -> usize {
        self.inner().ops.len()
    }

    fn medium(&self, which: usize) -> Medium {
        Medium { tape: self.clone(), which }
    }

    fn open(&self, options: &Options) -> Result<RedbStore, StoreError> {
        let tape = self.clone();
        RedbStore::create_on(move |which| tape.medium(which), "disk", options)
    }
}

fn apply(bytes: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Write(at, data) => {
            let end = at + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*at..end].copy_from_slice(data);
        }
        Op::SetLen(len) => bytes.resize(*len, 0),
        Op::Sync => {}
    }
}

impl Medium {
    fn record(&self, op: Op) {
        let mut inner = self.tape.inner();
        let inner = &mut *inner;
        if inner.owed[self.which] && !matches!(op, Op::Sync) {
            inner.owed[self.which] = false;
            inner.ops.push((self.which, Op::Sync));
        }
        match (&op, inner.lie) {
            (Op::Sync, Lie::Never(media)) if media.contains(&self.which) => return,
            (Op::Sync, Lie::Late(media)) if media.contains(&self.which) => {
                inner.owed[self.which] = true;
                return;
            }
            _ => {}
        }
        apply(&mut inner.now[self.which], &op);
        inner.ops.push((self.which, op));
    }
}

impl StorageBackend for Medium {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.tape.inner().now[self.which].len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let inner = self.tape.inner();
        let start = usize::try_from(offset).unwrap();
        let found = inner.now[self.which].get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.record(Op::SetLen(usize::try_from(len).unwrap()));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.record(Op::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.record(Op::Write(usize::try_from(offset).unwrap(), data.to_vec()));
        Ok(())
    }
}

fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn below(state: &mut u64, end: usize) -> usize {
    usize::try_from(next(state) % end.max(1) as u64).unwrap()
}

/// Goes along a tape, and makes images of what a power loss may leave at a place of it.
struct Player<'t> {
    ops: &'t [(usize, Op)],
    at: usize,
    flushed: Image,
    pending: [Vec<&'t Op>; 3],
}

impl<'t> Player<'t> {
    fn new(inner: &'t Inner) -> Self {
        let flushed = inner.base.clone();
        Self { ops: &inner.ops, at: 0, flushed, pending: Default::default() }
    }

    fn forward(&mut self, to: usize) {
        for (which, op) in &self.ops[self.at..to] {
            if matches!(op, Op::Sync) {
                for op in self.pending[*which].drain(..) {
                    apply(&mut self.flushed[*which], op);
                }
            } else {
                self.pending[*which].push(op);
            }
        }
        self.at = to;
    }

    fn image(&self, random: &mut u64) -> Image {
        core::array::from_fn(|which| survive(&self.flushed[which], &self.pending[which], random))
    }
}

/// What is left of a medium.
fn survive(flushed: &[u8], pending: &[&Op], random: &mut u64) -> Vec<u8> {
    let mut image = flushed.to_vec();
    match next(random) % 8 {
        0 => {}
        1 => pending.iter().for_each(|op| apply(&mut image, op)),
        // As it was written, up to some place; the last of it torn.
        2 | 3 => {
            let count = below(random, pending.len() + 1);
            for op in &pending[..count] {
                apply(&mut image, op);
            }
            if let Some(last) = pending.get(count) {
                torn(&mut image, last, 50, random);
            }
        }
        // All but one, and one alone.
        kind @ (4 | 5) => {
            let one = below(random, pending.len());
            for (number, op) in pending.iter().enumerate() {
                if (number == one) == (kind == 5) {
                    torn(&mut image, op, 90, random);
                }
            }
        }
        // Whatever, in any order.
        _ => {
            let mut order: Vec<_> = (0..pending.len()).collect();
            for at in (1..order.len()).rev() {
                order.swap(at, below(random, at + 1));
            }
            let (share, whole) = (next(random) % 101, next(random) % 101);
            for number in order {
                if next(random) % 100 < share {
                    torn(&mut image, pending[number], whole, random);
                }
            }
        }
    }
    image
}

/// Some sectors of a write: of so many hundredths.
fn torn(image: &mut Vec<u8>, op: &Op, share: u64, random: &mut u64) {
    let Op::Write(at, data) = op else { return apply(image, op) };
    let mut start = *at;
    while start < at + data.len() {
        let end = ((start / SECTOR + 1) * SECTOR).min(at + data.len());
        if next(random) % 100 < share {
            apply(image, &Op::Write(start, data[start - at..end - at].to_vec()));
        }
        start = end;
    }
}

/// What a log must be after a cut.
#[derive(Debug, Default)]
struct Known {
    log: Vec<Stored>,
    /// Where each batch ends in the log, from which place of the tape on it is there for
    /// certain, and its payload.
    batches: Vec<(usize, usize, Digest)>,
}

impl Known {
    /// What is in a store that was not cut off.
    /// What is in a store from the beginning.
    fn of(store: &RedbStore, position: usize) -> Self {
        let log = store.read(0, usize::MAX).unwrap();
        let batches = vec![(log.len(), position, Digest::ZERO)];
        Self { log, batches }
    }

    /// Says what is wrong with a store after a cut at a place.
    fn check(&self, store: &RedbStore, position: usize) -> Result<usize, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let report = verify(store, |_| {}).map_err(|e| text(&e))?;
        let found = store.read(0, usize::MAX).map_err(|e| text(&e))?;
        if report.records != found.len() as u64 || !self.log.starts_with(&found) {
            return Err(format!("{} records, not those that were appended", found.len()));
        }
        let sure = self.batches.iter().filter(|(_, at, _)| *at <= position);
        let least = sure.map(|(end, _, _)| *end).max().unwrap_or(0);
        if found.len() < least {
            return Err(format!("{} records of {least} that were acknowledged", found.len()));
        }
        let whole = found.is_empty() || self.batches.iter().any(|(end, ..)| *end == found.len());
        if !whole {
            return Err(format!("{} records: a batch is there in part", found.len()));
        }
        for (end, _, payload) in &self.batches {
            let there = *end <= found.len() && *payload != Digest::ZERO;
            if there && store.payload(payload).map_err(|e| text(&e))?.is_none() {
                return Err(format!("the payload of the batch that ends at {end} is lost"));
            }
        }
        Ok(found.len())
    }
}

/// Appends batches of one to three records, alone and in groups.
fn work(tape: &Tape, store: &RedbStore, known: &mut Known, batches: u64, random: &mut u64) {
    let mut done = 0;
    while done < batches {
        let group: Vec<Batch> = (0..=next(random) % 3)
            .map(|number| {
                // Different streams, so that none of them is in conflict with another.
                let count = 1 + next(random) % 3;
                let payload = next(random).to_le_bytes();
                let batch = Batch::new(Timestamp::from_millis(done))
                    .payload(Domain::Payload.hash(&payload), payload.as_slice().into());
                (0..count).fold(batch, |batch, which| {
                    let name = format!("{number} {which} {}", next(random) % 4);
                    let stream = StreamId::new(StreamKind::Routing, name.parse().unwrap());
                    let size = if next(random).is_multiple_of(5) { 6000 } else { 300 };
                    let body = vec![7; below(random, size)];
                    let draft =
                        Draft::new(stream.clone(), RecordKind::Outcome, Subsystem::Execution, body);
                    batch.expect(stream.clone(), store.head(&stream).unwrap()).append(draft)
                })
            })
            .collect();
        let answers = {
            let mut core = store.committer.as_ref().unwrap().core.lock().unwrap();
            committer::commit(&store.shared, &mut core, &group.iter().collect::<Vec<_>>())
        };
        let position = tape.position();
        for (batch, answer) in group.iter().zip(answers) {
            let records = answer.unwrap().records;
            let stored = |r: &Record| Stored { bytes: r.shared_bytes(), digest: r.digest() };
            known.log.extend(records.iter().map(stored));
            known.batches.push((known.log.len(), position, batch.payloads()[0].0));
            done += 1;
        }
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn seed() -> u64 {
    0x9e37_79b9_7f4a_7c15 ^ setting("PROSPERA_SEED", 0).wrapping_mul(0x2545_f491_4f6c_dd1d)
}

/// Cuts a tape at so many places. Says what the first bad image is, or how many were good.
fn cuts(tape: &Tape, known: &Known, images: u64, random: &mut u64) -> Result<u64, String> {
    let inner = tape.inner();
    let mut places: Vec<_> = (0..images).map(|_| below(random, inner.ops.len() + 1)).collect();
    places.sort_unstable();
    let mut player = Player::new(&inner);
    for place in places {
        player.forward(place);
        let image = player.image(random);
        let told = |error: String| format!("cut at {place} of {}: {error}", player.ops.len());
        reopened(image, known, place, 0, random).map_err(told)?;
    }
    Ok(images)
}

/// Opens an image, checks it, and goes on; now and then the power goes out in between.
fn reopened(
    image: Image,
    known: &Known,
    place: usize,
    depth: u32,
    random: &mut u64,
) -> Result<(), String> {
    let tape = Tape::new(image, Lie::None);
    let short = Options::new().journal_bytes(below(random, 9000));
    let store = tape.open(&short).map_err(|error| format!("not opened: {error}"))?;
    let found = known.check(&store, place)?;
    let opened = tape.position();
    let mut on = Known { log: known.log[..found].to_vec(), batches: Vec::new() };
    // What was found once is there for good.
    on.batches.push((found, opened, Digest::ZERO));
    let earlier = known.batches.iter().filter(|(end, ..)| *end < found);
    let earlier: Vec<_> = earlier.map(|(end, _, digest)| (*end, opened, *digest)).collect();
    work(&tape, &store, &mut on, 2, random);
    drop(store);
    if depth < 2 && next(random).is_multiple_of(6) {
        let inner = tape.inner();
        let mut player = Player::new(&inner);
        let cut = below(random, player.ops.len() + 1);
        player.forward(cut);
        let image = player.image(random);
        if cut >= opened {
            on.batches.extend(earlier);
            return reopened(image, &on, cut, depth + 1, random);
        }
        // While it was being opened: the first cut's promises are what counts.
        return reopened(image, known, place, depth + 1, random);
    }
    let again = tape.open(&Options::new()).map_err(|error| format!("not opened again: {error}"))?;
    on.check(&again, usize::MAX).map(drop)
}

/// A store that was just made, as a file gets its name.
fn fresh() -> Image {
    let tape = Tape::new(Image::default(), Lie::None);
    drop(tape.open(&Options::new()).unwrap());
    tape.inner().now.clone()
}

/// A service's life: three times opened, used, and closed.
fn life(lie: Lie, random: &mut u64) -> (Tape, Known) {
    let tape = Tape::new(fresh(), lie);
    let mut known = Known::default();
    for _ in 0..3 {
        let turn = 500 + below(random, 12_000);
        let store = tape.open(&Options::new().journal_bytes(turn)).unwrap();
        work(&tape, &store, &mut known, 25, random);
        drop(store);
    }
    (tape, known)
}

#[test]
fn power_loss_while_a_store_is_used() {
    let (images, mut random) = (setting("PROSPERA_IMAGES", 400), seed());
    let (mut done, mut lives) = (0, 0);
    while done < images {
        let (tape, known) = life(Lie::None, &mut random);
        done += cuts(&tape, &known, (images - done).min(200), &mut random).unwrap();
        lives += 1;
    }
    println!("{done} images of {lives} lives, all sound");
}

/// The campaign would see it if a disk lied, or if the store answered before the flush.
#[test]
fn a_disk_that_lies_is_caught() {
    for lie in [Lie::Never(&JOURNAL), Lie::Late(&JOURNAL), Lie::Never(&[TABLES])] {
        let (mut random, mut caught, mut lives) = (seed(), None, 0);
        while caught.is_none() && lives < 20 {
            let (tape, known) = life(lie, &mut random);
            caught = cuts(&tape, &known, 200, &mut random).err();
            lives += 1;
        }
        println!("{lie:?}: {caught:?} in life {lives}");
        assert!(caught.is_some(), "{lie:?} was not noticed");
    }
}

/// A store with many pages that nothing uses.
fn loose(random: &mut u64) -> (Image, Known) {
    let tape = Tape::new(Image::default(), Lie::None);
    let mut known = Known::default();
    let store = tape.open(&Options::new().journal_bytes(8000)).unwrap();
    work(&tape, &store, &mut known, 300, random);
    drop(store);
    let image = tape.inner().now.clone();
    known.batches.iter_mut().for_each(|(_, at, _)| *at = 0);
    (image, known)
}

fn compacted(tape: &Tape) -> Result<(), StoreError> {
    let tables = tape.medium(TABLES);
    let database =
        opening("disk", || Options::new().builder().create_with_backend(tables)).unwrap();
    let shared = Shared::new(File::Writer(database), "disk".into(), None, &Options::new());
    let tape = tape.clone();
    let segment = move |which: usize| -> Box<dyn StorageBackend> {
        Box::new(tape.medium(which.saturating_add(1)))
    };
    crate::ssot::redb::compact::compact(shared, Place::On(Media(Box::new(segment))))
}

#[test]
fn power_loss_while_a_store_is_compacted() {
    let (images, mut random) = (setting("PROSPERA_IMAGES", 200), seed());
    let (image, known) = loose(&mut random);
    let before = image[TABLES].len();
    let tape = Tape::new(image, Lie::None);
    compacted(&tape).unwrap();
    let after = tape.inner().now[TABLES].len();
    assert!(after < before, "{before} to {after}: nothing was compacted");
    let done = cuts(&tape, &known, images, &mut random).unwrap();
    println!("{done} images of {} operations, {before} to {after} bytes", tape.position());
    // And one that lies is caught here, too.
    let (image, known) = loose(&mut random);
    let tape = Tape::new(image, Lie::Never(&[TABLES]));
    compacted(&tape).unwrap();
    assert!(cuts(&tape, &known, 500, &mut random).is_err());
}

/// A backup has its name only when it is whole; whatever is there before is no store, or
/// one that was not closed, or all of it.
#[test]
fn power_loss_while_a_backup_is_made() {
    let (images, mut random) = (setting("PROSPERA_IMAGES", 100), seed());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy.redb");
    let (mut cut_off, mut whole) = (0, 0);
    for lie in [Lie::None, Lie::Never(&[TABLES])] {
        let source = Tape::new(Image::default(), Lie::None);
        let mut known = Known::default();
        let store = source.open(&Options::new().journal_bytes(40_000)).unwrap();
        work(&source, &store, &mut known, 60, &mut random);
        let tape = Tape::new(Image::default(), lie);
        let builder = crate::ssot::redb::backup::builder();
        let copy = builder.create_with_backend(tape.medium(TABLES)).unwrap();
        store.moment().unwrap().copy_into(&copy, &mut |_| {}).unwrap();
        crate::ssot::redb::backup::close(copy, "copy").unwrap();
        let inner = tape.inner();
        let end = inner.ops.len();
        let opened = |place: usize, random: &mut u64| {
            let mut player = Player::new(&inner);
            player.forward(place);
            std::fs::write(&path, &player.image(random)[TABLES]).unwrap();
            RedbStore::open_read_only(&path)
        };
        let complete = |store: &RedbStore| known.check(store, usize::MAX);
        for number in 0..images {
            // From the rename on, which comes after the last operation.
            let published = opened(end, &mut random);
            let sound = published.map_err(|e| e.to_string()).and_then(|store| complete(&store));
            match (lie, sound) {
                (Lie::None, sound) => assert_eq!(sound, Ok(known.log.len())),
                (_, Err(_)) => break,
                (_, Ok(_)) => assert!(number < 99, "a lie was not noticed"),
            }
            match opened(below(&mut random, end), &mut random) {
                Ok(store) => whole += usize::from(complete(&store).unwrap() > 0),
                Err(
                    StoreError::NotClosed { .. }
                    | StoreError::Format { .. }
                    | StoreError::Damaged { .. }
                    | StoreError::Backend { .. },
                ) => cut_off += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    println!("{cut_off} cut off, {whole} whole before they were named");
    assert!(cut_off > 10);
}

/// A store of an earlier format, as a file of `tests/fixtures/stores`.
fn old(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/stores").join(name);
    let packed = std::fs::read(path).unwrap();
    let number =
        |bytes: &[u8]| usize::try_from(u64::from_le_bytes(bytes.try_into().unwrap())).unwrap();
    let mut whole = vec![0; number(&packed[..8]).next_multiple_of(SECTOR)];
    for sector in packed[8..].chunks(8 + SECTOR) {
        let at = number(&sector[..8]);
        whole[at..at + SECTOR].copy_from_slice(&sector[8..]);
    }
    whole.truncate(number(&packed[..8]));
    whole
}

/// What an earlier format wrote is there after a power loss at any moment of making it this
/// one's, what its own journal has included.
#[test]
fn power_loss_while_an_older_format_is_taken_up() {
    let (images, mut random) = (setting("PROSPERA_IMAGES", 100), seed());
    let left = [old("v2-left"), old("v2-left.journal-0"), old("v2-left.journal-1")];
    let alone = |name: &str| [old(name), Vec::new(), Vec::new()];
    for (image, records) in [(alone("v1-closed"), 36), (alone("v2-closed"), 36), (left, 30)] {
        let tape = Tape::new(image, Lie::None);
        let store = tape.open(&Options::new().journal_bytes(2000)).unwrap();
        let mut known = Known::of(&store, 0);
        assert_eq!(known.log.len(), records);
        work(&tape, &store, &mut known, 6, &mut random);
        drop(store);
        let done = cuts(&tape, &known, images, &mut random).unwrap();
        println!("{done} images of {} operations", tape.position());
    }
}
