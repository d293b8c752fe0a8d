//! Ten thousand routes of one session at once.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use prospera::routing::{OutcomeStatus, RouterError};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::verify::verify;
use prospera::verdict::Verdict;

use crate::flaky::Flaky;
use crate::script::{blocks, outcomes};
use crate::world::World;

/// How many there are at one desk.
const CROWD: usize = 10_000;
/// How many at desks that know nothing of each other: whenever another was faster, a desk
/// reads the session's whole stream again, so the work grows with the square of these.
const APART: usize = if cfg!(debug_assertions) { 300 } else { 2_000 };
const ROUTERS: usize = 3;
const DESKS: usize = 2;
const THREADS: usize = 32;

#[derive(Debug, Default)]
struct Answers {
    allowed: AtomicUsize,
    first: AtomicUsize,
    contended: AtomicUsize,
}

/// Submissions wait at the desks of several routers over one store; each ends in exactly
/// one answer, and what was executed is what has evidence and outcome.
fn crowd(routers: usize, desks: usize, submissions: usize) -> Answers {
    let world = World::new();
    let store = Flaky::new(MemoryStore::new());
    let routers: Vec<_> = (0..routers).map(|_| world.router(store.clone())).collect();
    let _ = routers[0].open(world.alice("s-1")).unwrap();
    let desks: Vec<_> = (0..desks)
        .flat_map(|_| &routers)
        .map(|router| (router, Mutex::new(router.resume(world.alice("s-1")).unwrap())))
        .collect();
    let (next, answers) = (AtomicUsize::new(0), Answers::default());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= submissions {
                        break;
                    }
                    let intent = world.numbered("s-1", "note.add", number);
                    let (router, desk) = &desks[number % desks.len()];
                    let answer = match router.route(&mut desk.lock().unwrap(), intent) {
                        Ok(routed) => {
                            assert_eq!(routed.verdict, Verdict::Allow);
                            assert_eq!(routed.outcome.unwrap().status, OutcomeStatus::Done);
                            &answers.allowed
                        }
                        Err(RouterError::Parallel { same_intent: false, .. }) => &answers.first,
                        Err(RouterError::Contended { .. }) => &answers.contended,
                        Err(other) => panic!("{number}: {other}"),
                    };
                    answer.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    let executed = answers.allowed.load(Ordering::SeqCst);
    let refused = answers.first.load(Ordering::SeqCst) + answers.contended.load(Ordering::SeqCst);
    assert_eq!(executed + refused, submissions, "each has one answer");
    verify(&store, |_| {}).unwrap();
    let outcomes = outcomes(&store);
    let evidence = blocks(&store).unwrap();
    let intents: BTreeSet<_> = evidence.iter().map(|(_, block)| block.intent).collect();
    assert_eq!((evidence.len(), intents.len(), outcomes.len()), (executed, executed, executed));
    let runs = world.effects.runs.lock().unwrap();
    let keys: BTreeSet<_> = runs.iter().map(|run| run.key.digest()).collect();
    assert_eq!((runs.len(), keys.len()), (executed, executed));
    assert!(keys.iter().all(|key| outcomes.contains_key(key)));
    answers
}

#[test]
fn ten_thousand_concurrent_routes_on_one_session() {
    // At one desk they wait for each other, and all are done.
    let answers = crowd(1, 1, CROWD);
    assert_eq!(answers.allowed.into_inner(), CROWD);
    // Desks that know nothing of each other meet in the store alone.
    let answers = crowd(ROUTERS, DESKS, APART);
    assert!(answers.allowed.load(Ordering::SeqCst) > 0, "{answers:?}");
}
