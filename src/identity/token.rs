//! Signed identity tokens: a JWT in, [`VerifiedClaims`] out (feature `jwt`).
//!
//! Keys come from the text of a key set (RFC 7517); nothing is ever fetched. Each
//! key is for one algorithm, `EdDSA` (Ed25519), `ES256` or `RS256`, and a token is
//! checked with the algorithm of its key, whatever its header says (RFC 8725 §3.1).
//! Keys for HMAC are not read, so a public key cannot be turned into a shared
//! secret, and `none` names no algorithm at all. The time is handed in.
//!
//! # Claims
//! | claim | meaning |
//! |---|---|
//! | `iss`, `aud`, `exp`, `iat`, `sub` | required (RFC 7519 §4.1) |
//! | `nbf`, `jti` | optional |
//! | `session`, or `sid` | the session; required |
//! | `principal_kind` | `human`, `service` or `agent`: who acts; required |
//! | `subject` | whom it acts for; `sub` where it is missing |
//! | `roles` | list of roles of `sub` |
//! | `scope` | scopes of `sub`, separated by spaces (RFC 8693 §4.2) |
//! | `act` | who acts for `sub`, nested (RFC 8693 §4.1): the outermost acts now, the innermost was delegated to first. Each may hold `scope`, what was passed on to it; without one, all that its delegator holds |
//! | `consent` | whether the subject consented; `false` where it is missing |
//! | `amr`, `acr` | how the principal was authenticated: see [`strength`] |
//!
//! Other claims are ignored, as RFC 7519 §4 asks.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};

use crate::identity::claims::VerifiedClaims;
use crate::identity::{IdentityError, IdentityPolicy};
use crate::limits::Limits;
use crate::time::Timestamp;
use keys::Key;
pub use payload::strength;

mod keys;
mod payload;
#[cfg(test)]
mod tests;

/// Verifies tokens against the keys of one key set.
pub struct TokenVerifier {
    keys: Vec<Key>,
    limits: Limits,
}

impl fmt::Debug for TokenVerifier {
    /// The keys' ids and algorithms; no key material.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.keys.iter().map(|key| (&key.id, key.algorithm_name()))).finish()
    }
}

impl TokenVerifier {
    /// Reads a key set (RFC 7517 §5). Keys for other uses than signatures and for
    /// other algorithms are left out.
    ///
    /// # Errors
    /// [`IdentityError::KeySet`] when the text is no key set, holds a secret or
    /// private key, an ill-formed or short one (RSA below 2048 bits), one id twice,
    /// or no usable key.
    pub fn from_jwks(text: &str) -> Result<Self, IdentityError> {
        keys::read(text).map(|keys| Self { keys, limits: Limits::DEFAULT })
    }

    /// Under lower bounds on a token's size and its delegation chain.
    #[must_use]
    pub const fn within(mut self, limits: &Limits) -> Self {
        self.limits = self.limits.and(limits);
        self
    }

    /// The ids of the keys, in the order of the set.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| &*key.id)
    }

    /// Verifies a token: size, key, algorithm, signature, issuer, audience. Then its
    /// claims' time and standing are checked as [`crate::identity::Session::open`] does again.
    ///
    /// # Errors
    /// [`IdentityError`]; it never holds the token.
    pub fn verify(
        &self,
        token: &str,
        now: Timestamp,
        policy: &IdentityPolicy,
    ) -> Result<VerifiedClaims, IdentityError> {
        let limit = self.limits.token_bytes();
        if token.len() > limit {
            return Err(IdentityError::TokenSize { limit, found: token.len() });
        }
        let header = jsonwebtoken::decode_header(token).map_err(|error| shape(error.kind()))?;
        if header.crit.is_some() {
            // RFC 7515 §4.1.11: what is critical and not understood must be refused.
            return Err(IdentityError::TokenShape { found: "a critical header extension" });
        }
        let key = self.select(header.kid.as_deref())?;
        if header.alg != key.algorithm {
            return Err(IdentityError::Algorithm {
                expected: key.algorithm_name(),
                found: name(header.alg),
                key: key.id.clone(),
            });
        }
        // Only the signature is left to the library: its time checks read the
        // system clock, and its errors do not say what was found.
        let mut validation = Validation::new(key.algorithm);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let read = jsonwebtoken::decode::<payload::Payload>(token, &key.public, &validation);
        let payload = read.map_err(|error| match error.kind() {
            ErrorKind::Json(error) => {
                IdentityError::Claims { found: category(error), column: error.column() }
            }
            ErrorKind::Base64(_) | ErrorKind::Utf8(_) | ErrorKind::InvalidToken => {
                shape(error.kind())
            }
            _ => IdentityError::Signature { key: key.id.clone() },
        })?;
        let claims = payload.claims.into_claims(policy, self.limits.delegation_links())?;
        policy.fresh(&claims, now, now)?;
        policy.standing(&claims)?;
        Ok(VerifiedClaims::verified(claims))
    }

    /// The key of this id; without one, the key set must have but one key.
    fn select(&self, id: Option<&str>) -> Result<&Key, IdentityError> {
        let found = match (id, &*self.keys) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(id), keys) => keys.iter().find(|key| *key.id == *id),
        };
        found.ok_or_else(|| IdentityError::UnknownKey { found: id.map(shown) })
    }
}

/// A foreign text for a message: bounded, and without control characters.
fn shown(text: &str) -> Box<str> {
    let short: String = text.chars().take(64).flat_map(char::escape_debug).collect();
    short.into()
}

fn category(error: &serde_json::Error) -> &'static str {
    use serde_json::error::Category;
    match error.classify() {
        Category::Data => "data",
        _ => "syntax",
    }
}

fn shape(kind: &ErrorKind) -> IdentityError {
    let found = match kind {
        ErrorKind::Base64(_) | ErrorKind::Utf8(_) => "a part that is not base64url of text",
        ErrorKind::Json(_) => "a header without a known algorithm",
        _ => "another number of parts",
    };
    IdentityError::TokenShape { found }
}

const fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::EdDSA => "EdDSA",
        Algorithm::ES256 => "ES256",
        Algorithm::RS256 => "RS256",
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => "HMAC",
        _ => "an algorithm no key is for",
    }
}
