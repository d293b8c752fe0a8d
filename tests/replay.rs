//! Replay of logs that real routers wrote: the same is found the same, whatever was changed
//! is found and named (D-41).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::num::NonZeroUsize;

use prospera::routing::audit::Auditor;
use prospera::routing::replay::{NotReplayable, Pinned, Replay, Report, Version, VersionError};
use prospera::ssot::matrix::{Cell, Inspector, Made, Matrix, Options, State};
use prospera::ssot::record::RecordKind;
use prospera::ssot::store::Store;
use prospera::testing::world::{DefaultEngines, Setup, World};

#[path = "replay/generated.rs"]
mod generated;
#[path = "replay/policies.rs"]
#[cfg(all(feature = "files", feature = "redb"))]
mod policies;
#[path = "replay/tampered.rs"]
mod tampered;
#[path = "replay/what_if.rs"]
mod what_if;

#[expect(clippy::unnecessary_wraps, reason = "what a replay asks for")]
fn sample(_: &Pinned) -> Result<Version<DefaultEngines>, VersionError> {
    Ok(Setup::sample().unwrap().version().unwrap())
}

fn replayed<S: Store + Sync>(store: &S, threads: usize) -> Report {
    let threads = NonZeroUsize::new(threads).unwrap();
    Replay::new(store, sample).threads(threads).run(|_| {}).unwrap()
}

fn same(world: &World) -> Report {
    let report = replayed(world.router.store(), 1);
    assert!(report.is_same(), "{report:#?}");
    assert_eq!(report.all().total(), world.router.store().len().unwrap());
    report
}

#[test]
fn a_route_and_its_outcome_are_derived_again() {
    let world = Setup::sample().unwrap().build().unwrap();
    let mut desk = world.open("alice", "s-1").unwrap();
    for name in ["today", "tomorrow"] {
        let intent = world.intent("note.read", "Read my notes.", &[("name", name.into())]).unwrap();
        let _routed = world.router.route(&mut desk, intent).unwrap();
    }
    let calls = world.calls.count();
    let report = same(&world);
    assert_eq!(report.routes().same, 2);
    assert_eq!(report.kinds[&RecordKind::Outcome].same, 2);
    assert_eq!(report.tags_taken, 2, "nobody gave the key");
    assert_eq!(world.calls.count(), calls, "nothing was executed");
}

#[test]
fn with_the_key_tags_are_derived_and_without_it_said_to_be_taken() {
    let world = Setup::sample().unwrap().build().unwrap();
    let mut desk = world.open("alice", "s-1").unwrap();
    let intent = world.intent("note.read", "Read.", &[("name", "today".into())]).unwrap();
    let _routed = world.router.route(&mut desk, intent).unwrap();
    let with = |key: u8| {
        Replay::new(world.router.store(), sample).with_secret([key; 32]).run(|_| {}).unwrap()
    };
    let right = with(7);
    assert!(right.is_same() && right.tags_taken == 0, "{right:?}");
    let wrong = with(8);
    assert_eq!(wrong.routes().differ, 1);
    assert_eq!(&*wrong.first.unwrap().field, "token");
}

/// Snapshots are records as others are: what they hold is derived, too, and a session that
/// begins behind them begins the same.
#[test]
fn a_long_session_leaves_snapshots_that_are_derived_again() {
    let world = Setup::sample().unwrap().build().unwrap();
    let governor = world.governor("grace", "g-1").unwrap();
    let mut desk = world.open("alice", "s-1").unwrap();
    let read = |name: usize| {
        let name = format!("day {name}");
        world.intent("note.read", "Read.", &[("name", name.as_str().into())]).unwrap()
    };
    for day in 0..700_usize {
        let _routed = world.router.route(&mut desk, read(day)).unwrap();
        if day % 90 == 1 {
            let pay = || {
                let to = format!("payee {day}");
                world.intent("payment.send", "Pay.", &[("to", to.as_str().into())]).unwrap()
            };
            let asked = world.router.route(&mut desk, pay()).unwrap();
            let id = desk.session().id().clone();
            world.router.approve(&governor, &id, asked.record, true, "").unwrap();
            if day % 180 == 1 {
                let _paid = world.router.route(&mut desk, pay()).unwrap();
            }
        }
    }
    let mut later = world.open("alice", "s-2").unwrap();
    let mut request =
        prospera::testing::world::request("note.read", &[("name", "x".into())]).unwrap();
    request.session = "s-2".parse().unwrap();
    let intent = world.catalogue.intent(request).unwrap();
    let _routed = world.router.route(&mut later, intent.into()).unwrap();
    let report = same(&world);
    assert_eq!(report.kinds[&RecordKind::Snapshot].same, 2, "{report:#?}");

    // A walk of the log cannot make them again for want of the rules; the replay has.
    let store = world.router.store();
    let mut inspector = Inspector::new(Auditor::new());
    inspector.run(store, &Options::default(), |_| {}).unwrap();
    let at = prospera::time::Timestamp::from_millis(1);
    let mut matrix = inspector.matrix(store, Made { at, by: "a test".into() }).unwrap();
    let open = |matrix: &Matrix| {
        let cells = matrix.rows().iter().flat_map(|row| &row.cells);
        cells.filter(|cell| matches!(cell, Cell::NotChecked { .. })).count()
    };
    assert!(open(&matrix) > 0, "{matrix:?}");
    assert!(report.lay_over(store, &mut matrix).unwrap());
    assert_eq!((open(&matrix), matrix.verdict()), (0, State::Sound), "{matrix:?}");
}

/// Salts are kept with what they hide: what is erased later is replayed until then.
#[test]
fn salted_evidence_is_derived_again() {
    use prospera::routing::Router;
    use prospera::testing::world::{BEGIN, SharedClock, request, session};
    let setup = Setup::sample().unwrap();
    let identity = setup.identity.clone();
    let (engines, rules, catalogue) = setup.into_parts().unwrap();
    let (store, clock) = (prospera::ssot::memory::MemoryStore::new(), SharedClock::new(BEGIN));
    let operator = "operator".parse().unwrap();
    let plain = Router::new(engines, rules, &store, clock, operator).unwrap();
    let router = plain.salted(prospera::commitment::Salts::new([3; 32]));
    let alice = session(&identity, "alice", "s-1", None, BEGIN).unwrap();
    let mut desk = router.open(alice).unwrap();
    for (kind, name) in [("note.read", "name"), ("note.write", "name"), ("payment.send", "to")] {
        let intent = catalogue.intent(request(kind, &[(name, "x".into())]).unwrap()).unwrap();
        let done = router.route(&mut desk, intent.into()).unwrap();
        assert!(done.evidence.salted);
    }
    let odd = prospera::intent::Malformed {
        digest: prospera::digest::Domain::Malformed.hash(b"odd"),
        subject: None,
        session: None,
        reason: prospera::verdict::Reason::new(prospera::verdict::ReasonCode::IntentMalformed),
    };
    let _routed = router.route(&mut desk, odd.into()).unwrap();
    let report = replayed(&store, 2);
    assert!(report.is_same(), "{report:#?}");
    assert_eq!(report.routes().same, 4);
}

#[test]
fn an_empty_log_is_the_same() {
    let report = replayed(&prospera::ssot::memory::MemoryStore::new(), 2);
    assert!(report.is_same());
    assert_eq!(report.all().total(), 0);
}

#[test]
fn what_has_no_engines_is_counted_with_its_reason() {
    let world = Setup::sample().unwrap().build().unwrap();
    let mut desk = world.open("alice", "s-1").unwrap();
    let intent = world.intent("note.read", "Read.", &[("name", "today".into())]).unwrap();
    let _routed = world.router.route(&mut desk, intent).unwrap();
    let store = world.router.store();
    let none = |pinned: &Pinned| -> Result<Version<DefaultEngines>, VersionError> {
        Err(VersionError::NotKept { pins: pinned.pinned.pins.digest() })
    };
    let report = Replay::new(store, none).run(|_| {}).unwrap();
    assert_eq!(report.routes().not_replayable, 1);
    assert!(report.nothing_differs() && !report.is_same());
    assert_eq!(report.not_replayable[&NotReplayable::Policy], store.len().unwrap());
    let pins = world.router.rules().pins.digest().to_string();
    assert!(report.versions.iter().any(|why| why.contains(&pins)), "{:?}", report.versions);
}

#[test]
fn engines_of_another_version_are_not_taken_for_those_of_the_log() {
    let world = Setup::sample().unwrap().build().unwrap();
    let other = |_: &Pinned| {
        let mut setup = Setup::sample().unwrap();
        setup.table =
            prospera::routing::RoutingTable::build("other".parse().unwrap(), Vec::new()).unwrap();
        Ok(setup.version().unwrap())
    };
    let report = Replay::new(world.router.store(), other).run(|_| {}).unwrap();
    assert_eq!(report.kinds[&RecordKind::PolicyPinned].differ, 1);
    assert_eq!(&*report.first.unwrap().field, "pins");
}
