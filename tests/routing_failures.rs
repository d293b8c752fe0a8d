//! The failure modes of IRM §5, the forbidden operations of IRM §7, and stores and modules
//! that fail: each is tried.
#![cfg(feature = "files")]
#![expect(
    clippy::unwrap_used,
    clippy::similar_names,
    reason = "the helpers of tests, too, may end a test; a router has routed"
)]

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/world.rs"]
mod world;

use faulty::{Fault, FaultyStore};
use prospera::audience::state::State;
use prospera::audience::table::Way;
use prospera::digest::Digest;
use prospera::encode::Encode;
use prospera::execution::{ExecutionEngine, ModuleError};
use prospera::governance::{GovernanceEngine, GovernanceInput, KernelInput, Ruling};
use prospera::id::{LayerId, ModuleId, Subsystem};
use prospera::intent::{RoutingComponents, RoutingPackage};
use prospera::pipeline::{ExecutionPath, PipelineEngine, PipelineInput};
use prospera::provenance::Label;
use prospera::routing::{
    EngineSet, EvidenceBlock, GovernanceView, OutcomeStatus, Reception, Route, RouterError,
    SafetyView, Stop, layers,
};
use prospera::safety::{PostureInput, SafetyDecision, SafetyEngine, SafetyFinding, SafetyInput};
use prospera::ssot::ledger::{Ledger, LedgerError};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
use prospera::ssot::store::{AppendError, Batch};
use prospera::time::Timestamp;
use prospera::verdict::{
    Consensus, EnvelopeVerdict, KernelVerdict, Reason, ReasonCode, SafetyMode, Verdict,
};
use world::{TestDesk, TestEngines, World, fact, name, operator, records, sid, user, why};

fn open() -> (World, FaultyStore, world::TestRouter<FaultyStore>, TestDesk) {
    let world = World::new();
    let store = FaultyStore::default();
    let router = world.router(store.clone());
    let desk = router.open(world.alice("s-1")).unwrap();
    (world, store, router, desk)
}

// IRM-5

/// IRM-5.1: the Routing ID's components match no row.
#[test]
fn irm_5_1_a_routing_mismatch_halts() {
    let (world, _, router, mut desk) = open();
    for kind in ["note.mismatch", "note.lost"] {
        let routed = router.route(&mut desk, world.intent("s-1", kind)).unwrap();
        assert_eq!(routed.verdict, Verdict::Deny);
        assert_eq!(routed.evidence.trace.last().unwrap().layer, LayerId::Pipeline);
        assert_eq!(why(&routed.evidence), [ReasonCode::RouteMismatch], "{kind}");
    }
    assert_eq!(world.effects.count(), 0);
}

/// IRM-5.1, D-24: an intent routed on an outdated snapshot halts and is re-evaluated on
/// the new one.
///
/// IRM-4.7.4, IRM-4.8.4.
#[test]
fn irm_5_1_an_outdated_snapshot_is_re_evaluated() {
    let (world, store, router, mut desk) = open();
    let before = desk.snapshot().unwrap();
    let draft = desk.facts().unwrap().record(fact("shop", "north")).draft(desk.session().subject());
    store.next(Fault::Overtake(vec![draft]));
    let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    assert_eq!(routed.verdict, Verdict::Allow);
    assert_ne!(routed.evidence.snapshot, before, "decided again, on the new snapshot");
    assert_eq!(Some(routed.evidence.snapshot), desk.snapshot());
    assert_eq!(world.effects.count(), 1);
    let blocks = records(&store).iter().filter(|r| r.kind() == RecordKind::EvidenceBlock).count();
    assert_eq!(blocks, 1, "the halted attempt left nothing behind");
}

/// What was right on the old snapshot is refused on the new one, before it is executed.
#[test]
fn irm_5_1_re_evaluation_may_refuse() {
    let (world, store, router, mut desk) = open();
    router.remember(&mut desk, fact("shop", "north")).unwrap();
    let submission = world.reading(&desk, "s-1", "note.add", "shop", 1);
    let draft = desk.facts().unwrap().record(fact("shop", "south")).draft(desk.session().subject());
    store.next(Fault::Overtake(vec![draft]));
    let routed = router.route(&mut desk, submission).unwrap();
    assert_eq!(routed.verdict, Verdict::Defer);
    assert_eq!(routed.evidence.trace.last().unwrap().layer, LayerId::Memory);
    assert_eq!(world.effects.count(), 0);
}

#[test]
fn a_log_that_never_stands_still_is_told() {
    let (world, store, router, mut desk) = open();
    store.always(Fault::Conflict);
    let error = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap_err();
    assert!(matches!(error, RouterError::Contended { attempts: 8 }), "{error}");
    assert_eq!(world.effects.count(), 0);
    store.heal();
    assert_eq!(
        router.route(&mut desk, world.intent("s-1", "note.add")).unwrap().verdict,
        Verdict::Allow
    );
}

/// IRM-5.2: whatever the rules allow, Safety's block stands.
///
/// IRM-1.4, IRM-3.4.2.
#[test]
fn irm_5_2_safety_blocks_what_governance_would_allow() {
    let (world, _, router, mut desk) = open();
    let routed = router.route(&mut desk, world.intent("s-1", "leak.all")).unwrap();
    assert_eq!(routed.verdict, Verdict::Deny);
    assert_eq!(routed.evidence.trace.last().unwrap().layer, LayerId::Safety);
    assert!(routed.evidence.token.is_none());
    assert_eq!(world.effects.count(), 0);
}

/// IRM-5.3: no rule for it, or another's authority.
#[test]
fn irm_5_3_invalid_authority_is_denied() {
    let (world, _, router, _) = open();
    // Who acts holds the scope of the kind, but the rules ask for another.
    let session = world.session("s-9", "alice", &["admin"]);
    let mut desk = router.open(session).unwrap();
    let routed = router.route(&mut desk, world.intent("s-9", "note.add")).unwrap();
    assert_eq!(routed.verdict, Verdict::Deny);
    assert_eq!(why(&routed.evidence), [ReasonCode::AuthorityMissing]);
    assert_eq!(world.effects.count(), 0);
}

/// IRM-5.3, D-24: the policy set changed meanwhile. The old router executes nothing more.
///
/// IRM-3.2, IRM-3.2.7, IRM-4.6.3.
#[test]
fn irm_5_3_a_policy_or_version_mismatch_halts() {
    let (world, store, router, mut desk) = open();
    let newer =
        world.changed(|s| s.table = s.table.replacen("version = \"1\"", "version = \"2\"", 1));
    let refused = newer.try_router(store.clone()).unwrap_err();
    let RouterError::PolicyChanged { changed, .. } = &refused else { panic!("{refused}") };
    assert_eq!(*changed, [name("table")]);
    let adopt = |by: &prospera::identity::Session| {
        let (engines, rules, clock) = (newer.engines(), newer.rules(), newer.clock);
        prospera::routing::Router::adopt(engines, rules, store.clone(), clock, by)
    };
    // D-24: another version needs governance, and nobody else's word will do.
    let refused = adopt(&newer.alice("s-8")).unwrap_err();
    assert!(matches!(refused, RouterError::NotAuthorized { .. }), "{refused}");
    let adopted = adopt(&newer.governor()).unwrap();
    for kind in ["note.add", "note.refused", "mail.send"] {
        let error = router.route(&mut desk, world.intent("s-1", kind)).unwrap_err();
        assert!(matches!(error, RouterError::PolicyChanged { .. }), "{kind}: {error}");
    }
    assert_eq!(world.effects.count(), 0);
    let resumed = router.resume(world.alice("s-1"));
    assert!(resumed.is_ok(), "nothing to advance, nothing decided");
    let mut desk = adopted.resume(newer.alice("s-1")).unwrap();
    let routed = adopted.route(&mut desk, newer.intent("s-1", "note.add")).unwrap();
    assert_eq!(routed.verdict, Verdict::Allow);
    assert_eq!(routed.evidence.pins, adopted.rules().pins.digest());
}

/// IRM-5.3: an intent checked against another catalogue is no intent here.
#[test]
fn irm_5_3_another_catalogue_is_blocked() {
    let (world, _, router, mut desk) = open();
    let text = world::CATALOGUE.replacen("version = \"1\"", "version = \"2\"", 1);
    let other = prospera::intent::Catalogue::from_toml("c", &text, |_| Err(String::new())).unwrap();
    let intent = other.intent(world.request("s-1", "note.add")).unwrap();
    let submission = prospera::intent::Submission::Intent(intent);
    let routed = router.route(&mut desk, submission).unwrap();
    assert_eq!(why(&routed.evidence), [ReasonCode::IntentCatalogue]);
}

/// IRM-5.4.
#[test]
fn irm_5_4_memory_drift_blocks_until_it_is_resolved() {
    let (world, _, router, mut desk) = open();
    router.remember(&mut desk, fact("shop", "north")).unwrap();
    let stale = || {
        let mut request = world.request("s-1", "note.add");
        request.reads =
            vec![prospera::intent::ReadFact { key: "shop".parse().unwrap(), version: 7 }];
        world.build(request)
    };
    for _ in 0..3 {
        assert_eq!(router.route(&mut desk, stale()).unwrap().verdict, Verdict::Defer);
    }
    assert_eq!(world.effects.count(), 0);
    let good = world.reading(&desk, "s-1", "note.add", "shop", 1);
    assert_eq!(router.route(&mut desk, good).unwrap().verdict, Verdict::Allow);
}

// IRM-7. Skips, repeats and backward jumps do not compile: tests/compile_matrix_routing.rs,
// cases `recall`, `assess`, `govern`, `plan`, `seal` and `execute` at every place.

/// IRM-7.1: Memory and Safety cannot be skipped: what each of them refuses never reaches a
/// later layer. (The typed skip is a compile error: `assess at Modeling`, `govern at Memory`.)
///
/// IRM-1.5, IRM-3.3.3.
#[test]
fn irm_7_1_skipping_memory_or_safety() {
    let (world, _, router, mut desk) = open();
    router.remember(&mut desk, fact("shop", "north")).unwrap();
    let stale = world.reading(&desk, "s-1", "note.add", "shop", 9);
    for (submission, last) in
        [(stale, LayerId::Memory), (world.intent("s-1", "leak.all"), LayerId::Safety)]
    {
        let routed = router.route(&mut desk, submission).unwrap();
        assert_eq!(routed.evidence.trace.last().unwrap().layer, last);
        assert!(routed.evidence.token.is_none() && routed.evidence.module.is_none());
    }
    assert_eq!(world.effects.count(), 0);
}

/// IRM-7.2: without a token there is no path. A token of another mint, for another table,
/// another state, another mode, or too old is none. (Using one twice does not compile:
/// `tests/ui/routing/token_twice.rs`; making one does not either: `forge_token.rs`.)
///
/// IRM-3.4.3.
#[test]
fn irm_7_2_executing_without_governance_approval() {
    let world = World::new();
    let router = world.router(MemoryStore::new());
    let _desk = router.open(world.alice("s-1")).unwrap();
    let rules = router.rules();
    let later = world.now().plus_millis(1000);
    let other_mint = prospera::governance::TokenMint::new([8; 32]);
    let changed = world.changed(|s| s.table = s.table.replace("notes", "other"));
    let other_table = changed.rules().table;
    let now = world.now();
    let tries: [Try<'_>; 4] = [
        ("forged", &|w| w.plan(&rules.table, State::Verified, &other_mint, now)),
        ("another table", &|w| w.plan(&other_table, State::Verified, &rules.mint, now)),
        ("another state", &|w| w.plan(&rules.table, State::Base, &rules.mint, now)),
        ("expired", &|w| w.plan(&rules.table, State::Verified, &rules.mint, later)),
    ];
    for (what, attempt) in tries {
        assert_eq!(
            attempt(Walk::new(&world, &router, "note.add")),
            [ReasonCode::TokenInvalid],
            "{what}"
        );
    }
    let good = Walk::new(&world, &router, "note.add");
    assert_eq!(good.plan(&rules.table, State::Verified, &rules.mint, now), []);
    // A token of one route does not fit another.
    let one = Walk::new(&world, &router, "note.add");
    let two = Walk::new(&world, &router, "note.read");
    let crossed = Walk { route: one.route, token: two.token, ..two };
    assert_eq!(
        crossed.plan(&rules.table, State::Verified, &rules.mint, now),
        [ReasonCode::TokenInvalid]
    );
}

/// What is tried, and how the Pipeline answers.
type Try<'a> = (&'a str, &'a dyn Fn(Walk<'_>) -> Vec<ReasonCode>);

/// A route that Governance has passed, by hand.
struct Walk<'a> {
    engines: &'a TestEngines,
    route: Route<layers::Governance>,
    token: prospera::governance::ApprovalToken,
}

impl<'a> Walk<'a> {
    fn new(world: &World, router: &'a world::TestRouter<MemoryStore>, kind: &str) -> Self {
        let engines = router.engines();
        let session = world.alice("s-1");
        let facts = prospera::memory::Facts::of(session.subject().clone());
        let reception = Reception {
            session: &session,
            state: State::Verified,
            class: 2,
            snapshot: facts.snapshot(),
            pins: Digest::ZERO,
            standing: Consensus::NONE,
            now: world.now(),
            wait_until: world.now(),
        };
        let history = std::collections::BTreeMap::new();
        let context = Label::empty();
        let safety = SafetyView { state: State::Verified, context: &context, staleness_millis: 0 };
        let view = GovernanceView {
            session: &session,
            state: State::Verified,
            class: prospera::audience::classifier::Class::B,
            context: &context,
            history: &history,
            approval: None,
            lineage_intact: true,
            ask: false,
            token_millis: 1000,
            nonce: [1; 16],
        };
        let rules = router.rules();
        let route = Route::receive(world.intent("s-1", kind), &reception)
            .identify(&engines.identity, &session)
            .unwrap()
            .package(&engines.intent, rules.catalogue)
            .unwrap()
            .model(&engines.modeling, &prospera::modeling::Profile::default())
            .unwrap()
            .recall(&engines.memory, &facts)
            .unwrap()
            .assess(&engines.safety, &safety)
            .unwrap();
        let (route, token) =
            route.govern(&engines.governance, &view, &rules.table, &rules.mint).unwrap();
        Self { engines, route, token }
    }

    fn plan(
        self,
        table: &prospera::routing::RoutingTable,
        state: State,
        mint: &prospera::governance::TokenMint,
        now: Timestamp,
    ) -> Vec<ReasonCode> {
        use prospera::routing::terminal::Terminal as _;
        match self.route.plan(&self.engines.pipeline, table, state, self.token, mint, now) {
            Ok(_) => Vec::new(),
            Err(halt) => halt.reasons().iter().map(|r| r.code).collect(),
        }
    }
}

/// IRM-7.3, IRM-3.4: an engine that answers for another layer changes nothing: a pipeline
/// that leaves the row, or names another branch's module, is halted.
///
/// IRM-3.4.4.
#[test]
fn irm_7_3_cross_engine_jumps() {
    struct Jumping(prospera::pipeline::Template);
    impl PipelineEngine for Jumping {
        fn plan(&self, input: &PipelineInput<'_>) -> Result<ExecutionPath, Reason> {
            let branch = self.0.branches.iter().find(|b| b.id.as_str() == "root").unwrap();
            Ok(ExecutionPath::single(&self.0, branch, input.mode()).unwrap())
        }
    }
    let world = World::new();
    let TestEngines { identity, intent, modeling, memory, safety, governance, execution, .. } =
        world.engines();
    let rules = world.rules();
    let row = rules.table.rows().iter().find(|row| row.id.as_str() == "notes/note.add").unwrap();
    let template = row.template.clone();
    let pipeline = Jumping(template);
    let engines =
        EngineSet { identity, intent, modeling, memory, safety, governance, pipeline, execution };
    let router =
        prospera::routing::Router::new(engines, rules, MemoryStore::new(), world.clock, operator())
            .unwrap();
    let mut desk = router.open(world.alice("s-1")).unwrap();
    let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    assert_eq!(routed.verdict, Verdict::Deny);
    assert_eq!(routed.evidence.trace.last().unwrap().layer, LayerId::Pipeline);
    assert_eq!(world.effects.count(), 0);
}

/// IRM-7.4: a route goes where its evidence says, and back only with an authorization for
/// this route and layer. (A backward jump without one does not compile.)
#[test]
fn irm_7_4_unauthorized_re_routing() {
    let (world, _, router, mut desk) = open();
    let first = router.route(&mut desk, world.intent("s-1", "note.odd")).unwrap();
    let other = router.route(&mut desk, world.numbered("s-1", "note.odd", 2)).unwrap();
    router.authorize_backtrack(&world.governor(), &sid("s-1"), first.record, "").unwrap();
    let again = router.route(&mut desk, world.numbered("s-1", "note.odd", 2)).unwrap();
    assert_eq!(again.verdict, Verdict::Defer, "the authorization was for another route");
    assert_eq!(again.evidence.routing_id, other.evidence.routing_id);
    // Evidence of one route does not commit another, and nothing else commits one.
    let router = world.router(MemoryStore::new());
    let seal = |kind| {
        let Walk { engines, route, token } = Walk::new(&world, &router, kind);
        let rules = router.rules();
        let planned = route.plan(
            &engines.pipeline,
            &rules.table,
            State::Verified,
            token,
            &rules.mint,
            world.now(),
        );
        planned.unwrap().seal(&engines.execution).unwrap()
    };
    let (one, two) = (seal("note.add"), seal("note.read"));
    let ledger = Ledger::new(MemoryStore::new());
    let stream = StreamId::new(StreamKind::Routing, name("s-1"));
    let batch = Batch::new(world.now()).expect(stream, Head::EMPTY).append(one.draft());
    let receipt = ledger.commit(batch).unwrap();
    let refused = two.commit(&receipt).unwrap_err();
    assert!(refused.to_string().contains("expected a receipt"));
    assert!(one.commit(&receipt).is_ok());
}

/// IRM-7.5 has tests of its own: `tests/routing_parallel.rs`. Here: one that is open.
#[test]
fn irm_7_5_parallel_routing_attempts() {
    let (world, store, router, mut desk) = open();
    store.on_append(2, Fault::FailBefore);
    let error = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap_err();
    assert!(matches!(error, RouterError::OutcomeNotRecorded { .. }), "{error}");
    for (kind, same) in [("note.add", true), ("note.read", false)] {
        let error = router.route(&mut desk, world.intent("s-1", kind)).unwrap_err();
        let RouterError::Parallel { same_intent, .. } = error else { panic!("{error}") };
        assert_eq!(same_intent, same);
    }
    assert_eq!(world.effects.count(), 1);
}

/// IRM-7.6: the branch is the one the template's conditions leave, and the module is the
/// one the branch names; an engine that picks an excluded one is halted.
///
/// IRM-3.4.1, IRM-4.7.3.
#[test]
fn irm_7_6_bypassing_pipeline_branch_resolution() {
    let (world, _, router, mut desk) = open();
    let routed = router.route(&mut desk, world.intent("s-1", "note.read")).unwrap();
    assert_eq!(routed.evidence.branch.unwrap().as_str(), "look");
    // A contract that the module does not meet ends the route before any evidence of an
    // effect: the registry is asked, whatever the path says.
    let admission = router.engines().execution.admit(&prospera::execution::Admission {
        module: &ModuleId::new("root").unwrap(),
        intent: world.intent("s-1", "note.read").intent().unwrap(),
        state: State::Verified,
        mode: SafetyMode::Normal,
        consensus: Consensus::NONE,
    });
    assert_eq!(admission.unwrap_err().code, ReasonCode::ContractViolated);
}

/// IRM-7.7: no method takes a table by `&mut`, and another table is another digest, which
/// the log does not accept without an adoption.
///
/// IRM-3.2.6.
#[test]
fn irm_7_7_self_modification_of_routing_tables() {
    let (world, store, router, mut desk) = open();
    let _ = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    let before = router.rules().table.digest();
    let widened = world.changed(|s| {
        s.table = s.table.replace("flags = [\"financial\"]\n", "");
    });
    assert_ne!(widened.rules().table.digest(), before);
    let error = widened.try_router(store.clone()).unwrap_err();
    assert!(matches!(error, RouterError::PolicyChanged { .. }));
    assert_eq!(router.rules().table.digest(), before);
}

/// IRM-7.8: rows or branches that could both apply are no table at all.
///
/// IRM-3.3.5.
#[test]
fn irm_7_8_multi_path_execution() {
    use prospera::routing::RoutingTable;
    let load = |text: &str| RoutingTable::from_toml("table.toml", text).unwrap_err().to_string();
    let twice = format!(
        "{}\n[[row]]\nid = \"again\"\nkinds = [\"note.add\"]\ntemplate = \"notes\"\nmodules = [\"look\", \"act\", \"root\"]\n",
        world::TABLE
    );
    let message = load(&twice);
    assert!(message.contains("both match kind `note.add`"), "{message}");
    let branches =
        world::TABLE.replacen("flags = [\"effect\"]\nno_flags = [\"privileged\"]", "", 1);
    let message = load(&branches);
    assert!(message.contains("branches `look` and `act`"), "{message}");
    assert!(message.contains("both match"), "{message}");
}

// Stores and modules that fail

#[test]
fn d_27_a_store_that_fails_before_the_commit_executes_nothing() {
    let (world, store, router, mut desk) = open();
    store.next(Fault::FailBefore);
    let error = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap_err();
    let RouterError::EvidenceNotRecorded(LedgerError::Append(AppendError::Failed(_))) = error
    else {
        panic!("{error}")
    };
    assert_eq!(world.effects.count(), 0);
    assert!(desk.state().is_none(), "what the log holds is read again");
    let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    assert_eq!((routed.verdict, world.effects.count()), (Verdict::Allow, 1));
}

/// The commit took place and nobody said so: nothing was executed, the route is open, and
/// `settle` finds that nothing took place.
#[test]
fn d_27_a_store_that_fails_after_the_commit_executes_nothing_and_replay_decides() {
    let (world, store, router, mut desk) = open();
    store.next(Fault::FailAfter);
    let error = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap_err();
    let RouterError::EvidenceNotRecorded(lost) = error else { panic!("{error}") };
    assert!(lost.is_unknown());
    assert_eq!(world.effects.count(), 0);
    let error = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap_err();
    assert!(matches!(error, RouterError::Parallel { same_intent: true, .. }), "{error}");
    let outcome = router.settle(&mut desk).unwrap().unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Failed);
    assert_eq!(world.effects.count(), 0, "settling executes nothing");
    assert_eq!(router.settle(&mut desk).unwrap(), None);
    let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    assert_eq!((routed.verdict, world.effects.count()), (Verdict::Allow, 1));
}

/// The effect took place and its outcome could not be written: unknown until `settle` asks
/// the module, and never carried out again.
#[test]
fn d_27_an_outcome_that_was_not_recorded_is_settled_and_never_repeated() {
    for (fault, forgetful, expected) in [
        (Fault::FailBefore, false, Some(OutcomeStatus::Done)),
        (Fault::FailBefore, true, Some(OutcomeStatus::Unknown)),
        (Fault::FailAfter, false, None),
    ] {
        let (world, store, router, mut desk) = open();
        store.on_append(2, fault);
        let error = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap_err();
        assert!(matches!(error, RouterError::OutcomeNotRecorded { .. }), "{error}");
        assert_eq!(world.effects.count(), 1);
        *world.effects.forgetful.lock().unwrap() = forgetful;
        let mut fresh = router.resume(world.alice("s-1")).unwrap();
        let settled = router.settle(&mut fresh).unwrap();
        assert_eq!(settled.as_ref().map(|o| o.status), expected);
        assert_eq!(world.effects.count(), 1, "never a second execution");
        assert!(fresh.open_route().is_none());
        // The first desk still holds that it is open: the log says otherwise.
        assert_eq!(router.settle(&mut desk).unwrap(), None);
        let routed = router.route(&mut desk, world.intent("s-1", "note.read")).unwrap();
        assert_eq!(routed.verdict, Verdict::Allow);
    }
}

/// A desk that saw an open route asks the log again before it says so a second time.
#[test]
fn d_26_an_open_route_that_another_desk_ended_is_not_open() {
    let (world, store, router, mut desk) = open();
    store.on_append(2, Fault::FailBefore);
    let _ = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap_err();
    let mut other = router.resume(world.alice("s-1")).unwrap();
    assert!(router.route(&mut other, world.intent("s-1", "note.read")).is_err());
    router.settle(&mut desk).unwrap();
    let routed = router.route(&mut other, world.intent("s-1", "note.read")).unwrap();
    assert_eq!(routed.verdict, Verdict::Allow);
}

#[test]
fn a_lying_store_executes_nothing() {
    for lie in [Fault::LieBody, Fault::LieNothing] {
        let (world, store, router, mut desk) = open();
        store.next(lie);
        let error = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap_err();
        assert!(
            matches!(error, RouterError::EvidenceNotRecorded(LedgerError::Dishonest { .. })),
            "{error}"
        );
        assert_eq!(world.effects.count(), 0);
    }
}

#[test]
fn modules_that_fail_leave_their_outcome() {
    let (world, _, router, mut desk) = open();
    for (error, status) in [
        (ModuleError::NoEffect("no".into()), OutcomeStatus::Failed),
        (ModuleError::Unknown("gone".into()), OutcomeStatus::Unknown),
    ] {
        *world.effects.fail.lock().unwrap() = Some(error);
        let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
        assert_eq!(routed.verdict, Verdict::Allow);
        assert_eq!(routed.outcome.unwrap().status, status);
        assert!(routed.output.is_none());
    }
    assert!(desk.open_route().is_none());
}

/// A session is taken up with the claims that were recorded, or not at all (D-54).
#[test]
fn d_54_a_session_that_was_not_opened_here_is_refused() {
    let (world, _, router, _) = open();
    let unknown = router.resume(world.alice("s-77")).unwrap_err();
    assert!(matches!(unknown, RouterError::SessionUnknown { .. }), "{unknown}");
    let wider = world.session("s-1", "alice", &["work", "admin", "governor"]);
    let error = router.resume(wider).unwrap_err();
    assert!(matches!(error, RouterError::SessionUnknown { .. }), "{error}");
    let again = router.open(world.alice("s-1")).unwrap_err();
    assert!(matches!(again, RouterError::SessionExists { .. }), "{again}");
}

// Engines that lie

/// A Safety System that lets everything pass.
struct Lax(prospera::safety::SafetySystem);

impl SafetyEngine for Lax {
    fn assess(&self, input: &SafetyInput<'_>) -> SafetyFinding {
        let found = self.0.assess(input);
        if input.intent.kind().id.as_str() == "leak.all" {
            return found;
        }
        SafetyFinding { decision: SafetyDecision::Allow, reasons: Vec::new(), ..found }
    }

    fn posture(&self, input: &PostureInput<'_>) -> (EnvelopeVerdict, prospera::risk::Risk) {
        self.0.posture(input)
    }
}

/// Governance that allows everything.
struct Yes(prospera::governance::Governor);

impl GovernanceEngine for Yes {
    fn rule(&self, input: &GovernanceInput<'_>) -> Ruling {
        let _ = input;
        Ruling { decision: prospera::governance::Decision::Allow, rule: None, reasons: Vec::new() }
    }

    fn kernel(&self, input: &KernelInput<'_>) -> KernelVerdict {
        self.0.kernel(input)
    }

    fn policy(&self) -> Digest {
        self.0.policy()
    }
}

/// D-10: the answer in ESCALATED and HOLD does not depend on the engines' good will.
#[test]
fn d_10_lax_engines_do_not_open_a_suspended_audience() {
    let world = World::new();
    let TestEngines { identity, intent, modeling, memory, safety, governance, execution, .. } =
        world.engines();
    let engines = EngineSet {
        identity,
        intent,
        modeling,
        memory,
        safety: Lax(safety),
        governance: Yes(governance),
        pipeline: prospera::pipeline::PathPlanner,
        execution,
    };
    let rules = world.rules();
    let router =
        prospera::routing::Router::new(engines, rules, MemoryStore::new(), world.clock, operator())
            .unwrap();
    let mut desk = router.open(world.alice("s-1")).unwrap();
    let leak = router.route(&mut desk, world.intent("s-1", "leak.all")).unwrap();
    assert_eq!(leak.moved, Some((State::Verified, State::Escalated)));
    for kind in ["note.read", "note.add", "root.reset"] {
        let routed = router.route(&mut desk, world.intent("s-1", kind)).unwrap();
        assert_eq!(routed.verdict, Verdict::Deny, "{kind}");
        assert_eq!(routed.evidence.trace.last().unwrap().layer, LayerId::Safety);
        assert!(why(&routed.evidence).contains(&ReasonCode::AudienceEscalated), "{kind}");
    }
    let subject = "alice".parse().unwrap();
    assert_eq!(router.review(&world.governor(), &subject, "").unwrap(), State::Hold);
    let routed = router.route(&mut desk, world.intent("s-1", "note.read")).unwrap();
    assert_eq!(routed.verdict, Verdict::Defer);
    assert!(why(&routed.evidence).contains(&ReasonCode::AudienceHeld));
    assert!(routed.evidence.wait_until.is_some());
    assert_eq!(world.effects.count(), 0);
    let refused = router.request(&mut desk, State::Privileged, Way::Advance);
    assert!(matches!(refused, Err(RouterError::Refused { .. })));
}

/// D-23: the Routing ID is computed again at Step 7; a package that lies about it halts.
#[test]
fn d_23_an_intent_engine_that_lies_about_the_components() {
    struct Flagless(prospera::intent::package::CatalogueEngine);
    impl prospera::intent::IntentEngine for Flagless {
        fn package(
            &self,
            input: &prospera::intent::PackageInput<'_>,
        ) -> Result<RoutingPackage, Reason> {
            let honest = self.0.package(input)?;
            let components = honest.components();
            Ok(RoutingPackage::new(RoutingComponents { intent: Digest::ZERO, ..*components }))
        }
    }
    let world = World::new();
    let TestEngines { identity, modeling, memory, safety, governance, execution, pipeline, .. } =
        world.engines();
    let engines = EngineSet {
        identity,
        intent: Flagless(prospera::intent::package::CatalogueEngine),
        modeling,
        memory,
        safety,
        governance,
        pipeline,
        execution,
    };
    let rules = world.rules();
    let router =
        prospera::routing::Router::new(engines, rules, MemoryStore::new(), world.clock, operator())
            .unwrap();
    let mut desk = router.open(world.alice("s-1")).unwrap();
    let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    assert_eq!(routed.verdict, Verdict::Deny);
    assert_eq!(why(&routed.evidence), [ReasonCode::RoutingIdMismatch]);
    assert_eq!(routed.evidence.trace.last().unwrap().layer, LayerId::Intent);
    assert_eq!(world.effects.count(), 0);
}

/// An approval that Safety asked for lets the route pass modules that require Safety: the
/// flag was ruled on.
#[test]
fn irm_4_5_a_hold_that_a_person_approved_is_executed_once() {
    let world = World::with(world::Setup {
        envelope: "version = \"2.0\"\n[dimensions.blast-radius]\nlimit = 100000\nhold = 120000\n"
            .into(),
        ..world::Setup::default()
    });
    let router = world.router(MemoryStore::new());
    let mut desk = router.open(world.alice("s-1")).unwrap();
    let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    assert_eq!(routed.verdict, Verdict::StepUp, "{:?}", routed.evidence);
    let approver = world.session("m-1", "mary", &["security"]);
    router.approve(&approver, &sid("s-1"), routed.record, true, "").unwrap();
    let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    assert_eq!(routed.verdict, Verdict::Allow, "{:?}", routed.evidence.trace);
    assert_eq!(world.effects.count(), 1);
}

/// ASM2-10.9, IRM-6.10, PLAN-7.1.3.
#[test]
fn tampered_evidence_in_a_store_is_found_before_a_desk_trusts_it() {
    let (world, store, router, mut desk) = open();
    let _ = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    store.flip_next_reads();
    let error = router.resume(world.alice("s-1")).unwrap_err();
    assert!(matches!(error, RouterError::Verify(_)), "{error}");
}

/// Unused things of the prelude, used: a record of any other kind is no evidence.
#[test]
fn a_record_of_another_kind_is_no_evidence() {
    let (world, store, router, _) = open();
    let stream = StreamId::new(StreamKind::Routing, name("s-1"));
    let body = EvidenceBlock::to_canonical(
        &router
            .consider(
                &mut router.resume(world.alice("s-1")).unwrap(),
                world.intent("s-1", "note.add"),
            )
            .unwrap()
            .unwrap(),
    );
    let draft = Draft::new(stream.clone(), RecordKind::Fact, Subsystem::Memory, body);
    let ledger = Ledger::new(store.clone());
    let batch = Batch::new(world.now()).expect(stream, Head::EMPTY).append(draft);
    let receipt = ledger.commit(batch).unwrap();
    let record = receipt.records()[0].digest();
    assert!(matches!(router.evidence(&sid("s-1"), record), Err(RouterError::Act(_))));
    let _: Option<Stop> = None;
    let _ = user("x");
    assert_eq!(world.effects.count(), 0);
}
