//! How long it takes to begin on a store of a million records: `cargo bench --features redb
//! --bench startup` (`PROSPERA_RECORDS` asks for another number).
//!
//! A store is filled with the sessions of many subjects and closed; then opened again and
//! again, with a router over it and a session opened on it: what a process does before its
//! first route.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::path::Path;
use std::time::Instant;

use prospera::id::Subsystem;
use prospera::routing::Router;
use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
use prospera::ssot::redb::RedbStore;
use prospera::ssot::store::{Batch, Store};
use prospera::testing::world::{BEGIN, Setup, SharedClock, session};

use common::report::{self, Report};

mod common;

/// Records of one stream.
const EACH: u64 = 1_000;

/// Bytes of a body: about an evidence block.
const BODY: usize = 400;

fn main() {
    if report::only_tried() {
        return;
    }
    let records: u64 = std::env::var("PROSPERA_RECORDS").map_or(1_000_000, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let store = RedbStore::create(&path).unwrap();
    let clock = SharedClock::new(BEGIN);
    let (engines, rules, _) = Setup::sample().unwrap().into_parts().unwrap();
    // The policy set in force is pinned by the first router.
    let operator = || "operator".parse().unwrap();
    let router = Router::new(engines, rules, store, clock.clone(), operator()).unwrap();
    fill(router.store(), records);
    let kept = router.store().len().unwrap();
    drop(router);

    let mut report = Report::begin("start-up");
    let (mut opened, mut ready) = (u128::MAX, u128::MAX);
    for turn in 0..10 {
        let (open, whole) = start(&path, &clock, turn);
        opened = opened.min(open);
        ready = ready.min(whole);
    }
    report.count("startup-records", "records in the store", (kept.into(), "records"), None);
    report.time("startup-open", "the store opened", opened);
    report.time("startup", "ready to route", ready);
    report.end();
}

/// Appends so many records, a stream's in one batch.
fn fill(store: &RedbStore, records: u64) {
    for number in 0..records.div_ceil(EACH) {
        let name = format!("session-{number}");
        let stream = StreamId::new(StreamKind::Routing, name.parse().unwrap());
        let mut batch = Batch::new(BEGIN).expect(stream.clone(), Head::EMPTY);
        for _ in 0..EACH.min(records - number * EACH) {
            let body = vec![0x5a; BODY];
            let kind = RecordKind::EvidenceBlock;
            batch = batch.append(Draft::new(stream.clone(), kind, Subsystem::Routing, body));
        }
        store.append(&batch).unwrap();
    }
}

/// Picoseconds until the store was opened, and until a session could route.
fn start(path: &Path, clock: &SharedClock, turn: u32) -> (u128, u128) {
    let (engines, rules, _) = Setup::sample().unwrap().into_parts().unwrap();
    let name = format!("new-{turn}");
    let alice = session(engines.identity.policy(), &name, &name, None, BEGIN).unwrap();
    let begin = Instant::now();
    let store = RedbStore::open(path).unwrap();
    let open = begin.elapsed();
    let operator = "operator".parse().unwrap();
    let router = Router::new(engines, rules, store, clock.clone(), operator).unwrap();
    let desk = router.open(alice).unwrap();
    let whole = begin.elapsed();
    assert!(desk.state().is_some());
    (open.as_nanos() * 1000, whole.as_nanos() * 1000)
}
