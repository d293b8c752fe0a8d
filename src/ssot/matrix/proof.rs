//! The tree of the records that were looked at, and what it is held against.
//!
//! For every record an inclusion proof could be made and checked. The same follows from
//! less: the tree is built anew from the records themselves, and a tree has one root. So
//! when that root is the store's, every record's leaf is in the store's tree, at its
//! place, and no other leaf is. When it is not, the leaves are compared one by one to
//! name the record.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::digest::{Digest, Domain};
use crate::encode::{DecodeError, Reader, Writer};
use crate::ssot::matrix::cell::{Fault, Why};
use crate::ssot::matrix::check::{Check, Rule};
use crate::ssot::matrix::data::{LogFault, LogRule, Row};
use crate::ssot::matrix::examiner::Tracks;
use crate::ssot::matrix::walk::{Options, said_of_the_log};
use crate::ssot::merkle::{
    Frontier, Hash, LogTree, NodeId, ProveError, Sha256, consistency, leaf, root_at,
};
use crate::ssot::record::Record;
use crate::ssot::store::{Store, StoreError, Stored};

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
    Whole {
        tree: Box<Frontier<Sha256>>,
        /// Whether a record was named whose leaf is not that of the store's tree.
        named: bool,
    },
    /// A record at this index could not be read, so its leaf is not known.
    Gap(u64),
}

impl Trunk {
    pub(super) fn new() -> Self {
        Self::Whole { tree: Box::new(Frontier::new()), named: false }
    }

    /// The next leaf.
    pub(super) fn push(&mut self, record: &Digest, options: &Options, faults: &mut Vec<LogFault>) {
        let Self::Whole { tree, .. } = self else { return };
        tree.push(record.as_bytes());
        if let Some(checkpoint) = options.checkpoint.filter(|c| c.size == tree.size()) {
            compare(&checkpoint, &tree.root(), faults);
        }
    }

    /// The next leaf cannot be known.
    pub(super) fn poison(&mut self, index: u64) {
        if matches!(self, Self::Whole { .. }) {
            *self = Self::Gap(index);
        }
    }

    /// Holds what is known already against a checkpoint of a smaller tree, or of the same.
    pub(super) fn begin<S: Store + ?Sized>(
        &self,
        store: &S,
        checkpoint: Option<Checkpoint>,
        faults: &mut Vec<LogFault>,
    ) -> Result<(), StoreError> {
        let Self::Whole { tree, .. } = self else { return Ok(()) };
        let (root, size) = (tree.root(), tree.size());
        let Some(checkpoint) = checkpoint.filter(|c| c.size <= size && size > 0) else {
            return Ok(());
        };
        if checkpoint.size == size {
            compare(&checkpoint, &root, faults);
            return Ok(());
        }
        let found = match consistency(store, checkpoint.size, size) {
            Ok(proof) => match proof.verify::<Sha256>(&checkpoint.root, &root) {
                Ok(()) => return Ok(()),
                Err(error) => alloc::format!("a log that does not go on from it: {error}"),
            },
            Err(error) => beneath(error)?,
        };
        let index = checkpoint.size.saturating_sub(1);
        note(faults, LogFault::new(LogRule::Tree, index, checkpoint, found));
        Ok(())
    }

    /// What is wrong with the store's tree as far as this one goes.
    fn mismatch<S: Store + ?Sized>(&self, store: &S) -> Result<Option<String>, StoreError> {
        let (Self::Whole { tree, .. }, Some(kept)) = (self, store.kept_tree()) else {
            return Ok(None);
        };
        let head = match kept.kept_head() {
            Ok(head) => head,
            Err(error) if said_of_the_log(&error) => return Ok(Some(alloc::format!("{error}"))),
            Err(error) => return Err(error),
        };
        if head.size < tree.size() {
            return Ok(Some(alloc::format!("a tree of {} leaves", head.size)));
        }
        let root = if head.size == tree.size() {
            head.root
        } else {
            match root_at::<Sha256, _>(&LogTree(store), tree.size()) {
                Ok(root) => root,
                Err(error) => return beneath(error).map(Some),
            }
        };
        Ok((root != tree.root()).then(|| alloc::format!("root {root}")))
    }

    /// Names the records of the last walk whose leaves are not those of the store's tree;
    /// answers how many records were read for that: none, when nothing is wrong.
    pub(super) fn end<S: Store + ?Sized, M>(
        &mut self,
        store: &S,
        tracks: &mut Tracks<M>,
        (from, to): (u64, u64),
    ) -> Result<u64, StoreError> {
        let Some(kept) = store.kept_tree() else { return Ok(0) };
        if self.mismatch(store)?.is_none() {
            return Ok(0);
        }
        let mut read = 0;
        for index in from..to {
            let Some(stored) = one(store, index)? else { continue };
            read += 1;
            let expected = leaf(&Domain::Record.hash(&stored.bytes));
            let found = match kept.kept_nodes(&[NodeId { level: 0, index }]).as_deref() {
                Ok(&[found]) if found == expected => continue,
                Ok(&[found]) => alloc::format!("leaf {found}"),
                Ok(_) => "no leaf".into(),
                Err(error) => alloc::format!("{error}"),
            };
            if let Self::Whole { named, .. } = self {
                *named = true;
            }
            // What is no record was told when it was walked by.
            let Ok(record) = Record::decode_sealed(&stored.bytes) else { continue };
            if let Some(track) = tracks.get_mut(record.stream()) {
                let at = (index, record.sequence());
                track.fail(Fault::new(Rule::Leaf, at, alloc::format!("leaf {expected}"), found));
            }
        }
        Ok(read)
    }

    /// Lays over the rows what follows from the store's tree as it is now.
    pub(super) fn hold<S: Store + ?Sized>(
        &self,
        store: &S,
        rows: &mut [Row],
        faults: &mut Vec<LogFault>,
    ) -> Result<(), StoreError> {
        let why = match self {
            Self::Gap(index) => Some(Why::Gap { index: *index }),
            Self::Whole { .. } if store.kept_tree().is_none() => Some(Why::NoTree),
            Self::Whole { .. } => None,
        };
        if let Some(why) = why {
            for row in rows {
                row.end(Check::Proof, &why);
            }
            return Ok(());
        }
        let Self::Whole { tree, named: false } = self else { return Ok(()) };
        let Some(found) = self.mismatch(store)? else { return Ok(()) };
        // Every leaf is right, and the tree above them is not: it proves nothing of any.
        let expected = alloc::format!("root {} of {} records", tree.root(), tree.size());
        let index = tree.size().saturating_sub(1);
        for row in rows {
            let last = row.checked.saturating_sub(1);
            row.fail(&Fault::new(Rule::Root, (index, last), &expected, &found));
        }
        note(faults, LogFault::new(LogRule::Tree, index, expected, found));
        Ok(())
    }

    /// The root, while every leaf is known.
    pub(super) fn root(&self) -> Option<Digest> {
        match self {
            Self::Whole { tree, .. } => Some(Digest::from_bytes(*tree.root().as_bytes())),
            Self::Gap(_) => None,
        }
    }

    /// `0` and the index of the gap, or `1`, whether a leaf was named, the size and the hashes of the complete
    /// subtrees, the largest first.
    pub(super) fn save(&self, out: &mut Writer) {
        match self {
            Self::Gap(index) => {
                out.u8(0).u64(*index);
            }
            Self::Whole { tree, named } => {
                out.u8(1).bool(*named).u64(tree.size());
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
        let (named, size) = (input.bool()?, input.u64()?);
        let mut peaks = Vec::new();
        for _ in 0..size.count_ones() {
            peaks.push(Hash::from_bytes(*input.digest()?.as_bytes()));
        }
        let tree = Frontier::from_edge(size, peaks).ok_or(input.invalid("a tree of that size"))?;
        let tree = Box::new(tree);
        Ok(Self::Whole { tree, named })
    }
}

/// One record; none where the store cannot give it.
fn one<S: Store + ?Sized>(store: &S, index: u64) -> Result<Option<Stored>, StoreError> {
    match store.read(index, 1) {
        Ok(piece) => Ok(piece.into_iter().next()),
        Err(error) if said_of_the_log(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a failed proof says of the log; the store's own failures are passed on.
fn beneath(error: ProveError<StoreError>) -> Result<String, StoreError> {
    match error {
        ProveError::Nodes(error) if !said_of_the_log(&error) => Err(error),
        other => Ok(alloc::format!("{other}")),
    }
}

/// Adds a fault that is not there yet.
pub(super) fn note(faults: &mut Vec<LogFault>, fault: LogFault) {
    if !faults.contains(&fault) {
        faults.push(fault);
    }
}

fn compare(checkpoint: &Checkpoint, found: &Hash, faults: &mut Vec<LogFault>) {
    if checkpoint.root != *found {
        let index = checkpoint.size.saturating_sub(1);
        note(
            faults,
            LogFault::new(LogRule::Tree, index, checkpoint, alloc::format!("root {found}")),
        );
    }
}
