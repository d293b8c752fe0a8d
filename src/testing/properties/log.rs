//! A log that was changed in one place does not verify.

use std::collections::BTreeMap;
use std::format;
use std::sync::Arc;
use std::vec::Vec;

use super::super::{Broken, Held, must};
use crate::digest::Digest;
use crate::ssot::memory::MemoryStore;
use crate::ssot::record::{Draft, Head, Record, StreamId};
use crate::ssot::store::{AppendError, Batch, Committed, Durability, Store, StoreError, Stored};
use crate::ssot::verify::verify;
use crate::time::Timestamp;

const PROPERTY: &str = "mutations_are_found";

/// One change of a log. Numbers are taken modulo what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// One bit of one record's bytes is another.
    Flip {
        /// The record.
        record: u32,
        /// The bit.
        bit: u32,
    },
    /// One bit of one record's stored digest is another.
    FlipDigest {
        /// The record.
        record: u32,
        /// The bit.
        bit: u32,
    },
    /// A bit is another, and the digest stored beside it is computed again.
    Forge {
        /// The record.
        record: u32,
        /// The bit.
        bit: u32,
    },
    /// Two records changed places.
    Swap {
        /// The one.
        first: u32,
        /// The other.
        second: u32,
    },
    /// A record is missing.
    Drop {
        /// The record.
        record: u32,
    },
    /// A record stands twice in a row.
    Repeat {
        /// The record.
        record: u32,
    },
}

/// Appends the drafts one after another, verifies the log, changes it in one place, and
/// verifies that the change is found.
///
/// # Errors
/// [`Broken`] when the log does not verify untouched, or does verify changed.
pub fn mutations_are_found(drafts: Vec<Draft>, mutation: Mutation) -> Held {
    let broken = |what: &dyn core::fmt::Display| Broken::new(PROPERTY, what);
    let store = MemoryStore::new();
    let count = drafts.len();
    for (draft, millis) in drafts.into_iter().zip(0..) {
        let stream = draft.stream().clone();
        let head = store.head(&stream).map_err(|error| broken(&error))?;
        let batch = Batch::new(Timestamp::from_millis(millis)).expect(stream, head).append(draft);
        store.append(&batch).map_err(|error| broken(&error))?;
    }
    let report = verify(&store, |_| {}).map_err(|error| broken(&error))?;
    must(PROPERTY, report.records == count as u64, || format!("{count} records, {report:?}"))?;
    let mut copy = Copy::of(&store).map_err(|error| broken(&error))?;
    must(PROPERTY, verify(&copy, |_| {}).is_ok(), || "a true copy does not verify".into())?;
    if !copy.mutate(mutation) {
        return Ok(());
    }
    let found = verify(&copy, |_| {});
    must(PROPERTY, found.is_err(), || format!("{mutation:?} of {count} records was not found"))
}

/// A log as a medium holds it: records by place, a list of places per stream, heads.
struct Copy {
    log: Vec<Stored>,
    streams: BTreeMap<StreamId, (Head, Vec<usize>)>,
}

impl Copy {
    fn of(store: &MemoryStore) -> Result<Self, StoreError> {
        let log = store.read(0, usize::MAX)?;
        let mut streams: BTreeMap<StreamId, (Head, Vec<usize>)> = BTreeMap::new();
        for (stored, place) in log.iter().zip(0_usize..) {
            let record = Record::decode_sealed(&stored.bytes)
                .map_err(|source| StoreError::Record { index: place as u64, source })?;
            let (head, places) =
                streams.entry(record.stream().clone()).or_insert((Head::EMPTY, Vec::new()));
            *head = record.head();
            places.push(place);
        }
        Ok(Self { log, streams })
    }

    /// Whether anything is another afterwards.
    fn mutate(&mut self, mutation: Mutation) -> bool {
        let count = self.log.len();
        let at = |number: u32| (number as usize).checked_rem(count);
        match mutation {
            Mutation::Flip { record, bit } => self.flip(at(record), bit, false),
            Mutation::Forge { record, bit } => self.flip(at(record), bit, true),
            Mutation::FlipDigest { record, bit } => {
                let Some(stored) = at(record).and_then(|at| self.log.get_mut(at)) else {
                    return false;
                };
                let mut bytes = *stored.digest.as_bytes();
                flip_bit(&mut bytes, bit);
                stored.digest = Digest::from_bytes(bytes);
                true
            }
            Mutation::Swap { first, second } => match (at(first), at(second)) {
                (Some(a), Some(b)) if a != b => {
                    self.log.swap(a, b);
                    true
                }
                _ => false,
            },
            Mutation::Drop { record } => at(record).map(|at| self.log.remove(at)).is_some(),
            Mutation::Repeat { record } => {
                let Some(stored) = at(record).and_then(|at| self.log.get(at)).cloned() else {
                    return false;
                };
                self.log.insert((record as usize).checked_rem(count).unwrap_or(0), stored);
                true
            }
        }
    }

    fn flip(&mut self, at: Option<usize>, bit: u32, forge: bool) -> bool {
        let Some(stored) = at.and_then(|at| self.log.get_mut(at)) else { return false };
        let mut bytes = stored.bytes.to_vec();
        flip_bit(&mut bytes, bit);
        if forge {
            stored.digest = crate::digest::Domain::Record.hash(&bytes);
        }
        stored.bytes = Arc::from(bytes);
        true
    }
}

fn flip_bit(bytes: &mut [u8], bit: u32) {
    let count = bytes.len().saturating_mul(8);
    let Some(bit) = (bit as usize).checked_rem(count) else { return };
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
}

impl Store for Copy {
    fn append(&self, _: &Batch) -> Result<Committed, AppendError> {
        Err(AppendError::Refused { reason: "a copy is only read" })
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        Ok(self.streams.get(stream).map_or(Head::EMPTY, |(head, _)| *head))
    }

    fn len(&self) -> Result<u64, StoreError> {
        Ok(self.log.len() as u64)
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(self.log.iter().skip(from).take(limit).cloned().collect())
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let places = self.streams.get(stream).into_iter().flat_map(|(_, places)| places);
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let places = places.skip(from).take(limit);
        let missing = || StoreError::Damaged { what: "a place without a record".into() };
        places.map(|place| self.log.get(*place).cloned().ok_or_else(missing)).collect()
    }

    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        let all =
            self.streams.iter().filter(|(stream, _)| after.is_none_or(|after| *stream > after));
        Ok(all.map(|(stream, (head, _))| (stream.clone(), *head)).take(limit).collect())
    }

    fn payload(&self, _: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        Ok(None)
    }

    fn durability(&self) -> Durability {
        Durability::Volatile
    }
}
