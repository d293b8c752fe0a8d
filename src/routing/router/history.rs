//! What a subject's earlier sessions did, read in the order of the log.
//!
//! Routes of sessions that were open at the same time lie between each other. They are
//! merged by their places, and of each session only a piece is held at a time, and only
//! while it lasts: memory is that of the sessions that overlap.
//!
//! A snapshot in one of the sessions' streams spares what it covers. It says what its
//! session knew: the routes before the session was opened, and its own. So it covers all
//! routes up to itself exactly when no other session of the subject has a record between
//! that opening and the snapshot.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{RouterError, read};
use crate::digest::Digest;
use crate::modeling::ModelingEngine;
use crate::routing::desk::saved::Saved;
use crate::routing::evidence::{EvidenceBlock, Outcome};
use crate::ssot::record::{Head, Record, RecordKind, StreamId};
use crate::ssot::snapshot::last_snapshot;
use crate::ssot::store::Store;
use crate::ssot::verify::{Replay, replay_from};

/// One route of a routing stream.
pub(super) struct Walked {
    pub(super) index: u64,
    pub(super) evidence: Digest,
    pub(super) block: EvidenceBlock,
    pub(super) outcome: Option<Outcome>,
}

/// What stands in a routing stream.
#[expect(clippy::large_enum_variant, reason = "nearly all are routes, handed on at once")]
pub(super) enum Step {
    Route(Walked),
    Snapshot(Record),
}

/// The routes of one stream, in order.
pub(super) struct Walk<'a, S: ?Sized> {
    replay: Replay<'a, S>,
    before: u64,
    waiting: Option<Walked>,
    snapshot: Option<Record>,
    /// The head behind what was read.
    pub(super) head: Head,
    over: bool,
}

impl<'a, S: Store + ?Sized> Walk<'a, S> {
    /// What stands behind `after`, up to index `before` of the log.
    pub(super) fn new(
        store: &'a S,
        stream: &StreamId,
        after: Head,
        before: u64,
    ) -> Result<Self, RouterError> {
        let replay = replay_from(store, stream, after)?;
        Ok(Self { replay, before, waiting: None, snapshot: None, head: after, over: false })
    }

    /// The next route or snapshot.
    pub(super) fn step(&mut self) -> Result<Option<Step>, RouterError> {
        if let Some(record) = self.snapshot.take() {
            return Ok(Some(Step::Snapshot(record)));
        }
        while !self.over {
            let Some(record) = self.replay.next() else { break };
            let record = record?;
            if record.index() >= self.before {
                break;
            }
            self.head = record.head();
            match record.kind() {
                RecordKind::EvidenceBlock => {
                    let next = Walked {
                        index: record.index(),
                        evidence: record.digest(),
                        block: read(&record)?,
                        outcome: None,
                    };
                    if let Some(route) = self.waiting.replace(next) {
                        return Ok(Some(Step::Route(route)));
                    }
                }
                RecordKind::Outcome => {
                    if let Some(mut route) = self.waiting.take() {
                        route.outcome = Some(read(&record)?);
                        return Ok(Some(Step::Route(route)));
                    }
                }
                RecordKind::Snapshot => match self.waiting.take() {
                    Some(route) => {
                        self.snapshot = Some(record);
                        return Ok(Some(Step::Route(route)));
                    }
                    None => return Ok(Some(Step::Snapshot(record))),
                },
                _ => {}
            }
        }
        self.over = true;
        Ok(self.waiting.take().map(Step::Route))
    }

    /// The next route.
    pub(super) fn route(&mut self) -> Result<Option<Walked>, RouterError> {
        loop {
            match self.step()? {
                Some(Step::Route(route)) => return Ok(Some(route)),
                Some(Step::Snapshot(_)) => {}
                None => return Ok(None),
            }
        }
    }
}

/// One earlier session of a subject: its routing stream, and where its opening stands.
pub(super) struct Earlier {
    pub(super) stream: StreamId,
    pub(super) opened_at: u64,
}

/// A stream's part that is still to be read, and where it begins.
struct Tail {
    stream: StreamId,
    after: Head,
    first: u64,
}

fn at<S: Store + ?Sized>(
    store: &S,
    stream: &StreamId,
    sequence: u64,
) -> Result<Option<Record>, RouterError> {
    let piece = store.read_stream(stream, sequence, 1)?;
    let Some(stored) = piece.first() else { return Ok(None) };
    Record::decode_sealed(&stored.bytes)
        .map(Some)
        .map_err(|source| RouterError::Body { index: sequence, source })
}

/// The first record of a stream behind index `index` of the log: by halving, since a
/// stream's records stand in the order of the log.
fn first_behind<S: Store + ?Sized>(
    store: &S,
    stream: &StreamId,
    index: u64,
) -> Result<Option<Record>, RouterError> {
    let (mut low, mut high) = (0, store.head(stream)?.length());
    let mut found = None;
    while low < high {
        let middle = low + (high - low) / 2;
        match at(store, stream, middle)? {
            Some(record) if record.index() > index => {
                found = Some(record);
                high = middle;
            }
            _ => low = middle.saturating_add(1),
        }
    }
    Ok(found)
}

/// A snapshot among the earlier sessions that covers all routes up to itself: the
/// sessions' tails behind it are all that is left to read.
fn covered<S: Store + ?Sized>(
    store: &S,
    earlier: &[Earlier],
    of: usize,
    opened: u64,
    snapshot: &Record,
) -> Result<Option<Vec<Tail>>, RouterError> {
    let mut tails = Vec::new();
    for (place, session) in earlier.iter().enumerate() {
        let stream = session.stream.clone();
        let behind = if place == of {
            at(store, &stream, snapshot.sequence().saturating_add(1))?
        } else {
            let first = first_behind(store, &stream, opened)?;
            if first.as_ref().is_some_and(|first| first.index() < snapshot.index()) {
                return Ok(None);
            }
            // The end of a route that the snapshot's session never learnt of.
            if first.as_ref().is_some_and(|first| first.kind() == RecordKind::Outcome) {
                return Ok(None);
            }
            first
        };
        if let Some(first) = behind {
            let after = Head::new(first.sequence(), first.previous());
            tails.push(Tail { stream, after, first: first.index() });
        }
    }
    Ok(Some(tails))
}

/// Hands out every route of the earlier sessions up to index `before`, in the order of the
/// log; from a snapshot on, where one covers the beginning and is given to `start` first.
pub(super) fn each_earlier<S, M>(
    store: &S,
    modeling: &M,
    earlier: &[Earlier],
    before: u64,
    snapshots: bool,
    start: impl FnOnce(Saved<M::Profile>),
    mut take: impl FnMut(&Walked),
) -> Result<(), RouterError>
where
    S: Store + ?Sized,
    M: ModelingEngine + ?Sized,
{
    let mut tails = None;
    if snapshots && modeling.keeps().is_some() {
        for (place, session) in earlier.iter().enumerate().rev() {
            let Some(record) = last_snapshot(store, &session.stream, before)? else { continue };
            let body = |source| RouterError::Body { index: record.index(), source };
            let Some(saved) = Saved::read(modeling, record.body()).map_err(body)? else { continue };
            tails = covered(store, earlier, place, session.opened_at, &record)?;
            if tails.is_some() {
                start(saved);
                break;
            }
        }
    }
    let mut tails = if let Some(tails) = tails {
        tails
    } else {
        let mut whole = Vec::new();
        for session in earlier {
            if let Some(first) = at(store, &session.stream, 0)? {
                let (stream, after) = (session.stream.clone(), Head::EMPTY);
                whole.push(Tail { stream, after, first: first.index() });
            }
        }
        whole
    };
    tails.sort_by_key(|tail| core::cmp::Reverse(tail.first));
    // The next route of each stream that is being read, by its place.
    let mut next: BTreeMap<u64, (Walked, Walk<'_, S>)> = BTreeMap::new();
    loop {
        let bound = next.first_key_value().map_or(u64::MAX, |(index, _)| *index);
        if tails.last().is_some_and(|tail| tail.first <= bound) {
            if let Some(tail) = tails.pop() {
                let mut walk = Walk::new(store, &tail.stream, tail.after, before)?;
                if let Some(route) = walk.route()? {
                    next.insert(route.index, (route, walk));
                }
            }
            continue;
        }
        let Some((_, (route, mut walk))) = next.pop_first() else { return Ok(()) };
        take(&route);
        if let Some(route) = walk.route()? {
            next.insert(route.index, (route, walk));
        }
    }
}
