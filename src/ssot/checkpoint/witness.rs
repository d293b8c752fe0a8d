//! A small witness: it cosigns what is consistent with what it saw (C2SP `tlog-witness`,
//! `add-checkpoint`, without the server).

use alloc::vec::Vec;
use core::fmt;

use super::{Checkpoint, CheckpointError, Origin, decimal, hash};
use crate::ssot::merkle::{ConsistencyProof, Hash, Sha256, TreeHash};
use crate::ssot::note::{Note, NoteError, SignError, Signature, Signer, Verifier, base64};
use crate::time::Timestamp;

/// The most hashes that a proof between two sizes has.
const PROOF_HASHES: usize = 63;

/// The body of an `add-checkpoint` request: the size that the witness saw last, a proof
/// from there, and the checkpoint.
///
/// ```text
/// old 20852014
/// PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
/// (more hashes)
///
/// (the checkpoint's note)
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size of the checkpoint before.
    pub old: u64,
    /// The consistency proof from there; empty when `old` is 0.
    pub path: Vec<Hash>,
    /// The checkpoint, signed.
    pub note: Note,
}

/// Why bytes are no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A line of the request.
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
}

impl AddCheckpoint {
    /// Reads a request.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        let mut rest = bytes;
        let mut line = 1;
        let wrong = |line, expected| RequestError::Line { line, expected };
        let first = next_line(&mut rest).and_then(|text| decimal(text.strip_prefix("old ")?));
        let old = first.ok_or(wrong(line, "`old` and a size"))?;
        let mut path = Vec::new();
        loop {
            line += 1;
            let text = next_line(&mut rest).ok_or(wrong(line, "a hash or an empty line"))?;
            if text.is_empty() {
                break;
            }
            if path.len() == PROOF_HASHES {
                return Err(wrong(line, "at most 63 hashes and an empty line"));
            }
            path.push(hash(text).ok_or(wrong(line, "a hash of 32 bytes in base64"))?);
        }
        Ok(Self { old, path, note: Note::parse(rest)? })
    }
}

impl fmt::Display for AddCheckpoint {
    /// The body as it is sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", base64::encode(hash.as_bytes())))?;
        write!(f, "\n{}", self.note)
    }
}

/// Takes the next line off; `None` when there is none or it is no text.
pub(super) fn next_line<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (line, after) = rest.split_at_checked(end)?;
    *rest = after.get(1..)?;
    core::str::from_utf8(line).ok()
}

/// What a witness remembers of one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The size of the latest checkpoint it cosigned.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

/// Where a witness keeps what it saw: a value, a file, a table.
pub trait WitnessState {
    /// Why it failed.
    type Error;

    /// The latest checkpoint cosigned for this log; `None` when there is none.
    ///
    /// # Errors
    /// As the state's own.
    fn latest(&self, origin: &Origin) -> Result<Option<Seen>, Self::Error>;

    /// Puts `new` in the place of `before` and makes it last, in one step: `false`, and
    /// nothing changed, when something else is there by now.
    ///
    /// # Errors
    /// As the state's own.
    fn replace(
        &mut self,
        origin: &Origin,
        before: Option<Seen>,
        new: Seen,
    ) -> Result<bool, Self::Error>;
}

/// What is seen, in memory: for tests, and for a witness that keeps it elsewhere.
impl WitnessState for alloc::collections::BTreeMap<Origin, Seen> {
    type Error = core::convert::Infallible;

    fn latest(&self, origin: &Origin) -> Result<Option<Seen>, Self::Error> {
        Ok(self.get(origin).copied())
    }

    fn replace(
        &mut self,
        origin: &Origin,
        before: Option<Seen>,
        new: Seen,
    ) -> Result<bool, Self::Error> {
        let same = self.get(origin).copied() == before;
        if same {
            self.insert(origin.clone(), new);
        }
        Ok(same)
    }
}

/// Why a witness does not cosign. [`Refusal::status`] is the HTTP status that
/// `tlog-witness` has for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal<E> {
    /// The note holds no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The witness does not know this log.
    #[error("expected a log that is known, found `{origin}`")]
    UnknownLog {
        /// The log.
        origin: Origin,
    },
    /// The log's signature is missing or does not verify.
    #[error(transparent)]
    Unsigned(NoteError),
    /// The old size is beyond the new one.
    #[error("expected an old size of at most {new}, found {old}")]
    OldBeyondNew {
        /// The old size.
        old: u64,
        /// The checkpoint's.
        new: u64,
    },
    /// The old size is not the one cosigned last: a rollback, or a race that was lost.
    #[error("expected old size {latest}, the one cosigned last, found {old}")]
    Conflict {
        /// The old size.
        old: u64,
        /// What was cosigned last.
        latest: u64,
    },
    /// The new tree is not a continuation of the one cosigned last: a split view where the
    /// sizes are the same, a rewritten history otherwise, or a wrong proof.
    #[error("expected {new} records that continue the {old} cosigned before, found no proof")]
    Inconsistent {
        /// The old size.
        old: u64,
        /// The checkpoint's.
        new: u64,
    },
    /// What was seen could not be read or kept. Nothing was cosigned.
    #[error("the witness's state failed")]
    State(E),
    /// The witness could not sign.
    #[error(transparent)]
    Sign(SignError),
}

impl<E> Refusal<E> {
    /// The status that `tlog-witness` gives it.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Checkpoint(_) | Self::OldBeyondNew { .. } => 400,
            Self::UnknownLog { .. } => 404,
            Self::Unsigned(_) => 403,
            Self::Conflict { .. } => 409,
            Self::Inconsistent { .. } => 422,
            Self::State(_) | Self::Sign(_) => 500,
        }
    }
}

/// Cosigns the checkpoints of logs it knows, each only when it continues the one before.
///
/// ```
/// use std::collections::BTreeMap;
/// use prospera::ssot::checkpoint::{AddCheckpoint, Checkpoint, Origin, Witness};
/// use prospera::ssot::merkle::Hash;
/// use prospera::ssot::note::{Algorithm, Signer};
/// use prospera::time::Timestamp;
///
/// let origin = Origin::of_shard("example.com/office", 0)?;
/// let log = Signer::from_seed(origin.as_str().parse()?, Algorithm::Ed25519, &[7; 32])?;
/// let own = Signer::from_seed("w.example/1".parse()?, Algorithm::Cosignature, &[8; 32])?;
/// let witness = Witness::new(vec![own], vec![log.verifier()?]);
///
/// let now = Timestamp::from_secs(1_700_000_000);
/// let mut note = Checkpoint::new(origin, 1, Hash::from_bytes([1; 32])).sign(&[&log], now)?;
/// let request = AddCheckpoint { old: 0, path: vec![], note: note.clone() };
/// let mut state = BTreeMap::new();
/// for cosignature in witness.add_checkpoint(&mut state, &request, now)? {
///     note.add(cosignature)?;
/// }
/// assert_eq!(note.signatures().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Witness {
    signers: Vec<Signer>,
    logs: Vec<Verifier>,
}

impl Witness {
    /// A witness with these keys, for logs with those: a log's key has its origin as its
    /// name.
    pub const fn new(signers: Vec<Signer>, logs: Vec<Verifier>) -> Self {
        Self { signers, logs }
    }

    /// Checks a checkpoint against what was seen of its log, keeps it as seen, and gives
    /// the cosignatures. In this order: what was kept and not signed does no harm.
    ///
    /// # Errors
    /// [`Refusal`]: nothing was kept and nothing cosigned, except after
    /// [`Refusal::Sign`].
    pub fn add_checkpoint<S: WitnessState>(
        &self,
        state: &mut S,
        request: &AddCheckpoint,
        time: Timestamp,
    ) -> Result<Vec<Signature>, Refusal<S::Error>> {
        let AddCheckpoint { old, path, note } = request;
        let checkpoint = Checkpoint::parse(note.text())?;
        let (origin, new) = (checkpoint.origin(), checkpoint.size());
        let own = |key: &&Verifier| key.name().as_str() == origin.as_str();
        let keys: Vec<Verifier> = self.logs.iter().filter(own).cloned().collect();
        if keys.is_empty() {
            return Err(Refusal::UnknownLog { origin: origin.clone() });
        }
        note.verify(&keys).map_err(Refusal::Unsigned)?;
        if *old > new {
            return Err(Refusal::OldBeyondNew { old: *old, new });
        }
        let before = state.latest(origin).map_err(Refusal::State)?;
        let latest = before.map_or(0, |seen| seen.size);
        if *old != latest {
            return Err(Refusal::Conflict { old: *old, latest });
        }
        let seen = Seen { size: new, root: *checkpoint.root() };
        if !continues(before, seen, path) {
            return Err(Refusal::Inconsistent { old: *old, new });
        }
        if !state.replace(origin, before, seen).map_err(Refusal::State)? {
            let latest = state.latest(origin).map_err(Refusal::State)?.map_or(0, |seen| seen.size);
            return Err(Refusal::Conflict { old: *old, latest });
        }
        let sign = |signer: &Signer| signer.sign(note.text(), time).map_err(Refusal::Sign);
        let cosigners = self.signers.iter().filter(|signer| signer.algorithm().is_cosignature());
        cosigners.map(sign).collect()
    }
}

/// Whether the proof leads from what was seen to what is new.
fn continues(before: Option<Seen>, new: Seen, path: &[Hash]) -> bool {
    if new.size == 0 && new.root != Sha256::empty() {
        return false;
    }
    match before {
        None | Some(Seen { size: 0, .. }) => path.is_empty(),
        Some(before) if before.size == new.size => before.root == new.root && path.is_empty(),
        Some(before) => {
            let proof = ConsistencyProof { old: before.size, new: new.size, path: path.into() };
            proof.verify::<Sha256>(&before.root, &new.root).is_ok()
        }
    }
}
