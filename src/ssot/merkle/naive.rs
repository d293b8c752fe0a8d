//! The definitions of RFC 6962 §2.1 as they stand there: slow, recursive, over all leaves.
//! The rest of this room is held against them by tests, properties and fuzzing.

use alloc::vec;
use alloc::vec::Vec;

use super::{Hash, TreeHash};

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
