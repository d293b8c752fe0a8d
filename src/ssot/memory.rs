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
//! let committed = store.append(batch.append(draft))?;
//! assert_eq!(store.head(&stream)?, committed.records[0].head());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! INVARIANT (whole batches): a batch is planned first and written after, both under
//! one lock, and writing it cannot fail half-way.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::vec::Vec;

use crate::digest::Digest;
use crate::ssot::plan::{View, plan};
use crate::ssot::record::{Head, Record, StreamId};
use crate::ssot::store::{
    AppendError, Batch, Committed, Durability, Store, StoreError, Stored, Stretch,
};

/// A log in memory. Shared by reference between threads; gone when dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    log: RwLock<Log>,
}

#[derive(Debug, Default)]
struct Log {
    records: Vec<Record>,
    /// Of each stream the positions of its records, never empty.
    streams: BTreeMap<StreamId, Vec<usize>>,
    payloads: HashMap<Digest, Arc<[u8]>>,
}

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
    fn head_at(&self, positions: &[usize]) -> Head {
        positions.last().and_then(|&p| self.records.get(p)).map_or(Head::EMPTY, Record::head)
    }
}

impl View for Log {
    fn next_index(&self) -> Result<u64, StoreError> {
        Ok(self.records.len() as u64)
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        Ok(self.streams.get(stream).map_or(Head::EMPTY, |positions| self.head_at(positions)))
    }

    fn keeps_other(&self, digest: &Digest, bytes: &[u8]) -> Result<bool, StoreError> {
        Ok(self.payloads.get(digest).is_some_and(|kept| **kept != *bytes))
    }
}

impl Store for MemoryStore {
    fn append(&self, batch: Batch) -> Result<Committed, AppendError> {
        let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        let plan = plan(batch, &*log)?;
        for (record, position) in plan.records.iter().zip(log.records.len()..) {
            match log.streams.get_mut(record.stream()) {
                Some(positions) => positions.push(position),
                None => {
                    log.streams.insert(record.stream().clone(), std::vec![position]);
                }
            }
        }
        log.records.extend(plan.records.iter().cloned());
        log.payloads.extend(plan.payloads);
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
        Ok(log.records.iter().skip(skip(from)).take(limit).map(stored).collect())
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let log = self.log();
        let positions = log.streams.get(stream).into_iter().flatten();
        let chosen = positions.skip(skip(from)).take(limit);
        Ok(chosen.filter_map(|&position| log.records.get(position)).map(stored).collect())
    }

    fn scan(
        &self,
        from: u64,
        limit: usize,
        visit: &mut dyn FnMut(&[u8], &Digest),
    ) -> Result<(), StoreError> {
        let log = self.log();
        let records = log.records.get(skip(from)..).unwrap_or_default();
        records.iter().take(limit).for_each(|record| visit(record.bytes(), &record.digest()));
        Ok(())
    }

    fn trace(
        &self,
        stretches: &[Stretch<'_>],
        visit: &mut dyn FnMut(usize, u64),
    ) -> Result<(), StoreError> {
        let log = self.log();
        for (number, stretch) in stretches.iter().enumerate() {
            let positions = log.streams.get(stretch.stream).map_or(&[][..], Vec::as_slice);
            let positions = positions.get(skip(stretch.from)..).unwrap_or_default();
            positions.iter().take(stretch.limit).for_each(|&at| visit(number, at as u64));
        }
        Ok(())
    }

    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        let log = self.log();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = log.streams.range((start, Bound::Unbounded)).take(limit);
        Ok(range.map(|(stream, positions)| (stream.clone(), log.head_at(positions))).collect())
    }

    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        Ok(self.log().payloads.get(digest).cloned())
    }

    fn payloads(
        &self,
        digests: &[Digest],
        visit: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<(), StoreError> {
        let log = self.log();
        for (number, digest) in digests.iter().enumerate() {
            if let Some(bytes) = log.payloads.get(digest) {
                visit(number, bytes);
            }
        }
        Ok(())
    }

    fn durability(&self) -> Durability {
        Durability::Volatile
    }
}

fn stored(record: &Record) -> Stored {
    Stored { bytes: record.shared_bytes(), digest: record.digest() }
}

fn skip(from: u64) -> usize {
    usize::try_from(from).unwrap_or(usize::MAX)
}
