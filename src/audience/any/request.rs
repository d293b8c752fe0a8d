//! Asking for a transition at run time, and what a refusal sets off (D-3).

use core::fmt;

use crate::audience::any::{AnyAudience, Change, Entry};
use crate::audience::causes::EscalationTrigger;
use crate::audience::lineage::{
    Cause, ConstitutionalCheck, LineageEvent, RefusalGround, TransitionRefused,
};
use crate::audience::state::State;
use crate::audience::table::{self, Way, edge, legal_exits, prohibition};
use crate::id::SubjectId;
use crate::ssot::record::Head;
use crate::verdict::{KernelDecision, KernelVerdict};

/// A transition that the table does not have, or not in this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal(TransitionRefused);

impl Refusal {
    /// What is recorded of it.
    pub const fn record(&self) -> TransitionRefused {
        self.0
    }

    /// Why.
    pub const fn ground(&self) -> RefusalGround {
        self.0.ground
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TransitionRefused { from, to, way, ground } = self.0;
        write!(f, "{from} → {to} by way of `{way}` ")?;
        match (ground, prohibition(from, to)) {
            (RefusalGround::Prohibited, Some(spec)) => write!(f, "is prohibited ({spec})")?,
            (RefusalGround::SameState, _) => f.write_str("leads nowhere")?,
            (RefusalGround::WrongWay, _) => f.write_str("is not how that edge is taken")?,
            _ => f.write_str("is not an edge of the audience state machine")?,
        }
        write!(f, ": legal from {from} is ")?;
        for (i, exit) in legal_exits(from).enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, exit.to)?;
        }
        Ok(())
    }
}

/// Which constitutional check a refusal demands, at once: the kernel rules on this subject,
/// in this state, attempting that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckOrder<'a> {
    /// The subject.
    pub subject: &'a SubjectId,
    /// Where its lineage ends.
    pub head: Head,
    /// What it attempted.
    pub attempted: TransitionRefused,
}

/// A refused request. The audience is inside, in its old state, and comes back only
/// through the constitutional check.
#[derive(Debug)]
#[must_use = "the audience is inside, and a constitutional check is due"]
pub struct Refused {
    audience: AnyAudience,
    refusal: Refusal,
}

impl Refused {
    /// Why.
    pub const fn refusal(&self) -> Refusal {
        self.refusal
    }

    /// The state, which is as it was.
    pub const fn state(&self) -> State {
        self.audience.state()
    }

    /// The check that is due (ASM2-5.8).
    pub const fn check(&self) -> CheckOrder<'_> {
        CheckOrder {
            subject: self.audience.subject(),
            head: self.audience.head(),
            attempted: self.refusal.0,
        }
    }

    /// Records the refusal and what the check found, in one commit. A violation escalates
    /// where the table has the edge; in HOLD and ESCALATED it makes the review urgent.
    pub fn checked(self, kernel: &KernelVerdict) -> Change {
        let state = self.audience.state();
        let check =
            ConstitutionalCheck { state, kernel: kernel.digest(), finding: kernel.decision() };
        let escalation = match kernel.decision() {
            KernelDecision::Violation(rule) => {
                let cause = match state {
                    State::Init => Cause::Violation { rule, kernel: kernel.digest() },
                    _ => Cause::Escalation(EscalationTrigger::ConstitutionalViolation),
                };
                LineageEvent::new(state, State::Escalated, cause).ok()
            }
            KernelDecision::Clear | KernelDecision::ConstitutionalClearance => None,
        };
        let entries = [Entry::Refused(self.refusal.0), Entry::Checked(check)]
            .into_iter()
            .chain(escalation.map(Entry::Event))
            .collect();
        Change::of_entries(self.audience.into_core(), state, entries)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refusal.fmt(f)
    }
}

impl core::error::Error for Refused {}

impl AnyAudience {
    /// Asks whether the audience may enter `to` in this way. A legal request gives the
    /// audience back with its row, whose `needs` a verb then takes; nothing has changed.
    ///
    /// # Errors
    /// [`Refused`]: the state stays, and a constitutional check is due at once (D-3).
    pub fn request(self, to: State, way: Way) -> Result<(Self, &'static table::Edge), Refused> {
        let from = self.state();
        let ground = match edge(from, to) {
            Some(row) if row.allows(way) => return Ok((self, row)),
            _ if from == to => RefusalGround::SameState,
            _ if prohibition(from, to).is_some() => RefusalGround::Prohibited,
            Some(_) => RefusalGround::WrongWay,
            None => RefusalGround::Undefined,
        };
        let refusal = Refusal(TransitionRefused { from, to, way, ground });
        Err(Refused { audience: self, refusal })
    }
}
