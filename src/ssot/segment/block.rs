//! Some records of a segment, packed together.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::vec::Vec;

use super::index::StreamRow;
use super::row::{self, Around, Hole, Place, Taken, read_varint, varint};
use super::shape::PayloadOf;
use super::zip::{Unzipper, Zipper};
use super::{Bad, SegmentError, Shape, bad};
use crate::digest::Digest;
use crate::encode::{Encode as _, Reader, Writer};
use crate::limits::RECORD_BYTES;
use crate::ssot::class::StateClass;
use crate::ssot::record::{Head, Record, RecordKind, StreamId};

const ROWS: u8 = 0;
const PAYLOADS: u8 = 1;

/// The class that a payload is packed with.
pub(super) const fn class_of(of: PayloadOf) -> StateClass {
    match of {
        PayloadOf::Intent | PayloadOf::Objective => StateClass::Intent,
        PayloadOf::Output => StateClass::Execution,
        PayloadOf::Policy => StateClass::Governance,
    }
}

/// Rows and payloads of a block, before they are packed.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    time: u64,
    kinds: Vec<u8>,
    heads: Writer,
    pub(super) rows: BTreeMap<StateClass, Vec<Vec<u8>>>,
    pub(super) payloads: BTreeMap<StateClass, Vec<Vec<u8>>>,
    opaque: Vec<u8>,
}

/// Draws a block. `whole` names records that are kept whole, by their places in it.
pub(super) fn draw(
    records: &[Record],
    taken: &[Vec<Taken>],
    payloads: &BTreeMap<StateClass, Vec<Arc<[u8]>>>,
    numbers: &HashMap<StreamId, u64>,
    whole: &BTreeSet<usize>,
) -> Drawn {
    let mut drawn = Drawn {
        time: records.first().map_or(0, |first| first.timestamp().as_millis()),
        ..Drawn::default()
    };
    let mut last = drawn.time;
    let mut met = BTreeSet::new();
    for (place, (record, taken)) in records.iter().zip(taken).enumerate() {
        let number = numbers.get(record.stream()).copied().unwrap_or(u64::MAX);
        let mut out = Writer::with_capacity(record.bytes().len());
        if whole.contains(&place) {
            drawn.kinds.push(0);
            varint(&mut out, number);
            out.bytes(record.bytes());
            met.insert(number);
            drawn.rows.entry(StateClass::Audit).or_default().push(out.into_bytes());
        } else {
            drawn.kinds.extend(record.kind().to_canonical());
            if met.insert(number) {
                varint(&mut drawn.heads, record.sequence());
                if record.sequence() > 0 {
                    drawn.opaque.extend_from_slice(record.previous().as_bytes());
                }
            }
            for Taken { mark, hole } in taken {
                if *hole == Hole::Opaque {
                    let at = mark.offset();
                    let bytes = record.body().get(at..at.saturating_add(32));
                    drawn.opaque.extend_from_slice(bytes.unwrap_or_default());
                }
            }
            row::write(&mut out, record, number, last, taken);
            let class = StateClass::of(record.kind());
            drawn.rows.entry(class).or_default().push(out.into_bytes());
        }
        last = record.timestamp().as_millis();
    }
    for (class, payloads) in payloads {
        let framed = payloads.iter().map(|payload| {
            let mut out = Writer::with_capacity(payload.len() + 3);
            varint(&mut out, payload.len() as u64);
            out.raw(payload);
            out.into_bytes()
        });
        drawn.payloads.insert(*class, framed.collect());
    }
    drawn
}

impl Drawn {
    /// How many digests are written as they are.
    pub(super) fn opaque(&self) -> u64 {
        self.opaque.len() as u64 / 32
    }

    /// The block's bytes, and of each frame its class, whether it is of payloads, its size
    /// and the size it was packed to.
    #[expect(clippy::type_complexity, reason = "four numbers of each frame, for the report")]
    pub(super) fn pack(
        &self,
        zipper: &mut Zipper<'_>,
    ) -> Result<(Vec<u8>, Vec<(StateClass, bool, u64, u64)>), SegmentError> {
        let mut sizes = Vec::new();
        let mut out = Writer::new();
        out.u64(self.time).bytes(&self.kinds).bytes(self.heads.as_bytes());
        let rows = self.rows.iter().map(|(class, rows)| (*class, ROWS, rows.concat()));
        let kept = self.payloads.iter().map(|(class, kept)| (*class, PAYLOADS, kept.concat()));
        let frames: Vec<_> = rows.chain(kept).collect();
        out.count(frames.len());
        for (class, kind, bytes) in frames {
            let packed = zipper.zip(class, &bytes)?;
            out.value(&class).u8(kind).count(bytes.len()).bytes(&packed);
            sizes.push((class, kind == PAYLOADS, bytes.len() as u64, packed.len() as u64));
        }
        out.raw(&self.opaque);
        Ok((out.into_bytes(), sizes))
    }
}

/// A block that was read.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) records: Vec<Record>,
    /// Payloads by the class they were packed with.
    pub(super) payloads: BTreeMap<StateClass, Vec<Arc<[u8]>>>,
    /// Which of them records name, and by which digest.
    named: Vec<(u64, PayloadOf, Digest)>,
}

impl Block {
    /// Its payloads with the digests that its records name them by.
    pub(super) fn kept(&self) -> impl Iterator<Item = (Digest, Arc<[u8]>)> {
        let named = self.named.iter().filter_map(|(which, of, digest)| {
            let own = self.payloads.get(&class_of(*of))?;
            Some((*digest, Arc::clone(own.get(usize::try_from(*which).ok()?)?)))
        });
        named.collect::<Vec<_>>().into_iter()
    }

    /// The payload that is kept under a digest.
    pub(super) fn payload(&self, digest: &Digest) -> Option<&Arc<[u8]>> {
        let all = PayloadOf::ALL.into_iter();
        let mut of = all.flat_map(|of| {
            let own = self.payloads.get(&class_of(of)).into_iter().flatten();
            own.map(move |payload| (of, payload))
        });
        of.find(|(of, payload)| of.domain().hash(payload) == *digest).map(|(_, payload)| payload)
    }
}

/// What a block is read with.
pub(super) struct With<'a> {
    pub(super) first: u64,
    pub(super) count: usize,
    pub(super) streams: &'a [StreamRow],
    pub(super) table: &'a [Digest],
    pub(super) shape: &'a dyn Shape,
    pub(super) unzip: &'a Unzipper,
}

/// Reads a block again.
pub(super) fn read(bytes: &[u8], with: &With<'_>) -> Result<Block, Bad> {
    let mut input = Reader::new(bytes);
    let time = input.u64()?;
    let kinds = input.bytes()?;
    let mut heads = Reader::new(input.bytes()?);
    if kinds.len() != with.count {
        return bad("a block of another number of records than the index says");
    }
    let mut rows = BTreeMap::new();
    let mut payloads = BTreeMap::new();
    for _ in 0..input.count(10)? {
        let (class, kind): (StateClass, u8) = (input.value()?, input.u8()?);
        let size = input.u32()? as usize;
        let bytes = with.unzip.unzip(Some(class), input.bytes()?, size)?;
        let twice = match kind {
            ROWS => rows.insert(class, bytes).is_some(),
            PAYLOADS => payloads.insert(class, split(&bytes)?).is_some(),
            _ => return bad("a frame of no known kind"),
        };
        if twice {
            return bad("two frames of one kind");
        }
    }
    let mut opaque = input;
    let block = Block { records: Vec::new(), payloads, named: Vec::new() };
    let (records, named) = rows_of(with, time, kinds, &rows, &block, &mut heads, &mut opaque)?;
    heads.finish()?;
    opaque.finish()?;
    Ok(Block { records, named, ..block })
}

#[expect(clippy::type_complexity, reason = "what a block consists of, once")]
fn rows_of(
    with: &With<'_>,
    time: u64,
    kinds: &[u8],
    rows: &BTreeMap<StateClass, Vec<u8>>,
    block: &Block,
    heads: &mut Reader<'_>,
    opaque: &mut Reader<'_>,
) -> Result<(Vec<Record>, Vec<(u64, PayloadOf, Digest)>), Bad> {
    let known = RefCell::new(HashMap::new());
    let digest_of = |which: u64, of: PayloadOf| {
        let own = block.payloads.get(&class_of(of))?;
        let payload = own.get(usize::try_from(which).ok()?)?;
        let mut known = known.borrow_mut();
        Some(*known.entry((which, of)).or_insert_with(|| of.domain().hash(payload)))
    };
    let around = Around { shape: with.shape, table: with.table, payloads: &digest_of };
    let mut readers: BTreeMap<StateClass, Reader<'_>> =
        rows.iter().map(|(class, bytes)| (*class, Reader::new(bytes))).collect();
    let mut ends: HashMap<usize, Head> = HashMap::new();
    let (mut records, mut digests) = (Vec::new(), Vec::new());
    let (mut last, mut scratch) = (time, Writer::new());
    for (kind, index) in kinds.iter().zip(with.first..) {
        let whole = *kind == 0;
        let kind = if whole { None } else { Some(RecordKind::from_byte(*kind)?) };
        let class = kind.map_or(StateClass::Audit, StateClass::of);
        let Some(input) = readers.get_mut(&class) else { return bad("a row that is missing") };
        let number = row::stream_of(input)?;
        let Some(stream) = with.streams.get(number) else {
            return bad("a stream that is not there");
        };
        let record = match kind {
            None => Record::decode_sealed(input.bytes()?)?,
            Some(kind) => {
                let after = match ends.get(&number) {
                    Some(end) => *end,
                    None => match read_varint(heads)? {
                        0 => Head::EMPTY,
                        sequence => Head::new(sequence, opaque.digest()?),
                    },
                };
                let place = Place { stream: &stream.id, kind, index, after, last };
                row::read(input, place, &around, &digests, opaque, &mut scratch)?
            }
        };
        last = record.timestamp().as_millis();
        ends.insert(number, record.head());
        digests.push(record.digest());
        records.push(record);
    }
    for (_, reader) in readers {
        reader.finish()?;
    }
    let named = known.into_inner().into_iter();
    Ok((records, named.map(|((which, of), digest)| (which, of, digest)).collect()))
}

fn split(bytes: &[u8]) -> Result<Vec<Arc<[u8]>>, Bad> {
    let mut input = Reader::new(bytes);
    let mut out = Vec::new();
    while input.remaining() > 0 {
        let length = usize::try_from(read_varint(&mut input)?).unwrap_or(usize::MAX);
        if length > RECORD_BYTES {
            return bad("a payload larger than the limit");
        }
        out.push(input.raw(length)?.into());
    }
    Ok(out)
}

impl RecordKind {
    fn from_byte(byte: u8) -> Result<Self, Bad> {
        use crate::encode::Decode as _;
        Ok(Self::from_canonical(&[byte])?)
    }
}
