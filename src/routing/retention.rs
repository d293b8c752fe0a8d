//! Payloads that are past their life (see [`crate::ssot::class`] for the rules).
//!
//! A payload is kept under its digest, and any number of records may name it. It is past
//! its life once every record that names it is: [`expired`] reads the log once for the
//! payloads that are still young, and then hands out the others. Erasing them is the
//! caller's next step; the chain does not notice.
//!
//! Time comes from the caller, and ages from the records' own times. What is young is held
//! in memory, 32 bytes for each payload.
//!
//! Requirements: PLAN-3.7.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::digest::{Digest, Domain};
use crate::routing::payloads::{Named, PayloadError, names};
use crate::ssot::class::{ClassRules, StateClass};
use crate::ssot::store::{Store, StoreError};
use crate::ssot::verify::RecordView;
use crate::time::Timestamp;

/// A payload that is past its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastLife {
    /// The digest it is kept under.
    pub digest: Digest,
    /// Its class.
    pub class: StateClass,
    /// The index of a record that names it.
    pub index: u64,
}

/// How many records are read at a time.
const PIECE: usize = 1024;

/// The class of a payload, by the domain that its digest is of.
pub const fn class_of(domain: Domain) -> Option<StateClass> {
    match domain {
        Domain::Intent | Domain::Objective => Some(StateClass::Intent),
        Domain::Output => Some(StateClass::Execution),
        _ => None,
    }
}

/// Plans what may be erased at `now`: payloads that are kept, and that every record which
/// names them has outlived.
///
/// # Errors
/// [`PayloadError`] when the log cannot be read.
pub fn expired<'a, S: Store + ?Sized>(
    store: &'a S,
    rules: &'a ClassRules,
    now: Timestamp,
) -> Result<Expired<'a, S>, PayloadError> {
    let mut young = BTreeSet::new();
    let mut next = 0;
    loop {
        let piece = piece(store, next)?;
        if piece.read == 0 {
            break;
        }
        next = next.saturating_add(piece.read);
        let kept = |(_, named, at): &(u64, Named, Timestamp)| {
            class_of(named.part.domain()).is_none_or(|class| !rules.is_expired(class, *at, now))
        };
        young.extend(
            piece.named.iter().filter(|named| kept(named)).map(|(_, named, _)| named.digest),
        );
    }
    Ok(Expired { store, young, end: next, next: 0, ready: Vec::new().into_iter() })
}

/// The payloads that are past their life, in the order of the log. Of each 1024 records it
/// names one once; after an error it yields nothing more.
#[derive(Debug)]
#[must_use = "a plan erases nothing"]
pub struct Expired<'a, S: ?Sized> {
    store: &'a S,
    young: BTreeSet<Digest>,
    end: u64,
    next: u64,
    ready: alloc::vec::IntoIter<PastLife>,
}

impl<S: Store + ?Sized> Iterator for Expired<'_, S> {
    type Item = Result<PastLife, PayloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(ready) = self.ready.next() {
                match self.store.payload(&ready.digest) {
                    Ok(Some(_)) => return Some(Ok(ready)),
                    // Erased before.
                    Ok(None) => continue,
                    Err(error) => return Some(Err(self.stop(error.into()))),
                }
            }
            if self.next >= self.end {
                return None;
            }
            let piece = match piece(self.store, self.next) {
                Ok(piece) => piece,
                Err(error) => return Some(Err(self.stop(error))),
            };
            // A record appended since is young; what it names may be in the plan already.
            self.next = if piece.read == 0 { self.end } else { self.next + piece.read };
            let mut once = BTreeSet::new();
            let mut ready = Vec::new();
            for (index, named, _) in piece.named {
                let Some(class) = class_of(named.part.domain()) else { continue };
                if !self.young.contains(&named.digest) && once.insert(named.digest) {
                    ready.push(PastLife { digest: named.digest, class, index });
                }
            }
            self.ready = ready.into_iter();
        }
    }
}

impl<S: ?Sized> Expired<'_, S> {
    fn stop(&mut self, error: PayloadError) -> PayloadError {
        self.next = self.end;
        self.ready = Vec::new().into_iter();
        error
    }
}

struct Piece {
    read: u64,
    named: Vec<(u64, Named, Timestamp)>,
}

fn piece<S: Store + ?Sized>(store: &S, from: u64) -> Result<Piece, PayloadError> {
    let mut piece = Piece { read: 0, named: Vec::new() };
    let mut own = Vec::new();
    let mut failed = None;
    let read: Result<(), StoreError> = store.scan(from, PIECE, &mut |bytes, _| {
        let index = from.saturating_add(piece.read);
        piece.read = piece.read.saturating_add(1);
        let Some(at) = RecordView::of(bytes).map(|view| view.timestamp) else { return };
        // A policy file has no end of life: what was decided under it is derived from it.
        if let Err(error) = names(index, bytes, &mut own, &mut Vec::new()) {
            failed.get_or_insert(error);
        }
        piece.named.extend(own.drain(..).map(|(index, named)| (index, named, at)));
    });
    read?;
    match failed {
        Some(error) => Err(error),
        None => Ok(piece),
    }
}
