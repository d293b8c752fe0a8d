//! The canonical encoding: one value, one byte string, and back.
//!
//! Everything prospera hashes or stores goes through this encoding. It is
//! injective because each part has a fixed width or stands behind its length:
//!
//! | part | bytes |
//! |---|---|
//! | `u8`, `u16`, `u32`, `u64` | little-endian, fixed width |
//! | `bool` | one byte, `0` or `1` |
//! | bytes, text | `u32` length, then the bytes (text: UTF-8) |
//! | digest | 32 bytes |
//! | optional | `0`, or `1` and the value |
//! | list | `u32` count, then the items |
//!
//! ```
//! use prospera::encode::{Reader, Writer};
//! let mut w = Writer::new();
//! w.u16(258).text("hi");
//! assert_eq!(w.as_bytes(), [2, 1, 2, 0, 0, 0, b'h', b'i']);
//! let mut r = Reader::new(w.as_bytes());
//! assert_eq!((r.u16()?, r.text()?), (258, "hi"));
//! r.finish()?;
//! # Ok::<(), prospera::encode::DecodeError>(())
//! ```
//!
//! INVARIANT (injective): [`Reader`] accepts exactly what [`Writer`] writes. A
//! `bool` other than 0 or 1, text that is not UTF-8 and bytes left over are errors.

use alloc::vec::Vec;

use crate::digest::{DIGEST_LEN, Digest};

/// Writes canonical bytes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// An empty writer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    /// An empty writer that uses the room of these bytes.
    pub fn over(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes }
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    /// Two bytes, little-endian.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Sixteen bytes, little-endian, two's complement.
    pub fn i128(&mut self, value: i128) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// `0` or `1`.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }

    /// A count or length as `u32`.
    ///
    /// What is encoded is bounded by [`crate::limits`], far below `u32::MAX`;
    /// a larger count is written as `u32::MAX`, which no reader accepts.
    pub fn count(&mut self, value: usize) -> &mut Self {
        self.u32(u32::try_from(value).unwrap_or(u32::MAX))
    }

    /// Length and bytes.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.count(value.len()).raw(value)
    }

    /// Length and UTF-8 bytes.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    /// 32 bytes.
    pub fn digest(&mut self, value: &Digest) -> &mut Self {
        self.raw(value.as_bytes())
    }

    /// A value that encodes itself.
    pub fn value<T: Encode + ?Sized>(&mut self, value: &T) -> &mut Self {
        value.encode(self);
        self
    }

    /// `0`, or `1` and the value.
    pub fn option<T: Encode>(&mut self, value: Option<&T>) -> &mut Self {
        match value {
            None => self.u8(0),
            Some(value) => self.u8(1).value(value),
        }
    }

    /// Count and items.
    pub fn list<T: Encode>(&mut self, items: &[T]) -> &mut Self {
        self.count(items.len());
        for item in items {
            item.encode(self);
        }
        self
    }

    /// Bytes as they are, without a length: only for parts of fixed width.
    pub fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(value);
        self
    }

    /// What was written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Makes room for `additional` more bytes.
    pub fn reserve(&mut self, additional: usize) {
        self.bytes.reserve(additional);
    }

    /// For how many bytes there is room in all.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Forgets what was written after the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
    }

    /// Forgets what was written and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// `N` bytes on the stack, filled from the front: for what is hashed and not kept.
///
/// INVARIANT (exact): whoever makes one puts exactly `N` bytes; more are cut off and
/// fewer leave zeros, which the known-answer vectors of each user would show.
#[derive(Debug)]
pub(crate) struct Fixed<const N: usize> {
    bytes: [u8; N],
    filled: usize,
}

impl<const N: usize> Fixed<N> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], filled: 0 }
    }

    #[inline]
    pub(crate) fn put(&mut self, value: &[u8]) -> &mut Self {
        let end = self.filled + value.len();
        if let Some(room) = self.bytes.get_mut(self.filled..end) {
            room.copy_from_slice(value);
            self.filled = end;
        }
        self
    }

    pub(crate) const fn into_bytes(self) -> [u8; N] {
        self.bytes
    }
}

/// A value with one canonical byte string.
pub trait Encode {
    /// Writes the value.
    fn encode(&self, out: &mut Writer);

    /// About how many bytes the canonical form takes: what is reserved for it. A wrong
    /// guess costs time and nothing else.
    fn room(&self) -> usize {
        64
    }

    /// The canonical bytes.
    fn to_canonical(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(self.room());
        self.encode(&mut out);
        out.into_bytes()
    }
}

/// A value that can be read back from its canonical bytes.
pub trait Decode: Sized {
    /// Reads one value.
    ///
    /// # Errors
    /// A [`DecodeError`] that says what was expected and at which offset.
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads one value from `bytes`, which must hold nothing else.
    ///
    /// # Errors
    /// As [`Decode::decode`], and [`DecodeError::Trailing`].
    fn from_canonical(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let value = Self::decode(&mut input)?;
        input.finish()?;
        Ok(value)
    }
}

/// Bytes that are not a canonical encoding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("expected {expected} more bytes at offset {offset}, found {found}")]
    Truncated {
        /// Bytes needed.
        expected: usize,
        /// Bytes left.
        found: usize,
        /// Where they were needed.
        offset: usize,
    },
    /// Bytes are left over.
    #[error("expected the end at offset {offset}, found {found} more bytes")]
    Trailing {
        /// Where the value ended.
        offset: usize,
        /// Bytes left.
        found: usize,
    },
    /// A number does not name anything of its kind.
    #[error("expected {expected} at offset {offset}, found {found}")]
    Tag {
        /// What the number should name.
        expected: &'static str,
        /// The number.
        found: u64,
        /// Where it stands.
        offset: usize,
    },
    /// A text is not UTF-8.
    #[error("expected UTF-8 text at offset {offset}")]
    Utf8 {
        /// Where the text starts.
        offset: usize,
    },
    /// A value is well-formed but breaks a rule of its type.
    #[error("expected {expected} at offset {offset}")]
    Invalid {
        /// The rule.
        expected: &'static str,
        /// Where the value ends.
        offset: usize,
    },
}

/// Reads canonical bytes.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// How many bytes were read.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// How many bytes are left.
    pub const fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// The next `len` bytes as they are.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer are left.
    pub fn raw(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        match self.bytes.split_at_checked(len) {
            Some((head, tail)) => {
                self.bytes = tail;
                self.offset += len;
                Ok(head)
            }
            None => Err(DecodeError::Truncated {
                expected: len,
                found: self.bytes.len(),
                offset: self.offset,
            }),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        out.copy_from_slice(self.raw(N)?);
        Ok(out)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    /// Two bytes, little-endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes, little-endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes, little-endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Sixteen bytes, little-endian, two's complement.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn i128(&mut self) -> Result<i128, DecodeError> {
        Ok(i128::from_le_bytes(self.array()?))
    }

    /// `0` or `1`.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], [`DecodeError::Tag`].
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        let offset = self.offset;
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(DecodeError::Tag { expected: "0 or 1", found: other.into(), offset }),
        }
    }

    /// A count of items that take at least `min_size` bytes each: a count that
    /// the bytes left cannot hold is refused before anything is allocated.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn count(&mut self, min_size: usize) -> Result<usize, DecodeError> {
        let count = self.u32()? as usize;
        let needed = count.saturating_mul(min_size.max(1));
        if needed > self.bytes.len() {
            return Err(DecodeError::Truncated {
                expected: needed,
                found: self.bytes.len(),
                offset: self.offset,
            });
        }
        Ok(count)
    }

    /// Length and bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.count(1)?;
        self.raw(len)
    }

    /// Length and UTF-8 text.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], [`DecodeError::Utf8`].
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        let offset = self.offset;
        core::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::Utf8 { offset })
    }

    /// 32 bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn digest(&mut self) -> Result<Digest, DecodeError> {
        Ok(Digest::from_bytes(self.array::<DIGEST_LEN>()?))
    }

    /// A value that decodes itself.
    ///
    /// # Errors
    /// As the value's own [`Decode::decode`].
    pub fn value<T: Decode>(&mut self) -> Result<T, DecodeError> {
        T::decode(self)
    }

    /// `0`, or `1` and a value.
    ///
    /// # Errors
    /// As [`Reader::bool`] and the value's own.
    pub fn option<T: Decode>(&mut self) -> Result<Option<T>, DecodeError> {
        if self.bool()? { T::decode(self).map(Some) } else { Ok(None) }
    }

    /// Count and items.
    ///
    /// # Errors
    /// As [`Reader::count`] and the items' own.
    pub fn list<T: Decode>(&mut self) -> Result<Vec<T>, DecodeError> {
        let count = self.count(1)?;
        (0..count).map(|_| T::decode(self)).collect()
    }

    /// The error that a number at `offset` names nothing of its kind.
    pub fn bad_tag(expected: &'static str, found: impl Into<u64>, offset: usize) -> DecodeError {
        DecodeError::Tag { expected, found: found.into(), offset }
    }

    /// The error that the value just read breaks a rule of its type.
    pub fn invalid(&self, expected: &'static str) -> DecodeError {
        DecodeError::Invalid { expected, offset: self.offset }
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`].
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Trailing { offset: self.offset, found: self.bytes.len() })
        }
    }
}

impl Encode for Digest {
    fn encode(&self, out: &mut Writer) {
        out.digest(self);
    }
}

impl Decode for Digest {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.digest()
    }
}

/// Encodes a field-less enum as one byte and back. The numbers are part of the
/// record format: they are never changed, only added to.
macro_rules! byte_enum {
    ($name:ident, $what:literal, { $($variant:ident = $number:literal,)* }) => {
        impl $name {
            /// The byte that stands for it in every canonical form.
            pub(crate) const fn to_byte(self) -> u8 {
                match self { $($name::$variant => $number,)* }
            }
        }
        impl $crate::encode::Encode for $name {
            fn encode(&self, out: &mut $crate::encode::Writer) {
                out.u8(self.to_byte());
            }
        }
        impl $crate::encode::Decode for $name {
            fn decode(
                input: &mut $crate::encode::Reader<'_>,
            ) -> Result<Self, $crate::encode::DecodeError> {
                let offset = input.offset();
                match input.u8()? {
                    $($number => Ok($name::$variant),)*
                    other => Err($crate::encode::Reader::bad_tag($what, other, offset)),
                }
            }
        }
    };
}
pub(crate) use byte_enum;
