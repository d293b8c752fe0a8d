//! Payloads: what a digest in the evidence stands for, held against it.
//!
//! Intents, objectives and outputs are kept beside the chain, under their digests, so
//! that they can be erased without breaking a proof. The chain therefore says nothing
//! about the bytes that are kept: whoever reads them hashes them again. [`intent`],
//! [`objective`] and [`output`] do, and [`verify_payloads`] does so for a whole log.
//!
//! Where the evidence is salted, the salt is kept before the bytes, and what is held
//! against the evidence is the commitment to both ([`crate::commitment`]).
//!
//! INVARIANT (held against its digest): no function of this module gives out bytes that
//! are not those the evidence names.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::commitment::{Part, Salt, commit, from_kept};
use crate::digest::{Digest, Domain};
use crate::encode::{Decode as _, DecodeError};
use crate::intent::fields;
use crate::routing::evidence::{EvidenceBlock, Outcome};
use crate::routing::pins::{PolicyPinned, digest_of};
use crate::ssot::record::{Record, RecordKind};
use crate::ssot::store::{Store, StoreError};
use crate::ssot::verify::RecordView;
use crate::value::Value;

/// Why a payload cannot be given out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The bytes kept are not those the evidence names.
    #[error("the {what} that is kept was changed: expected {expected}, found {found}")]
    Changed {
        /// `intent`, `objective`, `output` or `policy file`.
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
        Some(_) => plain(store, Named::of(Part::Intent, block.intent, block.salted)),
        None => Ok(None),
    }
}

/// The salt of the block's intent, where it is salted; `None` when it was erased.
///
/// # Errors
/// [`PayloadError::Changed`], [`PayloadError::Store`].
pub fn intent_salt<S: Store + ?Sized>(
    store: &S,
    block: &EvidenceBlock,
) -> Result<Option<Salt>, PayloadError> {
    let named = Named::of(Part::Intent, block.intent, true);
    let kept = kept(store, named)?;
    Ok(kept.as_deref().and_then(from_kept).map(|(salt, _)| salt))
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
        Some(digest) => plain(store, Named::of(Part::Objective, digest, block.salted)),
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
        Some(digest) => plain(store, Named::of(Part::Output, digest, outcome.salted)),
        None => Ok(None),
    }
}

/// The plain bytes, without their salt.
fn plain<S: Store + ?Sized>(store: &S, named: Named) -> Result<Option<Arc<[u8]>>, PayloadError> {
    let kept = kept(store, named)?;
    Ok(match kept {
        Some(bytes) if named.salted => from_kept(&bytes).map(|(_, plain)| plain.into()),
        kept => kept,
    })
}

/// What is kept under a digest of the evidence, once it is held against it.
///
/// # Errors
/// [`PayloadError::Changed`], [`PayloadError::Store`].
pub(crate) fn kept<S: Store + ?Sized>(
    store: &S,
    named: Named,
) -> Result<Option<Arc<[u8]>>, PayloadError> {
    let Some(bytes) = store.payload(&named.digest)? else { return Ok(None) };
    let found = named.hash(&bytes);
    if found == named.digest {
        Ok(Some(bytes))
    } else {
        let (what, expected) = (named.part.name(), named.digest);
        Err(PayloadError::Changed { what, expected, found })
    }
}

/// A payload as its commitment sees it.
///
/// # Errors
/// [`DecodeError`] when the plain bytes are not of this part.
pub(crate) fn value_of(part: Part, plain: &[u8]) -> Result<Value, DecodeError> {
    match part {
        Part::Intent => fields::of_canonical(plain),
        Part::Objective => match core::str::from_utf8(plain) {
            Ok(text) => Ok(Value::from(text)),
            Err(_) => Err(DecodeError::Utf8 { offset: 0 }),
        },
        Part::Output => Value::from_canonical(plain),
    }
}

/// Appends the digests of the payloads that a record names, by its canonical bytes; none
/// where it cannot be read.
pub fn named(bytes: &[u8], digests: &mut Vec<Digest>) {
    let (mut own, mut policies) = (Vec::new(), Vec::new());
    if names(0, bytes, &mut own, &mut policies).is_ok() {
        digests.extend(own.iter().map(|(_, name)| name.digest));
        digests.extend(policies.iter().map(|(_, part)| part));
    }
}

/// Whether bytes that are kept are a salt and the plain bytes of an intent, an objective or
/// an output that this digest commits to: what is asked of a published log's payloads
/// (`ssot::tiles::Folder::salted`).
pub fn is_salted(digest: &Digest, kept: &[u8]) -> bool {
    let parts = [Part::Intent, Part::Objective, Part::Output];
    let mut parts = parts.into_iter().map(|part| Named::of(part, *digest, true));
    *digest != Digest::ZERO && parts.any(|named| named.hash(kept) == *digest)
}

/// What [`verify_payloads`] saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PayloadReport {
    /// Payloads that are those the evidence names, and the parts of policy files that pins
    /// name.
    pub sound: u64,
    /// Payloads that are named and not kept any more.
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
    let (mut named, mut policies) = (Vec::new(), Vec::new());
    loop {
        let start = next;
        let mut unread = None;
        named.clear();
        policies.clear();
        let scanned = store.scan(start, PIECE, &mut |bytes, _| {
            if unread.is_none() {
                let read = names(next, bytes, &mut named, &mut policies);
                unread = read.err().map(|error| (next, error));
            }
            next = next.saturating_add(1);
        });
        scanned.map_err(|error| (start, error.into()))?;
        match sound_together(store, &named) {
            Some(sound) => report.add(named.len(), sound),
            // One of them is not: which, and what of it?
            None => {
                for &(index, name) in &named {
                    let kept = kept(store, name).map_err(|error| (index, error))?;
                    report.add(1, usize::from(kept.is_some()));
                }
            }
        }
        for &(index, part) in &policies {
            let sound = policy_part(store, part).map_err(|error| (index, error))?;
            report.add(1, usize::from(sound));
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

/// A payload that evidence names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) part: Part,
    pub(crate) digest: Digest,
    pub(crate) salted: bool,
}

impl Named {
    pub(crate) const fn of(part: Part, digest: Digest, salted: bool) -> Self {
        Self { part, digest, salted }
    }

    /// What evidence and outcome name.
    pub(crate) fn by(block: &EvidenceBlock) -> impl Iterator<Item = Self> {
        let intent = block.kind.is_some().then_some((Part::Intent, block.intent));
        let objective = block.objective.map(|digest| (Part::Objective, digest));
        let salted = block.salted;
        let both = intent.into_iter().chain(objective);
        both.map(move |(part, digest)| Self { part, digest, salted })
    }

    /// What an outcome names.
    pub(crate) fn by_outcome(outcome: &Outcome) -> Option<Self> {
        let salted = outcome.salted;
        outcome.output.map(|digest| Self { part: Part::Output, digest, salted })
    }

    /// The digest of bytes that are kept; zeros when they cannot be of this part.
    fn hash(&self, kept: &[u8]) -> Digest {
        if !self.salted {
            return self.part.domain().hash(kept);
        }
        let Some((salt, plain)) = from_kept(kept) else { return Digest::ZERO };
        value_of(self.part, plain).map_or(Digest::ZERO, |value| commit(self.part, &salt, &value))
    }
}

/// Whether a part of a policy file is kept, once it is held against its digest.
fn policy_part<S: Store + ?Sized>(store: &S, expected: Digest) -> Result<bool, PayloadError> {
    let Some(bytes) = store.payload(&expected)? else { return Ok(false) };
    match digest_of(&bytes) {
        found if found == expected => Ok(true),
        found => Err(PayloadError::Changed { what: "policy file", expected, found }),
    }
}

/// Appends what a record names: payloads of routes, and parts of policy files, which are
/// never erased.
pub(super) fn names(
    index: u64,
    bytes: &[u8],
    named: &mut Vec<(u64, Named)>,
    policies: &mut Vec<(u64, Digest)>,
) -> Result<(), PayloadError> {
    let unread = |source| PayloadError::Body { index, source };
    let Some(view) = RecordView::of(bytes).filter(|view| view.stream().is_some()) else {
        return Record::decode_sealed(bytes).map(drop).map_err(unread);
    };
    match view.kind {
        RecordKind::EvidenceBlock => {
            let block = EvidenceBlock::from_canonical(view.body).map_err(unread)?;
            named.extend(Named::by(&block).map(|name| (index, name)));
        }
        RecordKind::Outcome => {
            let outcome = Outcome::from_canonical(view.body).map_err(unread)?;
            named.extend(Named::by_outcome(&outcome).map(|name| (index, name)));
        }
        RecordKind::PolicyPinned => {
            let pinned = PolicyPinned::from_canonical(view.body).map_err(unread)?;
            let parts = pinned.files.iter().flat_map(|file| &file.parts);
            policies.extend(parts.map(|part| (index, *part)));
        }
        _ => {}
    }
    Ok(())
}

/// How many of the payloads are kept; `None` when one of them was changed or the store
/// could not be read.
fn sound_together<S: Store + ?Sized>(store: &S, named: &[(u64, Named)]) -> Option<usize> {
    let mut sound = 0;
    for (_, name) in named.iter().filter(|(_, name)| name.salted) {
        sound += usize::from(kept(store, *name).ok()?.is_some());
    }
    for part in [Part::Intent, Part::Objective, Part::Output] {
        let domain = part.domain();
        let own = named.iter().filter(|(_, name)| name.part == part && !name.salted);
        let digests: Vec<Digest> = own.map(|(_, name)| name.digest).collect();
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
