//! Signed notes: a text and the signatures of those who stand behind it.
//!
//! The form is that of C2SP `signed-note`: the text, which ends in a newline; an empty
//! line; one line for each signature, `— NAME BASE64`, where the base64 holds the four
//! bytes of the key's id and the signature itself. Keys are written as texts too:
//! `NAME+ID+BASE64` for [`Verifier`], `PRIVATE+KEY+NAME+ID+BASE64` for [`Signer`].
//!
//! | byte | [`Algorithm`] | signs | signature |
//! |---|---|---|---|
//! | `0x01` | [`Algorithm::Ed25519`] | the text | 64 bytes |
//! | `0x04` | [`Algorithm::Cosignature`] | `cosignature/v1`, the time, the text | time (8 bytes, big-endian), 64 bytes |
//! | `0x06` | [`Algorithm::MlDsa44`] (feature `ml-dsa`) | the `cosigned_message` of the checkpoint: label, cosigner, time, origin, 0, size, root | time, 2420 bytes |
//!
//! ```
//! use prospera::ssot::note::{Note, Verifier};
//!
//! let key: Verifier =
//!     "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k".parse()?;
//! let note = Note::parse("This is an example message.\n\n\
//!     — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n".as_bytes())?;
//! assert_eq!(note.verify(&[key])?.len(), 1);
//! assert_eq!(note.text(), "This is an example message.\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A signature of a key that is not known says nothing and is passed over. One of a known
//! key that does not verify makes the whole note worthless, and so does the want of any
//! signature of a known key. Reading is strict: one note has one form, so that what is
//! read and written again is the same bytes.
//!
//! Ed25519 is verified by its strict rules: keys and commitments of small order are
//! refused, everything is encoded canonically, the equation holds without cofactor. So
//! whoever else verifies, by whichever rules are in use, agrees with a yes given here.
//!
//! # Why not the crate `signed_note`
//! Version 0.2 needs `std` and a random generator, knows the algorithm `0x01` alone (no
//! cosignatures, hence no witnesses), verifies it by the lax rules, lets its signing key
//! be cloned, and panics on two numbers it has checked before. Taking it would have meant
//! writing most of this module around it.
//!
//! INVARIANT (one form): a [`Note`] has at least one signature, its text ends in a newline
//! and has no other control character, and formatting it gives the bytes it was read from.
//!
//! Requirements: PLAN-8.1, IRM-6.10.

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::limits::{NOTE_BYTES, NOTE_SIGNATURES};
use crate::time::Timestamp;

pub(crate) mod base64;
mod cosigned;
mod key;
mod signer;
#[cfg(test)]
mod tests;

pub use key::{Algorithm, KeyError, KeyId, KeyName, Verifier};
pub use signer::{SignError, Signer};

/// What a signature line begins with: an em dash and a space.
const MARK: &str = "— ";

/// A text with the signatures of those who stand behind it, verified or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: Box<str>,
    signatures: Vec<Signature>,
}

/// A signature on a note: whose it says it is, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    name: KeyName,
    id: KeyId,
    bytes: Box<[u8]>,
}

/// A signature that verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    key: usize,
    time: Option<Timestamp>,
}

/// Why a note is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// More bytes than [`NOTE_BYTES`].
    #[error("expected a note of at most {limit} bytes, found {found}")]
    TooLarge {
        /// The bound.
        limit: usize,
        /// How many there are.
        found: usize,
    },
    /// More signatures than [`NOTE_SIGNATURES`].
    #[error("expected at most {limit} signatures, found more")]
    TooManySignatures {
        /// The bound.
        limit: usize,
    },
    /// The bytes are no text.
    #[error("expected UTF-8 text, found other bytes at offset {offset}")]
    Utf8 {
        /// Where.
        offset: usize,
    },
    /// A control character other than a newline.
    #[error("expected no control character, found byte 0x{found:02x} at offset {offset}")]
    Control {
        /// The character.
        found: u8,
        /// Where.
        offset: usize,
    },
    /// No text, an empty line and signatures.
    #[error("expected {expected}")]
    Form {
        /// What is missing.
        expected: &'static str,
    },
    /// A line after the empty one is no signature.
    #[error("signature line {line}: expected {expected}")]
    Line {
        /// Which of the signature lines, from 1.
        line: usize,
        /// What belongs there.
        expected: &'static str,
    },
    /// A signature of a known key does not verify.
    #[error("the signature of `{name}` (key {id}) does not verify")]
    BadSignature {
        /// Whose it says it is.
        name: KeyName,
        /// The key's id.
        id: KeyId,
    },
    /// None of the signatures is of a known key.
    #[error("expected a signature of a known key, found none among {found}")]
    Unknown {
        /// How many signatures there are.
        found: usize,
    },
}

impl Signature {
    /// Whose it says it is.
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The id of the key.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The bytes after the key's id.
    pub const fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads one line, its newline included or not.
    ///
    /// # Errors
    /// [`NoteError::Line`], as line 1.
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let line = line.strip_suffix('\n').unwrap_or(line);
        Self::read(line).map_err(|expected| NoteError::Line { line: 1, expected })
    }

    fn read(line: &str) -> Result<Self, &'static str> {
        if line.len() > NOTE_BYTES {
            return Err("a shorter line");
        }
        let rest = line.strip_prefix(MARK).ok_or("an em dash and a space")?;
        let (name, digits) = rest.split_once(' ').ok_or("a name, a space and base64")?;
        let name = KeyName::new(name).map_err(|_| "a key's name")?;
        let bytes = base64::decode(digits).ok_or("base64 as RFC 4648 pads it")?;
        match bytes.split_first_chunk::<4>() {
            Some((id, bytes)) if !bytes.is_empty() => {
                Ok(Self { name, id: KeyId::from_bytes(*id), bytes: bytes.into() })
            }
            _ => Err("a key's id of four bytes and a signature"),
        }
    }
}

impl fmt::Display for Signature {
    /// The line without its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(4 + self.bytes.len());
        bytes.extend_from_slice(&self.id.to_bytes());
        bytes.extend_from_slice(&self.bytes);
        write!(f, "{MARK}{} {}", self.name, base64::encode(&bytes))
    }
}

impl Verified {
    /// Which of the keys it was verified with.
    pub const fn key(&self) -> usize {
        self.key
    }

    /// When it was signed, as the signer says; `None` when it does not say.
    pub const fn time(&self) -> Option<Timestamp> {
        self.time
    }
}

impl Note {
    /// Signs a text. `time` is that of a cosignature; plain signatures have none.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn signed(text: &str, signer: &Signer, time: Timestamp) -> Result<Self, SignError> {
        Ok(Self { text: text.into(), signatures: Vec::from([signer.sign(text, time)?]) })
    }

    /// Signs once more.
    ///
    /// # Errors
    /// [`SignError`]; also when there are [`NOTE_SIGNATURES`] already.
    pub fn cosign(&mut self, signer: &Signer, time: Timestamp) -> Result<(), SignError> {
        let signature = signer.sign(&self.text, time)?;
        self.add(signature).map_err(|_| SignError::Full)
    }

    /// Adds a signature that came from elsewhere. One that is there already is not added
    /// again.
    ///
    /// # Errors
    /// [`NoteError::TooManySignatures`], [`NoteError::TooLarge`].
    pub fn add(&mut self, signature: Signature) -> Result<(), NoteError> {
        if self.signatures.contains(&signature) {
            return Ok(());
        }
        if self.signatures.len() >= NOTE_SIGNATURES {
            return Err(NoteError::TooManySignatures { limit: NOTE_SIGNATURES });
        }
        self.signatures.push(signature);
        let found = alloc::format!("{self}").len();
        if found > NOTE_BYTES {
            self.signatures.pop();
            return Err(NoteError::TooLarge { limit: NOTE_BYTES, found });
        }
        Ok(())
    }

    /// Reads a note. Nothing of it may be believed before it is verified.
    ///
    /// # Errors
    /// [`NoteError`] that says what was expected and where.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let (text, lines) = split(bytes)?;
        let mut signatures = Vec::new();
        for (line, number) in lines.split_terminator('\n').zip(1..) {
            if number > NOTE_SIGNATURES {
                return Err(NoteError::TooManySignatures { limit: NOTE_SIGNATURES });
            }
            let read = Signature::read(line);
            signatures.push(read.map_err(|expected| NoteError::Line { line: number, expected })?);
        }
        Ok(Self { text: text.into(), signatures })
    }

    /// The text, with its last newline.
    pub const fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, verified or not.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Verifies every signature of a known key, and says which keys signed: each once, in
    /// the order of the signatures.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] when one of a known key does not verify,
    /// [`NoteError::Unknown`] when none is of a known key.
    pub fn verify(&self, keys: &[Verifier]) -> Result<Vec<Verified>, NoteError> {
        let mut verified: Vec<Verified> = Vec::new();
        for signature in &self.signatures {
            let (mut known, mut good) = (false, false);
            for (place, key) in keys.iter().enumerate() {
                if key.id() != signature.id || *key.name() != signature.name {
                    continue;
                }
                known = true;
                let Some(key::SignedAt(time)) = key.verify(&self.text, &signature.bytes) else {
                    continue;
                };
                good = true;
                if !verified.iter().any(|one| one.key == place) {
                    verified.push(Verified { key: place, time });
                }
            }
            if known && !good {
                let (name, id) = (signature.name.clone(), signature.id);
                return Err(NoteError::BadSignature { name, id });
            }
        }
        if verified.is_empty() {
            return Err(NoteError::Unknown { found: self.signatures.len() });
        }
        Ok(verified)
    }
}

impl fmt::Display for Note {
    /// The note as it is sent and kept.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl FromStr for Note {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes())
    }
}

/// The text and the signature lines, both with their last newline.
fn split(bytes: &[u8]) -> Result<(&str, &str), NoteError> {
    if bytes.len() > NOTE_BYTES {
        return Err(NoteError::TooLarge { limit: NOTE_BYTES, found: bytes.len() });
    }
    let whole = core::str::from_utf8(bytes)
        .map_err(|error| NoteError::Utf8 { offset: error.valid_up_to() })?;
    controls(whole)?;
    let form = |expected| NoteError::Form { expected };
    let at = whole.rfind("\n\n").ok_or(form("a text, an empty line and signatures"))?;
    // Both newlines are single bytes.
    let (text, rest) = whole.split_at(at.saturating_add(1));
    let lines = rest.strip_prefix('\n').unwrap_or(rest);
    if lines.is_empty() {
        return Err(form("a signature after the empty line"));
    }
    if !lines.ends_with('\n') {
        return Err(form("a newline at the end"));
    }
    Ok((text, lines))
}

/// Refuses control characters other than newlines.
fn controls(text: &str) -> Result<(), NoteError> {
    let bad = |(_, byte): &(usize, u8)| *byte < b' ' && *byte != b'\n';
    match text.bytes().enumerate().find(bad) {
        Some((offset, found)) => Err(NoteError::Control { found, offset }),
        None => Ok(()),
    }
}

/// Whether this can be the text of a note.
fn check_text(text: &str) -> Result<(), NoteError> {
    controls(text)?;
    if !text.ends_with('\n') {
        return Err(NoteError::Form { expected: "a newline at the end of the text" });
    }
    if text.len() > NOTE_BYTES / 2 {
        return Err(NoteError::TooLarge { limit: NOTE_BYTES / 2, found: text.len() });
    }
    Ok(())
}

/// Quotes what a user gave, cut where it is long.
fn shown(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text.to_owned(),
    }
}
