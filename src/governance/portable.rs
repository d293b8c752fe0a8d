//! The Routing Approval Token between processes (D-28, feature `paseto`).
//!
//! [`ApprovalToken::export`] turns the linear token into a signed text, and
//! [`TokenMint::import`] turns that text into a linear token of the importing process,
//! once. The text is a PASETO of version 4, purpose `public`: one form, one algorithm
//! (Ed25519), nothing that a header could choose.
//!
//! ```
//! use prospera::governance::{PortableError, ReplayMemory, SigningKey, TokenMint, Trust};
//! use prospera::id::Name;
//! use prospera::time::Timestamp;
//!
//! let secret = "k4.secret.tMv7Q99M4hByfZU-SnEzB_oZu32fhQQUONnhG5QqN3Qeudu7vAR8A_1wYE4AcfCYfhayi3VyJcEfAEFdDiCxog";
//! let key = SigningKey::from_paserk(secret)?; // the issuer's, in another process
//! let trust = Trust::new(Name::new("gate-a")?, Name::new("pipeline-b")?).with_key(key.verifying_key());
//! let mint = TokenMint::new([7; 32]);
//! let found = mint.import("v4.local.AAAA", &trust, Timestamp::from_secs(1), &mut ReplayMemory::new());
//! assert!(matches!(found, Err(PortableError::Header { found: "v4.local", .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Form
//! `v4.public.` payload and signature `.` footer. The payload is a JSON object of exactly
//! these claims, each text, none twice; the first six are PASETO's registered ones:
//!
//! | claim | holds |
//! |---|---|
//! | `iss` | who exports |
//! | `aud` | who may import |
//! | `exp` | the token's expiry, to the millisecond |
//! | `nbf`, `iat` | when it was exported |
//! | `jti` | the token's nonce, 32 hex digits |
//! | `typ` | always `prospera-rat-v1`: a token for something else is none of these |
//! | `routing_id`, `table` | 64 hex digits each |
//! | `state` | as [`State::name`](crate::audience::state::State::name) |
//! | `mode` | `normal`, `protected` or `read-only` |
//!
//! Times are RFC 3339 in one form only, `2026-01-31T12:00:00.000Z`. The footer is
//! `{"kid":"k4.pid.…"}` with the PASERK id of the verifying key, and nothing else; it is
//! compared, not parsed, since it is read before the signature is checked.
//!
//! INVARIANT (nothing widened): an imported token has the claims of the exported one and
//! no others; it only gets the tag of the importer's mint.
//!
//! INVARIANT (one use): exporting consumes the token, and importing spends its nonce in a
//! [`ReplayGuard`] before the new token exists.

use alloc::string::String;
use core::fmt;
use core::mem;

use pasetors::token::UntrustedToken;
use pasetors::version4::PublicToken;
use zeroize::Zeroizing;

use crate::governance::token::{ApprovalToken, TokenMint};
use crate::id::Name;
use crate::time::Timestamp;

pub use error::PortableError;
pub use keys::{KeyId, SigningKey, Trust, VerifyingKey};
pub use replay::{ReplayError, ReplayGuard, ReplayMemory, Spent};

mod error;
mod keys;
mod payload;
mod replay;
#[cfg(test)]
mod tests;

const HEADER: &str = "v4.public";
/// Before and after the key's id in a footer.
const FOOTER: (&str, &str) = ("{\"kid\":\"", "\"}");

/// A Routing Approval Token as text. Whoever has it can have it imported once: treat it
/// as a secret until then. Not shown by `Debug`, and wiped when dropped.
#[must_use = "the approval is in it and nowhere else"]
pub struct PortableToken(Zeroizing<String>);

impl PortableToken {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, no longer wiped when dropped.
    pub fn into_string(mut self) -> String {
        mem::take(&mut *self.0)
    }
}

impl fmt::Debug for PortableToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PortableToken(hidden)")
    }
}

impl ApprovalToken {
    /// Consumes the token and signs what it is bound to, for one importer.
    ///
    /// The token is spent whatever comes out: it is never both here and elsewhere.
    ///
    /// # Errors
    /// [`PortableError::Expired`] when it ended, [`PortableError::Unwritable`] when it
    /// ends after the year 9999.
    pub fn export(
        self,
        key: &SigningKey,
        issuer: &Name,
        audience: &Name,
        now: Timestamp,
    ) -> Result<PortableToken, PortableError> {
        let claims = self.claims();
        if now >= claims.expires_at {
            return Err(PortableError::Expired { expires_at: claims.expires_at, found: now });
        }
        let payload = Zeroizing::new(payload::write(claims, issuer, audience, now)?);
        let footer = footer(key.id());
        let text =
            PublicToken::sign(key.secret(), payload.as_bytes(), Some(footer.as_bytes()), None);
        text.map(|text| PortableToken(Zeroizing::new(text))).map_err(|_| PortableError::Signing)
    }
}

impl TokenMint {
    /// Checks a token's text and makes a token of this mint with the same claims.
    ///
    /// In this order: size, form, key, signature, kind, issuer, audience, time, and last
    /// the one use, so that a text that is refused does not spend a nonce. Who fills the
    /// `trust` decides who approves: it belongs where the mint's secret is configured.
    ///
    /// If the process ends between spending and executing, the approval is lost, never
    /// doubled.
    ///
    /// # Errors
    /// [`PortableError`]; it never holds the text or a key.
    pub fn import<G: ReplayGuard + ?Sized>(
        &self,
        text: &str,
        trust: &Trust,
        now: Timestamp,
        seen: &mut G,
    ) -> Result<ApprovalToken, PortableError> {
        let limit = trust.limits().token_bytes();
        if text.len() > limit {
            return Err(PortableError::Size { limit, found: text.len() });
        }
        header(text)?;
        let shape = |found| PortableError::Shape { found };
        let token = UntrustedToken::try_from(text).map_err(|_| shape("broken parts"))?;
        let key = select(trust, token.untrusted_footer())?;
        let footer = footer(key.id());
        let verified = PublicToken::verify(key.public(), &token, Some(footer.as_bytes()), None)
            .map_err(|e| match e {
                pasetors::errors::Error::PayloadInvalidUtf8 => shape("a payload that is no text"),
                _ => PortableError::Signature { key: key.id().clone() },
            })?;
        let claims = payload::read(verified.payload(), trust, now)?;
        seen.spend(&Spent {
            issuer: trust.issuer(),
            id: &claims.nonce,
            expires_at: claims.expires_at,
        })?;
        Ok(self.issue(claims))
    }
}

fn footer(key: &KeyId) -> String {
    [FOOTER.0, key.as_str(), FOOTER.1].concat()
}

/// The key that the footer names. An id names one key, so one that is trusted has no
/// second meaning.
fn select<'a>(trust: &'a Trust, footer: &[u8]) -> Result<&'a VerifyingKey, PortableError> {
    let text = core::str::from_utf8(footer).ok();
    let id = text.and_then(|text| text.strip_prefix(FOOTER.0)?.strip_suffix(FOOTER.1));
    let Some(id) = id.and_then(KeyId::read) else {
        return Err(PortableError::UnknownKey { found: None });
    };
    trust.key(&id).ok_or(PortableError::UnknownKey { found: Some(id) })
}

/// Version and purpose are compared before anything else is looked at.
fn header(text: &str) -> Result<(), PortableError> {
    const OTHERS: [&str; 7] =
        ["v1.local", "v1.public", "v2.local", "v2.public", "v3.local", "v3.public", "v4.local"];
    let is = |header: &str| text.strip_prefix(header).is_some_and(|rest| rest.starts_with('.'));
    if is(HEADER) {
        return Ok(());
    }
    let found = OTHERS.into_iter().find(|header| is(header)).unwrap_or("another beginning");
    Err(PortableError::Header { expected: HEADER, found })
}
