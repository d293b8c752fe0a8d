//! The store fails: at every append and at every read of a whole day, in each way.

use prospera::routing::RouterError;
use prospera::ssot::ledger::LedgerError;
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::store::{AppendError, StoreError};
use prospera::ssot::verify::VerifyError;

use crate::flaky::{Fault, Flaky, UNPLUGGED};
use crate::script::{After, DAY, Play};
use crate::world::World;

/// Whether the error says what happened, as its own variant, with the cause behind it.
fn is_typed(error: &RouterError, fault: Fault) -> bool {
    let (RouterError::EvidenceNotRecorded(append)
    | RouterError::OutcomeNotRecorded { source: append, .. }
    | RouterError::Ledger(append)) = error
    else {
        let read = matches!(
            error,
            RouterError::Store(StoreError::Backend { .. })
                | RouterError::Verify(VerifyError::Store(StoreError::Backend { .. }))
        );
        return read && fault == Fault::Unreadable && error.to_string().contains(UNPLUGGED);
    };
    let fits = match fault {
        Fault::Failed => matches!(append, LedgerError::Append(AppendError::Failed(_))),
        Fault::UnknownWritten | Fault::UnknownNotWritten => append.is_unknown(),
        Fault::Unreadable => false,
    };
    fits && error.to_string().contains(UNPLUGGED)
}

/// Plays the day with the fault at the n-th operation; whether there was an n-th.
fn with_fault_at(world: &World, n: u64, fault: Fault, after: After) -> bool {
    let store = Flaky::new(MemoryStore::new());
    store.fail(n, fault);
    let mut play = Play::new(world, after, Box::new(|| Ok(store.clone())));
    for step in DAY {
        let before = play.world.effects.count();
        let waited = store.waits();
        match play.step(*step) {
            Ok(()) => assert!(waited == store.waits(), "{step:?}: the fault {n} was swallowed"),
            Err(error) => {
                assert!(waited && !store.waits(), "{step:?}: {error}");
                assert!(is_typed(&error, fault), "{step:?} {fault:?}: {error:?}");
                let done = play.world.effects.count() - before;
                let outcome = matches!(error, RouterError::OutcomeNotRecorded { .. });
                assert!(done == usize::from(outcome), "{step:?} {fault:?}: {done} effects");
                play.recover(*step);
            }
        }
    }
    let reached = !store.waits();
    store.heal();
    play.ends(DAY);
    reached
}

fn at_every_operation(fault: Fault, after: &[After], least: u64) {
    let world = World::new();
    let mut n = 0;
    while with_fault_at(&world, n, fault, after[usize::try_from(n).unwrap() % after.len()]) {
        n += 1;
    }
    assert!(n >= least, "the day has but {n} operations");
}

#[test]
fn an_append_fails_before_anything_is_written() {
    at_every_operation(Fault::Failed, &[After::InPlace], 20);
    at_every_operation(Fault::Failed, &[After::Restart], 20);
}

#[test]
fn an_append_is_written_and_its_answer_is_lost() {
    at_every_operation(Fault::UnknownWritten, &[After::InPlace], 20);
    at_every_operation(Fault::UnknownWritten, &[After::Restart], 20);
}

#[test]
fn an_append_is_not_written_and_its_answer_is_lost() {
    at_every_operation(Fault::UnknownNotWritten, &[After::InPlace], 20);
    at_every_operation(Fault::UnknownNotWritten, &[After::Restart], 20);
}

#[test]
fn a_read_fails() {
    at_every_operation(Fault::Unreadable, &[After::InPlace, After::Restart], 60);
}
