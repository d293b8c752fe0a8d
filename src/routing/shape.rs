//! Where digests stand in the bodies of records: what makes a packed log small
//! (see `crate::ssot::segment`).
//!
//! An evidence block's Routing ID is computed from its five components, an opening's digest
//! from its claims. The hashes of intents, objectives and outputs are those of the payloads
//! beside the chain. A token's id begins as the record does that the evidence follows.
//!
//! Requirements: PLAN-8.2.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::vec::Vec;

use crate::digest::{DIGEST_LEN, Digest};
use crate::encode::{Decode, DecodeError, Reader};
use crate::governance::{GovernanceToken, Matter};
use crate::id::{KindId, ModuleId, Name, PrincipalId, RuleId, SubjectId, TemplateId};
use crate::identity::Claims;
use crate::intent::RoutingComponents;
use crate::routing::evidence::EvidenceBlock;
use crate::ssot::record::RecordKind;
use crate::ssot::segment::{Mark, PayloadOf, Shape};
use crate::verdict::{Consensus, Narrowing, SafetyMode};

/// Knows the bodies that this library writes.
#[derive(Debug, Default)]
pub struct Bodies {
    /// The votes at Step 2 that were found last: they are tried first.
    votes: Mutex<VecDeque<u16>>,
}

/// How many of them.
const VOTES: usize = 16;

impl Bodies {
    /// The votes that a Routing ID was computed with. The block has those of the end; those
    /// of Step 2 differ in what later layers said, and in what an earlier route left.
    fn votes(&self, of: impl Fn(Consensus) -> bool) -> Option<u16> {
        let mut known = self.votes.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |bits: u16| Consensus::from_canonical(&bits.to_le_bytes()).ok();
        let fits = |bits: &u16| read(*bits).is_some_and(&of);
        let found = known.iter().copied().find(fits);
        let found = found.or_else(|| (0..=u16::MAX).find(fits))?;
        if !known.contains(&found) {
            known.push_front(found);
            known.truncate(VOTES);
        }
        Some(found)
    }
}

fn components(block: &EvidenceBlock, consensus: Consensus) -> Option<RoutingComponents> {
    Some(RoutingComponents {
        intent: block.intent,
        objective: block.objective?,
        snapshot: block.snapshot,
        flags: block.flags,
        consensus,
    })
}

impl Shape for Bodies {
    fn marks(&self, kind: RecordKind, body: &[u8]) -> Vec<Mark> {
        let mut marks = Vec::new();
        // A body that cannot be read has the marks that were found before that shows.
        let _unread = match kind {
            RecordKind::EvidenceBlock => evidence(body, &mut marks),
            RecordKind::Outcome => outcome(body, &mut marks),
            RecordKind::SessionOpened => opening(body, &mut marks),
            RecordKind::GovernanceDecision => decision(body, &mut marks),
            RecordKind::AudienceEvent => event(body, &mut marks),
            RecordKind::PolicyPinned => pinned(body, &mut marks),
            RecordKind::EnvelopeBlock | RecordKind::ConstitutionalCheck => {
                marks.push(Mark::Digest(2));
                Ok(())
            }
            _ => Ok(()),
        };
        marks
    }

    fn hint(&self, kind: RecordKind, body: &[u8], at: usize) -> Option<u64> {
        match kind {
            RecordKind::EvidenceBlock => {
                let block = EvidenceBlock::from_canonical(body).ok()?;
                let id = block.routing_id?;
                let votes = self.votes(|votes| {
                    components(&block, votes).is_some_and(|components| components.id() == id)
                });
                votes.map(u64::from)
            }
            RecordKind::SessionOpened => {
                let kept = body.get(at..at.checked_add(DIGEST_LEN)?)?;
                let digest = self.derive(kind, body, at, 0)?;
                (digest.as_bytes() == kept).then_some(0)
            }
            _ => None,
        }
    }

    fn derive(&self, kind: RecordKind, body: &[u8], at: usize, hint: u64) -> Option<Digest> {
        match kind {
            RecordKind::EvidenceBlock => {
                let block = EvidenceBlock::from_canonical(body).ok()?;
                let votes = u16::try_from(hint).ok()?.to_le_bytes();
                let votes = Consensus::from_canonical(&votes).ok()?;
                Some(components(&block, votes)?.id().digest())
            }
            RecordKind::SessionOpened => {
                let mut input = Reader::new(body);
                let claims = Claims::decode(&mut input).ok()?;
                (input.offset() == at).then(|| claims.digest())
            }
            _ => None,
        }
    }
}

/// Goes over an optional value, and says where it stands when it is there.
fn optional<T: Decode>(input: &mut Reader<'_>) -> Result<Option<usize>, DecodeError> {
    let at = input.offset() + 1;
    Ok(input.option::<T>()?.map(|_| at))
}

fn evidence(body: &[u8], marks: &mut Vec<Mark>) -> Result<(), DecodeError> {
    let mut input = Reader::new(body);
    input.raw(2)?; // version, verdict
    marks.push(Mark::Time(input.offset()));
    input.u64()?;
    let routing = optional::<Digest>(&mut input)?;
    marks.extend(routing.map(Mark::Derived));
    marks.push(Mark::Payload(input.offset(), PayloadOf::Intent));
    input.digest()?;
    let objective = optional::<Digest>(&mut input)?;
    marks.extend(objective.map(|at| Mark::Payload(at, PayloadOf::Objective)));
    input.raw(10)?; // flags, flags raised later, consensus
    if let Some(token) = optional::<GovernanceToken>(&mut input)? {
        marks.extend([Mark::Half(token), Mark::Digest(token + 16)]);
    }
    input.option::<TemplateId>()?;
    input.option::<RuleId>()?;
    input.option::<ModuleId>()?;
    input.value::<SafetyMode>()?;
    input.value::<SubjectId>()?;
    input.value::<PrincipalId>()?;
    input.option::<KindId>()?;
    input.raw(2)?; // state, class
    for _ in 0..2 {
        marks.push(Mark::Digest(input.offset()));
        input.digest()?;
    }
    input.raw(9)?; // risk, surprise, drift
    input.value::<Narrowing>()?;
    for _ in 0..2 {
        let record = optional::<Digest>(&mut input)?;
        marks.extend(record.map(Mark::Digest));
    }
    Ok(())
}

fn outcome(body: &[u8], marks: &mut Vec<Mark>) -> Result<(), DecodeError> {
    let mut input = Reader::new(body);
    input.u8()?;
    marks.push(Mark::Digest(input.offset()));
    input.digest()?;
    input.u8()?;
    let output = optional::<Digest>(&mut input)?;
    marks.extend(output.map(|at| Mark::Payload(at, PayloadOf::Output)));
    Ok(())
}

fn opening(body: &[u8], marks: &mut Vec<Mark>) -> Result<(), DecodeError> {
    let mut input = Reader::new(body);
    input.value::<Claims>()?;
    marks.push(Mark::Derived(input.offset()));
    input.digest()?;
    for _ in 0..input.count(5)? {
        input.value::<Name>()?;
    }
    marks.push(Mark::Time(input.offset()));
    input.u64()?;
    marks.push(Mark::Digest(input.offset()));
    input.digest().map(drop)
}

fn decision(body: &[u8], marks: &mut Vec<Mark>) -> Result<(), DecodeError> {
    let mut input = Reader::new(body);
    input.u8()?;
    let at = input.offset();
    // An approval is of an intent, a backtrack of a route.
    if let Matter::Approval { .. } | Matter::Backtrack { .. } = input.value()? {
        marks.push(Mark::Digest(at + 1));
    }
    input.value::<PrincipalId>()?;
    input.value::<Name>()?;
    input.bool()?;
    marks.push(Mark::Time(input.offset()));
    input.raw(16)?;
    marks.push(Mark::Digest(input.offset()));
    input.digest().map(drop)
}

/// The parts of the files that a pin keeps stand last, file by file.
fn pinned(body: &[u8], marks: &mut Vec<Mark>) -> Result<(), DecodeError> {
    let mut input = Reader::new(body);
    if input.u8()? != 2 {
        return Ok(());
    }
    input.value::<PrincipalId>()?;
    for _ in 0..input.count(4 + DIGEST_LEN)? {
        input.value::<Name>()?;
        marks.push(Mark::Digest(input.offset()));
        input.digest()?;
    }
    for _ in 0..input.count(8)? {
        input.text()?;
        for _ in 0..input.count(DIGEST_LEN)? {
            marks.push(Mark::Payload(input.offset(), PayloadOf::Policy));
            input.digest()?;
        }
    }
    Ok(())
}

fn event(body: &[u8], marks: &mut Vec<Mark>) -> Result<(), DecodeError> {
    let mut input = Reader::new(body);
    input.raw(4)?; // version, event type, from, to
    // A clearance: its class, and the digests of what it rests on.
    if input.u8()? == 1 {
        input.u8()?;
        for _ in 0..5 {
            marks.push(Mark::Digest(input.offset()));
            input.digest()?;
        }
    }
    Ok(())
}
