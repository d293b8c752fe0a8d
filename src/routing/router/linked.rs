//! Cross-session identity: a session that is being opened against its subject's earlier ones.
//!
//! The Identity System scores ([`crate::identity::linkage`]); here the earlier sessions are
//! read, the score is recorded beside the opening, in its commit, and what it means is held
//! against the audience: an inconsistent session is a hold trigger (ASM2-8.1), a mismatch an
//! escalation trigger (ASM2-7.5). It stands for as long as the log does not say that a
//! governor has released the subject since.
//!
//! An earlier session counts as the subject's own unless its own score was low and nobody has
//! released the subject since: else whoever got in once would look familiar ever after.
//!
//! INVARIANT (D-53): nothing here is asked for whether something is allowed. A score adds
//! causes to an assessment, or nothing.
//!
//! Requirements: PLAN-8.3, ASM2-8.1, ASM2-7.5, D-53.

use alloc::vec::Vec;

use super::{Router, RouterError, read};
use crate::audience::causes::{EscalationTrigger, EscalationTriggers, HoldTrigger, HoldTriggers};
use crate::encode::Encode as _;
use crate::governance::{GovernanceDecision, Matter};
use crate::id::Subsystem;
use crate::identity::{IdentityEngine, IdentityScore, Session, SessionOpened, Standing};
use crate::routing::desk::Streams;
use crate::routing::engines::Engines;
use crate::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use crate::ssot::store::{Store, StoreError};
use crate::ssot::verify::{replay, replay_from};
use crate::time::Clock;

/// How many earlier sessions are looked at for each that counts.
const LOOKED_AT: usize = 4;

/// The causes that a session's standing is.
pub(super) fn causes(doubt: Option<Standing>) -> (HoldTriggers, EscalationTriggers) {
    let (hold, escalation) = (HoldTriggers::NONE, EscalationTriggers::NONE);
    match doubt {
        Some(Standing::Inconsistent) => (hold.with(HoldTrigger::IdentityInconsistency), escalation),
        Some(Standing::Mismatch) => (hold, escalation.with(EscalationTrigger::IdentityAnomaly)),
        Some(Standing::Unknown | Standing::Consistent) | None => (hold, escalation),
    }
}

/// Whether a governor lets the subject out of HOLD by this record: somebody looked.
pub(super) fn releases(record: &Record) -> Result<bool, RouterError> {
    if record.kind() != RecordKind::GovernanceDecision {
        return Ok(false);
    }
    let decision: GovernanceDecision = read(record)?;
    Ok(decision.granted() && matches!(decision.matter(), Matter::HoldRelease { .. }))
}

impl<E: Engines, S: Store, C: Clock> Router<E, S, C> {
    /// The end of the subject's stream, and the score of a session that is being opened
    /// against the sessions before it; none where the Identity System compares none.
    pub(super) fn scored(
        &self,
        session: &Session,
        streams: &Streams,
    ) -> Result<(Head, Option<Draft>), RouterError> {
        let engine = self.engines.identity();
        let wanted = engine.remembers();
        if wanted == 0 {
            return Ok((self.store().head(&streams.subject)?, None));
        }
        // A subject may have any number of sessions: only the last ones are read, from the
        // one whose link says what stands before.
        let (stream, head) = (&streams.subject, self.store().head(&streams.subject)?);
        let from = head.length().saturating_sub(wanted.saturating_mul(LOOKED_AT) as u64);
        let before = match self.store().read_stream(stream, from, 1)?.first() {
            Some(first) if from > 0 => {
                let first = Record::decode_sealed(&first.bytes)
                    .map_err(|source| StoreError::Record { index: from, source })?;
                Head::new(from, first.previous())
            }
            _ => Head::EMPTY,
        };
        let mut latest: Vec<Record> = Vec::new();
        let mut end = before;
        for record in replay_from(self.store(), stream, before)? {
            let record = record?;
            end = record.head();
            if record.kind() == RecordKind::SessionOpened {
                latest.push(record);
            }
        }
        let mut earlier: Vec<SessionOpened> = Vec::new();
        let mut released = None;
        for record in latest.iter().rev() {
            if earlier.len() == wanted {
                break;
            }
            let opened: SessionOpened = read(record)?;
            let name = opened.claims.session.name().clone();
            if self.doubted(&StreamId::new(StreamKind::Session, name))?.is_some() {
                let released = match released {
                    Some(released) => released,
                    None => *released.insert(self.released(&streams.governance)?),
                };
                if released.is_none_or(|released| released < record.index()) {
                    continue;
                }
            }
            earlier.push(opened);
        }
        earlier.reverse();
        let score = engine.link(&session.opened(), &earlier);
        let draft = score.map(|score| {
            let stream = streams.session.clone();
            let body = score.to_canonical();
            Draft::new(stream, RecordKind::IdentityScored, Subsystem::Identity, body)
        });
        Ok((end, draft))
    }

    /// What still speaks against a session since it was opened.
    pub(super) fn doubt(&self, streams: &Streams) -> Result<Option<Standing>, RouterError> {
        let Some((index, standing)) = self.doubted(&streams.session)? else { return Ok(None) };
        let released = self.released(&streams.governance)?;
        Ok(Some(standing).filter(|_| released.is_none_or(|released| released < index)))
    }

    /// Where a session's low score stands in the log, and what it means.
    fn doubted(&self, session: &StreamId) -> Result<Option<(u64, Standing)>, RouterError> {
        for record in replay(self.store(), session)? {
            let record = record?;
            if record.kind() == RecordKind::IdentityScored {
                let score: IdentityScore = read(&record)?;
                let standing = score.standing();
                return Ok(standing.is_low().then_some((record.index(), standing)));
            }
        }
        Ok(None)
    }

    /// Where the subject was last released.
    fn released(&self, governance: &StreamId) -> Result<Option<u64>, RouterError> {
        let mut last = None;
        for record in replay(self.store(), governance)? {
            let record = record?;
            if releases(&record)? {
                last = Some(record.index());
            }
        }
        Ok(last)
    }
}
