//! Verification: the whole log, or one stream, read again and believed only as far
//! as it proves itself.
//!
//! [`verify`] walks the log once from its start. Of each record it checks, in the order
//! of the log:
//!
//! - its bytes have the digest stored beside them, and are a record;
//! - it stands at the index it names (nothing swapped, dropped, repeated);
//! - the stream's own index finds this very record at its sequence, and the one it
//!   names as previous right before it;
//! - the stream's head lies behind it.
//!
//! Afterwards each head must be that of its stream's last record, and the heads
//! together must count as many records as the log has. Where a store keeps the log's
//! [tree](crate::ssot::merkle), its root and every fourth level of it (all that the stores
//! here keep) must be those that follow from the records; a fault of the tree is named
//! when the log itself has none.
//!
//! A sound log is walked swiftly: records are hashed many at once
//! ([`Domain::hash_many`](crate::digest::Domain::hash_many)), each is held against the end
//! of its stream as the walk remembers it, and the streams' index is read once. Only when
//! something is not as it must be, the log is walked again from its start, slowly, to
//! name the first fault.
//!
//! Memory is bounded whatever the log: at most 256 KiB of records that wait to be hashed,
//! the places of some 65,536 records that wait to be compared with the index, and the
//! ends of at most 131,072 streams, some 200 bytes each. When there are more, those not
//! used lately are forgotten, and read from the store when they go on. A log in which
//! more streams than that go on in turns is slower to verify, not less surely verified.
//!
//! `verify_on` (feature `std`) shares the swift walk among threads: each takes a stretch of
//! the log, and what a stretch needs to know of those before it is read from the store. The
//! answer is the same.
//!
//! [`replay`] does the same for one stream and hands out its records: what an
//! audience or a session is restored from.
//!
//! ```
//! use prospera::ssot::memory::MemoryStore;
//! use prospera::ssot::verify::verify;
//! let report = verify(&MemoryStore::new(), |progress| println!("{}", progress.verified))?;
//! assert_eq!((report.records, report.streams), (0, 0));
//! # Ok::<(), prospera::ssot::verify::VerifyError>(())
//! ```
//!
//! What this cannot see: a store that was rewritten from some record on, with every
//! later digest, link and head computed anew, or cut off together with its heads, is
//! consistent in itself. [`Report::last`] held against a digest kept elsewhere
//! shows it.
//!
//! Requirements: ASM2-10.9, IRM-6.10, PLAN-7.1.3.

use crate::digest::{Digest, Domain};
use crate::ssot::merkle::Hash;
use crate::ssot::record::{Head, Record};
use crate::ssot::store::{Store, StoreError, Stored};

mod exact;
mod fault;
#[cfg(feature = "std")]
mod parallel;
mod replay;
mod streams;
mod swift;
#[cfg(test)]
mod tests;
mod tree;
mod view;

pub use fault::{Fault, Place};
#[cfg(feature = "std")]
pub use parallel::verify_on;
pub use replay::{Replay, replay, replay_from, verify_stream};

pub(crate) use view::RecordView;

/// Progress is told after so many records at least; after some 65,536 at most.
pub const CHUNK: usize = 1024;

/// How far a verification has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Records whose bytes, place, link and entry in their stream's index were found
    /// sound so far. The heads come last.
    pub verified: u64,
    /// Records in the log when the verification began.
    pub total: u64,
}

/// What a sound log consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// How many records.
    pub records: u64,
    /// How many streams.
    pub streams: u64,
    /// The digest of the last record; `None` when there is none.
    pub last: Option<Digest>,
    /// The root of the tree over the records, as they were read: what a checkpoint of
    /// [`records`](Self::records) leaves must say.
    pub root: Hash,
}

/// Why a log was not found sound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A record is bad: the first one in the order of the log.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Records were appended meanwhile. Transient: verify again, or verify a copy.
    #[error("the log grew from {before} to {after} records while it was verified")]
    Moved {
        /// How many records there were.
        before: u64,
        /// How many there are.
        after: u64,
    },
}

/// Verifies a whole log. `progress` is called now and then, each time with more.
///
/// Nothing may be appended meanwhile; if something is, the answer may be
/// [`VerifyError::Moved`].
///
/// # Errors
/// [`VerifyError::Fault`] with the first bad record, what was expected and what was
/// found; [`VerifyError::Store`] when the store cannot be read.
pub fn verify<S: Store + ?Sized>(
    store: &S,
    mut progress: impl FnMut(Progress),
) -> Result<Report, VerifyError> {
    let total = store.len()?;
    let mut tell = onward(&mut progress);
    let swift = swift::walk(store, total, swift::Bounds::USUAL, &mut tell);
    conclude(store, total, swift, &mut tell)
}

/// Tells of progress only when it is more: the second walk comes by places that the first
/// one told of.
fn onward(mut progress: impl FnMut(Progress)) -> impl FnMut(Progress) {
    let mut told = 0;
    move |step: Progress| {
        if step.verified > told {
            told = step.verified;
            progress(step);
        }
    }
}

/// The answer after the swift walk, which the exact one gives where that one stopped.
fn conclude<S: Store + ?Sized>(
    store: &S,
    total: u64,
    swift: Result<Report, swift::Stop>,
    progress: &mut impl FnMut(Progress),
) -> Result<Report, VerifyError> {
    let result = match swift {
        Ok(report) => Ok(report),
        Err(swift::Stop::Store(error)) => Err(error.into()),
        Err(swift::Stop::Odd) => {
            unchanged(store, total)?;
            exact::walk(store, total, progress)
        }
    };
    unchanged(store, total)?;
    result
}

fn unchanged<S: Store + ?Sized>(store: &S, before: u64) -> Result<(), VerifyError> {
    let after = store.len()?;
    if after == before { Ok(()) } else { Err(VerifyError::Moved { before, after }) }
}

/// Reads a record and holds its bytes against the digest stored beside them.
pub(in crate::ssot) fn open(stored: &Stored, place: impl Fn() -> Place) -> Result<Record, Fault> {
    let differs = |computed| Fault::Digest { place: place(), stored: stored.digest, computed };
    match Record::decode_sealed(&stored.bytes) {
        Ok(record) if record.digest() == stored.digest => Ok(record),
        Ok(record) => Err(differs(record.digest())),
        Err(source) => {
            let computed = Domain::Record.hash(&stored.bytes);
            if computed == stored.digest {
                Err(Fault::Undecodable { place: place(), source })
            } else {
                Err(differs(computed))
            }
        }
    }
}

/// Checks that a record comes right after a head.
fn follows(record: &Record, after: Head, place: impl Fn() -> Place) -> Result<(), Fault> {
    if record.sequence() != after.length() {
        let (expected, found) = (after.length(), record.sequence());
        return Err(Fault::Sequence { place: place(), expected, found });
    }
    if record.previous() != after.digest() {
        let (expected, found) = (after.digest(), record.previous());
        return Err(Fault::Previous { place: place(), expected, found });
    }
    Ok(())
}
