//! Claims: what was said of a principal, and the proof that somebody checked it.
//!
//! [`Claims`] are plain data. [`VerifiedClaims`] are claims that somebody answers
//! for: the token verifier (feature `jwt`), or the program that embeds prospera
//! and authenticated the principal itself ([`VerifiedClaims::vouched_by_host`]).
//!
//! INVARIANT (one mint site each): nothing but these two makes [`VerifiedClaims`].
//!
//! # Canonical encoding
//! The digest of claims is [`Domain::Claims`] over, in this order and encoded as
//! [`crate::encode`] says: version byte; origin (`1` issuer and optional token
//! id, or `2`); principal; kind (`u8`); subject; session; roles (list); scopes
//! (list); delegation (list of principal and list of scopes); consent (`bool`);
//! strength (`u32`); issued at, valid from, expires at (`u64` each). That is version
//! `1`, of claims without signals. Version `2` has at least one, behind the rest (list of
//! kind, `u8`, and value, in the order of the kinds).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::digest::{Digest, Domain};
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::id::{Name, PrincipalId, SessionId, SubjectId};
use crate::identity::signal::{Signals, decode_signals, encode_signals};
use crate::identity::{PrincipalKind, Scopes};
use crate::risk::Risk;
use crate::time::Timestamp;

/// The version byte of the canonical encoding of claims without signals.
const VERSION: u8 = 1;
/// That of claims with signals.
const WITH_SIGNALS: u8 = 2;

/// The most strength claims can have that no token stands behind.
pub const HOST_STRENGTH: Risk = Risk::saturating(700_000);

/// Who answers for claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimsOrigin {
    /// A signed token.
    Token {
        /// Its issuer (`iss`).
        issuer: Name,
        /// Its id (`jti`), where it has one.
        token: Option<Name>,
    },
    /// The program that embeds prospera.
    Host,
}

/// One link of a delegation chain: who passed on what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegationLink {
    /// Who passes on.
    pub principal: PrincipalId,
    /// The scopes passed on to the next in the chain. Never wider than what the
    /// principal holds itself.
    pub granted: Scopes,
}

/// What is said of a principal.
///
/// `delegation` runs from the first delegator on; the last link's scopes are what
/// `principal` holds. With no link, `principal` holds what `roles` and `scopes` give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who answers for them.
    pub origin: ClaimsOrigin,
    /// Who acts.
    pub principal: PrincipalId,
    /// What kind of principal acts.
    pub kind: PrincipalKind,
    /// Whom it acts for.
    pub subject: SubjectId,
    /// The session.
    pub session: SessionId,
    /// The roles of the first in the chain; the policy says what scopes they give.
    pub roles: BTreeSet<Name>,
    /// Scopes the first in the chain holds beside those of its roles.
    pub scopes: Scopes,
    /// The delegation chain.
    pub delegation: Vec<DelegationLink>,
    /// Whether the subject consented to what the session is for.
    pub consent: bool,
    /// How sure it is who acts.
    pub strength: Risk,
    /// When they were made.
    pub issued_at: Timestamp,
    /// When they begin.
    pub valid_from: Timestamp,
    /// When they end.
    pub expires_at: Timestamp,
    /// What the session was opened from, as far as it is known.
    pub signals: Signals,
}

impl Claims {
    /// The digest of the canonical encoding.
    pub fn digest(&self) -> Digest {
        Domain::Claims.hash(&self.to_canonical())
    }
}

impl Encode for ClaimsOrigin {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Token { issuer, token } => out.u8(1).value(issuer).option(token.as_ref()),
            Self::Host => out.u8(2),
        };
    }
}

impl Decode for ClaimsOrigin {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        match input.u8()? {
            1 => Ok(Self::Token { issuer: input.value()?, token: input.option()? }),
            2 => Ok(Self::Host),
            other => Err(Reader::bad_tag("an origin of claims", other, offset)),
        }
    }
}

pub(super) fn encode_names(names: &BTreeSet<Name>, out: &mut Writer) {
    out.count(names.len());
    for name in names {
        out.value(name);
    }
}

pub(super) fn decode_names(input: &mut Reader<'_>) -> Result<BTreeSet<Name>, DecodeError> {
    let mut names = BTreeSet::new();
    for _ in 0..input.count(5)? {
        let name: Name = input.value()?;
        if names.last().is_some_and(|last| *last >= name) {
            return Err(input.invalid("unique names in ascending order"));
        }
        names.insert(name);
    }
    Ok(names)
}

impl Encode for DelegationLink {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.principal);
        encode_names(&self.granted, out);
    }
}

impl Decode for DelegationLink {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { principal: input.value()?, granted: decode_names(input)? })
    }
}

impl Encode for Claims {
    fn encode(&self, out: &mut Writer) {
        out.u8(if self.signals.is_empty() { VERSION } else { WITH_SIGNALS })
            .value(&self.origin)
            .value(&self.principal)
            .value(&self.kind)
            .value(&self.subject)
            .value(&self.session);
        encode_names(&self.roles, out);
        encode_names(&self.scopes, out);
        out.list(&self.delegation)
            .bool(self.consent)
            .value(&self.strength)
            .value(&self.issued_at)
            .value(&self.valid_from)
            .value(&self.expires_at);
        if !self.signals.is_empty() {
            encode_signals(&self.signals, out);
        }
    }
}

impl Decode for Claims {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        let version = input.u8()?;
        if version != VERSION && version != WITH_SIGNALS {
            return Err(Reader::bad_tag("claims version 1 or 2", version, offset));
        }
        Ok(Self {
            origin: input.value()?,
            principal: input.value()?,
            kind: input.value()?,
            subject: input.value()?,
            session: input.value()?,
            roles: decode_names(input)?,
            scopes: decode_names(input)?,
            delegation: input.list()?,
            consent: input.bool()?,
            strength: input.value()?,
            issued_at: input.value()?,
            valid_from: input.value()?,
            expires_at: input.value()?,
            signals: if version == VERSION { Signals::new() } else { decode_signals(input)? },
        })
    }
}

/// What an embedding program says of a principal that it authenticated itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostClaims {
    /// Who acts.
    pub principal: PrincipalId,
    /// What kind of principal acts.
    pub kind: PrincipalKind,
    /// Whom it acts for.
    pub subject: SubjectId,
    /// The session.
    pub session: SessionId,
    /// The roles of the first in the chain.
    pub roles: BTreeSet<Name>,
    /// Scopes the first in the chain holds beside those of its roles.
    pub scopes: Scopes,
    /// The delegation chain, from the first delegator on.
    pub delegation: Vec<DelegationLink>,
    /// Whether the subject consented to what the session is for.
    pub consent: bool,
    /// How sure the program is who acts; at most [`HOST_STRENGTH`] counts.
    pub strength: Risk,
    /// When the program authenticated the principal.
    pub issued_at: Timestamp,
    /// Until when that holds.
    pub expires_at: Timestamp,
}

/// Claims that somebody answers for. Used up by opening a session.
#[derive(Debug)]
#[must_use = "verified claims do nothing until they open a session"]
pub struct VerifiedClaims(Claims);

impl VerifiedClaims {
    /// Claims of the program that embeds prospera. Recorded as such, and never
    /// stronger than [`HOST_STRENGTH`].
    pub fn vouched_by_host(host: HostClaims) -> Self {
        Self(Claims {
            origin: ClaimsOrigin::Host,
            principal: host.principal,
            kind: host.kind,
            subject: host.subject,
            session: host.session,
            roles: host.roles,
            scopes: host.scopes,
            delegation: host.delegation,
            consent: host.consent,
            strength: host.strength.min(HOST_STRENGTH),
            issued_at: host.issued_at,
            valid_from: host.issued_at,
            expires_at: host.expires_at,
            signals: Signals::new(),
        })
    }

    /// Adds what the program that embeds prospera saw when the session was opened. What a
    /// signed token says of a signal stands.
    pub fn observed(mut self, signals: Signals) -> Self {
        for (kind, value) in signals {
            self.0.signals.entry(kind).or_insert(value);
        }
        self
    }

    /// Called by the token verifier alone, after its checks.
    #[cfg(feature = "jwt")]
    pub(super) const fn verified(claims: Claims) -> Self {
        Self(claims)
    }

    /// What they say.
    pub const fn claims(&self) -> &Claims {
        &self.0
    }

    pub(super) fn into_claims(self) -> Claims {
        self.0
    }
}
