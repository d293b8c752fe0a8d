//! A store whose n-th append or n-th read goes wrong.

use std::sync::{Arc, Mutex};

use prospera::digest::Digest;
use prospera::ssot::record::{Head, StreamId};
use prospera::ssot::store::{AppendError, Batch, Committed, Durability, Store, StoreError, Stored};
use prospera::time::{FixedClock, Timestamp};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is written, and it says so.
    Failed,
    /// It is written, and nobody knows.
    UnknownWritten,
    /// It is not written, and nobody knows.
    UnknownNotWritten,
    /// Nothing can be read.
    Unreadable,
}

impl Fault {
    /// Whether it befalls appends, or else reads.
    pub(crate) fn of_append(self) -> bool {
        self != Self::Unreadable
    }
}

#[derive(Debug, Default)]
struct Plan {
    appends: u64,
    reads: u64,
    fault: Option<(u64, Fault)>,
    jump: Option<(u64, &'static FixedClock, Timestamp)>,
}

#[derive(Debug)]
struct Inner<S> {
    store: S,
    plan: Mutex<Plan>,
}

/// Handles of one store.
#[derive(Debug)]
pub(crate) struct Flaky<S>(Arc<Inner<S>>);

impl<S> Clone for Flaky<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> Flaky<S> {
    pub(crate) fn new(store: S) -> Self {
        Self(Arc::new(Inner { store, plan: Mutex::default() }))
    }

    /// The n-th append or read, from 0, has this fault.
    pub(crate) fn fail(&self, n: u64, fault: Fault) {
        self.0.plan.lock().unwrap().fault = Some((n, fault));
    }

    /// With the n-th operation, from 0, the clock jumps.
    pub(crate) fn jump(&self, n: u64, clock: &'static FixedClock, to: Timestamp) {
        self.0.plan.lock().unwrap().jump = Some((n, clock, to));
    }

    /// Nothing more goes wrong.
    pub(crate) fn heal(&self) {
        *self.0.plan.lock().unwrap() = Plan::default();
    }

    /// Whether what was planned has not happened yet.
    pub(crate) fn waits(&self) -> bool {
        let plan = self.0.plan.lock().unwrap();
        plan.fault.is_some() || plan.jump.is_some()
    }

    fn next(&self, append: bool) -> Option<Fault> {
        let mut plan = self.0.plan.lock().unwrap();
        let all = plan.appends + plan.reads;
        let number = if append { &mut plan.appends } else { &mut plan.reads };
        let here = *number;
        *number += 1;
        if let Some((_, clock, to)) = plan.jump.take_if(|(n, ..)| *n == all) {
            clock.set(to);
        }
        let due = plan.fault.take_if(|(n, fault)| *n == here && fault.of_append() == append);
        due.map(|(_, fault)| fault)
    }

    fn read<T>(&self, read: impl FnOnce(&S) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.next(false) {
            Some(_) => Err(unplugged()),
            None => read(&self.0.store),
        }
    }
}

pub(crate) const UNPLUGGED: &str = "the cable is out";

fn unplugged() -> StoreError {
    StoreError::Backend { what: "transferring", source: UNPLUGGED.into() }
}

impl<S: Store> Store for Flaky<S> {
    fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
        match self.next(true) {
            None | Some(Fault::Unreadable) => self.0.store.append(batch),
            Some(Fault::Failed) => Err(AppendError::Failed(unplugged())),
            Some(Fault::UnknownNotWritten) => Err(AppendError::Unknown(unplugged())),
            Some(Fault::UnknownWritten) => {
                if let Err(refused) = self.0.store.append(batch) {
                    // Then nothing is unknown: the fault waits for the next one.
                    let mut plan = self.0.plan.lock().unwrap();
                    plan.fault = Some((plan.appends, Fault::UnknownWritten));
                    return Err(refused);
                }
                Err(AppendError::Unknown(unplugged()))
            }
        }
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        self.read(|store| store.head(stream))
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.read(Store::len)
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.read(|store| store.read(from, limit))
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.read(|store| store.read_stream(stream, from, limit))
    }

    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        self.read(|store| store.streams(after, limit))
    }

    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        self.read(|store| store.payload(digest))
    }

    fn durability(&self) -> Durability {
        self.0.store.durability()
    }
}
