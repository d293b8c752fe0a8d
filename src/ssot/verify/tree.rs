//! The log's tree, computed again from the records and held against the one that the store
//! keeps.

use alloc::vec::Vec;

use super::Fault;
use crate::digest::Digest;
use crate::ssot::merkle::kept::{is_kept, leaf};
use crate::ssot::merkle::span::Span;
use crate::ssot::merkle::{Hash, NodeId, TreeHead};
use crate::ssot::store::{Store, StoreError};

/// The tree over a stretch of the log, and those of its nodes that were complete since they
/// were last compared.
#[derive(Default)]
pub(super) struct Rebuilt {
    span: Span,
    ids: Vec<NodeId>,
    hashes: Vec<Hash>,
}

impl Rebuilt {
    /// Nothing yet; the first record will have this index.
    pub(super) fn from(begin: u64) -> Self {
        Self { span: Span::from(begin), ..Self::default() }
    }

    /// Appends a record by its digest.
    #[inline]
    pub(super) fn push(&mut self, digest: &Digest) {
        let Self { span, ids, hashes } = self;
        span.push_leaf(leaf(digest), &mut |id, hash| {
            if is_kept(id) {
                ids.push(id);
                hashes.push(*hash);
            }
        });
    }

    /// Appends the stretch that begins where this one ends.
    pub(super) fn append(&mut self, other: &Self) {
        let Self { span, ids, hashes } = self;
        span.append(&other.span, |id, hash| {
            if is_kept(id) {
                ids.push(id);
                hashes.push(*hash);
            }
        });
    }

    /// The root of a stretch that begins at the first record.
    pub(super) fn root(&self) -> Hash {
        self.span.root()
    }

    /// Whether the store keeps the nodes that were complete since the last comparison, or
    /// keeps no tree.
    pub(super) fn is_as_kept<S: Store + ?Sized>(&mut self, store: &S) -> Result<bool, StoreError> {
        let same = match store.kept_tree() {
            Some(kept) if !self.ids.is_empty() => kept.kept_nodes(&self.ids)? == self.hashes,
            _ => true,
        };
        self.ids.clear();
        self.hashes.clear();
        Ok(same)
    }

    /// The first of these nodes that the store does not keep as it is.
    pub(super) fn fault<S: Store + ?Sized>(
        &mut self,
        store: &S,
    ) -> Result<Option<Fault>, StoreError> {
        let Some(kept) = store.kept_tree() else { return Ok(None) };
        for (node, expected) in self.ids.drain(..).zip(self.hashes.drain(..)) {
            match kept.kept_nodes(&[node]).as_deref() {
                Ok(&[found]) if found == expected => {}
                Ok(&[found]) => return Ok(Some(Fault::TreeNode { node, expected, found })),
                Ok(_) | Err(StoreError::NoNode { .. } | StoreError::Damaged { .. }) => {
                    return Ok(Some(Fault::TreeMissing { node, expected }));
                }
                Err(_) => return kept.kept_nodes(&[node]).map(|_| None),
            }
        }
        Ok(None)
    }

    /// Whether the store's tree ends as this one does, which begins at the first record and
    /// has so many.
    pub(super) fn head_fault<S: Store + ?Sized>(
        &self,
        store: &S,
        size: u64,
    ) -> Result<Option<Fault>, StoreError> {
        let Some(kept) = store.kept_tree() else { return Ok(None) };
        let (expected, found) = (TreeHead { size, root: self.root() }, kept.kept_head()?);
        Ok((expected != found).then_some(Fault::TreeHead { expected, found }))
    }

    #[cfg(test)]
    pub(super) fn weight(&self) -> usize {
        self.ids.capacity() * size_of::<NodeId>() + self.hashes.capacity() * size_of::<Hash>()
    }
}
