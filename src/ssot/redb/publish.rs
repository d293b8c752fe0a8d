//! Publishing: what an auditor in another process reads while the service writes.
//!
//! A service that writes a store is the only one that can open it. Its [`Publisher`] makes
//! [backups](super::RedbStore::backup_to) in a folder: now and then, when there is
//! something new, and soon after anybody asks for one. An auditor takes the newest,
//! which is a closed store and nobody's but the auditor's to hold.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use prospera::ssot::redb::RedbStore;
//! use prospera::ssot::redb::publish::{Publisher, Schedule, open_newest, request};
//! use prospera::ssot::verify::verify;
//! # let folder = tempfile::tempdir()?;
//! # let (path, public) = (folder.path().join("log.redb"), folder.path().join("public"));
//! // The service:
//! let store = Arc::new(RedbStore::create(path)?);
//! let publisher = Publisher::start(Arc::clone(&store), &public, Schedule::every(Duration::from_secs(60)))?;
//!
//! // The auditor, in another process:
//! assert!(request(&public)?.wait(Duration::from_secs(30))?, "the service answers");
//! let (_name, log) = open_newest(&public)?.expect("one was published");
//! verify(&log, |_| {})?;
//! # drop(publisher);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The folder
//! | name | what |
//! |---|---|
//! | `log-00000000000000001234.redb` | the first 1,234 records of the log |
//! | `request-0123456789abcdef` | somebody waits for a new one; gone when it is there |
//! | `*.part` | a backup that is being made, or was cut off |
//!
//! One publisher at a time looks after a folder, that of the process which holds the store.
//! Whoever may only read the folder reads what is published; whoever may make a file in it
//! may ask for more, at most as often as [`Schedule::at_most_every`] says.
//!
//! INVARIANT (one log): the backups of a folder are prefixes of each other. A publisher
//! refuses a folder whose newest backup is no prefix of its store's log: it is another log's,
//! or this one was rolled back.

use std::boxed::Box;
use std::ffi::OsStr;
use std::format;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::string::{String, ToString as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::vec::Vec;

use super::{RedbStore, backend, place_of};
use crate::ssot::store::{Store as _, StoreError};

const WHAT: &str = "publishing a backup";
/// How often a publisher looks for requests, and a request for its answer.
const LOOK: Duration = Duration::from_millis(100);

/// When backups are published, and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    every: Option<Duration>,
    at_most: Duration,
    keep: usize,
}

impl Schedule {
    /// One in so much time, if there is anything new, and on request, at most one each
    /// second. Three are kept.
    pub const fn every(time: Duration) -> Self {
        Self { every: Some(time), ..Self::ON_REQUEST }
    }

    /// On request only.
    pub const ON_REQUEST: Self = Self { every: None, at_most: Duration::from_secs(1), keep: 3 };

    /// Answers requests no sooner than so long after the last backup: what others may cost
    /// the service.
    #[must_use]
    pub const fn at_most_every(mut self, time: Duration) -> Self {
        self.at_most = time;
        self
    }

    /// Keeps so many of the newest, one at least.
    #[must_use]
    pub const fn keep(mut self, count: usize) -> Self {
        self.keep = if count == 0 { 1 } else { count };
        self
    }
}

/// A backup that is there to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// How many records it has.
    pub records: u64,
    /// Its file.
    pub path: PathBuf,
}

/// Publishes backups of a store for as long as it lives.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    store: Arc<RedbStore>,
    folder: PathBuf,
    schedule: Schedule,
    /// Held while a backup is made.
    state: Mutex<State>,
    ended: Mutex<bool>,
    end: Condvar,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    failure: Option<Box<str>>,
}

impl Publisher {
    /// Begins to publish a store's log in a folder, which is made if there is none.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the folder has backups of another log;
    /// [`StoreError::Backend`] when it cannot be used.
    pub fn start(
        store: Arc<RedbStore>,
        folder: impl Into<PathBuf>,
        schedule: Schedule,
    ) -> Result<Self, StoreError> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(|error| backend(WHAT, error))?;
        continues(&store, &folder)?;
        for part in named(&folder, |name| name.strip_suffix(".part").is_some())? {
            // Cut off when the process before this one ended.
            let _gone_already = fs::remove_file(part);
        }
        let shared = Arc::new(Shared {
            store,
            folder,
            schedule,
            state: Mutex::default(),
            ended: Mutex::new(false),
            end: Condvar::new(),
        });
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("prospera-publisher".into());
        let thread = thread.spawn(move || own.run());
        let thread = Some(thread.map_err(|error| backend("starting the publisher", error))?);
        Ok(Self { shared, thread })
    }

    /// Publishes a backup now, unless the newest has everything already.
    ///
    /// # Errors
    /// As [`RedbStore::backup_to`].
    pub fn publish(&self) -> Result<Published, StoreError> {
        self.shared.publish(&mut self.shared.state())
    }

    /// Why the last backup could not be made; `None` when it could.
    pub fn failure(&self) -> Option<Box<str>> {
        self.shared.state().failure.clone()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        *self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.end.notify_all();
        if let Some(thread) = self.thread.take() {
            // It tells of its failures elsewhere.
            let _ended = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        while !*ended {
            drop(ended);
            self.look();
            ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            if !*ended {
                let waited = self.end.wait_timeout(ended, LOOK);
                ended = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// Publishes when it is time to, or when somebody asks for it.
    fn look(&self) {
        let mut state = self.state();
        let since = state.last.map(|last| last.elapsed());
        let due = |time: Duration| since.is_none_or(|since| since >= time);
        let timely = self.schedule.every.is_some_and(due);
        if !timely && !due(self.schedule.at_most) {
            return;
        }
        let requests = named(&self.folder, |name| name.starts_with("request-"));
        let requests = requests.unwrap_or_default();
        if !timely && requests.is_empty() {
            return;
        }
        if self.publish(&mut state).is_ok() {
            for request in requests {
                // Whoever asked may have lost patience.
                let _gone_already = fs::remove_file(request);
            }
        }
    }

    fn publish(&self, state: &mut State) -> Result<Published, StoreError> {
        state.last = Some(Instant::now());
        let published = self.make();
        state.failure = published.as_ref().err().map(|error| error.to_string().into());
        published
    }

    fn make(&self) -> Result<Published, StoreError> {
        let newest = newest(&self.folder)?;
        if let Some(newest) =
            newest.filter(|newest| self.store.len().is_ok_and(|n| n == newest.records))
        {
            return Ok(newest);
        }
        // How many records it will have is known when it is made.
        let part = self.folder.join("log");
        let part = super::holder::unique(&part);
        let made = self.store.backup_to(&part).and_then(|made| {
            let path = self.folder.join(name_of(made.records));
            fs::rename(&part, &path).map_err(|error| backend(WHAT, error))?;
            super::sync_folder(&path)?;
            Ok(Published { records: made.records, path })
        });
        if made.is_err() {
            let _none = fs::remove_file(&part);
        }
        let made = made?;
        let mut all = all(&self.folder)?;
        all.truncate(all.len().saturating_sub(self.schedule.keep));
        for old in all {
            // Whoever has it open keeps it until they close it, where the system can do that.
            let _kept = fs::remove_file(old.path);
        }
        Ok(made)
    }
}

/// The newest backup of a folder has to be a prefix of the log.
fn continues(store: &RedbStore, folder: &Path) -> Result<(), StoreError> {
    let Some((newest, log)) = open_newest(folder)? else { return Ok(()) };
    let records = log.len()?;
    let last = |log: &RedbStore| log.read(records.saturating_sub(1), 1);
    if records == newest.records && records <= store.len()? && last(&log)? == last(store)? {
        return Ok(());
    }
    let place = place_of(&newest.path);
    let what = format!("`{place}` is no part of this log: another's, or this one was rolled back");
    Err(StoreError::Damaged { what: what.into() })
}

/// The backup with the most records in a folder; `None` when it has none.
///
/// # Errors
/// [`StoreError::Backend`] when the folder cannot be read.
pub fn newest(folder: impl AsRef<Path>) -> Result<Option<Published>, StoreError> {
    Ok(all(folder.as_ref())?.pop())
}

/// The backup with the most records in a folder, opened for reading.
///
/// # Errors
/// As [`newest`] and [`RedbStore::open_read_only`].
pub fn open_newest(folder: impl AsRef<Path>) -> Result<Option<(Published, RedbStore)>, StoreError> {
    const TRIES: usize = 10;
    let mut tries = TRIES;
    loop {
        let Some(newest) = newest(folder.as_ref())? else { return Ok(None) };
        tries = tries.saturating_sub(1);
        match RedbStore::open_read_only(&newest.path) {
            Ok(store) => return Ok(Some((newest, store))),
            // Replaced by newer ones between looking and opening.
            Err(_) if tries > 0 && !newest.path.exists() => {}
            Err(error) => return Err(error),
        }
    }
}

/// A wish for a new backup.
#[derive(Debug)]
#[must_use = "it is answered only as long as it is there"]
pub struct Request(PathBuf);

/// Asks the service that publishes in this folder for a backup with all that it has
/// acknowledged by now.
///
/// # Errors
/// [`StoreError::Backend`] when no file can be made in the folder.
pub fn request(folder: impl AsRef<Path>) -> Result<Request, StoreError> {
    let number = RandomState::new().hash_one(std::process::id());
    let path = folder.as_ref().join(format!("request-{number:016x}"));
    let made = fs::File::options().write(true).create_new(true).open(&path);
    made.map_err(|error| backend("asking for a backup", error))?;
    Ok(Request(path))
}

impl Request {
    /// Waits for so long until the service has published it. Says whether it has: then
    /// [`newest`] finds it, or a later one.
    ///
    /// # Errors
    /// [`StoreError::Backend`] when the folder cannot be read.
    pub fn wait(self, patience: Duration) -> Result<bool, StoreError> {
        let began = Instant::now();
        loop {
            match fs::symlink_metadata(&self.0) {
                Ok(_) if began.elapsed() < patience => std::thread::sleep(LOOK),
                Ok(_) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
                Err(error) => return Err(backend("waiting for a backup", error)),
            }
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let _answered = fs::remove_file(&self.0);
    }
}

fn name_of(records: u64) -> String {
    format!("log-{records:020}.redb")
}

/// What is published in a folder, those with the fewest records first.
fn all(folder: &Path) -> Result<Vec<Published>, StoreError> {
    let mut all: Vec<_> = named(folder, |name| records_of(name).is_some())?
        .into_iter()
        .filter_map(|path| {
            let records = records_of(path.file_name()?.to_str()?)?;
            Some(Published { records, path })
        })
        .collect();
    all.sort_unstable_by_key(|published| published.records);
    Ok(all)
}

fn records_of(name: &str) -> Option<u64> {
    let number = name.strip_prefix("log-")?.strip_suffix(".redb")?;
    let digits = number.len() == 20 && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| digits)
}

fn named(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, StoreError> {
    let reading = |error| backend("reading the folder of backups", error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(reading)? {
        let path = entry.map_err(reading)?.path();
        if path.file_name().and_then(OsStr::to_str).is_some_and(&wanted) {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
