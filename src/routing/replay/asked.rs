//! What was asked for, from the evidence and the payloads that the log keeps.

use alloc::string::ToString as _;

use crate::commitment::{Salt, from_kept};
use crate::digest::Digest;
use crate::encode::{DecodeError, Reader};
use crate::governance::GovernanceToken;
use crate::id::LayerId;
use crate::intent::{
    Catalogue, Intent, IntentError, Malformed, Objective, Request, RoutingId, Submission,
};
use crate::routing::evidence::{EVIDENCE_VERSION, EvidenceBlock, SALTED_VERSION, StepResult};
use crate::ssot::record::Record;
use crate::time::Timestamp;
use crate::verdict::{Consensus, Reason, ReasonCode, SafetyFlags, Verdict};

/// The start of an evidence block: what a route is routed again with.
pub(super) struct Peek {
    verdict: Verdict,
    pub(super) timestamp: Timestamp,
    pub(super) intent: Digest,
    pub(super) objective: Option<Digest>,
    /// Whether the two are salted commitments.
    pub(super) salted: bool,
    /// The tag of its token, zeros where it has none.
    pub(super) tag: Digest,
    pub(super) minted: bool,
}

impl Peek {
    pub(super) fn of(body: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(body);
        let version = input.u8()?;
        if !matches!(version, EVIDENCE_VERSION | SALTED_VERSION) {
            return Err(Reader::bad_tag("evidence version 1 or 2", version, 0));
        }
        let salted = version == SALTED_VERSION;
        let (verdict, timestamp) = (input.value()?, input.value()?);
        let _routing_id: Option<RoutingId> = input.option()?;
        let (intent, objective) = (input.digest()?, input.option()?);
        let _flags: (SafetyFlags, SafetyFlags) = (input.value()?, input.value()?);
        let _votes: Consensus = input.value()?;
        let token: Option<GovernanceToken> = input.option()?;
        let (tag, minted) = (token.map_or(Digest::ZERO, |token| token.tag()), token.is_some());
        Ok(Self { verdict, timestamp, intent, objective, salted, tag, minted })
    }

    /// Whether the route waits for somebody.
    pub(super) const fn waits(&self) -> bool {
        matches!(self.verdict, Verdict::StepUp | Verdict::Defer)
    }

    /// What was no intent: its digest is in the evidence, why it was none in the trace. The
    /// bytes themselves are not kept.
    pub(super) fn malformed(&self, record: &Record) -> Submission {
        let block: Option<EvidenceBlock> = record.read().ok();
        let trace = block.iter().flat_map(|block| &block.trace);
        let blocked =
            trace.filter(|e| e.layer == LayerId::Intent && e.result == StepResult::Stopped);
        let reason = blocked.filter_map(|entry| entry.reasons.first()).next_back().cloned();
        let reason = reason.unwrap_or_else(|| Reason::new(ReasonCode::IntentMalformed));
        Malformed { digest: self.intent, subject: None, session: None, reason }.into()
    }
}

/// What is kept of an intent and of its objective, without their salts, which stand apart.
fn plain<'k>(
    intent: &'k [u8],
    objective: &'k [u8],
    salted: bool,
) -> (&'k [u8], &'k str, Option<(Salt, Salt)>) {
    let both = from_kept(intent).zip(from_kept(objective)).filter(|_| salted);
    let (intent, objective, salts) = match both {
        Some(((first, intent), (second, objective))) => (intent, objective, Some((first, second))),
        None => (intent, objective, None),
    };
    // Bytes that are no text have another hash than any text: the evidence says so.
    (intent, core::str::from_utf8(objective).unwrap_or_default(), salts)
}

/// The intent that these bytes are, in the words of this objective; `None` when another
/// catalogue checked it.
pub(super) fn submission(
    catalogue: &Catalogue,
    intent: &[u8],
    objective: &[u8],
    salted: bool,
) -> Result<Option<Submission>, IntentError> {
    let (intent, text, salts) = plain(intent, objective, salted);
    match Intent::from_canonical(intent, catalogue, Objective::new(text)) {
        Ok(intent) => Ok(Some(match salts {
            Some((first, second)) => intent.salted_with(first, second).into(),
            None => intent.into(),
        })),
        Err(IntentError::Catalogue { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The request that an intent was made of, whatever catalogue checked it.
pub(super) fn request(
    intent: &[u8],
    objective: &[u8],
    salted: bool,
) -> Result<Request, IntentError> {
    let (intent, text, _) = plain(intent, objective, salted);
    Request::from_canonical(intent, Objective::new(text)).map(|(request, _)| request)
}

/// When the token was redeemed, where it was refused for the time: the trace says it.
pub(super) fn time_of_step_seven(record: &Record) -> Option<Timestamp> {
    let block: EvidenceBlock = record.read().ok()?;
    let last = block.trace.last()?;
    let stopped = last.layer == LayerId::Pipeline && last.result == StepResult::Stopped;
    let reason = last.reasons.first().filter(|r| stopped && r.code == ReasonCode::TokenInvalid)?;
    let (_, found) = reason.detail.rsplit_once(", found ")?;
    let clock = found.split_once('T')?.1.strip_suffix('Z')?;
    let mut parts = clock.split([':', '.']).map(|part| part.parse::<u64>().ok());
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let (seconds, millis) = (parts.next()??, parts.next()??);
    let of_day = ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis;
    let days = block.timestamp.as_millis() / DAY;
    let on = |day: u64| Timestamp::from_millis(day.saturating_mul(DAY).saturating_add(of_day));
    (0..=1).map(|further| on(days.saturating_add(further))).find(|time| time.to_string() == found)
}

const DAY: u64 = 86_400_000;
