//! Checkpoints: what a log signs, and what those who follow it hold against it.
//!
//! A checkpoint is a signed note (C2SP `tlog-checkpoint`) whose text says which log it is
//! of, how many records the log has, and the root of the tree over them:
//!
//! ```text
//! example.com/office/shard/0                      the origin
//! 20852163                                        the size
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=    the root, base64
//!
//! — example.com/office/shard/0 Az3grl…            the log's signature
//! — witness.example.com/w1 jWbPPw…                a witness's cosignature
//! ```
//!
//! | part | what it is |
//! |---|---|
//! | [`Origin`] | the log's name and its shard, from the first checkpoint on |
//! | [`Checkpoint`] | what is signed; nothing of one that was only read may be believed |
//! | [`Policy`] | which logs and which witnesses are trusted: C2SP `tlog-policy` |
//! | [`Trusted`] | a checkpoint that a policy accepted: made there, nowhere else |
//! | [`Remembered`] | the last checkpoint seen: what shows that a log was cut, replaced or rewritten |
//! | [`Witness`] | cosigns what is consistent with what it saw: C2SP `tlog-witness`, without the server |
//! | [`LoggedProof`] | a record's proof in one file: C2SP `tlog-proof` |
//!
//! ```
//! use prospera::ssot::checkpoint::{Checkpoint, Origin, Policy};
//! use prospera::ssot::merkle::Hash;
//! use prospera::ssot::note::{Algorithm, Signer};
//! use prospera::time::Timestamp;
//!
//! let origin = Origin::of_shard("example.com/office", 0)?;
//! let signer = Signer::from_seed(origin.as_str().parse()?, Algorithm::Ed25519, &[7; 32])?;
//! let checkpoint = Checkpoint::new(origin, 1, Hash::from_bytes([1; 32]));
//! let note = checkpoint.sign(&[&signer], Timestamp::from_secs(1))?;
//!
//! let policy = Policy::of_log(signer.verifier()?);
//! let trusted = policy.accept(note.to_string().as_bytes())?;
//! assert_eq!((trusted.size(), trusted.origin().shard()), (1, Some(0)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Why not the crate `tlog_tiles`
//! Version 0.2 needs `std`, `serde_json` and `url`; its checkpoint says `malformed` for
//! every error, reads no policy and has no signatures; the tree it computes on is its own
//! beside [`merkle`](crate::ssot::merkle), with a hash that is not a parameter, and it
//! panics on numbers out of range. What it does well, the paths and the layout of tiles,
//! is some fifty lines here.
//!
//! INVARIANT (one form): a [`Checkpoint`] that is read and written again is the same bytes.
//!
//! Requirements: PLAN-8.1, IRM-6.10.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::limits::ORIGIN_BYTES;
use crate::ssot::merkle::Hash;
use crate::ssot::note::{KeyName, Note, NoteError, SignError, Signer, base64};
use crate::time::Timestamp;

mod finding;
mod policy;
mod policy_file;
mod proof;
mod remembered;
#[cfg(test)]
mod tests;
mod witness;

pub use finding::Finding;
pub use policy::{Cosigned, Policy, PolicyError, Trusted};
pub use policy_file::PolicyFileError;
pub use proof::{LoggedProof, ProofFileError};
pub use remembered::{Advance, Remembered};
pub use witness::{AddCheckpoint, Refusal, RequestError, Seen, Witness, WitnessState};

/// What stands between a log's name and the number of its shard.
const SHARD: &str = "/shard/";

/// Which log, and which shard of it: the first line of a checkpoint.
///
/// An origin of this library's own logs is made by [`Origin::of_shard`]. Those of others
/// are read as they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(Arc<str>);

impl Origin {
    /// The origin of a shard of a log: `LOG/shard/N`. The log's name should be a URL
    /// without a scheme.
    ///
    /// # Errors
    /// [`CheckpointError::Origin`] when the log's name is no name of a key, or too long.
    pub fn of_shard(log: &str, shard: u32) -> Result<Self, CheckpointError> {
        KeyName::new(log).map_err(|_| CheckpointError::Origin)?;
        Self::new(&alloc::format!("{log}{SHARD}{shard}"))
    }

    /// Reads an origin, of whatever form its log gives it.
    ///
    /// # Errors
    /// [`CheckpointError::Origin`] when it is empty, not one line, or longer than
    /// [`ORIGIN_BYTES`].
    pub fn new(line: &str) -> Result<Self, CheckpointError> {
        if line.is_empty() || line.len() > ORIGIN_BYTES || line.contains(|c| c < ' ') {
            return Err(CheckpointError::Origin);
        }
        Ok(Self(line.into()))
    }

    /// The line.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The log's name: what stands before the shard, or all of it.
    pub fn log(&self) -> &str {
        self.parts().map_or(&self.0, |(log, _)| log)
    }

    /// The shard; `None` where the origin names none.
    pub fn shard(&self) -> Option<u32> {
        self.parts().map(|(_, shard)| shard)
    }

    fn parts(&self) -> Option<(&str, u32)> {
        let (log, digits) = self.0.rsplit_once(SHARD)?;
        let shard = u32::try_from(decimal(digits)?).ok()?;
        (!log.is_empty()).then_some((log, shard))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Origin {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

/// What a log says of itself at one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: Origin,
    size: u64,
    root: Hash,
    extensions: Vec<String>,
}

/// Why a text is no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The first line.
    #[error("line 1: expected the origin of a log, one line of at most 255 bytes")]
    Origin,
    /// The second line.
    #[error("line 2: expected a size, a decimal number without leading zeros")]
    Size,
    /// The third line.
    #[error("line 3: expected a root, 32 bytes in base64")]
    Root,
    /// A line after the third.
    #[error("line {line}: expected an extension line that is not empty")]
    Extension {
        /// Which.
        line: usize,
    },
    /// The last line does not end.
    #[error("expected a newline at the end")]
    End,
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl Checkpoint {
    /// A checkpoint without extension lines.
    pub const fn new(origin: Origin, size: u64, root: Hash) -> Self {
        Self { origin, size, root, extensions: Vec::new() }
    }

    /// Reads the text of a checkpoint: a note's text, without its signatures.
    ///
    /// # Errors
    /// [`CheckpointError`] with the line.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::End)?.split('\n');
        let origin = Origin::new(lines.next().unwrap_or_default())?;
        let size = lines.next().and_then(decimal).ok_or(CheckpointError::Size)?;
        let root = lines.next().and_then(hash).ok_or(CheckpointError::Root)?;
        let mut extensions = Vec::new();
        for (line, text) in (4..).zip(lines) {
            if text.is_empty() || text.contains(|c| c < ' ') {
                return Err(CheckpointError::Extension { line });
            }
            extensions.push(text.into());
        }
        Ok(Self { origin, size, root, extensions })
    }

    /// Which log.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// How many records.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree over them.
    pub const fn root(&self) -> &Hash {
        &self.root
    }

    /// Lines that mean something to somebody. This library writes none.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// Signs it with every key, in their order. The first should be the log's own, named
    /// as its origin; `time` goes into the cosignatures among them.
    ///
    /// # Errors
    /// [`SignError`]; [`SignError::Failed`] when there is no key.
    pub fn sign(&self, signers: &[&Signer], time: Timestamp) -> Result<Note, SignError> {
        let (first, more) = signers.split_first().ok_or(SignError::Failed)?;
        let mut note = Note::signed(&alloc::format!("{self}"), first, time)?;
        more.iter().try_for_each(|signer| note.cosign(signer, time))?;
        Ok(note)
    }
}

impl fmt::Display for Checkpoint {
    /// The text that is signed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = base64::encode(self.root.as_bytes());
        write!(f, "{}\n{}\n{root}\n", self.origin, self.size)?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// A decimal number without sign and leading zeros.
pub(crate) fn decimal(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    digits.parse().ok()
}

/// 32 bytes in base64.
fn hash(digits: &str) -> Option<Hash> {
    let bytes: [u8; 32] = base64::decode(digits)?.try_into().ok()?;
    Some(Hash::from_bytes(bytes))
}

/// A hash for people: the first of its base64 digits.
fn short(hash: &Hash) -> String {
    let mut digits = base64::encode(hash.as_bytes());
    digits.truncate(10);
    digits
}
