//! How a route ends before execution: one type per layer, each with its own follow-up.
//!
//! A caller cannot treat a halt as a block: [`MemoryHalt`] has a correction to
//! supply, [`DriftReferral`] a referral to Governance, [`SteppedUp`] a question for
//! a person, [`Deferred`] something missing and a deadline. All of them conclude in
//! evidence.
//!
//! Requirements: IRM-2.5, IRM-5.2..IRM-5.4, D-20.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::governance::{ApprovalRequest, BacktrackAuthorization};
use crate::id::LayerId;
use crate::identity::IdentityFinding;
use crate::intent::Submission;
use crate::memory::MemoryConflict;
use crate::routing::evidence::EvidenceBlock;
use crate::routing::layers;
use crate::routing::route::{Core, Route, check_backtrack, go_back};
use crate::safety::SafetyFinding;
use crate::time::Timestamp;
use crate::verdict::{Reason, Verdict};

/// What a route leaves when it ends without an effect.
#[derive(Debug)]
#[must_use = "the evidence of a route that ended must be recorded"]
pub struct Conclusion {
    evidence: Box<EvidenceBlock>,
    submission: Submission,
}

impl Conclusion {
    /// The evidence to record.
    pub const fn evidence(&self) -> &EvidenceBlock {
        &self.evidence
    }

    /// The evidence and the submission.
    pub fn into_parts(self) -> (Box<EvidenceBlock>, Submission) {
        (self.evidence, self.submission)
    }
}

/// A route that has ended. Sealed.
pub trait Terminal: sealed::Sealed + Sized {
    /// The layer that ended it.
    const LAYER: LayerId;

    /// The evidence so far.
    fn evidence(&self) -> &EvidenceBlock;

    /// The verdict.
    fn verdict(&self) -> Verdict {
        self.evidence().verdict
    }

    /// Why the layer ended it.
    fn reasons(&self) -> &[Reason] {
        self.evidence().trace.last().map_or(&[], |entry| &entry.reasons)
    }

    /// What is to be recorded.
    fn conclude(self) -> Conclusion;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! terminals {
    ($($(#[$doc:meta])* $type:ident at $layer:ident { $($field:ident: $of:ty),* };)*) => {$(
        $(#[$doc])*
        #[must_use = "a route that ended must be concluded, or its evidence is lost"]
        pub struct $type {
            core: Box<Core>,
            $($field: $of,)*
        }

        impl $type {
            pub(super) fn new(core: Box<Core> $(, $field: $of)*) -> Self {
                Self { core $(, $field)* }
            }
        }

        impl sealed::Sealed for $type {}

        impl Terminal for $type {
            const LAYER: LayerId = LayerId::$layer;

            fn evidence(&self) -> &EvidenceBlock {
                &self.core.block
            }

            fn conclude(self) -> Conclusion {
                Conclusion { evidence: self.core.block, submission: self.core.submission }
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type))
                    .field("verdict", &self.verdict())
                    .field("reasons", &self.reasons())
                    .finish_non_exhaustive()
            }
        }
    )*};
}

terminals! {
    /// Step 1 failed: Blocked (IRM-4.1). Final for this submission.
    IdentityBlocked at Identity {};
    /// Step 2 failed: Blocked with a reason, no package was made (D-21). Final.
    IntentBlocked at Intent {};
    /// Step 3 found hard drift: suspended and referred to Governance (D-22), which
    /// denies it or authorizes a [`DriftReferral::backtrack`].
    DriftReferral at Modeling {};
    /// Step 4 failed: Routing Halt with Correction Mode (IRM-4.4).
    MemoryHalt at Memory { conflicts: Vec<MemoryConflict> };
    /// Step 5 failed: Block (IRM-4.5). Whether the audience escalates is decided
    /// from the finding.
    SafetyBlocked at Safety {};
    /// Step 6 denied.
    Denied at Governance {};
    /// Step 6 asks a person; no answer in time denies (D-52).
    SteppedUp at Governance { request: ApprovalRequest };
    /// Step 6 waits for something; nothing in time denies (D-52).
    Deferred at Governance { missing: Box<str>, until: Timestamp };
    /// Step 7 found no single path: halt and re-evaluation (IRM-5.1).
    PipelineHalt at Pipeline {};
    /// The module's contract is not met; nothing was recorded or executed.
    ContractBlocked at Execution {};
}

impl DriftReferral {
    /// Governance authorized Modeling to be entered again (D-22, D-25). The drift
    /// stays on record as a flag that Governance must rule on at Step 6.
    ///
    /// # Errors
    /// The referral and the reason, when the authorization is for another route or
    /// layer, or too old. The authorization is spent.
    pub fn backtrack(
        self,
        authorization: BacktrackAuthorization,
    ) -> Result<Route<layers::Intent>, (Self, Reason)> {
        match check_backtrack(&self.core, LayerId::Modeling, authorization) {
            Ok(reason) => Ok(Route::resume(go_back(self.core, LayerId::Modeling, reason))),
            Err(reason) => Err((self, reason)),
        }
    }
}

impl MemoryHalt {
    /// What disagrees: each entry says what would settle it. A corrected intent is a
    /// new submission with a hash of its own.
    pub fn conflicts(&self) -> &[MemoryConflict] {
        &self.conflicts
    }
}

impl SafetyBlocked {
    /// What the Safety System found; none when there was no intent to assess.
    pub const fn finding(&self) -> Option<&SafetyFinding> {
        self.core.safety.as_ref()
    }

    /// What the Identity System found.
    pub const fn identity(&self) -> &IdentityFinding {
        &self.core.identity
    }

    /// What was submitted.
    pub const fn submission(&self) -> &Submission {
        &self.core.submission
    }
}

impl SteppedUp {
    /// What an approver is asked.
    pub const fn request(&self) -> &ApprovalRequest {
        &self.request
    }
}

impl Deferred {
    /// What is missing.
    pub fn missing(&self) -> &str {
        &self.missing
    }

    /// When waiting ends in a denial.
    pub const fn until(&self) -> Timestamp {
        self.until
    }
}

/// How Step 6 ends a route: three types, three follow-ups.
#[derive(Debug)]
pub enum GovernanceStop {
    /// Denied.
    Denied(Denied),
    /// A person decides.
    SteppedUp(SteppedUp),
    /// Something is missing.
    Deferred(Deferred),
}

impl GovernanceStop {
    /// What is to be recorded.
    pub fn conclude(self) -> Conclusion {
        match self {
            Self::Denied(stop) => stop.conclude(),
            Self::SteppedUp(stop) => stop.conclude(),
            Self::Deferred(stop) => stop.conclude(),
        }
    }
}
