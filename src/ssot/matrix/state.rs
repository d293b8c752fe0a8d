//! What is remembered between two checks: a file, byte by byte.
//!
//! | field | form |
//! |---|---|
//! | magic, version | text `prospera integrity state`, `u8` 1 |
//! | examiner | text: [`Examiner::NAME`] |
//! | records looked at | `u64` |
//! | digest of the last | optional digest |
//! | tree | see [`Trunk`] |
//! | faults of the log, how many more | list, `u64` |
//! | examiner's own | bytes |
//! | streams | count, then each |
//! | digest | 32 bytes: of everything before, in [`Domain::IntegrityMatrix`] |
//!
//! | of a stream | form |
//! |---|---|
//! | id | stream kind, name |
//! | head | `u64`, digest |
//! | cells | nine |
//! | broken at, halted at | optional `u64`, optional `u64` |
//! | examiner's memo | bytes |
//!
//! INVARIANT (injective): streams stand in the order of their ids, so one memory has one
//! file; whatever is read back writes the same bytes.

use alloc::vec::Vec;

use crate::digest::Domain;
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::limits::MATRIX_STATE_BYTES;
use crate::ssot::matrix::check::CHECKS;
use crate::ssot::matrix::data::decode_cells;
use crate::ssot::matrix::examiner::{Examiner, Track, Tracks};
use crate::ssot::matrix::proof::Trunk;
use crate::ssot::matrix::walk::Inspector;
use crate::ssot::record::Head;

const MAGIC: &str = "prospera integrity state";
const VERSION: u8 = 1;
/// The fewest bytes that a stream takes: id, head, cells, two marks, memo.
const STREAM_LEAST: usize = 5 + 40 + CHECKS + 2 + 4;

/// Why a saved state cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It is longer than any that is written.
    #[error("expected a state of at most {limit} bytes, found {found}")]
    Long {
        /// The bound.
        limit: usize,
        /// How many there are.
        found: usize,
    },
    /// Its bytes are not those that were written.
    #[error("expected the digest of the state before it, found another: the file was changed")]
    Changed,
    /// It is no state of this version.
    #[error("expected a state of the integrity matrix: {0}")]
    Form(#[from] DecodeError),
    /// It was written by other checks.
    #[error("expected a state of `{expected}`, found one of other checks: check from the start")]
    Examiner {
        /// The examiner at hand.
        expected: &'static str,
    },
}

impl<X: Examiner> Inspector<X> {
    /// Everything that is remembered, as one file.
    pub fn save(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(256 + self.tracks.list.len() * 224);
        out.text(MAGIC).u8(VERSION).text(X::NAME).u64(self.next).option(self.last.as_ref());
        self.trunk.save(&mut out);
        out.list(&self.faults).u64(self.further);
        let mut part = Writer::new();
        self.examiner.save(&mut part);
        out.bytes(part.as_bytes());
        let mut tracks: Vec<&Track<X::Memo>> = self.tracks.list.iter().collect();
        tracks.sort_unstable_by(|a, b| a.stream.cmp(&b.stream));
        out.count(tracks.len());
        for track in tracks {
            out.value(&track.stream).u64(track.head.length()).digest(&track.head.digest());
            for cell in &track.cells {
                out.value(cell);
            }
            for mark in [track.broken, track.halted] {
                match mark {
                    None => out.u8(0),
                    Some(index) => out.u8(1).u64(index),
                };
            }
            part.clear();
            track.memo.encode(&mut part);
            out.bytes(part.as_bytes());
        }
        let digest = Domain::IntegrityMatrix.hash(out.as_bytes());
        out.digest(&digest);
        out.into_bytes()
    }

    /// Goes on from what [`Inspector::save`] wrote.
    ///
    /// What it says is believed as far as its writer is: whoever can write the file can
    /// say that anything was sound. Keep it where the log's own writer cannot write, or
    /// sign it.
    ///
    /// # Errors
    /// [`StateError`]; then the check starts from the beginning, with
    /// [`Inspector::new`].
    pub fn restore(examiner: X, bytes: &[u8]) -> Result<Self, StateError> {
        if bytes.len() > MATRIX_STATE_BYTES {
            return Err(StateError::Long { limit: MATRIX_STATE_BYTES, found: bytes.len() });
        }
        let mut input = Reader::new(bytes);
        if input.text()? != MAGIC {
            return Err(input.invalid("the state of an integrity matrix").into());
        }
        let (text, digest) = bytes.split_last_chunk::<32>().ok_or(StateError::Changed)?;
        if Domain::IntegrityMatrix.hash(text).as_bytes() != digest {
            return Err(StateError::Changed);
        }
        let offset = input.offset();
        let version = input.u8()?;
        if version != VERSION {
            return Err(Reader::bad_tag("state version 1", version, offset).into());
        }
        if input.text()? != X::NAME {
            return Err(StateError::Examiner { expected: X::NAME });
        }
        let mut state = Self::new(examiner);
        state.next = input.u64()?;
        state.last = input.option()?;
        state.trunk = Trunk::load(&mut input)?;
        state.faults = input.list()?;
        state.further = input.u64()?;
        let mut part = Reader::new(input.bytes()?);
        state.examiner.load(&mut part)?;
        part.finish()?;
        state.tracks = tracks(&mut input)?;
        input.digest()?;
        input.finish()?;
        Ok(state)
    }
}

fn tracks<M: Decode>(input: &mut Reader<'_>) -> Result<Tracks<M>, DecodeError> {
    let count = input.count(STREAM_LEAST)?;
    let mut tracks = Tracks::default();
    for _ in 0..count {
        let stream = input.value()?;
        let ascends = tracks.list.last().is_none_or(|last: &Track<M>| last.stream < stream);
        if !ascends {
            return Err(input.invalid("unique streams in ascending order"));
        }
        let head = Head::new(input.u64()?, input.digest()?);
        let cells = decode_cells(input)?;
        let mut mark = || -> Result<Option<u64>, DecodeError> {
            if input.bool()? { input.u64().map(Some) } else { Ok(None) }
        };
        let (broken, halted) = (mark()?, mark()?);
        let memo = M::from_canonical(input.bytes()?)?;
        tracks.insert(Track { stream, head, cells, broken, halted, memo });
    }
    Ok(tracks)
}
