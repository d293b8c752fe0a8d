use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::audience::table::EDGES;

fn digest(n: u8) -> Digest {
    Digest::from_bytes([n; 32])
}

fn approver() -> Approver {
    Approver { principal: "dana".parse().unwrap(), record: digest(9) }
}

/// A cause for each tag.
fn causes() -> Vec<Cause> {
    let why = Why::Downgrade(DowngradeCause::SubsystemDrift);
    alloc::vec![
        Cause::Clearance(Cleared {
            class: Class::B,
            envelope: digest(1),
            classifier: digest(2),
            matrix: digest(3),
            kernel: digest(4),
            snapshot: digest(5),
        }),
        Cause::StepBack,
        Cause::Restriction(Ground::ClassC { classifier: digest(2) }),
        Cause::Restriction(Ground::Risk {
            risk: Risk::saturating(700_000),
            threshold: RestrictionThreshold::default(),
        }),
        Cause::Downgrade(why),
        Cause::Hold(HoldTrigger::IncompleteLineage),
        Cause::Escalation(EscalationTrigger::RiskScore),
        Cause::Violation { rule: 7, kernel: digest(4) },
        Cause::Governed { why: Why::Suspension(HoldTrigger::GovernanceFlag), approver: approver() },
        Cause::Approval(approver()),
        Cause::Review(approver()),
        Cause::Unreachable(why),
    ]
}

fn every_legal_event() -> Vec<LineageEvent> {
    let pairs = State::ALL.into_iter().flat_map(|f| State::ALL.map(|t| (f, t)));
    pairs
        .flat_map(|(f, t)| causes().into_iter().map(move |c| LineageEvent::new(f, t, c)))
        .filter_map(Result::ok)
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

#[test]
fn known_answers() {
    let vectors = [
        (State::Verified, State::Base, 4, "010503020501".to_string() + "02"),
        (State::Verified, State::Base, 1, "0102030202".into()),
        (
            State::Init,
            State::Base,
            0,
            [
                "0101010201",
                "02",
                &"01".repeat(32),
                &"02".repeat(32),
                &"03".repeat(32),
                &"04".repeat(32),
                &"05".repeat(32),
            ]
            .concat(),
        ),
        (State::Base, State::Restricted, 2, ["0103020503", &"02".repeat(32)].concat()),
        (State::Base, State::Restricted, 3, "010302050460ae0a00c0270900".into()),
        (State::Restricted, State::Hold, 5, "01040506".to_string() + "0603"),
        (State::Restricted, State::Escalated, 6, "010905070705".into()),
        (State::Init, State::Escalated, 7, ["010a01070807", &"04".repeat(32)].concat()),
        (
            State::Privileged,
            State::Verified,
            8,
            ["0106040309020104000000", "64616e61", &"09".repeat(32)].concat(),
        ),
        (
            State::Hold,
            State::Base,
            9,
            ["010706020a04000000", "64616e61", &"09".repeat(32)].concat(),
        ),
        (
            State::Escalated,
            State::Hold,
            10,
            ["010807060b04000000", "64616e61", &"09".repeat(32)].concat(),
        ),
        (State::Privileged, State::Escalated, 11, "010904070c0102".into()),
    ];
    for (from, to, cause, expected) in vectors {
        let event = LineageEvent::new(from, to, causes()[cause].clone()).unwrap();
        assert_eq!(hex(&event.to_canonical()), expected, "{event}");
    }
    let block = EnvelopeBlock { state: State::Base, envelope: digest(1), risk: Risk::ESCALATION };
    assert_eq!(hex(&block.to_canonical()), ["0102", &"01".repeat(32), "00350c00"].concat());
    let refused = TransitionRefused {
        from: State::Init,
        to: State::Privileged,
        way: Way::Advance,
        ground: RefusalGround::Prohibited,
    };
    assert_eq!(hex(&refused.to_canonical()), "0101040101");
    let check = ConstitutionalCheck {
        state: State::Hold,
        kernel: digest(4),
        finding: KernelDecision::Violation(3),
    };
    assert_eq!(hex(&check.to_canonical()), ["0106", &"04".repeat(32), "0203"].concat());
}

/// ASM2-9.11.
#[test]
fn asm2_9_every_legal_event_round_trips_and_every_illegal_one_is_refused() {
    let events = every_legal_event();
    let edges: alloc::collections::BTreeSet<_> =
        events.iter().map(|e| (e.from(), e.to(), e.way())).collect();
    assert_eq!(edges.len(), EDGES.iter().map(|e| e.ways.len()).sum::<usize>());
    for event in events {
        let bytes = event.to_canonical();
        assert_eq!(LineageEvent::from_canonical(&bytes), Ok(event.clone()));
        for at in 1..4 {
            for value in 0..=11 {
                let mut changed = bytes.clone();
                changed[at] = value;
                if let Ok(other) = LineageEvent::from_canonical(&changed) {
                    assert!(edge(other.from(), other.to()).is_some_and(|e| e.allows(other.way())));
                    assert_eq!(other.to_canonical(), changed);
                }
            }
        }
        for end in 0..bytes.len() {
            assert!(LineageEvent::from_canonical(&bytes[..end]).is_err());
        }
    }
}

/// D-9, ASM2-9.1..ASM2-9.6.
#[test]
fn d_9_each_query_finds_the_one_record() {
    for event in every_legal_event() {
        assert!(event.matches(EventQuery::Transition));
        for state in State::ALL {
            assert_eq!(event.matches(EventQuery::Exit(Some(state))), state == event.from());
            assert_eq!(event.matches(EventQuery::Entry(Some(state))), state == event.to());
        }
        assert!(event.matches(EventQuery::Exit(None)) && event.matches(EventQuery::Entry(None)));
        assert_eq!(event.matches(EventQuery::Hold), event.to() == State::Hold);
        assert_eq!(event.matches(EventQuery::Escalation), event.to() == State::Escalated);
        let by_cause = matches!(event.cause(), Cause::Downgrade(_) | Cause::Governed { .. });
        let released = event.from() == State::Hold && event.to() == State::Restricted;
        assert_eq!(event.matches(EventQuery::Downgrade), by_cause || released, "{event}");
    }
}

#[test]
fn events_are_told_in_words() {
    let event = LineageEvent::new(State::Verified, State::Base, causes()[4].clone()).unwrap();
    assert_eq!(event.to_string(), "VERIFIED → BASE (downgrade: cross-subsystem drift)");
}

/// What is read is what would be written: no two byte strings are one event.
fn decoding_is_injective(bytes: &[u8]) {
    if let Ok(event) = LineageEvent::from_canonical(bytes) {
        assert_eq!(event.to_canonical(), bytes);
    }
    if let Ok(check) = ConstitutionalCheck::from_canonical(bytes) {
        assert_eq!(check.to_canonical(), bytes);
    }
    if let Ok(refused) = TransitionRefused::from_canonical(bytes) {
        assert_eq!(refused.to_canonical(), bytes);
    }
    if let Ok(block) = EnvelopeBlock::from_canonical(bytes) {
        assert_eq!(block.to_canonical(), bytes);
    }
}

proptest! {
    #[test]
    fn any_bytes(
        head in proptest::collection::vec(0..13_u8, 1..8),
        tail in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        decoding_is_injective(&[&[1], &head[..], &tail].concat());
    }
}
