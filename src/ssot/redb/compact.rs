//! Compaction: gives the pages that nothing uses any more back to the file system.
//!
//! It needs the store for itself. Each of its steps is a commit of redb's: whichever of them
//! a crash cuts off, the store holds the same records as before, and opens like one that
//! was not closed.

use std::fs;
use std::path::Path;

use redb::CompactionError;

use super::journal::Place;
use super::recovery::{ensure_tree, recover};
use super::{File, Options, RedbStore, Shared, backend, catch, panicked};
use crate::ssot::store::StoreError;

const WHAT: &str = "compacting the store";

/// What compacting did to a store's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Its size before, in bytes.
    pub before: u64,
    /// Its size now.
    pub after: u64,
}

impl RedbStore {
    /// Makes the file of a store as small as redb can. What a crash left in the journal is
    /// written to the tables before. Nothing else may have the store open.
    ///
    /// It takes about as long as writing the file anew, and may take long to be opened again
    /// when it is cut off: redb then walks the whole file.
    ///
    /// ```
    /// use prospera::ssot::redb::RedbStore;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("log.redb");
    /// drop(RedbStore::create(&path)?);
    /// let compacted = RedbStore::compact(&path)?;
    /// assert!(compacted.after <= compacted.before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`RedbStore::open`]. Whatever the error, the store holds what it held.
    pub fn compact(path: impl AsRef<Path>) -> Result<Compacted, StoreError> {
        let path = path.as_ref();
        let size = || fs::metadata(path).map(|file| file.len()).map_err(|e| backend(WHAT, e));
        let before = size()?;
        let shared = Shared::open(path, &Options::new())?;
        compact(shared, Place::Beside(path.into()))?;
        Ok(Compacted { before, after: size()? })
    }
}

pub(super) fn compact(mut shared: Shared, journal: Place) -> Result<(), StoreError> {
    shared.check_format()?;
    ensure_tree(&mut shared)?;
    recover(&shared, journal)?.remove();
    let Shared { file, place, _holder: holder, .. } = shared;
    let File::Writer(mut database) = file else { return Ok(()) };
    let compacted = catch(|| database.compact());
    // The name goes before the lock does: from then on the next one may stand there.
    drop(holder);
    // Only a store that was closed is a good end of this.
    let closed = catch(|| database.close());
    match compacted.and_then(|compacted| Ok((compacted, closed?))) {
        Ok((compacted, closed)) => {
            compacted.map_err(failed)?;
            closed.map_err(|error| backend(WHAT, error))
        }
        Err(()) => Err(panicked(&place)),
    }
}

fn failed(error: CompactionError) -> StoreError {
    match error {
        CompactionError::Storage(redb::StorageError::Corrupted(what)) => {
            StoreError::Damaged { what: what.into() }
        }
        other => backend(WHAT, other),
    }
}
