//! Erasing payloads: from the tables, from memory and from the journal.
//!
//! Nothing is committed meanwhile. What is durable in the journal alone goes to the tables
//! first, so that both of the journal's segments can be emptied.
//!
//! The pages of the file that held a payload are free afterwards; their bytes stay on the
//! medium until redb uses the pages again or the file is compacted, as with every file.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use super::committer::Core;
use super::tables::{WriteTables, durable};
use super::writeback::freeze;
use super::{File, RedbStore, Shared, backend};
use crate::digest::Digest;
use crate::ssot::store::{Erase, StoreError};

impl Erase for RedbStore {
    fn erase(&self, digests: &[Digest]) -> Result<u64, StoreError> {
        match &self.committer {
            Some(committer) => erase(&self.shared, &committer.core, digests),
            None => Err(StoreError::Damaged { what: super::READ_ONLY.into() }),
        }
    }
}

fn erase(shared: &Shared, core: &Mutex<Core>, digests: &[Digest]) -> Result<u64, StoreError> {
    const WHAT: &str = "erasing payloads";
    let File::Writer(database) = &shared.file else { return Ok(0) };
    let mut core = core.lock().unwrap_or_else(PoisonError::into_inner);
    shared.ensure_known()?;
    if !(freeze(shared) && written(shared)) {
        return Err(shared.unknown_state());
    }
    core.empty_journal()?;
    let erased = shared.guarded(|| {
        let mut transaction = database.begin_write().map_err(|error| backend(WHAT, error))?;
        durable(&mut transaction)?;
        let erased = WriteTables::open(&transaction)?.erase(digests)?;
        transaction.commit().map_err(|error| backend(WHAT, error))?;
        Ok(erased)
    });
    if erased.is_err() {
        // Whether the transaction took place is for the file to say.
        shared.lost.store(true, Ordering::Release);
    }
    erased
}

/// Waits until the tables have the last full turn; false when they never will.
fn written(shared: &Shared) -> bool {
    let mut closing = shared.closing.lock().unwrap_or_else(PoisonError::into_inner);
    while shared.tail().frozen.is_some() {
        if shared.lost.load(Ordering::Acquire) {
            return false;
        }
        closing = shared.changed.wait(closing).unwrap_or_else(PoisonError::into_inner);
    }
    drop(closing);
    true
}
