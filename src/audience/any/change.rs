//! What is to be recorded together, and the audience that follows from it.

use alloc::vec::Vec;

use crate::audience::any::AnyAudience;
use crate::audience::causes::{ConstitutionalViolation, EscalationTrigger};
use crate::audience::lineage::{
    Cause, ConstitutionalCheck, EnvelopeBlock, LineageEvent, TransitionRefused,
};
use crate::audience::state::State;
use crate::audience::typed::{Core, RecordMismatch, Review, Unconfirmed, check_record, stream_of};
use crate::encode::{Encode, Writer};
use crate::id::{SubjectId, Subsystem};
use crate::risk::Risk;
use crate::ssot::record::{Draft, Head, Record, RecordKind, StreamId};
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
}

impl Entry {
    /// The kind of its record.
    pub const fn kind(&self) -> RecordKind {
        match self {
            Self::Event(_) => RecordKind::AudienceEvent,
            Self::Blocked(_) => RecordKind::EnvelopeBlock,
            Self::Refused(_) => RecordKind::TransitionRefused,
            Self::Checked(_) => RecordKind::ConstitutionalCheck,
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
            Self::Checked(_) | Self::Blocked(_) | Self::Refused(_) => (state, review),
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
        }
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

    pub(super) const fn of_entries(core: Core, from: State, entries: Vec<Entry>) -> Self {
        Self { core, from, entries }
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
