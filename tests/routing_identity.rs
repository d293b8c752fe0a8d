//! Cross-session identity at the router: who opens a session with good claims from elsewhere
//! is held, and whoever is familiar gains nothing by it.
//!
//! Requirements: PLAN-8.3, ASM2-8.1, ASM2-7.5, D-53.
#![cfg(feature = "files")]
#![expect(
    clippy::unwrap_used,
    clippy::similar_names,
    clippy::indexing_slicing,
    reason = "the helpers of tests, too, may end a test"
)]

#[path = "support/world.rs"]
mod world;

use std::sync::Arc;

use prospera::audience::causes::HoldTrigger;
use prospera::audience::lineage::{Cause, LineageEvent};
use prospera::audience::state::State;
use prospera::identity::{
    HostClaims, IdentityPolicy, IdentityScore, IdentitySystem, Linkage, PrincipalKind, Session,
    SignalKind, Signals, Standing, VerifiedClaims,
};
use prospera::risk::Risk;
use prospera::routing::{Router, RouterError};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Draft, RecordKind};
use prospera::ssot::store::{Batch, Store};
use prospera::ssot::verify::verify;
use prospera::verdict::{ReasonCode, Verdict};
use world::{Setup, TestRouter, World, name, operator, records};

const MODEL: &str = r#"
version = "1"
prior = 900000000000000
sessions = 8
hold_below_millibits = 0
escalate_below_millibits = -5000

[field.device]
m = [850000000000000, 146000000000000, 4000000000000]
u = [1000000000000, 899000000000000, 100000000000000]
rest = 10000000000
[field.device.shares]
kiosk = 300000000000000

[field.network]
m = [700000000000000, 250000000000000, 46000000000000, 4000000000000]
u = [1000000000000, 99000000000000, 800000000000000, 100000000000000]

[field.hour]
m = [600000000000000, 250000000000000, 146000000000000, 4000000000000]
u = [125000000000000, 250000000000000, 250000000000000, 375000000000000]
"#;

fn model() -> Linkage {
    Linkage::from_toml("linkage.toml", MODEL).unwrap()
}

/// The router of this world; with a model, its Identity System compares sessions.
fn router<S: Store>(
    world: &World,
    store: S,
    policy: IdentityPolicy,
    scores: bool,
) -> TestRouter<S> {
    let mut engines = world.engines();
    engines.identity = IdentitySystem::new(policy);
    if scores {
        engines.identity = engines.identity.with_linkage(model());
    }
    Router::new(engines, world.rules(), store, world.clock, operator()).unwrap()
}

/// A session with good claims, opened from this device and network.
fn session(world: &World, id: &str, person: &str, from: (&str, &str)) -> Session {
    let (device, network) = from;
    let signals = [(SignalKind::Device, device), (SignalKind::Network, network)];
    let said = signals.into_iter().filter(|(_, value)| !value.is_empty());
    let claims = VerifiedClaims::vouched_by_host(HostClaims {
        principal: person.parse().unwrap(),
        kind: PrincipalKind::Human,
        subject: person.parse().unwrap(),
        session: id.parse().unwrap(),
        roles: [].into(),
        scopes: [name("work"), name("governor")].into(),
        delegation: Vec::new(),
        consent: true,
        strength: Risk::MAX,
        issued_at: world.now(),
        expires_at: world.now().plus_millis(3_600_000),
    });
    let claims =
        claims.observed(said.map(|(kind, value)| (kind, name(value))).collect::<Signals>());
    Session::open(claims, world.now(), &world.identity()).unwrap()
}

const HOME: (&str, &str) = ("phone-1", "AS1/10.0.0.0");
const TRAIN: (&str, &str) = ("phone-1", "AS7/172.16.0.0");
const OFFICE: (&str, &str) = ("laptop-1", "AS1/10.0.4.0");
const THIEF: (&str, &str) = ("phone-666", "AS9/192.0.2.0");
const DAY: u64 = 86_400_000;

fn scores<S: Store>(store: &S, id: &str) -> Vec<IdentityScore> {
    let of = |record: &&prospera::ssot::record::Record| {
        record.kind() == RecordKind::IdentityScored && record.stream().name().as_str() == id
    };
    records(store).iter().filter(of).map(|record| record.read().unwrap()).collect()
}

fn standing<S: Store>(store: &S, id: &str) -> Standing {
    let scores = scores(store, id);
    assert_eq!(scores.len(), 1, "{id}");
    scores[0].standing()
}

/// A person's week: home, train, office, each day at nine.
fn week<S: Store>(world: &World, router: &TestRouter<S>) {
    let person = "alice";
    for (day, from) in [HOME, TRAIN, HOME, OFFICE, HOME].into_iter().enumerate() {
        let id = format!("{person}-{day}");
        let mut desk = router.open(session(world, &id, person, from)).unwrap();
        assert_eq!(desk.state(), Some(State::Verified), "day {day}");
        let routed = router.route(&mut desk, world.intent(&id, "note.add")).unwrap();
        assert_eq!(routed.verdict, Verdict::Allow);
        world.clock.advance_millis(DAY);
    }
}

/// ASM2-8.1: ordinary sessions pass, the stolen one is a hold trigger, and what it tries is
/// deferred. The subject's own next session is let in by nobody but a governor.
#[test]
fn asm2_8_1_a_stolen_subject_is_held() {
    let world = World::new();
    let router = router(&world, MemoryStore::new(), world.identity(), true);
    week(&world, &router);
    assert_eq!(standing(router.store(), "alice-0"), Standing::Unknown);
    for day in 1..5 {
        assert_eq!(standing(router.store(), &format!("alice-{day}")), Standing::Consistent);
    }
    world.clock.advance_millis(DAY / 4);
    let stolen = session(&world, "stolen", "alice", THIEF);
    let mut desk = router.open(stolen).unwrap();
    assert_eq!(desk.state(), Some(State::Hold));
    let score = &scores(router.store(), "stolen")[0];
    assert_eq!((score.standing(), score.compared), (Standing::Inconsistent, 5));
    assert_eq!(score.model, model().digest());
    let explained = score.to_string();
    for line in ["device      other", "network     other", "hour        within 6 hours"] {
        assert!(explained.contains(line), "{explained}");
    }
    let events: Vec<LineageEvent> = (records(router.store()).iter())
        .filter(|record| record.kind() == RecordKind::AudienceEvent)
        .map(|record| record.read().unwrap())
        .collect();
    let last = events.last().unwrap();
    assert_eq!(*last.cause(), Cause::Hold(HoldTrigger::IdentityInconsistency));
    let before = world.effects.count();
    let routed = router.route(&mut desk, world.intent("stolen", "note.add")).unwrap();
    assert!(matches!(routed.verdict, Verdict::Deny | Verdict::Defer), "{:?}", routed.verdict);
    assert!(world::why(&routed.evidence).contains(&ReasonCode::AudienceHeld));
    assert_eq!(world.effects.count(), before, "nothing was done");
    // Her own phone is familiar, and that opens nothing.
    let own = router.open(session(&world, "alice-9", "alice", HOME)).unwrap();
    assert_eq!(standing(router.store(), "alice-9"), Standing::Consistent);
    assert_eq!(own.state(), Some(State::Hold), "a score above the threshold grants nothing");
    verify(router.store(), |_| {}).unwrap();
}

/// A thief who comes again is not taken for the subject because he came before; once a governor
/// has let the subject out, he is somebody whom a person has seen, unless he is revoked.
#[test]
fn a_low_session_is_no_history_until_a_person_says_so() {
    let world = World::new();
    let router = router(&world, MemoryStore::new(), world.identity(), true);
    week(&world, &router);
    let _ = router.open(session(&world, "new-phone", "alice", THIEF)).unwrap();
    let _ = router.open(session(&world, "again", "alice", THIEF)).unwrap();
    assert_eq!(standing(router.store(), "again"), Standing::Inconsistent);
    let bob = session(&world, "bob-0", "bob", HOME);
    let alice = "alice".parse().unwrap();
    let state = router.release(&bob, &alice, State::Base, "she has a new phone").unwrap();
    assert_eq!(state, State::Base);
    // The session that was doubted is taken up again: nothing speaks against it any more.
    let desk = router.resume(session(&world, "again", "alice", THIEF)).unwrap();
    assert_eq!(desk.state(), Some(State::Verified));
    let desk = router.open(session(&world, "third", "alice", THIEF)).unwrap();
    assert_eq!(standing(router.store(), "third"), Standing::Consistent);
    assert_eq!(desk.state(), Some(State::Verified));
    // Under a policy that revokes them the sessions are nobody's history.
    let revoked = ["new-phone", "again", "third"]
        .into_iter()
        .fold(world.identity().edit(), |policy, id| policy.revoke_session(name(id)));
    let store = router.into_store();
    let router = self::router(&world, store, revoked.build(), true);
    let _ = router.open(session(&world, "fourth", "alice", THIEF)).unwrap();
    assert_eq!(standing(router.store(), "fourth"), Standing::Inconsistent);
}

/// ASM2-7.5: far below, it is a mismatch, which escalates; and PRIVILEGED, which nothing but an
/// authorization leaves, escalates for either (D-2).
#[test]
fn asm2_7_5_a_mismatch_escalates() {
    let world = World::new();
    let router = router(&world, MemoryStore::new(), world.identity(), true);
    week(&world, &router);
    world.clock.advance_millis(DAY / 2);
    let desk = router.open(session(&world, "silent", "alice", ("", ""))).unwrap();
    assert_eq!(standing(router.store(), "silent"), Standing::Mismatch);
    assert_eq!(desk.state(), Some(State::Escalated));
    let world = World::with(Setup { class_a: true, ..Setup::default() });
    let router = self::router(&world, MemoryStore::new(), world.identity(), true);
    let desk = router.open(session(&world, "carol-0", "carol", HOME)).unwrap();
    assert_eq!(desk.state(), Some(State::Privileged));
    let desk = router.open(session(&world, "carol-1", "carol", THIEF)).unwrap();
    assert_eq!(standing(router.store(), "carol-1"), Standing::Inconsistent);
    assert_eq!(desk.state(), Some(State::Escalated));
}

/// The process dies between the opening and the move: whoever takes the session up finds what
/// speaks against it in the log.
#[test]
fn the_cause_outlives_the_process() {
    let world = World::new();
    let store = Arc::new(MemoryStore::new());
    let router = router(&world, Arc::clone(&store), world.identity(), true);
    week(&world, &router);
    let opening = session(&world, "stolen", "alice", THIEF);
    let before = store.len().unwrap();
    let _ = router.open(opening).unwrap();
    let all = records(&*store);
    let kept: Vec<_> = all.iter().filter(|record| record.index() < before + 3).collect();
    assert_eq!(kept.last().unwrap().index(), before + 2);
    let replayed = MemoryStore::new();
    for record in kept {
        let stream = record.stream().clone();
        let head = replayed.head(&stream).unwrap();
        let body = record.body().to_vec();
        let draft = Draft::new(stream.clone(), record.kind(), record.source(), body);
        let batch = Batch::new(record.timestamp()).expect(stream, head).append(draft);
        replayed.append(&batch).unwrap();
    }
    // Not even comparing is needed any more.
    let router = self::router(&world, replayed, world.identity(), false);
    let desk = router.resume(session(&world, "stolen", "alice", THIEF)).unwrap();
    assert_eq!(desk.state(), Some(State::Hold));
}

/// D-53: over the same log, a router that compares never leaves an audience in a state that
/// permits more than one that does not.
#[test]
fn d_53_a_score_never_widens_rights() {
    let places = [HOME, TRAIN, OFFICE, THIEF, ("kiosk", "AS1/10.0.0.0"), ("", "AS7/1"), ("", "")];
    for seed in 0..24_usize {
        let world = World::with(Setup { class_a: seed % 3 == 0, ..Setup::default() });
        let plain = router(&world, MemoryStore::new(), world.identity(), false);
        let scoring = router(&world, MemoryStore::new(), world.identity(), true);
        for step in 0..6_usize {
            let from = places[(seed * 5 + step * (seed % 4 + 1)) % places.len()];
            let id = format!("s-{step}");
            let open = |router: &TestRouter<MemoryStore>| {
                router.open(session(&world, &id, "alice", from)).unwrap().state().unwrap()
            };
            let (without, with) = (open(&plain), open(&scoring));
            assert!(rank(with) <= rank(without), "seed {seed}, step {step}: {with} for {without}");
            world.clock.advance_millis(DAY / 5 * (seed as u64 % 7));
        }
    }
}

/// How much a state permits.
fn rank(state: State) -> u8 {
    match state {
        State::Escalated => 0,
        State::Hold => 1,
        State::Init | State::Restricted => 2,
        State::Base => 3,
        State::Verified => 4,
        State::Privileged => 5,
    }
}

/// Without a model nothing is compared and nothing is written.
#[test]
fn without_a_model_nothing_changes() {
    let world = World::new();
    let router = router(&world, MemoryStore::new(), world.identity(), false);
    week(&world, &router);
    let desk = router.open(session(&world, "stolen", "alice", THIEF)).unwrap();
    assert_eq!(desk.state(), Some(State::Verified));
    let all = records(router.store());
    assert!(all.iter().all(|record| record.kind() != RecordKind::IdentityScored));
    let refused = router.open(session(&world, "stolen", "alice", HOME));
    assert!(matches!(refused, Err(RouterError::SessionExists { .. })));
}
