//! A store in memory: for tests, for replay, for logs that need not last.
//!
//! ```
//! use prospera::id::Subsystem;
//! use prospera::ssot::memory::MemoryStore;
//! use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
//! use prospera::ssot::store::{Batch, Store};
//! use prospera::time::Timestamp;
//!
//! let store = MemoryStore::new();
//! let stream = StreamId::new(StreamKind::Audience, "alice".parse()?);
//! let draft =
//!     Draft::new(stream.clone(), RecordKind::AudienceEvent, Subsystem::Audience, vec![1]);
//! let batch = Batch::new(Timestamp::from_millis(7)).expect(stream.clone(), Head::EMPTY);
//! let committed = store.append(&batch.append(draft))?;
//! assert_eq!(store.head(&stream)?, committed.records[0].head());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! INVARIANT (whole batches): a batch is planned first and written after, both under
//! one lock, and writing it cannot fail half-way.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::vec::Vec;

use hashbrown::HashMap;

use crate::digest::Digest;
use crate::encode::Writer;
use crate::ssot::plan::{View, plan_in};
use crate::ssot::record::{Head, Record, StreamId};
use crate::ssot::store::{AppendError, Batch, Committed, Durability, Store, StoreError, Stored};

/// A log in memory. Shared by reference between threads; gone when dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    log: RwLock<Log>,
}

#[derive(Debug, Default)]
struct Log {
    records: Vec<Stored>,
    streams: Vec<Stream>,
    /// Where each stream stands in `streams`: what an append looks up.
    places: HashMap<StreamId, usize>,
    /// The same in the order of the ids: only a new stream changes it.
    order: BTreeMap<StreamId, usize>,
    payloads: HashMap<Digest, Arc<[u8]>>,
    scratch: Writer,
}

/// One stream that has records.
#[derive(Debug)]
struct Stream {
    head: Head,
    /// Where its records stand in the log, never empty.
    positions: Vec<usize>,
}

/// What the writer may keep between two appends, in bytes.
const SCRATCH_BYTES: usize = 64 << 10;

impl MemoryStore {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    fn log(&self) -> RwLockReadGuard<'_, Log> {
        self.log.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn stream(&self, stream: &StreamId) -> Option<&Stream> {
        self.places.get(stream).and_then(|&place| self.streams.get(place))
    }

    fn push(&mut self, record: &Record) {
        let (head, position) = (record.head(), self.records.len());
        let place = self.places.get(record.stream()).copied();
        match place.and_then(|place| self.streams.get_mut(place)) {
            Some(stream) => {
                stream.head = head;
                stream.positions.push(position);
            }
            None => {
                let place = self.streams.len();
                self.streams.push(Stream { head, positions: std::vec![position] });
                self.places.insert(record.stream().clone(), place);
                self.order.insert(record.stream().clone(), place);
            }
        }
        self.records.push(Stored { bytes: record.shared_bytes(), digest: record.digest() });
    }
}

impl View for Log {
    fn next_index(&self) -> Result<u64, StoreError> {
        Ok(self.records.len() as u64)
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        Ok(self.stream(stream).map_or(Head::EMPTY, |stream| stream.head))
    }

    fn keeps_other(&self, digest: &Digest, bytes: &[u8]) -> Result<bool, StoreError> {
        Ok(self.payloads.get(digest).is_some_and(|kept| **kept != *bytes))
    }
}

impl Store for MemoryStore {
    fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
        let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = std::mem::take(&mut log.scratch);
        let plan = plan_in(&mut scratch, batch, &*log);
        if scratch.capacity() <= SCRATCH_BYTES {
            log.scratch = scratch;
        }
        let plan = plan?;
        for record in &plan.records {
            log.push(record);
        }
        for (digest, bytes) in plan.payloads() {
            log.payloads.entry(*digest).or_insert_with(|| Arc::clone(bytes));
        }
        Ok(Committed { records: plan.records })
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        self.log().head(stream)
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.log().next_index()
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let log = self.log();
        Ok(log.records.iter().skip(skip(from)).take(limit).cloned().collect())
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let log = self.log();
        let positions = log.stream(stream).map_or([].as_slice(), |stream| &stream.positions);
        let chosen = positions.iter().skip(skip(from)).take(limit);
        Ok(chosen.filter_map(|&position| log.records.get(position)).cloned().collect())
    }

    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        let log = self.log();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = log.order.range((start, Bound::Unbounded)).take(limit);
        let head = |place: usize| log.streams.get(place).map_or(Head::EMPTY, |stream| stream.head);
        Ok(range.map(|(stream, &place)| (stream.clone(), head(place))).collect())
    }

    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        Ok(self.log().payloads.get(digest).cloned())
    }

    fn durability(&self) -> Durability {
        Durability::Volatile
    }
}

fn skip(from: u64) -> usize {
    usize::try_from(from).unwrap_or(usize::MAX)
}
