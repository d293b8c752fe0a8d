//! Signed tokens.

use std::format;

use super::super::{Broken, Held, must};
use crate::id::{Name, NameError};
use crate::identity::IdentityPolicy;
use crate::identity::token::TokenVerifier;
use crate::time::Timestamp;

/// A key set and a policy that tokens are tried against.
#[derive(Debug)]
pub struct TokenProbe {
    keys: TokenVerifier,
    policy: IdentityPolicy,
}

impl TokenProbe {
    /// A probe with these keys, for the issuer `https://id.example` and the audience
    /// `prospera`.
    ///
    /// # Errors
    /// [`Broken`] when the text is no key set.
    pub fn new(jwks: &str) -> Result<Self, Broken> {
        let broken = |error: NameError| Broken::new("tokens_expire", error);
        let keys = TokenVerifier::from_jwks(jwks).map_err(|e| Broken::new("tokens_expire", e))?;
        let issuer = Name::new("https://id.example").map_err(broken)?;
        let audience = Name::new("prospera").map_err(broken)?;
        Ok(Self { keys, policy: IdentityPolicy::builder(issuer, audience).build() })
    }
}

/// Text is a token that holds or is refused; one that holds at some time holds no more
/// once it has expired, and what it says has one encoding.
///
/// # Errors
/// [`Broken`] with the token.
pub fn tokens_expire(probe: &TokenProbe, token: &str, now: Timestamp) -> Held {
    let property = "tokens_expire";
    let Ok(verified) = probe.keys.verify(token, now, &probe.policy) else { return Ok(()) };
    let claims = verified.claims();
    super::round_trip(claims)?;
    let late = claims.expires_at.plus_millis(crate::identity::policy::MAX_LEEWAY_MS + 1);
    let then = probe.keys.verify(token, late, &probe.policy);
    must(property, then.is_err() || late == now, || format!("`{token}` holds at {late}"))
}
