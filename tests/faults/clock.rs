//! Clocks that step back.

use prospera::ssot::redb::RedbStore;
use prospera::time::Timestamp;
use prospera::verdict::ReasonCode::{IdentityAnomaly, SessionNotYetValid};
use prospera::verdict::Verdict;

use crate::house::House;
use crate::world::START;

fn at(house: &House, millis: u64) {
    house.world.clock.set(Timestamp::from_millis(millis));
}

/// Before the session's last record by more than the leeway: denied, nothing executed;
/// within the leeway: noted. Once the clock is right again everything goes on.
#[test]
fn a_clock_going_backwards() {
    let mut house = House::new();
    let start = START.as_millis();
    at(&house, start + 3_600_000);
    let intent = house.world.numbered("s-1", "note.add", 1);
    house.allows(intent);
    for back in [30_001, 60_000, 3_599_999] {
        at(&house, start + 3_600_000 - back);
        let intent = house.world.numbered("s-1", "note.add", 2);
        let reason = house.denies(intent, IdentityAnomaly);
        let expected = format!("the clock stands {back} ms before the session's last record");
        assert_eq!(*reason.detail, *expected);
    }
    for before in [30_001, 3_600_000, start] {
        at(&house, start - before);
        let intent = house.world.numbered("s-1", "note.add", 3);
        house.denies(intent, SessionNotYetValid);
    }
    at(&house, start + 3_600_000 - 30_000);
    let intent = house.world.numbered("s-1", "note.add", 4);
    let routed = house.router.route(&mut house.desk, intent).unwrap();
    let noted = routed.evidence.trace[0].reasons.iter().any(|r| r.code == IdentityAnomaly);
    assert!(noted, "{:?}", routed.evidence.trace[0]);
    assert_eq!(routed.verdict, Verdict::Allow);
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
    house.denies(intent, IdentityAnomaly);
    at(&house, start + 3_600_001);
    house.ends_well();
}
