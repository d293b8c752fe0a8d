//! Step 1: who asks, with which authority, in which session (IRM-4.1, D-54).

use alloc::collections::BTreeSet;

use crate::id::{Name, PrincipalId, SubjectId};
use crate::risk::Risk;
use crate::time::Timestamp;
use crate::verdict::Reason;

pub use session::Session;

pub mod session;

/// What kind of principal acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrincipalKind {
    /// A person.
    Human,
    /// A service.
    Service,
    /// An agent that acts for somebody.
    Agent,
}

/// What the Identity System is handed on each route.
#[derive(Debug, Clone, Copy)]
pub struct IdentityInput<'a> {
    /// The session, opened with verified claims.
    pub session: &'a Session,
    /// The subject the intent names.
    pub subject: &'a SubjectId,
    /// The scope the intent's kind requires.
    pub scope: &'a Name,
    /// The time now.
    pub now: Timestamp,
}

/// What the Identity System found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFinding {
    /// How sure it is who acts, in parts per million.
    pub strength: Risk,
    /// How far what is seen contradicts what is known (ASM2-7.5).
    pub anomaly: Risk,
}

/// Step 1 of the path.
pub trait IdentityEngine {
    /// Checks session, freshness, revocation and authority.
    ///
    /// # Errors
    /// The [`Reason`] for which the route is Blocked.
    fn identify(&self, input: &IdentityInput<'_>) -> Result<IdentityFinding, Reason>;
}

/// Scopes held by a session.
pub type Scopes = BTreeSet<Name>;

/// One link of a delegation chain: who passed the right on.
pub type Delegator = PrincipalId;
