//! The ends of the streams that a walk has come by, as far as it remembers them.

use alloc::vec::Vec;
use core::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::RecordView;
use crate::ssot::record::{Head, StreamId, StreamKind};

/// A stream, and where the walk stands in it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) stream: StreamId,
    hash: u64,
    /// What the stream's next record must follow.
    pub(super) next: Head,
    /// The last window with a record of the stream.
    pub(super) window: u64,
    /// The sequence of the first record in that window, and how many there are.
    pub(super) first: u64,
    pub(super) count: usize,
    /// Where the next of them goes among the places of the window.
    pub(super) place: usize,
    /// Whether the index had an entry behind the last of them, at that time.
    pub(super) more: bool,
}

/// Streams by id. A slot stays that of its stream until [`Streams::forget`].
#[derive(Debug, Default)]
pub(super) struct Streams {
    slots: HashTable<usize>,
    known: Vec<Known>,
    hasher: DefaultHashBuilder,
}

impl Streams {
    /// The slot of the stream that a record names.
    #[inline]
    pub(super) fn of(&self, view: &RecordView<'_>) -> Option<usize> {
        self.slot(view.stream_kind, view.name)
    }

    pub(super) fn get(&self, stream: &StreamId) -> Option<&Known> {
        let slot = self.slot(stream.kind(), stream.name().as_str().as_bytes())?;
        self.known.get(slot)
    }

    #[inline]
    fn slot(&self, kind: StreamKind, name: &[u8]) -> Option<usize> {
        let same = |slot: &usize| {
            self.known.get(*slot).is_some_and(|known| {
                known.stream.kind() == kind && known.stream.name().as_str().as_bytes() == name
            })
        };
        self.slots.find(self.hash(kind, name), same).copied()
    }

    #[inline]
    fn hash(&self, kind: StreamKind, name: &[u8]) -> u64 {
        self.hasher.hash_one((kind, name))
    }

    /// Remembers a stream that has no slot, and what its next record must follow.
    pub(super) fn insert(&mut self, stream: StreamId, next: Head) -> usize {
        let hash = self.hash(stream.kind(), stream.name().as_str().as_bytes());
        let slot = self.known.len();
        let (window, first, count, place, more) = (u64::MAX, 0, 0, 0, false);
        self.known.push(Known { stream, hash, next, window, first, count, place, more });
        let known = &self.known;
        let hash_of = |slot: &usize| known.get(*slot).map_or(0, |known| known.hash);
        self.slots.insert_unique(hash, slot, hash_of);
        slot
    }

    #[inline]
    pub(super) fn at(&self, slot: usize) -> Option<&Known> {
        self.known.get(slot)
    }

    #[inline]
    pub(super) fn at_mut(&mut self, slot: usize) -> Option<&mut Known> {
        self.known.get_mut(slot)
    }

    pub(super) const fn len(&self) -> usize {
        self.known.len()
    }

    /// Forgets the older half, by the last window with a record of theirs, or all when
    /// they are of the same age. Answers how many were forgotten.
    pub(super) fn forget(&mut self) -> usize {
        let before = self.known.len();
        let mut ages: Vec<u64> = self.known.iter().map(|known| known.window).collect();
        let (_, &mut middle, _) = match ages.len() {
            0 => return 0,
            len => ages.select_nth_unstable(len / 2),
        };
        self.known.retain(|known| known.window > middle);
        self.slots.clear();
        let known = &self.known;
        let hash_of = |slot: &usize| known.get(*slot).map_or(0, |known| known.hash);
        for (slot, known) in known.iter().enumerate() {
            self.slots.insert_unique(known.hash, slot, hash_of);
        }
        before.saturating_sub(self.known.len())
    }

    #[cfg(test)]
    pub(super) fn weight(&self) -> usize {
        self.known.capacity() * size_of::<Known>() + self.slots.capacity() * 9
    }
}
