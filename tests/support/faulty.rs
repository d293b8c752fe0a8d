//! A store that fails, lies or is overtaken when it is told to.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::struct_field_names,
    reason = "shared by several test crates, each of which uses a part of it"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use prospera::digest::Digest;
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Draft, Head, Record, StreamId};
use prospera::ssot::store::{AppendError, Batch, Committed, Durability, Store, StoreError, Stored};

/// What happens on an append.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing is written, and it says so.
    FailBefore,
    /// It is written, and nobody knows.
    FailAfter,
    /// Another writer is faster with these records.
    Overtake(Vec<Draft>),
    /// It says that a head moved.
    Conflict,
    /// It is written, and the answer holds another body.
    LieBody,
    /// Nothing is written, and the answer is empty.
    LieNothing,
}

#[derive(Debug, Default)]
struct Plan {
    appends: usize,
    at: Option<(usize, Fault)>,
    always: Option<Fault>,
}

/// Handles of one store.
#[derive(Debug, Clone, Default)]
pub struct FaultyStore(Arc<Inner>);

impl std::ops::Deref for FaultyStore {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

#[derive(Debug, Default)]
pub struct Inner {
    inner: MemoryStore,
    plan: Mutex<Plan>,
    flip: AtomicBool,
}

impl Inner {
    /// The next append has this fault.
    pub fn next(&self, fault: Fault) {
        self.on_append(1, fault);
    }

    /// The append this many from now on has this fault.
    pub fn on_append(&self, which: usize, fault: Fault) {
        let mut plan = self.plan.lock().unwrap();
        plan.at = Some((plan.appends + which, fault));
    }

    pub fn always(&self, fault: Fault) {
        self.plan.lock().unwrap().always = Some(fault);
    }

    /// How many appends were tried so far.
    pub fn appends(&self) -> usize {
        self.plan.lock().unwrap().appends
    }

    pub fn heal(&self) {
        *self.plan.lock().unwrap() = Plan::default();
    }

    pub fn flip_next_reads(&self) {
        self.flip.store(true, Ordering::SeqCst);
    }

    fn fault(&self) -> Option<Fault> {
        let mut plan = self.plan.lock().unwrap();
        plan.appends += 1;
        let due = plan.at.as_ref().is_some_and(|(at, _)| *at == plan.appends);
        if due { plan.at.take().map(|(_, fault)| fault) } else { plan.always.clone() }
    }

    fn flipped(&self, mut stored: Vec<Stored>) -> Vec<Stored> {
        if self.flip.load(Ordering::SeqCst) {
            for one in &mut stored {
                let mut bytes = one.bytes.to_vec();
                if let Some(byte) = bytes.last_mut() {
                    *byte ^= 1;
                }
                one.bytes = bytes.into();
            }
        }
        stored
    }
}

fn broken(what: &'static str) -> StoreError {
    StoreError::Backend { what, source: "unplugged".into() }
}

impl Store for FaultyStore {
    fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
        match self.fault() {
            None => self.inner.append(batch),
            Some(Fault::FailBefore) => Err(AppendError::Failed(broken("write"))),
            Some(Fault::FailAfter) => {
                self.inner.append(batch)?;
                Err(AppendError::Unknown(broken("write")))
            }
            Some(Fault::Overtake(drafts)) => {
                let mut faster = Batch::new(batch.timestamp());
                for draft in drafts {
                    let head = self.inner.head(draft.stream()).unwrap();
                    faster = faster.expect(draft.stream().clone(), head).append(draft);
                }
                self.inner.append(&faster)?;
                self.inner.append(batch)
            }
            Some(Fault::Conflict) => {
                let (stream, expected) = batch.expected()[0].clone();
                Err(AppendError::Conflict { stream, expected, found: Head::new(9, Digest::ZERO) })
            }
            Some(Fault::LieBody) => {
                let drafts = batch.drafts().to_vec();
                let mut committed = self.inner.append(batch)?;
                let place = committed.records.len() - 1;
                let honest = committed.records[place].clone();
                let draft = &drafts[place];
                let other = Draft::new(
                    draft.stream().clone(),
                    draft.kind(),
                    draft.source(),
                    b"something else".to_vec(),
                );
                let after = Head::new(honest.sequence(), honest.previous());
                committed.records[place] =
                    Record::seal(other, honest.index(), after, honest.timestamp());
                Ok(committed)
            }
            Some(Fault::LieNothing) => Ok(Committed { records: Vec::new() }),
        }
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        self.inner.head(stream)
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.inner.len()
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.inner.read(from, limit).map(|stored| self.flipped(stored))
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.inner.read_stream(stream, from, limit).map(|stored| self.flipped(stored))
    }

    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        self.inner.streams(after, limit)
    }

    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        self.inner.payload(digest)
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }
}
