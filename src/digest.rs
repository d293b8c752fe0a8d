//! Digests: 32 bytes of BLAKE3, each kind of input under a key of its own.
//!
//! Every hash in prospera is BLAKE3 in key-derivation mode. The context string
//! of a [`Domain`] separates it from every other: bytes hashed as a record can
//! never be mistaken for bytes hashed as an intent, even when they are equal.
//!
//! ```
//! use prospera::digest::{Digest, Domain};
//! let a = Domain::Intent.hash(b"same bytes");
//! let b = Domain::Record.hash(b"same bytes");
//! assert_ne!(a, b);
//! assert_eq!(a.to_string().parse::<Digest>().ok(), Some(a));
//! ```

use core::fmt;
use core::str::FromStr;

use blake3::hazmat::HasherExt as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod keys;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod lanes;
mod many;

/// Length of a [`Digest`] in bytes.
pub const DIGEST_LEN: usize = 32;

/// A 32-byte BLAKE3 digest. Shown and parsed as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; DIGEST_LEN]);

impl Digest {
    /// The digest of nothing: what stands before the first record of a stream.
    pub const ZERO: Self = Self([0; DIGEST_LEN]);

    /// Wraps 32 bytes that are already a digest.
    pub const fn from_bytes(bytes: [u8; DIGEST_LEN]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; DIGEST_LEN] {
        &self.0
    }

    /// The first eight bytes as a number: enough to tell most digests apart at once.
    pub(crate) const fn prefix(&self) -> u64 {
        match self.0.first_chunk() {
            Some(first) => u64::from_le_bytes(*first),
            None => 0,
        }
    }

    /// The first eight hex digits, for people.
    pub fn short(&self) -> impl fmt::Display + '_ {
        Short(self)
    }
}

struct Short<'a>(&'a Digest);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.iter().take(4).try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

/// A text that is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestParseError {
    /// The text has another length than 64 hex digits.
    #[error("expected {expected} hex digits, found {found}")]
    Length {
        /// Always 64.
        expected: usize,
        /// How many bytes the text has.
        found: usize,
    },
    /// A character is not one of `0-9a-f`.
    #[error("expected a lower-case hex digit at position {position}, found byte 0x{found:02x}")]
    Digit {
        /// Offset of the byte in the text, from 0.
        position: usize,
        /// The byte found there.
        found: u8,
    },
}

impl FromStr for Digest {
    type Err = DigestParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        if bytes.len() != 2 * DIGEST_LEN {
            return Err(DigestParseError::Length { expected: 2 * DIGEST_LEN, found: bytes.len() });
        }
        let mut out = [0; DIGEST_LEN];
        for (position, &found) in bytes.iter().enumerate() {
            let nibble = match found {
                b'0'..=b'9' => found - b'0',
                b'a'..=b'f' => found - b'a' + 10,
                _ => return Err(DigestParseError::Digit { position, found }),
            };
            if let Some(byte) = out.get_mut(position / 2) {
                *byte = (*byte << 4) | nibble;
            }
        }
        Ok(Self(out))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hex;
        impl serde::de::Visitor<'_> for Hex {
            type Value = Digest;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 lower-case hex digits")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Digest, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Hex)
    }
}

/// What is being hashed. One variant, one context string, one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Domain {
    /// A lineage record of the SSOT.
    Record,
    /// A canonical intent.
    Intent,
    /// The user's objective.
    Objective,
    /// The five components of a Routing ID (D-23).
    RoutingId,
    /// A routing table.
    Table,
    /// A governance policy.
    Policy,
    /// An Audience Matrix.
    Matrix,
    /// A Safety Envelope.
    Envelope,
    /// A Classifier.
    Classifier,
    /// The configuration of the Modeling System.
    Modeling,
    /// The Kernel Constitutional Rules.
    Kernel,
    /// A catalogue of intent kinds.
    Catalogue,
    /// The digests of everything one route was decided under.
    Pins,
    /// A session's verified claims.
    Claims,
    /// The output of a module.
    Output,
    /// The bytes of a submission that could not be read as an intent.
    Malformed,
    /// The tag of a Routing Approval Token, keyed.
    Token,
    /// A payload stored by content.
    Payload,
    /// Test inputs and anything a dependent hashes for its own ends.
    Other,
    /// A Module Contract.
    Contract,
    /// A leaf of a Merkle tree made with BLAKE3.
    TreeLeaf,
    /// A node of a Merkle tree made with BLAKE3.
    TreeNode,
    /// Part of a packed segment of a log.
    Segment,
    /// An SSOT Integrity Matrix, or what is remembered between two of them.
    IntegrityMatrix,
    /// A salted commitment ([`crate::commitment`]).
    Commitment,
    /// Under what a subject's key is kept.
    SubjectKey,
}

macro_rules! contexts {
    ($($variant:ident => $context:literal,)*) => {
        impl Domain {
            /// All domains, in the order of their declaration.
            pub const ALL: &'static [Domain] = &[$(Domain::$variant),*];

            /// The context string given to BLAKE3's key derivation.
            pub const fn context(self) -> &'static str {
                match self { $(Domain::$variant => $context,)* }
            }
        }
    };
}

contexts! {
    Record => "prospera 2026 ssot record v1",
    Intent => "prospera 2026 intent v1",
    Objective => "prospera 2026 objective v1",
    RoutingId => "prospera 2026 routing id v1",
    Table => "prospera 2026 routing table v1",
    Policy => "prospera 2026 governance policy v1",
    Matrix => "prospera 2026 audience matrix v1",
    Envelope => "prospera 2026 safety envelope v1",
    Classifier => "prospera 2026 classifier v1",
    Modeling => "prospera 2026 modeling v1",
    Kernel => "prospera 2026 kernel rules v1",
    Catalogue => "prospera 2026 catalogue v1",
    Pins => "prospera 2026 pins v1",
    Claims => "prospera 2026 claims v1",
    Output => "prospera 2026 output v1",
    Malformed => "prospera 2026 malformed submission v1",
    Token => "prospera 2026 routing approval token v1",
    Payload => "prospera 2026 payload v1",
    Other => "prospera 2026 other v1",
    Contract => "prospera 2026 module contract v1",
    TreeLeaf => "prospera 2026 tree leaf v1",
    TreeNode => "prospera 2026 tree node v1",
    Segment => "prospera 2026 ssot segment v1",
    IntegrityMatrix => "prospera 2026 integrity matrix v1",
    Commitment => "prospera 2026 commitment v1",
    SubjectKey => "prospera 2026 subject key v1",
}

impl Domain {
    /// Hashes `bytes` in this domain (BLAKE3 `derive_key` with [`Domain::context`]).
    pub fn hash(self, bytes: &[u8]) -> Digest {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finalize()
    }

    /// A hasher of this domain for input that comes in pieces.
    pub fn hasher(self) -> DomainHasher {
        DomainHasher(blake3::Hasher::new_from_context_key(self.context_key()))
    }

    fn context_key(self) -> &'static blake3::hazmat::ContextKey {
        keys::CONTEXT_KEYS.get(self as usize).unwrap_or(&keys::NONE)
    }
}

/// A BLAKE3 hasher bound to one [`Domain`].
#[derive(Clone, Debug)]
pub struct DomainHasher(blake3::Hasher);

impl DomainHasher {
    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The digest of all bytes taken in.
    pub fn finalize(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_domain_has_its_own_derived_key() {
        let mut seen = alloc::collections::BTreeSet::new();
        for domain in Domain::ALL {
            let derived = blake3::hazmat::hash_derive_key_context(domain.context());
            assert_eq!(domain.context_key(), &derived, "{}: {derived:?}", domain.context());
            assert_eq!(
                domain.hash(b"abc").as_bytes(),
                &blake3::derive_key(domain.context(), b"abc")
            );
            assert!(seen.insert(derived));
        }
        assert_eq!(seen.len(), keys::CONTEXT_KEYS.len());
    }
}
