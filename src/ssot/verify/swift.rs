//! The swift walk: whether a log is sound, not what is wrong with it.
//!
//! It goes in pieces, and in windows of several pieces.
//!
//! - A *piece* is read once. Each record is held against the end of its stream as the
//!   walk remembers it; the digest stored beside it is believed until the whole piece has
//!   been hashed, many records at once.
//! - A *window* is closed when it has enough records of each of its streams that one
//!   look into the index for a stream is little for each record: then the index must
//!   lead to exactly the places where the walk came by them.
//! - In the end the streams' heads must be the ends that the walk remembers.
//!
//! A log may be walked in several stretches, each by a [`Walk`] of its own that believes
//! nothing of the others: a stream that it comes by for the first time is looked up like one
//! that was forgotten. [`join`] puts them together.
//!
//! INVARIANT (no less): what this walk accepts, the [exact](super::exact) one accepts. It may
//! turn away more, and then the exact one decides. `verify::tests` holds one against the other.

use alloc::vec::Vec;

use super::streams::{Known, Streams};
use super::tree::Rebuilt;
use super::{Place, Progress, RecordView, Report, open};
use crate::digest::{Digest, Domain};
use crate::ssot::record::{Head, StreamId};
use crate::ssot::store::{Store, StoreError, Stretch};

/// Why the walk went no further.
#[derive(Debug)]
pub(super) enum Stop {
    /// Something is not as it must be.
    Odd,
    /// The store cannot be read, whatever the log is like.
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            // That is said of what was read: the exact walk says where.
            StoreError::Damaged { .. } | StoreError::Record { .. } | StoreError::NoNode { .. } => {
                Self::Odd
            }
            other => Self::Store(other),
        }
    }
}

/// How much is held at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Records of a piece.
    pub(super) piece: usize,
    /// A window is closed when it has so many records,
    pub(super) window: usize,
    /// and so many of each stream on average,
    pub(super) each: usize,
    /// or so many altogether.
    pub(super) widest: usize,
    /// Streams that are remembered between two windows.
    pub(super) streams: usize,
}

impl Bounds {
    pub(super) const USUAL: Self =
        Self { piece: 256, window: super::CHUNK, each: 32, widest: 1 << 16, streams: 1 << 16 };
}

/// A record longer than this is hashed by itself, at once.
const STAGED: usize = 1024;

pub(super) fn walk<S: Store + ?Sized>(
    store: &S,
    total: u64,
    bounds: Bounds,
    progress: &mut impl FnMut(Progress),
) -> Result<Report, Stop> {
    let mut walk = Walk::from(0);
    let tell = &mut |verified| {
        progress(Progress { verified, total });
        true
    };
    walk.run(store, u64::MAX, bounds, tell)?;
    join(store, total, &[walk])
}

/// A record whose stream the walk does not remember: the one before it must be looked up.
struct Recall {
    slot: usize,
    sequence: u64,
    previous: Digest,
}

/// A walk over one stretch of the log.
#[derive(Default)]
pub(super) struct Walk {
    begin: u64,
    /// The index of the next record, and the digest of the one before it.
    next: u64,
    last: Option<Digest>,
    /// Whether something is not as it must be.
    odd: bool,
    /// How many streams have begun, and how many of them were forgotten.
    begun: u64,
    forgotten: usize,
    streams: Streams,
    tree: Rebuilt,

    /// Of the piece: the bytes to be hashed, one record's behind another's, where each
    /// ends, and the digests stored beside them.
    staged: Vec<u8>,
    ends: Vec<usize>,
    stored: Vec<Digest>,
    computed: Vec<Digest>,
    recalls: Vec<Recall>,
    /// The digests of all its records, in order.
    leaves: Vec<Digest>,

    /// Of the window: its number, the index of its first record, the slot of each record,
    /// and the slots in the order in which they came.
    window: u64,
    start: u64,
    slots: Vec<usize>,
    touched: Vec<usize>,
    places: Vec<u64>,
}

impl Walk {
    /// A walk that begins at this record.
    pub(super) fn from(begin: u64) -> Self {
        Self { begin, next: begin, start: begin, tree: Rebuilt::from(begin), ..Self::default() }
    }

    /// Walks on up to this record, or to the end of the log. `go_on` is told now and then how
    /// far the walk has come, and may stop it.
    pub(super) fn run<S: Store + ?Sized>(
        &mut self,
        store: &S,
        end: u64,
        bounds: Bounds,
        go_on: &mut impl FnMut(u64) -> bool,
    ) -> Result<(), Stop> {
        loop {
            let start = self.next;
            let left = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
            let piece = bounds.piece.min(left);
            store.scan(start, piece, &mut |bytes, digest| self.visit(bytes, digest))?;
            self.end_piece(store, start)?;
            let over = self.next == start;
            let records = self.slots.len();
            let enough = bounds.window.max(self.touched.len().saturating_mul(bounds.each));
            if records > 0 && (over || records >= enough.min(bounds.widest)) {
                self.close_window(store)?;
                if !go_on(self.next) {
                    return Err(Stop::Odd);
                }
                if self.streams.len() > bounds.streams {
                    self.forgotten = self.forgotten.saturating_add(self.streams.forget());
                }
            }
            if over {
                return Ok(());
            }
        }
    }

    /// Takes in a record as the store shows it.
    #[inline]
    fn visit(&mut self, bytes: &[u8], digest: &Digest) {
        if self.follow(bytes, digest).is_none() {
            self.odd = true;
            return;
        }
        self.leaves.push(*digest);
        if bytes.len() <= STAGED {
            self.staged.extend_from_slice(bytes);
            self.ends.push(self.staged.len());
            self.stored.push(*digest);
        } else if Domain::Record.hash(bytes) != *digest {
            self.odd = true;
        }
    }

    /// Everything but the digest; `None` when something is not as it must be.
    #[inline]
    fn follow(&mut self, bytes: &[u8], digest: &Digest) -> Option<()> {
        let view = RecordView::of(bytes)?;
        if view.index != self.next || self.odd {
            return None;
        }
        let slot = match self.streams.of(&view) {
            Some(slot) => slot,
            None => self.meet(&view)?,
        };
        let known = self.streams.at_mut(slot)?;
        if known.next != Head::new(view.sequence, view.previous) {
            return None;
        }
        known.next = Head::new(view.sequence.checked_add(1)?, *digest);
        if known.window != self.window {
            (known.window, known.first, known.count) = (self.window, view.sequence, 0);
            self.touched.push(slot);
        }
        known.count += 1;
        self.slots.push(slot);
        self.next = self.next.checked_add(1)?;
        self.last = Some(*digest);
        Some(())
    }

    /// A stream that begins, or one that the walk does not remember.
    #[cold]
    fn meet(&mut self, view: &RecordView<'_>) -> Option<usize> {
        let (sequence, previous) = (view.sequence, view.previous);
        if sequence == 0 {
            self.begun = self.begun.checked_add(1)?;
            return Some(self.streams.insert(view.stream()?, Head::EMPTY));
        }
        // Believed for now: `end_piece` looks it up.
        let slot = self.streams.insert(view.stream()?, Head::new(sequence, previous));
        self.recalls.push(Recall { slot, sequence, previous });
        Some(slot)
    }

    /// Hashes what is staged, and looks up what was believed.
    fn end_piece<S: Store + ?Sized>(&mut self, store: &S, start: u64) -> Result<(), Stop> {
        let mut from = 0;
        let staged = self.ends.iter().map(|&end| {
            let bytes = self.staged.get(from..end).unwrap_or_default();
            from = end;
            bytes
        });
        let staged: Vec<&[u8]> = staged.collect();
        self.computed.clear();
        self.computed.resize(staged.len(), Digest::ZERO);
        Domain::Record.hash_many(&staged, &mut self.computed);
        if self.odd || self.computed != self.stored {
            return Err(Stop::Odd);
        }
        for digest in self.leaves.drain(..) {
            self.tree.push(&digest);
        }
        if !self.tree.is_as_kept(store)? {
            return Err(Stop::Odd);
        }
        self.staged.clear();
        self.ends.clear();
        self.stored.clear();
        for recall in self.recalls.drain(..) {
            let known = self.streams.at(recall.slot).ok_or(Stop::Odd)?;
            let before = recall.sequence.saturating_sub(1);
            let found = lone(store, &known.stream, before, 1)?;
            if found.index >= start || found.head != Head::new(recall.sequence, recall.previous) {
                return Err(Stop::Odd);
            }
        }
        Ok(())
    }

    /// Holds the streams' index against the places of the window's records.
    fn close_window<S: Store + ?Sized>(&mut self, store: &S) -> Result<(), Stop> {
        let mut place = 0;
        for &slot in &self.touched {
            let known = self.streams.at_mut(slot).ok_or(Stop::Odd)?;
            known.place = place;
            place += known.count;
        }
        self.places.clear();
        self.places.resize(place, 0);
        for (&slot, index) in self.slots.iter().zip(self.start..) {
            let known = self.streams.at_mut(slot).ok_or(Stop::Odd)?;
            *self.places.get_mut(known.place).ok_or(Stop::Odd)? = index;
            known.place += 1;
        }
        let streams = &self.streams;
        let known = self.touched.iter().filter_map(|&slot| streams.at(slot));
        // One more than there are: whether the index goes on.
        let limit = |known: &Known| known.count.saturating_add(1);
        let stretches: Vec<Stretch<'_>> = known
            .map(|known| Stretch { stream: &known.stream, from: known.first, limit: limit(known) })
            .collect();
        let mut rest: &[u64] = &self.places;
        let mut left: Vec<&[u64]> = Vec::with_capacity(stretches.len());
        for stretch in &stretches {
            let (own, others) =
                rest.split_at_checked(stretch.limit.saturating_sub(1)).unwrap_or_default();
            left.push(own);
            rest = others;
        }
        let mut more = alloc::vec![false; stretches.len()];
        let mut odd = false;
        store.trace(&stretches, &mut |number, index| match left.get_mut(number) {
            Some(own) => match own.split_first() {
                Some((&expected, others)) => {
                    odd |= index != expected;
                    *own = others;
                }
                None => match more.get_mut(number) {
                    Some(more) => *more = true,
                    None => odd = true,
                },
            },
            None => odd = true,
        })?;
        if odd || left.iter().any(|own| !own.is_empty()) || more.len() != self.touched.len() {
            return Err(Stop::Odd);
        }
        for (&slot, more) in self.touched.iter().zip(more) {
            self.streams.at_mut(slot).ok_or(Stop::Odd)?.more = more;
        }
        self.slots.clear();
        self.touched.clear();
        self.start = self.next;
        self.window = self.window.wrapping_add(1);
        Ok(())
    }
}

/// Puts the walks over stretches that follow each other together to one over the log.
pub(super) fn join<S: Store + ?Sized>(
    store: &S,
    total: u64,
    walks: &[Walk],
) -> Result<Report, Stop> {
    let mut tree = Rebuilt::from(0);
    let (mut next, mut begun, mut last) = (0, 0_u64, None);
    for walk in walks {
        if walk.begin != next {
            return Err(Stop::Odd);
        }
        next = walk.next;
        begun = begun.saturating_add(walk.begun);
        last = walk.last.or(last);
        tree.append(&walk.tree);
    }
    let sound = tree.is_as_kept(store)? && tree.head_fault(store, total)?.is_none();
    let streams = heads(store, walks)?;
    if !sound || next != total || streams != begun {
        return Err(Stop::Odd);
    }
    Ok(Report { records: total, streams, last, root: tree.root() })
}

/// Holds every head against the end of its stream; answers how many there are.
fn heads<S: Store + ?Sized>(store: &S, walks: &[Walk]) -> Result<u64, Stop> {
    let mut after: Option<StreamId> = None;
    let mut count = 0_u64;
    loop {
        let page = store.streams(after.as_ref(), super::CHUNK)?;
        for (stream, head) in &page {
            if after.as_ref().is_some_and(|after| after >= stream) {
                return Err(Stop::Odd);
            }
            // The last walk that came by the stream says how it ends, unless a later one
            // may have forgotten it.
            let mut forgotten = false;
            let known = walks.iter().rev().find_map(|walk| {
                let known = walk.streams.get(stream);
                forgotten |= known.is_none() && walk.forgotten > 0;
                known
            });
            let ends = known.is_some_and(|known| known.next == *head && !known.more);
            let sound = ends
                || forgotten
                    && head.length() > 0
                    // Two are asked for: there must be no other behind it.
                    && lone(store, stream, head.length() - 1, 2)?.head == *head;
            if !sound {
                return Err(Stop::Odd);
            }
            count = count.saturating_add(1);
            after = Some(stream.clone());
        }
        if page.is_empty() {
            return Ok(count);
        }
    }
}

/// Where a stream's record stands, and the head with it as the last.
struct Found {
    index: u64,
    head: Head,
}

/// The one record that a stream has from this sequence on, among so many asked for.
fn lone<S: Store + ?Sized>(
    store: &S,
    stream: &StreamId,
    sequence: u64,
    limit: usize,
) -> Result<Found, Stop> {
    let records = store.read_stream(stream, sequence, limit)?;
    let [stored] = records.as_slice() else { return Err(Stop::Odd) };
    match open(stored, || Place::Stream(stream.clone(), sequence)) {
        Ok(record) if record.stream() == stream && record.sequence() == sequence => {
            Ok(Found { index: record.index(), head: record.head() })
        }
        _ => Err(Stop::Odd),
    }
}

/// The walk, and how many bytes it held in the end: buffers only grow.
#[cfg(test)]
pub(super) fn walk_and_weigh<S: Store + ?Sized>(
    store: &S,
    total: u64,
    bounds: Bounds,
) -> Result<(Report, usize), Stop> {
    let mut walk = Walk::from(0);
    walk.run(store, u64::MAX, bounds, &mut |_| true)?;
    let lists = walk.ends.capacity() + walk.slots.capacity() + walk.touched.capacity();
    let digests = walk.stored.capacity() + walk.computed.capacity() + walk.leaves.capacity();
    let places = walk.places.capacity() + walk.recalls.capacity() * 6;
    let held = walk.staged.capacity() + 8 * (lists + places) + 32 * digests;
    let held = held + walk.streams.weight() + walk.tree.weight();
    Ok((join(store, total, &[walk])?, held))
}
