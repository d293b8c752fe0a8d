//! Every snapshot of a log, held against what the records before it lead to.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;

use super::history::{Earlier, Step, Walk, each_earlier};
use super::{Profile, Router, RouterError, read};
use crate::audience::any::{ReplayError, Restore};
use crate::digest::Digest;
use crate::identity::SessionOpened;
use crate::routing::desk::Live;
use crate::routing::desk::saved::{Saved, save};
use crate::routing::engines::Engines;
use crate::ssot::record::{Head, Record, RecordKind, StreamId, StreamKind};
use crate::ssot::snapshot::{is_slot, last_snapshot};
use crate::ssot::store::Store;
use crate::ssot::verify::{replay, replay_from};
use crate::time::Clock;

/// What was found of a log's snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SnapshotReport {
    /// Snapshots that say what the records before them say.
    pub sound: u64,
    /// Snapshots of sessions that were counted by other rules than those in force: no
    /// session is restored from them, and they were not held against anything.
    pub other_rules: u64,
}

/// A snapshot that cannot be believed, or a log that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The snapshot says something else than the records before it.
    #[error("record {index} (sequence {sequence} of `{stream}`): a snapshot that lies")]
    Lying {
        /// The stream.
        stream: StreamId,
        /// The record's place in the global log.
        index: u64,
        /// Its place in its stream.
        sequence: u64,
    },
    /// The snapshot stands where none may.
    #[error("record {index} (sequence {sequence} of `{stream}`): a snapshot where none may stand")]
    Slot {
        /// The stream.
        stream: StreamId,
        /// The record's place in the global log.
        index: u64,
        /// Its place in its stream.
        sequence: u64,
    },
    /// An audience's lineage does not replay; where a snapshot of it lies, this says so.
    #[error("the lineage does not replay: {0}")]
    Lineage(#[from] Box<ReplayError>),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] RouterError),
}

impl From<crate::ssot::store::StoreError> for SnapshotError {
    fn from(error: crate::ssot::store::StoreError) -> Self {
        Self::Log(error.into())
    }
}

impl From<crate::ssot::verify::VerifyError> for SnapshotError {
    fn from(error: crate::ssot::verify::VerifyError) -> Self {
        Self::Log(error.into())
    }
}

/// A session as it began, and the decisions of Governance still to come.
type Begun<'a, P, S> = (Box<Live<P>>, Decisions<'a, S>);

/// Most streams listed at a time.
const PAGE: usize = 256;

impl<E: Engines, S: Store, C: Clock> Router<E, S, C> {
    /// Replays every stream that has a snapshot from its first record, believing none, and
    /// holds each snapshot against the state it has come to.
    ///
    /// # Errors
    /// [`SnapshotError::Lying`], or [`SnapshotError::Lineage`] for an audience's, names the
    /// first snapshot that says something else.
    pub fn check_snapshots(&self) -> Result<SnapshotReport, SnapshotError> {
        let mut report = SnapshotReport::default();
        let mut after: Option<StreamId> = None;
        loop {
            let page = self.store().streams(after.as_ref(), PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(report) };
            after = Some(last.clone());
            for (stream, _) in &page {
                match stream.kind() {
                    StreamKind::Audience => self.check_audience(stream, &mut report)?,
                    StreamKind::Routing => self.check_routes(stream, &mut report)?,
                    _ => self.check_none(stream)?,
                }
            }
        }
    }

    fn check_audience(
        &self,
        stream: &StreamId,
        report: &mut SnapshotReport,
    ) -> Result<(), SnapshotError> {
        let mut restore = Restore::new(stream.name().clone().into());
        for record in replay(self.store(), stream)? {
            let record = record?;
            restore.push(&record).map_err(Box::new)?;
            report.sound += u64::from(record.kind() == RecordKind::Snapshot);
        }
        Ok(())
    }

    /// Other streams have no snapshots, and none is looked for in them by a restore.
    fn check_none(&self, stream: &StreamId) -> Result<(), SnapshotError> {
        match last_snapshot(self.store(), stream, u64::MAX)? {
            Some(record) => Err(misplaced(&record)),
            None => Ok(()),
        }
    }

    fn check_routes(
        &self,
        stream: &StreamId,
        report: &mut SnapshotReport,
    ) -> Result<(), SnapshotError> {
        let (store, modeling) = (self.store(), self.engines.modeling());
        let mut live: Option<Begun<'_, Profile<E>, S>> = None;
        let mut walk = Walk::new(store, stream, Head::EMPTY, u64::MAX)?;
        if last_snapshot(store, stream, u64::MAX)?.is_some() {
            live = Some(self.begun(stream)?);
        }
        while let Some(step) = walk.step()? {
            match (step, &mut live) {
                (Step::Route(route), Some((live, decisions))) => {
                    decisions
                        .used
                        .extend(route.block.approval.iter().chain(&route.block.backtrack));
                    live.own_route(modeling, route);
                }
                (Step::Route(_), None) => {}
                (Step::Snapshot(record), Some((live, decisions))) if is_slot(record.sequence()) => {
                    let body = |source| RouterError::Body { index: record.index(), source };
                    let Some(saved) = Saved::read(modeling, record.body()).map_err(body)? else {
                        report.other_rules += 1;
                        continue;
                    };
                    decisions.up_to(saved.governance, live)?;
                    if live.governance != saved.governance
                        || save(modeling, live).as_deref() != Some(record.body())
                    {
                        return Err(SnapshotError::Lying {
                            stream: stream.clone(),
                            index: record.index(),
                            sequence: record.sequence(),
                        });
                    }
                    report.sound += 1;
                }
                (Step::Snapshot(record), _) => return Err(misplaced(&record)),
            }
        }
        Ok(())
    }

    /// A session as it began, from all earlier routes of its subject, and the decisions of
    /// Governance still to come.
    fn begun(&self, stream: &StreamId) -> Result<Begun<'_, Profile<E>, S>, SnapshotError> {
        let (store, modeling) = (self.store(), self.engines.modeling());
        let session = StreamId::new(StreamKind::Session, stream.name().clone());
        let unknown = || RouterError::SessionUnknown { session: stream.name().clone().into() };
        let record = replay(store, &session)?.next().transpose()?.ok_or_else(unknown)?;
        let opened: SessionOpened = read(&record)?;
        let subject = opened.claims.subject;
        let of_subject = |kind| StreamId::new(kind, subject.name().clone());
        let mut live = Self::fresh(&subject)?;
        let (mut earlier, mut opened_at) = (alloc::vec::Vec::new(), None);
        for record in replay(store, &of_subject(StreamKind::Subject))? {
            let record = record?;
            if record.kind() != RecordKind::SessionOpened {
                continue;
            }
            let before: SessionOpened = read(&record)?;
            if before.claims.session.name() == stream.name() {
                opened_at = Some(record.index());
                break;
            }
            let name = before.claims.session.name().clone();
            let stream = StreamId::new(StreamKind::Routing, name);
            earlier.push(Earlier { stream, opened_at: record.index() });
        }
        let opened_at = opened_at.ok_or_else(unknown)?;
        let mut used = BTreeSet::new();
        each_earlier(store, modeling, &earlier, opened_at, false, drop, |route| {
            used.extend(route.block.approval.iter().chain(&route.block.backtrack));
            live.absorb(modeling, &route.block, route.outcome.as_ref(), false);
        })?;
        let governance = of_subject(StreamKind::Governance);
        let replay = replay_from(store, &governance, Head::EMPTY)?;
        Ok((live, Decisions { replay, used }))
    }
}

/// The decisions of Governance, read as far as a snapshot had read them.
struct Decisions<'a, S: ?Sized> {
    replay: crate::ssot::verify::Replay<'a, S>,
    /// Those that a route has used.
    used: BTreeSet<Digest>,
}

impl<S: Store + ?Sized> Decisions<'_, S> {
    fn up_to<P>(&mut self, end: Head, live: &mut Live<P>) -> Result<(), RouterError> {
        while live.governance.length() < end.length() {
            let Some(record) = self.replay.next() else { break };
            let record = record?;
            live.governance = record.head();
            live.decide(&record)?;
        }
        live.decisions.retain(|(record, _)| !self.used.contains(record));
        Ok(())
    }
}

fn misplaced(record: &Record) -> SnapshotError {
    let (stream, index, sequence) = (record.stream().clone(), record.index(), record.sequence());
    SnapshotError::Slot { stream, index, sequence }
}

#[cfg(test)]
#[cfg(feature = "std")]
mod tests;
