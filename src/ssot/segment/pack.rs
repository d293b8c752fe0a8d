//! Packing: from a store into files.

use std::borrow::ToOwned as _;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec::Vec;

use super::block::{self, Drawn, class_of};
use super::index::{BlockRow, Index, SegmentHead, StreamRow, brief, digest_of, end};
use super::read::{self, Segments};
use super::row::{Hole, Taken, take};
use super::shape::{Mark, PayloadOf};
use super::zip::{Unzipper, Zipper};
use super::{Dictionaries, SegmentError, Shape};
use crate::digest::Digest;
use crate::limits::{SEGMENT_BLOCK_BYTES, SEGMENT_BLOCK_RECORDS, SEGMENT_RECORDS};
use crate::ssot::class::{ClassRules, StateClass};
use crate::ssot::merkle::{Frontier, Hash, Sha256, TreeHash as _};
use crate::ssot::record::{Record, StreamId};
use crate::ssot::store::Store;
use crate::time::Timestamp;

/// How a log is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Most records of a block: a block is unpacked to read any of them.
    pub block_records: usize,
    /// Records of a segment.
    pub segment_records: usize,
    /// Whether a last segment of fewer records is written, too.
    pub partial: bool,
    /// Whether payloads are packed with the records that name them.
    pub payloads: bool,
    /// Where given, no segment holds a record that is not cold at this time
    /// ([`ClassRules::is_cold`]).
    pub cold_at: Option<Timestamp>,
}

impl Default for Options {
    /// Blocks of 64, segments of 65,536, whole segments only, with payloads, of any age.
    fn default() -> Self {
        Self {
            block_records: 64,
            segment_records: 65_536,
            partial: false,
            payloads: true,
            cold_at: None,
        }
    }
}

/// What was packed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Packed {
    /// How many segments were written.
    pub segments: u64,
    /// How many records are in them.
    pub records: u64,
    /// How many bytes these records have.
    pub record_bytes: u64,
    /// How many payloads are in them, and their bytes.
    pub payloads: u64,
    /// Their bytes.
    pub payload_bytes: u64,
    /// How many bytes the segments have, dictionaries not counted.
    pub packed_bytes: u64,
    /// How many of these are frames of payloads.
    pub packed_payload_bytes: u64,
    /// Records that were kept whole.
    pub whole: u64,
    /// Per class of rows: bytes of the records, of the rows, and of the rows packed.
    pub by_class: BTreeMap<StateClass, (u64, u64, u64)>,
    /// Digests that are written as they are.
    pub opaque: u64,
}

/// How many records are read at a time.
const PIECE: usize = 256;

/// Trains dictionaries on the records from index `from` on, `records` of them at most.
///
/// # Errors
/// [`SegmentError::Unsound`] for a record that is not what its digest says;
/// [`SegmentError::Store`].
pub fn train<S: Store + ?Sized>(
    store: &S,
    from: u64,
    records: usize,
    shape: &dyn Shape,
    rules: &ClassRules,
    options: &Options,
) -> Result<Dictionaries, SegmentError> {
    let records = records.min(SEGMENT_RECORDS);
    let records = read_records(store, from, records, |_| true)?;
    let mut stretch = Stretch::new(store, &records, shape, options)?;
    let mut samples: BTreeMap<StateClass, Vec<Vec<u8>>> = BTreeMap::new();
    stretch.each_block(&BTreeSet::new(), |drawn, _, _| {
        for (class, rows) in drawn.rows.into_iter().chain(drawn.payloads) {
            samples.entry(class).or_default().extend(rows);
        }
        Ok(())
    })?;
    Ok(Dictionaries::train(&samples, |class| rules.of(class).compression))
}

/// Packs what a store has and the folder does not: its files go on where they end.
///
/// Each segment is read again before it gets its name, and every record in it compared
/// with the store's: a segment that would not give back what was packed is never written.
///
/// # Errors
/// [`SegmentError`]; segments that were finished until then stay.
pub fn pack<S: Store + ?Sized>(
    store: &S,
    folder: &Path,
    shape: &(dyn Shape + Sync),
    rules: &ClassRules,
    dictionaries: &Dictionaries,
    options: &Options,
) -> Result<Packed, SegmentError> {
    let write = |place: &Path| {
        let place = place.to_path_buf();
        move |source| SegmentError::File { what: "write", place, source }
    };
    fs::create_dir_all(folder).map_err(write(folder))?;
    let mut before = Segments::open(folder, super::Bare)?.continues(shape)?;
    for (_, bytes) in dictionaries.iter() {
        let place = read::dictionary_place(folder, &Dictionaries::digest(bytes));
        if !place.exists() {
            put(&place, bytes).map_err(write(&place))?;
        }
    }
    let mut packed = Packed::default();
    loop {
        let wanted = options.segment_records.clamp(1, SEGMENT_RECORDS);
        let first = before.end();
        let cold = |record: &Record| {
            let kept = options.cold_at.map(|now| (record.kind(), record.timestamp(), now));
            kept.is_none_or(|(kind, at, now)| rules.is_cold(kind, at, now))
        };
        let records = read_records(store, first, wanted, cold)?;
        if records.is_empty() || (records.len() < wanted && !options.partial) {
            return Ok(packed);
        }
        let place = read::segment_place(folder, first);
        let (bytes, after) =
            segment(store, &records, &before, shape, rules, dictionaries, options, &mut packed)?;
        put(&place, &bytes).map_err(write(&place))?;
        packed.segments += 1;
        packed.records += records.len() as u64;
        packed.packed_bytes += bytes.len() as u64;
        before = after;
    }
}

/// Writes a file whole or not at all.
fn put(place: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = place.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let mut file = fs::File::create(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, place)
}

fn read_records<S: Store + ?Sized>(
    store: &S,
    from: u64,
    most: usize,
    wanted: impl Fn(&Record) -> bool,
) -> Result<Vec<Record>, SegmentError> {
    let mut records: Vec<Record> = Vec::new();
    let mut next = from;
    while records.len() < most {
        let piece = store.read(next, PIECE.min(most - records.len()))?;
        if piece.is_empty() {
            break;
        }
        for stored in piece {
            let unsound = |what| SegmentError::Unsound { index: next, what };
            let record = Record::decode_sealed(&stored.bytes)
                .map_err(|_| unsound("its bytes are no record"))?;
            if record.digest() != stored.digest {
                return Err(unsound("its bytes have another digest than is stored"));
            }
            if record.index() != next {
                return Err(unsound("it names another index"));
            }
            if !wanted(&record) {
                return Ok(records);
            }
            records.push(record);
            next = next.saturating_add(1);
        }
    }
    Ok(records)
}

/// Where a log stands between two segments.
#[derive(Debug, Clone)]
pub(super) struct Before {
    pub(super) tree: Frontier<Sha256>,
    /// The complete subtrees by level.
    pub(super) edge: BTreeMap<u8, Hash>,
    pub(super) last: Digest,
}

impl Before {
    pub(super) fn nothing() -> Self {
        Self { tree: Frontier::new(), edge: BTreeMap::new(), last: Digest::ZERO }
    }

    pub(super) const fn end(&self) -> u64 {
        self.tree.size()
    }

    pub(super) fn push(&mut self, digest: &Digest) {
        let edge = &mut self.edge;
        let leaf = Sha256::leaf(digest.as_bytes());
        self.tree.push_leaf_with(&leaf, |node, hash| {
            edge.insert(node.level, *hash);
        });
        self.last = *digest;
    }

    fn subtrees(&self) -> Vec<Hash> {
        let set = |level: &u8| self.tree.size() >> level & 1 == 1;
        self.edge.iter().rev().filter(|(level, _)| set(level)).map(|(_, hash)| *hash).collect()
    }
}

#[expect(clippy::too_many_arguments, reason = "each is one part of the segment")]
fn segment<S: Store + ?Sized>(
    store: &S,
    records: &[Record],
    before: &Before,
    shape: &(dyn Shape + Sync),
    rules: &ClassRules,
    dictionaries: &Dictionaries,
    options: &Options,
    packed: &mut Packed,
) -> Result<(Vec<u8>, Before), SegmentError> {
    let mut after = before.clone();
    for record in records {
        after.push(&record.digest());
    }
    let head = SegmentHead {
        first: before.end(),
        records: records.len() as u64,
        tree_before: before.subtrees(),
        root: after.tree.root(),
        before: before.last,
        last: after.last,
    };
    let mut stretch = Stretch::new(store, records, shape, options)?;
    let mut zipper = Zipper::new(dictionaries, |class| rules.of(class).compression)?;
    let unzip = Unzipper::new(dictionaries)?;
    let mut whole = BTreeSet::new();
    let (streams, table) = (stretch.streams.clone(), stretch.table.clone());
    let mut tried = 0;
    // What does not come back the same is kept whole, once it is known.
    let (blocks, bytes, kept) = loop {
        let (mut blocks, mut bytes, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        let mut odd = BTreeSet::new();
        let mut counted = Packed::default();
        stretch.each_block(&whole, |drawn, begin, own| {
            let (out, sizes) = drawn.pack(&mut zipper)?;
            let with = block::With {
                first: before.end() + begin as u64,
                count: own.records.len(),
                streams: &streams,
                table: &table,
                shape,
                unzip: &unzip,
            };
            let again = block::read(&out, &with).ok();
            let again = again.as_ref().map_or(&[][..], |block| &block.records);
            for (place, record) in own.records.iter().enumerate() {
                if again.get(place) != Some(record) {
                    odd.insert(begin + place);
                }
            }
            counted.count(&drawn, own, &sizes);
            let block = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
            kept.extend(own.digests.iter().map(|digest| (brief(digest), block)));
            blocks.push(BlockRow {
                bytes: u32::try_from(out.len()).unwrap_or(u32::MAX),
                records: u16::try_from(own.records.len()).unwrap_or(u16::MAX),
                digest: digest_of(&out),
            });
            bytes.extend(out);
            Ok(())
        })?;
        if odd.is_empty() {
            packed.add(counted, whole.len());
            break (blocks, bytes, kept);
        }
        tried += 1;
        if tried > 2 {
            let index = odd.first().map_or(0, |place| before.end() + *place as u64);
            let what = "it does not come back as it was";
            return Err(SegmentError::Unsound { index, what });
        }
        whole.extend(odd);
    };
    let named = dictionaries.iter().map(|(class, bytes)| (class, Dictionaries::digest(bytes)));
    let (dictionaries, payloads) = (named.collect(), kept);
    let index = Index { head, dictionaries, table, blocks, payloads, streams };
    let plain = index.streams_bytes();
    let small = zstd::bulk::compress(&plain, 19).map_err(SegmentError::Zstd)?;
    let streams = if small.len() < plain.len() { &small } else { &plain };
    let index = index.to_bytes(plain.len(), streams);
    let mut bytes = bytes;
    let at = bytes.len() as u64;
    bytes.extend_from_slice(&index);
    bytes.extend(end(at, &index));
    Ok((bytes, after))
}

/// One block's part of a stretch.
struct Own<'a> {
    records: &'a [Record],
    /// The digests that its payloads are kept under.
    digests: Vec<Digest>,
}

/// What a block's records and payloads come to.
struct Cut {
    begin: usize,
    end: usize,
    payloads: BTreeMap<StateClass, Vec<Arc<[u8]>>>,
    digests: Vec<Digest>,
}

/// Records to be packed together, with what is taken out of each.
struct Stretch<'a> {
    records: &'a [Record],
    taken: Vec<Vec<Taken>>,
    cuts: Vec<Cut>,
    table: Vec<Digest>,
    streams: Vec<StreamRow>,
    numbers: HashMap<StreamId, u64>,
}

impl<'a> Stretch<'a> {
    fn new<S: Store + ?Sized>(
        store: &S,
        records: &'a [Record],
        shape: &dyn Shape,
        options: &Options,
    ) -> Result<Self, SegmentError> {
        let mut stretch = Self {
            records,
            taken: Vec::with_capacity(records.len()),
            cuts: Vec::new(),
            table: Vec::new(),
            streams: streams_of(records)?,
            numbers: HashMap::new(),
        };
        let ids = stretch.streams.iter().map(|stream| stream.id.clone());
        stretch.numbers = ids.zip(0..).collect();
        let most = options.block_records.clamp(1, SEGMENT_BLOCK_RECORDS);
        let mut named: BTreeSet<Digest> = BTreeSet::new();
        let mut begin = 0;
        while begin < records.len() {
            let cut = stretch.cut(store, begin, most, shape, options, &mut named)?;
            begin = cut.end;
            stretch.cuts.push(cut);
        }
        stretch.tabulate();
        Ok(stretch)
    }

    /// Takes the digests out of the next block's records.
    fn cut<S: Store + ?Sized>(
        &mut self,
        store: &S,
        begin: usize,
        most: usize,
        shape: &dyn Shape,
        options: &Options,
        named: &mut BTreeSet<Digest>,
    ) -> Result<Cut, SegmentError> {
        let mut cut = Cut { begin, end: begin, payloads: BTreeMap::new(), digests: Vec::new() };
        let mut places: HashMap<Digest, usize> = HashMap::new();
        let mut held: HashMap<(Digest, PayloadOf), u64> = HashMap::new();
        let mut bytes = 0;
        for record in self.records.iter().skip(begin).take(most) {
            if bytes >= SEGMENT_BLOCK_BYTES {
                break;
            }
            let here = cut.end;
            let earlier = |digest: &Digest| places.get(digest).map(|at| (here - at) as u64);
            let mut failed = None;
            let mut payload = |digest: &Digest, of: PayloadOf| {
                if let Some(which) = held.get(&(*digest, of)) {
                    return Some(*which);
                }
                if !options.payloads || named.contains(digest) {
                    return None;
                }
                let kept = match store.payload(digest) {
                    Ok(kept) => kept?,
                    Err(error) => {
                        failed = Some(error);
                        return None;
                    }
                };
                // Somebody changed it: the digest is kept instead, and so the fault.
                if of.domain().hash(&kept) != *digest {
                    return None;
                }
                bytes += kept.len();
                named.insert(*digest);
                cut.digests.push(*digest);
                let own = cut.payloads.entry(class_of(of)).or_default();
                let which = own.len() as u64;
                own.push(kept);
                held.insert((*digest, of), which);
                Some(which)
            };
            let taken = take(record, shape, &earlier, &mut payload, &|_| None);
            if let Some(error) = failed {
                return Err(error.into());
            }
            self.taken.push(taken);
            places.insert(record.digest(), here);
            bytes += record.bytes().len();
            cut.end += 1;
        }
        Ok(cut)
    }

    /// Puts what is written more than once into the table.
    fn tabulate(&mut self) {
        let mut counts: BTreeMap<Digest, u64> = BTreeMap::new();
        let digest_at = |record: &Record, mark: Mark| {
            let at = mark.offset();
            let bytes = record.body().get(at..at.saturating_add(32))?;
            Some(Digest::from_bytes(bytes.try_into().ok()?))
        };
        for (record, taken) in self.records.iter().zip(&self.taken) {
            for taken in taken.iter().filter(|taken| taken.hole == Hole::Opaque) {
                if let Some(digest) = digest_at(record, taken.mark) {
                    *counts.entry(digest).or_default() += 1;
                }
            }
        }
        let mut often: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 1).collect();
        often.sort_unstable_by_key(|(digest, count)| (core::cmp::Reverse(*count), *digest));
        self.table = often.iter().map(|(digest, _)| *digest).collect();
        let places: BTreeMap<Digest, u64> = self.table.iter().copied().zip(0..).collect();
        for (record, taken) in self.records.iter().zip(&mut self.taken) {
            for taken in taken.iter_mut().filter(|taken| taken.hole == Hole::Opaque) {
                let place = digest_at(record, taken.mark).and_then(|digest| places.get(&digest));
                if let Some(place) = place {
                    taken.hole = Hole::Table(*place);
                }
            }
        }
    }

    fn each_block(
        &mut self,
        whole: &BTreeSet<usize>,
        mut visit: impl FnMut(Drawn, usize, &Own<'_>) -> Result<(), SegmentError>,
    ) -> Result<(), SegmentError> {
        for cut in &self.cuts {
            let records = self.records.get(cut.begin..cut.end).unwrap_or_default();
            let taken = self.taken.get(cut.begin..cut.end).unwrap_or_default();
            let whole = whole.range(cut.begin..cut.end).map(|place| place - cut.begin).collect();
            let drawn = block::draw(records, taken, &cut.payloads, &self.numbers, &whole);
            visit(drawn, cut.begin, &Own { records, digests: cut.digests.clone() })?;
        }
        Ok(())
    }
}

/// The streams of a stretch, whose records must follow each other.
fn streams_of(records: &[Record]) -> Result<Vec<StreamRow>, SegmentError> {
    let mut streams: BTreeMap<&StreamId, (StreamRow, Digest)> = BTreeMap::new();
    for (record, position) in records.iter().zip(0_u32..) {
        let unsound = |what| SegmentError::Unsound { index: record.index(), what };
        if let Some((row, last)) = streams.get_mut(record.stream()) {
            let next = row.sequence + row.positions.len() as u64;
            if record.sequence() != next || record.previous() != *last {
                return Err(unsound("it does not follow the record before it in its stream"));
            }
            row.positions.push(position);
            *last = record.digest();
        } else {
            if record.sequence() == 0 && record.previous() != Digest::ZERO {
                return Err(unsound("it follows a record that is not there"));
            }
            let (id, sequence) = (record.stream().clone(), record.sequence());
            let row = StreamRow { id, sequence, positions: Vec::from([position]) };
            streams.insert(record.stream(), (row, record.digest()));
        }
    }
    Ok(streams.into_values().map(|(row, _)| row).collect())
}

impl Packed {
    fn count(&mut self, drawn: &Drawn, own: &Own<'_>, sizes: &[(StateClass, bool, u64, u64)]) {
        for record in own.records {
            let bytes = record.bytes().len() as u64;
            self.record_bytes += bytes;
            self.by_class.entry(StateClass::of(record.kind())).or_default().0 += bytes;
        }
        for (class, payloads, size, packed) in sizes {
            if *payloads {
                self.payload_bytes += size;
                self.packed_payload_bytes += packed;
            } else {
                let counts = self.by_class.entry(*class).or_default();
                counts.1 += size;
                counts.2 += packed;
            }
        }
        self.payloads += drawn.payloads.values().map(|kept| kept.len() as u64).sum::<u64>();
        self.opaque += drawn.opaque();
    }

    fn add(&mut self, other: Self, whole: usize) {
        self.record_bytes += other.record_bytes;
        self.payloads += other.payloads;
        self.payload_bytes += other.payload_bytes;
        self.packed_payload_bytes += other.packed_payload_bytes;
        self.opaque += other.opaque;
        self.whole += whole as u64;
        for (class, (raw, rows, packed)) in other.by_class {
            let counts = self.by_class.entry(class).or_default();
            counts.0 += raw;
            counts.1 += rows;
            counts.2 += packed;
        }
    }
}
