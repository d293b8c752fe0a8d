//! The tape: the store that a replay's router writes to, which writes nothing.
//!
//! What a router would append is held against the records that the log has at that place.
//! Where they are the same, bodies byte for byte, the router is answered with the log's own
//! records and goes on as it did the first time. Where they are not, nothing is answered and
//! the derived records are kept to be shown.
//!
//! What it is asked to read it reads from the log as it stood before a given record.
//!
//! INVARIANT (nothing is written): no append reaches the log's store.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use crate::digest::Digest;
use crate::ssot::record::{Draft, Head, Record, StreamId};
use crate::ssot::store::{AppendError, Batch, Committed, Durability, Store, StoreError, Stored};
use crate::time::{Clock, Timestamp};

/// The records that come next in the log, as far as they concern one subject.
pub(super) struct Tape<'a, S: ?Sized> {
    store: &'a S,
    before: Cell<u64>,
    next: RefCell<VecDeque<Record>>,
    taken: Cell<usize>,
    derived: RefCell<Option<Vec<Draft>>>,
}

impl<'a, S: ?Sized> Tape<'a, S> {
    pub(super) const fn of(store: &'a S) -> Self {
        Self {
            store,
            before: Cell::new(0),
            next: RefCell::new(VecDeque::new()),
            taken: Cell::new(0),
            derived: RefCell::new(None),
        }
    }

    /// The coming records.
    pub(super) fn next(&self) -> &RefCell<VecDeque<Record>> {
        &self.next
    }

    /// Begins an act that reads the log as it stood before this place.
    pub(super) fn begin(&self, before: u64) {
        self.before.set(before);
        self.taken.set(0);
        *self.derived.borrow_mut() = None;
    }

    /// How many of the coming records the act derived.
    pub(super) fn taken(&self) -> usize {
        self.taken.get()
    }

    /// What the act would have written instead.
    pub(super) fn derived(&self) -> Option<Vec<Draft>> {
        self.derived.borrow_mut().take()
    }
}

impl<S: Store + ?Sized> Store for Tape<'_, S> {
    fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
        let next = self.next.borrow();
        let mut records = Vec::with_capacity(batch.drafts().len());
        for (draft, record) in batch.drafts().iter().zip(next.iter()) {
            let position = records.len() as u64;
            let first = records.first().map_or(record.index(), Record::index);
            let same = record.kind() == draft.kind()
                && record.source() == draft.source()
                && record.timestamp() == batch.timestamp()
                && record.index() == first.saturating_add(position)
                && record.body() == draft.body()
                && record.stream() == draft.stream();
            if !same {
                break;
            }
            records.push(record.clone());
        }
        if records.len() == batch.drafts().len() {
            self.taken.set(records.len());
            return Ok(Committed { records });
        }
        *self.derived.borrow_mut() = Some(batch.drafts().to_vec());
        Err(AppendError::Refused { reason: "the log has something else there" })
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        let before = self.before.get();
        // How many records of the stream stand before that place: between `low` and `high`.
        let (mut low, mut high) = (0, self.store.head(stream)?.length());
        let mut head = Head::EMPTY;
        let mut at = high.saturating_sub(1);
        while low < high {
            let piece = self.store.read_stream(stream, at, 1)?;
            let Some(stored) = piece.first() else {
                return Err(StoreError::Damaged {
                    what: "a stream is shorter than its head".into(),
                });
            };
            if index_of(stored) < before {
                low = at.saturating_add(1);
                head = Head::new(low, stored.digest);
            } else {
                high = at;
            }
            at = low.midpoint(high);
        }
        Ok(head)
    }

    fn len(&self) -> Result<u64, StoreError> {
        Ok(self.store.len()?.min(self.before.get()))
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let left = self.before.get().saturating_sub(from);
        self.store.read(from, limit.min(usize::try_from(left).unwrap_or(usize::MAX)))
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut piece = self.store.read_stream(stream, from, limit)?;
        piece.retain(|stored| index_of(stored) < self.before.get());
        Ok(piece)
    }

    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        let mut streams = self.store.streams(after, limit)?;
        for (stream, head) in &mut streams {
            *head = self.head(stream)?;
        }
        Ok(streams)
    }

    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        self.store.payload(digest)
    }

    fn durability(&self) -> Durability {
        Durability::Volatile
    }
}

/// The place in the log that a record's bytes name.
fn index_of(stored: &Stored) -> u64 {
    let bytes = stored.bytes.get(3..).and_then(<[u8]>::first_chunk);
    bytes.map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes))
}

/// The time of a record; a second look at the clock may find another.
#[derive(Debug, Default)]
pub(super) struct Dial {
    now: Cell<Timestamp>,
    later: Cell<Option<Timestamp>>,
    looked: Cell<bool>,
}

impl Dial {
    /// The clock stands at `now`; from the second look on at `later`, where one is given.
    pub(super) fn set(&self, now: Timestamp, later: Option<Timestamp>) {
        self.now.set(now);
        self.later.set(later);
        self.looked.set(false);
    }
}

impl Clock for Dial {
    fn now(&self) -> Timestamp {
        match self.later.get() {
            Some(later) if self.looked.replace(true) => later,
            _ => self.now.get(),
        }
    }
}
