//! A store of one's own, and the rules it must keep.
//!
//! [`Store`] is a trait of eight methods. The hard part of `append`, which is to check
//! what a batch expects and to seal its records, is [`plan`]: a store shows it what it
//! holds and then writes what it is told, whole or not at all. Whether it got that right
//! is what [`conformance`] tries.
//!
//! Run it with `cargo run --example own_store`.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prospera::digest::Digest;
use prospera::routing::Router;
use prospera::ssot::conformance::conformance;
use prospera::ssot::plan::{View, plan};
use prospera::ssot::record::{Head, Record, StreamId};
use prospera::ssot::store::{AppendError, Batch, Committed, Durability, Store, StoreError, Stored};
use prospera::ssot::verify::verify;
use prospera::testing::world::{BEGIN, Failure, Setup, SharedClock, request, session};

/// One list of records behind one lock. Streams are found by walking it: simple, slow,
/// and right.
#[derive(Default)]
struct ListStore(Mutex<List>);

#[derive(Default)]
struct List {
    records: Vec<Record>,
    payloads: HashMap<Digest, Arc<[u8]>>,
}

impl List {
    fn of<'a>(&'a self, stream: &'a StreamId) -> impl DoubleEndedIterator<Item = &'a Record> {
        self.records.iter().filter(move |record| record.stream() == stream)
    }
}

/// What `plan` asks of a store.
impl View for List {
    fn next_index(&self) -> Result<u64, StoreError> {
        Ok(self.records.len() as u64)
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        Ok(self.of(stream).next_back().map_or(Head::EMPTY, Record::head))
    }

    fn keeps_other(&self, digest: &Digest, bytes: &[u8]) -> Result<bool, StoreError> {
        Ok(self.payloads.get(digest).is_some_and(|kept| **kept != *bytes))
    }
}

impl ListStore {
    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stored(record: &Record) -> Stored {
    Stored { bytes: record.shared_bytes(), digest: record.digest() }
}

fn from(index: u64) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

impl Store for ListStore {
    fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
        // One lock from the check to the write: nobody appends in between.
        let mut list = self.list();
        let plan = plan(batch, &*list)?;
        list.records.extend(plan.records.iter().cloned());
        list.payloads.extend(plan.payloads().iter().cloned());
        Ok(Committed { records: plan.records })
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        self.list().head(stream)
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.list().next_index()
    }

    fn read(&self, start: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        Ok(self.list().records.iter().skip(from(start)).take(limit).map(stored).collect())
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        start: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        Ok(self.list().of(stream).skip(from(start)).take(limit).map(stored).collect())
    }

    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        let list = self.list();
        let heads: BTreeMap<StreamId, Head> =
            list.records.iter().map(|r| (r.stream().clone(), r.head())).collect();
        let rest = heads.into_iter().filter(|(stream, _)| after.is_none_or(|last| stream > last));
        Ok(rest.take(limit).collect())
    }

    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        Ok(self.list().payloads.get(digest).cloned())
    }

    /// Says honestly that nothing survives the process.
    fn durability(&self) -> Durability {
        Durability::Volatile
    }
}

fn main() -> Result<(), Failure> {
    let kept = conformance(ListStore::default)?;
    println!("{} rules kept", kept.len());

    // A router takes it as it is.
    let (engines, rules, catalogue) = Setup::sample()?.into_parts()?;
    let alice = session(engines.identity.policy(), "alice", "s-1", None, BEGIN)?;
    let (store, clock) = (ListStore::default(), SharedClock::new(BEGIN));
    let router = Router::new(engines, rules, store, clock, "operator".parse()?)?;
    let mut desk = router.open(alice)?;
    let intent = catalogue.intent(request("note.read", &[("name", "today".into())])?)?;
    let done = router.route(&mut desk, intent.into())?;
    let report = verify(router.store(), |_| {})?;
    println!("{}, {} records verified in {} streams", done.verdict, report.records, report.streams);
    Ok(())
}
