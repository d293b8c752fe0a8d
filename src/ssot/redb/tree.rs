//! The log's tree in its table.
//!
//! A row is a subtree of height 4 by the hashes at its foot: sixteen of them, or as many as
//! are complete at the tree's right edge. Its key is a group and a number: row `r` of
//! group `g` begins with node 16`r` of level 4`g`. The levels between are computed.
//!
//! INVARIANT (with the records): rows are written in the transaction that writes the
//! records, so that the tree of the tables is that of the tables' records.

use std::format;
use std::vec::Vec;

use redb::{
    AccessGuard, Database, ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition,
    TableHandle as _, WriteTransaction,
};

use super::backend;
use super::tables::{RECORDS, damaged, durable, opening, reading, set_format, split, writing};
use crate::ssot::merkle::kept::{Kept, derive};
use crate::ssot::merkle::{Frontier, Hash, NodeId, Nodes, ProveError, resume, root_at};
use crate::ssot::store::StoreError;

type Key = (u8, u64);

pub(super) const TREE: TableDefinition<'_, Key, &[u8]> = TableDefinition::new("prospera.tree");

/// Its name.
pub(super) fn name() -> &'static str {
    TREE.name()
}

/// Hashes of a row, and bytes of a hash.
const WIDTH: u8 = 16;
const HASH: usize = 32;

/// The row in which a node stands, and its place there.
fn place(index: u64) -> (u64, usize) {
    let width = u64::from(WIDTH);
    (index / width, usize::try_from(index % width).unwrap_or_default())
}

/// So many records are read before their nodes are written, where a tree is built.
const BUILT: u64 = 1 << 12;

/// The table as a writer sees it.
pub(super) struct WriteTree<'t>(Table<'t, Key, &'static [u8]>);

impl<'t> WriteTree<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self(transaction.open_table(TREE).map_err(opening)?))
    }

    /// Writes nodes that follow on those in the table.
    pub(super) fn write(&mut self, kept: &Kept) -> Result<(), StoreError> {
        let mut bytes = Vec::with_capacity(usize::from(WIDTH) * HASH);
        for (group, first, mut rest) in kept.groups() {
            let mut at = first;
            while !rest.is_empty() {
                let (row, before) = place(at);
                let room = rest.len().min(usize::from(WIDTH).saturating_sub(before));
                let (own, later) = rest.split_at_checked(room).unwrap_or((rest, &[]));
                bytes.clear();
                if before > 0 {
                    let found = self.0.get((group, row)).map_err(reading)?;
                    let found = found.as_ref().and_then(|row| row.value().get(..before * HASH));
                    bytes.extend_from_slice(found.ok_or_else(|| missing(group, at - 1))?);
                }
                for hash in own {
                    bytes.extend_from_slice(hash.as_bytes());
                }
                self.0.insert((group, row), bytes.as_slice()).map_err(writing)?;
                at += own.len() as u64;
                rest = later;
            }
        }
        Ok(())
    }
}

/// The table as one reader sees it.
pub(super) struct ReadTree(ReadOnlyTable<Key, &'static [u8]>);

impl ReadTree {
    pub(super) fn open(transaction: &ReadTransaction) -> Result<Self, StoreError> {
        Ok(Self(transaction.open_table(TREE).map_err(opening)?))
    }

    /// One after the other, out of as few rows as can be.
    pub(super) const fn rows(&self) -> Rows<'_> {
        Rows { tree: self, row: None }
    }

    /// The tree of the first `size` records, to go on with.
    pub(super) fn frontier(&self, size: u64) -> Result<Frontier, StoreError> {
        resume(self, size).map_err(plain)
    }

    /// Its root.
    pub(super) fn root(&self, size: u64) -> Result<Hash, StoreError> {
        root_at::<crate::ssot::merkle::Sha256, _>(self, size).map_err(plain)
    }
}

fn plain(error: ProveError<StoreError>) -> StoreError {
    match error {
        ProveError::Nodes(error) => error,
        other => damaged(format!("the tree cannot be read: {other}")),
    }
}

impl Nodes for ReadTree {
    type Error = StoreError;

    fn node(&self, id: NodeId) -> Result<Hash, StoreError> {
        let mut rows = self.rows();
        derive(id, |group, index| rows.hash(group, index))
    }
}

/// A reader that remembers the last row.
pub(super) struct Rows<'a> {
    tree: &'a ReadTree,
    row: Option<(Key, AccessGuard<'static, &'static [u8]>)>,
}

impl Rows<'_> {
    /// A kept node.
    pub(super) fn hash(&mut self, group: u8, index: u64) -> Result<Hash, StoreError> {
        let (row, at) = place(index);
        let key = (group, row);
        if self.row.as_ref().is_none_or(|(last, _)| *last != key) {
            let row = self.tree.0.get(key).map_err(reading)?;
            self.row = Some((key, row.ok_or_else(|| missing(group, index))?));
        }
        let row = self.row.as_ref().map(|(_, row)| row.value()).unwrap_or_default();
        let hash = row.get(at * HASH..).and_then(<[u8]>::first_chunk);
        hash.map(|hash| Hash::from_bytes(*hash)).ok_or_else(|| missing(group, index))
    }
}

fn missing(group: u8, index: u64) -> StoreError {
    let id = NodeId { level: group.saturating_mul(4), index };
    damaged(format!("{id} of the tree is missing"))
}

/// Gives a store of an older format its tree, and the new format with it.
pub(super) fn build(database: &Database) -> Result<(), StoreError> {
    const WHAT: &str = "building the log's tree";
    let mut transaction = database.begin_write().map_err(|error| backend(WHAT, error))?;
    durable(&mut transaction)?;
    {
        // What an older build left behind there, if anything, is not of these records.
        transaction.delete_table(TREE).map_err(opening)?;
        let records = transaction.open_table(RECORDS).map_err(opening)?;
        let mut rows = WriteTree::open(&transaction)?;
        let mut kept = Kept::default();
        for row in records.iter().map_err(reading)? {
            let (index, value) = row.map_err(reading)?;
            let (index, expected) = (index.value(), kept.tree().size());
            if index != expected {
                return Err(damaged(format!("expected record {expected}, found record {index}")));
            }
            kept.push(&split(value.value(), index)?.0);
            if kept.tree().size().is_multiple_of(BUILT) {
                rows.write(&kept)?;
                kept = Kept::after(kept.tree().clone());
            }
        }
        rows.write(&kept)?;
        set_format(&transaction)?;
    }
    transaction.commit().map_err(|error| backend(WHAT, error))
}
