//! A session: claims verified once, used for many routes.

use alloc::vec::Vec;

use crate::digest::Digest;
use crate::id::{PrincipalId, SessionId, SubjectId};
use crate::identity::{Delegator, PrincipalKind, Scopes};
use crate::time::Timestamp;

/// An open session. Made from verified claims alone.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    subject: SubjectId,
    principal: PrincipalId,
    kind: PrincipalKind,
    scopes: Scopes,
    delegation: Vec<Delegator>,
    verified_at: Timestamp,
    expires_at: Timestamp,
    claims: Digest,
}

impl Session {
    /// The session's id.
    pub const fn id(&self) -> &SessionId {
        &self.id
    }

    /// Whom it acts for.
    pub const fn subject(&self) -> &SubjectId {
        &self.subject
    }

    /// Who acts.
    pub const fn principal(&self) -> &PrincipalId {
        &self.principal
    }

    /// What kind of principal acts.
    pub const fn kind(&self) -> PrincipalKind {
        self.kind
    }

    /// The scopes held.
    pub const fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// The delegation chain, from the first delegator on.
    pub fn delegation(&self) -> &[Delegator] {
        &self.delegation
    }

    /// When its claims were verified.
    pub const fn verified_at(&self) -> Timestamp {
        self.verified_at
    }

    /// When its token ends.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The digest of the verified claims.
    pub const fn claims(&self) -> Digest {
        self.claims
    }
}
