//! Backups: a copy of the log as of one moment, made while it is written.
//!
//! The moment is the one at which the backup is begun. The tables are read by one
//! transaction from then, and what they lack is taken from memory: whatever is appended
//! later is in neither. Appends wait for as long as it takes to note which records are in
//! memory, some milliseconds at most, not while they are copied.
//!
//! Each table is copied in the order of its keys, some megabytes at a time, so that memory
//! does not grow with the log and the copy's pages are full. The copy is written under
//! another name, flushed, opened again, and only then given its name: what stands there is
//! a whole and closed store. One that was cut off is left as `NAME.PROCESS-NUMBER.part`.
//!
//! As long as it lasts, redb keeps the pages of the live file that the copy still has to
//! read; what is appended meanwhile takes new ones. They are used again afterwards.
//!
//! INVARIANT (prefix): the records of a backup are the first ones of the log, all that were
//! acknowledged before it was begun.

use std::boxed::Box;
use std::fs;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::vec::Vec;

use redb::{Builder, CursorError, Database, ReadTransaction, ReadableTable as _, TableDefinition};

use super::tables::{self, WriteTables, durable};
use super::tree::{self, ReadTree};
use super::{RedbStore, backend, catch, holder, opening, panicked, place_of, sync_folder};
use crate::digest::Digest;
use crate::ssot::log::Log;
use crate::ssot::record::Record;
use crate::ssot::store::{Store as _, StoreError, Stored};

const WHAT: &str = "making a backup";
/// So much is copied in one transaction.
const PORTION: usize = 16 << 20;
/// Memory for the copy's pages.
const CACHE: usize = 32 << 20;

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    /// How many records: all that were acknowledged before it was begun, and perhaps some
    /// of those that were on their way.
    pub records: u64,
    /// The digest of the last of them; `None` when there is none.
    pub last: Option<Digest>,
    /// The size of its file.
    pub bytes: u64,
}

/// How far a backup has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Rows copied so far.
    pub rows: u64,
    /// Rows that there are to copy.
    pub total: u64,
}

/// A log as of one moment.
pub(super) struct Moment {
    transaction: ReadTransaction,
    /// What the tables may lack: records in the order of the log, and payloads.
    records: Vec<Stored>,
    payloads: Vec<(Digest, Arc<[u8]>)>,
    /// The index of the first of those records.
    base: u64,
    end: u64,
}

impl RedbStore {
    /// Copies the log as it is at this moment into a new store at `path`, while appends go
    /// on. The copy is closed: it is one file, which can be opened read-only or for writing,
    /// here or elsewhere.
    ///
    /// ```
    /// use prospera::ssot::redb::RedbStore;
    /// use prospera::ssot::store::Store;
    /// use prospera::ssot::verify::verify;
    /// # let folder = tempfile::tempdir()?;
    /// let store = RedbStore::create(folder.path().join("log.redb"))?;
    /// let made = store.backup_to(folder.path().join("backup.redb"))?;
    /// let backup = RedbStore::open_read_only(folder.path().join("backup.redb"))?;
    /// let report = verify(&backup, |_| {})?;
    /// assert_eq!((report.records, report.last), (made.records, made.last));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Exists`] when there is a file at `path`; [`StoreError::Backend`] when
    /// the copy cannot be written; what [`Store`](crate::ssot::store::Store) says when the
    /// log cannot be read. Whatever the error, nothing is at `path`, and the log is as it was.
    pub fn backup_to(&self, path: impl AsRef<Path>) -> Result<Backup, StoreError> {
        self.backup_with(path, |_| {})
    }

    /// [`RedbStore::backup_to`], telling now and then how far it has come.
    ///
    /// # Errors
    /// As [`RedbStore::backup_to`].
    pub fn backup_with(
        &self,
        path: impl AsRef<Path>,
        mut progress: impl FnMut(Copied),
    ) -> Result<Backup, StoreError> {
        let path = path.as_ref();
        let exists = || StoreError::Exists { place: place_of(path) };
        if fs::symlink_metadata(path).is_ok() {
            return Err(exists());
        }
        let part = holder::unique(path);
        let made =
            self.write_part(&part, &mut progress).and_then(|backup| match publish(&part, path) {
                Ok(()) => sync_folder(path).map(|()| backup),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists()),
                Err(error) => Err(backend(WHAT, error)),
            });
        // Where it has its name by now, this is but the other one.
        let _none = fs::remove_file(&part);
        made
    }

    fn write_part(
        &self,
        part: &Path,
        progress: &mut dyn FnMut(Copied),
    ) -> Result<Backup, StoreError> {
        let moment = self.moment()?;
        let place = place_of(part);
        let copy = opening(&place, || builder().create(part))?;
        self.shared.guarded(|| moment.copy_into(&copy, progress))?;
        close(copy, &place)?;
        // Believed only when it can be read back, as whoever opens it will.
        let backup = Self::open_read_only(part)?;
        let records = backup.len()?;
        let last = backup.read(records.saturating_sub(1), 1)?.pop().map(|stored| stored.digest);
        let bytes = fs::metadata(part).map_err(|error| backend(WHAT, error))?.len();
        if records != moment.end {
            let end = moment.end;
            let what = std::format!("a backup of {end} records came to have {records}");
            return Err(StoreError::Damaged { what: what.into() });
        }
        Ok(Backup { records, last, bytes })
    }

    /// The log as it is now. Appends wait meanwhile, which takes some nanoseconds for each
    /// record that the tables lack.
    pub(super) fn moment(&self) -> Result<Moment, StoreError> {
        self.shared.ensure_known()?;
        let tail = self.shared.tail();
        let transaction = self.shared.guarded(|| self.shared.begin_read())?;
        let (base, end) = (tail.base(), tail.active.next_index());
        let records = tail.read(base, usize::MAX);
        let payloads = tail.turns().flat_map(Log::payloads);
        let payloads = payloads.map(|(digest, bytes)| (*digest, Arc::clone(bytes))).collect();
        Ok(Moment { transaction, records, payloads, base, end })
    }
}

impl Moment {
    /// Writes everything into a database that has nothing.
    pub(super) fn copy_into(
        &self,
        copy: &Database,
        progress: &mut dyn FnMut(Copied),
    ) -> Result<(), StoreError> {
        let from = &self.transaction;
        let mut portions = Portions { from, copy, told: Copied { rows: 0, total: 0 }, progress };
        portions.count(tables::RECORDS)?;
        portions.count(tables::HEADS)?;
        portions.count(tables::STREAMS)?;
        portions.count(tables::PAYLOADS)?;
        // A store of an older format that is only read has none, nor has its copy.
        let tree = tables::is_there(from, tree::name())?;
        if tree {
            portions.count(tree::TREE)?;
        }
        portions.copy(tables::RECORDS)?;
        portions.copy(tables::HEADS)?;
        portions.copy(tables::STREAMS)?;
        portions.copy(tables::PAYLOADS)?;
        if tree {
            portions.copy(tree::TREE)?;
        }
        self.finish(copy)
    }

    /// Writes what the tables lack, and last of all what makes the copy a store: one that
    /// was cut off has no format.
    fn finish(&self, copy: &Database) -> Result<(), StoreError> {
        let mut transaction = copy.begin_write().map_err(|error| backend(WHAT, error))?;
        durable(&mut transaction)?;
        if let Some(tail) = self.tail()? {
            WriteTables::open(&transaction)?.write(&tail)?;
        }
        {
            let from = self.transaction.open_table(tables::META).map_err(tables::opening)?;
            let mut to = transaction.open_table(tables::META).map_err(tables::opening)?;
            for row in from.iter().map_err(tables::reading)? {
                let (key, value) = row.map_err(tables::reading)?;
                to.insert(key.value(), value.value()).map_err(tables::writing)?;
            }
            // What is appended to the copy is not the live log's: their journals must not
            // be taken for each other's.
            let number = super::journal::number();
            if to.remove(tables::NUMBER_KEY).map_err(tables::writing)?.is_some() {
                to.insert(tables::NUMBER_KEY, number.as_slice()).map_err(tables::writing)?;
            }
        }
        transaction.commit().map_err(|error| backend(WHAT, error))
    }

    /// The records that the tables lack. A full turn may have come into the tables before it
    /// left memory; then they have all of it.
    fn tail(&self) -> Result<Option<Log>, StoreError> {
        let next = tables::length_of(&self.transaction)?;
        let skipped = usize::try_from(next.saturating_sub(self.base)).unwrap_or(usize::MAX);
        if next >= self.end {
            return Ok(None);
        }
        let mut log = Log::after(ReadTree::open(&self.transaction)?.frontier(next)?);
        for stored in self.records.iter().skip(skipped) {
            let index = log.next_index();
            let record = Record::decode_sealed(&stored.bytes)
                .map_err(|source| StoreError::Record { index, source })?;
            log.push(&record);
        }
        for (digest, bytes) in &self.payloads {
            log.keep(*digest, bytes);
        }
        Ok(Some(log))
    }
}

/// Copies tables, some megabytes in each transaction.
struct Portions<'a> {
    from: &'a ReadTransaction,
    copy: &'a Database,
    told: Copied,
    progress: &'a mut dyn FnMut(Copied),
}

impl Portions<'_> {
    fn count<K: redb::Key + 'static, V: redb::Value + 'static>(
        &mut self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<(), StoreError> {
        use redb::ReadableTableMetadata as _;
        let rows = self.from.open_table(table).map_err(tables::opening)?;
        let rows = rows.len().map_err(tables::reading)?;
        self.told.total = self.told.total.saturating_add(rows);
        Ok(())
    }

    fn copy<K: redb::Key + 'static, V: redb::Value + 'static>(
        &mut self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<(), StoreError> {
        let from = self.from.open_table(table).map_err(tables::opening)?;
        let mut rows = from.iter().map_err(tables::reading)?;
        loop {
            let mut transaction = self.copy.begin_write().map_err(|e| backend(WHAT, e))?;
            durable(&mut transaction)?;
            let mut bytes = 0_usize;
            {
                let mut to = transaction.open_table(table).map_err(tables::opening)?;
                let end = Bound::<K::SelfType<'_>>::Unbounded;
                let mut to = to.upper_bound_mut(end).map_err(tables::writing)?;
                while bytes < PORTION
                    && let Some(row) = rows.next()
                {
                    let (key, value) = row.map_err(tables::reading)?;
                    let (key, value) = (key.value(), value.value());
                    let size =
                        K::as_bytes(&key).as_ref().len() + V::as_bytes(&value).as_ref().len();
                    bytes = bytes.saturating_add(size.max(1));
                    to.insert_before(key, value).map_err(unordered)?;
                    self.told.rows = self.told.rows.saturating_add(1);
                }
                to.close().map_err(tables::writing)?;
            }
            transaction.commit().map_err(|error| backend(WHAT, error))?;
            (self.progress)(self.told);
            if bytes < PORTION {
                return Ok(());
            }
        }
    }
}

/// The rows of a sound table come in the order of their keys.
fn unordered(error: CursorError) -> StoreError {
    match error {
        CursorError::UnorderedKey => {
            StoreError::Damaged { what: Box::from("a table's keys are not in order") }
        }
        other => backend(WHAT, other),
    }
}

pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    builder
}

pub(super) fn close(copy: Database, place: &str) -> Result<(), StoreError> {
    let closed = catch(|| copy.close()).map_err(|()| panicked(place))?;
    closed.map_err(|error| backend(WHAT, error))
}

/// Gives a file its name, unless there is one of that name.
pub(super) fn publish(part: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(part, path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system that knows no second names: looked before, and moved.
        Err(_) if fs::symlink_metadata(path).is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(part, path),
    }
}
