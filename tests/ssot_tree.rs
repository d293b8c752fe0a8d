//! The tree that the stores keep: the same in each, across everything that happens to a
//! store, and found out when it is not that of the records (PLAN-8.1).
#![cfg(feature = "redb")]
#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "the helpers of tests, too, may end a test"
)]

use std::path::Path;

use prospera::id::Subsystem;
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::merkle::{
    self, Frontier, NodeId, ProofError, ProveError, Sha256, TreeHead, consistency, inclusion,
};
use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
use prospera::ssot::redb::{FORMAT, Options, RedbStore};
use prospera::ssot::store::{Batch, Store, StoreError};
use prospera::ssot::verify::{Fault, VerifyError, verify, verify_on};
use prospera::time::Timestamp;
use redb::{Database, ReadableDatabase as _, ReadableTableMetadata as _, TableDefinition};

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("prospera.meta");
const TREE: TableDefinition<'_, (u8, u64), &[u8]> = TableDefinition::new("prospera.tree");

struct Dice(u64);

impl Dice {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % count
    }
}

fn stream() -> StreamId {
    StreamId::new(StreamKind::Routing, "s".parse().unwrap())
}

/// A batch of so many records behind this head.
fn batch(head: Head, count: u64) -> Batch {
    let batch = Batch::new(Timestamp::from_millis(7)).expect(stream(), head);
    (0..count).fold(batch, |batch, number| {
        let body = vec![number as u8; number as usize % 90];
        batch.append(Draft::new(stream(), RecordKind::Outcome, Subsystem::Execution, body))
    })
}

fn append(store: &impl Store, count: u64) {
    store.append(&batch(store.head(&stream()).unwrap(), count)).unwrap();
}

/// Heads, nodes and proofs of one are those of the other.
fn same(store: &impl Store, other: &impl Store, dice: &mut Dice) {
    let head = store.tree_head().unwrap();
    assert_eq!(head, other.tree_head().unwrap());
    let mut ids = Vec::new();
    for level in 0..=head.size.ilog2() as u8 {
        for _ in 0..4 {
            let count = head.size >> level;
            ids.extend([dice.below(count), count - 1].map(|index| NodeId { level, index }));
        }
    }
    assert_eq!(store.tree_nodes(&ids).unwrap(), other.tree_nodes(&ids).unwrap());
    for _ in 0..4 {
        let size = 1 + dice.below(head.size);
        let index = dice.below(size);
        let proof = inclusion(store, index, size).unwrap();
        assert_eq!(proof, inclusion(other, index, size).unwrap());
        let digest = store.read(index, 1).unwrap().pop().unwrap().digest;
        let then = merkle::head_at(store, size).unwrap();
        assert_eq!(then, merkle::head_at(other, size).unwrap());
        proof.verify::<Sha256>(&merkle::leaf(&digest), &then.root).unwrap();
        let proof = consistency(store, size, head.size).unwrap();
        proof.verify::<Sha256>(&then.root, &head.root).unwrap();
    }
    let one_more = [NodeId { level: 0, index: head.size }];
    let refused = store.tree_nodes(&one_more);
    assert!(matches!(refused, Err(StoreError::NoNode { size, .. }) if size == head.size));
    let refused = inclusion(store, 0, head.size + 1).unwrap_err();
    let beyond = ProofError::Beyond { asked: head.size + 1, size: head.size };
    assert!(matches!(refused, ProveError::Asked(error) if error == beyond));
}

/// Turns so short that a record may be in the tables, on its way there, or in neither.
#[test]
fn both_stores_have_one_tree_wherever_its_nodes_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let memory = MemoryStore::new();
    let mut dice = Dice(3);
    for round in 0..6 {
        let options = Options::new().journal_bytes([1, 3000, 1 << 20][round % 3]);
        let durable = RedbStore::create_with(&path, &options).unwrap();
        for _ in 0..30 {
            let count = 1 + dice.below(40);
            append(&memory, count);
            append(&durable, count);
            same(&durable, &memory, &mut dice);
        }
        assert_eq!(verify(&durable, |_| {}).unwrap(), verify(&memory, |_| {}).unwrap());
        drop(durable);
        let durable = RedbStore::open_read_only(&path).unwrap();
        assert!(durable.kept_tree().is_some());
        same(&durable, &memory, &mut dice);
        assert_eq!(verify_on(&durable, 2, |_| {}).unwrap(), verify(&memory, |_| {}).unwrap());
    }
    assert!(memory.len().unwrap() > 2000, "beyond the third group of nodes");
}

fn edit(path: &Path, edit: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    edit(&transaction);
    transaction.commit().unwrap();
}

/// Makes a file one of an older format: as it was before there was a tree.
fn without_tree(path: &Path, format: u32) {
    edit(path, |transaction| {
        let mut meta = transaction.open_table(META).unwrap();
        meta.insert("format", format.to_le_bytes().as_slice()).unwrap();
        if format == 1 {
            meta.remove("journal").unwrap();
        }
        transaction.delete_table(TREE).unwrap();
    });
}

fn format(path: &Path) -> Vec<u8> {
    let database = Database::open(path).unwrap();
    let meta = database.begin_read().unwrap().open_table(META).unwrap();
    meta.get("format").unwrap().unwrap().value().to_vec()
}

fn closed(path: &Path, count: u64) -> TreeHead {
    let store = RedbStore::create(path).unwrap();
    let mut left = count;
    while left > 0 {
        append(&store, left.min(4096));
        left -= left.min(4096);
    }
    store.tree_head().unwrap()
}

/// Counts around the number of records that a tree is built from at a time, and around rows.
#[test]
fn a_store_from_before_the_tree_is_given_one_when_it_is_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(5);
    for (number, count) in [0, 1, 15, 16, 17, 4095, 4096, 4097, 8200].into_iter().enumerate() {
        let path = folder.path().join(format!("{number}.redb"));
        let head = closed(&path, count);
        without_tree(&path, 1 + number as u32 % 2);
        let before = format(&path);
        {
            // Read as it is, and nothing is written.
            let store = RedbStore::open_read_only(&path).unwrap();
            assert!(store.kept_tree().is_none());
            assert_eq!(store.tree_head().unwrap(), head);
            if count > 0 {
                same(&store, &store, &mut dice);
            }
            assert_eq!(verify(&store, |_| {}).unwrap().root, head.root);
        }
        assert_eq!(format(&path), before);
        let store = RedbStore::open(&path).unwrap();
        assert!(store.kept_tree().is_some());
        assert_eq!(store.tree_head().unwrap(), head);
        assert_eq!(verify(&store, |_| {}).unwrap().root, head.root);
        append(&store, 20);
        let after = store.tree_head().unwrap();
        consistency(&store, count, count + 20)
            .unwrap()
            .verify::<Sha256>(&head.root, &after.root)
            .unwrap();
        drop(store);
        assert_eq!(format(&path), FORMAT.to_le_bytes());
        let store = RedbStore::open_read_only(&path).unwrap();
        assert_eq!((store.tree_head().unwrap(), store.kept_tree().is_some()), (after, true));
        assert_eq!(verify(&store, |_| {}).unwrap().root, after.root);
    }
}

/// What is found where a tree's table was, with an older number: not believed.
#[test]
fn a_tree_in_a_file_of_an_older_format_is_built_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let head = closed(&path, 100);
    edit(&path, |transaction| {
        let mut meta = transaction.open_table(META).unwrap();
        meta.insert("format", [2, 0, 0, 0].as_slice()).unwrap();
        let mut tree = transaction.open_table(TREE).unwrap();
        tree.insert((0, 2), [7; 32 * 16].as_slice()).unwrap();
        tree.insert((9, 9), [7; 32].as_slice()).unwrap();
    });
    let store = RedbStore::open(&path).unwrap();
    assert_eq!(store.tree_head().unwrap(), head);
    assert_eq!(verify(&store, |_| {}).unwrap().root, head.root);
    drop(store);
    let tree = Database::open(&path).unwrap();
    let tree = tree.begin_read().unwrap().open_table(TREE).unwrap();
    // Seven rows of leaves, one of the six nodes above.
    assert_eq!(tree.len().unwrap(), 8, "nothing is left of what was there");
}

/// Whatever is changed in the table, verification names it; a right edge that is gone
/// keeps a store from being written to.
#[test]
fn a_changed_row_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    closed(&path, 1000);
    let fault = || {
        let store = RedbStore::open_read_only(&path).unwrap();
        match (verify(&store, |_| {}), verify_on(&store, 2, |_| {})) {
            (Err(VerifyError::Fault(fault)), Err(VerifyError::Fault(other))) if fault == other => {
                fault
            }
            other => panic!("expected a fault, found {other:?}"),
        }
    };
    let row = |key: (u8, u64)| {
        let database = Database::open(&path).unwrap();
        let tree = database.begin_read().unwrap().open_table(TREE).unwrap();
        tree.get(key).unwrap().unwrap().value().to_vec()
    };
    // The rows of 1,000 leaves: 63 of leaves, 4 above, 1 on top with three.
    for (key, at, node) in [
        ((0, 0), 0, NodeId { level: 0, index: 0 }),
        ((0, 62), 255, NodeId { level: 0, index: 999 }),
        ((0, 31), 100, NodeId { level: 0, index: 499 }),
        ((1, 3), 32 * 13, NodeId { level: 4, index: 61 }),
        ((2, 0), 64, NodeId { level: 8, index: 2 }),
    ] {
        let sound = row(key);
        let put = |bytes: &[u8]| {
            edit(&path, |transaction| {
                transaction.open_table(TREE).unwrap().insert(key, bytes).unwrap();
            });
        };
        let mut other = sound.clone();
        other[at] ^= 0x10;
        put(&other);
        assert!(matches!(fault(), Fault::TreeNode { node: found, .. } if found == node), "{key:?}");
        put(&sound[..at]);
        let missing = fault();
        let first = NodeId { index: key.1 * 16 + at as u64 / 32, ..node };
        assert!(matches!(missing, Fault::TreeMissing { node, .. } if node == first), "{missing}");
        edit(&path, |transaction| {
            transaction.open_table(TREE).unwrap().remove(key).unwrap();
        });
        assert!(matches!(fault(), Fault::TreeMissing { .. }));
        let written = RedbStore::open(&path).map(drop);
        let on_the_edge = [(0, 62), (1, 3), (2, 0)].contains(&key);
        assert_eq!(written.is_err(), on_the_edge, "{key:?}: {written:?}");
        put(&sound);
    }
    assert!(verify(&RedbStore::open(&path).unwrap(), |_| {}).is_ok());
}

/// A store that keeps nothing answers all the same.
#[test]
fn a_tree_computed_from_records_is_the_one_that_is_kept() {
    struct Plain(MemoryStore);
    impl Store for Plain {
        fn append(
            &self,
            batch: &Batch,
        ) -> Result<prospera::ssot::store::Committed, prospera::ssot::store::AppendError> {
            self.0.append(batch)
        }
        fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
            self.0.head(stream)
        }
        fn len(&self) -> Result<u64, StoreError> {
            self.0.len()
        }
        fn read(
            &self,
            from: u64,
            limit: usize,
        ) -> Result<Vec<prospera::ssot::store::Stored>, StoreError> {
            self.0.read(from, limit)
        }
        fn read_stream(
            &self,
            stream: &StreamId,
            from: u64,
            limit: usize,
        ) -> Result<Vec<prospera::ssot::store::Stored>, StoreError> {
            self.0.read_stream(stream, from, limit)
        }
        fn streams(
            &self,
            after: Option<&StreamId>,
            limit: usize,
        ) -> Result<Vec<(StreamId, Head)>, StoreError> {
            self.0.streams(after, limit)
        }
        fn payload(
            &self,
            digest: &prospera::digest::Digest,
        ) -> Result<Option<std::sync::Arc<[u8]>>, StoreError> {
            self.0.payload(digest)
        }
        fn durability(&self) -> prospera::ssot::store::Durability {
            self.0.durability()
        }
    }
    let (kept, plain) = (MemoryStore::new(), Plain(MemoryStore::new()));
    assert_eq!(plain.tree_head().unwrap(), Frontier::<Sha256>::new().head());
    let mut dice = Dice(1);
    for count in [1, 1, 2, 30, 200, 7] {
        append(&kept, count);
        append(&plain, count);
        same(&plain, &kept, &mut dice);
    }
    assert!(prospera::ssot::conformance::tree(&Plain(MemoryStore::new())).is_ok());
}
