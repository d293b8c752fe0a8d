//! State advancement: what the Pipeline learns from outcomes (IRM-4.8.6, IRM-4.7.4).
//!
//! Each outcome is an [`Advancement`]; a session's last ones stand in its
//! [`Progress`]. Comparing the snapshot a route was planned on with the stream's head
//! is the store's work at commit; what stands here is what the session did before.
//!
//! ```
//! use prospera::digest::Digest;
//! use prospera::pipeline::{Advancement, Progress, Settlement};
//! let mut progress = Progress::new();
//! progress.advance(Advancement {
//!     evidence: Digest::ZERO,
//!     kind: "mail.send".parse()?,
//!     template: "send".parse()?,
//!     outcome: Settlement::Unknown,
//! });
//! assert!(progress.is_open());
//! assert!(progress.settle(Digest::ZERO, Settlement::Done));
//! assert!(!progress.is_open());
//! # Ok::<(), prospera::id::NameError>(())
//! ```
//!
//! INVARIANT (bounded): at most [`PROGRESS_ENTRIES`] outcomes are kept; the oldest
//! settled one leaves first, so an unknown outcome stays until it is settled or
//! until all that are kept are unknown.

use alloc::collections::VecDeque;

use crate::digest::Digest;
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer, byte_enum};
use crate::id::{KindId, TemplateId};

pub use crate::limits::PROGRESS_ENTRIES;

/// How an execution ended, without its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Settlement {
    /// The effect took place.
    Done,
    /// It did not, for sure.
    Failed,
    /// Not known until replay (D-27).
    Unknown,
}

byte_enum!(Settlement, "a settlement", { Done = 1, Failed = 2, Unknown = 3, });

/// One outcome, as the Pipeline sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advancement {
    /// The digest of the route's evidence.
    pub evidence: Digest,
    /// The intent's kind.
    pub kind: KindId,
    /// The template it was executed by.
    pub template: TemplateId,
    /// How it ended.
    pub outcome: Settlement,
}

impl Encode for Advancement {
    fn encode(&self, out: &mut Writer) {
        out.digest(&self.evidence).value(&self.kind).value(&self.template).value(&self.outcome);
    }
}

impl Decode for Advancement {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            evidence: input.digest()?,
            kind: input.value()?,
            template: input.value()?,
            outcome: input.value()?,
        })
    }
}

/// The last outcomes of one session, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    position: u64,
    entries: VecDeque<Advancement>,
}

impl Progress {
    /// Of a session that did nothing yet.
    pub const fn new() -> Self {
        Self { position: 0, entries: VecDeque::new() }
    }

    /// Takes in an outcome. The same evidence again changes its outcome instead, if
    /// that was unknown, and nothing otherwise: replay may report twice.
    pub fn advance(&mut self, next: Advancement) {
        let known = next.evidence.prefix();
        let same = |entry: &Advancement| {
            entry.evidence.prefix() == known && entry.evidence == next.evidence
        };
        if self.entries.iter().any(same) {
            self.settle(next.evidence, next.outcome);
            return;
        }
        if self.entries.len() >= PROGRESS_ENTRIES {
            let settled = |entry: &Advancement| entry.outcome != Settlement::Unknown;
            let leaves = self.entries.iter().position(settled).unwrap_or(0);
            self.entries.remove(leaves);
        }
        self.entries.push_back(next);
        self.position = self.position.saturating_add(1);
    }

    /// Replaces an unknown outcome by what replay found; `false` when the evidence is
    /// not among the entries or its outcome is already known.
    pub fn settle(&mut self, evidence: Digest, outcome: Settlement) -> bool {
        let open = |entry: &&mut Advancement| {
            entry.evidence == evidence && entry.outcome == Settlement::Unknown
        };
        match self.entries.iter_mut().find(open) {
            Some(entry) => {
                entry.outcome = outcome;
                true
            }
            None => false,
        }
    }

    /// How many outcomes the session had, those no longer kept included.
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// The outcomes kept, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &Advancement> {
        self.entries.iter()
    }

    /// The last outcome.
    pub fn last(&self) -> Option<&Advancement> {
        self.entries.back()
    }

    /// Whether an outcome is still unknown.
    pub fn is_open(&self) -> bool {
        self.entries.iter().any(|entry| entry.outcome == Settlement::Unknown)
    }
}

impl Encode for Progress {
    fn encode(&self, out: &mut Writer) {
        out.u64(self.position).count(self.entries.len());
        for entry in &self.entries {
            out.value(entry);
        }
    }
}

impl Decode for Progress {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let position = input.u64()?;
        let count = input.count(43)?;
        if count > PROGRESS_ENTRIES || u64::try_from(count).is_ok_and(|kept| kept > position) {
            return Err(input.invalid("at most 64 outcomes, and no more than the session had"));
        }
        let entries = (0..count).map(|_| Advancement::decode(input)).collect::<Result<_, _>>()?;
        Ok(Self { position, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(number: u8, outcome: Settlement) -> Advancement {
        Advancement {
            evidence: Digest::from_bytes([number; 32]),
            kind: "k".parse().unwrap(),
            template: "t".parse().unwrap(),
            outcome,
        }
    }

    /// IRM-4.8.6: bounded, and what is unknown stays longest.
    #[test]
    fn progress_is_bounded_and_keeps_what_is_unknown() {
        let mut progress = Progress::new();
        progress.advance(outcome(0, Settlement::Unknown));
        for number in 1..=100 {
            progress.advance(outcome(number, Settlement::Done));
        }
        assert_eq!(progress.position(), 101);
        assert_eq!(progress.entries().count(), PROGRESS_ENTRIES);
        assert_eq!(progress.entries().next(), Some(&outcome(0, Settlement::Unknown)));
        assert_eq!(progress.entries().nth(1), Some(&outcome(38, Settlement::Done)));
        assert!(progress.is_open());
        assert!(progress.settle(Digest::from_bytes([0; 32]), Settlement::Failed));
        assert!(!progress.settle(Digest::from_bytes([0; 32]), Settlement::Done), "settled once");
        progress.advance(outcome(101, Settlement::Done));
        assert_eq!(progress.entries().next(), Some(&outcome(38, Settlement::Done)));
    }

    #[test]
    fn the_same_evidence_counts_once() {
        let mut progress = Progress::new();
        progress.advance(outcome(1, Settlement::Unknown));
        progress.advance(outcome(1, Settlement::Done));
        progress.advance(outcome(1, Settlement::Failed));
        assert_eq!(progress.position(), 1);
        assert_eq!(progress.last(), Some(&outcome(1, Settlement::Done)));
    }

    #[test]
    fn progress_comes_back_from_its_bytes() {
        let mut progress = Progress::new();
        progress.advance(outcome(1, Settlement::Done));
        let bytes = progress.to_canonical();
        assert_eq!(Progress::from_canonical(&bytes), Ok(progress));
        assert_eq!(bytes.len(), 8 + 4 + 32 + 5 + 5 + 1);
        let mut lying = bytes;
        lying[0] = 0;
        assert!(Progress::from_canonical(&lying).is_err(), "more entries than outcomes");
    }
}
