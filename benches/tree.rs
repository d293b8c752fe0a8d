//! The log's tree: what an append costs with it, what a proof costs, what verifying a log
//! costs beside hashing it: `cargo bench --bench tree` (add `--features redb` for proofs from
//! the embedded store; `-- append`, `-- proofs` or `-- verify` for one part).
//!
//! Rivals take turns and the least time of each is printed. Nothing here asserts a time.
//! The log in memory has ten million records of some 80 bytes: two to three gigabytes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark may panic")]

use std::hint::black_box;
use std::time::Instant;

use prospera::digest::{Digest, Domain};
use prospera::id::Subsystem;
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::merkle::{self, Frontier, Hash, InclusionProof, Sha256, TreeHash, inclusion};
use prospera::ssot::record::{Draft, Head, RecordKind, StreamId};
use prospera::ssot::store::{Batch, Store};
use prospera::ssot::verify::{verify, verify_on};

mod common;

use common::logs::{NOW, fill, stream};
use common::report::{Report, batch, rivals};

const MILLION: usize = 1_000_000;

/// One writer that appends records of one size to one stream, one in each batch.
struct Writer {
    store: MemoryStore,
    stream: StreamId,
    head: Head,
    batch: Batch,
    body: Vec<u8>,
}

impl Writer {
    fn new(body: usize) -> Self {
        let (store, stream) = (MemoryStore::new(), stream(0));
        let mut batch = Batch::new(NOW);
        batch.push_expected(stream.clone(), Head::EMPTY);
        Self { store, stream, head: Head::EMPTY, batch, body: vec![7; body] }
    }

    fn append(&mut self) {
        self.batch.renew(NOW);
        self.batch.expect_at(0, self.head);
        let body = std::mem::take(&mut self.body);
        let kind = RecordKind::EvidenceBlock;
        self.batch.push_draft(Draft::new(self.stream.clone(), kind, Subsystem::Routing, body));
        let committed = self.store.append(&self.batch).unwrap();
        self.head = committed.records.last().unwrap().head();
        self.body = self.batch.pop_draft().unwrap().into_body();
    }
}

/// What an append must hash: the record, its leaf, and one node for each leaf in the long
/// run.
struct Hashing {
    record: Vec<u8>,
    tree: Frontier,
}

impl Hashing {
    fn append(&mut self) {
        let digest = Domain::Record.hash(black_box(&self.record));
        self.tree.push(digest.as_bytes());
    }
}

fn appends(report: &mut Report) {
    let name = stream(0).name().as_str().len();
    // A record of 256 bytes, and one with a body of 256 bytes.
    for (row, text, body) in [
        ("tree-append-256", "append, record of 256 bytes", 256 - 68 - name),
        ("tree-append-body-256", "append, body of 256 bytes", 256),
    ] {
        let mut writer = Writer::new(body);
        let mut hashing = Hashing { record: vec![7; 68 + name + body], tree: Frontier::new() };
        let mut chained = vec![7; 68 + name + body];
        for _ in 0..1 << 16 {
            writer.append();
            hashing.append();
        }
        let times = rivals(
            400,
            &mut [
                &mut || batch(1000, || hashing.append()),
                &mut || batch(1000, || writer.append()),
                &mut || {
                    batch(1000, || {
                        black_box(Domain::Record.hash(black_box(&chained)));
                    })
                },
            ],
        );
        chained.clear();
        let against = format!("{row}-hashing");
        report.time(&format!("{row}-record"), "hashing the record alone", times[2]);
        report.time(&against, "hashing record, leaf and node", times[0]);
        report.beside(row, text, times[1], &against, times[0]);
    }
}

/// Indices spread over a log.
fn spread(size: u64) -> impl Iterator<Item = u64> {
    (1_u64..).map(move |n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % size)
}

fn proofs(report: &mut Report, kind: &str, text: &str, store: &impl Store) {
    let head = store.tree_head().unwrap();
    let mut indices = spread(head.size);
    let made: Vec<(InclusionProof, Hash)> = (0..1000)
        .map(|_| {
            let index = indices.next().unwrap();
            let digest = store.read(index, 1).unwrap()[0].digest;
            (inclusion(store, index, head.size).unwrap(), merkle::leaf(&digest))
        })
        .collect();
    let (mut at, mut next) = (0, 0);
    let times = rivals(
        200,
        &mut [
            &mut || {
                batch(200, || {
                    black_box(inclusion(store, indices.next().unwrap(), head.size).unwrap());
                })
            },
            &mut || {
                batch(200, || {
                    at = (at + 1) % made.len();
                    let (proof, leaf) = &made[at];
                    proof.verify::<Sha256>(black_box(leaf), &head.root).unwrap();
                })
            },
            &mut || {
                batch(200, || {
                    next = (next + 1) % made.len();
                    let (proof, leaf) = &made[next];
                    let root =
                        proof.path.iter().fold(*leaf, |hash, other| Sha256::node(&hash, other));
                    black_box(root);
                })
            },
        ],
    );
    let against = format!("tree-hashes-{kind}");
    report.time(&format!("tree-prove-{kind}"), &format!("inclusion proof, {text}: make"), times[0]);
    report.time(&against, "as many nodes hashed", times[2]);
    let row = format!("tree-check-{kind}");
    report.beside(&row, &format!("inclusion proof, {text}: verify"), times[1], &against, times[2]);
}

fn time(least: &mut u128, run: impl FnOnce()) {
    let start = Instant::now();
    run();
    *least = (start.elapsed().as_nanos() * 1000).min(*least);
}

fn verifying(report: &mut Report, kind: &str, text: &str, store: &(impl Store + Sync)) {
    let stored = store.read(0, usize::MAX).unwrap();
    let records: Vec<&[u8]> = stored.iter().map(|stored| &*stored.bytes).collect();
    let mut digests = vec![Digest::ZERO; records.len()];
    let (mut hashing, mut one, mut two) = (u128::MAX, u128::MAX, u128::MAX);
    let mut root = None;
    for _ in 0..15 {
        time(&mut hashing, || {
            let mut tree = Frontier::<Sha256>::new();
            for (records, digests) in records.chunks(256).zip(digests.chunks_mut(256)) {
                Domain::Record.hash_many(records, digests);
                for digest in digests.iter() {
                    tree.push(digest.as_bytes());
                }
            }
            root = Some(tree.root());
        });
        time(&mut one, || {
            assert_eq!(Some(verify(store, |_| {}).unwrap().root), root);
        });
        time(&mut two, || {
            assert_eq!(Some(verify_on(store, 2, |_| {}).unwrap().root), root);
        });
    }
    let count = records.len() as u128;
    let against = format!("tree-hashing-{kind}");
    report.time(&against, &format!("hashing a record once, {text}"), hashing / count);
    let row = format!("tree-verify-{kind}");
    report.beside(&row, "verify on one thread", one / count, &against, hashing / count);
    let two_row = format!("tree-verify-2-{kind}");
    report.beside(&two_row, "verify on two threads", two / count, &row, one / count);
}

fn main() {
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return;
    }
    let only = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let wanted = |part: &str| only.as_ref().is_none_or(|only| only == part);
    let mut report = Report::begin("the log's tree");
    if wanted("append") {
        appends(&mut report);
    }
    if wanted("verify") {
        let store = MemoryStore::new();
        fill(&store, MILLION, 64, &[700, 120, 700, 120, 700, 120, 700, 120, 200]);
        verifying(&mut report, "memory", "in memory", &store);
    }
    if wanted("proofs") {
        let store = MemoryStore::new();
        fill(&store, 10 * MILLION, 1, &[0]);
        proofs(&mut report, "memory-10m", "10 M in memory", &store);
    }
    #[cfg(feature = "redb")]
    {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = folder.path().join("log.redb");
        let bodies = [700, 120, 700, 120, 700, 120, 700, 120, 200];
        if wanted("proofs") || wanted("verify") {
            fill(&prospera::ssot::redb::RedbStore::create(&path).unwrap(), MILLION, 64, &bodies);
            let store = prospera::ssot::redb::RedbStore::open_read_only(&path).unwrap();
            if wanted("proofs") {
                proofs(&mut report, "redb-1m", "1 M on disk", &store);
            }
            if wanted("verify") {
                verifying(&mut report, "redb", "on disk", &store);
            }
        }
    }
    report.end();
}
