//! Hashes of a tree, and the two functions that make them.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

use super::ProofError;
use crate::digest::{DIGEST_LEN, Digest, DigestParseError, Domain};

/// The hash of a leaf, a node or a whole tree. Shown and parsed as 64 lower-case hex
/// digits.
///
/// No [`Digest`]: that one is BLAKE3 of something, this one a place in a tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; DIGEST_LEN]);

impl Hash {
    /// Zeros: no hash of anything.
    pub const ZERO: Self = Self([0; DIGEST_LEN]);

    /// Wraps 32 bytes that are already a hash.
    pub const fn from_bytes(bytes: [u8; DIGEST_LEN]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; DIGEST_LEN] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Hash {
    type Error = ProofError;

    fn try_from(bytes: &[u8]) -> Result<Self, ProofError> {
        match bytes.try_into() {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) => Err(ProofError::HashLength { found: bytes.len() }),
        }
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Digest::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({})", Digest::from_bytes(self.0).short())
    }
}

impl FromStr for Hash {
    type Err = DigestParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Digest>().map(|digest| Self(*digest.as_bytes()))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Digest::deserialize(deserializer).map(|digest| Self(*digest.as_bytes()))
    }
}

/// The three ways in which a tree hashes.
///
/// Whoever implements it must keep them apart: no input of one may be an input of
/// another (RFC 6962 §2.1 says why), or a node could be shown as a leaf.
pub trait TreeHash {
    /// The root of a tree without leaves.
    fn empty() -> Hash;

    /// The hash of a leaf with this data.
    fn leaf(data: &[u8]) -> Hash;

    /// The hash of a node with these children.
    fn node(left: &Hash, right: &Hash) -> Hash;
}

/// SHA-256 as in RFC 6962 §2.1: what the log's tree is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sha256 {}

/// The state that SHA-256 begins with (FIPS 180-4 §5.3.3).
const START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The length in bits that ends the message of a leaf of 32 bytes, and that of a node.
const LEAF_BITS: [u8; 8] = (8_u64 * 33).to_be_bytes();
const NODE_BITS: [u8; 8] = (8_u64 * 65).to_be_bytes();

// Both inputs that matter have a fixed length, so their padding is known: the blocks are
// laid out here and given to the compression function, which saves a third of the time
// that the streaming interface needs for so little.
impl TreeHash for Sha256 {
    fn empty() -> Hash {
        Hash(sha2::Sha256::digest([]).into())
    }

    #[inline]
    fn leaf(data: &[u8]) -> Hash {
        let Ok(data) = <&[u8; DIGEST_LEN]>::try_from(data) else {
            return Hash(
                sha2::Sha256::new().chain_update([0]).chain_update(data).finalize().into(),
            );
        };
        let mut block = [0; 64];
        block[1..33].copy_from_slice(data);
        block[33] = 0x80;
        block[56..].copy_from_slice(&LEAF_BITS);
        let mut state = START;
        sha2::compress256(&mut state, &[block.into()]);
        hash_of(state)
    }

    #[inline]
    fn node(left: &Hash, right: &Hash) -> Hash {
        let (mut first, mut second) = ([0; 64], [0; 64]);
        first[0] = 1;
        first[1..33].copy_from_slice(&left.0);
        first[33..].copy_from_slice(&right.0[..31]);
        second[0] = right.0[31];
        second[1] = 0x80;
        second[56..].copy_from_slice(&NODE_BITS);
        let mut state = START;
        sha2::compress256(&mut state, &[first.into(), second.into()]);
        hash_of(state)
    }
}

#[inline]
fn hash_of(state: [u32; 8]) -> Hash {
    let mut out = [0; DIGEST_LEN];
    for (bytes, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    Hash(out)
}

/// BLAKE3, leaves and nodes under a key each ([`Domain::TreeLeaf`], [`Domain::TreeNode`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blake3 {}

impl TreeHash for Blake3 {
    /// A node of nothing: a node that is one has 64 bytes.
    fn empty() -> Hash {
        Hash(*Domain::TreeNode.hash(&[]).as_bytes())
    }

    #[inline]
    fn leaf(data: &[u8]) -> Hash {
        Hash(*Domain::TreeLeaf.hash(data).as_bytes())
    }

    #[inline]
    fn node(left: &Hash, right: &Hash) -> Hash {
        let mut both = [0; 2 * DIGEST_LEN];
        both[..32].copy_from_slice(&left.0);
        both[32..].copy_from_slice(&right.0);
        Hash(*Domain::TreeNode.hash(&both).as_bytes())
    }
}
