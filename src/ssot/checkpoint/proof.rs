//! One record's proof in one file: C2SP `tlog-proof`.

use alloc::vec::Vec;
use core::fmt;

use super::policy::{Policy, PolicyError, Trusted};
use super::witness::next_line;
use super::{decimal, hash};
use crate::ssot::merkle::{Hash, InclusionProof, ProofError, Sha256, TreeHash};
use crate::ssot::note::{Note, NoteError, base64};

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// The most hashes that lead from a leaf to a root.
const PATH_HASHES: usize = 64;

/// That a record is in a log at a place: the path to the root, and the checkpoint.
///
/// ```text
/// c2sp.org/tlog-proof@v1
/// extra YWdl…        (may be missing)
/// index 73894
/// gSKyXoYZ…          (the path, a hash a line, from the leaf on)
///
/// (the checkpoint's note)
/// ```
///
/// The leaf of a record is its 32-byte digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedProof {
    /// Whatever goes along. Nothing authenticates it.
    pub extra: Option<Vec<u8>>,
    /// The record's place, from 0.
    pub index: u64,
    /// The path from the leaf's sibling to the root's child.
    pub path: Vec<Hash>,
    /// The checkpoint, signed.
    pub note: Note,
}

/// Why a file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofFileError {
    /// A line of the file.
    #[error("line {line}: expected {expected}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What belongs there.
        expected: &'static str,
    },
    /// The checkpoint's note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The checkpoint is not believed.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The path does not lead from the leaf to the root.
    #[error(transparent)]
    Path(#[from] ProofError),
}

impl LoggedProof {
    /// Reads a proof.
    ///
    /// # Errors
    /// [`ProofFileError::Line`], [`ProofFileError::Note`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofFileError> {
        let mut rest = bytes;
        let mut line = 0;
        let mut next = |expected| {
            line += 1;
            let wrong = ProofFileError::Line { line, expected };
            next_line(&mut rest).map(|text| (text, wrong.clone())).ok_or(wrong)
        };
        let (text, wrong) = next("`c2sp.org/tlog-proof@v1`")?;
        if text != HEADER {
            return Err(wrong);
        }
        let (mut text, mut wrong) = next("`extra` and base64, or `index` and a number")?;
        let mut extra = None;
        if let Some(digits) = text.strip_prefix("extra ") {
            extra = Some(base64::decode(digits).ok_or(wrong)?);
            (text, wrong) = next("`index` and a number")?;
        }
        let index = text.strip_prefix("index ").and_then(decimal).ok_or(wrong)?;
        let mut path = Vec::new();
        loop {
            let (text, wrong) = next("a hash of 32 bytes in base64, or an empty line")?;
            if text.is_empty() {
                break;
            }
            if path.len() == PATH_HASHES {
                return Err(wrong);
            }
            path.push(hash(text).ok_or(wrong)?);
        }
        Ok(Self { extra, index, path, note: Note::parse(rest)? })
    }

    /// Believes the checkpoint under a policy, and holds the leaf against its root.
    ///
    /// # Errors
    /// [`ProofFileError::Policy`], [`ProofFileError::Path`].
    pub fn verify(&self, leaf: &[u8], policy: &Policy) -> Result<Trusted, ProofFileError> {
        let trusted = policy.accept_note(self.note.clone())?;
        let (index, size, path) = (self.index, trusted.size(), self.path.clone());
        let proof = InclusionProof { index, size, path };
        proof.verify::<Sha256>(&Sha256::leaf(leaf), trusted.root())?;
        Ok(trusted)
    }
}

impl fmt::Display for LoggedProof {
    /// The file's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", base64::encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", base64::encode(hash.as_bytes())))?;
        write!(f, "\n{}", self.note)
    }
}
