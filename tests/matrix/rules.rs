//! The checks that read bodies: one forged log for each rule.

use prospera::audience::any::AudienceSnapshot;
use prospera::audience::causes::HoldTrigger;
use prospera::audience::lineage::{Cause, LineageEvent};
use prospera::audience::state::State;
use prospera::audience::typed::Review;
use prospera::digest::{Digest, Domain};
use prospera::encode::Encode as _;
use prospera::id::{LayerId, Subsystem};
use prospera::identity::SessionOpened;
use prospera::intent::RoutingId;
use prospera::memory::FactRecord;
use prospera::provenance::Label;
use prospera::routing::{Outcome, OutcomeStatus, PolicyPinned, StepResult};
use prospera::ssot::matrix::{Cell, Check, State as CellState};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{RecordKind, StreamKind};
use prospera::ssot::store::Store as _;
use prospera::time::Timestamp;
use prospera::verdict::Verdict;

use crate::forge::{Forge, Medium, Sheet, bad, day, matrix, only, open, stream};
use crate::world::World;

/// What the real router writes is sound by every check, in every stream, and again when it
/// was taken apart and sealed anew.
#[test]
fn a_log_of_the_router_is_sound() {
    let store = day();
    let found = matrix(&store);
    only(&found, &[]);
    assert_eq!(found.log().records, store.len().unwrap());
    for check in Check::ALL {
        let sound = found.count(check).of(CellState::Sound);
        let applies = if check == Check::Snapshot { 0 } else { 3 };
        assert!(sound >= applies, "{check}: {sound}");
    }
    let routes = found.row(&stream(StreamKind::Routing, "s-1")).unwrap();
    assert!(routes.cell(Check::Lineage).records() > 8);
    let forged = Forge::new().seal();
    assert_eq!(forged.len().unwrap(), store.len().unwrap());
    only(&matrix(&forged), &[]);
}

const S1: &str = "/ssot/intent/routing/s-1";

#[test]
fn order_an_outcome_has_evidence_before_it() {
    let mut forge = Forge::new();
    let outcome = forge.find(RecordKind::Outcome, 0);
    let mut first = forge.sheets[outcome].clone();
    first.was = None;
    let evidence = forge.find(RecordKind::EvidenceBlock, 0);
    forge.sheets.insert(evidence, first);
    only(&matrix(&forge.seal()), &[&format!("{S1} order.outcome-first")]);
}

#[test]
fn order_a_clock_does_not_go_far_back_unseen() {
    let mut forge = Forge::new();
    let late = forge.evidence(|b| b.kind.as_ref().is_some_and(|k| k.as_str() == "mail.send"));
    let sheet = forge.sheet(late);
    let back = Timestamp::from_millis(sheet.time.as_millis() - 400_000);
    sheet.time = back;
    sheet.block(|block| block.timestamp = back);
    let found = matrix(&forge.seal());
    // The claims of the session had not begun by then either, beyond any leeway.
    assert!(bad(&found).contains(&format!("{S1} order.clock-back")), "{:?}", bad(&found));
}

#[test]
fn order_bodies_carry_their_records_time() {
    let mut forge = Forge::new();
    let first = forge.find(RecordKind::EvidenceBlock, 0);
    forge.sheet(first).block(|block| block.timestamp = block.timestamp.plus_millis(1));
    only(&matrix(&forge.seal()), &[&format!("{S1} order.own-time")]);
}

#[test]
fn schema_a_kind_belongs_into_its_streams() {
    let mut forge = Forge::new();
    let last = forge.sheets.len();
    let fact = forge.find(RecordKind::Fact, 0);
    let mut stray = Sheet { was: None, ..forge.sheets[fact].clone() };
    stray.stream = stream(StreamKind::Routing, "s-2");
    stray.source = Subsystem::Memory;
    forge.sheets.insert(last, stray);
    let found = matrix(&forge.seal());
    assert_eq!(bad(&found), ["/ssot/intent/routing/s-2 schema.kind"]);
    let rest = ["identity", "lineage", "replay", "policy"];
    let rest = rest.map(|check| format!("/ssot/intent/routing/s-2 {check}"));
    assert_eq!(open(&found), rest, "what comes after is not believed");
}

#[test]
fn schema_a_body_reads_to_its_last_byte() {
    let mut forge = Forge::new();
    let last = forge.find(RecordKind::Fact, 1);
    forge.sheet(last).body.push(0);
    let found = matrix(&forge.seal());
    assert!(
        bad(&found).contains(&"/ssot/memory/alice schema.body".to_owned()),
        "{:?}",
        bad(&found)
    );
    // Whatever names the memory's snapshot rests on it.
    assert_eq!(found.count(Check::Schema).of(CellState::Unsound), 1);
    assert_eq!(bad(&found).len(), 1, "{:?}", bad(&found));
    assert!(open(&found).contains(&format!("{S1} lineage")), "{:?}", open(&found));
}

#[test]
fn identity_only_its_subsystem_writes_a_kind() {
    let mut forge = Forge::new();
    let first = forge.find(RecordKind::Outcome, 1);
    forge.sheet(first).source = Subsystem::Pipeline;
    only(&matrix(&forge.seal()), &[&format!("{S1} identity.source")]);
}

#[test]
fn identity_routes_are_those_of_the_sessions_subject_and_principal() {
    let mut forge = Forge::new();
    let first = forge.find(RecordKind::EvidenceBlock, 1);
    forge.sheet(first).block(|block| block.principal = "mallory".parse().unwrap());
    only(&matrix(&forge.seal()), &[&format!("{S1} identity.principal")]);
}

#[test]
fn identity_routes_have_a_session() {
    let mut forge = Forge::new();
    // The second session's opening is gone from both streams.
    let is_opening = |sheet: &Sheet| {
        sheet.kind == RecordKind::SessionOpened
            && sheet.read::<SessionOpened>().claims.session.as_str() == "s-2"
    };
    forge.sheets.retain(|sheet| !is_opening(sheet));
    only(&matrix(&forge.seal()), &["/ssot/intent/routing/s-2 identity.no-session"]);
}

#[test]
fn identity_claims_held_at_the_time() {
    let mut forge = Forge::new();
    for nth in 0..2 {
        let place = forge.find(RecordKind::SessionOpened, nth);
        let opened: SessionOpened = forge.sheets[place].read();
        assert_eq!(opened.claims.session.as_str(), "s-1");
        forge.sheet(place).edit(|opened: &mut SessionOpened| {
            opened.claims.expires_at = Timestamp::from_millis(
                opened.verified_at.as_millis() - prospera::limits::LEEWAY_MILLIS + 1,
            );
        });
    }
    only(&matrix(&forge.seal()), &[&format!("{S1} identity.claims")]);
}

#[test]
fn identity_nothing_is_routed_in_a_closed_session() {
    let mut forge = Forge::new();
    let last = forge.sheets.iter().rposition(|s| s.kind == RecordKind::EvidenceBlock).unwrap();
    let close = Sheet {
        stream: stream(StreamKind::Session, "s-2"),
        kind: RecordKind::SessionClosed,
        source: Subsystem::Identity,
        time: forge.sheets[last].time,
        body: Vec::new(),
        was: None,
    };
    forge.sheets.insert(last, close);
    only(&matrix(&forge.seal()), &["/ssot/intent/routing/s-2 identity.closed"]);
}

#[test]
fn identity_nobody_decides_on_their_own_request() {
    let mut forge = Forge::new();
    let place = forge.find(RecordKind::GovernanceDecision, 0);
    // The decider's name in the body is another of the same length.
    let body = &mut forge.sheet(place).body;
    let at = body.windows(5).rposition(|w| w == b"grace").unwrap();
    body[at..at + 5].copy_from_slice(b"alice");
    only(&matrix(&forge.seal()), &["/ssot/governance/alice identity.own-request"]);
}

#[test]
fn lineage_an_outcome_names_the_open_route() {
    let mut forge = Forge::new();
    let place = forge.find(RecordKind::Outcome, 1);
    forge.sheet(place).edit(|outcome: &mut Outcome| outcome.evidence = Domain::Other.hash(b"x"));
    only(&matrix(&forge.seal()), &[&format!("{S1} lineage.evidence")]);
}

#[test]
fn lineage_an_approval_is_there_once_and_for_this_intent() {
    let mut forge = Forge::new();
    let place = forge.evidence(|block| block.approval.is_some());
    forge.sheet(place).block(|block| block.approval = Some(Domain::Other.hash(b"x")));
    only(&matrix(&forge.seal()), &[&format!("{S1} lineage.decision")]);
    // Refused: the byte behind the role.
    let mut forge = Forge::new();
    let decision = forge.find(RecordKind::GovernanceDecision, 0);
    let body = &mut forge.sheet(decision).body;
    let at = body.windows(7).rposition(|w| w == b"manager").unwrap() + 7;
    assert_eq!(core::mem::replace(&mut body[at], 0), 1);
    only(&matrix(&forge.seal()), &[&format!("{S1} lineage.decision")]);
    // Used twice.
    let mut forge = Forge::new();
    let used: prospera::routing::EvidenceBlock = forge.sheets[place].read();
    let other = forge.evidence(|block| block.kind.is_none());
    forge.sheet(other).block(|block| block.approval = used.approval);
    only(&matrix(&forge.seal()), &[&format!("{S1} lineage.decision")]);
}

#[test]
fn lineage_a_decision_answers_a_question() {
    let mut forge = Forge::new();
    let asked = forge.evidence(|block| block.verdict == Verdict::StepUp);
    // The question is taken back; its answer stays.
    forge.sheet(asked).block(|block| block.approver = None);
    only(&matrix(&forge.seal()), &["/ssot/governance/alice lineage.question"]);
}

#[test]
fn lineage_a_released_subject_has_its_approval() {
    let mut forge = Forge::new();
    let released = forge.sheets.iter().position(|sheet| {
        sheet.kind == RecordKind::AudienceEvent
            && matches!(sheet.read::<LineageEvent>().cause(), Cause::Approval(_))
    });
    let decision = forge.find(RecordKind::GovernanceDecision, 1);
    assert!(decision < released.unwrap());
    forge.sheets.remove(decision);
    only(&matrix(&forge.seal()), &["/ssot/audience/alice lineage.decision"]);
}

#[test]
fn lineage_a_snapshot_is_where_memory_stood() {
    let mut forge = Forge::new();
    let place = forge.evidence(|block| block.kind.is_none());
    forge.sheet(place).block(|block| block.snapshot = prospera::id::SnapshotId::new(Digest::ZERO));
    only(&matrix(&forge.seal()), &[&format!("{S1} lineage.basis")]);
}

#[test]
fn lineage_a_session_opens_in_two_streams_alike() {
    let mut forge = Forge::new();
    let twin = forge.find(RecordKind::SessionOpened, 3);
    assert_eq!(forge.sheets[twin].stream.kind(), StreamKind::Subject);
    forge.sheets.remove(twin);
    only(&matrix(&forge.seal()), &["/ssot/identity/session/s-2 lineage.twin"]);
}

#[test]
fn lineage_payloads_that_are_kept_are_those_named() {
    let mut medium = Medium::of(day());
    let forge = Forge::new();
    let place = forge.find(RecordKind::EvidenceBlock, 0);
    let block: prospera::routing::EvidenceBlock = forge.sheets[place].read();
    let erased = matrix(&medium).remarks().1;
    medium.payloads.insert(block.intent, b"another intent"[..].into());
    only(&matrix(&medium), &[&format!("{S1} lineage.payload")]);
    medium.payloads.remove(&block.intent);
    let found = matrix(&medium);
    only(&found, &[&format!("{S1} lineage.payload")]);
    assert_eq!(found.remarks().1, erased + 1);
}

/// What governance decided to erase is missing on purpose: counted, and no fault.
#[test]
fn lineage_payloads_may_be_erased_by_decision() {
    let (world, governor) = (World::new(), World::new().governor());
    let router = world.router(day());
    let before = matrix(router.store()).remarks().1;
    let forgotten = router.forget(&governor, &"alice".parse().unwrap(), "she asked for it");
    assert!(forgotten.unwrap().erased > 3);
    let store = router.into_store();
    let found = matrix(&store);
    only(&found, &[]);
    assert!(found.remarks().1 > before + 3, "{:?}", found.remarks());
    // Without the decision they are missing all the same.
    let mut forge = Forge::of(&store);
    let last = forge.sheets.len() - 1;
    assert_eq!(forge.sheets[last].kind, RecordKind::GovernanceDecision);
    forge.sheets.pop();
    let found = matrix(&forge.seal());
    assert!(bad(&found).iter().all(|cell| cell.ends_with("lineage.payload")), "{:?}", bad(&found));
    assert_eq!(bad(&found).len(), 2);
}

#[test]
fn an_open_route_is_told_and_is_no_fault() {
    let mut forge = Forge::new();
    let last = forge.sheets.len() - 1;
    assert_eq!(forge.sheets[last].kind, RecordKind::Outcome);
    forge.sheets.pop();
    let found = matrix(&forge.seal());
    only(&found, &[]);
    let row = found.row(&stream(StreamKind::Routing, "s-2")).unwrap();
    assert_eq!((row.open, found.remarks().0), (Some(last as u64 - 1), 1));
}

#[test]
fn replay_an_audience_starts_where_it_stands() {
    let mut forge = Forge::new();
    // The step into RESTRICTED on the way to HOLD is gone.
    let gone = forge.sheets.iter().position(|sheet| {
        sheet.kind == RecordKind::AudienceEvent
            && sheet.read::<LineageEvent>().to() == State::Restricted
    });
    forge.sheets.remove(gone.unwrap());
    let found = matrix(&forge.seal());
    assert_eq!(bad(&found), ["/ssot/audience/alice replay.state"]);
    // A later route names a state that is not known any more.
    assert_eq!(open(&found), ["/ssot/intent/routing/s-2 replay"]);
}

#[test]
fn replay_an_audience_takes_edges_of_the_table() {
    let mut forge = Forge::new();
    let last = forge.sheets.iter().rposition(|s| s.kind == RecordKind::AudienceEvent).unwrap();
    // To PRIVILEGED, whatever the way: byte 3 is the state entered.
    forge.sheet(last).body[3] = State::Privileged.to_canonical()[0];
    let found = matrix(&forge.seal());
    assert!(
        bad(&found).contains(&"/ssot/audience/alice replay.illegal".into()),
        "{:?}",
        bad(&found)
    );
    assert_eq!(found.count(Check::Schema).of(CellState::Unsound), 0, "it reads, and is no edge");
}

#[test]
fn replay_one_route_at_a_time() {
    let mut forge = Forge::new();
    let place = forge.find(RecordKind::Outcome, 2);
    forge.sheets.remove(place);
    let found = matrix(&forge.seal());
    assert_eq!(bad(&found)[0], format!("{S1} replay.parallel"), "{:?}", bad(&found));
    assert_eq!(bad(&found).len(), 1);
}

#[test]
fn replay_the_routing_id_follows_from_its_components() {
    let mut forge = Forge::new();
    let place = forge.find(RecordKind::EvidenceBlock, 2);
    let other = RoutingId::from_digest(Domain::Other.hash(b"x"));
    forge.sheet(place).block(|block| block.routing_id = Some(other));
    only(&matrix(&forge.seal()), &[&format!("{S1} replay.routing-id")]);
    // An outcome that is told to have gone otherwise changes the votes that stand after it.
    let mut forge = Forge::new();
    let place = forge.find(RecordKind::Outcome, 0);
    forge.sheet(place).edit(|outcome: &mut Outcome| {
        outcome.status = OutcomeStatus::Failed;
        outcome.output = None;
        outcome.label = Label::empty();
    });
    only(&matrix(&forge.seal()), &[&format!("{S1} replay.routing-id")]);
}

#[test]
fn replay_a_route_names_the_audiences_state() {
    let mut forge = Forge::new();
    let place = forge.find(RecordKind::EvidenceBlock, 0);
    forge.sheet(place).block(|block| block.state = State::Privileged);
    only(&matrix(&forge.seal()), &[&format!("{S1} replay.route-state")]);
}

#[test]
fn replay_a_trace_goes_through_the_layers() {
    let mut forge = Forge::new();
    let place = forge.find(RecordKind::EvidenceBlock, 0);
    forge.sheet(place).block(|block| block.trace.retain(|line| line.layer != LayerId::Safety));
    only(&matrix(&forge.seal()), &[&format!("{S1} replay.trace")]);
    let mut forge = Forge::new();
    forge.sheet(place).block(|block| {
        block.trace.last_mut().unwrap().result = StepResult::Stopped;
    });
    only(&matrix(&forge.seal()), &[&format!("{S1} replay.trace")]);
}

#[test]
fn replay_facts_come_version_by_version() {
    let mut forge = Forge::new();
    let place = forge.find(RecordKind::Fact, 1);
    forge.sheet(place).edit(|fact: &mut FactRecord| fact.version += 1);
    only(&matrix(&forge.seal()), &["/ssot/memory/alice replay.facts"]);
}

/// A subject that is suspended and released until its stream has a snapshot.
fn long() -> prospera::ssot::memory::MemoryStore {
    let world = World::new();
    let router = world.router(MemoryStore::new());
    let governor = world.governor();
    let _desk = router.open(world.alice("s-1")).unwrap();
    let (subject, length) = ("alice".parse().unwrap(), prospera::limits::SNAPSHOT_RECORDS);
    let own = stream(StreamKind::Audience, "alice");
    while router.store().head(&own).unwrap().length() <= length {
        router.suspend(&subject, HoldTrigger::ALL[0]).unwrap();
        router.release(&governor, &subject, State::Base, "").unwrap();
    }
    router.into_store()
}

#[test]
fn snapshot_says_what_the_records_before_it_lead_to() {
    let store = long();
    let found = matrix(&store);
    only(&found, &[]);
    let own = found.row(&stream(StreamKind::Audience, "alice")).unwrap();
    assert_eq!(own.cell(Check::Snapshot), &Cell::Sound { records: 1 });
    assert_eq!(found.count(Check::Snapshot).of(CellState::NotApplicable), 4);
    let mut forge = Forge::of(&store);
    let place = forge.find(RecordKind::Snapshot, 0);
    forge.sheet(place).edit(|snapshot: &mut AudienceSnapshot| {
        *snapshot = AudienceSnapshot { state: State::Verified, review: Review::None };
    });
    only(&matrix(&forge.seal()), &["/ssot/audience/alice snapshot.differs"]);
    // Where none may stand.
    let mut forge = Forge::of(&store);
    let mut sheet = forge.sheets.remove(place);
    sheet.was = None;
    let last = forge.sheets.iter().rposition(|s| s.kind == RecordKind::AudienceEvent).unwrap();
    sheet.body = AudienceSnapshot { state: State::Base, review: Review::None }.to_canonical();
    sheet.time = forge.sheets[last].time;
    forge.sheets.insert(last + 1, sheet);
    let found = matrix(&forge.seal());
    assert_eq!(bad(&found), ["/ssot/audience/alice snapshot.differs"]);
}

#[test]
fn policy_evidence_names_the_pins_in_force() {
    let mut forge = Forge::new();
    let place = forge.find(RecordKind::EvidenceBlock, 3);
    forge.sheet(place).block(|block| block.pins = Domain::Other.hash(b"x"));
    only(&matrix(&forge.seal()), &[&format!("{S1} policy.pins")]);
}

#[test]
fn policy_parts_are_those_pinned() {
    let forge = Forge::new();
    let place = forge.find(RecordKind::PolicyPinned, 0);
    let was: PolicyPinned = forge.sheets[place].read();
    let other = |name: &str| {
        let parts = was.pins.parts().map(|(own, digest)| {
            let changed = own.as_str() == name;
            (own.clone(), if changed { Domain::Other.hash(b"x") } else { *digest })
        });
        prospera::routing::Pins::new(parts)
    };
    for (part, expected) in [
        ("matrix", "/ssot/audience/alice policy.part"),
        ("governance", "/ssot/governance/alice policy.part"),
    ] {
        let mut forge = Forge::new();
        let pins = other(part);
        forge.sheet(place).edit(|pinned: &mut PolicyPinned| pinned.pins = pins.clone());
        for sheet in &mut forge.sheets {
            if sheet.kind == RecordKind::EvidenceBlock {
                sheet.block(|block| block.pins = pins.digest());
            }
        }
        only(&matrix(&forge.seal()), &[expected]);
    }
}

#[test]
fn policy_files_that_a_pin_names_are_kept() {
    let mut forge = Forge::new();
    let place = forge.find(RecordKind::PolicyPinned, 0);
    let digest = Domain::Payload.hash(b"rows");
    forge.sheet(place).edit(|pinned: &mut PolicyPinned| {
        let file = prospera::routing::pins::KeptFile { name: "t".into(), parts: vec![digest] };
        pinned.files = vec![file];
    });
    let mut medium = Medium::of(forge.seal());
    only(&matrix(&medium), &["/ssot/governance/policy/policy policy.content"]);
    medium.payloads.insert(digest, b"rows"[..].into());
    // The medium took over the payloads that evidence names; they are all there.
    only(&matrix(&medium), &[]);
    medium.payloads.insert(digest, b"other rows"[..].into());
    only(&matrix(&medium), &["/ssot/governance/policy/policy policy.content"]);
}

#[test]
fn policy_nothing_is_decided_under_no_policy() {
    let mut forge = Forge::new();
    let place = forge.find(RecordKind::PolicyPinned, 0);
    forge.sheets.remove(place);
    let found = matrix(&forge.seal());
    assert!(bad(&found).iter().all(|cell| cell.ends_with("policy.unpinned")), "{:?}", bad(&found));
    assert!(bad(&found).len() >= 5);
}
