//! Records in memory, from some index of the log on: all of a log that is kept in memory,
//! or the part of a durable one that its tables don't have yet.
//!
//! INVARIANT (no gap): the records have the indices from [`Log::base`] on, one after the
//! other, and of each stream the sequences from its first one here on.

use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Bound;
use std::sync::Arc;
use std::vec::Vec;

use hashbrown::HashMap;

use crate::digest::Digest;
#[cfg(feature = "redb")]
use crate::ssot::merkle::Frontier;
use crate::ssot::merkle::kept::Kept;
use crate::ssot::record::{Head, Record, StreamId};
use crate::ssot::store::Stored;

#[derive(Debug, Default)]
pub(super) struct Log {
    base: u64,
    records: Vec<Stored>,
    streams: Vec<Stream>,
    /// Where each stream stands in `streams`: what an append looks up.
    places: HashMap<StreamId, usize>,
    /// The same in the order of the ids: only a new stream changes it.
    order: BTreeMap<StreamId, usize>,
    payloads: Payloads,
    tree: Kept,
    bytes: usize,
}

/// Payloads under their digests.
pub(super) type Payloads = HashMap<Digest, Arc<[u8]>, BuildHasherDefault<ByDigest>>;

/// One stream that has records here.
#[derive(Debug)]
struct Stream {
    /// The sequence of the first of them.
    first: u64,
    head: Head,
    /// Where they stand in `records`, never empty.
    positions: Vec<usize>,
}

/// Takes the first eight bytes of a digest for its hash: they are spread already, and
/// whoever wants many that agree in them has to search for each as for a collision.
#[derive(Debug, Default)]
pub(super) struct ByDigest(u64);

impl Hasher for ByDigest {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    /// The length that stands before the bytes.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Log {
    /// Nothing yet; the first record will be the one behind this tree.
    #[cfg(feature = "redb")]
    pub(super) fn after(tree: Frontier) -> Self {
        Self { base: tree.size(), tree: Kept::after(tree), ..Self::default() }
    }

    /// Nothing, and nothing will come: what stands before this index is all. It has no tree.
    #[cfg(feature = "redb")]
    pub(super) fn reading(base: u64) -> Self {
        Self { base, ..Self::default() }
    }

    /// The index of the first record, whether there is one or not.
    #[cfg(feature = "redb")]
    pub(super) const fn base(&self) -> u64 {
        self.base
    }

    /// The index of the next record.
    pub(super) fn next_index(&self) -> u64 {
        self.base.saturating_add(self.records.len() as u64)
    }

    #[cfg(feature = "redb")]
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many bytes of records and payloads were added.
    #[cfg(feature = "redb")]
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The tree over the log up to the last record here, and its nodes that were complete
    /// with the records here.
    pub(super) const fn tree(&self) -> &Kept {
        &self.tree
    }

    fn stream(&self, stream: &StreamId) -> Option<&Stream> {
        self.places.get(stream).and_then(|&place| self.streams.get(place))
    }

    /// The head of a stream that has records here.
    pub(super) fn head(&self, stream: &StreamId) -> Option<Head> {
        self.stream(stream).map(|stream| stream.head)
    }

    /// Adds a record that was sealed for this place.
    pub(super) fn push(&mut self, record: &Record) {
        let (head, position) = (record.head(), self.records.len());
        let place = self.places.get(record.stream()).copied();
        if let Some(stream) = place.and_then(|place| self.streams.get_mut(place)) {
            stream.head = head;
            stream.positions.push(position);
        } else {
            let place = self.streams.len();
            let (first, positions) = (record.sequence(), std::vec![position]);
            self.streams.push(Stream { first, head, positions });
            self.places.insert(record.stream().clone(), place);
            self.order.insert(record.stream().clone(), place);
        }
        self.bytes = self.bytes.saturating_add(record.bytes().len());
        self.tree.push(&record.digest());
        self.records.push(Stored { bytes: record.shared_bytes(), digest: record.digest() });
    }

    /// Keeps a payload, unless there is one under its digest.
    pub(super) fn keep(&mut self, digest: Digest, bytes: &Arc<[u8]>) {
        self.payloads.entry(digest).or_insert_with(|| Arc::clone(bytes));
        self.bytes = self.bytes.saturating_add(bytes.len());
    }

    pub(super) fn payload(&self, digest: &Digest) -> Option<&Arc<[u8]>> {
        self.payloads.get(digest)
    }

    /// Forgets a payload; says whether there was one.
    pub(super) fn erase(&mut self, digest: &Digest) -> bool {
        self.payloads.remove(digest).is_some()
    }

    /// Up to `limit` records from index `from` on.
    pub(super) fn read(&self, from: u64, limit: usize) -> impl Iterator<Item = &Stored> {
        self.records.iter().skip(skip(from, self.base)).take(limit)
    }

    /// The sequence of the stream's first record here.
    #[cfg(feature = "redb")]
    pub(super) fn first_of(&self, stream: &StreamId) -> Option<u64> {
        self.stream(stream).map(|stream| stream.first)
    }

    /// Up to `limit` records of a stream from sequence `from` on.
    pub(super) fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> impl Iterator<Item = &Stored> {
        let of_stream = self.stream(stream).into_iter();
        let positions = of_stream
            .flat_map(move |own| own.positions.iter().skip(skip(from, own.first)).take(limit));
        positions.filter_map(|&position| self.records.get(position))
    }

    /// The indices of a stream's records from sequence `from` on.
    pub(super) fn indices_of(&self, stream: &StreamId, from: u64) -> impl Iterator<Item = u64> {
        let of_stream = self.stream(stream).into_iter();
        let positions =
            of_stream.flat_map(move |own| own.positions.iter().skip(skip(from, own.first)));
        positions.map(|&position| self.base.saturating_add(position as u64))
    }

    /// The streams after this one with their heads, in the order of their ids.
    pub(super) fn streams_after(
        &self,
        after: Option<&StreamId>,
    ) -> impl Iterator<Item = (&StreamId, Head)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.order.range((start, Bound::Unbounded));
        range.filter_map(|(id, &place)| Some((id, self.streams.get(place)?.head)))
    }

    /// Each record of a stream as its sequence and its index, stream by stream in the
    /// order of their ids.
    #[cfg(feature = "redb")]
    pub(super) fn entries(&self) -> impl Iterator<Item = (&StreamId, u64, u64)> {
        let streams = self.order.iter().filter_map(|(id, &p)| Some((id, self.streams.get(p)?)));
        streams.flat_map(|(id, stream)| {
            let indices = stream.positions.iter().map(|&p| self.base.saturating_add(p as u64));
            (stream.first..).zip(indices).map(move |(sequence, index)| (id, sequence, index))
        })
    }

    /// The payloads, in no order.
    #[cfg(feature = "redb")]
    pub(super) fn payloads(&self) -> impl Iterator<Item = (&Digest, &Arc<[u8]>)> {
        self.payloads.iter()
    }

    /// The payloads in the order of their digests.
    #[cfg(feature = "redb")]
    pub(super) fn sorted_payloads(&self) -> Vec<(&Digest, &Arc<[u8]>)> {
        let mut all: Vec<_> = self.payloads.iter().collect();
        all.sort_unstable_by_key(|(digest, _)| *digest);
        all
    }
}

fn skip(from: u64, first: u64) -> usize {
    usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX)
}
