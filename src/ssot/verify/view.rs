//! A record as it lies in its bytes: nothing is copied, nothing is allocated.

use crate::digest::Digest;
use crate::encode::Decode;
use crate::id::{Name, Subsystem};
use crate::ssot::record::{RECORD_VERSION, RecordKind, StreamId, StreamKind};
use crate::time::Timestamp;

/// The bytes before the stream's name: all of fixed width.
const FIXED: usize = 64;

/// The parts of a record that verification looks at.
///
/// INVARIANT (same records): bytes have a view and the view has a
/// [`stream`](RecordView::stream) exactly when
/// [`Record::decode_sealed`](crate::ssot::record::Record::decode_sealed) reads them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordView<'a> {
    pub(crate) kind: RecordKind,
    pub(crate) index: u64,
    pub(crate) sequence: u64,
    pub(crate) timestamp: Timestamp,
    pub(crate) previous: Digest,
    pub(crate) stream_kind: StreamKind,
    /// Not checked: neither that it is UTF-8 nor that it is a name.
    pub(crate) name: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// `None` when the bytes are no record whatever the stream's name is.
    #[inline]
    pub(crate) fn of(bytes: &'a [u8]) -> Option<Self> {
        let (fixed, rest) = bytes.split_first_chunk::<FIXED>()?;
        let [version, kind, source, ..] = *fixed;
        let (name, rest) = rest.split_at_checked(u32_at(fixed, 60)? as usize)?;
        let (length, body) = rest.split_first_chunk()?;
        if version != RECORD_VERSION || body.len() != u32::from_le_bytes(*length) as usize {
            return None;
        }
        tag::<Subsystem>(source)?;
        Some(Self {
            kind: tag(kind)?,
            index: u64_at(fixed, 3)?,
            sequence: u64_at(fixed, 11)?,
            timestamp: Timestamp::from_millis(u64_at(fixed, 19)?),
            previous: Digest::from_bytes(*fixed.get(27..)?.first_chunk()?),
            stream_kind: tag(*fixed.get(59)?)?,
            name,
            body,
        })
    }

    /// The stream; `None` when its name is none.
    pub(crate) fn stream(&self) -> Option<StreamId> {
        let name = Name::new(core::str::from_utf8(self.name).ok()?).ok()?;
        Some(StreamId::new(self.stream_kind, name))
    }
}

#[inline]
fn tag<T: Decode>(byte: u8) -> Option<T> {
    T::from_canonical(&[byte]).ok()
}

#[inline]
fn u32_at(fixed: &[u8; FIXED], at: usize) -> Option<u32> {
    fixed.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

#[inline]
fn u64_at(fixed: &[u8; FIXED], at: usize) -> Option<u64> {
    fixed.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
