//! A stretch of a tree's leaves that may begin anywhere: what one of several workers hashes,
//! until the stretches are put together.

use alloc::vec::Vec;

use super::{Hash, NodeId, Sha256, TreeHash};

/// The complete subtrees that the leaves from `begin` on consist of, from the left.
///
/// INVARIANT (as few as can be): no two neighbours are the children of one node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Span {
    end: u64,
    nodes: Vec<(NodeId, Hash)>,
}

impl Span {
    /// No leaf yet; the first will have this index.
    pub(crate) const fn from(begin: u64) -> Self {
        Self { end: begin, nodes: Vec::new() }
    }

    /// Appends a leaf by its hash, and shows each subtree that is complete with it.
    #[inline]
    pub(crate) fn push_leaf(&mut self, leaf: Hash, show: &mut impl FnMut(NodeId, &Hash)) {
        self.push(0, leaf, show);
    }

    #[inline]
    fn push(&mut self, level: u8, hash: Hash, show: &mut impl FnMut(NodeId, &Hash)) {
        let (mut hash, mut node) = (hash, NodeId { level, index: self.end >> level });
        self.end = self.end.saturating_add(1 << level);
        show(node, &hash);
        while let Some((left, before)) = self.nodes.last()
            && left.level == node.level
            && !node.index.is_multiple_of(2)
        {
            hash = Sha256::node(before, &hash);
            node = NodeId { level: node.level.saturating_add(1), index: node.index / 2 };
            show(node, &hash);
            self.nodes.pop();
        }
        self.nodes.push((node, hash));
    }

    /// Appends the stretch that begins where this one ends, and shows the subtrees of it
    /// that this one did not have, those included that the other one showed already.
    pub(crate) fn append(&mut self, other: &Self, mut show: impl FnMut(NodeId, &Hash)) {
        for (node, hash) in &other.nodes {
            self.push(node.level, *hash, &mut show);
        }
    }

    /// The root of a stretch that begins at the first leaf.
    pub(crate) fn root(&self) -> Hash {
        let hashes = self.nodes.iter().rev().map(|(_, hash)| *hash);
        let root = hashes.reduce(|right, left| Sha256::node(&left, &right));
        root.unwrap_or_else(Sha256::empty)
    }

    /// The one subtree that it consists of, if it is one.
    pub(crate) fn single(&self) -> Option<(NodeId, Hash)> {
        match self.nodes.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }
}
