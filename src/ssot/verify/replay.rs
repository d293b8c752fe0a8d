//! One stream, read again and checked record by record.

use alloc::vec::Vec;

use super::{Fault, Place, VerifyError, follows, open};
use crate::digest::{Digest, Domain};
use crate::ssot::record::{Head, Record, StreamId};
use crate::ssot::store::{Store, Stored};

/// How many records are held at a time.
const PIECE: usize = 64;

/// The records of one stream, each checked before it is handed out.
///
/// The stream is read up to the head it has at the start; records that are appended
/// later are not part of the replay. After the first error it yields nothing more.
///
/// INVARIANT (verified replay): what was handed out is a prefix of a stream in which
/// each record follows the one before, and the whole ends in [`Replay::head`].
#[derive(Debug)]
#[must_use = "a replay reads nothing until it is iterated"]
pub struct Replay<'a, S: ?Sized> {
    store: &'a S,
    stream: StreamId,
    end: Head,
    at: Head,
    next_index: u64,
    /// Records that were read, with the digests of their bytes.
    piece: alloc::vec::IntoIter<(Stored, Digest)>,
    over: bool,
}

/// Starts the verified replay of what a stream has behind `after`, a head of it that the
/// caller knows. What stands before is not read; that it ends in `after` is what the first
/// record's link says.
///
/// # Errors
/// [`VerifyError::Store`] when the stream's head cannot be read.
pub fn replay_from<'a, S: Store + ?Sized>(
    store: &'a S,
    stream: &StreamId,
    after: Head,
) -> Result<Replay<'a, S>, VerifyError> {
    Ok(Replay { at: after, ..replay(store, stream)? })
}

/// Starts the verified replay of a stream.
///
/// # Errors
/// [`VerifyError::Store`] when the stream's head cannot be read.
pub fn replay<'a, S: Store + ?Sized>(
    store: &'a S,
    stream: &StreamId,
) -> Result<Replay<'a, S>, VerifyError> {
    let end = store.head(stream)?;
    Ok(Replay {
        store,
        stream: stream.clone(),
        end,
        at: Head::EMPTY,
        next_index: 0,
        piece: Vec::new().into_iter(),
        over: false,
    })
}

/// All records of a stream, verified.
///
/// # Errors
/// [`VerifyError`] at the first record that is bad; nothing is handed out then.
pub fn verify_stream<S: Store + ?Sized>(
    store: &S,
    stream: &StreamId,
) -> Result<Vec<Record>, VerifyError> {
    replay(store, stream)?.collect()
}

impl<S: Store + ?Sized> Replay<'_, S> {
    /// The head that the stream has; the last record handed out has it, too.
    pub const fn head(&self) -> Head {
        self.end
    }

    fn step(&mut self) -> Result<Option<Record>, VerifyError> {
        let sequence = self.at.length();
        if sequence >= self.end.length() {
            return if self.at == self.end { Ok(None) } else { Err(self.mismatch().into()) };
        }
        if self.piece.len() == 0 {
            let left = self.end.length().saturating_sub(sequence);
            let limit = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            self.piece = hashed(self.store.read_stream(&self.stream, sequence, limit)?).into_iter();
        }
        let place = || Place::Stream(self.stream.clone(), sequence);
        let Some((stored, computed)) = self.piece.next() else {
            let stream = self.stream.clone();
            return Err(Fault::Missing { place: place(), stream, sequence }.into());
        };
        let decoded = Record::decode_hashed(&stored.bytes, computed);
        let record = match decoded {
            Ok(record) if computed == stored.digest => record,
            // What of it is wrong?
            _ => open(&stored, place)?,
        };
        if *record.stream() != self.stream {
            let found = record.stream().clone();
            return Err(Fault::Stream { place: place(), found }.into());
        }
        follows(&record, self.at, place)?;
        if record.index() < self.next_index {
            let (expected, found) = (self.next_index, record.index());
            return Err(Fault::Index { place: place(), expected, found }.into());
        }
        self.at = record.head();
        self.next_index = record.index().saturating_add(1);
        // The last record is checked against the head before it is handed out.
        if self.at.length() == self.end.length() && self.at != self.end {
            return Err(self.mismatch().into());
        }
        Ok(Some(record))
    }

    fn mismatch(&self) -> Fault {
        Fault::HeadMismatch { stream: self.stream.clone(), expected: self.at, found: self.end }
    }
}

/// Hashes the records of a piece, many at once.
fn hashed(piece: Vec<Stored>) -> Vec<(Stored, Digest)> {
    let messages: Vec<&[u8]> = piece.iter().map(|stored| &*stored.bytes).collect();
    let mut digests = alloc::vec![Digest::ZERO; messages.len()];
    Domain::Record.hash_many(&messages, &mut digests);
    piece.into_iter().zip(digests).collect()
}

impl<S: Store + ?Sized> Iterator for Replay<'_, S> {
    type Item = Result<Record, VerifyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let step = self.step().transpose();
        self.over = !matches!(step, Some(Ok(_)));
        step
    }
}
