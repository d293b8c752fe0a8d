//! `evaluate(state, assessment)`: the one mandated move (D-5).
//!
//! Total and deterministic: every state and every assessment has exactly one move. When
//! several causes stand at once the most restrictive legal move wins: escalate, then
//! hold, then downgrade, then stay, then advance. Among causes for the same move the
//! gravest is named, in the order of [`crate::audience::causes`].
//!
//! | state | escalate | hold | downgrade |
//! |---|---|---|---|
//! | INIT | for a constitutional violation (ASM2-7.6) | never: it stays (D-6) | never |
//! | BASE, VERIFIED | for any trigger | suspended along the legal path (D-6) | for a cause; BASE also for Class C or risk above the threshold |
//! | PRIVILEGED | for any trigger, or when it must be left and governance is out of reach (D-2) | suspended, authorized | for a cause, authorized |
//! | RESTRICTED | for any trigger | for a hold trigger | for a cause, to HOLD |
//! | HOLD, ESCALATED | stay: governance alone leads out | | |
//!
//! Class C and risk above the threshold stand for a downgrade cause in VERIFIED and
//! PRIVILEGED (they would restrict BASE), as does an envelope that only a person can pass;
//! identity or context that no longer holds leads VERIFIED back to BASE (ASM2-3.3).
//!
//! ```
//! use prospera::audience::causes::EscalationTrigger;
//! use prospera::audience::evaluate::{Assessment, Move, evaluate};
//! use prospera::audience::state::State;
//! use prospera::risk::Risk;
//! let assessment = Assessment { risk: Risk::ESCALATION, ..Assessment::calm() };
//! assert_eq!(
//!     evaluate(State::Verified, &assessment),
//!     Move::Escalate(EscalationTrigger::RiskScore)
//! );
//! ```
//!
//! Requirements: ASM2-1.1, ASM2-6.1..ASM2-6.5, ASM2-7.1..ASM2-7.6.

use core::fmt;

use crate::audience::causes::{
    DowngradeCause, DowngradeCauses, EscalationTrigger, EscalationTriggers, HoldTrigger,
    HoldTriggers, RestrictionThreshold,
};
use crate::audience::classifier::Class;
use crate::audience::lineage::Why;
use crate::audience::matrix::MatrixDecision;
use crate::audience::state::State;
use crate::risk::Risk;
use crate::verdict::{EnvelopeDecision, KernelDecision};

/// What is known about an audience when its next move is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assessment {
    /// The risk score.
    pub risk: Risk,
    /// What the Safety Envelope decided.
    pub envelope: EnvelopeDecision,
    /// What the matrix cell decided.
    pub matrix: MatrixDecision,
    /// What the Kernel Rules decided.
    pub kernel: KernelDecision,
    /// The class.
    pub class: Class,
    /// Downgrade causes that were reported.
    pub downgrade: DowngradeCauses,
    /// Hold triggers that were reported.
    pub hold: HoldTriggers,
    /// Escalation triggers that were reported, beside those the four verdicts and the risk hold.
    pub escalation: EscalationTriggers,
    /// The restriction threshold.
    pub threshold: RestrictionThreshold,
    /// Whether the identity is validated.
    pub identity_validated: bool,
    /// Whether the context is validated.
    pub context_validated: bool,
    /// Whether governance can be reached for an authorization.
    pub governance_reachable: bool,
}

impl Assessment {
    /// Nothing speaks against the audience, and nothing for it: no risk, no cause, Class A,
    /// not validated, not constitutionally cleared.
    pub fn calm() -> Self {
        Self {
            risk: Risk::ZERO,
            envelope: EnvelopeDecision::Allow,
            matrix: MatrixDecision::Allow,
            kernel: KernelDecision::Clear,
            class: Class::A,
            downgrade: DowngradeCauses::NONE,
            hold: HoldTriggers::NONE,
            escalation: EscalationTriggers::NONE,
            threshold: RestrictionThreshold::default(),
            identity_validated: false,
            context_validated: false,
            governance_reachable: true,
        }
    }

    /// Every escalation trigger that stands: the reported ones, and those in the risk and
    /// the verdicts (ASM2-7.1..ASM2-7.5).
    pub fn triggers(&self) -> EscalationTriggers {
        let found = [
            (self.risk >= Risk::ESCALATION, EscalationTrigger::RiskScore),
            (self.envelope == EnvelopeDecision::Block, EscalationTrigger::EnvelopeBlock),
            (self.matrix == MatrixDecision::Block, EscalationTrigger::MatrixBlock),
            (
                matches!(self.kernel, KernelDecision::Violation(_)),
                EscalationTrigger::ConstitutionalViolation,
            ),
        ];
        found
            .into_iter()
            .filter(|(stands, _)| *stands)
            .fold(self.escalation, |set, (_, trigger)| set.with(trigger))
    }

    /// Every downgrade cause that stands against trust above BASE.
    fn causes_above_base(&self) -> DowngradeCauses {
        let mut causes = self.downgrade;
        if self.threshold.exceeded_by(self.risk) {
            causes = causes.with(DowngradeCause::PredictiveRisk);
        }
        if self.class == Class::C {
            causes = causes.with(DowngradeCause::TierMismatch);
        }
        if self.envelope >= EnvelopeDecision::Hold {
            causes = causes.with(DowngradeCause::EnvelopeMismatch);
        }
        causes
    }

    const fn is_validated(&self) -> bool {
        self.identity_validated && self.context_validated
    }
}

/// Why an audience stays where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stay {
    /// HOLD and ESCALATED are governance's to end.
    Governance,
    /// The same, and a constitutional violation makes the review urgent (D-3).
    UrgentReview,
    /// A cause stands against an advance.
    Barred,
    /// Nothing speaks for an advance.
    Settled,
}

/// The ground on which BASE is restricted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RestrictGround {
    /// Class C.
    ClassC,
    /// Risk above the threshold.
    Risk,
}

/// The mandated move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Move {
    /// To ESCALATED for a trigger; from INIT only a constitutional one.
    Escalate(EscalationTrigger),
    /// From PRIVILEGED to ESCALATED because governance is out of reach (D-2).
    EscalateUnreachable(Why),
    /// To HOLD along the shortest legal restrictive path (D-6); from PRIVILEGED the first
    /// edge needs governance's authorization.
    Suspend(HoldTrigger),
    /// One edge of the downgrade mapping; from PRIVILEGED with governance's authorization.
    Downgrade(DowngradeCause),
    /// BASE → RESTRICTED.
    Restrict(RestrictGround),
    /// VERIFIED → BASE because identity or context no longer holds.
    StepBack,
    /// Nothing changes.
    Stay(Stay),
    /// INIT → BASE → RESTRICTED for Class C, with a clearance (D-7).
    AdmitRestricted,
    /// One advance, into this state, with a clearance.
    Advance(State),
}

impl Move {
    /// How restrictive the move is: 0 escalate, 1 hold, 2 downgrade, 3 stay, 4 advance (D-5).
    pub const fn rank(&self) -> u8 {
        match self {
            Self::Escalate(_) | Self::EscalateUnreachable(_) => 0,
            Self::Suspend(_) => 1,
            Self::Downgrade(_) | Self::Restrict(_) | Self::StepBack => 2,
            Self::Stay(_) => 3,
            Self::AdmitRestricted | Self::Advance(_) => 4,
        }
    }
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Escalate(trigger) => write!(f, "escalate: {trigger}"),
            Self::EscalateUnreachable(why) => write!(f, "escalate: {why}, governance unreachable"),
            Self::Suspend(trigger) => write!(f, "suspend: {trigger}"),
            Self::Downgrade(cause) => write!(f, "downgrade: {cause}"),
            Self::Restrict(RestrictGround::ClassC) => f.write_str("restrict: class C"),
            Self::Restrict(RestrictGround::Risk) => f.write_str("restrict: risk above threshold"),
            Self::StepBack => f.write_str("step back: no longer validated"),
            Self::Stay(Stay::Governance) => f.write_str("stay: governance decides"),
            Self::Stay(Stay::UrgentReview) => f.write_str("stay: governance decides, urgently"),
            Self::Stay(Stay::Barred) => f.write_str("stay: a cause bars the advance"),
            Self::Stay(Stay::Settled) => f.write_str("stay"),
            Self::AdmitRestricted => f.write_str("admit, restricted"),
            Self::Advance(to) => write!(f, "advance to {to}"),
        }
    }
}

/// The one mandated move of an audience in `state` (D-5).
pub fn evaluate(state: State, assessment: &Assessment) -> Move {
    let a = assessment;
    if let Some(escalation) = escalation(state, a) {
        return escalation;
    }
    match state {
        State::Hold | State::Escalated => {
            let urgent = a.triggers().contains(EscalationTrigger::ConstitutionalViolation);
            Move::Stay(if urgent { Stay::UrgentReview } else { Stay::Governance })
        }
        State::Init => admission(a),
        State::Base => suspension(a).or_else(|| from_base(a)).unwrap_or_else(|| {
            let clear = a.is_validated() && a.envelope <= EnvelopeDecision::Limit;
            advance(clear && a.matrix <= MatrixDecision::Limit, State::Verified)
        }),
        State::Verified => {
            suspension(a).or_else(|| downgrade(a.causes_above_base())).unwrap_or_else(|| {
                if !a.is_validated() {
                    return Move::StepBack;
                }
                let clear =
                    a.envelope == EnvelopeDecision::Allow && a.matrix == MatrixDecision::Allow;
                let constitutional = a.kernel == KernelDecision::ConstitutionalClearance;
                advance(clear && constitutional, State::Privileged)
            })
        }
        State::Privileged => {
            privileged_exit(a).map_or(Move::Stay(Stay::Settled), |why| match why {
                Why::Suspension(trigger) => Move::Suspend(trigger),
                Why::Downgrade(cause) => Move::Downgrade(cause),
            })
        }
        State::Restricted => {
            suspension(a).or_else(|| downgrade(a.downgrade)).unwrap_or(Move::Stay(Stay::Settled))
        }
    }
}

/// Escalation, where the table has the edge.
fn escalation(state: State, a: &Assessment) -> Option<Move> {
    let triggers = a.triggers();
    match state {
        State::Hold | State::Escalated => None,
        State::Init => Some(EscalationTrigger::ConstitutionalViolation)
            .filter(|violation| triggers.contains(*violation))
            .map(Move::Escalate),
        State::Base | State::Verified | State::Restricted => triggers.first().map(Move::Escalate),
        State::Privileged => triggers.first().map(Move::Escalate).or_else(|| {
            let why = privileged_exit(a).filter(|_| !a.governance_reachable)?;
            Some(Move::EscalateUnreachable(why))
        }),
    }
}

/// Why PRIVILEGED must be left; hold before downgrade.
fn privileged_exit(a: &Assessment) -> Option<Why> {
    let unvalidated = (!a.is_validated()).then_some(DowngradeCause::SubsystemDrift);
    let causes = unvalidated.into_iter().fold(a.causes_above_base(), DowngradeCauses::with);
    a.hold.first().map(Why::Suspension).or_else(|| causes.first().map(Why::Downgrade))
}

fn suspension(a: &Assessment) -> Option<Move> {
    a.hold.first().map(Move::Suspend)
}

fn downgrade(causes: DowngradeCauses) -> Option<Move> {
    causes.first().map(Move::Downgrade)
}

fn from_base(a: &Assessment) -> Option<Move> {
    let ground = if a.class == Class::C {
        Some(RestrictGround::ClassC)
    } else if a.threshold.exceeded_by(a.risk) {
        Some(RestrictGround::Risk)
    } else {
        None
    };
    downgrade(a.downgrade).or(ground.map(Move::Restrict))
}

/// INIT: into BASE, or through it for Class C; barred while anything stands against it.
fn admission(a: &Assessment) -> Move {
    let barred = !a.triggers().is_empty()
        || !a.hold.is_empty()
        || !a.downgrade.is_empty()
        || a.envelope > EnvelopeDecision::Limit
        || a.matrix > MatrixDecision::Limit;
    match a.class {
        _ if barred => Move::Stay(Stay::Barred),
        Class::C => Move::AdmitRestricted,
        // Class A or B with a risk that would restrict BASE contradicts itself: classify anew.
        Class::A | Class::B if a.threshold.exceeded_by(a.risk) => Move::Stay(Stay::Barred),
        Class::A | Class::B => Move::Advance(State::Base),
    }
}

const fn advance(cleared: bool, to: State) -> Move {
    if cleared { Move::Advance(to) } else { Move::Stay(Stay::Settled) }
}

#[cfg(test)]
mod tests;
