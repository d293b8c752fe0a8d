//! The log's own checks: chain, proof, order; and a log that is not the one it was.

use std::sync::atomic::Ordering;

use prospera::digest::Domain;
use prospera::routing::audit::Auditor;
use prospera::ssot::matrix::{
    Check, Checkpoint, Inspector, LogRule, Matrix, Options, Row, Rule, State,
};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::merkle::{Frontier, Hash, Sha256};
use prospera::ssot::record::{Head, Record, RecordKind, StreamKind};

use crate::forge::{Forge, Medium, bad, day, made, matrix, only, open, records, reseal, stream};

const S1: &str = "/ssot/intent/routing/s-1";

/// The place of the n-th record of a stream kind.
fn place(medium: &Medium, kind: RecordKind, nth: usize) -> usize {
    let records = medium.log.iter().map(|s| Record::decode_sealed(&s.bytes).unwrap());
    records.enumerate().filter(|(_, r)| r.kind() == kind).nth(nth).unwrap().0
}

fn unsound(matrix: &Matrix, check: Check) -> Vec<String> {
    let bad = |row: &&Row| row.cell(check).state() == State::Unsound;
    matrix.rows().iter().filter(bad).map(|row| row.stream.to_string()).collect()
}

#[test]
fn a_medium_that_was_not_touched_is_sound() {
    let medium = Medium::of(day());
    only(&matrix(&medium), &[]);
}

#[test]
fn chain_a_flipped_bit_breaks_its_stream_and_no_other() {
    let mut medium = Medium::of(day());
    let at = place(&medium, RecordKind::Outcome, 1);
    let mut bytes = medium.log[at].bytes.to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    medium.log[at].bytes = bytes.into();
    let found = matrix(&medium);
    assert_eq!(unsound(&found, Check::Chain), [S1]);
    assert!(bad(&found).contains(&format!("{S1} chain.digest")), "{:?}", bad(&found));
    // The tree was made of the bytes that were sealed.
    assert_eq!(unsound(&found, Check::Proof), [S1]);
    assert_eq!(bad(&found).len(), 2, "{:?}", bad(&found));
    assert!(found.log().faults.is_empty());
    let rest = ["schema", "identity", "lineage", "replay", "policy"];
    let rest: Vec<_> = rest.iter().map(|check| format!("{S1} {check}")).collect();
    assert!(open(&found).starts_with(&rest[..]), "{:?}", open(&found));
}

/// Bytes that are no record any more are laid to the stream that goes on with them, or to
/// the log where no stream is known.
#[test]
fn chain_bytes_that_are_no_record() {
    let mut medium = Medium::of(day());
    let at = place(&medium, RecordKind::Outcome, 1);
    let mut bytes = medium.log[at].bytes.to_vec();
    let last = bytes.len() - 1;
    bytes.truncate(last);
    medium.log[at].bytes = bytes.into();
    let found = matrix(&medium);
    assert_eq!(
        found.log().faults.iter().map(|f| f.rule).collect::<Vec<_>>(),
        [LogRule::Unreadable]
    );
    assert_eq!(found.log().faults[0].index, at as u64);
    // Its stream misses it.
    assert_eq!(bad(&found), [format!("{S1} chain.sequence")]);
    // With a right digest beside them they are still none.
    let mut medium = Medium::of(day());
    reseal(&mut medium.log[at], |bytes| bytes[0] = 9);
    let found = matrix(&medium);
    assert_eq!(
        found.log().faults.iter().map(|f| f.rule).collect::<Vec<_>>(),
        [LogRule::Unreadable]
    );
    assert_eq!(found.verdict(), State::Unsound);
}

#[test]
fn chain_a_record_sealed_again_does_not_follow() {
    let mut medium = Medium::of(day());
    let at = place(&medium, RecordKind::EvidenceBlock, 2);
    // Its link is another; its own digest is right.
    reseal(&mut medium.log[at], |bytes| bytes[27] ^= 1);
    let found = matrix(&medium);
    assert_eq!(unsound(&found, Check::Chain), [S1]);
    let row = found.row(&stream(StreamKind::Routing, "s-1")).unwrap();
    let fault = row.cell(Check::Chain).fault().unwrap();
    assert_eq!((fault.rule, fault.index), (Rule::Previous, at as u64));
    let fault = row.cell(Check::Proof).fault().unwrap();
    assert_eq!((fault.rule, fault.index), (Rule::Leaf, at as u64), "not the leaf of the tree");
}

#[test]
fn chain_a_dropped_record_is_missed_by_its_stream() {
    let mut medium = Medium::of(day());
    let at = place(&medium, RecordKind::Fact, 0);
    medium.log.remove(at);
    let found = matrix(&medium);
    let memory = found.row(&stream(StreamKind::Memory, "alice")).unwrap();
    assert_eq!(memory.cell(Check::Chain).fault().unwrap().rule, Rule::Sequence);
    // All behind it stand one place too early.
    let moved = found.row(&stream(StreamKind::Routing, "s-2")).unwrap();
    assert_eq!(moved.cell(Check::Order).fault().unwrap().rule, Rule::Place);
    let before = found.row(&stream(StreamKind::Policy, "policy")).unwrap();
    assert_eq!(before.state(), State::Sound, "its leaf is where it was");
}

#[test]
fn chain_an_index_leads_to_its_own_records() {
    let mut medium = Medium::of(day());
    let places = medium.places.get_mut(&stream(StreamKind::Routing, "s-1")).unwrap();
    places.swap(1, 2);
    only(&matrix(&medium), &[&format!("{S1} chain.index")]);
}

#[test]
fn chain_a_head_is_that_of_the_last_record() {
    let mut medium = Medium::of(day());
    let own = stream(StreamKind::Memory, "alice");
    let head = medium.heads[&own];
    for wrong in [
        Head::new(head.length() + 1, head.digest()),
        Head::new(head.length() - 1, head.digest()),
        Head::new(head.length(), Domain::Other.hash(b"x")),
    ] {
        medium.heads.insert(own.clone(), wrong);
        only(&matrix(&medium), &["/ssot/memory/alice chain.head"]);
    }
    medium.heads.remove(&own);
    only(&matrix(&medium), &["/ssot/memory/alice chain.head"]);
    medium.heads.insert(own, head);
    medium.heads.insert(stream(StreamKind::Memory, "nobody"), Head::new(1, head.digest()));
    only(&matrix(&medium), &["/ssot/memory/nobody chain.head"]);
}

#[test]
fn order_a_record_stands_where_it_says() {
    let mut medium = Medium::of(day());
    // The last of a stream, so that nothing links to it.
    let at = place(&medium, RecordKind::Fact, 1);
    let mut heads = medium.heads.clone();
    reseal(&mut medium.log[at], |bytes| bytes[3] ^= 1);
    let changed = Record::decode_sealed(&medium.log[at].bytes).unwrap();
    heads.insert(changed.stream().clone(), changed.head());
    medium.heads = heads;
    let found = matrix(&medium);
    assert_eq!(unsound(&found, Check::Order), ["/ssot/memory/alice"]);
    assert_eq!(unsound(&found, Check::Chain), <[&str; 0]>::default());
}

#[test]
fn proof_a_tree_of_another_log_is_noticed() {
    let mut medium = Medium::of(day());
    let mut forge = Forge::new();
    let last = forge.sheets.len() - 1;
    forge.sheet(last).time = forge.sheets[last].time.plus_millis(1);
    medium.tree = forge.seal();
    only(&matrix(&medium), &["/ssot/intent/routing/s-2 proof.leaf"]);
    // A tree that is shorter has no such leaf either.
    forge.sheets.truncate(last);
    medium.tree = forge.seal();
    only(&matrix(&medium), &["/ssot/intent/routing/s-2 proof.leaf"]);
}

#[test]
fn proof_is_not_checked_where_no_tree_is_kept() {
    struct NoTree(MemoryStore);
    impl prospera::ssot::store::Store for NoTree {
        fn append(
            &self,
            batch: &prospera::ssot::store::Batch,
        ) -> Result<prospera::ssot::store::Committed, prospera::ssot::store::AppendError> {
            self.0.append(batch)
        }
        fn head(
            &self,
            stream: &prospera::ssot::record::StreamId,
        ) -> Result<Head, prospera::ssot::store::StoreError> {
            self.0.head(stream)
        }
        fn len(&self) -> Result<u64, prospera::ssot::store::StoreError> {
            self.0.len()
        }
        fn read(
            &self,
            from: u64,
            limit: usize,
        ) -> Result<Vec<prospera::ssot::store::Stored>, prospera::ssot::store::StoreError> {
            self.0.read(from, limit)
        }
        fn read_stream(
            &self,
            stream: &prospera::ssot::record::StreamId,
            from: u64,
            limit: usize,
        ) -> Result<Vec<prospera::ssot::store::Stored>, prospera::ssot::store::StoreError> {
            self.0.read_stream(stream, from, limit)
        }
        fn streams(
            &self,
            after: Option<&prospera::ssot::record::StreamId>,
            limit: usize,
        ) -> Result<Vec<(prospera::ssot::record::StreamId, Head)>, prospera::ssot::store::StoreError>
        {
            self.0.streams(after, limit)
        }
        fn payload(
            &self,
            digest: &prospera::digest::Digest,
        ) -> Result<Option<std::sync::Arc<[u8]>>, prospera::ssot::store::StoreError> {
            self.0.payload(digest)
        }
        fn durability(&self) -> prospera::ssot::store::Durability {
            self.0.durability()
        }
    }
    let found = matrix(&NoTree(day()));
    assert_eq!(found.verdict(), State::NotChecked);
    assert_eq!(found.count(Check::Proof).of(State::NotChecked), found.rows().len() as u64);
    assert_eq!(found.count(Check::Chain).of(State::Sound), found.rows().len() as u64);
}

/// The root after each number of records.
fn root(store: &MemoryStore, size: usize) -> Hash {
    let mut tree = Frontier::<Sha256>::new();
    records(store).iter().take(size).for_each(|record| tree.push(record.digest().as_bytes()));
    tree.root()
}

#[test]
fn a_remembered_checkpoint_is_held_against_the_log() {
    let store = day();
    let total = records(&store).len();
    let run = |inspector: &mut Inspector<Auditor>, size: u64, root| {
        let options = Options { checkpoint: Some(Checkpoint { size, root }), limit: None };
        inspector.run(&store, &options, |_| {}).unwrap();
        let matrix = inspector.matrix(&store, made()).unwrap();
        matrix.log().faults.iter().map(|fault| fault.rule).collect::<Vec<_>>()
    };
    for size in [1, 2, 7, total - 1, total] {
        let (size, right, wrong) = (size as u64, root(&store, size), root(&store, size - 1));
        let mut fresh = Inspector::new(Auditor::new());
        assert_eq!(run(&mut fresh, size, right), []);
        // Known already: by the nodes that the store keeps.
        assert_eq!(run(&mut fresh, size, right), []);
        let mut again = Inspector::restore(Auditor::new(), &fresh.save()).unwrap();
        assert_eq!(run(&mut again, size, wrong), [LogRule::Tree]);
        assert_eq!(run(&mut Inspector::new(Auditor::new()), size, wrong), [LogRule::Tree]);
    }
    let beyond = total as u64 + 1;
    let mut fresh = Inspector::new(Auditor::new());
    assert_eq!(run(&mut fresh, beyond, root(&store, total)), [LogRule::Shorter]);
}

/// Goes on from `before` with `after`.
fn went_on(before: &MemoryStore, after: &Medium) -> (bool, Matrix) {
    let mut inspector = Inspector::new(Auditor::new());
    inspector.run(before, &Options::default(), |_| {}).unwrap();
    let mut inspector = Inspector::restore(Auditor::new(), &inspector.save()).unwrap();
    let run = inspector.run(after, &Options::default(), |_| {}).unwrap();
    (run.continued, inspector.matrix(after, made()).unwrap())
}

#[test]
fn a_log_that_was_cut_off_is_not_the_one_that_was_checked() {
    let before = day();
    let mut forge = Forge::of(&before);
    let last = forge.sheets.len() - 2;
    forge.sheets.truncate(last);
    let (continued, found) = went_on(&before, &Medium::of(forge.seal()));
    assert!(!continued);
    assert_eq!(found.log().faults.iter().map(|f| f.rule).collect::<Vec<_>>(), [LogRule::Shorter]);
    assert_eq!(bad(&found), ["/ssot/intent/routing/s-2 chain.rewritten"], "whose end is gone");
    assert_eq!(found.log().checked, last as u64, "everything was looked at again");
}

#[test]
fn a_history_sealed_again_is_not_the_one_that_was_checked() {
    let before = day();
    let mut forge = Forge::of(&before);
    let place = forge.find(RecordKind::Fact, 0);
    forge.sheet(place).edit(|fact: &mut prospera::memory::FactRecord| {
        fact.value = Some("another address".into());
    });
    let after = Medium::of(forge.seal());
    only(&matrix(&after), &[]);
    let (continued, found) = went_on(&before, &after);
    assert!(!continued);
    assert_eq!(found.log().faults.iter().map(|f| f.rule).collect::<Vec<_>>(), [LogRule::Replaced]);
    let rewritten = bad(&found);
    assert!(rewritten.contains(&"/ssot/memory/alice chain.rewritten".into()), "{rewritten:?}");
    assert!(!rewritten.iter().any(|cell| cell.starts_with("/ssot/governance/policy")));
}

#[test]
fn a_second_check_reads_what_is_new() {
    let store = day();
    let mut medium = Medium::of(store);
    let all = medium.log.split_off(0);
    let (heads, places) = (medium.heads.clone(), medium.places.clone());
    let mut inspector = Inspector::new(Auditor::new());
    for (cut, new) in [(10, 10), (25, 15), (25, 0), (all.len(), all.len() - 25)] {
        medium.log = all[..cut].to_vec();
        medium.heads.clear();
        medium.places.clear();
        for (record, at) in all[..cut].iter().zip(0..) {
            let record = Record::decode_sealed(&record.bytes).unwrap();
            medium.heads.insert(record.stream().clone(), record.head());
            medium.places.entry(record.stream().clone()).or_default().push(at);
        }
        let before = medium.read.swap(0, Ordering::Relaxed);
        let run = inspector.run(&medium, &Options::default(), |_| {}).unwrap();
        let _matrix = inspector.matrix(&medium, made()).unwrap();
        let known = u64::from(run.from > 0);
        let read = medium.read.load(Ordering::Relaxed);
        assert_eq!(read, new as u64 + known, "after {before}: the new ones, and the last known");
        assert_eq!((run.read, run.to), (read, cut as u64));
    }
    assert_eq!((medium.heads, medium.places), (heads, places));
}
