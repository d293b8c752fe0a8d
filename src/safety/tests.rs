//! What the Safety System promises, shown on its public face.

use alloc::string::ToString;
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::audience::state::State;
use crate::id::RuleId;
use crate::intent::Intent;
use crate::intent::testing::Sample;
use crate::provenance::{Label, Sensitivity, Source};
use crate::risk::Risk;
use crate::safety::*;
use crate::time::Timestamp;
use crate::verdict::{CapabilityTier, Drift, EnvelopeDecision, ReasonCode, SafetyFlags};

mod engine;

fn risk(ppm: u32) -> Risk {
    Risk::from_ppm(ppm).unwrap()
}

fn quiet() -> Signals {
    RiskSource::ALL.into_iter().fold(Signals::UNKNOWN, |s, source| s.with(source, Some(Risk::ZERO)))
}

fn outside() -> Label {
    Label::from(Source::Outside("web".parse().unwrap()))
}

fn mail(recipient: Label) -> Intent {
    Sample::new(
        "mail.send",
        CapabilityTier::Commit,
        SafetyFlags::EFFECT.union(SafetyFlags::EXTERNAL),
    )
    .argument("recipient", "bob@example.org", recipient)
    .argument("body", "hello", Source::User.into())
    .build()
}

fn input<'a>(intent: &'a Intent, context: &'a Label) -> SafetyInput<'a> {
    SafetyInput {
        intent,
        flags: intent.kind().flags,
        state: State::Verified,
        strength: risk(950_000),
        anomaly: Risk::ZERO,
        drift: Drift::None,
        surprise: Risk::ZERO,
        context,
        staleness_millis: 0,
        now: Timestamp::from_millis(1),
    }
}

fn restriction(decision: &SafetyDecision) -> u8 {
    match decision {
        SafetyDecision::Allow => 0,
        SafetyDecision::Modify(_) => 1,
        SafetyDecision::Hold => 2,
        SafetyDecision::Block => 3,
    }
}

fn arb_risk() -> impl Strategy<Value = Risk> {
    (0_u32..=1_000_000).prop_map(risk)
}

fn arb_signals() -> impl Strategy<Value = Signals> {
    prop::collection::vec(prop::option::weighted(0.9, arb_risk()), SOURCES).prop_map(|found| {
        RiskSource::ALL
            .into_iter()
            .zip(found)
            .fold(Signals::UNKNOWN, |signals, (source, risk)| signals.with(source, risk))
    })
}

fn arb_envelope() -> impl Strategy<Value = Envelope> {
    let rule = prop::sample::select(Vec::from([Combine::NoisyOr, Combine::Max, Combine::Weighted]));
    let thresholds = prop::collection::vec(0_u32..=1_000_000, 3).prop_map(|mut found| {
        found.sort_unstable();
        Thresholds { limit: risk(found[0]), hold: risk(found[1]), block: risk(found[2]) }
    });
    let bounds = (rule, arb_risk(), thresholds.clone())
        .prop_map(|(combine, share, thresholds)| Bounds { combine, share, thresholds });
    let weights = prop::collection::vec(arb_risk(), SOURCES);
    (prop::collection::vec(bounds, DIMENSIONS), thresholds, weights, arb_risk()).prop_map(
        |(bounds, overall, weights, unknown)| {
            Envelope::new(EnvelopeParts {
                dimensions: bounds.try_into().unwrap(),
                overall,
                weights: weights.try_into().unwrap(),
                unknown,
                ..EnvelopeParts::default()
            })
            .unwrap()
        },
    )
}

/// Raising a signal never loosens the decision or lowers a score.
fn monotone(envelope: &Envelope, signals: &Signals, source: RiskSource, more: Risk) {
    let before = envelope.assess(signals);
    let now = signals.get(source).unwrap_or(envelope.parts().unknown);
    let after = envelope.assess(&signals.with(source, Some(now.max(more))));
    assert!(after.decision() >= before.decision());
    assert!(after.overall() >= before.overall());
    for dimension in Dimension::ALL {
        assert!(after.risk(dimension) >= before.risk(dimension));
    }
}

/// The same scores, computed the slow and obvious way with exact fractions rounded up
/// at the documented places.
fn naive(envelope: &Envelope, signals: &Signals) -> (Vec<u64>, u64, u8) {
    const ONE: u64 = 1_000_000;
    let parts = envelope.parts();
    let mut risks = Vec::new();
    for (d, dimension) in Dimension::ALL.into_iter().enumerate() {
        let mut contributions = Vec::new();
        let mut weights = 0;
        for (i, source) in RiskSource::ALL.into_iter().enumerate() {
            if source.dimension() == dimension {
                let value = signals.get(source).unwrap_or(parts.unknown).ppm();
                let weight = u64::from(parts.weights[i].ppm());
                weights += weight;
                contributions.push((u64::from(value) * weight).div_ceil(ONE));
            }
        }
        risks.push(match parts.dimensions[d].combine {
            Combine::Max => contributions.iter().copied().max().unwrap_or(0),
            Combine::NoisyOr => {
                ONE - contributions.iter().fold(ONE, |spared, c| spared * (ONE - c) / ONE)
            }
            Combine::Weighted => {
                let sum: u64 = contributions.iter().sum();
                if weights == 0 { 0 } else { (sum * ONE).div_ceil(weights).min(ONE) }
            }
        });
    }
    let spared = risks.iter().zip(&parts.dimensions).fold(ONE, |spared, (risk, bounds)| {
        spared * (ONE - (risk * u64::from(bounds.share.ppm())).div_ceil(ONE)) / ONE
    });
    let overall = risks.iter().copied().max().unwrap().max(ONE - spared);
    let level = |risk: u64, t: &Thresholds| {
        u8::from(risk >= u64::from(t.limit.ppm()))
            .max(2 * u8::from(risk >= u64::from(t.hold.ppm())))
            .max(3 * u8::from(risk >= u64::from(t.block.ppm())))
    };
    let each = risks.iter().zip(&parts.dimensions).map(|(r, b)| level(*r, &b.thresholds));
    let decision = each.max().unwrap().max(level(overall, &parts.overall));
    (risks, overall, decision)
}

proptest! {
    /// PLAN-3.5, PLAN-4.5.2, PLAN-5.6.2, D-53.
    #[test]
    fn plan_4_5_2_the_envelope_is_monotone(
        envelope in arb_envelope(),
        signals in arb_signals(),
        source in 0..SOURCES,
        more in arb_risk(),
    ) {
        monotone(&envelope, &signals, RiskSource::ALL[source], more);
        monotone(&Envelope::default(), &signals, RiskSource::ALL[source], more);
    }

    /// PLAN-4.5.1, PLAN-5.6.1, IRM-4.5.1.
    #[test]
    fn the_envelope_agrees_with_the_naive_reference(
        envelope in arb_envelope(),
        signals in arb_signals(),
    ) {
        let found = envelope.assess(&signals);
        prop_assert_eq!(found, envelope.assess(&signals), "deterministic");
        let (risks, overall, decision) = naive(&envelope, &signals);
        for (dimension, risk) in Dimension::ALL.into_iter().zip(risks) {
            prop_assert_eq!(u64::from(found.risk(dimension).ppm()), risk);
        }
        prop_assert_eq!(u64::from(found.overall().ppm()), overall);
        prop_assert_eq!(found.decision() as u8, decision);
    }

    /// IRM-4.5.2, D-53.
    #[test]
    fn irm_4_5_2_the_engine_is_monotone_in_what_it_is_told(
        low in prop::collection::vec(arb_risk(), 3),
        raise in 0_usize..3,
        by in arb_risk(),
        drift in 0_usize..3,
        stale in 0_u64..10_000_000_000,
        older in 0_u64..10_000_000_000,
        from_outside in any::<bool>(),
    ) {
        let drifts = [Drift::None, Drift::Soft, Drift::Hard];
        let intent = mail(Source::User.into());
        let context = if from_outside { outside() } else { Label::empty() };
        let mut calm = input(&intent, &context);
        (calm.strength, calm.anomaly, calm.surprise) = (low[0], low[1], low[2]);
        (calm.drift, calm.staleness_millis) = (drifts[drift], stale);
        let mut worse = calm;
        match raise {
            0 => worse.strength = calm.strength.min(by),
            1 => worse.anomaly = calm.anomaly.max(by),
            _ => worse.surprise = calm.surprise.max(by),
        }
        worse.drift = drifts[(drift + 1).min(2)];
        worse.staleness_millis = stale.max(older);
        let system = SafetySystem::default();
        let (before, after) = (system.assess(&calm), system.assess(&worse));
        prop_assert!(restriction(&after.decision) >= restriction(&before.decision));
        prop_assert!(after.envelope.decision() >= before.envelope.decision());
        prop_assert!(after.risk >= before.risk);
    }
}

#[test]
fn every_threshold_is_reached_at_its_own_value() {
    let mut parts = EnvelopeParts { weights: [Risk::MAX; SOURCES], ..EnvelopeParts::default() };
    parts.overall = Thresholds { limit: Risk::MAX, hold: Risk::MAX, block: Risk::MAX };
    let envelope = Envelope::new(parts).unwrap();
    for dimension in Dimension::ALL {
        let bounds = envelope.bounds(dimension);
        let Thresholds { limit, hold, block } = bounds.thresholds;
        // One source at weight one decides alone, whatever the rule (max and noisy-or).
        let source = dimension.sources().next().unwrap();
        for (at, below, reached) in [
            (limit, EnvelopeDecision::Allow, EnvelopeDecision::Limit),
            (hold, EnvelopeDecision::Limit, EnvelopeDecision::Hold),
            (block, EnvelopeDecision::Hold, EnvelopeDecision::Block),
        ] {
            let assess = |risk| envelope.assess(&quiet().with(source, Some(risk))).decision();
            assert_eq!(assess(risk(at.ppm() - 1)), below, "{dimension} below {at}");
            assert_eq!(assess(at), reached, "{dimension} at {at}");
        }
    }
}

#[test]
fn thresholds_meet_where_they_are_equal() {
    let all = Thresholds { limit: risk(5), hold: risk(5), block: risk(5) };
    assert_eq!(all.decide(risk(4)), EnvelopeDecision::Allow);
    assert_eq!(all.decide(risk(5)), EnvelopeDecision::Block);
    let none = Thresholds { limit: Risk::ZERO, hold: Risk::MAX, block: Risk::MAX };
    assert_eq!(none.decide(Risk::ZERO), EnvelopeDecision::Limit);
    assert_eq!(none.decide(Risk::MAX), EnvelopeDecision::Block);
}

#[test]
fn unknown_is_not_zero_and_says_so() {
    let envelope = Envelope::default();
    let known = envelope.assess(&quiet());
    let blank = envelope.assess(&quiet().with(RiskSource::Snapshot, None));
    assert_eq!(known.risk(Dimension::Staleness), Risk::ZERO);
    assert_eq!(blank.risk(Dimension::Staleness), risk(500_000));
    let text = blank.reasons().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(
        text.contains("staleness 0.500000: snapshot 0.500000 (unknown) x 1.000000 = 0.500000"),
        "{text}"
    );
}

#[test]
fn asm2_4_10_the_default_envelope_has_a_known_digest() {
    assert_eq!(
        Envelope::default().digest().to_string(),
        "18d2b67f904fbba1ea3310d77f6e941bb82930b682ffad52619d9fa03605574d"
    );
}
