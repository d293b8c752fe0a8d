//! Why an audience loses trust: the causes of ASM2-6, ASM2-7 and ASM2-8, and sets of them.
//!
//! Restrictive moves are justified by their cause alone (D-4), so anybody who holds
//! an audience may name one: restricting needs no permission. What needs numbers or a
//! verdict to be true (a risk above the threshold, Class C, a violation) can be made
//! only from these.
//!
//! ```
//! use prospera::audience::causes::{EscalationTrigger, HoldTrigger, HoldTriggers};
//! use prospera::risk::Risk;
//! assert_eq!(EscalationTrigger::of_risk(Risk::ESCALATION), Some(EscalationTrigger::RiskScore));
//! let set = HoldTriggers::NONE.with(HoldTrigger::GovernanceFlag);
//! assert_eq!(set.first(), Some(HoldTrigger::GovernanceFlag));
//! ```

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::audience::classifier::{Class, ClassVerdict};
use crate::audience::matrix::{MatrixDecision, MatrixVerdict};
use crate::digest::Digest;
use crate::encode::byte_enum;
use crate::risk::Risk;
use crate::verdict::{EnvelopeDecision, EnvelopeVerdict, KernelDecision, KernelVerdict};

macro_rules! causes {
    (
        $(#[$doc:meta])* $name:ident, $(#[$set_doc:meta])* $set:ident, $what:literal,
        { $($(#[$variant_doc:meta])* $variant:ident = $number:literal, $text:literal;)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$variant_doc])* $variant = $number,)* }

        impl $name {
            /// All of them, the gravest first.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The specification's words.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        byte_enum!($name, $what, { $($variant = $number,)* });

        $(#[$set_doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $set(u8);

        impl $set {
            /// The empty set.
            pub const NONE: Self = Self(0);
            /// The full set.
            pub const ALL: Self = Self(0 $(| 1 << ($number - 1))*);

            /// The set's bits: bit `n - 1` is the member with number `n`.
            pub const fn bits(self) -> u8 {
                self.0
            }

            /// From bits; `None` when a bit has no meaning.
            pub const fn from_bits(bits: u8) -> Option<Self> {
                if bits & !Self::ALL.0 == 0 { Some(Self(bits)) } else { None }
            }

            /// The set with one more member.
            #[must_use]
            pub const fn with(self, member: $name) -> Self {
                Self(self.0 | 1 << (member as u8 - 1))
            }

            /// Whether this is a member.
            pub const fn contains(self, member: $name) -> bool {
                self.0 >> (member as u8 - 1) & 1 == 1
            }

            /// Whether the set has no member.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// The gravest member.
            pub fn first(self) -> Option<$name> {
                self.iter().next()
            }

            /// The members, the gravest first.
            pub fn iter(self) -> impl Iterator<Item = $name> {
                $name::ALL.iter().copied().filter(move |member| self.contains(*member))
            }
        }

        impl FromIterator<$name> for $set {
            fn from_iter<I: IntoIterator<Item = $name>>(members: I) -> Self {
                members.into_iter().fold(Self::NONE, Self::with)
            }
        }
    };
}

causes! {
    /// A condition for a downgrade (ASM2-6.1..ASM2-6.5).
    DowngradeCause,
    /// Downgrade causes that stand at once.
    DowngradeCauses, "a downgrade cause",
    {
        /// SSOT lineage contradicts itself.
        LineageInconsistent = 1, "inconsistent SSOT lineage";
        /// Subsystems drift apart.
        SubsystemDrift = 2, "cross-subsystem drift";
        /// The Safety Envelope v2.0 no longer fits.
        EnvelopeMismatch = 3, "envelope mismatch";
        /// The capability tier does not match.
        TierMismatch = 4, "mismatched capability tier";
        /// Predicted risk rose.
        PredictiveRisk = 5, "increased predictive risk";
    }
}

causes! {
    /// What triggers HOLD (ASM2-8.1..ASM2-8.4).
    HoldTrigger,
    /// Hold triggers that stand at once.
    HoldTriggers, "a hold trigger",
    {
        /// Governance raised a flag.
        GovernanceFlag = 1, "governance flag";
        /// The identity is inconsistent.
        IdentityInconsistency = 2, "identity inconsistency";
        /// The lineage has gaps.
        IncompleteLineage = 3, "incomplete lineage";
        /// Subsystems are in conflict.
        SubsystemConflict = 4, "subsystem conflict";
    }
}

causes! {
    /// What triggers escalation (ASM2-7.1..ASM2-7.5).
    EscalationTrigger,
    /// Escalation triggers that stand at once.
    EscalationTriggers, "an escalation trigger",
    {
        /// A Kernel Constitutional Rule is violated.
        ConstitutionalViolation = 1, "constitutional violation";
        /// Identities do not match.
        IdentityAnomaly = 2, "identity mismatch anomaly";
        /// The Safety Envelope decided block.
        EnvelopeBlock = 3, "envelope block";
        /// The Audience Matrix cell decided block.
        MatrixBlock = 4, "matrix block";
        /// The risk score is at or above [`Risk::ESCALATION`].
        RiskScore = 5, "risk score";
    }
}

impl EscalationTrigger {
    /// The trigger in a risk score (ASM2-7.1, D-8): at or above 800,000 ppm.
    pub fn of_risk(risk: Risk) -> Option<Self> {
        (risk >= Risk::ESCALATION).then_some(Self::RiskScore)
    }

    /// The trigger in an envelope verdict (ASM2-7.2).
    pub fn of_envelope(verdict: &EnvelopeVerdict) -> Option<Self> {
        (verdict.decision() == EnvelopeDecision::Block).then_some(Self::EnvelopeBlock)
    }

    /// The trigger in a matrix verdict (ASM2-7.3).
    pub fn of_matrix(verdict: &MatrixVerdict) -> Option<Self> {
        (verdict.decision() == MatrixDecision::Block).then_some(Self::MatrixBlock)
    }

    /// The trigger in a kernel verdict (ASM2-7.4).
    pub fn of_kernel(verdict: &KernelVerdict) -> Option<Self> {
        ConstitutionalViolation::of(verdict).map(|_| Self::ConstitutionalViolation)
    }
}

/// A violation of the constitution, found by the Kernel Rules; what INIT escalates for (ASM2-7.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConstitutionalViolation {
    rule: u8,
    kernel: Digest,
}

impl ConstitutionalViolation {
    /// The violation in a kernel verdict, if it is one.
    pub const fn of(verdict: &KernelVerdict) -> Option<Self> {
        match verdict.decision() {
            KernelDecision::Violation(rule) => Some(Self { rule, kernel: verdict.digest() }),
            KernelDecision::Clear | KernelDecision::ConstitutionalClearance => None,
        }
    }

    /// The violated rule: its index in the kernel's list.
    pub const fn rule(&self) -> u8 {
        self.rule
    }

    /// The digest of the kernel rules.
    pub const fn kernel(&self) -> Digest {
        self.kernel
    }
}

/// A restriction threshold: below [`Risk::ESCALATION`] (D-8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Risk", into = "Risk")]
pub struct RestrictionThreshold(Risk);

/// A risk that is no restriction threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a restriction threshold below {}, found {found}", Risk::ESCALATION)]
pub struct ThresholdError {
    /// The risk.
    pub found: Risk,
}

impl RestrictionThreshold {
    /// A threshold at this risk.
    ///
    /// # Errors
    /// [`ThresholdError`] at or above 800,000 ppm.
    pub fn new(risk: Risk) -> Result<Self, ThresholdError> {
        if risk < Risk::ESCALATION { Ok(Self(risk)) } else { Err(ThresholdError { found: risk }) }
    }

    /// The threshold as a risk.
    pub const fn risk(self) -> Risk {
        self.0
    }

    /// Whether a risk is above it.
    pub fn exceeded_by(self, risk: Risk) -> bool {
        risk > self.0
    }
}

impl Default for RestrictionThreshold {
    fn default() -> Self {
        Self(Risk::RESTRICTION_DEFAULT)
    }
}

impl TryFrom<Risk> for RestrictionThreshold {
    type Error = ThresholdError;

    fn try_from(risk: Risk) -> Result<Self, ThresholdError> {
        Self::new(risk)
    }
}

impl From<RestrictionThreshold> for Risk {
    fn from(threshold: RestrictionThreshold) -> Self {
        threshold.0
    }
}

/// Why BASE is restricted (ASM2-3.5, ASM2-4.5): made from a verdict or a number that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Restriction(Ground);

/// What a restriction rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ground {
    /// The classifier with this digest found Class C (D-7).
    ClassC {
        /// The classifier's digest.
        classifier: Digest,
    },
    /// The risk is above the threshold.
    Risk {
        /// The risk.
        risk: Risk,
        /// The threshold it is above.
        threshold: RestrictionThreshold,
    },
}

impl Restriction {
    /// The restriction that a class verdict demands: for Class C only.
    pub fn of_class(verdict: &ClassVerdict) -> Option<Self> {
        (verdict.class() == Class::C)
            .then_some(Self(Ground::ClassC { classifier: verdict.digest() }))
    }

    /// The restriction that a risk demands: above the threshold only.
    pub fn of_risk(risk: Risk, threshold: RestrictionThreshold) -> Option<Self> {
        threshold.exceeded_by(risk).then_some(Self(Ground::Risk { risk, threshold }))
    }

    pub(in crate::audience) const fn class_c(classifier: Digest) -> Self {
        Self(Ground::ClassC { classifier })
    }

    /// What it rests on.
    pub const fn ground(&self) -> Ground {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d_8_the_threshold_lies_below_escalation() {
        assert!(RestrictionThreshold::new(Risk::ESCALATION).is_err());
        let threshold = RestrictionThreshold::new(Risk::saturating(799_999)).unwrap();
        assert!(Restriction::of_risk(Risk::saturating(799_999), threshold).is_none());
        assert!(Restriction::of_risk(Risk::ESCALATION, threshold).is_some());
        assert_eq!(RestrictionThreshold::default().risk().ppm(), 600_000);
    }

    #[test]
    fn asm2_7_1_escalation_starts_at_exactly_800_000() {
        assert_eq!(EscalationTrigger::of_risk(Risk::saturating(799_999)), None);
        assert_eq!(
            EscalationTrigger::of_risk(Risk::saturating(800_000)),
            Some(EscalationTrigger::RiskScore)
        );
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        for bits in 0..=u8::MAX {
            let set = HoldTriggers::from_bits(bits);
            assert_eq!(set.is_some(), bits < 16);
            if let Some(set) = set {
                assert_eq!(set.iter().collect::<HoldTriggers>(), set);
                assert_eq!(set.iter().count(), bits.count_ones() as usize);
            }
        }
    }
}
