//! The body of a session's opening in its stream
//! ([`RecordKind::SessionOpened`](crate::ssot::record::RecordKind::SessionOpened)).
//!
//! | part | encoding |
//! |---|---|
//! | claims | as [`crate::identity::claims`] says |
//! | digest of the claims | 32 bytes; a reader refuses another than the claims' own |
//! | scopes held | list of names in order |
//! | verified at | `u64` |
//! | digest of the identity policy | 32 bytes |

use crate::digest::Digest;
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::identity::Scopes;
use crate::identity::claims::{Claims, decode_names, encode_names};
use crate::time::Timestamp;

/// That a session was opened: with which claims, when, under which policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionOpened {
    /// The verified claims.
    pub claims: Claims,
    /// The scopes the session held when it was opened.
    pub scopes: Scopes,
    /// When the claims were verified.
    pub verified_at: Timestamp,
    /// The identity policy that was in force.
    pub policy: Digest,
}

impl Encode for SessionOpened {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.claims).digest(&self.claims.digest());
        encode_names(&self.scopes, out);
        out.value(&self.verified_at).digest(&self.policy);
    }
}

impl Decode for SessionOpened {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let claims: Claims = input.value()?;
        if input.digest()? != claims.digest() {
            return Err(input.invalid("the digest of the claims before it"));
        }
        Ok(Self {
            claims,
            scopes: decode_names(input)?,
            verified_at: input.value()?,
            policy: input.digest()?,
        })
    }
}
