//! A tree that grows, of which only its right edge is kept.

use core::fmt;
use core::marker::PhantomData;

use super::{Hash, LEVELS, NodeId, Sha256, TreeHash, TreeHead, cover};

/// The complete subtrees that a tree consists of, at most one of each level: enough to
/// append and to know the root. Two kilobytes, whatever the size.
///
/// ```
/// use prospera::ssot::merkle::{Frontier, Sha256, TreeHash};
/// let mut tree = Frontier::<Sha256>::new();
/// assert_eq!(tree.root(), Sha256::empty());
/// tree.push(b"one");
/// tree.push(b"two");
/// let root = Sha256::node(&Sha256::leaf(b"one"), &Sha256::leaf(b"two"));
/// assert_eq!((tree.size(), tree.root()), (2, root));
/// ```
///
/// INVARIANT (right edge): where bit `l` of the size is set, the hash at level `l` is that
/// of the complete subtree which ends where the lower bits begin. The others mean nothing.
pub struct Frontier<H = Sha256> {
    size: u64,
    edge: [Hash; LEVELS],
    hash: PhantomData<fn() -> H>,
}

impl<H: TreeHash> Frontier<H> {
    /// A tree without leaves.
    pub const fn new() -> Self {
        Self { size: 0, edge: [Hash::ZERO; LEVELS], hash: PhantomData }
    }

    /// A tree of `size` leaves from the hashes of the complete subtrees it consists of,
    /// the largest first. `None` when they are not as many as it has.
    pub fn from_edge(size: u64, hashes: impl IntoIterator<Item = Hash>) -> Option<Self> {
        let (mut tree, mut hashes) = (Self::new(), hashes.into_iter());
        for node in cover(0, size) {
            *tree.edge.get_mut(usize::from(node.level))? = hashes.next()?;
        }
        tree.size = size;
        hashes.next().is_none().then_some(tree)
    }

    /// How many leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf with this data.
    #[inline]
    pub fn push(&mut self, data: &[u8]) {
        self.push_leaf(&H::leaf(data));
    }

    /// Appends a leaf by its hash.
    #[inline]
    pub fn push_leaf(&mut self, leaf: &Hash) {
        self.carry(0, *leaf, |_, _| ());
    }

    /// Appends a leaf by its hash, and shows each subtree that is complete with it: the
    /// leaf, then each node above it that it is the last leaf of.
    #[inline]
    pub fn push_leaf_with(&mut self, leaf: &Hash, show: impl FnMut(NodeId, &Hash)) {
        self.carry(0, *leaf, show);
    }

    /// Appends a whole complete subtree by its hash: what was hashed elsewhere. Says
    /// whether it could: the tree must end at a multiple of the subtree's size.
    pub fn push_subtree(&mut self, level: u8, hash: &Hash) -> bool {
        let fits = 1_u64.checked_shl(u32::from(level)).is_some_and(|leaves| {
            self.size.is_multiple_of(leaves) && self.size.checked_add(leaves).is_some()
        });
        if fits {
            self.carry(level, *hash, |_, _| ());
        }
        fits
    }

    /// Adds one to the number that the size is above `level`, node by node.
    #[inline]
    fn carry(&mut self, level: u8, hash: Hash, mut show: impl FnMut(NodeId, &Hash)) {
        let (mut hash, mut node) = (hash, NodeId { level, index: self.size >> level });
        for left in self.edge.iter_mut().skip(usize::from(level)) {
            show(node, &hash);
            if node.index.is_multiple_of(2) {
                *left = hash;
                break;
            }
            hash = H::node(left, &hash);
            node = NodeId { level: node.level.saturating_add(1), index: node.index / 2 };
        }
        self.size = self.size.saturating_add(1 << level);
    }

    /// The complete subtrees it consists of, the smallest first.
    pub fn peaks(&self) -> impl Iterator<Item = &Hash> {
        let set = self.edge.iter().enumerate().filter(|(level, _)| self.size >> level & 1 == 1);
        set.map(|(_, hash)| hash)
    }

    /// The hash of all leaves.
    pub fn root(&self) -> Hash {
        let root = self.peaks().copied().reduce(|right, left| H::node(&left, &right));
        root.unwrap_or_else(H::empty)
    }

    /// Size and root.
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: self.root() }
    }
}

impl<H> Clone for Frontier<H> {
    fn clone(&self) -> Self {
        Self { size: self.size, edge: self.edge, hash: PhantomData }
    }
}

impl<H: TreeHash> Default for Frontier<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H: TreeHash> PartialEq for Frontier<H> {
    fn eq(&self, other: &Self) -> bool {
        self.size == other.size && self.peaks().eq(other.peaks())
    }
}

impl<H: TreeHash> Eq for Frontier<H> {}

impl<H: TreeHash> fmt::Debug for Frontier<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frontier({})", self.head())
    }
}
