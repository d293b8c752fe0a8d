//! The audience's mandated move, decided from what a route found (D-5).

use alloc::vec::Vec;

use super::linked::causes;
use super::{Profile, Router, RouterError};
use crate::audience::any::{AnyAudience, Carried, Change, Support};
use crate::audience::causes::{
    ConstitutionalViolation, DowngradeCause, DowngradeCauses, EscalationTrigger,
    EscalationTriggers, HoldTrigger, Restriction,
};
use crate::audience::classifier::Class;
use crate::audience::evaluate::{Assessment, Move, evaluate};
use crate::audience::matrix::MatrixDecision;
use crate::audience::state::State;
use crate::governance::{Authority, GovernanceEngine, KernelInput};
use crate::id::Subsystem;
use crate::identity::{IdentityFinding, Session};
use crate::intent::Intent;
use crate::risk::Risk;
use crate::routing::desk::Live;
use crate::routing::engines::Engines;
use crate::routing::evidence::EvidenceBlock;
use crate::safety::{SafetyDecision, SafetyFinding};
use crate::ssot::ledger::Receipt;
use crate::ssot::record::{Draft, Head, RecordKind};
use crate::ssot::store::Store;
use crate::time::{Clock, Timestamp};
use crate::verdict::{
    Drift, EnvelopeDecision, EnvelopeVerdict, Narrowing, Reason, ReasonCode, Verdict,
};

/// From this anomaly on an identity counts as inconsistent (ASM2-8.1).
const INCONSISTENT: Risk = Risk::saturating(500_000);

/// What the audience must do, and what it means for the route.
pub(super) struct Mandate {
    mandated: Option<Move>,
    from: State,
    class: Class,
    matrix: MatrixDecision,
    violation: Option<ConstitutionalViolation>,
    restriction: Option<Restriction>,
    envelope: Option<EnvelopeVerdict>,
    risk: Risk,
}

impl Mandate {
    /// Nothing is known yet: the audience stays.
    pub(super) const fn stay(from: State) -> Self {
        Self {
            mandated: None,
            from,
            class: Class::C,
            matrix: MatrixDecision::StepUp,
            violation: None,
            restriction: None,
            envelope: None,
            risk: Risk::ZERO,
        }
    }

    /// Step 1 blocked. Identities that do not match escalate the audience in whose
    /// session it was tried (ASM2-7.5); anything else moves nobody.
    pub(super) fn of_identity(from: State, reasons: &[Reason]) -> Self {
        let mismatch = reasons.iter().any(|reason| {
            matches!(reason.code, ReasonCode::SubjectMismatch | ReasonCode::IdentityAnomaly)
        });
        let escalation = EscalationTriggers::NONE.with(EscalationTrigger::IdentityAnomaly);
        let mandated =
            mismatch.then(|| evaluate(from, &Assessment { escalation, ..Assessment::calm() }));
        Self { mandated, ..Self::stay(from) }
    }

    /// The state the audience will be in.
    pub(super) const fn state(&self) -> State {
        use State::{Base, Escalated, Hold, Privileged, Restricted, Verified};
        match (&self.mandated, self.from) {
            (Some(Move::Escalate(_) | Move::EscalateUnreachable(_)), _) => Escalated,
            (Some(Move::Suspend(_)), _) | (Some(Move::Downgrade(_)), Restricted) => Hold,
            (Some(Move::Downgrade(_)), Privileged) => Verified,
            (Some(Move::Downgrade(_)), Verified) | (Some(Move::StepBack), _) => Base,
            (Some(Move::Downgrade(_)), Base) | (Some(Move::Restrict(_)), _) => Restricted,
            (_, from) => from,
        }
    }

    /// The class the route is decided on.
    pub(super) const fn class(&self) -> Class {
        self.class
    }

    /// Whether the matrix cell asks for a person.
    pub(super) const fn asks(&self) -> bool {
        matches!(self.matrix, MatrixDecision::StepUp)
    }

    /// What the matrix cell takes away: `limit` lets nothing with an effect through.
    pub(super) fn narrowing(&self) -> Narrowing {
        let read_only = self.matrix == MatrixDecision::Limit;
        Narrowing { read_only, ..Narrowing::default() }
    }

    /// The Safety System's answer for every later layer, when the audience leaves for
    /// ESCALATED or HOLD, or is there already (D-10), whatever any engine says.
    pub(super) fn stops(&self) -> Option<(Verdict, Reason)> {
        let mandated = self.mandated.as_ref()?;
        let reason = |code| Reason::new(code).detail(alloc::format!("{mandated}"));
        match self.state() {
            State::Escalated => Some((Verdict::Deny, reason(ReasonCode::AudienceEscalated))),
            State::Hold if self.from == State::Hold => {
                Some((Verdict::Defer, reason(ReasonCode::AudienceHeld)))
            }
            State::Hold => Some((Verdict::Defer, reason(ReasonCode::TransitionTaken))),
            // Where the table has no escalation (INIT), the cell's refusal still stands.
            _ if self.matrix == MatrixDecision::Block => {
                Some((Verdict::Deny, reason(ReasonCode::MatrixDecision)))
            }
            _ => None,
        }
    }
}

/// An audience on its way: unchanged, or waiting for its records.
pub(super) enum Moving {
    /// It was not taken out of the desk at all; its head.
    Rests(Head),
    Stays(AnyAudience),
    Changes(Change),
}

impl Moving {
    pub(super) fn expected_head(&self) -> Head {
        match self {
            Self::Rests(head) => *head,
            Self::Stays(audience) => audience.head(),
            Self::Changes(change) => change.expected_head(),
        }
    }

    pub(super) fn drafts(&self, source: Subsystem) -> Vec<Draft> {
        match self {
            Self::Rests(_) | Self::Stays(_) => Vec::new(),
            Self::Changes(change) => change.drafts(source).collect(),
        }
    }

    /// Nothing was recorded: the audience is as it was.
    pub(super) fn give_back<P>(self, live: &mut Live<P>) {
        match self {
            Self::Rests(_) => {}
            Self::Stays(audience) => live.audience = audience,
            Self::Changes(change) => live.audience = change.abandon(),
        }
    }

    /// The audience as it is now; none where it never left the desk.
    pub(super) fn confirm(self, receipt: &Receipt) -> Result<Option<AnyAudience>, RouterError> {
        match self {
            Self::Rests(_) => Ok(None),
            Self::Stays(audience) => Ok(Some(audience)),
            Self::Changes(change) => {
                let stream = change.stream();
                let records: Vec<_> = (receipt.records().iter())
                    .filter(|record| *record.stream() == stream)
                    .filter(|record| record.kind() != RecordKind::EvidenceBlock)
                    .cloned()
                    .collect();
                change
                    .confirm(&records)
                    .map(Some)
                    .map_err(|error| RouterError::Act(alloc::format!("{error}").into()))
            }
        }
    }
}

impl<E: Engines, S: Store, C: Clock> Router<E, S, C> {
    /// The one mandated move that follows from what the route found.
    #[expect(clippy::too_many_arguments, reason = "each is one fact of the assessment")]
    pub(super) fn mandate(
        &self,
        session: &Session,
        live: &Live<Profile<E>>,
        finding: Option<&SafetyFinding>,
        identity: &IdentityFinding,
        block: &EvidenceBlock,
        intent: Option<&Intent>,
        now: Timestamp,
    ) -> Mandate {
        let from = live.audience.state();
        let (Some(finding), Some(intent)) = (finding, intent) else { return Mandate::stay(from) };
        let profile = live.class_profile(session, finding.risk, now);
        let classification = self.rules.classifier.verdict(&profile);
        let matrix = self.rules.matrix.verdict(classification.class(), intent.kind().tier);
        let kernel = self.engines.governance().kernel(&KernelInput {
            state: from,
            flags: block.flags.union(block.raised),
            tier: intent.kind().tier,
            authority: authority(session),
            risk: finding.risk,
            label: intent.label(),
            lineage_intact: true,
        });
        let (mut hold, mut escalation) = causes(live.doubt);
        if live.torn {
            hold = hold.with(HoldTrigger::SubsystemConflict);
        }
        if identity.anomaly >= Risk::ESCALATION {
            escalation = escalation.with(EscalationTrigger::IdentityAnomaly);
        } else if identity.anomaly >= INCONSISTENT {
            hold = hold.with(HoldTrigger::IdentityInconsistency);
        }
        // Two subsystems that flag the same intent have drifted from the audience alike
        // (ASM2-6.3): one flag alone is the rules' to judge.
        let drifted = block.drift >= Drift::Soft
            && matches!(finding.decision, SafetyDecision::Hold | SafetyDecision::Block);
        let downgrade = if drifted {
            DowngradeCauses::NONE.with(DowngradeCause::SubsystemDrift)
        } else {
            DowngradeCauses::NONE
        };
        let mandated = evaluate(
            from,
            &Assessment {
                risk: finding.risk,
                envelope: finding.envelope.decision(),
                matrix: matrix.decision(),
                kernel: kernel.decision(),
                class: classification.class(),
                downgrade,
                hold,
                escalation,
                threshold: self.rules.threshold,
                identity_validated: session.strength() >= self.rules.validated_strength,
                context_validated: true,
                governance_reachable: false,
            },
        );
        Mandate {
            mandated: Some(mandated),
            from,
            class: classification.class(),
            matrix: matrix.decision(),
            violation: ConstitutionalViolation::of(&kernel),
            restriction: Restriction::of_class(&classification)
                .or_else(|| Restriction::of_risk(finding.risk, self.rules.threshold)),
            envelope: Some(finding.envelope),
            risk: finding.risk,
        }
    }

    /// Takes the audience out of `live` and moves it as mandated, not yet recorded.
    pub(super) fn carry_out(
        live: &mut Live<Profile<E>>,
        mandate: &Mandate,
        now: Timestamp,
    ) -> Result<Moving, RouterError> {
        let blocks = mandate.envelope.is_some_and(|e| e.decision() == EnvelopeDecision::Block);
        let moves = mandate.mandated.is_some_and(|mandated| {
            !matches!(mandated, Move::Stay(_) | Move::Advance(_) | Move::AdmitRestricted)
        });
        if !blocks && !moves {
            return Ok(Moving::Rests(live.audience.head()));
        }
        let audience = take(live)?;
        let audience = match mandate.envelope {
            Some(verdict) if verdict.decision() == EnvelopeDecision::Block => {
                match audience.blocked(&verdict, mandate.risk, mandate.violation) {
                    Ok(change) => return Ok(Moving::Changes(change)),
                    Err(audience) => audience,
                }
            }
            _ => audience,
        };
        let mandated = match mandate.mandated {
            None | Some(Move::Advance(_) | Move::AdmitRestricted) => {
                return Ok(Moving::Stays(audience));
            }
            Some(mandated) => mandated,
        };
        let support = Support {
            authorization: None,
            violation: mandate.violation,
            restriction: mandate.restriction,
        };
        match audience.carry_out(mandated, support, now) {
            Ok(Carried::Stayed(audience)) => Ok(Moving::Stays(audience)),
            Ok(Carried::Changed(change)) => Ok(Moving::Changes(change)),
            Err(not_moved) => Err(not_moved.into_parts().1.into()),
        }
    }
}

/// Takes the audience out. What is left behind is never read: `live` is used again
/// only after the change is confirmed, and dropped otherwise.
pub(super) fn take<P>(live: &mut Live<P>) -> Result<AnyAudience, RouterError> {
    let empty = AnyAudience::replay(live.audience.subject().clone(), [])
        .map_err(|error| RouterError::Replay(error.into()))?;
    Ok(core::mem::replace(&mut live.audience, empty))
}

/// What Governance knows of who acts.
pub(super) fn authority(session: &Session) -> Authority<'_> {
    Authority {
        principal: session.principal(),
        kind: session.kind().name(),
        scopes: session.scopes(),
        delegation: session.delegation().len(),
    }
}
