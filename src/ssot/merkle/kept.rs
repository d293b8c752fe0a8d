//! The nodes that a store keeps: those of every fourth level.
//!
//! The levels between follow from them with at most seven hashes, so a proof costs some
//! hashes more and a record 34 bytes instead of 64.

#[cfg(feature = "std")]
use alloc::vec::Vec;

#[cfg(feature = "std")]
use super::Frontier;
use super::{Hash, NodeId, Sha256, TreeHash};
use crate::digest::Digest;

/// How many levels one row of hashes stands for.
pub(crate) const HEIGHT: u8 = 4;

/// Whether a store that keeps rows keeps this node.
pub(crate) const fn is_kept(id: NodeId) -> bool {
    id.level.is_multiple_of(HEIGHT)
}

/// The hash of a leaf of the log: that of a record's digest.
#[inline]
pub(crate) fn leaf(digest: &Digest) -> Hash {
    Sha256::leaf(digest.as_bytes())
}

#[cfg(feature = "std")]
/// The hash of a node from those of the kept level at or below it. A *group* is a kept level by
/// its number: 0, 1, 2 for levels 0, 4, 8.
pub(crate) fn derive<E>(
    id: NodeId,
    mut kept: impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Hash, E> {
    let (group, above) = (id.level / HEIGHT, id.level % HEIGHT);
    let mut hashes = [Hash::ZERO; 1 << (HEIGHT - 1)];
    let first = id.index << above;
    let mut width = 1_usize << above;
    for (hash, index) in hashes.iter_mut().take(width).zip(first..) {
        *hash = kept(group, index)?;
    }
    while width > 1 {
        width /= 2;
        for at in 0..width {
            if let Some([left, right]) = hashes.get(2 * at..).and_then(<[Hash]>::first_chunk)
                && let node = Sha256::node(left, right)
                && let Some(hash) = hashes.get_mut(at)
            {
                *hash = node;
            }
        }
    }
    let [hash, ..] = hashes;
    Ok(hash)
}

#[cfg(feature = "std")]
/// The kept nodes that were complete after the first `base` leaves, and the tree itself.
///
/// INVARIANT (no gap): group `g` has the nodes of its level from `base` >> 4`g` on.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    base: u64,
    tree: Frontier,
    groups: Vec<Vec<Hash>>,
}

#[cfg(feature = "std")]
impl Kept {
    /// No node yet; the next leaf is the one behind this tree.
    #[cfg(feature = "redb")]
    pub(crate) const fn after(tree: Frontier) -> Self {
        Self { base: tree.size(), tree, groups: Vec::new() }
    }

    /// Appends a record by its digest.
    #[inline]
    pub(crate) fn push(&mut self, digest: &Digest) {
        let Self { tree, groups, .. } = self;
        tree.push_leaf_with(&leaf(digest), |id, hash| {
            if is_kept(id) {
                let group = usize::from(id.level / HEIGHT);
                // Whatever completes a node completes those below it first.
                if group == groups.len() {
                    groups.push(Vec::new());
                }
                if let Some(hashes) = groups.get_mut(group) {
                    hashes.push(*hash);
                }
            }
        });
    }

    /// The tree of all leaves.
    pub(crate) const fn tree(&self) -> &Frontier {
        &self.tree
    }

    /// The index of the first node of a group that is here.
    const fn first(&self, group: u8) -> u64 {
        match self.base.checked_shr(group as u32 * HEIGHT as u32) {
            Some(first) => first,
            None => 0,
        }
    }

    /// A kept node, if it is here.
    pub(crate) fn get(&self, group: u8, index: u64) -> Option<Hash> {
        let at = usize::try_from(index.checked_sub(self.first(group))?).ok()?;
        self.groups.get(usize::from(group))?.get(at).copied()
    }

    /// What is here, group by group: its number, the index of its first node, its nodes.
    #[cfg(feature = "redb")]
    pub(crate) fn groups(&self) -> impl Iterator<Item = (u8, u64, &[Hash])> {
        let groups = (0..).zip(&self.groups);
        groups.map(|(group, hashes)| (group, self.first(group), hashes.as_slice()))
    }
}
