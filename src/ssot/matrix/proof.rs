//! The tree of the records that were looked at, and what it is held against.
//!
//! For every record an inclusion proof could be made and checked. The same follows from
//! less: the tree is built anew from the records themselves, and a tree has one root. So
//! when that root is the store's, every record's leaf is in the store's tree, at its
//! place, and no other leaf is. When it is not, the leaves are compared one by one to
//! name the record.

use alloc::vec::Vec;
use core::fmt;

use crate::digest::Digest;
use crate::encode::{DecodeError, Reader, Writer};
use crate::ssot::matrix::cell::Why;
use crate::ssot::matrix::check::Check;
use crate::ssot::matrix::data::{LogFault, LogRule, Row};
use crate::ssot::matrix::examiner::Tracks;
use crate::ssot::matrix::walk::Options;
use crate::ssot::merkle::{Frontier, Hash, Sha256};
use crate::ssot::store::{Store, StoreError};

/// Size and root of a tree, remembered elsewhere: what a checkpoint says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// How many records the log had.
    pub size: u64,
    /// The root of its tree.
    pub root: Hash,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "root {} at {} records", self.root, self.size)
    }
}

/// The tree of the records looked at.
#[derive(Debug, Clone)]
pub(super) enum Trunk {
    /// All of them.
    Whole(Frontier<Sha256>),
    /// A record at this index could not be read, so its leaf is not known.
    Gap(u64),
}

impl Trunk {
    pub(super) const fn new() -> Self {
        Self::Whole(Frontier::new())
    }

    /// The next leaf.
    pub(super) fn push(&mut self, record: &Digest, options: &Options, faults: &mut Vec<LogFault>) {
        let Self::Whole(tree) = self else { return };
        tree.push(record.as_bytes());
        if let Some(checkpoint) = options.checkpoint.filter(|c| c.size == tree.size()) {
            compare(&checkpoint, &tree.root(), faults);
        }
    }

    /// The next leaf cannot be known.
    pub(super) fn poison(&mut self, index: u64) {
        if matches!(self, Self::Whole(_)) {
            *self = Self::Gap(index);
        }
    }

    /// What a checkpoint says of a tree that is known already.
    pub(super) fn begin<S: Store + ?Sized>(
        &self,
        _store: &S,
        checkpoint: Option<Checkpoint>,
        faults: &mut Vec<LogFault>,
    ) {
        let Self::Whole(tree) = self else { return };
        if let Some(checkpoint) = checkpoint.filter(|c| c.size == tree.size()) {
            compare(&checkpoint, &tree.root(), faults);
        }
    }

    /// Names the records whose leaves are not those of the store's tree.
    pub(super) fn end<S: Store + ?Sized, M>(
        &self,
        _store: &S,
        _options: &Options,
        _tracks: &mut Tracks<M>,
        _faults: &mut Vec<LogFault>,
        _from: u64,
    ) -> Result<u64, StoreError> {
        Ok(0)
    }

    pub(super) fn hold<S: Store + ?Sized>(
        &self,
        _store: &S,
        rows: &mut [Row],
        _faults: &mut Vec<LogFault>,
    ) -> Result<(), StoreError> {
        for row in rows {
            for (check, cell) in Check::ALL.into_iter().zip(&mut row.cells) {
                if check == Check::Proof {
                    cell.end(Why::NoTree);
                }
            }
        }
        Ok(())
    }

    /// The root, while every leaf is known.
    pub(super) fn root(&self) -> Option<Digest> {
        match self {
            Self::Whole(tree) => Some(Digest::from_bytes(*tree.root().as_bytes())),
            Self::Gap(_) => None,
        }
    }

    /// `0` and the index of the gap, or `1`, the size and the hashes of the complete
    /// subtrees, the largest first.
    pub(super) fn save(&self, out: &mut Writer) {
        match self {
            Self::Gap(index) => {
                out.u8(0).u64(*index);
            }
            Self::Whole(tree) => {
                out.u8(1).u64(tree.size());
                let peaks: Vec<&Hash> = tree.peaks().collect();
                for peak in peaks.into_iter().rev() {
                    out.raw(peak.as_bytes());
                }
            }
        }
    }

    pub(super) fn load(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if !input.bool()? {
            return Ok(Self::Gap(input.u64()?));
        }
        let size = input.u64()?;
        let mut peaks = Vec::new();
        for _ in 0..size.count_ones() {
            peaks.push(Hash::from_bytes(*input.digest()?.as_bytes()));
        }
        let tree = Frontier::from_edge(size, peaks).ok_or(input.invalid("a tree of that size"))?;
        Ok(Self::Whole(tree))
    }
}

fn compare(checkpoint: &Checkpoint, found: &Hash, faults: &mut Vec<LogFault>) {
    if checkpoint.root != *found {
        let index = checkpoint.size.saturating_sub(1);
        let found = alloc::format!("root {found}");
        faults.push(LogFault::new(LogRule::Tree, index, checkpoint, found));
    }
}
