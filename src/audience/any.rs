//! `AnyAudience`: the same machine at run time, over the same table.
//!
//! For audiences restored from a log, held in one collection, or moved by an
//! assessment. What the typed verbs refuse to compile is refused here by
//! [`AnyAudience::request`], and the handle comes back only through a constitutional
//! check (D-3). Whatever changes is first a [`Change`]: drafts to commit in one batch,
//! and the audience once their records are shown.
//!
//! ```
//! use prospera::audience::any::AnyAudience;
//! use prospera::audience::state::State;
//! use prospera::audience::table::Way;
//! let audience = AnyAudience::replay("alice".parse()?, &[])?;
//! assert_eq!(audience.state(), State::Init);
//! let refused = audience.request(State::Privileged, Way::Advance).unwrap_err();
//! assert_eq!(
//!     refused.to_string(),
//!     "INIT → PRIVILEGED by way of `advance` is prohibited (ASM2-5.5): legal from INIT is BASE, ESCALATED"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! INVARIANT (one lineage): an `AnyAudience` is made from an empty stream, from records
//! that replay without a gap along legal edges, the first of them or a snapshot of the
//! stream in front, or from a typed handle.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::audience::causes::{
    ConstitutionalViolation, EscalationTrigger, HoldTrigger, Restriction,
};
use crate::audience::evaluate::Move;
use crate::audience::evidence::{EvidenceError, GovernanceAuthorization};
use crate::audience::lineage::{Cause, LineageEvent, Why};
use crate::audience::state::State;
use crate::audience::states::{
    AudienceState, Base, Escalated, Hold, Init, Privileged, Restricted, Verified,
};
use crate::audience::table;
use crate::audience::typed::{Audience, Core, Edge, Review};
use crate::id::SubjectId;
use crate::ssot::record::Head;
use crate::time::Timestamp;

pub use change::{AudienceSnapshot, Change, Entry};
pub use request::{CheckOrder, Refusal, Refused};
pub use restore::{ReplayError, ReplayProblem, Restore};

mod change;
mod request;
mod restore;

/// An audience whose state is known at run time.
#[derive(Debug)]
#[must_use = "an audience handle that is dropped has to be restored by replay"]
pub enum AnyAudience {
    /// In INIT.
    Init(Audience<Init>),
    /// In BASE.
    Base(Audience<Base>),
    /// In VERIFIED.
    Verified(Audience<Verified>),
    /// In PRIVILEGED.
    Privileged(Audience<Privileged>),
    /// In RESTRICTED.
    Restricted(Audience<Restricted>),
    /// In HOLD.
    Hold(Audience<Hold>),
    /// In ESCALATED.
    Escalated(Audience<Escalated>),
}

/// An audience in another state than asked for; gives it back. Transient.
#[derive(Debug)]
pub struct WrongState {
    audience: Box<AnyAudience>,
    expected: State,
}

impl WrongState {
    /// The audience.
    pub fn into_audience(self) -> AnyAudience {
        *self.audience
    }

    /// The state asked for.
    pub const fn expected(&self) -> State {
        self.expected
    }
}

impl fmt::Display for WrongState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected `{}` in {}, found it in {}",
            self.audience.subject(),
            self.expected,
            self.audience.state()
        )
    }
}

impl core::error::Error for WrongState {}

macro_rules! any {
    ($($state:ident)*) => {
        impl AnyAudience {
            pub(in crate::audience) const fn mint(state: State, core: Core) -> Self {
                match state { $(State::$state => Self::$state(Audience::mint(core)),)* }
            }

            pub(in crate::audience) fn into_core(self) -> Core {
                match self { $(Self::$state(audience) => audience.into_core(),)* }
            }

            /// The state.
            pub const fn state(&self) -> State {
                match self { $(Self::$state(_) => State::$state,)* }
            }

            /// Whose audience it is.
            pub const fn subject(&self) -> &SubjectId {
                match self { $(Self::$state(audience) => audience.subject(),)* }
            }

            /// Where its lineage ends.
            pub const fn head(&self) -> Head {
                match self { $(Self::$state(audience) => audience.head(),)* }
            }

            /// The governance review that is open on it (ASM2-7.11, D-3).
            pub const fn review_open(&self) -> Review {
                match self { $(Self::$state(audience) => audience.review_open(),)* }
            }
        }

        $(
            impl From<Audience<$state>> for AnyAudience {
                fn from(audience: Audience<$state>) -> Self {
                    Self::$state(audience)
                }
            }

            impl TryFrom<AnyAudience> for Audience<$state> {
                type Error = WrongState;

                fn try_from(audience: AnyAudience) -> Result<Self, WrongState> {
                    match audience {
                        AnyAudience::$state(audience) => Ok(audience),
                        other => Err(WrongState {
                            audience: Box::new(other),
                            expected: $state::STATE,
                        }),
                    }
                }
            }
        )*
    };
}

any!(Init Base Verified Privileged Restricted Hold Escalated);

/// What a restrictive move may need beside its cause.
#[derive(Debug, Default)]
pub struct Support {
    /// For leaving PRIVILEGED other than by escalation (D-2).
    pub authorization: Option<GovernanceAuthorization>,
    /// For leaving INIT to ESCALATED (ASM2-7.6).
    pub violation: Option<ConstitutionalViolation>,
    /// For BASE → RESTRICTED (ASM2-4.5).
    pub restriction: Option<Restriction>,
}

/// A move that was not made. The audience is unchanged and given back by
/// [`NotMoved::into_parts`].
#[derive(Debug)]
pub struct NotMoved {
    audience: Box<AnyAudience>,
    why: Box<MoveError>,
}

/// Why a move was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoveError {
    /// The table has no such move from here. Final.
    #[error("no legal move leads there from {from}")]
    NoEdge {
        /// The state.
        from: State,
    },
    /// The audience is suspended, or under the stricter ESCALATED, already. Final.
    #[error("the audience is in {state} already")]
    Already {
        /// The state.
        state: State,
    },
    /// An advance is made by a typed verb, with its clearance. Final.
    #[error("an advance needs a clearance and its own verb")]
    NeedsClearance,
    /// The move needs evidence that was not given. Transient.
    #[error("the move needs {what}")]
    NeedsEvidence {
        /// The evidence.
        what: &'static str,
    },
    /// The authorization does not fit; it is spent. Transient.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
}

impl NotMoved {
    fn new(audience: AnyAudience, why: MoveError) -> Self {
        Self { audience: Box::new(audience), why: Box::new(why) }
    }

    /// Why.
    pub const fn why(&self) -> &MoveError {
        &self.why
    }

    /// The audience and why.
    pub fn into_parts(self) -> (AnyAudience, MoveError) {
        (*self.audience, *self.why)
    }
}

impl fmt::Display for NotMoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl core::error::Error for NotMoved {}

impl AnyAudience {
    /// Suspends the audience: the shortest legal restrictive path to HOLD, each edge an
    /// event, all of one commit (D-6). From PRIVILEGED with governance's authorization;
    /// without one it escalates, which waits for nobody (D-2).
    ///
    /// # Errors
    /// [`NotMoved`] from INIT, which it refuses to leave, from HOLD and ESCALATED, which
    /// are suspended already, and for an authorization that does not fit.
    ///
    /// Requirements: ASM2-8.2..ASM2-8.4.
    pub fn suspend(
        self,
        trigger: HoldTrigger,
        authorization: Option<GovernanceAuthorization>,
        now: Timestamp,
    ) -> Result<Change, NotMoved> {
        use State::{Base, Escalated, Hold, Privileged, Restricted, Verified};
        let why = Why::Suspension(trigger);
        let lowered = || Cause::Downgrade(why);
        let path = match self.state() {
            state @ State::Init => {
                return Err(NotMoved::new(self, MoveError::NoEdge { from: state }));
            }
            state @ (Hold | Escalated) => {
                return Err(NotMoved::new(self, MoveError::Already { state }));
            }
            Privileged => match authorization {
                Some(authorization) => {
                    let cause = match self.authorized(authorization, why, now) {
                        Ok(cause) => cause,
                        Err(error) => return Err(NotMoved::new(self, error.into())),
                    };
                    let rest = [(Base, lowered()), (Restricted, lowered())];
                    [(Verified, cause)].into_iter().chain(rest).collect()
                }
                None => return Ok(self.walk([(Escalated, Cause::Unreachable(why))])),
            },
            Verified => alloc::vec![(Base, lowered()), (Restricted, lowered())],
            Base => alloc::vec![(Restricted, lowered())],
            Restricted => alloc::vec![],
        };
        Ok(self.walk(path.into_iter().chain([(Hold, Cause::Hold(trigger))])))
    }

    /// Makes the move that [`evaluate`](crate::audience::evaluate::evaluate) mandated, as
    /// far as it is restrictive; `None` when it is to stay.
    ///
    /// # Errors
    /// [`NotMoved`] for an advance, for a move the table does not have from here, and when
    /// the evidence it needs is missing or does not fit.
    pub fn carry_out(
        self,
        mandated: Move,
        support: Support,
        now: Timestamp,
    ) -> Result<Carried, NotMoved> {
        let from = self.state();
        let (to, cause) = match mandated {
            Move::Stay(_) => return Ok(Carried::Stayed(self)),
            Move::Advance(_) | Move::AdmitRestricted => {
                return Err(NotMoved::new(self, MoveError::NeedsClearance));
            }
            Move::Suspend(trigger) => {
                if from == State::Privileged && support.authorization.is_none() {
                    let what = "governance's authorization to leave PRIVILEGED";
                    return Err(NotMoved::new(self, MoveError::NeedsEvidence { what }));
                }
                return self.suspend(trigger, support.authorization, now).map(Carried::Changed);
            }
            Move::Escalate(_) if from == State::Init => {
                let Some(v) = support.violation else {
                    let what = "the kernel's finding of a constitutional violation";
                    return Err(NotMoved::new(self, MoveError::NeedsEvidence { what }));
                };
                (State::Escalated, Cause::Violation { rule: v.rule(), kernel: v.kernel() })
            }
            Move::Escalate(trigger) => (State::Escalated, Cause::Escalation(trigger)),
            Move::EscalateUnreachable(why) => (State::Escalated, Cause::Unreachable(why)),
            Move::StepBack => (State::Base, Cause::StepBack),
            Move::Restrict(_) => {
                let Some(restriction) = support.restriction else {
                    let what = "Class C or a risk above the threshold";
                    return Err(NotMoved::new(self, MoveError::NeedsEvidence { what }));
                };
                (State::Restricted, Cause::Restriction(restriction.ground()))
            }
            Move::Downgrade(cause) => {
                let why = Why::Downgrade(cause);
                match (from, support.authorization) {
                    (State::Privileged, None) => {
                        let what = "governance's authorization to leave PRIVILEGED";
                        return Err(NotMoved::new(self, MoveError::NeedsEvidence { what }));
                    }
                    (State::Privileged, Some(authorization)) => {
                        match self.authorized(authorization, why, now) {
                            Ok(cause) => (State::Verified, cause),
                            Err(error) => return Err(NotMoved::new(self, error.into())),
                        }
                    }
                    (State::Verified, _) => (State::Base, Cause::Downgrade(why)),
                    (State::Base, _) => (State::Restricted, Cause::Downgrade(why)),
                    (State::Restricted, _) => (State::Hold, Cause::Downgrade(why)),
                    (State::Init | State::Hold | State::Escalated, _) => {
                        return Err(NotMoved::new(self, MoveError::NoEdge { from }));
                    }
                }
            }
        };
        match LineageEvent::new(from, to, cause) {
            Ok(event) => Ok(Carried::Changed(Change::of_events(self.into_core(), from, [event]))),
            Err(_) => Err(NotMoved::new(self, MoveError::NoEdge { from })),
        }
    }

    /// Escalates for a trigger, where the table has the edge (ASM2-7.7..ASM2-7.9).
    ///
    /// # Errors
    /// [`NotMoved`] from INIT, HOLD and ESCALATED.
    pub fn escalate(self, trigger: EscalationTrigger) -> Result<Change, NotMoved> {
        let from = self.state();
        match LineageEvent::new(from, State::Escalated, Cause::Escalation(trigger)) {
            Ok(event) => Ok(Change::of_events(self.into_core(), from, [event])),
            Err(_) => Err(NotMoved::new(self, MoveError::NoEdge { from })),
        }
    }

    fn authorized(
        &self,
        authorization: GovernanceAuthorization,
        why: Why,
        now: Timestamp,
    ) -> Result<Cause, EvidenceError> {
        let row = <Privileged as Edge<Verified>>::ROW;
        authorization
            .spend(self.subject(), self.head().digest(), row, now)
            .map(|approver| Cause::Governed { why, approver })
    }

    /// A change along edges that the caller has taken from the table.
    fn walk(self, steps: impl IntoIterator<Item = (State, Cause)>) -> Change {
        let start = self.state();
        let mut from = start;
        let events = steps.into_iter().map(|(to, cause)| {
            let event = LineageEvent::proved(from, to, cause);
            from = to;
            event
        });
        let events: Vec<_> = events.collect();
        Change::of_events(self.into_core(), start, events)
    }

    /// Whether the audience's state is enough for what requires `required`.
    pub const fn satisfies(&self, required: State) -> bool {
        table::satisfies(self.state(), required)
    }
}

/// What came of a mandated move.
#[derive(Debug)]
#[must_use = "the audience is inside"]
pub enum Carried {
    /// The audience stays.
    Stayed(AnyAudience),
    /// The audience changes once this is recorded.
    Changed(Change),
}

#[cfg(test)]
mod tests;
