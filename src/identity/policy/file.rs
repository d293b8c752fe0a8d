//! `identity.toml`.

use alloc::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use crate::files::{FileError, read_toml};
use crate::id::Name;
use crate::identity::Scopes;
use crate::identity::policy::{IdentityPolicy, MAX_LEEWAY_MS, Revoked, SESSION_MS, TOKEN_AGE_MS};

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
        for (role, scopes) in read.roles {
            builder = builder.role(role, scopes);
        }
        let RevokedFile { tokens, sessions, principals } = read.revoked;
        builder.0.revoked = Revoked { tokens, sessions, principals };
        Ok(builder.build())
    }
}

const fn millis(seconds: u64) -> u64 {
    seconds.saturating_mul(1000)
}
