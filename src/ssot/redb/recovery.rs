//! Opening: what a crash left in the journal is written to the tables.

use std::format;
use std::sync::Arc;
use std::vec::Vec;

use hashbrown::HashMap;

use super::journal::{Group, Journal, Place};
use super::tables::{self, Lookup, ReadTables};
use super::writeback::write_back;
use super::{File, Shared};
use crate::ssot::log::Log;
use crate::ssot::record::{Record, StreamId};
use crate::ssot::store::StoreError;

/// Brings the tables up to date, and gives the journal to go on with.
pub(super) fn recover(shared: &Shared, place: Place) -> Result<Journal, StoreError> {
    shared.guarded(|| {
        let File::Writer(database) = &shared.file else {
            return Ok(Journal::new(place, [0; 16]));
        };
        let journal = Journal::new(place, tables::number(database)?);
        let next = ReadTables::new(shared.begin_read()?).len()?;
        let pending = journal.pending(next)?;
        if !pending.is_empty() {
            write_back(shared, &replay(shared, next, pending)?)?;
        }
        let next = ReadTables::new(shared.begin_read()?).len()?;
        shared.tail_mut().active = Log::from_index(next);
        Ok(journal)
    })
}

/// A store that is only read cannot be brought up to date.
pub(super) fn ensure_closed(shared: &Shared, place: Place) -> Result<(), StoreError> {
    shared.guarded(|| {
        let transaction = shared.begin_read()?;
        let number = tables::number_read(&transaction)?;
        let next = ReadTables::new(transaction).len()?;
        shared.tail_mut().active = Log::from_index(next);
        let Some(number) = number else { return Ok(()) };
        if Journal::new(place, number).pending(next)?.is_empty() {
            return Ok(());
        }
        Err(StoreError::NotClosed { place: shared.place.clone() })
    })
}

/// The groups as a log that follows on the tables. Each record must follow on its stream.
fn replay(shared: &Shared, next: u64, pending: Vec<Group>) -> Result<Log, StoreError> {
    let lookup = Lookup::new(&shared.begin_read()?)?;
    let mut log = Log::from_index(next);
    let mut heads = HashMap::<StreamId, _>::new();
    for group in pending {
        for (digest, bytes) in group.records {
            let index = log.next_index();
            let record = Record::decode_sealed(&bytes)
                .map_err(|source| StoreError::Record { index, source })?;
            let stream = record.stream();
            let after = match heads.get(stream) {
                Some(head) => *head,
                None => lookup.head(stream)?,
            };
            let follows = record.sequence() == after.length()
                && record.previous() == after.digest()
                && record.index() == index
                && record.digest() == digest;
            if !follows {
                let what = format!("record {index} of the journal does not follow on `{stream}`");
                return Err(StoreError::Damaged { what: what.into() });
            }
            heads.insert(stream.clone(), record.head());
            log.push(&record);
        }
        for (digest, bytes) in group.payloads {
            log.keep(digest, &Arc::from(bytes));
        }
    }
    Ok(log)
}
