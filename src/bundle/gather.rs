//! Gathering a bundle from a store.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::payload::erases;
use super::{Bundle, Content, Payload, Proven};
use crate::audience::lineage::LineageEvent;
use crate::audience::state::State;
use crate::commitment::{Fields, from_kept};
use crate::digest::Digest;
use crate::encode::DecodeError;
use crate::governance::{GovernanceDecision, Matter};
use crate::intent::RoutingId;
use crate::routing::payloads::{self, Named, PayloadError, value_of};
use crate::routing::{EvidenceBlock, Outcome, PolicyPinned};
use crate::ssot::checkpoint::{Checkpoint, CheckpointError};
use crate::ssot::merkle::{self, ProveError};
use crate::ssot::note::Note;
use crate::ssot::record::{Record, RecordKind, StreamId, StreamKind};
use crate::ssot::store::{Store, StoreError, Stored};
use crate::verdict::Verdict;

/// How many records are read at a time.
const PIECE: usize = 64;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatherError {
    /// The record is no evidence.
    #[error("expected the evidence of a route at index {index}, found {found}")]
    NoRoute {
        /// The index.
        index: u64,
        /// What is there.
        found: &'static str,
    },
    /// The checkpoint's text is none.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint is older than the route.
    #[error("expected a checkpoint of more than {index} records, found one of {size}")]
    Older {
        /// The index of the route's evidence.
        index: u64,
        /// How many records the checkpoint covers.
        size: u64,
    },
    /// The checkpoint is not of this log: another root follows from its records.
    #[error("the checkpoint of {size} records is not of this log: its root is another")]
    OtherLog {
        /// How many records the checkpoint covers.
        size: u64,
    },
    /// A record that the evidence rests on is not in the log.
    #[error("the log has no {what} for the route")]
    Missing {
        /// What.
        what: &'static str,
    },
    /// A record's body cannot be read.
    #[error("record {index} cannot be read: {source}")]
    Body {
        /// Its index.
        index: u64,
        /// Why not.
        source: DecodeError,
    },
    /// What is kept is not what the evidence names.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A proof could not be made.
    #[error("record {index} cannot be proven: {source}")]
    Proof {
        /// Its index.
        index: u64,
        /// Why not.
        source: Box<ProveError<StoreError>>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Bundle {
    /// Gathers the bundle of the route whose evidence is the record at `index` of the log,
    /// proven under a signed checkpoint of this log. Records from the checkpoint's size on
    /// are not there for it: an outcome recorded after the checkpoint is not in the bundle.
    ///
    /// # Errors
    /// [`GatherError`].
    pub fn gather<S: Store + ?Sized>(
        store: &S,
        index: u64,
        checkpoint: &Note,
    ) -> Result<Self, GatherError> {
        let parsed = Checkpoint::parse(checkpoint.text())?;
        let size = parsed.size();
        if index >= size {
            return Err(GatherError::Older { index, size });
        }
        let head = merkle::head_at(store, size)
            .map_err(|source| GatherError::Proof { index, source: Box::new(source) })?;
        if head.root != *parsed.root() {
            return Err(GatherError::OtherLog { size });
        }
        let evidence = record_at(store, index)?;
        let gathering = Gathering { store, size, evidence: &evidence, block: route(&evidence)? };
        let (mut records, named) = gathering.records()?;
        records.push(evidence.clone());
        records.sort_unstable_by_key(Record::index);
        records.dedup_by_key(|record| record.index());
        let mut payloads = Vec::with_capacity(named.len());
        for name in named {
            payloads.extend(payload(store, name)?);
        }
        payloads.sort_unstable_by_key(|payload| payload.digest);
        payloads.dedup_by_key(|payload| payload.digest);
        let prove = |record: Record| {
            let index = record.index();
            let proof = merkle::inclusion(store, index, size)
                .map_err(|source| GatherError::Proof { index, source: Box::new(source) })?;
            Ok(Proven { record, path: proof.path })
        };
        Ok(Self {
            route: evidence.digest(),
            checkpoint: checkpoint.clone(),
            records: records.into_iter().map(prove).collect::<Result<_, GatherError>>()?,
            payloads,
        })
    }
}

/// The indices of all routes with this Routing ID: reads the whole log.
///
/// # Errors
/// [`GatherError::Store`], [`GatherError::Body`].
pub fn routes_of<S: Store + ?Sized>(store: &S, id: RoutingId) -> Result<Vec<u64>, GatherError> {
    let mut found = Vec::new();
    let mut from = 0;
    loop {
        let piece = store.read(from, PIECE)?;
        if piece.is_empty() {
            return Ok(found);
        }
        for stored in &piece {
            let record = decode(stored, from)?;
            if record.kind() == RecordKind::EvidenceBlock
                && read::<EvidenceBlock>(&record)?.routing_id == Some(id)
            {
                found.push(record.index());
            }
            from = from.saturating_add(1);
        }
    }
}

struct Gathering<'a, S: ?Sized> {
    store: &'a S,
    /// Records from this index on are not there.
    size: u64,
    evidence: &'a Record,
    block: EvidenceBlock,
}

impl<S: Store + ?Sized> Gathering<'_, S> {
    /// Every record beside the evidence, in any order, and what is named.
    fn records(&self) -> Result<(Vec<Record>, Vec<Named>), GatherError> {
        let block = &self.block;
        let mut named: Vec<Named> = Named::by(block).collect();
        let mut out = Vec::from([self.session()?, self.policy()?]);
        out.extend(self.audience()?);
        let mut last = self.evidence.index();
        if block.opens_route()
            && let Some(record) = self.outcome()?
        {
            named.extend(Named::by_outcome(&read::<Outcome>(&record)?));
            last = record.index();
            out.push(record);
        }
        if matches!(block.verdict, Verdict::StepUp | Verdict::Defer) {
            out.extend(self.resumed()?);
        }
        self.governance(&mut out, last)?;
        Ok((out, named))
    }

    fn stream(&self, kind: StreamKind) -> StreamId {
        StreamId::new(kind, self.block.subject.name().clone())
    }

    /// Shows the records of a stream from `from` on that the checkpoint covers, until told
    /// to stop.
    fn each(
        &self,
        stream: &StreamId,
        mut from: u64,
        mut see: impl FnMut(Record) -> Result<bool, GatherError>,
    ) -> Result<(), GatherError> {
        loop {
            let piece = self.store.read_stream(stream, from, PIECE)?;
            if piece.is_empty() {
                return Ok(());
            }
            for stored in &piece {
                let record = decode(stored, from)?;
                if record.index() >= self.size || !see(record)? {
                    return Ok(());
                }
                from = from.saturating_add(1);
            }
        }
    }

    fn session(&self) -> Result<Record, GatherError> {
        let stream = StreamId::new(StreamKind::Session, self.evidence.stream().name().clone());
        let mut found = None;
        self.each(&stream, 0, |record| {
            let before = record.index() < self.evidence.index();
            if before && record.kind() == RecordKind::SessionOpened {
                found = Some(record);
            }
            Ok(before)
        })?;
        found.ok_or(GatherError::Missing { what: "opening of the session" })
    }

    /// The last time that the set of the evidence was put into force.
    fn policy(&self) -> Result<Record, GatherError> {
        let mut after = None;
        let mut found = None;
        // There is one stream of policies; whatever it is called.
        'streams: loop {
            let streams = self.store.streams(after.as_ref(), PIECE)?;
            let Some((last, _)) = streams.last() else { break };
            after = Some(last.clone());
            for (stream, _) in streams {
                if stream.kind() != StreamKind::Policy {
                    continue;
                }
                self.each(&stream, 0, |record| {
                    let before = record.index() < self.evidence.index();
                    if before
                        && record.kind() == RecordKind::PolicyPinned
                        && read::<PolicyPinned>(&record)?.pins.digest() == self.block.pins
                    {
                        found = Some(record);
                    }
                    Ok(before)
                })?;
                break 'streams;
            }
        }
        found.ok_or(GatherError::Missing { what: "policy set" })
    }

    /// The change that led to the state of the evidence, and all that follows until it.
    fn audience(&self) -> Result<Vec<Record>, GatherError> {
        let stream = self.stream(StreamKind::Audience);
        let mut sequence = self.audience_before(&stream)?;
        let mut out = Vec::new();
        while let Some(at) = sequence {
            let piece = self.store.read_stream(&stream, at, 1)?;
            let Some(stored) = piece.first() else { break };
            let record = decode(stored, at)?;
            let reached = record.kind() == RecordKind::AudienceEvent
                && read::<LineageEvent>(&record)?.to() == self.block.state;
            out.push(record);
            if reached {
                return Ok(out);
            }
            sequence = at.checked_sub(1);
        }
        // From the stream's begin, where every audience is in INIT.
        let begun = out.last().is_none_or(|record| record.sequence() == 0);
        if self.block.state == State::Init && begun {
            return Ok(out);
        }
        Err(GatherError::Missing { what: "change of the audience to its state" })
    }

    /// The place of the stream's last record before the evidence.
    fn audience_before(&self, stream: &StreamId) -> Result<Option<u64>, GatherError> {
        let (mut low, mut high) = (0, self.store.head(stream)?.length());
        // The first place from which on records come after the evidence.
        while low < high {
            let middle = low.midpoint(high);
            let piece = self.store.read_stream(stream, middle, 1)?;
            let later = match piece.first() {
                Some(stored) => decode(stored, middle)?.index() > self.evidence.index(),
                None => true,
            };
            if later {
                high = middle;
            } else {
                low = middle.saturating_add(1);
            }
        }
        Ok(low.checked_sub(1))
    }

    fn outcome(&self) -> Result<Option<Record>, GatherError> {
        let mut found = None;
        let after = self.evidence.sequence().saturating_add(1);
        self.each(self.evidence.stream(), after, |record| {
            if record.kind() == RecordKind::Outcome
                && read::<Outcome>(&record)?.evidence == self.evidence.digest()
            {
                found = Some(record);
            }
            Ok(false)
        })?;
        Ok(found)
    }

    /// The same intent, submitted again.
    fn resumed(&self) -> Result<Option<Record>, GatherError> {
        let mut found = None;
        let after = self.evidence.sequence().saturating_add(1);
        self.each(self.evidence.stream(), after, |record| {
            if record.kind() == RecordKind::EvidenceBlock
                && read::<EvidenceBlock>(&record)?.intent == self.block.intent
            {
                found = Some(record);
            }
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// The decisions that the evidence names, the answer to it, and an erasure of what
    /// records up to `last` name.
    fn governance(&self, out: &mut Vec<Record>, last: u64) -> Result<(), GatherError> {
        let block = &self.block;
        let waits = matches!(block.verdict, Verdict::StepUp | Verdict::Defer);
        let named = |digest: Digest| [block.approval, block.backtrack].contains(&Some(digest));
        let mut answered = false;
        let mut erasure = None;
        self.each(&self.stream(StreamKind::Governance), 0, |record| {
            if record.kind() != RecordKind::GovernanceDecision {
                return Ok(true);
            }
            if named(record.digest()) {
                out.push(record);
                return Ok(true);
            }
            if record.index() < self.evidence.index() {
                return Ok(true);
            }
            let decision: GovernanceDecision = read(&record)?;
            let answers = match decision.matter() {
                Matter::Approval { intent, .. } => *intent == block.intent,
                Matter::Backtrack { route, .. } => Some(*route) == block.routing_id,
                _ => false,
            };
            if waits && answers && !answered {
                answered = true;
                out.push(record);
            } else if erases(&decision, block, last) {
                erasure.get_or_insert(record);
            }
            Ok(true)
        })?;
        out.extend(erasure);
        Ok(())
    }
}

/// What is kept under a digest of the evidence; `None` where it was erased.
fn payload<S: Store + ?Sized>(store: &S, name: Named) -> Result<Option<Payload>, GatherError> {
    let Some(kept) = payloads::kept(store, name)? else { return Ok(None) };
    if !name.salted {
        return Ok(Some(Payload { digest: name.digest, content: Content::Plain(kept) }));
    }
    // What is kept was held against the evidence: it has this form.
    let fields = from_kept(&kept)
        .and_then(|(salt, plain)| Some(Fields::of(&salt, &value_of(name.part, plain).ok()?)));
    Ok(fields.map(|fields| Payload { digest: name.digest, content: Content::Salted(fields) }))
}

fn record_at<S: Store + ?Sized>(store: &S, index: u64) -> Result<Record, GatherError> {
    match store.read(index, 1)?.first() {
        Some(stored) => decode(stored, index),
        None => Err(GatherError::NoRoute { index, found: "no record" }),
    }
}

fn route(record: &Record) -> Result<EvidenceBlock, GatherError> {
    if record.kind() != RecordKind::EvidenceBlock {
        let found = record.kind().name();
        return Err(GatherError::NoRoute { index: record.index(), found });
    }
    read(record)
}

fn decode(stored: &Stored, at: u64) -> Result<Record, GatherError> {
    Record::decode_sealed(&stored.bytes).map_err(|source| GatherError::Body { index: at, source })
}

fn read<T: crate::encode::Decode>(record: &Record) -> Result<T, GatherError> {
    T::from_canonical(record.body())
        .map_err(|source| GatherError::Body { index: record.index(), source })
}
