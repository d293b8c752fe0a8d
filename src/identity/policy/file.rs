//! `identity.toml`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::Deserialize;
use toml::Spanned;

use crate::files::{FileError, read_toml};
use crate::id::{Name, PrincipalId};
use crate::identity::claims::HOST_STRENGTH;
use crate::identity::policy::{
    HostVouching, IdentityPolicy, MAX_LEEWAY_MS, Revoked, SESSION_MS, TOKEN_AGE_MS,
};
use crate::identity::{PrincipalKind, Scopes};
use crate::risk::Risk;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Name,
    issuer: Name,
    audience: Name,
    leeway_seconds: Option<Spanned<u64>>,
    max_token_age_seconds: Option<u64>,
    max_session_seconds: Option<u64>,
    #[serde(default)]
    roles: BTreeMap<Name, Scopes>,
    #[serde(default)]
    revoked: RevokedFile,
    host: Option<HostFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostFile {
    principal: PrincipalId,
    kind: PrincipalKind,
    #[serde(default)]
    roles: Vec<Spanned<Name>>,
    #[serde(default)]
    approvers: Vec<Spanned<Name>>,
    #[serde(default)]
    scopes: Scopes,
    #[serde(default)]
    consent: bool,
    strength: Option<Risk>,
    session_seconds: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RevokedFile {
    tokens: BTreeSet<Name>,
    sessions: BTreeSet<Name>,
    principals: BTreeSet<Name>,
}

impl IdentityPolicy {
    /// Reads an `identity.toml`; `file` is its name in messages.
    ///
    /// # Errors
    /// [`FileError`] that points at the place.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, FileError> {
        let read: File = read_toml(file, text)?;
        let mut builder = Self::builder(read.issuer, read.audience)
            .version(read.version)
            .max_token_age_ms(read.max_token_age_seconds.map_or(TOKEN_AGE_MS, millis))
            .max_session_ms(read.max_session_seconds.map_or(SESSION_MS, millis));
        if let Some(leeway) = read.leeway_seconds {
            let found = millis(*leeway.get_ref());
            if found > MAX_LEEWAY_MS {
                let message = alloc::format!(
                    "expected a leeway of at most {} seconds, found {}",
                    MAX_LEEWAY_MS / 1000,
                    leeway.get_ref()
                );
                return Err(FileError::at(file, text, leeway.span(), message));
            }
            builder = builder.leeway_ms(found);
        }
        let known: BTreeSet<Name> = read.roles.keys().cloned().collect();
        for (role, scopes) in read.roles {
            builder = builder.role(role, scopes);
        }
        if let Some(host) = read.host {
            let checked = |field: &str, roles: Vec<Spanned<Name>>| {
                let mut all = BTreeSet::new();
                for role in roles {
                    if !known.contains(role.get_ref()) {
                        let message = alloc::format!(
                            "expected a role of `[roles]`, found `{}` (in `{field}`)",
                            role.get_ref()
                        );
                        return Err(FileError::at(file, text, role.span(), message));
                    }
                    all.insert(role.into_inner());
                }
                Ok(all)
            };
            let roles = checked("roles", host.roles)?;
            let approvers = checked("approvers", host.approvers)?;
            builder = builder.vouched_by_host(HostVouching {
                principal: host.principal,
                roles,
                approvers,
                scopes: host.scopes,
                kind: host.kind,
                consent: host.consent,
                strength: host.strength.unwrap_or(HOST_STRENGTH).min(HOST_STRENGTH),
                session_ms: host.session_seconds.map_or(SESSION_MS, millis),
            });
        }
        let RevokedFile { tokens, sessions, principals } = read.revoked;
        builder.0.revoked = Revoked { tokens, sessions, principals };
        Ok(builder.build())
    }
}

const fn millis(seconds: u64) -> u64 {
    seconds.saturating_mul(1000)
}
