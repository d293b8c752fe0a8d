//! Versioned facts of one subject, built from its memory stream and from nothing else.
//!
//! Each [`FactRecord`] is the body of one record of kind
//! [`RecordKind::Fact`](crate::ssot::record::RecordKind). [`Facts::apply`] takes the
//! records of the stream in order; the [`SnapshotId`] is the digest of the last one.
//!
//! A key counts its writes: version 1 is the first, whatever the context. Under one
//! key there is at most one fact per context, and one that belongs to no context.
//!
//! INVARIANT (replay): two [`Facts`] that took the same records are equal.
//! INVARIANT (chain position): `snapshot` is the digest of the last record taken,
//! and a record is taken only if it links to it.
//!
//! ```
//! use prospera::digest::Digest;
//! use prospera::id::SnapshotId;
//! use prospera::memory::{Facts, NewFact};
//! use prospera::provenance::{Label, Source};
//! use prospera::time::Timestamp;
//!
//! let mut facts = Facts::of("alice".parse()?);
//! let new = NewFact::new("iban".parse()?, "DE00".into(), Label::from(Source::User));
//! let record = facts.record(new);
//! let end = Digest::from_bytes([7; 32]); // of the sealed record
//! facts.apply_fact(record, end, Timestamp::from_millis(1))?;
//! assert_eq!(facts.version(&"iban".parse()?), Some(1));
//! assert_eq!(facts.snapshot(), SnapshotId::new(end));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::digest::Digest;
use crate::encode::DecodeError;
use crate::id::{FactKey, Name, SnapshotId, SubjectId};
use crate::limits::VALUE_DEPTH;
use crate::provenance::{Label, Source};
use crate::ssot::record::{Head, Record, RecordKind, StreamId, StreamKind};
use crate::time::Timestamp;
use crate::value::Value;

pub use record::{FACT_VERSION, FactRecord, NewFact};

mod record;

pub use crate::limits::{FACT_CONTEXTS as MAX_CONTEXTS, FACT_KEYS as MAX_KEYS};

/// One fact as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    value: Arc<Value>,
    label: Label,
    version: u64,
    context: Option<Name>,
    written_at: Timestamp,
    expires_at: Option<Timestamp>,
}

impl Fact {
    /// The value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Where the value came from and how sensitive it is.
    pub const fn label(&self) -> &Label {
        &self.label
    }

    /// The version of its key that wrote it, from 1.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The session or tenant it belongs to; `None` when it holds everywhere.
    pub const fn context(&self) -> Option<&Name> {
        self.context.as_ref()
    }

    /// When its record was sealed.
    pub const fn written_at(&self) -> Timestamp {
        self.written_at
    }

    /// From when on it no longer holds.
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Whether it no longer holds.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// The label of the value once it is read from memory: its own, and memory.
    pub fn read_label(&self) -> Label {
        self.label.clone().join(&Label::from(Source::Memory))
    }
}

/// Why a record does not continue these facts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FactsError {
    /// The record belongs to another stream.
    #[error("expected a record of a memory stream of this subject, found one of `{found}`")]
    Stream {
        /// The record's stream.
        found: StreamId,
    },
    /// The record does not follow the last one taken.
    #[error("expected record {} after {}, found record {found} after {}",
        expected.length(), expected.digest().short(), previous.short())]
    Chain {
        /// The end of what was taken.
        expected: Head,
        /// The record's place in its stream.
        found: u64,
        /// The record it says it follows.
        previous: Digest,
    },
    /// The record's body is no fact.
    #[error("expected a fact in record {sequence}: {source}")]
    Body {
        /// The record's place in its stream.
        sequence: u64,
        /// What is wrong with the bytes.
        source: DecodeError,
    },
    /// The fact skips or repeats a version of its key.
    #[error("expected version {expected} of fact `{key}`, found {found}")]
    Version {
        /// The key.
        key: FactKey,
        /// The next version.
        expected: u64,
        /// The record's version.
        found: u64,
    },
    /// A bound is reached.
    #[error("expected at most {limit} {what}, found one more at `{key}`")]
    Limit {
        /// What is bounded.
        what: &'static str,
        /// The bound.
        limit: usize,
        /// The key that would exceed it.
        key: FactKey,
    },
}

/// What one intent sees under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visible<'a> {
    /// Nothing was ever written there.
    Unknown,
    /// It was written and withdrawn.
    Withdrawn,
    /// Only another context holds a fact there.
    Elsewhere(&'a Fact),
    /// This fact.
    Here(&'a Fact),
    /// Two of the intent's contexts hold different values there.
    Torn(&'a Fact, &'a Fact),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Slot {
    version: u64,
    facts: Vec<Fact>,
}

/// The facts of one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    subject: Option<SubjectId>,
    head: Head,
    keys: BTreeMap<FactKey, Slot>,
    by_value: BTreeMap<Arc<Value>, Vec<(FactKey, Option<Name>)>>,
}

impl Default for Facts {
    fn default() -> Self {
        Self { subject: None, head: Head::EMPTY, keys: BTreeMap::new(), by_value: BTreeMap::new() }
    }
}

impl Facts {
    /// No facts yet, of this subject. [`Facts::default`] takes the subject of the
    /// first record instead.
    pub fn of(subject: SubjectId) -> Self {
        Self { subject: Some(subject), ..Self::default() }
    }

    /// Takes the stream's next record. A record of another kind than
    /// [`RecordKind::Fact`] only moves the snapshot.
    ///
    /// # Errors
    /// [`FactsError`]; nothing has changed then.
    pub fn apply(&mut self, record: &Record) -> Result<(), FactsError> {
        let stream = record.stream();
        let other = |subject: &SubjectId| subject.name() != stream.name();
        if stream.kind() != StreamKind::Memory || self.subject.as_ref().is_some_and(other) {
            return Err(FactsError::Stream { found: stream.clone() });
        }
        if record.sequence() != self.head.length() || record.previous() != self.head.digest() {
            return Err(FactsError::Chain {
                expected: self.head,
                found: record.sequence(),
                previous: record.previous(),
            });
        }
        if record.kind() == RecordKind::Fact {
            let body = |source| FactsError::Body { sequence: record.sequence(), source };
            let fact = record.read::<FactRecord>().map_err(body)?;
            self.write(fact, record.timestamp())?;
        }
        if self.subject.is_none() {
            self.subject = Some(stream.name().clone().into());
        }
        self.head = record.head();
        Ok(())
    }

    /// Takes a fact whose record the caller has just had sealed as the stream's
    /// next one, with that record's digest and time.
    ///
    /// # Errors
    /// [`FactsError::Version`] or [`FactsError::Limit`]; nothing has changed then.
    pub fn apply_fact(
        &mut self,
        fact: FactRecord,
        digest: Digest,
        at: Timestamp,
    ) -> Result<(), FactsError> {
        self.write(fact, at)?;
        self.head = Head::new(self.head.length().saturating_add(1), digest);
        Ok(())
    }

    /// Whether [`Facts::apply_fact`] would take this record. Ask before it is made
    /// durable: a record that is in the stream and cannot be taken ends its replay.
    ///
    /// # Errors
    /// [`FactsError::Version`] or [`FactsError::Limit`].
    pub fn admits(&self, record: &FactRecord) -> Result<(), FactsError> {
        let FactRecord { key, version, value, context, .. } = record;
        let slot = self.keys.get(key);
        let expected = slot.map_or(0, |slot| slot.version).saturating_add(1);
        if *version != expected {
            return Err(FactsError::Version { key: key.clone(), expected, found: *version });
        }
        let beyond = |what, limit| Err(FactsError::Limit { what, limit, key: key.clone() });
        if value.as_ref().is_some_and(|value| value.is_deeper_than(VALUE_DEPTH)) {
            return beyond("levels in the value of a fact", VALUE_DEPTH);
        }
        if slot.is_none() && self.keys.len() >= MAX_KEYS {
            return beyond("fact keys", MAX_KEYS);
        }
        let full = slot.filter(|slot| slot.facts.len() >= MAX_CONTEXTS && value.is_some());
        if full.is_some_and(|slot| slot.facts.iter().all(|fact| fact.context != *context)) {
            return beyond("contexts of one fact", MAX_CONTEXTS);
        }
        Ok(())
    }

    /// The record that would write this fact next.
    pub fn record(&self, new: NewFact) -> FactRecord {
        let version = self.version(&new.key).unwrap_or(0).saturating_add(1);
        new.at_version(version)
    }

    /// Whose facts these are, once known.
    pub const fn subject(&self) -> Option<&SubjectId> {
        self.subject.as_ref()
    }

    /// The end of the stream as far as it was taken.
    pub const fn head(&self) -> Head {
        self.head
    }

    /// The snapshot: the digest of the last record taken, zeros when there is none.
    pub const fn snapshot(&self) -> SnapshotId {
        SnapshotId::new(self.head.digest())
    }

    /// The newest fact under a key, whatever its context.
    pub fn get(&self, key: &FactKey) -> Option<&Fact> {
        self.keys.get(key)?.facts.iter().max_by_key(|fact| fact.version)
    }

    /// The fact that this version of a key wrote, if it still stands.
    pub fn at(&self, key: &FactKey, version: u64) -> Option<&Fact> {
        self.keys.get(key)?.facts.iter().find(|fact| fact.version == version)
    }

    /// All facts under a key, in the order of their contexts.
    pub fn under(&self, key: &FactKey) -> impl Iterator<Item = &Fact> {
        self.keys.get(key).map_or(&[][..], |slot| slot.facts.as_slice()).iter()
    }

    /// How often a key was written or withdrawn; `None` when never.
    pub fn version(&self, key: &FactKey) -> Option<u64> {
        self.keys.get(key).map(|slot| slot.version)
    }

    /// What an intent sees under a key when `within` says which contexts it is in.
    /// A fact of one of its contexts stands before the one that holds everywhere.
    pub fn visible(&self, key: &FactKey, within: impl Fn(&Name) -> bool) -> Visible<'_> {
        let Some(slot) = self.keys.get(key) else { return Visible::Unknown };
        let mut own: Option<&Fact> = None;
        for fact in slot.facts.iter().filter(|f| f.context.as_ref().is_some_and(&within)) {
            match own {
                Some(first) if first.value != fact.value => return Visible::Torn(first, fact),
                Some(first) if first.version > fact.version => {}
                _ => own = Some(fact),
            }
        }
        let shared = || slot.facts.iter().find(|fact| fact.context.is_none());
        match (own.or_else(shared), slot.facts.first()) {
            (Some(fact), _) => Visible::Here(fact),
            (None, Some(fact)) => Visible::Elsewhere(fact),
            (None, None) => Visible::Withdrawn,
        }
    }

    /// The facts that hold exactly this value, by key and context: which fact an
    /// argument was read from.
    pub fn holding<'a>(&'a self, value: &Value) -> impl Iterator<Item = (&'a FactKey, &'a Fact)> {
        let places = self.by_value.get(value).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|(key, context)| {
            let facts = &self.keys.get(key)?.facts;
            Some((key, facts.iter().find(|fact| fact.context == *context)?))
        })
    }

    /// All facts in the order of key and context.
    pub fn iter(&self) -> impl Iterator<Item = (&FactKey, &Fact)> {
        self.keys.iter().flat_map(|(key, slot)| slot.facts.iter().map(move |fact| (key, fact)))
    }

    /// How many keys were ever written.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    fn write(&mut self, record: FactRecord, at: Timestamp) -> Result<(), FactsError> {
        self.admits(&record)?;
        let FactRecord { key, version, value, label, context, expires_at } = record;
        let slot = self.keys.get(&key);
        let place = slot
            .map_or(Err(0), |slot| slot.facts.binary_search_by(|fact| fact.context.cmp(&context)));
        if let (Ok(_), Some(old)) = (place, slot.and_then(|slot| slot.facts.get(place.ok()?))) {
            let old = Arc::clone(&old.value);
            self.forget(&old, &key, context.as_ref());
        }
        let value = value.map(Arc::new);
        if let Some(value) = &value {
            let places = self.by_value.entry(Arc::clone(value)).or_default();
            let here = (key.clone(), context.clone());
            if let Err(at) = places.binary_search(&here) {
                places.insert(at, here);
            }
        }
        let slot = self.keys.entry(key).or_default();
        slot.version = version;
        let fact =
            value.map(|value| Fact { value, label, version, context, written_at: at, expires_at });
        match (place, fact) {
            (Ok(at), Some(fact)) => slot.facts.splice(at..=at, [fact]).for_each(drop),
            (Ok(at), None) => drop(slot.facts.remove(at)),
            (Err(at), Some(fact)) => slot.facts.insert(at, fact),
            (Err(_), None) => {}
        }
        Ok(())
    }

    /// Takes one place out of the index by value.
    fn forget(&mut self, value: &Value, key: &FactKey, context: Option<&Name>) {
        let Some(places) = self.by_value.get_mut(value) else { return };
        places.retain(|(k, c)| k != key || c.as_ref() != context);
        if places.is_empty() {
            self.by_value.remove(value);
        }
    }
}

#[cfg(test)]
mod tests;
