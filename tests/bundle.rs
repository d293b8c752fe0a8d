//! Evidence bundles through the public API: every verdict, both forms, what is withheld and
//! what was erased.
#![cfg(feature = "bundle")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here is a failure of the test"
)]

use prospera::bundle::{Bundle, BundleError, GatherError, PayloadState, Verified, WithholdError};
use prospera::commitment::{Salts, SubjectKey};
use prospera::digest::{Digest, Domain};
use prospera::id::SubjectId;
use prospera::intent::{Argument, Malformed, Objective, ReadFact, Submission};
use prospera::provenance::{Label, Sensitivity, Source};
use prospera::routing::payloads::verify_payloads;
use prospera::routing::{EvidenceBlock, RouterError};
use prospera::ssot::checkpoint::{Checkpoint, Origin, Policy};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::note::{Algorithm, Note, Signer};
use prospera::ssot::record::{Record, RecordKind};
use prospera::ssot::store::Store;
use prospera::ssot::verify::verify;
use prospera::testing::world::{Setup, World, WorldDesk, request};
use prospera::time::Timestamp;
use prospera::value::Value;
use prospera::verdict::{Reason, ReasonCode, Verdict};

const SEED: [u8; 32] = [3; 32];

fn signer() -> Signer {
    let name = "example.com/log/shard/0".parse().unwrap();
    Signer::from_seed(name, Algorithm::Ed25519, &[7; 32]).unwrap()
}

fn trust() -> Policy {
    Policy::of_log(signer().verifier().unwrap())
}

fn checkpoint<S: Store + ?Sized>(store: &S) -> Note {
    let head = store.tree_head().unwrap();
    let origin = Origin::of_shard("example.com/log", 0).unwrap();
    let time = Timestamp::from_secs(1);
    Checkpoint::new(origin, head.size, head.root).sign(&[&signer()], time).unwrap()
}

fn world(salted: bool) -> World {
    let world = Setup::sample().unwrap().build().unwrap();
    if !salted {
        return world;
    }
    let World { router, catalogue, clock, calls } = world;
    World { router: router.salted(Salts::new(SEED)), catalogue, clock, calls }
}

fn intent(world: &World, kind: &str, arguments: &[(&str, Value)]) -> Submission {
    world.intent(kind, "Do what I asked for.", arguments).unwrap()
}

fn pay(world: &World, amount: i64) -> Submission {
    intent(world, "payment.send", &[("to", "bob".into()), ("amount", amount.into())])
}

fn routed(world: &World, desk: &mut WorldDesk, submission: Submission, expected: Verdict) -> u64 {
    world.clock.advance_millis(1000);
    let routed = world.router.route(desk, submission).unwrap();
    assert_eq!(routed.verdict, expected, "{:?}", routed.evidence.trace.last());
    routed.index
}

/// A morning of alice's: the indices of an allowed, a denied, a stepped up, an approved, a
/// deferred and a malformed submission, in this order.
struct Morning {
    world: World,
    desk: WorldDesk,
    allowed: u64,
    denied: u64,
    asked: u64,
    approved: u64,
    deferred: u64,
    malformed: u64,
}

impl Morning {
    fn of(salted: bool) -> Self {
        let world = world(salted);
        let mut desk = world.open("alice", "s-1").unwrap();
        let write = |text: &str| {
            intent(&world, "note.write", &[("name", "diary".into()), ("text", text.into())])
        };
        let allowed = routed(&world, &mut desk, write("I met Ann."), Verdict::Allow);
        let boss = world.governor("boss", "g-1").unwrap();
        let session = "s-1".parse().unwrap();
        let asked = routed(&world, &mut desk, pay(&world, 70), Verdict::StepUp);
        let record = digest_at(&world, asked);
        world.router.approve(&boss, &session, record, true, "known payee").unwrap();
        let approved = routed(&world, &mut desk, pay(&world, 70), Verdict::Allow);
        let other = routed(&world, &mut desk, pay(&world, 71), Verdict::StepUp);
        let record = digest_at(&world, other);
        world.router.approve(&boss, &session, record, false, "too much").unwrap();
        let denied = routed(&world, &mut desk, pay(&world, 71), Verdict::Deny);
        let mut stale = request("note.read", &[("name", "today".into())]).unwrap();
        stale.reads.push(ReadFact { key: "mood".parse().unwrap(), version: 4 });
        let stale = Submission::Intent(world.catalogue.intent(stale).unwrap());
        let deferred = routed(&world, &mut desk, stale, Verdict::Defer);
        let malformed = Submission::Malformed(Malformed {
            digest: Domain::Malformed.hash(b"{"),
            subject: None,
            session: None,
            reason: Reason::new(ReasonCode::IntentMalformed),
        });
        let malformed = routed(&world, &mut desk, malformed, Verdict::Deny);
        Self { world, desk, allowed, denied, asked, approved, deferred, malformed }
    }

    fn store(&self) -> &MemoryStore {
        self.world.router.store()
    }

    fn bundle(&self, index: u64) -> Bundle {
        Bundle::gather(self.store(), index, &checkpoint(self.store())).unwrap()
    }

    fn routes(&self) -> [u64; 6] {
        [self.allowed, self.denied, self.asked, self.approved, self.deferred, self.malformed]
    }
}

fn record_at<S: Store + ?Sized>(store: &S, index: u64) -> Record {
    Record::decode_sealed(&store.read(index, 1).unwrap()[0].bytes).unwrap()
}

fn digest_at(world: &World, index: u64) -> Digest {
    record_at(world.router.store(), index).digest()
}

fn verified(bundle: &Bundle) -> Verified {
    bundle.verify(&trust()).unwrap()
}

/// Both forms come back as they were.
fn comes_back(bundle: &Bundle) {
    assert_eq!(&Bundle::from_bytes(&bundle.to_bytes()).unwrap(), bundle);
    assert!(Bundle::is_binary(&bundle.to_bytes()));
    #[cfg(feature = "files")]
    {
        let json = serde_json::to_string_pretty(&bundle.to_json()).unwrap();
        let read = Bundle::from_json(&json).unwrap();
        assert_eq!(read.to_bytes(), bundle.to_bytes());
    }
}

#[test]
fn every_verdict_has_a_bundle_that_needs_no_store() {
    for salted in [false, true] {
        let morning = Morning::of(salted);
        let bundles: Vec<(Bundle, EvidenceBlock)> = morning
            .routes()
            .into_iter()
            .map(|index| {
                let block = record_at(morning.store(), index).read().unwrap();
                (morning.bundle(index), block)
            })
            .collect();
        drop(morning);
        for (bundle, block) in bundles {
            let seen = verified(&bundle);
            assert_eq!(seen.evidence, block);
            assert_eq!(seen.outcome.is_some(), block.opens_route());
            assert!(seen.payloads.iter().all(|p| p.state == PayloadState::Shown));
            assert!(seen.payloads.iter().all(|p| p.salted == salted));
            assert_eq!(block.salted, salted);
            assert!(seen.withheld().is_empty());
            assert_eq!(seen.packaged.is_some(), block.routing_id.is_some());
            comes_back(&bundle);
        }
    }
}

/// AARM v1.0, R5: what a receipt must contain, item by item.
#[test]
fn aarm_r5_each_item_is_there() {
    let morning = Morning::of(true);
    let allowed = verified(&morning.bundle(morning.allowed));
    // Action: tool, operation, parameters, timestamp.
    assert_eq!(allowed.evidence.module.as_ref().unwrap().as_str(), "notebook");
    assert_eq!(allowed.evidence.kind.as_ref().unwrap().as_str(), "note.write");
    assert!(allowed.evidence.template.is_some() && allowed.evidence.branch.is_some());
    let fields = &allowed.payload("intent").unwrap().fields;
    let at = |path: &str| fields.iter().find(|(own, _)| own == path).map(|(_, value)| value);
    assert_eq!(at("arguments/text/value"), Some(&"I met Ann.".into()));
    assert!(allowed.evidence.timestamp > Timestamp::default());
    // Context: session, and what was accumulated.
    assert_eq!(allowed.identity.session.as_str(), "s-1");
    assert!(at("arguments/text/label/sources/0").is_some());
    assert!(!allowed.audience.is_empty());
    assert_eq!(allowed.packaged.unwrap().to_string().len(), 8);
    // Identity: for whom, who, which scopes.
    assert_eq!(allowed.identity.subject.as_str(), "alice");
    assert_eq!((allowed.identity.principal.as_str(), allowed.identity.kind), ("alice", "human"));
    assert!(allowed.identity.scopes.iter().any(|scope| scope.as_str() == "work"));
    // Decision: result, policy, reason.
    let rules = |seen: &Verified| {
        let reasons = seen.evidence.trace.iter().flat_map(|entry| entry.reasons.clone());
        reasons.filter_map(|reason| reason.rule).map(|rule| rule.to_string()).collect::<Vec<_>>()
    };
    assert!(rules(&allowed).contains(&"write-notes".to_owned()));
    assert!(allowed.policy.parts.iter().any(|(name, _)| name.as_str() == "governance"));
    let denied = verified(&morning.bundle(morning.denied));
    assert_eq!(denied.evidence.verdict, Verdict::Deny);
    assert!(!denied.evidence.trace.last().unwrap().reasons.is_empty());
    // Approval: approver, decision, timestamp; from both sides.
    let approved = verified(&morning.bundle(morning.approved));
    let approval = approved.approval.unwrap();
    assert_eq!((approval.decider.as_str(), approval.granted), ("boss", true));
    assert!(approval.decided_at < approved.evidence.timestamp);
    let asked = verified(&morning.bundle(morning.asked));
    assert_eq!(asked.answer.unwrap().place, approval.place);
    // Deferral: reason, resolution, timestamp.
    assert_eq!(asked.resumed.unwrap().place.index, morning.approved);
    let deferred = verified(&morning.bundle(morning.deferred));
    let last = deferred.evidence.trace.last().unwrap();
    assert_eq!(last.reasons[0].code, ReasonCode::MemoryMissing);
    assert!(deferred.evidence.wait_until.is_some());
    // Outcome: result, and when: after the evidence.
    let outcome = allowed.outcome.unwrap();
    assert!(outcome.place.index > allowed.route.index);
    assert!(outcome.place.recorded_at >= allowed.route.recorded_at);
    // Signature, verifiable offline.
    assert_eq!(allowed.checkpoint.signed, ["example.com/log/shard/0"]);
}

/// Every bit counts: no other bytes are a bundle that verifies.
#[test]
fn a_flipped_byte_anywhere_is_an_error() {
    for salted in [false, true] {
        let morning = Morning::of(salted);
        let mut bundle = morning.bundle(morning.approved);
        if salted {
            bundle.withhold("intent/arguments/to/value").unwrap();
        }
        let good = bundle.to_bytes();
        let trust = trust();
        let mut sound = Bundle::from_bytes(&good).unwrap();
        assert!(sound.verify(&trust).is_ok());
        for place in 0..good.len() {
            let mut bytes = good.clone();
            bytes[place] ^= 1 << (place % 8);
            if let Ok(read) = Bundle::from_bytes(&bytes) {
                assert!(read.verify(&trust).is_err(), "byte {place} of {}", good.len());
                sound = read;
            }
        }
        assert_ne!(sound.to_bytes(), good, "some changes are found by the checks alone");
        for length in (0..good.len()).step_by(97) {
            assert!(Bundle::from_bytes(&good[..length]).is_err());
        }
    }
}

#[test]
fn any_field_can_be_withheld_and_the_bundle_says_which() {
    let morning = Morning::of(true);
    let whole = morning.bundle(morning.allowed);
    let paths: Vec<String> = verified(&whole)
        .payloads
        .iter()
        .flat_map(|p| {
            p.fields
                .iter()
                .map(|(path, _)| format!("{}/{path}", p.part).trim_end_matches('/').into())
        })
        .collect();
    assert!(paths.len() > 10, "{paths:?}");
    for path in &paths {
        let mut bundle = whole.clone();
        bundle.withhold(path).unwrap();
        let seen = verified(&bundle);
        assert_eq!(&seen.withheld(), std::slice::from_ref(path));
        comes_back(&bundle);
        let text = format!("{:?}", bundle.payloads());
        if path == "intent/arguments/text/value" {
            // The module gave its arguments back: it stands in the output, too.
            assert_eq!(text.matches("I met Ann.").count(), 1, "{text}");
            bundle.withhold("output/text").unwrap();
            assert!(!format!("{bundle:?}").contains("I met Ann."));
        }
    }
    let mut nothing = whole.clone();
    for part in ["intent", "objective", "output"] {
        nothing.withhold(part).unwrap();
    }
    assert_eq!(verified(&nothing).withheld(), ["intent", "objective", "output"]);
    let mut twice = whole;
    twice.withhold("intent/arguments").unwrap();
    assert!(twice.withhold("intent/arguments/text").is_err(), "it is withheld already");
    assert!(matches!(twice.withhold("policy/x"), Err(WithholdError::Part { .. })));
}

/// What is withheld cannot be guessed: the chain holds no plain digest of it, and a
/// field's hash is of a salt that the bundle does not have.
#[test]
fn with_salts_no_plain_digest_is_on_record() {
    let morning = Morning::of(true);
    let submission = pay(&morning.world, 70);
    let plain = submission.intent().unwrap();
    let plain = [plain.hash(), plain.objective().hash(), Domain::Malformed.hash(b"{")];
    let mut from = 0;
    while let Some(stored) = morning.store().read(from, 1).unwrap().first() {
        for digest in plain {
            let found = stored.bytes.windows(32).any(|window| window == digest.as_bytes());
            assert!(!found, "record {from} holds a plain digest");
        }
        from += 1;
    }
    // The same subject, the same content, the same key: one commitment.
    let (asked, approved) = (morning.bundle(morning.asked), morning.bundle(morning.approved));
    assert_eq!(verified(&asked).evidence.intent, verified(&approved).evidence.intent);
    let report = verify_payloads(morning.store()).unwrap();
    assert_eq!(report.erased, 0);
    // Another seed, other commitments.
    let other = Setup::sample().unwrap().build().unwrap();
    let World { router, catalogue, clock, calls } = other;
    let router = router.salted(Salts::new([4; 32]));
    let other = World { router, catalogue, clock, calls };
    let mut desk = other.open("alice", "s-1").unwrap();
    let index = routed(&other, &mut desk, pay(&other, 70), Verdict::StepUp);
    let block: EvidenceBlock = record_at(other.router.store(), index).read().unwrap();
    assert_ne!(block.intent, verified(&asked).evidence.intent);
}

#[test]
fn without_salts_a_part_is_withheld_as_a_whole() {
    let morning = Morning::of(false);
    let mut bundle = morning.bundle(morning.allowed);
    let error = bundle.withhold("intent/arguments/text/value").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the evidence names the plain digest of the intent, so it can be withheld as a whole \
         only: `intent`"
    );
    bundle.withhold("intent").unwrap();
    let seen = verified(&bundle);
    assert_eq!(seen.withheld(), ["intent"]);
    assert!(!seen.payload("intent").unwrap().salted);
    comes_back(&bundle);
}

#[test]
fn secrets_are_withheld_by_their_label() {
    for salted in [false, true] {
        let world = world(salted);
        let mut desk = world.open("alice", "s-1").unwrap();
        let mut asked = request("note.read", &[("name", "hunter2".into())]).unwrap();
        let label = Label::from(Source::User).with_sensitivity(Sensitivity::Secret);
        asked.arguments.insert("name".into(), Argument { value: "hunter2".into(), label });
        asked.objective = Objective::new("Read.");
        let asked = Submission::Intent(world.catalogue.intent(asked).unwrap());
        world.clock.advance_millis(1);
        let index = world.router.route(&mut desk, asked).unwrap().index;
        let mut bundle =
            Bundle::gather(world.router.store(), index, &checkpoint(world.router.store())).unwrap();
        assert_eq!(bundle.withhold_secrets(), 1);
        let expected = if salted { "intent/arguments/name/value" } else { "intent" };
        assert_eq!(verified(&bundle).withheld(), [expected]);
    }
}

/// What is forgotten is gone; every chain, proof and bundle stands.
#[test]
fn forgetting_leaves_every_chain_and_proof() {
    for salted in [false, true] {
        let mut morning = Morning::of(salted);
        let before = morning.bundle(morning.allowed);
        let boss = morning.world.governor("boss", "g-2").unwrap();
        let alice: SubjectId = "alice".parse().unwrap();
        let forgotten = morning.world.router.forget(&boss, &alice, "she asked").unwrap();
        assert!(forgotten.erased >= 6, "{forgotten:?}");
        assert_eq!(forgotten.key, salted);
        assert!(forgotten.shared.is_empty());
        assert_eq!(morning.store().payload(&SubjectKey::place(&alice)).unwrap(), None);
        verify(morning.store(), |_| {}).unwrap();
        let report = verify_payloads(morning.store()).unwrap();
        assert_eq!(report.sound, 0);
        assert!(report.erased > 0);
        for index in morning.routes() {
            let bundle = morning.bundle(index);
            let seen = verified(&bundle);
            assert!(seen.payloads.iter().all(|p| p.state == PayloadState::Erased), "{index}");
            assert!(seen.withheld().is_empty());
            let erasure = seen.erasure.unwrap();
            assert_eq!((erasure.decider.as_str(), &*erasure.note), ("boss", "she asked"));
            comes_back(&bundle);
        }
        // A bundle made before verifies as before: it has its own copy.
        assert!(verified(&before).payloads.iter().all(|p| p.state == PayloadState::Shown));
        // Once more there is nothing left.
        let again = morning.world.router.forget(&boss, &alice, "").unwrap();
        assert_eq!((again.erased, again.key), (0, false));
        // The subject goes on, with payloads of its own, under another key.
        drop(std::mem::replace(&mut morning.desk, morning.world.open("alice", "s-2").unwrap()));
        let mut asked = request("note.read", &[("name", "today".into())]).unwrap();
        asked.session = "s-2".parse().unwrap();
        let asked = Submission::Intent(morning.world.catalogue.intent(asked).unwrap());
        let index = routed(&morning.world, &mut morning.desk, asked, Verdict::Allow);
        let seen = verified(&morning.bundle(index));
        assert!(seen.payloads.iter().all(|p| p.state == PayloadState::Shown));
        assert_eq!(seen.erasure, None, "it is no erasure of what came later");
    }
}

/// Without salts one objective of two subjects is one payload: it stays, and is counted.
#[test]
fn what_two_subjects_share_stays_without_salts() {
    for salted in [false, true] {
        let world = world(salted);
        let mut last = 0;
        for (subject, session) in [("alice", "s-1"), ("bob", "s-2")] {
            let mut desk = world.open(subject, session).unwrap();
            let mut asked = request("note.read", &[("name", "today".into())]).unwrap();
            asked.subject = subject.parse().unwrap();
            asked.session = session.parse().unwrap();
            let asked = Submission::Intent(world.catalogue.intent(asked).unwrap());
            last = routed(&world, &mut desk, asked, Verdict::Allow);
        }
        let boss = world.governor("boss", "g-1").unwrap();
        let forgotten = world.router.forget(&boss, &"alice".parse().unwrap(), "").unwrap();
        // The output is the arguments given back: shared, as the objective is.
        assert_eq!(forgotten.shared.len(), if salted { 0 } else { 2 });
        let bundle = Bundle::gather(world.router.store(), last, &checkpoint(world.router.store()));
        let seen = verified(&bundle.unwrap());
        assert!(seen.payloads.iter().all(|p| p.state == PayloadState::Shown), "bob's stay");
    }
}

#[test]
fn forgetting_is_refused_where_it_must_not_be() {
    let morning = Morning::of(true);
    let alice: SubjectId = "alice".parse().unwrap();
    let (router, session) = (&morning.world.router, morning.desk.session());
    assert!(matches!(
        router.forget(session, &alice, ""),
        Err(RouterError::NotAuthorized { .. } | RouterError::Review(_))
    ));
    let boss = morning.world.governor("boss", "g-2").unwrap();
    router.suspend(&alice, prospera::audience::causes::HoldTrigger::GovernanceFlag).unwrap();
    let held = router.forget(&boss, &alice, "").unwrap_err();
    assert!(held.to_string().contains("HOLD"), "{held}");
    assert_eq!(verify_payloads(morning.store()).unwrap().erased, 0, "nothing is erased");
}

#[test]
fn gathering_says_what_is_wrong() {
    let morning = Morning::of(false);
    let (store, note) = (morning.store(), checkpoint(morning.store()));
    let gather = |index, note: &Note| Bundle::gather(store, index, note).map(drop).unwrap_err();
    assert!(matches!(gather(0, &note), GatherError::NoRoute { .. }));
    let size = store.len().unwrap();
    assert!(matches!(gather(size, &note), GatherError::Older { .. }));
    let other = world(true);
    let mut desk = other.open("alice", "s-1").unwrap();
    while other.router.store().len().unwrap() < size {
        let asked = intent(&other, "note.read", &[("name", "x".into())]);
        let _routed = other.router.route(&mut desk, asked).unwrap();
    }
    let foreign = checkpoint(other.router.store());
    let short = foreign.text().lines().nth(1).unwrap().parse::<u64>().unwrap();
    if short == size {
        assert!(matches!(gather(morning.allowed, &foreign), GatherError::OtherLog { .. }));
    }
    let block: EvidenceBlock = record_at(store, morning.asked).read().unwrap();
    let routes = prospera::bundle::routes_of(store, block.routing_id.unwrap()).unwrap();
    assert_eq!(routes, [morning.asked, morning.approved], "one intent, submitted twice");
    // A checkpoint between evidence and outcome: the bundle says that it holds none.
    let head = prospera::ssot::merkle::head_at(store, morning.allowed + 1).unwrap();
    let origin = Origin::of_shard("example.com/log", 0).unwrap();
    let early = Checkpoint::new(origin, head.size, head.root)
        .sign(&[&signer()], Timestamp::from_secs(1))
        .unwrap();
    let bundle = Bundle::gather(store, morning.allowed, &early).unwrap();
    assert_eq!(verified(&bundle).outcome, None);
}

#[test]
fn another_key_verifies_nothing() {
    let morning = Morning::of(true);
    let bundle = morning.bundle(morning.allowed);
    let name = "example.com/log/shard/0".parse().unwrap();
    let other = Signer::from_seed(name, Algorithm::Ed25519, &[8; 32]).unwrap();
    let trust = Policy::of_log(other.verifier().unwrap());
    assert!(matches!(bundle.verify(&trust), Err(BundleError::Checkpoint(_))));
}

#[cfg(feature = "files")]
#[test]
fn json_that_says_something_else_is_refused() {
    use prospera::bundle::JsonError;
    let morning = Morning::of(true);
    let bundle = morning.bundle(morning.approved);
    let text = serde_json::to_string_pretty(&bundle.to_json()).unwrap();
    for (from, to) in [
        ("\"verdict\": \"allow\"", "\"verdict\": \"deny\""),
        ("\"decider\": \"boss\"", "\"decider\": \"mary\""),
        ("\"kind\": \"outcome\"", "\"kind\": \"outcomes\""),
        ("\"format\":", "\"note\": \"trust me\", \"format\":"),
    ] {
        assert!(text.contains(from), "{from}");
        let changed = text.replacen(from, to, 1);
        let error = Bundle::from_json(&changed).unwrap_err();
        assert!(matches!(error, JsonError::Says { .. }), "{from}: {error}");
    }
    assert!(Bundle::from_json("{}").is_err());
    assert!(Bundle::from_json("[").is_err());
    assert!(matches!(
        Bundle::from_json(&text.replacen("\"version\": 1", "\"version\": 2", 1)),
        Err(JsonError::Form { .. })
    ));
}

/// What a bundle weighs; printed with `--nocapture`.
#[test]
fn a_bundle_is_some_kilobytes() {
    for salted in [false, true] {
        let morning = Morning::of(salted);
        let bundle = morning.bundle(morning.approved);
        let (size, records) = (bundle.size(), bundle.records().len());
        println!("salted {salted}: {size} bytes, {records} records");
        assert!(size < 16 << 10, "{size}");
        let kinds: Vec<_> = bundle.records().iter().map(|proven| proven.record.kind()).collect();
        for kind in [
            RecordKind::EvidenceBlock,
            RecordKind::Outcome,
            RecordKind::SessionOpened,
            RecordKind::PolicyPinned,
            RecordKind::AudienceEvent,
            RecordKind::GovernanceDecision,
        ] {
            assert!(kinds.contains(&kind), "{kinds:?}");
        }
    }
}

/// The property of the fuzz target, over its seeds and some thousand changes.
#[test]
fn a_changed_bundle_never_verifies_as_another() {
    use prospera::testing::properties::{BundleProbe, bundles_stand};
    let probe = BundleProbe::new().unwrap();
    bundles_stand(&probe, probe.sound()).unwrap();
    let mut state = 1_u64;
    for _ in 0..2000 {
        let mut bytes = probe.sound().to_vec();
        for _ in 0..3 {
            // Knuth's MMIX generator.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let place = usize::try_from(state >> 40).unwrap() % bytes.len();
            bytes[place] ^= u8::try_from((state >> 32) & 0xff).unwrap();
        }
        bundles_stand(&probe, &bytes).unwrap();
    }
}
