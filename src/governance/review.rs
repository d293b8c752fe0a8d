//! What governance decides for good, and the record of it (ASM2-10, D-2, D-25).
//!
//! The body of a [`crate::ssot::record::RecordKind::GovernanceDecision`] record:
//!
//! | bytes | field | meaning |
//! |---|---|---|
//! | 1 | version | always 1 |
//! | 1 | matter | 1 approval, 2 PRIVILEGED exit, 3 HOLD release, 4 ESCALATED review, 5 backtrack, 6 erasure |
//! | … | matter's own | see below |
//! | 4 + n | decider | who decided |
//! | 4 + n | role | the role in which |
//! | 1 | granted | 0 no, 1 yes |
//! | 8 | decided at | milliseconds since 1970 |
//! | 8 | expires at | milliseconds since 1970 |
//! | 32 | policy | digest of the policy in force |
//! | 4 + n | note | the decider's words |
//!
//! | matter | its own fields |
//! |---|---|
//! | approval | 32 Intent Hash, 4 + n requester |
//! | PRIVILEGED exit, ESCALATED review | 4 + n subject |
//! | HOLD release | 4 + n subject, 1 state it is released to |
//! | backtrack | 32 Routing ID, 1 layer the route stands at, 1 layer it goes back to |
//! | erasure | 4 + n subject, 8 index of the log before which its payloads go, 8 how many, 32 digest of the list |
//!
//! INVARIANT (four eyes): no decision's decider is its requester, and every decider is a
//! person who holds the role (K-4). A decoded decision is data: it authorizes nothing
//! until whoever acts on it has found its record in the log.
//!
//! Requirements: ASM2-10.2, ASM2-10.6..ASM2-10.8.

use alloc::boxed::Box;

use crate::audience::state::State;
use crate::digest::Digest;
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::governance::Authority;
use crate::id::{LayerId, Name, PrincipalId, SubjectId};
use crate::intent::RoutingId;
use crate::time::Timestamp;

/// The version of the body.
const VERSION: u8 = 1;

/// What is decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Matter {
    /// Whether exactly this intent may be done.
    Approval {
        /// The Intent Hash.
        intent: Digest,
        /// Who asked.
        requester: PrincipalId,
    },
    /// Whether a subject leaves PRIVILEGED (D-2).
    PrivilegedExit {
        /// The subject.
        subject: SubjectId,
    },
    /// Whether a subject leaves HOLD (ASM2-8.5, ASM2-8.6).
    HoldRelease {
        /// The subject.
        subject: SubjectId,
        /// BASE or RESTRICTED.
        to: State,
    },
    /// Whether an escalated subject moves to HOLD (ASM2-4.9).
    EscalationReview {
        /// The subject.
        subject: SubjectId,
    },
    /// Whether a route goes back (D-25).
    Backtrack {
        /// The route.
        route: RoutingId,
        /// Where it stands.
        from: LayerId,
        /// Where it goes back to.
        target: LayerId,
    },
    /// Whether a subject's payloads are erased.
    Erasure {
        /// The subject.
        subject: SubjectId,
        /// All that records before this index of the log name.
        before: u64,
        /// How many there are to erase.
        payloads: u64,
        /// BLAKE3 of their digests in ascending order, in
        /// [`Domain::Payload`](crate::digest::Domain::Payload).
        digests: Digest,
    },
}

/// Why a decision cannot be taken or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReviewError {
    /// The decider asked for it themselves.
    #[error("expected another decider than the requester `{found}`")]
    OwnRequest {
        /// Who asked and decided.
        found: PrincipalId,
    },
    /// Only a person decides.
    #[error("expected a person to decide, found {found} `{decider}`")]
    NotAPerson {
        /// The decider.
        decider: PrincipalId,
        /// What the decider is.
        found: &'static str,
    },
    /// The decider lacks the role.
    #[error("expected role `{expected}` among the scopes of `{decider}`")]
    Role {
        /// The role.
        expected: Name,
        /// The decider.
        decider: PrincipalId,
    },
    /// The answer came too late, or the decision has ended.
    #[error("expected a time before {expires_at}, found {found}")]
    TooLate {
        /// When it ended.
        expires_at: Timestamp,
        /// The time.
        found: Timestamp,
    },
    /// The clock stands before the question: it went back, and nothing can be said of
    /// when the question ends.
    #[error("expected a time from {asked_at} on, when it was asked for, found {found}")]
    TooEarly {
        /// When it was asked for.
        asked_at: Timestamp,
        /// The time.
        found: Timestamp,
    },
    /// HOLD is left for BASE or RESTRICTED alone.
    #[error("expected a release to BASE or RESTRICTED, found {found}")]
    Release {
        /// The state asked for.
        found: State,
    },
    /// A route goes back to an earlier layer alone.
    #[error("expected a layer before {from}, found {target}")]
    Backwards {
        /// Where the route stands.
        from: LayerId,
        /// Where it should go.
        target: LayerId,
    },
    /// The answer was no.
    #[error("expected a granted decision, found one refused by `{decider}`")]
    Refused {
        /// Who refused.
        decider: PrincipalId,
    },
    /// The decision is about something else.
    #[error("expected a decision on going back, found one on {found}")]
    Matter {
        /// What it is about.
        found: &'static str,
    },
}

impl Matter {
    /// What it is about, for messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Approval { .. } => "an approval",
            Self::PrivilegedExit { .. } => "a PRIVILEGED exit",
            Self::HoldRelease { .. } => "a HOLD release",
            Self::EscalationReview { .. } => "an ESCALATED review",
            Self::Backtrack { .. } => "a backtrack",
            Self::Erasure { .. } => "an erasure",
        }
    }

    fn checked(&self) -> Result<(), ReviewError> {
        match *self {
            Self::HoldRelease { to, .. } if !matches!(to, State::Base | State::Restricted) => {
                Err(ReviewError::Release { found: to })
            }
            Self::Backtrack { from, target, .. } if target >= from => {
                Err(ReviewError::Backwards { from, target })
            }
            _ => Ok(()),
        }
    }
}

/// The circumstances in which governance decides.
#[derive(Debug, Clone, Copy)]
pub struct Sitting<'a> {
    /// Who asked for the decision, or whose standing it is about.
    pub requester: &'a PrincipalId,
    /// The role the decider must hold.
    pub role: &'a Name,
    /// The digest of the policy in force.
    pub policy: Digest,
    /// The time now.
    pub now: Timestamp,
    /// How long the decision is good for.
    pub valid_millis: u64,
}

impl Sitting<'_> {
    /// Takes a decision.
    ///
    /// # Errors
    /// [`ReviewError`]: the requester's own, not a person's, without the role, or on a
    /// move that does not exist.
    pub fn decide(
        &self,
        matter: Matter,
        decider: &Authority<'_>,
        granted: bool,
        note: &str,
    ) -> Result<GovernanceDecision, ReviewError> {
        matter.checked()?;
        if decider.principal == self.requester {
            return Err(ReviewError::OwnRequest { found: self.requester.clone() });
        }
        let name = || decider.principal.clone();
        if decider.kind != "human" {
            return Err(ReviewError::NotAPerson { decider: name(), found: decider.kind });
        }
        if !decider.scopes.contains(self.role) {
            return Err(ReviewError::Role { expected: self.role.clone(), decider: name() });
        }
        Ok(GovernanceDecision {
            matter,
            decider: name(),
            role: self.role.clone(),
            granted,
            decided_at: self.now,
            expires_at: self.now.plus_millis(self.valid_millis),
            policy: self.policy,
            note: note.into(),
        })
    }
}

/// A decision as it stands in the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GovernanceDecision {
    matter: Matter,
    decider: PrincipalId,
    role: Name,
    granted: bool,
    decided_at: Timestamp,
    expires_at: Timestamp,
    policy: Digest,
    note: Box<str>,
}

impl GovernanceDecision {
    /// The same answer to the same question, where its intent has another hash: for a
    /// what-if under another catalogue.
    #[cfg(feature = "std")]
    pub(crate) fn about(&self, intent: Digest) -> Self {
        let mut other = self.clone();
        if let Matter::Approval { intent: asked, .. } = &mut other.matter {
            *asked = intent;
        }
        other
    }

    /// What it is about.
    pub const fn matter(&self) -> &Matter {
        &self.matter
    }

    /// Who decided.
    pub const fn decider(&self) -> &PrincipalId {
        &self.decider
    }

    /// The role in which.
    pub const fn role(&self) -> &Name {
        &self.role
    }

    /// Yes or no.
    pub const fn granted(&self) -> bool {
        self.granted
    }

    /// When.
    pub const fn decided_at(&self) -> Timestamp {
        self.decided_at
    }

    /// When it ends.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The digest of the policy in force.
    pub const fn policy(&self) -> Digest {
        self.policy
    }

    /// The decider's words.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Whether it was granted and has not ended.
    ///
    /// # Errors
    /// [`ReviewError::Refused`], [`ReviewError::TooLate`].
    pub fn in_force(&self, now: Timestamp) -> Result<(), ReviewError> {
        if !self.granted {
            return Err(ReviewError::Refused { decider: self.decider.clone() });
        }
        if now >= self.expires_at {
            return Err(ReviewError::TooLate { expires_at: self.expires_at, found: now });
        }
        Ok(())
    }
}

impl Encode for Matter {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Approval { intent, requester } => out.u8(1).digest(intent).value(requester),
            Self::PrivilegedExit { subject } => out.u8(2).value(subject),
            Self::HoldRelease { subject, to } => out.u8(3).value(subject).value(to),
            Self::EscalationReview { subject } => out.u8(4).value(subject),
            Self::Backtrack { route, from, target } => {
                out.u8(5).value(route).value(from).value(target)
            }
            Self::Erasure { subject, before, payloads, digests } => {
                out.u8(6).value(subject).u64(*before).u64(*payloads).digest(digests)
            }
        };
    }
}

impl Decode for Matter {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        let matter = match input.u8()? {
            1 => Self::Approval { intent: input.digest()?, requester: input.value()? },
            2 => Self::PrivilegedExit { subject: input.value()? },
            3 => Self::HoldRelease { subject: input.value()?, to: input.value()? },
            4 => Self::EscalationReview { subject: input.value()? },
            5 => Self::Backtrack {
                route: input.value()?,
                from: input.value()?,
                target: input.value()?,
            },
            6 => Self::Erasure {
                subject: input.value()?,
                before: input.u64()?,
                payloads: input.u64()?,
                digests: input.digest()?,
            },
            other => return Err(Reader::bad_tag("a matter of governance", other, offset)),
        };
        match matter.checked() {
            Ok(()) => Ok(matter),
            Err(_) => Err(input.invalid("a move that exists")),
        }
    }
}

impl Encode for GovernanceDecision {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION).value(&self.matter).value(&self.decider).value(&self.role);
        out.bool(self.granted).value(&self.decided_at).value(&self.expires_at);
        out.digest(&self.policy).text(&self.note);
    }
}

impl Decode for GovernanceDecision {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        let version = input.u8()?;
        if version != VERSION {
            return Err(Reader::bad_tag("governance decision version 1", version, offset));
        }
        Ok(Self {
            matter: input.value()?,
            decider: input.value()?,
            role: input.value()?,
            granted: input.bool()?,
            decided_at: input.value()?,
            expires_at: input.value()?,
            policy: input.digest()?,
            note: input.text()?.into(),
        })
    }
}
