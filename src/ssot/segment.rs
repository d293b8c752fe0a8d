//! Closed segments of a log: packed, still read at random, still verified.
//!
//! A segment holds a stretch of the global log, from one index to another, and the payloads
//! its records name. Of what it gives back every record is, byte for byte, the one that was
//! packed: its digest is computed from what was unpacked, so chains, trees, proofs and
//! [`verify`](crate::ssot::verify::verify) know no difference. [`Segments`] reads a folder
//! of them as a [`Store`](crate::ssot::store::Store) that takes nothing.
//!
//! # What makes it small
//!
//! More than half of a log is digests, and no compressor makes a digest smaller. Most of
//! them need not be kept, because they can be computed again:
//!
//! | digest | is |
//! |---|---|
//! | `previous` of a record | the digest of the stream's record before it in the block |
//! | an outcome's evidence, a decision's record | the digest of an earlier record of the block |
//! | a Routing ID | a function of the body's other fields ([`Shape::derive`]) |
//! | the hash of an intent, an objective, an output, a part of a policy file | the digest of the payload, which is kept beside |
//! | pins, snapshots, a policy's digest | the same as many others: one of the segment's table |
//!
//! What is left is written as it is (a token's tag, and the hash of a payload that was
//! erased). A record whose digests are taken out is its *row*; rows of one class of a block
//! are compressed together by zstd with the dictionary of their class. A record that cannot
//! be made from its row again is kept whole.
//!
//! Salted payloads ([`crate::commitment`]) are not packed: their digests are no hashes of what
//! is kept. They stay with the live store, and what is unpacked lacks them as if erased.
//!
//! Dictionaries are trained on rows ([`train`]) and kept once, in a file of their own that is
//! named by its digest; a segment names those it needs.
//!
//! # Files
//!
//! `dict-DIGEST.zdict` is a zstd dictionary, `DIGEST` in hex is BLAKE3 of it in
//! [`Domain::Payload`](crate::digest::Domain). `segment-FIRST.pseg` is a segment, `FIRST` the
//! index of its first record in 20 digits. Numbers are as in [`crate::encode`]; a *varint* is
//! LEB128 (seven bits a byte, the lowest first, at most ten bytes), *signed* ones are
//! zigzag. A segment is, one after the other: its blocks, its index, its end.
//!
//! End, the last 52 bytes:
//!
//! | bytes | field |
//! |---|---|
//! | 8 | where the index starts |
//! | 4 | how many bytes it has |
//! | 32 | BLAKE3 of the index in [`Domain::Segment`](crate::digest::Domain) |
//! | 8 | `prosseg1` |
//!
//! The index names the digest of each block, so these 32 bytes stand for the whole file.
//!
//! Index:
//!
//! | form | field |
//! |---|---|
//! | `u64`, `u32` | index of the first record, how many records |
//! | list of digests | the tree before: its complete subtrees, the largest first |
//! | digest | the tree's root after |
//! | digest, digest | of the last record before (zeros when there is none), of the last record |
//! | list of (class `u8`, digest) | dictionaries |
//! | list of digests | the digest table |
//! | list of (`u32`, `u16`, digest, list of `u16`) | per block: bytes, records, BLAKE3 in `Segment`, the first two bytes of the digest of each payload |
//! | `u32`, bytes | streams: size, and a zstd frame of what follows |
//!
//! Streams, in the order of their ids: count; per stream its kind (`u8`), its name (text),
//! the sequence of its first record here, how many it has, and of each how far it stands
//! behind the one before (all varints; the first behind the segment's begin).
//!
//! Block:
//!
//! | form | field |
//! |---|---|
//! | `u64` ms | time that the first record's time is counted from |
//! | bytes | kinds: one byte a record, its [`RecordKind`](crate::ssot::record::RecordKind), or 0 for one kept whole |
//! | bytes | heads: per stream, in the order of its first record in the block, its sequence (varint) |
//! | list of (class `u8`, kind `u8`, size `u32`, bytes) | frames: kind 0 rows, 1 payloads; bytes: zstd, or as they are where `size` says so (see below) |
//! | the rest | digests as they are, 32 bytes each, in the order of their use |
//!
//! A frame whose bytes are as many as its size is not compressed. Where the first record of
//! a stream in the block is not the stream's first, the digest that it follows is used
//! before those of its own row. Payloads are a varint length and the bytes, one after
//! another; intents and objectives are of class intent, outputs of class execution, policy files
//! of class governance. The row
//! of a record kept whole is the stream's number and its bytes, in the frame of class audit.
//!
//! Row:
//!
//! | form | field |
//! |---|---|
//! | varint | number of the stream in the segment's list |
//! | `u8` | source |
//! | signed varint | ms behind the record before |
//! | varint | bytes of the body |
//! | varint | how many digests were taken out |
//! | per digest: varint, varint (, varint) | bytes since the one before, what it is, which |
//! | the rest of the body | |
//!
//! | what | takes out | which |
//! |---|---|---|
//! | 0 | 32 bytes: the next digest as it is | |
//! | 1 | 32 bytes: what the record follows | |
//! | 2 | 16 bytes: the beginning of what it follows | |
//! | 3 | 8 bytes: its time | |
//! | 4 | 32 bytes: digest of a payload of the block | which payload × 4 + domain (0 intent, 1 objective, 2 output, 3 policy file) |
//! | 5 | 32 bytes: what [`Shape::derive`] says | its hint |
//! | 6 | 32 bytes: digest of an earlier record of the block | how far before |
//! | 7 | 32 bytes: of the digest table | which |
//!
//! # Reading what a stranger wrote
//!
//! Every number is held against what it counts before anything is allocated, no frame is
//! unpacked to more than it declares, and it declares at most
//! [`SEGMENT_FRAME_BYTES`](crate::limits::SEGMENT_FRAME_BYTES). A segment with other
//! bytes than were written is refused where it shows: the index by the end's digest, a
//! block by the index's. That it is the *right* segment is for its chain to say:
//! [`Segments::open`] holds each one's beginning against the end of the one before, and
//! [`Segments::verify`] recomputes records, chains and trees.
//!
//! Requirements: PLAN-8.2.

use std::boxed::Box;
use std::path::PathBuf;
use std::string::ToString as _;

use crate::digest::Digest;
use crate::encode::DecodeError;
use crate::ssot::store::{AppendError, StoreError};

mod block;
mod index;
mod pack;
mod read;
mod row;
mod shape;
mod zip;

pub use index::SegmentHead;
pub use pack::{Options, Packed, pack, train};
pub use read::{Segments, Verified, unpack};
pub use shape::{Bare, Mark, PayloadOf, Shape};
pub use zip::Dictionaries;

/// A segment that cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// A file cannot be read or written.
    #[error("cannot {what} `{place}`: {source}")]
    File {
        /// `read` or `write`.
        what: &'static str,
        /// The file or folder.
        place: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The folder has files of another log, or none that continue each other.
    #[error("expected {expected} in `{place}`, found {found}")]
    Folder {
        /// The folder or file.
        place: PathBuf,
        /// What should be there.
        expected: Box<str>,
        /// What is there.
        found: Box<str>,
    },
    /// The file is no segment, or was changed.
    #[error("`{place}` is no sound segment: {what}")]
    Damaged {
        /// The file.
        place: PathBuf,
        /// What is wrong with it.
        what: Box<str>,
    },
    /// A record to be packed is not what its digest or its place says.
    #[error("record {index} cannot be packed: {what}")]
    Unsound {
        /// Its index.
        index: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// zstd failed.
    #[error("zstd: {0}")]
    Zstd(#[source] std::io::Error),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store did not take a record that was unpacked.
    #[error("record {index} was not taken: {source}")]
    Append {
        /// Its index.
        index: u64,
        /// Why not.
        source: AppendError,
    },
    /// A record that was unpacked became another in the store.
    #[error("record {index}: expected digest {expected}, found {found}")]
    Changed {
        /// Its index.
        index: u64,
        /// The digest in the segment.
        expected: Digest,
        /// The digest in the store.
        found: Digest,
    },
}

/// Why bytes are not what they should be: turned into [`SegmentError::Damaged`] with the
/// file's name.
#[derive(Debug)]
enum Bad {
    Decode(DecodeError),
    What(&'static str),
}

impl From<DecodeError> for Bad {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl Bad {
    fn text(&self) -> Box<str> {
        match self {
            Self::Decode(error) => error.to_string().into(),
            Self::What(what) => (*what).into(),
        }
    }
}

const fn bad<T>(what: &'static str) -> Result<T, Bad> {
    Err(Bad::What(what))
}

/// Reads bytes as an index (after a byte 0) or as a block (after any other), digests not
/// asked for: what a fuzzer reaches no other way. Whether they are one; a record of a block
/// that is not the record of its own bytes is an error.
///
/// # Errors
/// The index of such a record.
#[doc(hidden)]
pub fn read_any(bytes: &[u8], shape: &dyn Shape) -> Result<bool, u64> {
    use crate::ssot::record::{Record, StreamId, StreamKind};
    let Some((what, bytes)) = bytes.split_first() else { return Ok(false) };
    let Ok(unzip) = zip::Unzipper::new(&Dictionaries::none()) else { return Ok(false) };
    if *what == 0 {
        let Some((end, bytes)) = bytes.split_first_chunk() else { return Ok(false) };
        let end = u64::from(u32::from_le_bytes(*end));
        return Ok(index::Index::read(bytes, end, |b, size| unzip.unzip(None, b, size)).is_ok());
    }
    let row = |number: u32| {
        let name = crate::id::Name::new(&format!("s-{number}")).ok()?;
        let id = StreamId::new(StreamKind::Routing, name);
        Some(index::StreamRow { id, sequence: 0, positions: Vec::from([number]) })
    };
    let streams: Vec<_> = (0..64).filter_map(row).collect();
    let table = [Digest::ZERO; 64];
    let (streams, table, unzip) = (&*streams, &table[..], &unzip);
    let count = usize::from(*what);
    let with = block::With { first: 0, count, streams, table, shape, unzip };
    let Ok(block) = block::read(bytes, &with) else { return Ok(false) };
    for record in &block.records {
        if Record::decode_sealed(record.bytes()).as_ref() != Ok(record) {
            return Err(record.index());
        }
    }
    Ok(true)
}
