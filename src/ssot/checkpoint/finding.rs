//! What a log can be caught at, each told from the others.

use alloc::string::String;

use super::policy::PolicyError;
use super::{Origin, short};
use crate::digest::Digest;
use crate::ssot::merkle::Hash;
use crate::ssot::record::{Head, StreamId};
use crate::ssot::verify::Fault;

/// What is wrong with a log, held against what was signed and what was seen before.
///
/// The first six are of records that are not those the log signed. The next four show only
/// to who remembers a checkpoint: such a log is sound in itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// A record has other bytes than those that were signed for: a bit flipped, or more.
    #[error("record {index} was altered: its digest {found} is not the one signed for")]
    Altered {
        /// Its place.
        index: u64,
        /// The digest of the bytes found.
        found: Digest,
    },
    /// Two records stand in each other's place.
    #[error("record {index} and record {with} were swapped")]
    Swapped {
        /// The first place.
        index: u64,
        /// The second.
        with: u64,
    },
    /// Records are missing in between.
    #[error("record {index} was dropped: record {found} stands in its place")]
    Dropped {
        /// The first that is missing.
        index: u64,
        /// The one that stands there.
        found: u64,
    },
    /// A record stands there once more.
    #[error("record {of} was repeated at place {index}")]
    Repeated {
        /// Where it stands again.
        index: u64,
        /// Where it belongs.
        of: u64,
    },
    /// A record stands there that was never signed for; the ones that were come after it.
    #[error("a record was inserted at place {index}, with digest {found}")]
    Inserted {
        /// Where.
        index: u64,
        /// The digest of the bytes found.
        found: Digest,
    },
    /// The log ends before the size that was signed.
    #[error("the log's tail was cut: expected {signed} records, found {found}")]
    Truncated {
        /// How many there are.
        found: u64,
        /// How many were signed for.
        signed: u64,
    },
    /// There is no log where there was one.
    #[error(
        "the log was deleted: expected at least the {remembered} records seen before, found none"
    )]
    Deleted {
        /// How many there were.
        remembered: u64,
    },
    /// The log is shorter than it was: an older copy took its place.
    #[error(
        "the log was replaced by an older copy: expected at least {remembered} records, found {found}"
    )]
    OlderCopy {
        /// How many there were.
        remembered: u64,
        /// How many there are.
        found: u64,
    },
    /// Two checkpoints of one size have different roots: not everybody is shown the
    /// same log.
    #[error("split view at size {size}: expected root {}…, found {}…", short(.remembered), short(.found))]
    SplitView {
        /// Their size.
        size: u64,
        /// The root seen before.
        remembered: Hash,
        /// The root found.
        found: Hash,
    },
    /// The log is longer than it was and does not continue it: it was written again from
    /// some record on, and signed.
    #[error("history was signed again: {to} records that do not continue the {from} seen before")]
    Rewritten {
        /// The size seen before.
        from: u64,
        /// The size found.
        to: u64,
    },
    /// A stream's head names an earlier record than its last.
    #[error("the head of `{stream}` was rolled back: expected {expected}, found {found}")]
    HeadRolledBack {
        /// The stream.
        stream: StreamId,
        /// The head by the stream's records.
        expected: Head,
        /// The head found.
        found: Head,
    },
    /// A stream's head is none that the stream has or had, or is missing.
    #[error("expected `{stream}` to end at {expected}, found head {found}")]
    HeadMismatch {
        /// The stream.
        stream: StreamId,
        /// The head by the stream's records.
        expected: Head,
        /// The head found; empty when there is none.
        found: Head,
    },
    /// The records are those of the tree, but no log may hold them: a link is broken.
    #[error(transparent)]
    Chain(#[from] Fault),
    /// The hashes that the log publishes are not those of the root it signed, and neither
    /// are its records.
    #[error("expected the root {}… that was signed for {size} records, found {}…", short(.signed), short(.computed))]
    NotSigned {
        /// The size that was signed.
        size: u64,
        /// The root that was signed.
        signed: Hash,
        /// The root of what was found.
        computed: Hash,
    },
    /// A tile has hashes that are not those of the tree that was signed.
    #[error("the tile `{path}` is not of the tree that was signed")]
    Tile {
        /// Its path.
        path: String,
    },
    /// An entry of the log is not the digest that was signed for.
    #[error("entry {index} is not the one signed for")]
    Entry {
        /// Its place.
        index: u64,
    },
    /// The bytes kept as a payload are not those of their digest.
    #[error("a payload of record {index} was changed: expected digest {expected}")]
    Payload {
        /// The record that names it.
        index: u64,
        /// The digest it is kept under.
        expected: Digest,
    },
    /// A file that only this library writes does not have its form.
    #[error("`{path}` cannot be read: it is cut, or a length in it was altered")]
    Malformed {
        /// Its path.
        path: String,
    },
    /// The log grew, and nothing shows that it continues what was seen before.
    #[error("expected a proof that {to} records continue the {from} seen before, found none")]
    Unproven {
        /// The size seen before.
        from: u64,
        /// The size found.
        to: u64,
    },
    /// The checkpoint is of another log than the one remembered.
    #[error("expected a checkpoint of `{expected}`, found one of `{found}`")]
    OtherLog {
        /// The log remembered.
        expected: Origin,
        /// The log found.
        found: Origin,
    },
    /// The checkpoint is not believed.
    #[error("the checkpoint is refused: {0}")]
    Checkpoint(#[from] PolicyError),
}

impl Finding {
    /// A word for it, for programs that read other programs' output.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Altered { .. } => "altered",
            Self::Swapped { .. } => "swapped",
            Self::Dropped { .. } => "dropped",
            Self::Repeated { .. } => "repeated",
            Self::Inserted { .. } => "inserted",
            Self::Truncated { .. } => "truncated",
            Self::Deleted { .. } => "deleted",
            Self::OlderCopy { .. } => "older-copy",
            Self::SplitView { .. } => "split-view",
            Self::Rewritten { .. } => "rewritten",
            Self::HeadRolledBack { .. } => "head-rolled-back",
            Self::HeadMismatch { .. } => "head-mismatch",
            Self::Chain(_) => "chain",
            Self::NotSigned { .. } => "not-signed",
            Self::Tile { .. } => "tile",
            Self::Entry { .. } => "entry",
            Self::Payload { .. } => "payload",
            Self::Malformed { .. } => "malformed",
            Self::Unproven { .. } => "unproven",
            Self::OtherLog { .. } => "other-log",
            Self::Checkpoint(_) => "checkpoint",
        }
    }
}
