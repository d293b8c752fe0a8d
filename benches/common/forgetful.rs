//! A store that keeps the heads of streams and no record, once it is told to forget: what
//! is still in memory after a million routes is then not the log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prospera::digest::Digest;
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::plan::{View, plan};
use prospera::ssot::record::{Head, StreamId};
use prospera::ssot::store::{AppendError, Batch, Committed, Durability, Store, StoreError, Stored};

/// A log in memory that becomes heads alone.
#[derive(Default)]
pub(crate) struct Forgetful {
    log: MemoryStore,
    ends: Mutex<Option<Ends>>,
}

/// Where streams and log end.
struct Ends {
    length: u64,
    heads: HashMap<StreamId, Head>,
}

impl View for Ends {
    fn next_index(&self) -> Result<u64, StoreError> {
        Ok(self.length)
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        Ok(self.heads.get(stream).copied().unwrap_or(Head::EMPTY))
    }

    fn keeps_other(&self, _: &Digest, _: &[u8]) -> Result<bool, StoreError> {
        Ok(false)
    }
}

impl Forgetful {
    /// From here on only heads are kept.
    pub(crate) fn forget(&self) -> Result<(), StoreError> {
        let heads = self.log.streams(None, usize::MAX)?.into_iter().collect();
        *self.ends() = Some(Ends { length: self.log.len()?, heads });
        Ok(())
    }

    fn ends(&self) -> MutexGuard<'_, Option<Ends>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Forgetful {
    fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
        let mut ends = self.ends();
        let Some(ends) = ends.as_mut() else { return self.log.append(batch) };
        let plan = plan(batch, ends)?;
        ends.length += plan.records.len() as u64;
        let heads: Vec<_> = plan.heads().map(|(stream, head)| (stream.clone(), head)).collect();
        ends.heads.extend(heads);
        Ok(Committed { records: plan.records })
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        match self.ends().as_ref() {
            Some(ends) => View::head(ends, stream),
            None => self.log.head(stream),
        }
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.ends().as_ref().map_or_else(|| self.log.len(), |ends| Ok(ends.length))
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.log.read(from, limit)
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.log.read_stream(stream, from, limit)
    }

    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        self.log.streams(after, limit)
    }

    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        self.log.payload(digest)
    }

    fn durability(&self) -> Durability {
        Durability::Volatile
    }
}
