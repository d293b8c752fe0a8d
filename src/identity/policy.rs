//! The identity policy: whose claims are believed, for how long, and what roles give.
//!
//! `identity.toml` (feature `files`):
//! ```toml
//! version = "2026-01"
//! issuer = "https://id.example"
//! audience = "prospera"
//! leeway_seconds = 30          # how far clocks may differ; at most 300
//! max_token_age_seconds = 900  # from issue to opening
//! max_session_seconds = 28800  # from opening to the last route
//!
//! [roles]
//! clerk = ["read", "pay"]
//!
//! [revoked]
//! tokens = []
//! sessions = []
//! principals = ["mallory"]
//!
//! [host]                       # left out: only tokens open sessions
//! principal = "desk"           # who acts where a session names nobody
//! kind = "agent"               # human, service or agent
//! roles = ["clerk"]            # the most a session may have
//! approvers = []               # roles that only a person may have beside them
//! scopes = []
//! consent = true               # subjects consented to what their sessions are for
//! strength = 700000            # at most 700000 counts
//! session_seconds = 3600
//! ```

use alloc::collections::{BTreeMap, BTreeSet};

use crate::digest::{Digest, Domain};
use crate::encode::{Encode, Writer};
use crate::id::{Name, PrincipalId};
use crate::identity::claims::{Claims, ClaimsOrigin, encode_names};
use crate::identity::{IdentityError, PrincipalKind, Scopes};
use crate::risk::Risk;
use crate::time::Timestamp;

pub use crate::limits::LEEWAY_MILLIS as MAX_LEEWAY_MS;

#[cfg(feature = "files")]
mod file;

const LEEWAY_MS: u64 = 30_000;
const TOKEN_AGE_MS: u64 = 900_000;
const SESSION_MS: u64 = 28_800_000;

/// Whose claims are believed, for how long, and what roles give. Immutable; a
/// change of the revocation list is a new policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityPolicy {
    rules: Rules,
    digest: Digest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rules {
    version: Option<Name>,
    issuer: Name,
    audience: Name,
    leeway_ms: u64,
    max_token_age_ms: u64,
    max_session_ms: u64,
    roles: BTreeMap<Name, Scopes>,
    revoked: Revoked,
    host: Option<HostVouching>,
}

/// For whom a program that embeds prospera may vouch, where no token is shown. A
/// policy without one accepts tokens alone.
///
/// The library cannot hold its own host to this: it is the bound for a host that keeps
/// to its policy, as the command line does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostVouching {
    /// Who acts, where a session names nobody.
    pub principal: PrincipalId,
    /// The most roles a session may have.
    pub roles: BTreeSet<Name>,
    /// Roles that only a person may have beside these: who approves.
    pub approvers: BTreeSet<Name>,
    /// The most scopes a session may have beside those of its roles.
    pub scopes: Scopes,
    /// The kind of principal, where a session names none.
    pub kind: PrincipalKind,
    /// Whether subjects consented to what their sessions are for.
    pub consent: bool,
    /// How sure the host is who acts; at most [`crate::identity::claims::HOST_STRENGTH`]
    /// counts.
    pub strength: Risk,
    /// How long a session may last, in milliseconds.
    pub session_ms: u64,
}

impl Encode for HostVouching {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.principal);
        encode_names(&self.roles, out);
        encode_names(&self.approvers, out);
        encode_names(&self.scopes, out);
        out.value(&self.kind).bool(self.consent).value(&self.strength).u64(self.session_ms);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Revoked {
    tokens: BTreeSet<Name>,
    sessions: BTreeSet<Name>,
    principals: BTreeSet<Name>,
}

impl Encode for IdentityPolicy {
    /// The text `identity policy v1`, optional version, issuer, audience, leeway,
    /// token age and session age in milliseconds, roles (count; name, list of
    /// scopes), revoked tokens, sessions and principals (lists), all in name order; for
    /// whom the host may vouch (optional).
    fn encode(&self, out: &mut Writer) {
        let rules = &self.rules;
        out.text("identity policy v1")
            .option(rules.version.as_ref())
            .value(&rules.issuer)
            .value(&rules.audience)
            .u64(rules.leeway_ms)
            .u64(rules.max_token_age_ms)
            .u64(rules.max_session_ms)
            .count(rules.roles.len());
        for (role, scopes) in &rules.roles {
            out.value(role);
            encode_names(scopes, out);
        }
        for names in [&rules.revoked.tokens, &rules.revoked.sessions, &rules.revoked.principals] {
            encode_names(names, out);
        }
        if let Some(host) = &rules.host {
            out.value(host);
        }
    }
}

/// Puts an [`IdentityPolicy`] together.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it builds"]
pub struct IdentityPolicyBuilder(Rules);

impl IdentityPolicyBuilder {
    /// Names the version.
    pub fn version(mut self, version: Name) -> Self {
        self.0.version = Some(version);
        self
    }

    /// How far clocks may differ; at most [`MAX_LEEWAY_MS`] counts.
    pub fn leeway_ms(mut self, millis: u64) -> Self {
        self.0.leeway_ms = millis.min(MAX_LEEWAY_MS);
        self
    }

    /// The greatest age of claims when they open a session.
    pub fn max_token_age_ms(mut self, millis: u64) -> Self {
        self.0.max_token_age_ms = millis;
        self
    }

    /// The greatest age of a session.
    pub fn max_session_ms(mut self, millis: u64) -> Self {
        self.0.max_session_ms = millis;
        self
    }

    /// Gives a role scopes, beside those it has.
    pub fn role(mut self, role: Name, scopes: impl IntoIterator<Item = Name>) -> Self {
        self.0.roles.entry(role).or_default().extend(scopes);
        self
    }

    /// Revokes a token by its id.
    pub fn revoke_token(mut self, token: Name) -> Self {
        self.0.revoked.tokens.insert(token);
        self
    }

    /// Revokes a session.
    pub fn revoke_session(mut self, session: Name) -> Self {
        self.0.revoked.sessions.insert(session);
        self
    }

    /// Revokes a principal, wherever it stands in a chain.
    pub fn revoke_principal(mut self, principal: Name) -> Self {
        self.0.revoked.principals.insert(principal);
        self
    }

    /// Lets the program that embeds prospera vouch for sessions without a token.
    pub fn vouched_by_host(mut self, host: HostVouching) -> Self {
        self.0.host = Some(host);
        self
    }

    /// The policy.
    pub fn build(self) -> IdentityPolicy {
        let mut policy = IdentityPolicy { rules: self.0, digest: Digest::ZERO };
        policy.digest = Domain::Policy.hash(&policy.to_canonical());
        policy
    }
}

impl IdentityPolicy {
    /// A policy that believes one issuer's claims for one audience: 30 seconds of
    /// leeway, 15 minutes from issue to opening, 8 hours of session, no roles,
    /// nothing revoked.
    pub fn builder(issuer: Name, audience: Name) -> IdentityPolicyBuilder {
        IdentityPolicyBuilder(Rules {
            version: None,
            issuer,
            audience,
            leeway_ms: LEEWAY_MS,
            max_token_age_ms: TOKEN_AGE_MS,
            max_session_ms: SESSION_MS,
            roles: BTreeMap::new(),
            revoked: Revoked::default(),
            host: None,
        })
    }

    /// A builder that starts from this policy: to revoke something, for example.
    pub fn edit(&self) -> IdentityPolicyBuilder {
        IdentityPolicyBuilder(self.rules.clone())
    }

    /// Its digest, in [`Domain::Policy`].
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Its version, where it names one.
    pub const fn version(&self) -> Option<&Name> {
        self.rules.version.as_ref()
    }

    /// The one issuer believed.
    pub const fn issuer(&self) -> &Name {
        &self.rules.issuer
    }

    /// The audience tokens must name.
    pub const fn audience(&self) -> &Name {
        &self.rules.audience
    }

    /// How far clocks may differ.
    pub const fn leeway_ms(&self) -> u64 {
        self.rules.leeway_ms
    }

    /// The greatest age of a session.
    pub const fn max_session_ms(&self) -> u64 {
        self.rules.max_session_ms
    }

    /// For whom the host may vouch; `None`: for nobody.
    pub const fn host(&self) -> Option<&HostVouching> {
        self.rules.host.as_ref()
    }

    /// What roles and further scopes give together. A role the policy does not know gives nothing.
    pub fn scopes(&self, roles: &BTreeSet<Name>, further: &Scopes) -> Scopes {
        let of_roles = roles.iter().filter_map(|role| self.rules.roles.get(role)).flatten();
        of_roles.chain(further).cloned().collect()
    }

    /// Begun, not ended, and neither issued nor verified too long ago.
    pub(super) fn fresh(
        &self,
        claims: &Claims,
        verified_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        let rules = &self.rules;
        let valid_from = claims.valid_from.max(claims.issued_at).max(verified_at);
        if now.plus_millis(rules.leeway_ms) < valid_from {
            return Err(IdentityError::NotYetValid { valid_from, now });
        }
        if now >= claims.expires_at.plus_millis(rules.leeway_ms) {
            return Err(IdentityError::Expired { expires_at: claims.expires_at, now });
        }
        for (limit_ms, found_ms) in [
            (rules.max_token_age_ms, verified_at.since(claims.issued_at)),
            (rules.max_session_ms, now.since(verified_at)),
        ] {
            if found_ms > limit_ms.saturating_add(rules.leeway_ms) {
                return Err(IdentityError::Stale { limit_ms, found_ms });
            }
        }
        Ok(())
    }

    /// Neither token, session nor any principal of the chain is revoked.
    pub(super) fn standing(&self, claims: &Claims) -> Result<(), IdentityError> {
        let revoked = &self.rules.revoked;
        let hit = |what, set: &BTreeSet<Name>, name: &Name| {
            if set.contains(name) {
                Err(IdentityError::Revoked { what, found: name.clone() })
            } else {
                Ok(())
            }
        };
        if let ClaimsOrigin::Token { token: Some(token), .. } = &claims.origin {
            hit("token", &revoked.tokens, token)?;
        }
        hit("session", &revoked.sessions, claims.session.name())?;
        hit("principal", &revoked.principals, claims.principal.name())?;
        for link in &claims.delegation {
            hit("principal", &revoked.principals, link.principal.name())?;
        }
        Ok(())
    }
}
