//! Proofs, and what whoever holds a root checks of them. Nothing here allocates.
//!
//! How long a proof is follows from the numbers it names. One that is longer or shorter
//! is refused before anything is hashed, so two byte strings never prove the same.

use alloc::vec::Vec;

use super::{Hash, TreeHash};
use crate::digest::DIGEST_LEN;

/// Shows that a leaf stands at an index of a tree (RFC 6962 §2.1.1, RFC 9162 §2.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// The leaf's place, from 0.
    pub index: u64,
    /// How many leaves the tree has.
    pub size: u64,
    /// The hashes beside the way from the leaf to the root, from below.
    pub path: Vec<Hash>,
}

/// Shows that a tree's first leaves are those of an older one (RFC 6962 §2.1.2, RFC 9162
/// §2.1.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// How many leaves the older tree has.
    pub old: u64,
    /// How many leaves the newer tree has.
    pub new: u64,
    /// The hashes from which both roots follow.
    pub path: Vec<Hash>,
}

/// Why a proof proves nothing, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The tree has no such leaf.
    #[error("expected an index below the tree's size {size}, found {index}")]
    Index {
        /// The index.
        index: u64,
        /// The size.
        size: u64,
    },
    /// The older tree is larger than the newer.
    #[error("expected the older tree to have at most {new} leaves, found {old}")]
    Sizes {
        /// Leaves of the tree said to be older.
        old: u64,
        /// Leaves of the tree said to be newer.
        new: u64,
    },
    /// The tree asked about is larger than the one at hand.
    #[error("expected a size of at most {size}, which the tree has, found {asked}")]
    Beyond {
        /// The size asked about.
        asked: u64,
        /// How many leaves there are.
        size: u64,
    },
    /// The leaves asked about are no subtree.
    #[error("expected the range from {begin} to {end} to be a subtree, found one that is none")]
    NoSubtree {
        /// The first leaf.
        begin: u64,
        /// One more than the last.
        end: u64,
    },
    /// The path has more or fewer hashes than follow from the numbers.
    #[error("expected a path of {expected} hashes, found {found}")]
    Length {
        /// How many it must have.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// The bytes given for a hash are no hash.
    #[error("expected a hash of {DIGEST_LEN} bytes, found {found}")]
    HashLength {
        /// How many bytes there are.
        found: usize,
    },
    /// Leaf and path lead to another root: another leaf, another place, or another tree.
    #[error("expected root {expected}, found a proof of root {found}")]
    Root {
        /// The root as it was given.
        expected: Hash,
        /// The root by the proof.
        found: Hash,
    },
    /// The path leads to another root of the older tree: it is not the start of the newer.
    #[error("expected the older root {expected}, found a proof of root {found}")]
    OldRoot {
        /// The root as it was given.
        expected: Hash,
        /// The root by the proof.
        found: Hash,
    },
}

impl InclusionProof {
    /// Checks that the leaf with this hash stands at [`index`](Self::index) of the tree
    /// with this root.
    ///
    /// # Errors
    /// [`ProofError::Index`], [`ProofError::Length`], [`ProofError::Root`].
    pub fn verify<H: TreeHash>(&self, leaf: &Hash, root: &Hash) -> Result<(), ProofError> {
        verify_inclusion::<H>(self.index, self.size, &self.path, leaf, root)
    }
}

impl ConsistencyProof {
    /// Checks that the tree with the new root goes on from the one with the old root.
    ///
    /// Nothing comes before everything: a tree without leaves is the start of any, its
    /// proof is empty, and then nothing is known of the new root.
    ///
    /// # Errors
    /// [`ProofError::Sizes`], [`ProofError::Length`], [`ProofError::OldRoot`],
    /// [`ProofError::Root`].
    pub fn verify<H: TreeHash>(&self, old_root: &Hash, new_root: &Hash) -> Result<(), ProofError> {
        verify_consistency::<H>(self.old, self.new, &self.path, old_root, new_root)
    }
}

/// [`InclusionProof::verify`] of a path that lies somewhere else.
///
/// # Errors
/// As there.
pub fn verify_inclusion<H: TreeHash>(
    index: u64,
    size: u64,
    path: &[Hash],
    leaf: &Hash,
    root: &Hash,
) -> Result<(), ProofError> {
    let last = match size.checked_sub(1) {
        Some(last) if index <= last => last,
        _ => return Err(ProofError::Index { index, size }),
    };
    let way = Way::of(index, last, 0);
    let (inner, border) = way.split(path)?;
    let found = left_of::<H>(border, way.inner::<H>(inner, *leaf));
    if found == *root { Ok(()) } else { Err(ProofError::Root { expected: *root, found }) }
}

/// [`ConsistencyProof::verify`] of a path that lies somewhere else.
///
/// # Errors
/// As there.
pub fn verify_consistency<H: TreeHash>(
    old: u64,
    new: u64,
    path: &[Hash],
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::Sizes { old, new });
    }
    let empty = |size: u64, root: &Hash| match H::empty() {
        found if size == 0 && found != *root => Err(ProofError::OldRoot { expected: *root, found }),
        _ => Ok(()),
    };
    let trivial = old == 0 || old == new;
    if trivial && !path.is_empty() {
        return Err(ProofError::Length { expected: 0, found: path.len() });
    }
    if trivial {
        empty(old, old_root)?;
        return if old != new || old_root == new_root {
            Ok(())
        } else {
            Err(ProofError::Root { expected: *new_root, found: *old_root })
        };
    }
    // The way of the old tree's last leaf, from the largest subtree on of which it is the
    // last leaf in both trees. That one's hash is the old root itself when it is all of
    // the old tree, and otherwise the path's first.
    let way = Way::of(old.saturating_sub(1), new.saturating_sub(1), old.trailing_zeros());
    let (seed, rest) = match path.split_first() {
        _ if old.is_power_of_two() => (old_root, path),
        Some((first, rest)) => (first, rest),
        None => return Err(ProofError::Length { expected: way.len().saturating_add(1), found: 0 }),
    };
    let extra = path.len().saturating_sub(rest.len());
    let (inner, border) = way.split(rest).map_err(|error| match error {
        ProofError::Length { expected, found } => ProofError::Length {
            expected: expected.saturating_add(extra),
            found: found.saturating_add(extra),
        },
        other => other,
    })?;
    let found = left_of::<H>(border, way.inner_left::<H>(inner, *seed));
    if found != *old_root {
        return Err(ProofError::OldRoot { expected: *old_root, found });
    }
    let found = left_of::<H>(border, way.inner::<H>(inner, *seed));
    if found == *new_root { Ok(()) } else { Err(ProofError::Root { expected: *new_root, found }) }
}

/// The way from a subtree up to the root: first through nodes that the tree's last leaf is
/// not under, with siblings on both sides; then along the right border, where all siblings
/// are on the left.
struct Way {
    /// The subtree's index in its level: bit by bit, which side it is on.
    index: u64,
    inner: u32,
    border: u32,
}

impl Way {
    /// That of the subtree of this level over leaf `index`, in a tree whose last leaf is
    /// `last`.
    const fn of(index: u64, last: u64, level: u32) -> Self {
        let inner = u64::BITS - (index ^ last).leading_zeros();
        let border = match index.checked_shr(inner) {
            Some(above) => above.count_ones(),
            None => 0,
        };
        let index = match index.checked_shr(level) {
            Some(index) => index,
            None => 0,
        };
        Self { index, inner: inner.saturating_sub(level), border }
    }

    const fn len(&self) -> usize {
        (self.inner + self.border) as usize
    }

    /// The path's two parts.
    fn split<'p>(&self, path: &'p [Hash]) -> Result<(&'p [Hash], &'p [Hash]), ProofError> {
        let wrong = ProofError::Length { expected: self.len(), found: path.len() };
        if path.len() == self.len() { path.split_at_checked(self.inner as usize) } else { None }
            .ok_or(wrong)
    }

    /// Up through the inner nodes.
    fn inner<H: TreeHash>(&self, path: &[Hash], seed: Hash) -> Hash {
        let levels = path.iter().enumerate();
        levels.fold(seed, |hash, (level, sibling)| match self.index >> level & 1 {
            0 => H::node(&hash, sibling),
            _ => H::node(sibling, &hash),
        })
    }

    /// The same as if nothing stood on the right of the subtree.
    fn inner_left<H: TreeHash>(&self, path: &[Hash], seed: Hash) -> Hash {
        let levels = path.iter().enumerate();
        let left = levels.filter(|(level, _)| self.index >> level & 1 == 1);
        left.fold(seed, |hash, (_, sibling)| H::node(sibling, &hash))
    }
}

/// Up along the right border.
fn left_of<H: TreeHash>(path: &[Hash], seed: Hash) -> Hash {
    path.iter().fold(seed, |hash, sibling| H::node(sibling, &hash))
}
