//! A process that appends is killed at random moments, many times: nothing that it was
//! told is committed may be missing afterwards, and no batch may be there in part (D-27).
//!
//! `PROSPERA_KILLS` sets the number of rounds, `PROSPERA_SEED` the seed. A killed process
//! leaves the system's page cache as it is; what a power loss does is tried with a
//! simulated disk in the store's own tests.

#![cfg(feature = "redb")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the helpers of tests, too, may end a test"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use prospera::id::Subsystem;
use prospera::ssot::ledger::{Ledger, LedgerError};
use prospera::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use prospera::ssot::redb::RedbStore;
use prospera::ssot::store::{AppendError, Batch, Store, StoreError};
use prospera::ssot::verify::{verify, verify_stream};
use prospera::time::Timestamp;

const CHILD: &str = "PROSPERA_KILL_TEST_STORE";
const WRITERS: usize = 4;
/// Records in one batch: two to the writer's own stream, one to the one all share.
const BATCH: usize = 3;

fn stream(name: &str) -> StreamId {
    StreamId::new(StreamKind::Routing, name.parse().unwrap())
}

fn draft(stream: &StreamId, body: String) -> Draft {
    Draft::new(stream.clone(), RecordKind::Outcome, Subsystem::Execution, body.into_bytes())
}

/// Not a test of its own: what the process that is killed runs.
#[test]
fn child() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let ledger = Ledger::new(RedbStore::create(Path::new(&path)).unwrap());
    say("READY");
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let ledger = &ledger;
            scope.spawn(move || append_for_ever(ledger, writer));
        }
    });
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The parent may have gone: then nobody is left to be told.
    let _gone = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn append_for_ever(ledger: &Ledger<RedbStore>, writer: usize) {
    let (own, shared) = (stream(&format!("writer {writer}")), stream("shared"));
    loop {
        let store = ledger.store();
        let (own_head, head) = (store.head(&own).unwrap(), store.head(&shared).unwrap());
        let tag = format!("{writer}:{}", own_head.length() / 2);
        let batch = Batch::new(Timestamp::default())
            .expect(own.clone(), own_head)
            .expect(shared.clone(), head)
            .append(draft(&own, format!("{tag}:0")))
            .append(draft(&shared, format!("{tag}:1")))
            .append(draft(&own, format!("{tag}:2{}", "x".repeat(head.length() as usize % 700))));
        match ledger.commit(batch) {
            Ok(receipt) => {
                let line: Vec<String> = receipt
                    .records()
                    .iter()
                    .map(|r| format!("{} {}", r.index(), r.digest()))
                    .collect();
                say(&format!("ACK {}", line.join(" ")));
            }
            Err(LedgerError::Append(AppendError::Conflict { .. })) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

fn start(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn killing_the_writer_loses_nothing_acknowledged_and_tears_nothing() {
    let rounds = number("PROSPERA_KILLS", 25);
    let seed = number("PROSPERA_SEED", 1);
    println!("{rounds} rounds, seed {seed}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let mut random = seed;
    let mut acknowledged: Vec<(u64, String)> = Vec::new();
    for round in 0..rounds {
        let lines = run_and_kill(&path, &mut random);
        acknowledged.extend(lines.iter().flat_map(|line| acknowledgements(line)));

        let store = RedbStore::create(&path).unwrap_or_else(|e| panic!("round {round}: {e}"));
        let report = verify(&store, |_| {}).unwrap_or_else(|e| panic!("round {round}: {e}"));
        let log = store.read(0, usize::MAX).unwrap();
        assert_eq!(report.records, log.len() as u64);
        for (index, digest) in &acknowledged {
            let kept = log.get(*index as usize).map(|stored| stored.digest.to_string());
            assert_eq!(kept.as_ref(), Some(digest), "round {round}: record {index}");
        }
        whole(&log.iter().map(|s| Record::decode_sealed(&s.bytes).unwrap()).collect::<Vec<_>>());
        for writer in 0..WRITERS {
            let own = verify_stream(&store, &stream(&format!("writer {writer}"))).unwrap();
            assert_eq!(own.len() % 2, 0, "round {round}: half of a batch");
        }
    }
    println!("{} records acknowledged", acknowledged.len());
    assert!(acknowledged.len() as u64 > rounds, "the children hardly ran: this showed nothing");
}

/// Lets a child run for a random while and kills it; answers the whole lines it wrote.
fn run_and_kill(path: &Path, random: &mut u64) -> Vec<String> {
    let mut child = start(path);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    // Some are killed while the store is being opened, most after it.
    let early = next(random).is_multiple_of(8);
    let mut lines = Vec::new();
    if !early {
        let mut line = String::new();
        while !line.contains("READY") {
            line.clear();
            assert_ne!(out.read_line(&mut line).unwrap(), 0, "the child ended by itself");
        }
    }
    std::thread::sleep(Duration::from_micros(next(random) % 40_000));
    child.kill().unwrap();
    child.wait().unwrap();
    let mut line = String::new();
    while out.read_line(&mut line).unwrap() > 0 {
        if line.ends_with('\n') {
            lines.push(line.clone());
        }
        line.clear();
    }
    lines
}

fn acknowledgements(line: &str) -> Vec<(u64, String)> {
    let Some((_, rest)) = line.split_once("ACK ") else { return Vec::new() };
    let words: Vec<&str> = rest.split_whitespace().collect();
    assert_eq!(words.len(), 2 * BATCH, "{line}");
    words.chunks(2).map(|pair| (pair[0].parse().unwrap(), pair[1].to_owned())).collect()
}

/// Every batch stands in the log whole, its records next to each other and in order.
fn whole(log: &[Record]) {
    assert_eq!(log.len() % BATCH, 0);
    for batch in log.chunks(BATCH) {
        let parts: Vec<Vec<String>> = batch
            .iter()
            .map(|record| {
                let body = String::from_utf8(record.body().to_vec()).unwrap();
                body.trim_end_matches('x').split(':').map(str::to_owned).collect()
            })
            .collect();
        for (part, position) in parts.iter().zip(0..) {
            assert_eq!(part[..2], parts[0][..2], "two batches are mixed");
            assert_eq!(part[2], position.to_string());
        }
    }
}

#[test]
fn a_second_process_is_told_that_the_store_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let mut child = start(&path);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("ACK") {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "the child ended by itself");
    }
    for open in [RedbStore::create, RedbStore::open, RedbStore::open_read_only] {
        match open(path.clone()) {
            Err(StoreError::InUse { place, holder }) => {
                assert_eq!(*place, *path.display().to_string());
                // The very process that holds it, and since when: some moment of this minute.
                let holder = holder.unwrap();
                let process = format!("process {}, since 20", child.id());
                assert!(holder.contains("ssot_kill") && holder.contains(&process), "{holder}");
            }
            other => panic!("expected it to be in use, found {other:?}"),
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // A reader cannot repair what the writer left behind, and says so.
    match RedbStore::open_read_only(&path) {
        Err(error @ StoreError::NotClosed { .. }) => {
            assert!(error.to_string().contains("open it for writing"));
        }
        other => panic!("expected it to need a repair, found {other:?}"),
    }
    // The note of the killed process is still there, and names nobody: who holds the store
    // now is a reader, then this process.
    let note = folder.path().join("log.redb.holder");
    let left = std::fs::read_to_string(&note).unwrap();
    assert!(left.contains(&format!("process {}\n", child.id())), "{left}");
    let killed = format!("process {}", child.id());
    let store = RedbStore::open(&path).unwrap();
    let Err(StoreError::InUse { holder, .. }) = RedbStore::open(&path) else {
        panic!("two writers");
    };
    assert!(holder.unwrap().starts_with("this very process"));
    drop(store);
    assert!(!note.exists(), "closed: nobody holds it");
    std::fs::write(&note, &left).unwrap();
    let reader = RedbStore::open_read_only(&path).unwrap();
    let Err(StoreError::InUse { holder, .. }) = RedbStore::open(&path) else {
        panic!("a writer beside a reader");
    };
    let holder = holder.unwrap_or_default();
    assert!(!holder.contains(&killed), "a stale note was believed: {holder}");
    if cfg!(target_os = "linux") {
        let own = format!("process {}", std::process::id());
        assert!(holder.contains("a reader") && holder.contains(&own), "{holder}");
    }
    drop(reader);
    let store = RedbStore::open(&path).unwrap();
    assert!(verify(&store, |_| {}).unwrap().records > 0);
    assert_eq!(store.head(&stream("nobody")).unwrap(), Head::EMPTY);
}
