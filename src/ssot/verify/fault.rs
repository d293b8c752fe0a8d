//! What can be wrong with a log.

use crate::digest::Digest;
use crate::encode::DecodeError;
use crate::ssot::merkle::{Hash, NodeId, TreeHead};
use crate::ssot::record::{Head, StreamId};

/// Where a record was read: in the log, or in its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// At this index of the log.
    Log(u64),
    /// At this sequence of this stream.
    Stream(StreamId, u64),
}

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Log(index) => write!(f, "record {index}"),
            Self::Stream(stream, sequence) => write!(f, "record {sequence} of `{stream}`"),
        }
    }
}

/// What is wrong with a log, at the first record where it shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The bytes are not those that were sealed: a bit flipped, or they were replaced.
    #[error("{place}: expected digest {stored}, found bytes with digest {computed}")]
    Digest {
        /// Where.
        place: Place,
        /// The digest stored beside the bytes.
        stored: Digest,
        /// The digest of the bytes.
        computed: Digest,
    },
    /// The bytes have their digest but are not a record.
    #[error("{place}: {source}")]
    Undecodable {
        /// Where.
        place: Place,
        /// Why not.
        source: DecodeError,
    },
    /// Another record stands here: swapped, repeated, or one before it was dropped.
    #[error("{place}: expected a record of index {expected}, found one of index {found}")]
    Index {
        /// Where.
        place: Place,
        /// The index that belongs here (at least this, in a stream).
        expected: u64,
        /// The index that the record names.
        found: u64,
    },
    /// A record of another stream stands here.
    #[error("{place}: expected a record of this stream, found one of `{found}`")]
    Stream {
        /// Where.
        place: Place,
        /// The stream that the record names.
        found: StreamId,
    },
    /// The record is not the next of its stream.
    #[error("{place}: expected sequence {expected} of its stream, found {found}")]
    Sequence {
        /// Where.
        place: Place,
        /// The sequence that comes next.
        expected: u64,
        /// The sequence that the record names.
        found: u64,
    },
    /// The record does not follow the one before it in its stream.
    #[error("{place}: expected it to follow {expected}, found it to follow {found}")]
    Previous {
        /// Where.
        place: Place,
        /// The digest of the record before it.
        expected: Digest,
        /// The digest it names as previous.
        found: Digest,
    },
    /// A record that must be there is not.
    #[error("{place}: expected record {sequence} of `{stream}` to be there, found none")]
    Missing {
        /// The record that shows it.
        place: Place,
        /// The stream in which one is missing.
        stream: StreamId,
        /// The sequence of the missing one.
        sequence: u64,
    },
    /// The stream's index names another record at this record's sequence.
    #[error("{place}: expected the index of its stream to lead to it, found record {found}")]
    StreamIndex {
        /// Where.
        place: Place,
        /// The record that the stream's index leads to.
        found: u64,
    },
    /// The stream's head counts fewer records than there are.
    #[error("{place}: expected the head of `{stream}` to lie behind it, found {found}")]
    BehindHead {
        /// Where.
        place: Place,
        /// The stream.
        stream: StreamId,
        /// Its head, as stored.
        found: Head,
    },
    /// A stream's head is not that of its last record.
    #[error("expected `{stream}` to end at {expected}, found head {found}")]
    HeadMismatch {
        /// The stream.
        stream: StreamId,
        /// The head by its last record.
        expected: Head,
        /// The head as stored.
        found: Head,
    },
    /// A head without any record.
    #[error("expected no head of `{stream}`, which has no record, found {found}")]
    ExtraHead {
        /// The stream.
        stream: StreamId,
        /// The head as stored.
        found: Head,
    },
    /// The heads count more records than the log has: its end was cut off.
    #[error(
        "record {index}: expected {expected} records by the streams' heads, found the log's end"
    )]
    Truncated {
        /// The first index that is missing.
        index: u64,
        /// How many records the heads count.
        expected: u64,
    },
    /// A node of the tree that the store keeps does not follow from the records.
    #[error("{node} of the tree: expected {expected}, found {found}")]
    TreeNode {
        /// Which one.
        node: NodeId,
        /// Its hash by the records.
        expected: Hash,
        /// The hash as stored.
        found: Hash,
    },
    /// A node of the tree that the store keeps is not there.
    #[error("{node} of the tree: expected {expected}, found none")]
    TreeMissing {
        /// Which one.
        node: NodeId,
        /// Its hash by the records.
        expected: Hash,
    },
    /// The tree that the store keeps ends otherwise than the records do.
    #[error("expected the tree to end at {expected}, found {found}")]
    TreeHead {
        /// Size and root by the records.
        expected: TreeHead,
        /// Size and root as stored.
        found: TreeHead,
    },
}
