//! A session: claims verified once, used for many routes (D-54).
//!
//! ```
//! use prospera::id::{PrincipalId, SessionId, SubjectId};
//! use prospera::identity::{HostClaims, IdentityPolicy, PrincipalKind, Session, VerifiedClaims};
//! use prospera::risk::Risk;
//! use prospera::time::Timestamp;
//!
//! let now = Timestamp::from_secs(1_700_000_000);
//! let policy = IdentityPolicy::builder("https://id.example".parse()?, "prospera".parse()?).build();
//! let claims = VerifiedClaims::vouched_by_host(HostClaims {
//!     principal: "alice".parse()?,
//!     kind: PrincipalKind::Human,
//!     subject: "alice".parse()?,
//!     session: "s-1".parse()?,
//!     roles: [].into(),
//!     scopes: ["pay".parse()?].into(),
//!     delegation: vec![],
//!     consent: true,
//!     strength: Risk::MAX,
//!     issued_at: now,
//!     expires_at: now.plus_millis(60_000),
//! });
//! let session = Session::open(claims, now, &policy)?;
//! assert!(session.strength() < Risk::MAX, "no token stands behind it");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use alloc::vec::Vec;

use crate::digest::Digest;
use crate::encode::Encode;
use crate::id::{Name, PrincipalId, SessionId, SubjectId, Subsystem};
use crate::identity::claims::{Claims, ClaimsOrigin, DelegationLink, VerifiedClaims};
use crate::identity::policy::IdentityPolicy;
use crate::identity::record::SessionOpened;
use crate::identity::{Delegator, IdentityError, PrincipalKind, Scopes};
use crate::limits::DELEGATION_LINKS;
use crate::risk::Risk;
use crate::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use crate::time::Timestamp;

/// An open session. Made from verified claims alone, or from the stream in which
/// their verification is recorded.
///
/// INVARIANT (authority): `scopes` is what the claims give under the policy the
/// session was opened with, narrowed by every link of the delegation chain.
#[derive(Debug)]
pub struct Session {
    claims: Claims,
    digest: Digest,
    scopes: Scopes,
    delegators: Vec<Delegator>,
    verified_at: Timestamp,
    last_seen: Timestamp,
    policy: Digest,
}

impl Session {
    /// Opens a session with verified claims.
    ///
    /// # Errors
    /// [`IdentityError`] when the claims have ended, have not begun, are too old,
    /// are revoked, or their delegation chain is too long, goes in a circle or widens rights.
    pub fn open(
        claims: VerifiedClaims,
        now: Timestamp,
        policy: &IdentityPolicy,
    ) -> Result<Self, IdentityError> {
        Self::build(claims.into_claims(), now, now, policy)
    }

    /// The session that was opened so, under this policy: for replay, which opens nothing.
    #[cfg(feature = "std")]
    pub(crate) fn reopened(
        opened: &SessionOpened,
        policy: &IdentityPolicy,
    ) -> Result<Self, IdentityError> {
        Self::build(opened.claims.clone(), opened.verified_at, opened.verified_at, policy)
    }

    fn build(
        claims: Claims,
        verified_at: Timestamp,
        now: Timestamp,
        policy: &IdentityPolicy,
    ) -> Result<Self, IdentityError> {
        policy.fresh(&claims, verified_at, now)?;
        policy.standing(&claims)?;
        let scopes = effective_scopes(&claims, policy)?;
        Ok(Self {
            digest: claims.digest(),
            scopes,
            delegators: claims.delegation.iter().map(|link| link.principal.clone()).collect(),
            verified_at,
            last_seen: verified_at,
            policy: policy.digest(),
            claims,
        })
    }

    /// Takes a session up again from its own stream (IRM-4.1.3): `records` is the
    /// whole stream in order. Freshness, revocation and delegation are checked
    /// anew, under the policy in force now.
    ///
    /// # Errors
    /// [`IdentityError::ForeignStream`] and [`IdentityError::BrokenStream`] when the
    /// records are not the chain of this session's stream or its last word is that
    /// it was closed; otherwise as [`Session::open`].
    pub fn resume<'r>(
        session: &SessionId,
        records: impl IntoIterator<Item = &'r Record>,
        now: Timestamp,
        policy: &IdentityPolicy,
    ) -> Result<Self, IdentityError> {
        let mut head = Head::EMPTY;
        let mut opening = None;
        let mut last_seen = Timestamp::default();
        for record in records {
            let broken = |found| IdentityError::BrokenStream { expected: head.length(), found };
            let stream = record.stream();
            if stream.kind() != StreamKind::Session || stream.name() != session.name() {
                return Err(IdentityError::ForeignStream {
                    expected: session.clone(),
                    found: stream.clone(),
                });
            }
            if record.sequence() != head.length() {
                return Err(broken("another place in the stream"));
            }
            if record.previous() != head.digest() {
                return Err(broken("a link to another record"));
            }
            match record.kind() {
                RecordKind::SessionOpened => opening = Some(record),
                RecordKind::SessionClosed => opening = None,
                // What its opening was compared with; it opens and closes nothing.
                RecordKind::IdentityScored if opening.is_some() => {}
                _ => return Err(broken("a record of another kind")),
            }
            last_seen = last_seen.max(record.timestamp());
            head = record.head();
        }
        let Some(record) = opening else {
            return Err(IdentityError::BrokenStream {
                expected: head.length(),
                found: "no open session",
            });
        };
        let opened: SessionOpened = record.read()?;
        if opened.claims.session != *session {
            return Err(IdentityError::BrokenStream {
                expected: record.sequence(),
                found: "the claims of another session",
            });
        }
        let mut resumed = Self::build(opened.claims, opened.verified_at, now, policy)?;
        resumed.saw(last_seen);
        Ok(resumed)
    }

    /// What is recorded of its opening.
    pub fn opened(&self) -> SessionOpened {
        SessionOpened {
            claims: self.claims.clone(),
            scopes: self.scopes.clone(),
            verified_at: self.verified_at,
            policy: self.policy,
        }
    }

    /// The draft of the record of its opening, for its own stream.
    pub fn opening(&self) -> Draft {
        Draft::new(
            self.stream(),
            RecordKind::SessionOpened,
            Subsystem::Identity,
            self.opened().to_canonical(),
        )
    }

    /// The draft of the record that closes it.
    pub fn closing(&self) -> Draft {
        Draft::new(self.stream(), RecordKind::SessionClosed, Subsystem::Identity, Vec::new())
    }

    /// Its own stream.
    pub fn stream(&self) -> StreamId {
        StreamId::new(StreamKind::Session, self.claims.session.name().clone())
    }

    /// Notes that something of this session happened at `when`, the time of a record
    /// for example: the clock may not stand far before it from now on.
    pub fn saw(&mut self, when: Timestamp) {
        self.last_seen = self.last_seen.max(when);
    }

    /// The session's id.
    pub const fn id(&self) -> &SessionId {
        &self.claims.session
    }

    /// Whom it acts for.
    pub const fn subject(&self) -> &SubjectId {
        &self.claims.subject
    }

    /// Who acts.
    pub const fn principal(&self) -> &PrincipalId {
        &self.claims.principal
    }

    /// What kind of principal acts.
    pub const fn kind(&self) -> PrincipalKind {
        self.claims.kind
    }

    /// The scopes held, after delegation.
    pub const fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// The delegation chain, from the first delegator on.
    pub fn delegation(&self) -> &[Delegator] {
        &self.delegators
    }

    /// The delegation chain with what each link passed on.
    pub fn links(&self) -> &[DelegationLink] {
        &self.claims.delegation
    }

    /// Whether the subject consented to what the session is for.
    pub const fn consent(&self) -> bool {
        self.claims.consent
    }

    /// How sure it is who acts.
    pub const fn strength(&self) -> Risk {
        self.claims.strength
    }

    /// Who answers for the claims.
    pub const fn origin(&self) -> &ClaimsOrigin {
        &self.claims.origin
    }

    /// The issuer of the token, where one stands behind the claims.
    pub const fn issuer(&self) -> Option<&Name> {
        match &self.claims.origin {
            ClaimsOrigin::Token { issuer, .. } => Some(issuer),
            ClaimsOrigin::Host => None,
        }
    }

    /// The id of the token, where it has one.
    pub const fn token(&self) -> Option<&Name> {
        match &self.claims.origin {
            ClaimsOrigin::Token { token, .. } => token.as_ref(),
            ClaimsOrigin::Host => None,
        }
    }

    /// When its claims were verified.
    pub const fn verified_at(&self) -> Timestamp {
        self.verified_at
    }

    /// The latest time at which something of it happened.
    pub const fn last_seen(&self) -> Timestamp {
        self.last_seen
    }

    /// When its claims end.
    pub const fn expires_at(&self) -> Timestamp {
        self.claims.expires_at
    }

    /// The digest of the verified claims.
    pub const fn claims(&self) -> Digest {
        self.digest
    }

    /// The digest of the identity policy it was opened under.
    pub const fn policy(&self) -> Digest {
        self.policy
    }

    pub(super) const fn said(&self) -> &Claims {
        &self.claims
    }
}

/// What the last in the chain holds: each link may pass on only what it holds.
fn effective_scopes(claims: &Claims, policy: &IdentityPolicy) -> Result<Scopes, IdentityError> {
    let chain = &claims.delegation;
    if chain.len() > DELEGATION_LINKS {
        return Err(IdentityError::DelegationLength {
            limit: DELEGATION_LINKS,
            found: chain.len(),
        });
    }
    let base = policy.scopes(&claims.roles, &claims.scopes);
    let mut held = &base;
    for (i, link) in chain.iter().enumerate() {
        if let Some(scope) = link.granted.difference(held).next() {
            return Err(IdentityError::DelegationWidens {
                delegator: link.principal.clone(),
                scope: scope.clone(),
            });
        }
        let mut later = chain.iter().skip(i + 1).map(|link| &link.principal);
        if claims.principal == link.principal || later.any(|other| *other == link.principal) {
            return Err(IdentityError::DelegationCycle { found: link.principal.clone() });
        }
        held = &link.granted;
    }
    Ok(held.clone())
}
