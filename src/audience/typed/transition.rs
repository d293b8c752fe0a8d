//! What a verb yields: the event to record and the handle that waits for its record.

use core::fmt;
use core::marker::PhantomData;

use alloc::boxed::Box;

use crate::audience::any::Change;
use crate::audience::evidence::EvidenceError;
use crate::audience::lineage::LineageEvent;
use crate::audience::states::AudienceState;
use crate::audience::typed::{Audience, Core, Review};
use crate::encode::Encode;
use crate::id::{SubjectId, Subsystem};
use crate::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};

/// A state change that is decided and not yet recorded.
#[must_use = "a transition counts only once its event is recorded and its audience confirmed"]
pub struct Transition<S: AudienceState, T: AudienceState> {
    pending: PendingAudience<T>,
    from: PhantomData<fn() -> S>,
}

impl<S: AudienceState, T: AudienceState> fmt::Debug for Transition<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transition").field("event", &self.pending.event).finish_non_exhaustive()
    }
}

impl<S: AudienceState, T: AudienceState> Transition<S, T> {
    pub(super) fn new(core: Core, event: LineageEvent) -> Self {
        Self { pending: PendingAudience { core, event, state: PhantomData }, from: PhantomData }
    }

    /// What is to be recorded.
    pub const fn event(&self) -> &LineageEvent {
        &self.pending.event
    }

    /// The draft of the record, asked for by `source`.
    pub fn draft(&self, source: Subsystem) -> Draft {
        self.pending.draft(source)
    }

    /// The waiting audience and what is to be recorded.
    pub fn into_parts(self) -> (PendingAudience<T>, LineageEvent) {
        let event = self.pending.event.clone();
        (self.pending, event)
    }

    /// The transition as a run-time change of one event.
    pub fn into_change(self) -> Change {
        Change::of_events(self.pending.core, S::STATE, [self.pending.event])
    }

    /// The waiting audience alone.
    pub fn into_pending(self) -> PendingAudience<T> {
        self.pending
    }
}

/// An audience that will be in state `T` once its record is durable.
#[must_use = "a pending audience becomes usable only through its sealed record"]
pub struct PendingAudience<T: AudienceState> {
    core: Core,
    event: LineageEvent,
    state: PhantomData<fn() -> T>,
}

impl<T: AudienceState> fmt::Debug for PendingAudience<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingAudience").field("event", &self.event).finish_non_exhaustive()
    }
}

impl<T: AudienceState> PendingAudience<T> {
    /// The stream the record belongs to.
    pub fn stream(&self) -> StreamId {
        stream_of(&self.core.subject)
    }

    /// The head the record must follow: what a compare-and-append expects.
    pub const fn expected_head(&self) -> Head {
        self.core.head
    }

    /// The draft of the record, asked for by `source`.
    pub fn draft(&self, source: Subsystem) -> Draft {
        let body = self.event.to_canonical();
        Draft::new(self.stream(), RecordKind::AudienceEvent, source, body)
    }

    /// The audience in its new state, on the evidence of its sealed record.
    ///
    /// The record has to be one that a store committed: sealing one oneself is lying
    /// to oneself, and the next compare-and-append or replay will say so.
    ///
    /// # Errors
    /// [`Unconfirmed`] with the first thing that differs; the pending audience is given back.
    pub fn confirm(self, record: &Record) -> Result<Audience<T>, Unconfirmed<Self>> {
        let body = self.event.to_canonical();
        match check_record(
            record,
            &self.core.subject,
            self.core.head,
            RecordKind::AudienceEvent,
            &body,
        ) {
            Ok(head) => Ok(Audience::mint(Core {
                subject: self.core.subject,
                head,
                review: Review::on_entry(T::STATE),
            })),
            Err(mismatch) => Err(Unconfirmed::new(self, mismatch)),
        }
    }
}

/// The stream of a subject's audience.
pub(in crate::audience) fn stream_of(subject: &SubjectId) -> StreamId {
    StreamId::new(StreamKind::Audience, subject.name().clone())
}

/// The one place where a sealed record is taken as evidence: stream, place, link, kind
/// and body must be the expected ones. Gives the head after the record.
pub(in crate::audience) fn check_record(
    record: &Record,
    subject: &SubjectId,
    head: Head,
    kind: RecordKind,
    body: &[u8],
) -> Result<Head, RecordMismatch> {
    let stream = record.stream();
    if stream.kind() != StreamKind::Audience || stream.name() != subject.name() {
        return Err(RecordMismatch::Stream { expected: stream_of(subject), found: stream.clone() });
    }
    let found = Head::new(record.sequence(), record.previous());
    if found != head {
        return Err(RecordMismatch::Link { expected: head, found });
    }
    if record.kind() != kind {
        return Err(RecordMismatch::Kind { expected: kind, found: record.kind() });
    }
    if record.body() != body {
        return Err(RecordMismatch::Body);
    }
    Ok(record.head())
}

/// How a sealed record differs from the one that was to be recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordMismatch {
    /// It stands in another stream.
    #[error("expected a record of stream `{expected}`, found one of `{found}`")]
    Stream {
        /// The audience's stream.
        expected: StreamId,
        /// The record's stream.
        found: StreamId,
    },
    /// It follows another record.
    #[error("expected a record that follows {expected}, found one that follows {found}")]
    Link {
        /// The head when the verb was called.
        expected: Head,
        /// The head the record follows.
        found: Head,
    },
    /// It is of another kind.
    #[error("expected a record of kind {expected:?}, found {found:?}")]
    Kind {
        /// The kind.
        expected: RecordKind,
        /// The record's kind.
        found: RecordKind,
    },
    /// It says something else.
    #[error("the record's body is not the event that was to be recorded")]
    Body,
    /// There are more or fewer records than events.
    #[error("expected {expected} records, found {found}")]
    Count {
        /// Events to record.
        expected: usize,
        /// Records shown.
        found: usize,
    },
}

/// A record that is not the evidence asked for. Transient: the pending value is given back
/// and can be confirmed with the right record.
#[derive(Debug)]
pub struct Unconfirmed<P> {
    pending: Box<P>,
    mismatch: RecordMismatch,
}

impl<P> Unconfirmed<P> {
    pub(in crate::audience) fn new(pending: P, mismatch: RecordMismatch) -> Self {
        Self { pending: Box::new(pending), mismatch }
    }

    /// What differs.
    pub const fn mismatch(&self) -> &RecordMismatch {
        &self.mismatch
    }

    /// The pending value and what differs.
    pub fn into_parts(self) -> (P, RecordMismatch) {
        (*self.pending, self.mismatch)
    }
}

impl<P> fmt::Display for Unconfirmed<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mismatch.fmt(f)
    }
}

impl<P: fmt::Debug> core::error::Error for Unconfirmed<P> {}

/// A verb that was refused its evidence. The audience is unchanged and given back; the
/// evidence is spent.
#[must_use = "the audience is inside"]
pub struct Rejected<S: AudienceState> {
    audience: Audience<S>,
    why: Box<EvidenceError>,
}

impl<S: AudienceState> Rejected<S> {
    pub(super) fn new(audience: Audience<S>, why: EvidenceError) -> Self {
        Self { audience, why: Box::new(why) }
    }

    /// Why.
    pub const fn why(&self) -> &EvidenceError {
        &self.why
    }

    /// The audience and why.
    pub fn into_parts(self) -> (Audience<S>, EvidenceError) {
        (self.audience, *self.why)
    }
}

impl<S: AudienceState> fmt::Debug for Rejected<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("audience", &self.audience)
            .field("why", &self.why)
            .finish()
    }
}

impl<S: AudienceState> fmt::Display for Rejected<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl<S: AudienceState> core::error::Error for Rejected<S> {}
