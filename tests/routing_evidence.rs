//! The encodings of evidence and outcomes (IRM-6): frozen bytes, round trips, and no field
//! that can be changed unseen.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::similar_names,
    reason = "the helpers of tests, too, may end a test"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;

use proptest::prelude::*;
use prospera::audience::state::State;
use prospera::digest::{Digest, Domain};
use prospera::encode::{Decode, Encode};
use prospera::governance::GovernanceToken;
use prospera::id::{LayerId, SnapshotId};
use prospera::intent::RoutingId;
use prospera::provenance::{Label, Sensitivity, Source};
use prospera::risk::Risk;
use prospera::routing::evidence::EVIDENCE_VERSION;
use prospera::routing::{EvidenceBlock, Outcome, OutcomeStatus, StepResult, TraceEntry};
use prospera::time::Timestamp;
use prospera::verdict::{
    Consensus, Drift, Narrowing, Reason, ReasonCode, SafetyFlags, SafetyMode, Verdict, Vote,
};

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn token(byte: u8) -> GovernanceToken {
    GovernanceToken::from_canonical(&[byte; 48]).unwrap()
}

fn routing_id(byte: u8) -> RoutingId {
    RoutingId::from_canonical(&[byte; 32]).unwrap()
}

/// The worked example of `evidence.rs`: a route that Step 2 blocked.
fn short() -> EvidenceBlock {
    EvidenceBlock {
        verdict: Verdict::Deny,
        timestamp: Timestamp::from_millis(1),
        routing_id: None,
        intent: digest(2),
        objective: None,
        flags: SafetyFlags::NONE,
        raised: SafetyFlags::NONE,
        consensus: Consensus::NONE.with(LayerId::Intent, Vote::Dissent),
        token: None,
        template: None,
        branch: None,
        module: None,
        mode: SafetyMode::Normal,
        subject: "s".parse().unwrap(),
        principal: "p".parse().unwrap(),
        kind: None,
        state: State::Verified,
        class: 2,
        snapshot: SnapshotId::new(digest(3)),
        pins: digest(4),
        risk: Risk::ZERO,
        surprise: Risk::ZERO,
        drift: Drift::None,
        narrowing: Narrowing::default(),
        approval: None,
        backtrack: None,
        approver: None,
        wait_until: None,
        trace: vec![TraceEntry {
            layer: LayerId::Intent,
            result: StepResult::Stopped,
            reasons: vec![Reason::new(ReasonCode::IntentMalformed)],
        }],
        salted: false,
    }
}

/// Every field is set.
fn full() -> EvidenceBlock {
    EvidenceBlock {
        verdict: Verdict::Modify,
        timestamp: Timestamp::from_millis(0x0102_0304_0506),
        routing_id: Some(routing_id(1)),
        objective: Some(digest(8)),
        flags: SafetyFlags::EFFECT,
        raised: SafetyFlags::OUTSIDE_ARGUMENT,
        consensus: Consensus::NONE
            .with(LayerId::Identity, Vote::Agree)
            .with(LayerId::Safety, Vote::Dissent),
        token: Some(token(5)),
        template: Some("template".parse().unwrap()),
        branch: Some("branch".parse().unwrap()),
        module: Some("module".parse().unwrap()),
        mode: SafetyMode::Protected,
        kind: Some("kind".parse().unwrap()),
        risk: Risk::saturating(123_456),
        surprise: Risk::saturating(654_321),
        drift: Drift::Soft,
        narrowing: Narrowing {
            drop_arguments: vec!["bcc".into()],
            exclude_modules: vec!["bulk".parse().unwrap()],
            read_only: true,
        },
        approval: Some(digest(6)),
        backtrack: Some(digest(7)),
        approver: Some("manager".parse().unwrap()),
        wait_until: Some(Timestamp::from_millis(9)),
        trace: vec![
            TraceEntry { layer: LayerId::Identity, result: StepResult::Passed, reasons: vec![] },
            TraceEntry {
                layer: LayerId::Safety,
                result: StepResult::Narrowed,
                reasons: vec![
                    Reason::new(ReasonCode::RiskLimit).by("r".parse().unwrap()).detail("why"),
                ],
            },
        ],
        ..short()
    }
}

fn outcome() -> Outcome {
    Outcome {
        evidence: digest(1),
        status: OutcomeStatus::Done,
        output: Some(digest(2)),
        label: Label::from(Source::User).with_sensitivity(Sensitivity::Personal),
        reasons: vec![Reason::new(ReasonCode::Executed)],
        salted: false,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    })
}

const SHORT: &str = "01050100000000000000000202020202020202020202020202020202020202020202020202020202\
    02020200000000000000000008000000000000010000007301000000700003020303030303030303\
    03030303030303030303030303030303030303030303030304040404040404040404040404040404\
    04040404040404040404040404040404000000000000000000000000000000000000000000000100\
    0000020401000000c9000000000000";
const FULL: &str = "01020605040302010000010101010101010101010101010101010101010101010101010101010101\
    01010102020202020202020202020202020202020202020202020202020202020202020108080808\
    08080808080808080808080808080808080808080808080808080808010000000002000001020105\
    05050505050505050505050505050505050505050505050505050505050505050505050505050505\
    05050505050505010800000074656d706c61746501060000006272616e636801060000006d6f6475\
    6c65010100000073010000007001040000006b696e64030203030303030303030303030303030303\
    03030303030303030303030303030303040404040404040404040404040404040404040404040404\
    040404040404040440e20100f1fb0900010100000003000000626363010000000400000062756c6b\
    01010606060606060606060606060606060606060606060606060606060606060606010707070707\
    07070707070707070707070707070707070707070707070707070701070000006d616e6167657201\
    090000000000000002000000010100000000050301000000f70101010000007203000000776879";
const OUTCOME: &str = "010101010101010101010101010101010101010101010101010101010101010101010102020202020202020202020202020202020202020202020202020202020202020100000001020100000021030000000000";

/// IRM-6.11.
#[test]
fn irm_6_11_the_bytes_are_those_of_version_1() {
    assert_eq!(EVIDENCE_VERSION, 1);
    assert_eq!(hex(&short().to_canonical()), SHORT);
    assert_eq!(hex(&full().to_canonical()), FULL);
    assert_eq!(hex(&outcome().to_canonical()), OUTCOME);
    assert_eq!(EvidenceBlock::from_canonical(&short().to_canonical()), Ok(short()));
    assert_eq!(EvidenceBlock::from_canonical(&full().to_canonical()), Ok(full()));
    assert_eq!(Outcome::from_canonical(&outcome().to_canonical()), Ok(outcome()));
}

/// Version 2 differs in its first byte, and says that the digests are salted.
#[test]
fn a_salted_body_is_version_2() {
    let block = EvidenceBlock { salted: true, ..full() };
    assert_eq!(hex(&block.to_canonical()), FULL.replacen("01", "02", 1));
    assert_eq!(EvidenceBlock::from_canonical(&block.to_canonical()), Ok(block));
    let salted = Outcome { salted: true, ..outcome() };
    assert_eq!(hex(&salted.to_canonical()), OUTCOME.replacen("01", "02", 1));
    assert_eq!(Outcome::from_canonical(&salted.to_canonical()), Ok(salted));
    let mut third = outcome().to_canonical();
    third[0] = 3;
    assert!(Outcome::from_canonical(&third).is_err());
}

/// The worked example is in the documentation, byte by byte.
#[test]
fn the_documented_example_is_the_known_answer() {
    let source = include_str!("../src/routing/evidence.rs");
    let documented: String = source
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `"))
        .filter_map(|line| line.split_once('`'))
        .map(|(bytes, _)| bytes.replace(' ', ""))
        .collect();
    assert_eq!(documented, SHORT);
}

type Change<T> = (&'static str, fn(&mut T));

const BLOCK: [Change<EvidenceBlock>; 31] = [
    ("verdict", |b| b.verdict = Verdict::Allow),
    ("timestamp", |b| b.timestamp = Timestamp::from_millis(2)),
    ("routing_id", |b| b.routing_id = Some(routing_id(9))),
    ("no routing_id", |b| b.routing_id = None),
    ("intent", |b| b.intent = digest(9)),
    ("objective", |b| b.objective = None),
    ("flags", |b| b.flags = SafetyFlags::BULK),
    ("raised", |b| b.raised = SafetyFlags::BULK),
    ("consensus", |b| b.consensus = Consensus::NONE),
    ("token", |b| b.token = Some(token(9))),
    ("template", |b| b.template = Some("other".parse().unwrap())),
    ("branch", |b| b.branch = Some("other".parse().unwrap())),
    ("module", |b| b.module = Some("other".parse().unwrap())),
    ("mode", |b| b.mode = SafetyMode::ReadOnly),
    ("subject", |b| b.subject = "other".parse().unwrap()),
    ("principal", |b| b.principal = "other".parse().unwrap()),
    ("kind", |b| b.kind = Some("other".parse().unwrap())),
    ("state", |b| b.state = State::Base),
    ("class", |b| b.class = 1),
    ("snapshot", |b| b.snapshot = SnapshotId::new(digest(9))),
    ("pins", |b| b.pins = digest(9)),
    ("risk", |b| b.risk = Risk::saturating(1)),
    ("surprise", |b| b.surprise = Risk::saturating(1)),
    ("drift", |b| b.drift = Drift::Hard),
    ("narrowing", |b| b.narrowing.read_only = false),
    ("approval", |b| b.approval = Some(digest(9))),
    ("backtrack", |b| b.backtrack = Some(digest(9))),
    ("approver", |b| b.approver = None),
    ("wait_until", |b| b.wait_until = None),
    ("trace", |b| b.trace[1].reasons[0].detail = "because".into()),
    ("salted", |b| b.salted = true),
];

const OUTCOMES: [Change<Outcome>; 6] = [
    ("evidence", |o| o.evidence = digest(9)),
    ("status", |o| o.status = OutcomeStatus::Unknown),
    ("output", |o| o.output = None),
    ("label", |o| o.label = Label::empty()),
    ("reasons", |o| o.reasons.clear()),
    ("salted", |o| o.salted = true),
];

fn each_field_counts<T: Encode + Clone>(value: &T, changes: &[Change<T>]) {
    let mut seen = BTreeSet::from([value.to_canonical()]);
    for (field, change) in changes {
        let mut changed = value.clone();
        change(&mut changed);
        assert!(seen.insert(changed.to_canonical()), "a changed {field} is not seen");
    }
}

#[test]
fn irm_6_8_each_field_is_covered() {
    each_field_counts(&full(), &BLOCK);
    each_field_counts(&outcome(), &OUTCOMES);
    // A field that is added does not compile here before it is tried above.
    let EvidenceBlock {
        verdict: _,
        timestamp: _,
        routing_id: _,
        intent: _,
        objective: _,
        flags: _,
        raised: _,
        consensus: _,
        token: _,
        template: _,
        branch: _,
        module: _,
        mode: _,
        subject: _,
        principal: _,
        kind: _,
        state: _,
        class: _,
        snapshot: _,
        pins: _,
        risk: _,
        surprise: _,
        drift: _,
        narrowing: Narrowing { drop_arguments: _, exclude_modules: _, read_only: _ },
        approval: _,
        backtrack: _,
        approver: _,
        wait_until: _,
        trace: _,
        salted: _,
    } = full();
    let Outcome { evidence: _, status: _, output: _, label: _, reasons: _, salted: _ } = outcome();
}

/// Every flipped bit is an error or another value; a cut or a longer body is an error.
fn tampered<T: Encode + Decode + PartialEq + std::fmt::Debug>(value: &T) {
    let good = value.to_canonical();
    let record = Domain::Record.hash(&good);
    for place in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[place] ^= 1 << bit;
            assert_ne!(Domain::Record.hash(&bytes), record);
            if let Ok(found) = T::from_canonical(&bytes) {
                assert_ne!(&found, value, "bit {bit} of byte {place} says nothing");
                assert_eq!(found.to_canonical(), bytes, "one value, one encoding");
            }
        }
        assert!(T::from_canonical(&good[..place]).is_err(), "cut at {place}");
    }
    let longer = [good.as_slice(), &[0]].concat();
    assert!(T::from_canonical(&longer).is_err());
}

#[test]
fn no_bit_can_be_flipped_unseen() {
    tampered(&full());
    tampered(&short());
    tampered(&outcome());
}

#[test]
fn another_version_is_refused() {
    let mut bytes = full().to_canonical();
    bytes[0] = 3;
    let error = EvidenceBlock::from_canonical(&bytes).unwrap_err().to_string();
    assert!(error.contains("evidence version 1"), "{error}");
}

proptest! {
    /// Any block that some set of changes makes is read back as it was.
    #[test]
    fn what_is_written_is_read(
        changes in proptest::collection::vec(0..BLOCK.len(), 0..12),
        from_short in any::<bool>(),
        risk in 0..=1_000_000_u64,
        millis in any::<u64>(),
        detail in ".{0,40}",
        sensitivity in 0..4_usize,
    ) {
        let mut block = full();
        for change in changes {
            BLOCK[change].1(&mut block);
        }
        if from_short {
            block.trace.clear();
            block.token = None;
        }
        block.risk = Risk::saturating(risk);
        block.timestamp = Timestamp::from_millis(millis);
        block.trace.push(TraceEntry {
            layer: LayerId::Governance,
            result: StepResult::Flagged,
            reasons: vec![Reason::new(ReasonCode::RuleDeny).detail(detail.as_str())],
        });
        prop_assert_eq!(EvidenceBlock::from_canonical(&block.to_canonical()), Ok(block));
        let levels =
            [Sensitivity::Public, Sensitivity::Internal, Sensitivity::Personal, Sensitivity::Secret];
        let mut outcome = outcome();
        outcome.label = Label::from(Source::Memory).with_sensitivity(levels[sensitivity]);
        outcome.reasons.push(Reason::new(ReasonCode::ModuleFailed).detail(detail.as_str()));
        prop_assert_eq!(Outcome::from_canonical(&outcome.to_canonical()), Ok(outcome));
    }

    /// Bytes from anywhere are refused or read, never a panic; what is read is canonical.
    #[test]
    fn bytes_from_anywhere(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(block) = EvidenceBlock::from_canonical(&bytes) {
            prop_assert_eq!(block.to_canonical(), bytes.clone());
        }
        if let Ok(outcome) = Outcome::from_canonical(&bytes) {
            prop_assert_eq!(outcome.to_canonical(), bytes);
        }
    }
}
