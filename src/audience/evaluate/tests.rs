use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::audience::table::{Way, edge};

/// The reference: collects every legal candidate with its rank in the words of the
/// specification, and takes the smallest. It shares no helper with `evaluate`.
#[expect(clippy::too_many_lines, reason = "one reading of the whole rule, top to bottom")]
fn naive(state: State, a: &Assessment) -> Move {
    let mut candidates: Vec<(u8, usize, Move)> = Vec::new();
    let high = a.risk.ppm() >= 800_000;
    let over = a.risk.ppm() > a.threshold.risk().ppm();
    let violation = matches!(a.kernel, KernelDecision::Violation(_));
    let envelope_block = a.envelope == EnvelopeDecision::Block;
    let matrix_block = a.matrix == MatrixDecision::Block;

    // Escalation triggers by gravity (ASM2-7.1..ASM2-7.5).
    let stands = |t: EscalationTrigger| {
        a.escalation.contains(t)
            || match t {
                EscalationTrigger::RiskScore => high,
                EscalationTrigger::EnvelopeBlock => envelope_block,
                EscalationTrigger::MatrixBlock => matrix_block,
                EscalationTrigger::ConstitutionalViolation => violation,
                EscalationTrigger::IdentityAnomaly => false,
            }
    };
    let triggers: Vec<_> = EscalationTrigger::ALL.iter().copied().filter(|t| stands(*t)).collect();
    for (i, trigger) in triggers.iter().enumerate() {
        let way = match edge(state, State::Escalated) {
            Some(row) if row.allows(Way::Escalate) => true,
            Some(_) => *trigger == EscalationTrigger::ConstitutionalViolation,
            None => false,
        };
        if way {
            candidates.push((0, i, Move::Escalate(*trigger)));
        }
    }

    // Hold triggers (D-6, D-2).
    let holds: Vec<_> = HoldTrigger::ALL.iter().copied().filter(|t| a.hold.contains(*t)).collect();
    for (i, trigger) in holds.iter().enumerate() {
        match state {
            State::Base | State::Verified | State::Restricted => {
                candidates.push((1, i, Move::Suspend(*trigger)));
            }
            State::Privileged if a.governance_reachable => {
                candidates.push((1, i, Move::Suspend(*trigger)));
            }
            State::Privileged => {
                candidates.push((0, 10 + i, Move::EscalateUnreachable(Why::Suspension(*trigger))));
            }
            State::Init | State::Hold | State::Escalated => {}
        }
    }

    // Downgrade causes (ASM2-6).
    let valid = a.identity_validated && a.context_validated;
    let trusted = matches!(state, State::Verified | State::Privileged);
    for (i, cause) in DowngradeCause::ALL.iter().copied().enumerate() {
        let derived = match cause {
            DowngradeCause::PredictiveRisk => trusted && over,
            DowngradeCause::TierMismatch => trusted && a.class == Class::C,
            DowngradeCause::EnvelopeMismatch => {
                trusted && matches!(a.envelope, EnvelopeDecision::Hold | EnvelopeDecision::Block)
            }
            DowngradeCause::SubsystemDrift => state == State::Privileged && !valid,
            DowngradeCause::LineageInconsistent => false,
        };
        if !derived && !a.downgrade.contains(cause) {
            continue;
        }
        match state {
            State::Base | State::Verified | State::Restricted => {
                candidates.push((2, i, Move::Downgrade(cause)));
            }
            State::Privileged if a.governance_reachable => {
                candidates.push((2, i, Move::Downgrade(cause)));
            }
            State::Privileged => {
                candidates.push((0, 20 + i, Move::EscalateUnreachable(Why::Downgrade(cause))));
            }
            State::Init | State::Hold | State::Escalated => {}
        }
    }
    if state == State::Base && a.class == Class::C {
        candidates.push((2, 10, Move::Restrict(RestrictGround::ClassC)));
    }
    if state == State::Base && over {
        candidates.push((2, 11, Move::Restrict(RestrictGround::Risk)));
    }
    if state == State::Verified && !valid {
        candidates.push((2, 12, Move::StepBack));
    }

    // Staying, and advancing when nothing else stands.
    let open = !envelope_block
        && a.envelope != EnvelopeDecision::Hold
        && !matrix_block
        && a.matrix != MatrixDecision::StepUp;
    let perfect = a.envelope == EnvelopeDecision::Allow && a.matrix == MatrixDecision::Allow;
    match state {
        State::Hold | State::Escalated => {
            let urgent = triggers.contains(&EscalationTrigger::ConstitutionalViolation);
            let stay = if urgent { Stay::UrgentReview } else { Stay::Governance };
            candidates.push((3, 0, Move::Stay(stay)));
        }
        State::Init => {
            let something =
                !triggers.is_empty() || !holds.is_empty() || a.downgrade.bits() != 0 || !open;
            if something || a.class != Class::C && over {
                candidates.push((3, 0, Move::Stay(Stay::Barred)));
            } else if a.class == Class::C {
                candidates.push((4, 0, Move::AdmitRestricted));
            } else {
                candidates.push((4, 0, Move::Advance(State::Base)));
            }
        }
        State::Base if valid && open => candidates.push((4, 0, Move::Advance(State::Verified))),
        State::Verified
            if valid && perfect && a.kernel == KernelDecision::ConstitutionalClearance =>
        {
            candidates.push((4, 0, Move::Advance(State::Privileged)));
        }
        _ => candidates.push((3, 0, Move::Stay(Stay::Settled))),
    }
    candidates.into_iter().min_by_key(|(rank, order, _)| (*rank, *order)).unwrap().2
}

/// The move is the reference's, it is legal, and its rank is no looser than any cause allows.
fn agrees(state: State, a: &Assessment) {
    let found = evaluate(state, a);
    assert_eq!(found, naive(state, a), "{state} {a:?}");
    let legal = |to, way| edge(state, to).is_some_and(|e| e.allows(way));
    let fine = match found {
        Move::Escalate(EscalationTrigger::ConstitutionalViolation) if state == State::Init => {
            legal(State::Escalated, Way::ConstitutionalEscalate)
        }
        Move::Escalate(_) => legal(State::Escalated, Way::Escalate),
        Move::EscalateUnreachable(_) => state == State::Privileged && !a.governance_reachable,
        Move::Suspend(_) => {
            matches!(state, State::Base | State::Verified | State::Restricted | State::Privileged)
        }
        Move::Downgrade(_) => State::ALL
            .into_iter()
            .any(|to| legal(to, Way::Downgrade) || legal(to, Way::GovernedDowngrade)),
        Move::Restrict(_) => legal(State::Restricted, Way::Restrict),
        Move::StepBack => legal(State::Base, Way::StepBack),
        Move::Stay(_) => true,
        Move::AdmitRestricted => state == State::Init && a.class == Class::C,
        Move::Advance(to) => legal(to, Way::Advance),
    };
    assert!(fine, "{state} {found}");
}

const RISKS: [u32; 6] = [0, 600_000, 600_001, 799_999, 800_000, 1_000_000];
const ENVELOPES: [EnvelopeDecision; 4] = [
    EnvelopeDecision::Allow,
    EnvelopeDecision::Limit,
    EnvelopeDecision::Hold,
    EnvelopeDecision::Block,
];
const MATRICES: [MatrixDecision; 4] =
    [MatrixDecision::Allow, MatrixDecision::Limit, MatrixDecision::StepUp, MatrixDecision::Block];
const KERNELS: [KernelDecision; 3] =
    [KernelDecision::ConstitutionalClearance, KernelDecision::Clear, KernelDecision::Violation(2)];

/// D-5, ASM2-1.1, ASM2-6.1..ASM2-6.5, ASM2-7.1..ASM2-7.9, ASM2-8.1..ASM2-8.4.
#[test]
fn d_5_every_cause_set_in_every_state() {
    let mut seen = 0_u32;
    for state in State::ALL {
        for downgrade in 0..32 {
            for hold in 0..16 {
                for escalation in 0..32 {
                    for risk in RISKS {
                        let a = Assessment {
                            risk: Risk::saturating(risk.into()),
                            downgrade: DowngradeCauses::from_bits(downgrade).unwrap(),
                            hold: HoldTriggers::from_bits(hold).unwrap(),
                            escalation: EscalationTriggers::from_bits(escalation).unwrap(),
                            identity_validated: true,
                            context_validated: true,
                            governance_reachable: (downgrade ^ hold ^ escalation) & 1 == 0,
                            ..Assessment::calm()
                        };
                        agrees(state, &a);
                        seen += 1;
                    }
                }
            }
        }
    }
    assert_eq!(seen, 7 * 32 * 16 * 32 * 6);
}

/// D-5, ASM2-1.1, ASM2-6.2, ASM2-7.2..ASM2-7.4.
#[test]
fn d_5_every_combination_of_verdicts_in_every_state() {
    let sets = [0_u8, 1, 2, 4];
    for state in State::ALL {
        for envelope in ENVELOPES {
            for matrix in MATRICES {
                for kernel in KERNELS {
                    for class in Class::ALL {
                        for bits in 0..8_u8 {
                            for set in sets {
                                for risk in RISKS {
                                    let a = Assessment {
                                        risk: Risk::saturating(risk.into()),
                                        envelope,
                                        matrix,
                                        kernel,
                                        class,
                                        downgrade: DowngradeCauses::from_bits(set & 1).unwrap(),
                                        hold: HoldTriggers::from_bits(set & 2).unwrap(),
                                        escalation: EscalationTriggers::from_bits(set & 4).unwrap(),
                                        threshold: RestrictionThreshold::default(),
                                        identity_validated: bits & 1 != 0,
                                        context_validated: bits & 2 != 0,
                                        governance_reachable: bits & 4 != 0,
                                    };
                                    agrees(state, &a);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// D-8, ASM2-7.1.
#[test]
fn d_8_asm2_7_1_every_risk_value_in_every_state() {
    for state in State::ALL {
        for ppm in 0..=1_000_000_u64 {
            let a = Assessment { risk: Risk::saturating(ppm), ..Assessment::calm() };
            let escalates = matches!(evaluate(state, &a), Move::Escalate(_));
            let may = !matches!(state, State::Init | State::Hold | State::Escalated);
            // PRIVILEGED and VERIFIED are not validated here and so move all the same.
            assert_eq!(escalates, may && ppm >= 800_000, "{state} {ppm}");
        }
    }
}

/// D-2, ASM2-7.9.
#[test]
fn d_2_without_governance_privileged_escalates_and_never_stays() {
    let a = Assessment {
        downgrade: DowngradeCauses::NONE.with(DowngradeCause::PredictiveRisk),
        identity_validated: true,
        context_validated: true,
        governance_reachable: false,
        ..Assessment::calm()
    };
    let why = Why::Downgrade(DowngradeCause::PredictiveRisk);
    assert_eq!(evaluate(State::Privileged, &a), Move::EscalateUnreachable(why));
    let reachable = Assessment { governance_reachable: true, ..a };
    assert_eq!(
        evaluate(State::Privileged, &reachable),
        Move::Downgrade(DowngradeCause::PredictiveRisk)
    );
}

/// D-7, ASM2-3.5.
#[test]
fn d_7_class_c_is_admitted_restricted() {
    let a = Assessment { class: Class::C, risk: Risk::saturating(700_000), ..Assessment::calm() };
    assert_eq!(evaluate(State::Init, &a), Move::AdmitRestricted);
    assert_eq!(evaluate(State::Base, &a), Move::Restrict(RestrictGround::ClassC));
    let b = Assessment { class: Class::B, risk: Risk::ZERO, ..a };
    assert_eq!(evaluate(State::Init, &b), Move::Advance(State::Base));
}

fn assessment() -> impl Strategy<Value = Assessment> {
    let verdicts = (0..4_usize, 0..4_usize, 0..3_usize, 0..3_usize);
    let sets = (0..32_u8, 0..16_u8, 0..32_u8);
    (0..=1_000_000_u64, 0..800_000_u64, verdicts, sets, 0..8_u8).prop_map(
        |(risk, threshold, (e, m, k, c), (downgrade, hold, escalation), bits)| Assessment {
            risk: Risk::saturating(risk),
            envelope: ENVELOPES[e],
            matrix: MATRICES[m],
            kernel: KERNELS[k],
            class: Class::ALL[c],
            // Sparse sets are the interesting ones: most bits are masked away.
            downgrade: DowngradeCauses::from_bits(downgrade & downgrade >> 1).unwrap(),
            hold: HoldTriggers::from_bits(hold & hold >> 1).unwrap(),
            escalation: EscalationTriggers::from_bits(escalation & escalation >> 2).unwrap(),
            threshold: RestrictionThreshold::new(Risk::saturating(threshold)).unwrap(),
            identity_validated: bits & 1 != 0,
            context_validated: bits & 2 != 0,
            governance_reachable: bits & 4 != 0,
        },
    )
}

/// A further cause never gives a looser move.
fn more_causes_never_loosen(state: State, a: &Assessment, b: &Assessment) {
    let both = Assessment {
        risk: a.risk.max(b.risk),
        downgrade: DowngradeCauses::from_bits(a.downgrade.bits() | b.downgrade.bits()).unwrap(),
        hold: HoldTriggers::from_bits(a.hold.bits() | b.hold.bits()).unwrap(),
        escalation: EscalationTriggers::from_bits(a.escalation.bits() | b.escalation.bits())
            .unwrap(),
        envelope: a.envelope.max(b.envelope),
        matrix: a.matrix.max(b.matrix),
        ..*a
    };
    assert!(evaluate(state, &both).rank() <= evaluate(state, a).rank(), "{state} {a:?} {both:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_assessment(state in 0..7_usize, a in assessment(), b in assessment()) {
        agrees(State::ALL[state], &a);
        more_causes_never_loosen(State::ALL[state], &a, &b);
    }
}
