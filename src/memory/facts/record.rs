//! The body of a fact's record, byte by byte.
//!
//! | bytes | field | meaning |
//! |---|---|---|
//! | 1 | format | always 1 |
//! | 4 + n | key | length and UTF-8, a name |
//! | 8 | version | of the key, from 1 |
//! | 1 (+ v) | value | `0` withdrawn, or `1` and the value |
//! | 4 + s + 1 | label | sources in order, sensitivity |
//! | 1 (+ 4 + c) | context | `0` holds everywhere, or `1` and the session or tenant |
//! | 1 (+ 8) | expires at | `0` never, or `1` and milliseconds since 1970 |
//!
//! All as [`crate::encode`] says. The time of writing is the record's own.

use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::id::{FactKey, Name, SubjectId, Subsystem};
use crate::provenance::Label;
use crate::ssot::record::{Draft, RecordKind, StreamId, StreamKind};
use crate::time::Timestamp;
use crate::value::Value;

/// The format this module writes and reads.
pub const FACT_VERSION: u8 = 1;

/// A fact somebody wants remembered, before it has its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFact {
    /// The key.
    pub key: FactKey,
    /// The value; `None` withdraws the fact.
    pub value: Option<Value>,
    /// Where the value came from and how sensitive it is.
    pub label: Label,
    /// The session or tenant it belongs to; `None` when it holds everywhere.
    pub context: Option<Name>,
    /// From when on it no longer holds.
    pub expires_at: Option<Timestamp>,
}

impl NewFact {
    /// A fact that holds everywhere and does not expire.
    pub const fn new(key: FactKey, value: Value, label: Label) -> Self {
        Self { key, value: Some(value), label, context: None, expires_at: None }
    }

    /// The same fact in one context.
    #[must_use]
    pub fn within(mut self, context: Name) -> Self {
        self.context = Some(context);
        self
    }

    /// The same fact until a time.
    #[must_use]
    pub const fn until(mut self, end: Timestamp) -> Self {
        self.expires_at = Some(end);
        self
    }

    pub(super) fn at_version(self, version: u64) -> FactRecord {
        let Self { key, value, label, context, expires_at } = self;
        FactRecord { key, version, value, label, context, expires_at }
    }
}

/// One write of a fact, as its record says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactRecord {
    /// The key.
    pub key: FactKey,
    /// The key's version, from 1.
    pub version: u64,
    /// The value; `None` withdraws the fact.
    pub value: Option<Value>,
    /// Where the value came from and how sensitive it is.
    pub label: Label,
    /// The session or tenant it belongs to; `None` when it holds everywhere.
    pub context: Option<Name>,
    /// From when on it no longer holds.
    pub expires_at: Option<Timestamp>,
}

impl FactRecord {
    /// The record to append to the subject's memory stream.
    pub fn draft(&self, subject: &SubjectId) -> Draft {
        let stream = StreamId::new(StreamKind::Memory, subject.name().clone());
        Draft::new(stream, RecordKind::Fact, Subsystem::Memory, self.to_canonical())
    }
}

impl Encode for FactRecord {
    fn encode(&self, out: &mut Writer) {
        out.u8(FACT_VERSION)
            .value(&self.key)
            .u64(self.version)
            .option(self.value.as_ref())
            .value(&self.label)
            .option(self.context.as_ref())
            .option(self.expires_at.as_ref());
    }
}

impl Decode for FactRecord {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        let format = input.u8()?;
        if format != FACT_VERSION {
            return Err(Reader::bad_tag("fact format 1", format, offset));
        }
        let (key, version) = (input.value()?, input.u64()?);
        if version == 0 {
            return Err(input.invalid("a fact version from 1"));
        }
        Ok(Self {
            key,
            version,
            value: input.option()?,
            label: input.value()?,
            context: input.option()?,
            expires_at: input.option()?,
        })
    }
}
