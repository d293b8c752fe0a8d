//! The rule of the log's tree: its head after each commit, its nodes, its proofs.

use std::collections::BTreeMap;
use std::format;
use std::vec::Vec;

use super::reading::write_some;
use super::{Outcome, TIME, Trial, draft, stream};
use crate::digest::Digest;
use crate::ssot::merkle::{
    Frontier, Hash, NodeId, Sha256, TreeHash as _, TreeHead, consistency, head_at, inclusion, leaf,
};
use crate::ssot::record::Head;
use crate::ssot::store::{Batch, Store, StoreError};

/// The tree as it must be: after so many records each, and its nodes.
struct Expected {
    tree: Frontier,
    roots: Vec<Hash>,
    nodes: BTreeMap<NodeId, Hash>,
    leaves: Vec<Hash>,
}

impl Expected {
    fn new() -> Self {
        let (roots, nodes) = (std::vec![Sha256::empty()], BTreeMap::new());
        Self { tree: Frontier::new(), roots, nodes, leaves: Vec::new() }
    }

    fn push(&mut self, digest: &Digest) {
        let Self { tree, nodes, .. } = self;
        tree.push_leaf_with(&leaf(digest), |id, hash| {
            nodes.insert(id, *hash);
        });
        self.roots.push(self.tree.root());
        self.leaves.push(leaf(digest));
    }
}

/// The tree over the log is that of its records in their order (RFC 6962): its head after
/// each commit, every node of it, and proofs from them. A node that is not complete yet is
/// refused.
///
/// # Errors
/// [`ConformanceFailure`](super::ConformanceFailure) when the store does otherwise.
pub fn tree<S: Store>(store: &S) -> Outcome {
    let trial = Trial::new("tree", store);
    let mut expected = Expected::new();
    has_head(&trial, &expected)?;
    for record in write_some(&trial)? {
        expected.push(&record.digest());
    }
    has_head(&trial, &expected)?;
    let id = stream("tree");
    let mut head = Head::EMPTY;
    // One record, none for a batch in conflict, and batches of several sizes: across the
    // places where subtrees end, and beyond the first that has 64 leaves.
    for count in [1, 2, 3, 16, 5, 40] {
        let conflict = Batch::new(TIME).expect(id.clone(), Head::new(1000, Digest::ZERO));
        if store.append(&conflict.append(draft(&id, b"never"))).is_ok() {
            return Err(trial.fail("expected a conflict, found success".into()));
        }
        has_head(&trial, &expected)?;
        let batch = Batch::new(TIME).expect(id.clone(), head);
        let batch = (0..count).fold(batch, |batch, number| batch.append(draft(&id, &[number])));
        for record in trial.commit("appending a batch", batch)? {
            head = record.head();
            expected.push(&record.digest());
        }
        has_head(&trial, &expected)?;
    }
    has_nodes(&trial, &expected)?;
    proves(&trial, &expected)
}

fn has_head<S: Store>(trial: &Trial<'_, S>, expected: &Expected) -> Outcome {
    let found = trial.done("reading the tree's head", trial.store.tree_head())?;
    trial.same("the tree's head", &expected.tree.head(), &found)
}

fn has_nodes<S: Store>(trial: &Trial<'_, S>, expected: &Expected) -> Outcome {
    for (id, hash) in &expected.nodes {
        let found = trial.done("reading a node", trial.store.tree_nodes(&[*id]))?;
        trial.same(&format!("{id} of the tree"), &std::vec![*hash], &found)?;
    }
    let all: Vec<(NodeId, Hash)> = expected.nodes.iter().map(|(id, hash)| (*id, *hash)).collect();
    let (ids, hashes): (Vec<_>, Vec<_>) = all.into_iter().rev().unzip();
    let found = trial.done("reading all nodes", trial.store.tree_nodes(&ids))?;
    trial.same("the nodes of the tree, the last first", &hashes, &found)?;
    trial.same("no node", &Vec::new(), &trial.done("no node", trial.store.tree_nodes(&[]))?)?;
    let size = expected.tree.size();
    for (level, index) in [(0, size), (3, size >> 3), (8, 0), (63, 0), (64, 0), (0, u64::MAX)] {
        let id = NodeId { level, index };
        if !expected.nodes.contains_key(&id)
            && !matches!(trial.store.tree_nodes(&[id]), Err(StoreError::NoNode { .. }))
        {
            return Err(trial.fail(format!("{id} is not complete: expected it to be refused")));
        }
    }
    Ok(())
}

fn proves<S: Store>(trial: &Trial<'_, S>, expected: &Expected) -> Outcome {
    let size = expected.tree.size();
    let root = expected.tree.root();
    for ((index, leaf), old) in (0_u64..).zip(&expected.leaves).zip(&expected.roots) {
        let what = format!("the head after {index} records");
        let found = trial.done(&what, head_at(trial.store, index))?;
        trial.same(&what, &TreeHead { size: index, root: *old }, &found)?;
        let what = format!("the proof of record {index}");
        let proof = trial.done(&what, inclusion(trial.store, index, size))?;
        trial.done(&what, proof.verify::<Sha256>(leaf, &root))?;
        let what = format!("the proof that the log goes on from {index} records");
        let proof = trial.done(&what, consistency(trial.store, index, size))?;
        trial.done(&what, proof.verify::<Sha256>(old, &root))?;
    }
    Ok(())
}
