//! Whose signatures make a checkpoint worth believing.

use alloc::vec::Vec;
use core::fmt;

use super::{Checkpoint, CheckpointError, Origin};
use crate::ssot::merkle::{Hash, Sha256, TreeHash};
use crate::ssot::note::{Algorithm, KeyName, Note, NoteError, Verified, Verifier};
use crate::time::Timestamp;

/// Which logs are trusted, and which of the witnesses must have cosigned.
///
/// Read from a file in the form of C2SP `tlog-policy` by [`Policy::parse`]:
///
/// ```
/// # use prospera::ssot::note::{Algorithm, Signer};
/// # let key = |name: &str, algorithm, n| {
/// #     Signer::from_seed(name.parse().unwrap(), algorithm, &[n; 32]).unwrap().verifier().unwrap()
/// # };
/// # let log = key("example.com/office/shard/0", Algorithm::Ed25519, 1);
/// # let [w1, w2, w3] = [2, 3, 4].map(|n| key("w.example", Algorithm::Cosignature, n));
/// use prospera::ssot::checkpoint::Policy;
///
/// let policy = Policy::parse(format!("
///     log {log}
///     witness north {w1}
///     witness south {w2}
///     witness west {w3} https://west.example/
///     group two-of-three 2 north south west
///     quorum two-of-three
/// ").as_bytes())?;
/// assert_eq!(policy.witnesses().count(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Policy {
    /// The logs first, then the witnesses, in their order.
    pub(super) keys: Vec<Verifier>,
    pub(super) logs: usize,
    pub(super) every_log_key: bool,
    pub(super) rules: Vec<Rule>,
    /// The rule that a checkpoint must meet; `None`: no cosignature is asked for.
    pub(super) quorum: Option<usize>,
}

/// A witness, or a group of rules before it in the list.
#[derive(Debug, Clone)]
pub(super) enum Rule {
    /// The witness's place among the keys.
    Witness(usize),
    /// So many of these rules.
    Group { needed: usize, members: Vec<usize> },
}

/// A checkpoint that a [`Policy`] accepted.
///
/// INVARIANT (accepted): made by [`Policy::accept`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    checkpoint: Checkpoint,
    note: Note,
    signed: Vec<KeyName>,
    cosigned: Vec<Cosigned>,
}

/// A witness's word that it saw this checkpoint, consistent with all it saw before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// The witness's key.
    pub witness: KeyName,
    /// When; `None` when it does not say.
    pub time: Option<Timestamp>,
}

/// Why a checkpoint is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Its signatures do not hold.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// No key of this log signed it.
    #[error("expected the log's signature on a checkpoint of `{origin}`, found none")]
    NoLog {
        /// The log it says it is of.
        origin: Origin,
    },
    /// One of the log's keys did not sign it, and all of them must.
    #[error("expected a signature of every key of `{origin}`, found {found} of {expected}")]
    LogKeys {
        /// The log.
        origin: Origin,
        /// How many keys it has.
        expected: usize,
        /// How many signed.
        found: usize,
    },
    /// Too few witnesses cosigned it.
    #[error("expected cosignatures of the witnesses' quorum, found {found} that do not make it")]
    Quorum {
        /// How many witnesses did.
        found: usize,
    },
    /// It has extension lines that no signature of the log covers.
    #[error("expected no extension lines beside an ML-DSA signature, which does not cover them")]
    Extensions,
    /// It says that it is empty and has a root.
    #[error("expected the root of the empty tree at size 0, found another")]
    EmptyRoot,
    /// It is of another log than the one asked for.
    #[error("expected a checkpoint of `{expected}`, found one of `{found}`")]
    OtherLog {
        /// The log asked for.
        expected: Origin,
        /// The log it is of.
        found: Origin,
    },
}

impl Policy {
    /// One log, and no witnesses.
    pub fn of_log(key: Verifier) -> Self {
        Self {
            keys: Vec::from([key]),
            logs: 1,
            every_log_key: false,
            rules: Vec::new(),
            quorum: None,
        }
    }

    /// Asks for the signatures of all keys of the log, not of one: for a log that signs
    /// with Ed25519 and with ML-DSA-44.
    #[must_use]
    pub const fn with_every_log_key(mut self) -> Self {
        self.every_log_key = true;
        self
    }

    /// The keys of the logs.
    pub fn logs(&self) -> impl Iterator<Item = &Verifier> {
        self.keys.iter().take(self.logs)
    }

    /// The keys of the witnesses.
    pub fn witnesses(&self) -> impl Iterator<Item = &Verifier> {
        self.keys.iter().skip(self.logs)
    }

    /// Reads a checkpoint, verifies every signature of a known key, and asks for those of
    /// the log and of the quorum.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn accept(&self, bytes: &[u8]) -> Result<Trusted, PolicyError> {
        self.accept_note(Note::parse(bytes)?)
    }

    /// [`Policy::accept`] of a note that was read.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn accept_note(&self, note: Note) -> Result<Trusted, PolicyError> {
        let checkpoint = Checkpoint::parse(note.text())?;
        let verified = note.verify(&self.keys)?;
        let signed = self.signed(&checkpoint, &verified)?;
        let cosigned = self.cosigned(&verified)?;
        if checkpoint.size() == 0 && *checkpoint.root() != Sha256::empty() {
            return Err(PolicyError::EmptyRoot);
        }
        Ok(Trusted { checkpoint, note, signed, cosigned })
    }

    /// The log's keys that signed.
    fn signed(
        &self,
        checkpoint: &Checkpoint,
        verified: &[Verified],
    ) -> Result<Vec<KeyName>, PolicyError> {
        let own = |key: &&Verifier| key.name().as_str() == checkpoint.origin().as_str();
        let place = |one: &Verified| one.key();
        let places = verified.iter().map(place).filter(|place| *place < self.logs);
        let signers: Vec<&Verifier> =
            places.filter_map(|place| self.keys.get(place)).filter(own).collect();
        let origin = || checkpoint.origin().clone();
        if signers.is_empty() {
            return Err(PolicyError::NoLog { origin: origin() });
        }
        let expected = self.logs().filter(own).count();
        if self.every_log_key && signers.len() < expected {
            let found = signers.len();
            return Err(PolicyError::LogKeys { origin: origin(), expected, found });
        }
        let covered = signers.iter().any(|key| key.algorithm() != Algorithm::MlDsa44);
        if !checkpoint.extensions().is_empty() && !covered {
            return Err(PolicyError::Extensions);
        }
        Ok(signers.iter().map(|key| key.name().clone()).collect())
    }

    /// The witnesses that cosigned; they must make the quorum.
    fn cosigned(&self, verified: &[Verified]) -> Result<Vec<Cosigned>, PolicyError> {
        let is = |place: usize| verified.iter().any(|one| one.key() == place);
        let mut met: Vec<bool> = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            let meets = match rule {
                Rule::Witness(place) => is(*place),
                Rule::Group { needed, members } => {
                    let counts = |member: &&usize| met.get(**member) == Some(&true);
                    members.iter().filter(counts).count() >= *needed
                }
            };
            met.push(meets);
        }
        let witnesses = verified.iter().filter(|one| one.key() >= self.logs);
        let cosigned: Vec<Cosigned> = witnesses
            .filter_map(|one| {
                let witness = self.keys.get(one.key())?.name().clone();
                Some(Cosigned { witness, time: one.time() })
            })
            .collect();
        match self.quorum {
            Some(rule) if met.get(rule) != Some(&true) => {
                Err(PolicyError::Quorum { found: cosigned.len() })
            }
            _ => Ok(cosigned),
        }
    }
}

impl Trusted {
    /// What was signed.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Which log.
    pub const fn origin(&self) -> &Origin {
        self.checkpoint.origin()
    }

    /// How many records.
    pub const fn size(&self) -> u64 {
        self.checkpoint.size()
    }

    /// The root of the tree over them.
    pub const fn root(&self) -> &Hash {
        self.checkpoint.root()
    }

    /// The note, with all its signatures.
    pub const fn note(&self) -> &Note {
        &self.note
    }

    /// The log's keys that signed.
    pub fn signed(&self) -> &[KeyName] {
        &self.signed
    }

    /// The known witnesses that cosigned, and when.
    pub fn cosigned(&self) -> &[Cosigned] {
        &self.cosigned
    }

    /// The same checkpoint, when it is of this log.
    ///
    /// # Errors
    /// [`PolicyError::OtherLog`].
    pub fn of(self, origin: &Origin) -> Result<Self, PolicyError> {
        if self.origin() == origin {
            return Ok(self);
        }
        let found = self.origin().clone();
        Err(PolicyError::OtherLog { expected: origin.clone(), found })
    }
}

impl fmt::Display for Cosigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.time {
            Some(time) => write!(f, "{} at {time}", self.witness),
            None => write!(f, "{}", self.witness),
        }
    }
}
