//! The default Modeling System.
//!
//! Requirements: IRM-4.3.1..IRM-4.3.4.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::digest::Digest;
use crate::encode::{Decode as _, Encode as _};
use crate::id::{KindId, SubjectId};
use crate::modeling::bits::Bits;
use crate::modeling::{
    ModelingConfig, ModelingEngine, ModelingError, ModelingFinding, ModelingInput, Observation,
    Profile, Requirement,
};
use crate::risk::Risk;
use crate::time::Timestamp;
use crate::verdict::{Drift, Reason, ReasonCode, SafetyFlags};

/// The default Modeling System: a checked configuration, ready to be asked.
///
/// INVARIANT (checked): only [`BehaviourModel::new`] makes one, after
/// [`ModelingConfig::check`].
#[derive(Debug, Clone)]
pub struct BehaviourModel {
    config: ModelingConfig,
    digest: Digest,
    requirements: BTreeMap<KindId, Requirement>,
    /// Places in `config.preferences`: those of everybody, and those of one subject.
    everybody: Vec<usize>,
    subjects: BTreeMap<SubjectId, Vec<usize>>,
}

impl BehaviourModel {
    /// Checks and compiles a configuration.
    ///
    /// # Errors
    /// As [`ModelingConfig::check`].
    pub fn new(config: ModelingConfig) -> Result<Self, ModelingError> {
        config.check()?;
        let requirements =
            config.requires_before.iter().map(|r| (r.kind.clone(), r.clone())).collect();
        let mut everybody = Vec::new();
        let mut subjects = BTreeMap::<_, Vec<_>>::new();
        for (i, preference) in config.preferences.iter().enumerate() {
            match &preference.subject {
                None => everybody.push(i),
                Some(subject) => subjects.entry(subject.clone()).or_default().push(i),
            }
        }
        Ok(Self { digest: config.digest(), requirements, everybody, subjects, config })
    }

    /// The configuration.
    pub const fn config(&self) -> &ModelingConfig {
        &self.config
    }

    /// The configuration's digest.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// How surprising this kind would be now, whatever the length of the history.
    pub fn surprise(&self, profile: &Profile, kind: &KindId, now: Timestamp) -> Risk {
        self.scale(profile, profile.surprise(kind, now, &self.config.behaviour))
    }

    /// `e / (e + t + d)`, see [`crate::modeling`].
    fn scale(&self, profile: &Profile, surprise: Bits) -> Risk {
        let excess = u64::from(surprise.beyond(profile.usual()).raw());
        let tolerance = self.config.behaviour.tolerance().plus(profile.deviation()).raw();
        Risk::saturating(excess * 1_000_000 / (excess + u64::from(tolerance.max(1))))
    }

    fn behaviour(&self, input: &ModelingInput<'_, Profile>, finding: &mut ModelingFinding) {
        let (config, profile) = (&self.config.behaviour, input.profile);
        let kind = &input.intent.kind().id;
        let bits = profile.surprise(kind, input.now, config);
        finding.surprise = self.scale(profile, bits);
        let (drift, code) = if finding.surprise >= config.hard {
            (Drift::Hard, ReasonCode::DriftHard)
        } else if finding.surprise >= config.soft {
            (Drift::Soft, ReasonCode::DriftSoft)
        } else {
            return;
        };
        raise(finding, drift, || {
            Reason::new(code).detail(format!(
                "expected a surprise of about {} bits, found {bits}: kind `{kind}` seen {} of {} times",
                profile.usual(),
                profile.seen(kind),
                profile.total()
            ))
        });
    }

    fn flags(&self, input: &ModelingInput<'_, Profile>, finding: &mut ModelingFinding) {
        let context = &self.config.context;
        let watched = input.flags.bits() & context.watched_flags.bits();
        let new = SafetyFlags::from_bits(watched & !input.profile.flags().bits());
        let Some(new) = new.filter(|new| !new.is_empty()) else { return };
        raise(finding, context.new_flags, || {
            Reason::new(ReasonCode::ContextMismatch)
                .detail(format!("expected flags seen before, found new: {new}"))
        });
    }

    fn pace(&self, input: &ModelingInput<'_, Profile>, finding: &mut ModelingFinding) {
        let (config, pace) = (&self.config.context.pace, input.profile.pace());
        if pace.windows() < config.min_windows {
            return;
        }
        let found = pace.now(input.now, config);
        let drift = if found <= u64::from(config.floor) || !pace.exceeds(found, config.soft) {
            return;
        } else if pace.exceeds(found, config.hard) {
            Drift::Hard
        } else {
            Drift::Soft
        };
        raise(finding, drift, || {
            Reason::new(ReasonCode::ContextMismatch).detail(format!(
                "expected about {} in {} s, found {found}",
                pace.usual(),
                config.window_seconds
            ))
        });
    }

    fn predecessor(&self, input: &ModelingInput<'_, Profile>, finding: &mut ModelingFinding) {
        let Some(requirement) = self.requirements.get(&input.intent.kind().id) else { return };
        let recent = |at: Timestamp| {
            let within = requirement.within_seconds.map(|seconds| seconds.saturating_mul(1000));
            within.is_none_or(|within| input.now.since(at) <= within)
        };
        let continues =
            |(kind, at): &(KindId, Timestamp)| requirement.any_of.contains(kind) && recent(*at);
        if input.profile.recent().any(continues) {
            return;
        }
        raise(finding, self.config.context.missing_predecessor, || {
            let kinds: Vec<_> = requirement.any_of.iter().map(KindId::as_str).collect();
            let within = requirement.within_seconds.map(|seconds| format!(" within {seconds} s"));
            Reason::new(ReasonCode::ContextMismatch).detail(format!(
                "expected `{}` after `{}`{}, found none",
                requirement.kind,
                kinds.join("` or `"),
                within.as_deref().unwrap_or_default()
            ))
        });
    }

    fn preferences(&self, input: &ModelingInput<'_, Profile>, finding: &mut ModelingFinding) {
        if self.config.preferences.is_empty() {
            return;
        }
        let own = self.subjects.get(input.intent.subject()).map_or(&[][..], Vec::as_slice);
        for place in self.everybody.iter().chain(own) {
            let Some(preference) = self.config.preferences.get(*place) else { continue };
            if !preference.concerns(&input.intent.kind().id) {
                continue;
            }
            let detail: Option<String> = preference.broken(input.intent, input.now);
            if let Some(detail) = detail {
                raise(finding, preference.strength, || {
                    Reason::new(ReasonCode::PreferenceConflict)
                        .by(preference.id.clone())
                        .detail(detail)
                });
            }
        }
    }
}

impl ModelingEngine for BehaviourModel {
    type Profile = Profile;

    fn model(&self, input: &ModelingInput<'_, Profile>) -> ModelingFinding {
        let mut finding = ModelingFinding {
            drift: Drift::None,
            surprise: self.config.behaviour.neutral,
            reasons: Vec::new(),
        };
        if input.profile.taken() < u64::from(self.config.behaviour.min_history) {
            finding.reasons.push(Reason::new(ReasonCode::HistoryShort));
        } else {
            self.behaviour(input, &mut finding);
            self.flags(input, &mut finding);
            self.pace(input, &mut finding);
        }
        self.predecessor(input, &mut finding);
        self.preferences(input, &mut finding);
        finding
    }

    fn observe(&self, profile: &mut Profile, observation: &Observation) {
        profile.observe(observation, &self.config.behaviour, &self.config.context.pace);
    }

    fn keeps(&self) -> Option<Digest> {
        Some(self.digest)
    }

    fn keep(&self, profile: &Profile) -> Vec<u8> {
        profile.to_canonical()
    }

    fn kept(&self, bytes: &[u8]) -> Option<Profile> {
        Profile::from_canonical(bytes).ok()
    }
}

/// Raises the drift and says why; a cause configured to be no drift is not told.
fn raise(finding: &mut ModelingFinding, drift: Drift, reason: impl FnOnce() -> Reason) {
    if drift > Drift::None {
        finding.drift = finding.drift.max(drift);
        finding.reasons.push(reason());
    }
}

#[cfg(test)]
mod tests;
