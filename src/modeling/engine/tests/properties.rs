//! Properties as plain functions, and the proptests that try them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::{config, intent, seen};
use crate::id::KindId;
use crate::modeling::{BehaviourModel, ModelingEngine as _, ModelingInput, Observation, Profile};
use crate::time::Timestamp;
use crate::verdict::{Drift, SafetyFlags};

/// One observation of a generated history: kind, flags bit, seconds since the last.
type Step = (u8, u8, u16);

fn observations(steps: &[Step]) -> Vec<Observation> {
    let mut secs = 0;
    let observation = |(kind, flag, pause): &Step| {
        secs += u64::from(*pause);
        let flags = SafetyFlags::from_bits(1 << flag).unwrap();
        Observation { flags, ..seen(&alloc::format!("k{kind}"), secs) }
    };
    steps.iter().map(observation).collect()
}

fn small(hours: bool) -> BehaviourModel {
    let mut config = config();
    config.behaviour.forget_at = 48;
    config.behaviour.hours = hours;
    BehaviourModel::new(config).unwrap()
}

/// A profile is what its observations make it, however it was come by; another
/// subject's observations in between change nothing.
fn check_replay(steps: &[Step], others: &[Step]) {
    let model = small(true);
    let (own, other) = (observations(steps), observations(others));
    let mut whole = Profile::default();
    for observation in &own {
        model.observe(&mut whole, observation);
    }
    whole.check();
    let mut profiles = BTreeMap::<_, Profile>::new();
    for i in 0..own.len().max(other.len()) {
        for (subject, list) in [("bob", &other), ("alice", &own)] {
            if let Some(observation) = list.get(i) {
                model.observe(profiles.entry(subject).or_default(), observation);
            }
        }
    }
    assert_eq!(profiles.remove("alice").unwrap_or_default(), whole);
}

/// Of two kinds the one seen no more often, alone and after the last kind, is no
/// less surprising.
fn check_monotone(steps: &[Step]) {
    let model = small(false);
    let mut profile = Profile::default();
    for observation in &observations(steps) {
        model.observe(&mut profile, observation);
    }
    let now = Timestamp::from_secs(0);
    let kinds: Vec<KindId> = (0..7).map(|i| alloc::format!("k{i}").parse().unwrap()).collect();
    for a in &kinds {
        for b in &kinds {
            let rarer = profile.seen(a) <= profile.seen(b)
                && profile.seen_after_last(a) <= profile.seen_after_last(b);
            if rarer {
                let (a, b) = (model.surprise(&profile, a, now), model.surprise(&profile, b, now));
                assert!(a >= b, "{a} < {b}");
            }
        }
    }
}

/// Behaviour that repeats with a fixed period never drifts once it is judged.
fn check_routine(period: &[u8], rounds: usize, pause: u16) {
    let model = small(false);
    let mut profile = Profile::default();
    let steps: Vec<Step> =
        period.iter().cycle().take(period.len() * rounds).map(|kind| (*kind, 0, pause)).collect();
    for observation in observations(&steps) {
        let intent = intent(observation.kind.as_str(), &[]);
        let (flags, now) = (observation.flags, observation.at);
        let found = model.model(&ModelingInput { intent: &intent, flags, profile: &profile, now });
        assert_eq!(found.drift, Drift::None, "{:?}", found.reasons);
        model.observe(&mut profile, &observation);
    }
}

/// The same model in floating point, over plain lists.
#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "the reference")]
mod reference {
    use super::*;

    #[derive(Default)]
    pub(super) struct Reference {
        kinds: BTreeMap<KindId, u64>,
        pairs: BTreeMap<(KindId, KindId), u64>,
        hours: BTreeMap<u64, u64>,
        last: Option<KindId>,
        surprises: Vec<f64>,
        deviations: Vec<f64>,
    }

    impl Reference {
        fn bits(&self, kind: &KindId, at: Timestamp) -> f64 {
            let seen = self.kinds.get(kind).copied().unwrap_or(0) as f64;
            let total = self.kinds.values().sum::<u64>() as f64;
            let alone = (seen + 0.5) / (total + 0.5 * (self.kinds.len() as f64 + 1.0));
            let after = |last: &KindId| {
                let both = (last.clone(), kind.clone());
                let from = self.pairs.iter().filter(|((from, _), _)| from == last);
                let left: u64 = from.map(|(_, count)| count).sum();
                let pair = self.pairs.get(&both).copied().unwrap_or(0);
                (pair as f64 + 8.0 * alone) / (left as f64 + 8.0)
            };
            let p = self.last.as_ref().map_or(alone, after);
            let hours = self.hours.values().sum::<u64>() as f64;
            let hour = self.hours.get(&(at.as_millis() / 3_600_000 % 24)).copied().unwrap_or(0);
            -(p * (hour as f64 + 0.5) / (hours + 12.0)).log2()
        }

        fn mean(list: &[f64]) -> f64 {
            if list.is_empty() { 0.0 } else { list.iter().sum::<f64>() / list.len() as f64 }
        }

        pub(super) fn ppm(&self, kind: &KindId, at: Timestamp) -> f64 {
            let excess = (self.bits(kind, at) - Self::mean(&self.surprises)).max(0.0);
            1e6 * excess / (excess + 4.0 + Self::mean(&self.deviations))
        }

        pub(super) fn observe(&mut self, kind: &KindId, at: Timestamp) {
            if !self.kinds.is_empty() {
                let bits = self.bits(kind, at);
                let first = self.surprises.is_empty();
                let off = if first { 0.0 } else { (bits - Self::mean(&self.surprises)).abs() };
                self.deviations.push(off);
                self.surprises.push(bits);
            }
            *self.kinds.entry(kind.clone()).or_default() += 1;
            if let Some(last) = self.last.replace(kind.clone()) {
                *self.pairs.entry((last, kind.clone())).or_default() += 1;
            }
            *self.hours.entry(at.as_millis() / 3_600_000 % 24).or_default() += 1;
            if self.kinds.values().sum::<u64>() >= 48 {
                let halve = |count: &mut u64| {
                    *count /= 2;
                    *count > 0
                };
                self.kinds.retain(|_, count| halve(count));
                self.pairs.retain(|_, count| halve(count));
                self.hours.retain(|_, count| halve(count));
                let kinds = &self.kinds;
                let both = |pair: &(KindId, KindId)| {
                    kinds.contains_key(&pair.0) && kinds.contains_key(&pair.1)
                };
                self.pairs.retain(|pair, _| both(pair));
                self.last = self.last.take().filter(|last| kinds.contains_key(last));
            }
        }
    }
}

/// Fixed point and floating point differ by at most 40 parts per million: errors of
/// four logarithms and two means, each below 2^-15 bit, over a tolerance of 4 bits.
#[expect(clippy::float_arithmetic, reason = "the reference")]
fn check_reference(steps: &[Step]) {
    let model = small(true);
    let mut profile = Profile::default();
    let mut reference = reference::Reference::default();
    for observation in observations(steps) {
        let (kind, at) = (&observation.kind, observation.at);
        let fixed = model.surprise(&profile, kind, at).ppm();
        let float = reference.ppm(kind, at);
        assert!((f64::from(fixed) - float).abs() <= 40.0, "{fixed} {float}");
        model.observe(&mut profile, &observation);
        reference.observe(kind, at);
    }
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0_u8..6, 0_u8..4, 0_u16..8000), 0..most)
}

proptest! {
    #[test]
    fn profiles_are_rebuilt_by_replay(own in steps(120), others in steps(120)) {
        check_replay(&own, &others);
    }

    #[test]
    fn rarer_is_not_less_surprising(own in steps(120)) {
        check_monotone(&own);
    }

    #[test]
    fn routine_never_drifts(
        period in prop::collection::vec(0_u8..5, 1..5), rounds in 1_usize..80, pause in 0_u16..4000,
    ) {
        check_routine(&period, rounds, pause);
    }

    #[test]
    fn fixed_point_agrees_with_floating_point(own in steps(150)) {
        check_reference(&own);
    }
}
