//! The log a command works on, and the clock it works by.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use prospera::execution::files::Journals;
use prospera::policy::{DefaultEngines, OpenPolicy, PolicyFolder};
use prospera::routing::Router;
use prospera::ssot::redb::RedbStore;
use prospera::ssot::redb::publish::open_newest;
use prospera::ssot::store::{Store, StoreError};
use prospera::time::{Clock, FixedClock, SystemClock, Timestamp};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// A router of the command line.
pub(crate) type CliRouter = Router<DefaultEngines, AnyStore, CliClock>;

/// A store of either kind.
pub(crate) type AnyStore = Box<dyn Store>;

/// The store at `path`, created where there is none. Says whether it was there.
pub(crate) fn continued(path: &Path) -> Result<(Arc<RedbStore>, bool), Failure> {
    let there = path.exists();
    let store = if there { RedbStore::open(path) } else { RedbStore::create(path) };
    Ok((Arc::new(store.map_err(in_use)?), there))
}

/// The store at `path`, to be written.
pub(crate) fn writer(path: &Path) -> Result<RedbStore, Failure> {
    exists(path)?;
    RedbStore::open(path).map_err(in_use)
}

/// The store at `path`, to be read; of a folder in which a service publishes its log, the
/// newest backup.
pub(crate) fn reader(path: &Path) -> Result<RedbStore, Failure> {
    if path.is_dir()
        && let Some((_, newest)) = open_newest(path).map_err(in_use)?
    {
        return Ok(newest);
    }
    exists(path)?;
    RedbStore::open_read_only(path).map_err(in_use)
}

pub(crate) fn exists(path: &Path) -> Result<(), Failure> {
    if path.is_file() {
        return Ok(());
    }
    let found = if path.is_dir() { "a folder" } else { "nothing" };
    let place = path.display();
    Err(Failure::new(format!("expected a store at `{place}`, found {found}"))
        .help("`prospera route` writes one; in a scenario folder it stands at `out/prospera.redb`"))
}

pub(crate) fn in_use(error: StoreError) -> Failure {
    match error {
        StoreError::InUse { .. } => Failure::new(&error).help(
            "one process writes a store at a time: wait until it is done, or read a backup that it publishes",
        ),
        other => other.into(),
    }
}

/// The system's clock, or one that moves from line to line.
#[derive(Debug, Clone)]
pub(crate) enum CliClock {
    System,
    Fixed { clock: Arc<FixedClock>, step: u64 },
}

impl CliClock {
    pub(crate) fn fixed(start: Timestamp, step: u64) -> Self {
        Self::Fixed { clock: Arc::new(FixedClock::new(start)), step }
    }

    pub(crate) fn at(now: Option<u64>) -> Self {
        now.map_or(Self::System, |now| Self::fixed(Timestamp::from_millis(now), 0))
    }

    /// Moves on to the next line.
    pub(crate) fn next_line(&self) {
        if let Self::Fixed { clock, step } = self {
            clock.advance_millis(*step);
        }
    }

    /// A fixed clock never stands before the log it continues.
    pub(crate) fn not_before(&self, last: Timestamp) {
        if let Self::Fixed { clock, step } = self
            && clock.now() <= last
        {
            clock.set(last.plus_millis((*step).max(1)));
        }
    }
}

impl Clock for CliClock {
    fn now(&self) -> Timestamp {
        match self {
            Self::System => SystemClock.now(),
            Self::Fixed { clock, .. } => clock.now(),
        }
    }
}

/// Where the modules of a store keep their journals.
pub(crate) fn journals_of(store: &Path) -> Result<PathBuf, Failure> {
    let mut name = store.as_os_str().to_owned();
    name.push(".modules");
    let folder = PathBuf::from(name);
    std::fs::create_dir_all(&folder).map_err(|error| {
        Failure::new(format!("the folder `{}` cannot be created: {error}", folder.display()))
    })?;
    Ok(folder)
}

/// 32 bytes for the mint: derived from a seed, or from the system's randomness.
pub(crate) fn secret(seed: Option<&str>) -> Result<Zeroizing<[u8; 32]>, Failure> {
    let mut secret = Zeroizing::new([0; 32]);
    if let Some(seed) = seed {
        // A seed stands in a file and makes runs repeatable: no secret.
        secret.copy_from_slice(prospera::digest::Domain::Other.hash(seed.as_bytes()).as_bytes());
        return Ok(secret);
    }
    getrandom::fill(&mut *secret).map_err(|error| {
        Failure::new(format!("the system gives no randomness for tokens: {error}"))
    })?;
    Ok(secret)
}

/// A policy folder opened beside an existing store.
pub(crate) fn open_beside(
    store: &Path,
    policy: &Path,
) -> Result<(OpenPolicy, Option<String>), Failure> {
    let folder = PolicyFolder::load(policy)?;
    let keys = folder.keys().map(str::to_owned);
    let journals = journals_of(store)?;
    Ok((folder.open(Journals::In(&journals), secret(None)?)?, keys))
}
