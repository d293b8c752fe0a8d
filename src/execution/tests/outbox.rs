//! The outbox: once per key, durable before acknowledged, handed over at most once.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use super::*;
use crate::execution::journal::JournalError;
use crate::execution::outbox::{Outbox, OutboxError, Standing};

fn put(outbox: &Outbox, number: u64) -> Execution {
    // The registry checks and labels; here the module itself is looked at.
    with_job("box", CapabilityTier::Commit, key(number), |job| {
        DynModule::run(outbox, &Call::new(job))
    })
}

fn open(path: &std::path::Path) -> Outbox {
    Outbox::open(contract("box", CapabilityTier::Commit), path).unwrap()
}

const NOW: Timestamp = Timestamp::from_millis(9);

/// At most once, in memory and on disk, across openings.
#[test]
fn a_key_is_accepted_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o");
    let first = {
        let outbox = open(&path);
        let first = put(&outbox, 1);
        assert!(matches!(first, Execution::Done(_)));
        assert_eq!(put(&outbox, 1), first);
        assert_eq!(outbox.pending().len(), 1);
        first
    };
    let outbox = open(&path);
    assert_eq!(put(&outbox, 1), first);
    let pending = outbox.pending();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].arguments.to_string(), r#"{"a":"one"}"#);
    assert_eq!((pending[0].key, pending[0].accepted.as_millis()), (key(1), 7));
    assert!(matches!(outbox.reconcile(key(1)), Reconciled::Happened(Some(_))));
}

/// A claim is durable before the effect is handed over: after a crash it is in doubt,
/// never handed over again.
#[test]
fn an_effect_is_handed_over_at_most_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o");
    let outbox = open(&path);
    for number in 1..=3 {
        put(&outbox, number);
    }
    assert_eq!(outbox.claim(NOW).unwrap().unwrap().key, key(1));
    assert_eq!(outbox.claim(NOW).unwrap().unwrap().key, key(2));
    outbox.delivered(key(2), NOW).unwrap();
    drop(outbox);

    let outbox = open(&path);
    let doubt: Vec<_> = outbox.in_doubt().iter().map(|it| it.key).collect();
    assert_eq!(doubt, [key(1)]);
    assert_eq!(outbox.standing(&key(2)), Some(Standing::Delivered));
    assert_eq!(outbox.claim(NOW).unwrap().unwrap().key, key(3));
    assert_eq!(outbox.claim(NOW).unwrap(), None);
    outbox.give_back(key(1), NOW).unwrap();
    outbox.delivered(key(2), NOW).unwrap();
    drop(outbox);

    let outbox = open(&path);
    assert_eq!(outbox.claim(NOW).unwrap().unwrap().key, key(1));
    let error = outbox.delivered(key(9), NOW).unwrap_err();
    assert!(matches!(error, OutboxError::NotClaimed { found: "none", .. }));
    let error = outbox.give_back(key(2), NOW).unwrap_err();
    assert!(matches!(error, OutboxError::NotClaimed { found: "a delivered one", .. }));
}

/// `NotHappened` stays true: the key cannot be used afterwards, also after a restart.
#[test]
fn what_did_not_happen_cannot_happen_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o");
    let outbox = open(&path);
    assert_eq!(outbox.reconcile(key(1)), Reconciled::NotHappened);
    assert!(matches!(put(&outbox, 1), Execution::Failed(_)));
    drop(outbox);
    let outbox = open(&path);
    assert!(matches!(put(&outbox, 1), Execution::Failed(_)));
    assert_eq!(outbox.reconcile(key(1)), Reconciled::NotHappened);
    assert!(outbox.pending().is_empty());
}

#[test]
fn a_second_writer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o");
    let _first = open(&path);
    let second = Outbox::open(contract("box", CapabilityTier::Commit), &path).unwrap_err();
    assert!(matches!(second, JournalError::Locked { .. }));
}

/// Many threads with the same keys: each key once.
#[test]
fn threads_put_each_key_in_once() {
    let outbox = Outbox::in_memory(contract("box", CapabilityTier::Commit));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|number| drop(put(&outbox, number))));
        }
    });
    assert_eq!(outbox.pending().len(), 50);
    let claimed = std::thread::scope(|scope| {
        let take = || {
            let mut keys = Vec::new();
            while let Ok(Some(delivery)) = outbox.claim(NOW) {
                keys.push(delivery.key);
            }
            keys
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let distinct: std::collections::BTreeSet<_> = claimed.iter().collect();
    assert_eq!((claimed.len(), distinct.len()), (50, 50));
}

const CHILD_PATH: &str = "PROSPERA_TEST_OUTBOX";

/// The child of the test below: puts effects in and says each number once it is
/// acknowledged, until it is killed.
#[test]
#[ignore = "started by killing_the_writer_loses_nothing_acknowledged"]
fn writer_until_killed() {
    let Some(path) = std::env::var_os(CHILD_PATH) else { return };
    let outbox = open(path.as_ref());
    let start = outbox.pending().len() as u64;
    for number in start.. {
        assert!(matches!(put(&outbox, number), Execution::Done(_)));
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {number}").and_then(|()| out.flush()).unwrap();
    }
}

/// D-27: killed with SIGKILL in the middle, again and again, on one file.
#[test]
fn killing_the_writer_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o");
    let mut acknowledged = 0;
    for round in 0..6_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "execution::tests::outbox::writer_until_killed"])
            .args(["--ignored", "--nocapture"])
            .env(CHILD_PATH, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        let said = |line: &str| line.rsplit_once("acknowledged ")?.1.parse::<u64>().ok();
        while seen < 5 + round * 3 {
            let number = said(&lines.next().unwrap().unwrap());
            if let Some(number) = number {
                acknowledged = acknowledged.max(number + 1);
                seen += 1;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let rest = lines.map_while(Result::ok).filter_map(|line| said(&line));
        acknowledged = rest.fold(acknowledged, |most, number| most.max(number + 1));
        let outbox = open(&path);
        let pending = outbox.pending();
        assert!(pending.len() as u64 >= acknowledged, "{} < {acknowledged}", pending.len());
        assert!(pending.len() as u64 <= acknowledged + 1, "more than the one in flight");
        for (number, delivery) in pending.iter().enumerate() {
            assert_eq!(delivery.key, key(number as u64));
        }
    }
}
