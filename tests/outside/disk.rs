//! The disk fails under the embedded store: at every write, flush and change of length.

use std::io;
use std::sync::{Arc, Mutex};

use prospera::routing::RouterError;
use prospera::ssot::redb::{Options, RedbStore};
use prospera::ssot::store::{Store as _, StoreError};
use prospera::ssot::verify::VerifyError;
use redb::StorageBackend;

use crate::script::{After, Play, SHORT, Step};
use crate::world::World;

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Nothing happens.
    Refused,
    /// Half of it is written, and then it fails.
    Short,
}

#[derive(Debug, Default)]
struct Platters {
    /// The tables, and the two segments of the journal.
    bytes: [Vec<u8>; 3],
    operations: u64,
    fault: Option<(u64, Fault)>,
    /// Once it failed it fails for good, until it is mended.
    broken: bool,
}

/// One disk, and which of its files is meant.
#[derive(Debug, Clone, Default)]
struct Disk(Arc<Mutex<Platters>>, usize);

fn failed() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "the disk is full")
}

impl Disk {
    fn fail(&self, n: u64, fault: Fault) {
        self.0.lock().unwrap().fault = Some((n, fault));
    }

    fn mend(&self) {
        let mut platter = self.0.lock().unwrap();
        platter.broken = false;
        platter.fault = None;
    }

    /// What gives the store its files.
    fn media(&self) -> impl Fn(usize) -> Self + Send + Sync + 'static {
        let own = Arc::clone(&self.0);
        move |which| Self(Arc::clone(&own), which)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<u8>, Option<Fault>)) -> Result<(), io::Error> {
        let mut platter = self.0.lock().unwrap();
        if platter.broken {
            return Err(failed());
        }
        let here = platter.operations;
        platter.operations += 1;
        let due = platter.fault.filter(|(n, _)| *n == here).map(|(_, fault)| fault);
        if due.is_none_or(|fault| fault == Fault::Short) {
            change(&mut platter.bytes[self.1], due);
        }
        platter.broken = due.is_some();
        if platter.broken { Err(failed()) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.lock().unwrap().bytes[self.1].len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let start = usize::try_from(offset).unwrap();
        let platter = self.0.lock().unwrap();
        let found = platter.bytes[self.1].get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.change(|bytes, fault| {
            // A length is one number: there is no half of it.
            if fault.is_none() {
                bytes.resize(usize::try_from(len).unwrap(), 0);
            }
        })
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.change(|_, _| {})
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.change(|bytes, fault| {
            let data = if fault.is_some() { &data[..data.len() / 2] } else { data };
            let start = usize::try_from(offset).unwrap();
            let end = (start + data.len()).max(bytes.len());
            bytes.resize(end, 0);
            bytes[start..start + data.len()].copy_from_slice(data);
        })
    }
}

fn is_typed(error: &RouterError) -> bool {
    matches!(
        error,
        RouterError::EvidenceNotRecorded(_)
            | RouterError::OutcomeNotRecorded { .. }
            | RouterError::Ledger(_)
            | RouterError::Store(StoreError::Backend { .. } | StoreError::Damaged { .. })
            | RouterError::Verify(VerifyError::Store(_))
    )
}

/// A short day with the fault at the n-th operation of the disk; whether there was one, and
/// whether it left something unknown.
fn with_fault_at(world: &World, n: u64, fault: Fault) -> (bool, u32) {
    let disk = Disk::default();
    disk.fail(n, fault);
    let options = Options::new().cache_bytes(1 << 20).journal_bytes(2 << 10);
    let opening = || RedbStore::create_on(disk.media(), "disk", &options);
    let mut play = Play::new(world, After::Restart, Box::new(opening));
    let (mut met, mut unknown) = (false, 0);
    for step in SHORT {
        let before = play.world.effects.count();
        if let Err(error) = play.step(*step) {
            assert!(!met, "{step:?}: a second error: {error}");
            met = true;
            assert!(is_typed(&error), "{step:?}: {error:?}");
            let done = play.world.effects.count() - before;
            let outcome = matches!(error, RouterError::OutcomeNotRecorded { .. });
            assert!(done == usize::from(outcome), "{step:?}: {done} effects after {error}");
            if let RouterError::EvidenceNotRecorded(append)
            | RouterError::OutcomeNotRecorded { source: append, .. }
            | RouterError::Ledger(append) = &error
                && append.is_unknown()
                && play.begun()
            {
                // What the file holds is not known, on a good disk neither, before it is
                // opened again.
                disk.mend();
                let read = play.store().len();
                assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
                unknown += 1;
            }
            // The process ends and lets go of the file before the disk is mended.
            let promised = play.begun();
            play.restart();
            disk.mend();
            if let Err(error) = RedbStore::create_on(disk.media(), "disk", &options) {
                // Not even a store came about: nothing was promised, somebody clears up.
                assert!(matches!(error, StoreError::Format { .. }), "{error}");
                assert!(!promised, "{error}");
                disk.0.lock().unwrap().bytes = Default::default();
            }
            play.recover(*step);
        }
    }
    // The tables are brought up to date in the background and when the file is closed:
    // nobody waits for that, and what was promised is there when it failed as well.
    play.restart();
    let reached = disk.0.lock().unwrap().operations > n;
    disk.mend();
    play.step(Step::Open).unwrap();
    play.ends(SHORT);
    (reached, unknown)
}

fn at_every_operation(fault: Fault) {
    let world = World::new();
    let (mut n, mut unknown) = (0, 0);
    loop {
        let (reached, left_unknown) = with_fault_at(&world, n, fault);
        unknown += left_unknown;
        if !reached {
            break;
        }
        n += 1;
    }
    assert!(n > 30 && unknown > 0, "{n} operations, {unknown} left something unknown");
}

#[test]
fn a_write_is_refused_by_a_full_disk() {
    at_every_operation(Fault::Refused);
}

#[test]
fn a_short_write_leaves_half_behind() {
    at_every_operation(Fault::Short);
}
