//! Durable appends beside the same bytes appended to a file and flushed:
//! `cargo bench --bench durable --features redb [-- append|routes|start] [IN-FLIGHT]
//! [FOLDER]`.
//!
//! `append` (the default): with 1, 64 and 1,024 batches in flight, how many appends per
//! second the store makes durable, and how many a bare file does that gets the bytes of as
//! many batches with one write and one `fdatasync`. Each batch in flight has a thread of its
//! own that waits for it, or (64 and 1,024 again) four threads hand over their batches and
//! then wait. Both are taken in turns within one run; the ratio printed is the median over the turns, with the
//! least and the greatest. The batches are those of a route: a record of 600 bytes with
//! three payloads under five expected heads, then one of 150 bytes with one payload.
//!
//! `routes` (after the appends, or alone): whole routes, evidence durable before the effect
//! and the outcome after it, at 1, 64 and 1,024 desks that each have a thread; beside a bare
//! file that gets the evidence of as many routes with one write and one `fdatasync`, and
//! then their outcomes.
//!
//! `start`: a store of a million records is built, closed, opened, and one session with a
//! short history restored from it.
//!
//! The folder must be on the disk that is to be measured; the default is a new one below
//! `target/`. Nothing here asserts a time.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use prospera::digest::Digest;
use prospera::id::Subsystem;
use prospera::routing::Router;
use prospera::ssot::ledger::{Ledger, check};
use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
use prospera::ssot::redb::RedbStore;
use prospera::ssot::store::{Batch, Store};
use prospera::ssot::verify::verify_stream;
use prospera::testing::world::{self, BEGIN, SharedClock};
use prospera::time::Timestamp;

use common::routes::{Necessary, Routes, request_of};

mod common;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const SPAN: Duration = Duration::from_millis(400);
const ROUNDS: usize = 15;
const EVIDENCE: usize = 600;
const OUTCOME: usize = 150;
const PAYLOADS: [usize; 3] = [200, 40, 100];
const OUTPUT: usize = 60;
const HEAD_BYTES: usize = 68 + 36;
/// What two batches hold: records and payloads.
const TWO_BATCHES: usize =
    2 * HEAD_BYTES + EVIDENCE + OUTCOME + PAYLOADS[0] + PAYLOADS[1] + PAYLOADS[2] + OUTPUT;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.iter().any(|arg| arg == "--test" || arg == "--list") {
        return;
    }
    let no_folder =
        |arg: &str| ["append", "routes", "start"].contains(&arg) || arg.parse::<usize>().is_ok();
    let place = args.iter().find(|arg| !no_folder(arg));
    let base = place.map_or(PathBuf::from("target"), PathBuf::from);
    let folder = tempfile::tempdir_in(&base).unwrap();
    if args.iter().any(|arg| arg == "start") {
        start(folder.path());
    } else {
        let only = args.iter().find_map(|arg| arg.parse::<usize>().ok());
        let chosen = |in_flight| only.is_none_or(|only| only == in_flight);
        let appending = !args.iter().any(|arg| arg == "routes");
        for (in_flight, threads) in [(1, 1), (64, 64), (64, 4), (1024, 1024), (1024, 4)] {
            if appending && chosen(in_flight) {
                appends(folder.path(), in_flight, threads);
            }
        }
        let appends_only = args.iter().any(|arg| arg == "append");
        for in_flight in [1, 64, 1024] {
            if !appends_only && chosen(in_flight) {
                routes(folder.path(), in_flight);
            }
        }
    }
}

fn stream(kind: StreamKind, name: &str) -> StreamId {
    StreamId::new(kind, name.parse().unwrap())
}

/// The streams of one session: its own, and what its routes read.
struct Session {
    routing: StreamId,
    read: [StreamId; 4],
    head: Head,
    number: u64,
    routes: u64,
}

impl Session {
    fn new(number: u64) -> Self {
        let subject = format!("subject-{number}@example.org");
        Self {
            routing: stream(StreamKind::Routing, &format!("0190a5b2-7c7e-7d0b-9a4e-{number:012x}")),
            read: [
                stream(StreamKind::Audience, &subject),
                stream(StreamKind::Memory, &subject),
                stream(StreamKind::Governance, &subject),
                stream(StreamKind::Policy, "policy"),
            ],
            head: Head::EMPTY,
            number,
            routes: 0,
        }
    }

    /// Payloads that nobody has kept before, under digests spread like any: hashing them
    /// is the route's work and not the store's.
    fn payloads(&self, mut batch: Batch, sizes: &[usize]) -> Batch {
        for (place, &size) in sizes.iter().enumerate() {
            let mut state = (self.number << 40) ^ (self.routes << 3) ^ place as u64;
            let mut digest = [0; 32];
            for part in digest.chunks_exact_mut(8) {
                state = mix(state);
                part.copy_from_slice(&state.to_le_bytes());
            }
            batch = batch.payload(Digest::from_bytes(digest), vec![7; size].into());
        }
        batch
    }

    fn next(&mut self) -> Batch {
        let first = self.routes.is_multiple_of(2);
        self.routes += 1;
        let mut batch = Batch::new(NOW).expect(self.routing.clone(), self.head);
        let (kind, size) = if first {
            for stream in &self.read {
                batch = batch.expect(stream.clone(), Head::EMPTY);
            }
            (RecordKind::EvidenceBlock, EVIDENCE)
        } else {
            (RecordKind::Outcome, OUTCOME)
        };
        let draft = Draft::new(self.routing.clone(), kind, Subsystem::Routing, vec![7; size]);
        self.payloads(batch.append(draft), if first { &PAYLOADS } else { &[OUTPUT] })
    }
}

/// Splitmix64.
fn mix(state: u64) -> u64 {
    let mut out = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    out = (out ^ (out >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    out = (out ^ (out >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    out ^ (out >> 31)
}

/// Appends for a while, with so many threads; appends per second.
fn through_store(ledger: &Ledger<RedbStore>, sessions: &mut [Session], threads: usize) -> u64 {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let barrier = Barrier::new(threads + 1);
    let each = sessions.len() / threads;
    let took = std::thread::scope(|scope| {
        for own in sessions.chunks_mut(each) {
            let (stop, done, barrier) = (&stop, &done, &barrier);
            let run = move || {
                barrier.wait();
                while !stop.load(Ordering::Relaxed) {
                    if let [session] = own {
                        let receipt = ledger.commit(session.next()).unwrap();
                        session.head = receipt.records().last().unwrap().head();
                    } else {
                        all_at_once(ledger.store(), own);
                    }
                    done.fetch_add(own.len() as u64, Ordering::Relaxed);
                }
            };
            std::thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, run).unwrap();
        }
        barrier.wait();
        let start = Instant::now();
        std::thread::sleep(SPAN);
        stop.store(true, Ordering::Relaxed);
        start.elapsed()
    });
    per_second(done.into_inner(), took)
}

fn all_at_once(store: &RedbStore, sessions: &mut [Session]) {
    let batches: Vec<_> = sessions.iter_mut().map(|session| Arc::new(session.next())).collect();
    let pending: Vec<_> = batches.iter().map(|batch| store.submit(Arc::clone(batch))).collect();
    for ((session, batch), pending) in sessions.iter_mut().zip(&batches).zip(pending) {
        let receipt = check(batch, pending.wait().unwrap(), store.durability()).unwrap();
        session.head = receipt.records().last().unwrap().head();
    }
}

/// Appends the bytes of so many batches at a time to a file and flushes it; batches per
/// second.
fn raw(file: &mut File, in_flight: usize) -> u64 {
    let block = vec![7_u8; TWO_BATCHES * in_flight / 2];
    let (start, mut done) = (Instant::now(), 0);
    while start.elapsed() < SPAN {
        file.write_all(&block).unwrap();
        file.sync_data().unwrap();
        done += in_flight as u64;
    }
    per_second(done, start.elapsed())
}

fn per_second(done: u64, took: Duration) -> u64 {
    let micros = u64::try_from(took.as_micros()).unwrap().max(1);
    done * 1_000_000 / micros
}

fn appends(folder: &Path, in_flight: usize, threads: usize) {
    let name = format!("{in_flight}-{threads}");
    let path = folder.join(format!("{name}.redb"));
    let ledger = Ledger::new(RedbStore::create(&path).unwrap());
    let raw_path = folder.join(format!("{name}.raw"));
    let mut file = File::options().create(true).append(true).open(&raw_path).unwrap();
    let mut sessions: Vec<_> = (0..in_flight as u64).map(Session::new).collect();
    let mut rows = Vec::new();
    for round in 0..ROUNDS {
        // Whoever comes second in one turn comes first in the next.
        let (bare, kept);
        if round % 2 == 0 {
            bare = raw(&mut file, in_flight);
            kept = through_store(&ledger, &mut sessions, threads);
        } else {
            kept = through_store(&ledger, &mut sessions, threads);
            bare = raw(&mut file, in_flight);
        }
        rows.push((kept * 1000 / bare.max(1), bare, kept));
    }
    let median = |mut of: Vec<u64>| {
        of.sort_unstable();
        of.get(of.len() / 2).copied().unwrap_or(0)
    };
    let ratios: Vec<u64> = rows.iter().map(|row| row.0).collect();
    let len = ledger.store().len().unwrap();
    let commits = ledger.store().commits();
    println!(
        "{in_flight:>5} in flight on {threads:>4} threads: raw {:>8}/s, store {:>8}/s, store/raw {} \
         (from {} to {}), {} appends per commit, {} bytes of file per append",
        median(rows.iter().map(|row| row.1).collect()),
        median(rows.iter().map(|row| row.2).collect()),
        thousandths(median(ratios.clone())),
        thousandths(ratios.iter().copied().min().unwrap_or(0)),
        thousandths(ratios.iter().copied().max().unwrap_or(0)),
        len / commits.max(1),
        bytes_in(folder, &format!("{name}.redb")) / len.max(1),
    );
    drop(ledger);
}

/// Whole routes beside a bare file that gets their bytes.
fn routes(folder: &Path, in_flight: usize) {
    let store = RedbStore::create(folder.join(format!("routes-{in_flight}.redb"))).unwrap();
    let (engines, rules, catalogue) = Routes::setup().into_parts().unwrap();
    let clock = SharedClock::new(BEGIN);
    let router = Router::new(engines, rules, store, clock, "operator".parse().unwrap()).unwrap();
    let policy = Arc::clone(router.engines().identity.policy());
    let mut desks: Vec<_> = (0..in_flight)
        .map(|number| {
            let (subject, name) = (format!("subject-{number}"), format!("session-{number}"));
            let session = world::session(&policy, &subject, &name, None, BEGIN).unwrap();
            (router.open(session).unwrap(), subject, name, 0)
        })
        .collect();
    let necessary = Necessary::new();
    let raw_path = folder.join(format!("routes-{in_flight}.raw"));
    let mut file = File::options().create(true).append(true).open(&raw_path).unwrap();
    let blocks: Vec<_> =
        necessary.commits().iter().map(|bytes| vec![7_u8; bytes * in_flight]).collect();
    let bare = |file: &mut File| {
        let (start, mut done) = (Instant::now(), 0);
        while start.elapsed() < SPAN {
            for block in &blocks {
                file.write_all(block).unwrap();
                file.sync_data().unwrap();
            }
            done += in_flight as u64;
        }
        per_second(done, start.elapsed())
    };
    let mut through = || {
        let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
        let barrier = Barrier::new(in_flight + 1);
        let took = std::thread::scope(|scope| {
            for (desk, subject, name, asked) in &mut desks {
                let (stop, done, barrier) = (&stop, &done, &barrier);
                let (router, catalogue) = (&router, &catalogue);
                let run = move || {
                    barrier.wait();
                    while !stop.load(Ordering::Relaxed) {
                        *asked += 1;
                        let intent = catalogue.intent(request_of(subject, name, *asked)).unwrap();
                        let ended = router.route(desk, intent.into()).unwrap();
                        assert!(ended.outcome.is_some());
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                };
                std::thread::Builder::new().stack_size(512 << 10).spawn_scoped(scope, run).unwrap();
            }
            barrier.wait();
            let start = Instant::now();
            std::thread::sleep(SPAN);
            stop.store(true, Ordering::Relaxed);
            start.elapsed()
        });
        per_second(done.into_inner(), took)
    };
    let mut rows = Vec::new();
    for round in 0..ROUNDS {
        let (raw, kept) = if round % 2 == 0 {
            let raw = bare(&mut file);
            (raw, through())
        } else {
            let kept = through();
            (bare(&mut file), kept)
        };
        rows.push((kept * 1000 / raw.max(1), raw, kept));
    }
    rows.sort_unstable();
    let (least, most) = (rows.first().unwrap().0, rows.last().unwrap().0);
    let (ratio, raw, kept) = rows.get(rows.len() / 2).copied().unwrap();
    println!(
        "{in_flight:>5} routes in flight: raw {raw:>8}/s, routed {kept:>8}/s, routed/raw {} (from \
         {} to {})",
        thousandths(ratio),
        thousandths(least),
        thousandths(most),
    );
    println!("result\traw-routes-{in_flight}\t{raw}\tper second\t-\t-");
    let (row, against) = (format!("durable-routes-{in_flight}"), format!("raw-routes-{in_flight}"));
    println!("result\t{row}\t{kept}\tper second\t{}\t{against}", thousandths(ratio));
}

/// The bytes of all files whose name starts so.
fn bytes_in(folder: &Path, name: &str) -> u64 {
    let files = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let own = files.filter(|file| file.file_name().to_string_lossy().starts_with(name));
    own.map(|file| file.metadata().unwrap().len()).sum()
}

fn thousandths(ratio: u64) -> String {
    format!("{}.{:03}", ratio / 1000, ratio % 1000)
}

const RECORDS: u64 = 1_000_000;
const SESSIONS: u64 = 1000;
const AT_ONCE: usize = 4000;
const HISTORY: u64 = 20;

fn start(folder: &Path) {
    let path = folder.join("million.redb");
    let store = RedbStore::create(&path).unwrap();
    let mut heads: Vec<_> = (0..SESSIONS)
        .map(|number| (stream(StreamKind::Routing, &format!("session-{number}")), Head::EMPTY))
        .collect();
    let short = stream(StreamKind::Routing, "short");
    let build = Instant::now();
    append_to(&store, &mut (short.clone(), Head::EMPTY), HISTORY);
    let mut left = RECORDS - HISTORY;
    while left > 0 {
        for own in &mut heads {
            let count = left.min(AT_ONCE as u64 / 4);
            if count > 0 {
                append_to(&store, own, count);
                left -= count;
            }
        }
    }
    drop(store);
    println!("built {RECORDS} records in {} s", build.elapsed().as_secs());
    let (mut opened, mut restored) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        let start = Instant::now();
        let store = RedbStore::open(&path).unwrap();
        opened.push(start.elapsed());
        let records = verify_stream(&Arc::new(store), &short).unwrap();
        restored.push(start.elapsed());
        assert_eq!(records.len() as u64, HISTORY);
    }
    let worst = |of: &[Duration]| of.iter().max().copied().unwrap_or_default().as_micros();
    let best = |of: &[Duration]| of.iter().min().copied().unwrap_or_default().as_micros();
    println!("opening: {} to {} us", best(&opened), worst(&opened));
    println!("and restoring {HISTORY} records: {} to {} us", best(&restored), worst(&restored));
}

fn append_to(store: &RedbStore, (stream, head): &mut (StreamId, Head), count: u64) {
    let mut batch = Batch::new(NOW).expect(stream.clone(), *head);
    for _ in 0..count {
        let body = vec![7; 180];
        batch.push_draft(Draft::new(stream.clone(), RecordKind::Outcome, Subsystem::Routing, body));
    }
    *head = store.append(&batch).unwrap().records.last().unwrap().head();
}
