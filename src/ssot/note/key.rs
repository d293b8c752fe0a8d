//! The keys that signatures are verified with, as texts.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::str::FromStr;

use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha256};

use super::{base64, cosigned, shown};
use crate::limits::KEY_BYTES;
use crate::time::Timestamp;

/// A key's name: not empty, no white space, no `+`. It should be a URL without a scheme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(Arc<str>);

impl KeyName {
    /// Reads a name.
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn new(name: &str) -> Result<Self, KeyError> {
        let bad = |c: char| c.is_whitespace() || c == '+' || c < ' ';
        if name.is_empty() || name.contains(bad) {
            return Err(KeyError::Name { found: shown(name) });
        }
        Ok(Self(name.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyName {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

/// Four bytes that tell the keys of one name apart. They prove nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 4]);

impl KeyId {
    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0
    }

    /// The id of a key: the first bytes of SHA-256 of name, newline, algorithm and key.
    pub fn of(name: &KeyName, algorithm: Algorithm, public: &[u8]) -> Self {
        let hash = Sha256::new()
            .chain_update(name.as_str())
            .chain_update([b'\n', algorithm.byte()])
            .chain_update(public)
            .finalize();
        Self(hash.first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a key signs, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// Ed25519 over the text.
    Ed25519,
    /// Ed25519 over the text and the time: the cosignature of a checkpoint.
    Cosignature,
    /// ML-DSA-44 (FIPS 204) over what a checkpoint says and the time: a cosignature that
    /// outlasts quantum computers. Needs the feature `ml-dsa`.
    MlDsa44,
}

impl Algorithm {
    /// Its byte.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::Cosignature => 4,
            Self::MlDsa44 => 6,
        }
    }

    /// Whether its signatures carry a time: those of witnesses must.
    pub const fn is_cosignature(self) -> bool {
        !matches!(self, Self::Ed25519)
    }

    pub(super) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Ed25519),
            4 => Some(Self::Cosignature),
            6 => Some(Self::MlDsa44),
            _ => None,
        }
    }
}

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The name is empty, or has white space, a control character or `+` in it.
    #[error("expected a key's name without white space and `+`, found `{found}`")]
    Name {
        /// What was found.
        found: String,
    },
    /// The name is too long for the algorithm, which signs it.
    #[error("expected a key's name of at most {limit} bytes, found {found}")]
    LongName {
        /// The bound.
        limit: usize,
        /// How many there are.
        found: usize,
    },
    /// The parts are not there, or one of them is malformed.
    #[error("expected {expected} in a key")]
    Form {
        /// What belongs there.
        expected: &'static str,
    },
    /// The algorithm is none that this build knows.
    #[error("expected a key of algorithm 1, 4 or 6, found {found}{}", if *.found == 6 { ": this build has no ML-DSA" } else { "" })]
    Algorithm {
        /// Its byte.
        found: u8,
    },
    /// The bytes are no public key, or one that anybody can sign for.
    #[error("expected a sound public key: {expected}")]
    Public {
        /// What is wrong.
        expected: &'static str,
    },
    /// The id is not the key's.
    #[error("expected key id {expected}, found {found}")]
    Id {
        /// The id by name, algorithm and key.
        expected: KeyId,
        /// The id in the text.
        found: KeyId,
    },
}

/// A key that signatures are verified with: `NAME+ID+BASE64`.
#[derive(Debug, Clone)]
pub struct Verifier {
    name: KeyName,
    id: KeyId,
    algorithm: Algorithm,
    public: Box<[u8]>,
    key: Key,
}

#[derive(Debug, Clone)]
enum Key {
    Ed25519(VerifyingKey),
    #[cfg(feature = "ml-dsa")]
    MlDsa44(Arc<ml_dsa::VerifyingKey<ml_dsa::MlDsa44>>),
}

/// When something was signed, where the signature says so.
pub(super) struct SignedAt(pub(super) Option<Timestamp>);

impl Verifier {
    /// The verifier of a public key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn new(name: KeyName, algorithm: Algorithm, public: &[u8]) -> Result<Self, KeyError> {
        let key = match algorithm {
            Algorithm::Ed25519 | Algorithm::Cosignature => Key::Ed25519(ed25519(public)?),
            Algorithm::MlDsa44 => ml_dsa_44(&name, public)?,
        };
        let id = KeyId::of(&name, algorithm, public);
        Ok(Self { name, id, algorithm, public: public.into(), key })
    }

    /// Its name.
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// Its id.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// What it verifies.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The bytes of the public key.
    pub const fn public(&self) -> &[u8] {
        &self.public
    }

    /// Whether a signature is this key's on a text. `None`: it is not.
    pub(super) fn verify(&self, text: &str, bytes: &[u8]) -> Option<SignedAt> {
        if self.algorithm == Algorithm::Ed25519 {
            self.check(text.as_bytes(), bytes)?;
            return Some(SignedAt(None));
        }
        let (seconds, bytes) = bytes.split_first_chunk()?;
        let seconds = u64::from_be_bytes(*seconds);
        if i64::try_from(seconds).is_err() {
            return None;
        }
        let message = if self.algorithm == Algorithm::Cosignature {
            cosigned::ed25519(seconds, text)
        } else {
            cosigned::ml_dsa_44(&self.name, seconds, text)?
        };
        self.check(&message, bytes)?;
        Some(SignedAt((seconds > 0).then(|| Timestamp::from_secs(seconds))))
    }

    pub(super) fn check(&self, message: &[u8], bytes: &[u8]) -> Option<()> {
        match &self.key {
            Key::Ed25519(key) => {
                let signature = ed25519_dalek::Signature::from_slice(bytes).ok()?;
                key.verify_strict(message, &signature).ok()
            }
            #[cfg(feature = "ml-dsa")]
            Key::MlDsa44(key) => {
                let signature = ml_dsa::Signature::try_from(bytes).ok()?;
                key.verify_with_context(message, &[], &signature).then_some(())
            }
        }
    }
}

/// A key that is encoded canonically, and that not everybody can sign for.
fn ed25519(public: &[u8]) -> Result<VerifyingKey, KeyError> {
    let sound = |expected| KeyError::Public { expected };
    let bytes = public.try_into().map_err(|_| sound("32 bytes"))?;
    let key = VerifyingKey::from_bytes(bytes).map_err(|_| sound("a point of the curve"))?;
    if key.is_weak() {
        return Err(sound("a point of large order"));
    }
    if key.to_edwards().compress().to_bytes() != *bytes {
        return Err(sound("a point in its canonical form"));
    }
    Ok(key)
}

#[cfg(feature = "ml-dsa")]
fn ml_dsa_44(name: &KeyName, public: &[u8]) -> Result<Key, KeyError> {
    cosigned::check_name(name)?;
    let bytes = public.try_into().map_err(|_| KeyError::Public { expected: "1312 bytes" })?;
    Ok(Key::MlDsa44(Arc::new(ml_dsa::VerifyingKey::decode(&bytes))))
}

#[cfg(not(feature = "ml-dsa"))]
const fn ml_dsa_44(_: &KeyName, _: &[u8]) -> Result<Key, KeyError> {
    Err(KeyError::Algorithm { found: Algorithm::MlDsa44.byte() })
}

impl PartialEq for Verifier {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.algorithm == other.algorithm
            && *self.public == *other.public
    }
}

impl Eq for Verifier {}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = alloc::vec![self.algorithm.byte()];
        bytes.extend_from_slice(&self.public);
        write!(f, "{}+{}+{}", self.name, self.id, base64::encode(&bytes))
    }
}

impl FromStr for Verifier {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, id, digits) = parts(text)?;
        let bytes = base64::decode(digits).ok_or(KeyError::Form { expected: "base64" })?;
        let (&byte, public) =
            bytes.split_first().ok_or(KeyError::Form { expected: "an algorithm" })?;
        let algorithm = Algorithm::from_byte(byte).ok_or(KeyError::Algorithm { found: byte })?;
        let key = Self::new(name, algorithm, public)?;
        if key.id != id {
            return Err(KeyError::Id { expected: key.id, found: id });
        }
        Ok(key)
    }
}

/// Name, id and base64 digits of a key's text.
pub(super) fn parts(text: &str) -> Result<(KeyName, KeyId, &str), KeyError> {
    let form = |expected| KeyError::Form { expected };
    if text.len() > KEY_BYTES {
        return Err(form("fewer bytes"));
    }
    let mut parts = text.splitn(3, '+');
    let mut next = || parts.next().ok_or(form("name, id and base64, with `+` between them"));
    let (name, hex, digits) = (next()?, next()?, next()?);
    let id = hex.parse().map_err(|()| form("an id of eight lower-case hex digits"))?;
    Ok((KeyName::new(name)?, id, digits))
}

impl FromStr for KeyId {
    type Err = ();

    /// Eight lower-case hex digits.
    fn from_str(hex: &str) -> Result<Self, ()> {
        let plain = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if hex.len() != 8 || !hex.bytes().all(plain) {
            return Err(());
        }
        u32::from_str_radix(hex, 16).map(|id| Self(id.to_be_bytes())).map_err(drop)
    }
}
