//! Sessions that begin at a snapshot, beside sessions that read everything.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::id::Subsystem;
use crate::intent::{Objective, Submission};
use crate::limits::SNAPSHOT_RECORDS;
use crate::routing::desk::Desk;
use crate::routing::{FollowUp, Router};
use crate::ssot::memory::MemoryStore;
use crate::ssot::record::Draft;
use crate::ssot::store::Batch;
use crate::ssot::verify::verify;
use crate::testing::world::{
    BEGIN, DefaultEngines, Setup, SharedClock, World, WorldDesk, WorldRouter, request,
};

const SUBJECT: &str = "alice";

/// One act, by number: mostly routes, now and then an answer of Governance.
fn act(world: &World, desk: &mut WorldDesk, what: u8, number: usize) {
    let text = |text: &str| crate::value::Value::from(text);
    let name = format!("n-{}", number % 7);
    let (kind, arguments) = match what % 8 {
        0..=2 => ("note.read", [("name", text(&name))].to_vec()),
        3 => ("note.write", [("name", text(&name)), ("text", text("t"))].to_vec()),
        4 => ("web.read", [("address", text(&name))].to_vec()),
        5 | 6 => ("payment.send", [("to", text(&name))].to_vec()),
        _ => ("key.rotate", [("key", text(&name))].to_vec()),
    };
    let mut request = request(kind, &arguments).unwrap();
    request.session = desk.session().id().clone();
    request.objective = Objective::new(&format!("{kind} {name}"));
    let intent = world.catalogue.intent(request).unwrap();
    let routed = world.router.route(desk, Submission::Intent(intent)).unwrap();
    // Half of the questions are answered, so that some answers are never used.
    if what.is_multiple_of(2) && matches!(routed.follow_up, Some(FollowUp::Approval(_))) {
        let governor = world.governor("greta", &format!("g-{number}")).unwrap();
        let session = desk.session().id().clone();
        let _answer = world.router.approve(&governor, &session, routed.record, true, "yes");
        desk.live = None;
    }
    world.clock.advance_millis(1000);
}

/// Everything a session's routes rest on, as bytes.
fn known(live: &Live<Profile<DefaultEngines>>, world: &World) -> Vec<u8> {
    let mut bytes = save(world.router.engines().modeling(), live).unwrap();
    bytes.extend(format!("{:?} {:?}", live.audience, live.since).into_bytes());
    bytes.extend(format!("{:?} {:?}", live.facts.head(), live.routing).into_bytes());
    bytes
}

fn agree(world: &World, desk: &mut WorldDesk) -> Result<(), TestCaseError> {
    let kept = world.router.take_live(desk).unwrap();
    let swift = world.router.load_with(&desk.session, true).unwrap();
    let whole = world.router.load_with(&desk.session, false).unwrap();
    prop_assert_eq!(known(&swift, world), known(&whole, world), "a snapshot, and everything");
    prop_assert_eq!(known(&kept, world), known(&whole, world), "kept, and read again");
    desk.live = Some(kept);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    /// PLAN-8.2: whatever was routed, and however sessions of one subject lay between each
    /// other, a session that begins at a snapshot knows what the whole log says.
    #[test]
    fn a_snapshot_leads_where_the_whole_log_leads(
        acts in prop::collection::vec((any::<u8>(), 0..40_u8), 500..700),
    ) {
        let world = Setup::sample().unwrap().build().unwrap();
        let mut desks = Vec::from([world.open(SUBJECT, "s-0").unwrap()]);
        for (number, (what, turn)) in acts.iter().enumerate() {
            // Rarely another session of the subject goes on, or a new one is opened.
            let place = if *turn == 0 { usize::from(*what) % desks.len() } else { desks.len() - 1 };
            act(&world, &mut desks[place], *what, number);
            if *turn == 1 && number.is_multiple_of(3) {
                desks.push(world.open(SUBJECT, &format!("s-{}", desks.len())).unwrap());
            }
        }
        for desk in &mut desks {
            agree(&world, desk)?;
        }
        let mut next = world.open(SUBJECT, "s-next").unwrap();
        agree(&world, &mut next)?;
        act(&world, &mut next, 0, 0);
        agree(&world, &mut next)?;
        let report = world.router.check_snapshots().unwrap();
        prop_assert_eq!(report.other_rules, 0);
    }
}

/// A world with one session that has come past a snapshot.
fn long() -> (World, WorldDesk) {
    let world = Setup::sample().unwrap().build().unwrap();
    let mut desk = world.open(SUBJECT, "s-0").unwrap();
    for number in 0..usize::try_from(SNAPSHOT_RECORDS).unwrap() {
        act(&world, &mut desk, u8::try_from(number % 7).unwrap(), number);
    }
    (world, desk)
}

/// A snapshot covers what its session knew. Where another session went on meanwhile, the
/// order in which things happened is not in it: the log is read.
#[test]
fn a_snapshot_that_missed_another_sessions_routes_is_no_beginning() {
    for meanwhile in [false, true] {
        let world = Setup::sample().unwrap().build().unwrap();
        let mut first = world.open(SUBJECT, "s-0").unwrap();
        act(&world, &mut first, 3, 0);
        let mut second = world.open(SUBJECT, "s-1").unwrap();
        for number in 0..300 {
            act(&world, &mut second, 0, number);
            if meanwhile && number == 40 {
                act(&world, &mut first, 4, 1);
                act(&world, &mut first, 3, 2);
            }
        }
        act(&world, &mut first, 4, 1);
        let mut next = world.open(SUBJECT, "s-2").unwrap();
        agree(&world, &mut next).unwrap();
        agree(&world, &mut second).unwrap();
        let report = world.router.check_snapshots().unwrap();
        assert!(report.sound > 0, "{report:?}");
    }
}

/// The log again with one record's body changed, every later link made anew.
fn rewritten(store: &MemoryStore, change: impl Fn(&Record) -> Option<Vec<u8>>) -> MemoryStore {
    let copy = MemoryStore::new();
    let mut heads: BTreeMap<StreamId, Head> = BTreeMap::new();
    for stored in store.read(0, usize::MAX).unwrap() {
        let record = Record::decode_sealed(&stored.bytes).unwrap();
        let body = change(&record).unwrap_or_else(|| record.body().to_vec());
        let stream = record.stream().clone();
        let draft = Draft::new(stream.clone(), record.kind(), record.source(), body);
        let head = heads.get(&stream).copied().unwrap_or(Head::EMPTY);
        let batch = Batch::new(record.timestamp()).expect(stream.clone(), head).append(draft);
        heads.insert(stream, copy.append(&batch).unwrap().records[0].head());
    }
    copy
}

fn router_over(store: MemoryStore) -> Router<DefaultEngines, MemoryStore, SharedClock> {
    let (engines, rules, _) = Setup::sample().unwrap().into_parts().unwrap();
    let clock = SharedClock::new(BEGIN);
    Router::new(engines, rules, store, clock, "operator".parse().unwrap()).unwrap()
}

/// A log rewritten from a record on verifies: its snapshots are what it must agree with.
#[test]
fn a_snapshot_that_lies_is_named() {
    let (world, _desk) = long();
    let report = world.router.check_snapshots().unwrap();
    assert!(report.sound > 0 && report.other_rules == 0, "{report:?}");
    let store = world.router.store();
    // One more effect than there was: the count stands in front of the times.
    let lying = rewritten(store, |record| {
        let saved = Saved::read(world.router.engines().modeling(), record.body());
        let (true, Ok(Some(saved))) = (record.kind() == RecordKind::Snapshot, saved) else {
            return None;
        };
        let mut live = WorldRouter::fresh(&SUBJECT.parse().unwrap()).unwrap();
        saved.into_live(&mut live, true);
        live.record.good += 1;
        save(world.router.engines().modeling(), &live)
    });
    verify(&lying, |_| {}).unwrap();
    match router_over(lying).check_snapshots() {
        Err(SnapshotError::Lying { stream, sequence, .. }) => {
            assert_eq!(stream.kind(), StreamKind::Routing);
            assert!(is_slot(sequence));
        }
        other => panic!("expected a lying snapshot, found {other:?}"),
    }
}

/// Where none may stand, none is believed, so none may be there.
#[test]
fn a_snapshot_out_of_its_place_is_named() {
    let (world, desk) = long();
    let store = world.router.store();
    for stream in [desk.streams.memory.clone(), desk.streams.subject.clone()] {
        let copy = rewritten(store, |_| None);
        let mut head = copy.head(&stream).unwrap();
        while head.length() < SNAPSHOT_RECORDS + 1 {
            let draft =
                Draft::new(stream.clone(), RecordKind::Snapshot, Subsystem::Routing, Vec::new());
            let batch = Batch::new(BEGIN).expect(stream.clone(), head).append(draft);
            head = copy.append(&batch).unwrap().records[0].head();
        }
        let found = router_over(copy).check_snapshots();
        assert!(
            matches!(found, Err(SnapshotError::Slot { .. } | SnapshotError::Log(_))),
            "{found:?}"
        );
    }
}

/// Rules that count otherwise make another profile: the whole log is read then.
#[test]
fn a_snapshot_of_other_rules_is_not_used() {
    let (world, desk) = long();
    let mut setup = Setup::sample().unwrap();
    setup.modeling.behaviour.forget_at = 64;
    let (engines, rules, _) = setup.into_parts().unwrap();
    let clock = world.clock.clone();
    let governor = world.governor("greta", "g").unwrap();
    let store = rewritten(world.router.store(), |_| None);
    let other = Router::adopt(engines, rules, store, clock, &governor).unwrap();
    let swift = other.load_with(&desk.session, true).unwrap();
    let whole = other.load_with(&desk.session, false).unwrap();
    assert_eq!(swift.profile, whole.profile);
    let report = other.check_snapshots().unwrap();
    assert!(report.other_rules > 0, "{report:?}");
    let kept: Box<Live<_>> = world.router.load_with(&desk.session, true).unwrap();
    assert_ne!(kept.profile, whole.profile, "the rules do count otherwise");
    let _desk: Desk<_> = desk;
}
