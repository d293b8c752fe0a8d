//! No parallel routing (IRM-7.5, D-26): not in several threads, and not in several
//! processes. What refuses is the store's compare-and-append.
#![cfg(feature = "files")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::similar_names,
    reason = "the helpers of tests, too, may end a test; a router has routed"
)]

#[path = "support/files.rs"]
mod files;
#[path = "support/world.rs"]
mod world;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::thread;

use files::FileStore;
use prospera::routing::{EvidenceBlock, OutcomeStatus, RouterError};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::RecordKind;
use prospera::ssot::store::Store;
use prospera::ssot::verify::verify;
use prospera::verdict::Verdict;
use world::{World, records};

/// How many effects the log says were begun, and how many outcomes it holds.
fn effects<S: Store>(store: &S) -> (usize, usize) {
    verify(store, |_| {}).unwrap();
    let all = records(store);
    let begun = all.iter().filter(|r| r.kind() == RecordKind::EvidenceBlock);
    let begun = begun.filter(|r| r.read::<EvidenceBlock>().unwrap().opens_route()).count();
    (begun, all.iter().filter(|r| r.kind() == RecordKind::Outcome).count())
}

fn race<S: Store + Sync>(store: S, threads: usize, rounds: usize) {
    let world = World::new();
    let router = world.router(store);
    for round in 0..rounds {
        let session = format!("s-{round}");
        let _ = router.open(world.alice(&session)).unwrap();
        let barrier = Barrier::new(threads);
        let results: Vec<_> = thread::scope(|scope| {
            let handles: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        let mut desk = router.resume(world.alice(&session)).unwrap();
                        barrier.wait();
                        router.route(&mut desk, world.intent(&session, "note.add"))
                    })
                })
                .collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).collect()
        });
        let executed = results.iter().filter(|r| r.is_ok()).count();
        assert_eq!(executed, 1, "round {round}: {results:?}");
        for result in results {
            match result {
                Ok(routed) => {
                    assert_eq!(routed.verdict, Verdict::Allow);
                    assert_eq!(routed.outcome.unwrap().status, OutcomeStatus::Done);
                }
                Err(RouterError::Parallel { same_intent: true, .. }) => {}
                Err(other) => panic!("round {round}: {other}"),
            }
        }
        assert_eq!(world.effects.count(), round + 1);
    }
    assert_eq!(effects(router.store()), (rounds, rounds));
}

#[test]
fn d_26_threads_over_one_store_execute_one_intent_once() {
    race(MemoryStore::new(), 8, 40);
}

#[cfg(feature = "redb")]
#[test]
fn d_26_threads_over_the_embedded_store_execute_one_intent_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = prospera::ssot::redb::RedbStore::create(dir.path().join("log.redb")).unwrap();
    race(store, 4, 5);
}

/// Different intents of one session follow each other; each is executed once.
///
/// D-51, IRM-8.2.
#[test]
fn d_51_different_intents_of_one_session_follow_each_other() {
    let world = World::new();
    let router = world.router(MemoryStore::new());
    let _ = router.open(world.alice("s-1")).unwrap();
    thread::scope(|scope| {
        for number in 0..6 {
            let (router, world) = (&router, &world);
            scope.spawn(move || {
                let mut desk = router.resume(world.alice("s-1")).unwrap();
                loop {
                    match router.route(&mut desk, world.numbered("s-1", "note.add", number)) {
                        Ok(routed) => break assert_eq!(routed.verdict, Verdict::Allow),
                        Err(RouterError::Parallel { .. } | RouterError::Contended { .. }) => {
                            thread::yield_now();
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            });
        }
    });
    assert_eq!(world.effects.count(), 6);
    assert_eq!(effects(router.store()), (6, 6));
}

/// Sessions of one subject do not stand in each other's way.
#[test]
fn sessions_of_one_subject_open_and_route_side_by_side() {
    let world = World::new();
    let router = world.router(MemoryStore::new());
    thread::scope(|scope| {
        for number in 0..6 {
            let (router, world) = (&router, &world);
            scope.spawn(move || {
                let session = format!("s-{number}");
                let mut desk = router.open(world.alice(&session)).unwrap();
                let routed = router.route(&mut desk, world.intent(&session, "note.add")).unwrap();
                assert_eq!(routed.verdict, Verdict::Allow);
            });
        }
    });
    assert_eq!(effects(router.store()), (6, 6));
}

const CHILD: &str = "PROSPERA_TEST_PARALLEL_LOG";

/// Not a test by itself: one of the processes of the test below.
#[test]
fn one_of_several_processes() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let world = World::new();
    let router = world.router(FileStore::new(Path::new(&path)));
    let mut desk = router.resume(world.alice("s-1")).unwrap();
    println!("\n@ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    match router.route(&mut desk, world.intent("s-1", "note.add")) {
        Ok(routed) => println!("\n@{:?} {}", routed.verdict, world.effects.count()),
        Err(RouterError::Parallel { same_intent: true, .. }) => {
            println!("\n@Parallel {}", world.effects.count());
        }
        Err(other) => println!("\n@Error {other}"),
    }
}

fn spawn(log: &Path) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "one_of_several_processes", "--nocapture", "--test-threads", "1"])
        .env(CHILD, log)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

fn answer(output: &mut BufReader<std::process::ChildStdout>) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the process ended without an answer");
        if let Some(answer) = line.strip_prefix('@') {
            return answer.trim().to_owned();
        }
    }
}

#[test]
fn d_26_processes_over_one_log_execute_one_intent_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let world = World::new();
    let router = world.router(FileStore::new(&log));
    let _ = router.open(world.alice("s-1")).unwrap();
    let mut children: Vec<_> = (0..4).map(|_| spawn(&log)).collect();
    // All of them have read the log before the first may route.
    for (_, output) in &mut children {
        assert_eq!(answer(output), "ready");
    }
    for (child, _) in &mut children {
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }
    let mut answers: Vec<_> = children.iter_mut().map(|(_, output)| answer(output)).collect();
    for (child, _) in &mut children {
        assert!(child.wait().unwrap().success());
    }
    answers.sort();
    assert_eq!(answers, ["Allow 1", "Parallel 0", "Parallel 0", "Parallel 0"]);
    assert_eq!(effects(router.store()), (1, 1));
}

/// The store of the test above keeps the promises of a store.
#[test]
fn the_file_store_is_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let mut number = 0;
    let kept = prospera::ssot::conformance::conformance(|| {
        number += 1;
        FileStore::new(&dir.path().join(format!("log-{number}")))
    });
    kept.unwrap();
}
