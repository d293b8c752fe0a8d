//! Restoring an audience from its records, and from nothing else.

use alloc::borrow::ToOwned as _;

use crate::audience::any::{AnyAudience, AudienceSnapshot, Entry};
use crate::audience::lineage::{IllegalEvent, LineageEvent};
use crate::audience::state::State;
use crate::audience::typed::{Core, Review, stream_of};
use crate::digest::Digest;
use crate::encode::{DecodeError, Reader};
use crate::id::SubjectId;
use crate::limits::SNAPSHOT_RECORDS;
use crate::ssot::record::{Head, Record, RecordKind, StreamId};

/// A record that does not continue an audience's lineage. Final: the log is damaged, or it
/// is another log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {index} (sequence {sequence}, {}): {problem}", digest.short())]
pub struct ReplayError {
    /// The record's place in the global log.
    pub index: u64,
    /// Its place in its stream.
    pub sequence: u64,
    /// Its digest.
    pub digest: Digest,
    /// What is wrong with it.
    pub problem: ReplayProblem,
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayProblem {
    /// It belongs to another stream.
    #[error("expected stream `{expected}`, found `{found}`")]
    Stream {
        /// The audience's stream.
        expected: StreamId,
        /// The record's.
        found: StreamId,
    },
    /// A record is missing, repeated or out of order.
    #[error("expected sequence {expected}, found {found}")]
    Sequence {
        /// The next place.
        expected: u64,
        /// The record's place.
        found: u64,
    },
    /// It follows another record.
    #[error("expected it to follow {}, found it to follow {}", expected.short(), found.short())]
    Link {
        /// The digest of the record before.
        expected: Digest,
        /// What the record names.
        found: Digest,
    },
    /// Its kind has no place in an audience's stream.
    #[error("expected a record of an audience, found kind {found:?}")]
    Kind {
        /// The kind.
        found: RecordKind,
    },
    /// Its body cannot be read.
    #[error("its body cannot be read: {0}")]
    Body(#[from] DecodeError),
    /// It is no legal transition.
    #[error(transparent)]
    Illegal(#[from] IllegalEvent),
    /// It starts from another state than the audience is in.
    #[error("expected it to start from {expected}, found {found}")]
    State {
        /// The state the audience is in.
        expected: State,
        /// The state the record names.
        found: State,
    },
    /// Its event type is not the one its cause justifies.
    #[error("its event type is not the one its cause justifies")]
    Way,
    /// It is a snapshot, and the records before it lead to another state.
    #[error("a snapshot that lies: expected {expected:?}, found {found:?}")]
    Lying {
        /// What the records before it lead to.
        expected: AudienceSnapshot,
        /// What it says.
        found: AudienceSnapshot,
    },
    /// It is a snapshot where none may stand.
    #[error("a snapshot where none may stand")]
    Slot,
}

/// Restores one audience, record by record.
#[derive(Debug)]
#[must_use = "`finish` gives the audience"]
pub struct Restore {
    core: Core,
    state: State,
}

impl Restore {
    /// Starts with an audience that has no record: it is in INIT (ASM2-3.1).
    pub const fn new(subject: SubjectId) -> Self {
        Self { core: Core { subject, head: Head::EMPTY, review: Review::None }, state: State::Init }
    }

    /// Starts with what a snapshot of the subject's stream says: nothing before it is
    /// looked at, so it is believed as far as [`crate::ssot::snapshot`] says.
    ///
    /// # Errors
    /// [`ReplayError`] when it is no snapshot of this audience, or stands where none may.
    pub fn from_snapshot(subject: SubjectId, record: &Record) -> Result<Self, ReplayError> {
        let mut restore = Self::new(subject);
        // Whatever it follows: its own words are taken for what came before.
        restore.core.head = Head::new(record.sequence(), record.previous());
        let found = restore.snapshot(record).map_err(|problem| at(record, problem))?;
        (restore.state, restore.core.review) = (found.state, found.review);
        restore.core.head = record.head();
        Ok(restore)
    }

    /// Goes on from where an audience stands.
    pub fn resume(audience: AnyAudience) -> Self {
        let state = audience.state();
        Self { state, core: audience.into_core() }
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// [`ReplayError`] names the record and what is wrong; nothing was taken.
    pub fn push(&mut self, record: &Record) -> Result<&mut Self, ReplayError> {
        let entry = self.check(record).map_err(|problem| at(record, problem))?;
        (self.state, self.core.review) = entry.apply(self.state, self.core.review);
        self.core.head = record.head();
        Ok(self)
    }

    /// The state after the records taken so far.
    pub const fn state(&self) -> State {
        self.state
    }

    /// The head after the records taken so far.
    pub const fn head(&self) -> Head {
        self.core.head
    }

    /// The audience after the records taken.
    pub fn finish(self) -> AnyAudience {
        AnyAudience::mint(self.state, self.core)
    }

    /// Whose audience it is.
    #[cfg(feature = "std")]
    pub(crate) const fn subject(&self) -> &SubjectId {
        &self.core.subject
    }

    /// The audience after the records taken so far, while more are to come: what another
    /// [`AnyAudience::replay`] of the same records would give.
    #[cfg(feature = "std")]
    pub(crate) fn so_far(&self) -> AnyAudience {
        let Core { subject, head, review } = &self.core;
        let core = Core { subject: subject.clone(), head: *head, review: *review };
        AnyAudience::mint(self.state, core)
    }

    fn follows(&self, record: &Record) -> Result<(), ReplayProblem> {
        let expected = stream_of(&self.core.subject);
        if *record.stream() != expected {
            return Err(ReplayProblem::Stream { expected, found: record.stream().to_owned() });
        }
        let head = self.core.head;
        if record.sequence() != head.length() {
            let (expected, found) = (head.length(), record.sequence());
            return Err(ReplayProblem::Sequence { expected, found });
        }
        if record.previous() != head.digest() {
            let (expected, found) = (head.digest(), record.previous());
            return Err(ReplayProblem::Link { expected, found });
        }
        Ok(())
    }

    /// Reads a snapshot that stands where it may.
    fn snapshot(&self, record: &Record) -> Result<AudienceSnapshot, ReplayProblem> {
        self.follows(record)?;
        if record.kind() != RecordKind::Snapshot {
            return Err(ReplayProblem::Kind { found: record.kind() });
        }
        let sequence = record.sequence();
        if sequence == 0 || !sequence.is_multiple_of(SNAPSHOT_RECORDS) {
            return Err(ReplayProblem::Slot);
        }
        Ok(record.read()?)
    }

    fn check(&self, record: &Record) -> Result<Entry, ReplayProblem> {
        self.follows(record)?;
        let entry = Entry::read(record)?;
        if let Entry::Snapshot(found) = entry {
            self.snapshot(record)?;
            let expected = AudienceSnapshot { state: self.state, review: self.core.review };
            if found != expected {
                return Err(ReplayProblem::Lying { expected, found });
            }
        }
        let found = entry.starts_from();
        if found != self.state {
            return Err(ReplayProblem::State { expected: self.state, found });
        }
        Ok(entry)
    }
}

impl Entry {
    /// What a record of an audience's stream says, by itself: not whether it continues that
    /// stream.
    ///
    /// # Errors
    /// [`ReplayProblem`]: its kind, its body, or a transition that the table does not have.
    pub fn read(record: &Record) -> Result<Self, ReplayProblem> {
        match record.kind() {
            RecordKind::AudienceEvent => event(record.body()).map(Self::Event),
            RecordKind::EnvelopeBlock => Ok(Self::Blocked(record.read()?)),
            RecordKind::TransitionRefused => Ok(Self::Refused(record.read()?)),
            RecordKind::ConstitutionalCheck => Ok(Self::Checked(record.read()?)),
            RecordKind::Snapshot => Ok(Self::Snapshot(record.read()?)),
            found => Err(ReplayProblem::Kind { found }),
        }
    }

    /// The state in which the audience must be for it.
    pub const fn starts_from(&self) -> State {
        match self {
            Self::Event(event) => event.from(),
            Self::Blocked(block) => block.state,
            Self::Refused(refused) => refused.from,
            Self::Checked(check) => check.state,
            Self::Snapshot(snapshot) => snapshot.state,
        }
    }

    /// State and review after it.
    pub const fn after(&self, state: State, review: Review) -> (State, Review) {
        self.apply(state, review)
    }
}

/// A problem, and the record that has it.
fn at(record: &Record, problem: ReplayProblem) -> ReplayError {
    let (index, sequence, digest) = (record.index(), record.sequence(), record.digest());
    ReplayError { index, sequence, digest, problem }
}

/// Reads an event, telling an illegal edge from unreadable bytes.
fn event(body: &[u8]) -> Result<LineageEvent, ReplayProblem> {
    let mut input = Reader::new(body);
    let (from, to, way, cause) = LineageEvent::decode_fields(&mut input)?;
    input.finish()?;
    if cause.way(from) != way {
        return Err(ReplayProblem::Way);
    }
    Ok(LineageEvent::new(from, to, cause)?)
}

impl AnyAudience {
    /// The audience after these records of its stream, in order, from the first.
    ///
    /// The records must come from a verified store: replay proves that they form one
    /// gapless legal lineage, not that nobody wrote them himself.
    ///
    /// # Errors
    /// [`ReplayError`] names the first record that does not continue, and why.
    pub fn replay<'a>(
        subject: SubjectId,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<Self, ReplayError> {
        let mut restore = Restore::new(subject);
        for record in records {
            restore.push(record)?;
        }
        Ok(restore.finish())
    }
}
