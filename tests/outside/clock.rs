//! The clock jumps: between any two steps of a day, and within a route. Rights end or
//! fail closed; none lives longer because a clock went back.

use std::cell::Cell;

use prospera::governance::ReviewError;
use prospera::id::LayerId;
use prospera::identity::Session;
use prospera::routing::{Router, RouterError};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{StreamId, StreamKind};
use prospera::ssot::verify::{verify, verify_stream};
use prospera::time::{Clock, Timestamp};
use prospera::verdict::{ReasonCode, Verdict};

use crate::flaky::Flaky;
use crate::script::{After, DAY, Play, Step};
use crate::world::{START, TestDesk, World, name, operator, sid, why};

const HOUR: u64 = 3_600_000;
const YEAR: u64 = 365 * 24 * HOUR;

/// Times at which no session of this day holds.
fn wrong_times() -> [Timestamp; 5] {
    [
        Timestamp::from_millis(START.as_millis() - HOUR),
        START.plus_millis(YEAR),
        Timestamp::from_millis(0),
        Timestamp::from_millis(u64::MAX - 1),
        Timestamp::from_millis(u64::MAX),
    ]
}

type Memory = Flaky<MemoryStore>;

/// While the clock is wrong nobody is let in, nothing is executed and nothing approved.
fn fails_closed(play: &mut Play<'_, Memory>, at: Timestamp) {
    let effects = play.world.effects.count();
    let mut desk = play.desk.take().unwrap();
    let router = play.router();
    let routed = router.route(&mut desk, play.submission("note.add", 99)).unwrap();
    assert_eq!(routed.verdict, Verdict::Deny, "{at}");
    assert_eq!(routed.evidence.trace.last().unwrap().layer, LayerId::Identity, "{at}");
    assert_eq!(routed.evidence.timestamp, at);
    assert!(
        why(&routed.evidence).iter().all(|code| matches!(
            code,
            ReasonCode::SessionExpired
                | ReasonCode::SessionNotYetValid
                | ReasonCode::SessionStale
                | ReasonCode::IdentityAnomaly
        )),
        "{at}: {:?}",
        routed.evidence.trace
    );
    let stream = StreamId::new(StreamKind::Session, name("s-1"));
    let records = verify_stream(router.store(), &stream).unwrap();
    let policy = play.world.identity();
    assert!(Session::resume(&sid("s-1"), &records, at, &policy).is_err(), "{at}");
    play.desk = Some(desk);
    // What waits for approval waits on, or is too late.
    let asked = crate::script::blocks(play.store()).unwrap();
    if asked.iter().any(|(_, block)| block.verdict == Verdict::StepUp) {
        let error = play.step(Step::Approve("mail.send", 1)).unwrap_err();
        let closed = matches!(error, RouterError::NotAuthorized { .. } | RouterError::Review(_));
        assert!(closed, "{at}: {error}");
    }
    assert_eq!(play.world.effects.count(), effects, "{at}");
    verify(play.store(), |_| {}).unwrap();
}

fn between_any_two_steps(at: Timestamp, mut then: impl FnMut(Play<'_, Memory>, usize)) {
    let world = World::new();
    for played in 1..=DAY.len() {
        let store = Flaky::new(MemoryStore::new());
        let mut play = Play::new(&world, After::InPlace, Box::new(|| Ok(store.clone())));
        play.all(&DAY[..played]);
        play.world.clock.set(at);
        fails_closed(&mut play, at);
        then(play, played);
    }
}

#[test]
fn the_clock_steps_back_an_hour() {
    let before = Timestamp::from_millis(START.as_millis() - HOUR);
    between_any_two_steps(before, |mut play, played| {
        // Set right again, the day goes on to its end.
        play.world.clock.set(START.plus_millis(1_000));
        play.all(&DAY[played..]);
        play.ends(DAY);
    });
}

#[test]
fn the_clock_leaps_a_year() {
    between_any_two_steps(START.plus_millis(YEAR), |mut play, played| {
        // Set right again: what the log saw happen a year later cannot be unseen, neither
        // by the desk nor after a restart, and that the two do not fit escalates.
        play.world.clock.set(START.plus_millis(1_000));
        let effects = play.world.effects.count();
        for restart in [false, true] {
            if restart {
                play.restart();
                play.step(Step::Open).unwrap();
            }
            let mut desk = play.desk.take().unwrap();
            let submission = play.submission("note.add", 99);
            let routed = play.router().route(&mut desk, submission).unwrap();
            assert_eq!(routed.verdict, Verdict::Deny);
            assert_eq!(why(&routed.evidence), [ReasonCode::IdentityAnomaly], "{restart}");
            play.desk = Some(desk);
        }
        assert_eq!(play.world.effects.count(), effects);
        // Once a person has looked at it, another session works.
        play.step(Step::Review).unwrap();
        play.step(Step::Release).unwrap();
        let mut desk = play.router().open(play.world.alice("s-2")).unwrap();
        let routed = play.router().route(&mut desk, play.world.intent("s-2", "note.read"));
        let routed = routed.unwrap();
        let executed = matches!(routed.verdict, Verdict::Allow | Verdict::Modify);
        // After `leak.all` the audience is trusted with nothing.
        assert!(executed != (played > 16), "after {played} steps: {:?}", routed.evidence.trace);
        verify(play.store(), |_| {}).unwrap();
    });
}

#[test]
fn the_clock_stands_at_either_end_of_time() {
    for at in [0, 1, u64::MAX - 1, u64::MAX] {
        between_any_two_steps(Timestamp::from_millis(at), |play, _| drop(play));
    }
    // A day that begins there is short, and nothing overflows.
    for start in [0, 1, u64::MAX - 2 * HOUR, u64::MAX - 1, u64::MAX] {
        let setup = prospera::testing::world::Setup::sample().unwrap();
        let world = setup.build().unwrap();
        let forwards = start.saturating_sub(world.clock.now().as_millis());
        world.clock.advance_millis(forwards);
        let Ok(mut desk) = world.open("alice", "s-1") else { continue };
        for kind in ["note.read", "note.write", "payment.send", "key.rotate"] {
            let argument = match kind {
                "payment.send" => ("to", "bob".into()),
                "key.rotate" => ("key", "a".into()),
                _ => ("name", "a".into()),
            };
            let intent = world.intent(kind, "Do it.", &[argument]).unwrap();
            let _answer = world.router.route(&mut desk, intent).unwrap();
        }
        verify(world.router.store(), |_| {}).unwrap();
    }
}

/// The clock jumps with every operation of the store: also between evidence and effect.
#[test]
fn the_clock_jumps_with_any_operation_of_the_store() {
    let world = World::new();
    for at in wrong_times() {
        for n in 0.. {
            let store = Flaky::new(MemoryStore::new());
            let mut play = Play::new(&world, After::InPlace, Box::new(|| Ok(store.clone())));
            store.jump(n, play.world.clock, at);
            play.step(Step::Open).unwrap();
            let mut desk = play.desk.take().unwrap();
            let opened = play.world.now() == START;
            for (number, kind) in [(1, "note.add"), (2, "mail.send"), (3, "note.read")] {
                let jumped = play.world.now() != START;
                let before = play.world.effects.count();
                let routed = play.router().route(&mut desk, play.submission(kind, number));
                let done = play.world.effects.count() - before;
                assert!(done == 0 || !jumped, "{at}: {kind} at operation {n}");
                let recorded = routed.unwrap();
                assert_eq!(done, usize::from(recorded.outcome.is_some()), "{at}: {kind} at {n}");
            }
            play.desk = Some(desk);
            play.check(false);
            assert!(opened || play.world.effects.count() == 0, "{at}: at {n}");
            if store.waits() {
                assert!(n > 10, "three routes have but {n} operations");
                break;
            }
        }
    }
}

/// A clock that shows another time from its n-th reading on.
#[derive(Debug)]
struct Jumping {
    readings: Cell<u32>,
    from: u32,
    to: Timestamp,
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        let reading = self.readings.get();
        self.readings.set(reading + 1);
        if reading < self.from { START } else { self.to }
    }
}

/// The clock jumps with every reading: also between a token's making and its use.
#[test]
fn the_clock_jumps_with_any_reading_of_it() {
    let world = World::new();
    let mut expired = 0;
    for to in wrong_times() {
        for from in 1..24 {
            let before = world.effects.count();
            let clock = Jumping { readings: Cell::new(0), from, to };
            let (engines, rules) = (world.engines(), world.rules());
            let router = Router::new(engines, rules, MemoryStore::new(), clock, operator());
            let router = router.unwrap();
            let Ok(mut desk) = router.open(world.alice("s-1")) else { continue };
            let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
            let done = world.effects.count() - before;
            assert_eq!(done, usize::from(routed.verdict == Verdict::Allow), "{to} from {from}");
            expired += usize::from(why(&routed.evidence) == [ReasonCode::TokenInvalid]);
            let again = router.route(&mut desk, world.intent("s-1", "note.read")).unwrap();
            let right = again.evidence.timestamp == START;
            assert!(right || again.verdict == Verdict::Deny, "{to} from {from}");
            verify(router.store(), |_| {}).unwrap();
        }
    }
    assert!(expired >= 3, "a leap between making and use ends a token: {expired}");
}

/// A world in which alice's mail waits for approval since [`START`], for a minute.
fn asked() -> (World, crate::world::TestRouter<MemoryStore>, TestDesk, prospera::digest::Digest) {
    let world = World::new();
    let router = world.router(MemoryStore::new());
    let mut desk = router.open(world.alice("s-1")).unwrap();
    let routed = router.route(&mut desk, world.intent("s-1", "mail.send")).unwrap();
    assert_eq!(routed.verdict, Verdict::StepUp);
    (world, router, desk, routed.record)
}

#[test]
fn a_question_that_ended_is_not_revived_by_a_clock_that_steps_back() {
    let (world, router, mut desk, record) = asked();
    let governor = world.governor();
    let approve = || router.approve(&governor, &sid("s-1"), record, true, "");
    // Before it was asked: nothing can be said of when it ends.
    world.clock.set(Timestamp::from_millis(START.as_millis() - 1));
    assert!(matches!(approve(), Err(RouterError::Review(ReviewError::TooEarly { .. }))));
    // The log saw the minute pass; the clock goes back to its middle.
    world.clock.set(START.plus_millis(61_000));
    let _ = router.route(&mut desk, world.intent("s-1", "note.read")).unwrap();
    world.clock.set(START.plus_millis(35_000));
    assert!(matches!(approve(), Err(RouterError::Review(ReviewError::TooLate { .. }))));
    assert_eq!(world.effects.count(), 1, "the reading alone");
}

#[test]
fn an_approval_that_ended_is_not_revived_by_a_clock_that_steps_back() {
    let (world, router, mut desk, record) = asked();
    router.approve(&world.governor(), &sid("s-1"), record, true, "").unwrap();
    world.clock.set(START.plus_millis(600_000));
    let routed = router.route(&mut desk, world.intent("s-1", "mail.send")).unwrap();
    assert_ne!(routed.verdict, Verdict::Allow, "it ended");
    for restart in [false, true] {
        world.clock.set(START.plus_millis(10_000));
        if restart {
            desk = router.resume(world.resumed(router.store(), "s-1")).unwrap();
        }
        let routed = router.route(&mut desk, world.intent("s-1", "mail.send")).unwrap();
        assert_eq!(why(&routed.evidence), [ReasonCode::IdentityAnomaly], "{restart}");
    }
    assert_eq!(world.effects.count(), 0);
}
