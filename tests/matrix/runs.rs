//! Generated runs of the real router: whatever is done, and in whatever order, what is
//! written is sound by every check, and any cuts give the whole.

use proptest::prelude::*;
use prospera::audience::causes::{DowngradeCause, HoldTrigger};
use prospera::audience::state::State;
use prospera::audience::table::Way;
use prospera::digest::Digest;
use prospera::execution::ModuleError;
use prospera::identity::Session;
use prospera::intent::Submission;
use prospera::routing::Router;
use prospera::ssot::matrix::{Check, State as CellState};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::StreamKind;
use prospera::ssot::store::Store;
use prospera::ssot::verify::verify_stream;
use prospera::time::Timestamp;

use crate::forge::{bad, matrix, open, stream};
use crate::incremental::in_steps;
use crate::world::{self, TestDesk, TestRouter, World, fact, sid};

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Route(&'static str),
    Malformed,
    Bob,
    Remember,
    Fail,
    Approve(bool),
    TakeBack,
    Suspend,
    Release(State),
    Review,
    Downgrade,
    Request,
    NewSession,
    ClockForth,
    ClockBack,
    Adopt,
}

fn act() -> impl Strategy<Value = Act> {
    let kinds = &[
        "note.add",
        "note.read",
        "note.share",
        "note.soft",
        "note.odd",
        "note.odd",
        "mail.send",
        "mail.send",
        "mail.wait",
        "leak.all",
        "root.reset",
        "note.refused",
        "note.mismatch",
        "note.guarded",
        "pay.small",
    ];
    prop_oneof![
        8 => prop::sample::select(&kinds[..]).prop_map(Act::Route),
        1 => Just(Act::Malformed),
        1 => Just(Act::Bob),
        2 => Just(Act::Remember),
        1 => Just(Act::Fail),
        2 => any::<bool>().prop_map(Act::Approve),
        2 => Just(Act::TakeBack),
        1 => Just(Act::Suspend),
        1 => prop::sample::select(&[State::Base, State::Restricted][..]).prop_map(Act::Release),
        1 => Just(Act::Review),
        1 => Just(Act::Downgrade),
        1 => Just(Act::Request),
        1 => Just(Act::NewSession),
        1 => Just(Act::ClockForth),
        1 => Just(Act::ClockBack),
        1 => Just(Act::Adopt),
    ]
}

struct Life<'a> {
    world: World,
    store: &'a MemoryStore,
    router: TestRouter<&'a MemoryStore>,
    desk: TestDesk,
    session: String,
    /// The last route that asked for a person, and the last that was referred for drift.
    asked: Option<(String, Digest)>,
    referred: Option<(String, Digest)>,
    count: usize,
}

impl<'a> Life<'a> {
    fn new(store: &'a MemoryStore, class_a: bool) -> Self {
        let world = World::new().changed(|setup| setup.class_a = class_a);
        let router = world.router(store);
        let desk = router.open(world.alice("s-0")).unwrap();
        let session = "s-0".into();
        Self { world, store, router, desk, session, asked: None, referred: None, count: 0 }
    }

    fn submit(&mut self, submission: Submission) {
        let Ok(routed) = self.router.route(&mut self.desk, submission) else { return };
        let own = (self.session.clone(), routed.record);
        if routed.evidence.approver.is_some() {
            self.asked = Some(own);
        } else if routed.evidence.drift == prospera::verdict::Drift::Hard {
            self.referred = Some(own);
        }
    }

    /// Does something. What is refused is refused.
    fn act(&mut self, act: Act) {
        self.count += 1;
        let alice = "alice".parse().unwrap();
        let governor = self.world.governor();
        match act {
            // The same intent again, so that an approval fits.
            Act::Route(kind @ ("mail.send" | "note.odd")) => {
                self.submit(self.world.intent(&self.session, kind));
            }
            Act::Route(kind) => {
                self.submit(self.world.numbered(&self.session, kind, self.count));
            }
            Act::Malformed => self.submit(world::malformed()),
            Act::Bob => {
                let name = format!("b-{}", self.count);
                let session = self.world.session(&name, "bob", &["work"]);
                let Ok(mut desk) = self.router.open(session) else { return };
                let mut request = self.world.request(&name, "note.add");
                request.subject = "bob".parse().unwrap();
                let _routed = self.router.route(&mut desk, self.world.build(request));
            }
            Act::Remember => {
                let version = format!("{} High Street", self.count);
                let _kept = self.router.remember(&mut self.desk, fact("address", &version));
            }
            Act::Fail => {
                *self.world.effects.fail.lock().unwrap() = Some(ModuleError::NoEffect("no".into()));
                self.submit(self.world.numbered(&self.session, "note.add", self.count));
                *self.world.effects.fail.lock().unwrap() = None;
            }
            Act::Approve(granted) => {
                if let Some((session, record)) = &self.asked {
                    let _answer =
                        self.router.approve(&governor, &sid(session), *record, granted, "");
                }
            }
            Act::TakeBack => {
                if let Some((session, record)) = &self.referred {
                    let _answer =
                        self.router.authorize_backtrack(&governor, &sid(session), *record, "");
                }
            }
            Act::Suspend => drop(self.router.suspend(&alice, HoldTrigger::ALL[0])),
            Act::Release(to) => drop(self.router.release(&governor, &alice, to, "")),
            Act::Review => drop(self.router.review(&governor, &alice, "")),
            Act::Downgrade => {
                let cause = DowngradeCause::ALL[0];
                drop(self.router.downgrade_privileged(&governor, &alice, cause, ""));
            }
            Act::Request => {
                let _refused = self.router.request(&mut self.desk, State::Privileged, Way::Advance);
            }
            Act::NewSession => {
                let name = format!("s-{}", self.count);
                if let Ok(desk) = self.router.open(self.world.alice(&name)) {
                    (self.desk, self.session) = (desk, name);
                }
            }
            Act::ClockForth => self.world.clock.advance_millis(60_000),
            Act::ClockBack => {
                let back = Timestamp::from_millis(self.world.now().as_millis() - 20_000);
                self.world.clock.set(back.max(world::START));
            }
            Act::Adopt => {
                let version = format!("version = \"1.{}\"", self.count);
                let newer = self.world.changed(|setup| {
                    setup.governance = setup.governance.replacen("version = \"1\"", &version, 1);
                });
                let (engines, rules, clock) = (newer.engines(), newer.rules(), newer.clock);
                if let Ok(router) = Router::adopt(engines, rules, self.store, clock, &governor) {
                    let own = stream(StreamKind::Session, &self.session);
                    let records = verify_stream(self.store, &own).unwrap();
                    let (id, policy) = (sid(&self.session), self.world.identity());
                    let session = Session::resume(&id, &records, self.world.now(), &policy);
                    // A clock that went back takes up nothing.
                    if let Some(desk) = session.ok().and_then(|own| router.resume(own).ok()) {
                        (self.router, self.desk) = (router, desk);
                    }
                }
            }
        }
        self.world.clock.advance_millis(100);
    }
}

fn live(acts: &[Act], class_a: bool) -> MemoryStore {
    let store = MemoryStore::new();
    let mut life = Life::new(&store, class_a);
    for act in acts {
        life.act(*act);
    }
    drop(life);
    store
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// No false alarm, and INVARIANT (a fold).
    #[test]
    fn any_run_is_sound_and_any_cuts_give_the_whole(
        acts in prop::collection::vec(act(), 0..40),
        class_a in any::<bool>(),
        steps in prop::collection::vec(0..20_u64, 1..4),
    ) {
        let store = live(&acts, class_a);
        let whole = matrix(&store);
        prop_assert_eq!(bad(&whole), <[String; 0]>::default(), "{:#?}", whole.faults());
        prop_assert_eq!(open(&whole), <[String; 0]>::default());
        prop_assert_eq!(in_steps(&store, &steps), whole);
    }
}

/// The runs reach what the checks speak of: otherwise the property would say little.
#[test]
fn a_run_can_have_everything_in_it() {
    let acts = [
        Act::Route("note.add"),
        Act::Remember,
        Act::Route("mail.send"),
        Act::Approve(true),
        Act::Route("mail.send"),
        Act::Route("note.odd"),
        Act::TakeBack,
        Act::Route("note.odd"),
        Act::Request,
        Act::Adopt,
        Act::Route("note.add"),
        Act::NewSession,
        Act::Bob,
        Act::Route("leak.all"),
        Act::Review,
        Act::Release(State::Base),
        Act::Fail,
    ];
    let store = live(&acts, true);
    let records = crate::forge::records(&store);
    let found = matrix(&store);
    assert_eq!(bad(&found), <[String; 0]>::default(), "{:#?}", found.faults());
    assert_eq!(found.verdict(), CellState::Sound);
    let blocks: Vec<prospera::routing::EvidenceBlock> =
        records.iter().filter_map(|record| record.read().ok()).collect();
    assert!(blocks.iter().any(|block| block.approval.is_some()), "approved");
    assert!(blocks.iter().any(|block| block.backtrack.is_some()), "taken back");
    let pinned = |record: &&prospera::ssot::record::Record| {
        record.kind() == prospera::ssot::record::RecordKind::PolicyPinned
    };
    assert_eq!(records.iter().filter(pinned).count(), 2, "adopted");
    let safety = |record: &&prospera::ssot::record::Record| {
        record.source() == prospera::id::Subsystem::Safety
    };
    assert!(records.iter().filter(safety).count() >= 2, "moved by Safety");
    assert!(found.count(Check::Lineage).of(CellState::Sound) > 8);
    assert_eq!(store.len().unwrap(), records.len() as u64);
}
