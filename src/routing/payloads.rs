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
use alloc::vec::Vec;

use crate::digest::{Digest, Domain};
use crate::encode::{Decode as _, DecodeError};
use crate::routing::evidence::{EvidenceBlock, Outcome};
use crate::ssot::record::{Record, RecordKind};
use crate::ssot::store::{Store, StoreError};
use crate::ssot::verify::RecordView;

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
const PIECE: usize = 256;

/// A payload longer than this is hashed by itself, the others many at once.
const STAGED: usize = 1024;

/// Holds every payload of the log against the evidence that names it, in constant
/// memory. The log itself is verified by [`crate::ssot::verify`].
///
/// # Errors
/// The index of the first record with a payload that was changed, and
/// [`PayloadError`].
pub fn verify_payloads<S: Store + ?Sized>(store: &S) -> Result<PayloadReport, (u64, PayloadError)> {
    let mut report = PayloadReport::default();
    let mut next = 0;
    let mut named = Vec::new();
    loop {
        let start = next;
        let mut unread = None;
        named.clear();
        let scanned = store.scan(start, PIECE, &mut |bytes, _| {
            if unread.is_none() {
                unread = names(next, bytes, &mut named).err().map(|error| (next, error));
            }
            next = next.saturating_add(1);
        });
        scanned.map_err(|error| (start, error.into()))?;
        match sound_together(store, &named) {
            Some(sound) => report.add(named.len(), sound),
            // One of them is not: which, and what of it?
            None => {
                for name in &named {
                    let kept = kept(store, name.what, name.domain, name.digest);
                    let kept = kept.map_err(|error| (name.index, error))?;
                    report.add(1, usize::from(kept.is_some()));
                }
            }
        }
        if let Some(error) = unread {
            return Err(error);
        }
        if next == start {
            return Ok(report);
        }
    }
}

impl PayloadReport {
    const fn add(&mut self, named: usize, sound: usize) {
        self.sound = self.sound.saturating_add(sound as u64);
        self.erased = self.erased.saturating_add(named.saturating_sub(sound) as u64);
    }
}

/// A payload that a record's body names.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) index: u64,
    what: &'static str,
    pub(super) domain: Domain,
    pub(super) digest: Digest,
}

/// Appends what a record names.
pub(super) fn names(index: u64, bytes: &[u8], named: &mut Vec<Named>) -> Result<(), PayloadError> {
    let unread = |source| PayloadError::Body { index, source };
    let Some(view) = RecordView::of(bytes).filter(|view| view.stream().is_some()) else {
        return Record::decode_sealed(bytes).map(drop).map_err(unread);
    };
    let mut name = |what, domain, digest: Option<Digest>| {
        named.extend(digest.map(|digest| Named { index, what, domain, digest }));
    };
    match view.kind {
        RecordKind::EvidenceBlock => {
            let block = EvidenceBlock::from_canonical(view.body).map_err(unread)?;
            name("intent", Domain::Intent, block.kind.is_some().then_some(block.intent));
            name("objective", Domain::Objective, block.objective);
        }
        RecordKind::Outcome => {
            let outcome = Outcome::from_canonical(view.body).map_err(unread)?;
            name("output", Domain::Output, outcome.output);
        }
        _ => {}
    }
    Ok(())
}

/// How many of the payloads are kept; `None` when one of them was changed or the store
/// could not be read.
fn sound_together<S: Store + ?Sized>(store: &S, named: &[Named]) -> Option<usize> {
    let mut sound = 0;
    for domain in [Domain::Intent, Domain::Objective, Domain::Output] {
        let own = named.iter().filter(|name| name.domain == domain);
        let digests: Vec<Digest> = own.map(|name| name.digest).collect();
        for digests in digests.chunks(PIECE) {
            sound += sound_of(store, domain, digests)?;
        }
    }
    Some(sound)
}

fn sound_of<S: Store + ?Sized>(store: &S, domain: Domain, digests: &[Digest]) -> Option<usize> {
    let (mut staged, mut ends, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    let (mut kept, mut changed) = (0, false);
    let shown = store.payloads(digests, &mut |number, bytes| {
        let Some(digest) = digests.get(number) else { return };
        kept += 1;
        if bytes.len() > STAGED {
            changed |= domain.hash(bytes) != *digest;
        } else {
            staged.extend_from_slice(bytes);
            ends.push(staged.len());
            expected.push(*digest);
        }
    });
    let mut from = 0;
    let cut = |&end: &usize| staged.get(core::mem::replace(&mut from, end)..end);
    let messages: Vec<&[u8]> = ends.iter().filter_map(cut).collect();
    let mut found = alloc::vec![Digest::ZERO; expected.len()];
    domain.hash_many(&messages, &mut found);
    (shown.is_ok() && !changed && found == expected).then_some(kept)
}
