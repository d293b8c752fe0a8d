//! Clocks that step back.

use prospera::audience::state::State;
use prospera::ssot::redb::RedbStore;
use prospera::time::Timestamp;
use prospera::verdict::ReasonCode::{AudienceEscalated, IdentityAnomaly, SessionNotYetValid};

use crate::house::House;
use crate::world::START;

fn at(house: &House, millis: u64) {
    house.world.clock.set(Timestamp::from_millis(millis));
}

/// Before the session's last record by more than the leeway: denied, nothing executed, and
/// the audience escalates (an identity anomaly, ASM2-7.5). Within the leeway it is noted.
#[test]
fn a_clock_going_backwards() {
    let start = START.as_millis();
    for back in [30_001, 60_000, 3_599_999] {
        let mut house = House::new();
        at(&house, start + 3_600_000);
        let intent = house.world.numbered("s-1", "note.add", 1);
        house.allows(intent);
        at(&house, start + 3_600_000 - back);
        let intent = house.world.numbered("s-1", "note.add", 2);
        let reason = house.denies(intent, IdentityAnomaly);
        let expected = format!("the clock stands {back} ms before the session's last record");
        assert_eq!(*reason.detail, *expected);
        assert_eq!(house.desk.state(), Some(State::Escalated));
        // The right time alone does not bring it back: a person looks first.
        at(&house, start + 3_600_001);
        let intent = house.world.numbered("s-1", "note.add", 3);
        house.denies(intent, AudienceEscalated);
        house.stays_whole();
    }
    let mut house = House::new();
    for before in [30_001, 3_600_000, start] {
        at(&house, start - before);
        let intent = house.world.numbered("s-1", "note.add", 4);
        house.denies(intent, SessionNotYetValid);
    }
    at(&house, start + 3_600_000);
    let intent = house.world.numbered("s-1", "note.add", 5);
    house.allows(intent);
    at(&house, start + 3_600_000 - 30_000);
    let intent = house.world.numbered("s-1", "note.add", 6);
    let routed = house.carries_out(intent);
    let noted = routed.evidence.trace[0].reasons.iter().any(|r| r.code == IdentityAnomaly);
    assert!(noted, "{:?}", routed.evidence.trace[0]);
    at(&house, start + 3_600_001);
    house.ends_well();
}

/// The same in a process that has just read the log: it knows the time from there.
#[test]
fn a_clock_that_stands_before_the_log() {
    let mut house = House::new();
    let start = START.as_millis();
    at(&house, start + 3_600_000);
    let intent = house.world.numbered("s-1", "note.add", 1);
    house.allows(intent);
    let path = house.path();
    let House { folder, world, router, desk, acknowledged } = house;
    drop((router, desk));
    let router = world.router(RedbStore::open(path).unwrap());
    world.clock.set(Timestamp::from_millis(start + 60_000));
    let desk = router.resume(world.resumed(router.store(), "s-1")).unwrap();
    let mut house = House { folder, world, router, desk, acknowledged };
    let intent = house.world.numbered("s-1", "note.add", 2);
    let reason = house.denies(intent, IdentityAnomaly);
    let expected = "the clock stands 3540000 ms before the session's last record";
    assert_eq!(*reason.detail, *expected);
    house.stays_whole();
}
