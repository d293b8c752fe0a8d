//! The last checkpoint seen, and what the next one says about it.

use super::{Finding, Origin, Policy, PolicyError, Trusted};
use crate::ssot::merkle::{ConsistencyProof, Hash, Sha256};
use crate::ssot::note::Note;

/// The last checkpoint that somebody who follows a log has believed.
///
/// A log that was cut, replaced or written again is sound in itself. It shows against
/// what was seen before, so keep [`Remembered::note`] somewhere else than the log.
///
/// INVARIANT (forwards): the size never decreases, and each checkpoint continues the one
/// before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    last: Trusted,
}

/// How a checkpoint stands to the one remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advance {
    /// It says the same.
    Same,
    /// The log grew, and continues what was seen before.
    Grown {
        /// The size seen before.
        from: u64,
        /// The size now.
        to: u64,
    },
}

impl Remembered {
    /// Remembers the first checkpoint seen: it is taken as it is.
    pub const fn first(trusted: Trusted) -> Self {
        Self { last: trusted }
    }

    /// Reads what was kept of [`Remembered::note`], and believes it under the policy.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn load(bytes: &[u8], policy: &Policy) -> Result<Self, PolicyError> {
        policy.accept(bytes).map(Self::first)
    }

    /// The checkpoint.
    pub const fn last(&self) -> &Trusted {
        &self.last
    }

    /// Which log.
    pub const fn origin(&self) -> &Origin {
        self.last.origin()
    }

    /// How many records it had.
    pub const fn size(&self) -> u64 {
        self.last.size()
    }

    /// Its root.
    pub const fn root(&self) -> &Hash {
        self.last.root()
    }

    /// What to keep.
    pub const fn note(&self) -> &Note {
        self.last.note()
    }

    /// Goes on to a checkpoint that continues the one remembered. Where the log grew, a
    /// proof must show it. What is remembered stays when it does not go on.
    ///
    /// # Errors
    /// [`Finding::Deleted`], [`Finding::OlderCopy`], [`Finding::SplitView`],
    /// [`Finding::Rewritten`], [`Finding::Unproven`], [`Finding::OtherLog`].
    pub fn advance(
        &mut self,
        new: Trusted,
        proof: Option<&ConsistencyProof>,
    ) -> Result<Advance, Finding> {
        let advance = self.compare(&new)?;
        if let Advance::Grown { from, to } = advance
            && from > 0
        {
            let proof = proof.ok_or(Finding::Unproven { from, to })?;
            let fits = proof.old == from && proof.new == to;
            if !fits || proof.verify::<Sha256>(self.root(), new.root()).is_err() {
                return Err(Finding::Rewritten { from, to });
            }
        }
        self.last = new;
        Ok(advance)
    }

    /// [`Remembered::advance`] for who has the whole log: `prefix` is the root over as many
    /// of its records as are remembered, where it has so many.
    ///
    /// # Errors
    /// As [`Remembered::advance`].
    pub fn advance_over(
        &mut self,
        new: Trusted,
        prefix: Option<&Hash>,
    ) -> Result<Advance, Finding> {
        let advance = self.compare(&new)?;
        if let Advance::Grown { from, to } = advance
            && prefix != Some(self.root())
        {
            return Err(Finding::Rewritten { from, to });
        }
        self.last = new;
        Ok(advance)
    }

    /// What shows without a proof.
    ///
    /// # Errors
    /// [`Finding::Deleted`], [`Finding::OlderCopy`], [`Finding::SplitView`],
    /// [`Finding::OtherLog`].
    pub fn compare(&self, new: &Trusted) -> Result<Advance, Finding> {
        if new.origin() != self.origin() {
            let (expected, found) = (self.origin().clone(), new.origin().clone());
            return Err(Finding::OtherLog { expected, found });
        }
        let (from, to) = (self.size(), new.size());
        if to == 0 && from > 0 {
            return Err(Finding::Deleted { remembered: from });
        }
        if to < from {
            return Err(Finding::OlderCopy { remembered: from, found: to });
        }
        if to > from {
            return Ok(Advance::Grown { from, to });
        }
        if new.root() != self.root() {
            let (remembered, found) = (*self.root(), *new.root());
            return Err(Finding::SplitView { size: to, remembered, found });
        }
        Ok(Advance::Same)
    }
}
