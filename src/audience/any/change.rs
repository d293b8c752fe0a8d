//! What is to be recorded together, and the audience that follows from it.

use alloc::vec::Vec;

use crate::audience::any::AnyAudience;
use crate::audience::causes::{ConstitutionalViolation, EscalationTrigger};
use crate::audience::lineage::{
    Cause, ConstitutionalCheck, EnvelopeBlock, LineageEvent, TransitionRefused,
};
use crate::audience::state::State;
use crate::audience::typed::{Core, RecordMismatch, Review, Unconfirmed, check_record, stream_of};
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::id::{SubjectId, Subsystem};
use crate::limits::SNAPSHOT_RECORDS;
use crate::risk::Risk;
use crate::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use crate::verdict::{EnvelopeDecision, EnvelopeVerdict};

/// One record to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry {
    /// A state change.
    Event(LineageEvent),
    /// The envelope blocked.
    Blocked(EnvelopeBlock),
    /// A request was refused.
    Refused(TransitionRefused),
    /// A constitutional check ran.
    Checked(ConstitutionalCheck),
    /// What the records before it lead to.
    Snapshot(AudienceSnapshot),
}

impl Entry {
    /// The kind of its record.
    pub const fn kind(&self) -> RecordKind {
        match self {
            Self::Event(_) => RecordKind::AudienceEvent,
            Self::Blocked(_) => RecordKind::EnvelopeBlock,
            Self::Refused(_) => RecordKind::TransitionRefused,
            Self::Checked(_) => RecordKind::ConstitutionalCheck,
            Self::Snapshot(_) => RecordKind::Snapshot,
        }
    }

    /// State and review after this entry.
    pub(super) const fn apply(&self, state: State, review: Review) -> (State, Review) {
        match self {
            Self::Event(event) => (event.to(), Review::on_entry(event.to())),
            Self::Checked(check) if check.is_violation() => match review {
                Review::None => (state, Review::None),
                Review::Open | Review::Urgent => (state, Review::Urgent),
            },
            Self::Checked(_) | Self::Blocked(_) | Self::Refused(_) | Self::Snapshot(_) => {
                (state, review)
            }
        }
    }
}

impl Encode for Entry {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Event(event) => event.encode(out),
            Self::Blocked(block) => block.encode(out),
            Self::Refused(refused) => refused.encode(out),
            Self::Checked(check) => check.encode(out),
            Self::Snapshot(snapshot) => snapshot.encode(out),
        }
    }
}

/// The state of an audience after the record before it.
///
/// The body of its record (see [`crate::ssot::snapshot`]): version (1), stream kind (1),
/// state (1), review (1: `0` none, `1` open, `2` urgent).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AudienceSnapshot {
    /// The state.
    pub state: State,
    /// The governance review that is open.
    pub review: Review,
}

/// As [`crate::ssot::snapshot::SNAPSHOT_VERSION`].
const VERSION: u8 = 1;

impl Encode for AudienceSnapshot {
    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION).value(&StreamKind::Audience).value(&self.state).u8(match self.review {
            Review::None => 0,
            Review::Open => 1,
            Review::Urgent => 2,
        });
    }
}

impl Decode for AudienceSnapshot {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        match input.u8()? {
            VERSION => {}
            other => return Err(Reader::bad_tag("snapshot version 1", other, offset)),
        }
        if StreamKind::decode(input)? != StreamKind::Audience {
            return Err(input.invalid("a snapshot of an audience"));
        }
        let (state, offset) = (State::decode(input)?, input.offset());
        let review = match input.u8()? {
            0 => Review::None,
            1 => Review::Open,
            2 => Review::Urgent,
            other => return Err(Reader::bad_tag("a review", other, offset)),
        };
        if (review == Review::None) != (Review::on_entry(state) == Review::None) {
            return Err(input.invalid("a review where the state has one"));
        }
        Ok(Self { state, review })
    }
}

/// A change that is decided and not yet recorded: one batch, whole or not at all.
#[derive(Debug)]
#[must_use = "a change counts only once its records are durable and confirmed"]
pub struct Change {
    core: Core,
    from: State,
    entries: Vec<Entry>,
}

impl Change {
    pub(in crate::audience) fn of_events(
        core: Core,
        from: State,
        events: impl IntoIterator<Item = LineageEvent>,
    ) -> Self {
        Self::of_entries(core, from, events.into_iter().map(Entry::Event).collect())
    }

    /// Where one of the records comes to a place for a snapshot, it stands before it.
    pub(super) fn of_entries(core: Core, from: State, mut entries: Vec<Entry>) -> Self {
        let start = core.head.length();
        let end = start.saturating_add(entries.len() as u64);
        let slot = start.div_ceil(SNAPSHOT_RECORDS).max(1).saturating_mul(SNAPSHOT_RECORDS);
        if slot < end {
            let at = usize::try_from(slot - start).unwrap_or(usize::MAX);
            let before = entries.iter().take(at);
            let (state, review) = before
                .fold((from, core.review), |(state, review), entry| entry.apply(state, review));
            entries.insert(at, Entry::Snapshot(AudienceSnapshot { state, review }));
        }
        Self { core, from, entries }
    }

    /// The audience as it was before: nothing was recorded.
    pub fn abandon(self) -> AnyAudience {
        AnyAudience::mint(self.from, self.core)
    }

    /// Whose audience changes.
    pub const fn subject(&self) -> &SubjectId {
        &self.core.subject
    }

    /// The stream of the records.
    pub fn stream(&self) -> StreamId {
        stream_of(&self.core.subject)
    }

    /// The head the first record must follow: what a compare-and-append expects.
    pub const fn expected_head(&self) -> Head {
        self.core.head
    }

    /// The state before.
    pub const fn from(&self) -> State {
        self.from
    }

    /// The state after.
    pub fn to(&self) -> State {
        self.outcome().0
    }

    /// What is to be recorded, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The state changes among the entries, in order.
    pub fn events(&self) -> impl Iterator<Item = &LineageEvent> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Event(event) => Some(event),
            _ => None,
        })
    }

    /// The drafts of the records, asked for by `source`, for one batch.
    pub fn drafts(&self, source: Subsystem) -> impl Iterator<Item = Draft> {
        let stream = self.stream();
        self.entries.iter().map(move |entry| {
            Draft::new(stream.clone(), entry.kind(), source, entry.to_canonical())
        })
    }

    /// The audience after the change, on the evidence of its sealed records, in order.
    /// They have to be records that a store committed.
    ///
    /// # Errors
    /// [`Unconfirmed`] with the first thing that differs; the change is given back.
    pub fn confirm(self, records: &[Record]) -> Result<AnyAudience, Unconfirmed<Self>> {
        if records.len() != self.entries.len() {
            let (expected, found) = (self.entries.len(), records.len());
            return Err(Unconfirmed::new(self, RecordMismatch::Count { expected, found }));
        }
        let mut head = self.core.head;
        let mut body = Writer::new();
        let mut failed = None;
        for (entry, record) in self.entries.iter().zip(records) {
            body.clear();
            entry.encode(&mut body);
            match check_record(record, &self.core.subject, head, entry.kind(), body.as_bytes()) {
                Ok(next) => head = next,
                Err(mismatch) => {
                    failed = Some(mismatch);
                    break;
                }
            }
        }
        if let Some(mismatch) = failed {
            return Err(Unconfirmed::new(self, mismatch));
        }
        let (state, review) = self.outcome();
        Ok(AnyAudience::mint(state, Core { subject: self.core.subject, head, review }))
    }

    fn outcome(&self) -> (State, Review) {
        self.entries.iter().fold((self.from, self.core.review), |(state, review), entry| {
            entry.apply(state, review)
        })
    }
}

impl AnyAudience {
    /// Records that the envelope blocked (ASM2-9.7), and the escalation it triggers where
    /// the table has the edge (ASM2-7.2), in one commit. A block alone leaves INIT where it
    /// is; a constitutional violation found with it does not (ASM2-7.6).
    ///
    /// # Errors
    /// The audience, unchanged, when the envelope did not block.
    pub fn blocked(
        self,
        verdict: &EnvelopeVerdict,
        risk: Risk,
        violation: Option<ConstitutionalViolation>,
    ) -> Result<Change, Self> {
        if verdict.decision() != EnvelopeDecision::Block {
            return Err(self);
        }
        let state = self.state();
        let block = EnvelopeBlock { state, envelope: verdict.digest(), risk };
        let cause = match violation {
            Some(v) if state == State::Init => {
                Cause::Violation { rule: v.rule(), kernel: v.kernel() }
            }
            Some(_) => Cause::Escalation(EscalationTrigger::ConstitutionalViolation),
            None => Cause::Escalation(EscalationTrigger::EnvelopeBlock),
        };
        let escalation = LineageEvent::new(state, State::Escalated, cause).ok();
        let entries =
            [Entry::Blocked(block)].into_iter().chain(escalation.map(Entry::Event)).collect();
        Ok(Change::of_entries(self.into_core(), state, entries))
    }
}
