//! Forgetting a subject: its payloads are erased, every chain and proof stays valid.
//!
//! What goes: the intents, objectives and outputs that the subject's evidence names, and
//! the subject's key. What stays: the records. They hold digests, names, reasons, votes and
//! the facts of the Memory System, which are records themselves.
//!
//! With salts ([`Router::salted`]) nobody can try guesses on the digests that stay. Without
//! them whoever holds a guess can confirm it, and a payload that another subject's evidence
//! names, too, is one payload: it stays, and is counted as shared.
//!
//! The least lives of [`crate::ssot::class`] hold for erasing by age alone. Forgetting has
//! another ground, a decision, and refuses what a review or an open route still needs.
//!
//! INVARIANT (recorded first): nothing is erased before the decision is on record. After a
//! crash between the two, forgetting once more erases the rest.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use super::{Router, RouterError};
use crate::audience::state::State;
use crate::commitment::SubjectKey;
use crate::digest::{Digest, Domain};
use crate::encode::Decode as _;
use crate::governance::{GovernanceDecision, Matter};
use crate::id::SubjectId;
use crate::identity::Session;
use crate::routing::engines::Engines;
use crate::routing::evidence::{EvidenceBlock, Outcome};
use crate::routing::payloads::Named;
use crate::ssot::record::{Record, RecordKind};
use crate::ssot::store::Erase;
use crate::time::Clock;

/// What was forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// The decision, as recorded.
    pub decision: GovernanceDecision,
    /// The digest of its record.
    pub record: Digest,
    /// How many payloads were kept until now and are erased.
    pub erased: u64,
    /// Payloads that another subject's evidence names, too: they stay.
    pub shared: Vec<Digest>,
    /// Whether the subject had a key, which is erased.
    pub key: bool,
}

impl<E: Engines, S: Erase, C: Clock> Router<E, S, C> {
    /// Erases a subject's payloads, by a recorded act of a governor.
    ///
    /// A process that has a session of the subject open keeps the key in memory until the
    /// session is dropped. Backups, published copies and the journals of modules are not
    /// the store's to erase.
    ///
    /// # Errors
    /// [`RouterError::Act`] while a route of the subject is open, or its audience is
    /// ESCALATED or in HOLD: a review needs what it reviews. [`RouterError::NotAuthorized`]
    /// and [`RouterError::Review`] when `governor` may not. [`RouterError::Store`] when the
    /// store failed while erasing: to be done again.
    pub fn forget(
        &self,
        governor: &Session,
        subject: &SubjectId,
        note: &str,
    ) -> Result<Forgotten, RouterError> {
        let state = self.audience(subject)?.state();
        if matches!(state, State::Escalated | State::Hold) {
            let what = format!("`{subject}` is in {state}: nothing is erased before its release");
            return Err(RouterError::Act(what.into()));
        }
        let before = self.store().len()?;
        let named = self.named_by(subject, before)?;
        let shared = self.named_by_others(subject, before, &named)?;
        let digests: Vec<Digest> = named.difference(&shared).copied().collect();
        let mut hasher = Domain::Payload.hasher();
        for digest in &digests {
            hasher.update(digest.as_bytes());
        }
        let matter = Matter::Erasure {
            subject: subject.clone(),
            before,
            payloads: digests.len() as u64,
            digests: hasher.finalize(),
        };
        let decided = self.govern(governor, subject, matter, note)?;
        let key = self.store().erase(&[SubjectKey::place(subject)])? > 0;
        let erased = self.store().erase(&digests)?;
        let (decision, record) = (decided.decision, decided.record);
        Ok(Forgotten { decision, record, erased, shared: shared.into_iter().collect(), key })
    }

    fn named_by(&self, subject: &SubjectId, before: u64) -> Result<BTreeSet<Digest>, RouterError> {
        let mut all = BTreeSet::new();
        let open = self.each_named(before, |own, name| {
            if own == subject {
                all.insert(name.digest);
            }
        })?;
        match open.into_iter().find(|(_, own)| own == subject) {
            None => Ok(all),
            Some((route, _)) => {
                let what = format!("route {} of `{subject}` is open: settle it", route.short());
                Err(RouterError::Act(what.into()))
            }
        }
    }

    /// Those of `named` that the evidence of somebody else names.
    fn named_by_others(
        &self,
        subject: &SubjectId,
        before: u64,
        named: &BTreeSet<Digest>,
    ) -> Result<BTreeSet<Digest>, RouterError> {
        let mut shared = BTreeSet::new();
        self.each_named(before, |own, name| {
            // What is salted is one subject's alone.
            if own != subject && !name.salted && named.contains(&name.digest) {
                shared.insert(name.digest);
            }
        })?;
        Ok(shared)
    }

    /// Shows what the evidence before this index names, and whose it is; gives the routes
    /// that have no outcome yet.
    fn each_named(
        &self,
        before: u64,
        mut see: impl FnMut(&SubjectId, Named),
    ) -> Result<BTreeMap<Digest, SubjectId>, RouterError> {
        const PIECE: u64 = 256;
        let mut open: BTreeMap<Digest, SubjectId> = BTreeMap::new();
        let mut index = 0;
        while index < before {
            let most = before.saturating_sub(index).min(PIECE);
            let piece = self.store().read(index, usize::try_from(most).unwrap_or(usize::MAX))?;
            if piece.is_empty() {
                break;
            }
            for stored in piece {
                let unread = |source| RouterError::Body { index, source };
                let record = Record::decode_sealed(&stored.bytes).map_err(unread)?;
                match record.kind() {
                    RecordKind::EvidenceBlock => {
                        let block = EvidenceBlock::from_canonical(record.body()).map_err(unread)?;
                        Named::by(&block).for_each(|name| see(&block.subject, name));
                        if block.opens_route() {
                            open.insert(record.digest(), block.subject);
                        }
                    }
                    RecordKind::Outcome => {
                        let outcome = Outcome::from_canonical(record.body()).map_err(unread)?;
                        if let Some(subject) = open.remove(&outcome.evidence)
                            && let Some(name) = Named::by_outcome(&outcome)
                        {
                            see(&subject, name);
                        }
                    }
                    _ => {}
                }
                index = index.saturating_add(1);
            }
        }
        Ok(open)
    }
}
