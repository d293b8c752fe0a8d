//! Governance's evidence: the authorization, approval and review that open the three
//! doors nobody else may open (ASM2-10.6..ASM2-10.8).
//!
//! Each is minted by the governance room alone, bound to a subject, to the head of its
//! stream, to one edge, to who approved and to the record of that decision; it expires,
//! and a verb consumes it.
//!
//! INVARIANT (bound evidence): none of these values can be cloned, defaulted or read
//! from bytes, and none is accepted for another subject, head, edge or time.

use crate::audience::table::Edge;
use crate::digest::Digest;
use crate::id::{PrincipalId, SubjectId};
use crate::time::Timestamp;

/// The moment at which evidence is used: what the clock and the context say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// The time.
    pub now: Timestamp,
    /// The digest of the memory snapshot the decision was made on.
    pub snapshot: Digest,
}

/// Evidence that does not fit where it was used. Final for the evidence, which is spent;
/// the audience is unchanged and can try again with other evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// It was issued for another subject.
    #[error("expected evidence for subject `{expected}`, found it issued for `{found}`")]
    Subject {
        /// The audience's subject.
        expected: SubjectId,
        /// The evidence's subject.
        found: SubjectId,
    },
    /// It was issued when the subject's lineage ended elsewhere.
    #[error(
        "expected evidence for the lineage that ends in {}, found {}",
        expected.short(), found.short()
    )]
    Head {
        /// The audience's head.
        expected: Digest,
        /// The evidence's head.
        found: Digest,
    },
    /// It was issued on another memory snapshot.
    #[error("expected evidence on snapshot {}, found {}", expected.short(), found.short())]
    Snapshot {
        /// The snapshot now.
        expected: Digest,
        /// The evidence's snapshot.
        found: Digest,
    },
    /// It was issued for another edge.
    #[error("expected evidence for {expected}, found it issued for {found}")]
    Edge {
        /// The edge asked for.
        expected: &'static Edge,
        /// The evidence's edge.
        found: &'static Edge,
    },
    /// It is too late.
    #[error("the evidence expired at {expired}, and it is {now}")]
    Expired {
        /// When it expired.
        expired: Timestamp,
        /// The time now.
        now: Timestamp,
    },
    /// Class C leads on to RESTRICTED, in the same commit (D-7).
    #[error("class C cannot stay in BASE: admit it restricted, in two recorded edges")]
    ClassC,
    /// Only Class C is admitted restricted on its class.
    #[error("class A and B lead to BASE: there is no ground to restrict")]
    NotClassC,
}

/// What all evidence of governance is bound to.
#[derive(Debug, PartialEq, Eq)]
struct Grant {
    subject: SubjectId,
    head: Digest,
    edge: &'static Edge,
    approver: PrincipalId,
    expires: Timestamp,
    record: Digest,
}

/// Who approved, and the record of it; what remains of spent evidence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Approver {
    /// The person or service that decided for governance.
    pub principal: PrincipalId,
    /// The digest of governance's record.
    pub record: Digest,
}

impl Grant {
    fn spend(
        self,
        subject: &SubjectId,
        head: Digest,
        edge: &'static Edge,
        now: Timestamp,
    ) -> Result<Approver, EvidenceError> {
        if self.subject != *subject {
            return Err(EvidenceError::Subject { expected: subject.clone(), found: self.subject });
        }
        if self.edge != edge {
            return Err(EvidenceError::Edge { expected: edge, found: self.edge });
        }
        if self.head != head {
            return Err(EvidenceError::Head { expected: head, found: self.head });
        }
        if now >= self.expires {
            return Err(EvidenceError::Expired { expired: self.expires, now });
        }
        Ok(Approver { principal: self.approver, record: self.record })
    }
}

macro_rules! grants {
    ($($(#[$doc:meta])* $type:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// Minted by governance alone, used once.
        #[derive(Debug, PartialEq, Eq)]
        #[must_use = "evidence that is not handed to a verb opens nothing"]
        pub struct $type(Grant);

        impl $type {
            /// Binds the evidence: subject, head of its audience stream, edge, approver,
            /// the first moment at which it no longer holds, and governance's own record.
            pub(crate) const fn mint(
                subject: SubjectId,
                head: Digest,
                edge: &'static Edge,
                approver: PrincipalId,
                expires: Timestamp,
                record: Digest,
            ) -> Self {
                Self(Grant { subject, head, edge, approver, expires, record })
            }

            /// The edge it opens.
            pub const fn edge(&self) -> &'static Edge {
                self.0.edge
            }

            /// The subject it was issued for.
            pub const fn subject(&self) -> &SubjectId {
                &self.0.subject
            }

            /// Who decided.
            pub const fn approver(&self) -> &PrincipalId {
                &self.0.approver
            }

            /// The first moment at which it no longer holds.
            pub const fn expires(&self) -> Timestamp {
                self.0.expires
            }

            pub(in crate::audience) fn spend(
                self,
                subject: &SubjectId,
                head: Digest,
                edge: &'static Edge,
                now: Timestamp,
            ) -> Result<Approver, EvidenceError> {
                self.0.spend(subject, head, edge, now)
            }
        }
    )*};
}

grants! {
    /// Governance's authorization to leave PRIVILEGED for VERIFIED (D-2, ASM2-10.6).
    GovernanceAuthorization;
    /// Governance's approval to release from HOLD (ASM2-8.5, ASM2-8.6, ASM2-10.7).
    GovernanceApproval;
    /// Governance's review that takes ESCALATED to HOLD (ASM2-4.9, ASM2-10.8).
    GovernanceReview;
}
