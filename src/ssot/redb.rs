//! The embedded durable store, on a file of [redb](https://docs.rs/redb).
//!
//! One file, one writer process. Callers of [`Store::append`] on any number of
//! threads hand their batches to one committer; it takes all that wait, plans each
//! against the heads as the ones before left them, and makes them durable with one write
//! to a journal and one flush of it (group commit). A conflict fails the batch it is in,
//! never its neighbours. An append that is alone is committed by its own thread.
//!
//! The tables are brought up to date in the background, many batches at a time and sorted;
//! until then reads answer from memory what the tables lack. A store that is closed has no
//! journal: its one file has everything. After a crash the journal, in two files beside the
//! store's (`.journal-0`, `.journal-1`), is part of it, and opening it for writing reads it back.
//!
//! ```
//! use prospera::ssot::redb::RedbStore;
//! use prospera::ssot::store::Store;
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("log.redb");
//! let store = RedbStore::create(&path)?;
//! assert!(store.is_empty()?);
//! assert!(RedbStore::open(&path).is_err(), "in use by the store above");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Locks
//! redb takes an exclusive lock of the operating system on the whole file for as long as
//! the store is open for writing, and a shared one when it is opened read-only: a
//! writer keeps out everybody, readers keep out writers. The second to come learns
//! [`StoreError::InUse`], with who holds the store: a writer leaves a note beside it
//! (`.holder`), which counts only while its own lock is held, so that one left by a process
//! that was killed names nobody. The locks go with the process, whichever way that ends. On
//! file systems without locks (some network ones) opening fails or nothing is kept
//! out: keep the file on a local disk.
//!
//! # Reading while it is written
//! An auditor in another process reads a **backup**, which the writer makes while it goes
//! on ([`RedbStore::backup_to`]), by itself or for a [`Publisher`](publish::Publisher) that
//! makes one now and then and whenever somebody asks for one. A backup is a closed store as
//! of one moment: it opens read-only, verifies, exports, and its records are a prefix of the
//! log's.
//!
//! redb 4.5 has a mode in which one process writes and others read the same file
//! (`ConcurrencyMode::SingleWriter`). It is not used here, for these reasons:
//!
//! - It is weeks old, and its locks and those of redb 4.3 and 4.4 do not see each other: with
//!   one old program among the readers, nothing keeps pages that are read from being
//!   written anew.
//! - What a reader of the tables sees lacks what only the journal has, by default up to 64
//!   MiB and, in a log that rests, for as long as it rests. A backup has everything that was
//!   acknowledged when it was begun.
//! - As long as a reader's transaction lasts, no page that it may still read is used again:
//!   an auditor who stands still lets the writer's file grow, and keeps it from being
//!   compacted. A backup can be read for days, carried away, and checked where the
//!   service cannot reach.
//! - A reader needs the right to lock the live file, and so to stop its next writer.
//!
//! What it costs: the file is written once more. Who needs no payloads and no streams reads
//! the published tree of the log instead, which any web server hands out.
//!
//! # Format 3
//! | table | key | value |
//! |---|---|---|
//! | `prospera.meta` | `format` | the format's number, 4 bytes, little-endian |
//! | `prospera.meta` | `journal` | 16 random bytes that the store's journal begins with |
//! | `prospera.records` | global index | the record's digest (32 bytes), its canonical bytes |
//! | `prospera.heads` | stream | length (8 bytes, little-endian), digest of the last record |
//! | `prospera.streams` | stream, sequence | global index |
//! | `prospera.payloads` | digest | the payload |
//! | `prospera.tree` | group (1 byte), row | up to 16 hashes of 32 bytes: the log's tree |
//!
//! Row `r` of group `g` has the nodes from 16`r` on of level 4`g` of the
//! [tree](crate::ssot::merkle), as many as are complete.
//!
//! Format 1 had no journal, format 2 no tree. Both are read as they are; a proof from one
//! is computed from all its records. They become format 3 when they are opened for writing,
//! which reads the records once, in constant memory: a build that knows no tree must refuse
//! a file that has one, or it would leave it behind its records.
//!
//! A stream as a key is the byte of its kind and its name, so that keys sort as
//! [`StreamId`]s do.
//!
//! # Damage
//! redb checks its own pages only when told to
//! ([`Options::check_pages`]); otherwise a page whose bits were flipped is read as it is and
//! may make redb panic. Such a panic is caught here and becomes [`StoreError::Damaged`]. It
//! cannot be caught in a program built with `panic = "abort"`. A flipped bit inside of
//! a record is found by [`verify`](crate::ssot::verify::verify).
//!
//! INVARIANT (answers): `Ok` only after the flush; [`AppendError::Unknown`] when the flush
//! itself failed, and from then on nothing more is read or written through this store:
//! what the files hold is decided when it is opened again. The same when the tables cannot
//! be brought up to date; what was acknowledged is in the journal then.

use std::boxed::Box;
use std::collections::BTreeMap;
use std::format;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::string::{String, ToString};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::vec::Vec;

use redb::{Builder, Database, DatabaseError, ReadOnlyDatabase, ReadTransaction};

use crate::digest::Digest;
use crate::ssot::log::Log;
use crate::ssot::merkle::kept::derive;
use crate::ssot::merkle::log::complete;
use crate::ssot::merkle::{Hash, KeptTree, NodeId, TreeHead};
use crate::ssot::record::{Head, StreamId};
use crate::ssot::store::{
    AppendError, Batch, Committed, Durability, Store, StoreError, Stored, Stretch,
};

mod backup;
mod committer;
mod compact;
mod erase;
mod holder;
mod journal;
pub mod publish;
mod recovery;
mod tables;
mod tree;
mod writeback;

pub use backup::Backup;
use committer::Committer;
pub use committer::Pending;
pub use compact::Compacted;
use holder::Holder;
use journal::{Media, Place};
use tables::ReadTables;

/// The format this module writes.
pub const FORMAT: u32 = 3;

/// The formats without a tree, and without a journal, which this module reads, too.
const WITHOUT_TREE: u32 = 2;
const WITHOUT_JOURNAL: u32 = 1;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    cache_bytes: usize,
    check_pages: bool,
    journal_bytes: usize,
}

impl Options {
    /// A page cache of 64 MiB, 32 MiB of journal for each turn; pages are not checked
    /// when a store is opened.
    pub const fn new() -> Self {
        Self { cache_bytes: 64 << 20, check_pages: false, journal_bytes: 32 << 20 }
    }

    /// After how many bytes of records and payloads the tables are brought up to date. Up
    /// to twice as many, and one commit, are kept in memory and in the journal, and are
    /// read back from it when a store is opened that was not closed.
    #[must_use]
    pub const fn journal_bytes(mut self, bytes: usize) -> Self {
        self.journal_bytes = bytes;
        self
    }

    /// How much memory redb may use for pages.
    #[must_use]
    pub const fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Whether redb checks all its pages when the store is opened for writing: reads
    /// the whole file.
    #[must_use]
    pub const fn check_pages(mut self, check: bool) -> Self {
        self.check_pages = check;
        self
    }

    fn builder(&self) -> Builder {
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache_bytes).set_check_integrity_on_open(self.check_pages);
        builder
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// A durable log in one file. Shared by reference between threads.
#[derive(Debug)]
pub struct RedbStore {
    shared: Arc<Shared>,
    /// `None` when opened read-only. Dropping it waits for the committer to end.
    committer: Option<Committer>,
}

/// What the store and its committer both use.
#[derive(Debug)]
struct Shared {
    /// Goes before the file does, while nobody else can hold the store.
    _holder: Option<Holder>,
    file: File,
    place: Box<str>,
    commits: AtomicU64,
    /// Set when a commit failed: what the file holds isn't known any more.
    lost: AtomicBool,
    tail: RwLock<Tail>,
    /// Whether the store is being closed. Whoever waits for the tail to change holds it.
    closing: Mutex<bool>,
    changed: Condvar,
    journal_bytes: usize,
    /// Whether the tables have the log's tree: a store of an older format that is only read
    /// has none.
    has_tree: bool,
}

/// What is durable in the journal and not in the tables yet: at most two turns of it.
#[derive(Debug, Default)]
struct Tail {
    /// A full turn that is being written to the tables.
    frozen: Option<Arc<Log>>,
    /// The turn that goes on.
    active: Log,
}

enum File {
    Writer(Database),
    Reader(ReadOnlyDatabase),
}

impl core::fmt::Debug for File {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Writer(_) => "Writer",
            Self::Reader(_) => "Reader",
        })
    }
}

impl RedbStore {
    /// Opens a store for writing, or makes a new one where there is no file.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::create_with(path, &Options::new())
    }

    /// [`RedbStore::create`] with options.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    pub fn create_with(path: impl AsRef<Path>, options: &Options) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let shared = Shared::create(path, options)?;
        shared.guarded(|| tables::initialize(&shared))?;
        Self::start(shared, Place::Beside(path.into()))
    }

    /// Opens or makes a store on media of your own: what a disk's faults are tried with. A
    /// medium on which a store was begun, and not made whole before the power went out, is
    /// refused; a file is not left like that.
    /// `media` gives the tables for 0, and the journal's segments for 1 and 2, the same
    /// ones whenever it is asked; `place` is the store's name in messages.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    pub fn create_on<M: redb::StorageBackend>(
        media: impl Fn(usize) -> M + Send + Sync + 'static,
        place: &str,
        options: &Options,
    ) -> Result<Self, StoreError> {
        let tables = media(0);
        let database = opening(place, || options.builder().create_with_backend(tables))?;
        let segment = move |which: usize| -> Box<dyn redb::StorageBackend> {
            Box::new(media(which.saturating_add(1)))
        };
        let journal = Place::On(Media(Box::new(segment)));
        let shared = Shared::new(File::Writer(database), place.into(), None, options);
        shared.guarded(|| tables::initialize(&shared))?;
        Self::start(shared, journal)
    }

    /// Opens an existing store for writing. After a crash this writes to the tables what
    /// only the journal has. redb's own bookkeeping is kept with each turn of the journal;
    /// only after a crash in a store's first turn, or right after it was compacted, is it
    /// found again by walking the file.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while another holds the file, [`StoreError::Format`] when it
    /// is something else than a store of this format, [`StoreError::Damaged`],
    /// [`StoreError::Backend`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path, &Options::new())
    }

    /// [`RedbStore::open`] with options.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    pub fn open_with(path: impl AsRef<Path>, options: &Options) -> Result<Self, StoreError> {
        let path = path.as_ref();
        Self::start(Shared::open(path, options)?, Place::Beside(path.into()))
    }

    /// Opens an existing store for reading only; it is not changed. A store whose writer
    /// crashed must be opened for writing once before.
    ///
    /// # Errors
    /// As [`RedbStore::open`], and [`StoreError::NotClosed`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let (place, options) = (place_of(path), Options::new());
        let database = opening(&place, || options.builder().open_read_only(path));
        let database = File::Reader(database.map_err(|error| named(error, path))?);
        let mut shared = Shared::new(database, place, None, &options);
        shared.check_format()?;
        let shared = Arc::new(shared);
        recovery::ensure_closed(&shared, Place::Beside(path.into()))?;
        Ok(Self { shared, committer: None })
    }

    fn start(mut shared: Shared, journal: Place) -> Result<Self, StoreError> {
        shared.check_format()?;
        recovery::ensure_tree(&mut shared)?;
        let shared = Arc::new(shared);
        let journal = recovery::recover(&shared, journal)?;
        let committer = Committer::start(Arc::clone(&shared), journal)?;
        Ok(Self { shared, committer: Some(committer) })
    }

    /// How many groups of appends this store has flushed since it was opened: fewer than
    /// appends when several shared one.
    pub fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    /// Hands over a batch without waiting for it: one thread may have many on their way,
    /// which the committer makes durable together. They are committed in the order in which
    /// one thread hands them over.
    ///
    /// ```
    /// use std::sync::Arc;
    /// # use prospera::id::Subsystem;
    /// use prospera::ssot::ledger::check;
    /// # use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
    /// use prospera::ssot::redb::RedbStore;
    /// use prospera::ssot::store::{Batch, Store};
    /// # use prospera::time::Timestamp;
    /// # let folder = tempfile::tempdir()?;
    /// let store = RedbStore::create(folder.path().join("log.redb"))?;
    /// # let batch = |name: &str| {
    /// #     let stream = StreamId::new(StreamKind::Memory, name.parse().unwrap());
    /// #     let draft = Draft::new(stream.clone(), RecordKind::Fact, Subsystem::Memory, vec![]);
    /// #     Batch::new(Timestamp::from_millis(1)).expect(stream, Head::EMPTY).append(draft)
    /// # };
    /// let batches = [Arc::new(batch("alice")), Arc::new(batch("bob"))];
    /// let pending = batches.each_ref().map(|batch| store.submit(Arc::clone(batch)));
    /// for (batch, pending) in batches.iter().zip(pending) {
    ///     let receipt = check(batch, pending.wait()?, store.durability())?;
    ///     assert_eq!(receipt.records().len(), 1);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn submit(&self, batch: impl Into<Arc<Batch>>) -> Pending {
        match &self.committer {
            Some(committer) => committer.submit(batch.into()),
            None => Pending::refused(&self.shared, READ_ONLY),
        }
    }

    /// The tail, and the tables with at least all that is before it.
    fn tail(&self) -> Result<(RwLockReadGuard<'_, Tail>, ReadTables), StoreError> {
        self.shared.ensure_known()?;
        let tail = self.shared.tail();
        // Begun while the tail stands still: what leaves the tail later is in it already.
        let tables = self.shared.guarded(|| Ok(ReadTables::new(self.shared.begin_read()?)))?;
        Ok((tail, tables))
    }
}

impl Tail {
    /// The turns that have records, the older first.
    fn turns(&self) -> impl DoubleEndedIterator<Item = &Log> {
        self.frozen.as_deref().into_iter().chain([&self.active])
    }

    /// The index of the first record that the tables may not have.
    fn base(&self) -> u64 {
        self.turns().next().map_or(0, Log::base)
    }

    fn head(&self, stream: &StreamId) -> Option<Head> {
        self.turns().rev().find_map(|log| log.head(stream))
    }

    fn payload(&self, digest: &Digest) -> Option<&Arc<[u8]>> {
        self.turns().find_map(|log| log.payload(digest))
    }

    fn read(&self, from: u64, limit: usize) -> Vec<Stored> {
        let records = self.turns().flat_map(|log| log.read(from, usize::MAX));
        records.take(limit).cloned().collect()
    }

    fn read_stream(&self, stream: &StreamId, from: u64, limit: usize) -> Vec<Stored> {
        let records = self.turns().flat_map(|log| log.read_stream(stream, from, usize::MAX));
        records.take(limit).cloned().collect()
    }

    /// The sequence from which a stream's entries are here, and the indices of those of
    /// them that a stretch asks for.
    fn indices(&self, stretch: &Stretch<'_>) -> (u64, Vec<u64>) {
        let base = self.turns().find_map(|log| log.first_of(stretch.stream)).unwrap_or(u64::MAX);
        if base == u64::MAX {
            return (base, Vec::new());
        }
        let indices = self.turns().flat_map(|log| log.indices_of(stretch.stream, stretch.from));
        (base, indices.take(left(stretch.limit, stretch.from, base)).collect())
    }

    /// A kept node of the tree that the tables may not have.
    fn node(&self, group: u8, index: u64) -> Option<Hash> {
        self.turns().find_map(|log| log.tree().get(group, index))
    }

    fn streams(&self, after: Option<&StreamId>, limit: usize) -> BTreeMap<StreamId, Head> {
        let streams = self.turns().flat_map(|log| log.streams_after(after).take(limit));
        // The later turn has the later head.
        streams.map(|(stream, head)| (stream.clone(), head)).collect()
    }
}

const READ_ONLY: &str = "the store was opened read-only";

/// What is left of a limit after so many.
fn left(limit: usize, from: u64, until: u64) -> usize {
    limit.saturating_sub(usize::try_from(until.saturating_sub(from)).unwrap_or(usize::MAX))
}

impl Store for RedbStore {
    fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
        match &self.committer {
            Some(committer) => committer.append(batch),
            None => Err(AppendError::Refused { reason: READ_ONLY }),
        }
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        let (tail, tables) = self.tail()?;
        let head = tail.head(stream);
        drop(tail);
        head.map_or_else(|| self.shared.guarded(|| tables.head(stream)), Ok)
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.shared.ensure_known()?;
        Ok(self.shared.tail().active.next_index())
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let (tail, tables) = self.tail()?;
        let base = tail.base();
        let later = tail.read(from, left(limit, from, base));
        drop(tail);
        let mut out = self.shared.guarded(|| tables.read(from, base, limit))?;
        out.extend(later);
        Ok(out)
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let (tail, tables) = self.tail()?;
        let base = tail.turns().find_map(|log| log.first_of(stream)).unwrap_or(u64::MAX);
        let later = match base {
            u64::MAX => Vec::new(),
            base => tail.read_stream(stream, from, left(limit, from, base)),
        };
        drop(tail);
        let mut out = self.shared.guarded(|| tables.read_stream(stream, from, base, limit))?;
        out.extend(later);
        Ok(out)
    }

    fn scan(
        &self,
        from: u64,
        limit: usize,
        visit: &mut dyn FnMut(&[u8], &Digest),
    ) -> Result<(), StoreError> {
        let (tail, tables) = self.tail()?;
        let base = tail.base();
        let later = tail.read(from, left(limit, from, base));
        drop(tail);
        self.shared.guarded(|| tables.scan(from, base, limit, visit))?;
        for stored in later {
            visit(&stored.bytes, &stored.digest);
        }
        Ok(())
    }

    fn trace(
        &self,
        stretches: &[Stretch<'_>],
        visit: &mut dyn FnMut(usize, u64),
    ) -> Result<(), StoreError> {
        // The index leads into the log itself: what it says is shown, no record is read.
        let (tail, tables) = self.tail()?;
        let later: Vec<(u64, Vec<u64>)> =
            stretches.iter().map(|stretch| tail.indices(stretch)).collect();
        drop(tail);
        self.shared.guarded(|| {
            let entries = tables.entries()?;
            for (number, (stretch, (base, later))) in stretches.iter().zip(later).enumerate() {
                entries.show(stretch, base, &mut |index| visit(number, index))?;
                for index in later {
                    visit(number, index);
                }
            }
            Ok(())
        })
    }

    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        let (tail, tables) = self.tail()?;
        let later = tail.streams(after, limit);
        drop(tail);
        let mut all: BTreeMap<_, _> =
            self.shared.guarded(|| tables.streams(after, limit))?.into_iter().collect();
        all.extend(later);
        Ok(all.into_iter().take(limit).collect())
    }

    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        let (tail, tables) = self.tail()?;
        let kept = tail.payload(digest).cloned();
        drop(tail);
        kept.map_or_else(|| self.shared.guarded(|| tables.payload(digest)), |kept| Ok(Some(kept)))
    }

    fn payloads(
        &self,
        digests: &[Digest],
        visit: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<(), StoreError> {
        let (tail, tables) = self.tail()?;
        let later: Vec<_> = digests.iter().map(|digest| tail.payload(digest).cloned()).collect();
        drop(tail);
        self.shared.guarded(|| {
            let payloads = tables.payloads()?;
            for (number, (digest, later)) in digests.iter().zip(later).enumerate() {
                match later {
                    Some(bytes) => visit(number, &bytes),
                    None => payloads.show(digest, &mut |bytes| visit(number, bytes))?,
                }
            }
            Ok(())
        })
    }

    fn kept_tree(&self) -> Option<&dyn KeptTree> {
        self.shared.has_tree.then_some(self as &dyn KeptTree)
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }
}

impl KeptTree for RedbStore {
    fn kept_head(&self) -> Result<TreeHead, StoreError> {
        if self.committer.is_some() {
            self.shared.ensure_known()?;
            return Ok(self.shared.tail().active.tree().tree().head());
        }
        let (tail, tables) = self.tail()?;
        let size = tail.active.next_index();
        self.shared.guarded(|| Ok(TreeHead { size, root: tables.tree()?.root(size)? }))
    }

    fn kept_nodes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, StoreError> {
        let (tail, tables) = self.tail()?;
        let (base, size) = (tail.base(), tail.active.next_index());
        ids.iter().try_for_each(|id| complete(*id, size))?;
        // Commits wait as long as the tail is held: where the tables have all, they need not.
        let tail = if ids.iter().all(|id| id.is_within(base)) { None } else { Some(tail) };
        self.shared.guarded(|| {
            let tree = tables.tree()?;
            let mut rows = tree.rows();
            let mut kept = |group, index| {
                let later = tail.as_ref().and_then(|tail| tail.node(group, index));
                later.map_or_else(|| rows.hash(group, index), Ok)
            };
            ids.iter().map(|id| derive(*id, &mut kept)).collect()
        })
    }
}

impl Shared {
    /// A new store is made under another name first: a power loss leaves a whole one that is
    /// empty, or none.
    fn create(path: &Path, options: &Options) -> Result<Self, StoreError> {
        if std::fs::symlink_metadata(path).is_err() {
            let part = holder::unique(path);
            let made = Self::make(&part, path, options);
            let named = made.and_then(|()| match backup::publish(&part, path) {
                // Another was faster.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                Err(error) => Err(backend("making the store", error)),
                Ok(()) => sync_folder(path),
            });
            let _none = std::fs::remove_file(part);
            named?;
        }
        Self::hold(path, options, |builder| builder.create(path))
    }

    fn make(part: &Path, path: &Path, options: &Options) -> Result<(), StoreError> {
        let place = place_of(path);
        let database = opening(&place, || options.builder().create(part))?;
        let shared = Self::new(File::Writer(database), place, None, options);
        shared.guarded(|| tables::initialize(&shared))
    }

    fn open(path: &Path, options: &Options) -> Result<Self, StoreError> {
        Self::hold(path, options, |builder| builder.open(path))
    }

    /// A store's file for writing, and a note beside it that says who has it.
    fn hold(
        path: &Path,
        options: &Options,
        open: impl FnOnce(&Builder) -> Result<Database, DatabaseError>,
    ) -> Result<Self, StoreError> {
        let place = place_of(path);
        let database = opening(&place, || open(&options.builder()));
        let database = File::Writer(database.map_err(|error| named(error, path))?);
        Ok(Self::new(database, place, Holder::announce(path), options))
    }

    fn new(file: File, place: Box<str>, holder: Option<Holder>, options: &Options) -> Self {
        Self {
            _holder: holder,
            file,
            place,
            commits: AtomicU64::new(0),
            lost: AtomicBool::new(false),
            tail: RwLock::default(),
            closing: Mutex::new(false),
            changed: Condvar::new(),
            journal_bytes: options.journal_bytes,
            has_tree: false,
        }
    }

    fn tail(&self) -> RwLockReadGuard<'_, Tail> {
        self.tail.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn tail_mut(&self) -> RwLockWriteGuard<'_, Tail> {
        self.tail.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        use redb::ReadableDatabase as _;
        let transaction = match &self.file {
            File::Writer(database) => database.begin_read(),
            File::Reader(database) => database.begin_read(),
        };
        transaction.map_err(|error| backend("beginning to read", error))
    }

    fn check_format(&mut self) -> Result<(), StoreError> {
        let found = self.guarded(|| tables::format(&self.begin_read()?))?;
        match found {
            Ok(format @ (FORMAT | WITHOUT_TREE | WITHOUT_JOURNAL)) => {
                self.has_tree = format > WITHOUT_TREE;
                Ok(())
            }
            Ok(other) => Err(self.other_format(format!("format {other}"))),
            Err(what) => Err(self.other_format(what)),
        }
    }

    fn other_format(&self, found: String) -> StoreError {
        StoreError::Format { place: self.place.clone(), expected: FORMAT, found: found.into() }
    }

    /// After a failed commit nothing is known until the file is opened again.
    fn ensure_known(&self) -> Result<(), StoreError> {
        if self.lost.load(Ordering::Acquire) { Err(self.unknown_state()) } else { Ok(()) }
    }

    fn unknown_state(&self) -> StoreError {
        let what = format!("a commit to `{}` failed, the store must be opened again", self.place);
        StoreError::Damaged { what: what.into() }
    }

    /// Runs code of redb, which may panic on damaged pages.
    fn guarded<T>(&self, run: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        catch(run).unwrap_or_else(|()| Err(panicked(&self.place)))
    }
}

/// Runs code that may panic. What it leaves behind is redb's: a transaction that is
/// dropped is as if it had never begun.
fn catch<T>(run: impl FnOnce() -> T) -> Result<T, ()> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| ())
}

fn panicked(place: &str) -> StoreError {
    let what = format!("the pages of `{place}` cannot be read");
    StoreError::Damaged { what: what.into() }
}

/// Says who holds a store that is in use.
fn named(error: StoreError, path: &Path) -> StoreError {
    match error {
        StoreError::InUse { place, .. } => StoreError::InUse { place, holder: holder::find(path) },
        other => other,
    }
}

fn place_of(path: &Path) -> Box<str> {
    path.display().to_string().into()
}

/// Why redb could not open a file, and which.
#[derive(Debug, thiserror::Error)]
#[error("`{place}`: {source}")]
struct Unopened {
    place: Box<str>,
    source: DatabaseError,
}

fn opening<T>(
    place: &str,
    open: impl FnOnce() -> Result<T, DatabaseError>,
) -> Result<T, StoreError> {
    let format = |found: String| StoreError::Format {
        place: place.into(),
        expected: FORMAT,
        found: found.into(),
    };
    match catch(open) {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(error)) => Err(match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                StoreError::InUse { place: place.into(), holder: None }
            }
            DatabaseError::UpgradeRequired(version) => {
                format(format!("a redb file of version {version}"))
            }
            DatabaseError::RepairAborted => StoreError::NotClosed { place: place.into() },
            DatabaseError::Storage(redb::StorageError::Io(io))
                if io.kind() == std::io::ErrorKind::InvalidData =>
            {
                format("something else than a redb file".into())
            }
            DatabaseError::Storage(redb::StorageError::Corrupted(what)) => {
                StoreError::Damaged { what: format!("`{place}`: {what}").into() }
            }
            source => backend("opening the store", Unopened { place: place.into(), source }),
        }),
        Err(()) => Err(panicked(place)),
    }
}

/// Makes the name of a new file durable, too: its folder is flushed where the system
/// knows such a thing.
fn sync_folder(path: &Path) -> Result<(), StoreError> {
    if cfg!(unix) {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        std::fs::File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(|error| backend("flushing the store's folder", error))?;
    }
    Ok(())
}

fn backend(
    what: &'static str,
    source: impl core::error::Error + Send + Sync + 'static,
) -> StoreError {
    StoreError::Backend { what, source: Box::new(source) }
}

#[cfg(test)]
mod tests;
