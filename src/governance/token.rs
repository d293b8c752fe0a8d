//! The Routing Approval Token (RAT, IRM-4.6.5, D-28).
//!
//! Inside a process the token is a linear value: it cannot be copied, stored or made
//! outside Governance, and redeeming consumes it. Its tag is BLAKE3 in keyed mode over
//! these 91 bytes:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 1 | version, always 1 |
//! | 1 | 32 | Routing ID |
//! | 33 | 32 | digest of the routing table |
//! | 65 | 1 | state of the subject |
//! | 66 | 1 | safety mode |
//! | 67 | 8 | expiry, milliseconds since 1970, little-endian |
//! | 75 | 16 | nonce, which is the token's id |
//!
//! The key is BLAKE3 of the mint's 32-byte secret in [`Domain::Token`]. What goes into the
//! evidence is the [`GovernanceToken`]: id and tag, neither of which lets anybody make
//! another token.
//!
//! INVARIANT (one use): a nonce is never handed to a mint twice; the route's evidence
//! record holds the id, and the session's stream holds one record per route.

use core::fmt;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use crate::audience::state::State;
use crate::digest::{Digest, Domain};
use crate::encode::{Decode, DecodeError, Encode, Fixed, Reader, Writer};
use crate::intent::RoutingId;
use crate::time::Timestamp;
use crate::verdict::SafetyMode;

const VERSION: u8 = 1;
/// How many bytes the tag covers.
const CLAIM_BYTES: usize = 91;

/// What a token is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenClaims {
    /// The route.
    pub routing_id: RoutingId,
    /// The digest of the routing table.
    pub table: Digest,
    /// The state of the subject.
    pub state: State,
    /// The safety mode.
    pub mode: SafetyMode,
    /// From here on the token is worth nothing.
    pub expires_at: Timestamp,
    /// Sixteen bytes that no other token of this mint has.
    pub nonce: [u8; 16],
}

impl TokenClaims {
    fn to_bytes(self) -> [u8; CLAIM_BYTES] {
        let mut out = Fixed::<CLAIM_BYTES>::new();
        out.put(&[VERSION])
            .put(self.routing_id.digest().as_bytes())
            .put(self.table.as_bytes())
            .put(&[self.state.to_byte(), self.mode.to_byte()])
            .put(&self.expires_at.as_millis().to_le_bytes())
            .put(&self.nonce);
        out.into_bytes()
    }
}

/// Makes and checks tokens. Holds the key, which never leaves it.
pub struct TokenMint {
    key: Zeroizing<[u8; 32]>,
    /// Of a replay that has no key: the tag that the evidence says was minted.
    said: Option<[u8; 32]>,
}

impl TokenMint {
    /// A mint with this secret, which the caller took from a good source of randomness.
    /// A secret that is handed over in [`Zeroizing`] is not copied on the way.
    pub fn new(secret: impl Into<Zeroizing<[u8; 32]>>) -> Self {
        let secret: Zeroizing<[u8; 32]> = secret.into();
        let mut hasher = blake3::Hasher::new_derive_key(Domain::Token.context());
        hasher.update(&*secret);
        let mut derived = hasher.finalize();
        hasher.zeroize();
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(derived.as_bytes());
        derived.zeroize();
        Self { key, said: None }
    }

    /// A mint for a replay that does not have the key: it takes the tag from the evidence.
    /// Nobody can redeem such a token but the replay itself.
    #[cfg(feature = "std")]
    pub(crate) fn taking(tag: Digest) -> Self {
        Self { key: Zeroizing::new([0; 32]), said: Some(*tag.as_bytes()) }
    }

    fn tag(&self, claims: &TokenClaims) -> [u8; 32] {
        if let Some(tag) = self.said {
            return tag;
        }
        *blake3::keyed_hash(&self.key, &claims.to_bytes()).as_bytes()
    }

    /// Issues a token. Called by the governance step of a route alone, once it allowed.
    ///
    /// INVARIANT (one mint): the only place where an [`ApprovalToken`] is made.
    pub(crate) fn issue(&self, claims: TokenClaims) -> ApprovalToken {
        ApprovalToken { tag: self.tag(&claims), claims }
    }
}

impl fmt::Debug for TokenMint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenMint(key hidden)")
    }
}

/// Governance's approval of one route, to be consumed by Pipeline.
///
/// ```compile_fail
/// fn twice(token: prospera::governance::ApprovalToken) {
///     let copy = token.clone();
/// }
/// ```
#[must_use = "a route without its token goes no further"]
pub struct ApprovalToken {
    claims: TokenClaims,
    tag: [u8; 32],
}

impl fmt::Debug for ApprovalToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApprovalToken").field("claims", &self.claims).finish_non_exhaustive()
    }
}

/// What the redeemer knows of the route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectations {
    /// The route, recomputed (D-23).
    pub routing_id: RoutingId,
    /// The digest of the table in force for it.
    pub table: Digest,
    /// The state of the subject now.
    pub state: State,
    /// The safety mode it will run in.
    pub mode: SafetyMode,
    /// The time now.
    pub now: Timestamp,
}

/// Why a token was not accepted. It is spent all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Another mint's, or changed.
    #[error("expected a token of this mint, found a tag that does not fit")]
    Forged,
    /// Another route's.
    #[error("expected a token for route {expected}, found one for {found}")]
    Route {
        /// The route.
        expected: RoutingId,
        /// The token's.
        found: RoutingId,
    },
    /// Another table's.
    #[error("expected a token for table {expected}, found one for {found}")]
    Table {
        /// The table.
        expected: Digest,
        /// The token's.
        found: Digest,
    },
    /// The subject's state changed.
    #[error("expected a token for state {expected}, found one for {found}")]
    State {
        /// The state.
        expected: State,
        /// The token's.
        found: State,
    },
    /// Another safety mode.
    #[error("expected a token for safety mode {expected:?}, found one for {found:?}")]
    Mode {
        /// The mode.
        expected: SafetyMode,
        /// The token's.
        found: SafetyMode,
    },
    /// Too late.
    #[error("expected a time before {expires_at}, found {found}")]
    Expired {
        /// When it ended.
        expires_at: Timestamp,
        /// The time.
        found: Timestamp,
    },
}

impl ApprovalToken {
    /// What it is bound to.
    pub const fn claims(&self) -> &TokenClaims {
        &self.claims
    }

    /// Id and tag, for the evidence.
    pub const fn evidence(&self) -> GovernanceToken {
        GovernanceToken { id: self.claims.nonce, tag: Digest::from_bytes(self.tag) }
    }

    /// Consumes the token against what is known of the route. The tag is compared in
    /// constant time and first.
    ///
    /// # Errors
    /// [`TokenError`] names the first binding that does not hold.
    pub fn redeem(self, mint: &TokenMint, expected: &Expectations) -> Result<Redeemed, TokenError> {
        let claims = &self.claims;
        if !bool::from(mint.tag(claims).ct_eq(&self.tag)) {
            return Err(TokenError::Forged);
        }
        if claims.routing_id != expected.routing_id {
            let (expected, found) = (expected.routing_id, claims.routing_id);
            return Err(TokenError::Route { expected, found });
        }
        if claims.table != expected.table {
            return Err(TokenError::Table { expected: expected.table, found: claims.table });
        }
        if claims.state != expected.state {
            return Err(TokenError::State { expected: expected.state, found: claims.state });
        }
        if claims.mode != expected.mode {
            return Err(TokenError::Mode { expected: expected.mode, found: claims.mode });
        }
        if expected.now >= claims.expires_at {
            let expires_at = claims.expires_at;
            return Err(TokenError::Expired { expires_at, found: expected.now });
        }
        Ok(Redeemed { evidence: self.evidence() })
    }
}

/// Witness that a token was redeemed. Made by [`ApprovalToken::redeem`] alone.
#[derive(Debug)]
#[must_use = "the path needs the witness"]
pub struct Redeemed {
    evidence: GovernanceToken,
}

impl Redeemed {
    /// Id and tag, for the evidence.
    pub const fn evidence(&self) -> GovernanceToken {
        self.evidence
    }
}

/// The Governance Token of a Routing Evidence Block (IRM-6.4): 16 bytes id, 32 bytes tag.
///
/// Two are compared in constant time: that a tag is in the log does not tell how it was
/// found.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct GovernanceToken {
    id: [u8; 16],
    tag: Digest,
}

impl PartialEq for GovernanceToken {
    fn eq(&self, other: &Self) -> bool {
        let tags = self.tag.as_bytes().ct_eq(other.tag.as_bytes());
        bool::from(self.id.ct_eq(&other.id) & tags)
    }
}

impl Eq for GovernanceToken {}

impl GovernanceToken {
    /// The token's id: its nonce.
    pub const fn id(&self) -> &[u8; 16] {
        &self.id
    }

    /// The token's tag.
    pub const fn tag(&self) -> Digest {
        self.tag
    }

    /// Whether the mint made this token for these claims: what an auditor who holds the
    /// key can ask of a record.
    pub fn vouched(&self, mint: &TokenMint, claims: &TokenClaims) -> bool {
        let tags = mint.tag(claims).ct_eq(self.tag.as_bytes());
        bool::from(claims.nonce.ct_eq(&self.id) & tags)
    }
}

impl Encode for GovernanceToken {
    fn encode(&self, out: &mut Writer) {
        out.raw(&self.id).digest(&self.tag);
    }
}

impl Decode for GovernanceToken {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut id = [0; 16];
        id.copy_from_slice(input.raw(16)?);
        Ok(Self { id, tag: input.digest()? })
    }
}
