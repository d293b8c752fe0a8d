//! What a commit to a log in memory costs beyond hashing its record:
//! `cargo bench --bench commit`.
//!
//! The batches are those of a route: a record of 600 bytes with three payloads under five
//! expected heads, then one of 150 bytes with one payload. Each time is printed beside
//! the time that hashing the same records takes in the same run. `-- once` commits a
//! thousand routes and ends, for `valgrind --tool=callgrind`, which also counts the
//! calls of the allocator.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use prospera::digest::{Digest, Domain};
use prospera::id::Subsystem;
use prospera::ssot::ledger::Ledger;
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use prospera::ssot::store::Batch;
use prospera::time::Timestamp;

type Payloads = Vec<(Digest, Arc<[u8]>)>;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const ROUTES: u64 = 1000;
const EVIDENCE: usize = 600;
const OUTCOME: usize = 150;

/// A session that commits what a route commits, as a router does.
struct Session {
    ledger: Ledger<MemoryStore>,
    routing: StreamId,
    read: [StreamId; 4],
    head: Head,
    batch: Batch,
    body: Vec<u8>,
    number: u64,
}

fn stream(kind: StreamKind, name: &str) -> StreamId {
    StreamId::new(kind, name.parse().unwrap())
}

impl Session {
    fn new() -> Self {
        let read = [
            stream(StreamKind::Audience, "alice@example.org"),
            stream(StreamKind::Memory, "alice@example.org"),
            stream(StreamKind::Governance, "alice@example.org"),
            stream(StreamKind::Policy, "policy"),
        ];
        Self {
            ledger: Ledger::new(MemoryStore::new()),
            routing: stream(StreamKind::Routing, "0190a5b2-7c7e-7d0b-9a4e-3f6f1f2f3a4b"),
            read,
            head: Head::EMPTY,
            batch: Batch::new(NOW),
            body: Vec::new(),
            number: 0,
        }
    }

    /// A payload of its own for each route, and its digest: outside of what is measured.
    fn payloads(&self, each: &[usize]) -> Payloads {
        let one = |(place, &size): (usize, &usize)| {
            let mut bytes = vec![u8::try_from(place).unwrap_or(0); size];
            if let Some(start) = bytes.first_chunk_mut::<8>() {
                *start = self.number.to_le_bytes();
            }
            (Domain::Payload.hash(&bytes), bytes.into())
        };
        each.iter().enumerate().map(one).collect()
    }

    fn commit(&mut self, kind: RecordKind, size: usize, payloads: Payloads) {
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        body.resize(size, 7);
        self.batch.reset(NOW);
        self.batch.push_expected(self.routing.clone(), self.head);
        if kind == RecordKind::EvidenceBlock {
            for stream in &self.read {
                self.batch.push_expected(stream.clone(), Head::EMPTY);
            }
        }
        self.batch.push_draft(Draft::new(self.routing.clone(), kind, Subsystem::Routing, body));
        for (digest, bytes) in payloads {
            self.batch.push_payload(digest, bytes);
        }
        let receipt = self.ledger.commit(&self.batch).unwrap();
        self.head = receipt.records().last().map_or(Head::EMPTY, Record::head);
    }

    fn route(&mut self, payloads: (Payloads, Payloads)) {
        self.number += 1;
        self.commit(RecordKind::EvidenceBlock, EVIDENCE, payloads.0);
        self.commit(RecordKind::Outcome, OUTCOME, payloads.1);
    }
}

fn main() {
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    if std::env::args().any(|arg| arg == "once") {
        let mut session = Session::new();
        for _ in 0..ROUTES {
            let payloads = (session.payloads(&[200, 40, 100]), session.payloads(&[60]));
            session.route(payloads);
        }
        return;
    }
    let name = 36;
    let (evidence, outcome) = (vec![7; 68 + name + EVIDENCE], vec![7; 68 + name + OUTCOME]);
    let (mut hashing, mut committing) = (u128::MAX, u128::MAX);
    for _ in 0..200 {
        let start = Instant::now();
        for _ in 0..ROUTES {
            black_box(Domain::Record.hash(black_box(&evidence)));
            black_box(Domain::Record.hash(black_box(&outcome)));
        }
        hashing = hashing.min(start.elapsed().as_nanos());
        let mut session = Session::new();
        let mut payloads: Vec<_> = (0..ROUTES)
            .map(|number| {
                session.number = number;
                (session.payloads(&[200, 40, 100]), session.payloads(&[60]))
            })
            .collect();
        let start = Instant::now();
        while let Some(next) = payloads.pop() {
            session.route(next);
        }
        committing = committing.min(start.elapsed().as_nanos());
    }
    let routes = u128::from(ROUTES);
    println!("hashing the two records of a route   {:>6} ns", hashing / routes);
    println!("committing them to a log in memory   {:>6} ns", committing / routes);
    println!("commit / hash                        {:>6} %", committing * 100 / hashing.max(1));
}
