//! Step 1: who asks, with which authority, in which session (IRM-4.1, D-54).
//!
//! Claims are verified once: by the token verifier (feature `jwt`), or by the
//! program that embeds prospera. They open a [`Session`]; its opening is recorded
//! in its own stream, from which it can be resumed. Each route then costs a few
//! comparisons and look-ups in [`IdentitySystem`]: is the session fresh, does it
//! stand, is it this subject's, does it hold the scope.
//!
//! What a session says of itself can also be compared with the subject's earlier sessions
//! when it is opened ([`linkage`], [`signal`]): good claims may be in wrong hands.
//!
//! INVARIANT (verified once): a [`Session`] comes from [`VerifiedClaims`] or from
//! the stream in which their verification is recorded, and from nothing else.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::encode::byte_enum;
use crate::id::{Name, PrincipalId, SubjectId};
use crate::risk::Risk;
use crate::time::Timestamp;
use crate::verdict::Reason;

pub use claims::{Claims, ClaimsOrigin, DelegationLink, HostClaims, VerifiedClaims};
pub use engine::IdentitySystem;
pub use error::IdentityError;
pub use linkage::{IdentityScore, Linkage, Standing};
pub use policy::{HostVouching, IdentityPolicy, IdentityPolicyBuilder};
pub use record::SessionOpened;
pub use session::Session;
pub use signal::{SignalKind, Signals};
#[cfg(feature = "jwt")]
pub use token::TokenVerifier;

pub mod claims;
pub mod engine;
mod error;
pub mod linkage;
pub mod policy;
mod record;
pub mod session;
pub mod signal;
#[cfg(test)]
mod tests;
#[cfg(feature = "jwt")]
pub mod token;

/// What kind of principal acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrincipalKind {
    /// A person.
    Human,
    /// A service.
    Service,
    /// An agent that acts for somebody.
    Agent,
}

impl PrincipalKind {
    /// The kind's name: `human`, `service` or `agent`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Service => "service",
            Self::Agent => "agent",
        }
    }
}

byte_enum!(PrincipalKind, "a kind of principal", { Human = 1, Service = 2, Agent = 3, });

/// What the Identity System is handed on each route.
#[derive(Debug, Clone, Copy)]
pub struct IdentityInput<'a> {
    /// The session, opened with verified claims.
    pub session: &'a Session,
    /// The subject the intent names.
    pub subject: &'a SubjectId,
    /// The scope the intent's kind requires; none when it is no intent.
    pub scope: Option<&'a Name>,
    /// The time now.
    pub now: Timestamp,
}

/// What the Identity System found.
///
/// The default is the finding of nothing: no strength, no anomaly.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdentityFinding {
    /// How sure it is who acts, in parts per million.
    pub strength: Risk,
    /// How far what is seen contradicts what is known (ASM2-7.5).
    pub anomaly: Risk,
    /// What makes up the anomaly; empty when there is none.
    pub because: Vec<Reason>,
}

/// Step 1 of the path.
pub trait IdentityEngine {
    /// Checks session, freshness, revocation and authority.
    ///
    /// # Errors
    /// The [`Reason`] for which the route is Blocked.
    fn identify(&self, input: &IdentityInput<'_>) -> Result<IdentityFinding, Reason>;

    /// With how many earlier sessions of its subject [`IdentityEngine::link`] compares a
    /// session that is being opened. 0: sessions are not compared.
    fn remembers(&self) -> usize {
        0
    }

    /// Compares a session that is being opened with earlier ones of its subject, the
    /// oldest first. What comes of it may take rights away, never give any (D-53).
    fn link(&self, opened: &SessionOpened, earlier: &[SessionOpened]) -> Option<IdentityScore> {
        let (_, _) = (opened, earlier);
        None
    }
}

/// Scopes held by a session.
pub type Scopes = BTreeSet<Name>;

/// One link of a delegation chain: who passed the right on.
pub type Delegator = PrincipalId;
