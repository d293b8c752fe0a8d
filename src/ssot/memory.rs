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

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::vec::Vec;

use crate::digest::Digest;
use crate::encode::Writer;
use crate::ssot::log::Log;
use crate::ssot::merkle::kept::derive;
use crate::ssot::merkle::log::complete;
use crate::ssot::merkle::{Hash, KeptTree, NodeId, TreeHead};
use crate::ssot::plan::{View, plan_in};
use crate::ssot::record::{Head, StreamId};
use crate::ssot::store::{
    AppendError, Batch, Committed, Durability, Erase, Store, StoreError, Stored, Stretch,
};

/// A log in memory. Shared by reference between threads; gone when dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    log: Log,
    /// Records are sealed in it, one after the other.
    scratch: Writer,
}

/// What the writer may keep between two appends, in bytes.
const SCRATCH_BYTES: usize = 64 << 10;

impl MemoryStore {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    fn inner(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl View for Log {
    fn next_index(&self) -> Result<u64, StoreError> {
        Ok(Self::next_index(self))
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        Ok(Self::head(self, stream).unwrap_or(Head::EMPTY))
    }

    fn keeps_other(&self, digest: &Digest, bytes: &[u8]) -> Result<bool, StoreError> {
        Ok(self.payload(digest).is_some_and(|kept| **kept != *bytes))
    }
}

impl Store for MemoryStore {
    fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let Inner { log, scratch } = &mut *inner;
        let plan = plan_in(scratch, batch, log)?;
        for record in &plan.records {
            log.push(record);
        }
        for (digest, bytes) in plan.payloads() {
            log.keep(*digest, bytes);
        }
        if scratch.capacity() > SCRATCH_BYTES {
            *scratch = Writer::new();
        }
        Ok(Committed { records: plan.records })
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        View::head(&self.inner().log, stream)
    }

    fn len(&self) -> Result<u64, StoreError> {
        View::next_index(&self.inner().log)
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        Ok(self.inner().log.read(from, limit).cloned().collect())
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        Ok(self.inner().log.read_stream(stream, from, limit).cloned().collect())
    }

    fn scan(
        &self,
        from: u64,
        limit: usize,
        visit: &mut dyn FnMut(&[u8], &Digest),
    ) -> Result<(), StoreError> {
        for stored in self.inner().log.read(from, limit) {
            visit(&stored.bytes, &stored.digest);
        }
        Ok(())
    }

    fn trace(
        &self,
        stretches: &[Stretch<'_>],
        visit: &mut dyn FnMut(usize, u64),
    ) -> Result<(), StoreError> {
        let log = &self.inner().log;
        for (number, stretch) in stretches.iter().enumerate() {
            let indices = log.indices_of(stretch.stream, stretch.from);
            indices.take(stretch.limit).for_each(|index| visit(number, index));
        }
        Ok(())
    }

    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        let inner = self.inner();
        let streams = inner.log.streams_after(after).take(limit);
        Ok(streams.map(|(stream, head)| (stream.clone(), head)).collect())
    }

    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        Ok(self.inner().log.payload(digest).cloned())
    }

    fn payloads(
        &self,
        digests: &[Digest],
        visit: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<(), StoreError> {
        let log = &self.inner().log;
        for (number, digest) in digests.iter().enumerate() {
            if let Some(bytes) = log.payload(digest) {
                visit(number, bytes);
            }
        }
        Ok(())
    }

    fn kept_tree(&self) -> Option<&dyn KeptTree> {
        Some(self)
    }

    fn durability(&self) -> Durability {
        Durability::Volatile
    }
}

impl Erase for MemoryStore {
    fn erase(&self, digests: &[Digest]) -> Result<u64, StoreError> {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let erased = digests.iter().filter(|digest| inner.log.erase(digest)).count();
        Ok(erased as u64)
    }
}

impl KeptTree for MemoryStore {
    fn kept_head(&self) -> Result<TreeHead, StoreError> {
        Ok(self.inner().log.tree().tree().head())
    }

    fn kept_nodes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, StoreError> {
        let inner = self.inner();
        let kept = inner.log.tree();
        let size = kept.tree().size();
        let node = |&id: &NodeId| {
            complete(id, size)?;
            let none = StoreError::NoNode { node: id, size };
            derive(id, |group, index| kept.get(group, index).ok_or(())).map_err(|()| none)
        };
        ids.iter().map(node).collect()
    }
}
