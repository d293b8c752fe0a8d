//! Payloads: what a digest in the evidence stands for, held against it.
//!
//! Intents, objectives and outputs are kept beside the chain, under their digests, so
//! that they can be erased without breaking a proof. The chain therefore says nothing
//! about the bytes that are kept: whoever reads them hashes them again. [`intent`],
//! [`objective`] and [`output`] do, and [`verify_payloads`] does so for a whole log.
//!
//! INVARIANT (held against its digest): no function of this module gives out bytes that
//! are not those the evidence names.

use alloc::sync::Arc;

use crate::digest::{Digest, Domain};
use crate::encode::DecodeError;
use crate::routing::evidence::{EvidenceBlock, Outcome};
use crate::ssot::record::{Record, RecordKind};
use crate::ssot::store::{Store, StoreError};

/// Why a payload cannot be given out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The bytes kept are not those the evidence names.
    #[error("the {what} that is kept was changed: expected {expected}, found {found}")]
    Changed {
        /// `intent`, `objective` or `output`.
        what: &'static str,
        /// The digest in the evidence.
        expected: Digest,
        /// The digest of the bytes kept.
        found: Digest,
    },
    /// A record's body cannot be read.
    #[error("record {index} cannot be read: {source}")]
    Body {
        /// Its place in the global log.
        index: u64,
        /// Why not.
        source: DecodeError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The canonical bytes of the block's intent; `None` when they were erased, or when it
/// was no intent.
///
/// # Errors
/// [`PayloadError::Changed`], [`PayloadError::Store`].
pub fn intent<S: Store + ?Sized>(
    store: &S,
    block: &EvidenceBlock,
) -> Result<Option<Arc<[u8]>>, PayloadError> {
    match block.kind {
        Some(_) => kept(store, "intent", Domain::Intent, block.intent),
        None => Ok(None),
    }
}

/// The text of the block's objective; `None` when it was erased, or there was none.
///
/// # Errors
/// [`PayloadError::Changed`], [`PayloadError::Store`].
pub fn objective<S: Store + ?Sized>(
    store: &S,
    block: &EvidenceBlock,
) -> Result<Option<Arc<[u8]>>, PayloadError> {
    match block.objective {
        Some(digest) => kept(store, "objective", Domain::Objective, digest),
        None => Ok(None),
    }
}

/// The canonical bytes of an output; `None` when they were erased, or there was none.
///
/// # Errors
/// [`PayloadError::Changed`], [`PayloadError::Store`].
pub fn output<S: Store + ?Sized>(
    store: &S,
    outcome: &Outcome,
) -> Result<Option<Arc<[u8]>>, PayloadError> {
    match outcome.output {
        Some(digest) => kept(store, "output", Domain::Output, digest),
        None => Ok(None),
    }
}

fn kept<S: Store + ?Sized>(
    store: &S,
    what: &'static str,
    domain: Domain,
    expected: Digest,
) -> Result<Option<Arc<[u8]>>, PayloadError> {
    let Some(bytes) = store.payload(&expected)? else { return Ok(None) };
    let found = domain.hash(&bytes);
    if found == expected {
        Ok(Some(bytes))
    } else {
        Err(PayloadError::Changed { what, expected, found })
    }
}

/// What [`verify_payloads`] saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PayloadReport {
    /// Payloads that are those the evidence names.
    pub sound: u64,
    /// Payloads that the evidence names and that are not kept any more.
    pub erased: u64,
}

/// How many records are read at a time.
const CHUNK: usize = 64;

/// Holds every payload of the log against the evidence that names it, in constant
/// memory. The log itself is verified by [`crate::ssot::verify`].
///
/// # Errors
/// The index of the first record with a payload that was changed, and
/// [`PayloadError`].
pub fn verify_payloads<S: Store + ?Sized>(store: &S) -> Result<PayloadReport, (u64, PayloadError)> {
    let mut report = PayloadReport::default();
    let mut index = 0;
    loop {
        let piece = store.read(index, CHUNK).map_err(|error| (index, error.into()))?;
        if piece.is_empty() {
            return Ok(report);
        }
        for stored in &piece {
            check(store, index, &stored.bytes, &mut report).map_err(|error| (index, error))?;
            index = index.saturating_add(1);
        }
    }
}

fn check<S: Store + ?Sized>(
    store: &S,
    index: u64,
    bytes: &[u8],
    report: &mut PayloadReport,
) -> Result<(), PayloadError> {
    let body = |source| PayloadError::Body { index, source };
    let record = Record::decode_sealed(bytes).map_err(body)?;
    let mut count = |named: bool, kept: Option<Arc<[u8]>>| match (named, kept) {
        (true, Some(_)) => report.sound = report.sound.saturating_add(1),
        (true, None) => report.erased = report.erased.saturating_add(1),
        (false, _) => {}
    };
    match record.kind() {
        RecordKind::EvidenceBlock => {
            let block: EvidenceBlock = record.read().map_err(body)?;
            count(block.kind.is_some(), intent(store, &block)?);
            count(block.objective.is_some(), objective(store, &block)?);
        }
        RecordKind::Outcome => {
            let outcome: Outcome = record.read().map_err(body)?;
            count(outcome.output.is_some(), output(store, &outcome)?);
        }
        _ => {}
    }
    Ok(())
}
