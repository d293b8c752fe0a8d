//! The tree over a store's log: its head, its nodes, its proofs.
//!
//! A store that keeps nodes is asked for them ([`KeptTree`]). For any other they are computed
//! from its records: slow, and right.

use alloc::vec::Vec;

use super::proof::{ConsistencyProof, InclusionProof, ProofError};
use super::prove::{Nodes, ProveError, prove_consistency, prove_inclusion, root_at};
use super::span::Span;
use super::{Frontier, Hash, NodeId, Sha256, TreeHead, kept};
use crate::digest::Digest;
use crate::ssot::store::{Store, StoreError};

/// The tree as a store keeps it beside its records.
///
/// INVARIANT (of the log): the leaves are the digests of the log's records, in its order,
/// and the tree has as many as [`Store::len`] says at the same moment.
pub trait KeptTree {
    /// Size and root after the last commit.
    ///
    /// # Errors
    /// [`StoreError`].
    fn kept_head(&self) -> Result<TreeHead, StoreError>;

    /// The hashes of complete subtrees, in the order in which they are asked for.
    ///
    /// # Errors
    /// [`StoreError::NoNode`] for one that is not complete yet, and whatever else can
    /// happen to a store.
    fn kept_nodes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, StoreError>;
}

/// The tree of a store's log as a source of nodes.
#[derive(Debug)]
pub struct LogTree<'a, S: ?Sized>(pub &'a S);

impl<S: Store + ?Sized> Nodes for LogTree<'_, S> {
    type Error = StoreError;

    fn node(&self, id: NodeId) -> Result<Hash, StoreError> {
        let hashes = self.0.tree_nodes(&[id])?;
        hashes.first().copied().ok_or_else(|| no_answer(id))
    }

    fn nodes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, StoreError> {
        self.0.tree_nodes(ids)
    }
}

fn no_answer(id: NodeId) -> StoreError {
    StoreError::Damaged { what: alloc::format!("the store has no answer for {id}").into() }
}

/// The hash of the leaf that a record is: that of its digest.
pub fn leaf(digest: &Digest) -> Hash {
    kept::leaf(digest)
}

/// The proof that the record at `index` is in the log of the first `size` records.
///
/// ```
/// # use prospera::id::Subsystem;
/// # use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
/// # use prospera::ssot::store::Batch;
/// # use prospera::time::Timestamp;
/// use prospera::ssot::memory::MemoryStore;
/// use prospera::ssot::merkle::{self, Sha256};
/// use prospera::ssot::store::Store;
/// let store = MemoryStore::new();
/// # let stream = StreamId::new(StreamKind::Memory, "alice".parse()?);
/// # let draft = Draft::new(stream.clone(), RecordKind::Fact, Subsystem::Memory, vec![]);
/// # let batch = Batch::new(Timestamp::from_millis(1)).expect(stream, Head::EMPTY);
/// # let batch = batch.append(draft.clone()).append(draft);
/// let records = store.append(&batch)?.records;
/// let head = store.tree_head()?;
/// let proof = merkle::inclusion(&store, 1, head.size)?;
/// proof.verify::<Sha256>(&merkle::leaf(&records[1].digest()), &head.root)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ProveError::Asked`] when there is no such index or the log is shorter than `size`,
/// [`ProveError::Nodes`] when the store cannot be read.
pub fn inclusion<S: Store + ?Sized>(
    store: &S,
    index: u64,
    size: u64,
) -> Result<InclusionProof, ProveError<StoreError>> {
    within(store, size)?;
    prove_inclusion::<Sha256, _>(&LogTree(store), index, size)
}

/// The proof that the log of the first `new` records goes on from that of the first `old`.
///
/// # Errors
/// As [`inclusion`].
pub fn consistency<S: Store + ?Sized>(
    store: &S,
    old: u64,
    new: u64,
) -> Result<ConsistencyProof, ProveError<StoreError>> {
    within(store, new)?;
    prove_consistency::<Sha256, _>(&LogTree(store), old, new)
}

/// The head that the log had when it had `size` records.
///
/// # Errors
/// As [`inclusion`].
pub fn head_at<S: Store + ?Sized>(
    store: &S,
    size: u64,
) -> Result<TreeHead, ProveError<StoreError>> {
    within(store, size)?;
    Ok(TreeHead { size, root: root_at::<Sha256, _>(&LogTree(store), size)? })
}

fn within<S: Store + ?Sized>(store: &S, asked: u64) -> Result<(), ProveError<StoreError>> {
    let size = store.len().map_err(ProveError::Nodes)?;
    if asked <= size { Ok(()) } else { Err(ProofError::Beyond { asked, size }.into()) }
}

/// The head of a log whose store keeps no tree.
pub(in crate::ssot) fn scanned_head<S: Store + ?Sized>(store: &S) -> Result<TreeHead, StoreError> {
    let total = store.len()?;
    let mut tree = Frontier::<Sha256>::new();
    let limit = usize::try_from(total).unwrap_or(usize::MAX);
    store.scan(0, limit, &mut |_, digest| tree.push(digest.as_bytes()))?;
    if tree.size() == total {
        return Ok(tree.head());
    }
    let what = alloc::format!("the log has {} records, expected {total}", tree.size());
    Err(StoreError::Damaged { what: what.into() })
}

/// The nodes of a log whose store keeps no tree.
pub(in crate::ssot) fn scanned_nodes<S: Store + ?Sized>(
    store: &S,
    ids: &[NodeId],
) -> Result<Vec<Hash>, StoreError> {
    let size = store.len()?;
    let node = |id: &NodeId| {
        complete(*id, size)?;
        let mut span = Span::from(id.index << id.level);
        let width = usize::try_from(1_u64 << id.level).unwrap_or(usize::MAX);
        store.scan(id.index << id.level, width, &mut |_, digest| {
            span.push_leaf(kept::leaf(digest), &mut |_, _| ());
        })?;
        let found = span.single().filter(|(found, _)| found == id);
        found.map(|(_, hash)| hash).ok_or_else(|| no_answer(*id))
    };
    ids.iter().map(node).collect()
}

/// Refuses a node that is not complete.
pub(in crate::ssot) fn complete(node: NodeId, size: u64) -> Result<(), StoreError> {
    if node.is_within(size) { Ok(()) } else { Err(StoreError::NoNode { node, size }) }
}
