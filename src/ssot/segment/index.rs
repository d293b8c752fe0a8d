//! What stands at the end of a segment: where everything is, and what it must be.

use std::collections::BTreeMap;
use std::vec::Vec;

use super::row::{read_varint, varint};
use super::{Bad, bad};
use crate::digest::{Digest, Domain};
use crate::encode::{Decode as _, Reader, Writer};
use crate::limits::{SEGMENT_FRAME_BYTES, SEGMENT_RECORDS};
use crate::ssot::class::StateClass;
use crate::ssot::merkle::{Frontier, Hash, Sha256};
use crate::ssot::record::StreamId;

/// The last bytes of a segment.
pub(super) const MAGIC: &[u8; 8] = b"prosseg1";
pub(super) const END: usize = 52;

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHead {
    /// The index of its first record.
    pub first: u64,
    /// How many records it has.
    pub records: u64,
    /// The complete subtrees of the log's tree before it, the largest first.
    pub tree_before: Vec<Hash>,
    /// The root of the tree after it.
    pub root: Hash,
    /// The digest of the record before it; zeros when there is none.
    pub before: Digest,
    /// The digest of its last record.
    pub last: Digest,
}

impl SegmentHead {
    /// The tree before the segment; `None` when its subtrees are not as many as it has.
    pub fn frontier(&self) -> Option<Frontier<Sha256>> {
        Frontier::from_edge(self.first, self.tree_before.iter().copied())
    }

    /// One more than the index of its last record.
    pub const fn end(&self) -> u64 {
        self.first.saturating_add(self.records)
    }
}

/// One stream of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamRow {
    pub(super) id: StreamId,
    /// The sequence of its first record here.
    pub(super) sequence: u64,
    /// Where its records stand, from the segment's first.
    pub(super) positions: Vec<u32>,
}

/// One block of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockRow {
    pub(super) bytes: u32,
    pub(super) records: u16,
    pub(super) digest: Digest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) head: SegmentHead,
    pub(super) dictionaries: BTreeMap<StateClass, Digest>,
    pub(super) table: Vec<Digest>,
    pub(super) blocks: Vec<BlockRow>,
    /// The first two bytes of payloads' digests, and their block, in this order.
    pub(super) payloads: Vec<(u16, u32)>,
    pub(super) streams: Vec<StreamRow>,
}

/// The first two bytes of a digest.
pub(super) const fn brief(digest: &Digest) -> u16 {
    let [first, second, ..] = *digest.as_bytes();
    u16::from_le_bytes([first, second])
}

impl Index {
    /// The streams' part, to be packed.
    pub(super) fn streams_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new();
        varint(&mut out, self.streams.len() as u64);
        for stream in &self.streams {
            out.value(&stream.id.kind()).text(stream.id.name().as_str());
            varint(&mut out, stream.sequence);
            varint(&mut out, stream.positions.len() as u64);
            let mut before = 0;
            for position in &stream.positions {
                varint(&mut out, u64::from(position - before));
                before = *position;
            }
        }
        out.into_bytes()
    }

    /// The index's bytes, with the streams as they were packed.
    pub(super) fn to_bytes(&self, size: usize, streams: &[u8]) -> Vec<u8> {
        let mut out = Writer::new();
        let head = &self.head;
        out.u64(head.first).u32(u32::try_from(head.records).unwrap_or(u32::MAX));
        out.count(head.tree_before.len());
        for hash in &head.tree_before {
            out.raw(hash.as_bytes());
        }
        out.raw(head.root.as_bytes()).digest(&head.before).digest(&head.last);
        out.count(self.dictionaries.len());
        for (class, digest) in &self.dictionaries {
            out.value(class).digest(digest);
        }
        out.list(&self.table).count(self.blocks.len());
        for (block, number) in self.blocks.iter().zip(0_u32..) {
            out.u32(block.bytes).u16(block.records).digest(&block.digest);
            let own = || self.payloads.iter().filter(|(_, of)| *of == number);
            out.count(own().count());
            for (brief, _) in own() {
                out.u16(*brief);
            }
        }
        out.count(size).bytes(streams);
        out.into_bytes()
    }

    /// Reads an index; `unzip` unpacks the streams.
    pub(super) fn read(
        bytes: &[u8],
        blocks_end: u64,
        unzip: impl FnOnce(&[u8], usize) -> Result<Vec<u8>, Bad>,
    ) -> Result<Self, Bad> {
        let mut input = Reader::new(bytes);
        let (first, records) = (input.u64()?, u64::from(input.u32()?));
        let sound = (1..=SEGMENT_RECORDS as u64).contains(&records);
        if !sound || first.checked_add(records).is_none() {
            return bad("a number of records that no segment has");
        }
        let hash =
            |input: &mut Reader<'_>| Ok::<_, Bad>(Hash::from_bytes(*input.digest()?.as_bytes()));
        let count = input.count(32)?;
        if count > 64 {
            return bad("a tree of more than 64 levels");
        }
        let tree_before = (0..count).map(|_| hash(&mut input)).collect::<Result<_, _>>()?;
        let root = hash(&mut input)?;
        let (before, last) = (input.digest()?, input.digest()?);
        let head = SegmentHead { first, records, tree_before, root, before, last };
        if head.frontier().is_none() {
            return bad("a tree of another size than the segment's beginning");
        }
        let mut dictionaries = BTreeMap::new();
        for _ in 0..input.count(33)? {
            if dictionaries.insert(StateClass::decode(&mut input)?, input.digest()?).is_some() {
                return bad("two dictionaries of one class");
            }
        }
        let count = input.count(32)?;
        let table = (0..count).map(|_| input.digest()).collect::<Result<Vec<_>, _>>()?;
        let mut blocks = Vec::new();
        let (mut placed, mut counted) = (0_u64, 0_u64);
        let mut payloads = Vec::new();
        for number in 0..u32::try_from(input.count(42)?).unwrap_or(u32::MAX) {
            let block =
                BlockRow { bytes: input.u32()?, records: input.u16()?, digest: input.digest()? };
            if block.records == 0 || block.bytes as usize > 2 * SEGMENT_FRAME_BYTES {
                return bad("a block that no segment has");
            }
            placed = placed.saturating_add(block.bytes.into());
            counted = counted.saturating_add(block.records.into());
            blocks.push(block);
            for _ in 0..input.count(2)? {
                payloads.push((input.u16()?, number));
            }
        }
        payloads.sort_unstable();
        if placed != blocks_end || counted != records {
            return bad("blocks that do not fill the segment");
        }
        let size = input.u32()? as usize;
        let streams = unzip(input.bytes()?, size)?;
        input.finish()?;
        let streams = read_streams(&streams, records)?;
        Ok(Self { head, dictionaries, table, blocks, payloads, streams })
    }
}

fn read_streams(bytes: &[u8], records: u64) -> Result<Vec<StreamRow>, Bad> {
    let mut input = Reader::new(bytes);
    let count = read_varint(&mut input)?;
    if count > records {
        return bad("more streams than records");
    }
    let mut streams: Vec<StreamRow> = Vec::new();
    let mut left = records;
    for _ in 0..count {
        let id = StreamId::new(input.value()?, input.value()?);
        if streams.last().is_some_and(|last| last.id >= id) {
            return bad("streams out of order");
        }
        let (sequence, own) = (read_varint(&mut input)?, read_varint(&mut input)?);
        if own == 0 || own > left || sequence.checked_add(own).is_none() {
            return bad("a stream of more records than there are");
        }
        left -= own;
        let (mut positions, mut at) = (Vec::new(), 0_u64);
        for number in 0..own {
            let step = read_varint(&mut input)?;
            at = at.saturating_add(step);
            if at >= records || (step == 0 && number > 0) {
                return bad("a record of a stream that is not there");
            }
            positions.push(u32::try_from(at).unwrap_or(u32::MAX));
        }
        streams.push(StreamRow { id, sequence, positions });
    }
    input.finish()?;
    if left > 0 {
        return bad("records that belong to no stream");
    }
    Ok(streams)
}

/// What a part of a segment goes by.
pub(super) fn digest_of(bytes: &[u8]) -> Digest {
    Domain::Segment.hash(bytes)
}

/// The last bytes of a segment whose index starts at `at`.
pub(super) fn end(at: u64, index: &[u8]) -> Vec<u8> {
    let mut out = Writer::with_capacity(END);
    out.u64(at).count(index.len()).digest(&digest_of(index)).raw(MAGIC);
    out.into_bytes()
}

/// Where the index starts, how long it is, and its digest.
pub(super) fn read_end(bytes: &[u8], length: u64) -> Result<(u64, usize, Digest), Bad> {
    let mut input = Reader::new(bytes);
    let (at, size, digest) = (input.u64()?, input.u32()?, input.digest()?);
    if input.raw(8)? != MAGIC {
        return bad("it does not end as a segment does");
    }
    input.finish()?;
    if at.checked_add(u64::from(size) + END as u64) != Some(length) {
        return bad("an index that is not where it should be");
    }
    if size as usize > SEGMENT_FRAME_BYTES {
        return bad("an index larger than the limit");
    }
    Ok((at, size as usize, digest))
}
