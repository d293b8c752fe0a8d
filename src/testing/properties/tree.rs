//! The log's tree and its proofs against the text of RFC 6962.

use std::collections::BTreeMap;
use std::format;
use std::vec::Vec;

use super::super::{Broken, Held, must};
use crate::ssot::merkle::naive::{self, Named};
use crate::ssot::merkle::{
    Blake3, ConsistencyProof, Frontier, Hash, InclusionProof, NodeId, Nodes, ProveError, Sha256,
    TreeHash, prove_consistency, prove_inclusion, resume, root_at,
};

const SAME: &str = "tree_is_the_naive_one";
const STRICT: &str = "changed_proofs_prove_nothing";
const LARGE: &str = "large_trees_are_proved";

/// One change of a proof, or of what it is verified against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum TreeEdit {
    /// Another bit in a hash of the path.
    Flip(u8, u8),
    /// A hash of the path is left out.
    Remove(u8),
    /// A hash of the path stands at a second place, too.
    Repeat(u8, u8),
    /// Two hashes of the path change places.
    Swap(u8, u8),
    /// Another index, or another size of the older tree.
    Move(u16),
    /// Another bit in the hash of the leaf, or of the older root.
    Seed(u8),
    /// Another bit in the root.
    Root(u8),
}

struct Kept(BTreeMap<NodeId, Hash>);

impl Nodes for Kept {
    type Error = NodeId;

    fn node(&self, id: NodeId) -> Result<Hash, NodeId> {
        self.0.get(&id).copied().ok_or(id)
    }
}

fn made<T>(what: Result<T, ProveError<NodeId>>) -> Result<T, Broken> {
    what.map_err(|error| match error {
        ProveError::Nodes(id) => Broken::new(SAME, format!("{id} was asked for and is not there")),
        other => Broken::new(SAME, other),
    })
}

/// Roots, proofs and frontiers are those of the RFC's definitions, made from nodes as a
/// frontier shows them; proofs verify, and changed ones do exactly when what they say is
/// still true. `index` and `old` are taken modulo what there is.
///
/// # Errors
/// [`Broken`] with what differs.
pub fn tree_is_the_naive_one<H: TreeHash>(
    leaves: &[&[u8]],
    index: usize,
    old: usize,
    edits: &[TreeEdit],
) -> Held {
    let (mut tree, mut kept) = (Frontier::<H>::new(), BTreeMap::new());
    for leaf in leaves {
        tree.push_leaf_with(&H::leaf(leaf), |id, hash| {
            kept.insert(id, *hash);
        });
    }
    let (kept, size) = (Kept(kept), leaves.len() as u64);
    let root = naive::root::<H>(leaves);
    must(SAME, tree.root() == root, || format!("root of {size} leaves: {}", tree.root()))?;
    must(SAME, made(root_at::<H, _>(&kept, size))? == root, || format!("root_at {size}"))?;
    must(SAME, made(resume::<H, _>(&kept, size))? == tree, || format!("resume {size}"))?;

    let old = old % leaves.len().saturating_add(1);
    let proof = made(prove_consistency::<H, _>(&kept, old as u64, size))?;
    let path = naive::consistency::<H>(old, leaves);
    must(SAME, proof.path == path, || format!("consistency of {old} and {size}"))?;
    let old_root = naive::root::<H>(leaves.get(..old).unwrap_or_default());
    let verified = proof.verify::<H>(&old_root, &root);
    must(SAME, verified.is_ok(), || format!("consistency of {old} and {size}: {verified:?}"))?;
    changed_consistency::<H>(leaves, &proof, (old_root, root), edits)?;

    let Some(index) = index.checked_rem(leaves.len()) else { return Ok(()) };
    let proof = made(prove_inclusion::<H, _>(&kept, index as u64, size))?;
    let path = naive::inclusion::<H>(index, leaves);
    must(SAME, proof.path == path, || format!("inclusion of {index} in {size}"))?;
    let leaf = leaves.get(index).map_or(Hash::ZERO, |leaf| H::leaf(leaf));
    let verified = proof.verify::<H>(&leaf, &root);
    must(SAME, verified.is_ok(), || format!("inclusion of {index} in {size}: {verified:?}"))?;
    changed_inclusion::<H>(leaves, &proof, (leaf, root), edits)
}

/// What is known of a tree of this size: a changed proof verifies if and only if it is the
/// one that the RFC gives for what it now says.
fn changed_inclusion<H: TreeHash>(
    leaves: &[&[u8]],
    proof: &InclusionProof,
    (mut leaf, mut root): (Hash, Hash),
    edits: &[TreeEdit],
) -> Held {
    let mut changed = proof.clone();
    for edit in edits {
        apply(*edit, &mut changed.path, &mut changed.index, &mut leaf, &mut root);
        let place = usize::try_from(changed.index).ok().filter(|place| *place < leaves.len());
        let holds = root == naive::root::<H>(leaves)
            && place.is_some_and(|place| {
                leaves.get(place).is_some_and(|data| H::leaf(data) == leaf)
                    && changed.path == naive::inclusion::<H>(place, leaves)
            });
        let verified = changed.verify::<H>(&leaf, &root);
        must(STRICT, verified.is_ok() == holds, || {
            format!("{proof:?} after {edits:?}: {verified:?}, expected {holds}")
        })?;
    }
    Ok(())
}

fn changed_consistency<H: TreeHash>(
    leaves: &[&[u8]],
    proof: &ConsistencyProof,
    (mut old_root, mut root): (Hash, Hash),
    edits: &[TreeEdit],
) -> Held {
    let mut changed = proof.clone();
    for edit in edits {
        apply(*edit, &mut changed.path, &mut changed.old, &mut old_root, &mut root);
        let before = usize::try_from(changed.old).ok().and_then(|old| leaves.get(..old));
        let holds = before.is_some_and(|before| {
            // Of a newer root nothing is known where there was nothing before.
            let free = before.is_empty() && !leaves.is_empty();
            (free || root == naive::root::<H>(leaves))
                && old_root == naive::root::<H>(before)
                && changed.path == naive::consistency::<H>(before.len(), leaves)
        });
        // Of two trees of one size it is known only that they are the same.
        let equal = changed.old == changed.new && changed.path.is_empty() && old_root == root;
        let holds = holds || equal && !leaves.is_empty();
        let verified = changed.verify::<H>(&old_root, &root);
        must(STRICT, verified.is_ok() == holds, || {
            format!("{proof:?} after {edits:?}: {verified:?}, expected {holds}")
        })?;
    }
    Ok(())
}

fn apply(edit: TreeEdit, path: &mut Vec<Hash>, at: &mut u64, seed: &mut Hash, root: &mut Hash) {
    let place = |at: u8, len: usize| usize::from(at).checked_rem(len);
    match edit {
        TreeEdit::Flip(at, bit) => {
            if let Some(hash) = place(at, path.len()).and_then(|at| path.get_mut(at)) {
                flip(hash, bit);
            }
        }
        TreeEdit::Remove(at) => {
            if let Some(at) = place(at, path.len()) {
                path.remove(at);
            }
        }
        TreeEdit::Repeat(from, to) => {
            let more = place(from, path.len()).and_then(|from| path.get(from).copied());
            let to = place(to, path.len().saturating_add(1)).unwrap_or_default();
            path.insert(to, more.unwrap_or(*seed));
        }
        TreeEdit::Swap(a, b) => {
            if let (Some(a), Some(b)) = (place(a, path.len()), place(b, path.len())) {
                path.swap(a, b);
            }
        }
        TreeEdit::Move(to) => *at = u64::from(to),
        TreeEdit::Seed(bit) => flip(seed, bit),
        TreeEdit::Root(bit) => flip(root, bit),
    }
}

fn flip(hash: &mut Hash, bit: u8) {
    let mut bytes = *hash.as_bytes();
    if let Some(byte) = bytes.get_mut(usize::from(bit / 8)) {
        *byte ^= 1 << (bit % 8);
    }
    *hash = Hash::from_bytes(bytes);
}

/// The same for trees that nobody can build: of `size` leaves, each subtree hashed to its
/// own name. `index` and `old` are taken modulo what there is.
///
/// # Errors
/// [`Broken`] with what does not verify.
pub fn large_trees_are_proved(size: u64, index: u64, old: u64) -> Held {
    let Some(index) = index.checked_rem(size) else { return Ok(()) };
    let root = Named::hash(0, size);
    let found = made(root_at::<Named, _>(&Named, size))?;
    must(LARGE, found == root, || format!("root of {size} leaves"))?;
    let proof = made(prove_inclusion::<Named, _>(&Named, index, size))?;
    let verified = proof.verify::<Named>(&Named::hash(index, index.saturating_add(1)), &root);
    must(LARGE, verified.is_ok(), || format!("{index} in {size}: {verified:?}"))?;
    let old = old % size;
    if old > 0 {
        let proof = made(prove_consistency::<Named, _>(&Named, old, size))?;
        let verified = proof.verify::<Named>(&Named::hash(0, old), &root);
        must(LARGE, verified.is_ok(), || format!("{old} and {size}: {verified:?}"))?;
    }
    Ok(())
}

/// All of it from bytes: 24 bytes for a large tree, two each for the number of leaves
/// (modulo 300), an index and an older size, one for the number of changes (modulo 8), three
/// for each of them; then the leaves' data, in pieces of up to 40 bytes.
///
/// # Errors
/// As [`tree_is_the_naive_one`] and [`large_trees_are_proved`].
pub fn tree_from_bytes(bytes: &[u8]) -> Held {
    let mut rest = bytes;
    let mut next = |width: usize| {
        let (taken, others) = rest.split_at_checked(width).unwrap_or((rest, &[]));
        rest = others;
        taken.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    large_trees_are_proved(next(8), next(8), next(8))?;
    let (count, index, old) = (next(2) % 300, next(2), next(2));
    let [count, index, old] = [count, index, old].map(|n| usize::try_from(n).unwrap_or_default());
    let edits: Vec<TreeEdit> = (0..next(1) % 8)
        .map(|_| {
            let [kind, a, b, ..] = next(3).to_le_bytes();
            match kind % 7 {
                0 => TreeEdit::Flip(a, b),
                1 => TreeEdit::Remove(a),
                2 => TreeEdit::Repeat(a, b),
                3 => TreeEdit::Swap(a, b),
                4 => TreeEdit::Move(u16::from_le_bytes([a, b]) % 320),
                5 => TreeEdit::Seed(a),
                _ => TreeEdit::Root(a),
            }
        })
        .collect();
    // Where the bytes are over, leaves are equal: that is a case of its own.
    let data = |number: usize| {
        let from = number.saturating_mul(7).min(rest.len());
        let width = number % 41;
        rest.get(from..).map_or(&[][..], |tail| tail.get(..width).unwrap_or(tail))
    };
    let leaves: Vec<&[u8]> = (0..count).map(data).collect();
    tree_is_the_naive_one::<Sha256>(&leaves, index, old, &edits)?;
    tree_is_the_naive_one::<Blake3>(&leaves, index, old, &edits)
}
