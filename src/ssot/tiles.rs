//! A log as a folder of files that any web server can serve: C2SP `tlog-tiles`.
//!
//! | path | what |
//! |---|---|
//! | `checkpoint` | the signed checkpoint; written last |
//! | `tile/L/N` | 256 hashes of level `8·L` of the tree, from the `256·N`th on |
//! | `tile/entries/N` | the log's entries: for each record two bytes, its length (32), and its digest |
//! | `records/N` | the records themselves: for each four bytes, its length, and its canonical bytes |
//! | `payloads/N` | what the records name: for each record two bytes, how many, and for each of these its digest, a byte 1, four bytes of length and the bytes; or its digest and a byte 0 when it is not kept |
//! | `heads/SIZE` | the heads of the streams when the log had this size: two bytes of length and the stream (kind, name; see [`encode`](crate::encode)), eight bytes, how many records it has, and the digest of the last; in the order of the streams |
//!
//! The first three are those of the specification, so that tools for such logs read them;
//! the last three are this library's own, for auditors. All numbers are big-endian. `N` is
//! written in groups of three digits, all but the last with an `x` before them:
//! `x001/x234/067`. A tile or bundle that is not full has `.p/W` after it, its width; it stays
//! until the full one is there. A file never changes once it is there, but for
//! `checkpoint`; each is written beside its place and moved there.
//!
//! [`write()`] publishes what a store has, [`verify`] believes a folder as far as it proves
//! itself, [`import`] makes a store of one again. All three take a constant amount of
//! memory; only the ends of up to 131,072 streams are held at a time.
//!
//! Payloads can be erased from a store, but not from what was published: leave them out
//! ([`Publish::payloads`]) where they may have to go.
//!
//! INVARIANT (published last): a checkpoint is in its place only after all that it needs is
//! in theirs, on the disk, so that a writer that is stopped at any point leaves a sound
//! folder.
//!
//! Requirements: PLAN-8.1, IRM-6.10.

use std::io;
use std::path::{Path, PathBuf};

use crate::ssot::checkpoint::{CheckpointError, Finding, PolicyError};
use crate::ssot::merkle::{Frontier, Hash, ProofError, Sha256};
use crate::ssot::note::{KeyError, SignError};
use crate::ssot::store::{AppendError, StoreError};
use crate::ssot::verify::VerifyError;

mod audit;
mod bundles;
mod diagnose;
mod folder;
mod import;
mod stored;
mod streams;
#[cfg(test)]
mod tests;
mod tower;
mod write;

pub use audit::{Audited, verify};
pub use folder::{Folder, PublishedTree};
pub use import::{Imported, import};
pub use stored::{against, checkpoint_of};
pub use write::{Named, Publish, Written, write};

/// How many hashes a full tile has, and how many entries a full bundle.
pub const WIDTH: u64 = 256;

/// [`WIDTH`] as the length of a list.
const FULL: usize = 256;

/// Why a folder was not written, believed or read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TilesError {
    /// The log is not what it must be.
    #[error(transparent)]
    Finding(#[from] Finding),
    /// A file cannot be read or written.
    #[error("`{place}`: {source}")]
    File {
        /// The file or folder.
        place: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no log in the folder.
    #[error("expected a log with a checkpoint in `{place}`, found none")]
    NoLog {
        /// The folder.
        place: PathBuf,
    },
    /// The store to be written has records already.
    #[error("expected an empty store to import to, found {found} records")]
    NotEmpty {
        /// How many.
        found: u64,
    },
    /// What is asked about is not there.
    #[error(transparent)]
    Asked(#[from] ProofError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store is not sound in itself.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The store did not take a record.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The store took a record and made another of it.
    #[error("record {index} became another one when it was imported")]
    Another {
        /// Its place.
        index: u64,
    },
    /// The log's name or the checkpoint cannot be.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A key cannot be.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The checkpoint could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl TilesError {
    /// What the log was caught at, where it was.
    pub const fn finding(&self) -> Option<&Finding> {
        match self {
            Self::Finding(finding) => Some(finding),
            _ => None,
        }
    }

    fn file(place: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let place = place.to_path_buf();
        move |source| Self::File { place, source }
    }
}

impl From<PolicyError> for TilesError {
    fn from(error: PolicyError) -> Self {
        Self::Finding(error.into())
    }
}

/// The root over a full or partial tile's hashes.
fn root_of(hashes: &[Hash]) -> Hash {
    let mut tree = Frontier::<Sha256>::new();
    for hash in hashes {
        tree.push_leaf(hash);
    }
    tree.root()
}

/// How many of the things numbered from 256 · `n` on there are when there are `total`.
fn width_at(n: u64, total: u64) -> usize {
    let width = total.saturating_sub(n.saturating_mul(WIDTH)).min(WIDTH);
    // At most 256.
    usize::try_from(width).unwrap_or(0)
}
