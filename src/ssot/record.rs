//! Lineage records, format v1, byte by byte.
//!
//! A record is one canonical byte string (see [`crate::encode`]; integers are
//! little-endian) and its digest is BLAKE3 of exactly these bytes in
//! [`Domain::Record`]:
//!
//! | offset | bytes | field | meaning |
//! |---|---|---|---|
//! | 0 | 1 | version | always 1 |
//! | 1 | 1 | kind | [`RecordKind`] |
//! | 2 | 1 | source | [`Subsystem`] that asked for the record (ASM2-9) |
//! | 3 | 8 | index | place in the global log, from 0 |
//! | 11 | 8 | sequence | place in its stream, from 0 |
//! | 19 | 8 | timestamp | milliseconds since 1970 |
//! | 27 | 32 | previous | digest of the stream's previous record, zeros at sequence 0 |
//! | 59 | 1 | stream kind | [`StreamKind`] |
//! | 60 | 4 + n | stream name | length and UTF-8 |
//! | 64 + n | 4 + m | body | length and bytes, in the form of the record's kind |
//!
//! INVARIANT (chain continuity): the record at sequence `s > 0` of a stream holds
//! the digest of the record at `s - 1`; the record at global index `i` says `i`.
//! A record that was changed, moved, dropped or repeated breaks one of the two.
//!
//! ```
//! use prospera::id::Subsystem;
//! use prospera::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
//! use prospera::time::Timestamp;
//!
//! let stream = StreamId::new(StreamKind::Audience, "alice".parse()?);
//! let draft = Draft::new(stream, RecordKind::AudienceEvent, Subsystem::Audience, b"body".to_vec());
//! let record = Record::seal(draft, 0, Head::EMPTY, Timestamp::from_millis(7));
//! assert_eq!(Record::decode_sealed(record.bytes())?, record);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Requirements: ASM2-9.9, ASM2-9.10, ASM2-9.11, PLAN-3.7, PLAN-8.1.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Domain};
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer, byte_enum};
use crate::id::{Name, Subsystem};
use crate::limits::RECORD_BYTES;
use crate::time::Timestamp;

/// The format version this module writes and reads.
pub const RECORD_VERSION: u8 = 1;

/// What a record says. Its body has the form its kind names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RecordKind {
    /// One state change of an audience (D-9).
    AudienceEvent,
    /// The Safety Envelope blocked (ASM2-9.7).
    EnvelopeBlock,
    /// A transition was refused (D-3).
    TransitionRefused,
    /// A constitutional check ran (D-3).
    ConstitutionalCheck,
    /// A session was opened with verified claims (D-54).
    SessionOpened,
    /// A session was closed.
    SessionClosed,
    /// A Routing Evidence Block (IRM-6).
    EvidenceBlock,
    /// The outcome of an executed route.
    Outcome,
    /// A fact of the Memory System, new or replaced.
    Fact,
    /// Governance answered: approval, refusal, review, authorization.
    GovernanceDecision,
    /// A policy set became the locked version.
    PolicyPinned,
    /// The state of its own stream after the record before it ([`crate::ssot::snapshot`]).
    Snapshot,
    /// Other records came before a commit: which, and whether they matter to it.
    ConflictDetected,
    /// How a session compares with its subject's earlier ones (PLAN-8.3).
    IdentityScored,
}

impl RecordKind {
    /// The kind's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AudienceEvent => "audience-event",
            Self::EnvelopeBlock => "envelope-block",
            Self::TransitionRefused => "transition-refused",
            Self::ConstitutionalCheck => "constitutional-check",
            Self::SessionOpened => "session-opened",
            Self::SessionClosed => "session-closed",
            Self::EvidenceBlock => "evidence-block",
            Self::Outcome => "outcome",
            Self::Fact => "fact",
            Self::GovernanceDecision => "governance-decision",
            Self::PolicyPinned => "policy-pinned",
            Self::Snapshot => "snapshot",
            Self::ConflictDetected => "conflict-detected",
            Self::IdentityScored => "identity-scored",
        }
    }
}

byte_enum!(RecordKind, "a record kind", {
    AudienceEvent = 1, EnvelopeBlock = 2, TransitionRefused = 3, ConstitutionalCheck = 4,
    SessionOpened = 5, SessionClosed = 6, EvidenceBlock = 7, Outcome = 8, Fact = 9,
    GovernanceDecision = 10, PolicyPinned = 11, Snapshot = 12,
    ConflictDetected = 13, IdentityScored = 14,
});

/// What a stream is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StreamKind {
    /// The lineage of one audience, by subject.
    Audience,
    /// The routes of one session, by session: `/ssot/intent/routing/` (D-29).
    Routing,
    /// The identity of one session, by session.
    Session,
    /// The facts of one subject.
    Memory,
    /// Approvals, reviews and authorizations, by subject.
    Governance,
    /// The sessions of one subject, in the order in which they were opened.
    Subject,
    /// The policy sets in force, one after another.
    Policy,
}

byte_enum!(StreamKind, "a stream kind", {
    Audience = 1, Routing = 2, Session = 3, Memory = 4, Governance = 5, Subject = 6, Policy = 7,
});

impl StreamKind {
    /// The logical folder of the kind's streams (D-29 names the routing one).
    ///
    /// Requirements: IRM-6.9.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Audience => "/ssot/audience/",
            Self::Routing => "/ssot/intent/routing/",
            Self::Session => "/ssot/identity/session/",
            Self::Memory => "/ssot/memory/",
            Self::Governance => "/ssot/governance/",
            Self::Subject => "/ssot/identity/subject/",
            Self::Policy => "/ssot/governance/policy/",
        }
    }
}

/// One stream: what it is about and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId {
    kind: StreamKind,
    name: Name,
}

impl StreamId {
    /// The stream of this kind and name.
    pub const fn new(kind: StreamKind, name: Name) -> Self {
        Self { kind, name }
    }

    /// What the stream is about.
    pub const fn kind(&self) -> StreamKind {
        self.kind
    }

    /// Whose it is.
    pub const fn name(&self) -> &Name {
        &self.name
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind.path(), self.name)
    }
}

impl Encode for StreamId {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.kind).value(&self.name);
    }
}

impl Decode for StreamId {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { kind: input.value()?, name: input.value()? })
    }
}

/// The end of a stream: how many records it has and the digest of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Head {
    length: u64,
    digest: Digest,
}

impl Head {
    /// The head of a stream that has no record yet.
    pub const EMPTY: Self = Self { length: 0, digest: Digest::ZERO };

    /// The head after `length` records, the last of which has this digest.
    pub const fn new(length: u64, digest: Digest) -> Self {
        Self { length, digest }
    }

    /// How many records the stream has.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The digest of the last record; zeros when there is none.
    ///
    /// Requirements: ASM2-9.8, IRM-6.10.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.length, self.digest.short())
    }
}

/// A record before it has its place: everything but index, sequence, time and link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    stream: StreamId,
    kind: RecordKind,
    source: Subsystem,
    body: Vec<u8>,
}

impl Draft {
    /// A draft for a stream.
    pub const fn new(stream: StreamId, kind: RecordKind, source: Subsystem, body: Vec<u8>) -> Self {
        Self { stream, kind, source, body }
    }

    /// The stream it is for.
    pub const fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// What it says.
    pub const fn kind(&self) -> RecordKind {
        self.kind
    }

    /// The subsystem that asks for it.
    pub const fn source(&self) -> Subsystem {
        self.source
    }

    /// Its body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Its body, to be used again.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }
}

/// One record of the log: its canonical bytes, its digest, and the parts read from them.
///
/// Cloning one copies a pointer to the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    bytes: Arc<[u8]>,
    body_start: usize,
    digest: Digest,
    stream: StreamId,
    kind: RecordKind,
    source: Subsystem,
    index: u64,
    sequence: u64,
    timestamp: Timestamp,
    previous: Digest,
}

impl Record {
    /// Gives a draft its place: global index, the head it follows, and the time.
    pub fn seal(draft: Draft, index: u64, after: Head, timestamp: Timestamp) -> Self {
        let Draft { stream, kind, source, body } = draft;
        Self::write(&mut Writer::new(), stream, (kind, source), &body, index, after, timestamp)
    }

    /// [`Record::seal`] of a draft that stays the caller's, with a writer that is used
    /// again and again: what it holds is overwritten, its room stays. The record's own
    /// bytes are then the only allocation.
    pub fn seal_in(
        scratch: &mut Writer,
        draft: &Draft,
        index: u64,
        after: Head,
        timestamp: Timestamp,
    ) -> Self {
        let (stream, what) = (draft.stream.clone(), (draft.kind, draft.source));
        Self::write(scratch, stream, what, &draft.body, index, after, timestamp)
    }

    fn write(
        scratch: &mut Writer,
        stream: StreamId,
        (kind, source): (RecordKind, Subsystem),
        body: &[u8],
        index: u64,
        after: Head,
        timestamp: Timestamp,
    ) -> Self {
        scratch.clear();
        scratch.reserve(68 + stream.name.as_str().len() + body.len());
        scratch
            .u8(RECORD_VERSION)
            .value(&kind)
            .value(&source)
            .u64(index)
            .u64(after.length)
            .value(&timestamp)
            .digest(&after.digest)
            .value(&stream)
            .bytes(body);
        let bytes = scratch.as_bytes();
        Self {
            digest: Domain::Record.hash(bytes),
            body_start: bytes.len() - body.len(),
            bytes: bytes.into(),
            stream,
            kind,
            source,
            index,
            sequence: after.length,
            timestamp,
            previous: after.digest,
        }
    }

    /// Reads a record from its canonical bytes and computes its digest.
    ///
    /// # Errors
    /// [`DecodeError`] that names the offset and what was expected there.
    pub fn decode_sealed(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_hashed(&bytes.into(), Domain::Record.hash(bytes))
    }

    /// [`Record::decode_sealed`] of bytes that were hashed already, and are not copied.
    ///
    /// INVARIANT (own digest): `digest` is that of the bytes; a caller has just computed it.
    pub(crate) fn decode_hashed(bytes: &Arc<[u8]>, digest: Digest) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let version = input.u8()?;
        if version != RECORD_VERSION {
            return Err(Reader::bad_tag("record version 1", version, 0));
        }
        let (kind, source) = (input.value()?, input.value()?);
        let (index, sequence, timestamp) = (input.u64()?, input.u64()?, input.value()?);
        let (previous, stream) = (input.digest()?, input.value()?);
        let body = input.bytes()?.len();
        input.finish()?;
        Ok(Self {
            digest,
            body_start: bytes.len() - body,
            bytes: Arc::clone(bytes),
            stream,
            kind,
            source,
            index,
            sequence,
            timestamp,
            previous,
        })
    }

    /// The canonical bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The canonical bytes, shared: what a store keeps.
    pub fn shared_bytes(&self) -> Arc<[u8]> {
        Arc::clone(&self.bytes)
    }

    /// The digest of the canonical bytes (ASM2-9, `ssot_hash`; IRM-6.8, audit hash).
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The stream it belongs to.
    pub const fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// What it says.
    pub const fn kind(&self) -> RecordKind {
        self.kind
    }

    /// The subsystem that asked for it.
    pub const fn source(&self) -> Subsystem {
        self.source
    }

    /// Its place in the global log, from 0.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Its place in its stream, from 0.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// When it was sealed.
    pub const fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// The digest of the stream's previous record.
    pub const fn previous(&self) -> Digest {
        self.previous
    }

    /// The body, in the form of the record's kind.
    pub fn body(&self) -> &[u8] {
        self.bytes.get(self.body_start..).unwrap_or_default()
    }

    /// The head of the stream once this record is its last.
    pub const fn head(&self) -> Head {
        Head { length: self.sequence.saturating_add(1), digest: self.digest }
    }

    /// What it was sealed from.
    pub fn to_draft(&self) -> Draft {
        Draft::new(self.stream.clone(), self.kind, self.source, self.body().into())
    }

    /// The body read as a value.
    ///
    /// # Errors
    /// [`DecodeError`] when the body is not a `T`.
    pub fn read<T: Decode>(&self) -> Result<T, DecodeError> {
        T::from_canonical(self.body())
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("index", &self.index)
            .field("stream", &self.stream)
            .field("sequence", &self.sequence)
            .field("kind", &self.kind)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// Whether a draft's body fits into one record.
pub(crate) const fn fits(body: usize) -> bool {
    body <= RECORD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Record {
        let stream = StreamId::new(StreamKind::Routing, "s-1".parse().unwrap());
        let draft =
            Draft::new(stream, RecordKind::Outcome, Subsystem::Execution, alloc::vec![1, 2, 3]);
        Record::seal(
            draft,
            9,
            Head::new(4, Domain::Other.hash(b"prev")),
            Timestamp::from_millis(1_700_000_000_123),
        )
    }

    /// ASM2-9.8..ASM2-9.10, PLAN-8.1.
    #[test]
    fn the_layout_is_the_documented_one() {
        let record = sample();
        let bytes = record.bytes();
        assert_eq!(bytes[..3], [1, 8, 8]);
        assert_eq!(bytes[3..11], 9_u64.to_le_bytes());
        assert_eq!(bytes[11..19], 4_u64.to_le_bytes());
        assert_eq!(bytes[19..27], 1_700_000_000_123_u64.to_le_bytes());
        assert_eq!(bytes[27..59], *Domain::Other.hash(b"prev").as_bytes());
        assert_eq!(bytes[59..67], [2, 3, 0, 0, 0, b's', b'-', b'1']);
        assert_eq!(bytes[67..], [3, 0, 0, 0, 1, 2, 3]);
        assert_eq!(record.body(), [1, 2, 3]);
        assert_eq!(record.head(), Head::new(5, record.digest()));
    }

    /// ASM2-9.8, PLAN-3.7.
    #[test]
    fn every_bit_matters() {
        let record = sample();
        for i in 0..record.bytes().len() * 8 {
            let mut bytes = record.bytes().to_vec();
            bytes[i / 8] ^= 1 << (i % 8);
            if let Ok(other) = Record::decode_sealed(&bytes) {
                assert_ne!(other.digest(), record.digest(), "bit {i}");
            }
        }
    }

    #[test]
    fn truncated_and_extended_bytes_are_refused() {
        let record = sample();
        for end in 0..record.bytes().len() {
            assert!(Record::decode_sealed(&record.bytes()[..end]).is_err());
        }
        let mut longer = record.bytes().to_vec();
        longer.push(0);
        assert!(matches!(Record::decode_sealed(&longer), Err(DecodeError::Trailing { .. })));
    }
}
