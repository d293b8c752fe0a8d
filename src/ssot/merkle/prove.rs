//! Making proofs, from whatever keeps a tree's nodes.
//!
//! A proof is planned first: which complete subtrees it is made of follows from the numbers
//! alone. They are asked for together, so that a store opens its tables once.

use alloc::vec::Vec;

use super::proof::{ConsistencyProof, InclusionProof, ProofError};
use super::{Frontier, Hash, NodeId, TreeHash, cover};

/// A tree whose complete subtrees can be asked for.
pub trait Nodes {
    /// Why a node cannot be told.
    type Error;

    /// The hash of a complete subtree. Provers ask for those only that lie within the size
    /// that they were asked about.
    ///
    /// # Errors
    /// The source's own, also when it has no such node.
    fn node(&self, id: NodeId) -> Result<Hash, Self::Error>;

    /// The hashes of several, in their order.
    ///
    /// # Errors
    /// As [`Nodes::node`].
    fn nodes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, Self::Error> {
        ids.iter().map(|id| self.node(*id)).collect()
    }
}

impl<N: Nodes + ?Sized> Nodes for &N {
    type Error = N::Error;

    fn node(&self, id: NodeId) -> Result<Hash, Self::Error> {
        (**self).node(id)
    }

    fn nodes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, Self::Error> {
        (**self).nodes(ids)
    }
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError<E> {
    /// What was asked about is not there.
    #[error(transparent)]
    Asked(#[from] ProofError),
    /// The nodes cannot be told.
    #[error("{0}")]
    Nodes(E),
    /// The source answered with another number of hashes than it was asked for.
    #[error("expected {expected} nodes, found {found}")]
    Count {
        /// How many were asked for.
        expected: usize,
        /// How many came.
        found: usize,
    },
}

/// Which nodes something is made of, and how many of them go into each of its hashes.
#[derive(Default)]
struct Plan {
    nodes: Vec<NodeId>,
    parts: Vec<usize>,
}

impl Plan {
    /// One hash: the root of the subtree over these leaves.
    fn add(&mut self, begin: u64, end: u64) {
        let before = self.nodes.len();
        self.nodes.extend(cover(begin, end));
        self.parts.push(self.nodes.len().saturating_sub(before));
    }

    /// The siblings on the way from the subtree of this level over leaf `index` up to the
    /// root of a tree with this size, from below.
    fn add_path(&mut self, index: u64, size: u64, level: u32) {
        let last = size.saturating_sub(1);
        let levels = u64::BITS - last.leading_zeros();
        for level in level..levels {
            let at = index >> level;
            if at % 2 == 1 {
                self.add(at.saturating_sub(1) << level, at << level);
            } else if at < last >> level {
                let begin = at.saturating_add(1) << level;
                self.add(begin, size.min(begin.saturating_add(1 << level)));
            }
        }
    }

    fn run<H: TreeHash, N: Nodes + ?Sized>(
        &self,
        nodes: &N,
    ) -> Result<Vec<Hash>, ProveError<N::Error>> {
        let mut found = nodes.nodes(&self.nodes).map_err(ProveError::Nodes)?;
        if found.len() != self.nodes.len() {
            let (expected, found) = (self.nodes.len(), found.len());
            return Err(ProveError::Count { expected, found });
        }
        if self.parts.iter().all(|part| *part == 1) {
            return Ok(found);
        }
        let mut rest = found.drain(..);
        let part = |part: &usize| {
            let hashes: Vec<Hash> = rest.by_ref().take(*part).collect();
            // Whatever a part covers becomes smaller to the right.
            let root = hashes.into_iter().rev().reduce(|right, left| H::node(&left, &right));
            root.unwrap_or_else(H::empty)
        };
        Ok(self.parts.iter().map(part).collect())
    }
}

/// The proof that the leaf at `index` is in the tree of the first `size` leaves.
///
/// # Errors
/// [`ProveError::Asked`] when the index is not below the size, and what [`Nodes`] answers.
pub fn prove_inclusion<H: TreeHash, N: Nodes + ?Sized>(
    nodes: &N,
    index: u64,
    size: u64,
) -> Result<InclusionProof, ProveError<N::Error>> {
    if index >= size {
        return Err(ProofError::Index { index, size }.into());
    }
    let mut plan = Plan::default();
    plan.add_path(index, size, 0);
    Ok(InclusionProof { index, size, path: plan.run::<H, N>(nodes)? })
}

/// The proof that the first `new` leaves go on from the first `old` ones.
///
/// # Errors
/// [`ProveError::Asked`] when `old` is larger than `new`, and what [`Nodes`] answers.
pub fn prove_consistency<H: TreeHash, N: Nodes + ?Sized>(
    nodes: &N,
    old: u64,
    new: u64,
) -> Result<ConsistencyProof, ProveError<N::Error>> {
    if old > new {
        return Err(ProofError::Sizes { old, new }.into());
    }
    let mut plan = Plan::default();
    if 0 < old && old < new {
        let level = old.trailing_zeros();
        if !old.is_power_of_two() {
            plan.add(old.saturating_sub(1 << level), old);
        }
        plan.add_path(old.saturating_sub(1), new, level);
    }
    Ok(ConsistencyProof { old, new, path: plan.run::<H, N>(nodes)? })
}

/// The root of the tree of the first `size` leaves.
///
/// # Errors
/// What [`Nodes`] answers.
pub fn root_at<H: TreeHash, N: Nodes + ?Sized>(
    nodes: &N,
    size: u64,
) -> Result<Hash, ProveError<N::Error>> {
    let mut plan = Plan::default();
    plan.add(0, size);
    Ok(plan.run::<H, N>(nodes)?.into_iter().next().unwrap_or_else(H::empty))
}

/// The root over the leaves from `begin` to `end` as a tree of their own, where they are
/// one subtree of the whole: `begin` a multiple of the smallest power of two that is not
/// smaller than their number.
///
/// # Errors
/// [`ProveError::Asked`] when they are none, and what [`Nodes`] answers.
pub fn subtree_root<H: TreeHash, N: Nodes + ?Sized>(
    nodes: &N,
    begin: u64,
    end: u64,
) -> Result<Hash, ProveError<N::Error>> {
    let width = end.checked_sub(begin).filter(|width| *width > 0);
    let width = width.and_then(u64::checked_next_power_of_two);
    if !width.is_some_and(|width| begin.is_multiple_of(width)) {
        return Err(ProofError::NoSubtree { begin, end }.into());
    }
    let mut plan = Plan::default();
    plan.add(begin, end);
    Ok(plan.run::<H, N>(nodes)?.into_iter().next().unwrap_or_else(H::empty))
}

/// A frontier that goes on from the first `size` leaves.
///
/// # Errors
/// What [`Nodes`] answers.
pub fn resume<H: TreeHash, N: Nodes + ?Sized>(
    nodes: &N,
    size: u64,
) -> Result<Frontier<H>, ProveError<N::Error>> {
    let ids: Vec<NodeId> = cover(0, size).collect();
    let found = nodes.nodes(&ids).map_err(ProveError::Nodes)?;
    let wrong = ProveError::Count { expected: ids.len(), found: found.len() };
    Frontier::from_edge(size, found).ok_or(wrong)
}
