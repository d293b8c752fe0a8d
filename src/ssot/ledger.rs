//! The ledger: the only mint of receipts.
//!
//! Evidence counts only once a store has it for certain (D-27), so what comes after
//! asks for a [`Receipt`], and a receipt comes from nowhere but [`check`], which
//! holds the store's answer against the batch that was asked for. [`Ledger`]
//! does both steps for a [`Store`]; an asynchronous store does its own I/O and calls
//! [`check`] with what it was answered.
//!
//! ```
//! use prospera::id::Subsystem;
//! use prospera::ssot::ledger::Ledger;
//! use prospera::ssot::memory::MemoryStore;
//! use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
//! use prospera::ssot::store::Batch;
//! use prospera::time::Timestamp;
//!
//! let ledger = Ledger::new(MemoryStore::new());
//! let stream = StreamId::new(StreamKind::Audience, "alice".parse()?);
//! let draft =
//!     Draft::new(stream.clone(), RecordKind::AudienceEvent, Subsystem::Audience, vec![1]);
//! let batch = Batch::new(Timestamp::from_millis(7)).expect(stream.clone(), Head::EMPTY);
//! let receipt = ledger.commit(batch.append(draft))?;
//! assert_eq!(receipt.first_index(), 0);
//! assert_eq!(receipt.head(&stream).map(|head| head.length()), Some(1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! INVARIANT (receipts): the records of a receipt are the drafts of its batch, each
//! once and in order, linked to the heads the batch expected. That a record's
//! digest is the digest of its bytes, and its parts are those of its bytes, holds
//! for every [`Record`]: sealing and decoding are its only constructors and both
//! compute them.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt::Display;

use crate::digest::Digest;
use crate::ssot::plan::Places;
use crate::ssot::record::{Head, Record, StreamId};
use crate::ssot::store::{AppendError, Batch, Committed, Durability, Store};

/// A store that is believed only after its answers were checked.
#[derive(Debug)]
pub struct Ledger<S> {
    store: S,
}

impl<S: Store> Ledger<S> {
    /// A ledger on a store.
    pub const fn new(store: S) -> Self {
        Self { store }
    }

    /// The store.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// The store again.
    pub fn into_store(self) -> S {
        self.store
    }

    /// Appends a batch and checks the answer. Takes the batch or a reference to it: the
    /// store sees it by reference only, so what the answer is held against is what was
    /// asked for, without a copy.
    ///
    /// # Errors
    /// [`LedgerError::Append`] as the store says; [`LedgerError::Dishonest`] when the
    /// store's answer is not what was asked for.
    pub fn commit(&self, batch: impl Borrow<Batch>) -> Result<Receipt, LedgerError> {
        let batch = batch.borrow();
        let committed = self.store.append(batch)?;
        check(batch, committed, self.store.durability())
    }
}

/// Proof that a batch was committed: a store said so, and what it said was checked.
///
/// Cannot be copied, made up or read from a file. Whoever needs the evidence to be
/// there takes it by value.
///
/// ```compile_fail,E0451
/// use prospera::ssot::ledger::Receipt;
/// let forged = Receipt { records: vec![], durability: prospera::ssot::store::Durability::Durable };
/// ```
/// ```compile_fail,E0599
/// fn twice(receipt: prospera::ssot::ledger::Receipt) {
///     let _copy = receipt.clone();
/// }
/// ```
#[derive(Debug)]
#[must_use = "a receipt is what proves that the evidence is kept"]
pub struct Receipt {
    records: Vec<Record>,
    durability: Durability,
}

impl Receipt {
    /// The sealed records, in the order of the drafts.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The records themselves; the receipt is spent.
    pub fn into_records(self) -> Vec<Record> {
        self.records
    }

    /// The global index of the first record.
    pub fn first_index(&self) -> u64 {
        self.records.first().map_or(0, Record::index)
    }

    /// The digests of the records, in order.
    pub fn digests(&self) -> impl Iterator<Item = Digest> + '_ {
        self.records.iter().map(Record::digest)
    }

    /// Whether the record of this digest is among those committed.
    pub fn covers(&self, digest: &Digest) -> bool {
        self.records.iter().any(|record| record.digest() == *digest)
    }

    /// The head of a stream after the batch; `None` when the batch didn't append to it.
    pub fn head(&self, stream: &StreamId) -> Option<Head> {
        self.records.iter().rfind(|record| record.stream() == stream).map(Record::head)
    }

    /// What the records survive.
    pub const fn durability(&self) -> Durability {
        self.durability
    }
}

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The store did not commit, or doesn't know whether it did.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The store's answer is not what was asked for. Final for this store: nothing it
    /// says about the batch may be believed.
    #[error(
        "the store answered with something else than was asked for: \
         record {position}: expected {field} {expected}, found {found}"
    )]
    Dishonest {
        /// Which record of the batch, from 0.
        position: usize,
        /// Which part of it.
        field: Field,
        /// What follows from the batch.
        expected: Box<str>,
        /// What the store says.
        found: Box<str>,
    },
}

impl LedgerError {
    /// Whether the batch may have been written all the same, so that the streams must
    /// be read again before anything is concluded.
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Append(AppendError::Unknown(_)) | Self::Dishonest { .. })
    }
}

/// A part of a store's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// How many records there are.
    Count,
    /// The stream.
    Stream,
    /// The expectation that a stream appended to must have, once.
    Expectation,
    /// The kind.
    Kind,
    /// The subsystem.
    Source,
    /// The time.
    Timestamp,
    /// The body.
    Body,
    /// The place in the stream.
    Sequence,
    /// The digest of the stream's previous record.
    Previous,
    /// The place in the log.
    Index,
}

impl Display for Field {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Count => "count",
            Self::Stream => "stream",
            Self::Expectation => "expectation",
            Self::Kind => "kind",
            Self::Source => "source",
            Self::Timestamp => "time",
            Self::Body => "body",
            Self::Sequence => "sequence",
            Self::Previous => "previous digest",
            Self::Index => "index",
        })
    }
}

/// Holds a store's answer against the batch and mints the receipt: the only place
/// where one is made.
///
/// # Errors
/// [`LedgerError::Dishonest`] that names the first record and part that differ.
pub fn check(
    batch: &Batch,
    committed: Committed,
    durability: Durability,
) -> Result<Receipt, LedgerError> {
    let records = committed.records;
    let drafts = batch.drafts();
    if records.is_empty() || records.len() != drafts.len() {
        let position = records.len().min(drafts.len());
        return Err(lie(position, Field::Count, drafts.len(), records.len()));
    }
    // Every record that an expected stream has already stands before the batch.
    let before = batch.expected().iter().fold(0_u64, |sum, (_, h)| sum.saturating_add(h.length()));
    let first = records.first().map_or(0, Record::index);
    if first < before {
        return Err(lie(0, Field::Index, format_args!("{before} or more"), first));
    }
    let Some(mut places) = Places::new(batch.expected()) else {
        return Err(lie(0, Field::Expectation, "once for each stream", "one twice"));
    };
    for (position, (draft, record)) in drafts.iter().zip(&records).enumerate() {
        let (answered, asked) = (record.stream(), draft.stream());
        ensure(answered == asked, position, Field::Stream, asked, answered)?;
        let (answered, asked) = (record.kind(), draft.kind());
        ensure(answered == asked, position, Field::Kind, Shown(asked), Shown(answered))?;
        let (answered, asked) = (record.source(), draft.source());
        ensure(answered == asked, position, Field::Source, Shown(asked), Shown(answered))?;
        let (answered, asked) = (record.timestamp(), batch.timestamp());
        ensure(answered == asked, position, Field::Timestamp, asked, answered)?;
        if record.body() != draft.body() {
            let show = |body: &[u8]| format!("of {} bytes ({})", body.len(), brief(body));
            return Err(lie(position, Field::Body, show(draft.body()), show(record.body())));
        }
        let stream = record.stream();
        let Some(place) = places.of(stream) else {
            let expected = format_args!("of `{stream}`");
            return Err(lie(position, Field::Expectation, expected, "none"));
        };
        let after = places.head(place, &records);
        let (answered, asked) = (record.sequence(), after.length());
        ensure(answered == asked, position, Field::Sequence, asked, answered)?;
        let (answered, asked) = (record.previous(), after.digest());
        ensure(answered == asked, position, Field::Previous, asked, answered)?;
        let (answered, asked) = (record.index(), first.saturating_add(position as u64));
        ensure(answered == asked, position, Field::Index, asked, answered)?;
        places.set_last(place, position);
    }
    Ok(Receipt { records, durability })
}

fn ensure(
    holds: bool,
    position: usize,
    field: Field,
    expected: impl Display,
    found: impl Display,
) -> Result<(), LedgerError> {
    if holds { Ok(()) } else { Err(lie(position, field, expected, found)) }
}

#[cold]
fn lie(position: usize, field: Field, expected: impl Display, found: impl Display) -> LedgerError {
    let (expected, found) = (expected.to_string().into(), found.to_string().into());
    LedgerError::Dishonest { position, field, expected, found }
}

/// The digest of a body, for people.
fn brief(body: &[u8]) -> impl Display {
    crate::digest::Domain::Other.hash(body).short().to_string()
}

/// A field-less value by its serialized name.
struct Shown<T>(T);

impl<T: serde::Serialize> Display for Shown<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.serialize(f)
    }
}
