//! The log's Merkle tree (RFC 6962 §2.1): a root for any number of records, and proofs
//! that somebody who has only roots can check.
//!
//! A leaf is the 32 bytes of a record's digest, in the order of the log. The tree is that
//! of Certificate Transparency, with SHA-256, so that witnesses and tools that exist read
//! it. The hash is a parameter all the same ([`TreeHash`]): [`Blake3`] is the other one.
//!
//! | | hash |
//! |---|---|
//! | no leaf | SHA-256 of nothing |
//! | a leaf | SHA-256 of the byte 0 and its data |
//! | a node | SHA-256 of the byte 1, its left child, its right child |
//!
//! The left child of a node over `n` leaves has the largest power of two below `n` of them.
//! So a subtree of 2^`level` leaves that begins at a multiple of 2^`level` never changes
//! once its leaves are there. Such a *complete* subtree has a name, [`NodeId`], and all
//! else is made of them.
//!
//! - [`Frontier`]: append and know the root, in constant memory
//! - [`InclusionProof`]: this record is the one at this index of the log with this root
//! - [`ConsistencyProof`]: the log with this root goes on from the log with that one
//! - [`Nodes`]: where proofs are made from
//! - [`inclusion`], [`consistency`], [`head_at`]: of the log in any store
//! - [`naive`]: the text of the RFC as code, to hold all this against
//!
//! ```
//! use prospera::ssot::merkle::{Frontier, Sha256, TreeHash, naive};
//! use prospera::ssot::merkle::InclusionProof;
//!
//! let leaves = ["one", "two", "three"];
//! let mut tree = Frontier::<Sha256>::new();
//! for leaf in leaves {
//!     tree.push(leaf.as_bytes());
//! }
//! let path = naive::inclusion::<Sha256>(2, &leaves.map(str::as_bytes));
//! let proof = InclusionProof { index: 2, size: 3, path };
//! proof.verify::<Sha256>(&Sha256::leaf(b"three"), &tree.root())?;
//! assert!(proof.verify::<Sha256>(&Sha256::leaf(b"four"), &tree.root()).is_err());
//! # Ok::<(), prospera::ssot::merkle::ProofError>(())
//! ```
//!
//! INVARIANT (one answer): root and proofs depend on the leaves alone, not on where nodes
//! were kept or in which order they were asked for; [`naive`] gives the same.
//!
//! Requirements: IRM-6.10, PLAN-3.7, PLAN-8.1.

use core::fmt;

mod frontier;
mod hash;
pub(crate) mod kept;
pub(in crate::ssot) mod log;
#[doc(hidden)]
pub mod naive;
mod proof;
mod prove;
pub(crate) mod span;
#[cfg(test)]
mod tests;

pub use frontier::Frontier;
pub use hash::{Blake3, Hash, Sha256, TreeHash};
pub use log::{KeptTree, LogTree, consistency, head_at, inclusion, leaf};
pub use proof::{
    ConsistencyProof, InclusionProof, ProofError, verify_consistency, verify_inclusion,
};
pub use prove::{
    Nodes, ProveError, prove_consistency, prove_inclusion, resume, root_at, subtree_root,
};

/// So many levels a tree can have: sizes are numbers of 64 bits.
pub(crate) const LEVELS: usize = 64;

/// How large the tree is and what its root is: all that a checkpoint says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TreeHead {
    /// How many leaves.
    pub size: u64,
    /// The hash of them all.
    pub root: Hash,
}

impl fmt::Display for TreeHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.size, self.root)
    }
}

/// A complete subtree: the 2^`level` leaves from `index` · 2^`level` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// How high it is; a leaf is 0.
    pub level: u8,
    /// Which one of its level, from the left, from 0.
    pub index: u64,
}

impl NodeId {
    /// One more than its last leaf; `None` when that is beyond all sizes.
    pub const fn end(self) -> Option<u64> {
        let Some(next) = self.index.checked_add(1) else { return None };
        let level = self.level as u32;
        if level >= u64::BITS || next > u64::MAX >> level { None } else { Some(next << level) }
    }

    /// Whether all its leaves are among the first `size`.
    pub const fn is_within(self, size: u64) -> bool {
        matches!(self.end(), Some(end) if end <= size)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} of level {}", self.index, self.level)
    }
}

/// The complete subtrees that the leaves from `begin` to `end` consist of, from the left:
/// as few as there can be.
pub(crate) fn cover(begin: u64, end: u64) -> impl Iterator<Item = NodeId> {
    let mut at = begin;
    core::iter::from_fn(move || {
        let left = end.checked_sub(at).filter(|left| *left > 0)?;
        let level = at.trailing_zeros().min(left.ilog2());
        let node = NodeId { level: u8::try_from(level).ok()?, index: at >> level };
        at = at.saturating_add(1 << level);
        Some(node)
    })
}
