//! Snapshots: the state of a stream, kept as a record of the stream itself.
//!
//! A stream's state is what its records lead to, from the first one on. Every
//! [`SNAPSHOT_RECORDS`] records whoever writes the stream appends, in the same commit, a
//! record of kind [`RecordKind::Snapshot`] with that state, so that whoever takes the
//! stream up again reads the last snapshot and what stands behind it, and no more.
//!
//! # Where they stand
//!
//! A snapshot stands at a sequence that [`is_slot`] names: a multiple of
//! [`SNAPSHOT_RECORDS`], or one behind it. So the last one is found without reading what
//! is before it ([`last_snapshot`]), and none is ever asked for elsewhere. A stream may
//! lack one: it was written by an older build, or its state is larger than a record. Then
//! the one before counts, or the first record.
//!
//! # Body
//!
//! | bytes | field |
//! |---|---|
//! | 1 | version, always 1 |
//! | 1 | [`StreamKind`] of its stream |
//! | n | the state, in the form of the room that the stream belongs to |
//!
//! An audience's state is in [`crate::audience::any::AudienceSnapshot`], a session's in
//! [`crate::routing::desk`]. The head whose state it is, is the record's own link: its
//! sequence and the digest it names as previous.
//!
//! # What is believed
//!
//! A restore believes a snapshot as far as its record goes: it stands in a slot of the
//! stream, has its digest, and every later record up to the head links back to it. That it
//! tells the truth about what stands before it is for whoever has the time to read that:
//! a full replay of an audience holds each snapshot against the state it has come to, and
//! `Router::check_snapshots` does so for all streams. A snapshot that lies is
//! an error of its own there.
//!
//! INVARIANT (nothing new): a snapshot says what the records before it say. A log without
//! its snapshots leads to the same states.
//!
//! Requirements: PLAN-8.2.

use alloc::vec::Vec;

use crate::encode::{Decode as _, DecodeError, Reader, Writer};
use crate::limits::SNAPSHOT_RECORDS;
use crate::ssot::record::{Record, RecordKind, StreamId, StreamKind};
use crate::ssot::store::Store;
use crate::ssot::verify::{Fault, Place, VerifyError, open};

/// The version of a snapshot's body.
pub const SNAPSHOT_VERSION: u8 = 1;

/// Whether a snapshot may stand at this sequence.
pub const fn is_slot(sequence: u64) -> bool {
    sequence >= SNAPSHOT_RECORDS && sequence % SNAPSHOT_RECORDS <= 1
}

/// A snapshot's body: what stands before the state, and the state.
pub fn body(stream: StreamKind, state: &[u8]) -> Vec<u8> {
    let mut out = Writer::with_capacity(2 + state.len());
    out.u8(SNAPSHOT_VERSION).value(&stream).raw(state);
    out.into_bytes()
}

/// The state in a snapshot's body.
///
/// # Errors
/// [`DecodeError`] when it is of another version, or of another stream's kind.
pub fn state(stream: StreamKind, body: &[u8]) -> Result<&[u8], DecodeError> {
    let mut input = Reader::new(body);
    match input.u8()? {
        SNAPSHOT_VERSION => {}
        other => return Err(Reader::bad_tag("snapshot version 1", other, 0)),
    }
    if StreamKind::decode(&mut input)? != stream {
        return Err(input.invalid("a snapshot of its own kind of stream"));
    }
    input.raw(input.remaining())
}

/// The last snapshot of a stream that stands before index `before` of the log.
///
/// Reads two records for each slot that has none, and nothing else.
///
/// # Errors
/// [`VerifyError`] when the stream cannot be read, or a record that is looked at is not
/// that of its place.
pub fn last_snapshot<S: Store + ?Sized>(
    store: &S,
    stream: &StreamId,
    before: u64,
) -> Result<Option<Record>, VerifyError> {
    let length = store.head(stream)?.length();
    let mut slot = length.saturating_sub(1) / SNAPSHOT_RECORDS;
    while slot > 0 {
        let first = slot * SNAPSHOT_RECORDS;
        let records = store.read_stream(stream, first, 2)?;
        for (stored, sequence) in records.iter().zip(first..) {
            let place = || Place::Stream(stream.clone(), sequence);
            let record = open(stored, place)?;
            if record.stream() != stream {
                let found = record.stream().clone();
                return Err(Fault::Stream { place: place(), found }.into());
            }
            if record.sequence() != sequence {
                let (expected, found) = (sequence, record.sequence());
                return Err(Fault::Sequence { place: place(), expected, found }.into());
            }
            if record.kind() == RecordKind::Snapshot && record.index() < before {
                return Ok(Some(record));
            }
        }
        slot -= 1;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_the_multiples_and_the_next() {
        let slots: Vec<u64> = (0..3 * SNAPSHOT_RECORDS).filter(|s| is_slot(*s)).collect();
        let n = SNAPSHOT_RECORDS;
        assert_eq!(slots, [n, n + 1, 2 * n, 2 * n + 1]);
    }

    #[test]
    fn a_state_is_read_back_for_its_own_kind_of_stream() {
        let bytes = body(StreamKind::Audience, &[7, 8]);
        assert_eq!(bytes, [1, 1, 7, 8]);
        assert_eq!(state(StreamKind::Audience, &bytes), Ok(&[7, 8][..]));
        assert!(state(StreamKind::Routing, &bytes).is_err());
        assert!(state(StreamKind::Audience, &[2, 1]).is_err());
        assert!(state(StreamKind::Audience, &[]).is_err());
    }
}
