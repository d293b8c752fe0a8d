//! A whole intent end to end, and how every layer ends one.
#![cfg(feature = "files")]
#![expect(
    clippy::unwrap_used,
    clippy::similar_names,
    reason = "the helpers of tests, too, may end a test; a router has routed"
)]

#[path = "support/world.rs"]
mod world;

use prospera::audience::state::State;
use prospera::digest::Digest;
use prospera::encode::{Decode, Encode};
use prospera::governance::ReviewError;
use prospera::id::LayerId;
use prospera::identity::PrincipalKind;
use prospera::memory::{Correction, CorrectionStep, settle};
use prospera::routing::{
    EvidenceBlock, FollowUp, Outcome, OutcomeStatus, Routed, RouterError, StepResult,
};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::RecordKind;
use prospera::ssot::store::Store;
use prospera::ssot::verify::verify;
use prospera::verdict::{Drift, ReasonCode, SafetyFlags, SafetyMode, Verdict, Vote};
use world::{TestDesk, TestRouter, World, fact, malformed, records, sid, user, why};

fn open() -> (World, TestRouter<MemoryStore>, TestDesk) {
    let world = World::new();
    let router = world.router(MemoryStore::new());
    let desk = router.open(world.alice("s-1")).unwrap();
    (world, router, desk)
}

fn route(
    router: &TestRouter<MemoryStore>,
    desk: &mut TestDesk,
    world: &World,
    kind: &str,
) -> Routed {
    router.route(desk, world.intent("s-1", kind)).unwrap()
}

fn layers(block: &EvidenceBlock) -> Vec<(LayerId, StepResult)> {
    block.trace.iter().map(|entry| (entry.layer, entry.result)).collect()
}

/// IRM-2, IRM-4.1..IRM-4.8, IRM-6.1..IRM-6.12.
///
/// IRM-1.7, IRM-2.1, IRM-2.7, IRM-3.2.1, IRM-4.8.1, IRM-4.8.3, IRM-4.8.7, IRM-6.12, D-9.
#[test]
fn irm_6_a_whole_intent_leaves_all_eight_fields() {
    let (world, router, mut desk) = open();
    assert_eq!(desk.state(), Some(State::Verified));
    let submission = world.intent("s-1", "note.add");
    let intent = submission.digest();
    let routed = router.route(&mut desk, submission).unwrap();
    assert_eq!(routed.verdict, Verdict::Allow, "{:?}", routed.evidence.trace);
    let block = &routed.evidence;
    let path: Vec<_> = LayerId::ALL
        .into_iter()
        .filter(|layer| *layer < LayerId::Execution)
        .map(|layer| (layer, StepResult::Passed))
        .collect();
    assert_eq!(layers(block), path, "IRM-6.6: each layer, in order, once");

    // What is stored is what was answered.
    let all = records(router.store());
    let record = all.iter().find(|r| r.digest() == routed.record).unwrap();
    assert_eq!(record.kind(), RecordKind::EvidenceBlock);
    assert_eq!(record.index(), routed.index);
    assert_eq!(&EvidenceBlock::from_canonical(record.body()).unwrap(), &**block);
    assert_eq!(record.stream().to_string(), "/ssot/intent/routing/s-1", "IRM-6.9, D-29");

    assert!(block.routing_id.is_some(), "IRM-6.1");
    assert_eq!(block.intent, intent, "IRM-6.2");
    assert!(block.flags.contains(SafetyFlags::EFFECT), "IRM-6.3");
    assert!(block.token.is_some(), "IRM-6.4");
    assert_eq!(block.template.as_ref().unwrap().as_str(), "notes", "IRM-6.5");
    assert_eq!(block.branch.as_ref().unwrap().as_str(), "act");
    assert_eq!(block.module.as_ref().unwrap().as_str(), "act");
    assert_eq!(block.timestamp, world.now(), "IRM-6.7");
    assert_eq!(record.timestamp(), block.timestamp);
    assert_ne!(routed.record, Digest::ZERO, "IRM-6.8: the Audit Hash");
    assert_eq!(block.pins, router.rules().pins.digest());
    assert!(LayerId::ALL.iter().take(7).all(|l| block.consensus.vote(*l) == Vote::Agree));

    // The outcome is chained to it, and its key is the evidence (D-27).
    let next = all.iter().find(|r| r.index() == routed.index + 1).unwrap();
    assert_eq!(next.kind(), RecordKind::Outcome);
    assert_eq!(next.previous(), routed.record);
    let outcome: Outcome = next.read().unwrap();
    assert_eq!(outcome.evidence, routed.record);
    assert_eq!(outcome.status, OutcomeStatus::Done);
    assert_eq!(Some(&outcome), routed.outcome.as_ref());
    assert_eq!(world.effects.last().key.digest(), routed.record);
    assert_eq!(world.effects.count(), 1);
    let output = routed.output.unwrap();
    let kept = router.store().payload(&outcome.output.unwrap()).unwrap().unwrap();
    assert_eq!(*kept, *output.value.to_canonical());
    let intent_bytes = router.store().payload(&intent).unwrap();
    assert!(intent_bytes.is_some(), "what the hash stands for is kept");
    verify(router.store(), |_| {}).unwrap();
}

fn story(world: &World) -> Vec<Vec<u8>> {
    let router = world.router(MemoryStore::new());
    let mut desk = router.open(world.alice("s-1")).unwrap();
    for kind in ["note.add", "note.read", "note.share", "mail.send", "leak.all", "note.add"] {
        let _ = router.route(&mut desk, world.intent("s-1", kind)).unwrap();
    }
    let _ = router.route(&mut desk, malformed()).unwrap();
    router.store().read(0, usize::MAX).unwrap().iter().map(|s| s.bytes.to_vec()).collect()
}

/// IRM-1.1, IRM-1.3, IRM-1.6, IRM-3.3.4.
#[test]
fn d_41_two_runs_are_the_same_bytes() {
    assert_eq!(story(&World::new()), story(&World::new()));
}

#[test]
fn d_52_each_of_the_five_verdicts() {
    let (world, router, mut desk) = open();
    let of = |desk: &mut TestDesk, kind| route(&router, desk, &world, kind);
    assert_eq!(of(&mut desk, "note.add").verdict, Verdict::Allow);

    let mut request = world.request("s-1", "note.share");
    request.arguments.insert("bcc".into(), user("eve"));
    let modified = router.route(&mut desk, world.build(request)).unwrap();
    assert_eq!(modified.verdict, Verdict::Modify);
    assert_eq!(modified.evidence.mode, SafetyMode::Protected);
    let run = world.effects.last();
    assert_eq!(run.arguments, ["text"], "bcc was taken away");
    assert_eq!(run.mode, SafetyMode::Protected, "the module runs in the mode that was approved");

    let asked = of(&mut desk, "mail.send");
    assert_eq!(asked.verdict, Verdict::StepUp);
    assert!(matches!(asked.follow_up, Some(FollowUp::Approval(_))));
    let deferred = of(&mut desk, "mail.wait");
    assert_eq!(deferred.verdict, Verdict::Defer);
    let Some(FollowUp::Supply { missing, until }) = deferred.follow_up else { panic!() };
    assert_eq!((&*missing, until), ("the address", world.now().plus_millis(60_000)));
    assert_eq!(deferred.evidence.wait_until, Some(until));
    assert_eq!(of(&mut desk, "note.refused").verdict, Verdict::Deny);
    assert_eq!(world.effects.count(), 2, "only what was let pass ran");
}

/// IRM-3.2.2: the row's own mode binds the token and the module.
///
/// IRM-4.6.5, IRM-4.8.2.
#[test]
fn irm_3_2_the_rows_safety_mode_reaches_the_module() {
    let (world, router, mut desk) = open();
    let routed = route(&router, &mut desk, &world, "note.cautious");
    assert_eq!(routed.verdict, Verdict::Allow, "{:?}", routed.evidence.trace);
    assert_eq!(routed.evidence.mode, SafetyMode::Protected);
    assert_eq!(world.effects.last().mode, SafetyMode::Protected);
    let token = routed.evidence.token.unwrap();
    let claims = |mode| prospera::governance::TokenClaims {
        routing_id: routed.evidence.routing_id.unwrap(),
        table: router.rules().table.digest(),
        state: State::Verified,
        mode,
        expires_at: world.now().plus_millis(1000),
        nonce: *token.id(),
    };
    let mint = &router.rules().mint;
    assert!(token.vouched(mint, &claims(SafetyMode::Protected)), "D-28: bound to the mode");
    assert!(!token.vouched(mint, &claims(SafetyMode::Normal)));
}

/// D-21, IRM-4.2.5, IRM-6.12.
#[test]
fn d_21_a_malformed_submission_is_blocked_with_evidence_and_without_a_package() {
    let (world, router, mut desk) = open();
    let routed = router.route(&mut desk, malformed()).unwrap();
    assert_eq!(routed.verdict, Verdict::Deny);
    assert_eq!(routed.evidence.routing_id, None, "no IRP is made");
    assert_eq!(routed.evidence.kind, None);
    assert_eq!(why(&routed.evidence), [ReasonCode::IntentMalformed]);
    assert_eq!(routed.evidence.trace.last().unwrap().layer, LayerId::Intent);
    assert_eq!(world.effects.count(), 0);
    let record = records(router.store()).into_iter().find(|r| r.digest() == routed.record);
    assert_eq!(record.unwrap().kind(), RecordKind::EvidenceBlock);
}

/// IRM-3.3.1, IRM-4.1.3, IRM-4.1.4.
#[test]
fn irm_4_1_identity_blocks() {
    let (world, router, mut desk) = open();
    let other = router.route(&mut desk, world.intent("s-2", "note.add")).unwrap();
    assert_eq!(other.verdict, Verdict::Deny);
    assert_eq!(layers(&other.evidence), [(LayerId::Identity, StepResult::Stopped)]);
    assert_eq!(why(&other.evidence), [ReasonCode::SessionBroken]);
    let narrow = world.session("s-3", "alice", &["nothing"]);
    let mut desk = router.open(narrow).unwrap();
    let routed = router.route(&mut desk, world.intent("s-3", "note.add")).unwrap();
    assert_eq!(why(&routed.evidence), [ReasonCode::AuthorityMissing]);
    world.clock.advance_millis(9 * 3_600_000);
    let routed = router.route(&mut desk, world.intent("s-3", "note.add")).unwrap();
    assert_eq!(why(&routed.evidence), [ReasonCode::SessionExpired]);
    assert_eq!(world.effects.count(), 0);
}

/// D-22, IRM-4.3.5.
#[test]
fn d_22_soft_drift_goes_on_flagged_and_must_be_ruled_on() {
    let (world, router, mut desk) = open();
    let unruled = route(&router, &mut desk, &world, "note.soft");
    assert_eq!(unruled.evidence.drift, Drift::Soft);
    assert_eq!(unruled.verdict, Verdict::StepUp, "nobody ruled on it: a person must");
    assert!(layers(&unruled.evidence).contains(&(LayerId::Modeling, StepResult::Flagged)));
    assert!(unruled.evidence.token.is_none(), "no token before the flag is ruled on");
    let ruled = route(&router, &mut desk, &world, "note.ruled");
    assert_eq!(ruled.verdict, Verdict::Allow, "{:?}", ruled.evidence);
    assert!(layers(&ruled.evidence).contains(&(LayerId::Modeling, StepResult::Flagged)));
    assert!(layers(&ruled.evidence).contains(&(LayerId::Memory, StepResult::Passed)));
    assert!(layers(&ruled.evidence).contains(&(LayerId::Safety, StepResult::Passed)));
    let governance = &ruled.evidence.trace[5];
    assert!(governance.reasons.iter().any(|r| r.code == ReasonCode::DriftRuled));
}

/// D-25, IRM-2.8, IRM-4.3.5.
#[test]
fn d_25_hard_drift_waits_for_governance_and_the_same_intent_goes_on() {
    let (world, router, mut desk) = open();
    let referred = route(&router, &mut desk, &world, "note.odd");
    assert_eq!(referred.verdict, Verdict::Defer);
    assert_eq!(referred.follow_up, Some(FollowUp::Drift));
    assert_eq!(referred.evidence.trace.last().unwrap().layer, LayerId::Modeling);
    assert!(referred.evidence.wait_until.is_some(), "no answer in time denies");
    // Again, without an authorization: the same.
    let again = route(&router, &mut desk, &world, "note.odd");
    assert_eq!(again.verdict, Verdict::Defer);
    assert_eq!(again.evidence.routing_id, referred.evidence.routing_id);

    let governor = world.governor();
    let decided =
        router.authorize_backtrack(&governor, &sid("s-1"), referred.record, "looked at").unwrap();
    let routed = route(&router, &mut desk, &world, "note.odd");
    assert_eq!(routed.verdict, Verdict::Allow, "{:?}", routed.evidence.trace);
    assert_eq!(routed.evidence.backtrack, Some(decided.record));
    assert_eq!(routed.evidence.drift, Drift::Soft, "the drift stays on record as a flag");
    let steps = layers(&routed.evidence);
    assert_eq!(
        steps[2..4],
        [(LayerId::Modeling, StepResult::Backtracked), (LayerId::Modeling, StepResult::Flagged)]
    );
    assert_eq!(steps[4], (LayerId::Memory, StepResult::Passed), "nothing is skipped");
    assert_eq!(steps[5], (LayerId::Safety, StepResult::Passed));
    assert_eq!(world.effects.count(), 1);
    // It is used up.
    assert_eq!(route(&router, &mut desk, &world, "note.odd").verdict, Verdict::Defer);
    assert_eq!(world.effects.count(), 1);
}

#[test]
fn d_25_a_backtrack_is_for_the_governor_for_a_drift_and_in_time() {
    let (world, router, mut desk) = open();
    let referred = route(&router, &mut desk, &world, "note.odd");
    let ask = |who: &prospera::identity::Session, record| {
        router.authorize_backtrack(who, &sid("s-1"), record, "")
    };
    let manager = world.session("m-1", "mary", &["manager"]);
    assert!(matches!(ask(&manager, referred.record), Err(RouterError::NotAuthorized { .. })));
    let executed = route(&router, &mut desk, &world, "note.add");
    assert!(matches!(ask(&world.governor(), executed.record), Err(RouterError::Act(_))));
    assert!(matches!(ask(&world.governor(), Digest::ZERO), Err(RouterError::Act(_))));
    world.clock.advance_millis(600_000);
    let late = ask(&world.governor(), referred.record);
    assert!(matches!(late, Err(RouterError::Review(ReviewError::TooLate { .. }))));
}

/// IRM-3.3.3, IRM-4.4.4, IRM-4.4.5.
#[test]
fn irm_4_4_memory_halts_and_a_settled_correction_passes() {
    let (world, router, mut desk) = open();
    router.remember(&mut desk, fact("shop", "north")).unwrap();
    router.remember(&mut desk, fact("shop", "south")).unwrap();
    let first = || world.reading(&desk, "s-1", "note.add", "shop", 1);
    let (submitted, kept) = (first(), first());
    let halted = router.route(&mut desk, submitted).unwrap();
    assert_eq!(halted.verdict, Verdict::Defer);
    assert_eq!(halted.evidence.trace.last().unwrap().layer, LayerId::Memory);
    assert_eq!(why(&halted.evidence), [ReasonCode::MemoryStale]);
    assert!(halted.evidence.wait_until.is_some());
    let Some(FollowUp::Correction(conflicts)) = halted.follow_up else { panic!() };
    let read = prospera::intent::ReadFact { key: "shop".parse().unwrap(), version: 2 };
    let correction = Correction { steps: vec![CorrectionStep::Reread(read)] };
    let settled = settle(&conflicts, &correction, desk.facts().unwrap()).unwrap();
    let corrected = world.build(settled.request(kept.intent().unwrap()));
    assert_ne!(corrected.digest(), halted.evidence.intent, "a corrected intent is a new one");
    let routed = router.route(&mut desk, corrected).unwrap();
    assert_eq!(routed.verdict, Verdict::Allow, "{:?}", routed.evidence.trace);
    assert_eq!(world.effects.count(), 1);
}

/// ASM2-9.7, D-9, IRM-4.5.4, IRM-4.5.5.
#[test]
fn irm_4_5_safety_blocks_and_the_audience_escalates_in_the_same_commit() {
    let (world, router, mut desk) = open();
    let before = router.store().len().unwrap();
    let routed = route(&router, &mut desk, &world, "leak.all");
    assert_eq!(routed.verdict, Verdict::Deny);
    assert_eq!(routed.evidence.trace.last().unwrap().layer, LayerId::Safety);
    assert!(why(&routed.evidence).contains(&ReasonCode::ForbiddenRoute));
    assert_eq!(routed.moved, Some((State::Verified, State::Escalated)));
    let new = records(router.store()).split_off(usize::try_from(before).unwrap());
    let kinds: Vec<_> = new.iter().map(prospera::ssot::record::Record::kind).collect();
    assert_eq!(
        kinds,
        [RecordKind::EnvelopeBlock, RecordKind::AudienceEvent, RecordKind::EvidenceBlock]
    );
    assert_eq!(desk.state(), Some(State::Escalated));
}

fn stepped_up(
    router: &TestRouter<MemoryStore>,
    desk: &mut TestDesk,
    world: &World,
    kind: &str,
) -> Digest {
    let routed = route(router, desk, world, kind);
    assert_eq!(routed.verdict, Verdict::StepUp, "{:?}", routed.evidence.trace);
    routed.record
}

#[test]
fn d_52_an_approval_lets_the_same_intent_pass_once() {
    let (world, router, mut desk) = open();
    let record = stepped_up(&router, &mut desk, &world, "mail.send");
    let manager = world.session("m-1", "mary", &["manager"]);
    let decided = router.approve(&manager, &sid("s-1"), record, true, "fine").unwrap();
    // Another intent does not profit from it.
    let other = router.route(&mut desk, world.numbered("s-1", "mail.send", 2)).unwrap();
    assert_eq!(other.verdict, Verdict::StepUp);
    let routed = route(&router, &mut desk, &world, "mail.send");
    assert_eq!(routed.verdict, Verdict::Allow, "{:?}", routed.evidence.trace);
    assert_eq!(routed.evidence.approval, Some(decided.record));
    assert_eq!(world.effects.count(), 1);
    stepped_up(&router, &mut desk, &world, "mail.send");
    // A desk that reads everything again knows that, too.
    let mut fresh = router.resume(world.alice("s-1")).unwrap();
    stepped_up(&router, &mut fresh, &world, "mail.send");
    assert_eq!(world.effects.count(), 1, "used up");
}

#[test]
fn d_52_who_may_approve() {
    let (world, router, mut desk) = open();
    let record = stepped_up(&router, &mut desk, &world, "mail.send");
    let approve =
        |who: &prospera::identity::Session| router.approve(who, &sid("s-1"), record, true, "");
    let clerk = world.session("c-1", "carl", &["work"]);
    assert!(matches!(approve(&clerk), Err(RouterError::NotAuthorized { .. })), "not the role");
    let own = world.session("a-2", "alice", &["manager"]);
    let refused = approve(&own);
    assert!(matches!(refused, Err(RouterError::Review(ReviewError::OwnRequest { .. }))));
    let agent = world.session_of("b-1", "bot", PrincipalKind::Agent, &["manager"]);
    let refused = approve(&agent);
    assert!(matches!(refused, Err(RouterError::Review(ReviewError::NotAPerson { .. }))));
    let executed = route(&router, &mut desk, &world, "note.add");
    let manager = world.session("m-1", "mary", &["manager"]);
    let nothing_asked = router.approve(&manager, &sid("s-1"), executed.record, true, "");
    assert!(matches!(nothing_asked, Err(RouterError::Act(_))));
    world.clock.advance_millis(60_000);
    assert!(matches!(approve(&manager), Err(RouterError::Review(ReviewError::TooLate { .. }))));
    assert_eq!(route(&router, &mut desk, &world, "mail.send").verdict, Verdict::StepUp);
}

#[test]
fn d_52_a_refusal_and_an_expired_approval_deny() {
    let (world, router, mut desk) = open();
    let manager = world.session("m-1", "mary", &["manager"]);
    let record = stepped_up(&router, &mut desk, &world, "mail.send");
    router.approve(&manager, &sid("s-1"), record, false, "no").unwrap();
    let refused = route(&router, &mut desk, &world, "mail.send");
    assert_eq!(refused.verdict, Verdict::Deny);
    assert!(why(&refused.evidence).contains(&ReasonCode::ApprovalRefused));

    let second = router.route(&mut desk, world.numbered("s-1", "mail.send", 2)).unwrap();
    router.approve(&manager, &sid("s-1"), second.record, true, "").unwrap();
    world.clock.advance_millis(600_000);
    let expired = router.route(&mut desk, world.numbered("s-1", "mail.send", 2)).unwrap();
    assert_eq!(expired.verdict, Verdict::Deny);
    assert!(why(&expired.evidence).contains(&ReasonCode::ApprovalExpired));
    assert_eq!(world.effects.count(), 0);
}

/// IRM-3.2.5: what the rules allow, the row still asks for, by its own role and in time.
///
/// IRM-4.6.4.
#[test]
fn irm_3_2_5_escalation_rules_of_a_row() {
    let (world, router, mut desk) = open();
    let denied = route(&router, &mut desk, &world, "note.guarded");
    assert_eq!(
        (denied.verdict, why(&denied.evidence)),
        (Verdict::Deny, vec![ReasonCode::RuleDeny])
    );
    let record = stepped_up(&router, &mut desk, &world, "pay.small");
    let manager = world.session("m-1", "mary", &["manager"]);
    router.approve(&manager, &sid("s-1"), record, true, "").unwrap();
    world.clock.advance_millis(600_000);
    let late = route(&router, &mut desk, &world, "pay.small");
    assert_eq!(late.verdict, Verdict::Deny, "an approval that is too old is worth nothing");
    assert_eq!(why(&late.evidence), [ReasonCode::ApprovalExpired]);
    let second = router.route(&mut desk, world.numbered("s-1", "pay.small", 2)).unwrap();
    assert_eq!(second.verdict, Verdict::StepUp);
    router.approve(&manager, &sid("s-1"), second.record, true, "").unwrap();
    let passed = router.route(&mut desk, world.numbered("s-1", "pay.small", 2)).unwrap();
    assert_eq!(passed.verdict, Verdict::Allow);
    assert_eq!(world.effects.count(), 1);
}

/// A deferral that is over by its own deadline asks again; it never lets pass.
#[test]
fn irm_4_6_a_deferred_route_waits() {
    let (world, router, mut desk) = open();
    for _ in 0..2 {
        assert_eq!(route(&router, &mut desk, &world, "mail.wait").verdict, Verdict::Defer);
        world.clock.advance_millis(120_000);
    }
    assert_eq!(world.effects.count(), 0);
}

/// IRM-1.1.
#[test]
fn consider_tells_and_changes_nothing() {
    let (world, router, mut desk) = open();
    let before = world::last(router.store());
    let told = router.consider(&mut desk, world.intent("s-1", "note.add")).unwrap().unwrap();
    assert_eq!(told.verdict, Verdict::Allow);
    for kind in ["note.odd", "mail.send", "leak.all", "note.mismatch"] {
        assert!(router.consider(&mut desk, world.intent("s-1", kind)).unwrap().is_err(), "{kind}");
    }
    assert_eq!(world::last(router.store()), before);
    assert_eq!(world.effects.count(), 0);
    assert_eq!(desk.state(), Some(State::Verified));
}
