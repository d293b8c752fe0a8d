//! What an audience may do in its state, and what escalation takes away (D-10).
//!
//! | state | highest tier |
//! |---|---|
//! | RESTRICTED | observe |
//! | BASE | act |
//! | VERIFIED | commit |
//! | PRIVILEGED | privileged |
//! | INIT, HOLD, ESCALATED | none |
//!
//! Flags raise the tier that is asked for: an effect is at least `act`, what leaves the
//! organisation or cannot be undone at least `commit`, a privileged operation
//! `privileged`. A module cannot lower its tier by understating it.
//!
//! Requirements: ASM2-1.3, ASM2-7.10, ASM2-7.12.

use crate::audience::any::AnyAudience;
use crate::audience::state::State;
use crate::audience::table::ceiling;
use crate::verdict::{CapabilityTier, ReasonCode, SafetyFlags};

/// Why an audience may not do something. Transient: another state may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The Safety System answers for every layer, and its answer is no (ASM2-7.12).
    #[error("the audience is escalated: every operation is refused and the Safety System answers")]
    Escalated,
    /// Suspended until governance has validated the audience (ASM2-3.6).
    #[error("the audience is on hold: every operation waits for governance")]
    Held,
    /// The state's ceiling is below what is asked for.
    #[error("the audience is in {state}, which is not enough for the tier `{tier:?}`")]
    Insufficient {
        /// The state.
        state: State,
        /// The tier asked for.
        tier: CapabilityTier,
    },
}

impl Denied {
    /// The reason's code in a verdict.
    pub const fn code(&self) -> ReasonCode {
        match self {
            Self::Escalated => ReasonCode::AudienceEscalated,
            Self::Held | Self::Insufficient { .. } => ReasonCode::StateInsufficient,
        }
    }
}

/// The tier that an operation needs: its own, or what its flags imply.
pub fn needed_tier(tier: CapabilityTier, flags: SafetyFlags) -> CapabilityTier {
    let implied = if flags.contains(SafetyFlags::PRIVILEGED) {
        CapabilityTier::Privileged
    } else if flags.intersects(SafetyFlags::EXTERNAL.union(SafetyFlags::IRREVERSIBLE)) {
        CapabilityTier::Commit
    } else if flags.contains(SafetyFlags::EFFECT) {
        CapabilityTier::Act
    } else {
        CapabilityTier::Observe
    };
    tier.max(implied)
}

/// Whether an audience in `state` may do what has this tier and these flags.
///
/// # Errors
/// [`Denied`] with the state's answer.
pub fn permits(state: State, tier: CapabilityTier, flags: SafetyFlags) -> Result<(), Denied> {
    let tier = needed_tier(tier, flags);
    match (state, ceiling(state)) {
        (State::Escalated, _) => Err(Denied::Escalated),
        (State::Hold, _) => Err(Denied::Held),
        (_, Some(highest)) if tier <= highest => Ok(()),
        _ => Err(Denied::Insufficient { state, tier }),
    }
}

impl AnyAudience {
    /// Whether the audience may do what has this tier and these flags.
    ///
    /// # Errors
    /// [`Denied`] with the state's answer.
    pub fn permits(&self, tier: CapabilityTier, flags: SafetyFlags) -> Result<(), Denied> {
        permits(self.state(), tier, flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIERS: [CapabilityTier; 4] = [
        CapabilityTier::Observe,
        CapabilityTier::Act,
        CapabilityTier::Commit,
        CapabilityTier::Privileged,
    ];

    /// ASM2-7.10, ASM2-7.12.
    #[test]
    fn d_10_asm2_7_10_an_escalated_audience_may_do_nothing_whatever_the_flags() {
        for tier in TIERS {
            for bits in 0..1 << SafetyFlags::ALL.len() {
                let flags = SafetyFlags::from_bits(bits).unwrap();
                assert_eq!(permits(State::Escalated, tier, flags), Err(Denied::Escalated));
                assert_eq!(permits(State::Hold, tier, flags), Err(Denied::Held));
                assert!(permits(State::Init, tier, flags).is_err());
                let privileged = needed_tier(tier, flags) == CapabilityTier::Privileged;
                assert_eq!(
                    permits(State::Verified, tier, flags).is_err(),
                    privileged,
                    "{tier:?} {flags}"
                );
                assert_eq!(permits(State::Privileged, tier, flags), Ok(()));
            }
        }
        assert_eq!(Denied::Escalated.code(), ReasonCode::AudienceEscalated);
    }

    #[test]
    fn flags_raise_the_tier() {
        let observe = CapabilityTier::Observe;
        assert_eq!(permits(State::Restricted, observe, SafetyFlags::NONE), Ok(()));
        assert!(permits(State::Restricted, observe, SafetyFlags::EFFECT).is_err());
        assert_eq!(permits(State::Base, observe, SafetyFlags::EFFECT), Ok(()));
        assert!(permits(State::Base, observe, SafetyFlags::EXTERNAL).is_err());
        assert!(permits(State::Verified, observe, SafetyFlags::PRIVILEGED).is_err());
    }
}
