//! The default Safety Engine: signals, envelope, forbidden routes, one decision.
//!
//! Requirements: IRM-4.5.1..IRM-4.5.6, D-53.

use alloc::format;
use alloc::vec::Vec;

use crate::audience::state::State;
use crate::intent::Intent;
use crate::provenance::{Sensitivity, Source};
use crate::risk::Risk;
use crate::safety::dimension::{Dimension, RiskSource, Signals};
use crate::safety::envelope::{Assessment, Envelope};
use crate::safety::{PostureInput, SafetyDecision, SafetyEngine, SafetyFinding, SafetyInput};
use crate::verdict::{
    CapabilityTier, Drift, EnvelopeDecision, EnvelopeVerdict, Narrowing, Reason, ReasonCode,
    SafetyFlags,
};

/// The Safety System: decides by a [`Envelope`] and by the audience's state.
///
/// In this order, the strictest answer wins:
/// 1. ESCALATED and HOLD: whatever does something is blocked, the rest is held (D-10).
/// 2. A privileged operation without the PRIVILEGED state is blocked.
/// 3. Forbidden routes and values too sensitive to leave are blocked.
/// 4. The envelope: allow, limit (Protected Mode), hold, block.
///
/// INVARIANT (monotone): raising a risk never loosens the decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SafetySystem {
    envelope: Envelope,
}

impl SafetySystem {
    /// A Safety System that decides by this envelope.
    pub const fn new(envelope: Envelope) -> Self {
        Self { envelope }
    }

    /// The envelope in force.
    pub const fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The scores of an intent without a decision, for whoever asks why.
    pub fn explain(&self, input: &SafetyInput<'_>) -> Assessment {
        let flags = input.flags.union(raised(input.intent));
        self.envelope.assess(&signals(input, flags, self.envelope.parts().full_age_millis))
    }

    fn narrowing(&self, intent: &Intent, flags: SafetyFlags, found: &Assessment) -> Narrowing {
        let mut narrowing = Narrowing::default();
        let overall = self.envelope.parts().overall.decide(found.overall());
        let dimensions = Dimension::ALL.into_iter().filter(|d| self.envelope.limited(found, *d));
        let reached =
            dimensions.map(Some).chain((overall >= EnvelopeDecision::Limit).then_some(None));
        for place in reached {
            let mut covered = false;
            for (_, rule) in &self.envelope.parts().limits {
                let here = rule.dimensions.is_empty()
                    || place.is_some_and(|dimension| rule.dimensions.contains(&dimension));
                let kind =
                    rule.kinds.as_ref().is_none_or(|kinds| kinds.contains(&intent.kind().id));
                if here && kind && flags.contains(rule.flags_all) {
                    covered = true;
                    narrowing.absorb(Narrowing {
                        drop_arguments: rule.drop_arguments.clone(),
                        exclude_modules: rule.exclude_modules.clone(),
                        read_only: rule.read_only,
                    });
                }
            }
            // A limit nobody wrote a rule for is the strictest one.
            narrowing.read_only |= !covered;
        }
        narrowing
    }
}

/// Flags that the values themselves show, whatever the catalogue says of the kind.
fn raised(intent: &Intent) -> SafetyFlags {
    let mut flags = SafetyFlags::NONE;
    if intent.label().is_outside() {
        flags = flags.union(SafetyFlags::OUTSIDE_ARGUMENT);
    }
    flags = match intent.label().sensitivity() {
        Sensitivity::Public | Sensitivity::Internal => flags,
        Sensitivity::Personal => flags.union(SafetyFlags::PERSONAL_DATA),
        Sensitivity::Secret => flags.union(SafetyFlags::CREDENTIALS),
    };
    if intent.kind().reads_outside.is_some() {
        flags = flags.union(SafetyFlags::READS_OUTSIDE);
    }
    flags
}

/// Whether it does anything but look.
fn acts(intent: &Intent, flags: SafetyFlags) -> bool {
    let doing = SafetyFlags::EFFECT
        .union(SafetyFlags::EXTERNAL)
        .union(SafetyFlags::IRREVERSIBLE)
        .union(SafetyFlags::FINANCIAL)
        .union(SafetyFlags::CREDENTIALS)
        .union(SafetyFlags::PRIVILEGED);
    flags.intersects(doing) || intent.kind().tier > CapabilityTier::Observe
}

fn privileged(intent: &Intent, flags: SafetyFlags) -> bool {
    flags.contains(SafetyFlags::PRIVILEGED) || intent.kind().tier == CapabilityTier::Privileged
}

const fn when(condition: bool, ppm: u64) -> Risk {
    if condition { Risk::saturating(ppm) } else { Risk::ZERO }
}

fn signals(input: &SafetyInput<'_>, flags: SafetyFlags, full_age: u64) -> Signals {
    let intent = input.intent;
    let effect = acts(intent, flags);
    let has = |flag| flags.contains(flag);
    let outflow = match intent.label().sensitivity() {
        Sensitivity::Public => 0,
        Sensitivity::Internal => 150_000,
        Sensitivity::Personal => 450_000,
        Sensitivity::Secret => 1_000_000,
    };
    let sensitive_kind = if has(SafetyFlags::CREDENTIALS) {
        350_000
    } else if has(SafetyFlags::PERSONAL_DATA) {
        200_000
    } else {
        0
    };
    let (mut unvouched, mut nameless) = (false, false);
    for argument in intent.arguments().values() {
        nameless |= argument.label.sources().next().is_none();
        unvouched |= argument.label.within(|source| matches!(source, Source::Agent));
    }
    let age = input.staleness_millis.saturating_mul(1_000_000).checked_div(full_age);
    let capability = match intent.kind().tier {
        CapabilityTier::Observe => 0,
        CapabilityTier::Act => 150_000,
        CapabilityTier::Commit => 300_000,
        CapabilityTier::Privileged => 500_000,
    };
    let state = match input.state {
        State::Verified | State::Privileged => 0,
        State::Base => 50_000,
        State::Init => 300_000,
        // What HOLD and ESCALATED forbid is decided by the state itself, not by a score:
        // otherwise no suspended audience could ever be found fit for release.
        State::Restricted | State::Hold | State::Escalated => 450_000,
    };
    let drift = match input.drift {
        Drift::None => 0,
        Drift::Soft => 300_000,
        Drift::Hard => 600_000,
    };
    let graded = |acting, looking| if effect { acting } else { looking };
    // In the order of `RiskSource::ALL`.
    Signals::from_array([
        // IdentityStrength
        Some(input.strength.complement()),
        // IdentityAnomaly
        Some(input.anomaly),
        // Surprise
        Some(input.surprise),
        // Drift
        Some(Risk::saturating(drift)),
        // SensitiveOutflow
        Some(when(has(SafetyFlags::EXTERNAL), outflow)),
        // SensitiveKind
        Some(Risk::saturating(sensitive_kind)),
        // OutsideArgument
        Some(when(has(SafetyFlags::OUTSIDE_ARGUMENT), graded(500_000, 150_000))),
        // UnvouchedArgument
        if nameless { None } else { Some(when(unvouched, graded(200_000, 50_000))) },
        // OutsideContext
        Some(when(input.context.is_outside(), graded(250_000, 50_000))),
        // FactAge
        if input.staleness_millis == 0 { Some(Risk::ZERO) } else { age.map(Risk::saturating) },
        // Snapshot
        if intent.reads().is_empty() || intent.snapshot().is_some() {
            Some(Risk::ZERO)
        } else {
            None
        },
        // Capability
        Some(Risk::saturating(capability)),
        // Reach
        Some(when(has(SafetyFlags::EXTERNAL), 150_000)),
        // Money
        Some(when(has(SafetyFlags::FINANCIAL), 150_000)),
        // Bulk
        Some(when(has(SafetyFlags::BULK), 200_000)),
        // Irreversible
        Some(when(has(SafetyFlags::IRREVERSIBLE), 450_000)),
        // AudienceState
        Some(Risk::saturating(state)),
    ])
}

impl SafetyEngine for SafetySystem {
    /// Everything an intent would bring is at rest: only who acts is scored. Neither the
    /// state (the gate knows it) nor what was read so far (it burdens intents, one by
    /// one) keeps an audience from its standing.
    fn posture(&self, input: &PostureInput<'_>) -> (EnvelopeVerdict, Risk) {
        let at_rest = RiskSource::ALL
            .into_iter()
            .fold(Signals::UNKNOWN, |signals, source| signals.with(source, Some(Risk::ZERO)))
            .with(RiskSource::IdentityStrength, Some(input.strength.complement()));
        let found = self.envelope.assess(&at_rest);
        (self.envelope.verdict(found.decision()), found.overall())
    }

    fn assess(&self, input: &SafetyInput<'_>) -> SafetyFinding {
        let intent = input.intent;
        let raised = raised(intent);
        let flags = input.flags.union(raised);
        let found =
            self.envelope.assess(&signals(input, flags, self.envelope.parts().full_age_millis));
        let mut verdict = found.decision();
        let mut strictest = verdict;
        let mut reasons = Vec::new();

        if matches!(input.state, State::Escalated | State::Hold) {
            let code = if input.state == State::Escalated {
                ReasonCode::AudienceEscalated
            } else {
                ReasonCode::AudienceHeld
            };
            reasons.push(Reason::new(code));
            strictest = strictest.max(if acts(intent, flags) {
                EnvelopeDecision::Block
            } else {
                EnvelopeDecision::Hold
            });
        }
        if privileged(intent, flags) && input.state != State::Privileged {
            let detail =
                format!("privileged operation, expected PRIVILEGED, found {}", input.state);
            reasons.push(Reason::new(ReasonCode::StateInsufficient).detail(detail));
            strictest = EnvelopeDecision::Block;
        }
        for (id, route) in &self.envelope.parts().forbidden {
            if route.matches(intent, flags, input.state, input.context) {
                let reason = Reason::new(ReasonCode::ForbiddenRoute).by(id.clone());
                reasons.push(reason.detail(route.reason.clone()));
                strictest = EnvelopeDecision::Block;
                if route.escalates {
                    verdict = EnvelopeDecision::Block;
                }
            }
        }
        if flags.contains(SafetyFlags::EXTERNAL) {
            let most = self.envelope.parts().outflow;
            for (name, argument) in intent.arguments() {
                if argument.label.sensitivity() > most {
                    let detail = format!("argument `{name}` from {}", argument.label);
                    reasons.push(Reason::new(ReasonCode::SensitiveOutflow).detail(detail));
                    strictest = EnvelopeDecision::Block;
                }
            }
        }
        if found.decision() != EnvelopeDecision::Allow {
            reasons.extend(self.envelope.explain(&found));
        } else if strictest != EnvelopeDecision::Allow {
            reasons.extend(found.reasons());
        }
        SafetyFinding {
            decision: match strictest {
                EnvelopeDecision::Allow => SafetyDecision::Allow,
                EnvelopeDecision::Limit => {
                    SafetyDecision::Modify(self.narrowing(intent, flags, &found))
                }
                EnvelopeDecision::Hold => SafetyDecision::Hold,
                EnvelopeDecision::Block => SafetyDecision::Block,
            },
            envelope: self.envelope.verdict(verdict),
            risk: found.overall(),
            raised: SafetyFlags::from_bits(raised.bits() & !input.flags.bits())
                .unwrap_or(SafetyFlags::NONE),
            reasons,
        }
    }
}
