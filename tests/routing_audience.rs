//! The audience at run time: what opening earns, what a block takes away, and the ways out.
#![cfg(feature = "files")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::similar_names,
    reason = "the helpers of tests, too, may end a test; a router has routed"
)]

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/world.rs"]
mod world;

use faulty::{Fault, FaultyStore};
use proptest::prelude::*;
use prospera::audience::causes::{DowngradeCause, HoldTrigger};
use prospera::audience::state::State;
use prospera::audience::table::Way;
use prospera::governance::ReviewError;
use prospera::id::{LayerId, SubjectId};
use prospera::identity::{PrincipalKind, Session};
use prospera::routing::{RouterError, Stop};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Record, RecordKind, StreamKind};
use prospera::ssot::store::Store;
use prospera::verdict::{ReasonCode, Verdict};
use world::{Setup, TestDesk, TestRouter, World, fact, records, sid, why};

fn alice() -> SubjectId {
    "alice".parse().unwrap()
}

fn lineage<S: Store>(store: &S) -> Vec<Record> {
    let all = records(store).into_iter();
    all.filter(|r| r.stream().kind() == StreamKind::Audience).collect()
}

fn kinds<S: Store>(store: &S) -> Vec<RecordKind> {
    lineage(store).iter().map(Record::kind).collect()
}

fn open(setup: Setup) -> (World, TestRouter<MemoryStore>, TestDesk) {
    let world = World::with(setup);
    let router = world.router(MemoryStore::new());
    let desk = router.open(world.alice("s-1")).unwrap();
    (world, router, desk)
}

const GOOD: usize = 40;

fn escalated() -> (World, TestRouter<MemoryStore>, TestDesk) {
    let (world, router, mut desk) = open(Setup::default());
    // A good record, so that one block does not make the class C.
    for number in 0..GOOD {
        let submission = world.numbered("s-1", "note.read", number);
        assert_eq!(router.route(&mut desk, submission).unwrap().verdict, Verdict::Allow);
    }
    let _ = router.route(&mut desk, world.intent("s-1", "leak.all")).unwrap();
    assert_eq!(desk.state(), Some(State::Escalated));
    (world, router, desk)
}

/// ASM2-3.5: a state's ceiling holds whatever class, rules and matrix allow. RESTRICTED
/// looks and does nothing else, and the refusal comes before Governance is asked.
#[test]
fn asm2_3_5_a_states_ceiling_holds() {
    let (world, router, _) = open(Setup::default());
    let governor = world.governor();
    assert_eq!(router.suspend(&alice(), HoldTrigger::GovernanceFlag).unwrap(), State::Hold);
    let to = State::Restricted;
    assert_eq!(router.release(&governor, &alice(), to, "may look").unwrap(), to);
    let mut desk = router.open(world.alice("s-2")).unwrap();
    assert_eq!(desk.state(), Some(to));
    let routed = router.route(&mut desk, world.intent("s-2", "note.add")).unwrap();
    assert_eq!(routed.verdict, Verdict::Deny);
    assert_eq!(why(&routed.evidence).last(), Some(&ReasonCode::StateInsufficient));
    assert_eq!(routed.evidence.trace.last().unwrap().layer, LayerId::Safety);
    assert_eq!(world.effects.count(), 0);
}

/// ASM2-7.5: an intent that names another subject than its session is Blocked at Step 1,
/// and the audience in whose session it was tried escalates in the same commit.
#[test]
fn asm2_7_5_identities_that_do_not_match_escalate() {
    let (world, router, mut desk) = open(Setup::default());
    let mut request = world.request("s-1", "note.add");
    request.subject = "mallory".parse().unwrap();
    let intent = world.catalogue.intent(request).unwrap();
    let routed = router.route(&mut desk, intent.into()).unwrap();
    assert_eq!(routed.verdict, Verdict::Deny);
    assert_eq!(why(&routed.evidence), [ReasonCode::SubjectMismatch]);
    assert_eq!(routed.moved, Some((State::Verified, State::Escalated)));
    assert_eq!(desk.state(), Some(State::Escalated));
    assert_eq!(world.effects.count(), 0);
}

/// ASM2-8.3, D-6: a governance flag suspends along the legal path, each edge on record in
/// one commit, and a desk that was open meanwhile learns of it at its next route.
#[test]
fn asm2_8_a_governance_flag_suspends_at_once() {
    let (world, router, mut desk) = open(Setup::default());
    let before = kinds(router.store()).len();
    assert_eq!(router.suspend(&alice(), HoldTrigger::GovernanceFlag).unwrap(), State::Hold);
    let added = &lineage(router.store())[before..];
    assert_eq!(added.len(), 3, "VERIFIED, BASE, RESTRICTED, HOLD");
    assert!(added.windows(2).all(|pair| pair[1].timestamp() == pair[0].timestamp()));
    let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    assert_eq!(routed.verdict, Verdict::Deny);
    assert!(why(&routed.evidence).contains(&ReasonCode::AudienceHeld));
    assert_eq!(world.effects.count(), 0);
    let again = router.suspend(&alice(), HoldTrigger::GovernanceFlag).unwrap_err();
    assert!(matches!(again, RouterError::Move(_)), "{again}");
}

/// ASM2-3.1, ASM2-9.3.
#[test]
fn asm2_3_opening_advances_with_a_lineage_record_for_each_edge() {
    let (_, router, desk) = open(Setup::default());
    assert_eq!(desk.state(), Some(State::Verified));
    assert_eq!(kinds(router.store()), [RecordKind::AudienceEvent, RecordKind::AudienceEvent]);
    let (_, router, desk) = open(Setup { class_a: true, ..Setup::default() });
    assert_eq!(desk.state(), Some(State::Privileged));
    assert_eq!(kinds(router.store()).len(), 3);
    let audience = router.audience(&alice()).unwrap();
    assert_eq!(audience.state(), State::Privileged, "restored by replay");
}

/// D-7: both edges in one commit, or none.
#[test]
fn d_7_class_c_is_admitted_to_restricted_in_one_commit() {
    let weak =
        |world: &World| world.session_as("s-1", "alice", PrincipalKind::Human, &["work"], 400_000);
    let world = World::new();
    let store = FaultyStore::default();
    let router = world.router(store.clone());
    let before = store.appends();
    let mut desk = router.open(weak(&world)).unwrap();
    assert_eq!(desk.state(), Some(State::Restricted));
    assert_eq!(store.appends() - before, 2, "the session, then both edges at once");
    assert_eq!(kinds(&store), [RecordKind::AudienceEvent, RecordKind::AudienceEvent]);
    // Class C: an effect is no `observe`.
    let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    assert_ne!(routed.verdict, Verdict::Allow);
    assert_eq!(world.effects.count(), 0);

    let store = FaultyStore::default();
    let router = world.router(store.clone());
    store.on_append(2, Fault::FailBefore);
    assert!(router.open(weak(&world)).is_err());
    assert_eq!(kinds(&store), []);
    assert_eq!(router.resume(weak(&world)).unwrap().state(), Some(State::Restricted));
}

/// ASM2-7, D-10: no public path leads out of ESCALATED but governance's review.
///
/// ASM2-7.10..ASM2-7.12.
#[test]
fn d_10_an_escalated_audience_can_do_nothing() {
    let (world, router, mut desk) = open(Setup::default());
    // Approved before it escalated: that is worth nothing now.
    let asked = router.route(&mut desk, world.intent("s-1", "mail.send")).unwrap();
    let manager = world.session("m-1", "mary", &["manager"]);
    router.approve(&manager, &sid("s-1"), asked.record, true, "").unwrap();
    let _ = router.route(&mut desk, world.intent("s-1", "leak.all")).unwrap();
    assert_eq!(desk.state(), Some(State::Escalated));
    for kind in ["mail.send", "note.add", "note.share", "root.reset", "pay.small", "leak.all"] {
        let routed = router.route(&mut desk, world.intent("s-1", kind)).unwrap();
        assert_eq!(routed.verdict, Verdict::Deny, "{kind}");
        assert!(why(&routed.evidence).contains(&ReasonCode::AudienceEscalated), "{kind}");
        let considered = router.consider(&mut desk, world.intent("s-1", kind)).unwrap();
        assert!(matches!(considered, Err(Stop::Safety(_))), "{kind}");
    }
    // Reading is an answer, too, and it is Safety's.
    let read = router.route(&mut desk, world.intent("s-1", "note.read")).unwrap();
    assert_eq!(read.verdict, Verdict::Deny);
    // Another session of the same subject is the same audience.
    let mut second = router.open(world.alice("s-2")).unwrap();
    assert_eq!(second.state(), Some(State::Escalated));
    let routed = router.route(&mut second, world.intent("s-2", "note.add")).unwrap();
    assert_eq!(routed.verdict, Verdict::Deny);
    for to in State::ALL {
        for way in Way::ALL {
            match router.request(&mut desk, to, way) {
                Ok(row) => assert_eq!((row.to, way), (State::Hold, Way::Review)),
                Err(RouterError::Refused { state, .. }) => assert_eq!(state, State::Escalated),
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(router.remember(&mut desk, fact("shop", "north")).is_err());
    // Nor can it decide for others.
    let mut other = router.open(world.session("b-1", "bob", &["work"])).unwrap();
    let mut request = world.request("b-1", "mail.send");
    request.subject = "bob".parse().unwrap();
    let asked = router.route(&mut other, world.build(request)).unwrap();
    assert_eq!(asked.verdict, Verdict::StepUp);
    let alice_decides = world.session("a-9", "alice", &["manager", "governor"]);
    let refused = router.approve(&alice_decides, &sid("b-1"), asked.record, true, "");
    let Err(RouterError::NotAuthorized { reason, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(reason.code, ReasonCode::AudienceEscalated);
    assert!(router.review(&alice_decides, &alice(), "").is_err());
    assert_eq!(router.audience(&alice()).unwrap().state(), State::Escalated);
    assert_eq!(world.effects.count(), 0);
}

fn refusals(router: &TestRouter<MemoryStore>, who: &Session) {
    assert!(router.review(who, &alice(), "").is_err());
    assert!(router.release(who, &alice(), State::Base, "").is_err());
    assert!(router.release(who, &alice(), State::Restricted, "").is_err());
}

/// ASM2-3.6, ASM2-8.5..ASM2-8.7, ASM2-10.7, ASM2-10.8.
#[test]
fn asm2_8_the_ways_out_are_governances() {
    for to in [State::Base, State::Restricted] {
        let (world, router, mut desk) = escalated();
        let governor = world.governor();
        let clerk = world.session("c-1", "carl", &["work", "manager"]);
        let agent = world.session_of("b-1", "bot", PrincipalKind::Agent, &["governor"]);
        let own = world.session("a-1", "alice", &["governor"]);
        for who in [&clerk, &agent, &own] {
            refusals(&router, who);
        }
        assert!(matches!(router.release(&governor, &alice(), to, ""), Err(RouterError::Act(_))));
        assert_eq!(router.review(&governor, &alice(), "seen").unwrap(), State::Hold);
        for who in [&clerk, &agent, &own] {
            refusals(&router, who);
        }
        let held = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
        assert_eq!(held.verdict, Verdict::Deny);
        let held = router.route(&mut desk, world.intent("s-1", "note.read")).unwrap();
        assert_eq!(held.verdict, Verdict::Defer);
        for not in [State::Verified, State::Privileged, State::Escalated, State::Init, State::Hold]
        {
            assert!(router.release(&governor, &alice(), not, "").is_err(), "{not}");
        }
        assert_eq!(router.release(&governor, &alice(), to, "fine").unwrap(), to);
        let routed = router.route(&mut desk, world.intent("s-1", "note.read")).unwrap();
        assert_eq!(desk.state(), Some(to), "the desk learnt it");
        assert_eq!(world.effects.count(), GOOD + usize::from(to == State::Base));
        assert_eq!(routed.verdict == Verdict::Allow, to == State::Base);
    }
}

/// D-2, ASM2-3.4, ASM2-10.6.
#[test]
fn d_2_privileged_is_left_with_governances_authorization() {
    let (world, router, mut desk) = open(Setup { class_a: true, ..Setup::default() });
    let routed = router.route(&mut desk, world.intent("s-1", "root.reset")).unwrap();
    assert_eq!(routed.verdict, Verdict::Allow, "{:?}", routed.evidence.trace);
    assert_eq!(world.effects.last().module, "root");
    let cause = DowngradeCause::TierMismatch;
    let clerk = world.session("c-1", "carl", &["work"]);
    assert!(router.downgrade_privileged(&clerk, &alice(), cause, "").is_err());
    let own = world.session("a-1", "alice", &["governor"]);
    let refused = router.downgrade_privileged(&own, &alice(), cause, "");
    assert!(matches!(refused, Err(RouterError::Review(ReviewError::OwnRequest { .. }))));
    let lowered = router.downgrade_privileged(&world.governor(), &alice(), cause, "");
    assert_eq!(lowered.unwrap(), State::Verified);
    let routed = router.route(&mut desk, world.intent("s-1", "root.reset")).unwrap();
    assert_eq!(routed.verdict, Verdict::Deny);
    assert_eq!(world.effects.count(), 1);
    let again = router.downgrade_privileged(&world.governor(), &alice(), cause, "");
    assert!(matches!(again, Err(RouterError::Act(_))));
}

#[test]
fn d_3_a_refused_request_is_recorded_with_its_constitutional_check() {
    let (world, router, mut desk) = open(Setup::default());
    let row = router.request(&mut desk, State::Base, Way::StepBack).unwrap();
    assert_eq!(row.to, State::Base);
    assert_eq!(desk.state(), Some(State::Verified), "told, not taken");
    let before = kinds(router.store()).len();
    let refused = router.request(&mut desk, State::Hold, Way::Hold).unwrap_err();
    let RouterError::Refused { refusal, state } = refused else { panic!("{refused}") };
    assert_eq!(state, State::Verified);
    assert!(refusal.contains("VERIFIED → HOLD"), "{refusal}");
    assert_eq!(
        kinds(router.store())[before..],
        [RecordKind::TransitionRefused, RecordKind::ConstitutionalCheck]
    );
    let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    assert_eq!(routed.verdict, Verdict::Allow, "the desk goes on");
}

/// D-3: a violation escalates.
///
/// ASM2-3.7, ASM2-5.8.
#[test]
fn d_3_a_violation_escalates_at_once() {
    let world = World::new();
    let router = world.router(MemoryStore::new());
    let weak = world.session_as("s-1", "alice", PrincipalKind::Human, &["work"], 400_000);
    let mut desk = router.open(weak).unwrap();
    assert_eq!(desk.state(), Some(State::Restricted));
    let before = kinds(router.store()).len();
    let refused = router.request(&mut desk, State::Privileged, Way::Advance).unwrap_err();
    assert!(matches!(refused, RouterError::Refused { state: State::Escalated, .. }), "{refused}");
    assert_eq!(
        kinds(router.store())[before..],
        [RecordKind::TransitionRefused, RecordKind::ConstitutionalCheck, RecordKind::AudienceEvent]
    );
}

/// A request on a desk that another writer has overtaken is answered for the state of now.
#[test]
fn d_3_a_refusal_is_recorded_although_the_audience_moved_meanwhile() {
    let (world, router, mut desk) = open(Setup::default());
    let mut other = router.resume(world.alice("s-1")).unwrap();
    let _ = router.request(&mut other, State::Hold, Way::Hold).unwrap_err();
    let refused = router.request(&mut desk, State::Hold, Way::Hold).unwrap_err();
    assert!(matches!(refused, RouterError::Refused { state: State::Verified, .. }), "{refused}");
}

/// What a desk is asked to do.
#[derive(Debug, Clone)]
enum Step {
    Route(usize, usize),
    Malformed,
    Foreign,
    Remember(usize),
    Fail(usize),
    Approve,
    Backtrack,
    Request(usize),
    Wait(u64),
}

const KINDS: [&str; 12] = [
    "note.read",
    "note.add",
    "note.share",
    "mail.send",
    "mail.wait",
    "note.odd",
    "note.soft",
    "note.ruled",
    "note.mismatch",
    "note.refused",
    "pay.small",
    "leak.all",
];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..11_usize, 0..3_usize).prop_map(|(kind, number)| Step::Route(kind, number)),
        1 => Just(Step::Route(11, 0)),
        1 => Just(Step::Malformed),
        1 => Just(Step::Foreign),
        2 => (0..3_usize).prop_map(Step::Remember),
        1 => (0..3_usize).prop_map(Step::Fail),
        2 => Just(Step::Approve),
        2 => Just(Step::Backtrack),
        1 => (0..7_usize).prop_map(Step::Request),
        2 => (1..200_000_u64).prop_map(Step::Wait),
    ]
}

fn play(world: &World, router: &TestRouter<MemoryStore>, desk: &mut TestDesk, steps: &[Step]) {
    use prospera::execution::ModuleError;
    let (governor, mut last) = (world.governor(), None);
    for step in steps {
        match step {
            Step::Route(kind, number) => {
                let submission = world.numbered("s-1", KINDS[*kind], *number);
                last = Some(router.route(desk, submission).unwrap().record);
            }
            Step::Malformed => drop(router.route(desk, world::malformed()).unwrap()),
            Step::Foreign => drop(router.route(desk, world.intent("s-7", "note.add")).unwrap()),
            Step::Remember(key) => {
                let _ = router.remember(desk, fact(&format!("key-{key}"), "value"));
            }
            Step::Fail(how) => {
                *world.effects.fail.lock().unwrap() = match how {
                    0 => None,
                    1 => Some(ModuleError::NoEffect("no".into())),
                    _ => Some(ModuleError::Unknown("gone".into())),
                };
            }
            Step::Approve => {
                if let Some(record) = last {
                    let _ = router.approve(&governor, &sid("s-1"), record, true, "");
                }
            }
            Step::Backtrack => {
                if let Some(record) = last {
                    let _ = router.authorize_backtrack(&governor, &sid("s-1"), record, "");
                }
            }
            Step::Request(to) => {
                let _ = router.request(desk, State::ALL[*to], Way::Advance);
            }
            Step::Wait(millis) => world.clock.advance_millis(*millis),
        }
    }
}

/// Every getter of a desk, and what it would decide next.
fn seen(world: &World, router: &TestRouter<MemoryStore>, desk: &mut TestDesk) -> Vec<String> {
    let mut out = Vec::new();
    for kind in KINDS {
        let told = router.consider(desk, world.numbered("s-1", kind, 0)).unwrap();
        out.push(match told {
            Ok(block) => format!("{block:?}"),
            Err(stop) => format!("{:?}", stop.conclude().evidence()),
        });
    }
    out.push(format!("{:?} {:?}", desk.state(), desk.context()));
    out.push(format!("{:?} {:?}", desk.snapshot(), desk.facts()));
    out.push(format!("{:?}", desk.open_route()));
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// ASM2-10.9: a desk that stayed open and one that was read from the log are the same:
    /// they know the same and decide the same.
    #[test]
    fn a_restored_desk_is_the_one_that_stayed_open(
        earlier in proptest::collection::vec(step(), 0..6),
        steps in proptest::collection::vec(step(), 1..24),
    ) {
        let world = World::new();
        let router = world.router(MemoryStore::new());
        // An earlier session of the subject, which the later one knows of.
        let mut first = router.open(world.alice("s-0")).unwrap();
        for (number, step) in earlier.iter().enumerate() {
            if let Step::Route(kind, _) = step {
                let submission = world.numbered("s-0", KINDS[*kind], number);
                let _ = router.route(&mut first, submission).unwrap();
            }
        }
        world.clock.advance_millis(600_000);
        let mut desk = router.open(world.alice("s-1")).unwrap();
        play(&world, &router, &mut desk, &steps);
        // The last decisions of others are not the desk's yet: it learns them by routing.
        let _ = router.route(&mut desk, world::malformed()).unwrap();
        let length = router.store().len().unwrap();
        let session = world.resumed(router.store(), "s-1");
        let mut fresh = router.resume(session).unwrap();
        prop_assert_eq!(router.store().len().unwrap(), length, "nothing left to advance");
        prop_assert_eq!(seen(&world, &router, &mut desk), seen(&world, &router, &mut fresh));
        prop_assert_eq!(router.audience(&alice()).unwrap().state(), desk.state().unwrap());
        prospera::ssot::verify::verify(router.store(), |_| {}).unwrap();
    }
}
