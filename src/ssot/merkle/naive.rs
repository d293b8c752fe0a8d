//! The definitions of RFC 6962 §2.1 as they stand there: slow, recursive, over all leaves.
//! The rest of this room is held against them by tests, properties and fuzzing. And
//! [`Named`], for trees that are too large for that.

use alloc::vec;
use alloc::vec::Vec;

use super::{Hash, NodeId, Nodes, TreeHash};

/// `MTH(D[n])`: the root of a tree over these leaves.
pub fn root<H: TreeHash>(leaves: &[&[u8]]) -> Hash {
    match leaves {
        [] => H::empty(),
        [leaf] => H::leaf(leaf),
        _ => {
            let (left, right) = halves(leaves);
            H::node(&root::<H>(left), &root::<H>(right))
        }
    }
}

/// `PATH(m, D[n])`: the audit path of the leaf at `index`; empty when there is none.
pub fn inclusion<H: TreeHash>(index: usize, leaves: &[&[u8]]) -> Vec<Hash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let (left, right) = halves(leaves);
    let (mut path, sibling) = match index.checked_sub(left.len()) {
        None => (inclusion::<H>(index, left), right),
        Some(index) => (inclusion::<H>(index, right), left),
    };
    path.push(root::<H>(sibling));
    path
}

/// `PROOF(m, D[n])`: that the tree of the first `old` leaves is the start of this one.
/// The RFC defines it for `0 < old < n`; otherwise it is empty.
pub fn consistency<H: TreeHash>(old: usize, leaves: &[&[u8]]) -> Vec<Hash> {
    if old == 0 || old >= leaves.len() { Vec::new() } else { subproof::<H>(old, leaves, true) }
}

/// `SUBPROOF(m, D[n], b)`.
fn subproof<H: TreeHash>(old: usize, leaves: &[&[u8]], known: bool) -> Vec<Hash> {
    if old >= leaves.len() {
        return if known { Vec::new() } else { vec![root::<H>(leaves)] };
    }
    let (left, right) = halves(leaves);
    let (mut path, sibling) = match old.checked_sub(left.len()) {
        None | Some(0) => (subproof::<H>(old, left, known), right),
        Some(rest) => (subproof::<H>(rest, right, false), left),
    };
    path.push(root::<H>(sibling));
    path
}

/// `k` is the largest power of two smaller than `n`.
fn halves<'a, 'b>(leaves: &'a [&'b [u8]]) -> (&'a [&'b [u8]], &'a [&'b [u8]]) {
    let k = leaves.len().div_ceil(2).next_power_of_two();
    leaves.split_at_checked(k).unwrap_or((leaves, &[]))
}

/// A tree as large as numbers go, in which the hash of each subtree names its leaves: what
/// is put together wrongly shows without a hash function, and nothing has to be built.
#[derive(Debug, Clone, Copy)]
pub struct Named;

impl Named {
    /// The hash of the subtree over the leaves from `begin` to `end`.
    pub fn hash(begin: u64, end: u64) -> Hash {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&begin.to_le_bytes());
        bytes[8..16].copy_from_slice(&end.to_le_bytes());
        Hash::from_bytes(bytes)
    }

    fn leaves(hash: &Hash) -> Option<(u64, u64)> {
        let (begin, rest) = hash.as_bytes().split_first_chunk()?;
        let (end, _) = rest.split_first_chunk()?;
        Some((u64::from_le_bytes(*begin), u64::from_le_bytes(*end)))
    }
}

impl TreeHash for Named {
    fn empty() -> Hash {
        Hash::ZERO
    }

    fn leaf(_: &[u8]) -> Hash {
        Hash::ZERO
    }

    /// The leaves of both, where they meet and the left one has as many as it must; else
    /// the hash of nothing.
    fn node(left: &Hash, right: &Hash) -> Hash {
        let joined = || {
            let ((begin, middle), (other, end)) = (Self::leaves(left)?, Self::leaves(right)?);
            let width = end.checked_sub(begin)?.checked_sub(1)?.checked_ilog2()?;
            (middle == other && middle.checked_sub(begin)? == 1 << width)
                .then(|| Self::hash(begin, end))
        };
        joined().unwrap_or(Hash::from_bytes([0xff; 32]))
    }
}

impl Nodes for Named {
    type Error = NodeId;

    fn node(&self, id: NodeId) -> Result<Hash, NodeId> {
        Ok(Self::hash(id.index << id.level, id.end().ok_or(id)?))
    }
}
