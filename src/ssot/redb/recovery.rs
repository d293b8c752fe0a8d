//! Opening: what a crash left in the journal is written to the tables, and a store of an
//! older format gets the tree that it lacks.

use std::format;
use std::sync::Arc;
use std::vec::Vec;

use hashbrown::HashMap;

use super::journal::{Group, Journal, Place};
use super::tables::{self, Lookup, ReadTables};
use super::writeback::write_back;
use super::{File, Shared, tree};
use crate::ssot::log::Log;
use crate::ssot::merkle::Frontier;
use crate::ssot::record::{Record, StreamId};
use crate::ssot::store::StoreError;

/// Brings the tables up to date, and gives the journal to go on with.
pub(super) fn recover(shared: &Shared, place: Place) -> Result<Journal, StoreError> {
    shared.guarded(|| {
        let File::Writer(database) = &shared.file else {
            return Ok(Journal::new(place, [0; 16]));
        };
        let journal = Journal::new(place, tables::number(database)?);
        let tables = ReadTables::new(shared.begin_read()?);
        let next = tables.len()?;
        let mut tree = tables.tree()?.frontier(next).map_err(|error| {
            let what = format!(
                "`{}` cannot be written to, open it read-only and verify it: {error}",
                shared.place
            );
            StoreError::Damaged { what: what.into() }
        })?;
        drop(tables);
        let pending = journal.pending(next)?;
        if !pending.is_empty() {
            let log = replay(shared, tree, pending)?;
            write_back(shared, &log)?;
            tree = log.tree().tree().clone();
        }
        shared.tail_mut().active = Log::after(tree);
        Ok(journal)
    })
}

/// Gives a store of an older format its tree.
pub(super) fn ensure_tree(shared: &mut Shared) -> Result<(), StoreError> {
    if let (File::Writer(database), false) = (&shared.file, shared.has_tree) {
        shared.guarded(|| tree::build(database))?;
        shared.has_tree = true;
    }
    Ok(())
}

/// A store that is only read cannot be brought up to date.
pub(super) fn ensure_closed(shared: &Shared, place: Place) -> Result<(), StoreError> {
    shared.guarded(|| {
        let transaction = shared.begin_read()?;
        let number = tables::number_read(&transaction)?;
        let next = ReadTables::new(transaction).len()?;
        shared.tail_mut().active = Log::reading(next);
        let Some(number) = number else { return Ok(()) };
        if Journal::new(place, number).pending(next)?.is_empty() {
            return Ok(());
        }
        let what = format!("`{}` was not closed, open it for writing to repair it", shared.place);
        Err(StoreError::Damaged { what: what.into() })
    })
}

/// The groups as a log that follows on the tables. Each record must follow on its stream.
fn replay(shared: &Shared, tree: Frontier, pending: Vec<Group>) -> Result<Log, StoreError> {
    let lookup = Lookup::new(&shared.begin_read()?)?;
    let mut log = Log::after(tree);
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
