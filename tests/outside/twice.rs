//! One intent, sent twice by two processes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use prospera::routing::RouterError;
use prospera::ssot::redb::RedbStore;
use prospera::ssot::store::StoreError;
use prospera::ssot::verify::verify;

use crate::files::FileStore;
use crate::killed::{Point, marks, prepared, router, stopped_at};
use crate::script::{blocks, outcomes};
use crate::world::World;

/// The embedded store has one writer: the second process does not get as far as a route,
/// and after the first has died there is one effect to account for.
#[test]
fn one_intent_is_sent_twice_by_two_processes_on_the_embedded_store() {
    let folder = prepared();
    let log = folder.path().join("log.redb");
    let mut first = stopped_at(Point::AfterEffect, folder.path());
    for open in [RedbStore::open, RedbStore::create] {
        let refused = open(log.clone());
        assert!(matches!(refused, Err(StoreError::InUse { .. })), "{refused:?}");
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let world = World::new();
    let router = router(&world, folder.path(), RedbStore::open(&log).unwrap(), false, None);
    let mut desk = router.resume(world.alice("s-1")).unwrap();
    let again = router.route(&mut desk, world.intent("s-1", "note.add"));
    assert!(matches!(again, Err(RouterError::Parallel { same_intent: true, .. })), "{again:?}");
    router.settle(&mut desk).unwrap();
    assert_eq!(marks(&folder.path().join("marks")).len(), 1);
}

const CHILD: &str = "PROSPERA_TEST_TWICE_FOLDER";

/// Not a test by itself: one of the two processes below.
#[test]
fn one_of_two() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let folder = Path::new(&folder);
    let world = World::new();
    let router = router(&world, folder, FileStore::new(&folder.join("log")), false, None);
    let mut desk = router.resume(world.alice("s-1")).unwrap();
    println!("\n@ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    match router.route(&mut desk, world.intent("s-1", "note.add")) {
        Ok(routed) => println!("\n@{:?}", routed.verdict),
        Err(RouterError::Parallel { same_intent: true, .. }) => println!("\n@Parallel"),
        Err(other) => println!("\n@{other}"),
    }
}

fn spawn(folder: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "twice::one_of_two", "--nocapture", "--test-threads", "1"])
        .env(CHILD, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

fn answer(out: &mut BufReader<ChildStdout>) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "it ended without an answer");
        if let Some(answer) = line.strip_prefix('@') {
            return answer.trim().to_owned();
        }
    }
}

#[test]
fn one_intent_is_sent_twice_by_two_processes_on_a_shared_store() {
    for together in [true, false, true, false] {
        let folder = tempfile::tempdir().unwrap();
        let world = World::new();
        let store = FileStore::new(&folder.path().join("log"));
        let router = router(&world, folder.path(), store, false, None);
        let _ = router.open(world.alice("s-1")).unwrap();
        let mut children = [spawn(folder.path()), spawn(folder.path())];
        for (_, out) in &mut children {
            assert_eq!(answer(out), "ready");
        }
        let mut answers = Vec::new();
        for (child, out) in &mut children {
            child.stdin.take().unwrap().write_all(b"go\n").unwrap();
            if !together {
                // The other has read the log already and does not know of this route.
                answers.push(answer(out));
            }
        }
        if together {
            answers.extend(children.iter_mut().map(|(_, out)| answer(out)));
        }
        for (child, _) in &mut children {
            assert!(child.wait().unwrap().success());
        }
        answers.sort();
        assert_eq!(answers, ["Allow", "Parallel"]);
        assert_eq!(marks(&folder.path().join("marks")).len(), 1);
        verify(router.store(), |_| {}).unwrap();
        let evidence = blocks(router.store()).unwrap();
        assert_eq!((evidence.len(), outcomes(router.store()).len()), (1, 1));
    }
}
