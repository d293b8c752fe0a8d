//! A folder of segments as a store that takes nothing.

use std::boxed::Box;
use std::collections::{BTreeMap, VecDeque};
use std::format;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::vec::Vec;

use super::block::{self, Block, With};
use super::index::{END, Index, SegmentHead, brief, digest_of, read_end};
use super::pack::Before;
use super::zip::Unzipper;
use super::{Bad, Dictionaries, SegmentError, Shape};
use crate::digest::Digest;
use crate::limits::DICTIONARY_BYTES;
use crate::ssot::merkle::{Hash, Sha256, TreeHash as _, TreeHead};
use crate::ssot::record::{Head, Record, StreamId};
use crate::ssot::store::{
    AppendError, Batch, Committed, Durability, Store, StoreError, Stored, Stretch,
};
use crate::ssot::verify::{Report, VerifyError, verify};

/// How many unpacked blocks are kept at hand.
const BLOCKS_HELD: usize = 16;

/// The segments of a folder, from the log's first record on.
pub struct Segments {
    shape: Box<dyn Shape + Send + Sync>,
    parts: Vec<Part>,
    /// Per stream the segments it is in, and its place in each one's list.
    streams: BTreeMap<StreamId, Vec<(usize, usize)>>,
    held: Mutex<VecDeque<Held>>,
}

/// A block at hand: its segment, its number, and what it is.
type Held = ((usize, usize), Arc<Block>);

struct Part {
    place: PathBuf,
    file: Mutex<File>,
    index: Index,
    /// Where each block begins in the file, and its first record.
    begins: Vec<(u64, u64)>,
    unzip: Unzipper,
}

/// What [`Segments::verify`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The log, as [`verify`] says it of any store.
    pub report: Report,
    /// The root of its tree.
    pub root: Option<Hash>,
    /// How many segments.
    pub segments: usize,
}

pub(super) fn segment_place(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("segment-{first:020}.pseg"))
}

pub(super) fn dictionary_place(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join(format!("dict-{digest}.zdict"))
}

fn failed(place: &Path) -> impl FnOnce(std::io::Error) -> SegmentError {
    let place = place.to_path_buf();
    move |source| SegmentError::File { what: "read", place, source }
}

fn damaged(place: &Path, what: &Bad) -> SegmentError {
    SegmentError::Damaged { place: place.to_path_buf(), what: what.text() }
}

impl Segments {
    /// Opens a folder: reads each segment's index and holds it against the one before.
    /// `shape` is the one they were packed with.
    ///
    /// # Errors
    /// [`SegmentError`] names the file that is not sound, or does not continue.
    pub fn open(
        folder: &Path,
        shape: impl Shape + Send + Sync + 'static,
    ) -> Result<Self, SegmentError> {
        let mut places = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed(folder))? {
            let place = entry.map_err(failed(folder))?.path();
            if place.extension().is_some_and(|extension| extension == "pseg") {
                places.push(place);
            }
        }
        places.sort_unstable();
        let mut parts: Vec<Part> = Vec::new();
        for place in places {
            let part = Part::open(folder, place)?;
            let head = &part.index.head;
            let (end, root, last) = match parts.last() {
                Some(part) => {
                    let head = &part.index.head;
                    (head.end(), Some(head.root), head.last)
                }
                None => (0, None, Digest::ZERO),
            };
            let tree = head.frontier().map(|tree| tree.root());
            let continues =
                head.first == end && head.before == last && (root.is_none() || root == tree);
            if !continues {
                return Err(SegmentError::Folder {
                    place: part.place,
                    expected: format!(
                        "a segment that goes on at record {end} after {}",
                        last.short()
                    )
                    .into(),
                    found: format!(
                        "one that goes on at {} after {}",
                        head.first,
                        head.before.short()
                    )
                    .into(),
                });
            }
            parts.push(part);
        }
        let mut streams: BTreeMap<StreamId, Vec<(usize, usize)>> = BTreeMap::new();
        for (number, part) in parts.iter().enumerate() {
            for (place, stream) in part.index.streams.iter().enumerate() {
                let own = streams.entry(stream.id.clone()).or_default();
                let length = own.last().and_then(|(number, place)| {
                    let row = parts.get(*number)?.index.streams.get(*place)?;
                    Some(row.sequence + row.positions.len() as u64)
                });
                if stream.sequence != length.unwrap_or(0) {
                    let what = Bad::What("a stream that does not go on where it ended");
                    return Err(damaged(&part.place, &what));
                }
                own.push((number, place));
            }
        }
        Ok(Self { shape: Box::new(shape), parts, streams, held: Mutex::default() })
    }

    /// What each segment says of itself, in order.
    pub fn heads(&self) -> impl Iterator<Item = &SegmentHead> {
        self.parts.iter().map(|part| &part.index.head)
    }

    /// How many records there are.
    pub fn records(&self) -> u64 {
        self.parts.last().map_or(0, |part| part.index.head.end())
    }

    /// Recomputes everything: records, chains, heads, and the tree at each segment's end.
    ///
    /// # Errors
    /// [`VerifyError`] as of any store, and [`StoreError::Damaged`] in it for a segment
    /// whose tree is another.
    pub fn verify(&self) -> Result<Verified, VerifyError> {
        let report = verify(self, |_| {})?;
        let mut before = Before::nothing();
        for part in &self.parts {
            let head = &part.index.head;
            let differs = |what: &str| StoreError::Damaged {
                what: format!("`{}`: {what}", part.place.display()).into(),
            };
            if head.frontier().is_none_or(|tree| tree != before.tree) {
                return Err(differs("its tree does not go on from the records before it").into());
            }
            let most = usize::try_from(head.records).unwrap_or(usize::MAX);
            self.scan(head.first, most, &mut |_, digest| before.push(digest))?;
            if before.tree.root() != head.root || before.last != head.last {
                return Err(differs("its tree is not that of its records").into());
            }
        }
        let root = self.parts.last().map(|part| part.index.head.root);
        Ok(Verified { report, root, segments: self.parts.len() })
    }

    /// Where the next segment goes on.
    pub(super) fn continues(&self, shape: &dyn Shape) -> Result<Before, SegmentError> {
        let mut before = Before::nothing();
        let Some(part) = self.parts.last() else { return Ok(before) };
        // The tree before is in the segment's head; what is behind it, in its records.
        let head = &part.index.head;
        let Some(tree) = head.frontier() else { return Ok(before) };
        let levels = (0..64_u8).rev().filter(|level| head.first >> level & 1 == 1);
        before.edge = levels.zip(head.tree_before.iter().copied()).collect();
        before.tree = tree;
        let digests = part.digests(shape).map_err(|bad| damaged(&part.place, &bad))?;
        for digest in &digests {
            before.push(digest);
        }
        if before.tree.root() != head.root {
            let what = Bad::What("its tree is not that of its records");
            return Err(damaged(&part.place, &what));
        }
        Ok(before)
    }

    fn block(&self, part: usize, number: usize) -> Result<Arc<Block>, StoreError> {
        let lock = || self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = lock();
        if let Some(at) = held.iter().position(|(place, _)| *place == (part, number))
            && let Some(found) = held.remove(at)
        {
            let block = Arc::clone(&found.1);
            held.push_front(found);
            return Ok(block);
        }
        drop(held);
        let missing = || StoreError::Damaged { what: "a segment that is not there".into() };
        let own = self.parts.get(part).ok_or_else(missing)?;
        let block = Arc::new(own.read(number, self.shape.as_ref()).map_err(|bad| {
            let what = format!("`{}`: block {number}: {}", own.place.display(), bad.text());
            StoreError::Damaged { what: what.into() }
        })?);
        let mut held = lock();
        held.push_front(((part, number), Arc::clone(&block)));
        held.truncate(BLOCKS_HELD);
        Ok(block)
    }

    /// The segment of a record, and its position in it.
    fn part_of(&self, index: u64) -> Option<(usize, u64)> {
        let number = self.parts.partition_point(|part| part.index.head.end() <= index);
        let head = &self.parts.get(number)?.index.head;
        Some((number, index.checked_sub(head.first)?))
    }

    fn visit(
        &self,
        from: u64,
        limit: usize,
        mut visit: impl FnMut(&Record),
    ) -> Result<(), StoreError> {
        let (mut index, mut left) = (from, limit);
        while left > 0 {
            let Some((part, position)) = self.part_of(index) else { return Ok(()) };
            let own = self.parts.get(part);
            let Some((number, begin)) = own.and_then(|own| own.block_of(position)) else {
                return Ok(());
            };
            let block = self.block(part, number)?;
            let skip = usize::try_from(position - begin).unwrap_or(usize::MAX);
            let before = left;
            for record in block.records.iter().skip(skip).take(left) {
                visit(record);
                index = index.saturating_add(1);
                left -= 1;
            }
            if left == before {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The indices of a stream's records from sequence `from` on.
    fn indices(&self, stream: &StreamId, from: u64) -> impl Iterator<Item = u64> {
        let parts = self.streams.get(stream).into_iter().flatten();
        parts.flat_map(move |(part, place)| {
            let part = self.parts.get(*part);
            let row = part.and_then(|part| part.index.streams.get(*place));
            let first = part.map_or(0, |part| part.index.head.first);
            let skip = row.map_or(0, |row| from.saturating_sub(row.sequence));
            let skip = usize::try_from(skip).unwrap_or(usize::MAX);
            let positions = row.map_or(&[][..], |row| &row.positions).iter().skip(skip);
            positions.map(move |position| first + u64::from(*position))
        })
    }

    fn last_of(&self, parts: &[(usize, usize)]) -> Result<Head, StoreError> {
        let last = parts.last().and_then(|(part, place)| {
            let part = self.parts.get(*part)?;
            let position = part.index.streams.get(*place)?.positions.last()?;
            Some(part.index.head.first + u64::from(*position))
        });
        let mut head = Head::EMPTY;
        if let Some(last) = last {
            self.visit(last, 1, |record| head = record.head())?;
        }
        Ok(head)
    }
}

impl Part {
    fn open(folder: &Path, place: PathBuf) -> Result<Self, SegmentError> {
        let mut file = File::open(&place).map_err(failed(&place))?;
        let length = file.metadata().map_err(failed(&place))?.len();
        let wrong = |bad: Bad| damaged(&place, &bad);
        let end = length.checked_sub(END as u64).ok_or(Bad::What("it is too short"));
        let bytes = read_at(&mut file, end.map_err(wrong)?, END).map_err(failed(&place))?;
        let (at, size, digest) = read_end(&bytes, length).map_err(wrong)?;
        let bytes = read_at(&mut file, at, size).map_err(failed(&place))?;
        if digest_of(&bytes) != digest {
            return Err(wrong(Bad::What("its index was changed")));
        }
        let plain = Unzipper::new(&Dictionaries::none())?;
        let index = Index::read(&bytes, at, |bytes, size| plain.unzip(None, bytes, size));
        let index = index.map_err(wrong)?;
        let mut dictionaries = Dictionaries::none();
        for (class, digest) in &index.dictionaries {
            let place = dictionary_place(folder, digest);
            let file = File::open(&place).map_err(failed(&place))?;
            let mut bytes = Vec::new();
            file.take(DICTIONARY_BYTES as u64 + 1)
                .read_to_end(&mut bytes)
                .map_err(failed(&place))?;
            if bytes.len() > DICTIONARY_BYTES || Dictionaries::digest(&bytes) != *digest {
                return Err(damaged(&place, &Bad::What("it is not the dictionary of its name")));
            }
            dictionaries.by_class.insert(*class, bytes);
        }
        let unzip = Unzipper::new(&dictionaries)?;
        let mut begins = Vec::with_capacity(index.blocks.len());
        let (mut at, mut record) = (0, 0);
        for block in &index.blocks {
            begins.push((at, record));
            at += u64::from(block.bytes);
            record += u64::from(block.records);
        }
        Ok(Self { place, file: Mutex::new(file), index, begins, unzip })
    }

    /// The block of a record, and its first record.
    fn block_of(&self, position: u64) -> Option<(usize, u64)> {
        let number = self.begins.partition_point(|(_, begin)| *begin <= position).checked_sub(1)?;
        Some((number, self.begins.get(number)?.1))
    }

    fn read(&self, number: usize, shape: &dyn Shape) -> Result<Block, Bad> {
        let missing = Bad::What("a block that is not there");
        let (Some(row), Some((at, first))) =
            (self.index.blocks.get(number), self.begins.get(number))
        else {
            return Err(missing);
        };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = read_at(&mut file, *at, row.bytes as usize)
            .map_err(|_| Bad::What("it cannot be read"))?;
        drop(file);
        if digest_of(&bytes) != row.digest {
            return Err(Bad::What("it was changed"));
        }
        let with = With {
            first: self.index.head.first.saturating_add(*first),
            count: usize::from(row.records),
            streams: &self.index.streams,
            table: &self.index.table,
            shape,
            unzip: &self.unzip,
        };
        block::read(&bytes, &with)
    }

    fn digests(&self, shape: &dyn Shape) -> Result<Vec<Digest>, Bad> {
        let mut digests = Vec::new();
        for number in 0..self.index.blocks.len() {
            let block = self.read(number, shape)?;
            digests.extend(block.records.iter().map(Record::digest));
        }
        Ok(digests)
    }
}

fn read_at(file: &mut File, at: u64, length: usize) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() == length { Ok(bytes) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}

fn stored(record: &Record) -> Stored {
    Stored { bytes: record.shared_bytes(), digest: record.digest() }
}

impl Store for Segments {
    fn append(&self, _: &Batch) -> Result<Committed, AppendError> {
        Err(AppendError::Refused { reason: "a packed log takes no records" })
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        self.streams.get(stream).map_or(Ok(Head::EMPTY), |parts| self.last_of(parts))
    }

    fn len(&self) -> Result<u64, StoreError> {
        Ok(self.records())
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let mut out = Vec::new();
        self.visit(from, limit, |record| out.push(stored(record)))?;
        Ok(out)
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut out = Vec::new();
        for index in self.indices(stream, from).take(limit) {
            self.visit(index, 1, |record| out.push(stored(record)))?;
        }
        Ok(out)
    }

    fn scan(
        &self,
        from: u64,
        limit: usize,
        visit: &mut dyn FnMut(&[u8], &Digest),
    ) -> Result<(), StoreError> {
        self.visit(from, limit, |record| visit(record.bytes(), &record.digest()))
    }

    fn trace(
        &self,
        stretches: &[Stretch<'_>],
        visit: &mut dyn FnMut(usize, u64),
    ) -> Result<(), StoreError> {
        for (number, stretch) in stretches.iter().enumerate() {
            let indices = self.indices(stretch.stream, stretch.from);
            indices.take(stretch.limit).for_each(|index| visit(number, index));
        }
        Ok(())
    }

    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.streams.range::<StreamId, _>((start, Bound::Unbounded));
        range.take(limit).map(|(id, parts)| Ok((id.clone(), self.last_of(parts)?))).collect()
    }

    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        let wanted = brief(digest);
        for (number, part) in self.parts.iter().enumerate() {
            let payloads = &part.index.payloads;
            let first = payloads.partition_point(|(brief, _)| *brief < wanted);
            let own = payloads.iter().skip(first).take_while(|(brief, _)| *brief == wanted);
            for (_, block) in own {
                let block = self.block(number, *block as usize)?;
                if let Some(payload) = block.payload(digest) {
                    return Ok(Some(Arc::clone(payload)));
                }
            }
        }
        Ok(None)
    }

    /// As the last segment says; [`Segments::verify`] holds it against the records.
    fn tree_head(&self) -> Result<TreeHead, StoreError> {
        let last = self.parts.last().map(|part| part.index.head.root);
        let root = last.unwrap_or_else(Sha256::empty);
        Ok(TreeHead { size: self.records(), root })
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }
}

impl core::fmt::Debug for Segments {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Segments")
            .field("segments", &self.parts.len())
            .field("records", &self.records())
            .finish_non_exhaustive()
    }
}

/// Writes a packed log into an empty store: the same records at the same places, and the
/// payloads that were packed with them. Answers how many records.
///
/// # Errors
/// [`SegmentError`]; what was written until then stays.
pub fn unpack<S: Store + ?Sized>(segments: &Segments, into: &S) -> Result<u64, SegmentError> {
    let found = into.len()?;
    if found > 0 {
        return Err(SegmentError::Append {
            index: found,
            source: AppendError::Refused { reason: "a log is unpacked into an empty store" },
        });
    }
    let mut ends: BTreeMap<StreamId, Head> = BTreeMap::new();
    let mut count = 0;
    for (number, part) in segments.parts.iter().enumerate() {
        for at in 0..part.index.blocks.len() {
            let block = segments.block(number, at)?;
            let mut payloads: Vec<_> = block.kept().collect();
            let mut rest = block.records.as_slice();
            // Records of one time were appended together, or might have been.
            while let Some(first) = rest.first() {
                let time = first.timestamp();
                let same = rest.iter().take_while(|record| record.timestamp() == time).count();
                let (together, others) = rest.split_at_checked(same).unwrap_or_default();
                rest = others;
                let mut batch = Batch::new(time);
                let mut expected: BTreeMap<&StreamId, Head> = BTreeMap::new();
                for record in together {
                    let head = ends.get(record.stream()).copied().unwrap_or(Head::EMPTY);
                    expected.entry(record.stream()).or_insert(head);
                    ends.insert(record.stream().clone(), record.head());
                    batch.push_draft(record.to_draft());
                }
                for (stream, head) in expected {
                    batch.push_expected(stream.clone(), head);
                }
                for (digest, bytes) in payloads.drain(..) {
                    batch.push_payload(digest, bytes);
                }
                let index = first.index();
                let failed = |source| SegmentError::Append { index, source };
                let committed = into.append(&batch).map_err(failed)?;
                for (expected, found) in together.iter().zip(&committed.records) {
                    if expected != found {
                        let (expected, found) = (expected.digest(), found.digest());
                        return Err(SegmentError::Changed { index, expected, found });
                    }
                    count += 1;
                }
            }
        }
    }
    Ok(count)
}
