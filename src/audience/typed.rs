//! `Audience<S>`: an audience whose state the compiler knows.
//!
//! Fifteen edges, each a named verb that takes by value the evidence its row names.
//! Everything else does not compile, and the message says which edge was asked for, why
//! it is not there and which are. Nothing here does I/O: a verb yields a [`Transition`],
//! its [`LineageEvent`] is recorded, and only the sealed record turns the
//! [`PendingAudience`] into a usable handle.
//!
//! | from | verb | to |
//! |---|---|---|
//! | INIT | [`admit`](Audience::admit) | BASE |
//! | BASE | [`verify`](Audience::verify) | VERIFIED |
//! | VERIFIED | [`elevate`](Audience::elevate) | PRIVILEGED |
//! | VERIFIED | [`step_back`](Audience::step_back), [`downgrade`](Audience::downgrade) | BASE |
//! | BASE | [`restrict`](Audience::restrict), [`downgrade`](Audience::downgrade) | RESTRICTED |
//! | RESTRICTED | [`hold`](Audience::hold), [`downgrade`](Audience::downgrade) | HOLD |
//! | PRIVILEGED | [`downgrade_governed`](Audience::downgrade_governed) | VERIFIED |
//! | HOLD | [`release`](Audience::release) | BASE |
//! | HOLD | [`release_restricted`](Audience::release_restricted) | RESTRICTED |
//! | ESCALATED | [`review`](Audience::review) | HOLD |
//! | BASE, VERIFIED, PRIVILEGED, RESTRICTED | [`escalate`](Audience::escalate) | ESCALATED |
//! | INIT | [`escalate_constitutional`](Audience::escalate_constitutional) | ESCALATED |
//!
//! ```
//! use prospera::audience::causes::EscalationTrigger;
//! use prospera::audience::states::{Base, Escalated};
//! use prospera::audience::typed::{Audience, Transition};
//! fn raise(audience: Audience<Base>) -> Transition<Base, Escalated> {
//!     audience.escalate(EscalationTrigger::IdentityAnomaly)
//! }
//! ```
//!
//! INVARIANT (linear handle): a handle is neither cloned nor defaulted nor read from
//! bytes. It comes from verified replay ([`crate::audience::any`]) or from a confirmed
//! transition, and each verb consumes it.
//!
//! Requirements: ASM2-1.2.

use core::fmt;
use core::marker::PhantomData;

use crate::audience::any::Change;
use crate::audience::causes::{
    ConstitutionalViolation, DowngradeCause, EscalationTrigger, HoldTrigger, Restriction,
};
use crate::audience::classifier::Class;
use crate::audience::evidence::{
    At, EvidenceError, GovernanceApproval, GovernanceAuthorization, GovernanceReview,
};
use crate::audience::gate::Clearance;
use crate::audience::lineage::{Cause, Cleared, LineageEvent, Why};
use crate::audience::state::State;
use crate::audience::states::{
    AudienceState, Base, Escalated, Hold, Privileged, Restricted, Verified,
};
use crate::id::SubjectId;
use crate::ssot::record::Head;
use crate::time::Timestamp;

pub use edges::{
    AdvanceTo, ConstitutionalEscalateTo, DowngradeTo, Edge, EscalateTo, GovernedDowngradeTo,
    HoldTo, ReleaseTo, RestrictTo, ReviewTo, StepBackTo, legal_edge,
};
pub use transition::{PendingAudience, RecordMismatch, Rejected, Transition, Unconfirmed};

pub(in crate::audience) use transition::{check_record, stream_of};

mod edges;
mod transition;

/// Whose audience it is and where its lineage ends: what all handles hold.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::audience) struct Core {
    pub(in crate::audience) subject: SubjectId,
    pub(in crate::audience) head: Head,
    pub(in crate::audience) review: Review,
}

/// The governance review that is open on an audience (ASM2-7.11, ASM2-8.7, D-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Review {
    /// None.
    #[default]
    None,
    /// Open: the audience is in HOLD or ESCALATED.
    Open,
    /// Open and urgent: a constitutional violation was found while it was open.
    Urgent,
}

impl Review {
    /// What is open once `to` is entered.
    pub(in crate::audience) const fn on_entry(to: State) -> Self {
        match to {
            State::Hold | State::Escalated => Self::Open,
            _ => Self::None,
        }
    }
}

/// An audience in state `S`.
#[must_use = "an audience handle that is dropped has to be restored by replay"]
pub struct Audience<S: AudienceState> {
    core: Core,
    state: PhantomData<fn() -> S>,
}

impl<S: AudienceState> fmt::Debug for Audience<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audience")
            .field("state", &S::STATE)
            .field("subject", &self.core.subject)
            .field("head", &self.core.head)
            .finish_non_exhaustive()
    }
}

impl<S: AudienceState> Audience<S> {
    pub(in crate::audience) const fn mint(core: Core) -> Self {
        Self { core, state: PhantomData }
    }

    pub(in crate::audience) fn into_core(self) -> Core {
        self.core
    }

    /// Whose audience it is.
    pub const fn subject(&self) -> &SubjectId {
        &self.core.subject
    }

    /// Where its lineage ended when the handle was made.
    pub const fn head(&self) -> Head {
        self.core.head
    }

    /// The state.
    pub const fn state(&self) -> State {
        S::STATE
    }

    /// The governance review that is open on it.
    pub const fn review_open(&self) -> Review {
        self.core.review
    }

    fn take<T: AudienceState>(self, cause: Cause) -> Transition<S, T>
    where
        S: Edge<T>,
    {
        let event = LineageEvent::proved(S::STATE, T::STATE, cause);
        Transition::new(self.core, event)
    }

    fn spend<T: AudienceState>(
        self,
        evidence: Result<Cause, EvidenceError>,
    ) -> Result<Transition<S, T>, Rejected<S>>
    where
        S: Edge<T>,
    {
        match evidence {
            Ok(cause) => Ok(self.take(cause)),
            Err(why) => Err(Rejected::new(self, why)),
        }
    }

    fn cleared<T: AudienceState>(
        &self,
        clearance: Clearance<S, T>,
        at: &At,
    ) -> Result<Cleared, EvidenceError>
    where
        S: AdvanceTo<T>,
    {
        clearance.spend(&self.core.subject, self.core.head.digest(), at)
    }

    /// INIT → BASE with a clearance, for Class A and B (ASM2-4.1, D-7).
    ///
    /// # Errors
    /// [`Rejected`] when the clearance does not fit or is of Class C; the audience is given
    /// back, the clearance is spent.
    pub fn admit(
        self,
        clearance: Clearance<S, Base>,
        at: &At,
    ) -> Result<Transition<S, Base>, Rejected<S>>
    where
        S: AdvanceTo<Base>,
    {
        let evidence = self.cleared(clearance, at).and_then(|cleared| match cleared.class {
            Class::C => Err(EvidenceError::ClassC),
            Class::A | Class::B => Ok(Cause::Clearance(cleared)),
        });
        self.spend(evidence)
    }

    /// INIT → BASE → RESTRICTED for Class C: two recorded edges in one commit (D-7).
    ///
    /// # Errors
    /// [`Rejected`] when the clearance does not fit or is not of Class C; the audience is
    /// given back, the clearance is spent.
    pub fn admit_restricted(
        self,
        clearance: Clearance<S, Base>,
        at: &At,
    ) -> Result<Change, Rejected<S>>
    where
        S: AdvanceTo<Base>,
    {
        let cleared = match self.cleared(clearance, at) {
            Ok(cleared) if cleared.class == Class::C => cleared,
            Ok(_) => return Err(Rejected::new(self, EvidenceError::NotClassC)),
            Err(why) => return Err(Rejected::new(self, why)),
        };
        let ground = Restriction::class_c(cleared.classifier).ground();
        let admitted = LineageEvent::proved(S::STATE, State::Base, Cause::Clearance(cleared));
        let restricted =
            LineageEvent::proved(State::Base, State::Restricted, Cause::Restriction(ground));
        Ok(Change::of_events(self.core, S::STATE, [admitted, restricted]))
    }

    /// BASE → VERIFIED with a clearance (ASM2-4.2).
    ///
    /// # Errors
    /// [`Rejected`] when the clearance does not fit; the audience is given back, the
    /// clearance is spent.
    pub fn verify(
        self,
        clearance: Clearance<S, Verified>,
        at: &At,
    ) -> Result<Transition<S, Verified>, Rejected<S>>
    where
        S: AdvanceTo<Verified>,
    {
        let evidence = self.cleared(clearance, at).map(Cause::Clearance);
        self.spend(evidence)
    }

    /// VERIFIED → PRIVILEGED with a clearance that holds constitutional clearance (ASM2-4.3).
    ///
    /// # Errors
    /// [`Rejected`] when the clearance does not fit; the audience is given back, the
    /// clearance is spent.
    pub fn elevate(
        self,
        clearance: Clearance<S, Privileged>,
        at: &At,
    ) -> Result<Transition<S, Privileged>, Rejected<S>>
    where
        S: AdvanceTo<Privileged>,
    {
        let evidence = self.cleared(clearance, at).map(Cause::Clearance);
        self.spend(evidence)
    }

    /// VERIFIED → BASE, needing nothing (ASM2-4.4).
    pub fn step_back(self) -> Transition<S, Base>
    where
        S: StepBackTo<Base>,
    {
        self.take(Cause::StepBack)
    }

    /// VERIFIED → BASE, BASE → RESTRICTED or RESTRICTED → HOLD for a cause (ASM2-6).
    ///
    /// The mapping has one target for each state, which the compiler infers.
    pub fn downgrade<T: AudienceState>(self, cause: DowngradeCause) -> Transition<S, T>
    where
        S: DowngradeTo<T>,
    {
        self.take(Cause::Downgrade(Why::Downgrade(cause)))
    }

    /// BASE → RESTRICTED for Class C or for risk above the threshold (ASM2-4.5).
    pub fn restrict(self, restriction: Restriction) -> Transition<S, Restricted>
    where
        S: RestrictTo<Restricted>,
    {
        self.take(Cause::Restriction(restriction.ground()))
    }

    /// RESTRICTED → HOLD for a hold trigger (ASM2-4.6).
    pub fn hold(self, trigger: HoldTrigger) -> Transition<S, Hold>
    where
        S: HoldTo<Hold>,
    {
        self.take(Cause::Hold(trigger))
    }

    /// PRIVILEGED → VERIFIED for a cause, authorized by governance (D-2).
    ///
    /// # Errors
    /// [`Rejected`] when the authorization does not fit; the audience is given back, the
    /// authorization is spent.
    pub fn downgrade_governed(
        self,
        cause: DowngradeCause,
        authorization: GovernanceAuthorization,
        now: Timestamp,
    ) -> Result<Transition<S, Verified>, Rejected<S>>
    where
        S: GovernedDowngradeTo<Verified>,
    {
        let (subject, head) = (&self.core.subject, self.core.head.digest());
        let evidence = authorization
            .spend(subject, head, <S as Edge<Verified>>::ROW, now)
            .map(|approver| Cause::Governed { why: Why::Downgrade(cause), approver });
        self.spend(evidence)
    }

    /// HOLD → BASE with governance's approval (ASM2-8.5).
    ///
    /// # Errors
    /// [`Rejected`] when the approval does not fit; the audience is given back, the
    /// approval is spent.
    pub fn release(
        self,
        approval: GovernanceApproval,
        now: Timestamp,
    ) -> Result<Transition<S, Base>, Rejected<S>>
    where
        S: ReleaseTo<Base>,
    {
        let (subject, head) = (&self.core.subject, self.core.head.digest());
        let evidence =
            approval.spend(subject, head, <S as Edge<Base>>::ROW, now).map(Cause::Approval);
        self.spend(evidence)
    }

    /// HOLD → RESTRICTED with governance's approval (ASM2-8.6).
    ///
    /// # Errors
    /// [`Rejected`] when the approval does not fit; the audience is given back, the
    /// approval is spent.
    pub fn release_restricted(
        self,
        approval: GovernanceApproval,
        now: Timestamp,
    ) -> Result<Transition<S, Restricted>, Rejected<S>>
    where
        S: ReleaseTo<Restricted>,
    {
        let (subject, head) = (&self.core.subject, self.core.head.digest());
        let evidence =
            approval.spend(subject, head, <S as Edge<Restricted>>::ROW, now).map(Cause::Approval);
        self.spend(evidence)
    }

    /// ESCALATED → HOLD by governance's review (ASM2-4.9).
    ///
    /// # Errors
    /// [`Rejected`] when the review does not fit; the audience is given back, the review
    /// is spent.
    pub fn review(
        self,
        review: GovernanceReview,
        now: Timestamp,
    ) -> Result<Transition<S, Hold>, Rejected<S>>
    where
        S: ReviewTo<Hold>,
    {
        let (subject, head) = (&self.core.subject, self.core.head.digest());
        let evidence = review.spend(subject, head, <S as Edge<Hold>>::ROW, now).map(Cause::Review);
        self.spend(evidence)
    }

    /// BASE, VERIFIED, PRIVILEGED or RESTRICTED → ESCALATED for a trigger (ASM2-7).
    pub fn escalate(self, trigger: EscalationTrigger) -> Transition<S, Escalated>
    where
        S: EscalateTo<Escalated>,
    {
        self.take(Cause::Escalation(trigger))
    }

    /// INIT → ESCALATED for a violation of the constitution (ASM2-7.6).
    pub fn escalate_constitutional(
        self,
        violation: ConstitutionalViolation,
    ) -> Transition<S, Escalated>
    where
        S: ConstitutionalEscalateTo<Escalated>,
    {
        self.take(Cause::Violation { rule: violation.rule(), kernel: violation.kernel() })
    }
}
