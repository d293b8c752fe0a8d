//! Conflict detection: what came between a decision and its commit, and whether it matters.
//!
//! A [`Batch`] names the head of every stream its decision was read from: these heads are its
//! read set, one version for each stream, and its drafts are its write set. When a store
//! answers [`Conflict`](crate::ssot::store::AppendError::Conflict) the records behind those
//! heads are what came between ([`came_between`]). [`classify`] says of each, and of all:
//!
//! | class | what came | what it means |
//! |---|---|---|
//! | same | the batch itself | it was committed, and its answer was lost |
//! | commuting | records that change nothing the decision rests on, and nothing it changes | in either order the log leads to the same states |
//! | conflicting | anything else | the decision has to be made again |
//!
//! Whoever was refused decides again in any case: what is classified is what is *said* about
//! it. It becomes a record ([`ConflictDetected`]) beside what was decided the second time.
//!
//! # The table
//!
//! Rows came between; columns were to be written. `·` commutes, `x` conflicts, `?` by content:
//! only the rooms that can read the two bodies can tell (see [`Relation`]), and where nobody
//! can it conflicts.
//!
//! | came \ ours | audience | evidence | outcome | fact | decision | opened | scored | policy |
//! |---|---|---|---|---|---|---|---|---|
//! | audience event | x | x | · | · | x | · | · | · |
//! | envelope block, refusal | · | · | · | · | · | · | · | · |
//! | constitutional check | x | · | · | · | · | · | · | · |
//! | evidence block | x | x | x | · | · | · | · | · |
//! | outcome | x | x | x | · | · | · | · | · |
//! | fact | ? | ? | · | ? | · | · | · | · |
//! | decision | ? | ? | · | · | ? | · | · | · |
//! | session opened | · | · | · | · | · | ? | x | · |
//! | session closed | · | x | · | · | · | x | x | · |
//! | identity scored | · | · | · | · | · | · | · | · |
//! | policy pinned | x | x | · | · | · | · | · | x |
//! | snapshot, conflict detected | · | · | · | · | · | · | · | · |
//!
//! "Audience" are the four kinds of records of an audience's stream. A snapshot is never
//! appended by itself, and says what the records before it say; with a conflict detected
//! nothing conflicts. Only streams that the batch expects are looked at: what happens
//! elsewhere does not concern it.
//!
//! INVARIANT (never silent): what is not known to commute conflicts.
//!
//! Requirements: PLAN-8.4, IRM-5.1, ASM2-8.4, IRM-5.4.

use alloc::vec::Vec;

use crate::digest::{Digest, Domain};
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer, byte_enum};
use crate::limits::CONFLICT_RECORDS;
use crate::ssot::record::{Draft, Head, Record, RecordKind, StreamId};
use crate::ssot::store::{Batch, Store};
use crate::ssot::verify::{VerifyError, replay_from};

/// What came between, as a whole or one record of it. The later one is the graver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The batch itself.
    Same,
    /// What the decision neither rests on nor changes.
    Commuting,
    /// Anything else.
    Conflicting,
}

byte_enum!(Class, "a class of conflict", { Same = 1, Commuting = 2, Conflicting = 3, });

impl Class {
    /// The class's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Commuting => "commuting",
            Self::Conflicting => "conflicting",
        }
    }
}

/// How a record that came relates to one that was to be written, by their kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// They commute, whatever they say.
    Commutes,
    /// It depends on what they say: on the same fact, the same intent, the same session.
    ByContent,
    /// They conflict, whatever they say.
    Conflicts,
}

/// The table of this module.
pub const fn relation(came: RecordKind, ours: RecordKind) -> Relation {
    use RecordKind as K;
    use Relation::{ByContent, Commutes, Conflicts};
    // A snapshot rides along with a record that has a row of its own.
    if matches!(ours, K::Snapshot | K::ConflictDetected | K::SessionClosed) {
        return Commutes;
    }
    let audience = matches!(
        ours,
        K::AudienceEvent | K::EnvelopeBlock | K::TransitionRefused | K::ConstitutionalCheck
    );
    match came {
        K::AudienceEvent => match ours {
            K::EvidenceBlock | K::GovernanceDecision => Conflicts,
            _ if audience => Conflicts,
            _ => Commutes,
        },
        K::ConstitutionalCheck if audience => Conflicts,
        K::EvidenceBlock | K::Outcome => match ours {
            K::EvidenceBlock | K::Outcome => Conflicts,
            _ if audience => Conflicts,
            _ => Commutes,
        },
        K::Fact => match ours {
            K::EvidenceBlock | K::Fact => ByContent,
            _ if audience => ByContent,
            _ => Commutes,
        },
        K::GovernanceDecision => match ours {
            K::EvidenceBlock | K::GovernanceDecision => ByContent,
            _ if audience => ByContent,
            _ => Commutes,
        },
        K::SessionOpened => match ours {
            K::SessionOpened => ByContent,
            K::IdentityScored => Conflicts,
            _ => Commutes,
        },
        K::SessionClosed => match ours {
            K::EvidenceBlock | K::SessionOpened | K::IdentityScored => Conflicts,
            _ => Commutes,
        },
        K::PolicyPinned => match ours {
            K::EvidenceBlock | K::PolicyPinned => Conflicts,
            _ if audience => Conflicts,
            _ => Commutes,
        },
        K::EnvelopeBlock
        | K::TransitionRefused
        | K::ConstitutionalCheck
        | K::IdentityScored
        | K::Snapshot
        | K::ConflictDetected => Commutes,
    }
}

/// One record that came between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The stream it came to.
    pub stream: StreamId,
    /// Its kind.
    pub kind: RecordKind,
    /// Its place in the global log.
    pub index: u64,
    /// Its digest.
    pub record: Digest,
    /// What it is to the batch.
    pub class: Class,
    /// The kind that was to be written and that decides the class: the first it conflicts
    /// with, or the first there is.
    pub against: RecordKind,
}

/// What came between a decision and its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classification {
    /// The gravest of the findings; of nothing at all, `Commuting`.
    pub class: Class,
    /// Each record that came, in the order of the log.
    pub findings: Vec<Finding>,
}

/// [`classify_with`] for who cannot read bodies: what depends on content conflicts.
pub fn classify(batch: &Batch, came: &[Record]) -> Classification {
    classify_with(batch, came, |_, _| true)
}

/// Classifies what came between a batch's decision and its commit. `touches` says of a record
/// that came and a draft, where the table leaves it to their content, whether the one concerns
/// what the other rests on or changes.
///
/// Records of streams that the batch does not expect, or from before the heads it expects,
/// came not between and are left out.
pub fn classify_with(
    batch: &Batch,
    came: &[Record],
    touches: impl Fn(&Record, &Draft) -> bool,
) -> Classification {
    let mut between: Vec<&Record> =
        came.iter().filter(|record| is_between(batch, record)).collect();
    between.sort_by_key(|record| record.index());
    let same = is_same(batch, &between);
    let findings: Vec<Finding> = between
        .into_iter()
        .map(|record| {
            let (class, against) =
                if same { (Class::Same, record.kind()) } else { against(batch, record, &touches) };
            Finding {
                stream: record.stream().clone(),
                kind: record.kind(),
                index: record.index(),
                record: record.digest(),
                class,
                against,
            }
        })
        .collect();
    let class = findings.iter().map(|finding| finding.class).max().unwrap_or(Class::Commuting);
    Classification { class, findings }
}

fn is_between(batch: &Batch, record: &Record) -> bool {
    let expected = batch.expected().iter().find(|(stream, _)| stream == record.stream());
    expected.is_some_and(|(_, head)| record.sequence() >= head.length())
}

/// Whether these records are the batch's drafts: each once, in order, right behind the heads
/// it expects, at its time.
fn is_same(batch: &Batch, between: &[&Record]) -> bool {
    let drafts = batch.drafts();
    if drafts.is_empty() || between.len() != drafts.len() {
        return false;
    }
    let mut index = between.first().map(|record| record.index());
    drafts.iter().zip(between).all(|(draft, record)| {
        let next = index;
        index = index.and_then(|index| index.checked_add(1));
        next == Some(record.index())
            && record.timestamp() == batch.timestamp()
            && record.stream() == draft.stream()
            && record.kind() == draft.kind()
            && record.source() == draft.source()
            && record.body() == draft.body()
    })
}

/// The class of one record, and the kind of the draft that decides it.
fn against(
    batch: &Batch,
    record: &Record,
    touches: &impl Fn(&Record, &Draft) -> bool,
) -> (Class, RecordKind) {
    let conflicts = |draft: &&Draft| match relation(record.kind(), draft.kind()) {
        Relation::Commutes => false,
        Relation::ByContent => touches(record, draft),
        Relation::Conflicts => true,
    };
    if let Some(draft) = batch.drafts().iter().find(conflicts) {
        return (Class::Conflicting, draft.kind());
    }
    (Class::Commuting, batch.drafts().first().map_or(record.kind(), Draft::kind))
}

/// The records that came to the streams a batch expects behind the heads it expects, in the
/// order of the log: verified from these heads on, at most [`CONFLICT_RECORDS`] of each stream.
///
/// # Errors
/// [`VerifyError`] when a stream no longer has the head that was expected of it: then nothing
/// came between, but the log was cut or rewritten.
pub fn came_between<S: Store + ?Sized>(
    store: &S,
    batch: &Batch,
) -> Result<Vec<Record>, VerifyError> {
    let mut came = Vec::new();
    for (stream, head) in batch.expected() {
        for record in replay_from(store, stream, *head)?.take(CONFLICT_RECORDS) {
            came.push(record?);
        }
    }
    came.sort_by_key(Record::index);
    Ok(came)
}

/// What a conflict is to those who govern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConflictCause {
    /// What was decided rests on a fact that is another now (IRM-5.4).
    MemoryContextDrift,
    /// Another policy is in force (IRM-5.3).
    PolicyMismatch,
    /// Two subsystems say different things about the same at once (ASM2-8.4).
    SubsystemConflict,
}

byte_enum!(ConflictCause, "a cause of a conflict", {
    MemoryContextDrift = 1, PolicyMismatch = 2, SubsystemConflict = 3,
});

impl ConflictCause {
    /// The specification's words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MemoryContextDrift => "memory-context drift",
            Self::PolicyMismatch => "policy mismatch",
            Self::SubsystemConflict => "subsystem conflict",
        }
    }
}

/// The body of a [`RecordKind::ConflictDetected`] record.
///
/// | part | encoding |
/// |---|---|
/// | version | `u8`, 1 |
/// | what was to be written | digest: BLAKE3 in [`Domain::Payload`] of count, then stream, kind, source and body of each draft |
/// | the read set | list of (stream, length `u64`, digest): the heads expected |
/// | cause | optional `u8` |
/// | findings | list of (stream, kind `u8`, index `u64`, digest, class `u8`, against `u8`) in the order of the log |
///
/// The class is that of the gravest finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictDetected {
    /// The digest of what was to be written.
    pub attempt: Digest,
    /// The heads that were expected.
    pub read: Vec<(StreamId, Head)>,
    /// What it is to those who govern, where it is anything.
    pub cause: Option<ConflictCause>,
    /// What came between.
    pub found: Classification,
}

impl ConflictDetected {
    /// Of a batch that was refused.
    pub fn new(batch: &Batch, found: Classification, cause: Option<ConflictCause>) -> Self {
        let mut out = Writer::new();
        out.count(batch.drafts().len());
        for draft in batch.drafts() {
            out.value(draft.stream()).value(&draft.kind()).value(&draft.source());
            out.bytes(draft.body());
        }
        let attempt = Domain::Payload.hash(out.as_bytes());
        Self { attempt, read: batch.expected().to_vec(), cause, found }
    }
}

impl Encode for ConflictDetected {
    fn encode(&self, out: &mut Writer) {
        out.u8(1).digest(&self.attempt).count(self.read.len());
        for (stream, head) in &self.read {
            out.value(stream).u64(head.length()).digest(&head.digest());
        }
        out.option(self.cause.as_ref()).count(self.found.findings.len());
        for finding in &self.found.findings {
            out.value(&finding.stream).value(&finding.kind).u64(finding.index);
            out.digest(&finding.record).value(&finding.class).value(&finding.against);
        }
    }
}

impl Decode for ConflictDetected {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        let version = input.u8()?;
        if version != 1 {
            return Err(Reader::bad_tag("conflict version 1", version, offset));
        }
        let attempt = input.digest()?;
        let count = input.count(45)?;
        let read = (0..count)
            .map(|_| Ok((input.value()?, Head::new(input.u64()?, input.digest()?))))
            .collect::<Result<_, DecodeError>>()?;
        let cause = input.option()?;
        let mut findings: Vec<Finding> = Vec::new();
        for _ in 0..input.count(48)? {
            let finding = Finding {
                stream: input.value()?,
                kind: input.value()?,
                index: input.u64()?,
                record: input.digest()?,
                class: input.value()?,
                against: input.value()?,
            };
            if findings.last().is_some_and(|last| last.index >= finding.index) {
                return Err(input.invalid("records in the order of the log"));
            }
            findings.push(finding);
        }
        let class = findings.iter().map(|finding| finding.class).max().unwrap_or(Class::Commuting);
        Ok(Self { attempt, read, cause, found: Classification { class, findings } })
    }
}

#[cfg(test)]
mod tests;
