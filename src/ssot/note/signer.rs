//! The keys that notes are signed with.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::{self, Write as _};

use ed25519_dalek::Signer as _;
use zeroize::Zeroizing;

use super::key::parts;
use super::{
    Algorithm, KeyError, KeyId, KeyName, NoteError, Signature, Verifier, base64, check_text,
    cosigned,
};
use crate::time::Timestamp;

/// What the text of a signing key begins with, so that nobody takes it for a public one.
const PREFIX: &str = "PRIVATE+KEY+";

/// Bytes of the secret of either algorithm.
const SEED: usize = 32;

/// A key that signs: `PRIVATE+KEY+NAME+ID+BASE64`, where the base64 holds the byte of the
/// algorithm and 32 secret bytes (the seed of RFC 8032, or that of FIPS 204).
///
/// It is wiped when dropped, and can be neither copied, shown nor compared.
///
/// ```
/// use prospera::ssot::note::{Algorithm, Note, Signer};
/// use prospera::time::Timestamp;
///
/// let seed = [7; 32]; // from the system's randomness, never from a text
/// let signer = Signer::from_seed("example.com/log".parse()?, Algorithm::Ed25519, &seed)?;
/// let note = Note::signed("hello\n", &signer, Timestamp::from_secs(1))?;
/// assert!(note.verify(&[signer.verifier()?]).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Signer {
    name: KeyName,
    id: KeyId,
    algorithm: Algorithm,
    key: SecretKey,
}

/// Either is wiped by its own crate when dropped.
enum SecretKey {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    #[cfg(feature = "ml-dsa")]
    MlDsa44(Box<ml_dsa::SigningKey<ml_dsa::MlDsa44>>),
}

/// Why a text was not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The text cannot be that of a note.
    #[error(transparent)]
    Text(#[from] NoteError),
    /// The algorithm signs checkpoints alone, and the text is none.
    #[error("expected a checkpoint: this key signs nothing else")]
    NoCheckpoint,
    /// The time is before 1970's first second or beyond what a signature can say.
    #[error("expected a time after 1970 that a cosignature can carry")]
    Time,
    /// The note has as many signatures as a note may have.
    #[error("expected room for one more signature")]
    Full,
    /// The algorithm failed.
    #[error("the key could not sign")]
    Failed,
}

impl Signer {
    /// The key with these secret bytes. They come from the caller's randomness; wiping
    /// them is the caller's.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_seed(
        name: KeyName,
        algorithm: Algorithm,
        seed: &[u8; SEED],
    ) -> Result<Self, KeyError> {
        let key = match algorithm {
            Algorithm::Ed25519 | Algorithm::Cosignature => {
                SecretKey::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(seed)))
            }
            Algorithm::MlDsa44 => ml_dsa_44(&name, seed)?,
        };
        let mut signer = Self { name, id: KeyId::from_bytes([0; 4]), algorithm, key };
        signer.id = signer.verifier()?.id();
        Ok(signer)
    }

    /// Reads a key from its text.
    ///
    /// # Errors
    /// [`KeyError`], which says nothing of the secret.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let form = |expected| KeyError::Form { expected };
        let rest = text.strip_prefix(PREFIX).ok_or(form("`PRIVATE+KEY+` at the start"))?;
        let (name, id, digits) = parts(rest)?;
        let mut bytes = Zeroizing::new([0; SEED + 2]);
        let length = base64::decode_to(&mut *bytes, digits);
        if length.is_none() || length > Some(SEED + 1) {
            return Err(form("base64 of an algorithm and 32 bytes"));
        }
        let (&byte, rest) = bytes.split_first().ok_or(form("an algorithm"))?;
        let algorithm = Algorithm::from_byte(byte).ok_or(KeyError::Algorithm { found: byte })?;
        let seed = match rest.first_chunk() {
            Some(seed) if length == Some(SEED + 1) => seed,
            _ => return Err(form("base64 of an algorithm and 32 bytes")),
        };
        let signer = Self::from_seed(name, algorithm, seed)?;
        if signer.id != id {
            return Err(KeyError::Id { expected: signer.id, found: id });
        }
        Ok(signer)
    }

    /// The text to keep, secret as the key is.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; SEED + 1]);
        if let Some((byte, seed)) = bytes.split_first_mut() {
            *byte = self.algorithm.byte();
            match &self.key {
                SecretKey::Ed25519(key) => seed.copy_from_slice(key.as_bytes()),
                #[cfg(feature = "ml-dsa")]
                SecretKey::MlDsa44(key) => seed.copy_from_slice(key.as_seed()),
            }
        }
        let digits = Zeroizing::new(base64::encode(&*bytes));
        let mut text = Zeroizing::new(String::with_capacity(256));
        // One that has room for all, so that no copy stays behind where it grew.
        text.reserve(PREFIX.len() + self.name.as_str().len() + 16 + digits.len());
        text.push_str(PREFIX);
        // Writing to a text cannot fail.
        let _ = write!(text, "{}+{}+", self.name, self.id);
        text.push_str(&digits);
        text
    }

    /// Its name.
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// Its id.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// What it signs.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key that verifies what this one signs.
    ///
    /// # Errors
    /// [`KeyError`]; none for a key that could be made.
    pub fn verifier(&self) -> Result<Verifier, KeyError> {
        match &self.key {
            SecretKey::Ed25519(key) => {
                Verifier::new(self.name.clone(), self.algorithm, key.verifying_key().as_bytes())
            }
            #[cfg(feature = "ml-dsa")]
            SecretKey::MlDsa44(key) => {
                let public: &ml_dsa::VerifyingKey<_> = key.as_ref().as_ref();
                Verifier::new(self.name.clone(), self.algorithm, &public.encode())
            }
        }
    }

    /// Signs a text. `time` goes into a cosignature, in whole seconds; a plain signature
    /// has none.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(&self, text: &str, time: Timestamp) -> Result<Signature, SignError> {
        check_text(text)?;
        let seconds = time.as_millis() / 1000;
        if self.algorithm.is_cosignature() && seconds == 0 {
            return Err(SignError::Time);
        }
        let mut bytes = alloc::vec::Vec::new();
        match self.algorithm {
            Algorithm::Ed25519 => self.raw(text.as_bytes(), &mut bytes)?,
            Algorithm::Cosignature => {
                bytes.extend_from_slice(&seconds.to_be_bytes());
                self.raw(&cosigned::ed25519(seconds, text), &mut bytes)?;
            }
            Algorithm::MlDsa44 => {
                bytes.extend_from_slice(&seconds.to_be_bytes());
                let message = cosigned::ml_dsa_44(&self.name, seconds, text);
                self.raw(&message.ok_or(SignError::NoCheckpoint)?, &mut bytes)?;
            }
        }
        Ok(Signature { name: self.name.clone(), id: self.id, bytes: bytes.into() })
    }

    fn raw(&self, message: &[u8], out: &mut alloc::vec::Vec<u8>) -> Result<(), SignError> {
        match &self.key {
            SecretKey::Ed25519(key) => {
                let signature = key.try_sign(message).map_err(|_| SignError::Failed)?;
                out.extend_from_slice(&signature.to_bytes());
            }
            #[cfg(feature = "ml-dsa")]
            SecretKey::MlDsa44(key) => {
                let signed = ml_dsa::Signer::try_sign(key.as_ref(), message);
                out.extend_from_slice(&signed.map_err(|_| SignError::Failed)?.encode());
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({}, key hidden)", self.name)
    }
}

#[cfg(feature = "ml-dsa")]
fn ml_dsa_44(name: &KeyName, seed: &[u8; SEED]) -> Result<SecretKey, KeyError> {
    cosigned::check_name(name)?;
    let seed = Zeroizing::new(ml_dsa::Seed::from(*seed));
    Ok(SecretKey::MlDsa44(Box::new(ml_dsa::SigningKey::from_seed(&seed))))
}

#[cfg(not(feature = "ml-dsa"))]
const fn ml_dsa_44(_: &KeyName, _: &[u8; SEED]) -> Result<SecretKey, KeyError> {
    Err(KeyError::Algorithm { found: Algorithm::MlDsa44.byte() })
}
